"""The panel file: which marker is in which channel, how it is gated, and what is counted.

It is the ``mapping`` of a file whose reader is ``fcs_tube``. It is checked as a
whole: every unknown key and every bad value is reported at once. Read while the
Snakefile is parsed, so it imports pydantic and nothing heavier.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from cartrace.analytes import ANALYTES
from cartrace.config import AcceptanceRule, FlowAcceptance
from cartrace.flow.vocabulary import CONTROL_KINDS
from cartrace.intake.mapping import Part, Regex, Text, read_yaml
from cartrace.problems import did_you_mean, holds_date
from cartrace.validation import validated

ThresholdMethod = Literal["fmo", "isotype", "pre_infusion", "slope", "valley", "fixed"]
Side = Literal["above", "below"]
_LINEAR = re.compile(r"(?i)(fsc|ssc|time)\b")
_LONGEST_NAME = 100
ALL_EVENTS = ""
"""Parent of a gate that begins at all events."""


def _nearest(name: str, known: Iterable[str]) -> str:
    near = did_you_mean(name, known)
    return f" (did you mean '{near}'?)" if near else ""


class Marker(Part):
    """Where one marker is measured. Without keys, the marker's own name is looked for."""

    channel: Text = Field("", description="Name of the channel ($PnN), exactly.")
    pattern: Regex | None = Field(
        None,
        description="Regular expression that has to match the whole stain ($PnS) or channel name ($PnN) of exactly "
        "one channel; case does not count. Without channel and pattern: the marker's own name.",
    )
    linear: bool = Field(
        False,
        description="Neither compensated nor transformed. Markers named FSC, SSC or Time (FSC-A, ...) are, unless they "
        "say otherwise.",
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, raw: Any) -> Any:
        # `CD3:` alone, and `CD3: FITC-A`.
        if raw is None:
            return {}
        return {"channel": raw} if isinstance(raw, (str, int)) else raw

    @model_validator(mode="after")
    def _one_way(self) -> Marker:
        if self.channel and self.pattern:
            raise ValueError("give a channel or a pattern, not both")
        return self


class Compensation(Part):
    """Where the spillover matrix comes from."""

    source: Literal["file", "csv", "gates", "none"] | None = Field(
        None,
        description="file: the tube's own $SPILLOVER (or SPILL, $COMP); csv; gates: the matrix that the drawn gates carry "
        "(FlowJo workspace, Gating-ML); none, for data that are compensated already. Default: file with cartrace's own gates, "
        "gates with drawn ones.",
    )
    file: str = Field(
        "", description="The csv, relative to the trial folder: channels in the first row, then the matrix."
    )

    @model_validator(mode="after")
    def _file_with_csv(self) -> Compensation:
        if (self.source == "csv") != bool(self.file):
            raise ValueError("file belongs to source: csv, and is needed there")
        return self


class Transform(Part):
    """Scale on which fluorescence is gated and drawn (Gating-ML 2.0, section 6)."""

    kind: Literal["logicle", "asinh", "hyperlog", "biex", "linear", "log"] = Field(
        "logicle", description="Kind of scale; biex is FlowJo's (its own gates only)."
    )
    t: float | None = Field(
        None, gt=0, description="Top of the scale; the channel's range ($PnR) when empty."
    )
    m: float = Field(4.5, gt=0, description="Decades.")
    w: float = Field(0.5, ge=0, description="Decades that are linear (logicle, hyperlog).")
    a: float = Field(0.0, description="Further negative decades.")

    @model_validator(mode="after")
    def _in_range(self) -> Transform:
        # Gating-ML 2.0, 6.4: 0 <= W <= M/2 and -W <= A <= M - 2W.
        if self.kind in {"logicle", "hyperlog"} and not (
            self.w <= self.m / 2 and -self.w <= self.a <= self.m - 2 * self.w
        ):
            raise ValueError("needs w <= m / 2 and -w <= a <= m - 2 w (Gating-ML 2.0, section 6)")
        return self


class Threshold(Part):
    """Where a marker turns from negative to positive."""

    marker: str = Field("", description="Marker; the threshold's own name when empty.")
    method: tuple[ThresholdMethod, ...] = Field(
        ("valley",),
        min_length=1,
        description="Ways to set it, the first that can be done counts: fmo, isotype, pre_infusion (the quantile of that "
        "control of which flow.control_tail_percent lies above), slope (where the negative peak has run out), valley (the "
        "lowest density between the negative and the positive peak), fixed.",
    )
    population: str = Field(
        "",
        description="Gate inside which it is looked for; the parent of the first gate that uses it when empty.",
    )
    tail_percent: float | None = Field(
        None, gt=0, lt=50, description="Share of a control above it; flow.control_tail_percent when empty."
    )
    value: float | None = Field(
        None, description="fixed: on the linear, compensated scale of the instrument."
    )

    @field_validator("method", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _value_when_fixed(self) -> Threshold:
        if ("fixed" in self.method) != (self.value is not None):
            raise ValueError("value belongs to the method fixed, and is needed there")
        if "fixed" in self.method[:-1]:
            raise ValueError("fixed can always be done, so it has to be the last method")
        if self.tail_percent is not None and not set(CONTROL_KINDS) & set(self.method):
            raise ValueError(f"tail_percent belongs to the methods {', '.join(CONTROL_KINDS)}")
        return self


class Gate(Part):
    """One gate of cartrace's own strategy. Its kind decides which keys it takes."""

    parent: str = Field(ALL_EVENTS, description="Gate that it lies in; empty: all events.")
    kind: Literal["threshold", "singlets", "scatter", "rectangle", "polygon", "boolean"] = Field(
        "threshold",
        description="threshold (markers above or below), singlets (height against area), scatter (an ellipse around "
        "the densest peak), rectangle, polygon, boolean (of other gates).",
    )
    where: dict[str, Side] = Field(
        default_factory=dict, description="threshold: name of a threshold -> above or below."
    )
    dimensions: tuple[str, ...] = Field(
        (),
        description="Two markers: singlets (area, height; FSC-A and FSC-H when empty), scatter (FSC-A and SSC-A when empty), "
        "polygon.",
    )
    mads: float = Field(
        5.0,
        gt=0,
        description="singlets: half width of the band around the median of height / area, in median absolute deviations.",
    )
    coverage: float = Field(
        0.95, gt=0.5, lt=1, description="scatter: share of the peak's own events in the ellipse."
    )
    near: tuple[float, float] | None = Field(
        None, description="scatter: where about the peak is; the densest one when empty."
    )
    bounds: dict[str, tuple[float | None, float | None]] = Field(
        default_factory=dict,
        description="rectangle: marker -> [lowest, highest] on the linear scale; null: open.",
    )
    vertices: tuple[tuple[float, float], ...] = Field(
        (), description="polygon: corners on the linear scale; edges are straight on the drawn scale."
    )
    operation: Literal["and", "or", "not"] | None = Field(
        None, description="boolean: and, or of gates; not of one."
    )
    gates: tuple[str, ...] = Field((), description="boolean: the gates.")

    @model_validator(mode="after")
    def _keys_of_its_kind(self) -> Gate:
        needs = {
            "threshold": ("where",),
            "rectangle": ("bounds",),
            "polygon": ("dimensions", "vertices"),
            "boolean": ("operation", "gates"),
        }.get(self.kind, ())
        allowed = {
            *needs,
            "parent",
            "kind",
            *{"singlets": ("dimensions", "mads"), "scatter": ("dimensions", "coverage", "near")}.get(
                self.kind, ()
            ),
        }
        if odd := sorted(self.model_fields_set - allowed):
            raise ValueError(f"a gate of kind {self.kind} takes no {', '.join(odd)}")
        if missing := [n for n in needs if not getattr(self, n)]:
            raise ValueError(f"a gate of kind {self.kind} needs {', '.join(missing)}")
        if self.dimensions and len(self.dimensions) != 2:
            raise ValueError("dimensions are two markers")
        if len(set(self.dimensions)) < len(self.dimensions):
            raise ValueError("dimensions are two different markers")
        for marker, (low, high) in self.bounds.items():
            if low is None and high is None:
                raise ValueError(f"bounds of {marker}: at least one of the two")
            if low is not None and high is not None and low >= high:
                raise ValueError(f"bounds of {marker}: [lowest, highest], and {low:g} is not below {high:g}")
        if self.kind == "polygon" and len(self.vertices) < 3:
            raise ValueError("a polygon has three corners or more")
        if self.operation == "not" and len(self.gates) != 1:
            raise ValueError("not takes one gate")
        return self

    @property
    def axes(self) -> tuple[str, ...]:
        """Markers that the gate itself names (not those of its thresholds)."""
        usual = {"singlets": ("FSC-A", "FSC-H"), "scatter": ("FSC-A", "SSC-A")}
        return self.dimensions or usual.get(self.kind, tuple(self.bounds))


class Drawn(Part):
    """Gates that were drawn in another program."""

    gating_ml: str = Field(
        "", description="Gating-ML 2.0 file, relative to the trial folder; cartrace's own export is one."
    )
    flowjo: str = Field("", description="FlowJo 10 workspace (.wsp), relative to the trial folder.")
    sample: Text = Field(
        "",
        description="flowjo: name of the sample in the workspace whose gates count for tubes that it does not hold; without "
        "it such a tube is an error.",
    )

    @model_validator(mode="after")
    def _one_file(self) -> Drawn:
        if bool(self.gating_ml) == bool(self.flowjo):
            raise ValueError("give gating_ml or flowjo")
        if self.sample and not self.flowjo:
            raise ValueError("sample belongs to flowjo")
        return self

    @property
    def file(self) -> str:
        """The file with the gates."""
        return self.gating_ml or self.flowjo


class Population(Part):
    """One gate that is counted and reported."""

    gate: Text = Field(
        description="Gate; its name, or its path with / where two gates have one name (drawn gates)."
    )
    analyte: str = Field("", description="Analyte in measurements; empty: evidence only.")
    of: Text = Field("", description="Gate that the percentage is of; the gate's parent when empty.")
    units: tuple[Literal["cells/uL", "%"], ...] = Field(
        (), description="Units in measurements; those of the two that the analyte has, when empty."
    )
    blood_count: Literal["lymphocytes", "white_cells"] = Field(
        "lymphocytes", description="Which blood count it is a share of."
    )
    blood_count_gate: Text = Field(
        "",
        description="Gate that stands for that count: lymphocytes or all white cells (CD45+). Without it no blood count "
        "is used.",
    )

    @field_validator("analyte")
    @classmethod
    def _known(cls, value: str) -> str:
        counted = [a.name for a in ANALYTES.values() if {"cells/uL", "%"} & set(a.units)]
        if value and value not in counted:
            raise ValueError(f"one of {', '.join(counted)}{_nearest(value, counted)}")
        return value

    @model_validator(mode="after")
    def _units_of_the_analyte(self) -> Population:
        if self.units and not self.analyte:
            raise ValueError("units belong to an analyte")
        if odd := [u for u in self.units if u not in ANALYTES[self.analyte].units]:
            raise ValueError(f"{self.analyte} is not followed in {', '.join(odd)}")
        return self

    @property
    def reported_units(self) -> tuple[str, ...]:
        """Units in which it goes into measurements; none without an analyte."""
        if not self.analyte:
            return ()
        return self.units or tuple(u for u in ("cells/uL", "%") if u in ANALYTES[self.analyte].units)

    @property
    def is_car(self) -> bool:
        """Whether it counts CAR+ cells."""
        return bool(self.analyte) and ANALYTES[self.analyte].family == "expansion"


class StainingCheck(Part):
    """A population that has to be there when the staining of a marker can be read."""

    threshold: str = Field(description="Threshold (cartrace's own gates) whose staining is checked.")
    population: str = Field(description="Gate in which positive events are expected.")
    min_percent: float = Field(
        gt=0, le=100, description="Fewest positive events, % of it; below, the marker is unreadable."
    )


class Beads(Part):
    """Counting beads."""

    gate: Text = Field(description="Gate that holds the beads.")


class Panel(Part):
    """One staining panel."""

    assay: str = Field(
        "flow", pattern=r"^[a-z][a-z0-9_]*$", description="Name in measurements: flow, flow_central, ..."
    )
    markers: dict[Text, Marker] = Field(min_length=1, description="Marker -> where it is measured.")
    car_marker: Text = Field(
        "", description="Marker that stains the CAR; needed where a population counts CAR+ cells."
    )
    compensation: Compensation = Field(default_factory=Compensation)
    transform: Transform = Field(
        default_factory=Transform, description="Scale of all fluorescence (own gates)."
    )
    transforms: dict[str, Transform] = Field(
        default_factory=dict, description="Marker -> a scale of its own."
    )
    thresholds: dict[str, Threshold] = Field(
        default_factory=dict, description="Thresholds of the own gates, by a name (mostly the marker's)."
    )
    gates: dict[Text, Gate] = Field(
        default_factory=dict,
        description="cartrace's own gates, each below its parent; or drawn gates (drawn).",
    )
    drawn: Drawn | None = Field(None, description="Gates drawn in another program, instead of gates.")
    populations: dict[Text, Population] = Field(
        min_length=1, description="What is counted, by a name of your own."
    )
    beads: Beads | None = Field(None, description="Counting beads, where the panel has some.")
    staining: tuple[StainingCheck, ...] = Field((), description="Checks that a staining can be read.")
    remove: tuple[Literal["unstable_time", "margin"], ...] | None = Field(
        None,
        description="Events left out before gating. Default: both with cartrace's own gates, none with drawn gates, which "
        "were drawn on all events.",
    )
    acceptance: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Acceptance rules of this panel that differ from flow.acceptance: {rule: {lower, upper, consequence}}.",
    )

    @field_validator("acceptance")
    @classmethod
    def _known_rules(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, change in value.items():
            if name not in FlowAcceptance.model_fields:
                raise ValueError(f"unknown rule '{name}'{_nearest(name, FlowAcceptance.model_fields)}")
            for key in change:
                if key not in AcceptanceRule.model_fields:
                    raise ValueError(
                        f"{name}: unknown key '{key}'{_nearest(key, AcceptanceRule.model_fields)}"
                    )
        FlowAcceptance.over(FlowAcceptance(), value)
        return value

    @field_validator("markers", mode="before")
    @classmethod
    def _scatter_is_linear(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            return raw
        return {
            name: {
                "linear": True,
                **({"channel": marker} if isinstance(marker, (str, int)) else marker or {}),
            }
            if _LINEAR.match(str(name)) and (marker is None or isinstance(marker, (str, int, Mapping)))
            else marker
            for name, marker in raw.items()
        }

    @model_validator(mode="after")
    def _whole(self) -> Panel:
        if bool(self.gates) == bool(self.drawn):
            raise ValueError("give gates (cartrace's own) or drawn, and not both")
        if self.compensation.source == "gates" and not self.drawn:
            raise ValueError("compensation with the matrix of drawn gates needs drawn")
        # Odd names are not shown again, and ways through the gates need gates in order.
        faults = [*self._odd_names()]
        faults = faults or [*self._unknown_names(), *self._broken_order(), *self._mixed_courses()]
        faults = faults or [*self._wrong_counts()]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _odd_names(self) -> Iterator[str]:
        """Names end in tables and in the report."""
        drawn = [n for p in self.populations.values() for n in (p.gate, p.of, p.blood_count_gate) if n]
        own = (*self.markers, *self.thresholds, *self.gates, *self.populations)
        yield from (f"a name of {len(n)} characters ('{n[:20]}...')" for n in own if len(n) > _LONGEST_NAME)
        for name in (*own, *drawn):
            if not (name.strip() and name.isprintable()):
                yield f"a name that is empty or holds a control character ({name!r})"
            if holds_date(name):
                yield f"a calendar date in the name '{name}'"

    def _unknown_names(self) -> Iterator[str]:
        def unknown(name: str, known: Mapping[str, Any], what: str, place: str) -> Iterator[str]:
            if name not in known:
                yield f"{place} names the unknown {what} '{name}'{_nearest(name, known)}"

        if self.car_marker:
            yield from unknown(self.car_marker, self.markers, "marker", "car_marker")
        elif car := [name for name, population in self.populations.items() if population.is_car]:
            yield f"population '{car[0]}' counts CAR+ cells, which needs car_marker"
        for name, threshold in self.thresholds.items():
            yield from unknown(threshold.marker or name, self.markers, "marker", f"threshold '{name}'")
        for name in self.transforms:
            yield from unknown(name, self.markers, "marker", "transforms")
            if name in self.markers and self.markers[name].linear:
                yield f"transforms names '{name}', which is linear"
        if self.drawn:
            if self.thresholds or self.staining:
                yield "thresholds and staining belong to cartrace's own gates, not to drawn ones"
            return
        for name, threshold in self.thresholds.items():
            if threshold.population:
                yield from unknown(threshold.population, self.gates, "gate", f"threshold '{name}'")
        for name, gate in self.gates.items():
            place = f"gate '{name}'"
            for marker in gate.axes:
                yield from unknown(marker, self.markers, "marker", place)
            for threshold_name in gate.where:
                yield from unknown(threshold_name, self.thresholds, "threshold", place)
            for other in (*gate.gates, *([gate.parent] if gate.parent else [])):
                yield from unknown(other, self.gates, "gate", place)
        for name, population in self.populations.items():
            named = (population.gate, population.of, population.blood_count_gate)
            for other in filter(None, named):
                yield from unknown(other, self.gates, "gate", f"population '{name}'")
        if self.beads:
            yield from unknown(self.beads.gate, self.gates, "gate", "beads")
        for check in self.staining:
            yield from unknown(check.threshold, self.thresholds, "threshold", "staining")
            yield from unknown(check.population, self.gates, "gate", "staining")

    def _broken_order(self) -> Iterator[str]:
        """Gates stand below all that they rest on, so that no circle is possible."""
        seen: set[str] = set()
        used: set[str] = set()
        for name, gate in self.gates.items():
            if "/" in name:
                yield f"gate '{name}': no / in a name"
            if name == "root":
                yield "gate 'root': the name stands for all events in other programs"
            if name in {".", ".."}:
                yield f"gate '{name}': the name stands for a place in the tree of gates"
            rests_on = [gate.parent, *gate.gates]
            for threshold in gate.where:
                if threshold in self.thresholds and threshold not in used:
                    used.add(threshold)
                    rests_on.append(self.thresholds[threshold].population)
            yield from (
                f"gate '{name}' stands above '{other}', on which it rests"
                for other in filter(None, rests_on)
                if other in self.gates and other not in seen
            )
            seen.add(name)
        yield from (
            f"threshold '{t}' is used by no gate" for t in self.thresholds if self.gates and t not in used
        )

    def _mixed_courses(self) -> Iterator[str]:
        seen: dict[tuple[str, str], str] = {}
        for name, population in self.populations.items():
            for unit in population.reported_units:
                if (other := seen.setdefault((population.analyte, unit), name)) != name:
                    yield f"populations '{other}' and '{name}' are both {population.analyte} in {unit}"

    def _wrong_counts(self) -> Iterator[str]:
        """Tell own populations whose number would not be what its name says."""
        for name, population in self.populations.items() if self.gates else ():
            gate = population.gate
            above = self.ancestors(gate)
            if population.of and population.of not in above:
                yield f"population '{name}' is a share of '{population.of}', in which '{gate}' does not lie"
            count = population.blood_count_gate
            if count and count not in (gate, *above):
                yield f"population '{name}' has the blood_count_gate '{count}', in which '{gate}' does not lie"
            if population.is_car and not self._asks_for(self.car_marker, gate):
                yield f"population '{name}' counts CAR+ cells, and no gate on its way asks for '{self.car_marker}'"

    def _asks_for(self, marker: str, name: str, sides: tuple[str, ...] = ("above",)) -> bool:
        """Whether a gate, or one above it, takes events by a marker; inside boolean gates by either side."""
        for gate in (self.gates[n] for n in (name, *self.ancestors(name))):
            by_threshold = {self.thresholds[t].marker or t for t, side in gate.where.items() if side in sides}
            if marker in {*gate.axes, *by_threshold}:
                return True
            if any(self._asks_for(marker, other, ("above", "below")) for other in gate.gates):
                return True
        return False

    def ancestors(self, gate: str) -> tuple[str, ...]:
        """Gates (cartrace's own) that a gate lies in, the nearest first."""
        parent = self.gates[gate].parent
        return (parent, *self.ancestors(parent)) if parent else ()

    def population_of(self, threshold: str) -> str:
        """Gate inside which a threshold is looked for; empty: all events."""
        named = self.thresholds[threshold].population
        return named or next((g.parent for g in self.gates.values() if threshold in g.where), ALL_EVENTS)

    @property
    def matrix_source(self) -> str:
        """Where the spillover matrix comes from: file, csv, gates or none."""
        return self.compensation.source or ("gates" if self.drawn else "file")

    @property
    def removals(self) -> tuple[str, ...]:
        """What is left out before gating."""
        if self.remove is not None:
            return self.remove
        return () if self.drawn else ("unstable_time", "margin")


def load_panel(raw: Mapping[str, Any] | Any, file: str) -> Panel:
    """Check ``raw`` and return the panel.

    Raises
    ------
    InputError
        With every unknown key (and the nearest known one) and every bad value.
    """
    return validated(raw, Panel, file, "assay, markers, gates, populations")


def read_panel(path: Path, file: str) -> Panel:
    """Read and check a panel file.

    Raises
    ------
    InputError
        When it is missing, no YAML, or no valid panel.
    """
    return load_panel(read_yaml(path, file, "panel"), file)
