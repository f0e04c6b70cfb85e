"""Errors for the person in the laboratory.

A check never stops at the first fault: it collects :class:`Problem` objects and
raises one :class:`InputError` with all of them. Every problem says where it
is, what was found, and what is allowed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

# Days and years in figures: 2021-03-04, 04.03.2021, 4/3/21, 4. 3. 2021, 20210304, 20210304083000, 2021年3月4日.
# 05/2020 stays: so reads many a number.
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?:19|20)\d{2}"
_DASH = "-\u2010-\u2013"  # the hyphens of word processors too
_SIGN = rf"[{_DASH}./_]"
_ALONE = r"(?<!\d)(?<!\d[.,])"  # no part of a longer number
_FIGURES = re.compile(
    rf"{_ALONE}(?:"
    rf"{_YEAR}{_SIGN}(?:0?[1-9]|1[0-2]){_SIGN}{_DAY}"
    rf"|{_DAY}{_SIGN}{_DAY}{_SIGN}(?:{_YEAR}|\d{{2}})"
    rf"|{_DAY}\s?[-./]\s?{_DAY}\s?[-./]\s?{_YEAR}"
    rf"|{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?)?"
    rf"|{_YEAR}\s?年\s?\d{{1,2}}\s?月(?:\s?\d{{1,2}}\s?日)?"
    r")(?!\d)"
)
# Months in words: 4 Mar 2021, 4th of March 2021, March 4, 2021, Mar 4 08:30:00 2021, 2021-Mar-04; and a month of a
# year: May 2020, titre_june_2021, 2020-May. "2000 may be" is no month, so the year before it needs a sign in
# between. Months as whole words: "7 marrow 14" and "5 decreasing 10" are no dates. English and German with their
# short forms, French, Spanish, Italian, Dutch.
_MONTH = (
    r"(?:jan(?:uary?|vier|uari)?|jänner|janv|feb(?:ruary?|rero|braio|ruari)?|mar(?:ch|s|zo)?|märz?|maart|apr(?:ile?)?"
    r"|may|mai|june?|juni|july?|juli|aug(?:ust|ustus)?|sept?(?:ember|embre)?|o[ck]t(?:ober|obre)?|nov(?:ember|embre)?"
    r"|de[cz](?:ember)?|f[eé]vr(?:ier)?|avr(?:il)?|juin|juil(?:let)?|ao[uû]t|d[eé]c(?:embre)?"
    r"|enero|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre"
    r"|gennaio|maggio|giugno|luglio|settembre|ottobre|dicembre|mei)(?![a-zà-ÿ])"
)
_TIME = r"(?:[\s,]+\d{1,2}:\d{2}(?::\d{2})?(?:\s+[a-z]{3,4})?)?"
_WORDS = re.compile(
    rf"{_ALONE}(?:"
    rf"{_DAY}(?:st|nd|rd|th|er)?(?:\s+(?:of|de))?[{_DASH}\s_.]*{_MONTH}(?:\s+del?)?[{_DASH}\s_.,]*(?:{_YEAR}|\d{{2}})"
    rf"|{_MONTH}[-\s_.]*{_DAY}(?:st|nd|rd|th)?{_TIME}[-\s_.,]+{_YEAR}"
    rf"|(?<![a-zà-ÿ]){_MONTH}[-\s_./,]*{_YEAR}"
    rf"|{_YEAR}[-_./]?{_MONTH}(?:[-_./]?{_DAY})?"
    r")(?!\d)",
    re.IGNORECASE,
)
_DIGEST = re.compile(r"(?<![0-9A-Za-z])([0-9a-f]{32}(?:[0-9a-f]{32})?)(?![0-9A-Za-z])")
"""A hash: one in some hundred reads 7feb39 somewhere, and has to stay whole."""
_THREE_FIGURES = re.compile(r"\d\D*\d\D*\d")
_STEM = re.compile(
    "j[aä]n|f[eé][bv]|m[aä][ryizeag]|mei|a[pvb]r|ju[nli]|giu|lug|aug|ao[uû]|ago|sep|set|o[ckt]t|nov|d[eéi][cz]|ene|gen",
    re.IGNORECASE,
)
"""What every month holds: it is found in a fraction of the time of a date."""


def holds_date(text: str) -> bool:
    """Say whether ``text`` holds something that reads as a calendar date."""
    if not _THREE_FIGURES.search(text):
        return False
    text = _DIGEST.sub("-", text)
    return bool(_FIGURES.search(text) or (_STEM.search(text) and _WORDS.search(text)))


def redact_dates(text: str) -> str:
    """Replace every calendar date in ``text`` by ``<date>``.

    Calendar dates never leave intake, not even inside an error message.
    """
    if not _THREE_FIGURES.search(text):
        return text
    if _DIGEST.search(text):
        return "".join(t if _DIGEST.fullmatch(t) else redact_dates(t) for t in _DIGEST.split(text))
    text = _FIGURES.sub("<date>", text)
    return _WORDS.sub("<date>", text) if _STEM.search(text) else text


def printable(text: str) -> str:
    r"""Return text that can't steer a terminal.

    >>> printable("CAR\x07")
    'CAR?'
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def plain(text: str, most: int = 200) -> str:
    r"""Return text of a file as tables may keep it: short, printable, without a calendar date.

    >>> plain("CAR\x07 2024-03-01")
    'CAR? <date>'
    """
    # A cell of ten million letters took half a minute. Dates shrink to a quarter at most: what is shown stays.
    text = redact_dates(printable(text[: 20 * most]))
    return text if len(text) <= most else f"{text[: most - 3]}..."


def did_you_mean(found: str, allowed: Iterable[str]) -> str:
    """Name the allowed value nearest to ``found``, or return an empty string."""
    by_lower = {a.lower(): a for a in allowed}
    close = difflib.get_close_matches(found.strip().lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[close[0]] if close else ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of an input: where it is, what was found, what is allowed.

    ``row`` is the row as a spreadsheet shows it (the header is row 1).
    """

    file: str
    found: str
    allowed: str
    row: int | None = None
    column: str | None = None
    suggestion: str = ""

    def __str__(self) -> str:
        """Give the problem as one printable line, without calendar dates."""
        # Where the laboratory's share lies on this machine is nobody's business; its folders name people.
        place = PurePath(self.file).name if self.file.startswith("/") else self.file
        if self.row is not None:
            place += f", row {self.row}"
        if self.column is not None:
            place += f", column '{self.column}'"
        line = f"{place}: found {self.found}; allowed: {self.allowed}"
        if self.suggestion:
            line += f" (did you mean '{self.suggestion}'?)"
        # Whatever part of it came from a file: nothing there may steer the terminal.
        return redact_dates(printable(" ".join(line.split())))


class InputError(ValueError):
    """Raised once, with every problem of an input."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems and make the message: one numbered line each."""
        self.problems = tuple(problems)
        noun = "problem" if len(self.problems) == 1 else "problems"
        lines = [f"{len(self.problems)} {noun} in the input; nothing was written."]
        lines += [f"  {i}. {p}" for i, p in enumerate(self.problems, 1)]
        super().__init__("\n".join(lines))


def raise_if_any(problems: Sequence[Problem]) -> None:
    """Raise :class:`InputError` when there is at least one problem."""
    if problems:
        raise InputError(problems)
