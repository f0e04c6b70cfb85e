"""The program for the CAR reads of one library: a simulated BAM file with and without its CAR contig."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.loading import load_module

from cartrace.cells.tables import CAR_READS, COVERAGE, MOLECULES, VARIANTS
from cartrace.simulate.cell_reads import (
    Planted,
    ReadModel,
    made_up_barcodes,
    make_genome,
    simulate_reads,
    write_bam,
)
from cartrace.simulate.construct import fasta_text, gtf_text, made_up_construct, made_up_endogenous
from cartrace.tables import QC, read_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "cells" / "count_car_molecules.py"
CAR = made_up_construct()
ENDOGENOUS = made_up_endogenous()
SHARED = ("CD8A", "TNFRSF9", "CD247")
OUTPUTS = {
    "molecules": MOLECULES,
    "coverage": COVERAGE,
    "variants": VARIANTS,
    "car-reads": CAR_READS,
    "qc": QC,
}


def program() -> ModuleType:
    return load_module(SCRIPT)


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    """A folder with a BAM file of 6 cells, of which 3 have 5 CAR molecules, and the construct's files."""
    cells = made_up_barcodes(6, np.random.default_rng(1))
    planted = [Planted(c, CAR.name, 5) for c in cells[:3]] + [Planted(c, "CD247", 4) for c in cells]
    model = ReadModel(error_rate=0, umi_error_rate=0)
    reads = simulate_reads(planted, ENDOGENOUS | {CAR.name: CAR.sequence}, model, seed=1)
    genome = make_genome(ENDOGENOUS)
    write_bam(tmp_path / "x.bam", reads, genome)
    (tmp_path / "car.fasta").write_text(fasta_text({CAR.name: CAR.sequence}))
    (tmp_path / "car.gtf").write_text(gtf_text(CAR))
    (tmp_path / "endogenous.fasta").write_text(fasta_text(ENDOGENOUS))
    bed = [f"{c}\t{a}\t{b}\t{g}\n" for g, (c, a, b) in genome.genes.items() if g in SHARED]
    (tmp_path / "loci.bed").write_text("".join(bed))
    return tmp_path


def run(trial: Path, *more: str) -> int:
    arguments = ["--library", "L1", "--chemistry", "5p", "--bam", str(trial / "x.bam")]
    arguments += ["--constructs", CAR.name, "--product-constructs", CAR.name]
    arguments += ["--sequences", str(trial / "car.fasta"), "--annotations", str(trial / "car.gtf")]
    arguments += ["--endogenous", str(trial / "endogenous.fasta")]
    for name in OUTPUTS:
        arguments += [f"--{name}", str(trial / f"{name}.parquet")]
    return int(program().main([*arguments, *more]))


def test_tables_keep_their_contracts_and_the_molecules_come_back(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(trial, "--index", str(trial / "x.bam.bai"), "--loci", str(trial / "loci.bed")) == 0
    tables = {name: read_table(trial / f"{name}.parquet", table) for name, table in OUTPUTS.items()}
    molecules = tables["molecules"]
    proving = molecules["unique"] + molecules["junction"]
    assert sorted(proving[proving > 0]) == [5, 5, 5]
    assert tables["car-reads"]["molecules"].tolist() == [15]
    assert "15 CAR molecules" in capsys.readouterr().out


def test_loci_may_stand_in_the_settings(trial: Path) -> None:
    loci = make_genome(ENDOGENOUS).loci(SHARED)
    settings = {"cells": {"car_reads": {"loci": loci, "binder_loci": {}}}}
    assert run(trial, "--settings", json.dumps(settings)) == 0
    assert read_table(trial / "qc.parquet", QC)["check"].tolist() == ["car_loci"]


def test_an_unknown_genome_is_told(trial: Path) -> None:
    assert run(trial) == 0
    verdicts = read_table(trial / "qc.parquet", QC)["verdict"].tolist()
    assert sorted(verdicts) == ["note", "warn"]
    assert read_table(trial / "car-reads.parquet", CAR_READS)["molecules"].tolist() == [15]


def test_the_contig_may_be_called_as_the_feature(trial: Path) -> None:
    feature = "CAR_in_matrix"
    reads = simulate_reads(
        [Planted("ACGTACGTACGTACGT-1", CAR.name, 5)], {CAR.name: CAR.sequence}, ReadModel(), seed=1
    )
    write_bam(trial / "x.bam", reads, make_genome(ENDOGENOUS, {feature: CAR.sequence}))
    for features, checks in (((), {"car_loci"}), ((feature,), set())):
        construct = {"sequence": "car.fasta", "annotation": "car.gtf", "features": features}
        settings = {"cells": {"constructs": {CAR.name: construct}}}
        assert run(trial, "--settings", json.dumps(settings), "--loci", str(trial / "loci.bed")) == 0
        assert set(read_table(trial / "qc.parquet", QC)["check"]) == checks


def test_a_folder_that_was_counted_here_gives_its_file(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (trial / "counted").mkdir()
    for name in ("x.bam", "x.bam.bai"):
        (trial / name).rename(trial / "counted" / name)
    assert run(trial, "--bam", str(trial / "counted"), "--loci", str(trial / "loci.bed")) == 0
    assert read_table(trial / "car-reads.parquet", CAR_READS)["from_index"].all()
    (trial / "none").mkdir()
    assert run(trial, "--bam", str(trial / "none")) == 2
    assert "0 BAM files" in capsys.readouterr().err


def test_faults_are_told_together_and_nothing_is_written(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (trial / "car.fasta").write_text("no fasta\n")
    assert run(trial, "--product-constructs", "another") == 2
    error = capsys.readouterr().err
    assert "'another'" in error
    assert "car.fasta" in error
    assert "Traceback" not in error
    assert not list(trial.glob("*.parquet"))


def test_a_file_that_is_cut_short_is_told(trial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bam = trial / "x.bam"
    bam.write_bytes(bam.read_bytes()[:-300])
    assert run(trial) == 2
    assert "cut short" in capsys.readouterr().err
    assert not list(trial.glob("*.parquet"))


def test_as_many_files_as_names(trial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(trial, "--constructs", "a", "b") == 2
    assert "2 names, 1 sequences" in capsys.readouterr().err
