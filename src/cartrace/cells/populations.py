"""Which cells are counted of which, and under which analyte the share goes into measurements.

A population is a set of cells inside a parent set. ``PARENTS_BY_SORT`` says which parents a library tells
shares of: in a library of sorted T cells nobody knows how many of all cells were T cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cartrace.cells.vocabulary import CELL_TYPES, LINEAGES, T_STATES

if TYPE_CHECKING:
    import pandas as pd

Masks = Mapping[str, NDArray[np.bool_]]

_NAIVE_FIRST = {"naive": "t_naive_fraction", "central_memory": "t_central_memory_fraction"} | {
    "effector_memory": "t_effector_memory_fraction"
}


@dataclass(frozen=True, slots=True)
class Population:
    """Cells that are counted of a parent."""

    name: str
    parent: str
    """``cells`` (all that count), ``t``, ``car_t`` or ``b``."""
    analyte: str = ""
    """Of its share in measurements; empty: in the table of composition only."""
    count_analyte: str = ""
    """Of its cells/uL in measurements."""
    absolute: bool = False
    """Whether cells/uL are told where a blood count is there."""


CAR_T = Population("car_t", "t", "car_t_fraction", "car_t_cells", absolute=True)
"""The one share that a model gives (CAR_FRACTIONS), not a count of cells."""

_REPORTED = {
    "t": Population("t", "cells", "", "t_cells", absolute=True),
    "b": Population("b", "cells", "b_cells", "b_cells", absolute=True),
    "naive_b": Population("naive_b", "cells", "naive_b_cells", "naive_b_cells", absolute=True),
    "double_negative_b": Population(
        "double_negative_b", "cells", "double_negative_b_cells", "double_negative_b_cells", absolute=True
    ),
    "plasmablast": Population("plasmablast", "cells", "plasmablasts", "plasmablasts", absolute=True),
    "plasma_cell": Population("plasma_cell", "cells", "plasma_cells", "plasma_cells", absolute=True),
}

POPULATIONS: tuple[Population, ...] = (
    *(_REPORTED.get(name, Population(name, "cells", absolute=True)) for name in LINEAGES),
    Population("b_lineage", "cells", absolute=True),
    *(
        _REPORTED.get(name, Population(name, "cells", absolute=True))
        for name in CELL_TYPES
        if name not in LINEAGES
    ),
    Population("memory_b", "cells", "memory_b_cells", "memory_b_cells", absolute=True),
    CAR_T,
    Population("cd4", "t", "", "cd4_cells", absolute=True),
    Population("cd8", "t", "", "cd8_cells", absolute=True),
    *(Population(name, "t") for name in ("gamma_delta_t", "double_negative_t", "unassigned_t")),
    *(Population(f"state_{state}", "t", _NAIVE_FIRST.get(state, "")) for state in T_STATES),
    Population("cd4", "car_t", "car_cd4_fraction", "car_cd4_cells", absolute=True),
    Population("cd8", "car_t", "car_cd8_fraction", "car_cd8_cells", absolute=True),
    *(Population(name, "car_t") for name in ("gamma_delta_t", "double_negative_t", "unassigned_t")),
    *(
        Population(f"state_{state}", "car_t", "" if state == "unassigned" else f"car_{state}_fraction")
        for state in T_STATES
    ),
    Population("transitional_b", "b", "transitional_b_fraction"),
    Population("naive_b", "b", "naive_b_fraction"),
    Population("memory_b", "b", "memory_b_fraction"),
    Population("non_switched_memory_b", "b"),
    Population("switched_memory_b", "b"),
    Population("double_negative_b", "b", "double_negative_b_fraction"),
    Population("unassigned_b", "b"),
)
"""Everything that is counted; the lineages, and the parts of T, CAR+ T and B, each add up to their parent."""

PARENTS_BY_SORT: dict[str, frozenset[str]] = {
    "none": frozenset({"cells", "t", "car_t", "b"}),
    "t_cells": frozenset({"t", "car_t"}),
    "car_positive": frozenset({"car_t"}),
    "b_cells": frozenset({"b"}),
    "other": frozenset(),
}
"""What was sorted -> parents whose shares the library still tells."""

UNASSIGNED = {
    ("t", "type"): "unassigned_t",
    ("t", "state"): "state_unassigned",
    ("car_t", "type"): "unassigned_t",
    ("car_t", "state"): "state_unassigned",
    ("b", "type"): "unassigned_b",
    ("cells", "type"): "unassigned",
}
"""(Parent, way of dividing it) -> the population of cells that could not be told apart."""


def division(population: Population) -> tuple[str, str]:
    """Return parent and way of dividing it, a key of :data:`UNASSIGNED`."""
    return population.parent, "state" if population.name.startswith("state_") else "type"


def masks_of(types: pd.DataFrame, cars: pd.DataFrame, lymphocytes: Iterable[str]) -> Masks:
    """Return which cells of one library belong to what; only cells that count do.

    Parameters
    ----------
    types, cars
        The contracts TYPES and CARS of one library; each cell of TYPES is in CARS.
    lymphocytes
        Lineages and types that a lymphocyte count counts.

    Returns
    -------
    mapping of str to (n,) bool arrays
        By names of populations, and ``cells``, ``lymphocytes``, ``car_t`` (T cells called positive) and
        ``undetermined_t``; cells in the order of ``types``.
    """
    counts = types["counts"].to_numpy(dtype=bool)
    lineage, cell_type = (types[c].to_numpy(dtype=object) for c in ("lineage", "cell_type"))
    state = types["state"].fillna("").to_numpy(dtype=object)
    call = cars.set_index("cell")["call"].reindex(types["cell"]).fillna("not_assessed").to_numpy(dtype=object)
    t = counts & (lineage == "t")
    masks = {name: counts & (cell_type == name) for name in CELL_TYPES}
    masks |= {name: counts & (lineage == name) for name in LINEAGES}
    masks |= {f"state_{s}": t & (state == s) for s in T_STATES}
    # A T cell without any state counts among those whose state is not known.
    masks["state_unassigned"] = t & ~np.any([masks[f"state_{s}"] for s in T_STATES[:-1]], axis=0)
    named = set(lymphocytes)
    return masks | {
        "cells": counts,
        "b_lineage": masks["b"] | masks["plasma"],
        "memory_b": masks["non_switched_memory_b"] | masks["switched_memory_b"],
        "cd4": masks["cd4_t"] | masks["treg"],
        "cd8": masks["cd8_t"],
        "car_t": t & (call == "positive"),
        "undetermined_t": t & (call == "undetermined"),
        "lymphocytes": counts & (np.isin(lineage, list(named)) | np.isin(cell_type, list(named))),
    }


def count(masks: Masks) -> dict[tuple[str, str], int]:
    """Count each population in its parent and among lymphocytes, and each parent in itself."""
    counted = {(p.name, p.parent): int((masks[p.name] & masks[p.parent]).sum()) for p in POPULATIONS}
    for name in ("cells", "t", "car_t", "b", "lymphocytes", "undetermined_t"):
        counted[name, name] = int(masks[name].sum())
    for name in {p.name for p in POPULATIONS if p.absolute}:
        counted[name, "lymphocytes"] = int((masks[name] & masks["lymphocytes"]).sum())
    return counted
