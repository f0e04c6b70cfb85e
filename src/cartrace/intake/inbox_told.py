"""What a run tells of its inbox, in its log and in its record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cartrace.problems import redact_dates

if TYPE_CHECKING:
    from cartrace.intake.inbox import TakenIn
    from cartrace.intake.inbox_rows import InboxRow

_MOST_LINES = 50
"""Files of the inbox that a log names of each kind, and then counts. House value."""
_MOST_TOLD = 1000
"""The same, of a record. House value."""


def tell_taken(taken: TakenIn, tell: Callable[[str], None], *, dry_run: bool) -> None:
    """Tell each file that was taken in, or would be."""
    would = "would be " if dry_run else ""
    _tell_some([f"{would}taken in: {name}" for name in taken.taken_in], "files taken in", tell)
    _tell_some([f"{would}corrected: {name}" for name in taken.corrected], "files corrected", tell)
    _tell_some(list(taken.notes), "notes", tell)


def tell_unused(rows: Sequence[InboxRow], tell: Callable[[str], None]) -> None:
    """Tell each file of the inbox that is not used, and why."""
    lines = []
    for row in rows:
        if row.status != "used":
            name = "/".join(part for part in (row.inbox, row.name or row.file_id) if part)
            hint = f" ({row.hint})" if row.hint else ""
            lines.append(f"not used, {row.status}: {name}: {row.detail}{hint}")
    _tell_some(lines, "files that are not used", tell)


def _tell_some(lines: Sequence[str], what: str, tell: Callable[[str], None]) -> None:
    for line in lines[:_MOST_LINES]:
        tell(f"cartrace: inbox: {line}")
    if len(lines) > _MOST_LINES:
        tell(f"cartrace: inbox: and {len(lines) - _MOST_LINES} more {what}")


def inbox_record(taken: TakenIn, rows: Sequence[InboxRow]) -> dict[str, Any]:
    """Return what the record of a run says of the inbox."""
    unused = [row for row in rows if row.status != "used"]
    named = ("inbox", "name", "status", "detail")
    lists: dict[str, list[Any]] = {
        "taken_in": list(taken.taken_in),
        "corrected": list(taken.corrected),
        "not_used": [{name: redact_dates(getattr(row, name)) for name in named} for row in unused],
    }
    return {name: entries[:_MOST_TOLD] for name, entries in lists.items()} | {
        "counts": dict(sorted(Counter(row.status for row in rows).items())),
        "not_told": sum(max(0, len(entries) - _MOST_TOLD) for entries in lists.values()),
    }
