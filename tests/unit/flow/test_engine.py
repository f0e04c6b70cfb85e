"""Membership of gates: by hand on a few events, and against FlowKit on random strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flowkit
import flowutils
import numpy as np
import pytest
from flowkit import Dimension, QuadrantDivider, RatioDimension, gates, transforms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.flow.by_flowkit import flowkit_memberships
from tests.unit.flow.hand_fcs import write_fcs

from cartrace.flow.engine import (
    GateError,
    Strategy,
    TubeValues,
    apply_strategy,
    counts_of,
    dimension_values,
)
from cartrace.flow.fcs import Channel, FcsData, Spillover


def tube(
    events: Mapping[str, Sequence[float]] | np.ndarray,
    names: Sequence[str] = (),
    stains: Mapping[str, str] | None = None,
    asked: list[tuple[int, ...]] | None = None,
) -> FcsData:
    """Build a tube from columns, or from an array (events, channels) with ``names``."""
    if isinstance(events, Mapping):
        names, events = list(events), np.column_stack([np.asarray(v, float) for v in events.values()])
    array = np.asarray(events, dtype=np.float64)

    def read(columns: Sequence[int], start: int, stop: int) -> np.ndarray:
        if asked is not None:
            asked.append(tuple(columns))
        return array[start:stop, list(columns)]

    channels = tuple(
        Channel(i, name, (stains or {}).get(name, ""), 262144.0, 1.0, 0.0, 0.0)
        for i, name in enumerate(names)
    )
    return FcsData("FCS3.1", 1, channels, len(array), read, None, None, None, {})


def strategy_of(
    *placed: tuple[Any, tuple[str, ...]],
    transformations: Mapping[str, Any] | None = None,
    matrices: Mapping[str, Any] | None = None,
    spillover: Spillover | None = None,
) -> Strategy:
    gating = flowkit.GatingStrategy()
    for name, transform in (transformations or {}).items():
        gating.add_transform(name, transform)
    for name, matrix in (matrices or {}).items():
        gating.add_comp_matrix(name, matrix)
    for gate, parent in placed:
        gating.add_gate(gate, ("root", *parent))
    return Strategy(gating, spillover)


def between(name: str, channel: str, low: float | None, high: float | None, **more: Any) -> Any:
    complement = more.pop("use_complement", False)
    return gates.RectangleGate(
        name,
        [Dimension(channel, range_min=low, range_max=high, **more)],
        use_complement=complement,
    )


def boolean(name: str, kind: str, *references: tuple[tuple[str, ...], bool]) -> Any:
    return gates.BooleanGate(
        name,
        kind,
        [{"path": ("root", *p[:-1]), "ref": p[-1], "complement": c} for p, c in references],
    )


def inside(data: FcsData, strategy: Strategy, *path: str, **how: Any) -> list[int]:
    """Return the numbers of the events of a gate, from 1."""
    return [int(i) + 1 for i in np.flatnonzero(apply_strategy(data, strategy, **how)[path])]


# ---- by hand


def test_a_rectangle_holds_its_lower_bound_and_not_its_upper_one():
    data = tube({"A": [1, 2, 3, 4, 5]})
    strategy = strategy_of(
        (between("in", "A", 2, 4), ()),
        (between("out", "A", 2, 4, use_complement=True), ()),
        (between("above", "A", 4, None), ()),
        (between("below", "A", None, 2), ()),
    )
    assert inside(data, strategy, "in") == [2, 3]
    assert inside(data, strategy, "out") == [1, 4, 5]
    assert inside(data, strategy, "above") == [4, 5]
    assert inside(data, strategy, "below") == [1]


def test_a_box_of_three_dimensions_asks_for_all_of_them():
    data = tube({"A": [1, 1, 1, 9], "B": [1, 1, 9, 1], "C": [1, 9, 1, 1]})
    box = gates.RectangleGate("box", [Dimension(c, range_min=0, range_max=5) for c in "ABC"])
    assert inside(data, strategy_of((box, ())), "box") == [1]


def test_a_polygon_and_its_complement():
    data = tube({"A": [1, 3, -1], "B": [1, 3, 1]})
    corners = [(0, 0), (4, 0), (0, 4)]
    axes = [Dimension("A"), Dimension("B")]
    strategy = strategy_of(
        (gates.PolygonGate("in", axes, corners), ()),
        (gates.PolygonGate("out", axes, corners, use_complement=True), ()),
    )
    assert inside(data, strategy, "in") == [1]
    assert inside(data, strategy, "out") == [2, 3]


def test_an_ellipse_holds_its_edge():
    data = tube({"A": [0, 2, 2.1, 0], "B": [0, 0, 0, 3]})
    ellipse = gates.EllipsoidGate("cells", [Dimension("A"), Dimension("B")], [0, 0], [[4, 0], [0, 9]], 1)
    assert inside(data, strategy_of((ellipse, ())), "cells") == [1, 2, 4]


def test_quadrants_are_gates_with_children_and_the_quadrant_gate_has_no_events():
    data = tube({"CD4": [1, 9, 1, 9], "CD8": [1, 1, 9, 9], "CAR": [0, 7, 7, 7]})
    four = gates.QuadrantGate(
        "CD4 x CD8",
        [QuadrantDivider("x", "CD4", None, [5]), QuadrantDivider("y", "CD8", None, [5])],
        [
            gates.Quadrant("CD4+", ["x", "y"], [(5, None), (None, 5)]),
            gates.Quadrant("CD8+", ["x", "y"], [(None, 5), (5, None)]),
        ],
    )
    strategy = strategy_of((four, ()), (between("CAR+", "CAR", 5, None), ("CD4 x CD8", "CD8+")))
    found = apply_strategy(data, strategy)
    assert list(found) == [("CD4 x CD8", "CD4+"), ("CD4 x CD8", "CD8+"), ("CD4 x CD8", "CD8+", "CAR+")]
    assert counts_of(found, list(found)) == [1, 1, 1]
    assert inside(data, strategy, "CD4 x CD8", "CD8+", "CAR+") == [3]


def test_boolean_gates_combine_gates_that_stand_before_and_behind_them():
    data = tube({"A": [1, 9, 1, 9], "B": [1, 1, 9, 9]})
    strategy = strategy_of(
        (between("T", "A", 0, 100), ()),
        (between("A+", "A", 5, None), ("T",)),
        (between("B+", "B", 5, None), ("T",)),
        (boolean("both", "and", (("T", "A+"), False), (("T", "B+"), False)), ("T",)),
        (boolean("any", "or", (("T", "A+"), False), (("T", "B+"), False)), ("T",)),
        (boolean("only A", "and", (("T", "A+"), False), (("T", "B+"), True)), ("T",)),
        (boolean("not A", "not", (("T", "A+"), False)), ("T",)),
        (boolean("not not A", "not", (("T", "A+"), True)), ("T",)),
    )
    # A boolean gate may also refer to one that is listed behind it.
    earlier = strategy_of(
        (between("A+", "A", 5, None), ()),
        (boolean("early", "not", (("A+", "late"), False)), ()),
        (between("late", "B", 5, None), ("A+",)),
    )
    assert inside(data, strategy, "T", "both") == [4]
    assert inside(data, strategy, "T", "any") == [2, 3, 4]
    assert inside(data, strategy, "T", "only A") == [2]
    assert inside(data, strategy, "T", "not A") == [1, 3]
    assert inside(data, strategy, "T", "not not A") == [2, 4]
    assert inside(data, earlier, "early") == [1, 2, 3]


def test_spillover_is_taken_off_for_all_dimensions_of_a_gate():
    # Dye A puts half of itself into B: true (100, 10) is seen as (100, 60).
    data = tube({"A": [100, 0], "B": [60, 60], "C": [1, 2]})
    halves = Spillover(("A", "B"), np.array([[1, 0.5], [0, 1]]))
    mixed = gates.RectangleGate(
        "mixed", [Dimension("A", compensation_ref="FCS"), Dimension("B", range_max=20)]
    )
    placed = [
        (between("dim B", "B", None, 20, compensation_ref="FCS"), ()),
        (between("raw dim B", "B", None, 20), ()),
        (between("C", "C", 2, None, compensation_ref="FCS"), ()),
        (mixed, ()),
    ]
    compensated = strategy_of(*placed, spillover=halves)
    assert inside(data, compensated, "dim B") == [1]
    assert inside(data, compensated, "raw dim B") == []
    assert inside(data, compensated, "C") == [2]
    # FlowKit: one compensation counts for the whole gate.
    assert inside(data, compensated, "mixed") == [1]
    assert inside(data, strategy_of(*placed), "dim B") == []


def test_named_matrices_and_dyes_of_a_matrix_are_found():
    data = tube({"FL1-A": [100, 0], "FL2-A": [60, 60]})
    matrix = flowkit.Matrix(np.array([[1, 0.5], [0, 1]]), ["FL1-A", "FL2-A"], ["FITC", "PE"])
    strategy = strategy_of(
        (between("dim PE", "PE", None, 20, compensation_ref="ours"), ()), matrices={"ours": matrix}
    )
    assert inside(data, strategy, "dim PE") == [1]


def test_channels_are_found_by_name_by_stain_and_as_flowjo_writes_them():
    data = tube({"FL1-A": [1, 9], "B/V-A": [9, 1]}, stains={"FL1-A": "CD3"})
    strategy = strategy_of(
        (between("name", "FL1-A", 5, None), ()),
        (between("stain", "CD3", 5, None), ()),
        (between("flowjo", "B_V-A", 5, None), ()),
    )
    found = apply_strategy(data, strategy)
    assert [m.tolist() for m in found.values()] == [[False, True], [False, True], [True, False]]


def test_a_ratio_is_taken_of_raw_values_and_may_lack_a_bound():
    # 2 * (a - 1) / (b - 0): 2 * 4 / 4 = 2; 2 * 4 / 8 = 1.
    data = tube({"A": [5, 5], "B": [4, 8]})
    strategy = strategy_of(
        (gates.RectangleGate("high", [RatioDimension("r", "uncompensated", range_min=1.5)]), ()),
        transformations={"r": transforms.RatioTransform(["A", "B"], 2, 1, 0)},
    )
    assert inside(data, strategy, "high") == [1]


def test_a_value_off_the_scale_is_in_no_range_and_warns_of_nothing():
    data = tube({"A": [-1, 0, 100]})
    strategy = strategy_of(
        (between("low", "A", None, 2, transformation_ref="log"), ()),
        transformations={"log": transforms.LogTransform(1000, 3)},
    )
    # 0 is minus infinity, below every bound.
    assert inside(data, strategy, "low") == [2, 3]


def test_events_that_are_left_out_belong_to_no_gate_not_even_to_a_not():
    data = tube({"A": [1, 2, 3, 4]})
    strategy = strategy_of(
        (between("A+", "A", 3, None), ()),
        (boolean("A-", "not", (("A+",), False)), ()),
        (between("outside", "A", 3, None, use_complement=True), ()),
    )
    keep = np.array([True, False, True, False])
    found = apply_strategy(data, strategy, keep)
    assert {p[0]: np.flatnonzero(m).tolist() for p, m in found.items()} == {
        "A+": [2],
        "A-": [0],
        "outside": [0],
    }


def test_a_tube_without_events_has_empty_gates():
    data = tube(np.empty((0, 1)), ["A"])
    assert apply_strategy(data, strategy_of((between("g", "A", 0, 1), ())))[("g",)].shape == (0,)


class Counting(transforms.LinearTransform):
    """Counts the values that it transforms."""

    seen = 0

    def apply(self, events: np.ndarray) -> np.ndarray:
        self.seen += events.size
        return super().apply(events)


def test_only_gated_channels_are_read_and_each_value_of_a_parent_is_transformed_once():
    asked: list[tuple[int, ...]] = []
    data = tube({"A": range(10), "B": range(10), "unused": range(10)}, asked=asked)
    counting = Counting(100, 0)
    strategy = strategy_of(
        (between("top", "A", 6, None), ()),
        (between("one", "B", 0.07, None, transformation_ref="lin"), ("top",)),
        (between("two", "B", None, 0.09, transformation_ref="lin"), ("top",)),
        (between("three", "B", 0.08, None, transformation_ref="lin"), ("top", "one")),
        transformations={"lin": counting},
    )
    found = apply_strategy(data, strategy, chunk=4)
    assert counts_of(found, list(found)) == [4, 3, 2, 3]
    assert counting.seen == 4
    assert set(asked) == {(0, 1)}
    assert len(asked) == 3


def test_values_that_a_gate_sees_are_compensated_and_transformed():
    data = tube({"A": [100, 0, 10], "B": [60, 60, 5]})
    halves = Spillover(("B", "A"), np.array([[1, 0], [0.5, 1]]))
    axes = [
        Dimension("B", compensation_ref="FCS", transformation_ref="lin", range_min=0),
        Dimension("A", compensation_ref="FCS", range_min=0),
    ]
    strategy = strategy_of(
        (gates.RectangleGate("g", axes), ()),
        transformations={"lin": transforms.LinearTransform(100, 0)},
        spillover=halves,
    )
    seen = dimension_values(data, strategy, ("g",), np.array([True, True, False]))
    np.testing.assert_allclose(seen, [[0.1, 100], [0.6, 0]], atol=1e-15)


def test_columns_of_a_tube_are_compensated_for_the_rows_asked():
    data = tube({"A": [100, 0, 10], "T": [1, 2, 3], "B": [60, 60, 5]})
    halves = Spillover(("A", "B"), np.array([[1, 0.5], [0, 1]]))
    keep = np.array([True, True, False])
    values = TubeValues(data, halves, keep)
    np.testing.assert_array_equal(values.column(2), [10, 60])
    np.testing.assert_array_equal(values.column(1), [1, 2])
    np.testing.assert_array_equal(values.column(2, np.array([False, False, True])), [0])
    np.testing.assert_array_equal(TubeValues(data, None).column(2), [60, 60, 5])
    assert values.keep.tolist() == keep.tolist()
    assert TubeValues(data, None).keep.tolist() == [True] * 3


# ---- what is refused


def test_everything_that_a_tube_lacks_is_told_at_once():
    data = tube({"A": [1], "B": [1]})
    strategy = strategy_of(
        (between("g1", "CD3", 0, 1), ()),
        (between("g2", "A", 0, 1, transformation_ref="biex", compensation_ref="lab"), ()),
        (between("g3", "A", 0, 1, transformation_ref="biex"), ("g1",)),
        (gates.RectangleGate("g4", [Dimension("A", compensation_ref="x"), Dimension("B", "FCS")]), ()),
        (gates.RectangleGate("g5", [Dimension("A", range_min=1), Dimension("A", range_max=2)]), ()),
    )
    with pytest.raises(GateError) as caught:
        apply_strategy(data, strategy)
    assert sorted(caught.value.faults) == [
        "gate 'g1 / g3': no transformation 'biex'",
        "gate 'g1': no channel 'CD3'",
        "gate 'g2': no compensation 'lab'",
        "gate 'g4': its dimensions have 2 different compensations; one is allowed",
        "gate 'g5': two of its dimensions are the same channel",
    ]


def test_a_name_with_a_date_is_not_repeated():
    data = tube({"A": [1]})
    with pytest.raises(GateError, match="no channel 'CD3 <date>'"):
        apply_strategy(data, strategy_of((between("g", "CD3 2024-03-01", 0, 1), ())))


def test_a_matrix_that_cannot_be_inverted_is_refused():
    data = tube({"A": [1], "B": [1]})
    flat = Spillover(("A", "B"), np.ones((2, 2)))
    with pytest.raises(GateError, match="can't be inverted"):
        apply_strategy(data, strategy_of((between("g", "A", 0, 1), ()), spillover=flat))
    with pytest.raises(GateError, match="no channel 'C'"):
        TubeValues(data, Spillover(("A", "C"), np.eye(2)))


def test_boolean_gates_that_refer_to_themselves_or_to_a_quadrant_gate_are_refused():
    data = tube({"A": [1]})
    # FlowKit refuses a circle itself, when its gates are added by name; a reference is not looked at.
    circle = strategy_of(
        (boolean("x", "not", (("y",), False)), ()), (boolean("y", "not", (("x",), False)), ())
    )
    with pytest.raises(GateError, match="refers to itself"):
        apply_strategy(data, circle)
    halves = gates.QuadrantGate(
        "halves", [QuadrantDivider("x", "A", None, [5])], [gates.Quadrant("low", ["x"], [(None, 5)])]
    )
    whole = strategy_of((halves, ()), (boolean("not halves", "not", (("halves",), False)), ()))
    with pytest.raises(GateError, match="refers to 'halves', which is no gate with events"):
        apply_strategy(data, whole)


# ---- against FlowKit

NAMES = ["FSC-A", "SSC-A", "FL1-A", "FL2-A", "FL3-A", "Time"]
DYES = NAMES[2:5]
TRANSFORMS = {
    "logicle": transforms.LogicleTransform(262144, 0.5, 4.5, 0),
    "hyperlog": transforms.HyperlogTransform(10000, 0.4, 4, 0.5),
    "asinh": transforms.AsinhTransform(262144, 4, 1),
    "linear": transforms.LinearTransform(1000, 10),
    "log": transforms.LogTransform(262144, 5),
    "flowjo log": transforms.WSPLogTransform(1, 4.5),
    "flowjo biex": transforms.WSPBiexTransform(width=-100),
    "ratio": transforms.RatioTransform(["FSC-A", "SSC-A"], 1.5, 0, -100),
}


@pytest.mark.parametrize("scale", [None, "logicle", "hyperlog", "asinh", "linear", "flowjo biex"])
def test_a_bound_on_an_event_is_decided_to_the_last_bit(scale: str | None):
    rng = np.random.default_rng(8)
    events = rng.lognormal(5, 2, (400, 3)).astype(np.float32).astype(np.float64)
    spill = np.eye(3) + 0.3 * rng.random((3, 3)) * (1 - np.eye(3))
    exact = flowutils.compensate.compensate(events, spill, [0, 1, 2])[:, 1]
    if scale is not None:
        exact = TRANSFORMS[scale].apply(exact)
    data = tube(events, DYES)
    for bound in exact[:40]:
        strategy = strategy_of(
            (between("above", DYES[1], bound, None, compensation_ref="FCS", transformation_ref=scale), ()),
            (between("below", DYES[1], None, bound, compensation_ref="FCS", transformation_ref=scale), ()),
            transformations=TRANSFORMS,
            spillover=Spillover(tuple(DYES), spill),
        )
        found = apply_strategy(data, strategy)
        np.testing.assert_array_equal(found[("above",)], exact >= bound)
        np.testing.assert_array_equal(found[("below",)], exact < bound)


def test_a_scale_that_ends_or_fails_is_followed_there():
    # FlowJo's scale ends at 4096; logicle gives -1 where it does not converge.
    data = tube({"A": [10, 1000, 300_000, 1e300]})
    strategy = strategy_of(
        (between("beyond", "A", 5000, None, transformation_ref="flowjo biex"), ()),
        (between("up to", "A", None, 5000, transformation_ref="flowjo biex"), ()),
        (between("bright", "A", 0.5, None, transformation_ref="logicle"), ()),
        transformations=TRANSFORMS,
    )
    assert inside(data, strategy, "beyond") == []
    assert inside(data, strategy, "up to") == [1, 2, 3, 4]
    assert inside(data, strategy, "bright") == [3]


@st.composite
def random_strategies(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, Strategy]:
    """Draw events (float32 values), a spillover matrix, and up to 8 gates of all kinds."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    events = rng.lognormal(6, 2, (200, len(NAMES))) - draw(st.sampled_from([0, 500]))
    if draw(st.booleans()):
        events = np.round(events)
    odd = draw(st.sampled_from([None, None, 1e30, -1e12, np.nan, np.inf]))
    if odd is not None:
        events[7, draw(st.integers(0, 4))] = odd
    events = events.astype(np.float32).astype(np.float64)
    spill = np.eye(3) + draw(st.sampled_from([0, 0.1, 0.4])) * rng.random((3, 3)) * (1 - np.eye(3))
    gating = flowkit.GatingStrategy()
    for name, transform in TRANSFORMS.items():
        gating.add_transform(name, transform)
    gating.add_comp_matrix("named", flowkit.Matrix(spill[::-1, ::-1].copy(), DYES[::-1]))
    # Two dyes on three detectors; the third column follows from the first two.
    gating.add_comp_matrix(
        "spectral", flowkit._models.transforms._matrix.SpectralMatrix(spill[:2], DYES, DYES[:2])
    )
    compensated = {
        "uncompensated": events,
        "FCS": flowutils.compensate.compensate(events, spill, [2, 3, 4]),
        "named": flowutils.compensate.compensate(events, spill[::-1, ::-1], [4, 3, 2]),
        "spectral": flowutils.compensate.compensate_spectral_ols(events, spill[:2], [2, 3, 4]),
    }
    placed: list[tuple[str, ...]] = []
    parents: list[tuple[str, ...]] = [()]
    for number in range(draw(st.integers(1, 8))):
        name = f"g{number}"
        parent = draw(st.sampled_from(parents))
        kind = draw(st.sampled_from(["rectangle", "polygon", "ellipsoid", "quadrant", "boolean", "ratio"]))
        by = draw(st.sampled_from(list(compensated)))
        if by == "spectral" and odd is not None and not np.isfinite(odd):
            by = "FCS"  # LAPACK's least squares let one such event spoil all others
        chosen = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=3, unique=True))[
            : None if kind == "rectangle" else 2
        ]
        scales = [draw(st.sampled_from([None, *list(TRANSFORMS)[:-1]])) for _ in chosen]
        seen = []
        with np.errstate(all="ignore"):
            for c, scale in zip(chosen, scales, strict=True):
                values = compensated[by][:, NAMES.index(c)]
                values = values if scale is None else TRANSFORMS[scale].apply(values)
                seen.append(
                    np.sort(values[np.isfinite(values)]) if np.isfinite(values).any() else np.zeros(1)
                )
        # Bounds are values of events, so that ties are common.
        low, high = ([float(s[int(q * (len(s) - 1))]) for s in seen] for q in (0.2, 0.8))
        axes = [
            Dimension(
                c,
                by,
                scale,
                low[i] if kind == "rectangle" else None,
                high[i] if kind == "rectangle" else None,
            )
            for i, (c, scale) in enumerate(zip(chosen, scales, strict=True))
        ]
        complement = draw(st.booleans())
        if kind == "rectangle":
            gate = gates.RectangleGate(name, axes, complement)
        elif kind == "ratio":
            bounds = sorted(rng.uniform(0, 3, 2))
            gate = gates.RectangleGate(
                name, [*_one(axes, low), RatioDimension("ratio", by, None, *bounds)], complement
            )
        elif kind == "polygon":
            corners = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
            gate = gates.PolygonGate(name, axes, [corners[i] for i in rng.permutation(4)], complement)
        elif kind == "ellipsoid":
            spread = [max(h - m, 1e-3) ** 2 for m, h in zip(low, high, strict=True)]
            slant = 0.3 * float(np.sqrt(spread[0] * spread[1]))
            gate = gates.EllipsoidGate(name, axes, low, [[spread[0], slant], [slant, spread[1]]], 1.0)
        elif kind == "quadrant":
            dividers = [
                QuadrantDivider(f"d{i}", c, by, [low[i]], scale)
                for i, (c, scale) in enumerate(zip(chosen, scales, strict=True))
            ]
            sides = [(None, 0), (0, None)]
            gate = gates.QuadrantGate(
                name,
                dividers,
                [
                    gates.Quadrant(
                        f"q{x}{y}",
                        ["d0", "d1"],
                        [
                            [None if s is None else low[i] for s in sides[side]]
                            for i, side in enumerate((x, y))
                        ],
                    )
                    for x in (0, 1)
                    for y in (0, 1)
                ],
            )
        elif placed:
            kind = draw(st.sampled_from(["and", "or", "not"]))
            count = 1 if kind == "not" else draw(st.integers(2, 3))
            references = [(draw(st.sampled_from(placed)), draw(st.booleans())) for _ in range(count)]
            gate = boolean(name, kind, *references)
        else:
            continue
        gating.add_gate(gate, ("root", *parent))
        new = [(*parent, name)]
        if gate.gate_type == "QuadrantGate":
            new = [(*parent, name, q) for q in gate.quadrants]
        placed += new
        parents += new
    return events, spill, Strategy(gating, Spillover(tuple(DYES), spill))


def _one(axes: list[Any], low: list[float]) -> list[Any]:
    axes[0].min = low[0]
    return axes[:1]


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # FlowKit on pandas 3
@given(random_strategies(), st.integers(1, 250))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_random_strategies_give_the_membership_of_flowkit(tmp_path: Path, drawn: Any, chunk: int):
    events, spill, strategy = drawn
    path = write_fcs(tmp_path / "tube.fcs", NAMES, events, spillover=(DYES, spill))
    sample = flowkit.Sample(path, sample_id="tube")
    np.testing.assert_array_equal(sample.get_events("raw"), events)
    data = tube(events, NAMES)
    theirs = flowkit_memberships(sample, strategy.gating)
    ours = apply_strategy(data, strategy)
    assert set(ours) == set(theirs)
    assert {p: int((ours[p] != theirs[p]).sum()) for p in ours} == dict.fromkeys(ours, 0)
    # In pieces, and without some events.
    pieces = apply_strategy(data, strategy, chunk=chunk)
    assert all(np.array_equal(pieces[p], ours[p]) for p in ours)
    keep = np.arange(len(events)) % 3 != 0
    kept = apply_strategy(data, strategy, keep)
    alone = apply_strategy(tube(events[keep], NAMES), strategy)
    assert all(np.array_equal(kept[p][keep], alone[p]) for p in ours)
    assert not any(m[~keep].any() for m in kept.values())
