"""Libraries made by hand: cells by type, state and call, as the jobs of one library write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from cartrace.cells.assemble import Assembled, LibraryTables, assemble_libraries
from cartrace.cells.settings import Cells
from cartrace.cells.tables import CAR_FRACTIONS, CAR_READS, CARS, LIBRARIES, TYPES
from cartrace.cells.vocabulary import CELL_TYPES
from cartrace.intake.libraries import Library
from cartrace.tables import SAMPLES, SUBJECTS, rows

Cell = tuple[str, str, str]
"""Type, state of a T cell, call."""

USUAL: dict[Cell, int] = {
    ("cd4_t", "naive", "negative"): 300,
    ("cd8_t", "cytotoxic", "negative"): 200,
    ("cd4_t", "central_memory", "positive"): 40,
    ("cd8_t", "exhausted", "positive"): 60,
    ("nk", "", "not_assessed"): 100,
    ("naive_b", "", "not_assessed"): 80,
    ("switched_memory_b", "", "not_assessed"): 20,
    ("cd14_monocyte", "", "not_assessed"): 180,
    ("plasma_cell", "", "not_assessed"): 20,
}
"""1,000 cells: 600 T (100 CAR+), 100 NK, 100 B, 20 plasma cells, 180 monocytes."""


def library(
    library_id: str = "L1",
    cells: Mapping[Cell, int] = USUAL,
    *,
    fraction: Mapping[str, Any] | None = None,
    lost: int = 0,
    **more: Any,
) -> LibraryTables:
    """Return the tables of a library; ``lost`` further CAR+ cells are doublets and don't count."""
    made = [cell for cell, n in cells.items() for _ in range(n)] + [("cd8_t", "naive", "positive")] * lost
    barcodes = [f"C{i}" for i in range(len(made))]
    types = [
        {
            "library": library_id,
            "cell": barcode,
            "lineage": CELL_TYPES[kind],
            "cell_type": kind,
            "confidence": 1.0,
            "state": state or None,
            "phase": "G1",
            "cycling": False,
            "doublet_score": 0.0,
            "doublet": i >= len(made) - lost,
            "counts": i < len(made) - lost,
        }
        for i, (barcode, (kind, state, _)) in enumerate(zip(barcodes, made, strict=True))
    ]
    cars = [
        {"library": library_id, "cell": barcode, "call": call, "evidence": "counts", "borrowed": False}
        for barcode, (_, _, call) in zip(barcodes, made, strict=True)
    ]
    t = [call for kind, _, call in made[: len(made) - lost] if CELL_TYPES[kind] == "t"]
    share: dict[str, Any] = {
        "library": library_id,
        "evidence": "counts",
        "t_cells": len(t),
        **{c: t.count(c) for c in ("positive", "negative", "undetermined")},
        "fraction": 20.0,
        "lower": 16.0,
        "upper": 25.0,
        "lod": 0.5,
        "detection": "quantified",
        "verdict": "accepted",
    }
    about = {
        "library": library_id,
        "chemistry": "5p",
        "sort": "none",
        "source": "cellranger",
        "barcodes": len(made),
        "cells_passed": len(made) - lost,
        "verdict": "accepted",
        "source_sha256": library_id.ljust(64, "0"),
    }
    return LibraryTables(
        library_id,
        rows([about | more], LIBRARIES),
        rows(types, TYPES),
        rows(cars, CARS),
        rows([share | dict(fraction or {})], CAR_FRACTIONS),
    )


def sheet_row(
    library_id: str = "L1", sample_id: str = "S1", lymphocytes: float | None = None, **more: Any
) -> Library:
    empty: dict[str, Any] = dict.fromkeys(
        ("counts", "raw_counts", "metrics", "bam", "tcr_contigs", "bcr_contigs"), ""
    ) | dict.fromkeys(("fastq", "car_features", "tag_features"), ())
    usual = {
        "chemistry": "5p",
        "sort": "none",
        "white_cells_per_ul": None,
        "car_flow_percent": None,
        "row": 2,
    }
    return Library(
        library_id=library_id, sample_id=sample_id, lymphocytes_per_ul=lymphocytes, **(empty | usual | more)
    )


def sample(sample_id: str = "S1", day: float = 10, **more: Any) -> dict[str, Any]:
    usual = {"subject_id": "A", "infusion": 1, "matrix": "blood", "visit": None, "day": day, "study_day": day}
    return usual | {"sample_id": sample_id} | more


def assemble(
    libraries: Iterable[LibraryTables],
    sheet: Iterable[Library] = (),
    samples: Iterable[Mapping[str, Any]] = (),
    *,
    settings: Mapping[str, Any] | None = None,
    subjects: Iterable[Mapping[str, Any]] = (),
    car_reads: Iterable[Mapping[str, Any]] = (),
    findings: Iterable[pd.DataFrame] = (),
) -> Assembled:
    """Assemble; without a sheet or samples all libraries are of sample S1 of subject A."""
    libraries = list(libraries)
    listed = list(sheet) or [sheet_row(tables.library_id) for tables in libraries]
    return assemble_libraries(
        libraries,
        {row.library_id: row for row in listed},
        Cells.model_validate(settings or {}),
        samples=rows(list(samples) or [sample()], SAMPLES),
        subjects=rows(list(subjects) or [{"subject_id": "A"}], SUBJECTS),
        car_reads=rows(car_reads, CAR_READS),
        findings=list(findings),
        post_infusion_visits=r"(?i)\bpost\b",
    )
