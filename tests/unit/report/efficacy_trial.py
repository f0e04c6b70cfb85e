"""The full trial with scores, responses and relapses, and every table of outcomes made from it."""

from __future__ import annotations

import dataclasses
from typing import Any

from tests.unit.report.full_trial import full_trial
from tests.unit.report.small_trial import measurement

from cartrace import tables
from cartrace.cohort.association import associate
from cartrace.cohort.characteristics import describe_subjects
from cartrace.cohort.key_results import Sources, key_results
from cartrace.cohort.outcomes import estimate_outcomes
from cartrace.cohort.summary import summarise
from cartrace.config import Config, load
from cartrace.efficacy.scores import compute_efficacy
from cartrace.report.efficacy import EfficacyTables
from cartrace.report.page import ReportData
from cartrace.safety.tables import TOXICITY

EDSS = {
    "matrix": "other",
    "analyte": "edss",
    "assay": "neurologist",
    "unit": "points",
    "lod": None,
    "lloq": 0.0,
}
VISITS = (("Screening", -6.0), ("M1", 28.0), ("M3", 84.0), ("M6", 180.0))
CONFIG: dict[str, Any] = {
    "cohort": {
        "association": {
            "permutations": 99,
            "depletion": ["nadir"],
            "response": {"groups": [{"name": "improved", "labels": ["improved"]}], "rest": "not improved"},
        }
    }
}


def settings() -> Config:
    return load(CONFIG | {"trial": {"title": "A trial"}})


def efficacy_trial(n: int = 12, hostile: str = "") -> ReportData:
    """A trial of ``n`` in which every second subject responds.

    The first patient goes from EDSS 1 to 0, the second stays; the third gets worse, then
    relapses, and was seen once more after the baseline only; the fourth has no baseline.
    """
    base = full_trial(n, hostile=hostile)
    ids = base.subjects["subject_id"].tolist()
    rows = []
    for k, subject in enumerate(ids):
        start = 1.0 if k == 0 else 3.0 + 0.5 * k
        change = (0.0, -1.0, -1.0, -1.0) if k % 2 == 0 else (0.0, 0.0, 0.0, 0.0)
        change = (0.0, 1.5) if k == 2 else change
        for (visit, day), step in zip(VISITS, change, strict=False):
            if k != 3 or day > 0:
                rows.append(measurement(subject, day, start + step, visit=f"{visit}{hostile}", **EDSS))
    measurements = tables.concat(
        [base.measurements, tables.rows(rows, tables.MEASUREMENTS)], tables.MEASUREMENTS
    )
    happened: list[dict[str, Any]] = [
        {"subject_id": s, "study_day": 90.0, "kind": "response", "label": "improved" if k % 2 == 0 else f"stable{hostile}"}
        for k, s in enumerate(ids)
    ]  # fmt: skip
    happened += [{"subject_id": ids[2], "study_day": 100.0, "kind": "relapse", "label": f"myelitis{hostile}"}]
    happened += [
        {
            "subject_id": ids[1],
            "study_day": 9.0,
            "kind": "infection",
            "label": f"pneumonia{hostile}",
            "grade": 3.0,
        }
    ]
    events = tables.concat([base.events, tables.rows(happened, tables.EVENTS)], tables.EVENTS)
    config = settings()
    scores = compute_efficacy(measurements, base.infusions, config.efficacy)
    metrics = tables.concat([base.metrics, scores], tables.METRICS)
    summary = summarise(metrics, base.subjects, config.cohort).summary
    outcomes = estimate_outcomes(base.subjects, base.infusions, events, config.cohort)
    associations = associate(metrics, base.subjects, events, config.cohort)
    sources = Sources(
        subjects=base.subjects,
        infusions=base.infusions,
        events=events,
        characteristics=describe_subjects(base.subjects, base.infusions, config.cohort),
        outcomes=outcomes.outcomes,
        metrics=metrics,
        summary=summary,
        associations=associations,
        toxicity=tables.rows(_toxicity(ids), TOXICITY),
    )
    return dataclasses.replace(
        base,
        measurements=measurements,
        metrics=metrics,
        events=events,
        associations=associations,
        efficacy=EfficacyTables(outcomes.outcomes, outcomes.curves, key_results(sources, {}, config)),
    )


def _toxicity(ids: list[str]) -> list[dict[str, Any]]:
    """CRS of all but the last, an open grade of the first, one infection."""
    row = {"infusion": 1, "source": "computed", "term": "crs"}
    found = [row | {"subject_id": s, "least": 1, "most": 1, "grade": 1} for s in ids[1:-1]]
    found.append(row | {"subject_id": ids[0], "least": 0, "most": 2})
    found.append(
        row | {"subject_id": ids[1], "term": "infection", "source": "clinician", "least": 3, "most": 3}
    )
    return found
