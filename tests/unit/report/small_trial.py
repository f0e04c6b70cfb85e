"""A small trial in the contracts of cartrace.tables: what the report is drawn from in the tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from cartrace import tables
from cartrace.metrics import Metric
from cartrace.report.page import ReportData

SHA = "0" * 64
DAYS = (-5, 1, 4, 7, 10, 14, 21, 28, 56, 84, 180, 365)
LLOQ, LOD = 50.0, 10.0

REGISTRY = {
    m.name: m
    for m in (
        Metric("cmax", "Peak", "course", "Largest quantified value.", "PKNCA cmax.", "exposure", "CMAX"),
        Metric("tmax", "Time to peak", "day", "Day of the peak.", "PKNCA tmax.", "exposure", "TMAX"),
        Metric("auc_{start}_{end}", "AUC {start}-{end}", "day*course", "Area over days {start} to {end}.", "PKNCA.", "exposure", "AUCINT"),
        Metric("lambda_z", "Terminal slope", "per day", "Slope of the terminal phase.", "PKNCA.", "terminal phase", "LAMZ"),
        Metric("lambda_z_intercept", "Intercept", "course", "Terminal line at day 0.", "PKNCA.", "terminal phase"),
        Metric("half_life", "Half-life", "day", "ln 2 / lambda_z.", "PKNCA.", "terminal phase", "LAMZHL"),
        Metric("time_to_loss", "Time to loss", "day", "Interval that holds the loss.", "House.", "persistence", event=True),
        Metric("persistent_at_{landmark}", "Present at {landmark}", "none", "Quantifiable at {landmark}.", "House.", "persistence", share=True),
    )
}  # fmt: skip


def measurement(subject: str, day: float, value: float, **more: Any) -> dict[str, Any]:
    """One result of a transgene course; below its limits it is censored."""
    row: dict[str, Any] = {
        "subject_id": subject,
        "infusion": 1,
        "sample_id": f"{subject}|blood|d{day:g}",
        "day": day,
        "study_day": day,
        "matrix": "blood",
        "analyte": "transgene",
        "assay": "qpcr",
        "unit": "copies/ug",
        "lod": LOD,
        "lloq": LLOQ,
        "status": "accepted",
        "source_file": "F1",
        "source_sha256": SHA,
    } | more
    lod, lloq = row["lod"] or 0.0, row["lloq"]
    if value < lod:
        seen = {"detection": "BLD", "censoring": "left", "lower": 0.0, "upper": lod}
    elif value < lloq:
        seen = {"detection": "BLQ", "censoring": "left", "lower": lod, "upper": lloq}
    else:
        seen = {
            "detection": "quantified",
            "censoring": "none",
            "value": value,
            "lower": value,
            "upper": value,
        }
    return seen | row


def metric(subject: str, name: str, value: float | None = None, **more: Any) -> dict[str, Any]:
    """One metric of the transgene course in blood; estimated unless said otherwise."""
    return {
        "subject_id": subject,
        "infusion": 1,
        "matrix": "blood",
        "analyte": "transgene",
        "assay": "qpcr",
        "course_unit": "copies/ug",
        "metric": name,
        "value": value,
        "status": "estimated",
    } | more


def course(day: np.ndarray, peak: float, top: float, fast: float, slow: float) -> np.ndarray:
    """Rise to a peak and fall in two phases."""
    after = 0.98 * np.exp(-fast * (day - peak)) + 0.02 * np.exp(-slow * (day - peak))
    return top * np.where(day < peak, np.exp(0.9 * (day - peak)), after)


def trial(n: int = 12, seed: int = 1, hostile: str = "") -> ReportData:
    """A trial of ``n``: two assays, results below limits, a second infusion, one CSF course.

    ``hostile`` is put where laboratories write text: a subject, visits, findings.
    """
    rng = np.random.default_rng(seed)
    ids = [f"P{i + 1:02d}" for i in range(n)]
    if hostile:
        ids[0] = f"P01{hostile}"
    rows: list[dict[str, Any]] = []
    metrics: list[dict[str, Any]] = []
    days = np.array(DAYS, dtype=float)
    for k, subject in enumerate(ids):
        peak, top = 9 + 4 * rng.random(), 24_000 * np.exp(0.8 * rng.normal())
        fast, slow = 0.16 * np.exp(0.4 * rng.normal()), 0.012 * np.exp(0.8 * rng.normal())
        late = days + np.where(days > 14, rng.integers(-2, 3, days.size), 0)
        value = np.where(
            days < 0, 0, course(late, peak, top, fast, slow) * np.exp(0.3 * rng.normal(size=days.size))
        )
        for d, planned, v in zip(late, days, value, strict=True):
            visit = {"visit": f"Day {planned:g}{hostile}"}
            rows.append(measurement(subject, d, v, **visit))
            if d in (7, 10, 14, 28):
                flow = {"assay": "flow", "analyte": "car_t_cells", "unit": "cells/uL", "lod": None}
                rows.append(measurement(subject, d, max(v / 100, 1.0), **visit, **flow, lloq=1.0))
        rows[-2 if k % 4 else -1]["status"] = "flagged"
        rows[-2 if k % 4 else -1]["flags"] = "neighbour_outlier"
        metrics += _metrics(subject, late, value, slow, k)
    second = ids[min(2, n - 1)]
    for d, v in ((7, 900.0), (14, 6000.0), (28, 800.0), (60, 20.0)):
        rows.append(measurement(second, d, v, infusion=2, study_day=d + 400.0, sample_id=f"{second}|2|d{d}"))
    metrics.append(metric(second, "cmax", 6000.0, infusion=2, unit="copies/ug", n_points=4))
    for d, v in ((14, 800.0), (28, 300.0), (90, 5.0)):
        rows.append(
            measurement(ids[min(4, n - 1)], d, v, matrix="csf", sample_id=f"{ids[min(4, n - 1)]}|csf|d{d}")
        )
    qc = [
        {
            "check": "unit_ratio",
            "verdict": "warn",
            "source_file": "F1",
            "source_row": 7,
            "source_column": "copies_14",
            "subject_id": ids[min(1, n - 1)],
            "value": f"12345{hostile}",
            "limit": "0.0063",
            "limit_source": "median of the file",
            "message": f"The ratio of the two units is off by 10{hostile}.",
            "suggestion": "1234.5",
        },
        {
            "check": "not_a_plain_number",
            "verdict": "note",
            "source_file": "F1",
            "source_row": 9,
            "subject_id": ids[0],
            "value": "<50",
            "message": "Read as below 50.",
        },
    ]
    summary = [
        _summary("cmax", unit="copies/ug", n=n, n_estimated=n, n_censored=0, n_not_estimable=0, mean=3e4, sd=2e4, geometric_mean=2.1e4, geometric_cv_percent=80.0, median=2.2e4, q1=1e4, q3=3e4, minimum=4e3, maximum=9e4, median_method="sample"),
        _summary("half_life", unit="day", n=n, n_estimated=n - 3, n_censored=0, n_not_estimable=3, reasons="fewer than 3 quantifiable results after Tmax (3)", median=40.0),
        _summary("time_to_loss", unit="day", n=n, n_estimated=0, n_censored=n, n_not_estimable=0, median=180.0, median_method="kaplan_meier"),
    ]  # fmt: skip
    steps = ((0.0, 0.0, 1.0, n), (28.0, 56.0, 0.9, n), (56.0, 84.0, 0.7, n - 2), (84.0, 180.0, 0.4, n - 6))
    curve = _summary("time_to_loss")
    survival = [
        curve
        | {"estimator": "kaplan_meier", "day": day, "survival": share, "n_at_risk": at_risk}
        | {"lower": max(0.0, share - 0.25), "upper": min(1.0, share + 0.2)}
        for _, day, share, at_risk in steps
    ]
    # As cartrace.cohort writes it: lower and upper are the days between which the step lies.
    survival += [
        curve | {"estimator": "turnbull", "day": right, "survival": share, "lower": left, "upper": right}
        for left, right, share, _ in steps
    ]
    subjects = [
        {"subject_id": s, "cohort": ("0.5e6/kg", "1.0e6/kg", "Expansion")[min(2, k // 3)], "sex": "female" if k % 3 else "male", "age": 40.0 + k, "weight_kg": 60.0 + k, "follow_up_study_day": None if k == 5 else 390.0 - 15 * k if s != second else 480.0}
        for k, s in enumerate(ids)
    ]  # fmt: skip
    infusions: list[dict[str, Any]] = [
        {
            "subject_id": s,
            "infusion": 1,
            "study_day": 0.0,
            "product": "CT103A",
            "vector": "lentiviral",
            "dose": 1e6,
            "dose_unit": "cells/kg",
            "lymphodepletion_day": -4.0,
        }
        for s in ids
    ]
    infusions.append(infusions[min(2, n - 1)] | {"infusion": 2, "study_day": 400.0})
    return ReportData(
        measurements=tables.rows(rows, tables.MEASUREMENTS),
        metrics=tables.rows(metrics, tables.METRICS),
        qc=tables.rows(qc, tables.QC),
        cohort_summary=tables.rows(summary, tables.COHORT_SUMMARY),
        survival=tables.rows(survival, tables.SURVIVAL),
        subjects=tables.rows(subjects, tables.SUBJECTS),
        infusions=tables.rows(infusions, tables.INFUSIONS),
        registry=REGISTRY,
        versions={"cartrace": "0.1.0", "python": "3.12", "pandas": "3.0", "snakemake": "9.19"},
    )


def _metrics(subject: str, day: np.ndarray, value: np.ndarray, slow: float, k: int) -> list[dict[str, Any]]:
    top = int(np.argmax(value))
    rows = [
        metric(subject, "cmax", float(value[top]), unit="copies/ug", n_points=11, method="first maximum"),
        metric(subject, "tmax", float(day[top]), unit="day", n_points=11),
        metric(
            subject, "auc_0_28", float(np.trapezoid(value[1:8], day[1:8])), unit="day*copies/ug", n_points=7
        ),
    ]
    if k % 4 == 3:
        why = "fewer than 3 quantifiable results after Tmax"
        rows.append(metric(subject, "half_life", status="not_estimable", reason=why, unit="day"))
    else:
        line = {"window_start": 28.0, "window_end": 180.0, "n_points": 4, "method": "PKNCA"}
        at0 = float(value[7] * np.exp(slow * 28))
        rows += [
            metric(subject, "half_life", float(np.log(2) / slow), unit="day", **line),
            metric(subject, "lambda_z", slow, unit="1/day", **line),
            metric(subject, "lambda_z_intercept", at0, unit="copies/ug", **line),
        ]
    if k % 3:
        rows.append(
            metric(
                subject, "time_to_loss", lower=84.0, upper=180.0, unit="day", status="interval_censored", n_points=11
            )
        )  # fmt: skip
        rows.append(metric(subject, "persistent_at_M6", 0.0, n_points=1))
    else:
        rows.append(metric(subject, "time_to_loss", lower=365.0, unit="day", status="right_censored", reason="no loss by the last sample"))  # fmt: skip
        rows.append(metric(subject, "persistent_at_M6", status="not_estimable", reason="no sample within 30 days of day 180"))  # fmt: skip
    return rows


def _summary(name: str, **more: Any) -> dict[str, Any]:
    return {
        "cohort": "all",
        "infusion": 1,
        "matrix": "blood",
        "analyte": "transgene",
        "assay": "qpcr",
        "course_unit": "copies/ug",
        "metric": name,
    } | more
