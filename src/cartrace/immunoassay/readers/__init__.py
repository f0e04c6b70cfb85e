"""Readers of immunoassay plates, one module for each family, all returning a plate.

A family is a module with ``NAME``, ``LOOKED_FOR`` (one clause on how its files are
known), ``recognise(source) -> bool`` and ``read(source) -> Plate``. Files are known by
their content, never by their name. docs/immunoassay_formats.md tells what each family reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartrace.plates.plate import ReadOptions
from cartrace.plates.readers import family_of
from cartrace.plates.source import Source

if TYPE_CHECKING:
    from cartrace.immunoassay.plate import Plate

MODULES: tuple[str, ...] = (
    "cartrace.immunoassay.readers.softmax_pro",
    "cartrace.immunoassay.readers.gen5",
    "cartrace.immunoassay.readers.magellan",
    "cartrace.immunoassay.readers.msd_workbench",
    "cartrace.immunoassay.readers.methodical",
    "cartrace.immunoassay.readers.plain_grid",
    "cartrace.immunoassay.readers.xponent",
    "cartrace.immunoassay.readers.intelliflex",
    "cartrace.immunoassay.readers.bioplex",
    "cartrace.immunoassay.readers.bioplex_workbook",
)
"""The families. Under this name cartrace.provenance sees them: an edited reader reruns the plates."""


def read_plate(content: bytes, name: str, options: ReadOptions | None = None) -> Plate:
    """Read the file of a plate reader.

    Parameters
    ----------
    content
        Its bytes.
    name
        Its path in the trial folder, for messages.
    options
        What the file does not say about itself.

    Raises
    ------
    InputError
        When no family, or more than one, recognises it; with every problem of the file.
    """
    source = Source(content, name, options or ReadOptions())
    plate: Plate = family_of(source, MODULES, "a file of a plate reader").read(source)
    return plate
