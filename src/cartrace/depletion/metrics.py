"""Depletion metrics of all courses: how deep, from when, how long, and what came back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cartrace.depletion.episodes import Episodes, find_episodes
from cartrace.kinetics.profiles import NO_RESULT
from cartrace.kinetics.rows import INTERVAL, LEFT, RIGHT, Result, given, texts
from cartrace.metrics import Metric, register

if TYPE_CHECKING:
    from cartrace.config import Depletion, Landmark
    from cartrace.depletion.definition import Definition, Level
    from cartrace.depletion.series import Bools, Floats, Series
    from cartrace.kinetics.rows import Texts

_HOUSE = "House definition: the sampling days make it an interval."
_ANCHOR = "Reported so for humoral reconstitution after anti-BCMA CAR-T (Blood Adv 2021;5(23):5290)."

for _metric in (
    Metric(
        name="baseline",
        label="Baseline",
        unit="course",
        definition="Last result on or before the first day of lymphodepletion, else the last one up to the day of "
        "infusion.",
        source="DESIGN; a clock with day 0 = infusion and lymphodepletion from day -4 (Qin 2023, STTT 8:5).",
        group="depletion",
    ),
    Metric(
        name="nadir",
        label="Nadir",
        unit="course",
        definition="Lowest result after the day of infusion; between bounds when a result below a limit can be it.",
        source=_ANCHOR,
        group="depletion",
    ),
    Metric(
        name="nadir_day",
        label="Day of nadir",
        unit="day",
        definition="Day of the lowest result, the first of equals; an interval when several results can be the lowest.",
        source=_ANCHOR,
        group="depletion",
    ),
    Metric(
        name="log10_fall",
        label="Fall (log10)",
        unit="log10",
        definition="log10(baseline / nadir); a lower bound when the nadir lies below a limit.",
        source="House definition.",
        group="depletion",
    ),
    Metric(
        name="percent_fall",
        label="Fall (%)",
        unit="%",
        definition="100 (1 - nadir / baseline).",
        source="House definition.",
        group="depletion",
    ),
    Metric(
        name="time_to_depletion",
        label="Time to depletion",
        unit="day",
        definition="Days from the infusion to the start of the first depletion episode, between the last result that "
        "was not depleted and the first that was; before the infusion counts as 0.",
        source=_HOUSE,
        group="depletion",
        event=True,
    ),
    Metric(
        name="n_depletion_episodes",
        label="Depletion episodes",
        unit="none",
        definition="Number of depletion episodes that last beyond the day of infusion.",
        source="House definition.",
        group="depletion",
    ),
    Metric(
        name="depletion_duration",
        label="Duration of depletion",
        unit="day",
        definition="Length of the first depletion episode: at least from its first depleted to its last depleted "
        "result, at most from the last result before it to the first confirmed one after it; right-censored while open.",
        source=_ANCHOR,
        group="depletion",
        event=True,
    ),
    Metric(
        name="time_to_reconstitution_threshold",
        label="Time to end of depletion",
        unit="day",
        definition="Days from the infusion to the confirmed end of the first depletion episode.",
        source="House definition; the threshold is that of depletion.",
        group="depletion",
        event=True,
    ),
    Metric(
        name="time_to_reconstitution_baseline",
        label="Time back to baseline",
        unit="day",
        definition="Days from the infusion to the first confirmed return, after depletion, to the configured fraction "
        "of the baseline.",
        source=_ANCHOR,
        group="depletion",
        event=True,
    ),
    Metric(
        name="time_to_reconstitution_normal",
        label="Time to normal",
        unit="day",
        definition="Days from the infusion to the first confirmed result, after depletion, at or above the lower limit "
        "of normal.",
        source=_ANCHOR,
        group="depletion",
        event=True,
    ),
    Metric(
        name="depleted_at_{landmark}",
        label="Depleted at {landmark}",
        unit="none",
        definition="1 when the decided result nearest to the landmark, within its window, is depleted, else 0; not "
        "assessable without such a result.",
        source="House definition, as persistent_at_{landmark}.",
        group="depletion",
        share=True,
    ),
):
    register(_metric)

ALREADY = "already depleted at the baseline"
NEVER = "never depleted"
UNBOUNDED = "baseline and nadir both lie beyond a limit of the assay, so that the fall has no bound"


@dataclass(frozen=True, slots=True)
class Course:
    """Everything that the metrics of n courses rest on."""

    series: Series
    definition: Definition
    episodes: Episodes
    settings: Depletion

    @property
    def decided(self) -> Bools:
        """(n, m) results after the infusion that are certainly depleted, or certainly not."""
        return np.asarray(self.series.after & ~self.definition.threshold.undecided)

    @property
    def undecided(self) -> Bools:
        """(n, m) results after the infusion whose bounds lie on both sides of the threshold."""
        known = np.array([reason is None for reason in self.definition.missing], dtype=bool)
        return np.asarray(self.series.after & self.definition.threshold.undecided & known[:, None])


def find_depletion(series: Series, definition: Definition, settings: Depletion) -> Episodes:
    """Return the episodes below the threshold that last beyond the day of infusion."""
    level = definition.threshold
    found = find_episodes(
        series.time,
        series.used & level.low,
        series.used & level.high,
        settings.confirm_onset,
        settings.confirm_end,
    )
    # An undecided result doesn't tell that the depletion lasted.
    seen = series.after & ~level.undecided
    seen_after = np.isin(found.course, np.flatnonzero(seen.any(axis=1)))
    return found.take(seen_after & ~(found.end_upper <= 0))


def results(course: Course) -> list[Result]:
    """Return the depletion metrics of all courses, as arrays."""
    series = course.series
    nadir = _nadir_bounds(series)
    depth = [
        _baseline(series),
        _nadir(series, *nadir),
        _nadir_day(series, nadir[1]),
        _log10_fall(series, *nadir),
        _percent_fall(series, *nadir),
    ]
    states = [
        _time_to_depletion(course),
        _n_episodes(course),
        _duration(course),
        _to_threshold(course),
        _to_baseline(course),
        _to_normal(course),
        *(_landmark(course, mark) for mark in course.settings.landmarks),
    ]
    undecided = course.undecided.sum(axis=1).astype(float)
    for result in states:
        words = texts(undecided > 0, "%d undecided: bounds on both sides of the threshold", undecided)
        _append(result.reason, words)
    masked = _masked(course)
    for result in (*depth, *states):
        _append(result.reason, masked)
    return [*depth, *states]


def _append(reason: Texts, words: Texts) -> None:
    """Append ``words`` to ``reason`` where there are any, as detail after a semicolon."""
    for i in np.flatnonzero(given(words)):
        reason[i] = f"{reason[i]}; {words[i]}" if reason[i] else words[i]


def _masked(course: Course) -> Texts:
    """(n,) how many results were left out after which events; None where none was."""
    count = course.series.masked.sum(axis=1)
    out = np.full(len(count), None, dtype=object)
    for i in np.flatnonzero(count):
        analyte = course.series.keys["analyte"].iloc[i]
        kinds = sorted({rule.kind for rule in course.settings.masks if analyte in rule.analytes})
        out[i] = f"{count[i]} masked after {' or '.join(kinds)}"
    return out


def _points(series: Series) -> Floats:
    return series.after.sum(axis=1).astype(float)


def _bounded(result: Result, lower: Floats, upper: Floats, remark: str | Texts) -> Result:
    """Give a result its bounds: a value where they meet, else the side that is open."""
    exact = lower == upper
    result.value[:] = np.where(exact & ~result.refused, lower, np.nan)
    no_lower, no_upper = ~exact & ~np.isfinite(lower), ~exact & ~np.isfinite(upper)
    result.refuse(no_lower & no_upper, UNBOUNDED)
    result.censor(no_lower, LEFT, remark, upper=upper)
    result.censor(no_upper, RIGHT, remark, lower=lower)
    result.censor(~exact & ~no_lower & ~no_upper, INTERVAL, remark, lower=lower, upper=upper)
    return result


def _level_result(
    name: str, lower: Floats, upper: Floats, remark: str, **columns: Floats | Texts | str
) -> Result:
    """Return a level: from 0 up to a bound is left-censored."""
    result = Result(name, np.full(len(lower), np.nan), **columns)  # type: ignore[arg-type]
    result.refuse((lower <= 0) & np.isinf(upper), "only results below a limit that is not known")
    _bounded(result, lower, upper, remark)
    below = (result.status == INTERVAL) & (lower <= 0)
    result.status[below] = LEFT
    return result


def _baseline(series: Series) -> Result:
    day = series.at_baseline(series.time)
    known = ~np.isnan(series.lymphodepletion)
    method = np.where(
        ~known,
        "last result up to the infusion; day of lymphodepletion not known",
        np.where(
            day > series.lymphodepletion,
            "last result up to the infusion; lymphodepletion had begun",
            "last result up to lymphodepletion",
        ),
    ).astype(object)
    method[series.carried] += "; measured after the previous infusion"
    lower, upper = series.at_baseline(series.lower), series.at_baseline(series.upper)
    held = np.nan_to_num(lower), np.where(np.isnan(upper), 0.0, upper)
    return _level_result(
        "baseline",
        *held,
        "the baseline lies beyond a limit of the assay",
        method=method,
        n_points=series.has_baseline.astype(float),
        window_start=day,
        window_end=day,
    ).refuse(~series.has_baseline, "no result up to the infusion")


def _nadir_bounds(series: Series) -> tuple[Floats, Floats]:
    """(n,) what the lowest result can be at least and at most; nan without a result."""
    empty = ~series.after.any(axis=1)
    lower = np.where(series.after, series.lower, np.inf).min(axis=1)
    upper = np.where(series.after, series.upper, np.inf).min(axis=1)
    return np.where(empty, np.nan, lower), np.where(empty, np.nan, upper)


def _nadir(series: Series, lower: Floats, upper: Floats) -> Result:
    empty = np.isnan(lower)
    return _level_result(
        "nadir",
        np.nan_to_num(lower),
        np.where(empty, 0.0, upper),
        "the lowest result can be one beyond a limit of the assay",
        method="lowest result after the day of infusion",
        n_points=_points(series),
        window_start=np.where(empty, np.nan, np.where(series.after, series.time, np.inf).min(axis=1)),
        window_end=np.where(empty, np.nan, np.where(series.after, series.time, -np.inf).max(axis=1)),
    ).refuse(empty, NO_RESULT)


def _nadir_day(series: Series, upper: Floats) -> Result:
    # A result can be the lowest when its lower bound does not exceed any upper bound.
    candidate = series.after & (series.lower <= upper[:, None])
    count = candidate.sum(axis=1)
    first = np.where(candidate, series.time, np.inf).min(axis=1)
    last = np.where(candidate, series.time, -np.inf).max(axis=1)

    def spread(values: Floats) -> Bools:
        low = np.where(candidate, values, np.inf).min(axis=1)
        return np.asarray(np.where(candidate, values, -np.inf).max(axis=1) > low)

    differ = (count > 1) & (spread(series.lower) | spread(series.upper))
    result = Result(
        "nadir_day",
        np.where(count > 0, first, np.nan),
        method="first day of the lowest result",
        n_points=_points(series),
    ).refuse(count == 0, NO_RESULT)
    result.remark((count > 1) & ~differ, texts(count > 1, "first of %d equal results", count.astype(float)))
    result.value[differ] = np.nan
    words = texts(differ, "%d results can be the lowest", count.astype(float))
    return result.censor(differ, INTERVAL, words, lower=first, upper=last)


def _log10_fall(series: Series, nadir_lower: Floats, nadir_upper: Floats) -> Result:
    base_lower, base_upper = series.at_baseline(series.lower), series.at_baseline(series.upper)
    # A quantified 0 says: below the limit, wherever that is.
    zero = nadir_upper <= 0
    limit = np.where(series.after & (series.upper <= 0), series.limit, np.nan)
    seen = ~np.isnan(limit)
    smallest = np.where(seen.any(axis=1), np.where(seen, limit, np.inf).min(axis=1), np.nan)
    floor = np.where(zero, smallest, nadir_upper)
    with np.errstate(divide="ignore", invalid="ignore"):
        lower = np.log10(base_lower) - np.log10(floor)
        upper = np.log10(base_upper) - np.log10(nadir_lower)
    result = Result(
        "log10_fall",
        np.full(len(series), np.nan),
        method="log10(baseline / nadir)",
        n_points=_points(series),
    )
    _refuse_fall(result, series, nadir_lower)
    result.refuse(base_upper <= 0, "the baseline is 0")
    result.refuse(zero & np.isnan(floor), "the nadir is 0, and no limit of the assay is known")
    held = ~result.refused
    return _bounded(
        result,
        np.where(held, lower, 0.0),
        np.where(held, upper, 0.0),
        "the baseline or the nadir is known between bounds only",
    )


def _percent_fall(series: Series, nadir_lower: Floats, nadir_upper: Floats) -> Result:
    base_lower, base_upper = series.at_baseline(series.lower), series.at_baseline(series.upper)
    with np.errstate(divide="ignore", invalid="ignore"):
        lower = 100 * (1 - nadir_upper / base_lower)
        upper = 100 * (1 - nadir_lower / base_upper)
    result = Result(
        "percent_fall",
        np.full(len(series), np.nan),
        method="100 (1 - nadir / baseline)",
        n_points=_points(series),
    )
    _refuse_fall(result, series, nadir_lower)
    result.refuse(base_upper <= 0, "the baseline is 0")
    # Everything falls by 100 % at most: that alone says nothing.
    result.refuse(~np.isfinite(lower) & ~(upper < 100), UNBOUNDED)
    held = ~result.refused
    return _bounded(
        result,
        np.where(held, np.nan_to_num(lower, nan=-np.inf, neginf=-np.inf), 0.0),
        np.where(held, np.nan_to_num(upper, nan=np.inf, posinf=np.inf), 0.0),
        "the baseline or the nadir is known between bounds only",
    )


def _refuse_fall(result: Result, series: Series, nadir_lower: Floats) -> None:
    result.refuse(np.isnan(nadir_lower), NO_RESULT)
    result.refuse(~series.has_baseline, "no result up to the infusion")


def _state_result(course: Course, name: str) -> Result:
    """Begin a metric that rests on the threshold: refuse where no state is known."""
    series = course.series
    result = Result(
        name,
        np.full(len(series), np.nan),
        method=course.definition.text,
        n_points=course.decided.sum(axis=1).astype(float),
    )
    result.refuse(~series.after.any(axis=1), NO_RESULT)
    result.refuse(given(course.definition.missing), course.definition.missing)
    return result.refuse(~course.decided.any(axis=1), "the state is unknown after the infusion")


def _first(course: Course) -> tuple[Bools, dict[str, Floats]]:
    """(n,) where there is an episode, and the bounds of the first one (nan elsewhere)."""
    at = course.episodes.first_of(len(course.series))
    exists = at >= 0

    def bound(values: Floats) -> Floats:
        out = np.full(len(at), np.nan)
        out[exists] = values[at[exists]]
        return out

    names = ("start_lower", "start_upper", "end_lower", "end_upper")
    return exists, {name: bound(getattr(course.episodes, name)) for name in names}


def _already(course: Course, start_lower: Floats, exists: Bools) -> Bools:
    """(n,) where the first episode begins with a depleted baseline."""
    low = course.series.at_baseline(course.definition.threshold.low) > 0
    return np.asarray(exists & np.isnan(start_lower) & low)


def _already_reason(series: Series) -> Texts:
    return texts(series.has_baseline, ALREADY + ", day %g", series.at_baseline(series.time))


def _time_to_depletion(course: Course) -> Result:
    exists, first = _first(course)
    start, until = first["start_lower"], first["start_upper"]
    result = _state_result(course, "time_to_depletion")
    result.window_start, result.window_end = start, until
    result.refuse(_already(course, start, exists), _already_reason(course.series))

    never = ~exists
    last_high = np.fmax(course.episodes.last_high, 0.0)
    pending = never & ~np.isnan(course.episodes.pending)
    result.censor(
        never & ~pending, RIGHT, texts(never, "not depleted up to day %g", last_high), lower=last_high
    )
    waiting = texts(
        pending, "not confirmed: depleted from day %g, but too few results follow", course.episodes.pending
    )
    result.censor(pending, RIGHT, waiting, lower=np.nan_to_num(last_high))

    unknown = exists & np.isnan(start)
    result.censor(
        unknown,
        LEFT,
        texts(unknown, "depleted from the first result on, day %g; not known before", until),
        upper=np.fmax(until, 0.0),
    )
    before = exists & ~unknown & (until <= 0)
    result.censor(
        before,
        LEFT,
        texts(before, "depleted before the infusion, between day %g and day %g", start, until),
        upper=np.zeros(len(until)),
    )
    between = exists & ~unknown & ~before
    return result.censor(
        between,
        INTERVAL,
        texts(between, "depleted between day %g and day %g", start, until),
        lower=np.fmax(start, 0.0),
        upper=until,
    )


def _n_episodes(course: Course) -> Result:
    count = course.episodes.counts(len(course.series)).astype(float)
    result = _state_result(course, "n_depletion_episodes")
    result.value[:] = np.where(result.refused, np.nan, count)
    # Where a result is undecided, none found is not none.
    open_ = (count == 0) & course.undecided.any(axis=1)
    result.value[open_] = np.nan
    return result.censor(open_, RIGHT, "none for certain", lower=np.zeros(len(count)))


def _duration(course: Course) -> Result:
    exists, first = _first(course)
    result = _state_result(course, "depletion_duration").refuse(~exists, _never(course))
    result.window_start, result.window_end = first["start_lower"], first["end_upper"]
    start = first["start_lower"]
    result.refuse(_already(course, start, exists), _already_reason(course.series))
    shortest = first["end_lower"] - first["start_upper"]
    longest = first["end_upper"] - start
    is_open = exists & np.isnan(first["end_upper"])
    last = np.where(is_open, first["end_lower"], np.nan)
    reason = _open_reason(course, last, course.episodes.pending, "depleted")
    result.censor(is_open, RIGHT, reason, lower=shortest)
    unknown = exists & ~is_open & np.isnan(start)
    result.censor(unknown, RIGHT, "the start is not known: depleted from the first result on", lower=shortest)
    closed = exists & ~is_open & ~unknown
    reason = texts(closed, "ended between day %g and day %g", first["end_lower"], first["end_upper"])
    return result.censor(closed, INTERVAL, _again(course, reason), lower=shortest, upper=longest)


def _never(course: Course) -> Texts:
    """(n,) why there is no episode."""
    reason = np.full(len(course.series), NEVER, dtype=object)
    waiting = ~np.isnan(course.episodes.pending)
    reason[waiting] = "depletion not confirmed"
    reason[~waiting & course.undecided.any(axis=1)] = "never depleted for certain"
    return reason


def _open_reason(course: Course, since: Floats, pending: Floats, still: str) -> Texts:
    """(n,) why no end was seen; ``since`` is the last day below the level, nan where that isn't the case."""
    there = ~np.isnan(since)
    reason = texts(there, f"still {still} at the last result, day %g", since)
    waiting = there & ~np.isnan(pending)
    words = texts(waiting, f"not confirmed: no longer {still} on day %g, but too few results follow", pending)
    reason[waiting] = words[waiting]
    following = course.series.next_infusion
    _append(reason, texts(there & ~np.isnan(following), "the next infusion came on day %g", following))
    return reason


def _again(course: Course, reason: Texts) -> Texts:
    """Say where a later episode follows."""
    more = course.episodes.counts(len(course.series)) > 1
    words = np.full(len(reason), None, dtype=object)
    words[more & given(reason)] = "depleted again later"
    _append(reason, words)
    return reason


def _to_threshold(course: Course) -> Result:
    exists, first = _first(course)
    result = _state_result(course, "time_to_reconstitution_threshold").refuse(~exists, _never(course))
    return _returned(result, course, first, course.episodes, "depleted")


def _to_baseline(course: Course) -> Result:
    fraction = course.settings.baseline_fraction
    exists, first = _first(course)
    result = _state_result(course, "time_to_reconstitution_baseline")
    result.method = course.definition.text + f"; back to {fraction:g} of the baseline"
    result.refuse(~course.series.has_baseline, "no baseline to return to")
    result.refuse(course.series.at_baseline(course.series.upper) <= 0, "the baseline is 0")
    result.refuse(~exists, _never(course))
    result.refuse(_already(course, first["start_lower"], exists), _already_reason(course.series))
    return _back_to(course, result, course.definition.baseline, "the level of the baseline")


def _to_normal(course: Course) -> Result:
    normal = course.definition.normal
    exists, _ = _first(course)
    result = _state_result(course, "time_to_reconstitution_normal")
    result.refuse(np.isnan(normal.lower), "no lower limit of normal is configured for this analyte and unit")
    result.method = np.array(
        [
            text if np.isnan(line) else f"{text}; at or above {line:g}"
            for text, line in zip(course.definition.text, normal.lower, strict=True)
        ],
        dtype=object,
    )
    result.refuse(~exists, _never(course))
    _back_to(course, result, normal, "the lower limit of normal")
    low_before = course.series.at_baseline(normal.low) > 0
    words = np.full(len(course.series), None, dtype=object)
    words[low_before & ~result.refused] = "below it at the baseline already"
    _append(result.reason, words)
    return result


def _back_to(course: Course, result: Result, level: Level, name: str) -> Result:
    """Fill in the first confirmed return to a level after the first depletion began."""
    series = course.series
    _, first = _first(course)
    since = series.used & (series.time >= first["start_upper"][:, None])
    walk = find_episodes(series.time, since & level.low, since & level.high, 1, course.settings.confirm_end)
    at = walk.first_of(len(series))
    found = at >= 0
    unknown = since & level.undecided
    result.refuse(~found & unknown.any(axis=1), f"not known to have been below {name}")
    result.refuse(~found, f"never below {name}")
    bounds = {name: np.full(len(series), np.nan) for name in ("end_lower", "end_upper")}
    for key, out in bounds.items():
        out[found] = getattr(walk, key)[at[found]]
    return _returned(result, course, bounds, walk, f"below {name}")


def _returned(
    result: Result, course: Course, bounds: dict[str, Floats], walk: Episodes, still: str
) -> Result:
    """Censor the day of a return by the days of the samples around it."""
    low, high = bounds["end_lower"], bounds["end_upper"]
    result.window_start, result.window_end = low, high
    there = ~np.isnan(low)
    is_open, closed = there & np.isnan(high), there & ~np.isnan(high)
    reason = _open_reason(course, np.where(is_open, low, np.nan), walk.pending, still)
    result.censor(is_open, RIGHT, reason, lower=np.fmax(low, 0.0))
    ended = _again(course, texts(closed, "between day %g and day %g", low, high))
    return result.censor(closed, INTERVAL, ended, lower=np.fmax(low, 0.0), upper=high)


def _landmark(course: Course, mark: Landmark) -> Result:
    series, low = course.series, course.definition.threshold.low
    row = np.arange(len(series))
    with np.errstate(invalid="ignore"):
        near = np.abs(series.time - mark.day) <= mark.window
    distance = np.where(course.decided, np.abs(series.time - mark.day), np.inf)
    nearest = distance.argmin(axis=1)
    found = distance[row, nearest] <= mark.window
    day = np.where(found, series.time[row, nearest], np.nan)
    window = f"not assessable: no result within day {mark.day:g} +/- {mark.window:g}"
    reason = np.full(len(series), window, dtype=object)
    reason[(near & course.undecided).any(axis=1)] = (
        f"not assessable: every result within day {mark.day:g} +/- {mark.window:g} is undecided"
    )
    reason[(near & series.masked).any(axis=1) & ~(near & course.undecided).any(axis=1)] = (
        f"not assessable: every result within day {mark.day:g} +/- {mark.window:g} is masked"
    )
    result = _state_result(course, f"depleted_at_{mark.name}")
    result.value[:] = np.where(result.refused, np.nan, low[row, nearest].astype(float))
    result.n_points = np.where(found, 1.0, 0.0)
    result.window_start = result.window_end = day
    # A method of one text for each course names the definition; the window is the same for all.
    result.method = (
        course.definition.text + f"; nearest result to day {mark.day:g} within {mark.window:g} days"
    )
    return result.refuse(~found, reason)
