"""Non-compartmental analysis of all courses at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cartrace.kinetics.areas import Points, Tail, area_until, points
from cartrace.kinetics.profiles import (
    NEVER,
    NO_RESULT,
    Bools,
    Floats,
    Integers,
    Outline,
    Profiles,
    find_loss,
    outline,
)
from cartrace.kinetics.rows import INTERVAL, RIGHT, Result, Texts, assemble, given, texts
from cartrace.kinetics.terminal import Terminal, terminal_phase, tobit_phase
from cartrace.metrics import Metric, UnitRule, register

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Auc, Blq, Kinetics

PKNCA = "As in PKNCA 0.12 and WinNonlin (NonCompart)."


def _define(
    name: str,
    label: str,
    unit: UnitRule,
    definition: str,
    group: str,
    *,
    cdisc: str = "",
    source: str = PKNCA,
) -> None:
    register(Metric(name, label, unit, definition, source, group, cdisc, event=name == "t_bql"))


_define("cmax", "Cmax", "course", "Highest quantifiable result after infusion.", "peak", cdisc="CMAX")
_define("tmax", "Tmax", "day", "Day of Cmax, the first one when several are equal.", "peak", cdisc="TMAX")
_define("tfirst", "First quantifiable (Tfirst)", "day", "Day of the first quantifiable result.", "peak")
_define(
    "tlast", "Last quantifiable (Tlast)", "day", "Day of the last quantifiable result.", "peak", cdisc="TLST"
)
_define("clast", "Last quantifiable result (Clast)", "course", "Result at Tlast.", "peak", cdisc="CLST")
_define(
    "t_bql",
    "First below quantification (Tbql)",
    "day",
    "Day of the first result below quantification after Tlast, when persistence.confirm_blq results follow.",
    "peak",
    source="Cilta-cel (CARTITUDE-1) reports it; confirmation by two results: aNCA issue 994.",
)
_define("auc_last", "AUC to last", "day*course", "Area from the start to Tlast.", "area", cdisc="AUCLST")
_define(
    "auc_all",
    "AUC to first below quantification",
    "day*course",
    "Area to Tlast, and the triangle to the first result below quantification after it.",
    "area",
    cdisc="AUCALL",
)
_define(
    "auc_inf", "AUC to infinity", "day*course", "AUC to last plus Clast / lambda_z.", "area", cdisc="AUCIFO"
)
_define(
    "auc_extrapolated_percent",
    "Extrapolated share",
    "%",
    "Share of AUC to infinity that lies after Tlast.",
    "area",
    cdisc="AUCPEO",
)
_define(
    "auc_{start}_{end}",
    "AUC {start}-{end}",
    "day*course",
    "Area from day {start} to day {end}, interpolated at both edges by the rule of the segment.",
    "area",
    cdisc="AUCINT",
)
_define(
    "aumc_last",
    "AUMC to last",
    "day^2*course",
    "Area under t * C from the start to Tlast.",
    "area",
    cdisc="AUMCLST",
)
_define("mrt", "Mean residence time", "day", "AUMC to last / AUC to last.", "terminal", cdisc="MRTIBLST")
_define(
    "lambda_z",
    "Terminal rate (lambda z)",
    "per day",
    "Rate of the terminal phase, by log-linear regression.",
    "terminal",
    cdisc="LAMZ",
)
_define("half_life", "Terminal half-life", "day", "ln 2 / lambda_z.", "terminal", cdisc="LAMZHL")
_define(
    "lambda_z_n_points",
    "Terminal rate, results used",
    "none",
    "Results in the window.",
    "terminal",
    cdisc="LAMZNPT",
)
_define(
    "lambda_z_adj_r2",
    "Terminal rate, adjusted r2",
    "none",
    "Adjusted r2 of the window.",
    "terminal",
    cdisc="R2ADJ",
)
_define(
    "lambda_z_span_ratio",
    "Terminal rate, half-lives spanned",
    "none",
    "Length of the window in half-lives.",
    "terminal",
    cdisc="LAMZSPN",
)
_define(
    "lambda_z_intercept",
    "Terminal rate, intercept",
    "course",
    "Regression line at day 0: it is intercept * exp(-lambda_z t).",
    "terminal",
)
_define(
    "effective_half_life",
    "Effective half-life",
    "day",
    "ln 2 * mean residence time.",
    "terminal",
    cdisc="EFFHL",
    source="PKNCA thalf.eff.last.",
)
_define(
    "half_life_tobit",
    "Terminal half-life, censored fit",
    "day",
    "ln 2 / rate of the terminal phase by maximum likelihood, results below a limit left-censored at it.",
    "terminal",
    source="Tobin 1958 with Olsen's parametrisation 1978; PKNCA pull request 529.",
)


def compute(profiles: Profiles, kinetics: Kinetics) -> pd.DataFrame:
    """Return the non-compartmental metrics of all courses.

    Returns
    -------
    pandas.DataFrame
        In the contract of ``cartrace.tables.METRICS``; one row for each course
        and metric, course by course. What can't be computed has a reason.
    """
    return assemble(profiles, results(profiles, kinetics))


def results(profiles: Profiles, kinetics: Kinetics) -> list[Result]:
    """Return the non-compartmental metrics of all courses, as arrays."""
    shape = outline(profiles)
    phase = terminal_phase(profiles, shape, kinetics.half_life)
    return [
        *_peak(profiles, shape),
        _t_bql(profiles, shape, kinetics),
        *_areas(profiles, shape, phase, kinetics),
        *_terminal(profiles, shape, phase, kinetics),
    ]


def _basic(result: Result, shape: Outline) -> Result:
    return result.refuse(~shape.any_result, NO_RESULT).refuse(~shape.any_quantifiable, NEVER)


UNBOUNDED = "a result above the range has no upper limit of quantification"
ABOVE = "a result is above the range: its upper limit of quantification was used"


def _peak(profiles: Profiles, shape: Outline) -> list[Result]:
    n_points = profiles.quantifiable.sum(axis=1).astype(float)
    note = _notes(profiles, "highest and outermost quantifiable results")
    above = profiles.above.any(axis=1)
    row = np.arange(len(profiles))
    cmax, tmax, tfirst, tlast, clast = (
        _basic(Result(name, value, method=note, n_points=n_points), shape)
        for name, value in (
            ("cmax", shape.cmax),
            ("tmax", shape.tmax),
            ("tfirst", shape.tfirst),
            ("tlast", shape.tlast),
            ("clast", shape.clast),
        )
    )
    cmax.refuse(shape.unbounded, UNBOUNDED).censor(above, RIGHT, ABOVE, lower=shape.cmax)
    # Where several results are above the range, any of them can be the peak.
    time = np.where(profiles.above, profiles.time, np.nan)
    first, last = np.fmin.reduce(time, axis=1), np.fmax.reduce(time, axis=1)
    several = above & ~((first == last) & (first == shape.tmax))
    tmax.censor(
        several,
        INTERVAL,
        "results are above the range: the peak is one of them",
        lower=np.fmin(first, shape.tmax),
        upper=np.fmax(last, shape.tmax),
    )
    last_above = profiles.above[row, shape.last]
    clast.refuse(last_above & np.isnan(shape.clast), UNBOUNDED)
    clast.censor(last_above, RIGHT, ABOVE, lower=shape.clast)
    return [cmax, tmax, tfirst, tlast, clast]


def _t_bql(profiles: Profiles, shape: Outline, kinetics: Kinetics) -> Result:
    confirm = kinetics.persistence.confirm_blq
    loss = find_loss(profiles, profiles.quantifiable, confirm)
    still = np.isnan(loss.first_loss)
    reason = texts(still, "still quantifiable at the last sample, day %g", loss.last_present)
    waiting = texts(
        loss.unconfirmed,
        "not confirmed: fewer than 2 results follow the last quantifiable one, day %g",
        loss.last_present,
    )
    reason[loss.unconfirmed] = waiting[loss.unconfirmed]
    result = Result(
        "t_bql",
        loss.first_loss,
        method=f"first result below quantification after Tlast, {confirm} needed",
        n_points=profiles.taken.sum(axis=1).astype(float),
    )
    return _basic(result, shape).censor(still, RIGHT, reason, lower=loss.last_present)


def _areas(profiles: Profiles, shape: Outline, phase: Terminal, kinetics: Kinetics) -> list[Result]:
    p = points(profiles, shape, kinetics.blq, kinetics.auc)
    method = _method(profiles, kinetics)
    above = profiles.above.any(axis=1)
    n = len(profiles)
    row = np.arange(n)
    start = np.where(shape.any_quantifiable, p.start, np.nan)
    to_last = (p.time <= shape.tlast[:, None]) & (np.arange(p.time.shape[1]) < p.count[:, None])
    n_last = to_last.sum(axis=1)
    position = np.maximum(n_last - 1, 0)
    # A single point has no width, and so no area that would say anything.
    single = shape.any_quantifiable & (n_last < 2)
    n_results = (to_last & p.measured).sum(axis=1)
    few, why_few = _too_few(n_results, shape, kinetics.auc, "up to Tlast")

    def area(name: str, value: Floats, end: Floats, *, censor: bool = True) -> Result:
        result = Result(
            name, value, method=method, n_points=n_results.astype(float), window_start=start, window_end=end
        )
        _basic(result, shape).refuse(shape.unbounded, UNBOUNDED)
        result.refuse(few, why_few).refuse(single, "only one point: no width")
        return result.censor(above, RIGHT, ABOVE, lower=result.value.copy()) if censor else result

    auc, moment = p.area[row, position], p.moment[row, position]
    loss = find_loss(profiles, profiles.quantifiable, 1)
    triangle = np.where(np.isnan(loss.first_loss), 0.0, shape.clast * (loss.first_loss - shape.tlast) / 2)
    end_all = np.fmax(shape.tlast, loss.first_loss)
    auc_last = area("auc_last", auc, shape.tlast)
    auc_all = area("auc_all", auc + triangle, end_all)

    ok = phase.accepted
    tail = shape.clast / np.where(ok, phase.rate, np.nan)
    share = 100 * tail / (auc + tail)
    why = _because(phase)
    limit = kinetics.auc.max_extrapolated_percent
    auc_inf = area("auc_inf", auc + tail, np.full(n, np.nan)).refuse(~ok, why)
    auc_inf.refuse(
        share > limit, texts(share > limit, f"extrapolated share %.1f %% above {limit:g} %%", share)
    )
    percent = area("auc_extrapolated_percent", share, np.full(n, np.nan), censor=False).refuse(~ok, why)
    percent.refuse(above, "a result is above the range")

    aumc = area("aumc_last", moment, shape.tlast)
    flat = auc <= 0
    mrt = area("mrt", moment / np.where(flat, np.nan, auc), shape.tlast, censor=False)
    effective = area("effective_half_life", np.log(2) * mrt.value, shape.tlast, censor=False)
    for result in (mrt, effective):
        result.refuse(flat, "the area is 0").refuse(above, "a result is above the range")
    windows = _windows(profiles, shape, phase, p, kinetics)
    return [auc_last, auc_all, auc_inf, percent, *windows, aumc, mrt, effective]


def _too_few(count: Integers, shape: Outline, auc: Auc, where: str) -> tuple[Bools, Texts]:
    """Find the courses with fewer than ``auc.min_points`` results, and say it in words.

    The trapezoids would bridge the gap with a straight line, but nobody looked
    there: a course seen once has no area.
    """
    few = shape.any_quantifiable & (count < auc.min_points)
    reason = texts(few, f"%d results {where}, fewer than {auc.min_points}", count.astype(float))
    one = few & (count == 1)
    reason[one] = f"1 result {where}, fewer than {auc.min_points}"
    return few, reason


def _because(phase: Terminal) -> Texts:
    out = np.full(len(phase.rate), None, dtype=object)
    for i in np.flatnonzero(~phase.accepted):
        out[i] = f"no half-life: {phase.missing[i] or phase.refusal[i]}"
    return out


def _windows(
    profiles: Profiles, shape: Outline, phase: Terminal, p: Points, kinetics: Kinetics
) -> list[Result]:
    extrapolation = kinetics.auc.extrapolation
    method = _method(profiles, kinetics)
    n = len(profiles)
    until = find_loss(profiles, profiles.quantifiable, 1).first_loss
    kind = np.zeros(n, dtype=np.int64)
    if extrapolation == "to_first_blq":
        # Nothing after Tlast is known to be 0 before a result says so.
        kind[~np.isnan(until)] = 1
    elif extrapolation == "lambda_z":
        kind[phase.accepted] = 2
    tail = Tail(kind, until, phase.rate, shape.tlast, shape.clast)
    above = profiles.above.any(axis=1)
    out = []
    for a, b in kinetics.auc.windows:
        low, high = np.full(n, float(a)), np.full(n, float(b))
        value = area_until(p, tail, high) - area_until(p, tail, low)
        inside = (p.measured & (p.time >= a) & (p.time <= b)).sum(axis=1)
        few, why_few = _too_few(inside, shape, kinetics.auc, f"inside day {a:g}-{b:g}")
        late = shape.any_quantifiable & (p.start > a)
        short = shape.any_quantifiable & (kind == 0) & (p.end < b)
        result = Result(
            f"auc_{a:g}_{b:g}",
            value,
            method=method,
            n_points=inside.astype(float),
            window_start=low,
            window_end=high,
        )
        _basic(result, shape).refuse(shape.unbounded, UNBOUNDED)
        result.refuse(late, texts(late, f"no value before day %g, window starts on day {a:g}", p.start))
        reason = f"last usable result on day %g, window ends on day {b:g}"
        text = texts(short, reason, p.end)
        if extrapolation == "to_first_blq":
            text = texts(short, reason + "; no result below quantification follows", p.end)
        elif extrapolation == "lambda_z":
            text[short] = [f"{t}; {w}" for t, w in zip(text[short], _because(phase)[short], strict=True)]
        refused_before = result.refused
        result.refuse(short, text).refuse(few, why_few)
        # The area as far as it is known is a lower bound worth keeping.
        partial = area_until(p, tail, np.minimum(high, p.end)) - area_until(p, tail, low)
        bounded = short & ~few & ~refused_before & (p.end > a)
        result.lower[bounded] = partial[bounded]
        result.censor(above, RIGHT, ABOVE, lower=result.value.copy())
        out.append(result.remark(*_wide_gap(p, a, b)))
    return out


def _wide_gap(p: Points, start: float, end: float) -> tuple[Bools, Texts]:
    """Find the windows of which one gap between two points takes more than half, and say it in words."""
    # Padding repeats the last point, so that it opens no gap.
    width = np.diff(np.clip(p.time, start, end), axis=1)
    if not width.shape[1]:
        return np.zeros(len(p.time), dtype=bool), np.full(len(p.time), None, dtype=object)
    at, row = width.argmax(axis=1), np.arange(len(width))
    wide = width[row, at] > (end - start) / 2
    words = "more than half of the window is interpolated, between day %g and day %g"
    return wide, texts(wide, words, p.time[row, at], p.time[row, at + 1])


def _terminal(profiles: Profiles, shape: Outline, phase: Terminal, kinetics: Kinetics) -> list[Result]:
    settings = kinetics.half_life
    method = _notes(profiles, f"log-linear regression, best adjusted r2, {settings.rule} rule")
    none = given(phase.missing)
    poor = given(phase.refusal)

    def row(name: str, value: Floats) -> Result:
        result = Result(
            name,
            value,
            method=method,
            n_points=phase.n_points,
            window_start=phase.start,
            window_end=phase.end,
        )
        return result.refuse(none, phase.missing)

    reported = [
        row("lambda_z", phase.rate).refuse(poor, phase.refusal),
        row("half_life", np.log(2) / phase.rate).refuse(poor, phase.refusal),
    ]
    quality = [
        row(name, value).remark(poor, phase.refusal)
        for name, value in (
            ("lambda_z_n_points", phase.n_points),
            ("lambda_z_adj_r2", phase.adj_r2),
            ("lambda_z_span_ratio", phase.span),
        )
    ]
    with np.errstate(over="ignore"):
        at_zero = np.exp(phase.log_intercept)
    intercept = row("lambda_z_intercept", at_zero).refuse(poor, phase.refusal)
    intercept.refuse(np.isinf(at_zero), "the line at day 0 is too large for a number")
    return [*reported, *quality, intercept, _half_life_tobit(profiles, shape, phase, kinetics)]


def _half_life_tobit(profiles: Profiles, shape: Outline, phase: Terminal, kinetics: Kinetics) -> Result:
    n = len(profiles)
    name, method = "half_life_tobit", "censored regression, maximum likelihood"
    if not kinetics.half_life.tobit:
        off = Result(name, np.full(n, np.nan), method=method)
        return off.refuse(np.ones(n, dtype=bool), "switched off in the configuration")
    fit = tobit_phase(profiles, shape, phase, kinetics.half_life)
    result = Result(
        name,
        np.log(2) / fit.rate,
        method=_notes(profiles, method),
        n_points=fit.n_points,
        window_start=fit.start,
        window_end=fit.end,
    )
    result.refuse(given(fit.reason), fit.reason)
    some = fit.n_censored > 0
    return result.remark(some, texts(some, "results below a limit: %d", fit.n_censored))


def _notes(profiles: Profiles, base: str, *, residue: bool = False) -> Texts:
    """Add what was done to the results of a course to the method text."""
    later = (profiles.keys["infusion"].to_numpy(dtype=np.int64) > 1) & residue
    bits: list[tuple[Bools, str]] = [
        (profiles.averaged, "results of one time averaged"),
        (profiles.mixed, "censored result beside a quantified one left out"),
        (later, "a residue of the earlier infusion is not subtracted"),
    ]
    code = sum(
        (flag.astype(np.int64) << i for i, (flag, _) in enumerate(bits)), np.zeros(len(profiles), np.int64)
    )
    table = np.array(
        [
            "; ".join([base, *(text for i, (_, text) in enumerate(bits) if c >> i & 1)])
            for c in range(2 ** len(bits))
        ],
        dtype=object,
    )
    return np.asarray(table[code])


def _method(profiles: Profiles, kinetics: Kinetics) -> Texts:
    auc = kinetics.auc
    base = f"{_rule(auc)}; BLQ {_blq(kinetics.blq)}; start {auc.start}; extrapolation {auc.extrapolation}"
    return _notes(profiles, base, residue=auc.start == "zero")


def _rule(auc: Auc) -> str:
    return {
        "linear": "linear trapezoids",
        "lin_up_log_down": "linear up, log down",
        "lin_log": "linear to Tmax, log after",
    }[auc.method]


def _blq(blq: Blq) -> str:
    places: tuple[str | float, ...] = (
        (blq.before_first, blq.between, blq.after_last)
        if blq.by == "quantifiable"
        else (blq.before_tmax, blq.after_tmax)
    )
    where = "before/between/after quantifiable" if blq.by == "quantifiable" else "before/after Tmax"
    return f"{where}: " + "/".join(str(rule) for rule in places)
