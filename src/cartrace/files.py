"""Files appear whole or not at all, and one that can't be read is told.

Light, because the plan of a trial folder writes with it while nothing heavy is loaded.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cartrace.problems import InputError, Problem


class replacing:  # noqa: N801 - reads as a verb in `with replacing(path) as temporary`
    """Give a path beside ``path`` to write to, and rename it when all went well."""

    def __init__(self, path: str | Path) -> None:
        """Remember the final path."""
        self.path = Path(path)

    def __enter__(self) -> Path:
        """Make the folder and the temporary name."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".part", dir=self.path.parent)
        os.close(handle)
        self.temporary = Path(name)
        return self.temporary

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Rename on success; leave nothing behind otherwise."""
        if kind is None:
            # mkstemp makes files private; a shared results folder wants the umask.
            umask = os.umask(0)
            os.umask(umask)
            self.temporary.chmod(0o666 & ~umask)
            self.temporary.replace(self.path)
        else:
            self.temporary.unlink(missing_ok=True)


def write_whole(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_bytes(path: Path) -> bytes:
    """Return the content of an input, or raise an InputError."""
    try:
        return path.read_bytes()
    except OSError:
        raise InputError([Problem(str(path), "no file that can be read", "a file")]) from None


def read_text(path: Path) -> str:
    """Return an input in UTF-8 as text, or raise an InputError."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError([Problem(str(path), "text that is not UTF-8", "a text file in UTF-8")]) from None
