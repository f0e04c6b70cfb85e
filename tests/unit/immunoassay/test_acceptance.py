"""The acceptance rules of immunoassays as data, and every flag explained."""

from __future__ import annotations

import math

import pytest
from tests.unit.immunoassay.hand_elisa import assay

from cartrace.config import ImmunoassayAcceptance
from cartrace.immunoassay.acceptance import RULES, acceptance_of, standard_rules
from cartrace.immunoassay.checks import distance
from cartrace.immunoassay.repeats import REMEDIES
from cartrace.immunoassay.vocabulary import FLAGS
from cartrace.problems import InputError


def test_every_rule_of_the_configuration_says_what_it_looks_at() -> None:
    assert list(RULES) == list(ImmunoassayAcceptance.model_fields)


def test_no_flag_is_also_a_rule_and_every_remedy_is_one_of_the_two() -> None:
    assert not set(RULES) & set(FLAGS)
    assert set(REMEDIES) <= {*RULES, *FLAGS, "above_uloq", "above_series"}


def test_the_assay_file_goes_before_the_configuration_and_says_so() -> None:
    ours = acceptance_of(ImmunoassayAcceptance(), assay(acceptance={"standard_levels": {"lower": 5}}))
    assert ours.limit("standard_levels").lower == 5
    assert ours.source("standard_levels") == "assay file, acceptance.standard_levels"
    assert ours.source("standard_recovery") == "ICH M10, 4.2.3 (ligand-binding assays)."
    rules = standard_rules(ours)
    assert (rules.recovery, rules.recovery_ends) == ((80, 120), (75, 125))
    assert (rules.within_percent, rules.min_levels) == (75, 5)


def test_limits_that_exclude_each_other_are_an_error() -> None:
    base = ImmunoassayAcceptance.model_validate({"standard_recovery": {"lower": 130, "upper": 140}})
    with pytest.raises(InputError, match=r"acceptance of the assay file over immunoassay\.acceptance"):
        acceptance_of(base, assay(acceptance={"standard_recovery": {"upper": 120}}))


@pytest.mark.parametrize(
    ("detection", "result", "lower", "upper", "away"),
    [
        ("quantified", 5.0, 5.0, 5.0, 0.0),
        ("quantified", 12.0, 12.0, 12.0, 2.0),
        ("quantified", 1.0, 1.0, 1.0, -1.0),
        ("BLQ", math.nan, 0.0, 1.5, -0.5),
        ("BLQ", math.nan, 0.0, 3.0, 0.0),
        ("above_uloq", math.nan, 11.0, math.nan, 1.0),
        ("above_uloq", math.nan, 9.0, math.nan, 0.0),
    ],
)
def test_the_distance_from_a_range_knows_bounds(
    detection: str, result: float, lower: float, upper: float, away: float
) -> None:
    row = {"detection": detection, "result": result, "lower": lower, "upper": upper}
    assert distance(row, (2.0, 10.0)) == away


def test_a_control_without_a_result_has_no_distance() -> None:
    row = {"detection": None, "result": math.nan, "lower": math.nan, "upper": math.nan}
    assert math.isnan(distance(row, (2.0, 10.0)))
