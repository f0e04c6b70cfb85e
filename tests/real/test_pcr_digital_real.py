"""Our digital PCR arithmetic against the numbers that the instruments' software printed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.real.conftest import real_data

from cartrace.pcr.digital import concentration, copies_per_partition, poisson_interval, standard_error
from cartrace.pcr.partitions import audit, half_unit, implied_volume_nl, partition_volume
from cartrace.pcr.plate import Plate
from cartrace.pcr.readers import read_plate

pytestmark = pytest.mark.real
Array = NDArray[np.float64]
Z = 1.96
"""What every vendor takes for 95 %, as their digits show."""
ABSOLUTE_Q = [
    *(
        f"Appbio_AbsoluteQ_{name}.csv"
        for name in ("example01", "summary", "single1_summary", "singe2_summary")
    ),
]
NANOPLATES = ["qiacuity_dpcr_example03.csv", "qiacuity_dpcr_example04.csv"]


def plate_of(folder: str, name: str) -> Plate:
    path: Path = real_data() / "assays" / folder / name
    if not path.is_file():
        pytest.skip(f"the real file {folder}/{name} is not here: set CARTRACE_REAL_DATA")
    return read_plate(path.read_bytes(), name)


def numbers(plate: Plate, *columns: str) -> list[Array]:
    """Columns of the wells that have positives, negatives and a concentration."""
    wells = plate.wells
    kept = wells[(wells["positives"] > 0) & (wells["positives"] < wells["partitions"])]
    kept = kept[kept["vendor_concentration"] > 0]
    assert len(kept) > 3
    return [kept[c].to_numpy(np.float64, na_value=np.nan) for c in columns]


def test_limits_of_qx_manager_agree_to_their_last_digit() -> None:
    plate = plate_of("ddpcr_daattali", "quant.csv")
    k, n, low, high = numbers(plate, "positives", "partitions", "vendor_lower", "vendor_upper")
    lower, upper = poisson_interval(k, n, "normal")
    volume_ul = partition_volume("qx200", plate.software).volume_nl / 1000
    # The file holds single-precision numbers.
    np.testing.assert_allclose(lower / volume_ul, low, rtol=3e-7)
    np.testing.assert_allclose(upper / volume_ul, high, rtol=3e-7)


def test_limits_of_quantasoft_agree_to_the_printed_digits_with_few_and_many_positives() -> None:
    plate = plate_of("ddpcr_daattali", "small.csv")
    k, n, low, high = numbers(plate, "positives", "partitions", "vendor_lower", "vendor_upper")
    assert k.min() < 100 < k.max()
    volume_ul = partition_volume("qx100", "QuantaSoft", "1.3").volume_nl / 1000
    for ours, printed in zip(poisson_interval(k, n, "normal"), (low, high), strict=True):
        told = ~np.isnan(printed)
        assert told.sum() > 3
        assert (np.abs(ours / volume_ul - printed)[told] <= 1.001 * half_unit(printed)[told]).all()


def test_exact_limits_lie_close_to_those_of_the_vendor_where_positives_are_many() -> None:
    plate = plate_of("ddpcr_daattali", "quant.csv")
    k, n, low, high = numbers(plate, "positives", "partitions", "vendor_lower", "vendor_upper")
    lower, upper = poisson_interval(k, n)
    np.testing.assert_allclose([lower / 0.85e-3, upper / 0.85e-3], [low, high], rtol=1e-3)


@pytest.mark.parametrize("name", NANOPLATES)
def test_percent_limits_of_qiacuity_are_those_of_the_delta_method(name: str) -> None:
    plate = plate_of("allotropy_dpcr", name)
    k, n, c, high = numbers(plate, "positives", "partitions", "vendor_concentration", "vendor_upper")
    several = k > 1
    percent = 100 * Z * standard_error(k, n) / copies_per_partition(k, n)
    np.testing.assert_allclose(percent[several], 100 * (high / c - 1)[several], atol=0.051)


def test_the_volume_that_qiacuity_states_gives_its_concentrations() -> None:
    plate = plate_of("allotropy_dpcr", "qiacuity_dpcr_example04.csv")
    k, n, v, c = numbers(plate, "positives", "partitions", "partition_volume_nl", "vendor_concentration")
    np.testing.assert_allclose(concentration(k, n, v), c, rtol=2e-4, atol=0.005)
    assert not audit(v, implied_volume_nl(k, n, c), c).outside.any()
    # One constant would not do: the wells differ by more than the audit allows.
    assert v.max() / v.min() > 1.05
    assert partition_volume(plate.platform).from_file


def test_qiacuity_without_volumes_implies_one_for_each_well() -> None:
    plate = plate_of("allotropy_dpcr", "qiacuity_dpcr_example03.csv")
    k, n, c = numbers(plate, "positives", "partitions", "vendor_concentration")
    implied = implied_volume_nl(k, n, c)
    assert ((implied > 0.6) & (implied < 1.0)).all()
    assert audit(np.median(implied), implied, c).outside.any()


@pytest.mark.parametrize("name", ABSOLUTE_Q)
def test_absolute_q_agrees_to_the_printed_hundredth(name: str) -> None:
    plate = plate_of("allotropy_dpcr", name)
    k, n, c, low, high = numbers(
        plate, "positives", "partitions", "vendor_concentration", "vendor_lower", "vendor_upper"
    )
    volume = partition_volume(plate.platform).volume_nl
    np.testing.assert_allclose(concentration(k, n, volume), c, atol=0.0051)
    assert not audit(volume, implied_volume_nl(k, n, c), c).outside.any()
    factor = np.exp(Z * standard_error(k, n) / copies_per_partition(k, n))
    exact = concentration(k, n, volume)
    np.testing.assert_allclose((exact / factor)[~np.isnan(low)], low[~np.isnan(low)], atol=0.011)
    np.testing.assert_allclose((exact * factor)[~np.isnan(high)], high[~np.isnan(high)], atol=0.011)


def test_the_audit_finds_concentrations_that_somebody_changed_by_hand() -> None:
    plate = plate_of("allotropy_dpcr", "Appbio_AbsoluteQ_example05.csv")
    k, n, c = numbers(plate, "positives", "partitions", "vendor_concentration")
    assert audit(0.432, implied_volume_nl(k, n, c), c).outside.sum() >= 3


def test_the_audit_finds_the_old_droplet_volume() -> None:
    plate = plate_of("ddpcr_daattali", "small.csv")
    k, n, c = numbers(plate, "positives", "partitions", "vendor_concentration")
    implied = implied_volume_nl(k, n, c)
    assert np.median(implied) == pytest.approx(0.91, abs=0.002)
    assert audit(0.85, implied, c).outside.all()
    assert not audit(0.91, implied, c).outside.any()


def test_qx_manager_implies_its_volume_to_seven_digits() -> None:
    plate = plate_of("ddpcr_daattali", "quant.csv")
    k, n, c = numbers(plate, "positives", "partitions", "vendor_concentration")
    np.testing.assert_allclose(implied_volume_nl(k, n, c), 0.85, rtol=2e-7)
