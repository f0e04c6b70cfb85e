"""CRS and ICANS by day, by hand from the consensus tables (Lee 2019; PMC9327779 table 2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.safety.crs import contradictions, grade_crs
from cartrace.safety.grades import DayGrade
from cartrace.safety.icans import grade_icans
from cartrace.safety.thresholds import read_standards

STANDARDS = read_standards((Path(__file__).parents[3] / "resources" / "safety").glob("*.yaml"))
CRS, ICANS = STANDARDS.symptoms["crs"], STANDARDS.symptoms["icans"]
CALM: dict[str, Any] = {
    "temperature_c": 36.8,
    "fever_masked": "no",
    "hypotension": "no",
    "vasopressors": 0.0,
    "vasopressin": "no",
    "oxygen": "none",
}
HOT = {**CALM, "temperature_c": 38.4}
CLEAR: dict[str, Any] = {
    "ice": 10.0,
    "consciousness": "alert",
    "seizure": "none",
    "motor_weakness": "no",
    "cerebral_oedema": "none",
}


def day(**seen: Any) -> dict[str, tuple[float | str, ...]]:
    return {item: value if isinstance(value, tuple) else (value,) for item, value in seen.items()}


def crs(*days: dict[str, Any], by_exception: tuple[str, ...] = ()) -> list[DayGrade]:
    return grade_crs({n: day(**seen) for n, seen in enumerate(days)}, CRS, by_exception)


def icans(by_exception: tuple[str, ...] = (), **seen: Any) -> DayGrade:
    return grade_icans({3: day(**seen)}, ICANS, by_exception)[0]


def without(seen: dict[str, Any], *items: str) -> dict[str, Any]:
    return {k: v for k, v in seen.items() if k not in items}


class TestCrs:
    @pytest.mark.parametrize(
        ("seen", "grade"),
        [
            (CALM, 0),
            ({**CALM, "temperature_c": 37.9}, 0),
            ({**CALM, "temperature_c": 38.0}, 1),
            ({**HOT, "hypotension": "yes"}, 2),
            ({**HOT, "oxygen": "low_flow"}, 2),
            ({**HOT, "hypotension": "yes", "vasopressors": 1.0}, 3),
            ({**HOT, "hypotension": "yes", "vasopressors": 1.0, "vasopressin": "yes"}, 3),
            ({**HOT, "hypotension": "yes", "vasopressin": "yes"}, 3),
            ({**HOT, "oxygen": "high_flow"}, 3),
            ({**HOT, "hypotension": "yes", "vasopressors": 2.0}, 4),
            ({**HOT, "oxygen": "positive_pressure"}, 4),
            # A febrile patient on one pressor and low-flow oxygen is grade 3 (PMC8021214, table 1).
            ({**HOT, "hypotension": "yes", "vasopressors": 1.0, "oxygen": "low_flow"}, 3),
        ],
    )
    def test_the_worst_of_hypotension_and_hypoxia_counts(self, seen: dict[str, Any], grade: int) -> None:
        found = crs(seen)[0]
        assert (found.least, found.most, found.grade, found.reason) == (grade, grade, grade, None)

    def test_without_fever_there_is_no_crs(self) -> None:
        assert crs({**CALM, "oxygen": "high_flow"})[0].grade == 0

    def test_fever_is_no_longer_asked_for_once_it_is_masked_until_it_is_not(self) -> None:
        oxygen = {**without(CALM, "fever_masked"), "oxygen": "low_flow"}
        days = crs(HOT, {**oxygen, "fever_masked": "yes"}, oxygen, {**oxygen, "fever_masked": "no"}, oxygen)
        assert [d.grade for d in days] == [1, 2, 2, 0, 0]
        assert days[2].because == "oxygen: low flow; fever masked"

    def test_a_masked_day_with_fever_and_nothing_else_is_grade_1(self) -> None:
        assert crs({**HOT, "fever_masked": "yes"})[0].grade == 1
        assert crs({**CALM, "fever_masked": "yes"})[0].grade == 0

    @pytest.mark.parametrize(
        ("missing", "bounds"),
        [
            (("oxygen",), (1, 4)),
            (("vasopressin",), (1, 1)),
            (("vasopressors",), (1, 1)),
            (("hypotension",), (1, 2)),
            (("hypotension", "vasopressors", "vasopressin"), (1, 4)),
            (("hypotension", "vasopressin"), (1, 3)),
            (("temperature_c",), (0, 1)),
            (("temperature_c", "fever_masked"), (0, 1)),
            (("fever_masked",), (1, 1)),
        ],
    )
    def test_a_missing_item_leaves_the_grade_open_unless_another_one_answers(
        self, missing: tuple[str, ...], bounds: tuple[int, int]
    ) -> None:
        found = crs(without(HOT, *missing))[0]
        assert (found.least, found.most) == bounds
        assert (found.grade is None) == (bounds[0] != bounds[1])
        if found.grade is None:
            assert found.reason is not None
            assert found.reason.startswith("not observed: ")
            assert missing[0] in found.reason

    def test_a_missing_temperature_never_means_that_there_is_no_crs(self) -> None:
        found = crs({**without(CALM, "temperature_c"), "oxygen": "high_flow"})[0]
        assert (found.least, found.most, found.grade) == (0, 3, None)

    def test_a_cool_day_on_oxygen_is_open_where_nobody_said_whether_fever_is_masked(self) -> None:
        found = crs({**without(CALM, "fever_masked"), "oxygen": "low_flow"})[0]
        assert (found.least, found.most, found.reason) == (0, 2, "not observed: fever_masked")

    def test_signs_of_another_cause_are_no_release_on_that_day_alone(self) -> None:
        found = crs(
            {**HOT, "oxygen": "low_flow", "crs_other_cause": "yes"}, {**HOT, "crs_other_cause": "no"}, HOT
        )
        assert [(d.grade, d.because) for d in found] == [
            (0, "another cause"),
            (1, "temperature 38.4 °C"),
            (1, "temperature 38.4 °C"),
        ]
        assert icans(ice=3.0, icans_other_cause="yes").grade == 0
        assert icans(**CLEAR, icans_other_cause="no").grade == 0
        assert (icans(icans_other_cause="no").least, icans(icans_other_cause="no").most) == (0, 4)

    def test_what_is_charted_by_exception_is_normal_where_it_is_missing(self) -> None:
        found = crs({"temperature_c": 39.0}, by_exception=("oxygen", "hypotension", "vasopressors"))[0]
        # vasopressin was not listed: it could have been given.
        assert (found.least, found.most) == (1, 3)
        every = ("oxygen", "hypotension", "vasopressors", "vasopressin")
        assert crs({"temperature_c": 39.0}, by_exception=every)[0].grade == 1

    def test_of_several_observations_of_a_day_the_worst_counts(self) -> None:
        found = crs({**CALM, "temperature_c": (36.9, 39.1, 37.0), "oxygen": ("none", "low_flow")})[0]
        assert found.grade == 2
        assert found.because == "temperature 39.1 °C; oxygen: none, low flow"

    def test_a_day_without_an_item_of_crs_is_not_graded(self) -> None:
        assert crs({"ice": 9.0}) == []

    def test_a_pressor_without_hypotension_is_a_contradiction_and_the_pressor_counts(self) -> None:
        seen = {0: day(**{**HOT, "vasopressors": 1.0}), 1: day(**HOT)}
        assert contradictions(seen) == [0]
        assert [d.grade for d in grade_crs(seen, CRS)] == [3, 1]


class TestIcans:
    @pytest.mark.parametrize(
        ("changed", "grade"),
        [
            ({}, 0),
            ({"consciousness": "spontaneous"}, 0),
            ({"ice": 9.0}, 1),
            ({"ice": 7.0}, 1),
            ({"ice": 6.0}, 2),
            ({"ice": 3.0}, 2),
            ({"ice": 2.0}, 3),
            ({"ice": 0.0}, 3),
            ({"ice": 0.0, "consciousness": "unarousable"}, 4),
            ({"consciousness": "voice"}, 2),
            ({"consciousness": "tactile"}, 3),
            ({"seizure": "brief"}, 3),
            ({"seizure": "prolonged"}, 4),
            ({"motor_weakness": "yes"}, 4),
            ({"cerebral_oedema": "focal"}, 3),
            ({"cerebral_oedema": "diffuse"}, 4),
            # ICE 3 and a generalised seizure: grade 3 (PMC8403007, table 4).
            ({"ice": 3.0, "seizure": "brief"}, 3),
        ],
    )
    def test_the_worst_item_counts(self, changed: dict[str, Any], grade: int) -> None:
        found = icans(**{**CLEAR, **changed})
        assert (found.least, found.most, found.grade) == (grade, grade, grade)

    def test_a_patient_who_cannot_be_aroused_needs_no_ice_score(self) -> None:
        assert icans(consciousness="unarousable").grade == 4

    def test_a_missing_item_leaves_the_grade_open(self) -> None:
        found = icans(**without(CLEAR, "ice"))
        assert (found.least, found.most, found.reason) == (0, 3, "not observed: ice")
        assert icans(ice=10.0).grade is None
        assert icans(ice=0.0, by_exception=("seizure", "motor_weakness", "cerebral_oedema")).most == 4

    def test_with_items_charted_by_exception_the_ice_score_answers(self) -> None:
        every = ("consciousness", "seizure", "motor_weakness", "cerebral_oedema")
        found = icans(by_exception=every, ice=(9.0, 5.0))
        assert (found.grade, found.because) == (2, "ice 5")


HARM = {
    "temperature_c": [36.5, 37.5, 38.0, 39.5],
    "hypotension": ["no", "yes"],
    "vasopressors": [0.0, 1.0, 2.0],
    "vasopressin": ["no", "yes"],
    "oxygen": ["none", "low_flow", "high_flow", "positive_pressure"],
    "ice": [10.0, 8.0, 5.0, 1.0, 0.0],
    "consciousness": ["alert", "spontaneous", "voice", "tactile", "unarousable"],
    "seizure": ["none", "brief", "prolonged"],
    "motor_weakness": ["no", "yes"],
    "cerebral_oedema": ["none", "focal", "diffuse"],
}
"""Values from harmless to worst."""
MASKED = st.sampled_from([(), ("no",), ("yes",)])


@st.composite
def courses(draw: st.DrawFn) -> dict[int, dict[str, tuple[float | str, ...]]]:
    out: dict[int, dict[str, tuple[float | str, ...]]] = {}
    for number in draw(st.sets(st.integers(0, 6), min_size=1)):
        seen: dict[str, tuple[float | str, ...]] = {}
        for item, values in HARM.items():
            found = draw(st.lists(st.sampled_from(values), max_size=2))
            if found:
                seen[item] = tuple(found)
        if masked := draw(MASKED):
            seen["fever_masked"] = masked
        out[number] = seen
    return out


def least(days: dict[int, dict[str, tuple[float | str, ...]]]) -> dict[tuple[str, int], int]:
    return {("crs", d.day): d.least for d in grade_crs(days, CRS)} | {
        ("icans", d.day): d.least for d in grade_icans(days, ICANS)
    }


@settings(max_examples=50)
@given(courses(), st.data())
def test_adding_a_worse_observation_never_lowers_a_grade(
    days: dict[int, dict[str, tuple[float | str, ...]]], data: st.DataObject
) -> None:
    before = least(days)
    number = data.draw(st.sampled_from(sorted(days)))
    item = data.draw(st.sampled_from(sorted(HARM)))
    seen = days[number].get(item, ())
    place = max((HARM[item].index(v) for v in seen), default=0)
    worse = data.draw(st.sampled_from(HARM[item][place:]))
    after = least({**days, number: {**days[number], item: (*seen, worse)}})
    assert all(after[key] >= grade for key, grade in before.items())


@settings(max_examples=50)
@given(courses())
def test_what_is_missing_only_widens_the_grade(days: dict[int, dict[str, tuple[float | str, ...]]]) -> None:
    for table in (grade_crs(days, CRS), grade_icans(days, ICANS)):
        for found in table:
            assert 0 <= found.least <= found.most <= 4
            assert (found.reason is None) == (found.least == found.most)


@settings(max_examples=50)
@given(courses(), st.data())
def test_any_value_of_a_missing_item_gives_a_grade_between_least_and_most(
    days: dict[int, dict[str, tuple[float | str, ...]]], data: st.DataObject
) -> None:
    number = data.draw(st.sampled_from(sorted(days)))
    missing = [item for item in ("oxygen", "temperature_c", "ice", "seizure") if item not in days[number]]
    if not missing:
        return
    item = data.draw(st.sampled_from(missing))
    value = data.draw(st.sampled_from(HARM[item]))
    filled = {**days, number: {**days[number], item: (value,)}}
    for grade, table in ((grade_crs, CRS), (grade_icans, ICANS)):
        open_ = {d.day: d for d in grade(days, table)}
        for found in grade(filled, table):
            if found.day in open_:
                assert open_[found.day].least <= found.least
                assert found.most <= open_[found.day].most
