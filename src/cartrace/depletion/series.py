"""Courses of what the product takes away, with the baseline before it.

Other than the courses of ``cartrace.kinetics``, these begin before the infusion,
and a quantified 0 is a value: no B cells were counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cartrace.analytes import DEPLETION
from cartrace.depletion.masking import is_masked
from cartrace.kinetics.profiles import PROFILE_KEY
from cartrace.tables import COURSE_KEY

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Series:
    """n courses of at most m points, sorted by time, padded on the right.

    Attributes
    ----------
    time
        (n, m) days from the infusion, negative before it; nan where padded.
    lower, upper
        (n, m) bounds of the result, equal where it is quantified; ``upper`` is
        infinite where no limit is known.
    exact
        (n, m) quantified results.
    missing_below, undetected
        (n, m) results below quantification (BLQ or BLD), and below detection.
    limit
        (n, m) smallest limit that is known for the result; nan where none is.
    masked
        (n, m) results that an event masks; they enter nothing.
    baseline
        (n,) position of the baseline, -1 where there is none.
    lymphodepletion
        (n,) first day of lymphodepletion; nan where it is not known.
    carried
        (n,) the baseline is a result of the previous infusion's course.
    next_infusion
        (n,) day of the next infusion; nan where there is none.
    keys
        n rows: subject_id, infusion, matrix, analyte, assay, course_unit.
    """

    time: Floats
    lower: Floats
    upper: Floats
    exact: Bools
    missing_below: Bools
    undetected: Bools
    limit: Floats
    masked: Bools
    baseline: Integers
    lymphodepletion: Floats
    carried: Bools
    next_infusion: Floats
    keys: pd.DataFrame

    def __len__(self) -> int:
        """Return the number of courses."""
        return len(self.time)

    @property
    def used(self) -> Bools:
        """(n, m) results that enter: from the baseline on, and not masked."""
        from_baseline = np.arange(self.time.shape[1]) >= self.baseline[:, None]
        return np.asarray(~np.isnan(self.time) & ~self.masked & from_baseline)

    @property
    def after(self) -> Bools:
        """(n, m) results that enter and were taken after the day of the infusion."""
        return np.asarray(self.used & (self.time > 0))

    @property
    def has_baseline(self) -> Bools:
        """(n,) where there is a baseline."""
        return np.asarray(self.baseline >= 0)

    def at_baseline(self, values: npt.NDArray[np.generic]) -> Floats:
        """(n,) the baseline's entry of an (n, m) array; nan where there is none."""
        picked = values[np.arange(len(self)), np.maximum(self.baseline, 0)].astype(np.float64)
        return np.where(self.has_baseline, picked, np.nan)


def build_series(measurements: pd.DataFrame, infusions: pd.DataFrame | None) -> Series:
    """Arrange ``measurements`` as courses around their infusion.

    Rejected results and those of an infusion product don't enter, masked ones (``cartrace.depletion.masking``) are
    kept apart. Results of one course on one day become one: the mean of the
    quantified ones, else the widest bounds. The baseline is the last result on or
    before the first day of lymphodepletion, else the last one up to the day of the
    infusion. Before a second infusion the clock gives those samples to the course of
    the first one; they are also taken as the beginning of the second course. The
    first course ends where the lymphodepletion of the second begins. The order of
    the rows doesn't matter.

    Parameters
    ----------
    measurements
        Table in the contract of ``cartrace.tables.MEASUREMENTS``.
    infusions
        Table in the contract of ``cartrace.tables.INFUSIONS``, or None when no day
        of lymphodepletion and no second infusion is known.
    """
    in_the_body = (measurements["matrix"] != "infusion_product").to_numpy(dtype=bool)
    rows = measurements.loc[measurements["analyte"].isin(DEPLETION).to_numpy(dtype=bool) & in_the_body]
    by = rows.loc[:, [*COURSE_KEY, "unit"]].rename(columns={"unit": "course_unit"})
    by["infusion"] = by["infusion"].astype("int64")
    course = by.groupby(list(PROFILE_KEY), sort=True, observed=True).ngroup().to_numpy(dtype=np.int64)
    keys = by.iloc[np.unique(course, return_index=True)[1]].reset_index(drop=True)
    plan = _plan(keys, infusions)

    points = _points(rows)
    points["course"] = course
    points["carried"] = False
    points = points[_usable(rows)]
    carried = _carried(points, keys, plan)
    if len(carried):
        points = pd.concat([points, carried], ignore_index=True)
    # What lymphodepletion for the next infusion did is not the work of this one.
    stop = (plan["next_day"] + plan["next_lymphodepletion"].fillna(0.0)).to_numpy(dtype=np.float64)
    points = points[~(points["day"].to_numpy() > stop[points["course"].to_numpy()])]
    return _arrange(points, keys, plan)


def _usable(rows: pd.DataFrame) -> Bools:
    status = rows["status"].to_numpy(dtype=object)
    # A quantified result without a number would break the contract's meaning: it can't enter.
    number = (rows["detection"] != "quantified").to_numpy(dtype=bool) | rows["value"].notna().to_numpy()
    return np.asarray((status != "rejected") & number)


def _points(rows: pd.DataFrame) -> pd.DataFrame:
    """Bring each result to bounds: what the value can be at least and at most."""
    number = {
        name: rows[name].to_numpy(dtype=np.float64, na_value=np.nan)
        for name in ("value", "lower", "upper", "lod", "lloq", "uloq")
    }
    words = rows["detection"].to_numpy(dtype=object)
    exact, blq, bld = (words == word for word in ("quantified", "BLQ", "BLD"))
    above = ~(exact | blq | bld)
    smallest = np.fmin(number["lod"], number["lloq"])
    lower = np.select(
        [exact, above], [number["value"], _first(number["lower"], number["uloq"])], number["lower"]
    )
    upper = np.select(
        [exact, above, blq],
        [number["value"], np.full(len(rows), np.inf), _first(number["upper"], number["lloq"])],
        _first(number["upper"], smallest),
    )
    return pd.DataFrame(
        {
            "day": rows["day"].to_numpy(dtype=np.float64),
            "lower": np.nan_to_num(lower, nan=0.0),
            "upper": np.where(np.isnan(upper), np.inf, upper),
            "exact": exact,
            "missing_below": blq | bld,
            "undetected": bld,
            "limit": smallest,
            "masked": is_masked(rows),
        }
    )


def _first(one: Floats, other: Floats) -> Floats:
    return np.where(np.isnan(one), other, one)


def _plan(keys: pd.DataFrame, infusions: pd.DataFrame | None) -> pd.DataFrame:
    """Return for each course: day of lymphodepletion, and previous and next infusion on its clock."""
    columns = ["lymphodepletion_day", "previous", "shift", "next_day", "next_lymphodepletion"]
    if infusions is None or not len(keys):
        return pd.DataFrame(np.nan, index=range(len(keys)), columns=columns)
    table = infusions.loc[:, ["subject_id", "infusion", "study_day", "lymphodepletion_day"]].copy()
    table["infusion"] = table["infusion"].astype("int64")
    table = table.sort_values(["subject_id", "study_day", "infusion"])
    of_subject = table.groupby("subject_id", sort=False)
    table["previous"] = of_subject["infusion"].shift(1).astype("float64")
    table["shift"] = table["study_day"] - of_subject["study_day"].shift(1)
    table["next_day"] = of_subject["study_day"].shift(-1) - table["study_day"]
    table["next_lymphodepletion"] = of_subject["lymphodepletion_day"].shift(-1)
    joined = keys.loc[:, ["subject_id", "infusion"]].merge(table, on=["subject_id", "infusion"], how="left")
    return joined.loc[:, columns].astype("float64")


def _carried(points: pd.DataFrame, keys: pd.DataFrame, plan: pd.DataFrame) -> pd.DataFrame:
    """Return what was measured after the previous infusion, on the clock of the course."""
    names = [name for name in PROFILE_KEY if name != "infusion"]
    target = keys.loc[:, names].assign(
        infusion=plan["previous"], shift=plan["shift"], target=np.arange(len(keys))
    )
    target = target[target["infusion"].notna()]
    if not len(target) or not len(points):
        return points.iloc[:0]
    target["infusion"] = target["infusion"].astype("int64")
    source = keys.assign(course=np.arange(len(keys))).merge(target, on=[*names, "infusion"])
    taken = points[points["day"] > 0].merge(source.loc[:, ["course", "shift", "target"]], on="course")
    taken["day"] -= taken["shift"]
    taken["course"] = taken["target"]
    taken["carried"] = True
    return taken.loc[taken["day"] <= 0, points.columns]


def _arrange(points: pd.DataFrame, keys: pd.DataFrame, plan: pd.DataFrame) -> Series:
    """Merge results of one day and pad the courses."""
    # The bounds come last so that a mean never depends on the order of the rows.
    order = np.lexsort(
        [points[c].to_numpy() for c in ("upper", "lower")]
        + [~points["exact"].to_numpy(), points["day"].to_numpy(), points["course"].to_numpy()]
    )
    points = points.iloc[order]
    course, day = points["course"].to_numpy(), points["day"].to_numpy()
    opens = np.ones(len(course), dtype=bool)
    opens[1:] = (course[1:] != course[:-1]) | (day[1:] != day[:-1])
    starts = np.flatnonzero(opens)
    slot = np.cumsum(opens) - 1
    exact = points["exact"].to_numpy()
    winner = exact == exact[starts][slot]
    at = course[starts]
    position = np.arange(len(starts)) - np.searchsorted(at, at)
    shape = (len(keys), int(position.max()) + 1 if len(starts) else 1)

    def place(flat: npt.NDArray[np.generic], empty: float) -> Floats:
        out = np.full(shape, empty)
        out[at, position] = flat
        return out

    def reduce(ufunc: np.ufunc, name: str, neutral: float) -> Floats:
        flat = np.where(winner, points[name].to_numpy(dtype=np.float64), neutral)
        return np.asarray(ufunc.reduceat(flat, starts)) if len(starts) else np.empty(0)

    is_exact = exact[starts]
    count = np.add.reduceat(winner.astype(np.float64), starts) if len(starts) else np.empty(0)
    total = reduce(np.add, "lower", 0.0)
    mean = np.divide(total, count, out=np.zeros_like(total), where=is_exact)
    time = place(day[starts], np.nan)
    lymphodepletion = plan["lymphodepletion_day"].to_numpy(dtype=np.float64)
    is_masked_point = place(points["masked"].to_numpy()[starts], 0.0) > 0
    baseline = _baseline(time, is_masked_point, lymphodepletion)
    carried = place(reduce(np.fmax, "carried", 0.0), 0.0)[np.arange(len(keys)), np.maximum(baseline, 0)] > 0
    return Series(
        time=time,
        lower=place(np.where(is_exact, mean, reduce(np.fmin, "lower", np.inf)), np.nan),
        upper=place(np.where(is_exact, mean, reduce(np.fmax, "upper", -np.inf)), np.nan),
        exact=place(is_exact, 0.0) > 0,
        # Only when all of one day say so.
        missing_below=place(reduce(np.fmin, "missing_below", 1.0), 0.0) > 0,
        undetected=place(reduce(np.fmin, "undetected", 1.0), 0.0) > 0,
        limit=place(reduce(np.fmax, "limit", np.nan), np.nan),
        masked=is_masked_point,
        baseline=baseline,
        lymphodepletion=lymphodepletion,
        carried=carried & (baseline >= 0),
        next_infusion=plan["next_day"].to_numpy(dtype=np.float64),
        keys=keys,
    )


def _baseline(time: Floats, masked: Bools, lymphodepletion: Floats) -> Integers:
    """Find the last result before lymphodepletion, else the last up to the day of infusion."""
    before = (time <= 0) & ~masked
    intact = before & (time <= lymphodepletion[:, None])

    def last(where: Bools) -> Integers:
        width = where.shape[1]
        return np.where(where.any(axis=1), width - 1 - where[:, ::-1].argmax(axis=1), -1)

    return np.where(intact.any(axis=1), last(intact), last(before))
