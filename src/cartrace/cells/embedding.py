"""The picture of all cells: a sketch when they are many, aligned by library, in two dimensions.

For looking at only: no metric, no type and no call rests on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.cells.neighbour_graph import (
    harmonised,
    neighbours,
    normalised,
    principal_components,
    shown_genes,
    variable_genes,
)
from cartrace.cells.umap_layout import fuzzy_weights, layout

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from cartrace.cells.settings import Embedding
    from cartrace.cells.stored import Genes

FEWEST = 10
"""Cells below which there is no picture."""


def sketch(
    library: NDArray[Any], cell_type: NDArray[Any], counts: NDArray[np.bool_], settings: Embedding, seed: int
) -> NDArray[np.int64]:
    """Return the positions of the cells that are shown, in order.

    All cells that count, when they are no more than ``max_cells``. Else of each type in each library
    ``min_of_type`` cells (fewer where there are fewer, or where types and libraries are too many), and of the
    rest of each as many as its share.

    Parameters
    ----------
    library, cell_type, counts
        (cells,) of all cells.
    """
    (usable,) = np.nonzero(counts)
    if len(usable) <= settings.max_cells:
        return usable
    rng = np.random.default_rng(seed)
    labels = np.array([f"{a}\t{b}" for a, b in zip(library[usable], cell_type[usable], strict=True)])
    _, group = np.unique(labels, return_inverse=True)
    # A random order; the first ones of each group are those that are kept.
    order = rng.permutation(len(usable))
    sizes = np.bincount(group)
    rank = np.empty(len(usable), np.int64)
    shuffled = group[order]
    by_group = np.argsort(shuffled, kind="stable")
    rank[order[by_group]] = np.arange(len(usable)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    sure = min(settings.min_of_type, settings.max_cells // len(sizes))
    kept = np.minimum(sizes, sure)
    left = settings.max_cells - int(kept.sum())
    rest = sizes - kept
    kept = kept + (rest * (left / max(int(rest.sum()), 1))).astype(np.int64)
    return np.sort(usable[rank < kept[group]])


def reduced(
    counts: csr_array,
    genes: Genes,
    library: NDArray[Any],
    settings: Embedding,
    *,
    left_out: tuple[str, ...],
    seed: int,
) -> NDArray[np.float32]:
    """Return (cells, components) what pictures and clusters start from.

    Parameters
    ----------
    counts
        (cells, genes) raw counts.
    library
        (cells,) library of each cell; Harmony aligns them where the settings say so.
    left_out
        Symbols of genes that share sequence with CARs.
    """
    picked = variable_genes(counts, library, shown_genes(genes, left_out), settings.genes)
    components = principal_components(normalised(counts)[:, picked], settings.components, seed)
    return harmonised(components, library, seed) if settings.harmonise else components


def embed(components: NDArray[np.float32], settings: Embedding, seed: int) -> NDArray[np.float64]:
    """Return (cells, 2) coordinates of the picture; no rows where there are too few cells."""
    if len(components) < FEWEST or components.shape[1] < 2:
        return np.zeros((0, 2))
    found, distance = neighbours(components, settings.neighbours)
    graph = fuzzy_weights(found, distance)
    return layout(
        graph, components[:, :2], min_distance=settings.min_distance, epochs=settings.epochs, seed=seed
    )
