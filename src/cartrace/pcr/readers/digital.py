"""What the readers of digital PCR files share: finding the table, its wells and counts, and a look at the volume."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from cartrace.pcr.plate import Remark, well_name
from cartrace.plates.source import Row, Source, TableReader, find_header, fold, show

MISSING = ("no call", "n/a", "nan", "-")
"""What the programs write where there is no number."""
PLAUSIBLE_NL = (0.3, 1.2)
"""Partition volumes of all instruments lie in here, with room to spare (0.33 nL QIAcuity 8.5K, 0.91 nL QX100)."""

_FIRST_LINES = 12
_WELL = re.compile(r"[A-Pa-p]0*\d{1,2}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the header of a table is: line number from 1, and the delimiter."""

    line: int
    delimiter: str


def find_csv(source: Source, *groups: Sequence[str]) -> Place | None:
    """Return the place of the first header that has, of each group of names, at least one."""
    if source.is_zip:
        return None
    for number, line in enumerate(source.lines[:_FIRST_LINES], 1):
        for delimiter in ",;\t":
            try:
                cells = next(csv.reader([line], delimiter=delimiter), [])
            except csv.Error:
                continue
            if find_header([Row(number, tuple(cells))], *groups) is not None:
                return Place(number, delimiter)
    return None


def read_csv(source: Source, place: Place) -> TableReader:
    """Return the table below the header at ``place``; its rows are as wide as the header.

    The programs end rows, but not the header, with a comma: empty cells beyond the
    header are dropped.

    Raises
    ------
    InputError
        When quotes don't close. Rows of another width are problems.
    """
    header, *rows = source.table(place.delimiter, first=place.line)
    return as_wide_as_header(source, header, rows)


def as_wide_as_header(source: Source, header: Row, rows: Iterable[Row]) -> TableReader:
    """Return the table with empty cells beyond the header dropped; other widths are problems."""
    # Where a file was saved again in another encoding, the replacement character was a micro sign.
    cells = tuple(c.replace("\ufffd", "u") if isinstance(c, str) else c for c in header.cells)
    header = _without_empty_end(replace(header, cells=cells), 0)
    table = TableReader(source, header, [_without_empty_end(r, len(header.cells)) for r in rows])
    table.same_width()
    return table


def _without_empty_end(row: Row, width: int) -> Row:
    cells = list(row.cells)
    while len(cells) > width and cells[-1] == "":
        cells.pop()
    return replace(row, cells=tuple(cells))


def merged_wells(text: str) -> str:
    """Return the wells of a merged row, as ``(A01,B01)`` names them, joined by ';'."""
    return ";".join(well_name(w) for w in text.strip().strip("()").split(",") if w.strip())


def is_well(text: str) -> bool:
    """Say whether ``text`` is a well of a plate of up to 384 wells.

    >>> is_well("A01"), is_well("Average")
    (True, False)
    """
    return _WELL.fullmatch(text.strip()) is not None


def well_of(table: TableReader, row: Row, pooled: str = "") -> str:
    """Return the well; a row that is neither a well nor a merge of named wells is a problem."""
    text = table.text(row, "Well")
    members = pooled.split(";") if pooled else []
    # Programs number merged rows M01, M02, ...; M is also a row of a 384-well plate.
    is_single = is_well(text) and text[0].upper() <= "H"
    if (members and not all(map(is_well, members))) or not (members or is_single):
        table.source.problem(
            show(text) if text else "an empty cell",
            "A01 to H12, or a merged row with its wells, such as (A01,B01), in MergedWells",
            row.number,
            "Well",
        )
    return well_name(text)


def counts(
    table: TableReader,
    row: Row,
    *,
    accepted: Sequence[str],
    positives: Sequence[str],
    negatives: Sequence[str],
    may_lack: bool = False,
) -> tuple[int | None, int | None]:
    """Return positives and accepted partitions; counts that don't add up are a problem.

    ``may_lack``: the program called nothing here, so a part of the counts may be missing.
    """
    found = {n[0]: table.whole(row, *n, missing=MISSING) for n in (accepted, positives, negatives)}
    total, positive, negative = found.values()
    if total is None and positive is None and negative is None:
        return None, None
    if total is None or positive is None or negative is None:
        lacking = [name for name, value in found.items() if value is None]
        if not may_lack:
            table.source.problem(
                f"no number in {', '.join(lacking)}", "all of the counts, or none", row.number, lacking[0]
            )
        return None, None
    if positive + negative != total:
        table.source.problem(
            f"{positive} positives and {negative} negatives of {total} partitions",
            "counts that add up; unclassified partitions have to be classified in the instrument's program",
            row.number,
            table.name_of(*positives),
        )
    return positive, total


def read_records(
    table: TableReader, read: Callable[[TableReader, Row], tuple[dict[str, object], list[Remark]]]
) -> tuple[list[dict[str, object]], list[Remark]]:
    """Read every row; return the records, and all that was remarked on them."""
    records: list[dict[str, object]] = []
    remarks: list[Remark] = []
    for row in table.rows:
        record, told = read(table, row)
        records.append(record)
        remarks += told
    return records, remarks


def volume_remarks(records: Iterable[Mapping[str, object]]) -> list[Remark]:
    """Remark on concentrations that no partition volume of any instrument explains."""
    # Not at the top: it brings scipy, which the readers of qPCR files don't need.
    from cartrace.pcr.partitions import implied_volume_nl

    remarks = []
    for record in records:
        positives, partitions = record.get("positives"), record.get("partitions")
        concentration = record.get("vendor_concentration")
        if not (
            isinstance(positives, int) and isinstance(partitions, int) and isinstance(concentration, float)
        ):
            continue
        volume = float(implied_volume_nl(positives, partitions, concentration))
        is_saturated = positives == partitions
        fits = math.isnan(volume) or PLAUSIBLE_NL[0] <= volume <= PLAUSIBLE_NL[1] or is_saturated
        if not fits or (positives == 0) != (concentration == 0):
            told = "one of them is zero" if math.isnan(volume) else f"it implies {volume:.3g} nL"
            row = record["source_row"]
            assert isinstance(row, int)
            remarks.append(
                Remark(
                    "implied_volume",
                    f"the concentration does not fit the counts of this row: {told}, "
                    f"and partitions have {PLAUSIBLE_NL[0]:g} to {PLAUSIBLE_NL[1]:g} nL",
                    row,
                    value=f"{concentration:g}",
                )
            )
    return remarks


def task_of(
    table: TableReader, row: Row, word: str, words: Mapping[str, str], column: str
) -> tuple[str, list[Remark]]:
    """Return the task that ``word`` stands for; a word that nobody knows is ``other``, with a remark."""
    if fold(word) in words:
        return words[fold(word)], []
    return "other", [
        Remark(
            "task",
            f"the type {show(word)} does not tell what the well is for, so it is used for nothing; "
            "name it under controls in the assay file, or in the plate map",
            row.number,
            table.name_of(column),
        )
    ]
