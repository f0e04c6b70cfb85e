"""What cartrace knows how to follow, and in which units.

The name goes into ``measurements.analyte``. ``family`` decides which metrics
are computed: an ``expansion`` analyte counts CAR-T cells or their genes and gets
the kinetic and persistence metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["expansion", "lymphocyte", "depletion", "antibody", "biomarker"]


@dataclass(frozen=True, slots=True)
class Analyte:
    """One measurand: its name in the tables, its label in the report, its units."""

    name: str
    label: str
    family: Family
    units: tuple[str, ...]
    upper_bound: dict[str, float] | None = None
    """Largest value that is possible at all, by unit (100 for a share in %)."""


ANALYTES: dict[str, Analyte] = {
    a.name: a
    for a in (
        Analyte(
            "transgene",
            "CAR transgene",
            "expansion",
            ("copies/ug", "copies/cell", "copies/1000 cells", "copies/uL", "arbitrary"),
        ),
        Analyte("car_t_cells", "CAR+ T cells", "expansion", ("cells/uL", "arbitrary")),
        Analyte("car_t_fraction", "CAR+ of T cells", "expansion", ("%",), {"%": 100.0}),
        Analyte("car_cd4_cells", "CAR+ CD4+ T cells", "expansion", ("cells/uL",)),
        Analyte("car_cd8_cells", "CAR+ CD8+ T cells", "expansion", ("cells/uL",)),
        Analyte("t_cells", "T cells", "lymphocyte", ("cells/uL",)),
        Analyte("cd4_cells", "CD4+ T cells", "lymphocyte", ("cells/uL",)),
        Analyte("cd8_cells", "CD8+ T cells", "lymphocyte", ("cells/uL",)),
        Analyte("b_cells", "B cells", "depletion", ("cells/uL", "%", "arbitrary"), {"%": 100.0}),
        Analyte(
            "tumour_cells", "Target tumour cells", "depletion", ("cells/uL", "%", "arbitrary"), {"%": 100.0}
        ),
        Analyte("soluble_bcma", "Soluble BCMA", "biomarker", ("ng/mL", "pg/mL")),
        Analyte("crp", "C-reactive protein", "biomarker", ("mg/L",)),
        Analyte("il6", "Interleukin 6", "biomarker", ("pg/mL",)),
    )
}

EXPANSION = tuple(a.name for a in ANALYTES.values() if a.family == "expansion")
