"""What the counts of marker genes say for each class of a panel, cell by cell.

One pass over the matrix, in blocks of cells, keeps the counts of the panels' genes and each
cell's UMIs. What a gene says is the ratio of two likelihoods: that the cell expresses it at the
level of the panel, or that its UMIs are background. Both rates are in 10,000 UMIs, so that the
cell's depth is in the model: a shallow cell says little, in either direction, and says it on the
same scale in every library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from cartrace.cells.panels import Panel, Panels

PER = 10_000.0
"""Rates are UMIs in as many UMIs of a cell."""
BLOCK = 4_096
_SEPARATION = 3.0  # a gene is expressed at no less than so many times its background

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Background:
    """What UMIs a cell has of a gene that it does not express.

    Attributes
    ----------
    ambient : share of a cell's UMIs that are ambient, 0 to 1
    floor : least rate, UMIs in 10,000
    """

    ambient: float = 0.05
    floor: float = 0.05


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much one gene may say.

    Attributes
    ----------
    size : size of the negative binomial; the variance of a mean m is m + m^2 / size
    most, least : limits of the logarithm of one gene's likelihood ratio
    shared_most : the upper limit for genes that CARs share domains with
    """

    size: float = 1.0
    most: float = 4.0
    least: float = -2.0
    shared_most: float = 1.0


@dataclass(frozen=True)
class GeneCounts:
    """Counts of the panels' genes.

    Attributes
    ----------
    genes : names, as the panels write them
    counts : (cells, genes) UMIs
    totals : (cells,) UMIs of gene expression, CAR features left out
    found : (genes,) whether the matrix has the gene
    """

    genes: tuple[str, ...]
    counts: csr_array
    totals: Floats
    found: NDArray[np.bool_]

    def of(self, gene: str) -> Floats:
        """Return the UMIs of one gene in every cell; zeros when no panel names it."""
        if gene not in self.genes:
            return np.zeros(len(self.totals))
        return np.asarray(self.counts[:, [self.genes.index(gene)]].todense(), dtype=float).ravel()


def match_genes(
    genes: Sequence[str],
    other_names: Mapping[str, Sequence[str]],
    ids: NDArray[np.str_],
    symbols: NDArray[np.str_],
    usable: NDArray[np.bool_],
) -> Integers:
    """Return for each column of a matrix which of ``genes`` it counts, -1 for none.

    A symbol decides before an id, an id before a former symbol, so that a former symbol that
    is another gene's symbol today is not taken for it. Ids may carry a version (ENSG….5).
    """
    place = {name: i for i, gene in enumerate(genes) for name in other_names.get(gene, ())}
    place |= {gene: i for i, gene in enumerate(genes)}
    by_symbol = np.array([place.get(s, -1) for s in symbols], dtype=np.int64)
    by_id = np.array([place.get(s.partition(".")[0], place.get(s, -1)) for s in ids], dtype=np.int64)
    columns = np.where(by_symbol >= 0, by_symbol, by_id)
    # A former symbol only where no column has the gene's own name or id.
    own = np.array(
        [
            c >= 0
            and (s == genes[c] or i.partition(".")[0] in other_names.get(genes[c], ()) or i == genes[c])
            for c, s, i in zip(columns, symbols, ids, strict=True)
        ],
        dtype=bool,
    )
    named = np.zeros(len(genes) + 1, dtype=bool)
    named[columns[own & usable]] = True
    columns = np.where(~own & (columns >= 0) & named[columns], -1, columns)
    return np.where(usable, columns, -1)


def gather(blocks: Iterable[csr_array], columns: Integers, genes: int) -> csr_array:
    """Keep some genes of a matrix that comes in blocks of cells.

    Parameters
    ----------
    columns
        (columns of the matrix,) index of the gene that a column counts, -1 for none; columns of
        one gene are added up.
    genes
        How many genes are kept.

    Returns
    -------
    csr_array
        (cells, genes) of float32.
    """
    from scipy import sparse

    kept = []
    narrow = columns.astype(np.int32)
    twice = len(np.unique(columns[columns >= 0])) < int((columns >= 0).sum())
    for block in blocks:
        gene = narrow[block.indices]
        use = np.flatnonzero(gene >= 0)
        part = sparse.csr_array(
            (block.data[use].astype(np.float32), gene[use], np.searchsorted(use, block.indptr)),
            shape=(block.shape[0], genes),
        )
        if twice:
            part.sum_duplicates()
        kept.append(part)
    if not kept:
        return sparse.csr_array((0, genes), dtype=np.float32)
    return sparse.vstack(kept, format="csr")


@dataclass(frozen=True)
class Group:
    """Panels that compete for a cell, as arrays.

    Attributes
    ----------
    names : (classes,) their names
    genes : (pairs,) index of the gene
    rates : (pairs,) UMIs in 10,000 when expressed
    marker, maybe, absent : (pairs, classes) 1 where the pair speaks so for the class
    shared : (pairs,) whether CARs share domains with the gene
    """

    names: tuple[str, ...]
    genes: Integers
    rates: Floats
    marker: Floats
    maybe: Floats
    absent: Floats
    shared: NDArray[np.bool_]

    @property
    def markers_found(self) -> dict[str, int]:
        """How many marker genes of each class the matrix has."""
        return dict(zip(self.names, self.marker.sum(axis=0).astype(int).tolist(), strict=True))


def group_of(panels: Mapping[str, Panel], counts: GeneCounts, settings: Panels) -> Group:
    """Make the arrays of one group of panels, of the genes that the matrix has."""
    names = tuple(panels)
    place = {gene: i for i, gene in enumerate(counts.genes) if counts.found[i]}
    lowest: dict[str, float] = {}
    for panel in panels.values():
        for level, genes in panel.markers.items():
            for gene in genes:
                lowest[gene] = min(lowest.get(gene, np.inf), settings.levels[level])
    typical = sorted(settings.levels.values())[len(settings.levels) // 2 - 1]
    pairs: dict[tuple[int, float], int] = {}
    entries: list[tuple[int, int, int]] = []

    def add(gene: str, rate: float, column: int, kind: int) -> None:
        if gene in place:
            entries.append((pairs.setdefault((place[gene], rate), len(pairs)), column, kind))

    for column, panel in enumerate(panels.values()):
        for level, genes in panel.markers.items():
            for gene in genes:
                add(gene, settings.levels[level], column, 0)
        for gene in panel.maybe:
            add(gene, lowest.get(gene, typical), column, 1)
        for gene in panel.absent:
            add(gene, lowest.get(gene, typical), column, 2)
    kinds = np.zeros((3, len(pairs), len(names)))
    for pair, column, kind in entries:
        kinds[kind, pair, column] = 1
    genes_ = np.array([g for g, _ in pairs], dtype=np.int64)
    return Group(
        names,
        genes_,
        np.array([r for _, r in pairs], dtype=float),
        kinds[0],
        kinds[1],
        kinds[2],
        np.array([counts.genes[g] in settings.shared_with_cars for g in genes_], dtype=bool),
    )


def without_genes(group: Group, counts: GeneCounts, genes: Iterable[str]) -> Group:
    """Return the group without some genes."""
    keep = ~np.isin(np.array(counts.genes)[group.genes], list(genes))
    return Group(
        group.names,
        group.genes[keep],
        group.rates[keep],
        group.marker[keep],
        group.maybe[keep],
        group.absent[keep],
        group.shared[keep],
    )


def own_markers(group: Group, families: Sequence[str]) -> Group:
    """Return the group with those markers alone that no class of another family may express.

    Parameters
    ----------
    families
        (classes,) the family of each class.
    """
    if not families:
        return group
    listed = (group.marker + group.maybe) > 0
    by_gene = np.zeros((int(group.genes.max(initial=-1)) + 1, listed.shape[1]), dtype=bool)
    np.logical_or.at(by_gene, group.genes, listed)
    of = np.array(families)
    others = np.stack([by_gene[:, of != family].any(axis=1) for family in of], axis=1)
    kept = group.marker * ~others[group.genes]
    nothing = np.zeros_like(kept)
    return Group(group.names, group.genes, group.rates, kept, nothing, nothing, group.shared)


def background_rates(counts: GeneCounts, used: NDArray[np.bool_], background: Background) -> Floats:
    """Return the rate of each gene in cells that do not express it, UMIs in 10,000.

    The soup of a library is close to the mean of its cells (Young and Behjati 2020, SoupX), so
    the background of a gene is the ambient share of its mean rate.
    """
    total = counts.totals[used].sum()
    mean = np.asarray(counts.counts[used].sum(axis=0), dtype=float).ravel() * (PER / max(total, 1.0))
    return np.maximum(mean * background.ambient, background.floor)


def log_ratios(counts: GeneCounts, group: Group, background: Floats, evidence: Evidence) -> Floats:
    """Return what the counts say for every class against "none of them", cell by cell.

    For a gene with mean m1 when it is expressed and m0 when not, negative binomial with size r,

        log ratio = x (log m1/(m1 + r) - log m0/(m0 + r)) - r (log(m1 + r) - log(m0 + r)),

    limited for each gene. A gene that may be expressed gives the logarithm of the mean of its
    ratio and 1; one that should be absent gives its ratio against the class where that is above
    0; a gene that the panel does not name is background, and gives 0.

    Returns
    -------
    ndarray
        (cells, classes) natural logarithms.
    """
    off = background[group.genes]
    on = np.maximum(group.rates, _SEPARATION * off)
    most = np.where(group.shared, evidence.shared_most, evidence.most)
    maybe = group.maybe.any(axis=1)
    absent = group.absent.any(axis=1)
    r = evidence.size
    scores = np.empty((len(counts.totals), len(group.names)))
    for start in range(0, len(scores), BLOCK):
        rows = slice(start, start + BLOCK)
        x = counts.counts[rows][:, group.genes].toarray().astype(float)
        # The coefficients depend on the depth alone: taken on a grid of depths 2 % apart.
        step, cell = np.unique(
            np.round(np.log(np.maximum(counts.totals[rows], 1.0)) / 0.02), return_inverse=True
        )
        depth = np.exp(step * 0.02)[:, None] / PER
        m1, m0 = depth * on, depth * off
        slope = np.log(m1 / (m1 + r)) - np.log(m0 / (m0 + r))
        zero = r * (np.log(m0 + r) - np.log(m1 + r))
        ratio = np.clip(x * slope[cell] + zero[cell], evidence.least, most)
        block = ratio @ group.marker
        block += np.logaddexp(ratio[:, maybe], 0.0) @ group.maybe[maybe]
        block -= np.log(2.0) * group.maybe.sum(axis=0)
        block -= np.maximum(ratio[:, absent], 0.0) @ group.absent[absent]
        scores[rows] = block
    return scores


def learned(
    counts: GeneCounts, group: Group, posterior: Floats, prior_cells: float, least_share: float = 0.9
) -> Group:
    """Return the group with the rates that its markers have in the library's own clear cells.

    The rate of the panel counts like ``prior_cells`` cells of the median depth, and a rate moves
    by no more than 10 times.

    Parameters
    ----------
    posterior
        (cells, classes).
    """
    rates = group.rates.copy()
    if not group.names:
        return group
    depth = float(np.median(counts.totals)) if len(counts.totals) else 0.0
    clear = posterior >= least_share
    exposure = np.array([counts.totals[clear[:, k]].sum() for k in range(len(group.names))])
    sums = np.stack(
        [
            np.asarray(counts.counts[clear[:, k]].sum(axis=0), dtype=float).ravel()
            for k in range(len(group.names))
        ],
        axis=1,
    )
    for pair, gene in enumerate(group.genes):
        of = group.marker[pair] > 0
        if of.any():
            own, seen = sums[gene, of].sum(), exposure[of].sum()
            weight = max(prior_cells * depth, 1.0)
            rate = (own + weight * group.rates[pair] / PER) / (seen + weight) * PER
            rates[pair] = np.clip(rate, group.rates[pair] / 10, group.rates[pair] * 10)
    return Group(group.names, group.genes, rates, group.marker, group.maybe, group.absent, group.shared)


def posteriors(log_ratio: Floats, temperature: float, none: bool, log_prior: Floats | None = None) -> Floats:
    """Return the share of each class, (cells, classes), the last being "none of them" when asked for.

    Markers of a class go together, so that what they say together is less than the sum: the
    logarithms are divided by ``temperature``.
    """
    logits = log_ratio / temperature
    if none:
        logits = np.column_stack([logits, np.zeros(len(logits))])
    if log_prior is not None:
        logits = logits + log_prior
    logits = logits - logits.max(axis=1, keepdims=True)
    weights = np.exp(logits)
    shares: Floats = weights / weights.sum(axis=1, keepdims=True)
    return shares
