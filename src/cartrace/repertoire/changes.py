"""Clones that expanded or contracted between two samples: exact tests, thousands at a time."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cartrace.repertoire.tables import CLONE_CHANGES
from cartrace.tables import concat, conform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from cartrace.repertoire.samples import Sample
    from cartrace.repertoire.settings import Tracking
    from cartrace.repertoire.tracking import Counts

Floats = NDArray[np.float64]
_SAME = 1 + 1e-7
"""Two probabilities are taken for equal up to this factor, as R's fisher.test does: they come from logarithms."""
_STEPS = 100


def fisher(before: ArrayLike, after: ArrayLike, total_before: int, total_after: int) -> tuple[Floats, Floats]:
    """Compare the share of each clone in two samples by Fisher's exact test.

    Given the cells of a clone in both samples together, those in the first follow a hypergeometric
    distribution, had its share not changed. p is the sum of all outcomes that are no more probable than the
    one seen (two-sided, Fisher 1935; as scipy and R). Clones with the same sum share one distribution, and the
    sums of all clones are no more than the cells: the work is linear in cells.

    Parameters
    ----------
    before, after
        Shape (n,): cells of each clone in the earlier and in the later sample.
    total_before, total_after
        Cells with a clone in each.

    Returns
    -------
    p, odds_ratio
        Shape (n,). The odds ratio is the conditional maximum-likelihood estimate, later over earlier; nan
        where it is 0 or endless, that is where no other outcome lies on one side.

    Raises
    ------
    ValueError
        For counts that are negative or above the totals.
    """
    a, b = np.asarray(before, dtype=np.int64), np.asarray(after, dtype=np.int64)
    if (a < 0).any() or (b < 0).any() or (a > total_before).any() or (b > total_after).any():
        raise ValueError("cells of a clone lie between 0 and the total")
    p, ratio = np.empty(a.shape), np.full(a.shape, np.nan)
    if not a.size:
        return p, ratio
    together, group = np.unique(a + b, return_inverse=True)
    order = np.argsort(group, kind="stable")
    for both, rows in zip(together, np.split(order, np.bincount(group).cumsum()[:-1]), strict=True):
        seen, which = np.unique(b[rows], return_inverse=True)
        outcomes, log_p = _outcomes(int(both), total_before, total_after)
        at = seen - outcomes[0]
        p[rows] = _two_sided(log_p, at)[which]
        ratio[rows] = _odds_ratios(outcomes, log_p, at)[which]
    return p, ratio


def _outcomes(both: int, total_before: int, total_after: int) -> tuple[NDArray[np.int64], Floats]:
    """Return the possible cells in the later sample and the logarithm of their probabilities."""
    from scipy.special import gammaln

    x = np.arange(max(0, both - total_before), min(both, total_after) + 1)

    def log_choose(n: int, k: NDArray[np.int64]) -> Floats:
        return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))

    log_p = log_choose(total_after, x) + log_choose(total_before, both - x)
    # The sum of all is 1: this drops the error of gammaln of the totals, which is the same in all.
    log_p -= log_p.max()
    return x, log_p - np.log(np.exp(log_p).sum())


def _two_sided(log_p: Floats, at: NDArray[np.int64]) -> Floats:
    ascending = np.sort(log_p)
    sums = np.concatenate([[0.0], np.cumsum(np.exp(ascending))])
    up_to = np.searchsorted(ascending, log_p[at] + np.log(_SAME), side="right")
    return np.asarray(np.minimum(sums[up_to], 1.0))


def _odds_ratios(outcomes: NDArray[np.int64], log_p: Floats, at: NDArray[np.int64]) -> Floats:
    """Find the odds ratio under which the mean of Fisher's noncentral distribution is what was seen.

    The mean grows with the log odds, so Newton's steps are kept between the bounds found so far.
    """
    ratios = np.full(at.shape, np.nan)
    inner = np.flatnonzero((at > 0) & (at < len(outcomes) - 1))
    for i in inner:
        x = outcomes - outcomes[at[i]]
        low, high, theta = -50.0, 50.0, 0.0
        for _ in range(_STEPS):
            weights = log_p + theta * x
            weights = np.exp(weights - weights.max())
            weights /= weights.sum()
            mean = float(weights @ x)
            low, high = (theta, high) if mean < 0 else (low, theta)
            step = mean / max(float(weights @ (x * x)) - mean * mean, 1e-300)
            new = theta - step
            new = new if low < new < high else (low + high) / 2
            done = abs(new - theta) < 1e-10
            theta = new
            if done:
                break
        ratios[i] = np.exp(theta)
    return ratios


def pairs_of(
    samples: Sequence[Sample], seen: Sequence[str], population: str
) -> Iterator[tuple[Sample, Sample]]:
    """Yield the pairs of samples that are compared: product and each later one, and neighbours in time.

    Neighbours are of one compartment: samples of a day and of the next day that has any. Products are of
    interest to T cells only.

    Parameters
    ----------
    seen
        sample_id of the samples that have cells of the population.
    """
    there = [s for s in samples if s.sample_id in set(seen)]
    if population != "b_cells":
        for product in there:
            if product.is_product:
                yield from ((product, s) for s in there if s.is_after(product))
    for matrix in sorted({s.matrix for s in there if not s.is_product}):
        of_matrix = [s for s in there if s.matrix == matrix]
        days = sorted({s.study_day for s in of_matrix})
        for day, following in pairwise(days):
            for first in (s for s in of_matrix if s.study_day == day):
                yield from ((first, s) for s in of_matrix if s.study_day == following)


def changes(subject: str, counts: Counts, samples: Sequence[Sample], settings: Tracking) -> pd.DataFrame:
    """Return CLONE_CHANGES: every clone of ``settings.min_cells`` cells in both samples of a pair.

    That sum is what the test conditions on, so choosing by it leaves p as it is (independent filtering:
    Bourgon 2010, PNAS 107:9546) and costs less in the adjustment.
    """
    frames = []
    for population, pools in counts.items():
        seen = [sample for sample, pool in pools.items() if pool.total]
        for first, second in pairs_of(samples, seen, population):
            frames.append(
                compare(pools[first.sample_id].clones, pools[second.sample_id].clones, settings).assign(
                    subject_id=subject,
                    population=population,
                    from_sample=first.sample_id,
                    to_sample=second.sample_id,
                )
            )
    return concat((conform(f, CLONE_CHANGES) for f in frames), CLONE_CHANGES)


def compare(before: pd.Series, after: pd.Series, settings: Tracking) -> pd.DataFrame:
    """Test the clones of two samples.

    Parameters
    ----------
    before, after
        Clone -> cells.

    Returns
    -------
    frame
        The columns of CLONE_CHANGES from ``clonotype`` on, without the samples.
    """
    import pandas as pd
    from scipy.stats import false_discovery_control

    both = pd.DataFrame({"from_cells": before, "to_cells": after}).fillna(0).astype("int64").sort_index()
    from_total, to_total = (int(n) for n in both.sum())
    both = both[both.sum(axis=1) >= settings.min_cells]
    p, ratio = fisher(both["from_cells"], both["to_cells"], from_total, to_total)
    q = false_discovery_control(p) if len(p) else p
    # Products, not shares: equal shares stay equal.
    direction = np.sign(both["to_cells"] * from_total - both["from_cells"] * to_total)
    change = np.where(q > settings.fdr, "unchanged", np.where(direction > 0, "expanded", "contracted"))
    return pd.DataFrame(
        {
            "clonotype": both.index,
            "from_cells": both["from_cells"].to_numpy(),
            "from_total": from_total,
            "to_cells": both["to_cells"].to_numpy(),
            "to_total": to_total,
            "odds_ratio": ratio,
            "p": p,
            "q": q,
            "change": change,
        }
    )
