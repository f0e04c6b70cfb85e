"""The assays of the immunoassay laboratory: kits with their standards and controls, and the assay files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cartrace.simulate.immunoassay_plates import DoseCurve, Noise

BLANK = "Blank"
ELISA_NOISE = Noise(0.035, 0.002)
"""Duplicates differ by a CV of about 5 % in concentration."""


@dataclass(frozen=True, slots=True)
class Kit:
    """One ELISA. Concentrations are those in the well."""

    mapping: str
    """Name of the assay file, and of the plates."""
    title: str
    target: str
    analyte: str
    unit: str
    curve: DoseCurve
    standards: Mapping[str, float]
    controls: Mapping[str, float]
    dilution: float
    """Of all samples; of some there is a further one."""
    per_true: float = 1.0
    """Results for one unit of the true course."""
    diluted_alike: bool = False
    """Are standards diluted as the samples are, so that no result is multiplied?"""

    def in_well(self, value: float, dilution: float) -> float:
        """Return what of a serum's ``value`` is in a well, on the scale of the standards."""
        return value / (dilution / self.dilution if self.diluted_alike else dilution)

    def limits(self, lowest: float, highest: float) -> tuple[float, float]:
        """Return the limits of quantification of a sample at these dilutions, if all standards hold."""
        levels = self.standards.values()
        times = (1.0, 1.0) if self.diluted_alike else (lowest, highest)
        return min(levels) * times[0], max(levels) * times[1]

    def assay_file(self) -> dict[str, Any]:
        """Return the assay file."""
        named = {
            name: {"task": task, "concentration": {self.target: level}}
            for task, known in (("standard", self.standards), ("control", self.controls))
            for name, level in known.items()
        }
        calibration = {"model": "4pl", "weighting": "1/y2"}
        return {
            "assay": "elisa",
            "targets": {
                self.target: {"analyte": self.analyte, "unit": self.unit, "calibration": calibration}
            },
            # Every file or layout states the dilutions of its samples.
            "controls": named | {BLANK: {"task": "blank"}},
        } | ({"result_times_dilution": False} if self.diluted_alike else {})


def _serial(prefix: str, top: float, levels: int) -> dict[str, float]:
    return {f"{prefix}{n + 1}": top / 2**n for n in range(levels)}


UNITS_PER_TITRE = 0.8
"""U/mL of the AQP4-IgG ELISA for each unit of the true titre. House value: a titre of 10 is 8 U/mL."""

SBCMA = Kit(
    mapping="sbcma_elisa",
    title="sBCMA",
    target="sBCMA",
    analyte="soluble_bcma",
    unit="ng/mL",
    curve=DoseCurve(0.06, 3.2, 4.0, 1.1, hook=30.0),
    standards=_serial("St", 10, 8),
    controls={"QC high": 4.0, "QC low": 0.5},
    dilution=5,
)
AQP4 = Kit(
    mapping="aqp4_elisa",
    title="AQP4-IgG",
    target="AQP4",
    analyte="aqp4_igg",
    unit="U/mL",
    curve=DoseCurve(0.05, 2.9, 50.0, 1.2),
    standards=_serial("Cal", 80, 7),
    controls={"Control 1": 40.0, "Control 2": 5.0},
    dilution=1,
    per_true=UNITS_PER_TITRE,
)
SRP = Kit(
    mapping="srp_elisa",
    title="anti-SRP IgG",
    target="anti-SRP",
    analyte="anti_srp",
    unit="U/mL",
    curve=DoseCurve(0.04, 2.6, 150.0, 1.3),
    standards=_serial("S", 320, 7),
    controls={"K1": 100.0, "K2": 15.0},
    dilution=100,
    diluted_alike=True,
)

CYTOKINES: dict[str, tuple[str, DoseCurve, str]] = {
    "IL-6": ("il6", DoseCurve(22, 26_000, 5_000.0, 1.0, asymmetry=0.7), "5pl"),
    "IFN-gamma": ("ifn_gamma", DoseCurve(28, 21_000, 3_000.0, 0.9), "4pl"),
    "TNF-alpha": ("tnf_alpha", DoseCurve(20, 24_000, 3_500.0, 0.95), "4pl"),
    "IL-10": ("il10", DoseCurve(18, 25_000, 4_000.0, 0.92), "4pl"),
}
"""Bead -> analyte, true curve (MFI, pg/mL), model of the assay file. IL-6 is asymmetric: a 5PL."""
BEAD_NOISE = Noise(0.04, 0.4)
LUMINEX = "cytokines_luminex"
LUMINEX_DILUTION = 2.0
LUMINEX_STANDARDS = {f"Standard{n + 1}": 10_000.0 / 4**n for n in range(7)}
LUMINEX_CONTROLS = {"Control1": 800.0, "Control2": 60.0}
"""pg/mL of each cytokine. xPONENT's own names say the task."""
LUMINEX_BLANK = "Background0"
LUMINEX_ASSAY: dict[str, Any] = {
    "assay": "luminex",
    "signal": "mfi",
    "targets": {
        bead: {"analyte": analyte, "unit": "pg/mL", "calibration": {"model": model, "weighting": "1/y2"}}
        for bead, (analyte, _, model) in CYTOKINES.items()
    },
    "controls": {
        name: {"task": task, "concentration": dict.fromkeys(CYTOKINES, level)}
        for task, known in (("standard", LUMINEX_STANDARDS), ("control", LUMINEX_CONTROLS))
        for name, level in known.items()
    }
    | {LUMINEX_BLANK: {"task": "blank"}},
}

CBA = "aqp4_cba"
CBA_TARGET = "AQP4"
CBA_WELLS = 8
"""Two-fold dilutions of a serum: 1:10 to 1:1280."""
CBA_CONTROLS = {"Positive serum": 226.0, "Negative serum": 2.0}
"""True titres."""
CBA_ASSAY: dict[str, Any] = {
    "assay": "cba",
    "signal": "fluorescence",
    "targets": {
        CBA_TARGET: {
            "analyte": "aqp4_igg",
            "unit": "titre",
            "readout": "titre",
            "titre": {"start": 10, "step": 2},
        }
    },
    "controls": {
        "Positive serum": {"task": "positive_control", "range": {CBA_TARGET: [80, 320]}},
        "Negative serum": {"task": "negative_control", "range": {CBA_TARGET: [0, 10]}},
    },
}

ASSAYS: dict[str, dict[str, Any]] = {
    **{kit.mapping: kit.assay_file() for kit in (SBCMA, AQP4, SRP)},
    LUMINEX: LUMINEX_ASSAY,
    CBA: CBA_ASSAY,
}
"""The assay files, by their name."""
