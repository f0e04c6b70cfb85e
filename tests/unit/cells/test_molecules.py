from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.cells.matching import AMBIGUOUS, ENDOGENOUS, JUNCTION, UNIQUE
from cartrace.cells.molecules import (
    HIT_KEY,
    NO_TARGET,
    add_up,
    chimeras,
    encode_umi,
    find_parents,
    merge_umis,
    resolve,
    with_parents,
)


def merged(umis: dict[str, int], cell: int = 1) -> dict[str, str]:
    """UMI -> the UMI that it belongs to, of one cell."""
    codes = {encode_umi(u): u for u in umis}
    code = np.array(list(codes), dtype=np.int64)
    parents = merge_umis(np.full(len(code), cell), code, np.array([umis[u] for u in codes.values()]))
    return {codes[c]: codes[p] for c, p in zip(code.tolist(), parents.tolist(), strict=True)}


def hits(*rows: tuple[int, str, int, int, int, int, int]) -> pd.DataFrame:
    """cell, UMI, target, kind, start, end, reads."""
    coded = [(c, encode_umi(u), *rest) for c, u, *rest in rows]
    return pd.DataFrame(coded, columns=[*HIT_KEY, "reads"])


def kinds(table: pd.DataFrame) -> list[tuple[int, int, int]]:
    return list(table[["target", "kind", "reads"]].itertuples(index=False, name=None))


def test_an_error_of_a_large_umi_joins_it_and_a_umi_of_its_own_does_not() -> None:
    assert merged({"AAAA": 100, "AAAC": 40, "TTTT": 1}) == {"AAAA": "AAAA", "AAAC": "AAAA", "TTTT": "TTTT"}
    # 10 < 2 * 9 - 1: both are real.
    assert merged({"AAAA": 10, "AAAC": 9}) == {"AAAA": "AAAA", "AAAC": "AAAC"}
    # 1 >= 2 * 1 - 1, as in UMI-tools.
    assert len(set(merged({"AAAA": 1, "AAAC": 1}).values())) == 1


def test_an_error_of_an_error_goes_to_the_largest() -> None:
    assert merged({"AAAA": 10, "AAAC": 4, "AACC": 2}) == dict.fromkeys(("AAAA", "AAAC", "AACC"), "AAAA")


def test_umis_of_other_cells_or_lengths_are_left_alone() -> None:
    assert merged({"AAAA": 100, "AAAAA": 1}) == {"AAAA": "AAAA", "AAAAA": "AAAAA"}
    code = np.array([encode_umi("AAAA"), encode_umi("AAAC")])
    assert merge_umis(np.array([1, 2]), code, np.array([9, 1])).tolist() == code.tolist()


def by_hand(umis: dict[str, int]) -> dict[str, str]:
    """The directional method with every pair compared."""
    edges = {
        a: [b for b in umis if sum(x != y for x, y in zip(a, b, strict=True)) == 1 and n >= 2 * umis[b] - 1]
        for a, n in umis.items()
    }
    out: dict[str, str] = {}
    for root in sorted(umis, key=lambda u: (-umis[u], encode_umi(u))):
        if root in out:
            continue
        waiting = [root]
        while waiting:
            at = waiting.pop()
            if at not in out:
                out[at] = root
                waiting += edges[at]
    return out


UMIS = st.dictionaries(st.text("ACGT", min_size=3, max_size=3), st.integers(1, 12), min_size=1, max_size=20)


@given(UMIS)
@settings(max_examples=40, deadline=None)
def test_merging_agrees_with_comparing_every_pair(umis: dict[str, int]) -> None:
    assert merged(umis) == by_hand(umis)


@given(UMIS, st.randoms())
@settings(max_examples=30, deadline=None)
def test_the_order_of_umis_does_not_matter(umis: dict[str, int], random: object) -> None:
    listed = list(umis.items())
    random.shuffle(listed)  # type: ignore[attr-defined]
    assert merged(dict(listed)) == merged(umis)


def test_hits_of_a_joined_umi_take_the_name_of_its_parent() -> None:
    table = hits(
        (1, "AAAA", 0, UNIQUE, 5, 95, 9), (1, "AAAC", 0, UNIQUE, 5, 95, 1), (2, "AAAC", 0, UNIQUE, 5, 95, 1)
    )
    joined = add_up([with_parents(table, find_parents(table))])
    assert joined["umi"].tolist() == [encode_umi("AAAA"), encode_umi("AAAC")]
    assert joined["reads"].tolist() == [10, 1]


def test_a_molecule_is_what_most_of_its_specific_reads_say() -> None:
    table = hits(
        # A unique read and reads of a shared domain: unique.
        (1, "AAAA", 0, UNIQUE, 0, 90, 1),
        (1, "AAAA", 0, AMBIGUOUS, 800, 890, 5),
        # A junction only.
        (1, "AACC", 0, JUNCTION, 700, 790, 2),
        # A shared domain, and the endogenous gene beyond it: endogenous.
        (1, "AAGG", 0, AMBIGUOUS, 800, 890, 3),
        (1, "AAGG", NO_TARGET, ENDOGENOUS, -1, -1, 1),
        # A shared domain only.
        (1, "AATT", 0, AMBIGUOUS, 800, 890, 3),
        # One against one: nobody knows. Two against one: the CAR.
        (1, "CCAA", 0, UNIQUE, 0, 90, 1),
        (1, "CCAA", NO_TARGET, ENDOGENOUS, -1, -1, 1),
        (1, "GGCC", 0, UNIQUE, 0, 90, 2),
        (1, "GGCC", 0, ENDOGENOUS, 800, 890, 1),
        # Never near a construct.
        (1, "TTTA", NO_TARGET, ENDOGENOUS, -1, -1, 7),
    )
    found = resolve(table, [0])
    assert dict(zip(found["umi"], kinds(found), strict=True)) == {
        encode_umi("AAAA"): (0, UNIQUE, 6),
        encode_umi("AACC"): (0, JUNCTION, 2),
        encode_umi("AAGG"): (0, ENDOGENOUS, 4),
        encode_umi("AATT"): (0, AMBIGUOUS, 3),
        encode_umi("CCAA"): (0, AMBIGUOUS, 2),
        encode_umi("GGCC"): (0, UNIQUE, 3),
    }
    assert found["exclusive"].all()


def test_a_molecule_belongs_to_one_construct() -> None:
    table = hits(
        # Fits 0 in one read and 1 in two: 1.
        (1, "AAAA", 0, UNIQUE, 0, 90, 1),
        (1, "AAAA", 1, UNIQUE, 0, 90, 2),
        # Fits both alike: that of the product.
        (1, "CCCC", 0, UNIQUE, 0, 90, 1),
        (1, "CCCC", 1, UNIQUE, 0, 90, 1),
    )
    for product in (0, 1):
        found = resolve(table, [product])
        assert kinds(found) == [(1, UNIQUE, 2), (product, UNIQUE, 1)]
        assert found["exclusive"].tolist() == [True, False]
    # Of two products, the one with molecules of its own.
    assert resolve(table, [0, 1])["target"].tolist() == [1, 1]


def test_molecules_with_too_few_reads_are_left_out() -> None:
    table = hits((1, "AAAA", 0, UNIQUE, 0, 90, 1), (1, "CCCC", 0, UNIQUE, 0, 90, 2))
    assert kinds(resolve(table, [0], min_reads=2)) == [(0, UNIQUE, 2)]


def chimeric(table: pd.DataFrame) -> list[bool]:
    return chimeras(resolve(table, [0]), table, 0.8).tolist()


def test_a_copy_in_another_cell_goes_and_the_molecule_of_most_reads_stays() -> None:
    table = hits(
        (1, "AAAA", 0, UNIQUE, 5, 95, 8), (2, "AAAA", 0, UNIQUE, 5, 95, 1), (3, "AAAA", 0, UNIQUE, 5, 95, 1)
    )
    assert chimeric(table) == [False, True, True]


def test_without_a_clear_majority_no_cell_keeps_the_molecule() -> None:
    table = hits((1, "AAAA", 0, UNIQUE, 5, 95, 3), (2, "AAAA", 0, UNIQUE, 5, 95, 1))
    assert chimeric(table) == [True, True]


def test_the_same_umi_on_another_fragment_or_construct_is_chance() -> None:
    table = hits(
        (1, "AAAA", 0, UNIQUE, 5, 95, 8), (2, "AAAA", 0, UNIQUE, 6, 96, 1), (3, "AAAA", 1, UNIQUE, 5, 95, 1)
    )
    assert chimeric(table) == [False, False, False]


def test_ambiguous_molecules_are_nobodys_chimeras() -> None:
    table = hits((1, "AAAA", 0, AMBIGUOUS, 5, 95, 8), (2, "AAAA", 0, AMBIGUOUS, 5, 95, 1))
    assert chimeric(table) == [False, False]


def test_no_hits_give_no_molecules() -> None:
    empty = add_up([])
    assert resolve(empty, [0]).empty
    assert find_parents(empty).empty
    assert chimeras(resolve(empty, [0]), empty, 0.8).tolist() == []


@given(st.permutations(range(4)))
@settings(max_examples=6, deadline=None)
def test_the_order_of_hits_does_not_matter(order: list[int]) -> None:
    table = hits(
        (1, "AAAA", 0, UNIQUE, 5, 95, 8),
        (2, "AAAA", 0, UNIQUE, 5, 95, 1),
        (2, "AAAA", 0, AMBIGUOUS, 800, 890, 1),
        (1, "CCCC", 1, JUNCTION, 5, 95, 1),
    )
    shuffled = table.iloc[order].reset_index(drop=True)
    pd.testing.assert_frame_equal(resolve(shuffled, [0]), resolve(table, [0]))
    assert chimeric(shuffled) == chimeric(table)


def test_codes_of_umis_are_unique() -> None:
    umis = ["".join(u) for n in (1, 2, 3) for u in itertools.product("ACGT", repeat=n)]
    assert len({encode_umi(u) for u in umis}) == len(umis)
