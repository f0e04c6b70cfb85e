"""The page of the inbox in a real browser without a network."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from tests.unit.report.browser import BROWSER, HOSTILE, frame_width, opened
from tests.unit.report.small_trial import trial
from tests.unit.report.test_report_inbox import inbox

from cartrace.config import load
from cartrace.report.page import render

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium to open the page"),
]

LISTED = inbox(
    ("qpcr", "run_1.txt", "used", "sheet", "qpcr_1"),
    ("qpcr", f"{HOSTILE}.txt", "unmatched", "", "", f"no pattern fits {HOSTILE}", f"nearest {HOSTILE}"),
    ("elisa", "", "refused", "", "", "the folder is not there"),
    ("elisa", "deep/" * 20 + "plate" * 20 + ".txt", "withheld", "pattern", "plate", "unknown sample"),
    ("flow", "S01.fcs", "awaited", "sheet", "flow_s01"),
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    data = dataclasses.replace(trial(), inbox=LISTED)
    path.write_text(render(data, load({"trial": {"title": "A trial"}})), encoding="utf-8")
    return path


def test_the_page_says_of_each_file_why_it_is_not_used_and_what_to_do(report: Path, tmp_path: Path) -> None:
    document, console = opened(report, "#/inbox", tmp_path)
    assert console == []
    assert re.search(r"<h1[^>]*>Inbox</h1>", document)
    told = re.sub(r"<[^>]*>", "|", document.split("<h1", maxsplit=1)[1].split("<footer", maxsplit=1)[0])
    for words in (
        "No pattern fits &lt;script&gt;alert(1)&lt;/script&gt;",
        "(the folder itself)",
        "Unknown sample",
        "A sheet names the file, and it has not come.",
        "Correct what the reason names; the next run tries again.",
    ):
        assert words in told
    order = [told.index(f">{label}|"[1:]) for label in ("Not matched", "Withheld", "Refused", "Awaited")]
    assert order == sorted(order)
    used = document.split('aria-label="Used of each inbox"', maxsplit=1)[1].split("</table>", maxsplit=1)[0]
    lines = [re.sub(r"<[^>]*>", " ", line).split() for line in used.split("<tr>")[2:]]
    assert lines == [["elisa", "0", "0", "2"], ["flow", "0", "0", "1"], ["qpcr", "1", "0", "1"]]


def test_the_list_finds_a_file_by_a_word(report: Path, scripted) -> None:
    found = scripted(
        "#/inbox",
        """const field = document.querySelector('#view input[type="search"]');
        field.value = "unknown SAMPLE"; field.dispatchEvent(new Event("input"));
        done(document.querySelector("#view [role=status]").textContent);""",
        fresh=True,
    )
    assert found == "1 row shown."


def test_the_page_fits_a_telephone(report: Path, tmp_path: Path) -> None:
    width, console = frame_width(report, "#/inbox", tmp_path)
    assert console == []
    assert width <= 360
