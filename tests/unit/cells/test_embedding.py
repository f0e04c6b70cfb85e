"""The picture, the clusters and their markers: planted types come out, chance and order change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cartrace.cells.clusters import adjusted_rand, cluster, cluster_types, markers, shared_neighbours
from cartrace.cells.embedding import embed, reduced, sketch
from cartrace.cells.neighbour_graph import (
    neighbours,
    normalised,
    principal_components,
    residual_variance,
    shown_genes,
    variable_genes,
)
from cartrace.cells.settings import Embedding
from cartrace.cells.stored import Genes
from cartrace.cells.tables import CLUSTER_TYPES, MARKERS
from cartrace.cells.umap_layout import curve, fuzzy_weights
from cartrace.tables import rows

RULES = Embedding(genes=40, components=8, neighbours=8, epochs=60, harmonise=False)


def genes_named(symbols: list[str], cars: tuple[str, ...] = ()) -> Genes:
    words = np.array(symbols, dtype=object)
    return Genes(words, words, np.array(["Gene Expression"] * len(words)), np.isin(words, cars))


def planted(cells: int = 240, seed: int = 1) -> tuple[csr_array, NDArray[np.int64], Genes]:
    """Three types of 120, 80 and 40 cells with ten genes of their own each."""
    rng = np.random.default_rng(seed)
    kind = np.repeat([0, 1, 2], [cells // 2, cells // 3, cells // 6])
    mean = np.full((3, 100), 1.0)
    for k in range(3):
        mean[k, 10 * k : 10 * k + 10] = 8.0
    return csr_array(rng.poisson(mean[kind])), kind, genes_named([f"g{i}" for i in range(100)])


def test_normalised_counts_add_up_to_ten_thousand_whatever_the_depth() -> None:
    values = normalised(csr_array(np.array([[1, 3], [10, 30], [0, 0]])))
    np.testing.assert_allclose(np.expm1(values.toarray()).sum(axis=1), [1e4, 1e4, 0], rtol=1e-5)
    np.testing.assert_allclose(values.toarray()[0], values.toarray()[1])


def test_receptors_and_what_cars_share_shape_no_picture() -> None:
    names = genes_named(["CD3E", "TRBV5-1", "IGHV3-23", "IGHM", "CD28", "CAR", "TRAC"], cars=("CAR",))
    shown = shown_genes(names, ("CD28",))
    assert names.symbols[shown].tolist() == ["CD3E", "IGHM", "TRAC"]


def test_the_most_variable_genes_are_those_of_the_types() -> None:
    counts, kind, _ = planted()
    allowed = np.ones(100, bool)
    allowed[0] = False
    library = np.array(["L1", "L2"], dtype=object)[np.arange(len(kind)) % 2]
    # A gene that differs between the libraries alone is none of them.
    dense = counts.toarray()
    dense[1::2, 99] += 30
    found = variable_genes(csr_array(dense), library, allowed, 29)
    assert found.tolist() == list(range(1, 30))
    assert variable_genes(counts, library, allowed, 500).tolist() == list(range(1, 100))


def test_residuals_are_those_of_the_dense_formula() -> None:
    counts = np.random.default_rng(5).poisson(0.7, (40, 12)).astype(float)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    residual = (counts - expected) / np.sqrt(expected + expected**2 / 100)
    wanted = (np.clip(residual, -np.sqrt(40), np.sqrt(40)) ** 2).mean(axis=0)
    np.testing.assert_allclose(residual_variance(csr_array(counts)), wanted, rtol=1e-9)


def test_components_are_those_of_the_centred_matrix() -> None:
    counts, _, _ = planted(60)
    values = normalised(counts)
    dense = values.toarray() - values.toarray().mean(axis=0)
    expected = np.linalg.svd(dense, compute_uv=False)[:5]
    made = principal_components(values, 5, seed=1)
    np.testing.assert_allclose(np.linalg.norm(made, axis=0), expected, rtol=1e-3)
    np.testing.assert_allclose(made, principal_components(values, 5, seed=9), atol=1e-2)
    assert principal_components(values[:1], 5, seed=1).shape == (1, 0)


def test_neighbours_are_other_cells_nearest_first() -> None:
    points = np.array([[0.0], [1.0], [3.0], [3.0], [10.0]], dtype=np.float32)
    found, distance = neighbours(points, 2)
    assert found[0].tolist() == [1, 2] or found[0].tolist() == [1, 3]
    # Equals of a cell are its neighbours, and it is none of its own.
    assert 3 in found[2]
    assert not (found == np.arange(5)[:, None]).any()
    assert distance[4].tolist() == [7, 7]
    assert neighbours(points, 50)[0].shape == (5, 4)


def test_fuzzy_weights_follow_their_definition() -> None:
    points = np.random.default_rng(2).normal(size=(80, 3)).astype(np.float32)
    found, distance = neighbours(points, 10)
    made = fuzzy_weights(found, distance).toarray()
    # One direction: the nearest weighs 1, and all together log2 of their number (with the cell itself).
    scale = np.linspace(1e-3, 20, 200_000)
    beyond = distance[0] - distance[0].min()
    sums = np.exp(-beyond[:, None] / scale).sum(axis=0)
    at = scale[np.argmin(np.abs(sums - np.log2(11)))]
    forward = np.zeros(80)
    forward[found[0]] = np.exp(-beyond / at)
    alone = ~(found == 0).any(axis=1)
    np.testing.assert_allclose(made[0][alone], forward[alone], atol=1e-3)
    np.testing.assert_allclose(made, made.T, atol=1e-6)
    assert (made[0] >= forward - 1e-3).all()


def test_the_curve_is_umap_s() -> None:
    # umap-learn's find_ab_params(1.0, 0.1) and (1.0, 0.3).
    assert curve(0.1) == pytest.approx((1.577, 0.895), abs=2e-3)
    assert curve(0.3) == pytest.approx((0.992, 1.112), abs=2e-3)


def test_planted_types_lie_apart_in_the_picture_and_become_clusters() -> None:
    counts, kind, genes = planted()
    library = np.array(["L1"] * len(kind), dtype=object)
    components = reduced(counts, genes, library, RULES, left_out=(), seed=1)
    points = embed(components, RULES, seed=1)
    near, _ = neighbours(points.astype(np.float32), 5)
    assert (kind[near] == kind[:, None]).mean() > 0.98
    assert np.array_equal(points, embed(components, RULES, seed=1))
    member = cluster(components, RULES.model_copy(update={"resolution": 0.3}), seed=1)
    assert np.bincount(member).tolist() == [120, 80, 40]
    assert adjusted_rand(member, kind) == 1

    types = np.array(["cd4_t", "cd8_t", "naive_b"], dtype=object)[kind]
    told = rows(cluster_types(member, types, library), CLUSTER_TYPES)
    assert told["cell_type"].tolist() == ["cd4_t", "cd8_t", "naive_b"]
    assert told["type_percent"].tolist() == [100, 100, 100]

    best = rows(markers(normalised(counts), member, genes, most=10, max_q=0.05), MARKERS)
    for k in range(3):
        mine = best[best["cluster"] == k]
        assert set(mine["gene"]) == {f"g{i}" for i in range(10 * k, 10 * k + 10)}
        # Eight times as many counts of fixed totals.
        assert mine["log2_fold_change"].between(2, 4).all()
    assert (best["p"] <= best["q"]).all()


def test_libraries_are_aligned_for_the_picture_when_asked() -> None:
    counts, kind, genes = planted()
    library = np.array(["L1", "L2"], dtype=object)[np.arange(len(kind)) % 2]
    dense = counts.toarray()
    # A batch: thirty genes that the second library reads sixteen times as often.
    dense[1::2, 60:90] += 15
    moved = csr_array(dense)

    def mixing(harmonise: bool) -> float:
        rules = RULES.model_copy(update={"harmonise": harmonise})
        near, _ = neighbours(reduced(moved, genes, library, rules, left_out=(), seed=1), 8)
        return float((library[near] != library[:, None]).mean())

    assert mixing(False) < 0.2
    assert mixing(True) > 0.3


def test_too_few_cells_make_no_picture_and_one_cluster() -> None:
    counts, kind, genes = planted()
    few = reduced(counts[:4], genes, kind[:4].astype(str), RULES, left_out=(), seed=1)
    assert embed(few, RULES, seed=1).shape == (0, 2)
    assert cluster(few[:2], RULES, seed=1).tolist() == [0, 0]
    assert markers(normalised(counts[:2]), np.zeros(2, int), genes, most=5, max_q=0.05) == []
    assert cluster_types(np.zeros(0, int), kind[:0], kind[:0]) == []


def test_shared_neighbours_by_hand() -> None:
    # Cells 0 and 1 see each other and 2; cell 2 sees 0 and 3; cell 3 sees 2 and 1.
    found = np.array([[1, 2], [0, 2], [0, 3], [2, 1]])
    head, tail, weight = shared_neighbours(found)
    told = dict(zip(zip(head.tolist(), tail.tolist(), strict=True), weight, strict=True))
    # {0,1,2} and {0,1,2}: 1; {0,1,2} and {0,2,3}: 2 of 4; {0,2,3} and {1,2,3}: 2 of 4.
    assert told == pytest.approx({(0, 1): 1, (0, 2): 0.5, (1, 2): 0.5, (2, 3): 0.5, (1, 3): 0.5})


def test_the_adjusted_rand_index_of_a_textbook_table() -> None:
    # Hubert and Arabie's kind of table [[1, 1, 0], [1, 2, 1], [0, 0, 4]]: 0.3126.
    first = np.repeat([0, 1, 2], [2, 4, 4])
    second = np.array([0, 1, 0, 1, 1, 2, 2, 2, 2, 2])
    assert adjusted_rand(first, second) == pytest.approx(0.3126, abs=1e-4)
    assert adjusted_rand(first, first) == 1


def test_a_sketch_keeps_rare_types_and_the_number_asked_for() -> None:
    kinds = np.repeat(["cd4_t", "plasma_cell"], [5000, 12]).astype(object)
    library = np.repeat(["L1", "L2", "L1"], [2500, 2500, 12]).astype(object)
    counts = np.ones(5012, bool)
    counts[:10] = False
    rules = Embedding(max_cells=300, min_of_type=20)
    chosen = sketch(library, kinds, counts, rules, seed=1)
    assert 295 <= len(chosen) <= 300
    assert (kinds[chosen] == "plasma_cell").sum() == 12
    assert not (chosen < 10).any()
    by_library = [(library[chosen] == name).sum() for name in ("L1", "L2")]
    assert abs(by_library[0] - 12 - by_library[1]) < 10
    assert np.array_equal(chosen, sketch(library, kinds, counts, rules, seed=1))
    assert len(sketch(library, kinds, counts, Embedding(), seed=1)) == 5002
