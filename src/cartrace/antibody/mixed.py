"""Exponential decay over all subjects with random effects, by maximum likelihood.

The model of subject i: ln y = ln y0 + b_i - k_i t + error. The random effects
are integrated out by adaptive Gauss-Hermite quadrature around each subject's own
mode (Pinheiro and Bates, J Comput Graph Stat 1995;4:12), so a result can be a number,
an interval, or below or above a limit. The error is constant on the log scale. With
normal rates and numbers only one node is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from cartrace.antibody.likelihood import normal_interval

if TYPE_CHECKING:
    from cartrace.antibody.titres import Bools, Floats

_LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, slots=True)
class Series:
    """Results of n subjects, at most m each.

    ``time`` in days; ``lower`` and ``upper`` (n, m) bounds on the natural scale,
    equal for a number, 0 and inf where open; ``used`` (n, m) where there is a result.
    """

    time: Floats
    lower: Floats
    upper: Floats
    used: Bools

    @property
    def exact(self) -> Bools:
        """(n, m) where the result is a number."""
        return np.asarray(self.used & (self.lower == self.upper))


@dataclass(frozen=True, slots=True)
class Model:
    """Distribution of the rates, and nodes of the quadrature in each direction."""

    rate: Literal["normal", "log_normal"] = "log_normal"
    nodes: int = 7


@dataclass(frozen=True, slots=True)
class Decay:
    """The fitted decay.

    ``estimate`` (5,): ln y0; rate (normal) or ln rate (log_normal); standard
    deviations of ln y0 and of the rate (or its logarithm) between subjects; ln of
    the residual standard deviation. ``covariance`` (5, 5) from the numerical
    Hessian; ``log_likelihood`` on the scale of the results; ``problem`` says why the
    estimates can't be trusted, empty when they can.
    """

    estimate: Floats
    covariance: Floats
    log_likelihood: float
    problem: str


def fit(series: Series, model: Model) -> Decay:
    """Fit the decay by maximum likelihood, from several starts."""
    reach = float(series.time[series.used].max())
    # One unit of every parameter then moves the curve by about one unit of ln y.
    scale = np.array([1.0, 1 / reach, 1.0, 1 / reach, 1.0])
    if model.rate == "log_normal":
        scale = np.ones(5)
    likelihood = Likelihood(series, model)

    def objective(theta: Floats) -> float:
        value = -likelihood.total(theta * scale)
        return value if np.isfinite(value) else 1e10

    def climb(start: Floats, slope: float) -> OptimizeResult:
        return minimize(objective, start, method="BFGS", options={"gtol": slope, "maxiter": 200})

    rough = [climb(start / scale, 0.05) for start in _starts(series, model)]
    best = climb(min(rough, key=lambda found: float(found.fun)).x, 1e-3)
    theta, value = np.asarray(best.x), float(best.fun)
    # The gradient by differences ends early; central differences and Newton finish the climb.
    gradient, hessian = _differences(objective, theta)
    for _ in range(5):
        if not np.isfinite(hessian).all() or np.linalg.eigvalsh(hessian)[0] <= 0:
            break
        trial = theta - np.linalg.solve(hessian, gradient)
        reached = objective(trial)
        if reached > value - 1e-10:
            break
        theta, value = trial, reached
        gradient, hessian = _differences(objective, theta)
    covariance, problem = _covariance(gradient, hessian, value)
    estimate = theta * scale
    estimate[2:4] = np.abs(estimate[2:4])
    return Decay(estimate, covariance * np.outer(scale, scale), -value, problem)


def _covariance(gradient: Floats, hessian: Floats, value: float) -> tuple[Floats, str]:
    nothing = np.full((5, 5), np.nan)
    if value >= 1e10 or not np.isfinite(hessian).all():
        return nothing, "the fit did not converge"
    eigenvalues = np.linalg.eigvalsh(hessian)
    if eigenvalues[0] <= 1e-6 * eigenvalues[-1]:
        return nothing, "no clear maximum of the likelihood: the results don't tell the parameters apart"
    covariance = np.linalg.inv(hessian)
    # Newton's decrement: how much likelihood is still to gain.
    if float(gradient @ covariance @ gradient) > 1e-3:
        return nothing, "the fit did not converge"
    return covariance, ""


def _differences(objective: object, theta: Floats) -> tuple[Floats, Floats]:
    """Return gradient (5,) and Hessian (5, 5) by central differences."""
    assert callable(objective)
    size, h = len(theta), 1e-3
    unit = np.eye(size) * h
    centre = objective(theta)
    plus = np.array([objective(theta + e) for e in unit])
    minus = np.array([objective(theta - e) for e in unit])
    hessian = np.diag(plus + minus - 2 * centre) / h**2
    for i in range(size):
        for j in range(i):
            cross = (
                objective(theta + unit[i] + unit[j])
                - objective(theta + unit[i] - unit[j])
                - objective(theta - unit[i] + unit[j])
                + objective(theta - unit[i] - unit[j])
            )
            hessian[i, j] = hessian[j, i] = cross / (4 * h * h)
    return (plus - minus) / (2 * h), hessian


def _starts(series: Series, model: Model) -> list[Floats]:
    """Begin at the pooled line, with several splits of the spread."""
    used = series.used
    bounded = used & (series.lower > 0) & np.isfinite(series.upper)
    top = np.where(np.isfinite(series.upper), series.upper, series.lower)
    low = np.where(bounded, series.lower, 1.0)
    middle = np.where(bounded, np.sqrt(low * np.where(bounded, series.upper, 1.0)), top / 2)
    y, t = np.log(np.maximum(middle[used], 1e-300)), series.time[used]
    spread = t - t.mean()
    slope = float((spread * y).sum() / max(float((spread**2).sum()), 1e-300))
    sd = max(float(np.std(y - slope * spread)), 0.1)
    reach = float(t.max())
    rate = -slope if model.rate == "normal" else float(np.log(max(-slope, 0.1 / reach)))
    unit = 1 / reach if model.rate == "normal" else 1.0
    level = float(y.mean() - slope * t.mean())
    return [
        np.array([level, rate, between * sd, turn * unit, np.log(within * sd)])
        for between, turn, within in ((0.8, 0.2, 0.5), (0.3, 0.5, 0.9), (0.9, 0.6, 0.2))
    ]


class Likelihood:
    """The marginal log-likelihood of the model, as a function of the five parameters."""

    def __init__(self, series: Series, model: Model) -> None:
        """Prepare the quadrature, and remember the last modes as starts of the next search."""
        self.series, self.model = series, model
        self.exact = series.exact
        exactly = model.rate == "normal" and bool((self.exact == series.used).all())
        nodes = 1 if exactly else model.nodes
        x, w = np.polynomial.hermite.hermgauss(nodes)
        self.x = np.stack([g.ravel() for g in np.meshgrid(x, x, indexing="ij")], axis=1)
        self.log_w = np.add.outer(np.log(w), np.log(w)).ravel() + (self.x**2).sum(axis=1)
        self.mode = np.zeros((len(series.time), 2))
        used, exact = series.used, self.exact
        self.time = np.where(used, series.time, 0.0)
        self.log_y = np.log(np.where(exact, series.lower, 1.0))
        with np.errstate(divide="ignore"):
            self.log_low = np.log(np.where(used, series.lower, 0.0))
            self.log_high = np.log(np.where(used, series.upper, np.inf))

    def total(self, theta: Floats) -> float:
        """Return the log-likelihood at ``theta`` (5,), as in ``Decay.estimate``."""
        return float(self.subjects(theta).sum())

    def subjects(self, theta: Floats) -> Floats:
        """Return the log-likelihood of each subject (n,)."""
        if not np.isfinite(theta).all() or np.abs(theta[4]) > 20:
            return np.full(len(self.time), -np.inf)
        mode, information = self._modes(theta)
        root = np.linalg.cholesky(information)
        # eta = mode + sqrt(2) C^-T x, with information = C C^T
        inverse = np.linalg.inv(root)
        step = np.sqrt(2) * np.einsum("qk,nkl->nql", self.x, inverse)
        value = self._joint(mode[:, None, :] + step, theta)[0] + self.log_w
        peak = value.max(axis=1)
        total = peak + np.log(np.exp(value - peak[:, None]).sum(axis=1))
        log_det = np.log(root[:, 0, 0]) + np.log(root[:, 1, 1])
        return np.asarray(total + np.log(2) - log_det - _LOG_2PI)

    def _joint(self, eta: Floats, theta: Floats) -> tuple[Floats, Floats, Floats]:
        """Return h = ln p(y | eta) - |eta|^2 / 2, its gradient and its (expected) information.

        ``eta`` is (n, q, 2); the answers are (n, q), (n, q, 2) and (n, q, 2, 2).
        """
        level, rate, sd_level, sd_rate, log_s = theta
        s = float(np.exp(log_s))
        time = self.time[:, None, :]
        if self.model.rate == "normal":
            k = rate + sd_rate * eta[..., 1]
            turn = -time * sd_rate
        else:
            k = np.exp(np.clip(rate + sd_rate * eta[..., 1], -50, 50))
            turn = -time * (k * sd_rate)[..., None]
        mu = level + sd_level * eta[..., :1] - k[..., None] * time
        log, slope, weight = self._results(mu, s)
        used = self.series.used[:, None, :]
        log, slope, weight = (np.where(used, part, 0.0) for part in (log, slope, weight))
        turn = np.broadcast_to(turn, mu.shape)
        value = log.sum(axis=2) - 0.5 * (eta**2).sum(axis=2)
        gradient = np.stack([sd_level * slope.sum(axis=2), (slope * turn).sum(axis=2)], axis=2) - eta
        information = np.empty((*eta.shape, 2))
        information[..., 0, 0] = 1 + sd_level**2 * weight.sum(axis=2)
        information[..., 0, 1] = information[..., 1, 0] = sd_level * (weight * turn).sum(axis=2)
        information[..., 1, 1] = 1 + (weight * turn * turn).sum(axis=2)
        return value, gradient, information

    def _results(self, mu: Floats, s: float) -> tuple[Floats, Floats, Floats]:
        """Return ln p of each result, its derivative by mu and minus the second one."""
        exact = self.exact[:, None, :]
        z = (self.log_y[:, None, :] - mu) / s
        if self.exact[self.series.used].all():
            log, slope, weight = np.zeros_like(z), np.zeros_like(z), np.zeros_like(z)
        else:
            a = np.where(exact, -1.0, (self.log_low[:, None, :] - mu) / s)
            b = np.where(exact, 1.0, (self.log_high[:, None, :] - mu) / s)
            p = normal_interval(a, b)
            log, slope, weight = p.log, -(p.a + p.b) / s, -(p.aa + 2 * p.ab + p.bb) / s**2
        number = -0.5 * z * z - np.log(s) - 0.5 * _LOG_2PI - self.log_y[:, None, :]
        return (
            np.where(exact, number, log),
            np.where(exact, z / s, slope),
            np.maximum(np.where(exact, 1 / s**2, weight), 0.0),
        )

    def _modes(self, theta: Floats) -> tuple[Floats, Floats]:
        """Find the mode (n, 2) of each subject's random effects, and the information there."""
        eta = self.mode
        value, gradient, information = self._joint(eta[:, None, :], theta)
        for _ in range(100):
            step = np.linalg.solve(information[:, 0], gradient[:, 0, :, None])[..., 0]
            if np.abs(step).max(initial=0.0) < 1e-8:
                break
            length = np.ones(len(eta))
            for _ in range(30):
                trial = eta + length[:, None] * step
                reached = self._joint(trial[:, None, :], theta)
                worse = ~(reached[0][:, 0] >= value[:, 0] - 1e-12)
                if not worse.any():
                    eta, (value, gradient, information) = trial, reached
                    break
                length[worse] /= 2
            else:
                eta = np.where(worse[:, None], eta, trial)
                value, gradient, information = self._joint(eta[:, None, :], theta)
        self.mode = eta
        return eta, information[:, 0]
