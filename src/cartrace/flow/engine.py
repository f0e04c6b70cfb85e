"""Gates applied to a tube, in little memory: membership as FlowKit gives it.

Events are read in chunks. Only gated channels are compensated and transformed, each value at most
once, and only for the events of the gate's parent. Every number that decides comes from the same
arithmetic as in flowkit.GatingStrategy.gate_sample (FlowKit 1.3.2), so that membership is the same
event by event: the spillover equations are solved by LAPACK, transformations and polygons are those
of FlowUtils, and the intervals of rectangles and quadrants hold their lower bound, not their upper one.

Most events are far from the bounds of an interval. For those the bound is taken back to the linear
scale and compared with spillover taken off by the inverse matrix, which is many times faster; only
events nearer to it than :data:`MARGIN` are computed in full.

Also as FlowKit does it: one compensation counts for all dimensions of a gate, even for one that
says "uncompensated"; a ratio is always taken of uncompensated channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cartrace.intake.sheets import quote
from cartrace.problems import redact_dates

if TYPE_CHECKING:
    from cartrace.flow.fcs import FcsData, Spillover

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
Path = tuple[str, ...]
"""Names from the first gate down to the gate itself; quadrants are ('parent', 'quadrant gate', 'quadrant')."""

CHUNK = 262_144
"""Events at a time: 2 MiB a channel."""
MARGIN = 1e-6
"""A value nearer to a bound than this share of it is computed in full; rounding moves it by 1e-14 of it."""
ROUNDING = 1e-9
"""More than the inverse matrix can be off, as a share of the largest value it could give. With a condition
below STEADY that is about 1e-12 (Higham 2002, Accuracy and Stability of Numerical Algorithms, 14.1)."""
STEADY = 1e3
RISING = frozenset(
    {"LogicleTransform", "HyperlogTransform", "AsinhTransform", "LinearTransform", "WSPBiexTransform"}
)
"""Transformations that never fall and have an inverse."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A FlowKit gating strategy, and what it rests on."""

    gating: Any
    """flowkit.GatingStrategy: gates, transformations, matrices."""
    spillover: Spillover | None
    """Matrix behind the compensation reference of its dimensions; None: none of them is compensated."""


class GateError(ValueError):
    """Gates that a tube does not allow; ``faults`` has one sentence for each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class _Compensation:
    """A spillover matrix, placed on the channels of a tube."""

    detectors: tuple[int, ...]
    outputs: tuple[int, ...]
    """Channels whose values it replaces: the detectors, or those with a dye (spectral)."""
    spill: Floats
    inverse: Floats
    """(outputs, detectors)"""
    steady: bool
    """Whether the inverse is near enough to tell what is far from a bound."""

    def solve(self, raw: Floats) -> Floats:
        """Return compensated values (outputs, events) of raw ones (detectors, events).

        As flowutils.compensate.compensate and compensate_spectral_ols. LAPACK treats one event alone
        by another way, which differs in the last bit; so no event is ever alone.
        """
        many = raw if raw.shape[1] != 1 else np.repeat(raw, 2, axis=1)
        spectral = len(self.outputs) < len(self.detectors)
        solved: Floats = (
            np.linalg.lstsq(self.spill.T, many, rcond=-1)[0]
            if spectral
            else np.linalg.solve(self.spill.T, many)
        )
        return solved[:, : raw.shape[1]]


@dataclass(frozen=True, slots=True)
class _Axis:
    """One dimension of a gate, placed on the channels of a tube."""

    channel: int
    compensation: str | None
    """Key of the compensation that changes this channel."""
    transform: str | None
    ratio: str | None = None
    """Ratio transformation; ``channel`` is its numerator."""
    denominator: int = -1


@dataclass(frozen=True, slots=True)
class _Step:
    """One gate of the plan; its parent and the gates that it refers to come before it."""

    path: Path
    gate: Any
    axes: tuple[_Axis, ...] = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What has to be computed for a tube."""

    steps: tuple[_Step, ...]
    channels: tuple[int, ...]
    compensations: Mapping[str, _Compensation]
    transforms: Mapping[str, Any]


class _Chunk:
    """Values of some events in a row, computed when they are asked for and then kept."""

    def __init__(self, data: FcsData, plan: _Plan, start: int, stop: int) -> None:
        self._plan = plan
        columns = np.ascontiguousarray(data.read(plan.channels, start, stop).T)
        self._raw: dict[int, Floats] = dict(zip(plan.channels, columns, strict=True))
        self._events = stop - start
        self._kept: dict[object, tuple[list[Floats], Bools]] = {}
        self._near: dict[str, tuple[Floats, float]] = {}

    def between(self, axis: _Axis, rows: Rows, lowest: float | None, highest: float | None) -> Bools:
        """Say which of ``rows`` lie in [lowest, highest) of one dimension; None is no bound."""
        inside, unsure = self._surely_between(axis, rows, lowest, highest)
        inside[unsure] = _in_range(self.axis(axis, rows[unsure]), lowest, highest)
        return inside

    def _surely_between(
        self, axis: _Axis, rows: Rows, lowest: float | None, highest: float | None
    ) -> tuple[Bools, Bools]:
        """Say which of ``rows`` are far enough inside, and of which that can't be said."""
        inside, unsure = np.ones(rows.size, dtype=np.bool_), np.zeros(rows.size, dtype=np.bool_)
        if axis.ratio is not None or (axis.transform is None and axis.compensation is None):
            return inside, ~unsure
        linear, reach, error = self._nearly(axis)
        transform = None if axis.transform is None else self._plan.transforms[axis.transform]
        values = linear.take(rows)
        for bound, is_lowest in ((lowest, True), (highest, False)):
            if bound is None:
                continue
            edges = _edges(transform, bound, reach)
            if edges is None:
                return inside, np.ones_like(unsure)
            below, above = values < edges[0] - error, values > edges[1] + error
            inside &= above if is_lowest else below
            unsure |= ~(below | above)
        return inside, unsure

    def _nearly(self, axis: _Axis) -> tuple[Floats, float, float]:
        """Return linear values (events of the chunk), the largest they could be, and how far they may be off."""
        if axis.compensation is None:
            raw = self._raw[axis.channel]
            return raw, max(raw.max(), -raw.min()), 0.0
        by = self._plan.compensations[axis.compensation]
        if axis.compensation not in self._near:
            raw = np.stack([self._raw[c] for c in by.detectors])
            reach = max(raw.max(), -raw.min()) * np.abs(by.inverse).sum(axis=1).max()
            self._near[axis.compensation] = by.inverse @ raw, reach if by.steady else np.inf
        values, reach = self._near[axis.compensation]
        return values[by.outputs.index(axis.channel)], reach, ROUNDING * reach

    def axis(self, axis: _Axis, rows: Rows) -> Floats:
        """Return the values of one dimension for ``rows``, on the scale of the gate."""
        if axis.transform is None:
            return self._linear(axis, rows)
        apply = self._plan.transforms[axis.transform].apply
        return self._once(axis, 1, rows, lambda todo: [apply(self._linear(axis, todo))])[0].take(rows)

    def _linear(self, axis: _Axis, rows: Rows) -> Floats:
        if axis.ratio is not None:
            ratio = self._plan.transforms[axis.ratio]
            above, below = (self._raw[c].take(rows) for c in (axis.channel, axis.denominator))
            return np.asarray(ratio.param_a * ((above - ratio.param_b) / (below - ratio.param_c)))
        if axis.compensation is None:
            return self._raw[axis.channel].take(rows)
        by = self._plan.compensations[axis.compensation]
        values = self._once(
            axis.compensation,
            len(by.outputs),
            rows,
            lambda todo: by.solve(np.stack([self._raw[c].take(todo) for c in by.detectors])),
        )
        return values[by.outputs.index(axis.channel)].take(rows)

    def _once(
        self, key: object, height: int, rows: Rows, values_of: Callable[[Rows], Iterable[Floats]]
    ) -> list[Floats]:
        """Return ``height`` lines of values (events of the chunk), filled at least for ``rows``."""
        if key not in self._kept:
            lines = [np.empty(self._events) for _ in range(height)]
            self._kept[key] = lines, np.zeros(self._events, dtype=np.bool_)
        lines, known = self._kept[key]
        todo = rows[~known[rows]]
        if todo.size:
            for line, values in zip(lines, values_of(todo), strict=True):
                line[todo] = values
            known[todo] = True
        return lines


class TubeValues:
    """Compensated values of one tube, channel by channel, on demand."""

    def __init__(self, data: FcsData, spillover: Spillover | None, keep: Bools | None = None) -> None:
        """Remember the tube; events outside ``keep`` (n_events,) belong to no population."""
        self._data = data
        self._keep = _all_or(keep, data.n_events)
        self._compensation = None if spillover is None else _own_compensation(data, spillover)

    @property
    def keep(self) -> Bools:
        """(n_events,) the events that count."""
        return self._keep

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all channels of the tube."""
        return self._data.names

    def column(self, channel: int, rows: Bools | None = None) -> Floats:
        """Return the compensated linear values of a channel, for ``rows`` (n_events,) or all kept events."""
        chosen = self._keep if rows is None else rows
        out = np.empty(int(chosen.sum()))
        by = self._compensation
        compensated = by is not None and channel in by.outputs
        columns = by.detectors if by is not None and compensated else (channel,)
        done = 0
        for start, stop in _spans(self._data.n_events, CHUNK):
            inside = chosen[start:stop]
            n = int(inside.sum())
            if not n:
                continue
            raw = self._data.read(columns, start, stop)[inside].T
            out[done : done + n] = by.solve(raw)[by.outputs.index(channel)] if by and compensated else raw[0]
            done += n
        return out


def apply_strategy(
    data: FcsData, strategy: Strategy, keep: Bools | None = None, chunk: int = CHUNK
) -> Mapping[Path, Bools]:
    """Return the membership of each gate (and quadrant), (n_events,) each, in the order of the strategy.

    A quadrant gate itself has no events, only its quadrants have. ``keep`` (n_events,): events
    outside it belong to no gate. How many events go into a ``chunk`` changes memory, not membership.

    Raises
    ------
    GateError
        With every channel, transformation, matrix and gate that is referred to and not there.
    """
    plan = _plan_of(data, strategy)
    kept = _all_or(keep, data.n_events)
    members = {p: np.zeros(data.n_events, dtype=np.bool_) for s in plan.steps for p in _paths_of(s)}
    # The logarithm of a negative value is nan, which lies in no range: that is meant, so no warning.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for start, stop in _spans(data.n_events, chunk):
            if not kept[start:stop].any():
                continue
            values = _Chunk(data, plan, start, stop)
            within = {path: member[start:stop] for path, member in members.items()}
            for step in plan.steps:
                parent = within.get(step.path[:-1], kept[start:stop])
                rows = np.flatnonzero(parent)
                if not rows.size:
                    continue
                for path, inside in _inside(step, values, within, rows).items():
                    within[path][rows] = inside
    return {path: members[path] for path in gates_in(strategy.gating) if path in members}


def dimension_values(data: FcsData, strategy: Strategy, path: Path, rows: Bools) -> Floats:
    """Return what a gate sees of the events ``rows`` (n_events,): (events, dimensions), on the scale of the gate.

    Raises
    ------
    GateError
        As :func:`apply_strategy`.
    """
    plan = _plan_of(data, strategy)
    step = next(s for s in plan.steps if path in _paths_of(s))
    plan = replace(plan, channels=_channels_of([step], plan.compensations))
    parts = [np.empty((0, len(step.axes)))]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for start, stop in _spans(data.n_events, CHUNK):
            chosen = np.flatnonzero(rows[start:stop])
            if chosen.size and step.axes:
                values = _Chunk(data, plan, start, stop)
                parts.append(np.column_stack([values.axis(axis, chosen) for axis in step.axes]))
    return np.vstack(parts)


def counts_of(memberships: Mapping[Path, Bools], paths: Sequence[Path]) -> list[int]:
    """Return the events of each path."""
    return [int(memberships[p].sum()) for p in paths]


def _inside(step: _Step, values: _Chunk, within: Mapping[Path, Bools], rows: Rows) -> dict[Path, Bools]:
    """Say which of ``rows`` are inside a gate (or each quadrant), (rows,) each."""
    from flowutils import gating

    gate = step.gate
    if gate.gate_type == "BooleanGate":
        parts = [within[_path(r)][rows] ^ bool(r["complement"]) for r in gate.gate_refs]
        if gate.type == "not":
            return {step.path: ~parts[0]}
        return {step.path: (np.logical_or if gate.type == "or" else np.logical_and).reduce(parts)}
    if gate.gate_type == "QuadrantGate":
        of = dict(zip((d.id for d in gate.dimensions), step.axes, strict=True))
        return {
            (*step.path, name): _all(
                values.between(of[ref], rows, *quadrant.get_divider_range(ref))
                for ref in quadrant.divider_refs
            )
            for name, quadrant in gate.quadrants.items()
        }
    if gate.gate_type == "RectangleGate":
        # A ratio without a bound lacks the attribute.
        inside = _all(
            values.between(axis, rows, getattr(d, "min", None), getattr(d, "max", None))
            for axis, d in zip(step.axes, gate.dimensions, strict=True)
        )
        return {step.path: inside ^ gate.use_complement}
    axes = [values.axis(axis, rows) for axis in step.axes]
    if gate.gate_type == "EllipsoidGate":
        inside = gating.points_in_ellipsoid(
            gate.covariance_matrix, gate.coordinates, gate.distance_square, np.array(axes).T
        )
        return {step.path: inside}
    vertices = np.array(gate.vertices, dtype=np.float64)
    return {step.path: gating.points_in_polygon(vertices, np.column_stack(axes)) ^ gate.use_complement}


def _all(parts: Iterable[Bools]) -> Bools:
    inside: Bools = np.logical_and.reduce(list(parts))
    return inside


def _in_range(values: Floats, lowest: float | None, highest: float | None) -> Bools:
    """Say which values lie in [lowest, highest); nan lies nowhere unless there is no bound."""
    inside = np.ones(len(values), dtype=np.bool_)
    if lowest is not None:
        inside &= values >= lowest
    if highest is not None:
        inside &= values < highest
    return inside


def _edges(transform: Any, bound: float, reach: float) -> tuple[float, float] | None:
    """Return linear values surely below and surely above a bound of a scale, for values up to ``reach``.

    None where that is not known: values that are not finite, a transformation that may fall, that
    ends before the bound, or that fails at ``reach`` (logicle gives -1 where it does not converge).
    """
    if not np.isfinite(reach):
        return None
    if transform is None:
        return bound, bound
    if type(transform).__name__ not in RISING:
        return None
    middle = float(transform.inverse(np.array([bound]))[0])
    width = MARGIN * abs(middle) + ROUNDING * reach
    below, above = middle - width, middle + width
    scaled = transform.apply(np.array([min(below, -reach), below, above, max(above, reach)]))
    apart = 1e-12 * max(1.0, abs(bound))
    rising = scaled[0] <= scaled[1] < bound - apart and bound + apart < scaled[2] <= scaled[3]
    return (below, above) if rising else None


def _plan_of(data: FcsData, strategy: Strategy) -> _Plan:
    """Place the gates of a strategy on the channels of a tube."""
    gating = strategy.gating
    faults: list[str] = []
    compensations: dict[str, _Compensation] = {}
    if strategy.spillover is not None:
        compensations["FCS"] = _own_compensation(data, strategy.spillover)
    placed = {}
    for path in gates_in(gating):
        gate = _gate(gating, path)
        if gate is None:
            continue
        try:
            placed[path] = _Step(path, gate, _axes_of(data, gating, gate, compensations))
        except GateError as error:
            faults += [f"gate {_shown(path)}: {f}" for f in error.faults]
    known = {p for step in placed.values() for p in _paths_of(step)}
    faults += [
        f"gate {_shown(path)}: refers to {_shown(reference)}, which is no gate with events"
        for path, step in placed.items()
        for reference in _references(step)
        if reference not in known
    ]
    if faults:
        raise GateError(faults)
    return _Plan(
        _sorted(placed),
        _channels_of(placed.values(), compensations),
        compensations,
        gating.transformations,
    )


def _channels_of(steps: Iterable[_Step], compensations: Mapping[str, _Compensation]) -> tuple[int, ...]:
    """Return the channels that have to be read for some gates."""
    channels: set[int] = set()
    for axis in (axis for step in steps for axis in step.axes):
        channels |= {axis.channel, axis.denominator} - {-1}
        if axis.compensation is not None:
            channels |= set(compensations[axis.compensation].detectors)
    return tuple(sorted(channels))


def _axes_of(
    data: FcsData, gating: Any, gate: Any, compensations: dict[str, _Compensation]
) -> tuple[_Axis, ...]:
    """Place the dimensions of one gate; adds the matrices that it needs to ``compensations``."""
    references = {d.compensation_ref for d in gate.dimensions} - {None, "uncompensated"}
    if len(references) > 1:
        raise GateError([f"its dimensions have {len(references)} different compensations; one is allowed"])
    key = next(iter(references), None)
    if key is not None and key != "FCS" and key not in compensations:
        if key not in gating.comp_matrices:
            raise GateError([f"no compensation {_shown((key,))}"])
        compensations[key] = _named_compensation(data, gating.comp_matrices[key])
    faults: list[str] = []
    axes = []
    for dimension in gate.dimensions:
        try:
            axes.append(_axis_of(data, gating, dimension, key, compensations.get(str(key))))
        except GateError as error:
            faults += error.faults
    channels = [a.channel for a in axes if a.ratio is None]
    if len(set(channels)) < len(channels):
        # FlowKit transforms such a channel twice, or fails.
        faults.append("two of its dimensions are the same channel")
    if faults:
        raise GateError(faults)
    return tuple(axes)


def _axis_of(
    data: FcsData, gating: Any, dimension: Any, key: str | None, compensation: _Compensation | None
) -> _Axis:
    transform = dimension.transformation_ref
    ratio = getattr(dimension, "ratio_ref", None)
    for needed in (transform, ratio):
        if needed is not None and needed not in gating.transformations:
            raise GateError([f"no transformation {_shown((needed,))}"])
    if ratio is not None:
        above, below = (_channel(data, name) for name in gating.transformations[ratio].dimensions)
        return _Axis(above, None, transform, ratio, below)
    name = getattr(dimension, "dimension_ref", dimension.id)
    matrix = gating.comp_matrices.get(key)
    dyes = dict(zip(getattr(matrix, "fluorochromes", ()), getattr(matrix, "detectors", ()), strict=False))
    channel = _channel(data, name, dyes)
    compensated = compensation is not None and channel in compensation.outputs
    return _Axis(channel, key if compensated else None, transform)


def _channel(data: FcsData, name: str, dyes: Mapping[str, str] | None = None) -> int:
    """Find a channel as FlowKit does: $PnN, $PnS, $PnN as FlowJo writes it, dye of the matrix."""
    for names in (
        data.names,
        tuple(c.stain for c in data.channels),
        tuple(n.replace("/", "_") for n in data.names),
    ):
        if name in names:
            return names.index(name)
    if dyes and name in dyes:
        return _channel(data, dyes[name])
    raise GateError([f"no channel {_shown((name,))}"])


def _own_compensation(data: FcsData, spillover: Spillover) -> _Compensation:
    """Place a matrix on the channels, in their order, as FlowKit does with that of the file."""
    found = [_channel(data, name) for name in spillover.channels]
    order = sorted(range(len(found)), key=found.__getitem__)
    channels = tuple(found[i] for i in order)
    return _compensation(channels, channels, spillover.matrix[np.ix_(order, order)])


def _named_compensation(data: FcsData, matrix: Any) -> _Compensation:
    """Place a flowkit Matrix or SpectralMatrix on the channels."""
    detectors = tuple(_channel(data, name) for name in matrix.detectors)
    outputs = detectors[: len(getattr(matrix, "true_detectors", detectors))]
    return _compensation(detectors, outputs, np.asarray(matrix.matrix, dtype=np.float64))


def _compensation(detectors: tuple[int, ...], outputs: tuple[int, ...], spill: Floats) -> _Compensation:
    try:
        steady = bool(np.linalg.cond(spill) < STEADY)
        placed = _Compensation(detectors, outputs, spill, np.linalg.pinv(spill).T, steady)
        placed.solve(np.zeros((len(detectors), 2)))
    except np.linalg.LinAlgError:
        raise GateError(["the spillover matrix can't be inverted"]) from None
    return placed


def gates_in(gating: Any) -> list[Path]:
    """List the paths of all gates and quadrants of a flowkit.GatingStrategy, parents first, without the root."""
    return [(*ancestors[1:], name) for name, ancestors in gating.get_gate_ids()]


def _gate(gating: Any, path: Path) -> Any:
    """Return a gate; None for a quadrant, which its quadrant gate holds."""
    from flowkit.exceptions import QuadrantReferenceError

    try:
        return gating.get_gate(path[-1], ("root", *path[:-1]))
    except QuadrantReferenceError:
        return None


def _path(reference: Mapping[str, Any]) -> Path:
    """Return the path of a gate that a Boolean gate refers to."""
    return (*reference["path"][1:], reference["ref"])


def _paths_of(step: _Step) -> list[Path]:
    """Name what has events: the gate, or its quadrants."""
    if step.gate.gate_type == "QuadrantGate":
        return [(*step.path, name) for name in step.gate.quadrants]
    return [step.path]


def _references(step: _Step) -> list[Path]:
    return [_path(r) for r in getattr(step.gate, "gate_refs", ())]


def _sorted(steps: Mapping[Path, _Step]) -> tuple[_Step, ...]:
    """Put parents and gates that are referred to first."""
    owner = {p: step for step in steps.values() for p in _paths_of(step)}
    after = {
        step.path: {owner[p].path for p in (step.path[:-1], *_references(step)) if p}
        for step in steps.values()
    }
    try:
        return tuple(steps[path] for path in TopologicalSorter(after).static_order())
    except CycleError as error:
        raise GateError([f"gate {_shown(error.args[1][0])}: refers to itself by way of others"]) from None


def _shown(path: Sequence[object]) -> str:
    """Quote names out of a file."""
    return quote(redact_dates(" / ".join(map(str, path))))


def _spans(n: int, chunk: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + chunk, n)) for start in range(0, n, chunk))


def _all_or(keep: Bools | None, n: int) -> Bools:
    return np.ones(n, dtype=np.bool_) if keep is None else keep
