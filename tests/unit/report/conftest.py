from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.report.browser import visited
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
def scripted(report: Path):
    """Run a few lines on the module's own ``report``, opened; they end with a call of ``done(text)``."""

    def run(route: str, lines: str, *, fresh: bool = False) -> str:
        _, console, said = visited(report, route, lines=lines, fresh=fresh)
        assert console == []
        return said

    return run
