"""The programs that make cohort tables and final tables, run as the workflow runs them."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from cartrace import tables
from cartrace.report.export import EXPORTED, in_order, write_database

REPOSITORY = Path(__file__).parents[2]


def run(program, *arguments):
    command = [sys.executable, str(REPOSITORY / "scripts" / program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


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
    return run(
        "report/export_tables.py",
        *("--measurements", trial / "measurements.parquet", "--metrics", trial / "metrics.parquet"),
        *("--qc", trial / "qc.parquet", "--cohort-summary", trial / "summary.parquet"),
        *("--survival", trial / "survival.parquet"),
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
