"""What the codes of the PCR tables mean, in words: acceptance rules, tasks, Westgard rules."""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """One acceptance rule in words: what it is about, its unit, and what a sample that breaks it has."""

    label: str
    unit: str
    broken: str


RULES: dict[str, Rule] = {
    "slope": Rule("slope of a standard curve", "", "slope of the curve out of range"),
    "efficiency": Rule("efficiency of a standard curve", "%", "efficiency of the curve out of range"),
    "r2": Rule("r² of a standard curve", "", "r² of the curve too low"),
    "standard_levels": Rule(
        "levels of standards within tolerance", "", "too few levels of standards within tolerance"
    ),
    "standard_recovery": Rule("mean of a level of standards", "% of nominal", "standard off its nominal"),
    "standards_within": Rule(
        "share of the levels within that tolerance", "%", "too many levels of standards off"
    ),
    "replicates": Rule("wells used of a sample", "", "too few wells"),
    "replicate_cq_sd": Rule("standard deviation of Cq between replicates", "", "replicates scatter (Cq)"),
    "replicate_cv": Rule(
        "CV of copies between replicates beyond what counting explains", "%", "replicates scatter (copies)"
    ),
    "ntc_cq_margin": Rule(
        "Cq of a no-template control above that of the lower limit of quantification",
        "",
        "no-template control amplified",
    ),
    "ntc_copies": Rule(
        "positive partitions of a no-template control", "", "no-template control has positive partitions"
    ),
    "control_recovery": Rule("accuracy control", "% of expected", "accuracy control off its expected copies"),
    "inhibition_shift": Rule(
        "delay of the inhibition control", "cycles", "inhibited: the inhibition control comes late"
    ),
    "inhibition_recovery": Rule(
        "inhibition control in digital PCR",
        "% of expected",
        "inhibited: too little of the inhibition control",
    ),
    "partitions": Rule("accepted partitions of a well", "", "too few accepted partitions"),
    "copies_per_partition": Rule("copies per partition", "", "saturated: too few negative partitions"),
    "volume_audit": Rule(
        "partition volume that the instrument's concentration implies, away from the one used",
        "%",
        "the instrument's concentration implies another partition volume",
    ),
    "dna_ng": Rule("genomic DNA in a reaction", "ng", "amount of DNA out of range"),
}
"""By field of ``cartrace.config.PcrAcceptance``, in its order."""

FLAGS: dict[str, str] = {
    **{name: rule.broken for name, rule in RULES.items()},
    "sample_unmapped": "the name stands for no sample",
    "sample_mapped_twice": "the name stands for two samples",
    "sample_mismatch": "plate map and file name different samples",
    "vendor_no_call": "the instrument gave no call",
    "omitted": "left out by the operator",
    "curve_missing": "no standard curve",
    "below_standards": "below the lowest standard",
    "above_standards": "above the highest standard",
}

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

WESTGARD = {
    "1_2s": "1-2s: beyond 2 SD (a warning)",
    "1_3s": "1-3s: beyond 3 SD",
    "2_2s": "2-2s: two in a row beyond 2 SD on one side",
    "R_4s": "R-4s: two in a row more than 4 SD apart",
    "4_1s": "4-1s: four in a row beyond 1 SD on one side",
    "10_x": "10-x: ten in a row on one side of the centre",
}


def in_words(codes: str, words: dict[str, str]) -> str:
    """Write codes that are joined by ';' as words; what is not known stays as it is.

    >>> in_words("r2;odd_one", FLAGS)
    'r² of the curve too low; odd one'
    """
    return "; ".join(words.get(code, code.replace("_", " ")) for code in codes.split(";") if code)
