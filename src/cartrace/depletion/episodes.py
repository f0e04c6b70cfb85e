"""Stretches below a level: one walk along the time axis for all courses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cartrace.depletion.series import Bools, Floats, Integers


@dataclass(frozen=True, slots=True)
class Episodes:
    """k episodes of n courses, sorted by course and time.

    Arrays of length k: ``course``; the episode starts in (``start_lower``,
    ``start_upper``] and ends in (``end_lower``, ``end_upper``]. ``start_lower`` is nan
    when the course begins low, ``end_upper`` is nan when the episode is open.

    Arrays of length n: ``last_high`` is the last high day, ``pending`` the first day of results that would end the
    state at the last sample but are too few to confirm it; nan where there are none.
    """

    course: Integers
    start_lower: Floats
    start_upper: Floats
    end_lower: Floats
    end_upper: Floats
    last_high: Floats
    pending: Floats

    def __len__(self) -> int:
        """Return the number of episodes."""
        return len(self.course)

    def first_of(self, n: int) -> Integers:
        """(n,) position of the first episode of each course, -1 where there is none."""
        out = np.full(n, -1, dtype=np.int64)
        # Written backwards, so that the first one stays.
        out[self.course[::-1]] = np.arange(len(self) - 1, -1, -1)
        return out

    def counts(self, n: int) -> Integers:
        """(n,) number of episodes of each course."""
        return np.bincount(self.course, minlength=n)

    def take(self, where: Bools) -> Episodes:
        """Return the episodes in ``where`` (k,), with the same courses."""
        return replace(
            self,
            course=self.course[where],
            start_lower=self.start_lower[where],
            start_upper=self.start_upper[where],
            end_lower=self.end_lower[where],
            end_upper=self.end_upper[where],
        )


def find_episodes(time: Floats, low: Bools, high: Bools, confirm_low: int, confirm_high: int) -> Episodes:
    """Find the episodes of courses in one pass over their points.

    An episode begins with the first of ``confirm_low`` consecutive low results and
    ends with the first of ``confirm_high`` consecutive high ones; fewer change nothing.
    Points that are neither low nor high are passed over, as if no sample had been
    taken.

    Parameters
    ----------
    time
        (n, m) days, sorted; nan where padded.
    low, high
        (n, m) what each point is; never both.
    confirm_low, confirm_high
        How many consecutive results make a change, from 1.
    """
    n, m = time.shape
    inside = np.zeros(n, dtype=bool)
    run = np.zeros(n, dtype=np.int64)
    begun, last_low, last_high, start_lower, start_upper = (np.full(n, np.nan) for _ in range(5))
    found: list[tuple[Integers, Floats, Floats, Floats, Floats]] = []

    def record(where: Bools, end_upper: Floats) -> None:
        at = np.flatnonzero(where)
        found.append((at, start_lower[at], start_upper[at], last_low[at], end_upper[at]))

    for j in range(m):
        day = time[:, j]
        is_low, is_high = low[:, j], high[:, j]
        against = np.where(inside, is_high, is_low)
        along = np.where(inside, is_low, is_high)
        begun = np.where(against & (run == 0), day, begun)
        run = np.where(against, run + 1, np.where(along, 0, run))
        enter = ~inside & is_low & (run >= confirm_low)
        leave = inside & is_high & (run >= confirm_high)
        start_lower[enter], start_upper[enter] = last_high[enter], begun[enter]
        record(leave, begun)
        inside = (inside | enter) & ~leave
        run[enter | leave] = 0
        last_low = np.where(is_low, day, last_low)
        last_high = np.where(is_high, day, last_high)
    record(inside, np.full(n, np.nan))
    course = np.concatenate([part[0] for part in found])
    bounds = [np.concatenate([part[i] for part in found]) for i in range(1, 5)]
    order = np.lexsort((bounds[1], course))
    return Episodes(
        course=course[order],
        start_lower=bounds[0][order],
        start_upper=bounds[1][order],
        end_lower=bounds[2][order],
        end_upper=bounds[3][order],
        last_high=last_high,
        pending=np.where(run > 0, begun, np.nan),
    )
