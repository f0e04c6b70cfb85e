"""Antibody courses written as short lists."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cartrace.antibody.course import compute_antibody
from cartrace.config import Antibody
from cartrace.tables import INFUSIONS, MEASUREMENTS, conform


def course(days: list[float], cells: list[Any], *, start: Any = 10.0, **columns: Any) -> list[dict[str, Any]]:
    """Make rows: 40 is an end point, '<10' negative, '>2560' above the range.

    ``start`` is the starting dilution, one number or one for each result.
    """
    starts = start if isinstance(start, list) else [start] * len(days)
    rows = []
    for i, (day, cell, lloq) in enumerate(zip(days, cells, starts, strict=True)):
        row: dict[str, Any] = {
            "subject_id": "S1",
            "infusion": 1,
            "sample_id": f"s{i}",
            "day": float(day),
            "study_day": float(day),
            "matrix": "serum",
            "analyte": "aqp4_igg",
            "assay": "cba",
            "unit": "titre",
            "lloq": lloq,
            "status": "accepted",
            "source_file": "titres",
            "source_row": i + 2,
            "source_column": "Titre",
            "source_sha256": "0",
        }
        if isinstance(cell, str) and cell[0] == "<":
            row |= {"detection": "BLQ", "censoring": "left", "lower": 0.0, "upper": float(cell[1:])}
        elif isinstance(cell, str):
            row |= {"detection": "above_uloq", "censoring": "right", "lower": float(cell[1:])}
            row |= {"uloq": float(cell[1:])}
        else:
            row |= {"detection": "quantified", "censoring": "none", "value": float(cell)}
            row |= {"lower": float(cell), "upper": float(cell)}
        rows.append(row | columns)
    return rows


def table(*courses: list[dict[str, Any]]) -> pd.DataFrame:
    return conform(pd.DataFrame([row for rows in courses for row in rows]), MEASUREMENTS)


def infusions(*rows: tuple[int, float, float | None]) -> pd.DataFrame:
    """Infusions of S1: number, study day, first day of lymphodepletion."""
    return conform(
        pd.DataFrame(
            {
                "subject_id": "S1",
                "infusion": [r[0] for r in rows],
                "study_day": [r[1] for r in rows],
                "product": "P",
                "vector": "lentiviral",
                "lymphodepletion_day": pd.array([r[2] for r in rows], dtype="Float64"),
            }
        ),
        INFUSIONS,
    )


def metrics(
    days: list[float], cells: list[Any], *, settings: dict[str, Any] | None = None, **more: Any
) -> Any:
    """Compute all metrics of one course; the frame is indexed by the metric."""
    lymphodepletion = more.pop("lymphodepletion", None)
    plan = infusions((1, 0.0, lymphodepletion))
    frame, _ = compute_antibody(
        table(course(days, cells, **more)), plan, Antibody.model_validate(settings or {})
    )
    return frame.set_index("metric")
