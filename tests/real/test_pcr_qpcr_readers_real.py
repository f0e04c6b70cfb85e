"""Files of real qPCR instruments: what the readers take from them, against the files' own curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.real.conftest import real_data

from cartrace.pcr.plate import Plate, ReadOptions
from cartrace.pcr.readers import read_plate
from cartrace.problems import InputError

pytestmark = pytest.mark.real

QPCR = "allotropy_qpcr"
DA = f"{QPCR}/appbio_quantstudio_designandanalysis_"
TEXT = f"{QPCR}/example_quantsudio_results_only.txt"
QS1, QS7, QS7PRO = (
    f"{DA}{n}.xlsx"
    for n in (
        "QS1_Standard_Curve_example01",
        "QS7_Standard_Curve_example06",
        "QS7Pro_Standard_Curve_example14",
    )
)

COUNTS = {
    f"{QPCR}/appbio_quantstudio_example01.txt": ("quantstudio_txt", 16, 0),
    f"{QPCR}/appbio_quantstudio_example02.txt": ("quantstudio_txt", 96, 28),
    f"{QPCR}/appbio_quantstudio_example04.txt": ("quantstudio_txt", 95, 4),
    f"{QPCR}/appbio_quantstudio_example05.txt": ("quantstudio_txt", 16, 6),
    f"{QPCR}/appbio_quantstudio_example06.txt": ("quantstudio_txt", 9, 0),
    f"{QPCR}/appbio_quantstudio_example07.txt": ("quantstudio_txt", 16, 3),
    TEXT: ("quantstudio_txt", 93, 6),
    f"{QPCR}/appbio_quantstudio_design_quantity_test.xlsx": ("quantstudio_xlsx", 24, 16),
    f"{QPCR}/appbio_quantstudio_example08.xlsx": ("quantstudio_xlsx", 36, 0),
    QS1: ("quantstudio_xlsx", 96, 4),
    QS7: ("quantstudio_xlsx", 96, 4),
    QS7PRO: ("quantstudio_xlsx", 96, 4),
    f"{QPCR}/example01.csv": ("cfx_maestro", 192, 84),
    "rdml_examples/BioRad_qPCR_melt.rdml": ("rdml", 60, 4),
    "rdml_examples/lc96_bACTXY.rdml": ("rdml", 384, 258),
    "rdml_examples/stepone_std.rdml": ("rdml", 24, 3),
    "rdml14_examples/shifted_baseline.rdml": ("rdml", 144, 0),
    "rdml14_examples/test_mca_1_raw_data.rdml": ("rdml", 50, 0),
}
"""File -> family, targets of wells, undetermined ones; counted by hand in the files."""


def content(name: str) -> bytes:
    path = real_data() / "assays" / name
    if not path.is_file():
        pytest.skip(f"the real file {Path(name).name} is not here: set CARTRACE_REAL_DATA")
    return path.read_bytes()


def read(name: str, options: ReadOptions | None = None) -> Plate:
    return read_plate(content(name), "data/plate", options)


@pytest.mark.parametrize("name", COUNTS)
def test_every_well_is_read(name: str) -> None:
    plate = read(name)
    family, wells, undetermined = COUNTS[name]
    assert plate.family == family
    assert len(plate.wells) == wells
    assert (plate.wells["cq_kind"] == "undetermined").sum() == undetermined
    assert (plate.wells["cq"].notna() == (plate.wells["cq_kind"] == "quantified")).all()
    assert not plate.wells["omitted"].any()


@pytest.mark.parametrize("name", [n for n in COUNTS if n.endswith(".txt")])
def test_each_cq_and_quantity_is_the_cell_of_its_row(name: str) -> None:
    lines = content(name).decode().splitlines()
    header = lines[lines.index("[Results]") + 1].split("\t")
    for well in read(name).wells.itertuples():
        cells = dict(zip(header, lines[well.source_row - 1].split("\t"), strict=False))
        assert well.well == f"{cells['Well Position'][0]}{int(cells['Well Position'][1:]):02d}"
        assert cells["Sample Name"] == ("" if pd.isna(well.sample_name) else well.sample_name)
        printed = cells["CT"]
        assert printed == ("Undetermined" if pd.isna(well.cq) else f"{well.cq:,.3f}")
        quantity = well.nominal if well.task == "standard" else well.vendor_quantity
        assert cells.get("Quantity", "") == ("" if pd.isna(quantity) else f"{quantity:,.3f}")


@pytest.mark.parametrize(
    ("name", "digits"),
    [(TEXT, 3), (QS1, 4), (QS7, 4), (QS7PRO, 4)],
    ids=["QS7 Flex", "QS1", "QS7", "QS7 Pro"],
)
def test_the_standards_give_the_curve_that_the_file_prints(name: str, digits: int) -> None:
    wells = read(name).wells
    standards = wells[(wells["task"] == "standard") & wells["cq"].notna()]
    slope, intercept = np.polyfit(np.log10(standards["nominal"]), standards["cq"], 1)
    vendor = wells[["vendor_slope", "vendor_intercept"]].drop_duplicates()
    assert len(vendor) == 1
    assert round(slope, digits) == pytest.approx(vendor["vendor_slope"].item(), abs=1e-9)
    assert round(intercept, digits) == pytest.approx(vendor["vendor_intercept"].item(), abs=1e-9)
    unknowns = wells[(wells["task"] == "unknown") & wells["cq"].notna()]
    own = 10 ** ((unknowns["cq"] - intercept) / slope)
    assert (own / unknowns["vendor_quantity"] - 1).abs().max() < 5e-4 or unknowns.empty


def test_both_sheets_of_design_and_analysis_say_the_same() -> None:
    for name in (QS1, QS7, QS7PRO):
        curve, results = read(name).wells, read(name, ReadOptions(sheet="Results")).wells
        same = ["well", "sample_name", "target", "task", "cq", "cq_kind", "source_row"]
        pd.testing.assert_frame_equal(curve[same], results[same])


def test_a_genotyping_export_is_refused_with_what_it_lacks() -> None:
    with pytest.raises(InputError) as caught:
        read(f"{QPCR}/appbio_quantstudio_example03.txt")
    assert len(caught.value.problems) == 2
    assert "column 'CT'" in str(caught.value)


def test_stepone_gives_its_own_quantities_from_its_standards() -> None:
    wells = read("rdml_examples/stepone_std.rdml").wells
    standards = wells[wells["task"] == "standard"]
    slope, intercept = np.polyfit(np.log10(standards["nominal"]), standards["cq"], 1)
    unknowns = wells[wells["task"] == "unknown"]
    own = 10 ** ((unknowns["cq"] - intercept) / slope)
    assert (own / unknowns["vendor_quantity"] - 1).abs().max() < 5e-4


def test_lightcycler_96_wells_that_it_calls_negative_have_no_cq() -> None:
    plate = read("rdml_examples/lc96_bACTXY.rdml")
    wells = plate.wells
    assert wells.loc[wells["vendor_status"] != "Positive", "cq"].isna().all()
    assert wells.loc[wells["vendor_status"] == "Positive", "cq"].notna().all()
    assert wells.loc[wells["task"] == "standard", "nominal"].notna().all()
    assert wells.loc[wells["task"] == "empty", "sample_name"].isna().all()
    assert [r.check for r in plate.remarks] == ["cq_not_taken"]


def test_an_instruments_own_archive_is_no_export() -> None:
    with pytest.raises(InputError, match="no reader knows"):
        read("rdml_examples/sce.eds")
