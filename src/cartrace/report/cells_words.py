"""What the codes of the cell tables mean, in words for a page."""

from __future__ import annotations

from cartrace.cells.vocabulary import CELL_TYPES, LINEAGES, SORTS, T_STATES

CHEMISTRY = {"5p": "5′", "3p": "3′"}

LINEAGE: dict[str, str] = dict.fromkeys(LINEAGES, "") | {
    "t": "T",
    "nk": "NK",
    "b": "B",
    "plasma": "plasma cells",
    "monocyte": "monocytes",
    "dendritic": "dendritic",
    "progenitor": "progenitors",
    "platelet": "platelets",
    "erythroid": "erythroid",
    "unassigned": "unassigned",
}

TYPE: dict[str, str] = {name: name.replace("_", " ") for name in CELL_TYPES} | {
    "cd4_t": "CD4+ T",
    "cd8_t": "CD8+ T",
    "treg": "Treg",
    "gamma_delta_t": "γδ T",
    "double_negative_t": "CD4- CD8- T",
    "unassigned_t": "T, unassigned",
    "nk": "NK",
    "transitional_b": "transitional B",
    "naive_b": "naive B",
    "non_switched_memory_b": "non-switched memory B",
    "switched_memory_b": "switched memory B",
    "double_negative_b": "IgD- CD27- B",
    "unassigned_b": "B, unassigned",
    "cd14_monocyte": "CD14+ monocyte",
    "cd16_monocyte": "CD16+ monocyte",
    "unassigned_monocyte": "monocyte, unassigned",
    "unassigned_dendritic": "dendritic, unassigned",
}

STATE: dict[str, str] = {name: name.replace("_", " ") for name in T_STATES} | {
    "naive": "naive-like",
    "treg": "regulatory",
}

MATRIX_SORT: dict[str, str] = dict.fromkeys(SORTS, "") | {
    "none": "unsorted",
    "t_cells": "sorted T cells",
    "car_positive": "sorted CAR+ cells",
    "b_cells": "sorted B cells",
    "other": "otherwise sorted",
}

FLAGS: dict[str, str] = {}
"""Flag of a library or of its CAR+ share -> what a reader is told."""
