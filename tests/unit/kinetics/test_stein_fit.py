import numpy as np
import pytest

from cartrace.kinetics import stein_fit
from cartrace.kinetics.stein import RESIDUAL_SD, TYPICAL, stein_course
from cartrace.kinetics.stein_fit import NAMES, SIGMA_FLOOR, fit_stein

TRUTH = dict(
    zip(
        NAMES[:6],
        (TYPICAL.rho, TYPICAL.tmax, TYPICAL.cmax, TYPICAL.alpha, TYPICAL.beta, TYPICAL.fb),
        strict=True,
    )
)
DENSE = np.concatenate([np.arange(1, 30, 1.0), np.arange(35, 400, 15.0)])


def censor(value, lloq):
    below = value < lloq
    return np.where(below, 0.0, value), np.where(below, lloq, value)


def test_a_course_without_noise_gives_its_parameters_back():
    value = stein_course(DENSE, TYPICAL)
    fit = fit_stein(DENSE, value, value)
    assert fit.phases == 2
    for name, truth in TRUTH.items():
        assert fit.value[NAMES.index(name)] == pytest.approx(truth, rel=1e-3), name
    assert fit.value[-1] == pytest.approx(SIGMA_FLOOR)


def test_the_typical_patient_comes_back_from_published_noise_and_censoring():
    logs, inside = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        value = stein_course(DENSE, TYPICAL) * np.exp(rng.normal(0, RESIDUAL_SD, len(DENSE)))
        fit = fit_stein(DENSE, *censor(value, 50))
        assert fit.phases == 2
        logs.append(np.log(fit.value[:6] / np.array(list(TRUTH.values()))))
        inside.append((fit.lower[:6] < list(TRUTH.values())) & (fit.upper[:6] > list(TRUTH.values())))
        assert fit.value[-1] == pytest.approx(RESIDUAL_SD, rel=0.35)
    assert np.abs(np.mean(logs, axis=0)).max() < 0.25
    # Wald limits of a short course are a little narrow: docs/numerics.md gives the measured coverage.
    assert np.mean(inside) > 0.85


def test_censored_results_carry_information():
    days = np.array([2, 4, 6, 8, 12, 18, 24, 30, 36, 42.0])
    value = stein_course(days, TYPICAL)
    known = value >= 500
    fit = fit_stein(days, *censor(value, 500))
    assert fit.n_quantified == known.sum()
    assert fit.n_censored == (~known).sum() > 0
    assert fit.value[NAMES.index("rho")] == pytest.approx(TYPICAL.rho, rel=0.2)


def test_a_result_above_the_range_pulls_the_peak_up():
    days = np.array([3, 5, 7, 9, 12, 16, 21, 28.0])
    value = stein_course(days, TYPICAL)
    upper = np.where(days == 9, np.nan, value)
    lower = np.where(days == 9, 9000, value)
    fit = fit_stein(days, lower, upper)
    assert fit.n_quantified == 7
    assert fit.value[NAMES.index("cmax")] > 12_000


def test_the_faster_phase_is_called_alpha():
    value = stein_course(DENSE, TYPICAL)
    fit = fit_stein(DENSE, value, value)
    assert fit.value[NAMES.index("alpha")] > fit.value[NAMES.index("beta")]


@pytest.mark.parametrize("tmax", [9.3, 5.2])
def test_the_gradient_is_the_derivative_of_the_likelihood(tmax):
    days = np.array([2, 4, 8, 10, 14, 28, 90.0])
    kind = np.array([1, 0, 0, 2, 0, 0, 1], dtype=np.int8)
    data = stein_fit._Data(days, np.log([50, 300, 8000, 9000, 9000, 1500, 50.0]), kind)
    theta = np.array([np.log(0.8), np.log(tmax), 10, np.log(0.2), np.log(0.01), -3, -0.5])
    _, gradient = stein_fit._negative_log_likelihood(data, theta)
    for i in range(7):
        move = np.eye(7)[i] * 1e-6
        up = stein_fit._negative_log_likelihood(data, theta + move)[0]
        down = stein_fit._negative_log_likelihood(data, theta - move)[0]
        assert gradient[i] == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-6)


def test_too_few_results_are_refused():
    with pytest.raises(ValueError, match="at least 4 quantified results, not 2"):
        fit_stein(np.array([1.0, 2.0]), np.array([5.0, 6.0]), np.array([5.0, 6.0]))
