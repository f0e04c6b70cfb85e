"""QuantStudio Design & Analysis, and the workbooks of the older QuantStudio software.

The sheet is found by its header: one with a standard curve is preferred, since it
holds the quantities.
"""

from __future__ import annotations

import re

from cartrace.pcr.plate import Plate
from cartrace.pcr.readers.plate_wells import plate_wells
from cartrace.pcr.readers.quantstudio_txt import CQ, read_results, to_blank_row
from cartrace.plates.source import Row, Source, TableReader, find_header
from cartrace.problems import did_you_mean, redact_dates

NAME = "quantstudio_xlsx"
LOOKED_FOR = "a workbook with a sheet that has the columns Well Position, Target, Task and Cq (or CT, CRT)"

TOP = 80
"""Rows in which the header is looked for; some 20 to 40 lines of settings stand above it."""
_HEADER = (("Well Position",), ("Target", "Target Name"), ("Task",), CQ)


def recognise(source: Source) -> bool:
    """Say whether a sheet has the header of results."""
    return source.is_workbook and bool(_candidates(source))


def _candidates(source: Source) -> dict[str, bool]:
    """Names of the sheets with results -> whether they hold a standard curve."""
    found = {}
    for name in source.sheet_names:
        top = source.sheet(name, TOP)
        at = find_header(top, *_HEADER)
        if at is not None:
            found[name] = find_header([top[at]], ("Slope",), ("Quantity",)) is not None
    return found


def read(source: Source) -> Plate:
    """Read the sheet with the results.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    rows = source.sheet(_chosen(source))
    at = find_header(rows, *_HEADER)
    assert at is not None
    width = max(i for i, text in enumerate(rows[at].texts()) if text) + 1
    below = to_blank_row(source, rows[at + 1 :])
    table = TableReader(source, _cut(rows[at], width), [_cut(r, width) for r in below])
    settings = {t[0]: t[1] for row in rows[:at] if len(t := row.texts()) > 1}
    wells = plate_wells(source, read_results(table))
    software = re.fullmatch(r"(.*?)\s*v?([\d.]*)", settings.get("Software Name and Version", ""))
    return Plate(
        NAME,
        "qpcr",
        wells,
        instrument=redact_dates(settings.get("Instrument Type", "")),
        software=redact_dates(software[1]) if software else "",
        software_version=redact_dates(software[2]) if software else "",
    )


def _chosen(source: Source) -> str:
    candidates = _candidates(source)
    if source.options.sheet:
        if source.options.sheet not in candidates:
            near = did_you_mean(source.options.sheet, candidates)
            source.problem(
                "no such sheet with results", ", ".join(candidates), column="read: sheet", suggestion=near
            )
            source.check()
        return source.options.sheet
    best = [n for n, curve in candidates.items() if curve] or list(candidates)
    if len(best) > 1:
        raise source.refusal(f"{len(best)} sheets with results", f"read: {{sheet: one of {', '.join(best)}}}")
    return best[0]


def _cut(row: Row, width: int) -> Row:
    """Give a row of a sheet the width of its header: a sheet leaves out empty cells at the end."""
    cells = row.cells[:width]
    return Row(row.number, (*cells, *[""] * (width - len(cells))))
