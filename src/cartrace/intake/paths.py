"""Paths that sheets and configuration name: inside their folder, without a date, known by their content.

Read while the Snakefile is parsed: standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace.files import write_whole
from cartrace.intake.sheets import quote
from cartrace.problems import Problem, did_you_mean, holds_date
from cartrace.provenance import sha256_of

if TYPE_CHECKING:
    from cartrace import config as configuration

RESULTS = "results"
MANIFEST = f"{RESULTS}/intake/manifest.json"
READ_BY_SNAKEMAKE = frozenset("<>{}")
"""Signs of wildcards and path variables: a file with one in its name would stop the whole workflow."""
Tell = Callable[..., None]
"""Adds a problem of one place: takes what was found, what is allowed, and maybe a suggestion."""


def stamp(path: str, size: int, mtime_ns: int) -> str:
    """Return a digest of what tells whether a file has to be read again.

    A digest, since the time of a file is a calendar date, and its path may hold one.
    """
    return hashlib.sha256(f"{path}\0{size}\0{mtime_ns}".encode()).hexdigest()[:32]


def _read_manifest(folder: Path) -> dict[str, str]:
    """Return the hash of each file by its stamp. The manifest is a cache: when it is broken, none."""
    try:
        entries = json.loads((folder / MANIFEST).read_text("utf-8"))
        return {key: str(sha256) for key, sha256 in entries.items() if len(str(sha256)) == 64}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def add_to_manifest(folder: Path, stats: Mapping[str, tuple[int, int, str]]) -> None:
    """Note size, time (ns) and hash of files that were just read, by path: the plan need not read them again."""
    known = _read_manifest(folder) | {
        stamp(path, size, at): sha256 for path, (size, at, sha256) in stats.items()
    }
    write_whole(folder / MANIFEST, json.dumps(known, indent=1) + "\n")


class Hashes:
    """Hashes of the files of a trial folder, from its manifest where size and time are as they were."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = _read_manifest(folder)
        self.stats: dict[str, tuple[int, int, str]] = {}

    def sha256(self, relative: str, tell: Tell) -> str | None:
        """Return the hash of a file of the trial folder, or tell why it can't be read and return None."""
        if relative not in self.stats:
            # As text: with ten thousand files, paths as objects cost more than asking for their sizes.
            path = f"{self._folder}/{relative}"
            try:
                status = os.stat(path)  # noqa: PTH116
                key = stamp(relative, status.st_size, status.st_mtime_ns)
                sha256 = self._known.get(key) or sha256_of(Path(path))
            except OSError as error:
                tell(f"a file that can't be read ({type(error).__name__})", "a readable file")
                return None
            self.stats[relative] = (status.st_size, status.st_mtime_ns, sha256)
        return self.stats[relative][2]


def teller(problems: list[Problem], file: str, column: str, row: int | None = None) -> Tell:
    """Return a function that adds the problems of one place to ``problems``."""

    def tell(found: str, allowed: str, suggestion: str = "") -> None:
        problems.append(Problem(file, found, allowed, row, column, suggestion))

    return tell


def undated(text: str, config: configuration.Config, tell: Tell, kind: str = "file") -> None:
    """Tell a path that holds a calendar date: paths appear in Snakemake's log."""
    if config.privacy.dates_in_file_names == "refuse" and holds_date(text):
        allowed = "a name without a date (or privacy.dates_in_file_names: allow)"
        tell(f"a calendar date in the {kind}'s name", allowed)


def path_in(root: Path, text: str, place: str, tell: Tell, kind: str = "file") -> Path | None:
    """Return the path ``text`` in ``root``, or tell why there is none and return None.

    ``place`` names ``root`` in words; ``kind`` is file or folder.
    """
    if not text.isprintable():
        tell("a control character in a path", "printable text")
        return None
    if READ_BY_SNAKEMAKE & set(text):
        tell(f"{quote(text)}, with a sign that Snakemake takes for its own", "a path without < > { }")
        return None
    path = root / text
    try:
        # resolve() follows links, so a link that leads out is caught as well.
        if Path(text).is_absolute() or not path.resolve().is_relative_to(root.resolve()):
            tell(f"{quote(text)}, which leads out of {place}", "a path inside it")
            return None
        if not path.exists():
            tell(f"no {kind} {quote(text)}", f"an existing {kind} in {place}", _near(path))
            return None
        if not (path.is_file() if kind == "file" else path.is_dir()):
            tell(f"{quote(text)}, which is no {kind}", f"a {kind}")
            return None
    except (OSError, RuntimeError) as error:  # RuntimeError: a link in a circle, before Python 3.13
        tell(f"a path that can't be read ({type(error).__name__})", f"an existing {kind} in {place}")
        return None
    return path


def _near(path: Path) -> str:
    try:
        return did_you_mean(path.name, (p.name for p in path.parent.iterdir()))
    except OSError:
        return ""


def digest(parts: Iterable[object]) -> str:
    """Return one SHA-256 of all parts, in order."""
    return hashlib.sha256(json.dumps(list(parts), sort_keys=True, default=str).encode()).hexdigest()
