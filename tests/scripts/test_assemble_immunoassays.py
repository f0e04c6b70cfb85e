"""The program that joins immunoassay plates."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.loading import load_module
from tests.scripts.test_calibrate_plate import elisa, run, write

from cartrace import tables
from cartrace.immunoassay.tables import CONTROLS, CURVES, SAMPLES, STANDARDS, WELLS
from cartrace.intake.results import RESULTS
from cartrace.tables import QC, read_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "immunoassay" / "assemble_immunoassays.py"
OUTPUTS = {
    "results": RESULTS,
    "wells": WELLS,
    "standards": STANDARDS,
    "curves": CURVES,
    "samples": SAMPLES,
    "controls": CONTROLS,
    "qc": QC,
}


def program() -> ModuleType:
    return load_module(SCRIPT)


def assemble(folder: Path, plates: list[str], *more: str) -> int:
    arguments = ["--plates", *plates, "--assays", *[str(folder / "assay.yaml")] * len(plates)]
    arguments += ["--folder", str(folder / "out"), *more]
    for name in OUTPUTS:
        arguments += [f"--{name}", str(folder / f"{name}.parquet")]
    return int(program().main(arguments))


def found(folder: Path) -> dict[str, Any]:
    return {name: read_table(folder / f"{name}.parquet", table) for name, table in OUTPUTS.items()}


def test_two_plates_become_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, layout = elisa()
    assert run(write(tmp_path, text, layout), file_id="p1") == 0
    # The same file under another layout: a run that was listed twice.
    write(tmp_path, text, layout.replace("S1 d0", "S1 d7"))
    assert run(tmp_path, file_id="p2") == 0
    capsys.readouterr()
    assert assemble(tmp_path, ["p1", "p2"], "--samples-sheet") == 0
    made = found(tmp_path)
    assert made["results"]["value"].tolist() == pytest.approx([500, 500], rel=1e-3)
    assert made["results"]["day"].tolist() == [0, 7]
    assert made["qc"]["check"].tolist().count("plate_twice") == 1
    assert len(made["curves"]) == 2
    assert len(made["standards"]) == 14
    assert capsys.readouterr().out.startswith("2 plates: 2 results, 0 samples to repeat")


def test_the_samples_sheet_gives_the_matrix(tmp_path: Path) -> None:
    text, layout = elisa()
    write(tmp_path, text, layout.replace("S1 d0", "X17"), samples={})
    assert run(tmp_path) == 0
    sheet = {
        "sample_id": "X17",
        "subject_id": "S1",
        "matrix": "csf",
        "infusion": 1,
        "day": 3.0,
        "study_day": 3.0,
    }
    tables.write_table(tables.rows([sheet], tables.SAMPLES), tmp_path / "sheet.parquet", tables.SAMPLES)
    assert assemble(tmp_path, ["p1"], "--samples-sheet", str(tmp_path / "sheet.parquet")) == 0
    assert found(tmp_path)["results"]["matrix"].tolist() == ["csf"]


def test_no_plates_give_empty_tables(tmp_path: Path) -> None:
    assert assemble(tmp_path, []) == 0
    assert all(frame.empty for frame in found(tmp_path).values())


def test_a_bad_assay_file_is_told_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(write(tmp_path, *elisa())) == 0
    (tmp_path / "assay.yaml").write_text("targets: 5\n")
    assert assemble(tmp_path, ["p1"]) == 2
    assert "assay.yaml" in capsys.readouterr().err


def test_plates_and_assays_come_in_pairs(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        program().main(["--plates", "p1", "--results", str(tmp_path / "r.parquet")])
