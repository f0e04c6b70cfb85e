from __future__ import annotations

from typing import Any

import pytest
from tests.unit.report.full_trial import AQP4, of
from tests.unit.report.small_trial import metric

from cartrace import tables
from cartrace.config import Config, load
from cartrace.report.questions import NO, UNKNOWN, YES, Question, questions

PCR = ("blood", "transgene", "qpcr", "copies/ug")
CBA = ("serum", "aqp4_igg", "cba", "titre")
SRP = ("serum", "anti_srp", "elisa", "U/mL")


def asked(
    metrics: list[dict[str, Any]],
    events: list[dict[str, Any]] | None = None,
    last_day: dict[str, float] | None = None,
    config: Config | None = None,
) -> list[Question]:
    return questions(
        tables.rows(metrics, tables.METRICS),
        tables.rows(events or [], tables.EVENTS),
        last_day or {"P1": 400.0},
        [PCR, CBA, SRP],
        config or Config(),
    )


def fall(subject: str = "P1", course: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return metric(subject, "time_to_fourfold_fall", **of(course or AQP4), **more)


def srp(**more: Any) -> dict[str, Any]:
    return fall(course={"matrix": "serum", "analyte": "anti_srp", "assay": "elisa", "unit": "U/mL"}, **more)


@pytest.mark.parametrize(
    ("row", "verdict", "remark"),
    [
        (
            {"lower": 14.0, "upper": 28.0, "status": "interval_censored"},
            YES,
            "AQP4-IgG: four-fold fall between days 14 and 28",
        ),
        ({"upper": 28.0, "status": "left_censored"}, YES, "AQP4-IgG: four-fold fall by day 28"),
        ({"value": 21.0}, YES, "AQP4-IgG: four-fold fall on day 21"),
        ({"lower": 270.0, "status": "right_censored"}, NO, "AQP4-IgG: no four-fold fall by day 270"),
        (
            {"status": "not_estimable", "reason": "negative at baseline"},
            UNKNOWN,
            "AQP4-IgG: negative at baseline",
        ),
    ],
)
def test_the_status_of_the_fall_is_the_answer(row: dict[str, Any], verdict: int, remark: str) -> None:
    (question,) = asked([fall(**row)])
    assert (question.answers[0].verdict, question.answers[0].remark) == (verdict, remark)


def test_an_antibody_that_was_never_there_says_nothing_about_the_other() -> None:
    rows = [fall(value=21.0), srp(status="not_estimable", reason="negative at baseline")]
    (question,) = asked(rows)
    assert question.answers[0].verdict == YES
    assert question.answers[0].remark.endswith("Anti-SRP: negative at baseline")


def test_one_antibody_that_stayed_makes_a_no() -> None:
    (question,) = asked([fall(value=21.0), srp(lower=100.0, status="right_censored")])
    assert question.answers[0].verdict == NO


def test_another_fold_is_named() -> None:
    (question,) = asked([fall(value=21.0)], config=load({"antibody": {"fold": 8}}))
    assert question.text == "Did the antibody fall 8-fold?"


@pytest.mark.parametrize(
    ("row", "verdict", "remark"),
    [
        ({"value": 1.0, "window_start": 176.0}, YES, "present on day 176"),
        ({"value": 0.0, "window_start": 190.0}, NO, "not present on day 190"),
        ({"status": "not_estimable", "reason": "no sample near day 180"}, UNKNOWN, "no sample near day 180"),
    ],
)
def test_the_landmark_nearest_to_half_a_year_tells_who_persisted(
    row: dict[str, Any], verdict: int, remark: str
) -> None:
    rows = [metric("P1", "persistent_at_M6", **row), metric("P1", "persistent_at_M12", 0.0)]
    (question,) = asked(rows)
    assert question.text == "Were the cells still there at 6 months?"
    assert (question.answers[0].verdict, question.answers[0].remark) == (verdict, remark)


def test_a_patient_without_the_course_is_not_assessable() -> None:
    (question,) = asked([metric("P1", "persistent_at_M6", 1.0)], last_day={"P1": 400.0, "P2": 400.0})
    assert [a.verdict for a in question.answers] == [YES, UNKNOWN]
    assert question.answers[1].remark == "no course of CAR transgene in blood"


def test_only_the_first_infusion_answers() -> None:
    assert asked([metric("P1", "persistent_at_M6", 1.0, infusion=2)]) == []


def test_a_relapse_counts_after_the_infusion_and_its_absence_to_the_last_contact_only() -> None:
    events = [
        {"subject_id": "P1", "study_day": 300.0, "kind": "relapse"},
        {"subject_id": "P1", "study_day": 210.0, "kind": "progression"},
        {"subject_id": "P2", "study_day": -100.0, "kind": "relapse"},
    ]
    (question,) = asked([], events, {"P1": 400.0, "P2": 45.0, "P3": float("nan")})
    assert [a.verdict for a in question.answers] == [YES, NO, UNKNOWN]
    assert [a.remark for a in question.answers] == [
        "progression on day 210",
        "none recorded by day 45",
        "no follow-up is known",
    ]


def test_a_sheet_of_drugs_alone_says_nothing_about_relapses() -> None:
    assert asked([], [{"subject_id": "P1", "study_day": 3.0, "kind": "drug"}]) == []


def test_the_kinds_of_the_configuration_count() -> None:
    events = [{"subject_id": "P1", "study_day": 30.0, "kind": "progression"}]
    events.append({"subject_id": "P1", "study_day": 90.0, "kind": "response"})
    config = load({"cohort": {"association": {"relapse": {"kinds": ["relapse"]}}}})
    (question,) = asked([], events, config=config)
    assert question.answers[0].verdict == NO


def test_without_any_ground_nothing_is_asked() -> None:
    assert asked([]) == []
