"""Files of simulated libraries, as Cell Ranger writes them: h5, a folder of mtx, contigs, metrics; the same bytes each time."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

GENOME = "made-up"
EXPRESSION, ANTIBODY = "Gene Expression", "Antibody Capture"


@dataclass(frozen=True, slots=True)
class Matrix:
    """A count matrix: (barcodes, features), with the names of both. Barcodes are written in alphabetical order."""

    barcodes: npt.NDArray[np.str_]
    ids: tuple[str, ...]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    counts: npt.NDArray[np.int32]

    def sorted(self) -> Matrix:
        """Return the matrix with its barcodes in alphabetical order."""
        order = np.argsort(self.barcodes)
        return Matrix(self.barcodes[order], self.ids, self.names, self.kinds, self.counts[order])


def h5_bytes(matrix: Matrix, chemistry: str) -> bytes:
    """Write a matrix as HDF5 of version 2: columns are barcodes."""
    import h5py

    m = matrix.sorted()
    row, column = np.nonzero(m.counts)
    indptr = np.append(0, np.cumsum(np.bincount(row, minlength=m.barcodes.size)))
    target = io.BytesIO()
    with h5py.File(target, "w") as f:
        f.attrs["chemistry_description"] = chemistry
        f.attrs["filetype"] = "matrix"
        f.attrs["library_ids"] = np.array([b"simulated"])
        f.attrs["original_gem_groups"] = np.array([1])
        f.attrs["software_version"] = "simulated by cartrace"
        f.attrs["version"] = 2
        group = f.create_group("matrix")
        packed: dict[str, Any] = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
        group.create_dataset("barcodes", data=m.barcodes.astype("S"), **packed)
        group.create_dataset("data", data=m.counts[row, column].astype(np.int32), **packed)
        group.create_dataset("indices", data=column.astype(np.int64), **packed)
        group.create_dataset("indptr", data=indptr.astype(np.int64), **packed)
        group.create_dataset("shape", data=np.array(m.counts.shape[::-1], dtype=np.int32))
        features = group.create_group("features")
        features.create_dataset("_all_tag_keys", data=np.array([b"genome"]))
        for name, values in (
            ("id", m.ids),
            ("name", m.names),
            ("feature_type", m.kinds),
            ("genome", [GENOME] * len(m.ids)),
        ):
            features.create_dataset(name, data=np.array(values, dtype="S"), **packed)
    return target.getvalue()


def mtx_files(matrix: Matrix) -> dict[str, bytes]:
    """Write a matrix as the three files of a folder ``filtered_feature_bc_matrix``."""
    m = matrix.sorted()
    barcode, feature = np.nonzero(m.counts)
    head = (
        f"%%MatrixMarket matrix coordinate integer general\n{len(m.ids)} {m.barcodes.size} {feature.size}\n"
    )
    table = np.column_stack([feature + 1, barcode + 1, m.counts[barcode, feature]])
    body = "\n".join(" ".join(map(str, line)) for line in table.tolist())
    features = "".join(f"{i}\t{n}\t{k}\n" for i, n, k in zip(m.ids, m.names, m.kinds, strict=True))
    return {
        "matrix.mtx.gz": packed(f"{head}{body}\n".encode()),
        "barcodes.tsv.gz": packed("".join(f"{b}\n" for b in m.barcodes).encode()),
        "features.tsv.gz": packed(features.encode()),
    }


def packed(content: bytes) -> bytes:
    """Compress; no time stands in the file."""
    return gzip.compress(content, compresslevel=6, mtime=0)


def csv_bytes(columns: Sequence[str], rows: Iterable[Mapping[str, object]], delimiter: str = ",") -> bytes:
    """Write rows as a table; what a row lacks stays empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def metrics_bytes(matrix: Matrix, *, reads_per_umi: float, in_cells: float) -> bytes:
    """Write Cell Ranger's ``metrics_summary.csv`` of a filtered matrix.

    Parameters
    ----------
    matrix
        Filtered; only gene expression counts, the CAR feature among it.
    reads_per_umi
        How often a molecule was read.
    in_cells
        Share of all UMIs that are in cells, 0 to 1.
    """
    expression = matrix.counts[:, np.array(matrix.kinds) == EXPRESSION]
    n, umis = matrix.barcodes.size, expression.sum(axis=1)
    reads = int(reads_per_umi * umis.sum() / in_cells)
    row = {
        "Estimated Number of Cells": f"{n:,}",
        "Mean Reads per Cell": f"{round(reads / n):,}",
        "Median Genes per Cell": f"{int(np.median((expression > 0).sum(axis=1))):,}",
        "Number of Reads": f"{reads:,}",
        "Valid Barcodes": "96.1%",
        "Sequencing Saturation": f"{100 * (1 - 1 / reads_per_umi):.1f}%",
        "Q30 Bases in Barcode": "95.8%",
        "Q30 Bases in RNA Read": "91.7%",
        "Q30 Bases in UMI": "95.2%",
        "Reads Mapped to Genome": "93.4%",
        "Reads Mapped Confidently to Genome": "90.2%",
        "Reads Mapped Confidently to Transcriptome": "72.5%",
        "Reads Mapped Antisense to Gene": "3.1%",
        "Fraction Reads in Cells": f"{100 * in_cells:.1f}%",
        "Total Genes Detected": f"{int((expression > 0).any(axis=0).sum()):,}",
        "Median UMI Counts per Cell": f"{int(np.median(umis)):,}",
    }
    return csv_bytes(list(row), [row])
