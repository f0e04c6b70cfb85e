"""What the codes of the tables of clones and integration sites mean, in words for a page."""

from __future__ import annotations

from cartrace.repertoire.vocabulary import B_MEASURES, ISOTYPES, PAIRINGS, POPULATIONS, SHARINGS

POPULATION: dict[str, str] = dict.fromkeys(POPULATIONS, "") | {
    "t_cells": "T cells",
    "car_t_cells": "CAR+ T cells",
    "b_cells": "B cells",
}

PAIRING: dict[str, str] = dict.fromkeys(PAIRINGS, "") | {
    "single_pair": "one pair",
    "orphan_vj": "alpha or light chain alone",
    "orphan_vdj": "beta or heavy chain alone",
    "extra_vj": "a second alpha or light chain",
    "extra_vdj": "a second beta or heavy chain",
    "two_full_chains": "two pairs",
    "multichain": "more than two of a kind",
    "ambiguous": "T- and B-cell chains",
}
"""Chains of a barcode (scirpy's chain pairing)."""

CAPTION = {
    "hill_0": "How many clones there are; rare ones count fully.",
    "hill_1": "How many common clones there are.",
    "hill_2": "How many large clones there are; rare ones hardly count.",
}
"""Index that has a figure -> what a reader sees in it; definitions stand in cartrace.repertoire.diversity."""

MEASURE: dict[str, str] = dict.fromkeys(B_MEASURES, "") | {
    "naive": "Naive: IgM or IgD, unmutated",
    "mutated": "Mutated",
    "old_clones": "In clones from before the infusion",
    **{isotype.lower(): f"Ig{isotype[3]}" for isotype in ISOTYPES},
}

SHARING: dict[str, str] = dict.fromkeys(SHARINGS, "") | {
    "as_expected": "as many as expected",
    "public": "public clones",
    "index_hopping": "index hopping",
    "swap": "exchanged samples",
    "unknown": "nothing to hold it against",
}

ALARM: dict[str, str] = {
    "dominant": "dominant site",
    "growing": "growing site",
    "gene_of_concern": "gene of concern",
}

CHANGE: dict[str, str] = {"expanded": "expanded", "contracted": "contracted", "unchanged": "not different"}


def of_unit(text: str, unit: str) -> str:
    """Speak of integration sites where an index is told of clones.

    >>> of_unit("Clones seen.", "site")
    'Sites seen.'
    """
    return text.replace("clone", "site").replace("Clone", "Site") if unit == "site" else text
