"""QuantStudio 6, 7 and 12K Flex and ViiA 7: the text export of their software.

Header lines ``* key = value``, then sections. ``[Results]`` holds one row for each
target of each well. The export may hold only that section.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cartrace.pcr.plate import Plate, Remark, well_name
from cartrace.pcr.readers.plate_wells import plate_wells
from cartrace.plates.plate import well_list
from cartrace.plates.source import Row, Source, TableReader, as_text, show
from cartrace.problems import redact_dates

NAME = "quantstudio_txt"
LOOKED_FOR = "lines '* key = value' at the top and a section [Results]"

CQ = ("CT", "CRT", "EQ.Ct", "Eq Ct", "Cq")
READ = (
    *("Well Position", "Omit", "Sample Name", "Target Name", "Task", "Reporter", *CQ, "Quantity"),
    *("Slope", "Y-Intercept", "R(superscript 2)", "Efficiency", "Ct Threshold", "Crt Threshold"),
)
"""Columns that are read, but for the quality flags."""
TASKS = {
    "unknown": "unknown",
    "standard": "standard",
    "ntc": "ntc",
    "ipc": "inhibition_control",
    "ipc+": "inhibition_control",
    "blockedipc": "blocked_inhibition_control",
    "blocked ipc": "blocked_inhibition_control",
    "accuracy control": "accuracy_control",
    "positive control": "positive_control",
    "negative control": "negative_control",
}
_SECTION = re.compile(r"\s*\[[^\]\t]+\]\s*")
UNDETERMINED = frozenset({"undetermined"})
QUALITY_FLAGS = (
    "AMPNC",
    "AMPSCORE",
    "BADROX",
    "BLFAIL",
    "CQCONF",
    "CRTAMPLITUDE",
    "CRTNOISE",
    "CTFAIL",
    "EXPFAIL",
    "HIGHQT",
    "HIGHSD",
    "MAXCT",
    "MTP",
    "NOAMP",
    "NOISE",
    "NOSIGNAL",
    "OFFSCALE",
    "OUTLIERRG",
    "PRFDROP",
    "PRFLOW",
    "SPIKE",
    "THOLDFAIL",
)
"""Columns of the software's own quality checks, which hold Y where one fired."""


def recognise(source: Source) -> bool:
    """Say whether the text begins with lines ``* key = value``."""
    if source.is_zip:
        return False
    top = [line for line in source.lines[:20] if line.strip()]
    return bool(top) and top[0].startswith("* ") and "=" in top[0]


def read(source: Source) -> Plate:
    """Read the section [Results].

    Raises
    ------
    InputError
        With every problem of the file.
    """
    header = dict(_key_value(line[1:]) for line in source.lines if line.startswith("*"))
    results = section(source, "Results")
    if results is None:
        raise source.refusal("no section [Results]", "an export with the results")
    records = read_results(results)
    wells = plate_wells(source, records)
    setup = section(source, "Sample Setup")
    return Plate(
        NAME,
        "qpcr",
        wells,
        instrument=redact_dates(header.get("Instrument Type", "")),
        remarks=() if setup is None else without_result(setup, records),
    )


def _key_value(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key.strip(), value.strip()


def section(source: Source, name: str) -> TableReader | None:
    """Return the table of a section; short lines below a blank one are settings, not rows."""
    starts = [i for i, line in enumerate(source.lines) if line.strip() == f"[{name}]"]
    if not starts:
        return None
    if len(starts) > 1:
        raise source.refusal(f"the section [{name}] a second time", "one plate in one file", starts[1] + 1)
    first = starts[0] + 1
    last = next((i for i in range(first, len(source.lines)) if _SECTION.fullmatch(source.lines[i])), None)
    rows = source.table("\t", first + 1, last)
    if not rows or rows[0].is_blank:
        raise source.refusal(f"nothing below [{name}]", "a header and rows", first)
    return TableReader(source, rows[0], to_blank_row(source, rows[1:]))


def to_blank_row(source: Source, rows: Sequence[Row]) -> Sequence[Row]:
    """Return the rows above the first blank one, and report a row of wells below it."""
    end = next((i for i, row in enumerate(rows) if row.is_blank), len(rows))
    for row in rows[end:]:
        # Settings of the analysis are one text, or a key and a value.
        if sum(bool(text) for text in row.texts()) > 2:
            source.problem("a row below a blank one", "a table without blank rows", row.number)
    return rows[:end]


def read_results(table: TableReader) -> list[dict[str, object]]:
    """Return one record for each row of a result table of QuantStudio or Design & Analysis."""
    table.same_width(_short_width(table))
    position = ("Well Position",) if table.has("Well Position") else ("Well",)
    target = ("Target Name", "Target")
    wanted = [table.require(*names) for names in (position, target, ("Task",), CQ)]
    if not all(wanted):
        table.source.check()
    return [r for row in table.rows if (r := _record(table, row, position, target)) is not None]


def _short_width(table: TableReader) -> int | None:
    """Return the width of the rows where all of them leave out the empty cells at the end.

    Only where a column of true and false, right of every column that is read, shows
    that the cells stand under their names.
    """
    widths = {len(row.cells) for row in table.rows}
    last_read = max((i for name in READ for i in table.columns(name)), default=0)
    anchors = table.columns("Automatic Baseline", "Auto Baseline")
    if len(widths) != 1 or len(anchors) != 1 or not last_read < anchors[0] < min(widths):
        return None
    switches = {as_text(row.cells[anchors[0]]).casefold() for row in table.rows}
    return widths.pop() if switches <= {"true", "false"} else None


def _record(
    table: TableReader, row: Row, position: Sequence[str], target: Sequence[str]
) -> dict[str, object] | None:
    cell = table.text(row, *CQ)
    reporter = table.text(row, "Reporter", "Dye")
    name = table.text(row, *target) or reporter
    if not name and not cell:
        return None
    well = well_name(table.text(row, *position))
    if not well:
        table.source.problem("no well", "a well such as A1", row.number, table.name_of(*position))
    if not name:
        table.source.problem("no target", "the target of the Cq", row.number, table.name_of(*target))
    task = table.word(row, TASKS, "Task")
    undetermined = cell.casefold() in UNDETERMINED
    cq = None if undetermined else table.number(row, *CQ, missing=UNDETERMINED)
    quantity = table.number(row, "Quantity", lowest=0)
    status = [flag for flag in QUALITY_FLAGS if table.text(row, flag).upper() == "Y"]
    status += [t for c in ("Result Quality Issues", "Curve Quality") if (t := table.text(row, c))]
    amplified = table.text(row, "Amp Status")
    if amplified.casefold() not in {"", "amp"}:
        status.append(amplified)
    return {
        "well": well,
        "sample_name": table.text(row, "Sample Name", "Sample") or None,
        "target": name,
        "reporter": reporter or None,
        "task": task,
        "omitted": table.flag(row, "Omit"),
        "cq": cq,
        "cq_kind": "undetermined" if undetermined else "missing" if cq is None else "quantified",
        "nominal": quantity if task == "standard" else None,
        "vendor_quantity": None if task == "standard" else quantity,
        "vendor_slope": table.number(row, "Slope"),
        "vendor_intercept": table.number(row, "Y-Intercept", "Intercept"),
        "vendor_r2": table.number(row, "R(superscript 2)", "R2", "R^2"),
        "vendor_efficiency_percent": table.number(row, "Efficiency"),
        "threshold": table.number(row, "Ct Threshold", "Crt Threshold", "Cq Threshold", "Threshold"),
        "vendor_status": "; ".join(status) or None,
        "source_row": row.number,
    }


def without_result(setup: TableReader, records: Sequence[Mapping[str, object]]) -> tuple[Remark, ...]:
    """Name wells that the sample setup has and the results lack: they were not exported, or the file was cut."""
    if not setup.has("Well Position") or not setup.has("Target Name"):
        return ()
    done = {(r["well"], r["target"]) for r in records}
    lost: dict[str, list[tuple[int, str]]] = {}
    for row in setup.rows:
        target, well = setup.text(row, "Target Name"), well_name(setup.text(row, "Well Position"))
        if target and (well, target) not in done:
            lost.setdefault(target, []).append((row.number, well))
    return tuple(
        Remark(
            "well_without_result",
            f"{show(target)}: {len(rows)} wells of [Sample Setup] are not in [Results] ({listed}); "
            "perhaps the file was cut",
            rows[0][0],
            "Well Position",
            listed,
            "warn",
        )
        for target, rows in lost.items()
        for listed in (well_list([well for _, well in rows]),)
    )
