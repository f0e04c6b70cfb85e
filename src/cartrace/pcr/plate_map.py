"""The plate map: what the laboratory says of each well, beside what the instrument's file says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartrace.pcr.vocabulary import TASKS
from cartrace.plates.layout_table import Columns, read_table

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = Columns(
    (
        "well",
        "sample",
        "task",
        "target",
        "nominal",
        "dna_ng",
        "dilution",
        "template_ul",
        "exclude",
    ),
    {
        "nominal": (0.0, 1e12, "copies per reaction, 0 or more"),
        "dna_ng": (1e-6, 100_000.0, "ng of DNA in the reaction, above 0"),
        "dilution": (1.0, 1e9, "how many fold the eluate was diluted, 1 or more: 5 means 1 in 5"),
        "template_ul": (1e-3, 1_000.0, "uL of eluate in the reaction, above 0"),
    },
    TASKS,
)


def read_plate_map(text: str, name: str) -> pd.DataFrame:
    """Read and check a plate map; :func:`cartrace.plates.layout_table.read_table` tells how."""
    return read_table(text, name, COLUMNS, "map")
