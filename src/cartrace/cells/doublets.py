"""Two cells behind one barcode: how likely, from simulated doublets, from receptors, from lineages.

Doublets are simulated by adding up the counts of two random cells, as Scrublet does (Wolock 2019). Where
simulated doublets crowd among the nearest neighbours of a cell, doublets do. What differs from Scrublet, each
measured on planted doublets (docs/cells.md): neighbours are exact; the genes are not scaled to one variance,
which lets the noise of rare genes in; three sizes of neighbourhood are looked at, and the cell's UMIs with
them (as scDblFinder does, Germain 2022); the score is a probability, given the share of doublets that the
number of cells lets expect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from cartrace.cells.settings import Doublets

PER = 10_000.0
"""Depth to which cells are brought before logarithms are taken."""
LEAST_KEPT = 0.6
"""A doublet keeps at least this share of the UMIs of its two cells. House value; doublets of two species had 0.8 of
both [recalled]."""
RIDGE = 1.0
MOST_FITTED = 10_000
MOST_ASKED = 5_000
MOST_NEIGHBOURS = 40
EXACT = 50_000
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
    """Return how likely each cell is two, from simulated doublets among its neighbours and from its UMIs.

    A logistic regression tells simulated doublets from cells, by the logarithm of the odds of simulated ones
    among the neighbours and that of the UMIs. Its odds are in proportion to f_d / f, the densities of doublets
    and of all cells, of which the mean over all cells is 1; and with a share p of doublets p f_d / f is the
    probability.

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
    pairs, pair_totals = _simulated(counts, totals, int(settings.simulated * cells), rng)
    points = _components(_log(counts, totals), _log(pairs, pair_totals), settings.components)
    # All cells are asked for their neighbours; of the simulated doublets, what the regression needs.
    asked = min(len(points), cells + MOST_ASKED)
    depth = np.log(np.maximum(np.concatenate([totals, pair_totals])[:asked], 1.0))
    features = np.column_stack([_neighbour_odds(points, cells, asked), depth])
    odds = np.exp(_log_odds(features, np.arange(asked) >= cells)[:cells])
    score = np.minimum(expected * odds / odds.mean(), 1.0)
    return DoubletScores(score, settings.threshold, expected)


def _simulated(
    counts: csr_array, totals: NDArray[np.float64], number: int, rng: np.random.Generator
) -> tuple[csr_array, NDArray[np.float64]]:
    """Return counts and UMIs of simulated doublets: two random cells together, and a part of their UMIs lost.

    Two cells share the primers of one bead, so that less is counted than of both alone.
    """
    one, other = rng.integers(0, counts.shape[0], (2, number))
    pairs = (counts[one] + counts[other]).tocsr()
    kept = rng.uniform(LEAST_KEPT, 1.0, number)
    whole = totals[one] + totals[other]
    inside = np.asarray(pairs.sum(axis=1), dtype=float).ravel()
    pairs.data = rng.binomial(pairs.data.astype(np.int64), np.repeat(kept, np.diff(pairs.indptr)))
    # UMIs of genes that are not here are thinned in the same way.
    outside = rng.binomial(np.maximum(whole - inside, 0).astype(np.int64), kept)
    return pairs, outside + np.asarray(pairs.sum(axis=1), dtype=float).ravel()


def _neighbour_odds(points: NDArray[np.float32], cells: int, asked: int) -> NDArray[np.float64]:
    """Return the log odds of simulated doublets among the neighbours of the first points, (asked,).

    The mean over three sizes of neighbourhood: as many as Scrublet takes (half the root of the cells, and
    simulated ones in proportion; 40 at most), a third and three times of it.
    """
    middle = min(0.5 * np.sqrt(cells) * len(points) / cells, MOST_NEIGHBOURS)
    sizes = [max(5, round(middle * f)) for f in (1 / 3, 1, 3)]
    largest = min(sizes[-1], len(points) - 1)
    _, found = _index(points).search(points[:asked], largest + 1)
    itself = found == np.arange(asked)[:, None]
    # A point with twins may be missing among its own nearest: then the farthest goes.
    itself[~itself.any(axis=1), -1] = True
    simulated = (found >= cells)[~itself].reshape(asked, largest)
    total = np.zeros(asked)
    for size in sizes:
        among = simulated[:, :size].sum(axis=1) + 1.0
        total += np.log(among) - np.log(min(size, largest) + 2.0 - among)
    return total / len(sizes)


def _index(points: NDArray[np.float32]) -> Any:
    """Return what finds nearest points: exactly up to 50,000, beyond among the nearest eighth of the space."""
    import faiss

    exact = faiss.IndexFlatL2(points.shape[1])
    if len(points) <= EXACT:
        exact.add(points)
        return exact
    parts = int(np.sqrt(len(points)))
    index = faiss.IndexIVFFlat(exact, points.shape[1], parts)
    index.train(points[:: max(1, len(points) // (40 * parts))])
    index.add(points)
    index.nprobe = max(1, parts // 8)
    return index


def _log_odds(features: NDArray[np.float64], label: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Fit a logistic regression by Newton's method, and return its log odds, (rows,)."""
    scale = np.maximum(features.std(axis=0), 1e-9)
    x = np.column_stack([np.ones(len(features)), (features - features.mean(axis=0)) / scale])
    weights = np.zeros(x.shape[1])
    for _ in range(25):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ weights, -30, 30)))
        # A weak ridge keeps it finite where both are told apart completely.
        gradient = x.T @ (label - p) - RIDGE * weights
        curvature = (x * (p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return np.asarray(x @ weights)


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

    genes = cells.shape[1]
    # 10,000 cells, taken evenly, give the components of any number.
    fitted = cells[:: -(-cells.shape[0] // MOST_FITTED)]
    mean = np.asarray(fitted.mean(axis=0), dtype=float).ravel()
    covariance = (fitted.T @ fitted).toarray().astype(float) / fitted.shape[0] - np.outer(mean, mean)
    count = min(most, genes)
    _, loadings = linalg.eigh(covariance, subset_by_index=(genes - count, genes - 1))
    points = sparse.vstack([cells, simulated], format="csr") @ loadings.astype(np.float32)
    return np.ascontiguousarray(points, dtype=np.float32)


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
