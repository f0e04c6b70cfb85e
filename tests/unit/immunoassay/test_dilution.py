from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import f as f_distribution

from cartrace.immunoassay.calibration import fit_curve, known_curve
from cartrace.immunoassay.dilution import linearity, parallelism

LEVELS = 100 / 2.5 ** np.arange(9.0)
X = np.repeat(LEVELS, 2)
TRUE = known_curve({"A": 0.05, "B": 1.3, "C": 12.0, "D": 2.6})
DILUTIONS = np.repeat([50.0, 100, 200, 400], 2)


def test_deviations_from_the_median_are_those_computed_by_hand() -> None:
    # Means 100, 120, 90; median 100.
    found = linearity([10, 10, 20, 40, 80], [95, 105, 120, 90, 5], [True, True, True, True, False])
    assert found.median == 100
    assert found.dilutions == (10, 20, 40)
    assert found.deviations_percent == pytest.approx((0, 20, -10))
    assert found.largest_percent == pytest.approx(20)


def test_more_wells_of_a_dilution_do_not_weigh_more() -> None:
    one = linearity([10, 20], [100, 120], [True, True])
    more = linearity([10] * 5 + [20], [100] * 5 + [120], [True] * 6)
    assert more == one
    assert one.largest_percent == pytest.approx(100 / 11)


def test_fewer_than_two_dilutions_in_range_have_no_linearity() -> None:
    assert math.isnan(linearity([10, 20], [100, 50], [True, False]).largest_percent)
    assert math.isnan(linearity([10, 20], [100, 50], [False, False]).median)
    assert math.isnan(linearity([10, 20], [0.0, 0.0], [True, True]).largest_percent)


def plate(
    rng: np.random.Generator, undiluted: float, *, slope: float = 1.0, cv: float = 0.04
) -> tuple[float, float]:
    """P and F of a sample whose curve has ``slope`` times the standards' slope."""
    y = TRUE.predict(X) * (1 + cv * rng.standard_normal(len(X)))
    curve = fit_curve(X, y, weighting="1/y2", starts=2)
    other = known_curve({"A": 0.05, "B": 1.3 * slope, "C": 12.0, "D": 2.6})
    signal = other.predict(undiluted / DILUTIONS) * (1 + cv * rng.standard_normal(len(DILUTIONS)))
    found = parallelism(curve, DILUTIONS, signal, np.ones(len(signal), dtype=bool))
    return found.p, found.f


def test_of_parallel_samples_about_5_of_100_have_p_below_5_percent() -> None:
    rng = np.random.default_rng(4)
    p = np.array([plate(rng, 2000.0)[0] for _ in range(100)])
    assert 0.015 <= (p < 0.05).mean() <= 0.1
    assert 0.4 <= (p < 0.5).mean() <= 0.6


def test_a_sample_with_another_slope_is_found() -> None:
    rng = np.random.default_rng(5)
    p = np.array([plate(rng, 2000.0, slope=0.75)[0] for _ in range(25)])
    assert (p < 0.01).mean() > 0.9


def test_the_test_of_two_dilutions_is_that_of_their_difference() -> None:
    rng = np.random.default_rng(6)
    y = TRUE.predict(X) * (1 + 0.04 * rng.standard_normal(len(X)))
    curve = fit_curve(X, y, model="linear", weighting="none")
    a, b = curve.parameters
    # ln x = (y - a) / b: the difference of two has the variance 2 s^2 / b^2 and that of b.
    signal, step = np.array([1.0, 0.6]), 2.0
    z = (signal[1] - signal[0]) / b + math.log(step)
    slope_variance = curve.covariance[1][1]
    variance = 2 * curve.residual_sd**2 / b**2 + ((signal[1] - signal[0]) / b**2) ** 2 * slope_variance
    found = parallelism(curve, [10, 20], signal, [True, True])
    assert found.f == pytest.approx(z**2 / variance)
    assert found.p == pytest.approx(float(f_distribution.sf(z**2 / variance, 1, curve.df)))
    assert a == curve.parameters[0]


@pytest.mark.parametrize(
    ("signal", "in_range", "said"),
    [
        ([1.0, 0.6], [True, False], "fewer than two dilutions"),
        ([1.0, 0.01], [True, True], "no interval"),
    ],
)
def test_no_test_is_made_without_two_dilutions_on_the_curve(
    signal: list[float], in_range: list[bool], said: str
) -> None:
    y = TRUE.predict(X) * (1 + 0.02 * np.random.default_rng(7).standard_normal(len(X)))
    found = parallelism(fit_curve(X, y, weighting="1/y2"), [10, 20], signal, in_range)
    assert math.isnan(found.p)
    assert said in found.reason


def test_a_curve_without_covariance_gives_no_test() -> None:
    found = parallelism(TRUE, [10, 20], [1.0, 0.6], [True, True])
    assert math.isnan(found.p)
    assert "covariance" in found.reason
