"""Plates drawn as grids, and the choice between several reads of one plate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cartrace.plates.source import NotANumber, Row, Source, fold, read_number, show

ROWS_OF = {24: 16, 12: 8}
"""Columns of a plate -> its rows: 384 and 96 wells."""
LETTERS = "ABCDEFGHIJKLMNOP"
OVERFLOW = frozenset({"ovrflw", "overflow", "over", "sat", "#sat", "saturated"})
"""What plate readers print where the signal was too strong, as :func:`fold` writes it."""
_WAVELENGTH = re.compile(r"\d{3,4}(\s*nm)?(\s*-\s*\d{3,4}(\s*nm)?)?|(raw data|label|read|lum)\s*\d*")


@dataclass(frozen=True, slots=True)
class Reading:
    """One cell of a read: its number, or what stands there instead; and where."""

    signal: float | None
    status: str
    row: int
    column: str


@dataclass(frozen=True, slots=True)
class Read:
    """One read of a plate: well -> reading, under the names by which an assay file may choose it."""

    name: str
    wells: Mapping[str, Reading]
    aliases: tuple[str, ...] = ()

    def is_called(self, wanted: str) -> bool:
        """Say whether it is the read that was asked for."""
        return _key(wanted) in {_key(n) for n in (self.name, *self.aliases) if n}


def _key(name: str) -> str:
    return fold(name).removesuffix("nm").strip()


def names_a_read(title: str) -> bool:
    """Say whether a title is that of a read (450, 450 nm, 450-650, Label1) rather than an analyte's."""
    return _WAVELENGTH.fullmatch(fold(title)) is not None


def number_or_word(
    source: Source, text: str, row: int, column: str, words: frozenset[str] = OVERFLOW
) -> tuple[float | None, str]:
    """Return a cell's number, or the word in its place; anything else is a problem of the source."""
    if fold(text) in words:
        return None, text
    try:
        return read_number(text, source.options.decimal), ""
    except NotANumber as fault:
        allowed = fault.allowed + (f"; {fault.suggestion}" if fault.suggestion else "")
        source.problem(show(text), allowed, row, column)
        return None, ""


def one_of(source: Source, names: Sequence[str], what: str) -> int:
    """Return the place of the sheet or plate that the assay file names (``read: sheet``), or of the only one.

    Raises
    ------
    InputError
        When there are several and none is named, or the name fits none or several.
    """
    wanted = source.options.sheet
    if len(names) == 1 and not wanted:
        return 0
    if names.count(wanted) != 1:
        raise source.refusal(
            f"{names.count(wanted)} {what} {show(wanted)}" if wanted else f"{len(names)} {what}",
            f"read: {{sheet: one of {', '.join(names)}}}",
        )
    return names.index(wanted)


def choose_read(source: Source, reads: Sequence[Read], wanted: str) -> Read:
    """Return the read that counts: the only one, the one asked for, or a difference of two (``450-650``).

    Raises
    ------
    InputError
        When several could count, or none is what the assay file asks for.
    """
    if not wanted and len(reads) == 1:
        return reads[0]
    listed = ", ".join(show(r.name) for r in reads)
    if not wanted:
        raise source.refusal(
            f"{len(reads)} reads of the plate: {listed}",
            "wavelength in the assay file: one of them, or the difference of two, such as 450-650",
        )
    if found := [r for r in reads if r.is_called(wanted)]:
        return _only(source, found, wanted)
    for at in (i for i, sign in enumerate(wanted) if sign == "-"):
        pair = [[r for r in reads if r.is_called(part)] for part in (wanted[:at], wanted[at + 1 :])]
        if all(pair):
            return difference(*(_only(source, found, wanted) for found in pair))
    raise source.refusal(f"no read {show(wanted)}", f"wavelength in the assay file: {listed or 'none'}")


def _only(source: Source, found: Sequence[Read], wanted: str) -> Read:
    if len(found) > 1:
        raise source.refusal(f"{len(found)} reads called {show(wanted)}", "one read of that name")
    return found[0]


def difference(first: Read, second: Read) -> Read:
    """Return the first read less the second, in the wells that both have."""
    wells = {}
    for well, one in first.wells.items():
        if (other := second.wells.get(well)) is not None:
            both = one.signal is not None and other.signal is not None
            signal = one.signal - other.signal if both else None  # type: ignore[operator]
            status = one.status or other.status
            wells[well] = Reading(signal, status, one.row, one.column)
    return Read(f"{first.name}-{second.name}", wells)


def header_of_grid(row: Row) -> tuple[int, int] | None:
    """Return the place of column 1 and the number of columns when the row is 1, 2, ... 12 or 24.

    Cells left and right of them don't count, but nothing may continue the numbers.
    """
    texts = row.texts()
    if "1" not in texts:
        return None
    at = texts.index("1")
    count = 0
    while at + count < len(texts) and texts[at + count] == str(count + 1):
        count += 1
    return (at, count) if count in ROWS_OF and at > 0 else None


def refuse_merged(source: Source, sheet: str, header: Row, last: int) -> None:
    """Tell the merged cells of a grid, from the row below its header to row ``last``: only their first well has a text."""
    place = header_of_grid(header)
    assert place is not None
    first, count = place
    for name, rows, columns in source.merged(sheet):
        down = rows.start <= last and rows.stop > header.number + 1
        across = columns.start <= first + count and columns.stop > first + 1
        if down and across:
            source.problem(
                f"the merged cells {name} of the sheet {show(sheet)}",
                "a cell for each well: unmerge them, and write into each well what it holds",
                rows.start,
            )


@dataclass(frozen=True, slots=True)
class GridRow:
    """One row of a grid: its letter, its cells by column number, and what stands right of them."""

    letter: str
    cells: tuple[str, ...]
    label: str
    number: int

    def wells(self) -> list[tuple[str, str, str]]:
        """Return well, column and cell of each of its cells."""
        return [(f"{self.letter}{n:02d}", str(n), text) for n, text in enumerate(self.cells, 1)]


def grid_rows(source: Source, header: Row, rows: Sequence[Row], *, exact: bool) -> list[GridRow]:
    """Return the rows of the grid below ``header``; ``rows`` are those and nothing else.

    A row without a letter belongs to the letter above it. ``exact``: a row has no
    fewer cells than the grid has columns (a text, whose lost cell would move others).

    Raises
    ------
    InputError
        When letters are missing, twice or out of order: wells would get others' numbers.
    """
    place = header_of_grid(header)
    assert place is not None
    first, count = place
    found: list[GridRow] = []
    letters = ""
    for row in rows:
        texts = row.texts()
        texts += [""] * (first + count + 1 - len(texts))
        letter, label = texts[first - 1].upper(), [t for t in texts[first + count :] if t]
        if (exact and len(row.cells) < first + count) or len(label) > 1:
            source.problem(
                f"{len(row.cells)} cells", f"{count} columns, as in row {header.number}", row.number
            )
            continue
        letters += letter
        if not letters:
            source.problem("a row without a letter", "A", row.number)
            continue
        found.append(
            GridRow(letters[-1], tuple(texts[first : first + count]), label[0] if label else "", row.number)
        )
    wanted = LETTERS[: ROWS_OF[count]]
    if letters != wanted:
        source.problem(
            f"the rows {show(letters)} of a plate of {count} columns",
            f"{wanted[0]} to {wanted[-1]}, each once and in order; perhaps the file was cut",
            header.number,
        )
        source.check()
    return found
