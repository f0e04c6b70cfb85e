"""Limits of a calibration curve, and the blank."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cartrace.immunoassay.calibration import Curve, inverse, inverse_interval

MIN_BLANKS = 3
"""Blanks without which their scatter is not known. House value."""
GRID = 400
"""Concentrations of a precision profile."""


def accepted_range(table: pd.DataFrame) -> tuple[float, float]:
    """Return the lowest and the highest accepted level of standards (LLOQ, ULOQ); nan without one.

    Parameters
    ----------
    table
        ``table`` of a :class:`~cartrace.immunoassay.standards.Calibration`.
    """
    accepted = table.loc[table["within"].eq(True).fillna(False).astype(bool), "nominal"]
    return (float(accepted.min()), float(accepted.max())) if len(accepted) else (math.nan, math.nan)


def precision_profile(curve: Curve, *, replicates: int = 1) -> pd.DataFrame:
    """Return ``concentration`` and ``cv_percent`` between the lowest and the highest standard of the fit.

    The CV is that of the back-calculated concentration of ``replicates`` wells, from the
    variance model of the curve and the uncertainty of the curve itself (Ekins; see
    O'Connell, Belanger and Haaland 1993).
    """
    x = np.geomspace(curve.lowest, curve.highest, GRID)
    found = inverse_interval(curve, curve.predict(x), replicates=replicates)
    return pd.DataFrame({"concentration": x, "cv_percent": found.cv_percent})


def profile_limits(profile: pd.DataFrame, max_cv_percent: float) -> tuple[float, float]:
    """Return the ends of the stretch around the smallest CV where the CV is allowed; nan without one.

    They are concentrations of the profile, never beyond the standards.
    """
    cv = profile["cv_percent"].to_numpy(np.float64)
    allowed = np.where(np.isnan(cv), np.inf, cv) <= max_cv_percent
    if not allowed.any():
        return math.nan, math.nan
    middle = int(np.nanargmin(cv))
    broken = np.flatnonzero(~allowed)
    first = int(broken[broken < middle].max(initial=-1)) + 1
    last = int(broken[broken > middle].min(initial=len(cv))) - 1
    x = profile["concentration"].to_numpy(np.float64)
    return float(x[first]), float(x[last])


@dataclass(frozen=True, slots=True)
class Detection:
    """A limit of detection, or the reason why there is none."""

    lod: float
    """Concentration; nan where there is none."""
    signal: float
    n: int
    reason: str = ""


def lod(curve: Curve, blanks: npt.ArrayLike, *, sd: float = 3.0) -> Detection:
    """Return the concentration whose signal is the blanks' mean and ``sd`` of their SDs.

    On the side to which the signal goes with the concentration. At least three blanks.
    It speaks of one plate's blanks, not of the limit of detection of a validated assay.
    """
    y = np.asarray(blanks, dtype=float)
    y = y[np.isfinite(y)]
    if len(y) < MIN_BLANKS:
        return Detection(
            math.nan, math.nan, len(y), f"blanks: {len(y)}; {MIN_BLANKS} are needed for their SD"
        )
    spread = float(y.std(ddof=1))
    if spread <= 1e-12 * abs(float(y.mean())):
        return Detection(
            math.nan, float(y.mean()), len(y), "all blanks have the same signal, so they have no SD"
        )
    signal = float(y.mean()) + (sd if curve.rising else -sd) * spread
    found = inverse(curve, signal)
    side = str(found.side[0])
    if side != "inside":
        where = "below" if side == "below_curve" else "above"
        return Detection(
            math.nan, signal, len(y), f"the signal of the limit of detection lies {where} the curve"
        )
    return Detection(float(found.concentration[0]), signal, len(y))
