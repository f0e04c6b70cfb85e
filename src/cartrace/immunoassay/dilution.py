"""Samples at several dilutions: whether they give one number and follow the standards."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import fdtrc

from cartrace.immunoassay.calibration import Array, Curve, curve_covariance, inverse_interval


@dataclass(frozen=True, slots=True)
class Linearity:
    """How far the dilutions of one sample agree."""

    median: float
    """Median of the dilutions' results."""
    largest_percent: float
    """Largest deviation of a dilution from it, % without a sign; nan below two dilutions."""
    dilutions: tuple[float, ...]
    deviations_percent: tuple[float, ...]
    """Of each dilution, with a sign."""


def linearity(dilution: npt.ArrayLike, result: npt.ArrayLike, in_range: npt.ArrayLike) -> Linearity:
    """Return the deviation of each dilution from the median of the dilutions.

    Replicates of a dilution are averaged first, so a dilution with more wells does not
    weigh more. With two dilutions the median is their mean, and each is half the
    difference away.

    Parameters
    ----------
    dilution
        50 means 1 in 50; one entry a well.
    result
        Concentration of the undiluted sample from that well.
    in_range
        Wells within the limits of quantification; only these count.
    """
    d, r = np.asarray(dilution, dtype=float), np.asarray(result, dtype=float)
    mask = np.asarray(in_range, dtype=bool) & np.isfinite(r)
    steps = np.unique(d[mask])
    means = np.array([r[mask & (d == step)].mean() for step in steps])
    if not len(steps):
        return Linearity(math.nan, math.nan, (), ())
    median = float(np.median(means))
    if len(steps) < 2 or median <= 0:
        return Linearity(median, math.nan, tuple(map(float, steps)), (math.nan,) * len(steps))
    away = 100 * (means / median - 1)
    return Linearity(
        median, float(np.abs(away).max()), tuple(map(float, steps)), tuple(float(v) for v in away)
    )


@dataclass(frozen=True, slots=True)
class Parallelism:
    """Test that the dilutions of one sample follow the standards' curve."""

    p: float
    """nan where there is no test."""
    f: float
    dilutions: int
    reason: str = ""


def parallelism(
    curve: Curve, dilution: npt.ArrayLike, signal: npt.ArrayLike, in_range: npt.ArrayLike
) -> Parallelism:
    """Test whether the dilutions of a sample are one sample read on the standards' curve.

    Were the sample's curve that of the standards, only shifted, every dilution would give
    the same log result. F test of their differences (Wald): F = z' S^-1 z / (k - 1) with z
    the k - 1 contrasts of the log results and S their covariance, which holds the scatter of
    the wells and the uncertainty that all dilutions share through the curve; k - 1 and the
    fit's degrees of freedom.

    This is a difference test in the words of USP <1032> and <1034> [recalled], which prefer
    equivalence: a precise assay finds harmless differences, an imprecise one passes large
    ones. So read it beside the deviation in % (:func:`linearity`), which is the size of
    what it finds. It does not tell a slope from a kink, nor either from a wrong dilution.

    Parameters
    ----------
    dilution, signal, in_range
        As in :func:`linearity`; the signal as it was read on the curve.
    """
    d, y = np.asarray(dilution, dtype=float), np.asarray(signal, dtype=float)
    mask = np.asarray(in_range, dtype=bool) & np.isfinite(y)
    steps = np.unique(d[mask])
    k = len(steps)
    if k < 2:
        return Parallelism(math.nan, math.nan, k, "fewer than two dilutions within the limits")
    if not curve.covariance:
        return Parallelism(math.nan, math.nan, k, "the curve has no covariance")
    wells = np.array([(mask & (d == step)).sum() for step in steps], dtype=float)
    mean = np.array([y[mask & (d == step)].mean() for step in steps])
    read = inverse_interval(curve, mean, replicates=wells)
    x = read.concentration
    shared = curve_covariance(curve, x, x)
    covariance = shared + np.diag(read.log_sd**2 - np.diag(shared))
    if not np.isfinite(covariance).all():
        return Parallelism(math.nan, math.nan, k, "a dilution has no interval")
    contrasts: Array = np.eye(k)[1:] - np.eye(k)[0]
    z = contrasts @ np.log(x * steps)
    f = float(z @ np.linalg.solve(contrasts @ covariance @ contrasts.T, z)) / (k - 1)
    return Parallelism(float(fdtrc(k - 1, curve.df, f)), f, k)
