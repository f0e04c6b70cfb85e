"""Exact intervals: published values, other programs, and what must hold for every count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.rates import confint_poisson

from cartrace.flow.counts import poisson_interval, ratio_interval, share_interval

CONFIDENCES = st.sampled_from([0.8, 0.9, 0.95, 0.99])


def test_shares_have_the_limits_of_the_published_tables() -> None:
    # Exact binomial limits at 95 %, as every table prints them (Geigy, Documenta).
    low, high = share_interval([0, 1, 5, 10], [10, 10, 10, 10])
    assert low == pytest.approx([0, 0.00253, 0.18709, 0.69150], abs=5e-6)
    assert high == pytest.approx([0.30850, 0.44502, 0.81291, 1], abs=5e-6)


def test_counts_have_the_limits_of_the_published_table() -> None:
    # Garwood's table, as in Pearson and Hartley, Biometrika Tables, table 40.
    low, high = poisson_interval([0, 1, 10, 50, 100])
    assert low == pytest.approx([0, 0.0253, 4.795, 37.11, 81.36], abs=5e-3)
    assert high == pytest.approx([3.689, 5.572, 18.39, 65.92, 121.63], abs=5e-3)


def test_a_ratio_has_the_limits_of_the_odds_of_a_share() -> None:
    # 10 and 10 events: the share of 10 in 20 lies between 0.27196 and 0.72804.
    low, high = ratio_interval(10, 10)
    assert (float(low), float(high)) == pytest.approx((0.27196 / 0.72804, 0.72804 / 0.27196), rel=1e-4)


def test_no_events_give_nothing() -> None:
    assert np.isnan(share_interval(0, 0)).all()
    assert np.isnan(ratio_interval(5, 0)).all()
    assert [float(x) for x in ratio_interval(0, 10)] == pytest.approx([0, 0.30850 / 0.69150], rel=1e-4)


def test_the_edges_are_zero_and_one() -> None:
    low, high = share_interval([0, 7], [7, 7])
    assert low[0] == 0
    assert high[1] == 1
    assert poisson_interval(0)[0] == 0


@pytest.mark.parametrize(("events", "of"), [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(events: int, of: int) -> None:
    with pytest.raises(ValueError, match="0 <= events <= of"):
        share_interval(events, of)
    with pytest.raises(ValueError, match="not negative"):
        poisson_interval(-1)
    with pytest.raises(ValueError, match="not negative"):
        ratio_interval(-1, 3)
    with pytest.raises(ValueError, match="between 0 and 1"):
        poisson_interval(1, 1.0)


@settings(deadline=None)
@given(st.integers(1, 5_000_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), CONFIDENCES)
def test_shares_and_counts_are_those_of_statsmodels(counts: tuple[int, int], confidence: float) -> None:
    k, n = counts
    low, high = share_interval(k, n, confidence)
    want = proportion_confint(k, n, alpha=1 - confidence, method="beta")
    assert (float(low), float(high)) == pytest.approx((want[0], want[1]), rel=1e-9, abs=1e-15)
    low, high = poisson_interval(k, confidence)
    want = confint_poisson(k, 1, method="exact-c", alpha=1 - confidence)
    # statsmodels has no lower limit of a count of 0.
    assert (float(low), float(high)) == pytest.approx((0 if k == 0 else want[0], want[1]), rel=1e-9)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 10**6), CONFIDENCES)
def test_a_ratio_turned_over_has_the_limits_turned_over(a: int, b: int, confidence: float) -> None:
    low, high = (float(x) for x in ratio_interval(a, b, confidence))
    assert low <= a / b <= high
    if a:
        other_low, other_high = (float(x) for x in ratio_interval(b, a, confidence))
        assert (1 / other_high, 1 / other_low) == pytest.approx((low, high), rel=1e-8)


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(1, 500), CONFIDENCES)
def test_an_interval_leaves_no_more_than_its_tail_on_either_side(
    k: int, more: int, confidence: float
) -> None:
    n, tail = k + more, (1 - confidence) / 2
    low, high = (float(x) for x in share_interval(k, n, confidence))
    assert stats.binom.sf(k - 1, n, low) == pytest.approx(tail if k else 1, rel=1e-7)
    assert stats.binom.cdf(k, n, high) == pytest.approx(tail, rel=1e-7)


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(1, 1000))
def test_an_array_gives_what_its_elements_give(k: int, more: int) -> None:
    n = k + more
    together = share_interval(np.array([k, 0]), np.array([n, n]))
    assert [t[0] for t in together] == [float(t) for t in share_interval(k, n)]


def test_intervals_of_simulated_tubes_hold_the_truth() -> None:
    rng = np.random.default_rng(5)
    many = 20_000
    slack = 3 * np.sqrt(0.05 * 0.95 / many)
    for cells, beads in ((3.0, 40.0), (60.0, 900.0), (4_000.0, 1_500.0)):
        low, high = ratio_interval(rng.poisson(cells, many), np.maximum(rng.poisson(beads, many), 1))
        assert ((low <= cells / beads) & (cells / beads <= high)).mean() > 0.95 - slack
        low, high = poisson_interval(rng.poisson(cells, many))
        assert ((low <= cells) & (cells <= high)).mean() > 0.95 - slack
