"""Gen5 (BioTek, Agilent): the text export with its layout, its results as grids, its curves.

Below each letter of a grid stands one row for each kind of number; its name is the last
cell: ``450``, ``Blank 450``, ``[Concentration]``. Of a read only the raw numbers are taken.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from cartrace.immunoassay.plate import Plate, VendorCurve
from cartrace.immunoassay.readers.grid import (
    GridRow,
    Read,
    Reading,
    choose_read,
    grid_rows,
    header_of_grid,
    number_or_word,
    one_of,
)
from cartrace.immunoassay.readers.plate_wells import plate_wells
from cartrace.plates.plate import Remark
from cartrace.plates.source import NotANumber, Row, Source, fold, read_number, show
from cartrace.problems import plain

NAME = "gen5"
LOOKED_FOR = "a text with the lines 'Software Version', 'Reader Type:' and 'Results'"

_WELL_ID = re.compile(r"([A-Za-z]+)\d*(:\d+)?")
TASKS = {
    "STD": "standard",
    "SPL": "unknown",
    "SMP": "unknown",
    "BLK": "blank",
    "CTL": "control",
    "CTRL": "control",
    "POS": "positive_control",
    "NEG": "negative_control",
}
"""Letters of a well ID -> what the well is for."""
_CONCENTRATION = "[concentration]"
_BOUND = re.compile(r"[<>]\s*(.+)")
_NOT_COMPUTED = frozenset({"?????", "????", "n/a", "error"})
_DERIVED = re.compile(r"(blank|log|ln|mean|avg|std dev|cv|%|pathlength)\b.*|.*\[[^\]]*\].*")
_LOGISTIC_4 = "y=(a-d)/(1+(x/c)^b)+d"
_LOGISTIC_5 = ("y=(a-d)/(1+(x/c)^b)^e+d", "y=(a-d)/((1+(x/c)^b)^e)+d")
_LINE = "y=a*x+b"


def recognise(source: Source) -> bool:
    """Say whether the text has the lines of a Gen5 export."""
    if source.is_zip:
        return False
    firsts = {line.split("\t", 1)[0].strip() for line in source.lines[:400]}
    return {"Software Version", "Reader Type:"} <= firsts and "Results" in {
        line.strip() for line in source.lines
    }


def read(source: Source) -> Plate:
    """Read the layout, the results and the curves of one plate.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    rows = [Row(n, tuple(line.split("\t"))) for n, line in enumerate(source.lines, 1)]
    # Two numbers of it: 3.12.08 reads as a date.
    version = re.match(r"\d+\.\d+", _after(rows, "Software Version"))
    rows = _one_plate(source, rows)
    results = _by_label(source, rows, "Results")
    if not results:
        raise source.refusal("no grid below Results", "an export with the results as a matrix of wells")
    layout = _by_label(source, rows, "Layout")
    raw = {n: g for n, g in results.items() if not _is_derived(n, results)}
    reads = [
        Read(
            n,
            {w: r for w, r in _readings(source, grid).items() if r.signal is not None or r.status},
            _aliases(n),
        )
        for n, grid in raw.items()
    ]
    source.check()
    chosen = choose_read(source, reads, source.options.wavelength)
    computed = _cells(results.get(_named(results, _CONCENTRATION), ()))
    described = {
        name: _cells(layout.get(_named(layout, name), ())) for name in ("well id", "name", "conc/dil")
    }
    wells = {
        **dict.fromkeys(chosen.wells),
        **dict.fromkeys(w for w, c in described["well id"].items() if c[0]),
    }
    records = [_record(source, well, chosen, computed, described) for well in wells]
    curves, remarks = _curves(source, rows)
    records.sort(key=lambda r: (str(r["well"])[0], str(r["well"])))
    return Plate(
        NAME,
        plate_wells(source, records),
        curves=curves,
        instrument=plain(_after(rows, "Reader Type:").removeprefix("n/a")),
        software="Gen5",
        software_version=version[0] if version else "",
        remarks=remarks,
    )


def _after(rows: Sequence[Row], key: str) -> str:
    return next((t[1] for r in rows if len(t := r.texts()) > 1 and t[0] == key), "")


def _one_plate(source: Source, rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the plate that is meant; an export may hold several."""
    starts = [i for i, r in enumerate(rows) if r.texts()[0] == "Plate Number"]
    names = [(*rows[i].texts(), "")[1] for i in starts]
    if not starts and not source.options.sheet:
        return list(rows)
    at = one_of(source, names, "plates")
    return list(rows[starts[at] : starts[at + 1] if at + 1 < len(starts) else None])


def _by_label(source: Source, rows: Sequence[Row], section: str) -> dict[str, list[GridRow]]:
    """Return the rows of a section's grid by their names; each letter has each name once."""
    at = [i for i, r in enumerate(rows) if r.texts()[0] == section and not any(r.texts()[1:])]
    if not at:
        return {}
    if len(at) > 1:
        raise source.refusal(f"the section {section} a second time", "one plate", rows[at[1]].number)
    if at[0] + 1 == len(rows) or header_of_grid(header := rows[at[0] + 1]) is None:
        raise source.refusal(f"no grid below {section}", "a row 1, 2, ... 12 or 24", rows[at[0]].number)
    below = rows[at[0] + 2 :]
    below = below[: next((i for i, r in enumerate(below) if len(r.cells) < 2), len(below))]
    grid = grid_rows(source, header, below, exact=True)
    found: dict[str, list[GridRow]] = {}
    for row in grid:
        if not row.label:
            source.problem("a row without its name", "the name of its numbers in the last cell", row.number)
        found.setdefault(row.label, []).append(row)
    letters = {r.letter for r in grid}
    for label, listed in found.items():
        if len(listed) != len(letters) or {r.letter for r in listed} != letters:
            source.problem(
                f"{show(label)} in {len(listed)} rows of {len(letters)} letters",
                "each name once for each letter",
                listed[0].number,
            )
    source.check()
    return found


def _named(found: Mapping[str, object], name: str) -> str:
    return next((n for n in found if fold(n) == name), "")


def _is_derived(label: str, labels: Mapping[str, object]) -> bool:
    """Say whether numbers were computed from others, as ``Blank 450`` from ``450``."""
    return _DERIVED.fullmatch(fold(label)) is not None or any(
        label != other and label.endswith(f" {other}") for other in labels
    )


def _aliases(label: str) -> tuple[str, ...]:
    return (label.rpartition(":")[2],) if ":" in label else ()


def _cells(rows: Sequence[GridRow]) -> dict[str, tuple[str, int, str]]:
    """Well -> cell, row, column."""
    return {well: (text, r.number, column) for r in rows for well, column, text in r.wells()}


def _readings(source: Source, rows: Sequence[GridRow]) -> dict[str, Reading]:
    words = _NOT_COMPUTED | {"ovrflw", "overflow", "undrflw"}
    return {
        well: Reading(*number_or_word(source, text, row, column, words), row, column)
        for well, (text, row, column) in _cells(rows).items()
    }


def _record(
    source: Source,
    well: str,
    chosen: Read,
    computed: Mapping[str, tuple[str, int, str]],
    described: Mapping[str, Mapping[str, tuple[str, int, str]]],
) -> dict[str, object]:
    identity, row, column = described["well id"].get(well, ("", 0, ""))
    name = described["name"].get(well, ("", 0, ""))[0]
    reading = chosen.wells.get(well, Reading(None, "", row, column))
    match = _WELL_ID.fullmatch(identity)
    task = TASKS.get(match[1].upper()) if match else None
    amount = described["conc/dil"].get(well)
    nominal = dilution = None
    if amount and amount[0] and task == "unknown":
        dilution = _dilution(source, *amount)
        # SPL1:2 is the second dilution of SPL1.
        identity = identity.partition(":")[0]
    elif amount and amount[0]:
        nominal, _ = number_or_word(source, *amount, frozenset())
    concentration, status = _concentration(source, *computed.get(well, ("", 0, "")))
    return {
        "well": well,
        "sample_name": name or identity or None,
        "task": task,
        "signal": reading.signal,
        "nominal": nominal,
        "dilution": dilution,
        "vendor_concentration": concentration,
        "vendor_status": "; ".join(t for t in (reading.status, status) if t) or None,
        "source_row": reading.row,
        "source_column": reading.column,
    }


def _dilution(source: Source, text: str, row: int, column: str) -> float | None:
    """Return how many fold a sample was diluted: Gen5 writes 0.25 or 1/4 for 1 in 4.

    Of 0.3333 all that is known is its last digit: the whole number that fits is meant.
    """
    printed = text.replace(",", ".") if source.options.decimal == "," else text
    if share := re.fullmatch(r"1\s*[/:]\s*(\d+(?:\.\d+)?)", printed):
        return float(share[1])
    try:
        number = Decimal(printed)
    except InvalidOperation:
        number = Decimal(0)
    if not number.is_finite() or not 0 < number <= 1:
        source.problem(show(text), "a dilution as Gen5 writes it: above 0 and at most 1, or 1/4", row, column)
        return None
    exponent = number.as_tuple().exponent
    half = 0.5 * 10.0**exponent if isinstance(exponent, int) else 0.0
    value = float(number)
    whole = round(1 / value)
    fits = value - half < 1 / whole < value + half
    alone = 1 / (value + half) > whole - 1 and (value <= half or 1 / (value - half) < whole + 1)
    return float(whole) if fits and alone else 1 / value


def _concentration(source: Source, text: str, row: int, column: str) -> tuple[float | None, str]:
    """Return a computed concentration; a bound (>105) is no number, and kept as the status."""
    if not text:
        return None, ""
    if fold(text) in _NOT_COMPUTED:
        return None, text
    if bound := _BOUND.fullmatch(text):
        number_or_word(source, bound[1], row, column, frozenset())
        return None, text
    return number_or_word(source, text, row, column, frozenset())[0], ""


def _curves(source: Source, rows: Sequence[Row]) -> tuple[dict[str, VendorCurve], tuple[Remark, ...]]:
    """Return the curves of the section 'Fitting Results'."""
    found: dict[str, VendorCurve] = {}
    header: list[str] = []
    for row in rows:
        texts = row.texts()
        if texts[:2] == ["Curve Name", "Curve Formula"]:
            header = texts
        elif header and len(texts) == len(header):
            numbers = {n: _number(source, t, row, n) for n, t in zip(header[2:], texts[2:], strict=True) if n}
            if texts[0] in found:
                source.problem(f"the curve {show(texts[0])} a second time", "each once", row.number)
            found[texts[0]] = _curve(texts[1], numbers)
        elif header and row.is_blank:
            header = []
        elif header:
            source.problem(f"{len(texts)} cells", f"{len(header)}, as in the row above", row.number)
    source.check()
    if len(found) == 1:
        return {"": next(iter(found.values()))}, ()
    if not found:
        return {}, ()
    told = f"{len(found)} curves on one plate; the file doesn't say which wells belong to which"
    return {plain(n): c for n, c in found.items()}, (Remark("curves", told, verdict="warn"),)


def _number(source: Source, text: str, row: Row, column: str) -> float | None:
    if fold(text) in _NOT_COMPUTED:
        return None
    try:
        return read_number(text, source.options.decimal)
    except NotANumber as fault:
        source.problem(show(text), fault.allowed, row.number, column)
        return None


def _curve(formula: str, numbers: Mapping[str, float | None]) -> VendorCurve:
    """Return a curve; A to D (and E, which is G) of the logistic, or slope and intercept of a line."""
    form = "".join(formula.casefold().split())
    names = {
        _LOGISTIC_4: {n: n for n in "ABCD"},
        _LOGISTIC_5[0]: {n: n for n in "ABCD"} | {"E": "G"},
        _LOGISTIC_5[1]: {n: n for n in "ABCD"} | {"E": "G"},
        _LINE: {"A": "slope", "B": "intercept"},
    }.get(form, {})
    parameters = {
        new: value
        for old, new in names.items()
        if (value := numbers.get(old)) is not None and math.isfinite(value)
    }
    r2 = next((v for n, v in numbers.items() if fold(n) == "r2"), None)
    return VendorCurve(plain(formula), parameters if len(parameters) == len(names) else {}, r2=r2)
