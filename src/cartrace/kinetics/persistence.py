"""How long the cells were there: three answers, never one.

The last quantifiable day is a lower bound; the time to loss lies between two
samples or is open; and at each landmark the cells were there, were not, or
nobody looked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cartrace.kinetics.profiles import (
    BLQ,
    NO_RESULT,
    Bools,
    Outline,
    Profiles,
    find_loss,
    outline,
)
from cartrace.kinetics.rows import INTERVAL, RIGHT, Result, assemble, texts
from cartrace.metrics import Metric, register

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Kinetics, Landmark

register(
    Metric(
        name="last_quantifiable",
        label="Last quantifiable",
        unit="day",
        definition="Day of the last quantifiable result: a lower bound of persistence.",
        source="Qin 2023 (STTT 8:5) reports persistence so; as Tlast.",
        group="persistence",
    )
)
register(
    Metric(
        name="time_to_loss",
        label="Time to loss",
        unit="day",
        definition="Time of loss, between the last result that counts as present and the first one that "
        "confirms the loss; right-censored where no loss is confirmed.",
        source="House definition: persistence is interval-censored by the sampling days.",
        group="persistence",
        event=True,
    )
)
register(
    Metric(
        name="persistent_at_{landmark}",
        label="Persistent at {landmark}",
        unit="none",
        definition="1 when the result nearest to the landmark, within its window, counts as present, else 0; "
        "not assessable without a result in the window.",
        source="Landmarks of TcellNCA (M3 = day 84) and of the NMOSD trial (Qin 2023).",
        group="persistence",
        share=True,
    )
)


def present_results(profiles: Profiles, kinetics: Kinetics) -> Bools:
    """Mark the (n, m) results that count as present under ``persistence.loss_below``."""
    if kinetics.persistence.loss_below == "detection":
        return np.asarray(profiles.quantifiable | (profiles.detection == BLQ))
    return profiles.quantifiable


def results(profiles: Profiles, kinetics: Kinetics) -> list[Result]:
    """Return the persistence metrics of all courses, as arrays."""
    shape = outline(profiles)
    return [
        _last_quantifiable(profiles, shape),
        _time_to_loss(profiles, shape, kinetics),
        *(_landmark(profiles, shape, kinetics, mark) for mark in kinetics.persistence.landmarks),
    ]


def compute(profiles: Profiles, kinetics: Kinetics) -> pd.DataFrame:
    """Return the persistence metrics in the contract of the metrics table."""
    return assemble(profiles, results(profiles, kinetics))


def _last_quantifiable(profiles: Profiles, shape: Outline) -> Result:
    return (
        Result(
            "last_quantifiable",
            shape.tlast,
            method="last result at or above the lower limit of quantification",
            n_points=profiles.taken.sum(axis=1).astype(float),
        )
        .refuse(~shape.any_result, NO_RESULT)
        .refuse(~shape.any_quantifiable, "never quantifiable")
    )


def _time_to_loss(profiles: Profiles, shape: Outline, kinetics: Kinetics) -> Result:
    rules = kinetics.persistence
    present = present_results(profiles, kinetics)
    loss = find_loss(profiles, present, rules.confirm_blq)
    number = "1 result" if rules.confirm_blq == 1 else f"{rules.confirm_blq} consecutive results"
    lost = ~np.isnan(loss.first_loss)
    never = shape.any_result & np.isnan(loss.last_present)
    # An unconfirmed loss says nothing about the days after the last present result.
    open_reason = texts(~lost, "still present at the last sample, day %g", loss.last_present)
    waiting = texts(
        loss.unconfirmed,
        "not confirmed: below after day %g, but fewer than 2 results follow",
        loss.last_present,
    )
    open_reason[loss.unconfirmed] = waiting[loss.unconfirmed]
    return (
        Result(
            "time_to_loss",
            np.full(len(profiles), np.nan),
            method=f"loss below {rules.loss_below}, {number}, not contradicted later",
            n_points=profiles.taken.sum(axis=1).astype(float),
            window_start=loss.last_present,
            window_end=loss.first_loss,
        )
        .refuse(~shape.any_result, NO_RESULT)
        .refuse(never, "never quantifiable" if rules.loss_below == "quantification" else "never detected")
        .censor(
            lost,
            INTERVAL,
            texts(lost, "lost between day %g and day %g", loss.last_present, loss.first_loss),
            lower=loss.last_present,
            upper=loss.first_loss,
        )
        .censor(~lost, RIGHT, open_reason, lower=loss.last_present)
    )


def _landmark(profiles: Profiles, shape: Outline, kinetics: Kinetics, mark: Landmark) -> Result:
    present = present_results(profiles, kinetics)
    distance = np.where(profiles.taken, np.abs(profiles.time - mark.day), np.inf)
    nearest = distance.argmin(axis=1)
    row = np.arange(len(profiles))
    found = distance[row, nearest] <= mark.window
    day = np.where(found, profiles.time[row, nearest], np.nan)
    early = np.where(profiles.taken & (profiles.time < mark.day), profiles.time, -np.inf).max(axis=1)
    late = np.where(profiles.taken & (profiles.time > mark.day), profiles.time, np.inf).min(axis=1)
    window = f"not assessable: no result within day {mark.day:g} +/- {mark.window:g}"
    missing = shape.any_result & ~found
    between = np.isfinite(early) & np.isfinite(late)
    reason = texts(missing & between, window + "; nearest are day %g and day %g", early, late)
    for alone, side in ((np.isfinite(early) & ~between, early), (np.isfinite(late) & ~between, late)):
        text = texts(missing & alone, window + "; nearest is day %g", side)
        reason[missing & alone] = text[missing & alone]
    return (
        Result(
            f"persistent_at_{mark.name}",
            present[row, nearest].astype(float),
            method=f"nearest result to day {mark.day:g} within {mark.window:g} days; "
            f"present is not below {kinetics.persistence.loss_below}",
            n_points=np.where(found, 1.0, 0.0),
            window_start=day,
            window_end=day,
        )
        .refuse(~shape.any_result, NO_RESULT)
        .refuse(missing, reason)
    )
