"""The standards of a curve: how they come back, which are left out, and whether the curve is accepted.

ICH M10 (2022), 4.2.3: back-calculated standards within 20 % of nominal, within 25 % at the
lowest and highest level; at least 75 % of the levels and at least six; anchor points are not
judged. A level outside leaves the fit, and the curve is fitted again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cartrace.immunoassay.calibration import (
    SAME_LEVEL,
    Array,
    Curve,
    CurveError,
    fit_curve,
    inverse,
    levels_of,
)

Tolerance = tuple[float | None, float | None]
"""Lowest and highest allowed recovery, %; None is no limit."""

ROUNDING = 1e-9
"""Relative error of floating point that no limit may be broken by."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a level and a curve are accepted. Defaults: ICH M10, 4.2.3."""

    recovery: Tolerance = (80.0, 120.0)
    recovery_ends: Tolerance = (75.0, 125.0)
    within_percent: float = 75.0
    min_levels: int = 6


@dataclass(frozen=True, slots=True)
class Calibration:
    """A curve with the verdict on its standards."""

    curve: Curve | None
    table: pd.DataFrame
    """One row a level, low to high: nominal, anchor, n, n_used, signal_mean, signal_cv_percent,
    back_mean, recovery_percent, back_cv_percent (as in STANDARDS), judged, within (NA where not judged), left_out."""
    used: npt.NDArray[np.bool_]
    """Wells in the fit."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Broken acceptance rule -> what was found, in words; ``curve_missing`` without a curve."""

    @property
    def accepted(self) -> bool:
        """Whether the curve may quantify samples."""
        return self.curve is not None and not self.broken

    @property
    def left_out(self) -> tuple[float, ...]:
        """Levels that the rule left out of the fit."""
        return tuple(float(v) for v in self.table.loc[self.table["left_out"], "nominal"])

    @property
    def n_accepted(self) -> int:
        """Levels within tolerance."""
        return int(self.table["within"].sum())


def back_calculate(
    curve: Curve | None,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    used: npt.ArrayLike | None = None,
    anchors: npt.ArrayLike = (),
) -> pd.DataFrame:
    """Return how each level comes back, low to high.

    ``back_mean`` is the mean of the back-calculated concentrations of the used wells. A
    well below the curve counts as 0; with one above the curve the level has none.

    Parameters
    ----------
    x, y
        Concentration and signal, one entry a standard well.
    used
        Wells in the fit; the others only count in ``n``. All when None.
    anchors
        Levels outside the range that is judged; concentration 0 is always one.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    mask = np.ones(len(x), dtype=bool) if used is None else np.asarray(used, dtype=bool)
    levels, index = levels_of(x)
    anchored = np.asarray(anchors, dtype=float)
    if curve is None:
        back = np.full(len(y), np.nan)
    else:
        read = inverse(curve, y)
        back = np.where(read.side == "below_curve", 0.0, read.concentration)
    out = []
    for i, nominal in enumerate(levels):
        here = (index == i) & mask
        mean = float(back[here].mean()) if here.any() else math.nan
        anchor = bool(nominal == 0 or np.isclose(anchored, nominal, rtol=SAME_LEVEL, atol=0).any())
        out.append(
            {
                "nominal": float(nominal),
                "anchor": anchor,
                "n": int((index == i).sum()),
                "n_used": int(here.sum()),
                "signal_mean": float(y[here].mean()) if here.any() else math.nan,
                "signal_cv_percent": _cv_percent(y[here]),
                "back_mean": mean,
                "recovery_percent": 100 * mean / nominal if nominal > 0 else math.nan,
                "back_cv_percent": _cv_percent(back[here]),
            }
        )
    return pd.DataFrame(out)


def calibrate(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    excluded: npt.ArrayLike | None = None,
    anchors: npt.ArrayLike = (),
    rules: Rules | None = None,
    **fit: Any,
) -> Calibration:
    """Fit a curve, leave out levels that come back wrong, and judge what is left.

    While levels fail: of those that fail, that level is left out after which the fewest
    fail (of equals the one without which the curve scatters least, then the worst); the curve
    is fitted again. The number that may be left out is what 75 % and six levels allow. When
    that does not lead to a curve whose levels all pass, nothing is left out and the curve
    of all levels is rejected. The lowest and the highest level that are left are judged by
    the wider tolerance, and the range of the curve shrinks to them.

    One wrong level bends the curve at its neighbours too; taking out whatever fails next
    to an end would then drop good levels and keep the wrong one.

    Parameters
    ----------
    x, y
        Concentration and signal, one entry a standard well.
    excluded
        Wells left out beforehand (by the operator, the layout): neither fitted nor counted.
    anchors
        Levels in the fit that are not judged. Concentration 0 never is.
    fit
        Arguments of :func:`fit_curve`.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    rules = rules or Rules()
    usable = np.ones(len(x), dtype=bool) if excluded is None else ~np.asarray(excluded, dtype=bool)
    if not len(x):
        return Calibration(None, _empty(), usable, {"curve_missing": "there are no standards"})
    levels, index = levels_of(x)

    def attempt(out: frozenset[int]) -> tuple[Curve, pd.DataFrame, npt.NDArray[np.bool_]]:
        used = usable & ~np.isin(index, list(out))
        curve = fit_curve(x[used], y[used], **fit)
        table = _judge(back_calculate(curve, x, y, used=used, anchors=anchors), rules)
        return curve, table, used

    try:
        full = attempt(frozenset())
    except CurveError as error:
        table = _judge(back_calculate(None, x, y, used=usable, anchors=anchors), rules)
        return Calibration(None, table.assign(left_out=False), usable, {"curve_missing": str(error)})
    judged = int(full[1]["judged"].sum())
    allowed = judged - max(rules.min_levels, math.ceil(judged * rules.within_percent / 100 - ROUNDING))
    best, out = full, frozenset[int]()
    while (failing := _failing(best[1])) and len(out) < allowed:
        tried = []
        for level in failing:
            try:
                new = attempt(out | {level})
            except CurveError:
                continue
            scatter = new[0].residual_sd if new[0].df else math.inf
            rank = (len(_failing(new[1])), scatter, -_deviation(best[1], level))
            tried.append((rank, level, new))
        if not tried:
            break
        _, level, best = min(tried, key=lambda one: one[:2])
        out = out | {level}
    if _failing(best[1]):
        best, out = full, frozenset()
    curve, table, used = best
    table = table.assign(left_out=[i in out for i in range(len(levels))])
    return Calibration(curve, table, used, _broken(curve, table, judged, rules))


def _empty() -> pd.DataFrame:
    numbers = ("nominal", "n", "n_used", "signal_mean", "signal_cv_percent")
    more = ("back_mean", "recovery_percent", "back_cv_percent")
    flags = {"anchor": "bool", "judged": "bool", "within": "boolean", "left_out": "bool"}
    return pd.DataFrame({c: [] for c in (*numbers, *more, *flags)}).astype(flags)


def _judge(table: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Add ``judged`` (in the fit and no anchor) and ``within`` (its tolerance; NA where not judged)."""
    judged = ~table["anchor"] & (table["n_used"] > 0)
    places = np.flatnonzero(judged)
    within = np.zeros(len(table), dtype=bool)
    for i in places:
        tolerance = rules.recovery_ends if i in (places[0], places[-1]) else rules.recovery
        within[i] = _inside(float(table["recovery_percent"].iloc[i]), tolerance)
    return table.assign(judged=judged, within=pd.Series(within, dtype="boolean").mask(~judged))


def _inside(recovery: float, tolerance: Tolerance) -> bool:
    low, high = tolerance
    return not (
        math.isnan(recovery)
        or (low is not None and recovery < low * (1 - ROUNDING))
        or (high is not None and recovery > high * (1 + ROUNDING))
    )


def _failing(table: pd.DataFrame) -> list[int]:
    return [int(i) for i in np.flatnonzero(table["within"].eq(False).fillna(False))]


def _deviation(table: pd.DataFrame, level: int) -> float:
    recovery = float(table["recovery_percent"].iloc[level])
    return math.inf if math.isnan(recovery) or recovery <= 0 else abs(math.log(recovery / 100))


def _broken(curve: Curve, table: pd.DataFrame, judged: int, rules: Rules) -> dict[str, str]:
    broken: dict[str, str] = {}
    if not curve.converged:
        broken["curve_missing"] = curve.reason
    within = int(table["within"].sum())
    places = np.flatnonzero(table["judged"])
    ends = {int(i) for i in (*places[:1], *places[-1:])}
    failing = _failing(table)
    for name, found in (
        ("standard_recovery", [i for i in failing if i not in ends]),
        ("standard_recovery_ends", [i for i in failing if i in ends]),
    ):
        if found:
            broken[name] = "back-calculated standards outside tolerance: " + told(table, found)
    share = 100 * within / judged if judged else 0.0
    if share < rules.within_percent * (1 - ROUNDING):
        broken["standards_within"] = f"{within} of {judged} levels of standards are within tolerance"
    if within < rules.min_levels:
        broken["standard_levels"] = (
            f"{within} levels of standards are within tolerance, {rules.min_levels} are needed"
        )
        if judged < rules.min_levels:
            broken["standard_levels"] += (
                f"; the plate has only {judged}. For a kit with so few, the assay file may say "
                f"acceptance: {{standard_levels: {{lower: {judged}}}}}"
            )
    return broken


def told(table: pd.DataFrame, rows: list[int]) -> str:
    """Say the recovery of some levels: ``134 % at 5; 100 beyond the curve``."""
    return "; ".join(
        f"{table['nominal'].iloc[i]:g} beyond the curve"
        if math.isnan(float(table["recovery_percent"].iloc[i]))
        else f"{table['recovery_percent'].iloc[i]:.4g} % at {table['nominal'].iloc[i]:g}"
        for i in rows
    )


def _cv_percent(values: Array) -> float:
    if len(values) < 2 or not np.isfinite(values).all() or (mean := float(values.mean())) == 0:
        return math.nan
    return 100 * float(values.std(ddof=1)) / abs(mean)
