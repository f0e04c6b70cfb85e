"""Clusters of all cells and their markers, beside the types: for looking at, made on demand."""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.cells.neighbour_graph import neighbours
from cartrace.problems import plain

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from cartrace.cells.settings import Embedding
    from cartrace.cells.stored import Genes


def cluster(components: NDArray[np.float32], settings: Embedding, seed: int) -> NDArray[np.int64]:
    """Return (cells,) clusters from 0, the largest first.

    Leiden (Traag 2019, Sci Rep 9:5233) by igraph on the graph of shared neighbours: an edge weighs the Jaccard
    index of the neighbourhoods of its cells (as in PhenoGraph, Levine 2015, Cell 162:184).
    """
    import igraph

    n = len(components)
    if n < 3 or components.shape[1] == 0:
        return np.zeros(n, np.int64)
    found, _ = neighbours(components, settings.neighbours)
    rows, columns, weights = shared_neighbours(found)
    graph = igraph.Graph(n=n, edges=np.column_stack([rows, columns]))
    igraph.set_random_number_generator(random.Random(seed))
    try:
        parts = graph.community_leiden(
            objective_function="modularity", weights=weights, resolution=settings.resolution, n_iterations=2
        )
    finally:
        igraph.set_random_number_generator(random)
    member = np.asarray(parts.membership)
    order = np.argsort(-np.bincount(member), kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place[member]


def shared_neighbours(
    found: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the edges between cells and their neighbours (each once) with the Jaccard index of their neighbourhoods.

    A cell belongs to its own neighbourhood; an edge without a shared neighbour is none.
    """
    from scipy.sparse import coo_array, csr_array

    n, k = found.shape
    around = np.column_stack([np.arange(n), found])
    member = csr_array(
        (np.ones(n * (k + 1), np.int32), around.ravel(), np.arange(0, n * (k + 1) + 1, k + 1)), shape=(n, n)
    )
    member.sort_indices()
    head, tail = np.repeat(np.arange(n), k), found.ravel()
    pairs = (
        coo_array((np.ones(n * k), (np.minimum(head, tail), np.maximum(head, tail))), shape=(n, n))
        .tocsr()
        .tocoo()
    )
    head, tail = pairs.coords[0].astype(np.int64), pairs.coords[1].astype(np.int64)
    shared = np.empty(len(head))
    # In parts: the rows of all edges at once would be many times the graph.
    for part in np.array_split(np.arange(len(head)), max(1, len(head) // 200_000)):
        both = member[head[part]].multiply(member[tail[part]])
        shared[part] = np.asarray(both.sum(axis=1)).ravel()
    return head, tail, shared / (2 * (k + 1) - shared)


def adjusted_rand(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return the adjusted Rand index of two divisions (Hubert and Arabie 1985, J Classif 2:193): 1 equal, 0 chance."""
    _, a = np.unique(first, return_inverse=True)
    _, b = np.unique(second, return_inverse=True)
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)

    def pairs(x: NDArray[np.float64]) -> float:
        return float((x * (x - 1) / 2).sum())

    both, one, other = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    total = len(a) * (len(a) - 1) / 2
    chance = one * other / total
    most = (one + other) / 2
    return 1.0 if most == chance else (both - chance) / (most - chance)


def cluster_types(
    member: NDArray[np.int64], cell_type: NDArray[Any], library: NDArray[Any]
) -> list[dict[str, Any]]:
    """Return the rows of CLUSTER_TYPES: size, libraries and most frequent type of each cluster."""
    agreement = adjusted_rand(member, cell_type) if len(member) > 1 else None
    made = []
    for number in range(int(member.max()) + 1 if len(member) else 0):
        mine = member == number
        names, sizes = np.unique(cell_type[mine].astype(str), return_counts=True)
        most = int(sizes.argmax())
        made.append(
            {
                "cluster": number,
                "cells": int(mine.sum()),
                "libraries": len(set(library[mine])),
                "cell_type": str(names[most]),
                "type_percent": 100 * float(sizes[most]) / int(mine.sum()),
                "adjusted_rand": agreement,
            }
        )
    return made


def markers(
    values: csr_array, member: NDArray[np.int64], genes: Genes, most: int, max_q: float
) -> list[dict[str, Any]]:
    """Return the rows of MARKERS: genes that are higher in a cluster than in all other cells.

    Wilcoxon's rank-sum test by illico on log-normalised counts. Cells are no replicates, so the p values rank
    genes and prove nothing.

    Parameters
    ----------
    values
        (cells, genes) of :func:`cartrace.cells.neighbour_graph.normalised`.
    most
        Markers of a cluster, by the largest z.
    max_q
        Largest q of a marker.
    """
    if len(np.unique(member)) < 2:
        return []
    import anndata
    import illico
    import pandas as pd
    from loguru import logger

    (seen,) = np.nonzero(np.asarray(values.sum(axis=0)).ravel() > 0)
    names = [f"g{i}" for i in seen.tolist()]
    with warnings.catch_warnings():
        # What anndata and illico ask of pandas and scipy is theirs to change.
        for kind in (FutureWarning, DeprecationWarning, UserWarning):
            warnings.simplefilter("ignore", kind)
        frame = anndata.AnnData(
            values[:, seen],
            obs=pd.DataFrame(
                {"cluster": pd.Categorical([str(m) for m in member])},
                index=[str(i) for i in range(len(member))],
            ),
            var=pd.DataFrame(index=names),
        )
        # Its progress and the time of day are no matter of a log.
        logger.disable("illico")
        with contextlib.redirect_stderr(io.StringIO()):
            found = illico.asymptotic_wilcoxon(
                frame, is_log1p=True, group_keys="cluster", n_threads=1, precompile=False
            )
    return _marker_rows(found, genes, most, max_q)


def _marker_rows(found: pd.DataFrame, genes: Genes, most: int, max_q: float) -> list[dict[str, Any]]:
    """Return the best markers of each cluster; ``found`` has a row for each cluster and gene (gN: position N)."""
    from scipy.stats import false_discovery_control

    made: list[dict[str, Any]] = []
    numbers = sorted(int(c) for c in found.index.get_level_values(0).unique())
    for number in numbers:
        mine = found.loc[str(number)]
        z, p, fold = (mine[c].to_numpy(np.float64) for c in ("z_score", "p_value", "fold_change"))
        q = false_discovery_control(p)
        (higher,) = np.nonzero((z > 0) & (q <= max_q))
        for place in higher[np.argsort(-z[higher], kind="stable")[:most]].tolist():
            gene = int(str(mine.index[place])[1:])
            made.append(
                {
                    "cluster": number,
                    "gene": plain(str(genes.ids[gene])),
                    "symbol": plain(str(genes.symbols[gene])),
                    # A gene that no other cell has: no finite fold.
                    "log2_fold_change": float(np.log2(fold[place])) if 0 < fold[place] < np.inf else None,
                    "p": float(p[place]),
                    "q": float(q[place]),
                }
            )
    return made
