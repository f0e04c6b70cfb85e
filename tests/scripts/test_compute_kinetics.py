from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from tests.loading import load_module

from cartrace.problems import InputError
from cartrace.tables import INFUSIONS, MEASUREMENTS, METRICS, conform, read_table, write_table

SCRIPT = Path(__file__).parents[2] / "scripts" / "kinetics" / "compute_kinetics.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_module(SCRIPT)


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    day = [7.0, 14.0, 28.0]
    value = [900.0, 300.0, 60.0]
    table = pd.DataFrame(
        {
            "subject_id": "S1",
            "infusion": 1,
            "sample_id": ["a", "b", "c"],
            "day": day,
            "study_day": day,
            "matrix": "blood",
            "analyte": "transgene",
            "assay": "qpcr",
            "value": value,
            "unit": "copies/ug",
            "detection": "quantified",
            "censoring": "none",
            "lower": value,
            "upper": value,
            "status": "accepted",
            "source_file": "f",
            "source_sha256": "0",
        }
    )
    infusions = pd.DataFrame(
        [{"subject_id": "S1", "infusion": 1, "study_day": 0.0, "product": "P", "vector": "lentiviral"}]
    )
    write_table(conform(table, MEASUREMENTS), tmp_path / "measurements.parquet", MEASUREMENTS)
    write_table(conform(infusions, INFUSIONS), tmp_path / "infusions.parquet", INFUSIONS)
    return [
        *("--measurements", str(tmp_path / "measurements.parquet")),
        *("--infusions", str(tmp_path / "infusions.parquet")),
        *("--output", str(tmp_path / "metrics.parquet")),
    ]


def test_it_writes_the_metrics_and_says_how_many(
    script: ModuleType, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = {"stein": {"enabled": False}, "auc": {"method": "linear", "windows": [[0, 14]]}}
    script.main([*arguments, "--settings", json.dumps({"kinetics": chosen})])
    metrics = read_table(tmp_path / "metrics.parquet", METRICS).set_index("metric")
    assert metrics.loc["auc_0_14", "value"] == 3150 + 4200
    assert "auc_0_28" not in metrics.index
    assert capsys.readouterr().out.startswith("1 courses, ")


def test_an_unknown_setting_is_named_and_nothing_is_written(
    script: ModuleType, arguments: list[str], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"half_live.*did you mean 'half_life'"):
        script.main([*arguments, "--settings", '{"kinetics": {"half_live": {}}}'])
    assert not (tmp_path / "metrics.parquet").exists()
