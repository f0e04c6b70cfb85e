"""Acceptance rules of flow tubes."""

from __future__ import annotations

import pytest

from cartrace.config import Flow, FlowAcceptance
from cartrace.flow.acceptance import QUANTITIES, Rules, rules_of, verdict_of
from cartrace.flow.panel import load_panel

RULES = Rules(FlowAcceptance())


def test_every_rule_says_what_it_looks_at() -> None:
    assert set(QUANTITIES) == set(FlowAcceptance.model_fields)


@pytest.mark.parametrize(
    ("value", "broken"), [(0.74, True), (0.75, False), (1.33, False), (1.34, True), (None, False)]
)
def test_a_value_outside_the_range_breaks_a_rule_and_the_edge_does_not(
    value: float | None, broken: bool
) -> None:
    assert RULES.broken("count_agreement", value) is broken


def test_a_rule_that_is_ignored_is_never_broken() -> None:
    ignored = Rules(FlowAcceptance.over(FlowAcceptance(), {"events": {"consequence": "ignore"}}))
    assert RULES.broken("events", 10)
    assert not ignored.broken("events", 10)


def test_a_finding_tells_value_limit_and_consequence() -> None:
    row = RULES.finding("pre_infusion_car_percent", 2.0, "t1", "2 % of T cells before infusion")
    assert row["verdict"] == "fail"
    assert row["limit"] == "at most 0.5"
    assert row["limit_source"] == "flow.acceptance.pre_infusion_car_percent"
    assert RULES.finding("events", 20_000, "t1", "enough")["verdict"] == "pass"
    assert RULES.finding("events", 20, "t1", "few")["verdict"] == "warn"


def test_the_panel_file_changes_single_keys_of_a_rule() -> None:
    panel = load_panel(
        {
            "markers": {"CD3": None},
            "thresholds": {"CD3": {}},
            "gates": {"t": {"where": {"CD3": "above"}}},
            "populations": {"T": {"gate": "t"}},
            "acceptance": {"events": {"lower": 500}},
        },
        "panel.yaml",
    )
    rules = rules_of(panel, Flow())
    assert rules["events"].lower == 500
    assert rules["events"].consequence == "flag"
    assert rules.source("events") == "panel file, acceptance.events"
    assert rules.allowed("count_agreement") == "0.75 to 1.33"


def test_the_verdict_is_the_worst_consequence() -> None:
    rejecting = frozenset({"review_rejected"})
    assert verdict_of(set(), RULES, rejecting) == "accepted"
    assert verdict_of({"events", "no_review"}, RULES, rejecting) == "flagged"
    assert verdict_of({"events", "review_rejected"}, RULES, rejecting) == "rejected"
    assert verdict_of({"pre_infusion_car_percent"}, RULES, rejecting) == "rejected"
