"""Does a result make sense beside its neighbours? Findings with evidence, never a correction.

Each check takes all placed results and returns :class:`Finding` objects: what is
odd, which rows, and a suggested reading. Results of a finding that warns or fails
are flagged, and are still used. False alarms are the enemy: a laboratory that is
warned of nothing stops reading.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cartrace.analytes import EXPANSION
from cartrace.intake.sheets import look_alike
from cartrace.tables import QC, empty, rows
from cartrace.units import factor

if TYPE_CHECKING:
    from cartrace.config import Config

COURSE = ["subject_id", "infusion", "matrix", "analyte", "assay", "unit"]
LOSS_WITHIN = 7.0
"""Days within which a high result does not vanish. House value."""
MANY_DIGITS = 5
"""Significant digits that an equal number in two places must have at least. House value."""
CHANCE_COINCIDENCES = 0.1
"""Coincidences of one unit that chance may bring in a whole trial, before more digits are asked. House value."""
NEAR = 0.1
"""Width, in natural logarithms, over which results are taken to be spread evenly. House value."""
ARITHMETIC_SHARE = 0.9
"""Share of pairs that rounding explains, above which the laboratory computed one unit
from the other, so that any other deviation is an error however small."""
FEW_PAIRS = 5
LOWEST_BEST = {
    "neutrophils": (0.02, "1e9/L"),
    "lymphocytes": (0.005, "1e9/L"),
    "platelets": (1.0, "1e9/L"),
    "haemoglobin": (3.0, "g/dL"),
}
"""Blood count -> what the best of a file's results exceeds, in the unit beside it. House values: a tenth, or
less, of what a patient in aplasia has, and above a healthy count that stands in a unit of a thousandth (of
haemoglobin: of a tenth)."""
FEWEST_COUNTS = 3
"""Results of a file below which all may be that low by themselves. House value."""
LATEST_PEAK = 42.0
"""Day up to which a maximum far above its neighbours is ordinary expansion. House value."""


Numbers = NDArray[np.float64]
Counts = NDArray[np.int64]
Positions = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: the check, how grave, the rows (positions), the evidence, a reading."""

    check: str
    verdict: str
    rows: tuple[int, ...]
    message: str
    value: str = ""
    limit: str = ""
    limit_source: str = ""
    suggestion: str = ""


def check_all(frame: pd.DataFrame, config: Config) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run every check.

    Parameters
    ----------
    frame
        Placed results: the columns of MEASUREMENTS and printed, rounding, ratios.
        Rejected ones are nobody's neighbour: no check sees them, and they keep their
        status. What a reader flagged stays flagged.
    config
        Thresholds and visits.

    Returns
    -------
    frame : DataFrame
        With status and flags, in the order of files and their rows, the rejected
        results last.
    qc : DataFrame
        One row for each finding.
    """
    # Which result a finding names first must not depend on the order of the files in the sheet.
    frame = frame.sort_values(["source_file", "source_row"], kind="stable", ignore_index=True)
    rejected = frame[frame["status"] == "rejected"]
    frame = frame[frame["status"] != "rejected"].reset_index(drop=True)
    if not len(frame):
        return rejected.reset_index(drop=True), empty(QC)
    checks: tuple[Callable[[pd.DataFrame, Config], Iterable[Finding]], ...] = (
        unit_ratio,
        fits_neighbour_visit,
        sudden_loss,
        repeated_result,
        subject_written_two_ways,
        duplicates_disagree,
        visit_window,
        sample_contradicts_sheet,
        detected_before_infusion,
        impossible_together,
        count_product,
        all_zero_row,
        counts_too_low,
    )
    findings = [f for check in checks for f in _one_per_place(list(check(frame, config)), frame)]
    read = frame["flags"].to_numpy(object)
    flags: dict[int, list[str]] = {n: str(f).split(";") for n, f in enumerate(read) if not pd.isna(f)}
    for f in findings:
        if f.verdict in {"warn", "fail"}:
            for position in f.rows:
                names = flags.setdefault(position, [])
                if f.check not in names:
                    names.append(f.check)
    out = frame.copy()
    out["flags"] = pd.array(
        [";".join(flags[n]) if n in flags else pd.NA for n in range(len(out))], dtype="string"
    )
    out["status"] = np.where(out["flags"].notna() | (out["status"] == "flagged"), "flagged", "accepted")
    out = pd.concat([out, rejected], ignore_index=True) if len(rejected) else out
    return out, _qc_table(findings, frame)


def _one_per_place(findings: list[Finding], frame: pd.DataFrame) -> list[Finding]:
    """Join the findings of one check on the same rows of a file: two units of a result are one thing."""
    joined: dict[tuple[object, ...], Finding] = {}
    file, row, analyte = (frame[c].to_numpy(object) for c in ("source_file", "source_row", "analyte"))
    for f in findings:
        key = (f.check, f.verdict, frozenset((file[p], row[p]) for p in f.rows), analyte[f.rows[0]])
        first = joined.get(key)
        if first is None:
            joined[key] = f
        else:
            unit = frame["unit"].iloc[f.rows[0]]
            more = "" if unit in first.message else f" The same in {unit}."
            joined[key] = replace(first, rows=(*first.rows, *f.rows), message=first.message + more)
    return list(joined.values())


def _qc_table(findings: list[Finding], frame: pd.DataFrame) -> pd.DataFrame:
    columns = ["source_file", "source_row", "source_column", "subject_id", "sample_id"]
    places: list[Any] = frame[columns].iloc[[f.rows[0] for f in findings]].to_dict("records")
    analyte = frame["analyte"].to_numpy(object)
    return rows(
        [
            {
                **place,
                "check": f.check,
                "verdict": f.verdict,
                "analyte": analyte[f.rows[0]] if len(set(analyte[list(f.rows)])) == 1 else None,
                "value": f.value or None,
                "limit": f.limit or None,
                "limit_source": f.limit_source or None,
                "message": f.message,
                "suggestion": f.suggestion or None,
            }
            for f, place in zip(findings, places, strict=True)
        ],
        QC,
    )


def _get(frame: pd.DataFrame, position: int, column: str) -> Any:
    return frame[column].iloc[position]


def _cell(frame: pd.DataFrame, position: int) -> str:
    file, row, column = (_get(frame, position, c) for c in ("source_file", "source_row", "source_column"))
    return f"{file} row {row}, column '{column}'"


def _when(frame: pd.DataFrame, position: int) -> str:
    visit = _get(frame, position, "visit")
    return f"day {_get(frame, position, 'day'):g}" + ("" if pd.isna(visit) else f" ({visit})")


# --- (a) and (h): the ratio of two units ---------------------------------------------------


def unit_ratio(frame: pd.DataFrame, config: Config) -> Iterator[Finding]:
    """Compare the two units of one result with the laboratory's own ratio.

    A pair is reported when its ratio deviates by more than ``ratio_tolerance``
    beyond what rounding of the two printed cells explains. Where at least 90 % of
    a file's pairs agree within rounding, one column was computed from the other,
    and every deviation beyond rounding is reported.
    """
    for file, in_file in frame.groupby("source_file", sort=False):
        for text in in_file["ratios"].dropna().unique():
            for ratio in json.loads(text):
                pairs = _pairs(in_file, ratio)
                if len(pairs):
                    yield from _judge_ratio(frame, pairs, ratio, str(file), config)


def _pairs(in_file: pd.DataFrame, ratio: dict[str, Any]) -> pd.DataFrame:
    chosen = in_file[(in_file["analyte"] == ratio["analyte"]) & in_file["printed"].notna()]
    by_sample = ["assay", "study_day", "subject_id", "matrix"]
    sides: list[pd.DataFrame] = []
    for unit in (ratio["numerator"], ratio["denominator"]):
        columns = [*by_sample, "source_row", "printed", "rounding"]
        sides.append(chosen.loc[chosen["unit"] == unit, columns].reset_index(names="position"))
    same_row: pd.DataFrame = sides[0].merge(sides[1], on=[*by_sample, "source_row"], suffixes=("_n", "_d"))
    if len(same_row) or not (len(sides[0]) and len(sides[1])):
        return same_row
    # A long table has the two units in two rows.
    alone = [side[~side.duplicated(by_sample, keep=False)] for side in sides]
    paired: pd.DataFrame = alone[0].merge(alone[1], on=by_sample, suffixes=("_n", "_d"))
    return paired


def _judge_ratio(
    frame: pd.DataFrame, pairs: pd.DataFrame, ratio: dict[str, Any], file: str, config: Config
) -> Iterator[Finding]:
    num, den = pairs["printed_n"].to_numpy(float), pairs["printed_d"].to_numpy(float)
    half_n, half_d = pairs["rounding_n"].to_numpy(float), pairs["rounding_d"].to_numpy(float)
    both = (num > 0) & (den > 0)
    expected = ratio["expected"]
    if expected is None:
        if both.sum() < FEW_PAIRS:
            return
        # Large numbers carry the ratio: one printed digit of a small one says little.
        precise = (
            both & (half_n / np.where(num > 0, num, 1) < 0.02) & (half_d / np.where(den > 0, den, 1) < 0.02)
        )
        chosen = precise if precise.sum() >= FEW_PAIRS else both
        expected = float(np.median(num[chosen] / den[chosen]))
    # The true ratio of the printed numbers lies between these bounds. A hair of room
    # keeps exact halves (0.5 printed as 0 or 1) out, and the median's own inaccuracy.
    room = 1e-9 if ratio["expected"] is not None else 5e-4
    low = np.maximum(num - half_n, 0) / (den + half_d) / (1 + room)
    high = (num + half_n) / np.maximum(den - half_d, 1e-300) * (1 + room)
    inside = (low <= expected) & (expected <= high)
    arithmetic = both.sum() >= 10 and inside[both].mean() >= ARITHMETIC_SHARE
    tolerance = 0.0 if arithmetic else config.plausibility.ratio_tolerance
    beyond = np.where(expected < low, low / expected - 1, expected / np.maximum(high, 1e-300) - 1)
    labels = f"{ratio['numerator']} / {ratio['denominator']}"
    for k in np.flatnonzero(~inside & (np.where(inside, 0, beyond) > tolerance)):
        position_n, position_d = int(pairs["position_n"].iloc[k]), int(pairs["position_d"].iloc[k])
        positions = (position_d, position_n)
        n, d = float(num[k]), float(den[k])
        if n == 0 or d == 0:
            zero, other = (position_n, position_d) if n == 0 else (position_d, position_n)
            yield Finding(
                "unit_ratio",
                "warn",
                (zero, other),
                f"{_cell(frame, zero)} is 0, but {_cell(frame, other)} is {max(n, d):g} for the same result, "
                "which rounding does not explain.",
                value="0",
                limit=f"{labels} = {expected:.4g}",
                limit_source="expected" if ratio["expected"] is not None else f"median of {file}",
            )
            continue
        fold = n / d / expected
        yield Finding(
            "unit_ratio",
            # Real, but too small to move a metric: told, not flagged.
            "warn" if beyond[k] > config.plausibility.ratio_tolerance else "note",
            positions,
            f"{labels} is {n / d:.4g} ({n:.10g} / {d:.10g}), {_off_by(fold)} the laboratory's own "
            f"{expected:.4g}; rounding explains {low[k]:.4g} to {high[k]:.4g}.",
            value=f"{n / d:.6g}",
            limit=f"{expected:.6g}",
            limit_source="mapping" if ratio["expected"] is not None else f"median of {file}",
            suggestion=_ratio_reading(n, d, expected, (float(half_n[k]), float(half_d[k])), config),
        )


def _off_by(fold: float) -> str:
    if 0.8 < fold < 1.25:
        return f"{100 * (fold - 1):+.2g} % from"
    return f"{fold:.3g} times" if fold > 1 else f"1/{1 / fold:.3g} of"


def _ratio_reading(n: float, d: float, expected: float, halves: tuple[float, float], config: Config) -> str:
    fold = n / d / expected
    power = round(math.log10(fold))
    if 1 <= abs(power) <= 3 and abs(fold / 10.0**power - 1) <= config.plausibility.power_of_ten_tolerance:
        times = 10 ** abs(power)
        big, small = ("numerator", "denominator") if power > 0 else ("denominator", "numerator")
        high, low = (n, d) if power > 0 else (d, n)
        return (
            f"a factor of {times}: either the {big} should be {high / times:g}, "
            f"or the {small} should be {low * times:g}"
        )
    half_n, half_d = halves
    for name, value, half, other in (
        ("denominator", d, half_d, (n - half_n, n + half_n)),
        ("numerator", n, half_n, (d - half_d, d + half_d)),
    ):
        low, high = (other[0] / expected, other[1] / expected)
        if name == "numerator":
            low, high = other[0] * expected, other[1] * expected
        for swapped in swaps(value, half):
            # 0.05 %: the median of a file knows its ratio no better.
            if (low - half) * 0.9995 <= swapped <= (high + half) * 1.0005:
                return f"two digits of the {name} exchanged: {value:.10g} read as {swapped:.10g} restores the ratio"
    return f"the denominator that fits is {n / expected:.6g}, the numerator that fits is {d * expected:.6g}"


def swaps(value: float, half: float) -> Iterator[float]:
    """Yield the numbers that exchanging two neighbouring digits of a printed number gives.

    Parameters
    ----------
    value
        The number.
    half
        Half a unit of its last printed digit.
    """
    unit = 2 * half if half > 0 else 1.0
    digits = f"{value / unit:.0f}"
    for i in range(len(digits) - 1):
        if digits[i] != digits[i + 1]:
            swapped = digits[:i] + digits[i + 1] + digits[i] + digits[i + 2 :]
            yield int(swapped) * unit


# --- (b) values that belong elsewhere ------------------------------------------------------


def _in_courses(chosen: pd.DataFrame) -> tuple[Positions, Flags]:
    """Return positions, course after course in order of days, and where a course begins.

    Days with two results are left out.
    """
    single = chosen[~chosen.duplicated([*COURSE, "day"], keep=False)]
    number = single.groupby(COURSE, sort=False).ngroup().to_numpy()
    order = np.lexsort((single["day"].to_numpy(float), number))
    begins = np.diff(number[order], prepend=-1) != 0
    return single.index.to_numpy(np.intp)[order], begins


def fits_neighbour_visit(frame: pd.DataFrame, config: Config) -> Iterator[Finding]:
    """Report values far from both neighbours in time, and neighbours that look exchanged.

    Only quantified results of expansion analytes; a sample taken right after the
    infusion holds the infused cells and is left out.
    """
    fold = math.log(config.plausibility.neighbour_fold)
    post = frame["visit"].str.contains(config.kinetics.post_infusion_visits, regex=True).fillna(value=False)
    usable = frame[
        (frame["detection"] == "quantified")
        & (frame["value"] > 0)
        & frame["analyte"].isin(EXPANSION)
        & ~post
        & (frame["day"] > 0)
    ]
    all_logs = np.log(frame["value"].where(frame["value"] > 0).to_numpy(float))
    all_days = frame["day"].to_numpy(float)
    ordered, begins = _in_courses(usable)
    for positions in np.split(ordered, np.flatnonzero(begins)[1:]):
        if len(positions) < 3:
            continue
        logs = all_logs[positions]
        swapped = _exchanged(logs, fold)
        for i in swapped:
            a, b = int(positions[i]), int(positions[i + 1])
            yield Finding(
                "fits_neighbour_visit",
                "warn",
                (b, a),
                f"{_get(frame, a, 'value'):g} on {_when(frame, a)} and {_get(frame, b, 'value'):g} on "
                f"{_when(frame, b)} break the course; exchanged they would fit it.",
                value=f"{_get(frame, b, 'value'):g}",
                limit=f"{config.plausibility.neighbour_fold:g}-fold",
                limit_source="plausibility.neighbour_fold",
                suggestion=f"the results of {_when(frame, a)} and {_when(frame, b)} may be exchanged",
            )
        taken = {i for s in swapped for i in (s, s + 1)}
        before, here, after = logs[:-2], logs[1:-1], logs[2:]
        jump = np.minimum(np.abs(here - before), np.abs(here - after))
        same_side = np.sign(here - before) == np.sign(here - after)
        for k in np.flatnonzero(same_side & (jump > fold)):
            i = int(k) + 1
            # A sparse course rises and falls steeply: its maximum alone is no error.
            peak = logs[i] == logs.max() and all_days[positions[i]] <= LATEST_PEAK
            if i in taken or peak:
                continue
            p = int(positions[i])
            nearest = _nearest_visit(logs, i)
            fits = "" if nearest is None else f"it would fit {_when(frame, int(positions[nearest]))}"
            yield Finding(
                "fits_neighbour_visit",
                "warn",
                (p,),
                f"{_get(frame, p, 'value'):g} on {_when(frame, p)} lies {math.exp(jump[i - 1]):.0f}-fold or more "
                f"{'above' if logs[i] > logs[i - 1] else 'below'} both neighbours "
                f"({math.exp(logs[i - 1]):g} and {math.exp(logs[i + 1]):g}).",
                value=f"{_get(frame, p, 'value'):g}",
                limit=f"{config.plausibility.neighbour_fold:g}-fold",
                limit_source="plausibility.neighbour_fold",
                suggestion=fits,
            )


def sudden_loss(frame: pd.DataFrame, config: Config) -> Iterator[Finding]:
    """Report an undetected result within a week after a high one: a blank entered as 0, perhaps.

    High is the square of ``neighbour_fold`` above the limit, or above the smallest
    result that was quantified in this unit where no limit is known. Over seven days
    a course that halves every day falls 128-fold.
    """
    post = frame["visit"].str.contains(config.kinetics.post_infusion_visits, regex=True).fillna(value=False)
    usable = frame[frame["analyte"].isin(EXPANSION) & ~post & (frame["day"] > 0)]
    positive = usable["value"].where((usable["detection"] == "quantified") & (usable["value"] > 0))
    smallest = positive.groupby([usable[c] for c in ("analyte", "assay", "unit")]).transform("min")
    limits = frame["upper"].fillna(smallest.reindex(frame.index)).to_numpy(float)
    value, day = frame["value"].to_numpy(float), frame["day"].to_numpy(float)
    detection = frame["detection"].to_numpy(object)
    ordered, begins = _in_courses(usable)
    before, after = ordered[:-1], ordered[1:]
    lost = (
        ~begins[1:]
        & (detection[before] == "quantified")
        & np.isin(detection[after].astype(str), ["BLD", "BLQ"])
        & (day[after] - day[before] <= LOSS_WITHIN)
        & (limits[after] > 0)
        & (value[before] >= config.plausibility.neighbour_fold**2 * limits[after])
    )
    for a, b in zip(before[lost].tolist(), after[lost].tolist(), strict=True):
        yield Finding(
            "sudden_loss",
            "warn",
            (b,),
            f"Not detected on {_when(frame, b)}, {day[b] - day[a]:g} days after {value[a]:g} "
            f"{_get(frame, a, 'unit')} on {_when(frame, a)}.",
            value=str(detection[b]),
            limit=f"{config.plausibility.neighbour_fold**2:g}-fold in {LOSS_WITHIN:g} days",
            limit_source="plausibility.neighbour_fold",
            suggestion="a missing result entered as 0, or another sample",
        )


def _exchanged(logs: Numbers, fold: float) -> list[int]:
    """Return i where exchanging points i and i + 1 smooths the course by more than ``fold``."""

    def bends(y: Numbers) -> int:
        steps = np.sign(np.diff(y))
        return int(np.sum(steps[1:] * steps[:-1] < 0))

    out: list[int] = []
    total = float(np.abs(np.diff(logs)).sum())
    for i in range(len(logs) - 1):
        trial = logs.copy()
        trial[i], trial[i + 1] = logs[i + 1], logs[i]
        gain = total - float(np.abs(np.diff(trial)).sum())
        # A dip has two bends more than a smooth course, one at its end; noise gains little.
        fewer = 1 if i == 0 else 2
        if gain > fold and bends(trial) <= bends(logs) - fewer and (not out or i > out[-1] + 1):
            out.append(i)
    return out


def _nearest_visit(logs: Numbers, i: int) -> int | None:
    others = [j for j in range(len(logs)) if abs(j - i) > 1]
    if not others:
        return None
    best = min(others, key=lambda j: abs(logs[j] - logs[i]))
    return best if abs(logs[best] - logs[i]) < math.log(2) else None


def repeated_result(frame: pd.DataFrame, config: Config) -> Iterator[Finding]:
    """Report the same many-digit number in two subjects, or again in one course.

    How many digits a number must have to come twice only by copying depends on how
    many results are compared (:func:`digits_needed`). Derived analytes of one row
    may share a number; two units of one pair count once.
    """
    quantified = frame[(frame["detection"] == "quantified") & frame["printed"].notna()]
    known = {x: significant_digits(x) for x in quantified["printed"].unique()}
    digits = quantified["printed"].map(known).astype(int)
    # A floor that a plot reader or an instrument repeats shows with fewer digits as well.
    long = quantified[digits >= MANY_DIGITS].assign(digits=digits)
    for _, group in long.groupby(["analyte", "assay", "unit"], sort=False):
        printed, many = group["printed"].to_numpy(float), group["digits"].to_numpy(np.int64)
        source = (
            f"at most {CHANCE_COINCIDENCES:g} expected by chance among {len(group)} results "
            f"of {MANY_DIGITS} digits or more"
        )
        needed = digits_needed(printed, many, np.zeros_like(many))
        chosen = group[(many >= needed) & group["printed"].duplicated(keep=False)]
        for _, same in chosen.groupby("printed", sort=False):
            first = [int(p) for p in same.drop_duplicates("subject_id").index]
            if len(first) > 1:
                number = f"{same['printed'].iloc[0]:.12g} {same['unit'].iloc[0]}"
                places = "; ".join(f"{_get(frame, p, 'subject_id')} on {_when(frame, p)}" for p in first)
                yield Finding(
                    "same_result_two_subjects",
                    "warn",
                    tuple(first),
                    f"{number} stands for {len(first)} subjects: {places}.",
                    value=number,
                    limit=f"a number of {needed} digits once",
                    limit_source=source,
                    suggestion="a row may have been copied, or samples exchanged; ask the laboratory for the raw run",
                )
        course = group.groupby(COURSE, sort=False).ngroup()
        needed = digits_needed(printed, many, np.asarray(course, dtype=np.int64))
        chosen = group[(many >= needed) & group.duplicated([*COURSE, "printed"], keep=False)]
        for _, same in chosen.groupby([*COURSE, "printed"], sort=False):
            again = [int(p) for p in same.drop_duplicates("day").index]
            if len(again) > 1:
                number = f"{same['printed'].iloc[0]:.12g} {same['unit'].iloc[0]}"
                days = ", ".join(f"{_get(frame, p, 'day'):g}" for p in again)
                yield Finding(
                    "same_result_two_visits",
                    "warn",
                    tuple(again),
                    f"{number} stands at {len(again)} visits (days {days}).",
                    value=number,
                    limit=f"a number of {needed} digits once in a course",
                    limit_source=source,
                    suggestion="a limit of detection, or a result that was copied",
                )


def digits_needed(printed: Numbers, digits: Counts, compared: Counts) -> int:
    """Return the digits from which two equal results are hardly chance.

    The smallest number of digits, at least :data:`MANY_DIGITS`, for which the results
    with as many digits or more let expect at most :data:`CHANCE_COINCIDENCES`
    coincidences. The parameters are those of :func:`coincidences_by_chance`.
    """
    needed = MANY_DIGITS
    long = digits >= needed
    while coincidences_by_chance(printed[long], digits[long], compared[long]) > CHANCE_COINCIDENCES:
        needed += 1
        long = digits >= needed
    return needed


def coincidences_by_chance(printed: Numbers, digits: Counts, compared: Counts) -> float:
    """Return how many pairs of equal numbers chance brings among results.

    A result x printed with d significant digits stands for a cell of width
    u = 10^(floor(log10 x) - d + 1). Let m other results lie within a factor exp(+-w)
    of x, spread evenly over that interval of width 2 w x. Each of them is then printed
    as x with the chance u / (2 w x). Summed over all x, each pair counted once::

        E = 1/2 sum m(x) u(x) / (2 w x)

    m grows with the number of results, so E grows with its square; a digit more
    divides E by about ten. The density is that of the results themselves: no
    distribution is assumed. Equal results count once, or else a number that was
    copied often would hide itself. House derivation; w is :data:`NEAR`.

    Parameters
    ----------
    printed : (n,) array
        Results of one unit, positive.
    digits : (n,) array of int
        Their significant digits.
    compared : (n,) array of int
        Results with the same number here are compared with each other, others not.
    """
    group, number, digit = np.unique(np.column_stack([compared, printed, digits]), axis=0).T
    chance = 10.0 ** (np.floor(np.log10(number)) - digit + 1) / (2 * NEAR * number)
    # The groups lie so far apart that no neighbour is of another group.
    scale = np.log(number) + 1e4 * group
    near = np.searchsorted(scale, scale + NEAR, side="right") - np.searchsorted(scale, scale - NEAR) - 1
    return float((near * chance).sum()) / 2


def significant_digits(value: float) -> int:
    """Count significant digits of a number, without leading and trailing zeros."""
    if not math.isfinite(value) or value == 0:
        return 0
    mantissa = f"{abs(value):.11e}".partition("e")[0].replace(".", "")
    return len(mantissa.strip("0"))


# --- (c) subjects --------------------------------------------------------------------------


def same_digits(subject: str, known: Iterable[str]) -> str:
    """Return the known subject with the same digits, where one of the two has no letters."""
    digits = _digits(subject)
    if len(digits) < 3:
        return ""
    for other in known:
        bare = subject.isdigit() or other.isdigit()
        if other != subject and bare and _digits(other) == digits:
            return other
    return ""


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit()).lstrip("0")


def subject_written_two_ways(frame: pd.DataFrame, config: Config) -> Iterator[Finding]:
    """Report ids that differ only by case, punctuation, leading zeros or a prefix."""
    distinct = frame["subject_id"].drop_duplicates()
    first = dict(zip(distinct.astype(str), distinct.index.to_list(), strict=True))
    counts = frame["subject_id"].value_counts()
    names = sorted(first)
    for a, b in _alike(names):
        rare, common = sorted((a, b), key=lambda s: int(counts[s]))
        yield Finding(
            "subject_written_two_ways",
            "warn",
            (first[rare],),
            f"Subject '{rare}' ({counts[rare]} results) reads like '{common}' ({counts[common]} results).",
            value=rare,
            limit="one spelling for each subject",
            suggestion=f"perhaps {common}",
        )


def _alike(names: list[str]) -> Iterator[tuple[str, str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(look_alike(name), []).append(name)
    for group in groups.values():
        yield from itertools.combinations(group, 2)
    seen = {frozenset(p) for g in groups.values() for p in itertools.combinations(g, 2)}
    lettered: dict[str, str] = {}
    for name in names:
        if not name.isdigit():
            lettered.setdefault(_digits(name), name)
    for name in names:
        other = lettered.get(_digits(name), "") if name.isdigit() and len(_digits(name)) >= 3 else ""
        if other and frozenset((name, other)) not in seen:
            yield name, other


# --- (d) and (e): duplicates and visits ----------------------------------------------------


def duplicates_disagree(frame: pd.DataFrame, config: Config) -> Iterator[Finding]:
    """Report two results of one course and day that disagree; agreeing ones are noted.

    Results before and after the infusion on its day are no duplicates.
    """
    limit = config.plausibility.duplicate_tolerance
    post = frame["visit"].str.contains(config.kinetics.post_infusion_visits, regex=True).fillna(value=False)
    keyed = frame.assign(post=post & (frame["day"] >= 0))
    twice = keyed[keyed.duplicated([*COURSE, "day", "post"], keep=False)]
    number = twice.groupby([*COURSE, "day", "post"], sort=False).ngroup().to_numpy()
    order = np.argsort(number, kind="stable")
    groups = np.split(twice.index.to_numpy()[order], np.flatnonzero(np.diff(number[order])) + 1)
    # Laboratories that run everything twice make many groups: arrays, not a frame for each.
    detection, file, row = (frame[c].to_numpy(object) for c in ("detection", "source_file", "source_row"))
    value = frame["value"].to_numpy(float)
    floor, ceiling = (frame[c].fillna(0.0).to_numpy(float) for c in ("lower", "upper"))
    least = np.select([detection == "quantified", detection == "above_uloq"], [value, floor], 0.0)
    most = np.select([detection == "quantified", detection == "above_uloq"], [value, np.inf], ceiling)
    for group in groups if len(twice) else ():
        positions = tuple(int(p) for p in group)
        known = detection[group] == "quantified"
        quantified = value[group[known]]
        shown = " and ".join(
            f"{f'{value[p]:g}' if k else detection[p]} ({file[p]} row {row[p]})"
            for p, k in zip(positions, known, strict=True)
        )
        lowest = float(quantified.min()) if len(quantified) else math.nan
        spread = float(quantified.max()) / lowest - 1 if lowest > 0 else 0.0
        # A result below a limit disagrees with one that lies well above that limit; one above the
        # range agrees with a diluted repeat that lies there.
        if spread > limit or float(least[group].max()) > float(most[group].min()) * (1 + limit):
            by = f"{100 * spread:.0f} %" if spread > limit else "a detected and an undetected result"
            if spread <= limit and not np.isin(detection[group].astype(str), ["BLD", "BLQ"]).any():
                by = "a result above the range and a lower one"
            yield Finding(
                "duplicates_disagree",
                "warn",
                positions,
                f"{len(positions)} results of one sample day ({_when(frame, positions[0])}) disagree: {shown}.",
                value=by,
                limit=f"{100 * limit:g} %",
                limit_source="plausibility.duplicate_tolerance",
                suggestion="say which run counts, and leave the other out with ignore_rows",
            )
        else:
            yield Finding(
                "duplicates_agree",
                "note",
                positions,
                f"{len(positions)} results of one sample day ({_when(frame, positions[0])}) agree: {shown}.",
                value=f"{100 * spread:.0f} %",
                limit=f"{100 * limit:g} %",
                limit_source="plausibility.duplicate_tolerance",
            )


_DAY_VISIT = re.compile(r"(?i)\s*(?:day|d|tag)\s*([+-]?\d{1,4})(?:\s*(?:pre|post|predose|retest))*\s*")


def sample_contradicts_sheet(frame: pd.DataFrame, config: Config) -> Iterator[Finding]:
    """Report samples whose day, matrix or infusion is another in the table than in the samples sheet.

    The sheet counts. One finding for each row of a file, not for each analyte.
    """
    del config
    if "table_says" not in frame:
        return
    told = frame[frame["table_says"].notna()]
    for _, group in told.groupby(["source_file", "source_row", "sample_id", "table_says"], sort=False):
        first = group.iloc[0]
        yield Finding(
            "sample_contradicts_sheet",
            "warn",
            tuple(int(p) for p in group.index),
            f"The table gives sample '{first['sample_id']}' {first['table_says']}; the samples sheet, which counts, "
            f"gives study day {first['study_day']:g}, {first['matrix']}, infusion {first['infusion']}.",
            value=str(first["table_says"]),
            limit="samples sheet",
            limit_source="samples sheet",
            suggestion="the sample may have been exchanged for another",
        )


def visit_window(frame: pd.DataFrame, config: Config) -> Iterator[Finding]:
    """Report samples taken outside the window of the visit that they are called.

    The configuration's visits have their own windows; a visit called "Day 14" has
    the default one. One finding for each sample, not for each analyte.
    """
    windows = {" ".join(v.name.split()).casefold(): (v.day, v.window) for v in config.visits}
    default = config.plausibility.visit_window_default
    named = frame[frame["visit"].notna()]
    limits: dict[str, tuple[float, float, str]] = {}
    for visit in named["visit"].unique():
        known = windows.get(" ".join(str(visit).split()).casefold())
        match = _DAY_VISIT.fullmatch(str(visit))
        if known is not None:
            limits[str(visit)] = (*known, "visits")
        elif match is not None:
            limits[str(visit)] = (float(match.group(1)), default, "plausibility.visit_window_default")
    named = named[named["visit"].isin(list(limits))]
    center = named["visit"].map({v: limit[0] for v, limit in limits.items()}).astype("float64")
    window = named["visit"].map({v: limit[1] for v, limit in limits.items()}).astype("float64")
    # "Day 14" may also be written on the study clock, across a second infusion.
    distance = np.minimum((named["day"] - center).abs(), (named["study_day"] - center).abs())
    outside = named[distance > window]
    for _, group in outside.groupby(["subject_id", "infusion", "matrix", "visit", "day"], sort=False):
        visit = str(group["visit"].iloc[0])
        nominal, source = limits[visit][:2], limits[visit][2]
        day = float(group["day"].iloc[0])
        off = float(distance[group.index[0]])
        nearer = min(config.visits, key=lambda v: abs(v.day - day), default=None)
        fits = nearer is not None and nearer.name != visit and abs(nearer.day - day) <= nearer.window
        yield Finding(
            "visit_window",
            "warn",
            tuple(int(p) for p in group.index),
            f"Visit '{visit}' (day {nominal[0]:g}) was on day {day:g}, {off:g} days off.",
            value=f"{day:g}",
            limit=f"{nominal[0]:g} +/- {nominal[1]:g}",
            limit_source=source,
            suggestion=f"day {day:g} lies in the window of {nearer.name}" if fits and nearer else "",
        )


def detected_before_infusion(frame: pd.DataFrame, config: Config) -> Iterator[Finding]:
    """Report CAR-T cells or transgene quantified before the first infusion."""
    post = frame["visit"].str.contains(config.kinetics.post_infusion_visits, regex=True).fillna(value=False)
    pre = frame["visit"].str.contains(r"(?i)\bpre", regex=True).fillna(value=False)
    early = (frame["study_day"] < 0) | ((frame["study_day"] == 0) & pre)
    chosen = frame[
        early
        & ~post
        & frame["analyte"].isin(EXPANSION)
        & (frame["detection"] == "quantified")
        & (frame["value"] > 0)
    ]
    keys = ["subject_id", "matrix", "analyte", "assay", "source_row", "source_file", "study_day"]
    for _, group in chosen.groupby(keys, sort=False):
        positions = tuple(int(p) for p in group.index)
        shown = " and ".join(f"{r.value:g} {r.unit}" for r in group.itertuples())
        yield Finding(
            "detected_before_infusion",
            "warn",
            positions,
            f"{shown} in {group['matrix'].iloc[0]} on {_when(frame, positions[0])}, before the first infusion.",
            value=shown,
            limit="not detected before the first infusion",
            suggestion="a false positive near the limit, or a sample of a later day or of another subject",
        )


# --- (g) and (i): impossible values --------------------------------------------------------

_PARTS = (
    ("car_t_cells", "t_cells"),
    ("car_cd4_cells", "car_t_cells"),
    ("car_cd8_cells", "car_t_cells"),
    ("cd4_cells", "t_cells"),
    ("cd8_cells", "t_cells"),
)


def _by_sample(frame: pd.DataFrame, analyte: str, unit: str) -> pd.DataFrame:
    chosen = frame[(frame["analyte"] == analyte) & (frame["unit"] == unit) & frame["value"].notna()]
    # Long tables carry the analytes of one sample in several rows.
    keys = ["source_file", "subject_id", "matrix", "assay", "study_day", "visit"]
    return (
        chosen[[*keys, "value", "rounding"]]
        .reset_index(names="position")
        .drop_duplicates(keys, keep=False)
        .fillna({"visit": ""})
    )


def impossible_together(frame: pd.DataFrame, config: Config) -> Iterator[Finding]:
    """Report a part that is larger than the whole (CAR+ T cells above T cells)."""
    keys = ["source_file", "subject_id", "matrix", "assay", "study_day", "visit"]
    for part, whole in _PARTS:
        pairs = _by_sample(frame, part, "cells/uL").merge(
            _by_sample(frame, whole, "cells/uL"), on=keys, suffixes=("_p", "_w")
        )
        room = pairs["rounding_p"] + pairs["rounding_w"]
        # Counts of two tubes differ a little; 5 % is no contradiction.
        for bad in pairs[pairs["value_p"] - room > 1.05 * pairs["value_w"]].itertuples():
            p, w = int(bad.position_p), int(bad.position_w)  # type: ignore[arg-type]
            yield Finding(
                "impossible_value",
                "fail",
                (p, w),
                f"{part} {bad.value_p:g} lies above {whole} {bad.value_w:g} cells/uL in one sample "
                f"({_when(frame, p)}).",
                value=f"{bad.value_p:g}",
                limit=f"<= {bad.value_w:g}",
                suggestion="one of the two columns is wrong",
            )


def count_product(frame: pd.DataFrame, config: Config) -> Iterator[Finding]:
    """Compare CAR+ cells/uL with T cells/uL times CAR+ %, where all three are there."""
    keys = ["source_file", "subject_id", "matrix", "assay", "study_day", "visit"]
    joined = (
        _by_sample(frame, "car_t_cells", "cells/uL")
        .merge(_by_sample(frame, "t_cells", "cells/uL"), on=keys, suffixes=("_c", "_t"))
        .merge(_by_sample(frame, "car_t_fraction", "%"), on=keys)
    )
    if not len(joined):
        return
    count, t_cells, share = (joined[c].to_numpy(float) for c in ("value_c", "value_t", "value"))
    half_c, half_t, half_s = (joined[c].to_numpy(float) for c in ("rounding_c", "rounding_t", "rounding"))
    low = (t_cells - half_t) * (share - half_s) / 100 - half_c
    high = (t_cells + half_t) * (share + half_s) / 100 + half_c
    tolerance = config.plausibility.ratio_tolerance
    bad = (count < low * (1 - tolerance)) | (count > high * (1 + tolerance))
    # Where the laboratory counts CAR+ cells independently the product never fits: say nothing.
    if bad.mean() > 0.5 and len(bad) >= FEW_PAIRS:
        return
    for k in np.flatnonzero(bad):
        positions = tuple(int(joined[c].iloc[k]) for c in ("position_c", "position_t", "position"))
        product = t_cells[k] * share[k] / 100
        fold = count[k] / product if product > 0 else math.inf
        power = round(math.log10(fold)) if 0 < fold < math.inf else 0
        tens = power != 0 and abs(fold / 10.0**power - 1) <= config.plausibility.power_of_ten_tolerance
        yield Finding(
            "count_product",
            "warn",
            positions,
            f"CAR+ T cells {count[k]:g} cells/uL, but {t_cells[k]:g} T cells/uL x {share[k]:g} % = {product:.6g} "
            f"({_when(frame, positions[0])}).",
            value=f"{count[k]:g}",
            limit=f"{product:.6g}",
            limit_source="plausibility.ratio_tolerance",
            suggestion=f"a factor of {10 ** abs(power)}" if tens else "one of the three cells is wrong",
        )


def all_zero_row(frame: pd.DataFrame, config: Config) -> Iterator[Finding]:
    """Report a row of cell counts that are all 0, T cells included: no measurement, more likely."""
    counts = frame[frame["unit"].isin(["cells/uL", "%"]) & frame["printed"].notna()]
    keys = [counts["source_file"], counts["source_row"]]
    zeros = (counts["printed"] == 0).groupby(keys).transform("all")
    t_cells = (counts["analyte"] == "t_cells").groupby(keys).transform("any")
    for _, row in counts[zeros & t_cells].groupby(["source_file", "source_row"], sort=False):
        if len(row) >= 3:
            positions = tuple(int(p) for p in row.index)
            yield Finding(
                "all_zero_row",
                "warn",
                positions,
                f"All {len(row)} numbers of the row are 0, T cells included ({_when(frame, positions[0])}).",
                value="0",
                limit="at least one cell",
                suggestion="not measured, rather than no cells",
            )


def counts_too_low(frame: pd.DataFrame, config: Config) -> Iterator[Finding]:
    """Report blood counts of a file that are all too low to live with: 1e9/L in a column of cells/uL."""
    mine = frame[
        frame["matrix"].eq("blood") & frame["analyte"].isin(list(LOWEST_BEST)) & (frame["value"] > 0)
    ]
    for key, rows_ in mine.groupby(["source_file", "analyte", "unit"], sort=False):
        analyte, unit = str(key[1]), str(key[2])
        floor, floor_unit = LOWEST_BEST[analyte]
        limit, best = floor * factor(floor_unit, unit), float(rows_["value"].max())
        if len(rows_) < FEWEST_COUNTS or best >= limit:
            continue
        yield Finding(
            "counts_too_low",
            "fail",
            tuple(int(p) for p in rows_.index),
            f"All {len(rows_)} results of {analyte} in the file are {best:g} {unit} or less: nobody lives with that.",
            value=f"at most {best:g} {unit}",
            limit=f"one of at least {limit:g} {unit}",
            limit_source="house value",
            suggestion="another unit in the mapping",
        )
