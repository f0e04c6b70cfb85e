"""What counts as depleted in each course, and as normal.

A level is a pair of bounds, since a percentage of a censored baseline is only
known to lie between two numbers. A result is low or high when it is so for
every value within its bounds; else it is undecided and says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cartrace.units import factor

if TYPE_CHECKING:
    from cartrace.config import Depletion, DepletionRule
    from cartrace.depletion.series import Bools, Floats, Integers, Series
    from cartrace.kinetics.rows import Texts


@dataclass(frozen=True, slots=True)
class Level:
    """A level of n courses, and where their (n, m) results lie.

    ``lower`` and ``upper`` are its bounds in the unit of the course, nan where
    there is no level; ``low`` and ``high`` mark results that are certainly below it, or
    at it or above it.
    """

    lower: Floats
    upper: Floats
    low: Bools
    high: Bools

    @property
    def undecided(self) -> Bools:
        """(n, m) neither low nor high."""
        return np.asarray(~(self.low | self.high))


@dataclass(frozen=True, slots=True)
class Definition:
    """What holds for n courses.

    Attributes
    ----------
    threshold, baseline, normal
        Levels: below the first one is depleted, at or above the others is
        reconstituted.
    text
        (n,) the definition of depletion in words.
    missing
        (n,) why there is no threshold; None where there is one.
    """

    threshold: Level
    baseline: Level
    normal: Level
    text: Texts
    missing: Texts


def define(series: Series, settings: Depletion) -> Definition:
    """Find the rule of each course and classify its results."""
    n = len(series)
    absolute, percent, normal = (np.full(n, np.nan) for _ in range(3))
    kind = np.full(n, "", dtype=object)
    text = np.full(n, None, dtype=object)
    for rows, analyte, unit in _course_types(series):
        rule, scale = find_rule(analyte, unit, settings)
        kind[rows] = "percent_of_baseline" if rule is None else rule.kind
        if kind[rows[0]] == "percent_of_baseline":
            chosen = settings.otherwise_percent_of_baseline if rule is None else rule.threshold
            percent[rows] = chosen
            text[rows] = f"below {chosen:g} % of the baseline"
        elif rule is not None and rule.threshold is not None:
            absolute[rows] = rule.threshold * scale
            text[rows] = f"below {rule.threshold * scale:g} {unit}"
        else:
            text[rows] = "not detected" if kind[rows[0]] == "not_detected" else "not quantifiable"
        if rule is not None and rule.lower_limit_of_normal is not None:
            normal[rows] = rule.lower_limit_of_normal * scale

    low_base, high_base = series.at_baseline(series.lower), series.at_baseline(series.upper)
    relative = ~np.isnan(percent)
    low_line = np.where(relative, low_base * percent / 100, absolute)
    high_line = np.where(relative, high_base * percent / 100, absolute)
    threshold = _level(series, low_line, high_line)
    low, high = threshold.low.copy(), threshold.high.copy()
    zero = series.exact & (series.lower <= 0)
    for name, nothing in (("not_detected", series.undetected), ("not_quantifiable", series.missing_below)):
        here = (kind == name)[:, None] & ~np.isnan(series.time)
        low[here] = (nothing | zero)[here]
        high[here] = ~low[here]
    # Between an unknown limit of detection and the one of quantification it may be detected or not.
    unsure = (kind == "not_detected")[:, None] & series.missing_below & ~series.undetected
    high[unsure & (series.lower <= 0)] = False

    # The baseline is 100 % of itself, whatever it is.
    itself = np.flatnonzero(relative & (high_base > 0))
    low[itself, series.baseline[itself]] = False
    high[itself, series.baseline[itself]] = True

    missing = np.full(n, None, dtype=object)
    missing[relative & ~series.has_baseline] = "no baseline to take a percentage of"
    missing[relative & (high_base <= 0)] = "the baseline is 0: nothing to take a percentage of"
    confirmed = f"onset by {_results(settings.confirm_onset)}, end by {_results(settings.confirm_end)}"
    return Definition(
        threshold=Level(low_line, high_line, low, high),
        baseline=_level(
            series, low_base * settings.baseline_fraction, high_base * settings.baseline_fraction
        ),
        normal=_level(series, normal, normal),
        text=np.array([f"{t}; {confirmed}" for t in text], dtype=object),
        missing=missing,
    )


def find_rule(analyte: str, unit: str, settings: Depletion) -> tuple[DepletionRule | None, float]:
    """Return the rule of a course, and the number that turns its unit into the course's.

    The rule in the course's own unit, else one in an exactly convertible unit,
    else one for any unit; none at all gives None and 1.
    """
    own = [rule for rule in settings.rules if rule.analyte == analyte]
    for rule in sorted(own, key=lambda r: (r.unit != unit, r.unit is None)):
        if rule.unit is None:
            return rule, 1.0
        try:
            return rule, factor(rule.unit, unit)
        except ValueError:
            continue
    return None, 1.0


def _course_types(series: Series) -> list[tuple[Integers, str, str]]:
    groups = series.keys.groupby(["analyte", "course_unit"], sort=True).indices
    return [(np.asarray(rows), str(key[0]), str(key[1])) for key, rows in groups.items()]  # type: ignore[index]


def _level(series: Series, lower: Floats, upper: Floats) -> Level:
    # A censored value lies strictly below its limit; a quantified one must be below the level itself.
    at_most = np.where(series.exact, series.upper < lower[:, None], series.upper <= lower[:, None])
    return Level(lower, upper, at_most, np.asarray(series.lower >= upper[:, None]))


def _results(number: int) -> str:
    return "1 result" if number == 1 else f"{number} consecutive results"
