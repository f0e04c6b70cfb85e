"""scripts/repertoire/read_sites.py: a table in, sites out, or the problems."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.loading import load_module

from cartrace.repertoire.tables import SITES
from cartrace.tables import QC, read_table

SCRIPT = load_module(Path(__file__).resolve().parents[2] / "scripts" / "repertoire" / "read_sites.py")

TABLE = "chrom\tstart\tstrand\testAbund\tspecimen\nchr2\t70\t-\t3\tS1\nchr1\t9\t+\t1\tS1\nchr1\t9\t+\t5\tS2\n"


def run(folder: Path, *more: str) -> int:
    out = ["--sites", str(folder / "sites.parquet"), "--qc", str(folder / "qc.parquet")]
    status = SCRIPT.main(["--site-set", "set1", "--path", str(folder / "t.tsv"), *out, *more])
    assert isinstance(status, int)
    return status


def test_one_specimen_becomes_sites(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text(TABLE)
    assert run(tmp_path, "--specimen", "S1") == 0
    sites = read_table(tmp_path / "sites.parquet", SITES)
    assert sites["site"].tolist() == ["chr1+9", "chr2-70"]
    assert sites["abundance"].tolist() == [1, 3]
    qc = read_table(tmp_path / "qc.parquet", QC)
    assert set(qc["check"]) == {"site_table", "genome_not_told", "genes_not_told"}
    assert str(tmp_path) not in qc.to_csv()


def test_problems_are_told_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.tsv").write_text(TABLE.replace("70", "0").replace("\t+\t1", "\t?\t1"))
    assert run(tmp_path, "--specimen", "S1") == 2
    told = capsys.readouterr().err
    assert "2 problems" in told
    assert "row 2, column 'start'" in told
    assert "row 3, column 'strand'" in told
    assert not (tmp_path / "sites.parquet").exists()


def test_the_columns_are_those_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text(TABLE.replace("estAbund", "umis").replace("specimen", "run"))
    columns = {"abundance": "umis", "specimen": None}
    settings = json.dumps({"repertoire": {"sites": {"columns": columns}}})
    (tmp_path / "t.tsv").write_text("chrom,start,strand,umis\nX,5,+,7\n")
    assert run(tmp_path, "--settings", settings) == 0
    assert read_table(tmp_path / "sites.parquet", SITES)["site"].tolist() == ["chrX+5"]
