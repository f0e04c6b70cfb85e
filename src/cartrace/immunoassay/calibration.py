"""Calibration curves: signal against concentration, fitted, read backwards, with their uncertainty.

The logistic curve is ``D + (A - D) / (1 + (x / C)^B)^G``: A is the signal at
concentration 0, D that at infinity, C and B place and steepen it, G makes it
asymmetric (5pl; 1 for the 4pl, where C is the EC50). Rodbard, Clin Chem
1974;20:1255 (4pl); Gottschalk and Dunn, Anal Biochem 2005;343:54 (5pl).
B, C and G are above 0 and fitted as logarithms, so a falling curve (competitive
assay) has A above D, never a negative B. Software that allows B < 0 prints the
same 4pl with A and D swapped; a 5pl with B < 0 is another curve.

A and D enter linearly. So the search runs over the others alone, and A and D
follow by linear least squares at each step (variable projection; Golub and
Pereyra, SIAM J Numer Anal 1973;10:413, with Kaufman's Jacobian). It runs over
the concentration halfway between A and D, the steepness there, and G: standards
often leave G open, and C and B would then run away with it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import OptimizeResult, least_squares, minimize_scalar
from scipy.special import expit, fdtrc, stdtrit

Array = npt.NDArray[np.float64]
Texts = npt.NDArray[np.str_]
Model = Literal["4pl", "5pl", "linear"]
Weighting = Literal["none", "1/y", "1/y2", "power", "estimated_power"]

POWERS = {"none": 0.0, "1/y": 1.0, "1/y2": 2.0}
MAX_POWER = 4.0
MAX_POWER_SE = 0.6
"""Standard error of an estimated power above which the replicates can't tell it. House value."""
MAX_FLAT_P, MIN_R2 = 0.01, 0.8
"""There is no curve where the F test against a constant signal gives a p above the one, and r2 is
below the other (which lets a line through three wells pass). House values."""
SAME_LEVEL = 1e-3
"""Relative difference up to which concentrations of standards are the same level."""
MAX_CONDITION = 1e10
"""Condition of the scaled Jacobian beyond which double precision gives no covariance."""
SEARCH_BELOW, SEARCH_ABOVE = math.log(1e3), math.log(1e6)
"""The midpoint is sought so far below the lowest and above the highest standard (natural logarithm)."""
SEARCH_SLOPE, SEARCH_ASYMMETRY = (0.05, 40.0), (0.01, 100.0)
"""The steepness at the midpoint (that of a 4pl with this B) and G are sought within these."""
EDGE = 1e-4
"""A parameter this near to an end of its search, in the logarithm, is at the edge. House value."""
AGREEING = 3
"""Starts that end at the best sum of squares, after which the search ends."""


_LOGISTIC = ("bottom", "slope", "ec50", "top", "asymmetry")
_PARAMETERS = {"linear": ("intercept", "slope"), "4pl": _LOGISTIC, "5pl": _LOGISTIC}
"""Columns of CURVES that hold the parameters."""


class CurveError(ValueError):
    """The standards give no curve; the message says why, in words for the laboratory."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A calibration curve.

    The variance of one well with the expected signal y is ``residual_sd^2 max(|y|, floor)^power``.
    With weights 1/y2, ``residual_sd`` is therefore a CV as a fraction.
    """

    model: Model
    parameters: tuple[float, ...]
    """A, B, C, D, G of a logistic curve; intercept and slope of a line."""
    weighting: Weighting = "none"
    power: float = 0.0
    floor: float = 0.0
    """Signal below which the variance falls no further: lowest mean signal of a level above 0."""
    log_concentration: bool = False
    """linear: is x the natural logarithm of the concentration?"""
    covariance: tuple[tuple[float, ...], ...] = ()
    """Of A, ln B, ln C, D and (5pl) ln G; of intercept and slope. Empty where the wells don't give it."""
    residual_sd: float = math.nan
    r2: float = math.nan
    """Weighted."""
    n: int = 0
    n_levels: int = 0
    df: int = 0
    lowest: float = math.nan
    """Lowest level above 0 in the fit."""
    highest: float = math.nan
    converged: bool = True
    reason: str = ""
    """Why it did not converge, or what is doubtful in a curve that did."""

    @property
    def rising(self) -> bool:
        """Whether the signal rises with the concentration."""
        if self.model == "linear":
            return self.parameters[1] > 0
        return self.parameters[3] > self.parameters[0]

    def predict(self, concentration: npt.ArrayLike) -> Array:
        """Return the expected signal; nan below concentration 0."""
        x = np.asarray(concentration, dtype=float)
        lx = _log(x)
        if self.model == "linear":
            intercept, slope = self.parameters
            t = lx if self.log_concentration else np.where(x >= 0, x, np.nan)
            return np.asarray(intercept + slope * t)
        a, b, c, d, g = self.parameters
        # 1 - f and not f, so that the small end loses no digits to A.
        return np.asarray(a + (d - a) * -np.expm1(-g * np.logaddexp(0, b * (lx - math.log(c)))))

    def variance(self, signal: npt.ArrayLike) -> Array:
        """Return the variance of one well whose expected signal is ``signal``; nan without replicates."""
        y = np.maximum(np.abs(np.asarray(signal, dtype=float)), self.floor)
        return np.asarray(self.residual_sd**2 * y**self.power)


def known_curve(parameters: Mapping[str, float]) -> Curve:
    """Return the logistic curve of printed parameters A, B, C, D and perhaps G, with B < 0 turned round.

    Raises
    ------
    CurveError
        When one is missing, C or G is not above 0, or B is 0, or below 0 with G other than 1.
    """
    missing = [k for k in "ABCD" if k not in parameters]
    if missing:
        raise CurveError(f"a logistic curve needs A, B, C, D; missing: {', '.join(missing)}")
    a, b, c, d = (float(parameters[k]) for k in "ABCD")
    g = float(parameters.get("G", 1.0))
    if b < 0 and g == 1:
        a, b, d = d, -b, a
    if not (b > 0 and c > 0 and g > 0 and all(map(math.isfinite, (a, b, c, d, g)))):
        raise CurveError("B, C and G of a logistic curve must be above 0")
    return Curve("5pl" if "G" in parameters else "4pl", (a, b, c, d, g))


def levels_of(concentration: npt.ArrayLike) -> tuple[Array, npt.NDArray[np.intp]]:
    """Return the levels, from low to high, and the position of each well's level.

    Concentrations within 0.1 % of each other are one level (33.33 and 33.3333); a level is
    the mean of them.
    """
    x = np.asarray(concentration, dtype=float)
    values, index = np.unique(x, return_inverse=True)
    new = np.diff(values) > SAME_LEVEL * values[:-1]
    index = np.append(0, np.cumsum(new))[index.reshape(-1)] if len(values) else index
    return np.bincount(index, weights=x) / np.bincount(index), index


@dataclass(frozen=True, slots=True)
class Power:
    """The power p of variance = phi mean^p, and how sure it is."""

    power: float
    se: float
    n_levels: int
    df: int


def estimate_power(concentration: npt.ArrayLike, signal: npt.ArrayLike) -> Power:
    """Estimate the power of the variance from the replicates of the standards.

    Log variance is a line in log mean with the slope p; fitted by maximum likelihood
    with the chi-square scatter of variances, since the logarithm of a variance of two
    wells is far from normal (Carroll and Ruppert, Transformation and Weighting in
    Regression, 1988, ch. 3). p is kept within 0 and 4.

    Raises
    ------
    CurveError
        When the replicates can't tell: fewer than 3 levels with replicates and a mean
        signal above 0, no scatter at all, or a standard error of p above 0.6.
    """
    x, y = np.asarray(concentration, dtype=float), np.asarray(signal, dtype=float)
    _, index = levels_of(x)
    n = np.bincount(index)
    mean = np.bincount(index, weights=y) / n
    ss = np.bincount(index, weights=(y - mean[index]) ** 2)
    usable = (n >= 2) & (mean > 0)
    nu, mean, ss = n[usable] - 1, mean[usable], ss[usable]
    advice = "; give the power, or another weighting"
    if len(nu) < 3:
        raise CurveError(
            f"the power of the weights can't be estimated: replicates at {len(nu)} levels, 3 are needed{advice}"
        )
    if not ss.any():
        raise CurveError(
            f"the power of the weights can't be estimated: all replicates are equal within their levels{advice}"
        )
    df = int(nu.sum())
    log_mean = np.log(mean) - nu @ np.log(mean) / df
    information = float(nu @ log_mean**2) / 2
    se = 1 / math.sqrt(information) if information > 0 else math.inf
    if se > MAX_POWER_SE:
        raise CurveError(
            f"the power of the weights can't be estimated: its standard error is {se:.2g}, "
            f"{MAX_POWER_SE:g} is allowed; more replicates, or a wider range of signals{advice}"
        )
    # -2 log likelihood with the scale profiled out; convex, and the linear term is 0 after centring.
    ss = ss / ss.max()
    best = minimize_scalar(
        lambda p: math.log(float(ss @ np.exp(-p * log_mean))),
        bounds=(0.0, MAX_POWER),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return Power(float(best.x), se, len(nu), df)


def fit_curve(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    model: Model = "4pl",
    weighting: Weighting = "none",
    power: float | None = None,
    log_concentration: bool = True,
    starts: int = 8,
) -> Curve:
    """Fit a calibration curve to the standards of one plate.

    Parameters
    ----------
    x
        Concentrations of the standard wells, >= 0; 0 is allowed (a blank as a standard).
    y
        Their signals.
    weighting
        Weight of a well: y^-p with p = 0 (none), 1, 2, ``power``, or estimated from the
        replicates. y is the mean signal of the well's level, not the well's own, which
        would pull the curve to the lower wells; it is no less than the lowest mean of a
        level above 0, so that a blank near 0 does not outweigh all else.
    log_concentration
        linear: signal against the logarithm of the concentration, or the concentration.
    starts
        Starting points of the search, taken from a grid; the best result counts.

    Raises
    ------
    CurveError
        For values that are not finite, concentrations below 0, fewer levels than
        parameters, weights from signals that are not above 0, or signals that do not
        change with the concentration (F test against their mean: p > 0.01, and r2 < 0.8).
    """
    x, y = _checked(x, y, model, log_concentration=log_concentration)
    levels, index = levels_of(x)
    n_parameters = {"4pl": 4, "5pl": 5, "linear": 2}[model]
    if len(levels) < n_parameters:
        raise CurveError(
            f"{model} has {n_parameters} parameters, and the standards have {len(levels)} levels"
        )
    if np.ptp(y) == 0:
        raise CurveError("all standards have the same signal")
    p = _power(x, y, weighting, power)
    means = (np.bincount(index, weights=y) / np.bincount(index)).astype(float)
    floor = _floor(levels, means) if p > 0 else 0.0
    unit_y = float(np.max(np.abs(y))) or 1.0
    weights = (np.maximum(np.abs(means), floor) / unit_y)[index] ** -p
    # Weights near 1 and signals within 1: the search stops at the same relative precision whatever the units.
    unit_w = float(np.mean(weights))
    sw, ys = np.sqrt(weights / unit_w), y / unit_y
    if model == "linear":
        parameters, converged, reason, fixed = _line(x, ys, sw, log_concentration=log_concentration)
    else:
        parameters, converged, reason, fixed = _logistic(x, ys, sw, model, starts)
    scaled = Curve(model, parameters, log_concentration=log_concentration and model == "linear")
    residual = sw * (ys - scaled.predict(x))
    sse, df = float(residual @ residual), len(x) - n_parameters
    centre = float(sw**2 @ ys) / float(sw @ sw)
    total = float(sw**2 @ (ys - centre) ** 2)
    _refuse_flat(total, sse, n_parameters, df)
    variance = sse / df if df > 0 else math.nan
    covariance = _covariance(scaled, x, sw, variance, fixed)
    # A and D (intercept and slope) are in units of the signal.
    units = np.array([unit_y, 1, 1, unit_y, 1] if model != "linear" else [unit_y, unit_y])
    positive = levels[levels > 0]
    return Curve(
        model=model,
        parameters=tuple(float(v) for v in np.array(parameters) * units),
        weighting=weighting,
        power=p,
        floor=floor,
        log_concentration=log_concentration and model == "linear",
        covariance=_in_units(covariance, units),
        residual_sd=math.sqrt(variance * unit_w) * unit_y ** (1 - p / 2) if df > 0 else math.nan,
        r2=1 - sse / total,
        n=len(x),
        n_levels=len(levels),
        df=df,
        lowest=float(positive[0]),
        highest=float(positive[-1]),
        converged=converged,
        reason=reason,
    )


@dataclass(frozen=True, slots=True)
class Inverse:
    """Concentrations read off a curve, one entry a signal."""

    concentration: Array
    """nan beyond the asymptotes."""
    side: Texts
    """inside, below_curve, above_curve; '' where the signal is missing."""


def inverse(curve: Curve, signal: npt.ArrayLike) -> Inverse:
    """Read concentrations off the curve, exactly.

    A signal beyond the asymptotes has none: its side says whether the concentration is
    below (signal on the far side of A) or above the curve. A line against the
    concentration ends at 0; one against its logarithm has no ends.
    """
    y = np.atleast_1d(np.asarray(signal, dtype=float))
    with np.errstate(all="ignore"):
        if curve.model == "linear":
            t = (y - curve.parameters[0]) / curve.parameters[1]
            x = np.exp(t) if curve.log_concentration else t
            low, high = x < 0, np.isposinf(x)
        else:
            a, b, c, d, g = curve.parameters
            away = (y - a) / (d - a)  # 0 at A, 1 at D
            low, high = away < 0, away >= 1
            # (A - D) / (y - D) = 1 / (1 - away)
            x = c * np.exp(np.log(np.expm1(-np.log1p(-np.where(low | high, np.nan, away)) / g)) / b)
            high = high | np.isposinf(x)
    side = np.where(np.isnan(y), "", np.where(low, "below_curve", np.where(high, "above_curve", "inside")))
    return Inverse(np.where(side == "inside", x, np.nan), side)


@dataclass(frozen=True, slots=True)
class Interval:
    """Concentrations with their limits, one entry a signal."""

    concentration: Array
    lower: Array
    upper: Array
    log_sd: Array
    """Standard error of the natural logarithm of the concentration."""
    side: Texts

    @property
    def cv_percent(self) -> Array:
        """CV of a lognormal quantity with this ``log_sd``, %."""
        with np.errstate(over="ignore"):
            return np.asarray(100 * np.sqrt(np.expm1(self.log_sd**2)))


def inverse_interval(
    curve: Curve,
    signal: npt.ArrayLike,
    *,
    replicates: npt.ArrayLike = 1,
    well_variance: npt.ArrayLike = 0.0,
    confidence: float = 0.95,
) -> Interval:
    """Read concentrations off the curve, with limits.

    Delta method on the logarithm of the concentration: the variance of the mean signal
    of ``replicates`` wells (the variance model of the curve, or ``well_variance``, that of
    the signals of these wells, where it is larger) and of the curve itself (its covariance), over the squared slope of the curve; Student's t with the degrees
    of freedom of the fit (O'Connell, Belanger and Haaland, Chemometr Intell Lab Syst
    1993;20:97). Near the asymptotes the curve bends within the interval and the limits
    are rough. They are nan where the fit has no covariance or degrees of freedom, at
    concentration 0, and outside the curve.
    """
    found = inverse(curve, signal)
    x = found.concentration
    own = np.asarray(well_variance, dtype=float)
    log_sd = _log_sd(curve, x, np.asarray(replicates, dtype=float), own)
    with np.errstate(over="ignore"):
        factor = np.exp(_t(curve, confidence) * log_sd)
    return Interval(x, x / factor, x * factor, log_sd, found.side)


def confidence_band(curve: Curve, x: npt.ArrayLike, *, confidence: float = 0.95) -> tuple[Array, Array]:
    """Return limits of the expected signal at ``x``."""
    return _band(curve, np.atleast_1d(np.asarray(x, dtype=float)), math.inf, confidence)


def prediction_band(
    curve: Curve, x: npt.ArrayLike, *, replicates: int = 1, confidence: float = 0.95
) -> tuple[Array, Array]:
    """Return limits of the mean signal of ``replicates`` further wells at ``x``."""
    return _band(curve, np.atleast_1d(np.asarray(x, dtype=float)), replicates, confidence)


def curve_covariance(curve: Curve, first: Array, second: Array) -> Array:
    """Return the covariance, through the curve, of the log concentrations read at ``first`` and ``second``.

    Shape (n, m); nan without a covariance of the parameters.
    """
    if not curve.covariance:
        return np.full((len(first), len(second)), np.nan)
    one, two = (_log_gradient(curve, x) for x in (first, second))
    return np.asarray(one @ np.array(curve.covariance) @ two.T)


def curve_columns(curve: Curve) -> dict[str, object]:
    """Return the columns of CURVES that follow from a fit."""
    row: dict[str, object] = {
        "model": curve.model,
        "weighting": curve.weighting,
        "power": curve.power,
        "r2": curve.r2,
        "residual_sd": curve.residual_sd,
        "df": curve.df,
        "variance_floor": curve.floor,
        "log_concentration": curve.log_concentration if curve.model == "linear" else None,
        "n_levels": curve.n_levels,
    }
    row |= dict(zip(_PARAMETERS[curve.model], curve.parameters, strict=True))
    return row | {"covariance": json.dumps(curve.covariance) if curve.covariance else None}


def curve_from_columns(row: Mapping[str, Any]) -> Curve | None:
    """Return the curve of a row of CURVES, with its band; None for the instrument's own, whose parameters are not known."""
    names = _PARAMETERS.get(row["model"], ())
    if not names or not all(math.isfinite(row[name]) for name in names):
        return None
    told = row["covariance"]
    return Curve(
        model=row["model"],
        parameters=tuple(float(row[name]) for name in names),
        weighting=row["weighting"],
        power=float(row["power"]),
        floor=float(row["variance_floor"]),
        log_concentration=row["log_concentration"] is True,
        covariance=tuple(map(tuple, json.loads(told))) if isinstance(told, str) else (),
        residual_sd=float(row["residual_sd"]),
        df=int(row["df"]),
    )


def _log(x: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(x))


def _t(curve: Curve, confidence: float) -> float:
    return float(stdtrit(curve.df, (1 + confidence) / 2)) if curve.df > 0 else math.nan


def _checked(
    x: npt.ArrayLike, y: npt.ArrayLike, model: Model, *, log_concentration: bool
) -> tuple[Array, Array]:
    x, y = np.asarray(x, dtype=float).reshape(-1), np.asarray(y, dtype=float).reshape(-1)
    if len(x) != len(y):
        raise ValueError(f"{len(x)} concentrations and {len(y)} signals")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise CurveError("a standard has no concentration or no signal")
    if (x < 0).any():
        raise CurveError("a standard has a concentration below 0")
    if not (x > 0).any():
        raise CurveError("no standard has a concentration above 0")
    if model == "linear" and log_concentration and (x == 0).any():
        raise CurveError("a standard of concentration 0 has no place on a line against the logarithm")
    # The same wells in another order give the same numbers to the last digit.
    order = np.lexsort((y, x))
    return x[order], y[order]


def _power(x: Array, y: Array, weighting: Weighting, power: float | None) -> float:
    if weighting == "estimated_power":
        return estimate_power(x, y).power
    if weighting == "power":
        if power is None:
            raise ValueError("weighting 'power' needs power")
        return float(power)
    return POWERS[weighting]


def _floor(levels: Array, means: Array) -> float:
    above = means[(levels > 0) & (means > 0)]
    if not len(above):
        raise CurveError("no level of standards has a mean signal above 0, so the signals give no weights")
    return float(above.min())


def _refuse_flat(total: float, sse: float, n_parameters: int, df: int) -> None:
    if df > 0 and sse > (1 - MIN_R2) * total:
        f = (total - sse) / (n_parameters - 1) / (sse / df)
        if (p := float(fdtrc(n_parameters - 1, df, max(f, 0.0)))) > MAX_FLAT_P:
            raise CurveError(
                f"the signals of the standards do not change with their concentration "
                f"(F test against a constant signal: p = {p:.2g})"
            )


def _line(
    x: Array, y: Array, sw: Array, *, log_concentration: bool
) -> tuple[tuple[float, ...], bool, str, frozenset[int]]:
    t = np.log(x) if log_concentration else x
    w = sw**2
    centre, mean = float(w @ t) / float(w.sum()), float(w @ y) / float(w.sum())
    slope = float(w @ ((t - centre) * (y - mean))) / float(w @ (t - centre) ** 2)
    if slope == 0:
        raise CurveError("the signals of the standards do not change with their concentration")
    return (mean - slope * centre, slope), True, "", frozenset()


def _shape(theta: Array, lx: Array) -> tuple[Array, Array]:
    """Return f and 1 - f, shape (n, 2), and df/dtheta, shape (n, len(theta))."""
    slope = math.exp(theta[1])
    g = math.exp(theta[2]) if len(theta) > 2 else 1.0
    away = lx - theta[0]
    t = slope * away
    softplus = np.logaddexp(0, t)
    f = np.exp(-g * softplus)
    steep = g * slope * expit(t) * f
    gradient = [steep, -steep * np.where(np.isfinite(away), away, 0.0)]
    if len(theta) > 2:
        gradient.append(-g * softplus * f)
    return np.column_stack([f, -np.expm1(-g * softplus)]), np.column_stack(gradient)


def _natural(theta: Array) -> tuple[Array, Array]:
    """Return ln C, ln B (, ln G) of ln midpoint, ln steepness (, ln G), and the Jacobian.

    Midpoint: f = 1/2, so (midpoint / C)^B = 2^(1/G) - 1. Steepness: -4 df / d ln x there,
    2 B G (1 - 2^(-1/G)), which is B where G is 1.
    """
    if len(theta) < 3:
        return theta, np.eye(2)
    a = math.log(2) * math.exp(-theta[2])
    ratio = a / math.expm1(a)
    tail = math.log(-math.expm1(-a))
    log_b = theta[1] - math.log(2) - theta[2] - tail
    m_over_b = (a + tail) * math.exp(-log_b)
    db = ratio - 1
    dc = (a + ratio) * math.exp(-log_b) + m_over_b * db
    chain = np.array([[1.0, m_over_b, dc], [0.0, 1.0, db], [0.0, 0.0, 1.0]])
    return np.array([theta[0] - m_over_b, log_b, theta[2]]), chain


def _logistic(
    x: Array, y: Array, sw: Array, model: Model, starts: int
) -> tuple[tuple[float, ...], bool, str, frozenset[int]]:
    """Return A, B, C, D, G; whether it converged; what is doubtful; parameters at the edge of the search."""
    lx = _log(x)
    centre = float(lx[x > 0].mean())
    lx = lx - centre
    finite = lx[x > 0]
    lower = [float(finite.min()) - SEARCH_BELOW, math.log(SEARCH_SLOPE[0])]
    upper = [float(finite.max()) + SEARCH_ABOVE, math.log(SEARCH_SLOPE[1])]
    if model == "5pl":
        lower.append(math.log(SEARCH_ASYMMETRY[0]))
        upper.append(math.log(SEARCH_ASYMMETRY[1]))
    wy = sw * y

    def solve(theta: Array) -> tuple[Array, Array, Array, Array]:
        natural, chain = _natural(theta)
        basis, gradient = _shape(natural, lx)
        gradient = gradient @ chain
        weighted = sw[:, None] * basis
        q, r = np.linalg.qr(weighted)
        if abs(r[1, 1]) > 1e-13 * max(abs(r[0, 0]), 1e-300) and r[0, 0] != 0:
            ends = np.linalg.solve(r, q.T @ wy)
        else:
            ends = np.linalg.lstsq(weighted, wy, rcond=None)[0]
        return weighted @ ends - wy, ends, q, gradient

    def residual(theta: Array) -> Array:
        return solve(theta)[0]

    def jacobian(theta: Array) -> Array:
        _, ends, q, gradient = solve(theta)
        j = sw[:, None] * gradient * (ends[0] - ends[1])
        return np.asarray(j - q @ (q.T @ j))

    def search(theta: Array, steps: int, method: Literal["trf", "dogbox"] = "trf") -> OptimizeResult:
        return least_squares(
            residual,
            theta,
            jac=jacobian,
            bounds=(lower, upper),
            method=method,
            xtol=1e-13,
            ftol=1e-13,
            gtol=1e-13,
            max_nfev=steps,
        )

    best, costs = None, []
    for theta in _grid(finite, model, residual, starts):
        found = search(theta, 200)
        costs.append(float(found.cost))
        # The first of equal results counts, whatever the last digits of the others.
        if best is None or found.cost < best.cost * (1 - 1e-9):
            best = found
        if sum(cost <= best.cost * (1 + 1e-6) for cost in costs) >= AGREEING:
            break
    assert best is not None
    if best.status <= 0:  # on a ridge that ends at the edge of the search, which this method walks faster
        best = search(best.x, 2000, "dogbox")
    theta = np.asarray(best.x, dtype=float)
    ends = solve(theta)[1]
    names = ("the midpoint", "the slope", "the asymmetry")
    # Not active_mask: where the search stops a hair's breadth before the edge depends on the last digits.
    reach = np.minimum(theta - lower, upper - theta)
    at_edge = [int(i) for i in np.flatnonzero(reach < EDGE)]
    reason = "; ".join(f"{names[i]} runs to the edge of the search" for i in at_edge)
    converged = bool(best.status > 0)
    if not converged:
        reason = "the search did not converge" + (f"; {reason}" if reason else "")
    natural = np.exp(_natural(theta)[0] + np.array([centre, 0.0, 0.0])[: len(theta)])
    c, b, *g = (float(v) for v in natural)
    parameters = (float(ends[0]), b, c, float(ends[1]), g[0] if g else 1.0)
    if ends[0] == ends[1]:
        raise CurveError("the signals of the standards do not change with their concentration")
    return parameters, converged, reason, frozenset({0: 2, 1: 1, 2: 4}[i] for i in at_edge)


def _grid(finite: Array, model: Model, residual: Callable[[Array], Array], starts: int) -> list[Array]:
    """Return starting points: for places along and beyond the standards the best shape, the best places first."""
    low, high = float(finite.min()), float(finite.max())
    places = np.concatenate([np.linspace(low, high, 7), high + np.log([3.0, 10.0, 100.0]), [low - np.log(3)]])
    shapes = [(b, g) for b in (0.6, 1.0, 1.8, 4.0) for g in ((0.3, 1.0, 3.0) if model == "5pl" else (1.0,))]
    ranked = []
    for i, place in enumerate(places):
        for b, g in shapes:
            theta = np.array([place, math.log(b), math.log(g)][: 3 if model == "5pl" else 2])
            r = residual(theta)
            ranked.append((float(r @ r), i, theta))
    ranked.sort(key=lambda one: one[0])
    taken: dict[int, Array] = {}
    for _, i, theta in ranked:
        taken.setdefault(i, theta)
    return list(taken.values())[: max(starts, 1)]


def _gradient(curve: Curve, x: Array) -> Array:
    """Return d signal / d fitted parameters, shape (n, k): A, ln B, ln C, D (, ln G), or intercept, slope."""
    if curve.model == "linear":
        t = _log(x) if curve.log_concentration else x
        return np.column_stack([np.ones_like(t), t])
    a, b, c, d, g = curve.parameters
    basis, shape = _shape(np.array([math.log(c), math.log(b), math.log(g)]), _log(x))
    span = a - d
    columns = [basis[:, 0], span * shape[:, 1], span * shape[:, 0], basis[:, 1]]
    if curve.model == "5pl":
        columns.append(span * shape[:, 2])
    return np.column_stack(columns)


def _log_slope(curve: Curve, x: Array) -> Array:
    """Return d signal / d ln concentration."""
    if curve.model == "linear":
        return np.asarray(curve.parameters[1] * (np.ones_like(x) if curve.log_concentration else x))
    a, b, c, d, g = curve.parameters
    # ln x and ln C enter as their difference.
    return np.asarray(-(a - d) * _shape(np.array([math.log(c), math.log(b), math.log(g)]), _log(x))[1][:, 0])


def _log_gradient(curve: Curve, x: Array) -> Array:
    """Return d ln concentration / d fitted parameters at a fixed signal."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(-_gradient(curve, x) / _log_slope(curve, x)[:, None])


def _covariance(curve: Curve, x: Array, sw: Array, variance: float, fixed: frozenset[int]) -> Array | None:
    if not math.isfinite(variance):
        return None
    j = sw[:, None] * _gradient(curve, x)
    free = [i for i in range(j.shape[1]) if i not in fixed]
    norms = np.linalg.norm(j[:, free], axis=0)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        return None
    _, s, vt = np.linalg.svd(j[:, free] / norms, full_matrices=False)
    if s[-1] <= s[0] / MAX_CONDITION:
        return None
    inner = (vt.T / s**2) @ vt / np.outer(norms, norms)
    out = np.zeros((j.shape[1], j.shape[1]))
    out[np.ix_(free, free)] = variance * inner
    return out


def _in_units(covariance: Array | None, units: Array) -> tuple[tuple[float, ...], ...]:
    if covariance is None:
        return ()
    k = len(covariance)
    return tuple(tuple(float(v) for v in row) for row in covariance * np.outer(units[:k], units[:k]))


def _curve_variance(curve: Curve, gradient: Array) -> Array:
    if not curve.covariance:
        return np.full(len(gradient), np.nan)
    return np.asarray(np.einsum("ij,jk,ik->i", gradient, np.array(curve.covariance), gradient))


def _log_sd(curve: Curve, x: Array, replicates: Array, own: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = _curve_variance(curve, _gradient(curve, x))
        variance = variance + np.maximum(curve.variance(curve.predict(x)), own) / replicates
        out = np.sqrt(variance) / np.abs(_log_slope(curve, x))
    return np.where(np.isfinite(x) & (x > 0), out, np.nan)


def _band(curve: Curve, x: Array, replicates: float, confidence: float) -> tuple[Array, Array]:
    y = curve.predict(x)
    half = _t(curve, confidence) * np.sqrt(
        _curve_variance(curve, _gradient(curve, x)) + curve.variance(y) / replicates
    )
    return y - half, y + half
