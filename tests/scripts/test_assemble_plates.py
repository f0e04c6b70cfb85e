"""The program that joins plates: on tables as quantify_plate writes them."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import yaml
from tests.loading import load_module
from tests.unit.pcr.plate_samples import curve, sample

from cartrace.intake.results import RESULTS
from cartrace.pcr.limits import Limits, limits_to_json
from cartrace.pcr.tables import CONTROLS, CURVES, DROPLETS, SAMPLES, WELLS
from cartrace.tables import QC, empty, read_table, rows, write_table
from cartrace.tables import SAMPLES as SHEET

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/pcr/assemble_plates.py"
OUTPUTS = {
    "results": RESULTS,
    "samples": SAMPLES,
    "wells": WELLS,
    "curves": CURVES,
    "droplets": DROPLETS,
    "controls": CONTROLS,
    "qc": QC,
}
ASSAY: dict[str, Any] = {
    "targets": {"CAR": {"limits": {"estimated": "car"}}},
    "reaction": {"template_ul": 5, "blood_from": ["white_cells"]},
}


def program() -> ModuleType:
    return load_module(SCRIPT)


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    records = [
        sample(sample_id="X1", subject_id=None, matrix=None),
        sample("PC", 1e4, task="accuracy_control"),
    ]
    for file_id in ("p1", "p2"):
        made = {
            "wells": (empty(WELLS), WELLS),
            "curves": (rows([curve(plate=file_id)], CURVES), CURVES),
            "samples": (rows([r | {"plate": file_id} for r in records], SAMPLES), SAMPLES),
            "droplets": (empty(DROPLETS), DROPLETS),
            "qc": (
                rows([{"check": "slope", "verdict": "pass", "message": "ok", "source_file": file_id}], QC),
                QC,
            ),
        }
        for name, (frame, contract) in made.items():
            write_table(frame, tmp_path / f"{file_id}.{name}.parquet", contract)
    (tmp_path / "assay.yaml").write_text(yaml.safe_dump(ASSAY))
    (tmp_path / "car.json").write_text(limits_to_json(Limits(name="car", target="CAR", lod=2, lloq=8)))
    (tmp_path / "extractions.tsv").write_text("sample\tdna_ng_per_ul\twhite_cells_per_ul\nS1\t40\t5000\n")
    sheet = {"sample_id": "X1", "subject_id": "A", "matrix": "blood", "infusion": 1, "day": 7, "study_day": 7}
    write_table(rows([sheet], SHEET), tmp_path / "sheet.parquet", SHEET)
    return tmp_path


USUAL = [
    *("--plates", "p2", "p1", "--assays", "assay.yaml", "assay.yaml"),
    *("--extractions", "extractions.tsv", "--limits", "car.json", "--samples-sheet", "sheet.parquet"),
]


def run(*arguments: str) -> int:
    outputs = [part for name in OUTPUTS for part in (f"--{name}", f"out/{name}.parquet")]
    Path("out").mkdir(exist_ok=True)
    return int(program().main([*arguments, *outputs]))


def written(name: str) -> pd.DataFrame:
    return read_table(f"out/{name}.parquet", OUTPUTS[name])


def test_two_plates_become_results_and_evidence(trial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*USUAL, "--settings", json.dumps({"pcr": {"units": ["copies/ug", "copies/uL"]}})) == 0
    results = written("results")
    assert results[["source_file", "unit"]].to_numpy().tolist() == [
        [p, u] for p in ("p1", "p2") for u in ("copies/ug", "copies/uL")
    ]
    # 200 ng; LOD 2 and LLOQ 8 copies of the estimate are 10 and 40 copies/ug.
    assert results.loc[0, ["value", "lod", "lloq"]].tolist() == [500, 10, 40]
    # 500 copies/ug x 6.6e-6 x 5000 cells/uL, since the samples sheet says blood.
    assert results.loc[1, "value"] == pytest.approx(16.5)
    assert written("controls")[["plate", "order"]].drop_duplicates().to_numpy().tolist() == [
        ["p2", 1],
        ["p1", 2],
    ]
    assert written("qc")["check"].tolist() == ["slope", "slope"]
    assert len(written("curves")) == 2
    assert "2 plates: 4 results, 0 samples to repeat" in capsys.readouterr().out


def test_no_plates_give_empty_tables(trial: Path) -> None:
    assert run("--plates", "--assays", "--extractions", "--limits") == 0
    assert all(len(written(name)) == 0 for name in OUTPUTS)


def test_no_extractions_sheet_and_no_limits_are_no_error(trial: Path) -> None:
    (trial / "plain.yaml").write_text(yaml.safe_dump({"targets": {"CAR": {}}, "reaction": {"dna_ng": 200}}))
    assert run("--plates", "p1", "--assays", "plain.yaml") == 0
    # The sheet of samples was not given, and the plate does not know the matrix: its sample_id does later.
    assert written("results")["unit"].tolist() == ["copies/ug", "copies/cell"]
    assert set(written("qc")["check"]) == {"slope", "limits_unknown", "unit_not_estimable"}


def test_an_estimate_of_another_target_is_refused_and_nothing_written(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (trial / "car.json").write_text(limits_to_json(Limits(name="car", target="WPRE", lod=2)))
    assert run(*USUAL) == 2
    told = capsys.readouterr().err
    assert (
        "assay.yaml: found limits.estimated 'car' of target 'CAR'; allowed: an estimate for this target: none"
        in told
    )
    assert not list((trial / "out").iterdir())


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        (
            "extractions.tsv",
            "sample\tdna_ng_per_ul\nS1\tmuch\nS1\t4\n",
            "extractions.tsv, row 2, column 'dna_ng_per_ul'",
        ),
        ("assay.yaml", "targets: {}", "assay.yaml"),
        ("car.json", "{", "car.json"),
    ],
)
def test_a_bad_input_is_told_in_words(
    trial: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, told: str
) -> None:
    (trial / file).write_text(text)
    assert run(*USUAL) == 2
    assert told in capsys.readouterr().err
    assert not list((trial / "out").iterdir())


def test_limits_that_are_not_there_are_named(trial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*(a.replace("car.json", "gone.json") for a in USUAL)) == 2
    assert "gone.json: found a file that can't be read" in capsys.readouterr().err
    assert not list(Path("out").iterdir())
