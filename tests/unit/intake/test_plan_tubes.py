"""What a flow tube needs of a trial folder is found and checked before the first job runs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cartrace.intake.plan import FilePlan, load_plan, manifest_of
from cartrace.problems import InputError

PANEL: dict[str, Any] = {
    "markers": {"FSC-A": {"linear": True}, "CD3": None, "CD38": None, "CAR": "PE-A"},
    "car_marker": "CAR",
    "thresholds": {"CD3": {"method": "valley"}, "CAR": {"method": ["fmo", "pre_infusion"]}},
    "gates": {
        "T": {"where": {"CD3": "above"}},
        "CAR+": {"parent": "T", "where": {"CAR": "above"}},
        "beads": {"kind": "rectangle", "bounds": {"FSC-A": [0, 10]}},
    },
    "populations": {"CAR T": {"gate": "CAR+", "analyte": "car_t_cells"}},
    "beads": {"gate": "beads"},
}
DRAWN = {
    "markers": {"CD19": None},
    "drawn": {"gating_ml": "gates/b.xml"},
    "compensation": {"source": "csv", "file": "gates/b.csv"},
    "populations": {"B": {"gate": "B", "analyte": "b_cells"}},
}
FILES = {
    "a0": "t",  # before the infusion
    "a7": "t",
    "b7": "t",
    "fcar": "t",
    "fcd38": "t",
    "icar": "t",
    "none": "t",
    "c7": "t",  # batch B2
    "c0": "t",
    "fc": "t",
    "d7": "b",  # the other panel, batch B1
    "fd": "b",
}
TUBES = {
    "a0": ("sample", "A0", "", "B1"),
    "a7": ("sample", "A7", "", "B1"),
    "b7": ("sample", "B7", "", "B1"),
    "fcar": ("fmo", "", "CAR", "B1"),
    "fcd38": ("fmo", "A7", "CD38", "B1"),
    "icar": ("isotype", "", "CAR", "B1"),
    "none": ("unstained", "", "", "B1"),
    "c7": ("sample", "A7", "", "B2"),
    "c0": ("sample", "B0", "", "B2"),
    "fc": ("fmo", "", "CAR", "B2"),
    "d7": ("sample", "A7", "", "B1"),
    "fd": ("fmo", "", "CD19", "B1"),
}
SHEETS = {
    "subjects": "subject_id\n1003\n1004\n",
    "products": "product\tvector\nCT103A\tlentiviral\n",
    "infusions": "subject_id\tinfusion\tproduct\tday\n1003\t1\tCT103A\t0\n1003\t2\tCT103A\t90\n1004\t1\tCT103A\t0\n",
    "samples": "sample_id\tsubject_id\tmatrix\tvisit\tday\nA0\t1003\tblood\t\t-5\nA7\t1003\tblood\t\t7\n"
    "B0\t1004\tblood\tbaseline\t0\nB7\t1004\tblood\t\t7\n",
    "gate_review": f"file_id\tverdict\tgates_sha256\na7\taccepted\t{'ab' * 32}\n",
}
HEADER = "file_id\tkind\tsample_id\tmarker\tbatch"
CONFIG: dict[str, Any] = {
    "sheets": {name: f"sheets/{name}.tsv" for name in ("samples", "tubes", "gate_review")}
}


def tubes_text(rows: dict[str, tuple[str, ...]] = TUBES) -> str:
    return HEADER + "\n" + "".join("\t".join((name, *cells)) + "\n" for name, cells in rows.items())


def put(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def put_files(folder: Path, files: dict[str, str]) -> None:
    rows = "".join(f"{i}\t{i}.fcs\tfcs_tube\tmappings/{panel}.yaml\n" for i, panel in files.items())
    put(folder, "sheets/files.tsv", "file_id\tpath\treader\tmapping\n" + rows)
    for name in files:
        put(folder, f"data/{name}.fcs", f"events of {name}")


def put_panel(folder: Path, name: str, panel: dict[str, Any]) -> None:
    put(folder, f"mappings/{name}.yaml", yaml.safe_dump(panel, sort_keys=False))


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    for name, text in SHEETS.items():
        put(tmp_path, f"sheets/{name}.tsv", text)
    put_files(tmp_path, FILES)
    put(tmp_path, "sheets/tubes.tsv", tubes_text())
    put_panel(tmp_path, "t", PANEL)
    put_panel(tmp_path, "b", DRAWN)
    put(tmp_path, "gates/b.xml", "<gates/>")
    put(tmp_path, "gates/b.csv", "CD19\n1\n")
    return tmp_path


def problems_of(folder: Path, config: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_plan(CONFIG if config is None else config, folder)
    return [str(problem) for problem in caught.value.problems]


def plans_of(folder: Path) -> dict[str, FilePlan]:
    return load_plan(CONFIG, folder).tubes


def add_tube(folder: Path, name: str, cells: tuple[str, ...], panel: str = "t") -> None:
    put_files(folder, FILES | {name: panel})
    put(folder, "sheets/tubes.tsv", tubes_text(TUBES | {name: cells}))


def changed(before: dict[str, FilePlan], after: dict[str, FilePlan]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_tubes_have_the_controls_of_their_batch_and_panel(trial: Path) -> None:
    plans = plans_of(trial)
    assert {name: plan.controls for name, plan in plans.items()} == {
        "a0": ("fcar", "fcd38", "icar"),
        "a7": ("fcar", "fcd38", "icar", "a0"),
        "b7": ("fcar", "fcd38", "icar", "a0"),
        "fcar": (),
        "fcd38": (),
        "icar": (),
        "none": (),
        "c7": ("fc", "c0"),
        "c0": ("fc",),
        "d7": ("fd",),
        "fc": (),
        "fd": (),
    }
    assert list(plans) == list(FILES)


def test_the_tube_tells_gating_what_it_is_and_no_more(trial: Path) -> None:
    rows = tubes_text(TUBES | {"a7": (*TUBES["a7"], "CD38: daratumumab; CAR: prior product", "2")})
    put(trial, "sheets/tubes.tsv", rows.replace(HEADER, HEADER + "\tunreadable\tdata_set"))
    plans = plans_of(trial)
    assert json.loads(plans["a7"].tube) == {
        "kind": "sample",
        "marker": "",
        "data_set": 2,
        "unreadable": [["CAR", "prior product"], ["CD38", "daratumumab"]],
        "controls": [
            {"file_id": "fcar", "kind": "fmo", "marker": "CAR", "data_set": None},
            {"file_id": "fcd38", "kind": "fmo", "marker": "CD38", "data_set": None},
            {"file_id": "icar", "kind": "isotype", "marker": "CAR", "data_set": None},
            {"file_id": "a0", "kind": "pre_infusion", "marker": "", "data_set": None},
        ],
    }
    assert json.loads(plans["fcar"].tube) == {
        "kind": "fmo",
        "marker": "CAR",
        "data_set": None,
        "unreadable": [],
        "controls": [],
    }


def test_drawn_gates_and_their_matrix_are_in_the_plan(trial: Path) -> None:
    plans = plans_of(trial)
    assert (plans["d7"].gate_file, plans["d7"].compensation) == ("gates/b.xml", "gates/b.csv")
    assert (plans["a7"].gate_file, plans["a7"].compensation) == ("", "")
    put_panel(trial, "b", DRAWN | {"drawn": {"flowjo": "gates/b.wsp"}, "compensation": {"source": "gates"}})
    put(trial, "gates/b.wsp", "<Workspace/>")
    drawn = plans_of(trial)["d7"]
    assert (drawn.gate_file, drawn.compensation) == ("gates/b.wsp", "")


# ---- which pre-infusion tube


@pytest.mark.parametrize(
    ("early", "expected"),
    [
        ({"own": ("A0", "B1"), "other": ("B0", "B1"), "away": ("A0", "B2")}, ("own",)),
        ({"other": ("B0", "B1"), "away": ("A0", "B2")}, ("other",)),
        ({"away": ("A0", "B2"), "stranger": ("B0", "B2")}, ("away",)),
        ({"away": ("A0", ""), "stranger": ("B0", "B2")}, ("away",)),
        ({"stranger": ("B0", "B2")}, ()),
        ({"own2": ("A0", "B1"), "own1": ("A0", "B1")}, ("own1", "own2")),
    ],
)
def test_the_nearest_pre_infusion_tubes_count(
    trial: Path, early: dict[str, tuple[str, str]], expected: tuple[str, ...]
) -> None:
    rows = {"a7": TUBES["a7"], "f": ("fmo", "", "CAR", "B1"), "f2": ("fmo", "", "CAR", "B2")}
    rows |= {name: ("sample", sample, "", batch) for name, (sample, batch) in early.items()}
    put_panel(trial, "t", PANEL | {"thresholds": {"CD3": {}, "CAR": {"method": ["fmo", "valley"]}}})
    put_files(trial, dict.fromkeys(rows, "t"))
    put(trial, "sheets/tubes.tsv", tubes_text(rows))
    assert plans_of(trial)["a7"].controls == ("f", *expected)


@pytest.mark.parametrize(
    ("early", "late", "is_control"),
    [("blood", "blood", True), ("pbmc", "blood", True), ("blood", "csf", False), ("blood", "marrow", False)],
)
def test_a_pre_infusion_tube_is_a_control_in_its_own_compartment_only(
    trial: Path, early: str, late: str, is_control: bool
) -> None:
    text = SHEETS["samples"].replace("A0\t1003\tblood", f"A0\t1003\t{early}")
    put(trial, "sheets/samples.tsv", text.replace("A7\t1003\tblood", f"A7\t1003\t{late}"))
    assert ("a0" in plans_of(trial)["a7"].controls) is is_control


@pytest.mark.parametrize(
    ("visit", "day", "is_control"),
    [
        ("", "-1", True),
        ("", "0", True),
        ("pre infusion", "0", True),
        ("Day 0 post", "0", False),
        ("post", "-1", True),
        ("", "0.1", False),
        ("", "85", False),  # before the second infusion only
    ],
)
def test_before_the_infusion_means_the_first_one_and_on_day_0_the_visit_decides(
    trial: Path, visit: str, day: str, is_control: bool
) -> None:
    put(
        trial,
        "sheets/samples.tsv",
        SHEETS["samples"].replace("A0\t1003\tblood\t\t-5", f"A0\t1003\tblood\t{visit}\t{day}"),
    )
    plans = plans_of(trial)
    assert ("a0" in plans["a7"].controls) is is_control
    assert ("a0" in plans["b7"].controls) is is_control
    assert "a0" not in plans["a0"].controls


def test_the_pattern_of_visits_is_that_of_the_configuration(trial: Path) -> None:
    put(
        trial,
        "sheets/samples.tsv",
        SHEETS["samples"].replace("\t-5", "\t0").replace("blood\t\t0", "blood\thour 2\t0"),
    )
    assert "a0" in plans_of(trial)["a7"].controls
    config = CONFIG | {"kinetics": {"post_infusion_visits": "hour"}}
    assert "a0" not in load_plan(config, trial).tubes["a7"].controls


def test_a_visit_pattern_that_is_no_regular_expression_is_told(trial: Path) -> None:
    (problem,) = problems_of(trial, CONFIG | {"kinetics": {"post_infusion_visits": "(post"}})
    assert problem.startswith(
        "config.yaml, column 'kinetics.post_infusion_visits': found '(post'; allowed: a regular"
    )


def test_tubes_without_a_batch_share_no_control_but_their_subject(trial: Path) -> None:
    rows = TUBES | {"a0": ("sample", "A0", "", ""), "a7": ("sample", "A7", "", "")}
    put_panel(trial, "t", PANEL | {"thresholds": {"CD3": {}, "CAR": {}}})
    put(trial, "sheets/tubes.tsv", tubes_text(rows))
    plans = plans_of(trial)
    assert plans["a7"].controls == ("a0",)
    assert plans["a0"].controls == ()


# ---- growth: nothing reruns that need not


@pytest.mark.parametrize(
    ("cells", "panel", "also"),
    [
        (("sample", "B7", "", "B1"), "t", set()),
        (("sample", "B7", "", "B9"), "b", set()),
        (("unstained", "", "", "B1"), "t", set()),
        (("fmo", "", "CAR", "B9"), "t", set()),
        (("fmo", "", "CD38", "B2"), "t", {"c7", "c0"}),
        (("isotype", "", "CD38", "B1"), "t", {"a0", "a7", "b7"}),
        (("sample", "B0", "", "B1"), "t", {"b7"}),
    ],
)
def test_a_new_tube_changes_only_the_tubes_that_it_is_a_control_of(
    trial: Path, cells: tuple[str, ...], panel: str, also: set[str]
) -> None:
    before = load_plan(CONFIG, trial)
    add_tube(trial, "x", cells, panel)
    after = load_plan(CONFIG, trial)
    assert changed(before.tubes, after.tubes) == {"x"} | also
    assert after.tubes_digest != before.tubes_digest
    assert after.sheets_digest == before.sheets_digest


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("data/fcar.fcs", {"a0", "a7", "b7"}),
        ("data/a0.fcs", {"a7", "b7"}),
        ("data/b7.fcs", set()),
        ("gates/b.xml", {"d7", "fd"}),
        ("gates/b.csv", {"d7", "fd"}),
    ],
)
def test_the_content_of_what_lies_beside_a_tube_counts(trial: Path, name: str, which: set[str]) -> None:
    before = plans_of(trial)
    put(trial, name, "something else")
    after = plans_of(trial)
    assert {i for i in before if before[i].extra_sha256 != after[i].extra_sha256} == which
    assert before["none"].extra_sha256 == ""


def test_order_and_spaces_of_rows_and_columns_change_nothing(trial: Path) -> None:
    before = load_plan(CONFIG, trial)
    rows = [
        f"{batch} \t{marker}\t{name}\t{kind}\t{sample}"
        for name, (kind, sample, marker, batch) in TUBES.items()
    ]
    put(trial, "sheets/tubes.tsv", "\n".join(["batch\tmarker\tfile_id\tkind\tsample_id", *reversed(rows)]))
    after = load_plan(CONFIG, trial)
    assert after.tubes == before.tubes
    assert after.tubes_digest == before.tubes_digest
    put_files(trial, dict(reversed(FILES.items())))
    assert plans_of(trial) == before.tubes


@pytest.mark.parametrize(
    ("column", "text"),
    [("lymphocytes_per_ul", "1200"), ("dilution", "5")],
)
def test_numbers_for_counting_change_the_join_and_no_tube(trial: Path, column: str, text: str) -> None:
    before = load_plan(CONFIG, trial)
    lines = tubes_text().splitlines()
    put(
        trial,
        "sheets/tubes.tsv",
        "\n".join([f"{lines[0]}\t{column}", *(f"{row}\t{text}" for row in lines[1:])]),
    )
    after = load_plan(CONFIG, trial)
    assert after.tubes == before.tubes
    assert after.tubes_digest != before.tubes_digest


def test_a_review_changes_the_join_and_no_tube(trial: Path) -> None:
    before = load_plan(CONFIG, trial)
    put(trial, "sheets/gate_review.tsv", SHEETS["gate_review"].replace("accepted", "rejected"))
    after = load_plan(CONFIG, trial)
    assert after.tubes == before.tubes
    assert after.tubes_digest != before.tubes_digest


def test_unreadable_markers_change_their_own_tube_only(trial: Path) -> None:
    before = plans_of(trial)
    lines = tubes_text().splitlines()
    lines = [
        lines[0] + "\tunreadable",
        *(row + ("\tCD38: drug" if row.startswith("fcd38") else "\t") for row in lines[1:]),
    ]
    put(trial, "sheets/tubes.tsv", "\n".join(lines))
    assert changed(before, plans_of(trial)) == {"fcd38"}


def test_a_new_file_of_another_kind_changes_no_tube(trial: Path) -> None:
    before = plans_of(trial)
    table = {
        "subject": "patient",
        "matrix": "blood",
        "day": "day",
        "values": [{"column": "copies", "analyte": "transgene", "assay": "qpcr", "unit": "copies/ug"}],
    }
    put_panel(trial, "table", table)
    put(trial, "data/t.tsv", "patient\n")
    files = (trial / "sheets/files.tsv").read_text() + "t\tt.tsv\tlaboratory_table\tmappings/table.yaml\n"
    put(trial, "sheets/files.tsv", files)
    plan = load_plan(CONFIG, trial)
    assert plan.tubes == before
    assert list(plan.tables) == ["t"]
    assert {"tubes", "gate_review"}.isdisjoint(plan.sheet_paths)


def test_a_manifest_remembers_gates_and_matrix(trial: Path) -> None:
    plan = load_plan(CONFIG, trial)
    assert plan.stats.keys() >= {"gates/b.xml", "gates/b.csv", "data/a7.fcs"}
    assert len(manifest_of(plan)) == len(plan.stats)


def test_each_panel_is_read_once(trial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cartrace.intake import plan

    read: list[str] = []

    def counted(path: Path, file: str) -> Any:
        read.append(file)
        return original(path, file)

    original = plan.read_panel
    monkeypatch.setattr(plan, "read_panel", counted)
    files = (trial / "sheets/files.tsv").read_text().replace("b7.fcs\tfcs_tube\t", "b7.fcs\tfcs_tube\t./")
    put(trial, "sheets/files.tsv", files)
    before = plans_of(trial)
    assert read == ["mappings/t.yaml", "mappings/b.yaml"]
    assert before["b7"].controls == ("fcar", "fcd38", "icar", "a0")


# ---- faults


@pytest.mark.parametrize("sheet", ["tubes", "samples"])
def test_flow_tubes_need_their_sheets(trial: Path, sheet: str) -> None:
    config = {"sheets": {name: path for name, path in CONFIG["sheets"].items() if name != sheet}}
    assert [p for p in problems_of(trial, config) if f"no {sheet} sheet" in p] == [
        f"sheets/files.tsv, row 2, column 'reader': found fcs_tube, and no {sheet} sheet; allowed: "
        f"sheets.{sheet} in the configuration: it tells "
        + {"tubes": "what each FCS file is", "samples": "from whom and when a sample is"}[sheet]
    ]


def test_flow_tubes_need_subjects_that_the_sheets_name(trial: Path) -> None:
    null = dict.fromkeys(("subjects", "infusions", "products"))
    config = {"sheets": CONFIG["sheets"] | null, "single_infusion": {"product": "CT103A"}}
    told = problems_of(trial, config)
    assert [p.split("found ")[1].split(";")[0] for p in told] == [
        "fcs_tube, and no subjects sheet",
        "fcs_tube, and no infusions sheet",
    ]


def test_a_sheet_that_is_missing_is_told_alone(trial: Path) -> None:
    (trial / "sheets/tubes.tsv").unlink()
    assert problems_of(trial) == [
        "sheets/tubes.tsv: found no such file; allowed: the tubes sheet (sheets.tubes in the configuration)"
    ]


def test_files_and_tubes_name_each_other(trial: Path) -> None:
    rows = {("A7" if name == "a7" else name): cells for name, cells in TUBES.items() if name != "none"}
    put(trial, "sheets/tubes.tsv", tubes_text(rows))
    assert problems_of(trial) == [
        "sheets/tubes.tsv, row 3, column 'file_id': found unknown 'A7'; allowed: a file_id of sheets/files.tsv "
        "whose reader is fcs_tube (did you mean 'a7'?)",
        "sheets/files.tsv, row 3, column 'file_id': found 'a7' without a row in sheets/tubes.tsv; allowed: one row there",
        "sheets/files.tsv, row 8, column 'file_id': found 'none' without a row in sheets/tubes.tsv; allowed: one row there",
    ]


def test_a_file_of_another_reader_is_no_tube(trial: Path) -> None:
    files = (trial / "sheets/files.tsv").read_text().replace("none.fcs\tfcs_tube", "none.fcs\tpcr_plate")
    put(trial, "sheets/files.tsv", files)
    assert (
        "found 'none', whose reader is 'pcr_plate'; allowed: a file_id of sheets/files.tsv"
        in problems_of(trial)[0]
    )


def test_a_review_is_of_a_flow_tube(trial: Path) -> None:
    put(trial, "sheets/gate_review.tsv", SHEETS["gate_review"].replace("a7", "a-7"))
    assert problems_of(trial) == [
        "sheets/gate_review.tsv, row 2, column 'file_id': found unknown 'a-7'; allowed: a file_id of "
        "sheets/files.tsv whose reader is fcs_tube (did you mean 'a7'?)"
    ]


def test_a_sample_is_one_of_the_samples_sheet(trial: Path) -> None:
    rows = TUBES | {"a7": ("sample", "A-07", "", "B1"), "fcar": ("fmo", "A77", "CAR", "B1")}
    put(trial, "sheets/tubes.tsv", tubes_text(rows))
    assert problems_of(trial) == [
        "sheets/tubes.tsv, row 3, column 'sample_id': found unknown 'A-07'; allowed: one of the samples sheet "
        "(did you mean 'A7'?)",
        "sheets/tubes.tsv, row 5, column 'sample_id': found unknown 'A77'; allowed: one of the samples sheet "
        "(did you mean 'A7'?)",
    ]


def test_a_fault_of_a_sample_is_not_told_again_for_its_tube(trial: Path) -> None:
    put(trial, "sheets/samples.tsv", SHEETS["samples"].replace("B0\t1004", "B0\t1005"))
    (problem,) = problems_of(trial)
    assert problem.startswith("sheets/samples.tsv, row 4, column 'subject_id': found unknown '1005'")


def test_markers_are_those_of_the_panel(trial: Path) -> None:
    rows = TUBES | {"fcd38": ("fmo", "", "CD388", "B1"), "icar": ("isotype", "", "FSC-A", "B1")}
    lines = [row + "\t" for row in tubes_text(rows).splitlines()]
    lines = [lines[0] + "unreadable", lines[1] + "CD-3: drug", *lines[2:]]
    put(trial, "sheets/tubes.tsv", "\n".join(lines))
    allowed = "allowed: a stained marker of mappings/t.yaml: CD3, CD38, CAR"
    assert problems_of(trial) == [
        f"sheets/tubes.tsv, row 2, column 'unreadable': found unknown 'CD-3'; {allowed} (did you mean 'CD3'?)",
        f"sheets/tubes.tsv, row 6, column 'marker': found unknown 'CD388'; {allowed} (did you mean 'CD38'?)",
        f"sheets/tubes.tsv, row 7, column 'marker': found unknown 'FSC-A'; {allowed}",
    ]


def test_counting_beads_need_a_gate(trial: Path) -> None:
    beads = "\tbeads_per_ul\tbead_volume_ul\tsample_volume_ul"
    lines = [row + "\t1000\t50\t100" for row in tubes_text().splitlines()[1:]]
    put(trial, "sheets/tubes.tsv", "\n".join([HEADER + beads, *lines]))
    told = problems_of(trial)
    assert [p.split(":")[0] for p in told] == [
        "sheets/tubes.tsv, row 12, column 'beads_per_ul'",
        "sheets/tubes.tsv, row 13, column 'beads_per_ul'",
    ]
    assert (
        "found counting beads, and no gate for them in mappings/b.yaml; allowed: a panel with beads.gate"
        in told[0]
    )


def test_a_threshold_that_only_controls_can_set_needs_one(trial: Path) -> None:
    put_panel(trial, "t", PANEL | {"thresholds": {"CD3": {}, "CAR": {"method": ["fmo", "isotype"]}}})
    rows = {name: cells for name, cells in TUBES.items() if name not in {"fcar", "icar"}}
    rows["fcd38"] = ("isotype", "", "CD38", "B1")
    put_files(trial, {name: FILES[name] for name in rows})
    put(trial, "sheets/tubes.tsv", tubes_text(rows))
    said = (
        "column 'batch': found no control for the threshold 'CAR' of mappings/t.yaml; allowed: a tube of kind fmo "
        "without 'CAR' in its batch or of kind isotype for 'CAR' in its batch"
    )
    assert problems_of(trial) == [f"sheets/tubes.tsv, row {row}, {said}" for row in (2, 3, 4)]


def test_the_marker_of_a_threshold_is_the_one_that_its_control_leaves_out(trial: Path) -> None:
    thresholds = {
        "CD3": {},
        "CAR": {"marker": "CAR", "method": "valley"},
        "bright": {"marker": "CD38", "method": "fmo"},
    }
    gates = PANEL["gates"] | {"CD38++": {"parent": "T", "where": {"bright": "above"}}}
    put_panel(trial, "t", PANEL | {"thresholds": thresholds, "gates": gates})
    assert [p.split(", column")[0] for p in problems_of(trial)] == [
        f"sheets/tubes.tsv, row {row}" for row in (9, 10)
    ]
    rows = TUBES | {"fc": ("fmo", "", "CD38", "B2")}
    put(trial, "sheets/tubes.tsv", tubes_text(rows))
    assert plans_of(trial)["c7"].controls == ("fc", "c0")


@pytest.mark.parametrize(("unreadable", "told"), [("", [3, 4]), ("CAR: prior product", [4])])
def test_a_pre_infusion_tube_or_an_unreadable_marker_needs_no_control(
    trial: Path, unreadable: str, told: list[int]
) -> None:
    put_panel(trial, "t", PANEL | {"thresholds": {"CD3": {}, "CAR": {"method": "pre_infusion"}}})
    rows = {
        "a0": ("sample", "A0", "", "B2", ""),
        "a7": ("sample", "B7", "", "B1", unreadable),
        "b7": ("sample", "B7", "", "B1", ""),
    }
    put_files(trial, dict.fromkeys(rows, "t"))
    put(trial, "sheets/tubes.tsv", tubes_text(rows).replace(HEADER, HEADER + "\tunreadable"))
    problems = problems_of(trial)
    assert [p.split(", column")[0] for p in problems] == [f"sheets/tubes.tsv, row {row}" for row in told]
    assert "a tube from before the infusion, in its batch or of its subject" in problems[0]


def test_a_missing_control_file_is_told_once(trial: Path) -> None:
    (trial / "data/fcar.fcs").unlink()
    (problem,) = problems_of(trial)
    assert problem.startswith("sheets/files.tsv, row 5, column 'path': found no file 'fcar.fcs'")


@pytest.mark.parametrize(
    ("panel", "column", "said"),
    [
        (
            {"drawn": {"gating_ml": "gates/c.xml"}},
            "drawn.gating_ml",
            "no file 'gates/c.xml'; allowed: an existing file",
        ),
        (
            {"drawn": {"flowjo": "../b.wsp"}},
            "drawn.flowjo",
            "'../b.wsp', which leads out of the trial folder",
        ),
        ({"drawn": {"gating_ml": "gates"}}, "drawn.gating_ml", "'gates', which is no file; allowed: a file"),
        (
            {"drawn": {"gating_ml": "results/flow/tube/d7.gates.xml"}},
            "drawn.gating_ml",
            "which the workflow writes; allowed: a copy of it outside results/",
        ),
        (
            {"drawn": {"gating_ml": "gates/20210304.xml"}},
            "drawn.gating_ml",
            "a calendar date in the file's name",
        ),
        (
            {"compensation": {"source": "csv", "file": "gates/c.csv"}},
            "compensation.file",
            "did you mean 'b.csv'?",
        ),
        (
            {"compensation": {"source": "csv", "file": "/b.csv"}},
            "compensation.file",
            "leads out of the trial folder",
        ),
        (
            {"compensation": {"source": "csv", "file": "b\n.csv"}},
            "compensation.file",
            "a control character in a path",
        ),
    ],
)
def test_what_a_panel_names_outside_itself_must_exist(
    trial: Path, panel: dict[str, Any], column: str, said: str
) -> None:
    put(trial, "gates/20210304.xml", "<gates/>")
    put_panel(trial, "b", DRAWN | panel)
    (problem,) = problems_of(trial)
    assert problem.startswith(f"mappings/b.yaml, column '{column}': found ")
    assert said in problem
    assert "2021" not in problem


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("mappings/b.yaml", "", "column 'mapping': found nothing; allowed: the panel file of this tube"),
        ("mappings/b.yaml", "mappings/c.yaml", "column 'mapping': found no file 'mappings/c.yaml'"),
        ("mappings/b.yaml", "../b.yaml", "'../b.yaml', which leads out of the trial folder"),
        ("mappings/b.yaml", "gates/b.csv", "gates/b.csv: found "),
        ("fcs_tube", "fcs_tub", "did you mean 'fcs_tube'?"),
    ],
)
def test_each_fault_of_a_tube_in_the_files_sheet_is_told(trial: Path, old: str, new: str, said: str) -> None:
    put(trial, "sheets/files.tsv", (trial / "sheets/files.tsv").read_text().replace(old, new))
    assert any(said in problem for problem in problems_of(trial))


def test_a_panel_is_no_mapping_of_another_reader(trial: Path) -> None:
    files = (trial / "sheets/files.tsv").read_text()
    put(trial, "data/x.tsv", "x")
    put(trial, "data/y.csv", "y")
    put(
        trial,
        "sheets/files.tsv",
        files + "x\tx.tsv\tlaboratory_table\tmappings/b.yaml\ny\ty.csv\tpcr_plate\tmappings/b.yaml\n",
    )
    told = problems_of(trial)
    assert all(p.startswith("mappings/b.yaml") for p in told)
    assert sum("unknown key 'drawn'" in p for p in told) == 2


def test_a_plate_map_belongs_to_no_tube(trial: Path) -> None:
    lines = [f"{row}\t" for row in (trial / "sheets/files.tsv").read_text().splitlines()]
    put(trial, "sheets/files.tsv", "\n".join([lines[0] + "plate_map", lines[1] + "gates/b.csv", *lines[2:]]))
    assert problems_of(trial) == [
        "sheets/files.tsv, row 2, column 'plate_map': found 'gates/b.csv'; allowed: nothing; it belongs to the reader "
        "pcr_plate or immunoassay_plate"
    ]


def test_faults_of_panels_sheets_and_files_come_together(trial: Path) -> None:
    put_panel(trial, "b", DRAWN | {"marker": {}})
    put(
        trial,
        "sheets/tubes.tsv",
        tubes_text(TUBES | {"a7": ("sample", "", "", "B1"), "fcd38": ("fmo", "", "CAT", "B1")}),
    )
    (trial / "data/none.fcs").unlink()
    assert sorted(p.split(": found")[0] for p in problems_of(trial)) == [
        "mappings/b.yaml, column 'marker'",
        "sheets/files.tsv, row 8, column 'path'",
        "sheets/tubes.tsv, row 3, column 'sample_id'",
        "sheets/tubes.tsv, row 6, column 'marker'",
    ]


# ---- one file, several data sets


def test_data_sets_of_one_file_are_tubes_of_their_own(trial: Path) -> None:
    rows = {"one": ("sample", "A7", "", "B1", "1"), "two": ("sample", "B7", "", "B1", "2")}
    put_panel(trial, "t", PANEL | {"thresholds": {"CD3": {}, "CAR": {}}})
    files = "file_id\tpath\treader\tmapping\n" + "".join(
        f"{i}\ta7.fcs\tfcs_tube\tmappings/t.yaml\n" for i in rows
    )
    put(trial, "sheets/files.tsv", files)
    put(trial, "sheets/gate_review.tsv", "file_id\tverdict\tgates_sha256\n")

    def put_rows() -> None:
        put(trial, "sheets/tubes.tsv", tubes_text(rows).replace(HEADER, HEADER + "\tdata_set"))

    put_rows()
    one, two = plans_of(trial).values()
    assert replace(one, file_id="two", tube=two.tube) == two
    for again in ("1", ""):
        rows["two"] = (*rows["two"][:-1], again)
        put_rows()
        assert problems_of(trial) == [
            "sheets/files.tsv, row 3, column 'path': found the file again; allowed: each file once for a mapping; "
            "it is also one"
        ]


def test_planning_tubes_imports_nothing_heavy() -> None:
    heavy = ("pandas", "numpy", "pandera", "flowkit", "flowio", "flowutils")
    code = f"import sys, cartrace.intake.plan; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
