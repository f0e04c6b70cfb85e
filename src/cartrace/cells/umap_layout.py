"""UMAP's picture of a neighbour graph (McInnes 2018, arXiv:1802.03426), in arrays.

The algorithm is that of umap-learn: fuzzy weights of neighbours, their union, and a layout by attraction along
edges and repulsion from random cells. There all edges move their cells one after the other in compiled code,
which takes numba 20 to 30 s to import and compile in each new process; here those of one round move together,
which numpy does in a few seconds. docs/cell_composition.md holds the two side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

NEGATIVES = 5
"""Random cells that each cell of an edge is pushed away from (umap-learn's negative_sample_rate)."""
CLIP = 4.0
"""Most that one edge moves a cell in one round, as in umap-learn."""


def fuzzy_weights(found: NDArray[np.int64], distance: NDArray[np.float32]) -> csr_array:
    """Return the symmetric weights (cells x cells) of a neighbour graph.

    Each cell's distances are scaled so that its weights sum to log2(neighbours), the nearest being 1; the two
    directions are joined as a fuzzy union, a + b - a b.

    Parameters
    ----------
    found, distance
        (cells, neighbours) other cells, nearest first.
    """
    from scipy.sparse import csr_array

    n, k = found.shape
    nearest = np.where(distance > 0, distance, np.inf).min(axis=1)
    nearest = np.where(np.isfinite(nearest), nearest, 0.0)[:, None]
    beyond = np.maximum(distance - nearest, 0.0)
    low, high = np.zeros(n), np.full(n, np.inf)
    scale = np.ones(n)
    target = np.log2(k + 1)
    for _ in range(64):
        total = np.exp(-beyond / scale[:, None]).sum(axis=1)
        high = np.where(total > target, scale, high)
        low = np.where(total > target, low, scale)
        scale = np.where(np.isfinite(high), (low + high) / 2, scale * 2)
    scale = np.maximum(scale, 1e-3 * max(float(distance.mean()), 1e-12))
    weights = np.exp(-beyond / scale[:, None])
    graph = csr_array((weights.ravel(), found.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    other = graph.T.tocsr()
    union: csr_array = (graph + other - graph * other).tocsr()
    return union


def curve(min_distance: float) -> tuple[float, float]:
    """Return a and b for which 1 / (1 + a d^(2 b)) is nearest to 1 up to ``min_distance`` and exp(min_distance - d) beyond."""
    from scipy.optimize import curve_fit

    d = np.linspace(0, 3, 300)
    wanted = np.where(d < min_distance, 1.0, np.exp(min_distance - d))
    (a, b), _ = curve_fit(lambda x, a, b: 1 / (1 + a * x ** (2 * b)), d, wanted)
    return float(a), float(b)


def layout(
    graph: csr_array, start: NDArray[np.float32], *, min_distance: float, epochs: int, seed: int
) -> NDArray[np.float64]:
    """Return (cells, 2) coordinates.

    Parameters
    ----------
    graph
        Of :func:`fuzzy_weights`.
    start
        (cells, 2) where the cells begin: their first two components, so that the picture is the same each time.
    epochs
        Rounds; an edge takes part in a share of them that is its weight over the largest.
    """
    rng = np.random.default_rng(seed)
    a, b = curve(min_distance)
    edges = graph.tocoo()
    keep = edges.data >= edges.data.max() / epochs
    head, tail = edges.coords[0][keep], edges.coords[1][keep]
    share = edges.data[keep] / edges.data.max()
    due = np.zeros(len(share))
    n = graph.shape[0]
    spread = np.abs(start).max()
    at = 10.0 * start.astype(np.float64) / (spread if spread > 0 else 1.0) + rng.normal(0, 1e-4, (n, 2))
    for epoch in range(epochs):
        rate = 1.0 - epoch / epochs
        due += share
        (now,) = np.nonzero(due >= 1)
        due[now] -= 1
        i, j = head[now], tail[now]
        step = _pull(at[i] - at[j], a, b)
        move = _sum(i, step, n)
        # The graph holds each edge in both directions, and umap-learn moves both ends of each.
        move -= _sum(j, step, n)
        others = rng.integers(0, n, (NEGATIVES, len(i)))
        for other in others:
            move += _sum(i, np.where((other == i)[:, None], 0.0, _push(at[i] - at[other], a, b)), n)
        # Together, the moves of one round may add up beyond what one after the other would have done.
        at += rate * np.clip(move, -CLIP, CLIP)
    return at - at.mean(axis=0)


def _pull(apart: NDArray[np.float64], a: float, b: float) -> NDArray[np.float64]:
    square = (apart**2).sum(axis=1)
    safe = np.maximum(square, 1e-12)
    force = np.where(square > 0, -2 * a * b * safe ** (b - 1) / (1 + a * safe**b), 0.0)
    return np.clip(force[:, None] * apart, -CLIP, CLIP)


def _push(apart: NDArray[np.float64], a: float, b: float) -> NDArray[np.float64]:
    square = (apart**2).sum(axis=1)
    force = 2 * b / ((0.001 + square) * (1 + a * square**b))
    return np.clip(force[:, None] * apart, -CLIP, CLIP)


def _sum(where: NDArray[np.integer], step: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return np.column_stack([np.bincount(where, step[:, c], minlength=n) for c in (0, 1)])
