"""One tube from events to counts: what was left out, how it was compensated and gated, what each gate holds.

The controls of the tube set its thresholds and tell its background; they are gated with the tube's
own gates, each compensated with its own matrix.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cartrace.flow.acceptance import rules_of, verdict_of
from cartrace.flow.compensation import check_compensation, compensation_remark, spillover_of
from cartrace.flow.engine import GateError, TubeValues, apply_strategy, gates_in
from cartrace.flow.fcs import Spillover
from cartrace.flow.gates import StainedTube, moved_marker, own_gates, staining_faults
from cartrace.flow.gating_ml import gates_sha256
from cartrace.flow.markers import match_markers
from cartrace.flow.quality import assess_acquisition
from cartrace.flow.tables import ACQUISITION, BACKGROUND, GATES, PLOTS, THRESHOLDS, TUBES
from cartrace.flow.tube_findings import Findings
from cartrace.flow.tube_rows import (
    AppliedGates,
    background_rows,
    gate_at,
    gate_rows,
    markers_of,
    plot_rows,
    unset,
)
from cartrace.intake.sheets import quote
from cartrace.problems import InputError, Problem, raise_if_any
from cartrace.tables import QC, conform, empty, rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Flow
    from cartrace.flow.engine import Bools, Path, Strategy
    from cartrace.flow.fcs import FcsData
    from cartrace.flow.panel import Panel
    from cartrace.flow.quality import Acquisition
    from cartrace.tables import Table

_NAMELESS = "this tube leaves it out, and no channel bears its name"


@dataclass(frozen=True, slots=True)
class Control:
    """What the plan says of one control of a tube."""

    file_id: str
    kind: str
    """fmo, isotype or pre_infusion."""
    marker: str
    data_set: int | None


@dataclass(frozen=True, slots=True)
class TubeSpec:
    """What the plan says of one tube; no more than gating needs."""

    kind: str
    marker: str
    data_set: int | None
    unreadable: Mapping[str, str]
    """Marker -> reason."""
    controls: tuple[Control, ...]

    @classmethod
    def from_json(cls, text: str) -> TubeSpec:
        """Read what ``FilePlan.tube`` holds."""
        raw = json.loads(text)
        return cls(
            raw["kind"],
            raw.get("marker") or "",
            raw.get("data_set"),
            dict(raw.get("unreadable", ())),
            tuple(
                Control(c["file_id"], c["kind"], c["marker"] or "", c["data_set"])
                for c in raw.get("controls", ())
            ),
        )


@dataclass(frozen=True, slots=True)
class GateSource:
    """Gates and matrices from outside the tube; all empty for cartrace's own gates."""

    strategy: Strategy | None = None
    """Drawn gates, from Gating-ML or from a workspace."""
    vendor_counts: Mapping[Path, int] | None = None
    """FlowJo's own counts of this tube."""
    csv: Spillover | None = None
    """Matrix of the csv that the panel names."""

    def matrix(self, data: FcsData) -> Spillover | None:
        """Return the matrix that the drawn gates apply to a tube: their own, or that of the tube's file."""
        if self.strategy is None or not (used := _references(self.strategy)):
            return None
        if used == {"FCS"}:
            return data.spillover
        named = self.strategy.gating.comp_matrices[min(used - {"FCS"})]
        return Spillover(tuple(named.detectors), np.asarray(named.matrix, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class GatedTube:
    """The tables of one tube, and its gate set."""

    tubes: pd.DataFrame
    gates: pd.DataFrame
    thresholds: pd.DataFrame
    background: pd.DataFrame
    acquisition: pd.DataFrame
    plots: pd.DataFrame
    qc: pd.DataFrame
    strategy: Strategy


def gate_tube(
    panel: Panel,
    spec: TubeSpec,
    data: FcsData,
    controls: Sequence[FcsData],
    source: GateSource,
    *,
    settings: Flow,
    file_id: str,
    panel_file: str,
    sha256: str,
    names: Sequence[str],
) -> GatedTube:
    """Gate one tube together with its controls.

    Parameters
    ----------
    panel
        The panel file.
    spec
        What the plan says of the tube.
    data, controls
        The tube, and its controls in the order of ``spec.controls``.
    source
        Drawn gates and matrices, where the panel names some.
    settings
        Section ``flow`` of the configuration.
    file_id, panel_file, sha256
        For the tables.
    names
        How errors call the tube's file and those of its controls.

    Raises
    ------
    InputError
        When a marker or a matrix is missing, in the tube or in one of its controls, or when a drawn gate
        asks for a channel that is not there.
    """
    try:
        return _gate_tube(
            panel,
            spec,
            (data, *controls),
            source,
            settings=settings,
            file_id=file_id,
            panel_file=panel_file,
            sha256=sha256,
            names=names,
        )
    except GateError as error:
        allowed = "gates that this tube and its controls allow"
        raise InputError(
            [Problem(panel.drawn.file if panel.drawn else panel_file, f, allowed) for f in error.faults]
        ) from None


def _gate_tube(
    panel: Panel,
    spec: TubeSpec,
    tubes: Sequence[FcsData],
    source: GateSource,
    *,
    settings: Flow,
    file_id: str,
    panel_file: str,
    sha256: str,
    names: Sequence[str],
) -> GatedTube:
    data, *controls = tubes
    _refuse_two_matrices(panel, source)
    stain = partial(_stained, panel=panel, source=source, settings=settings)
    own = Control(file_id, spec.kind, spec.marker, spec.data_set)
    markers, *of_controls = _markers(panel, tubes, (own, *spec.controls), names)
    tube, acquisition = stain(data, names[0], own, markers)
    stained = [
        stain(*control)[0] for control in zip(controls, names[1:], spec.controls, of_controls, strict=True)
    ]
    thresholds = empty(THRESHOLDS).drop(columns="tube")
    not_set: Mapping[Path, str] = {}
    nameless = {marker: _NAMELESS for marker in panel.markers if marker not in tube.markers}
    unreadable = {**nameless, **spec.unreadable}
    if source.strategy is None:
        made = own_gates(panel, tube, stained, settings, unreadable)
        strategy, order, thresholds, not_set = made.strategy, made.order, made.thresholds, made.not_set
        memberships = apply_strategy(data, strategy, tube.values.keep)
        unreadable = {**staining_faults(panel, tube, made, memberships, settings), **unreadable}
    else:
        strategy = replace(source.strategy, spillover=tube.spillover)
        memberships = apply_strategy(data, strategy, tube.values.keep)
        order = tuple(memberships)
    gates = {path: gate_at(strategy, path) for path in memberships}
    dimensions = {path: markers_of(gate, tube) for path, (gate, _) in gates.items()}
    total = int(tube.values.keep.sum())
    applied = AppliedGates(
        strategy,
        order,
        memberships,
        gates,
        dimensions,
        unset(order, gates, dimensions, unreadable, not_set),
        total,
    )
    rules = rules_of(panel, settings)
    vendor = source.vendor_counts or {}
    fluorescence = [index for marker, index in tube.markers.items() if not panel.markers[marker].linear]
    bead_path = _bead_path(panel, memberships)
    check = check_compensation(
        tube.values if bead_path is None else _without(tube, memberships[bead_path]), fluorescence
    )
    findings = Findings(file_id, rules)
    moved = {c.file_id: moved_marker(tube, c) for c in stained}
    findings.of_controls(moved)
    flags = (
        findings.of_file(data, compensation_remark(panel, data), unreadable, list(nameless))
        | findings.of_acquisition(acquisition, data.n_events, total, bool(panel.removals))
        | findings.of_compensation(check)
        | findings.of_gates(
            applied, thresholds, vendor, is_sample=spec.kind == "sample", unreadable=unreadable
        )
    )
    unstable = "unstable_time" in panel.removals
    tube_row = {
        "panel": panel_file,
        "assay": panel.assay,
        "kind": spec.kind,
        "marker": spec.marker or None,
        "controls": ";".join(c.file_id for c in spec.controls) or None,
        "fcs_version": data.version,
        "data_set": data.data_set,
        "n_channels": len(data.channels),
        "events": data.n_events,
        "unstable_events": int(acquisition.unstable.sum()) if unstable else 0,
        "margin_events": data.n_events - total - (int(acquisition.unstable.sum()) if unstable else 0),
        "gated_events": total,
        "duration_s": acquisition.duration_s,
        "kept_time_share": acquisition.kept_time_share if unstable else 1.0,
        "volume_ul": data.volume_ul,
        "compensation": "none" if tube.spillover is None else panel.matrix_source,
        "over_compensation": check.over,
        "under_compensation": check.under,
        "bead_events": _beads(panel, applied, tube, acquisition),
        "gates_sha256": gates_sha256(strategy),
        "review": "not_asked",
        "verdict": verdict_of(flags, rules, frozenset()) if spec.kind == "sample" else "control",
        "flags": ";".join(sorted(flags)) or None,
        "source_sha256": sha256,
    }

    def table(records: Iterable[Mapping[str, object]], contract: Table) -> pd.DataFrame:
        return rows([{"tube": file_id, **record} for record in records], contract)

    return GatedTube(
        table([tube_row], TUBES),
        table(gate_rows(applied, vendor, settings.confidence), GATES),
        conform(thresholds.assign(tube=file_id), THRESHOLDS),
        table(background_rows(applied, [c for c in stained if not moved[c.file_id]]), BACKGROUND),
        conform(_bins(acquisition, unstable).assign(tube=file_id), ACQUISITION),
        table(plot_rows(applied, tube), PLOTS),
        rows(findings.rows, QC),
        strategy,
    )


def _markers(
    panel: Panel, tubes: Sequence[FcsData], what: Sequence[Control], names: Sequence[str]
) -> list[Mapping[str, int]]:
    """Find the markers of the tube, then of its controls, with the faults of all of them."""
    found: list[Mapping[str, int]] = []
    problems: list[Problem] = []
    own: Mapping[str, str] = {}
    for data, control, name in zip(tubes, what, names, strict=True):
        stains = [m for m, where in panel.markers.items() if not where.linear]
        left_out = {control.marker} if control.marker else stains if control.kind == "unstained" else ()
        try:
            found.append(match_markers(panel, data.channels, name, {m: own.get(m, "") for m in left_out}))
        except InputError as error:
            problems += error.problems
            found.append({})
        own = own or {marker: data.names[index] for marker, index in found[0].items()}
    raise_if_any(problems)
    return found


def _stained(
    data: FcsData,
    name: str,
    what: Control,
    markers: Mapping[str, int],
    *,
    panel: Panel,
    source: GateSource,
    settings: Flow,
) -> tuple[StainedTube, Acquisition]:
    """Compensate, and leave out what was acquired badly."""
    spillover = spillover_of(panel, data, name, source.csv, source.matrix(data))
    acquisition = assess_acquisition(data, sorted(set(markers.values())), settings.quality)
    keep = np.ones(data.n_events, dtype=bool)
    if "unstable_time" in panel.removals:
        keep &= ~acquisition.unstable
    if "margin" in panel.removals:
        keep &= ~acquisition.margin
    values = TubeValues(data, spillover, keep)
    return StainedTube(what.file_id, what.kind, what.marker, data, values, markers, spillover), acquisition


def _references(strategy: Strategy) -> set[str]:
    """Name the compensations that the gates ask for: 'FCS' for that of the file, else a matrix of their own."""
    gates = (gate_at(strategy, path)[0] for path in gates_in(strategy.gating))
    references = {d.compensation_ref for gate in gates for d in gate.dimensions or ()}
    return {str(r) for r in references - {None, "uncompensated"}}


def _refuse_two_matrices(panel: Panel, source: GateSource) -> None:
    """Gates that carry a matrix are compensated with it; the panel file may not say otherwise."""
    if source.strategy is None or panel.drawn is None or panel.matrix_source == "gates":
        return
    if own := _references(source.strategy) - {"FCS"}:
        found = f"gates that are compensated with a matrix of their own ({quote(sorted(own)[0])})"
        allowed = f"compensation: {{source: gates}} in the panel file, which says {panel.matrix_source}"
        raise InputError([Problem(panel.drawn.file, found, allowed)])


def _beads(panel: Panel, applied: AppliedGates, tube: StainedTube, acquisition: Acquisition) -> int | None:
    """Count the beads, those at the margin too: beads are brighter than cells, and none may be lost."""
    events = applied.events
    path = _bead_path(panel, events)
    if path is None:
        return None
    if "margin" not in panel.removals or not acquisition.margin.any():
        return events[path]
    keep = ~acquisition.unstable if "unstable_time" in panel.removals else None
    return int(apply_strategy(tube.data, applied.strategy, keep)[path].sum())


def _without(tube: StainedTube, events: Bools) -> TubeValues:
    """Return the values of the other events: beads are bright in every channel, and no spillover makes them so."""
    return TubeValues(tube.data, tube.spillover, tube.values.keep & ~events)


def _bead_path(panel: Panel, paths: Iterable[Path]) -> Path | None:
    if panel.beads is None:
        return None
    return next((p for p in paths if panel.beads.gate in {p[-1], "/".join(p)}), None)


def _bins(acquisition: Acquisition, removes: bool) -> pd.DataFrame:
    """Return the stretches of the acquisition; where nothing is left out, all of them are kept."""
    return acquisition.bins if removes else acquisition.bins.assign(kept=True)
