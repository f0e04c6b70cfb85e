"""Grades of single blood counts (CTCAE v5.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartrace.safety.grades import DayGrade
from cartrace.units import factor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cartrace.config import LowerLimit
    from cartrace.safety.counts import Counts
    from cartrace.safety.thresholds import CountTable

NO_LLN = "no lower limit of normal (safety.lower_limits), so that grade 0 and 1 are not told apart"
BOUNDED = "the count is known between bounds only"


def lower_limit(table: CountTable, limits: Sequence[LowerLimit]) -> float | None:
    """Return the lower limit of normal in the unit of the table; None where none was given."""
    for limit in limits:
        if limit.analyte == table.analyte:
            return limit.value * factor(limit.unit, table.unit)
    return None


def grade_value(value: float, table: CountTable, lln: float | None) -> tuple[int, int]:
    """Return the least and the highest grade of one count.

    They differ where a row asks for a lower limit of normal that nobody gave.
    """
    least = most = 0
    for row in table.rows:
        met = row.met(value, lln)
        if met is not False:
            most = max(most, row.grade)
        if met:
            least = max(least, row.grade)
    return least, most


def grade_counts(counts: Counts, table: CountTable, lln: float | None) -> list[DayGrade]:
    """Grade each day with a count, from the day of the infusion on.

    Parameters
    ----------
    counts
        Of one subject and infusion, in the unit of the table.
    table
        Thresholds of one term.
    lln
        Lower limit of normal in that unit, or None.
    """
    out = []
    for day, lower, upper in zip(
        counts.day.tolist(), counts.lower.tolist(), counts.upper.tolist(), strict=True
    ):
        if day < 0:
            continue
        least = grade_value(upper, table, lln)[0]
        most = grade_value(lower, table, lln)[1]
        # A count below a limit ends just short of it; four digits print the limit.
        words = f"{lower:g} {table.unit}" if lower == upper else f"{lower:g} to {upper:.4g} {table.unit}"
        reason = None
        if least != most:
            reason = BOUNDED if lower != upper else NO_LLN
        out.append(DayGrade(day, least, most, f"{table.analyte} {words}", reason))
    return out
