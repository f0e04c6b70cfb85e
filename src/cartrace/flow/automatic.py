"""Automatic gates on scatter: singlets, and an ellipse around a peak.

Both are found on the events of the parent gate, in the coordinates in which FlowKit applies them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label, maximum_filter

Floats = NDArray[np.float64]

GRID = 256
"""Steps of the grid on each axis."""
OUTLIERS = 0.001
"""Share of the events at each end of an axis that does not decide how far the grid reaches."""
LOW_EDGE = 0.1
"""Peaks in this lowest share of the first axis are debris. House value."""
PEAK_HEIGHT = 0.05
"""Least height of a peak that is looked for near a place, as a share of the highest peak that is no debris. House value."""
CORE = 0.5
"""Share of a peak's own events from which its centre and shape are taken: the rest may be the neighbour's."""
MOST_GROWTH = 2.0
"""A core whose area grows to more than this many times the first look at it has no border of its own. House value."""
ROUNDS = 200


@dataclass(frozen=True, slots=True)
class Singlets:
    """A wedge about one ratio of height to area."""

    vertices: Floats
    """(3, 2) area, height: the origin, and the lower and upper edge at the far end."""
    ratio: float
    """Median of height / area."""
    half_width: float


@dataclass(frozen=True, slots=True)
class Ellipse:
    """The events within one Mahalanobis distance of a centre."""

    centre: Floats
    """(2,)"""
    covariance: Floats
    """(2, 2)"""
    distance_square: float


def find_singlets(area: Floats, height: Floats, mads: float, top: float) -> Singlets | str:
    """Return the band of height / area that holds single cells; or, in words, why there is none.

    Two cells that pass together have twice the area and the height of one, so their ratio is low.
    The band is the median ratio plus and minus ``mads`` raw median absolute deviations (5 are 3.4
    standard deviations of a normal distribution); both are robust while fewer than half of the events are
    doublets. In area-height space the band is a triangle from the origin, so events without area lie outside.

    Parameters
    ----------
    area, height : (n,)
        Linear values.
    top
        Area up to which the triangle has to reach; it reaches further where the tube does.
    """
    positive = (area > 0) & np.isfinite(height)
    if not positive.any():
        return "no event has an area above 0"
    ratio = height[positive] / area[positive]
    middle = float(np.median(ratio))
    half = mads * float(np.median(np.abs(ratio - middle)))
    if not half > 0:
        return "height / area is the same in most events: the two are no separate measurements"
    if not middle > half:
        return "height / area varies too much for a band around its median"
    far = 2 * max(top, float(area[positive].max()))
    return Singlets(
        np.array([[0.0, 0.0], [far, far * (middle - half)], [far, far * (middle + half)]]), middle, half
    )


def find_ellipse(x: Floats, y: Floats, coverage: float, near: tuple[float, float] | None) -> Ellipse | str:
    """Return the ellipse around a peak of the density; or, in words, why there is none.

    The peak is the densest one (or the one nearest to ``near``) of the smoothed density. A peak in the
    lowest :data:`LOW_EDGE` of the first axis is debris, however dense, and never chosen unless ``near`` is
    given; the axis begins at 0, or at the lowest events where they are negative. Centre and covariance are those of the
    peak's own core: starting from the patch about the peak that is above half its height, the
    events within the Mahalanobis distance that holds :data:`CORE` of a normal distribution are taken again
    until they stay the same. The covariance of such a cut normal distribution is too small by a known
    factor, which is undone (as in the minimum covariance determinant; Croux and Haesbroeck 1999, J Multivariate Anal
    71:161 [recalled]). The radius is the chi-square quantile of ``coverage`` with 2 degrees of freedom.

    Parameters
    ----------
    x, y : (n,)
        Events in the coordinates of the gate.
    coverage
        Share of the peak's own events, were it normal.
    near
        Where about the peak is, in the same coordinates.
    """
    finite = np.isfinite(x) & np.isfinite(y)
    grid = _grid_of(x[finite], y[finite])
    if isinstance(grid, str):
        return grid
    counts, edges_x, edges_y = grid
    middles = [(e[:-1] + e[1:]) / 2 for e in (edges_x, edges_y)]
    smooth = gaussian_filter(counts, _bandwidths(counts), mode="constant")
    peak = _peak_of(smooth, middles, near)
    if peak is None:
        return "no peak outside the low edge, where debris lies"
    patch, _ = label(smooth >= smooth[peak] / 2)
    inside = patch == patch[peak]
    points = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1)
    return _core_of(counts, points, inside, coverage)


def _grid_of(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats] | str:
    """Events on a grid, and its edges: fixed by the events alone, so that their order does not matter."""
    if not len(x):
        return "no events"
    edges = []
    places = []
    for values in (x, y):
        low, high = np.quantile(values, [OUTLIERS, 1 - OUTLIERS])
        if not high > low:
            return "all events have the same value"
        edge = np.linspace(low, high, GRID + 1)
        edges.append(edge)
        places.append(np.floor((values - low) / (edge[1] - edge[0])))
    column, row = places
    inside = (column >= 0) & (column < GRID) & (row >= 0) & (row < GRID)
    cell = (column[inside] * GRID + row[inside]).astype(np.intp)
    counts = np.bincount(cell, minlength=GRID * GRID).astype(np.float64).reshape(GRID, GRID)
    return counts, edges[0], edges[1]


def _bandwidths(counts: Floats) -> tuple[float, float]:
    """Return the normal reference rule for two dimensions, n^(-1/6) s (Silverman 1986, 4.3), in steps.

    s is a quarter of what the middle half of the events spans: scatter has several peaks, and one
    of them is narrower than all together. House value.
    """
    total = counts.sum()
    steps = np.arange(GRID, dtype=np.float64)
    bandwidths = []
    for axis in (1, 0):
        part = np.cumsum(counts.sum(axis=axis)) / total
        spread = (np.interp(0.75, part, steps) - np.interp(0.25, part, steps)) / 4
        bandwidths.append(max(1.5, float(spread * total ** (-1 / 6))))
    return bandwidths[0], bandwidths[1]


def _peak_of(
    smooth: Floats, middles: list[Floats], near: tuple[float, float] | None
) -> tuple[int, int] | None:
    """Place of the peak on the grid."""
    heights = np.where(smooth == maximum_filter(smooth, size=5), smooth, 0.0)
    lowest = min(0.0, float(middles[0][0]))
    no_debris = (middles[0] >= lowest + LOW_EDGE * (middles[0][-1] - lowest))[:, np.newaxis]
    highest = float((heights * no_debris).max())
    if near is None:
        where = np.argwhere((heights == highest) & no_debris & (heights > 0))
        return (int(where[0][0]), int(where[0][1])) if len(where) else None
    where = np.argwhere((heights > 0) & (heights >= PEAK_HEIGHT * highest))
    away = sum(((m[w] - n) / (m[-1] - m[0])) ** 2 for m, w, n in zip(middles, where.T, near, strict=True))
    best = where[int(np.argmin(away))]
    return int(best[0]), int(best[1])


def _core_of(counts: Floats, points: Floats, inside: NDArray[np.bool_], coverage: float) -> Ellipse | str:
    """Centre and covariance from the events of the core, taken again until they stay the same."""
    cut = -2 * math.log(1 - CORE)
    # Covariance of a normal distribution cut at that distance, as a share of the whole one.
    shrunk = 1 - (cut / 2) * (1 - CORE) / CORE
    step = points[1, 1] - points[0, 0]
    first_area = 0.0
    for _ in range(ROUNDS):
        weights = counts * inside
        if np.count_nonzero(weights) < 10:
            return "too few events about the peak"
        centre = np.tensordot(weights, points, 2) / weights.sum()
        away = points - centre
        covariance = np.einsum("ij,ijk,ijl->kl", weights, away, away) / weights.sum() / shrunk
        area = math.sqrt(max(float(np.linalg.det(covariance)), 0.0))
        # All in one row of squares have no variance but that of rounding: 1 / 12 is that inside a square.
        if np.linalg.eigvalsh(covariance / np.outer(step, step))[0] < 1 / 12:
            return "the events about the peak lie on a line"
        first_area = first_area or area
        if area > MOST_GROWTH * first_area:
            return "the peak has no border of its own; say where it is (near), or use a polygon"
        distance = np.einsum("ijk,kl,ijl->ij", away, np.linalg.inv(covariance), away)
        now = distance <= cut
        if np.array_equal(now, inside):
            break
        inside = now
    return Ellipse(centre, covariance, -2 * math.log(1 - coverage))
