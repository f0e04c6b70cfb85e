"""Does the CAR+ share of the simulated libraries come back, with true types of cells?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cartrace.cells.car_calls import CalledLibrary, Context, call_library
from cartrace.cells.car_cells import CarCells
from cartrace.cells.settings import Cells as Settings
from cartrace.cells.vocabulary import CELL_TYPES
from cartrace.simulate.cells_core import Library, Makeup, Protocol, make_library
from cartrace.simulate.cells_genes import genes
from cartrace.simulate.cells_makeup import of_blood, of_product
from cartrace.simulate.flow_tubes import Blood

CAR = len(genes().symbols)
PEAK = Blood(
    t_cells=300,
    car_share=0.16,
    b_cells=0,
    naive_b_cells=0,
    memory_b_cells=0,
    plasmablasts=0,
    plasma_cells=0,
)


def made(makeup: Makeup, car_mean: float) -> Library:
    protocol = Protocol(400, 800, car_mean, np.ones(CAR))
    return make_library(np.random.default_rng(11), makeup, protocol)


def called(library: Library, *, pre_infusion: bool = False) -> CalledLibrary:
    """Call a library as if every cell had been typed and every doublet seen."""
    own, empty = library.is_cell, ~library.is_cell
    kinds = library.cells.type[library.first[own]]
    counted = ~library.doublet[own] & ~library.damaged[own]
    cells = CarCells(
        cell=library.barcodes[own].astype(object),
        evidence="counts",
        molecules=library.counts[own, CAR].astype(np.int64),
        umis=library.counts[own, :CAR].sum(axis=1).astype(np.int64),
        lineage=np.array([CELL_TYPES[k] for k in kinds], dtype=object),
        counted=counted,
        tag=None,
        clone=np.full(int(own.sum()), "", dtype=object),
        feature_ratio=1.0,
        molecules_outside=0,
    )
    context = Context(
        "L1",
        pre_infusion=pre_infusion,
        empty_droplets=int(empty.sum()),
        empty_umis=int(library.counts[empty, :CAR].sum()),
        empty_car_umis=int(library.counts[empty, CAR].sum()),
        ambient_share=0.047,
    )
    return call_library(cells, context, [], Settings())


def true_percent(library: Library) -> float:
    own = library.is_cell & ~library.doublet & ~library.damaged
    of = library.first[own]
    return 100 * float(library.cells.car[of][library.cells.is_t[of]].mean())


@pytest.mark.parametrize(("makeup", "car_mean"), [(of_product(7), 3.5), (of_blood(PEAK, "peak"), 3.0)])
def test_the_car_share_lies_in_the_interval_and_the_calls_are_right(makeup: Makeup, car_mean: float) -> None:
    library = made(makeup, car_mean)
    found = called(library)
    row = found.fractions.iloc[0]
    assert row["lower"] <= true_percent(library) <= row["upper"]
    carries = library.cells.car[library.first[library.is_cell]]
    positive, negative = ((found.cars["call"] == c).to_numpy(bool) for c in ("positive", "negative"))
    single = ~library.doublet[library.is_cell]
    assert carries[positive & single].mean() > 0.9
    # Those without a transcript look like cells without a CAR.
    assert carries[negative & single].mean() < 0.15


def test_blood_from_before_the_infusion_is_below_detection() -> None:
    before = called(made(of_blood(replace(PEAK, car_share=0.0), "before"), 3.0), pre_infusion=True)
    row = before.fractions.iloc[0]
    assert row["detection"] == "BLD"
    assert row["positive"] == 0
    assert row["upper"] < 5
