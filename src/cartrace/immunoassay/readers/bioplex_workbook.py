"""Bio-Rad Bio-Plex Manager: the workbook of results (xlsx, xls).

Two forms. *Table*: one row for each well of an analyte, with the columns Type, Well, Description, FI,
Obs Conc, Exp Conc, Dilution; one analyte a sheet, or all one below the other. *Blocks*: one block for
each quantity (FI, Obs Conc, ...), with the analytes side by side in the row above. Rows of several wells (``A1,B1``) are the
software's means and not read.

No real file was at hand: the forms are those that public importers read (LabKey's LuminexExcelParser,
SerolyzeR's parser of BIOPLEX files).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cartrace.immunoassay.plate import Plate, VendorCurve
from cartrace.immunoassay.readers.bioplex import READING_CODES, without_beads
from cartrace.immunoassay.readers.plate_wells import plate_wells
from cartrace.immunoassay.readers.xponent import vendor_result
from cartrace.plates.plate import Remark, well_name
from cartrace.plates.source import Cell, Row, Source, TableReader, as_text, find_header, fold, show, stem
from cartrace.problems import plain

NAME = "bioplex_workbook"
LOOKED_FOR = "a workbook with the columns Type, Well, FI in a sheet"

TOP = 100
"""Rows of a sheet among which the first header is looked for."""
_HEADER = (("Type",), ("Well",), ("FI",))
QUANTITIES = {
    "signal": ("FI",),
    "bead_count": ("Bead Count", "BeadCount", "Count"),
    "nominal": ("Exp Conc",),
    "vendor_concentration": ("Obs Conc",),
    "vendor_recovery_percent": ("(Obs/Exp) * 100",),
    "dilution": ("Dilution",),
    "outlier": ("Outlier",),
    "errors": ("Sampling Errors",),
}
"""What is kept -> how the workbook calls it. FI - Bkgd, SDs, CVs and Conc in Range follow from these."""
_OF_NAME = {fold(name): key for key, names in QUANTITIES.items() for name in names}
_TASKS = {"s": "standard", "es": "standard", "c": "control", "b": "blank", "x": "unknown", "u": "unknown"}
_TYPE = re.compile(r"(ES|[SCBXU])\d*", re.IGNORECASE)
_WELL = re.compile(r"[A-Pa-p]0?\d{1,2}")
_WELLS = re.compile(r"[A-Pa-p]0?\d{1,2}([\s,;]+[A-Pa-p]0?\d{1,2})+")
_REGION = re.compile(r"\s*\(\d+\)$")
_MISSING = ("***", "---", "nan")
_CURVE = re.compile(
    r"FI = (?P<D>{n}) \+ \((?P<A>{n}) - (?P<again>{n})\) / \(\(1 \+ \(Conc / (?P<C>{n})\)\^(?P<B>{n})\)\)\^(?P<G>{n})".replace(
        "{n}", r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
    )
)


def recognise(source: Source) -> bool:
    """Say whether a sheet has the header."""
    return source.is_workbook and any(_has_header(source, name) for name in source.sheet_names)


def _has_header(source: Source, sheet: str) -> bool:
    return find_header(source.sheet(sheet, TOP), *_HEADER) is not None


def read(source: Source) -> Plate:
    """Read the wells of all sheets, or of the one that the assay file names.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    wanted = source.options.sheet
    if wanted and wanted not in source.sheet_names:
        raise source.refusal(
            f"no sheet {show(wanted)}", f"read: {{sheet: one of {', '.join(source.sheet_names)}}}"
        )
    book = _Book(source)
    for name in [wanted] if wanted else source.sheet_names:
        book.add(name, source.sheet(name))
    records = book.records()
    return Plate(
        NAME,
        plate_wells(source, records),
        book.curves,
        instrument="Bio-Plex",
        software="Bio-Plex Manager",
        remarks=tuple(book.remarks),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """One cell, with the row, table and column that it stands in."""

    table: TableReader
    row: Row
    column: str
    cell: Cell = ""


@dataclass
class _Book:
    source: Source
    cells: dict[tuple[str, str], dict[str, object]] = field(default_factory=dict)
    """Well and analyte -> what the sheets say of them."""
    curves: dict[str, VendorCurve] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    means: int = 0

    def add(self, sheet: str, rows: Sequence[Row]) -> None:
        """Take what one sheet says."""
        starts = [i for i, row in enumerate(rows) if find_header([row], *_HEADER[:2]) is not None]
        if not starts:
            return
        head = {
            fold(key): value.strip()
            for row in rows[: starts[0]]
            for key, colon, value in [next(iter(row.texts()), "").partition(":")]
            if colon
        }
        name = _REGION.sub("", head.get("analyte", sheet)).strip()
        for at, end in zip(starts, [*starts[1:], len(rows)], strict=True):
            body = self.body(rows[at + 1 : end])
            analytes = _analytes_above(rows[at - 1] if at else None, rows[at])
            if analytes:
                self.block(rows[at], body, analytes)
            else:
                self.table(rows[at], body, name)
        self.curve(name, head)

    def body(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows up to a blank one; below it there may be words, but no well."""
        end = next((i for i, row in enumerate(rows) if row.is_blank), len(rows))
        for row in rows[end:]:
            if any(_WELL.fullmatch(t) for t in row.texts()[:4]):
                self.source.problem("a well below a blank row", "wells one below the other", row.number)
        return list(rows[:end])

    def table(self, header: Row, rows: Sequence[Row], sheet_analyte: str) -> None:
        """Take a table: one row for each well."""
        table = TableReader(self.source, header, rows)
        if not table.require("FI"):
            return
        for row, well, kind in self.wells(table):
            own = _REGION.sub("", table.text(row, "Analyte")).strip()
            record = self.record(well, own or sheet_analyte, kind, _Found(table, row, "FI"))
            for key, names in QUANTITIES.items():
                if table.has(*names):
                    self.put(record, key, _Found(table, row, table.name_of(*names), table.cell(row, *names)))

    def block(self, header: Row, rows: Sequence[Row], analytes: Mapping[int, str]) -> None:
        """Take a block: one quantity, with the analytes side by side."""
        table = TableReader(self.source, header, rows)
        quantity = header.texts()[next(iter(analytes))]
        key = _OF_NAME.get(fold(quantity), _OF_NAME.get(stem(quantity), ""))
        for row, well, kind in self.wells(table) if key else ():
            for place, analyte in analytes.items():
                cell = row.cells[place] if place < len(row.cells) else ""
                found = _Found(table, row, analyte, cell)
                self.put(self.record(well, analyte, kind, found), key, found)

    def wells(self, table: TableReader) -> Iterator[tuple[Row, str, str]]:
        """Yield row, well and type of the rows of one well."""
        for row in table.rows:
            well, kind = table.text(row, "Well"), table.text(row, "Type")
            if _WELLS.fullmatch(well):
                self.means += 1
            elif not _WELL.fullmatch(well):
                self.source.problem(show(well) if well else "no well", "a well as A1", row.number, "Well")
            elif not _TYPE.fullmatch(kind):
                self.source.problem(
                    show(kind) if kind else "no type", "S1, B, C1, X1: standard, blank, control, unknown",
                    row.number, "Type",
                )  # fmt: skip
            else:
                yield row, well_name(well), kind

    def record(self, well: str, analyte: str, kind: str, found: _Found) -> dict[str, object]:
        """Return what is known of an analyte of a well; type and name must be the same wherever it stands."""
        row = found.row
        name = found.table.text(row, "Description") or kind
        record = self.cells.setdefault(
            (well, analyte),
            {"type": kind, "sample_name": name, "source_row": row.number, "source_column": found.column},
        )
        for key, column, said in (("type", "Type", kind), ("sample_name", "Description", name)):
            if record[key] != said:
                self.source.problem(
                    f"{show(said)} in the well {well}, and {show(str(record[key]))} elsewhere",
                    "the same in all blocks",
                    row.number,
                    column,
                )
        return record

    def put(self, record: dict[str, object], key: str, found: _Found) -> None:
        """Take one cell; a quantity of an analyte of a well stands once."""
        table, row, column, text = found.table, found.row, found.column, as_text(found.cell)
        if key in record:
            self.source.problem("a second number of one analyte and well", "one", row.number, column)
        elif key == "signal":
            record[key] = table.parse(row, column, found.cell, missing=_MISSING)
            record["signal_status"] = {"---": "outlier", "***": "no reading"}.get(text)
        elif key == "vendor_concentration":
            record[key], record["status"] = vendor_result(table, row, column, found.cell)
        elif key == "dilution":
            times = text.partition(":")[2] if re.match(r"1\s*:", text) else found.cell
            record[key] = table.parse(row, column, times, lowest=1, missing=_MISSING)
        elif key in {"outlier", "errors"}:
            record[key] = text
        else:
            record[key] = table.parse(row, column, found.cell, lowest=0, missing=_MISSING)

    def records(self) -> list[dict[str, object]]:
        """Return a record for each analyte of each well; tell what was not read."""
        if not self.cells and self.means:
            self.source.problem("only means of several wells", "an export with each well")
        known = {
            analyte for (_, analyte), r in self.cells.items() if _task(r) == "standard" and r.get("nominal")
        }
        undiluted = {r.get("dilution") for r in self.cells.values()} <= {1.0, None}
        found = []
        for (well, analyte), r in self.cells.items():
            task, nominal, count = _task(r), r.get("nominal"), r.get("bead_count")
            if not nominal and not (task == "standard" and analyte in known):
                nominal = None  # 0 is what the software writes where nobody typed one
            if isinstance(count, float) and not count.is_integer():
                self.source.problem(f"{count:g} beads", "a whole number", int(str(r["source_row"])), analyte)
            outlier = r.get("signal_status") == "outlier" or str(r.get("outlier", "")).casefold() not in _NO
            said = (r.get("status"), r.get("signal_status"), _errors(str(r.get("errors", ""))))
            found.append(
                {
                    "well": well,
                    "target": plain(analyte),
                    "sample_name": r["sample_name"],
                    "task": task,
                    "omitted": outlier,
                    "signal": r.get("signal"),
                    "bead_count": None if count is None else int(float(str(count))),
                    "nominal": nominal,
                    "dilution": None if undiluted else r.get("dilution"),
                    "vendor_concentration": r.get("vendor_concentration"),
                    "vendor_recovery_percent": r.get("vendor_recovery_percent")
                    if task == "standard"
                    else None,
                    "vendor_status": "; ".join(str(t) for t in said if t) or None,
                    "source_row": r["source_row"],
                    "source_column": plain(str(r["source_column"])),
                }
            )
        self.remarks += without_beads(found)
        return found

    def curve(self, analyte: str, head: Mapping[str, str]) -> None:
        """Keep the software's curve of a sheet of one analyte."""
        kind, formula = head.get("regression type", ""), head.get("std. curve", "")
        match = _CURVE.match(formula)
        known = match is not None and match["D"] == match["again"]
        parameters = {k: float(match[k]) for k in "ABCDG"} if match is not None and known else {}
        if kind or parameters:
            self.curves[plain(analyte)] = VendorCurve(plain(kind, 60), parameters)


_NO = frozenset({"", "0", "no", "false", "none"})


def _analytes_above(above: Row | None, header: Row) -> dict[int, str]:
    """Return place -> analyte of a block: all its quantities are one, and the row above names analytes."""
    texts = header.texts()
    places = [i for i, t in enumerate(texts) if t and stem(t) not in {"type", "well", "description"}]
    if above is None or not places or len({fold(texts[i]) for i in places}) > 1:
        return {}
    names = [*above.texts(), *[""] * len(texts)]
    found = {i: _REGION.sub("", names[i]).strip() for i in places}
    return found if all(found.values()) else {}


def _task(record: Mapping[str, object]) -> str:
    return _TASKS[re.sub(r"\d", "", str(record["type"])).casefold()]


def _errors(text: str) -> str:
    """Put the codes of sampling errors into words; what is no list of codes stays."""
    codes = re.findall(r"\d", text) if re.fullmatch(r"[\d\s,;]*", text) else []
    return ", ".join(READING_CODES.get(c, f"code {c}") for c in codes if c != "0") if codes else text
