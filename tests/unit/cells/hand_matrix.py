"""Small count matrices in the formats of Cell Ranger, STARsolo, bustools and AnnData, written by hand."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import h5py
import numpy as np

GENES = ["G1", "MT-CO1", "RPL3", "HBB", "CAR", "CD3D"]
IDS = [
    "ENSG00000000001",
    "ENSG00000198804",
    "ENSG00000100316",
    "ENSG00000244734",
    "CAR_id",
    "ENSG00000167286",
]
CELLS = ["AAAC-1", "AAAG-1", "AAAT-1"]
COUNTS = np.array([[5, 1, 0, 0, 2, 0], [0, 0, 0, 0, 0, 0], [0, 3, 2, 1, 0, 4]])
"""Cells x features; the second cell has nothing."""


def names(count: int, prefix: str = "G") -> list[str]:
    return [f"{prefix}{i}" for i in range(count)]


def write_10x(
    path: Path,
    counts: Any = COUNTS,
    *,
    cells: list[str] = CELLS,
    ids: list[str] = IDS,
    genes: list[str] = GENES,
    types: list[str] | None = None,
    version: int = 3,
    **replaced: Any,
) -> Path:
    """Write an h5 of Cell Ranger; ``replaced`` puts other values into matrix/<name>."""
    from scipy.sparse import csr_array

    rows = csr_array(np.asarray(counts) if not hasattr(counts, "tocsr") else counts)
    parts: dict[str, Any] = {
        "barcodes": np.array(cells, dtype=bytes),
        "data": rows.data.astype(np.int32),
        "indices": rows.indices.astype(np.int64),
        "indptr": rows.indptr.astype(np.int64),
        "shape": np.array(rows.shape[::-1], np.int32),
    }
    listed = {"id": ids, "name": genes, "feature_type": types or ["Gene Expression"] * len(ids)}
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version > 2 else "GRCh38")
        if version > 2:
            file.attrs["software_version"] = "cellranger-7.1.0"
            features = group.create_group("features")
            for key, value in listed.items():
                features[key] = np.array(value, dtype=bytes)
        else:
            parts |= {"genes": np.array(ids, dtype=bytes), "gene_names": np.array(genes, dtype=bytes)}
        for key, value in (parts | replaced).items():
            if value is not None:
                group.create_dataset(key, data=value, compression="gzip" if np.size(value) else None)
    return path


def write_text(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def mtx_lines(counts: Any, *, turned: bool, head: str = "%", by_gene: bool = False) -> list[str]:
    """Write coordinates: genes x cells (``turned``, as 10x does) or cells x genes (bustools)."""
    table = np.asarray(counts)
    cells, genes = np.nonzero(table) if not by_gene else np.nonzero(table.T)[::-1]
    pairs = zip(cells.tolist(), genes.tolist(), strict=True)
    shape = table.shape[::-1] if turned else table.shape
    return [
        "%%MatrixMarket matrix coordinate integer general",
        head,
        f"{shape[0]} {shape[1]} {len(cells)}",
        *(f"{g + 1} {c + 1} {table[c, g]}" if turned else f"{c + 1} {g + 1} {table[c, g]}" for c, g in pairs),
    ]


def write_folder(
    folder: Path,
    counts: Any = COUNTS,
    *,
    packed: bool = True,
    by_gene: bool = False,
    cells: list[str] = CELLS,
    ids: list[str] = IDS,
    genes: list[str] = GENES,
) -> Path:
    """Write matrix.mtx, features.tsv and barcodes.tsv, packed or not."""
    end = ".gz" if packed else ""
    write_text(folder / f"matrix.mtx{end}", mtx_lines(counts, turned=True, by_gene=by_gene))
    rows = [f"{i}\t{g}\tGene Expression" for i, g in zip(ids, genes, strict=True)]
    write_text(folder / f"features.tsv{end}", rows)
    write_text(folder / f"barcodes.tsv{end}", cells)
    return folder


def write_bustools(folder: Path, counts: Any = COUNTS) -> Path:
    write_text(folder / "cells_x_genes.mtx", mtx_lines(counts, turned=False))
    write_text(folder / "cells_x_genes.genes.txt", IDS)
    write_text(folder / "cells_x_genes.genes.names.txt", GENES)
    write_text(folder / "cells_x_genes.barcodes.txt", CELLS)
    return folder
