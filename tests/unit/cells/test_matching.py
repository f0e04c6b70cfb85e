from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.cells.hand_reads import CAR, ENDOGENOUS, SETTINGS, Car, domain, matcher, other_car

from cartrace.cells.constructs import Domain
from cartrace.cells.matching import AMBIGUOUS, JUNCTION, UNIQUE, Match, relatives, trim
from cartrace.cells.matching import ENDOGENOUS as NATURAL
from cartrace.problems import InputError
from cartrace.simulate.cell_reads import reverse_complement

ONE = matcher()
VH = domain("vh").start - 1
ZETA = domain("signalling").start - 1
BB = domain("costimulation").start - 1


def read(start: int, length: int = 90, car: Car = CAR) -> str:
    return car.sequence[start : start + length]


def kind(sequence: str, **more: int) -> int | None:
    return ONE.classify(ONE.match(sequence), **more)


def changed(sequence: str, *positions: int) -> str:
    letters = list(sequence)
    for p in positions:
        letters[p] = "ACGT"[("ACGT".index(letters[p]) + 1) % 4]
    return "".join(letters)


def test_a_read_of_the_binder_is_unique_in_either_direction() -> None:
    assert kind(read(VH + 20)) == UNIQUE
    assert kind(reverse_complement(read(VH + 20))) == UNIQUE
    fit = ONE.match(read(VH + 20)).cars[0]
    assert (fit.start, fit.end, fit.strand, fit.cost) == (VH + 20, VH + 110, 1, 0)
    assert ONE.match(reverse_complement(read(VH + 20))).cars[0].strand == -1


def test_a_read_within_a_shared_domain_is_ambiguous() -> None:
    assert kind(read(ZETA + 50)) == AMBIGUOUS
    match = ONE.match(read(ZETA + 50))
    assert match.endogenous is not None
    assert match.cars[0].cost == match.endogenous.cost == 0


def test_a_read_across_two_shared_domains_spans_a_junction() -> None:
    assert kind(read(BB - 45)) == JUNCTION
    assert kind(read(ZETA - 45)) == JUNCTION


@pytest.mark.parametrize(("flank", "expected"), [(10, JUNCTION), (9, AMBIGUOUS), (3, AMBIGUOUS)])
def test_a_junction_needs_enough_bases_on_both_sides(flank: int, expected: int) -> None:
    assert kind(read(ZETA - flank)) == expected
    assert kind(read(ZETA - 90 + flank)) == expected


def test_a_read_of_an_endogenous_gene_is_none_of_the_car() -> None:
    beyond = ENDOGENOUS["CD247"][-300:-210]
    # It touches no construct, and nothing asks further.
    assert kind(beyond) is None
    assert kind(beyond, genome_mismatches=0) == NATURAL
    # Half in the shared domain, half in the 3'UTR: the construct does not explain it.
    at = ENDOGENOUS["CD247"].index(CAR.sequence[ZETA : ZETA + 336]) + 336
    assert kind(ENDOGENOUS["CD247"][at - 45 : at + 45]) == NATURAL


def test_four_errors_in_ninety_bases_fit_and_five_do_not() -> None:
    sequence = read(VH + 20)
    assert kind(changed(sequence, 5, 30, 50, 70)) == UNIQUE
    match = ONE.match(changed(sequence, 5, 25, 45, 60, 80))
    assert (match.cars, match.partial) == ((), True)
    assert ONE.classify(match) is None


def test_differences_are_told_with_their_place() -> None:
    sequence = read(VH + 20)
    point = changed(sequence, 40)
    assert ONE.match(point).cars[0].differences == ((VH + 60, sequence[40], point[40]),)
    # Also within bases that the aligner clips, and the same from the other strand.
    edge = changed(sequence, 0, 2)
    expected = ((VH + 20, sequence[0], edge[0]), (VH + 22, sequence[2], edge[2]))
    assert ONE.match(edge).cars[0].differences == expected
    assert ONE.match(reverse_complement(edge)).cars[0].differences == expected


def test_a_short_gap_counts_once() -> None:
    around = read(VH + 20, 100)
    fit = ONE.match(around[:50] + around[60:]).cars[0]
    assert (fit.errors, len(fit.differences), len(fit.differences[0][1])) == (1, 1, 10)
    fit = ONE.match(around[:45] + "TTGACA" + around[45:85]).cars[0]
    assert (fit.errors, fit.end - fit.start, len(fit.differences[0][2])) == (1, 85, 6)


def test_a_read_may_hang_over_the_end_of_what_is_registered() -> None:
    beyond = "GATTACAGATTACACCGTAGCATTGGCATACCGTAATCG"
    assert kind(beyond + read(0, 90 - len(beyond))) == UNIQUE
    assert ONE.match(beyond + read(0, 90 - len(beyond))).cars[0].overhang == len(beyond)
    # But not with most of its bases.
    assert kind(beyond * 2 + read(0, 20)) is None


def test_bases_of_the_kit_are_cut_off() -> None:
    oligo = "AAGCAGTGGTATCAACGCAGAGTACATGGG"
    inner = read(VH + 20, 60)
    assert trim(oligo + inner) == inner
    assert trim(reverse_complement(oligo + inner)) == reverse_complement(inner)
    assert trim(read(VH + 20)) == read(VH + 20)
    tail = CAR.sequence[-60:].rstrip("A") + "A" * 40
    assert kind(tail) == UNIQUE
    assert kind(oligo + inner) == UNIQUE


def test_the_genome_can_speak_against_a_read() -> None:
    sequence = read(VH + 20)
    assert kind(sequence, genome_mismatches=0) == AMBIGUOUS
    assert kind(sequence, genome_mismatches=30) == UNIQUE
    assert kind(sequence, places=2) == AMBIGUOUS


def test_places_on_the_constructs_are_no_places_in_the_genome() -> None:
    # Both LTRs of a whole vector, and a second version of the construct in the same reference.
    vector = Car("vector", CAR.sequence[-206:] + CAR.sequence, ())
    ltr = read(len(CAR.sequence) - 150)
    both = matcher(vector, CAR)
    assert both.match(ltr).fitting == 3
    assert both.classify(both.match(ltr), places=3) == UNIQUE
    assert both.classify(both.match(ltr), places=4) == AMBIGUOUS


def test_three_differences_from_a_transcript_are_no_proof() -> None:
    # 3 of 90 is still like it (95 %); 6 is another sequence.
    near = {"gene": changed(read(VH, 360), *range(10, 350, 30))}
    far = {"gene": changed(read(VH, 360), *range(4, 350, 12))}
    for transcripts, expected in ((near, AMBIGUOUS), (far, UNIQUE)):
        from cartrace.cells.matching import Matcher

        one = Matcher([CAR], transcripts, SETTINGS)
        assert one.classify(one.match(read(VH + 100))) == expected


def test_constructs_that_fit_equally_are_all_told() -> None:
    both = matcher(CAR, other_car())
    assert [f.target for f in both.match(read(VH + 20)).cars] == [0]
    assert [f.target for f in both.match(read(VH + 20, car=other_car())).cars] == [1]
    shared = both.match(read(BB - 45))
    assert [f.target for f in shared.cars] == [0, 1]
    assert both.classify(shared) == JUNCTION
    assert both.classify(shared, places=2) == JUNCTION


def test_a_construct_without_domains_still_has_unique_reads() -> None:
    bare = matcher(replace(CAR, domains=()))
    assert bare.classify(bare.match(read(VH + 20))) == UNIQUE
    assert bare.classify(bare.match(read(BB - 45))) == AMBIGUOUS


def test_constructs_that_cannot_be_told_by_name_or_are_too_short_are_refused() -> None:
    with pytest.raises(InputError, match="two constructs of this name"):
        matcher(CAR, CAR)
    with pytest.raises(InputError, match="a construct of 12 bases"):
        matcher(Car("tiny", "ACGTACGTACGT", (Domain("a", "other", 1, 12),)))


def test_of_a_transcriptome_only_relatives_are_kept() -> None:
    kept = relatives([CAR], ENDOGENOUS.items())
    assert {"CD8A", "TNFRSF9", "CD247"} <= set(kept)
    assert not {"CD28", "ACTB", "B2M"} & set(kept)


def test_memory_of_sequences_does_not_change_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cartrace.cells.matching._KEPT", 2)
    few = matcher()
    sequences = [read(VH + i) for i in range(0, 200, 40)] * 2
    assert [few.match(s) for s in sequences] == [ONE.match(s) for s in sequences]
    assert isinstance(few.match("ACGT"), Match)
