"""The decay of each antibody over all subjects, as rows of the models table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from cartrace.antibody.mixed import Decay, Model, Series, fit
from cartrace.antibody.titres import read_courses
from cartrace.tables import MODELS, rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.antibody.titres import Readings
    from cartrace.config import Antibody, AntibodyPopulation

NAME = "exponential_decay"
_TYPE = ["matrix", "analyte", "assay", "course_unit"]
_Z = float(norm.ppf(0.975))


def fit_decay(measurements: pd.DataFrame, settings: Antibody) -> pd.DataFrame:
    """Fit one exponential decay with random effects to each antibody over all subjects.

    Parameters
    ----------
    measurements
        Table in the contract of ``cartrace.tables.MEASUREMENTS``. Results after the
        first infusion enter, from ``population.start_day`` to ``population.end_day``.
    settings
        Section ``antibody`` of the configuration.

    Returns
    -------
    pandas.DataFrame
        In the contract of ``cartrace.tables.MODELS``: y0 (the typical level at day
        0), decay_rate (the typical rate), half_life, the standard deviations between
        subjects (sd_log_y0, sd_decay_rate or sd_log_decay_rate) and of the
        residuals (sd_residual), with 95 % Wald limits; reasons where there is none.
    """
    if not settings.population.enabled:
        return rows([], MODELS)
    readings = read_courses(measurements[measurements["infusion"] == 1], None, settings)
    records: list[dict[str, object]] = []
    for name, course in readings.keys.groupby(_TYPE, sort=True):
        series = _series(readings, course.index.to_numpy(), settings.population)
        kind = dict(zip(_TYPE, name, strict=True))
        records += [{**kind, **row} for row in _rows(series, str(kind["course_unit"]), settings.population)]
    return rows(records, MODELS)


def _series(readings: Readings, course: np.ndarray, settings: AntibodyPopulation) -> Series:
    time, value = readings.time[course], readings.value[course]
    lower, upper = readings.lower[course], readings.upper[course]
    if not settings.titres_as_intervals:
        known = ~np.isnan(value)
        lower, upper = np.where(known, value, lower), np.where(known, value, upper)
    end = np.inf if settings.end_day is None else settings.end_day
    with np.errstate(invalid="ignore"):
        used = readings.after[course] & (time >= settings.start_day) & (time <= end)
        used &= (lower > 0) | np.isfinite(upper)
    some = used.any(axis=1)
    return Series(time[some], lower[some], upper[some], used[some])


def _rows(series: Series, unit: str, settings: AntibodyPopulation) -> list[dict[str, object]]:
    used = series.used
    below = used & (series.lower == 0)
    normal = settings.rate == "normal"
    method = (
        f"maximum likelihood; level log-normal and rate {settings.rate.replace('_', '-')} between subjects, residual "
        f"normal in ln; results from day {settings.start_day:g}"
        + ("" if settings.end_day is None else f" to day {settings.end_day:g}")
        + f"; adaptive Gauss-Hermite quadrature, {settings.nodes} nodes"
    )
    common: dict[str, object] = {
        "model": NAME,
        "n_subjects": len(used),
        "n_points": int(used.sum()),
        "n_censored": int(below.sum()),
        "method": method,
    }
    decay: Decay | None = None
    problem = _too_little(series, settings)
    if not problem:
        decay = fit(series, Model(settings.rate, settings.nodes))
        problem = decay.problem
    if decay is None or problem:
        names = [("y0", unit), ("decay_rate", "1/day"), ("half_life", "day"), ("sd_log_y0", None)]
        names += [(_sd_name(normal=normal), "1/day" if normal else None), ("sd_residual", None)]
        return [
            {**common, "parameter": n, "unit": u, "status": "not_estimable", "reason": problem}
            for n, u in names
        ]
    return [{**common, **row} for row in _parameters(decay, unit, normal=normal)]


def _sd_name(*, normal: bool) -> str:
    return "sd_decay_rate" if normal else "sd_log_decay_rate"


def _too_little(series: Series, settings: AntibodyPopulation) -> str:
    several = int((series.used.sum(axis=1) >= 2).sum())
    if several < settings.min_subjects:
        return f"{several} subjects with two or more results, fewer than {settings.min_subjects}"
    bounded = series.used & (series.lower > 0) & np.isfinite(series.upper)
    if int((bounded.sum(axis=1) >= 2).sum()) < 2:
        return "fewer than 2 subjects with two results between the limits"
    if len(np.unique(series.time[series.used])) < 2:
        return "all results are of one day"
    return ""


def _parameters(decay: Decay, unit: str, *, normal: bool) -> list[dict[str, object]]:
    theta, se = decay.estimate, np.sqrt(np.diag(decay.covariance))

    def logarithmic(name: str, i: int, of: str | None) -> dict[str, object]:
        value = float(np.exp(theta[i]))
        return {
            "parameter": name,
            "value": value,
            "se": value * float(se[i]),
            "lower": float(np.exp(theta[i] - _Z * se[i])),
            "upper": float(np.exp(theta[i] + _Z * se[i])),
            "unit": of,
            "status": "estimated",
        }

    if normal:
        rate: dict[str, object] = {
            "parameter": "decay_rate",
            "value": float(theta[1]),
            "se": float(se[1]),
            "lower": float(theta[1] - _Z * se[1]),
            "upper": float(theta[1] + _Z * se[1]),
            "unit": "1/day",
            "status": "estimated",
        }
    else:
        rate = logarithmic("decay_rate", 1, "1/day")
    return [
        logarithmic("y0", 0, unit),
        rate,
        _half_life(rate),
        _sd("sd_log_y0", float(theta[2]), float(se[2]), None),
        _sd(_sd_name(normal=normal), float(theta[3]), float(se[3]), "1/day" if normal else None),
        logarithmic("sd_residual", 4, None),
    ]


def _half_life(rate: dict[str, object]) -> dict[str, object]:
    k, se, low, high = (float(str(rate[name])) for name in ("value", "se", "lower", "upper"))
    row: dict[str, object] = {"parameter": "half_life", "unit": "day"}
    if k <= 0:
        return {**row, "status": "not_estimable", "reason": "no decline"}
    row |= {
        "status": "estimated",
        "value": np.log(2) / k,
        "se": np.log(2) * se / k**2,
        "lower": np.log(2) / high,
    }
    if low > 0:
        return {**row, "upper": np.log(2) / low}
    return {**row, "reason": "no upper limit: no decline fits too"}


def _sd(name: str, value: float, se: float, unit: str | None) -> dict[str, object]:
    row: dict[str, object] = {"parameter": name, "value": value, "unit": unit, "status": "estimated"}
    # At the edge of its range a standard deviation has no Wald limits.
    if value < 1e-3 * se:
        return {**row, "value": 0.0, "reason": "no variation between subjects beyond the residuals"}
    return {**row, "se": se, "lower": max(value - _Z * se, 0.0), "upper": value + _Z * se}
