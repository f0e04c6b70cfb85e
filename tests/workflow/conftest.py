"""A repository and a simulated trial side by side, made once and copied for each test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.made_once import made_once
from tests.workflow import dry_runs, planted
from tests.workflow.forked_python import forked_python

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

    def snakemake(
        self, *arguments: str, snakefile: str = "Snakefile", programs: Path = Path(sys.executable).parent
    ) -> subprocess.CompletedProcess[str]:
        """Run the copied workflow on the copied trial, its output text in ``stdout``, with a folder's python."""
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        # Before the editable install, so that an edited copy of the package is what runs.
        environment["PYTHONPATH"] = str(self.repo / "src")
        environment["PATH"] = os.pathsep.join(
            (str(programs), str(Path(sys.executable).parent), environment["PATH"])
        )
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
        with forked_python() as programs:
            done = self.snakemake("--cores", "2", programs=programs)
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

    def make(folder: Path) -> None:
        make_workplace(Workplace(folder))
        Workplace(folder).run()

    return Workplace(made_once("finished", make, tmp_path_factory))


@pytest.fixture(scope="session")
def copied(finished: Workplace) -> Iterator[Workplace]:
    """Give this test process its copy, beside the finished one, so that relative paths stay the same."""
    folder = finished.folder.parent / f"case-{os.getpid()}"
    # Results are links: half of all bytes. Jobs replace their outputs whole; no test may edit one in place.
    shutil.copytree(finished.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("results"))
    shutil.copytree(finished.trial / "results", folder / "trial/results", copy_function=os.link)
    yield Workplace(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def workplace(finished: Workplace, copied: Workplace) -> Iterator[Workplace]:
    """Give the copy, and undo afterwards whatever the test and its runs did in it."""
    before = state(copied.folder)
    yield copied
    restore(copied.folder, finished.folder, before)


def state(folder: Path) -> dict[str, tuple[int, ...]]:
    """Tell what changes when a path below the folder does: type, bytes or date; none of a folder's own."""
    found: dict[str, tuple[int, ...]] = {}
    for here, folders, names in os.walk(folder):
        found |= dict.fromkeys((os.path.join(here, name) for name in folders), ())  # noqa: PTH118
        for name in names:
            path = os.path.join(here, name)  # noqa: PTH118
            stat = os.lstat(path)
            # The time of a change of a linked result is that of its last link, in whatever process.
            linked = stat.st_nlink > 1
            found[path] = (stat.st_ino, stat.st_size, stat.st_mtime_ns, 0 if linked else stat.st_ctime_ns)
    return found


def restore(folder: Path, original: Path, before: dict[str, tuple[int, ...]]) -> None:
    """Bring a copy back to the state before, from what it is a copy of."""
    now = state(folder)
    touched = {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
    for path in sorted(touched):
        here = Path(path)
        source = original / here.relative_to(folder)
        if here.is_dir() and not here.is_symlink():
            shutil.rmtree(here)
        else:
            here.unlink(missing_ok=True)
        if path in before and source.is_dir():
            here.mkdir()
        elif path in before and original / "trial/results" in source.parents:
            here.hardlink_to(source)
        elif path in before:
            shutil.copy2(source, here, follow_symlinks=False)
    for path in {str(Path(path).parent) for path in touched} & before.keys():
        shutil.copystat(original / Path(path).relative_to(folder), path)


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
    planted.plant(place.trial)


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
