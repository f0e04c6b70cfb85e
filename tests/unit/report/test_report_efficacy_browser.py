"""The page of efficacy in a real browser, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.report.browser import BROWSER, HOSTILE, figures_drawn, frame_width, opened
from tests.unit.report.efficacy_trial import efficacy_trial, settings

from cartrace.report.page import render

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium to open the page"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("efficacy") / "report.html"
    path.write_text(render(efficacy_trial(hostile=HOSTILE), settings()), encoding="utf-8")
    return path


def test_the_page_is_drawn_without_an_error_and_fits_a_narrow_window(report: Path, tmp_path: Path) -> None:
    document, console = opened(report, "#/efficacy", tmp_path)
    assert console == []
    # The curve, the scores, the changes, two metrics against response and two against the fall.
    assert figures_drawn(document) == 7
    assert "<title>Efficacy · A trial</title>" in document
    assert "<b>x</b>" not in document.split("</script>")[-1]
    width, console = frame_width(report, "#/efficacy", tmp_path)
    assert (width <= 360, console) == (True, [])


def test_curves_groups_and_changes_follow_the_choices(scripted) -> None:
    said = scripted(
        "#/efficacy",
        """const button = (text) => [...document.querySelectorAll("button")].find((b) => b.textContent === text);
        const pick = (value) => { const s = [...document.querySelectorAll("select")].filter((x) => [...x.options].some((o) => o.value === value)).pop();
          s.value = value; s.dispatchEvent(new Event("change")); };
        const shown = () => document.querySelector("#view").textContent;
        const out = [document.querySelectorAll(".plot .scatterlayer .trace").length > 0];
        const steps = [() => button("Follow-up").click(), () => out.push(shown().includes("11 patients followed, 0 deaths")),
          () => pick("each"), () => out.push(shown().includes("1.0e6/kg: 2 patients followed")),
          () => button("Best change").click(), () => out.push(shown().includes("looks better than any one of them")),
          () => { const s = document.querySelector("select"); s.value = "Expansion"; s.dispatchEvent(new Event("change")); },
          () => { const rows = [...document.querySelectorAll("tbody tr")].map((r) => r.textContent); out.push(rows.includes("Treated6")); done(out.join("|")); }];
        steps.forEach((step, k) => setTimeout(step, 400 * k));""",
        fresh=True,
    )
    assert said == "true|true|true|true|true"
