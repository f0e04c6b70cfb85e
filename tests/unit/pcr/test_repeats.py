"""What is to be measured again, in words for a technician."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.unit.pcr.plate_samples import gene, sample, table

from cartrace.config import PcrAcceptance
from cartrace.pcr.acceptance import OTHER_FLAGS
from cartrace.pcr.repeats import REMEDIES, repeat_reasons
from cartrace.plates.repeats import dilution_for


def reasons(*records: dict[str, Any], extra: list[str] | None = None) -> list[str]:
    more = np.array(extra or [""] * len(records), dtype=object)
    return [str(r) for r in repeat_reasons(table(*records), more)]


def bad(flags: str, verdict: str = "rejected", **more: Any) -> dict[str, Any]:
    return sample(flags=flags, verdict=verdict) | more


def test_a_good_result_is_left_alone() -> None:
    assert reasons(sample(), sample("S2", 0.0, detection="BLD")) == ["", ""]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("slope", "The slope of the standard curve is out of range: repeat the plate."),
        ("ntc_copies", "The no-template control is positive: look for contamination, then repeat the plate."),
        ("inhibition_shift", "The PCR is inhibited: dilute the eluate 1:5 and repeat."),
        ("partitions;no_well_left", "Too few partitions: repeat the wells."),
        ("no_well_left", "No well could be used: repeat in all replicates."),
        ("something_new", "The result was rejected: repeat."),
        (
            "slope;r2;replicate_cq_sd",
            "The slope of the standard curve is out of range, and the standards do not lie on a line: repeat the plate. "
            "The replicates disagree: repeat in all replicates.",
        ),
    ],
)
def test_each_broken_rule_says_what_to_do(flags: str, words: str) -> None:
    assert reasons(bad(flags)) == [words]


def test_a_dilution_goes_on_from_the_one_there_was() -> None:
    assert reasons(bad("inhibition_shift", dilution=5.0)) == [
        "The PCR is inhibited: dilute the eluate 1:25 and repeat."
    ]
    above = sample(copies=3e7, uloq=1e6, detection="above_uloq", dilution=2.0)
    assert reasons(above) == ["Above the upper limit of quantification: dilute the eluate 1:200 and repeat."]


@pytest.mark.parametrize(
    ("copies", "limit", "dilution"),
    [
        (1.01e6, 1e6, 5),
        (3e6, 1e6, 10),
        (6e6, 1e6, 20),
        (2e7, 1e6, 50),
        (3e7, 1e6, 100),
        (float("inf"), 1e6, 5),
    ],
)
def test_the_dilution_brings_the_result_well_into_the_range(
    copies: float, limit: float, dilution: int
) -> None:
    assert dilution_for(copies, limit) == dilution


def test_some_flags_ask_for_a_repeat_of_a_result_that_is_used() -> None:
    assert reasons(bad("replicates", "flagged")) == ["Too few wells could be used: repeat in all replicates."]
    assert reasons(bad("volume_audit", "flagged")) == [""]
    # Only what asks for the repeat is told.
    assert reasons(bad("above_standards;volume_audit", "flagged")) == [
        "Above the standards: dilute the eluate 1:5 and repeat."
    ]


def test_too_little_dna_asks_for_another_extraction() -> None:
    assert reasons(bad("dna_ng", "flagged"), extra=["too_little_dna"]) == [
        "Too little DNA in the reaction: extract again, or concentrate the eluate."
    ]
    assert reasons(bad("dna_ng", "flagged"), extra=["too_much_dna"]) == [""]
    assert reasons(sample(), extra=["reference_gene"]) == [
        "The reference gene was not quantified: repeat both targets."
    ]


def test_an_accepted_result_of_another_plate_answers() -> None:
    first = bad("slope", plate="p1")
    assert reasons(first, sample(plate="p2")) == ["", ""]
    assert reasons(sample(plate="p2"), first) == ["", ""]
    # Not another sample, target or assay, and not a second failure.
    for other in (
        sample("S2", plate="p2"),
        sample(plate="p2", target="WPRE"),
        sample(plate="p2", assay="ddpcr"),
    ):
        assert reasons(first, other)[0] != ""
    assert all(reasons(first, bad("ntc_copies", plate="p2")))
    # Above the range: the diluted repeat answers.
    assert reasons(sample(detection="above_uloq"), sample(plate="p2", dilution=10.0)) == ["", ""]


def test_controls_and_reference_genes_are_not_on_the_list() -> None:
    assert reasons(bad("slope", task="accuracy_control"), gene(verdict="rejected", flags="slope")) == ["", ""]


def test_wells_that_were_left_out_ask_why() -> None:
    assert reasons(bad("omitted", "not_used")) == ["All wells were omitted: say why, or repeat."]


def test_every_rule_and_flag_has_a_remedy_or_needs_none() -> None:
    # They mark standards, or wells without a sample; dna_ng has a remedy for each side.
    harmless = {
        "standard_recovery",
        "standard_without_quantity",
        "below_standards",
        "sample_unmapped",
        "dna_ng",
        "ntc_missing",
        "inhibition_unchecked",
        "stored_curve_unchecked",
    }
    assert {*PcrAcceptance.model_fields, *OTHER_FLAGS} - set(REMEDIES) == harmless
