"""Bio-Rad CFX Maestro and CFX Manager: Quantification Cq Results as csv, text or xlsx."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cartrace.pcr.plate import Plate, well_name
from cartrace.pcr.readers.plate_wells import plate_wells
from cartrace.plates.source import Row, Source, TableReader, find_header, show
from cartrace.problems import redact_dates

NAME = "cfx_maestro"
LOOKED_FOR = "a table (csv or xlsx) with the columns Well, Fluor, Content and Cq"

TOP = 60
"""Rows in which the header is looked for; lines about the run may stand above it."""
_HEADER = (("Well",), ("Fluor",), ("Content",), ("Cq", "C(t)"))
_NUMBER = re.compile(r"(.*?)[\s-]*\d*")
CONTENTS = {
    "unkn": "unknown",
    "std": "standard",
    "ntc": "ntc",
    "neg ctrl": "negative_control",
    "pos ctrl": "positive_control",
    "nrt": "other",
}
"""Content without its number: Std-01 is Std."""
NO_CQ = frozenset({"nan", "n/a"})
NO_QUANTITY = frozenset({"nan", "n/a"})


def recognise(source: Source) -> bool:
    """Say whether one of the first rows is the header."""
    return _table(source) is not None


def _table(source: Source) -> tuple[Sequence[Row], int] | None:
    if source.is_workbook:
        for name in source.sheet_names:
            at = find_header(source.sheet(name, TOP), *_HEADER)
            if at is not None:
                return source.sheet(name), at
        return None
    for number, line in enumerate(source.lines[:TOP], 1):
        for delimiter in (",", ";", "\t"):
            head = Row(number, tuple(cell.strip('" ') for cell in line.split(delimiter)))
            if find_header([head], *_HEADER) is not None:
                return source.table(delimiter, number), 0
    return None


def read(source: Source) -> Plate:
    """Read the table.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    found = _table(source)
    assert found is not None
    rows, at = found
    table = TableReader(source, rows[at], rows[at + 1 :])
    if not source.is_workbook:
        table.same_width()
    return Plate(
        NAME,
        "qpcr",
        plate_wells(source, [_record(table, row) for row in table.rows]),
        software="CFX Maestro or CFX Manager",
        instrument=redact_dates("Bio-Rad CFX"),
    )


def _record(table: TableReader, row: Row) -> dict[str, object]:
    content = table.text(row, "Content")
    kind = _NUMBER.fullmatch(content)
    task = CONTENTS.get(kind[1].casefold() if kind else "")
    if task is None:
        table.source.problem(
            show(content) if content else "an empty cell",
            "Unkn, Std, NTC, Neg Ctrl, Pos Ctrl or NRT, and a number",
            row.number,
            "Content",
        )
    well = well_name(table.text(row, "Well"))
    if not well:
        table.source.problem("no well", "a well such as A01", row.number, "Well")
    fluor = table.text(row, "Fluor")
    target = table.text(row, "Target", "Target Name") or fluor
    if not target:
        table.source.problem("no target and no fluorophore", "one of them", row.number, "Target")
    none = table.text(row, "Cq", "C(t)").casefold() in NO_CQ
    cq = table.number(row, "Cq", "C(t)", missing=NO_CQ)
    quantity = table.number(row, "Starting Quantity (SQ)", "Starting Quantity", lowest=0, missing=NO_QUANTITY)
    return {
        "well": well,
        "sample_name": table.text(row, "Sample", "Sample Name") or None,
        "target": target,
        "reporter": fluor or None,
        "task": task,
        "omitted": False,
        "cq": cq,
        "cq_kind": "undetermined" if none else "missing" if cq is None else "quantified",
        "nominal": quantity if task == "standard" else None,
        "vendor_quantity": None if task == "standard" else quantity,
        "source_row": row.number,
    }
