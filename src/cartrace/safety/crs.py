"""Cytokine release syndrome by day (ASTCT consensus, Lee 2019)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from cartrace.safety.grades import DayGrade, Seen, in_words, not_observed

if TYPE_CHECKING:
    from cartrace.safety.thresholds import SymptomTable

MASK = "fever_masked"
OTHER_CAUSE = "crs_other_cause"


def crs_items(table: SymptomTable) -> tuple[str, ...]:
    """Return the items that CRS is graded by, with fever, what masks it, and what rules CRS out."""
    fever = (table.fever.item,) if table.fever is not None else ()
    return (*fever, MASK, OTHER_CAUSE, *table.items)


def grade_crs(
    days: Mapping[int, Seen], table: SymptomTable, by_exception: Collection[str] = ()
) -> list[DayGrade]:
    """Grade the days on which an item of CRS was observed.

    With fever, the worst of hypotension and hypoxia counts, and grade 1 without
    either. From ``fever_masked: yes`` on, until a later ``no``, fever is not asked
    for. An item that is missing leaves the grade between two: no fever known, or no
    oxygen known, never means none. What follows from other items is not missing:
    without hypotension there is no pressor, and whoever needs one is hypotensive.
    Signs that the clinician gives to another cause on a day are no CRS on that day.

    Parameters
    ----------
    days
        Whole day -> item -> values.
    table
        Thresholds of CRS.
    by_exception
        Items that are written down only when abnormal: missing, they are normal.

    Returns
    -------
    list of DayGrade
        In order of the day; least and most from 0 to 4.
    """
    fever = table.fever
    if fever is None:
        raise ValueError("the table of CRS needs a row 'fever'")
    out = []
    masked: bool | None = False if MASK in by_exception else None
    for day in sorted(days):
        seen = days[day]
        if MASK in seen:
            masked = "yes" in seen[MASK]
        if not any(item in seen for item in crs_items(table)):
            continue
        if "yes" in seen.get(OTHER_CAUSE, ()):
            out.append(DayGrade(day, 0, 0, "another cause"))
            continue
        missing: list[str] = []
        low, high = _organs(seen, table, by_exception, missing)
        hot: bool | None = None
        if fever.item in seen:
            hot = any(fever.says(v) for v in seen[fever.item])
        elif fever.item in by_exception:
            hot = False
        # With fever it is at least grade 1; where it is masked, what the organs say counts alone.
        feverish = (max(fever.grade, low), max(fever.grade, high))
        if hot:
            least, most = feverish
        elif masked:
            least, most = (low, high) if hot is False else (low, feverish[1])
        elif masked is False:
            least, most = (0, 0) if hot is False else (0, feverish[1])
        else:
            least, most = (0, high) if hot is False else (0, feverish[1])
        if hot is None:
            missing.insert(0, fever.item)
        if masked is None and not hot and high:
            missing.append(MASK)
        worst = [
            in_words(item, seen[item])
            for item in (fever.item, *table.items)
            if item in seen and (table.grade(item, seen[item]) or (item == fever.item and hot))
        ]
        if masked and not hot and (low or high):
            worst.append("fever masked")
        reason = not_observed(missing) if least != most else None
        out.append(DayGrade(day, least, most, "; ".join(worst), reason))
    return out


def _organs(
    seen: Seen, table: SymptomTable, by_exception: Collection[str], missing: list[str]
) -> tuple[int, int]:
    """Return the least and highest grade of hypotension and hypoxia; name what is missing."""
    low = max(table.grade(item, seen.get(item, ())) for item in table.items)
    pressors = max((v for v in seen.get("vasopressors", ()) if not isinstance(v, str)), default=None)
    normotensive = "hypotension" in seen and "yes" not in seen["hypotension"]
    treated = bool(pressors) or "yes" in seen.get("vasopressin", ())
    high = low
    for item in table.items:
        if item in seen or item in by_exception:
            continue
        if item == "hypotension" and treated:
            continue
        if item in {"vasopressors", "vasopressin"} and normotensive:
            continue
        if item == "vasopressin" and pressors:
            continue
        missing.append(item)
        high = max(high, table.ceiling(item))
    return low, high


def contradictions(days: Mapping[int, Seen]) -> list[int]:
    """Return the days on which a pressor is given and hypotension denied."""
    return [
        day
        for day, seen in sorted(days.items())
        if "hypotension" in seen
        and "yes" not in seen["hypotension"]
        and (
            any(not isinstance(v, str) and v > 0 for v in seen.get("vasopressors", ()))
            or "yes" in seen.get("vasopressin", ())
        )
    ]
