"""The safety page, and toxicity and drugs on a patient's page, in a real browser without a network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.report.browser import BROWSER, HOSTILE, figures_drawn, frame_width, opened
from tests.unit.report.safety_trial import safety_trial

from cartrace.config import load
from cartrace.report.page import render

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium to open the page"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(
        render(safety_trial(hostile=HOSTILE), load({"trial": {"title": "A trial"}})), encoding="utf-8"
    )
    return path


def row(document: str, label: str, start: str) -> list[str]:
    """Cells of the row of a labelled table whose first cell starts so, as text."""
    body = document.split(f'aria-label="{label}"', maxsplit=1)[1].split("</table>", maxsplit=1)[0]
    for line in re.findall(r"<tr[^>]*>(.*?)</tr>", body, re.DOTALL):
        cells = [re.sub(r"<[^>]*>", "", c) for c in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.DOTALL)]
        if cells and cells[0].startswith(start):
            return cells
    raise AssertionError(start)


def test_the_safety_page_prints_the_table_and_draws_the_days(report: Path, tmp_path: Path) -> None:
    document, console = opened(report, "#/safety", tmp_path)
    assert console == []
    assert re.search(r"<h1[^>]*>Safety</h1>", document)
    assert figures_drawn(document) == 1
    computed = row(document, "Highest grade by term", "Cytokine release syndrome computed")
    # P05 is open (its oxygen is missing), P07 was not looked at.
    assert computed[1:] == ["11", "7 (64 %)", "4 to 5", "2 to 3", "0 to 1", "0 to 1", "–", "0 to 1", "1"]
    nausea = row(document, "Highest grade by term", "Nausea")
    assert nausea[1:3] == ["12", "3 (25 %)"]
    assert nausea[-1] == "–"
    assert "9 patients without a report" in document
    assert "&lt;script&gt;" in nausea[0]
    assert row(document, "Highest grade by term", "Tocilizumab")[2:4] == ["1 (8 %)", ""]
    onset = row(document, "Onset and duration", "Cytokine release syndrome computed")
    assert onset[1:] == ["7", "2 (2)", "3 (2 to 5)", "0"]
    assert row(document, "Highest grade of each patient", "P04")[2] == "1 / 3"
    assert row(document, "Thresholds", "Neurotoxicity")[1].startswith("ASTCT consensus 2019, ICANS")
    assert "the clinician grades crs otherwise" in document
    assert "Not assessed: P07." in document


def test_a_patients_page_shows_grades_and_drugs_beside_the_courses(report: Path, tmp_path: Path) -> None:
    document, console = opened(report, "#/patient/P02", tmp_path)
    assert console == []
    assert figures_drawn(document) == 1
    for words in (
        "Toxicity grade by day",
        "CRS, clinicians",
        "trimethoprim-sulfamethoxazole",
        "days −60 to −30",
    ):
        assert words in document
    crs = row(document, "Toxicity", "Cytokine release syndrome computed")
    assert crs[1:5] == ["2", "2", "4", "3"]
    assert crs[5].startswith("temperature 39.1 °C; oxygen: low flow")


def test_the_safety_page_fits_a_telephone(report: Path, tmp_path: Path) -> None:
    width, console = frame_width(report, "#/safety", tmp_path)
    assert console == []
    assert width <= 360
