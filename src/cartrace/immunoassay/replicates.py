"""Replicates and dilutions of one sample -> one number, or the side on which it lies.

Wells of one dilution are averaged as concentrations. Where some of them lie beyond the curve, the
mean signal of all is read instead, so that no well is silently dropped. Of several dilutions within
the limits, the one nearest to the middle of the curve (on the logarithm) is reported, since a curve is most
precise there; the others say whether it can be believed (linearity, parallelism). With none
within the limits, the result is censored: below at the lowest dilution, above at the highest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from cartrace.immunoassay.calibration import Curve, inverse, inverse_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

BELOW = ("below_curve", "below_lloq")
ABOVE = ("above_curve", "above_uloq")


@dataclass(frozen=True, slots=True)
class WellLimits:
    """Limits as concentrations in the well; nan where there is none."""

    lod: float = math.nan
    lloq: float = math.nan
    uloq: float = math.nan

    def middle(self) -> float:
        """Return the logarithm of the middle of the range; nan where it has no two ends."""
        ends = self.lloq * self.uloq
        return math.log(ends) / 2 if ends > 0 else math.nan


@dataclass(frozen=True, slots=True)
class Estimate:
    """One analyte of one sample. Numbers are of the sample: times the dilution."""

    value: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    cv_percent: float = math.nan
    dilution: float = math.nan
    """Dilution behind it."""
    lod: float = math.nan
    lloq: float = math.nan
    uloq: float = math.nan
    detection: Literal["quantified", "BLQ", "BLD", "above_uloq"] | None = None
    wells: tuple[int, ...] = ()
    """Positions, in the arrays that were given, of the wells behind it."""
    faults: tuple[str, ...] = ()
    """Flags that reject it."""
    flags: tuple[str, ...] = ()


def side_of(concentration: Floats, side: NDArray[np.str_], limits: WellLimits) -> NDArray[np.object_]:
    """Say where concentrations lie: a word of RANGES, or an empty text where nothing was read.

    Parameters
    ----------
    concentration : (n,) array
        In the well; nan beyond the curve.
    side : (n,) array of str
        As :func:`cartrace.immunoassay.calibration.inverse` tells it.
    limits
        Rounding of the file is no reason to lose the end of the range, so they are inside.
    """
    out = np.asarray(side, dtype=object).copy()
    inside = out == "inside"
    with np.errstate(invalid="ignore"):
        out[inside & (concentration < limits.lloq * (1 - 1e-9))] = "below_lloq"
        out[inside & (concentration > limits.uloq * (1 + 1e-9))] = "above_uloq"
    return out


@dataclass(frozen=True, slots=True)
class _Step:
    """One dilution of a sample."""

    dilution: float
    wells: NDArray[np.intp]
    concentration: float
    side: str


def concentration_of(
    dilution: Floats,
    signal: Floats,
    concentration: Floats,
    side: NDArray[np.str_],
    *,
    limits: WellLimits,
    curve: Curve | None = None,
    hooked: Bools | None = None,
    times_dilution: bool = True,
    confidence: float = 0.95,
) -> Estimate:
    """Make one concentration of the wells of one sample.

    Parameters
    ----------
    dilution, signal, concentration, side : (n,) arrays
        Of the usable wells; ``concentration`` and ``side`` as read off the curve, or as the
        instrument's software says.
    limits
        Of the curve.
    curve
        None: concentrations of the instrument's software, which have no interval.
    hooked : (n,) array of bool
        Wells past the hook: they never give the result.
    times_dilution
        Whether a concentration is multiplied by the dilution.
    confidence
        Of the interval.

    Returns
    -------
    Estimate
        Its faults: no_well_left, hook (no dilution is left), dilutions_contradict. Its flags: hook (a
        dilution was left out), replicates_straddle (some wells behind a result lie beyond the curve).
    """
    past = np.zeros(len(dilution), dtype=bool) if hooked is None else hooked
    steps = [
        _step(
            float(d),
            np.flatnonzero(dilution == d),
            signal=signal,
            concentration=concentration,
            side=side,
            limits=limits,
            curve=curve,
        )
        for d in np.unique(dilution)
    ]
    steps = [s for s in steps if s.side]
    if not steps:
        return Estimate(faults=("no_well_left",))
    left = [s for s in steps if not past[s.wells].any()]
    if not left:
        return Estimate(faults=("hook",))

    def times(d: float) -> float:
        return d if times_dilution else 1.0

    low, high = times(left[0].dilution), times(left[-1].dilution)
    lod, lloq, uloq = limits.lod * low, limits.lloq * low, limits.uloq * high
    inside = [s for s in left if s.side == "inside"]
    below = [s for s in left if s.side in BELOW]
    flags = ("hook",) if len(left) < len(steps) else ()
    if not inside and below and len(below) < len(left):
        return Estimate(lod=lod, lloq=lloq, uloq=uloq, faults=("dilutions_contradict",), flags=flags)
    if inside:
        best = min(inside, key=lambda s: (_off_middle(s, limits), s.dilution))
        if not np.isfinite(concentration[best.wells]).all():
            # No CV of concentrations tells that these replicates disagree.
            flags = (*flags, "replicates_straddle")
        lower, upper = _interval(best, signal, curve, confidence)
        t = times(best.dilution)
        return Estimate(
            best.concentration * t,
            lower * t,
            upper * t,
            _cv_percent(concentration[best.wells]),
            best.dilution,
            lod,
            lloq,
            uloq,
            "quantified",
            tuple(int(i) for i in best.wells),
            (),
            flags,
        )
    best = left[0] if below else left[-1]
    undetected = bool(below) and (best.side == "below_curve" or best.concentration < limits.lod)
    detection: Literal["BLQ", "BLD", "above_uloq"] = "above_uloq"
    lower, upper = uloq, math.nan
    if below and undetected and not math.isnan(lod):
        detection, lower, upper = "BLD", 0.0, lod
    elif below:
        detection, lower, upper = "BLQ", 0.0 if math.isnan(lod) else lod, lloq
    return Estimate(
        math.nan,
        lower,
        upper,
        _cv_percent(concentration[best.wells]),
        best.dilution,
        lod,
        lloq,
        uloq,
        detection,
        tuple(int(i) for i in best.wells),
        (),
        flags,
    )


def _step(
    dilution: float,
    wells: NDArray[np.intp],
    *,
    signal: Floats,
    concentration: Floats,
    side: NDArray[np.str_],
    limits: WellLimits,
    curve: Curve | None,
) -> _Step:
    read = wells[side[wells] != ""]
    if not len(read):
        return _Step(dilution, wells, math.nan, "")
    beyond = ~np.isfinite(concentration[read])
    if not beyond.any():
        mean, where = float(concentration[read].mean()), "inside"
    elif beyond.all() and len(set(side[read])) == 1:
        mean, where = math.nan, str(side[read][0])
    elif curve is not None and np.isnan(signal[read]).any():
        # A well was too strong to be read: no mean holds it, but its side is known.
        mean, where = math.nan, str(side[read][np.isnan(signal[read])][0])
    elif curve is not None:
        found = inverse(curve, float(signal[read].mean()))
        mean, where = float(found.concentration[0]), str(found.side[0])
    else:
        # Of the instrument's software: what most wells say; of a tie the one that says least.
        where = max(set(side[read]), key=lambda s: (int((side[read] == s).sum()), s != "inside", s))
        mean = float(np.nanmean(concentration[read])) if where == "inside" else math.nan
    located = side_of(np.array([mean]), np.array([where]), limits)
    return _Step(dilution, read, mean, str(located[0]))


def _off_middle(step: _Step, limits: WellLimits) -> float:
    middle = limits.middle()
    if math.isnan(middle) or not step.concentration > 0:
        return 0.0
    return round(abs(math.log(step.concentration) - middle), 9)


def _interval(step: _Step, signal: Floats, curve: Curve | None, confidence: float) -> tuple[float, float]:
    """Return the limits of the concentration; nan without a curve whose scatter is known."""
    if curve is None:
        return math.nan, math.nan
    wells = signal[step.wells]
    # Wells that differ more than standards do know their sample less well than the curve says.
    own = float(wells.var(ddof=1)) if len(wells) > 1 else 0.0
    found = inverse_interval(
        curve, float(wells.mean()), replicates=len(wells), well_variance=own, confidence=confidence
    )
    at = float(found.concentration[0])
    # The result is the mean of the concentrations, which is near that of the mean signal, not at it.
    scale = step.concentration / at if at > 0 else math.nan
    return float(found.lower[0]) * scale, float(found.upper[0]) * scale


def _cv_percent(values: Floats) -> float:
    if len(values) < 2 or not np.isfinite(values).all() or not values.mean() > 0:
        return math.nan
    return float(100 * values.std(ddof=1) / values.mean())


def index_of(signal: Floats, control: float, limits: WellLimits) -> Estimate:
    """Return the mean signal of a sample over that of the control, with the limits of the assay file.

    Parameters
    ----------
    signal : (n,) array
        Of the usable wells, without the blank.
    control
        Mean signal of the control, without the blank; nan where the plate lacks it.
    """
    read = np.flatnonzero(np.isfinite(signal))
    if not len(read):
        return Estimate(faults=("no_well_left",))
    if not control > 0:
        return Estimate(faults=("control_missing",))
    value = float(signal[read].mean()) / control
    known = {"lod": limits.lod, "lloq": limits.lloq, "uloq": limits.uloq}
    about = {"cv_percent": _cv_percent(signal[read]), "wells": tuple(int(i) for i in read)}
    lod = 0.0 if math.isnan(limits.lod) else limits.lod
    # A signal below the blank is an index below 0, which no one measured.
    if value < limits.lod or (value <= 0 and not math.isnan(limits.lod)):
        return Estimate(detection="BLD", lower=0.0, upper=limits.lod, **known, **about)  # type: ignore[arg-type]
    if value < limits.lloq or value <= 0:
        return Estimate(detection="BLQ", lower=lod, upper=limits.lloq, **known, **about)  # type: ignore[arg-type]
    if value > limits.uloq:
        return Estimate(detection="above_uloq", lower=limits.uloq, **known, **about)  # type: ignore[arg-type]
    return Estimate(value, detection="quantified", **known, **about)  # type: ignore[arg-type]
