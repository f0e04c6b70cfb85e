import numpy as np
import pytest


def test_two_points_double_in_the_time_between_them(metrics_of):
    m = metrics_of([3, 5, 10, 14], [100, 400, 100, 60])
    assert m.loc["doubling_time", "value"] == pytest.approx(1)
    assert m.loc["doubling_time", "reason"] == "two points only"
    assert m.loc["doubling_time", "n_points"] == 2


def test_the_rising_limb_is_a_regression_through_tmax(metrics_of):
    days, values = np.array([2, 4, 6, 9]), np.array([100, 250, 2000, 9000])
    m = metrics_of([*days, 12], [*values, 300])
    slope = np.polyfit(days, np.log(values), 1)[0]
    assert m.loc["doubling_time", "value"] == pytest.approx(np.log(2) / slope)
    assert (m.loc["doubling_time", "window_start"], m.loc["doubling_time", "window_end"]) == (2, 9)


def test_contraction_ends_at_a_tenth_of_the_peak(metrics_of):
    days, values = np.array([7, 10, 14, 21]), np.array([10_000, 6000, 2000, 1000])
    m = metrics_of([*days, 28], [*values, 900])
    slope = np.polyfit(days, np.log(values), 1)[0]
    assert m.loc["contraction_half_life", "value"] == pytest.approx(np.log(2) / -slope)
    assert m.loc["contraction_half_life", "window_end"] == 21


def test_contraction_ends_28_days_after_the_peak_at_the_latest(metrics_of):
    m = metrics_of([7, 21, 35, 60], [1000, 800, 500, 200])
    assert m.loc["contraction_half_life", "window_end"] == 35
    assert m.loc["contraction_half_life", "value"] == pytest.approx(28)


@pytest.mark.parametrize(
    ("name", "days", "values", "reason"),
    [
        ("doubling_time", [7, 14], [900, 80], "the first quantifiable result is the peak"),
        ("doubling_time", [3, 7], ["BLQ", 80], "the first quantifiable result is the peak"),
        ("doubling_time", [3, 7], [100, ">5000"], "fewer than 2 quantified results up to Tmax"),
        (
            "contraction_half_life",
            [7, 60],
            [900, 80],
            "fewer than 2 quantified results between Tmax and day 35",
        ),
        (
            "contraction_half_life",
            [7, 10],
            [900, "BLQ"],
            "fewer than 2 quantified results between Tmax and day 35",
        ),
        ("contraction_half_life", [7, 10], [900, 900], "no decline after the peak"),
        ("doubling_time", [7, 10], ["BLD", "BLD"], "no quantifiable result"),
        ("contraction_half_life", [-7], [100], "no usable result after infusion"),
    ],
)
def test_what_cannot_be_computed_says_why(metrics_of, name, days, values, reason):
    row = metrics_of(days, values).loc[name]
    assert row["status"] == "not_estimable"
    assert row["reason"] == reason


STEIN = [
    "stein_cmax",
    "stein_tmax",
    "stein_doubling_time",
    "stein_alpha_half_life",
    "stein_beta_half_life",
    "stein_fb",
    "stein_sigma",
]


def test_the_model_says_when_it_is_off_or_has_too_few_results(metrics_of):
    off = metrics_of([3, 7, 14, 21, 28], [100, 900, 500, 200, 100])
    assert set(off.loc[STEIN, "reason"]) == {"switched off in the configuration"}
    few = metrics_of([3, 7, 14, 21, 28], [100, 900, 500, 200, "BLQ"], stein={})
    assert set(few.loc[STEIN, "reason"]) == {"4 quantified results, fewer than 5"}


def test_few_results_get_one_rate_of_decline(metrics_of):
    m = metrics_of([3, 5, 8, 14, 21, 28], [100, 800, 9000, 3600, 1300, 510], stein={})
    assert m.loc["stein_cmax", "method"].endswith("one rate of decline")
    assert (
        m.loc["stein_beta_half_life", "reason"]
        == "fewer than 7 quantified results: one rate of decline fitted"
    )
    assert m.loc["stein_alpha_half_life", "value"] == pytest.approx(4.85, rel=0.05)


def test_a_terminal_phase_that_is_not_reached_is_not_reported(metrics_of):
    days = np.arange(2, 24, 2.0)
    values = np.where(days <= 8, 10_000 * np.exp(1.0 * (days - 8)), 10_000 * np.exp(-0.2 * (days - 8)))
    noise = np.exp(0.1 * np.array([1, -1, 0.5, -0.5, 1, -1, 0, 1, -1, 0.5, -0.5]))
    m = metrics_of(days, values * noise, lloq=1, lod=0.1, stein={})
    assert m.loc["stein_beta_half_life", "status"] == "not_estimable"
    assert m.loc["stein_fb", "status"] == "not_estimable"
    assert m.loc["stein_alpha_half_life", "value"] == pytest.approx(np.log(2) / 0.2, rel=0.15)


def test_a_course_without_a_rising_limb_has_no_doubling_time_in_the_model(metrics_of):
    m = metrics_of([10, 14, 21, 28, 42, 60], [9000, 5500, 1500, 450, 60, 52], stein={})
    row = m.loc["stein_doubling_time"]
    assert row["status"] == "not_estimable"
    assert row["reason"].startswith("not identifiable")


def test_results_without_a_limit_are_left_out_and_named(metrics_of):
    days, values = [3, 5, 8, 14, 21, 28, 60], [100, 800, 9000, 3600, 1300, 510, "BLD"]
    m = metrics_of(days, values, lod=None, lloq=None, stein={})
    assert m.loc["stein_cmax", "reason"] == "results without a limit left out: 1"
    assert m.loc["stein_cmax", "n_points"] == 6
    with_limit = metrics_of(days, values, stein={})
    assert with_limit.loc["stein_cmax", "n_points"] == 7


DECLINE = ([3, 5, 8, 14, 21, 28], [100, 605, 9000, 3660, 1281, 448.3])


def test_a_course_that_is_met_exactly_is_reported_without_limits(metrics_of):
    m = metrics_of(*DECLINE, stein={})
    row = m.loc["stein_alpha_half_life"]
    assert row["value"] == pytest.approx(np.log(2) / 0.15, rel=0.01)
    assert row["reason"] == "no limits: the course is met exactly, no residual degrees of freedom"
    assert row[["lower", "upper"]].isna().all()
    assert m.loc["stein_sigma", ["lower", "upper"]].isna().all()


def test_as_many_parameters_as_results_are_not_identifiable(metrics_of):
    m = metrics_of([5, 8, 14, 21], [605, 9000, 3000, 1281], stein={"min_points": 4})
    for name in STEIN:
        assert m.loc[name, "reason"] == "not identifiable: 4 quantified results for 4 parameters"
        assert m.loc[name, "status"] == "not_estimable"
