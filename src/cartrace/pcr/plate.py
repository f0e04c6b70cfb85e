"""One plate as an instrument's file gives it: what every reader returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from cartrace.pcr.tables import PLATE_WELLS
from cartrace.plates.plate import ReadOptions, Remark, well_name
from cartrace.tables import Column, Table, empty

if TYPE_CHECKING:
    import pandas as pd

AMPLITUDES = Table(
    "amplitudes",
    "Fluorescence of each partition of a well, one row for each partition and channel.",
    (
        Column("well", "text", "Well.", required=True),
        Column("channel", "text", "Channel, dye or target, as the file names it.", required=True),
        Column("amplitude", "number", "Fluorescence.", required=True),
        Column("positive", "flag", "Above the threshold, or in a positive cluster; empty when nobody said."),
    ),
)


@dataclass(frozen=True, slots=True)
class Plate:
    """A plate: its wells as read (contract PLATE_WELLS), and what made it.

    No calendar date, operator or run name of the file is kept: dates never leave
    intake, and the plate is known by its file_id.
    """

    family: str
    """Name of the reader: ``quantstudio_txt``, ``qx_manager``, ..."""
    method: Literal["qpcr", "dpcr"]
    wells: pd.DataFrame
    instrument: str = ""
    software: str = ""
    software_version: str = ""
    platform: str = ""
    """Key of cartrace.pcr.partitions where the file tells it, else empty."""
    reaction_ul: float | None = None
    amplitudes: pd.DataFrame = field(default_factory=partial(empty, AMPLITUDES))
    remarks: tuple[Remark, ...] = ()


__all__ = ["AMPLITUDES", "PLATE_WELLS", "Plate", "ReadOptions", "Remark", "well_name"]
