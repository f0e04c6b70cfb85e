"""True courses of cytokines: low, a peak in the middle of the cytokine release, low again.

Levels are house values in the order of magnitude of publications on cytokine release
[recalled]; the peak stands between the onset and the end of the release, near the maximum
of the CAR-T cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartrace.simulate.dna import spread

Array = npt.NDArray[np.float64]

LEVELS: dict[str, tuple[float, float, float, float]] = {
    "il6": (3.0, 120.0, 900.0, 0.5),
    "ifn_gamma": (6.0, 150.0, 600.0, 0.0),
    "tnf_alpha": (12.0, 30.0, 60.0, 0.0),
    "il10": (5.0, 40.0, 160.0, 1.0),
}
"""Analyte -> pg/mL before and after, at the peak of grade 1, of grade 2; days by which its peak is late."""
LEVEL_CV, PEAK_CV = 0.3, 0.4
"""Between subjects."""
QUIET = 1.5
"""Peak without cytokine release, as a multiple of the level before."""


@dataclass(frozen=True, slots=True)
class Cytokine:
    """A level in pg/mL on the study clock: log-linear bell around ``peak_day``."""

    baseline: float
    peak: float
    peak_day: float
    width: float

    def __call__(self, time: npt.ArrayLike) -> Array:
        """Return the level on study days ``time``."""
        away = (np.asarray(time, dtype=np.float64) - self.peak_day) / self.width
        return np.asarray(self.baseline * (self.peak / self.baseline) ** np.exp(-0.5 * away**2))


def draw_cytokines(rng: np.random.Generator, onset: float, end: float, grade: int) -> Mapping[str, Cytokine]:
    """Draw the courses of one subject.

    Parameters
    ----------
    rng
        A stream of its own.
    onset, end
        Study days of the cytokine release.
    grade
        Its grade; 0: none.
    """
    found = {}
    for analyte, (baseline, mild, severe, late) in LEVELS.items():
        z_level, z_peak = np.clip(rng.standard_normal(2), -2.5, 2.5)
        peak = QUIET * baseline if grade < 1 else mild if grade == 1 else severe
        found[analyte] = Cytokine(
            baseline * spread(LEVEL_CV, float(z_level)),
            peak * spread(PEAK_CV if grade else LEVEL_CV, float(z_peak)),
            (onset + end) / 2 + late,
            1.5 + (end - onset) / 4,
        )
    return found
