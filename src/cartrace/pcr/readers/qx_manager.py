"""Bio-Rad QX Manager (and QuantaSoft Analysis Pro before it): results as csv or xlsx (the long forms and the one of 15 or 16 columns), and the cluster csv.

Traps: the micro sign in headers comes in two characters and sometimes as u; up to four
sample descriptions; two dyes in one cell; merged wells; a ``sep=`` line; droplets that
the cluster csv calls unclassified (u).
"""

from __future__ import annotations

import re
from collections import defaultdict

from cartrace.pcr.plate import Plate, Remark
from cartrace.pcr.readers.digital import (
    MISSING,
    as_wide_as_header,
    counts,
    find_csv,
    merged_wells,
    read_csv,
    read_records,
    task_of,
    volume_remarks,
    well_of,
)
from cartrace.pcr.readers.plate_wells import plate_wells
from cartrace.plates.source import Row, Source, TableReader, as_text, find_header, fold, show

NAME = "qx_manager"
LOOKED_FOR = (
    "a csv or xlsx table with Well, Sample description 1 (or Sample), Target, Accepted Droplets, Positives and Negatives, "
    "or a cluster csv with Well, Target 1, Count and Ch1 Mean"
)

_HEADER = (
    ("Well",),
    ("Sample description 1", "Sample"),
    ("Target",),
    ("Accepted Droplets",),
    ("Positives",),
    ("Negatives",),
)
_CLUSTERS = (("Well",), ("Target 1",), ("Count",), ("Ch1 Mean",))
_CONCENTRATION = ("Conc(copies/uL)", "Concentration")
_PER_WELL = "Copies/20uLWell"
_TARGET = re.compile(r"target \d+")
_TASKS = {
    "": "unknown",
    "unknown": "unknown",
    "ntc": "ntc",
    "no template control": "ntc",
    "posctrl": "positive_control",
    "positive control": "positive_control",
    "negctrl": "negative_control",
    "negative control": "negative_control",
}


def recognise(source: Source) -> bool:
    """Say whether it is a table of QX Manager."""
    if source.is_workbook:
        return _sheet(source) is not None
    return find_csv(source, *_HEADER) is not None or find_csv(source, *_CLUSTERS) is not None


def read(source: Source) -> Plate:
    """Read the table.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    place = find_csv(source, *_CLUSTERS)
    if place is not None:
        return _read_clusters(source, read_csv(source, place))
    table = _results(source)
    table.require(*_CONCENTRATION)
    source.check()
    records, remarks = read_records(table, _record)
    return Plate(
        family=NAME,
        method="dpcr",
        wells=plate_wells(source, records),
        software="QX Manager" if table.has("Sample description 1") else "QuantaSoft Analysis Pro",
        reaction_ul=20.0 if table.has(_PER_WELL) else None,
        remarks=(*remarks, *volume_remarks(records)),
    )


def _sheet(source: Source) -> str | None:
    names = [source.options.sheet] if source.options.sheet in source.sheet_names else source.sheet_names
    return next((n for n in names if find_header(source.sheet(n, limit=20), *_HEADER) is not None), None)


def _results(source: Source) -> TableReader:
    place = find_csv(source, *_HEADER)
    if place is not None:
        return read_csv(source, place)
    sheet = _sheet(source)
    assert sheet is not None
    rows = source.sheet(sheet)
    first = find_header(rows, *_HEADER)
    assert first is not None
    width = len(rows[first].cells)
    # A workbook does not store the empty cells at the end of a row.
    padded = [Row(r.number, (*r.cells, *[""] * (width - len(r.cells)))) for r in rows[first + 1 :]]
    return as_wide_as_header(source, rows[first], padded)


def _record(table: TableReader, row: Row) -> tuple[dict[str, object], list[Remark]]:
    pooled = merged_wells(table.text(row, "MergedWells"))
    task, remarks = task_of(table, row, table.text(row, "SampleType"), _TASKS, "SampleType")
    status, reason = table.text(row, "Status"), table.text(row, "Status Reason")
    uncalled = as_text(table.cell(row, *_CONCENTRATION)).casefold() == "no call"
    called = not uncalled and fold(status) != "no call"
    positives, partitions = counts(
        table,
        row,
        accepted=("Accepted Droplets",),
        positives=("Positives",),
        negatives=("Negatives",),
        may_lack=not called,
    )
    told = [t for t in ("No Call" if uncalled and fold(status) != "no call" else "", status, reason) if t]
    # Sample: QuantaSoft Analysis Pro, the program before QX Manager.
    descriptions = [
        table.text(row, n) for n in ("Sample", *(f"Sample description {i}" for i in (1, 2, 3, 4)))
    ]
    return {
        "well": well_of(table, row, pooled),
        "sample_name": " | ".join(d for d in descriptions if d),
        "target": table.text(row, "Target") or table.text(row, "DyeName(s)"),
        "reporter": table.text(row, "DyeName(s)"),
        "task": task,
        "partitions": partitions,
        "positives": positives,
        "threshold": table.number(row, "Threshold1", "Threshold", missing=MISSING),
        "pooled_wells": pooled or None,
        "vendor_concentration": table.number(row, *_CONCENTRATION, missing=MISSING),
        "vendor_lower": table.number(row, "PoissonConfMin", missing=MISSING),
        "vendor_upper": table.number(row, "PoissonConfMax", missing=MISSING),
        "vendor_status": "; ".join(told),
        "source_row": row.number,
    }, remarks


def _read_clusters(source: Source, table: TableReader) -> Plate:
    """Count the positives of each target over the clusters; what is unclassified counts for nothing."""
    targets = [n for n in table.names if _TARGET.fullmatch(fold(n))]
    source.check()
    positives: dict[tuple[str, str], int] = defaultdict(int)
    partitions: dict[tuple[str, str], int] = defaultdict(int)
    unclassified: dict[tuple[str, str], int] = defaultdict(int)
    first: dict[str, int] = {}
    seen: set[tuple[str, ...]] = set()
    for row in table.rows:
        well = well_of(table, row)
        calls = [table.text(row, t).casefold() for t in targets]
        count = table.whole(row, "Count")
        if (well, *calls) in seen:
            source.problem("this cluster of this well a second time", "one row for each cluster", row.number)
        seen.add((well, *calls))
        first.setdefault(well, row.number)
        if count is None:
            source.problem("an empty cell", "the number of droplets", row.number, "Count")
            continue
        for target, call in zip(targets, calls, strict=True):
            key = (well, target)
            if call not in {"0", "1", "u"}:
                source.problem(
                    show(call), "0 (negative), 1 (positive) or u (unclassified)", row.number, target
                )
            partitions[key] += count if call != "u" else 0
            positives[key] += count if call == "1" else 0
            unclassified[key] += count if call == "u" else 0
    records = [
        {
            "well": well,
            "target": target,
            "task": "unknown",
            "partitions": partitions[well, target],
            "positives": positives[well, target],
            "source_row": number,
        }
        for well, number in first.items()
        for target in targets
    ]
    remarks = [
        Remark("unclassified", f"well {well}: {n} droplets are unclassified for {target}, and left out")
        for (well, target), n in unclassified.items()
        if n
    ]
    return Plate(
        family=NAME,
        method="dpcr",
        wells=plate_wells(source, records),
        software="QX Manager",
        remarks=tuple(remarks),
    )
