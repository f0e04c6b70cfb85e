"""Checks over several tubes: CAR+ events before the infusion, tubes that look exchanged, one file twice.

Each takes populations and gives rows of qc; nothing is corrected.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from cartrace.analytes import EXPANSION
from cartrace.intake.sheets import quote

if TYPE_CHECKING:
    from cartrace.flow.acceptance import Rules

Row = Mapping[str, Any]

PEAK_DAYS = 28.0
"""Study days in which CAR-T cells expand; a blood without any then, beside a positive one before the infusion, is odd.
House value."""
APART = 2.0
"""Factor between two tubes of one sample beyond what two stainings explain. House value."""


@dataclass(frozen=True, slots=True)
class CarGate:
    """The CAR gate of one tube: what it holds of its parent."""

    tube: str
    gate: str
    events: int
    parent_events: int


def judge_before_infusion(gate: CarGate, rules: Rules, confidence: float) -> dict[str, object]:
    """Return the finding of the rule ``pre_infusion_car_percent`` for one tube that was taken before the infusion.

    The rule is broken where the share lies above the limit and a tube whose true share is the limit
    would hold so many events by chance in fewer than 1 - confidence of cases (exact binomial): six events
    of 1,000 are no proof of more than 0.5 %.
    """
    from scipy.stats import binom

    name = "pre_infusion_car_percent"
    percent = 100 * gate.events / gate.parent_events
    told = f"{quote(gate.gate)}: {gate.events} of {gate.parent_events} events before the first infusion"
    row = rules.finding(name, percent, gate.tube, told, source_column=gate.gate)
    upper = rules[name].upper
    if row["verdict"] != "pass" and upper is not None:
        chance = float(binom.sf(gate.events - 1, gate.parent_events, upper / 100))
        if chance >= 1 - confidence:
            row |= {"verdict": "pass", "message": f"{told}: no more than chance (p {chance:.2g})"}
    return row


def exchanged_tubes(populations: Sequence[Row]) -> Iterator[dict[str, object]]:
    """Tell tubes that look exchanged: CAR+ cells before the infusion, and fewer of them after it.

    ``populations``: rows of POPULATIONS of samples with ``before`` (taken before the first infusion) and
    ``study_day``. One row for each tube from before the infusion, with the later tube of the same subject
    and panel that holds the least.
    """
    mine: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in populations:
        if row["analyte"] in EXPANSION and row["subject_id"] is not None and row["percent"] is not None:
            mine[row["subject_id"], row["panel"], row["population"]].append(row)
    told: set[str] = set()
    for group in mine.values():
        after = [r for r in group if not r["before"] and 0 <= r["study_day"] <= PEAK_DAYS]
        for early in (r for r in group if r["before"] and r["detection"] in {"quantified", "BLQ"}):
            fewer = [r for r in after if r["percent_upper"] < early["percent_lower"]]
            if fewer and early["tube"] not in told:
                least = min(fewer, key=lambda r: (r["percent_upper"], r["tube"]))
                told.add(early["tube"])
                yield _swapped(
                    early,
                    least,
                    f"{early['population']}: {_percent(early)} before the infusion, and {_percent(least)} in "
                    f"{least['tube']} on day {least['study_day']:g} of the same subject",
                    "fewer before the infusion than after it",
                )


def tubes_of_one_sample(populations: Sequence[Row]) -> Iterator[dict[str, object]]:
    """Tell two tubes of one sample whose cells differ by more than two stainings explain.

    Shares are compared where both are of a gate of one name, else cells/uL: the exact intervals are apart,
    and the numbers by a factor of two or more. One row for each pair of tubes, with what differs most.
    """
    by_sample: dict[Any, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in populations:
        if row["analyte"] and row["events"] is not None:
            by_sample[row["sample_id"]][row["tube"]].append(row)
    for tubes in by_sample.values():
        for (_, first), (_, second) in combinations(sorted(tubes.items()), 2):
            worst: tuple[float, str, Row, Row] | None = None
            for a in first:
                for b in (b for b in second if b["analyte"] == a["analyte"]):
                    found = _apart(a, b)
                    if found is not None and (worst is None or found[0] > worst[0]):
                        worst = (*found, a, b)
            if worst is not None:
                _, told, a, b = worst
                yield _swapped(a, b, told, f"one sample, less than {APART:g} times apart")


def _apart(a: Row, b: Row) -> tuple[float, str] | None:
    names = ("percent", "percent_lower", "percent_upper")
    unit = "%"
    if a["of_name"] != b["of_name"]:
        names, unit = ("cells_per_ul", "cells_per_ul_lower", "cells_per_ul_upper"), "cells/uL"
    if any(r[n] is None for r in (a, b) for n in names):
        return None
    value, low, high = names
    few, many = sorted((a, b), key=lambda r: float(r[value]))
    if few[high] >= many[low] or many[value] < APART * few[value]:
        return None
    fold = many[value] / few[value] if few[value] else float("inf")
    return fold, (
        f"{a['analyte']}: {a[value]:.3g} {unit} in {a['tube']} and {b[value]:.3g} {unit} in {b['tube']}, "
        f"both of sample {a['sample_id']}"
    )


def _percent(row: Row) -> str:
    return f"{row['percent']:.3g} % ({row['percent_lower']:.2g} to {row['percent_upper']:.2g})"


def _swapped(row: Row, other: Row, message: str, limit: str) -> dict[str, object]:
    return {
        "check": "tube_swapped",
        "verdict": "warn",
        "source_file": row["tube"],
        "source_column": row["population"],
        "analyte": row["analyte"],
        "value": other["tube"],
        "limit": limit,
        "message": message,
        "suggestion": f"perhaps {row['tube']} or {other['tube']} holds another sample",
    }


def read_twice(tubes: Iterable[Row]) -> Iterator[dict[str, object]]:
    """Tell sample tubes that are one data set of one file under two names, so that it counts twice."""
    first: dict[object, str] = {}
    for row in tubes:
        if row["kind"] != "sample":
            continue
        other = first.setdefault((row["source_sha256"], row["data_set"], row["panel"]), row["tube"])
        if other != row["tube"]:
            yield {
                "check": "tube_twice",
                "verdict": "warn",
                "source_file": row["tube"],
                "value": other,
                "message": f"{row['tube']} is the same file as {other}: its cells count twice",
                "suggestion": "take one of the two out of the files sheet",
            }
