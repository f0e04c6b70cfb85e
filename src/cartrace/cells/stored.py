"""Read the h5ad files that this stage writes itself: names, and counts block by block, without anndata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import h5py
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

BLOCK = 4_000_000
"""Entries of one block: 32 MB."""


@dataclass(frozen=True, slots=True)
class Genes:
    """Columns of a matrix.

    Attributes
    ----------
    ids, symbols, types
        (genes,) text: unique ids, symbols, types as Cell Ranger writes them.
    cars
        (genes,) features of a CAR.
    """

    ids: NDArray[Any]
    symbols: NDArray[Any]
    types: NDArray[Any]
    cars: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of genes."""
        return len(self.ids)


class Stored:
    """One h5ad with counts; use as a context."""

    def __init__(self, path: Path) -> None:
        """Remember the path."""
        self._path = path

    def __enter__(self) -> Stored:
        """Open it and read its names."""
        import h5py

        self.file: h5py.File = h5py.File(self._path, "r")
        self.barcodes = index(self.file["obs"])
        var = self.file["var"]
        self.genes = Genes(
            index(var), column(var, "symbol"), column(var, "feature_type"), np.asarray(var["car"], dtype=bool)
        )
        self.indptr: NDArray[np.int64] = self.file["X/indptr"][:].astype(np.int64)
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.file.close()

    @property
    def libraries(self) -> list[str]:
        """Libraries of an h5ad of all cells, in order."""
        return [str(name) for name in self.file["uns/cartrace/libraries"].asstr()[:]]

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(genes, libraries) of an h5ad of all cells: whether the library measured the gene."""
        return np.asarray(self.file["varm/measured"], dtype=bool)

    def blocks(self, most: int = BLOCK) -> Iterator[tuple[int, csr_array]]:
        """Yield the position of the first cell and the counts (cells x genes) of each block of cells."""
        from scipy.sparse import csr_array

        matrix, indptr = self.file["X"], self.indptr
        start = 0
        while start < len(indptr) - 1:
            end = int(np.searchsorted(indptr, indptr[start] + most, side="right")) - 1
            end = min(max(end, start + 1), len(indptr) - 1)
            part = slice(int(indptr[start]), int(indptr[end]))
            block = csr_array(
                (
                    matrix["data"][part].astype(np.float32),
                    matrix["indices"][part].astype(np.int32),
                    (indptr[start : end + 1] - indptr[start]).astype(np.int64),
                ),
                shape=(end - start, len(self.genes)),
            )
            yield start, block
            start = end


def rows_of(stored: Stored, positions: NDArray[np.int64]) -> csr_array:
    """Return the counts of some cells, in order of their positions; the rest of the file is passed by block by block."""
    from scipy.sparse import csr_array, vstack

    wanted = np.sort(positions)
    parts = []
    for start, block in stored.blocks():
        mine = wanted[(wanted >= start) & (wanted < start + block.shape[0])]
        if len(mine):
            parts.append(block[mine - start])
    if not parts:
        return csr_array((0, len(stored.genes)), dtype=np.float32)
    joined: csr_array = vstack(parts, format="csr")
    return joined


def index(frame: h5py.Group) -> NDArray[Any]:
    """Return the row names of a stored frame."""
    return column(frame, str(frame.attrs["_index"]))


def column(frame: h5py.Group, name: str) -> NDArray[Any]:
    """Return a text column of a stored frame, of any of anndata's encodings; missing ones are empty."""
    import h5py

    stored = frame[name]
    if isinstance(stored, h5py.Dataset):
        return np.asarray(stored.asstr()[:], dtype=object)
    if "categories" in stored:
        words = np.append(np.asarray(stored["categories"].asstr()[:], dtype=object), "")
        return np.asarray(words[stored["codes"][:]], dtype=object)
    values = np.asarray(stored["values"].asstr()[:], dtype=object)
    values[stored["mask"][:]] = ""
    return values


def join_genes(parts: list[Genes]) -> tuple[Genes, list[NDArray[np.int64]], NDArray[np.bool_]]:
    """Join the genes of several matrices.

    Returns
    -------
    genes
        Every gene once, in the order in which it is met first; a CAR where any matrix says so.
    places
        For each matrix, the position of its genes among them.
    measured
        (genes, matrices) whether the matrix has the gene: a count of 0 says something there alone.
    """
    first: dict[str, tuple[int, int]] = {}
    for number, part in enumerate(parts):
        for position, name in enumerate(part.ids.tolist()):
            first.setdefault(name, (number, position))
    place = {name: i for i, name in enumerate(first)}
    places = [np.array([place[name] for name in part.ids.tolist()], dtype=np.int64) for part in parts]
    cars = np.zeros(len(first), dtype=bool)
    measured = np.zeros((len(first), len(parts)), dtype=bool)
    for number, (part, where) in enumerate(zip(parts, places, strict=True)):
        cars[where] |= part.cars
        measured[where, number] = True
    picked = list(first.values())
    genes = Genes(
        np.array(list(first), dtype=object),
        np.array([parts[n].symbols[p] for n, p in picked], dtype=object),
        np.array([parts[n].types[p] for n, p in picked], dtype=object),
        cars,
    )
    return genes, places, measured


def moved(block: csr_array, places: NDArray[np.int64], genes: int) -> csr_array:
    """Return a block with its columns at ``places`` of ``genes``, in order within each cell."""
    from scipy.sparse import csr_array

    if genes == block.shape[1] and np.array_equal(places, np.arange(genes)):
        return block
    out = csr_array(
        (block.data, places[block.indices].astype(np.int32), block.indptr), shape=(block.shape[0], genes)
    )
    out.sort_indices()
    return out
