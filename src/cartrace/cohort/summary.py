"""One metric over all subjects: how many, why not the others, and the statistics.

A censored value is no estimate. It is counted, and for a time to an event it
enters the survival curves. Beside it there is no mean, for the estimates alone are a
selection: the nadirs that were deep enough lie below the limit. What is left are the
order statistics, as far as the intervals tell them. A subject to whom the event
cannot happen (never depleted, say, for the time to reconstitution) is in no curve;
``counted`` tells how many are left out, and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from cartrace import registry
from cartrace.cohort.groups import ALL, cohorts
from cartrace.cohort.shares import count_reasons, share
from cartrace.cohort.survival import kaplan_meier, turnbull
from cartrace.metrics import find
from cartrace.tables import COHORT_SUMMARY, SURVIVAL, rows

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from cartrace.config import Cohort
    from cartrace.metrics import Metric

COURSE_TYPE = ("infusion", "matrix", "analyte", "assay", "course_unit")
"""What is summarised together: never two compartments, assays or units."""


class Summary(NamedTuple):
    """The two cohort tables, each in its contract."""

    summary: pd.DataFrame
    survival: pd.DataFrame


def summarise(metrics: pd.DataFrame, subjects: pd.DataFrame, settings: Cohort) -> Summary:
    """Summarise every metric of every course type, for all subjects and each cohort.

    Statistics need ``settings.min_n`` estimates; below that only the counts are
    given. A metric that the registry marks as a share gets the share of yes. One that
    it marks as a time to an event gets the Kaplan-Meier median, with the event at the
    first visit that confirms it, and its curves; they need ``min_n`` courses with a
    known or censored time.

    Parameters
    ----------
    metrics
        The metrics table (``cartrace.tables.METRICS``).
    subjects
        The subjects table (``cartrace.tables.SUBJECTS``); a subject without
        cohort counts among 'all' only.
    settings
        Section ``cohort`` of the configuration.

    Returns
    -------
    Summary
        ``cartrace.tables.COHORT_SUMMARY`` and ``cartrace.tables.SURVIVAL``.

    Raises
    ------
    ValueError
        When a cohort is called 'all', which is the name of the whole.
    KeyError
        When a metric is not in the registry.
    """
    registry.load_all()
    registered = {str(name): find(str(name)) for name in metrics["metric"].unique()}
    # One order of rows, so that sums never depend on the order of the input.
    ordered = metrics.sort_values(["subject_id", "metric"], kind="stable")
    statistics: list[dict[str, object]] = []
    curves: list[dict[str, object]] = []
    # Metrics keep the order in which they were computed, which is the registry's.
    place = {name: i for i, name in enumerate(registered)}
    for cohort, members in _cohorts(ordered, subjects, settings):
        whole = _Courses.of(members)
        groups = members.groupby([*COURSE_TYPE, "metric"], sort=False).indices
        for key, index in groups.items():
            names = {
                "cohort": cohort,
                **dict(zip([*COURSE_TYPE, "metric"], cast("tuple[object, ...]", key), strict=True)),
            }
            courses = whole.take(np.asarray(index))
            statistics.append(names | courses.counts())
            metric = registered[str(names["metric"])]
            if metric.event:
                found, steps = _survival(courses, settings)
                curves += [names | step for step in steps]
            else:
                found = _statistics(courses, metric, settings)
            statistics[-1] |= found | {"counted": _counted(courses, metric)}
    for table in (statistics, curves):
        table.sort(
            key=lambda row: (
                row["cohort"] != ALL,
                *(row[c] for c in ("cohort", *COURSE_TYPE)),
                place[str(row["metric"])],
            )
        )
    return Summary(rows(statistics, COHORT_SUMMARY), rows(curves, SURVIVAL))


def _cohorts(
    metrics: pd.DataFrame, subjects: pd.DataFrame, settings: Cohort
) -> Iterator[tuple[str, pd.DataFrame]]:
    for cohort, members in cohorts(subjects, by_cohort=settings.by_cohort):
        # A metric is summarised even where its subject is missing in the sheet.
        yield cohort, metrics if cohort == ALL else metrics[metrics["subject_id"].isin(members)]


class _Courses(NamedTuple):
    """One metric of n courses as plain arrays: a thousand small frames would take seconds."""

    status: NDArray[np.object_]
    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    unit: NDArray[np.object_]
    reason: NDArray[np.object_]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> _Courses:
        return cls(
            frame["status"].to_numpy(dtype=object),
            frame["value"].to_numpy(dtype=float),
            frame["lower"].to_numpy(dtype=float),
            frame["upper"].to_numpy(dtype=float),
            frame["unit"].fillna("").to_numpy(dtype=object),
            frame["reason"].fillna("").to_numpy(dtype=object),
        )

    def take(self, index: NDArray[np.intp]) -> _Courses:
        return _Courses(
            self.status[index],
            self.value[index],
            self.lower[index],
            self.upper[index],
            self.unit[index],
            self.reason[index],
        )

    def counts(self) -> dict[str, object]:
        estimated = int((self.status == "estimated").sum())
        refused = self.status == "not_estimable"
        n_refused = int(refused.sum())
        return {
            "unit": next(filter(None, self.unit), None),
            "n": len(self.status),
            "n_estimated": estimated,
            "n_censored": len(self.status) - estimated - n_refused,
            "n_not_estimable": n_refused,
            "reasons": count_reasons(self.reason[refused]),
        }

    def intervals(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where the values of the courses lie that have one; infinite where a side is open."""
        point = self.status == "estimated"
        known = (self.status != "not_estimable") & ~(point & np.isnan(self.value))
        lower = np.where(point, self.value, np.where(np.isnan(self.lower), -np.inf, self.lower))
        upper = np.where(point, self.value, np.where(np.isnan(self.upper), np.inf, self.upper))
        return lower[known], upper[known]

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the intervals (lower, upper] of the courses whose time is known or censored."""
        lower, upper = self.intervals()
        # The clock of a curve starts at the infusion, and the sample before it may be
        # the last one without the event.
        lower, upper = np.maximum(lower, 0.0), np.maximum(upper, 0.0)
        order = np.lexsort((upper, lower))
        return lower[order], upper[order]


def _statistics(courses: _Courses, metric: Metric, settings: Cohort) -> dict[str, object]:
    lower, upper = courses.intervals()
    if len(lower) < settings.min_n:
        return {}
    if (lower != upper).any():
        return bracket(lower, upper)
    return share(lower) if metric.share else describe(lower)


def _counted(courses: _Courses, metric: Metric) -> str:
    """Say in words what the statistics of ``metric`` count, and what they leave out."""
    counts = courses.counts()
    n, estimated, censored = len(courses.status), counts["n_estimated"], counts["n_censored"]
    refused = f"{counts['n_not_estimable']} not estimable: {counts['reasons']}" if counts["reasons"] else ""
    if metric.event:
        _, upper = courses.bounds()
        seen = int(np.isfinite(upper).sum())
        text = f"{len(upper)} of {n} courses: {seen} with the event, {len(upper) - seen} without it so far"
        missing = [refused]
    else:
        text = f"{estimated} of {n} courses {'answered' if metric.share else 'estimated'}"
        text += f", {censored} known only as intervals" if censored else ""
        missing = [refused]
    left_out = "; ".join(filter(None, missing))
    return f"{text}; left out: {left_out}" if left_out else text


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


def bracket(lower: NDArray[np.float64], upper: NDArray[np.float64]) -> dict[str, object]:
    """Return the order statistics of values that are known as intervals, shape (n,).

    An order statistic of the values lies between that of the lower and that of the
    upper ends. It is given where the two agree; the median otherwise by these bounds.
    Quantiles are those of :func:`describe`.
    """
    low, high = np.sort(lower), np.sort(upper)
    ranges = {
        name: (_quantile(low, p), _quantile(high, p))
        for name, p in (("minimum", 0.0), ("q1", 0.25), ("median", 0.5), ("q3", 0.75), ("maximum", 1.0))
    }
    found: dict[str, object] = {name: a for name, (a, b) in ranges.items() if a == b}
    if "median" in found:
        return found | {"median_method": "sample"}
    first, last = (bound if np.isfinite(bound) else None for bound in ranges["median"])
    return found | {"median_lower": first, "median_upper": last, "median_method": "bounds"}


def _quantile(values: NDArray[np.float64], p: float) -> float:
    # numpy's own has no answer beside an infinite value.
    below, part = divmod((len(values) - 1) * p, 1)
    if not part:
        return float(values[int(below)])
    a, b = values[int(below)], values[int(below) + 1]
    return float(a if a == b else a + part * (b - a))


def _survival(courses: _Courses, settings: Cohort) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Return the median for the summary, and the steps of both curves."""
    lower, upper = courses.bounds()
    if len(lower) < settings.min_n:
        return {}, []
    curve = kaplan_meier(lower, upper)
    median: dict[str, object] = {
        "median": curve.median,
        "median_lower": curve.median_lower,
        "median_upper": curve.median_upper,
        "median_method": "kaplan_meier, not reached" if np.isnan(curve.median) else "kaplan_meier",
    }
    columns = ("day", "survival", "lower", "upper", "n_at_risk")
    steps: list[dict[str, object]] = [
        {"estimator": "kaplan_meier", **dict(zip(columns, step, strict=True))}
        for step in zip(curve.day, curve.survival, curve.lower, curve.upper, curve.n_at_risk, strict=True)
    ]
    masses = turnbull(lower, upper)
    start = (0.0, 1.0, 0.0, 0.0)
    steps += [
        {"estimator": "turnbull", **dict(zip(columns, step, strict=False))}
        for step in [start, *zip(masses.right, masses.survival, masses.left, masses.right, strict=True)]
    ]
    return median, steps
