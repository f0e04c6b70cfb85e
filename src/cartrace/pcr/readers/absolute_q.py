"""Applied Biosystems QuantStudio Absolute Q csv, in all forms, and the zip archive of them.

* one row for each well and dye (Run, Date, ..., Well, Total, Dye, Target, Conc. cp/uL, ...);
* the summary: a line with the dyes above the header, whose columns repeat for each dye;
* multichannel: one row for each combination of positive channels of a sample;
* fluorescence: one row for each microchamber.

Traps: rows ``Average`` and ``Pooled``, or without well, stand for a group of wells and are
none; ``N/A``; the one column ``95%CI`` is the distance to the lower limit.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cartrace.pcr.plate import AMPLITUDES, Plate, Remark, well_name
from cartrace.pcr.readers.digital import (
    MISSING,
    Place,
    find_csv,
    is_well,
    read_csv,
    volume_remarks,
    well_of,
)
from cartrace.pcr.readers.plate_wells import plate_wells
from cartrace.plates.source import NotANumber, Row, Source, TableReader, fold, read_number, show
from cartrace.tables import conform, empty

if TYPE_CHECKING:
    import pandas as pd

NAME = "absolute_q"
LOOKED_FOR = (
    "a csv of the Absolute Q (Well, Total, Dye, Conc. cp/uL, Positives; or a line of dyes above "
    "Well, DF, Total, Conc., Positives; or Channels, Count, Copies per microliter; or Well ID, Index, Reject), "
    "or a zip archive with one"
)

_ROWS = (("Well",), ("Total",), ("Dye",), ("Conc. cp/uL",), ("Positives",))
_SUMMARY = (("Well",), ("DF",), ("Total",), ("Conc.",), ("Positives",), ("95%DeltaLCI",))
_COMBINATIONS = (("Sample",), ("Channels",), ("Count",), ("Copies per microliter",), ("Total",))
_CHAMBERS = (("Well ID",), ("Index",), ("Reject",))
_SAMPLE = ("Name", "Sample")
_CONCENTRATION = ("Conc. cp/uL", "Conc.")
_GROUP_SIZE = re.compile(r"(.*?)\s*\((\d+)\)")
_DILUTION = re.compile(r"1\s*/\s*(\S+)")

_Records = list[dict[str, object]]


def recognise(source: Source) -> bool:
    """Say whether it is a file of the Absolute Q."""
    if source.is_workbook:
        return False
    if source.is_zip:
        return bool(_members(source))
    return _form(source) is not None


def read(source: Source) -> Plate:
    """Read the file.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    if not source.is_zip:
        return _read_csv(source)
    # What the software computed first, then the counts, then the raw chambers.
    order: list[Callable[[Source, Place], Plate]] = [
        _read_rows,
        _read_summary,
        _read_combinations,
        _read_chambers,
    ]
    members = _members(source)
    best = min(members, key=lambda m: order.index(m[0]))
    if sum(reader is best[0] for reader, _ in members) > 1:
        raise source.refusal("an archive with results of more than one run", "one run in an archive")
    return _read_csv(best[1])


def _members(source: Source) -> list[tuple[Callable[[Source, Place], Plate], Source]]:
    """Return the csv files of the archive that this module reads, with their readers."""
    found = []
    for name in source.member_names:
        if not name.casefold().endswith(".csv") or fold(name).startswith("macosx"):
            continue
        member = Source(source.member(name), source.name, source.options)
        form = _form(member) if member.content else None
        if form is not None:
            found.append((form[0], member))
    return found


def _form(source: Source) -> tuple[Callable[[Source, Place], Plate], Place] | None:
    for header, reader in (
        (_ROWS, _read_rows),
        (_SUMMARY, _read_summary),
        (_COMBINATIONS, _read_combinations),
        (_CHAMBERS, _read_chambers),
    ):
        place = find_csv(source, *header)
        if place is not None:
            return reader, place
    return None


def _read_csv(source: Source) -> Plate:
    form = _form(source)
    assert form is not None
    reader, place = form
    return reader(source, place)


def _plate(
    source: Source,
    records: _Records,
    remarks: Sequence[Remark] = (),
    amplitudes: pd.DataFrame | None = None,
) -> Plate:
    return Plate(
        family=NAME,
        method="dpcr",
        wells=plate_wells(source, records),
        instrument="QuantStudio Absolute Q",
        platform="absolute_q",
        amplitudes=empty(AMPLITUDES) if amplitudes is None else amplitudes,
        remarks=(*remarks, *volume_remarks(records)),
    )


# -- one row for each well and dye, and the summary -------------------------------------------


def _read_rows(source: Source, place: Place) -> Plate:
    table = read_csv(source, place)
    source.check()
    records: _Records = []
    groups = _Groups(source)
    for row in table.rows:
        dye = table.text(row, "Dye")
        if not groups.stands_for_a_group(table, row, dye):
            records.append(_record(table, row, dye, "95%CI"))
    groups.check()
    return _plate(source, records)


def _read_summary(source: Source, place: Place) -> Plate:
    header, *rows = source.table(place.delimiter, first=place.line)
    above = source.table(place.delimiter, first=place.line - 1, last=place.line - 1) if place.line > 1 else []
    dyes = [(i, t) for row in above for i, t in enumerate(row.texts()) if t]
    if not dyes or any(fold(t) != "target" for i, t in _at(header, [i for i, _ in dyes])):
        raise source.refusal(
            "a header without the line of dyes above it", "the dye above each column 'Target'", place.line
        )
    width = len(header.cells)
    for row in rows:
        if not row.is_blank and len(row.cells) != width:
            source.problem(f"{len(row.cells)} cells", f"{width}, as in the header", row.number)
    source.check()
    records: _Records = []
    remarks: list[Remark] = []
    groups = _Groups(source)
    ends = [*(i for i, _ in dyes[1:]), width]
    for (first, dye), end in zip(dyes, ends, strict=True):
        # Where the next dye begins, or, for the last one, to the end: what follows the dyes has names of its own.
        picked = [*range(dyes[0][0]), *range(first, end)]
        table = TableReader(source, _pick(header, picked), [_pick(r, picked) for r in rows])
        for row in table.rows:
            if groups.stands_for_a_group(table, row, dye):
                continue
            record = _record(table, row, dye, "95%DeltaLCI")
            upper = table.number(row, "95%DeltaUCI", lowest=0, missing=MISSING)
            concentration = record["vendor_concentration"]
            if isinstance(concentration, float) and upper is not None:
                record["vendor_upper"] = concentration + upper
            record["threshold"] = table.number(row, "Threshold", missing=MISSING)
            record["vendor_status"] = table.text(row, "QC")
            record["dilution"] = dilution = _dilution(table, row)
            if dilution is not None and dilution != 1:
                # No file tells whether the concentration is of the reaction or of what was diluted.
                record |= {"vendor_concentration": None, "vendor_lower": None, "vendor_upper": None}
                remarks.append(
                    Remark(
                        "dilution",
                        "the concentration may or may not count the dilution DF, so it is not compared",
                        row.number,
                        "DF",
                    )
                )
            records.append(record)
    groups.check()
    return _plate(source, records, remarks)


def _at(header: Row, places: Sequence[int]) -> list[tuple[int, str]]:
    texts = header.texts()
    return [(i, texts[i] if i < len(texts) else "") for i in places]


def _pick(row: Row, places: Sequence[int]) -> Row:
    return Row(row.number, tuple(row.cells[i] for i in places if i < len(row.cells)))


def _record(table: TableReader, row: Row, dye: str, below: str) -> dict[str, object]:
    """Return a well; ``below`` is the column with the distance to the lower limit."""
    value = table.number(row, *_CONCENTRATION, lowest=0, missing=MISSING)
    distance = table.number(row, below, lowest=0, missing=MISSING)
    partitions, positives = table.whole(row, "Total"), table.whole(row, "Positives")
    for name, count in (("Total", partitions), ("Positives", positives)):
        if count is None:
            table.source.problem("no number", "a whole number", row.number, name)
    return {
        "well": well_of(table, row),
        "sample_name": table.text(row, *_SAMPLE),
        "target": table.text(row, "Target") or dye,
        "reporter": dye,
        "task": "unknown",
        "partitions": partitions,
        "positives": positives,
        "vendor_concentration": value,
        "vendor_lower": value - distance if value and distance is not None else None,
        "source_row": row.number,
    }


def _dilution(table: TableReader, row: Row) -> float | None:
    """Read DF: ``1/5`` is 1 in 5."""
    text = table.text(row, "DF")
    match = _DILUTION.fullmatch(text)
    return table.parse(row, "DF", match[1] if match else text, lowest=1, missing=MISSING)


class _Groups:
    """Rows that stand for a group of wells; ``Group 1 (8)`` promises eight of them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.promised: dict[tuple[str, str, str], tuple[int, int]] = {}
        self.found: Counter[tuple[str, str, str]] = Counter()

    def stands_for_a_group(self, table: TableReader, row: Row, dye: str) -> bool:
        well, group = fold(table.text(row, "Well")), table.text(row, "Group")
        target = table.text(row, "Target")
        if well in {"average", "pooled"} or (not well and not table.text(row, *_SAMPLE)):
            size = _GROUP_SIZE.fullmatch(group)
            if size:
                self.promised[size[1], target, dye] = (int(size[2]), row.number)
            return True
        self.found[group, target, dye] += 1
        return False

    def check(self) -> None:
        for key, (size, row) in self.promised.items():
            if self.found[key] != size:
                self.source.problem(
                    f"{self.found[key]} wells of {show(key[0])}", f"{size}, as this row says", row, "Group"
                )


# -- combinations of channels -----------------------------------------------------------------


def _read_combinations(source: Source, place: Place) -> Plate:
    """Sum the combinations that contain a channel: its positives."""
    table = read_csv(source, place)
    source.check()
    positives: dict[str, Counter[str]] = defaultdict(Counter)
    totals: dict[str, set[int]] = defaultdict(set)
    chambers: Counter[str] = Counter()
    first: dict[str, Row] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    for row in table.rows:
        sample, channels = table.text(row, "Sample"), table.text(row, "Channels").split()
        count, total = table.whole(row, "Count"), table.whole(row, "Total")
        if not sample or count is None or total is None:
            source.problem("a row without sample, count or total", "all three", row.number)
            continue
        key = (sample, frozenset(channels))
        if key in seen:
            source.problem(
                "this combination of this sample a second time", "each once", row.number, "Channels"
            )
        seen.add(key)
        first.setdefault(sample, row)
        chambers[sample] += count
        # A combination that nothing has is written with the total 0.
        if count or total:
            totals[sample].add(total)
        for channel in channels:
            positives[sample][channel] += count
    for sample, row in first.items():
        if totals[sample] != {chambers[sample]}:
            source.problem(
                f"{chambers[sample]} chambers in all combinations of this sample",
                "as many as its Total, and one Total",
                row.number,
                "Count",
            )
        combinations = sum(key[0] == sample for key in seen)
        if combinations != 2 ** len(positives[sample]):
            source.problem(
                f"{combinations} combinations of {len(positives[sample])} channels",
                f"all {2 ** len(positives[sample])}; the form also writes those that nothing has",
                row.number,
                "Channels",
            )
    return _plate(
        source,
        [
            {
                # This form names no well.
                "well": sample,
                "sample_name": sample,
                "target": channel,
                "reporter": channel,
                "task": "unknown",
                "partitions": chambers[sample],
                "positives": n,
                "source_row": row.number,
            }
            for sample, row in first.items()
            for channel, n in positives[sample].items()
        ],
    )


# -- one row for each chamber -----------------------------------------------------------------


def _read_chambers(source: Source, place: Place) -> Plate:
    """Count the chambers that were not rejected, as the software called them."""
    import pandas as pd

    frame = _chamber_table(source, place)
    dyes = [c.removesuffix(" pos") for c in frame.columns if c.endswith(" pos")]
    needed = {"sample"} | {d + s for d in dyes for s in ("", " target", " threshold")}
    if missing := needed - set(frame.columns):
        raise source.refusal(
            f"no column {', '.join(sorted(missing))}", "all columns of the export", place.line
        )
    _same_in_a_well(source, frame, ["sample", *(d + s for d in dyes for s in (" target", " threshold"))])
    rejected = _truths(source, frame, "reject")
    positives = {d: _truths(source, frame, d + " pos") for d in dyes}
    numbers = {c: _floats(source, frame, c) for d in dyes for c in (d, d + " threshold")}
    source.check()
    kept = ~rejected
    records: _Records = []
    remarks: list[Remark] = []
    amplitudes: list[pd.DataFrame] = []
    for dye in dyes:
        positive, threshold = positives[dye], numbers[dye + " threshold"]
        if unlike := int((kept & ((numbers[dye] > threshold) != positive)).sum()):
            remarks.append(
                Remark("threshold", f"{unlike} chambers are called against their threshold in {dye.upper()}")
            )
        for well, group in frame.groupby("well id", sort=False):
            first, mine = group.index[0], kept.loc[group.index]
            records.append(
                {
                    "well": str(well),
                    "sample_name": frame.loc[first, "sample"],
                    "target": frame.loc[first, dye + " target"] or dye.upper(),
                    "reporter": dye.upper(),
                    "task": "unknown",
                    "partitions": int(mine.sum()),
                    "positives": int((mine & positive.loc[group.index]).sum()),
                    "threshold": float(threshold.loc[first]),
                    "source_row": int(first),
                }
            )
        shown = {"amplitude": numbers[dye][kept], "positive": positive[kept]}
        amplitudes.append(pd.DataFrame({"well": frame.loc[kept, "well id"], "channel": dye.upper(), **shown}))
    picture = pd.concat(amplitudes, ignore_index=True) if amplitudes else empty(AMPLITUDES)
    return _plate(source, records, remarks, conform(picture, AMPLITUDES))


def _chamber_table(source: Source, place: Place) -> pd.DataFrame:
    """Return the cells as text, columns by their folded names; the index is the row of the file."""
    import pandas as pd

    lines = source.lines[place.line - 1 :]
    try:
        # pandas would fill short rows, and take the first cell of long ones for an index.
        widths = [len(cells) for cells in csv.reader(lines, delimiter=place.delimiter, strict=True)]
        for number, width in enumerate(widths, place.line):
            if width not in {0, widths[0]}:
                source.problem(f"{width} cells", f"{widths[0]}, as in the header", number)
        source.check()
        frame = pd.read_csv(
            io.StringIO("\n".join(lines)),
            sep=place.delimiter,
            dtype=str,
            index_col=False,
            keep_default_na=False,
            skip_blank_lines=False,
        )
    except (csv.Error, pd.errors.ParserError):
        raise source.refusal(
            "broken text", "a table in which each quote that opens a cell closes it"
        ) from None
    frame.columns = [fold(c) for c in frame.columns]
    if frame.columns.duplicated().any():
        raise source.refusal("two columns of one name", "each column once", place.line)
    frame.index = pd.RangeIndex(place.line + 1, place.line + 1 + len(frame))
    frame = frame[(frame != "").any(axis=1)].copy()
    for well in frame["well id"].unique():
        if not is_well(well):
            row = int(frame.index[frame["well id"] == well][0])
            source.problem(show(well), "a well such as A1", row, "Well ID")
    frame["well id"] = frame["well id"].map({w: well_name(w) for w in frame["well id"].unique()})
    for row in frame.index[frame.duplicated(["well id", "index"])].tolist():
        source.problem("this chamber of this well a second time", "each once", row, "Index")
    return frame


def _same_in_a_well(source: Source, frame: pd.DataFrame, columns: Sequence[str]) -> None:
    for column in columns:
        different = frame.groupby("well id", sort=False)[column].nunique()
        for well in different.index[different > 1]:
            row = int(frame.index[frame["well id"] == well][0])
            source.problem(f"{different[well]} values in well {show(well)}", "one for a well", row, column)


def _truths(source: Source, frame: pd.DataFrame, column: str) -> pd.Series[bool]:
    texts = frame[column].str.casefold()
    others = frame.loc[~texts.isin(["true", "false"]), column]
    for row, cell in zip(others.index.tolist(), others, strict=True):
        source.problem(show(cell), "True or False", row, column)
    return texts == "true"


def _floats(source: Source, frame: pd.DataFrame, column: str) -> pd.Series[float]:
    """Return a column as numbers. A run has millions, so plain ones are not looked at one by one."""
    texts = frame[column]
    is_plain = texts.str.fullmatch(r"-?\d+\.\d+" if source.options.decimal == "." else r"-?\d+,\d+")
    values = texts.where(is_plain, "nan").str.replace(",", ".", regex=False).astype(float)
    for cell in texts[~is_plain].unique():
        allowed, value = "a number", None
        try:
            value = read_number(cell, source.options.decimal)
        except NotANumber as fault:
            allowed = fault.allowed
        same = texts == cell
        if value is None:
            row = int(frame.index[same][0])
            source.problem(show(cell) if cell else "an empty cell", allowed, row, column)
        else:
            values[same] = value
    return values
