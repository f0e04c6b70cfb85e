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
    ("repertoire", "Clones and receptors"),
    ("biomarker", "Other markers"),
)
"""Name and label in the order of the panels of a patient."""

SUBSETS = ("car_cd4_cells", "car_cd8_cells", "naive_b_cells", "memory_b_cells")
"""Parts of another analyte. A patient's page shows the whole first and these on demand."""

ON_DEMAND = (
    "car_t_fraction",
    "double_negative_b_cells",
    "plasmablasts",
    "iga",
    "igm",
    *(a.name for a in ANALYTES.values() if a.family in {"lymphocyte", "haematology", "repertoire"}),
    *("crp", "il6", "il10", "ifn_gamma", "tnf_alpha", "ferritin"),
)
"""What a clinician asks for second: T cells, blood counts (their grades stand above the panels), cytokines, and
what moves with another analyte."""

MATRIX_LABELS = {
    "pbmc": "PBMC",
    "csf": "CSF",
    "marrow": "bone marrow",
    "marrow_biopsy": "bone marrow biopsy",
    "lymph_node": "lymph node",
    "infusion_product": "infusion product",
    "other": "other specimen",
}
EXAMINATION = "examination"
"""The assay of a score, which says nothing about it."""
ASSAY_LABELS = {
    "qpcr": "qPCR",
    "ddpcr": "ddPCR",
    "elisa": "ELISA",
    "flow": "flow cytometry",
    "flow_fcs": "flow cytometry (FCS files)",
    "cba": "cell-based assay",
    "luminex": "Luminex",
    "msd": "MSD",
}


def matrix_label(matrix: str) -> str:
    """Name a compartment as people do."""
    return MATRIX_LABELS.get(matrix, matrix.replace("_", " "))


def assay_label(assay: str) -> str:
    """Name an assay as people do; a name that is not known loses its underscores.

    >>> assay_label("cell_counter")
    'cell counter'
    """
    return ASSAY_LABELS.get(assay, assay.replace("_", " "))


def course_label(matrix: str, analyte: str, assay: str) -> str:
    """Name a course without its unit; a score has no specimen.

    >>> course_label("other", "edss", "examination")
    'EDSS'
    """
    name = ANALYTES[analyte].label if analyte in ANALYTES else analyte
    if family_of(analyte) == "score":
        return name if assay == EXAMINATION else f"{name}, {assay_label(assay)}"
    return f"{name} in {matrix_label(matrix)}, {assay_label(assay)}"


def family_of(analyte: str) -> str:
    """Give the family under which an analyte is shown."""
    if analyte == "soluble_bcma":
        return "bcma"
    if analyte not in ANALYTES:
        return "biomarker"
    family = ANALYTES[analyte].family
    return "cells" if family == "depletion" else family


_COURSE_OF_VARIABLE = re.compile(r"\((?P<matrix>\w+), (?P<assay>[\w-]+), (?P<score>points\))?")
"""How cartrace.cohort.association names a course inside a variable; points are the unit of scores alone."""


def readable(variable: str) -> str:
    """Write compartment and assay inside the name of a variable as people do."""
    return _COURSE_OF_VARIABLE.sub(_readable, variable)


def _readable(course: re.Match[str]) -> str:
    matrix, assay = matrix_label(course["matrix"]), assay_label(course["assay"])
    if course["score"]:
        return "(points)" if course["assay"] == EXAMINATION else f"({assay}, points)"
    return f"({matrix}, {assay}, "
