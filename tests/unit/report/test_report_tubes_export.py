"""The flow tables as files for other programs, and the scripts that read them."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from scripts.report import export_tables, render_report
from tests.unit.report.browser import HOSTILE
from tests.unit.report.full_trial import full_trial
from tests.unit.report.tube_trial import HASH, tube_trial

from cartrace import tables
from cartrace.flow.tables import POPULATIONS, THRESHOLDS
from cartrace.report.export import EXPORTED, FLOW_EXPORTED, PCR_EXPORTED
from cartrace.report.page import ReportData


@pytest.fixture(scope="module")
def data() -> ReportData:
    return tube_trial(3)


@pytest.fixture
def arguments(data: ReportData, tmp_path: Path) -> list[str]:
    listed = []
    for table in EXPORTED:
        tables.write_table(getattr(data, table.name), tmp_path / f"{table.name}.parquet", table)
        listed += [f"--{table.name.replace('_', '-')}", str(tmp_path / f"{table.name}.parquet")]
    return [*listed, "--folder", str(tmp_path / "out"), "--duckdb", str(tmp_path / "x.duckdb")]


def flow_arguments(data: ReportData, folder: Path, *, exported: bool) -> list[str]:
    listed = []
    for name, table in render_report.FLOW_INPUTS.items():
        if not exported or table in FLOW_EXPORTED:
            tables.write_table(getattr(data.flow, name), folder / f"{table.name}.parquet", table)
            listed += [f"--{table.name.replace('_', '-')}", str(folder / f"{table.name}.parquet")]
    return listed


def test_the_flow_tables_are_written_when_given(
    data: ReportData, arguments: list[str], tmp_path: Path
) -> None:
    export_tables.main([*arguments, *flow_arguments(data, tmp_path, exported=True)])
    wanted = sorted(t.name for t in (*EXPORTED, *FLOW_EXPORTED))
    for ending in ("parquet", "tsv"):
        assert sorted(p.stem for p in (tmp_path / "out").glob(f"*.{ending}")) == wanted
    with duckdb.connect(str(tmp_path / "x.duckdb"), read_only=True) as database:
        tubes = database.execute("SELECT tube, verdict, gates_sha256 FROM flow_tubes LIMIT 1").fetchone()
        comments = dict(database.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall())
        gates = database.execute("SELECT count(*) FROM flow_gates").fetchone()
    assert tubes == ("T01", "accepted", HASH)
    assert comments["flow_populations"] == POPULATIONS.description
    assert gates == (len(data.flow.gates),)
    assert not {"flow_plots", "flow_acquisition"} & set(comments)


def test_a_formula_in_a_cell_is_defused(data: ReportData, arguments: list[str], tmp_path: Path) -> None:
    thresholds = data.flow.thresholds.assign(reason=f"=1+1{HOSTILE}")
    path = tmp_path / "thresholds.parquet"
    tables.write_table(thresholds, path, THRESHOLDS)
    export_tables.main([*arguments, "--flow-thresholds", str(path)])
    written = (tmp_path / "out" / "flow_thresholds.tsv").read_text(encoding="utf-8")
    assert "\t'=1+1" in written
    assert "\t=1+1" not in written


def test_an_option_without_a_file_is_no_table(arguments: list[str], tmp_path: Path) -> None:
    # What the workflow writes on the command line of a trial without plates and tubes.
    bare = [f"--{t.name.replace('_', '-')}" for t in (*PCR_EXPORTED, *FLOW_EXPORTED)]
    export_tables.main([*bare, *arguments])
    assert sorted(p.stem for p in (tmp_path / "out").glob("*.tsv")) == sorted(t.name for t in EXPORTED)


@pytest.mark.parametrize("given", [True, False])
def test_the_page_has_tubes_when_their_tables_are_given(
    data: ReportData, tmp_path: Path, given: bool
) -> None:
    listed = []
    trial = full_trial(1)
    for name in render_report.INPUTS:
        tables.write_table(getattr(trial, name), tmp_path / f"{name}.parquet", tables.TABLES[name])
        listed += [f"--{name.replace('_', '-')}", str(tmp_path / f"{name}.parquet")]
    flow = flow_arguments(data, tmp_path, exported=False)
    more = flow if given else [option for option in flow if option.startswith("--")]
    render_report.main([*listed, *more, "--settings", "{}", "--output", str(tmp_path / "report.html")])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ('<a href="#/tubes">' in page) == given
    assert ("Panel tcell_panel" in page) == given
