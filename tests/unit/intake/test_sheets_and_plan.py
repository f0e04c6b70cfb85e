"""Sheets, mappings and files are checked together, before the first job runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cartrace.intake.plan import load_plan, write_manifest
from cartrace.intake.sheets import look_alike
from cartrace.problems import InputError

SHEETS = {
    "subjects": "subject_id\tcohort\tage\n1003\tA\t40\n1004\tA\t50\n",
    "products": "product\ttarget\tvector\nCT103A\tBCMA\tlentiviral\n",
    "infusions": "subject_id\tinfusion\tproduct\tday\tdate\tlymphodepletion_date\n"
    "1003\t1\tCT103A\t\t2021-03-04\t2021-02-28\n1003\t2\tCT103A\t\t2021-06-02\t\n1004\t1\tCT103A\t0\t\t\n",
    "files": "file_id\tpath\treader\tmapping\npcr\tpcr.tsv\tlaboratory_table\tmappings/pcr.yaml\n",
    "samples": "sample_id\tsubject_id\tmatrix\tday\tdate\tinfusion\n"
    "S1\t1003\tblood\t\t2021-03-11\t\nS2\t1003\tblood\t7\t\t2\nS3\t1003\tblood\t-5\t\t\n",
}
MAPPING = {
    "subject": "patient",
    "matrix": "blood",
    "day": "day",
    "values": [{"column": "copies", "analyte": "transgene", "assay": "qpcr", "unit": "copies/ug"}],
}
CONFIG: dict[str, Any] = {"sheets": {"samples": "sheets/samples.tsv"}}


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    for name, text in SHEETS.items():
        path = tmp_path / "sheets" / f"{name}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings/pcr.yaml").write_text(yaml.safe_dump(MAPPING))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/pcr.tsv").write_text("patient\tday\tcopies\n1003\t7\t100\n")
    return tmp_path


def problems_of(folder: Path, config: dict[str, Any] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load_plan(CONFIG if config is None else config, folder)
    return str(caught.value)


def put(folder: Path, sheet: str, text: str) -> None:
    (folder / "sheets" / f"{sheet}.tsv").write_text(text)


def test_a_good_folder_gives_a_plan(trial: Path) -> None:
    plan = load_plan(CONFIG, trial)
    assert plan.files["pcr"].path == "data/pcr.tsv"
    assert len(plan.files["pcr"].sha256) == 64
    assert plan.files["pcr"].clock_digest == ""
    assert set(plan.sheet_paths) == set(SHEETS)
    assert json.loads(plan.settings("plausibility"))["plausibility"]["neighbour_fold"] == 20


def test_dates_become_days_and_samples_find_their_infusion(trial: Path) -> None:
    from cartrace import config
    from cartrace.intake.sheets import read_sheets

    sheets, problems = read_sheets(trial, config.load(CONFIG))
    assert problems == []
    assert sheets.infusion_days()["1003"] == [(1, 0.0), (2, 90.0)]
    assert sheets.infusions[0].lymphodepletion_day == -4
    assert [(s.infusion, s.day, s.study_day) for s in sheets.samples] == [(1, 7, 7), (2, 7, 97), (1, -5, -5)]
    assert "2021" not in repr(sheets)


@pytest.mark.parametrize(
    ("sheet", "text", "said"),
    [
        ("subjects", SHEETS["subjects"] + "01003\tA\t30\n", "'01003', which reads like '1003' in row 2"),
        ("subjects", SHEETS["subjects"] + "1003\tA\t30\n", "'1003' again"),
        ("subjects", SHEETS["subjects"].replace("40", "400"), "years at the first infusion, 0 to 120"),
        ("subjects", SHEETS["subjects"].replace("cohort", "date_of_birth"), "identifying column"),
        ("subjects", SHEETS["subjects"].replace("cohort", "kohort"), "did you mean 'cohort'?"),
        ("subjects", SHEETS["subjects"].replace("1004", "04.05.1961"), "an id without a calendar date"),
        ("subjects", SHEETS["subjects"].replace("1004", "10\x0704"), "a control character"),
        ("subjects", SHEETS["subjects"].replace("1004", "=1004"), "begins with a letter or digit"),
        ("subjects", "", "an empty file"),
        ("products", "product,vector\nCT103A,lentiviral\n", "a header that is one single cell"),
        ("products", SHEETS["products"].replace("lentiviral", "lentivral"), "did you mean 'lentiviral'?"),
        ("infusions", SHEETS["infusions"].replace("1004\t1", "1005\t1"), "unknown '1005'"),
        ("infusions", SHEETS["infusions"].replace("1003\t2", "1003\t3"), "without gaps"),
        ("infusions", SHEETS["infusions"].replace("2021-06-02", "2021-01-02"), "later than infusion 1"),
        (
            "infusions",
            SHEETS["infusions"].replace("CT103A\t0", "CT103A\t3"),
            "the first infusion is study day 0",
        ),
        (
            "infusions",
            SHEETS["infusions"].replace("CT103A\t0\t", "CT103A\t0\t2021-01-01"),
            "a day and a date",
        ),
        ("infusions", SHEETS["infusions"].replace("CT103A\t0", "CT103B\t0"), "did you mean 'CT103A'?"),
        (
            "infusions",
            SHEETS["infusions"].replace("2021-02-28", "2021-03-05"),
            "days from its infusion, below 0",
        ),
        ("infusions", SHEETS["infusions"].replace("2021-03-04", "04.03.2021"), "text that is no ISO date"),
        ("samples", SHEETS["samples"].replace("\t2\n", "\t3\n"), "an infusion of this subject: 1, 2"),
        ("samples", SHEETS["samples"].replace("S2\t1003\tblood", "S2\t1003\tblod"), "did you mean 'blood'?"),
        ("files", SHEETS["files"].replace("pcr.tsv", "../secret"), "leads out of the data folder"),
        ("files", SHEETS["files"].replace("pcr.tsv", "pcr.tvs"), "did you mean 'pcr.tsv'?"),
        (
            "files",
            SHEETS["files"].replace("laboratory_table", "laboratory_tabel"),
            "did you mean 'laboratory_table'?",
        ),
        (
            "files",
            SHEETS["files"] + "again\tpcr.tsv\tlaboratory_table\tmappings/pcr.yaml\n",
            "the file again",
        ),
        (
            "files",
            SHEETS["files"].replace("pcr.tsv", "pcr_20210304.tsv"),
            "a calendar date in the file's name",
        ),
        (
            "files",
            SHEETS["files"].replace("mappings/pcr", "mappings/none"),
            "no file 'mappings/none.yaml'",
        ),
    ],
)
def test_each_fault_is_told(trial: Path, sheet: str, text: str, said: str) -> None:
    put(trial, sheet, text)
    message = problems_of(trial)
    assert said in message
    assert "1961" not in message
    assert "2021" not in message


def test_faults_of_several_sheets_come_at_once(trial: Path) -> None:
    put(trial, "subjects", SHEETS["subjects"].replace("40", "400"))
    put(trial, "products", SHEETS["products"].replace("lentiviral", "x"))
    put(trial, "files", SHEETS["files"].replace("pcr.tsv", "none.tsv"))
    (trial / "mappings/pcr.yaml").write_text(yaml.safe_dump(MAPPING | {"matrix": "blod"}))
    message = problems_of(trial)
    assert message.startswith("4 problems")


def test_a_link_that_leads_out_of_the_data_folder_is_refused(trial: Path, tmp_path_factory: Any) -> None:
    outside = tmp_path_factory.mktemp("outside") / "x.tsv"
    outside.write_text("a\n")
    (trial / "data/pcr.tsv").unlink()
    (trial / "data/pcr.tsv").symlink_to(outside)
    assert "leads out of the data folder" in problems_of(trial)


def test_the_same_content_under_two_names_is_refused(trial: Path) -> None:
    (trial / "data/copy.tsv").write_bytes((trial / "data/pcr.tsv").read_bytes())
    put(trial, "files", SHEETS["files"] + "copy\tcopy.tsv\tlaboratory_table\tmappings/pcr.yaml\n")
    assert "the same content as 'pcr'" in problems_of(trial)


def test_the_manifest_remembers_hashes_until_a_file_changes(trial: Path) -> None:
    plan = load_plan(CONFIG, trial)
    path = write_manifest(plan, trial)
    path.write_text(json.dumps(dict.fromkeys(json.loads(path.read_text()), "0" * 64)))
    assert load_plan(CONFIG, trial).files["pcr"].sha256 == "0" * 64
    os.utime(trial / "data/pcr.tsv", ns=(1, 1))
    assert load_plan(CONFIG, trial).files["pcr"].sha256 == plan.files["pcr"].sha256
    for broken in ("{broken", "[]", "[" * 100_000):
        path.write_text(broken)
        assert load_plan(CONFIG, trial).files["pcr"].sha256 == plan.files["pcr"].sha256


def test_the_manifest_holds_no_time_of_a_file(trial: Path) -> None:
    before = write_manifest(load_plan(CONFIG, trial), trial).read_text()
    status = (trial / "data/pcr.tsv").stat()
    assert str(status.st_mtime_ns)[:9] not in before
    assert "pcr.tsv" not in before


def test_the_digest_of_the_sheets_ignores_their_form(trial: Path) -> None:
    digest = load_plan(CONFIG, trial).sheets_digest
    lines = SHEETS["subjects"].splitlines()
    put(trial, "subjects", "\n".join([lines[0], lines[2] + " ", lines[1]]) + "\n\n")
    assert load_plan(CONFIG, trial).sheets_digest == digest
    put(trial, "subjects", SHEETS["subjects"].replace("40", "41"))
    assert load_plan(CONFIG, trial).sheets_digest != digest


def test_a_new_subject_does_not_touch_the_clock_of_a_dated_file_of_others(trial: Path) -> None:
    dated = {k: v for k, v in MAPPING.items() if k != "day"} | {"date": "drawn"}
    (trial / "mappings/pcr.yaml").write_text(yaml.safe_dump(dated))
    put(
        trial,
        "files",
        SHEETS["files"].replace("mapping\n", "mapping\tsubjects\n").replace(".yaml\n", ".yaml\t1003\n"),
    )
    before = load_plan(CONFIG, trial).files["pcr"].clock_digest
    assert before
    put(trial, "subjects", SHEETS["subjects"] + "1005\tA\t30\n")
    put(trial, "infusions", SHEETS["infusions"] + "1005\t1\tCT103A\t\t2022-01-01\t\n")
    assert load_plan(CONFIG, trial).files["pcr"].clock_digest == before
    put(trial, "infusions", SHEETS["infusions"].replace("2021-03-04", "2021-03-03"))
    put(trial, "subjects", SHEETS["subjects"])
    assert load_plan(CONFIG, trial).files["pcr"].clock_digest != before


def test_planning_imports_nothing_heavy() -> None:
    code = "import sys, cartrace.intake.plan; print([m for m in ('pandas','numpy','pandera') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ids_are_alike_by_letters_and_numbers_only() -> None:
    assert look_alike("P-1003") == look_alike("p1003") == look_alike("P 01003")
    assert look_alike("1003") == look_alike("01003")
    assert look_alike("S-1-12") != look_alike("S-11-2")


def test_no_column_of_products_and_infusions_may_hold_a_date(trial: Path) -> None:
    put(
        trial,
        "products",
        "product\tconstruct\ttarget\tvector\nCT103A\tlot 2021-02-01\tBCMA 01.02.2021\tlentiviral\n",
    )
    put(
        trial,
        "infusions",
        SHEETS["infusions"].split("\n")[0].replace("\tlympho", "\tdose\tdose_unit\tlympho")
        + "\n1003\t1\tCT103A\t0\t\t1\tbag of 2021-02-01\t\n1004\t1\tCT103A\t0\t\t\t\t\n",
    )
    told = problems_of(trial, {})
    assert told.count("found a calendar date") == 3
    for column in ("construct", "target", "dose_unit"):
        assert f"row 2, column '{column}'" in told
    assert "2021" not in told
