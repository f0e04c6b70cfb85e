"""Exact intervals of counted events: a share, a count, a ratio of two counts.

Vectorised over arrays of any shapes that go together. Nothing (nan) is said of a share of no events,
nor of a ratio to none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]


def share_interval(events: ArrayLike, of: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Return the limits of the share of ``events`` among ``of`` events (0 to 1).

    Clopper and Pearson 1934 (Biometrika 26:404): each limit leaves half of 1 - confidence outside,
    also where no event or every event is one.

    Raises
    ------
    ValueError
        For counts that are negative, or more events than there are.
    """
    k, n = np.broadcast_arrays(np.asarray(events, dtype=np.float64), np.asarray(of, dtype=np.float64))
    if (k < 0).any() or (k > n).any():
        raise ValueError("a share needs 0 <= events <= of")
    tail = _tail(confidence)
    # The parameters of a beta distribution are above 0; the edges are set beside.
    low = np.where(k == 0, 0.0, special.betaincinv(np.maximum(k, 1), n - k + 1, tail))
    high = np.where(k == n, 1.0, special.betaincinv(k + 1, np.maximum(n - k, 1), 1 - tail))
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def poisson_interval(events: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Return the limits of the expected number of events where ``events`` were counted.

    Garwood 1936 (Biometrika 28:437).

    Raises
    ------
    ValueError
        For a negative count.
    """
    k = np.asarray(events, dtype=np.float64)
    if (k < 0).any():
        raise ValueError("a count is not negative")
    tail = _tail(confidence)
    low = np.where(k == 0, 0.0, special.gammaincinv(np.maximum(k, 1), tail))
    return low, np.asarray(special.gammainccinv(k + 1, tail))


def ratio_interval(events: ArrayLike, per: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Return the limits of the ratio of two expected counts, where ``events`` and ``per`` were counted.

    Given their sum, the first of two Poisson counts is binomial with the share r / (1 + r), so the
    limits of that share are those of the ratio r (Przyborowski and Wilenski 1940, Biometrika 31:313).

    Raises
    ------
    ValueError
        For a negative count.
    """
    a, b = np.broadcast_arrays(np.asarray(events, dtype=np.float64), np.asarray(per, dtype=np.float64))
    if (a < 0).any() or (b < 0).any():
        raise ValueError("a count is not negative")
    low, high = share_interval(a, a + b, confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(b > 0, low / (1 - low), np.nan), np.where(b > 0, high / (1 - high), np.nan)


def _tail(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError("a confidence lies between 0 and 1")
    return (1 - confidence) / 2
