"""Whether the concentrations of the instrument's software already hold the dilution of the sample.

Programs differ (docs/luminex_formats.md), and a file seldom says it. The signals of the standards do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.immunoassay.calibration import levels_of
from cartrace.plates.acceptance import Finding
from cartrace.plates.plate import well_list

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MIN_DILUTION = 1.5
"""Dilution below which both readings are too near to tell. House value."""
MIN_LEVELS = 3
AWAY = 0.3
"""Distance from 0 and 1 of the part of the dilution (on the logarithm) that is still taken for them. House
value: lines between standards threefold apart are off by 10 to 20 %, which is 0.26 at a twofold dilution."""


def dilution_held(
    nominal: Floats, standard: Floats, dilution: Floats, signal: Floats, concentration: Floats
) -> bool | None:
    """Say whether concentrations hold the dilution of their wells.

    Each is compared with the concentration that lines between the standards' mean signals
    give (against the logarithm of the concentration). That of the well gives log(ratio) /
    log(dilution) near 0, that of the undiluted sample near 1; the median of the wells counts.

    Parameters
    ----------
    nominal, standard : (n,) arrays
        Concentration and signal of the standards.
    dilution, signal, concentration : (m,) arrays
        Of the samples' wells; the concentration is the software's.

    Returns
    -------
    bool or None
        None where nobody can tell: fewer than three levels of standards, no well with a dilution
        between them, or neither fits.
    """
    known = np.isfinite(standard) & (nominal > 0)
    levels, index = levels_of(nominal[known])
    if len(levels) < MIN_LEVELS:
        return None
    means = np.bincount(index, weights=standard[known]) / np.bincount(index)
    sign = 1.0 if means[-1] > means[0] else -1.0
    means, first = np.unique(np.maximum.accumulate(sign * means), return_index=True)
    with np.errstate(invalid="ignore"):
        told = (concentration > 0) & (dilution >= MIN_DILUTION)
        told &= (sign * signal > means[0]) & (sign * signal < means[-1])
    if not told.any():
        return None
    own = np.interp(sign * signal[told], means, np.log(levels[first]))
    share = float(np.median((np.log(concentration[told]) - own) / np.log(dilution[told])))
    if abs(share) <= AWAY:
        return False
    return True if abs(share - 1) <= AWAY else None


def check_dilution(wells: pd.DataFrame, target: str, *, holds: bool) -> list[Finding]:
    """Compare the software's concentrations with what the assay file says of them.

    Parameters
    ----------
    wells
        Of one target whose model is ``vendor``, with ``usable`` and ``corrected``.
    holds
        ``calibration.holds_dilution`` of the assay file.

    Returns
    -------
    list of Finding
        A failing one where the standards say otherwise: results would be wrong by the dilution.
    """
    mine = wells[wells["usable"]]
    standards = mine[mine["task"].eq("standard")]
    samples = mine[mine["task"].eq("unknown") & mine["dilution"].ge(MIN_DILUTION)]
    samples = samples[samples["vendor_concentration"].notna()]
    if samples.empty:
        return []
    held = dilution_held(
        *(standards[c].to_numpy(np.float64) for c in ("nominal", "corrected")),
        *(samples[c].to_numpy(np.float64) for c in ("dilution", "corrected", "vendor_concentration")),
    )
    if held == holds:
        return []
    listed = f"{target}, {well_list(samples['well'])}"
    about: dict[str, Any] = {
        "target": target,
        "wells": tuple(int(i) for i in samples.index),
        "limit": f"holds_dilution: {str(holds).lower()}",
        "limit_source": f"assay file, targets.{target}.calibration.holds_dilution",
    }
    if held is None:
        message = (
            "the signals of the standards do not tell whether the software's concentrations hold the dilution"
        )
        return [Finding("dilution_not_checked", "warn", f"{listed}: {message}", **about)]
    message = "are those of the undiluted sample" if held else "are those in the well"
    return [
        Finding(
            "vendor_dilution",
            "fail",
            f"{listed}: the software's concentrations {message}, which is not what the assay file says",
            marks=("target",),
            suggestion=f"calibration: {{holds_dilution: {str(held).lower()}}}",
            **about,
        )
    ]
