"""Scheduled runs of one trial, killed again and again at random moments, until all kills are done."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.same_results import differences

from cartrace import leftovers, schedule

KINDS = ("entry", "snakemake", "job", "everything")
"""What is killed: only run_scheduled.py, only Snakemake, one running job, all processes of the run at once."""

_STEPS = re.compile(r"^(\d+) of \d+ steps", re.MULTILINE)
_STARTED = re.compile(r"^(?:local)?rule \w+:", re.MULTILINE)


@dataclass
class Chain:
    """The runs on one trial folder; ``jobs`` is about how many jobs it takes, over which the kills spread."""

    repository: Path
    trial: Path
    jobs: int
    seed: int
    python: Path = Path(sys.executable)
    done: list[str] = field(default_factory=list)
    """What each kill hit and when, to be printed."""
    runs: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.process: subprocess.Popen[bytes] | None = None
        self.output = Path(os.devnull)
        self.finished = 0

    def run(self, kills: int) -> None:
        """Kill so many times, with restarts between; then run to the end and expect status 0."""
        kinds = [KINDS[number % len(KINDS)] for number in range(kills)]
        self.random.shuffle(kinds)
        for number, kind in enumerate(kinds):
            if self.process is None or self.process.poll() is not None:
                self.start()
            self.wait(kills - number)
            self.kill(kind)
        if self.process is not None:
            self.process.wait()
        self.finish()

    def start(self) -> None:
        """Start a run in a session of its own, as cron does."""
        self.runs += 1
        self.output = self.trial.parent / f"run-{self.runs}.txt"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                self.command(), env=self.environment(), stdout=output, stderr=output, start_new_session=True
            )

    def command(self) -> list[str]:
        options = ("--config", self.trial / "config.yaml", "--cores", "2")
        profile = ("--profile", self.repository / "profiles/default")
        return [
            str(word)
            for word in (self.python, self.repository / "scripts/run_scheduled.py", *options, *profile)
        ]

    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(self.repository / "src")}

    def wait(self, kills_left: int) -> None:
        """Wait for a random number of jobs of the run and a moment more; sometimes not even for its plan."""
        text = self.text()
        here = self.steps(text)
        jobs = self.random.uniform(0, 2) * max(self.jobs - self.finished - here, 1) / kills_left
        if not _STARTED.search(text) and self.random.random() < 0.2:
            self.sleep(self.random.uniform(0, 5))
            return
        deadline = time.monotonic() + 300
        while self.alive() and time.monotonic() < deadline:
            text = self.text()
            if _STARTED.search(text) and self.steps(text) >= int(here + jobs):
                break
            time.sleep(0.05)
        self.sleep(self.random.uniform(0, 1.5))

    def sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.01)

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def steps(self, text: str) -> int:
        return int(found[-1]) if (found := _STEPS.findall(text)) else 0

    def kill(self, kind: str) -> None:
        """Kill what the kind says, and do what follows from it until a run goes on or has ended."""
        assert self.process is not None
        deadline = time.monotonic() + 10
        # A job, or Snakemake, that is not there yet is waited for; one that does not come leaves the rest.
        while not (victims := self.victims(kind)) and self.alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not victims:
            kind, victims = "everything", self.victims("everything")
        hit = [pid for pid in victims if _kill(pid)]
        steps = self.steps(self.text())
        self.done.append(f"run {self.runs}, {steps} jobs in, {kind}: {len(hit)} processes")
        if kind == "job":
            return  # the run goes on with what does not rest on it
        self.process.wait()
        self.finished += steps
        if kind == "entry":
            self.leave_snakemake_alone()

    def victims(self, kind: str) -> list[int]:
        """Return the processes to kill, those of the run as they are now."""
        assert self.process is not None
        marked = self.marked()
        return {
            "entry": [self.process.pid],
            "snakemake": [pid for pid in marked if _is_snakemake(pid)],
            "job": [pid for pid in marked if _is_job(pid)][:1],
            "everything": [self.process.pid, *marked],
        }[kind]

    def leave_snakemake_alone(self) -> None:
        """Expect that a run leaves politely beside the Snakemake that lives on; then kill that as well."""
        left = [pid for pid in self.marked() if _is_snakemake(pid)]
        if not left:
            return  # killed before it had started one
        beside = subprocess.run(self.command(), env=self.environment(), capture_output=True, check=False)
        # It may have come to its end meanwhile.
        if self.marked():
            assert beside.returncode == schedule.Exit.BUSY, beside.stdout.decode()
        time.sleep(self.random.uniform(0, 3))
        for pid in left:
            _kill(pid)

    def marked(self) -> list[int]:
        """Return the processes that runs on this trial started, and that still live."""
        return list(leftovers.marked(self.trial))

    def finish(self) -> None:
        """Run to the end; a run after a killed job, too, has to succeed at once."""
        self.start()
        assert self.process is not None
        assert self.process.wait() == 0, self.text()[-5000:]

    def told(self) -> str:
        """Say what was done, for the log of a test."""
        kinds = Counter(line.partition(", ")[2].split(", ")[1].partition(":")[0] for line in self.done)
        head = f"seed {self.seed}: {len(self.done)} kills in {self.runs} runs ({dict(kinds)})"
        return "\n".join([head, *self.done])


def check(chain: Chain, undisturbed: Path) -> None:
    """Nothing is left of the kills, and the results are those of the undisturbed trial."""
    trial = chain.trial
    assert chain.marked() == []
    assert [path for path in (trial / "results").rglob("*") if path.name.endswith(".part")] == []
    for left in ("incomplete", "locks"):
        assert [path for path in (trial / ".snakemake" / left).rglob("*") if path.is_file()] == []
    assert differences(undisturbed, trial) == []
    program = chain.repository / "scripts/verify_results.py"
    verified = subprocess.run(
        [str(word) for word in (chain.python, program, "--config", trial / "config.yaml")],
        env=chain.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert verified.stdout.endswith("all match\n")


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _is_snakemake(pid: int) -> bool:
    return b"snakemake" in _words(pid)[:3]


def _is_job(pid: int) -> bool:
    """Say whether it is the program of a rule; the shell around it has the same words in one."""
    program, *words = _words(pid)
    return b"python" in program and any(b"/scripts/" in word for word in words[:3])


def _words(pid: int) -> list[bytes]:
    return leftovers.words_in(Path(f"/proc/{pid}/cmdline")) or [b""]
