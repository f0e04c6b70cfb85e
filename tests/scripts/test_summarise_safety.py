from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripts.safety.summarise_safety import main

from cartrace import tables
from cartrace.safety.tables import GRADES, OBSERVATIONS, SAFETY_SUMMARY, TOXICITY

STANDARDS = sorted((Path(__file__).parents[2] / "resources" / "safety").glob("*.yaml"))
ROWS = {
    "toxicity": (TOXICITY, {"subject_id": "S1", "infusion": 1, "term": "crs", "source": "computed", "grade": 2, "least": 2, "most": 2, "standard": "ASTCT"}),
    "grades": (GRADES, None),
    "observations": (OBSERVATIONS, None),
    "events": (tables.EVENTS, {"subject_id": "S1", "study_day": 3.0, "kind": "drug", "label": "dupilumab"}),
    "infusions": (tables.INFUSIONS, {"subject_id": "S1", "infusion": 1, "study_day": 0.0, "product": "P", "vector": "lentiviral"}),
    "subjects": (tables.SUBJECTS, {"subject_id": "S1", "cohort": "one"}),
}  # fmt: skip


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    out = ["--standards", *map(str, STANDARDS), "--output", str(tmp_path / "summary.parquet")]
    for name, (table, row) in ROWS.items():
        path = tmp_path / f"{name}.parquet"
        tables.write_table(tables.rows([row] if row else [], table), path, table)
        out += [f"--{name}", str(path)]
    return out


def test_it_writes_the_table_and_says_how_much(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    found = tables.read_table(tmp_path / "summary.parquet", SAFETY_SUMMARY)
    # CRS and three drugs, for all and for the one cohort.
    assert len(found) == 8
    assert found.loc[found["term"] == "crs", "n_grade_2"].tolist() == [1, 1]
    assert capsys.readouterr().out == "8 rows, 4 terms\n"


def test_settings_are_used(arguments: list[str], tmp_path: Path) -> None:
    settings = {
        "safety": {"treatments": [{"name": "Dupilumab", "labels": ["dupilumab"]}]},
        "cohort": {"by_cohort": False},
    }
    assert main([*arguments, "--settings", json.dumps(settings)]) == 0
    found = tables.read_table(tmp_path / "summary.parquet", SAFETY_SUMMARY)
    assert found[["term", "n_any"]].to_numpy().tolist() == [["crs", 1], ["Dupilumab", 1]]


def test_a_bad_setting_is_told_and_nothing_is_written(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--settings", json.dumps({"safety": {"treatment_day": 3}})]) == 2
    assert "did you mean 'treatment_days'?" in capsys.readouterr().err
    assert not (tmp_path / "summary.parquet").exists()
