"""What is true of the simulated bedside, graded from the true course of every day.

Written apart from ``cartrace.safety``, with the criteria spelt out once more, so that
the two can disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.simulate.bedside import UNITS, Array, Bedside, CountCourse
from cartrace.simulate.bedside_laboratory import LOWER_LIMITS, SCORE_COLUMNS, printed
from cartrace.simulate.events import Event

if TYPE_CHECKING:
    from cartrace.simulate.laboratory import Draw, Result

TERMS = {
    "neutrophils": "neutropenia",
    "platelets": "thrombocytopenia",
    "haemoglobin": "anaemia",
    "lymphocytes": "lymphopenia",
}
LABELS = {"neutrophils": "Neutrophil count decreased", "platelets": "Platelet count decreased"}
"""Counts whose grades 3 and 4 a clinician reports as an adverse event."""
BELOW: dict[str, tuple[float, ...]] = {
    "neutrophils": (1.5, 1.0, 0.5),
    "platelets": (75.0, 50.0, 25.0),
    "haemoglobin": (10.0, 8.0),
    "lymphocytes": (0.8, 0.5, 0.2),
}
"""CTCAE v5.0: counts below these are grade 2, 3 and 4; grade 1 is below the lower limit of normal."""


def ctcae(analyte: str, value: float) -> int:
    """Return the grade of one count."""
    limits = (LOWER_LIMITS[analyte], *BELOW[analyte])
    return sum(round(value, 6) < limit for limit in limits)


def last_day(number: int, infusion_days: Sequence[int], follow_up_day: int) -> int:
    """Return the last day of an infusion's own clock: the day before the next lymphodepletion, or last contact."""
    start = infusion_days[number - 1]
    if number < len(infusion_days):
        return infusion_days[number] - 5 - start
    return follow_up_day - start


def true_toxicity(
    subject_id: str, bedside: Bedside, infusion_days: Sequence[int], follow_up_day: int
) -> list[dict[str, Any]]:
    """Return the rows of ``truth/toxicity.tsv``: as ``safety_toxicity``, from the true course of every day."""
    rows: list[dict[str, Any]] = []
    for number in range(1, len(infusion_days) + 1):
        key = {"subject_id": subject_id, "infusion": number}
        end = last_day(number, infusion_days, follow_up_day)
        release = bedside.release if number == 1 else None
        if release is None:
            rows.append(key | _row("crs", 0))
        else:
            n = len(release.grades)
            rows.append(key | _row("crs", max(release.grades), release.onset, release.end, n))
        rows.append(key | _row("icans", 0))
        for analyte, term in TERMS.items():
            values = bedside.counts[number - 1][analyte](np.arange(end + 1))
            grades = np.array([ctcae(analyte, v) for v in values.tolist()])
            low = np.flatnonzero(grades)
            first, last = (int(low[0]), int(low[-1])) if len(low) else (None, None)
            days = None if first is None or last is None else last - first + 1
            rows.append(key | _row(term, int(grades.max()), first, last, days))
        for analyte, name in (("neutrophils", "icaht"), ("platelets", "icaht_platelets")):
            values = bedside.counts[number - 1][analyte](np.arange(end + 1))
            rows.extend(key | row for row in _icaht(name, analyte, values))
    return rows


def _row(
    term: str, grade: int, onset: int | None = None, end: int | None = None, days: int | None = None
) -> dict[str, Any]:
    return {"term": term, "grade": grade, "onset_day": onset, "end_day": end, "duration_days": days}


def _icaht(name: str, analyte: str, values: Array) -> Iterator[dict[str, Any]]:
    """Yield the early and the late row of one count, from its value on every day from 0 on."""
    early, late = values[:31].tolist(), values[31:101].tolist()
    if analyte == "neutrophils":
        mild = [v <= 0.5 for v in early]
        half, tenth = stretch(mild), stretch([v <= 0.1 for v in early])
        grade = 1 * (half >= 1) + (half >= 7) + (half >= 14)
        grade = max(grade, 3 * (tenth >= 7), 4 * (tenth >= 14), 4 * (len(early) == 31 and all(mild[3:])))
    else:
        mild = [v < 50 for v in early]
        fifty, twenty = stretch(mild), stretch([v < 20 for v in early])
        grade = max(1 * (fifty >= 1) + (fifty >= 7), 3 * (twenty >= 1), 4 * (twenty >= 14))
    yield _window(f"{name}_early", grade, mild, 0)
    if not late:
        return
    if analyte == "neutrophils":
        limits = (1.5, 1.0, 0.5, 0.1)
        mild = [v <= limits[0] for v in late]
        grade = sum(min(late) <= limit for limit in limits) if sum(mild) >= 2 else 0
    else:
        grade = max(
            (g for g, limit in enumerate((100, 50, 20), 1) if sum(v < limit for v in late) >= 2), default=0
        )
        grade = 4 if stretch([v < 20 for v in late]) >= 14 else grade
        mild = [v < 100 for v in late]
    yield _window(f"{name}_late", grade, mild, 31)


def stretch(low: Sequence[bool]) -> int:
    """Count the low days, with those of a recovery that lasts less than three days."""
    at = [day for day, is_low in enumerate(low) if is_low]
    gaps = [b - a - 1 for a, b in pairwise(at)]
    return len(at) + sum(gap for gap in gaps if gap < 3)


def _window(term: str, grade: int, low: Sequence[bool], start: int) -> dict[str, Any]:
    at = [day + start for day, is_low in enumerate(low) if is_low]
    if not at:
        return _row(term, grade)
    return _row(term, grade, at[0], at[-1], stretch(low))


def true_counts(
    subject_id: str, bedside: Bedside, infusion_days: Sequence[int], follow_up_day: int
) -> list[dict[str, Any]]:
    """Return the rows of ``truth/counts.tsv``: one for each subject, infusion and blood count.

    ``low_days`` are the days 0 to 30 at most at 0.5 (neutrophils) or below 50
    (platelets); ``recovery_day`` is the first of three days at or above 0.5 or 20,
    after the nadir and seven days after a transfusion.
    """
    rows: list[dict[str, Any]] = []
    for number in range(1, len(infusion_days) + 1):
        end = last_day(number, infusion_days, follow_up_day)
        for analyte, unit in UNITS.items():
            course = bedside.counts[number - 1][analyte]
            values = course(np.arange(end + 1))
            month = values[1:31]
            nadir_day = int(np.flatnonzero(np.isclose(month, month.min(), rtol=1e-9))[-1]) + 1
            row: dict[str, Any] = {
                "subject_id": subject_id,
                "infusion": number,
                "analyte": analyte,
                "unit": unit,
                "before": float(course(-5)),
                "nadir": float(month.min()),
                "nadir_day": nadir_day,
                "low_days": None,
                "recovery_day": None,
            }
            if analyte in LABELS:
                neutrophils = analyte == "neutrophils"
                early = values[:31].tolist()
                row["low_days"] = stretch([v <= 0.5 if neutrophils else v < 50 for v in early])
                threshold = 0.5 if neutrophils else 20.0
                given = course.given if isinstance(course, CountCourse) else ()
                row["recovery_day"] = _recovered(values.tolist(), nadir_day, threshold, given)
            rows.append(row)
    return rows


def _recovered(values: Sequence[float], nadir_day: int, threshold: float, given: Sequence[int]) -> int | None:
    if min(values[1:]) >= threshold:
        return None
    run = 0
    for day in range(nadir_day, len(values)):
        helped = any(0 <= day - g < 7 for g in given)
        run = run + 1 if values[day] >= threshold and not helped else 0
        if run == 3:
            return day - 2
    return None


def true_scores(bedside: Bedside, draws: Sequence[Draw]) -> list[dict[str, Any]]:
    """Return the rows of ``truth/scores.tsv``: each score with its change from the first one of the infusion."""
    rows: list[dict[str, Any]] = []
    for analyte in SCORE_COLUMNS:
        first: dict[int, float] = {}
        for d in draws:
            score = bedside.scores.get((d.infusion, analyte, d.visit))
            if score is None:
                continue
            baseline = first.setdefault(d.infusion, score)
            rows.append(
                {
                    "subject_id": d.subject_id,
                    "infusion": d.infusion,
                    "analyte": analyte,
                    "visit": d.visit,
                    "day": d.day,
                    "study_day": d.study_day,
                    "value": score,
                    "baseline": baseline,
                    "change": score - baseline,
                }
            )
    return rows


def reported_counts(results: Sequence[Result]) -> list[Event]:
    """Return the adverse events by which a clinician reports counts of grade 3 and 4.

    Read off the printed counts of the hospital, one event for each stretch of them.
    """
    out: list[Event] = []
    for analyte, label in LABELS.items():
        stretches: list[list[tuple[int, int]]] = []
        open_ = False
        for r in (r for r in results if r.analyte == analyte and r.draw.day >= 0):
            grade = ctcae(analyte, printed(r))
            if grade >= 3 and open_:
                stretches[-1].append((r.draw.study_day, grade))
            elif grade >= 3:
                stretches.append([(r.draw.study_day, grade)])
            open_ = grade >= 3
        out += [
            Event(days[0][0], "adverse_event", label, days[-1][0], max(grade for _, grade in days))
            for days in stretches
        ]
    return out
