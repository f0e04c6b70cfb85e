"""cartrace's own gating strategy: thresholds and automatic gates, set from a tube and its controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Flow
    from cartrace.flow.engine import Bools, Path, Strategy, TubeValues
    from cartrace.flow.fcs import FcsData, Spillover
    from cartrace.flow.panel import Panel

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
    population. No threshold is set from fewer events than the settings ask.

    Parameters
    ----------
    unreadable
        Marker -> why its staining can't be read; no gate that uses it is set.
    """
    raise NotImplementedError


def staining_faults(
    panel: Panel, tube: StainedTube, gates: OwnGates, memberships: Mapping[Path, Bools], settings: Flow
) -> Mapping[str, str]:
    """Return marker -> reason for each staining check of the panel that the gated tube fails."""
    raise NotImplementedError
