"""CD4 or CD8: beyond the single gene.

CD4 is expressed low, and most CD4 T cells of a 10x library have no UMI of it. What decides is
(1) the two genes where there are UMIs, (2) the co-expressed genes of the panels, and (3) what else
goes with them in this very library: a logistic regression on principal components, learned from
the cells whose CD4 or CD8 UMIs are clear. The genes that choose the clear cells are not among
its features, so that it learns what dropout leaves visible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cartrace.cells.scores import Floats, GeneCounts, Integers

SPLIT_GENES = ("CD4", "CD8A", "CD8B")
"""Genes that choose the cells to learn from, and that speak for themselves beside the model."""


@dataclass(frozen=True)
class SplitSettings:
    """How CD4 and CD8 are learned.

    Attributes
    ----------
    least_seeds : clear cells of each side without which nothing is learned
    penalty : weight of the squared coefficients, per standard deviation of a feature
    folds : parts of the clear cells, each judged by a model of the others
    """

    least_seeds: int = 20
    penalty: float = 1.0
    folds: int = 5


@dataclass(frozen=True)
class Split:
    """What was learned of CD4 and CD8.

    Attributes
    ----------
    log_odds : (cells,) for CD8 against CD4, from co-expressed genes alone
    cd4_seeds, cd8_seeds : clear cells
    accuracy : share of the clear cells that a model without their fold gets right, both sides
        weighed alike; NaN when nothing was learned
    """

    log_odds: Floats
    cd4_seeds: int
    cd8_seeds: int
    accuracy: float


def clear_cells(counts: GeneCounts) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the cells that are clearly CD4 and clearly CD8 by UMIs of CD4, CD8A and CD8B.

    CD8A alone has to be there twice: a CAR with the hinge of CD8A gives such UMIs too.
    """
    cd4, cd8a, cd8b = (counts.of(g) for g in SPLIT_GENES)
    return (cd4 >= 1) & (cd8a + cd8b == 0), (cd4 == 0) & ((cd8b >= 1) | (cd8a >= 2)) & (cd8a + cd8b >= 2)


def learn_split(
    features: Floats, prior: Floats, cd4: NDArray[np.bool_], cd8: NDArray[np.bool_], settings: SplitSettings
) -> Split:
    """Learn what tells CD4 from CD8 cells, and apply it to all.

    Parameters
    ----------
    features
        (cells, components), without the genes that chose the clear cells.
    prior
        (cells,) log odds of CD8 by the co-expressed genes of the panels: one more feature, and
        the answer where there is too little to learn from.
    cd4, cd8
        (cells,) the clear cells.
    """
    n4, n8 = int(cd4.sum()), int(cd8.sum())
    if min(n4, n8) < settings.least_seeds:
        return Split(prior, n4, n8, float("nan"))
    rows = np.flatnonzero(cd4 | cd8)
    y = cd8[rows].astype(float)
    # Both sides weigh alike: how many are clear follows from dropout, not from the sample.
    weights = np.where(y > 0, 0.5 / n8, 0.5 / n4) * len(rows)
    x = np.column_stack([features, prior])
    spread = x[rows].std(axis=0)
    x = (x - x[rows].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    fold = np.zeros(len(rows), dtype=int)
    for side in (0.0, 1.0):
        members = np.flatnonzero(y == side)
        fold[members] = np.arange(len(members)) % settings.folds
    held_out = np.zeros(len(rows))
    for k in range(settings.folds):
        own = fold != k
        beta = _ridge_logistic(x[rows][own], y[own], weights[own], settings.penalty)
        held_out[~own] = beta[0] + x[rows][~own] @ beta[1:]
    accuracy = 0.5 * float((held_out[y > 0] > 0).mean() + (held_out[y == 0] <= 0).mean())
    beta = _ridge_logistic(x[rows], y, weights, settings.penalty)
    # How sure the model may be is what its held-out answers earn (Platt 1999).
    slope = _ridge_logistic(held_out[:, None], y, weights, 0.1)
    return Split(slope[0] + slope[1] * (beta[0] + x @ beta[1:]), n4, n8, accuracy)


def _ridge_logistic(x: Floats, y: Floats, weights: Floats, penalty: float) -> Floats:
    """Return intercept and coefficients of a logistic regression with squared penalty (Newton)."""
    design = np.column_stack([np.ones(len(x)), x])
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 1e-6
    beta = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -30, 30)))
        gradient = design.T @ (weights * (y - p)) - ridge * beta
        curvature = design.T @ (design * (weights * np.maximum(p * (1 - p), 1e-6))[:, None])
        step = np.linalg.solve(curvature + np.diag(ridge), gradient)
        # A Newton step may overshoot where the sides are parted; its length is limited.
        step *= min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        beta += step
        if np.abs(step).max() < 1e-6:
            break
    return beta


def lacking(
    counts: GeneCounts,
    neighbours: Integers,
    cd4: NDArray[np.bool_],
    cd8: NDArray[np.bool_],
    *,
    share: float,
    least_expected: float,
) -> Floats:
    """Say how sure it is that a cell has neither CD4 nor CD8, by itself and its neighbours together.

    One cell without UMIs of CD4 proves nothing. A cell with its neighbours does, where CD4 T cells
    of the library would have shown ``least_expected`` UMIs of CD4 among them, and likewise CD8,
    and no more than ``share`` of that is there.

    Returns
    -------
    ndarray
        (cells,) 0 where it may have one; else 1 less the chance of so few UMIs, were it CD4 or CD8
        (Poisson).
    """
    from scipy.special import pdtr

    bare = counts.of("CD4") + counts.of("CD8A") + counts.of("CD8B") == 0
    sure: Floats = bare.astype(float)
    exposure = counts.totals + counts.totals[neighbours].sum(axis=1)
    for genes, clear in ((("CD4",), cd4), (("CD8A", "CD8B"), cd8)):
        umis = np.sum([counts.of(g) for g in genes], axis=0)
        of_clear = counts.totals[clear].sum()
        # Clear cells were chosen for their UMIs; half their rate is a cautious guess of the type's.
        expected = 0.5 * umis[clear].sum() / of_clear * exposure if of_clear else np.zeros(len(sure))
        seen = umis + umis[neighbours].sum(axis=1)
        told = (expected >= least_expected) & (seen <= share * expected)
        sure = np.where(told, np.minimum(sure, 1.0 - pdtr(seen, np.maximum(expected, 1e-9))), 0.0)
    return np.asarray(sure)
