"""CAR calls of CARPALL libraries, sorted for the CAR and not: rates, for no truth per cell is documented.

Types are told by a handful of genes here, so that the test rests on nothing but the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from tests.real.conftest import real_data

from cartrace.cells.car_calls import CalledLibrary, Context, call_library
from cartrace.cells.car_cells import CarCells
from cartrace.cells.settings import Cells

pytestmark = pytest.mark.real
FOLDER = real_data() / "single_cell" / "carpall_p02"
SORTED = ("CAR-T10310322", "CAR-T11252627")
UNSORTED = ("CAR-T10310324", "CAR-T11141510")
FAILED = "CAR-T10593347"
T_GENES = ("CD3D", "CD3E", "CD3G", "TRAC", "TRBC1", "TRBC2")
B_GENES = ("CD79A", "CD79B", "MS4A1")
MYELOID_GENES = ("LYZ", "CST3", "S100A9")


@dataclass(frozen=True)
class Library:
    cells: CarCells
    labelled: np.ndarray


def read(name: str) -> Library:
    if not FOLDER.is_dir():
        pytest.skip(
            "the CARPALL libraries are not here: set CARTRACE_REAL_DATA or put them in ../shared/data"
        )
    path: Path = FOLDER / "gex" / f"{name}.filtered_feature_bc_matrix.h5"
    with h5py.File(path) as file:
        matrix = file["matrix"]
        genes, barcodes = matrix["features/name"][:].astype(str), matrix["barcodes"][:].astype(str)
        of_cell = np.repeat(np.arange(len(barcodes)), np.diff(matrix["indptr"][:]))
        index, value = matrix["indices"][:], matrix["data"][:]

    def sums(*wanted: str) -> np.ndarray:
        chosen = np.isin(genes, wanted)[index]
        return np.bincount(of_cell[chosen], value[chosen], len(barcodes)).astype(np.int64)

    car = sums("CAT_scFv")
    umis = np.bincount(of_cell, value, len(barcodes)).astype(np.int64) - car
    t, b, myeloid = sums(*T_GENES), sums(*B_GENES), sums(*MYELOID_GENES)
    lineage = np.full(len(barcodes), "unassigned", object)
    lineage[(t == 0) & (myeloid >= 15)] = "monocyte"
    lineage[(t == 0) & (b >= 3)] = "b"
    lineage[(t >= 3) & (b < 2) & (myeloid < 8)] = "t"
    labels = pd.read_csv(FOLDER / "author_cart_labels.tsv.gz", sep="\t")
    car_t = set(labels.loc[labels["CARTcell"] == "YES", "CellID"])
    return Library(
        CarCells(
            cell=barcodes.astype(object),
            evidence="counts",
            molecules=car,
            umis=np.maximum(umis, 1),
            lineage=lineage,
            counted=umis > 800,
            tag=None,
            clone=np.full(len(barcodes), "", object),
            feature_ratio=1.0,
            molecules_outside=0,
        ),
        np.array([f"{name}_{barcode}" in car_t for barcode in barcodes]),
    )


@cache
def called(name: str) -> tuple[Library, CalledLibrary]:
    library = read(name)
    return library, call_library(library.cells, Context(name), [], Cells())


def test_two_thirds_of_labelled_cells_of_sorted_libraries_have_a_molecule() -> None:
    found = [read(name) for name in SORTED]
    seen = np.concatenate([x.cells.molecules[x.labelled] > 0 for x in found])
    assert seen.mean() == pytest.approx(0.67, abs=0.015)


@pytest.mark.parametrize("name", SORTED)
def test_dropout_is_given_back_in_libraries_sorted_for_the_car(name: str) -> None:
    _, found = called(name)
    row = found.fractions.iloc[0]
    # Any molecule says 60 to 66 %; the sorter's gate says nearly all.
    assert row["naive_percent"] < 70
    assert row["fraction"] > 85
    assert row["upper"] > 97
    assert row["positive"] > 20 * max(row["negative"], 1)


@pytest.mark.parametrize("name", UNSORTED)
def test_unsorted_libraries_have_far_fewer(name: str) -> None:
    _, found = called(name)
    row = found.fractions.iloc[0]
    assert row["upper"] < 20
    assert row["negative"] > 0.9 * row["t_cells"]


def test_b_cells_and_monocytes_beside_sorted_cells_hold_no_car() -> None:
    for name in (*SORTED, *UNSORTED):
        _, found = called(name)
        assert found.fractions.iloc[0]["other_positive"] == 0
        assert found.fractions.iloc[0]["ambient_rate"] < 0.05


def test_the_failed_channel_is_not_estimable() -> None:
    _, found = called(FAILED)
    assert found.fractions.iloc[0]["reason"].startswith("not estimable, because")
