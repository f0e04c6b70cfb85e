"""Is there any CAR+ T cell at all: decision, and limit of detection, in cells above ambient.

What other cells, empty droplets and earlier libraries tell of false molecules predicts how many T cells of a
blank library would hold ``threshold`` molecules or more. The T cells themselves don't enter this
prediction. The library is detected when more of them do than 95 % of blanks would have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cartrace.cells.car_model import CarModel
    from cartrace.cells.posterior import Floats

THRESHOLDS = (1, 2, 3, 4, 5, 6, 8, 10)
"""Molecules in a cell that are tried as the limit."""


@dataclass(frozen=True, slots=True)
class Detection:
    """How many cells lie above ambient, and how many may."""

    threshold: int
    """CAR molecules from which a cell lies above ambient."""
    cells: int
    """T cells with so many."""
    expected: float
    """T cells of a blank library with so many (median)."""
    decision: int
    """Most such cells of a library in which nothing is detected."""
    lod: float
    """Smallest fraction that is detected with the probability of the settings, 0 to 1; 1: none is."""

    @property
    def detected(self) -> bool:
        """Whether anything is above ambient."""
        return self.cells > self.decision


def detect_cars(
    model: CarModel, blank: Floats, found: Floats, *, probability: float, min_cells: int
) -> Detection:
    """Decide whether CAR+ T cells are detected.

    The threshold is the one with the lowest limit of detection under what was believed before the T
    cells were looked at, so that the choice does not favour a detection.

    Parameters
    ----------
    blank
        Points (m, d) of equal weight from the posterior without the T cells.
    found
        Points (m, d) of equal weight from the posterior with them: expression of CAR+ cells.
    probability
        Of the decision and of the limit of detection.
    min_cells
        Fewest cells that count as detected.
    """
    n = model.cells.t_cells_by_bin()
    usual = np.median(blank, axis=0, keepdims=True)
    blanks = model.at_least(blank, THRESHOLDS, positive=False) @ n
    hopes = (model.at_least(usual, THRESHOLDS, positive=True) @ n)[:, 0]
    decisions = [max(_upper(b, probability), min_cells - 1) for b in blanks]
    limits = [
        _limit(b, np.full_like(b, h), d, probability)
        for b, h, d in zip(blanks, hopes, decisions, strict=True)
    ]
    best = int(np.argmin(limits))
    signal = (model.at_least(found, (THRESHOLDS[best],), positive=True) @ n)[0]
    above = model.cells.category >= THRESHOLDS[best]
    return Detection(
        THRESHOLDS[best],
        int(model.cells.t_cells[above].sum()),
        float(np.median(blanks[best])),
        decisions[best],
        _limit(blanks[best], signal, decisions[best], probability),
    )


def _upper(expected: Floats, probability: float) -> int:
    """Return the smallest count that a Poisson mixture does not exceed with ``probability``."""
    from scipy.special import pdtr

    low, high = -1, int(expected.max() + 10 * np.sqrt(expected.max()) + 10)
    while high - low > 1:
        middle = (low + high) // 2
        if float(pdtr(middle, expected).mean()) >= probability:
            high = middle
        else:
            low = middle
    return high


def _limit(blank: Floats, signal: Floats, decision: int, probability: float) -> float:
    """Return the smallest fraction whose count is above ``decision`` with ``probability``; at most 1."""
    from scipy.optimize import brentq
    from scipy.special import pdtrc

    def short(log_fraction: float) -> float:
        fraction = np.exp(log_fraction)
        return float(pdtrc(decision, (1 - fraction) * blank + fraction * signal).mean()) - probability

    if short(0.0) <= 0:
        return 1.0
    if short(-25.0) >= 0:
        return float(np.exp(-25.0))
    return float(np.exp(brentq(short, -25.0, 0.0, xtol=1e-4)))
