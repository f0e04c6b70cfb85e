"""The page of the inbox: what was not used first, with its reason."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd
from tests.unit.report.small_trial import trial

from cartrace import tables
from cartrace.config import load
from cartrace.report.inbox import STATUSES, open_rows, payload
from cartrace.report.packing import Texts
from cartrace.report.page import render
from cartrace.vocabulary import INBOX_STATUSES


def inbox(*rows: tuple[str, ...]) -> pd.DataFrame:
    names = ("inbox", "name", "status", "matched_by", "file_id", "detail", "hint")
    return tables.rows(
        ({n: v or None for n, v in zip(names, row, strict=False)} for row in rows), tables.INBOX
    )


LISTED = inbox(
    ("qpcr", "run_1.txt", "used", "sheet", "qpcr_1"),
    ("qpcr", "run_2.txt", "used", "pattern", "run_2"),
    ("qpcr", "run_3.txt", "used", "pattern", "run_3"),
    ("flow", "S01_of_2026-03-04.fcs", "refused", "", "", "a calendar date in its name"),
    ("qpcr", "run_4.txt", "waiting", "", "", "changed less than 10 minutes ago"),
    ("elisa", "plate.txt", "unmatched", "", "", "no pattern fits", "the sheet names plate1.txt"),
    ("elisa", "", "refused", "", "", "the folder is not there"),
    ("", "S02.fcs", "withheld", "sheet", "flow_2", "its control has not come"),
)


def shown(listed: pd.DataFrame) -> tuple[dict[str, Any], list[str]]:
    texts = Texts()
    packed = payload(listed, texts)
    assert packed is not None
    return packed, texts.listed


def test_every_status_but_used_has_words() -> None:
    assert {"used", *STATUSES} == set(INBOX_STATUSES)


def test_what_was_not_used_is_ordered_by_what_it_asks_for() -> None:
    packed, texts = shown(LISTED)
    statuses = [texts[i] for i in packed["rows"]["status"]]
    assert statuses == ["unmatched", "withheld", "refused", "refused", "waiting"]
    assert [(s["status"], s["n"]) for s in packed["statuses"]] == [
        ("unmatched", 1),
        ("withheld", 1),
        ("refused", 2),
        ("waiting", 1),
    ]
    assert packed["rows"]["name"][3] == -1  # the folder itself


def test_each_inbox_counts_what_was_used_by_sheet_and_by_pattern() -> None:
    packed, texts = shown(LISTED)
    counts = [(texts[i["inbox"]], i["sheet"], i["pattern"], i["not_used"]) for i in packed["inboxes"]]
    assert counts == [("elisa", 0, 0, 2), ("flow", 0, 0, 1), ("no inbox", 0, 0, 1), ("qpcr", 1, 2, 1)]


def test_only_what_a_run_cannot_settle_waits_for_a_person() -> None:
    assert open_rows(LISTED) == 4
    assert (
        open_rows(inbox(("qpcr", "a", "waiting"), ("qpcr", "b", "awaited"), ("qpcr", "c", "same_content")))
        == 0
    )


def test_no_name_shows_a_calendar_date() -> None:
    _, texts = shown(LISTED)
    assert not any("2026-03-04" in text for text in texts)
    assert any(text.startswith("S01_of_") for text in texts)


def test_the_page_has_an_entry_only_with_an_inbox() -> None:
    config = load({})
    assert "#/inbox" not in render(trial(), config).split("<main", maxsplit=1)[0]
    page = render(dataclasses.replace(trial(), inbox=LISTED), config).split("<main", maxsplit=1)[0]
    assert '<a href="#/inbox">Inbox <b class="open" title="Files that need a person">4</b></a>' in page
    settled = render(dataclasses.replace(trial(), inbox=LISTED[:3]), config).split("<main", maxsplit=1)[0]
    assert '<a href="#/inbox">Inbox</a>' in settled
