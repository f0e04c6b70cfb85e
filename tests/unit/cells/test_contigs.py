"""Receptor chains of cells, and metrics of the vendor: small files, written here."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from cartrace.cells.contigs import Contigs, match_barcodes, parse_contigs, read_contigs
from cartrace.cells.vendor_metrics import compare, parse_metrics
from cartrace.problems import InputError

HEADER = "barcode,is_cell,contig_id,high_confidence,chain,c_gene,productive,cdr3,cdr3_nt,reads,umis"


def line(barcode: str, chain: str, cdr3_nt: str, umis: int = 3, c_gene: str = "", **other: str) -> str:
    is_cell, sure, productive = (other.get(k, "true") for k in ("is_cell", "sure", "productive"))
    return f"{barcode},{is_cell},{barcode}_1,{sure},{chain},{c_gene},{productive},CASS,{cdr3_nt},30,{umis}"


def parsed(*lines: str) -> Contigs:
    return parse_contigs([HEADER, *lines], "contigs.csv")


def test_chains_are_counted_and_a_clone_is_its_nucleotides() -> None:
    cell = parsed(
        line("A-1", "TRB", "TGTGCC"), line("A-1", "TRA", "TGTAAA"), line("A-1", "TRA", "TGTACA")
    ).cells["A-1"]
    assert (cell.count("TRA"), cell.count("TRB"), cell.count("IGH")) == (2, 1, 0)
    assert cell.t_clone == "TRB:TGTGCC;TRA:TGTAAA;TRA:TGTACA"


def test_what_is_no_cell_unsure_or_unproductive_does_not_count() -> None:
    found = parsed(
        line("A-1", "TRB", "TGTGCC", is_cell="false"),
        line("A-1", "TRB", "TGTGCC", sure="False"),
        line("A-1", "TRB", "TGTGCC", productive="None"),
        line("A-1", "TRB", ""),
        line("A-1", "Multi", "TGTGCC"),
    )
    assert found.cells == {}
    assert found.contigs == 5


def test_one_chain_assembled_twice_is_one_chain() -> None:
    assert parsed(line("A-1", "TRB", "TGTGCC"), line("A-1", "TRB", "tgtgcc")).cells["A-1"].count("TRB") == 1


def test_without_trb_or_with_three_there_is_no_clone() -> None:
    assert parsed(line("A-1", "TRA", "TGTGCC")).cells["A-1"].t_clone is None
    many = parsed(*(line("A-1", "TRB", c) for c in ("TGT", "TGC", "TGA"))).cells["A-1"]
    assert many.t_clone is None
    assert many.count("TRB") == 3


def test_light_chains_count_together_and_the_isotype_has_most_umis() -> None:
    cell = parsed(
        line("B-1", "IGH", "TGT", 2, "IGHM"),
        line("B-1", "IGH", "TGC", 5, "IGHG1"),
        line("B-1", "IGK", "TGTCAG"),
        line("B-1", "IGL", "TGTCAA"),
    ).cells["B-1"]
    assert cell.count("IGK", "IGL") == 2
    assert cell.isotype == "IGHG1"


def test_lines_that_do_not_fit_the_header_are_all_told() -> None:
    bad = line("A-1", "TRB", "TGT").replace("TRB", "TRBJ1*01,TRBJ2*01")
    with pytest.raises(InputError) as error:
        parsed(line("A-1", "TRB", "TGT"), *[bad] * 7)
    text = str(error.value)
    assert "contigs.csv, row 3: found 12 columns; allowed: 11" in text
    assert "row 7" in text
    assert "2 more lines like these" in text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (line("A-1", "TRB", "TGT", is_cell="yes"), "column 'is_cell': found 'yes'"),
        (line("A-1", "TRB", "CASSF!"), "column 'cdr3_nt'"),
        ('A-1,true,"open', "no csv|columns"),
    ],
)
def test_values_that_make_no_sense_are_refused(text: str, found: str) -> None:
    with pytest.raises(InputError, match=found):
        parsed(text)


def test_a_file_without_the_columns_is_refused_and_an_empty_one_is_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column 'chain'"):
        parse_contigs(["barcode,productive,cdr3_nt"], "x.csv")
    assert parsed().contigs == 0
    (tmp_path / "empty.csv").write_text("")
    assert read_contigs(tmp_path / "empty.csv", "empty.csv").contigs == 0
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(f"{HEADER}\n{line('A-1', 'TRB', 'TGT')}\n".encode()))
    assert list(read_contigs(tmp_path / "a.csv.gz", "a.csv.gz").cells) == ["A-1"]


def test_a_file_of_the_other_receptor_is_noticed() -> None:
    found = parsed(line("A-1", "IGH", "TGT"))
    assert found.receptor_missing("T")
    assert not found.receptor_missing("B")
    assert not parsed().receptor_missing("T")


def test_barcodes_match_with_and_without_the_suffix() -> None:
    assert match_barcodes(["A-1", "C-1"], ["A-1", "G-1"]) == {"A-1": "A-1"}
    assert match_barcodes(["A-1", "C-1"], ["A", "G"]) == {"A-1": "A"}
    assert match_barcodes(["A", "C"], ["A-1", "G-1"]) == {"A": "A-1"}
    # Two wells: which A is meant?
    assert match_barcodes(["A", "C"], ["A-1", "A-2"]) == {}
    assert match_barcodes(["A-2"], ["A-1"]) == {"A-2": "A-1"}


COUNT = [
    "Estimated Number of Cells,Mean Reads per Cell,Median Genes per Cell,Total Genes Detected,Median UMI Counts per Cell",
    '"1,431","45,000","1,730","18,176","4,182"',
]
MULTI = [
    "Category,Library Type,Grouped By,Group Name,Metric Name,Metric Value",
    'Cells,Antibody Capture,,,Cells,"9"',
    'Cells,Gene Expression,,,Cells,"1,431"',
    'Cells,Gene Expression,,,Median UMI counts per cell,"4,182"',
    'Cells,Gene Expression,,,Median genes per cell,"1,730"',
    'Cells,Gene Expression,,,Total genes detected,"18,176"',
    'Library,Gene Expression,Fastq ID,x,Cells,"7"',
]
SOLO = [
    "Number of Reads,100",
    "Estimated Number of Cells,1431",
    "Median UMI per Cell,4182",
    "Median Gene per Cell,1730",
    "Total Gene Detected,18176",
]


@pytest.mark.parametrize("lines", [COUNT, MULTI, SOLO])
def test_the_metrics_of_every_program_say_the_same(lines: list[str]) -> None:
    assert parse_metrics(lines, "m.csv").values == {
        "cells": 1431,
        "median_umis": 4182,
        "median_genes": 1730,
        "total_genes": 18176,
    }


def test_medians_may_be_rounded_and_counts_may_not() -> None:
    own = {"cells": 1431.0, "median_umis": 4182.5, "median_genes": 1731.0, "total_genes": 18175.0}
    assert {d.metric: d.agrees for d in compare(parse_metrics(COUNT, "m.csv"), own)} == {
        "cells": True,
        "median_umis": True,
        "median_genes": False,
        "total_genes": False,
    }


@pytest.mark.parametrize("lines", [[], ["a,b", "c,d"], ["Estimated Number of Cells,many"]])
def test_a_file_without_these_numbers_is_refused(lines: list[str]) -> None:
    with pytest.raises(InputError, match="no number of cells"):
        parse_metrics(lines, "m.csv")
