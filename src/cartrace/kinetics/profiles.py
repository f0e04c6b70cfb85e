"""Courses as padded arrays: one row per course, one column per point in time.

Every kinetic metric starts here. Only results after the infusion enter, so a
baseline or a pre-lymphodepletion value can't reach an area.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cartrace.analytes import EXPANSION
from cartrace.tables import COURSE_KEY

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Kinetics

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int8]

PAD, QUANTIFIED, BLQ, BLD, ABOVE_ULOQ = -1, 0, 1, 2, 3
"""Codes of ``Profiles.detection``."""

PROFILE_KEY = (*COURSE_KEY, "course_unit")


@dataclass(frozen=True, slots=True)
class Profiles:
    """n courses of at most m points, sorted by time, padded on the right.

    Attributes
    ----------
    time
        (n, m) days from the infusion; nan where padded.
    value
        (n, m) quantified value in the unit of the course; nan elsewhere.
    detection
        (n, m) ``PAD``, ``QUANTIFIED``, ``BLQ``, ``BLD`` or ``ABOVE_ULOQ``.
    lower, upper
        (n, m) bounds of the result (equal to value when quantified); nan where
        no limit is known.
    lod, lloq
        (n, m) limits that held for the result; nan where not known.
    averaged, mixed
        (n,) results of one time averaged; a censored result beside a
        quantified one of the same time left out.
    keys
        n rows: subject_id, infusion, matrix, analyte, assay, course_unit.
    """

    time: Floats
    value: Floats
    detection: Codes
    lower: Floats
    upper: Floats
    lod: Floats
    lloq: Floats
    averaged: Bools
    mixed: Bools
    keys: pd.DataFrame

    def __len__(self) -> int:
        """Return the number of courses."""
        return len(self.time)

    @property
    def taken(self) -> Bools:
        """(n, m) where there is a result at all."""
        return np.asarray(self.detection != PAD)

    @property
    def quantified(self) -> Bools:
        """(n, m) where the value is known."""
        return np.asarray(self.detection == QUANTIFIED)

    @property
    def above(self) -> Bools:
        """(n, m) where only a lower bound is known."""
        return np.asarray(self.detection == ABOVE_ULOQ)

    @property
    def quantifiable(self) -> Bools:
        """(n, m) at or above the lower limit of quantification."""
        return self.quantified | self.above

    @property
    def below(self) -> Bools:
        """(n, m) below the limit of quantification (BLQ or BLD)."""
        return np.asarray((self.detection == BLQ) | (self.detection == BLD))

    @property
    def level(self) -> Floats:
        """(n, m) the value, or the upper limit of quantification of a result above it; nan elsewhere."""
        return np.where(self.above, self.lower, self.value)

    def scaled(self, factor: float) -> Profiles:
        """Return the same courses in a unit ``factor`` times smaller."""
        return replace(
            self,
            **{name: getattr(self, name) * factor for name in ("value", "lower", "upper", "lod", "lloq")},
        )


def build_profiles(measurements: pd.DataFrame, kinetics: Kinetics) -> Profiles:
    """Arrange ``measurements`` (the contract's table) as courses.

    Analytes that count CAR-T cells or their genes enter, results that are not
    rejected, and only after the infusion: day > 0, or day 0 with a visit that
    ``kinetics.post_infusion_visits`` matches. An infusion product has no course. A course all of whose results fall
    out keeps its (empty) row. Results of one course at one time become one:
    the mean of the quantified ones; else the lower bound of those above the
    range; else the BLQ before the BLD ones with the widest bounds. A quantified
    value of 0 or less counts as below detection: it has no logarithm, and a
    course that ends in it is not present. The order of the rows doesn't matter.
    """
    expansion = measurements["analyte"].isin(EXPANSION).to_numpy(dtype=bool)
    in_the_body = (measurements["matrix"] != "infusion_product").to_numpy(dtype=bool)
    rows = measurements.loc[expansion & in_the_body]
    by = rows.loc[:, [*COURSE_KEY, "unit"]].rename(columns={"unit": "course_unit"})
    by["infusion"] = by["infusion"].astype("int64")
    grouped = by.groupby(list(PROFILE_KEY), sort=True, observed=True)
    course = grouped.ngroup().to_numpy(dtype=np.int64)
    first = np.unique(course, return_index=True)[1]
    keys = by.iloc[first].reset_index(drop=True)

    day = rows["day"].to_numpy(dtype=np.float64)
    status = rows["status"].to_numpy(dtype=object)
    at_zero = np.flatnonzero(day == 0)
    after = day > 0
    visit = rows["visit"].iloc[at_zero].astype("string").fillna("")
    after[at_zero] = visit.str.contains(kinetics.post_infusion_visits, regex=True).to_numpy(dtype=bool)
    use = after & (status != "rejected")
    # A quantified result without a number would break the contract's meaning: it can't enter.
    use &= (rows["detection"] != "quantified").to_numpy(dtype=bool) | rows["value"].notna().to_numpy()

    number = {
        name: rows[name].to_numpy(dtype=np.float64, na_value=np.nan)[use]
        for name in ("value", "lower", "upper", "lod", "lloq", "uloq")
    }
    words = rows["detection"].to_numpy(dtype=object)[use]
    detection = np.select(
        [words == "quantified", words == "BLQ", words == "BLD"], [QUANTIFIED, BLQ, BLD], ABOVE_ULOQ
    ).astype(np.int8)
    return _arrange(course[use], day[use], detection, number, keys)


@dataclass(frozen=True, slots=True)
class Outline:
    """Where each course begins, peaks and ends; arrays of length n.

    ``first``, ``peak`` and ``last`` are positions of the first, the highest
    (the first of equals) and the last quantifiable result, 0 where there is
    none. Times are days, levels are in the unit of the course, and both are nan
    where they don't exist. A result above the range counts with its limit.
    """

    any_result: Bools
    any_quantifiable: Bools
    first: Integers
    peak: Integers
    last: Integers
    tfirst: Floats
    tmax: Floats
    tlast: Floats
    cmax: Floats
    clast: Floats
    last_sample: Floats
    unbounded: Bools
    """True where a result above the range has no limit: there is no level to compute with."""


def outline(profiles: Profiles) -> Outline:
    """Find the first, the highest and the last quantifiable result of each course."""
    there = profiles.quantifiable
    exists = there.any(axis=1)
    width = there.shape[1]
    first = there.argmax(axis=1)
    last = np.where(exists, width - 1 - there[:, ::-1].argmax(axis=1), 0)
    unlimited = profiles.above & np.isnan(profiles.level)
    height = np.where(unlimited, np.inf, np.where(there, profiles.level, -np.inf))
    peak = height.argmax(axis=1)
    taken = profiles.taken
    end = np.where(taken.any(axis=1), width - 1 - taken[:, ::-1].argmax(axis=1), 0)

    def pick(values: Floats, position: Integers) -> Floats:
        return np.where(exists, values[np.arange(len(values)), position], np.nan)

    return Outline(
        any_result=taken.any(axis=1),
        any_quantifiable=exists,
        first=first,
        peak=peak,
        last=last,
        tfirst=pick(profiles.time, first),
        tmax=pick(profiles.time, peak),
        tlast=pick(profiles.time, last),
        cmax=pick(profiles.level, peak),
        clast=pick(profiles.level, last),
        last_sample=profiles.time[np.arange(len(end)), end],
        unbounded=unlimited.any(axis=1),
    )


NO_RESULT = "no usable result after infusion"
NEVER = "no quantifiable result"


@dataclass(frozen=True, slots=True)
class Loss:
    """The end of a course; arrays of length n.

    ``last_present`` is the day of the last result that counts as present (nan:
    never), ``first_loss`` the day of the first result after it when enough
    results follow to confirm the loss (nan: not lost), ``unconfirmed`` says that
    results follow, but too few.
    """

    last_present: Floats
    first_loss: Floats
    unconfirmed: Bools


def find_loss(profiles: Profiles, present: Bools, confirm: int) -> Loss:
    """Find the loss that no later result contradicts.

    Every result after the last present one is a loss by definition, so a
    loss is confirmed when at least ``confirm`` results follow.
    """
    exists = present.any(axis=1)
    width = present.shape[1]
    last = np.where(exists, width - 1 - present[:, ::-1].argmax(axis=1), 0)
    following = profiles.taken.sum(axis=1) - 1 - last
    row = np.arange(len(last))
    lost = exists & (following >= confirm)
    return Loss(
        last_present=np.where(exists, profiles.time[row, last], np.nan),
        first_loss=np.where(lost, profiles.time[row, np.minimum(last + 1, width - 1)], np.nan),
        unconfirmed=exists & (following > 0) & ~lost,
    )


def _arrange(
    course: Integers, day: Floats, detection: Codes, number: dict[str, Floats], keys: pd.DataFrame
) -> Profiles:
    """Merge results of one time and pad the courses."""
    value, lower, upper = number["value"], number["lower"].copy(), number["upper"].copy()
    lod, lloq = number["lod"], number["lloq"]
    known = detection == QUANTIFIED
    zero = known & ~(value > 0)
    detection = np.where(zero, BLD, detection).astype(np.int8)
    known &= ~zero
    lower[known] = upper[known] = value[known]
    lower[zero] = 0.0
    upper[zero] = np.fmin(lod, lloq)[zero]
    blank = (detection == ABOVE_ULOQ) & np.isnan(lower)
    lower[blank] = number["uloq"][blank]
    blank = (detection == BLQ) & np.isnan(upper)
    upper[blank] = lloq[blank]
    blank = (detection == BLD) & np.isnan(upper)
    upper[blank] = np.fmin(lod, lloq)[blank]

    # Value is the last key so that a mean never depends on the order of the rows.
    rank = np.select([known, detection == ABOVE_ULOQ, detection == BLQ], [0, 1, 2], 3)
    order = np.lexsort((value, rank, day, course))
    course, day, detection, rank = course[order], day[order], detection[order], rank[order]
    value, lower, upper, lod, lloq = (a[order] for a in (value, lower, upper, lod, lloq))
    opens = np.ones(len(course), dtype=bool)
    opens[1:] = (course[1:] != course[:-1]) | (day[1:] != day[:-1])
    starts = np.flatnonzero(opens)
    slot = np.cumsum(opens) - 1
    winner = rank == rank[starts][slot] if len(starts) else opens

    n = len(keys)
    at = course[starts]
    position = np.arange(len(starts)) - np.searchsorted(at, at)
    width = int(position.max()) + 1 if len(starts) else 1

    def place(flat: Floats) -> Floats:
        out = np.full((n, width), np.nan)
        out[at, position] = flat
        return out

    winners = _sum(winner, starts)
    mean = _sum(np.where(winner, value, 0.0), starts) / np.maximum(winners, 1)
    quantified = rank[starts] == 0
    narrow = _reduce(np.fmin, np.where(winner, lower, np.nan), starts)
    wide = _reduce(np.fmax, np.where(winner, upper, np.nan), starts)
    codes = np.full((n, width), PAD, dtype=np.int8)
    codes[at, position] = detection[starts]
    averaged = np.zeros(n, dtype=bool)
    averaged[at[quantified & (winners > 1)]] = True
    mixed = np.zeros(n, dtype=bool)
    mixed[at[quantified & (_sum(~winner, starts) > 0)]] = True
    return Profiles(
        time=place(day[starts]),
        value=place(np.where(quantified, mean, np.nan)),
        detection=codes,
        lower=place(np.where(quantified, mean, narrow)),
        upper=place(np.where(quantified, mean, wide)),
        lod=place(_reduce(np.fmax, np.where(winner, lod, np.nan), starts)),
        lloq=place(_reduce(np.fmax, np.where(winner, lloq, np.nan), starts)),
        averaged=averaged,
        mixed=mixed,
        keys=keys,
    )


def _sum(flat: npt.NDArray[np.generic], starts: Integers) -> Floats:
    return _reduce(np.add, flat.astype(np.float64), starts)


def _reduce(ufunc: np.ufunc, flat: Floats, starts: Integers) -> Floats:
    return np.asarray(ufunc.reduceat(flat, starts)) if len(starts) else np.empty(0)
