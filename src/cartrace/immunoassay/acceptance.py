"""Acceptance rules of immunoassay plates as data.

Which numbers a rule is given is decided in :mod:`cartrace.immunoassay.checks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartrace.immunoassay import standards
from cartrace.plates.acceptance import Acceptance, Rule, rules_over

if TYPE_CHECKING:
    from cartrace.config import ImmunoassayAcceptance
    from cartrace.immunoassay.assay import Assay

SECTION = "immunoassay.acceptance"
RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("standard_recovery", "curve", "back-calculated mean of a level of standards", "% of nominal"),
        Rule(
            "standard_recovery_ends",
            "curve",
            "back-calculated mean of the lowest and the highest level",
            "% of nominal",
        ),
        Rule("standards_within", "curve", "share of the levels of standards within tolerance", "%"),
        Rule("standard_levels", "curve", "levels of standards within tolerance"),
        Rule("standard_cv", "curve", "CV of the signals of a level of standards", "%"),
        Rule("replicate_cv", "sample", "CV between the wells of a sample", "%"),
        Rule("control_recovery", "plate", "recovery of a control", "% of its concentration"),
        Rule("control_range", "plate", "distance of a control from its range"),
        Rule("bead_count", "well", "beads behind a signal"),
        Rule("linearity", "sample", "largest deviation of a dilution from the median of the dilutions", "%"),
        Rule("parallelism_p", "sample", "p of the test that the dilutions follow the standards"),
        Rule("blank_signal", "plate", "mean blank", "% of the lowest accepted standard"),
        Rule("anchored_dilution", "sample", "starting dilution over that of the subject's other samples"),
    )
}
"""Every rule. ``anchored_dilution`` is judged over all plates (cartrace.immunoassay.results); the others on one."""


def acceptance_of(settings: ImmunoassayAcceptance, assay: Assay) -> Acceptance:
    """Put the rules of the assay file over those of the configuration.

    Raises
    ------
    InputError
        When a limit of the assay file and one of the configuration exclude each other.
    """
    merged = rules_over(settings, assay.acceptance, SECTION)
    return Acceptance(merged, RULES, SECTION, frozenset(assay.acceptance))


def standard_rules(acceptance: Acceptance) -> standards.Rules:
    """Return the rules of standards as the calibration takes them; no limit is 0."""
    recovery, ends = (acceptance.limit(n) for n in ("standard_recovery", "standard_recovery_ends"))
    return standards.Rules(
        recovery=(recovery.lower, recovery.upper),
        recovery_ends=(ends.lower, ends.upper),
        within_percent=acceptance.limit("standards_within").lower or 0.0,
        min_levels=int(acceptance.limit("standard_levels").lower or 0),
    )
