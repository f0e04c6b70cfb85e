"""The three questions that a reader brings: who declined, who persisted, who relapsed.

Each patient gets yes, no or not assessable, with the sentence that it rests on.
Nothing is computed here: the answers are read off the metrics and the events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from cartrace.analytes import ANALYTES
from cartrace.report.families import assay_label, matrix_label

if TYPE_CHECKING:
    from cartrace.config import Config, Landmark

YES, NO, UNKNOWN = 1, 0, -1

CourseType = tuple[str, ...]
"""Matrix, analyte, assay and unit."""

FALL = "time_to_fourfold_fall"
HALF_A_YEAR = 180.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of one patient."""

    verdict: int
    """``YES``, ``NO`` or ``UNKNOWN``."""
    remark: str
    """What the answer rests on, or why there is none."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question with its answers, in the order of the patients."""

    text: str
    rule: str
    """What counts as yes."""
    answers: tuple[Answer, ...]


def questions(
    metrics: pd.DataFrame,
    events: pd.DataFrame,
    last_day: Mapping[str, float],
    types: Sequence[CourseType],
    config: Config,
) -> list[Question]:
    """Answer the questions for every patient; a question without any ground is left out.

    Parameters
    ----------
    metrics, events
        In the contracts of ``cartrace.tables``. The first infusion answers.
    last_day
        Subject -> study day of the last contact, or else of the last result (nan
        where nothing is known); its order is that of the answers.
    types
        Course types in the order of preference: of each antibody the first one
        that was followed answers, and the first expansion type with the landmark.
    config
        The fold that counts as a fall, the landmarks of the persistence (the one
        nearest to half a year answers) and the kinds of events that are a relapse.

    Returns
    -------
    list of Question
        Up to three: antibody, persistence, relapse.
    """
    first = metrics[metrics["infusion"] == 1]
    subjects = list(last_day)
    found = [
        _antibody(first, subjects, types, config.antibody.fold),
        _persistence(first, subjects, types, config.kinetics.persistence.landmarks),
        _relapse(events, last_day, config.cohort.association.relapse.kinds),
    ]
    return [q for q in found if q is not None]


def _rows(metrics: pd.DataFrame, course_type: CourseType, name: str) -> dict[str, Any]:
    """Give the rows of one metric of one course type by subject."""
    keys = ["matrix", "analyte", "assay", "course_unit"]
    hit = metrics[(metrics["metric"] == name) & (metrics[keys] == list(course_type)).all(axis=1)]
    return {str(row["subject_id"]): row for _, row in hit.iterrows()}


def _antibody(
    metrics: pd.DataFrame, subjects: Sequence[str], types: Sequence[CourseType], fold: float
) -> Question | None:
    said = "four-fold" if fold == 4 else f"{fold:g}-fold"
    courses: dict[str, dict[str, Any]] = {}
    for course_type in types:
        analyte = course_type[1]
        known = analyte in ANALYTES and ANALYTES[analyte].family == "antibody"
        if known and analyte not in courses:
            rows = _rows(metrics, course_type, FALL)
            if rows:
                courses[analyte] = rows
    if not courses:
        return None

    def answer(subject: str) -> Answer:
        parts = [
            (ANALYTES[a].label, _event(rows[subject], f"{said} fall"))
            for a, rows in courses.items()
            if subject in rows
        ]
        if not parts:
            return Answer(UNKNOWN, "no antibody course")
        # An antibody that the patient never had says nothing about the one that fell.
        verdicts = {a.verdict for _, a in parts} - {UNKNOWN}
        verdict = UNKNOWN if not verdicts else YES if verdicts == {YES} else NO
        return Answer(verdict, "; ".join(f"{name}: {a.remark}" for name, a in parts))

    return Question(
        f"Did the antibody fall {said}?",
        f"Yes when every antibody of the patient that can be assessed fell {said} from its baseline.",
        _all(subjects, answer),
    )


def _event(row: Any, what: str) -> Answer:
    """Read a time to an event as an answer: seen, not seen so far, or not assessable."""
    status = row["status"]
    if status == "not_estimable":
        return Answer(UNKNOWN, _reason(row))
    low, high = (None if pd.isna(row[c]) else float(row[c]) for c in ("lower", "upper"))
    if status == "right_censored":
        return Answer(NO, f"no {what}" + (f" by day {low:g}" if low is not None else ""))
    if status == "estimated":
        return Answer(YES, f"{what} on day {float(row['value']):g}")
    between = f"between days {low:g} and {high:g}" if low is not None and high is not None else ""
    return Answer(YES, f"{what} {between or (f'by day {high:g}' if high is not None else '')}".strip())


def _persistence(
    metrics: pd.DataFrame, subjects: Sequence[str], types: Sequence[CourseType], landmarks: Sequence[Landmark]
) -> Question | None:
    if not landmarks:
        return None
    mark = min(landmarks, key=lambda x: abs(x.day - HALF_A_YEAR))
    name = f"persistent_at_{mark.name}"
    for course_type in types:
        if ANALYTES.get(course_type[1]) is None or ANALYTES[course_type[1]].family != "expansion":
            continue
        rows = _rows(metrics, course_type, name)
        if rows:
            break
    else:
        return None
    place, assay = course_type[0], course_type[2]
    label = f"{ANALYTES[course_type[1]].label} in {matrix_label(place)}"

    def answer(subject: str) -> Answer:
        row = rows.get(subject)
        if row is None:
            return Answer(UNKNOWN, f"no course of {label}")
        if row["status"] != "estimated":
            return Answer(UNKNOWN, _reason(row))
        day = row["window_start"]
        seen = "present" if row["value"] else "not present"
        return Answer(int(row["value"] > 0), seen + ("" if pd.isna(day) else f" on day {float(day):g}"))

    months = "6 months" if mark.name.upper() == "M6" else mark.name
    return Question(
        f"Were the cells still there at {months}?",
        f"{label} by {assay_label(assay)}: the result nearest to day {mark.day:g} within "
        f"{mark.window:g} days answers.",
        _all(subjects, answer),
    )


def _relapse(events: pd.DataFrame, last_day: Mapping[str, float], kinds: Sequence[str]) -> Question | None:
    # A sheet that holds drugs alone says nothing about relapses.
    outcomes = {*kinds, "response", "death"}
    if not events["kind"].isin(list(outcomes)).any():
        return None
    hits = events[events["kind"].isin(list(kinds)) & (events["study_day"] > 0)]
    first: dict[str, Any] = {}
    for _, row in hits.sort_values("study_day", kind="stable").iterrows():
        first.setdefault(str(row["subject_id"]), row)

    def answer(subject: str) -> Answer:
        if subject in first:
            row = first[subject]
            return Answer(YES, f"{row['kind']} on day {float(row['study_day']):g}")
        until = last_day[subject]
        if pd.isna(until) or until <= 0:
            return Answer(UNKNOWN, "no follow-up is known")
        return Answer(NO, f"none recorded by day {float(until):g}")

    said = " or ".join(kinds)
    return Question(
        "Did the patient relapse?",
        f"Yes with an event of kind {said} after the first infusion. No holds up to the last contact only.",
        _all(list(last_day), answer),
    )


def _all(subjects: Sequence[str], answer: Callable[[str], Answer]) -> tuple[Answer, ...]:
    return tuple(answer(s) for s in subjects)


def _reason(row: Any) -> str:
    return "no reason given" if pd.isna(row["reason"]) else str(row["reason"])
