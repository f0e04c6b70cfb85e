"""Haematotoxicity of immune effector cells (ICAHT): depth and duration of low counts.

Counts come on some days, and the grade asks for all of them. By default nothing is
interpolated (``gaps``). Between two low counts at most ``carry_days`` days apart all days are
low. A count above the threshold holds for ``carry_days`` days, unless a low one
follows within them. All other days without a count are unknown, those between a low
and a higher count first of all: one low count a week is no week of low counts. The
grade is told where it is the same whether the unknown days were low or not; else it
lies between two.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cartrace.safety.ctcae import BOUNDED
from cartrace.safety.grades import DayGrade

if TYPE_CHECKING:
    from cartrace.config import Icaht
    from cartrace.safety.counts import Counts
    from cartrace.safety.thresholds import DurationRow, HaematotoxicityTable

Bools = npt.NDArray[np.bool_]

TWO_COUNTS = "two counts on different days are asked for"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """How long one subject was followed after one infusion."""

    last_day: int | None = None
    """Last whole day that counts; None: no end is known."""
    died: bool = False
    """Does it end with the death?"""


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days of a window at one threshold."""

    low: Bools
    """(n,) certainly low, by the rule for days without a count."""
    possible: Bools
    """(n,) low, or not known."""
    counted: Bools
    """(n,) with a count of their own."""
    unknown: Bools
    """(n,) without a count, and not known from the counts around them."""


@dataclass(frozen=True, slots=True)
class Haematotoxicity:
    """Grade of one window, and its days."""

    grade: DayGrade | None
    """None where nothing can be said; then ``reason`` says why."""
    reason: str | None = None
    first_low: int | None = None
    first_possible: int | None = None
    """First day that was low or is not known."""
    last_low: int | None = None
    n_counts: int = 0
    low_days: int = 0
    """Days at the mildest threshold that certainly were low."""
    low_days_most: int = 0
    """The same, with the unknown days."""


def days_at(counts: Counts, row: DurationRow, window: tuple[int, int], settings: Icaht, late: bool) -> Days:
    """Say of each day of a window whether the count was low.

    Parameters
    ----------
    counts
        Of one subject and infusion, with those before the window.
    row
        The threshold.
    window
        First and last whole day, both counted.
    settings
        ``carry_days`` and, with ``late``, ``late_gap_days``: a day between two
        counts above the threshold, that lie no further apart, is not low.
    late
        Is it the late window?
    """
    first, last = window
    n = last - first + 1
    low, possible = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    unknown, counted = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    certain, can_be = counts.states(lambda x: bool(row.met(x)))
    for k in range(n):
        day = first + k
        before = int(np.searchsorted(counts.day, day, side="right")) - 1
        if before >= 0 and counts.day[before] == day:
            counted[k], low[k], possible[k] = True, certain[before], can_be[before]
            continue
        after = before + 1
        followed = after < len(counts.day)
        apart = counts.day[after] - counts.day[before] if before >= 0 and followed else np.inf
        near = apart - 1 <= settings.carry_days
        if before >= 0 and certain[before] and near and certain[after]:
            low[k] = possible[k] = True
            continue
        if settings.gaps == "linear" and near and np.isfinite(counts.upper[[before, after]]).all():
            share = (day - counts.day[before]) / apart
            least, most = (v[before] + share * (v[after] - v[before]) for v in (counts.lower, counts.upper))
            low[k], possible[k] = bool(row.met(float(most))), bool(row.met(float(least)))
            continue
        high = before >= 0 and not can_be[before]
        holds = day - counts.day[before] <= settings.carry_days and not (near and can_be[after])
        closed = late and apart <= settings.late_gap_days and not can_be[after]
        unknown[k] = possible[k] = not (high and (holds or closed))
    return Days(low, possible, counted, unknown)


def joined(low: Bools, stable_days: int) -> Bools:
    """Let days that are no stable recovery count as low.

    Fewer than ``stable_days`` days between two low stretches are low as well.

    Examples
    --------
    >>> joined(np.array([1, 0, 0, 1, 0, 0, 0, 1], dtype=bool), 3).astype(int).tolist()
    [1, 1, 1, 1, 0, 0, 0, 1]
    """
    out = low.copy()
    at = np.flatnonzero(low)
    for left, right in pairwise(at.tolist()):
        if right - left - 1 < stable_days:
            out[left:right] = True
    return out


def length(low: Bools, settings: Icaht) -> int:
    """Return the days that count: all, or those of the longest stretch."""
    whole = joined(low, settings.stable_days)
    if settings.count == "cumulative":
        return int(whole.sum())
    edges = np.flatnonzero(np.diff(np.concatenate([[0], whole.astype(np.int8), [0]])))
    return int(max(edges[1::2] - edges[::2], default=0))


def grade_haematotoxicity(
    counts: Counts, table: HaematotoxicityTable, follow_up: FollowUp, settings: Icaht
) -> Haematotoxicity:
    """Grade one window of one subject and infusion.

    Parameters
    ----------
    counts
        All counts after the infusion and before it, in the unit of the table.
    table
        Thresholds and window.
    follow_up
        Where the window ends early. The late window, whose end is open in practice,
        ends with the last count at the latest.
    settings
        How days are counted.
    """
    late = table.from_day > 0
    end = table.to_day if follow_up.last_day is None else min(table.to_day, follow_up.last_day)
    if end < table.from_day:
        return Haematotoxicity(None, f"follow-up ended before day {table.from_day}")
    inside = (counts.day >= table.from_day) & (counts.day <= end)
    n_counts = int(inside.sum())
    if not n_counts:
        return Haematotoxicity(None, f"no count of {table.analyte} from day {table.from_day} to {end}")
    if late:
        end = int(counts.day[inside].max())
    window = (table.from_day, end)
    least = most = 0
    because: list[str] = []
    uncertain: set[str] = set()
    for row in table.rows:
        if row.days is not None or row.never_above:
            days = days_at(counts, row, window, settings, late)
            if row.never_above:
                surely = _never_above(days.low, row, table)
                perhaps = _never_above(days.possible, row, table)
                # The end of the counting is no proof that the counts stayed low; the death is.
                surely = surely and (end == table.to_day or follow_up.died)
                words = f"{row.text} {table.unit} without a break from day {row.start_by} on"
            else:
                surely = length(days.low, settings) >= (row.days or 0)
                perhaps = length(days.possible, settings) >= (row.days or 0)
                counted = int((days.low & days.counted).sum())
                words = (
                    f"{row.text} {table.unit} on {length(days.low, settings)} days ({counted} with a count)"
                )
            why = f"counting ended on day {end}" if end < table.to_day and not late else BOUNDED
            if n_unknown := int(days.unknown.sum()):
                why = f"{n_unknown} of {len(days.low)} days without a count that says whether they were low"
        else:
            surely, perhaps = _confirmed(counts, inside, row, table)
            words = f"two counts, the lowest {row.text} {table.unit}"
            why = TWO_COUNTS
        if surely and row.grade >= least:
            least = row.grade
            because = [words]
        if perhaps:
            most = max(most, row.grade)
        if perhaps and not surely:
            uncertain.add(why)
    if late and n_counts < 2:
        # One count shows neither that it lasted nor that there was nothing else.
        most = max(row.grade for row in table.rows)
        uncertain = {TWO_COUNTS}
    most = max(least, most)
    mildest = min(table.rows, key=lambda r: r.grade)
    days = days_at(counts, mildest, window, settings, late)
    low, possible = np.flatnonzero(days.low), np.flatnonzero(days.possible)
    return Haematotoxicity(
        DayGrade(
            end,
            least,
            most,
            "; ".join(because),
            "; ".join(sorted(uncertain)) or None if least != most else None,
        ),
        first_low=int(low[0]) + table.from_day if len(low) else None,
        first_possible=int(possible[0]) + table.from_day if len(possible) else None,
        last_low=int(low[-1]) + table.from_day if len(low) else None,
        n_counts=n_counts,
        low_days=length(days.low, settings),
        low_days_most=length(days.possible, settings),
    )


def _never_above(low: Bools, row: DurationRow, table: HaematotoxicityTable) -> bool:
    """Say whether every day was low, from one of the first days on."""
    start = max(row.start_by - table.from_day, 0)
    return bool(low[min(start, len(low) - 1) :].all())


def _confirmed(
    counts: Counts, inside: Bools, row: DurationRow, table: HaematotoxicityTable
) -> tuple[bool, bool]:
    """Say whether two counts on different days give the grade: surely, and perhaps.

    A single low count before a later one above the threshold was transient. A last
    count that is low may stay so.
    """
    mildest = min((r for r in table.rows if r.days is None and not r.never_above), key=lambda r: r.grade)
    support = row if table.confirm == "same" else mildest
    certain, can_be = (s[inside] for s in counts.states(lambda x: bool(row.met(x))))
    certain_support, can_support = (s[inside] for s in counts.states(lambda x: bool(support.met(x))))
    surely = bool(certain.any() and certain_support.sum() >= 2)
    perhaps = bool(can_be.any() and (can_support.sum() >= 2 or can_be[-1]))
    return surely, perhaps
