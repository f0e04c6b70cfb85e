from __future__ import annotations

import numpy as np
import pytest

from cartrace.kinetics.stein import TYPICAL, stein_course
from cartrace.simulate import courses
from cartrace.simulate.courses import Course


def test_the_published_typical_patient_crosses_50_copies_at_day_425_83() -> None:
    assert courses.time_below(TYPICAL, 50.0) == pytest.approx(425.83, abs=0.01)


def test_a_course_that_never_reaches_the_limit_has_no_crossing() -> None:
    assert np.isnan(courses.time_below(TYPICAL, 24_001.0))


def test_the_car_fraction_of_24000_copies_is_21_percent() -> None:
    # 24000 * 6.6e-6 = 0.1584 copies per cell; / (2 copies * 0.3 T per cell) = 0.264; 0.264 / 1.264.
    assert courses.car_fraction(24_000.0) == pytest.approx(100 * 0.264 / 1.264)


def test_t_cells_are_at_3_percent_on_day_0_and_come_back() -> None:
    before, zero, late = courses.t_cell_count([-5, 0, 365], 800.0)
    assert (before, zero) == (800.0, pytest.approx(24.0))
    assert late == pytest.approx(800.0, rel=1e-6)


@pytest.mark.parametrize("analyte", ["transgene", "car_t_fraction", "car_t_cells"])
@pytest.mark.parametrize("window", courses.WINDOWS)
def test_true_areas_equal_a_numerical_integral(analyte: str, window: tuple[int, int]) -> None:
    course = Course("usual", TYPICAL, 700.0)
    start, end = window
    time = np.union1d(np.linspace(start, end, 200_001), TYPICAL.tmax)
    time = time[(time >= start) & (time <= end)]
    by_hand = np.trapezoid(courses.value(analyte, time, course), time)
    truth = courses.true_metrics(analyte, course, 0.1)
    assert truth[f"auc_{start}_{end}"] == pytest.approx(by_hand, rel=2e-4)


@pytest.mark.parametrize("role", courses.ROLES)
@pytest.mark.parametrize("seed", range(5))
def test_each_role_is_what_its_name_says(role: courses.Role, seed: int) -> None:
    course = courses.draw_course(np.random.default_rng(seed), role, 1e6)
    lost = courses.time_below(course.parameters, courses.PCR_LLOQ)
    if role == "never_expands":
        assert courses.PCR_LOD < course.parameters.cmax < courses.PCR_LLOQ
        assert np.isnan(lost)
    elif role == "persister":
        assert lost > courses.PERSISTS_FROM
    else:
        assert 42 < lost < courses.GONE_BY
    if role == "late_maximum":
        assert course.parameters.tmax > 40


def test_flow_loses_the_cells_before_pcr() -> None:
    for seed in range(20):
        course = courses.draw_course(np.random.default_rng(seed), "usual", 1e6)
        pcr = courses.true_metrics("transgene", course, courses.PCR_LLOQ)["time_to_loss"]
        flow = courses.true_metrics("car_t_fraction", course, courses.FLOW_LLOQ)["time_to_loss"]
        assert flow < pcr


def test_a_tenfold_dose_raises_the_median_cmax_twofold() -> None:
    def median(dose: float) -> float:
        rng = np.random.default_rng(1)
        return float(
            np.median([courses.draw_course(rng, "persister", dose).parameters.cmax for _ in range(400)])
        )

    assert median(1e7) / median(1e6) == pytest.approx(10**courses.DOSE_EXPONENT, rel=0.15)


def test_the_second_infusion_expands_less_from_the_same_start() -> None:
    rng = np.random.default_rng(3)
    first = courses.draw_course(rng, "second_infusion", 1e6)
    second = courses.second_course(rng, first)
    assert 0.10 <= second.parameters.cmax / first.parameters.cmax <= 0.25
    assert stein_course(0, second.parameters) == pytest.approx(stein_course(0, first.parameters))
