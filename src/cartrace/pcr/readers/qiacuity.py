"""QIAGEN QIAcuity Software Suite csv, in the forms of its versions.

Traps: a ``sep=,`` line; a byte order mark, or Windows-1252; the well in a column without
a name; three spellings of the concentration; two columns ``CI (95%)``, of which the first
is the well's and the second that of the mean over replicates; the name of the plate in
its first row only.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from cartrace.pcr.plate import Plate, Remark
from cartrace.pcr.readers.digital import (
    MISSING,
    counts,
    find_csv,
    read_csv,
    task_of,
    volume_remarks,
    well_of,
)
from cartrace.pcr.readers.plate_wells import plate_wells
from cartrace.plates.source import Row, Source, TableReader, fold, show

NAME = "qiacuity"
LOOKED_FOR = (
    "a csv table with Sample/NTC/Control, Partitions (valid), Partitions (positive) and Partitions (negative)"
)

CHAMBERS_8_5K = 8510
"""Chambers of a well of a nanoplate 8.5K: volume per well / partition volume in 29 of 29 wells of a real file."""

_VALID, _POSITIVE, _NEGATIVE = "Partitions (valid)", "Partitions (positive)", "Partitions (negative)"
_HEADER = (("Sample/NTC/Control",), (_VALID,), (_POSITIVE,), (_NEGATIVE,))
_CONCENTRATION = (
    "Concentration (copies/uL)",
    "Conc. [copies/uL]",
    "Conc. [cp/uL] (dPCR reaction)",
    "Conc. [cp/uL]",
)
_INTERVAL = ("CI (95%)", "CI (95%) (dPCR reaction)")
_VOLUME = ("Volume per well [ul]",)
_DILUTION = ("Concentration factor", "Dilution factor")
_TASKS = {
    "": "unknown",
    "-": "unknown",
    "sample": "unknown",
    "ntc": "ntc",
    "non template control": "ntc",
    "no template control": "ntc",
    "positive control": "positive_control",
    "negative control": "negative_control",
}


def recognise(source: Source) -> bool:
    """Say whether it is a table of the QIAcuity Software Suite."""
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
    table = read_csv(source, place)
    if not table.has("Well") and not table.names[0]:
        table = _with_named_wells(table)
    for names in (("Well",), ("Target (Name)", "Target"), _CONCENTRATION):
        table.require(*names)
    concentration = _exact(table, _CONCENTRATION)
    if not concentration and table.has(*_CONCENTRATION):
        source.problem(
            f"{show(table.name_of(*_CONCENTRATION))}, which is not that of the reaction",
            " or ".join(f"'{n}'" for n in _CONCENTRATION),
            table.header.number,
        )
    source.check()
    read_rows = [_read_row(table, row, concentration) for row in table.rows]
    records = [r.record for r in read_rows]
    source.check()
    platform = _platform(table, records)
    chambers, remarks = _chambers(platform, read_rows)
    for r in read_rows:
        if r.volume_ul is not None and chambers is not None:
            r.record["partition_volume_nl"] = 1000 * r.volume_ul / chambers
    volumes = {table.number(row, "Total volume [ul]", lowest=0.1, highest=1000) for row in table.rows}
    return Plate(
        family=NAME,
        method="dpcr",
        wells=plate_wells(source, records),
        instrument="QIAcuity",
        software="QIAcuity Software Suite",
        platform=platform,
        reaction_ul=volumes.pop() if len(volumes) == 1 else None,
        remarks=(*(m for r in read_rows for m in r.remarks), *remarks, *volume_remarks(records)),
    )


@dataclass(frozen=True, slots=True)
class _ReadRow:
    record: dict[str, object]
    volume_ul: float | None
    remarks: list[Remark]


def _with_named_wells(table: TableReader) -> TableReader:
    header = Row(table.header.number, ("Well", *table.header.cells[1:]))
    return TableReader(table.source, header, table.rows)


def _exact(table: TableReader, names: Sequence[str]) -> list[str]:
    """Return the columns of these very names: what stands in brackets tells the reaction from the sample."""
    wanted = {fold(n) for n in names}
    return [n for n in table.names if fold(n) in wanted]


def _read_row(table: TableReader, row: Row, concentration_columns: Sequence[str]) -> _ReadRow:
    task, remarks = task_of(table, row, table.text(row, "Type", "Control type"), _TASKS, "Type")
    positives, partitions = counts(
        table, row, accepted=(_VALID,), positives=(_POSITIVE,), negatives=(_NEGATIVE,)
    )
    concentration = table.number(row, *concentration_columns, lowest=0, missing=MISSING)
    percent = _percent(table, row)
    lower = upper = None
    if concentration is not None and percent is not None:
        lower = max(0.0, concentration * (1 - percent / 100))
        upper = concentration * (1 + percent / 100)
    record: dict[str, object] = {
        "well": well_of(table, row),
        "sample_name": table.text(row, "Sample/NTC/Control"),
        "target": table.text(row, "Target (Name)", "Target"),
        "task": task,
        "partitions": partitions,
        "positives": positives,
        "threshold": table.number(row, "Threshold", missing=MISSING),
        "dilution": table.number(row, *_DILUTION, lowest=1, missing=MISSING),
        "vendor_concentration": concentration,
        "vendor_lower": lower,
        "vendor_upper": upper,
        "source_row": row.number,
    }
    return _ReadRow(record, table.number(row, *_VOLUME, lowest=0.1, highest=1000, missing=MISSING), remarks)


def _percent(table: TableReader, row: Row) -> float | None:
    """Half the width of the well's interval in percent: of two columns of that name the first is the well's."""
    places = table.columns(*_exact(table, _INTERVAL))
    if not places:
        return None
    text = row.texts()[places[0]] if places[0] < len(row.cells) else ""
    return table.parse(row, table.names[places[0]], text.removesuffix("%"), lowest=0, missing=MISSING)


def _platform(table: TableReader, records: Sequence[dict[str, object]]) -> str:
    """Return the plate type as the file names it, or as it follows from the number of partitions."""
    named = {fold(table.text(row, "Plate type")) for row in table.rows} - {""}
    known = {p for p in ("8.5k", "26k") for n in named if p in n}
    if len(known) == 1:
        return f"qiacuity_{known.pop()}"
    most = max((n for r in records if isinstance(n := r["partitions"], int)), default=0)
    return "qiacuity_26k" if not named and most > CHAMBERS_8_5K else ""


def _chambers(platform: str, rows: Sequence[_ReadRow]) -> tuple[float | None, list[Remark]]:
    """Return the chambers of a well: what the volume per well has to be divided by.

    The valid partitions are fewer: some chambers are rejected. Where the number is not
    known, the wells' own concentrations tell it, if they agree.
    """
    from cartrace.pcr.partitions import implied_volume_nl

    if not any(r.volume_ul for r in rows):
        return None, []
    if platform == "qiacuity_8.5k":
        return CHAMBERS_8_5K, []
    implied = []
    for r in rows:
        positives, partitions, concentration = (
            r.record[k] for k in ("positives", "partitions", "vendor_concentration")
        )
        if isinstance(positives, int) and isinstance(partitions, int) and isinstance(concentration, float):
            volume = float(implied_volume_nl(positives, partitions, concentration))
            if positives >= 50 and volume > 0 and r.volume_ul is not None:
                implied.append(1000 * r.volume_ul / volume)
    if len(implied) >= 3 and max(implied) - min(implied) < 0.005 * min(implied):
        number = round(statistics.median(implied))
        return number, [
            Remark(
                "partition_volume",
                f"the concentrations of {len(implied)} wells agree that a well of this plate has {number} chambers; "
                "the partition volume is the volume per well divided by them",
            )
        ]
    return None, [
        Remark(
            "partition_volume",
            "the number of chambers of this plate type is not known and the concentrations don't tell it, "
            "so the volume per well gives no partition volume",
        )
    ]
