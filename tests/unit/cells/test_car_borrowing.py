"""What a clone lends: by hand, and cautiously."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.cells.borrowing import UNKNOWN, borrow


def lent(posterior: list[float], clone: list[str], fraction: float = 0.2, min_cells: int = 3) -> np.ndarray:
    return borrow(
        np.array(posterior),
        fraction,
        np.array(clone, object),
        np.ones(len(posterior), bool),
        min_cells=min_cells,
    ).posterior


def test_cells_that_say_nothing_of_themselves_keep_the_fraction() -> None:
    # Their own posterior is the fraction, so their clone says nothing either.
    assert lent([0.2] * 4, ["a"] * 4) == pytest.approx([0.2] * 4, abs=1e-3)


def test_a_beta_prior_counts_the_sure_cells_of_the_clone() -> None:
    # Two sure CAR+ sisters: beta(0.2 x 8, 0.8 x 8) becomes beta(1.6 + 2, 6.4), of mean 3.6 / 10.
    found = lent([1.0, 1.0, 0.2], ["a"] * 3)
    assert found[2] == pytest.approx((0.2 * UNKNOWN + 2) / (UNKNOWN + 2), abs=5e-3)
    # A sure CAR- sister and a sure CAR+ one: 2.6 / 10.
    assert lent([1.0, 0.0, 0.2], ["a"] * 3)[2] == pytest.approx(2.6 / 10, abs=5e-3)


def test_a_cell_does_not_count_itself() -> None:
    # The others say nothing: its own posterior stays.
    assert lent([0.9, 0.2, 0.2], ["a"] * 3)[0] == pytest.approx(0.9, abs=2e-3)


def test_small_clones_unknown_clones_and_cells_that_do_not_count_lend_nothing() -> None:
    posterior = np.array([0.99, 0.99, 0.3, 0.99, 0.99, 0.3])
    clone = np.array(["a", "a", "a", "", "", ""], object)
    counts = np.array([True, True, False, True, True, True])
    found = borrow(posterior, 0.2, clone, counts, min_cells=3)
    assert found.posterior.tolist() == posterior.tolist()
    assert not found.lent.any()
    assert math.isnan(found.concentration)


def test_clones_of_one_kind_teach_that_sisters_are_alike() -> None:
    pure = [0.99, 0.99, 0.99] * 10 + [0.01, 0.01, 0.01] * 20
    names = [f"c{i // 3}" for i in range(90)]
    mixed = [0.99, 0.01, 0.01] * 30
    alike = borrow(np.array(pure), 1 / 3, np.array(names, object), np.ones(90, bool), min_cells=3)
    unlike = borrow(np.array(mixed), 1 / 3, np.array(names, object), np.ones(90, bool), min_cells=3)
    assert alike.concentration < 2
    assert unlike.concentration > 30


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000))
def test_order_and_names_of_clones_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    posterior, clone = rng.random(40), rng.integers(0, 6, 40)
    order = rng.permutation(40)
    one = lent(list(posterior), [f"x{c}" for c in clone])
    other = lent(list(posterior[order]), [f"y{9 - c}" for c in clone[order]])
    assert one[order] == pytest.approx(other)
    assert ((one >= 0) & (one <= 1)).all()
