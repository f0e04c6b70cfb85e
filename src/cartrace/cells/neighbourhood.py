"""Cells that are alike: variable genes, principal components, exact nearest neighbours, and what they settle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.cells.scores import PER, Floats, Integers

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Variation:
    """Sums over cells of log(1 + UMIs in 10,000) of every column, and of its square."""

    first: Floats
    second: Floats
    cells: int

    @property
    def mean(self) -> Floats:
        """Mean of every column."""
        return self.first / max(self.cells, 1)

    @property
    def variance(self) -> Floats:
        """Variance of every column."""
        return np.maximum(self.second / max(self.cells, 1) - self.mean**2, 0.0)

    @classmethod
    def joined(cls, parts: Sequence[Variation]) -> Variation:
        """Add up the parts of one matrix; there is at least one."""
        return cls(
            np.sum([p.first for p in parts], axis=0),
            np.sum([p.second for p in parts], axis=0),
            sum(p.cells for p in parts),
        )


def variation_of(block: csr_array, totals: Floats) -> Variation:
    """Sum up a block of cells with their UMIs."""
    values = _log_values(block, totals)
    columns = block.shape[1]
    return Variation(
        np.bincount(block.indices, values, minlength=columns),
        np.bincount(block.indices, values**2, minlength=columns),
        block.shape[0],
    )


def _log_values(block: csr_array, totals: Floats) -> NDArray[np.float32]:
    """Return log(1 + UMIs in 10,000) of the stored values of a block."""
    scale = (PER / np.maximum(totals, 1.0)).astype(np.float32)
    values: NDArray[np.float32] = np.log1p(
        block.data * np.repeat(scale, np.diff(block.indptr)), dtype=np.float32
    )
    return values


def log_normalised(counts: csr_array, totals: Floats) -> csr_array:
    """Return log(1 + UMIs in 10,000) of a sparse matrix, as float32."""
    from scipy import sparse

    values = _log_values(counts, totals)
    return sparse.csr_array((values, counts.indices, counts.indptr), shape=counts.shape)


def variable_columns(found: Variation, allowed: NDArray[np.bool_], most: int) -> Integers:
    """Return the columns that vary most for their mean, at most ``most``, in order.

    Genes in 20 bins by mean; what counts is the variance over the median variance of the bin
    (Satija et al. 2015, Seurat; the median instead of mean and deviation, since a bin holds few
    marker genes with a great variance).
    """
    usable = np.flatnonzero(allowed & (found.variance > 0))
    if len(usable) <= most:
        return usable
    order = usable[np.argsort(found.mean[usable], kind="stable")]
    ratio = np.zeros(len(found.mean))
    for part in np.array_split(order, 20):
        ratio[part] = found.variance[part] / np.median(found.variance[part])
    # A column that nearly no cell has gives noise, however it varies.
    rare = found.mean < 0.01
    ratio[rare] = 0.0
    chosen = usable[np.argsort(-ratio[usable], kind="stable")[:most]]
    return np.sort(chosen)


FITTED = 10_000
"""Cells that components are computed from; of more, every second, third, ..."""
_BLOCK = 2_048


def principal_components(values: csr_array, fitted: NDArray[np.bool_], most: int) -> NDArray[np.float32]:
    """Project cells on the components of the ``fitted`` cells, each gene scaled to unit variance.

    Eigenvectors of the covariance of the genes, which the sparse matrix gives without
    being centred. A gene's scale is limited from below by half the median, so that noise of rare
    genes is not blown up.

    Returns
    -------
    ndarray
        (cells, components).
    """
    from scipy import linalg

    members = np.flatnonzero(fitted)
    base = values[members[:: -(-len(members) // FITTED)]]
    n = base.shape[0]
    mean = np.asarray(base.mean(axis=0), dtype=float).ravel()
    second = np.asarray(base.multiply(base).mean(axis=0), dtype=float).ravel()
    deviation = np.sqrt(np.maximum(second - mean**2, 0.0))
    usual = float(np.median(deviation[deviation > 0])) if (deviation > 0).any() else 1.0
    scale = 1.0 / np.maximum(deviation, usual / 2)
    product = np.zeros((base.shape[1], base.shape[1]))
    for start in range(0, n, _BLOCK):
        block = base[start : start + _BLOCK].toarray()
        product += block.T @ block
    product /= n
    covariance = (product - np.outer(mean, mean)) * np.outer(scale, scale)
    size = covariance.shape[0]
    count = min(most, size, max(n - 1, 1))
    _, vectors = linalg.eigh(covariance, subset_by_index=(size - count, size - 1))
    # The sign of a component is arbitrary; fixed, so that the same counts give the same numbers.
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(count)])
    loadings = (vectors * signs * scale[:, None])[:, ::-1]
    coordinates = np.asarray(values @ loadings.astype(np.float32)) - (mean @ loadings).astype(np.float32)
    return np.ascontiguousarray(coordinates, dtype=np.float32)


EXACT = 50_000
"""Cells up to which neighbours are exact."""


def nearest(coordinates: NDArray[np.float32], base: NDArray[np.bool_], count: int) -> Integers:
    """Return the nearest ``base`` cells of every cell, itself left out; exact up to 50,000 of them.

    Returns
    -------
    ndarray
        (cells, neighbours) indices into all cells; fewer neighbours when there are few cells.
    """
    import faiss

    members = np.flatnonzero(base)
    count = min(count, len(members) - 1)
    if count < 1:
        return np.empty((len(coordinates), 0), dtype=np.int64)
    base_points = np.ascontiguousarray(coordinates[members])
    index: Any = faiss.IndexFlatL2(coordinates.shape[1])
    if len(members) > EXACT:
        # 300,000 cells against each other would take minutes: search the nearest 5 % of the space.
        cells = int(np.sqrt(len(members)))
        index = faiss.IndexIVFFlat(index, coordinates.shape[1], cells)
        index.train(base_points[:: max(1, len(members) // (50 * cells))])
        index.nprobe = max(8, cells // 20)
    index.add(base_points)
    _, found = index.search(np.ascontiguousarray(coordinates), count + 1)
    found = members[found]
    own = found == np.arange(len(coordinates))[:, None]
    # Where the cell is not among its own (it is no base cell, or has twins), the farthest goes.
    own[~own.any(axis=1), -1] = True
    result: Integers = found[~own].reshape(len(coordinates), count)
    return result


def settle(
    likelihood: Callable[[Floats | None], Floats], neighbours: Integers, floor: float, rounds: int
) -> Floats:
    """Let the neighbours be the prior of each cell, some rounds long.

    The prior of a class is the mean of its share among the neighbours, but never below
    ``floor``: a cell whose own counts speak for a rare class by more than 1 / floor keeps it,
    whatever all its neighbours are. So neighbours settle what a cell's own counts leave open,
    and can't erase a rare population.

    Parameters
    ----------
    likelihood
        Takes the logarithm of the prior (cells, classes) or None, gives posteriors.
    """
    shares = likelihood(None)
    if neighbours.shape[1] == 0:
        return shares
    classes = shares.shape[1]
    for _ in range(rounds):
        around = sum(shares[column] for column in neighbours.T) / neighbours.shape[1]
        shares = likelihood(np.log(floor + (1.0 - classes * floor) * around))
    return shares
