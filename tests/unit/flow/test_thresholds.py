"""Thresholds against distributions whose threshold is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from cartrace.flow.thresholds import Estimate, density_of, from_control, peaks_of, slope, valley


def two_peaks(seed: int, negative: int = 8000, positive: int = 2000, apart: float = 6.0) -> np.ndarray:
    r = np.random.default_rng(seed)
    return np.concatenate([r.normal(0, 1, negative), r.normal(apart, 1, positive)])


def best_cut(share_positive: float, apart: float) -> float:
    """Where the two normal densities weigh the same."""
    return apart / 2 + float(np.log((1 - share_positive) / share_positive)) / apart


# A control.


def test_one_in_ten_of_a_control_lies_above_its_threshold() -> None:
    # 0 to 19: two of twenty above, so the threshold lies between 17 and 18.
    found = from_control(np.arange(20.0), 10.0)
    assert found == Estimate(17.5, 20)
    assert (np.arange(20.0) >= 17.5).sum() == 2


def test_equal_values_stay_on_one_side_and_never_add_up_to_more_than_the_tail() -> None:
    values = np.array([*range(16), 30.0, 30.0, 30.0, 40.0])
    found = from_control(values, 10.0)
    assert found.value == 35.0
    assert (values >= 35.0).sum() == 1


def test_a_control_too_small_for_its_tail_gives_no_threshold() -> None:
    found = from_control(np.arange(1999.0), 0.1, min_tail_events=2)
    assert found.value is None
    assert found.reason == "1999 events in the control; 0.1 % above it takes 2000 or more"
    assert from_control(np.arange(2000.0), 0.1, min_tail_events=2).value == 1997.5


def test_a_control_that_piles_up_at_its_top_gives_no_threshold() -> None:
    found = from_control(np.concatenate([np.arange(900.0), np.full(100, 1e6)]), 1.0, 2)
    assert found.value is None
    assert "one and the same high value" in found.reason


def test_an_empty_control_gives_no_threshold() -> None:
    assert from_control(np.array([]), 0.1).value is None
    assert from_control(np.full(50, np.nan), 0.1).n_events == 0


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300),
    st.floats(0.5, 49.0),
    st.integers(1, 5),
)
def test_never_more_than_the_tail_is_above_and_never_fewer_than_asked(
    values: list[float], tail: float, fewest: int
) -> None:
    events = np.array(values)
    found = from_control(events, tail, fewest)
    if found.value is not None:
        above = int((events >= found.value).sum())
        assert fewest <= above <= len(events) * tail / 100 + 1e-9


# A valley.


@pytest.mark.parametrize("seed", range(10))
def test_the_valley_lies_where_the_two_populations_weigh_the_same(seed: int) -> None:
    found = valley(two_peaks(seed))
    assert found.value is not None
    assert found.value == pytest.approx(best_cut(0.2, 6.0), abs=0.35)
    assert found.n_events == 10000


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5, 0.9])
def test_the_valley_counts_the_positive_events_rightly(share: float) -> None:
    for seed in range(5):
        n = round(20000 * share)
        found = valley(two_peaks(seed, 20000 - n, n, apart=7.0))
        assert found.value is not None
        truly = np.concatenate([np.zeros(20000 - n, bool), np.ones(n, bool)])
        called = two_peaks(seed, 20000 - n, n, apart=7.0) >= found.value
        assert (called != truly).mean() < 0.002


@pytest.mark.parametrize("n", [200, 2000, 100000])
def test_one_peak_has_no_valley_however_many_events(n: int) -> None:
    for seed in range(20):
        found = valley(np.random.default_rng(seed).normal(0.3, 0.05, n))
        assert found.value is None, (seed, found)
        assert found.reason == "one peak, so no valley between negative and positive"


def test_a_skewed_peak_and_a_heavy_tail_have_no_valley() -> None:
    for seed in range(10):
        r = np.random.default_rng(seed)
        assert valley(r.gamma(3.0, size=20000)).value is None
        assert valley(r.standard_t(3, size=20000)).value is None


@pytest.mark.parametrize("seed", range(5))
def test_a_broad_negative_peak_does_not_swallow_the_positive_one(seed: int) -> None:
    r = np.random.default_rng(seed)
    values = np.concatenate([r.normal(0.4, 0.75, 2000), r.normal(2.7, 0.4, 900)])
    found = valley(values)
    assert found.value == pytest.approx(1.8, abs=0.25)


def test_two_peaks_that_run_into_each_other_have_no_valley() -> None:
    found = valley(two_peaks(1, 5000, 5000, apart=2.2))
    assert found.value is None


def test_a_bump_of_too_few_events_is_no_peak() -> None:
    # 40 of 20,000: 0.2 %.
    found = valley(two_peaks(3, 19960, 40, apart=8.0))
    assert found.value is None


def test_with_three_peaks_the_valley_lies_below_the_largest_positive_one() -> None:
    r = np.random.default_rng(4)
    negative, dim, bright = r.normal(0, 1, 5000), r.normal(7, 1, 1000), r.normal(14, 1, 4000)
    found = valley(np.concatenate([negative, dim, bright]))
    assert found.value is not None
    assert found.reason == "3 peaks; the valley below the largest positive one"
    assert 2 < found.value < 12
    dim_wins = valley(np.concatenate([negative, dim, bright[:500]]))
    assert dim_wins.value == pytest.approx(3.5, abs=0.8)


def test_in_a_wide_empty_gap_the_threshold_lies_in_its_middle() -> None:
    found = valley(two_peaks(5, 5000, 5000, apart=40.0))
    assert found.value == pytest.approx(20.0, abs=1.0)


def test_a_few_far_outliers_do_not_blur_the_grid() -> None:
    plain = valley(two_peaks(6))
    far = valley(np.concatenate([two_peaks(6), [1e9, -1e9]]))
    assert plain.value is not None
    assert far.value == pytest.approx(plain.value, abs=0.02)


def test_values_all_equal_or_not_finite_have_no_threshold() -> None:
    for values in (np.full(500, 3.0), np.full(500, np.nan), np.array([])):
        assert valley(values).value is None
        assert slope(values, 0.1).value is None


# A slope.


def normal_run_out(fraction: float) -> float:
    """Where the slope of the standard normal density is this share of its steepest, which is at 1."""
    steepest = norm.pdf(1.0)
    return float(brentq(lambda x: x * norm.pdf(x) - fraction * steepest, 1.0, 10.0))


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.3])
def test_the_slope_of_a_normal_peak_runs_out_where_the_formula_says(fraction: float) -> None:
    values = np.random.default_rng(1).normal(0, 1, 1_000_000)
    density = density_of(values)
    assert not isinstance(density, str)
    # Smoothing widens the peak by its bandwidth.
    wider = np.hypot(1.0, density.bandwidth)
    found = slope(values, fraction)
    assert found.reason == "one peak, taken for the negative one"
    assert found.value == pytest.approx(normal_run_out(fraction) * wider, abs=0.03)


def test_a_tenth_of_the_steepest_slope_lies_at_2_76_standard_deviations() -> None:
    assert normal_run_out(0.1) == pytest.approx(2.76, abs=0.01)


@pytest.mark.parametrize("seed", range(10))
def test_rare_positive_events_are_found_beyond_the_slope(seed: int) -> None:
    r = np.random.default_rng(seed)
    values = np.concatenate([r.normal(0, 1, 20000), r.normal(6, 1, 20)])
    found = slope(values, 0.1)
    assert found.value is not None
    assert 2.5 < found.value < 3.3
    assert (values[-20:] >= found.value).sum() >= 19


@pytest.mark.parametrize("seed", range(5))
def test_the_slope_stays_with_the_negative_peak_where_positives_are_many(seed: int) -> None:
    found = slope(two_peaks(seed, 3000, 7000, apart=8.0), 0.1)
    assert found.value is not None
    assert 2.3 < found.value < 4.3


def test_a_negative_peak_that_runs_into_the_next_one_has_no_end() -> None:
    found = slope(two_peaks(2, 10000, 10000, apart=3.2), 0.1)
    assert found.value is None
    assert "does not run out" in found.reason


# What must not change them.


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(-50, 50), st.floats(0.01, 100))
def test_shift_and_scale_go_through(seed: int, shift: float, scale: float) -> None:
    values = two_peaks(seed % 97, 3000, 1000)
    for way in (valley, lambda v: slope(v, 0.1), lambda v: from_control(v, 1.0)):
        before, after = way(values), way(scale * values + shift)
        assert before.value is not None
        assert after.value is not None
        # A step of the grid is what rounding may cost.
        assert abs(after.value - (scale * before.value + shift)) < 0.02 * scale


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_events_does_not_matter(seed: int) -> None:
    values = two_peaks(11, 1500, 500)
    shuffled = np.random.default_rng(seed).permutation(values)
    assert valley(shuffled) == valley(values)
    assert slope(shuffled, 0.1) == slope(values, 0.1)
    assert from_control(shuffled, 1.0) == from_control(values, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_more_negative_events_do_not_move_the_valley_much(seed: int) -> None:
    few, many = valley(two_peaks(seed, 5000, 2000)), valley(two_peaks(seed + 50, 50000, 2000))
    assert few.value is not None
    assert many.value is not None
    # The best cut itself moves by ln(10) / 6 = 0.38.
    assert 0.0 < many.value - few.value < 0.8


def test_peaks_are_found_at_the_ends_too() -> None:
    values = np.concatenate([np.zeros(3000), np.linspace(0, 1, 300), np.ones(3000)])
    density = density_of(values)
    assert not isinstance(density, str)
    assert len(peaks_of(density.smooth())) == 2
    assert valley(values).value == pytest.approx(0.5, abs=0.1)
