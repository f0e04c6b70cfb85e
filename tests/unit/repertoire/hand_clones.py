"""Libraries, chains, types and calls written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from cartrace.cells.tables import CARS, TYPES
from cartrace.cells.vocabulary import CELL_TYPES
from cartrace.repertoire.clone_cells import LibraryTables
from cartrace.repertoire.samples import PlannedLibrary, planned
from cartrace.repertoire.tables import CELL_RECEPTORS, CHAINS, CLONE_CELLS
from cartrace.repertoire.vocabulary import LOCI
from cartrace.tables import rows

LETTERS = "ACGT"


def library(name: str, sample: str = "S1", day: float = 28, **more: Any) -> PlannedLibrary:
    """A library of blood without a matrix."""
    facts: dict[str, Any] = {
        "library_id": name,
        "sample_id": sample,
        "sort": "none",
        "matrix": "blood",
        "infusion": 1,
        "day": day,
        "study_day": day,
        "visit": None,
        "pre_infusion": day < 0,
        "cells": False,
        "tcr": True,
        "bcr": False,
    }
    (made,) = planned([facts | more])
    return made


def product(name: str, sample: str = "IP", **more: Any) -> PlannedLibrary:
    return library(name, sample, 0, matrix="infusion_product", **more)


def sequence(n: int) -> str:
    """A CDR3 of its own for each number."""
    return "TGT" + "".join(LETTERS[n // 4**i % 4] for i in range(9)) + "TTT"


def chain(cell: str, cdr3: int, locus: str = "TRB", **more: Any) -> dict[str, Any]:
    return {
        "cell": cell,
        "locus": locus,
        "rank": 1,
        "v_gene": f"{locus}V1*01",
        "j_gene": f"{locus}J1",
        "cdr3_nt": sequence(cdr3),
        "cdr3_aa": f"C{cdr3}F",
        "umis": 5,
        **more,
    }


def chains_of(name: str, chains: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return rows(({"library": name, "contig": f"c{i}", **c} for i, c in enumerate(chains)), CHAINS)


def receptors_of(name: str, chains: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Cells with T chains only, B chains only, or both, which do not count."""
    cells: dict[str, list[str]] = {}
    for one in chains:
        cells.setdefault(one["cell"], []).append(one["locus"])
    made = []
    for cell, loci in cells.items():
        kinds = {"T" if locus.startswith("TR") else "B" for locus in loci}
        both = len(kinds) == 2
        made.append(
            {
                "library": name,
                "cell": cell,
                "receptor": "both" if both else kinds.pop(),
                "pairing": "ambiguous" if both else "orphan_vdj",
                **{locus.lower(): loci.count(locus) for locus in LOCI},
                "counts": not both,
            }
        )
    return rows(made, CELL_RECEPTORS)


def types_of(name: str, cells: Mapping[str, str | tuple[str, bool]]) -> pd.DataFrame:
    """Cell -> type, or type and whether it counts; T cells are cytotoxic."""
    made = []
    for cell, told in cells.items():
        cell_type, counts = told if isinstance(told, tuple) else (told, True)
        lineage = CELL_TYPES[cell_type]
        made.append(
            {
                "library": name,
                "cell": cell,
                "lineage": lineage,
                "cell_type": cell_type,
                "confidence": 1.0,
                "state": "cytotoxic" if lineage == "t" else None,
                "cycling": False,
                "doublet_score": 0.0,
                "doublet": not counts,
                "counts": counts,
            }
        )
    return rows(made, TYPES)


def cars_of(name: str, calls: Mapping[str, str]) -> pd.DataFrame:
    return rows(
        (
            {"library": name, "cell": cell, "call": call, "evidence": "counts", "borrowed": False}
            for cell, call in calls.items()
        ),
        CARS,
    )


def tables_of(of: PlannedLibrary, chains: Sequence[Mapping[str, Any]], **more: Any) -> LibraryTables:
    name = of.library_id
    return LibraryTables(of, chains_of(name, chains), receptors_of(name, chains), **more)


def cells_of(of: PlannedLibrary, clones: Mapping[str, int], **more: Any) -> pd.DataFrame:
    """Rows of CLONE_CELLS: clone -> cells; all T, all counting."""
    made = [
        {
            "subject_id": "P1",
            "library": of.library_id,
            "cell": f"{clone}-{i}",
            "sample_id": of.sample.sample_id,
            "receptor": "T",
            "clonotype": clone,
            "counts": True,
            **more,
        }
        for clone, n in clones.items()
        for i in range(n)
    ]
    return rows(made, CLONE_CELLS)
