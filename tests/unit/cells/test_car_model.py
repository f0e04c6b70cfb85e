"""The mixture of CAR+ and CAR- cells: its distributions against scipy's, and what may not change it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cartrace.cells.ambient import AmbientEvidence, Counted
from cartrace.cells.car_model import (
    TAILS,
    CarModel,
    Priors,
    category_of,
    counts_of,
    histogram_of,
)

PRIORS = Priors(
    location=(np.log(3.0), 1.0),
    spread=(np.log(0.8), 0.5),
    variation=(np.log(0.5), 0.5),
    misassigned=(np.log(5e-4), 1.5),
    dim_ratio=(np.log(0.3), 0.5),
    dim_share=(1.0, 4.0),
    hidden=(1.0, 19.0),
)
AMBIENT = AmbientEvidence((np.log(0.1), 1.5))


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def point(
    *,
    fraction: float = 0.3,
    mean: float = 3.0,
    spread: float = 0.8,
    tail: float = 1.0,
    dim_share: float = 1e-6,
    dim_ratio: float = 0.3,
    ambient: float = 1e-6,
    variation: float = 0.5,
) -> np.ndarray:
    return np.array(
        [
            [
                logit(fraction),
                np.log(mean),
                np.log(spread),
                logit((tail - TAILS[0]) / (TAILS[1] - TAILS[0])),
                logit(dim_share),
                np.log(dim_ratio),
                np.log(ambient),
                np.log(variation),
                -3.0,
                np.log(1e-8),
            ]
        ]
    )


def model(molecules: np.ndarray, depth: np.ndarray | float = 1.0, others: int = 0) -> CarModel:
    """A model of cells of which the last ``others`` cannot carry the CAR."""
    n = len(molecules)
    t_cells = np.arange(n) < n - others
    return CarModel(
        histogram_of(molecules, np.broadcast_to(np.asarray(depth, float), (n,)), t_cells, ~t_cells)[0],
        AMBIENT,
        PRIORS,
    )


SINGLES = np.arange(13)


def test_counts_fall_into_categories_that_widen() -> None:
    assert category_of(np.array([0, 1, 12, 13, 14, 15, 100, 101, 9999])).tolist() == [
        0,
        1,
        12,
        13,
        13,
        14,
        20,
        21,
        21,
    ]
    assert counts_of(np.array([0, 12, 13, 21])).tolist() == [0, 12, 13, 101]


def test_cells_are_grouped_by_depth_and_molecules() -> None:
    molecules, depth = np.array([0, 0, 2, 0]), np.array([1.01, 1.05, 1.02, 3.0])
    t_cells, others = np.array([True, True, True, False]), np.array([False, False, False, True])
    cells, row = histogram_of(molecules, depth, t_cells, others)
    assert cells.depth == pytest.approx([(1.01 + 1.05 + 1.02) / 3, 3.0])
    assert cells.t_cells.tolist() == [2, 1, 0]
    assert cells.other_cells.tolist() == [0, 0, 1]
    assert row.tolist() == [0, 0, 1, 2]
    assert cells.t_cells_by_bin().tolist() == [3, 0]


@pytest.mark.parametrize("depth", [1.0, 0.4, 2.5])
def test_ambient_is_negative_binomial(depth: float) -> None:
    # Mean 0.3 s and CV 0.5 of the rate: size 4.
    found = model(SINGLES, depth).negative(point(ambient=0.3))[0]
    mean = 0.3 * depth
    assert found == pytest.approx(stats.nbinom.pmf(SINGLES, 4, 4 / (4 + mean)), rel=1e-6)


@pytest.mark.parametrize(("mean", "spread"), [(3.0, 0.7), (0.8, 1.0), (8.0, 0.5)])
def test_a_tail_of_one_is_the_negative_binomial_distribution(mean: float, spread: float) -> None:
    found = model(SINGLES).positive(point(mean=mean, spread=spread))[0]
    size = spread**-2
    assert found == pytest.approx(stats.nbinom.pmf(SINGLES, size, size / (size + mean)), abs=2e-3)


def test_a_tail_of_zero_is_the_poisson_log_normal_distribution() -> None:
    x = np.exp(np.log(2.0) + 0.9 * stats.norm.ppf((np.arange(4000) + 0.5) / 4000))
    expected = stats.poisson.pmf(SINGLES[:, None], x).mean(axis=1)
    found = model(SINGLES).positive(point(mean=2.0, spread=0.9, tail=0.0))[0]
    assert found == pytest.approx(expected, abs=2e-3)


def test_depth_scales_the_molecules_of_positive_cells() -> None:
    shallow = model(SINGLES, 0.25).positive(point(mean=8.0))[0]
    median = model(SINGLES, 1.0).positive(point(mean=2.0))[0]
    assert shallow == pytest.approx(median, abs=2e-3)


def test_dim_cells_are_a_share_of_the_positive_ones() -> None:
    both = model(SINGLES).positive(point(mean=6.0, dim_share=0.25, dim_ratio=0.1))[0]
    bright = model(SINGLES).positive(point(mean=6.0))[0]
    dim = model(SINGLES).positive(point(mean=0.6))[0]
    assert both == pytest.approx(0.75 * bright + 0.25 * dim, abs=1e-3)


def test_the_mean_of_positive_cells_leaves_ambient_out() -> None:
    found = model(SINGLES).mean_of_positive(point(mean=3.0, ambient=0.5))
    assert found[0] == pytest.approx(3.0, rel=0.02)


def test_cells_above_a_threshold_are_what_the_distributions_say() -> None:
    own = model(SINGLES)
    at = point(mean=3.0, spread=0.7, ambient=0.3)
    positive = own.at_least(at, (1, 3), positive=True)[:, 0, 0]
    negative = own.at_least(at, (1, 3), positive=False)[:, 0, 0]
    assert positive == pytest.approx(
        [1 - own.positive(at)[0, 0], 1 - own.positive(at)[0, :3].sum()], abs=1e-6
    )
    assert negative == pytest.approx([stats.nbinom.sf(c, 4, 4 / 4.3) for c in (0, 2)], abs=1e-6)


def test_the_posterior_of_a_cell_is_bayes_rule() -> None:
    own = model(np.array([0, 1, 4]))
    at = point(fraction=0.2, mean=3.0, ambient=0.1)
    positive, negative = own.positive(at)[0], own.negative(at)[0]
    assert own.posterior_of_rows(at)[0] == pytest.approx(0.2 * positive / (0.2 * positive + 0.8 * negative))


def test_an_empty_cell_of_low_depth_may_still_carry_the_car() -> None:
    own = model(np.zeros(3, int), np.array([0.2, 1.0, 4.0]))
    low, median, high = own.posterior_of_rows(point(fraction=0.5, mean=2.0, ambient=0.01))[0]
    assert 0.4 < low < 0.5
    assert low > median > high


def test_the_likelihood_is_the_sum_over_cells() -> None:
    molecules = np.array([0, 0, 3, 1, 0])
    own = model(molecules, others=2)
    at = point(fraction=0.4, ambient=0.2)
    rows = {k: i for i, k in enumerate(counts_of(own.cells.category).tolist())}
    positive, negative = own.positive(at)[0], own.negative(at)[0]
    expected = sum(np.log(0.4 * positive[rows[k]] + 0.6 * negative[rows[k]]) for k in (0, 0, 3))
    strange = 0.4 / (1 + np.exp(3.0))
    blank = own.negative(at, misassigned=False)[0]
    expected += sum(np.log(strange * positive[rows[k]] + (1 - strange) * blank[rows[k]]) for k in (1, 0))
    nothing = replace(own, cells=replace(own.cells.without_t_cells(), other_cells=0 * own.cells.t_cells))
    assert own.log_posterior(at)[0] - nothing.log_posterior(at)[0] == pytest.approx(expected)


def test_what_empty_droplets_and_earlier_libraries_say_joins_the_posterior() -> None:
    own = model(np.array([0, 1]))
    told = replace(
        own, ambient=replace(AMBIENT, empties=Counted(50, 500.0, 1e-4), before=Counted(0, 1e6, 1e-4))
    )
    at = np.vstack([point(ambient=0.1), point(ambient=0.2)])
    gained = told.log_posterior(at) - own.log_posterior(at)
    # Poisson(50) against Poisson(100) of 50 molecules.
    assert gained[0] - gained[1] == pytest.approx(
        stats.poisson.logpmf(50, 50) - stats.poisson.logpmf(50, 100), abs=1e-4
    )


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([1.0, 2.0, 0.5]))
def test_the_order_of_cells_changes_nothing(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    molecules, depth = rng.poisson(1.0, 60), rng.lognormal(0, 0.4, 60) * scale
    t_cells = rng.random(60) < 0.7
    order = rng.permutation(60)
    one, _ = histogram_of(molecules, depth, t_cells, ~t_cells)
    other, _ = histogram_of(molecules[order], depth[order], t_cells[order], ~t_cells[order])
    at = point(ambient=0.1)
    assert CarModel(one, AMBIENT, PRIORS).log_posterior(at) == pytest.approx(
        CarModel(other, AMBIENT, PRIORS).log_posterior(at)
    )
