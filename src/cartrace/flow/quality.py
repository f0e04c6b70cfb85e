"""Acquisition quality: flow rate and signals over time, events at the margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cartrace.config import FlowQuality
    from cartrace.flow.fcs import FcsData


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What one acquisition was like, and which events count."""

    unstable: NDArray[np.bool_]
    """(n_events,) in a stretch whose rate or signal is off."""
    margin: NDArray[np.bool_]
    """(n_events,) at the top of a channel, or at its lowest value where events pile up."""
    bins: pd.DataFrame
    """Columns of flow.tables.ACQUISITION without tube."""
    duration_s: float | None
    kept_time_share: float


def assess_acquisition(data: FcsData, channels: Sequence[int], settings: FlowQuality) -> Acquisition:
    """Look at rate and signals of ``channels`` (those that are gated) over time."""
    raise NotImplementedError
