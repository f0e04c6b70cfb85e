"""Acceptance rules of PCR plates as data.

Which numbers a rule is given is decided in :mod:`cartrace.pcr.checks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartrace.plates.acceptance import Acceptance, Rule, rules_over

if TYPE_CHECKING:
    from cartrace.config import PcrAcceptance
    from cartrace.pcr.assay import Assay

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("slope", "curve", "slope of the standard curve", "Cq per decade"),
        Rule("efficiency", "curve", "amplification efficiency", "%"),
        Rule("r2", "curve", "r2 of the standard curve"),
        Rule("standard_levels", "curve", "levels of standards within tolerance"),
        Rule("standard_recovery", "curve", "back-calculated mean of a level of standards", "% of nominal"),
        Rule("standards_within", "curve", "share of the levels of standards within tolerance", "%"),
        Rule("replicates", "sample", "wells used"),
        Rule(
            "replicate_cq_sd",
            "sample",
            "standard deviation of Cq between the wells beyond counting",
            "cycles",
        ),
        Rule("replicate_cv", "sample", "CV of copies between the wells beyond counting", "%"),
        Rule("ntc_cq_margin", "plate", "Cq of a blank above that of the lowest quantifiable level", "cycles"),
        Rule("ntc_copies", "plate", "signal of a blank"),
        Rule("control_recovery", "plate", "recovery of a control", "% of its expected copies"),
        Rule("inhibition_shift", "well", "shift of the inhibition control", "cycles"),
        Rule(
            "inhibition_recovery",
            "well",
            "recovery of the inhibition control",
            "% of that in the no-template controls",
        ),
        Rule("partitions", "well", "accepted partitions"),
        Rule("copies_per_partition", "well", "copies per partition"),
        Rule("volume_audit", "well", "partition volume implied by the instrument's concentration", "% away"),
        Rule("dna_ng", "sample", "genomic DNA in the reaction", "ng"),
    )
}
"""Every rule. ``dna_ng`` is judged once the extractions are known (cartrace.pcr.results); the others on the plate."""

OTHER_FLAGS: dict[str, str] = {
    "sample_unmapped": "The name on the plate stands for no sample.",
    "sample_mapped_twice": "The plate map gives the well two samples.",
    "sample_mismatch": "The plate map and the file name different samples.",
    "vendor_no_call": "The instrument's software set no threshold, so nothing was counted.",
    "reading_missing": "The file has no reading of the well: neither a number nor 'undetermined'.",
    "well_twice": "The file has the target of the well twice, so nobody knows which row holds.",
    "omitted": "Left out by the operator in the instrument's software.",
    "standard_without_quantity": "The file gives a standard no quantity.",
    "curve_missing": "No standard curve quantifies the target.",
    "volume_missing": "The partition volume or the volume of the reaction is not known.",
    "below_standards": "Fewer copies than the lowest standard, and no LLOQ above that says so.",
    "above_standards": "More copies than the highest standard.",
    "no_well_left": "No well of the sample could be used.",
    "reference_gene": "The reference gene was looked for in the sample and not found.",
    "ntc_missing": "The plate has no usable no-template control of the target.",
    "inhibition_unchecked": "The inhibition control of the assay was not read for the wells.",
    "stored_curve_unchecked": "Nothing on the plate shows that the stored curve still holds.",
}
"""Flags that are not broken rules."""


def acceptance_of(settings: PcrAcceptance, assay: Assay) -> Acceptance:
    """Put the rules of the assay file over those of the configuration.

    Raises
    ------
    InputError
        When a limit of the assay file and one of the configuration exclude each other.
    """
    merged = rules_over(settings, assay.acceptance, "pcr.acceptance")
    return Acceptance(merged, RULES, "pcr.acceptance", frozenset(assay.acceptance))
