"""Tables of integration sites: what is read, and what is refused with its place."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pytest

from cartrace.problems import InputError
from cartrace.repertoire.gene_list import parse_genes
from cartrace.repertoire.settings import SiteColumns, Sites
from cartrace.repertoire.sites import SiteRow, findings, open_table, read_sites, sites_frame

HEADER = [
    "chrom",
    "strand",
    "start",
    "specimen",
    "refgenome",
    "estAbund",
    "posid",
    "nearest_gene",
    "nearest_geneDist",
    "in_gene",
]
GOOD = ["chr1", "+", "1000", "S1", "hg38", "2.0", "chr1+1000", "ABC", "-300", "FALSE"]


def row(**changes: str) -> list[str]:
    cells = dict(zip(HEADER, GOOD, strict=True)) | changes
    if {"chrom", "strand", "start"} & set(changes) and "posid" not in changes:
        cells["posid"] = ""
    return list(cells.values())


def read(*rows: list[str], specimen: str = "S1", **settings: Any) -> list[SiteRow]:
    return read_sites(HEADER, list(enumerate(rows, 2)), specimen, Sites(**settings), "sites.tsv")


def refused(*rows: list[str], specimen: str = "S1", **settings: Any) -> str:
    with pytest.raises(InputError) as error:
        read(*rows, specimen=specimen, **settings)
    return str(error.value)


def write(path: Path, header: list[str], rows: list[list[str]], delimiter: str = "\t") -> Path:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([header, *rows])
    path.write_bytes(
        gzip.compress(text.getvalue().encode()) if path.suffix == ".gz" else text.getvalue().encode()
    )
    return path


def test_a_row_of_inspiired_is_read() -> None:
    assert read(GOOD) == [SiteRow(2, "chr1", 1000, "+", 2.0, "ABC", 300)]


def test_only_the_named_specimen_is_read_and_checked() -> None:
    found = read(GOOD, row(specimen="S2", start="nowhere"), row(start="2000"))
    assert [r.position for r in found] == [1000, 2000]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"chrom": ""}, "column 'chrom'"),
        ({"chrom": "chr 1"}, "column 'chrom'"),
        ({"chrom": "23"}, "column 'chrom'"),
        ({"start": "0"}, "column 'start'"),
        ({"start": "-5"}, "column 'start'"),
        ({"start": "1.5"}, "column 'start'"),
        ({"start": "1,000"}, "column 'start'"),
        ({"start": "99999999999"}, "column 'start'"),
        ({"strand": "*"}, "column 'strand'"),
        ({"strand": "\u2212"}, "did you mean '-'"),
        ({"estAbund": "0"}, "column 'estAbund'"),
        ({"estAbund": "0.001"}, "no share"),
        ({"estAbund": "-1"}, "column 'estAbund'"),
        ({"estAbund": "inf"}, "column 'estAbund'"),
        ({"estAbund": "nan"}, "column 'estAbund'"),
        ({"estAbund": "1_0"}, "column 'estAbund'"),
        ({"estAbund": ""}, "column 'estAbund'"),
        ({"nearest_geneDist": "far"}, "column 'nearest_geneDist'"),
        ({"posid": "chr1-1000"}, "column 'posid'"),
        ({"refgenome": "hg19"}, "column 'refgenome'"),
    ],
)
def test_a_cell_that_cannot_be_used_is_told_with_its_place(changes: dict[str, str], told: str) -> None:
    message = refused(GOOD, row(**{"start": "5000", **changes}))
    assert "sites.tsv, row 3" in message
    assert told in message


def test_all_faults_are_told_at_once() -> None:
    message = refused(row(strand="?"), row(start="x"), GOOD[:-1])
    assert message.startswith("3 problems")
    assert "found 9 fields; allowed: 10" in message


def test_many_faulty_rows_are_counted_not_listed() -> None:
    message = refused(*[row(start=f"{i}.5") for i in range(1, 101)])
    assert message.startswith("21 problems")
    assert "80 more problems" in message


def test_a_site_twice_in_a_specimen_is_refused() -> None:
    assert "chr1+1000 again" in refused(GOOD, row(estAbund="3"))
    assert len(read(GOOD, row(strand="-"), row(specimen="S2"))) == 2


def test_an_unknown_specimen_is_refused_with_the_nearest_one() -> None:
    assert "did you mean 'GTSP0634'" in refused(row(specimen="GTSP0634"), specimen="GTSP0643")


def test_several_specimens_need_one_that_is_named() -> None:
    assert "2 specimens" in refused(GOOD, row(specimen="S2", start="7"), specimen="")
    assert len(read(GOOD, specimen="")) == 1


def test_a_table_without_rows_is_a_finding() -> None:
    assert read() == []
    (finding,) = findings(HEADER, [], Sites(), "set1")
    assert (finding["check"], finding["verdict"]) == ("site_table", "warn")


def test_missing_columns_are_told_with_the_nearest_ones() -> None:
    with pytest.raises(InputError, match=r"no column 'estAbund'.*did you mean 'estAbundance'") as error:
        read_sites(["chrom", "strand", "estAbundance", "specimen"], [], "S1", Sites(), "f")
    assert len(error.value.problems) == 2


def test_a_column_twice_is_refused() -> None:
    with pytest.raises(InputError, match="'chrom' twice"):
        read_sites([*HEADER, "chrom"], [], "S1", Sites(), "f")


def test_chromosomes_have_one_name() -> None:
    found = read(row(chrom="X"), row(chrom="MT"), row(chrom="7"), row(chrom="GL000220.1"))
    assert [r.chromosome for r in found] == ["chrX", "chrM", "chr7", "GL000220.1"]


def test_assemblies_have_two_names() -> None:
    assert len(read(GOOD, genome="GRCh38")) == 1
    assert len(read(row(refgenome="GRCh37.p13"), genome="hg19")) == 1


def test_a_site_within_a_gene_is_no_base_away_from_it() -> None:
    # Inside a long gene the nearest end is far; another gene counts only where it is near.
    (inside,) = read(row(in_gene="LONG", nearest_gene="LONG", nearest_geneDist="170000"))
    assert (inside.gene, inside.distance) == ("LONG", 0)
    (near,) = read(row(in_gene="LONG", nearest_gene="OTHER", nearest_geneDist="-900"))
    assert (near.gene, near.distance) == ("LONG,OTHER", 0)
    (far,) = read(row(in_gene="LONG", nearest_gene="OTHER", nearest_geneDist="60000"))
    assert (far.gene, far.distance) == ("LONG", 0)


def test_columns_of_isanalytics_are_read(tmp_path: Path) -> None:
    header = ["chr", "integration_locus", "strand", "GeneName", "Sample", "fragmentEstimate"]
    rows = [
        ["3", "4200", "-", "MECOM", "B1", "17.25"],
        ["3", "900", "+", "ABC", "B1", "1.04"],
        ["X", "1", "+", "DEF", "B2", "2"],
    ]
    columns = SiteColumns(
        chromosome="chr",
        position="integration_locus",
        abundance="fragmentEstimate",
        specimen="Sample",
        gene="GeneName",
        distance=None,
        within=None,
    )
    settings = Sites(columns=columns)
    read_header, lines = open_table(write(tmp_path / "is.csv.gz", header, rows, ","), "is.csv.gz")
    frame = sites_frame("set1", read_sites(read_header, lines, "B1", settings, "is.csv.gz"))
    assert frame["site"].tolist() == ["chr3+900", "chr3-4200"]
    assert frame["abundance"].tolist() == [1.04, 17.25]
    assert frame["gene"].tolist() == ["ABC", "MECOM"]
    told = findings(read_header, [], settings, "set1")
    assert "genome_not_told" in [f["check"] for f in told]


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_the_delimiter_is_seen(tmp_path: Path, delimiter: str) -> None:
    header, lines = open_table(write(tmp_path / "t.txt", HEADER, [GOOD, row(start="7")], delimiter), "t.txt")
    assert header == HEADER
    assert [number for number, _ in lines] == [2, 3]


def test_row_numbers_are_those_of_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('chrom,strand\n"chr\n1",+\n\nchr2,-\n')
    assert [number for number, _ in open_table(path, "t.csv")[1]] == [2, 4]


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"chrom,strand\n\xff\xfe,+\n", gzip.compress(b"chrom,strand\n" * 9, mtime=0)[:-9]],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InputError):
        list(open_table(path, "t.csv")[1])


def test_a_list_of_genes_has_one_symbol_a_line() -> None:
    assert parse_genes("# oncogenes\nLMO2\nmecom  # EVI1\n\n", "g") == {"LMO2", "MECOM"}
    with pytest.raises(InputError, match=r"g, row 2: found 'CCND2 HMGA2'"):
        parse_genes("LMO2\nCCND2 HMGA2\n", "g")
    with pytest.raises(InputError, match="no gene"):
        parse_genes("# none\n", "g")
