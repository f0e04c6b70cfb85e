"""Which channel of a tube measures which marker of its panel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from cartrace.intake.sheets import quote
from cartrace.problems import Problem, did_you_mean, raise_if_any

if TYPE_CHECKING:
    from cartrace.flow.fcs import Channel
    from cartrace.flow.panel import Marker, Panel

SHOWN = 40
"""Channels that an error lists."""
STAINED: Mapping[str, str] = MappingProxyType({})
"""Of a tube that leaves nothing out."""


def match_markers(
    panel: Panel, channels: Sequence[Channel], name: str, left_out: Mapping[str, str] = STAINED
) -> Mapping[str, int]:
    """Return marker -> index of its channel; ``name`` is how errors call the file.

    A marker without a key is looked for under its own name, which has to be the whole stain ($PnS)
    or the whole channel name ($PnN); case does not count. 'CD19' is not 'CD19 PE-Cy7': a part of a
    name fits too much ('CD4' is in 'CD45'), so that takes a pattern.

    Parameters
    ----------
    left_out
        Marker that the tube leaves out -> its channel in the stained tubes, or empty. Its stain is
        often blank or that of an isotype: then it is in the channel of that name, and not in the
        result where there is none.

    Raises
    ------
    InputError
        With every marker that no channel, or more than one, measures, and every channel that two
        markers claim.
    """
    problems: list[Problem] = []
    found: dict[str, int] = {}
    for marker, where in panel.markers.items():
        hits = [c for c in channels if _measures(marker, where, c)]
        if not hits and marker in left_out:
            hits = [c for c in channels if c.name == left_out[marker]]
            if not hits and not where.channel:
                continue
        if len(hits) == 1:
            found[marker] = hits[0].index
        else:
            problems.append(_fault(marker, where, hits, channels, name))
    problems += _claimed_twice(found, channels, name)
    raise_if_any(problems)
    return found


def _measures(marker: str, where: Marker, channel: Channel) -> bool:
    if where.channel:
        return channel.name == where.channel
    labels = [label for label in (channel.stain, channel.name) if label]
    if where.pattern is not None:
        return any(re.fullmatch(where.pattern, label, re.IGNORECASE) for label in labels)
    return any(label.strip().casefold() == marker.strip().casefold() for label in labels)


def _fault(
    marker: str, where: Marker, hits: Sequence[Channel], channels: Sequence[Channel], name: str
) -> Problem:
    asked = (
        f"channel {quote(where.channel)}"
        if where.channel
        else f"pattern {quote(where.pattern)}"
        if where.pattern is not None
        else "its own name"
    )
    if hits:
        return Problem(
            name,
            f"marker {quote(marker)} ({asked}) in {len(hits)} channels: {_shown(hits)}",
            "exactly one channel; name it in the panel file with channel:",
        )
    wanted = where.channel or marker
    longer = next(
        (c for c in channels if re.match(rf"{re.escape(wanted)}(?![a-z0-9])", c.stain, re.IGNORECASE)), None
    )
    advice = "one of " + _shown(channels)
    if longer is not None and not where.channel:
        advice += (
            f"; channel {quote(longer.name)} is stained {quote(longer.stain)}: "
            f"if that is the marker, write pattern: '{_pattern(wanted)}' in the panel file"
        )
    labels = [label for c in channels for label in (c.stain, c.name) if label]
    near = did_you_mean(wanted, labels) if longer is None else ""
    return Problem(
        name,
        f"no channel for marker {quote(marker)} ({asked})",
        advice,
        suggestion=quote(near).strip("'"),
    )


def _pattern(marker: str) -> str:
    """Pattern for a stain that begins with the marker; a letter or digit may not follow it."""
    return re.escape(marker).replace("'", "''") + r"(?![A-Za-z0-9]).*"


def _shown(channels: Sequence[Channel]) -> str:
    labels = [
        quote(c.name) + (f" (stain {quote(c.stain)})" if c.stain and c.stain != c.name else "")
        for c in channels[:SHOWN]
    ]
    rest = len(channels) - SHOWN
    return ", ".join(labels) + (f" and {rest} more" if rest > 0 else "")


def _claimed_twice(found: Mapping[str, int], channels: Sequence[Channel], name: str) -> Iterator[Problem]:
    by_index = {c.index: c for c in channels}
    for index in sorted(set(found.values())):
        markers = [m for m, i in found.items() if i == index]
        if len(markers) > 1:
            yield Problem(
                name,
                f"channel {quote(by_index[index].name)} for the markers {', '.join(quote(m) for m in markers)}",
                "one marker for a channel; a dump channel is one marker",
            )
