"""Doublets: planted ones come back, the score is a probability, and what receptors and lineages say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from cartrace.cells.doublets import (
    combine_doublet_evidence,
    doublet_scores,
    two_lineages,
    two_receptors,
)
from cartrace.cells.settings import Doublets

CELLS, PLANTED, GENES = 500, 40, 300


def library(seed: int = 1) -> tuple[csr_array, np.ndarray]:
    """Three kinds of cells with 60 genes of their own each; 40 barcodes hold two cells of two kinds."""
    rng = np.random.default_rng(seed)
    profiles = np.full((3, GENES), 0.3)
    for i in range(3):
        profiles[i, 60 * i : 60 * i + 60] = 4.0
    kinds = rng.integers(0, 3, CELLS)
    depth = rng.lognormal(0, 0.25, CELLS)[:, None]
    counts = rng.poisson(profiles[kinds] * depth)
    mixed = rng.poisson((profiles[np.arange(PLANTED) % 3] + profiles[(np.arange(PLANTED) + 1) % 3]) * 0.85)
    return csr_array(np.concatenate([counts, mixed]).astype(np.int32)), np.arange(CELLS + PLANTED) >= CELLS


def settings(**changed: float) -> Doublets:
    # The rate that was planted: 40 of 540.
    return Doublets(**{"rate_per_cell": 40 / 540 / 540, **changed})


def test_planted_doublets_of_two_kinds_are_found_and_single_cells_are_not() -> None:
    counts, planted = library()
    found = doublet_scores(counts, rng=np.random.default_rng(2), settings=settings())
    assert found.expected_share == pytest.approx(40 / 540)
    assert found.doublet[planted].mean() > 0.95
    assert found.doublet[~planted].mean() < 0.02


def test_scores_are_probabilities_that_add_up_to_the_expected_doublets() -> None:
    counts, planted = library()
    found = doublet_scores(counts, rng=np.random.default_rng(2), settings=settings())
    assert ((found.score >= 0) & (found.score <= 1)).all()
    assert found.score.sum() == pytest.approx(planted.sum(), rel=0.35)


def test_order_of_cells_and_of_genes_changes_little() -> None:
    counts, planted = library()
    cells, genes = (np.random.default_rng(3).permutation(n) for n in counts.shape)
    turned = csr_array(counts.toarray()[cells][:, genes])
    one = doublet_scores(counts, rng=np.random.default_rng(2), settings=settings())
    other = doublet_scores(turned, rng=np.random.default_rng(2), settings=settings())
    # Other pairs are drawn: the verdicts stay.
    assert (one.doublet[cells] == other.doublet).mean() > 0.97
    assert other.doublet[planted[cells]].mean() > 0.95


def test_the_same_seed_gives_the_same_scores() -> None:
    counts, _ = library()
    runs = [doublet_scores(counts, rng=np.random.default_rng(5), settings=settings()) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].score, runs[1].score)


def test_few_genes_with_the_umis_of_all_give_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, planted = library()
    totals = np.asarray(counts.sum(axis=1), dtype=float)
    part = doublet_scores(counts[:, :180].tocsr(), totals, rng=np.random.default_rng(2), settings=settings())
    assert part.doublet[planted].mean() > 0.95
    assert part.doublet[~planted].mean() < 0.02
    # Beyond 50,000 points neighbours are sought in a part of the space.
    monkeypatch.setattr("cartrace.cells.doublets.EXACT", 500)
    near = doublet_scores(counts, totals, rng=np.random.default_rng(2), settings=settings())
    assert near.doublet[planted].mean() > 0.9


def test_few_cells_get_the_expected_share_and_none_is_a_doublet() -> None:
    counts, _ = library()
    found = doublet_scores(
        counts[:50].tocsr(), rng=np.random.default_rng(2), settings=Doublets(), barcodes=5000
    )
    assert found.score.tolist() == [0.04] * 50
    assert not found.doublet.any()


def test_empty_cells_and_equal_cells_do_no_harm() -> None:
    counts = csr_array(np.concatenate([np.zeros((60, 20)), np.ones((60, 20))]).astype(np.int32))
    found = doublet_scores(counts, rng=np.random.default_rng(2), settings=Doublets())
    assert np.isfinite(found.score).all()


def test_receptors_of_two_cells() -> None:
    nan = np.nan
    cells = {
        #        T, T of two alleles, T and B, B, light chain only, three TRB, three IGH, nothing known
        "tra": np.array([1, 2, 1, 0, 1, 1, 0, nan]),
        "trb": np.array([1, 2, 0, 0, 1, 3, 0, nan]),
        "igh": np.array([0, 0, 1, 2, 0, 0, 3, nan]),
    }
    assert two_receptors(cells, 2).tolist() == [False, False, True, False, False, True, True, False]


def test_two_lineages_count_only_where_no_cell_has_both() -> None:
    names = ["t", "nk", "b", "plasma", "monocyte", "platelet", "erythroid"]
    scores = np.zeros((6, len(names)))
    for row, pair in enumerate(
        [
            ("t", "b"),
            ("t", "nk"),
            ("b", "plasma"),
            ("t", "platelet"),
            ("monocyte", "erythroid"),
            ("nk", "monocyte"),
        ]
    ):
        for lineage in pair:
            scores[row, names.index(lineage)] = 7
    assert two_lineages(scores, names, 6).tolist() == [True, False, False, False, True, True]
    assert not two_lineages(scores, names, 7.5).any()


def test_all_evidence_is_named() -> None:
    found = combine_doublet_evidence(*(np.array(x, bool) for x in ([1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0])))
    assert found.doublet.tolist() == [True, True, True, False]
    assert found.evidence.tolist() == ["neighbours", "receptors", "neighbours;receptors;lineages", None]
