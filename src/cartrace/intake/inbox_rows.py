"""What became of each file of the inbox, as the plan, the run record and the report tell it.

Read while the Snakefile is parsed: standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class InboxRow:
    """One file of an inbox, or a row of a sheet whose file has not come. All text is printable and undated."""

    inbox: str
    """Name of the inbox in the configuration; empty for a file beside it that waits for one of the inbox."""
    name: str
    """Path below its folder."""
    status: str
    """One of :data:`cartrace.vocabulary.INBOX_STATUSES`."""
    matched_by: str
    """One of :data:`cartrace.vocabulary.INBOX_MATCHES`."""
    file_id: str
    """What it is in the plan: file_id, library_id or site_set_id (several with commas); empty without one."""
    sha256: str
    """Of the content in the store; empty where nothing is stored."""
    detail: str
    """Why it is not used."""
    hint: str
    """What would help."""


@dataclass(frozen=True, slots=True)
class InboxPlan:
    """The inbox in the plan of a trial folder."""

    rows: tuple[InboxRow, ...] = ()
    """In order of inbox and name."""
    digest: str = ""
    """Of the rows; empty without an inbox in the configuration."""
    stats: tuple[tuple[str, int, int, str], ...] = ()
    """Path, size, modification time (ns) and SHA-256 of stored files that the plan does not use."""
    tubes: tuple[str, ...] = ()
    """Of each flow tube that no row of the tubes sheet tells of, as JSON: file_id, kind, sample_id, marker, batch."""
