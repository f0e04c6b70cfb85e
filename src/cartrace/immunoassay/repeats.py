"""What the laboratory has to measure again, why, and what to do, in words for a technician."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cartrace.plates.repeats import Remedy, dilution_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Texts = NDArray[np.object_]

_PLATE = "repeat the plate"
_READ = "read it again, by a third reader if need be"
_AGAIN = "repeat in all replicates"
REMEDIES: dict[str, Remedy] = {
    "sample_mismatch": Remedy(
        "layout and file name different things", "find out which sample was in the wells, then repeat"
    ),
    "sample_mapped_twice": Remedy("the layout gives a well two samples", "correct the layout"),
    "unit_unknown": Remedy("the file's unit can't be converted", "export again, or correct the assay file"),
    "vendor_dilution": Remedy(
        "results would be wrong by the dilution", "correct holds_dilution in the assay file"
    ),
    "curve_missing": Remedy("no calibration curve", _PLATE),
    "curve_direction": Remedy(
        "the signal of the standards goes the wrong way", "correct layout or assay file, or repeat the plate"
    ),
    "standard_recovery": Remedy("standards miss their concentration", _PLATE),
    "standard_recovery_ends": Remedy("standards miss their concentration", _PLATE),
    "standard_cv": Remedy("the wells of a standard disagree", _PLATE),
    "standards_within": Remedy("too many standards miss their concentration", _PLATE),
    "standard_levels": Remedy("too few levels of standards", _PLATE),
    "blank_signal": Remedy("the blank is too high", f"look for contamination, then {_PLATE}"),
    "blank_missing": Remedy("the plate has no blank", _PLATE),
    "control_missing": Remedy("the plate lacks a control", _PLATE),
    "control_weak": Remedy("the control reads like a blank", _PLATE),
    "control_recovery": Remedy("the control misses its concentration", _PLATE),
    "control_range": Remedy("the control is out of its range", _PLATE),
    "hook": Remedy("all dilutions may be past the hook", "measure again at {further}"),
    "above_uloq": Remedy(
        "above the upper limit of quantification", "dilute {further} and repeat", alone=True
    ),
    "above_series": Remedy("positive at every dilution", "repeat with dilutions beyond {last}", alone=True),
    "dilutions_contradict": Remedy("the dilutions contradict each other", "dilute again and repeat"),
    "linearity": Remedy("the dilutions disagree", "repeat at several dilutions", alone=True),
    "parallelism_p": Remedy("the dilutions do not follow the standards", "repeat at several dilutions"),
    "replicate_cv": Remedy("the replicates disagree", _AGAIN, alone=True),
    "replicates_straddle": Remedy("some replicates lie beyond the curve", _AGAIN, alone=True),
    "imprecise": Remedy("the curve is too flat there", "repeat at another dilution"),
    "bead_count": Remedy("too few beads", "repeat the wells"),
    "readings_disagree": Remedy("the readings are more than one step apart", _READ),
    "not_monotone": Remedy("a positive dilution beyond a negative one", "repeat the series", alone=True),
    "reading_unknown": Remedy("a reading that says neither + nor -", "correct the file"),
    "dilution_unknown": Remedy("no dilution is known of the wells", "state it in the layout"),
    "below_start": Remedy("an end point below the starting dilution", "correct the file or the assay file"),
    "reading_missing": Remedy("the file has no reading of the wells", "export again, or repeat"),
    "omitted": Remedy("all wells were left out", "say why, or repeat"),
    "no_well_left": Remedy("no well could be used", _AGAIN),
}
"""Broken rule or flag -> what to do. In the order in which they are told: what holds for the whole plate first."""


def repeat_reasons(samples: pd.DataFrame) -> Texts:
    """Say of each sample why it is to be measured again and what to do; an empty text where nothing is.

    Asked for are rejected results of samples, those that were left out, and those whose flags ask for
    another measurement by themselves. A sample that another plate answers, with the same target and
    assay and without such a flag, is left alone. A name that stands for nobody is not asked for.

    Parameters
    ----------
    samples
        The contract SAMPLES of all plates.

    Returns
    -------
    (n,) array of str
    """
    known = samples["subject_id"].notna() | samples["sample_id"].notna()
    asked = (samples["task"].eq("unknown") & known).to_numpy(bool)
    names = [
        _names(flags, detection, readout)
        for flags, detection, readout in zip(
            samples["flags"].fillna(""), samples["detection"].fillna(""), samples["readout"], strict=True
        )
    ]
    lost = samples["verdict"].isin(["rejected", "not_used"]).to_numpy(bool)
    again = asked & (lost | np.array([any(REMEDIES[n].alone for n in told) for told in names], dtype=bool))
    identity = ["subject_id", "sample_id", "matrix", "infusion", "day", "visit", "target", "assay"]
    who = pd.MultiIndex.from_frame(samples[identity].astype("string").fillna(""))
    answered = who.isin(who[asked & ~again])
    result, uloq, used = (
        samples[c].to_numpy(dtype=np.float64, na_value=np.nan) for c in ("result", "uloq", "dilution_used")
    )
    out = np.full(len(samples), "", dtype=object)
    for i in np.flatnonzero(again & ~answered):
        told = names[i] if lost[i] else [n for n in names[i] if REMEDIES[n].alone]
        already = used[i] if math.isfinite(used[i]) else 1.0
        out[i] = _words(
            told, further=f"1:{dilution_for(result[i], uloq[i]) * already:g}", last=f"1:{uloq[i]:g}"
        )
    return out


def _names(flags: str, detection: str, readout: str) -> list[str]:
    found = set(flags.split(";"))
    if detection == "above_uloq":
        found.add("above_series" if readout == "titre" else "above_uloq")
    if detection:
        # With a result, another dilution took the place of the one past the hook.
        found.discard("hook")
    told = [name for name in REMEDIES if name in found]
    # That no well is left only follows from what is wrong with the wells.
    return [n for n in told if n not in {"no_well_left", "omitted"}] or told


def _words(names: list[str], **numbers: str) -> str:
    by_action: dict[str, list[str]] = {}
    for name in names:
        whys = by_action.setdefault(REMEDIES[name].action.format(**numbers), [])
        if REMEDIES[name].why not in whys:
            whys.append(REMEDIES[name].why)
    if not by_action:
        return "The result was rejected: repeat."
    parts = [f"{', and '.join(whys)}: {action}" for action, whys in by_action.items()]
    return ". ".join(p[0].upper() + p[1:] for p in parts) + "."
