"""An assay file is checked as a whole: what it says wrongly is told, never taken."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cartrace.pcr.assay import load_assay
from cartrace.problems import InputError


def faults(**parts: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_assay({"targets": {"CAR": {}}} | parts, "mappings/assay.yaml")
    return str(caught.value)


def test_faults_at_every_level_are_told_at_once() -> None:
    text = faults(
        asay="qpcr",
        targets={"CAR": {"nams": ["x"], "limits": {"loq": 4}}},
        reaction={"volume_ul": "25 uL"},
        controls={"PC": {"task": "accuracy_control", "copies": {"CAR": -5}}},
        read={"decimal": ";"},
        platform="qx20",
    )
    assert "7 problems" in text
    for place in (
        "asay",
        "targets.CAR.nams",
        "targets.CAR.limits.loq",
        "reaction.volume_ul",
        "controls.PC.copies.CAR",
        "read.decimal",
        "platform",
    ):
        assert f"column '{place}'" in text
    assert "did you mean 'qx200'?" in text


@pytest.mark.parametrize("copies", [0, -1, math.nan, math.inf])
def test_a_control_without_real_copies_would_never_be_judged_and_is_refused(copies: float) -> None:
    text = faults(controls={"PC": {"task": "accuracy_control", "copies": {"CAR": copies}}})
    assert "column 'controls.PC.copies.CAR'" in text


@pytest.mark.parametrize("number", [math.inf, math.nan])
def test_only_finite_numbers_are_numbers(number: float) -> None:
    text = faults(reaction={"dna_ng": number}, partition_volume_nl=number)
    assert "column 'reaction.dna_ng'" in text
    assert "column 'partition_volume_nl'" in text
