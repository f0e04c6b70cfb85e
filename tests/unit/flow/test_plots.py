"""Pictures of gates."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartrace.flow.plots import BINS, MOST_EVENTS, Axis, Outline, outline_of, picture

LINEAR = Axis("FSC-A", None, 262_144)
SCALED = Axis("CD3", lambda v: np.arcsinh(np.asarray(v) / 100) / np.arcsinh(2621.44), 262_144)


def density(row: dict[str, object]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(str(row["density"])), dtype=np.uint8)


def test_each_event_lies_in_its_bin() -> None:
    x, y = np.array([0.0, 0.0, 0.0, 0.0, 63.0]), np.array([0.0, 0.0, 0.0, 0.0, 63.0])
    row = picture([x, y], [LINEAR, LINEAR], Outline())
    shade = density(row).reshape(BINS, BINS)
    assert np.count_nonzero(shade) == 2
    assert row["fullest"] == 4
    assert sorted(shade[shade > 0]) == [128, 255], "the square root of a quarter is a half"
    lower, upper = np.argwhere(shade)
    assert tuple(lower) < tuple(upper), "the first row of bins is the lowest"


def test_one_column_is_a_histogram() -> None:
    row = picture([np.array([1.0, 2.0, 2.0])], [LINEAR], Outline(bounds=((1.5, None),)))
    assert density(row).shape == (BINS,)
    assert row["y_label"] is None
    assert json.loads(str(row["outline"])) == [[[1.5, 0.0], [None, 0.0]]]


def test_values_on_a_straight_scale_fill_the_picture_whatever_range_the_file_states() -> None:
    # Values from 0 to 4.5, as of a logicle scale that was applied before, in a channel with $PnR 262144.
    straight = Axis("CD3", lambda v: np.asarray(v) / 4.5, 262_144)
    row = picture([np.linspace(0, 4.5, 1000) / 4.5], [straight], Outline(bounds=((0.5, None),)))
    assert np.count_nonzero(density(row)) > 0.9 * BINS
    assert json.loads(str(row["x_ticks"])) == [[0, "0"], [0.444444, "2"], [0.888889, "4"]]


def test_no_event_is_an_empty_picture() -> None:
    row = picture([np.array([]), np.array([])], [SCALED, SCALED], Outline())
    assert row["fullest"] == 0
    assert not density(row).any()
    assert float(str(row["x_low"])) < float(str(row["x_high"]))


def test_more_events_than_a_picture_needs_are_thinned() -> None:
    row = picture([np.ones(3 * MOST_EVENTS)], [LINEAR], Outline())
    assert row["fullest"] == MOST_EVENTS


def test_an_open_box_ends_at_the_edge_of_the_picture() -> None:
    gate = SimpleNamespace(
        gate_type="RectangleGate", dimensions=[SimpleNamespace(min=2.0, max=None), SimpleNamespace(max=5.0)]
    )
    outline = outline_of(gate)
    assert outline.bounds == ((2.0, None), (None, 5.0))
    assert outline.on([0, 1], [10, 11]) == [[[2.0, 1], [10, 1], [10, 5.0], [2.0, 5.0]]]


def test_the_corners_of_an_ellipse_lie_on_it() -> None:
    covariance, centre = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([3.0, 4.0])
    gate = SimpleNamespace(
        gate_type="EllipsoidGate", covariance_matrix=covariance, coordinates=centre, distance_square=2.25
    )
    corners = np.array(outline_of(gate).corners[0]) - centre
    distance = np.einsum("ni,ij,nj->n", corners, np.linalg.inv(covariance), corners)
    assert distance == pytest.approx(2.25)


def test_a_quadrant_is_a_box_between_its_dividers() -> None:
    ranges = {"x": (1.0, None), "y": (None, 2.0)}
    quadrant = SimpleNamespace(divider_refs=["x", "y"], get_divider_range=ranges.__getitem__)
    gate = SimpleNamespace(
        gate_type="QuadrantGate",
        quadrants={"q": quadrant},
        dimensions=[SimpleNamespace(id="x"), SimpleNamespace(id="y")],
    )
    assert outline_of(gate, "q").bounds == ((1.0, None), (None, 2.0))


def test_a_boolean_gate_has_no_outline() -> None:
    assert outline_of(SimpleNamespace(gate_type="BooleanGate")) == Outline()


def test_ticks_are_powers_of_ten_where_the_axis_is_scaled() -> None:
    row = picture([SCALED.scale(np.linspace(-200, 2e5, 500))], [SCALED], Outline())  # type: ignore[misc]
    labels = [label for _, label in json.loads(str(row["x_ticks"]))]
    assert labels == ["0", "10²", "10³", "10⁴", "10⁵"]
    linear = picture([np.array([0.0, 262_144.0])], [LINEAR], Outline())
    assert [label for _, label in json.loads(str(linear["x_ticks"]))] == ["0", "100k", "200k"]


@given(
    st.lists(st.floats(-1e6, 1e6), max_size=50),
    st.floats(-1e6, 1e6),
    st.floats(0, 2e5),
)
def test_nearly_every_event_and_the_whole_gate_are_inside_the_picture(
    values: list[float], start: float, width: float
) -> None:
    row = picture([np.array([-1e6, *values, 1e6])], [LINEAR], Outline(bounds=((start, start + width),)))
    low, high = float(str(row["x_low"])), float(str(row["x_high"]))
    assert low < start <= start + width < high
    assert low < -9e5 < 9e5 < high
    assert density(row).max() == 255


def test_a_corner_far_beyond_the_events_does_not_squeeze_them() -> None:
    far = Outline(corners=(((0.0, 0.0), (500.0, 450.0), (500.0, 500.0)),))
    values = np.linspace(0, 100, 1000)
    row = picture([values, values], [LINEAR, LINEAR], far)
    assert float(str(row["x_high"])) < 110
    assert json.loads(str(row["outline"])) == [[[0.0, 0.0], [500.0, 450.0], [500.0, 500.0]]]
