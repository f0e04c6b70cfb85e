"""kb-python's own test library (10x v2, mouse): reads to counts, against the counts that kb-python expects.

The expected counts were made with the whole list of 10x barcodes; the folder holds the first 100,000 of it. So barcodes are
compared as they were read, but for those that only the whole list corrects or leaves out.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import h5py
import pytest
from scripts.cells import count_library
from tests.real.conftest import real_data

from cartrace.cells.counting import kallisto_index_command, program, run
from cartrace.files import read_text

FOLDER = real_data() / "fastq" / "kb_python"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="kb-python's FASTQ files are not beside the repository"),
]
SETTINGS = json.dumps({"cells": {"reference": {"counter": "kallisto", "umi_length": 10}}})


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Index the transcripts of the folder, with the genes that the expected counts name."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "transcripts.fa").symlink_to(FOLDER / "mouse_truncated.fasta")
    run("kallisto", kallisto_index_command(threads=1), folder)
    (folder / "t2g.txt").symlink_to(FOLDER / "transcripts_to_genes.txt")
    return folder


def count(reference: Path, out: Path, chemistry: str, *more: str) -> Path:
    arguments = [
        "--library",
        "kb",
        "--reference",
        str(reference),
        "--chemistry",
        chemistry,
        "--out",
        str(out),
    ]
    arguments += ["--r1", str(FOLDER / "R1.fastq"), "--r2", str(FOLDER / "R2.fastq"), "--memory-mb", "200"]
    assert count_library.main([*arguments, "--settings", SETTINGS, *more]) == 0
    return out / "counts_unfiltered"


def molecules(folder: Path) -> Counter[tuple[str, str]]:
    cells = (folder / "cells_x_genes.barcodes.txt").read_text().split()
    genes = (folder / "cells_x_genes.genes.txt").read_text().split()
    rows = [r.split() for r in (folder / "cells_x_genes.mtx").read_text().splitlines() if r[0] != "%"][1:]
    return Counter({(cells[int(a) - 1], genes[int(b) - 1].split(".")[0]): int(n) for a, b, n in rows})


def expected() -> Counter[tuple[str, str]]:
    with h5py.File(FOLDER / "counts" / "genes.h5ad") as file:
        indptr, indices, data = (file[f"X/{n}"][:] for n in ("indptr", "indices", "data"))
        cells = [b[0].decode() for b in file["obs"][:]]
        genes = [g[0].decode() for g in file["var"][:]]
    return Counter(
        {
            (cell, genes[i]): int(n)
            for cell, start, end in zip(cells, indptr[:-1], indptr[1:], strict=True)
            for i, n in zip(indices[start:end], data[start:end], strict=True)
        }
    )


def test_molecules_are_those_that_are_expected(reference: Path, tmp_path: Path) -> None:
    got = molecules(count(reference, tmp_path / "forward", "3p")) + molecules(
        count(reference, tmp_path / "reverse", "5p")
    )
    assert sum(expected().values()) == 2
    # kb-python's own run does not know the strand: each molecule is on one of the two.
    assert got == expected()


def test_genes_are_those_that_are_expected(reference: Path, tmp_path: Path) -> None:
    folder = count(reference, tmp_path / "out", "3p")
    # An unstranded run finds 17 genes; a stranded one no other than these.
    wanted = set((FOLDER / "counts" / "genes.genes.txt").read_text().split())
    assert {g for g in (folder / "cells_x_genes.genes.txt").read_text().split() if g} <= wanted
    names = (folder / "cells_x_genes.genes.names.txt").read_text().splitlines()
    assert len(names) == len((folder / "cells_x_genes.genes.txt").read_text().split())


def test_reads_and_barcodes_are_those_of_kb_pythons_report(reference: Path, tmp_path: Path) -> None:
    bus = [
        "bus",
        "-i",
        str(reference / "index.idx"),
        "-o",
        "bus",
        "-x",
        "0,0,16:0,16,26:1,0,0",
        "--unstranded",
    ]
    run("kallisto", [*bus, str(FOLDER / "R1.fastq"), str(FOLDER / "R2.fastq")], tmp_path)
    run("bustools", ["sort", "-m", "100M", "-o", "sorted.bus", "bus/output.bus"], tmp_path)
    run("bustools", ["inspect", "-o", "inspect.json", "sorted.bus"], tmp_path)
    report, wanted = (json.loads(read_text(p)) for p in (tmp_path / "inspect.json", FOLDER / "inspect.json"))
    for key in ("numRecords", "numReads", "numBarcodes", "numUMIs", "numBarcodeUMIs", "gtRecords"):
        assert report[key] == wanted[key]


def test_barcodes_are_corrected_to_a_whitelist(reference: Path, tmp_path: Path) -> None:
    free = count(reference, tmp_path / "free", "3p")
    held = count(reference, tmp_path / "held", "3p", "--whitelist", str(FOLDER / "whitelist.txt"))
    allowed = set(read_text(FOLDER / "whitelist.txt").split())
    cells = set((held / "cells_x_genes.barcodes.txt").read_text().split())
    assert cells <= allowed
    assert len(cells) < len((free / "cells_x_genes.barcodes.txt").read_text().split())


def test_the_programs_are_those_of_the_wheel() -> None:
    assert program("kallisto").parent.parent.parent.name == "bins"
