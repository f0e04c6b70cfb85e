"""What the laboratory says of each well of a plate, as a table: the plate map of PCR, the layout of an immunoassay."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from cartrace.intake.sheets import quote, to_number
from cartrace.plates.plate import well_name
from cartrace.problems import InputError, Problem, did_you_mean, holds_date, raise_if_any

NO_REASON = frozenset({"x", "y", "yes", "true", "1", "n", "no", "false", "0", "exclude", "excluded", "-"})
"""What people write into ``exclude`` that gives no reason."""


_MAX_COLUMNS = 1000


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of such a table: ``well``, ``sample``, ``task``, ``target``, ``exclude`` and numbers."""

    names: tuple[str, ...]
    numbers: Mapping[str, tuple[float, float, str]]
    """Column -> lowest, highest, and what is allowed in words."""
    tasks: tuple[str, ...]

    def frame(self, records: list[dict[str, object]], name: str) -> pd.DataFrame:
        """Make the table: text (NA where a cell is empty) and numbers. ``attrs["name"]`` is ``name``."""
        out = pd.DataFrame(records, columns=list(self.names))
        out = out.astype({c: "float64" if c in self.numbers else "string" for c in self.names})
        out.attrs["name"] = name
        return out


def read_table(text: str, name: str, columns: Columns, what: str) -> pd.DataFrame:
    """Read and check such a table.

    Parameters
    ----------
    text
        Cells divided by tabs, commas or semicolons, the header first.
    name
        How errors name the file.
    columns
        What it may hold.
    what
        How errors call the table: ``map``, ``layout``.

    Returns
    -------
    DataFrame
        The columns, in rows as the table has them: text (NA where a cell is empty) and numbers.
        A row without a target is about all targets of its well. ``attrs["name"]`` is ``name``.

    Raises
    ------
    InputError
        With every unknown column and task, every number that can't be one, every well
        that stands twice for one target, every exclusion without a reason.
    """
    problems: list[Problem] = []
    seen: dict[tuple[str, str], int] = {}
    records: list[dict[str, object]] = []
    for number, cells in _rows(text.removeprefix("\ufeff"), name, columns, problems):
        record, faults = _record(cells, columns)
        problems += [Problem(name, found, allowed, number, c, near) for c, found, allowed, near in faults]
        place = (str(record["well"] or ""), str(record["target"] or "").casefold())
        if place[0] and place in seen:
            of = f" for the target {quote(str(record['target']))}" if record["target"] else ""
            found = f"the well {quote(place[0])} again{of}"
            problems.append(Problem(name, found, f"each once; it is in row {seen[place]}", number, "well"))
        seen.setdefault(place, number)
        records.append(record)
    if not records:
        problems.append(Problem(name, "no well", f"a row for each well that the {what} is about", 2))
    raise_if_any(problems)
    return columns.frame(records, name)


def _rows(
    text: str, name: str, columns: Columns, problems: list[Problem]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row that is not empty with its number; tell what is wrong with the header."""
    listed = ", ".join(columns.names)
    header_line = text.split("\n", 1)[0]
    delimiter = max("\t,;", key=header_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = list(enumerate(reader, 1))
    except csv.Error as error:
        raise InputError([Problem(name, f"broken text ({error})", "a table", reader.line_num)]) from None
    header = [c.strip().casefold() for c in lines[0][1]] if lines else []
    if "well" not in header:
        found = "no column 'well'" if any(header) else "an empty file"
        raise InputError([Problem(name, found, f"a header row: {listed}", 1)])
    if len(header) > _MAX_COLUMNS:
        # Each unknown column costs a search for the nearest name: a million of them take minutes.
        raise InputError([Problem(name, f"{len(header)} columns", f"a header row: {listed}", 1)])
    for n, column in enumerate(header):
        if column in columns.names and header.index(column) != n:
            problems.append(Problem(name, "the column twice", "each column once", 1, column))
        elif column not in columns.names and (
            column or any(len(c) > n and c[n].strip() for _, c in lines[1:])
        ):
            near = did_you_mean(column, columns.names)
            found, place = f"unknown column {quote(column)}", column[:60] or f"number {n + 1}"
            problems.append(Problem(name, found, listed, 1, place, near))
    for number, cells in lines[1:]:
        if not any(c.strip() for c in cells):
            continue
        if any(c.strip() for c in cells[len(header) :]):
            problems.append(Problem(name, f"{len(cells)} cells", f"{len(header)} cells", number))
        yield (
            number,
            {c: cell.strip() for c, cell in zip(header, cells, strict=False) if c in columns.names},
        )


_Fault = tuple[str | None, str, str, str]
"""Column, what was found, what is allowed, a suggestion."""


def _record(cells: Mapping[str, str], columns: Columns) -> tuple[dict[str, object], list[_Fault]]:
    """Turn one row into its values, and say what is wrong with it."""
    faults: list[_Fault] = []
    record: dict[str, object] = {c: cells.get(c) or None for c in columns.names}
    for column, cell in cells.items():
        if not cell.isprintable():
            faults.append((column, "a control character", "printable text", ""))
        elif len(cell) > 200:
            faults.append((column, f"{len(cell)} characters", "at most 200", ""))
        elif column not in columns.numbers and holds_date(cell):
            faults.append((column, "a calendar date", "text without a date", ""))
    if not cells.get("well"):
        faults.append(("well", "nothing", "a well, as A01", ""))
    elif not any(cell for column, cell in cells.items() if column not in {"well", "target"}):
        faults.append((None, "nothing about the well", f"one of {', '.join(columns.names[1:])}", ""))
    record["well"] = well_name(cells.get("well", "")) or None
    task = cells.get("task", "").casefold()
    if task and task not in columns.tasks:
        faults.append(("task", quote(task), ", ".join(columns.tasks), did_you_mean(task, columns.tasks)))
    record["task"] = task or None
    for column, (low, high, meaning) in columns.numbers.items():
        text = cells.get(column, "")
        value = to_number(text)
        if text and (value is None or not low <= value <= high):
            faults.append((column, quote(text), meaning, ""))
        record[column] = math.nan if value is None else value
    if cells.get("exclude", "").casefold() in NO_REASON:
        faults.append(
            ("exclude", quote(cells["exclude"]), "why the well is left out, or nothing where it counts", "")
        )
    return record, faults
