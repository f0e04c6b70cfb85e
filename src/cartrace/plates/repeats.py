"""What the laboratory has to measure again: words that all plates share."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remedy:
    """What a broken rule asks for. ``alone``: a flag is enough, the result need not be rejected."""

    why: str
    action: str
    alone: bool = False


def dilution_for(amount: float, limit: float) -> int:
    """Return the further dilution (1 in so many) that brings ``amount`` below half of ``limit``.

    Of 5, 10, 20, 50, 100, ... ; 5 where either number is not known.

    >>> dilution_for(3e6, 1e6), dilution_for(3e7, 1e6), dilution_for(float("nan"), 1e6)
    (10, 100, 5)
    """
    if not (math.isfinite(amount) and math.isfinite(limit) and limit > 0):
        return 5
    needed = 2 * amount / limit
    step = 5
    while step < needed:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return step
