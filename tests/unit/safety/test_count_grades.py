"""Blood counts, by hand: CTCAE grades, days with low counts (ICAHT), recovery (CIBMTR)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.config import Icaht, LowerLimit, Recovery
from cartrace.safety.counts import Counts, blood_counts
from cartrace.safety.ctcae import BOUNDED, NO_LLN, grade_counts, grade_value, lower_limit
from cartrace.safety.icaht import FollowUp, Haematotoxicity, days_at, grade_haematotoxicity, joined, length
from cartrace.safety.recovery import NEVER_LOW, NO_COUNT, find_recovery
from cartrace.safety.thresholds import read_standards
from cartrace.tables import MEASUREMENTS, rows

STANDARDS = read_standards((Path(__file__).parents[3] / "resources" / "safety").glob("*.yaml"))
CTCAE = {t.term: t for t in STANDARDS.counts}
ICAHT = {t.term: t for t in STANDARDS.haematotoxicity}
RECOVERY = {t.analyte: t for t in STANDARDS.recovery}
DAILY = Icaht(carry_days=0)


def counts(*pairs: tuple[int, float | tuple[float, float]]) -> Counts:
    low = [v if isinstance(v, float) else v[0] for _, v in pairs]
    high = [v if isinstance(v, float) else v[1] for _, v in pairs]
    days = np.array([d for d, _ in pairs], dtype=np.int64)
    return Counts("S1", 1, days, np.array(low, dtype=float), np.array(high, dtype=float))


def daily(values: dict[range, float]) -> Counts:
    return counts(*((d, v) for days, v in values.items() for d in days))


def icaht(
    found: Counts,
    term: str = "icaht_early",
    follow_up: FollowUp | None = None,
    settings: Icaht | None = None,
) -> Haematotoxicity:
    return grade_haematotoxicity(found, ICAHT[term], follow_up or FollowUp(), settings or Icaht())


def bounds(found: Haematotoxicity) -> tuple[int, int]:
    assert found.grade is not None
    return found.grade.least, found.grade.most


class TestCtcae:
    def test_a_count_below_a_limit_is_printed_with_that_limit(self) -> None:
        (found,) = grade_counts(counts((3, (0.0, 0.1 * (1 - 1e-6)))), CTCAE["lymphopenia"], None)
        assert found.because == "lymphocytes 0 to 0.1 1e9/L"

    @pytest.mark.parametrize(
        ("term", "value", "grade"),
        [
            ("neutropenia", 2.0, 0),
            ("neutropenia", 1.99, 1),
            ("neutropenia", 1.5, 1),
            ("neutropenia", 1.49, 2),
            ("neutropenia", 1.0, 2),
            ("neutropenia", 0.99, 3),
            ("neutropenia", 0.5, 3),
            ("neutropenia", 0.49, 4),
            ("thrombocytopenia", 75.0, 1),
            ("thrombocytopenia", 74.0, 2),
            ("thrombocytopenia", 49.0, 3),
            ("thrombocytopenia", 25.0, 3),
            ("thrombocytopenia", 24.0, 4),
            ("anaemia", 10.0, 1),
            ("anaemia", 9.9, 2),
            ("anaemia", 7.9, 3),
            ("anaemia", 3.0, 3),
            ("lymphopenia", 0.79, 2),
            ("lymphopenia", 0.49, 3),
            ("lymphopenia", 0.19, 4),
        ],
    )
    def test_a_count_has_the_grade_of_the_table(self, term: str, value: float, grade: int) -> None:
        lln = {"neutropenia": 2.0, "thrombocytopenia": 150.0, "anaemia": 12.0, "lymphopenia": 1.0}[term]
        assert grade_value(value, CTCAE[term], lln) == (grade, grade)

    def test_without_a_lower_limit_of_normal_grade_0_and_1_are_not_told_apart(self) -> None:
        found = grade_counts(counts((3, 1.7), (5, 1.2)), CTCAE["neutropenia"], None)
        assert [(d.least, d.most, d.grade, d.reason) for d in found] == [
            (0, 1, None, NO_LLN),
            (2, 2, 2, None),
        ]

    def test_a_censored_count_lies_between_grades(self) -> None:
        found = grade_counts(counts((3, (0.0, 0.7))), CTCAE["neutropenia"], 2.0)[0]
        assert (found.least, found.most, found.reason) == (3, 4, BOUNDED)

    def test_counts_before_the_day_of_the_infusion_are_not_graded(self) -> None:
        assert [d.day for d in grade_counts(counts((-1, 0.1), (0, 3.0)), CTCAE["neutropenia"], 2.0)] == [0]

    def test_the_lower_limit_is_converted_to_the_unit_of_the_table(self) -> None:
        limit = LowerLimit(analyte="haemoglobin", unit="g/L", value=120)
        assert lower_limit(CTCAE["anaemia"], [limit]) == pytest.approx(12.0)
        assert lower_limit(CTCAE["neutropenia"], [limit]) is None


def measured(*records: dict[str, Any]) -> pd.DataFrame:
    base = {
        "subject_id": "S1",
        "infusion": 1,
        "matrix": "blood",
        "analyte": "neutrophils",
        "assay": "cell counter",
        "unit": "1e9/L",
        "detection": "quantified",
        "censoring": "none",
        "status": "accepted",
        "source_file": "f",
        "source_sha256": "0",
    }
    listed = []
    for record in records:
        row = {**base, **record, "sample_id": "x", "study_day": record["day"]}
        row.setdefault("lower", row.get("value"))
        row.setdefault("upper", row.get("value"))
        listed.append(row)
    return rows(listed, MEASUREMENTS)


class TestCounts:
    def test_the_lowest_count_of_a_day_counts_in_the_unit_that_is_asked_for(self) -> None:
        found = blood_counts(
            measured(
                {"day": 3.2, "value": 700.0, "unit": "cells/uL"},
                {"day": 3.9, "value": 0.6},
                {"day": -0.5, "value": 4.0},
                {"day": 4.0, "value": 0.1, "status": "rejected"},
                {"day": 4.0, "value": 0.2, "matrix": "marrow"},
                {"day": 4.0, "value": 9.0, "analyte": "platelets"},
            ),
            "neutrophils",
            "1e9/L",
        )
        assert len(found) == 1
        assert found[0].day.tolist() == [-1, 3]
        assert found[0].lower.tolist() == [4.0, 0.6]
        assert found[0].upper.tolist() == [4.0, 0.6]

    def test_a_count_below_a_limit_is_below_it(self) -> None:
        table = measured({"day": 3.0, "lower": np.nan, "upper": 0.5, "detection": "BLQ", "censoring": "left"})
        found = blood_counts(table, "neutrophils", "1e9/L")[0]
        assert [(d.least, d.most) for d in grade_counts(found, CTCAE["neutropenia"], None)] == [(4, 4)]

    def test_a_count_above_a_limit_has_no_upper_bound(self) -> None:
        table = measured(
            {"day": 3.0, "lower": 30.0, "upper": np.nan, "detection": "above_uloq", "censoring": "right"}
        )
        found = blood_counts(table, "neutrophils", "1e9/L")[0]
        assert grade_counts(found, CTCAE["neutropenia"], 2.0)[0].grade == 0


class TestEarlyIcaht:
    @pytest.mark.parametrize(
        ("low_days", "value", "grade"),
        [
            (0, 0.5, 0),
            (1, 0.5, 1),
            (6, 0.5, 1),
            (7, 0.5, 2),
            (13, 0.5, 2),
            (14, 0.5, 3),
            (6, 0.1, 1),
            (7, 0.1, 3),
            (13, 0.1, 3),
            (14, 0.1, 4),
            (24, 0.3, 3),
        ],
    )
    def test_depth_and_days_give_the_grade_of_the_neutrophils(
        self, low_days: int, value: float, grade: int
    ) -> None:
        found = daily({range(5): 3.0, range(5, 5 + low_days): value, range(5 + low_days, 31): 2.0})
        assert bounds(icaht(found, settings=DAILY)) == (grade, grade)
        assert icaht(found, settings=DAILY).low_days == low_days

    @pytest.mark.parametrize(
        ("low_days", "value", "grade"),
        [
            (1, 49.0, 1),
            (6, 20.0, 1),
            (7, 49.0, 2),
            (25, 49.0, 2),
            (7, 50.0, 0),
            (1, 19.0, 3),
            (13, 19.0, 3),
            (14, 19.0, 4),
        ],
    )
    def test_depth_and_days_give_the_grade_of_the_platelets(
        self, low_days: int, value: float, grade: int
    ) -> None:
        found = daily({range(5): 200.0, range(5, 5 + low_days): value, range(5 + low_days, 31): 200.0})
        assert bounds(icaht(found, "icaht_platelets_early", settings=DAILY)) == (grade, grade)

    def test_never_above_the_threshold_from_the_first_days_on_is_grade_4(self) -> None:
        assert bounds(icaht(daily({range(3): 2.0, range(3, 31): 0.4}), settings=DAILY)) == (4, 4)
        assert bounds(icaht(daily({range(4): 2.0, range(4, 31): 0.4}), settings=DAILY)) == (3, 3)

    def test_a_death_without_recovery_is_grade_4_and_the_end_of_the_counting_leaves_it_open(self) -> None:
        low = daily({range(2): 2.0, range(2, 17): 0.4})
        assert bounds(icaht(low, follow_up=FollowUp(16, died=True), settings=DAILY)) == (4, 4)
        assert bounds(icaht(low, follow_up=FollowUp(16), settings=DAILY)) == (3, 4)

    def test_one_low_count_a_week_is_no_week_of_low_counts(self) -> None:
        # Days 1 to 6 and 8 to 13 lie between a low and a higher count.
        found = icaht(counts((0, 3.0), (7, 0.3), (14, 2.0), (21, 2.0), (28, 2.5)))
        assert (found.low_days, found.low_days_most) == (1, 13)
        assert bounds(found) == (1, 2)
        assert found.grade is not None
        assert found.grade.reason == "12 of 31 days without a count that says whether they were low"
        assert (found.first_low, found.last_low, found.n_counts) == (7, 7, 5)
        assert "at most 0.5 1e9/L on 1 days (1 with a count)" in found.grade.because

    def test_days_between_two_low_counts_are_low_for_as_long_as_the_settings_say(self) -> None:
        weekly = counts((4, 2.0), (5, 0.3), (13, 0.4), (14, 2.0), (21, 2.0), (28, 2.0))
        found = icaht(weekly, settings=Icaht(carry_days=7))
        assert (found.low_days, found.first_low, found.last_low) == (9, 5, 13)
        assert icaht(weekly, settings=Icaht(carry_days=6)).low_days == 2

    def test_a_count_above_the_threshold_holds_unless_a_low_one_follows(self) -> None:
        row = ICAHT["icaht_early"].rows[0]
        unknown = days_at(
            counts((0, 2.0), (4, 0.3), (5, 2.0)), row, (0, 15), Icaht(carry_days=3), late=False
        ).unknown
        # Days 1 to 3 lie before a low count; the count of day 5 holds to day 8.
        assert np.flatnonzero(unknown).tolist() == [1, 2, 3, *range(9, 16)]

    def test_a_straight_line_between_counts_is_a_setting(self) -> None:
        # From 0.2 on day 5 to 1.1 on day 14, 0.1 a day: 0.5 on day 8.
        course = counts((4, 2.0), (5, 0.2), (14, 1.1), (21, 2.0), (28, 2.0))
        assert icaht(course, settings=Icaht(gaps="linear", carry_days=8)).low_days == 4
        assert icaht(course, settings=Icaht(gaps="linear", carry_days=7)).low_days == 1

    def test_a_count_before_the_infusion_holds_for_the_first_days(self) -> None:
        assert bounds(icaht(counts((-2, 3.0), (5, 3.0), (12, 3.0), (19, 3.0), (26, 3.0)))) == (0, 0)

    def test_counts_that_stop_leave_the_rest_open(self) -> None:
        assert bounds(icaht(counts((0, 3.0), (5, 3.0)))) == (0, 4)

    def test_two_days_above_are_no_recovery_and_three_are(self) -> None:
        two = daily(
            {range(5): 3.0, range(5, 8): 0.4, range(8, 10): 0.6, range(10, 12): 0.4, range(12, 31): 2.0}
        )
        assert icaht(two, settings=DAILY).low_days == 7
        three = daily(
            {range(5): 3.0, range(5, 8): 0.4, range(8, 11): 0.6, range(11, 13): 0.4, range(13, 31): 2.0}
        )
        assert icaht(three, settings=DAILY).low_days == 5
        assert icaht(three, settings=Icaht(carry_days=0, count="longest")).low_days == 3

    def test_without_a_count_in_the_window_there_is_a_reason(self) -> None:
        found = icaht(counts((-5, 3.0), (40, 2.0)))
        assert (found.grade, found.reason) == (None, "no count of neutrophils from day 0 to 30")


class TestLateIcaht:
    @pytest.mark.parametrize(
        ("values", "grade"),
        [
            ((1.6, 1.6), 0),
            ((1.5, 1.4), 1),
            ((1.0, 1.4), 2),
            ((0.5, 1.5), 3),
            ((0.1, 1.4), 4),
            ((0.1, 3.0), 0),
        ],
    )
    def test_the_lowest_count_grades_once_a_second_one_is_low(
        self, values: tuple[float, float], grade: int
    ) -> None:
        assert bounds(icaht(counts((35, values[0]), (60, values[1])), "icaht_late")) == (grade, grade)

    def test_one_count_does_not_do(self) -> None:
        found = icaht(counts((35, 3.0)), "icaht_late")
        assert bounds(found) == (0, 4)
        assert found.grade is not None
        assert found.grade.reason == "two counts on different days are asked for"

    def test_a_last_count_that_is_low_may_stay_so(self) -> None:
        assert bounds(icaht(counts((35, 3.0), (60, 0.9)), "icaht_late")) == (0, 2)

    def test_platelets_need_two_counts_below_the_same_threshold_or_the_days(self) -> None:
        late = "icaht_platelets_late"
        assert bounds(icaht(counts((35, 90.0), (60, 40.0), (90, 120.0)), late)) == (1, 1)
        assert bounds(icaht(counts((35, 45.0), (60, 40.0), (90, 120.0)), late)) == (2, 2)
        days = daily({range(31, 45): 10.0, range(45, 60): 120.0})
        assert bounds(icaht(days, late, settings=DAILY)) == (4, 4)
        days = daily({range(31, 44): 10.0, range(44, 60): 120.0})
        assert bounds(icaht(days, late, settings=DAILY)) == (3, 3)

    def test_monthly_counts_above_the_threshold_leave_nothing_open(self) -> None:
        assert bounds(icaht(counts((28, 150.0), (56, 150.0), (84, 150.0)), "icaht_platelets_late")) == (0, 0)

    def test_follow_up_that_ended_before_is_the_reason(self) -> None:
        found = icaht(counts((5, 3.0)), "icaht_late", FollowUp(20, died=True))
        assert (found.grade, found.reason) == (None, "follow-up ended before day 31")


class TestRecovery:
    def test_the_example_of_the_manual_comes_back(self) -> None:
        # CIBMTR, initial platelet recovery: platelets in 10^9/L on days 0 to 10, recovery reported on day 7.
        values = (10, 35, 30, 25, 10, 15, 19, 23, 25, 40, 50)
        course = counts(*((d + 1, float(v)) for d, v in enumerate(values)))
        found = find_recovery(course, RECOVERY["platelets"], Recovery())
        assert (found.lower, found.upper) == (6 + 1, 7 + 1)

    def test_the_recovery_lies_between_the_count_before_and_the_first_of_three(self) -> None:
        course = counts((3, 0.2), (10, 0.4), (17, 0.5), (24, 0.9), (31, 2.0))
        found = find_recovery(course, RECOVERY["neutrophils"], Recovery())
        assert (found.lower, found.upper, found.n_points) == (10, 17, 5)

    def test_two_counts_are_no_recovery_yet(self) -> None:
        found = find_recovery(counts((3, 0.2), (17, 0.6), (24, 0.9)), RECOVERY["neutrophils"], Recovery())
        assert (found.lower, found.upper) == (3, np.inf)
        assert found.reason == "2 of 3 counts in a row at or above 0.5 1e9/L"

    def test_counts_before_the_nadir_do_not_count(self) -> None:
        course = counts((2, 0.4), (3, 0.6), (4, 0.7), (5, 0.8), (9, 0.1), (12, 0.6), (13, 0.7), (14, 0.9))
        assert find_recovery(course, RECOVERY["neutrophils"], Recovery()).upper == 12
        assert find_recovery(course, RECOVERY["neutrophils"], Recovery(after="first_low")).upper == 3

    def test_platelets_after_a_transfusion_do_not_count(self) -> None:
        course = counts(
            (5, 10.0), (7, 30.0), (8, 30.0), (9, 30.0), (13, 25.0), (14, 25.0), (15, 25.0), (16, 30.0)
        )
        found = find_recovery(course, RECOVERY["platelets"], Recovery(), transfusions=[6.4])
        assert found.upper == 13
        found = find_recovery(course, RECOVERY["platelets"], Recovery(), transfusions=[7.0])
        assert found.upper == 14

    def test_without_a_low_count_or_any_count_there_is_a_reason(self) -> None:
        never = find_recovery(counts((0, 0.1), (3, 2.0)), RECOVERY["neutrophils"], Recovery())
        assert (never.reason, np.isnan(never.upper)) == (NEVER_LOW, True)
        assert find_recovery(counts((0, 0.1)), RECOVERY["neutrophils"], Recovery()).reason == NO_COUNT
        unknown = find_recovery(counts((3, (0.0, 1.0))), RECOVERY["neutrophils"], Recovery())
        assert unknown.reason == "whether the count was low is not known"


COURSES = st.dictionaries(st.integers(-3, 60), st.floats(0.01, 4.0), min_size=1, max_size=12)
SETTINGS = st.builds(
    Icaht,
    count=st.sampled_from(["cumulative", "longest"]),
    carry_days=st.integers(0, 9),
    stable_days=st.integers(1, 5),
)
TERM = st.sampled_from(["icaht_early", "icaht_late"])


@given(COURSES, st.data(), SETTINGS, TERM)
def test_a_lower_count_never_lowers_the_grade(
    course: dict[int, float], data: st.DataObject, settings: Icaht, term: str
) -> None:
    before = icaht(counts(*sorted(course.items())), term, settings=settings)
    day = data.draw(st.sampled_from(sorted(course)))
    worse = {**course, day: course[day] * data.draw(st.floats(0.01, 1.0))}
    after = icaht(counts(*sorted(worse.items())), term, settings=settings)
    if before.grade is not None:
        assert bounds(after)[0] >= bounds(before)[0]
        assert bounds(after)[1] >= bounds(before)[1]
        assert bounds(before)[0] <= bounds(before)[1]


@given(COURSES, st.integers(0, 30), SETTINGS)
def test_adding_the_lowest_count_never_lowers_the_grade(
    course: dict[int, float], day: int, settings: Icaht
) -> None:
    before = icaht(counts(*sorted(course.items())), settings=settings)
    worse = {**course, day: min(course.values()) / 2}
    after = icaht(counts(*sorted(worse.items())), settings=settings)
    if before.grade is not None:
        assert bounds(after)[0] >= bounds(before)[0]


@settings(max_examples=50)
@given(
    st.dictionaries(st.integers(0, 30), st.sampled_from([0.05, 0.3, 2.0]), min_size=1), st.data(), SETTINGS
)
def test_counts_of_all_days_give_a_grade_between_least_and_most(
    course: dict[int, float], data: st.DataObject, settings: Icaht
) -> None:
    found = counts(*sorted(course.items()))
    before = icaht(found, settings=settings)
    rows_ = ICAHT["icaht_early"].rows
    half, tenth = (
        days_at(found, next(r for r in rows_ if r.at_most == limit), (0, 30), settings, late=False)
        for limit in (0.5, 0.1)
    )
    filled = {}
    for day in range(31):
        # Whatever the known days leave: three depths, each low or not at both thresholds.
        left = [
            depth
            for depth in (0.05, 0.3, 2.0)
            if (depth <= 0.5 or not half.low[day])
            and (depth > 0.5 or half.possible[day])
            and (depth <= 0.1 or not tenth.low[day])
            and (depth > 0.1 or tenth.possible[day])
        ]
        filled[day] = course[day] if day in course else data.draw(st.sampled_from(left))
    after = icaht(counts(*sorted(filled.items())), settings=settings)
    assert bounds(after)[0] == bounds(after)[1]
    assert bounds(before)[0] <= bounds(after)[0] <= bounds(before)[1]


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 5))
def test_joining_only_adds_days_and_once_is_enough(low: list[bool], stable: int) -> None:
    before = np.array(low, dtype=bool)
    after = joined(before, stable)
    assert (after | ~before).all()
    assert (joined(after, stable) == after).all()
    longest = length(before, Icaht(count="longest", stable_days=stable))
    assert longest <= length(before, Icaht(stable_days=stable)) == after.sum()
