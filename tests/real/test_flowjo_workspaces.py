"""FlowJo's own counts, out of its workspaces, against FlowKit's count of the gates that we read."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.real.conftest import real_data

from cartrace.flow.gating_ml import gates_sha256, read_gating_ml, why_no_gating_ml, write_gating_ml
from cartrace.flow.workspace import Workspace, read_workspace

DIAMOND = ("simple_diamond_example_quad_gate", "test_data_diamond_biex_rect", "test_data_diamond_asinh_rect")
EXACT = (*DIAMOND, "test_data_diamond_asinh_rect2", "single_ellipse_51_events")


@pytest.fixture(scope="module")
def folder() -> Path:
    found = real_data() / "assays" / "flowkit_fcs"
    if not found.is_dir():
        pytest.skip("FlowKit's files are not here: set CARTRACE_REAL_DATA or put them in ../shared/data")
    return found


def read(folder: Path, name: str) -> Workspace:
    return read_workspace((folder / f"{name}.wsp").read_bytes(), name)


def counted(folder: Path, workspace: Workspace, sample: str) -> Mapping[tuple[str, ...], int]:
    import flowkit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tube = flowkit.Sample(folder / sample, sample_id=sample, use_flowjo_labels=True)
    results = workspace.strategy_of(sample).gating.gate_sample(tube)._raw_results
    return {(*path.split("/")[1:], gate): int(r["count"]) for (gate, path), r in results.items()}


@pytest.mark.parametrize("name", EXACT)
def test_flowjos_counts_are_met_exactly(folder: Path, name: str) -> None:
    workspace = read(folder, name)
    (sample,) = workspace.samples
    vendor = workspace.counts_of(sample)
    assert vendor
    assert min(vendor.values()) > 0
    assert counted(folder, workspace, sample) == vendor


def test_the_ellipse_holds_the_51_events_of_its_name(folder: Path) -> None:
    workspace = read(folder, "single_ellipse_51_events")
    assert list(counted(folder, workspace, *workspace.samples).values()) == [51]


def test_a_polygon_that_flowjo_bins_away_is_the_known_difference(folder: Path) -> None:
    # Made by FlowKit's author to show FlowJo's binning of polygons (FlowKit issues 113, 173, 194).
    workspace = read(folder, "simple_poly_and_rect_v2_poly50")
    (sample,) = workspace.samples
    assert workspace.counts_of(sample) == {("poly1",): 0, ("rect1",): 0}
    assert counted(folder, workspace, sample) == {("poly1",): 50, ("rect1",): 0}


def test_counts_that_flowjo_never_took_are_none(folder: Path) -> None:
    workspace = read(folder, "simple_poly_and_rect")
    assert workspace.counts_of(workspace.samples[0]) == {}
    assert len(workspace.strategy_of(workspace.samples[0]).gating.get_gate_ids()) == 2


def test_the_samples_of_an_ics_panel_have_their_own_matrix_gates_and_counts(folder: Path) -> None:
    # Its FCS files are not public, so FlowJo's counts can only be compared with one another.
    workspace = read(folder, "8_color_ICS_simple")
    assert len(set(workspace.samples)) == 3
    for sample in workspace.samples:
        strategy, counts = workspace.strategy_of(sample), workspace.counts_of(sample)
        assert strategy.spillover is not None
        assert len(strategy.spillover.channels) == 8
        paths = [(*above[1:], name) for name, above in strategy.gating.get_gate_ids()]
        assert set(counts) == set(paths)
        assert [len(p) for p in paths] == [1, 2, 3, 4]
        assert sorted(counts.values(), reverse=True) == [counts[p] for p in paths]
        live = strategy.gating.get_gate(paths[2][-1]).dimensions
        assert [d.compensation_ref is not None for d in live] == [True, False]


def test_workspaces_survive_gating_ml_or_say_why_not(folder: Path) -> None:
    biexponential = set()
    for path in sorted(folder.glob("*.wsp")):
        workspace = read_workspace(path.read_bytes(), path.name)
        for sample in workspace.samples:
            strategy = workspace.strategy_of(sample)
            if why_no_gating_ml(strategy):
                biexponential.add(path.stem)
                continue
            again = read_gating_ml(write_gating_ml(strategy), "gates.xml")
            assert gates_sha256(again) == gates_sha256(strategy)
    assert biexponential == {"test_data_diamond_biex_rect"}


def test_an_ics_panel_in_gating_ml_is_read_and_comes_back(folder: Path) -> None:
    strategy = read_gating_ml((folder / "8_color_ICS.xml").read_bytes(), "8_color_ICS.xml")
    assert strategy.spillover is not None
    content = write_gating_ml(strategy)
    again = read_gating_ml(content, "gates.xml")
    assert gates_sha256(again) == gates_sha256(strategy)
    assert sorted(again.gating.get_gate_ids()) == sorted(strategy.gating.get_gate_ids())
