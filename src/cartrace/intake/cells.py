"""One cell of a laboratory table: what it says, and nothing more.

Laboratories write ``<50``, ``>1:2560``, ``BLQ`` and ``n.d.`` where a number
should be. :func:`parse_cell` reads what is unambiguous; the rest stays unread,
since a guessed result is worse than a missing one.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal

from cartrace.intake.mapping import TITRE, fold
from cartrace.problems import redact_dates

Kind = Literal["number", "below", "above", "BLD", "BLQ", "missing", "not_done", "unreadable", "unread"]
"""What a cell holds.

number: a value. below, above: a bound (``<50``). BLD, BLQ: said in words.
missing: empty. not_done: a word for it. unreadable: measured, but without a
result. unread: cartrace does not know what it means.
"""

MAX_CELL = 200
"""Characters; a longer cell is no result."""

WORDS: dict[str, Kind] = {
    "bld": "BLD",
    "<lod": "BLD",
    "< lod": "BLD",
    "below lod": "BLD",
    "below detection": "BLD",
    "below detection limit": "BLD",
    "below limit of detection": "BLD",
    "neg": "BLD",
    "neg.": "BLD",
    "negative": "BLD",
    "undetected": "BLD",
    "not detected": "BLD",
    "undetermined": "BLD",
    "blq": "BLQ",
    "bql": "BLQ",
    "blloq": "BLQ",
    "<loq": "BLQ",
    "< loq": "BLQ",
    "<lloq": "BLQ",
    "< lloq": "BLQ",
    "below loq": "BLQ",
    "below lloq": "BLQ",
    "below quantification limit": "BLQ",
    "below limit of quantification": "BLQ",
    "detected, not quantifiable": "BLQ",
    "not done": "not_done",
    "not performed": "not_done",
}
"""Words with one meaning. Undetermined is what qPCR software writes without a Cq.
``n.d.`` is not here: it stands for not done, not detected and not determined."""

NEGATIVE = frozenset({"neg", "neg.", "negative", "undetected", "not detected"})
"""Words that mean nothing in a titre column until the mapping says so: the bound is the
starting dilution, which the word does not tell."""

EXCEL_ERRORS = frozenset(
    {"#div/0!", "#n/a", "#name?", "#null!", "#num!", "#ref!", "#value!", "#getting_data", "#spill!", "#calc!"}
)

_COMPARATOR = re.compile(r"\A(<=|>=|=<|=>|<|>|≤|≥|⩽|⩾)\s*(.*)\Z", re.DOTALL)
_TITRE = re.compile(r"\A1\s*(:|/)\s*(\d[\d.,' ]*)\Z")
_TITRE_RANGE = re.compile(
    r"\A(?:1\s*[:/]\s*)?\d[\d.,' ]*\s*(?:-|\N{EN DASH}|\N{EM DASH}|to|bis)\s*(?:1\s*[:/]\s*)?\d[\d.,' ]*\Z"
)
_PLAIN = re.compile(r"\A[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\Z")


@dataclass(frozen=True, slots=True)
class CellOptions:
    """How this laboratory writes numbers and words."""

    decimal: str = "."
    thousands: str = ""
    text: dict[str, str] = field(default_factory=dict)
    """Folded word -> missing, not_done, BLD, BLQ or unreadable."""
    unit: str = ""
    """Unit of the column: ``12%`` is a number only where the unit is %, ``1:40`` only where it is titre."""


@dataclass(frozen=True, slots=True)
class CellReading:
    """What a cell says.

    ``rounding`` is half a unit of the last printed digit: how far the printed
    number may lie from the measured one. ``note`` is empty for a plain number
    and an empty cell.
    """

    kind: Kind
    value: float | None = None
    note: str = ""
    suggestion: str = ""
    rounding: float = 0.0


@dataclass(frozen=True, slots=True)
class Percentage:
    """A number of a workbook that is shown as a percentage: 0.12 stands in the sheet as 12%."""

    fraction: float

    @property
    def percent(self) -> float:
        """The number before the sign; twelve digits, as 0.07 * 100 is not 7."""
        return float(f"{self.fraction * 100:.12g}")

    def __str__(self) -> str:
        """Give it as the sheet shows it."""
        return f"{self.percent:.12g}%"


def show(cell: object) -> str:
    """Return a cell as it may be shown: one line, short, no control characters, no dates."""
    if isinstance(cell, (datetime, date)):
        return "<date>"
    text = "".join(c if c.isprintable() else " " for c in str(cell)[: MAX_CELL + 1])
    text = redact_dates(" ".join(text.split()))
    return text[:57] + "..." if len(text) > 60 else text


def parse_cell(cell: object, options: CellOptions) -> CellReading:
    """Read one cell.

    Parameters
    ----------
    cell
        Text of a csv file, or what a workbook holds: None, text, number, truth
        value, date.
    options
        How this laboratory writes.

    Returns
    -------
    CellReading
        Never raises: a cell that can't be read is ``unread`` and says why.
    """
    if cell is None:
        return CellReading("missing")
    if isinstance(cell, bool):
        return CellReading("unread", note="a truth value in a number column")
    if isinstance(cell, time) and options.unit == TITRE and cell.hour == 1:
        return CellReading(
            "unread",
            note="a time of day in a titre column",
            suggestion=f"perhaps 1:{cell.minute:02d}, which the spreadsheet took for a time; enter it as text",
        )
    if isinstance(cell, (datetime, date, time, timedelta)):
        return CellReading(
            "unread",
            note="a spreadsheet date in a number column",
            suggestion="the spreadsheet turned a number into a date; enter it again as a number",
        )
    if isinstance(cell, (int, float)):
        return _number(cell, options)
    if isinstance(cell, Percentage):
        if options.unit != "%":
            return CellReading("unread", note="a percentage where the unit is another")
        reading = _number(cell.percent, options)
        return replace(reading, note="read as a number in %") if reading.kind == "number" else reading
    text = str(cell).strip()
    if not text:
        return CellReading("missing")
    if len(text) > MAX_CELL:
        return CellReading("unread", note=f"{len(text)} characters in a number column")
    return _text(text, options)


def _number(cell: float, options: CellOptions) -> CellReading:
    try:
        value = float(cell)
    except OverflowError:
        return CellReading("unread", note="a number that is too large")
    if not math.isfinite(value):
        return CellReading("unread", note="a number that is not finite")
    # Text rules hold for numbers too: a laboratory may write its floor as 0.2.
    meaning = options.text.get(fold(f"{value:.12g}"))
    if meaning is not None:
        return _meant(meaning, f"{value:.12g}")
    # Twelve digits: 41.2999999999999 is what a spreadsheet makes of 41.3.
    printed = Decimal(f"{value:.12g}")
    return CellReading("number", value=float(printed), rounding=_rounding(printed))


def _rounding(printed: Decimal) -> float:
    exponent = printed.as_tuple().exponent
    return 0.5 * 10.0**exponent if isinstance(exponent, int) and -300 < exponent < 300 else 0.0


def _meant(meaning: str, text: str) -> CellReading:
    kinds: dict[str, Kind] = {
        "missing": "missing",
        "not_done": "not_done",
        "BLD": "BLD",
        "BLQ": "BLQ",
        "unreadable": "unreadable",
    }
    return CellReading(kinds[meaning], note=f"read as {meaning}, as the mapping says")


def _text(text: str, options: CellOptions) -> CellReading:
    word = fold(text)
    if word in options.text:
        return _meant(options.text[word], text)
    if options.unit == TITRE and word in NEGATIVE:
        return CellReading(
            "unread",
            note="a negative titre, which does not tell its starting dilution",
            suggestion=f"say in the mapping's text {word}: BLQ, and give lloq or start",
        )
    if options.unit == TITRE and _TITRE_RANGE.match(text):
        return CellReading(
            "unread", note="a range of titres", suggestion="enter the last dilution that was positive"
        )
    if word in WORDS:
        kind = WORDS[word]
        return CellReading(kind, note=f"read as {kind}")
    if word in EXCEL_ERRORS:
        return CellReading(
            "unread", note="a spreadsheet error", suggestion="repair the formula in the workbook"
        )
    if text[0] in "=@":
        return CellReading("unread", note="a formula; cartrace runs none", suggestion="paste the value")
    comparator = _COMPARATOR.match(text)
    rest = comparator.group(2) if comparator else text
    titre = _TITRE.match(rest)
    if titre is not None and titre.group(1) == "/" and options.unit != TITRE:
        titre = None
    if titre is not None:
        if options.unit not in {"", TITRE}:
            return CellReading("unread", note="a titre where the unit is another")
        rest = titre.group(2).strip()
    percent = rest.endswith("%")
    if percent:
        if options.unit != "%":
            return CellReading("unread", note="a percentage where the unit is another")
        rest = rest[:-1].strip()
    printed, fault, suggestion = _decimal(rest, options)
    if printed is None:
        return CellReading("unread", note=fault, suggestion=suggestion)
    value = float(printed)
    if not math.isfinite(value):
        return CellReading("unread", note="a number that is not finite")
    if titre is not None and value <= 0:
        return CellReading("unread", note="a titre of 1:0")
    rounding = _rounding(printed)
    if comparator is not None:
        below = comparator.group(1) in {"<", "<=", "=<", "≤", "⩽"}
        if value < 0 or (below and value == 0):
            return CellReading("unread", note="a bound that no result can keep")
        return CellReading(
            "below" if below else "above",
            value,
            f"read as a bound {'above' if below else 'below'} the result",
        )
    if titre is not None:
        note = "" if options.unit == TITRE else "read as a titre"
        return CellReading("number", value, note, rounding=rounding)
    if percent:
        return CellReading("number", value, "read as a number in %", rounding=rounding)
    # A declared decimal comma is this laboratory's plain number; a thousands mark is text.
    if options.thousands and options.thousands in rest:
        return CellReading("number", value, "thousands mark read as the mapping says", rounding=rounding)
    return CellReading("number", value, rounding=rounding)


def _decimal(text: str, options: CellOptions) -> tuple[Decimal | None, str, str]:
    """Read digits with this laboratory's marks; give the number, or the fault and a suggestion."""
    text = text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")
    text = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").replace("\N{MINUS SIGN}", "-")
    other = "," if options.decimal == "." else "."
    if not text.isascii() or not any(c.isdigit() for c in text):
        return None, "text in a number column", "say in the mapping's text what this word means"
    mark = options.thousands
    whole, _, fraction = text.partition(options.decimal)
    if mark and mark in whole:
        # Groups of three, or it is no thousands mark: 1,23 is a decimal comma in the wrong file.
        if not re.fullmatch(r"[+-]?\d{1,3}(?:" + re.escape(mark) + r"\d{3})+", whole):
            return None, f"'{mark}' stands where no thousands mark can stand", "check the decimal mark"
        whole = whole.replace(mark, "")
    elif other in whole and re.fullmatch(r"[+-]?\d+[.,]\d+", text):
        low = text.replace(other, ".")
        return (
            None,
            f"'{other}' could be a decimal or a thousands mark",
            f"declare it in the mapping: {low} (decimal) or {text.replace(other, '')} (thousands)",
        )
    plain = f"{whole}.{fraction}" if options.decimal in text else whole
    if not _PLAIN.match(plain):
        return None, "text in a number column", _number_inside(text)
    number = Decimal(plain)
    exponent = number.adjusted() if number else 0
    if abs(exponent) > 300:
        return None, "a number that is too large or too small", ""
    return number, "", ""


def _number_inside(text: str) -> str:
    found = re.findall(r"\d+(?:\.\d+)?", text)
    if len(found) == 1 and not any(c in text for c in "?~"):
        return f"perhaps {found[0]}; not read, since other text stands beside it"
    return "say in the mapping's text what this word means" if not found else ""
