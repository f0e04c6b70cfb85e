"""Gates applied to a tube, in little memory: membership as FlowKit gives it.

Events are read in chunks. Only gated channels are compensated and transformed, and only for the
events of the gate's parent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cartrace.flow.fcs import FcsData, Spillover

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Path = tuple[str, ...]
"""Names from the first gate down to the gate itself; quadrants are ('parent', 'quadrant gate', 'quadrant')."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A FlowKit gating strategy, and what it rests on."""

    gating: Any
    """flowkit.GatingStrategy: gates, transformations, matrices."""
    spillover: Spillover | None
    """Matrix behind the compensation reference of its dimensions; None: none of them is compensated."""


class TubeValues:
    """Compensated values of one tube, channel by channel, on demand."""

    def __init__(self, data: FcsData, spillover: Spillover | None, keep: Bools | None = None) -> None:
        """Remember the tube; events outside ``keep`` (n_events,) belong to no population."""
        raise NotImplementedError

    @property
    def keep(self) -> Bools:
        """(n_events,) the events that count."""
        raise NotImplementedError

    def column(self, channel: int, rows: Bools | None = None) -> Floats:
        """Return the compensated linear values of a channel, for ``rows`` (n_events,) or all kept events."""
        raise NotImplementedError


def apply_strategy(
    data: FcsData, strategy: Strategy, keep: Bools | None = None, chunk: int = 262_144
) -> Mapping[Path, Bools]:
    """Return the membership of each gate (and quadrant), (n_events,) each, in the order of the strategy.

    ``keep`` (n_events,): events outside it belong to no gate.
    """
    raise NotImplementedError


def counts_of(memberships: Mapping[Path, Bools], paths: Sequence[Path]) -> list[int]:
    """Return the events of each path."""
    return [int(memberships[p].sum()) for p in paths]
