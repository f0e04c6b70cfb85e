"""A plate drawn as a grid in a csv, a text or a workbook: letters at the left, numbers on top.

Several grids are several analytes, named by the line above each (or by their sheet), or
several reads of one analyte. Samples come from a layout.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cartrace.immunoassay.plate import Plate
from cartrace.immunoassay.readers import (
    bioplex_workbook,
    gen5,
    magellan,
    methodical,
    msd_workbench,
    softmax_pro,
)
from cartrace.immunoassay.readers.grid import (
    OVERFLOW,
    ROWS_OF,
    GridRow,
    Read,
    Reading,
    choose_read,
    grid_rows,
    header_of_grid,
    names_a_read,
    number_or_word,
    refuse_merged,
)
from cartrace.immunoassay.readers.plate_wells import plate_wells
from cartrace.plates.source import Row, Source, fold, show

NAME = "plain_grid"
LOOKED_FOR = "a grid (csv, text or xlsx) with the numbers 1 to 12 or 1 to 24 on top and letters at the left"

SIGNS = frozenset({"+", "-", "+/-", "(+)", "++", "+++", "++++", "pos", "neg", "positive", "negative"})
"""What a reader of a cell-based assay writes in place of a number."""
_END_POINT = re.compile(r"(<=?|>=?|[\u2264\u2265])?\s*1\s*[:/]\s*\d+(\.\d+)?")
"""An end point of a titre that was typed in: 1:40, <1:10, >= 1:320."""
_TIME = re.compile(r"\d{1,2}:\d{2}:\d{2}")
_SKIPPED = frozenset({"", "<>"})


@dataclass(frozen=True, slots=True)
class Block:
    """One grid of a file, with the title above it and the sheet that it is on."""

    title: str
    sheet: str
    rows: list[GridRow]


def recognise(source: Source) -> bool:
    """Say whether there is a grid, and the file is not one of a program that draws grids too."""
    others = (softmax_pro, gen5, methodical, magellan, msd_workbench, bioplex_workbook)
    if any(f.recognise(source) for f in others):
        return False
    if source.is_workbook:
        return any(header_of_grid(r) for n in source.sheet_names for r in source.sheet(n, 200))
    if source.is_zip:
        return False
    return delimiter_of(source) != ""


def delimiter_of(source: Source) -> str:
    """Return what stands between the numbers of a grid's header; empty when there is none."""
    for line in source.lines:
        for delimiter in ("\t", ";", ","):
            if header_of_grid(Row(1, tuple(c.strip('" ') for c in line.split(delimiter)))):
                return delimiter
    return ""


def read(source: Source) -> Plate:
    """Read the grids.

    Raises
    ------
    InputError
        With every problem of the file; when the titles don't tell analytes from reads.
    """
    blocks = read_blocks(source, sheet=source.options.sheet)
    grids = [
        (b, {w: r for w, r in _readings(source, b).items() if r.signal is not None or r.status})
        for b in blocks
    ]
    source.check()
    titles = [b.title or b.sheet for b in blocks]
    wanted = source.options.wavelength
    if len(blocks) == 1 or wanted or all(names_a_read(t) for t in titles):
        reads = [Read(t, wells) for t, (_, wells) in zip(titles, grids, strict=True)]
        if len(blocks) == 1 and not titles[0]:
            # Nothing names the only grid, so nothing can contradict the assay file.
            wanted = ""
        chosen = choose_read(source, reads, wanted)
        named = [("", chosen.wells)]
    else:
        if not all(titles) or len({fold(t) for t in titles}) < len(titles):
            raise source.refusal(
                f"{len(blocks)} grids, not each with a title of its own",
                "above each grid the analyte or the wavelength that it holds",
            )
        if any(names_a_read(t) for t in titles):
            raise source.refusal(
                "titles of analytes and of reads", "either, or wavelength in the assay file to choose a read"
            )
        named = [(t, wells) for t, (_, wells) in zip(titles, grids, strict=True)]
    records = [
        {
            "well": well,
            "target": target or None,
            "signal": reading.signal,
            "vendor_status": reading.status or None,
            "source_row": reading.row,
            "source_column": reading.column,
        }
        for target, wells in named
        for well, reading in wells.items()
    ]
    return Plate(NAME, plate_wells(source, records))


def read_blocks(source: Source, sheet: str = "") -> list[Block]:
    """Return the grids of a file; ``sheet`` names the only one that is read.

    Raises
    ------
    InputError
        When rows of a grid are missing, or a row looks like one of a grid that has no header.
    """
    if not source.is_workbook:
        if sheet:
            raise source.refusal(f"no sheet {show(sheet)}", "read: {sheet: ...} only for a workbook")
        rows = source.table(delimiter_of(source))
        found = _blocks(source, rows, "")
        if (
            found
            and found[-1].rows[-1].number == len(source.lines)
            and not source.text.endswith(("\n", "\r"))
        ):
            source.problem(
                "a last line without its end; perhaps the file was cut", "a file that ends with a line end"
            )
        source.check()
        return found
    if sheet and sheet not in source.sheet_names:
        raise source.refusal(
            f"no sheet {show(sheet)}", f"read: {{sheet: one of {', '.join(source.sheet_names)}}}"
        )
    found = []
    for name in [sheet] if sheet else source.sheet_names:
        rows = source.sheet(name)
        if any(header_of_grid(r) for r in rows):
            found += _blocks(source, rows, name)
    source.check()
    return found


def _blocks(source: Source, rows: Sequence[Row], sheet: str) -> list[Block]:
    found: list[Block] = []
    at = 0
    title = ""
    while at < len(rows):
        row = rows[at]
        place = header_of_grid(row)
        texts = [t for t in row.texts() if t]
        if place is None:
            if len(texts) > 2:
                source.problem(
                    f"a row of {len(texts)} cells outside a grid",
                    "a title, or rows A, B, ... below the row of numbers",
                    row.number,
                )
            # Only the line right above a grid is its title.
            title = texts[0] if len(texts) == 1 else ""
            at += 1
            continue
        first, count = place
        corner = row.texts()[first - 1]
        beside = [t for i, t in enumerate(row.texts()) if t and not first - 1 <= i < first + count]
        below = rows[at + 1 : at + 1 + ROWS_OF[count]]
        if beside or any(
            t for r in below for i, t in enumerate(r.texts()) if i < first - 1 or i >= first + count
        ):
            source.problem(
                "cells beside the grid", "nothing left of the letters and right of the grid", row.number
            )
            source.check()
        lines = grid_rows(source, row, below, exact=not sheet)
        if len(lines) != len(below):
            source.check()
        if sheet:
            refuse_merged(source, sheet, row, below[-1].number if below else 0)
        found.append(Block(title or ("" if corner in _SKIPPED else corner), sheet, lines))
        title = ""
        at += 1 + ROWS_OF[count]
    return found


def _readings(source: Source, block: Block) -> dict[str, Reading]:
    found = {}
    for row in block.rows:
        for well, column, text in row.wells():
            if fold(text) in SIGNS or _END_POINT.fullmatch(text):
                found[well] = Reading(None, text, row.number, column)
            elif _TIME.fullmatch(text):
                source.problem(
                    show(text), "a titre as text; a spreadsheet program made a time of it", row.number, column
                )
            else:
                found[well] = Reading(
                    *number_or_word(source, text, row.number, column, OVERFLOW), row.number, column
                )
    return found
