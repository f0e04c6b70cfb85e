"""Acquisition quality: flow rate and signals over time, events at the margin.

After PeacoQC (Emmaneel 2022, Cytometry A 101:325) in what it looks at: bins of equally many
events, robust medians, margins first. A bin counts as unstable only when its change is both
beyond chance and large enough to matter (settings ``flow.quality``), so that a steady tube
loses nothing however many bins it has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cartrace.flow.fcs import linearised
from cartrace.problems import plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cartrace.config import FlowQuality
    from cartrace.flow.fcs import Channel, FcsData, Floats

BINS_AT_ONCE = 100
LARGE = 1e300
"""Stands for infinity, which can't be subtracted."""
MAD_TO_SD = 1.4826
"""Median absolute deviation -> standard deviation of a normal distribution, as R's mad() and PeacoQC."""
PILE = 0.01
"""Share of events at the lowest scatter value that makes it a margin (a debris tail is thinner), or at the top
of a fluorescence channel that is told. House value."""
COFACTORS_TO_TOP = 1000.0
"""Signals are compared on asinh(x / cofactor): linear around zero, where noise is additive, and
logarithmic above, where it is relative. The top of the scale / 1000 (262 of 262,144) lies between
the two on digital cytometers; the usual advice is 150 there, and the same share elsewhere."""
TICKS_OF_A_BIN = 5
"""Fewest ticks of the clock in the median bin; with fewer the rate is mostly rounding."""


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What one acquisition was like, and which events count."""

    unstable: NDArray[np.bool_]
    """(n_events,) in a stretch whose rate or signal is off."""
    margin: NDArray[np.bool_]
    """(n_events,) off scale in a scatter channel (at its top, or piled at its lowest value), or without a number."""
    bins: pd.DataFrame
    """Columns of flow.tables.ACQUISITION without tube."""
    duration_s: float | None
    kept_time_share: float
    """Share of the acquisition outside unstable bins: of its time; of its events without a clock."""
    remarks: tuple[str, ...] = ()
    """Why there is no flow rate, and fluorescence with many events at its top, for qc."""


@dataclass(frozen=True, slots=True)
class _Bins:
    """What is kept of each bin; signals are (n_bins, n_channels), linear."""

    edges: NDArray[np.int64]
    """(n_bins + 1,) first event of each bin, and the number of events."""
    quartiles: NDArray[np.float64]
    """(3, n_bins, n_channels)."""
    interval: NDArray[np.float64]
    """(2, n_bins, n_channels): where the median lies, at signal_mads standard errors."""
    clock: NDArray[np.float64] | None
    """(n_bins + 1,) first moment of each bin, and the last one of all; None: no time channel."""
    tick: float
    """Smallest step of the clock, 0 when it stands still."""
    at_top: NDArray[np.int64]
    """(n_channels,) events at the top of each channel."""


def assess_acquisition(data: FcsData, channels: Sequence[int], settings: FlowQuality) -> Acquisition:
    """Look at rate and signals of ``channels`` (those that are gated) over time.

    Events are read in chunks; what stays in memory is two flags for each event.
    """
    signals = [c for c in dict.fromkeys(channels) if data.channels[c].kind not in {"time", "other"}]
    bins, margin = _scan(data, signals, settings)
    size = np.diff(bins.edges)
    trouble = _clock_trouble(bins)
    rate = None if trouble else size / _durations(bins)

    moved = _moved_signals(bins, [data.channels[c] for c in signals], settings)
    slow = np.zeros(len(size), dtype=bool) if rate is None else _off_rate(rate, settings)
    names = [plain(data.channels[c].name) for c in signals]
    reasons = [
        "; ".join(["rate"] * int(off) + [n for n, m in zip(names, row, strict=True) if m])
        for off, row in zip(slow, moved, strict=True)
    ]
    kept = np.array([not r for r in reasons], dtype=bool)

    seconds = rate is not None and data.timestep is not None
    if bins.clock is not None and not trouble and not seconds:
        trouble = "the file does not say how long a tick of its clock is ($TIMESTEP): rates have no unit"
    begin = bins.clock - bins.clock[0] if seconds and bins.clock is not None else bins.edges.astype(float)
    span = size if rate is None else _durations(bins)
    table = pd.DataFrame(
        {
            "bin": np.arange(1, len(size) + 1),
            "start_s": begin[:-1],
            "end_s": begin[1:],
            "events": size,
            "rate": rate if seconds else np.full(len(size), np.nan),
            "kept": kept,
            "reason": pd.Series([r or None for r in reasons], dtype=object),
        }
    )
    return Acquisition(
        unstable=np.repeat(~kept, size),
        margin=margin,
        bins=table,
        duration_s=float(begin[-1]) if seconds else None,
        kept_time_share=float(span[kept].sum() / span.sum()) if len(size) else 1.0,
        remarks=(*([trouble] if trouble else []), *_bright(bins, [data.channels[c] for c in signals])),
    )


def _scan(data: FcsData, signals: Sequence[int], settings: FlowQuality) -> tuple[_Bins, NDArray[np.bool_]]:
    """Read the events once: what each bin is like, and which events are at the margin."""
    n_bins = max(data.n_events // settings.events_per_bin, min(data.n_events, 1))
    edges = np.arange(n_bins + 1, dtype=np.int64) * settings.events_per_bin
    # The last bin takes the rest, so that none is short.
    edges[-1] = data.n_events
    columns = [*signals, *([] if data.time is None else [data.time])]
    of = [data.channels[c] for c in signals]
    tops = np.array([_top(c) for c in of])

    quartiles = np.empty((3, n_bins, len(signals)))
    interval = np.empty((2, n_bins, len(signals)))
    clock = np.empty(n_bins + 1)
    tick = np.inf
    margin = np.zeros(data.n_events, dtype=bool)
    lowest = np.full(len(signals), np.inf)
    piled = np.zeros(len(signals), dtype=np.int64)
    at_top = np.zeros(len(signals), dtype=np.int64)
    for first in range(0, n_bins, BINS_AT_ONCE):
        last = min(first + BINS_AT_ONCE, n_bins)
        start, stop = edges[first], edges[last]
        events = data.read(columns, int(start), int(stop))
        values = events[:, : len(signals)]
        for place, channel in enumerate(of):
            above = values[:, place] >= tops[place]
            at_top[place] += int(above.sum())
            if _is_scatter(channel):
                margin[start:stop] |= above
        margin[start:stop] |= ~np.isfinite(values).all(axis=1)
        if not np.abs(values).max(initial=0.0) < LARGE:
            values = np.clip(np.nan_to_num(values, nan=0.0), -LARGE, LARGE)
        low = values.min(axis=0)
        at_low = (values == low).sum(axis=0)
        piled = np.where(low < lowest, at_low, np.where(low == lowest, piled + at_low, piled))
        lowest = np.minimum(low, lowest)
        for k in range(first, last):
            ordered = np.sort(values[edges[k] - start : edges[k + 1] - start], axis=0)
            n = len(ordered)
            # Ranks of the interval of a median: n/2 -+ z sqrt(n)/2, whatever the distribution is.
            reach = settings.signal_mads * np.sqrt(n) / 2
            quartiles[:, k] = ordered[[n // 4, n // 2, 3 * n // 4]]
            interval[:, k] = ordered[[max(0, int(n / 2 - reach)), min(n - 1, int(n / 2 + reach))]]
        if data.time is not None:
            moments = np.clip(events[:, -1], -LARGE, LARGE)
            clock[first:last] = np.minimum.reduceat(moments, edges[first:last] - start)
            clock[-1] = moments[edges[last - 1] - start :].max()
            steps = np.diff(np.unique(moments))
            tick = min(tick, steps.min()) if len(steps) else tick
    for place, channel in enumerate(of):
        if _is_scatter(channel) and piled[place] > max(PILE * data.n_events, 1):
            _mark_lowest(data, channel.index, lowest[place], margin)
    ticking = float(tick) if np.isfinite(tick) else 0.0
    return _Bins(edges, quartiles, interval, None if data.time is None else clock, ticking, at_top), margin


def _top(channel: Channel) -> float:
    """Lowest linear value that is off scale: the raw value $PnR - 1, as flowCore and PeacoQC have it."""
    if channel.range < 2:
        # A scale of 0 or 1 says nothing of where the detector ends.
        return np.inf
    # A hair below, for powers that differ in the last bit from processor to processor.
    return float(linearised(np.array([channel.range - 1.0]), channel)[0]) * (1 - 1e-9)


def _is_scatter(channel: Channel) -> bool:
    """Whether a channel is scatter; older instruments write FS Lin.

    Fluorescence that piles up at its lowest value is a negative event of an instrument that
    does not go below zero: leaving it out would leave out the negative cells.
    """
    return re.match(r"(fs|ss)(c|$|[^a-z0-9])", channel.name.lower()) is not None


def _mark_lowest(data: FcsData, column: int, lowest: float, margin: NDArray[np.bool_]) -> None:
    """Mark the events at the lowest value of a channel, in place."""
    chunk = 50_000
    for start in range(0, data.n_events, chunk):
        stop = min(start + chunk, data.n_events)
        margin[start:stop] |= data.read([column], start, stop)[:, 0] == lowest


def _clock_trouble(bins: _Bins) -> str:
    """Say why the clock tells no rate; empty: it does."""
    if bins.clock is None:
        return "the file has no time channel: no flow rate"
    if not (np.abs(bins.clock) < LARGE).all() or (np.diff(bins.clock) < 0).any():
        return "the clock runs backwards: no flow rate"
    if bins.tick < 1 / LARGE:
        return "the clock stands still: no flow rate"
    if np.median(np.diff(bins.clock)) < TICKS_OF_A_BIN * bins.tick:
        return "the clock is too coarse for a flow rate"
    return ""


def _bright(bins: _Bins, channels: Sequence[Channel]) -> list[str]:
    """Tell fluorescence of which many events are at the top: they stay, for the brightest cells are cells."""
    n = bins.edges[-1]
    return [
        f"{plain(channel.name)}: {100 * count / n:.2g} % of events at the top of the scale; they stay"
        for channel, count in zip(channels, bins.at_top, strict=True)
        if not _is_scatter(channel) and count > PILE * n
    ]


def _durations(bins: _Bins) -> NDArray[np.float64]:
    """Time of each bin, (n_bins,); a bin within one tick took at least half of it."""
    assert bins.clock is not None
    return np.maximum(np.diff(bins.clock), bins.tick / 2)


def _spread(values: Floats) -> Floats:
    """Median absolute deviation over bins (axis 0), as a standard deviation."""
    return np.asarray(MAD_TO_SD * np.median(np.abs(values - np.median(values, axis=0)), axis=0))


def _off_rate(rate: NDArray[np.float64], settings: FlowQuality) -> NDArray[np.bool_]:
    """Bins whose rate is off, (n_bins,)."""
    median = np.median(rate)
    least = max(settings.rate_mads * float(_spread(rate)), settings.min_rate_change * float(median))
    return np.asarray(np.abs(rate - median) > least)


def _moved_signals(bins: _Bins, channels: Sequence[Channel], settings: FlowQuality) -> NDArray[np.bool_]:
    """Bins whose median signal is off, (n_bins, n_channels).

    Three things have to come together: the shift is beyond the spread of the bins' medians; it
    is a noticeable part of the channel's own width; and the tube's median is outside the interval
    of the bin's. The last one is for channels with two peaks of about the same size, whose median
    jumps between the peaks by chance.
    """
    if len(bins.edges) < 2:
        return np.zeros((0, len(channels)), dtype=bool)
    tops = np.array([_top(c) for c in channels])
    cofactor = np.where((tops > 1) & (tops < LARGE), tops / COFACTORS_TO_TOP, 1.0)
    low, middle, high = np.arcsinh(bins.quartiles / cofactor)
    lower, upper = np.arcsinh(bins.interval / cofactor)
    centre = np.median(middle, axis=0)
    least = np.maximum(
        settings.signal_mads * _spread(middle),
        settings.min_signal_shift * np.median(high - low, axis=0),
    )
    beyond_chance = (centre < lower) | (centre > upper)
    return np.asarray(beyond_chance & (np.abs(middle - centre) > least))
