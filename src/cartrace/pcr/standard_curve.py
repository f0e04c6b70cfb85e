"""Standard curves: Cq = intercept + slope log10(copies per reaction).

Straight lines by plain or weighted least squares, read backwards with Fieller's
interval (Fieller, J R Stat Soc B 1954;16:175; Draper and Smith, Applied
Regression Analysis, 3.2). MIQE (Bustin, Clin Chem 2009;55:611) asks for slope,
intercept, r2 and efficiency with its interval. No standard is left out here:
which wells enter is the caller's choice, on record.

A stored (master) curve is the mean of the lines of several plates. Its intervals
hold for one further plate, so they carry the spread between plates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import Field, ValidationError
from scipy.special import stdtrit

from cartrace.intake.mapping import Part, Text
from cartrace.problems import InputError, Problem, raise_if_any, redact_dates
from cartrace.validation import problem_of

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]
Weighting = Literal["none", "level_variance"]


class CurveError(ValueError):
    """The standards give no curve; the message says why, in words for the laboratory."""


@dataclass(frozen=True, slots=True)
class PlateLine:
    """The line of one plate of a stored curve."""

    plate: str
    slope: float
    intercept: float
    n_used: int


@dataclass(frozen=True, slots=True)
class Curve:
    """A standard curve.

    The weights of the wells have the mean 1, so ``residual_sd`` is in cycles, that
    of a well of weight 1. ``levels`` are the log10 copies of the standards, from
    low to high, with ``level_weights``. ``lines`` is empty but for a stored curve:
    there slope and intercept are the means of the lines, their standard errors
    come from the spread of the lines, ``residual_sd`` is the pooled scatter of wells
    about their own plate's line, ``r2`` is about the mean line, and ``sxx`` is nan
    (its bands come from ``lines``). All limits are two-sided at ``confidence``.
    """

    slope: float
    intercept: float
    slope_se: float
    intercept_se: float
    df: int
    """Degrees of freedom of both standard errors."""
    r2: float
    residual_sd: float
    n_used: int
    mean_log10: float
    sxx: float
    sum_weights: float
    weighting: Weighting
    confidence: float
    levels: tuple[float, ...]
    level_weights: tuple[float, ...]
    lines: tuple[PlateLine, ...] = ()
    name: str = ""
    target: str = ""

    @property
    def slope_lower(self) -> float:
        """Lower limit of the slope."""
        return self.slope - _t(self, self.confidence) * self.slope_se

    @property
    def slope_upper(self) -> float:
        """Upper limit of the slope."""
        return self.slope + _t(self, self.confidence) * self.slope_se

    @property
    def intercept_lower(self) -> float:
        """Lower limit of the intercept."""
        return self.intercept - _t(self, self.confidence) * self.intercept_se

    @property
    def intercept_upper(self) -> float:
        """Upper limit of the intercept."""
        return self.intercept + _t(self, self.confidence) * self.intercept_se

    @property
    def efficiency_percent(self) -> float:
        """Amplification efficiency, %."""
        return float(efficiency_percent(self.slope))

    @property
    def efficiency_lower(self) -> float:
        """Lower limit of the efficiency: that of the slope, transformed, since it rises with the slope."""
        return float(efficiency_percent(self.slope_lower))

    @property
    def efficiency_upper(self) -> float:
        """Upper limit of the efficiency; nan (none) where the slope's is not below 0."""
        return float(efficiency_percent(self.slope_upper))

    @property
    def n_levels(self) -> int:
        """Levels of the standards."""
        return len(self.levels)

    @property
    def lowest(self) -> float:
        """Lowest level, copies per reaction."""
        return float(10.0 ** self.levels[0])

    @property
    def highest(self) -> float:
        """Highest level, copies per reaction."""
        return float(10.0 ** self.levels[-1])

    def cq(self, log10_copies: npt.ArrayLike) -> Array:
        """Return the Cq of the curve at ``log10_copies``."""
        return np.asarray(self.intercept + self.slope * np.asarray(log10_copies, dtype=float))

    def predict(self, cq: npt.ArrayLike) -> Array:
        """Return copies per reaction at ``cq``, also beyond the standards; nan stays nan."""
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(10.0 ** ((np.asarray(cq, dtype=float) - self.intercept) / self.slope))


def efficiency_percent(slope: npt.ArrayLike) -> Array:
    """100 (10^(-1/slope) - 1): 100 at a slope of -3.32; nan where the slope is not below 0."""
    slope = np.asarray(slope, dtype=float)
    with np.errstate(over="ignore", divide="ignore"):
        return np.where(slope < 0, 100 * (10.0 ** (-1 / np.where(slope < 0, slope, -1.0)) - 1), np.nan)


def fit_curve(
    log10_copies: npt.ArrayLike,
    cq: npt.ArrayLike,
    *,
    weighting: Weighting = "none",
    confidence: float = 0.95,
) -> Curve:
    """Fit a line through the standards of one plate.

    Parameters
    ----------
    log10_copies, cq
        One entry for each standard well, all finite.
    weighting
        ``none``: every well counts the same, as in the instruments' software.
        ``level_variance``: 1 / variance of the Cq of the level. A level with one
        well, or with less than a hundredth of the pooled variance (wells that
        agree by chance), takes the pooled variance of all levels. The intervals
        take the weights as known.
    confidence
        Level of the limits.

    Raises
    ------
    CurveError
        For fewer than 3 wells or 2 levels, values that are not finite, Cq that are
        all equal or rise with the copies, or weights without replicates.
    """
    x, y = _checked(log10_copies, cq)
    levels, weights, level_weights = _weights(x, y, weighting)
    total = float(weights.sum())
    x_mean, y_mean = float(weights @ x / total), float(weights @ y / total)
    sxx = float(weights @ (x - x_mean) ** 2)
    slope = float(weights @ ((x - x_mean) * (y - y_mean)) / sxx)
    if slope >= 0:
        raise CurveError(f"Cq does not fall with the copies of the standards (slope {slope:+.3f})")
    sse = float(weights @ (y - y_mean - slope * (x - x_mean)) ** 2)
    df = len(x) - 2
    sd = math.sqrt(sse / df)
    return Curve(
        slope=slope,
        intercept=y_mean - slope * x_mean,
        slope_se=sd / math.sqrt(sxx),
        intercept_se=sd * math.sqrt(1 / total + x_mean**2 / sxx),
        df=df,
        r2=1 - sse / float(weights @ (y - y_mean) ** 2),
        residual_sd=sd,
        n_used=len(x),
        mean_log10=x_mean,
        sxx=sxx,
        sum_weights=total,
        weighting=weighting,
        confidence=confidence,
        levels=tuple(levels.tolist()),
        level_weights=tuple(level_weights.tolist()),
    )


def _checked(log10_copies: npt.ArrayLike, cq: npt.ArrayLike) -> tuple[Array, Array]:
    x, y = np.asarray(log10_copies, dtype=float), np.asarray(cq, dtype=float)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"log10_copies {x.shape} and cq {y.shape}: two equally long lists are needed")
    if bad := int((~np.isfinite(x) | ~np.isfinite(y)).sum()):
        raise CurveError(f"{bad} of {len(x)} standards have no finite Cq or no copies above 0")
    if len(x) < 3:
        raise CurveError(f"{len(x)} standard wells; a curve needs at least 3")
    if len(_levels(x)[0]) < 2:
        raise CurveError("all standards have one level; a curve needs at least 2")
    if np.ptp(y) == 0:
        raise CurveError("all standards have the same Cq")
    return x, y


def _levels(x: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    # Six decimals: 1000 typed as 999.9999 is the same level.
    levels, index = np.unique(np.round(x, 6), return_inverse=True)
    return levels, index


def _weights(x: Array, y: Array, weighting: Weighting) -> tuple[Array, Array, Array]:
    """Levels, weight of each well (mean 1), weight of each level."""
    levels, index = _levels(x)
    if weighting == "none":
        return levels, np.ones(len(x)), np.ones(len(levels))
    n = np.bincount(index)
    mean = np.bincount(index, weights=y) / n
    squares = np.bincount(index, weights=(y - mean[index]) ** 2)
    pooled = squares.sum() / max(1, len(x) - len(levels))
    if pooled == 0:
        raise CurveError("weighting level_variance needs replicates of the standards that differ")
    variance = np.where(n > 1, squares / np.maximum(n - 1, 1), pooled)
    variance = np.where(variance < pooled / 100, pooled, variance)
    scale = (1 / variance)[index].mean()
    return levels, (1 / variance)[index] / scale, 1 / variance / scale


def residuals(curve: Curve, log10_copies: npt.ArrayLike, cq: npt.ArrayLike) -> Array:
    """Cq minus the curve's Cq at ``log10_copies``."""
    return np.asarray(cq, dtype=float) - curve.cq(log10_copies)


def recovery_percent(curve: Curve, log10_copies: npt.ArrayLike, cq: npt.ArrayLike) -> Array:
    """100 x back-calculated / nominal copies, for each well."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(100 * 10.0 ** (residuals(curve, log10_copies, cq) / curve.slope))


def confidence_band(
    curve: Curve, log10_copies: npt.ArrayLike, confidence: float = 0.95
) -> tuple[Array, Array]:
    """Limits of the true line at each of ``log10_copies``, in cycles (pointwise).

    For a stored curve: limits of the line of a further plate.
    """
    x = np.asarray(log10_copies, dtype=float)
    half = _half_width(curve, x, np.zeros_like(x), confidence)
    return curve.cq(x) - half, curve.cq(x) + half


def prediction_band(
    curve: Curve, log10_copies: npt.ArrayLike, confidence: float = 0.95, n_replicates: npt.ArrayLike = 1
) -> tuple[Array, Array]:
    """Limits of the mean Cq of ``n_replicates`` further wells at each of ``log10_copies`` (pointwise)."""
    x = np.asarray(log10_copies, dtype=float)
    half = _half_width(curve, x, _well_variance(curve, x, n_replicates), confidence)
    return curve.cq(x) - half, curve.cq(x) + half


def inverse_interval(
    curve: Curve, cq_mean: npt.ArrayLike, n_replicates: npt.ArrayLike = 1, confidence: float = 0.95
) -> tuple[Array, Array]:
    """Limits of the copies per reaction behind the mean Cq of replicate wells (Fieller, exact).

    Parameters
    ----------
    curve
        The curve. Wells are taken to scatter as its standards do; with
        ``level_variance`` as those of the level next to them (between two levels
        the weight is interpolated).
    cq_mean
        Mean Cq of the wells of one sample; any shape.
    n_replicates
        Wells behind it; broadcast against ``cq_mean``.
    confidence
        Level of the interval.

    Returns
    -------
    tuple
        Lower and upper limit. Both nan where ``cq_mean`` is nan, and where the
        slope is not clearly below 0 (Fieller's g >= 1): all copies, or all but some,
        would then fit, so there is no interval.
    """
    cq = np.asarray(cq_mean, dtype=float)
    found = (cq - curve.intercept) / curve.slope
    wells = _well_variance(curve, found, n_replicates)
    t = _t(curve, confidence)
    # (d - b u)^2 <= t^2 (wells + a + 2 c u + s u^2), u counted from the mean of the standards.
    a, c, s = _line_variance(curve)
    b, d = curve.slope, cq - curve.cq(curve.mean_log10)
    square = b**2 - t**2 * s
    linear = d * b + t**2 * c
    root = np.sqrt(np.maximum(0, linear**2 - square * (d**2 - t**2 * (wells + a))))
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        limits = [
            np.where(square > 0, 10.0 ** (curve.mean_log10 + (linear + sign * root) / square), np.nan)
            for sign in (-1, 1)
        ]
    return limits[0], limits[1]


def _well_variance(curve: Curve, log10_copies: Array, n_replicates: npt.ArrayLike) -> Array:
    weight = np.interp(log10_copies, curve.levels, curve.level_weights)
    return np.asarray(curve.residual_sd**2 / weight / np.asarray(n_replicates, dtype=float))


def _line_variance(curve: Curve) -> tuple[float, float, float]:
    """Variance of the height at the mean of the standards, its covariance with the slope, variance of the slope."""
    if not curve.lines:
        s2 = curve.residual_sd**2
        return s2 / curve.sum_weights, 0.0, s2 / curve.sxx
    # A further plate differs from the mean of k plates by its own deviation and by that of
    # the mean: (1 + 1/k). The fitted lines also hold their error of estimation, which makes
    # the interval a little wide rather than narrow.
    heights = [line.intercept + line.slope * curve.mean_log10 for line in curve.lines]
    spread = np.cov(heights, [line.slope for line in curve.lines]) * (1 + 1 / len(curve.lines))
    return float(spread[0, 0]), float(spread[0, 1]), float(spread[1, 1])


def _half_width(curve: Curve, log10_copies: Array, wells: Array, confidence: float) -> Array:
    """Student's t times the standard deviation of wells and line together."""
    a, c, s = _line_variance(curve)
    u = log10_copies - curve.mean_log10
    return np.asarray(_t(curve, confidence) * np.sqrt(wells + np.maximum(0, a + 2 * c * u + s * u**2)))


def _t(curve: Curve, confidence: float) -> float:
    # A stored curve takes the few degrees of freedom of its plates for all of it: more of them
    # for the wells (Satterthwaite) gave intervals of 95 % that held 92 % with three plates.
    return float(stdtrit(curve.df, 0.5 + confidence / 2))


def master_curve(
    standards: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]], confidence: float = 0.95
) -> Curve:
    """Pool the standards of several plates into one curve.

    Each plate gets its own line (plain least squares); slope and intercept of the
    stored curve are their means. The spread of the lines over the plates enters
    every interval of a further plate.

    Parameters
    ----------
    standards
        Plate -> (log10 copies, Cq) of its standard wells.
    confidence
        Level of the limits.

    Raises
    ------
    CurveError
        For fewer than 2 plates, and for every plate that has no line.
    """
    if len(standards) < 2:
        raise CurveError(
            f"{len(standards)} plates; a stored curve needs at least 2, since one does not show the spread between plates"
        )
    fits: dict[str, Curve] = {}
    faults = []
    for plate, (x, y) in standards.items():
        try:
            fits[plate] = fit_curve(x, y, confidence=confidence)
        except CurveError as error:
            faults.append(f"plate {plate}: {error}")
    if faults:
        raise CurveError("; ".join(faults))
    x = np.concatenate([np.asarray(x, dtype=float) for x, _ in standards.values()])
    y = np.concatenate([np.asarray(y, dtype=float) for _, y in standards.values()])
    lines = tuple(PlateLine(p, f.slope, f.intercept, f.n_used) for p, f in fits.items())
    within = sum(f.residual_sd**2 * (f.n_used - 2) for f in fits.values())
    slope, intercept = _mean_line(lines)
    return _stored(
        lines,
        r2=float(1 - np.sum((y - intercept - slope * x) ** 2) / np.sum((y - y.mean()) ** 2)),
        residual_sd=math.sqrt(within / (len(x) - 2 * len(fits))),
        mean_log10=float(x.mean()),
        levels=tuple(_levels(x)[0].tolist()),
        confidence=confidence,
    )


def _mean_line(lines: tuple[PlateLine, ...]) -> tuple[float, float]:
    return float(np.mean([line.slope for line in lines])), float(np.mean([line.intercept for line in lines]))


def between_plate_sd(curve: Curve) -> tuple[float, float]:
    """Return the standard deviation of slope and of intercept over the plates of a stored curve."""
    return (
        float(np.std([line.slope for line in curve.lines], ddof=1)),
        float(np.std([line.intercept for line in curve.lines], ddof=1)),
    )


def _stored(
    lines: tuple[PlateLine, ...],
    *,
    r2: float,
    residual_sd: float,
    mean_log10: float,
    levels: tuple[float, ...],
    confidence: float,
    name: str = "",
    target: str = "",
) -> Curve:
    slope, intercept = _mean_line(lines)
    n_used = sum(line.n_used for line in lines)
    return Curve(
        slope=slope,
        intercept=intercept,
        slope_se=float(np.std([line.slope for line in lines], ddof=1)) / math.sqrt(len(lines)),
        intercept_se=float(np.std([line.intercept for line in lines], ddof=1)) / math.sqrt(len(lines)),
        df=len(lines) - 1,
        r2=r2,
        residual_sd=residual_sd,
        n_used=n_used,
        mean_log10=mean_log10,
        sxx=math.nan,
        sum_weights=float(n_used),
        weighting="none",
        confidence=confidence,
        levels=levels,
        level_weights=(1.0,) * len(levels),
        lines=lines,
        name=name,
        target=target,
    )


Finite = Annotated[float, Field(allow_inf_nan=False)]


class _StoredLine(Part):
    plate: Text
    slope: Finite = Field(lt=0)
    intercept: Finite
    n_used: int = Field(ge=3)


class StoredCurve(Part):
    """The file of a stored curve. Slope and intercept follow from the plates, and are checked against them."""

    name: Text = Field(min_length=1, description="Name of the curve.")
    target: Text = Field(min_length=1, description="Target, as the assay files name it.")
    slope: Finite = Field(lt=0, description="Mean slope of the plates.")
    intercept: Finite = Field(description="Mean intercept of the plates.")
    slope_sd: Finite = Field(ge=0, description="Standard deviation of the slope between plates.")
    intercept_sd: Finite = Field(ge=0, description="Standard deviation of the intercept between plates.")
    r2: Finite = Field(le=1, description="r2 of all standards about the mean line.")
    residual_sd: Finite = Field(ge=0, description="Scatter of wells about the line of their plate, cycles.")
    mean_log10: Finite = Field(description="Mean log10 copies of all standards.")
    levels: tuple[Finite, ...] = Field(min_length=2, description="log10 copies per reaction of the levels.")
    plates: tuple[_StoredLine, ...] = Field(min_length=2, description="The line of each plate.")


_DERIVED = ("slope", "intercept", "slope_sd", "intercept_sd")


def dump_stored_curve(curve: Curve, name: str, target: str) -> str:
    """Write a curve of :func:`master_curve` as YAML. Dates in names of plates are taken out."""
    slope_sd, intercept_sd = between_plate_sd(curve)
    content = {
        "name": redact_dates(name),
        "target": target,
        "slope": curve.slope,
        "intercept": curve.intercept,
        "slope_sd": slope_sd,
        "intercept_sd": intercept_sd,
        "r2": curve.r2,
        "residual_sd": curve.residual_sd,
        "mean_log10": curve.mean_log10,
        "levels": list(curve.levels),
        "plates": [
            {
                "plate": redact_dates(line.plate),
                "slope": line.slope,
                "intercept": line.intercept,
                "n_used": line.n_used,
            }
            for line in curve.lines
        ],
    }
    return (
        "# Stored standard curve: Cq = intercept + slope log10(copies per reaction).\n"
        "# slope and intercept are the means over the plates; don't edit, store it anew.\n"
        + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    )


def read_stored_curve(text: str, name: str, confidence: float = 0.95) -> Curve:
    """Read the YAML of :func:`dump_stored_curve`.

    Parameters
    ----------
    text
        Content of the file.
    name
        How errors name the file.
    confidence
        Level of the limits.

    Raises
    ------
    InputError
        For text that is no YAML, unknown keys, bad values, and numbers that do not
        follow from the plates (a file that was edited).
    """
    try:
        # Not the loader in C: deep nesting ends its process.
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise InputError([Problem(name, "no YAML", "a curve stored by store_master_curve.py")]) from None
    try:
        stored = StoredCurve.model_validate(raw)
    except ValidationError as error:
        raise InputError([problem_of(e, name, StoredCurve) for e in error.errors()]) from None
    if list(stored.levels) != sorted(set(stored.levels)):
        raise InputError([Problem(name, "levels out of order", "from low to high", column="levels")])
    curve = _stored(
        tuple(PlateLine(p.plate, p.slope, p.intercept, p.n_used) for p in stored.plates),
        r2=stored.r2,
        residual_sd=stored.residual_sd,
        mean_log10=stored.mean_log10,
        levels=stored.levels,
        confidence=confidence,
        name=stored.name,
        target=stored.target,
    )
    follows = (curve.slope, curve.intercept, *between_plate_sd(curve))
    raise_if_any(
        [
            Problem(
                name,
                f"{getattr(stored, key):.6g}",
                f"{value:.6g}, which follows from the plates; store the curve anew",
                column=key,
            )
            for key, value in zip(_DERIVED, follows, strict=True)
            if not math.isclose(getattr(stored, key), value, rel_tol=1e-6, abs_tol=1e-6)
        ]
    )
    return curve


def standards_of(wells: pd.DataFrame, target: str) -> tuple[dict[str, tuple[Array, Array]], int]:
    """Collect the standards of ``target`` on several plates.

    Parameters
    ----------
    wells
        Contract PCR_WELLS, of one plate or more.
    target
        Target, as the assay file names it.

    Returns
    -------
    tuple
        Plate -> (log10 copies, Cq) of its standards, and the number of standard wells
        left out: those with an exclusion, and those without a Cq.

    Raises
    ------
    InputError
        When a plate has no standards of the target, no qPCR, or rejected standards.
    """
    problems = []
    found: dict[str, tuple[Array, Array]] = {}
    left_out = 0
    for key, group in wells.groupby("plate", sort=False):
        plate = str(key)
        mine = group[
            (group["target"] == target) & (group["task"] == "standard") & (group["method"] == "qpcr")
        ]
        if mine.empty:
            problems.append(Problem(plate, "no qPCR standard", f"standards of the target '{target}'"))
            continue
        excluded = mine["exclusion"].fillna("") != ""
        kept = mine[~excluded & (mine["verdict"] != "not_used")]
        if rejected := int((kept["verdict"] == "rejected").sum()):
            problems.append(
                Problem(plate, f"{rejected} rejected standards", "a plate whose standards were accepted")
            )
            continue
        usable = kept[kept["cq"].notna() & (kept["nominal"] > 0)]
        left_out += len(mine) - len(usable)
        found[plate] = (
            np.log10(usable["nominal"].to_numpy(dtype=float)),
            usable["cq"].to_numpy(dtype=float),
        )
    raise_if_any(problems)
    return found, left_out
