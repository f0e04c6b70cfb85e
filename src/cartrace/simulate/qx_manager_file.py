"""Write a ddPCR plate as Bio-Rad's QX Manager exports it: a csv of 73 columns, and droplet amplitudes.

Concentrations are printed in single precision; the 95 % limits are those of the
positive share, q +- 1.96 sqrt(q (1 - q) / n), turned into concentrations; ratios have
the delta method's limits. Found in the real file of reference B.1.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from math import log, log1p, sqrt

import numpy as np

from cartrace.simulate.ddpcr_plates import REACTION_UL, DdpcrWell

TARGETS = {"CAR-BBz": ("Unknown", "FAM"), "RPP30": ("Reference", "HEX")}

COLUMNS = (
    *("Well", "Sample description 1", "Sample description 2", "Sample description 3", "Sample description 4"),
    *("Target", "Conc(copies/µL)", "pg/µL", "Status", "Status Reason", "Experiment", "SampleType"),
    *("TargetType", "Supermix", "DyeName(s)", "Copies/20µLWell", "TotalConfMax", "TotalConfMin"),
    *("PoissonConfMax", "PoissonConfMin", "Accepted Droplets", "Positives", "Negatives"),
    *("Copies/uL linked molecules", "CNV", "TotalCNVMax", "TotalCNVMin", "PoissonCNVMax", "PoissonCNVMin"),
    *("ReferenceCopies", "UnknownCopies", "Threshold1", "Threshold2", "Threshold3"),
    *("ThresholdSigmaAbove", "ThresholdSigmaBelow", "ReferenceUsed", "Ratio", "TotalRatioMax"),
    *("TotalRatioMin", "PoissonRatioMax", "PoissonRatioMin", "Fractional Abundance"),
    *("TotalFractionalAbundanceMax", "TotalFractionalAbundanceMin"),
    *("PoissonFractionalAbundanceMax", "PoissonFractionalAbundanceMin", "MeanAmplitudeOfPositives"),
    *("MeanAmplitudeOfNegatives", "MeanAmplitudeTotal", "ExperimentComments", "MergedWells"),
    *("TotalConfidenceMax68", "TotalConfidenceMin68", "PoissonConfidenceMax68", "PoissonConfidenceMin68"),
    *("TotalCNVMax68", "TotalCNVMin68", "PoissonCNVMax68", "PoissonCNVMin68", "TotalRatioMax68"),
    *("TotalRatioMin68", "PoissonRatioMax68", "PoissonRatioMin68", "TotalFractionalAbundanceMax68"),
    *("TotalFractionalAbundanceMin68", "PoissonFractionalAbundanceMax68"),
    *("PoissonFractionalAbundanceMin68", "TiltCorrected", "Ch1+Ch2+", "Ch1+Ch2-", "Ch1-Ch2+", "Ch1-Ch2-"),
)
THRESHOLD = {"CAR-BBz": 4500, "RPP30": 3500}
AMPLITUDE = {"CAR-BBz": (9000.0, 2200.0), "RPP30": (6000.0, 1300.0)}
"""Mean fluorescence of positive and negative droplets."""


def qx_manager_csv(wells: Sequence[DdpcrWell], *, droplet_nl: float) -> str:
    """Return the export of one plate, whose software takes droplets of ``droplet_nl``."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for w in sorted(wells, key=lambda w: w.well):
        for target, positives in (("CAR-BBz", w.car), ("RPP30", w.rpp30)):
            kind, dye = TARGETS[target]
            writer.writerow(
                {
                    "Well": w.well,
                    "Sample description 1": w.name,
                    "Target": target,
                    "Status": "Manual",
                    "Experiment": "DQ",
                    "SampleType": w.sample_type,
                    "TargetType": kind,
                    "Supermix": "ddPCR Supermix for Probes (No dUTP)",
                    "DyeName(s)": dye,
                    "Accepted Droplets": w.droplets,
                    "Positives": positives,
                    "Negatives": w.droplets - positives,
                    "Threshold1": THRESHOLD[target],
                    "TiltCorrected": "No",
                    "Ch1+Ch2+": w.both,
                    "Ch1+Ch2-": w.car_only,
                    "Ch1-Ch2+": w.rpp30_only,
                    "Ch1-Ch2-": w.neither,
                }
                | _concentration_cells(w, positives, droplet_nl)
                | (_ratio_cells(w, droplet_nl) if target == "CAR-BBz" else {})
            )
    return text.getvalue()


def amplitude_csv(rng: np.random.Generator, well: DdpcrWell) -> str:
    """Return the droplets of one well: both amplitudes and whether they count as positive."""
    flags = rng.permutation(np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], _quadrants(well), axis=0))
    columns = []
    for positive, target in zip(flags.T == 1, ("CAR-BBz", "RPP30"), strict=True):
        high, low = AMPLITUDE[target]
        value = rng.normal(np.where(positive, high, low), np.where(positive, 350, 180))
        limit = THRESHOLD[target]
        # The software's call and the amplitude agree.
        columns.append(np.where(positive, np.maximum(value, limit + 1), np.minimum(value, limit - 1)))
    lines = [
        f"{one:.0f},{two:.0f},{car},{rpp30}," for one, two, (car, rpp30) in zip(*columns, flags, strict=True)
    ]
    head = (
        "Target Value of 0 = negative\nTarget Value of 1 = positive\n"
        "Target Value of u = unclassified (Advanced Classification Mode)\n\n"
        "Ch1Amplitude,Ch2Amplitude,1,2,\n"
    )
    return head + "\n".join(lines) + "\n"


def _quadrants(well: DdpcrWell) -> list[int]:
    return [well.both, well.car_only, well.rpp30_only, well.neither]


def _concentration_cells(well: DdpcrWell, positives: int, droplet_nl: float) -> dict[str, str]:
    n = well.droplets
    share = positives / n
    error = sqrt(share * (1 - share) / n)

    def per_ul(q: float) -> float:
        return -log1p(-min(max(q, 0.0), 1 - 1e-9)) / (droplet_nl / 1000)

    found = per_ul(share)
    return {
        "Conc(copies/µL)": _single(found),
        "Copies/20µLWell": _single(found * REACTION_UL),
        "PoissonConfMax": _single(per_ul(share + 1.96 * error)),
        "PoissonConfMin": _single(per_ul(share - 1.96 * error)),
        "PoissonConfidenceMax68": _single(per_ul(share + error)),
        "PoissonConfidenceMin68": _single(per_ul(share - error)),
    }


def _ratio_cells(well: DdpcrWell, droplet_nl: float) -> dict[str, str]:
    """Transgene over RPP30, copies in a diploid genome, and share of the transgene in both."""
    n = well.droplets
    if well.rpp30 == 0 or well.car == 0:
        return {}
    rates = [-log(1 - p / n) for p in (well.car, well.rpp30)]
    errors = [sqrt(p / (n - p) / n) / rate for p, rate in zip((well.car, well.rpp30), rates, strict=True)]
    ratio = rates[0] / rates[1]
    cells = {"ReferenceCopies": "2", "ReferenceUsed": "2"}
    for name, value, slope in (
        ("Ratio", ratio, 1.0),
        ("CNV", 2 * ratio, 2.0),
        ("FractionalAbundance", 100 * ratio / (1 + ratio), 100 / (1 + ratio) ** 2),
    ):
        cells["Fractional Abundance" if name == "FractionalAbundance" else name] = _double(value)
        for z, suffix in ((1.96, ""), (1.0, "68")):
            half = z * slope * ratio * sqrt(errors[0] ** 2 + errors[1] ** 2)
            cells[f"Poisson{name}Max{suffix}"] = _double(value + half)
            cells[f"Poisson{name}Min{suffix}"] = _double(max(value - half, 0.0))
    neither = well.neither
    if neither:
        linked = log(neither * n / ((n - well.car) * (n - well.rpp30)))
        cells["Copies/uL linked molecules"] = _double(max(linked, 0.0) / (droplet_nl / 1000))
    return cells


def _single(value: float) -> str:
    return f"{float(np.float32(value)) + 0.0:.15g}"


def _double(value: float) -> str:
    return f"{value:.15g}"
