"""Gate the simulated tubes as the workflow does, and compare with the truth."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import yaml

from cartrace.config import Flow
from cartrace.flow.compensation import check_compensation
from cartrace.flow.engine import TubeValues
from cartrace.flow.fcs import read_fcs
from cartrace.flow.panel import read_panel
from cartrace.flow.tube import GatedTube, GateSource, TubeSpec, gate_tube
from cartrace.intake.plan import load_plan
from cartrace.simulate.trial import Trial, simulate_trial
from cartrace.simulate.write import write_trial

PANEL = "mappings/flow_panel.yaml"


class Core:
    """The tubes of the demo trial, each gated once."""

    def __init__(self, trial: Trial, folder: Path) -> None:
        write_trial(trial, folder)
        self.folder = folder
        self.plan = load_plan(yaml.safe_load((folder / "config.yaml").read_text("utf-8")), folder)
        self.panel = read_panel(folder / PANEL, PANEL)
        self.truth = trial.truth["flow_tubes"].set_index(["file_id", "analyte"])
        self.gated = cache(self._gated)

    def _gated(self, file_id: str) -> GatedTube:
        tube = self.plan.tubes[file_id]
        paths = [tube.path, *(self.plan.tubes[c].path for c in tube.controls)]
        data = [read_fcs(self.folder / path, path) for path in paths]
        return gate_tube(
            self.panel,
            TubeSpec.from_json(tube.tube),
            data[0],
            data[1:],
            GateSource(),
            settings=Flow(),
            file_id=file_id,
            panel_file=PANEL,
            sha256=tube.sha256,
            names=paths,
        )

    def compared(self, file_id: str) -> pd.DataFrame:
        """One row per analyte: events found, true events."""
        gates = self.gated(file_id).gates.set_index("name")["events"]
        analytes = {p.analyte: p.gate for p in self.panel.populations.values()} | {"beads": "beads"}
        del analytes["car_t_fraction"]
        found = {analyte: gates[gate] for analyte, gate in analytes.items()}
        return pd.DataFrame({"found": found, "true": self.truth.loc[file_id, "events"]})


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Core:
    trial = simulate_trial(2024, plates=False, immunoassays=False, libraries=False)
    return Core(trial, tmp_path_factory.mktemp("core") / "trial")


@pytest.mark.parametrize("file_id", ["flow_s01_03", "flow_s02_02"])
def test_populations_of_a_good_tube_are_found_within_a_few_percent(core: Core, file_id: str) -> None:
    both = core.compared(file_id)
    common = both[both["true"] >= 300]
    assert len(common) >= 9
    # The gates of scatter and singlets lose 1 to 2 % of all cells.
    assert (common["found"] / common["true"]).between(0.96, 1.01).all()
    # The few tell themselves from nothing: up to a tenth of a percent of the T cells is background.
    few = both[both["true"] < 300].drop(
        index=["car_t_cells", "car_cd4_cells", "car_cd8_cells"], errors="ignore"
    )
    assert ((few["found"] - few["true"]).abs() <= 3 + 0.15 * few["true"]).all()


def test_before_the_infusion_a_tenth_of_a_percent_of_t_cells_is_in_the_car_gate(core: Core) -> None:
    both = core.compared("flow_s02_02")
    assert both.loc["car_t_cells", "true"] == 0
    assert both.loc["car_t_cells", "found"] < 0.003 * both.loc["t_cells", "found"]


def test_a_clogged_stretch_is_left_out_and_no_more(core: Core) -> None:
    tube = core.gated("flow_s01_04").tubes.iloc[0]
    assert 1 - tube["gated_events"] / tube["events"] == pytest.approx(0.36, abs=0.03)
    assert "removed_percent" in tube["flags"].split(";")
    assert tube["verdict"] == "flagged"
    both = core.compared("flow_s01_04")
    ratio = both["found"] / both["true"]
    # Beads are lost with the cells, so that cells per bead stay right.
    assert ratio["t_cells"] / ratio["beads"] == pytest.approx(1, abs=0.03)


def test_a_matrix_that_was_applied_twice_shows_among_the_cells(core: Core) -> None:
    slopes = {}
    for file_id in ("flow_s01_06", "flow_s01_07"):
        data = read_fcs(core.folder / f"data/flow_fcs/{file_id}.fcs", file_id)
        forward, side = data.read([0, 2], 0, data.n_events).T
        # Beads are bright everywhere, and no spillover.
        cells = TubeValues(data, data.spillover, ~((forward < 45_000) & (side > 130_000)))
        slopes[file_id] = check_compensation(cells, range(3, 17)).over
    assert slopes["flow_s01_06"] is not None
    assert slopes["flow_s01_07"] is not None
    assert slopes["flow_s01_06"] > 0.2
    assert slopes["flow_s01_07"] < Flow().acceptance.over_compensation.upper


def test_a_covered_cd38_gives_a_reason_and_no_zero(core: Core) -> None:
    gates = core.gated("flow_s02_05").gates.set_index("name")
    assert core.truth.loc[("flow_s02_05", "plasmablasts"), "events"] > 20
    assert gates.loc[["plasmablasts", "plasma_cells"], "events"].isna().all()
    assert gates.loc["plasma_lineage", "reason"].endswith("covered by a therapeutic antibody")
    assert gates.loc["b_cells", "events"] > 3_000


def test_a_swapped_tube_has_car_cells_before_the_infusion(core: Core) -> None:
    gates = core.gated("flow_s03_02").gates.set_index("name")
    assert gates.loc["car_t", "percent_of_parent"] > 20
    assert core.truth.loc[("flow_s03_02", "car_t_cells"), "study_day"] < 0


def test_nothing_of_the_keywords_is_in_any_table(core: Core) -> None:
    gated = core.gated("flow_s01_03")
    for name in ("tubes", "gates", "thresholds", "background", "acquisition", "plots", "qc"):
        text = getattr(gated, name).to_csv(index=False)
        assert not any(word in text for word in ("MUSTER", "Beispiel", "4711", "2024-1"))
