"""cartrace's own gates on simulated tubes whose cells are known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flowkit
import numpy as np
import pandas as pd
import pytest
import yaml
from tests.unit.flow.by_flowkit import flowkit_memberships

from cartrace.config import Flow
from cartrace.flow.engine import TubeValues, apply_strategy
from cartrace.flow.fcs import Channel, FcsData, Spillover
from cartrace.flow.gates import OwnGates, StainedTube, own_gates, paths_of, staining_faults
from cartrace.flow.panel import Panel, load_panel
from cartrace.flow.tables import THRESHOLDS

REPOSITORY = Path(__file__).resolve().parents[3]
SETTINGS = Flow()


def stained(
    columns: Mapping[str, np.ndarray],
    file_id: str = "tube",
    kind: str = "sample",
    marker: str = "",
    *,
    spillover: Spillover | None = None,
    keep: np.ndarray | None = None,
) -> StainedTube:
    """Make a tube whose channels are named like its markers; values are linear."""
    array = np.column_stack([np.asarray(v, dtype=np.float64) for v in columns.values()])
    channels = tuple(Channel(i, name, "", 262144.0, 1.0, 0.0, 0.0) for i, name in enumerate(columns))

    def read(wanted: Sequence[int], start: int, stop: int) -> np.ndarray:
        return np.asarray(array[start:stop, list(wanted)])

    data = FcsData("FCS3.1", 1, channels, len(array), read, spillover, None, None, {})
    values = TubeValues(data, spillover, keep)
    markers = {name: i for i, name in enumerate(columns)}
    return StainedTube(file_id, kind, marker, data, values, markers, spillover)


def panel_of(
    thresholds: Mapping[str, Any], gates: Mapping[str, Any], markers: Sequence[str] = ("A", "B"), **more: Any
) -> Panel:
    return load_panel(
        {
            "markers": dict.fromkeys(markers) | more.pop("also", {}),
            "thresholds": dict(thresholds),
            "gates": dict(gates),
            "populations": {"last": {"gate": list(gates)[-1]}},
            **more,
        },
        "panel.yaml",
    )


def bright(r: np.random.Generator, n: int, level: float = 5000.0) -> np.ndarray:
    return level * r.lognormal(0, 0.35, n)


def dim(r: np.random.Generator, n: int) -> np.ndarray:
    return r.normal(0, 60, n)


def two_markers(seed: int, n: int = 4000) -> dict[str, np.ndarray]:
    """Half of the events A+; a quarter of all B+."""
    r = np.random.default_rng(seed)
    return {
        "A": np.concatenate([bright(r, n // 2), dim(r, n // 2)]),
        "B": np.concatenate([bright(r, n // 4), dim(r, n - n // 4)]),
    }


def members(own: OwnGates, tube: StainedTube) -> dict[str, np.ndarray]:
    return {p[-1]: m for p, m in apply_strategy(tube.data, own.strategy, tube.values.keep).items()}


def row(own: OwnGates, threshold: str) -> pd.Series:
    return own.thresholds.set_index("threshold").loc[threshold]


NESTED = {"A+": {"where": {"A": "above"}}, "A+B+": {"parent": "A+", "where": {"B": "above"}}}


# Thresholds.


def test_each_threshold_is_looked_for_inside_its_own_population() -> None:
    panel = panel_of({"A": {"method": "valley"}, "B": {"method": "valley"}}, NESTED)
    tube = stained(two_markers(1))
    own = own_gates(panel, tube, [], SETTINGS)
    assert own.order == (("A+",), ("A+", "A+B+"))
    assert own.not_set == {}
    inside = members(own, tube)
    assert inside["A+"].sum() == pytest.approx(2000, abs=10)
    assert inside["A+B+"].sum() == pytest.approx(1000, abs=10)
    a, b = row(own, "A"), row(own, "B")
    assert (a["method"], a["n_events"], b["n_events"]) == ("valley", 4000, inside["A+"].sum())
    assert pd.isna(a["population"])
    assert b["population"] == "A+"
    assert pd.isna(a["control"])
    assert pd.isna(a["reason"])


def test_the_linear_value_is_the_inverse_of_the_scaled_one() -> None:
    panel = panel_of({"A": {"method": "valley"}, "B": {"method": "valley"}}, NESTED)
    tube = stained(two_markers(1))
    own = own_gates(panel, tube, [], SETTINGS)
    scale = flowkit.transforms.LogicleTransform(262144.0, 0.5, 4.5, 0.0)
    for name in ("A", "B"):
        found = row(own, name)
        assert scale.apply(np.array([found["value"]]))[0] == pytest.approx(found["scaled"], abs=1e-9)
    assert 300 < row(own, "A")["value"] < 2500
    positive = tube.values.column(0) >= row(own, "A")["value"]
    assert positive.sum() == members(own, tube)["A+"].sum()


@pytest.mark.parametrize("kind", ["logicle", "asinh", "hyperlog", "linear", "biex"])
def test_the_count_hardly_depends_on_the_scale(kind: str) -> None:
    panel = panel_of(
        {"A": {"method": "valley"}, "B": {"method": "fixed", "value": 900}}, NESTED, transform={"kind": kind}
    )
    tube = stained(two_markers(2))
    own = own_gates(panel, tube, [], SETTINGS)
    assert own.not_set == {}
    assert row(own, "B")["value"] == pytest.approx(900, rel=1e-4)
    assert members(own, tube)["A+B+"].sum() == pytest.approx(1000, abs=25)


def test_a_marker_may_have_a_scale_of_its_own() -> None:
    panel = panel_of(
        {"A": {"method": "fixed", "value": 500}, "B": {"method": "fixed", "value": 500}},
        NESTED,
        transforms={"B": {"kind": "linear", "t": 1000}},
    )
    own = own_gates(panel, stained(two_markers(2)), [], SETTINGS)
    assert row(own, "B")["scaled"] == pytest.approx(0.5)
    assert row(own, "A")["scaled"] != pytest.approx(0.5)
    assert set(own.strategy.gating.transformations) == {"scale_P1", "scale_P2"}


def test_fmo_threshold_comes_from_the_controls_own_population() -> None:
    panel = panel_of({"A": {"method": "valley"}, "B": {"method": ["fmo"], "tail_percent": 1.0}}, NESTED)
    tube = stained(two_markers(1))
    r = np.random.default_rng(9)
    # In the FMO tube, events without A are bright in B by their own light: they must not count.
    fmo = stained(
        {
            "A": np.concatenate([bright(r, 3000), dim(r, 3000)]),
            "B": np.concatenate([dim(r, 3000), bright(r, 3000)]),
        },
        "fmo_b",
        "fmo",
        "B",
    )
    own = own_gates(panel, tube, [fmo], SETTINGS)
    found = row(own, "B")
    assert (found["method"], found["control"]) == ("fmo", "fmo_b")
    assert found["n_events"] == pytest.approx(3000, abs=10)
    above = fmo.values.column(1, members(own, fmo)["A+"]) >= found["value"]
    # One in a hundred of them, but for rounding.
    assert above.sum() == found["n_events"] // 100
    assert found["value"] == pytest.approx(60 * 2.326, rel=0.1)


def test_several_controls_of_one_kind_are_pooled_and_others_left_alone() -> None:
    panel = panel_of(
        {"A": {"method": "valley"}, "B": {"method": "pre_infusion", "tail_percent": 1.0}}, NESTED
    )
    r = np.random.default_rng(3)
    before = [
        stained({"A": bright(r, n), "B": dim(r, n)}, f"before_{n}", "pre_infusion") for n in (1000, 2000)
    ]
    fmo = stained({"A": bright(r, 5000), "B": bright(r, 5000)}, "fmo", "fmo", "B")
    own = own_gates(panel, stained(two_markers(1)), [*before, fmo], SETTINGS)
    found = row(own, "B")
    assert found["control"] == "before_1000;before_2000"
    assert found["n_events"] == pytest.approx(3000, abs=5)
    assert found["value"] == pytest.approx(60 * 2.326, rel=0.12)


def test_an_fmo_of_another_marker_sets_nothing() -> None:
    panel = panel_of({"A": {"method": "valley"}, "B": {"method": ["fmo", "isotype"]}}, NESTED)
    r = np.random.default_rng(3)
    fmo = stained({"A": dim(r, 5000), "B": bright(r, 5000)}, "fmo_a", "fmo", "A")
    own = own_gates(panel, stained(two_markers(1)), [fmo], SETTINGS)
    assert pd.isna(row(own, "B")["method"])
    assert row(own, "B")["reason"] == "fmo: no fmo tube of B; isotype: no isotype tube of B"
    assert own.not_set[("A+", "A+B+")].startswith("threshold 'B' could not be set: fmo: no fmo tube of B")


def test_the_first_way_that_can_be_gone_counts_and_the_others_leave_their_reasons() -> None:
    panel = panel_of(
        {"A": {"method": "valley"}, "B": {"method": ["fmo", "valley", "slope", "fixed"], "value": 1.0}},
        NESTED,
    )
    columns = two_markers(1)
    columns["B"] = dim(np.random.default_rng(5), 4000)
    own = own_gates(panel, stained(columns), [], SETTINGS)
    found = row(own, "B")
    assert found["method"] == "slope"
    assert found["reason"] == (
        "fmo: no fmo tube of B; valley: one peak, so no valley between negative and positive; "
        "slope: one peak, taken for the negative one"
    )


def test_a_control_with_too_few_events_inside_sets_nothing() -> None:
    panel = panel_of({"A": {"method": "valley"}, "B": {"method": "fmo", "tail_percent": 5.0}}, NESTED)
    r = np.random.default_rng(3)
    fmo = stained(
        {"A": np.concatenate([bright(r, 150), dim(r, 5000)]), "B": dim(r, 5150)}, "fmo_b", "fmo", "B"
    )
    own = own_gates(panel, stained(two_markers(1)), [fmo], SETTINGS)
    assert re.fullmatch(
        r"fmo: in the control, 1\d\d events in 'A\+'; at least 200 are needed", row(own, "B")["reason"]
    )


def test_a_control_that_measures_a_marker_elsewhere_is_not_used() -> None:
    panel = panel_of({"A": {"method": "valley"}, "B": {"method": "fmo", "tail_percent": 5.0}}, NESTED)
    r = np.random.default_rng(3)
    events = {"B": dim(r, 5000), "A": bright(r, 5000)}
    same = stained(events, "fmo_b", "fmo", "B")
    own = own_gates(panel, stained(two_markers(1)), [same], SETTINGS)
    # Channels in another order are no fault.
    assert row(own, "B")["method"] == "fmo"
    swapped = StainedTube("fmo_b", "fmo", "B", same.data, same.values, {"A": 0, "B": 1}, None)
    own = own_gates(panel, stained(two_markers(1)), [swapped], SETTINGS)
    assert row(own, "B")["reason"] == "fmo: tube 'fmo_b' has A in another channel"


# Compensation.


def test_gates_and_thresholds_see_compensated_values_and_say_so() -> None:
    columns = two_markers(1)
    spill = Spillover(("A", "B"), np.array([[1.0, 0.3], [0.0, 1.0]]))
    mixed = {"A": columns["A"], "B": columns["B"] + 0.3 * columns["A"]}
    panel = panel_of({"A": {"method": "valley"}, "B": {"method": "valley"}}, NESTED)
    plain, tube = stained(columns), stained(mixed, spillover=spill)
    own, reference = own_gates(panel, tube, [], SETTINGS), own_gates(panel, plain, [], SETTINGS)
    assert own.thresholds["value"].tolist() == pytest.approx(reference.thresholds["value"].tolist(), rel=1e-6)
    assert own.strategy.spillover is spill
    gate = own.strategy.gating.get_gate("A+B+")
    assert [d.compensation_ref for d in gate.dimensions] == ["FCS"]
    assert np.array_equal(members(own, tube)["A+B+"], members(reference, plain)["A+B+"])
    assert [d.compensation_ref for d in reference.strategy.gating.get_gate("A+").dimensions] == [
        "uncompensated"
    ]


def test_a_linear_marker_in_the_matrix_is_refused() -> None:
    spill = Spillover(("A", "B"), np.eye(2))
    panel = panel_of(
        {"A": {"method": "valley"}},
        {"A+": {"where": {"A": "above"}}, "r": {"kind": "rectangle", "bounds": {"A": [1, 2]}}},
        ("B",),
        also={"A": {"linear": True}},
    )
    own = own_gates(panel, stained(two_markers(1), spillover=spill), [], SETTINGS)
    assert len(own.not_set) == 2
    assert "linear" in own.not_set[("r",)]
    assert "linear" in row(own, "A")["reason"]


# Gates that can't be set.


def test_what_rests_on_an_unset_gate_is_unset_and_names_the_gate_that_failed() -> None:
    panel = panel_of(
        {"A": {"method": "fmo"}, "B": {"method": "valley"}},
        {
            "B+": {"where": {"B": "above"}},
            "A+": {"where": {"A": "above"}},
            "A+B+": {"parent": "A+", "where": {"B": "above"}},
            "deeper": {"parent": "A+B+", "where": {"A": "above"}},
            "either": {"kind": "boolean", "operation": "or", "gates": ["A+", "B+"]},
        },
    )
    own = own_gates(panel, stained(two_markers(1)), [], SETTINGS)
    assert list(own.not_set) == [("A+",), ("A+", "A+B+"), ("A+", "A+B+", "deeper"), ("either",)]
    root = "gate 'A+' could not be set: threshold 'A' could not be set: fmo: no fmo tube of A"
    assert set(list(own.not_set.values())[1:]) == {root}
    assert list(members(own, stained(two_markers(1)))) == ["B+"]


def test_a_gate_on_an_unreadable_marker_is_unset_with_its_reason() -> None:
    panel = panel_of({"A": {"method": "valley"}, "B": {"method": "valley"}}, NESTED)
    own = own_gates(panel, stained(two_markers(1)), [], SETTINGS, {"B": "daratumumab"})
    assert own.not_set == {("A+", "A+B+"): "B can't be read: daratumumab"}
    assert row(own, "B")["reason"] == "B can't be read: daratumumab"
    assert pd.isna(row(own, "B")["scaled"])
    assert row(own, "A")["method"] == "valley"


def test_every_threshold_has_a_row_even_below_an_unset_gate() -> None:
    panel = panel_of({"A": {"method": "fmo"}, "B": {"method": "valley"}}, NESTED)
    own = own_gates(panel, stained(two_markers(1)), [], SETTINGS)
    assert own.thresholds["threshold"].tolist() == ["A", "B"]
    assert row(own, "B")["reason"].startswith("gate 'A+' could not be set")
    assert own.thresholds.columns.tolist() == [c for c in THRESHOLDS.names if c != "tube"]


def test_too_few_events_unset_a_gate_without_an_error() -> None:
    panel = panel_of(
        {"A": {"method": ["valley", "slope"]}},
        {
            "singlets": {"kind": "singlets"},
            "cells": {"kind": "scatter"},
            "A+": {"where": {"A": "above"}},
        },
        ("A",),
        also={m: {"linear": True} for m in ("FSC-A", "FSC-H", "SSC-A")},
    )
    r = np.random.default_rng(1)
    for n in (0, 1, 199):
        columns = {m: r.normal(1000, 10, n) for m in ("FSC-A", "FSC-H", "SSC-A", "A")}
        own = own_gates(panel, stained(columns), [], SETTINGS)
        assert own.not_set[("singlets",)] == f"{n} events in all; at least 200 are needed"
        assert len(own.not_set) == 3


def test_events_that_were_left_out_set_no_threshold() -> None:
    columns = two_markers(1)
    keep = np.ones(4000, bool)
    keep[:2000] = False
    own = own_gates(
        panel_of({"A": {"method": "valley"}, "B": {"method": "slope"}}, NESTED),
        stained(columns, keep=keep),
        [],
        SETTINGS,
    )
    assert "one peak" in row(own, "A")["reason"]
    assert len(own.not_set) == 2


def test_thresholds_of_one_marker_make_one_dimension_and_may_not_contradict() -> None:
    gates = {"between": {"where": {"low": "above", "high": "below"}}}
    ends = {"low": {"marker": "A", "method": "fixed", "value": 100}}
    panel = panel_of({**ends, "high": {"marker": "A", "method": "fixed", "value": 5000}}, gates)
    tube = stained(two_markers(1))
    own = own_gates(panel, tube, [], SETTINGS)
    a = tube.values.column(0)
    assert len(own.strategy.gating.get_gate("between").dimensions) == 1
    assert members(own, tube)["between"].sum() == ((a >= 100) & (a < 5000)).sum()
    panel = panel_of({**ends, "high": {"marker": "A", "method": "fixed", "value": 50}}, gates)
    own = own_gates(panel, tube, [], SETTINGS)
    assert "leave no room" in own.not_set[("between",)]


# The other kinds.


def test_rectangle_polygon_and_boolean_are_meant_on_the_linear_scale() -> None:
    tube = stained(two_markers(1))
    a, b = tube.values.column(0), tube.values.column(1)
    panel = panel_of(
        {},
        {
            "box": {"kind": "rectangle", "bounds": {"A": [500, None], "B": [-200, 800]}},
            "corner": {
                "kind": "polygon",
                "dimensions": ["A", "B"],
                "vertices": [[500, -1000], [200000, -1000], [200000, 800], [500, 800]],
            },
            "both": {"kind": "boolean", "operation": "and", "gates": ["box", "corner"]},
            "neither": {"parent": "box", "kind": "boolean", "operation": "not", "gates": ["corner"]},
        },
    )
    own = own_gates(panel, tube, [], SETTINGS)
    assert own.not_set == {}
    assert own.thresholds.empty
    inside = members(own, tube)
    assert np.array_equal(inside["box"], (a >= 500) & (b >= -200) & (b < 800))
    assert inside["corner"].sum() == ((a > 500) & (b < 800) & (b > -1000)).sum()
    assert np.array_equal(inside["both"], inside["box"] & inside["corner"])
    assert np.array_equal(inside["neither"], inside["box"] & ~inside["corner"])


def test_a_boolean_gate_can_be_the_population_of_a_threshold() -> None:
    panel = panel_of(
        {
            "A": {"method": "fixed", "value": 600},
            "B": {"method": "fmo", "tail_percent": 1.0},
        },
        {
            "A+": {"where": {"A": "above"}},
            "A-": {"kind": "boolean", "operation": "not", "gates": ["A+"]},
            "B+ of A-": {"parent": "A-", "where": {"B": "above"}},
        },
    )
    r = np.random.default_rng(3)
    fmo = stained(
        {"A": np.concatenate([bright(r, 900, 9e4), dim(r, 1000)]), "B": dim(r, 1900)}, "f", "fmo", "B"
    )
    own = own_gates(panel, stained(two_markers(1)), [fmo], SETTINGS)
    assert row(own, "B")["n_events"] == 1000


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # FlowKit on pandas 3
def test_membership_here_is_membership_in_flowkit() -> None:
    panel, tube, _ = blood(1)
    own = own_gates(panel, tube, [], SETTINGS)
    events = tube.data.read(range(len(tube.markers)), 0, tube.data.n_events)
    sample = flowkit.Sample(events, sample_id="tube", channel_labels=list(tube.markers))
    theirs = flowkit_memberships(sample, own.strategy.gating)
    ours = apply_strategy(tube.data, own.strategy, tube.values.keep)
    assert len(ours) == len(own.order) - len(own.not_set) > 15
    for path, inside in ours.items():
        assert np.array_equal(inside, theirs[path]), path


def test_the_order_of_the_events_does_not_matter() -> None:
    panel = panel_of({"A": {"method": "valley"}, "B": {"method": "slope"}}, NESTED)
    columns = two_markers(4)
    before = own_gates(panel, stained(columns), [], SETTINGS)
    order = np.random.default_rng(1).permutation(4000)
    after = own_gates(panel, stained({k: v[order] for k, v in columns.items()}), [], SETTINGS)
    pd.testing.assert_frame_equal(before.thresholds, after.thresholds)


# Staining.


def checked(percent: float, columns: Mapping[str, np.ndarray]) -> Mapping[str, str]:
    panel = panel_of(
        {"A": {"method": "fixed", "value": 600}, "B": {"method": "fixed", "value": 600}},
        NESTED,
        staining=[{"threshold": "B", "population": "A+", "min_percent": percent}],
    )
    tube = stained(columns)
    own = own_gates(panel, tube, [], SETTINGS)
    return staining_faults(panel, tube, own, apply_strategy(tube.data, own.strategy), SETTINGS)


def test_a_staining_that_is_there_has_no_fault() -> None:
    assert checked(40, two_markers(1)) == {}


def test_a_staining_that_is_gone_is_a_reason() -> None:
    faults = checked(60, two_markers(1))
    assert list(faults) == ["B"]
    assert re.fullmatch(
        r"(50|49\.\d|50\.\d) % of the \d+ events in 'A\+' are B\+; at least 60 % are where the staining can be read",
        faults["B"],
    )


def test_too_small_a_population_says_nothing_of_a_staining() -> None:
    columns = {k: v[1900:2100] for k, v in two_markers(1).items()}
    assert checked(60, columns) == {}


# The panel of docs/gating.md on simulated blood.


KINDS: dict[str, tuple[int, dict[str, float]]] = {
    "CD4 naive": (3000, {"CD3": 9e3, "CD4": 1e4, "CCR7": 3e3, "CD45RA": 9e3}),
    "CD4 central": (2500, {"CD3": 9e3, "CD4": 1e4, "CCR7": 3e3}),
    "CD4 effector": (1500, {"CD3": 9e3, "CD4": 1e4}),
    "CD8 terminal": (2000, {"CD3": 9e3, "CD8": 1.5e4, "CD45RA": 9e3}),
    "CD8 effector": (1500, {"CD3": 9e3, "CD8": 1.5e4}),
    "CAR CD4": (400, {"CD3": 9e3, "CD4": 1e4, "CAR": 4e3}),
    "CAR CD8": (600, {"CD3": 9e3, "CD8": 1.5e4, "CAR": 4e3}),
    "naive B": (900, {"CD19": 6e3, "CD20": 9e3, "IgD": 6e3, "CD38": 600}),
    "unswitched B": (300, {"CD19": 6e3, "CD20": 9e3, "IgD": 4e3, "CD27": 4e3, "CD38": 600}),
    "switched B": (500, {"CD19": 6e3, "CD20": 9e3, "CD27": 4e3, "CD38": 600}),
    "double-negative B": (300, {"CD19": 6e3, "CD20": 9e3, "CD38": 600}),
    "plasmablast": (60, {"CD19": 4e3, "CD27": 9e4, "CD38": 9e4}),
    "plasma cell": (40, {"CD27": 9e4, "CD38": 9e4, "CD138": 2e4}),
    "NK": (2500, {"CD38": 1000.0}),
    "dead": (1000, {"viability": 3e4, "CD3": 3e3, "CD19": 2e3, "CAR": 3e3}),
}
"""Kind of cell: how many, and how bright (linear)."""


def docs_panel() -> Panel:
    text = (REPOSITORY / "docs" / "gating.md").read_text()
    block = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return load_panel(yaml.safe_load(block.group(1)), "docs/gating.md")


def blood(seed: int, leave_out: str = "", kind: str = "sample") -> tuple[Panel, StainedTube, np.ndarray]:
    """Simulate a tube, or an FMO without ``leave_out``. Also which kind each event is."""
    r = np.random.default_rng(seed)
    panel = docs_panel()
    parts, truth = [], []
    for name, (m, levels) in KINDS.items():
        size = 110000 if name == "plasma cell" else 70000
        area = r.normal(size, 0.1 * size, m)
        part = {"FSC-A": area, "FSC-H": 0.8 * area * r.normal(1, 0.03, m), "SSC-A": r.normal(25000, 4000, m)}
        for marker in list(panel.markers)[3:]:
            level = 0.0 if marker == leave_out else levels.get(marker, 0.0)
            part[marker] = r.normal(0, 70, m) + (level * r.lognormal(0, 0.3, m) if level else 0.0)
        parts.append(part)
        truth += [name] * m
    columns = {marker: np.concatenate([p[marker] for p in parts]) for marker in parts[0]}
    return panel, stained(columns, kind if leave_out else "tube", kind, leave_out), np.array(truth)


CAUGHT = {
    "T cells": [k for k in KINDS if k.startswith(("CD4", "CD8", "CAR"))],
    "CAR+ T cells": ["CAR CD4", "CAR CD8"],
    "CAR+ CD4": ["CAR CD4"],
    "CAR+ CD8": ["CAR CD8"],
    "CD4 T cells": ["CD4 naive", "CD4 central", "CD4 effector", "CAR CD4"],
    "CD8 T cells": ["CD8 terminal", "CD8 effector", "CAR CD8"],
    "naive T": ["CD4 naive"],
    "central memory T": ["CD4 central"],
    "effector memory T": ["CD4 effector", "CD8 effector", "CAR CD4", "CAR CD8"],
    "terminal T": ["CD8 terminal"],
    "B lineage": ["naive B", "unswitched B", "switched B", "double-negative B", "plasmablast"],
    "naive B": ["naive B"],
    "memory B cells": ["unswitched B", "switched B"],
    "double-negative B": ["double-negative B"],
    "CD19+ CD138-": ["plasmablast"],
    "plasma cells": ["plasma cell"],
}
"""Gate of docs/gating.md -> the kinds of cells that belong to it."""


@pytest.mark.parametrize("seed", range(3))
def test_the_panel_of_the_documentation_counts_simulated_blood_rightly(seed: int) -> None:
    panel, tube, truth = blood(seed)
    controls = [blood(100 + seed, leave_out=m, kind="fmo")[1] for m in ("CAR", "CD138")]
    own = own_gates(panel, tube, controls, SETTINGS)
    assert own.not_set == {}
    assert own.order == tuple(paths_of(panel).values())
    inside = members(own, tube)
    for gate, kinds in CAUGHT.items():
        belongs = np.isin(truth, kinds)
        caught = inside[gate]
        # The scatter ellipse holds 99 %, the singlets 99.9 %.
        assert caught[belongs].mean() > 0.93, gate
        assert (caught & ~belongs).sum() <= 0.03 * belongs.sum() + 3, gate
    assert row(own, "CAR")["method"] == "fmo"
    assert row(own, "CD27hi")["method"] == "slope"


def test_without_controls_the_car_gate_is_not_set_and_the_b_cells_are() -> None:
    panel, tube, _ = blood(1)
    own = own_gates(panel, tube, [], SETTINGS)
    assert {p[-1] for p in own.not_set} == {"CAR+ T cells", "CAR+ CD4", "CAR+ CD8"}
    assert (
        "no fmo tube of CAR; pre_infusion: no pre-infusion tube"
        in own.not_set[paths_of(panel)["CAR+ T cells"]]
    )
