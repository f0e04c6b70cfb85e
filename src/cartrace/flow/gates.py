"""cartrace's own gating strategy: thresholds and automatic gates, set from a tube and its controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cartrace.flow.automatic import find_ellipse, find_singlets
from cartrace.flow.engine import Strategy
from cartrace.flow.tables import THRESHOLDS
from cartrace.flow.thresholds import Estimate, from_control, slope, valley
from cartrace.tables import rows as table_rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Flow
    from cartrace.flow.engine import Bools, Path, TubeValues
    from cartrace.flow.fcs import Channel, FcsData, Spillover
    from cartrace.flow.panel import Gate, Panel, Threshold, Transform

Floats = NDArray[np.float64]
KEPT_COLUMNS = 6
"""Columns on the drawn scale that are kept in memory, since the next gate mostly asks for one of them again."""
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StainedTube:
    """A tube that is ready to be gated: the sample itself, or one of its controls."""

    file_id: str
    kind: str
    """sample, fmo, isotype, pre_infusion or unstained."""
    marker: str
    """Marker that an FMO or isotype tube leaves out, else empty."""
    data: FcsData
    values: TubeValues
    markers: Mapping[str, int]
    """Marker -> index of its channel."""
    spillover: Spillover | None
    """The matrix behind ``values``; None: not compensated."""


@dataclass(frozen=True, slots=True)
class OwnGates:
    """The gates of one tube, as FlowKit objects, and how they were set."""

    strategy: Strategy
    """Holds every gate that could be set; dimensions are channel names ($PnN) of the tube."""
    order: tuple[Path, ...]
    """All gates of the panel, also those that could not be set."""
    thresholds: pd.DataFrame
    """Columns of flow.tables.THRESHOLDS without tube."""
    not_set: Mapping[Path, str]
    """Path -> why the gate (or one above it) could not be set."""


def own_gates(
    panel: Panel,
    tube: StainedTube,
    controls: Sequence[StainedTube],
    settings: Flow,
    unreadable: Mapping[str, str] = NOTHING,
) -> OwnGates:
    """Set the gates of ``tube``, one below the other.

    A control is gated with the gates of the tube itself, so that both are asked about the same
    population. No threshold is set from fewer events than the settings ask. A gate that can't be
    set leaves those that rest on it unset, too, each with the reason; poor data are no error.

    Parameters
    ----------
    unreadable
        Marker -> why its staining can't be read; no gate that uses it is set.
    """
    walk = _Walk(panel, tube, controls, settings, unreadable)
    for name in panel.gates:
        walk.set(name)
    # A threshold below a gate that could not be set has a row with the reason, too.
    for name in panel.thresholds:
        walk.threshold(name)
    return OwnGates(
        Strategy(walk.gating, tube.spillover),
        tuple(walk.paths.values()),
        table_rows([{"tube": tube.file_id, **row} for row in walk.rows], THRESHOLDS).drop(columns="tube"),
        {walk.paths[name]: reason for name, reason in walk.reasons.items()},
    )


def staining_faults(
    panel: Panel, tube: StainedTube, gates: OwnGates, memberships: Mapping[Path, Bools], settings: Flow
) -> Mapping[str, str]:
    """Return marker -> reason for each staining check of the panel that the gated tube fails.

    A check whose threshold or population could not be set says nothing, nor does one whose
    population has fewer events than ``settings.min_gate_events``.
    """
    scaled = gates.thresholds.set_index("threshold")["scaled"].dropna()
    paths = paths_of(panel)
    faults: dict[str, str] = {}
    for check in panel.staining:
        inside = memberships.get(paths[check.population])
        if check.threshold not in scaled.index or inside is None or inside.sum() < settings.min_gate_events:
            continue
        marker = panel.thresholds[check.threshold].marker or check.threshold
        values = axis_of(panel, tube, marker).scaled(tube.values.column(tube.markers[marker], inside))
        percent = 100 * float(np.mean(values >= scaled[check.threshold]))
        if percent < check.min_percent:
            faults[marker] = (
                f"{percent:.3g} % of the {len(values)} events in '{check.population}' are {marker}+; at least "
                f"{check.min_percent:g} % are where the staining can be read"
            )
    return faults


def moved_marker(tube: StainedTube, control: StainedTube) -> str:
    """Return a marker that a control measures in another channel than the tube, or not; empty: there is none.

    The tube's gates would catch other cells in such a control.
    """
    for marker, index in tube.markers.items():
        name = tube.data.channels[index].name
        if name not in control.data.names or control.markers.get(marker) != control.data.names.index(name):
            return marker
    return ""


def paths_of(panel: Panel) -> Mapping[str, Path]:
    """Return name -> path of each of the panel's own gates, in their order."""
    paths: dict[str, Path] = {}
    for name, gate in panel.gates.items():
        paths[name] = (*paths.get(gate.parent, ()), name)
    return paths


@dataclass(frozen=True, slots=True)
class Axis:
    """One marker as a dimension of gates."""

    channel: Channel
    linear: bool
    transform: Any
    """flowkit Transform; None on a linear axis."""
    compensated: bool

    @property
    def transform_id(self) -> str | None:
        """Name of the transform in the strategy; a valid XML name."""
        return None if self.transform is None else f"scale_P{self.channel.index + 1}"

    def scaled(self, linear: Floats) -> Floats:
        """Return values on the drawn scale."""
        if self.transform is None or not linear.size:
            return linear
        # The logarithm of a negative value is nan: such an event is in no gate.
        with np.errstate(divide="ignore", invalid="ignore"):
            values: Floats = self.transform.apply(linear)
        return values

    def point(self, linear: float) -> float:
        """Return one value on the drawn scale."""
        return float(self.scaled(np.array([linear]))[0])

    def linear_of(self, scaled: float) -> float:
        """Return the linear value of one on the drawn scale."""
        return scaled if self.transform is None else float(self.transform.inverse(np.array([scaled]))[0])

    def dimension(self, low: float | None = None, high: float | None = None) -> Any:
        """Return it as a dimension of a FlowKit gate."""
        import flowkit

        return flowkit.Dimension(
            self.channel.name,
            compensation_ref="FCS" if self.compensated else "uncompensated",
            transformation_ref=self.transform_id,
            range_min=low,
            range_max=high,
        )


def axis_of(panel: Panel, tube: StainedTube, marker: str) -> Axis:
    """Return the dimension of a marker: its channel in the tube, its scale, its compensation."""
    channel = tube.data.channels[tube.markers[marker]]
    linear = panel.markers[marker].linear
    scale = panel.transforms.get(marker, panel.transform)
    compensated = tube.spillover is not None and channel.name in tube.spillover.channels
    return Axis(channel, linear, None if linear else _transform_of(scale, channel.range), compensated)


def _transform_of(scale: Transform, channel_range: float) -> Any:
    from flowkit import transforms as fk

    top = scale.t or channel_range
    if scale.kind == "logicle":
        return fk.LogicleTransform(top, scale.w, scale.m, scale.a)
    if scale.kind == "hyperlog":
        return fk.HyperlogTransform(top, scale.w, scale.m, scale.a)
    if scale.kind == "asinh":
        return fk.AsinhTransform(top, scale.m, scale.a)
    if scale.kind == "linear":
        return fk.LinearTransform(top, scale.a)
    if scale.kind == "log":
        return fk.LogTransform(top, scale.m)
    # FlowJo writes the linear width as -10^(2 W).
    return fk.WSPBiexTransform(scale.a, -(10 ** (2 * scale.w)), scale.m, top)


class _Walk:
    """Goes through the gates of a panel from the top; keeps what was set and which events are inside."""

    def __init__(
        self,
        panel: Panel,
        tube: StainedTube,
        controls: Sequence[StainedTube],
        settings: Flow,
        unreadable: Mapping[str, str],
    ) -> None:
        import flowkit

        self.panel = panel
        self.tube = tube
        self.controls = controls
        self.settings = settings
        self.unreadable = unreadable
        self.gating = flowkit.GatingStrategy()
        self.paths = paths_of(panel)
        self.reasons: dict[str, str] = {}
        """Gate -> why it could not be set."""
        self.rows: list[dict[str, object]] = []
        """Of THRESHOLDS."""
        self._axes: dict[str, Axis] = {}
        self._gates: dict[str, Any] = {}
        self._thresholds: dict[str, float | None] = {}
        self._inside: dict[tuple[int, str], Bools] = {}
        self._columns: dict[tuple[int, int], tuple[Bools, Floats]] = {}

    def set(self, name: str) -> None:
        """Set one gate; those that it rests on come before it."""
        gate = self.panel.gates[name]
        made = self._resting_on(gate) or self._make(name, gate)
        if isinstance(made, str):
            self.reasons[name] = made
            return
        for dimension in made.dimensions or ():
            if (
                dimension.transformation_ref
                and dimension.transformation_ref not in self.gating.transformations
            ):
                axis = next(a for a in self._axes.values() if a.transform_id == dimension.transformation_ref)
                self.gating.add_transform(dimension.transformation_ref, axis.transform)
        self._gates[name] = made
        self.gating.add_gate(made, ("root", *self.paths[name][:-1]))

    def _resting_on(self, gate: Gate) -> str:
        """Why the gate can't be set before it is looked at: what it rests on is not there."""
        for other in filter(None, (gate.parent, *gate.gates)):
            if other in self.reasons:
                return self._because(other)
        markers = {*gate.axes, *(self.panel.thresholds[t].marker or t for t in gate.where)}
        for marker in sorted(markers & set(self.unreadable)):
            return f"{marker} can't be read: {self.unreadable[marker]}"
        return ""

    def _because(self, gate: str) -> str:
        """Name the gate that failed, not the chain down from it."""
        reason = self.reasons[gate]
        return reason if reason.startswith("gate '") else f"gate '{gate}' could not be set: {reason}"

    def _make(self, name: str, gate: Gate) -> Any:
        """Return a FlowKit gate, or why there is none."""
        from flowkit import gates as fk

        if gate.kind == "boolean":
            references = [
                {"ref": g, "path": ("root", *self.paths[g][:-1]), "complement": False} for g in gate.gates
            ]
            return fk.BooleanGate(name, gate.operation, references)
        if gate.kind == "threshold":
            return self._threshold_gate(name, gate)
        axes = [self._axis(marker) for marker in gate.axes]
        for axis in axes:
            if axis.linear and axis.compensated:
                return f"channel '{axis.channel.name}' is linear in the panel file, and the matrix compensates it"
        if gate.kind == "rectangle":
            ends = zip(axes, gate.bounds.values(), strict=True)
            return fk.RectangleGate(
                name,
                [a.dimension(*(None if e is None else a.point(e) for e in bounds)) for a, bounds in ends],
            )
        x, y = axes
        dimensions = [x.dimension(), y.dimension()]
        if gate.kind == "polygon":
            return fk.PolygonGate(name, dimensions, [(x.point(a), y.point(b)) for a, b in gate.vertices])
        inside = self._events(self.tube, gate.parent)
        if (n := int(inside.sum())) < self.settings.min_gate_events:
            return self._too_few(n, gate.parent)
        values = [self._scaled(self.tube, a, inside) for a in axes]
        if gate.kind == "singlets":
            if not (x.linear and y.linear):
                return "area and height have to be linear: true in the panel file"
            wedge = find_singlets(values[0], values[1], gate.mads, x.channel.range)
            return (
                wedge if isinstance(wedge, str) else fk.PolygonGate(name, dimensions, wedge.vertices.tolist())
            )
        near = None if gate.near is None else (x.point(gate.near[0]), y.point(gate.near[1]))
        ellipse = find_ellipse(values[0], values[1], gate.coverage, near)
        if isinstance(ellipse, str):
            return ellipse
        return fk.EllipsoidGate(
            name, dimensions, ellipse.centre.tolist(), ellipse.covariance.tolist(), ellipse.distance_square
        )

    def _threshold_gate(self, name: str, gate: Gate) -> Any:
        from flowkit import gates as fk

        values = {t: self.threshold(t) for t in gate.where}
        bounds: dict[str, tuple[float | None, float | None]] = {}
        for threshold, side in gate.where.items():
            value = values[threshold]
            if value is None:
                return f"threshold '{threshold}' could not be set: {self._row(threshold)['reason']}"
            marker = self.panel.thresholds[threshold].marker or threshold
            low, high = bounds.get(marker, (None, None))
            if side == "above":
                low = value if low is None else max(low, value)
            else:
                high = value if high is None else min(high, value)
            if low is not None and high is not None and low >= high:
                return f"its thresholds of {marker} leave no room: above {low:.3g} and below {high:.3g}"
            bounds[marker] = low, high
        return fk.RectangleGate(
            name, [self._axis(m).dimension(low, high) for m, (low, high) in bounds.items()]
        )

    def threshold(self, name: str) -> float | None:
        """Return a threshold on the drawn scale; it is set when it is first asked for."""
        if name not in self._thresholds:
            row = self._set_threshold(name, self.panel.thresholds[name])
            self.rows.append(row)
            scaled = row["scaled"]
            self._thresholds[name] = scaled if isinstance(scaled, float) else None
        return self._thresholds[name]

    def _row(self, threshold: str) -> Mapping[str, object]:
        return next(r for r in self.rows if r["threshold"] == threshold)

    def _set_threshold(self, name: str, threshold: Threshold) -> dict[str, object]:
        marker = threshold.marker or name
        population = self.panel.population_of(name)
        row: dict[str, object] = {
            "threshold": name,
            "marker": marker,
            "channel": None,
            "population": " / ".join(self.paths[population]) if population else None,
            "scaled": None,
        }
        if marker in self.tube.markers:
            row["channel"] = self.tube.data.names[self.tube.markers[marker]]
        if marker in self.unreadable:
            return row | {"reason": f"{marker} can't be read: {self.unreadable[marker]}"}
        axis = self._axis(marker)
        if population in self.reasons:
            return row | {"reason": self._because(population)}
        if axis.linear and axis.compensated:
            return row | {"reason": "the panel file says linear, and the matrix compensates the channel"}
        reasons = []
        for method in threshold.method:
            estimate, source = self._estimate(method, threshold, axis, population)
            if estimate.reason:
                reasons.append(f"{method}: {estimate.reason}")
            if estimate.value is not None:
                row |= {
                    "method": method,
                    "control": source or None,
                    "n_events": None if method == "fixed" else estimate.n_events,
                    "value": axis.linear_of(estimate.value),
                    "scaled": estimate.value,
                }
                break
        return row | {"reason": "; ".join(reasons) or None}

    def _estimate(
        self, method: str, threshold: Threshold, axis: Axis, population: str
    ) -> tuple[Estimate, str]:
        """Go one way; return also the tubes of the controls that it used."""
        if method == "fixed" and threshold.value is not None:
            return Estimate(axis.point(threshold.value), 0), ""
        if method in ("slope", "valley"):
            inside = self._events(self.tube, population)
            if (n := int(inside.sum())) < self.settings.min_gate_events:
                return Estimate(None, n, self._too_few(n, population)), ""
            values = self._scaled(self.tube, axis, inside)
            return (valley(values) if method == "valley" else slope(values, self.settings.slope_fraction)), ""
        marker = next(m for m, a in self._axes.items() if a is axis)
        chosen = [
            c for c in self.controls if c.kind == method and (method == "pre_infusion" or c.marker == marker)
        ]
        if not chosen:
            of_marker = "" if method == "pre_infusion" else f" of {marker}"
            return Estimate(None, 0, f"no {method.replace('_', '-')} tube{of_marker}"), ""
        names = ";".join(c.file_id for c in chosen)
        parts = []
        for control in chosen:
            if moved := moved_marker(self.tube, control):
                return Estimate(None, 0, f"tube '{control.file_id}' has {moved} in another channel"), names
            inside = self._events(control, population)
            parts.append(self._scaled(control, axis, inside))
        values = np.concatenate(parts)
        if len(values) < self.settings.min_gate_events:
            return Estimate(
                None, len(values), f"in the control, {self._too_few(len(values), population)}"
            ), names
        tail = threshold.tail_percent or self.settings.control_tail_percent
        return from_control(values, tail, self.settings.min_tail_events), names

    def _events(self, who: StainedTube, gate: str) -> Bools:
        """(n_events,) the events of a tube or a control inside one of the tube's gates."""
        if not gate:
            return who.values.keep
        key = (id(who), gate)
        if key not in self._inside:
            self._inside[key] = self._apply(who, gate)
        return self._inside[key]

    def _apply(self, who: StainedTube, name: str) -> Bools:
        import pandas as pd

        gate, spec = self._gates[name], self.panel.gates[name]
        parent = self._events(who, spec.parent)
        if spec.kind == "boolean":
            parts = np.stack([self._events(who, g) for g in spec.gates])
            joined = {"and": parts.all(axis=0), "or": parts.any(axis=0), "not": ~parts[0]}
            return np.asarray(joined[spec.operation or "and"] & parent)
        inside = parent.copy()
        if parent.any():
            axes = {a.channel.name: a for a in self._axes.values()}
            columns = {d.id: self._scaled(who, axes[d.id], parent) for d in gate.dimensions}
            inside[parent] = gate.apply(pd.DataFrame(columns))
        return inside

    def _scaled(self, who: StainedTube, axis: Axis, rows: Bools) -> Floats:
        """Values on the drawn scale of the events in ``rows`` (n_events,), of a tube or a control."""
        # Channels of another tube may stand in another order.
        channel = who.data.names.index(axis.channel.name)
        key = (id(who), channel)
        there, values = self._columns.pop(key, (None, np.empty(0)))
        if there is None or (rows & ~there).any():
            there, values = rows, axis.scaled(who.values.column(channel, rows))
        self._columns[key] = there, values
        if len(self._columns) > KEPT_COLUMNS:
            self._columns.pop(next(iter(self._columns)))
        return values if there is rows else values[rows[there]]

    def _axis(self, marker: str) -> Axis:
        if marker not in self._axes:
            self._axes[marker] = axis_of(self.panel, self.tube, marker)
        return self._axes[marker]

    def _too_few(self, n: int, gate: str) -> str:
        where = f"in '{gate}'" if gate else "in all"
        return f"{n} events {where}; at least {self.settings.min_gate_events} are needed"
