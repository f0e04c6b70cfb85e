from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from tests.loading import load_module

from cartrace.problems import InputError
from cartrace.tables import (
    ANTIBODY_MEANS,
    INFUSIONS,
    MEASUREMENTS,
    METRICS,
    MODELS,
    QC,
    SUBJECTS,
    conform,
    read_table,
    write_table,
)

SCRIPTS = Path(__file__).parents[2] / "scripts" / "antibody"


def _load(name: str) -> ModuleType:
    return load_module(SCRIPTS / f"{name}.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    subjects = [f"S{i}" for i in range(6)]
    day = [-7.0, 14.0, 28.0, 84.0]
    value = [640.0, 320.0, 80.0, 20.0]
    table = pd.DataFrame(
        [
            {
                "subject_id": subject,
                "infusion": 1,
                "sample_id": f"{subject}-{d:g}",
                "day": d,
                "study_day": d,
                "matrix": "serum",
                "analyte": "anti_srp",
                "assay": "ila",
                "value": v * 2 ** (i % 3),
                "unit": "titre",
                "detection": "quantified",
                "censoring": "none",
                "lower": v * 2 ** (i % 3),
                "upper": v * 2 ** (i % 3),
                "lloq": 20.0 if (i, d) == (0, 84.0) else 10.0,
                "status": "accepted",
                "source_file": "f",
                "source_row": 2,
                "source_sha256": "0",
            }
            for i, subject in enumerate(subjects)
            for d, v in zip(day, value, strict=True)
        ]
    )
    infusions = pd.DataFrame(
        {"subject_id": subjects, "infusion": 1, "study_day": 0.0, "product": "P", "vector": "lentiviral"}
    )
    write_table(conform(table, MEASUREMENTS), tmp_path / "measurements.parquet", MEASUREMENTS)
    write_table(conform(infusions, INFUSIONS), tmp_path / "infusions.parquet", INFUSIONS)
    return tmp_path


def _metrics_arguments(folder: Path) -> list[str]:
    return [
        *("--measurements", str(folder / "measurements.parquet")),
        *("--infusions", str(folder / "infusions.parquet")),
        *("--metrics", str(folder / "out" / "metrics.parquet")),
        *("--qc", str(folder / "out" / "qc.parquet")),
    ]


def test_metrics_and_findings_are_written_in_their_contracts(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _load("compute_antibody").main(_metrics_arguments(folder))
    metrics = read_table(folder / "out" / "metrics.parquet", METRICS)
    falls = metrics[metrics["metric"] == "log2_fall"]
    assert list(falls["value"]) == [5.0] * 6
    qc = read_table(folder / "out" / "qc.parquet", QC)
    assert list(qc["check"]) == ["starting_dilution_changed"]
    assert "6 courses" in capsys.readouterr().out


def test_the_settings_reach_the_metrics(folder: Path) -> None:
    settings = {"antibody": {"landmarks": [{"name": "W4", "day": 28, "window": 3}]}}
    _load("compute_antibody").main([*_metrics_arguments(folder), "--settings", json.dumps(settings)])
    metrics = read_table(folder / "out" / "metrics.parquet", METRICS)
    assert {n for n in metrics["metric"] if n.startswith("seronegative_at")} == {"seronegative_at_W4"}


def test_the_population_decay_is_written_as_models(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _load("fit_population_decay").main(
        [
            *("--measurements", str(folder / "measurements.parquet")),
            *("--settings", json.dumps({"antibody": {"population": {"rate": "normal"}}})),
            *("--output", str(folder / "models.parquet")),
        ]
    )
    models = read_table(folder / "models.parquet", MODELS).set_index("parameter")
    # 320 -> 80 -> 20 on days 14, 28 and 84 in every subject, up to a factor.
    assert models.loc["decay_rate", "value"] == pytest.approx(0.035, abs=0.006)
    assert models.loc["decay_rate", "n_points"] == 18
    assert "1 antibodies, 1 with a decay" in capsys.readouterr().out


def test_the_means_are_written_for_the_visits_and_cohorts_of_the_settings(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = pd.DataFrame({"subject_id": [f"S{i}" for i in range(6)], "cohort": ["A", "B"] * 3})
    write_table(conform(people, SUBJECTS), folder / "subjects.parquet", SUBJECTS)
    settings = {"visits": [{"name": "W4", "day": 28, "window": 3}], "antibody": {"means": {"min_n": 3}}}
    _load("estimate_titre_means").main(
        [
            *("--measurements", str(folder / "measurements.parquet")),
            *("--infusions", str(folder / "infusions.parquet")),
            *("--subjects", str(folder / "subjects.parquet")),
            *("--settings", json.dumps(settings)),
            *("--output", str(folder / "means.parquet")),
        ]
    )
    means = read_table(folder / "means.parquet", ANTIBODY_MEANS)
    assert set(means["visit"]) == {"Baseline", "W4"}
    change = means[(means["quantity"] == "change") & (means["cohort"] == "all")].iloc[0]
    # 640 -> 80 in everybody, up to a factor: three steps.
    assert change["mean_log2"] == pytest.approx(-3, abs=1e-6)
    assert set(means["cohort"]) == {"all", "A", "B"}
    assert "9 means, 9 of them estimated" in capsys.readouterr().out


def test_unknown_settings_are_refused_and_nothing_is_written(folder: Path) -> None:
    settings = json.dumps({"antibody": {"titer_step": 2}})
    with pytest.raises(InputError, match="titre_step"):
        _load("compute_antibody").main([*_metrics_arguments(folder), "--settings", settings])
    assert not (folder / "out").exists()
