"""What happens in the wells of a droplet digital PCR: transgene and RPP30 in one well.

A droplet of 0.85 nL holds Poisson many copies of each target, lambda on average,
and is positive with probability 1 - exp(-lambda). A few droplets are positive for
nothing (false positives).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1, log1p

import numpy as np

from cartrace.simulate.dna import PG_PER_GENOME, spread

TEMPLATE_UL, REACTION_UL = 4.0, 20.0
DROPLET_NL = 0.85
"""QX200 with QuantaSoft 1.7 or QX Manager: the median of 8,087 wells (reference B.3)."""
OLD_DROPLET_NL = 0.91
"""What early QuantaSoft took [recalled]; the planted wrong setting."""
DROPLETS, DROPLETS_SD = 16_500, 900
FEW_DROPLETS = 6_200
FALSE_POSITIVES = 0.15
"""False positive droplets of the transgene in a well, on average."""
PIPETTING_CV = 0.03
CONTROL = "PC CAR/RPP30"
CONTROL_COPIES = {"CAR": 2_000.0, "RPP30": 20_000.0}
"""Copies per reaction of the accuracy control."""
REPLICATES = 2
LEVELS = (1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 35.0, 60.0, 100.0, 200.0)
"""Copies per reaction of the dilution series behind the limits, 8 wells a run."""
VALIDATION_RUNS = 3


@dataclass(frozen=True, slots=True)
class Tube:
    """A sample in its wells: copies per reaction of both targets, on average."""

    name: str
    sample_type: str
    car: float
    rpp30: float


@dataclass(frozen=True, slots=True)
class DdpcrWell:
    """One well: droplets by what they are positive for (transgene, RPP30)."""

    well: str
    name: str
    sample_type: str
    both: int
    car_only: int
    rpp30_only: int
    neither: int

    @property
    def droplets(self) -> int:
        """Accepted droplets."""
        return self.both + self.car_only + self.rpp30_only + self.neither

    @property
    def car(self) -> int:
        """Droplets positive for the transgene."""
        return self.both + self.car_only

    @property
    def rpp30(self) -> int:
        """Droplets positive for RPP30."""
        return self.both + self.rpp30_only


def reference_copies(nanograms: float) -> float:
    """Return the copies of RPP30 in ``nanograms`` of genomic DNA: two in each genome."""
    return 2 * nanograms * 1000 / PG_PER_GENOME


def run_plate(rng: np.random.Generator, tubes: Sequence[Tube], few: int | None = None) -> list[DdpcrWell]:
    """Return the wells of one plate, each tube in two wells below each other; blanks and control first.

    ``few`` is the place of the well (from 0) whose droplets were mostly lost.
    """
    blank = Tube("NTC", "NTC", 0.0, 0.0)
    control = Tube(CONTROL, "PosCtrl", CONTROL_COPIES["CAR"], CONTROL_COPIES["RPP30"])
    loaded = [tube for tube in (blank, control, *tubes) for _ in range(REPLICATES)]
    wells = []
    for place, tube in enumerate(loaded):
        counts = _droplets(rng, tube)
        if place == few:
            # After the draw, so that the other wells stay what they were.
            counts = counts * FEW_DROPLETS // counts.sum()
        well = f"{'ABCDEFGH'[place % 8]}{place // 8 + 1:02d}"
        wells.append(DdpcrWell(well, tube.name, tube.sample_type, *(int(c) for c in counts)))
    return wells


def validation_series(
    rng: np.random.Generator,
) -> tuple[list[tuple[float, float, str]], list[tuple[float, str]]]:
    """Return the wells that the laboratory took its limits from: dilutions (level, found, run) and blanks (found, run).

    In copies per reaction, over :data:`VALIDATION_RUNS` runs.
    """
    runs = [f"validation_{number}" for number in range(1, VALIDATION_RUNS + 1)]

    def found(level: float) -> float:
        both, car_only, rpp30_only, neither = _droplets(rng, Tube("", "Unknown", level, 0.0))
        n = both + car_only + rpp30_only + neither
        return float(-log1p(-(both + car_only) / n) * REACTION_UL * 1000 / DROPLET_NL)

    dilutions = [(level, found(level), run) for level in LEVELS for run in runs for _ in range(8)]
    return dilutions, [(found(0.0), run) for run in runs for _ in range(20)]


def _droplets(rng: np.random.Generator, tube: Tube) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the droplets of one well: positive for both, the transgene, RPP30, neither."""
    n = int(np.clip(round(rng.normal(DROPLETS, DROPLETS_SD)), 14_000, 19_000))
    pipetted = spread(PIPETTING_CV, float(rng.standard_normal()))
    car = _share_positive(tube.car * pipetted)
    car += (1 - car) * FALSE_POSITIVES / DROPLETS
    rpp30 = _share_positive(tube.rpp30 * pipetted)
    return rng.multinomial(n, [car * rpp30, car * (1 - rpp30), (1 - car) * rpp30, (1 - car) * (1 - rpp30)])


def _share_positive(copies_per_reaction: float) -> float:
    return -expm1(-copies_per_reaction / REACTION_UL * DROPLET_NL / 1000)
