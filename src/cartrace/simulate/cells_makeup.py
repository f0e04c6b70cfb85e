"""What is in the samples of the simulated libraries: shares of types and states, with and without CAR.

Blood follows the truth that PCR, flow and immunoassays of the trial measure (:class:`cartrace.simulate.flow_tubes.Blood`):
T cells, CAR+ share, B cells and their subsets, plasmablasts, plasma cells. Shares within T cells, and the make-up of
product and CSF, are house values: product cells are naive, memory-like and dividing; at the peak CAR+ cells are
cytotoxic CD8 cells above all; later they are memory cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cartrace.simulate.cells_core import Makeup
from cartrace.simulate.flow_panel import UNSWITCHED

if TYPE_CHECKING:
    from cartrace.simulate.flow_tubes import Blood

STAGES = ("before", "product", "peak", "late")
TRANSITIONAL = {"before": 0.08, "product": 0.0, "peak": 0.3, "late": 0.35}
"""Share of transitional among naive B cells: many when B cells come back."""
MYELOID = {
    "cd14_monocyte": 0.17,
    "cd16_monocyte": 0.03,
    "conventional_dendritic": 0.012,
    "plasmacytoid_dendritic": 0.006,
    "platelet": 0.006,
    "progenitor": 0.003,
    "erythroid": 0.003,
}
"""Share of each as a multiple of all lymphocytes; 60 monocytes/uL come on top, as in the flow core's tubes."""
CD4, TREG, GAMMA_DELTA, DOUBLE_NEGATIVE = 0.62, 0.06, 0.035, 0.012
"""CD4 among T cells without CAR, regulatory cells among those; gamma-delta and double-negative ones among T cells."""
CAR_CD4 = {"product": 0.55, "peak": 0.30, "late": 0.42}
"""CD4 among CAR+ T cells: at the peak CD8 cells lead."""
PRODUCT_CAR = {2: 0.38, 3: 0.61, 7: 0.52}
"""CAR+ share of T cells in the product, by place among twelve subjects."""

States = Mapping[str, float]
_BLOOD: dict[str, States] = {
    "cd4_t": {"naive": 0.40, "central_memory": 0.34, "effector_memory": 0.22, "cytotoxic": 0.04},
    "cd8_t": {"naive": 0.30, "central_memory": 0.12, "effector_memory": 0.28, "cytotoxic": 0.30},
}
_OF_CAR: dict[str, dict[str, States]] = {
    "peak": {
        "cd4_t": {
            "central_memory": 0.20,
            "effector_memory": 0.36,
            "cytotoxic": 0.16,
            "proliferating": 0.20,
            "exhausted": 0.08,
        },
        "cd8_t": {"effector_memory": 0.20, "cytotoxic": 0.50, "proliferating": 0.18, "exhausted": 0.12},
    },
    "late": {
        "cd4_t": {"central_memory": 0.55, "effector_memory": 0.35, "cytotoxic": 0.10},
        "cd8_t": {"central_memory": 0.25, "effector_memory": 0.40, "cytotoxic": 0.30, "exhausted": 0.05},
    },
}
_PRODUCT: States = {"naive": 0.26, "central_memory": 0.30, "effector_memory": 0.14, "proliferating": 0.30}


def _states(stage: str) -> dict[tuple[str, bool], States]:
    out: dict[tuple[str, bool], States] = {}
    for car in (False, True):
        for kind in ("cd4_t", "cd8_t"):
            if stage == "product":
                out[kind, car] = _PRODUCT
            elif car:
                out[kind, car] = _OF_CAR.get(stage, _OF_CAR["late"])[kind]
            else:
                out[kind, car] = _BLOOD[kind]
        out["treg", car] = {"treg": 1.0}
        out["gamma_delta_t", car] = {"cytotoxic": 0.7, "effector_memory": 0.3}
        out["double_negative_t", car] = {"effector_memory": 1.0}
    return out


def _t_types(amount: float, cd4: float) -> dict[str, float]:
    alpha_beta = amount * (1 - GAMMA_DELTA - DOUBLE_NEGATIVE)
    return {
        "cd4_t": alpha_beta * cd4 * (1 - TREG),
        "treg": alpha_beta * cd4 * TREG,
        "cd8_t": alpha_beta * (1 - cd4),
        "gamma_delta_t": amount * GAMMA_DELTA,
        "double_negative_t": amount * DOUBLE_NEGATIVE,
    }


def _car_types(stage: str) -> dict[str, float]:
    cd4 = CAR_CD4.get(stage, 0.5)
    return {"cd4_t": cd4 * 0.97, "treg": cd4 * 0.03, "cd8_t": 0.98 - cd4, "gamma_delta_t": 0.02}


def of_blood(blood: Blood, stage: str) -> Makeup:
    """Return what mononuclear cells of a blood sample are; ``stage`` is before, peak or late."""
    new = TRANSITIONAL[stage]
    types = _t_types(blood.t_cells, CD4) | {
        "nk": blood.nk_cells,
        "transitional_b": new * blood.naive_b_cells,
        "naive_b": (1 - new) * blood.naive_b_cells,
        "non_switched_memory_b": UNSWITCHED * blood.memory_b_cells,
        "switched_memory_b": (1 - UNSWITCHED) * blood.memory_b_cells,
        "double_negative_b": blood.b_cells - blood.naive_b_cells - blood.memory_b_cells,
        "plasmablast": blood.plasmablasts,
        "plasma_cell": blood.plasma_cells,
    }
    types |= {kind: share * blood.lymphocytes for kind, share in MYELOID.items()}
    types["cd14_monocyte"] += 60.0
    return Makeup(types, _car_types(stage), _states(stage), blood.car_share)


def of_product(place: int) -> Makeup:
    """Return what the infusion product of a subject is: T cells, and a few NK cells and monocytes that are left."""
    types = _t_types(0.97, 0.5) | {"nk": 0.02, "cd14_monocyte": 0.007, "erythroid": 0.003}
    return Makeup(types, _car_types("product"), _states("product"), PRODUCT_CAR[place])


def of_csf(car_share: float) -> Makeup:
    """Return what cerebrospinal fluid holds: CD4 T cells above all, macrophages, dendritic cells, no B cells."""
    types = _t_types(0.80, 0.72) | {
        "nk": 0.03,
        "macrophage": 0.07,
        "cd14_monocyte": 0.05,
        "conventional_dendritic": 0.04,
        "plasmacytoid_dendritic": 0.01,
    }
    return Makeup(types, _car_types("peak"), _states("peak"), car_share)


def sorted_for_car(makeup: Makeup, purity: float = 0.92) -> Makeup:
    """Return what a sort for CAR+ T cells leaves: T cells, nearly all with CAR."""
    types = {kind: amount for kind, amount in makeup.types.items() if kind in {t for t, _ in makeup.states}}
    types["cd14_monocyte"] = 0.02 * sum(types.values())
    return Makeup(types, makeup.car_types, makeup.states, purity)
