"""Interval probabilities, the line through intervals, and the mixed-effects decay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, norm
from tests.unit.antibody.courses import course, table

from cartrace.antibody.likelihood import fit_lines, normal_interval
from cartrace.antibody.mixed import Likelihood, Model, Series, fit
from cartrace.antibody.population import fit_decay
from cartrace.config import Antibody


@given(st.floats(-30, 30), st.floats(1e-3, 20))
def test_the_interval_probability_agrees_with_the_distribution_function(a: float, width: float) -> None:
    got = normal_interval(np.array([a]), np.array([a + width]))
    left, right = (a, a + width) if a <= 0 else (-a - width, -a)
    top, bottom = norm.logcdf(right), norm.logcdf(left)
    assert got.log[0] == pytest.approx(top + np.log1p(-np.exp(bottom - top)), rel=1e-9, abs=1e-12)


@given(st.floats(-6, 6), st.floats(0.05, 6))
def test_the_derivatives_of_the_interval_are_those_of_differences(a: float, width: float) -> None:
    b, h = a + width, 1e-5
    at = normal_interval(np.array([a]), np.array([b]))

    def f(x: float, y: float) -> Any:
        return normal_interval(np.array([x]), np.array([y]))

    for first, second, difference in (
        (at.a, at.aa, lambda field: (getattr(f(a + h, b), field) - getattr(f(a - h, b), field)) / (2 * h)),
        (at.b, at.bb, lambda field: (getattr(f(a, b + h), field) - getattr(f(a, b - h), field)) / (2 * h)),
    ):
        name = "a" if first is at.a else "b"
        assert first[0] == pytest.approx(difference("log")[0], rel=1e-4, abs=1e-4)
        assert second[0] == pytest.approx(difference(name)[0], rel=1e-4, abs=1e-4)
    assert at.ab[0] == pytest.approx((f(a, b + h).a - f(a, b - h).a)[0] / (2 * h), rel=1e-4, abs=1e-4)


def test_open_bounds_give_the_tails() -> None:
    got = normal_interval(np.array([-np.inf, -np.inf, 1.0]), np.array([1.0, np.inf, np.inf]))
    assert got.log == pytest.approx([norm.logcdf(1), 0, norm.logsf(1)])
    assert np.isfinite(np.array(got)).all()


def _line(time: Any, low: Any, high: Any, floor: float) -> Any:
    arrays = (np.array([x], dtype=float) for x in (time, low, high))
    return fit_lines(*arrays, np.ones((1, len(time)), dtype=bool), np.array([floor]))


def test_the_line_through_intervals_is_the_maximum_that_a_search_finds() -> None:
    rng = np.random.default_rng(5)
    t = np.linspace(5, 100, 12)
    y = 6 - 0.04 * t + rng.normal(0, 0.8, 12)
    low = np.floor(y / np.log(2)) * np.log(2)
    high = low + np.log(2)
    low[y < 3], high[y < 3] = -np.inf, 3.0
    high[0], low[0] = np.inf, 5.5

    def loss(p: Any) -> float:
        mu, s = p[0] + p[1] * t, np.exp(p[2])
        return -float(np.log(norm.cdf((high - mu) / s) - norm.cdf((low - mu) / s)).sum())

    best = minimize(loss, [6, -0.04, -0.2], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    line = _line(t, low, high, 0.05)
    assert line.converged[0]
    assert line.slope[0] == pytest.approx(best.x[1], rel=1e-4)
    assert line.intercept[0] == pytest.approx(best.x[0], rel=1e-4)
    assert line.sigma[0] == pytest.approx(np.exp(best.x[2]), rel=1e-3)


def test_a_perfect_line_keeps_the_smallest_sigma() -> None:
    t = [0.0, 10.0, 20.0, 30.0]
    y = [5.0, 4.0, 3.0, 2.0]
    line = _line(t, y, y, 0.1)
    assert line.slope[0] == pytest.approx(-0.1)
    assert line.sigma[0] == pytest.approx(0.1)
    # With sigma known: sigma / sqrt(Sxx), Sxx = 500.
    assert line.se[0] == pytest.approx(0.1 / np.sqrt(500))
    assert line.quantile[0] == pytest.approx(1.959964)


def _simulated(
    n: int, *, censor: float = 0.0, seed: int = 1, log_normal: bool = False
) -> tuple[Series, np.ndarray]:
    """Series of n subjects on days 10, 60, 120, 200: y0 300, k 0.01, numbers below ``censor`` hidden."""
    rng = np.random.default_rng(seed)
    time = np.tile([10.0, 60.0, 120.0, 200.0], (n, 1)) + rng.uniform(-5, 5, (n, 4))
    b = rng.normal(0, 0.8, (n, 1))
    k = 0.01 * np.exp(rng.normal(0, 0.3, (n, 1))) if log_normal else rng.normal(0.01, 0.002, (n, 1))
    y = np.exp(np.log(300) + b - k * time + rng.normal(0, 0.4, (n, 4)))
    hidden = y < censor
    low, high = np.where(hidden, 0.0, y), np.where(hidden, censor, y)
    return Series(time, low, high, np.ones((n, 4), dtype=bool)), y


def test_the_quadrature_gives_the_exact_likelihood_of_the_normal_model() -> None:
    series, _ = _simulated(12, censor=60.0)
    theta = np.array([np.log(280), 0.009, 0.7, 0.003, np.log(0.45)])
    got = Likelihood(series, Model("normal", 15)).subjects(theta)
    for i in range(12):
        t, y = series.time[i], np.log(series.upper[i])
        seen = series.exact[i]
        mean = theta[0] - theta[1] * t
        v = theta[2] ** 2 + theta[3] ** 2 * np.outer(t, t) + np.exp(2 * theta[4]) * np.eye(4)
        wanted = 0.0
        if seen.any():
            wanted += multivariate_normal(mean[seen], v[np.ix_(seen, seen)]).logpdf(y[seen]) - y[seen].sum()
            gain = v[np.ix_(~seen, seen)] @ np.linalg.inv(v[np.ix_(seen, seen)])
        else:
            gain = np.zeros((4, 0))
        if (~seen).any():
            m = mean[~seen] + gain @ (y - mean)[seen]
            s = v[np.ix_(~seen, ~seen)] - gain @ v[np.ix_(seen, ~seen)]
            options = {"abseps": 1e-9, "releps": 1e-9, "maxpts": 10**6}
            wanted += np.log(multivariate_normal.cdf(y[~seen], m, s, **options))
        assert got[i] == pytest.approx(wanted, abs=2e-5)


def test_a_known_decay_is_recovered_with_censored_results_and_missed_without_their_censoring() -> None:
    series, y = _simulated(80, censor=60.0)
    assert 0.2 < (~series.exact).mean() < 0.5
    decay = fit(series, Model("normal"))
    assert decay.problem == ""
    se = np.sqrt(np.diag(decay.covariance))
    truth = np.array([np.log(300), 0.01, 0.8, 0.002, np.log(0.4)])
    assert np.abs((decay.estimate - truth) / se).max() < 3
    assert se[1] < 0.001
    # Dropping what is below the limit, or putting the limit there, makes the decay look slower.
    seen = series.exact
    dropped = fit(Series(series.time, y, y, seen), Model("normal"))
    at_limit = np.maximum(y, 60.0)
    pretended = fit(Series(series.time, at_limit, at_limit, series.used), Model("normal"))
    assert decay.estimate[1] - dropped.estimate[1] > 3 * se[1]
    assert decay.estimate[1] - pretended.estimate[1] > 3 * se[1]


def test_a_decay_with_log_normal_rates_is_recovered() -> None:
    series, _ = _simulated(80, censor=40.0, seed=4, log_normal=True)
    decay = fit(series, Model("log_normal"))
    assert decay.problem == ""
    se = np.sqrt(np.diag(decay.covariance))
    truth = np.array([np.log(300), np.log(0.01), 0.8, 0.3, np.log(0.4)])
    assert np.abs((decay.estimate - truth) / se).max() < 3


def _titres(n: int, *, rate: float = 0.01, seed: int = 2) -> Any:
    """Two-fold titres from 1:10 of n subjects, as measurements."""
    rng = np.random.default_rng(seed)
    courses = []
    for i in range(n):
        days = [7.0, 28.0, 84.0, 168.0, 250.0]
        level = rng.normal(np.log(600), 0.8)
        y = np.exp(level - rate * np.array(days) + rng.normal(0, 0.3, 5))
        cells = ["<10" if v < 10 else float(10 * 2 ** np.floor(np.log2(v / 10))) for v in y]
        courses.append(course(days, cells, subject_id=f"S{i}"))
    return table(*courses)


def test_titres_as_intervals_recover_the_level_that_end_points_understate() -> None:
    frame = _titres(40)
    models = fit_decay(frame, Antibody()).set_index("parameter")
    assert (models["status"] == "estimated").all()
    assert models.loc["decay_rate", "lower"] < 0.01 < models.loc["decay_rate", "upper"]
    assert models.loc["y0", "lower"] < 600 < models.loc["y0", "upper"]
    assert models.loc["half_life", "value"] == pytest.approx(np.log(2) / models.loc["decay_rate", "value"])
    assert models.loc["half_life", "lower"] < models.loc["half_life", "value"]
    assert (models["n_subjects"] == 40).all()
    assert (models["n_points"] == 200).all()
    assert (models["n_censored"] == (frame["detection"] == "BLQ").sum()).all()
    points = Antibody.model_validate({"population": {"titres_as_intervals": False}})
    ends = fit_decay(frame, points).set_index("parameter")
    # An end point lies below its titre, by 1.4-fold in the middle of a two-fold step.
    assert models.loc["y0", "value"] / ends.loc["y0", "value"] == pytest.approx(np.sqrt(2), rel=0.1)


def test_a_population_without_decline_says_so() -> None:
    normal = Antibody.model_validate({"population": {"rate": "normal"}})
    models = fit_decay(_titres(20, rate=-0.001), normal).set_index("parameter")
    assert models.loc["decay_rate", "value"] < 0
    assert models.loc["half_life", "status"] == "not_estimable"
    assert models.loc["half_life", "reason"] == "no decline"


def test_too_few_subjects_give_rows_with_the_reason() -> None:
    models = fit_decay(_titres(3), Antibody())
    assert len(models) == 6
    assert (models["status"] == "not_estimable").all()
    assert set(models["reason"]) == {"3 subjects with two or more results, fewer than 5"}


def test_only_the_days_and_the_infusion_that_were_asked_for_enter() -> None:
    frame = _titres(10)
    window = Antibody.model_validate({"population": {"start_day": 28, "end_day": 168}})
    assert set(fit_decay(frame, window)["n_points"]) == {30}
    frame.loc[frame["subject_id"] == "S0", "infusion"] = 2
    assert set(fit_decay(frame, window)["n_subjects"]) == {9}
    off = Antibody.model_validate({"population": {"enabled": False}})
    assert not len(fit_decay(frame, off))
