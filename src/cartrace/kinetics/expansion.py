"""Growth and decline: the rising limb, the contraction, and the piecewise model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cartrace.kinetics.profiles import NEVER, NO_RESULT, Bools, Floats, Outline, Profiles, outline
from cartrace.kinetics.rows import Result, Texts, assemble, texts
from cartrace.kinetics.stein_fit import NAMES, TWO_PHASE_POINTS, SteinFit, fit_stein
from cartrace.metrics import Metric, UnitRule, register

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Kinetics

CONTRACTION_SHARE = 0.1
"""The contraction ends at the first result at or below this share of Cmax."""

CONTRACTION_DAYS = 28.0
"""The contraction ends this many days after Tmax at the latest."""

STEIN = "Stein 2019 (CPT Pharmacometrics Syst Pharmacol 8:285)."


EXACT = "no limits: the course is met exactly, no residual degrees of freedom"


def _define(name: str, label: str, unit: UnitRule, definition: str, source: str = STEIN) -> None:
    register(Metric(name, label, unit, definition, source, "expansion"))


_define(
    "doubling_time",
    "Doubling time",
    "day",
    "ln 2 / slope of ln C over the quantified results from the first one up to and including Tmax.",
    "Log-linear growth; model-based counterpart: rho of Stein 2019.",
)
_define(
    "contraction_half_life",
    "Contraction half-life",
    "day",
    "ln 2 / -slope of ln C over the quantified results from Tmax through the first one at or below 10 % of "
    "Cmax, at most 28 days after Tmax.",
    "House definition; model-based counterpart: alpha of Stein 2019.",
)
_define("stein_cmax", "Model Cmax", "course", "Peak of the piecewise model.")
_define("stein_tmax", "Model Tmax", "day", "Day at which growth turns into decline in the piecewise model.")
_define("stein_doubling_time", "Model doubling time", "day", "ln 2 / rho of the piecewise model.")
_define("stein_alpha_half_life", "Model contraction half-life", "day", "ln 2 / alpha, the faster decline.")
_define("stein_beta_half_life", "Model terminal half-life", "day", "ln 2 / beta, the slower decline.")
_define("stein_fb", "Model slow share", "none", "Share of Cmax that declines slowly.")
_define("stein_sigma", "Model residual", "none", "Residual standard deviation of ln C.")


def compute(profiles: Profiles, kinetics: Kinetics) -> pd.DataFrame:
    """Return the metrics of growth and decline in the contract of the metrics table."""
    return assemble(profiles, results(profiles, kinetics))


def results(profiles: Profiles, kinetics: Kinetics) -> list[Result]:
    """Return the metrics of growth and decline of all courses, as arrays."""
    shape = outline(profiles)
    return [
        _doubling_time(profiles, shape),
        _contraction(profiles, shape),
        *_stein(profiles, shape, kinetics),
    ]


@dataclass(frozen=True, slots=True)
class _Line:
    slope: Floats
    n: Floats
    start: Floats
    end: Floats


def _log_line(profiles: Profiles, use: Bools) -> _Line:
    """Regress ln C on time over the (n, m) results in ``use``, course by course."""
    use = use & profiles.quantified
    n = use.sum(axis=1)
    y = np.log(np.where(use, profiles.value, 1.0))
    t = np.where(use, profiles.time, 0.0)
    divisor = np.maximum(n, 1)[:, None]
    dt = np.where(use, t - t.sum(axis=1, keepdims=True) / divisor, 0.0)
    dy = np.where(use, y - y.sum(axis=1, keepdims=True) / divisor, 0.0)
    sxx = (dt * dt).sum(axis=1)
    slope = np.where(n > 1, (dt * dy).sum(axis=1) / np.where(n > 1, sxx, 1.0), np.nan)
    time = np.where(use, profiles.time, np.nan)
    return _Line(slope, n.astype(float), np.fmin.reduce(time, axis=1), np.fmax.reduce(time, axis=1))


def _basic(result: Result, shape: Outline) -> Result:
    return result.refuse(~shape.any_result, NO_RESULT).refuse(~shape.any_quantifiable, NEVER)


def _row(name: str, line: _Line, rate: Floats, method: str) -> Result:
    value = np.log(2) / np.where(rate > 0, rate, np.nan)
    return Result(name, value, method=method, n_points=line.n, window_start=line.start, window_end=line.end)


def _doubling_time(profiles: Profiles, shape: Outline) -> Result:
    with np.errstate(invalid="ignore"):
        line = _log_line(profiles, profiles.time <= shape.tmax[:, None])
    result = _basic(_row("doubling_time", line, line.slope, "log-linear regression up to Tmax"), shape)
    peak_first = shape.first == shape.peak
    result.refuse(peak_first, "the first quantifiable result is the peak")
    result.refuse(line.n < 2, "fewer than 2 quantified results up to Tmax")
    result.refuse(~(line.slope > 0), "no growth up to Tmax")
    return result.remark(line.n == 2, "two points only")


def _contraction(profiles: Profiles, shape: Outline) -> Result:
    with np.errstate(invalid="ignore"):
        after = profiles.time >= shape.tmax[:, None]
        low = after & profiles.quantified & (profiles.value <= CONTRACTION_SHARE * shape.cmax[:, None])
    n = len(profiles)
    reached = np.where(low.any(axis=1), profiles.time[np.arange(n), low.argmax(axis=1)], np.inf)
    end = np.minimum(reached, shape.tmax + CONTRACTION_DAYS)
    with np.errstate(invalid="ignore"):
        line = _log_line(profiles, after & (profiles.time <= end[:, None]))
    method = "log-linear regression from Tmax to 10 % of Cmax, 28 days at most"
    result = _basic(_row("contraction_half_life", line, -line.slope, method), shape)
    few = line.n < 2
    result.refuse(few, texts(few, "fewer than 2 quantified results between Tmax and day %g", end))
    result.refuse(~(line.slope < 0), "no decline after the peak")
    return result.remark(line.n == 2, "two points only")


def _stein(profiles: Profiles, shape: Outline, kinetics: Kinetics) -> list[Result]:
    n = len(profiles)
    n_known = profiles.quantified.sum(axis=1).astype(np.float64)
    enough = n_known >= kinetics.stein.min_points
    known = profiles.quantified
    bounded = known | (profiles.below & (profiles.upper > 0)) | (profiles.above & (profiles.lower > 0))
    left_out = (profiles.taken & ~bounded).sum(axis=1)
    fits: dict[int, SteinFit] = {}
    if kinetics.stein.enabled:
        for i in np.flatnonzero(enough).tolist():
            use = bounded[i]
            lower = np.where(profiles.below[i], 0.0, profiles.lower[i])[use]
            upper = np.where(profiles.above[i], np.nan, profiles.upper[i])[use]
            fits[i] = fit_stein(profiles.time[i][use], lower, upper)

    def column(attribute: str, name: str) -> Floats:
        out = np.full(n, np.nan)
        for i, fit in fits.items():
            out[i] = getattr(fit, attribute)[NAMES.index(name)]
        return out

    def count(attribute: str) -> Floats:
        out = np.full(n, np.nan)
        for i, fit in fits.items():
            out[i] = getattr(fit, attribute)
        return out

    phases, n_censored, df = count("phases"), count("n_censored"), count("df")
    exact = count("exact") > 0
    method = np.full(n, "piecewise model, censored maximum likelihood", dtype=object)
    for at, fit in fits.items():
        method[at] += "; two rates of decline" if fit.phases == 2 else "; one rate of decline"
    out = []
    for metric, name, rate in (
        ("stein_cmax", "cmax", False),
        ("stein_tmax", "tmax", False),
        ("stein_doubling_time", "rho", True),
        ("stein_alpha_half_life", "alpha", True),
        ("stein_beta_half_life", "beta", True),
        ("stein_fb", "fb", False),
        ("stein_sigma", "sigma", False),
    ):
        value, lower, upper = column("value", name), column("lower", name), column("upper", name)
        if rate:
            with np.errstate(divide="ignore"):
                value, lower, upper = np.log(2) / value, np.log(2) / upper, np.log(2) / lower
        result = Result(metric, value, method=method, n_points=n_known + np.nan_to_num(n_censored))
        _basic(result, shape)
        if not kinetics.stein.enabled:
            out.append(result.refuse(np.ones(n, dtype=bool), "switched off in the configuration"))
            continue
        limit = kinetics.stein.min_points
        result.refuse(~enough, texts(~enough, f"%d quantified results, fewer than {limit}", n_known))
        spent = df < 1
        too_few = "not identifiable: %d quantified results for %d parameters"
        result.refuse(spent, texts(spent, too_few, n_known, n_known - df))
        if name in {"beta", "fb"}:
            _one_phase(result, phases, n_known)
        se, edge = column("se", name), column("at_edge", name) > 0
        if name != "sigma":
            result.refuse(edge, "not identifiable: the estimate lies at the edge of its allowed range")
            _too_uncertain(result, se, kinetics.stein.max_relative_se)
        result.remark(exact, EXACT)
        known_limits = result.estimated & np.isfinite(se)
        result.lower[known_limits], result.upper[known_limits] = lower[known_limits], upper[known_limits]
        result.remark(
            left_out > 0, texts(left_out > 0, "results without a limit left out: %d", left_out.astype(float))
        )
        out.append(result)
    return out


def _one_phase(result: Result, phases: Floats, n_known: Floats) -> None:
    one = phases == 1
    reason: Texts = np.full(len(phases), "one rate of decline describes the course (AIC)", dtype=object)
    reason[n_known < TWO_PHASE_POINTS] = (
        f"fewer than {TWO_PHASE_POINTS} quantified results: one rate of decline fitted"
    )
    result.refuse(one, reason)


def _too_uncertain(result: Result, se: Floats, limit: float) -> None:
    flat = np.isinf(se)
    result.refuse(flat, "not identifiable: the likelihood is flat")
    wide = np.isfinite(se) & (se > limit)
    result.refuse(
        wide, texts(wide, f"not identifiable: standard error %.2g on the log scale above {limit:g}", se)
    )
