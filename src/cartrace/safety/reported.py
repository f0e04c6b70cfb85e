"""Rows of the events sheet on the clock of the infusion that they follow."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from cartrace.intake.clock import infusion_at
from cartrace.safety.grades import DayGrade

Key = tuple[str, int]
"""Subject and infusion."""
Plan = list[tuple[int, float, float]]
"""Infusions of a subject: number, study day, first day of lymphodepletion counted from it."""

HIGHEST = 5
NO_GRADE = "the event has no grade"


@dataclass(frozen=True, slots=True)
class Reported:
    """One event; its days are whole days from the infusion."""

    key: Key
    kind: str
    label: str
    """As the sheet writes it; empty for none."""
    day: int
    end_day: int | None
    least: int
    """Without a grade it is some grade, 1 to 5; half a grade lies between two."""
    most: int
    graded: bool

    @property
    def grade(self) -> DayGrade:
        """The grade of its first day."""
        words = self.kind.replace("_", " ") + (f": {self.label}" if self.label else "")
        return DayGrade(self.day, self.least, self.most, words, None if self.graded else NO_GRADE)


def plans_of(infusions: pd.DataFrame) -> dict[str, Plan]:
    """Return the infusions of each subject, in order (``cartrace.tables.INFUSIONS``)."""
    out: dict[str, Plan] = {}
    columns = ["subject_id", "infusion", "study_day", "lymphodepletion_day"]
    for row in infusions[columns].sort_values(["subject_id", "infusion"]).itertuples(index=False):
        subject, number, start, lymphodepletion = row
        before = 0.0 if pd.isna(lymphodepletion) else float(lymphodepletion)
        out.setdefault(str(subject), []).append((int(number), float(start), before))
    return out


def reported_events(
    events: pd.DataFrame, plans: Mapping[str, Plan], kinds: Collection[str]
) -> Iterator[Reported]:
    """Give the events of some kinds from the first infusion on, in the order of the table.

    Parameters
    ----------
    events
        Table in the contract of ``cartrace.tables.EVENTS``.
    plans
        Infusions of each subject; events of others are left out.
    kinds
        Kinds that are wanted.
    """
    columns = ["subject_id", "kind", "label", "grade", "study_day", "end_study_day"]
    for subject, kind, label, grade, start, end in events[columns].itertuples(index=False):
        plan = plans.get(str(subject))
        if kind not in kinds or not plan:
            continue
        number, day = infusion_at(float(start), [(n, s) for n, s, _ in plan])
        if math.floor(day) < 0:
            continue
        known = not pd.isna(grade)
        yield Reported(
            key=(str(subject), number),
            kind=str(kind),
            label=str(label) if isinstance(label, str) else "",
            day=math.floor(day),
            end_day=None if pd.isna(end) else math.floor(float(end) - float(start) + day),
            least=math.floor(grade) if known else 1,
            most=math.ceil(grade) if known else HIGHEST,
            graded=known,
        )
