"""Positive again, four-fold rises after the nadir, and starting dilutions that changed: by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.unit.antibody.courses import course, metrics, table

from cartrace.antibody.course import compute_antibody
from cartrace.antibody.metrics import AT_BASELINE
from cartrace.config import Antibody

DAYS = [-1.0, 28, 56, 84, 112, 140, 168]


def again(cells: list[Any], **more: Any) -> Any:
    return metrics(DAYS[: len(cells)], cells, **more).loc["time_to_seropositive_again"]


def rise(cells: list[Any], **more: Any) -> Any:
    return metrics(DAYS[: len(cells)], cells, **more).loc["time_to_fourfold_rise"]


def test_positive_again_lies_between_the_last_negative_and_the_positive_result() -> None:
    row = again([80, 20, "<10", "<10", "<10", 40, 80])
    assert (row["status"], row["lower"], row["upper"]) == ("interval_censored", 112, 140)
    assert row["reason"] == "positive again between day 112 and day 140"


def test_who_stays_negative_is_censored_at_the_last_negative_sample() -> None:
    row = again([80, 20, "<10", "<10", "<10"])
    assert (row["status"], row["lower"]) == ("right_censored", 112)
    assert row["reason"] == "still negative at the last sample, day 112"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ([80, 20, 10, 20], "never seronegative, or not confirmed"),
        ([80, 20, "<10", 20], "never seronegative, or not confirmed"),
        (["<10", "<10", "<10", 20], AT_BASELINE),
        ([80], "no usable result after infusion"),
    ],
)
def test_who_was_never_seronegative_can_not_return(cells: list[Any], reason: str) -> None:
    row = again(cells)
    assert (row["status"], row["reason"]) == ("not_estimable", reason)


def test_a_return_may_have_to_be_confirmed() -> None:
    cells = [80, "<10", "<10", 10, "<10", 40, 40]
    assert tuple(again(cells)[["lower", "upper"]]) == (56, 84)
    assert tuple(again(cells, settings={"confirm_positive": 2})[["lower", "upper"]]) == (112, 140)
    open_end = again(cells[:-1], settings={"confirm_positive": 2})
    assert (open_end["status"], open_end["lower"]) == ("right_censored", 112)
    assert open_end["reason"] == "not confirmed: positive on day 140, but not 2 consecutive positive results"


def test_positive_below_the_dilution_of_the_negative_results_is_no_return() -> None:
    # Negative at 1:10 twice; then the laboratory starts at 1:5 and finds 5, which is no rise.
    row = again([80, "<10", "<10", 5], start=[10.0, 10.0, 10.0, 5.0])
    assert (row["status"], row["lower"]) == ("right_censored", 56)
    assert row["reason"].startswith("not assessable: the starting dilution changed; positive on day 84 below")
    # 10 at a start of 5 would have been positive at 1:10 too.
    assert tuple(again([80, "<10", "<10", 10], start=[10.0, 10.0, 10.0, 5.0])[["lower", "upper"]]) == (56, 84)
    # Negative at 1:40 does not say that it is still negative at 1:10.
    assert again([80, "<10", "<10", "<40"], start=[10.0, 10.0, 10.0, 40.0])["lower"] == 56


def test_a_fourfold_rise_counts_from_the_lowest_result_so_far() -> None:
    row = rise([320, 40, 20, 40, 80])
    assert (row["status"], row["lower"], row["upper"]) == ("interval_censored", 84, 112)
    assert row["reason"] == "4-fold rise between day 84 and day 112"
    # The baseline does not count, and 40 is only twice 20.
    none = rise([5, 320, 40, 20, 40])
    assert (none["status"], none["lower"]) == ("right_censored", 112)
    assert none["reason"] == "no 4-fold rise by day 112"


def test_a_negative_titre_counts_one_step_below_its_start_for_a_rise() -> None:
    # Below 10 counts as 5: 20 is four-fold, 10 only two-fold.
    assert tuple(rise([80, 20, "<10", 10, 20])[["lower", "upper"]]) == (84, 112)
    assert rise([80, 20, "<10", 10])["status"] == "right_censored"


def test_a_rise_that_limits_hide_is_open_with_its_reason() -> None:
    row = rise([80, 20, ">20"])
    assert (row["status"], row["lower"]) == ("right_censored", 28)
    assert "can't be told from the limits from day 56 on" in row["reason"]
    # Below 1:640 after 20: it may have risen.
    high = rise([80, 20, "<640", 20], start=[10.0, 10.0, 640.0, 10.0])
    assert "from day 56 on" in high["reason"]
    assert rise([80, 20])["reason"] == "only one result after infusion"


def test_plain_numbers_rise_above_the_limit_of_a_negative_result() -> None:
    cells = [100.0, 30.0, "<5", 19.9, 20.0]
    assert tuple(rise(cells, start=5.0, unit="U/mL")[["lower", "upper"]]) == (84, 112)


def test_negative_at_a_higher_start_than_the_baseline_is_not_assessable() -> None:
    starts = [10.0, 40.0]
    m = metrics([-1, 28], [80, "<40"], start=starts).loc["seronegative_at_M1"]
    assert m["status"] == "not_estimable"
    assert m["reason"] == "not assessable: the starting dilution changed, 40 here and 10 before"
    # A lower start says more: below 5 is below 10.
    assert metrics([-1, 28], [80, "<5"], start=[10.0, 5.0]).loc["seronegative_at_M1", "value"] == 1
    # Positive at 1:5 only would have been negative at 1:10; positive at 1:10 would not.
    low = metrics([-1, 28], [80, 5], start=[10.0, 5.0]).loc["seronegative_at_M1"]
    assert low["status"] == "not_estimable"
    assert metrics([-1, 28], [80, 10], start=[10.0, 5.0]).loc["seronegative_at_M1", "value"] == 0
    elisa = metrics([-1, 28], [80.0, "<8"], start=[5.0, 8.0], unit="U/mL").loc["seronegative_at_M1"]
    assert elisa["reason"] == "not assessable: the limit changed, 8 here and 5 before"


def test_negative_results_that_only_a_changed_start_keeps_apart_say_so() -> None:
    row = metrics([-1, 28, 56, 84], [40, 20, "<10", "<20"], start=[10.0, 10.0, 10.0, 20.0]).loc[
        "time_to_seronegative"
    ]
    assert (row["status"], row["lower"]) == ("right_censored", 28)
    assert row["reason"].startswith("not assessable: the starting dilution changed; negative from day 56")


_CELLS = st.lists(st.sampled_from(["<10", 10, 20, 40, 80, 320, ">2560"]), min_size=3, max_size=7)


@hypothesis_settings(deadline=None, max_examples=15)
@given(st.lists(_CELLS, min_size=1, max_size=20))
def test_returns_and_rises_keep_the_order_of_the_samples(trial: list[list[Any]]) -> None:
    rows = [course(DAYS[: len(cells)], cells, subject_id=f"S{i:02d}") for i, cells in enumerate(trial)]
    frame, _ = compute_antibody(table(*rows), None, Antibody())
    by = frame.set_index(["metric", "subject_id"])
    for i, cells in enumerate(trial):
        back = by.loc[("time_to_seropositive_again", f"S{i:02d}")]
        gone = by.loc[("time_to_seronegative", f"S{i:02d}")]
        up = by.loc[("time_to_fourfold_rise", f"S{i:02d}")]
        if back["status"] == "interval_censored":
            assert gone["upper"] <= back["lower"] < back["upper"] <= DAYS[len(cells) - 1]
            assert f"positive again on day {back['upper']:g}" in gone["reason"]
        if up["status"] == "interval_censored":
            at = DAYS.index(up["upper"])
            assert cells[at] not in {"<10", 10}
            assert up["lower"] < up["upper"]
