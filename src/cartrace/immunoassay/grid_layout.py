"""The layout of a plate drawn as a grid in a workbook: rows A to H, columns 1 to 12 (or P, 24).

One grid holds what people write into such a sheet, as SerolyzeR's layouts do: names of samples,
``1/50`` for a standard at that dilution, B, BLANK or BACKGROUND for a blank. Several grids each hold
one column of the layout (sample, task, dilution, ...), and say which in the corner above A, in
the row above them, or as the name of their sheet.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cartrace.immunoassay.readers.grid import grid_rows, header_of_grid, refuse_merged
from cartrace.immunoassay.vocabulary import TASKS
from cartrace.plates.layout_table import NO_REASON, Columns
from cartrace.plates.source import Row, Source, as_text, fold, show
from cartrace.problems import did_you_mean, holds_date

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = Columns(
    ("well", "sample", "task", "target", "nominal", "dilution", "exclude"),
    {
        "nominal": (0.0, 1e15, "a concentration, 0 or more"),
        "dilution": (1.0, 1e9, "how many fold the sample was diluted, 1 or more: 50 means 1 in 50"),
    },
    TASKS,
)
BLANKS = frozenset({"b", "blank", "background"})
_DILUTION = re.compile(r"1\s*[/:]\s*(\d{1,9}(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class _Grid:
    """One grid: the column of the layout that it holds ('' for all), and its cells by well."""

    column: str
    title: str
    row: int
    cells: Mapping[str, tuple[str, int, str]]
    """Well -> text, row, column of the sheet."""


def read_grid_layout(content: bytes, name: str) -> pd.DataFrame:
    """Read and check a layout in a workbook.

    Parameters
    ----------
    content
        Its bytes (xlsx).
    name
        How errors name the file.

    Returns
    -------
    DataFrame
        The columns of COLUMNS, one row for each well of which something is said: text (NA
        where nothing is said) and numbers. ``attrs["name"]`` is ``name``.

    Raises
    ------
    InputError
        When it is no workbook, has no grid of a plate, or grids of which nobody knows what
        they hold; with each cell that can't be what its grid holds.
    """
    source = Source(content, name)
    if not source.is_workbook:
        raise source.refusal("no workbook", "an xlsx file with the plate as a grid")
    grids = [grid for sheet in source.sheet_names for grid in _grids(source, sheet)]
    if not grids:
        raise source.refusal("no grid", "a row 1, 2, ... 12 (or 24) and below it the rows A to H (or P)")
    records: dict[str, dict[str, object]] = {}
    held = [grid.column for grid in grids]
    for grid in grids:
        if len(grids) > 1 and (not grid.column or held.count(grid.column) > 1):
            near = did_you_mean(grid.title, COLUMNS.names[1:])
            found = f"{len(grids)} grids, of which one is called {show(grid.title)}"
            source.problem(found, f"each once: {', '.join(COLUMNS.names[1:])}", grid.row, None, near)
        for well, (text, row, column) in grid.cells.items():
            if text:
                said = _said(source, grid.column, text, row, column)
                records.setdefault(well, {"well": well}).update(said)
    if not records:
        source.problem("empty grids", "a sample in at least one well")
    source.check()
    return COLUMNS.frame([records[w] for w in sorted(records)], name)


def _grids(source: Source, sheet: str) -> Iterator[_Grid]:
    rows = source.sheet(sheet)
    at = 0
    while at < len(rows):
        place = header_of_grid(rows[at])
        if place is None:
            at += 1
            continue
        first, count = place
        end = at + 1
        while end < len(rows) and not rows[end].is_blank and header_of_grid(rows[end]) is None:
            end += 1
        body = _up_to_title(rows[at + 1 : end], first, count)
        title, column = _title(rows, at, first, sheet)
        drawn = grid_rows(source, rows[at], body, exact=False)
        refuse_merged(source, sheet, rows[at], body[-1].number if body else 0)
        for again in (r for n, r in enumerate(drawn) if r.letter in {d.letter for d in drawn[:n]}):
            source.problem(f"a second row for {again.letter}", "one row for each letter", again.number)
        cells = {well: (text, row.number, number) for row in drawn for well, number, text in row.wells()}
        yield _Grid(column, title, rows[at].number, cells)
        at = end


def _up_to_title(rows: Sequence[Row], first: int, count: int) -> Sequence[Row]:
    """Leave out a last row that is the title of the next grid: text, but in no cell of the plate."""
    if rows and not any(rows[-1].texts()[first : first + count]) and len(rows[-1].texts()[first - 1]) > 1:
        return rows[:-1]
    return rows


def _title(rows: Sequence[Row], at: int, first: int, sheet: str) -> tuple[str, str]:
    """Return the title of a grid as written, and the column of the layout that it means ('' for none)."""
    above = [t for t in rows[at - 1].texts() if t] if at else []
    titles = [rows[at].texts()[first - 1], above[0] if len(above) == 1 else "", sheet]
    for title in titles:
        if fold(title) in COLUMNS.names[1:]:
            return title, fold(title)
    return next((t for t in titles if t), ""), ""


def _said(source: Source, of: str, text: str, row: int, column: str) -> dict[str, object]:
    """Return what a cell says of its well."""
    if holds_date(text):
        source.problem(
            "a calendar date", "text without a date; a workbook may have made one of 1/12", row, column
        )
    elif not text.isprintable() or len(text) > 200:
        source.problem("a cell that is too long or not printable", "at most 200 characters", row, column)
    elif not of:
        if match := _DILUTION.fullmatch(text):
            number = _number(source, "dilution", match[1], row, column)
            return {"sample": text, "task": "standard", "dilution": number}
        return {"sample": text, "task": "blank" if fold(text) in BLANKS else None}
    elif of in COLUMNS.numbers:
        match = _DILUTION.fullmatch(text) if of == "dilution" else None
        return {of: _number(source, of, match[1] if match else text, row, column)}
    elif of == "task" and text.casefold() not in TASKS:
        source.problem(show(text), ", ".join(TASKS), row, column, did_you_mean(text, TASKS))
    elif of == "exclude" and text.casefold() in NO_REASON:
        source.problem(show(text), "why the well is left out, or nothing where it counts", row, column)
    else:
        return {of: text.casefold() if of == "task" else text}
    return {}


def _number(source: Source, of: str, text: str, row: int, column: str) -> float:
    low, high, meaning = COLUMNS.numbers[of]
    value = float(text) if re.fullmatch(r"\d{1,15}(\.\d*)?([eE][+-]?\d{1,2})?", as_text(text)) else math.nan
    if not low <= value <= high:
        source.problem(show(text), meaning, row, column)
    return value
