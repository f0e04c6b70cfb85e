"""The layout: what the laboratory says of each well, as a table or as grids in a workbook."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping

import pandas as pd

from cartrace.immunoassay.grid_layout import COLUMNS, NUMBERS, read_grid_layout
from cartrace.immunoassay.vocabulary import TASKS
from cartrace.intake.sheets import quote, to_number
from cartrace.plates.plate import well_name
from cartrace.plates.source import Source
from cartrace.problems import InputError, Problem, did_you_mean, holds_date, raise_if_any

NO_REASON = frozenset({"x", "y", "yes", "true", "1", "n", "no", "false", "0", "exclude", "excluded", "-"})


def read_layout(content: bytes, name: str) -> pd.DataFrame:
    """Read and check a layout.

    Parameters
    ----------
    content
        A text with cells divided by tabs, commas or semicolons and the header first, or a
        workbook (see :mod:`cartrace.immunoassay.grid_layout`).
    name
        How errors name the file.

    Returns
    -------
    DataFrame
        The columns of COLUMNS: text (NA where a cell is empty) and numbers. A row without
        a target is about all targets of its well. ``attrs["name"]`` is ``name``.

    Raises
    ------
    InputError
        With every unknown column and task, every number that can't be one, every well
        that stands twice for one target, every exclusion without a reason.
    """
    source = Source(content, name)
    if source.is_zip:
        return read_grid_layout(content, name)
    problems: list[Problem] = []
    records = []
    seen: dict[tuple[str, str], int] = {}
    for number, cells in _rows(source.text, name, problems):
        record, faults = _record(cells)
        problems += [Problem(name, found, allowed, number, c, near) for c, found, allowed, near in faults]
        place = (str(record["well"] or ""), str(record["target"] or "").casefold())
        if place[0] and place in seen:
            of = f" for the target {quote(str(record['target']))}" if record["target"] else ""
            found = f"the well {quote(place[0])} again{of}"
            problems.append(Problem(name, found, f"each once; it is in row {seen[place]}", number, "well"))
        seen.setdefault(place, number)
        records.append(record)
    if not records:
        problems.append(Problem(name, "no well", "a row for each well that the layout is about", 2))
    raise_if_any(problems)
    out = pd.DataFrame(records, columns=list(COLUMNS))
    out = out.astype({c: "float64" if c in NUMBERS else "string" for c in COLUMNS})
    out.attrs["name"] = name
    return out


def _rows(text: str, name: str, problems: list[Problem]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row that is not empty with its number; tell what is wrong with the header."""
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
        raise InputError([Problem(name, found, f"a header row: {', '.join(COLUMNS)}", 1)])
    for n, column in enumerate(header):
        if column in COLUMNS and header.index(column) != n:
            problems.append(Problem(name, "the column twice", "each column once", 1, column))
        elif column not in COLUMNS and (column or any(len(c) > n and c[n].strip() for _, c in lines[1:])):
            near = did_you_mean(column, COLUMNS)
            found, place = f"unknown column {quote(column)}", column[:60] or f"number {n + 1}"
            problems.append(Problem(name, found, ", ".join(COLUMNS), 1, place, near))
    for number, cells in lines[1:]:
        if not any(c.strip() for c in cells):
            continue
        if any(c.strip() for c in cells[len(header) :]):
            problems.append(Problem(name, f"{len(cells)} cells", f"{len(header)} cells", number))
        yield number, {c: cell.strip() for c, cell in zip(header, cells, strict=False) if c in COLUMNS}


_Fault = tuple[str | None, str, str, str]
"""Column, what was found, what is allowed, a suggestion."""


def _record(cells: Mapping[str, str]) -> tuple[dict[str, str | float | None], list[_Fault]]:
    """Turn one row into its values, and say what is wrong with it."""
    faults: list[_Fault] = []
    record: dict[str, str | float | None] = {c: cells.get(c) or None for c in COLUMNS}
    for column, cell in cells.items():
        if not cell.isprintable():
            faults.append((column, "a control character", "printable text", ""))
        elif len(cell) > 200:
            faults.append((column, f"{len(cell)} characters", "at most 200", ""))
        elif column not in NUMBERS and holds_date(cell):
            faults.append((column, "a calendar date", "text without a date", ""))
    if not cells.get("well"):
        faults.append(("well", "nothing", "a well, as A01", ""))
    elif not any(cell for column, cell in cells.items() if column not in {"well", "target"}):
        faults.append((None, "nothing about the well", f"one of {', '.join(COLUMNS[1:])}", ""))
    record["well"] = well_name(cells.get("well", "")) or None
    task = cells.get("task", "").casefold()
    if task and task not in TASKS:
        faults.append(("task", quote(task), ", ".join(TASKS), did_you_mean(task, TASKS)))
    record["task"] = task or None
    for column, (low, high, meaning) in NUMBERS.items():
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
