"""Count matrices as programs write them: opened, checked, and streamed in blocks of cells.

Read are Cell Ranger's h5 (versions 2 to 9, with or without surface tags) and its folders of mtx files,
STARsolo's Solo.out, the folders of kallisto and bustools, and h5ad. A block is a csr matrix of whole counts,
cells x features; the matrix as a whole is never in memory.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.cells.guarded import dataset, member, open_bytes, open_hdf5, read_lines
from cartrace.problems import InputError, Problem, did_you_mean, holds_date, plain, raise_if_any

if TYPE_CHECKING:
    import h5py
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

BLOCK = 1_000_000
"""Entries of one block: 8 MB, and some 700 cells."""
MOST_ROWS = 500_000
"""Barcodes of one block; most barcodes of an unfiltered matrix are empty."""
PART = 1 << 24
"""Bytes of an mtx file that are parsed at once."""
MOST_COUNT = 1 << 24
"""A float32 holds every whole number up to here; no gene of a cell has as many UMIs."""
MOST_FEATURES = 1_000_000
MOST_LETTERS = 200
"""Letters of a barcode."""
GENE_EXPRESSION = "Gene Expression"

_UNFILTERED = re.compile(r"(^|[_./])(raw|counts_unfiltered|raw_(feature|gene)_bc_matri\w*)([_./]|$)")
_GENE = re.compile(
    r"ENS[A-Z]{0,6}\d{11}(\.\d{1,3})?|(?!.*((19|20)\d\d|\d[-._/]\d+[-._/]\d|\d[-._]*[A-Za-z]{3}))[A-Za-z0-9._/-]{1,40}"
)
"""Names of features that surely hold no date and no odd letter."""
_INSIDE = ("", "filtered_feature_bc_matrix", "Gene/filtered", "counts_unfiltered")
"""Where the matrix lies inside the folder that a program writes."""


@dataclass(frozen=True, slots=True)
class Features:
    """What was counted: genes, surface tags, CARs.

    Attributes
    ----------
    ids
        Unique ids, (features,).
    symbols
        Names of the genes, (features,); the ids where the file has no names.
    types
        As Cell Ranger writes it: ``Gene Expression``, ``Antibody Capture``, ..., (features,).
    """

    ids: NDArray[np.str_]
    symbols: NDArray[np.str_]
    types: NDArray[np.str_]

    def __len__(self) -> int:
        """Return the number of features."""
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class CountMatrix:
    """A count matrix that lies in a file.

    Attributes
    ----------
    name
        What errors call it.
    source
        Program that counted: cellranger, starsolo, kallisto, unknown.
    filtered
        Whether the barcodes are those that the program called cells.
    barcodes
        (cells,), as bytes: an unfiltered matrix has millions.
    features
        What was counted.
    """

    name: str
    source: str
    filtered: bool
    barcodes: NDArray[np.bytes_]
    features: Features
    _stream: Callable[[int], Iterator[csr_array]]

    @property
    def shape(self) -> tuple[int, int]:
        """Cells, features."""
        return len(self.barcodes), len(self.features)

    def holds(self, barcodes: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        """Say which of its barcodes are among ``barcodes``, (cells,)."""
        wanted = set(barcodes.tolist())
        return np.fromiter((b in wanted for b in self.barcodes.tolist()), bool, len(self.barcodes))

    def blocks(self, entries: int = BLOCK) -> Iterator[tuple[int, csr_array]]:
        """Yield the counts in order: the row of the first cell of a block, and the block.

        A block is cells x features, int32, sorted by feature, without stored zeros and without an entry
        twice. Every cell comes once, those without counts too.

        Raises
        ------
        InputError
            When an entry is no whole count, lies outside the matrix or comes twice; when the file is cut off.
        """
        first = 0
        for block in self._stream(entries):
            yield first, block
            first += block.shape[0]


def open_matrix(path: Path, name: str | None = None) -> CountMatrix:
    """Open a count matrix: an h5, h5ad or mtx file, or the folder that a program wrote.

    Raises
    ------
    InputError
        When it is none, or when its lists of barcodes and features do not fit its shape.
    """
    name = name or str(path)
    if path.is_dir():
        return _open_folder(path, name)
    if path.name.removesuffix(".gz").endswith(".mtx"):
        return _open_mtx(path, name)
    return _open_h5(path, name)


def counted_files(folder: Path) -> tuple[Path, Path | None, Path | None]:
    """Return filtered counts, raw counts and metrics in the folder that ``count_library`` writes."""
    solo = folder / "Solo.out" / "Gene"
    places = (
        (solo / "filtered", solo / "raw", solo / "Summary.csv"),
        (folder / "counts_filtered", folder / "counts_unfiltered", folder / "none"),
    )
    for counts, raw, metrics in places:
        if counts.is_dir():
            return counts, raw if raw.is_dir() else None, metrics if metrics.is_file() else None
    allowed = "Solo.out of STARsolo, or counts_filtered of bustools"
    raise InputError([Problem(str(folder), "no counts in the folder", allowed)])


def select(matrix: CountMatrix, keep: NDArray[np.bool_]) -> CountMatrix:
    """Return the matrix of some of its barcodes, ``keep`` (cells,), as if they had been called cells."""

    def stream(entries: int) -> Iterator[csr_array]:
        for first, block in matrix.blocks(entries):
            yield block[np.flatnonzero(keep[first : first + block.shape[0]])]

    return replace(matrix, filtered=True, barcodes=matrix.barcodes[keep], _stream=stream)


def why_not_raw(raw: CountMatrix, matrix: CountMatrix) -> str:
    """Say why a raw matrix is not that of the filtered one; empty: it is."""
    if not np.array_equal(raw.features.ids, matrix.features.ids):
        return "the raw matrix has other features than the filtered one"
    # Every barcode of the filtered matrix is in the raw one of its library; another library shares some by chance.
    missing = len(matrix.barcodes) - int(raw.holds(matrix.barcodes).sum())
    if missing:
        return f"{missing} of {len(matrix.barcodes)} barcodes of the filtered matrix are not in the raw one"
    return ""


@dataclass(frozen=True, slots=True)
class Found:
    """Which features some names mean.

    Attributes
    ----------
    mask
        The features, (features,).
    missing
        Names that no feature has -> the nearest feature, or an empty string.
    """

    mask: NDArray[np.bool_]
    missing: dict[str, str]


def find_features(features: Features, names: Sequence[str]) -> Found:
    """Find features by id or by symbol; the letters' case does not matter where nothing else fits."""
    mask = np.zeros(len(features), bool)
    missing = {}
    for name in names:
        hit = (features.ids == name) | (features.symbols == name)
        if not hit.any():
            lower = name.casefold()
            hit = np.array(
                [
                    lower in (i.casefold(), s.casefold())
                    for i, s in zip(features.ids, features.symbols, strict=True)
                ],
                bool,
            )
        mask |= hit
        if not hit.any():
            known = [s for s in (*features.symbols, *features.ids) if not s.startswith("ENS")]
            missing[name] = str(did_you_mean(name, known))
    return Found(mask, missing)


# HDF5: Cell Ranger, AnnData ------------------------------------------------------------------------


def _open_h5(path: Path, name: str) -> CountMatrix:
    with open_hdf5(path, name) as file:
        if "X" in file or "layers" in file:
            return _open_h5ad(file, path, name)
        if "matrix" in file:
            return _open_10x(file, path, name, "matrix")
        genomes = [k for k in file if "barcodes" in getattr(file[k], "keys", dict)()]
        if len(genomes) == 1:
            return _open_10x(file, path, name, genomes[0])
        found = (
            f"matrices of {len(genomes)} genomes"
            if genomes
            else f"groups {', '.join(map(plain, file))[:200]}"
        )
        raise InputError([Problem(name, found, "a count matrix of Cell Ranger (h5), or an h5ad")])


def _open_10x(file: h5py.File, path: Path, name: str, group: str) -> CountMatrix:
    """Open what Cell Ranger writes; its csc of features x cells is a csr of cells x features."""
    matrix = member(file, group, name)
    old = "features" not in matrix
    listed = matrix if old else member(matrix, "features", name)
    ids = _texts(dataset(listed, "genes" if old else "id", name))
    symbols = _texts(dataset(listed, "gene_names" if old else "name", name))
    types = [GENE_EXPRESSION] * len(ids) if old else _texts(dataset(listed, "feature_type", name))
    features = _features(ids, symbols, types, name)
    barcodes = _barcodes(dataset(matrix, "barcodes", name)[:], name)
    shape = tuple(int(n) for n in dataset(matrix, "shape", name)[:])
    _check_shape(name, (len(barcodes), len(features)), shape[::-1])
    attributes = {str(k): str(v) for k, v in file.attrs.items()}
    vendor = "software_version" in attributes or "chemistry_description" in attributes or old
    indptr = _indptr(dataset(matrix, "indptr", name), matrix, len(barcodes), name)
    return CountMatrix(
        name=name,
        source="cellranger" if vendor else "unknown",
        filtered=not _UNFILTERED.search(path.name),
        barcodes=barcodes,
        features=features,
        _stream=lambda entries: _hdf5_blocks(
            path, name, group, indptr=indptr, features=len(features), entries=entries
        ),
    )


def _open_h5ad(file: h5py.File, path: Path, name: str) -> CountMatrix:
    """Open AnnData; the first of X, its layers and raw/X that holds whole counts is read."""
    places = ["X", *(f"layers/{k}" for k in ("counts", "raw", "raw_counts")), "raw/X"]
    for place in places:
        if place not in file:
            continue
        parent = "raw/var" if place == "raw/X" else "var"
        matrix = member(file, place, name)
        if not _looks_counted(matrix, name):
            continue
        cells, features = _names_of(file, "obs", name), _var_of(file, parent, name)
        barcodes = _barcodes([c.encode() for c in cells], name)
        return CountMatrix(
            name=name,
            source="unknown",
            filtered=not _UNFILTERED.search(path.name),
            barcodes=barcodes,
            features=features,
            _stream=_h5ad_stream(matrix, path, name, place, (len(barcodes), len(features))),
        )
    raise InputError([Problem(name, "no whole counts in X, layers and raw/X", "raw counts", column="X")])


def _h5ad_stream(
    matrix: h5py.Group | h5py.Dataset, path: Path, name: str, place: str, shape: tuple[int, int]
) -> Callable[[int], Iterator[csr_array]]:
    """Choose how a matrix of AnnData is streamed: rows as they lie, or columns that are turned on disk."""
    import h5py

    if isinstance(matrix, h5py.Dataset):
        _check_shape(name, shape, matrix.shape)
        return lambda entries: _dense_blocks(path, name, place, shape, entries)
    attributes = matrix.attrs
    kind = str(attributes.get("encoding-type", attributes.get("h5sparse_format", "csr")))
    stated = attributes.get("shape", attributes.get("h5sparse_shape", shape))
    _check_shape(name, shape, tuple(int(n) for n in stated))
    if not kind.startswith("csc"):
        indptr = _indptr(dataset(matrix, "indptr", name), matrix, shape[0], name)
        return lambda entries: _hdf5_blocks(
            path, name, place, indptr=indptr, features=shape[1], entries=entries
        )
    turned = _indptr(dataset(matrix, "indptr", name), matrix, shape[1], name)

    def parts() -> Iterator[Entries]:
        for first, last in _cuts(turned, BLOCK):
            with open_hdf5(path, name) as file:
                group = file[place]
                cells = group["indices"][turned[first] : turned[last]]
                counts = group["data"][turned[first] : turned[last]]
            genes = np.repeat(np.arange(first, last), np.diff(turned[first : last + 1]))
            yield Entries(cells, genes, _whole(counts, name))

    return lambda entries: _turned_blocks(parts, shape, name, entries)


def _looks_counted(matrix: h5py.Group | h5py.Dataset, name: str) -> bool:
    """Say whether the first values are whole numbers; normalised ones are not, from the first cell on."""
    import h5py

    values = (
        matrix[:50] if isinstance(matrix, h5py.Dataset) else dataset(matrix, "data", name)[:100_000]
    ).ravel()
    return bool(values.size == 0 or ((values >= 0) & (values == np.floor(values))).all())


def _names_of(file: h5py.File, key: str, name: str) -> list[str]:
    """Return the index of a data frame of AnnData; before version 0.7 it was a compound dataset."""
    import h5py

    frame = member(file, key, name)
    if isinstance(frame, h5py.Dataset):
        return _decoded(frame[:]["index"])
    return _column(frame, str(frame.attrs.get("_index", "_index")), name)


def _var_of(file: h5py.File, key: str, name: str) -> Features:
    import h5py

    index = _names_of(file, key, name)
    frame = member(file, key, name)
    columns = {} if isinstance(frame, h5py.Dataset) else {str(k): k for k in frame}

    def column(*names: str) -> list[str] | None:
        return next((_column(frame, columns[n], name) for n in names if n in columns), None)

    ids = column("gene_ids", "gene_id", "ensembl_id")
    symbols = column("symbol", "gene_symbols", "gene_name", "feature_name")
    types = column("feature_type", "feature_types") or [GENE_EXPRESSION] * len(index)
    # scanpy puts symbols into the index and ids into a column; others do the reverse.
    if ids is not None and len(set(ids)) == len(ids):
        return _features(ids, symbols or index, types, name)
    return _features(index, symbols or index, types, name)


def _column(frame: Any, key: str, name: str) -> list[str]:
    """Return a text column of AnnData: plain, nullable or categorical."""
    import h5py

    found = member(frame, key, name)
    if isinstance(found, h5py.Dataset):
        return _texts(dataset(frame, key, name))
    if "values" in found:
        return _texts(dataset(found, "values", name))
    words = np.array(_texts(dataset(found, "categories", name)))
    codes = dataset(found, "codes", name)[:]
    if codes.size and not (codes.min() >= -1 and codes.max() < len(words)):
        raise InputError([Problem(name, f"'{key}' with codes that stand for nothing", "whole categories")])
    return [str(w) for w in np.append(words, "")[codes]]


def _texts(values: h5py.Dataset) -> list[str]:
    return _decoded(values[:])


def _decoded(values: NDArray[Any]) -> list[str]:
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values.tolist()]


def _indptr(found: h5py.Dataset, matrix: h5py.Group, rows: int, name: str) -> NDArray[np.int64]:
    """Return where each row begins; checked, since every later step trusts it."""
    if len(found) != rows + 1:
        raise InputError([Problem(name, f"indptr of {len(found)} values", f"{rows + 1}", column="indptr")])
    indptr: NDArray[np.int64] = found[:].astype(np.int64)
    entries = len(dataset(matrix, "indices", name))
    counts = len(dataset(matrix, "data", name))
    if indptr[0] != 0 or (np.diff(indptr) < 0).any() or indptr[-1] != entries or entries != counts:
        raise InputError(
            [
                Problem(
                    name,
                    f"{counts} counts and {entries} indices, of which indptr speaks differently",
                    "rows one after the other, each with its counts",
                    column="indptr",
                )
            ]
        )
    return indptr


def _cuts(indptr: NDArray[np.int64], entries: int) -> Iterator[tuple[int, int]]:
    """Cut rows into blocks of about ``entries``: first row, row after the last."""
    rows, first = len(indptr) - 1, 0
    while first < rows:
        last = int(np.searchsorted(indptr, indptr[first] + entries, "right")) - 1
        last = min(max(last, first + 1), first + MOST_ROWS, rows)
        yield first, last
        first = last


def _hdf5_blocks(
    path: Path, name: str, place: str, *, indptr: NDArray[np.int64], features: int, entries: int
) -> Iterator[csr_array]:
    with open_hdf5(path, name) as file:
        group = file[place]
        indices, counts = group["indices"], group["data"]
        for first, last in _cuts(indptr, entries):
            start, stop = indptr[first], indptr[last]
            yield _block(
                counts[start:stop], indices[start:stop], indptr[first : last + 1] - start, features, name
            )


def _dense_blocks(
    path: Path, name: str, place: str, shape: tuple[int, int], entries: int
) -> Iterator[csr_array]:
    rows = max(1, entries // max(shape[1], 1))
    with open_hdf5(path, name) as file:
        values = file[place]
        for first in range(0, shape[0], rows):
            part = values[first : first + rows]
            cells, genes = np.nonzero(part)
            starts = np.searchsorted(cells, np.arange(len(part) + 1))
            yield _block(part[cells, genes], genes, starts, shape[1], name)


# mtx: Cell Ranger, STARsolo, bustools --------------------------------------------------------------


def _open_folder(folder: Path, name: str) -> CountMatrix:
    """Find the matrix in the folder that a program wrote."""
    for inside in _INSIDE:
        here = folder / inside
        for file in ("matrix.mtx.gz", "matrix.mtx"):
            if (here / file).is_file():
                return _open_mtx(here / file, name)
        named = sorted([*here.glob("*.mtx"), *here.glob("*.mtx.gz")]) if here.is_dir() else []
        if len(named) == 1:
            return _open_mtx(named[0], name)
        h5 = sorted([*here.glob("*filtered*.h5"), *here.glob("*.h5ad")]) if here.is_dir() else []
        if len(h5) == 1:
            return _open_h5(h5[0], name)
    raise InputError(
        [Problem(name, "no count matrix in the folder", "one of matrix.mtx[.gz], *.mtx[.gz], *filtered*.h5")]
    )


def _open_mtx(path: Path, name: str) -> CountMatrix:
    folder, stem = path.parent, path.name.removesuffix(".gz").removesuffix(".mtx")
    bustools = _beside(folder, f"{stem}.genes.txt")
    if bustools is not None:
        ids = read_lines(bustools, f"{name}, {bustools.name}")
        named = _beside(folder, f"{stem}.genes.names.txt")
        symbols = read_lines(named, f"{name}, {named.name}") if named else ids
        types = [GENE_EXPRESSION] * len(ids)
        barcode_file = _beside(folder, f"{stem}.barcodes.txt")
    else:
        listed = _beside(folder, "features.tsv", "features.tsv.gz", "genes.tsv", "genes.tsv.gz")
        if listed is None:
            raise InputError([Problem(name, "no list of features", "features.tsv, beside the matrix")])
        ids, symbols, types = _feature_table(read_lines(listed, f"{name}, {listed.name}"))
        barcode_file = _beside(folder, "barcodes.tsv", "barcodes.tsv.gz")
    if barcode_file is None:
        raise InputError([Problem(name, "no list of barcodes", "barcodes.tsv, beside the matrix")])
    lines = read_lines(barcode_file, f"{name}, {barcode_file.name}")
    barcodes = _barcodes([line.encode() for line in lines], name)
    features = _features(ids, symbols, types, name)
    header = _mtx_header(path, name)
    shape = (len(barcodes), len(features))
    by_feature = header.shape == shape[::-1] and not (bustools is not None and header.shape == shape)
    _check_shape(name, shape, header.shape[::-1] if by_feature else header.shape)
    return CountMatrix(
        name=name,
        source="kallisto" if bustools is not None else _program(path, header.comment),
        filtered=not _UNFILTERED.search("/".join(path.parts[-3:-1])),
        barcodes=barcodes,
        features=features,
        _stream=lambda entries: _mtx_blocks(
            path, name, header, by_feature=by_feature, shape=shape, entries=entries
        ),
    )


def _beside(folder: Path, *names: str) -> Path | None:
    return next((folder / n for n in names if (folder / n).is_file()), None)


def _program(path: Path, comment: str) -> str:
    if "Cell Ranger" in comment or "cellranger" in comment:
        return "cellranger"
    # STARsolo writes Solo.out/Gene/Summary.csv beside Solo.out/Gene/filtered.
    return "starsolo" if (path.parent.parent / "Summary.csv").is_file() else "unknown"


def _feature_table(lines: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Split features.tsv (id, symbol, type) or genes.tsv (id, symbol)."""
    parts = [line.split("\t") for line in lines]
    return (
        [p[0] for p in parts],
        [p[1] if len(p) > 1 and p[1] else p[0] for p in parts],
        [p[2] if len(p) > 2 and p[2] else GENE_EXPRESSION for p in parts],
    )


@dataclass(frozen=True, slots=True)
class _MtxHeader:
    shape: tuple[int, int]
    entries: int
    skip: int
    """Bytes before the first entry."""
    comment: str


def _mtx_header(path: Path, name: str) -> _MtxHeader:
    wanted = "a matrix of coordinates (%%MatrixMarket matrix coordinate integer general)"
    with open_bytes(path, name, 1 << 20) as stream:
        first = stream.readline(1000)
        words = first.decode("ascii", "replace").lower().split()
        if words[:3] != ["%%matrixmarket", "matrix", "coordinate"] or words[4:] != ["general"]:
            raise InputError([Problem(name, f"'{plain(first.decode('ascii', 'replace'), 60)}'", wanted, 1)])
        skip, comment, row = len(first), "", 1
        while (line := stream.readline(10_000)).startswith(b"%") or (line and not line.strip()):
            skip, comment, row = skip + len(line), comment + line.decode("utf-8", "replace"), row + 1
    sizes = line.split()
    if len(sizes) != 3 or not all(re.fullmatch(rb"\d{1,15}", s) for s in sizes):
        raise InputError([Problem(name, "no line of rows, columns, entries", wanted, row + 1)])
    rows, columns, entries = (int(s) for s in sizes)
    if entries > rows * columns:
        raise InputError([Problem(name, f"{entries} entries", f"at most {rows} x {columns}", row + 1)])
    return _MtxHeader((rows, columns), entries, skip + len(line), comment)


@dataclass(frozen=True, slots=True)
class Entries:
    """Counts by coordinate: cell and feature of each from 0."""

    cells: NDArray[np.integer[Any]]
    features: NDArray[np.integer[Any]]
    counts: NDArray[np.int32]


def _mtx_parts(
    path: Path, name: str, header: _MtxHeader, by_feature: bool, shape: tuple[int, int]
) -> Iterator[Entries]:
    """Yield the entries of an mtx file in the order in which they stand there."""
    import pyarrow as pa
    from pyarrow import csv

    columns = ["row", "column", "count"]
    left = header.entries
    # Three numbers of at most 15 digits, and what separates them.
    with open_bytes(path, name, header.skip + 64 * (header.entries + 1)) as stream:
        stream.read(header.skip)
        try:
            reader = (
                csv.open_csv(
                    stream,
                    csv.ReadOptions(column_names=columns, block_size=PART),
                    csv.ParseOptions(delimiter=" ", quote_char=False),
                    csv.ConvertOptions(
                        column_types={"row": pa.int64(), "column": pa.int64(), "count": pa.float64()}
                    ),
                )
                if header.entries
                else ()
            )
            for batch in reader:
                row, column, counts = (batch.column(i).to_numpy(zero_copy_only=False) for i in range(3))
                left -= len(row)
                cells, genes = (column, row) if by_feature else (row, column)
                # An empty field is read as missing, and the column as floating point.
                if not (_within(cells, shape[0]) and _within(genes, shape[1])):
                    raise InputError(
                        [
                            Problem(
                                name,
                                f"an entry outside {header.shape[0]} x {header.shape[1]}",
                                "entries inside the matrix, from 1",
                            )
                        ]
                    )
                yield Entries(cells - 1, genes - 1, _whole(counts, name))
        except pa.ArrowInvalid:
            entry = header.entries - left + 1
            raise InputError(
                [
                    Problem(
                        name,
                        f"a line (after entry {entry - 1}) that is not row, column and count",
                        "three numbers, one space between them",
                    )
                ]
            ) from None
    if left:
        raise InputError(
            [
                Problem(
                    name,
                    f"{header.entries - left} entries",
                    f"{header.entries}, as its header says: the whole file",
                )
            ]
        )


def _within(index: NDArray[Any], size: int) -> bool:
    return index.dtype.kind == "i" and (not index.size or (index.min() >= 1 and index.max() <= size))


def _mtx_blocks(
    path: Path, name: str, header: _MtxHeader, *, by_feature: bool, shape: tuple[int, int], entries: int
) -> Iterator[csr_array]:
    """Stream an mtx file by cell as it stands, or turn it on disk when it is not sorted by cell."""

    def parts() -> Iterator[Entries]:
        return _mtx_parts(path, name, header, by_feature, shape)

    head = next(parts(), None)
    if head is not None and (np.diff(head.cells) < 0).any():
        yield from _turned_blocks(parts, shape, name, entries)
        return
    done = 0
    held: list[Entries] = []
    for part in parts():
        if (np.diff(part.cells) < 0).any() or (held and part.cells[0] < held[-1].cells[-1]):
            raise InputError(
                [Problem(name, "entries by cell at first, in another order later", "entries sorted by cell")]
            )
        held.append(part)
        # The last cell of a part may go on in the next one.
        open_cell = int(part.cells[-1])
        if sum(len(p.cells) for p in held) >= entries and open_cell > done:
            whole = _joined(held)
            cut = int(np.searchsorted(whole.cells, open_cell))
            yield from _rows_of(whole, range(done, open_cell), shape[1], name)
            held = [Entries(whole.cells[cut:], whole.features[cut:], whole.counts[cut:])]
            done = open_cell
    yield from _rows_of(_joined(held), range(done, shape[0]), shape[1], name)


def _joined(parts: Sequence[Entries]) -> Entries:
    if not parts:
        none = np.empty(0, np.int64)
        return Entries(none, none, none.astype(np.int32))
    return Entries(
        np.concatenate([p.cells for p in parts]),
        np.concatenate([p.features for p in parts]),
        np.concatenate([p.counts for p in parts]),
    )


def _rows_of(entries: Entries, rows: range, features: int, name: str) -> Iterator[csr_array]:
    """Yield ``rows`` of entries sorted by cell, of which all are there."""
    for start in range(rows.start, rows.stop, MOST_ROWS):
        stop = min(start + MOST_ROWS, rows.stop)
        starts = np.searchsorted(entries.cells, np.arange(start, stop + 1))
        part = slice(starts[0], starts[-1])
        yield _block(entries.counts[part], entries.features[part], starts - starts[0], features, name)


# What all share -----------------------------------------------------------------------------------


def _turned_blocks(
    parts: Callable[[], Iterator[Entries]], shape: tuple[int, int], name: str, entries: int
) -> Iterator[csr_array]:
    """Stream entries that are not sorted by cell: two passes, sorted by counting into files on disk."""
    sizes = np.zeros(shape[0], np.int64)
    for part in parts():
        sizes += np.bincount(part.cells, minlength=shape[0])
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    if not indptr[-1]:
        yield _block(np.empty(0, np.int32), np.empty(0, np.int32), indptr, shape[1], name)
        return
    free = indptr[:-1].copy()
    with tempfile.TemporaryFile() as features_file, tempfile.TemporaryFile() as counts_file:
        features = np.memmap(features_file, np.int32, "w+", shape=(int(indptr[-1]),))
        counts = np.memmap(counts_file, np.int32, "w+", shape=(int(indptr[-1]),))
        for part in parts():
            order = np.argsort(part.cells, kind="stable")
            cells = part.cells[order]
            starts = np.searchsorted(cells, cells)
            places = free[cells] + np.arange(len(cells)) - starts
            features[places], counts[places] = part.features[order], part.counts[order]
            free += np.bincount(part.cells, minlength=shape[0])
        for first, last in _cuts(indptr, entries):
            start, stop = indptr[first], indptr[last]
            yield _block(
                np.array(counts[start:stop]),
                np.array(features[start:stop]),
                indptr[first : last + 1] - start,
                shape[1],
                name,
            )


def _block(
    counts: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], features: int, name: str
) -> csr_array:
    """Make a checked block of rows."""
    from scipy.sparse import csr_array

    # The largest index first: what overflows int32 must not become a valid one.
    if indices.size and not (indices.min() >= 0 and indices.max() < features):
        raise InputError([Problem(name, "an entry of a feature that is not listed", f"1 to {features}")])
    block = csr_array(
        (_whole(counts, name), indices.astype(np.int32), indptr.astype(np.int32)),
        shape=(len(indptr) - 1, features),
    )
    if not block.has_sorted_indices:
        block.sort_indices()
    if not block.data.all():
        block.eliminate_zeros()
    step = np.diff(block.indices) > 0
    starts = block.indptr[1:-1]
    step[starts[(starts > 0) & (starts < block.nnz)] - 1] = True
    if not step.all():
        raise InputError([Problem(name, "a count twice for one cell and feature", "each count once")])
    return block


def _whole(counts: NDArray[Any], name: str) -> NDArray[np.int32]:
    """Return counts as int32, or say that they are none."""
    if counts.dtype.kind not in "biuf":
        raise InputError([Problem(name, f"counts of type {counts.dtype}", "whole counts of molecules")])
    if counts.dtype == np.float16:
        counts = counts.astype(np.float32)
    if counts.size:
        least, most = counts.min(), counts.max()
        if not (least >= 0 and most < MOST_COUNT):
            shown = least if not least >= 0 else most
            found = "a count that is no number" if math.isnan(shown) else f"a count of {shown:.6g}"
            raise InputError([Problem(name, found, f"whole counts from 0 to {MOST_COUNT - 1}")])
    whole = counts.astype(np.int32, copy=False)
    if counts.dtype.kind == "f" and not np.array_equal(whole, counts):
        part = float(counts[whole != counts][0])
        raise InputError(
            [Problem(name, f"a count of {part:.6g}", "whole counts of molecules, not normalised ones")]
        )
    return whole


def _barcodes(barcodes: NDArray[Any] | Sequence[bytes], name: str) -> NDArray[np.bytes_]:
    """Check the barcodes of cells; they are keys of every later table."""
    if not isinstance(barcodes, np.ndarray) or barcodes.dtype.kind == "O":
        # Each barcode of an array takes as much memory as the longest.
        longest = max((len(b) for b in barcodes), default=0)
        if longest > MOST_LETTERS:
            raise InputError([Problem(name, f"a barcode of {longest} letters", f"at most {MOST_LETTERS}")])
    found = np.asarray(barcodes, dtype=bytes) if len(barcodes) else np.empty(0, "S1")
    problems = []
    joined = b"\n".join(found.tolist())
    if (
        re.search(rb"[^!-~\n]|\n\n|\A\n|\n\Z", joined)
        or joined.count(b"\n") != max(len(found) - 1, 0)
        or (len(found) and not joined)
    ):
        problems.append(
            Problem(name, "a barcode that is empty or not plain letters", "as AAACCTGAGAAACCAT-1")
        )
    if found.dtype.itemsize > MOST_LETTERS:
        problems.append(
            Problem(name, f"barcodes of {found.dtype.itemsize} letters", f"at most {MOST_LETTERS}")
        )
    # Barcodes of a sequencer are letters and a few digits; a date comes from names put before them. Only what
    # has as many digits as a date is looked at, since an unfiltered matrix has millions.
    elif re.search(rb"\d[^\n]*\d[^\n]*\d", joined) and holds_date(joined.decode("ascii", "replace")):
        problems.append(Problem(name, "a barcode with a calendar date", "barcodes without dates"))
    listed = found.tolist()
    if len(set(listed)) != len(listed):
        problems.append(
            Problem(name, f"{len(listed) - len(set(listed))} barcodes twice", "each barcode once")
        )
    raise_if_any(problems)
    return found


def _features(ids: Sequence[str], symbols: Sequence[str], types: Sequence[str], name: str) -> Features:
    if not len(ids) == len(symbols) == len(types):
        raise InputError(
            [
                Problem(
                    name,
                    f"{len(ids)} ids, {len(symbols)} names, {len(types)} types of features",
                    "as many of each",
                )
            ]
        )
    if len(ids) > MOST_FEATURES:
        raise InputError([Problem(name, f"{len(ids)} features", f"at most {MOST_FEATURES}")])
    ids, symbols = _printable(ids), _printable(symbols)
    if len(set(ids)) != len(ids) or "" in ids:
        seen: set[str] = set()
        twice = next((i for i in ids if not i or i in seen or seen.add(i)), "")  # type: ignore[func-returns-value]
        raise InputError(
            [
                Problem(
                    name,
                    f"the feature id '{plain(twice, 60)}' twice or empty",
                    "unique ids",
                    column="features",
                )
            ]
        )
    return Features(
        np.array(ids, dtype=str), np.array(symbols, dtype=str), np.array(_printable(types), dtype=str)
    )


def _printable(names: Sequence[str]) -> list[str]:
    """Make names of features fit for tables and pages."""
    # To look for dates in a name of a million letters takes long; 2000 are more than are kept.
    odd = {n: plain(n[:2000]) for n in set(names) if not _GENE.fullmatch(n)}
    return [odd.get(n, n) for n in names]


def _check_shape(name: str, listed: tuple[int, int], stated: tuple[int, ...]) -> None:
    if listed != stated:
        raise InputError(
            [
                Problem(
                    name,
                    f"a matrix of {' x '.join(map(str, stated))}, with {listed[0]} barcodes and {listed[1]} features",
                    "as many rows and columns as there are barcodes and features",
                )
            ]
        )
