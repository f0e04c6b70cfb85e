"""Acquisition quality: what is found is what was planted, and a steady tube loses nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.flow.hand_fcs import write_fcs

from cartrace.config import FlowQuality
from cartrace.flow.fcs import read_fcs
from cartrace.flow.quality import Acquisition, assess_acquisition
from cartrace.flow.tables import ACQUISITION
from cartrace.tables import conform

NAMES = ["FSC-A", "SSC-A", "CD3-A", "CAR-A", "Time"]
QUALITY = FlowQuality()
SEEDS = range(6)


def steady(seed: int, n: int = 40_000, rate: float = 1000.0) -> np.ndarray:
    """Return cells at a constant rate: two scatter peaks, CD3 half and half, CAR rare; Time in 10 ms."""
    rng = np.random.default_rng(seed)
    events = np.empty((n, 5))
    lymphocyte = rng.random(n) < 0.6
    events[:, 0] = np.where(lymphocyte, rng.normal(80e3, 8e3, n), rng.normal(140e3, 15e3, n))
    events[:, 1] = np.where(lymphocyte, rng.normal(30e3, 5e3, n), rng.normal(110e3, 20e3, n))
    # Nearly as many positive as negative events: their median jumps between two peaks by chance.
    events[:, 2] = np.where(rng.random(n) < 0.53, rng.lognormal(9, 0.4, n), rng.normal(0, 150, n))
    events[:, 3] = np.where(rng.random(n) < 0.03, rng.lognormal(8.5, 0.5, n), rng.normal(50, 120, n))
    events[:, 4] = np.cumsum(rng.exponential(100 / rate, n))
    return events


def assessed(
    path: Path,
    events: np.ndarray,
    quality: FlowQuality = QUALITY,
    timestep: float | None = 0.01,
    **how: object,
) -> Acquisition:
    names = how.pop("names", NAMES)
    file = write_fcs(path / "tube.fcs", names, events, timestep=timestep, **how)  # type: ignore[arg-type]
    data = read_fcs(file, "tube.fcs")
    found = assess_acquisition(data, range(len(data.channels)), quality)
    assert len(found.unstable) == len(found.margin) == data.n_events
    table = conform(found.bins.assign(tube="t"), ACQUISITION)
    assert table["events"].sum() == data.n_events
    assert found.unstable.sum() == table["events"][~table["kept"].astype(bool)].sum()
    return found


def slow_down(events: np.ndarray, start: int, stop: int, factor: float) -> np.ndarray:
    steps = np.diff(events[:, 4], prepend=0.0)
    steps[start:stop] *= factor
    return np.column_stack([events[:, :4], np.cumsum(steps)])


# By hand


def test_bins_hold_equally_many_events_and_the_last_one_takes_the_rest(tmp_path: Path) -> None:
    events = np.column_stack([np.full(1130, 5000.0), np.arange(1130.0)])
    found = assessed(tmp_path, events, timestep=0.5, names=["FSC-A", "Time"])
    # 1,130 events at one a tick of 0.5 s: 2 events a second, 565 s and a half less.
    assert found.bins["events"].tolist() == [500, 630]
    assert found.bins["start_s"].tolist() == [0.0, 250.0]
    assert found.bins["end_s"].tolist() == [250.0, 564.5]
    assert found.bins["rate"].tolist() == pytest.approx([2.0, 630 / 314.5])
    assert found.bins["kept"].all()
    assert found.duration_s == 564.5
    assert found.kept_time_share == 1.0
    assert found.remarks == ()


def test_scatter_at_the_top_is_margin_and_the_brightest_cells_are_told(tmp_path: Path) -> None:
    events = np.tile(np.linspace(100, 200, 60)[:, None], 3)
    events[3, 0], events[5, 1], events[7, 1] = 262143.0, 1023.0, 1022.9
    events[[9, 11, 13], 2] = 262143.0
    events = np.vstack([events, np.tile(np.linspace(200, 300, 140)[:, None], 3)])
    names, ranges = ["FSC-A", "SSC-A", "PE-A"], [262144, 1024, 262144]
    data = read_fcs(write_fcs(tmp_path / "tube.fcs", names, events, ranges=ranges), "tube.fcs")
    found = assess_acquisition(data, [0, 1, 2], QUALITY)
    assert np.flatnonzero(found.margin).tolist() == [3, 5]
    assert [r for r in found.remarks if "PE-A" in r] == [
        "PE-A: 1.5 % of events at the top of the scale; they stay"
    ]
    assert np.flatnonzero(assess_acquisition(data, [0], QUALITY).margin).tolist() == [3]


def test_the_top_of_an_amplified_channel_is_looked_for_behind_the_amplifier(tmp_path: Path) -> None:
    raw = np.vstack([[[1023, 1023], [1022, 1022]], np.tile(np.arange(5, 205)[:, None], 2)])
    found = assessed(
        tmp_path,
        raw,
        names=["FSC-H", "SSC-H"],
        datatype="I",
        ranges=[1024, 1024],
        decades={"FSC-H": "4,1"},
        gains={"SSC-H": 8.0},
    )
    assert np.flatnonzero(found.margin).tolist() == [0]


def test_scatter_that_piles_up_at_its_lowest_value_is_margin_and_negative_cells_are_not(
    tmp_path: Path,
) -> None:
    # An old instrument: 1 in 5 events at channel 0 of scatter, half of all at channel 0 of fluorescence.
    rng = np.random.default_rng(1)
    raw = rng.integers(1, 1000, (1000, 2))
    raw[::5, 0] = 0
    raw[::2, 1] = 0
    found = assessed(tmp_path, raw, names=["FSC-H", "FL1-H"], datatype="I", ranges=[1024, 1024])
    assert np.array_equal(np.flatnonzero(found.margin), np.arange(0, 1000, 5))


@pytest.mark.parametrize(
    ("name", "is_scatter"),
    [
        ("FSC-A", True),
        ("SS INT LIN", True),
        ("FS", True),
        ("FSCW", True),
        ("SSEA-4-A", False),
        ("FITC-A", False),
    ],
)
def test_scatter_is_told_by_the_name(tmp_path: Path, name: str, is_scatter: bool) -> None:
    raw = np.append(np.zeros(100), np.arange(1.0, 900.0))[:, None]
    found = assessed(tmp_path, raw, names=[name], ranges=[1024])
    assert found.margin.sum() == (100 if is_scatter else 0)


def test_a_few_events_at_the_lowest_scatter_are_no_margin(tmp_path: Path) -> None:
    raw = np.arange(1000)[:, None] % 900 + 1
    assert not assessed(tmp_path, raw, names=["FSC-H"], datatype="I", ranges=[1024]).margin.any()


def test_the_lowest_event_of_a_small_tube_is_no_margin(tmp_path: Path) -> None:
    # One of 50 is 2 %, and one of 1 is all of them: no pile.
    for n in (1, 50):
        assert not assessed(tmp_path, steady(1, n)).margin.any()


def test_an_event_without_a_number_is_margin(tmp_path: Path) -> None:
    events = np.full((10, 1), 100.0)
    events[4], events[6] = np.nan, np.inf
    found = assessed(tmp_path, events, names=["FITC-A"], datatype="D")
    assert np.flatnonzero(found.margin).tolist() == [4, 6]


def test_a_change_of_the_rate_counts_from_the_smallest_that_matters(tmp_path: Path) -> None:
    # A clock that ticks evenly but in bin 3 of 8, where every event takes 1.5 ticks: two thirds of the rate.
    steps = np.ones(4000)
    steps[1000:1500] = 1.5
    events = np.column_stack([np.full(4000, 5000.0), np.cumsum(steps)])
    smaller = QUALITY.model_copy(update={"min_rate_change": 0.2})
    at_half = assessed(tmp_path, events, names=["FSC-A", "Time"])
    at_fifth = assessed(tmp_path, events, smaller, names=["FSC-A", "Time"])
    assert at_half.bins["kept"].all()
    assert at_fifth.bins["kept"].tolist() == [True, True, False, True, True, True, True, True]
    assert at_fifth.bins["rate"].iloc[2] == pytest.approx(100 / 1.5, rel=1e-3)


def test_a_rate_that_wanders_all_the_time_has_no_unstable_bin(tmp_path: Path) -> None:
    # Half of the bins take 1 tick an event, half of them 2.2: 100 and 45 events a second, median 73.
    steps = np.repeat(np.tile([1.0, 2.2], 20), 500)
    events = np.column_stack([np.full(20_000, 5000.0), np.cumsum(steps)])
    strict = QUALITY.model_copy(update={"rate_mads": 0.5, "min_rate_change": 0.2})
    loose = strict.model_copy(update={"rate_mads": 1.0})
    assert not assessed(tmp_path, events, strict, names=["FSC-A", "Time"]).bins["kept"].any()
    assert assessed(tmp_path, events, loose, names=["FSC-A", "Time"]).bins["kept"].all()


def test_a_burst_within_one_tick_has_a_rate(tmp_path: Path) -> None:
    clock = np.arange(4000.0)
    clock[1500:2000] = 1500.0
    clock[2000:] -= 500
    events = np.column_stack([np.full(4000, 5000.0), clock])
    found = assessed(tmp_path, events, names=["FSC-A", "Time"])
    # 500 events in half a tick of 10 ms.
    assert found.bins["rate"].iloc[3] == pytest.approx(500 / 0.005)
    assert found.bins["reason"].dropna().tolist() == ["rate"]


def test_a_tube_whose_bins_all_wander_has_no_unstable_bin(tmp_path: Path) -> None:
    # The level changes in every bin by about its own width: no bin stands out.
    rng = np.random.default_rng(2)
    levels = rng.normal(0, 1000, 40)
    events = (10_000 + np.repeat(levels, 500) + rng.normal(0, 1000, 20_000))[:, None]
    assert assessed(tmp_path, events, names=["CD3-A"]).bins["kept"].all()
    calm = (10_000 + rng.normal(0, 1000, 20_000))[:, None]
    calm[5_000:5_500] += 1500
    assert assessed(tmp_path, calm, names=["CD3-A"]).bins["kept"].sum() == 39


def test_a_shift_of_a_signal_counts_from_the_smallest_that_matters(tmp_path: Path) -> None:
    # Normal around 10,000 with SD 1,000: an interquartile range of 1,349. Bins of 5,000 show a shift of 200
    # clearly; it is 0.15 of that range.
    rng = np.random.default_rng(3)
    events = rng.normal(10_000, 1000, (50_000, 1))
    events[20_000:25_000] += 200
    large = QUALITY.model_copy(update={"events_per_bin": 5000})
    smaller = large.model_copy(update={"min_signal_shift": 0.1})
    assert assessed(tmp_path, events, large, names=["CD3-A"]).bins["kept"].all()
    found = assessed(tmp_path, events, smaller, names=["CD3-A"])
    assert np.flatnonzero(~found.bins["kept"]).tolist() == [4]


def test_a_scale_that_says_nothing_has_no_margin(tmp_path: Path) -> None:
    events = np.linspace(0, 5, 100)[:, None]
    assert not assessed(tmp_path, events, names=["FSC-A"], ranges=[1]).margin.any()


@settings(max_examples=40, deadline=None)
@given(
    raw=st.lists(st.integers(0, 2**64 - 1), min_size=3, max_size=240),
    top=st.sampled_from([0.0, 1.0, 1024.0, 1e300]),
    gain=st.sampled_from([1e-300, 1.0, 1e300]),
    timestep=st.sampled_from([1e-300, 1.0, 1e300]),
)
def test_any_bits_of_events_are_judged_without_a_fault(
    tmp_path_factory: pytest.TempPathFactory, raw: list[int], top: float, gain: float, timestep: float
) -> None:
    events = np.array(raw[: len(raw) // 3 * 3], dtype="u8").view("f8").reshape(-1, 3)
    file = write_fcs(
        tmp_path_factory.getbasetemp() / "bits.fcs",
        ["FSC-A", "B", "Time"],
        events,
        datatype="D",
        ranges=[top] * 3,
        gains={"B": gain},
        timestep=timestep,
    )
    found = assess_acquisition(read_fcs(file, "t"), [0, 1], FlowQuality(events_per_bin=50))
    assert len(found.margin) == len(found.unstable) == len(events)
    assert 0 <= found.kept_time_share <= 1


# What is planted is found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_steady_acquisition_loses_less_than_one_percent(tmp_path: Path, seed: int) -> None:
    found = assessed(tmp_path, steady(seed))
    assert found.unstable.mean() < 0.01
    assert found.kept_time_share > 0.99


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("factor", [5.0, 0.2])
def test_a_clog_and_a_burst_are_found(tmp_path: Path, seed: int, factor: float) -> None:
    events = slow_down(steady(seed), 12_300, 16_300, factor)
    found = assessed(tmp_path, events)
    inside = np.zeros(80, dtype=bool)
    # Bins 24 and 32 of 500 events each are part clog.
    inside[25:32] = True
    bad = ~found.bins["kept"].to_numpy()
    assert bad[inside].mean() >= 0.9
    assert bad[~inside].sum() <= 0.05 * 80
    assert set(found.bins["reason"].dropna()) == {"rate"}
    share = found.bins["kept"] * (found.bins["end_s"] - found.bins["start_s"])
    assert found.kept_time_share == pytest.approx(share.sum() / found.duration_s)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("channel", [0, 3])
def test_a_signal_that_moves_is_found_in_its_channel(tmp_path: Path, seed: int, channel: int) -> None:
    events = steady(seed)
    # From event 34,000 on, the last 15 %.
    events[34_000:, channel] = (
        events[34_000:, channel] * 1.6 if channel == 0 else events[34_000:, channel] + 150
    )
    found = assessed(tmp_path, events)
    bad = ~found.bins["kept"].to_numpy()
    assert bad[68:].mean() >= 0.9
    assert bad[:68].mean() <= 0.05
    assert NAMES[channel] in found.bins["reason"].iloc[-1]
    assert "rate" not in found.bins["reason"].iloc[-1]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slow_drift_is_found_where_it_is_large(tmp_path: Path, seed: int) -> None:
    events = steady(seed)
    # In the last fifth the CAR channel climbs by 400; a quarter of its width, some 50, is passed at once.
    events[32_000:, 3] += np.linspace(0, 400, 8_000)
    bad = ~assessed(tmp_path, events).bins["kept"].to_numpy()
    assert bad[68:].mean() >= 0.9
    assert bad[:64].mean() <= 0.05


# Clocks that tell nothing


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        (np.full(4000, 7.0), "stands still"),
        (np.concatenate([np.arange(2000.0), np.arange(2000.0)]), "backwards"),
        (np.arange(4000.0) // 400, "too coarse"),
    ],
)
def test_a_clock_that_tells_no_rate_is_remarked_on(tmp_path: Path, clock: np.ndarray, words: str) -> None:
    found = assessed(tmp_path, np.column_stack([np.full(4000, 5000.0), clock]), names=["FSC-A", "Time"])
    assert words in found.remarks[0]
    assert found.bins["rate"].isna().all()
    assert found.duration_s is None
    assert found.bins["start_s"].tolist() == [500.0 * i for i in range(8)]
    assert not found.unstable.any()


def test_without_a_clock_the_share_kept_is_that_of_events(tmp_path: Path) -> None:
    events = steady(1)[:, :4]
    events[36_000:, 0] *= 2
    found = assessed(tmp_path, events, names=NAMES[:4])
    assert "no time channel" in found.remarks[0]
    assert found.unstable.mean() == pytest.approx(0.1)
    assert found.kept_time_share == pytest.approx(0.9)


def test_a_clock_without_a_unit_still_finds_a_clog(tmp_path: Path) -> None:
    found = assessed(tmp_path, slow_down(steady(1), 12_000, 16_000, 5.0), timestep=None)
    assert "$TIMESTEP" in found.remarks[0]
    assert found.bins["rate"].isna().all()
    assert (~found.bins["kept"]).to_numpy().nonzero()[0].tolist() == list(range(24, 32))
    # 36,000 events at full speed and 4,000 that took five times as long.
    assert found.kept_time_share == pytest.approx(36 / 56, abs=0.02)


@pytest.mark.parametrize("n", [0, 1, 2, 499, 1001])
def test_small_tubes_are_judged_without_a_fault(tmp_path: Path, n: int) -> None:
    found = assessed(tmp_path, steady(1)[:n])
    assert len(found.bins) == (0 if n == 0 else 2 if n > 1000 else 1)
    assert not found.unstable.any()
    assert found.kept_time_share == 1.0


# What does not matter


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_events_inside_a_bin_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    path = tmp_path_factory.mktemp("order")
    events = slow_down(steady(seed % 7, n=8_200), 3_000, 5_000, 5.0)
    events[7_000:, 3] += 300
    events[::97, 0] = 262143.0
    rng = np.random.default_rng(seed)
    bins = [np.arange(500 * k, 500 * k + 500 if k < 15 else 8_200) for k in range(16)]
    order = np.concatenate([rng.permutation(b) for b in bins])
    before, after = assessed(path, events), assessed(path, events[order])
    assert before.bins.equals(after.bins)
    assert not before.bins["kept"].all()
    assert np.array_equal(before.unstable, after.unstable)
    assert np.array_equal(before.margin[order], after.margin)
    assert before.kept_time_share == after.kept_time_share


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.01, 100), start=st.floats(0, 1e4))
def test_what_is_unstable_does_not_depend_on_the_unit_or_the_start_of_the_clock(
    tmp_path_factory: pytest.TempPathFactory, scale: float, start: float
) -> None:
    path = tmp_path_factory.mktemp("clock")
    events = slow_down(steady(3, n=8_000), 3_000, 5_000, 5.0)
    shifted = events.copy()
    shifted[:, 4] += start
    before = assessed(path, events, datatype="D")
    after = assessed(path, shifted, timestep=0.01 * scale, datatype="D")
    assert np.array_equal(before.unstable, after.unstable)
    assert after.duration_s == pytest.approx(scale * (before.duration_s or 0), rel=1e-6)
