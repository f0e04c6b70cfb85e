"""What is known of false molecules: by hand, and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from cartrace.cells.ambient import AmbientEvidence, Counted, empty_droplets, usual_ambient


def droplets(**changed: float | None) -> Counted | None:
    usual = {
        "car_molecules": 30,
        "umis": 100_000,
        "droplets": 2_000,
        "median_umis": 5_000.0,
        "ambient_share": 0.1,
        "spread_known": 0.3,
        "spread_unknown": 0.7,
    }
    return empty_droplets(**(usual | changed))  # type: ignore[arg-type]


def test_the_share_of_soup_in_a_cell_gives_the_rate_of_its_molecules() -> None:
    # 500 of a cell's 5,000 UMIs are soup, of which 30 in 100,000 are CAR: 0.15 molecules.
    found = droplets()
    assert found is not None
    assert found.molecules / found.exposure == pytest.approx(0.15)
    assert found.spread == 0.3


def test_without_that_share_a_cell_holds_the_soup_of_a_mean_empty_droplet() -> None:
    found = droplets(ambient_share=None)
    assert found is not None
    assert found.molecules / found.exposure == pytest.approx(30 / 2_000)
    assert found.spread == 0.7


@pytest.mark.parametrize("nothing", [{"umis": 0}, {"droplets": 0}, {"median_umis": 0.0}])
def test_without_droplets_nothing_is_known(nothing: dict[str, float]) -> None:
    assert droplets(**nothing) is None


def test_a_count_is_poisson_where_the_factor_is_known() -> None:
    rates = np.log([0.1, 0.15, 0.3])
    found = Counted(30, 200.0, 1e-4).log_likelihood(rates)
    expected = stats.poisson.logpmf(30, 200 * np.exp(rates))
    assert found - found[0] == pytest.approx(expected - expected[0], abs=1e-4)


def test_the_factor_is_integrated_over() -> None:
    def likelihood(rate: float) -> float:
        found, _ = integrate.quad(
            lambda z: stats.gamma.pdf(z, 4, scale=0.25) * stats.poisson.pmf(4, 100 * rate * z), 0, 10
        )
        return math.log(found)

    found = Counted(4, 100.0, 0.5).log_likelihood(np.log([0.04, 0.1]))
    assert found[1] - found[0] == pytest.approx(likelihood(0.1) - likelihood(0.04), abs=1e-6)


def test_many_molecules_say_no_more_than_the_factor_lets_them() -> None:
    # 2,000 molecules about an expectation of 2,000 would pin the rate to 2 %; the factor leaves 30 %.
    rates = np.log(0.4) + np.array([-0.3, 0.0, 0.3])
    below, at, above = Counted(2000, 5000.0, 0.3).log_likelihood(rates)
    assert at - below == pytest.approx(0.5, abs=0.15)
    assert at - above == pytest.approx(0.5, abs=0.15)


def test_no_molecule_speaks_against_high_rates_only() -> None:
    low, high = Counted(0, 100.0, 0.3).log_likelihood(np.log([1e-6, 0.1]))
    assert low == pytest.approx(0, abs=1e-3)
    assert high < -5


def test_the_usual_rate_is_a_share_of_what_the_cells_hold() -> None:
    # (99.5 + 0.5) molecules over a depth of 50 cells are 2 each; 5 % of them float.
    centre, spread = usual_ambient(99.5, 50.0, 0.05, 1.5)
    assert math.exp(centre) == pytest.approx(0.1)
    evidence = AmbientEvidence((centre, spread))
    at = evidence.log_likelihood(np.array([centre, centre + 1.5]), np.zeros(2))
    assert at == pytest.approx([0.0, -0.5])
