"""What the other T cells of a clone say of a cell: borrowed cautiously, never for the fraction.

Cells of one clone mostly share the CAR, since they descend from one transduced cell; but the clone also
lives in sister cells that met no vector. So each clone has its own share of CAR+ cells, drawn from a
beta distribution about the library's fraction; how much clones differ is learnt from all clones
(empirical Bayes), and a cell borrows only from the others of its clone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cartrace.cells.posterior import Floats

CONCENTRATIONS = np.geomspace(0.5, 64, 15)
"""Concentrations of the beta distribution that are tried: the lowest, clones are mostly all or nothing."""
UNKNOWN = 8.0
"""Concentration where fewer than ``FEWEST`` clones could teach it: 8 cells' worth of the library's fraction.
House value."""
FEWEST = 10
_LOGITS = np.linspace(-10, 10, 81)
_EDGES = np.concatenate([[0.0], 1 / (1 + np.exp(-_LOGITS)), [1.0]])
_MIDDLES = np.concatenate(
    [_EDGES[1:2] / 2, 1 / (1 + np.exp(-(_LOGITS[1:] + _LOGITS[:-1]) / 2)), 1 - _EDGES[1:2] / 2]
)
"""A grid of shares, fine near 0 and 1."""


@dataclass(frozen=True, slots=True)
class Borrowed:
    """Posteriors with the clone."""

    posterior: Floats
    """(cells,)."""
    lent: NDArray[np.bool_]
    """(cells,) whether a clone had a say."""
    concentration: float


def borrow(
    posterior: Floats,
    fraction: float,
    clone: NDArray[np.object_],
    lends: NDArray[np.bool_],
    *,
    min_cells: int,
) -> Borrowed:
    """Join what each cell says of itself with what the others of its clone say.

    Parameters
    ----------
    posterior
        (cells,) own posterior, under ``fraction`` as the prior of every cell.
    clone
        (cells,) clone; empty: not known.
    lends
        (cells,) T cells that count: only they lend and borrow.
    min_cells
        Fewest such cells of a clone.
    """
    from scipy.special import betainc

    names, of_clone, size = np.unique(
        np.where(lends, clone, "").astype(str), return_inverse=True, return_counts=True
    )
    takes = lends & (names != "")[of_clone] & (size >= min_cells)[of_clone]
    if not takes.any() or not 0 < fraction < 1:
        return Borrowed(posterior, np.zeros(len(posterior), bool), float("nan"))
    own = np.clip(posterior[takes], 1e-12, 1 - 1e-12)
    ratio = own / (1 - own) * (1 - fraction) / fraction
    _, at = np.unique(of_clone[takes], return_inverse=True)
    each = np.log(ratio[:, None] * _MIDDLES + 1 - _MIDDLES)
    together = np.zeros((int(at.max()) + 1, len(_MIDDLES)))
    np.add.at(together, at, each)

    def log_prior(concentration: float) -> Floats:
        shares = np.diff(betainc(fraction * concentration, (1 - fraction) * concentration, _EDGES))
        return np.log(np.maximum(shares, 1e-300))

    concentration = UNKNOWN
    if len(together) >= FEWEST:
        support = [float(np.logaddexp.reduce(together + log_prior(c), axis=1).sum()) for c in CONCENTRATIONS]
        concentration = float(CONCENTRATIONS[int(np.argmax(support))])
    others = log_prior(concentration) + together[at] - each
    weight = np.exp(others - others.max(axis=1, keepdims=True))
    expected = weight @ _MIDDLES / weight.sum(axis=1)
    joined = posterior.copy()
    joined[takes] = ratio * expected / (ratio * expected + 1 - expected)
    return Borrowed(joined, takes, concentration)
