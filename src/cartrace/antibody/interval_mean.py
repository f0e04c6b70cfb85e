"""Mean and standard deviation of normal numbers that are known as intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
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
    low, high = (np.asarray(a, dtype=np.float64) for a in (lower, upper))
    if low.ndim == 1:
        low, high = low[:, None], high[:, None]
    told = (np.isfinite(low) | np.isfinite(high)).all(axis=1)
    low, high = low[told], high[told]
    n = len(low)
    bounded = (np.isfinite(low) & np.isfinite(high)).all(axis=1)
    if bounded.sum() < 2:
        return _none(low, high, bounded)

    # Open numbers count at their bound: only a place to start.
    ends = np.where(np.isfinite(low), low, high), np.where(np.isfinite(high), high, low)
    middle = (ends[0] + ends[1]).mean(axis=1) / 2
    spread = max(float(middle.std()), smallest_sd)
    profile = _Profile(low, high, smallest_sd)
    start = float(middle.mean())
    left, right = (_beyond(profile.slope, start, side * spread) for side in (-1, 1))
    value = float(brentq(profile.slope, left, right, xtol=1e-8))
    best, sd = profile.best(value), profile.sd
    target = best - n * np.log1p(t.ppf(0.975, n - 1) ** 2 / (n - 1)) / 2

    def drop(mean: float) -> float:
        return float(profile.best(mean) - target)

    # Known numbers have their limits that far away.
    reach = sd * float(t.ppf(0.975, n - 1)) / np.sqrt(n - 1)
    least, most = (_limit(drop, value, side * reach, spread) for side in (-1, 1))
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


def no_mean(problem: str) -> Mean:
    """Return the mean that can't be estimated because of ``problem``."""
    nan = float("nan")
    return Mean(nan, nan, nan, nan, problem)


def _none(low: Floats, high: Floats, bounded: npt.NDArray[np.bool_]) -> Mean:
    n = len(low)
    if bounded.any():
        problem = "fewer than 2 results between the limits"
    elif n and np.isneginf(low).all():
        problem = f"all {n} results lie below a limit"
    elif n and np.isposinf(high).all():
        problem = f"all {n} results lie above a limit"
    else:
        problem = "no result between the limits"
    return no_mean(problem)


def _beyond(slope: Callable[[float], float], start: float, step: float) -> float:
    """Go to where the likelihood rises back towards ``start``."""
    reach = step
    while slope(start + reach) * step > 0:
        reach *= 2
    return start + reach


def _limit(drop: Callable[[float], float], value: float, step: float, spread: float) -> float:
    """Go from the maximum to where the profile has fallen to its target."""
    inner, outer = value, value + step
    while drop(outer) > 0:
        inner, outer = outer, value + 1.6 * (outer - value)
        if abs(outer - value) > _WIDEST * spread:
            return float("nan")
    return float(brentq(drop, inner, outer, xtol=1e-7))


class _Profile:
    """Log-likelihood of a mean at the standard deviation that suits it best.

    ``sd`` is that of the last mean; the next search begins there.
    """

    def __init__(self, low: Floats, high: Floats, smallest_sd: float) -> None:
        """Sort the numbers (n, k) into known ones and intervals, once."""
        self.known = high - low <= _NARROWEST * smallest_sd
        self.open = np.isneginf(low), np.isposinf(high)
        self.bounds = np.where(self.open[0], 0.0, low), np.where(self.open[1], 0.0, high)
        self.weight = WEIGHTS if low.shape[1] > 1 else np.ones(1)
        self.cap = 1 / smallest_sd
        self.gamma = self.cap

    @property
    def sd(self) -> float:
        """Best standard deviation of the last mean."""
        return 1 / self.gamma

    def slope(self, mean: float) -> float:
        """Return the derivative of the profile by the mean: that at the best standard deviation."""
        self.best(mean)
        return self._at(mean, self.gamma)[3]

    def best(self, mean: float) -> float:
        """Return the largest log-likelihood of ``mean``."""
        value, first, _, _ = self._at(mean, self.cap)
        if first >= 0:
            self.gamma = self.cap
            return value
        # On the scale of log gamma, between an sd that no data need and the smallest one.
        right = float(np.log(self.cap))
        left = right - 40.0
        x = min(float(np.log(self.gamma)), right - 0.01)
        for _ in range(100):
            gamma = float(np.exp(x))
            value, first, second, _ = self._at(mean, gamma)
            slope, bend = first * gamma, second * gamma * gamma + first * gamma
            left, right = (x, right) if slope > 0 else (left, x)
            step = x - slope / bend if bend < 0 else np.inf
            after = step if left < step < right else (left + right) / 2
            if abs(after - x) < 1e-8:
                break
            x = after
        self.gamma = gamma
        return value

    def _at(self, mean: float, gamma: float) -> tuple[float, float, float, float]:
        """Return the log-likelihood, its first two derivatives by gamma, and the first by the mean."""
        low, high = self.bounds[0] - mean, self.bounds[1] - mean
        low = np.where(self.open[0], 0.0, low)
        high = np.where(self.open[1], 0.0, high)
        a = np.where(self.open[0], -np.inf, gamma * low)
        b = np.where(self.open[1], np.inf, gamma * high)
        # A known number has no interval: one of width 1 stands in and is masked out.
        known = self.known
        p = normal_interval(np.where(known, -0.5, a), np.where(known, 0.5, b))
        z = gamma * low
        log = np.where(known, np.log(gamma) - 0.5 * z * z - _LOG_ROOT, p.log)
        first = np.where(known, 1 / gamma - z * low, p.a * low + p.b * high)
        second = np.where(
            known, -1 / gamma**2 - low * low, p.aa * low * low + 2 * p.ab * low * high + p.bb * high * high
        )
        by_mean = np.where(known, gamma * z, -gamma * (p.a + p.b))
        top = log.max(axis=1, keepdims=True)
        share = np.exp(log - top) * self.weight
        total = share.sum(axis=1, keepdims=True)
        share /= total
        slope = (share * first).sum(axis=1)
        bend = (share * (second + first * first)).sum(axis=1) - slope * slope
        value = float((top + np.log(total)).sum())
        return value, float(slope.sum()), float(bend.sum()), float((share * by_mean).sum())
