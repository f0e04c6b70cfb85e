"""What a scheduled run says when it can't write: a full disk, folders that are read-only, a broken lock."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cartrace import schedule
from cartrace.schedule import Exit, Request

REPOSITORY = Path(__file__).parents[2]

JOB = """
import sys
from cartrace.files import replacing
with replacing(sys.argv[2]) as temporary:
    temporary.write_bytes(bytes(int(sys.argv[1])))
"""

SNAKEFILE = """
rule all:
    input: "results/pcr/wells.parquet"

rule quantify:
    output: "results/pcr/wells.parquet"
    log: "logs/pcr/quantify.log"
    params: size=config["size"]
    shell: "exec &>{{log}}; {python} job.py {{params.size}} {{output}}"
"""


def mount(*words: str | Path) -> None:
    """Mount; skip the test where that is not allowed."""
    done = subprocess.run(["mount", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not possible here: {done.stderr.strip()[:200]}")


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Make folders read-only for as long as the test lasts; permissions do not bind root, mounts do."""
    done: list[Path] = []

    def make(folder: Path) -> None:
        if os.geteuid():
            folder.chmod(0o555)
        else:
            mount("--bind", folder, folder)
            done.append(folder)
            mount("-o", "remount,bind,ro", folder)

    yield make
    for folder in reversed(done):
        subprocess.run(["umount", str(folder)], check=True)
    for folder in tmp_path.rglob("*"):
        with suppress(OSError):
            folder.chmod(0o755)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a trial folder on a disk of 3 MB, which a test may enlarge."""
    if os.geteuid():
        pytest.skip("only root can make a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=3m", "tmpfs", folder)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def run(trial: Path) -> tuple[int, list[str]]:
    said: list[str] = []
    return schedule.run(Request(trial / "config.yaml"), said.append), said


@pytest.mark.parametrize(
    ("folder", "shown"),
    [
        (".", ["the trial folder", "logs/runs", "results/runs", ".snakemake"]),
        ("results", ["results/runs"]),
        ("logs", ["logs"]),
        (".snakemake", [".snakemake"]),
    ],
)
def test_a_read_only_folder_is_named_before_anything_runs(
    tmp_path: Path, read_only: Callable[[Path], None], folder: str, shown: list[str]
) -> None:
    trial = tmp_path / "trial"
    for name in ("results/runs", "logs" if folder == "logs" else "logs/runs", ".snakemake"):
        (trial / name).mkdir(parents=True)
    (trial / "config.yaml").write_text("trial: {title: Toy}\n")
    read_only(trial / folder)
    status, said = run(trial)
    assert status == Exit.BAD_INPUT
    told = "\n".join(said)
    reason = "Permission denied" if os.geteuid() else "Read-only file system"
    for name in shown:
        assert f"{name}: found a folder that can't be written ({reason})" in told
    assert told.count("can't be written") == len(shown)
    assert str(tmp_path) not in told
    if ".snakemake" in shown:
        said.clear()
        assert schedule.run(Request(trial / "config.yaml", dry_run=True), said.append) == Exit.BAD_INPUT
        assert "found a folder that can't be written" in said[0]
    assert not list(trial.rglob("*.log"))
    assert not list(trial.rglob("*.json"))


def test_a_lock_that_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("trial: {title: Toy}\n")
    (tmp_path / schedule.LOCK).mkdir()
    status, said = run(tmp_path)
    assert status == Exit.BAD_INPUT
    assert ".cartrace.lock: found no file that can be written" in said[0]


@pytest.mark.slow
def test_a_full_disk_is_told_nothing_is_half_written_and_with_space_the_run_succeeds(
    small_disk: Path,
) -> None:
    python = shlex.quote(sys.executable)
    (small_disk / "Snakefile").write_text(SNAKEFILE.format(python=python))
    (small_disk / "job.py").write_text(JOB)
    (small_disk / "config.yaml").write_text("size: 8000000\n")
    command = [
        *(sys.executable, REPOSITORY / "scripts/run_scheduled.py", "--cores", "1", "--show-failed-logs"),
        *("--config", small_disk / "config.yaml", "--snakefile", small_disk / "Snakefile"),
    ]
    full = subprocess.run(command, capture_output=True, text=True, check=False)
    told = full.stdout + full.stderr
    assert full.returncode == 1, told
    assert "Traceback" not in told
    log = (small_disk / "logs/pcr/quantify.log").read_text()
    assert log == "cartrace: pcr/wells.parquet could not be written: No space left on device\n"
    assert "cartrace: the disk of the trial folder is full: " in told
    assert [path.name for path in (small_disk / "results").rglob("*.p*")] == []
    # The job took its half away again, so that there is space now. Where something else takes it all:
    (small_disk / "other").write_bytes(b"")
    with suppress(OSError), (small_disk / "other").open("wb", buffering=0) as other:
        while True:
            other.write(bytes(4096))
    status, said = run(small_disk)
    assert status == Exit.BAD_INPUT
    assert "No space left on device" in said[0]
    (small_disk / "other").unlink()
    mount("-o", "remount,size=30m", small_disk)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert (small_disk / "results/pcr/wells.parquet").read_bytes() == bytes(8_000_000)
