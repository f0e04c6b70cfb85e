"""The program that calls one library."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.loading import load_module
from tests.unit.cells.hand_cars import (
    car_library,
    cells_table,
    libraries_table,
    molecules_table,
    types_table,
)

from cartrace.cells.tables import CAR_FRACTIONS, CAR_READS, CARS, CELLS, LIBRARIES, MOLECULES, TYPES
from cartrace.tables import QC, read_table, rows, write_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "cells" / "call_cars.py"


def program() -> ModuleType:
    return load_module(SCRIPT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cells, _ = car_library(fraction=0.3, t_cells=200, others=60)
    write_table(cells_table(list(cells.molecules), list(cells.umis)), tmp_path / "cells.parquet", CELLS)
    write_table(types_table(list(cells.lineage)), tmp_path / "types.parquet", TYPES)
    write_table(libraries_table(), tmp_path / "libraries.parquet", LIBRARIES)
    found = [(f"C{i}", "mine", int(k), 0) for i, k in enumerate(cells.molecules) if k]
    write_table(molecules_table(found), tmp_path / "molecules.parquet", MOLECULES)
    return tmp_path


def call(folder: Path, *more: str, library: str = "L1") -> int:
    settings = json.dumps({"cells": {"car_calls": {"draws": 500}}})
    arguments = ["--library", library, "--settings", settings]
    for name in ("cells", "types", "libraries"):
        arguments += [f"--{name}", str(folder / f"{name}.parquet")]
    for name in ("cars", "fractions", "qc"):
        arguments += [f"--{name}", str(folder / f"{name}.parquet")]
    return int(program().main([*arguments, *more]))


def test_a_library_is_called_from_its_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(folder) == 0
    cars = read_table(folder / "cars.parquet", CARS)
    row = read_table(folder / "fractions.parquet", CAR_FRACTIONS).iloc[0]
    qc = read_table(folder / "qc.parquet", QC)
    assert len(cars) == 260
    assert row["lower"] < 30 < row["upper"]
    assert row["evidence"] == "counts"
    assert row["ambient_source"] == "both"
    assert "car_detection" in set(qc["check"])
    assert "of 200 T cells" in capsys.readouterr().out


def test_molecules_from_reads_take_the_place_of_counts(folder: Path) -> None:
    molecules = ["--molecules", str(folder / "molecules.parquet")]
    before = [f"--before-{n}={folder / n}.parquet" for n in ("cells", "types", "molecules")]
    assert call(folder, *molecules, *before, "--constructs", "mine", "--flow-percent", "25") == 0
    row = read_table(folder / "fractions.parquet", CAR_FRACTIONS).iloc[0]
    assert row["evidence"] == "molecules"
    assert row["calibrated_by"] == "flow;pre_infusion"
    assert not np.isnan(row["uncalibrated_fraction"])


def test_all_faults_of_the_arguments_are_told_at_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(folder, "--flow-percent", "120") == 2
    assert "0 to 100" in capsys.readouterr().err
    assert call(folder, "--before-cells", str(folder / "cells.parquet")) == 2
    assert "one for each of --before-cells" in capsys.readouterr().err
    assert call(folder, library="L2") == 2
    assert "no library L2" in capsys.readouterr().err
    assert not (folder / "cars.parquet").exists()


def test_reads_of_another_construct_tell_no_share_of_the_product(folder: Path) -> None:
    reads = {"library": "L1", "reads_fetched": 100, "reads_used": 100, "cells": 50, "chimeric_molecules": 0}
    support = [
        {
            **reads,
            "construct": "mine",
            "molecules": 2,
            "support": 0.02,
            "in_product": True,
            "from_index": True,
        },
        {
            **reads,
            "construct": "other",
            "molecules": 98,
            "support": 0.98,
            "in_product": False,
            "from_index": True,
        },
    ]
    write_table(rows(support, CAR_READS), folder / "car_reads.parquet", CAR_READS)
    more = [
        "--molecules",
        str(folder / "molecules.parquet"),
        "--car-reads",
        str(folder / "car_reads.parquet"),
    ]
    assert call(folder, *more, "--constructs", "mine") == 0
    row = read_table(folder / "fractions.parquet", CAR_FRACTIONS).iloc[0]
    assert row["verdict"] == "rejected"
    assert "a construct that the subject's product does not carry" in row["reason"]
    assert np.isnan(row["fraction"])
    assert set(read_table(folder / "cars.parquet", CARS)["call"]) == {"not_assessed"}
