from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from tests.loading import load_module

from cartrace.safety.tables import GRADES, OBSERVATIONS, TOXICITY
from cartrace.tables import EVENTS, INFUSIONS, MEASUREMENTS, METRICS, QC, empty, read_table, rows, write_table

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "safety" / "grade_toxicity.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_module(SCRIPT)


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    infusion = {"subject_id": "S1", "infusion": 1, "study_day": 0.0, "product": "P", "vector": "lentiviral"}
    seen = {"subject_id": "S1", "infusion": 1, "source_row": 2, "item": "temperature_c"}
    observations = [seen | {"day": d, "study_day": d, "number": t} for d, t in ((1.0, 39.0), (2.0, 36.5))]
    write_table(empty(MEASUREMENTS), tmp_path / "measurements.parquet", MEASUREMENTS)
    write_table(rows(observations, OBSERVATIONS), tmp_path / "observations.parquet", OBSERVATIONS)
    write_table(rows([infusion], INFUSIONS), tmp_path / "infusions.parquet", INFUSIONS)
    write_table(empty(EVENTS), tmp_path / "events.parquet", EVENTS)
    inputs = ("measurements", "observations", "infusions", "events")
    outputs = ("grades", "toxicity", "metrics", "qc")
    return [
        *(a for name in inputs for a in (f"--{name}", str(tmp_path / f"{name}.parquet"))),
        *(a for name in outputs for a in (f"--{name}", str(tmp_path / f"out_{name}.parquet"))),
        "--standards",
        *map(str, sorted((ROOT / "resources" / "safety").glob("*.yaml"))),
    ]


def test_it_writes_four_tables_and_says_how_many(
    script: ModuleType, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(arguments) == 0
    grades = read_table(tmp_path / "out_grades.parquet", GRADES)
    assert grades[["day", "least", "most"]].to_numpy().tolist() == [[1, 1, 4], [2, 0, 4]]
    toxicity = read_table(tmp_path / "out_toxicity.parquet", TOXICITY)
    assert toxicity["reason"].str.contains("not observed: ").tolist() == [True]
    assert len(read_table(tmp_path / "out_metrics.parquet", METRICS)) == 0
    assert read_table(tmp_path / "out_qc.parquet", QC)["check"].tolist() == ["observed_briefly"]
    said = "2 grades, 1 highest grades, 1 of them not told (each with its reason); 1 findings\n"
    assert capsys.readouterr().out == said


def test_settings_are_used(script: ModuleType, arguments: list[str], tmp_path: Path) -> None:
    items = ["fever_masked", "hypotension", "vasopressors", "vasopressin", "oxygen"]
    script.main([*arguments, "--settings", json.dumps({"safety": {"charted_by_exception": items}})])
    assert read_table(tmp_path / "out_toxicity.parquet", TOXICITY)["grade"].tolist() == [1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"safety": {"charted_by_exception": ["oxigen"]}}, "did you mean 'oxygen'?"),
        ({"safety": {"acute_day": 3}}, "did you mean 'acute_days'?"),
    ],
)
def test_a_bad_setting_is_told_and_nothing_is_written(  # noqa: PLR0917 - fixtures
    script: ModuleType,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    settings: dict[str, object],
    said: str,
) -> None:
    assert script.main([*arguments, "--settings", json.dumps(settings)]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out_grades.parquet").exists()


def test_bad_thresholds_are_told_with_their_file(
    script: ModuleType, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text("kind: symptoms\nterm: crs\n")
    assert script.main([*arguments, str(tmp_path / "mine.yaml")]) == 2
    assert "mine.yaml" in capsys.readouterr().err
