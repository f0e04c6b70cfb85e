"""What the gates of a tube catch where nothing is there: the background in its controls.

A control leaves out a marker. The first gate on the way to a population that looks at this marker
divides what can be asked of the control from what can't: its parent is the anchor, and the share of
the anchor's events that end in the population is the background.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from cartrace.flow.counts import share_interval
from cartrace.flow.limits import limit_of_blank

if TYPE_CHECKING:
    from cartrace.flow.panel import Panel, Population

Row = Mapping[str, Any]

DISAGREEMENT = 0.01
"""Chance below which controls disagree (all controls together). House value."""
MOST = 0.5
"""A drawn gate that holds more than this share of a control without the marker takes cells without it: the
control tells nothing of its background. House value."""


@dataclass(frozen=True, slots=True)
class Background:
    """What the pooled controls of one marker predict for one population of a tube."""

    marker: str
    """Marker that the controls leave out."""
    controls: tuple[str, ...]
    """Tubes that count."""
    events: int
    """Events of the population in them."""
    anchor_events: int
    """Events of the anchor in them; at least one."""
    tube_anchor_events: int
    """Events of the anchor in the tube."""
    disagree: str = ""
    """In words: the control that catches more than the others predict, and then counts alone."""

    @property
    def counts(self) -> tuple[int, int, int]:
        """Events and anchor events of the controls, anchor events of the tube."""
        return self.events, self.anchor_events, self.tube_anchor_events

    @property
    def share(self) -> float:
        """Share of the anchor's events, 0 to 1."""
        return self.events / self.anchor_events

    @property
    def expected(self) -> float:
        """Events that the background predicts in the tube."""
        return self.share * self.tube_anchor_events

    def expected_interval(self, confidence: float) -> tuple[float, float]:
        """Return the exact limits of ``expected`` (Clopper and Pearson)."""
        low, high = share_interval(self.events, self.anchor_events, confidence)
        return float(low) * self.tube_anchor_events, float(high) * self.tube_anchor_events


def way_to(gates: Mapping[str, Row], path: str) -> list[Row]:
    """Return the rows of GATES from the first gate down to ``path``."""
    way: list[Row] = []
    at: Any = path
    while not pd.isna(at) and at in gates:
        way.append(gates[at])
        at = gates[at]["parent"]
    return way[::-1]


def markers_of(gate: Row) -> tuple[str, ...]:
    """Return the markers (or channels) that a row of GATES looks at."""
    return () if pd.isna(gate["dimensions"]) else tuple(str(gate["dimensions"]).split(";"))


def background_of(
    population: Population,
    path: str,
    panel: Panel,
    gates: Mapping[str, Row],
    background: Sequence[Row],
    *,
    probability: float,
) -> Background | None:
    """Return the background of a population; None where no control tells it.

    Where controls leave out several markers, the marker whose limit of blank is the highest counts.

    Parameters
    ----------
    population, path
        The population, and the path of its gate.
    gates
        Path -> row of GATES of the tube.
    background
        Rows of BACKGROUND of the tube.
    probability
        Of the limit of blank.
    """
    by_marker: dict[str, list[Row]] = defaultdict(list)
    for row in background:
        if row["gate"] != path:
            continue
        if row["control_kind"] != "pre_infusion":
            by_marker[str(row["control_marker"])].append(row)
        elif population.is_car:
            by_marker[panel.car_marker].append(row)
    found: list[Background] = []
    for marker, controls in by_marker.items():
        gate = next((g for g in way_to(gates, path) if marker in markers_of(g)), None)
        if gate is None or pd.isna(gate["parent_events"]):
            continue
        first = {r["control"]: r for r in background if r["gate"] == gate["gate"]}
        counts = [
            (str(r["control"]), int(r["events"]), int(first[r["control"]]["parent_events"]))
            for r in controls
            if r["control"] in first and int(first[r["control"]]["parent_events"]) > 0
        ]
        own = population.is_car and marker == panel.car_marker
        if counts and (own or _takes_positive(panel, gate, marker, [first[c[0]] for c in counts])):
            found.append(_pooled(marker, counts, int(gate["parent_events"])))
    blanks = [limit_of_blank(*b.counts, probability) for b in found]
    worst = max(zip(blanks, found, strict=True), key=lambda pair: (pair[0], pair[1].expected), default=None)
    return None if worst is None else worst[1]


def _takes_positive(panel: Panel, gate: Row, marker: str, controls: Sequence[Row]) -> bool:
    """Say whether a gate takes cells that have the marker; cells without it fill the control by right."""
    own = panel.gates.get(str(gate["name"]))
    if own is not None:
        sides = {
            side for name, side in own.where.items() if (panel.thresholds[name].marker or name) == marker
        }
        if sides:
            return sides == {"above"}
        if marker in own.bounds:
            return own.bounds[marker][0] is not None
    inside, above = (sum(int(r[c]) for r in controls) for c in ("events", "parent_events"))
    return inside <= MOST * above


def _pooled(marker: str, counts: list[tuple[str, int, int]], tube_anchor: int) -> Background:
    """Add controls up; one that catches more than the others predict counts alone, since tubes differ then.

    Given all events of the controls, those of one are binomial with its share of the anchor events;
    the chance of so many or more is exact, corrected for the number of controls (Bonferroni).
    """
    from scipy.stats import binom

    events, anchor = sum(c[1] for c in counts), sum(c[2] for c in counts)
    chance, worst = min((float(binom.sf(k - 1, events, n / anchor)), (c, k, n)) for c, k, n in counts)
    if len(counts) > 1 and chance * len(counts) < DISAGREEMENT:
        name, k, n = worst
        others = f"{events - k} of {anchor - n} in the others"
        told = f"{name} catches {k} of {n} events, {others}; it counts alone"
        return Background(marker, (name,), k, n, tube_anchor, told)
    return Background(marker, tuple(c[0] for c in counts), events, anchor, tube_anchor)
