"""Results that say nothing about the subject's own production.

Immunoglobulin that was given can't be told from immunoglobulin that was made, so
the results after a dose are marked and left out of every depletion metric. They
stay in the measurements, and the report draws them as what they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import numpy.typing as npt

    from cartrace.config import Depletion

PREFIX = "masked_"
"""A flag that begins so, followed by the kind of the event, marks a masked result."""


def mask(measurements: pd.DataFrame, events: pd.DataFrame | None, settings: Depletion) -> pd.DataFrame:
    """Mark the results that an event masks.

    From the first study day of an event to ``days`` after its last one, both
    included: on the day itself nobody knows which came first.

    Parameters
    ----------
    measurements
        Table in the contract of ``cartrace.tables.MEASUREMENTS``.
    events
        Table in the contract of ``cartrace.tables.EVENTS``, or None.
    settings
        Section ``depletion`` of the configuration; ``masks`` is used.

    Returns
    -------
    pandas.DataFrame
        A copy with the flag ``masked_{kind}`` added in ``flags``, and the status
        flagged where it was accepted. The rows keep their order.
    """
    out = measurements.copy()
    if events is None or not len(events) or not len(out):
        return out
    for rule in settings.masks:
        hit = _after(out, events[(events["kind"] == rule.kind).to_numpy(dtype=bool)], rule.days)
        hit &= out["analyte"].isin(rule.analytes).to_numpy(dtype=bool)
        if not hit.any():
            continue
        flag = PREFIX + rule.kind
        old = out.loc[hit, "flags"].fillna("")
        known = np.array([flag in text.split(";") for text in old], dtype=bool)
        out.loc[hit, "flags"] = np.where(known, old, [f"{text};{flag}".lstrip(";") for text in old])
        out.loc[hit & (out["status"] == "accepted").to_numpy(dtype=bool), "status"] = "flagged"
    return out


def is_masked(measurements: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """(n,) rows that :func:`mask` marked."""
    flags = measurements["flags"].astype("string").fillna("")
    return np.asarray(flags.str.contains(rf"(?:^|;){PREFIX}", regex=True).to_numpy(dtype=bool))


def _after(measurements: pd.DataFrame, events: pd.DataFrame, days: float) -> npt.NDArray[np.bool_]:
    """(n,) rows of the same subject within ``days`` after any of ``events``."""
    rows = pd.DataFrame(
        {
            "subject_id": measurements["subject_id"].to_numpy(dtype=object),
            "day": measurements["study_day"].to_numpy(dtype=np.float64),
            "row": np.arange(len(measurements)),
        }
    )
    last = events["end_study_day"].fillna(events["study_day"])
    doses = pd.DataFrame(
        {
            "subject_id": events["subject_id"].to_numpy(dtype=object),
            "start": events["study_day"].to_numpy(dtype=np.float64),
            "stop": last.to_numpy(dtype=np.float64) + days,
        }
    )
    pairs = rows[rows["subject_id"].isin(doses["subject_id"])].merge(doses, on="subject_id")
    inside = pairs.loc[(pairs["day"] >= pairs["start"]) & (pairs["day"] <= pairs["stop"]), "row"]
    out = np.zeros(len(measurements), dtype=bool)
    out[inside.to_numpy(dtype=np.int64)] = True
    return out
