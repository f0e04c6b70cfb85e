"""Indices of diversity: numbers by hand first, then what must hold for any sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

from cartrace.repertoire.diversity import (
    EXACT,
    INDEX_NOTES,
    assemblage_of,
    diversity_table,
    draw,
    indices_of,
    measure,
    rarefied,
)
from cartrace.repertoire.settings import Diversity
from cartrace.repertoire.vocabulary import INDICES

COUNTS = st.lists(st.integers(1, 60), min_size=1, max_size=40)
RULES = Diversity(bootstraps=50)
SCALE_FREE = tuple(i for i in INDICES if i != "chao1")
GIRDLED = [46, 22, 17, 15, 15, 9, 8, 6, 6, 4, 2, 2, 2, 2, *[1] * 12]
"""Spiders of the girdled plots, Chao 2014 (Ecol Monogr 84:45)."""


def blood(day: float = 0) -> dict[str, object]:
    return {"infusion": 1, "day": day, "study_day": day, "matrix": "blood", "visit": "D"}


def table(counts: dict[str, Any], **more: Any) -> pd.DataFrame:
    samples = {s: blood(i) for i, s in enumerate(counts)}
    given = {"settings": RULES, "unit": "clonotype", "population": "t_cells", "seed": 1} | more
    return diversity_table(counts, samples, subject_id="P1", **given)


def cell(frame: pd.DataFrame, sample: str, index: str, at_equal_depth: bool) -> Any:
    found = frame[
        (frame["sample_id"] == sample) & (frame["index"] == index) & (frame["rarefied"] == at_equal_depth)
    ]
    assert len(found) == 1
    return found.iloc[0]


def test_every_index_by_hand() -> None:
    # Ten cells in clones of 5, 2, 1, 1 and 1: three of one cell, one of two.
    found = indices_of([1, 5, 1, 2, 0, 1])
    shannon = 0.5 * np.log(2) + 0.2 * np.log(5) + 0.3 * np.log(10)
    assert found == pytest.approx(
        {
            "richness": 5,
            "chao1": 5 + 3 * 2 / (2 * 2),
            "shannon": shannon,
            "pielou": shannon / np.log(5),
            # Sorted 1 1 1 2 5 with the weights -4 -2 0 2 4: 18 of 5 * 10.
            "gini": 0.36,
            "simpson": 1 - 0.32,
            "hill_0": 5,
            "hill_1": np.exp(shannon),
            "hill_2": 1 / 0.32,
            # The largest holds half and no more, so two are needed.
            "uc50": 2,
            "d50": 40,
            "largest": 50,
        }
    )
    assert tuple(found) == INDICES


def test_one_clone_has_no_evenness() -> None:
    found = indices_of([7])
    assert np.isnan(found.pop("pielou"))
    assert found == {
        "richness": 1,
        "chao1": 1,
        "shannon": 0,
        "gini": 0,
        "simpson": 0,
        "hill_0": 1,
        "hill_1": 1,
        "hill_2": 1,
        "d50": 100,
        "uc50": 1,
        "largest": 100,
    }


def test_chao1_is_told_without_clones_of_two_cells() -> None:
    assert indices_of([1, 1, 1, 1])["chao1"] == 4 + 4 * 3 / 2
    assert indices_of([3, 4])["chao1"] == 2


@pytest.mark.parametrize("wrong", [[], [0, 0], [1, -1], [1, float("nan")], [float("inf")], [1e300]])
def test_what_are_no_cells_is_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match=r"abundances are numbers|needs a clone"):
        indices_of(wrong)


def test_each_index_is_explained_here_and_in_the_docs() -> None:
    assert tuple(INDEX_NOTES) == INDICES
    docs = (Path(__file__).parents[3] / "docs" / "clones.md").read_text(encoding="utf-8")
    for index, note in INDEX_NOTES.items():
        assert f"| `{index}` | {note.unit} | {note.definition} | {note.depth} |" in docs


@given(COUNTS, st.randoms(use_true_random=False), st.integers(0, 5))
@trials(max_examples=50, deadline=None)
def test_neither_order_nor_unseen_clones_matter(counts: list[int], order: Any, zeros: int) -> None:
    shuffled = [*counts, *[0] * zeros]
    order.shuffle(shuffled)
    assert indices_of(shuffled) == pytest.approx(indices_of(counts), rel=0, abs=0, nan_ok=True)


@given(COUNTS, st.sampled_from([2, 7, 0.5]))
@trials(max_examples=50, deadline=None)
def test_all_but_chao1_rest_on_shares_alone(counts: list[int], times: float) -> None:
    scaled = indices_of([c * times for c in counts])
    here = indices_of(counts)
    for index in SCALE_FREE:
        assert scaled[index] == pytest.approx(here[index], nan_ok=True), index


@given(COUNTS)
def test_indices_keep_their_bounds(counts: list[int]) -> None:
    found = indices_of(counts)
    n = len(counts)
    assert found["richness"] == found["hill_0"] == n <= found["chao1"]
    for index in ("gini", "simpson"):
        assert 0 <= found[index] < 1
    assert n == 1 or 0 < found["pielou"] <= 1
    assert n >= found["hill_1"] * (1 - 1e-12)
    assert found["hill_1"] >= found["hill_2"] * (1 - 1e-12)
    assert found["hill_2"] >= 100 / found["largest"] * (1 - 1e-12) >= 1 - 1e-12
    assert 1 <= found["uc50"] <= n // 2 + 1
    assert 0 < found["d50"] <= 100
    assert found["hill_1"] == pytest.approx(np.exp(found["shannon"]))


@given(COUNTS)
def test_indices_are_those_of_their_definitions(counts: list[int]) -> None:
    x = np.sort(np.array(counts, dtype=float))
    n, found = len(x), indices_of(counts)
    apart = np.abs(x[:, None] - x[None, :]).sum() / (2 * n * x.sum())
    assert found["gini"] == pytest.approx(apart, abs=1e-12)
    fewest = next(k for k in range(1, n + 1) if 2 * x[-k:].sum() > x.sum())
    assert found["uc50"] == fewest
    assert found["simpson"] == pytest.approx(1 - ((x / x.sum()) ** 2).sum())


@given(st.lists(st.integers(2, 40), min_size=1, max_size=20), st.integers(0, 19))
@trials(max_examples=50, deadline=None)
def test_splitting_a_clone_makes_the_sample_more_diverse(counts: list[int], which: int) -> None:
    at = which % len(counts)
    part = counts[at] // 2
    split = indices_of([*counts[:at], *counts[at + 1 :], part, counts[at] - part])
    here = indices_of(counts)
    assert split["richness"] == here["richness"] + 1
    for index in ("shannon", "simpson", "hill_1", "hill_2"):
        assert split[index] > here[index]
    assert split["largest"] <= here["largest"]
    assert split["uc50"] >= here["uc50"]


def test_rarefaction_by_hand() -> None:
    # Two of four cells of the clones 2, 1, 1: of six pairs one is of one clone.
    found = rarefied([2, 1, 1], 2)
    assert found == pytest.approx(
        {
            "richness": 11 / 6,
            "shannon": 5 / 6 * np.log(2),
            "simpson": 5 / 6 / 2,
            "hill_0": 11 / 6,
            "hill_1": 2 ** (5 / 6),
            "hill_2": 12 / 7,
        }
    )


def test_rarefaction_of_the_spiders_of_chao_2014() -> None:
    # What iNEXT prints for 10 and 19 of the 168 spiders [recalled], and for all of them.
    assert rarefied(GIRDLED, 10)["hill_0"] == pytest.approx(6.479, abs=5e-4)
    assert rarefied(GIRDLED, 19)["hill_0"] == pytest.approx(9.450, abs=5e-4)
    assert rarefied(GIRDLED, 168)["hill_1"] == pytest.approx(12.060, abs=5e-4)
    assert rarefied(GIRDLED, 168)["hill_2"] == pytest.approx(7.840, abs=5e-4)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.data())
@trials(max_examples=50, deadline=None)
def test_rarefaction_is_the_mean_of_all_subsamples(counts: list[int], data: st.DataObject) -> None:
    from itertools import combinations

    labels = np.repeat(np.arange(len(counts)), counts)
    depth = data.draw(st.integers(1, len(labels)))
    every = [indices_of(np.bincount(labels[list(c)])) for c in combinations(range(len(labels)), depth)]
    found = rarefied(counts, depth)
    for index in ("richness", "shannon", "simpson"):
        assert found[index] == pytest.approx(np.mean([e[index] for e in every]), abs=1e-9)


@given(COUNTS, st.data())
@trials(max_examples=50, deadline=None)
def test_rarefied_indices_rise_with_depth_to_those_of_the_sample(
    counts: list[int], data: st.DataObject
) -> None:
    cells = sum(counts)
    depth = data.draw(st.integers(1, cells))
    less, more, all_of_it = (
        rarefied(counts, depth),
        rarefied(counts, min(depth + 1, cells)),
        indices_of(counts),
    )
    for index in EXACT:
        assert less[index] <= more[index] + 1e-9 <= all_of_it[index] + 2e-9
    assert less["hill_0"] + 1e-9 >= less["hill_1"] >= less["hill_2"] - 1e-9
    assert rarefied(counts, cells) == pytest.approx({i: all_of_it[i] for i in EXACT})


def test_rarefaction_holds_for_a_million_cells() -> None:
    found = rarefied([600_000, 300_000, *[1] * 100_000], 1000)
    # Each small clone is seen with 0.001, and both large ones are.
    assert found["richness"] == pytest.approx(2 + 100, rel=1e-6)
    assert found["simpson"] == pytest.approx(1 - 0.36 - 0.09 - 0.55 / 1000, rel=1e-4)


@pytest.mark.parametrize("depth", [0, 4])
def test_no_sample_is_rarefied_to_more_than_it_has(depth: int) -> None:
    with pytest.raises(ValueError, match="3 cells can't be rarefied"):
        rarefied([2, 1], depth)


def test_unseen_clones_are_those_that_chao1_expects() -> None:
    # Ten cells, three clones of one and one of two: 9/10 * 9/2 = 4.05 unseen, so five, with the share that singles lack:
    # 3/10 * 40.5 / (40.5 + 3).
    found = assemblage_of([5, 2, 1, 1, 1])
    assert found.clones.tolist() == [3, 1, 1, 5]
    assert found.shares.sum() == pytest.approx(1)
    assert found.shares[-1] == pytest.approx(0.3 * 40.5 / 43.5)
    # Where each clone has several cells, none is missing and the shares are those seen.
    full = assemblage_of([6, 4])
    assert (full.shares.tolist(), full.clones.tolist()) == ([0.4, 0.6, 0], [1, 1, 0])


@given(COUNTS, st.integers(1, 200))
@trials(max_examples=50, deadline=None)
def test_a_draw_has_the_cells_that_were_asked_for(counts: list[int], cells: int) -> None:
    found = assemblage_of(counts)
    sizes, clones = draw(found, cells, np.random.default_rng(1))
    assert (sizes * clones).sum() == cells
    assert clones.sum() <= found.clones.sum()


def test_draws_find_nearly_as_many_clones_as_the_sample_had() -> None:
    # From the seen clones alone: 40 * (1 - 0.99^100) + 10 * (1 - 0.98^100) + 10 * (1 - 0.96^100) = 44 of the 60. With
    # the unseen ones, by the shares of Chao 2014: 40 * 0.173 + 10 * 0.759 + 10 * 0.980 + 80 * 0.392 = 55.7.
    rng = np.random.default_rng(3)
    found = assemblage_of([1] * 40 + [2] * 10 + [4] * 10)
    richness = [draw(found, 100, rng)[1].sum() for _ in range(300)]
    assert np.mean(richness) == pytest.approx(55.7, abs=1)


@given(COUNTS.filter(lambda c: sum(c) >= 12), st.randoms(use_true_random=False))
@trials(max_examples=8, deadline=None)
def test_order_changes_no_digit_of_an_interval(counts: list[int], order: Any) -> None:
    shuffled = counts.copy()
    order.shuffle(shuffled)
    here, there = (measure(c, depth=10, settings=RULES, seed=4) for c in (counts, shuffled))
    assert str(here) == str(there)


def test_each_sample_has_each_index_twice() -> None:
    frame = table({"S2": GIRDLED, "S1": [3] * 40})
    assert len(frame) == 2 * 2 * len(INDICES)
    assert cell(frame, "S2", "richness", False)["depth"] == 168
    equal = cell(frame, "S2", "hill_1", True)
    # The smaller sample, as it is, sets the depth.
    assert (equal["depth"], cell(frame, "S1", "hill_1", True)["value"]) == (120, pytest.approx(40))
    assert equal["value"] == pytest.approx(rarefied(GIRDLED, 120)["hill_1"])
    assert equal["lower"] < equal["value"] < equal["upper"]
    for row in frame.to_dict("records"):
        assert row["lower"] <= row["value"] <= row["upper"], row
    assert frame["reason"].isna().all()
    gini = cell(frame, "S2", "gini", True)["value"]
    assert 0 < gini < cell(frame, "S2", "gini", False)["value"] + 0.05


def test_a_sample_of_few_cells_is_not_compared() -> None:
    frame = table({"S1": [10] * 6, "S2": [1] * 30, "S3": []})
    assert cell(frame, "S1", "richness", True)["depth"] == 60
    small = cell(frame, "S2", "richness", True)
    assert (small["depth"], small["reason"]) == (30, "30 cells; 50 are needed")
    assert pd.isna(small["value"])
    assert cell(frame, "S2", "richness", False)["value"] == 30
    for at_equal_depth in (False, True):
        none = cell(frame, "S3", "shannon", at_equal_depth)
        assert (none["depth"], none["reason"]) == (0, "no cells")


def test_the_depth_can_be_set() -> None:
    frame = table({"S1": [10] * 20, "S2": [1] * 70}, settings=Diversity(rarefied_to=100, bootstraps=50))
    assert cell(frame, "S1", "hill_2", True)["depth"] == 100
    assert cell(frame, "S2", "hill_2", True)["reason"] == "70 cells; rarefied to 100"


def test_a_single_clone_has_no_interval() -> None:
    frame = table({"S1": [80], "S2": [10] * 6}, unit="site", population="PBMC")
    row = cell(frame, "S1", "largest", True)
    assert (row["value"], row["depth"]) == (100, 60)
    assert pd.isna(row["lower"])
    assert cell(frame, "S1", "pielou", False)["reason"] == "one site has no evenness"


def test_fractions_are_taken_as_they_are_and_rounded_where_cells_are_counted() -> None:
    frame = table({"S1": [30.4, 20.5, 1.4, 0.6]}, unit="site", population="PBMC")
    assert cell(frame, "S1", "largest", False)["value"] == pytest.approx(100 * 30.4 / 52.9)
    assert cell(frame, "S1", "largest", True)["value"] == pytest.approx(100 * 30 / 53)
    assert cell(frame, "S1", "chao1", False)["value"] == 5


def test_shares_are_not_taken_for_cells() -> None:
    frame = table({"S1": [0.5, 0.3, 0.2]}, unit="site", population="PBMC")
    assert cell(frame, "S1", "simpson", False)["value"] == pytest.approx(0.62)
    assert pd.isna(cell(frame, "S1", "simpson", False)["lower"])
    for index, at_equal_depth in (("chao1", False), ("simpson", True)):
        assert "no numbers of cells" in cell(frame, "S1", index, at_equal_depth)["reason"]
    assert "no numbers of cells" in cell(table({"S1": [1e9, 5.0]}), "S1", "hill_1", True)["reason"]


def test_a_wider_confidence_gives_wider_limits() -> None:
    usual, wide = (cell(table({"S1": GIRDLED}, confidence=c), "S1", "shannon", False) for c in (0.9, 0.99))
    assert wide["lower"] < usual["lower"] < usual["value"] < usual["upper"] < wide["upper"]
