"""Clones and integration sites in the contracts of cartrace.repertoire.tables: what their pages are drawn from in the tests.

P02: a product (S1) and blood of days 14, 28, 90 and 180 (S2, S3, S5, S6); S3 has too few cells. T-001 grows from 2 of
400 cells to half of the blood, T-002 shrinks, T-003 comes late and is not of the product. A site near LMO2 grows
beyond 20 %. P03: one sample (S4), whose T-001 is that of P02: its library looks exchanged.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

from tests.unit.report.cell_trial import cell_trial

from cartrace import tables
from cartrace.flow.counts import share_interval
from cartrace.repertoire.tables import (
    B_RETURN,
    CELL_RECEPTORS,
    CLONE_CHANGES,
    CLONE_PERSISTENCE,
    CLONE_SAMPLES,
    CLONE_TOTALS,
    CLONES,
    DIVERSITY,
    OVERLAP,
    SHARED,
    SITE_ALARM,
    SITE_SAMPLES,
)
from cartrace.report.clones import CloneTables
from cartrace.report.page import ReportData

SAMPLES: dict[str, dict[str, Any]] = {
    name: {"subject_id": who, "sample_id": name, "infusion": 1, "day": day, "study_day": day, "matrix": matrix}
    for name, who, day, matrix in (
        ("S0", "P02", -5.0, "blood"),
        ("S1", "P02", 0.0, "infusion_product"),
        ("S2", "P02", 14.0, "blood"),
        ("S3", "P02", 28.0, "blood"),
        ("S5", "P02", 90.0, "blood"),
        ("S6", "P02", 180.0, "marrow"),
        ("S4", "P03", 90.0, "pbmc"),
    )
}  # fmt: skip
TOTALS = {"S1": 400, "S2": 300, "S3": 9, "S5": 500, "S6": 120, "S4": 80}
COUNTS = {
    "T-001": {"S1": 2, "S2": 30, "S3": 2, "S5": 250, "S6": 40},
    "T-002": {"S1": 40, "S2": 12, "S5": 1},
    "T-003": {"S5": 25, "S6": 12},
    **{f"T-{k:03}": {"S1": 3 + k % 4, "S2": k % 3} for k in range(4, 19)},
}
"""Clone of P02 -> sample -> cells, of the population t_cells."""
SITES = {
    "chr11+33880000": {"S1": 1, "S2": 8, "S5": 60, "S6": 90},
    "chr1-1099346": {"S1": 4, "S2": 9, "S5": 10, "S6": 8},
    "chr7+5000": {"S1": 3, "S5": 5},
    **{f"chr2+{1000 * k}": {"S1": 2, "S2": 3 + k % 3, "S5": 2} for k in range(1, 26)},
}


def shared_of(cells: float, total: float) -> dict[str, float]:
    """A share with its exact interval, %."""
    lower, upper = share_interval(int(cells), int(total), 0.95)
    return {"percent": 100 * cells / total, "lower": 100 * lower, "upper": 100 * upper}


def _clone_samples(hostile: str) -> list[dict[str, Any]]:
    out = []
    for population, part in (("t_cells", 1), ("car_t_cells", 2)):
        for clone, seen in COUNTS.items():
            for name, n in seen.items():
                cells, total = n // part, TOTALS[name] // part
                if cells and not (part == 2 and name == "S3"):
                    share = {} if name == "S3" else shared_of(cells, total)
                    out.append({"population": population, "clonotype": clone, **SAMPLES[name], "cells": cells, "total": total, **share, "states": f"cytotoxic:{cells}"})  # fmt: skip
    out.append({"population": "t_cells", "clonotype": "T-001", **SAMPLES["S4"], "cells": 60, "total": 80, **shared_of(60, 80)})  # fmt: skip
    return [row | {"clonotype": row["clonotype"] + hostile} for row in out]


def _totals() -> list[dict[str, Any]]:
    out = []
    for population, part in (("t_cells", 1), ("car_t_cells", 2)):
        for name, n in TOTALS.items():
            few = name == "S3"
            if (part == 2 and name in {"S3", "S4"}) or (few and part == 2):
                continue
            out.append({
                "population": population, **SAMPLES[name], "visit": "M3" if name == "S5" else None, "libraries": "L" + name[1:], "cells": n // part,
                "clones": n // part // 3, "expanded": 4, "bins": None if few else "1:50;2-4:20;5-9:10;10+:20", "lod": 300.0 / n,
                "verdict": "rejected" if few else "accepted", "reason": "9 T cells have a clone; at least 20 are needed" if few else None,
            })  # fmt: skip
    return out


def _changes(hostile: str) -> list[dict[str, Any]]:
    def test(clone: str, a: str, b: str, *told: Any) -> dict[str, Any]:
        ratio, q, change = told
        x, y = COUNTS[clone].get(a, 0), COUNTS[clone].get(b, 0)
        return {
            "subject_id": "P02", "population": "t_cells", "clonotype": clone + hostile, "from_sample": a, "to_sample": b,
            "from_cells": x, "from_total": TOTALS[a], "to_cells": y, "to_total": TOTALS[b], "odds_ratio": ratio, "p": q / 10, "q": q, "change": change,
        }  # fmt: skip

    return [
        test("T-001", "S1", "S2", 22.1, 1e-8, "expanded"),
        test("T-001", "S1", "S5", 199.0, 1e-70, "expanded"),
        test("T-001", "S5", "S6", 0.5, 2e-3, "contracted"),
        test("T-002", "S1", "S5", 0.018, 1e-12, "contracted"),
        test("T-003", "S1", "S5", None, 1e-6, "expanded"),
        test("T-004", "S1", "S2", 1.2, 0.9, "unchanged"),
    ]


def _diversity() -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for name in ("S1", "S2", "S5", "S6"):
        for index, value in (("hill_0", 90.0), ("hill_1", 40.0), ("hill_2", 12.0)):
            high = value / (1 + SAMPLES[name]["day"] / 60)
            out.append({"unit": "clonotype", "population": "t_cells", **SAMPLES[name], "index": index, "depth": 120, "rarefied": True, "value": high, "lower": 0.9 * high, "upper": 1.1 * high})  # fmt: skip
        for index, value in (("richness", 130.0), ("shannon", 3.2), ("gini", 0.6), ("largest", 0.5)):
            out.append({"unit": "clonotype", "population": "t_cells", **SAMPLES[name], "index": index, "depth": TOTALS[name], "rarefied": False, "value": value})  # fmt: skip
            out.append({"unit": "site", "population": "CD3+", **SAMPLES[name], "index": index, "depth": 120, "rarefied": False, "value": value})  # fmt: skip
    few = {"unit": "clonotype", "population": "t_cells", **SAMPLES["S3"], "depth": 9, "rarefied": True, "reason": "9 cells; at least 50 are needed"}  # fmt: skip
    return [*out, *(few | {"index": index} for index in ("hill_0", "hill_1", "hill_2"))]


def _overlap() -> list[dict[str, Any]]:
    names = ("S1", "S2", "S5", "S6")
    out = []
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            row = {"subject_id": "P02", "unit": "clonotype", "population_a": "t_cells", "sample_a": a, "population_b": "t_cells", "sample_b": b, "clones_a": 130, "clones_b": 90, "shared": 20 - i}  # fmt: skip
            out.append(row | {"jaccard": 0.1, "morisita_horn": 0.8 - 0.2 * i})
            out.append(row | {"unit": "site", "population_a": "CD3+", "population_b": "CD3+", "jaccard": 0.2, "morisita_horn": 0.5})  # fmt: skip
    out.append({"subject_id": "P02", "unit": "site", "population_a": "CD3+", "sample_a": "S6", "population_b": "CD14+", "sample_b": "S6", "clones_a": 8, "clones_b": 2, "shared": 1, "jaccard": 0.1, "morisita_horn": 0.4})  # fmt: skip
    out.append({"subject_id": "P02", "unit": "clonotype", "population_a": "t_cells", "sample_a": "S1", "population_b": "t_cells", "sample_b": "S3", "clones_a": 130, "clones_b": 7, "shared": 1, "reason": "9 cells; at least 20 are needed"})  # fmt: skip
    return out


def _b_return(hostile: str) -> list[dict[str, Any]]:
    told = {
        "S0": {"naive": (30, 60), "mutated": (25, 60), "ighm": (40, 60), "ighg": (15, 60), "igha": (5, 60)},
        "S5": {"naive": (4, 5), "ighm": (5, 5)},
        "S6": {"naive": (90, 100), "mutated": (2, 100), "old_clones": (1, 100), "ighm": (95, 100), "ighg": (5, 100), "igha": (0, 100)},
    }  # fmt: skip
    out = []
    for name, measures in told.items():
        for measure, (cells, total) in measures.items():
            few = total < 10
            out.append({**SAMPLES[name], "measure": measure, "cells": cells, "total": total, **shared_of(cells, total), "verdict": "flagged" if few else "accepted", "reason": "fewer than 10 B cells" if few else None})  # fmt: skip
    out.append({**SAMPLES["S5"], "measure": "mutated", "cells": 0, "total": 0, "verdict": "rejected", "reason": f"the contigs have no identity with the germline{hostile}"})  # fmt: skip
    return out


def _sites(hostile: str) -> list[dict[str, Any]]:
    out = []
    for site, seen in SITES.items():
        for name, n in seen.items():
            total = sum(s.get(name, 0) for s in SITES.values())
            chromosome, strand = site[: site.index("+" if "+" in site else "-")], "+" if "+" in site else "-"
            near = site.startswith("chr11")
            out.append({
                "cell_type": f"CD3+{hostile}", **SAMPLES[name], "site": site, "chromosome": chromosome, "position": int(site.split(strand)[1]), "strand": strand,
                "abundance": float(n), "total": float(total), **shared_of(n, total), "gene": f"LMO2{hostile}" if near else "ACAP3", "gene_distance": -2000 if near else 0,
                "of_concern": near, "cell_types": f"CD3+{hostile}",
            })  # fmt: skip
    one = SAMPLES["S6"]
    out.append({"cell_type": "CD14+", **one, "site": "chr11+33880000", "chromosome": "chr11", "position": 33880000, "strand": "+", "abundance": 2.0, "total": 5.0, **shared_of(2, 5), "gene": "LMO2", "of_concern": True, "cell_types": "CD14+;CD3+"})  # fmt: skip
    return out


@cache
def clone_tables(hostile: str = "") -> CloneTables:
    """The tables of the repertoire stage, once; ``hostile`` stands in every free text."""
    receptors = [
        {"library": name, "cell": f"{name}-{k}", "receptor": receptor, "pairing": pairing, "tra": 1, "trb": 1, "trg": 0, "trd": 0, "igh": 0, "igk": 0, "igl": 0, "counts": pairing not in {"multichain", "ambiguous"}}
        for name in ("L1", "L4", "L6")
        for receptor, pairing, n in (("T", "single_pair", 60), ("T", "orphan_vdj", 30), ("T", "multichain", 10), ("both", "ambiguous", 2), ("B", "single_pair", 8))
        for k in (f"{receptor}{pairing}{j}" for j in range(n))
    ]  # fmt: skip
    clones = [
        {
            "subject_id": "P02", "receptor": "T", "clonotype": clone + hostile, "v_gene": "TRBV7-9", "j_gene": f"TRBJ2-7{hostile}", "cdr3_aa": "CASSLGQAYEQYF", "alpha_cdr3_aa": "CAVRDSNYQLIW",
            "paired_clonotypes": 1, "cells": sum(seen.values()), "samples": len(seen), "in_product": "S1" in seen, "car_positive": 1 + seen.get("S5", 0) // 2, "car_negative": 3,
            "first_study_day": 0.0, "last_study_day": 90.0,
        }
        for clone, seen in COUNTS.items()
    ]  # fmt: skip
    kept = [
        {"subject_id": "P02", "population": "t_cells", "product_sample": "S1", **SAMPLES[name], "landmark": mark, "product_clones": 130, "found": found, "expected_if_unchanged": expected, "cells": cells, "total": TOTALS[name], **(shared_of(cells, TOTALS[name]) if mark != "M1" else {}), "reason": "9 cells; at least 20 are needed" if mark == "M1" else None}
        for name, mark, found, expected, cells in (("S2", None, 20, 60.5, 120), ("S3", "M1", 2, 8.0, 4), ("S5", "M3", 12, 80.0, 300), ("S6", "M6", 5, 40.0, 60))
    ]  # fmt: skip
    pair = {"library_a": "L1", "subject_a": "P02", "library_b": "L4", "subject_b": "P03", "receptor": "T", "clones_a": 130, "clones_b": 20}  # fmt: skip
    return CloneTables(
        clones=tables.rows(clones, CLONES),
        clone_samples=tables.rows(_clone_samples(hostile), CLONE_SAMPLES),
        clone_totals=tables.rows(_totals(), CLONE_TOTALS),
        clone_changes=tables.rows(_changes(hostile), CLONE_CHANGES),
        clone_persistence=tables.rows(kept, CLONE_PERSISTENCE),
        diversity=tables.rows(
            [d | ({"population": d["population"] + hostile} if d["unit"] == "site" else {}) for d in _diversity()],
            DIVERSITY,
        ),
        overlap=tables.rows(_overlap(), OVERLAP),
        b_return=tables.rows(_b_return(hostile), B_RETURN),
        clone_sharing=tables.rows(
            [
                pair | {"shared": 12, "expected": 0.4, "p": 1e-14, "shared_barcodes": 0, "morisita_horn": 0.6, "taken_for": "swap", "clones": f"T-001{hostile}"},
                pair | {"library_a": "L6", "shared": 0, "expected": 0.2, "p": 1.0, "shared_barcodes": 0, "morisita_horn": 0.0, "taken_for": "as_expected"},
            ],
            SHARED,
        ),
        site_samples=tables.rows(_sites(hostile), SITE_SAMPLES),
        site_alarms=tables.rows(
            [
                {"cell_type": "CD3+", **SAMPLES["S6"], "site": "chr11+33880000", "alarm": "dominant", **shared_of(90, 98), "limit": 20.0, "gene": "LMO2", "message": f"chr11+33880000 (LMO2) is dominant: 91.8 % of 98 cells{hostile}"},
                {"cell_type": "CD3+", **SAMPLES["S6"], "site": "chr11+33880000", "alarm": "gene_of_concern", "gene": "LMO2", "message": "The site lies 2,000 bases from LMO2."},
            ],
            SITE_ALARM,
        ),
        receptors=tables.rows(receptors, CELL_RECEPTORS),
    )  # fmt: skip


def clone_trial(patients: int = 3, hostile: str = "") -> ReportData:
    """The trial of libraries with their clones and sites."""
    return dataclasses.replace(cell_trial(patients, hostile), clones=clone_tables(hostile))
