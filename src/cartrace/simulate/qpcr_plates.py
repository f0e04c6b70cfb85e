"""What happens in the 96 wells of a qPCR plate.

Each well holds Poisson many copies of the transgene; Cq = intercept + slope
log10(copies) + noise, and a well without a copy never crosses the threshold. Every
well also holds a spike (internal positive control, IPC) that tells inhibition.
Slope and intercept differ from plate to plate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10, nan

import numpy as np

TEMPLATE_UL, REACTION_UL, NOMINAL_NG = 10.0, 25.0, 500.0
STANDARDS = (1_000_000.0, 100_000.0, 10_000.0, 1_000.0, 100.0, 25.0)
"""Copies per reaction. The lowest is the LLOQ of 50 copies/ug in 500 ng of DNA."""
CONTROLS = {"QC high": 50_000.0, "QC low": 250.0}
"""Accuracy controls: name on the plate and copies per reaction."""
REPLICATES = 3
ROOM = 23
"""Samples that a plate holds beside standards, controls and blanks."""

SLOPE, SLOPE_SD = -3.36, 0.025
"""98 % efficiency."""
CQ_OF_1000, CQ_OF_1000_SD = 28.5, 0.15
IPC_CQ = 28.0
CQ_SD = 0.12
CYCLES = 40.0
LARGEST_SD = 0.45
"""Replicates of a quantifiable sample that scatter more are pipetted again: only the
planted outlier breaks the rule of 0.5 cycles."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A sample on a plate: its name there, and the copies that a reaction holds on average.

    ``delay`` is what inhibition costs, ``outlier`` what a bubble in the last well costs,
    both in cycles.
    """

    name: str
    copies: float
    delay: float = 0.0
    outlier: float = 0.0


@dataclass(frozen=True, slots=True)
class QpcrWell:
    """One well: ``cq`` and ``ipc_cq`` are nan where the signal never crosses the threshold."""

    position: int
    name: str
    task: str
    nominal: float | None
    cq: float
    ipc_cq: float

    @property
    def well(self) -> str:
        """Well as A01."""
        return well_of(self.position)


def well_of(position: int) -> str:
    """Return the well at ``position`` (from 0, row after row) as A01."""
    return f"{'ABCDEFGH'[position // 12]}{position % 12 + 1:02d}"


def run_plate(
    rng: np.random.Generator,
    samples: Sequence[Loaded],
    *,
    slope: float | None = None,
    contaminated: int | None = None,
) -> list[QpcrWell]:
    """Return the wells of one plate: standards, controls, blanks, samples, in triplicate.

    ``slope`` replaces the slope of the plate; ``contaminated`` is the blank (0 to 2)
    that holds 100 copies.

    Raises
    ------
    ValueError
        When the samples do not fit on the plate.
    """
    if len(samples) > ROOM:
        raise ValueError(f"{len(samples)} samples; allowed: at most {ROOM} on a plate")
    of_this_plate = rng.standard_normal(3)
    own_slope = SLOPE + SLOPE_SD * of_this_plate[0] if slope is None else slope
    intercept = CQ_OF_1000 + CQ_OF_1000_SD * of_this_plate[1] - 3 * own_slope
    ipc = IPC_CQ + 0.1 * of_this_plate[2]

    def wells_of(copies: float, delay: float = 0.0) -> list[tuple[float, float]]:
        """Cq of the transgene and of the spike in each replicate."""
        found = []
        for _ in range(REPLICATES):
            n = int(rng.poisson(copies))
            noise, ipc_noise = CQ_SD * rng.standard_normal(2)
            cq = nan if n == 0 else intercept + own_slope * log10(n) + noise + delay
            found.append((cq if cq <= CYCLES else nan, ipc + ipc_noise + delay))
        return found

    wells: list[QpcrWell] = []

    def add(name: str, task: str, nominal: float | None, cqs: Sequence[tuple[float, float]]) -> None:
        wells.extend(
            [QpcrWell(place, name, task, nominal, *pair) for place, pair in enumerate(cqs, len(wells))]
        )

    for number, level in enumerate(STANDARDS, 1):
        add(f"STD {number}", "STANDARD", level, wells_of(level))
    for name, copies in CONTROLS.items():
        add(name, "UNKNOWN", None, wells_of(copies))
    blanks = wells_of(0.0)
    if contaminated is not None:
        cq = intercept + own_slope * 2
        blanks[contaminated] = (cq, blanks[contaminated][1])
    add("NTC", "NTC", None, blanks)
    for sample in samples:
        cqs = wells_of(sample.copies, sample.delay)
        while sample.copies >= STANDARDS[-1] / 2 and _sd(cqs) > LARGEST_SD:
            cqs = wells_of(sample.copies, sample.delay)
        cqs[-1] = (cqs[-1][0] + sample.outlier, cqs[-1][1])
        add(sample.name, "UNKNOWN", None, cqs)
    return wells


def _sd(cqs: Sequence[tuple[float, float]]) -> float:
    """Return the standard deviation of the Cq of the transgene; infinite when a well found nothing."""
    values = np.array([cq for cq, _ in cqs])
    return float("inf") if np.isnan(values).any() else float(values.std(ddof=1))
