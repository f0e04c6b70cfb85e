"""Limit of blank, of detection and of quantification of one population in one tube, in events.

What is counted in the controls tells what the tube would hold without such cells. Both are Poisson
counts, so the limits are exact, however few events the controls have (docs/flow_counts.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cartrace.config import FlowLimits
    from cartrace.flow.background import Background

UNLIKELY = 1e-12
"""Background counts less likely than this on either side don't change a limit."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a population in events."""

    lob: float
    """Limit of blank; nan: no control tells the background."""
    decision: int
    """The most events of a population that is not detected: the limit of blank, or all that are fewer than
    ``min_events_lod`` beyond the background where that is more."""
    lod: float
    """True events, beyond the background, with which a tube lies above ``decision`` with the
    probability of the settings."""
    lloq: float
    """True events, beyond the background, whose count is as precise as ``min_events_lloq`` events
    without background; not below the LOD."""


@dataclass(frozen=True, slots=True)
class Detected:
    """What can be said of a population; bounds of the true events beyond the background."""

    detection: str
    """quantified, BLQ or BLD."""
    lower: float
    upper: float


def limit_of_blank(events: int, anchor: int, tube_anchor: int, probability: float) -> int:
    """Return the most events that a tube without such cells holds, with ``probability``.

    The smallest c for which P(C <= c) >= probability, where C is negative binomial: the events of the
    tube before the (events + 1)-th event of the control, when each event is the tube's with
    probability tube_anchor / (anchor + tube_anchor). A blank count above c is then significant in
    the exact conditional test of two Poisson counts (Przyborowski and Wilenski 1940, Biometrika
    31:313), so no true background makes more than 1 - probability of the blanks lie above it.

    Parameters
    ----------
    events, anchor
        Of the controls: events in the gate, and in the anchor (the population in which they were sought).
    tube_anchor
        Events of the anchor in the tube.
    """
    from scipy.stats import nbinom

    if tube_anchor == 0:
        return 0
    found = int(nbinom.ppf(probability, events + 1, anchor / (anchor + tube_anchor)))
    return min(found, tube_anchor)


def limit_of_detection(
    decision: int, events: int, anchor: int, tube_anchor: int, probability: float
) -> float:
    """Return the true events s with which a tube holds more than ``decision`` events, with ``probability``.

    The count of the tube is Poisson(s) plus its background, which is negative binomial as in
    :func:`limit_of_blank`, but with ``events`` instead of ``events + 1``: the exact side for low counts,
    so that a background which was overestimated in the controls is not counted upon.
    """
    from scipy import optimize, special, stats

    miss = 1 - probability
    alone = float(special.gammainccinv(decision + 1, miss))
    if events == 0 or tube_anchor == 0:
        return alone
    blank = (events, anchor / (anchor + tube_anchor))
    k = np.arange(
        int(stats.nbinom.ppf(UNLIKELY, *blank)), min(decision, int(stats.nbinom.isf(UNLIKELY, *blank))) + 1
    )
    weight = stats.nbinom.pmf(k, *blank)

    def missed(s: float) -> float:
        return float(weight @ special.pdtr(decision - k, s)) - miss

    return float(optimize.brentq(missed, 0.0, alone, xtol=1e-9))


def limits_of(background: Background | None, settings: FlowLimits) -> Limits:
    """Return the limits of a population; without a background those of the fewest events alone."""
    probability = settings.blank_probability
    events, anchor, tube_anchor = (0, 0, 0) if background is None else background.counts
    lob = math.nan if background is None else limit_of_blank(events, anchor, tube_anchor, probability)
    expected = 0.0 if background is None else background.expected
    # Rounded: 5 / 100 x 300 is 15, and floating point must not ask for one event more.
    decision = math.ceil(round(expected + settings.min_events_lod, 9)) - 1
    if background is not None:
        decision = max(decision, int(lob))
    lod = limit_of_detection(decision, events, anchor, tube_anchor, probability)
    # (s + expected + variance of expected) / s^2 = 1 / m, the squared CV of m events alone.
    m = settings.min_events_lloq
    noise = 0.0 if background is None else expected * (1 + tube_anchor / anchor)
    lloq = (m + math.sqrt(m * m + 4 * m * noise)) / 2
    return Limits(lob, decision, lod, max(lloq, lod))


def detect(events: int, expected: float, limits: Limits) -> Detected:
    """Say whether a population is quantified, BLQ or BLD.

    Parameters
    ----------
    events
        Events that were counted.
    expected
        Events among them that the background predicts.

    Returns
    -------
    Detected
        BLD: not more events than ``decision``; the truth lies between 0 and the LOD. BLQ: detected, but
        without the background fewer than the LLOQ; between LOD (0 where they are fewer than that) and
        LLOQ. Else quantified.
    """
    if events <= limits.decision:
        return Detected("BLD", 0.0, limits.lod)
    net = events - expected
    if net < limits.lloq:
        return Detected("BLQ", limits.lod if net >= limits.lod else 0.0, limits.lloq)
    return Detected("quantified", net, net)
