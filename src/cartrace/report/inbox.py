"""What the page of the inbox shows: first what was not used and why, then what was."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from cartrace.report.packing import Texts, columns

if TYPE_CHECKING:
    import pandas as pd


class Words(NamedTuple):
    """A status as the page says it."""

    label: str
    means: str
    to_do: str
    for_a_person: bool


STATUSES = {
    "unmatched": Words(
        "Not matched",
        "The file is stored, and neither a sheet nor exactly one pattern says what it is.",
        "Add its row to the sheet, with the path inbox/FOLDER/NAME, or correct the pattern or the name.",
        True,
    ),
    "withheld": Words(
        "Withheld",
        "It is known what the file is, and it can't be used as it is.",
        "Correct what the reason names; the next run tries again.",
        True,
    ),
    "refused": Words(
        "Refused",
        "The file, or the folder, could not be taken in.",
        "Correct what the reason names in the folder of the laboratory.",
        True,
    ),
    "conflict": Words(
        "Conflict",
        "The correction of a file has the content of another one; the earlier content stays in use.",
        "Ask the laboratory which file is right, and leave that one.",
        True,
    ),
    "waiting": Words(
        "Waiting",
        "The file is not complete, or came too recently to tell.",
        "Nothing, if it is still being written; a later run takes it in.",
        False,
    ),
    "awaited": Words(
        "Awaited",
        "A sheet names the file, and it has not come.",
        "Nothing, if it is still to come; else correct the path in the sheet.",
        False,
    ),
    "same_content": Words(
        "Same content",
        "Another file has the same content, and each content counts once.",
        "Nothing, unless the laboratory meant to leave another file.",
        False,
    ),
}
"""Of what is not used, in the order of the page. What a run can't settle by itself is for a person."""


def payload(listed: pd.DataFrame, texts: Texts) -> dict[str, Any] | None:
    """Bring the table of the inbox into the compact form that the page's script reads.

    Parameters
    ----------
    listed
        Keeps the contract ``cartrace.tables.INBOX``.
    texts
        The texts of the page, to which those of the table are added.

    Returns
    -------
    dict or None
        ``rows``: what is not used, in the order of :data:`STATUSES`, otherwise as listed. ``statuses``: those
        that occur. ``inboxes``: for each the rows used by sheet, by pattern, and not used.
        None without an inbox.
    """
    if listed.empty:
        return None
    listed = listed.assign(inbox=listed["inbox"].fillna("no inbox"))
    pairs = zip(listed["inbox"], listed["status"], listed["matched_by"], strict=True)
    uses = Counter((inbox, matched_by if status == "used" else "") for inbox, status, matched_by in pairs)
    counts = Counter(listed["status"])
    order = {name: place for place, name in enumerate(STATUSES)}
    rows = listed[listed["status"] != "used"]
    rows = rows.sort_values("status", key=lambda status: status.map(order), kind="stable")
    return {
        "rows": columns(rows, texts, ["matched_by", "sha256"]),
        "statuses": [
            {"status": name, **words._asdict(), "n": counts[name]}
            for name, words in STATUSES.items()
            if name in counts
        ],
        "inboxes": [
            {
                "inbox": texts.place(inbox),
                "sheet": uses[inbox, "sheet"],
                "pattern": uses[inbox, "pattern"],
                "not_used": uses[inbox, ""],
            }
            for inbox in sorted(set(listed["inbox"]))
        ],
    }


def open_rows(listed: pd.DataFrame) -> int:
    """Return how many rows wait for a person."""
    return int(listed["status"].isin([name for name, words in STATUSES.items() if words.for_a_person]).sum())
