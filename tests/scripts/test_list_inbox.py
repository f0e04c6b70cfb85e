"""scripts/intake/list_inbox.py on a small trial folder with an inbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripts.intake.list_inbox import main

from cartrace.intake.plan import load_plan
from cartrace.tables import INBOX, read_table

CONFIG: dict[str, Any] = {
    "sheets": {"subjects": None, "infusions": None, "products": None},
    "single_infusion": {"product": "P"},
    "inbox": {"folders": {"elisa": {"folder": "left/elisa"}}},
}
HEADER = "file_id\tpath\treader\tmapping\n"


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    for folder in ("sheets", "mappings", "data", "left/elisa"):
        (tmp_path / folder).mkdir(parents=True)
    mapping = {
        "subject": "p",
        "matrix": "blood",
        "day": "d",
        "values": [{"column": "c", "analyte": "transgene", "assay": "qpcr", "unit": "copies/ug"}],
    }
    (tmp_path / "mappings/pcr.yaml").write_text(yaml.safe_dump(mapping))
    (tmp_path / "data/pcr.csv").write_text("p,d,c\nA,7,900\n")
    here = "pcr\tpcr.csv\tlaboratory_table\tmappings/pcr.yaml\n"
    awaited = "plate\tinbox/elisa/plate.csv\tlaboratory_table\tmappings/pcr.yaml\n"
    (tmp_path / "sheets/files.tsv").write_text(HEADER + here + awaited)
    return tmp_path


def listed(trial: Path, digest: str) -> int:
    output = str(trial / "out/inbox.parquet")
    arguments = ["--folder", str(trial), "--settings", json.dumps(CONFIG), "--digest", digest]
    return main([*arguments, "--output", output])


def test_a_file_that_the_sheet_awaits_is_listed(trial: Path) -> None:
    assert listed(trial, load_plan(CONFIG, trial).inbox.digest) == 0
    table = read_table(trial / "out/inbox.parquet", INBOX)
    assert table[["inbox", "name", "status", "file_id"]].to_numpy().tolist() == [
        ["elisa", "plate.csv", "awaited", "plate"]
    ]


def test_another_inbox_than_the_planned_one_is_told_and_writes_nothing(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listed(trial, "0" * 64) == 2
    assert "changed since the workflow was planned" in capsys.readouterr().err
    assert not (trial / "out").exists()


def test_a_fault_in_a_sheet_is_told_and_writes_nothing(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (trial / "sheets/files.tsv").write_text(HEADER + "pcr\tpcr.csv\tlaboratory_tables\tmappings/pcr.yaml\n")
    assert listed(trial, "") == 2
    assert "laboratory_tables" in capsys.readouterr().err
    assert not (trial / "out").exists()
