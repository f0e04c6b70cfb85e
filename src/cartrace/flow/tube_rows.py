"""Rows of the tables of one tube: its gates, what they catch in the controls, their pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.flow.counts import share_interval
from cartrace.flow.engine import (
    Bools,
    Floats,
    GateError,
    Path,
    Strategy,
    apply_strategy,
    dimension_values,
)
from cartrace.flow.plots import MOST_EVENTS, Axis, outline_of, picture
from cartrace.intake.sheets import quote
from cartrace.problems import plain

if TYPE_CHECKING:
    from cartrace.flow.gates import StainedTube


@dataclass(frozen=True, slots=True)
class AppliedGates:
    """The gates of one tube and what they hold."""

    strategy: Strategy
    order: tuple[Path, ...]
    """All gates, also those that could not be set."""
    memberships: Mapping[Path, Bools]
    gates: Mapping[Path, tuple[Any, str]]
    """FlowKit's gate of each path that is in the strategy, and the quadrant of it (or an empty text)."""
    markers: Mapping[Path, tuple[str, ...]]
    """Markers of its dimensions."""
    not_set: Mapping[Path, str]
    """Path -> why it has no count."""
    total: int
    """Events that were gated."""

    @property
    def events(self) -> dict[Path, int]:
        """Events of each gate that has a count."""
        return {p: int(m.sum()) for p, m in self.memberships.items() if p not in self.not_set}

    def parent(self, path: Path) -> Path | None:
        """Return the nearest gate above ``path``; None: all gated events."""
        return next((path[:n] for n in range(len(path) - 1, 0, -1) if path[:n] in self.order), None)


def path_text(path: Path) -> str:
    """Write a path as the tables do."""
    return " / ".join(path)


def gate_at(strategy: Strategy, path: Path) -> tuple[Any, str]:
    """Return FlowKit's gate at ``path``, and the name of the quadrant where the path is one (else empty)."""
    from flowkit.exceptions import QuadrantReferenceError

    try:
        return strategy.gating.get_gate(path[-1], ("root", *path[:-1])), ""
    except QuadrantReferenceError:
        return strategy.gating.get_gate(path[-2], ("root", *path[:-2])), path[-1]


def markers_of(gate: Any, tube: StainedTube) -> tuple[str, ...]:
    """Return the markers of a gate's dimensions; the channel where it is no marker's."""
    channels = {tube.data.channels[index].name: marker for marker, index in tube.markers.items()}
    stains = {tube.data.channels[index].stain: marker for marker, index in tube.markers.items()}
    ids = [
        getattr(d, "dimension_ref", None) or getattr(d, "ratio_ref", None) or d.id
        for d in gate.dimensions or ()
    ]
    return tuple(channels.get(i) or stains.get(i) or plain(str(i)) for i in ids)


def unset(
    order: Sequence[Path],
    gates: Mapping[Path, tuple[Any, str]],
    markers: Mapping[Path, tuple[str, ...]],
    faults: Mapping[str, str],
    not_set: Mapping[Path, str],
) -> dict[Path, str]:
    """Return why gates have no count: a marker that can't be read, or a gate without a count that they rest on.

    Parameters
    ----------
    faults
        Marker -> why its staining can't be read.
    not_set
        Path -> why the gate could not be set in the first place.
    """
    out = dict(not_set)
    for path in order:
        if path in out or path not in gates:
            continue
        refs = [(*ref["path"][1:], ref["ref"]) for ref in getattr(gates[path][0], "gate_refs", None) or ()]
        rests_on = next((r for r in [*refs, *(path[:n] for n in range(1, len(path)))] if r in out), None)
        unreadable = next((m for m in markers[path] if m in faults), None)
        if unreadable is not None:
            out[path] = f"{unreadable} can't be read: {faults[unreadable]}"
        elif rests_on is not None:
            out[path] = f"rests on '{rests_on[-1]}': {out[rests_on]}"
    return out


def gate_rows(
    applied: AppliedGates, vendor: Mapping[Path, int], confidence: float
) -> Iterator[dict[str, object]]:
    """Yield a row of flow.tables.GATES for each gate, without the tube."""
    events = applied.events
    for place, path in enumerate(applied.order, 1):
        parent = applied.parent(path)
        inside = events.get(path)
        above = applied.total if parent is None else events.get(parent)
        percent = lower = upper = None
        if inside is not None and above:
            low, high = share_interval(inside, above, confidence)
            percent, lower, upper = 100 * inside / above, 100 * float(low), 100 * float(high)
        gate, quadrant = applied.gates.get(path, (None, ""))
        kind = "quadrant" if quadrant else getattr(gate, "gate_type", "").removesuffix("Gate").lower()
        yield {
            "gate": path_text(path),
            "name": path[-1],
            "parent": path_text(parent) if parent else None,
            "order": place,
            "kind": kind or "not set",
            "dimensions": ";".join(applied.markers.get(path, ())) or None,
            "events": inside,
            "parent_events": above,
            "percent_of_parent": percent,
            "lower": lower,
            "upper": upper,
            "vendor_events": vendor.get(path),
            "reason": applied.not_set.get(path),
        }


def background_rows(applied: AppliedGates, controls: Sequence[StainedTube]) -> Iterator[dict[str, object]]:
    """Yield what the gates of the tube catch in each control: rows of flow.tables.BACKGROUND, without the tube."""
    counted = applied.events
    for control in controls:
        own = replace(applied.strategy, spillover=control.spillover)
        try:
            members = apply_strategy(control.data, own, control.values.keep)
        except GateError as error:
            raise GateError([f"in the control {quote(control.file_id)}, {f}" for f in error.faults]) from None
        inside = {p: int(m.sum()) for p, m in members.items()}
        total = int(control.values.keep.sum())
        for path in counted:
            parent = applied.parent(path)
            yield {
                "gate": path_text(path),
                "control": control.file_id,
                "control_kind": control.kind,
                "control_marker": control.marker or None,
                "events": inside[path],
                "parent_events": total if parent is None else inside[parent],
            }


def plot_rows(applied: AppliedGates, tube: StainedTube) -> Iterator[dict[str, object]]:
    """Draw each gate that has dimensions over its parent's events: rows of flow.tables.PLOTS, without the tube."""
    for path in applied.events:
        gate, quadrant = applied.gates[path]
        if not gate.dimensions:
            continue
        parent = applied.parent(path)
        inside = np.flatnonzero(tube.values.keep if parent is None else applied.memberships[parent])
        shown = np.zeros(tube.data.n_events, dtype=bool)
        shown[inside[:: max(1, -(-len(inside) // MOST_EVENTS))]] = True
        values = dimension_values(tube.data, applied.strategy, path, shown)
        axes = [
            Axis(name, _scale(applied.strategy, dimension), _top(tube, name))
            for name, dimension in zip(markers_of(gate, tube)[:2], gate.dimensions, strict=False)
        ]
        yield {
            "gate": path_text(path),
            **picture([values[:, i] for i in range(len(axes))], axes, outline_of(gate, quadrant)),
        }


def _scale(strategy: Strategy, dimension: Any) -> Callable[[Floats], Floats] | None:
    reference = dimension.transformation_ref
    return None if reference is None else strategy.gating.transformations[reference].apply


def _top(tube: StainedTube, marker: str) -> float:
    index = tube.markers.get(marker)
    return tube.data.channels[index].range if index is not None else 262_144.0
