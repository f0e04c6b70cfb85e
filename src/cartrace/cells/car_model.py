"""CAR molecules of T cells as a mixture: cells that carry the CAR, and cells that only catch what floats.

For a cell of depth s (its UMIs over the median T cell's) the model says

    CAR- T cell      k ~ Poisson(s (ambient + misassigned) g),   g ~ gamma, mean 1, CV ``variation``
    CAR+ T cell      k ~ Poisson(s (ambient + misassigned + x)), x ~ generalised gamma
    other cell       k ~ CAR- without misassigned; a share ``hidden`` of them are T cells after all

The generalised gamma distribution (Stacy 1962; Prentice 1974, Biometrika 61:539) runs from the
log-normal (``tail`` 0) over the gamma distribution (``tail`` 1: k is then negative binomial with dispersion
``spread``^2) to shapes with more cells near 0; a share ``dim_share`` of the CAR+ cells has ``dim_ratio`` times
the expression of the others (few or silent copies of the vector). So no single shape has to be believed.
CAR+ cells without a molecule are what the shape says of k = 0: that is how dropout is corrected.

x is integrated on a fixed grid of rates, on which the Poisson probabilities are computed once; a set
of parameters is then only a vector of weights over the grid, and thousands are evaluated together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cartrace.cells.ambient import AmbientEvidence
    from cartrace.cells.posterior import Floats

Integers = NDArray[np.int64]

FRACTION, LOCATION, SPREAD, TAIL, DIM_SHARE, DIM_RATIO, AMBIENT, VARIATION, HIDDEN, MISASSIGNED = range(10)
"""Parameters in the order of the points; shares stand as logits, all others as logarithms."""
BOUNDS = (
    (-20.0, 20.0),
    (np.log(0.02), np.log(3_000.0)),
    (np.log(0.05), np.log(4.0)),
    (-6.0, 6.0),
    (-15.0, 10.0),
    (np.log(0.01), 0.0),
    (np.log(1e-9), np.log(50.0)),
    (np.log(0.02), np.log(5.0)),
    (-15.0, 3.0),
    (np.log(1e-9), np.log(10.0)),
)
"""Least and largest value of each, on its scale."""

_EDGES = np.concatenate([[0.0], np.geomspace(1e-4, 1e-2, 9), np.geomspace(1e-2, 3e3, 71)[1:]])
_NODES = np.concatenate([[5e-5], np.sqrt(_EDGES[1:-1] * _EDGES[2:])])
"""Rates of the grid, 20 % apart where it matters, and the middle of each stretch."""
_BENDS = np.linspace(-4, 8, 241)
_W = np.linspace(-15, 10, 751)
"""Grid on which the generalised gamma distribution is tabulated: it is then cheap, and as smooth as its use asks."""
_FIRST = np.array([*range(13), 13, 15, 18, 22, 27, 33, 41, 61, 101])
"""First count of each category of molecules: single counts up to 12, then wider. What lies high up is CAR+
under any model; its exact shape shall not decide on the cells without a molecule."""
_AMBIENT_COUNTS = 33
"""Counts up to which the ambient distribution is computed; beyond it is as good as 0."""
_TINY = 1e-30
TAILS = (-1.0, 2.0)
"""Range of ``tail``: below the log-normal distribution (0) lie shapes with fewer cells near 0, beyond the gamma
distribution (1) shapes that end sooner above and have more."""
STRAIGHT = 0.02
"""Least bend of the logarithm that is told from none."""
DEPTH_STEP = 0.2
"""Width of a bin of depth, as a logarithm: 20 %."""


def category_of(molecules: Integers) -> Integers:
    """Return the category of each count."""
    return np.searchsorted(_FIRST, molecules, side="right") - 1


def counts_of(category: Integers) -> Integers:
    """Return the smallest count of each category."""
    return _FIRST[category]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Cells by depth and molecules; a row is one pair that any cell has."""

    depth: Floats
    """(bins,) mean depth of the bin's cells over the median T cell's."""
    bin: Integers
    """(rows,) bin of depth."""
    category: Integers
    """(rows,) category of molecules."""
    t_cells: Integers
    """(rows,) T cells that count."""
    other_cells: Integers
    """(rows,) cells that cannot carry the CAR."""

    def without_t_cells(self) -> Histogram:
        """Return the same without what T cells say."""
        return Histogram(self.depth, self.bin, self.category, 0 * self.t_cells, self.other_cells)

    def t_cells_by_bin(self) -> Integers:
        """Return the T cells of each bin (bins,)."""
        return np.bincount(self.bin, self.t_cells, len(self.depth)).astype(np.int64)


def histogram_of(
    molecules: Integers, depth: Floats, t_cells: NDArray[np.bool_], other_cells: NDArray[np.bool_]
) -> tuple[Histogram, Integers]:
    """Group cells by depth and molecules.

    Parameters
    ----------
    molecules, depth
        (cells,) CAR molecules, and UMIs over those of the median T cell.
    t_cells, other_cells
        (cells,) whether the cell is a T cell that counts, or one that cannot carry the CAR.

    Returns
    -------
    Histogram
        Rows for every cell, also for those that are neither.
    numpy.ndarray
        (cells,) row of each cell.
    """
    step = np.floor(np.log(np.maximum(depth, 1e-4)) / DEPTH_STEP).astype(np.int64)
    _, of_bin = np.unique(step, return_inverse=True)
    # Where any do, only cells that count tell the depth of their bin: others are called, and change nothing.
    counted = np.bincount(of_bin, t_cells | other_cells)
    weight = np.where((counted > 0)[of_bin], t_cells | other_cells, 1)
    mean = np.bincount(of_bin, weight * depth) / np.bincount(of_bin, weight)
    pairs, row = np.unique(of_bin * len(_FIRST) + category_of(molecules), return_inverse=True)
    return (
        Histogram(
            np.maximum(mean, 1e-4),
            pairs // len(_FIRST),
            pairs % len(_FIRST),
            np.bincount(row, t_cells, len(pairs)).astype(np.int64),
            np.bincount(row, other_cells, len(pairs)).astype(np.int64),
        ),
        row,
    )


@dataclass(frozen=True, slots=True)
class Priors:
    """What is believed before the counts; a pair is centre and standard deviation of a logarithm."""

    location: tuple[float, float]
    spread: tuple[float, float]
    variation: tuple[float, float]
    misassigned: tuple[float, float]
    dim_ratio: tuple[float, float]
    dim_share: tuple[float, float]
    """Shape of a beta distribution."""
    hidden: tuple[float, float]
    """Shape of a beta distribution."""
    flow: tuple[float, float] | None = None
    """Logit of the fraction by flow, and its standard deviation."""


@dataclass(frozen=True)
class CarModel:
    """The posterior of the parameters, given the cells of one library."""

    cells: Histogram
    ambient: AmbientEvidence
    priors: Priors

    @cached_property
    def _grid(self) -> Floats:
        """(nodes, rows) probability of each row's category in its bin, at each rate of the grid."""
        return _category_probabilities(self.cells.depth)[:, self.cells.bin, self.cells.category]

    def positive(self, points: Floats) -> Floats:
        """Return P(category | depth, CAR+) for points (m, d) and rows (m, rows)."""
        return np.maximum(self.weights(points) @ self._grid, _TINY)

    def negative(self, points: Floats, *, misassigned: bool = True) -> Floats:
        """Return P(category | depth, CAR-) for points and rows; without ``misassigned`` for other cells."""
        table = self._blank(points, misassigned=misassigned)
        found: Floats = np.maximum(table[self.cells.category, self.cells.bin].T, _TINY)
        return found

    def _blank(self, points: Floats, *, misassigned: bool) -> Floats:
        """Return (categories, bins, m): negative binomial, by its recursion in k."""
        rate = self.false_rate(points) if misassigned else np.exp(points[:, AMBIENT])
        square = np.exp(2 * points[:, VARIATION])
        above = square * self.cells.depth[:, None] * rate
        ratio = above / (1 + above)
        term = np.exp(-np.log1p(above) / square)
        table = np.zeros((len(_FIRST), *term.shape))
        for k, category in enumerate(category_of(np.arange(_AMBIENT_COUNTS))):
            table[category] += term
            term = term * (ratio * ((1 / square + k) / (k + 1)))
        return table

    def weights(self, points: Floats) -> Floats:
        """Return the share of CAR+ cells at each rate of the grid (m, nodes)."""
        spread, share = np.exp(points[:, SPREAD]), _logistic(points[:, DIM_SHARE])
        tail = TAILS[0] + (TAILS[1] - TAILS[0]) * _logistic(points[:, TAIL])
        edges = np.maximum(_EDGES - self.false_rate(points)[:, None], 0)
        bright, dim = points[:, LOCATION], points[:, LOCATION] + points[:, DIM_RATIO]
        below = (1 - share)[:, None] * _generalised_gamma(edges, bright, spread, tail)
        below += share[:, None] * _generalised_gamma(edges, dim, spread, tail)
        below[:, -1] = 1
        found: Floats = np.diff(below, axis=1)
        return found

    def mean_of_positive(self, points: Floats) -> Floats:
        """Return the CAR molecules of a CAR+ cell of median depth beyond the false ones (m,)."""
        return np.asarray(self.weights(points) @ _NODES - self.false_rate(points))

    def false_rate(self, points: Floats) -> Floats:
        """Return the molecules that a CAR- T cell of median depth shows (m,)."""
        return np.exp(points[:, AMBIENT]) + np.exp(points[:, MISASSIGNED])

    def at_least(self, points: Floats, counts: Sequence[int], *, positive: bool) -> Floats:
        """Return P(molecules >= c | depth) of CAR+ or CAR- T cells (counts, m, bins); each c at most 12."""
        if positive:
            grid = _category_probabilities(self.cells.depth)
            table = np.tensordot(grid, self.weights(points), axes=(0, 1)).swapaxes(0, 1)
        else:
            table = self._blank(points, misassigned=True)
        # Categories up to 12 are single counts.
        found: Floats = np.maximum(1 - np.stack([table[:c].sum(axis=0).T for c in counts]), 0)
        return found

    def posterior_of_rows(self, points: Floats) -> Floats:
        """Return P(CAR+ | molecules, depth) of a T cell in each row (m, rows)."""
        fraction = _logistic(points[:, FRACTION])[:, None]
        carried = fraction * self.positive(points)
        found: Floats = carried / (carried + (1 - fraction) * self.negative(points))
        return found

    def log_posterior(self, points: Floats) -> Floats:
        """Return the log posterior density of points (m, d), up to a constant."""
        fraction, hidden = _logistic(points[:, FRACTION])[:, None], _logistic(points[:, HIDDEN])[:, None]
        positive = self.positive(points)
        total = self._log_prior(points)
        if self.cells.t_cells.any():
            total += np.log(fraction * positive + (1 - fraction) * self.negative(points)) @ self.cells.t_cells
        if self.cells.other_cells.any():
            strange = hidden * fraction
            own = self.negative(points, misassigned=False)
            total += np.log(strange * positive + (1 - strange) * own) @ self.cells.other_cells
        return total

    def _log_prior(self, points: Floats) -> Floats:
        priors = self.priors
        # Jeffreys' beta(1/2, 1/2) on the fraction, whose intervals keep their level also for rare cells
        # (Brown, Cai and DasGupta 2001); with the slope of the logit.
        total = _log_beta(points[:, FRACTION], (0.5, 0.5)) + _log_beta(points[:, HIDDEN], priors.hidden)
        total += _log_beta(points[:, TAIL], (1, 1)) + _log_beta(points[:, DIM_SHARE], priors.dim_share)
        for place, prior in (
            (LOCATION, priors.location),
            (SPREAD, priors.spread),
            (DIM_RATIO, priors.dim_ratio),
            (VARIATION, priors.variation),
            (MISASSIGNED, priors.misassigned),
        ):
            total += _log_normal(points[:, place], prior)
        if priors.flow is not None:
            total += _log_normal(points[:, FRACTION], priors.flow)
        return total + self.ambient.log_likelihood(points[:, AMBIENT], points[:, MISASSIGNED])


def _category_probabilities(depth: Floats) -> Floats:
    """Return Poisson probabilities (nodes, bins, categories) of the grid's rates at each depth."""
    from scipy.special import pdtr

    rate = _NODES[:, None, None] * depth[:, None]
    below = pdtr(_FIRST[1:] - 1, rate)
    ends = np.concatenate([np.zeros_like(rate), below, np.ones_like(rate)], axis=2)
    return np.diff(ends, axis=2)


def _generalised_gamma(x: Floats, location: Floats, spread: Floats, tail: Floats) -> Floats:
    """Return P(X <= x) for x (m, edges); parameters (m,), of which the location is a logarithm."""
    from scipy.ndimage import map_coordinates

    with np.errstate(divide="ignore"):
        w = (np.log(x) - location[:, None]) / spread[:, None]
    places = np.empty((2, *w.shape))
    places[0] = ((spread * tail - _BENDS[0]) / (_BENDS[1] - _BENDS[0]))[:, None]
    places[1] = (w - _W[0]) / (_W[1] - _W[0])
    # Outside the table the nearest value holds; x = 0 lies at minus infinity.
    np.clip(places, 0, np.array(_BENDS.shape + _W.shape)[:, None, None] - 1, out=places)
    found: Floats = map_coordinates(_standard_table(), places, order=1, mode="nearest")
    return found


@cache
def _standard_table() -> Floats:
    """Return P(W <= w) of the standard generalised log-gamma distribution at each bend (bends, w)."""
    from scipy.special import gammainc, ndtr

    bend = _BENDS[:, None]
    with np.errstate(divide="ignore", over="ignore"):
        shape = np.where(np.abs(bend) < STRAIGHT, 1.0, bend) ** -2.0
    below = gammainc(shape, shape * np.exp(np.minimum(bend * _W, 300)))
    return np.where(np.abs(bend) < STRAIGHT, ndtr(_W), np.where(bend < 0, 1 - below, below))


def _logistic(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def _log_beta(logit: Floats, shape: tuple[float, float]) -> Floats:
    """Return the log density of a beta variable on the scale of its logit."""
    found: Floats = -shape[0] * np.logaddexp(0, -logit) - shape[1] * np.logaddexp(0, logit)
    return found


def _log_normal(x: Floats, prior: tuple[float, float]) -> Floats:
    return -0.5 * ((x - prior[0]) / prior[1]) ** 2
