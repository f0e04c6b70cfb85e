"""Clones of the infusion product in later samples: how many, and which share of the cells is theirs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.flow.counts import share_interval
from cartrace.repertoire.tables import CLONE_PERSISTENCE
from cartrace.repertoire.vocabulary import BLOOD
from cartrace.tables import rows

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from cartrace.config import Landmark
    from cartrace.repertoire.samples import Sample
    from cartrace.repertoire.settings import Tracking
    from cartrace.repertoire.tracking import Counts, Pool

_POPULATIONS = ("t_cells", "car_t_cells")
_SMOOTHED = 12
"""Cells of a clone above which the depth of a product shows all that matters of it."""


def persistence(
    subject: str,
    counts: Counts,
    samples: Sequence[Sample],
    landmarks: Sequence[Landmark],
    settings: Tracking,
) -> pd.DataFrame:
    """Return CLONE_PERSISTENCE: each product beside each sample after its infusion, in one population.

    Parameters
    ----------
    samples
        Samples in time.
    landmarks
        ``kinetics.persistence.landmarks``.
    """
    records = []
    for population in _POPULATIONS:
        pools = counts.get(population, {})
        for product in (s for s in samples if s.is_product and s.sample_id in pools):
            later = [s for s in samples if s.sample_id in pools and s.is_after(product)]
            made = {s.sample_id: _row(pools[product.sample_id], pools[s.sample_id], settings) for s in later}
            marks = _landmarks(later, {i for i, r in made.items() if not r["reason"]}, product, landmarks)
            records += [
                {
                    "subject_id": subject,
                    "population": population,
                    "product_sample": product.sample_id,
                    **s.columns(),
                    "landmark": marks.get(s.sample_id),
                    **made[s.sample_id],
                }
                for s in later
            ]
    return rows(records, CLONE_PERSISTENCE)


def expected_if_unchanged(product: ArrayLike, depth: int) -> float:
    """Return how many of the clones that a product showed ``depth`` cells would show, had each kept its share.

    Of all clones, seen or not, those seen in both draws are expected:
    sum (1 - (1 - p)^N) (1 - (1 - p)^depth) over shares p that nobody knows. To put cells / N in their place
    would be wrong by far where most clones were seen once, since most of what is drawn then is new. Instead, as
    for the number of unseen species (Good and Toulmin 1956, Biometrika 43:45), a clone of k cells adds, with
    t = depth / N,

        1 - (1 - t)^k + (-t)^k P(binomial(12, 1/2) >= k)

    whose sum has the right mean. The last factor (Efron and Thisted 1976, Biometrika 63:435) takes the noise
    out of the terms of large clones.

    Parameters
    ----------
    product
        Shape (clones,): cells of each clone in the product, N in all.
    depth
        Cells of the later sample.

    Returns
    -------
    float
        nan when the later sample is the deeper one and the product shows small clones: what more cells than its
        own would show can't be told from it.
    """
    from scipy.special import bdtrc

    cells = np.asarray(product, dtype=np.float64)
    t = depth / cells.sum()
    if t > 1:
        if (cells <= _SMOOTHED).any():
            return math.nan
        return float(-np.expm1(depth * np.log1p(-np.minimum(cells / cells.sum(), 1 - 1e-16))).sum())
    small = np.minimum(cells, _SMOOTHED + 1)
    damped = (-t) ** small * bdtrc(small - 1, _SMOOTHED, 0.5)
    terms = 1 - (1 - t) ** cells + damped
    return float(min(terms.sum(), len(cells)))


def _row(product: Pool, sample: Pool, settings: Tracking) -> dict[str, Any]:
    least, total = settings.min_sample_cells, sample.total
    seen = sample.clones[sample.clones.index.isin(product.clones.index)]
    cells = int(seen.sum())
    in_product, in_sample = product.too_few(least), sample.too_few(least)
    reason = f"product: {in_product}" if in_product else in_sample
    row: dict[str, Any] = {
        "product_clones": len(product.clones),
        "found": len(seen),
        "expected_if_unchanged": expected_if_unchanged(product.clones, total) if product.total else None,
        "cells": cells,
        "total": total,
        "reason": reason or None,
    }
    if not reason:
        low, high = share_interval(cells, total, settings.confidence)
        row |= {"percent": 100 * cells / total, "lower": 100 * float(low), "upper": 100 * float(high)}
    return row


def _landmarks(
    later: Sequence[Sample], told: set[str], product: Sample, landmarks: Sequence[Landmark]
) -> Mapping[str, str]:
    """Return sample_id -> landmarks that it answers for, joined by ';'.

    The sample of blood that lies nearest to the day, of two the earlier one, as in cartrace.kinetics.persistence;
    one without a share only where the window has no other.
    """
    blood = [s for s in later if s.matrix in BLOOD and s.infusion == product.infusion]
    answers: dict[str, list[str]] = {}
    for mark in landmarks:
        inside = [s for s in blood if abs(s.day - mark.day) <= mark.window]
        for candidates in ([s for s in inside if s.sample_id in told], inside):
            if candidates:
                nearest = min(candidates, key=lambda s: (abs(s.day - mark.day), s.order))
                answers.setdefault(nearest.sample_id, []).append(mark.name)
                break
    return {sample: ";".join(names) for sample, names in answers.items()}
