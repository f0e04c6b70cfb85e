"""The volume of a partition: looked up, never guessed, and audited against the file's own concentrations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from cartrace.pcr.digital import concentration
from cartrace.pcr.partitions import (
    PARTITION_VOLUMES,
    audit,
    half_unit,
    implied_volume_nl,
    partition_volume,
)
from cartrace.pcr.vocabulary import PLATFORMS


@pytest.mark.parametrize(
    ("platform", "software", "version", "volume"),
    [
        ("qx200", "QX Manager", "2.1", 0.85),
        ("qx200", "QuantaSoft", "1.7.4.0917", 0.85),
        ("qx100", "quantasoft", "1.3.2", 0.91),
        ("qx200", "QuantaSoft", "1.6", 0.85),
        ("qx200", "QuantaSoft", "1.10", 0.85),
        ("qx100", "QuantaSoft", "", 0.85),
        ("qx200", "", "", 0.85),
        ("qx200", "QX Manager", "1.2", 0.85),
        ("absolute_q", "", "", 0.432),
    ],
)
def test_the_volume_follows_instrument_and_software(
    platform: str, software: str, version: str, volume: float
) -> None:
    found = partition_volume(platform, software, version)
    assert found.volume_nl == volume
    assert found.source
    assert not found.reason
    assert not found.from_file


def test_every_platform_has_a_row_with_a_source() -> None:
    assert {row.platform for row in PARTITION_VOLUMES} == set(PLATFORMS)
    assert all(row.source and row.partitions for row in PARTITION_VOLUMES)
    assert all(row.reason for row in PARTITION_VOLUMES if np.isnan(row.volume_nl))


@pytest.mark.parametrize("platform", ["qiacuity_8.5k", "qiacuity_26k"])
def test_a_volume_that_differs_by_plate_is_not_guessed(platform: str) -> None:
    found = partition_volume(platform)
    assert np.isnan(found.volume_nl)
    assert found.from_file
    assert "Volume per well" in found.reason
    assert found.partitions is not None


@pytest.mark.parametrize(
    ("platform", "said"),
    [("", "no instrument named by the file: give platform"), ("qx20", "did you mean 'qx200'?")],
)
def test_an_unknown_instrument_has_a_reason_and_no_number(platform: str, said: str) -> None:
    found = partition_volume(platform)
    assert np.isnan(found.volume_nl)
    assert said in found.reason
    assert not found.from_file


def test_a_concentration_implies_its_volume() -> None:
    # -ln(0.99) = 0.0100503; 11.8239 copies/uL: 0.85 nL.
    assert_allclose(implied_volume_nl(200, 20_000, 11.8239), 0.85, atol=1e-5)


def test_nothing_is_implied_without_positives_negatives_or_a_concentration() -> None:
    k, n = [0, 100, 5, 5, 0], [100, 100, 100, 100, 0]
    assert np.isnan(implied_volume_nl(k, n, [0, 50, 0, np.nan, np.nan])).all()


@given(st.integers(1, 19_999), st.floats(0.1, 2))
def test_the_implied_volume_undoes_the_concentration(k: int, volume: float) -> None:
    assert_allclose(implied_volume_nl(k, 20_000, concentration(k, 20_000, volume)), volume, rtol=1e-9)


@pytest.mark.parametrize(
    ("printed", "half"),
    [
        (1230.0, 5.0),  # three digits
        (1234.0, 0.05),  # more than three digits: one decimal
        (12.3, 0.05),
        (8.1, 0.05),
        (12.34, 0.005),
        (0.07, 0.005),  # two decimals
        (0.4, 0.05),
        (0.0712, 0.00005),  # three digits
        (12.345678, 5e-7),
        (-12.3, 0.05),
    ],
)
def test_the_rounding_of_a_number_is_the_coarsest_that_could_have_given_it(
    printed: float, half: float
) -> None:
    assert_allclose(half_unit(printed), half, rtol=1e-9)


def test_zero_and_nothing_have_no_rounding() -> None:
    assert np.isnan(half_unit([0, np.nan, np.inf])).all()


def test_the_old_droplet_volume_is_outside() -> None:
    printed = float(f"{float(concentration(2_000, 15_000, 0.91)):.3g}")
    implied = implied_volume_nl(2_000, 15_000, printed)
    found = audit(0.85, implied, printed)
    assert_allclose(found.percent, 100 * (0.91 / 0.85 - 1), atol=0.4)
    assert found.lowest_percent < found.percent < found.highest_percent
    assert found.outside
    assert not audit(0.91, implied, printed).outside


@given(st.integers(1, 19_999), st.floats(0.3, 1))
def test_rounding_alone_is_never_outside(k: int, volume: float) -> None:
    exact = float(concentration(k, 20_000, volume))
    for printed in (float(f"{exact:.3g}"), round(exact, 2), round(exact, 1), exact):
        if printed:
            found = audit(volume, implied_volume_nl(k, 20_000, printed), printed, (-1e-9, 1e-9))
            assert not found.outside


def test_few_positives_do_not_accuse_the_volume() -> None:
    # 1 of 15,000 at 0.85 nL is 0.0784 copies/uL, printed as 0.08: 2 % off by rounding alone.
    found = audit(0.85, implied_volume_nl(1, 15_000, 0.08), 0.08)
    assert found.percent < -1.9
    assert found.lowest_percent < -7
    assert found.highest_percent > 4
    assert not found.outside


def test_wells_that_imply_nothing_are_not_outside() -> None:
    found = audit([0.85, np.nan], [np.nan, 0.85], [0, 1.0])
    assert np.isnan(found.percent).all()
    assert not found.outside.any()


def test_a_side_without_limit_is_not_judged() -> None:
    wide = audit([1.0, 1.0], [0.5, 2.0], [100.0, 100.0], (None, 2.0))
    assert wide.outside.tolist() == [False, True]
    assert audit([1.0, 1.0], [0.5, 2.0], [100.0, 100.0], (-2.0, None)).outside.tolist() == [True, False]
