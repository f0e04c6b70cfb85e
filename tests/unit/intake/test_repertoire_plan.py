"""What clones and integration sites need of a trial folder is found and checked before the first job runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cartrace.intake.plan import Plan, load_plan
from cartrace.intake.repertoire_plan import subject_keys
from cartrace.problems import InputError

SHEETS = {
    "subjects": "subject_id\n1003\n1004\n",
    "products": "product\tvector\nCT103A\tlentiviral\n",
    "infusions": "subject_id\tinfusion\tproduct\tday\n1003\t1\tCT103A\t0\n1004\t1\tCT103A\t0\n",
    "samples": "sample_id\tsubject_id\tmatrix\tvisit\tday\nIP\t1003\tinfusion_product\t\t0\n"
    "A0\t1003\tblood\t\t-5\nA14\t1003\tblood\tD14\t14\nB14\t1004\tblood\t\t14\n",
    "files": "file_id\tpath\treader\tmapping\n",
    "libraries": "library_id\tsample_id\tchemistry\tcounts\ttcr_contigs\tbcr_contigs\tsort\n"
    "ip\tIP\t5p\tip.h5\tip.csv\t\t\na0\tA0\t5p\ta0.h5\t\t\t\na14\tA14\t5p\t\ta14.json\ta14.tsv\tcar_positive\n",
    "integration_sites": "site_set_id\tsample_id\tpath\tspecimen\tcell_type\n"
    "s1\tIP\tsites.csv\tX1\tT cells\ns2\tA14\tsites.csv\tX2\t\ns3\tB14\treads.bam\t\t\n",
}
FILES = ("ip.h5", "ip.csv", "a0.h5", "a14.json", "a14.tsv", "sites.csv", "reads.bam", "reads.bam.bai")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in SHEETS.items():
        path = tmp_path / "sheets" / f"{name}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for name in FILES:
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_text(name)
    (tmp_path / "genes.txt").write_text("LMO2\n")
    return tmp_path


def plan_of(folder: Path, **sites: Any) -> Plan:
    raw = {
        "sheets": {name: f"sheets/{name}.tsv" for name in ("samples", "libraries", "integration_sites")},
        "repertoire": {"sites": {"junctions": {"vector": ["LTR"]}, "genes_of_concern": "genes.txt"} | sites},
    }
    return load_plan(raw, folder)


def problems_of(
    folder: Path, sheet: str, text: str, **sites: Any
) -> list[tuple[int | None, str | None, str]]:
    (folder / "sheets" / f"{sheet}.tsv").write_text(text)
    with pytest.raises(InputError) as caught:
        plan_of(folder, **sites)
    return [(p.row, p.column, p.found) for p in caught.value.problems]


def test_a_library_of_contigs_alone_is_followed_and_not_counted(folder: Path) -> None:
    plan = plan_of(folder)
    assert list(plan.libraries) == ["ip", "a0"]
    assert list(plan.repertoire.contigs) == ["ip", "a14"]
    a14 = plan.repertoire.contigs["a14"]
    assert a14.files == ("data/a14.json", "data/a14.tsv")
    assert json.loads(a14.reading) == {"tcr_contigs": "data/a14.json", "bcr_contigs": "data/a14.tsv"}
    ip, of_a14 = json.loads(plan.repertoire.facts_of("1003", "contigs"))
    assert (ip["cells"], ip["matrix"], ip["pre_infusion"]) == (True, "infusion_product", False)
    assert of_a14 == {
        "library_id": "a14",
        "sample_id": "A14",
        "subject_id": "1003",
        "matrix": "blood",
        "infusion": 1,
        "day": 14.0,
        "study_day": 14.0,
        "visit": "D14",
        "pre_infusion": False,
        "sort": "car_positive",
        "cells": False,
        "tcr": True,
        "bcr": True,
    }


def test_a_set_of_sites_knows_its_file_its_index_and_its_subject(folder: Path) -> None:
    plan = plan_of(folder).repertoire
    assert [(s.site_set, s.subject, s.specimen, s.is_bam) for s in plan.sites.values()] == [
        ("s1", "1003", "X1", False),
        ("s2", "1003", "X2", False),
        ("s3", "1004", "", True),
    ]
    assert plan.sites["s3"].index == "data/reads.bam.bai"
    assert [f["cell_type"] for f in json.loads(plan.facts_of("1003", "sites"))] == ["T cells", "unsorted"]
    assert (plan.clone_subjects, plan.site_subjects) == (["1003"], ["1003", "1004"])
    assert plan.genes_of_concern == "genes.txt"


def test_a_library_of_contigs_alone_is_no_control_of_car_calls(folder: Path) -> None:
    text = (
        "library_id\tsample_id\tchemistry\tcounts\ttcr_contigs\n"
        "a0\tA0\t5p\t\tip.csv\na14\tA14\t5p\ta0.h5\ta14.json\n"
    )
    (folder / "sheets" / "libraries.tsv").write_text(text)
    assert plan_of(folder).libraries["a14"].before == ()


def test_the_content_of_contigs_changes_only_what_rests_on_it(folder: Path) -> None:
    before = plan_of(folder).repertoire
    (folder / "data" / "a14.tsv").write_text("another content")
    after = plan_of(folder).repertoire
    assert before.contigs["a14"].sha256 != after.contigs["a14"].sha256
    assert before.contigs["ip"].sha256 == after.contigs["ip"].sha256


def test_what_says_nothing_without_counts_is_refused(folder: Path) -> None:
    text = (
        "library_id\tsample_id\tchemistry\tcounts\traw_counts\ttcr_contigs\tcar_flow_percent\n"
        "ip\tIP\t5p\t\tip.h5\tip.csv\t20\na0\tA0\t5p\t\t\t\t\n"
    )
    assert problems_of(folder, "libraries", text) == [
        (2, "raw_counts", "'ip.h5'"),
        (2, "car_flow_percent", "'20'"),
        (3, "counts", "nothing, and no fastq"),
    ]


def test_contigs_of_one_content_count_once_but_empty_files_are_all_alike(folder: Path) -> None:
    text = "library_id\tsample_id\tchemistry\tcounts\ttcr_contigs\nip\tIP\t5p\t\tip.csv\na14\tA14\t5p\t\tcopy.csv\n"
    for name in ("ip.csv", "copy.csv"):
        (folder / "data" / name).write_text("barcode,chain\n")
    (folder / "sheets" / "libraries.tsv").write_text(text)
    assert len(plan_of(folder).repertoire.contigs) == 2
    for name in ("ip.csv", "copy.csv"):
        (folder / "data" / name).write_text("barcode,chain\n" + "A,TRB\n" * 300)
    assert problems_of(folder, "libraries", text) == [(3, "tcr_contigs", "the same content as 'ip'")]


def test_every_fault_of_the_site_sheet_is_told_at_once(folder: Path) -> None:
    text = (
        "site_set_id\tsample_id\tpath\tspecimen\tcell_type\ns/1\tIP\tsites.csv\tX1\t\ns2\tA15\t../x.csv\t\t\n"
        "S2\tA14\tsites.csv\tX1\t2024-01-05\ns4\tB14\treads.bam\tX2\t\n"
    )
    assert problems_of(folder, "integration_sites", text) == [
        (2, "site_set_id", "'s/1'"),
        (4, "site_set_id", "'S2' again"),
        (4, "path", "the same sites again"),
        (4, "cell_type", "'2024-01-05'"),
        (5, "specimen", "'X2'"),
        (3, "sample_id", "unknown 'A15'"),
    ]


def test_sites_of_one_content_count_once_and_no_specimen_tells_a_date(folder: Path) -> None:
    text = (
        "site_set_id\tsample_id\tpath\tspecimen\ns1\tIP\tsites.csv\tX1\ns2\tA14\tcopy.csv\tX1\n"
        "s3\tA14\tsites.csv\tX2\ns4\tA14\tsites.csv\tX 2024-01-05\n"
    )
    for name in ("sites.csv", "copy.csv"):
        (folder / "data" / name).write_text("chrom,start\n" + "chr1,5\n" * 200)
    assert problems_of(folder, "integration_sites", text) == [
        (3, "path", "the same content as 's1'"),
        (5, "specimen", "a calendar date in the specimen's name"),
    ]


def test_a_path_that_leaves_the_data_folder_and_a_bam_without_a_vector_are_refused(folder: Path) -> None:
    text = "site_set_id\tsample_id\tpath\ns1\tIP\t../genes.txt\ns2\tB14\treads.bam\n"
    assert problems_of(folder, "integration_sites", text, junctions={"vector": []}) == [
        (2, "path", "'../genes.txt', which leads out of the data folder"),
        (3, "path", "a BAM"),
    ]


def test_keys_of_subjects_name_files_and_never_depend_on_other_subjects() -> None:
    keys = subject_keys(["CT-003", "p02", "A/1", "A:1", "É1", "李"])
    assert (keys["CT-003"], keys["p02"]) == ("CT-003", "p02")
    assert len({key.casefold() for key in keys.values()}) == 6
    assert not any(key.startswith("-") for key in keys.values())
    assert all(key.replace("-", "").isalnum() for key in keys.values())
    assert subject_keys(["A/1"])["A/1"] == keys["A/1"]
