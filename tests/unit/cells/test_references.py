"""Counting references: the CAR as a contig and a gene, and how big an index becomes."""

from __future__ import annotations

import io

import pytest

from cartrace.cells.references import (
    Contig,
    GenomeSize,
    check_names,
    contig_gtf,
    contig_of,
    provable_positions,
    star_bin_bits,
    star_index_bases,
    star_memory,
    star_sparsity,
    transcripts_of,
    write_annotation,
    write_genome,
    write_transcripts,
)
from cartrace.problems import InputError

CAR = Contig("CAR", "ACGTACGTAC", ((1, 3), (8, 10)))
GENOME = [">chr1 first\n", "ACGTAACC\n", "GGTT\n"]
ANNOTATION = [
    "#!x\n",
    'chr1\tx\tgene\t1\t12\t.\t+\t.\tgene_id "G1";\n',
    'chr1\tx\texon\t1\t3\t.\t+\t.\tgene_id "G1"; transcript_id "T1"; gene_name "A";\n',
    'chr1\tx\texon\t9\t10\t.\t+\t.\tgene_id "G1"; transcript_id "T1"; gene_name "A";\n',
    'chr1\tx\texon\t9\t12\t.\t-\t.\tgene_id "G2"; transcript_id "T2";\n',
    'chr1\tx\texon\t5\t6\t.\t-\t.\tgene_id "G2"; transcript_id "T2";\n',
]


def test_stretches_that_count_are_those_that_reads_can_prove() -> None:
    assert contig_of("CAR", "ACGTACGTAC", [True] * 3 + [False] * 4 + [True] * 3) == CAR


def test_positions_follow_from_regions_of_starts() -> None:
    rows = [
        {"class": "discriminative", "start": 1, "end": 2},
        {"class": "endogenous_like", "start": 3, "end": 5},
        {"class": "discriminative", "start": 6, "end": 7},
    ]
    # Reads of 4 that start at 1 and 2 cover 1 to 5, those at 6 and 7 cover 6 to 10.
    assert provable_positions(rows, 10, 4) == [True] * 10
    assert provable_positions(rows[:2], 10, 4) == [True] * 5 + [False] * 5


def test_a_construct_that_proves_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="no stretch that can be told"):
        contig_of("CAR", "ACGT", [False] * 4)


def test_each_stretch_is_a_transcript_of_one_gene() -> None:
    rows = [line.split("\t") for line in contig_gtf(CAR).splitlines()]
    assert [(r[2], int(r[3]), int(r[4])) for r in rows] == [
        ("gene", 1, 10),
        ("transcript", 1, 3),
        ("exon", 1, 3),
        ("transcript", 8, 10),
        ("exon", 8, 10),
    ]
    assert all('gene_id "CAR";' in r[8] for r in rows)
    assert 'transcript_id "CAR.2"' in rows[4][8]


def test_genome_and_genes_are_copied_and_the_construct_added() -> None:
    fasta, gtf = io.StringIO(), io.StringIO()
    size, names = write_genome(GENOME, [CAR], fasta, "g.fa")
    assert fasta.getvalue() == "".join(GENOME) + ">CAR\nACGTACGTAC\n"
    assert (size, names) == (GenomeSize(22, 2), {"chr1", "CAR"})
    assert write_annotation(ANNOTATION, [CAR], names, gtf, "g.gtf") == 4
    assert gtf.getvalue() == "".join(ANNOTATION) + contig_gtf(CAR)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([">CAR\n", "A\n"], "a contig 'CAR'"),
        ([], "no sequence"),
        (["ACGT\n"], "letters before the first header"),
    ],
)
def test_genomes_that_do_not_fit_are_refused(lines: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        write_genome(lines, [CAR], io.StringIO(), "g.fa")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "no exon"),
        (['1\tx\texon\t1\t3\t.\t+\t.\tgene_id "G";\n'], "'1' is none"),
        (['chr1\tx\texon\t1\t3\t.\t+\t.\tgene_id "E"; gene_name "CAR";\n'], "a gene 'CAR'"),
    ],
)
def test_annotations_that_do_not_fit_are_refused(lines: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        write_annotation(lines, [CAR], frozenset({"chr1", "CAR"}), io.StringIO(), "g.gtf")


@pytest.mark.parametrize("name", ["a b", "", "x;y", "-x", "../x"])
def test_names_that_count_matrices_can_not_hold_are_refused(name: str) -> None:
    with pytest.raises(InputError):
        check_names([Contig(name, "A", ((1, 1),))])


def test_names_stand_once() -> None:
    with pytest.raises(InputError, match="twice"):
        check_names([CAR, CAR])


def test_transcripts_are_spliced_and_turned_with_their_strand() -> None:
    # chr1 is ACGTAACCGGTT: T1 is ACG + GG; T2 on the minus strand is the reverse complement of AA + GGTT.
    got = list(transcripts_of(ANNOTATION, lambda _: "ACGTAACCGGTT", "g.gtf"))
    assert got == [("T1", "G1", "A", "ACGGG"), ("T2", "G2", "G2", "AACCTT")]
    fasta, t2g = io.StringIO(), io.StringIO()
    assert write_transcripts(got, [CAR], fasta, t2g) == 4
    assert t2g.getvalue().splitlines()[1:] == ["T2\tG2\tG2", "CAR.1\tCAR\tCAR", "CAR.2\tCAR\tCAR"]
    assert fasta.getvalue().splitlines()[-4:] == [">CAR.1", "ACG", ">CAR.2", "TAC"]


def test_an_annotation_whose_contigs_are_mixed_is_refused() -> None:
    mixed = [ANNOTATION[2], ANNOTATION[4].replace("chr1", "chr2"), ANNOTATION[3]]
    with pytest.raises(InputError, match="in two places"):
        list(transcripts_of(mixed, lambda _: "ACGTAACCGGTT", "g.gtf"))


HUMAN = GenomeSize(3_100_000_000, 194)


def test_a_human_index_takes_what_the_manual_says() -> None:
    assert star_index_bases(HUMAN) == 14
    assert star_bin_bits(HUMAN, 90) == 18
    # The manual: at least 10 x the genome's bases, about 31 GB.
    assert 29e9 < star_memory(HUMAN, 1) < 33e9


def test_an_index_grows_sparse_until_it_fits() -> None:
    assert star_sparsity(HUMAN, None) == 1
    assert star_sparsity(HUMAN, 40_000_000_000) == 1
    assert star_sparsity(HUMAN, 16_000_000_000) == 3
    with pytest.raises(InputError, match=r"8\.0 GB of memory"):
        star_sparsity(HUMAN, 8_000_000_000)
