"""What the laboratory has to measure again, why, and what to do, in words for a technician."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cartrace.plates.repeats import Remedy, dilution_for

if TYPE_CHECKING:
    from cartrace.pcr.normalise import Texts


_PLATE = "repeat the plate"
REMEDIES: dict[str, Remedy] = {
    "sample_mismatch": Remedy(
        "plate map and file name different samples", "find out which sample was in the wells, then repeat"
    ),
    "sample_mapped_twice": Remedy("the plate map gives a well two samples", "correct the plate map"),
    "well_twice": Remedy("the file reads a well twice", "export again with one reading of each well"),
    "curve_missing": Remedy("no standard curve", "repeat the plate with standards, or name a stored curve"),
    "volume_missing": Remedy(
        "the volume of partition or reaction is not known", "state it in the assay file"
    ),
    "slope": Remedy("the slope of the standard curve is out of range", _PLATE),
    "efficiency": Remedy("the amplification efficiency is out of range", _PLATE),
    "r2": Remedy("the standards do not lie on a line", _PLATE),
    "standard_levels": Remedy("too few levels of standards", _PLATE),
    "standards_within": Remedy("too many standards miss their nominal copies", _PLATE),
    "ntc_cq_margin": Remedy("the no-template control is positive", f"look for contamination, then {_PLATE}"),
    "ntc_copies": Remedy("the no-template control is positive", f"look for contamination, then {_PLATE}"),
    "control_recovery": Remedy("the control misses its expected copies", _PLATE),
    "inhibition_shift": Remedy("the PCR is inhibited", "dilute the eluate {dilution} and repeat", alone=True),
    "inhibition_recovery": Remedy(
        "the PCR is inhibited", "dilute the eluate {dilution} and repeat", alone=True
    ),
    "copies_per_partition": Remedy(
        "too many copies for the partitions", "dilute the eluate {range} and repeat", alone=True
    ),
    "above_standards": Remedy("above the standards", "dilute the eluate {range} and repeat", alone=True),
    "above_uloq": Remedy(
        "above the upper limit of quantification", "dilute the eluate {range} and repeat", alone=True
    ),
    "partitions": Remedy("too few partitions", "repeat the wells", alone=True),
    "replicates": Remedy("too few wells could be used", "repeat in all replicates", alone=True),
    "replicate_cq_sd": Remedy("the replicates disagree", "repeat in all replicates", alone=True),
    "replicate_cv": Remedy("the replicates disagree", "repeat in all replicates", alone=True),
    "too_little_dna": Remedy(
        "too little DNA in the reaction", "extract again, or concentrate the eluate", alone=True
    ),
    "too_much_dna": Remedy("too much DNA in the reaction", "dilute the eluate and repeat"),
    "volume_audit": Remedy(
        "the instrument's software counted with another partition volume",
        "correct it there, and export again",
    ),
    "vendor_no_call": Remedy("the instrument set no threshold", "set the threshold and export again"),
    "reading_missing": Remedy("the file has no reading of the wells", "export again, or repeat"),
    "reference_gene": Remedy("the reference gene was not quantified", "repeat both targets", alone=True),
    "omitted": Remedy("all wells were omitted", "say why, or repeat"),
    "no_well_left": Remedy("no well could be used", "repeat in all replicates"),
}
"""Broken rule or flag -> what to do. In the order in which they are told: what holds for the whole plate first."""


def repeat_reasons(samples: pd.DataFrame, extra: Texts) -> Texts:
    """Say of each sample why it is to be measured again and what to do; an empty text where nothing is.

    Asked for are rejected results of transgenes in samples, and those whose flags ask
    for another measurement by themselves. A sample that another plate answers, with the
    same target and assay and without such a flag, is left alone.

    Parameters
    ----------
    samples
        The contract SAMPLES of all plates, with detection.
    extra : (n,) array of str
        Names of REMEDIES that are no flags of the sample, joined by ``;``.

    Returns
    -------
    (n,) array of str
    """
    asked = samples["role"].eq("transgene") & samples["task"].eq("unknown")
    names = [
        _names(flags, more, detection)
        for flags, more, detection in zip(
            samples["flags"].fillna(""), extra, samples["detection"].fillna(""), strict=True
        )
    ]
    rejected = samples["verdict"].isin(["rejected", "not_used"]).to_numpy(bool)
    again = asked.to_numpy(bool) & (
        rejected | np.array([any(REMEDIES[n].alone for n in told) for told in names], dtype=bool)
    )
    who = pd.MultiIndex.from_frame(samples[["sample", "target", "assay"]].astype("object"))
    answered = who.isin(who[asked.to_numpy(bool) & ~again])
    copies, uloq, dilution = (
        samples[c].to_numpy(dtype=np.float64, na_value=np.nan) for c in ("copies", "uloq", "dilution")
    )
    out = np.full(len(samples), "", dtype=object)
    for i in np.flatnonzero(again & ~answered):
        told = names[i] if rejected[i] else [n for n in names[i] if REMEDIES[n].alone]
        out[i] = _words(told, copies[i], uloq[i], dilution[i])
    return out


def _names(flags: str, extra: str, detection: str) -> list[str]:
    found = {*flags.split(";"), *str(extra).split(";")}
    if detection == "above_uloq" and "above_standards" not in found:
        found.add("above_uloq")
    told = [name for name in REMEDIES if name in found]
    # That no well is left only follows from what is wrong with the wells.
    return [n for n in told if n not in {"no_well_left", "omitted"}] or told


def _words(names: list[str], copies: float, uloq: float, dilution: float) -> str:
    already = dilution if math.isfinite(dilution) else 1.0
    by_action: dict[str, list[str]] = {}
    for name in names:
        remedy = REMEDIES[name]
        action = remedy.action.format(
            dilution=f"1:{5 * already:g}", range=f"1:{dilution_for(copies, uloq) * already:g}"
        )
        whys = by_action.setdefault(action, [])
        if remedy.why not in whys:
            whys.append(remedy.why)
    if not by_action:
        return "The result was rejected: repeat."
    parts = [f"{', and '.join(whys)}: {action}" for action, whys in by_action.items()]
    return ". ".join(p[0].upper() + p[1:] for p in parts) + "."
