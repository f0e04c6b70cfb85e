"""FlowJo 10 workspaces: gates, compensation and FlowJo's own counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cartrace.flow.engine import Path, Strategy


class Workspace(Protocol):
    """A workspace that was read."""

    @property
    def samples(self) -> tuple[str, ...]:
        """Names of the samples, as FlowJo lists them."""
        ...

    def strategy_of(self, sample: str) -> Strategy:
        """Return the gates of one sample, with its compensation."""
        ...

    def counts_of(self, sample: str) -> Mapping[Path, int]:
        """Return FlowJo's own counts, where the workspace holds them."""
        ...


def read_workspace(content: bytes, name: str) -> Workspace:
    """Read a FlowJo 10 workspace (.wsp).

    Raises
    ------
    InputError
        For a document type definition, no workspace, or one of FlowJo 9.
    """
    raise NotImplementedError
