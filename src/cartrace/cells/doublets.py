"""Two cells behind one barcode: how likely, from simulated doublets, from receptors, from lineages.

Doublets are simulated by adding up the counts of two random cells, as Scrublet does (Wolock 2019). Where
simulated doublets crowd among the nearest neighbours of a cell, doublets do. What differs from Scrublet:
neighbours are exact, the genes are not scaled to the same variance (which lets the noise of rare genes in),
and the score is a probability, given the share of doublets that the number of cells lets expect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from cartrace.cells.settings import Doublets

PER = 10_000.0
"""Depth to which cells are brought before logarithms are taken."""
APART: tuple[tuple[frozenset[str], frozenset[str]], ...] = tuple(
    (frozenset(one), frozenset(other))
    for one, other in (
        (("t", "nk"), ("b", "plasma")),
        (("t", "nk"), ("monocyte", "dendritic")),
        (("b", "plasma"), ("monocyte",)),
        (("t", "nk", "b", "plasma", "monocyte"), ("erythroid",)),
    )
)
"""Lineages that no single cell has both of. T and NK cells share programmes, monocytes and dendritic cells, B cells
and plasmacytoid dendritic cells, progenitors all of them; platelets stick to other cells."""


@dataclass(frozen=True, slots=True)
class DoubletScores:
    """How likely each cell is two.

    Attributes
    ----------
    score
        Probability, 0 to 1, (cells,); the expected share for every cell where there are too few to tell.
    threshold
        Score from which a cell counts as two.
    expected_share
        Share of doublets that the number of barcodes lets expect.
    """

    score: NDArray[np.float64]
    threshold: float
    expected_share: float

    @property
    def doublet(self) -> NDArray[np.bool_]:
        """Cells that count as two, by their neighbours alone, (cells,)."""
        return np.asarray(self.score >= self.threshold)


def doublet_scores(
    counts: csr_array,
    totals: NDArray[np.float64] | None = None,
    *,
    rng: np.random.Generator,
    settings: Doublets,
    barcodes: int | None = None,
) -> DoubletScores:
    """Return how likely each cell is two, from simulated doublets among its neighbours.

    With q the share of simulated doublets among the neighbours, f_d and f the densities of doublets and of all
    cells there, n cells and m simulated doublets, q = m f_d / (m f_d + n f); so that with a share p of doublets
    the probability is p f_d / f = p n q / (m (1 - q)).

    Parameters
    ----------
    counts
        UMIs, cells x genes; cells that keep the limits of quality, genes without CAR features. More genes than
        ``settings.genes`` are cut down to those that vary most.
    totals
        UMIs of each cell, where ``counts`` has not all genes, (cells,).
    rng
        Draws the pairs.
    settings
        Section ``cells.doublets``.
    barcodes
        Barcodes of the library, from which the expected share follows; None: as many as there are cells.
    """
    cells = counts.shape[0]
    expected = min(settings.rate_per_cell * (barcodes or cells), 0.5)
    if cells < settings.min_cells or expected == 0:
        return DoubletScores(np.full(cells, expected), settings.threshold, expected)
    if totals is None:
        totals = np.asarray(counts.sum(axis=1), dtype=float).ravel()
    counts = counts[:, _variable(_log(counts, totals), settings.genes)]
    simulated = int(settings.simulated * cells)
    one, other = rng.integers(0, cells, (2, simulated))
    pairs = (counts[one] + counts[other]).tocsr()
    points = _components(_log(counts, totals), _log(pairs, totals[one] + totals[other]), settings.components)
    # As many neighbours as Scrublet takes: half the root of the cells, and simulated ones in proportion.
    neighbours = max(5, round(0.5 * np.sqrt(cells) * (1 + simulated / cells)))
    among = _simulated_among(points, cells, neighbours)
    share = (among + 1.0) / (neighbours + 2.0)
    odds = share / (1.0 - share) * cells / simulated
    return DoubletScores(np.minimum(expected * odds, 1.0), settings.threshold, expected)


def _log(counts: csr_array, totals: NDArray[np.float64]) -> csr_array:
    """Return log(1 + UMIs in 10,000), cells x genes."""
    from scipy.sparse import csr_array

    scale = np.repeat(PER / np.maximum(totals, 1.0), np.diff(counts.indptr))
    values = np.log1p(counts.data * scale).astype(np.float32)
    return csr_array((values, counts.indices, counts.indptr), shape=counts.shape)


def _variable(values: csr_array, most: int) -> NDArray[np.intp]:
    """Return the genes whose variance is largest for their mean (in 20 bins of the mean), in order."""
    n, genes = values.shape
    mean = np.bincount(values.indices, values.data, genes) / n
    variance = np.bincount(values.indices, values.data**2, genes) / n - mean**2
    usable = np.flatnonzero((variance > 0) & (mean > 0.01))
    if len(usable) <= most:
        return usable
    ratio = np.zeros(genes)
    for part in np.array_split(usable[np.argsort(mean[usable], kind="stable")], 20):
        ratio[part] = variance[part] / np.median(variance[part])
    return np.sort(np.argsort(-ratio, kind="stable")[:most])


def _components(cells: csr_array, simulated: csr_array, most: int) -> NDArray[np.float32]:
    """Project cells and simulated doublets on the principal components of the cells, (all, components).

    Exact: eigenvectors of the genes' covariance, which the sparse matrix gives without being centred.
    """
    from scipy import linalg, sparse

    n, genes = cells.shape
    mean = np.asarray(cells.mean(axis=0), dtype=float).ravel()
    covariance = (cells.T @ cells).toarray().astype(float) / n - np.outer(mean, mean)
    count = min(most, genes)
    _, loadings = linalg.eigh(covariance, subset_by_index=(genes - count, genes - 1))
    points = sparse.vstack([cells, simulated], format="csr") @ loadings.astype(np.float32)
    return np.ascontiguousarray(points, dtype=np.float32)


def _simulated_among(points: NDArray[np.float32], cells: int, neighbours: int) -> NDArray[np.int64]:
    """Return how many of the nearest neighbours of each cell are simulated, (cells,)."""
    import faiss

    index = faiss.IndexFlatL2(points.shape[1])
    index.add(points)
    _, found = index.search(points[:cells], neighbours + 1)
    itself = found == np.arange(cells)[:, None]
    # A cell with twins may be missing among its own nearest: then the farthest goes.
    itself[~itself.any(axis=1), -1] = True
    return np.asarray(((found >= cells) & ~itself).sum(axis=1))


def two_receptors(chains: Mapping[str, NDArray[np.float64]], most_heavy: int) -> NDArray[np.bool_]:
    """Say which cells have receptors of two cells: TCR and BCR, or more TRB or IGH chains than one cell has.

    A light chain alone does not tell: plasma cells fill the medium with them.

    Parameters
    ----------
    chains
        ``tra``, ``trb``, ``igh`` -> chains of each cell, NaN where the library has no such contigs, (cells,) each.
    most_heavy
        TRB or IGH chains that one cell can have.
    """
    tra, trb, igh = (np.nan_to_num(np.asarray(chains[k], dtype=float)) for k in ("tra", "trb", "igh"))
    return np.asarray((((tra > 0) | (trb > 0)) & (igh > 0)) | (trb > most_heavy) | (igh > most_heavy))


def two_lineages(scores: NDArray[np.float64], lineages: Sequence[str], least: float) -> NDArray[np.bool_]:
    """Say which cells show the markers of two lineages that no single cell has both of.

    Parameters
    ----------
    scores
        What a cell's markers say for each lineage against none, natural logarithms, (cells, lineages).
    lineages
        Their names.
    least
        Score from which a lineage counts as shown.
    """
    shown = scores >= least
    two = np.zeros(len(scores), bool)
    for one, other in APART:
        has_one, has_other = (shown[:, np.isin(lineages, list(side))].any(axis=1) for side in (one, other))
        two |= has_one & has_other
    return two


@dataclass(frozen=True, slots=True)
class DoubletEvidence:
    """Which cells count as two, and why.

    Attributes
    ----------
    doublet
        (cells,).
    evidence
        ``neighbours``, ``receptors``, ``lineages``, joined by ';'; None for single cells, (cells,).
    """

    doublet: NDArray[np.bool_]
    evidence: NDArray[np.object_]


def combine_doublet_evidence(
    neighbours: NDArray[np.bool_], receptors: NDArray[np.bool_], lineages: NDArray[np.bool_]
) -> DoubletEvidence:
    """Join the kinds of evidence: each alone is enough, (cells,) each."""
    evidence = np.full(len(neighbours), None, dtype=object)
    for name, cells in (("neighbours", neighbours), ("receptors", receptors), ("lineages", lineages)):
        evidence[cells] = [f"{e};{name}" if e else name for e in evidence[cells]]
    return DoubletEvidence(neighbours | receptors | lineages, evidence)
