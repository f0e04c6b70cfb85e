"""Acceptance rules of plates as data, and the findings that they give.

A rule is a quantity with an allowed range and a consequence (cartrace.config). What a rule
looks at is data; which numbers it is given is decided where plates are judged. A finding says
what was found, and whom it marks: wells, one sample, or every sample of a target.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import pandas as pd
from pydantic import ValidationError

from cartrace.config import Acceptance as Limits
from cartrace.config import AcceptanceRule
from cartrace.problems import InputError, redact_dates
from cartrace.tables import QC, rows
from cartrace.validation import problem_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Rules = TypeVar("Rules", bound=Limits)
Scope = Literal["well", "sample", "curve", "plate"]
Mark = Literal["wells", "sample", "target"]
FindingVerdict = Literal["pass", "note", "warn", "fail"]

ROUNDING = 1e-9
"""Relative error of floating point that no rule may be broken by: a slope of -3.6 is allowed where -3.6 is."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one field of the acceptance rules looks at."""

    name: str
    scope: Scope
    quantity: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The rules of one assay: the configuration's, with the assay file's changes over them."""

    limits: Limits
    rules: Mapping[str, Rule]
    section: str
    """Section of the configuration: ``pcr.acceptance``."""
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
        field = type(self.limits).model_fields[name]
        if self.limit(name) != field.default:
            return f"configuration, {self.section}.{name}"
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
        rule, unit = self.limit(name), self.rules[name].unit
        lower, upper = (None if x is None else number(x * scale) for x in (rule.lower, rule.upper))
        if lower is not None and upper is not None:
            text = f"exactly {lower}" if lower == upper else f"{lower} to {upper}"
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


def rules_over(settings: Rules, changes: Mapping[str, Mapping[str, Any]], section: str) -> Rules:
    """Put the rules of an assay file over those of the configuration.

    Raises
    ------
    InputError
        When a limit of the assay file and one of the configuration exclude each other.
    """
    try:
        return type(settings).over(settings, changes)
    except ValidationError as error:
        raise InputError(
            [
                problem_of(e, f"acceptance of the assay file over {section}", type(settings))
                for e in error.errors()
            ]
        ) from None


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
