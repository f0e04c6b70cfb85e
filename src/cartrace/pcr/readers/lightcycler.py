"""Roche LightCycler 480: the text export of an absolute quantification, in both column forms.

The file names no target: the filter combination stands for it. A Cp that is not
there means that none was found. The real exports are only known from public code
that reads them (docs/pcr_formats.md).
"""

from __future__ import annotations

import re

from cartrace.pcr.plate import Plate, well_name
from cartrace.pcr.readers.plate_wells import plate_wells
from cartrace.plates.source import Row, Source, TableReader, fold

NAME = "lightcycler"
LOOKED_FOR = "a tab-separated table with the columns Include or Inc, Pos, Name, Cp and Standard"

TOP = 10
_FILTER = re.compile(r"Selected Filter:\s*(.+?)\s*$")
TYPES = {
    "unknown": "unknown",
    "standard": "standard",
    "std": "standard",
    "negative control": "negative_control",
    "positive control": "positive_control",
    "ntc": "ntc",
}


def recognise(source: Source) -> bool:
    """Say whether one of the first lines is the header."""
    return _header(source) is not None


def _header(source: Source) -> int | None:
    for number, line in enumerate(source.lines[:TOP], 1):
        names = {fold(cell.strip('"')) for cell in line.split("\t")}
        if names & {"include", "inc"} and names >= {"pos", "name", "cp", "standard"}:
            return number
    return None


def read(source: Source) -> Plate:
    """Read the table.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    number = _header(source)
    assert number is not None
    filters = [m[1] for line in source.lines[: number - 1] if (m := _FILTER.search(line.strip('"\t ')))]
    rows = source.table("\t", number)
    table = TableReader(source, rows[0], rows[1:])
    table.same_width()
    if fold(table.names[-1]) in {"cp", "concentration", "standard"}:
        table.whole_last_cell()
    channel = filters[0] if filters else "Cp"
    return Plate(
        NAME,
        "qpcr",
        plate_wells(source, [_record(table, row, channel) for row in table.rows]),
        instrument="LightCycler 480",
    )


def _record(table: TableReader, row: Row, channel: str) -> dict[str, object]:
    well = well_name(table.text(row, "Pos"))
    if not well:
        table.source.problem("no well", "a well such as A1", row.number, "Pos")
    nominal = table.number(row, "Standard", lowest=0)
    by_quantity = "standard" if nominal else "unknown"
    task = table.word(row, TYPES, "Type") if table.has("Type") else by_quantity
    cq = table.number(row, "Cp")
    omitted = not table.flag(row, "Include", "Inc")
    absent = "missing" if omitted else "undetermined"
    return {
        "well": well,
        "sample_name": table.text(row, "Name") or None,
        "target": channel,
        "reporter": channel,
        "task": task,
        "omitted": omitted,
        "cq": cq,
        "cq_kind": absent if cq is None else "quantified",
        "nominal": nominal or None,
        "vendor_quantity": None if task == "standard" else table.number(row, "Concentration", lowest=0),
        "vendor_status": table.text(row, "Status") or None,
        "source_row": row.number,
    }
