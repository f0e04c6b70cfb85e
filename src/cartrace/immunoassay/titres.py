"""End-point titres: the last dilution that is positive, and the interval that it stands for.

A serum that is positive at 1:40 and negative at 1:80 has a titre from 40 up to 80: the interval is
(last positive, first negative], told as ``lower`` and ``upper``. Nothing positive: below the starting
dilution. Everything positive: at least the last dilution.

Wells of one dilution are readings of several readers (or replicates): each gives an end point of
its own. Equal ones are one titre; one step apart, the interval holds both and the value is their
geometric mean; further apart, nobody knows, and the titre is to be read again. A borderline well
(``+/-``) is two readings by itself, one with it and one without.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SAME = 0.01
"""Relative difference of two dilutions that are one."""
Reading = Literal["positive", "negative", "equivocal"]
WORDS: dict[str, Reading] = {
    **dict.fromkeys(("+", "++", "+++", "++++", "(+)", "1+", "2+", "3+", "4+", "pos", "positive"), "positive"),
    **dict.fromkeys(("-", "\u2212", "\u2013", "neg", "negative", "0"), "negative"),
    **dict.fromkeys(("+/-", "-/+", "\u00b1", "?", "borderline", "equivocal"), "equivocal"),
}
"""What a reader writes of a well. ``(+)``, weakly positive, counts as positive."""
ALLOWED = "+, (+), ++, -, +/-, positive, negative, or an end point as 1:40, <1:10, >1:320"
_END_POINT = re.compile(r"(?P<sign><=?|>=?|\u2264|\u2265)?\s*(?:1\s*[:/]\s*)?(?P<number>\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class EndPoint:
    """One dilution series, read once: the titre lies from ``lower`` up to ``upper``."""

    last: float | None
    """Last dilution that is positive; None: none is."""
    lower: float
    upper: float
    """First dilution that is negative; inf: none is."""
    start: float
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Titre:
    """The titre of one sample."""

    value: float
    """End point; nan when it is below the starting dilution, above the last one, or not known."""
    lower: float
    upper: float
    start: float
    """Starting dilution; nan when it is not known."""
    detection: Literal["quantified", "BLQ", "above_uloq"] | None
    """None: no titre."""
    flags: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    """Flags that reject it."""


NONE = Titre(math.nan, math.nan, math.nan, math.nan, None)


def end_point(dilutions: Sequence[float], positive: Sequence[bool]) -> EndPoint:
    """Find the end point of one series, read once.

    Parameters
    ----------
    dilutions : (n,) sequence
        Dilutions of the wells in any order, each once: 40 means 1 in 40.
    positive : (n,) sequence of bool
        Which of them are positive.

    Returns
    -------
    EndPoint
        Where a negative dilution lies below a positive one (a prozone, or a well gone wrong) the
        last positive one counts, ``lower`` is the last before the first negative one, and the flag
        not_monotone is set.

    Raises
    ------
    ValueError
        Without a dilution, or with one that stands twice.

    >>> end_point([10, 20, 40], [True, True, False])
    EndPoint(last=20.0, lower=20.0, upper=40.0, start=10.0, flags=())
    """
    order = sorted(zip(map(float, dilutions), map(bool, positive), strict=True))
    where = [d for d, _ in order]
    if not where or any(b / a - 1 <= SAME for a, b in pairwise(where)):
        raise ValueError("a series needs dilutions that differ")
    last = max((i for i, (_, yes) in enumerate(order) if yes), default=-1)
    first = next((i for i, (_, yes) in enumerate(order) if not yes), len(order))
    upper = where[last + 1] if last + 1 < len(where) else math.inf
    return EndPoint(
        last=where[last] if last >= 0 else None,
        lower=where[min(last, first - 1)] if min(last, first - 1) >= 0 else 0.0,
        upper=upper,
        start=where[0],
        flags=("not_monotone",) if first < last else (),
    )


def end_point_of_text(text: str, start: float, step: float) -> EndPoint | None:
    """Read an end point that was typed in; None where the text is none.

    Parameters
    ----------
    text
        ``1:40``, ``40``, ``<1:10``, ``>= 1:320``.
    start, step
        Of the series, which the text does not tell.

    >>> end_point_of_text("1:40", 10, 2)
    EndPoint(last=40.0, lower=40.0, upper=80.0, start=10.0, flags=())
    """
    match = _END_POINT.fullmatch(text.strip())
    if match is None or not float(match["number"]) > 0:
        return None
    number, sign = float(match["number"]), match["sign"] or ""
    if sign in {"<", "<=", "\u2264"}:
        return EndPoint(None, 0.0, number, number)
    steps = math.log(number / start) / math.log(step)
    off = ("off_series",) if abs(steps - round(steps)) > SAME or steps < -SAME else ()
    upper = math.inf if sign else number * step
    return EndPoint(number, number, upper, float(start), off)


def join_readings(readings: Sequence[EndPoint], step: float) -> Titre:
    """Make one titre of the end points of several readings.

    Parameters
    ----------
    readings
        One or more.
    step
        Dilution step of the series.

    Returns
    -------
    Titre
        ``value`` is the geometric mean of end points one step apart (flag readings_differ). One of
        them below the starting dilution: below the first dilution that all call negative. One of
        them above the last dilution: at least the lower end point. More than one step apart:
        rejected (readings_disagree).
    """
    start = min(r.start for r in readings)
    flags = {flag for r in readings for flag in r.flags}
    level = [math.log(r.start / step if r.last is None else r.last) / math.log(step) for r in readings]
    apart = max(level) - min(level)
    lower, upper = min(r.lower for r in readings), max(r.upper for r in readings)
    if apart > 1 + SAME:
        return Titre(math.nan, lower, upper, start, None, tuple(sorted(flags)), ("readings_disagree",))
    if apart > SAME:
        flags.add("readings_differ")
    ends = [r.last for r in readings if r.last is not None]
    # What was typed in is no series: it has no gap.
    wide = [r for r in readings if r.last is not None and math.isfinite(r.upper)]
    if any(abs(r.upper / (r.last or 1) / step - 1) > SAME for r in wide):
        flags.add("dilution_missing")
    told = tuple(sorted(flags))
    if len(ends) < len(readings):
        return Titre(math.nan, 0.0, upper, start, "BLQ", told)
    if math.isinf(upper):
        return Titre(math.nan, lower, upper, start, "above_uloq", told)
    value = ends[0] if min(ends) == max(ends) else math.exp(sum(map(math.log, ends)) / len(ends))
    return Titre(value, lower, upper, start, "quantified", told)


def reading_of(word: str, signal: float, cutoff: float | None) -> Reading | None:
    """Say what one well reads, by its word or by its signal; None where neither tells.

    >>> reading_of("+/-", math.nan, None), reading_of("", 0.4, 0.4), reading_of("1:40", math.nan, None)
    ('equivocal', 'positive', None)
    """
    kind = WORDS.get("".join(word.split()).casefold())
    if kind is None and not math.isnan(signal) and cutoff is not None:
        # Signals are rounded as files print them; the cut-off itself is positive.
        return "positive" if signal >= cutoff else "negative"
    return kind


def titre_of(
    dilution: Floats,
    signal: Floats,
    words: Sequence[str],
    *,
    start: float,
    step: float,
    cutoff: float | None,
) -> Titre:
    """Read the titre of one sample off its wells.

    Parameters
    ----------
    dilution, signal : (n,) array
        Of each well in the order of the file; nan where not known.
    words : (n,) sequence of str
        What a reader wrote of the well, or an end point (``1:40``); empty where nothing.
    start, step
        Planned starting dilution and step.
    cutoff
        Signal from which a well is positive; None where readers say it.

    Returns
    -------
    Titre
        Faults: reading_missing (a well without word or signal), reading_unknown (a word that
        means nothing), dilution_unknown, below_start (a typed end point below ``start``). Flags:
        series_uneven (not every dilution was read equally often), equivocal, start_unexpected
        (the series does not begin at ``start``).
    """
    faults: set[str] = set()
    wells: list[tuple[float, str]] = []
    readings: list[EndPoint] = []
    for d, s, word in zip(dilution, signal, words, strict=True):
        text = "".join(word.split()).casefold()
        typed = None if not text or text in WORDS else end_point_of_text(text, start, step)
        if typed is not None:
            readings.append(typed)
            continue
        kind = reading_of(word, s, cutoff)
        if kind is None:
            faults.add("reading_unknown" if text else "reading_missing")
        elif not d > 0:
            faults.add("dilution_unknown")
        else:
            wells.append((float(d), kind))
    if wells and readings:
        faults.add("reading_unknown")
    if faults or not (wells or readings):
        return replace(NONE, faults=tuple(sorted(faults)) or ("reading_missing",))
    series, uneven = _by_reader(wells)
    flags = {"series_uneven"} if uneven else set()
    for one in series:
        readings += [
            end_point([d for d, _ in one], [kind in yes for _, kind in one])
            for yes in ({"positive"}, {"positive", "equivocal"})
        ]
    if any(kind == "equivocal" for _, kind in wells):
        flags.add("equivocal")
    made = join_readings(readings, step)
    if abs(made.start / start - 1) > SAME:
        flags.add("start_unexpected")
    if any("off_series" in r.flags and r.last is not None and r.last < r.start for r in readings):
        # As in a laboratory's table: a titre below its starting dilution is no result.
        return replace(NONE, start=made.start, flags=made.flags, faults=("below_start",))
    return replace(made, flags=tuple(sorted({*made.flags, *flags})))


def _by_reader(wells: Iterable[tuple[float, str]]) -> tuple[list[list[tuple[float, str]]], bool]:
    """Deal the wells out: the first well of each dilution is of the first reader, and so on.

    Where a dilution has fewer wells than the others, its last one counts for the readers that are
    left; the second value says so.
    """
    kinds: dict[float, list[str]] = {}
    for d, kind in wells:
        kinds.setdefault(next((k for k in kinds if abs(d / k - 1) <= SAME), d), []).append(kind)
    most = max(map(len, kinds.values()), default=0)
    series = [[(d, found[min(n, len(found) - 1)]) for d, found in kinds.items()] for n in range(most)]
    return series, any(len(found) < most for found in kinds.values())
