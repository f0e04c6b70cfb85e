"""Spillover matrices: where they come from, and whether one was applied once."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cartrace.flow.fcs import Spillover
from cartrace.intake.sheets import quote
from cartrace.problems import InputError, Problem, raise_if_any

if TYPE_CHECKING:
    from cartrace.flow.engine import TubeValues
    from cartrace.flow.fcs import FcsData
    from cartrace.flow.panel import Panel

Floats = NDArray[np.float64]

_MAX_CHANNELS = 200
_WORST_CONDITION = 1e8
"""A matrix beyond it loses all digits of a float32 on being inverted."""
_DIAGONAL = 1e-6

_EVENTS = 60_000
"""Events that are looked at, evenly over the tube."""
_PER_GROUP = 3_000
_MIN_BRIGHT = 200
_BRIGHT = 20.0
"""Bright: this many times the width of the channel's negative events above them."""
_POSITIVE = 8.0
_MANY_CHANNELS = 6
_BINS = 6
_SATURATED = 0.995
_CALM_BINS = 4
_STEADY = 1.3
_TREND = 0.2
_NARROW = 0.25
"""Spillover is the same share of the bright channel in all bins, and narrow; a second marker of the same cells is not."""


@dataclass(frozen=True, slots=True)
class CompensationCheck:
    """What is left of the spillover after compensation."""

    over: float | None
    """Steepest slope by which a bright channel pulls another below zero; None: too few bright events."""
    over_pair: tuple[str, str]
    """Channel names: the bright one, the other one."""
    under: float | None
    """Steepest slope by which a bright channel lifts the dimmest events of another one."""
    under_pair: tuple[str, str]


def read_compensation_csv(text: str, name: str) -> Spillover:
    """Read a csv: channel names in the first row (and maybe in the first column), then the matrix.

    Fields are divided by commas, tabs or semicolons (then a comma may be the decimal mark). Of
    FlowJo's 'FITC-A :: CD3' the channel counts. The header may begin with '#'. Rows that are
    named go by their names.

    Raises
    ------
    InputError
        With every cell that is no number, and when the matrix is not square or can't be inverted.
    """
    lines = [(i, line) for i, line in enumerate(text.lstrip("\ufeff").splitlines(), 1) if line.strip()]
    if not lines:
        raise InputError([Problem(name, "an empty file", "a spillover matrix")])
    header_line, header = lines[0][0], lines[0][1].lstrip("# ")
    mark = max("\t;,", key=header.count)
    try:
        cells = [_split(header, mark), *(_split(line, mark) for _, line in lines[1:])]
    except csv.Error as error:
        raise InputError([Problem(name, f"broken text ({error})", "a spillover matrix")]) from None
    body, numbers = cells[1:], [number for number, _ in lines[1:]]
    named = bool(body) and all(row and _number(row[0], mark) is None for row in body)
    # A named first column has an empty corner above it, some other word, or nothing at all.
    names = cells[0]
    if named and body and len(names) == len(body[0]):
        names = names[1:]
    channels = [_channel(n) for n in names]
    rows = [row[1:] if named else row for row in body]
    problems = list(_shape_problems(channels, rows, numbers, header_line, name))
    raise_if_any(problems)
    values = np.full((len(channels), len(channels)), math.nan)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            number = _number(cell, mark)
            if number is None:
                problems.append(Problem(name, quote(cell), "a number", numbers[i], channels[j]))
            else:
                values[i, j] = number
    raise_if_any(problems)
    if named:
        values = _by_row_names([_channel(r[0]) for r in body], channels, values, numbers, name)
    spillover = Spillover(tuple(channels), values)
    raise_if_any(list(_matrix_problems(spillover, name)))
    return spillover


def _split(line: str, mark: str) -> list[str]:
    cells = [c.strip() for c in next(csv.reader([line], delimiter=mark))]
    return cells[:-1] if len(cells) > 1 and not cells[-1] else cells


def _number(cell: str, mark: str) -> float | None:
    text = cell.replace(",", ".") if mark == ";" and "." not in cell else cell
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text, re.ASCII):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _channel(label: str) -> str:
    return label.partition(" :: ")[0].strip()


def _shape_problems(
    channels: Sequence[str], rows: Sequence[Sequence[str]], lines: Sequence[int], header: int, name: str
) -> Iterator[Problem]:
    n = len(channels)
    if n > _MAX_CHANNELS:
        yield Problem(name, f"{n} channels", f"at most {_MAX_CHANNELS}", header)
        return
    for i, channel in enumerate(channels):
        if not channel:
            yield Problem(name, f"no name of channel {i + 1}", "a channel name", header)
        elif channel in channels[:i]:
            yield Problem(name, f"the channel {quote(channel)} twice", "each channel once", header)
    if len(rows) != n:
        yield Problem(name, f"{len(rows)} rows for {n} channels", "a square matrix", header)
    for line, row in zip(lines, rows, strict=True):
        if len(row) != n:
            yield Problem(name, f"{len(row)} values for {n} channels", "a square matrix", line)


def _by_row_names(
    rows: Sequence[str], channels: Sequence[str], values: Floats, lines: Sequence[int], name: str
) -> Floats:
    problems = [
        Problem(name, f"the row of {quote(row)}", "one row for each channel of the header", line)
        for i, (row, line) in enumerate(zip(rows, lines, strict=True))
        if row not in channels or row in rows[:i]
    ]
    raise_if_any(problems)
    return values[[rows.index(c) for c in channels]]


def _matrix_problems(spillover: Spillover, name: str) -> Iterator[Problem]:
    for channel, value in zip(spillover.channels, np.diag(spillover.matrix), strict=True):
        if abs(value - 1) > _DIAGONAL:
            percent = " (percent? divide all by 100)" if value == 100 else ""
            yield Problem(name, f"{value:g} on the diagonal at {quote(channel)}{percent}", "1")
    if not np.linalg.cond(spillover.matrix) < _WORST_CONDITION:
        yield Problem(name, "a matrix that can't be inverted", "a spillover matrix")


def spillover_of(
    panel: Panel, data: FcsData, name: str, csv: Spillover | None = None, gates: Spillover | None = None
) -> Spillover | None:
    """Return the matrix that the panel chooses for a tube; None: data are not compensated.

    Its channels bear the names of the file, also where FlowJo wrote '_' for '/'.

    Parameters
    ----------
    csv
        The matrix of the csv that the panel names.
    gates
        The matrix that the drawn gates carry; None: they compensate nothing.

    Raises
    ------
    InputError
        When the file holds none, a channel of the matrix is missing, it can't be inverted, or the
        channels are compensated already (Comp- names) and a matrix would be applied again.
    """
    source = panel.matrix_source
    if source == "none" or (source == "gates" and gates is None):
        return None
    chosen = {"file": data.spillover, "csv": csv, "gates": gates}[source]
    if chosen is None:
        where = f"no spillover matrix in the {source}"
        allowed = "$SPILLOVER, SPILL or $COMP; or another compensation: source in the panel file"
        raise InputError([Problem(name, where, allowed if source == "file" else "a spillover matrix")])
    by_label = {n.replace("/", "_"): n for n in reversed(data.names)}
    found, problems = [], []
    for channel in chosen.channels:
        actual = channel if channel in data.names else by_label.get(channel)
        if actual is None and f"Comp-{channel}" in data.names:
            problems.append(
                Problem(
                    name,
                    f"{quote(f'Comp-{channel}')} in place of {quote(channel)}: compensated already",
                    "raw channels, or compensation: source: none in the panel file",
                )
            )
        elif actual is None:
            problems.append(
                Problem(name, f"no channel {quote(channel)}, which the matrix compensates", "its channels")
            )
        found.append(actual or channel)
    settled = Spillover(tuple(found), chosen.matrix)
    if not problems:
        problems = list(_matrix_problems(settled, name))
    raise_if_any(problems)
    # One channel spills into no other, and the Gating-ML of automatic gates has no matrix for it.
    return None if len(found) == 1 and panel.drawn is None else settled


def compensation_remark(panel: Panel, data: FcsData) -> str:
    """Say what is odd in how the panel has this tube compensated, for qc; empty: nothing."""
    source, remarks = panel.matrix_source, []
    own = data.spillover
    if own is not None and source in {"none", "file"}:
        is_identity = np.array_equal(own.matrix, np.eye(len(own.channels)))
        if source == "none" and not is_identity:
            remarks.append("the file carries a spillover matrix, and the panel applies none")
        if source == "file" and is_identity:
            remarks.append("the file's own matrix compensates nothing")
    analog = data.keywords.get("ANALOG_COMP", "").split(",")
    values = [v for v in map(_plain_number, analog[1:]) if v is not None]
    if any(v not in {0.0, 1.0} for v in values):
        remarks.append("the instrument compensated while it acquired (ANALOG_COMP)")
    if data.keywords.get("TRANSFORMATION", "").casefold() == "custom":
        remarks.append("flowCore wrote values that it had transformed")
    return "; ".join(remarks)


def _plain_number(text: str) -> float | None:
    return _number(text.strip(), ",")


def check_compensation(values: TubeValues, channels: Sequence[int]) -> CompensationCheck:
    """Look for spillover that is left, or taken twice, between ``channels``.

    For each bright channel i and each other channel j: events bright in i (20 widths above its
    negatives) are divided into bins of rising i, and the lowest population of j (its centre, not
    its tail, so that spillover spreading, which widens it to both sides, does not count) is found
    in each bin.

    over
        How far that population lies below zero, or below the negatives of j where those lie
        below zero, as a share of i.
    under
        How far it lies above the population of j that is lowest where i is dim, as a share of i;
        only where that share is one and the same in the brightest bins, and the population narrow.
        A pair of which all i-bright cells bear j is silent, since their j does not follow i so
        closely, even where spillover is left.

    Events that are bright in more than half of six channels or more (dead cells, granulocytes) are
    left out: their own fluorescence rises in all channels alike and would pass for spillover.

    No channel with fewer than 200 bright events is looked at, and at most 60,000 events, evenly
    over the tube. The thresholds inside are house values, tried on simulated and real tubes
    (docs/gate_files.md).
    """
    kept = np.flatnonzero(values.keep)
    rows = np.zeros(len(values.keep), dtype=np.bool_)
    rows[kept[:: max(1, math.ceil(len(kept) / _EVENTS))]] = True
    columns = {c: values.column(c, rows) for c in channels}
    finite = np.logical_and.reduce([np.isfinite(c) for c in columns.values()]) if columns else None
    columns = {c: column[finite] for c, column in columns.items()}
    specific = ~_bright_everywhere(list(columns.values()))
    columns = {c: column[specific] for c, column in columns.items()}
    over: tuple[float, tuple[int, int]] | None = None
    under: tuple[float, tuple[int, int]] | None = None
    groups = {c: _dim_and_bright(columns[c]) for c in channels}
    for i, j in permutations(channels, 2):
        group = groups[i]
        if group is None:
            continue
        down, up = _slopes(columns[i], columns[j], *group)
        if over is None or down > over[0]:
            over = (down, (i, j))
        if under is None or up > under[0]:
            under = (up, (i, j))
    names = values.names

    def pair(found: tuple[float, tuple[int, int]] | None) -> tuple[str, str]:
        return ("", "") if found is None else (names[found[1][0]], names[found[1][1]])

    return CompensationCheck(
        None if over is None else over[0], pair(over), None if under is None else under[0], pair(under)
    )


def _bright_everywhere(columns: Sequence[Floats]) -> NDArray[np.bool_]:
    """Return the events that are bright in more than half of many channels: their own fluorescence, not a dye."""
    if len(columns) < _MANY_CHANNELS or len(columns[0]) < _MIN_BRIGHT:
        return np.zeros(len(columns[0]) if columns else 0, dtype=np.bool_)
    bright = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        centre, width = _lowest_population(np.sort(column))
        bright += column > centre + _POSITIVE * width
    found: NDArray[np.bool_] = bright > len(columns) / 2
    return found


def _dim_and_bright(values: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Return the events that are dim in a channel, and those that are bright, by rising value."""
    if len(values) < _MIN_BRIGHT:
        return None
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    centre, width = _lowest_population(ranked)
    # A channel that is constant, or cut off at zero, tells no width of its negatives.
    if width <= 0 or centre + _BRIGHT * width <= 0:
        return None
    first = int(np.searchsorted(ranked, centre + _BRIGHT * width))
    last = int(len(ranked) - (1 - _SATURATED) * (len(ranked) - first))
    if last - first < _MIN_BRIGHT:
        return None
    dim = order[: int(np.searchsorted(ranked, centre + 3 * width))]
    return _thin(dim), _thin(order[first:last])


def _thin(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    return rows[:: max(1, math.ceil(len(rows) / _PER_GROUP))]


def _slopes(
    bright_channel: Floats, other: Floats, dim: NDArray[np.intp], bright: NDArray[np.intp]
) -> tuple[float, float]:
    """Return how steeply a bright channel pulls the lowest population of another one down, and up."""
    negatives = _lowest_population(np.sort(other[dim]))[0] if len(dim) >= _MIN_BRIGHT else 0.0
    bins = np.array_split(bright, _BINS)
    x = np.array([np.median(bright_channel[b]) for b in bins])
    lowest = [_lowest_population(np.sort(other[b])) for b in bins]
    y, width = np.array(lowest).T
    down = -_through_zero(x, y - min(negatives, 0.0))
    lift = y - max(negatives, 0.0)
    # Bright cells that bear the other marker, too, may fill some bins.
    calm = slice(-_CALM_BINS, None)
    ratio, narrow = lift[calm] / x[calm], width[calm] <= _NARROW * lift[calm]
    is_spillover = ratio.min() > 0 and ratio.max() <= min(_STEADY * ratio.min(), 1.0) and narrow.all()
    if is_spillover:
        trend = np.polyfit(np.log(x[calm]), np.log(ratio), 1)[0]
        is_spillover = abs(trend) <= _TREND
    return max(down, 0.0), float(np.median(ratio)) if is_spillover else 0.0


def _through_zero(x: Floats, y: Floats) -> float:
    return float(x @ y / (x @ x))


def _lowest_population(ranked: Floats) -> tuple[float, float]:
    """Return centre and standard deviation of the densest events; on a linear scale those are the dimmest.

    The shortest interval with a tenth of the events (Bickel's half-sample idea) gives the place;
    the events below it, which no brighter population disturbs, give the width; the median of the
    events within that width gives the centre.
    """
    n = len(ranked)
    k = max(2, n // 10)
    start = int(np.argmin(ranked[k - 1 :] - ranked[: n - k + 1]))
    centre = float(np.median(ranked[start : start + k]))
    width = 0.0
    for _ in range(4):
        below = ranked[: int(np.searchsorted(ranked, centre))]
        width = 1.4826 * float(centre - np.median(below)) if len(below) else 0.0
        low, high = np.searchsorted(ranked, [centre - 1.5 * width, centre + 1.5 * width], side="left")
        if high <= low:
            break
        centre = float(np.median(ranked[low:high]))
    return centre, width
