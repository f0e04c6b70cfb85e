"""The page in a real browser, without a network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.report.browser import BROWSER, HOSTILE, figures_drawn, frame_width, opened, visited
from tests.unit.report.full_trial import full_trial
from tests.unit.report.small_trial import trial

from cartrace.config import load
from cartrace.report import page
from cartrace.report.page import render

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium to open the page"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(
        render(full_trial(hostile=HOSTILE), load({"trial": {"title": "A trial"}})), encoding="utf-8"
    )
    return path


@pytest.mark.parametrize(
    ("route", "heading", "figures"),
    [
        ("", "Cohort", 3),
        ("#/cohort", "Cohort", 3),
        ("#/patients", "Patients", 0),
        ("#/patient/P03", "P03", 1),
        ("#/quality", "Quality", 0),
        ("#/methods", "Methods", 0),
    ],
)
def test_each_page_is_drawn_without_an_error_and_without_a_request(
    report: Path, tmp_path: Path, route: str, heading: str, figures: int
) -> None:
    document, console = opened(report, route, tmp_path)
    assert console == []
    assert figures_drawn(document) == figures
    assert re.search(rf"<h1[^>]*>{heading}</h1>", document)
    assert f"<title>{heading} · A trial</title>" in document


def test_the_harness_notices_a_request(report: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    html = report.read_text(encoding="utf-8")
    bad.write_text(
        html.replace("</body>", '<img src="https://example.invalid/x.png"></body>'), encoding="utf-8"
    )
    _, console = opened(bad, "#/methods", tmp_path / "profile")
    assert len(console) == 1
    assert "Content Security Policy" in console[0]


def test_hostile_names_are_shown_as_they_are_written(report: Path, tmp_path: Path) -> None:
    document, console = opened(report, "#/cohort", tmp_path)
    assert console == []
    outside = re.sub(r"<script.*?</script>", "", document, flags=re.DOTALL)
    assert "P01&lt;script&gt;" in outside
    assert "<b>x</b>" not in outside


def test_sorting_puts_what_is_not_estimable_last(scripted) -> None:
    said = scripted(
        "#/cohort",
        """
        const table = document.querySelector('[aria-label="Metrics of each patient"] table');
        const head = [...table.querySelectorAll("thead th")];
        const k = head.findIndex((x) => x.textContent.startsWith("Half-life"));
        const values = () => [...table.querySelectorAll("tbody tr")].map((r) => r.children[k].textContent);
        head[k].querySelector("button").click();
        const up = values();
        head[k].querySelector("button").click();
        done(up.join(";") + "|" + values().join(";") + "|" + head[k].getAttribute("aria-sort"));
        """,
    )
    up, down, direction = said.split("|")
    assert direction == "descending"
    rising = [float(x) for x in up.split(";")[:9]]
    assert rising == sorted(rising)
    assert [float(x) for x in down.split(";")[:9]] == rising[::-1]
    assert up.split(";")[9:] == down.split(";")[9:] == ["not estimable"] * 3


def test_a_reason_shows_on_keyboard_focus(scripted) -> None:
    said = scripted(
        "#/cohort",
        """
        const cell = document.querySelector(".ne");
        cell.focus();
        const tip = document.getElementById("tip");
        done([tip.hidden, tip.textContent, cell.getAttribute("aria-describedby")].join("|"));
        """,
    )
    hidden, text, described = said.split("|")
    assert (hidden, described) == ("false", "tip")
    assert text.startswith("Not ")
    assert ": " in text


FAMILY = """
    const press = (t) => [...document.querySelectorAll("button")].find((b) => b.textContent === t).click();
    const headings = () => [...document.querySelectorAll("#view h2")].map((x) => x.textContent);
"""


@pytest.mark.parametrize(
    ("family", "figures", "columns"),
    [
        ("B and plasma cells", ["Depletion", "Reconstitution"], "Baseline,Nadir,Time to depletion"),
        ("Antibody", ["Fall of each patient", "Decline"], "Fall,Time to four-fold fall"),
        ("Immunoglobulins", [], "Baseline"),
    ],
)
def test_each_family_has_its_own_figures_and_key_metrics(scripted, family, figures, columns) -> None:
    said = scripted(
        "#/cohort",
        FAMILY
        + f"""
        press("{family}");
        setTimeout(() => {{
            const labels = [...document.querySelectorAll('[aria-label="Metrics of each patient"] thead th')].map((x) => x.firstChild.textContent);
            const caution = document.querySelectorAll(".caution").length;
            done([headings().join(";"), labels.join(","), caution, document.querySelectorAll(".js-plotly-plot").length].join("|"));
        }}, 2000);""",
    )
    headings, labels, caution, drawn = said.split("|")
    for heading in figures:
        assert heading in headings.split(";")
    assert "Persistence" not in headings
    assert columns in labels
    assert "Peak" not in labels
    assert int(drawn) == 1 + len(figures)
    assert (int(caution) > 0) == (family == "Antibody")


def test_means_of_an_antibody_stand_in_the_figure_and_in_a_table(scripted) -> None:
    said = scripted(
        "#/cohort",
        FAMILY
        + """
        press("Antibody");
        setTimeout(() => {
            const rows = [...document.querySelectorAll('[aria-label="Mean level and change at each visit"] tbody tr')].map((r) => [...r.children].map((c) => c.textContent).join(";"));
            const traces = document.querySelector(".js-plotly-plot").data.filter((t) => /mean/.test(t.name) && !/Median/.test(t.name));
            const why = document.querySelector('[aria-label="Mean level and change at each visit"] .ne').dataset.tip;
            done([...rows, traces.map((t) => `${t.name} ${t.y}`).join(";"), traces[1].error_y.array.concat(traces[1].error_y.arrayminus).map(Math.round), why].join("|"));
        }, 2000);""",
    )
    baseline, m1, m6, traces, bars, why = said.split("|")
    assert baseline.startswith("Baseline;−6;11;–;194 (95 % 111 to 338);137;–")
    assert m1.startswith(f"D28{HOSTILE};28;10;2 below;")
    assert m1.endswith("64 (95 % 32 to 128);46;0.354 (95 % 0.25 to 0.5);1 no result in the window")
    assert m6 == "M6;180;9;7 below;not estimable;–;–;–"
    assert traces == "Usual mean of end points 137.2,46;Geometric mean with 95 % limits 194,64"
    assert bars == "144,64,83,32"
    assert why == "7 of 9 results lie below a limit, more than 50 %"


def test_the_answers_look_different_and_say_what_they_rest_on(scripted) -> None:
    said = scripted(
        "#/cohort",
        """
        const row = document.querySelector(".question");
        const dots = [...row.querySelectorAll(".dot")];
        const looks = ["yes", "no", "unknown"].map((c) => { const s = getComputedStyle(row.querySelector(".dot." + c)); return s.backgroundColor + s.borderStyle + s.backgroundImage; });
        done([dots.length, new Set(looks).size, dots[2].title].join("|"));
        """,
    )
    count, looks, title = said.split("|")
    assert (count, looks) == ("12", "3")
    assert title == "P03: not assessable. AQP4-IgG: negative at baseline"


def test_every_panel_of_the_cohort_page_is_there(scripted) -> None:
    said = scripted(
        "#/cohort",
        "done([...document.querySelectorAll('#view h2')].map((x) => x.textContent).join(';'))",
        fresh=True,
    )
    assert said.split(";") == [
        "Questions",
        "Courses and metrics",
        "CAR transgene in blood",
        "Persistence",
        "Follow-up of each patient",
        "Metrics of each patient",
        "Summary over patients",
        "Table 1: the patients",
        "What goes with what",
    ]


def test_what_was_not_tested_says_so(scripted) -> None:
    said = scripted(
        "#/cohort",
        """const t = document.querySelector('[aria-label="Associations"]');
        done([t.querySelectorAll(".ne").length, t.querySelectorAll("tbody tr")[2].textContent].join("|"));""",
    )
    count, row = said.split("|")
    assert count == "1"
    assert "not tested" in row
    assert "fewer than 5 pairs" in row


def test_a_patient_shows_events_episodes_and_masked_results(scripted) -> None:
    said = scripted(
        "#/patient/P02",
        """
        const plot = document.querySelector(".js-plotly-plot");
        const masked = plot.data.find((t) => (t.name || "").startsWith("Masked"));
        const notes = plot.layout.annotations.map((a) => a.text);
        const bars = plot.data.find((t) => (t.name || "").startsWith("Titre: from"));
        done([masked.name, masked.x.join(), masked.marker.symbol, notes.some((t) => t.startsWith("IVIG")), notes.some((t) => t.startsWith("tocilizumab")),
          notes.includes("masked after IVIG"), bars.y.slice(0, 2).join(), plot.layout.shapes.filter((s) => s.fillcolor && s.fillcolor.startsWith("rgba(0,158,115")).length].join("|"));
        """,
    )
    assert said.split("|") == [
        "Masked after IVIG, not used",
        "84",
        "circle-open",
        "true",
        "true",
        "true",
        "640,1280",
        "3",
    ]


def test_parts_of_an_analyte_wait_behind_the_switch(scripted) -> None:
    said = scripted(
        "#/patient/P06",
        """
        const titles = () => document.querySelector(".js-plotly-plot").layout.annotations.map((a) => a.text).filter((t) => t.startsWith("<b>"));
        const before = titles();
        const panels = [...document.querySelectorAll("select")].find((s) => s.options[0].textContent.startsWith("Main panels"));
        panels.value = "all";
        panels.dispatchEvent(new Event("change"));
        const open = document.querySelector(".js-plotly-plot").layout.annotations.some((a) => a.text === "still depleted ▸");
        done([before.length, before.some((t) => t.includes("Memory")), titles().length, titles().some((t) => t.includes("Memory")), open].join("|"));
        """,
    )
    assert said == "6|false|7|true|true"


def test_labels_of_the_event_strip_do_not_cover_each_other(scripted) -> None:
    said = scripted(
        "#/patient/P02",
        """
        const plot = document.querySelector(".js-plotly-plot");
        const strip = [...plot.querySelectorAll(".scatterlayer .trace .text text")].map((x) => x.getBoundingClientRect()).filter((r) => r.width);
        let hits = 0;
        strip.forEach((a, i) => strip.slice(i + 1).forEach((b) => { if (a.left < b.right && b.left < a.right && a.top + 3 < b.bottom && b.top + 3 < a.bottom) hits += 1; }));
        done([strip.length, hits].join("|"));
        """,
    )
    labels, hits = said.split("|")
    assert int(labels) >= 5
    assert hits == "0"


def test_a_formula_is_defused_in_the_downloaded_table(tmp_path: Path) -> None:
    data = trial()
    for frame in (data.measurements, data.metrics, data.subjects, data.infusions, data.qc):
        frame["subject_id"] = frame["subject_id"].replace({"P01": "=cmd()"})
    html = re.sub(r"<meta http-equiv=.*?>", "", render(data, load({})), count=1)
    lines = """<script>
        // Reading a blob takes real time, which the browser's virtual clock does not wait for.
        const Real = Blob;
        Blob = function (parts) { document.body.dataset.said = encodeURIComponent(parts.join("")); return new Real(parts); };
        URL.createObjectURL = () => "#/cohort";
        setTimeout(() => [...document.querySelectorAll("button")].find((b) => b.textContent === "Download as CSV").click(), 1500);
    </script>"""
    path = tmp_path / "report.html"
    path.write_text(html.replace("</body>", lines + "</body>"), encoding="utf-8")
    document, console = opened(path, "#/cohort", tmp_path / "profile")
    assert console == []
    said = re.search(r'data-said="([^"]*)"', document)
    assert said is not None
    from urllib.parse import unquote

    rows = unquote(said[1]).lstrip("\ufeff").splitlines()
    assert rows[0].startswith("subject_id,cohort,infusion,matrix,")
    assert rows[1].startswith("'=cmd(),0.5e6/kg,1,blood,transgene,qpcr,copies/ug,cmax,")


@pytest.mark.parametrize("route", ["#/cohort", "#/patients", "#/patient/P05", "#/quality", "#/methods"])
def test_nothing_is_wider_than_a_narrow_window(report: Path, tmp_path: Path, route: str) -> None:
    width, console = frame_width(report, route, tmp_path)
    assert console == []
    assert width <= 360


def test_a_large_cohort_says_how_many_are_drawn_and_draws_all_on_demand(tmp_path: Path) -> None:
    large = tmp_path / "large.html"
    large.write_text(render(trial(201), load({})), encoding="utf-8")
    _, console, said = visited(
        large,
        "#/cohort",
        lines="""
        const text = () => document.getElementById("view").textContent;
        const before = ["200 of 201 courses drawn", "200 of 201 patients drawn", "Showing 200 of 201"].map((x) => text().includes(x));
        const drawn = () => new Set(document.querySelector(".plot").data.flatMap((t) => t.customdata || []).filter((s) => s !== null)).size;
        const some = drawn();
        [...document.querySelectorAll("button")].filter((b) => b.textContent === "Draw all 201").forEach((b) => b.click());
        done([...before, some, drawn(), text().includes("of 201 courses drawn"), text().includes("of 201 patients drawn")].join());
        """,
    )
    assert console == []
    assert said == "true,true,true,200,201,false,false"


@pytest.mark.parametrize("route", ["#/cohort", "#/patient/P03", "#/quality"])
def test_compressed_data_draw_the_same_page(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    monkeypatch.setattr(page, "PLAIN_BELOW", 0)
    packed = tmp_path / "packed.html"
    packed.write_text(
        render(full_trial(hostile=HOSTILE), load({"trial": {"title": "A trial"}})), encoding="utf-8"
    )
    assert "P03" in report.read_text().split('id="cartrace-data">')[1].split("</script>")[0]
    assert "P03" not in packed.read_text().split('id="cartrace-data">')[1].split("</script>")[0]

    def shown(path: Path) -> str:
        _, console, said = visited(path, route, lines="done(document.getElementById('view').innerText)")
        assert console == []
        return said

    assert shown(packed) == shown(report) != ""
