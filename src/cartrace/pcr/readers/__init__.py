"""Readers of PCR instruments' files, one module for each family, all returning a plate.

A family is a module with ``NAME``, ``LOOKED_FOR`` (one clause on how its files are
known), ``recognise(source) -> bool`` and ``read(source) -> Plate``. Files are known by
their content, never by their name. docs/pcr_formats.md tells what each family reads.
"""

from __future__ import annotations

from cartrace.pcr.plate import Plate, ReadOptions
from cartrace.plates.readers import family_of
from cartrace.plates.source import Source

MODULES = (
    "cartrace.pcr.readers.quantstudio_txt",
    "cartrace.pcr.readers.quantstudio_xlsx",
    "cartrace.pcr.readers.cfx_maestro",
    "cartrace.pcr.readers.lightcycler",
    "cartrace.pcr.readers.rdml",
    "cartrace.pcr.readers.quantasoft",
    "cartrace.pcr.readers.qx_manager",
    "cartrace.pcr.readers.qiacuity",
    "cartrace.pcr.readers.absolute_q",
    "cartrace.pcr.readers.amplitudes",
)
"""The families. Under this name cartrace.provenance sees them: an edited reader reruns the plates."""


def read_plate(content: bytes, name: str, options: ReadOptions | None = None) -> Plate:
    """Read the file of an instrument.

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
    plate: Plate = family_of(source, MODULES, "a file of a PCR instrument").read(source)
    return plate
