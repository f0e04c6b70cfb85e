"""Clones of T cells."""

from __future__ import annotations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.repertoire.hand_chains import chain, chains

from cartrace.repertoire.clonotypes import t_clonotypes
from cartrace.repertoire.names import clone_name
from cartrace.repertoire.settings import Clonotypes

ORDER = {"L0": 0, "L1": 1, "L2": 2}
BETA = "TRB|TRBV1|TRBJ1|{}"
BOTH = "TRB|TRBV1|TRBJ1|{}+TRA|TRAV1|TRAJ1|{}"


def found(frame: pd.DataFrame, column: str = "beta_clonotype", **changes: object) -> dict[str, str | None]:
    """Cell (library:cell) -> name."""
    table = t_clonotypes(frame, ORDER, Clonotypes.model_validate(changes))
    names = table[column].astype(object).where(table[column].notna(), None)
    return dict(zip(table["library"] + ":" + table["cell"], names, strict=True))


def test_a_clone_is_v_gene_j_gene_and_cdr3_of_the_first_beta_chain() -> None:
    names = found(
        chains(
            chain("L0", "A", "TRB", "TGTAAA"),
            chain("L1", "A", "TRB", "TGTAAA", v_gene="TRBV1*01"),
            chain("L0", "B", "TRB", "TGTAAA", j_gene="TRBJ2"),
            chain("L0", "C", "TRB", "TGTAAA", v_gene="TRBV2"),
            chain("L0", "D", "TRB", "TGTAAC"),
            chain("L0", "D", "TRB", "TGTAAA", rank=2),
        )
    )
    assert names["L0:A"] == names["L1:A"] == clone_name("T", BETA.format("TGTAAA"))
    assert names["L0:D"] == clone_name("T", BETA.format("TGTAAC"))
    assert len(set(names.values())) == 4


def test_one_specificity_can_be_two_clones() -> None:
    frame = chains(chain("L0", "A", "TRB", "TGTAAA", aa="CK"), chain("L0", "B", "TRB", "TGTAAG", aa="CK"))
    assert len(set(found(frame).values())) == 2
    assert set(found(frame, t_sequence="aa").values()) == {clone_name("T", BETA.format("CK"))}


def test_a_cell_without_a_beta_chain_or_with_half_of_one_has_no_clone() -> None:
    frame = chains(
        chain("L0", "A", "TRA", "TGTAAA"),
        chain("L0", "B", "TRB", None),
        chain("L0", "B", "TRB", "TGTAAA", rank=2),
        chain("L0", "C", "IGH", "TGTAAA"),
        chain("L0", "D", "TRB", "TGT", v_gene=""),
    )
    assert found(frame) == {}
    assert found(chains()) == {}


def test_trd_takes_the_place_of_trb_and_trg_that_of_tra() -> None:
    frame = chains(
        chain("L0", "A", "TRD", "TGTAAA"),
        chain("L0", "A", "TRG", "TGTCCC"),
        chain("L0", "A", "TRA", "TGTGGG"),
        chain("L0", "B", "TRD", "TGTAAA"),
        chain("L0", "B", "TRB", "TGTAAA"),
    )
    assert found(frame) == {
        "L0:A": clone_name("T", "TRD|TRDV1|TRDJ1|TGTAAA"),
        "L0:B": clone_name("T", BETA.format("TGTAAA")),
    }
    assert found(frame, "paired_clonotype")["L0:A"] == clone_name(
        "T", "TRD|TRDV1|TRDJ1|TGTAAA+TRG|TRGV1|TRGJ1|TGTCCC"
    )


def test_alpha_chains_split_a_beta_clone_and_a_cell_with_two_joins_them() -> None:
    one = [
        chain("L0", "A", "TRB", "TGT"),
        chain("L0", "A", "TRA", "AAA"),
        chain("L0", "B", "TRB", "TGT"),
        chain("L0", "B", "TRA", "CCC"),
        chain("L0", "C", "TRB", "TGT"),
    ]
    split = found(chains(*one), "paired_clonotype")
    assert split == {
        "L0:A": clone_name("T", BOTH.format("TGT", "AAA")),
        "L0:B": clone_name("T", BOTH.format("TGT", "CCC")),
        # No alpha chain, and two paired clones to choose from.
        "L0:C": None,
    }
    two = [
        chain("L1", "D", "TRB", "TGT"),
        chain("L1", "D", "TRA", "CCC"),
        chain("L1", "D", "TRA", "AAA", rank=2),
    ]
    joined = found(chains(*one, *two), "paired_clonotype")
    assert set(joined.values()) == {clone_name("T", BOTH.format("TGT", "AAA"))}
    assert set(found(chains(*one, *two)).values()) == {clone_name("T", BETA.format("TGT"))}


def test_the_same_alpha_chain_under_two_beta_chains_joins_nothing() -> None:
    frame = chains(
        chain("L0", "A", "TRB", "TGT"),
        chain("L0", "A", "TRA", "AAA"),
        chain("L0", "B", "TRB", "TGC"),
        chain("L0", "B", "TRA", "AAA"),
    )
    assert len(set(found(frame, "paired_clonotype").values())) == 2


def test_a_third_alpha_chain_and_half_of_one_are_left_out() -> None:
    frame = chains(
        chain("L0", "A", "TRB", "TGT"),
        chain("L0", "A", "TRA", None),
        chain("L0", "A", "TRA", "CCC", rank=3),
    )
    assert found(frame, "paired_clonotype") == {"L0:A": None}


CELLS = st.lists(
    st.tuples(
        st.sampled_from(["L0", "L1", "L2"]),
        st.sampled_from(["TGT", "TGC"]),
        st.lists(st.sampled_from(["AAA", "CCC", "GGG", "TTT"]), max_size=2, unique=True),
    ),
    max_size=14,
)


def _lines(cells: list[tuple[str, str, list[str]]]) -> list[dict[str, object]]:
    lines = []
    for number, (library, beta, alphas) in enumerate(cells):
        lines.append(chain(library, f"C{number}", "TRB", beta))
        lines += [chain(library, f"C{number}", "TRA", a, rank=k) for k, a in enumerate(alphas, 1)]
    return lines


@given(cells=CELLS, order=st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_the_order_of_rows_changes_no_name(cells: list[tuple[str, str, list[str]]], order: object) -> None:
    lines = _lines(cells)
    mixed = list(lines)
    order.shuffle(mixed)  # type: ignore[attr-defined]
    for column in ("beta_clonotype", "paired_clonotype"):
        assert found(chains(*lines), column) == found(chains(*mixed), column)


@given(cells=CELLS)
@settings(max_examples=25, deadline=None)
def test_a_later_sample_renames_no_earlier_cell_unless_it_joins_or_opens_clones(
    cells: list[tuple[str, str, list[str]]],
) -> None:
    lines = _lines(cells)
    before = chains(*(line for line in lines if line["library"] != "L2"))
    assert found(before).items() <= found(chains(*lines)).items()
    old, new = found(before, "paired_clonotype"), found(chains(*lines), "paired_clonotype")
    alphas = {f"{line['library']}:{line['cell']}" for line in lines if line["locus"] == "TRA"}
    kept = {str(n) for n in new.values()}
    for cell, name in old.items():
        # A clone with alpha chains stays whole; its name stays, or is that of a clone it was joined with.
        if name is not None and cell in alphas:
            assert new[cell] is not None
            assert new[cell] == name or (new[cell] in old.values() and name not in kept)
