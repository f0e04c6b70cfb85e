"""Blood counts as bounds by whole day: what grades and recovery rest on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.safety.thresholds import rounded
from cartrace.units import factor

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import pandas as pd

MATRIX = "blood"


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of one analyte of one subject after one infusion, one a day, in order of the day.

    Of several counts of a day the lowest bounds count. ``lower`` equals ``upper``
    where the count is known; a censored count lies in [lower, upper].
    """

    subject_id: str
    infusion: int
    day: npt.NDArray[np.int64]
    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    assay: str = ""
    """Assays behind it, joined by '+'."""

    def up_to(self, last: int | None) -> Counts:
        """Return the counts up to and with day ``last``; all of them for None."""
        if last is None:
            return self
        kept = self.day <= last
        return replace(self, day=self.day[kept], lower=self.lower[kept], upper=self.upper[kept])

    def states(self, met: Callable[[float], bool]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return (n,) where the count certainly is low, and where it can be.

        Parameters
        ----------
        met
            Says of a count whether it is low. Every count below a low one is low.
        """
        return (
            np.array([met(x) for x in self.upper.tolist()], dtype=bool),
            np.array([met(x) for x in self.lower.tolist()], dtype=bool),
        )


def blood_counts(measurements: pd.DataFrame, analyte: str, unit: str) -> list[Counts]:
    """Return the counts of every subject and infusion, in ``unit``.

    Results that were rejected, and those of other matrices than blood, do not
    enter; several assays of one analyte are put together.

    Parameters
    ----------
    measurements
        Table in the contract of ``cartrace.tables.MEASUREMENTS``.
    analyte, unit
        What is counted, and the unit of the bounds. Units without an exact
        conversion can't occur: ``cartrace.analytes`` allows none.

    Returns
    -------
    list of Counts
        In order of subject and infusion; none without a result.
    """
    chosen = measurements[
        (measurements["analyte"] == analyte)
        & (measurements["matrix"] == MATRIX)
        & (measurements["status"] != "rejected")
    ]
    out = []
    for key, group in chosen.groupby(["subject_id", "infusion"], sort=True):
        names: tuple[Any, ...] = key
        subject, infusion = names
        lower, upper = _bounds(group, unit)
        # The morning of day 8.4 is on day 8; just before the infusion is day -1.
        day = np.floor(group["day"].to_numpy(dtype=np.float64)).astype(np.int64)
        days = np.unique(day)
        out.append(
            Counts(
                str(subject),
                int(infusion),
                days,
                np.array([lower[day == d].min() for d in days]),
                np.array([upper[day == d].min() for d in days]),
                "+".join(sorted(set(group["assay"]))),
            )
        )
    return out


def _bounds(group: pd.DataFrame, unit: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    value = group["value"].to_numpy(dtype=np.float64)
    known = ~np.isnan(value)
    lower = group["lower"].to_numpy(dtype=np.float64)
    upper = group["upper"].to_numpy(dtype=np.float64)
    lower = np.where(known, value, np.where(np.isnan(lower), 0.0, lower))
    upper = np.where(known, value, np.where(np.isnan(upper), np.inf, upper))
    scale = np.array([factor(u, unit) for u in group["unit"]], dtype=np.float64)
    lower = np.array([rounded(x) for x in (lower * scale).tolist()])
    upper = np.array([rounded(x) for x in (upper * scale).tolist()])
    # "< 0.5" is below 0.5: the bound itself is out. The step has to survive rounding.
    open_above = ~known & (group["censoring"] == "left").to_numpy(dtype=bool) & (upper > 0)
    upper = np.where(open_above & np.isfinite(upper), upper * (1 - 1e-6), upper)
    return lower, upper
