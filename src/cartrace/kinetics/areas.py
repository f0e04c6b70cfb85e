"""Areas under courses by the trapezoidal rules, for all courses at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from cartrace.config import Auc, Blq
    from cartrace.kinetics.profiles import Bools, Floats, Integers, Outline, Profiles

Rule = Literal["linear", "lin_up_log_down", "lin_log"]


def apply_blq(profiles: Profiles, shape: Outline, blq: Blq) -> tuple[Floats, Bools]:
    """Give results below quantification a value, by their position in the course.

    Returns
    -------
    level, use
        (n, m) value in the unit of the course, and where there is one. A result
        whose rule is half_lloq and that has no limit is left out.
    """
    level = profiles.level.copy()
    use = profiles.quantifiable & ~np.isnan(level)
    position = np.arange(level.shape[1])
    if blq.by == "quantifiable":
        before = position < shape.first[:, None]
        after = position > shape.last[:, None]
        places = [
            (before, blq.before_first),
            (after & ~before, blq.after_last),
            (~before & ~after, blq.between),
        ]
    else:
        before = position < shape.peak[:, None]
        places = [(before, blq.before_tmax), (~before, blq.after_tmax)]
    half = np.where(np.isnan(profiles.lloq), profiles.upper, profiles.lloq) / 2
    for where, rule in places:
        here = profiles.below & where & shape.any_quantifiable[:, None]
        if rule == "drop":
            continue
        if rule == "half_lloq":
            level = np.where(here, half, level)
        else:
            level = np.where(here, 0.0 if rule == "keep" else float(rule), level)
        use |= here & ~np.isnan(level)
    return level, use


@dataclass(frozen=True, slots=True)
class Points:
    """The points that areas are computed from, packed to the left.

    ``time`` and ``level`` are (n, p); padding repeats the last point, so that
    padded segments have no width. ``measured`` (n, p) marks the points that are
    results: neither padding nor the start that was put in. ``log`` (n, p - 1) marks
    the segments where the logarithmic rule holds. ``area`` and ``moment`` (n, p) are
    cumulative from the first point. ``count`` (n,) is the number of points.
    """

    time: Floats
    level: Floats
    measured: Bools
    log: Bools
    area: Floats
    moment: Floats
    count: Integers

    @property
    def start(self) -> Floats:
        """(n,) day of the first point; nan where there is none."""
        return np.where(self.count > 0, self.time[:, 0], np.nan)

    @property
    def end(self) -> Floats:
        """(n,) day of the last point; nan where there is none."""
        return np.where(self.count > 0, self.time[:, -1], np.nan)


def points(profiles: Profiles, shape: Outline, blq: Blq, auc: Auc) -> Points:
    """Apply the BLQ rule, add the start, and integrate from point to point."""
    level, use = apply_blq(profiles, shape, blq)
    time = profiles.time
    put_in = np.zeros(len(time), dtype=bool)
    if auc.start == "zero":
        add = shape.any_quantifiable & ~(use & (time == 0)).any(axis=1)
        time = np.column_stack([np.zeros(len(time)), time])
        level = np.column_stack([np.zeros(len(level)), level])
        use = np.column_stack([add, use])
        put_in = add
    order = np.argsort(~use, axis=1, kind="stable")
    count = use.sum(axis=1)
    # Positions past the last point repeat it.
    order = np.take_along_axis(
        order, np.minimum(np.arange(order.shape[1]), np.maximum(count - 1, 0)[:, None]), axis=1
    )
    empty = (count == 0)[:, None]
    t = np.where(empty, 0.0, np.take_along_axis(time, order, axis=1))
    c = np.where(empty, 0.0, np.take_along_axis(level, order, axis=1))
    measured = np.arange(t.shape[1]) < count[:, None]
    measured[:, 0] &= ~put_in
    log = log_segments(t, c, shape.tmax, auc.method)
    area = segment_area(t[:, :-1], c[:, :-1], t[:, 1:], c[:, 1:], log)
    moment = segment_moment(t[:, :-1], c[:, :-1], t[:, 1:], c[:, 1:], log)
    return Points(
        time=t,
        level=c,
        measured=measured,
        log=log,
        area=_cumulative(area),
        moment=_cumulative(moment),
        count=count,
    )


def _cumulative(parts: Floats) -> Floats:
    out = np.zeros((parts.shape[0], parts.shape[1] + 1))
    np.cumsum(parts, axis=1, out=out[:, 1:])
    return out


def log_segments(time: Floats, level: Floats, tmax: Floats, rule: Rule) -> Bools:
    """Mark the (n, p - 1) segments that take the logarithmic rule.

    lin_up_log_down: segments that fall. lin_log: segments after ``tmax`` (n,).
    Equal values and any value of 0 fall back to the linear rule (PKNCA's lin-log
    returns nan for equal values; the linear rule is the limit of the logarithmic one).
    """
    left, right = level[:, :-1], level[:, 1:]
    positive = (left > 0) & (right > 0) & (left != right)
    if rule == "linear":
        return np.zeros_like(positive)
    if rule == "lin_up_log_down":
        return np.asarray(positive & (right < left))
    return np.asarray(positive & (time[:, :-1] >= tmax[:, None]))


def segment_area(t1: Floats, c1: Floats, t2: Floats, c2: Floats, log: Bools) -> Floats:
    """Return the area of each segment, in day * unit.

    linear: (t2 - t1) (c1 + c2) / 2; logarithmic: (t2 - t1) (c1 - c2) / ln(c1 / c2)
    (Gabrielsson and Weiner, Pharmacokinetic and Pharmacodynamic Data Analysis).
    """
    width = t2 - t1
    # (c1 - c2) / ln(c1 / c2) = c2 r / log1p(r) with r = c1 / c2 - 1: no cancellation near r = 0.
    r = np.where(log, c1 - c2, 1.0) / np.where(log, c2, 1.0)
    return width * np.where(log, c2 * (r / np.log1p(r)), (c1 + c2) / 2)


def segment_moment(t1: Floats, c1: Floats, t2: Floats, c2: Floats, log: Bools) -> Floats:
    """Return the first moment of each segment, in day^2 * unit.

    linear: (t2 - t1) (t1 c1 + t2 c2) / 2, the trapezoid of t * c (PKNCA, WinNonlin);
    logarithmic: the exact integral of t * c1 exp(-k (t - t1)).
    """
    width = t2 - t1
    x = np.log(np.where(log, c1, 1.0)) - np.log(np.where(log, c2, 1.0))
    small = np.abs(x) < 1e-3
    divisor = np.where(small, 1.0, x)
    # Integral of s exp(-x s) over 0..1, by its series where the closed form cancels.
    within = np.where(
        small, 0.5 - x / 3 + x * x / 8, (1 - np.exp(-divisor) * (1 + divisor)) / (divisor * divisor)
    )
    exact = t1 * segment_area(t1, c1, t2, c2, log) + c1 * width * width * within
    return np.where(log, exact, width * (t1 * c1 + t2 * c2) / 2)


def interpolate(p: Points, at: Floats) -> tuple[Floats, Floats]:
    """Return level and cumulative area at the days ``at`` (n,), by the rule of the segment.

    Returns
    -------
    level, area
        (n,) each; nan outside the points. The level of a logarithmic segment is
        c1 (c2 / c1)^((at - t1) / (t2 - t1)).
    """
    row = np.arange(len(at))
    inside = (p.count > 0) & (at >= p.time[:, 0]) & (at <= p.time[:, -1])
    x = np.where(inside, at, p.time[:, 0])
    if p.log.shape[1] == 0:
        return np.where(inside, p.level[:, 0], np.nan), np.where(inside, 0.0, np.nan)
    left = np.clip((p.time <= x[:, None]).sum(axis=1) - 1, 0, np.maximum(p.count - 2, 0))
    t1, t2 = p.time[row, left], p.time[row, left + 1]
    c1, c2 = p.level[row, left], p.level[row, left + 1]
    log = p.log[row, left]
    share = np.where(t2 > t1, (x - t1) / np.where(t2 > t1, t2 - t1, 1.0), 0.0)
    straight = c1 + share * (c2 - c1)
    curved = np.where(log, c1, 1.0) * (np.where(log, c2, 1.0) / np.where(log, c1, 1.0)) ** share
    level = np.where(log, curved, straight)
    # An interpolated point so near its neighbour that the values agree is linear.
    partial = segment_area(t1, c1, x, level, log & (level != c1))
    # At a point itself, its own numbers: interpolation may be off by one rounding.
    at_right = x == t2
    level = np.where(at_right, c2, level)
    area = np.where(at_right, p.area[row, left + 1], p.area[row, left] + partial)
    return np.where(inside, level, np.nan), np.where(inside, area, np.nan)


@dataclass(frozen=True, slots=True)
class Tail:
    """How the area goes on after Tlast, for each course; arrays of length n.

    ``kind`` is 0: only the points; 1: a triangle to the first result below
    quantification (``until``) and nothing after it; 2: exp(-``rate`` t) from Tlast.
    One rule holds for a course whatever the window, so that neighbouring windows
    add up.
    """

    kind: Integers
    until: Floats
    rate: Floats
    tlast: Floats
    clast: Floats


def area_until(p: Points, tail: Tail, at: Floats) -> Floats:
    """Return the cumulative area at ``at`` (n,) from the first point; nan where it is not known."""
    beyond = (tail.kind > 0) & (at > tail.tlast)
    _, inside = interpolate(p, np.where(beyond, tail.tlast, at))
    after = np.where(beyond, at - tail.tlast, 0.0)
    length = np.where(tail.kind == 1, tail.until - tail.tlast, 1.0)
    u = np.minimum(after, length)
    triangle = tail.clast * (u - u * u / (2 * length))
    rate = np.where(tail.kind == 2, tail.rate, 1.0)
    exponential = tail.clast * -np.expm1(-rate * after) / rate
    added = np.where(tail.kind == 1, triangle, exponential)
    return inside + np.where(beyond, added, 0.0)
