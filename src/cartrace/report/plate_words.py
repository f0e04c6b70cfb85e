"""What the codes of the PCR tables mean, in words for a page: flags, tasks, methods, Westgard rules."""

from __future__ import annotations

from cartrace.pcr.acceptance import OTHER_FLAGS, RULES
from cartrace.plates.westgard import MEANING

BROKEN: dict[str, str] = {
    "slope": "slope of the curve out of range",
    "efficiency": "efficiency of the curve out of range",
    "r2": "r² of the curve too low",
    "standard_levels": "too few levels of standards within tolerance",
    "standard_recovery": "standard off its nominal copies",
    "standards_within": "too many levels of standards off their nominal copies",
    "replicates": "too few wells",
    "replicate_cq_sd": "replicates scatter (Cq)",
    "replicate_cv": "replicates scatter (copies)",
    "ntc_cq_margin": "a blank amplified",
    "ntc_copies": "a blank has a signal",
    "control_recovery": "control off its expected copies",
    "inhibition_shift": "inhibited: the inhibition control comes late",
    "inhibition_recovery": "inhibited: too little of the inhibition control",
    "partitions": "too few accepted partitions",
    "copies_per_partition": "saturated: too few negative partitions",
    "volume_audit": "the instrument's concentration implies another partition volume",
    "dna_ng": "amount of DNA out of range",
}
"""Broken acceptance rule (field of ``cartrace.config.PcrAcceptance``) -> what a technician reads."""

FLAGS: dict[str, str] = BROKEN | {
    name: text[0].lower() + text[1:].rstrip(".") for name, text in OTHER_FLAGS.items()
}

WHOLE_PLATE = [
    *(rule.name for rule in RULES.values() if rule.scope in {"curve", "plate"}),
    "curve_missing",
    "volume_missing",
]
"""Checks that say something about every sample of a target: a page names them first."""

TASKS: dict[str, tuple[str, str]] = {
    "unknown": ("U", "sample"),
    "standard": ("S", "standard"),
    "ntc": ("N", "no-template control"),
    "negative_control": ("–", "negative control"),
    "positive_control": ("+", "positive control"),
    "accuracy_control": ("A", "accuracy control"),
    "inhibition_control": ("I", "inhibition control"),
    "blocked_inhibition_control": ("B", "blocked inhibition control"),
    "empty": ("E", "empty well"),
    "other": ("O", "other"),
}
"""Letter on the plate map, and words."""

METHODS = {"qpcr": "qPCR", "dpcr": "digital PCR"}

WESTGARD = {rule: f"{rule.replace('_', '-')}: {meaning}" for rule, meaning in MEANING.items()}


def in_words(codes: str, words: dict[str, str]) -> str:
    """Write codes that are joined by ';' as words; what is not known stays as it is.

    >>> in_words("r2;odd_one", FLAGS)
    'r² of the curve too low; odd one'
    """
    return "; ".join(words.get(code, code.replace("_", " ")) for code in codes.split(";") if code)
