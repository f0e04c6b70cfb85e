"""Amplitudes are binned for the picture without losing a partition."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.pcr.droplets import bin_amplitudes
from cartrace.pcr.plate import AMPLITUDES
from cartrace.tables import conform, empty


def amplitudes(**wells: list[float]) -> pd.DataFrame:
    """Amplitudes by well and channel, written A01_FAM=[...]."""
    parts = [
        pd.DataFrame({"well": name.split("_")[0], "channel": name.split("_")[1], "amplitude": values})
        for name, values in wells.items()
    ]
    return conform(pd.concat(parts, ignore_index=True), AMPLITUDES)


def test_counts_by_hand() -> None:
    found = bin_amplitudes(
        amplitudes(A01_Ch1=[0, 1, 2, 99, 100], B01_Ch1=[50]),
        {("A01", "Ch1"): "CAR"},
        {("A01", "CAR"): 60.0},
        "p1",
        bins=4,
    )
    assert found.to_dict("list") == {
        "plate": ["p1"] * 3,
        "well": ["A01", "A01", "B01"],
        "target": ["CAR", "CAR", "Ch1"],
        "low": [0.0, 75.0, 50.0],
        "high": [25.0, 100.0, 75.0],
        "count": [3, 2, 1],
        "threshold": [60.0, 60.0, pytest.approx(np.nan, nan_ok=True)],
    }


def test_channels_have_edges_of_their_own() -> None:
    found = bin_amplitudes(amplitudes(A01_Ch1=[0, 10], A01_Ch2=[0, 1_000]), {}, {}, "p1", bins=2)
    assert found.groupby("target")["high"].max().to_dict() == {"Ch1": 10, "Ch2": 1_000}


def test_equal_amplitudes_still_have_a_bin() -> None:
    found = bin_amplitudes(amplitudes(A01_Ch1=[500.0] * 30), {}, {}, "p1")
    assert found["count"].tolist() == [30]
    assert (found["low"] < found["high"]).all()


def test_an_infinite_amplitude_is_left_out() -> None:
    found = bin_amplitudes(amplitudes(A01_Ch1=[1.0, np.inf]), {}, {}, "p1")
    assert found["count"].sum() == 1


def test_no_amplitudes_give_an_empty_table() -> None:
    assert bin_amplitudes(empty(AMPLITUDES), {}, {}, "p1").empty


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-1e4, 1e5), min_size=1, max_size=300), st.lists(st.floats(-1e4, 1e5), max_size=30))
def test_every_partition_is_counted_once_and_lies_in_its_bin(one: list[float], two: list[float]) -> None:
    found = bin_amplitudes(amplitudes(A01_Ch1=one, A02_Ch1=two), {}, {}, "p1")
    counted = found.groupby("well")["count"].sum()
    assert counted["A01"] == len(one)
    assert counted.get("A02", 0) == len(two)
    assert found["low"].min() <= min(one)
    assert found["high"].max() >= max(one)
    assert found.groupby("well").size().max() <= 64
    assert (found["count"] > 0).all()
