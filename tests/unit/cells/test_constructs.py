"""Constructs: what is read from their files, and every fault that is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartrace.cells.construct_checks import check_construct, compare_protein, domain_rows
from cartrace.cells.constructs import (
    CODON,
    Construct,
    Domain,
    kind_of,
    longest_orf,
    parse_fasta,
    read_construct,
    reverse_complement,
    translate,
)
from cartrace.problems import InputError
from cartrace.simulate.construct import fasta_text, gtf_text, made_up_construct

# ATG GCT TGT | GAT GAA TTT | GGT CAC ATT AAA | CTA AAT CCA TAA
SEQUENCE = "ATGGCTTGT" + "GATGAATTT" + "GGTCACATTAAA" + "CTAAATCCATAA"
DOMAINS = (
    ("sig", "leader", 1, 9),
    ("anti-X", "binder", 10, 18),
    ("hinge", "hinge", 19, 30),
    ("z", "signalling", 31, 39),
)


def construct(
    sequence: str = SEQUENCE, domains: tuple[tuple[str, str, int, int], ...] = DOMAINS
) -> Construct:
    gtf = "".join(
        f'c\tx\tdomain\t{a}\t{b}\t.\t+\t.\tgene_id "c"; domain "{n}"; kind "{k}";\n' for n, k, a, b in domains
    )
    return read_construct("c", f">c\n{sequence}\n", gtf, fasta_file="c.fa", annotation_file="c.gtf")


def found(of: Construct, check: str) -> str:
    return " | ".join(str(r["message"]) for r in check_construct(of) if r["check"] == check)


def verdicts(of: Construct) -> dict[str, str]:
    return {str(r["check"]): str(r["verdict"]) for r in check_construct(of)}


def test_a_sound_construct_has_no_finding_but_its_ends() -> None:
    sound = construct()
    assert sound.protein == "MACDEFGHIKLNP*"
    assert set(verdicts(sound)) == {"construct", "construct_upstream", "construct_downstream"}
    assert "coding from 1 to 42 (13 amino acids)" in found(sound, "construct")


def test_the_made_up_construct_is_sound_and_read_as_it_was_written() -> None:
    made = made_up_construct()
    read = read_construct(
        made.name,
        fasta_text({made.name: made.sequence}),
        gtf_text(made),
        fasta_file="a",
        annotation_file="b",
    )
    assert read.domains == made.domains
    assert read.coding == (151, 1614)
    assert set(verdicts(read)) == {"construct"}


@pytest.mark.parametrize(
    ("sequence", "check", "said"),
    [
        (SEQUENCE[:-2], "construct_length", "1-40 has 40 bases, 1 more than whole codons"),
        ("CTG" + SEQUENCE[3:], "construct_start", "begins with CTG at 1"),
        (SEQUENCE[:12] + "TAG" + SEQUENCE[15:], "construct_inner_stop", "codon 5 (base 13)"),
        (SEQUENCE[:-3], "construct_end", "no stop codon at the end of the coding sequence (CCA at 39)"),
        (SEQUENCE + "TGA", "construct", "coding from 1 to 42"),
        (SEQUENCE[:5] + "NR" + SEQUENCE[7:], "construct_letters", "2 letters that are not A, C, G or T: 6-7"),
    ],
)
def test_faults_of_the_sequence_are_told_with_their_place(sequence: str, check: str, said: str) -> None:
    assert said in found(construct(sequence), check)


@pytest.mark.parametrize(
    ("domains", "check", "said"),
    [
        (
            (*DOMAINS[:1], ("anti-X", "binder", 8, 18), *DOMAINS[2:]),
            "construct_overlap",
            "sig and anti-X at 8-9 (2 bp)",
        ),
        ((*DOMAINS[:2], *DOMAINS[3:]), "construct_gap", "12 coding bases belong to no domain: 19-30"),
        ((*DOMAINS[:3], ("z", "signalling", 31, 35)), "construct_gap", "36-39"),
        ((*DOMAINS[:3], ("z", "signalling", 31, 99)), "construct_outside", "z 31-99"),
        (
            (DOMAINS[0], ("h", "hinge", 10, 18), ("b", "binder", 19, 30), DOMAINS[3]),
            "construct_order",
            "b 19-30 (binder) after h 10-18 (hinge)",
        ),
        ((*DOMAINS[:2], ("hinge", "hinge", 20, 30), DOMAINS[3]), "construct_frame", "1 base into a codon"),
        ((*DOMAINS, ("anti-X", "binder", 10, 18)), "construct_twice", "anti-X"),
        ((*DOMAINS, ("anti-Y", "binder", 10, 18)), "construct_twice", "anti-X, anti-Y at 10-18"),
        ((*DOMAINS[:3], ("z", "other", 31, 39)), "construct_parts", "no domain is annotated as signalling"),
        (
            (*DOMAINS[:3], ("4-1BB", "costimulation", 31, 39)),
            "construct_known_domain",
            "does not hold the protein of 4-1BB",
        ),
    ],
)
def test_faults_of_the_annotation_are_told_with_their_place(
    domains: tuple[tuple[str, str, int, int], ...], check: str, said: str
) -> None:
    assert said in found(construct(domains=domains), check)


def test_a_known_domain_in_another_place_is_told() -> None:
    back = {a: c for c, a in CODON.items()}
    cd28 = "".join(back[a] for a in "RSKRSRLLHSDYMNMTPRRPGPTRKHYQPYAPPRDFAAYRS")
    sequence = SEQUENCE[:30] + cd28 + "TAA"
    domains = (*DOMAINS[:3], ("CD28", "costimulation", 91, 153))
    assert found(construct(sequence, domains), "construct_known_domain") == (
        "the protein of CD28 is at 31-153, but annotated as CD28 91-153"
    )


def test_a_second_car_behind_a_2a_peptide_begins_the_order_anew() -> None:
    twice = SEQUENCE[:39] + "GGT" + SEQUENCE
    domains = (*DOMAINS, ("P2A", "two_a", 40, 42), *((f"{n}2", k, a + 42, b + 42) for n, k, a, b in DOMAINS))
    assert verdicts(construct(twice, domains)).keys() == {
        "construct",
        "construct_upstream",
        "construct_downstream",
    }


def test_only_the_ends_that_libraries_read_matter() -> None:
    sound = construct()
    checks = [{r["check"] for r in check_construct(sound, [c])} for c in ("5p", "3p")]
    assert checks == [{"construct", "construct_upstream"}, {"construct", "construct_downstream"}]


def test_names_that_do_not_agree_are_told() -> None:
    other = read_construct(
        "c", f">record one\n{SEQUENCE}\n", "contig\t0\t9\tsig\n", fasta_file="a", annotation_file="b"
    )
    assert "is of 'contig', the FASTA record is 'record'" in found(other, "construct_names")


def test_gtf_gff3_and_bed_say_the_same() -> None:
    fasta = f">c\n{SEQUENCE}\n"
    texts = (
        'c\tx\texon\t1\t9\t.\t+\t.\tgene_id "c"; exon_id "leader";\nc\tx\texon\t10\t39\t.\t+\t.\tgene_id "c"; exon_id "anti-X";\n',
        "##gff-version 3\nc\tx\tdomain\t1\t9\t.\t+\t.\tID=d1;Name=leader\nc\tx\tdomain\t10\t39\t.\t+\t.\tID=d2;Name=anti-X\n",
        "track name=x\nc\t0\t9\tleader\t0\t+\nc\t9\t39\tanti-X\n",
    )
    read = [read_construct("c", fasta, t, fasta_file="a", annotation_file="b") for t in texts]
    assert read[0].domains == read[1].domains == read[2].domains
    assert [(d.kind, d.start, d.end) for d in read[0].domains] == [("leader", 1, 9), ("binder", 10, 39)]


@pytest.mark.parametrize(
    ("fasta", "annotation", "said"),
    [
        ("", "c\t0\t9\tx\n", "no FASTA record"),
        ("ACGT\n", "c\t0\t9\tx\n", "letters before the first header"),
        (">a\n>b\nACGT\n", "c\t0\t9\tx\n", "no letters in record 'a'"),
        (">a\nACGT\n>b\nACGT\n", "c\t0\t9\tx\n", "2 records"),
        (">a\nMALPVTALLLPLALLLH\n", "c\t0\t9\tx\n", "letters of a protein"),
        (">a\nACGTJ\n", "c\t0\t9\tx\n", "letters that are no bases: J"),
        (">a\nACGT\n", "", "no row"),
        (">a\nACGT\n", "c 0 9 x\n", "1 columns"),
        (">a\nACGT\n", 'c\tx\ttranscript\t1\t4\t.\t+\t.\tgene_id "c";\n', "no domain"),
        (">x\nACGT\n", "c\t²\t3\n", "3 columns"),
        (">x\nACGT\n", "c\t1\t3\tVH\n" * 1001, "1001 rows"),
    ],
)
def test_files_that_can_not_be_read_are_refused(fasta: str, annotation: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        read_construct("c", fasta, annotation, fasta_file="c.fa", annotation_file="c.gtf")
    assert said in str(error.value)


def test_faults_of_both_files_are_told_at_once() -> None:
    with pytest.raises(InputError) as error:
        read_construct("c", "", "", fasta_file="c.fa", annotation_file="c.gtf")
    assert {p.file for p in error.value.problems} == {"c.fa", "c.gtf"}


def test_a_given_protein_is_compared() -> None:
    sound = construct()
    assert compare_protein(sound, "MACDEFGHIKLNP")[0]["verdict"] == "pass"
    assert "1 amino acids differ: D4N" in str(compare_protein(sound, "MACNEFGHIKLNP")[0]["message"])
    assert "they part at amino acid 4 (base 10)" in str(
        compare_protein(sound, "MACAADEFGHIKLNP")[0]["message"]
    )


def test_domains_become_rows_with_their_protein() -> None:
    rows = domain_rows(construct(), [True] * 9 + [False] * 33)
    assert [(r["protein"], r["in_frame"], r["provable"]) for r in rows] == [
        ("MAC", True, 1.0),
        ("DEF", True, 0.0),
        ("GHIK", True, 0.0),
        ("LNP", True, 0.0),
    ]


def test_dates_in_an_annotation_do_not_pass() -> None:
    dated = construct(domains=(("made 2021-03-04", "other", 1, 9),))
    assert dated.domains == (Domain("made <date>", "other", 1, 9),)


@given(st.text("ACGT", max_size=60))
def test_the_other_strand_of_the_other_strand_is_the_first(letters: str) -> None:
    assert reverse_complement(reverse_complement(letters)) == letters
    assert len(translate(letters)) == len(letters) // 3


@given(st.text("ACGT", max_size=80))
def test_the_longest_orf_begins_with_atg_and_ends_with_its_first_stop(letters: str) -> None:
    orf = longest_orf(letters)
    if orf is not None:
        protein = translate(letters[orf[0] - 1 : orf[1]])
        assert protein.startswith("M")
        assert protein.index("*") == len(protein) - 1


def test_letters_may_be_lower_case_and_rna() -> None:
    assert parse_fasta(">a b\nacgu\nAC\n", "f") == [("a b", "ACGTAC")]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("CD8alpha_signal_peptide", "leader"),
        ("BCMA_binding_VHH1", "binder"),
        ("anti-BCMA-Vl", "vl"),
        ("IGV heavy chain", "vh"),
        ("whitlow-linker", "linker"),
        ("CD8alphaTMD", "transmembrane"),
        ("TNFRSF9_Cytoplasmic", "costimulation"),
        ("CD247_Cytoplasmic", "signalling"),
        ("truncHIV-1_3_LTR", "ltr"),
        ("delta_U3", "ltr"),
        ("EF1a_promoter", "promoter"),
    ],
)
def test_kinds_are_guessed_from_names_as_laboratories_write_them(name: str, kind: str) -> None:
    assert kind_of(name) == kind
