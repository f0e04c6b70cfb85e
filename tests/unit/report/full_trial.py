"""The small trial with B cells, immunoglobulins, an antibody and events: every panel has something to show."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd
from tests.unit.report.small_trial import measurement, metric, trial

from cartrace import tables
from cartrace.metrics import Metric
from cartrace.report.page import ReportData

B_CELLS = {"analyte": "b_cells", "assay": "flow", "unit": "cells/uL", "lod": 0.5, "lloq": 1.0}
MEMORY = B_CELLS | {"analyte": "memory_b_cells"}
IGG = {"matrix": "serum", "analyte": "igg", "assay": "nephelometry", "unit": "g/L", "lod": None, "lloq": 0.3}
BCMA = {
    "matrix": "serum",
    "analyte": "soluble_bcma",
    "assay": "elisa",
    "unit": "ng/mL",
    "lod": None,
    "lloq": 1.0,
}
AQP4 = {"matrix": "serum", "analyte": "aqp4_igg", "assay": "cba", "unit": "titre", "lod": None, "lloq": 10.0}
DAYS = (-5, 7, 14, 28, 56, 84, 112, 180, 270, 365)

REGISTRY = {
    m.name: m
    for m in (
        Metric("baseline", "Baseline", "course", "Last value before lymphodepletion.", "House.", "depletion"),
        Metric("nadir", "Nadir", "course", "Lowest value.", "House.", "depletion"),
        Metric("time_to_depletion", "Time to depletion", "day", "First depleted result.", "House.", "depletion", event=True),
        Metric("depletion_duration", "Duration of depletion", "day", "Length of the first episode.", "House.", "depletion", event=True),
        Metric("time_to_reconstitution_threshold", "Time to reconstitution (threshold)", "day", "Above the threshold again.", "House.", "depletion", event=True),
        Metric("time_to_reconstitution_baseline", "Time to reconstitution (baseline)", "day", "Back to baseline.", "House.", "depletion", event=True),
        Metric("depleted_at_{landmark}", "Depleted at {landmark}", "none", "Depleted at {landmark}.", "House.", "depletion", share=True),
        Metric("antibody_baseline", "Baseline", "course", "Last titre before.", "House.", "antibody"),
        Metric("log2_fall", "Fall", "log2", "log2 fall from baseline to nadir.", "House.", "antibody"),
        Metric("time_to_fourfold_fall", "Time to four-fold fall", "day", "First result at a quarter.", "House.", "antibody", event=True),
        Metric("time_to_seronegative", "Time to seronegative", "day", "First of two negatives.", "House.", "antibody", event=True),
    )
}  # fmt: skip


def of(course: dict[str, Any]) -> dict[str, Any]:
    """Name a course as metrics, episodes and curves do."""
    keys = {k: course[k] for k in ("analyte", "assay")}
    return {**keys, "matrix": course.get("matrix", "blood"), "course_unit": course["unit"]}


def full_trial(n: int = 12, hostile: str = "") -> ReportData:
    """The small trial with every table of depletion and antibodies.

    P02 has an immunoglobulin dose on day 60, P03 no antibody, P04 a relapse, P05
    an antibody that rose; P06 is depleted to the end.
    """
    base = trial(n, hostile=hostile)
    ids = base.subjects["subject_id"].tolist()
    rows: list[dict[str, Any]] = []
    metrics: list[dict[str, Any]] = []
    episodes: list[dict[str, Any]] = []
    for k, subject in enumerate(ids):
        rows += _results(subject, k)
        metrics += _metrics(subject, k)
        if k != 7:
            episodes.append(_episode(subject, k))
    p02, p04 = ids[min(1, n - 1)], ids[min(3, n - 1)]
    events = [
        {"subject_id": p02, "study_day": 60.0, "kind": "ivig", "label": f"IVIG{hostile}", "dose": 0.4, "dose_unit": "g/kg"},
        {"subject_id": p02, "study_day": 3.0, "end_study_day": 5.0, "kind": "drug", "label": "tocilizumab", "dose": 8.0, "dose_unit": "mg/kg"},
        {"subject_id": p02, "study_day": 4.0, "kind": "adverse_event", "label": "CRS", "grade": 2.0},
        {"subject_id": p02, "study_day": 90.0, "kind": "response", "label": "responder"},
        {"subject_id": p02, "study_day": 200.0, "end_study_day": 214.0, "kind": "infection", "label": "lung", "grade": 3.0},
        {"subject_id": p04, "study_day": 210.0, "kind": "relapse", "label": "optic neuritis"},
    ]  # fmt: skip
    return dataclasses.replace(
        base,
        measurements=pd.concat(
            [base.measurements, tables.rows(rows, tables.MEASUREMENTS)], ignore_index=True
        ),
        metrics=pd.concat([base.metrics, tables.rows(metrics, tables.METRICS)], ignore_index=True),
        survival=pd.concat([base.survival, tables.rows(_curves(n), tables.SURVIVAL)], ignore_index=True),
        cohort_summary=pd.concat(
            [base.cohort_summary, tables.rows(_summaries(n), tables.COHORT_SUMMARY)], ignore_index=True
        ),
        events=tables.rows(events, tables.EVENTS),
        episodes=tables.rows(episodes, tables.EPISODES),
        models=tables.rows(_decay(), tables.MODELS),
        antibody_means=tables.rows(_means(hostile), tables.ANTIBODY_MEANS),
        associations=tables.rows(_associations(hostile), tables.ASSOCIATIONS),
        characteristics=tables.rows(_characteristics(n, hostile), tables.CHARACTERISTICS),
        registry={**base.registry, **REGISTRY},
    )


def _results(subject: str, k: int) -> list[dict[str, Any]]:
    rows = []
    for i, day in enumerate(DAYS):
        seen = {"visit": f"Day {day}"}
        serum = {"sample_id": f"{subject}|serum|d{day}"}
        depleted = 0 < i < (len(DAYS) if k == 5 else 6)
        b = 0.2 if depleted and i > 1 else 5.0 if depleted else 150.0 + 10 * k
        rows.append(measurement(subject, day, b, **seen, **B_CELLS))
        rows.append(measurement(subject, day, b / 4, **seen, **MEMORY))
        given = 12.0 if k == 1 and day == 84 else 0.0
        igg = max(9.0 - 1.2 * i if i < 6 else 2.0 + i - 5, 0.2) + given
        rows.append(measurement(subject, day, igg, **seen, **IGG, **serum))
        rows.append(measurement(subject, day, 60.0 / (1 + 8 * i) if i < 6 else i, **seen, **BCMA, **serum))
        if k != 2 and i % 2 == 0:
            titre = 160.0 * 2 ** (i // 2) if k == 4 else 640.0 / 4 ** (i // 2)
            rows.append(measurement(subject, day, titre, **seen, **AQP4, **serum))
    return rows


def _metrics(subject: str, k: int) -> list[dict[str, Any]]:
    cells, antibody = of(B_CELLS), of(AQP4)
    rows = [
        metric(subject, "baseline", 150.0 + 10 * k, unit="cells/uL", n_points=1, **cells),
        metric(subject, "nadir", None, upper=0.5, status="left_censored", unit="cells/uL", reason="not detected", **cells),
        metric(subject, "time_to_depletion", lower=0.0, upper=7.0, status="interval_censored", unit="day", **cells),
        metric(subject, "depleted_at_M1", 1.0, n_points=1, **cells),
    ]  # fmt: skip
    if k == 5:
        late = {"status": "right_censored", "unit": "day", "reason": "still depleted at the last sample"}
        rows.append(metric(subject, "depletion_duration", lower=358.0, **late, **cells))
        rows.append(metric(subject, "time_to_reconstitution_threshold", lower=365.0, **late, **cells))
    else:
        between = {"status": "interval_censored", "unit": "day"}
        rows.append(metric(subject, "depletion_duration", lower=77.0, upper=112.0, **between, **cells))
        rows.append(metric(subject, "time_to_reconstitution_threshold", lower=84.0, upper=112.0, **between, **cells))  # fmt: skip
    igg = of(IGG)
    rows.append(metric(subject, "baseline", 15.0, unit="g/L", n_points=1, **igg))
    if k == 2:
        none = {"status": "not_estimable", "reason": "negative at baseline"}
        rows += [metric(subject, m, **none, **antibody) for m in ("log2_fall", "time_to_fourfold_fall", "time_to_seronegative")]  # fmt: skip
    elif k == 4:
        rows.append(metric(subject, "log2_fall", lower=-2.0, upper=0.0, status="interval_censored", unit="log2", **antibody))  # fmt: skip
        rows.append(metric(subject, "time_to_fourfold_fall", lower=270.0, status="right_censored", unit="day", reason="no such fall by the last sample", **antibody))  # fmt: skip
    elif k == 6:
        rows.append(metric(subject, "log2_fall", 3.0, lower=2.0, upper=4.0, unit="log2", **antibody))
        rows.append(metric(subject, "time_to_fourfold_fall", 56.0, unit="day", **antibody))
    else:
        rows.append(metric(subject, "log2_fall", lower=5.0 + k / 10, status="right_censored", unit="log2", reason="the nadir lies below the starting dilution", **antibody))  # fmt: skip
        rows.append(metric(subject, "time_to_fourfold_fall", lower=-5.0, upper=14.0, status="interval_censored", unit="day", **antibody))  # fmt: skip
    return rows


def _episode(subject: str, k: int) -> dict[str, Any]:
    still = k == 5
    return {
        "subject_id": subject,
        "infusion": 1,
        **of(B_CELLS),
        "episode": 1,
        "start_lower": None if k == 6 else -5.0,
        "start_upper": 7.0,
        "end_lower": 365.0 if still else 84.0,
        "end_upper": None if still else 112.0,
        "status": "open" if still else "closed",
        "n_points": 9 if still else 5,
        "definition": "below 20 cells/uL; 2 results end it",
    }


def _curves(n: int) -> list[dict[str, Any]]:
    out = []
    for course, name, steps in (
        (B_CELLS, "time_to_depletion", ((0.0, 0.0, 1.0), (0.0, 7.0, 0.0))),
        (B_CELLS, "time_to_reconstitution_threshold", ((0.0, 0.0, 1.0), (84.0, 112.0, 0.1))),
        (B_CELLS, "time_to_reconstitution_baseline", ((0.0, 0.0, 1.0), (112.0, 180.0, 0.5))),
        (B_CELLS, "depletion_duration", ((0.0, 0.0, 1.0), (77.0, 112.0, 0.1))),
        (AQP4, "time_to_fourfold_fall", ((0.0, 0.0, 1.0), (0.0, 14.0, 0.2))),
        (AQP4, "time_to_seronegative", ((0.0, 0.0, 1.0), (84.0, 180.0, 0.4))),
    ):
        key = {"cohort": "all", "infusion": 1, **of(course), "metric": name}
        for left, right, share in steps:
            limits = {"lower": max(0.0, share - 0.2), "upper": min(1.0, share + 0.2)}
            out.append(
                key | {"estimator": "kaplan_meier", "day": right, "survival": share, "n_at_risk": n} | limits
            )
            out.append(
                key
                | {"estimator": "turnbull", "day": right, "survival": share, "lower": left, "upper": right}
            )
    return out


def _summaries(n: int) -> list[dict[str, Any]]:
    key = {"cohort": "all", "infusion": 1}
    counts = {"n": n, "n_estimated": 0, "n_censored": n - 1, "n_not_estimable": 1}
    return [
        key | of(B_CELLS) | counts | {"metric": "time_to_depletion", "unit": "day", "reasons": "never depleted (1)", "median": 7.0, "median_method": "kaplan_meier"},
        key | of(B_CELLS) | {"n": n, "n_estimated": n, "n_censored": 0, "n_not_estimable": 0, "metric": "depleted_at_M1", "mean": 1.0, "share_lower": 0.7, "share_upper": 1.0},
    ]  # fmt: skip


def _decay() -> list[dict[str, Any]]:
    base = {
        "model": "exponential decay",
        **of(AQP4),
        "status": "estimated",
        "n_subjects": 11,
        "n_points": 54,
        "n_censored": 21,
        "method": "maximum likelihood",
    }
    return [
        base
        | {"parameter": "y0", "value": 230.0, "se": 30.0, "lower": 178.0, "upper": 297.0, "unit": "titre"},
        base
        | {
            "parameter": "decay_rate",
            "value": 0.012,
            "se": 0.001,
            "lower": 0.01,
            "upper": 0.014,
            "unit": "1/day",
        },
        base | {"parameter": "half_life", "value": 57.8, "lower": 49.5, "upper": 69.3, "unit": "day"},
        base
        | {"parameter": "sd_log_decay_rate", "status": "not_estimable", "reason": "the likelihood is flat"},
    ]


def _means(hostile: str) -> list[dict[str, Any]]:
    """Baseline, a visit with level and change, and one where most results lie below the limit."""
    base = {
        "cohort": "all",
        "infusion": 1,
        **of(AQP4),
        "n_below": 0,
        "n_above": 0,
        "method": "maximum likelihood",
    }
    level = base | {"quantity": "level", "status": "estimated"}
    return [
        level | {"visit": "Baseline", "day": -6.0, "n": 11, "mean_log2": 7.6, "lower_log2": 6.8, "upper_log2": 8.4, "sd_log2": 1.2, "geometric_mean": 194.0, "geometric_lower": 111.4, "geometric_upper": 337.8, "end_point_mean": 137.2},
        level | {"visit": f"D28{hostile}", "day": 28.0, "n": 10, "n_below": 2, "left_out": "1 no result in the window", "mean_log2": 6.0, "lower_log2": 5.0, "upper_log2": 7.0, "sd_log2": 1.5, "geometric_mean": 64.0, "geometric_lower": 32.0, "geometric_upper": 128.0, "end_point_mean": 46.0},
        level | {"quantity": "change", "visit": f"D28{hostile}", "day": 28.0, "n": 10, "n_below": 2, "mean_log2": -1.5, "lower_log2": -2.0, "upper_log2": -1.0, "sd_log2": 0.8, "geometric_mean": 0.354, "geometric_lower": 0.25, "geometric_upper": 0.5, "end_point_mean": 0.38},
        level | {"visit": "M6", "day": 180.0, "n": 9, "n_below": 7, "status": "not_estimable", "reason": "7 of 9 results lie below a limit, more than 50 %"},
    ]  # fmt: skip


def _associations(hostile: str) -> list[dict[str, Any]]:
    peak = "Peak of CAR transgene in blood"
    return [
        {"family": "depletion", "x": peak, "y": f"Nadir of B cells{hostile}", "method": "spearman", "n": 12, "statistic": -0.62, "lower": -0.88, "upper": -0.07, "p": 0.031, "q": 0.062, "status": "estimated"},
        {"family": "depletion", "x": peak, "y": "Duration of depletion of plasma cells", "method": "spearman", "n": 3, "status": "not_estimable", "reason": "not tested: fewer than 5 pairs"},
        {"family": "response", "x": peak, "y": "Relapse by day 180", "method": "mann_whitney", "n": 12, "groups": "relapsed 3, not relapsed 9", "statistic": 9.0, "p": 0.41, "q": 0.41, "status": "estimated"},
    ]  # fmt: skip


def _characteristics(n: int, hostile: str) -> list[dict[str, Any]]:
    out = []
    for cohort, size in (("all", n), (f"dose 1{hostile}", 3)):
        out += [
            {"cohort": cohort, "variable": "Age", "level": "", "n": size - 1, "n_total": size, "median": 45.0, "minimum": 40.0, "maximum": 51.0, "unit": "years"},
            {"cohort": cohort, "variable": "Sex", "level": "female", "n": size - 1, "n_total": size, "percent": 100 * (size - 1) / size},
            {"cohort": cohort, "variable": "Sex", "level": "male", "n": 1, "n_total": size, "percent": 100 / size},
        ]  # fmt: skip
    return out
