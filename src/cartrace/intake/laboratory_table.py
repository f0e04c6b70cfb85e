"""One laboratory table -> results, cell by cell, with what was odd in it.

Reading (:func:`read_grid`) and computing (:func:`read_results`) are apart. The
results still carry the laboratory's own words for subject, sample and day;
:mod:`cartrace.intake.assemble` puts them on the clock.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import zipfile
from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cartrace.analytes import ANALYTES
from cartrace.intake.cells import CellOptions, CellReading, Percentage, parse_cell, show
from cartrace.intake.clock import EARLIEST, days_between, parse_date
from cartrace.intake.mapping import TITRE, ColumnRef, Mapping, MatrixColumn, Test, ValueColumn, fold
from cartrace.intake.results import RESULTS
from cartrace.intake.sheets import id_fault, quote
from cartrace.problems import InputError, Problem, did_you_mean, holds_date, raise_if_any, redact_dates
from cartrace.tables import QC, rows
from cartrace.units import FACTORS, canonical, factor

if TYPE_CHECKING:
    import pandas as pd

MAX_FILE_BYTES = 200_000_000
MAX_UNZIPPED_BYTES = 1_000_000_000
MAX_COMPRESSION = 200
MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
MAX_CELLS = 20_000_000


@dataclass(frozen=True, slots=True)
class Grid:
    """A table as it stands in the file.

    ``header`` holds the joined header of each column; ``cells`` one tuple per
    row with values as the file holds them; ``row_numbers`` counts as a
    spreadsheet does. ``too_long`` holds the rows of a text file with more cells
    than the header, and how many more.
    """

    file: str
    header: tuple[str, ...]
    cells: tuple[tuple[Any, ...], ...]
    row_numbers: tuple[int, ...]
    too_long: MappingABC[int, int] = field(default_factory=dict)


def read_grid(path: str | Path, mapping: Mapping, name: str | None = None) -> Grid:
    """Read a csv, tsv, txt or xlsx file; nothing in it is evaluated.

    Parameters
    ----------
    path
        The file.
    mapping
        Sheet, header rows, delimiter and encoding are taken from it.
    name
        How errors name the file; its path by default.

    Raises
    ------
    InputError
        For a file that is missing, empty, too large, encrypted, broken, or not
        of the kind that its name says.
    """
    path = Path(path)
    name = redact_dates(name or str(path))
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise InputError([Problem(name, f"{size / 1e6:.0f} MB", "at most 200 MB")])
        if size == 0:
            raise InputError([Problem(name, "an empty file", "a table")])
        with path.open("rb") as handle:
            start = handle.read(8192)
        suffix = path.suffix.lower()
        workbook = suffix in {".xlsx", ".xlsm"}
        if workbook:
            lines = _read_workbook(path, mapping, name, start)
        elif suffix in {".csv", ".tsv", ".txt"}:
            lines = _read_text(path, mapping, name, start)
        else:
            raise InputError(
                [Problem(name, f"a file that ends in {quote(suffix)}", ".csv, .tsv, .txt or .xlsx")]
            )
    except OSError as error:
        raise InputError(
            [Problem(name, f"a file that can't be read ({type(error).__name__})", "a readable file")]
        ) from None
    return _to_grid(lines, mapping, name, workbook=workbook)


def _read_text(path: Path, mapping: Mapping, name: str, start: bytes) -> list[list[Any]]:
    head = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<table", b"<meta")):
        raise InputError(
            [Problem(name, "a web page", "a plain table; save it from the program as csv or xlsx")]
        )
    if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputError([Problem(name, "a workbook under another name", "a name that ends in .xlsx")])
    raw = path.read_bytes()
    try:
        text = raw.decode(mapping.encoding)
    except (UnicodeDecodeError, UnicodeError) as error:
        broken = raw[: getattr(error, "start", 0)].count(b"\n") + 1
        raise InputError(
            [
                Problem(
                    name,
                    f"bytes that are not {mapping.encoding}",
                    f"{mapping.encoding}, or another encoding in the mapping (often cp1252 or utf-16)",
                    row=broken,
                )
            ]
        ) from None
    if "\x00" in text:
        raise InputError([Problem(name, "zero bytes", "a text table; perhaps encoding: utf-16")])
    delimiter = mapping.delimiter or ("," if path.suffix.lower() == ".csv" else "\t")
    # Strict: else a quote that is never closed swallows every row below it without a word.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[list[Any]] = []
    cells = 0
    # csv refuses cells above this; parse_cell reports those above its own limit.
    old_limit = csv.field_size_limit(MAX_FILE_BYTES)
    try:
        for line in reader:
            lines.append(list(line))
            cells += len(line)
            if cells > MAX_CELLS or len(lines) > MAX_ROWS:
                raise InputError([Problem(name, "too many cells", f"at most {MAX_CELLS:,} cells")])
    except csv.Error as error:
        raise InputError(
            [
                Problem(
                    name,
                    f"broken text ({error})",
                    "a table; each quote that opens a cell closes it, too",
                    row=len(lines) + 1,
                )
            ]
        ) from None
    finally:
        csv.field_size_limit(old_limit)
    return lines


def _read_workbook(path: Path, mapping: Mapping, name: str, start: bytes) -> list[list[Any]]:
    import warnings

    import openpyxl

    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise InputError(
            [Problem(name, "an encrypted workbook or an old .xls", "an .xlsx file without a password")]
        )
    if not start.startswith(b"PK"):
        raise InputError([Problem(name, "a file that is no workbook", "an .xlsx file")])
    try:
        with zipfile.ZipFile(path) as archive:
            unzipped = sum(i.file_size for i in archive.infolist())
            packed = max(1, sum(i.compress_size for i in archive.infolist()))
        if unzipped > MAX_UNZIPPED_BYTES or (unzipped > 50_000_000 and unzipped / packed > MAX_COMPRESSION):
            raise InputError(
                [Problem(name, f"a workbook that unpacks to {unzipped / 1e6:.0f} MB", "a laboratory table")]
            )
        with warnings.catch_warnings():
            # openpyxl warns about styles and extensions, which don't touch the values.
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            try:
                lines, uncertain = _sheet_cells(book, mapping, name)
            finally:
                book.close()
            if uncertain:
                book = openpyxl.load_workbook(path, read_only=True)
                try:
                    _put_formulas(lines, uncertain, book, mapping)
                finally:
                    book.close()
        return lines
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - a broken workbook may fail anywhere in zip, XML or openpyxl
        raise InputError(
            [Problem(name, f"a broken workbook ({type(error).__name__})", "an .xlsx file that opens")]
        ) from None


def _sheet_cells(book: Any, mapping: Mapping, name: str) -> tuple[list[list[Any]], set[tuple[int, int]]]:
    """Return the cells, and the places (line, column) where a formula without a stored result may be."""
    from openpyxl.cell.read_only import EmptyCell

    sheets = [s.title for s in book.worksheets]
    if mapping.sheet is None and len(sheets) != 1:
        raise InputError(
            [Problem(name, f"{len(sheets)} sheets", f"sheet: in the mapping, one of {', '.join(sheets)}")]
        )
    if mapping.sheet is not None and mapping.sheet not in sheets:
        raise InputError(
            [
                Problem(
                    name,
                    f"no sheet {quote(mapping.sheet)}",
                    ", ".join(sheets),
                    suggestion=did_you_mean(mapping.sheet, sheets),
                )
            ]
        )
    sheet = book.worksheets[0] if mapping.sheet is None else book[mapping.sheet]
    # A workbook may claim a million empty rows; count what is there.
    sheet.reset_dimensions()
    lines: list[list[Any]] = []
    uncertain: set[tuple[int, int]] = set()
    cells = 0
    for line in sheet.iter_rows():
        values = [_cell_value(c) for c in line]
        # A formula whose result is the empty text has the type str; one that no program computed has none.
        uncertain.update(
            (len(lines), n)
            for n, c in enumerate(line)
            if values[n] is None and c.data_type != "str" and not isinstance(c, EmptyCell)
        )
        while values and values[-1] is None:
            values.pop()
        lines.append(values)
        cells += len(values)
        if cells > MAX_CELLS or len(lines) > MAX_ROWS:
            raise InputError([Problem(name, "too many cells", f"at most {MAX_CELLS:,} cells")])
    return lines, uncertain


def _cell_value(cell: Any) -> Any:
    """Return the value of a workbook's cell; a number that is shown as a percentage stays one."""
    value = cell.value
    if not isinstance(value, (int, float)) or isinstance(value, bool) or "%" not in cell.number_format:
        return value
    # A quoted or escaped sign is text beside the number; a bare one shows a hundred times the number.
    return Percentage(value) if "%" in re.sub(r'"[^"]*"|\.', "", cell.number_format) else value


def _put_formulas(
    lines: list[list[Any]], uncertain: set[tuple[int, int]], book: Any, mapping: Mapping
) -> None:
    """Put the text of a formula where its result was never computed; an empty cell would hide it."""
    sheet = book.worksheets[0] if mapping.sheet is None else book[mapping.sheet]
    sheet.reset_dimensions()
    for number, line in enumerate(sheet.iter_rows()):
        for n, cell in enumerate(line):
            if cell.data_type == "f" and (number, n) in uncertain:
                values = lines[number]
                values.extend([None] * (n + 1 - len(values)))
                values[n] = str(cell.value) if isinstance(cell.value, str) else "="


def _to_grid(lines: list[list[Any]], mapping: Mapping, name: str, *, workbook: bool) -> Grid:
    first = mapping.skip_rows + mapping.header_rows
    if len(lines) < first or not any(_text(c) for c in lines[first - 1]):
        raise InputError(
            [
                Problem(
                    name,
                    f"{len(lines)} rows, and no header in row {first}",
                    "a header (skip_rows and header_rows of the mapping)",
                )
            ]
        )
    width = max(len(line) for line in lines[mapping.skip_rows :])
    if width > MAX_COLUMNS:
        raise InputError([Problem(name, f"{width} columns", f"at most {MAX_COLUMNS}")])
    levels: list[list[str]] = []
    for level, line in enumerate(lines[mapping.skip_rows : first]):
        names = [_text(c) for c in line] + [""] * (width - len(line))
        if level < mapping.header_rows - 1:
            # Merged cells: the name stands in the first column only.
            filled = ""
            for n, text in enumerate(names):
                filled = text or filled
                names[n] = filled
        levels.append(names)
    header = tuple(" / ".join(p for p in parts if p) for parts in zip(*levels, strict=True))
    body: list[tuple[Any, ...]] = []
    numbers: list[int] = []
    # In a workbook a cell right of the table is a remark. In a text file it is a mark that divides what it
    # should not (1,5 between commas), or a header that lacks a name: then every cell may stand in a wrong column.
    named = max(len(line) for line in lines[mapping.skip_rows : first])
    too_long: dict[int, int] = {}
    for number, line in enumerate(lines[first:], first + 1):
        if not workbook and any(_text(c) for c in line[named:]):
            too_long[number] = len(line) - named
        if any(_text(c) for c in line):
            body.append(tuple(line) + (None,) * (width - len(line)))
            numbers.append(number)
    return Grid(name, header, tuple(body), tuple(numbers), too_long)


def _text(cell: Any) -> str:
    """Return a cell as text, the way a laboratory sees it: 7.0 is 7."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.isoformat() if cell.time() != datetime.min.time() else cell.date().isoformat()
    return " ".join(str(cell).split())


@dataclass(frozen=True, slots=True)
class _Value:
    """One value column of the table. ``name`` is what outputs call it."""

    index: int
    name: str
    test: Test
    day: float | None
    visit: str | None


def read_results(
    grid: Grid,
    mapping: Mapping,
    *,
    file_id: str,
    sha256: str,
    first_dates: MappingABC[str, date] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read every result of a table.

    Parameters
    ----------
    grid
        The table.
    mapping
        What its columns mean.
    file_id, sha256
        Identity of the file, copied into each row.
    first_dates
        Date of the first infusion of each subject, for tables with dates.

    Returns
    -------
    results : DataFrame
        The contract :data:`RESULTS`; no calendar dates inside.
    qc : DataFrame
        One row for each cell that was no plain number, and each row left out.

    Raises
    ------
    InputError
        When a column of the mapping is not in the table.
    """
    columns, values = _find_columns(grid, mapping)
    reader = _Reader(
        grid=grid,
        mapping=mapping,
        columns=columns,
        values=values,
        file_id=file_id,
        sha256=sha256,
        first_dates=first_dates or {},
    )
    for number, line in zip(grid.row_numbers, grid.cells, strict=True):
        reader.read_row(number, line)
    reader.close()
    return rows(reader.results, RESULTS), rows(reader.qc, QC)


def _find_columns(grid: Grid, mapping: Mapping) -> tuple[dict[str, int], list[_Value]]:
    problems: list[Problem] = []
    first_row = mapping.skip_rows + mapping.header_rows
    by_name: dict[str, list[int]] = {}
    for n, text in enumerate(grid.header):
        if text:
            by_name.setdefault(text, []).append(n)

    def find(wanted: str) -> int | None:
        wanted = " ".join(wanted.split())
        found = by_name.get(wanted, [])
        if not found:
            # Below several header rows the last name alone is enough where it is unique.
            found = [n for n, t in enumerate(grid.header) if t.rsplit(" / ", 1)[-1] == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            problems.append(
                Problem(grid.file, f"{len(found)} columns of this name", "one", first_row, wanted)
            )
        else:
            shown = [show(h) for h in by_name]
            problems.append(
                Problem(
                    grid.file,
                    "no such column",
                    ", ".join(shown[:40]) + (", ..." if len(shown) > 40 else ""),
                    first_row,
                    wanted,
                    did_you_mean(wanted, by_name),
                )
            )
        return None

    columns: dict[str, int] = {}
    named: dict[str, ColumnRef | None] = {
        "subject": mapping.subject,
        "day": mapping.day,
        "date": mapping.date,
        "visit": mapping.visit,
        "infusion": mapping.infusion,
        "sample": mapping.sample,
        "matrix": mapping.matrix if isinstance(mapping.matrix, MatrixColumn) else None,
    }
    if mapping.long is not None:
        named |= {
            "analyte": mapping.long.analyte,
            "value": mapping.long.value,
            "unit": mapping.long.unit,
        }
    named |= {f"ignore {n}": rule for n, rule in enumerate(mapping.ignore_rows)}
    named |= {f"start {r.column}": r for r in (mapping.start, *(t.start for t in mapping.tests)) if r}
    named |= {f"censored {t.censored.column}": t.censored for t in mapping.tests if t.censored}
    for role, reference in named.items():
        if reference is not None and (index := find(reference.column)) is not None:
            columns[role] = index
    values: list[_Value] = []
    for entry in mapping.values:
        values += _value_columns(entry, grid, find, problems)
    for index, group in itertools.groupby(sorted(v.index for v in values)):
        if len(list(group)) > 1:
            problems.append(
                Problem(
                    grid.file,
                    "a column that two entries of values claim",
                    "one entry",
                    first_row,
                    grid.header[index],
                )
            )
    problems += _one_name_each(values, grid, first_row)
    raise_if_any(problems)
    return columns, values


def _one_name_each(values: Sequence[_Value], grid: Grid, first_row: int | None) -> list[Problem]:
    """Tell value columns that outputs can't tell apart once the date is out of their headers."""
    by_name: dict[str, set[int]] = {}
    for v in values:
        by_name.setdefault(v.name, set()).add(v.index)
    return [
        Problem(
            grid.file,
            f"{len(indices)} value columns that read the same without the date in their headers",
            "a label for each of them in the mapping (label: V1, say)",
            first_row,
            name,
        )
        for name, indices in by_name.items()
        if len(indices) > 1 and any(holds_date(grid.header[i]) for i in indices)
    ]


def _value_columns(entry: ValueColumn, grid: Grid, find: Any, problems: list[Problem]) -> list[_Value]:
    if entry.column is not None:
        index = find(entry.column)
        if index is None:
            return []
        return [_Value(index, entry.label or show(grid.header[index]), entry, None, entry.visit)]
    pattern = re.compile(entry.pattern or "")
    out: list[_Value] = []
    for index, text in enumerate(grid.header):
        match = pattern.fullmatch(text)
        if match is None:
            continue
        groups = match.groupdict()
        day = None
        if groups.get("day") is not None:
            day = _header_day(groups)
            if day is None:
                problems.append(
                    Problem(
                        grid.file,
                        f"day {quote(' '.join(filter(None, groups.values())))}",
                        "a number of days; an hour from 0 to 24, a minute from 0 to 59",
                        None,
                        text,
                    )
                )
        visit = groups.get("visit") or entry.visit
        if visit is not None and holds_date(visit):
            problems.append(
                Problem(
                    grid.file,
                    "a calendar date as the visit",
                    "one entry for each such column, with visit and label",
                    None,
                    text,
                )
            )
        out.append(_Value(index, show(text), entry, day, visit))
    if not out:
        near = did_you_mean(entry.pattern or "", grid.header)
        problems.append(
            Problem(
                grid.file,
                f"no header that matches {quote(entry.pattern or '')}",
                ", ".join(h for h in grid.header if h)[:500],
                suggestion=near,
            )
        )
    return out


def _header_day(groups: MappingABC[str, str | None]) -> float | None:
    """Return the day that a header says, with its time of day as a fraction; None when it is none."""
    try:
        day = float(groups["day"] or "")
        hour, minute = (float(groups.get(part) or 0) for part in ("hour", "minute"))
    except ValueError:
        return None
    if not (abs(day) <= 36_525 and 0 <= hour <= 24 and 0 <= minute < 60):
        return None
    return day + hour / 24 + minute / 1440


class _Reader:
    """Reads row by row and collects results and findings."""

    def __init__(
        self,
        *,
        grid: Grid,
        mapping: Mapping,
        columns: dict[str, int],
        values: list[_Value],
        file_id: str,
        sha256: str,
        first_dates: MappingABC[str, date],
    ) -> None:
        self.grid, self.mapping, self.columns, self.values = grid, mapping, columns, values
        self.file_id, self.sha256, self.first_dates = file_id, sha256, first_dates
        self.results: list[dict[str, object]] = []
        self.qc: list[dict[str, object]] = []
        self.left_out: dict[str, list[int]] = {}
        # Reason -> the test of the mapping that differs by case alone.
        self.nearly: dict[str, str] = {}
        self.ratios = {
            a: json.dumps([r.model_dump() for r in mapping.ratios if r.analyte == a], sort_keys=True)
            for a in {r.analyte for r in mapping.ratios}
        }
        self.ignored = [
            (columns[f"ignore {n}"], set(rule.values)) for n, rule in enumerate(mapping.ignore_rows)
        ]
        self.started: dict[tuple[int, float], Test] = {}

    def find(
        self, check: str, verdict: str, row: int, column: str | None, message: str, **more: object
    ) -> None:
        self.qc.append(
            {
                "check": check,
                "verdict": verdict,
                "source_file": self.file_id,
                "source_row": row,
                "source_column": None if column is None else show(column),
                "message": redact_dates(message),
                **{key: redact_dates(v) if isinstance(v, str) else v for key, v in more.items()},
            }
        )

    def cell(self, role: str, line: Sequence[Any]) -> str:
        index = self.columns.get(role)
        return "" if index is None else _text(line[index])

    def header(self, role: str) -> str:
        return self.grid.header[self.columns[role]]

    def read_row(self, row: int, line: Sequence[Any]) -> None:
        if any(_text(line[index]) in texts for index, texts in self.ignored):
            self.left_out.setdefault("ignore_rows", []).append(row)
            return
        more = self.grid.too_long.get(row)
        if more:
            self.find(
                "row_too_long",
                "fail",
                row,
                None,
                f"The row has {more} more {'cell' if more == 1 else 'cells'} than the header, so that a cell may "
                "stand in a wrong column; the row is left out.",
                value=f"{more} more",
                limit="as many cells as the header",
                suggestion="a decimal comma between commas, a delimiter inside a text, or a header that lacks a name",
            )
            return
        common = self.who_and_when(row, line)
        if common is None:
            return
        if self.mapping.long is None:
            for v in self.values:
                if v.day is None and v.visit is None:
                    own = common
                else:
                    own = dict(common)
                    if v.day is not None:
                        own["day"] = v.day
                    if v.visit is not None:
                        own["visit"] = v.visit
                self.read_value(row, line, v.index, v.name, test=v.test, common=own)
            return
        name = self.cell("analyte", line)
        test = self.mapping.long.tests.get(name)
        if test is None:
            reason = f"test {quote(name)}"
            self.left_out.setdefault(reason, []).append(row)
            near = [t for t in self.mapping.long.tests if fold(t) == fold(name)]
            if near:
                self.nearly[reason] = near[0]
            return
        multiplier = self.unit_factor(row, line, test)
        if multiplier is not None:
            self.read_value(
                row,
                line,
                self.columns["value"],
                self.header("value"),
                test=test,
                common=common,
                multiplier=multiplier,
            )

    def unit_factor(self, row: int, line: Sequence[Any], test: Test) -> float | None:
        if "unit" not in self.columns:
            return 1.0
        text = self.cell("unit", line)
        try:
            # Limits are in the test's unit; a cell in ng/mL is brought to it exactly.
            return factor(canonical(text), test.unit)
        except ValueError:
            self.find(
                "unit",
                "fail",
                row,
                self.header("unit"),
                f"Unit {quote(text)} can't be turned into {test.unit} exactly; the result is left out.",
                value=show(text),
                limit=test.unit,
                limit_source="mapping",
                analyte=test.analyte,
            )
            return None

    def who_and_when(self, row: int, line: Sequence[Any]) -> dict[str, object] | None:
        out: dict[str, object] = {}
        if "sample" in self.columns:
            sample = self.cell("sample", line)
            if not sample:
                self.find(
                    "row_without_sample",
                    "warn",
                    row,
                    self.header("sample"),
                    "The row names no sample and is left out.",
                )
                return None
            if id_fault(sample):
                self.find(
                    "sample_id",
                    "fail",
                    row,
                    self.header("sample"),
                    f"The sample is no id; allowed is {id_fault(sample)}. The row is left out.",
                    value=show(sample),
                )
                return None
            out["sample_id"] = sample
        subject = self.subject(row, line)
        if subject is None and "sample" not in self.columns:
            return None
        out["subject_id"] = subject
        matrix = self.matrix(row, line, subject)
        if matrix is None and "sample" not in self.columns:
            return None
        out["matrix"] = matrix
        visit = self.cell("visit", line)
        if visit and holds_date(visit):
            self.find(
                "date_in_visit",
                "warn",
                row,
                self.header("visit"),
                "The visit holds a calendar date, which was taken out.",
                subject_id=subject,
            )
        out["visit"] = redact_dates(show(visit)) or None
        return out if self.when(row, line, subject, out) else None

    def when(self, row: int, line: Sequence[Any], subject: str | None, out: dict[str, object]) -> bool:
        text = self.cell("infusion", line)
        if text:
            if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= 999):
                self.find(
                    "infusion",
                    "fail",
                    row,
                    self.header("infusion"),
                    f"Infusion {quote(text)} is no number from 1; the row is left out.",
                    value=show(text),
                    subject_id=subject,
                )
                return False
            out["infusion"] = int(text)
        if "day" in self.columns and self.cell("day", line):
            cell = line[self.columns["day"]]
            reading = parse_cell(cell, CellOptions(self.mapping.decimal, self.mapping.thousands))
            if reading.kind != "number" or reading.value is None or abs(reading.value) > 36_525:
                self.find(
                    "day",
                    "fail",
                    row,
                    self.header("day"),
                    f"Day {quote(show(cell))} is no day; the row is left out.",
                    value=show(cell),
                    limit="a number of days",
                    subject_id=subject,
                )
                return False
            out["day"] = reading.value
        if "date" in self.columns and self.cell("date", line):
            study_day = self.study_day(row, line, subject)
            if study_day is None:
                return False
            out["study_day"] = study_day
        return True

    def study_day(self, row: int, line: Sequence[Any], subject: str | None) -> float | None:
        cell = line[self.columns["date"]]
        form = self.mapping.date.format if self.mapping.date is not None else None
        when = (
            cell.date()
            if isinstance(cell, datetime)
            else cell
            if isinstance(cell, date)
            else parse_date(_text(cell), form)
        )
        fault = ""
        if when is None:
            fault = "The cell is no date as the mapping writes dates"
        elif when < EARLIEST:
            fault = "The date is too old for a sample"
        elif subject is None or subject not in self.first_dates:
            fault = "The subject has no date of its first infusion"
        if fault or when is None or subject is None:
            self.find(
                "date",
                "fail",
                row,
                self.header("date"),
                f"{fault}; the row is left out.",
                value="<date>",
                limit=f"a date ({'ISO' if form is None else 'format of the mapping'})",
                subject_id=subject,
            )
            return None
        return days_between(self.first_dates[subject], when)

    def subject(self, row: int, line: Sequence[Any]) -> str | None:
        rule = self.mapping.subject
        if rule is None or "subject" not in self.columns:
            return None
        text = self.cell("subject", line)
        column = self.header("subject")
        if not text:
            if "sample" not in self.columns:
                self.find(
                    "row_without_subject", "warn", row, column, "The row names no subject and is left out."
                )
            return None
        if rule.pattern is not None:
            match = re.fullmatch(rule.pattern, text)
            if match is None:
                self.find(
                    "subject_pattern",
                    "fail",
                    row,
                    column,
                    f"Subject {quote(show(text))} does not fit the mapping's pattern; the row is left out.",
                    value=show(text),
                    limit=rule.pattern,
                    limit_source="mapping",
                )
                return None
            text = match.group("subject") or ""
        text = rule.prefix + text
        allowed = id_fault(text)
        if allowed:
            self.find(
                "subject_id",
                "fail",
                row,
                column,
                f"The subject is no id; allowed is {allowed}. The row is left out.",
                value=show(text),
            )
            return None
        return text

    def matrix(self, row: int, line: Sequence[Any], subject: str | None) -> str | None:
        rule = self.mapping.matrix
        if not isinstance(rule, MatrixColumn):
            return rule
        text = self.cell("matrix", line)
        if not text and "sample" in self.columns:
            return None
        matrix = rule.values.get(text)
        if matrix is None:
            near = did_you_mean(text, rule.values)
            self.find(
                "specimen",
                "warn",
                row,
                self.header("matrix"),
                f"Specimen {quote(show(text))} is none that the mapping lists; the row is left out.",
                value=show(text),
                limit=", ".join(rule.values),
                limit_source="mapping",
                subject_id=subject,
                suggestion=f"perhaps {near}" if near else "an id may have slipped into this column",
            )
        return matrix

    def read_value(
        self,
        row: int,
        line: Sequence[Any],
        index: int,
        column: str,
        *,
        test: Test,
        common: dict[str, object],
        multiplier: float = 1.0,
    ) -> None:
        cell = line[index]
        options = CellOptions(
            self.mapping.decimal, self.mapping.thousands, dict(self.mapping.text), test.unit
        )
        reading = parse_cell(cell, options)
        if isinstance(cell, Percentage) and reading.kind == "number" and test.scale * multiplier != 1.0:
            # Whoever wrote the scale may have meant the stored 0.12, or the 12 % that is shown.
            reading = CellReading(
                "unread",
                note="a percentage that would be scaled again",
                suggestion="take scale out of the mapping",
            )
        about = {
            "subject_id": common.get("subject_id"),
            "sample_id": common.get("sample_id"),
            "analyte": test.analyte,
        }
        flag = self.flag(row, line, test, reading, about)
        if flag is None or (reading.kind == "missing" and not reading.note):
            return
        started = self.with_start(row, line, test, about)
        if started is None:
            return
        test = started
        if test.censored is not None:
            reading, test = by_flag(reading, flag, test, test.scale * multiplier)
        result, remark = to_result(reading, test, test.scale * multiplier)
        note = "; ".join(n for n in (reading.note, remark) if n)
        if note:
            lost = result is None and reading.kind not in {"missing", "not_done"}
            impossible = result is None and reading.kind == "number"
            self.find(
                "impossible_value" if impossible else "cell",
                "fail" if impossible else "warn" if lost else "note",
                row,
                column,
                f"Cell {quote(show(cell))}: {note}{'; no result was taken' if result is None else ''}.",
                **about,
                value=show(cell),
                limit="a plain number",
                limit_source="mapping",
                suggestion=reading.suggestion or None,
            )
        if result is not None:
            self.results.append(
                {
                    **common,
                    **result,
                    "analyte": test.analyte,
                    "assay": test.assay,
                    "unit": test.unit,
                    "ratios": self.ratios.get(test.analyte),
                    "status": "accepted",
                    "source_file": self.file_id,
                    "source_row": row,
                    "source_column": show(column),
                    "source_sha256": self.sha256,
                }
            )

    def flag(
        self,
        row: int,
        line: Sequence[Any],
        test: Test,
        reading: CellReading,
        about: MappingABC[str, object],
    ) -> str | None:
        """Return what the censoring column says of a result, or None when no result can be taken."""
        if test.censored is None:
            return "quantified"
        role = f"censored {test.censored.column}"
        text = self.cell(role, line)
        meaning = test.censored.meaning(text)
        if reading.kind == "missing" and not reading.note:
            if meaning in {None, "quantified"}:
                return None
            fault = "The result is censored, but its cell, which should hold the limit, is empty"
        elif meaning is not None:
            return meaning
        else:
            fault = f"{quote(show(text))} is nothing that the mapping lists"
        self.find(
            "censoring_column",
            "warn",
            row,
            self.header(role),
            f"{fault}; no result was taken.",
            **about,
            value=show(text),
            limit=", ".join(test.censored.values),
            limit_source="mapping",
        )
        return None

    def with_start(
        self, row: int, line: Sequence[Any], test: Test, about: MappingABC[str, object]
    ) -> Test | None:
        """Return the test with the starting dilution of this row as its lloq; None when it is unreadable."""
        rule = test.start or (self.mapping.start if test.unit == TITRE else None)
        if rule is None:
            return test
        role = f"start {rule.column}"
        if not self.cell(role, line):
            return test
        cell = line[self.columns[role]]
        reading = parse_cell(cell, CellOptions(self.mapping.decimal, self.mapping.thousands, unit=TITRE))
        start = reading.value
        if reading.kind != "number" or start is None or start < 1 or start >= (test.uloq or float("inf")):
            self.find(
                "starting_dilution",
                "fail",
                row,
                self.header(role),
                f"Starting dilution {quote(show(cell))} is none; the result is left out.",
                **about,
                value=show(cell),
                limit="10 or 1:10, from 1 and below uloq",
            )
            return None
        key = (id(test), start)
        if key not in self.started:
            self.started[key] = test.model_copy(update={"lloq": start})
        return self.started[key]

    def close(self) -> None:
        """Say which rows were left out on purpose, once for each reason, and whether nothing is left."""
        for reason, numbers in self.left_out.items():
            shown = ", ".join(map(str, numbers[:20])) + (", ..." if len(numbers) > 20 else "")
            noun = "row" if len(numbers) == 1 else "rows"
            self.find(
                "rows_left_out",
                "warn" if reason in self.nearly else "note",
                numbers[0],
                None,
                f"{len(numbers)} {noun} left out ({reason}): {shown}.",
                value=str(len(numbers)),
                limit_source="mapping",
                suggestion=f"perhaps test {quote(self.nearly[reason])}" if reason in self.nearly else None,
            )
        # Rows that were left out one by one tell it already.
        if not self.results and not self.qc:
            self.find(
                "no_results",
                "warn",
                self.mapping.skip_rows + self.mapping.header_rows,
                None,
                f"No result was taken from this file, which has {len(self.grid.cells)} rows below its header.",
                value="0 results",
                limit="at least one",
            )


def by_flag(reading: CellReading, flag: str, test: Test, scale: float) -> tuple[CellReading, Test]:
    """Turn a cell into the limit that another column says it is.

    Parameters
    ----------
    reading
        The cell.
    flag
        quantified, BLQ, BLD or above_uloq, as the censoring column says.
    test
        Analyte, unit and limits.
    scale
        Multiplier that turns the printed number into the test's unit.

    Returns
    -------
    CellReading
        The bound; unread when cell and column contradict each other.
    Test
        The test, with the number as its limit of detection where the flag is BLD.
    """
    if flag == "quantified" or reading.kind in {"missing", "not_done", "unreadable", "unread"}:
        return reading, test
    said = f"as column '{show(test.censored.column)}' says" if test.censored is not None else ""
    below = flag in {"BLQ", "BLD"}
    if reading.kind == "number":
        value = reading.value or 0.0
        if value < 0 or (below and value == 0):
            return CellReading("unread", note=f"a limit, {said}, that no result can keep"), test
        note = "; ".join(n for n in (reading.note, f"read as a bound, {said}") if n)
        reading = replace(reading, kind="below" if below else "above", note=note)
    if below != (reading.kind in {"below", "BLD", "BLQ"}):
        return CellReading(
            "unread", note=f"a result that is {flag}, {said}, and the cell says otherwise"
        ), test
    if flag == "BLD" and reading.kind == "below":
        lod = (reading.value or 0.0) * scale
        lloq = test.lloq if test.lloq is not None and test.lloq >= lod else None
        test = test.model_copy(update={"lod": lod, "lloq": lloq})
    return reading, test


def to_result(reading: CellReading, test: Test, scale: float = 1.0) -> tuple[dict[str, object] | None, str]:
    """Turn what a cell says into a result, by the limits of the test.

    Parameters
    ----------
    reading
        The cell.
    test
        Analyte, unit and limits.
    scale
        Multiplier that turns the printed number into the test's unit.

    Returns
    -------
    dict or None
        value, detection, censoring, lower, upper, lod, lloq, uloq, printed and
        rounding; None when the cell holds no result.
    str
        A remark for qc; empty when there is none.
    """
    lod, lloq, uloq = test.lod, test.lloq, test.uloq
    limits: dict[str, object] = {"lod": lod, "lloq": lloq, "uloq": uloq}
    if reading.kind in {"missing", "not_done", "unreadable", "unread"}:
        return None, ""
    printed = None if reading.value is None else reading.value * scale
    extra: dict[str, object] = limits | {
        "printed": printed if reading.kind == "number" else None,
        "rounding": reading.rounding * scale,
    }
    blq: dict[str, object] = {"detection": "BLQ", "censoring": "left", "lower": lod or 0.0, "upper": lloq}
    bld: dict[str, object] = {
        "detection": "BLD",
        "censoring": "left",
        "lower": 0.0,
        "upper": lod if lod is not None else lloq,
    }
    if test.unit == TITRE and reading.kind in {"BLQ", "BLD"} and lloq is None and lod is None:
        return None, "a negative titre without a starting dilution; give lloq or start in the mapping"
    if reading.kind == "BLQ":
        return extra | blq, ""
    if reading.kind == "BLD":
        return extra | bld, ""
    assert printed is not None
    if reading.kind == "below":
        # A bound of its own counts before the mapping's limit: the run may have had another.
        is_lod = lod is not None and abs(printed - lod) <= 1e-9 * lod
        base = bld if is_lod else blq
        lower = 0.0 if is_lod or (lod is not None and lod >= printed) else (lod or 0.0)
        own = extra | base | {"lower": lower, "upper": printed}
        if not is_lod:
            own["lloq"] = printed
        remark = ""
        if not is_lod and lloq is not None and abs(printed - lloq) > 1e-9 * lloq:
            remark = f"the bound {printed:g} is not the mapping's lloq {lloq:g}"
        return own, remark
    if reading.kind == "above":
        return extra | {
            "detection": "above_uloq",
            "censoring": "right",
            "lower": printed,
            "upper": None,
            "uloq": printed,
        }, ""
    if printed < 0:
        return None, "negative; nothing measured here can be below 0"
    if test.unit == TITRE and printed == 0 and test.zero is None:
        return None, "a titre of 0; zero: BLQ in the mapping says that it means negative"
    if test.unit == TITRE and lloq is not None and 0 < printed < lloq:
        return None, (
            f"a titre below its starting dilution {lloq:g}; if it stands for negative, "
            f'say so in the mapping (text: {{"{printed:g}": BLQ}})'
        )
    bound = (ANALYTES[test.analyte].upper_bound or {}).get(test.unit)
    if bound is not None and printed > bound:
        return None, f"above {bound:g} {test.unit}, which is impossible{_readings(test, printed, bound)}"
    if printed == 0 and test.zero_means != "quantified":
        return extra | (bld if test.zero_means == "BLD" else blq), ""
    if lod is not None and printed < lod:
        return extra | bld, ""
    if lloq is not None and printed < lloq:
        return extra | blq, ""
    if uloq is not None and printed > uloq:
        return extra | {"detection": "above_uloq", "censoring": "right", "lower": uloq, "upper": None}, ""
    return extra | {
        "value": printed,
        "detection": "quantified",
        "censoring": "none",
        "lower": printed,
        "upper": printed * (test.step or 1.0),
    }, ""


def _readings(test: Test, printed: float, bound: float) -> str:
    """Name the readings that would make an impossible number possible."""
    ways = [
        f"{printed / factor(test.unit, unit):g} {test.unit} if it was printed in {unit}"
        for unit in ANALYTES[test.analyte].units
        if (test.unit, unit) in FACTORS and printed <= bound * factor(test.unit, unit)
    ]
    if printed <= 10 * bound:
        ways.append(f"{printed / 10:g} with the decimal mark one place further left")
    return "; " + ", or ".join(ways) if ways else ""
