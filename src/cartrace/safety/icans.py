"""Neurotoxicity of immune effector cells by day (ASTCT consensus, Lee 2019)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from cartrace.safety.grades import DayGrade, Seen, in_words, not_observed

if TYPE_CHECKING:
    from cartrace.safety.thresholds import SymptomTable


OTHER_CAUSE = "icans_other_cause"


def icans_items(table: SymptomTable) -> tuple[str, ...]:
    """Return the items that ICANS is graded by, with what rules it out."""
    return (OTHER_CAUSE, *table.items)


def grade_icans(
    days: Mapping[int, Seen], table: SymptomTable, by_exception: Collection[str] = ()
) -> list[DayGrade]:
    """Grade the days on which an item of ICANS was observed: the worst item counts.

    An item that is missing leaves the grade between what was observed and the most
    that the item could give. An ICE score is not asked of a patient who can't be
    aroused. Signs that the clinician gives to another cause on a day are no ICANS on
    that day.

    Parameters
    ----------
    days
        Whole day -> item -> values.
    table
        Thresholds of ICANS.
    by_exception
        Items that are written down only when abnormal: missing, they are normal.

    Returns
    -------
    list of DayGrade
        In order of the day; least and most from 0 to 4.
    """
    out = []
    for day in sorted(days):
        seen = days[day]
        if not any(item in seen for item in icans_items(table)):
            continue
        if "yes" in seen.get(OTHER_CAUSE, ()):
            out.append(DayGrade(day, 0, 0, "another cause"))
            continue
        grades = {item: table.grade(item, seen[item]) for item in table.items if item in seen}
        least = max(grades.values(), default=0)
        missing = [item for item in table.items if item not in seen and item not in by_exception]
        most = max([least, *(table.ceiling(item) for item in missing)])
        worst = [
            in_words(item, seen[item], worst_is_low=item == "ice") for item, grade in grades.items() if grade
        ]
        reason = not_observed(missing) if least != most else None
        out.append(DayGrade(day, least, most, "; ".join(worst), reason))
    return out
