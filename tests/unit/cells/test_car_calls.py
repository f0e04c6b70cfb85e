"""Calls and fractions of made-up libraries with known truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.cells.hand_cars import car_library, libraries_table

from cartrace.cells.car_calls import CalledLibrary, Context, call_library, called, context_of, cutoffs_of
from cartrace.cells.car_cells import CarCells
from cartrace.cells.settings import CarCalls, Cells

FAST = Cells(car_calls=CarCalls(draws=600))


def run(cells: CarCells, before: tuple[CarCells, ...] = (), **context: Any) -> CalledLibrary:
    return call_library(cells, Context("L1", **context), before, FAST)


def checks(found: CalledLibrary, verdict: str) -> set[str]:
    return set(found.qc.loc[found.qc["verdict"] == verdict, "check"])


@pytest.fixture(scope="module")
def blood() -> tuple[CarCells, np.ndarray, CalledLibrary]:
    """A fifth of 500 T cells carry the CAR; cells that cannot tell the ambient rate."""
    cells, carries = car_library(fraction=0.2)
    return cells, carries, run(cells)


def test_cutoffs_keep_the_expected_error_rates() -> None:
    posterior = np.array([0.99, 0.98, 0.90, 0.80, 0.10, 0.04, 0.01])
    # False among the first 3: (0.01 + 0.02 + 0.10) / 3 = 0.043; among 4: 0.0825. Missed among the last 2:
    # 0.025, among 3: 0.05.
    found = cutoffs_of(posterior, 0.05, 0.05)
    assert (found.positive, found.negative) == (0.90, 0.10)
    assert called(posterior, found).tolist() == ["positive"] * 3 + ["undetermined"] + ["negative"] * 3


def test_cells_of_equal_posterior_share_their_call() -> None:
    # Two of the three cells at 0.9 would keep the rate, all three don't.
    found = cutoffs_of(np.array([1.0, 1.0, 0.9, 0.9, 0.9]), 0.05, 0.05)
    assert called(np.array([1.0, 0.9]), found).tolist() == ["positive", "undetermined"]


def test_no_cell_is_called_against_its_own_posterior() -> None:
    found = cutoffs_of(np.array([1.0] * 100 + [0.4]), 0.05, 0.05)
    assert called(np.array([0.4, np.nan]), found).tolist() == ["undetermined", "not_assessed"]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.01, 0.3))
def test_the_error_rates_are_never_exceeded(posterior: list[float], rate: float) -> None:
    values = np.array(posterior)
    call = called(values, cutoffs_of(values, rate, rate))
    positive, negative = values[call == "positive"], values[call == "negative"]
    assert positive.size == 0 or (1 - positive).mean() <= rate + 1e-9
    assert negative.size == 0 or negative.mean() <= rate + 1e-9


def test_the_true_fraction_lies_in_the_interval(
    blood: tuple[CarCells, np.ndarray, CalledLibrary],
) -> None:
    _, _, found = blood
    row = found.fractions.iloc[0]
    assert row["lower"] < 20 < row["upper"]
    assert row["upper"] - row["lower"] < 18
    assert row["detection"] == "quantified"
    assert row["lod"] < 3
    assert row["naive_percent"] < row["fraction"] + 3
    assert row["ambient_lower"] < 0.02 < row["ambient_upper"]
    assert (row["ambient_source"], row["evidence"], row["verdict"]) == ("other_cells", "counts", "accepted")
    assert row["positive"] + row["negative"] + row["undetermined"] == row["t_cells"] == 500


def test_most_calls_are_true(blood: tuple[CarCells, np.ndarray, CalledLibrary]) -> None:
    cells, carries, found = blood
    call = found.cars["call"].to_numpy(object)
    t = cells.t_cells
    assert (~carries)[t & (call == "positive")].mean() < 0.1
    assert carries[t & (call == "negative")].mean() < 0.1
    assert carries[t & (call == "positive")].sum() > 70


def test_other_cells_are_not_assessed_but_counted(
    blood: tuple[CarCells, np.ndarray, CalledLibrary],
) -> None:
    cells, _, found = blood
    others = found.cars[~cells.t_cells]
    assert set(others["call"]) == {"not_assessed"}
    assert others["posterior"].isna().all()
    assert others["molecules"].tolist() == cells.molecules[~cells.t_cells].tolist()
    assert found.fractions.iloc[0]["other_cells"] == 150
    assert found.fractions.iloc[0]["other_positive"] == (cells.molecules[~cells.t_cells] > 0).sum()


def test_the_same_seed_gives_the_same_numbers(
    blood: tuple[CarCells, np.ndarray, CalledLibrary],
) -> None:
    cells, _, found = blood
    pd.testing.assert_frame_equal(run(cells).fractions, found.fractions)


def test_a_cell_that_does_not_count_is_called_alike_and_changes_no_fraction(
    blood: tuple[CarCells, np.ndarray, CalledLibrary],
) -> None:
    cells, _, found = blood
    # The copy of a T cell at the end has failed quality: only molecules and depth make its call.
    copies = np.append(np.arange(len(cells.cell)), 0)
    more = replace(
        cells,
        cell=np.append(cells.cell, "copy"),
        molecules=cells.molecules[copies],
        umis=cells.umis[copies],
        lineage=cells.lineage[copies],
        counted=np.append(cells.counted, False),
        clone=cells.clone[copies],
    )
    again = run(more)
    pd.testing.assert_frame_equal(again.fractions, found.fractions)
    assert again.cars["posterior"].iloc[-1] == again.cars["posterior"].iloc[0]
    assert again.cars["call"].iloc[-1] == again.cars["call"].iloc[0]


def test_a_library_without_car_is_below_detection_with_an_upper_limit() -> None:
    cells, _ = car_library(fraction=0.0)
    found = run(cells)
    row = found.fractions.iloc[0]
    assert row["detection"] == "BLD"
    assert np.isnan(row["fraction"])
    assert row["lower"] == 0
    assert 0 < row["upper"] < 5
    assert row["above_threshold"] <= row["blank_limit"]
    assert row["positive"] == 0


def test_what_was_seen_before_any_infusion_is_no_car() -> None:
    # One T cell in six shows a false molecule, as before the infusion; other cells show none.
    cells, _ = car_library(fraction=0.0, false=0.0)
    rng = np.random.default_rng(5)
    false = np.where(cells.t_cells, rng.poisson(0.18, len(cells.cell)), 0)
    late = replace(cells, molecules=false.astype(np.int64))
    without = run(late).fractions.iloc[0]
    assert without["detection"] != "BLD"
    found = run(late, before=(late,))
    row = found.fractions.iloc[0]
    assert row["detection"] == "BLD"
    assert row["calibrated_by"] == "pre_infusion"
    assert row["ambient_rate"] > 5 * without["ambient_rate"]
    assert "pre_infusion" in set(found.qc["check"])
    assert "car_before_infusion" in checks(run(late, pre_infusion=True), "warn")


def test_empty_droplets_tell_the_ambient_rate_where_no_other_cells_are() -> None:
    cells, _ = car_library(fraction=0.5, others=0, false=0.1)
    # 250 of 5,000 UMIs are soup, of which 40 in 100,000 are CAR: 0.1 molecules in a cell.
    found = run(cells, empty_droplets=2000, empty_umis=100_000, empty_car_umis=40, ambient_share=0.05)
    row = found.fractions.iloc[0]
    assert row["ambient_source"] == "empty_droplets"
    assert row["ambient_lower"] < 0.1 < row["ambient_upper"]
    assert row["lower"] < 50 < row["upper"]
    assert row["verdict"] == "accepted"


def test_where_nothing_tells_the_ambient_rate_it_is_said() -> None:
    cells, _ = car_library(fraction=0.5, others=0)
    found = run(cells)
    assert found.fractions.iloc[0]["ambient_source"] == "none"
    assert found.fractions.iloc[0]["verdict"] == "flagged"
    assert "ambient_not_seen" in checks(found, "warn")


def test_flow_narrows_the_interval_of_dim_cells_and_says_what_transcripts_alone_say() -> None:
    cells, _ = car_library(fraction=0.4, mean=0.8)
    alone = run(cells).fractions.iloc[0]
    row = run(cells, flow_fraction=0.4).fractions.iloc[0]
    assert row["upper"] - row["lower"] < alone["upper"] - alone["lower"]
    assert row["lower"] < 40 < row["upper"]
    assert row["calibrated_by"] == "flow"
    assert row["uncalibrated_fraction"] == pytest.approx(alone["fraction"], rel=0.1)
    against = run(cells, flow_fraction=0.02)
    assert "flow_fraction" in checks(against, "warn")


def test_a_surface_tag_finds_cells_without_a_molecule() -> None:
    cells, carries = car_library(fraction=0.4, mean=0.8)
    rng = np.random.default_rng(3)
    tagged = replace(
        cells, tag=np.where(carries, rng.poisson(90, len(carries)), rng.poisson(4, len(carries)))
    )
    found = run(tagged)
    call = found.cars["call"].to_numpy(object)
    assert (call[carries] == "positive").mean() > 0.95
    assert found.cars["tag_positive"].to_numpy(bool)[carries].mean() > 0.95
    # The fraction rests on molecules alone.
    alone = run(cells)
    assert found.fractions.iloc[0]["fraction"] == alone.fractions.iloc[0]["fraction"]


def test_a_clone_decides_a_cell_and_it_is_marked() -> None:
    cells, carries = car_library(fraction=0.4, mean=1.5)
    clone = np.array([f"p{i % 8}" if c else f"n{i % 20}" for i, c in enumerate(carries)], object)
    clone[~cells.t_cells] = ""
    alone, found = run(cells), run(replace(cells, clone=clone))
    assert found.cars["borrowed"].any()
    assert not alone.cars["borrowed"].any()
    changed = found.cars[found.cars["borrowed"]]
    assert (changed["posterior"] != changed["own_posterior"]).all()
    silent = carries & (cells.molecules == 0)
    assert found.cars["posterior"][silent].mean() > alone.cars["posterior"][silent].mean() + 0.3
    assert found.fractions.iloc[0]["fraction"] == alone.fractions.iloc[0]["fraction"]
    assert "borrowed_from_clones" in checks(found, "note")


@pytest.mark.parametrize(
    ("cells", "context", "words"),
    [
        (car_library(fraction=0.5, t_cells=19)[0], {}, "19 T cells count, fewer than 20"),
        (car_library(fraction=0.5)[0], {"rejected": "a median of 2 UMIs"}, "a median of 2 UMIs"),
        (replace(car_library(fraction=0.5)[0], evidence="none"), {}, "no CAR feature"),
        (car_library(fraction=0.0, false=0.0)[0], {"sort": "car_positive"}, "sorted for the CAR"),
    ],
)
def test_what_cannot_be_estimated_is_a_row_with_a_reason(
    cells: CarCells, context: dict[str, Any], words: str
) -> None:
    found = run(cells, **context)
    row = found.fractions.iloc[0]
    assert row["reason"].startswith("not estimable, because ")
    assert words in row["reason"]
    assert row["verdict"] == "rejected"
    assert np.isnan(row["fraction"])
    assert pd.isna(row["detection"])
    assert len(found.cars) == len(cells.cell)
    assert set(found.cars["call"]) == {"not_assessed"}
    assert checks(found, "fail") == {"car_fraction"}


def test_no_molecule_at_all_is_said() -> None:
    found = run(car_library(fraction=0.0, false=0.0)[0])
    assert found.fractions.iloc[0]["detection"] == "BLD"
    assert "no_car_molecule" in checks(found, "warn")
    before = run(car_library(fraction=0.0, false=0.0)[0], pre_infusion=True)
    assert "no_car_molecule" in checks(before, "note")
    assert before.fractions.iloc[0]["verdict"] == "accepted"


def test_the_row_of_a_library_becomes_context() -> None:
    row = libraries_table(sort="t_cells").iloc[0].to_dict()
    found = context_of(row, pre_infusion=True, flow_percent=30)
    assert (found.library, found.sort, found.rejected, found.pre_infusion) == ("L1", "t_cells", "", True)
    assert (found.empty_droplets, found.empty_umis, found.empty_car_umis) == (2000, 200_000, 20)
    assert (found.ambient_share, found.flow_fraction) == (0.05, 0.3)
    bare = libraries_table(
        empty_droplets=None, empty_umis=None, empty_car_umis=None, ambient_percent=None, verdict="rejected"
    )
    empty = context_of(bare.iloc[0].to_dict())
    assert (empty.empty_droplets, empty.ambient_share) == (0, None)
    assert empty.rejected
