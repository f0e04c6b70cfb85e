"""Does the CAR+ fraction come back: bias and interval coverage of the caller over simulated libraries.

Cells, their depth, their CAR molecules and what floats in the droplets are drawn with known truth. The
generators are not the caller's model: log-normal expression with a wide spread, bursts, two modes of
transduction, hidden doublets, ambient that does not grow with depth. The counter and the content of
the reference enter as what they were measured to do to reads of a tisa-cel construct
(shared/reference/single_cell.md, B3): the share of CAR molecules that is recovered, and the false ones
that a CAR- T cell shows. The ambient rate is never given.

One row per scenario is written to a table, with the binomial error of the coverage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from cartrace.cells.car_calls import CalledLibrary, Context, call_library
from cartrace.cells.car_cells import CarCells
from cartrace.cells.settings import CarCalls, Cells

OUTPUT = Path(__file__).with_name("car_calls_results.tsv")
DRAWS = 2000
"""Half the default: limits are a little noisier, and the study takes half the time."""
COUNTERS = {
    # chemistry, counter, reference: recovered share, false molecules per CAR- T cell.
    "5' STARsolo unique": (1.001, 0.003),
    "5' STARsolo EM": (1.084, 0.124),
    "5' STARsolo Uniform": (1.366, 1.1),
    "5' kb unique": (1.001, 0.003),
    "5' kb --mm": (1.396, 1.21),
    "5' unique, scFv only": (0.999, 0.0),
    "3' unique, full transcript": (1.0, 0.0),
    "3' unique, CDS only": (0.0, 0.0),
}


@dataclass(frozen=True)
class Scenario:
    """How a library is simulated."""

    name: str = "product"
    t_cells: int = 4000
    others: int = 150
    fraction: float = 0.5
    mean: float = 3.0
    ambient: float = 0.05
    shape: str = "gamma"
    counter: str = "5' unique, scFv only"
    empties: bool = True
    depth_ambient: float = 1.0
    depth_car: float = 1.0
    doublets: float = 0.0
    before: bool = False
    flow: bool = False


@dataclass(frozen=True)
class Simulated:
    """One library and its truth."""

    cells: CarCells
    context: Context
    before: list[CarCells]
    fraction: float
    carries: np.ndarray
    ambient: float


def expression(shape: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw CAR expression of CAR+ cells with mean 1."""
    match shape:
        case "gamma":
            return rng.gamma(2.0, 0.5, n)
        case "log-normal":
            return rng.lognormal(-0.5, 1.0, n)
        case "bursts":
            # A beta-Poisson: a promoter that is on a third of the time, in cells of different size.
            return rng.beta(0.7, 1.4, n) * 3 * rng.lognormal(-0.045, 0.3, n)
        case "two modes":
            return np.where(rng.random(n) < 0.6, 0.4, 1.9) * rng.gamma(3.0, 1 / 3, n)
    raise ValueError(shape)


def simulate(s: Scenario, rng: np.random.Generator) -> Simulated:
    """Draw a library."""
    n = s.t_cells + s.others
    recovered, false = COUNTERS[s.counter]
    t_cell = np.arange(n) < s.t_cells
    depth = rng.lognormal(0, 0.45, n)
    depth[~t_cell] *= 1.4

    def molecules_of(carries: np.ndarray) -> np.ndarray:
        own = s.mean * recovered * expression(s.shape, n, rng) * depth**s.depth_car
        return np.where(carries, own, 0.0)

    carries = t_cell & (rng.random(n) < s.fraction)
    rate = molecules_of(carries)
    fraction = float(carries[t_cell].mean())
    # A doublet of T cells holds a second cell; the truth is the share of T cells, not of barcodes.
    second = t_cell & (rng.random(n) < s.doublets) & (rng.random(n) < s.fraction)
    rate += molecules_of(second)
    carries |= second
    # A barcode of another cell that hides a T cell.
    hidden = ~t_cell & (rng.random(n) < s.doublets) & (rng.random(n) < s.fraction)
    rate += molecules_of(hidden)
    soup = s.ambient * s.mean * recovered * s.fraction * s.t_cells / n
    variation = rng.gamma(4.0, 0.25, n)
    molecules = rng.poisson(rate) + rng.poisson(soup * depth**s.depth_ambient * variation)
    molecules += np.where(t_cell, rng.poisson(false * depth, n), 0)
    umis = np.maximum(rng.poisson(6000 * depth), 1)
    droplets, per_droplet = 5000, 6000 * s.ambient if s.ambient else 30.0
    empty_umis = rng.poisson(droplets * per_droplet)
    empty_car = rng.poisson(empty_umis * soup / (6000 * s.ambient)) if s.ambient else 0
    share = s.ambient * float(rng.lognormal(0, 0.2)) if s.ambient else None
    cells = _cells(molecules, umis, np.where(t_cell, "t", np.where(rng.random(n) < 0.5, "monocyte", "b")))
    context = Context(
        "L",
        empty_droplets=droplets * s.empties,
        empty_umis=int(empty_umis) * s.empties,
        empty_car_umis=int(empty_car) * s.empties,
        ambient_share=share if s.empties else None,
        flow_fraction=_flow(fraction, rng) if s.flow else None,
    )
    before = []
    if s.before:
        deep = rng.lognormal(0, 0.45, 2000)
        before = [
            _cells(rng.poisson(false * deep), np.maximum(rng.poisson(6000 * deep), 1), np.full(2000, "t"))
        ]
    return Simulated(cells, context, before, fraction, carries, soup + false)


def _flow(fraction: float, rng: np.random.Generator) -> float:
    """Draw what flow cytometry says: half the spread that is allowed."""
    logit = np.log(max(fraction, 1e-6) / (1 - fraction)) + rng.normal(0, 0.15)
    return float(1 / (1 + np.exp(-logit)))


def _cells(molecules: np.ndarray, umis: np.ndarray, lineage: np.ndarray) -> CarCells:
    n = len(molecules)
    return CarCells(
        cell=np.array([f"C{i}" for i in range(n)], object),
        evidence="counts",
        molecules=molecules.astype(np.int64),
        umis=umis.astype(np.int64),
        lineage=lineage.astype(object),
        counted=np.ones(n, bool),
        tag=None,
        clone=np.full(n, "", object),
        feature_ratio=1.0,
        molecules_outside=0,
    )


def scenarios() -> Iterator[Scenario]:
    """Yield what is studied."""
    product = Scenario()
    blood = Scenario("blood", t_cells=3000, others=2500, fraction=0.2)
    late = Scenario("late blood", t_cells=3000, others=2500, fraction=0.009)
    for shape in ("log-normal", "bursts", "two modes"):
        for mean in (0.8, 3.0, 8.0):
            yield replace(product, shape=shape, mean=mean)
        yield replace(blood, shape=shape)
        yield replace(late, shape=shape)
    for base in (product, blood, late):
        for ambient in (0.0, 0.05, 0.1):
            for mean in (0.8, 3.0, 8.0):
                if base is product or ambient == 0.05 or mean == 3.0:
                    yield replace(base, ambient=ambient, mean=mean)
    for counter in COUNTERS:
        yield replace(product, counter=counter)
        yield replace(late, counter=counter)
    for counter in ("5' STARsolo EM", "5' kb --mm"):
        yield replace(product, counter=counter, before=True)
        yield replace(late, counter=counter, before=True)
    for base in (product, blood, late):
        yield replace(base, fraction=0.0, counter="5' STARsolo unique")
        yield replace(base, doublets=0.06)
        yield replace(base, depth_ambient=0.0, ambient=0.1)
        yield replace(base, depth_car=0.7)
        yield replace(base, empties=False)
        yield replace(base, t_cells=200, others=60)
    yield replace(product, others=0, name="product, no other cells")
    yield replace(product, others=0, empties=False, name="product, nothing tells ambient")
    yield replace(product, others=0, empties=False, mean=0.8, name="product, nothing tells ambient")
    yield replace(product, fraction=0.95, name="sorted for the CAR")
    yield replace(product, fraction=0.95, mean=0.8, name="sorted for the CAR")
    yield replace(product, mean=0.8, flow=True)
    yield replace(product, mean=0.8, shape="log-normal", flow=True)


@dataclass(frozen=True)
class Outcome:
    """What one simulated library gave."""

    truth: float
    fraction: float
    lower: float
    upper: float
    detected: bool
    covered: bool
    any_molecule: float
    two_molecules: float
    false_positive: float
    missed: float
    undetermined: float
    ambient_covered: bool
    ambient_ratio: float
    lod: float
    seconds: float


def run_one(scenario: Scenario, seed: int) -> Outcome:
    """Simulate and call one library."""
    simulated = simulate(scenario, np.random.default_rng([seed, 7]))
    start = perf_counter()
    settings = Cells(seed=seed, car_calls=CarCalls(draws=DRAWS))
    called = call_library(simulated.cells, simulated.context, simulated.before, settings)
    return _outcome(simulated, called, perf_counter() - start)


def _outcome(simulated: Simulated, called: CalledLibrary, seconds: float) -> Outcome:
    row = called.fractions.iloc[0]
    t = simulated.cells.t_cells
    molecules, carries = simulated.cells.molecules[t], simulated.carries[t]
    call = called.cars["call"].to_numpy(object)[t]
    positive, negative = call == "positive", call == "negative"
    truth = 100 * simulated.fraction
    value = float(row["fraction"]) if row["detection"] == "quantified" else np.nan
    low, high = float(row["lower"]), float(row["upper"])
    return Outcome(
        truth=truth,
        fraction=value,
        lower=low,
        upper=high,
        detected=row["detection"] != "BLD",
        covered=low - 1e-9 <= truth <= high + 1e-9,
        any_molecule=100 * float((molecules > 0).mean()),
        two_molecules=100 * float((molecules > 1).mean()),
        false_positive=float((~carries)[positive].mean()) if positive.any() else np.nan,
        missed=float(carries[negative].mean()) if negative.any() else np.nan,
        undetermined=float((call == "undetermined").mean()),
        ambient_covered=float(row["ambient_lower"]) <= simulated.ambient <= float(row["ambient_upper"]),
        ambient_ratio=float(row["ambient_rate"]) / simulated.ambient if simulated.ambient else np.nan,
        lod=float(row["lod"]),
        seconds=seconds,
    )


def study(scenario: Scenario, n: int, pool: ProcessPoolExecutor) -> dict[str, Any]:
    """Run one scenario ``n`` times."""
    found = list(pool.map(partial(run_one, scenario), range(n), chunksize=max(1, n // 16)))
    column = {k: np.array([getattr(o, k) for o in found], float) for k in asdict(found[0])}

    def mean(values: np.ndarray) -> str:
        kept = values[~np.isnan(values)]
        return f"{kept.mean():.3g}" if kept.size else ""

    coverage = column["covered"].mean()
    return {
        **asdict(scenario),
        "n": n,
        "truth": mean(column["truth"]),
        "estimate": mean(column["fraction"]),
        "quantified": mean(~np.isnan(column["fraction"])),
        "coverage": f"{coverage:.3f}",
        "binomial_error": f"{np.sqrt(0.95 * 0.05 / n):.3f}",
        "width": mean(column["upper"] - column["lower"]),
        "any_molecule": mean(column["any_molecule"]),
        "two_molecules": mean(column["two_molecules"]),
        "detected": mean(column["detected"]),
        "lod": mean(column["lod"]),
        "false_positive": mean(column["false_positive"]),
        "missed": mean(column["missed"]),
        "undetermined": mean(column["undetermined"]),
        "ambient_ratio": mean(column["ambient_ratio"]),
        "ambient_coverage": mean(column["ambient_covered"]),
        "seconds": mean(column["seconds"]),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=200, help="libraries of each scenario")
    parser.add_argument("--only", default="{}", help='fields that a scenario must have, as JSON: {"mean": 3}')
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    args = parser.parse_args(argv)
    wanted = json.loads(args.only)
    chosen = [s for s in scenarios() if all(asdict(s)[k] == v for k, v in wanted.items())]
    with ProcessPoolExecutor(args.processes) as pool:
        for at, scenario in enumerate(chosen):
            row = study(scenario, args.n, pool)
            with args.output.open("a" if at else "w", encoding="utf-8") as file:
                if not at:
                    print(*row, sep="\t", file=file)
                print(*row.values(), sep="\t", file=file)
            shown = (
                "name",
                "shape",
                "mean",
                "ambient",
                "counter",
                "truth",
                "estimate",
                "quantified",
                "coverage",
                "width",
                "any_molecule",
                "lod",
                "false_positive",
                "missed",
                "ambient_ratio",
                "ambient_coverage",
                "seconds",
            )
            print(*(row[k] for k in shown), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
