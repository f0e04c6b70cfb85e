"""Clones of the product in later samples, counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.unit.repertoire.hand_clones import cells_of, library, product

from cartrace.config import Landmark
from cartrace.repertoire.persistence import expected_if_unchanged, persistence
from cartrace.repertoire.samples import PlannedLibrary, samples_of
from cartrace.repertoire.settings import Tracking
from cartrace.repertoire.tables import CLONE_CELLS
from cartrace.repertoire.tracking import count_clones
from cartrace.tables import concat, records

MARKS = (Landmark(name="M1", day=28, window=7), Landmark(name="M3", day=84, window=14))
FEW = Tracking(min_sample_cells=4)


def table(cells: Sequence[pd.DataFrame], libraries: Sequence[PlannedLibrary]) -> list[dict[str, Any]]:
    samples = samples_of(libraries)
    counts = count_clones(concat(cells, CLONE_CELLS), libraries, samples)
    return records(persistence("P1", counts, samples, MARKS, FEW))


def test_expected_clones_are_those_that_the_depth_would_show() -> None:
    # Half of the product's depth. A clone of one cell adds 1 - 1/2 - 1/2 P(>= 1 of 12), one of two
    # 1 - 1/4 + 1/4 P(>= 2 of 12).
    one, two = 0.5 - 0.5 * (1 - 1 / 4096), 0.75 + 0.25 * (1 - 13 / 4096)
    assert expected_if_unchanged([1, 1, 2], 2) == pytest.approx(2 * one + two)
    assert expected_if_unchanged([1, 1, 2], 0) == 0
    # Of large clones nothing is in doubt, and never more are found than were seen.
    assert expected_if_unchanged([50, 30, 20], 100) == pytest.approx(3)
    assert expected_if_unchanged([50, 30, 20], 10) == pytest.approx(3 - 0.9**50 - 0.9**30 - 0.9**20)
    assert expected_if_unchanged([2, 2], 4) == 2


def test_a_deeper_sample_than_the_product_has_no_expectation_unless_all_clones_are_large() -> None:
    assert np.isnan(expected_if_unchanged([50, 1], 52))
    assert expected_if_unchanged([50, 50], 1000) == pytest.approx(2)
    assert expected_if_unchanged([50], 1000) == 1


@pytest.mark.parametrize("depth", [200, 600])
@pytest.mark.parametrize("shares", [np.arange(1, 30_001) ** -0.9, np.ones(800), np.arange(1.0, 13)])
def test_expected_clones_are_those_found_on_average_in_two_draws(
    shares: np.ndarray[Any, Any], depth: int
) -> None:
    rng = np.random.default_rng(4)
    p = shares / shares.sum()
    first, second = (rng.multinomial(n, p, size=60) for n in (600, depth))
    found = ((first > 0) & (second > 0)).sum(axis=1)
    expected = [expected_if_unchanged(draw[draw > 0], depth) for draw in first]
    spread = np.hypot(found.std(), np.std(expected)) / np.sqrt(60)
    assert np.mean(expected) == pytest.approx(found.mean(), abs=4 * spread + 0.05)


def test_clones_of_the_product_are_found_again() -> None:
    libraries = [product("L0"), library("L1", "S1", 28)]
    (row,) = table(
        [cells_of(libraries[0], {"a": 6, "b": 3, "c": 1}), cells_of(libraries[1], {"a": 1, "c": 4, "x": 15})],
        libraries,
    )
    assert (row["product_sample"], row["sample_id"], row["landmark"]) == ("IP", "S1", "M1")
    assert (row["product_clones"], row["found"], row["cells"], row["total"]) == (3, 2, 5, 20)
    # More cells than the product has, and clones of few cells.
    assert row["expected_if_unchanged"] is None
    assert row["percent"] == 25
    # Clopper and Pearson, 5 of 20.
    assert (row["lower"], row["upper"]) == pytest.approx((8.657, 49.105), abs=0.001)
    assert row["reason"] is None


def test_few_cells_are_told_and_give_no_share() -> None:
    libraries = [product("L0"), library("L1", "S1", 28), library("L2", "S2", 60)]
    rows = table([cells_of(libraries[0], {"a": 8}), cells_of(libraries[1], {"a": 2, "b": 1})], libraries)
    assert [(r["found"], r["percent"], r["reason"]) for r in rows] == [
        (1, None, "3 cells with a clone, fewer than 4"),
        (0, None, "no T cell that counts has a clone"),
    ]
    assert [r["expected_if_unchanged"] for r in rows] == [pytest.approx(1, abs=0.03), 0]
    rows = table([cells_of(libraries[0], {"a": 2}), cells_of(libraries[1], {"a": 9})], libraries)
    assert rows[0]["reason"] == "product: 2 cells with a clone, fewer than 4"
    assert (rows[0]["found"], rows[0]["percent"]) == (1, None)


def test_a_landmark_is_answered_by_the_nearest_blood_sample_that_tells_a_share() -> None:
    libraries = [
        product("L0"),
        library("L1", "day26", 26),
        library("L2", "day30", 30),
        library("L3", "day28-csf", 28, matrix="csf"),
        library("L4", "day28-few", 28),
        library("L5", "day90-few", 90, matrix="pbmc"),
        library("L6", "day120", 120),
    ]
    cells = [cells_of(lib, {"a": 2 if "few" in lib.sample.sample_id else 9}) for lib in libraries]
    marks = {r["sample_id"]: r["landmark"] for r in table(cells, libraries)}
    # Of two equally near the earlier, as for other landmarks; M3 has one sample alone, whose reason is told.
    assert marks == {
        "day26": "M1",
        "day28-csf": None,
        "day28-few": None,
        "day30": None,
        "day90-few": "M3",
        "day120": None,
    }


def test_each_product_has_its_own_landmarks() -> None:
    second = product("P2", "IP2", infusion=2, study_day=100)
    libraries = [
        product("P1"),
        library("L1", "S1", 28),
        second,
        library("L2", "S2", 28, infusion=2, study_day=128),
    ]
    cells = [cells_of(lib, {"a": 9}) for lib in libraries]
    assert [(r["product_sample"], r["sample_id"], r["landmark"]) for r in table(cells, libraries)] == [
        ("IP", "S1", "M1"),
        ("IP", "S2", None),
        ("IP2", "S2", "M1"),
    ]


def test_without_a_product_there_is_nothing_to_persist() -> None:
    lib = library("L1")
    assert table([cells_of(lib, {"a": 9})], [lib]) == []
