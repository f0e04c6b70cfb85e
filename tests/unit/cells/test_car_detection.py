"""Detected or not: decisions and limits of detection by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cartrace.cells.car_detection import Detection, _limit, _upper


def test_the_decision_is_the_quantile_of_the_blank() -> None:
    # P(Poisson(3) <= 6) = 0.966 and P(<= 5) = 0.916.
    assert _upper(np.full(5, 3.0), 0.95) == 6
    assert _upper(np.zeros(5), 0.95) == 0


def test_an_uncertain_blank_needs_a_higher_count() -> None:
    # Half the blanks expect 1, half 9: the mixture is not exceeded where half of Poisson(9)'s tail is 5 %.
    found = _upper(np.array([1.0, 9.0]), 0.95)
    assert found == stats.poisson.ppf(0.90, 9.0)


def test_without_a_blank_the_limit_is_a_poisson_mean() -> None:
    # Two cells or more with 95 %: a mean of 4.744, of 1,000 CAR+ cells of which each is seen.
    found = _limit(np.zeros(3), np.full(3, 1000.0), 1, 0.95)
    assert found == pytest.approx(stats.chi2.ppf(0.95, 4) / 2 / 1000, rel=1e-3)


def test_what_no_fraction_lifts_above_the_decision_has_no_limit() -> None:
    assert _limit(np.zeros(3), np.full(3, 2.0), 1, 0.95) == 1.0


def test_a_blank_raises_the_limit() -> None:
    decision = _upper(np.full(3, 5.0), 0.95)
    assert _limit(np.full(3, 5.0), np.full(3, 1000.0), decision, 0.95) > _limit(
        np.zeros(3), np.full(3, 1000.0), 1, 0.95
    )


def test_more_cells_than_the_decision_are_detected() -> None:
    at = Detection(threshold=2, cells=3, expected=0.1, decision=2, lod=0.01)
    assert at.detected
    assert not Detection(threshold=2, cells=2, expected=0.1, decision=2, lod=0.01).detected
