import numpy as np
import pytest

from cartrace.kinetics.stein import TYPICAL, stein_auc, stein_course

# Theophylline, subject 1 of R's datasets::Theoph (mg/L, hours).
THEOPH_TIME = [0, 0.25, 0.57, 1.12, 2.02, 3.82, 5.1, 7.03, 9.05, 12.12, 24.37]
THEOPH = [0.74, 2.84, 6.57, 10.5, 9.66, 8.58, 8.36, 7.47, 6.89, 5.94, 3.28]
REBOUND = ([1, 3, 5, 9], [100, 400, 100, 200])


def theoph(metrics_of, **sections):
    return metrics_of(THEOPH_TIME, THEOPH, lloq=0.01, lod=0.001, columns={"visit": "post"}, **sections)


def test_theophylline_has_the_published_linear_areas(metrics_of):
    m = theoph(metrics_of, auc={"method": "linear", "max_extrapolated_percent": 100})
    # NonCompart 0.7, sNCA of Theoph subject 1.
    assert m.loc["auc_last", "value"] == pytest.approx(148.92305, abs=5e-6)
    assert m.loc["auc_inf", "value"] == pytest.approx(216.61193, abs=5e-6)
    assert m.loc["half_life", "value"] == pytest.approx(14.304378, abs=5e-7)
    assert m.loc["aumc_last", "value"] == pytest.approx(1459.0711, abs=5e-5)
    assert m.loc["lambda_z_n_points", "value"] == 3
    assert m.loc["cmax", "value"] == 10.5
    assert m.loc["tmax", "value"] == 1.12


def test_theophylline_has_the_published_logarithmic_area(metrics_of):
    m = theoph(metrics_of, auc={"method": "lin_up_log_down"})
    assert m.loc["auc_last", "value"] == pytest.approx(147.23475, abs=5e-6)


@pytest.mark.parametrize(
    ("method", "area"),
    [
        ("linear", 50 + 500 + 500 + 600),
        ("lin_up_log_down", 50 + 500 + 600 / np.log(4) + 600),
        ("lin_log", 50 + 500 + 600 / np.log(4) + 400 / np.log(2)),
    ],
)
def test_each_rule_gives_the_area_computed_by_hand(metrics_of, method, area):
    m = metrics_of(*REBOUND, auc={"method": method})
    assert m.loc["auc_last", "value"] == pytest.approx(area, rel=1e-13)


def test_equal_results_after_the_peak_fall_back_to_the_linear_rule(metrics_of):
    m = metrics_of([0, 7, 14, 28, 60], [0, 9000, 500, 500, 200], auc={"method": "lin_log"})
    by_hand = 31_500 + 7 * 8500 / np.log(18) + 7000 + 32 * 300 / np.log(2.5)
    assert m.loc["auc_last", "value"] == pytest.approx(by_hand, rel=1e-13)
    assert m.loc["auc_last", "status"] == "estimated"


def test_the_first_moment_is_computed_by_hand(metrics_of):
    m = metrics_of([2, 4], [100, 50], auc={"method": "linear"})
    # Area 100 + 150; moment 2 * (0 + 200) / 2 + 2 * (200 + 200) / 2.
    assert m.loc["auc_last", "value"] == 250
    assert m.loc["aumc_last", "value"] == 600
    assert m.loc["mrt", "value"] == pytest.approx(2.4)
    assert m.loc["effective_half_life", "value"] == pytest.approx(2.4 * np.log(2))


def test_the_logarithmic_moment_is_the_exact_integral(metrics_of):
    k = 0.3
    days = [1, 2, 6]
    m = metrics_of(days, 1000 * np.exp(-k * np.array(days)), auc={"start": "none"})

    def primitive(t):
        return -1000 * np.exp(-k * t) * (t / k + 1 / k**2)

    assert m.loc["aumc_last", "value"] == pytest.approx(primitive(6) - primitive(1), rel=1e-12)


def test_windows_interpolate_at_both_edges_by_the_rule_of_the_segment(metrics_of):
    auc = {"windows": [(0, 1), (1, 4), (3, 5)], "min_points": 0}
    m = metrics_of([2, 6], [100, 25], auc=auc)
    assert m.loc["auc_0_1", "value"] == pytest.approx(25)
    # Linear from 50 at day 1; halving every two days after day 2: 50 at day 4.
    assert m.loc["auc_1_4", "value"] == pytest.approx(75 + 50 / (np.log(2) / 2))
    rate = np.log(2) / 2
    assert m.loc["auc_3_5", "value"] == pytest.approx(100 / rate * (np.exp(-rate) - np.exp(-3 * rate)))


def test_dense_sampling_of_the_typical_patient_converges_to_the_published_areas(metrics_of):
    days = np.concatenate([np.linspace(0.01, 9.3, 400), np.linspace(9.35, 180, 1200)])
    m = metrics_of(days, stein_course(days, TYPICAL), lloq=1e-6, lod=1e-7)
    for end in (28, 84, 90, 180):
        assert m.loc[f"auc_0_{end}", "value"] == pytest.approx(stein_auc(0, end, TYPICAL), rel=2e-4)
    assert m.loc["cmax", "value"] == pytest.approx(24_000)
    assert m.loc["tmax", "value"] == pytest.approx(9.3)


def test_the_first_of_equal_peaks_is_tmax(metrics_of):
    m = metrics_of([3, 7, 10, 14, 20], [100, 900, 900, 200, 100])
    assert m.loc["tmax", "value"] == 7
    assert m.loc["cmax", "value"] == 900


def test_first_and_last_quantifiable_results_bound_the_course(metrics_of):
    m = metrics_of([1, 3, 7, 14, 28, 60], ["BLD", 60, 900, "BLQ", 70, "BLQ"])
    assert m.loc["tfirst", "value"] == 3
    assert m.loc["tlast", "value"] == 28
    assert m.loc["clast", "value"] == 70
    assert m.loc["t_bql", "value"] == 60


def test_a_second_result_below_is_needed_where_two_confirm(metrics_of):
    once = metrics_of([7, 14, 28], [900, 100, "BLQ"], persistence={"confirm_blq": 2})
    assert once.loc["t_bql", "status"] == "right_censored"
    assert once.loc["t_bql", "lower"] == 14
    assert "not confirmed" in once.loc["t_bql", "reason"]
    twice = metrics_of([7, 14, 28, 60], [900, 100, "BLQ", "BLD"], persistence={"confirm_blq": 2})
    assert twice.loc["t_bql", "value"] == 28


@pytest.mark.parametrize(
    ("rule", "area"),
    [
        # Points (0, 0), (4, ?), (8, 800), (12, ?), (16, 800), (20, ?) with the linear rule.
        ("keep", 4 * (0 / 2 + 400 + 400 + 400 + 400)),
        ("drop", 8 * 400 + 8 * 800),
        ("half_lloq", 4 * (12.5 + 412.5 + 412.5 + 412.5 + 412.5)),
        (10, 4 * (5 + 405 + 405 + 405 + 405)),
    ],
)
def test_results_below_quantification_follow_the_rule_of_their_position(metrics_of, rule, area):
    blq = {"before_first": rule, "between": rule, "after_last": rule}
    windows = {"method": "linear", "windows": [(0, 20)] if rule != "drop" else [(0, 16)]}
    m = metrics_of([4, 8, 12, 16, 20], ["BLQ", 800, "BLQ", 800, "BLQ"], blq=blq, auc=windows)
    name = "auc_0_20" if rule != "drop" else "auc_0_16"
    assert m.loc[name, "value"] == pytest.approx(area)


def test_position_can_count_from_tmax(metrics_of):
    days, values = [4, 8, 12, 16], ["BLQ", 800, "BLQ", 100]
    blq = {"by": "tmax", "before_tmax": "drop", "after_tmax": "keep"}
    m = metrics_of(days, values, blq=blq, auc={"method": "linear"})
    assert m.loc["auc_last", "value"] == pytest.approx(8 * 400 + 4 * 400 + 4 * 50)
    assert "before/after Tmax: drop/keep" in m.loc["auc_last", "method"]


def test_auc_all_adds_the_triangle_to_the_first_result_below(metrics_of):
    m = metrics_of([2, 6, 10, 14], [100, 100, "BLQ", "BLQ"], auc={"method": "linear"})
    assert m.loc["auc_last", "value"] == 100 + 400
    assert m.loc["auc_all", "value"] == 100 + 400 + 200
    assert m.loc["auc_all", "window_end"] == 10


def test_auc_to_infinity_adds_the_exponential_tail(metrics_of):
    days = np.array([1, 2, 4, 8, 16])
    rate = 0.25
    m = metrics_of(days, 1e4 * np.exp(-rate * days), auc={"start": "none"})
    assert m.loc["auc_inf", "value"] == pytest.approx(1e4 / rate * np.exp(-rate), rel=1e-12)
    share = 100 * np.exp(-rate * 16) / np.exp(-rate)
    assert m.loc["auc_extrapolated_percent", "value"] == pytest.approx(share)


def test_an_area_that_is_mostly_extrapolated_is_refused_with_the_share(metrics_of):
    days = np.array([1, 2, 4, 8])
    m = metrics_of(days, 1e4 * np.exp(-0.1 * days), half_life={"min_span_ratio": 0})
    assert m.loc["auc_inf", "status"] == "not_estimable"
    assert "above 20 %" in m.loc["auc_inf", "reason"]
    assert m.loc["auc_extrapolated_percent", "value"] > 20


def test_a_window_past_the_last_sample_is_refused_and_keeps_the_area_so_far(metrics_of):
    m = metrics_of([7, 14], [100, 100], auc={"method": "linear"})
    row = m.loc["auc_0_28"]
    assert row["status"] == "not_estimable"
    assert row["reason"] == "last usable result on day 14, window ends on day 28"
    assert row["lower"] == 350 + 700
    assert np.isnan(row["value"])


def test_a_window_past_the_last_sample_can_end_in_a_triangle(metrics_of):
    auc = {"method": "linear", "extrapolation": "to_first_blq", "windows": [(0, 8), (0, 28)]}
    m = metrics_of([2, 6, 10], [100, 100, "BLQ"], auc=auc, blq={"after_last": "drop"})
    assert m.loc["auc_0_28", "value"] == 100 + 400 + 200
    assert m.loc["auc_0_8", "value"] == 100 + 400 + 150
    still = metrics_of([2, 6, 10], [100, 100, 100], auc=auc)
    assert still.loc["auc_0_28", "status"] == "not_estimable"
    assert "no result below quantification follows" in still.loc["auc_0_28", "reason"]


def test_a_window_past_the_last_sample_can_follow_lambda_z(metrics_of):
    days = np.array([1, 2, 4, 8, 16])
    auc = {"start": "none", "extrapolation": "lambda_z", "windows": [(1, 28)]}
    m = metrics_of(days, 1e4 * np.exp(-0.25 * days), auc=auc)
    assert m.loc["auc_1_28", "value"] == pytest.approx(4e4 * (np.exp(-0.25) - np.exp(-7)), rel=1e-12)
    flat = metrics_of([1, 2, 4], [10, 10, 10], auc=auc, lloq=1)
    assert flat.loc["auc_1_28", "reason"] == (
        "last usable result on day 4, window ends on day 28; "
        "no half-life: fewer than 3 quantifiable results after Tmax"
    )


def test_without_a_start_a_window_before_the_first_sample_is_refused(metrics_of):
    m = metrics_of([3, 7, 14], [100, 200, 100], auc={"start": "none", "windows": [(0, 7), (3, 7)]})
    assert m.loc["auc_0_7", "reason"] == "no value before day 3, window starts on day 0"
    assert m.loc["auc_3_7", "value"] == 600
    assert m.loc["auc_last", "window_start"] == 3


def test_a_sample_taken_on_day_0_after_the_infusion_replaces_the_inserted_zero(metrics_of):
    m = metrics_of([0, 2, 4], [100, 100, 100], columns={"visit": "Day 0 post"}, auc={"windows": [(0, 4)]})
    assert m.loc["auc_0_4", "value"] == 400
    baseline = metrics_of(
        [0, 2, 4], [100, 100, 100], columns={"visit": "Day 0 pre"}, auc={"windows": [(0, 4)]}
    )
    assert baseline.loc["auc_0_4", "value"] == 300


def test_one_result_has_a_peak_and_no_area(metrics_of):
    m = metrics_of([7], [1000])
    assert m.loc["cmax", "value"] == 1000
    areas = ["auc_last", "auc_all", "auc_inf", "auc_extrapolated_percent", "aumc_last", "mrt"]
    assert set(m.loc[[*areas, "effective_half_life"], "reason"]) == {"1 result up to Tlast, fewer than 2"}
    assert m.loc[areas, ["value", "lower", "upper"]].isna().all(axis=None)
    allowed = metrics_of([7], [1000], auc={"min_points": 1})
    assert allowed.loc["auc_last", "value"] == 3500
    assert allowed.loc["auc_last", "n_points"] == 1
    alone = metrics_of([7], [1000], auc={"start": "none", "min_points": 1})
    assert alone.loc["auc_last", "reason"] == "only one point: no width"


def test_a_window_that_nobody_looked_into_has_no_area(metrics_of):
    late = metrics_of([175, 200], [1000, 900])
    row = late.loc["auc_0_28"]
    assert row["status"] == "not_estimable"
    assert row["reason"] == "0 results inside day 0-28, fewer than 2"
    assert row[["value", "lower", "upper"]].isna().all()
    assert late.loc["auc_0_180", "reason"] == "1 result inside day 0-180, fewer than 2"
    assert late.loc["auc_last", "status"] == "estimated"
    alone = metrics_of([175], [1000])
    assert alone.loc["auc_0_28", "reason"] == "0 results inside day 0-28, fewer than 2"
    # Past the last sample, and seen once: the area so far is no bound either.
    assert alone.loc["auc_0_180", "reason"] == "last usable result on day 175, window ends on day 180"
    assert np.isnan(alone.loc["auc_0_180", "lower"])


def test_results_that_a_blq_rule_lets_in_count_and_those_it_drops_do_not(metrics_of):
    days, results = [4, 7, 40], ["BLD", 1000, 100]
    kept = metrics_of(days, results, auc={"method": "linear"})
    assert kept.loc["auc_0_14", "n_points"] == 2
    assert kept.loc["auc_0_14", "status"] == "estimated"
    dropped = metrics_of(days, results, blq={"before_first": "drop"})
    assert dropped.loc["auc_0_14", "reason"] == "1 result inside day 0-14, fewer than 2"


def test_the_edge_of_a_window_is_interpolated_from_a_result_beyond_it(metrics_of):
    m = metrics_of([4, 7, 35], [400, 800, 240], auc={"method": "linear"})
    # From 800 on day 7, 20 a day: 380 on day 28.
    assert m.loc["auc_0_28", "value"] == pytest.approx(800 + 1800 + 21 * (800 + 380) / 2)
    assert m.loc["auc_0_28", "n_points"] == 2


def test_a_sample_taken_after_the_infusion_on_day_0_is_a_result(metrics_of):
    m = metrics_of([0, 7, 40], [100, 900, 100], columns={"visit": "Day 0 post"})
    assert m.loc["auc_0_7", "n_points"] == 2
    assert m.loc["auc_0_7", "status"] == "estimated"
    baseline = metrics_of([0, 7, 40], [100, 900, 100], columns={"visit": "Day 0 pre"})
    assert baseline.loc["auc_0_7", "reason"] == "1 result inside day 0-7, fewer than 2"


def test_an_all_censored_course_has_a_reason_in_every_row(metrics_of):
    m = metrics_of([7, 14, 28], ["BLD", "BLQ", "BLD"])
    point = m.drop(index=[i for i in m.index if i.startswith("persistent")])
    assert (point["status"] == "not_estimable").all()
    assert set(point["reason"]) == {"no quantifiable result", "never quantifiable"}
    assert m["value"].dropna().tolist() == [0.0]


def test_a_result_above_the_range_is_a_lower_bound(metrics_of):
    m = metrics_of([2, 4, 8], [100, ">5000", 200], auc={"method": "linear"})
    assert m.loc["cmax", "status"] == "right_censored"
    assert m.loc["cmax", "lower"] == 5000
    assert m.loc["auc_last", "status"] == "right_censored"
    assert m.loc["auc_last", "lower"] == 100 + 5100 + 10400
    assert m.loc["tmax", "value"] == 4
    assert m.loc["mrt", "reason"] == "a result is above the range"


def test_several_results_above_the_range_leave_the_peak_open_between_them(metrics_of):
    m = metrics_of([2, 4, 8, 16], [100, ">5000", ">5000", 200])
    assert m.loc["tmax", "status"] == "interval_censored"
    assert (m.loc["tmax", "lower"], m.loc["tmax", "upper"]) == (4, 8)


def test_the_second_infusion_says_that_no_residue_is_subtracted(metrics_of):
    m = metrics_of([2, 4, 8], [100, 200, 50], columns={"infusion": 2})
    assert "a residue of the earlier infusion is not subtracted" in m.loc["auc_last", "method"]
    first = metrics_of([2, 4, 8], [100, 200, 50])
    assert "residue" not in first.loc["auc_last", "method"]


def test_units_follow_from_the_unit_of_the_course(metrics_of):
    m = metrics_of([2, 4, 8], [100, 200, 50])
    assert m.loc["cmax", "unit"] == "copies/ug"
    assert m.loc["auc_last", "unit"] == "day*copies/ug"
    assert m.loc["aumc_last", "unit"] == "day^2*copies/ug"
    assert m.loc["lambda_z", "unit"] == "1/day"
    assert m.loc["auc_extrapolated_percent", "unit"] == "%"


def test_an_area_over_a_gap_of_more_than_half_of_its_window_names_the_gap(metrics_of):
    m = metrics_of([1, 2, 200], [100, 400, 100])
    # 50 + 250, and from day 2 on the line from 400 to 100 over 198 days, followed to day 28.
    rate = np.log(4) / 198
    by_hand = 300 + 400 * -np.expm1(-rate * 26) / rate
    assert m.loc["auc_0_28", "value"] == pytest.approx(by_hand, rel=1e-12)
    words = "more than half of the window is interpolated, between day 2 and day 200"
    assert m.loc["auc_0_28", "reason"] == words
    assert m.loc["auc_0_180", "reason"] == words


def test_an_area_whose_gaps_are_half_of_its_window_at_most_needs_no_remark(metrics_of):
    m = metrics_of([1, 2, 16, 28], [100, 400, 100, 50])
    assert m.loc["auc_0_28", "status"] == "estimated"
    assert not isinstance(m.loc["auc_0_28", "reason"], str)
