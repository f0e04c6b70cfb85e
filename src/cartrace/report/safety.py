"""What the safety page draws: the table of terms, grades by day, the highest of each patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from cartrace import tables
from cartrace.report.packing import Columns, Texts, columns
from cartrace.safety.tables import GRADES, SAFETY_SUMMARY, TOXICITY

if TYPE_CHECKING:
    import pandas as pd

TERM_LABELS: dict[str, tuple[str, str]] = {
    "crs": ("Cytokine release syndrome", "CRS"),
    "icans": ("Neurotoxicity (ICANS)", "ICANS"),
    "icaht_early": ("ICAHT days 0 to 30", "ICAHT early"),
    "icaht_late": ("ICAHT days 31 to 100", "ICAHT late"),
    "icaht_platelets_early": ("Platelet ICAHT days 0 to 30", "T-ICAHT early"),
    "icaht_platelets_late": ("Platelet ICAHT days 31 to 100", "T-ICAHT late"),
    "neutropenia": ("Neutropenia", "Neutropenia"),
    "thrombocytopenia": ("Thrombocytopenia", "Thrombo\N{ZERO WIDTH SPACE}cytopenia"),
    "anaemia": ("Anaemia", "Anaemia"),
    "lymphopenia": ("Lymphopenia", "Lymphopenia"),
    "infection": ("Infection", "Infection"),
}
"""Term -> its label, and a short one for the head of a column."""

BY_DAY = ("crs", "icans", "neutropenia", "thrombocytopenia", "anaemia", "lymphopenia")
"""Terms with a grade of each day."""

CHECKS = (
    "clinician_grade_differs",
    "contradictory_observations",
    "days_without_observation",
    "observed_briefly",
    "observations_outside",
)
"""Checks of the stage that the page lists."""


@dataclass(frozen=True, slots=True)
class SafetyTables:
    """The tables of the safety stage, in the contracts of ``cartrace.safety.tables``."""

    grades: pd.DataFrame = field(default_factory=partial(tables.empty, GRADES))
    toxicity: pd.DataFrame = field(default_factory=partial(tables.empty, TOXICITY))
    summary: pd.DataFrame = field(default_factory=partial(tables.empty, SAFETY_SUMMARY))

    @property
    def listed(self) -> bool:
        """Whether there is anything to show."""
        return len(self.summary) > 0

    @property
    def standards(self) -> dict[str, str]:
        """Graded term -> its table of thresholds and source, as the summary names them."""
        named = self.summary.dropna(subset=["standard"]).drop_duplicates("term")
        return {str(t): str(s) for t, s in zip(named["term"], named["standard"], strict=True)}


def payload(found: SafetyTables, number_of: Mapping[str, int], texts: Texts) -> dict[str, Any] | None:
    """Bring the tables into the compact form that the page's script reads.

    Parameters
    ----------
    found
        The tables.
    number_of
        Subject -> its number on the page; rows of others are left out.
    texts
        Texts of the page, to which those of the tables are added.

    Returns
    -------
    dict or None
        Plain lists, numbers and strings; None where there is nothing to show.
    """
    if not found.listed:
        return None
    return {
        "labels": {term: list(names) for term, names in TERM_LABELS.items()},
        "by_day": list(BY_DAY),
        "checks": list(CHECKS),
        "standards": {term: texts.place(text) for term, text in found.standards.items()},
        "summary": columns(found.summary, texts, ["standard"]),
        "grades": _of_subjects(found.grades, number_of, texts),
        "toxicity": _of_subjects(found.toxicity, number_of, texts),
    }


def _of_subjects(frame: pd.DataFrame, number_of: Mapping[str, int], texts: Texts) -> Columns:
    known = frame[frame["subject_id"].isin(list(number_of))]
    subjects = known["subject_id"].map(number_of).astype(int).tolist()
    return {"s": subjects, **columns(known, texts, ["subject_id"])}
