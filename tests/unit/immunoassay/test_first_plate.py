"""The trial folder that docs/immunoassay.md writes first: its commands and its assay file, as they stand there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from cartrace.immunoassay.assay import read_assay
from cartrace.immunoassay.layout import read_layout
from cartrace.immunoassay.quantify import quantify_plate
from cartrace.immunoassay.readers import read_plate
from cartrace.intake.plan import load_plan

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "immunoassay.md").read_text("utf-8")
EXAMPLE = ROOT / "examples" / "immunoassay_plates"


def first(language: str) -> str:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)[0]


def test_the_first_plate_of_the_guide_is_calibrated(tmp_path: Path) -> None:
    # The guide says where the user's files are; here they are those of the example.
    for here, there in {
        "elisa.csv": "plates/sbcma_elisa.csv",
        "layout.tsv": "layouts/sbcma_elisa.tsv",
    }.items():
        (tmp_path / here).write_bytes((EXAMPLE / there).read_bytes())
    commands = first("sh").replace("/where/it/is/", "")
    subprocess.run(["bash", "-euc", commands], cwd=tmp_path, check=True)
    trial = tmp_path / "trial"
    (trial / "mappings/sbcma.yaml").write_text(first("yaml"))
    plan = load_plan(yaml.safe_load((trial / "config.yaml").read_text()), trial)
    plate = plan.immunoassays["elisa_01"]
    found = quantify_plate(
        read_plate((trial / plate.path).read_bytes(), plate.path),
        read_assay(trial / plate.mapping, plate.mapping),
        plan.config.immunoassay,
        file_id="elisa_01",
        sha256=plate.sha256,
        layout=read_layout((trial / plate.plate_map).read_bytes(), plate.plate_map),
    )
    assert found.samples["verdict"].tolist() == ["accepted"] * 8
    assert set(found.samples["subject_id"].dropna()) == {"S001", "S002"}
