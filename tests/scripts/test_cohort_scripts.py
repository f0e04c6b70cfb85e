"""The programs that make cohort tables and final tables, run as the workflow runs them."""

import contextlib
import io
import json
import runpy
import subprocess
import traceback
from pathlib import Path
from unittest.mock import patch

import duckdb
import pandas as pd
import pytest

from cartrace import tables
from cartrace.report.export import EXPORTED, in_order, write_database

REPOSITORY = Path(__file__).parents[2]


def run(program, *arguments):
    """Run a program as ``python program arguments`` does, but here: a process costs a second of imports."""
    command = [str(REPOSITORY / "scripts" / program), *map(str, arguments)]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with patch("sys.argv", command), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_path(command[0], run_name="__main__")
        except (SystemExit, ValueError):
            traceback.print_exc()
            code = 1
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


def measurement(subject, day, value, **other):
    return {
        "subject_id": subject,
        "infusion": 1,
        "sample_id": f"{subject}-{day}",
        "day": day,
        "study_day": day,
        "matrix": "blood",
        "analyte": "transgene",
        "assay": "qpcr",
        "value": value,
        "unit": "copies/ug",
        "detection": "quantified",
        "censoring": "none",
        "status": "accepted",
        "source_file": "pcr",
        "source_sha256": "0" * 64,
        **other,
    }


def cmax(subject, value):
    return {
        "subject_id": subject,
        "infusion": 1,
        "matrix": "blood",
        "analyte": "transgene",
        "assay": "qpcr",
        "course_unit": "copies/ug",
        "metric": "cmax",
        "value": value,
        "unit": "copies/ug",
        "status": "estimated",
    }


@pytest.fixture
def trial(tmp_path):
    """A folder with the tables that the two programs read."""
    tables.write_table(
        tables.rows(
            [
                measurement("P2", 7, 200.0),
                measurement("P1", 14, 50.5, visit="=HYPERLINK(1)"),
                measurement(
                    "P1", 7, None, detection="BLQ", censoring="left", lower=0.0, upper=50.0, n_replicates=3
                ),
            ],
            tables.MEASUREMENTS,
        ),
        tmp_path / "measurements.parquet",
        tables.MEASUREMENTS,
    )
    tables.write_table(
        tables.rows([cmax(f"P{i}", 100.0 * i) for i in (2, 1, 3)], tables.METRICS),
        tmp_path / "metrics.parquet",
        tables.METRICS,
    )
    tables.write_table(
        tables.rows([{"subject_id": f"P{i}", "cohort": "dose 1"} for i in (1, 2)], tables.SUBJECTS),
        tmp_path / "subjects.parquet",
        tables.SUBJECTS,
    )
    tables.write_table(tables.empty(tables.QC), tmp_path / "qc.parquet", tables.QC)
    return tmp_path


def summarise(trial, **cohort):
    return run(
        "cohort/summarise_cohort.py",
        *("--metrics", trial / "metrics.parquet", "--subjects", trial / "subjects.parquet"),
        *("--settings", json.dumps({"cohort": cohort})),
        *("--summary", trial / "summary.parquet", "--survival", trial / "survival.parquet"),
    )


def export(trial):
    further = (
        tables.EPISODES,
        tables.MODELS,
        tables.ANTIBODY_MEANS,
        tables.ASSOCIATIONS,
        tables.CHARACTERISTICS,
    )
    for table in further:
        tables.write_table(tables.empty(table), trial / f"{table.name}.parquet", table)
    events = [
        {"subject_id": "P2", "study_day": 60.0, "kind": "ivig", "label": "=cmd()"},
        {"subject_id": "P1", "study_day": 30.0, "kind": "relapse"},
    ]
    tables.write_table(tables.rows(events, tables.EVENTS), trial / "exported_events.parquet", tables.EVENTS)
    return run(
        "report/export_tables.py",
        *("--measurements", trial / "measurements.parquet", "--metrics", trial / "metrics.parquet"),
        *("--qc", trial / "qc.parquet", "--cohort-summary", trial / "summary.parquet"),
        *("--survival", trial / "survival.parquet", "--episodes", trial / "episodes.parquet"),
        *("--antibody-means", trial / "antibody_means.parquet"),
        *("--models", trial / "models.parquet", "--associations", trial / "associations.parquet"),
        *("--characteristics", trial / "characteristics.parquet"),
        *("--events", trial / "exported_events.parquet"),
        *("--folder", trial / "tables", "--duckdb", trial / "cartrace.duckdb"),
    )


def test_the_cohort_program_writes_both_tables(trial):
    done = summarise(trial, min_n=2)
    assert done.returncode == 0, done.stderr
    assert "2 rows of statistics" in done.stdout
    found = tables.read_table(trial / "summary.parquet", tables.COHORT_SUMMARY)
    assert found[["cohort", "n", "mean"]].to_numpy().tolist() == [["all", 3, 200.0], ["dose 1", 2, 150.0]]
    assert tables.read_table(trial / "survival.parquet", tables.SURVIVAL).empty


def test_the_cohort_program_names_an_unknown_setting_and_writes_nothing(trial):
    done = summarise(trial, min_nn=2)
    assert done.returncode != 0
    assert "did you mean 'min_n'" in done.stderr
    assert not (trial / "summary.parquet").exists()


def assemble(trial, *metrics, qc=()):
    return run(
        "cohort/assemble_metrics.py",
        *("--metrics", *metrics, "--qc", *qc),
        *("--output-metrics", trial / "all_metrics.parquet", "--output-qc", trial / "all_qc.parquet"),
    )


def test_the_metrics_and_findings_of_all_stages_become_one_table_each(trial):
    tables.write_table(tables.empty(tables.METRICS), trial / "nothing.parquet", tables.METRICS)
    tables.write_table(tables.rows([cmax("P9", 1.0)], tables.METRICS), trial / "more.parquet", tables.METRICS)
    finding = {"check": "starting_dilution", "verdict": "warn", "message": "It changed."}
    tables.write_table(tables.rows([finding], tables.QC), trial / "more_qc.parquet", tables.QC)
    done = assemble(
        trial,
        *(trial / f"{name}.parquet" for name in ("metrics", "nothing", "more")),
        qc=(trial / "qc.parquet", trial / "more_qc.parquet"),
    )
    assert done.returncode == 0, done.stderr
    assert "4 metrics of 3 tables, 1 findings" in done.stdout
    found = tables.read_table(trial / "all_metrics.parquet", tables.METRICS)
    assert found[["subject_id", "value"]].to_numpy().tolist() == [
        ["P2", 200.0],
        ["P1", 100.0],
        ["P3", 300.0],
        ["P9", 1.0],
    ]
    assert tables.read_table(trial / "all_qc.parquet", tables.QC).check.tolist() == ["starting_dilution"]


def test_a_metric_that_two_stages_report_is_refused_and_nothing_is_written(trial):
    done = assemble(trial, trial / "metrics.parquet", trial / "metrics.parquet")
    assert done.returncode != 0
    assert "repeat a key" in done.stderr
    assert not list(trial.glob("*all_*"))


def test_the_subjects_program_writes_table_one(trial):
    infusion = {"infusion": 1, "study_day": 0.0, "product": "CT103A", "vector": "lentiviral"}
    tables.write_table(
        tables.rows([{"subject_id": f"P{i}", **infusion} for i in (1, 2)], tables.INFUSIONS),
        trial / "infusions.parquet",
        tables.INFUSIONS,
    )
    done = run(
        "cohort/describe_subjects.py",
        *("--subjects", trial / "subjects.parquet", "--infusions", trial / "infusions.parquet"),
        *("--settings", json.dumps({"cohort": {"by_cohort": True}})),
        *("--output", trial / "characteristics.parquet"),
    )
    assert done.returncode == 0, done.stderr
    assert "on 2 subjects" in done.stdout
    found = tables.read_table(trial / "characteristics.parquet", tables.CHARACTERISTICS)
    product = found[found.variable == "Product"]
    assert product[["cohort", "level", "n", "percent"]].to_numpy().tolist() == [
        ["all", "CT103A", 2, 100.0],
        ["dose 1", "CT103A", 2, 100.0],
    ]


def associate(trial, **association):
    subjects = [f"P{i}" for i in range(1, 7)]
    tables.write_table(
        tables.rows([cmax(s, float(i)) for i, s in enumerate(subjects)], tables.METRICS),
        trial / "metrics.parquet",
        tables.METRICS,
    )
    tables.write_table(
        tables.rows([{"subject_id": s} for s in subjects], tables.SUBJECTS),
        trial / "subjects.parquet",
        tables.SUBJECTS,
    )
    labels = ["PD", "PD", "PR", "CR", "CR", "VGPR"]
    responses = [
        {"subject_id": s, "study_day": 90.0, "kind": "response", "label": x}
        for s, x in zip(subjects, labels, strict=True)
    ]
    tables.write_table(tables.rows(responses, tables.EVENTS), trial / "events.parquet", tables.EVENTS)
    return run(
        "cohort/associate.py",
        *("--metrics", trial / "metrics.parquet", "--subjects", trial / "subjects.parquet"),
        *("--events", trial / "events.parquet"),
        *("--settings", json.dumps({"cohort": {"association": association}})),
        *("--output", trial / "associations.parquet"),
    )


def test_the_association_program_writes_every_question(trial):
    done = associate(trial, expansion=["cmax"])
    assert done.returncode == 0, done.stderr
    assert "2 questions, 1 tests" in done.stdout
    found = tables.read_table(trial / "associations.parquet", tables.ASSOCIATIONS).set_index("family")
    # The three responders are the three highest of six: 1 of 20 choices, on each side.
    assert found.loc["expansion and response", "p"] == pytest.approx(2 / 20)
    assert found.loc["expansion and relapse", "status"] == "not_estimable"


def test_the_association_program_names_an_unknown_metric_and_writes_nothing(trial):
    done = associate(trial, expansion=["cmaxx"])
    assert done.returncode != 0
    assert "did you mean 'cmax'" in done.stderr
    assert not (trial / "associations.parquet").exists()


def test_the_final_tables_are_parquet_tsv_and_one_database(trial):
    assert summarise(trial, min_n=2).returncode == 0
    done = export(trial)
    assert done.returncode == 0, done.stderr
    names = sorted(p.name for p in (trial / "tables").iterdir())
    assert names == sorted(f"{t.name}.{e}" for t in EXPORTED for e in ("parquet", "tsv"))
    with duckdb.connect(str(trial / "cartrace.duckdb"), read_only=True) as database:
        stored = {row[0] for row in database.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        assert stored == {t.name for t in EXPORTED}
        rows = database.execute(
            "SELECT subject_id, day, value, upper, n_replicates, visit FROM measurements"
        ).fetchall()
        events = database.execute("SELECT subject_id, study_day, kind, label FROM events").fetchall()
    assert events == [("P1", 30.0, "relapse", None), ("P2", 60.0, "ivig", "=cmd()")]
    assert rows == [
        ("P1", 7.0, None, 50.0, 3, None),
        ("P1", 14.0, 50.5, None, None, "=HYPERLINK(1)"),
        ("P2", 7.0, 200.0, None, None, None),
    ]


def test_the_tsv_holds_no_formula_that_a_spreadsheet_would_run(trial):
    assert summarise(trial).returncode == 0
    assert export(trial).returncode == 0
    written = (trial / "tables" / "measurements.tsv").read_text().splitlines()
    assert written[0].split("\t") == tables.MEASUREMENTS.names
    assert "\t'=HYPERLINK(1)\t" in written[2]


def test_the_database_explains_its_tables_and_columns(trial):
    path = trial / "explained.duckdb"
    write_database({t.name: tables.empty(t) for t in EXPORTED}, path)
    with duckdb.connect(str(path), read_only=True) as database:
        about_tables = dict(database.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall())
        about_columns = database.execute(
            "SELECT table_name, column_name, comment, data_type FROM duckdb_columns() WHERE NOT internal"
        ).fetchall()
    assert about_tables == {t.name: t.description for t in EXPORTED}
    assert {row[:3] for row in about_columns} == {
        (t.name, c.name, c.description) for t in EXPORTED for c in t.columns
    }
    types = {(table, column): kind for table, column, _, kind in about_columns}
    assert types["measurements", "n_replicates"] == "BIGINT"
    assert types["measurements", "value"] == "DOUBLE"


def test_an_older_database_is_replaced_whole_and_kept_when_the_new_one_fails(trial):
    path = trial / "x.duckdb"
    empty = {t.name: tables.empty(t) for t in EXPORTED}
    write_database(empty, path)
    before = path.read_bytes()
    with pytest.raises(KeyError):
        write_database({**empty, "no_such_table": pd.DataFrame()}, path)
    assert path.read_bytes() == before
    write_database(empty, path)
    assert sorted(p.name for p in trial.glob("*x.duckdb*")) == ["x.duckdb"]


def test_the_order_of_rows_does_not_depend_on_the_order_they_came_in(trial):
    frame = tables.read_table(trial / "measurements.parquet", tables.MEASUREMENTS)
    first = in_order(frame, tables.MEASUREMENTS)
    second = in_order(frame.iloc[::-1], tables.MEASUREMENTS)
    pd.testing.assert_frame_equal(first, second)
    assert first.subject_id.tolist() == ["P1", "P1", "P2"]
