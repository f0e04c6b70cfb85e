"""Tables of gated tubes, written by hand: events of each gate, and what the controls hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cartrace.config import Flow
from cartrace.flow import tables as flow
from cartrace.flow.assemble import Assembled, assemble_tubes
from cartrace.flow.panel import Panel, load_panel
from cartrace.flow.populations import TubeTables
from cartrace.intake.tubes import GateReview, Tube
from cartrace.tables import QC, SAMPLES, rows

RAW: dict[str, Any] = {
    "markers": {"FSC-A": {"linear": True}, "SSC-A": {"linear": True}}
    | dict.fromkeys(("CD3", "CD4", "CD19", "CD27", "CAR")),
    "car_marker": "CAR",
    "thresholds": {m: {} for m in ("CD3", "CD4", "CD19", "CD27", "CAR")},
    "gates": {
        "beads": {"kind": "rectangle", "bounds": {"FSC-A": [0, 100]}},
        "lymph": {"kind": "scatter"},
        "T": {"parent": "lymph", "where": {"CD3": "above"}},
        "CAR+": {"parent": "T", "where": {"CAR": "above"}},
        "CAR+CD4+": {"parent": "CAR+", "where": {"CD4": "above"}},
        "B": {"parent": "lymph", "where": {"CD19": "above"}},
        "naive": {"parent": "B", "where": {"CD27": "below"}},
    },
    "populations": {
        "CAR T": {"gate": "CAR+", "analyte": "car_t_cells", "blood_count_gate": "lymph"},
        "CAR share": {"gate": "CAR+", "analyte": "car_t_fraction"},
        "CAR CD4": {"gate": "CAR+CD4+", "analyte": "car_cd4_cells"},
        "B": {"gate": "B", "analyte": "b_cells", "blood_count_gate": "lymph"},
        "naive B": {"gate": "naive", "analyte": "naive_b_cells"},
    },
    "beads": {"gate": "beads"},
}
PANEL = load_panel(RAW, "panel.yaml")
EVENTS = {
    "beads": 2_000,
    "lymph": 40_000,
    "T": 20_000,
    "CAR+": 1_000,
    "CAR+CD4+": 400,
    "B": 4_000,
    "naive": 2_500,
}
"""Events of an ordinary tube after the infusion."""
HASH = "ab" * 32
POST = r"(?i)\bpost\b"


def sheet_row(file_id: str = "t1", **changes: Any) -> Tube:
    """Return a row of the tubes sheet: 50 uL of blood with 50 uL of 1,000 beads/uL."""
    usual = {
        "kind": "sample",
        "sample_id": f"S-{file_id}",
        "marker": None,
        "batch": "b1",
        "data_set": None,
        "beads_per_ul": 1000.0,
        "bead_volume_ul": 50.0,
        "sample_volume_ul": 50.0,
        "dilution": None,
        "acquired_volume_ul": None,
        "lymphocytes_per_ul": None,
        "white_cells_per_ul": None,
        "unreadable": (),
        "row": 2,
    }
    return Tube(file_id=file_id, **{**usual, **changes})


def sample(file_id: str = "t1", study_day: float = 10, **changes: Any) -> dict[str, Any]:
    usual = {
        "sample_id": f"S-{file_id}",
        "subject_id": "A",
        "infusion": 1,
        "matrix": "blood",
        "day": study_day,
        "study_day": study_day,
    }
    return {**usual, **changes}


def review(file_id: str = "t1", verdict: str = "accepted", gates: str = HASH, **changes: Any) -> GateReview:
    return GateReview(
        **{"file_id": file_id, "verdict": verdict, "gates_sha256": gates, "remark": None, "row": 2} | changes
    )


def way(panel: Panel, name: str) -> list[str]:
    return [*(way(panel, parent) if (parent := panel.gates[name].parent) else []), name]


def tube(
    file_id: str = "t1",
    events: Mapping[str, int | None] = EVENTS,
    controls: Mapping[str, Mapping[str, int]] | None = None,
    *,
    panel: Panel = PANEL,
    kinds: Mapping[str, tuple[str, str | None]] | None = None,
    total: int = 50_000,
    reasons: Mapping[str, str] | None = None,
    qc: list[dict[str, Any]] | None = None,
    **changes: Any,
) -> TubeTables:
    """Return the tables of one tube.

    ``events``: of each gate, None where it is not set. ``controls``: control -> events of each gate in it;
    ``kinds``: control -> its kind and the marker that it leaves out (an FMO without CAR by default).
    """
    gates, background = [], []
    for order, (name, gate) in enumerate(panel.gates.items(), 1):
        path = " / ".join(way(panel, name))
        parent = " / ".join(way(panel, gate.parent)) if gate.parent else None
        looks_at = [panel.thresholds[t].marker or t for t in gate.where] or list(gate.axes)
        gates.append(
            {
                "tube": file_id,
                "gate": path,
                "name": name,
                "parent": parent,
                "order": order,
                "kind": gate.kind,
                "dimensions": ";".join(looks_at) or None,
                "events": events[name],
                "parent_events": events[gate.parent] if gate.parent else total,
                "reason": (reasons or {}).get(name),
            }
        )
        for control, inside in (controls or {}).items():
            kind, marker = (kinds or {}).get(control, ("fmo", "CAR"))
            background.append(
                {
                    "tube": file_id,
                    "gate": path,
                    "control": control,
                    "control_kind": kind,
                    "control_marker": marker,
                    "events": inside[name],
                    "parent_events": inside[gate.parent] if gate.parent else total,
                }
            )
    acquired = {
        "tube": file_id,
        "panel": "panel.yaml",
        "assay": panel.assay,
        "kind": "sample",
        "fcs_version": "FCS3.1",
        "data_set": 1,
        "n_channels": 9,
        "events": total,
        "unstable_events": 0,
        "margin_events": 0,
        "gated_events": total,
        "kept_time_share": 1.0,
        "compensation": "file",
        "bead_events": events["beads"],
        "gates_sha256": HASH,
        "review": "not_asked",
        "verdict": "accepted",
        "source_sha256": file_id * 8,
    }
    return TubeTables(
        file_id,
        panel,
        rows([acquired | changes], flow.TUBES),
        rows(gates, flow.GATES),
        rows([], flow.THRESHOLDS),
        rows(background, flow.BACKGROUND),
        rows([], flow.ACQUISITION),
        rows([], flow.PLOTS),
        rows(qc or [], QC),
    )


def assemble(
    tubes: list[TubeTables],
    sheet: list[Tube] | None = None,
    samples: list[dict[str, Any]] | None = None,
    reviews: list[GateReview] | None = None,
    settings: dict[str, Any] | None = None,
) -> Assembled:
    sheet = [sheet_row(t.file_id) for t in tubes] if sheet is None else sheet
    listed = [sample(t.file_id) for t in tubes] if samples is None else samples
    return assemble_tubes(
        tubes,
        {t.file_id: t for t in sheet},
        {r.file_id: r for r in reviews or []},
        rows(listed, SAMPLES),
        Flow.model_validate(settings or {}),
        post_infusion_visits=POST,
    )
