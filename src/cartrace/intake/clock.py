"""The study clock: dates become days, and a sample finds its infusion.

Day 0 is an infusion. ``study_day`` counts from the subject's first infusion,
``day`` from the infusion that a sample belongs to. Calendar dates end here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

EARLIEST = date(1990, 1, 1)
"""CAR-T infusions are younger than this; an older date is a typing error or a birthday."""


def parse_date(text: str, date_format: str | None = None) -> date | None:
    """Read a calendar date, or return None when ``text`` is none.

    Parameters
    ----------
    text
        ISO 8601 (year-month-day, a time of day after it is dropped) or, with
        ``date_format``, text in that ``strptime`` format.
    date_format
        ``strptime`` format.
    """
    text = text.strip()
    try:
        if date_format is not None:
            return datetime.strptime(text, date_format).date()
        return datetime.fromisoformat(text).date() if len(text) > 10 else _iso(text)
    except ValueError:
        return None


def _iso(text: str) -> date | None:
    # fromisoformat also takes 20240105 and 2024-W01-5, which are too easily something else.
    return date.fromisoformat(text) if len(text) == 10 and text[4] == text[7] == "-" else None


def days_between(start: date, end: date) -> float:
    """Return the days from ``start`` to ``end``."""
    return float((end - start).days)


def infusion_at(study_day: float, infusion_days: Sequence[tuple[int, float]]) -> tuple[int, float]:
    """Return the infusion that a sample belongs to, and the sample's day from it.

    It is the latest infusion at or before ``study_day``; what was drawn before
    the first infusion belongs to the first, with negative days.

    Parameters
    ----------
    study_day
        Day of the sample from the first infusion.
    infusion_days
        ``(infusion, study_day)`` of the subject, in order.
    """
    number, start = infusion_days[0]
    for candidate, day in infusion_days:
        # A whole-day clock puts the morning of the infusion on its day: 41.5 is before day 42.
        if day <= study_day:
            number, start = candidate, day
    return number, study_day - start
