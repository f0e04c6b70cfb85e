"""Neighbours settle what a cell leaves open, and can't erase a rare population."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from cartrace.cells import neighbourhood
from cartrace.cells.neighbourhood import (
    Variation,
    log_normalised,
    nearest,
    principal_components,
    settle,
    variable_columns,
    variation_of,
)
from cartrace.cells.scores import posteriors


def test_log_values_and_their_variation_by_hand() -> None:
    counts = sparse.csr_array(np.array([[1, 0, 3], [0, 2, 2]]))
    totals = np.array([1000.0, 10_000.0])
    values = log_normalised(counts, totals).toarray()
    assert values == pytest.approx(np.log1p(np.array([[10, 0, 30], [0, 2, 2]])), rel=1e-6)
    parts = [variation_of(counts[i : i + 1], totals[i : i + 1]) for i in range(2)]
    whole = Variation.joined(parts)
    assert whole.mean == pytest.approx(values.mean(axis=0), rel=1e-6)
    assert whole.variance == pytest.approx(values.var(axis=0), rel=1e-5)


def test_the_gene_that_tells_two_halves_apart_varies_most() -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(3.0, (400, 200))
    counts[:200, 17] = rng.poisson(12.0, 200)
    counts[200:, 17] = 0
    found = variation_of(sparse.csr_array(counts), counts.sum(axis=1).astype(float))
    assert variable_columns(found, np.ones(200, dtype=bool), 10).tolist().count(17) == 1
    without = np.ones(200, dtype=bool)
    without[17] = False
    assert 17 not in variable_columns(found, without, 10)


def test_components_are_those_of_the_scaled_centred_matrix() -> None:
    rng = np.random.default_rng(2)
    dense = rng.gamma(1.0, 1.0, (60, 8)) * (rng.random((60, 8)) < 0.6)
    dense[:30, 0] += 4
    found = principal_components(sparse.csr_array(dense), np.ones(60, dtype=bool), 3)
    deviation = dense.std(axis=0)
    scaled = (dense - dense.mean(axis=0)) / np.maximum(deviation, np.median(deviation) / 2)
    u, s, _ = np.linalg.svd(scaled, full_matrices=False)
    assert np.abs(found) == pytest.approx(np.abs(u[:, :3] * s[:3]), abs=1e-4)


def test_neighbours_leave_the_cell_itself_out_and_come_from_the_base() -> None:
    points = np.array([[0.0], [1.0], [1.0], [5.0], [5.5]], dtype=np.float32)
    base = np.array([True, True, True, False, True])
    found = nearest(points, base, 2)
    assert found.shape == (5, 2)
    assert sorted(found[0]) == [1, 2]
    assert all(i not in row for i, row in enumerate(found))
    assert (found != 3).all()
    assert nearest(points, np.array([True, False, False, False, False]), 2).shape == (5, 0)


def test_a_large_library_finds_nearly_the_same_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(3).normal(0, 1, (3000, 5)).astype(np.float32)
    everyone = np.ones(3000, dtype=bool)
    exact = nearest(points, everyone, 10)
    monkeypatch.setattr(neighbourhood, "EXACT", 1000)
    quick = nearest(points, everyone, 10)
    same = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, quick, strict=True)])
    assert same > 0.9


def chain(scores: np.ndarray, neighbours: np.ndarray, floor: float = 0.01) -> np.ndarray:
    return settle(lambda prior: posteriors(scores, 1.0, False, prior), neighbours, floor, 3)


def test_an_open_cell_takes_what_its_neighbours_are() -> None:
    scores = np.array([[8.0, 0.0]] * 9 + [[0.0, 0.0]])
    near = np.array([[j for j in range(10) if j != i][:5] for i in range(10)])
    shares = chain(scores, near)
    assert shares[9, 0] > 0.98


def test_a_rare_cell_with_clear_markers_stays_among_others() -> None:
    # Its own odds are e^8, about 3,000 to 1; the floor lets all neighbours together say 99 to 1.
    scores = np.array([[8.0, 0.0]] * 9 + [[0.0, 8.0]])
    near = np.array([[j for j in range(10) if j != i][:5] for i in range(10)])
    assert chain(scores, near)[9, 1] > 0.95


def test_without_neighbours_the_cells_own_counts_decide() -> None:
    scores = np.array([[1.0, 0.0]])
    assert chain(scores, np.empty((1, 0), dtype=np.int64))[0, 0] == pytest.approx(1 / (1 + np.exp(-1)))
