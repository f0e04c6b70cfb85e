"""CAR molecules of T cells as a mixture: cells that carry the CAR, and cells that only catch what floats.

For a cell of depth s (its UMIs over the median T cell's) the model says

    CAR- T cell      k ~ Poisson(s (ambient + misassigned) g),   g ~ gamma, mean 1, CV ``variation``
    CAR+ T cell      k ~ Poisson(s (ambient + misassigned + x)), x ~ generalised gamma
    other cell       k ~ CAR- without misassigned; a share ``hidden`` of them are T cells after all

The generalised gamma distribution (Stacy 1962; Prentice 1974, Biometrika 61:539) runs from the
log-normal (``tail`` 0) to the gamma distribution (``tail`` 1: k is then negative binomial with dispersion
``spread``^2), so that no single shape of expression has to be believed. CAR+ cells without a molecule are
what the shape says of k = 0: that is how dropout is corrected.

x is integrated on a fixed grid of rates, on which the Poisson probabilities are computed once; a set
of parameters is then only a vector of weights over the grid, and thousands are evaluated together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cartrace.cells.ambient import AmbientEvidence
    from cartrace.cells.posterior import Floats

Integers = NDArray[np.int64]

NAMES = ("fraction", "mean", "spread", "tail", "ambient", "variation", "hidden", "misassigned")
"""Parameters in the order of the points: logit, log, log, logit, log, log, logit, log."""
FRACTION, MEAN, SPREAD, TAIL, AMBIENT, VARIATION, HIDDEN, MISASSIGNED = range(len(NAMES))
BOUNDS = (
    (-20.0, 20.0),
    (np.log(0.02), np.log(3_000.0)),
    (np.log(0.05), np.log(4.0)),
    (-6.0, 6.0),
    (np.log(1e-9), np.log(50.0)),
    (np.log(0.02), np.log(5.0)),
    (-15.0, 3.0),
    (np.log(1e-9), np.log(10.0)),
)
"""Least and largest value of each, on its scale."""

_EDGES = np.concatenate([[0.0], np.geomspace(1e-4, 3e3, 145)])
_NODES = np.concatenate([[5e-5], np.sqrt(_EDGES[1:-1] * _EDGES[2:])])
"""Rates of the grid, a step of 12 % apart, and the middle of each stretch."""
_FIRST = np.array([*range(13), 13, 15, 18, 22, 27, 33, 41, 61, 101])
"""First count of each category of molecules: single counts up to 12, then wider. What lies high up is CAR+
under any model; its exact shape shall not decide on the cells without a molecule."""
_AMBIENT_COUNTS = 41
"""Counts up to which the ambient distribution is computed; beyond it is as good as 0."""
_TINY = 1e-30
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
    mean = np.bincount(of_bin, depth) / np.bincount(of_bin)
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

    mean: tuple[float, float]
    spread: tuple[float, float]
    variation: tuple[float, float]
    misassigned: tuple[float, float]
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
        return np.maximum(table[:, self.cells.bin, self.cells.category], _TINY)

    def _blank(self, points: Floats, *, misassigned: bool) -> Floats:
        """Return (m, bins, categories): negative binomial, by its recursion in k."""
        rate = self.false_rate(points) if misassigned else np.exp(points[:, AMBIENT])
        square = np.exp(2 * points[:, VARIATION])[:, None]
        mean = rate[:, None] * self.cells.depth
        ratio = square * mean / (1 + square * mean)
        term = np.exp(-np.log1p(square * mean) / square)
        counts = [term]
        for k in range(_AMBIENT_COUNTS - 1):
            term = term * ratio * (1 / square + k) / (k + 1)
            counts.append(term)
        table = np.zeros((*mean.shape, len(_FIRST)))
        near = _FIRST[_FIRST < _AMBIENT_COUNTS]
        table[..., : len(near)] = np.add.reduceat(np.stack(counts, axis=2), near, axis=2)
        return table

    def weights(self, points: Floats) -> Floats:
        """Return the share of CAR+ cells at each rate of the grid (m, nodes)."""
        from scipy.special import gammainc, gammaln

        spread, tail = np.exp(points[:, SPREAD]), _logistic(points[:, TAIL])
        bend = spread * tail
        shape = bend**-2
        # The mean of exp(spread w), from which the location follows.
        log_mean = gammaln(shape + 1 / tail) - gammaln(shape) + 2 / tail * np.log(bend)
        at = np.maximum(_EDGES - self.false_rate(points)[:, None], 0)
        with np.errstate(divide="ignore"):
            w = (np.log(at) - (points[:, MEAN] - log_mean)[:, None]) / spread[:, None]
        below = gammainc(
            shape[:, None], np.minimum(shape[:, None] * np.exp(np.minimum(bend[:, None] * w, 300)), 1e300)
        )
        below[:, -1] = 1
        found: Floats = np.diff(below, axis=1)
        return found

    def false_rate(self, points: Floats) -> Floats:
        """Return the molecules that a CAR- T cell of median depth shows (m,)."""
        return np.exp(points[:, AMBIENT]) + np.exp(points[:, MISASSIGNED])

    def at_least(self, points: Floats, counts: Sequence[int], *, positive: bool) -> Floats:
        """Return P(molecules >= c | depth) of CAR+ or CAR- T cells (counts, m, bins); each c at most 12."""
        if positive:
            table = np.einsum("mn,nbc->mbc", self.weights(points), _category_probabilities(self.cells.depth))
        else:
            table = self._blank(points, misassigned=True)
        # Categories up to 12 are single counts.
        found: Floats = np.maximum(1 - np.stack([table[..., :c].sum(axis=-1) for c in counts]), 0)
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
        total += _log_beta(points[:, TAIL], (1, 1))
        for place, prior in (
            (MEAN, priors.mean),
            (SPREAD, priors.spread),
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


def _logistic(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def _log_beta(logit: Floats, shape: tuple[float, float]) -> Floats:
    """Return the log density of a beta variable on the scale of its logit."""
    found: Floats = -shape[0] * np.logaddexp(0, -logit) - shape[1] * np.logaddexp(0, logit)
    return found


def _log_normal(x: Floats, prior: tuple[float, float]) -> Floats:
    return -0.5 * ((x - prior[0]) / prior[1]) ** 2
