"""The tables of immunoassay plates as files for other programs, and the scripts that read them."""

from __future__ import annotations

from pathlib import Path

import duckdb
from scripts.report import export_tables, render_report
from tests.unit.report.full_trial import full_trial
from tests.unit.report.immunoassay_trial import assembled, elisa, of_page, titres_by_words

from cartrace import tables
from cartrace.report.export import EXPORTED, IMMUNOASSAY_EXPORTED, IMMUNOASSAY_REPEAT_LIST, repeat_list
from cartrace.report.page import ReportData


def arguments(data: ReportData, folder: Path, listed: tuple[tables.Table, ...]) -> list[str]:
    """Write the tables of a trial; give them as options."""
    out = []
    for table in listed:
        tables.write_table(getattr(data, table.name), folder / f"{table.name}.parquet", table)
        out += [f"--{table.name.replace('_', '-')}", str(folder / f"{table.name}.parquet")]
    made = of_page(assembled(elisa(), titres_by_words()))
    for name, table in render_report.IMMUNOASSAY_INPUTS.items():
        tables.write_table(getattr(made, name), folder / f"{table.name}.parquet", table)
        out += [f"--{table.name.replace('_', '-')}", str(folder / f"{table.name}.parquet")]
    return out


def test_the_tables_and_their_repeat_list_are_written_for_other_programs(tmp_path: Path) -> None:
    given = arguments(full_trial(1), tmp_path, EXPORTED)
    out = ["--folder", str(tmp_path / "out"), "--duckdb", str(tmp_path / "x.duckdb")]
    export_tables.main([*given, *out])
    wanted = [t.name for t in (*EXPORTED, *IMMUNOASSAY_EXPORTED, IMMUNOASSAY_REPEAT_LIST)]
    assert sorted(p.stem for p in (tmp_path / "out").glob("*.tsv")) == sorted(wanted)
    with duckdb.connect(str(tmp_path / "x.duckdb"), read_only=True) as database:
        asked = (
            "SELECT plate, sample, dilutions, verdict FROM \"immunoassay_repeat_list\" WHERE plate = 'E01'"
        )
        rows = database.execute(asked).fetchall()
        comments = dict(database.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall())
    assert rows == [
        ("E01", "P01 d14", "10", "flagged"),
        ("E01", "P02 d14", "10", "accepted"),
        ("E01", "P03 d14", "10", "not_used"),
    ]
    assert comments["immunoassay_curves"].startswith("One calibration curve")


def test_the_repeat_list_says_what_to_do() -> None:
    listed = repeat_list(assembled(titres_by_words()).samples, IMMUNOASSAY_REPEAT_LIST)
    assert listed["sample"].tolist() == ["P02 d0", "P02 d30", "P03 d0"]
    assert listed["repeat_reason"].str.contains("repeat|read it again").all()


def test_the_page_has_the_plates_whose_tables_are_given(tmp_path: Path) -> None:
    inputs = tuple(tables.TABLES[name] for name in render_report.INPUTS)
    given = arguments(full_trial(1), tmp_path, inputs)
    render_report.main([*given, "--settings", "{}", "--output", str(tmp_path / "report.html")])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<a href="#/plates">' in page
    assert '"id":"T01"' in page
