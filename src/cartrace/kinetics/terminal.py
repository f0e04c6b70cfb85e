"""The terminal phase: every window of every course in one go, and the left-censored fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_ndtr

from cartrace.kinetics.profiles import NEVER, NO_RESULT, Bools, Floats, Integers, Outline, Profiles
from cartrace.kinetics.rows import Texts, given, texts

if TYPE_CHECKING:
    from cartrace.config import HalfLife


FLAT = 1e-9
"""Fall of ln C over a whole window below which it is rounding: equal results have no half-life."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """The chosen window of each course; arrays of length n.

    ``rate`` is lambda_z per day, ``log_intercept`` the logarithm of the line at
    day 0, ``n_points``, ``adj_r2`` and ``span`` (window over half-life) describe the
    window from ``start`` to ``end``; all nan where no window was found. ``missing``
    says why there is no window, ``refusal`` why the window is not good enough.
    """

    rate: Floats
    log_intercept: Floats
    n_points: Floats
    adj_r2: Floats
    span: Floats
    start: Floats
    end: Floats
    missing: Texts
    refusal: Texts

    @property
    def accepted(self) -> Bools:
        """(n,) where the half-life is reported."""
        return ~given(self.missing) & ~given(self.refusal)


def terminal_phase(profiles: Profiles, shape: Outline, settings: HalfLife) -> Terminal:
    """Choose the terminal window of each course by its adjusted r2.

    Windows end at the last quantified result, begin strictly after the first
    Tmax (or at it with ``allow_tmax``) and hold at least ``min_points`` results;
    results below or above the range don't enter. Among windows that decline and
    whose adjusted r2 is above the best minus ``adj_r2_factor`` the one with the
    most points wins. The best is taken over all windows (pknca: half.life.R of
    PKNCA; a window that rises can veto) or over the declining ones (winnonlin).
    """
    time, y, use = _packed_from_the_end(profiles, shape, allow_tmax=settings.allow_tmax)
    k = np.arange(1, time.shape[1] + 1)
    # Times and logarithms count from the last point, so the sums don't cancel.
    st, sy = np.cumsum(time, axis=1), np.cumsum(y, axis=1)
    sxx = np.cumsum(time * time, axis=1) - st * st / k
    sxy = np.cumsum(time * y, axis=1) - st * sy / k
    syy = np.cumsum(y * y, axis=1) - sy * sy / k
    valid = (k <= use[:, None]) & (k >= settings.min_points)
    varied = valid & (syy > 0) & (sxx > 0)
    slope = np.where(varied, sxy, 0.0) / np.where(varied, sxx, 1.0)
    r2 = np.minimum(1.0, slope * np.where(varied, sxy, 0.0) / np.where(varied, syy, 1.0))
    adj_r2 = np.where(varied, 1 - (1 - r2) * (k - 1) / np.maximum(k - 2, 1), -np.inf)
    declining = varied & (slope < 0)
    rivals = varied if settings.rule == "pknca" else declining
    best = np.where(rivals, adj_r2, -np.inf).max(axis=1, initial=-np.inf)
    candidate = declining & (adj_r2 > (best - settings.adj_r2_factor)[:, None])
    found = candidate.any(axis=1)
    width = candidate.shape[1]
    chosen = np.where(found, width - 1 - candidate[:, ::-1].argmax(axis=1), 0)
    row = np.arange(len(chosen))

    def pick(values: Floats) -> Floats:
        return np.where(found, values[row, chosen], np.nan)

    rate = -pick(slope)
    y_last = np.where(found, _last_log(profiles, use > 0), np.nan)
    t_last = np.where(found, _last_quantified_time(profiles), np.nan)
    mean_t, mean_y = pick(st / k), pick(sy / k)
    start = t_last + pick(time)
    span = (t_last - start) * rate / np.log(2)
    found_adj = pick(adj_r2)

    missing = np.full(len(row), None, dtype=object)
    where = "at or after Tmax" if settings.allow_tmax else "after Tmax"
    missing[~found] = "no declining window"
    if settings.rule == "pknca":
        missing[~found & declining.any(axis=1)] = "no declining window fits best: the best one rises"
    missing[valid.any(axis=1) & ~varied.any(axis=1)] = "constant results"
    missing[~valid.any(axis=1)] = f"fewer than {settings.min_points} quantifiable results {where}"
    missing[~shape.any_quantifiable] = NEVER
    missing[~shape.any_result] = NO_RESULT
    short = found & (span < settings.min_span_ratio)
    loose = found & (found_adj < settings.min_adj_r2)
    refusal = texts(short, f"span %.1f half-lives below {settings.min_span_ratio:g}", _down(span, 1))
    poor = texts(loose, f"adjusted r2 %.2f below {settings.min_adj_r2:g}", _down(found_adj, 2))
    refusal[loose] = poor[loose]
    return Terminal(
        rate=rate,
        log_intercept=mean_y + y_last + rate * (mean_t + t_last),
        n_points=np.where(found, chosen + 1.0, np.nan),
        adj_r2=found_adj,
        span=span,
        start=start,
        end=t_last,
        missing=missing,
        refusal=refusal,
    )


def _down(x: Floats, digits: int) -> Floats:
    # A number that is below a limit must not be shown rounded up to it.
    return np.asarray(np.floor(x * 10**digits + 1e-6) / 10**digits)


def _late(profiles: Profiles, shape: Outline, *, allow_tmax: bool) -> Bools:
    """(n, m) results after Tmax."""
    with np.errstate(invalid="ignore"):
        tmax = shape.tmax[:, None]
        return np.asarray(profiles.time >= tmax if allow_tmax else profiles.time > tmax)


def _packed_from_the_end(
    profiles: Profiles, shape: Outline, *, allow_tmax: bool
) -> tuple[Floats, Floats, Integers]:
    """Pack the quantified results after Tmax, the last one first.

    Returns
    -------
    time, log
        (n, m) days and logarithms relative to the last quantified result, 0 where padded.
    use
        (n,) number of results.
    """
    use = profiles.quantified & _late(profiles, shape, allow_tmax=allow_tmax)
    backwards = use[:, ::-1]
    order = np.argsort(~backwards, axis=1, kind="stable")
    number = use.sum(axis=1)
    there = np.arange(use.shape[1]) < number[:, None]

    def pack(values: Floats) -> Floats:
        packed = np.take_along_axis(values[:, ::-1], order, axis=1)
        return np.where(there, packed - packed[:, :1], 0.0)

    return pack(profiles.time), pack(_logs(profiles)), number


def _logs(profiles: Profiles) -> Floats:
    return np.log(np.where(profiles.quantified, profiles.value, 1.0))


def _last_quantified(profiles: Profiles) -> Integers:
    known = profiles.quantified
    return np.asarray(known.shape[1] - 1 - known[:, ::-1].argmax(axis=1))


def _last_quantified_time(profiles: Profiles) -> Floats:
    return np.asarray(profiles.time[np.arange(len(profiles)), _last_quantified(profiles)])


def _last_log(profiles: Profiles, where: Bools) -> Floats:
    return np.where(where, _logs(profiles)[np.arange(len(profiles)), _last_quantified(profiles)], np.nan)


@dataclass(frozen=True, slots=True)
class Tobit:
    """The left-censored fit of each course; arrays of length n."""

    rate: Floats
    n_points: Floats
    n_censored: Floats
    start: Floats
    end: Floats
    reason: Texts


def tobit_phase(profiles: Profiles, shape: Outline, phase: Terminal, settings: HalfLife) -> Tobit:
    """Fit the terminal phase by maximum likelihood, results below a limit as left-censored.

    The window begins where the ordinary one does (all results after Tmax where
    none was found) and goes on to the last result with a known bound. Needs
    ``min_points`` quantified results. In Olsen's parametrisation (coefficients
    and 1 over the standard deviation) the log-likelihood is concave (Olsen,
    Econometrica 1978;46:1211), so Newton steps with halving reach the one
    maximum, for all courses at once.
    """
    late = _late(profiles, shape, allow_tmax=settings.allow_tmax)
    with np.errstate(invalid="ignore"):
        late &= np.isnan(phase.start)[:, None] | (profiles.time >= phase.start[:, None])
    known = profiles.quantified & late
    censored = profiles.below & late & (profiles.upper > 0)
    n_known, n_censored = known.sum(axis=1), censored.sum(axis=1)
    enough = n_known >= settings.min_points
    used = known | censored
    reason = np.full(len(late), None, dtype=object)
    where = "at or after Tmax" if settings.allow_tmax else "after Tmax"
    reason[~enough] = f"fewer than {settings.min_points} quantifiable results {where}"
    reason[~shape.any_quantifiable] = NEVER
    reason[~shape.any_result] = NO_RESULT

    rate = np.full(len(late), np.nan)
    rows = np.flatnonzero(enough)
    if len(rows):
        bound = np.where(known, profiles.value, np.where(censored, profiles.upper, 1.0))[rows]
        slope, converged = _tobit(profiles.time[rows], np.log(bound), known[rows], censored[rows])
        rate[rows] = -slope
        reason[rows[~converged]] = "the censored fit did not converge"
        window = np.where(used, profiles.time, np.nan)[rows]
        span = np.fmax.reduce(window, axis=1) - np.fmin.reduce(window, axis=1)
        reason[rows[converged & ~(-slope * span > FLAT)]] = "no decline"
    rate[given(reason)] = np.nan
    time = np.where(used, profiles.time, np.nan)
    start = np.where(enough, np.fmin.reduce(time, axis=1), np.nan)
    end = np.where(enough, np.fmax.reduce(time, axis=1), np.nan)
    return Tobit(rate, (n_known + n_censored).astype(float), n_censored.astype(float), start, end, reason)


def _tobit(time: Floats, y: Floats, known: Bools, censored: Bools) -> tuple[Floats, Bools]:
    """Return the slope (k,) per day of the censored regression of y on time, and whether it converged."""
    used = known | censored
    n = known.sum(axis=1)
    # Centre and scale by the quantified results: the Newton system is then well conditioned.
    centre = (np.where(known, time, 0.0).sum(axis=1) / n)[:, None]
    reach = np.maximum(np.where(used, np.abs(time - centre), 0.0).max(axis=1), 1e-300)[:, None]
    x = np.where(used, (time - centre) / reach, 0.0)
    middle = (np.where(known, y, 0.0).sum(axis=1) / n)[:, None]
    v = np.where(used, y - middle, 0.0)

    sx = np.where(known, x, 0.0)
    sxx = (sx * sx).sum(axis=1)
    slope = (sx * v).sum(axis=1) / np.where(sxx > 0, sxx, 1.0)
    residual = np.where(known, v - slope[:, None] * x, 0.0)
    sigma = np.sqrt((residual**2).sum(axis=1) / n)
    scale = np.sqrt((np.where(known, v, 0.0) ** 2).sum(axis=1) / n)
    fits = np.where(censored, slope[:, None] * x <= v, True).all(axis=1)
    # Without a censored result, or with a perfect line below every bound, least squares is the maximum.
    done = ~censored.any(axis=1) | (fits & (sigma <= 1e-9 * np.maximum(scale, 1e-12)))
    converged = done.copy()
    todo = np.flatnonzero(~done)
    if len(todo):
        result, ok = _newton(x[todo], v[todo], known[todo], slope[todo], sigma[todo], censored=censored[todo])
        slope[todo] = result
        converged[todo] = ok
    return slope / reach[:, 0], converged


def _newton(
    x: Floats, v: Floats, known: Bools, slope: Floats, sigma: Floats, *, censored: Bools
) -> tuple[Floats, Bools]:
    """Climb the concave log-likelihood; return the slope (k,) of v on x and whether it stands still."""
    n = known.sum(axis=1)

    def value(theta: Floats) -> Floats:
        z = theta[:, 2:] * v - theta[:, :1] - theta[:, 1:2] * x
        gamma = theta[:, 2]
        exact = n * np.log(np.where(gamma > 0, gamma, 1.0)) - 0.5 * np.where(known, z, 0.0).__pow__(2).sum(
            axis=1
        )
        total = exact + np.where(censored, log_ndtr(z), 0.0).sum(axis=1)
        return np.where(gamma > 0, total, -np.inf)

    gamma = 1 / np.maximum(sigma, 0.05)
    theta = np.column_stack([np.zeros(len(x)), slope * gamma, gamma])
    current = value(theta)
    design = np.stack([-np.ones_like(x), -x, v], axis=2)
    converged = np.zeros(len(x), dtype=bool)
    for _ in range(100):
        z = theta[:, 2:] * v - theta[:, :1] - theta[:, 1:2] * x
        mills = np.exp(-0.5 * z * z - 0.5 * np.log(2 * np.pi) - log_ndtr(z))
        first = np.where(known, -z, 0.0) + np.where(censored, mills, 0.0)
        second = np.where(known, 1.0, 0.0) + np.where(censored, mills * (z + mills), 0.0)
        gradient = np.einsum("nm,nmk->nk", first, design)
        gradient[:, 2] += n / theta[:, 2]
        information = np.einsum("nm,nmk,nml->nkl", second, design, design)
        information[:, 2, 2] += n / theta[:, 2] ** 2
        # A trace of ridge keeps the solve alive where a direction carries nothing.
        information += 1e-12 * np.trace(information, axis1=1, axis2=2)[:, None, None] * np.eye(3)
        step = np.linalg.solve(information, gradient[:, :, None])[:, :, 0]
        converged |= (gradient * step).sum(axis=1) < 1e-16 * np.maximum(1.0, np.abs(current))
        size = np.where(converged, 0.0, 1.0)
        for _ in range(40):
            trial = value(theta + size[:, None] * step)
            worse = ~(trial >= current) & (size > 0)
            if not worse.any():
                break
            size[worse] /= 2
        trial = value(theta + size[:, None] * step)
        better = trial >= current
        theta = np.where(better[:, None], theta + size[:, None] * step, theta)
        gain = np.where(better, trial - current, 0.0)
        current = np.where(better, trial, current)
        converged |= gain <= 1e-14 * np.maximum(1.0, np.abs(current))
        if converged.all():
            break
    # sigma that shrinks to nothing means a perfect line: the slope is still the ratio.
    return theta[:, 1] / theta[:, 2], converged
