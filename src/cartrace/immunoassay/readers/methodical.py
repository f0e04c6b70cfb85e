"""Methodical Mind (MSD readers): the text with a grid of counts for each plate.

It names no samples: a layout does. Plates of several spots repeat each row of the grid,
one row for each spot.
"""

from __future__ import annotations

import re

from cartrace.immunoassay.plate import Plate
from cartrace.immunoassay.readers.grid import grid_rows, header_of_grid, number_or_word
from cartrace.immunoassay.readers.plate_wells import plate_wells
from cartrace.plates.source import Row, Source, show
from cartrace.problems import plain

NAME = "methodical"
LOOKED_FOR = "a text with the lines 'Stack ID :', 'Spots Per Well:' and '====Data===='"

_SECTION = re.compile(r"=+\s*([A-Za-z][A-Za-z /]*?)\s*=+")


def recognise(source: Source) -> bool:
    """Say whether the text has the keys of Methodical Mind above a section Data."""
    if source.is_zip:
        return False
    keys = {line.partition(":")[0].strip() for line in source.lines[:60] if ":" in line}
    return {"Stack ID", "Spots Per Well"} <= keys and any(_is_data(line) for line in source.lines)


def _is_data(line: str) -> bool:
    match = _SECTION.fullmatch(line.strip())
    return match is not None and match[1] == "Data"


def read(source: Source) -> Plate:
    """Read the grid of one plate.

    Raises
    ------
    InputError
        With every problem of the file; when it holds several plates and the assay file
        doesn't say which.
    """
    rows = [Row(n, tuple(line.split("\t"))) for n, line in enumerate(source.lines, 1)]
    starts = [i for i, r in enumerate(rows) if _key(r) == "Stack ID"]
    plates = [rows[a:b] for a, b in zip(starts, [*starts[1:], len(rows)], strict=True)]
    plate = _chosen(source, plates)
    settings = {_key(r): t[1] for r in plate if len(t := r.texts()) > 1}
    at = [i for i, r in enumerate(plate) if _is_data("".join(r.texts()))]
    if len(at) != 1 or at[0] + 1 == len(plate) or header_of_grid(plate[at[0] + 1]) is None:
        raise source.refusal("no grid below Data", "a row 1, 2, ... 12 or 24", plate[0].number)
    below = plate[at[0] + 2 :]
    end = next((i for i, r in enumerate(below) if r.is_blank), None)
    if end is None:
        raise source.refusal("a grid that ends with the file", "a whole file: lines about the reading follow")
    below = below[:end]
    grid = grid_rows(source, plate[at[0] + 1], below, exact=True)
    spots = int(n) if (n := settings.get("Spots Per Well", "")).isdecimal() else 0
    columns = header_of_grid(plate[at[0] + 1])
    if columns is None or settings.get("Wells Per Row", "") not in {"", str(columns[1])}:
        source.problem(f"{show(settings.get('Wells Per Row', ''))} wells in a row", "those of the grid")
    letters = [r.letter for r in grid]
    records: list[dict[str, object]] = []
    for place, row in enumerate(grid):
        spot = letters[:place].count(row.letter) + 1
        if row.label:
            source.problem(show(row.label), "nothing right of the grid", row.number)
        for well, column, text in row.wells():
            signal, status = number_or_word(source, text, row.number, column)
            if not text:
                source.problem("an empty cell", "a count", row.number, column)
            records.append(
                {
                    "well": well,
                    "target": f"Spot {spot}" if spots > 1 else None,
                    "signal": signal,
                    "vendor_status": status or None,
                    "source_row": row.number,
                    "source_column": column,
                }
            )
    if any(letters.count(letter) != spots for letter in set(letters)):
        source.problem("rows of the grid that are not one for each spot", f"{spots} for each letter")
    return Plate(
        NAME,
        plate_wells(source, records),
        instrument=plain(f"MSD {settings.get('Model', '')}".strip()),
        software="Methodical Mind",
        software_version=plain(settings.get("Version", "").removeprefix("MMPR").strip()),
    )


def _key(row: Row) -> str:
    return row.texts()[0].partition(":")[0].strip() if ":" in row.texts()[0] else ""


def _chosen(source: Source, plates: list[list[Row]]) -> list[Row]:
    """Return the plate whose barcode, or number in the stack, the assay file gives."""
    names = []
    for plate in plates:
        settings = {_key(r): t[1] for r in plate if len(t := r.texts()) > 1}
        names.append((settings.get("Barcode1", "").strip("<>* "), settings.get("Plate #", "")))
    wanted = source.options.sheet
    found = [p for p, n in zip(plates, names, strict=True) if wanted and wanted in n]
    if len(found) == 1:
        return found[0]
    if len(plates) == 1 and not wanted:
        return plates[0]
    listed = ", ".join(barcode or number for barcode, number in names)
    raise source.refusal(
        f"{len(found)} plates {show(wanted)}" if wanted else f"{len(plates)} plates",
        f"read: {{sheet: one of {listed}}}",
    )
