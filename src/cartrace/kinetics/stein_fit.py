"""Fit of the piecewise course by censored maximum likelihood, one course at a time.

ln C is normal around the course with one standard deviation sigma, as in Stein
2019; a result below a limit enters with the probability to lie below it, one above
the range with the probability to lie above it.

Maximum likelihood takes the parameters for known and so finds too small a sigma:
with six of them on eight results, half of it. Limits therefore count the
residual degrees of freedom, as in any regression (Seber and Wild, Nonlinear
Regression, 1989, chapter 5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import least_squares, minimize
from scipy.special import chdtri, expit, log_ndtr, logit, stdtrit

if TYPE_CHECKING:
    import numpy.typing as npt

    from cartrace.kinetics.profiles import Bools, Floats

NAMES = ("rho", "tmax", "cmax", "alpha", "beta", "fb", "sigma")
"""Order of the parameters. They are fitted as logarithms, fb as a logit."""

TWO_PHASE_POINTS = 7
"""Fewest quantified results for two phases of decline: they take six parameters."""

SIGMA_FLOOR = 0.01
"""Smallest residual standard deviation on the log scale (1 %): no assay is better,
and without a floor a course that is met exactly has no maximum."""

_RHO, _TMAX, _CMAX, _ALPHA, _BETA, _FB, _SIGMA = range(7)


@dataclass(frozen=True, slots=True)
class SteinFit:
    """Estimates of one course, in the order of ``NAMES``.

    ``value`` holds rho, alpha and beta per day, tmax in days, cmax in the unit
    of the course, fb and sigma without a unit; nan for what was not fitted.
    ``df`` is the number of quantified results less that of the parameters without
    sigma; sigma^2 is the one of maximum likelihood times n / df.
    ``se`` is the standard error on the log scale with this sigma (inf where the
    likelihood is flat, the estimate lies at the edge of the allowed range, or df
    is below 1), ``lower`` and ``upper`` are the 95 % limits: Student's t with df
    degrees of freedom, for sigma the chi-square ones. ``exact`` says that the course
    meets the results: sigma is ``SIGMA_FLOOR``, and se and limits are nan, since
    what is left tells nothing about the noise. ``phases`` is the number of
    decline rates (AIC chooses).
    """

    value: Floats
    se: Floats
    lower: Floats
    upper: Floats
    at_edge: Bools
    phases: int
    df: int
    exact: bool
    log_likelihood: float
    n_quantified: int
    n_censored: int


@dataclass(frozen=True, slots=True)
class _Data:
    """Times and logarithms: known values, upper bounds, lower bounds."""

    time: Floats
    log: Floats
    kind: npt.NDArray[np.int8]  # 0 known, 1 below the bound, 2 above the bound


def fit_stein(time: Floats, lower: Floats, upper: Floats) -> SteinFit:
    """Fit the piecewise course to one profile.

    Parameters
    ----------
    time
        (k,) days from the infusion.
    lower, upper
        (k,) bounds in the unit of the course: equal for a quantified result, lower
        0 for one below ``upper``, upper nan or inf for one above ``lower``.

    Raises
    ------
    ValueError
        With fewer than four quantified results.
    """
    known = lower == upper
    left = ~known & np.isfinite(upper) & (upper > 0)
    right = ~known & ~left & (lower > 0)
    used = known | left | right
    bound = np.where(left, upper, lower)[used]
    n = int(known.sum())
    if n < 4:
        raise ValueError(f"the piecewise course needs at least 4 quantified results, not {n}")
    # In units of the highest result, and without the last bits of the division: the search for the
    # maximum would else end elsewhere for copies/cell than for copies/ug of the same samples.
    unit = float(lower[known].max())
    log = np.round(np.log(bound / unit), 12)
    data = _Data(time[used], log, np.select([known, left], [0, 1], 2)[used].astype(np.int8))
    fits = [_fit(data, two_phases=False)]
    if n >= TWO_PHASE_POINTS:
        fits.append(_fit(data, two_phases=True))
    # AIC: each parameter must buy one unit of log-likelihood.
    best = min(fits, key=lambda f: 2 * len(f.free) + 2 * f.nll)
    fit = _report(data, best, n, len(data.time) - n)
    levels = np.ones(7)
    levels[_CMAX] = unit
    return replace(fit, value=fit.value * levels, lower=fit.lower * levels, upper=fit.upper * levels)


@dataclass(frozen=True, slots=True)
class _Best:
    theta: Floats
    free: list[int]
    nll: float
    low: Floats
    high: Floats


def _fit(data: _Data, *, two_phases: bool) -> _Best:
    free = list(range(7)) if two_phases else [_RHO, _TMAX, _CMAX, _ALPHA, _SIGMA]
    low, high = _limits(data)
    shape = free[:-1]

    def full(x: Floats, sigma: float = 0.0) -> Floats:
        theta = np.array([0.0, 0.0, 0.0, 0.0, np.log(1e-5), -np.inf, sigma])
        theta[free[: len(x)]] = x
        return theta

    def distance(x: Floats) -> Floats:
        gap = data.log - _course(data.time, full(x))[0]
        # A censored result pulls only from the wrong side of its bound.
        return np.select([data.kind == 0, data.kind == 1], [gap, np.minimum(gap, 0)], np.maximum(gap, 0))

    def slope(x: Floats) -> Floats:
        theta = full(x)
        f, jacobian = _course(data.time, theta)
        gap = data.log - f
        pulls = (data.kind == 0) | ((data.kind == 1) & (gap < 0)) | ((data.kind == 2) & (gap > 0))
        return np.asarray(-jacobian[:, shape] * pulls[:, None])

    def objective(x: Floats) -> tuple[float, Floats]:
        value, gradient = _negative_log_likelihood(data, full(x))
        return value, gradient[free]

    tries: list[tuple[float, Floats]] = []
    for start in _starts(data, two_phases=two_phases):
        x0 = np.clip(start[shape], low[shape] + 1e-6, high[shape] - 1e-6)
        found = least_squares(distance, x0, jac=slope, bounds=(low[shape], high[shape]), max_nfev=200)
        tries.append((float(found.cost), found.x))
    tries.sort(key=lambda item: item[0])
    bounds = list(zip(low[free], high[free], strict=True))
    best: Any = None
    for cost, x in tries[:3]:
        sigma = np.sqrt(2 * cost / max(1, int((data.kind == 0).sum())))
        x0 = np.append(x, np.log(np.clip(sigma, SIGMA_FLOOR, 4.0)))
        climbed = minimize(
            objective, x0, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500}
        )
        if best is None or climbed.fun < best.fun:
            best = climbed
    return _Best(full(best.x), free, float(best.fun), low, high)


def _limits(data: _Data) -> tuple[Floats, Floats]:
    """Return the allowed range of each transformed parameter.

    Wider than any published course; Cmax stays within tenfold of the highest
    result, since a spike between two samples has no other bound.
    """
    known = data.kind == 0
    top = float(data.log[data.kind != 1].max())
    last = float(data.time[known].max())
    low = [np.log(0.01), np.log(min(0.1, last / 10)), top - np.log(10), np.log(1e-3), np.log(1e-5), -14.0]
    high = [np.log(20.0), np.log(last), top + np.log(10), np.log(10.0), np.log(1.0), 5.0]
    return np.array([*low, np.log(SIGMA_FLOOR)]), np.array([*high, np.log(5.0)])


def _starts(data: _Data, *, two_phases: bool) -> list[Floats]:
    known = data.kind != 1
    t, y = data.time[known], data.log[known]
    peak = int(y.argmax())
    tmax = max(float(t[peak]), 0.5)
    before = data.time[data.time < tmax]
    after = data.time[data.time > tmax]
    peaks = [tmax, (tmax + (before.max() if len(before) else 0.0)) / 2]
    if len(after):
        peaks.append((tmax + float(after.min())) / 2)
    rise = (y[peak] - y[0]) / (tmax - t[0]) if peak > 0 else np.log(3900) / tmax
    fall = (y[peak] - y[-1]) / (t[-1] - tmax) if t[-1] > tmax and y[-1] < y[peak] else 0.05
    next_fall = fall
    if peak + 1 < len(y) and y[peak + 1] < y[peak]:
        next_fall = (y[peak] - y[peak + 1]) / (t[peak + 1] - t[peak])
    slow = [(max(fall, next_fall, 0.02), 0.003, 0.01), (max(2 * fall, 0.16), max(fall / 10, 1e-3), 0.1)]
    if not two_phases:
        slow = [(max(fall, 1e-3), 1e-5, 0.01), (max(next_fall, 1e-3), 1e-5, 0.01)]
    return [
        np.array(
            [
                np.log(max(rise, 0.05)),
                np.log(max(p, 0.2)),
                y[peak],
                np.log(a),
                np.log(b),
                logit(f),
                np.log(0.5),
            ]
        )
        for p in peaks
        for a, b, f in slow
    ]


def _course(time: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Return ln C (k,) and its derivatives (k, 7) by the transformed parameters."""
    rho, tmax, alpha, beta = np.exp(theta[[_RHO, _TMAX, _ALPHA, _BETA]])
    fb = expit(theta[_FB])
    u = time - tmax
    rising = u < 0
    down = np.where(rising, 0.0, u)
    with np.errstate(divide="ignore"):
        fast = np.log1p(-fb) - alpha * down
        slow = np.log(fb) - beta * down
    decline = np.logaddexp(fast, slow)
    w = np.exp(slow - decline)
    f = theta[_CMAX] + np.where(rising, rho * u, decline)
    jacobian = np.zeros((len(time), 7))
    jacobian[:, _RHO] = np.where(rising, rho * u, 0.0)
    jacobian[:, _TMAX] = tmax * np.where(rising, -rho, (1 - w) * alpha + w * beta)
    jacobian[:, _CMAX] = 1.0
    jacobian[:, _ALPHA] = -(1 - w) * alpha * down
    jacobian[:, _BETA] = -w * beta * down
    jacobian[:, _FB] = np.where(rising, 0.0, w - fb)
    return f, jacobian


def _negative_log_likelihood(data: _Data, theta: Floats) -> tuple[float, Floats]:
    """Return -ln L and its gradient (7,)."""
    f, jacobian = _course(data.time, theta)
    sigma = np.exp(theta[_SIGMA])
    r = (data.log - f) / sigma
    z = np.where(data.kind == 2, -r, r)
    log_probability = log_ndtr(z)
    mills = np.exp(-0.5 * z * z - 0.5 * np.log(2 * np.pi) - log_probability)
    known = data.kind == 0
    value = np.where(known, theta[_SIGMA] + 0.5 * r * r, -log_probability).sum()
    by_f = np.select([known, data.kind == 1], [-r, mills], -mills) / sigma
    gradient = by_f @ jacobian
    gradient[_SIGMA] = np.where(known, 1 - r * r, mills * z).sum()
    return float(value), gradient


def _report(data: _Data, best: _Best, n_quantified: int, n_censored: int) -> SteinFit:
    theta = best.theta.copy()
    two = _BETA in best.free
    edge = np.zeros(7, dtype=bool)
    near = 1e-4
    edge[best.free] = ((theta - best.low < near) | (best.high - theta < near))[best.free]
    if two and theta[_ALPHA] < theta[_BETA]:
        # The two phases are one sum: name the faster one alpha.
        theta[[_ALPHA, _BETA]] = theta[[_BETA, _ALPHA]]
        edge[[_ALPHA, _BETA]] = edge[[_BETA, _ALPHA]]
        theta[_FB] = -theta[_FB]
    df = n_quantified - (len(best.free) - 1)
    exact = bool(theta[_SIGMA] - best.low[_SIGMA] < near)
    if df > 0 and not exact:
        theta[_SIGMA] += 0.5 * np.log(n_quantified / df)
    se = np.full(7, np.inf)
    if df > 0:
        inside = [i for i in best.free if i != _SIGMA and not edge[i]]
        se[inside] = _standard_errors(data, theta, inside)
        se[_SIGMA] = np.sqrt(0.5 / df)
    centre = np.exp(theta)
    centre[_FB] = expit(theta[_FB])
    reach = (stdtrit(df, 0.975) if df > 0 else 1.0) * se
    with np.errstate(over="ignore", invalid="ignore"):
        lower, upper = np.exp(theta - reach), np.exp(theta + reach)
        lower[_FB], upper[_FB] = expit(theta[_FB] - reach[_FB]), expit(theta[_FB] + reach[_FB])
    if df > 0:
        lower[_SIGMA], upper[_SIGMA] = centre[_SIGMA] * np.sqrt(df / chdtri(df, [0.025, 0.975]))
    if exact:
        told = np.isfinite(se)
        for array in (se, lower, upper):
            array[told] = np.nan
    # From the logit to the logarithm: d ln(fb) = (1 - fb) d logit(fb).
    se[_FB] *= 1 - centre[_FB]
    absent = [i for i in range(7) if i not in best.free]
    for array in (centre, se, lower, upper):
        array[absent] = np.nan
    return SteinFit(
        value=centre,
        se=se,
        lower=lower,
        upper=upper,
        at_edge=edge,
        phases=2 if two else 1,
        df=df,
        exact=exact,
        log_likelihood=-best.nll,
        n_quantified=n_quantified,
        n_censored=n_censored,
    )


def _standard_errors(data: _Data, theta: Floats, free: list[int]) -> Floats:
    """Return the standard errors of ``free`` (without sigma) from the information at the estimate.

    The information is the Gauss-Newton form of the observed one: the curvature of
    each result's log-likelihood, without the second derivatives of the course, so
    that it is never negative. ln C has a kink at Tmax and the maximum tends
    to lie where Tmax meets a sample; its derivative is therefore the secant over
    the gap between the neighbouring samples. A direction without curvature makes
    every parameter that it moves infinite.
    """
    f, jacobian = _course(data.time, theta)
    step = np.zeros(7)
    step[_TMAX] = _gap(data.time, float(np.exp(theta[_TMAX])))
    secant = _course(data.time, theta + step)[0] - _course(data.time, theta - step)[0]
    jacobian[:, _TMAX] = secant / (2 * step[_TMAX])
    sigma = np.exp(theta[_SIGMA])
    r = (data.log - f) / sigma
    z = np.where(data.kind == 2, -r, r)
    mills = np.exp(-0.5 * z * z - 0.5 * np.log(2 * np.pi) - log_ndtr(z))
    known = data.kind == 0
    weight = np.where(known, 1.0, mills * (z + mills))
    moves = jacobian / sigma
    information = (moves * weight[:, None]).T @ moves
    values, vectors = np.linalg.eigh(information[np.ix_(free, free)])
    flat = values <= 1e-6
    variance = (vectors[:, ~flat] ** 2 / values[~flat]).sum(axis=1)
    moved = (vectors[:, flat] ** 2).sum(axis=1) > 1e-4
    return np.where(moved, np.inf, np.sqrt(variance))


def _gap(time: Floats, tmax: float) -> float:
    """Return half the gap between the samples around ``tmax``, on the log scale."""
    near = 1e-3 * tmax
    before, after = time[time < tmax - near], time[time > tmax + near]
    low = before.max() if len(before) else 0.0
    high = after.min() if len(after) else tmax
    return float(np.clip((high - low) / 2 / tmax, 1e-4, 0.5))
