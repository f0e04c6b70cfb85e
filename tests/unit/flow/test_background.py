"""The background of a population in its controls."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.flow.hand_tubes import EVENTS, PANEL, RAW, tube, way

from cartrace.flow.background import Background, background_of, markers_of, way_to
from cartrace.flow.panel import Panel, load_panel

FMO = EVENTS | {"T": 10_000, "CAR+": 5, "CAR+CD4+": 2}


def told(
    name: str,
    controls: dict[str, dict[str, int]],
    kinds: dict[str, tuple[str, str | None]] | None = None,
    panel: Panel = PANEL,
    drawn: bool = False,
) -> Background | None:
    tables = tube(controls=controls, kinds=kinds, panel=panel)
    gates = {str(g["gate"]): g for g in tables.gates.to_dict("records")}
    population = panel.populations[name]
    path = " / ".join(way(panel, population.gate))
    if drawn:
        panel = load_panel(
            {k: v for k, v in RAW.items() if k not in {"gates", "thresholds"}}
            | {"drawn": {"gating_ml": "gates.xml"}},
            "panel.yaml",
        )
    rows = tables.background.to_dict("records")
    return background_of(population, path, panel, gates, rows, probability=0.95)


def test_the_share_of_the_anchor_in_the_control_is_expected_in_the_tube() -> None:
    # 5 of 10,000 T cells in the FMO; 20,000 T cells in the tube.
    found = told("CAR T", {"f": FMO})
    assert found == Background("CAR", ("f",), 5, 10_000, 20_000)
    assert found.expected == 10
    low, high = found.expected_interval(0.95)
    assert (low, high) == pytest.approx((2 * 1.624, 2 * 11.664), rel=1e-3)


def test_a_gate_below_the_marker_has_the_anchor_of_the_marker() -> None:
    # CD4+ of CAR+ cells: the FMO without CAR is asked for its T cells, not for its few CAR+ cells.
    found = told("CAR CD4", {"f": FMO})
    assert found is not None
    assert found.counts == (2, 10_000, 20_000)


def test_a_population_that_does_not_look_at_the_marker_has_no_background() -> None:
    assert told("B", {"f": FMO}) is None


def test_a_tube_from_before_the_infusion_speaks_of_car_cells_alone() -> None:
    kinds = {"p": ("pre_infusion", None)}
    found = told("CAR T", {"p": FMO}, kinds)
    assert found is not None
    assert found.controls == ("p",)
    assert told("B", {"p": FMO}, kinds) is None


def test_controls_are_added_up() -> None:
    other = FMO | {"T": 30_000, "CAR+": 9}
    found = told("CAR T", {"f": FMO, "p": other}, {"f": ("fmo", "CAR"), "p": ("pre_infusion", None)})
    assert found == Background("CAR", ("f", "p"), 14, 40_000, 20_000)


def test_a_control_that_catches_more_than_the_others_predict_counts_alone() -> None:
    # 5 of 10,000 and 90 of 10,000: adding them up would hide that tubes differ.
    found = told("CAR T", {"f": FMO, "g": FMO | {"CAR+": 90}})
    assert found is not None
    assert found.controls == ("g",)
    assert found.counts == (90, 10_000, 20_000)
    assert found.disagree == "g catches 90 of 10000 events, 5 of 10000 in the others; it counts alone"


def test_a_control_without_events_of_the_anchor_says_nothing() -> None:
    empty = FMO | {"T": 0, "CAR+": 0, "CAR+CD4+": 0}
    assert told("CAR T", {"f": empty}) is None
    found = told("CAR T", {"f": empty, "g": FMO})
    assert found is not None
    assert found.controls == ("g",)


def test_a_gate_of_cells_without_the_marker_has_no_background_from_it() -> None:
    # CD27- B cells fill the FMO without CD27: that is no background.
    assert told("naive B", {"f": EVENTS | {"naive": 3_990}}, {"f": ("fmo", "CD27")}) is None
    assert told("B", {"f": EVENTS | {"B": 30}}, {"f": ("fmo", "CD19")}) is not None


def test_a_drawn_gate_that_most_of_the_control_is_in_takes_cells_without_the_marker() -> None:
    kinds: dict[str, tuple[str, str | None]] = {"f": ("fmo", "CD27")}
    assert told("naive B", {"f": EVENTS | {"naive": 3_990}}, kinds, drawn=True) is None
    assert told("naive B", {"f": EVENTS | {"naive": 40}}, kinds, drawn=True) is not None


def test_a_broken_car_gate_is_a_high_background_and_not_none() -> None:
    found = told("CAR T", {"f": FMO | {"CAR+": 9_000}}, drawn=True)
    assert found is not None
    assert found.share == 0.9


def test_of_two_markers_the_one_with_the_higher_limit_counts() -> None:
    controls = {"f": FMO, "g": FMO | {"CAR+": 1_000, "CAR+CD4+": 300}}
    found = told("CAR CD4", controls, {"f": ("fmo", "CAR"), "g": ("fmo", "CD4")})
    assert found is not None
    assert found.marker == "CD4"
    assert found.counts == (300, 1_000, 1_000)


def test_the_way_to_a_gate_begins_at_the_first_one() -> None:
    gates = {str(g["gate"]): g for g in tube().gates.to_dict("records")}
    names = [g["name"] for g in way_to(gates, "lymph / T / CAR+ / CAR+CD4+")]
    assert names == ["lymph", "T", "CAR+", "CAR+CD4+"]
    assert markers_of(gates["lymph"]) == ("FSC-A", "SSC-A")
    assert markers_of({"dimensions": None}) == ()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 40), st.integers(1_000, 100_000), st.integers(1, 5))
def test_a_control_split_in_pieces_says_what_it_said_whole(events: int, anchor: int, pieces: int) -> None:
    whole = told("CAR T", {"f": FMO | {"T": anchor * pieces, "CAR+": events * pieces}})
    split = told("CAR T", {f"f{i}": FMO | {"T": anchor, "CAR+": events} for i in range(pieces)})
    assert whole is not None
    assert split is not None
    assert split.counts == whole.counts
    assert split.expected == whole.expected
