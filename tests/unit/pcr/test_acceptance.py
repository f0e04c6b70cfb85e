"""The acceptance rules as data: ranges, consequences, sources, and how findings become rows of qc."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from tests.unit.pcr.hand_plates import assay

from cartrace.config import PcrAcceptance
from cartrace.pcr.acceptance import OTHER_FLAGS, RULES, acceptance_of
from cartrace.plates.acceptance import Finding, number, qc_table, rule_finding
from cartrace.problems import InputError

DEFAULT = acceptance_of(PcrAcceptance(), assay())


def test_every_setting_is_a_rule_and_no_flag_has_the_name_of_one() -> None:
    assert set(RULES) == set(PcrAcceptance.model_fields)
    assert not set(RULES) & set(OTHER_FLAGS)


@pytest.mark.parametrize("name", RULES)
def test_each_rule_allows_its_limits_and_breaks_beyond_them(name: str) -> None:
    rule = DEFAULT.limit(name)
    for bound, outside in ((rule.lower, -1), (rule.upper, 1)):
        if bound is not None:
            step = 1e-6 * max(1.0, abs(bound))
            assert DEFAULT.broken(name, [bound, bound + outside * step, bound - outside * step]).tolist() == [
                False,
                True,
                False,
            ]
    assert not DEFAULT.broken(name, math.nan)


def test_rounding_of_floating_point_breaks_no_rule() -> None:
    assert not DEFAULT.broken("slope", np.nextafter(-3.6, -10))
    assert not DEFAULT.broken("slope", -3.1 + 1e-12)


def test_infinity_is_above_every_upper_limit() -> None:
    assert DEFAULT.broken("copies_per_partition", math.inf)
    assert not DEFAULT.broken("ntc_cq_margin", math.inf)


def test_a_scaled_rule_scales_its_limits() -> None:
    assert DEFAULT.broken("partitions", [4249.0, 4250.0], scale=8500 / 20000).tolist() == [True, False]
    assert DEFAULT.limit_text("partitions", scale=0.425) == "at least 4250"


def test_the_assay_file_goes_over_the_configuration_rule_by_rule() -> None:
    base = PcrAcceptance.over(PcrAcceptance(), {"r2": {"lower": 0.99}})
    ours = acceptance_of(base, assay(acceptance={"slope": {"lower": -3.7}}))
    assert (ours.limit("slope").lower, ours.limit("slope").upper) == (-3.7, -3.1)
    assert ours.limit("r2").lower == 0.99
    assert ours.source("slope") == "assay file, acceptance.slope"
    assert ours.source("r2") == "configuration, pcr.acceptance.r2"


def test_the_published_source_is_named_only_while_the_default_holds() -> None:
    assert DEFAULT.source("slope") == "PMC8282960, table 2."
    assert "PMC8282960" not in acceptance_of(
        PcrAcceptance(), assay(acceptance={"slope": {"upper": -3.0}})
    ).source("slope")


def test_limits_of_assay_and_configuration_that_exclude_each_other_are_told() -> None:
    base = PcrAcceptance.over(PcrAcceptance(), {"slope": {"lower": -3.2}})
    with pytest.raises(InputError, match="lower is above upper"):
        acceptance_of(base, assay(acceptance={"slope": {"upper": -3.3}}))


@pytest.mark.parametrize(
    ("consequence", "verdict"), [("reject", "fail"), ("flag", "warn"), ("ignore", "note")]
)
def test_the_consequence_is_the_verdict(consequence: str, verdict: str) -> None:
    ours = acceptance_of(PcrAcceptance(), assay(acceptance={"r2": {"consequence": consequence}}))
    assert ours.verdict("r2", broken=True) == verdict
    assert ours.verdict("r2", broken=False) == "pass"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("slope", "-3.6 to -3.1 Cq per decade"),
        ("r2", "at least 0.98"),
        ("replicate_cq_sd", "at most 0.5 cycles"),
        ("partitions", "at least 10000"),
    ],
)
def test_limits_are_written_in_words(name: str, text: str) -> None:
    assert DEFAULT.limit_text(name) == text


def test_numbers_are_written_short_and_plain() -> None:
    assert [number(x) for x in (0.123456, -3.333333, 20000.0, 123456.7, 3e9, math.inf)] == [
        "0.1235",
        "-3.333",
        "20000",
        "123457",
        "3e+09",
        "infinite",
    ]


def test_a_finding_becomes_a_row_with_its_place_and_without_dates() -> None:
    wells = pd.DataFrame({"source_row": [5, 6], "subject_id": ["S1", "S1"], "sample_id": ["a", "b"]})
    finding = rule_finding(
        DEFAULT,
        "r2",
        "CAR of run 2021-03-04: r2 0.9",
        broken=True,
        target="CAR",
        value="0.9",
        marks=("target",),
        wells=(0, 1),
    )
    row = qc_table([finding], wells, file_id="run_07").iloc[0]
    assert row[
        ["check", "verdict", "source_file", "source_row", "subject_id", "value", "limit"]
    ].tolist() == [
        "r2",
        "fail",
        "run_07",
        5,
        "S1",
        "0.9",
        "at least 0.98",
    ]
    assert pd.isna(row["sample_id"])
    assert row["message"] == "CAR of run <date>: r2 0.9"


def test_a_finding_of_the_whole_file_needs_no_well() -> None:
    wells = pd.DataFrame({"source_row": [], "subject_id": [], "sample_id": []})
    qc = qc_table([Finding("remark", "note", "odd", row=3, column="Cq")], wells, file_id="p")
    assert qc[["source_row", "source_column"]].to_numpy().tolist() == [[3, "Cq"]]
