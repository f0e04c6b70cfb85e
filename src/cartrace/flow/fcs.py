"""FCS files: header, keywords, and events as they lie in the file, without loading them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Channel:
    """One parameter of the file."""

    index: int
    """From 0."""
    name: str
    """$PnN; a name that stands twice gets a number behind it (name, name_2) so that each is unique."""
    stain: str
    """$PnS, or empty."""
    range: float
    """$PnR: the top of the scale."""
    gain: float
    """$PnG; 1 without one, and for time."""
    decades: float
    """First number of $PnE; 0: linear."""
    offset: float
    """Second number of $PnE (1 where a logarithmic channel says 0)."""

    @property
    def kind(self) -> str:
        """Time, scatter or fluorescence, by the name, as FlowIO tells them."""
        head = self.name.lower()[:4]
        return (
            "time"
            if self.name.lower() == "time"
            else "scatter"
            if head in {"fsc-", "ssc-"}
            else "fluorescence"
        )


@dataclass(frozen=True, slots=True)
class Spillover:
    """A spillover matrix: row i is how the dye of detector i shines into each detector."""

    channels: tuple[str, ...]
    matrix: Floats
    """(n, n), diagonal 1."""


class Events(Protocol):
    """Reads events of some channels; an implementation maps the file into memory."""

    def __call__(self, columns: Sequence[int], start: int, stop: int) -> Floats:
        """Return (stop - start, len(columns)) float64: linearised, gain and time step applied, as FlowKit does."""
        ...


@dataclass(frozen=True, slots=True)
class FcsData:
    """One data set of one FCS file. Keywords stay in memory: they hold names and dates."""

    version: str
    data_set: int
    channels: tuple[Channel, ...]
    n_events: int
    read: Events = field(repr=False)
    spillover: Spillover | None
    volume_ul: float | None
    """$VOL (nL in FCS 3.1, section 3.2.20), as uL."""
    timestep: float | None
    """$TIMESTEP, s per unit of the time channel."""
    keywords: Mapping[str, str] = field(repr=False)
    """Upper case, without $; never to be printed."""
    remarks: tuple[str, ...] = ()
    """What was odd and was mended on reading (offsets that disagree, names that stand twice), for qc."""

    @property
    def names(self) -> tuple[str, ...]:
        """Channel names, in order."""
        return tuple(c.name for c in self.channels)

    @property
    def time(self) -> int | None:
        """Index of the time channel, if there is one."""
        return next((c.index for c in self.channels if c.kind == "time"), None)


def read_fcs(path: Path, name: str, data_set: int | None = None) -> FcsData:
    """Open one data set of an FCS file; ``name`` is how errors call the file.

    Raises
    ------
    InputError
        For a file that is no FCS, is cut short, or holds several data sets while ``data_set`` is None.
    """
    raise NotImplementedError
