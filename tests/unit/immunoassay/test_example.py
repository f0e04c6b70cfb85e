"""examples/immunoassay_plates, from the files sheet to the results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from cartrace.immunoassay.assay import read_assay
from cartrace.immunoassay.layout import read_layout
from cartrace.immunoassay.quantify import PlateResult, quantify_plate
from cartrace.immunoassay.readers import read_plate
from cartrace.intake.plan import load_plan

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "immunoassay_plates"


@pytest.fixture(scope="module")
def plates() -> dict[str, PlateResult]:
    plan = load_plan(yaml.safe_load((FOLDER / "config.yaml").read_text()), FOLDER, "config.yaml")
    return {
        file.file_id: quantify_plate(
            read_plate((FOLDER / file.path).read_bytes(), file.path),
            read_assay(FOLDER / file.mapping, file.mapping),
            plan.config.immunoassay,
            file_id=file.file_id,
            sha256=file.sha256,
            layout=read_layout((FOLDER / file.plate_map).read_bytes(), file.plate_map)
            if file.plate_map
            else None,
        )
        for file in plan.files.values()
    }


def results(plate: PlateResult, target: str) -> pd.DataFrame:
    samples = plate.samples
    mine = samples[samples["target"].eq(target) & samples["task"].eq("unknown")]
    return mine.set_index(["subject_id", "day"])


def test_every_curve_and_control_of_the_example_is_accepted(plates: dict[str, PlateResult]) -> None:
    assert {v for p in plates.values() for v in p.curves["verdict"]} == {"accepted"}
    controls = plates["elisa"].samples.query("task == 'control'")
    assert controls["verdict"].tolist() == ["accepted"] * 2


def test_what_the_example_was_made_of_comes_back(plates: dict[str, PlateResult]) -> None:
    sbcma = results(plates["elisa"], "sBCMA")
    truth = {("S001", -5): 310, ("S001", 28): 42, ("S002", -5): 2600, ("S002", 28): 660, ("S002", 90): 95}
    for key, value in truth.items():
        assert sbcma.loc[key, "result"] == pytest.approx(value, rel=0.15), key
    assert sbcma.loc[("S001", 90), "detection"] in {"BLQ", "BLD"}
    assert sbcma.loc[("S002", -5), "dilution_used"] == 500
    il6 = results(plates["cytokines"], "IL-6")
    assert il6.loc[("S001", 3), "result"] == pytest.approx(850, rel=0.15)
    assert il6.loc[("S002", 3), "detection"] == "above_uloq"
    aqp4 = results(plates["cba"], "AQP4")
    titres = {
        ("S001", -5): 80,
        ("S001", 90): 20,
        ("S002", -5): 10 * 2**4.5,
        ("S002", 90): 80,
        ("S002", 180): 40,
    }
    assert aqp4["result"].dropna().to_dict() == pytest.approx(titres)
    assert aqp4.loc[("S001", 180), "detection"] in {"BLQ", "BLD"}
