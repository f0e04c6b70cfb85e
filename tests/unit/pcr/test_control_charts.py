"""Charts of controls over plates: every Westgard rule by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.pcr.plate_samples import curve, sample, table

from cartrace.config import Westgard
from cartrace.pcr.control_charts import control_charts
from cartrace.pcr.tables import CURVES
from cartrace.plates.westgard import chart, runs
from cartrace.tables import empty, rows

BASE = [-1.0, 1.0, -1.0, 1.0]
"""Mean 0; SD sqrt(4 / 3)."""
T_975 = 3.182446 * (4 / 3 * 5 / 4) ** 0.5
"""97.5 % of Student's t (3 degrees of freedom), times the SD of a new value about the mean of BASE."""


def test_a_point_is_judged_by_the_plates_before_it() -> None:
    drawn = chart(
        np.array([*BASE, T_975, -T_975]), np.ones(6, dtype=bool), Westgard(min_plates=4, baseline_plates=4)
    )
    assert drawn.n.tolist() == [0, 1, 2, 3, 4, 4]
    assert np.isnan(drawn.z[:4]).all()
    sd = (4 / 3) ** 0.5
    assert drawn.centre[4:].tolist() == [0, 0]
    assert drawn.sd[4:] == pytest.approx([sd, sd])
    # Student's t of 3 degrees of freedom is 3.1824 where the normal deviate is 1.96.
    assert drawn.z[4:] == pytest.approx([1.959964, -1.959964], abs=1e-4)
    assert drawn.limit(1.959964)[4:] == pytest.approx([T_975, T_975], rel=1e-4)
    assert np.isnan(drawn.limit(2.0)[:4]).all()


def test_with_many_plates_z_is_the_distance_in_sd() -> None:
    values = np.array([*([-1.0, 1.0] * 5_000), 3.0])
    drawn = chart(values, np.ones(len(values), dtype=bool), Westgard(baseline_plates=10_000))
    assert drawn.z[-1] == pytest.approx(3.0, rel=2e-3)


def test_while_the_baseline_grows_a_point_is_not_in_its_own_centre() -> None:
    drawn = chart(
        np.array([*BASE, 10.0, 0.0]), np.ones(6, dtype=bool), Westgard(min_plates=4, baseline_plates=20)
    )
    assert drawn.centre[4:].tolist() == [0, 2]
    assert drawn.n[4:].tolist() == [4, 5]


def test_a_rejected_plate_is_charted_and_sets_no_limits() -> None:
    accepted = np.array([True, False, True, True, True, True])
    drawn = chart(
        np.array([-1.0, 50.0, 1.0, -1.0, 1.0, 0.0]), accepted, Westgard(min_plates=4, baseline_plates=4)
    )
    assert drawn.n.tolist() == [0, 1, 1, 2, 3, 4]
    assert drawn.centre[5] == 0


def test_equal_values_give_no_yardstick() -> None:
    drawn = chart(np.full(6, 0.1), np.ones(6, dtype=bool), Westgard(min_plates=4, baseline_plates=4))
    assert np.isnan(drawn.z).all()


@pytest.mark.parametrize(
    ("rule", "z", "last_breaks"),
    [
        ("1_2s", [2.1], True),
        ("1_2s", [2.0], False),
        ("1_2s", [-2.1], True),
        ("1_3s", [3.1], True),
        ("1_3s", [-2.9], False),
        ("2_2s", [2.1, 2.2], True),
        ("2_2s", [-2.1, -2.2], True),
        ("2_2s", [2.1, -2.2], False),
        ("2_2s", [2.1, np.nan, 2.2], False),
        ("4_1s", [1.1, 1.2, 1.3, 1.1], True),
        ("4_1s", [1.1, 1.2, 0.9, 1.1], False),
        ("4_1s", [1.1, 1.2, -1.3, 1.1], False),
        ("4_1s", [1.1, 1.2, 1.1], False),
        ("10_x", [0.1] * 10, True),
        ("10_x", [0.1] * 9, False),
        ("10_x", [-0.1] * 10, True),
        ("10_x", [0.1] * 9 + [-0.1], False),
        ("10_x", [0.1] * 5 + [0.0] + [0.1] * 5, False),
    ],
)
def test_a_rule_breaks_where_it_says(rule: str, z: list[float], last_breaks: bool) -> None:
    assert runs(np.array(z))[rule][-1] == last_breaks


def controls(values: dict[str, list[float]], **settings: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Chart log10 copies of controls over plates p1, p2, ..."""
    records = [
        sample(name, 10.0**x, plate=f"p{n}", task="accuracy_control")
        for name, numbers in values.items()
        for n, x in enumerate(numbers, 1)
    ]
    plates = sorted({r["plate"] for r in records}, key=lambda p: int(p[1:]))
    return control_charts(
        table(*records), empty(CURVES), plates, dict.fromkeys(plates, "qpcr"), Westgard(**settings)
    )


SIX = [3.9, 4.1, 3.9, 4.1, 3.9, 4.1]
"""Mean 4, SD 0.1095."""


def test_a_control_far_off_fails_and_is_told() -> None:
    drawn, qc = controls({"PC": [*SIX, 4.9]}, min_plates=6, baseline_plates=6)
    assert drawn["verdict"].tolist() == ["note"] * 6 + ["fail"]
    last = drawn.iloc[-1]
    assert last["z"] > 3
    assert 0.9 > last["limit_3s"] > last["limit_2s"] > last["limit_1s"] > last["sd"]
    assert (last["rules"], last["n"], last["order"], last["quantity"]) == ("1_2s;1_3s", 6, 7, "log10 copies")
    assert qc[["check", "verdict", "source_file"]].to_numpy().tolist() == [["control_chart", "fail", "p7"]]
    assert "more than 3 SD" in qc["message"][0]


def test_two_sd_alone_only_warn() -> None:
    drawn, qc = controls({"PC": [*SIX, 4.35]}, min_plates=6, baseline_plates=6)
    assert (drawn["verdict"].iloc[-1], drawn["rules"].iloc[-1]) == ("warn", "1_2s")
    assert qc["verdict"].tolist() == ["warn"]


def test_a_good_control_passes_without_a_word() -> None:
    drawn, qc = controls({"PC": [*SIX, 4.05]}, min_plates=6, baseline_plates=6)
    assert drawn["verdict"].iloc[-1] == "pass"
    assert len(qc) == 0


def test_two_controls_of_one_plate_that_differ_by_four_sd_break_r_4s() -> None:
    # z about +2.1 and -2.1: neither is beyond 3 SD, together they are more than 4 apart.
    both = {"low": [*SIX, 4.35], "high": [*SIX, 3.65]}
    drawn, _ = controls(both, min_plates=6, baseline_plates=6)
    last = drawn[drawn["order"] == 7]
    assert last["rules"].tolist() == ["1_2s;R_4s", "1_2s;R_4s"]
    assert last["verdict"].tolist() == ["fail", "fail"]
    # Between plates the same distance is no R_4s.
    one, _ = controls({"PC": [*SIX, 4.35, 3.65]}, min_plates=6, baseline_plates=6)
    assert one["rules"].iloc[-2:].tolist() == ["1_2s", "1_2s"]
    near, _ = controls({"low": [*SIX, 4.2], "high": [*SIX, 3.8]}, min_plates=6, baseline_plates=6)
    assert near["rules"].isna().all()


def test_the_laboratory_chooses_the_rules() -> None:
    drawn, qc = controls({"PC": [*SIX, 4.9]}, min_plates=6, baseline_plates=6, rules=("2_2s",))
    assert drawn["rules"].isna().all()
    assert drawn["verdict"].iloc[-1] == "pass"
    assert len(qc) == 0


def test_ten_plates_on_one_side_are_a_drift() -> None:
    drawn, _ = controls({"PC": [*SIX, *[4.05] * 10]}, min_plates=6, baseline_plates=6)
    assert drawn["rules"].iloc[-1] == "10_x"
    assert drawn["rules"].iloc[:-1].isna().all()


def test_curves_and_the_spike_are_charted_and_stored_curves_are_not() -> None:
    frame = table(
        sample("NTC", None, task="ntc", target="IPC", role="inhibition_control", cq_mean=27.5, plate="p1"),
        sample("S1", 50.0, plate="p1"),
        sample("PC", 0.0, task="positive_control", plate="p1"),
        sample(
            "drop", 1000.0, task="ntc", target="IPC", role="inhibition_control", method="dpcr", plate="p2"
        ),
    )
    curves = rows([curve(plate="p1"), curve(plate="p2", source="master")], CURVES)
    drawn, _ = control_charts(frame, curves, ["p1", "p2"], {"p1": "qpcr", "p2": "qpcr"}, Westgard())
    shown = drawn.sort_values("quantity")[["plate", "control", "quantity", "value"]]
    assert shown.to_numpy().tolist() == [
        ["p1", "NTC", "Cq", 27.5],
        ["p1", "intercept", "intercept", 38.0],
        ["p2", "drop", "log10 copies", 3.0],
        ["p1", "slope", "slope", -3.32],
    ]
    assert set(drawn["verdict"]) == {"note"}
    assert "PC" not in set(drawn["control"])


def test_another_lot_with_another_expected_number_is_another_chart() -> None:
    records = [
        sample("PC", 1e4, plate=f"p{n}", task="accuracy_control", nominal=1e4 if n < 3 else 2e4)
        for n in (1, 2, 3)
    ]
    plates = ["p1", "p2", "p3"]
    drawn, _ = control_charts(
        table(*records), empty(CURVES), plates, dict.fromkeys(plates, "qpcr"), Westgard(min_plates=2)
    )
    assert drawn[["control", "n"]].to_numpy().tolist() == [
        ["PC (10000 copies)", 0],
        ["PC (10000 copies)", 1],
        ["PC (20000 copies)", 0],
    ]


def test_no_plates_no_charts() -> None:
    drawn, qc = control_charts(table(), empty(CURVES), [], {}, Westgard())
    assert len(drawn) == len(qc) == 0


@settings(deadline=None, max_examples=15)
@given(st.lists(st.floats(3, 5), min_size=2, max_size=14), st.integers(1, 13))
def test_a_later_plate_never_changes_an_earlier_verdict(values: list[float], cut: int) -> None:
    whole, _ = controls({"PC": values}, min_plates=3, baseline_plates=5)
    begun, _ = controls({"PC": values[: min(cut, len(values))]}, min_plates=3, baseline_plates=5)
    pd.testing.assert_frame_equal(whole.iloc[: len(begun)], begun)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.floats(3, 5), min_size=8, max_size=12), st.randoms())
def test_the_order_of_the_rows_does_not_matter(values: list[float], random: Any) -> None:
    records = [sample("PC", 10.0**x, plate=f"p{n}", task="accuracy_control") for n, x in enumerate(values)]
    plates = [r["plate"] for r in records]
    shuffled = records.copy()
    random.shuffle(shuffled)
    one, other = (
        control_charts(table(*r), empty(CURVES), plates, dict.fromkeys(plates, "qpcr"), Westgard())[0]
        for r in (records, shuffled)
    )
    pd.testing.assert_frame_equal(one, other)
