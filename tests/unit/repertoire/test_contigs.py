"""The reader of contigs: every format says the same, every fault is told with its place."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.problems import InputError
from cartrace.repertoire import contig_blocks
from cartrace.repertoire.contigs import ContigTable, contigs_of, faults_of, read_contigs, translate

TENX = (
    "barcode,is_cell,contig_id,high_confidence,length,chain,v_gene,d_gene,j_gene,c_gene,full_length,productive,"
    "cdr3,cdr3_nt,reads,umis"
)
AIRR = [
    "sequence_id",
    "cell_id",
    "productive",
    "locus",
    "v_call",
    "d_call",
    "j_call",
    "c_call",
    "junction",
    "junction_aa",
    "consensus_count",
    "duplicate_count",
]
CELL = "AAACCTGAGAAACCAT-1"
NT, AA = "TGTGCCAGCTTT", "CASF"


def tenx(number: int = 1, **other: str) -> str:
    values = {
        "barcode": CELL,
        "is_cell": "true",
        "contig_id": f"{CELL}_contig_{number}",
        "high_confidence": "True",
        "length": "500",
        "chain": "TRB",
        "v_gene": "TRBV5-1",
        "d_gene": "",
        "j_gene": "TRBJ1-1",
        "c_gene": "TRBC1",
        "full_length": "true",
        "productive": "true",
        "cdr3": AA,
        "cdr3_nt": NT,
        "reads": "30",
        "umis": "3",
    } | other
    return ",".join(values[c] for c in TENX.split(","))


def airr(number: int = 1, titles: list[str] | None = None, **other: str) -> str:
    values = {
        "sequence_id": f"{CELL}_{number}",
        "cell_id": CELL,
        "productive": "T",
        "locus": "TRB",
        "v_call": "TRBV5-1*01,TRBV5-4*01",
        "j_call": "TRBJ1-1*01",
        "c_call": "TRBC1",
        "junction": NT,
        "junction_aa": AA,
        "consensus_count": "30",
        "duplicate_count": "3",
    } | other
    return "\t".join(values.get(c, "") for c in titles or AIRR)


def contig(**other: Any) -> dict[str, Any]:
    genes = {"L-REGION+V-REGION": "TRBV5-1", "J-REGION": "TRBJ1-1", "C-REGION": "TRBC1", "5'UTR": "TRBV5-1"}
    return {
        "annotations": [
            {"feature": {"chain": "TRB", "gene_name": g, "region_type": r}} for r, g in genes.items()
        ],
        "barcode": CELL,
        "contig_name": f"{CELL}_contig_1",
        "is_cell": True,
        "high_confidence": True,
        "productive": True,
        "cdr3": AA,
        "cdr3_seq": NT,
        "read_count": 30,
        "umi_count": 3,
        "quals": "I" * 500,
    } | other


def parsed(content: str | bytes, name: str = "x.csv") -> ContigTable:
    data = content if isinstance(content, bytes) else content.encode()
    return contigs_of(lambda: io.BytesIO(data), name)


def csv_of(*lines: str) -> ContigTable:
    return parsed("\n".join([TENX, *lines, ""]))


def tsv_of(*lines: str, titles: list[str] | None = None) -> ContigTable:
    return parsed("\n".join(["\t".join(titles or AIRR), *lines, ""]), "x.tsv")


def first(table: ContigTable) -> Mapping[str, Any]:
    return {str(k): v for k, v in table.frame.iloc[0].items() if not pd.isna(v)}


def message(content: str | bytes, name: str = "x.csv") -> str:
    with pytest.raises(InputError) as error:
        parsed(content, name)
    return str(error.value)


def test_the_same_chain_reads_the_same_from_every_format() -> None:
    tables = [csv_of(tenx()), parsed(json.dumps([contig()]), "x.json"), tsv_of(airr())]
    assert [t.form for t in tables] == ["10x csv", "10x json", "AIRR tsv"]
    rows = [first(t) for t in tables]
    for column in (
        "cell",
        "locus",
        "v_gene",
        "j_gene",
        "c_gene",
        "cdr3_nt",
        "cdr3_aa",
        "umis",
        "reads",
        "productive",
    ):
        assert len({r[column] for r in rows}) == 1, column
    assert rows[0]["v_gene"] == "TRBV5-1"
    assert [r["record"] for r in rows] == [2, 1, 2]
    assert "is_cell" not in tables[2].has
    assert "mutation_frequency" not in tables[0].has


@pytest.mark.parametrize(
    "change", [gzip.compress, lambda c: b"\xef\xbb\xbf" + c, lambda c: c.replace(b"\n", b"\r\n")]
)
def test_packed_marked_and_windows_files_read_alike(change: Any, tmp_path: Path) -> None:
    content = f"{TENX}\n{tenx()}\n{tenx(2, v_gene='TRBV9')}\n".encode()
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "b").write_bytes(change(content))
    one, other = (read_contigs(tmp_path / n, n).frame for n in "ab")
    pd.testing.assert_frame_equal(one, other)


def test_the_slow_way_gives_what_the_fast_way_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [tenx(i, umis=str(i), productive="None" if i % 3 else "True") for i in range(1, 40)]
    fast = csv_of(*lines).frame
    # An empty line ends the fast way; the rows after it are one later.
    slow = csv_of(*lines[:20], "", *lines[20:]).frame
    assert slow["record"].tolist() == [*range(2, 22), *range(23, 42)]
    pd.testing.assert_frame_equal(fast.drop(columns="record"), slow.drop(columns="record"))


def test_quoted_fields_may_hold_commas_and_line_breaks() -> None:
    table = csv_of(tenx(d_gene='"TRBD1,TRBD2"'), tenx(2, length='"5\n00"'), tenx(3))
    assert table.frame["d_gene"].tolist()[0] == "TRBD1"
    assert table.frame["record"].tolist() == [2, 3, 4]


@pytest.mark.parametrize(
    "content", ["", "\ufeff", " \n\n", TENX, f"{TENX}\r\n", "[]", "[ ]\n", "\t".join(AIRR)]
)
def test_an_empty_file_has_no_contigs_and_no_fault(content: str) -> None:
    table = parsed(content)
    assert len(table.frame) == 0
    assert faults_of(table, np.zeros(0, bool)) == []


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("umis", "nan", "whole number"),
        ("umis", "inf", "whole number"),
        ("umis", "-3", "whole number"),
        ("reads", "12345678901", "whole number"),
        ("umis", "2.5", "whole number"),
        ("productive", "yes", "true, false or None"),
        ("cdr3_nt", "TGTRCC", "nucleotides"),
        ("cdr3_nt", "A" * 1000, "nucleotides"),
        ("cdr3", "C4SS", "amino acids"),
        ("v_gene", "=1+1", "name of a gene"),
        ("j_gene", "TRBJ1-1_2024-03-01", "name of a gene without a date"),
        ("barcode", "", "a barcode"),
        ("barcode", "Müller", "a barcode"),
        ("barcode", "2024-03-01_AAACCTGAGAAACCAT", "without a date"),
    ],
)
def test_a_value_that_makes_no_sense_is_told_with_its_place(field: str, value: str, allowed: str) -> None:
    text = message(f"{TENX}\n{tenx()}\n{tenx(2, **{field: value})}\n")
    assert f"x.csv, row 3, column '{field}'" in text
    assert allowed in text
    assert "2024" not in text


def test_all_faults_are_told_five_of_them_one_by_one() -> None:
    lines = [tenx(1, umis="x"), tenx(2) + ",more", tenx(3), *[tenx(4, productive="?")] * 6]
    text = message("\n".join([TENX, *lines]))
    assert "row 2, column 'umis'" in text
    assert "row 3: found 17 columns; allowed: 16" in text
    assert "row 7" in text
    assert "row 8" not in text
    assert "3 more lines like these" in text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (TENX.replace(",", ";") + "\n", "columns separated by ';'"),
        (TENX.replace(",", "\t") + "\n", "columns separated by a tab"),
        (",".join(AIRR) + "\n", "AIRR columns separated by a comma"),
        (TENX.replace("length", "umis") + "\n", "column 'umis' twice"),
        ("a,b\n1,2\n", "no column 'barcode'"),
        ("\t".join(AIRR[2:]) + "\n", "no column 'cell_id'"),
        (TENX + '\n"' + "x" * 200_000, "no csv"),
        ("x" * 100_000, "a first line of more"),
        (f"{TENX}\n{tenx()}\n".encode("utf-16"), "UTF-8|no column"),
        (f"{TENX}\n{tenx(c_gene='GENE')}\n".replace("GENE", "M\xfc").encode("latin-1"), "UTF-8"),
    ],
)
def test_a_file_of_another_form_is_refused(content: str | bytes, expected: str) -> None:
    assert any(e in message(content) for e in expected.split("|"))


def test_a_cut_or_exploding_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress("\n".join([TENX, *(tenx(i) for i in range(3000))]).encode())
    (tmp_path / "cut.gz").write_bytes(packed[:-200])
    with pytest.raises(InputError, match="damaged or cut off"):
        read_contigs(tmp_path / "cut.gz", "cut.gz")
    (tmp_path / "bomb.gz").write_bytes(packed)
    monkeypatch.setattr("cartrace.repertoire.contigs.MOST_BYTES", 100_000)
    with pytest.raises(InputError, match="more text than such a file holds"):
        read_contigs(tmp_path / "bomb.gz", "bomb.gz")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{}", "json that is no list"),
        ("[" * 100_000, "without end"),
        ('[{"barcode": "A-1"}', "the whole file"),
        ('[{"barcode": "A-1"} {"barcode": "A-1"}]', "separated by commas"),
        ('[{"umi_count": NaN}]', "numbers"),
        ('[{"umi_count": 1' + "0" * 5000 + "}]", "numbers|whole number"),
        ("[1]", "no contig"),
        ("[{}] x", "one list"),
        (json.dumps([contig(), contig(umi_count=-1)]), "x.json, contig 2, column 'umi_count': found '-1'"),
        (json.dumps([contig(productive=[1])]), "contig 1, column 'productive'"),
        (json.dumps([contig(barcode=None)]), "contig 1, column 'barcode': found nothing"),
    ],
)
def test_json_that_is_none_is_refused(content: str, expected: str) -> None:
    assert any(e in message(content, "x.json") for e in expected.split("|"))


def test_json_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [contig(contig_name=f"{CELL}_contig_{i}", umi_count=i) for i in range(1, 30)]
    whole = parsed(json.dumps(many, indent=4), "x.json").frame
    monkeypatch.setattr(contig_blocks, "HEAD", 97)
    pd.testing.assert_frame_equal(parsed(json.dumps(many, indent=4), "x.json").frame, whole)
    assert whole["umis"].tolist() == list(range(1, 30))


def test_genes_of_two_loci_are_of_none() -> None:
    strange = contig()
    strange["annotations"][0]["feature"]["chain"] = "TRA"
    assert "locus" not in first(parsed(json.dumps([strange]), "x.json"))


@pytest.mark.parametrize(
    ("call", "gene"),
    [
        ("IGHV3-23*01,IGHV3-23D*01", "IGHV3-23"),
        ("IGHV3-30-22*01", "IGHV3-30-22"),
        ("Homsap IGHV3-23*01 F, or Homsap IGHV3-23D*01 F", "IGHV3-23"),
        ("TRAV14DV4", "TRAV14/DV4"),
        ("TRAV38-2DV8*01", "TRAV38-2/DV8"),
        ("IGHV1/OR15-1*02", "IGHV1/OR15-1"),
        ("None", None),
    ],
)
def test_of_a_call_the_first_gene_counts_without_its_allele(call: str, gene: str | None) -> None:
    assert first(tsv_of(airr(v_call=call, locus=""))).get("v_gene") == gene


@pytest.mark.parametrize(
    ("genes", "locus"),
    [
        (("IGHV3-23", "IGHJ4", "IGHG1"), "IGH"),
        (("TRAV29/DV5*01", "TRDJ1", "TRDC"), "TRD"),
        (("TRAV29/DV5*01", "TRAJ1", ""), "TRA"),
        (("TRBV5-1", "TRAJ1", ""), None),
        (("", "", ""), None),
    ],
)
def test_the_locus_of_airr_follows_from_the_genes(genes: tuple[str, str, str], locus: str | None) -> None:
    v, j, c = genes
    titles = [t for t in AIRR if t != "locus"]
    assert (
        first(tsv_of(airr(titles=titles, v_call=v, j_call=j, c_call=c), titles=titles)).get("locus") == locus
    )


def test_umis_come_from_the_newer_column_where_it_has_them() -> None:
    titles = [*AIRR, "umi_count"]
    table = tsv_of(airr(titles=titles, umi_count="7"), airr(2, titles=titles, umi_count=""), titles=titles)
    assert table.frame["umis"].tolist() == [7, 3]


def test_trust4_is_read_by_cell_and_its_table_of_clonotypes_is_refused() -> None:
    # The columns of trust-airr.pl: no locus, no UMIs beside consensus_count, identity in percent.
    titles = [
        "sequence_id",
        "sequence",
        "rev_comp",
        "productive",
        "v_call",
        "d_call",
        "j_call",
        "c_call",
        "sequence_alignment",
        "germline_alignment",
        "cdr1",
        "cdr2",
        "junction",
        "junction_aa",
        "v_cigar",
        "d_cigar",
        "j_cigar",
        "v_identity",
        "j_identity",
        "cell_id",
        "complete_vdj",
        "consensus_count",
    ]
    table = tsv_of(
        airr(titles=titles, v_identity="97.50", complete_vdj="T"),
        airr(2, titles=titles, v_identity="", productive="F", junction_aa=""),
        titles=titles,
    )
    assert table.lacking == ()
    assert table.frame["locus"].tolist() == ["TRB", "TRB"]
    assert table.frame["reads"].tolist() == [30, 30]
    assert "umis" not in table.has
    assert table.frame["mutation_frequency"].iloc[0] == pytest.approx(0.025)
    assert np.isnan(table.frame["mutation_frequency"].iloc[1])
    with pytest.raises(InputError, match=r"_barcode_airr\.tsv"):
        tsv_of(airr(titles=titles, cell_id=""), titles=titles)
    with pytest.raises(InputError, match="row 3, column 'cell_id': found nothing"):
        tsv_of(airr(titles=titles), airr(2, titles=titles, cell_id=""), titles=titles)


def test_what_airr_requires_and_the_file_lacks_is_named() -> None:
    assert {"rev_comp", "v_cigar"} <= set(tsv_of(airr()).lacking)


@pytest.mark.parametrize(
    ("column", "texts", "frequencies"),
    [
        ("v_identity", ["0.98", "1"], [0.02, 0]),
        ("v_identity", ["98", "100.0"], [0.02, 0]),
        ("v_identity", ["98", "0"], [0.02, np.nan]),
        ("mu_freq", ["0.1", ""], [0.1, np.nan]),
    ],
)
def test_the_mutation_frequency_is_what_is_told_or_the_rest_of_the_identity(
    column: str, texts: list[str], frequencies: list[float]
) -> None:
    titles = [*AIRR, column]
    table = tsv_of(*(airr(i, titles=titles, **{column: t}) for i, t in enumerate(texts)), titles=titles)
    np.testing.assert_allclose(table.frame["mutation_frequency"], frequencies, atol=1e-12)
    assert "mutation_frequency" in table.has


def test_the_mutation_frequency_is_counted_in_an_alignment() -> None:
    titles = [*AIRR, "v_sequence_alignment", "v_germline_alignment"]
    # 8 bases face bases, 2 of them differ; gaps and N tell nothing.
    line = airr(titles=titles, v_sequence_alignment="ACGTACGT..NA", v_germline_alignment="ACGAACGA..A-")
    assert tsv_of(line, titles=titles).frame["mutation_frequency"].tolist() == [0.25]


@pytest.mark.parametrize("texts", [["0.98", "97"], ["1", "97"]])
def test_two_scales_of_identity_in_one_file_are_refused(texts: list[str]) -> None:
    titles = [*AIRR, "v_identity"]
    with pytest.raises(InputError, match=r"row 2, column 'v_identity'.*0 to 1 and of 0 to 100"):
        tsv_of(*(airr(i, titles=titles, v_identity=t) for i, t in enumerate(texts)), titles=titles)


def test_a_contig_with_a_hostile_name_gets_another() -> None:
    table = csv_of(tenx(contig_id="2024-03-01_1"), tenx(contig_id="a b"), tenx(contig_id="ok"))
    assert table.frame["contig"].tolist() == ["unnamed_2", "unnamed_3", "ok"]


def test_cdr3_that_contradict_and_contigs_that_come_twice_are_faults() -> None:
    table = csv_of(
        tenx(), tenx(2, cdr3="CASS"), tenx(3, cdr3_nt="TGTGC"), tenx(), tenx(5, productive="false", cdr3="C")
    )
    found = [str(p) for p in faults_of(table, table.frame["productive"].to_numpy(bool))]
    assert [f.split(":")[0] for f in found] == [
        "x.csv, row 3, column 'cdr3'",
        "x.csv, row 4, column 'cdr3'",
        "x.csv, row 5, column 'contig_id'",
    ]
    assert faults_of(csv_of(tenx(cdr3_nt="TGTGCNAGCTTT", cdr3="C?SF")), np.ones(1, bool)) == []
    lone = parsed("barcode,chain,productive,cdr3_nt\nA-1,TRB,true,TGT\n")
    assert "no column 'v_gene'" in str(faults_of(lone, np.ones(1, bool))[1])


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contig_blocks, "_MOST_LINE", 1000)
    assert "row 3: found a line that is no csv" in message(f"{TENX}\n{tenx()}\n" + "x" * 5000)


FILES = [
    "\n".join([TENX, *(tenx(i) for i in range(4)), ""]).encode(),
    "\n".join(["\t".join(AIRR), *(airr(i) for i in range(4)), ""]).encode(),
    json.dumps([contig(contig_name=f"c{i}", quals="") for i in range(3)]).encode(),
]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(FILES),
    st.integers(0, 2000),
    st.integers(0, 20),
    st.one_of(
        st.binary(max_size=8), st.sampled_from([b"\n", b'"', b"NaN", b"[[[[", b"\\ud800", b"\xe2\x80\xa8"])
    ),
)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    file: bytes, at: int, cut: int, junk: bytes
) -> None:
    try:
        table = parsed(file[:at] + junk + file[at + cut :])
    except InputError:
        return
    assert table.frame["cell"].notna().all()
    assert len(faults_of(table, np.ones(len(table.frame), bool))) <= len(table.frame) + 1


def test_codons_become_amino_acids() -> None:
    assert translate("TGCGCATCTTCTGTTGGAGGACTGAACCAACCACAACACTTC") == "CASSVGGLNQPQHF"
    assert translate("TAANNN") == "*X"
