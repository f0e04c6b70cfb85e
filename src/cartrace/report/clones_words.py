"""What the codes of the tables of clones and integration sites mean, in words for a page."""

from __future__ import annotations

from cartrace.repertoire.vocabulary import B_MEASURES, INDICES, ISOTYPES, PAIRINGS, POPULATIONS, SHARINGS

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

INDEX: dict[str, tuple[str, str]] = dict.fromkeys(INDICES, ("", "")) | {
    "richness": ("Richness", "Clones seen. It grows with every cell sequenced."),
    "chao1": (
        "Chao1",
        "Clones there are at least, from those seen once and twice. A lower bound; it needs cells from one well-mixed sample.",
    ),
    "shannon": ("Shannon entropy", "In nats. Too low in a small sample."),
    "pielou": ("Pielou evenness", "Shannon entropy over its maximum, 0 to 1. It needs two clones."),
    "gini": ("Gini", "Inequality of clone sizes, 0 to 1. It falls with fewer cells for the same clones."),
    "simpson": (
        "Gini-Simpson",
        "Chance that two cells are of two clones. The least disturbed by depth.",
    ),
    "hill_0": (
        "Hill 0: clones",
        "Number of clones at equal depth. Rare clones decide; it needs equal depth.",
    ),
    "hill_1": (
        "Hill 1: common clones",
        "Number of equally large clones with the same Shannon entropy. It needs equal depth.",
    ),
    "hill_2": (
        "Hill 2: large clones",
        "Number of equally large clones with the same Simpson index. Large clones decide; depth disturbs it least.",
    ),
    "d50": ("D50", "Clones that hold half of the cells, % of all clones seen. It depends on depth."),
    "uc50": ("UC50", "Number of largest clones that hold half of the cells."),
    "largest": ("Largest share", "Share of the largest clone, 0 to 1. In a small sample it is too high."),
}
"""Index -> its label, and what it tells and needs."""

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
}

ALARM: dict[str, str] = {
    "dominant": "dominant site",
    "growing": "growing site",
    "gene_of_concern": "gene of concern",
}

CHANGE: dict[str, str] = {"expanded": "expanded", "contracted": "contracted", "unchanged": "not different"}


def in_units(text: str, unit: str) -> str:
    """Speak of integration sites where an index is told of clones.

    >>> in_units("Clones seen.", "site")
    'Sites seen.'
    """
    return text.replace("clone", "site").replace("Clone", "Site") if unit == "site" else text
