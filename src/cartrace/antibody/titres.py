"""Antibody courses, with every result as the interval that it stands for.

A titre is the last dilution that was positive: an end point of 40 with two-fold
steps means a titre from 40 up to 80. Where a result brings the interval that its wells
leave open, that one counts; else the step of the configuration makes it. A negative
result means anything below the starting dilution, a result above the range anything from
its last dilution on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from cartrace.analytes import ANTIBODY
from cartrace.tables import COURSE_KEY

if TYPE_CHECKING:
    from cartrace.config import Antibody

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

TITRE = "titre"
READING_KEY = (*COURSE_KEY, "course_unit")
_OTHERS = tuple(name for name in READING_KEY if name != "infusion")
_SERIES = ["analyte", "assay", "course_unit"]
SAME_STEP = 0.01
"""Relative difference of two dilution steps that are one."""
WIDENED = ("dilution_missing", "not_monotone", "readings_differ")
"""Flags of titres whose interval holds more than one step (cartrace.immunoassay.vocabulary.FLAGS)."""


@dataclass(frozen=True, slots=True)
class Readings:
    """n courses of at most m points in time, before and after the infusion, padded on the right.

    Attributes
    ----------
    keys
        n rows: subject_id, infusion, matrix, analyte, assay, course_unit.
    time
        (n, m) days from the infusion; nan where padded.
    after
        (n, m) where the result was taken after the infusion.
    value
        (n, m) end point or level; nan where it is below or above a limit.
    lower, upper
        (n, m) the true titre or level lies in [lower, upper); equal for a plain
        number, 0 and inf where no limit is known; nan where padded.
    low, high
        (n, m) bounds of the end point: equal for a plain number and for a titre of one
        clean series; a negative titre ends one step below its starting dilution or
        earlier.
    negative
        (n, m) below the limit, or below ``positive_from``.
    limit
        (n, m) starting dilution (titre) or limit of a positive result; nan where unknown.
    step
        (n,) dilution step, the measured one where results bring it; 1 for plain numbers.
    baseline
        (n,) position of the baseline; -1 without one.
    averaged
        (n,) where several results of one time became one.
    """

    keys: pd.DataFrame
    time: Floats
    after: Bools
    value: Floats
    lower: Floats
    upper: Floats
    low: Floats
    high: Floats
    negative: Bools
    limit: Floats
    step: Floats
    baseline: Integers
    averaged: Bools

    def __len__(self) -> int:
        """Return the number of courses."""
        return len(self.time)

    @property
    def titre(self) -> Bools:
        """(n,) where results are end points of a dilution series."""
        return np.asarray(self.step > 1)

    @property
    def known(self) -> Bools:
        """(n, m) where there is an end point or a number."""
        return ~np.isnan(self.value)

    @property
    def positive(self) -> Bools:
        """(n, m) after the infusion and not negative."""
        return self.after & ~self.negative


def read_courses(measurements: pd.DataFrame, infusions: pd.DataFrame | None, settings: Antibody) -> Readings:
    """Arrange the antibodies of ``measurements`` as courses.

    Parameters
    ----------
    measurements
        Table in the contract of ``cartrace.tables.MEASUREMENTS``.
    infusions
        Table in the contract of ``cartrace.tables.INFUSIONS``, or None: then the
        baseline is the last result before the infusion.
    settings
        Section ``antibody`` of the configuration.

    Returns
    -------
    Readings
        Courses in the order of their keys. Rejected results never enter. The
        baseline is the last result up to the first day of lymphodepletion, else the
        last one before the infusion; before a later infusion it may belong to
        the course of the earlier one. Results of one time become one: the geometric
        mean of the numbers; else above the range; else the widest negative one.
    """
    flat = _intervals(measurements.loc[measurements["analyte"].isin(ANTIBODY).to_numpy(dtype=bool)], settings)
    keys = flat.loc[:, list(READING_KEY)].drop_duplicates().sort_values(list(READING_KEY))
    keys = keys.reset_index(drop=True)
    merged = _one_per_time(_with_earlier(flat[flat["use"]]))
    course = keys.assign(course=np.arange(len(keys)))
    merged = merged.merge(course, on=list(READING_KEY), how="inner").sort_values(["course", "time", "after"])
    at = merged["course"].to_numpy(dtype=np.int64)
    position = np.arange(len(at)) - np.searchsorted(at, at)
    width = int(position.max()) + 1 if len(at) else 1

    def place(name: str) -> Floats:
        out = np.full((len(keys), width), np.nan)
        out[at, position] = merged[name].to_numpy(dtype=np.float64, na_value=np.nan)
        return out

    after = place("after") == 1
    averaged = np.zeros(len(keys), dtype=bool)
    averaged[at[merged["several"].to_numpy(dtype=bool)]] = True
    time = place("time")
    return Readings(
        keys=keys,
        time=time,
        after=after,
        value=place("value"),
        lower=place("lower"),
        upper=place("upper"),
        low=place("low"),
        high=place("high"),
        negative=place("negative") == 1,
        limit=place("limit"),
        step=flat.groupby(list(READING_KEY))["step"].first().to_numpy(dtype=np.float64),
        baseline=_baseline(time, after, _lymphodepletion(keys, infusions)),
        averaged=averaged,
    )


def _rules(keys: pd.DataFrame, settings: Antibody) -> pd.DataFrame:
    """Return the dilution step (1 for plain numbers) and the cut-off (nan without one) of each row."""
    titre = keys["course_unit"].to_numpy(dtype=object) == TITRE
    step = np.where(titre, settings.titre_step, 1.0)
    cut = np.full(len(keys), np.nan)
    analyte = keys["analyte"].to_numpy(dtype=object)
    unit = keys["course_unit"].to_numpy(dtype=object)
    # A rule for one unit is nearer than a rule for all: it comes last.
    for rule in sorted(settings.rules, key=lambda r: r.unit is not None):
        meant = (analyte == rule.analyte) & (True if rule.unit is None else unit == rule.unit)
        if rule.titre_step is not None:
            step[meant & titre] = rule.titre_step
        if rule.positive_from is not None:
            cut[meant] = rule.positive_from
    return pd.DataFrame({"step": step, "cut": cut}, index=keys.index)


def configured_steps(keys: pd.DataFrame, settings: Antibody) -> Floats:
    """Return the dilution step (n,) that the configuration gives each row of ``analyte`` and ``course_unit``.

    1 for plain numbers.
    """
    return _rules(keys, settings)["step"].to_numpy(dtype=np.float64)


def measured_steps(rows: pd.DataFrame) -> pd.Series[float]:
    """Return the dilution step that the interval of each titre tells.

    Parameters
    ----------
    rows
        Table in the contract of ``cartrace.tables.MEASUREMENTS``.

    Returns
    -------
    pandas.Series
        upper / lower of quantified titres of one clean series; nan for every other result.
    """
    lower, upper = (rows[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in ("lower", "upper"))
    titre = ((rows["unit"] == TITRE) & (rows["detection"] == "quantified")).to_numpy(dtype=bool)
    widened = rows["flags"].astype("string").fillna("").str.contains("|".join(WIDENED)).to_numpy(dtype=bool)
    told = titre & ~widened & (lower > 0) & (upper > lower * (1 + SAME_STEP))
    return pd.Series(np.where(told, upper / np.where(told, lower, 1.0), np.nan), index=rows.index)


def _steps(flat: pd.DataFrame, measured: pd.Series[float], configured: Floats) -> Floats:
    """Return the step of each row: the most frequent measured one of its antibody and assay, else the configured one."""
    told = flat[_SERIES].assign(step=measured.round(6)).dropna()
    if told.empty:
        return configured
    counts = told.groupby([*_SERIES, "step"], as_index=False).size()
    usual = counts.sort_values(["size", "step"], ascending=[False, True]).drop_duplicates(_SERIES)
    found = flat[_SERIES].merge(usual, on=_SERIES, how="left")["step"].to_numpy(dtype=np.float64)
    return np.where(np.isnan(found), configured, found)


def _intervals(rows: pd.DataFrame, settings: Antibody) -> pd.DataFrame:
    """Turn each result into its interval; ``use`` marks those that may enter."""
    number = {
        name: rows[name].to_numpy(dtype=np.float64, na_value=np.nan)
        for name in ("day", "study_day", "value", "lower", "upper", "lod", "lloq", "uloq")
    }
    flat = rows.loc[:, [*COURSE_KEY, "unit"]].rename(columns={"unit": "course_unit"})
    flat["infusion"] = flat["infusion"].astype("int64")
    rule = _rules(flat, settings)
    configured, cut = rule["step"].to_numpy(), rule["cut"].to_numpy()
    step = _steps(flat, measured_steps(rows), configured)
    detection = rows["detection"].to_numpy(dtype=object)
    value = number["value"]
    numeric = detection == "quantified"
    known = numeric & (value > 0)
    # A number of 0 has no logarithm: it lies below whatever limit is known.
    below = np.isin(detection, ("BLQ", "BLD")) | (numeric & (value <= 0))
    above = detection == "above_uloq"

    limit = np.fmin(number["lod"], number["lloq"])
    top = np.where(numeric, number["lloq"], number["upper"])
    for instead in (number["lloq"], limit):
        top = np.where(np.isnan(top), instead, top)
    top = np.where(np.isnan(top), np.inf, top)
    titre = flat["course_unit"].to_numpy(dtype=object) == TITRE
    bottom = np.where(titre | numeric | np.isnan(number["lower"]), 0.0, number["lower"])
    floor = np.where(np.isnan(number["lower"]), number["uloq"], number["lower"])
    floor = np.where(np.isnan(floor), 0.0, floor)

    flat["time"] = number["day"]
    flat["study_day"] = number["study_day"]
    flat["value"] = np.where(known, value, np.nan)
    # What the wells left open counts before what a step would make of the end point.
    told = known & titre & (number["upper"] > number["lower"])
    least = np.where(told, number["lower"], value)
    # Without an interval nothing says that a series had the measured step: the configured one holds.
    most = np.where(told, number["upper"], value * configured)
    last = np.where(told, np.fmax(value, number["upper"] / step), value)
    flat["low"] = np.select([known, below], [least, bottom], floor)
    flat["high"] = np.select([known, below], [last, top / step], np.inf)
    flat["lower"] = flat["low"]
    flat["upper"] = np.select([known, below], [most, top], np.inf)
    flat["negative"] = below | (known & (value < cut))
    flat["step"], flat["cut"] = step, cut
    start = np.where(np.isnan(number["lloq"]) & below & np.isfinite(top), top, number["lloq"])
    flat["limit"] = np.where(np.isnan(cut), start, np.fmax(cut, start))
    flat["rank"] = np.select([known, above], [0, 1], 2)
    visit = rows["visit"].astype("string").fillna("")
    post = visit.str.contains(settings.post_infusion_visits, regex=True).to_numpy(dtype=bool)
    flat["after"] = (number["day"] > 0) | ((number["day"] == 0) & post)
    flat["use"] = (rows["status"] != "rejected").to_numpy(dtype=bool) & (known | below | above)
    return flat


def _with_earlier(flat: pd.DataFrame) -> pd.DataFrame:
    """Add the results of earlier infusions to later courses, where they can be their baseline."""
    parts = [flat]
    later = flat[flat["infusion"] > 1]
    for key, course in later.groupby([*_OTHERS, "infusion"], sort=True):
        start = float((course["study_day"] - course["time"]).iloc[0])
        same = flat["infusion"] < int(str(key[-1]))
        for name, wanted in zip(_OTHERS, key, strict=False):
            same &= flat[name] == wanted
        earlier = flat[same & (flat["study_day"] <= start)].copy()
        earlier["time"] = earlier["study_day"] - start
        earlier["infusion"] = int(str(key[-1]))
        earlier["after"] = False
        parts.append(earlier)
    return pd.concat(parts, ignore_index=True) if len(parts) > 1 else flat


def _one_per_time(flat: pd.DataFrame) -> pd.DataFrame:
    """Merge the results of one course at one time (before or after the infusion)."""
    at = [*READING_KEY, "time", "after"]
    best = flat[flat["rank"] == flat.groupby(at)["rank"].transform("min")]
    best = best.sort_values([*at, "value"])
    averaged = ("value", "low", "high", "lower", "upper")
    with np.errstate(divide="ignore"):
        logs = {f"log_{name}": np.log(best[name].to_numpy(dtype=np.float64)) for name in averaged}
    best = best.assign(**logs)
    out = best.groupby(at, sort=True, as_index=False).agg(
        **{name: (name, "max" if name in {"high", "upper"} else "min") for name in averaged},
        **{f"other_{name}": (name, "min" if name in {"high", "upper"} else "max") for name in averaged},
        **{name: (name, "mean") for name in logs},
        negative=("negative", "all"),
        limit=("limit", "max"),
        step=("step", "max"),
        cut=("cut", "max"),
        number=("rank", "max"),
        several=("rank", "size"),
    )
    number = (out["number"] == 0).to_numpy(dtype=bool)
    for name in averaged:
        # The geometric mean; a single number stays what it is, to the last bit.
        mean = np.where(out[name] == out[f"other_{name}"], out[name], np.exp(out[f"log_{name}"]))
        out[name] = np.where(number, mean, out[name])
    out["negative"] = np.where(number, out["value"] < out["cut"], out["negative"])
    out["several"] = out["several"] > 1
    return out


def _lymphodepletion(keys: pd.DataFrame, infusions: pd.DataFrame | None) -> Floats:
    """(n,) first day of lymphodepletion; nan where unknown."""
    if infusions is None or not len(keys):
        return np.full(len(keys), np.nan)
    days = infusions.loc[:, ["subject_id", "infusion", "lymphodepletion_day"]]
    joined = keys.merge(days.astype({"infusion": "int64"}), on=["subject_id", "infusion"], how="left")
    return joined["lymphodepletion_day"].to_numpy(dtype=np.float64, na_value=np.nan)


def _baseline(time: Floats, after: Bools, lymphodepletion: Floats) -> Integers:
    before = ~np.isnan(time) & ~after
    with np.errstate(invalid="ignore"):
        early = before & (time <= lymphodepletion[:, None])
    chosen = np.where(early.any(axis=1)[:, None], early, before)
    last = chosen.shape[1] - 1 - chosen[:, ::-1].argmax(axis=1)
    return np.where(chosen.any(axis=1), last, -1)
