"""What a file of the inbox is: by the sheets, else by its name; what does not fit is told and stops nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cartrace import config as configuration
from cartrace.intake.inbox import STATE
from cartrace.intake.inbox_match import Stored
from cartrace.intake.plan import Plan, load_plan, manifest_of
from cartrace.intake.sheets import read_sheets
from cartrace.problems import InputError

PANEL: dict[str, Any] = {
    "markers": {"FSC-A": {"linear": True}, "CD3": None, "CAR": "PE-A"},
    "car_marker": "CAR",
    "thresholds": {"CD3": {"method": "valley"}, "CAR": {"method": ["fmo"]}},
    "gates": {
        "T": {"where": {"CD3": "above"}},
        "CAR+": {"parent": "T", "where": {"CAR": "above"}},
    },
    "populations": {"CAR T": {"gate": "CAR+", "analyte": "car_t_cells"}},
}
TABLE = {
    "subject": "patient",
    "matrix": "blood",
    "day": "day",
    "values": [{"column": "copies", "analyte": "transgene", "assay": "qpcr", "unit": "copies/ug"}],
}
SHEETS = {
    "subjects": "subject_id\nNMO-001\nNMO-002\n",
    "products": "product\tvector\nCT103A\tlentiviral\n",
    "infusions": "subject_id\tinfusion\tproduct\tday\nNMO-001\t1\tCT103A\t0\nNMO-002\t1\tCT103A\t0\n",
    "samples": "sample_id\tsubject_id\tmatrix\tvisit\tday\nA7\tNMO-001\tblood\tD7\t7\nA7c\tNMO-001\tcsf\tD7\t7\n"
    "B7\tNMO-002\tblood\tD7\t7\nB14\tNMO-002\tblood\tD14\t14\n",
    "files": "file_id\tpath\treader\tmapping\n",
    "tubes": "file_id\tkind\tsample_id\tmarker\tbatch\n",
}
TUBE_NAME = r"(?P<subject_id>[A-Z]+-\d+)_(?P<visit>D\d+)(_(?P<matrix>[a-z]+))?_(?P<batch>\w+)\.fcs"
FMO_NAME = r"(?P<kind>fmo)_(?P<marker>\w+)_(?P<batch>\w+)\.fcs"
PATTERNS = {
    "qpcr": [
        {"name": r"run_(?P<run>\d+)\.tsv", "reader": "laboratory_table", "mapping": "mappings/table.yaml"}
    ],
    "flow": [
        {"name": TUBE_NAME, "reader": "fcs_tube", "mapping": "mappings/panel.yaml"},
        {"name": FMO_NAME, "reader": "fcs_tube", "mapping": "mappings/panel.yaml"},
    ],
}


class Trial:
    """A trial folder whose store holds what was taken in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in SHEETS.items():
            self.put(f"sheets/{name}.tsv", text)
        self.put("mappings/table.yaml", yaml.safe_dump(TABLE))
        self.put("mappings/panel.yaml", yaml.safe_dump(PANEL, sort_keys=False))
        self.put("data/.keep", "")
        folders = {name: {"folder": f"left/{name}", "patterns": p} for name, p in PATTERNS.items()}
        self.config: dict[str, Any] = {
            "sheets": {"samples": "sheets/samples.tsv", "tubes": "sheets/tubes.tsv"},
            "inbox": {"folders": folders},
        }

    def put(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def came(self, *names: str) -> None:
        for name in names:
            self.put(f"data/inbox/{name}", f"content of {name}")

    def sheet(self, name: str, *rows: str) -> None:
        self.put(f"sheets/{name}.tsv", SHEETS[name] + "".join(f"{row}\n" for row in rows))

    def patterns(self, inbox: str, **changes: Any) -> None:
        self.config["inbox"]["folders"][inbox]["patterns"] = [PATTERNS[inbox][0] | changes]

    def plan(self) -> Plan:
        return load_plan(self.config, self.folder)

    def rows(self) -> dict[str, tuple[str, str, str]]:
        return {r.name: (r.status, r.matched_by, r.file_id) for r in self.plan().inbox.rows}

    def said(self, name: str) -> tuple[str, str, str]:
        row = next(r for r in self.plan().inbox.rows if r.name == name)
        return row.status, row.detail, row.hint


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def test_without_an_inbox_the_store_is_a_folder_like_others(trial: Trial) -> None:
    trial.came("qpcr/run_7.tsv")
    del trial.config["inbox"]
    trial.sheet("files", "x\tinbox/qpcr/run_7.tsv\tlaboratory_table\tmappings/table.yaml")
    plan = trial.plan()
    assert list(plan.files) == ["x"]
    assert (plan.inbox.rows, plan.inbox.digest) == ((), "")


def test_the_sheet_wins_over_patterns_and_may_name_what_none_fits(trial: Trial) -> None:
    trial.came("qpcr/run_7.tsv", "qpcr/odd.tsv", "qpcr/run_8.tsv")
    trial.sheet(
        "files",
        "seven\tinbox/qpcr/run_7.tsv\tlaboratory_table\tmappings/table.yaml",
        "odd\tinbox//qpcr/./odd.tsv\tlaboratory_table\tmappings/table.yaml",
    )
    assert trial.rows() == {
        "run_7.tsv": ("used", "sheet", "seven"),
        "odd.tsv": ("used", "sheet", "odd"),
        "run_8.tsv": ("used", "pattern", "run_8"),
    }
    assert list(trial.plan().files) == ["seven", "odd", "run_8"]


def test_a_row_whose_file_has_not_come_is_awaited_and_left_out(trial: Trial) -> None:
    trial.came("qpcr/run_8.tsv", "qpcr/plate_nine.tsv")
    trial.sheet("files", "nine\tinbox/qpcr/plate_9.tsv\tlaboratory_table\tmappings/table.yaml")
    plan = trial.plan()
    assert list(plan.files) == ["run_8"]
    assert trial.said("plate_9.tsv") == (
        "awaited",
        "a row of sheets/files.tsv names it (row 2), and it has not come",
        "",
    )
    assert trial.said("plate_nine.tsv")[2] == "plate_9.tsv is awaited"


def test_an_awaited_row_is_checked_like_others(trial: Trial) -> None:
    trial.sheet("files", "nine\tinbox/qpcr/plate_9.tsv\tlaboratory_tabel\tmappings/table.yaml")
    with pytest.raises(InputError, match="did you mean 'laboratory_table'"):
        trial.plan()
    trial.sheet("files", "nine\tinbox/qcpr/plate_9.tsv\tlaboratory_table\tmappings/table.yaml")
    with pytest.raises(InputError, match=r"no file 'inbox/qcpr/plate_9\.tsv'"):
        trial.plan()


def test_a_name_that_two_patterns_fit_is_not_matched(trial: Trial) -> None:
    trial.config["inbox"]["folders"]["qpcr"]["patterns"].append(PATTERNS["qpcr"][0] | {"name": r"run_.*"})
    trial.came("qpcr/run_7.tsv")
    status, detail, hint = trial.said("run_7.tsv")
    assert (status, detail) == ("unmatched", "2 patterns fit its name")
    assert hint == r"'run_(?P<run>\d+)\.tsv', 'run_.*'"
    del trial.config["inbox"]["folders"]["qpcr"]["patterns"][1]
    assert trial.rows() == {"run_7.tsv": ("used", "pattern", "run_7")}


def test_ids_come_from_the_group_the_stem_or_the_path_and_no_file_renames_another(trial: Trial) -> None:
    trial.patterns("qpcr", name=r".*\.(tsv|csv)")
    trial.came("qpcr/a/plate.tsv", "qpcr/free.tsv", "qpcr/-odd name.tsv", "qpcr/taken.tsv")
    trial.put("data/t.tsv", "t")
    trial.sheet("files", "TAKEN\tt.tsv\tlaboratory_table\tmappings/table.yaml")
    first = trial.rows()
    assert (first["a/plate.tsv"][2], first["free.tsv"][2]) == ("plate", "free")
    assert first["-odd name.tsv"][2].startswith("qpcr_")
    assert first["taken.tsv"][2].startswith("qpcr_")
    trial.came("qpcr/b/plate.csv")
    both = {name: row[2] for name, row in trial.rows().items() if "plate" in name}
    assert all(file_id.startswith("qpcr_") for file_id in both.values())
    assert len(set(both.values())) == 2
    trial.patterns("qpcr", name=r"(?P<file_id>.*)\.tsv")
    assert trial.rows()["free.tsv"][2] == "free"


def test_names_that_tell_one_id_are_withheld_and_stop_nothing(trial: Trial) -> None:
    trial.patterns("qpcr", name=r"(?P<file_id>\w+)-v\d\.tsv")
    trial.came("qpcr/a-v1.tsv", "qpcr/a-v2.tsv", "qpcr/b-v1.tsv", "qpcr/c-v1.tsv")
    trial.put("data/c.tsv", "c")
    trial.sheet("files", "c\tc.tsv\tlaboratory_table\tmappings/table.yaml")
    assert set(trial.plan().files) == {"b", "c"}
    assert trial.said("a-v1.tsv")[:2] == (
        "withheld",
        "found the id 'a', which the names of 2 files tell; allowed: each id once",
    )
    assert "a row of the files sheet gives" in trial.said("c-v1.tsv")[1]


def test_groups_fill_subjects_which_have_to_be_known(trial: Trial) -> None:
    name = r"(?P<who>[A-Z]+-\d+)_run_(?P<run>\d+)\.tsv"
    trial.patterns("qpcr", name=name, subjects="{who}")
    trial.came("qpcr/NMO-001_run_1.tsv", "qpcr/NMO-009_run_2.tsv")
    assert trial.said("NMO-001_run_1.tsv")[0] == "used"
    status, detail, hint = trial.said("NMO-009_run_2.tsv")
    assert (status, detail) == ("unmatched", "its name tells the unknown subject 'NMO-009'")
    assert hint.endswith("as sheets/subjects.tsv writes it")


@pytest.mark.parametrize("group", ["sample_id", "subject_id"])
def test_an_unknown_sample_or_subject_in_a_name_is_told_with_the_nearest(trial: Trial, group: str) -> None:
    trial.patterns("qpcr", name=rf"(?P<{group}>.+)\.tsv")
    trial.came("qpcr/nmo1.tsv", "qpcr/a07.tsv")
    name, near = {"sample_id": ("a07.tsv", "A7"), "subject_id": ("nmo1.tsv", "NMO-001")}[group]
    status, _, hint = trial.said(name)
    assert status == "unmatched"
    if group == "sample_id":
        assert hint == f"{near}, as sheets/samples.tsv writes it"


def test_a_tube_finds_its_sample_by_subject_visit_and_matrix(trial: Trial) -> None:
    trial.came("flow/NMO-002_D14_B1.fcs", "flow/NMO-001_d7_blood_B1.fcs", "flow/fmo_CAR_B1.fcs")
    trial.patterns("flow")
    trial.config["inbox"]["folders"]["flow"]["patterns"] = [
        PATTERNS["flow"][0] | {"name": TUBE_NAME.replace("D\\d+", "[Dd]\\d+")},
        PATTERNS["flow"][1],
    ]
    plan = trial.plan()
    assert {r.status for r in plan.inbox.rows} == {"used"}
    assert [json.loads(text) for text in plan.inbox.tubes] == [
        ["NMO-001_d7_blood_B1", "sample", "A7", None, "B1"],
        ["NMO-002_D14_B1", "sample", "B14", None, "B1"],
        ["fmo_CAR_B1", "fmo", None, "CAR", "B1"],
    ]
    assert plan.tubes["NMO-002_D14_B1"].controls == ("fmo_CAR_B1",)
    assert plan.tubes["fmo_CAR_B1"].path == "data/inbox/flow/fmo_CAR_B1.fcs"


@pytest.mark.parametrize(
    ("name", "detail", "hint"),
    [
        ("NMO-001_D7_B1.fcs", "2 samples of 'NMO-001' at the visit 'D7'", "one of A7, A7c"),
        ("NMO-001_D17_B1.fcs", "no sample of 'NMO-001' at the visit 'D17'", "the visit D7"),
        ("NMO-001_D7_serum_B1.fcs", "no sample of 'serum' of 'NMO-001' at the visit 'D7'", "the visit D7"),
        ("NMO-01_D7_B1.fcs", "its name tells the unknown subject 'NMO-01'", "NMO-001, as"),
    ],
)
def test_a_tube_whose_sample_is_not_clear_is_told(trial: Trial, name: str, detail: str, hint: str) -> None:
    trial.came(f"flow/{name}", "flow/fmo_CAR_B1.fcs")
    status, said, near = trial.said(name)
    assert (status, said) == ("unmatched", detail)
    assert near.startswith(hint)


def test_a_control_needs_no_sample_that_is_clear(trial: Trial) -> None:
    name = r"(?P<subject_id>[A-Z]+-\d+)_(?P<visit>D\d+)_(?P<kind>fmo)_(?P<marker>\w+)_(?P<batch>\w+)\.fcs"
    trial.patterns("flow", name=name)
    trial.came("flow/NMO-001_D7_fmo_CAR_B1.fcs", "flow/NMO-002_D7_fmo_CAR_B2.fcs")
    assert [json.loads(text)[2] for text in trial.plan().inbox.tubes] == [None, "B7"]


def test_a_row_of_the_tubes_sheet_tells_more_than_the_name(trial: Trial) -> None:
    trial.came("flow/NMO-001_D7_B1.fcs", "flow/fmo_CAR_B1.fcs")
    trial.sheet("tubes", "NMO-001_D7_B1\tsample\tA7c\t\tB1", "late\tsample\tB7\t\tB1")
    plan = trial.plan()
    assert len(plan.inbox.tubes) == 1
    assert set(plan.tubes) == {"NMO-001_D7_B1", "fmo_CAR_B1"}
    awaited = next(r for r in plan.inbox.rows if r.status == "awaited")
    assert (awaited.inbox, awaited.name, awaited.file_id) == ("flow", "", "late")


def test_a_tube_without_its_control_is_withheld_until_the_control_comes(trial: Trial) -> None:
    trial.came("flow/NMO-002_D14_B1.fcs", "flow/NMO-002_D7_B2.fcs", "flow/fmo_CAR_B2.fcs")
    plan = trial.plan()
    assert set(plan.tubes) == {"NMO-002_D7_B2", "fmo_CAR_B2"}
    status, detail, _ = trial.said("NMO-002_D14_B1.fcs")
    assert status == "withheld"
    assert "no control for the threshold 'CAR'" in detail
    assert "data/inbox/flow/NMO-002_D14_B1.fcs" not in plan.stats  # no number rests on it
    assert len(manifest_of(plan)) == len(plan.stats) + 1
    trial.came("flow/fmo_CAR_B1.fcs")
    assert len(trial.plan().tubes) == 4


def test_a_listed_tube_waits_for_a_control_that_the_sheets_await(trial: Trial) -> None:
    trial.put("data/a7.fcs", "a7")
    trial.sheet(
        "files",
        "a7\ta7.fcs\tfcs_tube\tmappings/panel.yaml",
        "f\tinbox/flow/control.fcs\tfcs_tube\tmappings/panel.yaml",
    )
    trial.sheet("tubes", "a7\tsample\tA7\t\tB1", "f\tfmo\t\tCAR\tB1")
    plan = trial.plan()
    assert plan.tubes == {}
    assert {(r.inbox, r.name, r.status) for r in plan.inbox.rows} == {
        ("", "data/a7.fcs", "withheld"),
        ("flow", "control.fcs", "awaited"),
    }
    trial.came("flow/control.fcs")
    assert set(trial.plan().tubes) == {"a7", "f"}
    # Without a control in any sheet it is a fault of the sheets, as ever.
    trial.sheet("files", "a7\ta7.fcs\tfcs_tube\tmappings/panel.yaml")
    trial.sheet("tubes", "a7\tsample\tA7\t\tB1")
    with pytest.raises(InputError, match="no control for the threshold 'CAR'"):
        trial.plan()


def test_a_marker_that_the_panel_lacks_and_an_unlike_batch_are_told(trial: Trial) -> None:
    trial.came("flow/fmo_CD99_B1.fcs", "flow/fmo_CAR_B1.fcs", "flow/fmo_CD3_b1.fcs")
    assert "unknown 'CD99'" in trial.said("fmo_CD99_B1.fcs")[1]
    assert trial.said("fmo_CD99_B1.fcs")[0] == "withheld"
    trial.sheet("tubes", "fmo_CAR_B1\tfmo\t\tCAR\tB1")
    assert trial.said("fmo_CD3_b1.fcs") == (
        "unmatched",
        "its name tells the batch 'b1'",
        "B1: one spelling of a name",
    )


def test_a_group_names_the_plate_map_and_a_plate_without_it_is_withheld(trial: Trial) -> None:
    values = {
        "name": "run_(?P<run>[0-9]+)[.]csv",
        "reader": "immunoassay_plate",
        "mapping": "mappings/elisa.yaml",
    }
    trial.patterns("qpcr", **values, plate_map="maps/{run}.csv")
    example = Path(__file__).parents[3] / "examples/immunoassay_plates/mappings/sbcma_elisa.yaml"
    trial.put("mappings/elisa.yaml", example.read_text())
    trial.came("qpcr/run_1.csv", "qpcr/run_2.csv")
    trial.put("maps/1.csv", "map")
    plan = trial.plan()
    assert plan.immunoassays["run_1"].plate_map == "maps/1.csv"
    assert "run_2" not in plan.files
    assert trial.said("run_2.csv")[:2] == (
        "withheld",
        "found no file 'maps/2.csv'; allowed: an existing file in the trial folder",
    )


def test_where_files_are_left_is_no_setting_of_a_result(trial: Trial) -> None:
    plan = trial.plan()
    assert "inbox" not in json.loads(plan.settings())
    assert json.loads(plan.settings("inbox"))["inbox"]["folders"]["qpcr"]["folder"] == "left/qpcr"


def test_a_fault_of_a_pattern_s_mapping_is_an_error_before_any_file_comes(trial: Trial) -> None:
    trial.patterns("qpcr", mapping="mappings/none.yaml")
    with pytest.raises(InputError, match=r"inbox\.folders\.qpcr\.patterns\.0\.mapping.*none\.yaml"):
        trial.plan()
    trial.patterns("qpcr", mapping="mappings/panel.yaml")
    with pytest.raises(InputError, match=r"mappings/panel\.yaml"):
        trial.plan()


def test_two_listed_files_of_one_content_stop_nothing(trial: Trial) -> None:
    trial.put("data/old.tsv", "same")
    trial.put("data/inbox/qpcr/odd.tsv", "same")
    trial.sheet(
        "files",
        "odd\tinbox/qpcr/odd.tsv\tlaboratory_table\tmappings/table.yaml",
        "old\told.tsv\tlaboratory_table\tmappings/table.yaml",
    )
    assert list(trial.plan().files) == ["old"]
    assert trial.said("odd.tsv")[0] == "same_content"


LIBRARIES = "library_id\tsample_id\tchemistry\tcounts\tbam\n"


@pytest.fixture
def cells(trial: Trial) -> Trial:
    trial.config["inbox"]["folders"] = {"10x": {"folder": "left/10x"}}
    trial.config["sheets"] |= {
        "libraries": "sheets/libraries.tsv",
        "integration_sites": "sheets/integration_sites.tsv",
    }
    trial.put(
        "sheets/libraries.tsv",
        LIBRARIES
        + "l1\tA7\t5p\tinbox/10x/l1\t\nl2\tB7\t5p\tinbox/10x/l2.h5\tinbox/10x/l2.bam\nl3\tB14\t5p\tl3.h5\t\n",
    )
    trial.put(
        "sheets/integration_sites.tsv",
        "site_set_id\tsample_id\tpath\tspecimen\ns1\tA7\tinbox/10x/sites.csv\tX1\n"
        "s2\tB7\tinbox/10x/sites.csv\tX2\n",
    )
    trial.put("data/l3.h5", "cells of l3")
    return trial


def test_libraries_and_sites_whose_files_have_not_come_are_left_out(cells: Trial) -> None:
    plan = cells.plan()
    assert list(plan.libraries) == ["l3"]
    assert plan.repertoire.sites == {}
    assert {(r.name, r.status, r.file_id) for r in plan.inbox.rows} == {
        ("l1", "awaited", "l1"),
        ("l2.h5", "awaited", "l2"),
        ("l2.bam", "awaited", "l2"),
        ("sites.csv", "awaited", "s1"),
        ("sites.csv", "awaited", "s2"),
    }


def test_a_library_comes_with_all_its_files_and_a_folder_once_nothing_of_it_waits(cells: Trial) -> None:
    cells.came("10x/l2.h5", "10x/l1/matrix.mtx.gz", "10x/l1/barcodes.tsv.gz", "10x/sites.csv")
    waiting = {
        "inbox": "10x",
        "name": "l1/features.tsv.gz",
        "key": "",
        "status": "waiting",
        "detail": "",
        "hint": "",
    }
    cells.put(STATE, json.dumps({"standing": [waiting], "hashes": {}}))
    assert list(cells.plan().libraries) == ["l3"]
    cells.put(STATE, json.dumps({"standing": [], "hashes": {}}))
    cells.came("10x/l1/features.tsv.gz", "10x/l2.bam", "10x/l2.bam.bai")
    plan = cells.plan()
    assert set(plan.libraries) == {"l1", "l2", "l3"}
    assert plan.libraries["l2"].bam_index == "data/inbox/10x/l2.bam.bai"
    assert set(plan.repertoire.sites) == {"s1", "s2"}
    assert {r.name: (r.status, r.matched_by, r.file_id) for r in plan.inbox.rows} == {
        "l1/barcodes.tsv.gz": ("used", "sheet", "l1"),
        "l1/features.tsv.gz": ("used", "sheet", "l1"),
        "l1/matrix.mtx.gz": ("used", "sheet", "l1"),
        "l2.bam": ("used", "sheet", "l2"),
        "l2.bam.bai": ("used", "sheet", ""),
        "l2.h5": ("used", "sheet", "l2"),
        "sites.csv": ("used", "sheet", "s1, s2"),
    }


def test_a_library_with_the_content_of_another_is_withheld(cells: Trial) -> None:
    cells.put("data/inbox/10x/l2.h5", "cells of l3")
    cells.came("10x/l2.bam")
    plan = cells.plan()
    assert list(plan.libraries) == ["l3"]
    assert {r.name: r.status for r in plan.inbox.rows if r.file_id == "l2"} == {
        "l2.h5": "withheld",
        "l2.bam": "withheld",
    }
    assert cells.said("l2.h5")[1].startswith("found the same content as 'l3'")


NAMES = st.sampled_from(
    ["run_1.tsv", "run_2.tsv", "x/run_3.tsv", "RUN_1.tsv", "stray", "plate.tsv", "b/plate.tsv", "run_9.csv"]
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(NAMES, unique=True), random=st.randoms(use_true_random=False))
def test_the_order_of_names_does_not_count(trial: Trial, names: list[str], random: Any) -> None:
    trial.patterns("qpcr", name=r".*/?(run_\d|plate)\.tsv")
    config = configuration.load(trial.config)

    def matched(order: list[str]) -> Any:
        sheets, problems = read_sheets(trial.folder, config, inbox=Stored({"qpcr": order, "flow": []}))
        assert problems == []
        assert sheets.inbox is not None
        return sheets.inbox.plan([], lambda place: place[1]).rows, {f.file_id: f.path for f in sheets.files}

    shuffled = names.copy()
    random.shuffle(shuffled)
    rows, files = matched(sorted(names))
    assert matched(shuffled) == (rows, files)
    assert len(rows) == len(names)
    assert len(files) == sum(row.status == "used" for row in rows)
