"""Cells in few dimensions, and their neighbours: what pictures and clusters start from. No metric rests on it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from cartrace.cells.stored import Genes

TARGET = 1e4
"""UMIs that every cell is scaled to. Source: the default of scanpy and Seurat."""
_RECEPTOR = re.compile(r"^(TR[ABGD][VDJ]|IG[HKL][VDJ])")
SIZE = 100.0
"""Size of the negative binomial of counts of cells of one kind (Lause 2021, Genome Biol 22:258)."""
EXACT = 20_000
"""Cells up to which all distances are computed; of more the graph of HNSW finds the neighbours (recall 0.99)."""


def shown_genes(genes: Genes, left_out: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return (genes,) which genes may shape a picture.

    Not the CAR and what shares its sequence, nor receptor genes: both would draw clones and transduction
    instead of types (Haradhvala 2022, Nat Med 28:1848).
    """
    receptor = np.array([bool(_RECEPTOR.match(str(s))) for s in genes.symbols], dtype=bool)
    shown: NDArray[np.bool_] = np.isin(genes.types, ["Gene Expression", ""]) & ~genes.cars & ~receptor
    return shown & ~np.isin(genes.symbols, list(left_out))


def normalised(counts: csr_array) -> csr_array:
    """Return log(1 + counts scaled to 10,000 a cell); a cell without counts stays empty."""
    totals = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    out = counts.astype(np.float32)
    scale = np.where(totals > 0, TARGET / np.maximum(totals, 1), 0.0)
    out.data = np.log1p(out.data * np.repeat(scale, np.diff(out.indptr))).astype(np.float32)
    return out


def variable_genes(
    counts: csr_array, library: NDArray[Any], allowed: NDArray[np.bool_], most: int
) -> NDArray[np.int64]:
    """Return the positions of the genes that vary most within libraries, in order.

    By the variance of analytic Pearson residuals (Lause 2021, Genome Biol 22:258), which takes depth and the
    noise of counting out. Within each library, averaged by cells: what differs between libraries shapes no
    picture. Genes without counts are never among them.
    """
    found = np.zeros(counts.shape[1])
    for name in np.unique(library):
        (cells,) = np.nonzero(library == name)
        found += len(cells) * residual_variance(counts[cells])
    (candidates,) = np.nonzero(allowed & (np.asarray(counts.sum(axis=0)).ravel() > 0))
    best = candidates[np.argsort(-found[candidates], kind="stable")[:most]]
    return np.sort(best)


def residual_variance(counts: csr_array) -> NDArray[np.float64]:
    """Return (genes,) the mean square of the Pearson residuals of counts, clipped at the root of the cells.

    The expected count is depth of the cell times share of the gene, with negative binomial noise. Zeros are
    most of the entries: theirs are summed over bins of depth, and only the rest one by one.
    """
    n, genes = counts.shape
    depth = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    share = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel() / max(depth.sum(), 1.0)
    total = np.zeros(genes)
    for alike in np.array_split(np.sort(depth), min(n, 50)):
        expected = alike.mean() * share
        total += len(alike) * expected / (1 + expected / SIZE)
    most = np.sqrt(n)
    # In parts, since each entry needs several numbers.
    for start in range(0, n, 2000):
        part = counts[start : start + 2000]
        expected = np.repeat(depth[start : start + 2000], np.diff(part.indptr)) * share[part.indices]
        spread = expected * (1 + expected / SIZE)
        residual = np.clip((part.data - expected) / np.sqrt(spread), -most, most)
        total += np.bincount(part.indices, residual**2 - expected**2 / spread, minlength=genes)
    return total / max(n, 1)


def principal_components(values: csr_array, count: int, seed: int) -> NDArray[np.float32]:
    """Return (cells, count) principal components of centred genes, each of a sign that doesn't depend on chance.

    The covariance of the genes is decomposed, which needs one pass over the sparse values and no dense copy of
    them. Fewer components where there are fewer cells or genes.
    """
    from scipy.sparse.linalg import LinearOperator, svds

    n, genes = values.shape
    count = min(count, n - 1, genes - 1)
    if count < 1:
        return np.zeros((n, 0), np.float32)
    mean = np.asarray(values.mean(axis=0), dtype=np.float32).ravel()
    centred = LinearOperator(
        (n, genes),
        matvec=lambda v: values @ v - float(mean @ v.ravel()),
        rmatvec=lambda v: values.T @ v - mean * v.sum(),
        matmat=lambda v: values @ v - mean @ v,
        rmatmat=lambda v: values.T @ v - np.outer(mean, v.sum(axis=0)),
        dtype=np.float32,
    )
    start = np.random.default_rng(seed).standard_normal(min(n, genes)).astype(np.float32)
    left, size, right = svds(centred, k=count, v0=start)
    order = np.argsort(-size)
    sign = np.sign(right[order][np.arange(count), np.abs(right[order]).argmax(axis=1)])
    found: NDArray[np.float32] = (left[:, order] * (size[order] * sign)).astype(np.float32)
    return found


def harmonised(components: NDArray[np.float32], library: NDArray[Any], seed: int) -> NDArray[np.float32]:
    """Return the components with libraries aligned by Harmony (Korsunsky 2019, Nat Methods 16:1289)."""
    import harmonypy
    import pandas as pd

    if len(np.unique(library)) < 2 or components.shape[1] < 2:
        return components
    about = pd.DataFrame({"library": library.astype(str)})
    done = harmonypy.run_harmony(components, about, ["library"], random_state=seed, verbose=False)
    made = np.asarray(done.Z_corr, dtype=np.float32)
    return made if made.shape == components.shape else made.T


def neighbours(points: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the nearest other cells (cells, count) and their distances; exact up to :data:`EXACT` cells."""
    import faiss

    data = np.ascontiguousarray(points, dtype=np.float32)
    n, size = data.shape
    count = min(count, n - 1)
    if n <= EXACT:
        index: Any = faiss.IndexFlatL2(size)
    else:
        index = faiss.IndexHNSWFlat(size, 32)
        index.hnsw.efSearch = 64
    index.add(data)
    squares, found = index.search(data, count + 1)
    # The cell itself comes first, or among cells that are its equals.
    itself = found == np.arange(n)[:, None]
    itself[~itself.any(axis=1), -1] = True
    keep = ~itself
    return found[keep].reshape(n, count), np.sqrt(np.maximum(squares[keep], 0)).reshape(n, count)
