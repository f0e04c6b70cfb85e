"""Night after night on a growing cohort: each run does exactly what the contract says, and leaves what a fresh run would.

``make test-year`` runs a year (CARTRACE_NIGHTS=365), ``make test`` a few eventful nights.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from scripts.simulate.simulate_trial import main as simulate
from scripts.verify_results import main as verify
from tests.nights.calendars import few_nights, year
from tests.nights.events import Contract, Laboratory
from tests.nights.quick_snakemake import quick_snakemake
from tests.same_results import differences

from cartrace import schedule
from cartrace.intake import inbox
from cartrace.schedule import Exit, Request

NIGHTS = int(os.environ.get("CARTRACE_NIGHTS", "0"))
DAY = 86400.0
FIRST = ("NMO-001", "NMO-002", "NMO-003")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nights") / "simulated"
    assert (
        simulate(["--output", str(folder), "--subjects", "6", "--without-libraries", "--without-bedside"])
        == 0
    )
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the scheduled entry start a Snakemake that is imported already."""
    command = schedule.snakemake_command
    with quick_snakemake() as program:
        monkeypatch.setattr(
            schedule,
            "snakemake_command",
            lambda *given, **named: [str(program), *command(*given, **named)[1:]],
        )
        yield


def request_of(trial: Path) -> Request:
    profile = schedule.REPOSITORY / "profiles/default"
    return Request(trial / "config.yaml", cores=2, profile=profile, keep=0)


def run(trial: Path, now: float, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the scheduled entry at a time of our own."""
    monkeypatch.setattr(inbox, "time", SimpleNamespace(time=lambda: now))
    return schedule.run(request_of(trial), lambda line: None)


def killed(trial: Path) -> None:
    """Start the entry as cron does, and kill it and Snakemake as soon as a job works."""
    program = schedule.REPOSITORY / "scripts/run_scheduled.py"
    options = ("--cores", "2", "--profile", str(schedule.REPOSITORY / "profiles/default"), "--keep", "0")
    with subprocess.Popen(
        [sys.executable, str(program), "--config", str(trial / "config.yaml"), *options],
        stdout=subprocess.PIPE,
        text=True,
    ) as entry:
        assert entry.stdout is not None
        assert any(re.match(r"(local)?rule \w+:$", line) for line in entry.stdout)
        snakemake = int((trial / schedule.LOCK).read_text())
        entry.kill()
        os.kill(snakemake, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while schedule.is_running(trial):  # until the system has taken the lock from it
        assert time.monotonic() < deadline
        time.sleep(0.1)


def record_of(trial: Path, number: int) -> dict[str, Any]:
    return dict(json.loads((trial / f"results/runs/{number}.json").read_text()))


def jobs_of(counts: dict[str, int]) -> Counter[str]:
    return Counter({rule: n for rule, n in counts.items() if n and rule != "all"})


def test_each_night_runs_what_the_contract_says_and_no_more(
    simulated: Path, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, begun = tmp_path / "trial", time.time()
    laboratory, contract = Laboratory(simulated, trial, FIRST), Contract()
    calendar = year(laboratory.files, nights=NIGHTS) if NIGHTS else few_nights(laboratory.files)
    nights = NIGHTS or max(calendar)
    # The first run makes everything that rests on the sheets and on the one table that is there.
    contract.due = contract.of_sheets() | {("read_laboratory_table", "pcr_batch_01")}
    missed = 0
    for night in range(1, nights + 1):
        events, now = calendar.get(night, []), begun + DAY * night
        for event in events:
            laboratory.happens(event, now)
            contract.happens(event)
        told = f"night {night}: {', '.join(map(str, events)) or 'nothing'}"
        if any(event.what == "killed" for event in events):
            killed(trial)
            log = (trial / f"logs/runs/{night}.log").read_text()
            contract.due -= {
                (rule, "") for rule in re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", log, re.M)
            }
            missed += 1
            continue
        planned, started, failed = contract.night()
        status = run(trial, now, monkeypatch)
        record = record_of(trial, night)
        assert status == (Exit.FAILED if failed else Exit.OK), (told, record["problems"])
        assert jobs_of(record["planned"]) == planned, told
        assert jobs_of({rule: jobs["jobs"] for rule, jobs in record["rules"].items()}) == started, told
        assert jobs_of({rule: jobs["failed"] for rule, jobs in record["rules"].items()}) == failed, told
        causes_are_named(trial, record, events, told)
        print(f"{time.time() - begun:6.0f} s, {told}: {planned.total()} jobs", flush=True)
    numbers = {int(path.stem) for path in (trial / "results/runs").glob("*.json") if path.stem.isdigit()}
    assert len(numbers) == nights - missed
    assert len(list((trial / "logs/runs").glob("*.log"))) == nights
    assert verify(["--config", str(trial / "config.yaml")]) == 0
    fresh = tmp_path / "fresh"
    shutil.copytree(trial, fresh, ignore=shutil.ignore_patterns("results", "logs", "benchmarks", ".*"))
    assert run(fresh, begun + DAY * (nights + 1), monkeypatch) == Exit.OK
    assert differences(trial, fresh) == []


def causes_are_named(trial: Path, record: dict[str, Any], events: list[Any], told: str) -> None:
    """Check that a run whose metrics moved names what happened since the last good one."""
    moved = record.get("metrics") or {}
    if not moved.get("table"):
        return
    causes = set(pd.read_parquet(trial / moved["table"].replace(".tsv", ".parquet"))["causes"])
    assert len(causes) == 1, told
    for event in events:
        if event.what in {"left", "listed", "corrected"} and event.file.name in str(record["inputs"]):
            assert event.file.name in causes.pop(), told
            return
