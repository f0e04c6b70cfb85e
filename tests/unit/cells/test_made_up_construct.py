"""The construct that the project ships: the plan of a CAR, nobody's letters."""

from __future__ import annotations

from cartrace.simulate.construct import (
    fasta_text,
    gtf_text,
    made_up_construct,
    made_up_endogenous,
)


def test_its_domains_follow_each_other_without_a_gap() -> None:
    construct = made_up_construct()
    ends = [0, *(d.end for d in construct.domains)]
    assert [d.start for d in construct.domains] == [e + 1 for e in ends[:-1]]
    assert ends[-1] == len(construct.sequence)
    assert 2300 < len(construct.sequence) < 2500


def test_shared_domains_stand_letter_by_letter_in_the_endogenous_transcripts() -> None:
    construct, genes = made_up_construct(), made_up_endogenous()
    for kind, gene in (
        ("hinge", "CD8A"),
        ("transmembrane", "CD8A"),
        ("costimulation", "TNFRSF9"),
        ("signalling", "CD247"),
    ):
        assert genes[gene].count(construct.sequence[construct.span(kind)]) == 1
    for kind in ("leader", "vh", "vl", "wpre"):
        piece = construct.sequence[construct.span(kind)]
        assert not any(piece[i : i + 31] in g for g in genes.values() for i in range(len(piece) - 30))


def test_the_same_seed_gives_the_same_letters_and_another_seed_others() -> None:
    again = made_up_construct.__wrapped__()
    assert again == made_up_construct()
    assert made_up_construct(7).sequence != again.sequence


def test_it_is_written_as_fasta_and_gtf() -> None:
    construct = made_up_construct()
    header, *lines = fasta_text({construct.name: construct.sequence}).splitlines()
    assert header == f">{construct.name}"
    assert "".join(lines) == construct.sequence
    rows = [line.split("\t") for line in gtf_text(construct).splitlines()]
    assert [r[2] for r in rows] == ["transcript", "CDS", *["domain"] * len(construct.domains)]
    start, end = int(rows[1][3]), int(rows[1][4])
    assert construct.sequence[start - 1 : start + 2] == "ATG"
    assert construct.sequence[end : end + 3] == "TAA"
    assert (end - start + 1) % 3 == 0
