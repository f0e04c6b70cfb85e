"""Draws from a posterior of a few parameters, each with its weight: importance sampling around the mode.

Adaptive multiple importance sampling (Cornuet et al. 2012, Scand J Stat 39:798): the first proposal is a
t distribution at the mode, each later one is fitted to all draws so far, and every draw is weighted by the
mixture of all proposals. Densities are evaluated for many points at once, so a posterior takes a fraction
of a second, and the same seed gives the same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LogDensity = Callable[[Floats], Floats]
"""Points (m, d) -> logarithm of the density of each, up to a constant."""

FREEDOM = 5.0
"""Degrees of freedom of the proposals: heavier tails than any posterior here."""
STEP = 1e-3
"""Step of numerical derivatives; all parameters are logarithms or logits."""
NEAR = 1e-6
"""Relative gain below which a mode counts as found: it is only where proposals begin."""
SPREAD_LIMITS = (1e-3, 3.0)
"""Least and largest standard deviation of a first proposal along any axis."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Weighted draws from a posterior."""

    points: Floats
    """(m, d)."""
    weights: Floats
    """(m,), together 1."""

    @property
    def effective(self) -> float:
        """Number of independent draws that would be as good (Kish)."""
        return float(1 / np.sum(self.weights**2))

    def thinned(self, most: int, rng: np.random.Generator) -> Floats:
        """Return ``most`` points of equal weight (systematic resampling)."""
        places = (rng.random() + np.arange(most)) / most
        at = np.searchsorted(np.cumsum(self.weights), places)
        return self.points[np.minimum(at, len(self.points) - 1)]


def quantile(values: Floats, weights: Floats, probabilities: Sequence[float]) -> Floats:
    """Return weighted quantiles of ``values`` (m,), between draws by their middle weights."""
    order = np.argsort(values, kind="stable")
    middle = np.cumsum(weights[order]) - weights[order] / 2
    found: Floats = np.interp(np.asarray(probabilities), middle, values[order])
    return found


def find_mode(log_density: LogDensity, starts: Floats, bounds: Sequence[tuple[float, float]]) -> Floats:
    """Return the highest point (d,) that is reached from any start (s, d)."""
    from scipy.optimize import minimize

    d = starts.shape[1]
    steps = np.vstack([np.zeros(d), np.eye(d) * STEP, -np.eye(d) * STEP])

    def downhill(x: Floats) -> tuple[float, Floats]:
        value = log_density(x + steps)
        return -float(value[0]), -(value[1 : d + 1] - value[d + 1 :]) / (2 * STEP)

    found = [
        minimize(downhill, s, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": NEAR})
        for s in starts
    ]
    best: Floats = min(found, key=lambda f: float(f.fun)).x
    return best


def curvature(log_density: LogDensity, mode: Floats) -> Floats:
    """Return the covariance (d, d) of the normal distribution that fits the mode."""
    d = len(mode)
    step = 20 * STEP
    pairs = np.vstack(
        [
            mode + step * (a * np.eye(d)[i] + b * np.eye(d)[j])
            for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))
            for i in range(d)
            for j in range(d)
        ]
    )
    value = log_density(pairs).reshape(4, d, d)
    hessian = (value[0] - value[1] - value[2] + value[3]) / (4 * step**2)
    precision, axes = np.linalg.eigh(-(hessian + hessian.T) / 2)
    low, high = SPREAD_LIMITS
    spread = np.clip(1 / np.sqrt(np.maximum(precision, high**-2)), low, high)
    covariance: Floats = (axes * spread**2) @ axes.T
    return covariance


def sample(
    log_density: LogDensity,
    starts: Floats,
    *,
    bounds: Sequence[tuple[float, float]],
    draws: int,
    effective: float,
    rounds: int,
    rng: np.random.Generator,
) -> Draws:
    """Draw from a density until the draws are worth ``effective`` independent ones, or ``rounds`` are over.

    Parameters
    ----------
    starts
        (s, d) points from which the mode is sought.
    bounds
        Least and largest value of each parameter; the density is taken as 0 beyond.
    draws
        Points of each round.
    """
    mode = find_mode(log_density, starts, bounds)
    proposals = [(mode, curvature(log_density, mode))]
    low, high = np.array(bounds).T
    points, values = np.empty((0, len(mode))), np.empty(0)
    while True:
        new = _student(*proposals[-1], draws, rng)
        inside = ((new >= low) & (new <= high)).all(axis=1)
        density = np.full(draws, -np.inf)
        density[inside] = log_density(new[inside])
        points, values = np.vstack([points, new]), np.concatenate([values, density])
        mixture = np.logaddexp.reduce([_log_student(points, *p) for p in proposals], axis=0)
        log_weights = values - mixture
        # No draw weighs more than sqrt(m) mean ones (Ionides 2008, J Comput Graph Stat 17:295).
        most = np.logaddexp.reduce(log_weights) - np.log(len(points)) / 2
        weights = np.exp(np.minimum(log_weights, most) - most)
        found = Draws(points, weights / weights.sum())
        if found.effective >= effective or len(proposals) >= rounds:
            return found
        proposals.append(_fitted(points, log_weights))


def _fitted(points: Floats, log_weights: Floats) -> tuple[Floats, Floats]:
    """Return centre and scale of the next proposal: of weights flattened until enough draws have a say."""
    enough = max(len(points) / 10, 20.0 * points.shape[1])
    power = 1.0
    while True:
        weights = np.exp(power * (log_weights - log_weights.max()))
        weights /= weights.sum()
        if 1 / np.sum(weights**2) >= enough or power < 0.01:
            break
        power *= 0.8
    centre = weights @ points
    apart = points - centre
    return centre, (apart * weights[:, None]).T @ apart


def _student(centre: Floats, scale: Floats, n: int, rng: np.random.Generator) -> Floats:
    root = np.linalg.cholesky(scale)
    stretch = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, n))
    drawn: Floats = centre + stretch[:, None] * (rng.standard_normal((n, len(centre))) @ root.T)
    return drawn


def _log_student(points: Floats, centre: Floats, scale: Floats) -> Floats:
    """Return the log density of a t distribution, without the constant that all proposals share."""
    root = np.linalg.cholesky(scale)
    apart = np.linalg.solve(root, (points - centre).T)
    d = len(centre)
    found: Floats = -np.log(np.diag(root)).sum() - (FREEDOM + d) / 2 * np.log1p(
        (apart**2).sum(axis=0) / FREEDOM
    )
    return found
