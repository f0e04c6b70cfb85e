"""Names on the pages, and what belongs together: CAR-T, cells, antibody, immunoglobulins, soluble BCMA."""

from __future__ import annotations

import re

from cartrace.analytes import ANALYTES

FAMILIES = (
    ("expansion", "CAR-T"),
    ("cells", "B and plasma cells"),
    ("antibody", "Antibody"),
    ("immunoglobulin", "Immunoglobulins"),
    ("bcma", "Soluble BCMA"),
    ("lymphocyte", "T cells"),
    ("tumour", "Tumour"),
    ("haematology", "Blood counts"),
    ("score", "Scores"),
    ("biomarker", "Other markers"),
)
"""Name and label in the order of the panels of a patient."""

SUBSETS = ("car_cd4_cells", "car_cd8_cells", "naive_b_cells", "memory_b_cells")
"""Parts of another analyte. A patient's page shows the whole first and these on demand."""


MATRIX_LABELS = {
    "pbmc": "PBMC",
    "csf": "CSF",
    "marrow": "bone marrow",
    "marrow_biopsy": "bone marrow biopsy",
    "lymph_node": "lymph node",
    "infusion_product": "infusion product",
    "other": "other specimen",
}
ASSAY_LABELS = {
    "qpcr": "qPCR",
    "ddpcr": "ddPCR",
    "elisa": "ELISA",
    "flow": "flow cytometry",
    "flow_fcs": "flow cytometry (FCS files)",
    "cba": "cell-based assay",
    "luminex": "Luminex",
}


def family_of(analyte: str) -> str:
    """Give the family under which an analyte is shown."""
    if analyte == "soluble_bcma":
        return "bcma"
    if analyte not in ANALYTES:
        return "biomarker"
    family = ANALYTES[analyte].family
    return "cells" if family == "depletion" else family


_COURSE_OF_VARIABLE = re.compile(r"\((?P<matrix>\w+), (?P<assay>\w+), ")
"""How cartrace.cohort.association names a course inside a variable."""


def readable(variable: str) -> str:
    """Write compartment and assay inside the name of a variable as people do."""
    return _COURSE_OF_VARIABLE.sub(_readable, variable)


def _readable(course: re.Match[str]) -> str:
    matrix, assay = course["matrix"], course["assay"]
    return f"({MATRIX_LABELS.get(matrix, matrix)}, {ASSAY_LABELS.get(assay, assay)}, "
