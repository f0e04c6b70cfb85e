"""Shares of cells and cells/uL, with exact intervals and limits of detection and quantification.

A share is k of n cells that were drawn from a specimen. None of n cells is no proof that there are none:
the share is then below the largest one under which n cells would hold none with the probability
1 - confidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cartrace.flow.counts import ratio_interval, share_interval

if TYPE_CHECKING:
    from cartrace.cells.settings import Composition


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share (0 to 1) or a concentration, with its limits."""

    value: float
    """nan: below detection, so that no number is said."""
    lower: float
    upper: float
    """Exact limits; below detection from 0 to ``lod`` or what a model gives."""
    lod: float
    lloq: float
    detection: str
    """quantified, BLQ or BLD."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Bounds as measurements give them: of a quantified value the value itself."""
        if self.detection == "quantified":
            return self.value, self.value
        if self.detection == "BLD":
            return 0.0, self.upper
        if math.isnan(self.value):
            return self.lower, self.upper
        return (self.lod if self.value >= self.lod else 0.0), max(self.lloq, self.upper)

    def scaled(self, factor: float) -> Estimate:
        """Return it in a unit ``1 / factor`` as large."""
        return Estimate(
            self.value * factor,
            self.lower * factor,
            self.upper * factor,
            self.lod * factor,
            self.lloq * factor,
            self.detection,
        )


def counted_share(k: int, n: int, settings: Composition, confidence: float) -> Estimate:
    """Return the share k / n.

    The interval is Clopper and Pearson's. The LOD is the share with which a library of n cells holds at
    least ``min_cells_lod`` of them with the probability ``confidence`` (exact binomial, one-sided); the
    LLOQ is ``min_cells_lloq`` / n, not below the LOD and not above 1.

    Raises
    ------
    ValueError
        For n = 0: nothing can be said.
    """
    from scipy import special

    if n == 0:
        raise ValueError("a share of no cells")
    allowed = settings.min_cells_lod - 1
    lod = 1.0 if allowed >= n else float(special.betaincinv(allowed + 1, n - allowed, confidence))
    lloq = min(max(settings.min_cells_lloq / n, lod), 1.0)
    low, high = (float(x) for x in share_interval(k, n, confidence))
    if k < settings.min_cells_lod:
        return Estimate(math.nan, 0.0, lod, lod, lloq, "BLD")
    return Estimate(k / n, low, high, lod, lloq, _detection(k, settings))


def per_ul(
    k: int, n: int, *, inside: bool, cells_per_ul: float, settings: Composition, confidence: float
) -> Estimate:
    """Return cells/uL of k cells, where n cells stand for the ``cells_per_ul`` of a blood count.

    Parameters
    ----------
    inside
        Whether the k cells are some of the n; else k / n is a ratio of two counts. The blood count has no
        error here, as in flow.
    """
    share = counted_share(min(k, n), n, settings, confidence)
    if not inside:
        low, high = (float(x) for x in ratio_interval(k, n, confidence))
        if k >= settings.min_cells_lod:
            share = replace(share, value=k / n, lower=low, upper=high, detection=_detection(k, settings))
        else:
            share = replace(share, upper=max(high, share.lod))
    return share.scaled(cells_per_ul)


def _detection(k: int, settings: Composition) -> str:
    return "quantified" if k >= max(settings.min_cells_lloq, settings.min_cells_lod) else "BLQ"


def product(first: Estimate, second: Estimate) -> Estimate:
    """Return the product of two independent estimates, as T cells/uL times their CAR+ share.

    Limits by recovered variances on the log scale (MOVER: Zou and Donner 2008, Stat Med 27:1693)
    [recalled]; where one has no value the product of the upper limits. It is detected where both are and
    quantified where both are; the LOD and LLOQ are those of the one in the value of the other.
    """
    order = ("BLD", "BLQ", "quantified")
    detection = min(first.detection, second.detection, key=order.index)
    a, b = (x.value if x.value > 0 else x.upper for x in (first, second))
    lod = max(first.lod * b, second.lod * a)
    lloq = max(first.lloq * b, second.lloq * a)
    if detection == "BLD" or not (first.value > 0 and second.value > 0):
        return Estimate(math.nan, 0.0, first.upper * second.upper, lod, lloq, detection)
    value = first.value * second.value
    up = math.hypot(*(math.log(x.upper / x.value) for x in (first, second)))
    lower = 0.0
    if first.lower > 0 and second.lower > 0:
        down = math.hypot(*(math.log(x.value / x.lower) for x in (first, second)))
        lower = value * math.exp(-down)
    return Estimate(value, lower, value * math.exp(up), lod, lloq, detection)


def pooled(estimates: Sequence[Estimate], weights: Sequence[float]) -> Estimate:
    """Return the mean of one share over libraries of one sample, weighted by their cells.

    Limits by recovered variances (MOVER: Zou and Donner 2008, Stat Med 27:1693) [recalled]. What is below
    a limit counts with the middle of its bounds where another library is quantified; where none is, the
    pool is what the best of them is.
    """
    if len(estimates) == 1:
        return estimates[0]
    total = sum(weights)
    shares = [w / total for w in weights]
    order = ("BLD", "BLQ", "quantified")
    detection = max((e.detection for e in estimates), key=order.index)
    lod = math.hypot(*(s * e.lod for s, e in zip(shares, estimates, strict=True)))
    lloq = math.hypot(*(s * e.lloq for s, e in zip(shares, estimates, strict=True)))
    # nan: below a limit.
    values = [e.value if e.value == e.value else (e.lower + e.upper) / 2 for e in estimates]
    value = sum(s * v for s, v in zip(shares, values, strict=True))
    down = math.hypot(*(s * (v - e.lower) for s, v, e in zip(shares, values, estimates, strict=True)))
    up = math.hypot(*(s * (e.upper - v) for s, v, e in zip(shares, values, estimates, strict=True)))
    lower, upper = max(value - down, 0.0), min(value + up, 1.0)
    if detection == "BLD":
        return Estimate(math.nan, 0.0, upper, lod, lloq, detection)
    return Estimate(value, lower, upper, lod, lloq, detection)


def apart(first: tuple[int, int], second: tuple[int, int], odds: float, confidence: float) -> bool:
    """Say whether two shares (k, n) contradict each other: exact intervals apart, and an odds ratio above ``odds``.

    Half a cell is added to each side of the odds, so that none of n has some (Haldane and Anscombe).
    """
    limits = [tuple(float(x) for x in share_interval(k, n, confidence)) for k, n in (first, second)]
    if limits[0][1] >= limits[1][0] and limits[1][1] >= limits[0][0]:
        return False
    ratio = math.prod(((k + 0.5) / (n - k + 0.5)) ** sign for (k, n), sign in ((first, 1), (second, -1)))
    return max(ratio, 1 / ratio) >= odds
