"""What the figures of the report show, as numbers; the page only draws them.

Three rules hold for every figure. A censored result is a bound and is drawn at
that bound with a mark of its own. A median is shown only where it is itself a
measured value. A stretch of time counts as quantifiable only between two
quantifiable results without a result below a limit between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cartrace.analytes import SCORES

if TYPE_CHECKING:
    from cartrace.config import Antibody, Visit

QUANTIFIED, BLQ, BLD, ABOVE, ZERO = range(5)
"""How a result is drawn. ``ZERO`` is a measured 0, which a log axis can't hold."""

_CODES = {"quantified": QUANTIFIED, "BLQ": BLQ, "BLD": BLD, "above_uloq": ABOVE}

# Days on which trials sample; bins reach to the middle between neighbours.
_BIN_DAYS = (0, 1, 3, 5, 7, 10, 14, 21, 28, 42, 56, 84, 112, 140, 180, 224, 270, 315, 365, 450, 545, 635, 730)

MEDIAN_COLUMNS = ["day", "label", "n", "n_below", "median"]


@dataclass(frozen=True, slots=True)
class Bin:
    """Days that are pooled for one point of the median curve (both ends included)."""

    label: str
    day: float
    start: float
    end: float


def kinds(measurements: pd.DataFrame) -> np.ndarray:
    """Code each result by how it is drawn.

    Parameters
    ----------
    measurements
        In the contract ``cartrace.tables.MEASUREMENTS``, n rows.

    Returns
    -------
    array of int8, shape (n,)
        ``QUANTIFIED``, ``BLQ``, ``BLD``, ``ABOVE`` or ``ZERO``.
    """
    codes = measurements["detection"].map(_CODES).to_numpy(dtype=np.int8)
    value = measurements["value"].to_numpy(dtype=float)
    zero = (codes == QUANTIFIED) & (value <= 0) & ~_scores(measurements)
    return np.where(zero, np.int8(ZERO), codes).astype(np.int8)


def _scores(measurements: pd.DataFrame) -> np.ndarray:
    """Say which results are scores: their axis is linear, and 0 a place on it."""
    return measurements["analyte"].isin(SCORES).to_numpy(dtype=bool)


def positions(measurements: pd.DataFrame) -> np.ndarray:
    """Give the height at which each result is drawn on a log axis, or a score on its linear one.

    A quantified value is drawn at itself, a result below a limit at its upper
    bound, one above the range at its lower bound. Where no limit is known, or
    for a measured 0, there is no height (nan): the page draws the mark at the
    bottom edge and says so.

    Returns
    -------
    array of float, shape (n,)
        In the unit of each row.
    """
    kind = kinds(measurements)
    value = measurements["value"].to_numpy(dtype=float)
    upper = measurements["upper"].to_numpy(dtype=float)
    lower = measurements["lower"].to_numpy(dtype=float)
    below = (kind == BLQ) | (kind == BLD)
    height = np.where(below, upper, np.where(kind == ABOVE, lower, value))
    return np.where((height > 0) | _scores(measurements), height, np.nan)


def titre_tops(measurements: pd.DataFrame, antibody: Antibody) -> np.ndarray:
    """Give the upper end of the interval that each end-point titre stands for.

    The last dilution that still reacts was read: a titre of 40 in two-fold
    dilutions means one from 40 up to, but not at, 80.

    Parameters
    ----------
    measurements
        In the contract ``cartrace.tables.MEASUREMENTS``, n rows.
    antibody
        Section ``antibody`` of the configuration, which knows the dilution step.

    Returns
    -------
    array of float, shape (n,)
        The first negative dilution of a quantified titre where the source tells it, else its next
        dilution; nan for every other result.
    """
    titre = (measurements["unit"] == "titre").to_numpy()
    value, lower, upper = (measurements[c].to_numpy(dtype=float) for c in ("value", "lower", "upper"))
    analyte = measurements["analyte"].astype(str)
    step = analyte.map({a: titre_step(antibody, a) for a in analyte.unique()}).to_numpy(dtype=float)
    read = titre & (kinds(measurements) == QUANTIFIED)
    told = read & (upper > lower)
    return np.where(told, upper, np.where(read & (step > 1), value * step, np.nan))


def titre_feet(measurements: pd.DataFrame) -> np.ndarray:
    """Give the lower end of the interval of each titre whose wells leave open more than one step.

    Returns
    -------
    array of float, shape (n,)
        Below the value; nan where the interval begins at the value, and for every other result.
    """
    read = (measurements["unit"] == "titre").to_numpy() & (kinds(measurements) == QUANTIFIED)
    value, lower = (measurements[c].to_numpy(dtype=float) for c in ("value", "lower"))
    return np.where(read & (lower > 0) & (lower < value), lower, np.nan)


def titre_step(antibody: Antibody, analyte: str) -> float:
    """Give the dilution step of the titres of an antibody; 1 for interpolated titres."""
    step = antibody.titre_step
    # A rule for the unit is nearer than a rule for every unit: it comes last.
    for rule in sorted(antibody.rules, key=lambda r: r.unit is not None):
        if rule.analyte == analyte and rule.unit in {None, "titre"} and rule.titre_step is not None:
            step = rule.titre_step
    return step


def bins(visits: Sequence[Visit]) -> list[Bin]:
    """Say which days are pooled: the nominal visits, or fixed day bins without any."""
    if visits:
        return [
            Bin(v.name, v.day, v.day - v.window, v.day + v.window)
            for v in sorted(visits, key=lambda v: v.day)
        ]
    days = np.array(_BIN_DAYS, dtype=float)
    edges = np.concatenate([[0.0], (days[1:] + days[:-1]) / 2, [days[-1] + 60.0]])
    return [
        Bin(f"days {np.ceil(a):g} to {np.ceil(b) - 1:g}", d, float(a), float(np.nextafter(b, a)))
        for d, a, b in zip(days, edges[:-1], edges[1:], strict=True)
    ]


def median_curve(results: pd.DataFrame, pooled: Sequence[Bin], min_n: int) -> pd.DataFrame:
    """Compute the median over subjects at each nominal visit or day bin.

    Of each subject the accepted or flagged result nearest to the nominal day
    counts, once. Results below a limit rank below every measured value at or
    above that limit. The median is given only where at least ``min_n`` subjects
    have a result and the median is itself measured: where half or more of the
    results are below a limit there is none (asked for in aNCA issue 1323).

    Parameters
    ----------
    results
        Rows of one course type and infusion number: ``subject_id``, ``day``,
        ``visit``, ``kind`` (:func:`kinds`), ``position`` (:func:`positions`).
    pooled
        The bins; a result whose visit has the name of a bin belongs to it,
        every other one to the bin that holds its day.
    min_n
        Fewest subjects for a median.

    Returns
    -------
    DataFrame
        One row per bin that has results: ``day``, ``label``, ``n``,
        ``n_below`` (below a limit), ``median`` (unit of the course, or nan).
    """
    rows: list[tuple[float, str, int, int, float]] = []
    labels = [b.label.strip().casefold() for b in pooled]
    # A trial has hundreds of curves with dozens of bins: arrays, not tables.
    visit = results["visit"].fillna("").str.strip().str.casefold().to_numpy(dtype=object)
    free = ~np.isin(visit, labels)
    day, position = (results[c].to_numpy(dtype=float) for c in ("day", "position"))
    kind, subject = results["kind"].to_numpy(), pd.factorize(results["subject_id"])[0]
    for b, label in zip(pooled, labels, strict=True):
        chosen = np.flatnonzero((free & (b.start <= day) & (day <= b.end)) | (visit == label))
        if not len(chosen):
            continue
        nearest_first = chosen[np.lexsort((day[chosen], np.abs(day[chosen] - b.day)))]
        one = nearest_first[np.unique(subject[nearest_first], return_index=True)[1]]
        rows.append((b.day, b.label, *_median(kind[one], position[one], min_n)))
    return pd.DataFrame(rows, columns=MEDIAN_COLUMNS)


def _median(kind: np.ndarray, position: np.ndarray, min_n: int) -> tuple[int, int, float]:
    below = (kind == BLQ) | (kind == BLD)
    n, n_below = len(kind), int(below.sum())
    if n < min_n:
        return n, n_below, float("nan")
    # A bound with no known limit ranks lowest, one above the range highest.
    rank = np.where(below, -np.inf, np.where(kind == ABOVE, np.inf, np.nan_to_num(position, nan=0.0)))
    ordered = np.sort(rank)
    middle = ordered[[(n - 1) // 2, n // 2]]
    return n, n_below, float(middle.mean()) if np.isfinite(middle).all() else float("nan")


def quantifiable_spans(days: np.ndarray, kind: np.ndarray) -> list[tuple[float, float]]:
    """List the stretches between quantifiable results with nothing below a limit between.

    Parameters
    ----------
    days, kind
        Shape (n,): days of the results of one subject in rising order, and how
        each is drawn (:func:`kinds`).

    Returns
    -------
    list of (first day, last day)
        A single quantifiable result gives a stretch of no length.
    """
    present = (kind == QUANTIFIED) | (kind == ABOVE)
    spans: list[tuple[float, float]] = []
    last = False
    for day, here in zip(days.tolist(), present.tolist(), strict=True):
        if here:
            spans = [*spans[:-1], (spans[-1][0], day)] if last else [*spans, (day, day)]
        last = here
    return spans


WATERFALL_COLUMNS = ["subject_id", "value", "low", "high", "known", "reason"]
"""``known`` is ``value``, ``interval``, ``at_least``, ``at_most`` (of the fall) or ``none``."""

_KNOWN = {
    "estimated": "value",
    "interval_censored": "interval",
    "right_censored": "at_least",
    "left_censored": "at_most",
    "not_estimable": "none",
}


def waterfall(falls: pd.DataFrame) -> pd.DataFrame:
    """Order the falls of an antibody, the largest first, with what is known of each.

    Parameters
    ----------
    falls
        Rows of ``cartrace.tables.METRICS`` for the metric ``log2_fall``, one per
        subject.

    Returns
    -------
    DataFrame
        :data:`WATERFALL_COLUMNS`. The change from baseline (minus the fall, log2)
        lies between ``low`` and ``high``, where it is known so far; an unknown end
        is nan. ``value`` is the change from end point to end point, nan where one
        is censored. Subjects without a value come last.
    """
    known = falls["status"].map(_KNOWN).to_numpy(dtype=object)
    value, lower, upper = (falls[c].to_numpy(dtype=float) for c in ("value", "lower", "upper"))
    # The bound of a censored fall may stand as its value only.
    least = np.where(np.isnan(lower) & (known == "at_least"), value, lower)
    most = np.where(np.isnan(upper) & (known == "at_most"), value, upper)
    least[(known == "at_most") | (known == "none")] = np.nan
    most[(known == "at_least") | (known == "none")] = np.nan
    exact = np.where(known == "value", value, np.nan)
    centre = np.where(np.isnan(least), most, np.where(np.isnan(most), least, (least + most) / 2))
    out = pd.DataFrame(
        {
            "subject_id": falls["subject_id"].to_numpy(),
            "value": -exact,
            "low": -most,
            "high": -least,
            "known": known,
            "reason": falls["reason"].to_numpy(),
            "order": -np.where(np.isnan(exact), centre, exact),
        }
    )
    ordered = out.sort_values(["order", "subject_id"], kind="stable", na_position="last", ignore_index=True)
    return ordered[WATERFALL_COLUMNS]
