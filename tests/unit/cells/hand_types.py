"""Cells made from the shipped panels: which class each is, is known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from scipy import sparse

from cartrace.cells.panels import Panels, read_panels
from cartrace.cells.settings import Types
from cartrace.cells.typing import Facts, Matrix, Surveyed, Typed, survey, type_cells

PANELS = Path(__file__).resolve().parents[3] / "resources" / "cells" / "panels.yaml"
FILLERS = 300


@cache
def shipped() -> Panels:
    return read_panels(PANELS, "panels.yaml")


def symbols() -> list[str]:
    return [*shipped().all_genes, *(f"FILL{i}" for i in range(FILLERS))]


def cells_of(kinds: Sequence[Sequence[str]], *, umis: int = 4000, seed: int = 0) -> sparse.csr_array:
    """Draw cells that express the markers of their panels.

    A kind lists panels by place, as "lineages.t" or "types.t.cd4_t"; a panel's absent genes are
    absent whatever the others say.
    """
    panels = shipped()
    groups = dict(panels.groups())
    genes = symbols()
    rng = np.random.default_rng(seed)
    rows = []
    for kind in kinds:
        rate = np.full(len(genes), 0.02)
        rate[-FILLERS:] = np.random.default_rng(7).gamma(1.0, 20.0, FILLERS)
        absent: set[str] = set()
        for path in kind:
            place, _, name = path.rpartition(".")
            panel = groups[place][name]
            absent |= set(panel.absent)
            for level, listed in panel.markers.items():
                for gene in listed:
                    i = genes.index(gene)
                    # The panel asks for little; a dividing cell has about 1 of each in 10,000 UMIs.
                    rate[i] = max(rate[i], 1.0 if place == "cell_cycle" else panels.levels[level])
        for gene in absent:
            rate[genes.index(gene)] = 0.01
        mean = rate / rate.sum() * umis
        rows.append(rng.poisson(mean * rng.gamma(4.0, 0.25, len(genes))))
    return sparse.csr_array(np.array(rows).reshape(len(kinds), len(genes)).astype(np.int32))


def typed(
    counts: sparse.csr_array,
    *,
    settings: Types | None = None,
    names: Sequence[str] | None = None,
    passed: np.ndarray | None = None,
    t_receptor: np.ndarray | None = None,
    b_receptor: np.ndarray | None = None,
    isotype: np.ndarray | None = None,
    usable: np.ndarray | None = None,
    block: int = 70,
) -> tuple[Surveyed, Typed]:
    settings = settings or Types()
    n = counts.shape[0]
    names = np.array(symbols() if names is None else names, dtype=str)
    none = np.zeros(n, dtype=bool)
    facts = Facts(
        np.ones(n, dtype=bool) if passed is None else passed,
        none if t_receptor is None else t_receptor,
        none if b_receptor is None else b_receptor,
        np.full(n, "") if isotype is None else isotype,
    )
    matrix = Matrix(
        lambda: (counts[i : i + block] for i in range(0, n, block)),
        names,
        names,
        np.ones(len(names), dtype=bool) if usable is None else usable,
    )
    kept = survey(matrix, shipped(), facts.passed, settings)
    return kept, type_cells(kept, facts, shipped(), settings)
