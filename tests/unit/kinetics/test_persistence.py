import numpy as np
import pytest


def test_a_loss_lies_between_two_samples(metrics_of):
    row = metrics_of([7, 28, 84, 180], [900, 80, "BLQ", "BLD"]).loc["time_to_loss"]
    assert row["status"] == "interval_censored"
    assert (row["lower"], row["upper"]) == (28, 84)
    assert np.isnan(row["value"])
    assert row["reason"] == "lost between day 28 and day 84"


def test_a_course_that_is_still_there_is_censored_at_its_last_sample(metrics_of):
    row = metrics_of([7, 28, 84], [900, "BLQ", 80]).loc["time_to_loss"]
    assert row["status"] == "right_censored"
    assert row["lower"] == 84
    assert np.isnan(row["upper"])
    assert row["reason"] == "still present at the last sample, day 84"


def test_a_rebound_takes_an_earlier_loss_back(metrics_of):
    row = metrics_of([7, 28, 84, 120, 180], [900, "BLQ", "BLD", 80, "BLQ"]).loc["time_to_loss"]
    assert (row["lower"], row["upper"]) == (120, 180)


def test_one_result_below_does_not_confirm_where_two_are_asked_for(metrics_of):
    two = {"confirm_blq": 2}
    row = metrics_of([7, 28, 84], [900, 80, "BLQ"], persistence=two).loc["time_to_loss"]
    assert row["status"] == "right_censored"
    assert row["lower"] == 28
    assert row["reason"].startswith("not confirmed: below after day 28")
    row = metrics_of([7, 28, 84, 90], [900, 80, "BLQ", "BLQ"], persistence=two).loc["time_to_loss"]
    assert (row["lower"], row["upper"]) == (28, 84)


def test_a_result_between_the_limits_can_count_as_present(metrics_of):
    m = metrics_of([7, 28, 84], [900, "BLQ", "BLD"], persistence={"loss_below": "detection"})
    assert (m.loc["time_to_loss", "lower"], m.loc["time_to_loss", "upper"]) == (28, 84)
    assert m.loc["last_quantifiable", "value"] == 7
    assert m.loc["persistent_at_M1", "value"] == 1
    strict = metrics_of([7, 28, 84], [900, "BLQ", "BLD"])
    assert strict.loc["time_to_loss", "upper"] == 28
    assert strict.loc["persistent_at_M1", "value"] == 0


def test_a_course_that_was_never_there_has_no_time_of_loss(metrics_of):
    m = metrics_of([7, 28], ["BLD", "BLQ"])
    assert m.loc["time_to_loss", "reason"] == "never quantifiable"
    assert m.loc["last_quantifiable", "reason"] == "never quantifiable"
    below = metrics_of([7, 28], ["BLD", "BLD"], persistence={"loss_below": "detection"})
    assert below.loc["time_to_loss", "reason"] == "never detected"


def test_the_nearest_result_answers_for_a_landmark(metrics_of):
    m = metrics_of([7, 21, 29, 35, 70, 98], [900, "BLQ", 80, "BLQ", 60, "BLQ"])
    assert m.loc["persistent_at_M1", "value"] == 1
    assert m.loc["persistent_at_M1", "window_start"] == 29
    # Day 70 and day 98 are equally near to day 84: the earlier one answers.
    assert m.loc["persistent_at_M3", "value"] == 1


@pytest.mark.parametrize(
    ("days", "nearest"),
    [
        ([7, 14], "nearest is day 14"),
        ([56, 84], "nearest is day 56"),
        ([14, 56], "nearest are day 14 and day 56"),
    ],
)
def test_a_landmark_without_a_result_is_not_assessable_even_with_later_results(metrics_of, days, nearest):
    row = metrics_of(days, [900, 800]).loc["persistent_at_M1"]
    assert row["status"] == "not_estimable"
    assert row["reason"] == f"not assessable: no result within day 28 +/- 7; {nearest}"


def test_a_course_without_results_after_infusion_says_so(metrics_of):
    m = metrics_of([-5, 0], ["BLD", "BLD"])
    assert set(m["status"]) == {"not_estimable"}
    assert m.loc["time_to_loss", "reason"] == "no usable result after infusion"
    assert m.loc["persistent_at_M6", "reason"] == "no usable result after infusion"
