"""Files of real plate readers: what the readers take from them, against the cells of the files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from tests.real.conftest import real_data
from tests.unit.pcr.readers.mutations import edits

from cartrace.immunoassay.plate import Plate
from cartrace.immunoassay.readers import read_plate
from cartrace.plates.plate import ReadOptions
from cartrace.problems import InputError, holds_date

pytestmark = pytest.mark.real

RAW, REDUCED = "softmaxpro_example_group_with_missing_calc_column.txt", "softmaxpro_example_reduced.txt"
ALPHA, ALPHA_LOW, LINE = (
    "alphalisa_test_2.txt",
    "alphalisa_endpoint_singleplate.txt",
    "endpoint_stdcurve_singleplate.txt",
)
MSD_1, MSD_2, MSD_XLSX = (
    "msd_workbench_test_1.csv",
    "msd_workbench_test_2.csv",
    "test_msd_workbench_xlsx.xlsx",
)
MAGELLAN_2, MAGELLAN_1 = "SLA01P01_ELISA.xlsx", "SLA01P01_OD.xlsx"
METHODICAL = "methodical_test_1.txt"
STACK, LABEL = {"sheet": "1"}, {"wavelength": "Label1"}
COUNTS: dict[str, tuple[str, dict[str, str], int, dict[str, int]]] = {
    RAW: ("softmax_pro", {}, 96, {"standard": 12, "control": 4, "unknown": 60}),
    REDUCED: ("softmax_pro", {}, 96, {"standard": 12, "control": 2, "unknown": 60}),
    ALPHA: ("gen5", {}, 48, {"standard": 48}),
    ALPHA_LOW: ("gen5", {}, 96, {"standard": 22, "blank": 2, "unknown": 72}),
    LINE: ("gen5", {}, 96, {"standard": 21, "blank": 3, "unknown": 72}),
    MSD_1: ("msd_workbench", {}, 4, {"standard": 4}),
    MSD_2: ("msd_workbench", {}, 48, {"standard": 16, "unknown": 32}),
    MSD_XLSX: ("msd_workbench", {}, 24, {}),
    MAGELLAN_2: ("magellan", LABEL, 384, {}),
    MAGELLAN_1: ("magellan", {}, 96, {}),
    METHODICAL: ("methodical", STACK, 96, {}),
}
"""File -> family, options, wells, wells by task; counted by hand in the files."""


def content(name: str) -> bytes:
    path = real_data() / "assays" / "allotropy_immuno" / name
    if not path.is_file():
        pytest.skip(f"the real file {Path(name).name} is not here: set CARTRACE_REAL_DATA")
    return path.read_bytes()


def read(name: str, **options: Any) -> Plate:
    return read_plate(content(name), "data/plate", ReadOptions(**options))


def lines(name: str) -> list[list[str]]:
    return [line.split("\t") for line in content(name).decode().splitlines()]


@pytest.mark.parametrize("name", COUNTS)
def test_every_well_is_read_with_a_signal(name: str) -> None:
    family, options, wells, tasks = COUNTS[name]
    plate = read(name, **options)
    assert plate.family == family
    assert len(plate.wells) == wells
    assert plate.wells["task"].value_counts().to_dict() == tasks
    assert plate.wells["signal"].notna().all()
    assert not plate.wells["omitted"].any()


@pytest.mark.parametrize("name", COUNTS)
def test_no_date_operator_or_file_name_is_kept(name: str) -> None:
    plate = read(name, **COUNTS[name][1])
    words = plate.wells.select_dtypes("string").to_numpy().ravel()
    said = [t for t in words if not pd.isna(t)] + [plate.instrument, plate.software, plate.software_version]
    said += [r.message for r in plate.remarks]
    assert not [t for t in said if holds_date(t) or re.search(r"\\|\.(xpt|mth|txt)$|user", t, re.IGNORECASE)]


@pytest.mark.parametrize(("name", "form"), [(RAW, "grid"), (REDUCED, "row")])
def test_softmax_signals_are_the_cells_of_the_plate(name: str, form: str) -> None:
    cells = lines(name)
    at = next(i for i, line in enumerate(cells) if line[0] == "Plate:")
    for well in read(name).wells.itertuples():
        row, column = "ABCDEFGH".index(well.well[0]), int(well.well[1:])
        if form == "grid":
            assert well.signal == float(cells[at + 2 + row][1 + column])
        else:
            assert well.signal == float(cells[at + 2][cells[at + 1].index(f"{well.well[0]}{column}")])


@pytest.mark.parametrize("name", [RAW, REDUCED])
def test_softmax_concentrations_and_dilutions_are_the_cells_of_the_groups(name: str) -> None:
    plate, cells = read(name), lines(name)
    column = {RAW: {"standard": 2, "control": 4, "unknown": 3}, REDUCED: {"control": 4, "unknown": 4}}[name]
    grouped = plate.wells[plate.wells["task"].isin(list(column))]
    assert len(grouped) > 60
    for well in grouped.itertuples():
        printed = cells[well.source_row - 1][column[well.task]]
        if printed == "Range?":
            assert pd.isna(well.vendor_concentration)
            assert well.vendor_status == "Range?"
        else:
            assert well.vendor_concentration == float(printed)
    outside = plate.wells["vendor_status"].value_counts().to_dict()
    assert outside == ({"Range?": 2} if name == RAW else {"R": 4})
    assert plate.units == {"": "ng/mL"}
    dilutions = set(plate.wells.loc[plate.wells["task"] == "unknown", "dilution"].dropna())
    assert dilutions == ({10, 100, 1000, 10000} if name == RAW else set())


def four_pl(x: np.ndarray, a: float, b: float, c: float, d: float) -> np.ndarray:
    return d + (a - d) / (1 + (x / c) ** b)


def fitted(wells: pd.DataFrame) -> np.ndarray:
    """Fit a 4PL without weights: A, B, C, D."""
    x, y = (wells[c].to_numpy(float) for c in ("nominal", "signal"))
    middle = np.median(x[x > 0])
    start = [y.min(), 0.0, np.log(middle), y.max() * 1.5]

    def residuals(p: np.ndarray) -> np.ndarray:
        return (four_pl(x, p[0], np.exp(p[1]), np.exp(p[2]), p[3]) - y) / y.max()

    p = least_squares(residuals, start, x_scale="jac", xtol=1e-12, ftol=1e-12, gtol=1e-12, max_nfev=20000).x
    return np.array([p[0], np.exp(p[1]), np.exp(p[2]), p[3]])


def back(y: np.ndarray, a: float, b: float, c: float, d: float) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return c * ((a - y) / (y - d)) ** (1 / b)


def test_the_curve_of_the_alphalisa_plate_gives_its_concentrations_back() -> None:
    plate = read(ALPHA)
    curve = plate.curves[""].parameters
    own = fitted(plate.wells)
    # The file prints three digits of each parameter.
    assert own == pytest.approx([curve[n] for n in "ABCD"], rel=5e-3)
    vendor = plate.wells["vendor_concentration"]
    computed = back(plate.wells["signal"].to_numpy(float), *own)
    high = (vendor > 1).to_numpy()
    assert np.abs(computed[high] / vendor[high] - 1).max() < 1e-3


@pytest.mark.parametrize(("name", "median", "most"), [(REDUCED, 1e-4, 5e-4), (RAW, 1e-3, 5e-3)])
def test_the_standards_of_softmax_give_its_concentrations(name: str, median: float, most: float) -> None:
    wells = read(name).wells
    own = fitted(wells[wells["task"] == "standard"])
    others = wells[(wells["task"] != "standard") & (wells["vendor_concentration"] > 3)]
    off = np.abs(back(others["signal"].to_numpy(float), *own) / others["vendor_concentration"] - 1)
    assert off.median() < median
    assert off.max() < most


def test_gen5_cells_are_those_of_the_grids() -> None:
    for name, labels in ((ALPHA, 2), (ALPHA_LOW, 4), (LINE, 3)):
        cells = lines(name)
        for well in read(name).wells.itertuples():
            row = cells[well.source_row - 1]
            assert row[0] == well.well[0]
            assert well.signal == float(row[int(well.well[1:])])
            printed = cells[well.source_row + labels - 2][int(well.well[1:])]
            if pd.isna(well.vendor_concentration):
                assert well.vendor_status == printed
            else:
                assert well.vendor_concentration == float(printed)


def test_a_gen5_line_and_its_dilutions() -> None:
    plate = read(LINE)
    line = plate.curves[""].parameters
    wells = plate.wells[plate.wells["vendor_concentration"] > 50]
    blank = plate.wells.loc[plate.wells["task"] == "blank", "signal"].mean()
    # The line is that of the signals without the blank.
    own = (wells["signal"] - blank - line["intercept"]) / line["slope"]
    assert (own / wells["vendor_concentration"] - 1).abs().max() < 1e-2
    unknown = plate.wells[plate.wells["task"] == "unknown"]
    assert set(unknown["dilution"]) == {1, 2, 4, 8}
    assert unknown.groupby(["sample_name", "dilution"]).size().eq(3).all()
    assert len(unknown["sample_name"].unique()) == 6


def test_msd_recoveries_are_those_of_its_concentrations() -> None:
    wells = read(MSD_1).wells
    standards = wells[wells["vendor_concentration"].notna() & wells["nominal"].notna()]
    assert len(standards) == 3
    own = 100 * standards["vendor_concentration"] / standards["nominal"]
    assert own.tolist() == pytest.approx(standards["vendor_recovery_percent"].tolist(), rel=1e-6)
    assert wells["vendor_status"].notna().all()
    assert wells["target"].nunique() == 2
    for name in (MSD_2, MSD_XLSX):
        assert len(set(read(name).wells["target"])) == 1


def test_magellan_reads_are_chosen_by_label_and_wavelength() -> None:
    with pytest.raises(InputError, match="2 reads of the plate"):
        read(MAGELLAN_2)
    first, second, less = (
        read(MAGELLAN_2, wavelength=w).wells.set_index("well")["signal"] for w in ("485", "560", "485-560")
    )
    assert first.equals(read(MAGELLAN_2, wavelength="Label1").wells.set_index("well")["signal"])
    assert (first - second).equals(less)


def test_each_plate_of_a_stack_is_read_alone() -> None:
    with pytest.raises(InputError, match="2 plates"):
        read(METHODICAL)
    one, two = (read(METHODICAL, sheet=n).wells["signal"] for n in ("1", "2"))
    cells = lines(METHODICAL)
    grids = [i for i, line in enumerate(cells) if line[0].strip() == "A"]
    for signals, at in zip((one, two), grids, strict=True):
        printed = [float(t) for row in cells[at : at + 8] for t in row[1:13]]
        assert signals.tolist() == printed


@pytest.mark.parametrize("name", [n for n in COUNTS if not n.endswith("xlsx")])
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(name: str, data: st.DataObject) -> None:
    raw = content(name)
    damaged = data.draw(edits(raw, b"," if name.endswith("csv") else b"\t"))
    try:
        plate = read_plate(damaged, "f", ReadOptions(**COUNTS[name][1]))
    except InputError:
        return
    assert len(plate.wells) > 0
