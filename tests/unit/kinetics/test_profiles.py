import numpy as np
import pandas as pd
import pytest

from cartrace.kinetics.profiles import ABOVE_ULOQ, BLD, BLQ, PAD, QUANTIFIED, build_profiles
from cartrace.tables import MEASUREMENTS, empty


def test_only_results_after_infusion_enter(measurements, settings):
    table = measurements([-5, 0, 7], [5000, 4000, 900])
    profiles = build_profiles(table, settings())
    assert profiles.time[0].tolist() == [7]
    post = build_profiles(measurements([-5, 0, 7], [5000, 4000, 900], visit="post infusion"), settings())
    assert post.time[0].tolist() == [0, 7]


def test_courses_are_padded_and_never_mixed(measurements, settings):
    table = pd.concat(
        [
            measurements([7, 14, 28], [900, "BLQ", "BLD"]),
            measurements([3], [">5000"], matrix="csf"),
            measurements([5], [80], infusion=2),
            measurements([5], [0.4], unit="copies/cell"),
            measurements([5], [80], analyte="b_cells", unit="cells/uL"),
        ]
    )
    profiles = build_profiles(table, settings())
    keys = profiles.keys[["infusion", "matrix", "course_unit"]].to_numpy().tolist()
    assert keys == [
        [1, "blood", "copies/cell"],
        [1, "blood", "copies/ug"],
        [1, "csf", "copies/ug"],
        [2, "blood", "copies/ug"],
    ]
    assert profiles.detection.tolist() == [
        [QUANTIFIED, PAD, PAD],
        [QUANTIFIED, BLQ, BLD],
        [ABOVE_ULOQ, PAD, PAD],
        [QUANTIFIED, PAD, PAD],
    ]


def test_an_infusion_product_has_no_course(measurements, settings):
    product = measurements([0], [900], matrix="infusion_product", visit="post-infusion")
    table = pd.concat([measurements([7], [900]), product])
    assert build_profiles(table, settings()).keys["matrix"].tolist() == ["blood"]


def test_results_of_one_time_are_averaged_and_the_censored_one_is_noted(measurements, settings, metrics_of):
    table = measurements([7, 7, 14, 14, 28, 28], [100, 300, 200, "BLQ", "BLD", "BLQ"])
    profiles = build_profiles(table, settings())
    np.testing.assert_array_equal(profiles.value, [[200, 200, np.nan]])
    assert profiles.detection.tolist() == [[QUANTIFIED, QUANTIFIED, BLQ]]
    assert profiles.averaged.tolist() == [True]
    assert profiles.mixed.tolist() == [True]
    m = metrics_of([7, 7, 14], [100, 300, 50])
    assert m.loc["cmax", "value"] == 200
    assert m.loc["cmax", "method"].endswith("results of one time averaged")
    m = metrics_of([7, 7, 14], [100, "BLQ", 50])
    assert m.loc["cmax", "method"].endswith("censored result beside a quantified one left out")


def test_rejected_results_leave_their_course_behind(measurements, settings):
    profiles = build_profiles(measurements([7, 14], [100, 50], status="rejected"), settings())
    assert len(profiles) == 1
    assert not profiles.taken.any()
    flagged = build_profiles(measurements([7, 14], [100, 50], status="flagged"), settings())
    assert flagged.taken.sum() == 2


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_a_quantified_value_of_zero_or_less_counts_as_below_detection(measurements, settings, value):
    profiles = build_profiles(measurements([7], [value]), settings())
    assert profiles.detection.tolist() == [[BLD]]
    assert (profiles.lower[0, 0], profiles.upper[0, 0]) == (0, 10)
    assert np.isnan(profiles.value[0, 0])


def test_bounds_come_from_the_limits_where_the_row_has_none(measurements, settings):
    table = measurements([7, 14, 28], ["BLQ", "BLD", ">5000"])
    table[["lower", "upper"]] = np.nan
    profiles = build_profiles(table, settings())
    np.testing.assert_array_equal(profiles.upper, [[50, 10, np.nan]])
    np.testing.assert_array_equal(profiles.lower, [[np.nan, np.nan, 5000]])


def test_no_measurements_make_no_profiles(settings):
    assert len(build_profiles(empty(MEASUREMENTS), settings())) == 0
