"""The h5ad of one library: raw counts, written once, block by block, as anndata would write it.

Written with h5py in the encodings of anndata's on-disk format, so that neither the whole matrix nor anndata
(2 s to import) is needed. tests/unit/cells/test_h5ad.py holds it against what anndata itself writes and reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.files import replacing

if TYPE_CHECKING:
    import h5py
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from cartrace.cells.matrices import Features

CHUNK = 1 << 17
"""Values of one chunk on disk: a slice of cells unpacks little more than itself."""
PACKING: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
"""Half the time of gzip's default and as small: small whole numbers as float32 are mostly equal bytes."""


class LibraryWriter:
    """Write an h5ad while its blocks pass by.

    Use as a context: :meth:`through` passes the blocks on and keeps them. The file appears when all went well,
    and nothing of it otherwise.
    """

    def __init__(
        self, path: Path, *, barcodes: NDArray[np.bytes_], features: Features, cars: NDArray[np.bool_]
    ) -> None:
        """Say what the rows and columns are; ``cars`` marks the features of the CAR, (features,)."""
        self._replacing = replacing(path)
        self._barcodes, self._features, self._cars = barcodes, features, cars
        self._uns: Mapping[str, str] = {}

    def __enter__(self) -> LibraryWriter:
        """Open the file beside its final place."""
        import h5py

        self._file: h5py.File = h5py.File(self._replacing.__enter__(), "w")
        matrix = self._file.create_group("X")
        for key, kind in (("data", np.float32), ("indices", np.int32)):
            matrix.create_dataset(key, (0,), kind, maxshape=(None,), chunks=(CHUNK,), **PACKING)
        self._ends = [np.zeros(1, np.int64)]
        return self

    def through(self, blocks: Iterable[tuple[int, csr_array]]) -> Iterator[csr_array]:
        """Append each block and pass it on."""
        matrix = self._file["X"]
        for _, block in blocks:
            start = int(self._ends[-1][-1])
            for key, values in (("data", block.data.astype(np.float32)), ("indices", block.indices)):
                matrix[key].resize((start + block.nnz,))
                matrix[key][start:] = values
            self._ends.append(start + block.indptr[1:].astype(np.int64))
            yield block

    def describe(self, uns: Mapping[str, str]) -> None:
        """Keep what uns["cartrace"] says of the library."""
        self._uns = dict(uns)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Write names and attributes, close, and put the file in its place."""
        try:
            if kind is None:
                self._finish()
        except BaseException as fault:
            kind, error = type(fault), fault
            raise
        finally:
            self._file.close()
            self._replacing.__exit__(kind, error, trace)

    def _finish(self) -> None:
        file, matrix = self._file, self._file["X"]
        _encode(file, "anndata", "0.1.0")
        indptr = np.concatenate(self._ends)
        if len(indptr) != len(self._barcodes) + 1:
            raise ValueError(f"{len(indptr) - 1} cells were written, and {len(self._barcodes)} were named")
        matrix.create_dataset("indptr", data=indptr)
        _encode(matrix, "csr_matrix", "0.1.0")
        matrix.attrs["shape"] = np.array([len(self._barcodes), len(self._features)])
        _write_frame(file, "obs", self._barcodes.astype(str).tolist(), {})
        _write_frame(
            file,
            "var",
            self._features.ids.tolist(),
            {
                "symbol": self._features.symbols.tolist(),
                "feature_type": _Categories(self._features.types.tolist()),
                "car": self._cars,
            },
        )
        for key in ("layers", "obsm", "obsp", "varm", "varp"):
            _encode(file.create_group(key), "dict", "0.1.0")
        uns = file.create_group("uns")
        _encode(uns, "dict", "0.1.0")
        own = uns.create_group("cartrace")
        _encode(own, "dict", "0.1.0")
        for key, value in self._uns.items():
            own.create_dataset(key, data=value)
            _encode(own[key], "string", "0.2.0")


class _Categories(list[str]):
    """Words that repeat."""


def _write_frame(
    file: h5py.File, key: str, index: list[str], columns: Mapping[str, list[str] | NDArray[Any]]
) -> None:
    frame = file.create_group(key)
    _encode(frame, "dataframe", "0.2.0")
    frame.attrs["_index"] = "_index"
    frame.attrs.create("column-order", list(columns), dtype=_text_type())
    for name, values in (("_index", index), *columns.items()):
        if isinstance(values, _Categories):
            column = frame.create_group(name)
            words = sorted(set(values))
            place = {w: i for i, w in enumerate(words)}
            _write_texts(column, "categories", words)
            column.create_dataset(
                "codes", data=np.array([place[v] for v in values], np.int8 if len(words) < 128 else np.int32)
            )
            _encode(column["codes"], "array", "0.2.0")
            column.attrs["ordered"] = False
            _encode(column, "categorical", "0.2.0")
        elif isinstance(values, list):
            _write_texts(frame, name, values)
        else:
            frame.create_dataset(name, data=values)
            _encode(frame[name], "array", "0.2.0")


def _write_texts(group: h5py.Group, key: str, texts: list[str]) -> None:
    group.create_dataset(key, data=np.array(texts, dtype=object), dtype=_text_type())
    _encode(group[key], "string-array", "0.2.0")


def _text_type() -> Any:
    import h5py

    return h5py.string_dtype()


def _encode(item: Any, kind: str, version: str) -> None:
    item.attrs["encoding-type"], item.attrs["encoding-version"] = kind, version
