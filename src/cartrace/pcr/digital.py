"""Digital PCR arithmetic: from positive partitions to copies, with intervals.

Molecules fall into the partitions at random, so a partition is empty with
probability exp(-lambda), where lambda is the mean number of copies in one
(Poisson). All counts below are of accepted partitions. Sources: dMIQE 2020
(Clin Chem 66:1012) and Bio-Rad's Droplet Digital PCR Applications Guide,
bulletin 6407.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

Array = NDArray[np.float64]
Method = Literal["exact", "normal"]

FEW = 100
"""Fewer positive partitions than this, and Bio-Rad's software leaves the normal interval (bulletin 6407, appendix B)."""


class Estimate(NamedTuple):
    """A quantity with its limits, in one unit; arrays of one shape. nan stands for what can't be told."""

    value: Array
    lower: Array
    upper: Array

    def times(self, factor: ArrayLike) -> Estimate:
        """Return the estimate in another unit: value and limits times ``factor``."""
        return Estimate(*(np.asarray(part * np.asarray(factor, dtype=float)) for part in self))


def copies_per_partition(positives: ArrayLike, partitions: ArrayLike) -> Array:
    """Return lambda = -ln(1 - positives / partitions).

    Parameters
    ----------
    positives, partitions
        Counts, of any shapes that go together; nan where they are not known.

    Returns
    -------
    ndarray
        Copies in one partition; nan where no partition was counted, and where
        all are positive, since then only a lower limit is known.

    Raises
    ------
    ValueError
        For negative counts, or more positives than partitions.
    """
    k, n = _counts(positives, partitions)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(k < n, -np.log1p(-k / n), np.nan)


def concentration(positives: ArrayLike, partitions: ArrayLike, volume_nl: ArrayLike) -> Array:
    """Return copies per uL of reaction: lambda / partition volume (nL) x 1000."""
    return np.asarray(copies_per_partition(positives, partitions) / np.asarray(volume_nl, dtype=float) * 1000)


def copies_per_reaction(copies_per_ul: ArrayLike, reaction_ul: ArrayLike) -> Array:
    """Return copies in a whole reaction, also in the part of it that never became a partition."""
    return np.asarray(np.asarray(copies_per_ul, dtype=float) * np.asarray(reaction_ul, dtype=float))


def standard_error(positives: ArrayLike, partitions: ArrayLike) -> Array:
    """Return the standard error of lambda: sqrt(q / ((1 - q) n)), q the positive share (delta method)."""
    k, n = _counts(positives, partitions)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(k < n, np.sqrt(k / (n - k) / n), np.nan)


def counting_cv_percent(lambda_: ArrayLike, partitions: ArrayLike) -> Array:
    """Return the CV (%) of lambda that counting alone explains: 100 sqrt((e^lambda - 1) / n) / lambda."""
    mean, n = np.broadcast_arrays(np.asarray(lambda_, dtype=float), np.asarray(partitions, dtype=float))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((mean > 0) & (n > 0), 100 * np.sqrt(np.expm1(mean) / n) / mean, np.nan)


def poisson_interval(
    positives: ArrayLike,
    partitions: ArrayLike,
    method: Method = "exact",
    confidence: float = 0.95,
) -> tuple[Array, Array]:
    """Return the limits of lambda.

    Parameters
    ----------
    positives, partitions
        Counts, of any shapes that go together.
    method
        ``exact``: Clopper and Pearson's limits of the positive share, transformed.
        ``normal``: as Bio-Rad's software prints them. The share +- z sqrt(q (1 - q) / n),
        transformed, with z rounded to two decimals (1.96). With fewer than 100
        positives the highest-density interval of a Poisson count; with fewer than
        100 negatives exact, since nobody has seen what the software does there.
    confidence
        Level.

    Returns
    -------
    lower, upper : ndarray
        With no positives the lower limit is 0 and the upper one-sided
        (-ln(1 - confidence) / n, or 3 copies among all partitions at 95 %), as is usual
        for a blank; just above 3 copies the limits then cover 93 %. With all positive
        the lower limit is one-sided and the upper nan: there is none.
    """
    k, n = _counts(positives, partitions)
    low, high = share_limits(k, n, method, confidence)
    with np.errstate(divide="ignore"):
        return -np.log1p(-low), np.where(high < 1, -np.log1p(-high), np.nan)


def share_limits(
    positives: ArrayLike, partitions: ArrayLike, method: Method = "exact", confidence: float = 0.95
) -> tuple[Array, Array]:
    """Return the limits of the share of positive partitions; see :func:`poisson_interval`."""
    if method not in {"exact", "normal"}:
        raise ValueError(f"unknown method '{method}': exact or normal")
    k, n = _counts(positives, partitions)
    known = n > 0
    edge = (k == 0) | (k == n)
    tail = np.where(edge, 1 - confidence, (1 - confidence) / 2)
    # The parameters of a beta distribution are above 0; the edges are set below.
    low = stats.beta.ppf(tail, np.maximum(k, 0.5), n - k + 1)
    high = stats.beta.isf(tail, k + 1, np.maximum(n - k, 0.5))
    low, high = np.where(k == 0, 0.0, low), np.where(k == n, 1.0, high)
    if method == "normal":
        z = round(float(stats.norm.isf((1 - confidence) / 2)), 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = k / n
            half = z * np.sqrt(share * (1 - share) / n)
        many = (k >= FEW) & (n - k >= FEW)
        low, high = np.where(many, share - half, low), np.where(many, share + half, high)
        few = (k < FEW) & (n - k >= FEW)
        for count in np.unique(k[few]):
            here = few & (k == count)
            a, b = _densest_counts(float(count), confidence)
            wells = np.maximum(n, FEW)
            low, high = np.where(here, a / wells, low), np.where(here, np.minimum(b / wells, 1.0), high)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


@cache
def _densest_counts(count: float, confidence: float) -> tuple[float, float]:
    """Return the highest-density interval of a Poisson mean after ``count`` events, under a flat prior."""
    if count == 0:
        return 0.0, float(-np.log1p(-confidence))
    posterior = stats.gamma(count + 1)

    def density_gap(below: float) -> float:
        a, b = posterior.ppf(below), posterior.ppf(below + confidence)
        return float(count * np.log(a / b) - (a - b))

    below = optimize.brentq(density_gap, 1e-300, (1 - confidence) * (1 - 1e-12), xtol=1e-15)
    return float(posterior.ppf(below)), float(posterior.ppf(below + confidence))


@dataclass(frozen=True, slots=True)
class Pooled:
    """Wells of one sample taken together, as if they were one big well."""

    positives: int
    partitions: int
    volume_nl: float
    """Mean volume of the partitions."""
    copies_per_ul: Estimate
    """Copies per uL of reaction; 0-d arrays."""


def pool(
    positives: ArrayLike,
    partitions: ArrayLike,
    volume_nl: ArrayLike,
    *,
    method: Method = "exact",
    confidence: float = 0.95,
) -> Pooled:
    """Pool wells by their partitions.

    With one volume this is -ln(1 - sum of positives / sum of partitions) / volume.
    With several, the concentration c is that at which the expected share of
    positives, sum n_i (1 - exp(-c v_i)) / sum n_i, is the observed one; the limits
    are those at which it is the limits of the share. They are slightly wide then,
    since a sum of unequal binomials varies less than a binomial (Hoeffding 1956).

    Parameters
    ----------
    positives, partitions
        Counts of each well (1-d).
    volume_nl
        Partition volume of each well, or one for all.
    method, confidence
        As in :func:`poisson_interval`.

    Raises
    ------
    ValueError
        For impossible counts, or volumes that are not above 0.
    """
    k, n = (a.ravel() for a in _counts(positives, partitions))
    v = np.broadcast_to(np.asarray(volume_nl, dtype=float), k.shape)
    if np.isnan(k).any() or np.isnan(n).any() or not (v > 0).all():
        raise ValueError("pooling needs the counts and a volume above 0 of each well")
    total_k, total_n = k.sum(), n.sum()
    if total_n == 0:
        unknown = np.array(np.nan)
        return Pooled(0, 0, float(v.mean()) if v.size else np.nan, Estimate(unknown, unknown, unknown))
    low, high = share_limits(total_k, total_n, method, confidence)
    shares = np.array([total_k / total_n, float(low), float(high)])
    value, lower, upper = _concentration_of_share(shares, n, v)
    return Pooled(
        int(total_k),
        int(total_n),
        float((n * v).sum() / total_n),
        Estimate(np.array(value), np.array(lower), np.array(upper)),
    )


def _concentration_of_share(shares: Array, partitions: Array, volume_nl: Array) -> Array:
    """Solve sum n_i exp(-c v_i) = sum n_i (1 - share) for c, in copies/uL; nan where the share is 1."""
    volume_ul = volume_nl / 1000
    weight = partitions / partitions.sum()
    with np.errstate(divide="ignore"):
        wanted = np.where(shares < 1, -np.log1p(-shares), np.nan)
    # The log of the empty share falls convexly in c, and the largest volume gives too small
    # a c, so that Newton's steps come from the left and never pass the root.
    c = wanted / volume_ul.max()
    for _ in range(50):
        empty = np.exp(-np.multiply.outer(c, volume_ul)) * weight
        total = empty.sum(axis=-1)
        step = (np.log(total) + wanted) * total / (empty * volume_ul).sum(axis=-1)
        c += step
        if not (np.abs(step) > 1e-14 * np.abs(c)).any():
            break
    return np.where(wanted == 0, 0.0, c)


@dataclass(frozen=True, slots=True)
class Spread:
    """How far the wells of one sample lie apart, in copies/uL of reaction."""

    n_wells: int
    mean: float
    sd: float
    """Standard deviation between the wells (n - 1); nan for one well."""
    cv_percent: float
    counting_cv_percent: float
    """CV that counting alone explains, at the pooled concentration."""
    chi2: float
    """Pearson's statistic of one concentration in all wells."""
    p_value: float
    """Chance of so large a statistic where counting is all there is (chi-square, n - 1
    degrees of freedom; rough below about five positives a well)."""

    @property
    def excess_cv_percent(self) -> float:
        """CV beyond what counting explains: sqrt(max(0, cv^2 - counting cv^2))."""
        return beyond_counting(self.cv_percent, self.counting_cv_percent)


def beyond_counting(spread: float, counting: float) -> float:
    """Return the spread (an SD or a CV) that is left: sqrt(max(0, spread^2 - counting^2)); nan stays nan."""
    return float(np.sqrt(np.maximum(spread**2 - counting**2, 0.0)))


def between_wells(positives: ArrayLike, partitions: ArrayLike, volume_nl: ArrayLike) -> Spread:
    """Compare the wells of one sample with each other and with what counting explains.

    Parameters
    ----------
    positives, partitions
        Counts of each well (1-d); wells without partitions do not count.
    volume_nl
        Partition volume of each well, or one for all.

    Returns
    -------
    Spread
        nan where fewer than two wells have a concentration, and nothing to
        compare (p_value 1) where no well has a positive.
    """
    k, n = (a.ravel() for a in _counts(positives, partitions))
    v = np.broadcast_to(np.asarray(volume_nl, dtype=float), k.shape)
    k, n, v = k[n > 0], n[n > 0], v[n > 0]
    wells = concentration(k, n, v)
    if not wells.size or np.isnan(wells).any():
        return Spread(len(wells), np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)
    mean = float(wells.mean())
    if len(wells) < 2:
        return Spread(1, mean, np.nan, np.nan, np.nan, np.nan, np.nan)
    sd = float(wells.std(ddof=1))
    common = float(pool(k, n, v).copies_per_ul.value)
    if common == 0:
        return Spread(len(wells), 0.0, 0.0, np.nan, np.nan, 0.0, 1.0)
    expected = common * v / 1000
    counting = float(np.sqrt(np.mean(counting_cv_percent(expected, n) ** 2)))
    share = -np.expm1(-expected)
    chi2 = float(((k - n * share) ** 2 / (n * share * (1 - share))).sum())
    p_value = float(stats.chi2.sf(chi2, len(wells) - 1))
    return Spread(len(wells), mean, sd, 100 * sd / mean, counting, chi2, p_value)


def ratio_interval(target: Estimate, reference: Estimate) -> Estimate:
    """Return target / reference with its limits.

    The distances to the limits are added in quadrature on the log scale (MOVER:
    Zou and Donner 2008, Stat Med 27:1693), so exact limits stay skewed. Target and
    reference are taken as independent. Copies that lie on one stretch of DNA fall
    into the same partitions; this linkage is not modelled. It makes the limits too
    wide, never too narrow.

    Parameters
    ----------
    target, reference
        In the same unit: of the same wells, so that the volume cancels.

    Returns
    -------
    Estimate
        Where the target is 0: 0, with the upper limit of the target over the lower
        one of the reference. nan where the reference is 0 or not known.
    """
    t, tl, tu, r, rl, ru = (np.asarray(a, dtype=float) for a in (*target, *reference))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(r > 0, t / r, np.nan)
        down = np.hypot(np.log(t / tl), np.log(ru / r))
        up = np.hypot(np.log(tu / t), np.log(r / rl))
        lower = np.where(t > 0, ratio * np.exp(-down), 0.0 * ratio)
        upper = np.where(t > 0, ratio * np.exp(up), np.where(rl > 0, tu / rl, np.nan))
        # A saturated target still has a lower limit.
        lower = np.where(np.isnan(t) & (r > 0), tl / ru, lower)
    return Estimate(ratio, lower, np.where(r > 0, upper, np.nan))


def subtract_blank(sample: Estimate, blank: Estimate) -> Estimate:
    """Take the mean of the blanks off a sample; never below 0.

    The distances to the limits are added in quadrature (MOVER, as in
    :func:`ratio_interval`): a blank that is badly known widens the result.

    Parameters
    ----------
    sample, blank
        In the same unit: copies per partition, or per uL of reaction.
    """
    s, sl, su, b, bl, bu = (np.asarray(a, dtype=float) for a in (*sample, *blank))
    difference = s - b
    lower = difference - np.hypot(s - sl, bu - b)
    upper = difference + np.hypot(su - s, b - bl)
    return Estimate(*(np.maximum(part, 0.0) for part in (difference, lower, upper)))


def critical_positives(
    blank_positives: ArrayLike,
    blank_partitions: ArrayLike,
    partitions: ArrayLike,
    probability: float = 0.95,
) -> Array:
    """Return the positives that a blank with ``partitions`` partitions keeps to with ``probability``.

    A sample is detected above it. The false positives of the blanks are taken as one
    common share of their partitions, so that a fuller well is allowed more of them.

    Parameters
    ----------
    blank_positives, blank_partitions
        Counts of the blanks (1-d), pooled.
    partitions
        Accepted partitions of the samples.

    Returns
    -------
    ndarray
        Whole numbers; nan where the blanks have no partitions.
    """
    k, n = _counts(blank_positives, blank_partitions)
    wells = np.asarray(partitions, dtype=float)
    if n.sum() == 0:
        return np.full_like(wells, np.nan)
    return np.asarray(stats.binom.ppf(probability, wells, k.sum() / n.sum()), dtype=float)


def _counts(positives: ArrayLike, partitions: ArrayLike) -> tuple[Array, Array]:
    k, n = np.broadcast_arrays(np.asarray(positives, dtype=float), np.asarray(partitions, dtype=float))
    if (k < 0).any() or (n < 0).any() or (k > n).any():
        raise ValueError("counts need 0 <= positives <= partitions")
    return k, n
