"""Tecan Magellan: a sheet with a column of wells and a column for each read.

Below the wells stand lines about the run; of them the wavelengths are taken, in the
order of the reads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cartrace.immunoassay.plate import Plate
from cartrace.immunoassay.readers.grid import Read, Reading, choose_read, number_or_word, one_of
from cartrace.immunoassay.readers.plate_wells import plate_wells
from cartrace.plates.plate import well_name
from cartrace.plates.source import Row, Source, find_header, fold, show

NAME = "magellan"
LOOKED_FOR = "a workbook with a sheet that begins with Well positions and Raw data or Label1"

TOP = 20
_WELL = re.compile(r"[A-P]([1-9]|1\d|2[0-4])")
_READ = re.compile(r"raw data|label\s*\d+")
_HEADER = (("Well positions",), ("Raw data", "Label1", "Label 1"))
_ABOVE = re.compile(r"\d*(\.\d+)?\s*(s|ms|°c)?|")
"""Below the header: seconds and temperature of each read."""
_SIZES = {96: 12, 384: 24}


def recognise(source: Source) -> bool:
    """Say whether a sheet has the header."""
    return source.is_workbook and bool(_sheets(source))


def _sheets(source: Source) -> list[str]:
    return [n for n in source.sheet_names if find_header(source.sheet(n, TOP), *_HEADER) is not None]


def read(source: Source) -> Plate:
    """Read the wells of the sheet.

    Raises
    ------
    InputError
        With every problem of the file; when a well of the plate is missing.
    """
    names = _sheets(source)
    rows = source.sheet(names[one_of(source, names, "sheets with wells")])
    at = find_header(rows, *_HEADER)
    assert at is not None
    labels = rows[at].texts()
    place = next(i for i, t in enumerate(labels) if fold(t) == "well positions")
    columns = [i for i, t in enumerate(labels) if _READ.fullmatch(fold(t))]
    wells, below = _wells(source, rows[at + 1 :], place, columns)
    said = (r.texts()[0] for r in below if r.cells)
    wavelengths = [m[1] for t in said if (m := re.match(r"Measurement wavelength:\s*(\d+)", t))]
    reads = []
    for n, i in enumerate(columns):
        readings = {w: _reading(source, row, i, labels[i]) for w, row in wells.items()}
        alias = (wavelengths[n],) if len(wavelengths) == len(columns) else ()
        reads.append(Read(labels[i], readings, alias))
    source.check()
    chosen = choose_read(source, reads, source.options.wavelength)
    records = [
        {
            "well": well,
            "signal": reading.signal,
            "vendor_status": reading.status or None,
            "source_row": reading.row,
            "source_column": reading.column,
        }
        for well, reading in chosen.wells.items()
    ]
    return Plate(NAME, plate_wells(source, records), instrument="Tecan", software="Magellan")


def _wells(
    source: Source, rows: Sequence[Row], place: int, columns: Sequence[int]
) -> tuple[dict[str, Row], Sequence[Row]]:
    """Return the rows of wells, and those below them; wells must be those of a whole plate."""
    found: dict[str, Row] = {}
    end = len(rows)
    for n, row in enumerate(rows):
        texts = [*row.texts(), *[""] * (max([place, *columns]) + 1)]
        if _WELL.fullmatch(texts[place]):
            well = well_name(texts[place])
            if well in found:
                source.problem(
                    f"the well {well} again", f"once; it is in row {found[well].number}", row.number
                )
            found[well] = row
        elif not found and all(_ABOVE.fullmatch(fold(texts[i])) for i in columns) and not texts[place]:
            continue
        elif any(texts[i] for i in columns if i > 0):
            source.problem(show(texts[place]) if texts[place] else "no well", "a well such as A1", row.number)
        else:
            end = n
            break
    for row in rows[end:]:
        if any(_WELL.fullmatch(t) for t in row.texts()):
            source.problem("a well below the lines about the run", "wells one below the other", row.number)
    whole = _SIZES.get(len(found))
    if whole is None or len(found) != sum(
        int(w[1:]) <= whole and w[0] <= "ABCDEFGHIJKLMNOP"[whole * 2 // 3 - 1] for w in found
    ):
        source.problem(f"{len(found)} wells", "all 96 or 384 wells of a plate; perhaps the file was cut")
    source.check()
    return found, rows[end:]


def _reading(source: Source, row: Row, place: int, column: str) -> Reading:
    text = row.texts()[place] if place < len(row.cells) else ""
    value, status = number_or_word(source, text, row.number, column)
    return Reading(value, status, row.number, column)
