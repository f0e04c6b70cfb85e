"""Tables of made-up libraries for the tests of the CAR caller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cartrace.cells.car_cells import CarCells
from cartrace.cells.tables import CELLS, LIBRARIES, MOLECULES, TYPES
from cartrace.tables import rows


def cells_table(
    molecules: Sequence[int | None],
    umis: Sequence[int] | int = 5000,
    library: str = "L1",
    **more: Sequence[Any],
) -> pd.DataFrame:
    """CELLS of cells C0, C1, ... with these UMIs of the CAR feature."""
    depth = [umis] * len(molecules) if isinstance(umis, int) else umis
    return rows(
        [
            {
                "library": library,
                "cell": f"C{i}",
                "umis": int(depth[i]),
                "genes": 1500,
                "mito_percent": 3.0,
                "ribo_percent": 20.0,
                "haemoglobin_percent": 0.0,
                "car_umis": None if k is None else int(k),
                "passed": True,
                **{name: values[i] for name, values in more.items()},
            }
            for i, k in enumerate(molecules)
        ],
        CELLS,
    )


def types_table(
    lineages: Sequence[str], counts: Sequence[bool] | None = None, library: str = "L1"
) -> pd.DataFrame:
    """TYPES of the same cells."""
    return rows(
        [
            {
                "library": library,
                "cell": f"C{i}",
                "lineage": lineage,
                "cell_type": {"t": "cd4_t", "b": "naive_b", "monocyte": "cd14_monocyte"}.get(
                    lineage, lineage
                ),
                "confidence": 0.9,
                "cycling": False,
                "doublet_score": 0.1,
                "doublet": False,
                "counts": True if counts is None else bool(counts[i]),
            }
            for i, lineage in enumerate(lineages)
        ],
        TYPES,
    )


def molecules_table(found: Sequence[tuple[str, str, int, int]], library: str = "L1") -> pd.DataFrame:
    """MOLECULES from (cell, construct, unique, junction)."""
    return rows(
        [
            {
                "library": library,
                "cell": cell,
                "construct": construct,
                "unique": unique,
                "junction": junction,
                "ambiguous": 7,
                "endogenous": 5,
                "chimeric": 3,
                "reads": 9,
            }
            for cell, construct, unique, junction in found
        ],
        MOLECULES,
    )


def libraries_table(library: str = "L1", **changed: Any) -> pd.DataFrame:
    """LIBRARIES of one library."""
    usual = {
        "library": library,
        "chemistry": "5p",
        "sort": "none",
        "source": "cellranger",
        "barcodes": 600,
        "cells_passed": 600,
        "car_features": "CAR",
        "empty_droplets": 2000,
        "empty_umis": 200_000,
        "empty_car_umis": 20,
        "ambient_percent": 5.0,
        "verdict": "accepted",
        "source_sha256": "0" * 64,
    }
    return rows([usual | changed], LIBRARIES)


def car_library(
    *,
    fraction: float,
    mean: float = 4.0,
    t_cells: int = 500,
    others: int = 150,
    false: float = 0.02,
    seed: int = 1,
) -> tuple[CarCells, np.ndarray]:
    """A library of T cells and monocytes, and which cells carry the CAR."""
    rng = np.random.default_rng(seed)
    n = t_cells + others
    depth = rng.lognormal(0, 0.4, n)
    carries = np.arange(n) < round(fraction * t_cells)
    molecules = rng.poisson(false * depth) + np.where(
        carries, rng.poisson(mean * depth * rng.gamma(2, 0.5, n)), 0
    )
    return (
        CarCells(
            cell=np.array([f"C{i}" for i in range(n)], object),
            evidence="counts",
            molecules=molecules.astype(np.int64),
            umis=np.maximum((5000 * depth).astype(np.int64), 1),
            lineage=np.array(["t"] * t_cells + ["monocyte"] * others, object),
            counted=np.ones(n, bool),
            tag=None,
            clone=np.full(n, "", object),
            feature_ratio=1.0,
            molecules_outside=0,
        ),
        carries,
    )
