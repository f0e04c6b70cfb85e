from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from tests.loading import load_module

from cartrace.problems import InputError
from cartrace.tables import EPISODES, EVENTS, INFUSIONS, MEASUREMENTS, METRICS, read_table, rows, write_table

SCRIPT = Path(__file__).parents[2] / "scripts" / "depletion" / "compute_depletion.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_module(SCRIPT)


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    course = pd.DataFrame({"day": [-6.0, 28.0, 60.0, 88.0, 120.0, 180.0, 200.0]})
    course["value"] = [9.0, 5.0, 3.0, 8.0, 3.0, 7.2, 7.4]
    table = [
        {
            "subject_id": "S1",
            "infusion": 1,
            "sample_id": str(day),
            "day": day,
            "study_day": day,
            "matrix": "serum",
            "analyte": "igg",
            "assay": "nephelometry",
            "value": value,
            "lower": value,
            "upper": value,
            "unit": "g/L",
            "detection": "quantified",
            "censoring": "none",
            "status": "accepted",
            "source_file": "f",
            "source_sha256": "0",
        }
        for day, value in course.itertuples(index=False)
    ]
    infusion = {"subject_id": "S1", "infusion": 1, "study_day": 0.0, "product": "P", "vector": "lentiviral"}
    dose = {"subject_id": "S1", "study_day": 70.0, "kind": "ivig"}
    for name, contract, records in (
        ("measurements", MEASUREMENTS, table),
        ("infusions", INFUSIONS, [infusion]),
        ("events", EVENTS, [dose]),
    ):
        write_table(rows(records, contract), tmp_path / f"{name}.parquet", contract)
    return [
        *("--measurements", str(tmp_path / "measurements.parquet")),
        *("--infusions", str(tmp_path / "infusions.parquet")),
        *("--metrics", str(tmp_path / "metrics.parquet")),
        *("--episodes", str(tmp_path / "episodes.parquet")),
    ]


def test_it_writes_metrics_and_episodes_and_says_how_many(
    script: ModuleType, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script.main([*arguments, "--events", str(tmp_path / "events.parquet")])
    episodes = read_table(tmp_path / "episodes.parquet", EPISODES)
    assert episodes[["start_upper", "end_lower", "end_upper"]].to_numpy().tolist() == [[60, 120, 180]]
    metrics = read_table(tmp_path / "metrics.parquet", METRICS).set_index("metric")
    assert metrics.loc["nadir", "reason"] == "1 masked after ivig"
    assert capsys.readouterr().out == "1 courses, 1 depletion episodes, 0 of them open at the last result\n"


def test_events_are_optional_and_settings_are_used(
    script: ModuleType, arguments: list[str], tmp_path: Path
) -> None:
    script.main([*arguments, "--settings", json.dumps({"depletion": {"confirm_end": 1}})])
    episodes = read_table(tmp_path / "episodes.parquet", EPISODES)
    assert episodes["end_upper"].tolist() == [88, 180]


def test_an_unknown_setting_is_named_and_nothing_is_written(
    script: ModuleType, arguments: list[str], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"confirm_ends.*did you mean 'confirm_end'"):
        script.main([*arguments, "--settings", '{"depletion": {"confirm_ends": 1}}'])
    assert not (tmp_path / "metrics.parquet").exists()
