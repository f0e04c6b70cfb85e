"""The programs build_reference and count_library, where nothing can be counted: said, and nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from tests.loading import load_module

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "cells"
GENES = 'chr1\tx\texon\t1\t40\t.\t+\t.\tgene_id "G1"; transcript_id "T1"; gene_name "G1";\n'


def program(name: str) -> ModuleType:
    return load_module(SCRIPTS / f"{name}.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "genome.fa").write_text(">chr1\n" + "ACGTTGCA" * 10 + "\n")
    (tmp_path / "genes.gtf").write_text(GENES)
    for name in ("r1.fastq", "r2.fastq"):
        (tmp_path / name).write_text("@r\n" + "ACGT" * 7 + "\n+\n" + "I" * 28 + "\n")
    return tmp_path


def build(folder: Path, *more: str) -> int:
    arguments = ["--genome", str(folder / "genome.fa"), "--annotation", str(folder / "genes.gtf")]
    return int(program("build_reference").main([*arguments, "--out", str(folder / "reference"), *more]))


def count(folder: Path, *more: str, r2: str = "r2.fastq") -> int:
    arguments = ["--library", "L1", "--reference", str(folder / "reference"), "--chemistry", "5p"]
    reads = ["--r1", str(folder / "r1.fastq"), "--r2", str(folder / r2)]
    return int(program("count_library").main([*arguments, *reads, "--out", str(folder / "out"), *more]))


def test_a_reference_needs_the_regions_of_each_construct(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(folder, "--constructs", "mine") == 2
    assert "as many of each" in capsys.readouterr().err
    assert not (folder / "reference").exists()


def test_a_missing_program_is_named_with_its_package(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    assert build(folder) == 2
    assert "rna-star" in capsys.readouterr().err
    assert not (folder / "reference").exists()


@pytest.mark.parametrize("counter", ["starsolo", "kallisto"])
def test_a_reference_of_another_counter_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], counter: str
) -> None:
    (folder / "reference").mkdir()
    settings = json.dumps({"cells": {"reference": {"counter": counter}}})
    assert count(folder, "--settings", settings) == 2
    assert "a folder that build_reference made for this counter" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_missing_reads_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert count(folder, r2="none.fastq") == 2
    assert "none.fastq" in capsys.readouterr().err
    assert not (folder / "out").exists()
