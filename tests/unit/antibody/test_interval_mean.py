"""The mean of numbers that are known as intervals: by hand, against lifelines, and by simulation."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from cartrace.antibody.interval_mean import differences, normal_mean

INF = math.inf


def cells(x: np.ndarray, start: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Intervals of log2 titres: steps of 1 from ``start`` on, open below it."""
    step = start + np.floor(x - start)
    return np.where(x < start, -INF, step), np.where(x < start, start, step + 1)


def test_known_numbers_give_the_mean_and_the_limits_of_student() -> None:
    x = np.array([1.0, 2.5, 3.1, 4.7, 2.2])
    mean = normal_mean(x, x, 0.01)
    half = t.ppf(0.975, 4) * x.std(ddof=1) / math.sqrt(5)
    assert mean.value == pytest.approx(2.7, abs=1e-6)
    assert (mean.lower, mean.upper) == (
        pytest.approx(2.7 - half, abs=1e-5),
        pytest.approx(2.7 + half, abs=1e-5),
    )
    assert mean.sd == pytest.approx(x.std(), rel=1e-6)


def test_two_intervals_of_a_symmetric_pair_have_their_middle_as_mean() -> None:
    mean = normal_mean(np.array([0.0, 3.0]), np.array([1.0, 4.0]), 0.1)
    assert mean.value == pytest.approx(2, abs=1e-6)
    assert mean.value - mean.lower == pytest.approx(mean.upper - mean.value, rel=1e-4)


def test_one_bin_of_a_half_gives_the_quantile_that_it_holds() -> None:
    # 3 of 6 below 0, 3 of 6 above: symmetric around 0 with bounded neighbours.
    low = np.array([-INF, -INF, -1.0, 0.0, 1.0, 1.0])
    high = np.array([-1.0, -1.0, 0.0, 1.0, INF, INF])
    mean = normal_mean(low, high, 0.1)
    assert mean.value == pytest.approx(0, abs=1e-6)
    # One third lies above 1: sd = 1 / z(2/3).
    assert mean.sd == pytest.approx(1 / norm.ppf(2 / 3), rel=1e-5)


def test_numbers_of_one_interval_keep_the_smallest_standard_deviation() -> None:
    mean = normal_mean(np.zeros(5), np.ones(5), 0.5)
    assert (mean.value, mean.sd) == (pytest.approx(0.5, abs=1e-6), 0.5)
    assert mean.lower == pytest.approx(1 - mean.upper, abs=1e-4)


@pytest.mark.parametrize(
    ("low", "high", "problem"),
    [
        ([-INF] * 4, [0.0] * 4, "all 4 results lie below a limit"),
        ([2.0] * 3, [INF] * 3, "all 3 results lie above a limit"),
        ([-INF, -INF, 2.0], [0.0, 0.0, INF], "no result between the limits"),
        ([-INF, -INF, 0.0], [0.0, 0.0, 1.0], "fewer than 2 results between the limits"),
        ([], [], "no result between the limits"),
    ],
)
def test_a_mean_that_is_not_estimable_says_why(low: list[float], high: list[float], problem: str) -> None:
    mean = normal_mean(np.array(low), np.array(high), 0.5)
    assert math.isnan(mean.value)
    assert math.isnan(mean.lower)
    assert mean.problem == problem


def test_lifelines_finds_the_same_maximum() -> None:
    lifelines = pytest.importorskip("lifelines")
    low, high = cells(np.random.default_rng(7).normal(1.2, 1.6, 25))
    mean = normal_mean(low, high, 1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Log-normal of the titre itself: log2 becomes ln.
        fit = lifelines.LogNormalFitter().fit_interval_censoring(10 * 2.0**low, 10 * 2.0**high)
    assert (fit.mu_ - math.log(10)) / math.log(2) == pytest.approx(mean.value, abs=1e-3)
    assert fit.sigma_ / math.log(2) == pytest.approx(mean.sd, rel=1e-3)


def test_a_known_baseline_only_shifts_the_intervals_and_an_open_one_opens_them() -> None:
    after = np.array([0.0, -INF, 1.0]), np.array([1.0, 0.0, INF])
    low, high = differences((np.full(3, 5.0), np.full(3, 5.0)), after)
    assert low[:, 0].tolist() == [-5, -INF, -4]
    assert high[:, 0].tolist() == [-4, -5, INF]
    assert (low == low[:, :1]).all()
    # A baseline of 8 or more: the change is at most 1 - 8.
    low, high = differences((np.array([8.0]), np.array([INF])), (np.array([0.0]), np.array([1.0])))
    assert low[0].tolist() == [-INF] * 5
    assert high[0].tolist() == [-7] * 5


def test_every_place_of_a_difference_lies_in_its_plain_interval() -> None:
    low, high = differences((np.array([5.0]), np.array([6.0])), (np.array([2.0]), np.array([3.0])))
    # log2(after) - log2(before) lies in (2 - 6, 3 - 5).
    assert (low > -4).all()
    assert (high < -2).all()
    np.testing.assert_allclose(high - low, 1)
    assert low.mean() == pytest.approx(-3.5)


_ROWS = st.lists(
    st.sampled_from([(-INF, 0.0), (0.0, 1.0), (1.0, 2.0), (1.0, 3.0), (4.0, 5.0), (5.0, INF), (2.5, 2.5)]),
    min_size=3,
    max_size=9,
)


@hypothesis_settings(deadline=None, max_examples=15)
@given(_ROWS, st.floats(-20, 20), st.sampled_from([0.5, 3.0]))
def test_the_mean_moves_with_shift_and_scale_and_forgets_the_order(
    listed: list[tuple[float, float]], shift: float, scale: float
) -> None:
    low, high = np.array(listed).T
    first = normal_mean(low, high, 0.5)
    second = normal_mean(low[::-1] * scale + shift, high[::-1] * scale + shift, 0.5 * scale)
    assert first.problem == second.problem
    for name in ("value", "lower", "upper"):
        wanted = getattr(first, name) * scale + shift
        assert getattr(second, name) == pytest.approx(wanted, abs=2e-4 * scale, nan_ok=True)
    if not first.problem:
        assert first.lower < first.value < first.upper


def study(n: int, mean: float, sd: float, runs: int, seed: int) -> tuple[float, float, float]:
    """Return bias of the mean, bias of the usual mean of last positive dilutions, and coverage.

    Both are compared with the mean of the drawn numbers, which is unbiased: their noise, which is that
    of the drawing, cancels, and fewer runs tell as much.
    """
    rng = np.random.default_rng(seed)
    found, usual, held = [], [], []
    for _ in range(runs):
        drawn = rng.normal(mean, sd, n)
        low, high = cells(drawn)
        one = normal_mean(low, high, 0.5)
        if one.problem:
            continue
        found.append(one.value - drawn.mean())
        held.append(one.lower <= mean <= one.upper)
        usual.append(np.where(np.isfinite(low), low, -1.0).mean() - drawn.mean())
    return float(np.mean(found)), float(np.mean(usual)), float(np.mean(held))


def test_twelve_sera_come_back_without_the_half_step_of_the_usual_mean() -> None:
    bias, usual, held = study(12, 3.3, 1.5, 40, seed=1)
    assert abs(bias) < 0.2
    assert usual < -0.35
    assert held >= 0.85


@pytest.mark.slow
def test_the_study_of_twelve_sera_in_150_simulations() -> None:
    # assays.md C.2: bias -0.03 against -0.50 log2.
    bias, usual, held = study(12, 3.3, 1.5, 150, seed=2)
    assert abs(bias) < 0.08
    assert usual == pytest.approx(-0.5, abs=0.08)
    assert 0.92 <= held <= 0.985
    # A third below the starting dilution.
    bias, usual, held = study(12, 0.65, 1.5, 80, seed=3)
    assert abs(bias) < 0.15
    assert usual < -0.15
    assert held >= 0.92
    # Five sera.
    assert study(5, 3.3, 1.5, 80, seed=4)[2] >= 0.92


@pytest.mark.slow
def test_a_change_is_estimated_without_bias_where_plain_intervals_make_it_too_small() -> None:
    rng = np.random.default_rng(5)
    true, found, plain, sd, held = -5.0, [], [], [], []
    for _ in range(100):
        before = np.maximum(rng.normal(6, 1.2, 24), 0.01)
        base, now = cells(before), cells(before + rng.normal(true, 1.0, 24))
        one = normal_mean(*differences(base, now), 0.5 * math.sqrt(2))
        found.append(one.value)
        sd.append(one.sd)
        held.append(one.lower <= true <= one.upper)
        plain.append(normal_mean(now[0] - base[1], now[1] - base[0], 0.5 * math.sqrt(2)).value)
    assert abs(float(np.mean(found)) - true) < 0.06
    assert float(np.mean(plain)) - true > float(np.mean(found)) - true + 0.03
    assert float(np.mean(sd)) == pytest.approx(1, abs=0.12)
    assert float(np.mean(held)) >= 0.9
