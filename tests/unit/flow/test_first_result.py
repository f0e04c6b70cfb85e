"""The trial folder that docs/flow.md writes first: its commands and its panel, as they stand there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from cartrace.config import Flow
from cartrace.flow.fcs import read_fcs
from cartrace.flow.panel import read_panel
from cartrace.flow.tube import GatedTube, GateSource, TubeSpec, gate_tube
from cartrace.intake.plan import load_plan
from cartrace.simulate.trial import simulate_trial

GUIDE = Path(__file__).parents[3] / "docs" / "flow.md"
TUBES = {"fmo": "flow_s01_01", "baseline": "flow_s01_02", "day14": "flow_s01_03"}


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("first")
    contents = simulate_trial(2024, plates=False, immunoassays=False, libraries=False).tubes.contents
    for name, file_id in TUBES.items():
        (home / f"{name}.fcs").write_bytes(contents[f"data/flow_fcs/{file_id}.fcs"])
    commands = block("sh").replace("/where/they/are/*.fcs", "*.fcs")
    subprocess.run(["bash", "-euc", commands], cwd=home, check=True)
    # The viability dye of the simulated laboratory is in another channel.
    (home / "trial/mappings/panel.yaml").write_text(block("yaml").replace("BV510-A", "APC-H7-A"))
    return home / "trial"


def gated(folder: Path, file_id: str) -> GatedTube:
    plan = load_plan(yaml.safe_load((folder / "config.yaml").read_text()), folder)
    tube = plan.tubes[file_id]
    names = [tube.path, *(plan.tubes[c].path for c in tube.controls)]
    data, *controls = [read_fcs(folder / name, name) for name in names]
    return gate_tube(
        read_panel(folder / tube.mapping, tube.mapping),
        TubeSpec.from_json(tube.tube),
        data,
        controls,
        GateSource(),
        settings=Flow(),
        file_id=file_id,
        panel_file=tube.mapping,
        sha256=tube.sha256,
        names=names,
    )


@pytest.mark.parametrize(("file_id", "controls"), [("t101", "f101"), ("t102", "f101;t101")])
def test_the_first_tubes_find_their_controls_and_set_every_gate(
    folder: Path, file_id: str, controls: str
) -> None:
    made = gated(folder, file_id)
    assert made.tubes["controls"].tolist() == [controls]
    gates = made.gates.set_index("name")
    assert gates["reason"].isna().all()
    assert gates["events"]["T cells"] > 5_000
    assert (gates["events"]["CAR+"] > 500) == (file_id == "t102")
