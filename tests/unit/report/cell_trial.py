"""Single-cell libraries in the contracts of cartrace.cells.tables: what the cell pages are drawn from in the tests.

L1 is an infusion product with reads, L2 blood in which no CAR is detected, L3 a failed library, L4 blood of another
subject that may be exchanged. The cells of a library are 40 T cells (10 of them CAR+) and 20 B cells.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from tests.unit.report.full_trial import full_trial

from cartrace import tables
from cartrace.cells.tables import (
    CAR_FRACTIONS,
    CAR_READS,
    COMPOSITION,
    COVERAGE,
    DOMAINS,
    EMBEDDING,
    EXPRESSION,
    LIBRARIES,
    OBS,
    REGIONS,
    VARIANTS,
)
from cartrace.report.libraries import CellTables
from cartrace.report.page import ReportData

SHA = "0" * 64
SAMPLES: dict[str, dict[str, Any]] = {
    "L1": {"sample_id": "S1", "subject_id": "P02", "infusion": 1, "day": 0.0, "study_day": 0.0, "matrix": "infusion_product"},
    "L2": {"sample_id": "S2", "subject_id": "P02", "infusion": 1, "day": 14.0, "study_day": 14.0, "matrix": "blood"},
    "L3": {"sample_id": "S3", "subject_id": "P02", "infusion": 1, "day": 28.0, "study_day": 28.0, "matrix": "blood"},
    "L4": {"sample_id": "S4", "subject_id": "P03", "infusion": 1, "day": 90.0, "study_day": 90.0, "matrix": "pbmc"},
}  # fmt: skip


def library(name: str, **more: Any) -> dict[str, Any]:
    """One accepted library of 170 barcodes, 160 of which are cells."""
    return {
        "library": name, "chemistry": "5p", "sort": "none", "source": "cellranger", "barcodes": 170, "cells_passed": 160,
        "median_umis": 2_000.0, "median_genes": 640.0, "median_mito_percent": 4.4, "total_genes": 1_400, "car_features": "DEMO",
        "car_umis": 30, "empty_droplets": 400, "empty_umis": 30_000, "empty_car_umis": 5, "ambient_percent": 5.0,
        "ambient_lower": 4.0, "ambient_upper": 6.0, "verdict": "accepted", "source_sha256": SHA,
    } | more  # fmt: skip


def fraction(name: str, **more: Any) -> dict[str, Any]:
    """One library in which a quarter of 40 T cells carry the CAR."""
    return {
        "library": name, "evidence": "counts", "t_cells": 40, "positive": 10, "negative": 28, "undetermined": 2, "fraction": 25.0,
        "lower": 15.0, "upper": 40.0, "lod": 3.0, "detection": "quantified", "naive_percent": 30.0, "mean_molecules": 3.5,
        "dispersion": 0.5, "ambient_rate": 0.08, "ambient_lower": 0.04, "ambient_upper": 0.14, "ambient_source": "both",
        "other_cells": 20, "other_positive": 2, "threshold": 3, "above_threshold": 8, "blank_expected": 0.1, "blank_limit": 1,
        "verdict": "accepted",
    } | more  # fmt: skip


def share(name: str, population: str, parent: str, count: int, total: int, **more: Any) -> dict[str, Any]:
    """One share of a library; its exact interval is left to +-20 %."""
    percent = 100 * count / total
    return {
        "library": name, "sort": "none", **SAMPLES[name], "population": population, "parent": parent, "count": count,
        "total": total, "percent": percent, "lower": 0.8 * percent, "upper": min(100.0, 1.2 * percent), "lod": 5.0, "lloq": 20.0,
        "detection": "quantified", "verdict": "accepted",
    } | more  # fmt: skip


def untold(name: str, population: str, parent: str, reason: str) -> dict[str, Any]:
    """One share that can't be told."""
    return {
        "library": name, "sort": "none", **SAMPLES[name], "population": population, "parent": parent, "verdict": "rejected",
        "reason": reason,
    }  # fmt: skip


def shares(name: str, *, cars: bool, **more: Any) -> list[dict[str, Any]]:
    """Composition of 40 T and 20 B cells; of 10 CAR+ T cells where there are some."""
    listed = [
        share(name, "t", "cells", 40, 60, **more),
        share(name, "b", "cells", 20, 60, **more),
        share(name, "naive_b", "b", 15, 20, **more),
        share(name, "unassigned_b", "b", 5, 20, **more),
    ]
    if not cars:
        return [*listed, untold(name, "state_naive", "car_t", "CAR+ T cells are not detected")]
    return [
        *listed,
        share(name, "car_t", "t", 10, 40, **more),
        share(name, "cd4", "car_t", 6, 10, **more),
        share(name, "state_naive", "car_t", 7, 10, **more),
        share(name, "state_exhausted", "car_t", 3, 10, **more),
    ]


def cells_of(name: str, *, cars: int) -> list[dict[str, Any]]:
    """Cells of one library: CAR+ and CAR- T cells, B cells with an ambient molecule, a doublet, a barcode that is no cell."""
    chosen = {k: v for k, v in SAMPLES[name].items() if k != "visit"}
    base = {
        "library": name, **chosen, "chemistry": "5p", "sort": "none", "library_verdict": "accepted", "umis": 2_000, "genes": 640,
        "passed": True, "lineage": "t", "cell_type": "cd4_t", "confidence": 0.99, "state": "naive", "cycling": False,
        "doublet_score": 0.01, "doublet": False, "counts": True, "call": "negative", "molecules": 0, "evidence": "counts",
        "borrowed": False,
    }  # fmt: skip
    b = {"lineage": "b", "cell_type": "naive_b", "state": None, "call": "not_assessed"}
    rows = [
        *(base | {"call": "positive", "molecules": 3 + 10 * k, "cell_type": "cd8_t", "state": "exhausted" if k < 3 else "naive"} for k in range(cars)),
        *(base for _ in range(40 - cars)),
        *(base | b | {"molecules": int(k < 2)} for k in range(20)),
        base | {"doublet": True, "counts": False},
        base | {"passed": False, "counts": False, "lineage": "unassigned", "cell_type": "unassigned", "state": None},
    ]  # fmt: skip
    return [row | {"cell": f"{name}-{k:03d}"} for k, row in enumerate(rows)]


def genes(contrast: str, n: int) -> list[dict[str, Any]]:
    """``n`` genes, the first of which differs; the last has no p value."""
    return [
        {
            "contrast": contrast, "gene": f"ENSG{k:05d}", "symbol": f"GENE{k}", "log2_fold_change": 2.0 - k / n, "se": 0.3,
            "p": None if k == n - 1 else 1e-12 if k == 0 else 0.3, "q": None if k == n - 1 else 1e-9 if k == 0 else 0.9,
            "mean": 50.0, "n_subjects": 4, "status": "estimated",
        }
        for k in range(n)
    ]  # fmt: skip


def cell_tables(hostile: str = "") -> CellTables:
    """Build the four libraries of this module."""
    refused = {"contrast": "car_late_vs_peak", "gene": "", "n_subjects": 1, "status": "not_estimable", "reason": f"1 of 3 subjects{hostile}"}  # fmt: skip
    lost = {"cells_passed": 0, "median_umis": 2.0, "median_genes": 2.0, "ambient_percent": None, "ambient_lower": None, "ambient_upper": None}  # fmt: skip
    not_told = {"positive": 0, "negative": 0, "undetermined": 0, "t_cells": 0, "fraction": None, "lower": None, "upper": None, "lod": None, "detection": None, "mean_molecules": None, "ambient_rate": None, "ambient_lower": None, "ambient_upper": None, "ambient_source": "none", "other_cells": 0, "other_positive": 0}  # fmt: skip
    obs = [row for name, cars in (("L1", 10), ("L2", 0), ("L4", 10)) for row in cells_of(name, cars=cars)]
    construct = f"DEMO{hostile}"
    return CellTables(
        libraries=tables.rows(
            [
                library("L1"),
                library("L2", verdict="flagged", flags="ambient;odd_flag", reason=f"25 % of a cell's UMIs are ambient RNA{hostile}"),
                library("L3", verdict="rejected", flags="failed_library", reason=f"the library has failed{hostile}", **lost),
                library("L4", car_features=construct),
            ],
            LIBRARIES,
        ),
        composition=tables.rows(
            [
                *shares("L1", cars=True),
                *shares("L2", cars=False, flags="ambient", verdict="flagged"),
                untold("L3", "t", "cells", f"the library has failed{hostile}"),
                *shares("L4", cars=True, flags="library_exchanged", verdict="flagged"),
            ],
            COMPOSITION,
        ),
        fractions=tables.rows(
            [
                fraction("L1", evidence="molecules", calibrated_by="flow;pre_infusion", uncalibrated_fraction=24.0),
                fraction("L2", positive=0, fraction=None, lower=0.0, upper=2.5, detection="BLD", verdict="flagged", flags="no_car_molecule", reason=f"no cell has a CAR molecule{hostile}"),
                fraction("L3", verdict="rejected", flags="car_fraction", reason=f"the library is rejected{hostile}", **not_told),
                fraction("L4", fraction=None, lower=0.5, upper=4.0, detection="BLQ"),
            ],
            CAR_FRACTIONS,
        ),
        car_reads=tables.rows(
            [{"library": "L1", "construct": construct, "reads_fetched": 4_000, "reads_used": 1_200, "molecules": 500, "cells": 150, "chimeric_molecules": 6, "sense_percent": 100.0, "support": 1.0, "in_product": True, "from_index": True}],
            CAR_READS,
        ),
        coverage=tables.rows(
            [{"library": "L1", "construct": construct, "start": s, "end": s + 99, "unique": 50.0 - s / 20, "ambiguous": 5.0} for s in range(1, 901, 100)],
            COVERAGE,
        ),
        variants=tables.rows(
            [{"library": "L1", "construct": construct, "position": 120, "reference": "A", "observed": f"G{hostile}", "molecules": 40, "depth": 44, "effect": f"Lys40Arg{hostile}"}],
            VARIANTS,
        ),
        regions=tables.rows(
            [{"construct": construct, "chemistry": c, "start": s, "end": e, "class": k} for c in ("5p", "3p") for s, e, k in ((1, 600, "discriminative"), (601, 900, "ambiguous"))],
            REGIONS,
        ),
        domains=tables.rows(
            [
                {"construct": construct, "number": 1, "domain": f"leader{hostile}", "kind": "leader", "start": 1, "end": 300, "coding": True},
                {"construct": construct, "number": 2, "domain": "signalling", "kind": "signalling", "start": 301, "end": 900, "coding": True},
            ],
            DOMAINS,
        ),
        embedding=tables.rows(
            [{"library": o["library"], "cell": o["cell"], "x": float(k % 17), "y": float(k % 11) - 3} for k, o in enumerate(obs) if o["passed"]],
            EMBEDDING,
        ),
        obs=tables.rows(obs, OBS),
        expression=tables.rows([*genes("car_peak_vs_product", 40), refused], EXPRESSION),
    )  # fmt: skip


def cell_trial(patients: int = 12, hostile: str = "") -> ReportData:
    """The full trial with the four libraries, and findings that point at them."""
    base = full_trial(patients, hostile=hostile)
    findings = [
        {"check": "failed_library", "verdict": "fail", "source_file": "L3", "subject_id": "P02", "value": "2", "limit": "at least 200", "message": f"The library has failed{hostile}."},
        {"check": "vendor_cells", "verdict": "pass", "source_file": "L1", "subject_id": "P02", "message": "As the vendor counts."},
    ]  # fmt: skip
    qc = tables.concat([base.qc, tables.rows(findings, tables.QC)], tables.QC)
    return dataclasses.replace(base, qc=qc, cells=cell_tables(hostile))
