"""The programs estimate_outcomes and collect_key_results, from files to files."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from tests.loading import load_module

from cartrace import tables
from cartrace.problems import InputError
from cartrace.safety.tables import TOXICITY

REPOSITORY = Path(__file__).parents[2]
TABLES = {
    "characteristics": tables.CHARACTERISTICS,
    "metrics": tables.METRICS,
    "summary": tables.COHORT_SUMMARY,
    "associations": tables.ASSOCIATIONS,
    "toxicity": TOXICITY,
}


def program(name: str) -> ModuleType:
    return load_module(REPOSITORY / "scripts" / "cohort" / f"{name}.py")


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    people = [{"subject_id": s, "follow_up_study_day": 100.0 * k} for k, s in enumerate("abc", start=1)]
    given = {"infusion": 1, "study_day": 0.0, "product": "P", "vector": "lentiviral"}
    relapse = {"subject_id": "c", "kind": "relapse", "study_day": 320.0}
    write = tables.write_table
    write(tables.rows(people, tables.SUBJECTS), tmp_path / "subjects.parquet", tables.SUBJECTS)
    infusions = tables.rows([{"subject_id": s, **given} for s in "abc"], tables.INFUSIONS)
    write(infusions, tmp_path / "infusions.parquet", tables.INFUSIONS)
    write(tables.rows([relapse], tables.EVENTS), tmp_path / "events.parquet", tables.EVENTS)
    for name, table in TABLES.items():
        write(tables.empty(table), tmp_path / f"{name}.parquet", table)
    return tmp_path


def outcomes(trial: Path, **settings: object) -> list[str]:
    inputs = ("subjects", "infusions", "events")
    return [
        *(x for name in inputs for x in (f"--{name}", str(trial / f"{name}.parquet"))),
        *("--settings", json.dumps({"cohort": {"outcomes": settings}})),
        *(x for name in ("outcomes", "curves", "qc") for x in (f"--{name}", str(trial / f"{name}.parquet"))),
    ]


def test_the_outcomes_and_then_the_key_results_are_written(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program("estimate_outcomes").main(outcomes(trial))
    found = tables.read_table(trial / "outcomes.parquet", tables.OUTCOMES)
    assert found.loc[found["outcome"] == "relapse_free", "value"].tolist() == [pytest.approx(2 / 3)]
    assert len(tables.read_table(trial / "curves.parquet", tables.OUTCOME_CURVES)) == 8
    # The relapse came after the last contact, day 300.
    assert tables.read_table(trial / "qc.parquet", tables.QC)["check"].tolist() == [
        "event_after_last_contact"
    ]
    program("collect_key_results").main(
        [
            *("--standards", *map(str, sorted((REPOSITORY / "resources" / "safety").glob("*.yaml")))),
            *(x for n in (*TABLES, "subjects", "infusions", "events", "outcomes") for x in (f"--{n}", str(trial / f"{n}.parquet"))),
            *("--output", str(trial / "key_results.parquet")),
        ]
    )  # fmt: skip
    printed = tables.read_table(trial / "key_results.parquet", tables.KEY_RESULTS).set_index("result")["text"]
    assert printed["Treated"] == "3"
    assert printed["Relapse-free at last contact"] == "2 of 3 (67 %; 9 to 99)"
    said = capsys.readouterr().out
    assert "10 outcomes, 9 estimated, 1 findings" in said
    assert f"{len(printed)} key results" in said


def test_an_unknown_setting_is_named_and_nothing_is_written(trial: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'death'"):
        program("estimate_outcomes").main(outcomes(trial, deaths="event"))
    assert not (trial / "outcomes.parquet").exists()
