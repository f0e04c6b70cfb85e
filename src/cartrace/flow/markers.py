"""Which channel of a tube measures which marker of its panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cartrace.flow.fcs import Channel
    from cartrace.flow.panel import Panel


def match_markers(panel: Panel, channels: Sequence[Channel], name: str) -> Mapping[str, int]:
    """Return marker -> index of its channel; ``name`` is how errors call the file.

    Raises
    ------
    InputError
        With every marker that no channel, or more than one, measures.
    """
    raise NotImplementedError
