"""Gating-ML 2.0: gate sets that other programs draw and edit; their hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cartrace.flow.engine import Strategy


def read_gating_ml(content: bytes, name: str) -> Strategy:
    """Read a Gating-ML 2.0 file; its compensation references stay those of the file ('FCS', a matrix).

    Raises
    ------
    InputError
        For a document type definition, no Gating-ML, or a gate that FlowKit can't read.
    """
    raise NotImplementedError


def write_gating_ml(strategy: Strategy) -> bytes:
    """Write the gate set as Gating-ML 2.0, the same bytes for the same gates.

    A compensation reference to ``strategy.spillover`` becomes a matrix in the file.
    """
    raise NotImplementedError


def gates_sha256(strategy: Strategy) -> str:
    """Hash of what decides membership: gates, transformations, matrix; not of names of files or order of XML."""
    raise NotImplementedError
