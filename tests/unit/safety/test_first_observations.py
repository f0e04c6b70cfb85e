"""The trial folder that docs/safety.md writes first: its commands as they stand there, and the grades that it promises."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from cartrace import tables
from cartrace.intake.plan import load_plan
from cartrace.intake.sheet_tables import sheet_tables
from cartrace.intake.sheets import read_sheets
from cartrace.safety.thresholds import read_standards
from cartrace.safety.toxicity import grade_toxicity

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "safety.md").read_text("utf-8")


def test_the_first_observations_of_the_guide_get_the_grades_that_it_promises(tmp_path: Path) -> None:
    (commands,) = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    subprocess.run(["bash", "-euc", commands], cwd=tmp_path, check=True)
    trial = tmp_path / "trial"
    config = load_plan(yaml.safe_load((trial / "config.yaml").read_text()), trial).config
    sheets, problems = read_sheets(trial, config)
    assert problems == []
    made = sheet_tables(sheets, config, set())
    found = grade_toxicity(
        tables.empty(tables.MEASUREMENTS),
        made.observations,
        made.infusions,
        made.events,
        read_standards(sorted((ROOT / "resources/safety").glob("*.yaml"))),
        config.safety,
    )
    grades = found.grades.set_index(["term", "day"])["grade"].dropna().astype(int).to_dict()
    assert grades == {("crs", 3): 1, ("crs", 4): 2, ("icans", 4): 1}
