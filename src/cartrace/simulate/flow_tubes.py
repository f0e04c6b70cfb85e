"""One tube on the cytometer: from cells per microlitre of blood to events.

The number of events of each population is Poisson around concentration x volume. An
event shines with the levels of its population, through the true spillover matrix, with
the noise of photons and electronics: observed = signal @ spillover + noise, so that
compensated values scatter below zero and bright dyes spread into their neighbours.
Some cells pass in pairs, some events leave the scale, and events come at a steady rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cartrace.simulate.flow_panel import (
    CD4_SHARE,
    DETECTORS,
    MARKERS,
    MEMORY,
    MEMORY_SHARES,
    POPULATIONS,
    SPREADS,
    TOP,
    UNSWITCHED,
    USUAL_SPREAD,
    spillover_matrix,
)

Floats = npt.NDArray[np.float64]

NAMES = tuple(POPULATIONS)
DOUBLET = -1
"""Population of a pair of cells."""

DOUBLETS = 0.02
"""Share of the cells that pass as one half of a pair."""
OFF_SCALE = 0.002
"""Share of events whose scatter is above the scale."""
PHOTONS = 10.0
"""Variance per unit of signal: at 10,000 a CV of 3 %."""
ELECTRONICS = 45.0
STICKY, STICKY_LEVEL = 3e-4, 1_500.0
"""Share of events that the CAR reagent stains though they have no CAR, and how brightly."""
TICK_S = 0.01
"""$TIMESTEP."""
LARGEST_VOLUME_UL = 80.0
"""Blood that a tube of 100 uL can give."""


@dataclass(frozen=True, slots=True)
class Blood:
    """What is true of a blood sample, cells/uL; ``car_share`` is of T cells, 0 to 1."""

    t_cells: float
    car_share: float
    b_cells: float
    naive_b_cells: float
    memory_b_cells: float
    plasmablasts: float
    plasma_cells: float

    @property
    def nk_cells(self) -> float:
        """NK cells follow the T cells, and come back first: a house value."""
        return 30 + 0.15 * self.t_cells

    @property
    def lymphocytes(self) -> float:
        """All lymphocytes, plasma cells among them."""
        return self.t_cells + self.b_cells + self.plasmablasts + self.plasma_cells + self.nk_cells

    def concentrations(self) -> dict[str, float]:
        """Return cells/uL of each population.

        A storage gate on the cytometer keeps most granulocytes and much debris out, as
        laboratories do that look for rare lymphocytes.
        """
        double_negative = self.b_cells - self.naive_b_cells - self.memory_b_cells
        out = {
            "naive B": self.naive_b_cells,
            "unswitched B": UNSWITCHED * self.memory_b_cells,
            "switched B": (1 - UNSWITCHED) * self.memory_b_cells,
            "double negative B": double_negative,
            "plasmablast": self.plasmablasts,
            "plasma cell": self.plasma_cells,
            "NK cell": self.nk_cells,
            "monocyte": 60 + 0.2 * self.lymphocytes,
            "granulocyte": 40 + 0.1 * self.lymphocytes,
            "dead": 10 + 0.03 * self.lymphocytes,
            "debris": 30 + 0.1 * self.lymphocytes,
        }
        for car, share in ((False, 1 - self.car_share), (True, self.car_share)):
            lineages = {"CD4": CD4_SHARE[car], "CD8": 1 - CD4_SHARE[car]}
            for lineage, of_lineage in lineages.items():
                shares = zip(MEMORY, MEMORY_SHARES[lineage, car], strict=True)
                out |= {
                    f"{'CAR ' if car else ''}{lineage} {memory}": self.t_cells * share * of_lineage * part
                    for memory, part in shares
                }
        return out


@dataclass(frozen=True, slots=True)
class Staining:
    """What is in the tube beside the cells."""

    left_out: str = ""
    """Marker whose antibody is missing (FMO)."""
    isotype: str = ""
    """Marker whose antibody is replaced by its isotype."""
    masked: str = ""
    """Marker whose antigen a drug covers."""
    beads_per_blood_ul: float = 0.0
    """Counting beads per microlitre of blood."""


@dataclass(frozen=True, slots=True)
class Acquired:
    """Events of one tube, in the order in which they passed."""

    observed: Floats
    """(n, 18) in the order of :data:`cartrace.simulate.flow_panel.CHANNELS`; time in ticks of 0.01 s."""
    population: npt.NDArray[np.int64]
    """(n,) index in :data:`NAMES`, or :data:`DOUBLET`."""
    signal: Floats
    """(n, 14) true signal of each dye, before spillover and noise."""
    blood_ul: float
    """Blood that passed, uL."""
    cells_per_ul: Mapping[str, float]
    """True concentration in blood of each population, beads among them."""

    def events(self, analyte: str) -> int:
        """Return the single events that count as an analyte."""
        wanted = [i for i, name in enumerate(NAMES) if analyte in POPULATIONS[name].counts_as]
        return int(np.isin(self.population, wanted).sum())

    def true_count(self, analyte: str) -> float:
        """Return the true cells/uL of an analyte."""
        return sum(c for n, c in self.cells_per_ul.items() if analyte in POPULATIONS[n].counts_as)


def acquire(rng: np.random.Generator, blood: Blood, staining: Staining, n_events: int) -> Acquired:
    """Stain and acquire a sample until about ``n_events`` have passed, or the tube is empty."""
    cells_per_ul = blood.concentrations() | {"bead": staining.beads_per_blood_ul}
    blood_ul = min(n_events / sum(cells_per_ul.values()), LARGEST_VOLUME_UL)
    numbers = [rng.poisson(cells_per_ul[name] * blood_ul) for name in NAMES]
    population = rng.permutation(np.repeat(np.arange(len(NAMES)), numbers))
    signal = _signal(rng, population, staining)
    area, side, height = _scatter(rng, population)
    first, second = _pairs(rng, population)
    population[first] = DOUBLET
    signal[first] += signal[second]
    area[first] += area[second]
    side[first] += side[second]
    # Two cells one behind the other: the pulse is longer, not twice as high.
    height[first] = 1.1 * np.maximum(height[first], height[second])
    off = rng.random(population.size) < OFF_SCALE
    area[off], height[off] = 2.0 * TOP, 1.5 * TOP
    scatter = np.column_stack([area, height, side])
    observed = np.column_stack(
        [scatter, detect(signal, rng.standard_normal(signal.shape)), _steady(rng, population.size)]
    )
    passed = np.setdiff1d(np.arange(population.size), second)
    return Acquired(observed[passed], population[passed], signal[passed], blood_ul, cells_per_ul)


def detect(signal: Floats, noise: Floats) -> Floats:
    """Return what the detectors see of true signals (n, 14); ``noise`` are standard normal numbers."""
    mean = signal @ spillover_matrix()
    return np.asarray(mean + noise * np.sqrt(PHOTONS * mean + ELECTRONICS**2), dtype=np.float64)


def _signal(rng: np.random.Generator, population: npt.NDArray[np.int64], staining: Staining) -> Floats:
    kinds = [POPULATIONS[name] for name in NAMES]
    level = np.array([[p.levels.get(m, 0.0) for m in MARKERS] for p in kinds])
    usual = [SPREADS.get(m, USUAL_SPREAD) for m in MARKERS]
    spread = np.array([usual if p.spread is None else [p.spread] * len(MARKERS) for p in kinds])
    own = np.array([p.autofluorescence for p in kinds])[population]
    z = rng.standard_normal((population.size, len(MARKERS)))
    signal: Floats = level[population] * np.exp(spread[population] * z)
    car = MARKERS.index("CAR")
    sticky = rng.random(population.size) < STICKY
    signal[sticky, car] += STICKY_LEVEL * np.exp(0.4 * rng.standard_normal(int(sticky.sum())))
    cells = population != NAMES.index("bead")
    for marker in filter(None, (staining.left_out, staining.isotype, staining.masked)):
        signal[cells, MARKERS.index(marker)] = 0.0
    if staining.isotype:
        # An isotype binds a little, everywhere.
        signal[cells, MARKERS.index(staining.isotype)] = 30 * np.exp(0.4 * z[cells, 0])
    signal += (own * np.exp(0.3 * rng.standard_normal(population.size)))[:, None]
    return signal


def _scatter(rng: np.random.Generator, population: npt.NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    kinds = [POPULATIONS[name] for name in NAMES]
    cv = np.array([p.scatter_cv for p in kinds])[population]
    z = rng.standard_normal((3, population.size))
    area = np.array([p.fsc for p in kinds])[population] * np.exp(cv * z[0])
    # Side scatter goes along with forward scatter, in part.
    side = np.array([p.ssc for p in kinds])[population] * np.exp(cv * (0.6 * z[0] + 1.4 * z[1]))
    return area, side, 0.9 * area * np.exp(0.03 * z[2])


def _pairs(
    rng: np.random.Generator, population: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    cells = np.flatnonzero(population != NAMES.index("bead"))
    n = int(DOUBLETS * cells.size / 2)
    chosen = rng.choice(cells, 2 * n, replace=False)
    return chosen[:n], chosen[n:]


def _steady(rng: np.random.Generator, n: int) -> Floats:
    """Return the times of ``n`` events at about 600 a second, in ticks."""
    return np.asarray(np.cumsum(rng.exponential(1 / 600, n)) / TICK_S, dtype=np.float64)


CLOGGED = (0.45, 0.81)
"""Part of the events that passed while the line was clogged."""
CLOGGED_RATE, CLOGGED_SIGNAL = 0.2, 0.6


def clog(tube: Acquired) -> Acquired:
    """Clog the line for a third of the events: the rate falls to a fifth, the signals to 60 %."""
    n = tube.population.size
    start, end = (int(share * n) for share in CLOGGED)
    observed = tube.observed.copy()
    observed[start:end, :-1] *= CLOGGED_SIGNAL
    steps = np.diff(observed[:, -1], prepend=0.0)
    steps[start:end] /= CLOGGED_RATE
    observed[:, -1] = np.cumsum(steps)
    return replace(tube, observed=observed)


def compensate(tube: Acquired) -> Acquired:
    """Store compensated values, as some programs export them; the file keeps its matrix."""
    observed = tube.observed.copy()
    colours = slice(-1 - len(DETECTORS), -1)
    observed[:, colours] = observed[:, colours] @ np.linalg.inv(spillover_matrix())
    return replace(tube, observed=observed)


def stored(tube: Acquired) -> npt.NDArray[np.float32]:
    """Return the events as the file holds them: single floats, cut off at the top of the scale."""
    return np.minimum(tube.observed, TOP - 1).astype(np.float32)
