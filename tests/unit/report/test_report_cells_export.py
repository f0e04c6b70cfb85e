"""The tables of cells as files for other programs, and the scripts that read them."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from scripts.report import export_tables, render_report
from tests.unit.report.browser import HOSTILE
from tests.unit.report.cell_trial import cell_trial

from cartrace import tables
from cartrace.cells.tables import CAR_FRACTIONS
from cartrace.report.export import CELLS_EXPORTED, EXPORTED
from cartrace.report.page import ReportData


@pytest.fixture(scope="module")
def data() -> ReportData:
    return cell_trial(1)


def written(data: ReportData, folder: Path, *, exported: bool) -> list[str]:
    """Write the tables of cells; give the options that name them."""
    listed = []
    for name, table in render_report.CELL_INPUTS.items():
        if not exported or table in CELLS_EXPORTED:
            tables.write_table(getattr(data.cells, name), folder / f"{table.name}.parquet", table)
            listed += [f"--{table.name.replace('_', '-')}", str(folder / f"{table.name}.parquet")]
    return listed


def test_the_tables_of_cells_are_exported_without_a_row_for_each_cell(
    data: ReportData, tmp_path: Path
) -> None:
    listed = written(data, tmp_path, exported=True)
    for table in EXPORTED:
        tables.write_table(getattr(data, table.name), tmp_path / f"{table.name}.parquet", table)
        listed += [f"--{table.name.replace('_', '-')}", str(tmp_path / f"{table.name}.parquet")]
    formula = data.cells.fractions.assign(reason=f"=1+1{HOSTILE}")
    tables.write_table(formula, tmp_path / "car_fractions.parquet", CAR_FRACTIONS)
    export_tables.main([*listed, "--folder", str(tmp_path / "out"), "--duckdb", str(tmp_path / "x.duckdb")])
    names = {t.name for t in (*EXPORTED, *CELLS_EXPORTED)}
    for ending in ("parquet", "tsv"):
        assert {p.stem for p in (tmp_path / "out").glob(f"*.{ending}")} == names
    assert not {"cell_obs", "car_calls", "cell_embedding"} & names
    with duckdb.connect(str(tmp_path / "x.duckdb"), read_only=True) as database:
        shares = database.execute("SELECT library, fraction FROM car_fractions WHERE detection = 'quantified'").fetchall()  # fmt: skip
    assert shares == [("L1", 25.0)]
    text = (tmp_path / "out" / "car_fractions.tsv").read_text(encoding="utf-8")
    assert "\t'=1+1" in text
    assert "\t=1+1" not in text


def test_the_page_has_libraries_when_their_tables_are_given(data: ReportData, tmp_path: Path) -> None:
    listed = written(data, tmp_path, exported=False)
    for name in render_report.INPUTS:
        tables.write_table(getattr(data, name), tmp_path / f"{name}.parquet", tables.TABLES[name])
        listed += [f"--{name.replace('_', '-')}", str(tmp_path / f"{name}.parquet")]
    render_report.main([*listed, "--settings", "{}", "--output", str(tmp_path / "report.html")])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<a href="#/cells">' in page
    assert "4 libraries of droplets" in page
