"""Acceptance rules of PCR plates as data, and the findings that they give.

A rule is a quantity with an allowed range (config.PcrAcceptance) and a consequence.
What a rule looks at is data here; which numbers it is given is decided in
:mod:`cartrace.pcr.checks`. A finding says what was found, and whom it marks:
wells, one sample, or every sample of a target.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import ValidationError

from cartrace.config import AcceptanceRule, PcrAcceptance
from cartrace.problems import InputError, redact_dates
from cartrace.tables import QC, rows
from cartrace.validation import problem_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cartrace.pcr.assay import Assay

Scope = Literal["well", "sample", "curve", "plate"]
Mark = Literal["wells", "sample", "target"]
FindingVerdict = Literal["pass", "note", "warn", "fail"]

ROUNDING = 1e-9
"""Relative error of floating point that no rule may be broken by: a slope of -3.6 is allowed where -3.6 is."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one field of PcrAcceptance looks at."""

    name: str
    scope: Scope
    quantity: str
    unit: str = ""


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


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The rules of one assay: the configuration's, with the assay file's changes over them."""

    limits: PcrAcceptance
    changed: frozenset[str] = frozenset()
    """Rules that the assay file changes."""

    def limit(self, name: str) -> AcceptanceRule:
        """Return the allowed range and the consequence of a rule."""
        rule: AcceptanceRule = getattr(self.limits, name)
        return rule

    def source(self, name: str) -> str:
        """Say where the limits of a rule come from.

        The source in the configuration's description is that of the default, so it is
        named only while the default holds.
        """
        if name in self.changed:
            return f"assay file, acceptance.{name}"
        field = PcrAcceptance.model_fields[name]
        if self.limit(name) != field.default:
            return f"configuration, pcr.acceptance.{name}"
        text = field.description or ""
        return (text.partition(". ")[2] or text).removeprefix("Source: ")

    def broken(self, name: str, values: ArrayLike, *, scale: float = 1.0) -> NDArray[np.bool_]:
        """Say which values lie outside the rule's range times ``scale``; nan breaks nothing."""
        rule = self.limit(name)
        x = np.asarray(values, dtype=np.float64)
        out = np.zeros(x.shape, dtype=np.bool_)
        for bound, sign in ((rule.lower, -1.0), (rule.upper, 1.0)):
            if bound is not None:
                edge = bound * scale
                out |= sign * (x - edge) > ROUNDING * abs(edge)
        return out

    def limit_text(self, name: str, *, scale: float = 1.0) -> str:
        """Write the allowed range, as ``-3.6 to -3.1 Cq per decade``."""
        rule, unit = self.limit(name), RULES[name].unit
        lower, upper = (None if x is None else number(x * scale) for x in (rule.lower, rule.upper))
        if lower is not None and upper is not None:
            text = f"{lower} to {upper}"
        elif lower is not None:
            text = f"at least {lower}"
        elif upper is not None:
            text = f"at most {upper}"
        else:
            text = "any"
        return f"{text} {unit}".strip()

    def verdict(self, name: str, *, broken: bool) -> FindingVerdict:
        """Say how grave a finding of this rule is: fail rejects, warn flags, note does nothing."""
        if not broken:
            return "pass"
        consequences: dict[str, FindingVerdict] = {"reject": "fail", "flag": "warn", "ignore": "note"}
        return consequences[self.limit(name).consequence]


def acceptance_of(settings: PcrAcceptance, assay: Assay) -> Acceptance:
    """Put the rules of the assay file over those of the configuration.

    Raises
    ------
    InputError
        When a limit of the assay file and one of the configuration exclude each other.
    """
    try:
        merged = PcrAcceptance.over(settings, assay.acceptance)
    except ValidationError as error:
        raise InputError(
            [
                problem_of(e, "acceptance of the assay file over pcr.acceptance", PcrAcceptance)
                for e in error.errors()
            ]
        ) from None
    return Acceptance(merged, frozenset(assay.acceptance))


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found on the plate, and whom it marks with a flag of its name.

    ``wells`` are positions in the table of wells; ``sample`` is the position of the
    sample that is marked. A finding that marks and fails rejects; one that warns flags.
    """

    check: str
    verdict: FindingVerdict
    message: str
    target: str = ""
    wells: tuple[int, ...] = ()
    sample: int | None = None
    marks: tuple[Mark, ...] = ()
    value: str = ""
    limit: str = ""
    limit_source: str = ""
    suggestion: str = ""
    column: str = ""
    row: int | None = None


def rule_finding(
    acceptance: Acceptance,
    name: str,
    message: str,
    *,
    broken: bool,
    target: str,
    value: str,
    marks: tuple[Mark, ...],
    wells: Iterable[int] = (),
    sample: int | None = None,
    scale: float = 1.0,
    limit: str = "",
    limit_source: str = "",
) -> Finding:
    """Make the finding of a rule, with its limit and where that comes from."""
    return Finding(
        check=name,
        verdict=acceptance.verdict(name, broken=broken),
        message=message,
        target=target,
        wells=tuple(int(w) for w in wells),
        sample=sample,
        marks=marks,
        value=value,
        limit=limit or acceptance.limit_text(name, scale=scale),
        limit_source=limit_source or acceptance.source(name),
    )


def number(x: float) -> str:
    """Write a number for a message: four significant digits, no exponent below a million.

    >>> number(-3.32193), number(10000.0), number(12345678.0), number(float("inf"))
    ('-3.322', '10000', '1.235e+07', 'infinite')
    """
    if math.isinf(x):
        return "infinite"
    return f"{x:.0f}" if 1e4 <= abs(x) < 1e6 else f"{x:.4g}"


def qc_table(findings: Iterable[Finding], wells: pd.DataFrame, *, file_id: str) -> pd.DataFrame:
    """Write the findings as rows of QC, without calendar dates.

    Parameters
    ----------
    findings
        What was found.
    wells
        The table of wells: source_row, subject_id and sample_id of the first well of a
        finding are those of the row.
    file_id
        Of the plate.
    """
    source_row = wells["source_row"].to_numpy(object)
    subject, sample = wells["subject_id"].to_numpy(object), wells["sample_id"].to_numpy(object)

    def same(values: NDArray[np.object_], positions: tuple[int, ...]) -> object:
        found = {None if pd.isna(v) else v for v in values[list(positions)]}
        return found.pop() if len(found) == 1 else None

    return rows(
        [
            {
                "check": f.check,
                "verdict": f.verdict,
                "source_file": file_id,
                "source_row": f.row if f.row is not None else source_row[f.wells[0]] if f.wells else None,
                "source_column": f.column or None,
                "subject_id": same(subject, f.wells) if f.wells else None,
                "sample_id": same(sample, f.wells) if f.wells else None,
                "analyte": None,
                "value": redact_dates(f.value) or None,
                "limit": f.limit or None,
                "limit_source": f.limit_source or None,
                "message": redact_dates(f.message),
                "suggestion": redact_dates(f.suggestion) or None,
            }
            for f in findings
        ],
        QC,
    )
