"""From a tube of blood to an eluate of DNA, with what the laboratory measures of both.

White cells follow the T cells of the course (3 in 10 leukocytes are T cells), so a
sample drawn soon after lymphodepletion holds little DNA. The laboratory brings
strong eluates to 50 ng/uL, as it would before a PCR.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cartrace.simulate.courses import COPIES_PER_UG_TO_PER_CELL, T_PER_LEUKOCYTE

if TYPE_CHECKING:
    from cartrace.simulate.laboratory import Draw

PG_PER_GENOME = COPIES_PER_UG_TO_PER_CELL * 1e6
BLOOD_UL = 3000.0
ELUTION_UL = 60.0
WANTED_NG_PER_UL = 50.0

YIELD, YIELD_CV = 0.8, 0.1
"""Share of the DNA that the extraction gives back, and its spread: house values."""
PHOTOMETER_CV = 0.05
CELL_COUNT_CV = 0.04


@dataclass(frozen=True, slots=True)
class Eluate:
    """The DNA of one sample: the truth, and what the laboratory writes down.

    ``copies_per_ug`` and ``white_cells`` (cells/uL blood) are true; ``ng_per_ul`` is
    the true content of DNA, ``measured_*`` what the extractions sheet says.
    """

    draw: Draw
    copies_per_ug: float
    white_cells: float
    ng_per_ul: float
    elution_ul: float
    measured_ng_per_ul: float
    measured_white_cells: float

    @property
    def copies_per_cell(self) -> float:
        """True copies per white cell."""
        return self.copies_per_ug * COPIES_PER_UG_TO_PER_CELL

    @property
    def copies_per_ul(self) -> float:
        """True copies per microlitre of blood."""
        return self.copies_per_cell * self.white_cells


def extract(rng: np.random.Generator, draw: Draw, *, copies_per_ug: float, t_cells: float) -> Eluate:
    """Extract the DNA of one sample; ``copies_per_ug`` and ``t_cells`` (cells/uL) are true values."""
    recovered, before, after, counted = rng.standard_normal(4)
    white_cells = t_cells / T_PER_LEUKOCYTE
    share = min(YIELD * spread(YIELD_CV, recovered), 0.98)
    nanograms = BLOOD_UL * white_cells * PG_PER_GENOME / 1000 * share
    # What is wanted is judged by a measurement, and measured again after buffer was added.
    elution_ul = max(ELUTION_UL, round(nanograms * spread(PHOTOMETER_CV, before) / WANTED_NG_PER_UL))
    ng_per_ul = nanograms / elution_ul
    return Eluate(
        draw=draw,
        copies_per_ug=copies_per_ug,
        white_cells=white_cells,
        ng_per_ul=ng_per_ul,
        elution_ul=elution_ul,
        measured_ng_per_ul=round(ng_per_ul * spread(PHOTOMETER_CV, after), 1),
        measured_white_cells=round(white_cells * spread(CELL_COUNT_CV, counted), -1),
    )


def spread(cv: float, z: float) -> float:
    """Turn a standard normal number into a log-normal factor with median 1 and CV ``cv``."""
    return float(np.exp(np.sqrt(np.log1p(cv**2)) * z))
