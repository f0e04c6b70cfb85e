"""Overlap of the clones, or integration sites, of two samples of one subject.

Shared clones and Jaccard's index rest on depth: what one sample missed is not shared. Morisita-Horn rests on the
large clones, and hardly on depth (Horn 1966, Am Nat 100:419; Wolda 1981, Oecologia 50:296).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from cartrace.repertoire.tables import OVERLAP
from cartrace.tables import rows

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_array

Key = tuple[str, str]
"""Population (or cell type), and sample_id."""


def overlap_table(
    counts: Mapping[Key, Mapping[str, float]], *, subject_id: str, unit: str, min_cells: float
) -> pd.DataFrame:
    """Return the rows of OVERLAP: every pair of samples of one subject.

    Clones of two populations in one sample are not compared, since CAR-T cells are T cells too; nor are those of
    B cells with those of T cells.

    Parameters
    ----------
    counts
        (population or cell type, sample_id) -> clone, or site -> cells; in the order in which the pairs are told.
    unit
        ``clonotype`` or ``site``.
    min_cells
        Cells that a sample needs for an index.

    Raises
    ------
    ValueError
        For cells that are negative or no numbers.
    """
    keys = list(counts)
    table = count_matrix(counts.values())
    if not np.isfinite(table.data).all() or (table.data < 0).any():
        raise ValueError("cells are numbers from 0 on")
    table.eliminate_zeros()
    cells = table.sum(axis=1)
    seen = np.diff(table.indptr)
    shared, horn = shared_and_horn(table)
    found: list[dict[str, object]] = []
    for i, j in combinations(range(len(keys)), 2):
        if unit == "clonotype" and not _comparable(keys[i], keys[j]):
            continue
        both = int(shared[i, j])
        short = [f"{keys[k][1]} has {cells[k]:g}" for k in (i, j) if cells[k] < min_cells]
        row: dict[str, object] = {
            "subject_id": subject_id,
            "unit": unit,
            "population_a": keys[i][0],
            "sample_a": keys[i][1],
            "population_b": keys[j][0],
            "sample_b": keys[j][1],
            "clones_a": int(seen[i]),
            "clones_b": int(seen[j]),
            "shared": both,
        }
        if short or not (seen[i] and seen[j]):
            row["reason"] = f"{min_cells:g} cells are needed: {', '.join(short)}" if short else "no cells"
        else:
            row["jaccard"] = both / int(seen[i] + seen[j] - both)
            row["morisita_horn"] = float(horn[i, j])
        found.append(row)
    return rows(found, OVERLAP)


def _comparable(a: Key, b: Key) -> bool:
    return a[0] == b[0] or (a[1] != b[1] and "b_cells" not in (a[0], b[0]))


def count_matrix(counts: Iterable[Mapping[str, float]]) -> csr_array:
    """Return the cells of each sample (row) in each clone (column, sorted by name), (samples, clones)."""
    from scipy.sparse import csr_array

    listed = list(counts)
    place = {clone: i for i, clone in enumerate(sorted({c for one in listed for c in one}))}
    columns = np.array([place[c] for one in listed for c in one], dtype=np.int64)
    values = np.array([n for one in listed for n in one.values()], dtype=np.float64)
    ends = np.cumsum([0, *(len(one) for one in listed)])
    table = csr_array((values, columns, ends), shape=(len(listed), len(place)))
    # Sums run over the clones by name, so that no digit depends on the order in which they came.
    table.sort_indices()
    return table


def shared_and_horn(table: csr_array) -> tuple[csr_array, csr_array]:
    """Return the shared clones and the Morisita-Horn overlap of each two samples, both sparse (samples, samples).

    Morisita-Horn is 2 sum p q / (sum p^2 + sum q^2) with the shares p and q of the clones: 0 when none is shared, 1
    for the same shares. Nothing is stored where no clone is shared.

    Parameters
    ----------
    table
        Cells, not negative and without stored zeros, (samples, clones).
    """
    from scipy.sparse import csr_array, diags_array

    met = csr_array((np.ones_like(table.data), table.indices, table.indptr), shape=table.shape)
    cells = table.sum(axis=1)
    p = csr_array(diags_array(1 / np.where(cells > 0, cells, 1.0)) @ table)
    common = csr_array(p @ p.T)
    square = common.diagonal()
    pairs = common.tocoo()
    a, b = pairs.coords
    horn = np.minimum(2 * pairs.data / (square[a] + square[b]), 1.0)
    return csr_array(met @ met.T), csr_array((horn, (a, b)), shape=pairs.shape)
