"""Composition of samples: numbers by hand first, then what must hold for any library."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.unit.cells.hand_libraries import USUAL, assemble, library, sample, sheet_row

from cartrace.analytes import ANALYTES
from cartrace.cells.assemble import Assembled
from cartrace.cells.populations import POPULATIONS
from cartrace.cells.settings import Composition
from cartrace.cells.shares import Estimate, apart, counted_share, pooled, product
from cartrace.cells.vocabulary import LINEAGES

RULES = Composition()


def result(made: Assembled, analyte: str, unit: str = "%") -> Any:
    found = made.results[(made.results["analyte"] == analyte) & (made.results["unit"] == unit)]
    assert len(found) == 1
    return found.iloc[0]


def line(made: Assembled, population: str, parent: str, name: str = "L1") -> Any:
    frame = made.composition
    return frame[
        (frame["population"] == population) & (frame["parent"] == parent) & (frame["library"] == name)
    ].iloc[0]


def findings(made: Assembled, check: str) -> pd.DataFrame:
    return made.qc[made.qc["check"] == check].reset_index(drop=True)


def test_an_ordinary_blood_by_hand() -> None:
    # 820 of 1,000 cells are lymphocytes (600 T, 100 NK, 100 B; plasma cells are none): 800 of a count of 1,600 cells/uL.
    made = assemble([library()], [sheet_row(lymphocytes=1600)])
    share = result(made, "b_cells")
    assert (share["value"], share["lower"], share["upper"], share["detection"]) == (10, 10, 10, "quantified")
    assert (share["assay"], share["source_file"], share["status"]) == ("scRNA-seq", "L1", "accepted")
    assert result(made, "t_cells", "cells/uL")["value"] == 1200
    assert result(made, "b_cells", "cells/uL")["value"] == 200
    assert result(made, "naive_b_cells", "cells/uL")["value"] == 160
    # A ratio of two counts: plasma cells are none of the lymphocytes.
    assert result(made, "plasma_cells", "cells/uL")["value"] == pytest.approx(1600 * 20 / 800)
    assert result(made, "car_t_fraction")["value"] == 20
    assert result(made, "car_t_cells", "cells/uL")["value"] == pytest.approx(240)
    # 40 of the 100 cells that are called positive are CD4+.
    assert result(made, "car_cd4_fraction")["value"] == 40
    assert result(made, "car_cd4_cells", "cells/uL")["value"] == pytest.approx(96)
    assert result(made, "car_exhausted_fraction")["value"] == 60
    assert result(made, "naive_b_fraction")["value"] == 80
    assert result(made, "memory_b_fraction")["value"] == 20
    row = line(made, "b", "cells")
    assert (row["count"], row["total"], row["percent"]) == (100, 1000, 10)
    assert (row["lower"], row["upper"]) == pytest.approx((8.211, 12.029), abs=1e-3)
    exact = stats.binomtest(100, 800).proportion_ci(method="exact")
    per = (row["cells_per_ul_lower"], row["cells_per_ul_upper"])
    assert per == pytest.approx((1600 * exact.low, 1600 * exact.high))


def test_every_analyte_is_known_in_its_unit() -> None:
    for population in POPULATIONS:
        assert not population.analyte or "%" in ANALYTES[population.analyte].units
        assert not population.count_analyte or "cells/uL" in ANALYTES[population.count_analyte].units


def test_no_cells_are_below_detection_with_an_exact_limit() -> None:
    cells = {c: n for c, n in USUAL.items() if "b" not in c[0].split("_")}
    made = assemble([library(cells=cells)], [sheet_row(lymphocytes=1400)])
    # None of 900: the share with which 900 cells hold none with 5 % is 1 - 0.05 ** (1 / 900).
    limit = 100 * (1 - 0.05 ** (1 / 900))
    row = result(made, "b_cells")
    assert pd.isna(row["value"])
    assert (row["detection"], row["censoring"], row["lower"]) == ("BLD", "left", 0)
    assert (row["upper"], row["lod"]) == pytest.approx((limit, limit))
    per = result(made, "b_cells", "cells/uL")
    assert per["upper"] == pytest.approx(1400 * (1 - 0.05 ** (1 / 700)))
    assert pd.isna(line(made, "b", "cells")["percent"])
    # Of no B cells nobody knows how many are naive.
    assert "naive_b_fraction" not in set(made.results["analyte"])
    assert line(made, "naive_b", "b")["reason"] == "0 B cells, fewer than 20"


def test_few_cells_are_detected_and_not_quantified() -> None:
    made = assemble([library(cells=USUAL | {("plasmablast", "", "not_assessed"): 5})])
    row = result(made, "plasmablasts")
    assert (row["detection"], row["lower"]) == ("BLQ", pytest.approx(100 * (1 - 0.05 ** (1 / 1005))))
    assert row["lloq"] == row["upper"] == pytest.approx(1600 / 1005)
    one = assemble([library(cells=USUAL | {("plasmablast", "", "not_assessed"): 1})])
    assert result(one, "plasmablasts")["lower"] == 0


def test_the_car_share_is_the_model_s_and_not_the_count_of_positives() -> None:
    made = assemble([library(fraction={"fraction": 30.0, "lower": 25.0, "upper": 36.0})])
    row = line(made, "car_t", "t")
    assert (row["percent"], row["lower"], row["upper"]) == pytest.approx((30, 25, 36))
    assert (row["count"], row["total"]) == (pytest.approx(180), 600)
    assert result(made, "car_t_fraction")["value"] == pytest.approx(30)


def test_cars_below_detection_have_a_bound_and_no_states() -> None:
    nothing = {"fraction": None, "lower": 0.0, "upper": 0.4, "detection": "BLD"}
    made = assemble([library(fraction=nothing)], [sheet_row(lymphocytes=800)])
    row = result(made, "car_t_fraction")
    assert (row["detection"], row["lower"], row["upper"]) == ("BLD", 0, pytest.approx(0.4))
    count = result(made, "car_t_cells", "cells/uL")
    # T cells are at most 78.6 % of the lymphocytes (Clopper and Pearson).
    most = stats.binomtest(600, 800).proportion_ci(method="exact").high
    assert (count["detection"], count["upper"]) == ("BLD", pytest.approx(800 * most * 0.004))
    assert result(made, "car_cd4_cells", "cells/uL")["upper"] == count["upper"]
    assert "car_cd4_fraction" not in set(made.results["analyte"])
    assert line(made, "cd4", "car_t")["reason"] == "CAR+ T cells are not detected"


def test_a_share_of_few_car_cells_is_not_quantified() -> None:
    made = assemble([library(fraction={"fraction": 1.0, "lower": 0.5, "upper": 2.0})])
    # 1 % of 600 T cells are 6 cells, and 16 are asked.
    row = result(made, "car_t_fraction")
    assert (row["detection"], row["lower"], row["upper"]) == pytest.approx(("BLQ", 0.5, 1600 / 600))


def test_unknown_car_calls_are_a_reason() -> None:
    failed = {"detection": None, "fraction": None, "verdict": "rejected", "reason": "no CAR feature"}
    made = assemble([library(fraction=failed)], [sheet_row(lymphocytes=800)])
    assert not made.results["analyte"].str.startswith("car_").any()
    assert line(made, "car_t", "t")["reason"] == "no CAR feature"
    assert line(made, "cd4", "car_t")["reason"] == "CAR+ cells are not known: no CAR feature"
    assert "b_cells" in set(made.results["analyte"])
    told = findings(made, "share_not_estimable")
    assert told["message"].str.contains("no CAR feature").any()
    assert set(told["subject_id"]) == {"A"}


@pytest.mark.parametrize(
    ("sort", "told", "untold"),
    [
        ("t_cells", {"car_t_fraction", "car_cd4_fraction"}, {"b_cells", "naive_b_fraction"}),
        ("car_positive", {"car_cd4_fraction", "car_exhausted_fraction"}, {"car_t_fraction", "b_cells"}),
        ("b_cells", {"naive_b_fraction"}, {"b_cells", "car_t_fraction", "car_cd4_fraction"}),
        ("other", set(), {"b_cells", "car_t_fraction", "naive_b_fraction", "car_cd4_fraction"}),
    ],
)
def test_a_sorted_library_tells_no_share_of_what_was_sorted_away(
    sort: str, told: set[str], untold: set[str]
) -> None:
    made = assemble([library(sort=sort)], [sheet_row(lymphocytes=800, sort=sort)])
    analytes = set(made.results["analyte"])
    assert told <= analytes
    assert not untold & analytes
    assert set(made.results["unit"]) <= {"%"}
    assert "sorted" in line(made, "b", "cells")["reason"]


def test_a_failed_library_gives_reasons_and_no_number() -> None:
    made = assemble([library(verdict="rejected", reason="a median of 2 UMIs")])
    assert len(made.results) == 0
    assert made.composition[["count", "total", "percent"]].isna().all(axis=None)
    assert set(made.composition["reason"]) == {"a median of 2 UMIs"}
    told = findings(made, "library_rejected")
    assert set(told["verdict"]) == {"fail"}
    assert "a median of 2 UMIs" in told["message"].iloc[0]


def test_a_flagged_library_flags_its_results() -> None:
    made = assemble([library(verdict="flagged", flags="high_mito")])
    assert set(made.results["status"]) == {"flagged"}
    assert set(made.results["flags"]) == {"high_mito"}


@pytest.mark.parametrize(
    ("row", "matrix", "reason"),
    [
        (sheet_row(), "blood", "no count of lymphocytes"),
        (sheet_row(white_cells_per_ul=5000.0), "blood", "includes granulocytes"),
        (sheet_row(lymphocytes=0), "blood", "is 0"),
        (sheet_row(lymphocytes=1000), "csf", "says nothing of csf"),
    ],
)
def test_without_a_blood_count_there_are_no_cells_per_ul(row: Any, matrix: str, reason: str) -> None:
    made = assemble([library()], [row], [sample(matrix=matrix)])
    assert set(made.results["unit"]) == {"%"}
    told = findings(made, "share_not_estimable")
    assert told.loc[told["value"] == "cells/uL", "message"].str.contains(reason).all()


def test_cells_that_do_not_count_enter_nothing() -> None:
    made = assemble([library(lost=50)])
    assert line(made, "t", "cells")["count"] == 600
    assert result(made, "car_cd4_fraction")["value"] == 40


def test_many_unassigned_cells_flag_the_parts_of_their_parent() -> None:
    made = assemble([library(cells=USUAL | {("unassigned_t", "unassigned", "negative"): 300})])
    flags = made.results.set_index("analyte")["flags"]
    assert flags["t_naive_fraction"] == "unassigned_cells"
    assert flags[["b_cells", "naive_b_fraction", "car_cd4_fraction"]].isna().all()
    assert findings(made, "unassigned_cells")["source_file"].tolist() == ["L1"]


def test_more_undetermined_than_positive_cells_flag_the_states_of_positive_ones() -> None:
    made = assemble([library(cells=USUAL | {("cd8_t", "naive", "undetermined"): 101})])
    flags = made.results.set_index("analyte")["flags"]
    assert flags["car_cd4_fraction"] == "undetermined_cells"
    assert pd.isna(flags["car_t_fraction"])


def test_libraries_of_one_sample_and_sort_are_pooled() -> None:
    twice = [library("L1"), library("L2", fraction={"fraction": 30.0, "lower": 26.0, "upper": 35.0})]
    made = assemble(twice, [sheet_row("L1", lymphocytes=800), sheet_row("L2")])
    row = result(made, "b_cells")
    assert (row["value"], row["source_file"], row["n_replicates"]) == (10, "L1;L2", 2)
    assert line(made, "b", "cells", "L1;L2")["total"] == 2000
    # Both have 600 T cells; half of each distance to the limits, joined as independent.
    row = line(made, "car_t", "t", "L1;L2")
    assert (row["percent"], row["lower"], row["upper"]) == pytest.approx(
        (25, 25 - 8**0.5, 25 + (2.5**2 + 2.5**2) ** 0.5)
    )
    assert not made.results.duplicated(["sample_id", "analyte", "unit"]).any()
    assert len(findings(made, "libraries_apart")) == 0


def test_a_rejected_library_is_not_pooled() -> None:
    made = assemble(
        [library("L1"), library("L2", cells={("nk", "", "not_assessed"): 30}, verdict="rejected")]
    )
    assert result(made, "b_cells")["source_file"] == "L1"
    assert set(made.composition["library"]) == {"L1", "L2"}


def test_libraries_of_one_sample_that_contradict_each_other_are_told_and_flagged() -> None:
    other = USUAL | {("naive_b", "", "not_assessed"): 400}
    made = assemble([library("L1"), library("L2", cells=other)])
    told = findings(made, "libraries_apart")
    assert told["source_column"].tolist() == ["naive_b of cells"]
    assert "80 of 1000 all cells in L1, 400 of 1320 in L2" in told["message"].iloc[0]
    assert result(made, "b_cells")["flags"] == "libraries_apart"


def test_of_two_sorts_the_one_with_most_parent_cells_goes_into_measurements() -> None:
    many = {("cd4_t", "naive", "positive"): 900, ("cd8_t", "naive", "positive"): 600}
    libraries = [library("L1"), library("L2", cells=many, sort="car_positive")]
    made = assemble(libraries, [sheet_row("L1"), sheet_row("L2", sort="car_positive")])
    assert result(made, "car_cd4_fraction")["source_file"] == "L2"
    assert result(made, "car_t_fraction")["source_file"] == "L1"
    row = line(made, "cd4", "car_t")
    assert (row["percent"], row["reason"]) == (40, "L2 of the same sample has more CAR+ T cells")
    assert pd.isna(row["analyte"])


def test_the_parts_of_every_parent_add_up() -> None:
    cells = USUAL | {("treg", "treg", "positive"): 7, ("gamma_delta_t", "", "negative"): 5}
    frame = assemble([library(cells=cells)]).composition.set_index(["parent", "population"])["count"]
    assert frame["cells"][list(LINEAGES)].sum() == 1012
    kinds = ["cd4", "cd8", "gamma_delta_t", "double_negative_t", "unassigned_t"]
    for parent, n in (("t", 612), ("car_t", 107)):
        assert frame[parent][kinds].sum() == n
        assert frame[parent][[p for p in frame[parent].index if p.startswith("state_")]].sum() == n
    subsets = ["transitional_b", "naive_b", "memory_b", "double_negative_b", "unassigned_b"]
    assert frame["b"][subsets].sum() == 100


# --- numbers alone ---------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5000), st.floats(0, 1))
def test_a_share_lies_in_its_interval_and_the_limits_are_ordered(n: int, at: float) -> None:
    k = round(at * n)
    share = counted_share(k, n, RULES, 0.95)
    assert 0 < share.lod <= share.lloq <= 1
    assert share.lower <= share.upper
    if k:
        exact = stats.binomtest(k, n).proportion_ci(method="exact")
        assert (share.lower, share.upper) == pytest.approx((exact.low, exact.high), abs=1e-9)
        assert share.lower <= share.value <= share.upper
    low, high = share.bounds
    assert 0 <= low <= high
    # The chance of no such cell at the LOD is what the confidence leaves.
    assert (1 - share.lod) ** n == pytest.approx(0.05)


def test_more_cells_can_be_asked_of_a_detected_population() -> None:
    share = counted_share(2, 1000, Composition(min_cells_lod=3), 0.95)
    assert share.detection == "BLD"
    assert stats.binom.cdf(2, 1000, share.lod) == pytest.approx(0.05)
    assert counted_share(1, 2, Composition(min_cells_lod=3), 0.95).lod == 1


def test_a_share_of_no_cells_is_refused() -> None:
    with pytest.raises(ValueError, match="no cells"):
        counted_share(0, 0, RULES, 0.95)


def test_a_product_joins_the_relative_distances() -> None:
    first, second = (Estimate(10, 5, 20, 1, 2, "quantified"), Estimate(0.5, 0.25, 1, 0.1, 0.2, "quantified"))
    made = product(first, second)
    assert (made.value, made.lower, made.upper) == pytest.approx((5, 5 * 2 ** -(2**0.5), 5 * 2 ** (2**0.5)))
    certain = Estimate(10, 10, 10, 1, 2, "quantified")
    assert product(certain, second).upper == pytest.approx(10)
    assert product(first, Estimate(float("nan"), 0.1, 0.4, 0.1, 0.2, "BLQ")).bounds == pytest.approx((0, 8))


def test_a_pool_of_one_is_itself_and_a_pool_of_equals_is_more_certain() -> None:
    one = Estimate(0.2, 0.15, 0.27, 0.01, 0.02, "quantified")
    assert pooled([one], [10]) == one
    two = pooled([one, one], [10, 10])
    assert two.value == pytest.approx(0.2)
    assert 0.15 < two.lower < 0.2 < two.upper < 0.27
    none = Estimate(float("nan"), 0.0, 0.1, 0.1, 0.1, "BLD")
    assert pooled([none, none], [1, 1]).detection == "BLD"
    assert pooled([none, none], [1, 1]).upper <= 0.1


def test_shares_are_apart_by_their_odds_and_not_by_chance() -> None:
    assert apart((80, 1000), (400, 1320), 2, 0.95)
    assert not apart((80, 1000), (100, 1000), 2, 0.95)
    assert not apart((5000, 10_000), (5500, 10_000), 2, 0.95)
    assert not apart((0, 20), (2, 20), 2, 0.95)
    assert apart((0, 1000), (50, 1000), 2, 0.95)
