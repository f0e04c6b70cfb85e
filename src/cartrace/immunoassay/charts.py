"""Controls, blanks and curves of immunoassay plates that are charted over the plates (cartrace.plates.westgard)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from cartrace.immunoassay.tables import CONTROLS
from cartrace.plates.westgard import POINTS, charts_of

if TYPE_CHECKING:
    from cartrace.config import Westgard

USED = ("accepted", "flagged")
QUANTITIES = {"concentration": "log10 concentration", "index": "log10 index", "titre": "log2 titre"}


def control_charts(
    samples: pd.DataFrame,
    wells: pd.DataFrame,
    curves: pd.DataFrame,
    *,
    order: Sequence[str],
    assays: Mapping[str, str],
    westgard: Westgard,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Chart every control, blank and curve over the plates.

    Controls: the logarithm of the result; of an index log10 of the mean raw signal too, since the control
    that all are divided by has an index of 1 whatever it reads. Blanks and negative controls: log10 of the mean raw
    signal. The curve: log10 of EC50 and of the top.

    Parameters
    ----------
    samples, wells, curves
        The contracts SAMPLES, WELLS and CURVES of all plates.
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
        [*_of_samples(samples, wells), *_of_wells(wells, assays), *_of_curves(curves, assays)],
        columns=list(POINTS),
    )
    return charts_of(points, order, westgard, CONTROLS, "immunoassay.westgard")


def _of_samples(samples: pd.DataFrame, wells: pd.DataFrame) -> Iterator[dict[str, object]]:
    known = samples["task"].isin(["control", "positive_control"])
    read = wells[wells["verdict"].ne("not_used")].set_index(["plate", "target", "well"])["signal"]
    for row in samples[known].to_dict("records"):
        # What is censored has no logarithm; the acceptance rules see it.
        if pd.isna(row["result"]) or row["result"] <= 0:
            continue
        base = 2 if row["readout"] == "titre" else 10
        point = {
            "plate": row["plate"],
            "assay": row["assay"],
            "target": row["target"],
            # Another lot with another expected number is another chart.
            "control": row["sample"] + ("" if pd.isna(row["nominal"]) else f" ({row['nominal']:g})"),
            "accepted": row["verdict"] in USED,
        }
        yield point | {"quantity": QUANTITIES[row["readout"]], "value": math.log(row["result"], base)}
        if row["readout"] == "index":
            mine = [(row["plate"], row["target"], well) for well in row["wells"].split(", ")]
            signal = float(read[read.index.isin(mine)].mean())
            if signal > 0:
                yield point | {"quantity": "log10 signal", "value": math.log10(signal)}


def _of_wells(wells: pd.DataFrame, assays: Mapping[str, str]) -> Iterator[dict[str, object]]:
    blank = wells["task"].isin(["blank", "negative_control"]) & wells["verdict"].ne("not_used")
    mine = wells[blank & wells["signal"].notna()].copy()
    # Blanks go by many names (B1, B2); a negative control by its own.
    mine["control"] = mine["sample_name"].fillna("negative control").where(mine["task"] != "blank", "blank")
    for key, group in mine.groupby(["plate", "target", "control"], sort=False):
        plate, target, control = (str(k) for k in key)
        mean = float(group["signal"].mean())
        if mean > 0:
            yield {
                "plate": plate,
                "assay": assays[plate],
                "target": target,
                "control": control,
                "quantity": "log10 signal",
                "value": math.log10(mean),
                "accepted": group["verdict"].isin(USED).all(),
            }


def _of_curves(curves: pd.DataFrame, assays: Mapping[str, str]) -> Iterator[dict[str, object]]:
    for row in curves.to_dict("records"):
        for quantity in ("ec50", "top"):
            if not pd.isna(row[quantity]) and row[quantity] > 0:
                yield {
                    "plate": row["plate"],
                    "assay": assays[row["plate"]],
                    "target": row["target"],
                    "control": quantity,
                    "quantity": f"log10 {quantity}",
                    "value": math.log10(row[quantity]),
                    "accepted": row["verdict"] in USED,
                }
