"""Taking in what laboratories left in their inboxes: whole files only, nothing lost, nothing twice.

The scheduled run calls :func:`take_in` under its lock, before the plan. Each file is copied to a
temporary name in the store while it is hashed, and renamed once it is whole; killed at any moment,
the next run goes on from what stands there. ``results/intake/inbox.json`` tells the plan what
stands in the inboxes but not in the store; hashes in it spare reading files again.

Standard library only, as all that the Snakefile reads.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import time
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cartrace.files import write_whole
from cartrace.intake.inbox_match import STORE, Place, Standing, Stored, inbox_place, key_of
from cartrace.intake.paths import READ_BY_SNAKEMAKE, RESULTS, Hashes, add_to_manifest
from cartrace.intake.sheets import quote, read_sheets
from cartrace.problems import Problem, holds_date, plain, raise_if_any

if TYPE_CHECKING:
    from cartrace.config import Config
    from cartrace.intake.inbox_settings import Inbox

STATE = f"{RESULTS}/intake/inbox.json"
_INCOMING = ".incoming"
_SUPERSEDED = ".superseded"
_UNFINISHED = (".part", ".partial", ".tmp", ".filepart", ".crdownload")
"""Endings that programs give to a file while they write it."""
_NO_FILES = frozenset({"thumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "lost+found"})
"""Names that systems leave in shared folders, in lower case."""
_LONGEST_NAME = 255
_BLOCK = 2**20
_MOST_STATE_BYTES = 256 * 2**20
_SHEET, _PATTERN, _UNKNOWN = range(3)
"""How well it is known what a file is: of two with the same content the better known counts."""


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What :func:`take_in` did. Names are ``INBOX/PATH``, printable and undated."""

    taken_in: tuple[str, ...] = ()
    corrected: tuple[str, ...] = ()
    standing: tuple[Standing, ...] = ()
    """What stands in the inboxes and is not in the store, or not with its newest content."""
    notes: tuple[str, ...] = ()
    """What else went wrong, such as a source that could not be removed."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A complete file in an inbox."""

    place: Place
    path: Path
    status: os.stat_result

    @property
    def stamp(self) -> str:
        return _stamp(self.status)


class _Refused(Exception):  # noqa: N818 - says what happened to a file
    """Why a file was not taken in: status and words."""


def source_folders(
    config: Config, trial: Path, file: str = "config.yaml"
) -> tuple[dict[str, Path], list[Problem]]:
    """Return the folder of each inbox, and the problems of those that can't be one.

    A folder may not hold the store, lie in it or in what the workflow writes, or overlap another's:
    a file would be taken in twice, or without end. ``file`` is how problems name the configuration.
    """
    folders: dict[str, Path] = {}
    problems: list[Problem] = []
    if config.inbox is None:
        return folders, problems
    own = {"the store of the inboxes": _store(config, trial)}
    own |= {f"{name}/": trial / name for name in (RESULTS, "logs", ".snakemake")}
    taken = {words: Path(os.path.realpath(path)) for words, path in own.items()}
    for name, inbox in config.inbox.folders.items():
        column = f"inbox.folders.{name}.folder"
        try:
            # Links in a circle stay as they are: such a folder is told like one that is not there.
            folder = Path(os.path.realpath(trial / inbox.folder))
        except (OSError, ValueError):  # a null character
            problems.append(Problem(file, "a path that can't be read", "a folder", column=column))
            continue
        for words, other in taken.items():
            if folder.is_relative_to(other) or other.is_relative_to(folder):
                found = f"a folder that holds {words} or lies in it"
                allowed = "a folder of its own, such as inbox/qpcr"
                problems.append(Problem(file, found, allowed, column=column))
                break
        else:
            folders[name] = trial / inbox.folder
        taken[f"the inbox {quote(name)}"] = folder
    return folders, problems


def read_stored(config: Config, trial: Path, problems: list[Problem]) -> Stored:
    """List what the store holds, and what :func:`take_in` last left standing beside it."""
    assert config.inbox is not None
    files = {}
    store = _store(config, trial)
    for name in config.inbox.folders:
        root = store / name
        # Links in a circle stay as they are, and hold no file.
        data_folder = os.path.realpath(trial / config.data_dir)
        if not Path(os.path.realpath(root)).is_relative_to(data_folder):
            found = f"{quote(f'{STORE}/{name}')}, which leads out of the data folder"
            problems.append(Problem("config.yaml", found, "a folder in it", column=f"inbox.folders.{name}"))
            continue
        files[name] = sorted(path for path, entry in _walk(root) if entry.is_file(follow_symlinks=False))
    standing, _ = _read_state(trial)
    return Stored(files, tuple(s for s in standing if s.inbox in config.inbox.folders))


def take_in(config: Config, trial: Path, *, now: float | None = None, dry_run: bool = False) -> TakenIn:
    """Take in the complete files of all inboxes.

    Parameters
    ----------
    config
        The configuration.
    trial
        The trial folder; nobody else may run on it now.
    now
        Time in seconds since the epoch; None: that of the clock.
    dry_run
        Say what would be taken in, and write nothing.

    Raises
    ------
    InputError
        When the folder of an inbox can't be one (:func:`source_folders`).
    """
    if config.inbox is None:
        return TakenIn()
    folders, problems = source_folders(config, trial)
    stored = read_stored(config, trial, problems)
    raise_if_any(problems)
    work = _Work(config, trial, stored, time.time() if now is None else now, dry_run=dry_run)
    work.clear()
    for name, folder in folders.items():
        work.look(name, folder)
    work.settle()
    if not dry_run:
        work.write_state(folders)
    return TakenIn(
        tuple(work.taken_in),
        tuple(work.corrected),
        tuple(sorted(work.standing, key=_order)),
        tuple(work.notes),
    )


def _order(item: Standing) -> tuple[str, ...]:
    return item.inbox, item.name, item.key, item.status


@dataclass(slots=True)
class _Work:
    """One taking in: looks first, then decides, then stores."""

    config: Config
    trial: Path
    stored: Stored
    now: float
    dry_run: bool
    taken_in: list[str] = field(default_factory=list)
    corrected: list[str] = field(default_factory=list)
    standing: list[Standing] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sources: list[_Source] = field(default_factory=list)
    known: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    """Of each inbox: key of a path -> stamp of its source and SHA-256, as the last taking in left it."""
    seen: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    """The same, of this one."""
    away: set[str] = field(default_factory=set)
    """Inboxes whose folder can't be read."""
    hashes: Hashes = field(init=False)
    stored_now: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    ranks: dict[Place, int | None] = field(default_factory=dict)
    contents: dict[str, dict[Place, int]] = field(default_factory=dict)
    """SHA-256 -> places with that content, and how well it is known what they are."""

    def __post_init__(self) -> None:
        self.hashes = Hashes(self.trial)
        _, self.known = _read_state(self.trial)

    @property
    def inbox(self) -> Inbox:
        assert self.config.inbox is not None
        return self.config.inbox

    def clear(self) -> None:
        """Remove what a killed run left half copied."""
        if not self.dry_run:
            with suppress(OSError):
                shutil.rmtree(_store(self.config, self.trial) / _INCOMING)

    def refuse(self, place: Place, detail: str, hint: str = "", status: str = "refused") -> None:
        name = plain(place[1])
        self.standing.append(Standing(place[0], name, key_of(place), status, plain(detail), plain(hint)))

    # ------------------------------------------------------------------ looking

    def look(self, name: str, folder: Path) -> None:
        """Find the complete files of one inbox; tell why others are not."""
        spelt = {_spelling(path): path for path in self.stored.files[name]}
        unread: list[str] = []
        try:
            with os.scandir(folder):
                pass
            entries = list(_walk(folder, unread))
        except OSError as error:
            self.away.add(name)
            gone = isinstance(error, FileNotFoundError | NotADirectoryError)
            what = "is not there" if gone else f"can't be read ({type(error).__name__})"
            self.refuse((name, ""), f"the folder of this inbox {what}", "is the share mounted?")
            return
        for path in unread:
            self.refuse((name, path), "a folder that can't be read")
        for path, entry in entries:
            place = (name, path)
            if _is_marker(entry.name, self.inbox.done_marker):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
                if fault := _fault(path, status, allow_dates=self._allow_dates()):
                    self.refuse(place, *fault)
                elif spelt.setdefault(_spelling(path), path) != path:
                    other = spelt[_spelling(path)]
                    found = f"its name differs from {plain(quote(other))} in case or spelling of letters only"
                    self.refuse(place, found, "one spelling: a correction comes under the same name")
                elif self._is_known(place, status):
                    self.sources.append(_Source(place, Path(entry.path), status))
                elif reason := _unfinished(Path(entry.path), folder, status, self.inbox, self.now):
                    self.refuse(place, reason, status="waiting")
                else:
                    self.sources.append(_Source(place, Path(entry.path), status))
            except FileNotFoundError:
                continue  # taken away meanwhile
            except OSError as error:
                self.refuse(place, f"a file that can't be read ({type(error).__name__})")

    def _is_known(self, place: Place, status: os.stat_result) -> bool:
        """Whether this very file was complete before: its done-marker may be gone since."""
        return self.known.get(place[0], {}).get(key_of(place), ("", ""))[0] == _stamp(status)

    def _allow_dates(self) -> bool:
        return self.config.privacy.dates_in_file_names == "allow"

    # ------------------------------------------------------------------ deciding

    def settle(self) -> None:
        """Decide what becomes of each complete file, and store what is new."""
        there = {(name, path) for name, paths in self.stored.files.items() for path in paths}
        new = [source for source in self.sources if source.place not in there]
        pending: dict[Place, tuple[_Source, str]] = {}
        for source in self.sources:
            if source.place in there and (sha256 := self._hash(source)):
                if sha256 != self._stored_sha256(source.place):
                    pending[source.place] = (source, sha256)
                else:
                    self._remember(source, sha256)
                    self._remove_source(source, sha256)
        if not new and not pending:
            return
        self._know(there, [source.place for source in new])
        rejected = self._conflicts(pending)
        for place, (source, sha256) in pending.items():
            if place in rejected:
                self._remember(source, sha256)
                found = f"the corrected content is the same as that of {rejected[place]}"
                self.refuse(place, found, "the right file under this name", "conflict")
            else:
                self._correct(source, sha256)
        for source in sorted(new, key=lambda s: (self._rank(s.place), s.place)):
            self._add(source)

    def _rank(self, place: Place) -> int:
        rank = self.ranks.get(place)
        return _SHEET if rank is None else rank

    def _know(self, there: set[Place], new: list[Place]) -> None:
        """Find how well each file is known, and what contents there are already."""
        files = {name: set(paths) for name, paths in self.stored.files.items()}
        for name, path in new:
            files[name].add(path)
        union = Stored({name: sorted(paths) for name, paths in files.items()})
        sheets, _ = read_sheets(self.trial, self.config, inbox=union)
        assert sheets.inbox is not None
        listed = {inbox_place(f.path, self.config) for f in sheets.files}
        for place, row in sheets.inbox.rows.items():
            rank = {"sheet": _SHEET, "pattern": _PATTERN}.get(row.matched_by, _UNKNOWN)
            # Plate maps and parts of libraries may be alike; the plan compares what would count twice.
            part = rank != _UNKNOWN and place not in listed
            self.ranks[place] = None if part else rank
        for place in there:
            if self.ranks[place] is not None and (sha256 := self._stored_sha256(place)):
                self.contents.setdefault(sha256, {})[place] = self._rank(place)
        below = f"{self.config.data_dir.rstrip('/')}/"
        for item in sheets.files:
            if item.row is None or inbox_place(item.path, self.config) or not item.path.isprintable():
                continue
            listed_file = self.trial / below / item.path
            with suppress(OSError, RuntimeError, ValueError):
                inside = listed_file.resolve().is_relative_to((self.trial / below).resolve())
                if (
                    inside
                    and listed_file.is_file()
                    and (sha256 := self.hashes.sha256(below + item.path, _silent))
                ):
                    self.contents.setdefault(sha256, {})["", plain(item.path)] = _SHEET

    def _conflicts(self, pending: dict[Place, tuple[_Source, str]]) -> dict[Place, str]:
        """Return the corrections that would make two files alike, with the name of the other.

        Two files that were exchanged are no conflict: what counts is how it would be afterwards.
        """
        before = {place: sha256 for sha256, places in self.contents.items() for place in places}
        rejected: dict[Place, str] = {}
        order = sorted((p for p in pending if p in before), key=lambda p: (self._rank(p), p))
        turn = {place: n for n, place in enumerate(order)}

        def other_of(place: Place, alike: list[Place]) -> Place | None:
            """Return the file that keeps the content: better known, or not corrected, or first in order."""
            for other in alike:
                later = other not in rejected and turn.get(other, -1) > turn[place]
                if other != place and not later and self._rank(other) <= self._rank(place):
                    return other
            return None

        while True:
            # Each refusal brings an earlier content back, which another may have taken.
            after = before | {p: pending[p][1] for p in order if p not in rejected}
            alike: dict[str, list[Place]] = {}
            for place, sha256 in after.items():
                alike.setdefault(sha256, []).append(place)
            found = ((p, other_of(p, alike[after[p]])) for p in order if p not in rejected)
            first = next(((place, other) for place, other in found if other), None)
            if first is None:
                break
            rejected[first[0]] = _name(first[1])
        for place in order:
            if place not in rejected:
                self.contents[before[place]].pop(place, None)
                self.contents.setdefault(pending[place][1], {})[place] = self._rank(place)
        return rejected

    # ------------------------------------------------------------------ storing

    def _add(self, source: _Source) -> None:
        """Store a file that is new, unless its content is there already."""
        place = source.place
        sha256 = self._earlier(source)
        temporary: Path | None = None
        try:
            if sha256 is None or not self._other(place, sha256):
                if self.dry_run:
                    sha256 = _read(source, None)
                else:
                    temporary = self._temporary()
                    sha256 = _read(source, temporary)
            self._remember(source, sha256)
            if other := self._other(place, sha256):
                self.refuse(place, f"the same content as {_name(other)}", status="same_content")
                return
            if temporary is not None:
                _put(temporary, self._inside(self._target(place)))
                self._note_hash(place, sha256)
        except _Refused as why:
            self._refuse_read(place, why)
            return
        except OSError as error:
            self.refuse(place, _store_fault(error))
            return
        finally:
            if temporary is not None:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)
        if self.ranks[place] is not None:
            self.contents.setdefault(sha256, {})[place] = self._rank(place)
        self.taken_in.append(_name(place))
        if self.ranks[place] == _PATTERN and (corrected := self._corrected_from(place, sha256)):
            held = f"what {_name(corrected)} held before it was corrected"
            self.notes.append(f"{_name(place)} holds {held}: is it right?")
        self._remove_source(source, sha256)

    def _correct(self, source: _Source, expected: str) -> None:
        """Put a corrected file in the place of the earlier one, which is kept."""
        place = source.place
        if self.dry_run:
            self.corrected.append(_name(place))
            return
        target = self._target(place)
        temporary: Path | None = None
        try:
            temporary = self._temporary()
            if _read(source, temporary) != expected:
                raise _Refused("waiting", "it changed while it was copied")
            earlier = self._stored_sha256(place)
            if earlier is None:
                raise _Refused("refused", "the earlier content in the store can't be read")
            kept = _store(self.config, self.trial) / _SUPERSEDED / place[0] / earlier[:12] / place[1]
            _keep(target, self._inside(kept), self._temporary())
            _put(temporary, self._inside(target))
            self._note_hash(place, expected)
        except _Refused as why:
            self._refuse_read(place, why)
            return
        except OSError as error:
            self.refuse(place, _store_fault(error))
            return
        finally:
            if temporary is not None:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)
        self._remember(source, expected)
        self.corrected.append(_name(place))
        self._remove_source(source, expected)

    def _refuse_read(self, place: Place, why: _Refused) -> None:
        status, detail = why.args
        if status:
            self.refuse(place, detail, status=status)

    def _other(self, place: Place, sha256: str) -> Place | None:
        """Return another file with this content that is known as well or better."""
        rank = self.ranks[place]
        if rank is None:
            return None
        return next((o for o, r in self.contents.get(sha256, {}).items() if o != place and r <= rank), None)

    def _corrected_from(self, place: Place, sha256: str) -> Place | None:
        """Return another file that had this content once: a copy of it may be as wrong as it was."""
        for name in self.inbox.folders:
            kept = _store(self.config, self.trial) / _SUPERSEDED / name / sha256[:12]
            for path, _ in _walk(kept):
                if (name, path) != place:
                    return name, path
        return None

    def _hash(self, source: _Source) -> str | None:
        """Return the SHA-256 of a source, read only where size and times are not as they were."""
        if (sha256 := self._earlier(source)) is not None:
            return sha256
        try:
            return _read(source, None)
        except _Refused as why:
            self._refuse_read(source.place, why)
            return None

    def _earlier(self, source: _Source) -> str | None:
        stamp, sha256 = self.known.get(source.place[0], {}).get(key_of(source.place), ("", ""))
        return sha256 if stamp == source.stamp else None

    def _remember(self, source: _Source, sha256: str) -> None:
        self.seen.setdefault(source.place[0], {})[key_of(source.place)] = (source.stamp, sha256)

    def _remove_source(self, source: _Source, sha256: str) -> None:
        """With take: move, remove a file whose content is in the store."""
        if self.inbox.take != "move" or self.dry_run:
            return
        try:
            # What came under this name meanwhile is another file.
            if (
                _stamp(source.path.lstat()) == source.stamp
                and sha256_of_file(self._target(source.place)) == sha256
            ):
                source.path.unlink()
                self.seen.get(source.place[0], {}).pop(key_of(source.place), None)
        except FileNotFoundError:
            pass
        except OSError as error:
            self.notes.append(
                f"{_name(source.place)} is stored, but could not be removed ({type(error).__name__})"
            )

    def _stored_sha256(self, place: Place) -> str | None:
        return self.hashes.sha256(stored_path(self.config, place), _silent)

    def _note_hash(self, place: Place, sha256: str) -> None:
        """Spare the plan reading the file once more."""
        status = self._target(place).stat()
        self.stored_now[stored_path(self.config, place)] = (status.st_size, status.st_mtime_ns, sha256)

    def _target(self, place: Place) -> Path:
        return _store(self.config, self.trial) / place[0] / place[1]

    def _inside(self, path: Path) -> Path:
        """Return a path of the store; refuse one that a link leads out of it."""
        store = os.path.realpath(_store(self.config, self.trial))
        if not Path(os.path.realpath(path.parent)).is_relative_to(store):
            raise _Refused("refused", "a folder of this name is a link in the store")
        return path

    def _temporary(self) -> Path:
        folder = _store(self.config, self.trial) / _INCOMING
        folder.mkdir(parents=True, exist_ok=True)
        return folder / os.urandom(8).hex()

    def write_state(self, folders: dict[str, Path]) -> None:
        """Leave what stands now for the plan and the next run; a cache, so a full disk stops nothing."""
        hashes = {
            name: self.known.get(name, {}) if name in self.away else self.seen.get(name, {})
            for name in folders
        }
        state = {
            "standing": [asdict(item) for item in sorted(self.standing, key=_order)],
            "hashes": {name: dict(sorted(entries.items())) for name, entries in hashes.items()},
        }
        text = json.dumps(state, indent=0) + "\n"
        path = self.trial / STATE
        try:
            if not path.is_file() or path.read_text("utf-8") != text:
                write_whole(path, text)
            if self.stored_now:
                add_to_manifest(self.trial, self.stored_now)
        except OSError as error:
            self.notes.append(f"{STATE} could not be written ({error.strerror})")


def stored_path(config: Config, place: Place) -> str:
    """Return where a file of an inbox is kept, as a path of the trial folder."""
    return f"{config.data_dir.rstrip('/')}/{STORE}/{place[0]}/{place[1]}"


def _store(config: Config, trial: Path) -> Path:
    return trial / config.data_dir / STORE


def _name(place: Place) -> str:
    return plain("/".join(part for part in place if part))


def _spelling(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _stamp(status: os.stat_result) -> str:
    """Digest of size and times: times are calendar dates."""
    parts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _silent(*_: str) -> None:
    """Take a problem that the plan tells as well."""


def _walk(root: Path, unread: list[str] | None = None) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield what is no folder below a folder, in order, by its path below it; links are not followed.

    Left out is what programs and systems leave for themselves.
    """
    todo = [""]
    while todo:
        folder = todo.pop()
        try:
            with os.scandir(root / folder) as found:
                entries = sorted(
                    ((e, e.is_dir(follow_symlinks=False)) for e in found), key=lambda e: e[0].name
                )
        except OSError:
            if unread is not None:
                unread.append(folder)
            continue
        below = []
        for entry, is_folder in entries:
            low = entry.name.casefold()
            if low.startswith((".", "~$")) or low.endswith(_UNFINISHED) or low in _NO_FILES:
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            if is_folder:
                below.append(path)
            else:
                yield path, entry
        todo += reversed(below)


def _is_marker(name: str, marker: str | None) -> bool:
    if marker is None:
        return False
    before, braces, after = marker.partition("{name}")
    if not braces:
        return name == marker
    return len(name) > len(before + after) and name.startswith(before) and name.endswith(after)


def _fault(path: str, status: os.stat_result, *, allow_dates: bool) -> tuple[str, str] | None:
    """Say why a file can't be taken in under its name, and what would help."""
    if stat.S_ISLNK(status.st_mode):
        return "a link", "the file itself"
    if not stat.S_ISREG(status.st_mode):
        return "no regular file", "a file"
    if not path.isprintable():
        return "a control character, or a byte that is no letter, in its name", "printable letters"
    if READ_BY_SNAKEMAKE & set(path):
        return "one of < > { } in its name, which Snakemake takes for its own", "a name without it"
    if not allow_dates and holds_date(path):
        return "a calendar date in its name", "a name without a date (or privacy.dates_in_file_names: allow)"
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in path.split("/")):
        return f"a name of more than {_LONGEST_NAME} bytes", "a shorter name"
    return None


def _unfinished(path: Path, root: Path, status: os.stat_result, inbox: Inbox, now: float) -> str:
    """Say why a file may not be complete; an empty string when it is."""
    if status.st_size == 0:
        return "an empty file"
    # The clock of an instrument may be ahead of ours; the time of the change on this system says it, too.
    times = [t for t in (status.st_mtime, status.st_ctime) if t <= now]
    settled = bool(times) and max(times) + 60 * inbox.settle_minutes <= now
    if inbox.done_marker is None:
        if not times:
            return "its times lie in the future: is the clock right?"
        return "" if settled else "it changed too recently (inbox.settle_minutes)"
    markers = _markers(path, root, inbox.done_marker)
    if not markers:
        return "its done-marker has not come"
    for marker in markers:
        # A copy may keep an old time of its content: then the change on this system has to be older, or settled.
        if status.st_mtime <= marker.st_mtime and (status.st_ctime <= marker.st_ctime or settled):
            return ""
    return "it is newer than its done-marker"


def _markers(path: Path, root: Path, marker: str) -> list[os.stat_result]:
    """Return the markers beside a file; one for a whole folder may lie in a folder above, too."""
    if "{name}" in marker:
        places = [path.with_name(marker.replace("{name}", path.name))]
    else:
        folders = [path.parent]
        while folders[-1] != root and root in folders[-1].parents:
            folders.append(folders[-1].parent)
        places = [folder / marker for folder in folders]
    found = []
    for place in places:
        with suppress(OSError):
            status = place.lstat()
            if stat.S_ISREG(status.st_mode):
                found.append(status)
    return found


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file of the store."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(source: _Source, copy: Path | None) -> str:
    """Return the SHA-256 of a source, copied on the way to ``copy`` unless that is None.

    Raises
    ------
    _Refused
        When it can't be read, or is not the same after it was read: somebody still writes it. The
        status is empty when it is no longer there.
    OSError
        When the copy can't be written.
    """
    digest = hashlib.sha256()
    try:
        # Neither follow a link nor wait for a pipe that took the file's place meanwhile.
        handle = os.open(source.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _not_read(error) from None
    with os.fdopen(handle, "rb", buffering=0) as file:
        if copy is None:
            size = _hash_blocks(file, digest, None)
        else:
            with copy.open("xb", buffering=0) as written:
                size = _hash_blocks(file, digest, written)
                os.fsync(written.fileno())
        try:
            after = (os.fstat(file.fileno()), source.path.lstat())
        except OSError as error:
            raise _not_read(error) from None
    if size != source.status.st_size or any(_stamp(status) != source.stamp for status in after):
        raise _Refused("waiting", "it changed while it was read")
    if copy is not None:
        times = (source.status.st_mtime_ns, source.status.st_mtime_ns)
        os.utime(copy, ns=times)
    return digest.hexdigest()


def _hash_blocks(file: Any, digest: Any, written: Any) -> int:
    size = 0
    while True:
        try:
            block = file.read(_BLOCK)
        except OSError as error:
            raise _not_read(error) from None
        if not block:
            return size
        size += len(block)
        digest.update(block)
        if written is not None:
            rest = memoryview(block)
            while rest:
                rest = rest[written.write(rest) :]


def _not_read(error: OSError) -> _Refused:
    if isinstance(error, FileNotFoundError):
        return _Refused("", "")
    if error.errno == errno.ELOOP:
        return _Refused("refused", "a link")
    return _Refused("refused", f"a file that can't be read ({type(error).__name__})")


def _store_fault(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space left in the data folder"
    if error.errno == errno.ENAMETOOLONG:
        return "a path that is too long for the store"
    return f"the store can't be written ({type(error).__name__})"


def _put(temporary: Path, target: Path) -> None:
    """Give a whole file its name; afterwards it is there even when the machine stops."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary.replace(target)
    handle = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some shares can't
            os.fsync(handle)
    finally:
        os.close(handle)


def _keep(target: Path, kept: Path, temporary: Path) -> None:
    """Keep the earlier content of a file under another name; at no moment it has none."""
    if kept.exists():
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(target, kept)
    except OSError:  # a file system without hard links
        try:
            shutil.copy2(target, temporary)
            temporary.replace(kept)
        finally:
            temporary.unlink(missing_ok=True)


def _read_state(trial: Path) -> tuple[list[Standing], dict[str, dict[str, tuple[str, str]]]]:
    """Return what the last taking in left; nothing when it can't be read: it is a cache."""
    path = trial / STATE
    try:
        if path.stat().st_size > _MOST_STATE_BYTES:
            return [], {}
        state = json.loads(path.read_text("utf-8"))
        standing = [
            Standing(
                *(
                    plain(str(item[name]), 500)
                    for name in ("inbox", "name", "key", "status", "detail", "hint")
                )
            )
            for item in state["standing"]
            if item["status"] in ("waiting", "refused", "same_content", "conflict")
        ]
        hashes = {
            str(name): {str(key): (str(stamp), str(sha256)) for key, (stamp, sha256) in entries.items()}
            for name, entries in state["hashes"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return [], {}
    return standing, hashes
