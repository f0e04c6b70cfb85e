"""The observations sheet of the simulated trial: what the ward wrote down, and what it left out.

In hospital (days -4 to 14) temperature twice a day, blood pressure, oxygen, ICE score,
consciousness and the doctor's own CRS grade each day; at home a temperature a day to
day 28. Pressors, seizures, weakness, oedema and hidden fever are written down only
when there are any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    import numpy as np

    from cartrace.simulate.bedside import Bedside, Release

BY_EXCEPTION = (
    "fever_masked",
    "vasopressors",
    "vasopressin",
    "seizure",
    "motor_weakness",
    "cerebral_oedema",
)
FIRST, IN_HOSPITAL, LAST = -4, 14, 28
MORNING, EVENING = 0.3, 0.8
COUNTS_MISSING = (6, 14)
"""First and last day without a blood count, of the subject of the plan below."""


@dataclass(frozen=True, slots=True)
class PlantedFault:
    """One fault of the bedside, and what cartrace has to do about it.

    ``check`` is the row of qc that names it, empty where none does. ``least`` and
    ``most`` are the highest grades of ``term`` that are left, None where it stays known.
    """

    kind: str
    subject_id: str
    infusion: int
    first_day: int
    last_day: int
    term: str
    check: str
    least: int | None
    most: int | None
    then: str


KINDS: dict[int, str] = {
    0: "clinician_differs",
    2: "ice_not_charted",
    6: "days_lost",
    7: "oxygen_not_charted",
    8: "temperature_not_charted",
    11: "counts_missing",
}
"""Fault of each subject, by place among twelve; only the first twelve have one."""


def plan_fault(subject_id: str, place: int, release: Release | None) -> PlantedFault | None:
    """Return the fault that is planted in a subject, or None."""
    kind = KINDS.get(place)
    if kind is None or (release is None and kind in {"clinician_differs", "oxygen_not_charted"}):
        return None
    onset, end = (release.onset, release.end) if release else (0, 0)
    days, term, check, bounds, then = {
        "clinician_differs": (
            (onset + 1, onset + 1),
            "crs",
            "clinician_grade_differs",
            (None, None),
            "the doctor wrote grade 2 for a high fever alone; both grades are kept",
        ),
        "ice_not_charted": ((6, 6), "icans", "", (0, 3), "the highest ICANS grade stays open, 0 to 3"),
        "days_lost": (
            (end + 1, end + 2),
            "crs",
            "days_without_observation",
            (None, None),
            "two days without any row are counted",
        ),
        "oxygen_not_charted": (
            (onset, onset),
            "crs",
            "",
            (1, 4),
            "a day with fever and no word on oxygen: the highest CRS grade stays open, 1 to 4",
        ),
        "temperature_not_charted": (
            (end + 1, end + 1),
            "crs",
            "",
            (None, None),
            "that day is grade 0 or 1; the highest grade stays known",
        ),
        "counts_missing": (
            COUNTS_MISSING,
            "icaht_early",
            "",
            (None, None),
            "days 13 to 15 are unknown, for a count holds for seven days; the low days become an interval",
        ),
    }[kind]
    return PlantedFault(kind, subject_id, 1, *days, term, check, *bounds, then)


def faults_table(faults: Sequence[PlantedFault]) -> pd.DataFrame:
    """Return the faults as a table."""
    if not faults:
        return pd.DataFrame({f.name: pd.Series(dtype=object) for f in fields(PlantedFault)})
    # Kept as objects: a bound that is not there is an empty cell, a whole number stays one.
    return pd.DataFrame([asdict(f) for f in faults], dtype=object)


def observations(
    rng: np.random.Generator,
    subject_id: str,
    bedside: Bedside,
    infusion_days: Sequence[int],
    *,
    follow_up_day: int,
    fault: PlantedFault | None,
) -> list[dict[str, str]]:
    """Return the rows of one subject in the observations sheet, with study days.

    Parameters
    ----------
    rng
        The stream of :func:`cartrace.simulate.bedside.draw_bedside`. It gives the same
        temperatures with and without a fault.
    subject_id, infusion_days, follow_up_day
        Whose, study days of the infusions, last contact.
    bedside
        The truth: cytokine release and other fever after the first infusion.
    fault
        Planted fault, or None.
    """
    rows: list[dict[str, str]] = []
    for number, start in enumerate(infusion_days, 1):
        ill = bedside.release if number == 1 else None
        febrile = bedside.febrile if number == 1 else ()
        flaw = fault if number == 1 else None
        for day in range(FIRST, LAST + 1):
            cool, hot = float(rng.uniform(36.3, 37.4)), float(rng.uniform(38.2, 39.8))
            if start + day > follow_up_day:
                continue
            for when, item, value in _day(day, cool, hot, ill, other=day in febrile):
                item_, value_ = (item, value) if flaw is None else _spoilt(flaw, day, item, value)
                if item_:
                    rows.append(
                        {
                            "subject_id": subject_id,
                            "day": f"{start + day + when:.10g}",
                            "item": item_,
                            "value": value_,
                        }
                    )
    return rows


def _day(
    day: int, cool: float, hot: float, release: Release | None, *, other: bool
) -> list[tuple[float, str, str]]:
    """Return what is written down on one day: time of the day, item, value."""
    feverish = other or (release is not None and release.feverish(day))
    highest = f"{hot if feverish else cool + 0.2:.1f}"
    if day > IN_HOSPITAL:
        return [(EVENING, "temperature_c", highest), *_reasons(other=other)]
    grade = release.grade(day) if release else 0
    sign = release.sign if release and grade == 2 else ""
    out = [
        (MORNING, "temperature_c", f"{cool:.1f}"),
        (EVENING, "temperature_c", highest),
        (MORNING, "hypotension", "yes" if sign == "hypotension" else "no"),
        (MORNING, "oxygen", "low_flow" if sign == "oxygen" else "none"),
    ]
    if release and release.masked_from == day:
        out.append((EVENING, "fever_masked", "yes"))
    if release and release.masked_from is not None and day == release.end + 1:
        out.append((MORNING, "fever_masked", "no"))
    if day >= 0:
        out += [
            (MORNING, "ice", "10"),
            (MORNING, "consciousness", "alert"),
            (MORNING, "crs_grade", str(grade)),
        ]
    return out + _reasons(other=other)


def _reasons(*, other: bool) -> list[tuple[float, str, str]]:
    return [(EVENING, "crs_other_cause", "yes")] if other else []


def _spoilt(fault: PlantedFault, day: int, item: str, value: str) -> tuple[str, str]:
    """Return what a fault leaves of one entry; no item: nothing."""
    if not fault.first_day <= day <= fault.last_day:
        return item, value
    left_out = {
        "ice_not_charted": ("ice",),
        "oxygen_not_charted": ("oxygen",),
        "temperature_not_charted": ("temperature_c",),
    }
    if fault.kind == "days_lost" or item in left_out.get(fault.kind, ()):
        return "", ""
    if fault.kind == "clinician_differs" and item == "crs_grade":
        return item, "2"
    return item, value
