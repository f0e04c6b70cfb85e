from __future__ import annotations

import pytest
from tests.unit.report.small_trial import trial

from cartrace.config import Config
from cartrace.report.page import ReportData


@pytest.fixture(scope="session")
def data() -> ReportData:
    return trial()


@pytest.fixture
def config() -> Config:
    return Config()
