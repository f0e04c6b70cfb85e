"""No date, name or birth date of a laboratory file gets out: no table, page, log or benchmark holds one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.workflow import planted
from tests.workflow.conftest import Workplace

pytestmark = pytest.mark.slow

ENGINE = re.compile(
    r"^\[\w{3} \w{3} +\d{1,2} [\d:]{8} \d{4}\]|^ {2}Date: [\d-]{10} [\d:]{8}$|^ {2}(?:Python version|Platform): .*$"
    r"|\.snakemake/log/\d{4}-\d\d-\d\dT\d{6}\.\d+\.snakemake\.log",
    re.MULTILINE,
)
"""What Snakemake says of its own run: its date, its Python, when a job began, the name of its log."""


def found_in(folder: Path) -> list[str]:
    """What was planted, or reads as a date, in the files of a folder and in their names."""
    from plotly.offline import get_plotlyjs

    out = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder.parent).as_posix()
        out += [f"{name}: the name: {trace}" for trace in planted.traces(name)]
        for place, text in planted.texts(path) if path.is_file() else ():
            # The library that draws the figures parses dates, and its code reads as some.
            own = text.replace(get_plotlyjs().strip(), "") if path.name == "report.html" else text
            out += [f"{name} {place}: {trace}" for trace in planted.traces(own)]
    return out


@pytest.mark.parametrize("folder", ["results", "logs", "benchmarks"])
def test_nothing_planted_stands_in_what_a_run_makes(finished: Workplace, folder: str) -> None:
    assert any((finished.trial / folder).rglob("*"))
    assert found_in(finished.trial / folder) == []


def test_the_search_finds_what_was_planted(finished: Workplace) -> None:
    trial = finished.trial
    for path in [
        *trial.glob("data/flow/*.csv"),
        *trial.glob("data/cells/*/*.h5"),
        *trial.glob("constructs/*.gtf"),
    ]:
        found = {trace for _, text in planted.texts(path) for trace in planted.traces(text)}
        assert set(planted.NAMES) | set(planted.forms(planted.BORN)) <= found, path


def test_the_logs_of_the_engine_hold_no_date_but_those_of_its_own_run(finished: Workplace) -> None:
    logs = list((finished.trial / ".snakemake/log").iterdir())
    assert logs
    for log in logs:
        text = ENGINE.sub("", log.read_text())
        assert planted.traces(text) == set()
        assert ENGINE.search(log.read_text())
