"""Is the transgene there, and can it be quantified? Copies per reaction against the limits of the assay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.pcr.assay import Assay
    from cartrace.pcr.limits import Limits

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Texts = NDArray[np.object_]

LIMITS = ("lob", "lod", "lloq", "uloq")


@dataclass(frozen=True, slots=True)
class ReactionLimits:
    """Limits in copies per reaction of each sample, (n,) arrays, nan where there is none.

    ``reasons`` (n,) says why neither LOD nor LLOQ is known; empty where one is.
    """

    lob: Floats
    lod: Floats
    lloq: Floats
    uloq: Floats
    reasons: Texts


@dataclass(frozen=True, slots=True)
class Detected:
    """What can be said of each sample, (n,) arrays in copies per reaction.

    ``detection`` and ``censoring`` are words of MEASUREMENTS, None where there are no
    copies to judge. ``lower`` and ``upper`` bound the true number, nan where it is open;
    both are the copies themselves where they are quantified.
    """

    detection: Texts
    censoring: Texts
    lower: Floats
    upper: Floats


def limits_per_reaction(
    samples: pd.DataFrame, assays: Mapping[str, Assay], estimates: Mapping[str, Limits]
) -> ReactionLimits:
    """Bring the limits of each sample's target to copies per reaction.

    Parameters
    ----------
    samples
        The contract SAMPLES; ``dna_ng`` turns copies/ug into copies in the reaction.
    assays
        Assay of each plate.
    estimates
        Estimated limits (copies per reaction) by their name in pcr.detection_limits.

    Raises
    ------
    KeyError
        For an estimate that is named and not given; the plan has checked the names.
    """
    numbers = {name: np.full(len(samples), np.nan) for name in LIMITS}
    reasons = np.full(len(samples), "", dtype=object)
    micrograms = samples["dna_ng"].to_numpy(dtype=np.float64, na_value=np.nan) / 1000
    plates, targets = (samples[c].to_numpy(object) for c in ("plate", "target"))
    for plate, target in {*zip(plates, targets, strict=True)}:
        here = (plates == plate) & (targets == target)
        spec = assays[plate].targets[target].limits
        found = estimates[spec.estimated] if spec.estimated else spec
        scaled = spec.unit == "copies/ug" and not spec.estimated
        for name in LIMITS:
            value = getattr(found, name, None)  # an estimate has no ULOQ
            if value is not None:
                # The limit of blank is in copies per reaction in every case.
                numbers[name][here] = value * (micrograms[here] if scaled and name != "lob" else 1.0)
        if found.lod is not None or found.lloq is not None:
            missing = "limits in copies/ug need the mass of DNA in the reaction, which is not known"
        elif spec.estimated:
            missing = f"the estimate '{spec.estimated}' gives neither LOD nor LLOQ"
        else:
            missing = "the assay file gives neither lod nor lloq"
        known = ~(np.isnan(numbers["lod"]) & np.isnan(numbers["lloq"]))
        reasons[here & ~known] = missing
    return ReactionLimits(**numbers, reasons=reasons)


def with_standards(limits: ReactionLimits, lowest: Floats, highest: Floats, above: Bools) -> ReactionLimits:
    """Let the outermost standards be the limits of quantification where the assay has none.

    Outside its standards a curve is a guess; ICH M10 defines LLOQ and ULOQ as the
    outermost standards. Limits that the laboratory has validated go before them, but
    for a sample that is ``above`` the standards of its own plate.

    Parameters
    ----------
    limits
        Of n samples.
    lowest, highest : (n,) array
        Standards of the curve that quantified each sample, nan for digital PCR.
    above : (n,) array of bool
        Sample that the plate flags as above its standards.
    """
    own_lloq = np.isnan(limits.lloq)
    lloq = np.where(own_lloq, np.fmax(lowest, np.where(np.isnan(lowest), np.nan, limits.lod)), limits.lloq)
    uloq = np.where(np.isnan(limits.uloq), highest, limits.uloq)
    uloq = np.where(above, np.fmin(uloq, highest), uloq)
    return ReactionLimits(limits.lob, limits.lod, lloq, uloq, limits.reasons)


def detect(copies: Floats, upper: Floats, limits: ReactionLimits, above: Bools) -> Detected:
    """Say of each sample whether it is quantified, BLQ, BLD or above_uloq.

    BLD: no copies, not above the limit of blank, or below the LOD; the truth lies
    between 0 and the LOD (the LLOQ where no LOD is known; else the upper limit of the
    reaction itself; else it is open). BLQ: below the LLOQ; between LOD and LLOQ.
    above_uloq: above the ULOQ or the standards; at least the ULOQ.

    Parameters
    ----------
    copies : (n,) array
        Copies per reaction, nan where there is no result.
    upper : (n,) array
        Upper confidence limit of them.
    limits
        In copies per reaction.
    above : (n,) array of bool
        Sample that the plate flags as above its standards.
    """
    known = ~np.isnan(copies)
    with np.errstate(invalid="ignore"):
        bld = known & ((copies <= 0) | (copies <= limits.lob) | (copies < limits.lod))
        blq = known & ~bld & (copies < limits.lloq)
        over = known & ~bld & ~blq & ((copies > limits.uloq) | above)
    chosen = [bld, blq, over, known]
    detection = np.select(chosen, ["BLD", "BLQ", "above_uloq", "quantified"], "").astype(object)
    censoring = np.select(chosen, ["left", "left", "right", "none"], "").astype(object)
    detection[~known], censoring[~known] = None, None
    reaction = np.fmax(upper, limits.lob)
    of_bld = np.where(np.isnan(limits.lod), limits.lloq, limits.lod)
    of_bld = np.where(np.isnan(of_bld), reaction, of_bld)
    nothing = np.full(len(copies), np.nan)
    lower = np.select(
        chosen, [np.zeros_like(copies), np.nan_to_num(limits.lod), limits.uloq, copies], nothing
    )
    return Detected(
        detection, censoring, lower, np.select(chosen, [of_bld, limits.lloq, nothing, copies], nothing)
    )
