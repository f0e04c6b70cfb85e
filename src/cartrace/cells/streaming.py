"""Sums of every cell and of every feature in one pass over a count matrix.

What quality looks at (UMIs, genes, mitochondrial share) leaves the features of the CAR out, so that no verdict
on a cell can depend on its CAR. What the vendor reports counts them, and is kept beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.cells.matrices import GENE_EXPRESSION

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from cartrace.cells.matrices import Features

_OTHER_GENE, _MITO, _RIBO, _HAEMOGLOBIN, _CAR_GENE, _CAR, _TAG, _ELSE = range(8)
_CLASSES = 8
_IS_GENE = _CAR_GENE
"""Classes below are genes and no CAR; up to and with it, what the vendor counts as gene expression."""
_RIBOSOMAL = re.compile(r"RP[SL]\d+[ALXY]?\d?(L\d?)?|RPLP[0-2]|RPSA", re.IGNORECASE)
_GLOBIN = re.compile(r"HB(A[12]|B|D|E1|G[12]|M|Q1|Z)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Roles:
    """What each feature counts as.

    Attributes
    ----------
    codes
        One class of each feature, (features,).
    genes
        Genes that are no CAR, (features,).
    cars, tags
        Features of the CAR, and surface tags that report it, (features,).
    """

    codes: NDArray[np.int8]
    genes: NDArray[np.bool_]
    cars: NDArray[np.bool_]
    tags: NDArray[np.bool_]

    @property
    def has_mito(self) -> bool:
        """Whether the reference has mitochondrial genes by name; without any, no share of them is known."""
        return bool((self.codes == _MITO).any())

    @property
    def has_ribo(self) -> bool:
        """Whether it has ribosomal genes by name."""
        return bool((self.codes == _RIBO).any())

    @property
    def has_haemoglobin(self) -> bool:
        """Whether it has haemoglobin genes by name."""
        return bool((self.codes == _HAEMOGLOBIN).any())


def roles_of(features: Features, cars: NDArray[np.bool_], tags: NDArray[np.bool_]) -> Roles:
    """Say what each feature counts as.

    Parameters
    ----------
    features
        Features of the matrix.
    cars, tags
        Features of the CAR, and surface tags that report it, (features,); a tag that is also a CAR is a CAR.
    """
    genes = features.types == GENE_EXPRESSION
    symbols = features.symbols
    codes = np.where(genes, _OTHER_GENE, _ELSE).astype(np.int8)
    for i in np.flatnonzero(genes).tolist():
        # Genomes that were counted together have names as GRCh38_MT-CO1.
        symbol = str(symbols[i]).rpartition("_")[2]
        if symbol[:3] in ("MT-", "mt-"):
            codes[i] = _MITO
        elif symbol[:2] in ("RP", "Rp") and _RIBOSOMAL.fullmatch(symbol):
            codes[i] = _RIBO
        elif symbol[:2] in ("HB", "Hb") and _GLOBIN.fullmatch(symbol):
            codes[i] = _HAEMOGLOBIN
    codes[tags] = _TAG
    codes[cars] = np.where(genes[cars], _CAR_GENE, _CAR)
    return Roles(codes, codes < _IS_GENE, cars.copy(), tags & ~cars)


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of a count matrix.

    Attributes
    ----------
    umis, genes
        UMIs of genes, and genes with a UMI, CAR left out, (cells,).
    mito, ribo, haemoglobin, car, tag
        UMIs of such features, (cells,).
    vendor_umis, vendor_genes
        The same as umis and genes with the CAR where it is counted as a gene, (cells,).
    feature_umis, feature_cells
        UMIs of each feature, and cells that have it, (features,).
    sets
        Set of genes -> its UMIs, (cells,) each.
    """

    umis: NDArray[np.int64]
    genes: NDArray[np.int64]
    mito: NDArray[np.int64]
    ribo: NDArray[np.int64]
    haemoglobin: NDArray[np.int64]
    car: NDArray[np.int64]
    tag: NDArray[np.int64]
    vendor_umis: NDArray[np.int64]
    vendor_genes: NDArray[np.int64]
    feature_umis: NDArray[np.int64]
    feature_cells: NDArray[np.int64]
    sets: dict[str, NDArray[np.int64]]


def add_up(
    blocks: Iterable[csr_array], roles: Roles, sets: Mapping[str, NDArray[np.bool_]] | None = None
) -> Sums:
    """Add up a matrix that comes in blocks of cells.

    Parameters
    ----------
    blocks
        Cells x features each, whole counts, no stored zeros.
    roles
        What each feature counts as.
    sets
        Sets of genes to be added up for each cell, (features,) each; no feature is in two of them.
    """
    size = len(roles.codes)
    sets = sets or {}
    # The last column takes what is in no set.
    set_of = np.full(size, len(sets), np.int8)
    for i, mask in enumerate(sets.values()):
        set_of[mask & roles.genes] = i
    set_parts = [np.zeros((0, len(sets)), np.int64)]
    feature_umis, feature_cells = np.zeros(size), np.zeros(size, np.int64)
    parts: list[NDArray[Any]] = [np.zeros((0, _CLASSES + 2))]
    for block in blocks:
        code = roles.codes[block.indices]
        row = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
        place = row * _CLASSES + code
        sums = np.bincount(place, block.data, block.shape[0] * _CLASSES).reshape(-1, _CLASSES)
        # Most entries are genes: only the others are counted one by one.
        no_gene = np.bincount(row[code >= _IS_GENE], minlength=block.shape[0])
        car_gene = np.bincount(row[code == _CAR_GENE], minlength=block.shape[0])
        genes = np.diff(block.indptr) - no_gene
        parts.append(np.column_stack([sums, genes, car_gene]))
        if sets:
            own = set_of[block.indices]
            inside = own < len(sets)
            place = row[inside] * len(sets) + own[inside]
            in_sets = np.bincount(place, block.data[inside], block.shape[0] * len(sets))
            set_parts.append(in_sets.astype(np.int64).reshape(-1, len(sets)))
        feature_umis += np.bincount(block.indices, block.data, size)
        feature_cells += np.bincount(block.indices, minlength=size)
    table = np.concatenate(parts).astype(np.int64)
    umis, genes, car_genes = table[:, :_IS_GENE].sum(axis=1), table[:, _CLASSES], table[:, _CLASSES + 1]
    return Sums(
        umis=umis,
        genes=genes,
        mito=table[:, _MITO],
        ribo=table[:, _RIBO],
        haemoglobin=table[:, _HAEMOGLOBIN],
        car=table[:, _CAR_GENE] + table[:, _CAR],
        tag=table[:, _TAG],
        vendor_umis=umis + table[:, _CAR_GENE],
        vendor_genes=genes + car_genes,
        feature_umis=feature_umis.astype(np.int64),
        feature_cells=feature_cells,
        sets=dict(zip(sets, np.concatenate(set_parts).T, strict=True)),
    )


@dataclass(frozen=True, slots=True)
class Empties:
    """What floats in the empty droplets of a library.

    Attributes
    ----------
    droplets
        Barcodes that were taken as empty.
    limit
        Most UMIs of such a barcode.
    feature_umis
        UMIs of each feature in them together, (features,).
    """

    droplets: int
    limit: int
    feature_umis: NDArray[np.int64]


def empty_limit(sums: Sums, most: int) -> int:
    """Return the most UMIs of an empty droplet: ``most``, and a tenth of the cells' median at most.

    In a library that was sequenced little, cells have few UMIs too; in a failed one nothing is empty.
    """
    median = float(np.median(sums.umis)) if len(sums.umis) else 0.0
    return min(most, int(median / 10))


def add_up_empties(
    blocks: Iterable[tuple[int, csr_array]], cells: NDArray[np.bool_], limit: int, roles: Roles
) -> Empties:
    """Add up the barcodes that are no cells and have 1 to ``limit`` UMIs of genes.

    Parameters
    ----------
    blocks
        First row and block, as a count matrix gives them; the CAR does not decide what is empty.
    cells
        Barcodes that were called cells, (barcodes,).
    limit
        Most UMIs of an empty droplet; barcodes above it that are no cells may be poor cells.
    roles
        What each feature counts as.
    """
    droplets, sums = 0, np.zeros(len(roles.codes))
    for first, block in blocks:
        row = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
        is_gene = roles.codes[block.indices] < _IS_GENE
        umis = np.bincount(row, block.data * is_gene, block.shape[0])
        empty = (umis >= 1) & (umis <= limit) & ~cells[first : first + block.shape[0]]
        droplets += int(empty.sum())
        inside = empty[row]
        sums += np.bincount(block.indices[inside], block.data[inside], len(sums))
    return Empties(droplets, limit, sums.astype(np.int64))
