"""Words of every plate reader: what a file does not say about itself, what was noticed, names of wells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a file does not say about itself; from the assay file.

    ``thresholds`` are by channel, for files of bare amplitudes. ``wavelength`` is the read
    that counts, where a plate was read several times: ``450``, ``450-650``, a name.
    """

    decimal: Literal[".", ","] = "."
    encoding: str = ""
    sheet: str = ""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    wavelength: str = ""


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


def well_list(names: Iterable[str], most: int = 12) -> str:
    """Write names of wells, and how many more there are.

    >>> well_list(["A01", "A02", "A03"], most=2)
    'A01, A02 and 1 more'
    """
    listed = list(dict.fromkeys(names))
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
