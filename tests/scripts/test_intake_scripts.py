"""The intake programs, one after the other, on a small trial folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import yaml
from tests.loading import load_module

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "intake"
CONFIG: dict[str, Any] = {
    "sheets": {"subjects": None, "infusions": None, "products": None},
    "single_infusion": {"product": "P"},
}


def program(name: str) -> ModuleType:
    return load_module(SCRIPTS / f"{name}.py")


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    for folder in ("sheets", "mappings", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (tmp_path / "sheets/files.tsv").write_text(
        "file_id\tpath\treader\tmapping\npcr\tpcr.csv\tlaboratory_table\tmappings/pcr.yaml\n"
    )
    mapping = {
        "subject": "p",
        "matrix": "blood",
        "day": "d",
        "values": [{"column": "c", "analyte": "transgene", "assay": "qpcr", "unit": "copies/ug", "lloq": 50}],
    }
    (tmp_path / "mappings/pcr.yaml").write_text(yaml.safe_dump(mapping))
    (tmp_path / "data/pcr.csv").write_text("p,d,c\nA,7,900\nA,14,<50\nB,7,oops\nB,14,70\n")
    return tmp_path


def read_one(trial: Path, sha256: str | None = None) -> int:
    raw = trial / "data/pcr.csv"
    arguments = ["--file-id", "pcr", "--path", str(raw), "--mapping", str(trial / "mappings/pcr.yaml")]
    arguments += ["--sha256", sha256 or hashlib.sha256(raw.read_bytes()).hexdigest(), "--folder", str(trial)]
    arguments += ["--output", str(trial / "r.parquet"), "--qc", str(trial / "q.parquet")]
    return int(program("read_laboratory_table").main(arguments))


def check(trial: Path, config: dict[str, Any] | None = None) -> int:
    arguments = [
        "--settings",
        json.dumps(config or CONFIG),
        "--folder",
        str(trial),
        "--results",
        str(trial / "r.parquet"),
    ]
    for name in ("subjects", "infusions", "samples", "events"):
        arguments += [f"--{name}", str(trial / f"{name}.parquet")]
    return int(program("check_sheets").main(arguments))


def test_a_table_becomes_measurements_and_findings(trial: Path) -> None:
    assert read_one(trial) == 0
    assert check(trial) == 0
    arguments = [
        "--settings",
        json.dumps(CONFIG),
        "--output",
        str(trial / "m.parquet"),
        "--qc",
        str(trial / "qc.parquet"),
    ]
    arguments += ["--results", str(trial / "r.parquet"), "--results-qc", str(trial / "q.parquet")]
    for name in ("subjects", "infusions", "samples"):
        arguments += [f"--{name}", str(trial / f"{name}.parquet")]
    assert program("assemble_measurements").main(arguments) == 0
    measurements = pd.read_parquet(trial / "m.parquet")
    assert measurements[["subject_id", "day", "detection"]].to_numpy().tolist() == [
        ["A", 7, "quantified"],
        ["A", 14, "BLQ"],
        ["B", 14, "quantified"],
    ]
    assert pd.read_parquet(trial / "qc.parquet")["source_row"].tolist() == [3, 4]
    assert pd.read_parquet(trial / "subjects.parquet")["subject_id"].tolist() == ["A", "B"]
    assert pd.read_parquet(trial / "infusions.parquet")["study_day"].tolist() == [0, 0]


def with_events(trial: Path, text: str) -> dict[str, Any]:
    (trial / "sheets/events.tsv").write_text("subject_id\tday\tkind\tlabel\n" + text)
    return CONFIG | {"sheets": CONFIG["sheets"] | {"events": "sheets/events.tsv"}}


def test_events_are_written_beside_the_other_sheets(trial: Path) -> None:
    assert read_one(trial) == 0
    assert check(trial, with_events(trial, "B\t30\tresponse\tCR\nA\t12\tivig\t\n")) == 0
    events = pd.read_parquet(trial / "events.parquet")
    assert events[["subject_id", "study_day", "kind"]].to_numpy().tolist() == [
        ["A", 12, "ivig"],
        ["B", 30, "response"],
    ]


def test_events_of_a_subject_that_no_table_knows_are_refused(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read_one(trial) == 0
    assert check(trial, with_events(trial, "C\t30\tresponse\tCR\n")) == 2
    assert "found subject 'C'" in capsys.readouterr().err
    assert not (trial / "events.parquet").exists()
    assert not (trial / "subjects.parquet").exists()


def test_a_file_that_changed_since_the_plan_is_refused(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read_one(trial, "0" * 64) == 2
    assert "a file that changed" in capsys.readouterr().err
    assert not (trial / "r.parquet").exists()


def test_the_manifest_is_written_once_the_folder_is_checked(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program("write_manifest").main(["--folder", str(trial)]) == 0
    entries = json.loads((trial / "results/intake/manifest.json").read_text())
    assert hashlib.sha256((trial / "data/pcr.csv").read_bytes()).hexdigest() in entries.values()
    (trial / "data/pcr.csv").unlink()
    assert program("write_manifest").main(["--folder", str(trial)]) == 2
    assert "no file 'pcr.csv'" in capsys.readouterr().err
