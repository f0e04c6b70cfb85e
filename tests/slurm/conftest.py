"""A Slurm cluster for the tests in this folder, and trial folders to run on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.slurm.cluster import ACCOUNT, PARTITION, Cluster, Unavailable, install

from cartrace.schedule import Request

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = REPOSITORY / "scripts" / "run_scheduled.py"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Start the cluster once for all tests, or skip them with the reason."""
    if os.environ.get("CARTRACE_SLURM") != "1":
        pytest.skip("starts a Slurm cluster on this machine: make test-slurm")
    try:
        install()
        started = Cluster().__enter__()
    except Unavailable as reason:
        pytest.skip(str(reason))
    try:
        yield started
    finally:
        started.__exit__()


@dataclass(frozen=True)
class Place:
    """A trial folder that runs on Slurm by the profile of the repository, with a site's own settings."""

    trial: Path
    snakefile: Path | None = None
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """How the names of this folder's jobs begin."""
        return Request(self.trial / "config.yaml").prefix

    def command(self, *options: str, jobs: int = 6, **changes: Any) -> list[str]:
        """Return the command of one run; ``changes`` replace keys of the profile, with _ for -."""
        profile = yaml.safe_load((REPOSITORY / "profiles/slurm/profile.v9+.yaml").read_text())
        profile["default-resources"] |= {"slurm_account": ACCOUNT, "slurm_partition": PARTITION}
        profile |= {"jobs": jobs, "latency-wait": 5}
        profile |= {"slurm-init-seconds-before-status-checks": 3, "max-status-checks-per-second": 1}
        profile |= {key.replace("_", "-"): value for key, value in changes.items()}
        folder = self.trial.parent / "profile"
        folder.mkdir(exist_ok=True)
        (folder / "profile.v9+.yaml").write_text(yaml.safe_dump(profile))
        own = ["--snakefile", str(self.snakefile)] if self.snakefile else []
        return [
            *(sys.executable, str(PROGRAM), "--config", str(self.trial / "config.yaml")),
            *("--profile", str(folder), *own, *options),
        ]

    def start(self, *options: str, **changes: Any) -> subprocess.Popen[str]:
        """Start a run; what it says is in ``said``."""
        with (self.trial.parent / "said").open("w") as said:
            process = subprocess.Popen(
                self.command(*options, **changes), stdout=said, stderr=subprocess.STDOUT, text=True
            )
        self.started.append(process)
        return process

    def finish(self, process: subprocess.Popen[str], seconds: float = 600) -> int:
        """Wait for a run's end and return its exit status."""
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the run did not end within {seconds:g} s:\n{self.said}")

    def stop(self) -> None:
        """Stop what a test that failed left running."""
        for process in self.started:
            process.terminate()
            process.wait(180)

    def run(self, *options: str, seconds: float = 600, **changes: Any) -> int:
        """Run to the end and return the exit status."""
        return self.finish(self.start(*options, **changes), seconds)

    @property
    def said(self) -> str:
        """What the last run said."""
        return (self.trial.parent / "said").read_text()

    def record(self) -> dict[str, Any]:
        """Return the record of the last run."""
        records = (self.trial / "results/runs").glob("[0-9]*.json")
        found: dict[str, Any] = json.loads(max(records, key=lambda path: int(path.stem)).read_text())
        return found


@pytest.fixture
def make_place(cluster: Cluster) -> Iterator[Callable[..., Place]]:
    """Make a trial folder for Slurm; runs that are left are stopped after the test."""
    made: list[Place] = []

    def make(trial: Path, snakefile: Path | None = None) -> Place:
        made.append(Place(trial, snakefile))
        return made[-1]

    yield make
    for place in made:
        place.stop()


def wait_until(ready: Callable[[], Any], seconds: float = 300) -> Any:
    """Return what ``ready`` returns as soon as it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := ready():
            return answer
        time.sleep(0.3)
    pytest.fail(f"not within {seconds:g} s")
