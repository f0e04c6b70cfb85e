"""Recovery of blood counts (CIBMTR), and the metrics of the safety stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from cartrace.kinetics.rows import INTERVAL, RIGHT, Result
from cartrace.metrics import Metric, register
from cartrace.safety.counts import MATRIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cartrace.config import Recovery
    from cartrace.safety.counts import Counts
    from cartrace.safety.icaht import Haematotoxicity
    from cartrace.safety.thresholds import RecoveryTable

for _metric in (
    Metric(
        name="time_to_count_recovery",
        label="Time to recovery of the count",
        unit="day",
        definition="Days from the infusion to the first of three consecutive counts on different days at or above the "
        "threshold, after the nadir; it lies between the count before and that one. Platelet counts up to seven days "
        "after a transfusion do not count.",
        source="CIBMTR forms manual (initial ANC recovery, initial platelet recovery).",
        group="safety",
        event=True,
    ),
    Metric(
        name="low_count_days",
        label="Days with a low count, days 0 to 30",
        unit="day",
        definition="Days of the early ICAHT window at the mildest threshold; a day without a count takes the last one for "
        "the configured time, and days that stay unknown make it an interval.",
        source="ICAHT (Rejeski 2023, Blood 142:865), T-ICAHT.",
        group="safety",
    ),
):
    register(_metric)

NEVER_LOW = "never below the threshold after the infusion"
NO_COUNT = "no count after the infusion"


@dataclass(frozen=True, slots=True)
class Recovered:
    """When counts had recovered: after ``lower``, and by ``upper``; upper is infinite while they have not."""

    lower: float
    upper: float
    n_points: int
    reason: str | None = None
    """Why there is no time at all; a remark on an open one."""
    low: bool = True
    """Was the count ever low?"""


def find_recovery(
    counts: Counts, table: RecoveryTable, settings: Recovery, transfusions: Sequence[float] = ()
) -> Recovered:
    """Find the first of the consecutive counts at or above the threshold.

    Parameters
    ----------
    counts
        Of one subject and infusion, in the unit of the table.
    table
        Threshold, and how many counts in a row.
    settings
        From which count on, and up to which day the nadir is looked for.
    transfusions
        Days of transfusions on the clock of the infusion.

    Returns
    -------
    Recovered
        Days from the infusion. A count of the day of the infusion is before it.
    """
    after = counts.day > 0
    day, lower, upper = counts.day[after], counts.lower[after], counts.upper[after]
    n = len(day)
    if not n:
        return Recovered(np.nan, np.nan, 0, NO_COUNT)
    given = np.array(transfusions, dtype=np.float64)
    helped = np.zeros(n, dtype=bool)
    if table.transfusion_free_days and len(given):
        since = day[:, None] - np.floor(given)[None, :]
        helped = ((since >= 0) & (since < table.transfusion_free_days)).any(axis=1)
    high = (lower >= table.at_least) & ~helped
    # A count that may be low, or that a transfusion lifted, does not show that it was low.
    low = upper < table.at_least
    if not low.any():
        unknown = bool(((lower < table.at_least) | helped).any())
        reason = "whether the count was low is not known" if unknown else NEVER_LOW
        return Recovered(np.nan, np.nan, n, reason, low=unknown)
    begin = int(np.flatnonzero(low)[0])
    if settings.after == "nadir":
        early = np.flatnonzero(low & (day <= settings.nadir_by_day))
        if len(early):
            # The last of equal lowest counts: before it the nadir was not over.
            begin = int(early[upper[early] == upper[early].min()][-1])
    run = 0
    for k in range(begin, n):
        run = run + 1 if high[k] else 0
        if run == table.consecutive:
            first = k - table.consecutive + 1
            return Recovered(float(day[first - 1]), float(day[first]), n)
    last = int(np.flatnonzero(~high[begin:])[-1]) + begin
    remark = f"{run} of {table.consecutive} counts in a row at or above {table.at_least:g} {table.unit}"
    return Recovered(float(day[last]), np.inf, n, remark)


@dataclass(frozen=True, slots=True)
class Courses:
    """Names of n courses, for the rows of the metrics table."""

    keys: pd.DataFrame

    def __len__(self) -> int:
        """Return n."""
        return len(self.keys)


def courses_of(counts: Sequence[Counts], analyte: str, unit: str) -> Courses:
    """Name the courses; several assays of one count are one course."""
    return Courses(
        pd.DataFrame(
            {
                "subject_id": [c.subject_id for c in counts],
                "infusion": [c.infusion for c in counts],
                "matrix": MATRIX,
                "analyte": analyte,
                "assay": [c.assay for c in counts],
                "course_unit": unit,
            }
        )
    )


def recovery_result(found: Sequence[Recovered], table: RecoveryTable) -> Result:
    """Return ``time_to_count_recovery`` of n courses."""
    lower = np.array([f.lower for f in found])
    upper = np.array([f.upper for f in found])
    reasons: npt.NDArray[np.object_] = np.array([f.reason for f in found], dtype=object)
    result = Result(
        "time_to_count_recovery",
        np.where(upper - lower == 1, upper, np.nan),
        method=f"first of {table.consecutive} consecutive counts of at least {table.at_least:g} {table.unit}",
        n_points=np.array([f.n_points for f in found], dtype=np.float64),
    )
    result.refuse(np.isnan(lower), reasons)
    still = np.isinf(upper)
    result.censor(still, RIGHT, reasons, lower=lower)
    between: npt.NDArray[np.bool_] = np.isfinite(upper) & (upper - lower > 1)
    return result.censor(
        between, INTERVAL, "between the count before and the first of the row", lower=lower, upper=upper
    )


def low_days_result(found: Sequence[Haematotoxicity], rule: str) -> Result:
    """Return ``low_count_days`` of n courses."""
    least = np.array([float(f.low_days) for f in found])
    most = np.array([float(f.low_days_most) for f in found])
    result = Result(
        "low_count_days", least, method=rule, n_points=np.array([float(f.n_counts) for f in found])
    )
    reasons: npt.NDArray[np.object_] = np.array([f.reason for f in found], dtype=object)
    result.refuse(np.array([f.grade is None for f in found], dtype=bool), reasons)
    open_ = (most > least) & ~result.refused
    result.value[open_] = np.nan
    return result.censor(open_, INTERVAL, "days without a count that holds for them", lower=least, upper=most)
