"""Baseline, nadir and fall."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cartrace.depletion.course import compute_depletion
from cartrace.depletion.series import build_series


def test_depth_of_a_plain_course(deplete):
    m = deplete((-20, 300), (-6, 200), (-1, 40), (0, 8), (7, 2), (14, 5), (90, 150))
    assert m["baseline"]["value"] == 200
    assert m["baseline"]["window_start"] == -6
    assert m["baseline"]["method"] == "last result up to lymphodepletion"
    assert m["nadir"]["value"] == 2
    assert m["nadir_day"]["value"] == 7
    assert m["log10_fall"]["value"] == pytest.approx(2.0)
    assert m["percent_fall"]["value"] == pytest.approx(99.0)
    assert m["nadir"]["n_points"] == 3
    assert (m["nadir"]["window_start"], m["nadir"]["window_end"]) == (7, 90)
    assert set(m.metrics.loc[["baseline", "nadir", "percent_fall"], "status"]) == {"estimated"}


def test_a_sample_on_the_day_of_lymphodepletion_is_a_baseline(deplete):
    assert deplete((-5, 200), (-4, 90), (7, 2))["baseline"]["value"] == 200


def test_without_a_sample_before_lymphodepletion_the_last_one_before_infusion_serves(deplete):
    row = deplete((-2, 50), (0, 30), (7, 2))["baseline"]
    assert (row["value"], row["window_start"]) == (30, 0)
    assert row["method"].endswith("lymphodepletion had begun")


def test_without_a_known_day_of_lymphodepletion_the_method_says_so(deplete, infusions):
    given = infusions(0, lymphodepletion=None)
    row = deplete((-6, 200), (-1, 50), (7, 2), given=given)["baseline"]
    assert row["value"] == 50
    assert row["method"].endswith("day of lymphodepletion not known")


def test_without_a_baseline_there_is_no_fall(deplete):
    m = deplete((7, 2), (14, 5))
    for name in ("baseline", "log10_fall", "percent_fall"):
        assert m[name]["status"] == "not_estimable"
        assert m[name]["reason"] == "no result up to the infusion"
        assert np.isnan(m[name]["value"])
    assert m["nadir"]["value"] == 2


def test_without_a_result_after_infusion_there_is_only_a_baseline(deplete):
    m = deplete((-6, 200), (0, 8))
    assert m["baseline"]["value"] == 200
    rest = m.table[m.table["metric"] != "baseline"]
    assert set(rest["status"]) == {"not_estimable"}
    assert set(rest["reason"]) == {"no usable result after infusion"}
    assert len(m.episodes) == 0


def test_a_nadir_below_a_limit_is_a_bound_and_so_is_the_fall(deplete):
    m = deplete((-6, 200), (7, "<2"), (14, 5))
    assert m.bounds("nadir") == ("left_censored", 0, 2)
    status, lower, upper = m.bounds("log10_fall")
    assert (status, lower) == ("right_censored", pytest.approx(2.0))
    assert np.isnan(upper)
    assert m.bounds("percent_fall") == ("interval_censored", pytest.approx(99.0), 100)


def test_a_result_below_a_high_limit_can_undercut_a_quantified_nadir(deplete):
    m = deplete((-6, 200), (7, 5), (14, "<10"), (28, 50))
    assert m.bounds("nadir") == ("left_censored", 0, 5)
    assert m.bounds("nadir_day") == ("interval_censored", 7, 14)
    assert m["nadir_day"]["reason"] == "2 results can be the lowest"
    assert m.bounds("log10_fall")[1] == pytest.approx(math.log10(40))


def test_equal_results_below_the_limit_give_the_first_day(deplete):
    row = deplete((-6, 200), (7, "BLD 1"), (14, "BLD 1"), (28, 50))["nadir_day"]
    assert (row["status"], row["value"]) == ("estimated", 7)
    assert row["reason"] == "first of 2 equal results"


def test_a_counted_zero_is_a_nadir_without_a_logarithm(deplete):
    m = deplete((-6, 200), (7, 0), (14, 5))
    assert (m["nadir"]["status"], m["nadir"]["value"]) == ("estimated", 0)
    assert m["percent_fall"]["value"] == 100
    assert m["log10_fall"]["reason"] == "the nadir is 0, and no limit of the assay is known"
    known = deplete((-6, 200), (7, 0), (14, 5), lod=0.2, lloq=2.0)
    assert known.bounds("log10_fall")[:2] == ("right_censored", pytest.approx(3.0))


def test_a_baseline_below_a_limit_leaves_the_fall_open_on_the_other_side(deplete):
    m = deplete((-6, "<10"), (7, 1))
    assert m.bounds("baseline") == ("left_censored", 0, 10)
    status, _, upper = m.bounds("log10_fall")
    assert (status, upper) == ("left_censored", pytest.approx(1.0))
    status, lower, upper = m.bounds("percent_fall")
    assert (status, upper) == ("left_censored", pytest.approx(90.0))
    assert np.isnan(lower)


def test_a_baseline_and_a_nadir_below_a_limit_leave_the_fall_unknown(deplete):
    m = deplete((-6, "<10"), (7, "<10"))
    for name in ("log10_fall", "percent_fall"):
        assert m[name]["status"] == "not_estimable"
        assert m[name]["reason"].startswith("baseline and nadir both lie beyond a limit")


def test_a_baseline_above_the_range_gives_a_lower_bound_of_the_fall(deplete):
    m = deplete((-6, ">500"), (7, 5))
    assert m.bounds("baseline")[:2] == ("right_censored", 500)
    assert m.bounds("log10_fall")[:2] == ("right_censored", pytest.approx(2.0))
    assert m.bounds("percent_fall") == ("interval_censored", pytest.approx(99.0), 100)


def test_a_baseline_of_zero_leaves_no_fall(deplete):
    m = deplete((-6, 0), (7, 0))
    assert m["percent_fall"]["reason"] == "the baseline is 0"
    assert m["log10_fall"]["reason"] == "the baseline is 0"


def test_results_of_unknown_limits_are_no_nadir(deplete):
    row = deplete((-6, 200), (7, "BLD"))["nadir"]
    assert row["status"] == "not_estimable"
    assert row["reason"] == "only results below a limit that is not known"


def test_a_rise_is_a_negative_fall(deplete):
    m = deplete((-6, 100), (7, 200))
    assert m["percent_fall"]["value"] == pytest.approx(-100)


def test_quantified_results_of_one_day_are_averaged_and_rejected_ones_left_out(measurements, infusions):
    import pandas as pd

    from cartrace.config import Depletion

    table = pd.concat(
        [
            measurements((-6, 200), (7, 4), (7, "<50"), (7, 6)),
            measurements((14, 1), status="rejected"),
        ],
        ignore_index=True,
    )
    metrics = compute_depletion(table, infusions(0), None, Depletion()).metrics.set_index("metric")
    assert metrics.loc["nadir", "value"] == 5
    assert metrics.loc["nadir_day", "value"] == 7


def test_other_analytes_have_no_course(measurements, infusions):
    assert len(build_series(measurements((7, 5), analyte="t_cells"), infusions(0))) == 0
    assert len(build_series(measurements((7, 5), matrix="infusion_product"), infusions(0))) == 0


def test_the_limits_of_the_assay_stand_in_for_a_bound_that_is_not_given(deplete):
    assert deplete((-6, 200), (7, "BLD"), lod=3.0, lloq=10.0).bounds("nadir") == ("left_censored", 0, 3)
    blq = deplete((-6, 200), (7, "<9"), lloq=10.0, upper=None)
    assert blq.bounds("nadir") == ("left_censored", 0, 10)
    above = deplete((-6, ">9"), (7, 1), uloq=500.0, lower=None)
    assert above.bounds("baseline")[:2] == ("right_censored", 500)
