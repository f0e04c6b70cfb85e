"""Luminex and Bio-Plex files of real instruments: every number is the cell of its well."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from lxml import etree
from tests.real.conftest import real_data

from cartrace.immunoassay.grid_layout import read_grid_layout
from cartrace.immunoassay.plate import Plate
from cartrace.immunoassay.readers import read_plate

pytestmark = pytest.mark.real

XPONENT = {
    "allotropy_immuno/luminex_xPONENT_example02.csv": "xponent",
    "allotropy_immuno/luminex_xPONENT_NaN_and_not_reported_values.csv": "xponent",
    "allotropy_immuno/luminex_intelliflex_example_01.csv": "intelliflex",
    "serolyzer_luminex/CovidOISExPONTENT.csv": "xponent",
    "serolyzer_luminex/IGG_CO_1_xponent.csv": "xponent",
    "serolyzer_luminex/IGG_CO_2_xponent.csv": "xponent",
    "serolyzer_luminex/IGG_CO_3_xponent.csv": "xponent",
}
NOT_REPORTED = "allotropy_immuno/luminex_xPONENT_NaN_and_not_reported_values.csv"
BIOPLEX = "allotropy_immuno/bio-rad_bio-plex_manager_example_01.xml"
LAYOUTS = [n for n in XPONENT if n.startswith("serolyzer")]


def content(name: str) -> bytes:
    path = real_data() / "assays" / name
    if not path.is_file():
        pytest.skip(f"the real file {Path(name).name} is not here: set CARTRACE_REAL_DATA")
    return path.read_bytes()


def read(name: str) -> Plate:
    return read_plate(content(name), "data/plate")


def cells(name: str, block: str) -> dict[tuple[str, str], str]:
    """(well, analyte) -> cell of a block, by the csv module alone."""
    rows = list(csv.reader(io.StringIO(content(name).decode("utf-8-sig"))))
    at = next(i for i, r in enumerate(rows) if r[:2] == ["DataType:", block])
    header = [c for c in rows[at + 1] if c]
    found = {}
    for row in rows[at + 2 :]:
        if not any(row) or not re.match(r"\d+\(", row[0]):
            break
        well = re.search(r",([A-P])(\d+)\)", row[0])
        assert well is not None
        for analyte, cell in zip(header[2:-1], row[2:], strict=False):
            found[f"{well[1]}{int(well[2]):02d}", analyte] = cell
    return found


@pytest.mark.parametrize("name", XPONENT)
def test_every_median_and_count_is_the_cell_of_its_well(name: str) -> None:
    plate = read(name)
    assert plate.family == XPONENT[name]
    median, count = cells(name, "Median"), cells(name, "Count")
    assert len(plate.wells) == len(median) > 0
    assert set(zip(plate.wells["well"], plate.wells["target"], strict=True)) == set(median)
    for well in plate.wells.itertuples():
        cell = median[well.well, well.target]
        assert (well.signal == float(cell)) if cell not in {"", "NaN"} else pd.isna(well.signal)
        assert well.bead_count == int(count[well.well, well.target])


@pytest.mark.parametrize("name", XPONENT)
def test_rows_point_at_the_median_of_the_well(name: str) -> None:
    rows = list(csv.reader(io.StringIO(content(name).decode("utf-8-sig"))))
    for well in read(name).wells.itertuples():
        row = rows[well.source_row - 1]
        assert re.search(rf",{well.well[0]}0*{int(well.well[1:])}\)$", row[0])
        assert pd.isna(well.signal) or f"{float(well.signal):g}" in {f"{float(c):g}" for c in row[2:] if c}


def test_what_is_not_reported_is_told_apart_from_nan() -> None:
    median = cells(NOT_REPORTED, "Median")
    wells = read(NOT_REPORTED).wells
    assert wells["signal"].isna().all()
    words = wells["vendor_status"].str.split(";").str[0].value_counts().to_dict()
    assert words == {
        "no signal (NaN)": sum(c == "NaN" for c in median.values()),
        "not reported": sum(not c for c in median.values()),
    }


@pytest.mark.parametrize("name", XPONENT)
def test_nothing_of_the_header_is_kept(name: str) -> None:
    plate = read(name)
    kept = repr(plate.remarks) + repr(plate.instrument) + plate.wells.drop(columns="sample_name").to_csv()
    rows = csv.reader(io.StringIO(content(name).decode("utf-8-sig")))
    private = {
        r[0]: r[1] for r in rows if len(r) > 1 and r[0] in {"SN", "Batch", "Operator", "ComputerName", "Date"}
    }
    assert private
    assert not [key for key, value in private.items() if len(value) > 2 and value in kept and value != "user"]


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_name_the_wells_of_their_plates(name: str) -> None:
    raw = content(name.replace(".csv", "_layout.xlsx"))
    sheet = openpyxl.load_workbook(io.BytesIO(raw)).worksheets[0]
    by_hand = {
        f"{row[0]}{n:02d}": str(cell)
        for row in sheet.iter_rows(min_row=2, max_row=9, values_only=True)
        for n, cell in enumerate(row[1:13], 1)
    }
    layout = read_grid_layout(raw, "layout.xlsx")
    assert dict(zip(layout["well"], layout["sample"], strict=True)) == by_hand
    assert set(layout["well"]) == set(read(name).wells["well"])
    standards = layout[layout["task"] == "standard"]
    assert (standards["sample"] == "1/" + standards["dilution"].astype(int).astype(str)).all()
    assert len(standards) == sum(c.startswith("1/") for c in by_hand.values()) > 5
    assert (layout["task"] == "blank").sum() == sum(c == "B" for c in by_hand.values()) == 1


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_standards_of_the_layout_fall_with_their_dilution(name: str) -> None:
    wells = read(name).wells
    layout = read_grid_layout(content(name.replace(".csv", "_layout.xlsx")), "layout.xlsx")
    joined = wells.merge(layout[["well", "dilution"]].dropna(), on="well", suffixes=("", "_layout"))
    ranks = joined.groupby("target")[["signal", "dilution_layout"]].corr("spearman").iloc[0::2, 1]
    assert (ranks < -0.9).all()


@pytest.mark.parametrize("name", LAYOUTS)
def test_wells_that_only_the_software_named_have_no_name_of_their_own(name: str) -> None:
    rows = list(csv.reader(io.StringIO(content(name).decode("utf-8-sig"))))
    at = next(i for i, r in enumerate(rows) if r[:2] == ["DataType:", "Median"])
    by_hand = [r[1] for r in rows[at + 2 : at + 98]]
    names = read(name).wells.drop_duplicates("well")["sample_name"]
    assert names.isna().tolist() == [n.startswith("Unknown") for n in by_hand]
    assert names.dropna().tolist() == [n for n in by_hand if not n.startswith("Unknown")]


def of_bioplex() -> Iterator[tuple[str, str, str, etree._Element]]:
    root = etree.fromstring(content(BIOPLEX))
    for kind in ("Blank", "Control", "Standard", "Unknown"):
        for member in root.iterfind(f"Samples/*/{kind}/MemberWells/MemberWell"):
            well = f"{'ABCDEFGH'[int(member.get('RowNo')) - 1]}{int(member.get('ColNo')):02d}"
            for analyte in member.iterfind("MWAnalytes/MWAnalyte"):
                yield kind.lower(), well, analyte.findtext("AnalyteName"), analyte


def test_every_reading_of_bioplex_is_that_of_the_document() -> None:
    plate = read(BIOPLEX)
    by_hand = {(well, name): (kind, element) for kind, well, name, element in of_bioplex()}
    wells = plate.wells.set_index(["well", "target"])
    assert set(wells.index) == set(by_hand)
    for key, (kind, element) in by_hand.items():
        assert wells.loc[key, "signal"] == float(element.findtext("Reading"))
        assert wells.loc[key, "task"] == kind
        assert wells.loc[key, "source_row"] == element.sourceline
    coded = {key for key, (_, e) in by_hand.items() if e.find("Reading").get("Code") != "0"}
    assert set(wells.index[wells["vendor_status"].notna()]) == coded


def test_beads_of_bioplex_are_counted_where_the_document_has_them_and_readings_are_medians() -> None:
    wells = read(BIOPLEX).wells.set_index(["well", "target"])
    names = {e.get("RegionNumber"): name for _, _, name, e in of_bioplex()}
    beads = {}
    for element in etree.fromstring(content(BIOPLEX)).iterfind("Wells/Well"):
        well = f"{'ABCDEFGH'[int(element.get('RowNo')) - 1]}{int(element.get('ColNo')):02d}"
        for region in element.iterfind("BeadRegions/BeadRegion"):
            if region.get("RegionNumber") in names:
                beads[well, names[region.get("RegionNumber")]] = region
    assert wells["bead_count"].notna().sum() == len(beads) > 0
    for key, region in beads.items():
        assert wells.loc[key, "bead_count"] == int(region.findtext("RegionCount"))
        assert wells.loc[key, "signal"] == float(region.findtext("Median"))


def test_zeros_that_nobody_typed_are_no_concentrations() -> None:
    plate = read(BIOPLEX)
    assert plate.wells["nominal"].isna().all()
    assert plate.wells["vendor_concentration"].isna().all()
    assert not plate.curves
    assert {r.check for r in plate.remarks} == {"no_bead_counts", "vendor_curve"}
