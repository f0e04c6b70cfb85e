"""MSD Discovery Workbench: the table of results, as csv, text or a sheet of a workbook.

One row for each analyte of each well. ``Calc. Concentration`` is that of the row's well.
"""

from __future__ import annotations

import re

from cartrace.immunoassay.plate import Plate
from cartrace.immunoassay.readers.grid import one_of
from cartrace.immunoassay.readers.plate_wells import plate_wells
from cartrace.plates.plate import well_name
from cartrace.plates.source import Row, Source, TableReader, find_header, fold, show

NAME = "msd_workbench"
LOOKED_FOR = "a table (csv, text or xlsx) with the columns Sample, Assay, Well, Spot, Signal"

_HEADER = (("Sample",), ("Assay",), ("Well",), ("Spot",), ("Signal",))
_READ = ("Signal", "Concentration", "Dilution", "Calc. Concentration", "% Recovery", "Detection Range")
_WELL = re.compile(r"[A-Pa-p]\d{1,2}")
_NUMBERED = re.compile(r"([SUBC])\d{2,4}")
_MISSING = frozenset({"nan", "n/a"})
_INSIDE = frozenset({"", "in detection range"})


def recognise(source: Source) -> bool:
    """Say whether a row is the header of results."""
    if source.is_workbook:
        return bool(_sheets(source))
    return not source.is_zip and bool(_headers(source))


def _sheets(source: Source) -> list[str]:
    return [n for n in source.sheet_names if find_header(source.sheet(n, 60), *_HEADER) is not None]


def _headers(source: Source) -> list[tuple[int, str]]:
    """Line and delimiter of each header: an export may hold several plates."""
    found = []
    for number, line in enumerate(source.lines, 1):
        if "Spot" in line and "Signal" in line:
            for delimiter in (",", ";", "\t"):
                head = Row(number, tuple(cell.strip('" ') for cell in line.split(delimiter)))
                if find_header([head], *_HEADER) is not None:
                    found.append((number, delimiter))
    return found


def read(source: Source) -> Plate:
    """Read the table of one plate.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    table = _table(source)
    wanted = [table.require(n) for n in ("Dilution", "Concentration", "Calc. Concentration")]
    if not all(wanted):
        source.check()
    records = [_record(table, row) for row in table.rows]
    return Plate(NAME, plate_wells(source, records), instrument="MSD", software="Discovery Workbench")


def _table(source: Source) -> TableReader:
    if source.is_workbook:
        names = _sheets(source)
        rows = source.sheet(names[one_of(source, names, "sheets with results")])
        at = find_header(rows, *_HEADER)
        assert at is not None
        if find_header(rows[at + 1 :], *_HEADER) is not None:
            raise source.refusal("two plates in one sheet", "one sheet for each plate")
        return TableReader(source, rows[at], rows[at + 1 :])
    headers = _headers(source)
    # The line above a header is the name of its plate.
    names = [source.lines[n - 2].split(d)[0].strip() if n > 1 else "" for n, d in headers]
    at = one_of(source, names, "plates")
    first, delimiter = headers[at]
    last = headers[at + 1][0] - 2 if at + 1 < len(headers) else None
    rows = source.table(delimiter, first, last)
    table = TableReader(source, rows[0], rows[1:])
    table.same_width()
    if max((i for name in _READ for i in table.columns(name)), default=0) == len(table.names) - 1:
        table.whole_last_cell()
    return table


def _record(table: TableReader, row: Row) -> dict[str, object]:
    source = table.source
    well = table.text(row, "Well")
    if not _WELL.fullmatch(well):
        source.problem(show(well) if well else "no well", "a well such as A01", row.number, "Well")
    sample, assay, spot = (table.text(row, n) for n in ("Sample", "Assay", "Spot"))
    if not sample:
        source.problem("no sample", "the name of the sample", row.number, "Sample")
    if not assay and not spot:
        source.problem("neither an assay nor a spot", "one of them", row.number, "Assay")
    nominal = table.number(row, "Concentration", lowest=0, missing=_MISSING)
    status = table.text(row, "Detection Range")
    signal = table.number(row, "Signal", missing=_MISSING)
    if signal is None:
        source.problem("no signal", "a count", row.number, "Signal")
    dilution = table.number(row, "Dilution", lowest=1, missing=_MISSING)
    return {
        "well": well_name(well),
        "sample_name": sample,
        "target": assay or f"Spot {spot}",
        "task": _task(sample, nominal),
        "signal": signal,
        "nominal": nominal,
        "dilution": dilution,
        "vendor_concentration": table.number(row, "Calc. Concentration", missing=_MISSING),
        "vendor_recovery_percent": table.number(row, "% Recovery", missing=_MISSING),
        "vendor_status": None if fold(status) in _INSIDE else status,
        "source_row": row.number,
    }


def _task(sample: str, nominal: float | None) -> str | None:
    """Return what the software's own names say: S001 with a concentration, U001, B001 or C001 without doubt.

    A name that the laboratory gave says nothing; a concentration alone is a standard's
    or a control's.
    """
    match = _NUMBERED.fullmatch(sample)
    if match is None:
        return None
    if nominal is not None:
        return {"S": "standard", "C": "control"}.get(match[1])
    return {"U": "unknown", "B": "blank"}.get(match[1])
