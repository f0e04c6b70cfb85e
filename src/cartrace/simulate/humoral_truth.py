"""What an assay without noise, limits or gaps would find: the truth of depletion and antibodies.

Days count from the infusion of the row, as everywhere. Thresholds are those of the
default configuration. Nan: it does not happen before the last contact (or the next
infusion).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cartrace.config import Depletion
from cartrace.simulate.humoral import UNITS, Antibody, Crossing, Humoral, crossings
from cartrace.simulate.humoral_laboratory import LIMITS, START

PRE = -5
"""Day of the baseline sample."""


def thresholds(analyte: str, baseline: float) -> tuple[float, float]:
    """Return the default threshold and the lower limit of normal (nan: none) in the analyte's unit."""
    settings = Depletion()
    for rule in settings.rules:
        if rule.analyte == analyte and rule.unit in {None, UNITS[analyte]} and rule.threshold is not None:
            share = rule.kind == "percent_of_baseline"
            level = rule.threshold * baseline / 100 if share else rule.threshold
            return level, rule.lower_limit_of_normal or math.nan
    return settings.otherwise_percent_of_baseline * baseline / 100, math.nan


def _spans(infusion_days: Sequence[int], follow_up_day: int) -> Iterator[tuple[int, int, int, bool]]:
    ends = [*infusion_days[1:], follow_up_day]
    for number, (start, end) in enumerate(zip(infusion_days, ends, strict=True), 1):
        yield number, start, end, number == len(infusion_days)


def _nth(days: Sequence[float], n: int, start: float) -> float:
    return days[n] - start if n < len(days) else math.nan


def _back(crossing: Crossing, after: float, start: float) -> float:
    """First day after ``after`` on which the course is not below the level any more."""
    return next((d - start for d in crossing.rises if d - start > after), math.nan)


def true_depletion(
    subject_id: str, humoral: Humoral, infusion_days: Sequence[int], follow_up_day: int
) -> list[dict[str, Any]]:
    """Return one row for each infusion and analyte that the product takes away."""
    rows: list[dict[str, Any]] = []
    for analyte, course in humoral.courses.items():
        if isinstance(course, Antibody):
            continue
        for number, start, end, _ in _spans(infusion_days, follow_up_day):
            baseline = float(course(float(start + PRE)))
            threshold, normal = thresholds(analyte, baseline)
            time = np.arange(start, end + 0.1, 0.1)
            own = getattr(course, "own", course)(time)
            lowest = int(np.argmin(own))
            at = crossings(course, threshold, start - 4.0, end)
            fell = _nth(at.falls, 0, start)
            after = fell if not math.isnan(fell) else float(time[lowest]) - start
            depleted = at.low_at_start or bool(at.falls)
            rows.append(
                {
                    "subject_id": subject_id,
                    "infusion": number,
                    "matrix": "serum" if analyte in {"igg", "iga", "igm", "soluble_bcma"} else "blood",
                    "analyte": analyte,
                    "unit": UNITS[analyte],
                    "lineage": humoral.lineage,
                    "baseline": baseline,
                    "nadir": float(own[lowest]),
                    "nadir_day": float(time[lowest]) - start,
                    "lloq": LIMITS[analyte][1],
                    "threshold": threshold,
                    "lower_limit_of_normal": normal,
                    "low_at_start": at.low_at_start,
                    "n_episodes": len(at.falls) + at.low_at_start,
                    "depleted_day": fell,
                    "above_threshold_day": _nth(at.rises, 0, start),
                    "depleted_again_day": _nth(at.falls, 0 if at.low_at_start else 1, start),
                    "above_threshold_again_day": _nth(at.rises, 1, start),
                    "back_to_baseline_day": _back(crossings(course, baseline, start - 4.0, end), after, start)
                    if depleted
                    else math.nan,
                    "normal_day": _back(crossings(course, normal, start - 4.0, end), after, start)
                    if depleted and not math.isnan(normal)
                    else math.nan,
                    "last_day": end - start,
                }
            )
    return rows


def true_antibodies(
    subject_id: str, humoral: Humoral, infusion_days: Sequence[int], follow_up_day: int
) -> list[dict[str, Any]]:
    """Return one row for each infusion and antibody."""
    rows: list[dict[str, Any]] = []
    for analyte, course in humoral.antibodies.items():
        cut = float(START) if analyte == "aqp4_igg" else LIMITS[analyte][1]
        for number, start, end, _ in _spans(infusion_days, follow_up_day):
            baseline = float(course(float(start + PRE)))
            fourfold = crossings(course, baseline / 4, start - 4.0, end)
            negative = crossings(course, cut, start - 4.0, end)
            rows.append(
                {
                    "subject_id": subject_id,
                    "infusion": number,
                    "matrix": "serum",
                    "analyte": analyte,
                    "unit": UNITS[analyte],
                    "decline": humoral.decline if analyte == "aqp4_igg" else "usual",
                    "baseline": baseline,
                    "decay_rate": course.rate,
                    "half_life": course.half_life if course.rate else math.nan,
                    "negative_below": cut,
                    "fourfold_day": _nth(fourfold.falls, 0, start),
                    "seronegative_day": _nth(negative.falls, 0, start),
                    "positive_again_day": _nth(negative.rises, 0, start),
                    "last_day": end - start,
                }
            )
    return rows
