"""Membership of every event, as FlowKit gives it, on the real files and gate sets of FlowKit's own tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flowkit
import numpy as np
import pytest
from tests.real.conftest import real_data
from tests.unit.flow.by_flowkit import flowkit_memberships
from tests.unit.flow.hand_fcs import write_fcs

from cartrace.flow.engine import Strategy, TubeValues, apply_strategy
from cartrace.flow.fcs import FcsData, read_fcs

FOLDER = real_data() / "assays" / "flowkit_fcs"
WORKSPACES = {
    "simple_diamond_example_quad_gate.wsp": "test_data_diamond_01.fcs",
    "simple_poly_and_rect.wsp": "data_set_simple_line_100.fcs",
    "simple_poly_and_rect_v2_poly50.wsp": "data_set_simple_line_100.fcs",
    "single_ellipse_51_events.wsp": "data_set_simple_line_100.fcs",
    "test_data_diamond_asinh_rect.wsp": "test_data_diamond_01.fcs",
    "test_data_diamond_asinh_rect2.wsp": "test_data_diamond_01.fcs",
    "test_data_diamond_biex_rect.wsp": "test_data_diamond_01.fcs",
}
pytestmark = [
    pytest.mark.skipif(
        not FOLDER.is_dir(),
        reason="FlowKit's files are not here: set CARTRACE_REAL_DATA or put them in ../shared/data",
    ),
    pytest.mark.filterwarnings("ignore:The inplace keyword"),  # FlowKit on pandas 3
]


def assert_same(data: FcsData, sample: Any, strategy: Strategy) -> dict[tuple[str, ...], int]:
    """Compare event by event; return the counts."""
    np.testing.assert_array_equal(
        data.read(range(len(data.channels)), 0, data.n_events), sample.get_events("raw")
    )
    theirs = flowkit_memberships(sample, strategy.gating)
    ours = apply_strategy(data, strategy, chunk=50_001)
    assert set(ours) == set(theirs)
    assert {p: int((ours[p] != theirs[p]).sum()) for p in ours} == dict.fromkeys(ours, 0)
    return {p: int(m.sum()) for p, m in ours.items()}


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_gates_of_a_workspace_hold_the_events_that_flowkit_finds(workspace: str):
    name = WORKSPACES[workspace]
    gating = flowkit.Workspace(FOLDER / workspace, fcs_samples=FOLDER / name).get_gating_strategy(name)
    counts = assert_same(
        read_fcs(FOLDER / name, name), flowkit.Sample(FOLDER / name, subsample=1), Strategy(gating, None)
    )
    # The line of simple_poly was drawn so that gates just miss it.
    assert min(counts.values()) > 0 or workspace.startswith("simple_poly")


def test_the_t_cell_panel_with_the_matrix_of_its_file():
    path = FOLDER / "100715.fcs"
    data = read_fcs(path, path.name)
    gating = flowkit.GatingStrategy()
    gating.add_transform("logicle", flowkit.transforms.LogicleTransform(262144, 1.0, 4.5, 0))
    gating.add_transform("biex", flowkit.transforms.WSPBiexTransform(width=-100))
    dyes = [c.name for c in data.channels[3:7]]

    def axis(name: str, low: float | None = None, high: float | None = None, by: str = "logicle") -> Any:
        return flowkit.Dimension(name, "FCS", by, low, high)

    scatter = [flowkit.Dimension("FSC-A"), flowkit.Dimension("FSC-H")]
    corners = [(20e3, 15e3), (200e3, 120e3), (220e3, 220e3), (20e3, 60e3)]
    around = flowkit.gates.EllipsoidGate(
        "around", [axis(dyes[0]), axis(dyes[1])], [0.35, 0.35], [[0.02, 0.005], [0.005, 0.02]], 2.0
    )
    four = flowkit.gates.QuadrantGate(
        "four",
        [flowkit.QuadrantDivider(d, d, "FCS", [0.4], "logicle") for d in dyes[2:4]],
        [
            flowkit.gates.Quadrant("both", dyes[2:4], [(0.4, None), (0.4, None)]),
            flowkit.gates.Quadrant("none", dyes[2:4], [(None, 0.4), (None, 0.4)]),
        ],
    )
    for gate, parent in (
        (flowkit.gates.PolygonGate("singlets", scatter, corners), ()),
        (flowkit.gates.RectangleGate("low", [axis(dyes[0], None, 1800, "biex")]), ("singlets",)),
        (around, ("singlets",)),
        (four, ("singlets", "around")),
        (
            flowkit.gates.RectangleGate("bright", [axis(dyes[1], 0.45)]),
            ("singlets", "around", "four", "none"),
        ),
    ):
        gating.add_gate(gate, ("root", *parent))
    counts = assert_same(data, flowkit.Sample(path, subsample=1), Strategy(gating, data.spillover))
    assert min(counts.values()) > 20
    assert len(set(counts.values())) == len(counts)


def test_the_eight_color_panel_on_events_of_another_tube(tmp_path: Path):
    # Its own tubes are too large to be kept; the events of the other panel take their places.
    gating = flowkit.parse_gating_xml(FOLDER / "8_color_ICS.xml")
    matrix = gating.comp_matrices["Acquisition-defined"]
    names = ["FSC-A", "FSC-H", "SSC-A", *matrix.detectors, "FSC-W", "Time"]
    source = FOLDER / "100715.fcs"
    real = read_fcs(source, source.name)
    events = real.read(range(len(names)), 0, real.n_events)
    events[:, -1] = np.linspace(0, 1e5, real.n_events)
    path = write_fcs(tmp_path / "tube.fcs", names, events)
    data = read_fcs(path, path.name)
    counts = assert_same(data, flowkit.Sample(path, sample_id="tube"), Strategy(gating, None))
    # Gates of another panel catch what they will; the first ones must not be empty.
    assert max(counts.values()) > 0


def test_columns_are_compensated_to_the_last_bit_as_flowkit_does():
    path = FOLDER / "100715.fcs"
    data = read_fcs(path, path.name)
    sample = flowkit.Sample(path, subsample=1)
    sample.apply_compensation(sample.metadata["spill"])
    assert data.spillover is not None
    values = TubeValues(data, data.spillover)
    for channel in data.channels:
        np.testing.assert_array_equal(
            values.column(channel.index), sample.get_events("comp")[:, channel.index]
        )
