"""One plate as an instrument's file gives it: what every reader returns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from cartrace.pcr.tables import PLATE_WELLS
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
class ReadOptions:
    """What a file does not say about itself; from the assay file.

    ``thresholds`` are by channel, for files of bare amplitudes.
    """

    decimal: Literal[".", ","] = "."
    encoding: str = ""
    sheet: str = ""
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that the reader noticed and that is worth a row in qc."""

    check: str
    message: str
    row: int | None = None
    column: str | None = None
    value: str | None = None
    verdict: Literal["note", "warn"] = "note"
    """``warn`` where a result may be lost."""


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


_WELL = re.compile(r"([A-Za-z]{1,2})0*(\d{1,2})")


def well_name(text: str) -> str:
    """Return a well as ``A01``; other texts (a rotor position, a merged well) as they are.

    >>> well_name("a1"), well_name("P24"), well_name("AF48"), well_name("17")
    ('A01', 'P24', 'AF48', '17')
    """
    match = _WELL.fullmatch(text.strip())
    return f"{match[1].upper()}{int(match[2]):02d}" if match else text.strip()


__all__ = ["AMPLITUDES", "PLATE_WELLS", "Plate", "ReadOptions", "Remark", "well_name"]
