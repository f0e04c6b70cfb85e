"""Fall, seronegativity and half-life on courses whose answers are worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.unit.antibody.courses import course, infusions, metrics, table

from cartrace.antibody.course import compute_antibody
from cartrace.antibody.metrics import AT_BASELINE, NO_BASELINE, READ_OUT
from cartrace.config import Antibody
from cartrace.metrics import find
from cartrace.tables import METRICS, conform

DAYS = [-6.0, 14.0, 28.0, 56.0, 84.0, 180.0]


def test_a_titre_falls_from_320_to_negative_with_every_number_by_hand() -> None:
    m = metrics(DAYS, [320, 160, 40, 10, "<10", "<10"])
    # 320 stands for [320, 640); below 10: at least log2(320 / 10) = 5 steps, without an upper bound.
    assert tuple(m.loc["antibody_baseline", ["value", "lower", "upper"]]) == (320, 320, 640)
    assert m.loc["antibody_nadir", "status"] == "left_censored"
    assert m.loc["antibody_nadir", "upper"] == 10
    assert m.loc["log2_fall", "status"] == "right_censored"
    assert m.loc["log2_fall", "lower"] == 5
    # 320 -> 40: 3 steps between end points; [320, 640) over [40, 80) lies in (2, 4).
    assert tuple(m.loc["log2_fall_at_M1", ["value", "lower", "upper"]]) == (3, 2, 4)
    assert tuple(m.loc["time_to_fourfold_fall", ["lower", "upper"]]) == (14, 28)
    assert tuple(m.loc["time_to_seronegative", ["lower", "upper"]]) == (56, 84)
    assert m.loc["time_to_seronegative", "status"] == "interval_censored"
    assert m.loc["seronegative_at_M1", "value"] == 0
    assert m.loc["seronegative_at_M6", "value"] == 1
    assert "nearest is day 180" in m.loc["seronegative_at_M12", "reason"]


def test_a_titre_that_never_becomes_negative_has_a_nadir_with_its_step() -> None:
    m = metrics(DAYS, [320, 160, 40, 20, 20, 80])
    assert tuple(m.loc["antibody_nadir", ["value", "lower", "upper"]]) == (20, 20, 40)
    assert m.loc["antibody_nadir_day", "value"] == 56
    assert tuple(m.loc["log2_fall", ["value", "lower", "upper"]]) == (4, 3, 5)
    assert m.loc["time_to_seronegative", "status"] == "right_censored"
    assert m.loc["time_to_seronegative", "lower"] == 180
    assert m.loc["time_to_seronegative", "reason"] == "still positive at the last sample, day 180"


def test_results_in_units_are_plain_numbers() -> None:
    m = metrics(DAYS, [100.0, 50.0, 30.0, 20.0, 12.5, "<5"], start=5.0, unit="U/mL")
    assert m.loc["antibody_baseline", "value"] == 100
    assert m.loc["antibody_baseline", ["lower", "upper"]].isna().all()
    assert m.loc["log2_fall_at_M1", "value"] == pytest.approx(math.log2(100 / 30))
    # Below 5: at least log2(100 / 5).
    assert m.loc["log2_fall", "lower"] == pytest.approx(math.log2(20))
    assert tuple(m.loc["time_to_fourfold_fall", ["lower", "upper"]]) == (28, 56)


def test_a_result_between_two_limits_bounds_the_fall_on_both_sides() -> None:
    rows = course([-1, 28], [100.0, "<5"], start=5.0, unit="U/mL")
    rows[1]["lower"] = 1.0
    frame, _ = compute_antibody(table(rows), None, Antibody())
    m = frame.set_index("metric")
    assert m.loc["antibody_nadir", "status"] == "interval_censored"
    assert tuple(m.loc["antibody_nadir", ["lower", "upper"]]) == (1, 5)
    assert m.loc["log2_fall", "lower"] == pytest.approx(math.log2(20))
    assert m.loc["log2_fall", "upper"] == pytest.approx(math.log2(100))


def test_a_baseline_above_the_range_gives_lower_bounds() -> None:
    m = metrics([-6, 14, 28, 56], [">2560", ">2560", 1280, 160])
    assert m.loc["antibody_baseline", "status"] == "right_censored"
    assert m.loc["antibody_baseline", "lower"] == 2560
    # [2560, inf) over [160, 320): at least 3.
    assert m.loc["log2_fall", "status"] == "right_censored"
    assert m.loc["log2_fall", "lower"] == 3
    # Both results above the range may be four-fold apart; 160 certainly is: 2560 / 160 = 16.
    assert tuple(m.loc["time_to_fourfold_fall", ["lower", "upper"]]) == (0, 56)


def test_a_fourfold_fall_that_the_limits_hide_is_open_with_its_reason() -> None:
    m = metrics([-6, 14, 28], [">2560", ">2560", 1280])
    assert m.loc["time_to_fourfold_fall", "status"] == "right_censored"
    assert m.loc["time_to_fourfold_fall", "lower"] == 0
    assert "can't be told from the limits from day 14 on" in m.loc["time_to_fourfold_fall", "reason"]


def test_a_negative_titre_counts_one_step_below_its_starting_dilution() -> None:
    # 20 -> below 10 is 20 -> 5 or less: two steps. 10 -> below 10 is only one.
    assert metrics([-1, 28], [20, "<10"]).loc["time_to_fourfold_fall", "upper"] == 28
    shallow = metrics([-1, 28], [10, "<10"]).loc["time_to_fourfold_fall"]
    assert shallow["status"] == "not_estimable"
    assert "too near the limit" in shallow["reason"]


def test_a_ten_fold_step_widens_the_intervals() -> None:
    m = metrics([-1, 28], [1000, 100], start=10.0, settings={"titre_step": 10})
    assert tuple(m.loc["antibody_baseline", ["lower", "upper"]]) == (1000, 10000)
    low, high = m.loc["log2_fall", ["lower", "upper"]]
    assert (low, high) == (pytest.approx(0, abs=1e-12), pytest.approx(math.log2(100)))


def test_a_rule_for_one_antibody_and_unit_overrides_the_step() -> None:
    rules = [
        {"analyte": "aqp4_igg", "titre_step": 3},
        {"analyte": "aqp4_igg", "unit": "titre", "titre_step": 1},
    ]
    m = metrics([-1, 28], [45.5, 11.0], settings={"rules": rules})
    assert m.loc["antibody_baseline", ["lower", "upper"]].isna().all()
    assert m.loc["log2_fall", "value"] == pytest.approx(math.log2(45.5 / 11))


def test_a_cut_off_above_the_limit_decides_who_is_negative() -> None:
    rules = [{"analyte": "aqp4_igg", "unit": "U/mL", "positive_from": 8}]
    m = metrics([-1, 28, 56, 84], [40.0, 9.0, 7.0, 6.0], start=2.0, unit="U/mL", settings={"rules": rules})
    assert tuple(m.loc["time_to_seronegative", ["lower", "upper"]]) == (28, 56)
    # The numbers below the cut-off stay numbers.
    assert m.loc["antibody_nadir", "value"] == 6


def test_the_day_of_a_nadir_below_the_limit_is_an_interval_without_a_value() -> None:
    day = metrics([-1, 28, 56, 84], [40, 20, "<10", "<10"]).loc["antibody_nadir_day"]
    assert day["status"] == "interval_censored"
    assert tuple(day[["lower", "upper"]]) == (56, 84)
    assert math.isnan(day["value"])


def test_one_negative_result_is_not_confirmed() -> None:
    m = metrics([-1, 28, 56], [40, 20, "<10"])
    row = m.loc["time_to_seronegative"]
    assert (row["status"], row["lower"]) == ("right_censored", 28)
    assert row["reason"].startswith("not confirmed: negative from day 56")
    assert (
        metrics([-1, 28, 56], [40, 20, "<10"], settings={"confirm_negative": 1}).loc[
            "time_to_seronegative", "upper"
        ]
        == 56
    )


def test_a_changed_starting_dilution_does_not_confirm() -> None:
    m = metrics([-1, 28, 56, 84], [40, 20, "<10", "<20"], start=[10.0, 10.0, 10.0, 20.0])
    assert m.loc["time_to_seronegative", "status"] == "right_censored"
    assert "same starting dilution" in m.loc["time_to_seronegative", "reason"]
    later = metrics(
        [-1, 28, 56, 84, 112], [40, 20, "<10", "<20", "<20"], start=[10.0, 10.0, 10.0, 20.0, 20.0]
    )
    # Confirmed by the two at 1:20; the last positive result is that of day 28.
    assert tuple(later.loc["time_to_seronegative", ["lower", "upper"]]) == (28, 84)


def test_who_becomes_positive_again_keeps_the_first_seroconversion_and_says_so() -> None:
    row = metrics([-1, 28, 56, 84, 180], [40, 20, "<10", "<10", 80]).loc["time_to_seronegative"]
    assert tuple(row[["lower", "upper"]]) == (28, 56)
    assert row["reason"] == "seronegative between day 28 and day 56; positive again on day 180"


def test_negative_from_the_first_sample_after_infusion_lies_after_day_0() -> None:
    row = metrics([-1, 28, 56], [40, "<10", "<10"]).loc["time_to_seronegative"]
    assert tuple(row[["lower", "upper"]]) == (0, 28)


def test_who_was_never_positive_has_no_decline() -> None:
    m = metrics([-1, 28, 56], ["<10", "<10", "<10"])
    for name in ("log2_fall", "time_to_fourfold_fall", "time_to_seronegative", "antibody_half_life"):
        assert m.loc[name, "status"] == "not_estimable"
        assert m.loc[name, "reason"] == AT_BASELINE
    assert m.loc["seronegative_at_M1", "reason"] == AT_BASELINE


def test_without_a_baseline_there_is_no_fall_but_a_time_to_seronegative() -> None:
    m = metrics([14, 28, 56, 84], [80, 40, "<10", "<10"])
    assert m.loc["antibody_baseline", "reason"] == NO_BASELINE
    assert m.loc["log2_fall", "reason"] == NO_BASELINE
    assert tuple(m.loc["time_to_seronegative", ["lower", "upper"]]) == (28, 56)
    unseen = metrics([14, 28], ["<10", "<10"]).loc["time_to_seronegative"]
    assert unseen["reason"] == "no result before the infusion, and not positive after it"


def test_a_course_without_a_result_after_infusion_keeps_its_rows() -> None:
    m = metrics([-6, -1], [40, 40])
    assert m.loc["antibody_baseline", "value"] == 40
    others = m.drop(index="antibody_baseline")
    assert (others["status"] == "not_estimable").all()
    assert (others["reason"] == "no usable result after infusion").all()


def test_the_baseline_is_the_last_result_up_to_lymphodepletion() -> None:
    days, cells = [-30.0, -6.0, -1.0, 28.0], [640, 320, 80, 20]
    assert metrics(days, cells, lymphodepletion=-5.0).loc["antibody_baseline", "value"] == 320
    assert metrics(days, cells, lymphodepletion=-6.0).loc["antibody_baseline", "value"] == 320
    assert metrics(days, cells).loc["antibody_baseline", "value"] == 80
    # Nothing before it: the last one before the infusion.
    assert metrics(days, cells, lymphodepletion=-60.0).loc["antibody_baseline", "value"] == 80


def test_a_sample_of_day_0_is_a_baseline_unless_its_visit_says_post() -> None:
    before = metrics([0, 28], [40, 10])
    assert before.loc["antibody_baseline", "value"] == 40
    after = metrics([0, 28], [40, 10], visit="Day 0 post infusion")
    assert after.loc["antibody_baseline", "reason"] == NO_BASELINE


def test_the_baseline_of_a_second_infusion_may_lie_in_the_course_of_the_first() -> None:
    first = course([-1, 28, 100], [640, 320, 160])
    second = course([14, 28], [40, 20], infusion=2)
    for row in second:
        row["study_day"] = row["day"] + 110
    frame, _ = compute_antibody(table(first, second), infusions((1, 0, -5), (2, 110, -5)), Antibody())
    two = frame[frame["infusion"] == 2].set_index("metric")
    assert two.loc["antibody_baseline", "value"] == 160
    assert two.loc["antibody_baseline", "window_start"] == -10
    assert two.loc["log2_fall", "value"] == 3
    one = frame[frame["infusion"] == 1].set_index("metric")
    assert one.loc["antibody_nadir", "value"] == 160


def test_matrices_assays_and_units_stay_courses_of_their_own() -> None:
    rows = [
        course([-1, 28], [40, 10]),
        course([-1, 28], [80, 10], matrix="csf"),
        course([-1, 28], [20.0, 10.0], unit="U/mL", assay="elisa"),
    ]
    frame, _ = compute_antibody(table(*rows), None, Antibody())
    falls = frame[frame["metric"] == "log2_fall"]
    assert sorted(falls["value"]) == [1, 2, 3]
    assert len(frame) == 3 * frame["metric"].nunique()


def test_rejected_results_and_other_analytes_never_enter() -> None:
    rows = course([-1, 28, 56], [40, 10, 20])
    rows[1]["status"] = "rejected"
    other = course([-1, 28], [40, 10], analyte="igg", unit="g/L")
    frame, _ = compute_antibody(table(rows, other), None, Antibody())
    assert set(frame["analyte"]) == {"aqp4_igg"}
    assert frame.set_index("metric").loc["antibody_nadir", "value"] == 20


def test_repeats_of_one_day_become_their_geometric_mean_whatever_their_order() -> None:
    first = metrics([-1, 28, 28], [80, 10, 40])
    second = metrics([-1, 28, 28], [80, 40, 10])
    assert first.loc["antibody_nadir", "value"] == pytest.approx(20)
    assert "averaged" in first.loc["antibody_nadir", "method"]
    pd.testing.assert_frame_equal(first, second)
    # A positive result beside a negative one of the same day wins.
    assert metrics([-1, 28, 28], [80, "<10", 20]).loc["antibody_nadir", "value"] == 20


def test_a_number_of_zero_is_below_the_limit() -> None:
    m = metrics([-1, 28], [80.0, 0.0], unit="U/mL", start=5.0)
    assert (m.loc["antibody_nadir", "status"], m.loc["antibody_nadir", "upper"]) == ("left_censored", 5)


def test_an_empty_table_gives_empty_tables() -> None:
    nothing = table(course([1], [1.0], analyte="igg", unit="g/L"))
    frame, qc = compute_antibody(nothing, None, Antibody())
    assert not len(frame)
    assert not len(qc)


# --- half-life -------------------------------------------------------------------------------


def test_the_half_life_of_plain_numbers_is_that_of_the_regression_line() -> None:
    rng = np.random.default_rng(3)
    days = np.array([7.0, 21, 49, 80, 120, 170])
    y = np.exp(np.log(500) - 0.02 * days + rng.normal(0, 0.4, len(days)))
    y[0] = y.max() * 1.1
    m = metrics([-1, *days], [600.0, *y], unit="U/mL", start=1.0).loc["antibody_half_life"]
    slope, _ = np.polyfit(days, np.log(y), 1)
    assert m["value"] == pytest.approx(np.log(2) / -slope, rel=1e-6)
    # The limits are those of ordinary regression: t with n - 2 degrees of freedom.
    residual = np.log(y) - np.polyval(np.polyfit(days, np.log(y), 1), days)
    se = np.sqrt((residual**2).sum() / 4 / ((days - days.mean()) ** 2).sum())
    assert m["lower"] == pytest.approx(np.log(2) / (-slope + 2.7764451 * se), rel=1e-6)
    assert m["upper"] == pytest.approx(np.log(2) / (-slope - 2.7764451 * se), rel=1e-6)


def test_titres_that_halve_every_28_days_have_a_half_life_of_28_days() -> None:
    # The line through the middles of [320, 640), [160, 320), ... meets every interval.
    m = metrics([-1, 28, 56, 84, 112], [640, 320, 160, 80, 40]).loc["antibody_half_life"]
    assert m["value"] == pytest.approx(28, rel=1e-6)
    assert m["lower"] < 28 < m["upper"]


def test_a_rebound_after_seronegativity_does_not_move_the_start_of_the_decline() -> None:
    fall = [640, 320, 160, 80, "<40", "<40"]
    days = [-1.0, 28, 56, 84, 112, 140]
    alone = metrics(days, fall).loc["antibody_half_life"]
    rebound = metrics([*days, 200], [*fall, 1280]).loc["antibody_half_life"]
    assert alone["status"] == "estimated"
    assert rebound["value"] == pytest.approx(alone["value"])
    assert (rebound["window_start"], rebound["window_end"]) == (28, 112)


def test_a_negative_result_at_the_end_shortens_the_half_life_against_leaving_it_out() -> None:
    without = metrics([-1, 14, 28, 42], [640, 320, 320, 160]).loc["antibody_half_life", "value"]
    with_it = metrics([-1, 14, 28, 42, 56, 70], [640, 320, 320, 160, "<10", "<10"])
    row = with_it.loc["antibody_half_life"]
    assert row["value"] < without
    # Only the first of the confirmed run enters.
    assert (row["n_points"], row["window_end"]) == (4, 56)
    assert row["reason"].startswith("results beyond a limit: 1")


def test_the_phase_begins_and_ends_where_the_settings_say() -> None:
    days, cells = [-1, 7, 14, 28, 56, 84, 112], [640, 160, 320, 160, 40, 20, 80]

    def window(**half_life: str) -> tuple[float, float]:
        row = metrics(days, cells, settings={"half_life": half_life}).loc["antibody_half_life"]
        return row["window_start"], row["window_end"]

    assert window() == (14, 112)
    assert window(end="nadir") == (14, 84)
    assert window(start="infusion") == (7, 112)
    assert window(start="baseline", end="nadir") == (-1, 84)


@pytest.mark.parametrize(
    ("days", "cells", "reason"),
    [
        ([-1, 14, 28], [80, 40, 20], "2 results in the declining phase, fewer than 3"),
        ([-1, 14, 28, 56], [80, 20, 20, 40], "1 results in the declining phase, fewer than 3"),
        ([-1, 14, 28, 56], [80, 40, "<10", "<20"], "fewer than 2 results between the limits"),
        ([-1, 14, 28, 56, 84], [80, 40, 20, 40, 40], "no decline"),
    ],
)
def test_a_half_life_that_is_not_estimable_says_why(
    days: list[float], cells: list[object], reason: str
) -> None:
    row = metrics(days, cells, start=[10.0] * (len(days) - 1) + [20.0]).loc["antibody_half_life"]
    assert row["status"] == "not_estimable"
    assert row["reason"].startswith(reason)


def test_a_slow_fall_has_a_half_life_without_an_upper_limit() -> None:
    row = metrics([-1, 14, 28, 42], [80, 80, 40, 40]).loc["antibody_half_life"]
    assert row["status"] == "estimated"
    assert math.isnan(row["upper"])
    assert "no upper limit" in row["reason"]


# --- quality ---------------------------------------------------------------------------------


def test_a_changed_starting_dilution_is_found_with_file_and_row() -> None:
    rows = course([-1, 28, 56, 84], [40, 20, "<10", "<20"], start=[10.0, 10.0, 10.0, 20.0])
    _, qc = compute_antibody(table(rows), None, Antibody())
    assert len(qc) == 1
    found = qc.iloc[0]
    assert (found["check"], found["verdict"]) == ("starting_dilution_changed", "warn")
    assert (found["source_file"], found["source_row"], found["sample_id"]) == ("titres", 5, "s3")
    assert (found["value"], found["limit"]) == ("1:20", "1:10")
    assert "1:20 on study day 84 and was 1:10 on study day 56" in found["message"]


def test_a_changed_limit_of_an_elisa_has_its_own_name_and_courses_do_not_mix() -> None:
    elisa = course([-1, 28], [40.0, 20.0], start=[5.0, 2.0], unit="U/mL", assay="elisa")
    other = course([-1, 28], [40, 20], start=[20.0, 20.0])
    _, qc = compute_antibody(table(elisa, other), None, Antibody())
    assert list(qc["check"]) == ["lloq_changed"]
    assert qc.iloc[0]["value"] == "2 U/mL"


# --- registry and invariants -----------------------------------------------------------------


def test_every_metric_is_registered_in_the_group_antibody_and_keeps_the_contract() -> None:
    frame = metrics(DAYS, [320, 160, 40, 10, "<10", "<10"]).reset_index()
    assert {find(name).group for name in frame["metric"]} == {"antibody"}
    assert find("log2_fall").name == "log2_fall"
    assert find("log2_fall_at_M3").name == "log2_fall_at_{landmark}"
    assert find("time_to_seronegative").event
    assert find("seronegative_at_M3").share
    assert len(conform(frame, METRICS)) == len(frame)


def test_the_sentence_for_the_report_names_its_source() -> None:
    assert "read-out, not a predictor of relapse" in READ_OUT
    assert "Akaishi 2020" in READ_OUT


_CELLS = st.lists(
    st.sampled_from(["<10", 10, 20, 40, 80, 160, 320, 640, 1280, 2560, ">2560"]), min_size=2, max_size=8
)
_TRIALS = st.lists(_CELLS, min_size=1, max_size=12)
_FEW = hypothesis_settings(deadline=None, max_examples=15)


def _days(cells: list[Any]) -> list[float]:
    return [-1.0, *(28.0 * (i + 1) for i in range(len(cells) - 1))]


def _metrics_of_all(trial: list[list[Any]]) -> pd.DataFrame:
    rows = [course(_days(cells), cells, subject_id=f"S{i:02d}") for i, cells in enumerate(trial)]
    frame, _ = compute_antibody(table(*rows), None, Antibody())
    return frame.set_index(["metric", "subject_id"])


@_FEW
@given(_TRIALS)
def test_true_titres_inside_the_intervals_never_contradict_the_fall(trial: list[list[Any]]) -> None:
    falls = _metrics_of_all(trial).loc["log2_fall"]

    def inside(cell: Any, share: float) -> float:
        if cell == "<10":
            return 10 * share
        return 2560 / share if cell == ">2560" else float(cell * (1 + share))

    for row, cells in zip(falls.itertuples(), trial, strict=True):
        if row.status == "not_estimable":
            continue
        for share in (0.01, 0.5, 0.99):
            true = [inside(c, share) for c in cells]
            fall = math.log2(true[0] / min(true[1:]))
            assert pd.isna(row.lower) or row.lower <= fall + 1e-9
            assert pd.isna(row.upper) or fall <= row.upper + 1e-9


@_FEW
@given(_TRIALS)
def test_time_intervals_are_in_order_and_inside_the_samples(trial: list[list[Any]]) -> None:
    frame = _metrics_of_all(trial)
    for name in ("time_to_fourfold_fall", "time_to_seronegative"):
        for row, cells in zip(frame.loc[name].itertuples(), trial, strict=True):
            last = _days(cells)[-1]
            if row.status == "interval_censored":
                assert 0 <= row.lower < row.upper <= last
            elif row.status == "right_censored":
                assert 0 <= row.lower <= last


@_FEW
@given(_TRIALS)
def test_a_course_has_the_same_metrics_alone_and_among_others(trial: list[list[Any]]) -> None:
    together = _metrics_of_all(trial).xs("S00", level="subject_id")
    alone = _metrics_of_all(trial[:1]).xs("S00", level="subject_id")
    pd.testing.assert_frame_equal(together, alone, rtol=1e-6)


def test_a_fourfold_fall_is_seen_where_no_limit_is_known() -> None:
    rows = course([-1, 28, 56], [100.0, 50.0, 20.0], start=5.0, unit="U/mL")
    for row in rows:
        row["lloq"] = math.nan
    frame, _ = compute_antibody(table(rows), None, Antibody())
    assert tuple(frame.set_index("metric").loc["time_to_fourfold_fall", ["lower", "upper"]]) == (28, 56)
