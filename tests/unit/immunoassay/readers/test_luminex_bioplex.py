"""Bio-Plex Manager XML, in documents that the tests write."""

from __future__ import annotations

import os

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.immunoassay.readers.luminex_files import bioplex, bioplex_plate, reading, sample

from cartrace.immunoassay.plate import Plate
from cartrace.immunoassay.readers import read_plate
from cartrace.problems import InputError


def read(content: bytes) -> Plate:
    return read_plate(content, "data/plate.xml")


def refusal(content: bytes) -> str:
    with pytest.raises(InputError) as error:
        read(content)
    return str(error.value)


def of(plate: Plate, well: str, target: str = "IL-6") -> pd.Series:
    wells = plate.wells
    chosen = wells[(wells["well"] == well) & (wells["target"] == target)]
    assert len(chosen) == 1
    return chosen.iloc[0]


def one_unknown(first: tuple[str, str], **words: str) -> bytes:
    return bioplex({"Unknowns": [sample("Unknown", "X1", (1, 1), [first, reading("1")], **words)]})


def test_each_reading_has_its_well_task_and_name() -> None:
    plate = read(bioplex_plate())
    assert (plate.family, plate.software, plate.software_version) == (
        "bioplex",
        "Bio-Plex Manager",
        "6.2.0",
    )
    assert list(zip(plate.wells["well"], plate.wells["task"], strict=True))[::2] == [
        ("A01", "blank"),
        ("B01", "standard"),
        ("C01", "standard"),
        ("D01", "control"),
        ("H12", "unknown"),
    ]
    assert of(plate, "A01")["signal"] == 62
    assert of(plate, "H12")["sample_name"] == "P-01 d28"
    assert of(plate, "D01")["sample_name"] == "C1"


def test_beads_are_those_of_the_region_and_their_lack_is_told() -> None:
    plate = read(bioplex_plate())
    assert of(plate, "A01")["bead_count"] == 60
    assert plate.wells["bead_count"].notna().sum() == 1
    told = {r.check: r.message for r in plate.remarks}
    assert told["no_bead_counts"].startswith("9 of 10 readings")
    assert "Unable to calculate" in told["vendor_curve"]


def test_a_zero_is_a_concentration_only_beside_a_standard_that_has_one() -> None:
    plate = read(bioplex_plate())
    assert of(plate, "B01")["nominal"] == 100
    assert of(plate, "C01")["nominal"] == 0
    assert pd.isna(of(plate, "B01", "IFNg")["nominal"])
    assert pd.isna(of(plate, "D01")["nominal"])
    assert of(plate, "D01", "IFNg")["nominal"] == 50


def test_concentrations_and_what_the_software_says_of_them_are_kept() -> None:
    plate = read(bioplex_plate())
    assert of(plate, "B01")["vendor_concentration"] == 99
    assert pd.isna(of(plate, "B01")["vendor_status"])
    assert of(plate, "H12")["vendor_concentration"] == 140
    assert of(plate, "H12")["vendor_status"] == "* AboveRange"
    low = of(plate, "H12", "IFNg")
    assert pd.isna(low["vendor_concentration"])
    assert low["vendor_status"] == "OOR <; low bead number"
    assert pd.isna(of(plate, "A01")["vendor_concentration"])


def test_an_outlier_and_an_invalid_reading_are_omitted() -> None:
    plate = read(bioplex_plate())
    assert of(plate, "C01", "IFNg")["omitted"]
    assert of(plate, "C01", "IFNg")["vendor_status"] == "outlier (Manual)"
    assert plate.wells["omitted"].sum() == 1
    invalid = of(read(one_unknown(reading("5", valid="false", code="77"))), "A01")
    assert invalid["omitted"]
    assert invalid["vendor_status"] == "not valid, code 77"


def test_kind_weighting_and_unit_of_the_curves_are_kept() -> None:
    plate = read(bioplex_plate())
    assert set(plate.curves) == {"IL-6"}
    assert plate.curves["IL-6"].model == "Logistic - 5PL"
    assert plate.curves["IL-6"].weighting == "Power Law Variance, B = 1.8"
    assert plate.units == {"IL-6": "pg/mL"}


def test_a_dilution_counts_only_where_somebody_typed_one() -> None:
    assert read(bioplex_plate()).wells["dilution"].isna().all()
    assert of(read(one_unknown(reading("5"), dilution="5.0E+001")), "A01")["dilution"] == 50


def test_the_row_of_a_reading_is_its_line() -> None:
    content = bioplex_plate()
    lines = content.decode().splitlines()
    for well in read(content).wells.itertuples():
        assert lines[well.source_row - 1].startswith("<MWAnalyte ")
        assert f"<AnalyteName>{well.target}</AnalyteName>" in lines[well.source_row - 1]


def test_utf16_is_read_as_utf8_is() -> None:
    text = bioplex_plate().decode().replace('encoding="UTF-8"', 'encoding="UTF-16"')
    pd.testing.assert_frame_equal(read(text.encode("utf-16")).wells, read(bioplex_plate()).wells)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (one_unknown(reading("many")), "'many'"),
        (one_unknown(reading("1,5")), "'1,5'"),
        (one_unknown(reading("5"), dilution="0.5"), "at least 1"),
        (
            bioplex({"Unknowns": [sample("Unknown", "X1", (9, 1), [reading("1")] * 2)]}),
            "row '9' and column '1'",
        ),
        (
            bioplex({"Others": [sample("Other", "X1", (1, 1), [reading("1")] * 2)]}),
            "the kind of sample 'Other'",
        ),
        (bioplex({"Unknowns": [sample("Unknown", "X1", (1, 1), [reading("1")] * 2)] * 2}), "a second time"),
        (bioplex({}), "no well"),
        (bioplex_plate().replace(b"Samples>", b"Sample>"), "no element Samples"),
        (bioplex_plate().replace(b"<RegionCount>60", b"<RegionCount>60.5"), "RegionCount"),
    ],
)
def test_a_fault_is_refused_with_what_is_allowed(content: bytes, said: str) -> None:
    assert said in refusal(content)


def test_a_document_type_is_refused() -> None:
    before = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    assert "a document type" in refusal(bioplex({}, before=before))


def test_no_user_date_or_path_of_the_document_is_kept() -> None:
    plate = read(bioplex_plate())
    kept = repr(plate) + plate.wells.to_csv()
    assert "doe" not in kept
    assert "2021" not in kept


EXAMPLES = int(os.environ.get("CARTRACE_FUZZ_EXAMPLES", "60"))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 60,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.integers(0, len(bioplex_plate()) - 1), st.sampled_from(["cut", "drop", "-", "9", "<", "\x00"]))
def test_a_damaged_document_is_refused_or_keeps_its_other_readings(at: int, damage: str) -> None:
    whole = bioplex_plate()
    damaged = (
        whole[:at]
        if damage == "cut"
        else whole[:at] + (b"" if damage == "drop" else damage.encode()) + whole[at + 1 :]
    )
    try:
        after = read(damaged)
    except InputError:
        return
    before = read(whole)
    if len(after.wells) == len(before.wells):
        columns = ["well", "target", "signal", "nominal", "vendor_concentration"]
        old, new = (w[columns].astype("string").fillna("") for w in (before.wells, after.wells))
        # An analyte is named in each of its readings; a column or row number holds for two.
        assert (old != new).any(axis=1).sum() <= 2
