"""A repository and a simulated trial side by side, made once and copied for each test."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.workflow import dry_runs

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "workflow", "scripts", "src", "resources", "profiles")


@dataclass(frozen=True)
class Workplace:
    """A folder with ``repo`` (a copy of the workflow and the package) and ``trial``."""

    folder: Path

    @property
    def trial(self) -> Path:
        return self.folder / "trial"

    @property
    def repo(self) -> Path:
        return self.folder / "repo"

    def snakemake(self, *arguments: str, snakefile: str = "Snakefile") -> subprocess.CompletedProcess[str]:
        """Run the copied workflow on the copied trial; its output is text in ``stdout``."""
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        # Before the editable install, so that an edited copy of the package is what runs.
        environment["PYTHONPATH"] = str(self.repo / "src")
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        given = [
            "--nocolor",
            *("--snakefile", str(self.repo / snakefile)),
            *("--directory", str(self.trial)),
            *("--configfile", str(self.trial / "config.yaml")),
            *("--workflow-profile", str(self.repo / "profiles/default")),
            *arguments,
        ]
        if "--dry-run" in arguments:
            return dry_runs.snakemake(given, environment)
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *given],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def run(self) -> None:
        """Run everything, and fail the test with the output when it fails."""
        done = self.snakemake("--cores", "2")
        assert done.returncode == 0, done.stdout

    def planned(self, *arguments: str, snakefile: str = "Snakefile") -> dict[str, int]:
        """Jobs of a dry-run by rule, without the target rules that only collect."""
        done = self.snakemake("--dry-run", "--cores", "1", *arguments, snakefile=snakefile)
        assert done.returncode == 0, done.stdout
        return jobs(done.stdout)


def jobs(output: str) -> dict[str, int]:
    """Read the first table of job counts from Snakemake's output."""
    if "Job stats:" not in output:
        assert "Nothing to be done" in output, output
        return {}
    table = output.split("Job stats:", 1)[1]
    counts = re.findall(r"^(\w+) +(\d+)$", table.split("total", 1)[0], re.MULTILINE)
    return {rule: int(n) for rule, n in counts if rule not in {"all", "everything"}}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A workplace whose trial has run once; shared by all test processes, never changed."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    place = Workplace(shared / "finished")
    with (shared / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "finished.ok").exists():
            shutil.rmtree(place.folder, ignore_errors=True)
            make_workplace(place)
            place.run()
            (shared / "finished.ok").touch()
    return place


@pytest.fixture
def workplace(finished: Workplace) -> Iterator[Workplace]:
    """Give a copy of the finished workplace, beside it, so that relative paths stay the same."""
    number = len(list(finished.folder.parent.glob("case-*")))
    folder = finished.folder.parent / f"case-{os.getpid()}-{number}"
    # Results are links: half of all bytes. Jobs replace their outputs whole; no test may edit one in place.
    shutil.copytree(finished.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("results"))
    shutil.copytree(finished.trial / "results", folder / "trial/results", copy_function=os.link)
    yield Workplace(folder)
    shutil.rmtree(folder, ignore_errors=True)


def make_workplace(place: Workplace) -> None:
    """Copy the repository's parts and simulate a small trial beside them."""
    place.repo.mkdir(parents=True)
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            # With what is compiled, which keeps its validity since copies keep their dates.
            shutil.copytree(source, place.repo / part)
        else:
            shutil.copy2(source, place.repo / part)
    subprocess.run(
        [
            *(sys.executable, str(REPOSITORY / "scripts/simulate/simulate_trial.py")),
            *("--output", str(place.trial), "--subjects", "4", "--seed", "7"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for sheet in ("files", "tubes", "libraries", "integration_sites"):
        leave_out(place.trial / f"sheets/{sheet}.tsv")
    for name in SPARED:
        for path in list((place.trial / "data").rglob(f"{name}*")):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


SPARED = (
    "flow_s01_02",
    "flow_s01_04",
    "flow_s01_05",
    "flow_s01_06",
    "flow_s01_07",
    "flow_s02_01",
    "flow_s02_03",
    "flow_s02_04",
)
SPARED += ("elisa", "serology", "blood_counts_practice")
SPARED += ("qpcr_run_02", "aqp4_elisa_01", "aqp4_cba_01", "cytokines_luminex_01")
SPARED += ("SITES03", "SITES04", "SITES05")
SPARED += ("L003_product", "L003_d90", "L004_product", "L004_d10", "L004_d14_car", "L004_d180")
"""Files, libraries and sets of sites that cost a job and show nothing that others of their kind do not."""


def leave_out(sheet: Path) -> None:
    """Take the spared files out of a sheet."""
    kept = [line for line in sheet.read_text().splitlines() if line.split("\t")[0] not in SPARED]
    sheet.write_text("\n".join(kept) + "\n")
