"""Bio-Rad QuantaSoft csv: the 44 columns of QX100 programs and the 63 columns of 1.7.

Traps: ``Assay`` and ``TypeAssay`` became ``Target`` and ``TargetType``; rows end with a
comma that the header lacks, or lack the header's last cell; ``MergedWells`` holds
commas, sometimes without quotes; ``No Call`` stands where a number is expected.
"""

from __future__ import annotations

import re
from dataclasses import replace

from cartrace.pcr.plate import Plate, Remark
from cartrace.pcr.readers.digital import (
    MISSING,
    as_wide_as_header,
    counts,
    find_csv,
    is_well,
    merged_wells,
    read_records,
    task_of,
    volume_remarks,
    well_of,
)
from cartrace.pcr.readers.plate_wells import plate_wells
from cartrace.plates.source import Cell, Row, Source, TableReader, as_text

NAME = "quantasoft"
LOOKED_FOR = "a csv table with Well, ExptType, TargetType or TypeAssay, Concentration and AcceptedDroplets"

_HEADER = (("Well",), ("ExptType",), ("TargetType", "TypeAssay"), ("Concentration",), ("AcceptedDroplets",))
_TYPE = re.compile(r"(Ch\s*\d+)?\s*(.*)", re.IGNORECASE)
_TASKS = {
    "": "unknown",
    "unknown": "unknown",
    # A reference gene in a sample.
    "reference": "unknown",
    "ntc": "ntc",
    "positive": "positive_control",
    "positive control": "positive_control",
    "negative": "negative_control",
    "negative control": "negative_control",
}


def recognise(source: Source) -> bool:
    """Say whether it is a table of QuantaSoft."""
    return find_csv(source, *_HEADER) is not None


def read(source: Source) -> Plate:
    """Read the table.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    place = find_csv(source, *_HEADER)
    assert place is not None
    header, *rows = source.table(place.delimiter, first=place.line)
    table = _aligned(source, header, [_with_merged_wells_in_one_cell(r) for r in rows])
    for names in (("Sample",), ("Positives",), ("Negatives",), ("Target", "Assay")):
        table.require(*names)
    source.check()
    records, remarks = read_records(table, _record)
    return Plate(
        family=NAME,
        method="dpcr",
        wells=plate_wells(source, records),
        instrument="Bio-Rad QX100 or QX200",
        software="QuantaSoft",
        reaction_ul=20.0 if table.has("CopiesPer20uLWell") else None,
        remarks=(*remarks, *volume_remarks(records)),
    )


def _with_merged_wells_in_one_cell(row: Row) -> Row:
    """Join ``(A01`` ``B01`` ``C01)``, which is one cell that was written without quotes."""
    texts = row.texts()
    first = next((i for i, t in enumerate(texts) if t.startswith("(") and is_well(t[1:])), None)
    if first is None:
        return row
    last = next((i for i, t in enumerate(texts[first:], first) if t.endswith(")")), None)
    members = texts[first : None if last is None else last + 1]
    if last is None or not all(is_well(m.strip("()")) for m in members):
        return row
    return replace(row, cells=(*row.cells[:first], ",".join(members), *row.cells[last + 1 :]))


def _aligned(source: Source, header: Row, rows: list[Row]) -> TableReader:
    """Return the table; programs for the QX100 leave out the cell of ExperimentComments or MergedWells."""
    rows = [r for r in rows if not r.is_blank]
    if rows and all(len(r.cells) == len(header.cells) - 1 for r in rows):
        # All that is read, but the merged wells, comes before the two.
        rows = [replace(r, cells=_with_comment_and_merged_wells(r)) for r in rows]
    return as_wide_as_header(source, header, rows)


def _with_comment_and_merged_wells(row: Row) -> tuple[Cell, ...]:
    last = row.cells[-1]
    return (*row.cells[:-1], "", last) if as_text(last).startswith("(") else (*row.cells, "")


def _record(table: TableReader, row: Row) -> tuple[dict[str, object], list[Remark]]:
    pooled = merged_wells(table.text(row, "MergedWells"))
    channel, kind = _split_type(table.text(row, "TargetType", "TypeAssay"))
    task, remarks = task_of(table, row, kind, _TASKS, table.name_of("TargetType", "TypeAssay"))
    called = as_text(table.cell(row, "Concentration")).casefold() != "no call"
    positives, partitions = counts(
        table,
        row,
        accepted=("AcceptedDroplets",),
        positives=("Positives",),
        negatives=("Negatives",),
        may_lack=not called,
    )
    status = table.text(row, "Status")
    return {
        "well": well_of(table, row, pooled),
        "sample_name": table.text(row, "Sample"),
        "target": table.text(row, "Target", "Assay") or channel,
        "reporter": channel,
        "task": task,
        "partitions": partitions,
        "positives": positives,
        "threshold": table.number(row, "Threshold", missing=MISSING),
        "pooled_wells": pooled or None,
        "vendor_concentration": table.number(row, "Concentration", missing=MISSING),
        "vendor_lower": table.number(row, "PoissonConfMin", missing=MISSING),
        "vendor_upper": table.number(row, "PoissonConfMax", missing=MISSING),
        "vendor_status": status if called else "; ".join(t for t in ("No Call", status) if t),
        "source_row": row.number,
    }, remarks


def _split_type(text: str) -> tuple[str, str]:
    match = _TYPE.fullmatch(text)
    assert match is not None
    return (match[1] or "").replace(" ", ""), match[2].strip()
