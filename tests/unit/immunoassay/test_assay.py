"""The assay file of an immunoassay: what it allows, and how a wrong one is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.immunoassay.assay import Assay, load_assay, read_assay
from cartrace.problems import InputError

TARGET = {"analyte": "soluble_bcma", "unit": "ng/mL"}
TITRE = {"analyte": "aqp4_igg", "unit": "titre", "readout": "titre", "titre": {"start": 10, "step": 2}}
RAW: dict[str, Any] = {"targets": {"sBCMA": TARGET}}


def told(raw: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_assay(raw, "assay.yaml")
    return str(caught.value)


def target(**changes: Any) -> dict[str, Any]:
    return {"targets": {"sBCMA": TARGET | changes}}


def test_the_least_that_an_assay_file_needs() -> None:
    found = load_assay(RAW, "assay.yaml")
    assert found.targets["sBCMA"].calibration.model == "4pl"
    assert found.uses_samples


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({}, "targets"),
        ({"targets": {}}, "targets"),
        (RAW | {"target": {}}, "did you mean 'targets'"),
        (target(analyte="soluble_bmca"), "did you mean 'soluble_bcma'"),
        (target(unit="g"), "soluble_bcma is followed in"),
        (target(readout="titre"), "titre belongs to readout: titre"),
        (target(readout="index"), "index_control belongs to readout: index"),
        (target(index_control="Calibrator"), "index_control belongs to readout: index"),
        (target(calibration={"weighting": "power"}), "power belongs to weighting: power"),
        (target(calibration={"power": 2}), "power belongs to weighting: power"),
        (target(calibration={"holds_dilution": True}), "holds_dilution belongs to model: vendor"),
        (target(calibration={"model": "3pl"}), "3pl"),
        (target(calibration={"anchors": [0]}), "anchors"),
        (target(limits={"lloq": 1}), "lloq belongs to source: fixed"),
        (target(limits={"source": "fixed", "lloq": 5, "uloq": 1}), "limits out of order"),
        ({"targets": {"A": TITRE | {"titre": {"start": 1, "step": 2}}}}, "start"),
        ({"targets": {"A": TITRE | {"titre": {"start": 10, "step": 2, "cutoff": 1, "cutoff_control": "N"}}}}, "not both"),
        ({"targets": {"A": TITRE | {"titre": {"start": 10, "step": 2, "cutoff_control": "N"}}}}, "unknown control 'N'"),
        (RAW | {"controls": {"QC": {"task": "standard"}}}, "a standard needs concentration"),
        (RAW | {"controls": {"QC": {"task": "control", "range": {"sBCMA": [4, 2]}}}}, "lowest above highest"),
        (RAW | {"controls": {"QC": {"task": "control", "concentration": {"x": 4}}}}, "unknown target 'x'"),
        (RAW | {"dilution": 0.02}, "dilution"),
        (RAW | {"dilution": "1:50"}, "dilution"),
        (RAW | {"acceptance": {"linearty": {}}}, "did you mean 'linearity'"),
        (RAW | {"read": {"thresholds": {"FAM": 1}}}, "thresholds"),
        ([1, 2], "assay.yaml"),
        ("text", "assay.yaml"),
        (None, "assay.yaml"),
    ],
)  # fmt: skip
def test_a_wrong_assay_file_is_told_with_its_place(raw: Any, words: str) -> None:
    assert words in told(raw)


def test_two_names_that_are_one_on_the_plate_are_refused() -> None:
    # Case and spaces do not count when names are looked up, so one of the two would be lost.
    second = {"analyte": "il6", "unit": "pg/mL"}
    targets = {"sBCMA": TARGET | {"names": ["IL 6"]}, "IL6": second}
    assert "targets 'sBCMA' and 'IL6' both claim the name 'IL6'" in told({"targets": targets})
    controls = {"QC low": {"task": "control"}, "qclow": {"task": "blank"}}
    assert "controls 'QC low' and 'qclow' are one name" in told(RAW | {"controls": controls})


def test_all_faults_are_told_at_once() -> None:
    said = told({"targets": {"sBCMA": {"analyte": "x", "unit": "y"}}, "dilution": 0, "colour": "red"})
    assert said.startswith("3 problems")


NUMBERS = st.sampled_from([-1, 0, 1e308, float("nan"), float("inf"), "1e400", "", None, True, [], {"a": 1}])


@settings(max_examples=60)
@given(
    place=st.sampled_from(
        [
            "dilution",
            "targets.sBCMA.limits.lod",
            "targets.sBCMA.calibration.power",
            "controls.QC.concentration.sBCMA",
        ]
    ),
    value=NUMBERS,
)
def test_any_value_in_place_of_a_number_is_refused_or_a_finite_number(place: str, value: Any) -> None:
    raw: dict[str, Any] = {"targets": {"sBCMA": dict(TARGET)}, "controls": {"QC": {"task": "control"}}}
    *path, last = place.split(".")
    at = raw
    for key in path:
        at = at.setdefault(key, {})
    at[last] = value
    try:
        found: Any = load_assay(raw, "assay.yaml").model_dump()
    except InputError:
        return
    for key in (*path, last):
        found = found[key]
    assert found is None or 0 < found < float("inf")


@pytest.mark.parametrize("text", ["targets: [", "a: &a [*a]", "\x00", "!!python/object/apply:os.getcwd []", "targets: {A: 2024-01-02}", "targets: {2024-01-02: {unit: [2024-01-02]}}"])  # fmt: skip
def test_a_file_that_is_no_assay_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "assay.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_assay(tmp_path / "assay.yaml", "assay.yaml")
    assert "2024" not in str(caught.value)


def test_an_assay_file_survives_a_round_trip() -> None:
    found = load_assay(RAW | {"controls": {"B": {"task": "blank"}}}, "assay.yaml")
    assert Assay.model_validate(found.model_dump()) == found
