"""Overlap of samples: numbers by hand first, then what must hold for any two."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.repertoire.overlap import overlap_table

CLONES = st.dictionaries(st.sampled_from("ABCDEFGH"), st.integers(1, 50), min_size=1)


def table(counts: Any, unit: str = "clonotype", min_cells: int = 1) -> pd.DataFrame:
    return overlap_table(counts, subject_id="P1", unit=unit, min_cells=min_cells)


def pair(first: dict[str, int], second: dict[str, int], **more: Any) -> Any:
    found = table({("t_cells", "S1"): first, ("t_cells", "S2"): second}, **more)
    assert len(found) == 1
    return found.iloc[0]


def test_two_samples_by_hand() -> None:
    # Shares 1/2, 1/2, 0 and 0, 1/4, 3/4: 2 * 1/8 / (1/2 + 10/16) = 2/9.
    row = pair({"A": 2, "B": 2}, {"B": 1, "C": 3})
    assert (row["clones_a"], row["clones_b"], row["shared"]) == (2, 2, 1)
    assert row["jaccard"] == pytest.approx(1 / 3)
    assert row["morisita_horn"] == pytest.approx(2 / 9)
    assert pd.isna(row["reason"])


def test_the_same_sample_and_one_without_a_common_clone() -> None:
    same = pair({"A": 7, "B": 1}, {"B": 1, "A": 7})
    assert (same["jaccard"], same["morisita_horn"]) == (1, 1)
    other = pair({"A": 7}, {"B": 1})
    assert (other["shared"], other["jaccard"], other["morisita_horn"]) == (0, 0, 0)


def test_too_few_cells_give_a_reason_and_still_the_shared_clones() -> None:
    row = pair({"A": 7, "B": 1}, {"B": 3}, min_cells=8)
    assert row["shared"] == 1
    assert pd.isna(row["jaccard"])
    assert pd.isna(row["morisita_horn"])
    assert row["reason"] == "8 cells are needed: S2 has 3"


def test_a_sample_without_cells_has_no_overlap() -> None:
    row = pair({}, {"B": 3})
    assert (row["clones_a"], row["shared"]) == (0, 0)
    assert row["reason"] == "1 cells are needed: S1 has 0"
    assert pair({"A": 0}, {"A": 3}, min_cells=0)["reason"] == "no cells"


def test_populations_of_one_sample_and_of_two_receptors_are_not_compared() -> None:
    keys = [("t_cells", "S1"), ("car_t_cells", "S1"), ("b_cells", "S1"), ("car_t_cells", "S2")]
    found = table({k: {"A": 3} for k in keys})
    pairs = found[["population_a", "sample_a", "population_b", "sample_b"]].values.tolist()
    assert pairs == [["t_cells", "S1", "car_t_cells", "S2"], ["car_t_cells", "S1", "car_t_cells", "S2"]]
    assert len(table({k: {"A": 3} for k in keys}, unit="site")) == 6


def test_no_pair_gives_an_empty_table() -> None:
    assert table({}).empty
    assert table({("t_cells", "S1"): {"A": 3}}).empty


def test_numbers_that_are_no_cells_are_refused() -> None:
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="from 0 on"):
            table({("t_cells", "S1"): {"A": wrong}})


@given(CLONES, CLONES)
@settings(max_examples=30)
def test_overlap_is_symmetric_and_within_bounds(a: dict[str, int], b: dict[str, int]) -> None:
    here, there = pair(a, b), pair(b, dict(reversed(list(a.items()))))
    for index in ("shared", "jaccard", "morisita_horn"):
        assert here[index] == there[index]
    assert 0 <= here["jaccard"] <= 1
    assert 0 <= here["morisita_horn"] <= 1
    assert (here["morisita_horn"] > 0) == (here["shared"] > 0) == bool(set(a) & set(b))


@given(CLONES, CLONES, st.integers(2, 9))
@settings(max_examples=30)
def test_morisita_horn_is_that_of_the_definition_and_no_matter_of_depth(
    a: dict[str, int], b: dict[str, int], times: int
) -> None:
    p, q = ({c: n / sum(x.values()) for c, n in x.items()} for x in (a, b))
    expected = 2 * sum(p[c] * q.get(c, 0) for c in p) / sum(v**2 for v in [*p.values(), *q.values()])
    assert pair(a, b)["morisita_horn"] == pytest.approx(expected)
    assert pair({c: n * times for c, n in a.items()}, b)["morisita_horn"] == pytest.approx(expected)
