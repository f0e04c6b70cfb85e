"""Courses of clinical scores: change from baseline, best change, sustained improvement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cartrace.kinetics.rows import INTERVAL, RIGHT, Result, assemble
from cartrace.metrics import Metric, register
from cartrace.tables import METRICS, concat

if TYPE_CHECKING:
    import numpy.typing as npt

    from cartrace.config import Efficacy, Landmark, Score

    Floats = npt.NDArray[np.float64]

for _metric in (
    Metric(
        name="score_baseline",
        label="Baseline score",
        unit="course",
        definition="Last score on or before the first day of lymphodepletion, else the last one up to the day of "
        "infusion.",
        source="House definition, as the baseline of depletion.",
        group="efficacy",
    ),
    Metric(
        name="score_change_at_{landmark}",
        label="Change of score at {landmark}",
        unit="course",
        definition="Score nearest to the landmark, within its window, minus the baseline; of two equally near ones the "
        "earlier. Its sign is that of the score.",
        source="House definition.",
        group="efficacy",
    ),
    Metric(
        name="score_improved_at_{landmark}",
        label="Score improved at {landmark}",
        unit="none",
        definition="Yes when the score at the landmark is better than the baseline by at least the minimal change. A "
        "baseline that leaves no room for it is not assessable.",
        source="House definition.",
        group="efficacy",
        share=True,
    ),
    Metric(
        name="score_worsened_at_{landmark}",
        label="Score worsened at {landmark}",
        unit="none",
        definition="Yes when the score at the landmark is worse than the baseline by at least the minimal change. A "
        "baseline that leaves no room for it is not assessable.",
        source="House definition.",
        group="efficacy",
        share=True,
    ),
    Metric(
        name="score_best_change",
        label="Best change of score",
        unit="course",
        definition="Change from the baseline to the best score after the infusion. Its sign is that of the score.",
        source="House definition.",
        group="efficacy",
    ),
    Metric(
        name="time_to_sustained_improvement",
        label="Time to sustained improvement",
        unit="day",
        definition="Days from the infusion to the first visit with an improvement of at least the minimal change that the "
        "next visit confirms; it lies between the visit before and that one.",
        source="House definition: confirmed at the next visit.",
        group="efficacy",
        event=True,
    ),
):
    register(_metric)

KEYS = ["subject_id", "infusion", "matrix", "analyte", "assay", "unit"]
NO_BASELINE = "no score up to the infusion"
NO_SCORE = "no score after the infusion"
NOISE = 1e-9
"""Sums of decimal scores are not exact in binary."""


@dataclass(frozen=True, slots=True)
class ScoreCourse:
    """Scores of one subject after one infusion, one a day, in order of the day."""

    baseline: float
    """Not a number where there is none."""
    baseline_day: float
    day: Floats
    """(n,) days after the infusion."""
    value: Floats
    """(n,) scores."""


@dataclass(frozen=True, slots=True)
class _Courses:
    keys: pd.DataFrame

    def __len__(self) -> int:
        return len(self.keys)


def compute_efficacy(
    measurements: pd.DataFrame, infusions: pd.DataFrame | None, settings: Efficacy
) -> pd.DataFrame:
    """Compute the metrics of every course of a configured score.

    Parameters
    ----------
    measurements
        Table in the contract of ``cartrace.tables.MEASUREMENTS``. Rejected and
        censored results do not enter.
    infusions
        Table in the contract of ``cartrace.tables.INFUSIONS``, or None: it gives the
        day of lymphodepletion.
    settings
        Section ``efficacy`` of the configuration.

    Returns
    -------
    pandas.DataFrame
        In the contract of ``cartrace.tables.METRICS``.
    """
    depletion: dict[tuple[str, int], float] = {}
    if infusions is not None:
        columns = infusions[["subject_id", "infusion", "lymphodepletion_day"]]
        for subject, number, day in columns.itertuples(index=False):
            if not pd.isna(day):
                depletion[str(subject), int(number)] = float(day)
    used = measurements[(measurements["status"] != "rejected") & measurements["value"].notna()]
    frames = []
    for score in settings.scores:
        keys: list[dict[str, Any]] = []
        courses: list[ScoreCourse] = []
        for key, group in used[used["analyte"] == score.analyte].groupby(KEYS, sort=True):
            names: dict[str, Any] = dict(zip(KEYS, key, strict=True))
            first = depletion.get((str(names["subject_id"]), int(names["infusion"])))
            courses.append(
                score_course(group["day"].to_numpy(float), group["value"].to_numpy(float), score, first)
            )
            keys.append({("course_unit" if k == "unit" else k): v for k, v in names.items()})
        if courses:
            frames.append(assemble(_Courses(pd.DataFrame(keys)), results(courses, score, settings.landmarks)))
    return concat(frames, METRICS)


def score_course(day: Floats, value: Floats, score: Score, lymphodepletion: float | None) -> ScoreCourse:
    """Divide the scores of one subject and infusion at the infusion.

    Of several scores of one moment the worst counts.

    Parameters
    ----------
    day, value
        (n,) days from the infusion, and scores, in any order.
    score
        Which way improvement goes.
    lymphodepletion
        First day of lymphodepletion, or None.
    """
    moments = np.unique(day)
    worst = np.max if score.better == "lower" else np.min
    each = np.array([worst(value[day == d]) for d in moments], dtype=np.float64)
    before = np.flatnonzero(moments <= 0)
    if lymphodepletion is not None and (moments <= lymphodepletion).any():
        before = np.flatnonzero(moments <= lymphodepletion)
    after = moments > 0
    known = len(before) > 0
    return ScoreCourse(
        float(each[before[-1]]) if known else np.nan,
        float(moments[before[-1]]) if known else np.nan,
        moments[after],
        each[after],
    )


def improvement(course: ScoreCourse, score: Score) -> Floats:
    """Return (n,) by how much each score after the infusion is better than the baseline."""
    change = course.value - course.baseline
    return -change if score.better == "lower" else change


def sustained(course: ScoreCourse, score: Score) -> tuple[float, float]:
    """Return the days between which a confirmed improvement began; the second is infinite while there is none."""
    better = improvement(course, score) >= score.minimal_change - NOISE
    for k in np.flatnonzero(better[:-1] & better[1:]):
        return (float(course.day[k - 1]) if k else 0.0), float(course.day[k])
    worse = np.flatnonzero(~better)
    return (float(course.day[worse[-1]]) if len(worse) else 0.0), np.inf


def results(courses: list[ScoreCourse], score: Score, landmarks: tuple[Landmark, ...]) -> list[Result]:
    """Return the metrics of n courses of one score."""
    base = np.array([c.baseline for c in courses])
    n_after = np.array([float(len(c.day)) for c in courses])
    no_base, no_score = np.isnan(base), n_after == 0
    base_day = np.array([c.baseline_day for c in courses])
    out = [
        Result(
            "score_baseline",
            base,
            method="last score up to lymphodepletion, else up to the infusion",
            n_points=(~no_base).astype(float),
            window_start=base_day,
            window_end=base_day,
        ).refuse(no_base, NO_BASELINE)
    ]
    seen = [_nearest(courses, mark) for mark in landmarks]
    for mark, (value, day) in zip(landmarks, seen, strict=True):
        out.append(_at(f"score_change_at_{mark.name}", value - base, day, mark, no_base))
    for word, sign in (("improved", 1.0), ("worsened", -1.0)):
        up = sign if score.better == "higher" else -sign
        room = score.maximum - base if up > 0 else base - score.minimum
        none = room < score.minimal_change - NOISE
        for mark, (value, day) in zip(landmarks, seen, strict=True):
            answer = np.where(up * (value - base) >= score.minimal_change - NOISE, 1.0, 0.0)
            found = _at(f"score_{word}_at_{mark.name}", answer, day, mark, no_base)
            out.append(found.refuse(none, no_room(score)))
    best = np.full(len(courses), np.nan)
    for i, course in enumerate(courses):
        if len(course.day) and not no_base[i]:
            best[i] = (course.value - course.baseline)[improvement(course, score).argmax()]
    out.append(
        Result("score_best_change", best, method=f"{score.better} is better", n_points=n_after)
        .refuse(no_base, NO_BASELINE)
        .refuse(no_score, NO_SCORE)
    )
    out.append(_sustained_result(courses, score, no_base, no_score, n_after))
    outside = np.array([is_outside(c, score) for c in courses], dtype=bool)
    beyond = f"a score lies outside {score.minimum:g} to {score.maximum:g} (efficacy.scores)"
    return [result.refuse(outside, beyond) for result in out]


def is_outside(course: ScoreCourse, score: Score) -> bool:
    """Say whether a score that counts is none that the score can have: a slip, or another version of it."""
    with np.errstate(invalid="ignore"):
        values = np.append(course.value, course.baseline)
        return bool(((values < score.minimum - NOISE) | (values > score.maximum + NOISE)).any())


def no_room(score: Score) -> str:
    """Say why neither improvement nor worsening can be seen from a baseline at the end of the scale."""
    return f"the baseline leaves no room for a change of {score.minimal_change:g}"


def _nearest(courses: list[ScoreCourse], mark: Landmark) -> tuple[Floats, Floats]:
    """Return the scores nearest to a landmark and their days; of two equally near ones the earlier."""
    value, day = np.full(len(courses), np.nan), np.full(len(courses), np.nan)
    for i, course in enumerate(courses):
        away = np.abs(course.day - mark.day)
        if len(away) and away.min() <= mark.window:
            k = int(away.argmin())
            value[i], day[i] = course.value[k], course.day[k]
    return value, day


def _at(name: str, value: Floats, day: Floats, mark: Landmark, no_base: npt.NDArray[np.bool_]) -> Result:
    result = Result(
        name,
        value,
        method=f"day {mark.day:g} +/- {mark.window:g}",
        n_points=(~np.isnan(day)).astype(float),
        window_start=day,
        window_end=day,
    )
    missing = f"no score within {mark.window:g} days of day {mark.day:g}"
    return result.refuse(no_base, NO_BASELINE).refuse(np.isnan(day), missing)


def _sustained_result(
    courses: list[ScoreCourse],
    score: Score,
    no_base: npt.NDArray[np.bool_],
    no_score: npt.NDArray[np.bool_],
    n_after: Floats,
) -> Result:
    bounds = [sustained(c, score) for c in courses]
    lower, upper = np.array([b[0] for b in bounds]), np.array([b[1] for b in bounds])
    base = np.array([c.baseline for c in courses])
    room = base - score.minimum if score.better == "lower" else score.maximum - base
    result = Result(
        "time_to_sustained_improvement",
        np.where(upper - lower == 1, upper, np.nan),
        method=f"{score.better} by at least {score.minimal_change:g}, confirmed at the next visit",
        n_points=n_after,
    )
    result.refuse(no_base, NO_BASELINE).refuse(no_score, NO_SCORE)
    result.refuse(room < score.minimal_change - NOISE, no_room(score))
    result.censor(np.isinf(upper), RIGHT, "no improvement that a next visit confirms", lower=lower)
    between = np.isfinite(upper) & (upper - lower != 1)
    return result.censor(between, INTERVAL, "between two visits", lower=lower, upper=upper)
