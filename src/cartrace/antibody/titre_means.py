"""Mean level and change of antibodies over subjects, with every result as the interval that it stands for.

The usual geometric mean of end points takes a titre of 40 for 40, where it may be anything up to
80, and a negative one for some number: it lies half a step or more too low (assays.md C.2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cartrace.antibody.interval_mean import differences, no_mean, normal_mean
from cartrace.antibody.metrics import AT_BASELINE, NO_BASELINE, nearest_result
from cartrace.antibody.titres import read_courses
from cartrace.cohort.groups import ALL, cohorts
from cartrace.tables import ANTIBODY_MEANS, rows

if TYPE_CHECKING:
    from cartrace.antibody.titres import Bools, Floats, Integers, Readings
    from cartrace.config import Antibody, AntibodyMeans, Landmark, Visit
    from cartrace.kinetics.rows import Texts

BASELINE = "Baseline"
LEVEL, CHANGE = "level", "change"
METHOD = (
    "maximum likelihood, log2 normal between subjects, every result as the interval that it stands for; "
    "profile-likelihood limits"
)
_GROUP = ["infusion", "matrix", "analyte", "assay", "course_unit"]


@dataclass(frozen=True, slots=True)
class _Seen:
    """One visit of n courses: position of the result of each (-1), and why a subject does not enter."""

    visit: str
    day: float
    """Nominal day; nan for the baseline."""
    position: Integers
    left_out: Texts


def estimate_means(
    measurements: pd.DataFrame,
    infusions: pd.DataFrame | None,
    subjects: pd.DataFrame,
    settings: Antibody,
    visits: Sequence[Visit] = (),
    *,
    by_cohort: bool = True,
) -> pd.DataFrame:
    """Estimate the mean level and change of each antibody at each visit.

    Parameters
    ----------
    measurements, infusions, subjects
        Tables in the contracts of ``cartrace.tables``; without infusions the baseline is the last
        result before the infusion.
    settings
        Section ``antibody`` of the configuration.
    visits
        Nominal visits; those after day 0 count. Without any the landmarks of ``settings`` count.
    by_cohort
        Also each cohort of the subjects sheet on its own?

    Returns
    -------
    pandas.DataFrame
        In the contract of ``cartrace.tables.ANTIBODY_MEANS``: the level at the baseline, level and
        change at every visit at which somebody has a result. Of each subject the result nearest to
        the visit, within its window, counts. Subjects who were negative at baseline don't enter.
    """
    if not settings.means.enabled:
        return rows([], ANTIBODY_MEANS)
    readings = read_courses(measurements, infusions, settings)
    planned: list[Landmark | Visit] = [v for v in visits if v.day > 0] or [*settings.landmarks]
    seen = [_baseline(readings), *(_at(readings, mark) for mark in sorted(planned, key=lambda m: m.day))]
    groups = list(cohorts(subjects, by_cohort=by_cohort))
    records: list[dict[str, object]] = []
    for key, course in readings.keys.groupby(_GROUP, sort=True):
        kind = dict(zip(_GROUP, key, strict=True))
        for cohort, members in groups:
            # Subjects of measurements without a line in the sheet count among all.
            mine = course if cohort == ALL else course[course["subject_id"].isin(members)]
            at = mine.index.to_numpy(dtype=np.int64)
            for visit in seen:
                records += [{"cohort": cohort, **kind, **row} for row in _rows(readings, at, visit, settings)]
    return rows(records, ANTIBODY_MEANS)


def _baseline(readings: Readings) -> _Seen:
    return _Seen(
        BASELINE, float("nan"), readings.baseline, _reasons(readings, readings.baseline, NO_BASELINE)
    )


def _at(readings: Readings, mark: Landmark | Visit) -> _Seen:
    position, _ = nearest_result(readings, mark)
    return _Seen(mark.name, mark.day, position, _reasons(readings, position, "no result in the window"))


def _reasons(readings: Readings, position: Integers, missing: str) -> Texts:
    out = np.full(len(readings), None, dtype=object)
    out[position < 0] = missing
    negative = readings.negative[np.arange(len(readings)), readings.baseline]
    out[(readings.baseline >= 0) & negative] = AT_BASELINE
    return out


def _rows(readings: Readings, at: Integers, seen: _Seen, settings: Antibody) -> Iterator[dict[str, object]]:
    """Give the level, and after the baseline the change, of the courses ``at`` at one visit."""
    if not (seen.position[at] >= 0).any():
        return
    common = {
        "visit": seen.visit,
        "day": float(np.nanmedian(_picked(readings.time, at, seen.position)))
        if np.isnan(seen.day)
        else seen.day,
    }
    floor = _smallest_sd(readings, at, settings)
    now, why = _known(readings, at, seen.position), seen.left_out[at].copy()
    yield {**common, "quantity": LEVEL, **_mean(now, why, floor, settings.means)}
    if seen.visit == BASELINE:
        return
    base = _known(readings, at, readings.baseline)
    with np.errstate(invalid="ignore"):
        lower, upper = differences((base.lower, base.upper), (now.lower, now.upper))
    change = _Known(lower, upper, now.end - base.end, now.below, now.above)
    entered = _enters(why)
    why[entered & (readings.baseline[at] < 0)] = NO_BASELINE
    # Above the range before and after, or without a known limit: any change fits.
    blank = ~(np.isfinite(lower) | np.isfinite(upper)).any(axis=1)
    why[_enters(why) & blank] = "beyond a limit before and after"
    yield {**common, "quantity": CHANGE, **_mean(change, why, floor * np.sqrt(2), settings.means)}


def _smallest_sd(readings: Readings, at: Integers, settings: Antibody) -> float:
    """Return in log2 the step of a titre, or the scatter of another assay: subjects can't be told apart better."""
    half, step = settings.half_life, float(readings.step[at].max())
    if step > 1:
        return float(half.min_sd_steps * np.log2(step))
    return float(np.sqrt(np.log1p((half.min_cv_percent / 100) ** 2)) / np.log(2))


@dataclass(frozen=True, slots=True)
class _Known:
    """log2 of what is known of n subjects: bounds (n,) or (n, k), end points as they are usually averaged."""

    lower: Floats
    upper: Floats
    end: Floats
    below: Bools
    above: Bools


def _picked(values: Floats, at: Integers, position: Integers) -> Floats:
    return np.where(position[at] >= 0, values[at, position[at]], np.nan)


def _known(readings: Readings, at: Integers, position: Integers) -> _Known:
    lower, upper, value = (
        _picked(values, at, position) for values in (readings.lower, readings.upper, readings.value)
    )
    step = readings.step[at]
    bound = np.where(np.isfinite(upper), upper / np.where(step > 1, step, 2.0), lower)
    end = np.where(np.isnan(value), bound, value)
    known = ~np.isnan(value)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _Known(
            np.log2(lower),
            np.log2(upper),
            np.log2(end),
            ~known & np.isfinite(upper),
            ~known & np.isposinf(upper) & (lower > 0),
        )


def _enters(why: Texts) -> Bools:
    """(n,) where nothing keeps a subject out."""
    return np.asarray(pd.isna(why))


def _mean(known: _Known, why: Texts, smallest_sd: float, settings: AntibodyMeans) -> dict[str, object]:
    entered = _enters(why)
    reasons = Counter(str(w) for w in why[~entered])
    n, min_n = int(entered.sum()), settings.min_n
    lower, upper = known.lower[entered], known.upper[entered]
    # Of a change (n, k): open at one place of the baseline's interval is open at all.
    below, above = (
        int(np.atleast_2d(b.T).any(axis=0).sum()) for b in (np.isneginf(lower), np.isposinf(upper))
    )
    most = max(below, above)
    if n < min_n:
        mean = no_mean(f"{n} subject{'' if n == 1 else 's'}, fewer than {min_n}")
    elif most < n and 100 * most > settings.max_beyond_percent * n:
        side = "below a limit" if below == most else "above the range"
        mean = no_mean(f"{most} of {n} results lie {side}, more than {settings.max_beyond_percent:g} %")
    else:
        mean = normal_mean(lower, upper, smallest_sd)
    end = known.end[entered]
    # Where most of it would be made up of limits, the usual mean is no number either.
    usual = not mean.problem and bool(np.isfinite(end).all())
    return {
        "n": n,
        "n_below": int(known.below[entered].sum()),
        "n_above": int(known.above[entered].sum()),
        "left_out": "; ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or None,
        "mean_log2": mean.value,
        "lower_log2": mean.lower,
        "upper_log2": mean.upper,
        "sd_log2": mean.sd,
        "geometric_mean": 2**mean.value,
        "geometric_lower": 2**mean.lower,
        "geometric_upper": 2**mean.upper,
        "end_point_mean": 2 ** float(end.mean()) if usual else None,
        "status": "not_estimable" if mean.problem else "estimated",
        "reason": mean.problem or None,
        "method": METHOD,
    }
