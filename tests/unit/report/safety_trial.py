"""The full trial with bedside observations, blood counts and many drugs, graded by the stage itself."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from tests.unit.report.full_trial import full_trial
from tests.unit.report.small_trial import measurement

from cartrace import registry, tables
from cartrace.config import Cohort, Safety
from cartrace.report.page import ReportData
from cartrace.report.safety import SafetyTables
from cartrace.safety.summary import summarise_safety
from cartrace.safety.tables import OBSERVATIONS
from cartrace.safety.thresholds import read_standards
from cartrace.safety.toxicity import grade_toxicity

STANDARDS = read_standards((Path(__file__).parents[3] / "resources" / "safety").glob("*.yaml"))
SETTINGS = Safety(
    charted_by_exception=("fever_masked", "hypotension", "vasopressors", "vasopressin", "seizure", "motor_weakness", "cerebral_oedema")
)  # fmt: skip
DRUGS = (
    ("tocilizumab", 3, None),
    ("dexamethasone", 3, 6),
    ("methylprednisolone", 20, 40),
    ("aciclovir", 0, 180),
    ("trimethoprim-sulfamethoxazole", 28, 200),
    ("prednisone", -20, -6),
    ("filgrastim", 9, 14),
    ("levetiracetam", 0, 30),
    ("mycophenolate mofetil", -60, -30),
    ("fluconazole", 0, 60),
)


def observed(subject: str, k: int, hostile: str) -> list[dict[str, Any]]:
    """Fifteen days: every third subject has no CRS, P05 no oxygen in the sheet, P07 nothing at all."""
    if k == 6:
        return []
    out = []
    for day in range(15):
        hot = k % 3 != 2 and 2 <= day <= 3 + k % 4
        items: dict[str, Any] = {"temperature_c": 39.1 if hot else 36.7, "ice": 8 if k == 1 and day in {5, 6} else 10, "consciousness": "alert"}  # fmt: skip
        if k != 4:
            items["oxygen"] = "low_flow" if hot and k % 4 == 1 else "none"
        if k in {1, 3} and day < 8:
            items["crs_grade"] = (2 if k == 1 else 3) if hot else 0
        out += [
            {
                "subject_id": subject,
                "infusion": 1,
                "day": float(day),
                "study_day": float(day),
                "item": item,
                "number": None if isinstance(value, str) else float(value),
                "word": value if isinstance(value, str) else None,
                "source_row": 2,
            }
            for item, value in items.items()
        ]
    return out


def counted(subject: str, k: int) -> list[dict[str, Any]]:
    out = []
    for analyte, start, low in (("neutrophils", 4.0, 0.05 * (1 + k)), ("platelets", 220.0, 15.0 + 9 * k)):
        course = {"analyte": analyte, "assay": "blood_count", "unit": "1e9/L", "lod": None, "lloq": 0.01}
        for day in (-5, 0, 2, 4, 6, 8, 10, 12, 14, 17, 21, 24, 28, 42, 56, 84):
            depth = max(0.0, 1 - abs(day - 9) / (5 + k))
            out.append(measurement(subject, day, start * (1 - depth) + low * depth, **course))
    return out


@cache
def safety_trial(n: int = 12, hostile: str = "") -> ReportData:
    """The full trial with everything that the safety pages show."""
    base = full_trial(n, hostile=hostile)
    ids = base.subjects["subject_id"].tolist()
    events = [
        {"subject_id": ids[1], "kind": "drug", "label": name + hostile, "study_day": float(day), "end_study_day": end, "dose": 8.0, "dose_unit": "mg"}
        for name, day, end in DRUGS
    ]  # fmt: skip
    events += [
        {"subject_id": ids[k % n], "kind": "adverse_event", "label": f"Nausea{hostile}", "study_day": 4.0 + k, "end_study_day": 6.0 + 2 * k, "grade": g}
        for k, g in ((1, 1.0), (3, 2.0), (5, None))
    ]  # fmt: skip
    all_events = pd.concat([base.events, tables.rows(events, tables.EVENTS)], ignore_index=True)
    observations = tables.rows([r for k, s in enumerate(ids) for r in observed(s, k, hostile)], OBSERVATIONS)
    counts = tables.rows([r for k, s in enumerate(ids) for r in counted(s, k)], tables.MEASUREMENTS)
    measurements = pd.concat([base.measurements, counts], ignore_index=True)
    graded = grade_toxicity(measurements, observations, base.infusions, all_events, STANDARDS, SETTINGS)
    summary = summarise_safety(
        graded.toxicity,
        graded.grades,
        observations,
        all_events,
        base.infusions,
        base.subjects,
        STANDARDS,
        SETTINGS,
        Cohort(),
    )
    return dataclasses.replace(
        base,
        measurements=measurements,
        metrics=pd.concat([base.metrics, graded.metrics], ignore_index=True),
        qc=pd.concat([base.qc, graded.qc], ignore_index=True),
        events=all_events,
        safety=SafetyTables(graded.grades, graded.toxicity, summary),
        registry={
            **base.registry,
            **{name: m for name, m in registry.load_all().items() if m.group == "safety"},
        },
    )
