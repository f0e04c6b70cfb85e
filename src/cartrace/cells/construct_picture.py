"""The picture of a construct as SVG: domains, what reads tell, and where reads of each chemistry lie."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np

from cartrace.cells.ambiguity import start_weights
from cartrace.cells.vocabulary import REGION_CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from cartrace.cells.ambiguity import Ambiguity
    from cartrace.cells.constructs import Construct
    from cartrace.cells.settings import Reference

WIDTH, LEFT, RIGHT = 960, 110, 20
ROW = 22
BINS = 400
"""Most points of a curve: more would not be seen."""
COLOURS = {"discriminative": "#1b7f5c", "ambiguous": "#e0a030", "endogenous_like": "#b03a48"}
_CODING, _OTHER = "#c9d8ea", "#e4e4e4"


def picture(
    construct: Construct, ambiguity: Ambiguity, settings: Reference, chemistries: Sequence[str]
) -> str:
    """Draw one construct; text of the annotation is escaped."""
    lanes = _lanes(construct)
    top = 40
    classes_at = top + ROW * max(len(lanes), 1) + 12
    curve_at = classes_at + ROW + 14
    reads_at = curve_at + 60 + 18
    height = reads_at + 60 + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="11" role="img" aria-label="{escape(construct.name, {chr(34): "&quot;"})}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(LEFT, 20, f"{construct.name}, {ambiguity.length} bases", size=13),
        *_domain_boxes(construct, lanes, top),
        _text(4, classes_at + 15, "reads of a start"),
        *_class_band(ambiguity, classes_at),
        _text(4, curve_at + 34, "provable share"),
        _area(ambiguity.mappability, ambiguity.length, curve_at, 60, COLOURS["discriminative"]),
        _text(4, reads_at + 34, "reads start"),
        *_read_curves(ambiguity, settings, chemistries, reads_at),
        *_axis(ambiguity.length, reads_at + 64),
        *_legend(),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _x(position: float, length: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * position / length, 1)


def _text(x: float, y: float, text: str, *, size: int = 11, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'


def _lanes(construct: Construct) -> list[list[int]]:
    """Put domains that overlap below each other: numbers of domains, lane by lane."""
    lanes: list[list[int]] = []
    order = sorted(range(len(construct.domains)), key=lambda i: construct.domains[i].start)
    for i in order:
        domain = construct.domains[i]
        for lane in lanes:
            if construct.domains[lane[-1]].end < domain.start:
                lane.append(i)
                break
        else:
            lanes.append([i])
    return lanes


def _domain_boxes(construct: Construct, lanes: Sequence[Sequence[int]], top: int) -> Iterator[str]:
    length = len(construct.sequence)
    begin, stop = construct.coding or (0, -1)
    for row, lane in enumerate(lanes):
        for i in lane:
            d = construct.domains[i]
            start, end = sorted((d.start, d.end))
            start, end = max(start, 1), min(end, length)
            if start > length or end < 1:
                continue
            x, y = _x(start - 1, length), top + ROW * row
            width = max(round(_x(end, length) - x, 1), 1)
            colour = _CODING if begin <= start and end <= stop else _OTHER
            yield (
                f'<rect x="{x}" y="{y}" width="{width}" height="{ROW - 4}" fill="{colour}" stroke="#667">'
                f"<title>{escape(f'{d.name}, {d.kind}, {d.start}-{d.end}')}</title></rect>"
            )
            if width > 6.5 * len(d.name):
                yield _text(x + width / 2, y + 13, d.name, anchor="middle")


def _class_band(ambiguity: Ambiguity, y: int) -> Iterator[str]:
    for start, end in ambiguity.stretches():
        name = REGION_CLASSES[ambiguity.classes[start]]
        gene = ambiguity.gene[start] if ambiguity.classes[start] else ""
        x = _x(start, ambiguity.length)
        width = round(_x(end, ambiguity.length) - x, 1)
        told = f"{name}{' ' + gene if gene else ''}, {start + 1}-{end}"
        yield (
            f'<rect x="{x}" y="{y}" width="{width}" height="{ROW}" fill="{COLOURS[name]}">'
            f"<title>{escape(told)}</title></rect>"
        )
        if gene and width > 7 * len(gene):
            yield _text(x + width / 2, y + 15, gene, anchor="middle")


def _area(values: NDArray[np.float64], length: int, y: int, height: int, colour: str) -> str:
    """Draw values of 0 to 1 as an area."""
    edges = np.unique(np.linspace(0, len(values), min(BINS, len(values)) + 1).astype(int))
    points = [f"{_x(0, length)},{y + height}"]
    last = y + height * 1.0
    for a, b in pairwise(edges):
        level = round(y + height * (1 - float(values[a:b].mean())), 1)
        if level != last:
            points += [f"{_x(int(a), length)},{last}", f"{_x(int(a), length)},{level}"]
        last = level
    points += [f"{_x(len(values), length)},{last}", f"{_x(len(values), length)},{y + height}"]
    return f'<polygon points="{" ".join(points)}" fill="{colour}" fill-opacity="0.55"/>'


def _read_curves(
    ambiguity: Ambiguity, settings: Reference, chemistries: Sequence[str], y: int
) -> Iterator[str]:
    colours = {"5p": "#3b5ba5", "3p": "#8a5aa8"}
    for chemistry in chemistries:
        weights = start_weights(ambiguity.length, ambiguity.read_length, chemistry, settings)
        yield _area(weights / weights.max(), ambiguity.length, y, 60, colours[chemistry])
        at = int(weights.argmax())
        yield _text(
            _x(at, ambiguity.length), y - 3, {"5p": "5' reads", "3p": "3' reads"}[chemistry], anchor="middle"
        )


def _axis(length: int, y: int) -> Iterator[str]:
    step = next(s for s in (100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000) if length / s <= 12)
    yield f'<path d="M{_x(0, length)} {y}H{_x(length, length)}" stroke="#333"/>'
    for at in range(0, length + 1, step):
        x = _x(at, length)
        yield f'<path d="M{x} {y}v4" stroke="#333"/>'
        yield _text(x, y + 16, str(at), anchor="middle")


def _legend() -> Iterator[str]:
    x = 470
    for name, colour in COLOURS.items():
        yield f'<rect x="{x}" y="11" width="11" height="11" fill="{colour}"/>'
        yield _text(x + 16, 20, name.replace("_", "-"))
        x += 150
