"""High-dose hook: so much analyte that the signal falls again.

One signal then belongs to two concentrations, and the curve gives the lower one. A single
well cannot show it; a second dilution can.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from cartrace.immunoassay.calibration import Array, Curve, inverse, inverse_interval

MIN_CHANGE = 0.2
"""Rise of the signal below which it may be pipetting, as a fraction. House value."""
MIN_GROWTH = 0.5
"""Growth of the result beyond dilution^this is taken for the start of a hook. House value: at a
twofold dilution a factor 1.41, which an interfering matrix seldom exceeds."""
UPPER = 0.5
"""Part of the way to the signal of the highest standard from which a result that grows may be a hook; below it
is the matrix or the background. House value."""
NEAR_TOP = 0.9
"""Part of the way from A to D beyond which one dilution alone can't exclude a hook. House value."""
CONFIDENCE = 0.99
"""One-sided; of each comparison of two dilutions. House value."""

REASONS = ("rises", "grows", "near_top")


@dataclass(frozen=True, slots=True)
class Hook:
    """Why a well may be past the hook."""

    well: int
    """Position of the well in the arrays that were given."""
    kind: str
    """rises: a further dilution has a higher signal; grows: its result is far higher;
    near_top: no further dilution, so that the hook can't be excluded."""
    reason: str


def find_hooks(
    curve: Curve,
    sample: Sequence[str],
    dilution: npt.ArrayLike,
    signal: npt.ArrayLike,
    usable: npt.ArrayLike | None = None,
) -> list[Hook]:
    """Return the wells that may lie past the hook, in the order of the wells.

    For each two neighbouring dilutions of a sample (mean of the usable wells):

    - *rises*: the more diluted one has the signal of a higher concentration, by more than
      20 % and more than the scatter of the wells explains, and beyond the lowest standard;
    - *grows*: both lie on the curve, the less diluted one in its upper half, and the result
      of the more diluted one is higher by more than the square root of the dilution step,
      and more than the uncertainty of both explains. The start of a hook looks like this;
      an interfering matrix may too.

    The less diluted one and all that are diluted still less are then suspect. *near_top*:
    the signal of a sample's highest dilution lies beyond 90 % of the way from the signal at
    concentration 0 to that at infinity, so that no dilution tells the two arms apart. This
    last one is no evidence of a hook. A line has no top.

    Parameters
    ----------
    sample
        Name of the sample, one entry a well.
    usable
        Wells that count: enough beads, not excluded.
    """
    d, y = np.asarray(dilution, dtype=float), np.asarray(signal, dtype=float)
    mask = np.isfinite(d) & np.isfinite(y)
    if usable is not None:
        mask &= np.asarray(usable, dtype=bool)
    names = np.asarray(sample, dtype=object)
    found: list[Hook] = []
    for name in dict.fromkeys(n for n, ok in zip(names, mask, strict=True) if ok):
        wells = np.flatnonzero(mask & (names == name))
        steps = np.unique(d[wells])
        groups = [wells[d[wells] == step] for step in steps]
        means = np.array([y[g].mean() for g in groups])
        counts = np.array([float(len(g)) for g in groups])
        suspect: dict[int, tuple[str, str]] = {}
        for i in range(len(steps) - 1):
            told = _compare(curve, steps[i : i + 2], means[i : i + 2], counts[i : i + 2])
            if told is not None:
                suspect.update(dict.fromkeys(range(i + 1), told))
        last = len(steps) - 1
        if _near_top(curve, float(means[last])):
            suspect.setdefault(
                last,
                (
                    "near_top",
                    f"near the top of the curve at its highest dilution, 1 in {steps[last]:g}: dilute further",
                ),
            )
        found += [Hook(int(w), *suspect[i]) for i in suspect for w in groups[i]]
    return sorted(found, key=lambda h: h.well)


def _compare(curve: Curve, steps: Array, means: Array, wells: Array) -> tuple[str, str] | None:
    """Say what is wrong between one dilution and the next, or None."""
    t = float(stdtrit(curve.df, CONFIDENCE)) if curve.df > 0 else 0.0
    up = 1.0 if curve.rising else -1.0
    noise = math.sqrt(float(np.nansum(curve.variance(means) / wells)))
    change = up * float(means[1] - means[0])
    zero, lowest, highest = curve.predict(
        [0.0 if curve.model != "linear" else curve.lowest, curve.lowest, curve.highest]
    )
    seen = up * (float(means[1]) - lowest) > 0
    if seen and change > max(MIN_CHANGE * abs(float(means[0])), t * noise):
        return "rises", f"the signal at 1 in {steps[1]:g} is that of more analyte than at 1 in {steps[0]:g}"
    x = inverse(curve, means).concentration
    upper = (float(means[0]) - zero) / (highest - zero) >= UPPER
    if not (upper and np.isfinite(x).all() and (x > 0).all()):
        return None
    growth = math.log(float(x[1] * steps[1] / (x[0] * steps[0])))
    log_sd = inverse_interval(curve, means, replicates=wells).log_sd
    doubt = t * math.sqrt(float(np.sum(log_sd**2))) if np.isfinite(log_sd).all() else 0.0
    if growth > max(MIN_GROWTH * math.log(float(steps[1] / steps[0])), doubt):
        return (
            "grows",
            f"the result at 1 in {steps[1]:g} is {math.exp(growth):.3g} times that at 1 in {steps[0]:g}",
        )
    return None


def _near_top(curve: Curve, signal: float) -> bool:
    if curve.model == "linear":
        return False
    a, d = curve.parameters[0], curve.parameters[3]
    return (signal - a) / (d - a) > NEAR_TOP
