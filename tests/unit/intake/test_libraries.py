"""What single-cell libraries need of a trial folder is found and checked before the first job runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cartrace.intake.plan import Plan, load_plan
from cartrace.problems import InputError

SHEETS = {
    "subjects": "subject_id\n1003\n1004\n",
    "products": "product\tvector\tconstruct\nCT103A\tlentiviral\tmade-up\n",
    "infusions": "subject_id\tinfusion\tproduct\tday\n1003\t1\tCT103A\t0\n1004\t1\tCT103A\t0\n",
    "samples": "sample_id\tsubject_id\tmatrix\tvisit\tday\nA0\t1003\tblood\t\t-5\nA14\t1003\tblood\t\t14\n"
    "B0\t1004\tblood\tbaseline\t0\nB14\t1004\tblood\t\t14\n",
    "files": "file_id\tpath\treader\tmapping\n",
}
COLUMNS = ("library_id", "sample_id", "chemistry", "counts", "raw_counts", "bam", "fastq", "sort")
ROWS = {
    "a0": ("A0", "5p", "a0.h5", "", "", "", ""),
    "a14": ("A14", "5p", "a14.h5", "raw.h5", "a14.bam", "", "none"),
    "b14": ("B14", "3p", "folder", "", "", "", "t_cells"),
}
CONFIG: dict[str, Any] = {
    "sheets": {"samples": "sheets/samples.tsv", "libraries": "sheets/libraries.tsv"},
    "cells": {
        "constructs": {"made-up": {"sequence": "constructs/c.fasta", "annotation": "constructs/c.gtf"}}
    },
}


def libraries_text(rows: dict[str, tuple[str, ...]] = ROWS, extra: dict[str, str] | None = None) -> str:
    extra = extra or {}
    lines = ["\t".join((*COLUMNS, *extra))]
    lines += ["\t".join((name, *cells, *extra.values())) for name, cells in rows.items()]
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (*SHEETS.items(), ("libraries", libraries_text())):
        path = tmp_path / "sheets" / f"{name}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for name in ("a0.h5", "a14.h5", "raw.h5", "a14.bam", "a14.bam.bai", "r1.fq", "r2.fq", "r3.fq"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_text(name)
    (tmp_path / "data" / "folder").mkdir()
    for name in ("matrix.mtx.gz", "barcodes.tsv.gz", "features.tsv.gz", "notes.docx"):
        (tmp_path / "data" / "folder" / name).write_text(name)
    (tmp_path / "constructs").mkdir()
    for name in ("c.fasta", "c.gtf"):
        (tmp_path / "constructs" / name).write_text(name)
    return tmp_path


def plan_of(folder: Path, text: str | None = None, **changes: Any) -> Plan:
    if text is not None:
        (folder / "sheets" / "libraries.tsv").write_text(text)
    raw = yaml.safe_load(yaml.safe_dump(CONFIG))
    raw.update(changes)
    return load_plan(raw, folder)


def problems_of(folder: Path, text: str, **changes: Any) -> list[tuple[str, int | None, str | None, str]]:
    with pytest.raises(InputError) as caught:
        plan_of(folder, text, **changes)
    return [(p.file, p.row, p.column, p.found) for p in caught.value.problems]


def test_a_library_knows_its_files_its_construct_and_the_libraries_before_the_infusion(folder: Path) -> None:
    plan = plan_of(folder)
    assert list(plan.libraries) == ["a0", "a14", "b14"]
    a0, a14, b14 = plan.libraries.values()
    assert a14.files == ("data/a14.h5", "data/raw.h5")
    assert a14.bam_index == "data/a14.bam.bai"
    assert (a0.pre_infusion, a14.pre_infusion) == (True, False)
    assert (a0.before, a14.before, b14.before) == ((), ("a0",), ())
    assert a14.constructs == ("made-up",)
    assert a14.car_features == ("made-up",)
    assert b14.files == tuple(
        f"data/folder/{name}" for name in ("barcodes.tsv.gz", "features.tsv.gz", "matrix.mtx.gz")
    )
    assert (b14.counts, b14.sort) == ("data/folder", "t_cells")
    assert json.loads(a14.reading)["raw_counts"] == "data/raw.h5"
    assert plan.constructs["made-up"].sequence == "constructs/c.fasta"


def test_a_library_is_judged_against_those_of_its_own_kind_of_evidence(folder: Path) -> None:
    plan = plan_of(folder)
    assert plan.with_reads == {"a14"}
    assert plan.controls_of("a14") == frozenset()  # a0 has no reads
    (folder / "data" / "a0.bam").write_text("a0")
    rows = {**ROWS, "a0": ("A0", "5p", "a0.h5", "", "a0.bam", "", "")}
    assert plan_of(folder, libraries_text(rows)).controls_of("a14") == {"a0"}
    assert plan_of(folder, cells={}).with_reads == frozenset()  # nothing to look for


def test_the_product_is_not_from_before_the_infusion_though_its_day_is(folder: Path) -> None:
    samples = SHEETS["samples"] + "IP\t1003\tinfusion_product\t\t0\n"
    (folder / "sheets" / "samples.tsv").write_text(samples)
    (folder / "data" / "ip.h5").write_text("ip")
    plan = plan_of(folder, libraries_text({**ROWS, "ip": ("IP", "5p", "ip.h5", "", "", "", "")}))
    assert not plan.libraries["ip"].pre_infusion
    assert plan.libraries["ip"].before == plan.libraries["a14"].before == ("a0",)


def test_features_of_the_sheet_go_before_those_of_the_construct(folder: Path) -> None:
    registered = {"made-up": {**CONFIG["cells"]["constructs"]["made-up"], "features": ["CAR", "ENSCAR"]}}
    cells = {"constructs": registered}
    assert plan_of(folder, cells=cells).libraries["a14"].car_features == ("CAR", "ENSCAR")
    text = libraries_text(extra={"car_features": "scFv; WPRE"})
    assert plan_of(folder, text, cells=cells).libraries["a14"].car_features == ("scFv", "WPRE")


def test_content_not_time_or_order_of_rows_makes_a_library(folder: Path) -> None:
    before = plan_of(folder)
    (folder / "data" / "a14.h5").touch()
    after = plan_of(folder, libraries_text(dict(reversed(ROWS.items()))))
    assert after.libraries["a14"] == before.libraries["a14"]
    assert after.libraries_digest == before.libraries_digest
    (folder / "data" / "folder" / "matrix.mtx.gz").write_text("other")
    changed = plan_of(folder)
    assert changed.libraries["b14"].sha256 != before.libraries["b14"].sha256
    assert changed.libraries["a14"] == before.libraries["a14"]


def test_every_fault_of_the_sheet_is_told_at_once(folder: Path) -> None:
    rows = {
        "a0": ("A00", "5'", "a0.h5", "", "", "", "sorted"),
        "2024-05-06": ("A14", "5p", "", "", "", "", ""),
        "x": ("A14", "5p", "../sheets/samples.tsv", "", "none.bam", "", ""),
        "y": ("A14", "5p", "a14.h5", "", "", "r1.fq;r2.fq;r3.fq", ""),
        "X": ("A14", "5p", "raw.h5", "", "", "", ""),
    }
    told = problems_of(folder, libraries_text(rows))
    places = {(row, column) for _, row, column, _ in told}
    assert places >= {
        (2, "sample_id"),
        (2, "chemistry"),
        (2, "sort"),
        (3, "library_id"),
        (3, "counts"),
        (4, "counts"),
        (4, "bam"),
        (5, "fastq"),
        (6, "library_id"),
    }
    assert {file for file, *_ in told} == {"sheets/libraries.tsv"}
    with pytest.raises(InputError) as caught:
        plan_of(folder)
    assert "2024" not in str(caught.value)


def test_one_content_cannot_be_two_libraries(folder: Path) -> None:
    rows = {**ROWS, "again": ("B14", "5p", "a14.h5", "", "", "", "")}
    assert ("sheets/libraries.tsv", 5, "counts", "the same content as 'a14'") in problems_of(
        folder, libraries_text(rows)
    )


@pytest.mark.parametrize(
    ("column", "cell"),
    [("lymphocytes_per_ul", "1.2"), ("car_flow_percent", "101"), ("white_cells_per_ul", "much")],
)
def test_a_number_in_another_unit_is_told(folder: Path, column: str, cell: str) -> None:
    told = problems_of(folder, libraries_text(extra={column: cell}))
    assert {(row, where) for _, row, where, _ in told} == {(2, column), (3, column), (4, column)}


def test_fastq_needs_a_genome_and_a_product_a_registered_construct(folder: Path) -> None:
    rows = {"a": ("A14", "5p", "", "", "", "r1.fq;r2.fq", "")}
    other = {"constructs": {"other": CONFIG["cells"]["constructs"]["made-up"]}}
    told = problems_of(folder, libraries_text(rows), cells=other)
    assert ("sheets/libraries.tsv", 2, "fastq", "reads to count, and no genome") in told
    assert any(file == "sheets/products.tsv" and column == "construct" for file, _, column, _ in told)


def test_a_construct_that_is_missing_or_leads_out_is_told(folder: Path) -> None:
    construct = {"sequence": "constructs/none.fasta", "annotation": "../c.gtf"}
    told = problems_of(folder, libraries_text(), cells={"constructs": {"made-up": construct}})
    assert {column for _, _, column, _ in told} == {
        "cells.constructs.made-up.sequence",
        "cells.constructs.made-up.annotation",
    }


@pytest.mark.parametrize("name", ["a/b", "2024-05-06", "x" * 65, " "])
def test_a_construct_has_a_name_that_can_name_files(folder: Path, name: str) -> None:
    constructs = {name: CONFIG["cells"]["constructs"]["made-up"]}
    told = problems_of(folder, libraries_text(), cells={"constructs": constructs})
    assert any((column or "").startswith("cells.constructs") for _, _, column, _ in told)


def test_libraries_need_sheets_of_samples_subjects_and_infusions(folder: Path) -> None:
    sheets = {"libraries": "sheets/libraries.tsv"}
    told = problems_of(folder, libraries_text(), sheets=sheets)
    assert any("no samples sheet" in found for *_, found in told)
