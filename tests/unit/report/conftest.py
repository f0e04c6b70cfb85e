from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.report.browser import opened
from tests.unit.report.small_trial import trial

from cartrace.config import Config
from cartrace.report.page import ReportData


@pytest.fixture(scope="session")
def data() -> ReportData:
    return trial()


@pytest.fixture
def config() -> Config:
    return Config()


@pytest.fixture
def scripted(report: Path, tmp_path: Path):
    """Run a few lines on the module's own ``report``, opened; they end with a call of ``done(text)``."""

    def run(route: str, lines: str) -> str:
        html = report.read_text(encoding="utf-8")
        # Only for the test: the policy of the page refuses any script but its own two.
        html = re.sub(r"<meta http-equiv=.*?>", "", html, count=1)
        # The tables of the cohort page are made after its first figure.
        later = f"setTimeout(() => {{ {lines} }}, 1500);"
        extra = f"<script>const done = (t) => {{ document.body.dataset.said = t; }};\n{later}</script>"
        path = tmp_path / "scripted.html"
        path.write_text(html.replace("</body>", extra + "</body>"), encoding="utf-8")
        document, console = opened(path, route, tmp_path / "profile")
        assert console == []
        said = re.search(r'data-said="([^"]*)"', document)
        assert said is not None
        return said[1]

    return run
