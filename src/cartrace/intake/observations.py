"""The observations sheet: what was seen at the bedside, one item of one moment a row.

Read while the Snakefile is parsed: standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cartrace.intake.sheets import Sheets, _event_day, _known, _read_rows, _Row, quote, to_number
from cartrace.problems import Problem, did_you_mean
from cartrace.safety.vocabulary import ITEMS

WHOLE = ("vasopressors", "ice", "crs_grade", "icans_grade")
"""Items that are whole numbers."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One row of the observations sheet, on the study clock. It has a number or a word."""

    subject_id: str
    study_day: float
    item: str
    number: float | None
    word: str | None
    row: int


def read_observations(
    folder: Path, file: str, sheets: Sheets, known_subjects: set[str] | None, problems: list[Problem]
) -> tuple[Observation, ...]:
    """Read and check the observations sheet.

    Parameters
    ----------
    folder
        Trial folder.
    file
        The sheet, relative to it.
    sheets
        The other sheets: dates of the first infusions, and deaths.
    known_subjects
        Subjects of the subjects sheet; None where there is no such sheet.
    problems
        Every problem is added to it; the observations count only when there is none.

    Returns
    -------
    tuple of Observation
        In the order of the sheet.
    """
    # The day of the death itself is in: whole days have no hours.
    ends = {e.subject_id: math.floor(e.study_day) + 1 for e in sheets.events if e.kind == "death"}
    deaths = {e.subject_id: e.study_day for e in sheets.events if e.kind == "death"}
    # A big cohort has a million rows and few different cells, and every start of the workflow reads them:
    # what was once without fault is not checked again.
    subjects: set[str] = set()
    days: dict[tuple[str, str, date | None], float] = {}
    values: dict[tuple[str, str], tuple[float | None, str | None]] = {}
    out = []
    for row in _read_rows(folder, file, "observations", problems):
        subject, item, value = row.text("subject_id"), row.text("item"), row.text("value")
        moment = (row.text("day"), row.text("date"), sheets.first_dates.get(subject))
        seen, read = days.get(moment), values.get((item, value))
        if (
            seen is not None
            and read is not None
            and subject in subjects
            and (subject not in ends or seen < ends[subject])
        ):
            out.append(Observation(subject, seen, item, *read, row.row))
            continue
        before = len(problems)
        row.identifier("subject_id")
        if known_subjects is not None:
            _known(row, "subject_id", subject, known_subjects, "the subjects sheet")
        day = _event_day(row, "day", "date", subject, sheets.first_dates)
        if not row.text("day") and not row.text("date"):
            row.problem("day", "neither day nor date", "either day or date")
        if day is not None and subject in ends and day >= ends[subject]:
            row.problem(
                "date" if row.text("date") else "day",
                f"day {day:g}",
                f"no later than the subject's death (day {deaths[subject]:g})",
            )
        row.required("item")
        if item and item not in ITEMS:
            row.problem("item", quote(item), ", ".join(ITEMS), did_you_mean(item, ITEMS))
        row.required("value")
        if item not in ITEMS or not value:
            continue
        number, word = _value(row, item, value)
        if day is not None and (number is not None or word is not None):
            out.append(Observation(subject, day, item, number, word, row.row))
            if len(problems) == before:
                subjects.add(subject)
                days[moment] = day
                values[item, value] = (number, word)
    return tuple(out)


def _value(row: _Row, item: str, value: str) -> tuple[float | None, str | None]:
    allowed = ITEMS[item]
    if isinstance(allowed[0], str):
        if value in allowed:
            return None, value
        words = [str(word) for word in allowed]
        row.problem("value", quote(value), f"for {item}: {', '.join(words)}", did_you_mean(value, words))
        return None, None
    low, high = float(allowed[0]), float(allowed[1])
    number = to_number(value)
    if number is None or not low <= number <= high or (item in WHOLE and number != int(number)):
        kind = "a whole number" if item in WHOLE else "a number"
        row.problem("value", quote(value), f"for {item}: {kind} from {low:g} to {high:g}")
        return None, None
    return number, None


def on_clock(
    observations: Sequence[Observation], infusions: Mapping[str, Sequence[tuple[int, float, float | None]]]
) -> list[dict[str, object]]:
    """Give each observation its infusion.

    It is the latest infusion at or before it; what was seen once the lymphodepletion
    for the next infusion had begun belongs to the next, and what was seen before the
    first infusion to the first, with negative days.

    Parameters
    ----------
    observations
        Of subjects that have an infusion; others are left out (they are told by
        ``cartrace.intake.sheet_tables.strangers``).
    infusions
        Subject -> ``(infusion, study_day, lymphodepletion_day)`` in order, where the
        last counts from its infusion (negative), or is None.

    Returns
    -------
    list of dict
        Rows of ``cartrace.safety.tables.OBSERVATIONS``, by subject, day and row.
    """
    out: list[dict[str, object]] = []
    for seen in sorted(observations, key=lambda o: (o.subject_id, o.study_day, o.row)):
        plan = infusions.get(seen.subject_id)
        if not plan:
            continue
        number, start = plan[0][:2]
        for candidate, day, lymphodepletion in plan:
            if day + (lymphodepletion or 0.0) <= seen.study_day:
                number, start = candidate, day
        out.append(
            {
                "subject_id": seen.subject_id,
                "infusion": number,
                "day": seen.study_day - start,
                "study_day": seen.study_day,
                "item": seen.item,
                "number": seen.number,
                "word": seen.word,
                "source_row": seen.row,
            }
        )
    return out
