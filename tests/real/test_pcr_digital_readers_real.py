"""Digital PCR files of real instruments: all are read, and their numbers are explained by their counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.real.conftest import real_data

from cartrace.pcr.partitions import implied_volume_nl
from cartrace.pcr.plate import Plate, ReadOptions
from cartrace.pcr.readers import read_plate
from cartrace.pcr.readers.amplitudes import read_amplitudes
from cartrace.problems import InputError

pytestmark = pytest.mark.real


def bytes_of(folder: str, name: str) -> bytes:
    path: Path = real_data() / "assays" / folder / name
    if not path.is_file():
        pytest.skip(f"the real file {folder}/{name} is not here: set CARTRACE_REAL_DATA")
    return path.read_bytes()


def read(folder: str, name: str, **thresholds: float) -> Plate:
    return read_plate(bytes_of(folder, name), name, ReadOptions(thresholds=thresholds))


def shares(wells: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return positive share, lambda and its standard error."""
    share = wells["positives"].to_numpy(float) / wells["partitions"].to_numpy(float)
    return share, -np.log1p(-share), np.sqrt(share / (1 - share) / wells["partitions"].to_numpy(float))


def implied(wells: pd.DataFrame) -> np.ndarray:
    return implied_volume_nl(
        wells["positives"].to_numpy(float), wells["partitions"].to_numpy(float), wells["vendor_concentration"]
    )


def test_qx_manager_concentrations_imply_0_85_nl_and_its_limits_are_normal_on_the_share() -> None:
    plate = read("ddpcr_daattali", "quant.csv")
    wells = plate.wells
    assert (plate.family, len(wells), plate.reaction_ul) == ("qx_manager", 12, 20.0)
    assert set(wells["task"]) == {"positive_control"}
    np.testing.assert_allclose(implied(wells), 0.85, rtol=2e-7)
    share, _, _ = shares(wells)
    half = 1.96 * np.sqrt(share * (1 - share) / wells["partitions"].to_numpy(float))
    np.testing.assert_allclose(wells["vendor_lower"], -np.log1p(-(share - half)) / 0.85e-3, rtol=2e-7)
    np.testing.assert_allclose(wells["vendor_upper"], -np.log1p(-(share + half)) / 0.85e-3, rtol=2e-7)


def test_quantasoft_concentrations_of_a_qx100_imply_0_91_nl() -> None:
    plate = read("ddpcr_daattali", "small.csv")
    assert (plate.family, len(plate.wells)) == ("quantasoft", 10)
    # Printed with three digits.
    np.testing.assert_allclose(implied(plate.wells), 0.91, rtol=5e-3)
    assert (plate.wells["vendor_lower"] < plate.wells["vendor_concentration"]).all()


@pytest.mark.parametrize("name", ["test.csv", "metadata.csv", "inst_sample_data_read_v174_test.csv"])
def test_quantasoft_plates_that_were_not_analysed_are_read_without_counts(name: str) -> None:
    wells = read("ddpcr_daattali", name).wells
    assert len(wells) == 4
    assert wells["partitions"].isna().all()


@pytest.mark.parametrize("well", ["A01", "A05", "C01", "C05", "F05"])
def test_clusters_of_droplets_give_the_counts_of_the_results_file(well: str) -> None:
    alone = read("ddpcr_daattali", f"small_{well}_Amplitude.csv").wells
    results = read("ddpcr_daattali", "small.csv").wells
    results = results[results["well"] == well].sort_values("reporter")
    assert alone[["positives", "partitions"]].to_numpy().tolist() == (
        results[["positives", "partitions"]].to_numpy().tolist()
    )


@pytest.mark.parametrize("well", ["A01", "A02", "B01", "B02", "C01", "C02"])
def test_droplets_of_qx_manager_are_read(well: str) -> None:
    name = f"quant_{well}_Amplitude.csv"
    frame = read_amplitudes(bytes_of("ddpcr_daattali", name), name, well)
    assert set(frame["well"]) == {well}
    assert frame["positive"].notna().all()


def test_droplets_that_nobody_called_need_a_threshold() -> None:
    with pytest.raises(InputError, match="thresholds"):
        read("ddpcr_daattali", "test_A01_Amplitude.csv")
    plate = read("ddpcr_daattali", "test_A01_Amplitude.csv", Assay1=2000.0, Assay2=2000.0)
    assert plate.wells["partitions"].notna().all()


@pytest.mark.parametrize("name", ["quant.csv", "expected_data.csv"])
def test_other_tables_are_no_amplitudes(name: str) -> None:
    with pytest.raises(InputError, match="without amplitudes"):
        read_amplitudes(bytes_of("ddpcr_daattali", name), name, "A01")


@pytest.mark.parametrize(
    ("number", "wells", "platform"),
    [(1, 6, "qiacuity_26k"), (2, 6, "qiacuity_26k"), (3, 24, "qiacuity_26k"), (4, 32, "qiacuity_8.5k")],
)
def test_each_dialect_of_the_qiacuity_is_read(number: int, wells: int, platform: str) -> None:
    plate = read("allotropy_dpcr", f"qiacuity_dpcr_example0{number}.csv")
    assert (plate.family, len(plate.wells), plate.platform) == ("qiacuity", wells, platform)
    volumes = implied(plate.wells)
    volumes = volumes[plate.wells["positives"].to_numpy(float) > 10]
    assert ((volumes > 0.3) & (volumes < 0.85)).all()


def test_percent_intervals_of_the_qiacuity_are_normal_on_lambda() -> None:
    for number in (3, 4):
        wells = read("allotropy_dpcr", f"qiacuity_dpcr_example0{number}.csv").wells
        # With one positive the program bounds the lower limit.
        wells = wells[wells["positives"] > 1]
        _, lambda_, error = shares(wells)
        printed = 100 * (wells["vendor_upper"] / wells["vendor_concentration"] - 1)
        np.testing.assert_allclose(printed, 100 * 1.96 * error / lambda_, atol=0.0501)


def test_the_volume_per_well_by_8510_chambers_gives_the_concentrations_of_the_qiacuity() -> None:
    plate = read("allotropy_dpcr", "qiacuity_dpcr_example04.csv")
    wells = plate.wells[plate.wells["positives"] > 100]
    assert len(wells) == 28
    np.testing.assert_allclose(implied(wells), wells["partition_volume_nl"], rtol=3e-5)
    assert plate.reaction_ul == 15.6


ABSOLUTE_Q = {
    "Appbio_AbsoluteQ_example01.csv": 16,
    "Appbio_AbsoluteQ_example02.csv": 16,
    "Appbio_AbsoluteQ_example03.csv": 16,
    "Appbio_AbsoluteQ_example04.csv": 16,
    "Appbio_AbsoluteQ_singe2_summary.csv": 16,
    "Appbio_AbsoluteQ_single1_summary.csv": 16,
    "Appbio_AbsoluteQ_summary.csv": 16,
    "Appbio_AbsoluteQ_zip_test.zip": 16,
}


@pytest.mark.parametrize("name", ABSOLUTE_Q)
def test_concentrations_of_the_absolute_q_follow_from_0_432_nl(name: str) -> None:
    plate = read("allotropy_dpcr", name)
    assert (plate.family, len(plate.wells), plate.platform) == ("absolute_q", ABSOLUTE_Q[name], "absolute_q")
    share, lambda_, error = shares(plate.wells)
    np.testing.assert_allclose(plate.wells["vendor_concentration"], lambda_ / 0.432e-3, atol=0.00501)
    found = share > 0
    expected = (lambda_[found] / 0.432e-3) * np.exp(-1.96 * error[found] / lambda_[found])
    np.testing.assert_allclose(plate.wells["vendor_lower"][found], expected, atol=0.0101)


def test_numbers_of_the_absolute_q_that_were_changed_by_hand_are_told() -> None:
    plate = read("allotropy_dpcr", "Appbio_AbsoluteQ_example05.csv")
    assert len(plate.wells) == 32
    assert [r.check for r in plate.remarks] == ["implied_volume"] * 4
    dye = plate.wells[plate.wells["reporter"] == "FAM"]
    assert np.nanmax(np.abs(implied(dye) / 0.432 - 1)) > 0.05


def test_combinations_of_channels_sum_to_the_positives_of_the_summary() -> None:
    combined = read("allotropy_dpcr", "Appbio_AbsoluteQ_multichannel.csv").wells
    summary = read("allotropy_dpcr", "Appbio_AbsoluteQ_summary.csv").wells
    both = combined.merge(summary, on=["sample_name", "reporter"])
    assert len(both) == 6
    assert both["positives_x"].tolist() == both["positives_y"].tolist()
    assert both["partitions_x"].tolist() == both["partitions_y"].tolist()


def test_chambers_of_the_absolute_q_are_read_with_their_amplitudes() -> None:
    plate = read("allotropy_dpcr", "Appbio_AbsoluteQ_fluorescence_columns.csv")
    assert len(plate.wells) == 64
    # One of the four chambers that the file keeps of this well was rejected.
    assert plate.wells.set_index(["well", "reporter"])["partitions"].xs("C01").tolist() == [3] * 4
    assert len(plate.amplitudes) == 4 * 63
    assert plate.remarks == ()
