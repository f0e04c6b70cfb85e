"""The standard curves of a plate: which wells are standards, what they say, what the instrument said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from cartrace.pcr.standard_curve import Curve, CurveError, fit_curve
from cartrace.plates.acceptance import Acceptance, Finding, number, rule_finding

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.pcr.assay import CurveChoice

VENDOR_COLUMNS = ("vendor_slope", "vendor_intercept", "vendor_r2", "vendor_efficiency_percent")
VENDOR_TOLERANCE_PERCENT = 1.0
"""Deviation from the instrument's own numbers of the same wells that is told: it used another model, or other wells."""
VENDOR_ROUNDING = 0.005
"""Absolute deviation that the instrument's print of copies explains."""


@dataclass(frozen=True, slots=True)
class PlateCurve:
    """The curve that quantifies one target on a plate, or the reason why there is none."""

    target: str
    source: str
    """``plate``, or the name of the stored curve."""
    weighting: str
    curve: Curve | None
    standards: tuple[int, ...]
    """Positions of the usable standard wells with a quantity."""
    reason: str = ""


def curve_of(
    wells: pd.DataFrame,
    target: str,
    choice: CurveChoice,
    stored: Mapping[str, Curve],
    *,
    confidence: float,
) -> PlateCurve:
    """Fit the curve of a target to the plate's standards, or take the stored one.

    Standards without amplification are not in the fit, since they have no Cq; they count
    against their level (:func:`levels`).

    Parameters
    ----------
    wells
        All wells of the plate, with ``target``, ``task``, ``usable``, ``nominal`` (copies
        per reaction), ``cq`` and ``cq_kind``.
    stored
        Stored curves by the file that the assay file names.
    """
    mine = wells[(wells["target"] == target) & (wells["task"] == "standard") & wells["usable"]]
    mine = mine[mine["nominal"] > 0]
    standards = tuple(int(i) for i in mine.index)
    if choice.source == "stored":
        return PlateCurve(
            target,
            stored[choice.file].name or PurePosixPath(choice.file).stem,
            stored[choice.file].weighting,
            stored[choice.file],
            standards,
        )
    fitted = mine[mine["cq_kind"] == "quantified"]
    try:
        curve = fit_curve(
            np.log10(fitted["nominal"].to_numpy(np.float64)),
            fitted["cq"].to_numpy(np.float64),
            weighting=choice.weighting,
            confidence=confidence,
        )
    except CurveError as error:
        return PlateCurve(target, "plate", choice.weighting, None, standards, str(error))
    return PlateCurve(target, "plate", choice.weighting, curve, standards)


def levels(wells: pd.DataFrame, plate_curve: PlateCurve) -> pd.DataFrame:
    """Return nominal, recovery_percent and the well names of each level of standards.

    The recovery is that of the mean of the back-calculated copies; a well without
    amplification counts as 0 copies.
    """
    mine = wells.loc[list(plate_curve.standards)]
    # Six decimals, as fit_curve: 1000 typed as 999.9999 is the same level.
    level = mine["nominal"].map(math.log10).round(6).rename("level")
    out = mine.groupby(level).agg(
        nominal=("nominal", "mean"), copies=("copies", "mean"), wells=("well", ", ".join)
    )
    out["recovery_percent"] = 100 * out["copies"] / out["nominal"]
    return out[["nominal", "recovery_percent", "wells"]]


def check_curve(wells: pd.DataFrame, plate_curve: PlateCurve, acceptance: Acceptance) -> list[Finding]:
    """Judge the curve of a target: its shape, its standards, and the instrument's own curve."""
    target, curve = plate_curve.target, plate_curve.curve
    if curve is None:
        return [_missing(wells, plate_curve)]
    of = f"{target}, " + ("curve of the plate" if plate_curve.source == "plate" else plate_curve.source)
    found = []
    shape = {"slope": curve.slope, "efficiency": curve.efficiency_percent, "r2": curve.r2}
    for name, value in shape.items():
        broken = bool(acceptance.broken(name, value))
        found.append(
            rule_finding(
                acceptance,
                name,
                f"{of}: {name} {number(value)}; allowed: {acceptance.limit_text(name)}",
                broken=broken,
                target=target,
                value=number(value),
                marks=("target",),
                wells=plate_curve.standards,
            )
        )
    found += _check_standards(wells, plate_curve, acceptance, of)
    if plate_curve.source == "plate":
        found += _compare_with_vendor(wells, plate_curve, of)
    return found


def _missing(wells: pd.DataFrame, plate_curve: PlateCurve) -> Finding:
    target = plate_curve.target
    mine = wells.index[wells["target"] == target]
    return Finding(
        "curve_missing",
        "fail",
        f"{target}: no standard curve, so nothing of it is quantified: {plate_curve.reason}",
        target=target,
        wells=plate_curve.standards or tuple(int(i) for i in mine[:1]),
        marks=("target",),
        value=f"{len(plate_curve.standards)} standard wells",
        limit="standards of at least two levels",
    )


def _check_standards(
    wells: pd.DataFrame, plate_curve: PlateCurve, acceptance: Acceptance, of: str
) -> list[Finding]:
    target, curve = plate_curve.target, plate_curve.curve
    assert curve is not None
    table = levels(wells, plate_curve)
    outside = table[acceptance.broken("standard_recovery", table["recovery_percent"])]
    within = len(table) - len(outside)
    found: list[Finding] = []
    if len(table):
        told = "; ".join(
            f"{number(r)} % at {number(n)} copies ({w})"
            for n, r, w in zip(outside["nominal"], outside["recovery_percent"], outside["wells"], strict=True)
        )
        share = 100 * within / len(table)
        for name, broken, value, message in (
            (
                "standard_recovery",
                bool(len(outside)),
                told
                or f"{number(table['recovery_percent'].min())} to {number(table['recovery_percent'].max())} %",
                f"back-calculated standards outside tolerance: {told}"
                if told
                else f"all {len(table)} levels of standards are recovered within tolerance",
            ),
            (
                "standards_within",
                bool(acceptance.broken("standards_within", share)),
                f"{number(share)} %",
                f"{within} of {len(table)} levels of standards are recovered within tolerance",
            ),
        ):
            found.append(
                rule_finding(
                    acceptance,
                    name,
                    f"{of}: {message}",
                    broken=broken,
                    target=target,
                    value=value,
                    marks=("target",),
                    wells=plate_curve.standards,
                )
            )
    # A stored curve was judged by its own standards when it was stored; the plate may hold none.
    n = within if plate_curve.source == "plate" else curve.n_levels
    found.append(
        rule_finding(
            acceptance,
            "standard_levels",
            f"{of}: {n} levels of standards within tolerance",
            broken=bool(acceptance.broken("standard_levels", n)),
            target=target,
            value=str(n),
            marks=("target",),
            wells=plate_curve.standards,
        )
    )
    return found


def vendor_curve(wells: pd.DataFrame, target: str) -> dict[str, float]:
    """Return the one curve that the instrument's software printed for a target; nan where it printed none or several."""
    mine = wells[wells["target"] == target]
    printed = {name: mine[name].dropna().unique() for name in VENDOR_COLUMNS}
    return {name: float(v[0]) if len(v) == 1 else float("nan") for name, v in printed.items()}


def _compare_with_vendor(wells: pd.DataFrame, plate_curve: PlateCurve, of: str) -> list[Finding]:
    target, curve = plate_curve.target, plate_curve.curve
    assert curve is not None
    ours = {
        "vendor_slope": curve.slope,
        "vendor_intercept": curve.intercept,
        "vendor_r2": curve.r2,
        "vendor_efficiency_percent": curve.efficiency_percent,
    }
    printed = vendor_curve(wells, target)
    away = [
        f"{name.removeprefix('vendor_').removesuffix('_percent')} {number(value)} here, {number(printed[name])} there"
        for name, value in ours.items()
        if abs(value - printed[name]) > VENDOR_TOLERANCE_PERCENT / 100 * abs(printed[name])
    ]
    mine = wells[(wells["target"] == target) & wells["usable"]]
    gap = (mine["copies"] - mine["vendor_copies"]).abs()
    far = mine[(gap > VENDOR_TOLERANCE_PERCENT / 100 * mine["vendor_copies"]) & (gap > VENDOR_ROUNDING)]
    if len(far):
        first = far.iloc[0]
        away.append(
            f"copies of {len(far)} wells, first {first['well']}: {number(first['copies'])} here, "
            f"{number(first['vendor_copies'])} there"
        )
    if not away:
        return []
    return [
        Finding(
            "vendor_curve",
            "warn",
            f"{of}: the instrument's software computed something else from the same wells: {'; '.join(away)}",
            target=target,
            wells=tuple(int(i) for i in far.index) or plate_curve.standards,
            value="; ".join(away),
            limit=f"within {number(VENDOR_TOLERANCE_PERCENT)} %",
            limit_source="house value",
            suggestion="Another fit or other standards were set in the instrument's software; see which is meant.",
        )
    ]


def curve_row(wells: pd.DataFrame, plate_curve: PlateCurve, *, file_id: str) -> dict[str, object]:
    """Return the row of CURVES, without its verdict."""
    row: dict[str, object] = {
        "plate": file_id,
        "target": plate_curve.target,
        "source": plate_curve.source,
        "weighting": plate_curve.weighting,
        "n_standards": len(plate_curve.standards),
        **vendor_curve(wells, plate_curve.target),
    }
    if (curve := plate_curve.curve) is not None:
        row |= {
            name: getattr(curve, name)
            for name in (
                "n_used",
                "n_levels",
                "slope",
                "slope_lower",
                "slope_upper",
                "intercept",
                "intercept_lower",
                "intercept_upper",
                "r2",
                "efficiency_percent",
                "efficiency_lower",
                "efficiency_upper",
                "residual_sd",
                "mean_log10",
                "sxx",
                "lowest",
                "highest",
            )
        }
    return row
