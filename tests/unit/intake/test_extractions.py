"""The extractions sheet, and what a PCR plate needs of a trial folder, are checked with everything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cartrace.config import load
from cartrace.intake.extractions import Extraction, pg_per_cell, read_extractions
from cartrace.intake.plan import load_plan, manifest_of, write_manifest
from cartrace.intake.sheets import read_sheets
from cartrace.problems import InputError, Problem

HEADER = "sample\tdna_ng_per_ul\telution_volume_ul\tblood_volume_ul\twhite_cells_per_ul\n"
SHEETS = {
    "subjects": "subject_id\n1003\n",
    "products": "product\tvector\nCT103A\tlentiviral\n",
    "infusions": "subject_id\tinfusion\tproduct\tday\n1003\t1\tCT103A\t0\n",
    "samples": "sample_id\tsubject_id\tmatrix\tday\nS1\t1003\tblood\t7\n",
    "files": "file_id\tpath\treader\tmapping\tplate_map\tamplitudes\n"
    "p2\tb.csv\tpcr_plate\tmappings/dd.yaml\tmaps/b.tsv\tdroplets\n"
    "p1\ta.csv\tpcr_plate\tmappings/q.yaml\t\t\n"
    "t\tt.tsv\tlaboratory_table\tmappings/t.yaml\t\t\n",
    "extractions": HEADER + "S1\t80.5\t50\t200\t5000\nS2\t\t\t\t12\n",
}
TABLE = {
    "subject": "patient",
    "matrix": "blood",
    "day": "day",
    "values": [{"column": "copies", "analyte": "transgene", "assay": "qpcr", "unit": "copies/ug"}],
}
STORED = {"source": "stored", "file": "curves/car.yaml"}
ASSAYS: dict[str, Any] = {
    "q": {"targets": {"CAR": {"curve": STORED, "limits": {"estimated": "car"}}}},
    "dd": {"assay": "ddpcr", "targets": {"CAR": {}}},
}
CONFIG: dict[str, Any] = {
    "sheets": {"samples": "sheets/samples.tsv", "extractions": "sheets/extractions.tsv"},
    "pcr": {"detection_limits": {"car": {"target": "CAR", "dilutions": "limits/d.tsv"}}},
}


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    files = {f"sheets/{name}.tsv": text for name, text in SHEETS.items()}
    files |= {f"mappings/{name}.yaml": yaml.safe_dump(assay) for name, assay in ASSAYS.items()}
    files |= {
        "mappings/t.yaml": yaml.safe_dump(TABLE),
        "data/a.csv": "a",
        "data/b.csv": "b",
        "data/t.tsv": "t",
        "data/droplets/x_B01_Amplitude.csv": "1",
        "data/droplets/x_A01_Amplitude.csv": "2",
        "data/droplets/readme.txt": "no droplets",
        "maps/b.tsv": "well\tsample\n",
        "curves/car.yaml": "slope: -3.3\n",
        "limits/d.tsv": "level\tcopies\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def problems_of(folder: Path, config: dict[str, Any] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load_plan(CONFIG if config is None else config, folder)
    return str(caught.value)


def put(folder: Path, sheet: str, text: str) -> None:
    (folder / "sheets" / f"{sheet}.tsv").write_text(text)


def put_assay(folder: Path, name: str, changes: dict[str, Any]) -> None:
    (folder / f"mappings/{name}.yaml").write_text(yaml.safe_dump(ASSAYS[name] | changes))


def test_extractions_are_read_with_the_other_sheets(trial: Path) -> None:
    sheets, problems = read_sheets(trial, load(CONFIG))
    assert problems == []
    assert sheets.extractions == (
        Extraction("S1", 80.5, 50, 200, 5000),
        Extraction("S2", None, None, None, 12),
    )


def test_dna_of_one_white_cell_is_what_came_out_over_what_went_in() -> None:
    # 80 ng/uL in 50 uL are 4000 ng, of 200 uL with 5000 cells each: 1,000,000 cells.
    assert pg_per_cell(Extraction("S1", 80.0, 50.0, 200.0, 5000.0)) == pytest.approx(4.0)
    assert pg_per_cell(Extraction("S1", 80.0, 50.0, 200.0, 0.0)) is None
    assert pg_per_cell(Extraction("S1", 80.0, 50.0, None, 5000.0)) is None


def test_without_a_sheet_there_are_no_extractions(trial: Path) -> None:
    config = load(CONFIG | {"sheets": {"samples": "sheets/samples.tsv"}})
    assert read_sheets(trial, config)[0].extractions == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("S1\t-1\t50\t200\t5000", "column 'dna_ng_per_ul': found '-1'; allowed: ng of DNA per uL of eluate"),
        ("S1\t80\t0.05\t200\t", "column 'elution_volume_ul': found '0.05'; allowed: uL of eluate, 5 to 2000"),
        ("S1\t80\t50\t0.2\t", "column 'blood_volume_ul': found '0.2'; allowed: uL of the specimen"),
        ("S1\t80\t50\t200\t5e9", "allowed: white cells per uL (5 x 10^9/L are 5000)"),
        ("S1\t80.5\t50\t200\t5", "row 2: found 4e+03 pg of DNA for each white cell that was extracted"),
        ("S1\t0.0805\t50\t200\t5000", "row 2: found 0.004 pg of DNA for each white cell"),
        ("S1\t80,5\t50\t200\t", "found '80,5'"),
        ("\t80\t50\t200\t", "column 'sample': found nothing"),
        ("S1\t\t\t\t", "row 2: found no number; allowed: at least one of dna_ng_per_ul"),
        ("S1\t80\t\t\t\nS1\t90\t\t\t", "row 3, column 'sample': found 'S1' again"),
        ("S1\t80\t\t\t\ns-01\t90\t\t\t", "which reads like 'S1' in row 2"),
        ("S1 2021-03-04\t80\t\t\t", "a sample without a date in its name"),
    ],
)
def test_each_fault_of_an_extraction_is_told(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "e.tsv").write_text(HEADER + line + "\n")
    problems: list[Problem] = []
    read_extractions(tmp_path, "e.tsv", problems)
    assert said in "\n".join(map(str, problems))
    assert "2021" not in "\n".join(map(str, problems))


def test_a_column_that_nobody_knows_is_told_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "e.tsv").write_text(HEADER.replace("dna_ng_per_ul", "dna_ng_ul") + "S1\t8\t50\t200\t\n")
    problems: list[Problem] = []
    read_extractions(tmp_path, "e.tsv", problems)
    assert [p.suggestion for p in problems] == ["dna_ng_per_ul"]


def test_the_extractions_have_a_digest_of_their_own(trial: Path) -> None:
    before = load_plan(CONFIG, trial)
    assert "extractions" not in before.sheet_paths
    put(trial, "extractions", SHEETS["extractions"].replace("80.5", "80.50 ") + "\n")
    assert load_plan(CONFIG, trial).extractions_digest == before.extractions_digest
    put(trial, "extractions", SHEETS["extractions"].replace("80.5", "80.6"))
    after = load_plan(CONFIG, trial)
    assert after.extractions_digest != before.extractions_digest
    assert after.sheets_digest == before.sheets_digest


def test_the_plan_parts_plates_from_tables_in_the_order_of_the_sheet(trial: Path) -> None:
    plan = load_plan(CONFIG, trial)
    assert list(plan.plates) == ["p2", "p1"]
    assert list(plan.tables) == ["t"]
    duplex, curve = plan.plates.values()
    assert duplex.plate_map == "maps/b.tsv"
    assert duplex.amplitudes == (
        "data/droplets/x_A01_Amplitude.csv",
        "data/droplets/x_B01_Amplitude.csv",
    )
    assert curve.curves == ("curves/car.yaml",)
    assert (curve.plate_map, curve.amplitudes) == ("", ())
    assert plan.tables["t"].extra_sha256 == ""
    assert plan.limits["car"].dilutions == "limits/d.tsv"
    assert plan.limits["car"].blanks is None


@pytest.mark.parametrize(
    ("changed", "plate"),
    [("maps/b.tsv", "p2"), ("data/droplets/x_B01_Amplitude.csv", "p2"), ("curves/car.yaml", "p1")],
)
def test_a_file_beside_a_plate_changes_the_digest_of_that_plate_only(
    trial: Path, changed: str, plate: str
) -> None:
    before = {i: f.extra_sha256 for i, f in load_plan(CONFIG, trial).plates.items()}
    (trial / changed).write_text("something else")
    after = {i: f.extra_sha256 for i, f in load_plan(CONFIG, trial).plates.items()}
    assert {i for i in before if before[i] != after[i]} == {plate}


def test_the_digest_of_limits_follows_the_content_of_their_data(trial: Path) -> None:
    before = load_plan(CONFIG, trial).limits["car"].sha256
    (trial / "limits/b.tsv").write_text("copies\n")
    entry = CONFIG["pcr"]["detection_limits"]["car"] | {"blanks": "limits/b.tsv"}
    config = CONFIG | {"pcr": {"detection_limits": {"car": entry}}}
    with_blanks = load_plan(config, trial).limits["car"]
    assert with_blanks.blanks == "limits/b.tsv"
    (trial / "limits/b.tsv").write_text("copies\n1\n")
    assert len({before, with_blanks.sha256, load_plan(config, trial).limits["car"].sha256}) == 3


def test_the_manifest_also_remembers_the_files_beside_a_plate(trial: Path) -> None:
    plan = load_plan(CONFIG, trial)
    written = write_manifest(plan, trial)
    entries = json.loads(written.read_text())
    assert plan.stats.keys() >= {"data/b.csv", "data/droplets/x_A01_Amplitude.csv", "maps/b.tsv"}
    assert len(entries) == len(plan.stats)
    written.write_text(json.dumps(dict.fromkeys(entries, "0" * 64)))
    again = load_plan(CONFIG, trial)
    assert set(manifest_of(again).values()) == {"0" * 64}
    assert again.plates["p2"].extra_sha256 != plan.plates["p2"].extra_sha256


FILES = SHEETS["files"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FILES.replace("mappings/dd.yaml", ""), "the assay file of this plate"),
        (FILES.replace("mappings/t.yaml", ""), "the mapping file of this table"),
        (FILES.replace("t.yaml\t\t", "t.yaml\tmaps/b.tsv\t"), "nothing; it belongs to the reader pcr_plate"),
        (FILES.replace("maps/b.tsv", "maps/c.tsv"), "no file 'maps/c.tsv'; allowed: an existing file"),
        (FILES.replace("maps/b.tsv", "../b.tsv"), "'../b.tsv', which leads out of the trial folder"),
        (FILES.replace("maps/b.tsv", "maps"), "'maps', which is no file"),
        (FILES.replace("maps/b.tsv", "maps/b_20210304.tsv"), "a calendar date in the file's name"),
        (FILES.replace("droplets", "dropletts"), "did you mean 'droplets'?"),
        (FILES.replace("droplets", "../maps"), "leads out of the data folder"),
        (FILES.replace("droplets", "a.csv"), "'a.csv', which is no folder"),
        (FILES.replace("mappings/q.yaml", "mappings/none.yaml"), "no file 'mappings/none.yaml'"),
        (FILES.replace("mappings/q.yaml", "../q.yaml"), "leads out of the trial folder"),
        (FILES.replace("mappings/q.yaml", "mappings/t.yaml"), "unknown key 'subject'"),
        (FILES.replace("maps/b.tsv", "m" * 900), "column 'plate_map': found a path that can't be read"),
    ],
)
def test_each_fault_of_a_plate_in_the_files_sheet_is_told(trial: Path, text: str, said: str) -> None:
    put(trial, "files", text)
    message = problems_of(trial)
    assert said in message
    assert "2021" not in message


def test_amplitudes_of_two_plates_in_one_folder_are_refused(trial: Path) -> None:
    (trial / "data/droplets/y_a1_Amplitude.csv").write_text("3")
    assert "two files for the well A01: 'x_A01_Amplitude.csv' and 'y_a1_Amplitude.csv'" in problems_of(trial)


def test_amplitude_files_must_name_a_well(trial: Path) -> None:
    (trial / "data/droplets/y_Amplitude.csv").write_text("3")
    assert "the file 'y_Amplitude.csv'" in problems_of(trial)


def test_a_folder_without_amplitudes_is_told(trial: Path) -> None:
    (trial / "data/droplets/x_A01_Amplitude.csv").unlink()
    (trial / "data/droplets/x_B01_Amplitude.csv").unlink()
    assert "the folder 'droplets' without them" in problems_of(trial)


def test_dates_in_the_names_of_amplitude_files_are_told_once(trial: Path) -> None:
    for well in ("C01", "D01"):
        (trial / f"data/droplets/20210304_{well}_Amplitude.csv").write_text(well)
    message = problems_of(trial)
    assert message.startswith("1 problem")
    assert "2021" not in message


def test_an_amplitude_file_that_links_out_of_the_data_folder_is_refused(trial: Path) -> None:
    (trial / "data/droplets/x_C01_Amplitude.csv").symlink_to(trial / "maps/b.tsv")
    assert "'droplets/x_C01_Amplitude.csv', which leads out of the data folder" in problems_of(trial)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"targets": {"CAR": {"curve": STORED | {"file": "curves/none.yaml"}}}},
            "mappings/q.yaml, column 'targets.CAR.curve.file': found no file 'curves/none.yaml'",
        ),
        (
            {"targets": {"CAR": {"curve": STORED | {"file": "../car.yaml"}}}},
            "leads out of the trial folder",
        ),
        (
            {"targets": {"CAR": {"curve": STORED | {"file": "curves/c\0.yaml"}}}},
            "a control character in a path",
        ),
        (
            {"targets": {"CAR": {"limits": {"estimated": "cars"}}}},
            "unknown 'cars'; allowed: a name in pcr.detection_limits: car (did you mean 'car'?)",
        ),
        (
            {"targets": {"BCMA-CAR": {"limits": {"estimated": "car"}}}},
            "'car', which pcr.detection_limits gives for 'CAR'; allowed: limits of the target 'BCMA-CAR'",
        ),
    ],
)
def test_what_an_assay_names_outside_itself_must_exist(
    trial: Path, changes: dict[str, Any], said: str
) -> None:
    put_assay(trial, "q", changes)
    assert said in problems_of(trial)


def test_names_that_stand_for_samples_need_the_samples_sheet(trial: Path) -> None:
    config = CONFIG | {"sheets": {}}
    assert problems_of(trial, config).count("names that stand for a sample_id, and no samples sheet") == 2
    for name in ASSAYS:
        put_assay(trial, name, {"samples": {"pattern": "(?P<subject>.*) D(?P<day>.*)", "matrix": "blood"}})
    assert load_plan(config, trial).extractions_digest


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (
            {"car": {"target": "CAR", "dilutions": "limits/x.tsv"}},
            "config.yaml, column 'pcr.detection_limits.car.dilutions': found no file 'limits/x.tsv'",
        ),
        (
            {"car": {"target": "CAR", "dilutions": "limits/d.tsv", "blanks": "../b.tsv"}},
            "column 'pcr.detection_limits.car.blanks'",
        ),
        (
            {"car": {"target": "CAR", "dilutions": "limits/d.tsv", "blanks": "./results/pcr/wells.parquet"}},
            "which the workflow makes out of these limits",
        ),
        ({"car/1": {"target": "CAR", "dilutions": "limits/d.tsv"}}, "it names files"),
    ],
)
def test_the_data_of_limits_must_be_in_the_trial_folder(
    trial: Path, limits: dict[str, Any], said: str
) -> None:
    assert said in problems_of(trial, CONFIG | {"pcr": {"detection_limits": limits}})


def test_faults_of_plates_come_together_with_all_others(trial: Path) -> None:
    put(trial, "extractions", HEADER + "S1\t-1\t\t\t\n")
    put(trial, "files", FILES.replace("maps/b.tsv", "maps/c.tsv").replace("droplets", "none"))
    put_assay(trial, "q", {"targets": {"CAR": {"curve": STORED | {"file": "none.yaml"}}}})
    assert problems_of(trial).startswith("4 problems")
