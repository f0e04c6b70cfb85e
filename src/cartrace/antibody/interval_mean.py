"""Mean and standard deviation of normal numbers that are known as intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import t

from cartrace.antibody.likelihood import normal_interval

Floats = npt.NDArray[np.float64]

NODES, WEIGHTS = (a / 2 for a in np.polynomial.legendre.leggauss(5))
"""Gauss-Legendre nodes and weights on an interval of length 1 around 0."""
_LOG_ROOT = 0.5 * np.log(2 * np.pi)
_NARROWEST = 1e-9
"""Interval, in standard deviations at their smallest, that is a known number."""
_WIDEST = 1e6
"""Distance of a confidence limit, in standard deviations, that is none."""


@dataclass(frozen=True, slots=True)
class Mean:
    """Normal mean with its 95 % limits; nan where there is none, and why in ``problem``."""

    value: float
    lower: float
    upper: float
    sd: float
    problem: str = ""


def normal_mean(lower: Floats, upper: Floats, smallest_sd: float) -> Mean:
    """Estimate a normal mean by maximum likelihood from intervals.

    Parameters
    ----------
    lower, upper
        (n,) bounds of each number, on the scale on which it is normal; equal for a known number, -inf
        or inf where open. Or (n, k): k equally likely places of the interval of one number, one for
        each value of a second number that is itself known as an interval (:func:`differences`).
        A number without any bound says nothing and is left out.
    smallest_sd
        Lower bound of the standard deviation, > 0: numbers that share one interval would have none.

    Returns
    -------
    Mean
        The limits are those of the profile likelihood, where 2 (l_max - l) = n log(1 + t^2 / (n - 1))
        with the 97.5 % point t of n - 1 degrees of freedom: with known numbers these are exactly the limits
        of Student's t, with intervals they keep to 95 % from n = 5 on (tests/unit/antibody/test_interval_mean.py).

    Notes
    -----
    With gamma = 1 / sd the likelihood of intervals is concave for a fixed mean (Burridge, J R Stat
    Soc B 1981;43:41), so that the best gamma is found by Newton's method within a bracket.
    """
    low, high = (np.asarray(a, dtype=np.float64).reshape(len(a), -1) for a in (lower, upper))
    told = (np.isfinite(low) | np.isfinite(high)).all(axis=1)
    low, high = low[told], high[told]
    n = len(low)
    bounded = (np.isfinite(low) & np.isfinite(high)).all(axis=1)
    if bounded.sum() < 2:
        return _none(low, high, bounded)

    def profile(mean: float) -> float:
        return _best_sd(low - mean, high - mean, smallest_sd)[0]

    # Open numbers count at their bound: only a place to start.
    ends = np.where(np.isfinite(low), low, high), np.where(np.isfinite(high), high, low)
    middle = (ends[0] + ends[1]).mean(axis=1) / 2
    spread = max(float(middle.std()), smallest_sd)
    start = float(middle.mean())
    found = minimize_scalar(lambda m: -profile(m), bracket=(start - spread, start + spread), tol=1e-7)
    value, best = float(found.x), -float(found.fun)
    drop = n * np.log1p(t.ppf(0.975, n - 1) ** 2 / (n - 1)) / 2
    sd = 1 / _best_sd(low - value, high - value, smallest_sd)[1]
    least, most = (_crossing(profile, value, side * spread, best - drop) for side in (-1, 1))
    return Mean(value, least, most, sd)


def differences(before: tuple[Floats, Floats], after: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Return the intervals (n, k) of after - before, for :func:`normal_mean`.

    Parameters
    ----------
    before, after
        Lower and upper bounds (n,) of each number.

    Notes
    -----
    The number before lies anywhere in its interval, which is a few units wide: each of k places in
    it gives the difference an interval as wide as that of the number after. The plain interval of
    the difference, from (lower after - upper before) to (upper after - lower before), would say less than
    is known: taken for a likelihood it makes the standard deviation too small and a censored fall
    too small. It is used where the number before is open.
    """
    (b_low, b_high), (a_low, a_high) = before, after
    finite = np.isfinite(b_low) & np.isfinite(b_high)
    middle = (np.where(finite, b_low, 0.0) + np.where(finite, b_high, 0.0)) / 2
    place = (
        middle[:, None]
        + np.where(finite, b_high - np.where(finite, b_low, 0.0), 0.0)[:, None] * NODES[None, :]
    )
    least = np.where(finite[:, None], a_low[:, None] - place, (a_low - b_high)[:, None])
    most = np.where(finite[:, None], a_high[:, None] - place, (a_high - b_low)[:, None])
    return least, most


def _none(low: Floats, high: Floats, bounded: npt.NDArray[np.bool_]) -> Mean:
    nan = float("nan")
    n = len(low)
    if bounded.any():
        problem = "fewer than 2 results between the limits"
    elif n and np.isneginf(low).all():
        problem = f"all {n} results lie below a limit"
    elif n and np.isposinf(high).all():
        problem = f"all {n} results lie above a limit"
    else:
        problem = "no result between the limits"
    return Mean(nan, nan, nan, nan, problem)


def _crossing(profile: Callable[[float], float], value: float, step: float, target: float) -> float:
    """Go from the maximum to where the profile falls to ``target``."""
    reach = step
    while profile(value + reach) > target:
        reach *= 1.6
        if abs(reach) > _WIDEST * abs(step):
            return float("nan")
    return float(brentq(lambda m: profile(m) - target, value, value + reach, xtol=1e-7))


def _best_sd(low: Floats, high: Floats, smallest_sd: float) -> tuple[float, float]:
    """Return the largest log-likelihood of mean 0, and gamma = 1 / sd there."""
    cap = 1 / smallest_sd
    value, slope, _ = _of_gamma(low, high, cap, smallest_sd)
    if slope >= 0:
        return value, cap
    # On the scale of log gamma, between an sd that no data need and the smallest one.
    left, right = np.log(cap) - 20.0, np.log(cap)
    x = right - 1.0
    for _ in range(100):
        gamma = float(np.exp(x))
        value, slope, bend = _of_gamma(low, high, gamma, smallest_sd)
        first, second = slope * gamma, bend * gamma * gamma + slope * gamma
        left, right = (x, right) if first > 0 else (left, x)
        step = x - first / second if second < 0 else np.inf
        nxt = step if left < step < right else (left + right) / 2
        if abs(nxt - x) < 1e-10:
            break
        x = nxt
    return value, gamma


def _of_gamma(low: Floats, high: Floats, gamma: float, smallest_sd: float) -> tuple[float, float, float]:
    """Return the log-likelihood of mean 0 with its first two derivatives by gamma."""
    known = high - low <= _NARROWEST * smallest_sd
    open_low, open_high = np.isneginf(low), np.isposinf(high)
    l0, u0 = np.where(open_low, 0.0, low), np.where(open_high, 0.0, high)
    a = np.where(open_low, -np.inf, gamma * l0)
    b = np.where(open_high, np.inf, gamma * u0)
    # A known number has no interval: one of width 1 stands in and is masked out.
    p = normal_interval(np.where(known, -0.5, a), np.where(known, 0.5, b))
    log = np.where(known, np.log(gamma) - 0.5 * (gamma * l0) ** 2 - _LOG_ROOT, p.log)
    first = np.where(known, 1 / gamma - gamma * l0 * l0, p.a * l0 + p.b * u0)
    second = np.where(known, -1 / gamma**2 - l0 * l0, p.aa * l0 * l0 + 2 * p.ab * l0 * u0 + p.bb * u0 * u0)
    weight = WEIGHTS if low.shape[1] > 1 else np.ones(1)
    top = log.max(axis=1, keepdims=True)
    share = np.exp(log - top) * weight
    total = share.sum(axis=1, keepdims=True)
    share /= total
    slope = (share * first).sum(axis=1)
    bend = (share * (second + first * first)).sum(axis=1) - slope * slope
    return float((top + np.log(total)).sum()), float(slope.sum()), float(bend.sum())
