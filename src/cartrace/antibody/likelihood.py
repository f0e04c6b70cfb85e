"""Normal probabilities of intervals, and the line through results that are intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import log_ndtr
from scipy.stats import norm, t

if TYPE_CHECKING:
    from cartrace.antibody.titres import Bools, Floats

_LOG_ROOT = 0.5 * np.log(2 * np.pi)


class Interval(NamedTuple):
    """log(Phi(b) - Phi(a)) and its derivatives by a and b."""

    log: Floats
    a: Floats
    b: Floats
    aa: Floats
    ab: Floats
    bb: Floats


def normal_interval(a: Floats, b: Floats) -> Interval:
    """Return the logarithm of the normal probability of (a, b), with derivatives.

    Parameters
    ----------
    a, b
        Same shape, a < b; a may be -inf, b inf.

    Notes
    -----
    Both bounds are reflected into the left tail, where the logarithm of the
    distribution function keeps its digits. The function is concave in (a, b).
    """
    flip = a > 0
    left, right = np.where(flip, -b, a), np.where(flip, -a, b)
    top, bottom = log_ndtr(right), log_ndtr(left)
    with np.errstate(divide="ignore"):
        log = top + np.log1p(-np.exp(np.minimum(bottom - top, 0.0)))

    def density(x: Floats) -> tuple[Floats, Floats]:
        finite = np.isfinite(x)
        safe = np.where(finite, x, 0.0)
        # Two bounds that can't be told apart would give infinity; the cap keeps the arithmetic alive.
        p = np.where(finite, np.exp(np.minimum(-0.5 * safe * safe - _LOG_ROOT - log, 300.0)), 0.0)
        return p, safe * p

    pa, apa = density(a)
    pb, bpb = density(b)
    return Interval(log, -pa, pb, apa - pa * pa, pa * pb, -bpb - pb * pb)


@dataclass(frozen=True, slots=True)
class Lines:
    """The line of each course; arrays of length n.

    ``slope`` and ``intercept`` per unit of time, ``sigma`` the residual standard
    deviation, ``se`` the standard error of the slope, ``quantile`` what it is
    multiplied by for 95 % limits, ``converged`` where the fit stands still.
    """

    slope: Floats
    intercept: Floats
    sigma: Floats
    se: Floats
    quantile: Floats
    converged: Bools


def fit_lines(time: Floats, lower: Floats, upper: Floats, used: Bools, smallest_sigma: Floats) -> Lines:
    """Fit y = intercept + slope * t by maximum likelihood to results that are intervals.

    Parameters
    ----------
    time, lower, upper
        (n, m) time and bounds of y; equal bounds are a known y, -inf and inf are open.
    used
        (n, m) results that enter. Each course needs two with finite bounds at different times.
    smallest_sigma
        (n,) lower bound of the residual standard deviation, > 0. Without it a line
        that meets every interval would have an infinite or a flat likelihood.

    Notes
    -----
    With sigma = 1/gamma and the coefficients multiplied by gamma (Olsen,
    Econometrica 1978;46:1211) the log-likelihood is concave, also with
    intervals (Burridge, J R Stat Soc B 1981;43:41). So the fit with sigma at its
    bound is the maximum wherever the likelihood falls from there, and Newton
    steps find the one maximum elsewhere. The limits are those of ordinary regression
    (t with n - 2 degrees of freedom, variance over n - 2) where sigma was
    estimated and nothing is censored; normal where sigma is at its bound.
    """
    n = len(time)
    finite = used & np.isfinite(lower) & np.isfinite(upper)
    count = used.sum(axis=1)
    middle = np.where(finite, (np.where(finite, lower, 0.0) + np.where(finite, upper, 0.0)) / 2, 0.0)
    number = np.maximum(finite.sum(axis=1), 1)
    centre = np.where(finite, time, 0.0).sum(axis=1) / number
    level = middle.sum(axis=1) / number
    reach = np.maximum(np.where(used, np.abs(time - centre[:, None]), 0.0).max(axis=1, initial=0.0), 1e-300)
    x = np.where(used, (time - centre[:, None]) / reach[:, None], 0.0)
    low = np.where(used, lower - level[:, None], -np.inf)
    high = np.where(used, upper - level[:, None], np.inf)
    cap = 1 / smallest_sigma

    start = np.zeros((n, 3))
    start[:, 2] = cap
    fixed, standing, _ = _climb(start, x, low, high, used, free=False)
    gradient = _derivatives(fixed, x, low, high, used)[1]
    interior = standing & (gradient[:, 2] < 0)
    theta = fixed
    rows = np.flatnonzero(interior)
    if len(rows):
        moved, ok, _ = _climb(fixed[rows], x[rows], low[rows], high[rows], used[rows], free=True)
        theta[rows] = moved
        standing[rows] = ok
    information = -_derivatives(theta, x, low, high, used)[2]
    variance = np.full(n, np.nan)
    gamma = theta[:, 2]
    for i in range(n):
        variance[i] = _slope_variance(theta[i], information[i], free=bool(interior[i]))
    degrees = count - 2
    some = interior & (degrees > 0)
    correction = np.where(some, count / np.maximum(degrees, 1), 1.0)
    quantile = np.where(interior, t.ppf(0.975, np.maximum(degrees, 1)), norm.ppf(0.975))
    slope = theta[:, 1] / gamma / reach
    return Lines(
        slope=slope,
        intercept=theta[:, 0] / gamma + level - slope * centre,
        sigma=1 / gamma,
        se=np.sqrt(variance * correction) / reach,
        quantile=quantile,
        converged=standing & np.isfinite(variance),
    )


def _slope_variance(theta: Floats, information: Floats, *, free: bool) -> float:
    size = 3 if free else 2
    jacobian = np.array([0.0, 1 / theta[2], -theta[1] / theta[2] ** 2])[:size]
    try:
        return float(jacobian @ np.linalg.solve(information[:size, :size], jacobian))
    except np.linalg.LinAlgError:
        return float("nan")


def _derivatives(
    theta: Floats, x: Floats, low: Floats, high: Floats, used: Bools
) -> tuple[Floats, Floats, Floats]:
    """Return log-likelihood (n,), gradient (n, 3) and Hessian (n, 3, 3)."""
    gamma = theta[:, 2:]
    line = theta[:, :1] + theta[:, 1:2] * x
    exact = used & (low == high)
    open_low, open_high = ~np.isfinite(low), ~np.isfinite(high)
    l0, u0 = np.where(open_low, 0.0, low), np.where(open_high, 0.0, high)
    a = np.where(open_low, -np.inf, gamma * l0 - line)
    b = np.where(open_high, np.inf, gamma * u0 - line)
    # An exact result has no interval: one of width 1 stands in and is masked out.
    p = normal_interval(np.where(exact, -0.5, a), np.where(exact, 0.5, b))
    z = np.where(exact, gamma * l0 - line, 0.0)
    inside = used & ~exact
    with np.errstate(divide="ignore"):
        log_gamma = np.log(gamma)
    value = np.where(exact, log_gamma - 0.5 * z * z, np.where(inside, p.log, 0.0)).sum(axis=1)

    ones = np.ones_like(x)
    da = np.stack([-ones, -x, l0], axis=2)
    db = np.stack([-ones, -x, u0], axis=2)
    weight_a = np.where(inside, p.a, np.where(exact, -z, 0.0))
    weight_b = np.where(inside, p.b, 0.0)
    gradient = np.einsum("nm,nmk->nk", weight_a, da) + np.einsum("nm,nmk->nk", weight_b, db)
    aa = np.where(inside, p.aa, np.where(exact, -1.0, 0.0))
    ab, bb = np.where(inside, p.ab, 0.0), np.where(inside, p.bb, 0.0)
    hessian = np.einsum("nm,nmk,nml->nkl", aa, da, da) + np.einsum("nm,nmk,nml->nkl", bb, db, db)
    cross = np.einsum("nm,nmk,nml->nkl", ab, da, db)
    hessian += cross + np.swapaxes(cross, 1, 2)
    n_exact = exact.sum(axis=1)
    gradient[:, 2] += n_exact / theta[:, 2]
    hessian[:, 2, 2] -= n_exact / theta[:, 2] ** 2
    return value, gradient, hessian


def _climb(
    theta: Floats, x: Floats, low: Floats, high: Floats, used: Bools, *, free: bool
) -> tuple[Floats, Bools, Floats]:
    """Climb the concave likelihood by Newton steps with halving; gamma moves where ``free``."""
    theta = theta.copy()
    size = 3 if free else 2
    standing = np.zeros(len(theta), dtype=bool)
    current, gradient, hessian = _derivatives(theta, x, low, high, used)
    for _ in range(200):
        information = -hessian[:, :size, :size]
        ridge = 1e-12 * np.trace(information, axis1=1, axis2=2)[:, None, None] + 1e-300
        step = np.zeros_like(theta)
        step[:, :size] = np.linalg.solve(information + ridge * np.eye(size), gradient[:, :size, None])[..., 0]
        standing |= (gradient[:, :size] * step[:, :size]).sum(axis=1) < 1e-16 * np.maximum(
            1.0, np.abs(current)
        )
        length = np.where(standing, 0.0, 1.0)
        for _ in range(60):
            trial = theta + length[:, None] * step
            allowed = trial[:, 2] > 0
            safe = np.where(allowed[:, None], trial, theta)
            value = np.where(allowed, _derivatives(safe, x, low, high, used)[0], -np.inf)
            worse = ~(value >= current) & (length > 0)
            if not worse.any():
                break
            length[worse] /= 2
        better = (value >= current) & (length > 0)
        theta = np.where(better[:, None], safe, theta)
        gain = np.where(better, value - current, 0.0)
        standing |= gain <= 1e-13 * np.maximum(1.0, np.abs(current))
        if standing.all():
            break
        current, gradient, hessian = _derivatives(theta, x, low, high, used)
    return theta, standing, current
