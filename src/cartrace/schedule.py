"""One unattended run of the workflow on one trial folder, by hand or by a timer.

What goes wrong at night and what is done about it:

- Two runs at once: the run holds a kernel lock (``flock``) on the trial folder.
  Snakemake inherits it, so it stays held when only this program is killed. A Snakemake
  that someone started there by hand holds none: it is looked for among the processes.
- A killed run: jobs that went on are ended first (on this machine by a mark in their
  environment, on Slurm by their name), because they would overwrite newer results;
  then Snakemake's own stale lock and half-written files are removed.
- Results without Snakemake's record of them: made anew, since a changed file would go unseen.
- A full disk, a folder that can't be written: told in words, and the status says so.
- A hanging run: SIGINT after a time limit, on which Snakemake stops its jobs;
  SIGTERM would wait for them. SIGKILL if that does not help.
- Nobody was there: a log and a record of each run stand in the trial folder,
  the exit status says how it ended, and a command of one's own can be told.
- Numbers moved: a run that ended well tells which metrics changed since the
  last such run, and what can have caused it (:mod:`cartrace.baseline`).

Logs and records are numbered and hold elapsed seconds, never a calendar date.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cartrace import baseline, identity, leftovers, planned, provenance
from cartrace.files import write_whole
from cartrace.identity import LOGS, RECORDS
from cartrace.intake import inbox_told
from cartrace.problems import InputError, Problem, plain, raise_if_any, redact_dates
from cartrace.run_log import RunLog

if TYPE_CHECKING:
    from cartrace.intake.inbox import TakenIn
    from cartrace.planned import Told

REPOSITORY = Path(__file__).resolve().parents[2]
LOCK = ".cartrace.lock"
_FEW_BYTES = 64 * 2**20
"""With less free space after a failed run, that is named as a likely cause. House value."""


class Exit(IntEnum):
    """How a run ended. A run that was stopped by a signal exits with 128 + its number."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    BUSY = 75
    TIMED_OUT = 124


class Busy(RuntimeError):  # noqa: N818 - names a state, as BlockingIOError does
    """Another run holds the trial folder."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to run.

    ``profile`` is a folder with a Snakemake profile. ``extra`` goes to Snakemake
    as it stands. ``keep`` is the number of run logs that stay; 0 keeps all.
    ``notify`` is a command that gets the record's path as its last argument.
    """

    config: Path
    cores: int | None = None
    profile: Path | None = None
    timeout_minutes: float | None = None
    grace_seconds: float = 60.0
    jobname_prefix: str | None = None
    dry_run: bool = False
    keep: int = 100
    snakefile: Path = REPOSITORY / "Snakefile"
    extra: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    notify_seconds: float = 60.0

    @property
    def trial(self) -> Path:
        """The trial folder: where the configuration lies."""
        return self.config.resolve().parent

    @property
    def prefix(self) -> str:
        """Beginning of the names of this trial's Slurm jobs, so that orphans can be told."""
        if self.jobname_prefix:
            return self.jobname_prefix
        return f"cartrace-{hashlib.sha256(str(self.trial).encode()).hexdigest()[:10]}"


def is_running(trial: Path) -> bool:
    """Say whether a run holds the lock of a trial folder; leaves nothing behind."""
    try:
        with (trial / LOCK).open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


@contextmanager
def hold(trial: Path) -> Iterator[IO[str]]:
    """Hold the lock of a trial folder; the open file carries it.

    Raises
    ------
    Busy
        When another run holds it; the message names its process.
    """
    with os.fdopen(os.open(trial / LOCK, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _holder(file)
            raise Busy(f"process {holder or 'unknown'} is running on this trial folder") from error
        yield file


def _holder(file: IO[str]) -> int | None:
    """Return the process number that the last run left in the lock file."""
    file.seek(0)
    text = file.read().strip()
    return int(text) if text.isdecimal() else None


def _note(file: IO[str], number: int | str) -> None:
    """Leave the number of the process for who finds the folder busy; the lock itself needs no text."""
    with suppress(OSError):
        # In one piece and of one length, so that nobody reads half of it.
        os.pwrite(file.fileno(), f"{number:<20}\n".encode(), 0)


def snakemake_command(request: Request, *, executor: str) -> list[str]:
    """Return the command line of Snakemake; options that take lists stand before others."""
    command = [sys.executable, "-m", "snakemake", *request.extra]
    command += ["--configfile", str(request.config.resolve())]
    command += ["--snakefile", str(request.snakefile.resolve())]
    command += ["--directory", str(request.trial), "--rerun-incomplete"]
    if request.profile:
        command += ["--workflow-profile", str(request.profile.resolve())]
    if executor == "slurm":
        # There --cores would bound what the cluster may run at one time.
        command += ["--slurm-jobname-prefix", request.prefix]
        command += ["--local-cores", str(request.cores)] if request.cores else []
    else:
        command += ["--cores", str(request.cores or "all")]
    return command + (["--dry-run"] if request.dry_run else [])


def executor_of(profile: Path | None) -> str:
    """Return the executor that a profile names; ``local`` when it names none.

    Raises
    ------
    InputError
        When the folder holds no profile.
    """
    if profile is None:
        return "local"
    import yaml

    found = [*sorted(profile.glob("profile*.yaml"), reverse=True), *profile.glob("config*.yaml")]
    if not found:
        raise InputError([Problem(profile.name, "no profile", "a folder with profile.v9+.yaml")])
    settings = yaml.safe_load(found[0].read_text("utf-8")) or {}
    return str(settings.get("executor", "local"))


def read_configuration(path: Path) -> dict[str, Any]:
    """Read a configuration file as it stands, unchecked.

    Raises
    ------
    InputError
        When it is no mapping in YAML, or has a key twice, of which YAML would take the last.
    """
    from cartrace.intake.mapping import read_yaml

    raw = read_yaml(path, path.name, "configuration")
    if not isinstance(raw, dict):
        raise InputError(
            [Problem(path.name, "no mapping of keys to values", "a configuration: docs/config.md")]
        )
    return raw


def take_in(request: Request, tell: Callable[[str], None]) -> TakenIn | None:
    """Take in what laboratories left, and tell it; None without an inbox, or when the plan will say what is wrong.

    Raises
    ------
    InputError
        When the configuration is no YAML, or has a key twice, of which Snakemake would take the last.
    """
    from cartrace import config as configuration
    from cartrace.intake.inbox import take_in as take

    raw = read_configuration(request.config)
    if raw.get("inbox") is None:
        return None
    config, problems = configuration.check(raw, request.config.name)
    if config.inbox is None or problems:
        return None
    try:
        taken = take(config, request.trial, dry_run=request.dry_run)
    except InputError:
        return None
    except OSError as error:
        tell(f"cartrace: inbox: nothing was taken in ({type(error).__name__}); what came before is used")
        return None
    inbox_told.tell_taken(taken, tell, dry_run=request.dry_run)
    return taken


def run(
    request: Request,
    say: Callable[[str], None] = print,
    read_plan: Callable[[IO[str]], Told | None] | None = planned.read_told,
) -> int:
    """Run the workflow on a trial folder and return the exit status (see :class:`Exit`).

    Parameters
    ----------
    request
        What to run.
    say
        Takes each line for the terminal as it comes.
    read_plan
        Reads what the Snakefile told of its plan; None for a Snakefile that tells nothing,
        and the results are not identified.
    """
    if not request.config.is_file():
        say(f"cartrace: there is no configuration file {redact_dates(request.config.name)}")
        return Exit.BAD_INPUT
    if request.dry_run:
        return _dry_run(request, say, read_plan)
    say = _undisturbed(say)
    try:
        raise_if_any(unwritable(request.trial))
        with hold(request.trial) as lock:
            if stale := _has_snakemake_lock(request.trial):
                _refuse_beside_another(request.trial)
            return _locked_run(request, say, read_plan, lock, stale=stale)
    except Busy as busy:
        say(f"cartrace: skipped, since {busy}")
        return Exit.BUSY
    except InputError as error:
        say(str(error))
        return Exit.BAD_INPUT


def unwritable(trial: Path, names: Sequence[str] = ("", LOGS, RECORDS, ".snakemake")) -> list[Problem]:
    """Return those folders of a trial that this user can't write in, each with the reason."""
    problems = []
    for name in names:
        # The nearest folder that is there: nothing is made before all are known to do.
        folder = next(f for f in (trial / name, *(trial / name).parents) if f.exists())
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            shown = folder.relative_to(trial).as_posix() if folder != trial else "the trial folder"
            found = f"a folder that can't be written ({error.strerror})"
            problem = Problem(shown, found, "one that this user can write, on a disk with space")
            problems += [problem] if problem not in problems else []
    lock = trial / LOCK
    if not problems and lock.exists() and not (lock.is_file() and os.access(lock, os.W_OK)):
        problems.append(Problem(LOCK, "no file that can be written", "one that this user can write"))
    return problems


def _undisturbed(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return ``say`` that falls silent when nobody listens: a run must not hang on a closed terminal."""
    silent = False

    def still_say(line: str) -> None:
        nonlocal silent
        if not silent:
            try:
                say(line)
            except OSError:
                silent = True

    return still_say


def placeless(request: Request) -> Callable[[str], str]:
    """Return a function that takes out of a line where on this machine the files lie.

    Folders are often named after a person or a day.

    >>> placeless(Request(Path("/home/x/2031/config.yaml")))("/home/x/2031/results/a in /home/x/20310")
    '<trial>/results/a in /home/x/20310'
    """
    places = {
        str(request.trial): "<trial>",
        str(REPOSITORY): "<cartrace>",
        sys.prefix: "<python>",
        str(Path.home()): "<home>",
        f"tmpdir={tempfile.gettempdir()}": "tmpdir=<tmp>",
        # As Snakemake names sources, from the trial folder.
        os.path.relpath(REPOSITORY, request.trial): "<cartrace>",
    }
    with suppress(InputError, OSError):
        # Bounded: aliases of YAML can multiply without end.
        for key, text in islice(identity.texts(read_configuration(request.config)), 10_000):
            if Path(text).is_absolute() or text.startswith("../"):
                places[text.rstrip("/")] = "<data_dir>" if key == "data_dir" else f"<configuration>/{key}"
    # Steps up alone tell nothing.
    told = [place for place in places if set(Path(place).parts) - {"..", "/"}]
    longest_first = "|".join(map(re.escape, sorted(told, key=len, reverse=True)))
    pattern = re.compile(rf"(?<![\w./])(?:{longest_first})(?![\w-])")
    return lambda line: pattern.sub(lambda match: places[match[0]], line)


def _has_snakemake_lock(trial: Path) -> bool:
    return any((trial / ".snakemake" / "locks").glob("*"))


def _refuse_beside_another(trial: Path) -> None:
    """Raise Busy when a Snakemake is alive whose lock this may be."""
    if (pid := leftovers.other_snakemake(trial)) is not None:
        raise Busy(f"process {pid}, a Snakemake started by hand, is running on this trial folder")


def _dry_run(
    request: Request,
    say: Callable[[str], None],
    read_plan: Callable[[IO[str]], Told | None] | None,
) -> int:
    """Show what would run; write nothing, take no lock, keep no record."""
    try:
        # Snakemake makes its own folder even now.
        raise_if_any(unwritable(request.trial, [".snakemake"]))
        if read_plan:
            take_in(request, say)
        command = snakemake_command(request, executor=executor_of(request.profile))
        with tempfile.NamedTemporaryFile("w+", encoding="utf-8") as told:
            run_log = RunLog(placeless(request))
            status = _follow(command, request, run_log, say, told=told if read_plan else None)
            plan = read_plan(told) if read_plan else None
            inbox_told.tell_unused(plan.inbox if plan else (), say)
    except InputError as error:
        say(placeless(request)(str(error)))
        return Exit.BAD_INPUT
    return status


def _locked_run(
    request: Request,
    say: Callable[[str], None],
    read_plan: Callable[[IO[str]], Told | None] | None,
    lock: IO[str],
    *,
    stale: bool,
) -> int:
    number = next_number(request.trial)
    log_path = request.trial / LOGS / f"{number}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    hide = placeless(request)
    run_log = RunLog(hide)
    # Before the run: what is edited meanwhile is not what the results rest on.
    made_of = {
        "config_sha256": provenance.sha256_of(request.config),
        "code_version": provenance.code_version(),
        "code_sha256": identity.code_sha256(REPOSITORY),
        "versions": provenance.versions(),
    }
    plan: Told | None = None
    taken: TakenIn | None = None
    problems: list[str] = []
    # Not buffered: what can't be written now would be tried again, and fail, at the end.
    with log_path.open("wb", buffering=0) as log, tempfile.NamedTemporaryFile("w+", encoding="utf-8") as told:
        full = False

        def tell(line: str) -> None:
            nonlocal full
            try:
                log.write(f"{line}\n".encode(errors="replace"))
            except OSError as error:
                if not full:
                    say(f"cartrace: the log of this run can't be written on ({error.strerror})")
                full = True
            say(line)

        tell(f"cartrace: run {number}, version {made_of['code_version']}")
        _note(lock, os.getpid())
        try:
            _clear_up(request, tell, stale=stale)
            before = _snapshot(request.trial)
            taken = take_in(request, tell) if read_plan else None
            executor = executor_of(request.profile)
        except InputError as error:
            problems = [hide(str(p)) for p in error.problems]
            tell(hide(str(error)))
            status: int = Exit.BAD_INPUT
        except leftovers.SlurmError as error:
            problems = [str(error)]
            tell(f"cartrace: nothing was started: {error}")
            before, status = _snapshot(request.trial), Exit.FAILED
        else:
            command = snakemake_command(request, executor=executor)
            status = _follow(command, request, run_log, tell, lock, told=told if read_plan else None)
            try:
                plan = read_plan(told) if read_plan else None
            except InputError as error:
                problems = [hide(str(p)) for p in error.problems]
                tell(hide(str(error)))
                # Unless it was stopped just then.
                status = Exit.BAD_INPUT if status in {Exit.OK, Exit.FAILED} else status
            inbox_told.tell_unused(plan.inbox if plan else (), tell)
            if status and executor == "slurm":
                # What Snakemake had been about to submit when it was stopped, and what it lost sight of.
                problems += _cancel_left(request, tell)
            leftovers.remove_parts(request.trial)
        tell(f"cartrace: run {number} {_ending(status)} after {run_log.elapsed():.1f} s")
        changes = _changes(before, _snapshot(request.trial))
        record: dict[str, Any] = {
            "run": number,
            "exit_status": int(status),
            "ended": _ending(status),
            "elapsed_seconds": round(run_log.elapsed(), 1),
            "problems": problems + run_log.problems,
            "planned": run_log.planned,
            "rules": run_log.rules(),
            "outputs": changes,
            **made_of,
            "inputs": plan.inputs if plan else {},
            "whole": identity.is_whole(request.extra),
        }
        if taken is not None:
            record["inbox"] = inbox_told.inbox_record(taken, plan.inbox if plan else ())
        if plan is not None:
            record |= identity.identify_results(request.trial, number, {*changes["new"], *changes["changed"]})
        if status == Exit.OK:
            record["metrics"] = baseline.tell_changes(request.trial, request.trial / RECORDS, record, tell)
        record["record_sha256"] = identity.seal(record)
        record_path = request.trial / RECORDS / f"{number}.json"
        try:
            write_whole(record_path, json.dumps(record, indent=1) + "\n")
            if status == Exit.OK:
                baseline.forget_older(record_path.parent, number)
        except OSError as error:
            tell(f"cartrace: the record of run {number} could not be written ({error.strerror})")
            status = status or Exit.FAILED
        if status and (free := shutil.disk_usage(request.trial).free) < _FEW_BYTES:
            tell(f"cartrace: the disk of the trial folder is full: {free // 2**20} MB are free")
        if request.notify:
            notify(request.notify, record_path, request.notify_seconds, tell)
    _prune(log_path.parent, request.keep)
    return status


def notify(command: Sequence[str], record: Path, seconds: float, tell: Callable[[str], None]) -> None:
    """Run a command of the laboratory's own, without a shell, on the record of a run.

    How it ends changes nothing but a line of the log: the run is over and recorded.
    """
    try:
        # Its own session: with it end the programs that it started.
        with subprocess.Popen(
            [*command, str(record)], stdin=subprocess.DEVNULL, start_new_session=True
        ) as process:
            try:
                status = process.wait(timeout=seconds)
            except BaseException as error:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                tell(f"cartrace: the notification took longer than {seconds:g} s and was ended")
                return
    except (OSError, ValueError) as error:
        tell(f"cartrace: the notification could not start ({type(error).__name__})")
        return
    if status:
        tell(f"cartrace: the notification ended with status {status}")


def _ending(status: int) -> str:
    if status in set(Exit):
        return Exit(status).name.lower().replace("_", " ")
    return f"stopped by signal {status - 128}"


def _cancel_left(request: Request, tell: Callable[[str], None]) -> list[str]:
    """Cancel the Slurm jobs of this run that outlived its Snakemake; return what went wrong."""
    try:
        cancelled = leftovers.cancel_orphans(request.prefix)
    except leftovers.SlurmError as error:
        tell(f"cartrace: {error}")
        return [str(error)]
    if cancelled:
        tell(f"cartrace: cancelled {len(cancelled)} Slurm jobs that were left")
    return []


def _clear_up(request: Request, tell: Callable[[str], None], *, stale: bool) -> None:
    """End what a killed run left behind, which would overwrite newer results, and remove its traces."""
    try:
        cancelled = leftovers.cancel_orphans(request.prefix)
    except leftovers.SlurmError:
        # Slurm's commands may be there without a cluster.
        if leftovers.ran_on_slurm(request.trial):
            raise
        cancelled = []
    if cancelled:
        tell(f"cartrace: cancelled {len(cancelled)} Slurm jobs that an earlier run left")
    if ended := leftovers.end_orphans(request.trial):
        tell(f"cartrace: ended {len(ended)} processes that an earlier run left")
    if stale:
        tell("cartrace: removing the lock that an earlier run left")
        # What `snakemake --unlock` does, after it has planned the whole workflow.
        shutil.rmtree(request.trial / ".snakemake" / "locks", ignore_errors=True)
    if removed := leftovers.remove_parts(request.trial):
        tell(f"cartrace: removed {removed} half-written files that an earlier run left")
    if unknown := leftovers.age_unknown(request.trial):
        tell(f"cartrace: {unknown} results are made anew, since Snakemake has no record of them")


def _follow(
    command: list[str],
    request: Request,
    run_log: RunLog,
    tell: Callable[[str], None],
    lock: IO[str] | None = None,
    *,
    told: IO[str] | None = None,
) -> int:
    """Run Snakemake, pass its lines on as they come, and see to it that it ends.

    Into ``told`` the Snakefile writes what became of its plan.
    """
    environment = os.environ | {
        # Rules call `python`: under cron that must be this one.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
    }
    if lock:  # else a dry-run, which is no orphan of a run and starts no jobs
        environment[leftovers.MARK] = str(request.trial)
    environment.pop(planned.ASKED, None)
    if told:
        environment |= planned.asking(told.name, request.config.name, dry_run=request.dry_run)
    with _children_hear_sigint():
        process = subprocess.Popen(
            command,
            cwd=request.trial,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Its own session gets signals as one; the lock lives as long as Snakemake does.
            start_new_session=True,
            pass_fds=[lock.fileno()] if lock else [],
        )
    if lock:
        _note(lock, process.pid)
    stream = process.stdout
    assert stream is not None

    def read() -> None:
        for line in stream:
            tell(run_log.take(line.rstrip("\n")))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with _forwarding(process) as received:
        limit = None if request.timeout_minutes is None else 60 * request.timeout_minutes
        timed_out = not _ended(process, limit, received)
        if timed_out:
            tell(f"cartrace: time is up after {request.timeout_minutes:g} minutes; stopping")
            _signal_all(process, signal.SIGINT)
        if (timed_out or received) and not _ended(process, request.grace_seconds, []):
            tell(f"cartrace: still running {request.grace_seconds:g} s later; killing it")
            _signal_all(process, signal.SIGKILL)
        process.wait()
    # A job that outlived Snakemake would hold the pipe open and write results.
    if lock:
        leftovers.end_orphans(request.trial)
    reader.join(timeout=30)
    if not reader.is_alive():
        stream.close()
    if timed_out:
        return Exit.TIMED_OUT
    if received:
        return 128 + received[0]
    return Exit.OK if process.returncode == 0 else Exit.FAILED


@contextmanager
def _children_hear_sigint() -> Iterator[None]:
    """Start programs that take notice of SIGINT, on which Snakemake stops its jobs, whoever started this one.

    A program inherits what its starter ignores, and what nohup or a shell's background job starts ignores SIGINT.
    """
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    if ignored:
        # What is handled here is as by default in a child.
        signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _ended(process: subprocess.Popen[str], limit: float | None, received: list[int]) -> bool:
    """Wait until the process ends or a signal is received (true), or time is up (false)."""
    deadline = None if limit is None else time.monotonic() + limit
    while not received:
        try:
            process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            if deadline is not None and time.monotonic() > deadline:
                return False
        else:
            return True
    return True


def _signal_all(process: subprocess.Popen[str], number: int) -> None:
    """Signal Snakemake and its local jobs, as Ctrl-C in a terminal does.

    Snakemake alone would wait for its local jobs to finish.
    """
    # Once it is reaped, its number may be someone else's.
    if process.poll() is None:
        os.killpg(process.pid, number)


@contextmanager
def _forwarding(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """Send SIGINT to the process when this one is asked to stop; list what was received."""
    received: list[int] = []

    def stop(number: int, _frame: object) -> None:
        # Snakemake stops its jobs on SIGINT; on SIGTERM it would wait for them.
        if not received:
            _signal_all(process, signal.SIGINT)
        received.append(number)

    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # What nohup or a shell's background job ignores stays ignored.
    heard = [number for number in watched if signal.getsignal(number) != signal.SIG_IGN]
    earlier = {number: signal.signal(number, stop) for number in heard}
    try:
        yield received
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def next_number(trial: Path) -> int:
    """Return the number of the next run: one more than the highest log or record."""
    used = [
        int(path.stem)
        for folder in (trial / LOGS, trial / RECORDS)
        for path in folder.glob("*.*")
        if path.stem.isdecimal()
    ]
    return max(used, default=0) + 1


def _snapshot(trial: Path) -> dict[str, tuple[int, int]]:
    """Size and modification time of each output, by its path in the trial folder."""
    found = {}
    for folder, _, names in os.walk(trial / identity.RESULTS):
        place = Path(folder).relative_to(trial).as_posix()
        if place.startswith(RECORDS):
            continue
        for name in names:
            with suppress(OSError):  # a link to nothing
                status = Path(folder, name).stat()
                if stat.S_ISREG(status.st_mode):
                    found[plain(f"{place}/{name}", 4096)] = (status.st_size, status.st_mtime_ns)
    return found


def _changes(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> dict[str, list[str]]:
    return {
        "new": sorted(after.keys() - before.keys()),
        "changed": sorted(path for path in after.keys() & before.keys() if after[path] != before[path]),
        "removed": sorted(before.keys() - after.keys()),
    }


def _prune(folder: Path, keep: int) -> None:
    if keep:
        logs = sorted((p for p in folder.glob("*.log") if p.stem.isdecimal()), key=lambda p: int(p.stem))
        for path in logs[:-keep]:
            path.unlink()
