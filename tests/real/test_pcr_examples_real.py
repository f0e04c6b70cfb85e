"""examples/pcr_plates on the public plates, from the files sheet to the joined tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from tests.real.conftest import EXAMPLES, real_data

from cartrace.intake.plan import load_plan
from cartrace.pcr.assay import read_assay
from cartrace.pcr.plate_map import read_plate_map
from cartrace.pcr.quantify import quantify_plate
from cartrace.pcr.readers import ReadOptions, read_plate
from cartrace.pcr.results import Assembled, PlateTables, assemble_plates

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Assembled:
    data = real_data() / "assays"
    if not data.is_dir():
        pytest.skip("the real plates are not here: set CARTRACE_REAL_DATA or put them in ../shared/data")
    folder = tmp_path_factory.mktemp("real") / "pcr_plates"
    shutil.copytree(EXAMPLES / "pcr_plates", folder, ignore=shutil.ignore_patterns("data", "results", "logs"))
    (folder / "data").symlink_to(data, target_is_directory=True)
    plan = load_plan(yaml.safe_load((folder / "config.yaml").read_text()), folder, "config.yaml")
    plates = []
    for file in plan.files.values():
        assay = read_assay(folder / file.mapping, file.mapping)
        text = (folder / file.plate_map).read_text() if file.plate_map else ""
        plate = read_plate((folder / file.path).read_bytes(), Path(file.path).name, ReadOptions())
        made = quantify_plate(
            plate,
            assay,
            plan.config.pcr,
            file_id=file.file_id,
            sha256=file.sha256,
            plate_map=read_plate_map(text, file.plate_map) if text else None,
        )
        plates.append(
            PlateTables(file.file_id, assay, made.wells, made.curves, made.samples, made.droplets, made.qc)
        )
    return assemble_plates(plates, {}, {}, {}, plan.config.pcr)


def test_every_plate_of_the_example_is_quantified(joined: Assembled) -> None:
    found = joined.samples[joined.samples["copies"].notna()]
    assert found.groupby(["plate", "task"]).size().to_dict() == {
        ("absolute_q_a", "unknown"): 1,
        ("absolute_q_b", "unknown"): 1,
        ("qiacuity", "ntc"): 1,
        ("qiacuity", "positive_control"): 1,
        ("qiacuity", "unknown"): 12,
        ("qs1", "ntc"): 1,
        ("qs1", "unknown"): 2,
        ("qs7_flex", "accuracy_control"): 1,
        ("qs7_flex", "ntc"): 2,
        ("qs7_flex", "unknown"): 22,
        ("qx_manager", "positive_control"): 4,
    }
    assert set(joined.curves["verdict"]) == {"accepted"}


def test_the_plate_map_says_what_the_instrument_s_file_does_not(joined: Assembled) -> None:
    control = joined.samples.query("plate == 'qs7_flex' and task == 'accuracy_control'")
    assert control["recovery_percent"].between(75, 125).all()
    assert not joined.qc["check"].eq("control_unknown").any()


def test_without_a_mass_of_dna_nothing_becomes_a_measurement_and_each_sample_says_why(
    joined: Assembled,
) -> None:
    assert joined.results.empty
    told = joined.qc[joined.qc["check"] == "unit_not_estimable"]
    assert len(told) == 1 + 1 + 12 + 2 + 22
    assert told["message"].str.contains("reaction.dna_ng").all()
