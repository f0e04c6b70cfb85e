"""Courses written as short lists: (day, result)."""

from __future__ import annotations

import pandas as pd
import pytest

from cartrace.config import Depletion
from cartrace.depletion.course import compute_depletion
from cartrace.tables import EVENTS, INFUSIONS, MEASUREMENTS, rows


def measurements(*results, **columns):
    """Make a course: a number is quantified; '<10' is BLQ, 'BLD 5' below detection at 5, '>500' above."""
    out = []
    for day, result in results:
        row = {
            "subject_id": "S1",
            "infusion": 1,
            "sample_id": f"S1-{day}",
            "day": float(day),
            "study_day": float(day),
            "matrix": "blood",
            "analyte": "b_cells",
            "assay": "flow",
            "unit": "cells/uL",
            "status": "accepted",
            "source_file": "f",
            "source_sha256": "0",
        }
        if not isinstance(result, str):
            known = {"value": float(result), "lower": float(result), "upper": float(result)}
            row |= {"detection": "quantified", "censoring": "none"} | known
        elif result.startswith("<"):
            row |= {"detection": "BLQ", "censoring": "left", "lower": 0.0, "upper": float(result[1:])}
        elif result.startswith(">"):
            row |= {"detection": "above_uloq", "censoring": "right", "lower": float(result[1:])}
        else:
            limit = float(result.split()[1]) if " " in result else float("nan")
            row |= {"detection": "BLD", "censoring": "left", "lower": 0.0, "upper": limit, "lod": limit}
        out.append(row | columns)
    return rows(out, MEASUREMENTS)


def infusions(*days, lymphodepletion=-5.0):
    """Make one subject's infusions on these study days."""
    return rows(
        [
            {
                "subject_id": "S1",
                "infusion": i,
                "study_day": float(day),
                "product": "P",
                "vector": "lentiviral",
                "lymphodepletion_day": lymphodepletion,
            }
            for i, day in enumerate(days, 1)
        ],
        INFUSIONS,
    )


def events(*spans, kind="ivig"):
    """Make events: a study day, or a pair of first and last study day."""
    pairs = [span if isinstance(span, tuple) else (span, None) for span in spans]
    return rows(
        [{"subject_id": "S1", "study_day": a, "end_study_day": b, "kind": kind} for a, b in pairs], EVENTS
    )


class Outcome:
    """Metrics by name and episodes of one course."""

    def __init__(self, metrics: pd.DataFrame, episodes: pd.DataFrame) -> None:
        self.table = metrics
        self.metrics = metrics.set_index("metric")
        self.episodes = episodes

    def __getitem__(self, metric):
        return self.metrics.loc[metric]

    def bounds(self, metric):
        row = self.metrics.loc[metric]
        return row["status"], row["lower"], row["upper"]

    @property
    def spans(self):
        columns = ["start_lower", "start_upper", "end_lower", "end_upper"]
        return [
            tuple(None if pd.isna(x) else x for x in row)
            for row in self.episodes[columns].itertuples(index=False)
        ]


def deplete(*results, settings=None, given=None, doses=None, **columns):
    """Compute one course of B cells (depleted below 20 cells/uL) after lymphodepletion on day -5."""
    table = measurements(*results, **columns)
    found = compute_depletion(
        table,
        infusions(0) if given is None else given,
        doses,
        Depletion.model_validate(settings or {}),
    )
    return Outcome(*found)


@pytest.fixture(scope="session", name="deplete")
def _deplete():
    return deplete


@pytest.fixture(scope="session", name="measurements")
def _measurements():
    return measurements


@pytest.fixture(scope="session", name="infusions")
def _infusions():
    return infusions


@pytest.fixture(scope="session", name="events")
def _events():
    return events
