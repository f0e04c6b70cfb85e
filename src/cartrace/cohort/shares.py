"""Shares of subjects with exact limits, and the reasons of those that have no answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
_NUMBER = re.compile(r"(?<![A-Za-z0-9_])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)


def share(answers: NDArray[np.float64]) -> dict[str, object]:
    """Return the share of 1 among answers of 0 and 1, with its exact 95 % limits.

    Clopper and Pearson 1934, through quantiles of the beta distribution.

    Raises
    ------
    ValueError
        When an answer is neither 0 nor 1.
    """
    if not np.isin(answers, (0.0, 1.0)).all():
        raise ValueError("a yes-or-no metric must be 0 or 1")
    # scipy.stats takes a second to import: only cohort jobs pay it.
    from scipy.stats import beta

    n, yes = len(answers), int(answers.sum())
    return {
        "mean": yes / n,
        "share_lower": beta.ppf(0.025, yes, n - yes + 1) if yes else 0.0,
        "share_upper": beta.ppf(0.975, yes + 1, n - yes) if yes < n else 1.0,
    }


def count_reasons(reasons: Iterable[str]) -> str | None:
    """Count the reasons, most frequent first; None when there are none.

    The part after a semicolon is detail. Reasons that differ in numbers alone are
    counted together, and the numbers shown as an ellipsis.
    """
    texts = [text.split(";", 1)[0].strip() or "no reason given" for text in reasons]
    kinds: dict[str, list[str]] = {}
    for text in texts:
        kinds.setdefault(_NUMBER.sub("…", text), []).append(text)
    counted = [(len(same), same[0] if len(set(same)) == 1 else kind) for kind, same in kinds.items()]
    return "; ".join(f"{text} ({n})" for n, text in sorted(counted, key=lambda c: (-c[0], c[1]))) or None
