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

LIBRARY_FLAGS: dict[str, str] = {
    "failed_library": "the library has failed",
    "few_passed": "many barcodes break the limits of a cell",
    "few_cells": "few cells",
    "ambient": "much ambient RNA",
    "car_features": "the count matrix has no CAR of that name",
    "tag_features": "the count matrix has no surface tag of that name",
    "mitochondrial_genes": "no mitochondrial genes by name: dying cells are not recognised",
    "raw_counts": "the raw matrix tells nothing of empty droplets",
    "tcr_contigs": "the T-cell contigs were left out",
    "bcr_contigs": "the B-cell contigs were left out",
    "vendor_cells": "another number of cells than in the vendor's metrics",
    "vendor_total_genes": "another number of genes than in the vendor's metrics",
    "vendor_median_umis": "another median of UMIs than in the vendor's metrics",
    "vendor_median_genes": "another median of genes than in the vendor's metrics",
}
"""Flag in ``cell_libraries`` -> what a reader is told."""

CAR_FLAGS: dict[str, str] = {
    "car_fraction": "no CAR+ share could be estimated",
    "pre_infusion": "cells from before the infusion have CAR molecules",
    "car_before_infusion": "CAR+ T cells before any infusion",
    "no_car_molecule": "no cell has a CAR molecule",
    "mean_from_prior": "few CAR+ cells: how much CAR one expresses is believed, not seen",
    "ambient_not_seen": "nothing tells how much CAR is ambient",
    "fit_not_settled": "the limits are rough: few independent draws",
    "flow_fraction": "flow cytometry and transcripts disagree",
}
"""Flag in ``car_fractions`` -> what a reader is told."""

DOUBTS: dict[str, str] = {
    "sex_contradicts": "the genes are of another sex than the patient",
    "library_exchanged": "perhaps exchanged with another library of the patient",
    "libraries_apart": "contradicts another library of the sample",
    "wrong_construct": "the CAR reads fit another construct than the product's",
}
"""Flag in ``cell_composition`` that comes from looking at all libraries -> what a reader is told."""

FLAGS: dict[str, str] = (
    LIBRARY_FLAGS
    | CAR_FLAGS
    | DOUBTS
    | {
        "undetermined_cells": "of more T cells it is undetermined than certain that they carry the CAR",
        "unassigned_cells": "many cells have no type or state: shares of the parts are too low",
    }
)
"""Flag of a library, of its CAR+ share or of a share of its cells -> what a reader is told."""

CONTRAST: dict[str, str] = {
    "car_positive_vs_negative_product": "CAR+ against CAR- T cells in the infusion product",
    "car_positive_vs_negative_peak": "CAR+ against CAR- T cells at the peak",
    "car_positive_vs_negative_late": "CAR+ against CAR- T cells late",
    "car_peak_vs_product": "CAR+ T cells at the peak against the infusion product",
    "car_late_vs_product": "late CAR+ T cells against the infusion product",
    "car_late_vs_peak": "late CAR+ T cells against the peak",
    "b_after_vs_before": "B lineage after reconstitution against before the infusion",
}

GROUPS = {
    "cd4": "CD4+ T",
    "cd8": "CD8+ T",
    "memory_b": "memory B",
    "b_lineage": "B lineage",
    "car_t": "CAR+ T",
}
"""Populations of several types, or of no type."""

PARENT = {"cells": "all cells", "t": "T cells", "car_t": "CAR+ T cells", "b": "B cells"}

UNKNOWN_COUNTER = "a program that the files do not name"
COUNTED_BY = {"cellranger": "Cell Ranger", "starsolo": "STARsolo", "kallisto": "kallisto | bustools"}
