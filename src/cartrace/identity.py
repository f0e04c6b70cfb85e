"""What the results of a run were made of, by content, and what no longer matches.

A run record names the SHA-256 of the configuration, of every input, of every file below
``results/`` and of cartrace itself. :func:`verify` computes them again, writes nothing, and
reads no file that a record names outside the trial folder.

Standard library only, since :mod:`cartrace.schedule` reads it at each start.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cartrace.files import write_whole
from cartrace.problems import InputError, Problem, plain, raise_if_any
from cartrace.provenance import sha256_of

if TYPE_CHECKING:
    from cartrace.intake.plan import Plan

RESULTS = "results"
RECORDS = "results/runs"
LOGS = "logs/runs"
CACHE = f"{RECORDS}/hashes.json"
NO_RESULTS = frozenset({"results/intake/manifest.json", "results/intake/inbox.json"})
"""Caches: they follow times of files and hold no result."""
_MOST_BYTES = 256 * 2**20
"""A larger record is refused; one file takes about 120 bytes of it. House value."""
_CODE = ("src/cartrace", "scripts", "workflow", "resources", "Snakefile")
_HARMLESS = frozenset(
    {"-k", "--keep-going", "-p", "--printshellcmds", "-q", "--quiet", "--verbose", "--show-failed-logs"}
    | {"--retries=", "--jobs=", "--latency-wait="}
)
"""Options of Snakemake that leave no result out."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


class NotRead(ValueError):  # noqa: N818 - says what happened, as NotFound does
    """A file that is not there, leads out of its folder or can't be read."""


def sha256_inside(path: Path, roots: Iterable[Path]) -> str:
    """Return the SHA-256 of a file that lies in one of the folders, links followed.

    Raises
    ------
    NotRead
        With the reason in words.
    """
    try:
        return sha256_of(_inside(path, roots))
    except (FileNotFoundError, NotADirectoryError):
        raise NotRead("missing") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise NotRead(f"can't be read ({type(error).__name__})") from None


def _inside(path: Path, roots: Iterable[Path]) -> Path:
    """Return the file at the end of all links, which lies in one of the folders."""
    real = path.resolve(strict=True)
    if not any(real.is_relative_to(root.resolve()) for root in roots):
        raise NotRead("leads out of the trial folder")
    # A pipe would be waited for without end.
    if not stat.S_ISREG(real.stat().st_mode):
        raise NotRead("no file")
    return real


def grouped(hashes: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return hashes by printable name without calendar dates.

    Paths that differ in nothing else share a name, which then stands for all their contents.

    >>> list(grouped([("data/a_2024-03-01.csv", "0" * 64)]))
    ['data/a_<date>.csv']
    """
    found: dict[str, list[str]] = {}
    for path, sha256 in hashes:
        found.setdefault(plain(path, 4096), []).append(sha256)
    return {
        name: all_of[0] if len(all_of) == 1 else hashlib.sha256("".join(sorted(all_of)).encode()).hexdigest()
        for name, all_of in sorted(found.items())
    }


def input_paths(plan: Plan, trial: Path) -> dict[str, Path]:
    """Return the files behind the numbers of a plan, by a name that tells nothing of the machine.

    Those are the files that the plan hashed, the mappings (assay and panel files too), and every
    file that the configuration names: sheets, marker panels, whatever a later setting adds.
    """
    data_dir = plan.config.data_dir.rstrip("/")
    inside = not Path(data_dir).is_absolute() and ".." not in Path(data_dir).parts
    found: dict[str, Path] = {}
    for path in [*plan.stats, *(f.mapping for f in plan.files.values() if f.mapping)]:
        below = path.startswith(f"{data_dir}/") and not inside
        found[f"<data_dir>{path[len(data_dir) :]}" if below else path] = trial / path
    for key, text in texts(plan.config.model_dump(mode="json")):
        if not text or len(text) > 4096 or not text.isprintable() or text in found:
            continue
        named = trial / text
        try:
            if named.is_file():
                own = named.resolve().is_relative_to(trial.resolve()) and _is_plain(text)
                found[text if own else f"<configuration>/{key}"] = named
        except OSError:  # a text too long to be a name
            continue
    return found


def texts(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts of a configuration, each with its dotted key."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from texts(part, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from texts(part, f"{key}.{number}")


def input_hashes(plan: Plan, trial: Path) -> dict[str, str]:
    """Return the SHA-256 of each input by name; of laboratory files the one that was planned.

    Raises
    ------
    InputError
        For a file that can't be read.
    """
    planned = {trial / path: sha256 for path, (_, _, sha256) in plan.stats.items()}
    try:
        return grouped(
            (name, planned.get(path) or sha256_of(path)) for name, path in input_paths(plan, trial).items()
        )
    except OSError as error:
        found = f"a file that can't be read ({type(error).__name__})"
        raise InputError([Problem(Path(str(error.filename)).name, found, "a readable file")]) from None


def code_sha256(repository: Path) -> str:
    """Return one SHA-256 of cartrace: package, programs, rules and the tables in ``resources/``."""
    total = hashlib.sha256()
    for place in _CODE:
        top = repository / place
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(f"{path.relative_to(repository).as_posix()} {sha256_of(path)}\n".encode())
    return total.hexdigest()


def is_whole(extra: Iterable[str]) -> bool:
    """Say whether a run with these words for Snakemake brings every result up to date.

    Targets and most options leave some results older than their inputs. An option with a value
    counts only when both are one word, as in ``--retries=2``.
    """
    return all(f"{option}{sign}" in _HARMLESS for option, sign, _ in (word.partition("=") for word in extra))


def result_hashes(
    trial: Path, known: Mapping[str, tuple[str, str]] | None = None
) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
    """Hash the files below ``results/``, but the run records and caches.

    Parameters
    ----------
    trial
        The trial folder.
    known
        Stamp and SHA-256 of files by path, as this function returned them: where the stamp (of
        size and times) is as it was, the file is not read again. None reads every file.

    Returns
    -------
    tuple
        Stamp and SHA-256 by path; and why others were not read, by path.
    """
    found: dict[str, tuple[str, str]] = {}
    refused: dict[str, str] = {}
    root = trial / RESULTS
    for folder, folders, files in os.walk(root):
        place = Path(folder).relative_to(trial).as_posix()
        links = {name for name in folders if Path(folder, name).is_symlink()}
        refused |= {f"{place}/{name}": "a link to a folder" for name in sorted(links)}
        folders[:] = sorted(name for name in folders if f"{place}/{name}" != RECORDS)
        for name in sorted(files):
            relative = f"{place}/{name}"
            if relative in NO_RESULTS:
                continue
            path = trial / relative
            try:
                stamp = _stamp(path)
                earlier = (known or {}).get(relative)
                unchanged = earlier is not None and earlier[0] == stamp
                found[relative] = earlier if earlier and unchanged else (stamp, sha256_inside(path, [root]))
            except NotRead as why:
                refused[relative] = str(why)
            except OSError as error:
                refused[relative] = f"can't be read ({type(error).__name__})"
    return found, refused


def _stamp(path: Path) -> str:
    """Digest of size and times; of the link itself as well, which may come to lead elsewhere.

    A digest, since times are calendar dates.
    """
    own = path.lstat()
    found = [own, path.stat()] if stat.S_ISLNK(own.st_mode) else [own]
    parts = [(s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in found]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def read_cache(trial: Path) -> dict[str, tuple[str, str]]:
    """Return the hashes of the last run; none when they can't be read: it is a cache."""
    try:
        entries = json.loads((trial / CACHE).read_text("utf-8"))
        return {
            str(path): (str(stamp), str(sha256))
            for path, (stamp, sha256) in entries.items()
            if _SHA256.fullmatch(str(sha256))
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def identify_results(trial: Path, number: int, touched: Collection[str]) -> dict[str, Any]:
    """Return what the record of run ``number`` says about its results, and renew the cache.

    Parameters
    ----------
    trial
        The trial folder, after the run.
    number
        The run.
    touched
        Names of the results that this run made or changed.

    Returns
    -------
    dict
        ``results``: SHA-256 by name. ``changed_outside_runs``: results that are neither those of
        the record before nor of this run. A night on which nothing runs would otherwise take an
        edited file over as a result.
    """
    files, _ = result_hashes(trial, read_cache(trial))
    with suppress(OSError):  # a cache: the record counts
        write_whole(trial / CACHE, json.dumps(files, indent=0) + "\n")
    results = grouped((path, sha256) for path, (_, sha256) in files.items())
    outside: set[str] = set()
    theirs = set(touched)
    recorded = True
    expected = number - 1
    for earlier, record in records(trial):
        # A run that was killed left no record of what it changed.
        recorded = recorded and earlier == expected and not isinstance(record, str)
        expected = earlier - 1
        if isinstance(record, str):
            continue
        if "results" in record:
            kept = results.keys() - theirs
            before = record["results"]
            outside |= kept & {str(name) for name in record.get("changed_outside_runs", [])}
            if recorded:
                outside |= {name for name in kept if before.get(name) != results[name]}
            else:
                outside = {name for name in outside if before.get(name) == results[name]}
            break
        outputs = record.get("outputs", {})
        theirs |= {*outputs.get("new", []), *outputs.get("changed", [])}
    return {"results": results, "changed_outside_runs": sorted(outside)}


def seal(record: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a record's content, apart from the seal itself."""
    # As it will be read again: JSON knows no tuples and no keys but text.
    content = json.loads(json.dumps(record))
    content.pop("record_sha256", None)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def records(trial: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the run records of a trial folder, the newest first: number, and record or why it is none."""
    numbers = {int(p.stem): p for p in (trial / RECORDS).glob("*.json") if p.stem.isdecimal()}
    for number in sorted(numbers, reverse=True):
        try:
            yield number, read_record(numbers[number], trial)
        except NotRead as why:
            yield number, str(why)


def read_record(path: Path, trial: Path) -> dict[str, Any]:
    """Return a run record as the run wrote it.

    Raises
    ------
    NotRead
        With the reason in words, also when somebody changed it since.
    """
    try:
        real = _inside(path, [trial / RESULTS])
        if real.stat().st_size > _MOST_BYTES:
            raise NotRead(f"more than {_MOST_BYTES:,} bytes")
        record = json.loads(real.read_bytes())
    except NotRead:
        raise
    except (OSError, RuntimeError) as error:
        raise NotRead(f"can't be read ({type(error).__name__})") from None
    except ValueError:
        raise NotRead("no JSON") from None
    if not isinstance(record, dict) or not isinstance(record.get("exit_status"), int):
        raise NotRead("no run record")
    if not record.keys() & {"results", "record_sha256"}:
        return record  # of a cartrace that did not identify results
    for key in ("inputs", "results"):
        names = record.get(key, {})
        if not isinstance(names, dict) or not all(
            _is_plain(name) and isinstance(sha256, str) and _SHA256.fullmatch(sha256)
            for name, sha256 in names.items()
        ):
            raise NotRead(f"{key} that are no paths inside the trial folder with their SHA-256")
    outside = record.get("changed_outside_runs", [])
    if not isinstance(outside, list) or ("results" in record and not isinstance(record.get("whole"), bool)):
        raise NotRead("no run record")
    if seal(record) != record.get("record_sha256") or record.get("run") != int(path.stem):
        raise NotRead("not as the run wrote it")
    return record


def _is_plain(name: str) -> bool:
    """Say whether a name is a path that stays inside the folder that it starts from."""
    parts = Path(name).parts
    return bool(parts) and name.isprintable() and not Path(name).is_absolute() and ".." not in parts


@dataclass(frozen=True, slots=True)
class Difference:
    """What of some files no longer matches a record, by name, each in order."""

    changed: list[str]
    missing: list[str]
    not_in_record: list[str]
    not_read: dict[str, str]
    """Why a file was not read."""

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.changed or self.missing or self.not_in_record or self.not_read)


def compare(recorded: Mapping[str, str], found: Mapping[str, str], refused: Mapping[str, str]) -> Difference:
    """Compare the hashes of a record with those that were found; ``refused`` says why some were not."""
    seen = found.keys() | refused.keys()
    return Difference(
        changed=sorted(
            n for n in recorded.keys() & (found.keys() - refused.keys()) if recorded[n] != found[n]
        ),
        missing=sorted(recorded.keys() - seen),
        not_in_record=sorted(found.keys() - recorded.keys() - refused.keys()),
        not_read=dict(sorted(refused.items())),
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What :func:`verify` found."""

    run: int
    """The newest run that ended well and brought every result up to date."""
    config_same: bool
    inputs: Difference
    results: Difference
    changed_outside_runs: list[str]
    problems: list[str]
    """Why the trial folder could not be planned; its inputs are then known from the record alone."""
    later_runs: dict[int, str]
    """How runs after that one ended."""
    recorded: dict[str, int]
    """Number of inputs and results in the record."""
    code: dict[str, str]
    """Version and SHA-256 of cartrace: ``recorded``, ``recorded_sha256``."""

    @property
    def matches(self) -> bool:
        """Whether configuration, inputs and results are those of the record."""
        differing = self.inputs.any or self.results.any or self.changed_outside_runs or self.problems
        return self.config_same and not differing


def verify(
    trial: Path,
    config: Path,
    planned: Mapping[str, Path] | None,
    *,
    data_dir: str | None = None,
    problems: Iterable[str] = (),
) -> Verdict:
    """Compare a trial folder with the newest record of a run that ended well; write nothing.

    Parameters
    ----------
    trial, config
        The trial folder and its configuration file.
    planned
        The inputs that a run would use now, by name (:func:`input_paths`); None when it can't be
        planned, and ``problems`` says why.
    data_dir
        Folder of the laboratory files, which may be a link that leads out.

    Raises
    ------
    InputError
        When no record can be used: there is none, or the newest was edited.
    """
    newest, record, later = _newest(trial)
    roots = [trial] if data_dir is None else [trial, trial / data_dir]
    unknown: dict[str, str] = {}
    if planned is None:
        # Only the plan knows which path stands behind <data_dir>, <configuration> or <date>.
        unknown = {n: "not looked for: the trial can't be planned" for n in record["inputs"] if "<" in n}
        planned = {name: trial / name for name in record["inputs"] if name not in unknown}
    found_inputs, refused = _hash_inputs(planned, roots)
    files, refused_results = result_hashes(trial)
    return Verdict(
        run=newest,
        config_same=sha256_of(config) == record.get("config_sha256"),
        inputs=compare(record["inputs"], found_inputs, refused | unknown),
        results=compare(
            record["results"],
            grouped((path, sha256) for path, (_, sha256) in files.items()),
            {plain(path, 4096): why for path, why in refused_results.items()},
        ),
        changed_outside_runs=[plain(str(n)) for n in record.get("changed_outside_runs", [])],
        problems=list(problems),
        later_runs=later,
        recorded={key: len(record[key]) for key in ("inputs", "results")},
        code={
            "recorded": plain(str(record.get("code_version"))),
            "recorded_sha256": plain(str(record.get("code_sha256"))),
        },
    )


def _newest(trial: Path) -> tuple[int, dict[str, Any], dict[int, str]]:
    """Return number and record of the newest whole run that ended ok, and how later runs ended.

    Raises
    ------
    InputError
        When there is none, or a later record can't be used: it may be of such a run.
    """
    logs = (p.stem for p in (trial / LOGS).glob("*.log"))
    later = {int(number): "left no record" for number in logs if number.isdecimal()}
    problems = []
    for number, record in records(trial):
        if isinstance(record, str):
            problems.append(Problem(f"{RECORDS}/{number}.json", record, "a record as the run wrote it"))
        elif record["exit_status"] == 0 and "results" in record and record["whole"]:
            raise_if_any(problems)
            return number, record, {n: later[n] for n in sorted(later) if n > number}
        else:
            partly = record["exit_status"] == 0 and not record.get("whole", True)
            later[number] = (
                "ok, with targets or options of its own" if partly else plain(str(record.get("ended")))
            )
    found = "no record of a run that ended ok and names its results"
    raise InputError(problems or [Problem(RECORDS, found, "one: run the trial once")])


def _hash_inputs(paths: Mapping[str, Path], roots: Collection[Path]) -> tuple[dict[str, str], dict[str, str]]:
    """Hash inputs by name; say of those that are there why they were not read."""
    found: list[tuple[str, str]] = []
    refused = {}
    for name, path in paths.items():
        # What the configuration names may lie outside: it is read because the plan names it.
        allowed = [path.resolve().parent] if name.startswith("<configuration>") else roots
        try:
            found.append((name, sha256_inside(path, allowed)))
        except NotRead as why:
            if str(why) != "missing":
                refused[plain(name, 4096)] = str(why)
    return grouped(found), refused
