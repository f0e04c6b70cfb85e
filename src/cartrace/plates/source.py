"""What every reader of an instrument's file builds on: the content as text, rows, sheets or zip members.

Nothing is guessed: a number that can be read in two ways is a problem, and so is a
file that ends in the middle of a row. Problems are collected and raised together.
"""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property, lru_cache
from typing import Any

from cartrace.plates.old_workbook import SIGNATURE, OldWorkbook, OldWorkbookError, open_old
from cartrace.plates.plate import ReadOptions
from cartrace.problems import InputError, Problem, did_you_mean, redact_dates

Cell = str | int | float | bool
"""A cell: text, or what a workbook stores as a number or a truth value. Empty is ``""``."""

MAX_BYTES = 200_000_000
MAX_UNZIPPED = 500_000_000
MAX_CELLS = 20_000_000
MAX_PROBLEMS = 100

_LINE_END = re.compile(r"\r\n|\n|\r")
_GROUPED = {
    ".": re.compile(
        r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d*)?(?:[eE][+-]?\d+)?|[+-]?\.\d+(?:[eE][+-]?\d+)?"
    ),
    ",": re.compile(
        r"[+-]?(?:\d+|\d{1,3}(?:[.'\u00a0\u202f ]\d{3})+)(?:,\d*)?(?:[eE][+-]?\d+)?|[+-]?,\d+(?:[eE][+-]?\d+)?"
    ),
}
_OTHER = {".": ",", ",": "."}
_SUBSTITUTES = str.maketrans({"µ": "u", "μ": "u", "²": "2", "\ufeff": "", "\u00a0": " ", "_": " "})
_FORMULA = re.compile(rb"<c\b([^>]*)>\s*<f\b(?:[^>]*/>|[^>]*>[^<]*</f>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>")
"""A cell of a sheet's XML that has a formula and no value."""
_MERGED = re.compile(rb"<mergeCell\b[^>]*\bref=\"([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})\"")
_UNIT = re.compile(r"\s*[\[(][^\])]*[\])]\s*$")


class NotANumber(ValueError):  # noqa: N818 - reads as what the cell is
    """A cell that should hold a number and does not; ``allowed`` says what would be one."""

    def __init__(self, allowed: str, suggestion: str = "") -> None:
        """Keep what is allowed and what may have been meant."""
        self.allowed = allowed
        self.suggestion = suggestion
        super().__init__(allowed)


def read_number(cell: Cell, decimal: str = ".") -> float | None:
    """Read a number as instruments print it; an empty cell is None.

    With the decimal mark ``.`` commas group thousands, so ``1,000,000.000`` is a
    million. One comma alone can be either mark, so it is refused.

    Raises
    ------
    NotANumber
        For anything else.

    >>> read_number("1,000,000.000"), read_number("2.5E+03"), read_number(""), read_number("27,35", ",")
    (1000000.0, 2500.0, None, 27.35)
    """
    if isinstance(cell, bool):
        raise NotANumber("a number")
    if isinstance(cell, (int, float)):
        if not math.isfinite(cell):
            raise NotANumber("a finite number")
        return float(cell)
    text = cell.strip()
    if not text:
        return None
    other = _OTHER[decimal]
    suggestion = f'read: {{decimal: "{other}"}} in the assay file, if {other} is the decimal mark'
    if not text.isascii() and not re.fullmatch(r"[\d.,'\u00a0\u202f+eE-]+", text, re.ASCII):
        raise NotANumber("a number")
    if not _GROUPED[decimal].fullmatch(text):
        swapped = _GROUPED[other].fullmatch(text) is not None
        raise NotANumber(f"a number with the decimal mark {decimal}", suggestion if swapped else "")
    if text.count(other) == 1 and decimal not in text:
        # 1,250 is 1250 or 1.25. Several groups, or both marks, leave no doubt.
        raise NotANumber(f"a number without a lone {other}, which may mark thousands or decimals", suggestion)
    value = float(re.sub(rf"[{other}'\u00a0\u202f ]", "", text).replace(decimal, "."))
    if not math.isfinite(value):
        raise NotANumber("a finite number")
    return value


def as_text(cell: Cell) -> str:
    """Return a cell as a spreadsheet shows it, without spaces around it.

    >>> as_text(5.0), as_text(True), as_text(" a ")
    ('5', 'TRUE', 'a')
    """
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return str(cell).strip()


def show(cell: Cell) -> str:
    """Return a cell as a message may show it: one line, short, printable, no date."""
    text = "".join(c if c.isprintable() else " " for c in as_text(cell)[:300])
    text = redact_dates(" ".join(text.split()))
    return f"'{text[:57]}...'" if len(text) > 60 else f"'{text}'"


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Return a header in the form in which headers are compared.

    >>> fold(" Conc. [copies/µL]"), fold("R²"), fold("Sample_Name")
    ('conc. [copies/ul]', 'r2', 'sample name')
    """
    return " ".join(text.translate(_SUBSTITUTES).casefold().split())


@lru_cache(maxsize=4096)
def stem(text: str) -> str:
    """Return a folded header without the unit in brackets at its end.

    >>> stem("Conc. [copies/µL]"), stem("Starting Quantity (SQ)")
    ('conc.', 'starting quantity')
    """
    return _UNIT.sub("", fold(text))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file. ``number`` counts as a spreadsheet does, from 1."""

    number: int
    cells: tuple[Cell, ...]

    @property
    def is_blank(self) -> bool:
        """Whether every cell is empty."""
        return all(not as_text(c) for c in self.cells)

    def texts(self) -> list[str]:
        """Return the cells as text."""
        return [as_text(c) for c in self.cells]


@dataclass(frozen=True)
class Source:
    """A file's content, and the problems that were found in it.

    ``name`` is the path as the trial folder has it; it is shown in messages.
    """

    content: bytes
    name: str
    options: ReadOptions = field(default_factory=ReadOptions)
    problems: list[Problem] = field(default_factory=list)

    def problem(
        self,
        found: str,
        allowed: str,
        row: int | None = None,
        column: str | None = None,
        suggestion: str = "",
    ) -> None:
        """Remember a problem; :meth:`check` raises them all."""
        if column is not None:
            column = show(column)[1:-1]
        self.problems.append(Problem(self.name, found, allowed, row, column, suggestion))

    def check(self) -> None:
        """Raise :class:`~cartrace.problems.InputError` when there are problems."""
        if not self.problems:
            return
        shown = self.problems[:MAX_PROBLEMS]
        if len(self.problems) > len(shown):
            shown.append(Problem(self.name, f"{len(self.problems) - len(shown)} problems more", "none"))
        raise InputError(shown)

    def refusal(self, found: str, allowed: str, row: int | None = None) -> InputError:
        """Return an error with all problems so far and one that ends the reading."""
        return InputError([*self.problems[:MAX_PROBLEMS], Problem(self.name, found, allowed, row)])

    # -- kinds of content ---------------------------------------------------------------------

    @property
    def is_zip(self) -> bool:
        """Whether the content is a zip archive (a workbook, RDML)."""
        return self.content.startswith(b"PK")

    @property
    def is_workbook(self) -> bool:
        """Whether the content is an Excel workbook (or an encrypted one, which its sheets tell)."""
        return self.is_old_workbook or (self.is_zip and "xl/workbook.xml" in self.member_names)

    @property
    def is_old_workbook(self) -> bool:
        """Whether the content is a workbook of before 2007 (.xls)."""
        return self.content.startswith(SIGNATURE)

    @cached_property
    def text(self) -> str:
        """The content as text; empty for an archive or a workbook.

        Raises
        ------
        InputError
            When the bytes are no text in the encoding.
        """
        content = self.content
        if self.is_zip or self.is_old_workbook:
            return ""
        text = self._decoded(content)
        if "\x00" in text:
            raise self.refusal("zero bytes", 'a text file; perhaps read: {encoding: "utf-16-le"} is needed')
        return text.removeprefix("\ufeff")

    def _decoded(self, content: bytes) -> str:
        if self.options.encoding:
            try:
                return content.decode(self.options.encoding)
            except (UnicodeError, LookupError):
                raise self.refusal(
                    "bytes that are not in the encoding that the assay file names",
                    "the encoding of the file, such as utf-8, utf-16 or cp1252",
                ) from None
        try:
            if content.startswith((b"\xff\xfe", b"\xfe\xff")):
                return content.decode("utf-16")
            return content.decode("utf-8-sig")
        except UnicodeError as error:
            row = content[: getattr(error, "start", 0)].count(b"\n") + 1
        lenient = content.decode("utf-8", errors="replace")
        # Letters that UTF-8 could read beside bytes that it could not: a damaged file, which
        # Windows-1252 would read without a word and wrongly.
        if not any(ord(c) > 127 and c != "\ufffd" for c in lenient):
            try:
                return content.decode("cp1252")
            except UnicodeError:
                pass
        raise self.refusal(
            "bytes that are neither UTF-8 nor Windows-1252", "a text file, or read: {encoding: ...}", row
        )

    @cached_property
    def lines(self) -> list[str]:
        """The text line by line, without the line ends."""
        lines = _LINE_END.split(self.text)
        return lines[:-1] if lines and not lines[-1] else lines

    def table(self, delimiter: str, first: int = 1, last: int | None = None) -> list[Row]:
        """Split the lines ``first`` to ``last`` (numbers from 1, both included) into cells.

        Raises
        ------
        InputError
            When quotes don't close, so that one cell would swallow rows.
        """
        reader = csv.reader(
            io.StringIO("\n".join(self.lines[first - 1 : last]), newline=""), delimiter=delimiter, strict=True
        )
        found: list[Row] = []
        number, cells = first, 0
        try:
            for line in reader:
                found.append(Row(number, tuple(line)))
                number = first + reader.line_num
                cells += len(line)
                if cells > MAX_CELLS:
                    raise self.refusal("too many cells", f"at most {MAX_CELLS:,}")
        except csv.Error as error:
            raise self.refusal(
                f"broken text ({error})", "a table in which each quote that opens a cell closes it", number
            ) from None
        width = max((len(r.cells) for r in found), default=0)
        for row in found:
            for cell in row.cells:
                if isinstance(cell, str) and "\n" in cell and cell.count(delimiter) >= max(1, width - 1):
                    raise self.refusal(
                        "a quote that opens a cell and closes it rows below",
                        "a quote that closes in its own cell",
                        row.number,
                    )
        return found

    # -- archives and workbooks ---------------------------------------------------------------

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        """The archive, once its stated sizes are known to be bearable."""
        try:
            archive = zipfile.ZipFile(io.BytesIO(self.content))
            unzipped = sum(i.file_size for i in archive.infolist())
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
            raise self.refusal("a zip archive that does not open", "a whole file") from None
        if unzipped > MAX_UNZIPPED or unzipped > 50_000_000 + 300 * len(self.content):
            raise self.refusal(
                f"an archive that unpacks to {unzipped / 1e6:.0f} MB", "an instrument's export"
            )
        return archive

    @cached_property
    def member_names(self) -> list[str]:
        """Names of the files in the archive."""
        return [i.filename for i in self._archive.infolist() if not i.is_dir()]

    def member(self, name: str) -> bytes:
        """Return one file of the archive, in memory, and never more of it than the archive states.

        Raises
        ------
        InputError
            When it does not unpack.
        """
        import zlib

        try:
            info = self._archive.getinfo(name)
            with self._archive.open(info) as stream:
                content = stream.read(info.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, RuntimeError, ValueError):
            raise self.refusal(
                f"the damaged member {show(name)}", "a whole archive without a password"
            ) from None
        if len(content) > info.file_size:
            raise self.refusal("an archive that lies about its size", "an instrument's export")
        return content

    @cached_property
    def _book(self) -> Any:
        import openpyxl

        for name in self.member_names:
            if name.endswith((".xml", ".rels")) and b"<!DOCTYPE" in self.member(name)[:4096]:
                raise self.refusal("a document type in a workbook", "a workbook of a laboratory program")
        try:
            with warnings.catch_warnings():
                # openpyxl warns about styles and extensions, which don't touch the values.
                warnings.simplefilter("ignore")
                return openpyxl.load_workbook(io.BytesIO(self.content), read_only=True, data_only=True)
        except Exception as error:  # noqa: BLE001 - a broken workbook may fail anywhere in zip, XML or openpyxl
            raise self.refusal(
                f"a broken workbook ({type(error).__name__})", "an .xlsx file that opens"
            ) from None

    @cached_property
    def _old(self) -> OldWorkbook:
        try:
            return open_old(self.content)
        except OldWorkbookError as error:
            raise self.refusal(
                f"an encrypted workbook, or an old one (.xls) that does not open ({error})",
                "a workbook without a password: open it in a spreadsheet program and save it as .xlsx",
            ) from None

    @cached_property
    def sheet_names(self) -> list[str]:
        """Names of the sheets of the workbook."""
        if self.is_old_workbook:
            return self._old.sheet_names
        return [str(s.title) for s in self._book.worksheets]

    @cached_property
    def _uncomputed(self) -> dict[str, str]:
        """Sheet -> first cell with a formula whose value the workbook does not hold: it would read as empty."""
        found: dict[str, str] = {}
        if self.is_old_workbook:
            return found
        for sheet in self._book.worksheets:
            path = str(getattr(sheet, "_worksheet_path", "")).lstrip("/")
            for cell in _FORMULA.finditer(self.member(path) if path in self.member_names else b""):
                if b't="str"' not in cell[1]:  # a text that was computed may be empty
                    place = re.search(rb'r="([A-Z]+\d+)"', cell[1])
                    found[str(sheet.title)] = place[1].decode() if place else ""
                    break
        return found

    def merged(self, name: str) -> list[tuple[str, range, range]]:
        """Return the merged cells of a sheet: their place (``B2:C2``), rows and columns, both counted from 1."""
        from openpyxl.utils import get_column_letter, range_boundaries

        if self.is_old_workbook:
            return [
                (f"{get_column_letter(c[0])}{r[0]}:{get_column_letter(c[-1])}{r[-1]}", r, c)
                for r, c in self._old.merged(name)
            ]
        path = str(getattr(self._book[name], "_worksheet_path", "")).lstrip("/")
        found = []
        for cell in _MERGED.finditer(self.member(path) if path in self.member_names else b""):
            left, top, right, bottom = range_boundaries(place := cell[1].decode())
            if left and top and right and bottom:
                found.append((place, range(top, bottom + 1), range(left, right + 1)))
        return found

    def sheet(self, name: str, limit: int | None = None) -> list[Row]:
        """Return the rows of a sheet; only the first ``limit`` of them, if one is given.

        Raises
        ------
        InputError
            When the sheet does not read, or has a formula without its value.
        """
        if (cell := self._uncomputed.get(name)) is not None:
            raise self.refusal(
                f"a formula without its value in the sheet {show(name)}, cell {cell}",
                "values: open the workbook in a spreadsheet program, which computes them, and save it",
                int(re.sub(r"\D", "", cell) or 1),
            )
        if self.is_old_workbook:
            if self._old.n_cells(name) > MAX_CELLS:
                raise self.refusal("too many cells", f"at most {MAX_CELLS:,}")
            return [Row(number, line) for number, line in enumerate(self._old.rows(name, limit), 1)]
        found: list[Row] = []
        cells = 0
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sheet = self._book[name]
                # A workbook may claim a million empty rows; count what is there.
                sheet.reset_dimensions()
                with closing(sheet.iter_rows(values_only=True)) as lines:
                    for number, line in enumerate(lines, 1):
                        found.append(Row(number, tuple(_workbook_cell(c) for c in line)))
                        cells += len(line)
                        if cells > MAX_CELLS:
                            raise self.refusal("too many cells", f"at most {MAX_CELLS:,}")
                        if number == limit:
                            break
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            raise self.refusal(
                f"a sheet {show(name)} that does not read ({type(error).__name__})", "a whole workbook"
            ) from None
        return found


def _workbook_cell(value: object) -> Cell:
    if value is None:
        return ""
    if isinstance(value, (datetime, date, time, timedelta)):
        return str(value)
    return value if isinstance(value, (str, bool, int, float)) else str(value)


class TableReader:
    """Cells of a table by the names of their columns; faults become problems of the source.

    Headers are compared by :func:`fold`, then by :func:`stem` (a unit in brackets
    does not count). Of several names the first that the table has is taken. Two
    columns of one name must say the same in every row that is read.
    """

    def __init__(self, source: Source, header: Row, rows: Sequence[Row]) -> None:
        """Keep the header and the rows below it; blank rows are left out."""
        self.source = source
        self.header = header
        self.names = header.texts()
        self.rows = [r for r in rows if not r.is_blank]
        self._places: dict[str, list[int]] = {}
        for form in (fold, stem):
            places: dict[str, list[int]] = {}
            for i, name in enumerate(self.names):
                if name:
                    places.setdefault(form(name), []).append(i)
            self._places = places | self._places

    def columns(self, *names: str) -> list[int]:
        """Return the places of all columns of the first of ``names`` that the table has."""
        return next((self._places[fold(n)] for n in names if fold(n) in self._places), [])

    def has(self, *names: str) -> bool:
        """Say whether the table has one of these columns."""
        return bool(self.columns(*names))

    def require(self, *names: str) -> bool:
        """Report the missing column when the table has none of ``names``."""
        if self.has(*names):
            return True
        self.source.problem(
            "no such column in the header",
            " or ".join(f"'{n}'" for n in names),
            self.header.number,
            names[0],
            did_you_mean(names[0], [n for n in self.names if n]),
        )
        return False

    def name_of(self, *names: str) -> str:
        """Return the header as the file writes it, or the first name."""
        places = self.columns(*names)
        return self.names[places[0]] if places else names[0]

    def cell(self, row: Row, *names: str) -> Cell:
        """Return the cell, empty when the column is missing or the row ends before it."""
        cells = [row.cells[i] if i < len(row.cells) else "" for i in self.columns(*names)]
        if len({as_text(c) for c in cells}) > 1:
            self.source.problem(
                f"{len(cells)} columns of this name that differ: {', '.join(map(show, cells))}",
                "one column, or columns that agree",
                row.number,
                self.name_of(*names),
            )
        return cells[0] if cells else ""

    def text(self, row: Row, *names: str) -> str:
        """Return the cell as text."""
        return as_text(self.cell(row, *names))

    def number(
        self,
        row: Row,
        *names: str,
        lowest: float = -math.inf,
        highest: float = math.inf,
        missing: Iterable[str] = (),
    ) -> float | None:
        """Return the cell as a number; None when it is empty, one of the words ``missing``, or at fault."""
        cell = self.cell(row, *names)
        return self.parse(row, self.name_of(*names), cell, lowest=lowest, highest=highest, missing=missing)

    def parse(
        self,
        row: Row,
        column: str,
        cell: Cell,
        *,
        lowest: float = -math.inf,
        highest: float = math.inf,
        missing: Iterable[str] = (),
    ) -> float | None:
        """Return a cell that was fetched already as a number; as :meth:`number`."""
        if as_text(cell).casefold() in {m.casefold() for m in missing}:
            return None
        try:
            value = read_number(cell, self.source.options.decimal)
        except NotANumber as fault:
            allowed = fault.allowed + "".join(f", or {m}" for m in missing if m)
            if fault.suggestion:
                allowed += f"; {fault.suggestion}"
            self.source.problem(show(cell), allowed, row.number, column)
            return None
        if value is not None and not lowest <= value <= highest:
            self.source.problem(show(cell), _range(lowest, highest), row.number, column)
            return None
        return value

    def whole(self, row: Row, *names: str, missing: Iterable[str] = ()) -> int | None:
        """Return the cell as a count: a whole number from 0."""
        value = self.number(row, *names, lowest=0, highest=1e12, missing=missing)
        if value is None:
            return None
        if not value.is_integer():
            self.source.problem(
                show(self.cell(row, *names)), "a whole number", row.number, self.name_of(*names)
            )
            return None
        return int(value)

    def flag(self, row: Row, *names: str) -> bool:
        """Return the cell as yes or no; empty, or no such column, is no."""
        text = self.text(row, *names).casefold()
        if text in {"true", "yes", "1", "x"}:
            return True
        if text not in {"", "false", "no", "0"}:
            self.source.problem(show(text), "true or false", row.number, self.name_of(*names))
        return False

    def word(self, row: Row, words: Mapping[str, str], *names: str) -> str | None:
        """Return the meaning of the cell in ``words`` (keys as :func:`fold` writes them)."""
        text = self.text(row, *names)
        if fold(text) in words:
            return words[fold(text)]
        self.source.problem(
            show(text) if text else "an empty cell",
            ", ".join(w for w in words if w),
            row.number,
            self.name_of(*names),
            did_you_mean(text, words),
        )
        return None

    def same_width(self, width: int | None = None) -> None:
        """Report rows whose number of cells is not the header's (or ``width``).

        Such a file was cut, or a cell holds the delimiter, or the header lacks a name: the
        cells below it may then stand under a wrong name.
        """
        width = len(self.header.cells) if width is None else width
        for row in self.rows:
            if len(row.cells) != width:
                self.source.problem(
                    f"{len(row.cells)} cells",
                    f"{width}, as in the header; perhaps the file was cut",
                    row.number,
                )

    def whole_last_cell(self) -> None:
        """Report a file without a line end: the number in its last cell may have been cut.

        Only for tables whose last column is read.
        """
        if self.source.text and not self.source.text.endswith(("\n", "\r")):
            self.source.problem(
                "a last line without its end; perhaps the file was cut", "a file that ends with a line end"
            )


def find_header(rows: Iterable[Row], *groups: Sequence[str]) -> int | None:
    """Return the index of the first row that has, of each group of names, at least one."""
    wanted = [{fold(n) for n in group} for group in groups]
    for i, row in enumerate(rows):
        names = {form(t) for t in row.texts() for form in (fold, stem) if t}
        if all(names & group for group in wanted):
            return i
    return None


def _range(lowest: float, highest: float) -> str:
    if math.isinf(highest):
        return f"at least {lowest:g}"
    return f"{lowest:g} to {highest:g}"
