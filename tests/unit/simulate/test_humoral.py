from __future__ import annotations

import math

import numpy as np
import pytest

from cartrace.simulate.humoral import (
    LINEAGES,
    Antibody,
    Cells,
    CellShape,
    Immunoglobulin,
    crossings,
    draw_humoral,
)

SHAPE = CellShape(
    before=160,
    kept=0.4,
    nadir=0.1,
    nadir_day=7,
    anchor=20,
    anchor_day=75,
    doubling=7.5,
    plateau=240,
)


def test_cells_hold_until_lymphodepletion_and_fall_to_the_nadir() -> None:
    before, zero, nadir, later = SHAPE([-5, 0, 7, 8])
    assert before == pytest.approx(160)
    assert zero == pytest.approx(64)
    assert (nadir, later) == (pytest.approx(0.1), pytest.approx(0.1))


def test_cells_pass_the_anchor_on_its_day_and_double_from_there() -> None:
    assert SHAPE([75, 82.5, 67.5, 400]).tolist() == pytest.approx([20, 40, 10, 240])


def test_cells_that_come_back_early_have_a_higher_nadir_and_no_jump() -> None:
    early = CellShape(240, 0.4, 0.1, 7, 20, 28, 5, 360)
    # 20 * 2 ** (-21 / 5) on day 7.
    assert early([7, 7.0001]).tolist() == pytest.approx([20 * 2 ** (-4.2)] * 2, rel=1e-4)


def test_who_never_reconstitutes_stays_at_the_nadir() -> None:
    never = CellShape(160, 0.4, 0.1, 7, 20, math.inf, 7.5, 240)
    assert never([7, 100, 1000]).tolist() == pytest.approx([0.1] * 3)


def test_crossings_are_the_days_of_the_formula() -> None:
    found = crossings(Cells(((0.0, SHAPE),)), 20.0, -4.0, 200.0)
    # 64 to 0.1 within seven days, log-linear.
    assert found.falls == pytest.approx([7 * math.log(64 / 20) / math.log(640)], abs=0.01)
    assert found.rises == pytest.approx([75.0], abs=0.01)
    assert not found.low_at_start


def test_immunoglobulin_follows_its_differential_equation() -> None:
    course = Immunoglobulin(9.0, 21.0, ((3.0, 1.0), (10.0, 0.2), (40.0, 0.2), (380.0, 1.0)))
    k = math.log(2) / 21
    step = 0.01
    time = np.arange(0, 500, step)
    working = np.interp(time, [3, 10, 40, 380], [1, 0.2, 0.2, 1])
    level = np.empty_like(time)
    level[0] = 9.0
    for n in range(1, time.size):
        level[n] = level[n - 1] + step * k * (9.0 * working[n - 1] - level[n - 1])
    assert np.abs(course(time) / level - 1).max() < 1e-3
    assert course([-5.0, 3.0]).tolist() == pytest.approx([9.0, 9.0])


def test_infused_immunoglobulin_halves_in_its_half_life_and_is_not_the_own() -> None:
    course = Immunoglobulin(9.0, 21.0, ((3.0, 1.0),), doses=((100.0, 3.5),))
    assert course([99.9, 100, 121]).tolist() == pytest.approx([9.0, 12.5, 10.75])
    assert course.own([100.0]).tolist() == pytest.approx([9.0])
    assert crossings(course, 10.0, 0.0, 200.0).rises == ()


def test_antibodies_halve_in_their_half_life() -> None:
    course = Antibody(320, 30)
    assert course([-5, 0, 30, 150]).tolist() == pytest.approx([320, 320, 160, 10])
    assert course.rate == pytest.approx(math.log(2) / 30)
    assert crossings(course, 10.0, -4.0, 300.0).falls == pytest.approx([150.0], abs=0.01)


def test_an_antibody_that_rebounds_is_negative_in_between() -> None:
    course = Antibody(80, 15, rebound_day=100, floor=3, rebound_doubling=14)
    found = crossings(course, 10.0, -4.0, 300.0)
    assert found.falls == pytest.approx([45.0], abs=0.01)
    assert found.rises == pytest.approx([100 + 14 * math.log2(10 / 3)], abs=0.02)


def test_an_antibody_that_does_not_fall_crosses_nothing() -> None:
    assert crossings(Antibody(160, math.inf), 10.0, -4.0, 300.0).falls == ()


def humoral(place: int, infusions: tuple[int, ...] = (0,), seed: int = 1):
    return draw_humoral(np.random.default_rng(seed), place, infusions, (116, 146))


@pytest.mark.parametrize("place", range(12))
@pytest.mark.parametrize("seed", range(10))
def test_every_lineage_does_what_it_is_called(place: int, seed: int) -> None:
    drawn = humoral(place, seed=seed)
    b = crossings(drawn.courses["b_cells"], 20.0, -4.0, 190.0)
    at = {
        "usual": (1, 1),
        "late": (1, 1),
        "low_before": (0, 1),
        "not_depleted": (0, 0),
        "falls_again": (2, 2),
        "never_back": (1, 0),
    }
    if LINEAGES[place] == "ivig":
        assert len(b.falls) == 1
    else:
        assert (len(b.falls), len(b.rises)) == at[LINEAGES[place]]
    assert b.low_at_start == (LINEAGES[place] == "low_before")


@pytest.mark.parametrize("seed", range(10))
def test_infused_immunoglobulin_lifts_igg_above_the_threshold_and_the_own_stays_below(seed: int) -> None:
    igg = humoral(3, seed=seed).courses["igg"]
    assert (igg([120.0, 150.0]) > 4.0).all()
    assert igg([180.0])[0] < 4.0
    assert (igg.own([90.0, 120.0, 150.0, 180.0]) < 4.0).all()


def test_the_medians_are_those_of_the_publication() -> None:
    back, plasma = [], []
    for seed in range(200):
        drawn = humoral(7, seed=seed)
        b = crossings(drawn.courses["b_cells"], 20.0, -4.0, 400.0)
        back.append(b.rises[0] - b.falls[0])
        cells = drawn.courses["plasma_cells"]
        plasma.append(crossings(cells, float(cells(-5.0)) / 10, -4.0, 500.0).rises[0])
    # Blood Adv 2021;5:5290: aplasia 70 d, plasma cells again on day 212.
    assert np.median(back) == pytest.approx(70, abs=7)
    assert np.median(plasma) == pytest.approx(212, abs=15)
