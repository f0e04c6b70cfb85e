"""Luminex xPONENT (FLEXMAP 3D, MAGPIX, Luminex 200): a csv of blocks, each one kind of number.

A block begins with ``DataType:`` and its name, then a header, then a row for each well (or
standard, or analyte). Read are Median, Count, Result, % Recovery, Range, Dilution Factor, the
expected concentrations of standards and controls, Units, Analysis Types, R^2 and the warnings
of the instrument. Net MFI is not read: the software has taken the background off it.
The form of the blocks of an analysed plate (Result and on) is known from public code only.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cartrace.immunoassay.plate import Plate, VendorCurve
from cartrace.immunoassay.readers.plate_wells import plate_wells
from cartrace.plates.plate import Remark, well_name
from cartrace.plates.source import Cell, Row, Source, TableReader, as_text, fold, show
from cartrace.problems import plain

NAME = "xponent"
LOOKED_FOR = "a csv whose first row is Program, xPONENT, with blocks DataType: Median, Count"

DELIMITERS = (",", ";", "\t")
_START = "datatype:"
_END = "-- crc --"
_LOCATION = re.compile(r"\d+\s*\(\s*(\d+)\s*,\s*([A-Za-z]{1,2}0*[1-9]\d?)\s*\)")
_WARNED = re.compile(r"(\d+)\s*,\s*([A-Za-z]{1,2}0*[1-9]\d?)")
_OUT = re.compile(r"(?:oor\s*)?([<>])\s*(.*)", re.IGNORECASE)
_DEFAULT_NAMES = (
    (re.compile(r"standard\s*\d+", re.IGNORECASE), "standard"),
    (re.compile(r"control\s*\d+", re.IGNORECASE), "control"),
    (re.compile(r"background\s*\d*", re.IGNORECASE), "blank"),
)
"""Names that xPONENT gives to the wells of a protocol."""
_NOBODY = re.compile(r"unknown\s*\d+", re.IGNORECASE)
"""A name that it gives to all other wells, in the order of reading: it says nothing of the sample."""
NO_NUMBER = frozenset({"nan"})
_NO_UNIT = frozenset({"", "bead", "none", "n/a"})


@dataclass(frozen=True)
class Block:
    """One block: its name, its rows, and analyte -> place of its column."""

    name: str
    table: TableReader
    analytes: Mapping[str, int]


def recognise(source: Source) -> bool:
    """Say whether the first row names xPONENT, and an instrument that is no INTELLIFLEX."""
    program = program_of(source)
    return bool(program) and "intelliflex" not in fold(" ".join(program))


def program_of(source: Source) -> list[str]:
    """Return the cells of the first row of an xPONENT file, else nothing."""
    for delimiter in DELIMITERS:
        cells = _cells(source.lines[0], delimiter) if source.lines else []
        if [fold(c) for c in cells[:2]] == ["program", "xponent"]:
            return cells
    return []


def _cells(line: str, delimiter: str) -> list[str]:
    return [c.strip() for c in next(csv.reader([line], delimiter=delimiter), [])]


def read(source: Source) -> Plate:
    """Read the blocks.

    Raises
    ------
    InputError
        With every problem of the file; when it holds several plates and the assay file
        does not say which (``read: {sheet: "2"}``).
    """
    return read_blocks(source, NAME)


def read_blocks(source: Source, family: str) -> Plate:
    """Read the blocks of a file of xPONENT, whatever the instrument.

    Raises
    ------
    InputError
        As :func:`read`.
    """
    blocks, ended = _blocks(source)
    if "median" not in blocks:
        listed = ", ".join(show(b.name) for b in blocks.values()) or "none"
        raise source.refusal(f"no block Median; there is {listed}", "an export with the block Median")
    if not ended:
        blocks["median"].table.whole_last_cell()
        if "count" not in blocks:
            source.problem("neither a block Count nor the last line -- CRC --", "the whole file")
    reader = _Reader(source, blocks)
    records = reader.records()
    if not ended:
        reader.remarks.append(
            Remark("no_end", "The last line -- CRC -- is missing; perhaps the file was cut.", verdict="warn")
        )
    program = program_of(source)
    return Plate(
        family,
        plate_wells(source, records),
        reader.curves(),
        units=reader.units,
        instrument=plain(program[3], 60) if len(program) > 3 else "",
        software="xPONENT",
        software_version=plain(_header_value(source, "build"), 60),
        remarks=tuple(reader.remarks),
    )


def _header_value(source: Source, key: str) -> str:
    """Return a value of the lines above the blocks; they are free text, so each is read alone."""
    for line in source.lines[:60]:
        for delimiter in DELIMITERS:
            cells = _cells(line, delimiter)
            if len(cells) > 1 and fold(cells[0]) == key:
                return cells[1]
    return ""


def _blocks(source: Source) -> tuple[dict[str, Block], bool]:
    """Split the file into blocks, by name; and say whether its last line is there."""
    first = next(
        (n for n, line in enumerate(source.lines, 1) if fold(line.strip('" ')).startswith(_START)), 0
    )
    if not first:
        raise source.refusal("no row that begins with DataType:", "an export with the results")
    delimiter = next((d for d in DELIMITERS if d in source.lines[first - 1]), ",")
    rows = source.table(delimiter, first)
    end = next((i for i, r in enumerate(rows) if r.cells and fold(as_text(r.cells[0])) == _END), len(rows))
    starts = [i for i, r in enumerate(rows[:end]) if r.cells and fold(as_text(r.cells[0])) == _START]
    blocks: dict[str, Block] = {}
    for at, after in zip(starts, [*starts[1:], end], strict=True):
        title = rows[at]
        name = as_text(title.cells[1]) if len(title.cells) > 1 else ""
        body = [r for r in rows[at + 1 : after] if not r.is_blank]
        if fold(name) in blocks:
            source.problem(f"the block {show(name)} a second time", "each block once", title.number)
        elif not body:
            source.problem(f"the block {show(name)} without a header", "a header and rows", title.number)
        else:
            blocks[fold(name)] = _block(source, name, body)
    return blocks, end < len(rows)


def _block(source: Source, name: str, body: Sequence[Row]) -> Block:
    names = body[0].texts()
    analytes: dict[str, int] = {}
    for at, text in enumerate(names):
        if at and text and fold(text) not in {"sample", "total events"}:
            if plain(text) in analytes:
                source.problem(f"the analyte {show(text)} a second time", "each once", body[0].number)
            analytes.setdefault(plain(text), at)
    return Block(name, TableReader(source, body[0], body[1:]), analytes)


NOT_READ = re.compile(
    r"(avg )?(net mfi|result|range)|(trimmed )?(mean|count|peak|std dev|standard deviation|%? ?cv.*)"
    r"|% ?cv.*|comments|control range - (low|high)|per bead count|acquisition time|audit logs"
)
"""Blocks that are known and left alone; Comments and Audit Logs hold what people wrote."""
READ = frozenset(
    {
        "median",
        "count",
        "result",
        "% recovery",
        "range",
        "dilution factor",
        "standard expected concentration",
        "control expected concentration",
        "units",
        "analysis types",
        "analysis coefficients",
        "r^2",
        "warnings/errors",
    }
)

_Rows = Mapping[str, Mapping[str, Row]]
"""Name of a block -> well -> its row."""


@dataclass
class _Reader:
    """The blocks of one file, and what is found in them."""

    source: Source
    blocks: Mapping[str, Block]
    remarks: list[Remark] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    plate: str = ""
    """Number of the plate that is read."""

    def records(self) -> list[dict[str, object]]:
        """Return a record for each analyte of each well."""
        median = self.blocks["median"]
        self.units = {a: u for a, u in self.one_row("units", "units:").items() if fold(u) not in _NO_UNIT}
        self.plate = self.chosen_plate()
        wells = self.wells(median)
        rows = {
            name: self.rows_of(self.blocks[name], wells)
            for name in ("count", "result", "% recovery", "range", "dilution factor")
            if name in self.blocks
        }
        dilutions = self.dilutions(rows.get("dilution factor", {}))
        warnings = self.warnings()
        expected = self.expected()
        self.tell(
            rows, dilutions, [name for name in expected if name not in {fold(s) for _, s in wells.values()}]
        )
        records: list[dict[str, object]] = []
        for well, (row, sample) in wells.items():
            task, nominals = expected.get(fold(sample), (task_of(sample), {}))
            for analyte, at in median.analytes.items():
                signal = median.table.parse(row, analyte, _cell(row, at), missing=NO_NUMBER)
                none = "not reported" if not as_text(_cell(row, at)) else "no signal (NaN)"
                concentration, status = self.result(rows, well, analyte)
                texts = [
                    status,
                    self.words(rows, "range", well, analyte),
                    "" if signal is not None else none,
                    *warnings.get(well, ()),
                ]
                records.append(
                    {
                        "well": well,
                        "sample_name": None if _NOBODY.fullmatch(sample) else sample or None,
                        "target": analyte,
                        "task": task,
                        "signal": signal,
                        "bead_count": self.count(rows, well, analyte),
                        "nominal": nominals.get(analyte),
                        "dilution": dilutions.get(well),
                        "vendor_concentration": concentration,
                        "vendor_recovery_percent": self.number(rows, "% recovery", well, analyte),
                        "vendor_status": "; ".join(t for t in texts if t) or None,
                        "source_row": row.number,
                        "source_column": analyte,
                    }
                )
        return records

    def tell(self, rows: _Rows, dilutions: Mapping[str, float | None], unused: Sequence[str]) -> None:
        """Make remarks of what is missing or doubtful."""
        median = self.blocks["median"].table
        if nobody := sum(bool(_NOBODY.fullmatch(median.text(row, "Sample"))) for row in median.rows):
            self.remarks.append(
                Remark(
                    "names_of_software",
                    f"{nobody} wells have only the name that xPONENT gives (Unknown1, ...): the layout says what is in them.",
                )
            )
        if "count" not in rows:
            self.remarks.append(
                Remark(
                    "no_bead_counts", "The file has no block Count: beads can't be checked.", verdict="warn"
                )
            )
        if "result" in rows and any(d not in {None, 1.0} for d in dilutions.values()):
            self.remarks.append(
                Remark(
                    "vendor_dilution",
                    "Results of the instrument's software stand beside dilution factors; the file does not say "
                    "whether they are multiplied already.",
                    verdict="warn",
                )
            )
        if strange := [
            b.name for key, b in self.blocks.items() if key not in READ and not NOT_READ.fullmatch(key)
        ]:
            self.remarks.append(
                Remark("blocks_not_read", f"Blocks that are not known: {', '.join(map(show, strange[:9]))}.")
            )
        if unused:
            self.remarks.append(
                Remark(
                    "expected_unused",
                    f"{len(unused)} names with an expected concentration are in no well: "
                    f"{', '.join(map(show, unused[:5]))}.",
                    verdict="warn",
                )
            )

    # -- cells ----------------------------------------------------------------------------------

    def cell(self, rows: _Rows, name: str, well: str, analyte: str) -> tuple[Row | None, Cell]:
        """Return the cell of an analyte in a well of a block, and its row."""
        row, at = (
            rows.get(name, {}).get(well),
            self.blocks[name].analytes.get(analyte) if name in rows else None,
        )
        return (None, "") if row is None or at is None else (row, _cell(row, at))

    def number(
        self, rows: _Rows, name: str, well: str, analyte: str, lowest: float = -math.inf
    ) -> float | None:
        row, cell = self.cell(rows, name, well, analyte)
        table = self.blocks["median"].table
        return None if row is None else table.parse(row, analyte, cell, lowest=lowest, missing=NO_NUMBER)

    def count(self, rows: _Rows, well: str, analyte: str) -> int | None:
        value = self.number(rows, "count", well, analyte, lowest=0)
        if value is not None and not value.is_integer():
            row, cell = self.cell(rows, "count", well, analyte)
            self.source.problem(show(cell), "a whole number of beads", row.number if row else None, analyte)
            return None
        return None if value is None else int(value)

    def words(self, rows: _Rows, name: str, well: str, analyte: str) -> str:
        """Return the words that a block has for an analyte in a well; a bare number is no remark."""
        text = as_text(self.cell(rows, name, well, analyte)[1])
        return f"{name} {text}" if re.search(r"[A-Za-z<>]", text) and fold(text) not in NO_NUMBER else ""

    def result(self, rows: _Rows, well: str, analyte: str) -> tuple[float | None, str]:
        row, cell = self.cell(rows, "result", well, analyte)
        if row is None:
            return None, ""
        return vendor_result(self.blocks["result"].table, row, analyte, cell, self.units.get(analyte, ""))

    # -- wells ----------------------------------------------------------------------------------

    def chosen_plate(self) -> str:
        """Return the number of the plate that is read: the only one, or what the assay file says."""
        table = self.blocks["median"].table
        for name in ("Location", "Sample"):
            table.require(name)
        self.source.check()
        plates = sorted(
            {m[1] for r in table.rows if (m := _LOCATION.fullmatch(table.text(r, "Location")))}, key=int
        )
        wanted = self.source.options.sheet
        if wanted or len(plates) > 1:
            if wanted not in plates:
                self.source.problem(
                    f"the plates {', '.join(plates) or 'none'}",
                    'one plate, or its number in the assay file: read: {sheet: "1"}',
                    table.header.number,
                    "Location",
                )
                self.source.check()
            return wanted
        return plates[0] if plates else ""

    def wells(self, block: Block) -> dict[str, tuple[Row, str]]:
        """Return well -> its row and sample, of the plate that is read."""
        block.table.same_width()
        found: dict[str, tuple[Row, str]] = {}
        for row in block.table.rows:
            text = block.table.text(row, "Location")
            match = _LOCATION.fullmatch(text)
            if match is None:
                self.source.problem(
                    show(text) if text else "no location",
                    "a location such as 1(1,A1)",
                    row.number,
                    "Location",
                )
            elif match[1] == self.plate:
                well = well_name(match[2])
                if well in found:
                    first = found[well][0].number
                    self.source.problem(
                        f"the well {well} a second time", f"each once; the first is row {first}", row.number
                    )
                found.setdefault(well, (row, block.table.text(row, "Sample")))
        return found

    def rows_of(self, block: Block, wells: Mapping[str, tuple[Row, str]]) -> dict[str, Row]:
        """Return the rows of a block by well; it must have the wells, samples and analytes of Median."""
        median = self.blocks["median"]
        if (odd := set(block.analytes) ^ set(median.analytes)) and fold(block.name) != "dilution factor":
            self.source.problem(
                f"the analytes {', '.join(map(show, sorted(odd)[:5]))} in one of the blocks Median and {block.name}",
                "the same analytes in both",
                block.table.header.number,
            )
        found = self.wells(block)
        for well in sorted(set(found) ^ set(wells)):
            self.source.problem(
                f"the well {well} in one of the blocks Median and {show(block.name)}",
                "the same wells in both; perhaps the file was cut",
                block.table.header.number,
            )
        for well, (row, sample) in found.items():
            if well in wells and sample != wells[well][1]:
                self.source.problem(
                    f"another sample in the well {well} than in row {wells[well][0].number}",
                    "one sample in each well",
                    row.number,
                    "Sample",
                )
        return {well: row for well, (row, _) in found.items()}

    def dilutions(self, rows: Mapping[str, Row]) -> dict[str, float | None]:
        """Return the dilution of each well; nothing where the software's default, 1, stands everywhere."""
        if not rows:
            return {}
        table = self.blocks["dilution factor"].table
        table.require("Dilution Factor")
        found = {well: table.number(row, "Dilution Factor", missing=NO_NUMBER) for well, row in rows.items()}
        return {} if set(found.values()) <= {1.0, None} else found

    def warnings(self) -> dict[str, list[str]]:
        """Return what the instrument warned of, by well."""
        found: dict[str, list[str]] = {}
        if (block := self.blocks.get("warnings/errors")) is None:
            return found
        for row in block.table.rows:
            match = _WARNED.fullmatch(block.table.text(row, "Location"))
            message = block.table.text(row, "Message")
            if match and match[1] == self.plate and message:
                messages = found.setdefault(well_name(match[2]), [])
                if message not in messages:
                    messages.append(message)
        return found

    # -- standards, analytes --------------------------------------------------------------------

    def expected(self) -> dict[str, tuple[str, dict[str, float]]]:
        """Return folded name -> task and expected concentrations by analyte."""
        found: dict[str, tuple[str, dict[str, float]]] = {}
        for task in ("standard", "control"):
            block = self.blocks.get(f"{task} expected concentration")
            if block is None:
                continue
            block.table.same_width()
            known = {a: at for a, at in block.analytes.items() if a in self.blocks["median"].analytes}
            for row in block.table.rows:
                name = as_text(row.cells[0]) if row.cells else ""
                if fold(name) in found:
                    self.source.problem(f"{show(name)} a second time", "each name once", row.number)
                numbers = {
                    a: block.table.parse(row, a, row.cells[at], lowest=0, missing=NO_NUMBER)
                    for a, at in known.items()
                    if at < len(row.cells)
                }
                found[fold(name)] = (task, {a: n for a, n in numbers.items() if n is not None})
        return found

    def one_row(self, name: str, *firsts: str) -> dict[str, str]:
        """Return analyte -> text of the row of a block that begins with one of ``firsts`` (or the only row)."""
        block = self.blocks.get(name)
        rows = [] if block is None else block.table.rows
        chosen = [r for r in rows if r.cells and fold(as_text(r.cells[0])) in firsts] or (
            rows if len(rows) == 1 else []
        )
        if block is None or len(chosen) != 1:
            return {}
        cells = chosen[0].cells
        return {a: plain(as_text(cells[at]), 60) for a, at in block.analytes.items() if at < len(cells)}

    def curves(self) -> dict[str, VendorCurve]:
        """Return the kinds of curves that the software fitted.

        Their coefficients are not taken: which of them is which parameter is not documented.
        """
        kinds = {
            a: t
            for a, t in self.one_row("analysis types", "analysistype").items()
            if fold(t) not in {"", "none"}
        }
        if "analysis coefficients" in self.blocks:
            self.remarks.append(
                Remark(
                    "vendor_coefficients",
                    "Coefficients of the software's curves are not read: their meaning is not documented.",
                )
            )
        r2 = self.one_row("r^2", "r^2")
        return {a: VendorCurve(kind, {}, r2=_r2(r2.get(a, ""))) for a, kind in kinds.items()}


def _cell(row: Row, at: int) -> Cell:
    return row.cells[at] if at < len(row.cells) else ""


def _r2(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[01]?\.\d+|[01]", text) else None


def task_of(sample: str) -> str | None:
    """Return the task of a name that the software itself gives.

    Unknown is whatever is in the well until a layout says it: without a plate layout
    xPONENT calls every well so, standards too.

    >>> task_of("Standard3"), task_of("Background0"), task_of("Unknown7"), task_of("S")
    ('standard', 'blank', 'unknown', None)
    """
    if _NOBODY.fullmatch(sample):
        return "unknown"
    return next((task for name, task in _DEFAULT_NAMES if name.fullmatch(sample)), None)


def vendor_result(
    table: TableReader, row: Row, analyte: str, cell: Cell, unit: str = ""
) -> tuple[float | None, str]:
    """Read a concentration that a program for bead assays computed.

    Parameters
    ----------
    table, row, analyte, cell
        Where it stands; a fault becomes a problem of the table's source.
    unit
        Unit that may stand behind the number.

    Returns
    -------
    number, status
        ``< 3.2`` and ``OOR <`` are no numbers but statuses; ``*12`` is a number
        extrapolated beyond the standards, with the status ``*``; ``---`` (outlier) and
        ``***`` (no value) are statuses.
    """
    text = as_text(cell)
    if fold(text) in {"", *NO_NUMBER}:
        return None, ""
    if text in {"---", "***"} or fold(text) == "oor":
        return None, text
    if unit and fold(text).endswith(fold(unit)):
        text = text[: len(text) - len(unit)].rstrip()
        cell = text
    if match := _OUT.fullmatch(text):
        limit = match[2]
        if limit:
            table.parse(row, analyte, limit)
        return (
            None,
            f"{'OOR ' if fold(text).startswith('oor') else ''}{match[1]}{' ' + limit if limit else ''}",
        )
    if text.startswith("*"):
        return table.parse(row, analyte, text[1:]), "*"
    return table.parse(row, analyte, cell), ""
