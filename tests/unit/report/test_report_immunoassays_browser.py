"""The pages of immunoassay plates in a real browser, without a network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.report.browser import BROWSER, figures_drawn, frame_width, opened
from tests.unit.report.immunoassay_trial import immunoassay_trial

from cartrace.config import load
from cartrace.report.page import render

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium to open the page"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("immunoassays") / "report.html"
    path.write_text(render(immunoassay_trial(), load({"trial": {"title": "A trial"}})), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("route", "heading", "figures"), [("#/plates", "Plates", 4), ("#/plate/R01", "R01", 0)]
)
def test_each_page_is_drawn_without_an_error_and_without_a_request(
    report: Path, tmp_path: Path, route: str, heading: str, figures: int
) -> None:
    document, console = opened(report, route, tmp_path)
    assert console == []
    assert figures_drawn(document) == figures
    assert re.search(rf"<h1[^>]*>{heading}</h1>", document)


def test_the_page_of_a_curve_shows_standards_samples_limits_and_what_to_repeat(scripted) -> None:
    said = scripted(
        "#/plate/E01",
        """const data = document.querySelector(".js-plotly-plot").data;
        const count = (name) => (data.find((t) => t.name === name) || { x: [] }).x.length;
        const rows = [...document.querySelectorAll('[aria-label="Samples of the plate"] tbody tr')];
        const row = (name) => rows.find((r) => r.children[0].textContent.startsWith(name)).textContent;
        const recoveries = data.filter((t) => t.yaxis === "y2" && t.mode === "markers").flatMap((t) => t.y);
        const button = [...document.querySelectorAll(".segments button")].find((b) => b.textContent === "Signal");
        const before = document.querySelectorAll(".map td[data-tip]").length;
        button.click();
        const shaded = [...document.querySelectorAll(".map td[data-tip]")].filter((c) => c.getAttribute("style")).length;
        done([["Standard", "Blank", "Control", "Sample", "Sample, flagged", "Above the curve"].map(count).join(), data.some((t) => t.name === "LLOQ 3 ng/mL"),
          data.some((t) => t.name === "95 % prediction band"), recoveries.length, before, shaded, row("P01 d0"), row("P02 d14"), row("P01 d14"), document.querySelector("h1").nextSibling.textContent, document.querySelectorAll("b b, script b").length].join("|"));""",
    )
    counts, lloq, band, recoveries, wells, shaded, first, above, scattered, facts, bold = said.split("|")
    assert counts == "14,3,2,6,2,2"
    assert (lloq, band, recoveries, wells, shaded) == ("true", "true", "7", "33", "32")
    assert first.startswith("P01 d0P01510488 to 533C01, C021:10")
    assert "accepted" in first
    assert "30,000" in above
    assert "Repeat: Above the upper limit of quantification: dilute 1:50 and repeat." in above
    assert "replicates scatter" in scattered
    assert facts.startswith("ELISA")
    assert bold == "0"


def test_the_targets_of_a_plate_are_chosen_and_titres_are_read_as_intervals(scripted) -> None:
    said = scripted(
        "#/plate/L01",
        """const group = document.querySelector('[aria-label="Target"]');
        const shown = () => document.querySelector("h2 ~ div h2").textContent;
        const open = [...document.querySelectorAll(".plainbutton")][1];
        open.click();
        const second = shown();
        [...group.children].find((b) => b.textContent.startsWith("Ferritin")).click();
        const lost = shown() + document.querySelector(".say").textContent;
        const notice = document.querySelector(".notice").textContent;
        location.hash = "#/plate/T01";
        setTimeout(() => {
          const rows = [...document.querySelectorAll('[aria-label="Titres of the plate"] tbody tr')];
          const text = (k) => [...rows[k].children].slice(1, 7).map((c) => c.textContent).join("/");
          done([second, lost, notice, document.querySelectorAll(".js-plotly-plot").length, text(0), text(1), text(2), text(4), rows[0].querySelector(".reading").dataset.tip].join("|"));
        }, 400);""",
    )
    second, lost, notice, figures, differ, negative, positive, disagree, tip = said.split("|")
    assert second == "Calibration curve of IL-10"
    assert lost.startswith("Calibration curve of Ferritin")
    assert "no curve: the signals of the standards do not change with their concentration" in notice
    assert figures == "0"
    assert differ == "++/++/+−/−−/−−/1:28.3from 20 up to 80"
    assert negative == "−−/−−/−−/−−/−−/&lt; 1:10" or negative.endswith("/< 1:10")
    assert positive.endswith("/≥ 1:160")
    assert disagree.endswith("/no result")
    assert tip == "A01, positive, in the file: +"


def test_lists_and_findings_lead_to_the_page_and_fit_a_narrow_window(
    scripted, report: Path, tmp_path: Path
) -> None:
    said = scripted(
        "#/patient/P03",
        """const heading = [...document.querySelectorAll("h2")].find((x) => x.textContent === "Immunoassay plates");
        const finding = [...document.querySelectorAll("td a")].find((a) => a.getAttribute("href") === "#/plate/T01");
        done([heading.nextSibling.querySelector("a").getAttribute("href"), finding.parentNode.textContent.startsWith("T01")].join("|"));""",
    )
    assert said == "#/plate/E01|true"
    width, console = frame_width(report, "#/plate/L01", tmp_path)
    assert console == []
    assert width <= 360
