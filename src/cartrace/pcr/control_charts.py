"""Controls and curves of PCR plates that are charted over the plates (cartrace.plates.westgard)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from cartrace.pcr.tables import CONTROLS
from cartrace.plates.westgard import POINTS, charts_of

if TYPE_CHECKING:
    from cartrace.config import Westgard


def control_charts(
    samples: pd.DataFrame,
    curves: pd.DataFrame,
    order: Sequence[str],
    assays: Mapping[str, str],
    westgard: Westgard,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Chart every control and curve over the plates.

    Accuracy and positive controls: log10 copies per reaction. The inhibition control
    in the no-template control: Cq, or log10 copies in digital PCR. The curve of the
    plate itself: slope and intercept; a stored curve is the same on every plate.

    Parameters
    ----------
    samples, curves
        The contracts SAMPLES and CURVES of all plates.
    order
        The plates (file_id) in the order of the files sheet.
    assays
        Name of the assay of each plate.
    westgard
        Baseline and rules.

    Returns
    -------
    controls, qc : DataFrame
        The contracts CONTROLS and QC: a row of qc for each point that breaks a rule.
    """
    points = pd.DataFrame(
        [*_points_of_samples(samples), *_points_of_curves(curves, assays)], columns=list(POINTS)
    )
    return charts_of(points, order, westgard, CONTROLS, "pcr.westgard")


def _points_of_samples(samples: pd.DataFrame) -> list[dict[str, object]]:
    known = samples["task"].isin(["accuracy_control", "positive_control"]) & samples["role"].ne(
        "inhibition_control"
    )
    spike = samples["task"].eq("ntc") & samples["role"].eq("inhibition_control")
    out: list[dict[str, object]] = []
    for row in samples[known | spike].to_dict("records"):
        by_cq = row["role"] == "inhibition_control" and row["method"] == "qpcr"
        number = row["cq_mean"] if by_cq else row["copies"]
        if pd.isna(number) or (not by_cq and number <= 0):
            continue  # an undetected control has no logarithm; the acceptance rules see it
        out.append(
            {
                "plate": row["plate"],
                "assay": row["assay"],
                "target": row["target"],
                # Another lot with another expected number is another chart.
                "control": row["sample"]
                + ("" if pd.isna(row["nominal"]) else f" ({row['nominal']:g} copies)"),
                "quantity": "Cq" if by_cq else "log10 copies",
                "value": number if by_cq else math.log10(number),
                "accepted": row["verdict"] in {"accepted", "flagged"},
            }
        )
    return out


def _points_of_curves(curves: pd.DataFrame, assays: Mapping[str, str]) -> list[dict[str, object]]:
    return [
        {
            "plate": row["plate"],
            "assay": assays[row["plate"]],
            "target": row["target"],
            "control": quantity,
            "quantity": quantity,
            "value": row[quantity],
            "accepted": row["verdict"] in {"accepted", "flagged"},
        }
        for row in curves[curves["source"] == "plate"].to_dict("records")
        for quantity in ("slope", "intercept")
        if not pd.isna(row[quantity])
    ]
