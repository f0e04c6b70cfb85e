"""The layout: what the laboratory says of each well, as a table or as grids in a workbook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartrace.immunoassay.grid_layout import COLUMNS, read_grid_layout
from cartrace.plates.layout_table import read_table
from cartrace.plates.source import Source

if TYPE_CHECKING:
    import pandas as pd


def read_layout(content: bytes, name: str) -> pd.DataFrame:
    """Read and check a layout.

    Parameters
    ----------
    content
        A text with cells divided by tabs, commas or semicolons and the header first, or a
        workbook (see :mod:`cartrace.immunoassay.grid_layout`).
    name
        How errors name the file.

    Returns
    -------
    DataFrame
        As :func:`cartrace.plates.layout_table.read_table` gives it.

    Raises
    ------
    InputError
        With everything that is wrong in it.
    """
    source = Source(content, name)
    if source.is_zip:
        return read_grid_layout(content, name)
    return read_table(source.text, name, COLUMNS, "layout")
