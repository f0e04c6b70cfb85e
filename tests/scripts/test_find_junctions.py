"""scripts/repertoire/find_junctions.py: a BAM file in, sites out, or the problems."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pysam
import pytest
from tests.loading import load_module

from cartrace.repertoire.tables import SITES
from cartrace.simulate.read_files import random_letters
from cartrace.simulate.site_reads import JunctionModel, PlantedSite, junction_bam
from cartrace.tables import QC, read_table

SCRIPT = load_module(Path(__file__).resolve().parents[2] / "scripts" / "repertoire" / "find_junctions.py")

SETTINGS = json.dumps({"repertoire": {"sites": {"junctions": {"vector": ["VEC"]}}}})


def write_bam(path: Path) -> None:
    rng = np.random.default_rng(1)
    sites = [PlantedSite("chr1", 4000, "-", 2, 3)]
    host, vector = {"chr1": random_letters(rng, 9000)}, ("VEC", random_letters(rng, 2000))
    path.write_bytes(junction_bam(rng, sites, vector, host, JunctionModel(longest=75))[0])


def run(folder: Path, *more: str, settings: str = SETTINGS) -> int:
    out = ["--sites", str(folder / "sites.parquet"), "--qc", str(folder / "qc.parquet")]
    bam = ["--site-set", "set1", "--bam", str(folder / "reads.bam")]
    status = SCRIPT.main([*bam, *more, "--settings", settings, *out])
    assert isinstance(status, int)
    return status


@pytest.mark.parametrize("index", [True, False])
def test_reads_become_sites(tmp_path: Path, index: bool) -> None:
    write_bam(tmp_path / "reads.bam")
    more = ["--index"]
    if index:
        pysam.index(str(tmp_path / "reads.bam"))
        more.append(str(tmp_path / "reads.bam.bai"))
    assert run(tmp_path, *more) == 0
    sites = read_table(tmp_path / "sites.parquet", SITES)
    assert sites["site"].tolist() == ["chr1-4000"]
    assert sites["fragments"].tolist() == [5]
    assert str(tmp_path) not in read_table(tmp_path / "qc.parquet", QC).to_csv()


def test_a_file_cut_short_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bam(tmp_path / "reads.bam")
    path = tmp_path / "reads.bam"
    path.write_bytes(path.read_bytes()[:-200])
    assert run(tmp_path) == 2
    assert "reads.bam" in capsys.readouterr().err
    assert not (tmp_path / "sites.parquet").exists()


def test_a_vector_that_is_not_in_the_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bam(tmp_path / "reads.bam")
    assert run(tmp_path, settings=SETTINGS.replace("VEC", "VEX")) == 2
    assert "did you mean 'VEC'" in capsys.readouterr().err
