"""The pages of libraries and cells in a real browser, without a network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.report.browser import BROWSER, HOSTILE, figures_drawn, frame_width, opened
from tests.unit.report.cell_trial import cell_trial

from cartrace.config import load
from cartrace.report.page import render

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium to open the page"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cells") / "report.html"
    path.write_text(render(cell_trial(3, HOSTILE), load({"trial": {"title": "A trial"}})), encoding="utf-8")
    return path


def test_each_page_is_drawn_without_an_error_and_without_a_request(report: Path, tmp_path: Path) -> None:
    for route, heading, drawn in (
        ("#/libraries", "Libraries", 0),
        ("#/library/L1", "L1", 4),
        ("#/library/L3", "L3", 0),
        ("#/library/%E0%A4%A", "Libraries", 0),
        ("#/cells", "Cells", 4),
        ("#/patient/P02", "P02", 7),
    ):
        document, console = opened(report, route, tmp_path)
        assert console == [], route
        assert re.search(rf"<h1[^>]*>{heading}</h1>", document), route
        assert figures_drawn(document) == drawn, route
        outside = re.sub(r"<script.*?</script>", "", document, flags=re.DOTALL)
        assert "<b>x</b>" not in outside, route


def test_what_is_not_quantified_is_a_bound_and_a_failed_library_says_why(scripted, report: Path, tmp_path: Path) -> None:  # fmt: skip
    said = scripted(
        "#/libraries",
        """const rows = [...document.querySelectorAll('[aria-label="Libraries"] tbody tr')];
        done(rows.map((r) => r.children[5].firstChild.textContent + "/" + r.children[4].firstChild.textContent).join("|"));""",
    )
    assert said == "25 (15 to 40)/accepted|< 2.5/flagged|not estimable/rejected|< 4/flagged"
    said = scripted(
        "#/patient/P02",
        """const plot = (title) => [...document.querySelectorAll("figure")].find((f) => f.textContent.startsWith(title)).querySelector(".plot");
        const states = plot("States of CAR+"), cars = plot("CAR+ share");
        done([states.data.map((t) => t.name + "=" + t.x.join()).join(), states.layout.annotations.map((a) => a.text.slice(0, 27)).join(), cars.data.map((t) => t.x.join("/")).join("|")].join(";"));""",
    )
    states, why, cars = said.split(";", 2)
    assert states == "Naive-like=70,Exhausted=30"
    assert why == "CAR+ T cells are not detect"
    # Limits of the library without a detected CAR, the estimated share, the bound, and any CAR UMI.
    assert cars == "0/2.5/|25|2.5|30/30"
    assert frame_width(report, "#/library/L1", tmp_path)[0] <= 360
    assert frame_width(report, "#/cells", tmp_path)[0] <= 360
