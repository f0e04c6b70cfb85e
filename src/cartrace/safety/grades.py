"""The grade of one term on one day: what it is, or between which it lies, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

Seen = Mapping[str, tuple[float | str, ...]]
"""What was observed on one day: item -> its values."""

UNITS = {"temperature_c": " °C"}


@dataclass(frozen=True, slots=True)
class DayGrade:
    """Grade of one day: between ``least`` and ``most``."""

    day: int
    least: int
    most: int
    because: str = ""
    reason: str | None = None
    """Why it is not known better."""

    @property
    def grade(self) -> int | None:
        """The grade, where the observations leave only one."""
        return self.least if self.least == self.most else None

    def row(self, subject_id: str, infusion: int, term: str, source: str) -> dict[str, object]:
        """Return the row of ``cartrace.safety.tables.GRADES``."""
        return {
            "subject_id": subject_id,
            "infusion": infusion,
            "day": float(self.day),
            "term": term,
            "source": source,
            "grade": self.grade,
            "least": self.least,
            "most": self.most,
            "because": self.because or None,
            "reason": self.reason,
        }


def observed_days(
    observations: pd.DataFrame,
) -> dict[tuple[str, int], dict[int, dict[str, tuple[float | str, ...]]]]:
    """Sort observations by subject and infusion, day and item.

    Parameters
    ----------
    observations
        Table in the contract of ``cartrace.safety.tables.OBSERVATIONS``. What was
        seen before the day of the infusion is left out.

    Returns
    -------
    dict
        ``(subject, infusion)`` -> whole day -> item -> values, each in order. Day
        3.6 is day 3.
    """
    found: dict[tuple[str, int], dict[int, dict[str, list[float | str]]]] = {}
    columns = ["subject_id", "infusion", "day", "item", "number", "word"]
    for row in observations[columns].itertuples(index=False):
        subject, infusion, day, item, number, word = row
        whole = math.floor(day)
        if whole < 0:
            continue
        value: float | str = str(word) if isinstance(word, str) else float(number)
        items = found.setdefault((str(subject), int(infusion)), {}).setdefault(whole, {})
        items.setdefault(str(item), []).append(value)
    return {
        key: {
            day: {item: tuple(sorted(values, key=str)) for item, values in sorted(items.items())}
            for day, items in sorted(days.items())
        }
        for key, days in sorted(found.items())
    }


def in_words(item: str, values: tuple[float | str, ...], worst_is_low: bool = False) -> str:
    """Write an observation as a person would: the worst of its numbers, or its words."""
    name = item.removesuffix("_c").replace("_", " ")
    numbers = [v for v in values if not isinstance(v, str)]
    if numbers:
        worst = min(numbers) if worst_is_low else max(numbers)
        return f"{name} {worst:g}{UNITS.get(item, '')}"
    words = [str(v).replace("_", " ") for v in values]
    return f"{name}: {', '.join(dict.fromkeys(words))}"


def not_observed(items: list[str]) -> str | None:
    """Say which items are missing; None for none."""
    return f"not observed: {', '.join(items)}" if items else None
