from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.cells.refinement import Variant, effect, find_variants, molecule_depth

#           10        20
SEQUENCE = "CCATGGCATGGTGGTAACC"
CODING = (3, 17)  # ATG GCA TGG TGG TAA: M A W W *


def depth(stretches: list[tuple[int, int, int]], length: int) -> list[int]:
    table = np.array(stretches, dtype=np.int64).reshape(-1, 3)
    return molecule_depth(table[:, 0], table[:, 1], table[:, 2], length).tolist()


def test_overlapping_reads_of_a_molecule_count_once() -> None:
    assert depth([(0, 0, 3), (0, 2, 5), (1, 4, 6)], 6) == [1, 1, 1, 1, 2, 1]
    assert depth([(0, 0, 6), (0, 1, 2)], 6) == [1] * 6
    assert depth([], 3) == [0, 0, 0]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 19), st.integers(1, 8)), max_size=25))
@settings(max_examples=50, deadline=None)
def test_depth_agrees_with_sets_of_positions(drawn: list[tuple[int, int, int]]) -> None:
    stretches = [(m, a, min(a + n, 20)) for m, a, n in drawn]
    covered = {(m, p) for m, a, b in stretches for p in range(a, b)}
    assert depth(stretches, 20) == [sum((m, p) in covered for m in range(5)) for p in range(20)]


def hits(*rows: tuple[int, int, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["number", "start", "end", "reads"])


def differences(*rows: tuple[int, int, str, str, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["number", "position", "reference", "observed", "reads"])


def found(said: pd.DataFrame, placed: pd.DataFrame, least: int = 2, share: float = 0.5) -> list[Variant]:
    table = placed[["number", "start", "end"]].to_numpy("int64")
    over = molecule_depth(table[:, 0], table[:, 1], table[:, 2], 30)
    return find_variants(said, placed, over, min_molecules=least, min_share=share)


def test_a_difference_that_most_molecules_show_is_a_variant() -> None:
    placed = hits((0, 0, 20, 3), (1, 5, 25, 1), (2, 5, 25, 1), (3, 20, 30, 1))
    said = differences((0, 10, "C", "A", 3), (1, 10, "C", "A", 1), (2, 12, "G", "T", 1))
    assert found(said, placed) == [Variant(10, "C", "A", 2, 3)]
    # The share decides.
    assert found(said, placed, share=0.7) == []
    assert found(said, placed, least=3) == []


def test_a_molecule_speaks_with_most_of_its_reads() -> None:
    placed = hits((0, 0, 20, 4), (1, 0, 20, 4), (2, 0, 20, 4))
    # Two of four reads are an early error of PCR, not a voice.
    said = differences((0, 10, "C", "A", 3), (1, 10, "C", "A", 2), (2, 10, "C", "A", 4))
    assert found(said, placed) == [Variant(10, "C", "A", 2, 3)]


def test_two_changes_of_one_place_are_told_apart() -> None:
    placed = hits(*((i, 0, 20, 1) for i in range(4)))
    said = differences((0, 10, "C", "A", 1), (1, 10, "C", "A", 1), (2, 10, "CA", "", 1), (3, 10, "CA", "", 1))
    assert found(said, placed) == [Variant(10, "C", "A", 2, 4), Variant(10, "CA", "", 2, 4)]


def test_no_differences_give_no_variants() -> None:
    assert found(differences(), hits((0, 0, 20, 1))) == []


@pytest.mark.parametrize(
    ("position", "reference", "observed", "expected"),
    [
        (6, "C", "A", "missense: A2E"),
        (7, "A", "G", "synonymous"),
        (9, "G", "A", "stop: W3*"),
        (5, "GCA", "", "in-frame deletion of 1 amino acids at A2"),
        (5, "", "GAA", "in-frame insertion of 1 amino acids at A2"),
        (5, "G", "", "frame shift from codon 2"),
        (0, "C", "A", "outside the coding sequence"),
        (17, "C", "A", "outside the coding sequence"),
        (14, "T", "C", "missense: *5Q"),
    ],
)
def test_what_a_change_does_to_the_protein(
    position: int, reference: str, observed: str, expected: str
) -> None:
    assert SEQUENCE[position : position + len(reference)] == reference
    assert effect(SEQUENCE, CODING, position, reference, observed) == expected


def test_without_a_coding_sequence_nothing_is_said() -> None:
    assert effect(SEQUENCE, None, 6, "C", "A") == "no coding sequence is known"
