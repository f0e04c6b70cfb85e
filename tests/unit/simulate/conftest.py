"""Two trials, simulated and read once."""

from __future__ import annotations

import pytest
from tests.unit.simulate.reading import Read, read

from cartrace.simulate.trial import Trial, simulate_trial


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Read:
    return read(
        simulate_trial(2024, plates=False, tubes=False, immunoassays=False, bedside=False, libraries=False),
        tmp_path_factory.mktemp("demo") / "trial",
    )


@pytest.fixture(scope="session")
def sixty() -> Trial:
    """Sixty subjects without a planted error, and nothing of instruments, libraries or the bedside."""
    return simulate_trial(
        2024,
        60,
        plant_errors=False,
        plates=False,
        tubes=False,
        immunoassays=False,
        bedside=False,
        libraries=False,
    )


@pytest.fixture(scope="session")
def clean(sixty: Trial, tmp_path_factory: pytest.TempPathFactory) -> Read:
    return read(sixty, tmp_path_factory.mktemp("clean") / "trial")
