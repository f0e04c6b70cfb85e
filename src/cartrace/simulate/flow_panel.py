"""The panel of the demo trial's flow core: channels, spillover, cells, and the panel file.

Fourteen colours for CAR-T, B and plasma cells. Signals are on the linear scale of an
instrument whose scale ends at 262144; all levels, shares and spillovers are house
values, chosen so that populations part as they do in a good laboratory: not perfectly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

TOP = 262_144
"""$PnR of all channels."""

SCATTER = ("FSC-A", "FSC-H", "SSC-A")
DETECTORS: dict[str, str] = {
    "CD27": "BV421-A",
    "CD45": "V500-A",
    "CD3": "BV605-A",
    "CD45RA": "BV650-A",
    "CD4": "BV711-A",
    "CD8": "BV786-A",
    "IgD": "FITC-A",
    "CD138": "BB700-A",
    "CAR": "PE-A",
    "CCR7": "PE-CF594-A",
    "CD19": "PE-Cy7-A",
    "CD38": "APC-A",
    "CD20": "APC-R700-A",
    "Viability": "APC-H7-A",
}
"""Marker -> detector."""
MARKERS = tuple(DETECTORS)
CHANNELS = (*SCATTER, *DETECTORS.values(), "Time")
STAINS = tuple(
    {"CAR": "BCMA-Fc (CAR)", "Viability": "Live/Dead NIR"}.get(marker, marker) for marker in MARKERS
)
"""$PnS of each detector: the laboratory's own words for two of them."""

SPILLS: dict[tuple[str, str], float] = {
    ("BV421-A", "V500-A"): 0.08,
    ("V500-A", "BV605-A"): 0.12,
    ("BV605-A", "BV650-A"): 0.18,
    ("BV605-A", "PE-A"): 0.03,
    ("BV650-A", "BV711-A"): 0.20,
    ("BV650-A", "APC-A"): 0.05,
    ("BV711-A", "BV786-A"): 0.22,
    ("BV711-A", "APC-R700-A"): 0.12,
    ("BV786-A", "APC-H7-A"): 0.05,
    ("FITC-A", "PE-A"): 0.12,
    ("FITC-A", "V500-A"): 0.04,
    ("BB700-A", "APC-R700-A"): 0.10,
    ("BB700-A", "PE-Cy7-A"): 0.05,
    ("PE-A", "PE-CF594-A"): 0.25,
    ("PE-A", "BB700-A"): 0.06,
    ("PE-A", "BV605-A"): 0.04,
    ("PE-CF594-A", "BB700-A"): 0.15,
    ("PE-Cy7-A", "APC-H7-A"): 0.08,
    ("PE-Cy7-A", "BV786-A"): 0.04,
    ("APC-A", "APC-R700-A"): 0.22,
    ("APC-A", "APC-H7-A"): 0.06,
    ("APC-R700-A", "APC-H7-A"): 0.18,
    ("APC-R700-A", "BV711-A"): 0.04,
}
"""(detector of the dye, detector it shines into) -> share."""


def spillover_matrix() -> npt.NDArray[np.float64]:
    """Return the (14, 14) matrix: row i is how dye i shines into each detector."""
    order = list(DETECTORS.values())
    matrix = np.eye(len(order))
    for (dye, detector), share in SPILLS.items():
        matrix[order.index(dye), order.index(detector)] = share
    return matrix


@dataclass(frozen=True, slots=True)
class Population:
    """A kind of event: where it scatters, how brightly it stains, as what it counts.

    ``levels`` are medians on the linear scale, 0 where not given; ``spread`` is the
    standard deviation of the log of a level, :data:`SPREADS` when None.
    """

    counts_as: tuple[str, ...]
    fsc: float
    ssc: float
    levels: Mapping[str, float] = field(default_factory=dict)
    scatter_cv: float = 0.1
    autofluorescence: float = 60.0
    spread: float | None = None


SPREADS = {"CAR": 0.6, "CD38": 0.4, "CD27": 0.35, "CD138": 0.45, "Viability": 0.4}
USUAL_SPREAD = 0.28

MEMORY: dict[str, tuple[str, dict[str, float]]] = {
    "naive": ("t_naive_fraction", {"CD45RA": 9_000, "CCR7": 3_000, "CD27": 5_000}),
    "central": ("t_central_memory_fraction", {"CCR7": 2_500, "CD27": 5_000}),
    "effector": ("t_effector_memory_fraction", {"CD27": 1_500}),
    "terminal": ("t_terminal_fraction", {"CD45RA": 7_000}),
}
MEMORY_SHARES: dict[tuple[str, bool], tuple[float, float, float, float]] = {
    ("CD4", False): (0.35, 0.30, 0.28, 0.07),
    ("CD8", False): (0.30, 0.12, 0.33, 0.25),
    ("CD4", True): (0.05, 0.40, 0.48, 0.07),
    ("CD8", True): (0.05, 0.30, 0.50, 0.15),
}
"""Shares of naive, central memory, effector memory and terminal cells, by (lineage, CAR+)."""
CD4_SHARE = {False: 0.62, True: 0.45}
UNSWITCHED = 0.35
"""Share of memory B cells that still have IgD."""

_LIVE = 150.0
_LYMPHOCYTE = {"Viability": _LIVE, "CD45": 14_000.0}


def _t_cells() -> dict[str, Population]:
    lineages = {"CD4": {"CD4": 10_000.0}, "CD8": {"CD8": 15_000.0}}
    out = {}
    for lineage, level in lineages.items():
        analyte = f"{lineage.lower()}_cells"
        for memory, (share, levels) in MEMORY.items():
            common = _LYMPHOCYTE | {"CD3": 9_000.0} | level | levels
            counts = ("t_cells", analyte, share)
            out[f"{lineage} {memory}"] = Population(counts, 70_000, 22_000, common | {"CD38": 500.0})
            out[f"CAR {lineage} {memory}"] = Population(
                (*counts, "car_t_cells", f"car_{analyte}"),
                # Activated cells are a little larger, and have more CD38.
                72_000,
                23_000,
                common | {"CD38": 1_500.0, "CAR": 2_500.0},
            )
    return out


def _b_cells() -> dict[str, Population]:
    common = _LYMPHOCYTE | {"CD45": 10_000.0, "CD19": 6_000.0, "CD20": 9_000.0, "CD45RA": 5_000.0}
    kinds = {
        "naive B": ("naive_b_cells", {"IgD": 6_000.0, "CD38": 2_000.0}),
        "unswitched B": ("memory_b_cells", {"IgD": 4_000.0, "CD27": 3_500.0, "CD38": 600.0}),
        "switched B": ("memory_b_cells", {"CD27": 4_500.0, "CD38": 500.0}),
        "double negative B": ("double_negative_b_cells", {"CD38": 400.0}),
    }
    return {
        name: Population(("b_cells", analyte), 68_000, 22_000, common | levels)
        for name, (analyte, levels) in kinds.items()
    }


POPULATIONS: dict[str, Population] = {
    **_t_cells(),
    **_b_cells(),
    "plasmablast": Population(
        ("plasmablasts",),
        74_000,
        24_000,
        _LYMPHOCYTE | {"CD45": 7_000, "CD19": 4_000, "CD27": 30_000, "CD38": 60_000},
    ),
    "plasma cell": Population(
        ("plasma_cells",),
        75_000,
        24_000,
        _LYMPHOCYTE | {"CD45": 4_000, "CD19": 2_500, "CD27": 22_000, "CD38": 80_000, "CD138": 15_000},
    ),
    "NK cell": Population((), 72_000, 24_000, _LYMPHOCYTE | {"CD45RA": 6_000, "CD38": 2_000}),
    "monocyte": Population(
        (),
        105_000,
        65_000,
        {"Viability": _LIVE, "CD45": 7_000, "CD4": 1_200, "CD38": 1_500},
        scatter_cv=0.13,
        autofluorescence=150,
    ),
    "granulocyte": Population(
        (),
        120_000,
        140_000,
        {"Viability": _LIVE, "CD45": 2_500, "CD45RA": 200},
        scatter_cv=0.13,
        autofluorescence=250,
    ),
    "dead": Population(
        (),
        52_000,
        36_000,
        {"Viability": 22_000, "CD45": 8_000, "CD3": 3_000, "CAR": 200},
        scatter_cv=0.2,
        autofluorescence=150,
    ),
    "debris": Population((), 14_000, 9_000, {"Viability": 300}, scatter_cv=0.4),
    "bead": Population(("beads",), 26_000, 190_000, dict.fromkeys(MARKERS, 20_000), 0.05, spread=0.05),
}
"""Every kind of event of the demo trial, by name."""


def _below(parent: str, **where: str) -> dict[str, Any]:
    return {"parent": parent, "where": where}


def _reported() -> dict[str, dict[str, Any]]:
    """Return the populations that are reported: counts by the gate of their name, and shares of T cells."""
    counts = {
        "t_cells": "t_cells",
        "cd4": "cd4_cells",
        "cd8": "cd8_cells",
        "car_t": "car_t_cells",
        "car_cd4": "car_cd4_cells",
        "car_cd8": "car_cd8_cells",
        "b_cells": "b_cells",
        "naive_b": "naive_b_cells",
        "memory_b": "memory_b_cells",
        "double_negative_b": "double_negative_b_cells",
        "plasmablasts": "plasmablasts",
        "plasma_cells": "plasma_cells",
    }
    shares = {
        "car_t": "car_t_fraction",
        "t_naive": "t_naive_fraction",
        "t_central_memory": "t_central_memory_fraction",
        "t_effector_memory": "t_effector_memory_fraction",
        "t_terminal": "t_terminal_fraction",
    }
    counted = {"units": ["cells/uL"], "blood_count_gate": "live"}
    # After the infusion their parents are empty, and none of nothing is no share.
    of_live = {"b_cells", "naive_b", "memory_b", "double_negative_b", "plasmablasts", "plasma_cells"}
    return {
        analyte: {"gate": gate, "analyte": analyte}
        | (counted if names is counts else {})
        | ({"of": "live"} if gate in of_live else {})
        for names in (counts, shares)
        for gate, analyte in names.items()
    }


PANEL: dict[str, Any] = {
    "assay": "flow_fcs",
    "markers": {
        **{name: {"linear": True} for name in (*SCATTER, "Time")},
        **{marker: {} for marker in MARKERS if marker not in {"CAR", "Viability"}},
        "CAR": {"pattern": "BCMA-Fc.*"},
        "Viability": {"channel": DETECTORS["Viability"]},
    },
    "car_marker": "CAR",
    "thresholds": {
        "Viability": {"method": "fixed", "value": 2_500},
        "CD45": {"method": "fixed", "value": 1_000},
        "CD3": {"method": ["valley", "fixed"], "value": 1_500},
        "CAR": {"method": ["fmo", "isotype", "pre_infusion"]},
        "CD4": {"method": ["valley", "fixed"], "value": 1_500},
        "CD8": {"method": ["valley", "fixed"], "value": 1_500},
        "CD45RA": {"method": ["valley", "fixed"], "value": 1_200},
        "CCR7": {"method": ["valley", "fixed"], "value": 600},
        "CD19": {"method": ["valley", "fixed"], "value": 900},
        "CD20": {"method": "fixed", "value": 1_200},
        "IgD": {"method": "fixed", "value": 700},
        "CD27": {"method": "fixed", "value": 700},
        "CD27 high": {"marker": "CD27", "method": "fixed", "value": 9_000},
        "CD38 high": {"marker": "CD38", "method": "fixed", "value": 15_000},
        "CD138": {"method": "fixed", "value": 2_500},
    },
    "gates": {
        "beads": {
            "kind": "rectangle",
            "bounds": {"FSC-A": [10_000, 45_000], "SSC-A": [130_000, 250_000], "CD45": [8_000, None]},
        },
        "singlets": {"kind": "singlets"},
        "lymphocytes": {
            "parent": "singlets",
            "kind": "scatter",
            "near": [70_000, 22_000],
            "coverage": 0.99,
        },
        "live": _below("lymphocytes", Viability="below", CD45="above"),
        "t_cells": _below("live", CD3="above"),
        "car_t": _below("t_cells", CAR="above"),
        "cd4": _below("t_cells", CD4="above", CD8="below"),
        "cd8": _below("t_cells", CD8="above", CD4="below"),
        "car_cd4": _below("car_t", CD4="above", CD8="below"),
        "car_cd8": _below("car_t", CD8="above", CD4="below"),
        "t_naive": _below("t_cells", CD45RA="above", CCR7="above"),
        "t_central_memory": _below("t_cells", CD45RA="below", CCR7="above"),
        "t_effector_memory": _below("t_cells", CD45RA="below", CCR7="below"),
        "t_terminal": _below("t_cells", CD45RA="above", CCR7="below"),
        "not_t": _below("live", CD3="below"),
        "b_lineage": _below("not_t", CD19="above"),
        "b_cells": _below("b_lineage", CD20="above"),
        "naive_b": _below("b_cells", IgD="above", CD27="below"),
        "memory_b": _below("b_cells", CD27="above"),
        "double_negative_b": _below("b_cells", IgD="below", CD27="below"),
        "plasma_lineage": {"parent": "not_t", "where": {"CD38 high": "above", "CD27 high": "above"}},
        "plasmablasts": _below("plasma_lineage", CD138="below"),
        "plasma_cells": _below("plasma_lineage", CD138="above"),
    },
    "populations": _reported(),
    "beads": {"gate": "beads"},
    "acceptance": {"over_compensation": {"consequence": "reject"}},
}
"""mappings/flow_panel.yaml."""

PANEL_COMMENTS = {
    "assay": "Panel of the demo trial's flow core. How to write one: docs/flow.md; all keys: docs/flow_panel.md.",
    "markers": "Marker: where it is measured. {}: the channel whose stain ($PnS) or name ($PnN) is the marker's name.",
    "car_marker": "What stains the CAR: its populations are held to the tubes from before the infusion.",
    "thresholds": (
        "Where a marker turns from negative to positive: the first method that works counts. The fixed values\n"
        "belong to this instrument and these dyes: look at your own tubes before you copy them."
    ),
    "gates": "Each gate lies in its parent; without a parent in all events.",
    "populations": (
        "What is reported: a gate, as which analyte. of: the gate that % is of (without it: the parent; B cells are gone\n"
        "after the infusion, and none of nothing is no share). blood_count_gate: the lymphocytes of the blood count."
    ),
    "beads": "The counting beads' gate; their numbers and volumes stand in sheets/tubes.tsv.",
    "acceptance": "A wrong matrix moves every gate: no number rather than a flagged one.",
}
"""Comment above each key of :data:`PANEL`."""
