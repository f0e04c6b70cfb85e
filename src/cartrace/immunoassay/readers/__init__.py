"""Readers of immunoassay plates, one module for each family, all returning a plate.

A family is a module with ``NAME``, ``LOOKED_FOR`` (one clause on how its files are
known), ``recognise(source) -> bool`` and ``read(source) -> Plate``. Files are known by
their content, never by their name. docs/immunoassay_formats.md tells what each family reads.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from cartrace.plates.plate import ReadOptions
from cartrace.plates.source import MAX_BYTES, Source

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


class Family(Protocol):
    """What a module of :data:`MODULES` offers."""

    NAME: str
    LOOKED_FOR: str

    def recognise(self, source: Source) -> bool:
        """Say whether the content is of this family; never by the file's name."""

    def read(self, source: Source) -> Plate:
        """Read the file, or raise InputError with every problem of it."""


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
    if not content:
        raise source.refusal("an empty file", "a file of a plate reader")
    if len(content) > MAX_BYTES:
        raise source.refusal(f"{len(content) / 1e6:.0f} MB", f"at most {MAX_BYTES / 1e6:.0f} MB")
    families = [cast("Family", import_module(module)) for module in MODULES]
    found = [f for f in families if f.recognise(source)]
    if len(found) == 1:
        return found[0].read(source)
    if found:
        raise source.refusal(
            f"a file that {' and '.join(f.NAME for f in found)} both claim", "a file of one program"
        )
    looked_for = "; ".join(f"{f.NAME}: {f.LOOKED_FOR}" for f in families)
    raise source.refusal("a file that no reader knows", f"one of these. {looked_for}")
