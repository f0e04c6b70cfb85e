"""The PCR tables as files for other programs, and the scripts that read them."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import pytest
from scripts.report import export_tables, render_report
from tests.unit.report.full_trial import full_trial
from tests.unit.report.plate_trial import plate_trial

from cartrace import tables
from cartrace.pcr.tables import SAMPLES
from cartrace.report.export import EXPORTED, PCR_EXPORTED, REPEAT_LIST, repeat_list
from cartrace.report.page import ReportData


@pytest.fixture(scope="module")
def data() -> ReportData:
    return plate_trial(3)


@pytest.fixture
def arguments(data: ReportData, tmp_path: Path) -> list[str]:
    listed = []
    for table in EXPORTED:
        tables.write_table(getattr(data, table.name), tmp_path / f"{table.name}.parquet", table)
        listed += [f"--{table.name.replace('_', '-')}", str(tmp_path / f"{table.name}.parquet")]
    return [*listed, "--folder", str(tmp_path / "out"), "--duckdb", str(tmp_path / "x.duckdb")]


def pcr_arguments(data: ReportData, folder: Path, names: tuple[str, ...]) -> list[str]:
    listed = []
    for name, table in render_report.PCR_INPUTS.items():
        if name in names:
            tables.write_table(getattr(data.pcr, name), folder / f"{table.name}.parquet", table)
            listed += [f"--{table.name.replace('_', '-')}", str(folder / f"{table.name}.parquet")]
    return listed


def test_the_repeat_list_holds_the_rows_to_be_repeated_alone(data: ReportData) -> None:
    listed = repeat_list(data.pcr.samples)
    assert listed["sample"].tolist() == ["P03_d14"]
    assert listed["wells"].tolist() == ["C05, C06"]
    assert listed["repeat_reason"].str.contains("pipette again").all()
    assert repeat_list(tables.empty(SAMPLES)).empty


def test_a_sample_without_an_answer_is_not_repeated(data: ReportData) -> None:
    samples = data.pcr.samples.assign(repeat=pd.array([pd.NA] * len(data.pcr.samples), dtype="boolean"))
    assert repeat_list(samples).empty


def test_without_plates_the_usual_tables_are_written(arguments: list[str], tmp_path: Path) -> None:
    export_tables.main(arguments)
    assert sorted(p.stem for p in (tmp_path / "out").glob("*.tsv")) == sorted(t.name for t in EXPORTED)


def test_the_pcr_tables_and_the_repeat_list_are_written_when_given(
    data: ReportData, arguments: list[str], tmp_path: Path
) -> None:
    export_tables.main(
        [*arguments, *pcr_arguments(data, tmp_path, ("samples", "wells", "curves", "controls"))]
    )
    wanted = [t.name for t in (*EXPORTED, *PCR_EXPORTED, REPEAT_LIST)]
    assert sorted(p.stem for p in (tmp_path / "out").glob("*.parquet")) == sorted(wanted)
    with duckdb.connect(str(tmp_path / "x.duckdb"), read_only=True) as database:
        row = database.execute('SELECT plate, sample, verdict FROM "repeat_list"').fetchall()
        comments = dict(database.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall())
        wells = database.execute('SELECT count(*) FROM "pcr_wells"').fetchone()
    assert row == [("Q01", "P03_d14", "rejected")]
    assert comments["pcr_curves"].startswith("One standard curve")
    assert wells == (len(data.pcr.wells),)


def test_one_table_alone_may_be_given(data: ReportData, arguments: list[str], tmp_path: Path) -> None:
    export_tables.main([*arguments, *pcr_arguments(data, tmp_path, ("curves",))])
    assert (tmp_path / "out" / "pcr_curves.tsv").exists()
    assert not (tmp_path / "out" / "repeat_list.tsv").exists()


@pytest.mark.parametrize("given", [True, False])
def test_the_page_has_plates_when_their_tables_are_given(
    data: ReportData, tmp_path: Path, given: bool
) -> None:
    listed = []
    trial = full_trial(1)
    for name in render_report.INPUTS:
        tables.write_table(getattr(trial, name), tmp_path / f"{name}.parquet", tables.TABLES[name])
        listed += [f"--{name.replace('_', '-')}", str(tmp_path / f"{name}.parquet")]
    more = pcr_arguments(data, tmp_path, tuple(render_report.PCR_INPUTS)) if given else []
    render_report.main([*listed, *more, "--settings", "{}", "--output", str(tmp_path / "report.html")])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ('<a href="#/plates">' in page) == given
    assert ('"id":"D01"' in page) == given
