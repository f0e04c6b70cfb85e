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

# 2021-03-04, 04.03.2021, 4/3/21, 20210304, 4 Mar 2021, March 4, 2021, 2021-Mar-04; and a month
# of a year: May 2020, titre_june_2021, 2020-May. "2000 may be" is no month, so the year before
# it needs a sign in between. 05/2020 stays: so reads many a number.
# Months as whole words, English and German: "7 marrow 14" and "5 decreasing 10" are no dates.
_MONTH = (
    r"(?:jan(?:uary?)?|jänner|feb(?:ruary?)?|mar(?:ch)?|märz?|apr(?:il)?|may|mai|june?|juni|july?|juli"
    r"|aug(?:ust)?|sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?)(?![a-zä])"
)
_DATE = re.compile(
    r"(?<![\d.,])(?:"
    r"(?:19|20)\d{2}[-./_](?:0?[1-9]|1[0-2])[-./_](?:0?[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])[-./_](?:0?[1-9]|[12]\d|3[01])[-./_](?:(?:19|20)\d{2}|\d{2})"
    r"|(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
    rf"|(?:0?[1-9]|[12]\d|3[01])[-\s_.]*{_MONTH}[-\s_.,]*(?:(?:19|20)\d{{2}}|\d{{2}})"
    rf"|{_MONTH}[-\s_.]*(?:0?[1-9]|[12]\d|3[01])[-\s_.,]+(?:19|20)\d{{2}}"
    rf"|(?<![a-zäöüß]){_MONTH}[-\s_./,]*(?:19|20)\d{{2}}"
    rf"|(?:19|20)\d{{2}}[-_./]?{_MONTH}(?:[-_./]?(?:0?[1-9]|[12]\d|3[01]))?"
    r")(?![\d])",
    re.IGNORECASE,
)


def holds_date(text: str) -> bool:
    """Say whether ``text`` holds something that reads as a calendar date."""
    return _DATE.search(text) is not None


def redact_dates(text: str) -> str:
    """Replace every calendar date in ``text`` by ``<date>``.

    Calendar dates never leave intake, not even inside an error message.
    """
    return _DATE.sub("<date>", text)


def plain(text: str, most: int = 200) -> str:
    r"""Return text of a file as tables may keep it: short, printable, without a calendar date.

    >>> plain("CAR\x07 2024-03-01")
    'CAR? <date>'
    """
    # A cell of ten million letters took half a minute. Dates shrink to a quarter at most: what is shown stays.
    text = redact_dates("".join(c if c.isprintable() else "?" for c in text[: 20 * most]))
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
        place = self.file
        if self.row is not None:
            place += f", row {self.row}"
        if self.column is not None:
            place += f", column '{self.column}'"
        line = f"{place}: found {self.found}; allowed: {self.allowed}"
        if self.suggestion:
            line += f" (did you mean '{self.suggestion}'?)"
        # Whatever part of it came from a file: nothing there may steer the terminal.
        line = "".join(c if c.isprintable() else "?" for c in " ".join(line.split()))
        return redact_dates(line)


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
