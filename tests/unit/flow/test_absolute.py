"""Cells per uL by beads, by volume and by a blood count."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.flow.hand_tubes import PANEL, RAW, sheet_row

from cartrace.flow.absolute import Way, agreements, by_beads, by_blood_count, by_volume
from cartrace.flow.panel import load_panel

ACQUIRED: dict[str, Any] = {
    "volume_ul": 200.0,
    "kept_time_share": 1.0,
    "unstable_events": 0,
    "duration_s": None,
}
CAR = PANEL.populations["CAR T"]


def test_beads_need_their_number_their_volume_and_that_of_the_specimen() -> None:
    # 25 uL of 1,000 beads/uL beside 100 uL of blood: 250 beads for each uL of blood.
    way = by_beads(sheet_row(bead_volume_ul=25.0, sample_volume_ul=100.0), PANEL, 5_000)
    assert 1_000 * way.per_event == pytest.approx(1_000 / 5_000 * 250)


def test_a_dilution_after_the_beads_changes_nothing() -> None:
    neat, diluted = (by_beads(sheet_row(dilution=d), PANEL, 5_000) for d in (None, 11.0))
    assert neat == diluted


@pytest.mark.parametrize(
    ("changes", "beads", "reason"),
    [
        ({"beads_per_ul": None}, 5_000, "the tubes sheet gives no beads"),
        ({"bead_volume_ul": None}, 5_000, "the tubes sheet gives no beads"),
        ({"sample_volume_ul": None}, 5_000, "the tubes sheet gives no sample_volume_ul"),
        ({}, 0, "no beads were acquired"),
        ({}, None, "the bead gate is not set"),
    ],
)
def test_beads_that_lack_a_number_say_which(changes: dict[str, Any], beads: int | None, reason: str) -> None:
    way = by_beads(sheet_row(**changes), PANEL, beads)
    assert math.isnan(way.per_event)
    assert way.reason == reason


def test_beads_without_a_gate_are_told() -> None:
    panel = load_panel({k: v for k, v in RAW.items() if k != "beads"}, "panel.yaml")
    assert by_beads(sheet_row(), panel, None).reason == "the panel file names no bead gate"


def test_a_volume_counts_the_time_that_was_kept_and_the_dilution() -> None:
    # 500 cells in 200 uL of which three quarters were kept, diluted 1 in 10: 500 / 150 x 10.
    way = by_volume(sheet_row(dilution=10.0), ACQUIRED | {"kept_time_share": 0.75})
    assert 500 * way.per_event == pytest.approx(33.3333, rel=1e-5)


def test_the_sheet_goes_before_the_volume_of_the_file() -> None:
    way = by_volume(sheet_row(dilution=1.0, acquired_volume_ul=100.0), ACQUIRED)
    assert way.per_event == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("changes", "acquired", "reason"),
    [
        ({}, {}, "the tubes sheet gives no dilution (1: none)"),
        ({"dilution": 2.0}, {"volume_ul": None}, "neither the file ($VOL) nor the tubes sheet gives"),
        ({"dilution": 2.0}, {"kept_time_share": 0.0}, "no time was kept"),
        ({"dilution": 2.0}, {"unstable_events": 9}, "events were left out, and without a clock"),
    ],
)
def test_a_volume_that_lacks_a_number_says_which(
    changes: dict[str, Any], acquired: dict[str, Any], reason: str
) -> None:
    way = by_volume(sheet_row(**changes), ACQUIRED | acquired)
    assert math.isnan(way.per_event)
    assert way.reason.startswith(reason)


def test_a_blood_count_is_multiplied_by_the_share_of_its_gate() -> None:
    way = by_blood_count(sheet_row(lymphocytes_per_ul=1_200.0), CAR, 300, 40_000, "blood")
    assert 300 * way.per_event == pytest.approx(9)


@pytest.mark.parametrize(
    ("count", "events", "gate", "matrix", "reason"),
    [
        (None, 300, 40_000, "blood", "the tubes sheet gives no count of lymphocytes"),
        (0.0, 300, 40_000, "blood", "the count of lymphocytes is 0"),
        (1_200.0, 300, 0, "blood", "no events in the gate of the lymphocytes"),
        (1_200.0, 300, None, "blood", "no events in the gate of the lymphocytes"),
        (1_200.0, 300, 200, "blood", "more events than in the gate of the lymphocytes"),
        (1_200.0, 300, 40_000, "csf", "a blood count says nothing of csf"),
    ],
)
def test_a_blood_count_that_says_nothing_says_why(
    count: float | None, events: int, gate: int | None, matrix: str, reason: str
) -> None:
    way = by_blood_count(sheet_row(lymphocytes_per_ul=count), CAR, events, gate, matrix)
    assert math.isnan(way.per_event)
    assert way.reason == reason


def test_a_panel_without_the_gate_of_the_blood_count_uses_none() -> None:
    way = by_blood_count(
        sheet_row(lymphocytes_per_ul=1_200.0), PANEL.populations["CAR share"], 3, 40, "blood"
    )
    assert way.reason == "the panel file names no blood_count_gate"


def test_each_way_has_its_own_exact_interval() -> None:
    # 10 cells and 10 beads; 10 cells in a volume; 5 of 10 cells (see test_counts).
    assert Way("beads", 2.0, 10).interval(10, 0.95) == pytest.approx((0.7471, 5.3540), rel=1e-3)
    assert Way("volume", 2.0).interval(10, 0.95) == pytest.approx((9.59, 36.78), rel=1e-3)
    assert Way("blood_count", 2.0, 10).interval(5, 0.95) == pytest.approx((0.37417, 1.62583), rel=1e-4)


def test_the_first_way_is_held_against_each_further_one() -> None:
    ways = [Way("beads", reason="none"), Way("volume", 2.0), Way("blood_count", 5.0, 2), Way("beads", 0.0, 1)]
    (found,) = agreements(ways)
    assert (found.first, found.other, found.ratio) == ("volume", "blood_count", pytest.approx(0.8))
    assert agreements([Way("beads", 1.0)]) == []
    assert agreements([]) == []


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10_000),
    st.integers(1, 10_000),
    st.floats(0.01, 1_000),
    st.sampled_from(["beads", "volume", "blood_count"]),
)
def test_the_interval_holds_the_count_and_grows_with_its_scale(
    events: int, per: int, scale: float, method: str
) -> None:
    per = 1 if method == "volume" else max(per, events, 1)
    way, twice = Way(method, scale, per), Way(method, 2 * scale, per)
    low, high = way.interval(events, 0.95)
    slack = 1e-9 * scale
    assert low - slack <= events * way.per_event <= high + slack
    assert twice.interval(events, 0.95) == pytest.approx((2 * low, 2 * high))


@settings(deadline=None, max_examples=40)
@given(st.floats(1, 100), st.floats(1, 100), st.floats(10, 500), st.integers(1, 10_000))
def test_twice_the_beads_in_twice_the_specimen_are_the_same(
    concentration: float, beads: float, specimen: float, counted: int
) -> None:
    once, twice = (
        by_beads(
            sheet_row(beads_per_ul=concentration, bead_volume_ul=k * beads, sample_volume_ul=k * specimen),
            PANEL,
            counted,
        )
        for k in (1, 2)
    )
    assert once.per_event == pytest.approx(twice.per_event)
