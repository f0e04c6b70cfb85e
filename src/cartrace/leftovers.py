"""What a killed run leaves in its trial folder and among the processes, and how the next one ends it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cartrace import identity

MARK = "CARTRACE_TRIAL"
"""Variable in the environment of Snakemake and its jobs here: the trial folder they work for."""
_OLDEST = 1
"""Time of a result to be made anew; to Snakemake, 0 is none."""


class SlurmError(RuntimeError):
    """Slurm jobs of an earlier run may still work, and would overwrite the results of this one."""


def end_orphans(trial: Path, *, wait_seconds: float = 30.0) -> list[int]:
    """End the processes that a run on this trial folder left, and wait until they are gone.

    They are known by the mark that the run gave to Snakemake and whatever it
    starts. Without /proc nothing is done.
    """
    ended: set[int] = set()
    deadline = time.monotonic() + wait_seconds
    # Again, since one of them may have started another meanwhile.
    while found := marked(trial):
        for pid in found - ended:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended |= found
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return sorted(ended)


def marked(trial: Path) -> set[int]:
    """Return the numbers of the processes that a run on a trial folder has started, itself left out."""
    return {pid for pid, entry in _processes() if _is_marked(entry, trial)}


def _is_marked(process: Path, trial: Path) -> bool:
    return f"{MARK}={trial}".encode() in words_in(process / "environ")


def other_snakemake(trial: Path) -> int | None:
    """Return the number of a Snakemake that works in the trial folder on its own account.

    Whoever holds the lock knows that no scheduled run is alive; what is left was started
    by hand. Seen are processes on this machine, of other users only for root.
    """
    for pid, entry in _processes():
        words = words_in(entry / "cmdline")
        if not any(Path(os.fsdecode(word)).name == "snakemake" for word in words[:4]):
            continue
        # Jobs of a Snakemake take no lock: on Slurm they are orphans, and cancelled as such.
        if b"--nolock" in words or _is_marked(entry, trial):
            continue
        with suppress(OSError):
            if (entry / "cwd").resolve(strict=True) == trial:
                return pid
    return None


def _processes() -> Iterator[tuple[int, Path]]:
    """List the other processes of this machine: number, and folder below /proc."""
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) != os.getpid():
            yield int(entry.name), entry


def words_in(path: Path) -> list[bytes]:
    """Return the command line or environment of a process; nothing when it is gone or not ours."""
    try:
        return path.read_bytes().split(b"\0")
    except OSError:
        return []


def cancel_orphans(prefix: str, *, wait_seconds: float = 120.0) -> list[str]:
    """Cancel this user's Slurm jobs whose name begins with ``prefix`` and an underscore.

    Returns the numbers of the cancelled jobs, once the queue no longer names them.
    Without Slurm's commands there is nothing to do.

    Raises
    ------
    SlurmError
        When Slurm does not answer, or the jobs are still there after the wait: a job that
        takes no notice of SIGTERM goes on for Slurm's KillWait, 30 s by default, before SIGKILL.
    """
    if not (shutil.which("squeue") and shutil.which("scancel")):
        return []
    orphans = _queued(prefix)
    if orphans:
        _ask_slurm("scancel", *orphans)
        deadline = time.monotonic() + wait_seconds
        while left := _queued(prefix):
            if time.monotonic() > deadline:
                raise SlurmError(
                    f"{len(left)} Slurm jobs of an earlier run were cancelled but do not end; "
                    "they would overwrite new results"
                )
            time.sleep(0.5)
    return orphans


def _queued(prefix: str) -> list[str]:
    listed = _ask_slurm("squeue", "--me", "--noheader", "--format=%A %j")
    jobs = (line.split(maxsplit=1) for line in listed.splitlines())
    return [job[0] for job in jobs if len(job) == 2 and job[1].startswith(f"{prefix}_")]


def _ask_slurm(*command: str) -> str:
    try:
        # The commands themselves wait for an absent controller: SlurmctldTimeout, 120 s by default.
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=180)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise SlurmError(
            f"{command[0]} got no answer from Slurm, where jobs of an earlier run may be going on"
        ) from error
    return done.stdout


def age_unknown(trial: Path) -> int:
    """Give results that Snakemake has no record of the oldest date, so that it makes them anew.

    Without their record (``.snakemake`` was deleted or not copied, or the machine lost power) it knows
    nothing of their parameters: a laboratory file that has changed since would go unnoticed. Returns
    how many there are.
    """
    known = trial / ".snakemake" / "metadata"
    unknown = 0
    if known.with_suffix(".db").exists():
        return 0  # kept in a database, --persistence-backend db
    for folder, _, names in os.walk(trial / identity.RESULTS):
        place = Path(folder).relative_to(trial).as_posix()
        if place.startswith(identity.RECORDS) or _is_recorded(known, place):
            continue
        for name in names:
            path = Path(folder, name)
            relative = f"{place}/{name}"
            if relative in identity.NO_RESULTS or path.is_symlink() or _is_recorded(known, relative):
                continue
            with suppress(OSError):
                if path.stat().st_mtime != _OLDEST:
                    os.utime(path, (_OLDEST, _OLDEST))
                    unknown += 1
    return unknown


def _is_recorded(metadata: Path, output: str) -> bool:
    """Say whether Snakemake has a record of an output: a file named by its path, in pieces where that is long."""
    name = urlsafe_b64encode(output.encode()).decode()
    most = os.pathconf("/", "PC_NAME_MAX") - 1
    *folders, last = [name[i : i + most] for i in range(0, len(name), most)]
    try:
        return metadata.joinpath(*(f"@{folder}" for folder in folders), last).stat().st_size > 0
    except OSError:
        return False


def remove_parts(trial: Path) -> int:
    """Remove what killed jobs began to write (:mod:`cartrace.files`); return how many."""
    parts = [
        path
        for folder, folders, names in os.walk(trial / identity.RESULTS)
        for name in [*folders, *names]
        if name.startswith(".") and name.endswith(".part") and not (path := Path(folder, name)).is_symlink()
    ]
    for path in parts:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(parts)


def ran_on_slurm(trial: Path) -> bool:
    """Say whether a killed run of this folder can have left Slurm jobs: their logs would stand there."""
    return (trial / ".snakemake" / "slurm_logs").exists()
