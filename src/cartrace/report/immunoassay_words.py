"""What the codes of the immunoassay tables mean, in words for a page."""

from __future__ import annotations

from cartrace.immunoassay import vocabulary
from cartrace.immunoassay.acceptance import RULES

BROKEN: dict[str, str] = {
    "standard_recovery": "a level of standards off its concentration",
    "standard_recovery_ends": "the lowest or highest standard off its concentration",
    "standards_within": "too many levels of standards off their concentration",
    "standard_levels": "too few levels of standards within tolerance",
    "standard_cv": "the wells of a level of standards scatter",
    "replicate_cv": "replicates scatter",
    "control_recovery": "a control off its expected concentration",
    "control_range": "a control out of its range",
    "bead_count": "too few beads",
    "linearity": "the dilutions disagree",
    "parallelism_p": "the dilutions do not follow the standards",
    "blank_signal": "the blank is too high",
    "anchored_dilution": "another starting dilution than the subject's other samples",
}
"""Broken acceptance rule (field of ``cartrace.config.ImmunoassayAcceptance``) -> what a technician reads."""

FLAGS: dict[str, str] = BROKEN | vocabulary.FLAGS

WHOLE_PLATE = [
    *(rule.name for rule in RULES.values() if rule.scope in {"curve", "plate"}),
    "curve_missing",
    "curve_direction",
    "uncontrolled",
    "unit_unknown",
    "blank_missing",
    "control_missing",
    "control_weak",
    "cutoff_unproven",
]
"""Checks that say something about every sample of a target: a page names them first."""

TASKS: dict[str, tuple[str, str]] = {
    "unknown": ("U", "sample"),
    "standard": ("S", "standard"),
    "blank": ("B", "blank"),
    "control": ("C", "control"),
    "negative_control": ("–", "negative control"),
    "positive_control": ("+", "positive control"),
    "empty": ("E", "empty well"),
    "other": ("O", "other"),
}
"""Letter on the plate map, and words."""

SIGNALS = {
    "absorbance": "absorbance (OD)",
    "fluorescence": "fluorescence",
    "luminescence": "luminescence",
    "mfi": "median fluorescence (MFI)",
    "ecl": "electrochemiluminescence (ECL counts)",
}

READOUTS = {"concentration": "concentrations", "titre": "end-point titres", "index": "ratios of signals"}

MODELS = {"4pl": "4PL", "5pl": "5PL", "linear": "line", "vendor": "the instrument's own concentrations"}

LIMITS_FROM = {
    "accepted_range": "lowest and highest accepted standard",
    "precision_profile": "precision profile",
    "assay_file": "assay file",
}

RANGES = {
    "inside": "within the limits",
    "below_curve": "below the curve",
    "above_curve": "above the curve",
    "below_lloq": "below the lower limit of quantification",
    "above_uloq": "above the upper limit of quantification",
    "hook": "may be past the hook",
}

EXCLUSIONS = {"omitted": FLAGS["omitted"], "ignored": "the assay file lists this name as no sample"}
"""Why a well is not used; what the layout says stands as it is written there."""


def weights(weighting: str, power: float | None) -> str:
    """Write the weights of the standards.

    >>> weights("1/y2", 2.0), weights("power", 1.8), weights("estimated_power", 1.234), weights("none", 0.0)
    ('weights 1/y²', 'weights 1/y^1.8', 'weights 1/y^1.23 (estimated)', 'no weights')
    """
    if weighting == "none":
        return "no weights"
    if weighting in {"1/y", "1/y2"}:
        return "weights " + weighting.replace("y2", "y²")
    found = "p" if power is None else f"{power:.3g}"
    return f"weights 1/y^{found}" + (" (estimated)" if weighting == "estimated_power" else "")
