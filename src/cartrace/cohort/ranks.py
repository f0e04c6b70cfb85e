"""Rank tests over values of which some are known only as intervals.

Every value is an interval: its ends are equal where it is known, and infinite where
a side is open. The order of two values is certain when one interval ends at or
before the beginning of the other; otherwise they tie. The score of a value,

    number certainly below it - number certainly above it,

is Mantel's (1967, Biometrics 23:65), of which Gehan's (1965, Biometrika 52:203) is
the right-censored case. Where every value is known it is 2 rank - n - 1 with midranks for
ties, so that the tests are Spearman's, Mann and Whitney's, and Kruskal and
Wallis's own, and nothing is made up where it is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_BATCH = 10_000
"""Rearrangements held in memory at once."""
_SEED = 20230116
"""Random rearrangements are the same in every run, so that a p value is too."""


class TiedError(ValueError):
    """No order can be told: every value ties with every other."""


@dataclass(frozen=True, slots=True)
class RankTest:
    """Outcome of one rank test.

    ``statistic`` is rho for ``spearman``; U of the first group, the number of pairs
    in which it lies above the second (a tie counts half), for ``mann_whitney``; H,
    corrected for ties, for ``kruskal_wallis``. ``p`` is two-sided. The 95 % limits
    are those of rho, not a number otherwise.
    """

    method: str
    statistic: float
    p: float
    p_method: str
    lower: float = math.nan
    upper: float = math.nan


@dataclass(frozen=True, slots=True)
class Permutations:
    """How p values are found.

    Up to ``up_to`` subjects from ``number`` random rearrangements, or from all of
    them where there are no more; above, from the limit distribution.
    """

    up_to: int = 50
    number: int = 9999


def mantel_scores(lower: ArrayLike, upper: ArrayLike) -> Floats:
    """Return the scores of n values, shape (n,); their sum is 0.

    Parameters
    ----------
    lower, upper
        Ends of the intervals, shape (n,).

    Raises
    ------
    ValueError
        For ends that are no intervals.
    """
    low, high = np.asarray(lower, dtype=float), np.asarray(upper, dtype=float)
    if low.ndim != 1 or low.shape != high.shape:
        raise ValueError("lower and upper must be one-dimensional and of one length")
    if not (low <= high).all():
        raise ValueError("upper must not be below lower, and neither may be empty")
    known = low == high
    # Two intervals that meet share a visit or a titre step: they lie on its two sides.
    # Two known values that are equal tie.
    below = high[:, None] <= low[None, :]
    below &= ~((high[:, None] == low[None, :]) & known[:, None] & known[None, :])
    return (below.sum(axis=0) - below.sum(axis=1)).astype(np.float64)


def spearman(x: Floats, y: Floats, rules: Permutations, *, limits: bool = True) -> RankTest:
    """Correlate two sets of scores; with ranks of known values, Spearman's rho.

    Parameters
    ----------
    x, y
        Scores of :func:`mantel_scores` of the same n >= 4 subjects, shape (n,).
    rules
        How the p value is found.
    limits
        Whether to give the 95 % limits of rho: Fisher's z with the standard error
        ``sqrt((1 + rho^2 / 2) / (n - 3))`` (Bonett and Wright 2000, Psychometrika
        65:23). They hold for known values; none are given at rho = 1 or -1.

    Raises
    ------
    TiedError
        When all scores of one variable are 0.
    """
    if not x.any() or not y.any():
        raise TiedError
    n = len(x)
    scale = math.sqrt(float(x @ x) * float(y @ y))
    # Scores are whole numbers, so a perfect correlation is exactly 1.
    rho = float(x @ y) / scale
    rho = math.copysign(1.0, rho) if math.isclose(abs(rho), 1.0, rel_tol=1e-12) else rho
    lower = upper = math.nan
    if limits and abs(rho) < 1:
        half = 1.959963984540054 * math.sqrt((1 + rho**2 / 2) / (n - 3))
        lower, upper = math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half)
    if n <= rules.up_to:
        p, how = _permute(
            lambda moved, axis=-1: np.abs((moved * y).sum(axis=axis)),
            (x,),
            "pairings",
            math.factorial(n),
            rules,
        )
    else:
        from scipy.stats import t

        how = "asymptotic"
        p = 0.0 if abs(rho) == 1 else 2 * float(t.sf(abs(rho) * math.sqrt((n - 2) / (1 - rho**2)), n - 2))
    return RankTest("spearman", rho, p, how, lower, upper)


def compare_groups(groups: Sequence[Floats], rules: Permutations) -> RankTest:
    """Compare the scores of two groups (Mann and Whitney) or more (Kruskal and Wallis).

    Parameters
    ----------
    groups
        Scores of :func:`mantel_scores`, taken over all groups together; one array
        of two or more for each group.
    rules
        How the p value is found.

    Raises
    ------
    ValueError
        For fewer than two groups, or a group of fewer than two.
    TiedError
        When all scores are 0.
    """
    if len(groups) < 2 or min(map(len, groups)) < 2:
        raise ValueError("a rank test needs two groups of two at least")
    pooled = np.concatenate(groups)
    if not pooled.any():
        raise TiedError
    n, sizes = len(pooled), [len(group) for group in groups]
    # Sum of squares between groups over its mean under chance; scores have mean 0.
    between = sum(float(group.sum()) ** 2 / len(group) for group in groups)
    h = (n - 1) * between / float(pooled @ pooled)
    if n <= rules.up_to:
        arrangements = math.factorial(n) // math.prod(math.factorial(size) for size in sizes)
        p, how = _permute(
            lambda *moved, axis=-1: sum(
                m.sum(axis=axis) ** 2 / size for m, size in zip(moved, sizes, strict=True)
            ),
            tuple(groups),
            "independent",
            arrangements,
            rules,
        )
    else:
        from scipy.stats import chi2

        p, how = float(chi2.sf(h, len(groups) - 1)), "asymptotic"
    if len(groups) == 2:
        # Within a group the scores cancel: the sum counts the pairs across the groups.
        return RankTest("mann_whitney", (sizes[0] * sizes[1] + float(groups[0].sum())) / 2, p, how)
    return RankTest("kruskal_wallis", h, p, how)


def _permute(
    statistic: Callable[..., Any], data: tuple[Floats, ...], kind: Any, arrangements: int, rules: Permutations
) -> tuple[float, str]:
    # scipy.stats takes a second to import: only cohort jobs pay it.
    from scipy.stats import permutation_test

    found = permutation_test(
        data,
        statistic,
        permutation_type=kind,
        vectorized=True,
        n_resamples=rules.number,
        batch=_BATCH,
        alternative="greater",
        rng=np.random.default_rng(_SEED),
    )
    return float(found.pvalue), "exact" if arrangements <= rules.number else "permutation"
