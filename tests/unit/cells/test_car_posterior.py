"""The sampler: known distributions come back, and the same seed gives the same draws."""

from __future__ import annotations

import numpy as np
import pytest

from cartrace.cells.posterior import Draws, curvature, find_mode, quantile, sample

CENTRE = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[1.0, 0.6, 0.0], [0.6, 2.0, 0.3], [0.0, 0.3, 0.25]])
WIDE = [(-50.0, 50.0)] * 3


def normal(points: np.ndarray) -> np.ndarray:
    apart = points - CENTRE
    return -0.5 * np.einsum("mi,ij,mj->m", apart, np.linalg.inv(COVARIANCE), apart)


def drawn(seed: int) -> Draws:
    return sample(
        normal,
        np.zeros((2, 3)),
        bounds=WIDE,
        draws=2000,
        effective=1500,
        rounds=5,
        rng=np.random.default_rng(seed),
    )


def test_the_mode_and_curvature_of_a_normal_distribution_are_its_mean_and_covariance() -> None:
    mode = find_mode(normal, np.array([[5.0, 5.0, 5.0], [0.0, 0.0, 0.0]]), WIDE)
    assert mode == pytest.approx(CENTRE, abs=1e-4)
    assert curvature(normal, mode) == pytest.approx(COVARIANCE, abs=1e-3)


def test_a_normal_distribution_comes_back() -> None:
    draws = drawn(1)
    assert draws.effective >= 1500
    mean = draws.weights @ draws.points
    assert mean == pytest.approx(CENTRE, abs=0.1)
    apart = draws.points - mean
    assert (apart * draws.weights[:, None]).T @ apart == pytest.approx(COVARIANCE, abs=0.15)


def test_a_skewed_distribution_on_a_logit_comes_back() -> None:
    # A beta(2, 20) variable: mean 1/11, and P(X < 0.0118) = 0.025 (scipy.stats.beta).
    def beta(points: np.ndarray) -> np.ndarray:
        return -2 * np.logaddexp(0, -points[:, 0]) - 20 * np.logaddexp(0, points[:, 0])

    draws = sample(
        beta,
        np.zeros((1, 1)),
        bounds=[(-30.0, 30.0)],
        draws=4000,
        effective=3000,
        rounds=5,
        rng=np.random.default_rng(2),
    )
    x = 1 / (1 + np.exp(-draws.points[:, 0]))
    assert draws.weights @ x == pytest.approx(1 / 11, abs=0.004)
    assert quantile(x, draws.weights, (0.025,))[0] == pytest.approx(0.0117, abs=0.002)


def test_the_same_seed_gives_the_same_draws() -> None:
    assert np.array_equal(drawn(3).points, drawn(3).points)
    assert not np.array_equal(drawn(3).points, drawn(4).points)


def test_quantiles_follow_the_weights() -> None:
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([0.25, 0.25, 0.5])
    # In order 1, 2, 3 the middles of the weights lie at 0.125, 0.5 and 0.875.
    assert quantile(values, weights, (0.125, 0.5, 0.6875, 0.99)) == pytest.approx([1.0, 2.0, 2.5, 3.0])


def test_thinned_draws_repeat_a_point_by_its_weight() -> None:
    draws = Draws(np.array([[0.0], [1.0], [2.0]]), np.array([0.25, 0.75, 0.0]))
    thinned = draws.thinned(100, np.random.default_rng(1))[:, 0]
    assert np.count_nonzero(thinned == 0) == 25
    assert np.count_nonzero(thinned == 1) == 75
    assert draws.effective == pytest.approx(1 / (0.0625 + 0.5625))
