"""Cells per uL of the specimen: by counting beads, by the acquired volume, by a blood count.

Every way is a factor for one event, so that counts, their limits and the limits of detection all go
through the same one. A way that lacks a number is not estimable, with the reason; none is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cartrace.flow.counts import poisson_interval, ratio_interval, share_interval

if TYPE_CHECKING:
    from cartrace.flow.panel import Panel, Population
    from cartrace.intake.tubes import Tube

COUNTED_IN = ("blood", "pbmc")
"""Compartments of whose cells a blood count speaks."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to cells/uL of one population in one tube."""

    method: str
    """beads, volume or blood_count."""
    scale: float = math.nan
    """cells/uL = scale x events / per; nan: not estimable."""
    per: int = 1
    """Beads, or events of the gate of the blood count; 1 for volumes."""
    reason: str = ""
    """Why it is not estimable."""

    @property
    def per_event(self) -> float:
        """Cells/uL that one event stands for; nan: not estimable."""
        return self.scale / self.per

    def interval(self, events: int, confidence: float) -> tuple[float, float]:
        """Return the exact limits of cells/uL that follow from counting; no volume or blood count has an error here."""
        if self.method == "beads":
            low, high = ratio_interval(events, self.per, confidence)
        elif self.method == "volume":
            low, high = poisson_interval(events, confidence)
        else:
            low, high = share_interval(events, self.per, confidence)
        return self.scale * float(low), self.scale * float(high)


def by_beads(tube: Tube, panel: Panel, bead_events: int | None) -> Way:
    """Cells/uL = cells / beads x beads_per_ul x bead_volume_ul / sample_volume_ul.

    Beads and specimen meet in the tube, so no later dilution changes their ratio: ``dilution`` belongs to
    the volume alone.
    """
    if tube.beads_per_ul is None or tube.bead_volume_ul is None:
        return Way("beads", reason="the tubes sheet gives no beads")
    if tube.sample_volume_ul is None:
        return Way("beads", reason="the tubes sheet gives no sample_volume_ul")
    if panel.beads is None:
        return Way("beads", reason="the panel file names no bead gate")
    if not bead_events:
        return Way(
            "beads", reason="no beads were acquired" if bead_events == 0 else "the bead gate is not set"
        )
    return Way("beads", tube.beads_per_ul * tube.bead_volume_ul / tube.sample_volume_ul, bead_events)


def by_volume(tube: Tube, acquired: Mapping[str, Any]) -> Way:
    """Cells/uL = cells / (acquired volume x kept_time_share) x dilution.

    Parameters
    ----------
    acquired
        Row of TUBES; numbers that are not known are None.
    """
    volume = tube.acquired_volume_ul if tube.acquired_volume_ul is not None else acquired["volume_ul"]
    if not volume:
        return Way("volume", reason="neither the file ($VOL) nor the tubes sheet gives the acquired volume")
    if tube.dilution is None:
        return Way("volume", reason="the tubes sheet gives no dilution (1: none)")
    if acquired["unstable_events"] and acquired["duration_s"] is None:
        return Way("volume", reason="events were left out, and without a clock nobody knows their volume")
    kept = volume * acquired["kept_time_share"]
    return Way("volume", tube.dilution / kept) if kept > 0 else Way("volume", reason="no time was kept")


def by_blood_count(
    tube: Tube, population: Population, events: int, gate_events: int | None, matrix: str | None
) -> Way:
    """Cells/uL = events / events of the gate that stands for the blood count x that count.

    Parameters
    ----------
    events
        Of the population.
    gate_events
        Of ``blood_count_gate``; None where it is not set.
    matrix
        Compartment of the sample, where it is known.
    """
    words = population.blood_count.replace("_", " ")
    count = tube.lymphocytes_per_ul if population.blood_count == "lymphocytes" else tube.white_cells_per_ul
    reason = ""
    if not population.blood_count_gate:
        reason = "the panel file names no blood_count_gate"
    elif count is None:
        reason = f"the tubes sheet gives no count of {words}"
    elif count == 0:
        # 0.0 x 10^9/L is a rounded count: as a factor it would make every population certainly absent.
        reason = f"the count of {words} is 0"
    elif matrix is not None and matrix not in COUNTED_IN:
        reason = f"a blood count says nothing of {matrix}"
    elif not gate_events:
        reason = f"no events in the gate of the {words}"
    elif events > gate_events:
        reason = f"more events than in the gate of the {words}"
    if reason or count is None or gate_events is None:
        return Way("blood_count", reason=reason)
    return Way("blood_count", count, gate_events)


@dataclass(frozen=True, slots=True)
class Agreement:
    """One way beside the one that counts."""

    first: str
    other: str
    ratio: float
    """Cells/uL by the first over those by the other."""


def agreements(ways: Sequence[Way]) -> list[Agreement]:
    """Compare the first way that is estimable with each further one; a way that gives 0 is not compared."""
    able = [w for w in ways if not math.isnan(w.scale)]
    return [
        Agreement(able[0].method, w.method, able[0].per_event / w.per_event)
        for w in able[1:]
        if w.per_event > 0
    ]
