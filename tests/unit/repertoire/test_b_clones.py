"""Clones of B cells."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.repertoire.hand_chains import chain, chains

from cartrace.repertoire import b_clones
from cartrace.repertoire.b_clones import alike, b_clonotypes, mismatches
from cartrace.repertoire.names import clone_name
from cartrace.repertoire.settings import Clonotypes

ORDER = {"L0": 0, "L1": 1, "L2": 2}
IGH = "IGH|IGHV1|IGHJ1|{}"


def found(frame: pd.DataFrame, **changes: object) -> dict[str, str]:
    table = b_clonotypes(frame, ORDER, Clonotypes.model_validate(changes))
    return dict(zip(table["library"] + ":" + table["cell"], table["clonotype"], strict=True))


def by_all_pairs(sequences: list[str], block: list[int], identity: float) -> list[int]:
    """Compare every pair and follow the links: the plain definition."""
    clone = list(range(len(sequences)))
    for a, b in combinations(range(len(sequences)), 2):
        one, other = sequences[a], sequences[b]
        if block[a] == block[b] and len(one) == len(other):
            same = sum(x == y for x, y in zip(one, other, strict=True))
            if same >= identity * len(one) - 1e-9:
                clone = [clone[a] if c == clone[b] else c for c in clone]
    return clone


def partition(labels: list[int] | np.ndarray) -> set[frozenset[int]]:
    members: dict[int, list[int]] = {}
    for place, label in enumerate(labels):
        members.setdefault(int(label), []).append(place)
    return {frozenset(m) for m in members.values()}


@pytest.mark.parametrize(
    ("length", "identity", "most"), [(20, 0.85, 3), (19, 0.85, 2), (10, 0.9, 1), (100, 0.85, 15), (45, 1, 0)]
)
def test_mismatches_that_an_identity_allows(length: int, identity: float, most: int) -> None:
    assert mismatches(length, identity) == most


def test_a_clone_has_one_v_gene_j_gene_and_length_and_links_within_the_identity() -> None:
    ten = "ACGTACGTAC"
    names = found(
        chains(
            chain("L0", "A", "IGH", ten),
            # One of ten differs: 90 %.
            chain("L0", "B", "IGH", "ACGTACGTAA"),
            # Two of ten from A, one from B: in by single linkage.
            chain("L0", "C", "IGH", "ACGTACGTTA"),
            chain("L0", "D", "IGH", "TGCATGTTTA"),
            chain("L0", "E", "IGH", ten, v_gene="IGHV2"),
            chain("L0", "F", "IGH", ten, j_gene="IGHJ2"),
            chain("L0", "G", "IGH", ten + "A"),
        ),
        b_identity=0.9,
    )
    assert names["L0:A"] == names["L0:B"] == names["L0:C"]
    assert len(set(names.values())) == 5


def test_a_light_chain_neither_makes_nor_splits_a_clone() -> None:
    names = found(
        chains(
            chain("L0", "A", "IGH", "ACGT"),
            chain("L0", "A", "IGK", "AAAA"),
            chain("L0", "B", "IGH", "ACGT"),
            chain("L0", "B", "IGL", "CCCC"),
            chain("L0", "C", "IGK", "AAAA"),
        )
    )
    assert names == dict.fromkeys(("L0:A", "L0:B"), clone_name("B", IGH.format("ACGT")))


def test_only_the_first_heavy_chain_counts_and_half_of_one_is_none() -> None:
    names = found(
        chains(
            chain("L0", "A", "IGH", "ACGT"),
            chain("L0", "A", "IGH", "TTTT", rank=2),
            chain("L0", "B", "IGH", None),
        )
    )
    assert names == {"L0:A": clone_name("B", IGH.format("ACGT"))}
    assert found(chains()) == {}


def test_amino_acids_are_compared_when_asked() -> None:
    frame = chains(chain("L0", "A", "IGH", "TGTAAA", aa="CK"), chain("L0", "B", "IGH", "TGCAAG", aa="CK"))
    assert len(set(found(frame, b_identity=1.0).values())) == 2
    assert set(found(frame, b_identity=1.0, b_sequence="aa").values()) == {clone_name("B", IGH.format("CK"))}


def test_the_earlier_name_stays_when_a_later_sample_joins_two_clones() -> None:
    early = [chain("L1", "A", "IGH", "AAAACCCCCC"), chain("L0", "B", "IGH", "AAAACCCCTT")]
    before = found(chains(*early), b_identity=0.9)
    assert len(set(before.values())) == 2
    after = found(chains(*early, chain("L2", "C", "IGH", "AAAACCCCCT")), b_identity=0.9)
    assert set(after.values()) == {before["L0:B"]}


SEQUENCES = st.lists(
    st.tuples(st.text("ACG", min_size=6, max_size=7), st.integers(0, 1)), max_size=40, unique=True
)


@pytest.mark.parametrize(("cut", "stepped"), [(2000, 128), (2000, 2), (4, 128), (4, 2)])
@given(made=SEQUENCES, identity=st.sampled_from([0.55, 0.7, 0.85, 1.0]))
@settings(max_examples=20, deadline=None)
def test_clones_are_those_of_comparing_all_pairs(
    cut: int, stepped: int, made: list[tuple[str, int]], identity: float
) -> None:
    sequences, block = [s for s, _ in made], [b for _, b in made]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(b_clones, "CUT", cut)
        patch.setattr(b_clones, "STEPPED", stepped)
        patch.setattr(b_clones, "HELD", 5)
        got = alike(np.array(sequences, dtype=object), np.array(block, dtype=np.int64), identity)
    assert partition(got) == partition(by_all_pairs(sequences, block, identity))


@pytest.mark.parametrize("length", [12, 70])
def test_large_blocks_give_the_same_clones_with_and_without_pieces(length: int) -> None:
    # Families around 60 ancestors, alike at both ends; 70 letters need two words.
    rng = np.random.default_rng(1)
    letters = rng.integers(0, 4, (60, length))[rng.integers(0, 60, 900)]
    for _ in range(length // 6):
        letters[np.arange(900), rng.integers(2, length - 2, 900)] = rng.integers(0, 4, 900)
    sequences = np.unique(["".join(row) for row in np.array(list("ACGT"))[letters]]).astype(object)
    block = np.zeros(len(sequences), np.int64)
    found = []
    for cut, stepped in ((10_000, 10_000), (10, 1), (10, 10)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(b_clones, "CUT", cut)
            patch.setattr(b_clones, "STEPPED", stepped)
            found.append(partition(alike(sequences, block, 0.85)))
    assert found[0] == found[1] == found[2]
    assert 1 < len(found[0]) < len(sequences)


CELLS = st.lists(
    st.tuples(st.sampled_from(["L0", "L1", "L2"]), st.text("AC", min_size=6, max_size=6)), max_size=14
)


def _lines(cells: list[tuple[str, str]]) -> list[dict[str, object]]:
    return [chain(library, f"C{n}", "IGH", cdr3) for n, (library, cdr3) in enumerate(cells)]


@given(cells=CELLS)
@settings(max_examples=40, deadline=None)
def test_a_later_sample_renames_no_earlier_cell_unless_it_joins_clones(cells: list[tuple[str, str]]) -> None:
    lines = _lines(cells)
    before = found(chains(*(line for line in lines if line["library"] != "L2")))
    after = found(chains(*lines))
    assert found(chains(*reversed(lines))) == after
    kept = set(after.values())
    for cell, name in before.items():
        assert after[cell] == name or (after[cell] in before.values() and name not in kept)
