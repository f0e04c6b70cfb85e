"""The program that joins single-cell libraries: on tables as the libraries' own jobs write them."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from tests.loading import load_module
from tests.unit.cells.hand_libraries import library, sample

from cartrace.cells.tables import (
    CAR_FRACTIONS,
    CAR_READS,
    CARS,
    COMPOSITION,
    COVERAGE,
    DOMAINS,
    LIBRARIES,
    REGIONS,
    TYPES,
    VARIANTS,
)
from cartrace.intake.results import RESULTS
from cartrace.tables import QC, SAMPLES, SUBJECTS, empty, read_table, rows, write_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/cells/assemble_libraries.py"
OUTPUTS = {
    "results": RESULTS,
    "library-table": LIBRARIES,
    "composition": COMPOSITION,
    "fractions": CAR_FRACTIONS,
    "car-reads": CAR_READS,
    "coverage": COVERAGE,
    "variants": VARIANTS,
    "regions": REGIONS,
    "domains": DOMAINS,
    "qc": QC,
}
SHEET = "library_id\tsample_id\tchemistry\tcounts\tlymphocytes_per_ul\nL1\tS1\t5p\ta.h5\t1600\n"


def program() -> ModuleType:
    return load_module(SCRIPT)


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    made = library()
    for part, table in (
        ("libraries", LIBRARIES),
        ("types", TYPES),
        ("cars", CARS),
        ("fractions", CAR_FRACTIONS),
    ):
        write_table(getattr(made, part), f"library/L1.{part}.parquet", table)
    for part in ("library_qc", "types_qc", "cars_qc", "reads_qc"):
        said = {"check": part, "verdict": "note", "source_file": "L1", "message": part}
        write_table(rows([said], QC), f"library/L1.{part}.parquet", QC)
    read = {"library": "L1", "construct": "X", "start": 1, "end": 10, "unique": 1.0, "ambiguous": 0.0}
    write_table(rows([read], COVERAGE), "library/L1.coverage.parquet", COVERAGE)
    for part, table in (("variants", VARIANTS), ("car_reads", CAR_READS)):
        write_table(empty(table), f"library/L1.{part}.parquet", table)
    for part, table in (("regions", REGIONS), ("domains", DOMAINS), ("qc", QC)):
        write_table(empty(table), f"construct/X.{part}.parquet", table)
    (tmp_path / "libraries.tsv").write_text(SHEET)
    write_table(rows([sample()], SAMPLES), "samples.parquet", SAMPLES)
    write_table(rows([{"subject_id": "A"}], SUBJECTS), "subjects.parquet", SUBJECTS)
    return tmp_path


def run(*arguments: str) -> int:
    outputs = [part for name in OUTPUTS for part in (f"--{name}", f"out/{name}.parquet")]
    sheets = ("--samples", "samples.parquet", "--subjects", "subjects.parquet")
    return int(program().main([*arguments, *sheets, *outputs]))


USUAL = ("--libraries", "L1", "--folder", "library", "--libraries-sheet", "libraries.tsv")


def test_libraries_become_results_and_evidence(trial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reads = ("--with-reads", "L1", "--constructs", "X", "--construct-folder", "construct")
    assert run(*USUAL, *reads) == 0
    made = {name: read_table(f"out/{name}.parquet", table) for name, table in OUTPUTS.items()}
    results = made["results"].set_index(["analyte", "unit"])
    assert results.loc[("b_cells", "cells/uL"), "value"] == 200
    assert len(made["coverage"]) == len(made["fractions"]) == 1
    assert {"library_qc", "types_qc", "cars_qc", "reads_qc"} <= set(made["qc"]["check"])
    assert set(made["qc"]["sample_id"]) == {"S1"}
    assert "1 libraries: 35 results, 0 libraries rejected" in capsys.readouterr().out


def test_settings_are_those_of_the_configuration(trial: Path) -> None:
    rule = {"cells": {"composition": {"min_cells_lloq": 101}}}
    assert run(*USUAL, "--settings", json.dumps(rule)) == 0
    results = read_table("out/results.parquet", RESULTS).set_index(["analyte", "unit"])
    assert results.loc[("b_cells", "%"), "detection"] == "BLQ"


def test_no_libraries_give_empty_tables(trial: Path) -> None:
    assert run() == 0
    assert all(len(read_table(f"out/{name}.parquet", table)) == 0 for name, table in OUTPUTS.items())


def test_faults_of_the_sheets_are_told_and_nothing_is_written(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (trial / "libraries.tsv").write_text(SHEET.replace("L1", "L2"))
    assert run(*USUAL) == 2
    assert "found no row of L1; allowed: one row for each library" in capsys.readouterr().err
    (trial / "libraries.tsv").write_text(SHEET.replace("S1", "S9"))
    assert run(*USUAL) == 2
    assert "found no sample S9 of L1" in capsys.readouterr().err
    assert run(*USUAL, "--settings", json.dumps({"cells": {"composition": {"lymphocytes": ["x"]}}})) == 2
    assert not (trial / "out").exists()
