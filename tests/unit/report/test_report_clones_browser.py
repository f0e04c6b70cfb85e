"""The pages of clones and integration sites in a real browser, without a network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.report.browser import BROWSER, HOSTILE, figures_drawn, frame_width, opened
from tests.unit.report.clone_trial import clone_trial

from cartrace.config import load
from cartrace.report.page import render

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium to open the page"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clones") / "report.html"
    path.write_text(render(clone_trial(3, HOSTILE), load({"trial": {"title": "A trial"}})), encoding="utf-8")
    return path


def test_each_page_is_drawn_without_an_error_and_without_a_request(report: Path, tmp_path: Path) -> None:
    # Seven figures of the cells; tracking, sizes, two of persistence, three Hill numbers, two of B cells, sites.
    for route, heading, drawn in (("#/clones", "Clones", 0), ("#/library/L1", "L1", 4), ("#/patient/P02", "P02", 17)):  # fmt: skip
        document, console = opened(report, route, tmp_path)
        assert console == [], route
        assert re.search(rf"<h1[^>]*>{heading}</h1>", document), route
        assert figures_drawn(document) == drawn, route
        outside = re.sub(r"<script.*?</script>", "", document, flags=re.DOTALL)
        assert "<b>x</b>" not in outside, route
    # The patient's page, which is open: the widest table and all figures.
    assert frame_width(report, "#/patient/P02", tmp_path)[0] <= 360
    assert frame_width(report, "#/clones", tmp_path)[0] <= 360


def test_the_overview_says_how_things_stand(scripted) -> None:
    said = scripted(
        "#/clones",
        """const cells = (label, row) => [...document.querySelectorAll(`[aria-label="${label}"] tbody tr`)][row];
        done([[...cells("Clones of each patient", 0).children].map((c) => c.textContent).join("|"), cells("Clones that patients share", 0).firstChild.textContent, [...cells("Chain quality of each library", 1).children].map((c) => c.textContent).join("|")].join(";"));""",
    )
    overview, taken, quality = said.split(";")
    assert overview.startswith("P02|133of 400 cells|5 of 130M6, 40 expected|50 (46 to 54)Blood, day 90|4of 166|1 of 1001 % (0.025 to 5.4)")  # fmt: skip
    assert overview.endswith("|2")
    assert taken == "exchanged samples"
    assert quality == "L1|T cells|100|60|30|0|0|10|2"


def test_columns_show_shares_and_a_sample_with_too_few_cells_stays_empty(scripted) -> None:
    said = scripted(
        "#/patient/P02",
        """const plot = [...document.querySelectorAll("figure")].find((f) => f.textContent.startsWith("The largest clones")).querySelector(".plot");
        const first = plot.data[0];
        done([first.x.join(), first.y.join(), plot.layout.xaxis.ticktext.join(), plot.layout.annotations.map((a) => a.x + a.text).join(), plot.data.at(-1).x.join()].join(";"));""",
    )
    x, y, ticks, empty, rest = said.split(";")
    assert (x, ticks) == ("0,1,3,4", "product,day 14,day 28,day 90,day 180<br>bone marrow")
    assert [float(v) for v in y.split(",")] == pytest.approx([0.5, 10, 50, 100 / 3], rel=1e-4)
    assert empty == "2no shares"
    assert rest == "0,1,3,4"


def test_a_choice_shows_another_population_and_a_clone_that_is_not_seen_is_a_bound(scripted) -> None:
    said = scripted(
        "#/patient/P02",
        """const row = () => [...document.querySelectorAll('[aria-label="Named clones"] tbody tr')].find((r) => r.textContent.startsWith("T-003"));
        const before = row().children[3].textContent;
        [...document.querySelectorAll('[aria-label="Whose clones"] button')][1].click();
        done([before, row().children[3].textContent, document.querySelectorAll("figure").length, [...document.querySelectorAll(".alarms li")].map((l) => l.firstChild.textContent).join()].join(";"));""",
    )
    before, after, _, alarms = said.split(";")
    assert (before, after) == ("< 0.75", "< 0.75")
    assert alarms == "dominant site,gene of concern"
