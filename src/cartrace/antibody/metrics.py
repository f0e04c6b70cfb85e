"""Antibody metrics of all courses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cartrace.antibody.likelihood import fit_lines
from cartrace.kinetics.profiles import NO_RESULT
from cartrace.kinetics.rows import INTERVAL, LEFT, RIGHT, Result, given, texts
from cartrace.metrics import Metric, register

if TYPE_CHECKING:
    from cartrace.antibody.titres import Bools, Floats, Integers, Readings
    from cartrace.config import Antibody, AntibodyHalfLife, Landmark, Visit
    from cartrace.kinetics.rows import Texts

READ_OUT = (
    "An antibody titre is a pharmacodynamic read-out, not a predictor of relapse: AQP4-IgG titres measured every 6 to "
    "12 months in 45 people neither followed disease activity nor predicted relapses (Akaishi 2020, J Neurol Sci, "
    "article 116671)."
)
"""What every page that shows a titre has to say."""

HOUSE = "House definition: results are intervals, and samples are days apart."
TITRATION = (
    "Serological convention: two two-fold dilution steps; intervals as in Peto 1973 (Appl Stat 22:86)."
)

for _metric in (
    Metric(
        name="antibody_baseline",
        label="Antibody, baseline",
        unit="course",
        definition="Last result up to the first day of lymphodepletion, else the last one before the infusion; a titre "
        "with the interval of its dilution step.",
        source="As for depletion.",
        group="antibody",
    ),
    Metric(
        name="antibody_nadir",
        label="Antibody, nadir",
        unit="course",
        definition="Lowest result after infusion; left-censored when it is below a limit.",
        source=HOUSE,
        group="antibody",
    ),
    Metric(
        name="antibody_nadir_day",
        label="Antibody, day of nadir",
        unit="day",
        definition="Day of the lowest result, the first of equal ones; an interval when several are below a limit.",
        source=HOUSE,
        group="antibody",
    ),
    Metric(
        name="log2_fall",
        label="Fall (log2)",
        unit="log2",
        definition="log2 of baseline over nadir, the number of two-fold dilution steps; lower and upper by interval "
        "arithmetic.",
        source=HOUSE,
        group="antibody",
    ),
    Metric(
        name="log2_fall_at_{landmark}",
        label="Fall (log2) at {landmark}",
        unit="log2",
        definition="log2 of baseline over the result nearest to the landmark, within its window.",
        source=HOUSE,
        group="antibody",
    ),
    Metric(
        name="time_to_fourfold_fall",
        label="Time to four-fold fall",
        unit="day",
        definition="Time from infusion to a result that is certainly four-fold (antibody.fold) below the baseline, end "
        "point against end point, between the last result that is certainly not and the first that certainly is.",
        source=TITRATION,
        group="antibody",
        event=True,
    ),
    Metric(
        name="time_to_seronegative",
        label="Time to seronegative",
        unit="day",
        definition="Time to the first run of antibody.confirm_negative consecutive negative results with the same "
        "starting dilution, between the last positive result and the first of the run.",
        source=HOUSE,
        group="antibody",
        event=True,
    ),
    Metric(
        name="seronegative_at_{landmark}",
        label="Seronegative at {landmark}",
        unit="none",
        definition="1 when the result nearest to the landmark, within its window, is negative, else 0; not assessable "
        "without a result in the window, and where another starting dilution than that of the baseline (or first "
        "result) leaves it open.",
        source=HOUSE,
        group="antibody",
        share=True,
    ),
    Metric(
        name="time_to_seropositive_again",
        label="Time to positive again",
        unit="day",
        definition="Time from infusion to the first of antibody.confirm_positive consecutive positive results after a "
        "confirmed seronegativity, between the last negative result before it and itself; a positive result below "
        "the starting dilution of the negative ones is none.",
        source=HOUSE,
        group="antibody",
        event=True,
    ),
    Metric(
        name="time_to_fourfold_rise",
        label="Time to four-fold rise",
        unit="day",
        definition="Time from infusion to a result that is certainly four-fold (antibody.fold) above the lowest earlier "
        "result after infusion, end point against end point; a negative titre counts as one step below its starting "
        "dilution, a negative result in other units as its limit.",
        source=TITRATION,
        group="antibody",
        event=True,
    ),
    Metric(
        name="antibody_half_life",
        label="Antibody half-life",
        unit="day",
        definition="ln 2 over the rate of decline up to seronegativity, by maximum likelihood with every result as the "
        "interval that it stands for; lower and upper are 95 % limits.",
        source="Interval-censored regression (Burridge 1981, J R Stat Soc B 43:41).",
        group="antibody",
    ),
):
    register(_metric)

NO_BASELINE = "no result before the infusion"
SAME = 1.01
"""Quotient up to which two starting dilutions are one."""
AT_BASELINE = "negative at baseline"


@dataclass(frozen=True, slots=True)
class _Fate:
    """Where each course stands; arrays of length n, positions -1 where there is none."""

    any_after: Bools
    has_baseline: Bools
    negative_before: Bools
    nadir: Integers
    run: Integers
    """Position of the first result of the first confirmed run of negative ones."""


def results(readings: Readings, settings: Antibody) -> list[Result]:
    """Return the antibody metrics of all courses, as arrays."""
    fate = _fate(readings, settings)
    return [
        _baseline(readings, fate),
        *_nadir(readings, fate),
        _fall(readings, fate, fate.nadir, "log2_fall", "baseline over nadir").refuse(
            ~fate.any_after, NO_RESULT
        ),
        *(_fall_at(readings, fate, mark) for mark in settings.landmarks),
        _fold_time(readings, fate, settings),
        _seronegative_time(readings, fate, settings),
        *(_seronegative_at(readings, fate, mark) for mark in settings.landmarks),
        _positive_again(readings, fate, settings),
        _rise_time(readings, fate, settings),
        _half_life(readings, fate, settings.half_life),
    ]


def _fate(readings: Readings, settings: Antibody) -> _Fate:
    after = readings.after
    any_after = after.any(axis=1)
    has = readings.baseline >= 0
    upper = np.where(after, readings.upper, np.inf)
    lower = np.where(after, readings.lower, np.inf)
    # Lowest by its upper bound, then by its lower one; the first of equals.
    least = upper.min(axis=1, initial=np.inf)
    tied = after & (upper == least[:, None])
    lowest = np.where(tied, lower, np.inf)
    nadir = (tied & (lowest == lowest.min(axis=1, initial=np.inf)[:, None])).argmax(axis=1)
    return _Fate(
        any_after=any_after,
        has_baseline=has,
        negative_before=has & _at(readings.negative, readings.baseline),
        nadir=np.where(any_after, nadir, -1),
        run=first_confirmed_run(readings, settings.confirm_negative),
    )


def first_confirmed_run(readings: Readings, confirm: int, *, same_start: bool = True) -> Integers:
    """Return the position (n,) of the first of ``confirm`` consecutive negative results after infusion.

    They must have the same starting dilution, unless ``same_start`` is False: a negative result
    at 1:40 does not confirm one at 1:10. -1 where there is no such run.
    """
    negative = readings.after & readings.negative
    n, width = negative.shape
    same = np.zeros((n, width), dtype=bool)
    now, before = readings.limit[:, 1:], readings.limit[:, :-1]
    same[:, 1:] = (now == before) | (np.isnan(now) & np.isnan(before)) | (not same_start)
    start = np.zeros((n, width), dtype=bool)
    for first in range(width - confirm + 1):
        good = negative[:, first].copy()
        for j in range(first + 1, first + confirm):
            good &= negative[:, j] & same[:, j]
        start[:, first] = good
    return np.where(start.any(axis=1), start.argmax(axis=1), -1)


def _at(values: Bools, position: Integers) -> Bools:
    return np.asarray(values[np.arange(len(position)), position])


def _pick(values: Floats, position: Integers) -> Floats:
    return np.where(position >= 0, values[np.arange(len(position)), position], np.nan)


def _count(readings: Readings) -> Floats:
    return np.asarray(readings.after.sum(axis=1).astype(float))


def _method(readings: Readings, text: str) -> Texts:
    """Add to ``text`` how results of this kind were taken."""
    out = np.full(len(readings), text, dtype=object)
    titre = texts(readings.titre, text + "; end points, a titre lies in [x, %g x)", readings.step)
    out[readings.titre] = titre[readings.titre]
    out[readings.averaged] += "; results of one time averaged"
    return out


def _bound(result: Result, lower: Floats, upper: Floats, where: Bools, what: str) -> Result:
    """Censor ``where`` there is no point estimate, by the bounds that are finite."""
    low, high = np.isfinite(lower), np.isfinite(upper)
    result.censor(where & low & high, INTERVAL, f"{what} lies between two limits", lower, upper)
    result.censor(where & low & ~high, RIGHT, f"{what} is only bounded below", lower)
    result.censor(where & ~low & high, LEFT, f"{what} is only bounded above", None, upper)
    return result.refuse(where & ~low & ~high, f"{what} has no bound")


def _level(readings: Readings, name: str, position: Integers, lower: Floats, upper: Floats) -> Result:
    """Return a level (n,) with the interval that it stands for."""
    what = name.replace("antibody_", "the ")
    value = _pick(readings.value, position)
    how = "last result before lymphodepletion, else before the infusion"
    result = Result(
        name,
        value,
        method=_method(readings, how if what == "the baseline" else "lowest result after infusion"),
        n_points=(position >= 0).astype(float),
        window_start=_pick(readings.time, position),
        window_end=_pick(readings.time, position),
    )
    censored = (position >= 0) & np.isnan(value)
    low, high = censored & (lower > 0), censored & np.isfinite(upper)
    result.censor(high & ~low, LEFT, f"{what} is negative", None, upper)
    result.censor(high & low, INTERVAL, f"{what} is below a limit", lower, upper)
    result.censor(low & ~high, RIGHT, f"{what} is above the range", lower)
    result.refuse(censored & ~low & ~high, f"{what} is beyond a limit that is not known")
    return _with_step(readings, result, lower, upper)


def _with_step(readings: Readings, result: Result, lower: Floats, upper: Floats) -> Result:
    """Give the point estimates of titres the interval of their dilution step."""
    step = readings.titre & result.estimated & ~np.isnan(result.value)
    result.lower[step] = np.where(np.isfinite(lower), lower, np.nan)[step]
    result.upper[step] = np.where(np.isfinite(upper), upper, np.nan)[step]
    return result


def _baseline(readings: Readings, fate: _Fate) -> Result:
    at = readings.baseline
    lower, upper = _pick(readings.lower, at), _pick(readings.upper, at)
    result = _level(readings, "antibody_baseline", at, lower, upper)
    return result.refuse(~fate.has_baseline, NO_BASELINE)


def _lowest(readings: Readings) -> tuple[Floats, Floats]:
    """Bounds of the lowest true level after infusion: the lowest of the bounds."""
    lower = np.where(readings.after, readings.lower, np.inf).min(axis=1, initial=np.inf)
    upper = np.where(readings.after, readings.upper, np.inf).min(axis=1, initial=np.inf)
    return lower, upper


def _nadir(readings: Readings, fate: _Fate) -> list[Result]:
    lower, upper = _lowest(readings)
    level = _level(readings, "antibody_nadir", fate.nadir, lower, upper)
    hidden = _pick(readings.lower, fate.nadir) > lower
    level.remark(hidden, "a result below a higher limit may be lower")
    level.n_points = _count(readings)
    level.refuse(~fate.any_after, NO_RESULT)

    time = np.where(readings.after, readings.time, np.nan)
    day = Result(
        "antibody_nadir_day",
        _pick(time, fate.nadir),
        method=_method(readings, "first of the lowest results"),
        n_points=_count(readings),
    )
    # Among results below a limit, any can be the lowest.
    hidden = np.where(
        readings.after & (readings.lower < upper[:, None]) & np.isnan(readings.value), time, np.nan
    )
    first, last = np.fmin.reduce(hidden, axis=1), np.fmax.reduce(hidden, axis=1)
    first, last = np.fmin(first, day.value), np.fmax(last, day.value)
    several = fate.any_after & (first < last)
    day.value[several] = np.nan
    day.refuse(~fate.any_after, NO_RESULT)
    day.censor(several, INTERVAL, "several results beyond a limit: the lowest is one of them", first, last)
    return [level, day]


def _fall(readings: Readings, fate: _Fate, position: Integers, name: str, what: str) -> Result:
    """log2 of the baseline over the result at ``position``, by interval arithmetic."""
    base = readings.baseline
    if name == "log2_fall":
        lower, upper = _lowest(readings)
    else:
        lower, upper = _pick(readings.lower, position), _pick(readings.upper, position)
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.log2(_pick(readings.lower, base) / upper)
        most = np.log2(_pick(readings.upper, base) / lower)
        value = np.log2(_pick(readings.value, base) / _pick(readings.value, position))
    result = Result(
        name,
        value,
        method=_method(readings, f"log2 of {what}"),
        n_points=(base >= 0).astype(float) + (position >= 0),
        window_start=_pick(readings.time, base),
        window_end=_pick(readings.time, position),
    )
    result.refuse(~fate.has_baseline, NO_BASELINE).refuse(fate.negative_before, AT_BASELINE)
    there = fate.has_baseline & (position >= 0)
    _bound(result, least, most, there & np.isnan(value), "the fall")
    return _with_step(readings, result, least, most)


def nearest_result(readings: Readings, mark: Landmark | Visit) -> tuple[Integers, Texts]:
    """Return the position (n,) of the result that answers for a landmark (-1), and why there is none."""
    distance = np.where(readings.after, np.abs(readings.time - mark.day), np.inf)
    near = distance.argmin(axis=1)
    found = distance[np.arange(len(near)), near] <= mark.window
    window = f"not assessable: no result within day {mark.day:g} +/- {mark.window:g}"
    missing = ~found & np.isfinite(distance).any(axis=1)
    reason = texts(missing, window + "; nearest is day %g", readings.time[np.arange(len(near)), near])
    return np.where(found, near, -1), reason


def _fall_at(readings: Readings, fate: _Fate, mark: Landmark) -> Result:
    position, missing = nearest_result(readings, mark)
    result = _fall(
        readings,
        fate,
        position,
        f"log2_fall_at_{mark.name}",
        f"baseline over the result nearest to day {mark.day:g} within {mark.window:g} days",
    )
    return result.refuse(~fate.any_after, NO_RESULT).refuse(position < 0, missing)


def _fold_time(readings: Readings, fate: _Fate, settings: Antibody) -> Result:
    """First certain fall, after the last result that is certainly none."""
    base = readings.baseline
    low, high = _pick(readings.low, base)[:, None], _pick(readings.high, base)[:, None]
    after = readings.after
    with np.errstate(divide="ignore", invalid="ignore"):
        sure = after & (low / readings.high >= settings.fold * (1 - 1e-12))
        maybe = after & ~(high / readings.low < settings.fold * (1 - 1e-12))
        # A negative titre at the usual starting dilution is the best that this assay can show.
        bottom = np.where(after & readings.negative & np.isnan(readings.value), readings.high, np.inf)
        bottom = np.where(np.isfinite(bottom), bottom, np.inf).min(axis=1, initial=np.inf)
        start = _pick(readings.limit, base) / readings.step
        bottom = np.fmin(bottom, np.where(np.isnan(start), np.inf, start))
        # Without a known limit there is none to be near to.
        shallow = np.isfinite(bottom) & (high[:, 0] / bottom < settings.fold * (1 - 1e-12))
    fallen = sure.any(axis=1)
    first = np.where(fallen, _pick(readings.time, sure.argmax(axis=1)), np.nan)
    # Before the first result that may be one, nothing had fallen; before the first sample, day 0.
    possible = np.where(maybe.any(axis=1), _pick(readings.time, maybe.argmax(axis=1)), np.inf)
    still = np.where(after & (readings.time < possible[:, None]), readings.time, -np.inf).max(
        axis=1, initial=-np.inf
    )
    still = np.where(np.isfinite(still), still, 0.0)
    reason = texts(~fallen, f"no {settings.fold:g}-fold fall by day %g", still)
    unsure = ~fallen & np.isfinite(possible)
    doubt = texts(
        unsure, f"a {settings.fold:g}-fold fall can't be told from the limits from day %g on", possible
    )
    reason[unsure] = doubt[unsure]
    result = Result(
        "time_to_fourfold_fall",
        np.full(len(readings), np.nan),
        method=_method(readings, f"{settings.fold:g}-fold below the baseline, between two samples"),
        n_points=_count(readings),
        window_start=still,
        window_end=first,
    )
    result.refuse(~fate.any_after, NO_RESULT).refuse(~fate.has_baseline, NO_BASELINE)
    result.refuse(fate.negative_before, AT_BASELINE)
    result.refuse(shallow, f"the baseline is too near the limit to see a {settings.fold:g}-fold fall")
    words = texts(fallen, f"{settings.fold:g}-fold fall between day %g and day %g", still, first)
    result.censor(fallen, INTERVAL, words, still, first)
    return result.censor(~fallen, RIGHT, reason, still)


def _seronegative_time(readings: Readings, fate: _Fate, settings: Antibody) -> Result:
    number = settings.confirm_negative
    run, positive = fate.run, readings.positive
    confirmed = run >= 0
    first = _pick(readings.time, run)
    with np.errstate(invalid="ignore"):
        earlier = positive & (~confirmed[:, None] | (readings.time < first[:, None]))
        later = positive & confirmed[:, None] & (readings.time > first[:, None])
    last = np.where(earlier, readings.time, -np.inf).max(axis=1, initial=-np.inf)
    seen = np.isfinite(last)
    last = np.where(seen, last, 0.0)
    negative = readings.after & readings.negative
    end = np.where(readings.after, readings.time, -np.inf).max(axis=1, initial=-np.inf)
    waiting = ~confirmed & (last < end) & negative.any(axis=1)
    reason = texts(~waiting, "still positive at the last sample, day %g", last)
    since = np.where(negative & (readings.time > np.where(seen, last, -1.0)[:, None]), readings.time, np.inf)
    since = since.min(axis=1, initial=np.inf)
    run_text = "1 negative result" if number == 1 else f"{number} consecutive negative results"
    unconfirmed = texts(
        waiting,
        f"not confirmed: negative from day %g, but not {run_text} with the same starting dilution",
        since,
    )
    reason[waiting] = unconfirmed[waiting]
    moved = waiting & (first_confirmed_run(readings, number, same_start=False) >= 0)
    changed = texts(
        moved,
        f"not assessable: the starting dilution changed; negative from day %g, but not {run_text} with the same "
        "starting dilution",
        since,
    )
    reason[moved] = changed[moved]

    words = texts(confirmed, "seronegative between day %g and day %g", last, first)
    again = later.any(axis=1)
    back = np.where(later, readings.time, np.inf).min(axis=1, initial=np.inf)
    rebound = texts(
        again, "seronegative between day %g and day %g; positive again on day %g", last, first, back
    )
    words[again] = rebound[again]
    result = Result(
        "time_to_seronegative",
        np.full(len(readings), np.nan),
        method=_method(readings, f"{run_text} with the same starting dilution"),
        n_points=_count(readings),
        window_start=last,
        window_end=first,
    )
    result.refuse(~fate.any_after, NO_RESULT).refuse(fate.negative_before, AT_BASELINE)
    result.refuse(~fate.has_baseline & ~seen, "no result before the infusion, and not positive after it")
    result.censor(confirmed, INTERVAL, words, last, first)
    return result.censor(~confirmed, RIGHT, reason, last)


def _seronegative_at(readings: Readings, fate: _Fate, mark: Landmark) -> Result:
    position, missing = nearest_result(readings, mark)
    result = Result(
        f"seronegative_at_{mark.name}",
        _at(readings.negative, position).astype(float),
        method=f"nearest result to day {mark.day:g} within {mark.window:g} days",
        n_points=(position >= 0).astype(float),
        window_start=_pick(readings.time, position),
        window_end=_pick(readings.time, position),
    )
    result.refuse(~fate.any_after, NO_RESULT).refuse(fate.negative_before, AT_BASELINE)
    result.refuse(position < 0, missing)
    # Negative at 1:40 may be positive at 1:10, and positive at 1:10 negative at 1:40.
    start, usual = _pick(readings.limit, position), _usual_start(readings)
    negative = _at(readings.negative, position)
    with np.errstate(invalid="ignore"):
        open_ = np.where(negative, start > usual * SAME, _pick(readings.high, position) < usual / SAME)
    changed = "not assessable: the starting dilution changed, %g here and %g before"
    plain = "not assessable: the limit changed, %g here and %g before"
    for titre, words in ((readings.titre, changed), (~readings.titre, plain)):
        result.refuse(open_ & titre, texts(open_ & titre, words, start, usual))
    return result.remark(~fate.has_baseline, NO_BASELINE)


def _usual_start(readings: Readings) -> Floats:
    """Return the starting dilution (n,), or limit, of the baseline, else of the first result that tells one."""
    known = ~np.isnan(readings.limit)
    first = np.where(known.any(axis=1), known.argmax(axis=1), -1)
    own = _pick(readings.limit, readings.baseline)
    return np.where(np.isnan(own), _pick(readings.limit, first), own)


def _positive_again(readings: Readings, fate: _Fate, settings: Antibody) -> Result:
    """First confirmed positive result after the seronegativity was confirmed."""
    number, run = settings.confirm_positive, fate.run
    since = _pick(readings.time, run)
    limit = _pick(readings.limit, run)[:, None]
    with np.errstate(invalid="ignore"):
        later = readings.after & (readings.time > since[:, None])
        # Below the dilution at which the others were negative, nobody knows whether it rose.
        hidden = ~np.isnan(limit) & (readings.high < limit / SAME)
        negative = readings.after & readings.negative & (readings.time >= since[:, None])
        negative &= ~(readings.limit > limit * SAME)
    positive = later & ~readings.negative
    sure = positive & ~hidden
    confirmed = sure.copy()
    for ahead in range(1, number):
        confirmed &= np.pad(sure[:, ahead:], ((0, 0), (0, ahead)))
    back = confirmed.any(axis=1)
    first = np.where(back, _pick(readings.time, confirmed.argmax(axis=1)), np.nan)
    before = negative & (readings.time < np.where(back, first, np.inf)[:, None])
    last = np.where(before, readings.time, -np.inf).max(axis=1, initial=-np.inf)

    reason = texts(~back, "still negative at the last sample, day %g", last)
    new = positive & (readings.time > last[:, None])
    odd = ~back & new.any(axis=1)
    day = _pick(readings.time, new.argmax(axis=1))
    doubt = texts(odd, f"not confirmed: positive on day %g, but not {_positives(number)}", day)
    reason[odd] = doubt[odd]
    lower = odd & ~(new & sure).any(axis=1)
    below = texts(
        lower,
        "not assessable: the starting dilution changed; positive on day %g below the dilution of the negative results",
        day,
    )
    reason[lower] = below[lower]
    result = Result(
        "time_to_seropositive_again",
        np.full(len(readings), np.nan),
        method=_method(readings, f"{_positives(number)} after a confirmed seronegativity"),
        n_points=_count(readings),
        window_start=last,
        window_end=first,
    )
    result.refuse(~fate.any_after, NO_RESULT).refuse(fate.negative_before, AT_BASELINE)
    result.refuse(run < 0, "never seronegative, or not confirmed")
    result.censor(
        back, INTERVAL, texts(back, "positive again between day %g and day %g", last, first), last, first
    )
    return result.censor(~back, RIGHT, reason, last)


def _positives(number: int) -> str:
    return "1 positive result" if number == 1 else f"{number} consecutive positive results"


def _rise_time(readings: Readings, fate: _Fate, settings: Antibody) -> Result:
    """First certain rise above the lowest earlier result, after the last result that is certainly none."""
    fold = settings.fold * (1 - 1e-12)
    after = readings.after
    # A negative result counts as the highest end point that it allows.
    low = np.where(readings.negative & np.isnan(readings.value), readings.high, readings.low)
    earlier_high, earlier_low = (_lowest_before(np.where(after, x, np.inf)) for x in (readings.high, low))
    with np.errstate(divide="ignore", invalid="ignore"):
        sure = after & (readings.low / earlier_high >= fold)
        maybe = after & (readings.high / earlier_low >= fold)
    risen = sure.any(axis=1)
    first = np.where(risen, _pick(readings.time, sure.argmax(axis=1)), np.nan)
    possible = np.where(maybe.any(axis=1), _pick(readings.time, maybe.argmax(axis=1)), np.inf)
    still = np.where(after & (readings.time < possible[:, None]), readings.time, -np.inf)
    still = still.max(axis=1, initial=-np.inf)
    still = np.where(np.isfinite(still), still, 0.0)
    reason = texts(~risen, f"no {settings.fold:g}-fold rise by day %g", still)
    unsure = ~risen & np.isfinite(possible)
    doubt = texts(
        unsure, f"a {settings.fold:g}-fold rise can't be told from the limits from day %g on", possible
    )
    reason[unsure] = doubt[unsure]
    result = Result(
        "time_to_fourfold_rise",
        np.full(len(readings), np.nan),
        method=_method(
            readings, f"{settings.fold:g}-fold above the lowest earlier result, between two samples"
        ),
        n_points=_count(readings),
        window_start=still,
        window_end=first,
    )
    result.refuse(~fate.any_after, NO_RESULT)
    result.refuse(after.sum(axis=1) < 2, "only one result after infusion")
    words = texts(risen, f"{settings.fold:g}-fold rise between day %g and day %g", still, first)
    result.censor(risen, INTERVAL, words, still, first)
    return result.censor(~risen, RIGHT, reason, still)


def _lowest_before(values: Floats) -> Floats:
    """Return the lowest value (n, m) of the columns before each one; inf before the first."""
    lowest = np.minimum.accumulate(values, axis=1)
    return np.concatenate([np.full((len(values), 1), np.inf), lowest[:, :-1]], axis=1)


def declining_phase(readings: Readings, run: Integers, nadir: Integers, settings: AntibodyHalfLife) -> Bools:
    """Mark the (n, m) results of the declining phase.

    From the highest result after infusion (the first of equals; or from the
    first one, or the baseline) to the first result of the confirmed run of
    negative ones at position ``run``, else to the last result or the nadir.
    """
    column = np.arange(readings.time.shape[1])[None, :]
    after = readings.after
    used = after & np.isfinite(readings.time)
    width = column.shape[1] - 1
    end = np.where(run >= 0, run, nadir if settings.end == "nadir" else width)
    if settings.start == "maximum":
        # Not a rebound after the end: the phase would be empty.
        top = np.where(after & (column <= end[:, None]), readings.lower, -np.inf)
        start = top.argmax(axis=1)
    else:
        start = after.argmax(axis=1)
        if settings.start == "baseline":
            there = readings.baseline >= 0
            start = np.where(there, readings.baseline, start)
            used |= there[:, None] & (column == readings.baseline[:, None])
    return np.asarray(used & (column >= start[:, None]) & (column <= end[:, None]))


def _half_life(readings: Readings, fate: _Fate, settings: AntibodyHalfLife) -> Result:
    used = declining_phase(readings, fate.run, fate.nadir, settings)
    # A result without any bound says nothing about the line.
    used &= (readings.lower > 0) | np.isfinite(readings.upper)
    bounded = used & (readings.lower > 0) & np.isfinite(readings.upper)
    n_used, n_bounded = used.sum(axis=1), bounded.sum(axis=1)
    enough = (n_used >= settings.min_points) & (n_bounded >= 2)
    n = len(readings)
    rate, se, quantile = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    stuck = np.zeros(n, dtype=bool)
    rows = np.flatnonzero(enough)
    if len(rows):
        floor = np.where(
            readings.titre,
            settings.min_sd_steps * np.log(np.maximum(readings.step, 1.0)),
            np.sqrt(np.log1p((settings.min_cv_percent / 100) ** 2)),
        )
        there = used[rows]
        with np.errstate(divide="ignore"):
            low = np.log(np.where(there, readings.lower[rows], 1.0))
            high = np.log(np.where(there, readings.upper[rows], 1.0))
        lines = fit_lines(np.where(there, readings.time[rows], 0.0), low, high, there, floor[rows])
        rate[rows], se[rows], quantile[rows] = -lines.slope, lines.se, lines.quantile
        stuck[rows] = ~lines.converged
    time = np.where(used, readings.time, np.nan)
    censored = (used & np.isnan(readings.value)).sum(axis=1).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        result = Result(
            "antibody_half_life",
            np.log(2) / rate,
            method=_method(readings, _phase_text(settings)),
            n_points=n_used.astype(float),
            window_start=np.fmin.reduce(time, axis=1),
            window_end=np.fmax.reduce(time, axis=1),
        )
        fast, slow = rate + quantile * se, rate - quantile * se
        lower, upper = np.log(2) / fast, np.where(slow > 0, np.log(2) / slow, np.nan)
    result.refuse(~fate.any_after, NO_RESULT).refuse(fate.negative_before, AT_BASELINE)
    few = texts(
        ~enough, f"%d results in the declining phase, fewer than {settings.min_points}", n_used.astype(float)
    )
    beyond = n_used >= settings.min_points
    few[beyond] = "fewer than 2 results between the limits in the declining phase"
    result.refuse(~enough, few).refuse(stuck, "the fit did not converge").refuse(~(rate > 0), "no decline")
    result.lower[result.estimated] = lower[result.estimated]
    result.upper[result.estimated] = upper[result.estimated]
    open_end = result.estimated & np.isnan(upper)
    note = np.full(n, None, dtype=object)
    some = censored > 0
    note[some] = texts(some, "results beyond a limit: %d", censored)[some]
    wide = "no upper limit: a course without decline fits too"
    note[open_end] = [
        wide if not had else f"{text}; {wide}"
        for text, had in zip(note[open_end], given(note)[open_end], strict=True)
    ]
    return result.remark(given(note), note)


def _phase_text(settings: AntibodyHalfLife) -> str:
    start = {"maximum": "highest result after infusion", "infusion": "first result after infusion"}
    return (
        f"maximum likelihood from the {start.get(settings.start, 'baseline')} to the first confirmed negative result, "
        f"else the {'nadir' if settings.end == 'nadir' else 'last result'}"
    )
