"""Luminex xMAP INTELLIFLEX: the blocks of xPONENT, with a wider range of signals.

Its medians reach millions, where those of other instruments end at some ten thousand; each file
is of one instrument, so nothing is scaled. A second reporter channel is not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartrace.immunoassay.readers.xponent import program_of, read_blocks
from cartrace.plates.source import Source, fold

if TYPE_CHECKING:
    from cartrace.immunoassay.plate import Plate

NAME = "intelliflex"
LOOKED_FOR = "a csv whose first row is Program, xPONENT and names an Intelliflex"


def recognise(source: Source) -> bool:
    """Say whether the first row names xPONENT and an INTELLIFLEX."""
    return "intelliflex" in fold(" ".join(program_of(source)))


def read(source: Source) -> Plate:
    """Read the blocks.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    return read_blocks(source, NAME)
