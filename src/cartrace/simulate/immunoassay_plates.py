"""What happens in the wells of an immunoassay plate: standards and samples become signals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cartrace.simulate.dna import spread

Array = npt.NDArray[np.float64]

LETTERS = "ABCDEFGH"
PLATE_CV = 0.08
"""Between plates: signal at 0, signal at the top, half-maximal concentration."""
DILUTION_CV = 0.02
"""Of one dilution of a sample, which all its wells share."""
HOOK_STEEPNESS = 4.0


@dataclass(frozen=True, slots=True)
class DoseCurve:
    """Signal of a concentration x: top + (bottom - top) / (1 + (x / ec50)^slope)^asymmetry.

    A 4PL where ``asymmetry`` is 1. Beyond ``hook`` too much analyte binds capture and
    detection apart, and the signal falls again: what rises above the bottom is divided by
    1 + (x / hook)^4.
    """

    bottom: float
    top: float
    ec50: float
    slope: float
    asymmetry: float = 1.0
    hook: float = math.inf

    def __call__(self, x: npt.ArrayLike) -> Array:
        """Return the signal at concentrations ``x`` in the well."""
        c = np.asarray(x, dtype=np.float64)
        share = 1 - (1 + (c / self.ec50) ** self.slope) ** -self.asymmetry
        return self.bottom + (self.top - self.bottom) * share / (1 + (c / self.hook) ** HOOK_STEEPNESS)

    def of_a_plate(self, rng: np.random.Generator) -> DoseCurve:
        """Return the curve of one plate: each runs a little differently."""
        bottom, top, ec50 = (spread(PLATE_CV, float(z)) for z in rng.standard_normal(3))
        return replace(self, bottom=self.bottom * bottom, top=self.top * top, ec50=self.ec50 * ec50)


@dataclass(frozen=True, slots=True)
class Well:
    """What stands in one well.

    ``amounts`` are the concentrations that reached it, by target; ``beads`` the beads that
    the instrument found on average.
    """

    well: str
    name: str
    task: str
    """standard, control, blank or unknown."""
    amounts: Mapping[str, float]
    dilution: float = 1.0
    beads: float = 110.0

    @property
    def column(self) -> int:
        """Column of the plate, from 1."""
        return int(self.well[1:])


@dataclass(frozen=True, slots=True)
class Noise:
    """Scatter of a signal: a share of it, and a part that is always there."""

    cv: float
    floor: float


def read_signals(
    rng: np.random.Generator,
    wells: Sequence[Well],
    target: str,
    curve: DoseCurve,
    noise: Noise,
    *,
    lost_at_end: float = 0.0,
) -> Array:
    """Return the signal of one target in each well.

    ``lost_at_end`` is the share of the signal that the last column has lost: it falls evenly
    from the first column on, as where the reader was started late.
    """
    z = rng.standard_normal((2, len(wells)))
    signal = curve([w.amounts.get(target, 0.0) for w in wells])
    drift = 1 - lost_at_end * (np.array([w.column for w in wells]) - 1) / 11
    # Few beads scatter more; 100 are the rule.
    scatter = noise.cv * np.sqrt(np.maximum(100 / np.array([w.beads for w in wells]), 1.0))
    read = signal * drift * (1 + scatter * z[0]) + noise.floor * z[1]
    return np.asarray(np.maximum(read, 0.0), dtype=np.float64)


def slots() -> list[tuple[str, str]]:
    """Return the pairs of neighbouring wells behind the standards, in the order of filling."""
    return [(f"{r}{c:02d}", f"{r}{c + 1:02d}") for c in range(3, 12, 2) for r in LETTERS]


def standards_and_controls(
    standards: Mapping[str, Mapping[str, float]],
    controls: Mapping[str, Mapping[str, float]],
    blank: str,
    *,
    too_much: Mapping[str, float] | None = None,
) -> tuple[list[Well], list[tuple[str, str]]]:
    """Fill the wells that every plate has alike; return them and the pairs that are left.

    Standards stand in columns 1 and 2. Of the two controls and the blank some wells stand
    before the samples, some behind them, so that a drift shows.

    Parameters
    ----------
    standards, controls
        Name -> concentration by target; at most eight and exactly two.
    blank
        Name of the blanks.
    too_much
        Standard -> how many fold too much was pipetted.
    """
    wells = []
    for letter, (name, amounts) in zip(LETTERS, standards.items(), strict=False):
        fold = (too_much or {}).get(name, 1.0)
        wells += [
            Well(f"{letter}{c:02d}", name, "standard", {t: fold * x for t, x in amounts.items()})
            for c in (1, 2)
        ]
    pairs = slots()
    first, second, last_but_one, last = pairs[0], pairs[1], pairs[-2], pairs[-1]
    for (name, amounts), at in zip(
        controls.items(), ((first[0], last[1]), (second[0], last_but_one[1])), strict=True
    ):
        wells += [Well(w, name, "control", amounts) for w in at]
    wells += [Well(w, blank, "blank", {}) for w in (first[1], second[1], last_but_one[0], last[0])]
    return wells, pairs[2:-2]


def software_concentrations(nominal: Array, signal: Array, wanted: Array) -> Array:
    """Return what a plate reader's software reads off its own unweighted 4PL; nan beyond the curve.

    Parameters
    ----------
    nominal, signal : (n,) array
        Of the standards.
    wanted : (m,) array
        Signals to be read off.
    """
    from scipy.optimize import curve_fit

    def predicted(x: Array, a: float, b: float, log_c: float, d: float) -> Array:
        return d + (a - d) / (1 + np.exp(b * (np.log(x) - log_c)))

    start = (float(signal.min()), 1.0, float(np.log(np.median(nominal))), 1.2 * float(signal.max()))
    (a, b, log_c, d), _ = curve_fit(predicted, nominal, signal, start, maxfev=20_000)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.exp(log_c) * ((a - d) / (wanted - d) - 1) ** (1 / b), dtype=np.float64)
