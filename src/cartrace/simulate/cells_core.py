"""One simulated library: from the make-up of a sample to counts of cells and of empty droplets.

A cell of a type has the programmes of the type (:mod:`cartrace.simulate.cells_genes`), a log-normal depth and
log-normal mitochondrial share; its counts are gamma-Poisson around that, so that genes drop out. What cells leave in
the medium enters every droplet alike, with or without a cell: a Poisson draw from the mean of all cells, CAR included.
Two cells in one droplet add up. A few cells are damaged: little RNA, much of it mitochondrial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartrace.simulate.cells_genes import (
    HEAVY,
    HOUSEKEEPING,
    LIGHT,
    OF_TYPE,
    PROLIFERATING_SIZE,
    SIZES,
    USUAL_UMIS,
    WITH_IGD,
    genes,
    programme,
    vector,
)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

DEPTH_SD = 0.30
"""SD of the log of a cell's UMIs."""
GENE_SIZE = 4.0
"""Size of the negative binomial of a gene's UMIs in cells of one kind."""
MITO_SHARE, MITO_SD = 0.045, 0.35
"""Median and SD of the log of the mitochondrial share."""
DAMAGED, DAMAGED_DEPTH, DAMAGED_MITO = 0.03, 0.35, (0.25, 0.6)
"""Share of barcodes whose cell is damaged, what is left of its UMIs, its mitochondrial share."""
CONTAMINATION, DROPLET_SIZE = 0.05, 6.0
"""Ambient share of the UMIs of a usual cell; size of the gamma by which droplets differ."""
DOUBLETS, DOUBLET_DEPTH = 0.03, 0.85
"""Share of barcodes with two cells, and what is counted of their UMIs."""
CAR_SIZE = 2.0
"""Size of the gamma by which cells differ in their CAR transcripts."""
TAG_LEVELS = {True: (90.0, 3.0), False: (4.0, 3.0)}
"""Mean and size of the surface tag's UMIs, with and without CAR."""
SUBJECT_SD, LIBRARY_SD = 0.12, 0.05
"""SD of the log by which genes differ between subjects and between libraries."""
T_TYPES = ("cd4_t", "cd8_t", "treg", "gamma_delta_t", "double_negative_t")
KAPPA = 0.6
LIGHT_GENES = {"IGK": {"IGKC": 1.0}, "IGL": {"IGLC2": 0.6, "IGLC3": 0.4}}
S_PHASE = 0.5
"""Share of dividing cells in S; the others are in G2 or M."""


@dataclass(frozen=True, slots=True)
class Makeup:
    """What is in a suspension.

    ``types`` are shares of cells without CAR, ``car_types`` of cells with it; ``states`` the shares of the states of
    a T-cell type by (type, CAR). ``car_share`` is the share of CAR+ among all T cells.
    """

    types: Mapping[str, float]
    car_types: Mapping[str, float]
    states: Mapping[tuple[str, bool], Mapping[str, float]]
    car_share: float


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells as they are, one row each.

    ``state`` and ``phase`` are empty for other than T cells (phase G1 unless dividing); ``isotype`` and ``light`` are
    empty for other than B-lineage cells.
    """

    type: npt.NDArray[np.str_]
    state: npt.NDArray[np.str_]
    phase: npt.NDArray[np.str_]
    car: npt.NDArray[np.bool_]
    isotype: npt.NDArray[np.str_]
    light: npt.NDArray[np.str_]

    @property
    def is_t(self) -> npt.NDArray[np.bool_]:
        """Which are T cells."""
        return np.isin(self.type, T_TYPES)


@dataclass(frozen=True, slots=True)
class Library:
    """Counts of a library: its barcodes in their order, with a cell, two, or none.

    ``counts`` are (barcodes, features): the genes in the order of :func:`cartrace.simulate.cells_genes.genes`, then the
    CAR, then the surface tag where there is one. ``first`` and ``second`` are places in ``cells`` (-1: none);
    ``ambient`` is how many UMIs of genes and CAR came from the medium, ``ambient_car`` how many of them are CAR.
    """

    cells: Cells
    barcodes: npt.NDArray[np.str_]
    counts: npt.NDArray[np.int32]
    first: Integers
    second: Integers
    ambient: Integers
    ambient_car: Integers
    damaged: npt.NDArray[np.bool_]

    @property
    def is_cell(self) -> npt.NDArray[np.bool_]:
        """Which barcodes hold a cell."""
        return self.first >= 0

    @property
    def doublet(self) -> npt.NDArray[np.bool_]:
        """Which hold two."""
        return self.second >= 0


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a library was made.

    ``car_mean`` are the CAR transcripts of a CAR+ cell of usual depth; ``factor`` (genes,) is what the subject
    multiplies; ``tag`` says whether a surface tag reports the CAR.
    """

    n_barcodes: int
    n_empty: int
    car_mean: float
    factor: Floats
    tag: bool = False


def draw_cells(rng: np.random.Generator, makeup: Makeup, n: int) -> Cells:
    """Draw ``n`` cells of a suspension."""
    t_share = sum(s for t, s in makeup.types.items() if t in T_TYPES) / sum(makeup.types.values())
    car = rng.random(n) < makeup.car_share * t_share
    # Among the others the CAR- T cells are as many as are left.
    of_others = {t: s * (1 - makeup.car_share if t in T_TYPES else 1.0) for t, s in makeup.types.items()}
    kinds = np.where(car, _draw(rng, makeup.car_types, n), _draw(rng, of_others, n))
    state = np.full(n, "", dtype="U20")
    for kind in T_TYPES:
        for carries in (False, True):
            rows = np.flatnonzero((kinds == kind) & (car == carries))
            state[rows] = _draw(rng, makeup.states[kind, carries], rows.size)
    dividing = (state == "proliferating") | (kinds == "plasmablast")
    phase = np.where(dividing, np.where(rng.random(n) < S_PHASE, "S", "G2M"), "G1").astype("U3")
    switched = np.isin(kinds, ["switched_memory_b", "double_negative_b", "plasmablast", "plasma_cell"])
    isotypes = {"IGHG1": 0.45, "IGHG2": 0.12, "IGHG3": 0.08, "IGHA1": 0.28, "IGHA2": 0.07}
    b_lineage = np.isin(kinds, list(HEAVY))
    heavy = np.where(switched, _draw(rng, isotypes, n), np.where(b_lineage, "IGHM", ""))
    light = np.where(rng.random(n) < KAPPA, "IGK", "IGL")
    return Cells(kinds, state, phase, car, heavy, np.where(b_lineage, light, ""))


def _draw(rng: np.random.Generator, shares: Mapping[str, float], n: int) -> npt.NDArray[np.str_]:
    weights = np.array(list(shares.values()))
    return np.array(list(shares), dtype="U30")[rng.choice(weights.size, n, p=weights / weights.sum())]


def expected(cells: Cells, mito: Floats, factor: Floats) -> Floats:
    """Return the UMIs of all genes (cells, genes) that a cell of this kind and a usual depth has.

    Parameters
    ----------
    cells
        n cells.
    mito : (n,) array
        Mitochondrial share.
    factor : (genes,) array
        What subject and library multiply.
    """
    g = genes()
    housekeeping = vector(HOUSEKEEPING.items(), g.index)
    kinds = list(
        zip(cells.type, cells.state, cells.phase, cells.isotype, cells.light, cells.car, strict=True)
    )
    order = {kind: i for i, kind in enumerate(sorted(set(kinds)))}
    marked = np.array([_marked(kind) for kind in order])
    lineage = np.array([g.lineages.index(OF_TYPE[kind[0]][0]) for kind in order])
    background = g.background[lineage] * np.array(
        [g.car_factor if kind[-1] else np.ones(factor.size) for kind in order]
    )
    background /= background.sum(axis=1, keepdims=True)
    size = np.array([_size(kind[0], kind[1]) for kind in order])
    # What markers leave is background: at least a quarter, or a red cell would have none.
    known = marked + housekeeping
    rest = np.maximum(USUAL_UMIS - known.sum(axis=1), 0.25 * USUAL_UMIS)
    nuclear = (known + rest[:, None] * background) * factor
    nuclear *= (size * USUAL_UMIS / nuclear.sum(axis=1))[:, None]
    kind_of = np.array([order[kind] for kind in kinds])
    out = nuclear[kind_of] * (1 - mito)[:, None]
    return np.asarray(out + (size[kind_of] * USUAL_UMIS * mito)[:, None] * g.mitochondrial, dtype=np.float64)


def _marked(what: tuple[str, str, str, str, str, bool]) -> Floats:
    kind, state, phase, isotype, light, _ = what
    names, g = [*OF_TYPE[kind]], genes()
    if state not in {"", "treg"}:
        # A dividing cell is an effector cell besides.
        names += ["proliferating", "effector_memory"] if state == "proliferating" else [state]
    names += [phase] if phase != "G1" else []
    out = programme(tuple(names)).copy()
    if isotype:
        heavy = HEAVY[kind]
        out[g.index[isotype]] += heavy
        out[g.index["IGHD"]] += WITH_IGD.get(kind, 0.0)
        for gene, share in LIGHT_GENES[light].items():
            out[g.index[gene]] += LIGHT * heavy * share
    return out


def _size(kind: str, state: str) -> float:
    return SIZES.get(kind, 1.0) * (PROLIFERATING_SIZE if state == "proliferating" else 1.0)


def make_library(rng: np.random.Generator, makeup: Makeup, protocol: Protocol) -> Library:
    """Load a suspension, and count the UMIs of every droplet."""
    n = protocol.n_barcodes
    doublet = rng.random(n) < DOUBLETS
    cells = draw_cells(rng, makeup, n + int(doublet.sum()))
    first = np.arange(n)
    second = np.full(n, -1)
    second[doublet] = np.arange(n, n + int(doublet.sum()))
    damaged = (rng.random(n) < DAMAGED) & ~doublet
    mito = np.minimum(MITO_SHARE * np.exp(MITO_SD * rng.standard_normal(cells.car.size)), 0.15)
    mito[:n][damaged] = rng.uniform(*DAMAGED_MITO, int(damaged.sum()))
    depth = np.exp(DEPTH_SD * rng.standard_normal(cells.car.size))
    depth[:n][damaged] *= DAMAGED_DEPTH
    depth[:n][doublet] *= DOUBLET_DEPTH
    depth[n:] *= DOUBLET_DEPTH
    factor = protocol.factor * np.exp(LIBRARY_SD * rng.standard_normal(protocol.factor.size))
    rates = expected(cells, mito, factor) * depth[:, None]
    car = protocol.car_mean * depth * cells.car
    counts = rng.poisson(rates * rng.gamma(GENE_SIZE, 1 / GENE_SIZE, rates.shape))
    of_car = rng.poisson(car * rng.gamma(CAR_SIZE, 1 / CAR_SIZE, car.size))
    native = np.column_stack([counts, of_car])
    native[:n][doublet] += native[n:]
    # What is in the medium comes from all cells alike.
    soup = np.append(rates.sum(axis=0), car.sum())
    level = CONTAMINATION / (1 - CONTAMINATION) * float(np.median(native[:n].sum(axis=1)))
    ambient = ambient_counts(rng, soup / soup.sum(), level, n + protocol.n_empty)
    total = ambient.copy()
    total[:n] += native[:n]
    if protocol.tag:
        carries = np.zeros(n + protocol.n_empty, dtype=bool)
        carries[:n] = cells.car[first]
        carries[:n][doublet] |= cells.car[n:]
        total = np.column_stack([total, _tag(rng, carries)])
    none = np.full(protocol.n_empty, -1)
    barcodes = draw_barcodes(rng, n + protocol.n_empty)
    return Library(
        cells=cells,
        barcodes=barcodes,
        counts=total.astype(np.int32),
        first=np.append(first, none),
        second=np.append(second, none),
        ambient=ambient.sum(axis=1),
        ambient_car=ambient[:, -1],
        damaged=np.append(damaged, none > 0),
    )


def ambient_counts(rng: np.random.Generator, soup: Floats, level: float, n: int) -> Integers:
    """Return the ambient UMIs (n droplets, features): gamma-Poisson around ``level`` a droplet, from ``soup``."""
    sizes = rng.poisson(level * rng.gamma(DROPLET_SIZE, 1 / DROPLET_SIZE, n))
    feature = np.minimum(np.searchsorted(np.cumsum(soup), rng.random(sizes.sum())), soup.size - 1)
    flat = np.bincount(np.repeat(np.arange(n), sizes) * soup.size + feature, minlength=n * soup.size)
    return np.asarray(flat.reshape(n, soup.size), dtype=np.int64)


def _tag(rng: np.random.Generator, carries: npt.NDArray[np.bool_]) -> Integers:
    out = np.zeros(carries.size, dtype=np.int64)
    for value, (mean, size) in TAG_LEVELS.items():
        rows = carries == value
        out[rows] = rng.poisson(rng.gamma(size, mean / size, int(rows.sum())))
    return out


def draw_barcodes(rng: np.random.Generator, n: int) -> npt.NDArray[np.str_]:
    """Return ``n`` different barcodes of 16 bases, as Cell Ranger writes them."""
    letters = np.array(list("ACGT"))
    barcodes: dict[str, None] = {}
    while len(barcodes) < n:
        drawn = letters[rng.integers(0, 4, (n - len(barcodes), 16))]
        barcodes |= dict.fromkeys(f"{''.join(row)}-1" for row in drawn)
    return np.array(list(barcodes))


def subject_factor(rng: np.random.Generator, n_genes: int) -> Floats:
    """Return what a subject multiplies: genes differ a little between people."""
    return np.asarray(np.exp(SUBJECT_SD * rng.standard_normal(n_genes)), dtype=np.float64)
