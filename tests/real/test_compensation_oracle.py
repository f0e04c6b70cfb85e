"""Compensation against FlowKit's oracle, and what the check says of a real tube."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from tests.real.conftest import real_data

from cartrace.flow.compensation import check_compensation, read_compensation_csv, spillover_of
from cartrace.flow.engine import TubeValues
from cartrace.flow.fcs import Spillover, read_fcs
from cartrace.flow.panel import Panel


@pytest.fixture(scope="module")
def folder() -> Path:
    found = real_data() / "assays" / "flowkit_fcs"
    if not found.is_dir():
        pytest.skip("FlowKit's files are not here: set CARTRACE_REAL_DATA or put them in ../shared/data")
    return found


def panel(source: str) -> Panel:
    compensation = {"source": source} | ({"file": "day.csv"} if source == "csv" else {})
    return Panel.model_validate(
        {
            "markers": {"any": None},
            "compensation": compensation,
            "drawn": {"gating_ml": "gates.xml"},
            "populations": {"cells": {"gate": "cells"}},
        }
    )


def test_a_csv_compensates_as_flowkit_does_and_gives_the_raw_values_back(folder: Path) -> None:
    import flowkit

    csv = read_compensation_csv((folder / "comp_complete_example.csv").read_text(), "comp.csv")
    data = read_fcs(folder / "test_comp_example.fcs", "test_comp_example.fcs")
    spillover = spillover_of(panel("csv"), data, "test_comp_example.fcs", csv)
    assert spillover is not None
    assert len(spillover.channels) == 14
    values = TubeValues(data, spillover)
    compensated = np.column_stack([values.column(c) for c in range(len(data.channels))])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tube = flowkit.Sample(folder / "test_comp_example.fcs", ignore_offset_error=True)
        tube.apply_compensation(str(folder / "comp_complete_example.csv"))
    oracle = tube.get_events(source="comp")
    assert compensated == pytest.approx(oracle, rel=1e-9, abs=1e-6)

    # The .npy beside it holds float64 without a header: the values as they were acquired.
    raw = np.fromfile(folder / "test_comp_example.npy").reshape(oracle.shape)
    dyes = [data.names.index(c) for c in spillover.channels]
    assert np.abs(compensated - raw)[:, dyes].max() > 100
    assert compensated[:, dyes] @ spillover.matrix == pytest.approx(raw[:, dyes], rel=1e-6, abs=1e-3)


def test_a_header_behind_a_hash_is_read(folder: Path) -> None:
    read = read_compensation_csv((folder / "den_comp.csv").read_text(), "den_comp.csv")
    assert len(read.channels) == 8
    assert not read.channels[0].startswith("#")


def test_a_real_matrix_applied_twice_is_found_and_applied_once_is_no_fault(folder: Path) -> None:
    data = read_fcs(folder / "100715.fcs", "100715.fcs")
    once = spillover_of(panel("file"), data, "100715.fcs")
    assert once is not None
    dyes = [data.names.index(c) for c in once.channels]

    def over(matrix: np.ndarray) -> float | None:
        return check_compensation(TubeValues(data, Spillover(once.channels, matrix)), dyes).over

    # Few cells of this tube are bright in one dye alone, so that once is silent.
    assert (over(once.matrix) or 0) < 0.05
    twice = over(once.matrix @ once.matrix)
    assert twice is not None
    assert twice > 0.05
