"""Words of every plate reader: what a file does not say about itself, what was noticed, names of wells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


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


_WELL = re.compile(r"([A-Za-z]{1,2})0*(\d{1,2})")


def well_name(text: str) -> str:
    """Return a well as ``A01``; other texts (a rotor position, a merged well) as they are.

    >>> well_name("a1"), well_name("P24"), well_name("AF48"), well_name("17")
    ('A01', 'P24', 'AF48', '17')
    """
    match = _WELL.fullmatch(text.strip())
    return f"{match[1].upper()}{int(match[2]):02d}" if match else text.strip()
