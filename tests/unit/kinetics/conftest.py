"""Courses written as short lists."""

from __future__ import annotations

import pandas as pd
import pytest

from cartrace.config import Kinetics
from cartrace.kinetics.course import compute_metrics
from cartrace.tables import MEASUREMENTS, conform


def measurements(days, results, *, lloq=50.0, lod=10.0, **columns):
    """Make a course: numbers are quantified, 'BLQ' and 'BLD' and '>5000' are not."""
    rows = []
    for day, result in zip(days, results, strict=True):
        row = {
            "subject_id": "S1",
            "infusion": 1,
            "sample_id": f"S1-{day}",
            "day": float(day),
            "study_day": float(day),
            "visit": None,
            "matrix": "blood",
            "analyte": "transgene",
            "assay": "qpcr",
            "unit": "copies/ug",
            "value": None,
            "lod": lod,
            "lloq": lloq,
            "status": "accepted",
            "source_file": "f",
            "source_sha256": "0",
        }
        if result == "BLQ":
            row |= {"detection": "BLQ", "censoring": "left", "lower": lod, "upper": lloq}
        elif result == "BLD":
            row |= {"detection": "BLD", "censoring": "left", "lower": 0.0, "upper": lod}
        elif isinstance(result, str):
            limit = float(result.removeprefix(">"))
            row |= {"detection": "above_uloq", "censoring": "right", "lower": limit, "uloq": limit}
        else:
            row |= {"detection": "quantified", "censoring": "none", "value": float(result)}
            row |= {"lower": row["value"], "upper": row["value"]}
        rows.append(row | columns)
    return conform(pd.DataFrame(rows), MEASUREMENTS)


def settings(**sections):
    """Make kinetic settings without the piecewise fit, unless it is asked for."""
    return Kinetics.model_validate({"stein": {"enabled": False}} | sections)


def metrics_of(days, results, *, lloq=50.0, lod=10.0, columns=None, **sections):
    """Compute all metrics of one course; the frame is indexed by the metric."""
    table = measurements(days, results, lloq=lloq, lod=lod, **(columns or {}))
    return compute_metrics(table, None, settings(**sections)).set_index("metric")


@pytest.fixture(scope="session", name="metrics_of")
def _metrics_of():
    return metrics_of


@pytest.fixture(scope="session", name="measurements")
def _measurements():
    return measurements


@pytest.fixture(scope="session", name="settings")
def _settings():
    return settings
