"""The paragraphs on safety in the methods of the report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cartrace.report.safety import TERM_LABELS

if TYPE_CHECKING:
    from cartrace.config import Safety


def sections(settings: Safety, standards: Mapping[str, str], *, shown: bool) -> list[tuple[str, str]]:
    """Describe how toxicity was graded and counted, as (heading, text) pairs.

    Parameters
    ----------
    settings
        Section ``safety`` of the configuration.
    standards
        Graded term -> its table of thresholds and source, of the terms that the trial observes.
    shown
        Whether the report has a safety page; without one nothing is said.
    """
    if not shown:
        return []
    parts = []
    if standards:
        parts.append(("Safety: grades", _grades(settings, standards)))
    return [*parts, ("Safety: counting", _counting(settings))]


def _grades(settings: Safety, standards: Mapping[str, str]) -> str:
    by_standard: dict[str, list[str]] = {}
    for term in TERM_LABELS:
        if term in standards:
            by_standard.setdefault(standards[term], []).append(TERM_LABELS[term][0])
    # Where the tables were read stands on the safety page, under Thresholds.
    graded = [
        f"{_named(terms)} by {re.sub(r'; read in [^;[]*', '', standard).strip()}"
        for standard, terms in by_standard.items()
    ]
    text = f"Toxicity was graded: {'; '.join(graded)}. "
    if {"crs", "icans"} & set(standards):
        text += (
            f"CRS and ICANS were graded for each day from the infusion to day {settings.acute_days:g} from what was "
            "recorded at the bedside; the worst observation of a day counts. "
        )
        if settings.charted_by_exception:
            items = ", ".join(i.replace("_", " ") for i in settings.charted_by_exception)
            text += (
                f"These were recorded only when abnormal, and taken as normal on a day with another observation for the same "
                f"grade: {items}. "
            )
        else:
            text += "Nothing was taken as normal because it was not recorded. "
    text += (
        "Where a missing observation left more than one grade possible, the grade was not chosen: it is reported as open, "
        "between the lowest and the highest possible one. Grade 5 (death from the event) was assigned by clinicians only. "
    )
    if any(term.startswith("icaht") for term in standards):
        icaht = settings.icaht
        which = "all days" if icaht.count == "cumulative" else "the longest stretch of days"
        text += (
            f"Depth and duration of low counts (ICAHT) count {which} at a threshold; stretches with fewer than "
            f"{icaht.stable_days} days above it between them are joined. Nothing was interpolated: a day without a count is "
            f"known only from counts that lie at most {icaht.carry_days} days away, and the others stay unknown. "
        )
    counts = {"neutropenia", "thrombocytopenia", "anaemia", "lymphopenia"} & set(standards)
    if counts:
        limits = ", ".join(f"{x.analyte} {x.value:g} {x.unit}" for x in settings.lower_limits)
        text += (
            f"Lower limits of normal for grade 1 of blood counts: {limits}. "
            if limits
            else "No lower limit of normal was given, so that grades 0 and 1 of blood counts are not told apart. "
        )
    return text.strip()


def _named(terms: list[str]) -> str:
    """Join the labels of terms; the first letter stays, since most begin with an abbreviation."""
    return ", ".join(terms[:-1]) + (" and " if len(terms) > 1 else "") + terms[-1]


def _counting(settings: Safety) -> str:
    drugs = ", ".join(t.name for t in settings.treatments)
    return (
        "Each patient counts once for a term, with the highest grade after an infusion and before the next one. Percentages "
        "are of the patients assessed; a patient without observations is not assessed, and not counted as free of the "
        "toxicity. Events that clinicians reported are given in percent of all patients with the infusion, since a missing "
        "report may mean no event or no question. Where a patient's grade is open, the count is given as a range, "
        "without and with that patient. Intervals of percentages are exact "
        "(Clopper and Pearson 1934, 95 %). Clinicians' grades stand beside the computed ones; neither replaces the other. "
        "Onset is the first day of any grade; a duration counts first and last day, is known from below while it lasts, and "
        "of several reported events is that of the longest. "
        + (
            f"Drugs against toxicity ({drugs}) count when they began from the infusion to day {settings.treatment_days:g}, "
            "unless the patient was taking the same drug at the infusion."
            if drugs
            else ""
        )
    ).strip()
