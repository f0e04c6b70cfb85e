"""What counts say for a class: numbers by hand, then what must hold for any counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from cartrace.cells.panels import Panels
from cartrace.cells.scores import (
    Background,
    Evidence,
    GeneCounts,
    background_rates,
    gather,
    group_of,
    learned,
    log_ratios,
    match_genes,
    posteriors,
    without_genes,
)

PANELS = Panels.model_validate(
    {
        "sources": {"house": "House value"},
        "levels": {"low": 1, "high": 10},
        "shared_with_cars": ["CD8A"],
        "lineages": {
            "t": {"sources": ["house"], "markers": {"high": ["CD3E"], "low": ["CD8A"]}, "maybe": ["NKG7"]},
            "nk": {"sources": ["house"], "markers": {"high": ["NKG7"]}, "absent": ["CD3E"]},
        },
        "genes": {"CD3E": ["ENSG1", "T3E"], "NKG7": ["ENSG2"]},
    }
)
GENES = PANELS.all_genes
FREE = Evidence(size=1.0, most=100.0, least=-100.0, shared_most=100.0)


def made(rows: list[list[int]], totals: list[float]) -> GeneCounts:
    """Counts of CD3E, CD8A, NKG7."""
    return GeneCounts(
        GENES,
        sparse.csr_array(np.array(rows, dtype=np.float32).reshape(-1, 3)),
        np.array(totals),
        np.ones(3, dtype=bool),
    )


def ratio(x: float, on: float, off: float) -> float:
    """Log ratio of two negative binomials of size 1, by their probabilities: p^x (1 - p), p = m / (m + 1)."""
    p1, p0 = on / (on + 1), off / (off + 1)
    return math.log(p1**x * (1 - p1)) - math.log(p0**x * (1 - p0))


def test_one_cell_by_hand() -> None:
    counts = made([[3, 0, 2]], [10_000.0])
    group = group_of(PANELS.lineages, counts, PANELS)
    t, nk = log_ratios(counts, group, np.full(3, 0.1), FREE)[0]
    cd3e, cd8a, nkg7 = ratio(3, 10, 0.1), ratio(0, 1, 0.3 / 3), ratio(2, 10, 0.1)
    maybe = math.log((math.exp(nkg7) + 1) / 2)
    # The grid of depths is 2 % wide.
    assert t == pytest.approx(cd3e + cd8a + maybe, rel=0.02)
    assert nk == pytest.approx(nkg7 - cd3e, rel=0.02)


def test_one_gene_says_no_more_than_its_limits() -> None:
    counts = made([[500, 500, 0], [0, 0, 0]], [10_000.0, 1e6])
    group = group_of(PANELS.lineages, counts, PANELS)
    t = log_ratios(counts, group, np.full(3, 0.01), Evidence(most=4, least=-2, shared_most=1))[:, 0]
    # CD3E 4, CD8A 1 for the CAR may have made it, NKG7 absent: log(1/2) of a gene that may be there.
    assert t[0] == pytest.approx(4 + 1 + math.log(0.5 * (1 + math.exp(-2))), abs=0.05)
    assert t[1] == pytest.approx(-2 - 2 + math.log(0.5 * (1 + math.exp(-2))), abs=0.01)


def test_a_shallow_cell_says_little() -> None:
    counts = made([[0, 0, 0], [0, 0, 0]], [20.0, 20_000.0])
    group = group_of(PANELS.lineages, counts, PANELS)
    scores = log_ratios(counts, group, np.full(3, 0.05), Evidence())
    assert np.abs(scores[0]).max() < 0.1
    assert scores[1, 0] < -3


def test_genes_are_found_by_symbol_id_and_former_symbol() -> None:
    symbols = np.array(["CD3E", "x", "NKG7", "MS4A1", "NKG7"])
    ids = np.array(["a", "b", "ENSG2.4", "c", "d"])
    columns = match_genes(GENES, PANELS.genes, ids, symbols, np.ones(5, dtype=bool))
    assert columns.tolist() == [0, -1, 2, -1, 2]
    by_id = match_genes(
        GENES, PANELS.genes, np.array(["ENSG1.12", "e"]), np.array(["ENSG1.12", "e"]), np.ones(2, dtype=bool)
    )
    assert by_id.tolist() == [0, -1]


def test_a_former_symbol_gives_way_to_the_gene_itself() -> None:
    both = match_genes(
        GENES, PANELS.genes, np.array(["a", "b"]), np.array(["T3E", "CD3E"]), np.ones(2, dtype=bool)
    )
    assert both.tolist() == [-1, 0]
    alone = match_genes(GENES, PANELS.genes, np.array(["a"]), np.array(["T3E"]), np.ones(1, dtype=bool))
    assert alone.tolist() == [0]


def test_a_car_feature_is_never_a_marker() -> None:
    usable = np.array([False, True])
    columns = match_genes(GENES, PANELS.genes, np.array(["a", "b"]), np.array(["CD3E", "NKG7"]), usable)
    assert columns.tolist() == [-1, 2]


def test_columns_of_one_gene_are_added_up_block_by_block() -> None:
    matrix = sparse.csr_array(np.array([[1, 2, 0, 4], [0, 0, 5, 0], [0, 3, 0, 1]]))
    columns = np.array([1, -1, 0, 1])
    whole = gather([matrix], columns, 2).toarray()
    assert whole.tolist() == [[0, 5], [5, 0], [0, 1]]
    assert (gather([matrix[:1], matrix[1:]], columns, 2).toarray() == whole).all()
    assert gather([], columns, 2).shape == (0, 2)


def test_background_is_the_ambient_share_of_the_mean() -> None:
    counts = made([[10, 0, 0], [30, 0, 0]], [10_000.0, 10_000.0])
    rates = background_rates(counts, np.ones(2, dtype=bool), Background(0.1, 0.05))
    assert rates.tolist() == pytest.approx([2.0, 0.05, 0.05])


def test_rates_are_learned_from_clear_cells_and_move_no_further_than_tenfold() -> None:
    counts = made([[30, 0, 0]] * 100, [10_000.0] * 100)
    group = group_of(PANELS.lineages, counts, PANELS)
    sure = np.tile([1.0, 0.0], (100, 1))
    own = learned(counts, group, sure, prior_cells=20)
    rate = {(GENES[g], r0): r1 for g, r0, r1 in zip(group.genes, group.rates, own.rates, strict=True)}
    assert rate["CD3E", 10.0] == pytest.approx((100 * 30 + 20 * 10) / 120)
    assert rate["CD8A", 1.0] == pytest.approx(20 / 120)
    assert rate["NKG7", 10.0] == 10.0  # no clear NK cell
    far = learned(made([[9000, 0, 0]] * 100, [10_000.0] * 100), group, sure, prior_cells=20)
    assert far.rates.max() == 100.0


def test_genes_can_be_left_out_of_a_group() -> None:
    counts = made([[1, 1, 1]], [1000.0])
    group = group_of(PANELS.lineages, counts, PANELS)
    assert {GENES[g] for g in without_genes(group, counts, ["CD3E"]).genes} == {"CD8A", "NKG7"}


def test_posteriors_by_hand() -> None:
    shares = posteriors(np.array([[2.0, 0.0]]), 2.0, none=True)
    assert shares[0] == pytest.approx(np.array([math.e, 1, 1]) / (math.e + 2))


@given(
    st.lists(st.integers(0, 300), min_size=6, max_size=6), st.floats(300, 50_000), st.permutations(range(2))
)
def test_scores_do_not_depend_on_the_other_cells(values: list[int], total: float, order: list[int]) -> None:
    counts = made([values[:3], values[3:]], [total, 2000.0])
    turned = made([[values[:3], values[3:]][i] for i in order], [[total, 2000.0][i] for i in order])
    group = group_of(PANELS.lineages, counts, PANELS)
    scores = log_ratios(counts, group, np.full(3, 0.1), Evidence())
    assert log_ratios(turned, group, np.full(3, 0.1), Evidence()) == pytest.approx(scores[list(order)])


@given(st.integers(0, 200), st.floats(500, 20_000))
def test_more_of_a_marker_never_speaks_against_its_class(umis: int, total: float) -> None:
    counts = made([[umis, 0, 0], [umis + 1, 0, 0]], [total, total])
    group = group_of(PANELS.lineages, counts, PANELS)
    scores = log_ratios(counts, group, np.full(3, 0.1), Evidence())
    assert scores[1, 0] >= scores[0, 0]
    assert scores[1, 1] <= scores[0, 1]
