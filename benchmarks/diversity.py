"""How often the intervals of the indices of diversity hold what they should, over samples of known populations.

Populations of clones with known shares are sampled again and again. What an interval should hold is the mean of the
index over samples of that depth, which is taken from other samples. Beside it, for richness, what drawing from the
seen clones alone gives (percentiles of the multinomial bootstrap).

One row per population, depth and index is written to a table: coverage in %, of a nominal 95.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from cartrace.repertoire.diversity import indices_of, measure
from cartrace.repertoire.settings import Diversity
from cartrace.repertoire.vocabulary import INDICES

OUTPUT = Path(__file__).with_name("diversity_results.tsv")
DEPTHS = ((100, 60), (500, 100), (2000, 500))
"""Cells of a sample, and the depth to which it is rarefied."""
TRUTH = 400
Z = 1.96


def populations() -> Iterator[tuple[str, Any]]:
    """Yield names and shares, (clones,)."""
    rng = np.random.default_rng(5)
    few = np.append([8000, 3000, 1500, 500, 300], np.ones(19_995))
    for name, sizes in (
        ("300 equal clones", np.ones(300)),
        ("2,000 clones, log-normal, sd 1.5", np.exp(1.5 * rng.standard_normal(2000))),
        ("5,000 clones, Zipf", 1 / np.arange(1, 5001)),
        ("5 large clones, 19,995 rare", few),
    ):
        yield name, sizes / sizes.sum()


def coverage(shares: Any, cells: int, depth: int, samples: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return how often each interval holds, %, (indices)."""
    seen, equal = (
        pd.DataFrame([indices_of(rng.multinomial(n, shares)) for _ in range(TRUTH)]).mean()
        for n in (cells, depth)
    )
    rules = Diversity(bootstraps=100)
    held = pd.DataFrame(0, index=list(INDICES), columns=["as_seen", "at_equal_depth", "seen_clones_alone"])
    for number in range(samples):
        counts = rng.multinomial(cells, shares)
        counts = counts[counts > 0]
        measured = zip(measure(counts, depth=depth, settings=rules, seed=number), (seen, equal), strict=True)
        for column, (one, truth) in zip(("as_seen", "at_equal_depth"), measured, strict=True):
            assert one is not None
            for index in INDICES:
                held.loc[index, column] += abs(one.values[index] - truth[index]) <= Z * one.spreads[index]
        alone = [(rng.multinomial(cells, counts / cells) > 0).sum() for _ in range(rules.bootstraps)]
        low, high = np.quantile(alone, [0.025, 0.975])
        held.loc["richness", "seen_clones_alone"] += low <= seen["richness"] <= high
    percent = 100 * held / samples
    percent.loc[percent.index != "richness", "seen_clones_alone"] = np.nan
    return percent.rename_axis("index").reset_index()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=150, help="samples of each population and depth")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args(argv)
    rng = np.random.default_rng(7)
    found = []
    for name, shares in populations():
        for cells, depth in DEPTHS:
            one = coverage(shares, cells, depth, arguments.samples, rng)
            found.append(one.assign(population=name, cells=cells, depth=depth))
    table = pd.concat(found)[
        ["population", "cells", "depth", "index", "as_seen", "at_equal_depth", "seen_clones_alone"]
    ]
    table.to_csv(arguments.output, sep="\t", index=False, float_format="%.0f")
    spread = table.groupby("index", sort=False)[["as_seen", "at_equal_depth", "seen_clones_alone"]]
    print(spread.agg(["min", "mean", "max"]).round(0).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
