"""Spillover matrices: where they come from, and whether one was applied once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cartrace.flow.engine import TubeValues
    from cartrace.flow.fcs import FcsData, Spillover
    from cartrace.flow.panel import Panel


@dataclass(frozen=True, slots=True)
class CompensationCheck:
    """What is left of the spillover after compensation."""

    over: float | None
    """Steepest slope by which a bright channel pulls another below zero; None: too few bright events."""
    over_pair: tuple[str, str]
    """Channel names: the bright one, the other one."""
    under: float | None
    """Steepest slope by which a bright channel lifts the dimmest events of another one."""
    under_pair: tuple[str, str]


def read_compensation_csv(text: str, name: str) -> Spillover:
    """Read a csv: channel names in the first row (and maybe in the first column), then the matrix.

    Raises
    ------
    InputError
        With every cell that is no number, and when the matrix is not square or can't be inverted.
    """
    raise NotImplementedError


def spillover_of(
    panel: Panel, data: FcsData, name: str, csv: Spillover | None = None, workspace: Spillover | None = None
) -> Spillover | None:
    """Return the matrix that the panel chooses for a tube; None: data are not compensated.

    Raises
    ------
    InputError
        When the file holds none, a channel of the matrix is missing, it can't be inverted, or the
        channels are compensated already (Comp- names) and a matrix would be applied again.
    """
    raise NotImplementedError


def check_compensation(values: TubeValues, channels: Sequence[int]) -> CompensationCheck:
    """Look for spillover that is left, or taken twice, between ``channels``."""
    raise NotImplementedError
