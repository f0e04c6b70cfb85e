"""Thresholds between negative and positive events: from a control, at the valley, by the slope.

All functions take the values of one marker on the drawn scale. They return a number only where the
data hold one: the middle of a single peak is no threshold.

Valley and slope look at a kernel density on a grid. Its bandwidth is the normal reference rule for
the *first derivative* of a density, since peaks, valleys and slopes are features of that
derivative: h = (4/5)^(1/7) s n^(-1/7) (Chacón, Duong and Wand 2011, Statistica Sinica 21:807
[recalled]). The spread s is that of the main peak alone: the shortest interval that holds a quarter of
the events, over 0.637, which is the standard deviation for normal values. A standard deviation of
all events would smear two peaks into one. Even so s is too large where the main peak is broad or holds half of the
events, so peaks and valleys are looked for with half that bandwidth; bumps that are chance are sorted out by
their number of events.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

Floats = NDArray[np.float64]

GRID = 2048
"""Steps of the grid."""
OUTLIERS = 0.0005
"""Share of the events at each end that does not decide how far the grid reaches."""
BEYOND = 0.25
"""How far the grid goes beyond the rest, as a share of its span. What lies outside is left out."""
QUARTER_WIDTH = 0.6373
"""Width of the shortest interval that holds a quarter of a normal distribution, in standard deviations."""

PEAK_BANDWIDTH = 0.5
"""Share of the bandwidth with which peaks and valleys are looked for. House value: at 0.5 none of 3,000 samples of one
normal, gamma, t, Laplace or uniform population had a valley, at 0.35 three uniform ones had."""
PEAK_SHARE = 0.005
"""Least share of the events that makes a peak. House value: below it a bump is as often an artefact as a population."""
VALLEY_DEPTH = 0.75
"""A valley is no higher than this share of the lower of its two peaks. House value."""
VALLEY_SIGMAS = 4.0
"""The lower peak holds so many standard errors more events than the level of the valley would (excess mass; Müller and
Sawitzki 1991, J Am Stat Assoc 86:738 [recalled]). House value; a peak that stands alone takes 16 events."""
VALLEY_FLOOR = 0.05
"""The threshold is the middle of the stretch about the lowest point that is no more than this share of the way up to
the lower peak: in a wide empty gap the lowest point itself is chance. House value."""
SLOPE_HEIGHT = 0.3
"""The negative peak has run out only below this share of its height. flowDensity's ``magnitude``."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A threshold, or why there is none."""

    value: float | None
    n_events: int
    """Events that it was looked for in."""
    reason: str = ""
    """Why there is none; or a remark on the value."""


@dataclass(frozen=True, slots=True)
class Density:
    """Events on a grid, and how to smooth them."""

    x: Floats
    """(GRID,) middles of the steps."""
    counts: Floats
    """(GRID,) events in each step."""
    bandwidth: float
    n_events: int

    def smooth(self, share: float = 1.0) -> Floats:
        """Return (GRID,) smoothed events in each step, with that share of the bandwidth."""
        steps = max(share * self.bandwidth / float(self.x[1] - self.x[0]), 2.0)
        smoothed: Floats = gaussian_filter1d(self.counts, steps, mode="constant", truncate=5.0)
        return smoothed


def from_control(values: Floats, tail_percent: float, min_tail_events: int = 1) -> Estimate:
    """Return the threshold above which ``tail_percent`` of a control lies.

    An event is positive at or above the threshold. Of n events at most floor(n tail / 100) are; the threshold
    is half way between the lowest of them and the next one below, so that equal values stay on one side.

    Parameters
    ----------
    values : (n,)
        The control's events on the drawn scale.
    tail_percent
        Share of the control above the threshold, %.
    min_tail_events
        Fewest events above it; with fewer the control is too small for that share.
    """
    finite = values[np.isfinite(values)]
    n = len(finite)
    tail = math.floor(n * tail_percent / 100 + 1e-9)
    if tail < max(min_tail_events, 1):
        needed = math.ceil(max(min_tail_events, 1) * 100 / tail_percent - 1e-9)
        return Estimate(
            None, n, f"{n} events in the control; {tail_percent:g} % above it takes {needed} or more"
        )
    highest = np.sort(np.partition(finite, n - tail - 1)[n - tail - 1 :])
    below = highest[0]
    above = highest[highest > below]
    if len(above) < min_tail_events:
        return Estimate(None, n, "too many events of the control have one and the same high value")
    middle = below + (above[0] - below) / 2
    return Estimate(float(middle if middle > below else above[0]), n)


def valley(values: Floats) -> Estimate:
    """Return the lowest density between the negative peak and the positive one.

    The negative peak is the lowest one on the scale, the positive one the highest (by events) above it.
    A peak holds at least :data:`PEAK_SHARE` of the events, and the density between two peaks falls to
    :data:`VALLEY_DEPTH` of the lower one by more than chance; with one peak there is no valley.
    """
    density = density_of(values)
    if isinstance(density, str):
        return Estimate(None, int(np.isfinite(values).sum()), density)
    y = density.smooth(PEAK_BANDWIDTH)
    peaks = peaks_of(y)
    if len(peaks) < 2:
        return Estimate(None, density.n_events, "one peak, so no valley between negative and positive")
    positive = max(peaks[1:], key=lambda p: float(y[p]))
    low = peaks[0]
    lowest = low + int(np.argmin(y[low : positive + 1]))
    floor = y[lowest] + VALLEY_FLOOR * (min(y[low], y[positive]) - y[lowest])
    left, right = lowest, lowest
    while y[left - 1] <= floor:
        left -= 1
    while y[right + 1] <= floor:
        right += 1
    remark = f"{len(peaks)} peaks; the valley below the largest positive one" if len(peaks) > 2 else ""
    return Estimate(float((density.x[left] + density.x[right]) / 2), density.n_events, remark)


def slope(values: Floats, slope_fraction: float) -> Estimate:
    """Return where the right side of the negative peak has run out.

    That is the first place right of the steepest fall where the density falls by less than
    ``slope_fraction`` of the steepest, and is lower than :data:`SLOPE_HEIGHT` of the peak. A single peak
    is taken for the negative one: nothing in the values tells it from a positive one.

    It is trackSlope of flowDensity (Malek 2015, Bioinformatics 31:606) with upper = TRUE, and differs from
    it in four ways: the negative peak is the lowest peak on the scale, not the last one; only its own side up to the
    next valley counts, not all to its right; places before the steepest fall don't count, where the
    flat top has a small slope, too; the density is smoothed by the rule of this module, not by R's
    bw.nrd0 and a spline, and every step of the grid is looked at, not each fourth of 512 points.
    """
    density = density_of(values)
    if isinstance(density, str):
        return Estimate(None, int(np.isfinite(values).sum()), density)
    fine = density.smooth(PEAK_BANDWIDTH)
    peaks = peaks_of(fine)
    peak = peaks[0]
    end = peak + 1 + int(np.argmin(fine[peak + 1 : peaks[1]])) if len(peaks) > 1 else len(fine) - 1
    y = density.smooth()
    fall = -np.gradient(y)[peak : end + 1]
    steepest = int(np.argmax(fall))
    after = np.arange(steepest, len(fall))
    done = after[(fall[after] < slope_fraction * fall[steepest]) & (y[peak + after] < SLOPE_HEIGHT * y[peak])]
    if not len(done):
        return Estimate(
            None, density.n_events, "the negative peak does not run out before the next population"
        )
    remark = "" if len(peaks) > 1 else "one peak, taken for the negative one"
    return Estimate(float(density.x[peak + done[0]]), density.n_events, remark)


def density_of(values: Floats) -> Density | str:
    """Put (n,) values on a grid; or say in words why that can't be done."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return "no events"
    low, high = np.quantile(finite, [OUTLIERS, 1 - OUTLIERS])
    if not high > low:
        return "all events have the same value"
    beyond = BEYOND * (high - low)
    edges = np.linspace(low - beyond, high + beyond, GRID + 1)
    step = edges[1] - edges[0]
    place = (finite - edges[0]) / step
    inside = place[(place >= 0) & (place < GRID)].astype(np.intp)
    counts = np.bincount(inside, minlength=GRID).astype(np.float64)
    spread = _quarter_width(counts) * step / QUARTER_WIDTH
    bandwidth = (4 / 5) ** (1 / 7) * spread * len(finite) ** (-1 / 7)
    return Density(edges[:-1] + step / 2, counts, float(bandwidth), len(finite))


def _quarter_width(counts: Floats) -> float:
    """Width of the shortest interval with a quarter of the events, in steps."""
    total = np.concatenate([[0.0], np.cumsum(counts)])
    steps = np.arange(len(total), dtype=np.float64)
    starts = total[total <= 0.75 * total[-1]]
    # Events lie evenly within a step, so that narrow peaks have a width, too.
    climb = total + steps * 1e-9
    ends = np.interp(starts + 0.25 * total[-1], climb, steps)
    return float(np.min(ends - steps[: len(starts)]))


def peaks_of(y: Floats) -> list[int]:
    """Return the peaks of smoothed events (GRID,), from left to right, as places on the grid; at least one."""
    # A peak at the first or last step is one, too.
    found, _ = find_peaks(np.concatenate([[0.0], y, [0.0]]))
    peaks = [int(p) - 1 for p in found]
    while len(peaks) > 1:
        valleys = [a + int(np.argmin(y[a : b + 1])) for a, b in pairwise(peaks)]
        lower = [a if y[a] < y[b] else b for a, b in pairwise(peaks)]
        ratio = y[valleys] / y[lower]
        chance = [_excess(y, p, float(y[v])) < VALLEY_SIGMAS for p, v in zip(lower, valleys, strict=True)]
        shallow = (ratio > VALLEY_DEPTH) | chance
        if shallow.any():
            peaks.remove(lower[int(np.argmax(np.where(shallow, ratio, -1.0)))])
            continue
        cuts = [0, *valleys, len(y)]
        events = [float(y[a:b].sum()) for a, b in pairwise(cuts)]
        if min(events) >= PEAK_SHARE * y.sum():
            break
        peaks.pop(int(np.argmin(events)))
    return peaks


def _excess(y: Floats, peak: int, level: float) -> float:
    """Events about a peak beyond those under a level, in standard errors of the events there."""
    low = y <= level
    left = peak - int(np.argmax(low[peak::-1])) if low[: peak + 1].any() else -1
    right = peak + int(np.argmax(low[peak:])) if low[peak:].any() else len(y)
    about = y[left + 1 : right]
    return float((about - level).sum() / math.sqrt(about.sum()))
