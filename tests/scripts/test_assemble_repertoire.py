"""The program that joins clones and integration sites, on tables as the subjects' own jobs write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from tests.loading import load_module
from tests.unit.repertoire.hand_tables import clone_samples, clone_totals, persistence, sites

from cartrace.intake.results import RESULTS
from cartrace.repertoire import tables as contracts
from cartrace.tables import METRICS, QC, Table, empty, read_table, rows, write_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "repertoire" / "assemble_repertoire.py"
OUTPUTS = {
    "results": RESULTS,
    "metrics": METRICS,
    "sharing": contracts.SHARED,
    "clones": contracts.CLONES,
    "samples": contracts.CLONE_SAMPLES,
    "totals": contracts.CLONE_TOTALS,
    "changes": contracts.CLONE_CHANGES,
    "persistence": contracts.CLONE_PERSISTENCE,
    "diversity": contracts.DIVERSITY,
    "overlap": contracts.OVERLAP,
    "b-return": contracts.B_RETURN,
    "sites": contracts.SITE_SAMPLES,
    "alarms": contracts.SITE_ALARM,
    "receptors": contracts.CELL_RECEPTORS,
    "qc": QC,
}
COUNTS = {"product": {"a": 30, "b": 10}, "d28": {"a": 20, "x": 60}}
OF_CLONES: dict[str, tuple[Table, pd.DataFrame | None]] = {
    "clone_cells": (contracts.CLONE_CELLS, None),
    "clones": (contracts.CLONES, None),
    "clone_samples": (contracts.CLONE_SAMPLES, clone_samples(COUNTS)),
    "clone_totals": (contracts.CLONE_TOTALS, clone_totals(COUNTS)),
    "clone_changes": (contracts.CLONE_CHANGES, None),
    "clone_persistence": (
        contracts.CLONE_PERSISTENCE,
        persistence({"d28": {"landmark": "M1", "found": 1, "product_clones": 2, "cells": 20, "total": 80}}),
    ),
    "diversity": (contracts.DIVERSITY, None),
    "overlap": (contracts.OVERLAP, None),
    "b_return": (contracts.B_RETURN, None),
    "clones_qc": (QC, None),
}
OF_SITES: dict[str, tuple[Table, pd.DataFrame | None]] = {
    "site_samples": (contracts.SITE_SAMPLES, sites({"d28": {"s1": 60.0, "s2": 20.0}})),
    "site_diversity": (contracts.DIVERSITY, None),
    "site_overlap": (contracts.OVERLAP, None),
    "site_alarms": (contracts.SITE_ALARM, None),
    "sites_qc": (QC, None),
}
SOURCES = {
    "libraries": {"L-product": "a" * 64, "L-d28": "b" * 64},
    "site_sets": {"I1": ["d28", "unsorted", "c" * 64]},
}


def program() -> ModuleType:
    return load_module(SCRIPT)


def write(folder: Path, key: str, parts: Mapping[str, tuple[Table, pd.DataFrame | None]]) -> None:
    for part, (table, frame) in parts.items():
        write_table(empty(table) if frame is None else frame, folder / f"{key}.{part}.parquet", table)


def call(folder: Path, *options: str, sources: object = SOURCES) -> tuple[int, dict[str, Path]]:
    (folder / "out").mkdir(exist_ok=True)
    written = {name: folder / "out" / f"{name}.parquet" for name in OUTPUTS}
    folders = [o for name in ("folder", "library-folder", "sites-folder") for o in (f"--{name}", str(folder))]
    outputs = [o for name, path in written.items() for o in (f"--{name}", str(path))]
    return program().main([*options, *folders, "--sources", json.dumps(sources), *outputs]), written


def test_subjects_with_clones_and_with_sites_are_joined(tmp_path: Path):
    write(tmp_path, "P1", OF_CLONES)
    write(tmp_path, "P1", OF_SITES)
    finding = rows(
        [{"check": "bcr_in_tcr", "verdict": "note", "source_file": "L-d28", "message": "Odd."}], QC
    )
    write(tmp_path, "L-product", {"receptors": (contracts.CELL_RECEPTORS, None), "contigs_qc": (QC, None)})
    write(tmp_path, "L-d28", {"receptors": (contracts.CELL_RECEPTORS, None), "contigs_qc": (QC, finding)})
    write(tmp_path, "I1", {"sites_qc": (QC, None)})
    status, written = call(
        tmp_path,
        *("--subjects", "P1", "--site-subjects", "P1"),
        *("--libraries", "L-product", "L-d28", "--site-sets", "I1"),
    )
    assert status == 0
    made = {name: read_table(written[name], table) for name, table in OUTPUTS.items()}
    assert sorted(made["results"]["analyte"]) == [
        "largest_site_fraction",
        "largest_t_clone_fraction",
        "largest_t_clone_fraction",
        "product_clone_fraction",
    ]
    values = made["metrics"].set_index("metric")["value"]
    assert values["clones_found_at_M1"] == 1
    assert values["largest_site_peak"] == 75
    assert len(made["samples"]) == 4
    assert len(made["sites"]) == 2
    assert made["qc"]["subject_id"].tolist() == ["P1"]


def test_a_subject_with_sites_alone(tmp_path: Path):
    write(tmp_path, "P1", OF_SITES)
    write(tmp_path, "I1", {"sites_qc": (QC, None)})
    status, written = call(tmp_path, "--site-subjects", "P1", "--site-sets", "I1")
    assert status == 0
    assert read_table(written["metrics"], METRICS)["metric"].tolist() == [
        "largest_site_peak",
        "dominant_site",
        "sites_last",
    ]


def test_a_plan_that_does_not_fit_the_tables_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write(tmp_path, "P1", OF_CLONES)
    status, written = call(tmp_path, "--subjects", "P1", sources={"libraries": {}, "site_sets": {}})
    assert status == 2
    assert "no library L-product" in capsys.readouterr().err
    assert not any(path.exists() for path in written.values())
