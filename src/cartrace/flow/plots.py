"""Pictures of gates: where the events of the parent lie, and the outline of the gate over them.

A picture is small enough to stand in a report a thousand times: a byte for each bin, and outlines
as corners on the drawn scale.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bound = float | None

BINS = 64
MOST_EVENTS = 200_000
"""Events that are drawn of one parent; of more, every k-th."""
ELLIPSE_CORNERS = 72
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a picture."""

    label: str
    scale: Callable[[Floats], Floats] | None
    """Linear value -> drawn value; None: drawn as it is."""
    top: float
    """Top of the linear scale ($PnR)."""

    @property
    def unit(self) -> float | None:
        """Drawn length of 1 where the scale is a line through 0; None where it bends."""
        if self.scale is None:
            return 1.0
        zero, half, top = (float(v) for v in self.scale(np.array([0.0, self.top / 2, self.top])))
        straight = abs(zero) < 1e-9 * abs(top) and abs(half - top / 2) < 1e-9 * abs(top)
        return top / self.top if straight else None


@dataclass(frozen=True, slots=True)
class Outline:
    """The edge of a gate on the drawn scale."""

    corners: tuple[tuple[tuple[float, float], ...], ...] = ()
    """Closed outlines in two dimensions."""
    bounds: tuple[tuple[Bound, Bound], ...] = ()
    """(lowest, highest) of each axis, for a gate that is a box; None: open."""

    def on(self, low: Sequence[float], high: Sequence[float]) -> list[list[list[float | None]]]:
        """Return what is drawn between ``low`` and ``high`` of each axis; a box is cut at the edges.

        In one dimension an outline is ``[[lowest, 0], [highest, 0]]``, None where it is open.
        """
        if not self.bounds:
            return [[[float(x), float(y)] for x, y in corners] for corners in self.corners]
        if len(low) == 1:
            lowest, highest = self.bounds[0]
            return [[[lowest, 0.0], [highest, 0.0]]]
        (x0, x1), (y0, y1) = (
            (low[i] if a is None else a, high[i] if b is None else b)
            for i, (a, b) in enumerate(self.bounds[:2])
        )
        return [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]]


def outline_of(gate: Any, quadrant: str = "") -> Outline:
    """Return the outline of a FlowKit gate in its first two dimensions (one where it has only one).

    A boolean gate has no outline of its own.
    """
    if gate.gate_type == "PolygonGate":
        return Outline(corners=(tuple((float(x), float(y)) for x, y in gate.vertices),))
    if gate.gate_type == "EllipsoidGate":
        return Outline(corners=(_ellipse(gate),))
    if gate.gate_type == "RectangleGate":
        return Outline(
            bounds=tuple((getattr(d, "min", None), getattr(d, "max", None)) for d in gate.dimensions[:2])
        )
    if gate.gate_type == "QuadrantGate":
        ranges = gate.quadrants[quadrant]
        return Outline(
            bounds=tuple(
                tuple(ranges.get_divider_range(d.id)) if d.id in ranges.divider_refs else (None, None)
                for d in gate.dimensions[:2]
            )
        )
    return Outline()


def picture(
    columns: Sequence[Floats], axes: Sequence[Axis], outline: Outline, bins: int = BINS
) -> dict[str, object]:
    """Return a row of flow.tables.PLOTS, without tube and gate.

    Parameters
    ----------
    columns
        One or two arrays (n,): the parent's events on the drawn scale. Events outside the picture count to
        its outermost bins.
    axes
        As many axes.
    outline
        On the same scale.
    """
    places = [
        _span(values, axis, outline, i) for i, (values, axis) in enumerate(zip(columns, axes, strict=True))
    ]
    lows, highs = [p[0] for p in places], [p[1] for p in places]
    if len(columns[0]):
        every = -(-len(columns[0]) // MOST_EVENTS)
        shown = [
            np.clip(((c[::every] - low) / (high - low) * bins).astype(np.int64), 0, bins - 1)
            for c, low, high in zip(columns, lows, highs, strict=True)
        ]
        place = shown[0] if len(shown) == 1 else shown[1] * bins + shown[0]
        counts = np.bincount(place, minlength=bins ** len(columns))
    else:
        counts = np.zeros(bins ** len(columns), dtype=np.int64)
    fullest = int(counts.max())
    # The square root shows rare cells beside crowds; a bin with any event is never white.
    shade = np.ceil(255 * np.sqrt(counts / fullest)) if fullest else counts
    two = len(columns) == 2
    return {
        "x_label": axes[0].label,
        "y_label": axes[1].label if two else None,
        "x_low": lows[0],
        "x_high": highs[0],
        "y_low": lows[1] if two else None,
        "y_high": highs[1] if two else None,
        "bins": bins,
        "density": base64.b64encode(shade.astype(np.uint8).tobytes()).decode("ascii"),
        "fullest": fullest,
        "outline": json.dumps(_rounded(outline.on(lows, highs))),
        "x_ticks": json.dumps(_ticks(axes[0], lows[0], highs[0]), ensure_ascii=False),
        "y_ticks": json.dumps(_ticks(axes[1], lows[1], highs[1]), ensure_ascii=False) if two else None,
    }


def _ellipse(gate: Any) -> tuple[tuple[float, float], ...]:
    covariance = np.asarray(gate.covariance_matrix, dtype=float)[:2, :2]
    angle = np.linspace(0, 2 * math.pi, ELLIPSE_CORNERS, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    # x' C^-1 x = d2 is the unit circle, stretched by the root of C.
    edge = math.sqrt(gate.distance_square) * np.linalg.cholesky(covariance) @ circle
    return tuple((float(x), float(y)) for x, y in (edge.T + np.asarray(gate.coordinates, dtype=float)[:2]))


def _span(values: Floats, axis: Axis, outline: Outline, place: int) -> tuple[float, float]:
    """Choose the edges of an axis: all but the outermost events, and all of the gate that is finite."""
    edges = [c[place] for corners in outline.corners for c in corners]
    edges += [b for b in (outline.bounds[place] if place < len(outline.bounds) else ()) if b is not None]
    low_seen, high_seen = np.quantile(values, [0.001, 0.999]) if len(values) else (math.inf, -math.inf)
    unit = axis.unit
    if axis.scale is None or unit is not None:
        # Values may fill a small part of the range that the file states.
        low, high = min(0.0, float(low_seen)), max(float(high_seen), 0.0)
        far = 1.5 * max(high, -low) or axis.top * (unit or 1.0)
    else:
        zero, top = (float(v) for v in axis.scale(np.array([0.0, axis.top])))
        low, high = min(float(low_seen), zero - 0.05 * (top - zero)), top
        far = 2 * top
    # An edge far beyond the scale stands for an open side.
    edges = [e for e in edges if abs(e) < far]
    low, high = min([low, *edges]), max([high, *edges])
    margin = 0.02 * (high - low) or 1.0
    return low - margin, high + margin


def _ticks(axis: Axis, low: float, high: float) -> list[list[object]]:
    unit = axis.unit
    if axis.scale is None or unit is not None:
        unit = unit or 1.0
        step = _nice((high - low) / unit / 4)
        steps = range(math.ceil(low / unit / step), math.floor(high / unit / step) + 1)
        return [[round(n * step * unit, 6), _plain(n * step)] for n in steps]
    decades = [10.0**d for d in range(2, 8)]
    values: Floats = np.array([-1e4, -1e3, 0.0, *decades], dtype=np.float64)
    out: list[list[object]] = []
    last = -math.inf
    for value, place in zip(values, axis.scale(values), strict=True):
        if low <= place <= high and place - last > 0.09 * (high - low):
            out.append([round(float(place), 5), _power(float(value))])
            last = float(place)
    return out


def _nice(step: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= step * 0.999)


def _plain(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value / 1000:g}k"
    return f"{value:g}"


def _power(value: float) -> str:
    if value == 0:
        return "0"
    return ("−" if value < 0 else "") + "10" + str(round(math.log10(abs(value)))).translate(SUPERSCRIPTS)


def _rounded(outlines: list[list[list[float | None]]]) -> list[list[list[float | None]]]:
    # Five digits are finer than any screen, and the report holds thousands of corners.
    return [[[None if v is None else float(f"{v:.5g}") for v in corner] for corner in o] for o in outlines]
