"""examples/flow_bcell on flowDensity's own tube, beside flowDensity's method written down anew."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import gaussian_kde
from tests.real.conftest import EXAMPLES, real_data

from cartrace.flow.engine import apply_strategy
from cartrace.flow.fcs import FcsData, read_fcs
from cartrace.flow.panel import read_panel
from cartrace.flow.tube import GatedTube, GateSource, TubeSpec, gate_tube
from cartrace.intake.plan import load_plan

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Gated:
    data: FcsData
    tube: GatedTube
    inside: Mapping[str, np.ndarray]
    values: Mapping[str, np.ndarray]
    """Stain -> values of all events."""

    def threshold(self, name: str) -> pd.Series:
        return self.tube.thresholds.set_index("threshold").loc[name]


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Gated:
    files = real_data() / "assays" / "flowdensity_bcell"
    if not files.is_dir():
        pytest.skip(
            "flowDensity's tubes are not here: set CARTRACE_REAL_DATA or put them in ../shared/data/assays"
        )
    folder = tmp_path_factory.mktemp("real") / "flow_bcell"
    shutil.copytree(EXAMPLES / "flow_bcell", folder, ignore=shutil.ignore_patterns("data", "results", "logs"))
    (folder / "data").symlink_to(files.parent, target_is_directory=True)
    plan = load_plan(yaml.safe_load((folder / "config.yaml").read_text()), folder, "config.yaml")
    (file,) = plan.files.values()
    data = read_fcs(folder / file.path, file.path)
    tube = gate_tube(
        read_panel(folder / file.mapping, file.mapping),
        TubeSpec.from_json(file.tube),
        data,
        [],
        GateSource(),
        settings=plan.config.flow,
        file_id=file.file_id,
        panel_file=file.mapping,
        sha256=file.sha256,
        names=[file.path],
    )
    members = apply_strategy(data, tube.strategy)
    events = data.read(range(len(data.channels)), 0, data.n_events)
    values = {c.stain or c.name: events[:, c.index] for c in data.channels}
    return Gated(data, tube, {p[-1]: m for p, m in members.items()}, values)


def flowdensity_cut(values: np.ndarray) -> float:
    """Threshold between the peaks as flowDensity's deGate sets it (Malek 2015), less its smoothing spline.

    R's bw.nrd0, 512 points, peaks above 1/25 of the highest; of several valleys the one with the largest
    distance of its peaks over its height.
    """
    spread = min(values.std(ddof=1), float(np.subtract(*np.quantile(values, [0.75, 0.25]))) / 1.34)
    width = 0.9 * spread * len(values) ** -0.2
    x = np.linspace(values.min() - 3 * width, values.max() + 3 * width, 512)
    y = gaussian_kde(values, bw_method=width / values.std(ddof=1))(x)
    top = (y[1:-1] > y[:-2]) & (y[1:-1] > y[2:]) & (y[1:-1] > y.max() / 25)
    peaks = np.flatnonzero(top) + 1
    cuts = [a + int(np.argmin(y[a:b])) for a, b in pairwise(peaks)]
    return float(x[cuts[int(np.argmax(np.diff(x[peaks]) / y[cuts]))]])


def test_the_tube_is_whole(gated: Gated) -> None:
    assert gated.data.n_events == 23_000


def test_b_cells_are_about_13_8_percent_of_the_events(gated: Gated) -> None:
    b_cells = gated.inside["B cells"]
    assert 100 * b_cells.sum() / gated.inside["singlets"].sum() == pytest.approx(13.8, abs=0.3)
    above = gated.values["CD19"] >= gated.threshold("CD19")["value"]
    assert 100 * above.mean() == pytest.approx(13.8, abs=0.3)
    # Most of them have CD20, too.
    assert gated.inside["CD20+ B cells"].sum() > 0.95 * b_cells.sum()


@pytest.mark.parametrize("marker", ["CD3", "CD19", "CD20"])
def test_thresholds_agree_with_those_of_flowdensity(gated: Gated, marker: str) -> None:
    ours = gated.threshold(marker)
    assert ours["method"] == "valley"
    theirs = flowdensity_cut(gated.values[marker])
    # Decades. Where few events lie between the peaks a threshold may move without moving a count.
    assert ours["value"] == pytest.approx(theirs, abs=0.2)
    moved = (gated.values[marker] >= ours["value"]) != (gated.values[marker] >= theirs)
    assert moved.mean() < 0.015


def test_plasmablasts_are_those_of_flowdensitys_vignette(gated: Gated) -> None:
    v = gated.values
    stage = (v["CD19"] > flowdensity_cut(v["CD19"])) & (v["CD20"] < flowdensity_cut(v["CD20"]))
    theirs = stage.copy()
    for marker in ("CD27", "CD38"):
        theirs &= v[marker] > flowdensity_cut(v[marker][stage])
    ours = gated.inside["plasmablasts"]
    both = (ours & theirs & gated.inside["singlets"]).sum()
    assert both > 0.8 * ours.sum()
    assert both > 0.9 * (theirs & gated.inside["singlets"]).sum()


def test_a_marker_that_does_not_part_gives_a_reason_and_no_number(gated: Gated) -> None:
    igd = gated.threshold("IgD")
    assert pd.isna(igd["method"])
    assert igd["reason"] == "valley: one peak, so no valley between negative and positive"
    naive = gated.tube.gates.set_index("name").loc["naive B cells"]
    assert pd.isna(naive["events"])
    assert "IgD" in naive["reason"]


def test_too_few_cells_for_a_valley_leave_it_to_the_value_of_the_panel(gated: Gated) -> None:
    bright = gated.threshold("CD38hi")
    assert bright["method"] == "fixed"
    assert "at least 200 are needed" in bright["reason"]


def test_singlets_hold_nearly_all_events_of_a_tube_that_was_gated_before(gated: Gated) -> None:
    assert 0.95 < gated.inside["singlets"].mean() < 0.99


def test_example_files_hold_nothing_of_the_tube(gated: Gated) -> None:
    sheets = Path(EXAMPLES / "flow_bcell" / "sheets")
    assert sum(len(p.read_text().splitlines()) for p in sheets.glob("*.tsv")) == 12
