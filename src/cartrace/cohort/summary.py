"""One metric over all subjects: how many, why not the others, and the statistics.

A censored value is no estimate. It is counted, and for a time to an event it
enters the survival curves; it never enters a mean.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cartrace import metrics as registry
from cartrace.cohort.survival import kaplan_meier, turnbull
from cartrace.tables import COHORT_SUMMARY, SURVIVAL, rows

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from cartrace.config import Cohort

COURSE_TYPE = ("infusion", "matrix", "analyte", "assay", "course_unit")
"""What is summarised together: never two compartments, assays or units."""

SHARE = "persistent_at_"
"""Metrics with this beginning are answers, 1 for yes and 0 for no."""

_NUMBER = re.compile(r"(?<![A-Za-z0-9_])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)


class Summary(NamedTuple):
    """The two cohort tables, each in its contract."""

    summary: pd.DataFrame
    survival: pd.DataFrame


def summarise(
    metrics: pd.DataFrame,
    subjects: pd.DataFrame,
    settings: Cohort,
    *,
    events: Collection[str] | None = None,
) -> Summary:
    """Summarise every metric of every course type, for all subjects and each cohort.

    Statistics need ``settings.min_n`` estimates; below that only the counts are
    given. A time to an event gets the Kaplan-Meier median, with the event at the
    first confirmed negative visit, and its curves; they need ``min_n`` courses
    with a known or censored time.

    Parameters
    ----------
    metrics
        The metrics table (``cartrace.tables.METRICS``).
    subjects
        The subjects table (``cartrace.tables.SUBJECTS``); a subject without
        cohort counts among 'all' only.
    settings
        Section ``cohort`` of the configuration.
    events
        Names of the metrics that are times to an event; by default those that
        the registry marks so.

    Returns
    -------
    Summary
        ``cartrace.tables.COHORT_SUMMARY`` and ``cartrace.tables.SURVIVAL``.

    Raises
    ------
    ValueError
        When a cohort is called 'all', which is the name of the whole.
    KeyError
        When a metric is not in the registry and ``events`` is not given.
    """
    if events is None:
        registry.load_all()
        events = {str(name) for name in metrics["metric"].unique() if registry.find(str(name)).event}
    # One order of rows, so that sums never depend on the order of the input.
    ordered = metrics.sort_values(["subject_id", "metric"], kind="stable")
    statistics: list[dict[str, object]] = []
    curves: list[dict[str, object]] = []
    # Metrics keep the order in which they were computed, which is the registry's.
    place = {name: i for i, name in enumerate(metrics["metric"].unique())}
    for cohort, members in _cohorts(ordered, subjects, settings):
        for key, group in members.groupby([*COURSE_TYPE, "metric"], sort=False):
            names = {"cohort": cohort, **dict(zip([*COURSE_TYPE, "metric"], key, strict=True))}
            statistics.append(names | _summarise(group, str(names["metric"]), settings, events))
            if names["metric"] in events:
                curves += [names | step for step in _curves(group, settings)]
    for table in (statistics, curves):
        table.sort(
            key=lambda row: (
                row["cohort"] != "all",
                *(row[c] for c in ("cohort", *COURSE_TYPE)),
                place[str(row["metric"])],
            )
        )
    return Summary(rows(statistics, COHORT_SUMMARY), rows(curves, SURVIVAL))


def _cohorts(
    metrics: pd.DataFrame, subjects: pd.DataFrame, settings: Cohort
) -> Iterator[tuple[str, pd.DataFrame]]:
    yield "all", metrics
    if not settings.by_cohort:
        return
    named = subjects.dropna(subset=["cohort"])
    if (named["cohort"] == "all").any():
        raise ValueError("a cohort of the subjects sheet is called 'all'; give it another name")
    for cohort in sorted(named["cohort"].unique()):
        members = metrics[metrics["subject_id"].isin(named.loc[named["cohort"] == cohort, "subject_id"])]
        yield str(cohort), members


def _summarise(
    group: pd.DataFrame, metric: str, settings: Cohort, events: Collection[str]
) -> dict[str, object]:
    status = group["status"]
    estimates = group.loc[status == "estimated", "value"].dropna().to_numpy(dtype=float)
    units = group["unit"].dropna()
    row: dict[str, object] = {
        "unit": units.iloc[0] if len(units) else None,
        "n": len(group),
        "n_estimated": int((status == "estimated").sum()),
        "n_censored": int(status.str.endswith("_censored").sum()),
        "n_not_estimable": int((status == "not_estimable").sum()),
        "reasons": count_reasons(group.loc[status == "not_estimable", "reason"]),
    }
    if metric in events:
        return row | _survival_median(group, settings)
    if len(estimates) < settings.min_n:
        return row
    return row | (share(estimates) if metric.startswith(SHARE) else describe(estimates))


def describe(values: NDArray[np.float64]) -> dict[str, object]:
    """Return the statistics of at least one estimate, shape (n,).

    Quartiles interpolate linearly (type 7 of Hyndman and Fan 1996). The geometric
    mean and CV, ``100 sqrt(exp(var(ln x)) - 1)`` (Kirkwood 1979), are left out
    when a value is not above 0; SD and CV are left out for a single value.
    """
    values = np.sort(values)
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75])
    found: dict[str, object] = {
        "mean": values.mean(),
        "median": median,
        "q1": q1,
        "q3": q3,
        "minimum": values[0],
        "maximum": values[-1],
        "median_method": "sample",
    }
    if len(values) > 1:
        found["sd"] = values.std(ddof=1)
    if values[0] > 0:
        logs = np.log(values)
        found["geometric_mean"] = np.exp(logs.mean())
        if len(values) > 1:
            found["geometric_cv_percent"] = 100 * np.sqrt(np.expm1(logs.var(ddof=1)))
    return found


def share(answers: NDArray[np.float64]) -> dict[str, object]:
    """Return the share of 1 among answers of 0 and 1, with its exact 95 % limits.

    Clopper and Pearson 1934, through quantiles of the beta distribution.

    Raises
    ------
    ValueError
        When an answer is neither 0 nor 1.
    """
    if not np.isin(answers, (0.0, 1.0)).all():
        raise ValueError("a yes-or-no metric must be 0 or 1")
    # scipy.stats takes a second to import: only cohort jobs pay it.
    from scipy.stats import beta

    n, yes = len(answers), int(answers.sum())
    return {
        "mean": yes / n,
        "share_lower": beta.ppf(0.025, yes, n - yes + 1) if yes else 0.0,
        "share_upper": beta.ppf(0.975, yes + 1, n - yes) if yes < n else 1.0,
    }


def count_reasons(reasons: pd.Series[str]) -> str | None:
    """Count the reasons, most frequent first; None when there are none.

    The part after a semicolon is detail. Reasons that differ in numbers alone are
    counted together, and the numbers shown as an ellipsis.
    """
    texts = [str(text).split(";", 1)[0].strip() for text in reasons.fillna("no reason given")]
    kinds: dict[str, list[str]] = {}
    for text in texts:
        kinds.setdefault(_NUMBER.sub("…", text), []).append(text)
    counted = [(len(same), same[0] if len(set(same)) == 1 else kind) for kind, same in kinds.items()]
    return "; ".join(f"{text} ({n})" for n, text in sorted(counted, key=lambda c: (-c[0], c[1]))) or None


def _bounds(group: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the intervals (lower, upper] of the courses whose time is known or censored."""
    known = group[group["status"] != "not_estimable"]
    point = (known["status"] == "estimated").to_numpy(dtype=bool)
    value = known["value"].to_numpy(dtype=float)
    # A time lost before the first sample lies after the infusion.
    lower = np.where(point, value, known["lower"].fillna(0.0).to_numpy(dtype=float))
    upper = np.where(point, value, known["upper"].fillna(np.inf).to_numpy(dtype=float))
    order = np.lexsort((upper, lower))
    return lower[order], upper[order]


def _survival_median(group: pd.DataFrame, settings: Cohort) -> dict[str, object]:
    lower, upper = _bounds(group)
    if len(lower) < settings.min_n:
        return {}
    curve = kaplan_meier(lower, upper)
    reached = not np.isnan(curve.median)
    return {
        "median": curve.median,
        "median_lower": curve.median_lower,
        "median_upper": curve.median_upper,
        "median_method": "kaplan_meier" if reached else "kaplan_meier, not reached",
    }


def _curves(group: pd.DataFrame, settings: Cohort) -> Iterator[dict[str, object]]:
    lower, upper = _bounds(group)
    if len(lower) < settings.min_n:
        return
    km = kaplan_meier(lower, upper)
    for day, survival, low, high, at_risk in zip(
        km.day, km.survival, km.lower, km.upper, km.n_at_risk, strict=True
    ):
        yield {
            "estimator": "kaplan_meier",
            "day": day,
            "survival": survival,
            "lower": low,
            "upper": high,
            "n_at_risk": at_risk,
        }
    steps = turnbull(lower, upper)
    yield {"estimator": "turnbull", "day": 0.0, "survival": 1.0, "lower": 0.0, "upper": 0.0}
    for left, right, survival in zip(steps.left, steps.right, steps.survival, strict=True):
        yield {
            "estimator": "turnbull",
            "day": right,
            "survival": survival,
            "lower": left,
            "upper": right,
        }
