"""How much of a cell's UMIs is ambient: RNA of burst cells that floats in every droplet.

Genes that only one lineage expresses (haemoglobin, immunoglobulin, genes of monocytes, of platelets) are
found at a low level in all other cells; that level, over their share in empty droplets, is the ambient share.

The idea is that of SoupX (Young and Behjati 2020); the cells that express a set are told from the others by a
mixture, so that no clusters are needed. Without empty droplets nothing is estimated: taking the cells together
for the soup gave 0.01 to 33 % for different sets of genes in the same libraries of CARPALL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXCLUSIVE: dict[str, tuple[str, ...]] = {
    "haemoglobin": ("HBB", "HBA1", "HBA2"),
    "immunoglobulin": ("IGKC", "IGLC2", "IGLC3", "IGHA1", "IGHA2", "IGHG1", "IGHG2", "IGHG3", "IGHG4"),
    "monocytes": ("LYZ", "S100A8", "S100A9", "S100A12", "FCN1", "VCAN"),
    "platelets": ("PPBP", "PF4"),
    "b_cells": ("MS4A1", "CD79A", "CD19"),
}
"""Genes that one lineage expresses and the others do not: markers of Young and Behjati 2020 (haemoglobin,
immunoglobulin) and of the lineages in Qin 2024, the others [recalled]. None of T cells: most libraries here are
T cells, and NK cells and progenitors have a little of CD3."""
ROUNDS = 60
MOST_SHARE = 0.6
"""Above it the "background" of a set is expression: nearly all cells have the genes."""
LEAST_BACKGROUND = 0.02
"""Least share of the cells that must not express a set for it to tell."""
LEAST_EXPECTED = 20.0
"""Fewest UMIs of a set in cells that do not express it, were all their UMIs ambient; fewer tell nothing."""


@dataclass(frozen=True, slots=True)
class AmbientShare:
    """Estimated ambient share of a cell's UMIs.

    Attributes
    ----------
    value, lower, upper
        0 to 1; None when no set of genes tells.
    sets
        Set of genes -> its own estimate.
    reason
        Why there is no value; empty otherwise.
    """

    value: float | None
    lower: float | None
    upper: float | None
    sets: dict[str, float]
    reason: str = ""


def ambient_share(
    counts: Mapping[str, NDArray[np.int64]],
    umis: NDArray[np.int64],
    soup: Mapping[str, float],
    *,
    least_cells: int,
    level: float,
) -> AmbientShare:
    """Estimate the ambient share of the cells of one library.

    Every set gives an estimate with a standard error. Some sets are expressed a little where they should not
    be, so the sets disagree more than counting explains: they are joined with a variance between sets
    (DerSimonian and Laird 1986).

    Parameters
    ----------
    counts
        Set of genes -> its UMIs in every cell, (cells,) each.
    umis
        UMIs of every cell, (cells,).
    soup
        Set of genes -> its share of the UMIs in empty droplets, 0 to 1.
    least_cells
        Cells that must not express a set for it to tell.
    level
        Level of the interval.
    """
    used = umis > 0
    each = {
        name: _of_set(own[used], umis[used], soup.get(name, 0.0), least_cells) for name, own in counts.items()
    }
    found = {name: one for name, one in each.items() if one is not None}
    if not found:
        reason = "no set of genes that only some cells express is frequent enough in the empty droplets"
        return AmbientShare(None, None, None, {}, reason)
    from scipy import special

    values, errors = np.array(list(found.values())).T
    weights = errors**-2
    mean = float(weights @ values / weights.sum())
    excess = float(weights @ (values - mean) ** 2) - (len(values) - 1)
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    between = max(0.0, excess / scale) if len(values) > 1 else 0.0
    joint = 1.0 / (errors**2 + between)
    value = float(joint @ values / joint.sum())
    reach = float(special.ndtri((1 + level) / 2)) * float(joint.sum()) ** -0.5
    return AmbientShare(
        value, max(0.0, value - reach), min(1.0, value + reach), {k: v[0] for k, v in found.items()}
    )


def _of_set(
    counts: NDArray[np.int64], umis: NDArray[np.int64], share: float, least_cells: int
) -> tuple[float, float] | None:
    """Estimate from one set: value and standard error; None when it can't tell."""
    if not 0 < share < 1:
        return None
    background = _background(counts, umis)
    cells, expected, seen = (
        float(background.sum()),
        share * float(background @ umis),
        float(background @ counts),
    )
    # Cells of one lineage alone have no background in their own genes.
    if cells < max(least_cells, LEAST_BACKGROUND * len(counts)) or expected < LEAST_EXPECTED:
        return None
    if seen > MOST_SHARE * expected:
        return None
    # UMIs of one set come together in a cell: the spread between cells widens the error.
    dispersion = _dispersion(counts, umis, background, seen)
    # One UMI more, so that none at all has an error too.
    return seen / expected, float(np.sqrt(dispersion * (seen + 1)) / expected)


def _dispersion(
    counts: NDArray[np.int64], umis: NDArray[np.int64], weight: NDArray[np.float64], seen: float
) -> float:
    """Return variance over mean of the counts of a set between cells that do not express it, 1 or more."""
    mean = umis * max(seen, 0.5) / float(weight @ umis)
    chi = float(weight @ ((counts - mean) ** 2 / np.maximum(mean, 1e-9)))
    return max(1.0, chi / max(float(weight.sum()) - 1, 1.0))


def _background(counts: NDArray[np.int64], umis: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the probability that a cell does not express a set, (cells,).

    A mixture by expectation and maximisation: background is Poisson with a rate in proportion to the UMIs,
    expression is geometric (a wide distribution) with another.
    """
    from scipy.special import gammaln

    rate = counts / umis
    low, high = float(np.quantile(rate, 0.25)), float(np.quantile(rate, 0.99))
    low = max(low, 0.5 * float(rate.mean()) if low == 0 else low, 1e-7)
    high = max(high, 10 * low)
    mixing, factorial = 0.7, gammaln(counts + 1.0)
    weight = np.ones(len(counts))
    for _ in range(ROUNDS):
        poisson = counts * np.log(low * umis) - low * umis - factorial
        mean = high * umis
        geometric = counts * np.log(mean / (1 + mean)) - np.log1p(mean)
        odds = np.log(mixing) - np.log1p(-mixing) + poisson - geometric
        weight = 1.0 / (1.0 + np.exp(np.clip(-odds, -500, 500)))
        mixing = float(np.clip(weight.mean(), 1e-4, 1 - 1e-4))
        low = max(float(weight @ counts) / max(float(weight @ umis), 1.0), 1e-9)
        # Expression is never less than 5 times the background: else both parts split one.
        high = max(float((1 - weight) @ counts) / max(float((1 - weight) @ umis), 1.0), 5 * low)
    return weight


def set_columns(
    symbols: NDArray[np.str_], sets: Mapping[str, Sequence[str]] = EXCLUSIVE
) -> dict[str, NDArray[np.bool_]]:
    """Return which features belong to each set of genes that the matrix names, (features,) each."""
    found = {name: np.isin(symbols, list(genes)) for name, genes in sets.items()}
    return {name: mask for name, mask in found.items() if mask.any()}
