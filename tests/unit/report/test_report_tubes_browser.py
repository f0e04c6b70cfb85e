"""The tube pages in a real browser, without a network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.report.browser import BROWSER, HOSTILE, figures_drawn, frame_width, opened
from tests.unit.report.tube_trial import HASH, tube_trial

from cartrace.config import load
from cartrace.report.page import render

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium to open the page"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tubes") / "report.html"
    settings = load({"trial": {"title": "A trial"}, "flow": {"review": "required"}})
    path.write_text(render(tube_trial(hostile=HOSTILE), settings), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("route", "heading", "drawn"),
    [
        ("#/tubes", "Tubes", (0, 0)),
        ("#/tube/T01", "T01", (9, 1)),
        ("#/tube/T02", "T02", (2, 1)),
        ("#/tube/T03", "T03", (9, 0)),
        ("#/tube/T04", "T04", (2, 0)),
        ("#/tube/%E0%A4%A", "Tubes", (0, 0)),
    ],
)
def test_each_tube_page_is_drawn_without_an_error_and_without_a_request(
    report: Path, tmp_path: Path, route: str, heading: str, drawn: tuple[int, int]
) -> None:
    document, console = opened(report, route, tmp_path)
    assert console == []
    gates = len(re.findall(r'<figure class="gate(?: unset)?">', document))
    assert (gates, figures_drawn(document)) == drawn
    assert re.search(rf"<h1[^>]*>{heading}</h1>", document)
    assert f"<title>{heading} · A trial</title>" in document
    outside = re.sub(r"<script.*?</script>", "", document, flags=re.DOTALL)
    assert "<b>x</b>" not in outside


def test_each_gate_is_drawn_inside_its_frame_and_tells_its_numbers(scripted) -> None:
    said = scripted(
        "#/tube/T01",
        """const all = [...document.querySelectorAll(".gate canvas")];
        const pixels = all.map((c) => c.getContext("2d").getImageData(0, 0, c.width, c.height));
        const drawn = pixels.every((p) => p.data.filter((v, i) => i % 4 === 3 && v > 0).length > 1000);
        // Debris and lymphocytes lie low on the side scatter; few events are high.
        const dark = (from, to) => { let n = 0; const p = pixels[0]; for (let i = 4 * p.width * Math.round(from * p.height); i < 4 * p.width * Math.round(to * p.height); i += 4) if (p.data[i + 3]) n += 255 - p.data[i]; return n; };
        const box = document.querySelector(".picture");
        const a = box.querySelector("canvas").getBoundingClientRect(), b = box.querySelector("svg > rect.frame").getBoundingClientRect();
        const inside = ["left", "right", "top", "bottom"].every((k) => Math.abs(a[k] - b[k]) < 1.5);
        const svg = [...document.querySelectorAll(".picture svg")];
        const right = (r) => Number(r.getAttribute("x")) + Number(r.getAttribute("width"));
        const open = Math.abs(right(svg[2].querySelector(".within")) - right(svg[2].querySelector("rect.frame"))) < 0.01;
        done([all.length, drawn, dark(0.75, 1) > 1.5 * dark(0.1, 0.35), inside, open, svg.map((s) => s.querySelectorAll(".edge").length).join(""), all[3].getAttribute("aria-label")].join("|"));""",
    )
    count, drawn, lowest_below, inside, open_side, edges, label = said.split("|")
    assert (count, drawn, lowest_below, inside, open_side) == ("8", "true", "true", "true", "true")
    assert edges == "11111111"
    assert label == (
        "Gate CD4+, in CD3+; 7,000 of 12,000 = 58.3 % (52.5 to 64.2), events in the gate of those in its parent; "
        "CD8 over CD4"
    )


def test_what_could_not_be_set_has_a_reason_and_a_rejected_number_is_in_italics(scripted) -> None:
    said = scripted(
        "#/tube/T02",
        """const unset = document.querySelector(".gate.unset");
        const rows = [...document.querySelectorAll('[aria-label="Populations of the tube"] tbody tr')];
        done([unset.querySelectorAll("figcaption > span").length, unset.querySelectorAll(".edge").length, rows[0].children[1].textContent, rows[1].querySelector(".ne").dataset.tip, unset.querySelector("em").textContent].join("|"));""",
    )
    numbers, edges, events, tip, text = said.split("|")
    assert (numbers, edges, events) == ("0", "0", "–")
    assert tip == "Rejected, not used. 40 % (39.4 to 40.6)"
    assert text.startswith("Not set: no threshold")


def test_the_acquisition_marks_what_was_left_out_and_background_waits_for_its_opening(scripted) -> None:
    said = scripted(
        "#/tube/T01",
        """const data = document.querySelector(".js-plotly-plot").data, out = data.find((t) => t.name === "Left out");
        const cells = (table) => [...table.querySelectorAll("tbody tr")].map((r) => [...r.children].map((c) => c.textContent).join()).join(";");
        const box = [...document.querySelectorAll("details")].find((d) => d.textContent.startsWith("Every gate"));
        const before = box.querySelectorAll("tr").length;
        box.open = true;
        setTimeout(() => done([out.x.filter((x) => x !== null).join(), cells(document.querySelector('[aria-label="Stretches left out"]')), before, cells(box).slice(-14)].join("|")), 300);""",
    )
    assert said.split("|") == [
        "20,20,24,24,78,78,80,80",
        "20 to 24 s,800,Flow rate; signal of CD3-A;78 to 80 s,1,000,Signal of CD3-A, CD4-A",
        "0",
        "3,12,000,0.025",
    ]


def test_what_is_not_quantified_or_rejected_is_no_plain_number(scripted) -> None:
    said = scripted(
        "#/tube/T01",
        """const rows = [...document.querySelectorAll('[aria-label="Populations of the tube"] tbody tr')];
        const cell = (r, k) => rows[r].children[k].textContent;
        done([cell(0, 2), cell(0, 3), cell(1, 2), cell(1, 3), cell(2, 2), rows[1].querySelector(".bound").dataset.tip].join("|"));""",
    )
    assert said.split("|") == [
        "40 (39.4 to 40.6)of Lymphocytes",
        "1,200 (1,150 to 1,250)by counting beadsacquired volume: 1,130",
        "< 0.167of CD3+",
        "< 5by counting beadsacquired volume: 1,130",
        "not detectedof Lymphocytes",
        "Below quantification. Computed: 0.25 % (0.17 to 0.36)",
    ]


def test_the_line_for_the_review_sheet_names_tube_verdict_and_hash(scripted) -> None:
    said = scripted(
        "#/tube/T02",
        """const field = document.querySelector(".review textarea"), first = field.value.split("\\t").join();
        [...document.querySelectorAll(".review .segments button")].find((b) => b.textContent === "Reject").click();
        done([first, field.value.split("\\t").join(), document.querySelector(".hash code").textContent].join("|"));""",
    )
    assert said == f"T02,accepted,{HASH}|T02,rejected,{HASH}|{HASH}"


def test_a_control_tube_names_the_tubes_that_rest_on_it(scripted) -> None:
    said = scripted(
        "#/tube/T03",
        """const row = [...document.querySelectorAll('[aria-label="What was acquired"] tr')].find((r) => r.textContent.startsWith("Control of"));
        done([...row.querySelectorAll("a")].map((a) => a.getAttribute("href")).join());""",
    )
    assert said == "#/tube/T01,#/tube/T02"


def test_flowjo_s_counts_stand_beside_ours(scripted) -> None:
    said = scripted(
        "#/tube/T04",
        """const row = document.querySelector('[aria-label="Comparison with FlowJo"] tbody tr');
        done([...row.children].map((c) => c.textContent).join("|"));""",
    )
    assert said == "Lymphocytes|20,000|20,040|−40|−0.200"


@pytest.mark.parametrize("route", ["#/quality", "#/tube/T02"])
def test_a_finding_of_a_tube_leads_to_its_page(scripted, route: str) -> None:
    said = scripted(
        route,
        """const link = [...document.querySelectorAll("td a")].find((a) => a.getAttribute("href") === "#/tube/T02");
        done(link.textContent);""",
    )
    assert said == "T02"


def test_a_patient_s_page_names_the_tubes_of_its_samples(scripted) -> None:
    said = scripted(
        "#/patient/P02",
        """const rows = [...document.querySelectorAll('[aria-label="Flow tubes of the patient"] tbody tr')];
        done([rows.length, rows[0].querySelector("a").getAttribute("href")].join("|"));""",
    )
    assert said == "1|#/tube/T02"


def test_the_list_says_each_tube_s_state(scripted) -> None:
    said = scripted(
        "#/tubes",
        """const rows = [...document.querySelectorAll('[aria-label="Tubes"] tbody tr')];
        done(rows.map((r) => [r.children[0].textContent, r.children[6].textContent, r.children[4].querySelector(".verdict").textContent, [...r.children[4].querySelectorAll(".say")].pop()?.textContent, r.children[7].textContent].join()).join(";"));""",
    )
    first, second, third, _ = said.split(";")
    assert first == "T01,3,accepted,1 flagged of 2 populations,Accepted by the reviewerab202103"
    assert second.startswith(
        "T02,3,flagged,2 rejected of 2 populations,The gates are not those that the reviewer signed"
    )
    assert third == "T03,3,control,,ab202103"


def test_an_accepted_tube_says_which_of_its_populations_are_not(scripted) -> None:
    said = scripted("#/tube/T01", """done(document.querySelector(".notice").textContent);""")
    assert (
        said
        == "accepted No rule of the tube is broken.1 flagged of 2 populations, each with its reason below."
    )


@pytest.mark.parametrize("route", ["#/tubes", "#/tube/T01", "#/tube/T02"])
def test_no_tube_page_is_wider_than_a_narrow_window(report: Path, tmp_path: Path, route: str) -> None:
    width, console = frame_width(report, route, tmp_path)
    assert console == []
    assert width <= 360
