"""What the safety page is drawn from, and what the methods say of it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.report.browser import HOSTILE
from tests.unit.report.full_trial import full_trial
from tests.unit.report.safety_trial import safety_trial

from cartrace.config import Config, load
from cartrace.report.packing import Texts
from cartrace.report.page import payload, render
from cartrace.report.safety import SafetyTables
from cartrace.report.safety import payload as safety_payload
from cartrace.report.safety_methods import sections
from cartrace.safety.vocabulary import TERMS


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    return payload(safety_trial(), Config())


def test_rows_are_those_of_the_tables_with_subjects_by_number(page: dict[str, Any]) -> None:
    data = safety_trial()
    packed, texts = page["safety"], page["texts"]
    summary = data.safety.summary
    assert packed["summary"]["n_any"] == summary["n_any"].tolist()
    assert [texts[i] for i in packed["summary"]["term"]] == summary["term"].tolist()
    toxicity = data.safety.toxicity
    assert [page["subjects"][s]["id"] for s in packed["toxicity"]["s"]] == toxicity["subject_id"].tolist()
    grades = [None if g != g else g for g in data.safety.grades["grade"].astype(float)]
    assert packed["grades"]["grade"] == grades
    assert packed["toxicity"]["ongoing"].count(1) == int((toxicity["ongoing"] == True).sum())  # noqa: E712


def test_every_term_has_a_label_and_its_standard_is_named_once(page: dict[str, Any]) -> None:
    packed = page["safety"]
    assert list(packed["labels"]) == list(TERMS)
    assert set(packed["by_day"]) <= set(TERMS)
    assert page["texts"][packed["standards"]["crs"]].startswith("ASTCT consensus 2019, CRS: Lee 2019")
    assert "infection" not in packed["standards"]


def test_a_subject_that_the_page_does_not_know_is_left_out() -> None:
    found = safety_trial().safety
    only = safety_payload(found, {"P03": 0}, Texts())
    assert only is not None
    assert set(only["grades"]["s"]) == {0}
    assert len(only["toxicity"]["s"]) == int((found.toxicity["subject_id"] == "P03").sum())


def test_a_trial_without_safety_has_no_page_and_no_paragraph() -> None:
    assert safety_payload(SafetyTables(), {}, Texts()) is None
    written = render(full_trial(2), Config())
    assert "#/safety" not in written.split("<main", maxsplit=1)[0]
    assert "Safety: grades" not in written


def test_no_date_and_no_markup_of_a_cell_reaches_the_page() -> None:
    # P02's own date of a dose, as somebody may type it into a label.
    data = safety_trial(4, hostile=HOSTILE + " 2024-03-05")
    written = render(data, Config())
    assert HOSTILE not in written
    assert "2024-03-05" not in written
    assert '<a href="#/safety">Safety</a>' in written


STANDARD = {"crs": "ASTCT: Lee; read in PMC1 table 2", "icaht_early": "ICAHT: Rejeski", "icaht_late": "ICAHT: Rejeski", "neutropenia": "CTCAE [recalled: grade 2 below 1.5]"}  # fmt: skip


@pytest.mark.parametrize(
    ("safety", "sentence"),
    [
        ({}, "Toxicity was graded: Cytokine release syndrome by ASTCT: Lee; ICAHT days 0 to 30 and ICAHT days 31 to 100 by ICAHT: Rejeski;"),
        ({}, "Neutropenia by CTCAE [recalled: grade 2 below 1.5]."),
        ({}, "Nothing was taken as normal because it was not recorded."),
        ({"charted_by_exception": ["motor_weakness"]}, "for the same grade: motor weakness."),
        ({"acute_days": 21}, "to day 21 from what was recorded"),
        ({}, "No lower limit of normal was given"),
        ({"lower_limits": [{"analyte": "neutrophils", "value": 1.8, "unit": "1e9/L"}]}, "neutrophils 1.8 1e9/L."),
        ({"icaht": {"count": "longest", "carry_days": 3}}, "count the longest stretch of days at a threshold"),
        ({"icaht": {"carry_days": 3}}, "at most 3 days away"),
        ({"treatment_days": 14}, "from the infusion to day 14,"),
        ({}, "not counted as free of the toxicity"),
    ],
)  # fmt: skip
def test_the_methods_say_which_rules_graded(safety: dict[str, object], sentence: str) -> None:
    text = " ".join(t for _, t in sections(load({"safety": safety}).safety, STANDARD, shown=True))
    assert sentence in text


def test_the_methods_name_no_standard_that_did_not_grade() -> None:
    assert [heading for heading, _ in sections(Config().safety, {}, shown=True)] == ["Safety: counting"]
    without = load({"safety": {"treatments": []}}).safety
    assert "Drugs against" not in sections(without, {}, shown=True)[0][1]
