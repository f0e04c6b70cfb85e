"""Count files of libraries made by hand, as read_library writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from cartrace.cells.h5ad import LibraryWriter
from cartrace.cells.matrices import GENE_EXPRESSION, Features


def write_library(
    path: Path,
    counts: ArrayLike,
    genes: list[str],
    cells: list[str] | None = None,
    cars: tuple[str, ...] = (),
) -> Path:
    """Write counts (cells x genes); symbols are the ids without their first letter."""
    matrix = csr_array(np.asarray(counts, dtype=np.int32))
    names = cells or [f"C{i}" for i in range(matrix.shape[0])]
    features = Features(
        np.array(genes), np.array([g[1:] for g in genes]), np.array([GENE_EXPRESSION] * len(genes))
    )
    marked = np.isin(genes, cars)
    with LibraryWriter(
        path, barcodes=np.array(names).astype(bytes), features=features, cars=marked
    ) as writer:
        for _ in writer.through([(0, matrix)]):
            pass
        writer.describe({"library": path.stem, "chemistry": "5p"})
    return path
