"""The curve of one target of one plate: its standards judged, its limits, every well read off it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cartrace.immunoassay.acceptance import standard_rules
from cartrace.immunoassay.calibration import Curve, curve_columns, inverse
from cartrace.immunoassay.limits import accepted_range, lod, precision_profile, profile_limits
from cartrace.immunoassay.replicates import WellLimits, side_of
from cartrace.immunoassay.standards import Calibration, back_calculate, calibrate, told
from cartrace.plates.acceptance import Acceptance, Finding, number, rule_finding
from cartrace.plates.plate import well_list
from cartrace.plates.sample_names import fold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cartrace.config import Immunoassay
    from cartrace.immunoassay.assay import Target

    Floats = NDArray[np.float64]

_OF = r"\b.*\b(range|curve|limits?|detection|asymptote|standards?|quantification|lloq|uloq|lod)\b"
_BELOW = re.compile(rf"\s*((oor|out of range)?\s*<|below\s*$|below{_OF})", re.IGNORECASE)
_ABOVE = re.compile(rf"\s*((oor|out of range)?\s*>|above\s*$|above{_OF})", re.IGNORECASE)
_BEYOND = re.compile(r"\s*\*|.*\b(extrapolated|out of range|oor)\b|.*\brange\s*\?", re.IGNORECASE)


def vendor_side(status: str) -> str:
    """Read a remark of the instrument's software: below_curve, above_curve, beyond (which side it does not say), or nothing.

    >>> vendor_side("OOR <"), vendor_side("Above Fit Curve Range"), vendor_side("*"), vendor_side("pass")
    ('below_curve', 'above_curve', 'beyond', '')
    """
    text = status.strip()
    if _BELOW.match(text):
        return "below_curve"
    if _ABOVE.match(text):
        return "above_curve"
    return "beyond" if _BEYOND.match(text) else ""


@dataclass(frozen=True, slots=True)
class PlateCurve:
    """The curve of one target, what it may quantify, and the findings."""

    target: str
    curve: Curve | None
    table: pd.DataFrame
    """Of :class:`cartrace.immunoassay.standards.Calibration`."""
    limits: WellLimits
    row: Mapping[str, Any]
    """Columns of CURVES but plate, target, verdict and flags; empty where there is nothing to show."""
    findings: tuple[Finding, ...] = field(default=())


def curve_of(
    wells: pd.DataFrame, name: str, target: Target, acceptance: Acceptance, settings: Immunoassay
) -> PlateCurve:
    """Fit and judge the curve of one target.

    Parameters
    ----------
    wells
        The wells of the target, with ``corrected`` and ``usable``; the index is the position in
        the table of all wells.
    name, target
        Its name, and what the assay file says.
    acceptance, settings
        Rules and section of the configuration.

    Returns
    -------
    PlateCurve
        Its findings mark the target where the curve is no good: curve_missing, the rules of
        standards; and the wells of levels that were left out.
    """
    standard = wells[(wells["task"] == "standard") & wells["exclusion"].isna() & wells["mapping_flag"].isna()]
    unknown = standard[standard["nominal"].isna()]
    findings = []
    if len(unknown):
        findings.append(
            Finding(
                "standard_without_quantity",
                "warn",
                f"{name}: the standards {well_list(unknown['well'])} have no concentration and are not in the fit",
                target=name,
                wells=tuple(int(i) for i in unknown.index),
                marks=("wells",),
            )
        )
    standard = standard[standard["nominal"].notna() & standard["usable"]]
    if target.calibration.model == "vendor":
        return _vendor(standard, name, target, acceptance, findings)
    known = standard["corrected"].notna()
    made = calibrate(
        standard.loc[known, "nominal"].to_numpy(np.float64),
        standard.loc[known, "corrected"].to_numpy(np.float64),
        anchors=target.calibration.anchors,
        rules=standard_rules(acceptance),
        model=target.calibration.model,
        weighting=target.calibration.weighting,
        power=target.calibration.power,
        log_concentration=target.calibration.log_concentration,
        starts=settings.starts,
    )
    findings += _judged(made, standard[known], name, acceptance)
    findings += _direction(made.curve, name, target)
    if made.curve is None:
        return PlateCurve(name, None, made.table, WellLimits(), {}, tuple(findings))
    blanks = wells[(wells["task"] == "blank") & wells["usable"]]["corrected"].to_numpy(np.float64)
    limits, source, more = _limits(made, name, target, settings, blanks)
    row = curve_columns(made.curve) | {
        "n_accepted": made.n_accepted,
        "lloq": limits.lloq,
        "uloq": limits.uloq,
        "limits_from": source,
        "lod": limits.lod,
    }
    return PlateCurve(name, made.curve, made.table, limits, row, (*findings, *more))


@lru_cache(maxsize=256)
def precise_range(curve: Curve, max_cv_percent: float, replicates: int) -> tuple[float, float]:
    """Return the concentrations between which the CV of so many wells is allowed.

    (inf, -inf) where it is nowhere; without a covariance of the curve nothing is said: (0, inf).
    """
    if not curve.covariance:
        return 0.0, math.inf
    low, high = profile_limits(precision_profile(curve, replicates=replicates), max_cv_percent)
    return (math.inf, -math.inf) if math.isnan(low) else (low, high)


def _judged(made: Calibration, standard: pd.DataFrame, name: str, acceptance: Acceptance) -> list[Finding]:
    """Turn the verdict on the standards into findings."""
    findings = []
    if why := made.broken.get("curve_missing"):
        findings.append(
            Finding("curve_missing", "fail", f"{name}: no curve: {why}", target=name, marks=("target",))
        )
    if made.curve is not None and made.curve.converged and made.curve.reason:
        findings.append(
            Finding(
                "curve_open",
                "note",
                f"{name}: {made.curve.reason}: the standards do not fix it. Between the standards the curve is as good as any",
                target=name,
            )
        )
    judged = int(made.table["within"].notna().sum()) + len(made.left_out) if len(made.table) else 0
    if made.curve is not None:
        values = {
            "standards_within": f"{made.n_accepted} of {judged}",
            "standard_levels": str(made.n_accepted),
        }
        findings += [
            rule_finding(
                acceptance,
                rule,
                f"{name}: {made.broken.get(rule) or f'{found} levels of standards are within tolerance'}",
                broken=rule in made.broken,
                target=name,
                value=found,
                marks=("target",),
            )
            for rule, found in values.items()
        ]
        findings += [
            rule_finding(
                acceptance,
                rule,
                f"{name}: {made.broken[rule]}",
                broken=True,
                target=name,
                value=made.broken[rule].partition(": ")[2],
                marks=("target",),
            )
            for rule in ("standard_recovery", "standard_recovery_ends")
            if rule in made.broken
        ]
        findings += _scatter(made.table, standard, name, acceptance)
    out = [i for i in range(len(made.table)) if made.table["left_out"].iloc[i]]
    for i in out:
        level = float(made.table["nominal"].iloc[i])
        mine = standard[np.isclose(standard["nominal"].to_numpy(np.float64), level, rtol=1e-5, atol=0)]
        # Read on the curve without it, so that its size is the level's own.
        back = back_calculate(made.curve, mine["nominal"], mine["corrected"])
        findings.append(
            rule_finding(
                acceptance,
                "standard_recovery",
                f"{name}: the level {number(level)} ({well_list(mine['well'])}) comes back as {told(back, [0])} and is "
                "left out of the fit",
                broken=True,
                target=name,
                value=told(back, [0]),
                marks=(),
                wells=mine.index,
            )
        )
    return [_only_warns(f) if not f.marks else f for f in findings]


def _direction(curve: Curve | None, name: str, target: Target) -> list[Finding]:
    """Reject a curve that goes the wrong way: standards in reverse order come back perfectly."""
    falling = target.calibration.falling
    if curve is None or not curve.converged or curve.rising != falling:
        return []
    ways = ("rises", "falls")
    return [
        Finding(
            "curve_direction",
            "fail",
            f"{name}: the signal of the standards {ways[not falling]} with the concentration, and the assay file says that it "
            f"{ways[falling]}: the standards may stand in reverse order",
            target=name,
            marks=("target",),
            value=ways[not falling],
            limit=ways[falling],
            limit_source=f"assay file, targets.{name}.calibration.falling",
            suggestion="correct the standards, or falling",
        )
    ]


def _scatter(table: pd.DataFrame, standard: pd.DataFrame, name: str, acceptance: Acceptance) -> list[Finding]:
    """Judge the replicates of the levels in the fit."""
    kept = table[~table["left_out"] & (table["nominal"] > 0)]
    wide = kept[acceptance.broken("standard_cv", kept["signal_cv_percent"])]
    if wide.empty:
        return []
    listed = [
        f"{number(cv)} % at {number(level)}"
        for cv, level in zip(wide["signal_cv_percent"], wide["nominal"], strict=True)
    ]
    nominal = standard["nominal"].to_numpy(np.float64)
    mine = np.isclose(nominal[:, None], wide["nominal"].to_numpy(np.float64), rtol=1e-3, atol=0).any(axis=1)
    return [
        rule_finding(
            acceptance,
            "standard_cv",
            f"{name}: the signals of the standards differ by a CV of {'; '.join(listed)} "
            f"({well_list(standard.loc[mine, 'well'])})",
            broken=True,
            target=name,
            value="; ".join(listed),
            marks=("target",),
            wells=standard.index[mine],
        )
    ]


def _only_warns(f: Finding) -> Finding:
    """Mark the wells of a level that was left out; the curve without it stands."""
    return Finding(
        f.check,
        "warn",
        f.message,
        target=f.target,
        wells=f.wells,
        marks=("wells",),
        value=f.value,
        limit=f.limit,
        limit_source=f.limit_source,
    )


def _limits(
    made: Calibration, name: str, target: Target, settings: Immunoassay, blanks: Floats
) -> tuple[WellLimits, str, list[Finding]]:
    curve, wanted = made.curve, target.limits
    assert curve is not None
    findings = []
    if wanted.source == "fixed":
        low, high = wanted.lloq or math.nan, wanted.uloq or curve.highest
        source = "assay_file"
    elif wanted.source == "precision_profile":
        low, high = profile_limits(precision_profile(curve), settings.max_profile_cv_percent)
        source = "precision_profile"
        if math.isnan(low):
            findings.append(
                Finding(
                    "precision_profile",
                    "warn",
                    f"{name}: nowhere on the curve is the CV of the back-calculated concentration within "
                    f"{number(settings.max_profile_cv_percent)} %, so there are no limits of quantification; those of "
                    "the accepted standards hold",
                    target=name,
                    marks=("target",),
                    limit_source="immunoassay.max_profile_cv_percent",
                )
            )
            low, high = accepted_range(made.table)
            source = "accepted_range"
    else:
        low, high = accepted_range(made.table)
        source = "accepted_range"
    detected = wanted.lod or math.nan
    if wanted.lod is None and len(blanks):
        found = lod(curve, blanks, sd=settings.lod_sd)
        detected = found.lod
        if found.reason:
            findings.append(
                Finding(
                    "lod_missing",
                    "note",
                    f"{name}: no limit of detection, so nothing is called undetected: {found.reason}",
                    target=name,
                )
            )
    if detected > low:
        # What can't be told from a blank is not quantified either.
        findings.append(
            Finding(
                "lod_above_lloq",
                "note",
                f"{name}: the limit of detection {number(detected)} lies above the lower limit of quantification "
                f"{number(low)}, and takes its place",
                target=name,
                value=number(detected),
                limit=number(low),
            )
        )
        low = detected
    return WellLimits(detected, low, high), source, findings


def _vendor(
    standard: pd.DataFrame, name: str, target: Target, acceptance: Acceptance, findings: list[Finding]
) -> PlateCurve:
    """Take the instrument's concentrations; its standards come back by them, too."""
    rules = standard_rules(acceptance)
    nominal = standard["nominal"].to_numpy(np.float64)
    back = standard["vendor_concentration"].to_numpy(np.float64)
    table, broken = pd.DataFrame(), dict[str, str]()
    if np.isfinite(back[nominal > 0]).any():
        # A line of slope 1 gives back what it is given.
        same = Curve("linear", (0.0, 1.0))
        mask = np.isfinite(back)
        x, y = nominal[mask], back[mask]
        table = back_calculate(same, x, y, anchors=target.calibration.anchors)
        signal = standard["corrected"].to_numpy(np.float64)[mask]
        raw = [signal[np.isclose(x, level, rtol=1e-5, atol=0)] for level in table["nominal"]]
        table["signal_mean"] = [float(s.mean()) for s in raw]
        table["signal_cv_percent"] = [
            100 * float(s.std(ddof=1)) / abs(float(s.mean())) if len(s) > 1 and s.mean() else math.nan
            for s in raw
        ]
        judged = [i for i in range(len(table)) if not table["anchor"].iloc[i]]
        within: list[object] = [pd.NA] * len(table)
        for i in judged:
            low, high = rules.recovery_ends if i in {judged[0], judged[-1]} else rules.recovery
            found = float(table["recovery_percent"].iloc[i])
            within[i] = (low is None or found >= low) and (high is None or found <= high)
        table["within"] = pd.Series(within, index=table.index, dtype="boolean")
        table["left_out"] = False
        accepted = int(table["within"].eq(True).sum())
        if judged and 100 * accepted / len(judged) < rules.within_percent:
            broken["standards_within"] = f"{accepted} of {len(judged)}"
        if accepted < rules.min_levels:
            broken["standard_levels"] = str(accepted)
        findings += [
            rule_finding(
                acceptance,
                rule,
                f"{name}: {found} levels of standards come back within tolerance by the instrument's software",
                broken=True,
                target=name,
                value=found,
                marks=("target",),
            )
            for rule, found in broken.items()
        ]
    wanted = target.limits
    lloq, uloq = wanted.lloq or math.nan, wanted.uloq or math.nan
    if wanted.source != "fixed" and len(table):
        lloq, uloq = accepted_range(table)
    limits = WellLimits(wanted.lod or math.nan, lloq, uloq)
    row: dict[str, Any] = {}
    if len(table):
        row = {
            "model": "vendor",
            "weighting": "none",
            "n_levels": len(table),
            "n_accepted": int(table["within"].eq(True).sum()),
            "lloq": lloq,
            "uloq": uloq,
            "limits_from": "assay_file" if wanted.source == "fixed" else "accepted_range",
            "lod": limits.lod,
        }
    elif wanted.source != "fixed":
        findings.append(
            Finding(
                "limits_unknown",
                "warn",
                f"{name}: the file gives no back-calculated standards and the assay file no limits, so only what the "
                "instrument's software calls out of range is censored",
                target=name,
                limit_source=f"assay file, targets.{name}.limits",
            )
        )
    return PlateCurve(name, None, table, limits, row, tuple(findings))


def read_off(wells: pd.DataFrame, made: PlateCurve, *, vendor: bool) -> pd.DataFrame:
    """Return ``concentration``, ``side`` and ``range`` of wells, with their index.

    Parameters
    ----------
    wells
        Columns corrected, vendor_concentration, vendor_status.
    made
        The curve and its limits.
    vendor
        Take the concentrations of the instrument's software. A remark that says on which side
        of the curve the well lies goes before a number; an extrapolated one is kept where the
        limits of quantification allow it.
    """
    if vendor:
        concentration = wells["vendor_concentration"].to_numpy(np.float64).copy()
        said = np.array([vendor_side(s) for s in wells["vendor_status"].fillna("")], dtype=object)
        beyond = np.isin(said, ("below_curve", "above_curve"))
        concentration[beyond] = np.nan
        side = np.where(beyond, said, np.where(np.isnan(concentration), "", "inside"))
    elif made.curve is None:
        concentration, side = np.full(len(wells), np.nan), np.full(len(wells), "", dtype=object)
    else:
        found = inverse(made.curve, wells["corrected"].to_numpy(np.float64))
        concentration, side = found.concentration, found.side.astype(object)
    where = side_of(concentration, side.astype(str), made.limits)
    return pd.DataFrame(
        {"concentration": concentration, "side": side, "range": [w or None for w in where]}, index=wells.index
    )


def standards_rows(made: PlateCurve) -> pd.DataFrame:
    """Return the rows of STANDARDS but ``plate``."""
    if not len(made.table):
        return pd.DataFrame()
    table = made.table[made.table["n"] > 0].copy()
    within = table.pop("within")
    out = table.pop("left_out").to_numpy(bool)
    ok = within.fillna(value=False).to_numpy(bool)
    judged = within.notna().to_numpy(bool)
    table.insert(0, "target", made.target)
    table["verdict"] = np.select(
        [out | (judged & ~ok), table["n_used"].eq(0).to_numpy(bool)], ["rejected", "not_used"], "accepted"
    )
    table["flags"] = ["standard_recovery" if bad else None for bad in (out | (judged & ~ok))]
    return table


def same_name(a: object, b: object) -> bool:
    """Say whether two names of controls are one."""
    return bool(fold(a)) and fold(a) == fold(b)
