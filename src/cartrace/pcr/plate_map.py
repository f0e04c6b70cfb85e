"""The plate map: what the laboratory says of each well, beside what the instrument's file says."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator

import pandas as pd

from cartrace.intake.sheets import quote, to_number
from cartrace.pcr.plate import well_name
from cartrace.pcr.vocabulary import TASKS
from cartrace.problems import InputError, Problem, did_you_mean, holds_date, raise_if_any

COLUMNS = (
    "well",
    "sample",
    "task",
    "target",
    "nominal",
    "dna_ng",
    "dilution",
    "template_ul",
    "exclude",
)
NUMBERS = {
    "nominal": (0.0, 1e12, "copies per reaction, 0 or more"),
    "dna_ng": (1e-6, 100_000.0, "ng of DNA in the reaction, above 0"),
    "dilution": (1.0, 1e9, "how many fold the eluate was diluted, 1 or more: 5 means 1 in 5"),
    "template_ul": (1e-3, 1_000.0, "uL of eluate in the reaction, above 0"),
}
NO_REASON = frozenset({"x", "y", "yes", "true", "1", "n", "no", "false", "0", "exclude", "excluded", "-"})


def read_plate_map(text: str, name: str) -> pd.DataFrame:
    """Read and check a plate map.

    Parameters
    ----------
    text
        The table: cells divided by tabs, commas or semicolons, the header first.
    name
        How errors name the file.

    Returns
    -------
    DataFrame
        The columns of COLUMNS, in rows as the table has them: text (NA where a cell is
        empty) and numbers. A row without a target is about all targets of its well.
        ``attrs["name"]`` is ``name``.

    Raises
    ------
    InputError
        With every unknown column and task, every number that can't be one, every well
        that stands twice for one target, every exclusion without a reason.
    """
    problems: list[Problem] = []
    rows = list(_rows(text, name, problems))
    seen: dict[tuple[str, str], int] = {}
    records = []
    for number, cells in rows:
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
        problems.append(Problem(name, "no well", "a row for each well that the map is about", 2))
    raise_if_any(problems)
    out = pd.DataFrame(records, columns=list(COLUMNS))
    out = out.astype({c: "float64" if c in NUMBERS else "string" for c in COLUMNS})
    out.attrs["name"] = name
    return out


def _rows(text: str, name: str, problems: list[Problem]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row that is not empty with its number; tell what is wrong with the header."""
    text = text.removeprefix("\ufeff")
    header_line = text.split("\n", 1)[0]
    delimiter = max("\t,;", key=header_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = list(enumerate(reader, 1))
    except csv.Error as error:
        raise InputError([Problem(name, f"broken text ({error})", "a table", reader.line_num)]) from None
    header = [c.strip().casefold() for c in lines[0][1]] if lines else []
    if "well" not in header:
        found = "an empty file" if not any(header) else "no column 'well'"
        raise InputError([Problem(name, found, f"a header row: {', '.join(COLUMNS)}", 1)])
    for n, column in enumerate(header):
        if column in COLUMNS and header.index(column) != n:
            problems.append(Problem(name, "the column twice", "each column once", 1, column))
        elif column not in COLUMNS and (column or any(len(c) > n and c[n].strip() for _, c in lines[1:])):
            found = f"unknown column {quote(column)}"
            near = did_you_mean(column, COLUMNS)
            problems.append(
                Problem(name, found, ", ".join(COLUMNS), 1, column[:60] or f"number {n + 1}", near)
            )
    for number, cells in lines[1:]:
        if not any(c.strip() for c in cells):
            continue
        if any(c.strip() for c in cells[len(header) :]):
            problems.append(Problem(name, f"{len(cells)} cells", f"{len(header)} cells", number))
        yield number, {c: cell.strip() for c, cell in zip(header, cells, strict=False) if c in COLUMNS}


_Fault = tuple[str | None, str, str, str]
"""Column, what was found, what is allowed, a suggestion."""


def _record(cells: dict[str, str]) -> tuple[dict[str, str | float | None], list[_Fault]]:
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
