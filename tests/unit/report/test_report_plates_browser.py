"""The plate pages in a real browser, without a network."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from tests.unit.report.browser import BROWSER, HOSTILE, figures_drawn, frame_width, opened
from tests.unit.report.plate_trial import plate_trial

from cartrace import tables
from cartrace.config import load
from cartrace.report.page import render

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium to open the page"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plates") / "report.html"
    path.write_text(
        render(plate_trial(hostile=HOSTILE), load({"trial": {"title": "A trial"}})), encoding="utf-8"
    )
    return path


@pytest.mark.parametrize(
    ("route", "heading", "figures"),
    [
        ("#/plates", "Plates", 2),
        ("#/plate/Q01", "Q01", 1),
        ("#/plate/D01", "D01", 2),
        ("#/plate/unknown", "Plates", 2),
        ("#/plate/%E0%A4%A", "Plates", 2),
    ],
)
def test_each_plate_page_is_drawn_without_an_error_and_without_a_request(
    report: Path, tmp_path: Path, route: str, heading: str, figures: int
) -> None:
    document, console = opened(report, route, tmp_path)
    assert console == []
    assert figures_drawn(document) == figures
    assert re.search(rf"<h1[^>]*>{heading}</h1>", document)
    assert f"<title>{heading} · A trial</title>" in document
    outside = re.sub(r"<script.*?</script>", "", document, flags=re.DOTALL)
    assert "<b>x</b>" not in outside


def test_only_the_wells_of_the_plate_that_is_shown_are_drawn(scripted) -> None:
    said = scripted(
        "#/plate/Q01",
        """const seen = [...document.querySelectorAll(".map td[data-tip]")];
        done([seen.length, document.querySelectorAll(".map").length].join("|"));""",
    )
    assert said == "19|1"


def test_a_well_says_its_verdict_by_a_mark_and_in_words(scripted) -> None:
    said = scripted(
        "#/plate/Q01",
        """const cells = [...document.querySelectorAll(".map td[data-tip]")];
        const find = (start) => cells.find((c) => c.getAttribute("aria-label").startsWith(start));
        const mark = (c) => getComputedStyle(c, "::before").content;
        const hatched = getComputedStyle(find("H12")).backgroundImage.startsWith("repeating-linear-gradient");
        done([mark(find("A01")), mark(find("H01")), mark(find("C05")), mark(find("H12"))].join("").replace(/"/g, "") + "|" + hatched + "|" + find("C05").getAttribute("aria-label"));""",
    )
    marks, hatched, label = said.split("|", 2)
    assert (marks, hatched) == ("✓◆▲–", "true")
    assert label == "C05: sample P03_d14, rejected"


def test_the_arrow_keys_walk_between_the_wells_and_tell_their_details(scripted) -> None:
    said = scripted(
        "#/plate/Q01",
        """const stops = document.querySelectorAll(".map td[tabindex='0']");
        stops[0].focus();
        const key = (k) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: k, bubbles: true, cancelable: true }));
        key("ArrowDown"); key("ArrowDown"); key("ArrowUp"); key("ArrowDown"); key("ArrowDown"); key("ArrowRight");
        const tip = document.getElementById("tip");
        done([stops.length, document.querySelectorAll(".map td[tabindex='0']").length, tip.hidden, tip.textContent.split("\\n").join("/")].join("|"));""",
    )
    stops, after, hidden, text = said.split("|", 3)
    assert (stops, after, hidden) == ("1", "1", "false")
    # From A01 to C01, then down over the empty rows to H01, and right to H02.
    assert text == "H02: no-template control, NTC/CAR/no amplification/accepted"


def test_choosing_another_target_draws_its_wells(scripted) -> None:
    said = scripted(
        "#/plate/Q01",
        """[...document.querySelectorAll(".segments button")].find((b) => b.textContent.startsWith("IPC")).click();
        done([document.querySelectorAll(".js-plotly-plot").length, document.querySelectorAll(".map td[data-tip]").length].join("|"));""",
    )
    assert said == "0|6"


def test_the_curve_shows_standards_samples_and_residuals(scripted) -> None:
    said = scripted(
        "#/plate/Q01",
        """const data = document.querySelector(".js-plotly-plot").data;
        const count = (name) => (data.find((t) => t.name === name) || { x: [] }).x.length;
        const residuals = data.filter((t) => t.yaxis === "y2").flatMap((t) => t.y);
        done([count("Standard"), count("Sample or control"), count("Rejected"), residuals.length, Math.max(...residuals), data.some((t) => t.name === "95 % prediction band")].join("|"));""",
    )
    assert said == "10|3|2|10|0.1|true"


def test_what_is_not_quantified_or_rejected_is_no_plain_number(scripted) -> None:
    said = scripted(
        "#/plate/Q01",
        """const rows = [...document.querySelectorAll('[aria-label="Samples of the plate"] tbody tr')];
        const cell = (r, k) => rows[r].children[k].textContent;
        done([cell(0, 5), cell(1, 4), cell(1, 5), cell(0, 7), rows[1].querySelector(".bound").dataset.tip, rows[2].querySelector(".ne").dataset.tip].join("|"));""",
    )
    assert said.split("|") == [
        "25,000 (21,000 to 30,000)",
        "< 5",
        "not detected",
        "–",
        "Not detected. Computed: 0 copies/reaction (0 to 3)",
        "Rejected, not used. 1,200 copies/reaction",
    ]


def test_droplets_and_their_threshold_are_drawn(scripted) -> None:
    said = scripted(
        "#/plate/D01",
        """const plots = [...document.querySelectorAll(".js-plotly-plot")];
        const map = plots[1].data.find((t) => t.type === "heatmap"), limit = plots[1].data.find((t) => t.name === "Threshold");
        const zero = plots[0].data.find((t) => t.name === "No positive partition");
        done([map.z.length, map.z[0].length, map.y.length, limit.y.filter((y) => y !== null).length, zero.x.length].join("|"));""",
    )
    assert said == "60|8|61|16|2"


def test_the_chart_names_the_rule_and_its_plate(scripted) -> None:
    said = scripted(
        "#/plates",
        """const plots = [...document.querySelectorAll(".js-plotly-plot")];
        const chart = plots.find((p) => p.getAttribute("aria-label").includes("PC"));
        const fail = chart.data.find((t) => t.name === "Rule broken");
        const three = chart.data.find((t) => t.name === "±3 SD");
        const row = document.querySelector('[aria-label="Westgard rules that were broken"] tbody tr');
        done([fail.text.join(), three.y[11].toFixed(2), three.y[0], row.querySelector("a").getAttribute("href"), row.children[5].textContent, chart.getAttribute("aria-label")].join("|"));""",
    )
    text, three, none, href, words, label = said.split("|")
    assert (text, three, none) == ("1-2s, 1-3s", "4.15", "")
    assert href == "#/plate/P12"
    assert words == "1-2s: more than 2 SD from the centre; 1-3s: more than 3 SD from the centre"
    assert label.endswith("Rules broken on P12: 1-2s;1-3s.")


def test_the_repeat_list_says_what_to_do_and_has_a_box_on_paper(scripted) -> None:
    said = scripted(
        "#/plates",
        """const table = document.querySelector('[aria-label="To be repeated"] table');
        const cells = [...table.querySelectorAll("tbody tr td")];
        done([cells[0].textContent, cells[3].textContent, cells[5].textContent, getComputedStyle(cells[6]).display].join("|"));""",
    )
    assert said == "Q01|C05, C06|The two wells differ by 2.5 Cq: pipette again in triplicate.|none"


@pytest.mark.parametrize("route", ["#/quality", "#/patient/P03", "#/plate/Q01"])
def test_a_finding_of_a_plate_leads_to_its_page(scripted, route) -> None:
    said = scripted(
        route,
        """const link = [...document.querySelectorAll("td a")].find((a) => a.getAttribute("href") === "#/plate/Q01");
        done([link.textContent, link.parentNode.textContent].join("|"));""",
    )
    assert said == "Q01|Q01, row 44, CT"


def test_the_table_of_wells_is_made_when_it_is_opened(scripted) -> None:
    said = scripted(
        "#/plate/Q01",
        """const box = document.querySelector("details");
        const before = box.querySelectorAll("tr").length;
        box.open = true;
        setTimeout(() => done([before, box.querySelectorAll("tbody tr").length].join("|")), 500);""",
    )
    assert said == "0|26"


@pytest.mark.parametrize("route", ["#/plates", "#/plate/Q01", "#/plate/D01", "#/quality"])
def test_no_plate_page_is_wider_than_a_narrow_window(report: Path, tmp_path: Path, route: str) -> None:
    width, console = frame_width(report, route, tmp_path)
    assert console == []
    assert width <= 360


def test_a_patient_s_page_names_the_plates_of_its_samples(scripted) -> None:
    said = scripted(
        "#/patient/P03",
        """const heading = [...document.querySelectorAll("h2")].find((x) => x.textContent === "PCR plates");
        done([heading.nextSibling.querySelector("a").getAttribute("href"), heading.nextSibling.nextSibling.textContent.includes("P03_d14")].join("|"));""",
    )
    assert said == "#/plate/Q01|true"


def test_the_charts_say_how_many_points_are_judged(scripted) -> None:
    said = scripted("#/plates", """done(document.querySelector("main").textContent);""")
    # Two controls over twelve plates; the first five of each have no limits.
    assert "14 of 24 points are judged: the others have fewer than 5 accepted plates before them" in said


def test_what_rejects_a_whole_plate_stands_at_its_top(report: Path, tmp_path: Path) -> None:
    data = plate_trial(3)
    worst = tables.rows(
        [{"check": "slope", "verdict": "fail", "source_file": "Q01", "message": "The slope is -4."}],
        tables.QC,
    )
    path = tmp_path / "rejected.html"
    data = dataclasses.replace(data, qc=tables.concat([data.qc, worst], tables.QC))
    path.write_text(render(data, load({})), encoding="utf-8")
    document, console = opened(path, "#/plate/Q01", tmp_path / "profile")
    assert console == []
    body = document[document.index("<h1") :]
    assert body.index("The slope is -4.") < body.index("Standard curve of CAR")
