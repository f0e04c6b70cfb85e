"""Times to an event that are known only as intervals: Kaplan-Meier and Turnbull.

A loss is seen at a visit, so it happened somewhere after the last sample that
was still positive and up to the first confirmed negative one: the interval
``(lower, upper]``. ``upper`` is infinite when no loss was seen; ``lower`` equals
``upper`` when the time itself is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_NOISE = 1e-9
"""Probabilities that differ by less are the same: products of fractions are not exact in binary."""


class ConvergenceError(RuntimeError):
    """The Turnbull estimate did not reach its optimum."""


@dataclass(frozen=True, slots=True)
class KaplanMeier:
    """Product-limit estimate; all arrays have one element per step or censoring.

    ``survival`` holds *after* ``day``; ``lower`` and ``upper`` are its 95 % limits
    (Greenwood, on the log-log scale; the upper one is not a number once survival is 0). The
    ``median`` and its limits are not a number where they are not reached.
    """

    day: Floats
    survival: Floats
    lower: Floats
    upper: Floats
    n_at_risk: NDArray[np.int64]
    median: float
    median_lower: float
    median_upper: float


@dataclass(frozen=True, slots=True)
class Turnbull:
    """Non-parametric maximum likelihood estimate for interval-censored times.

    Element j says that the probability ``mass[j]`` lies somewhere in
    ``(left[j], right[j]]`` (at that point where both are equal). ``survival`` is
    what is left after ``right``. Where inside the interval the curve falls, the
    data cannot say. Mass that lies beyond the last bound is not listed.
    """

    left: Floats
    right: Floats
    mass: Floats
    survival: Floats


def _checked(lower: ArrayLike, upper: ArrayLike) -> tuple[Floats, Floats]:
    low = np.asarray(lower, dtype=float)
    high = np.asarray(upper, dtype=float)
    if low.ndim != 1 or low.shape != high.shape or not low.size:
        raise ValueError("lower and upper must be one-dimensional, of one length, and not empty")
    if not np.isfinite(low).all() or np.isnan(high).any():
        raise ValueError("lower must be finite; upper may be infinite, but not empty")
    if (high < low).any():
        raise ValueError("upper must not be below lower")
    return low, high


def kaplan_meier(lower: ArrayLike, upper: ArrayLike) -> KaplanMeier:
    """Estimate the survival curve with each event at its upper bound.

    This is the convention of trial reports: the event counts from the first
    confirmed negative visit on. It is late by up to one visit interval, which
    :func:`turnbull` shows.

    Parameters
    ----------
    lower, upper
        Bounds in days, shape (n,). An infinite ``upper`` is a subject without
        the event, followed until ``lower``.

    Raises
    ------
    ValueError
        For bounds that are no intervals.

    Notes
    -----
    Kaplan and Meier 1958; limits after Kalbfleisch and Prentice (log-log),
    limits of the median after Brookmeyer and Crowley 1982, both as in lifelines.
    """
    low, high = _checked(lower, upper)
    observed = np.isfinite(high)
    # lifelines takes two seconds to import: only cohort jobs pay it.
    from lifelines import KaplanMeierFitter

    fit = KaplanMeierFitter().fit(np.where(observed, high, low), observed)
    curve = fit.survival_function_.iloc[:, 0]
    limits = fit.confidence_interval_.to_numpy(dtype=float)
    day = curve.index.to_numpy(dtype=float)
    survival = curve.to_numpy(dtype=float)
    # lifelines gives the upper limit 0 once nobody is left, which the log-log scale does not.
    limits[survival <= _NOISE, 1] = np.nan
    return KaplanMeier(
        day=day,
        survival=survival,
        lower=limits[:, 0],
        upper=limits[:, 1],
        n_at_risk=fit.event_table.at_risk.to_numpy(dtype=np.int64),
        median=_first_at_half(day, survival),
        median_lower=_first_at_half(day, limits[:, 0]),
        median_upper=_first_at_half(day, limits[:, 1]),
    )


def _first_at_half(day: Floats, survival: Floats) -> float:
    reached = np.flatnonzero(survival <= 0.5 + _NOISE)
    return float(day[reached[0]]) if reached.size else float("nan")


def turnbull(
    lower: ArrayLike, upper: ArrayLike, *, tolerance: float = 1e-8, max_iterations: int = 1000
) -> Turnbull:
    """Estimate the distribution of interval-censored times by maximum likelihood.

    Parameters
    ----------
    lower, upper
        Bounds in days, shape (n,); see the module's docstring.
    tolerance
        Largest excess of the directional derivative over 1 at the end. The
        log-likelihood is then within ``n * tolerance`` of its maximum
        (Gentleman and Geyer 1994).
    max_iterations
        Give up after so many steps.

    Raises
    ------
    ValueError
        For bounds that are no intervals.
    ConvergenceError
        When the optimum is not reached.

    Notes
    -----
    Turnbull 1976, J R Stat Soc B 38:290: only the innermost intervals can carry
    mass. Their masses are found by the constrained Newton method of Wang 2007, J R
    Stat Soc B 69:185, since EM needs minutes for a thousand subjects. Written here,
    because lifelines 0.30 takes closed intervals, in which a loss in (7, 14] and one in
    (14, 28] may share day 14, and bootstraps its limits without a seed.
    """
    low, high = _checked(lower, upper)
    # Several subjects with one interval are one row with a weight.
    rows, count = np.unique(np.column_stack([low, high]), axis=0, return_counts=True)
    left, right, inside = _innermost(rows[:, 0], rows[:, 1])
    mass = _maximise(inside, count / count.sum(), tolerance, max_iterations)
    mass = np.where(mass < _NOISE, 0.0, mass)
    survival = 1.0 - np.cumsum(mass)
    survival[survival < _NOISE] = 0.0
    kept = (mass > 0) & np.isfinite(right)
    return Turnbull(left=left[kept], right=right[kept], mass=mass[kept], survival=survival[kept])


def _innermost(low: Floats, high: Floats) -> tuple[Floats, Floats, Floats]:
    """Find the intervals that can carry mass, and which rows they lie in.

    Returns left and right ends, shape (m,), and a 0/1 matrix, shape (n, m).
    """
    values, index = np.unique(np.concatenate([low, high]), return_inverse=True)
    # Ends at one value stand in this order: a known time begins (3i), an interval
    # that includes the value ends (3i + 1), one that excludes it begins (3i + 2).
    begin = 3 * index[: low.size] + np.where(low == high, 0, 2)
    end = 3 * index[low.size :] + 1
    ends = np.unique(np.concatenate([begin, end]))
    is_end = ends % 3 == 1
    first = np.flatnonzero(~is_end[:-1] & is_end[1:])
    left, right = ends[first], ends[first + 1]
    inside = (begin[:, None] <= left) & (right <= end[:, None])
    return values[left // 3], values[right // 3], inside.astype(float)


def _maximise(inside: Floats, weight: Floats, tolerance: float, max_iterations: int) -> Floats:
    """Maximise ``weight @ log(inside @ mass)`` over masses that sum to 1."""
    from scipy.optimize import nnls

    def loglik(mass: Floats) -> float:
        chance = inside @ mass
        return float(weight @ np.log(chance)) if (chance > 0).all() else -np.inf

    m = inside.shape[1]
    root = np.sqrt(weight)
    mass = np.full(m, 1.0 / m)
    for _ in range(max_iterations):
        scaled = inside / (inside @ mass)[:, None]
        derivative = weight @ scaled
        if derivative.max() <= 1.0 + tolerance:
            return mass
        # The quadratic approximation of the log-likelihood is a least-squares problem;
        # the last row holds the sum of the masses at 1.
        matrix = np.vstack([scaled * root[:, None], np.full(m, 1e3)])
        target = nnls(matrix, np.append(2 * root, 1e3), maxiter=50 * m)[0]
        direction = target / target.sum() - mass
        now, slope, step = loglik(mass), float(derivative @ direction), 1.0
        while loglik(mass + step * direction) < now + step * slope / 3 and step > 1e-10:
            step /= 2
        mass = np.clip(mass + step * direction, 0.0, None)
        mass /= mass.sum()
    raise ConvergenceError(f"no optimum after {max_iterations} steps; raise max_iterations")
