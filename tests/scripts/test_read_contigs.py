"""The program for the contigs of one library: what it writes, and what it says of files that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from tests.loading import load_module
from tests.unit.repertoire.test_chains import chain
from tests.unit.repertoire.test_contigs import AIRR as AIRR_COLUMNS
from tests.unit.repertoire.test_contigs import TENX, airr, tenx

from cartrace.repertoire.tables import CELL_RECEPTORS, CHAINS
from cartrace.tables import QC, read_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "repertoire" / "read_contigs.py"


def program() -> ModuleType:
    return load_module(SCRIPT)


def run(folder: Path, plan: str, settings: str = "{}") -> int:
    outputs = [a for n in ("chains", "receptors", "qc") for a in (f"--{n}", str(folder / f"{n}.parquet"))]
    status: int = program().main(["--library", "L1", "--plan", plan, "--settings", settings, *outputs])
    return status


def written(path: Path, *lines: str) -> str:
    path.write_text("\n".join([*lines, ""]))
    return str(path)


def test_two_files_of_two_formats_make_one_library(tmp_path: Path) -> None:
    t = written(tmp_path / "t.csv", TENX, chain("A-1", "TRB"), chain("A-1", "TRA", number=2, umis=1))
    genes = {"v_call": "IGHV3-23*01", "j_call": "IGHJ4*02", "c_call": "IGHM", "locus": "IGH"}
    b = written(tmp_path / "b.tsv", "\t".join(AIRR_COLUMNS), airr(cell_id="C-1", **genes))
    plan = json.dumps({"tcr_contigs": t, "bcr_contigs": b})
    assert run(tmp_path, plan) == 0
    chains = read_table(tmp_path / "chains.parquet", CHAINS)
    assert chains[["library", "cell", "locus", "v_gene"]].to_numpy().tolist() == [
        ["L1", "A-1", "TRA", "TRAV1"],
        ["L1", "A-1", "TRB", "TRBV1"],
        ["L1", "C-1", "IGH", "IGHV3-23"],
    ]
    cells = read_table(tmp_path / "receptors.parquet", CELL_RECEPTORS)
    assert cells["pairing"].tolist() == ["single_pair", "orphan_vdj"]
    checks = read_table(tmp_path / "qc.parquet", QC)["check"].tolist()
    assert checks == ["tcr_contigs", "bcr_contigs", "airr_schema", "orphan_chains"]
    strict = json.dumps({"repertoire": {"contigs": {"min_umis": 2}}})
    assert run(tmp_path, plan, strict) == 0
    assert len(read_table(tmp_path / "chains.parquet", CHAINS)) == 2


def test_an_empty_file_is_a_finding(tmp_path: Path) -> None:
    empty = written(tmp_path / "t.csv")
    assert run(tmp_path, json.dumps({"tcr_contigs": empty, "bcr_contigs": ""})) == 0
    assert read_table(tmp_path / "chains.parquet", CHAINS).empty
    assert read_table(tmp_path / "receptors.parquet", CELL_RECEPTORS).empty
    assert "is empty" in read_table(tmp_path / "qc.parquet", QC)["message"].iloc[0]


def test_faults_of_both_files_are_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    t = written(tmp_path / "t.csv", TENX, tenx(umis="nan"))
    b = written(tmp_path / "b.csv", TENX, tenx(chain="IGH", cdr3="CASS"))
    assert run(tmp_path, json.dumps({"tcr_contigs": t, "bcr_contigs": b})) == 2
    told = capsys.readouterr().err
    assert "2 problems" in told
    assert "t.csv, row 2, column 'umis': found 'nan'" in told
    assert "b.csv, row 2, column 'cdr3'" in told
    assert not (tmp_path / "chains.parquet").exists()


@pytest.mark.parametrize("plan", ["{}", "[", "[1]", '{"tcr_contigs": "", "bcr_contigs": ""}'])
def test_a_plan_without_files_is_refused(
    plan: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, plan) == 2
    assert "--plan" in capsys.readouterr().err
