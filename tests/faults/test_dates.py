"""A date in a place where none belongs is told without the date, and is in nothing that is written."""

from __future__ import annotations

import shutil
from datetime import datetime
from itertools import cycle, product
from pathlib import Path

import openpyxl
import pytest
import yaml
from tests.faults import sound as programs
from tests.faults.sound import FILES
from tests.workflow.planted import NAME, SEEN, forms, texts, traces

from cartrace import config
from cartrace.intake.inbox import take_in
from cartrace.intake.plan import load_plan
from cartrace.intake.sheets import read_sheets
from cartrace.problems import InputError

# The last form is the number of a spreadsheet, which nobody can tell from any other.
DATES = [*forms(SEEN)[:-1], f"{SEEN:%b %d 08:30:00 %Y}", f"{SEEN:%d. %m. %Y}", f"{SEEN:%Y%m%d}083000"]
SHEETS = "subjects products infusions samples files extractions tubes events observations libraries integration_sites"
LINES = {
    "table_csv": (";", 1, range(20)),
    "table_tsv": ("\t", 1, range(20)),
    "pcr": ("\t", 40, (1, 3)),
    "elisa": ("\t", 1, (1, 5)),
    "luminex": (",", 3, range(20)),
    "contigs": (",", 1, range(40)),
    "sites": ("\t", 1, range(20)),
}
"""Delimiter of a reader's file, one of its lines (from 0), and which of its cells."""


@pytest.mark.parametrize("sheet", [f"sheets/{name}.tsv" for name in SHEETS.split()])
def test_a_date_in_a_column_of_a_sheet_is_told_without_it(trial: Path, sheet: str) -> None:
    header, *rows, last = Path(sheet).read_text().rstrip("\n").split("\n")
    settings, faults = config.check(yaml.safe_load(Path("config.yaml").read_text()), "config.yaml")
    assert not faults
    for place, date in zip(range(header.count("\t") + 1), cycle(DATES), strict=False):
        cells = last.split("\t")
        cells[place] = f"{NAME} {date}"
        Path(sheet).write_text("\n".join([header, *rows, "\t".join(cells), ""]))
        _, problems = read_sheets(trial, settings)
        if not problems:
            # A path, which the plan of the whole folder judges.
            with pytest.raises(InputError) as error:
                load_plan(settings.model_dump(), trial)
            problems = list(error.value.problems)
        told = "\n".join(map(str, problems))
        assert f"{sheet}, row {len(rows) + 2}" in told
        assert {t for t in traces(told) if t not in NAME} == set(), place


@pytest.mark.slow
@pytest.mark.parametrize("reader", LINES)
def test_a_date_in_a_cell_of_a_file_is_told_and_kept_without_it(
    trial: Path, reader: str, capfd: pytest.CaptureFixture[str]
) -> None:
    delimiter, row, places = LINES[reader]
    path = Path(FILES[reader])
    raw = path.read_bytes()
    encoding = "utf-16" if raw[:2] == b"\xff\xfe" else "utf-8"
    lines = raw.decode(encoding).split("\n")
    for place, date in zip(places, cycle(DATES), strict=False):
        cells = lines[row].split(delimiter)
        if place >= len(cells):
            break
        cells[place] = f"seen {date}"
        path.write_bytes("\n".join([*lines[:row], delimiter.join(cells), *lines[row + 1 :]]).encode(encoding))
        assert programs.run(reader) in {0, 2}
        told = "".join(capfd.readouterr())
        assert "Traceback" not in told
        assert traces(told) == set(), place
        for written in Path("results").rglob("*.*"):
            for where, text in texts(written):
                assert traces(text) == set(), (place, written, where)
        shutil.rmtree("results", ignore_errors=True)


@pytest.mark.slow
def test_a_date_cell_of_a_workbook_is_told_and_kept_without_the_date(
    trial: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = Path(FILES["table_xlsx"])
    raw = path.read_bytes()
    sheet = openpyxl.load_workbook(path).worksheets[0]
    # The header and the last row.
    for row, column in product((1, sheet.max_row), range(1, sheet.max_column + 1)):
        path.write_bytes(raw)
        book = openpyxl.load_workbook(path)
        book.worksheets[0].cell(row, column).value = datetime(SEEN.year, SEEN.month, SEEN.day, 8, 30)
        book.save(path)
        assert programs.run("table_xlsx") in {0, 2}
        told = "".join(capfd.readouterr())
        assert "Traceback" not in told
        assert traces(told) == set(), (row, column)
        for written in Path("results").rglob("*.parquet"):
            for where, text in texts(written):
                assert traces(text) == set(), (row, column, where)
        shutil.rmtree("results", ignore_errors=True)


@pytest.mark.parametrize("dates", ["refuse", "allow"])
def test_dated_names_in_an_inbox_are_told_without_the_date(trial: Path, dates: str) -> None:
    raw = yaml.safe_load(Path("config.yaml").read_text())
    pattern = {"name": "run.*", "reader": "pcr_plate", "mapping": "mappings/car_qpcr_plate.yaml"}
    folders = {"qpcr": {"folder": "inbox/qpcr", "patterns": [pattern]}}
    raw |= {"inbox": {"settle_minutes": 0, "folders": folders}, "privacy": {"dates_in_file_names": dates}}
    settings, faults = config.check(raw, "config.yaml")
    assert not faults
    names = [f"run_{date}.txt" for date in DATES if "/" not in date] + [f"{SEEN:%d.%m.%Y}/a.txt"]
    for name in names:
        path = Path("inbox/qpcr", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name} {NAME}\n")
    taken = take_in(settings, trial)
    rows = load_plan(raw, trial).inbox.rows
    assert len(rows) == len(names)
    assert {row.status for row in rows} == ({"refused"} if dates == "refuse" else {"used", "unmatched"})
    for told in (str(taken), str(rows), Path("results/intake/inbox.json").read_text()):
        assert traces(told) == set()
