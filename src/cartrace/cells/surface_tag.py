"""What a surface tag that reports the CAR (labelled antigen, anti-idiotype, tagged marker) adds to a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cartrace.cells.posterior import Floats

ITERATIONS = 50
LEAST_SPREAD = 0.2
"""Least standard deviation of log(1 + UMIs)."""


@dataclass(frozen=True, slots=True)
class TagEvidence:
    """Log odds that the tag adds, and how well it parts the cells."""

    log_odds: Floats
    """(cells,) natural logarithm; 0 where the tag does not count."""
    separation: float
    """Distance of positive from negative cells, in standard deviations of the negative ones."""
    used: bool


def tag_evidence(
    tag: NDArray[np.int64],
    posterior: Floats,
    t_cells: NDArray[np.bool_],
    others: NDArray[np.bool_],
    *,
    min_others: int,
    limit: float,
    min_separation: float,
) -> TagEvidence:
    """Compare the tag with that of cells that cannot carry the CAR.

    log(1 + UMIs) is normal among CAR- and among CAR+ cells (expectation maximisation, which starts at
    what the CAR molecules say). Between the two means the odds rise with the tag; beyond them they stay.

    Parameters
    ----------
    tag, posterior
        (cells,) UMIs of the tag, and probability of carrying the CAR by its molecules.
    t_cells, others
        (cells,) T cells that count, and cells that cannot carry the CAR. With fewer than ``min_others``
        of these, CAR- T cells tell the background.
    limit
        Most that the tag changes the odds.
    min_separation
        Least distance of the means, in standard deviations of negative cells.
    """
    x = np.log1p(tag.astype(np.float64))
    own = posterior[t_cells]
    start = np.clip(own, 1e-6, 1 - 1e-6)
    weight = start
    low = _normal(x[others], np.ones(int(others.sum()))) if others.sum() >= min_others else None
    negative, positive = low or _normal(x[t_cells], 1 - weight), _normal(x[t_cells], weight)
    log_odds = np.zeros(len(x))
    for _ in range(ITERATIONS):
        if positive[0] <= negative[0]:
            return TagEvidence(np.zeros(len(x)), 0.0, used=False)
        between = np.clip(x, negative[0], positive[0])
        log_odds = np.clip(
            _log_density(between, positive) - _log_density(between, negative), -np.log(limit), np.log(limit)
        )
        weight = 1 / (1 + (1 - start) / start * np.exp(-log_odds[t_cells]))
        negative, positive = low or _normal(x[t_cells], 1 - weight), _normal(x[t_cells], weight)
    separation = (positive[0] - negative[0]) / negative[1]
    if separation < min_separation:
        return TagEvidence(np.zeros(len(x)), max(separation, 0.0), used=False)
    return TagEvidence(log_odds, separation, used=True)


def _normal(x: Floats, weight: Floats) -> tuple[float, float]:
    total = max(float(weight.sum()), 1e-9)
    mean = float(weight @ x) / total
    return mean, max(float(np.sqrt(weight @ (x - mean) ** 2 / total)), LEAST_SPREAD)


def _log_density(x: Floats, normal: tuple[float, float]) -> Floats:
    return -0.5 * ((x - normal[0]) / normal[1]) ** 2 - float(np.log(normal[1]))
