"""Files appear whole or not at all, and one that can't be read is told.

Light, because the plan of a trial folder writes with it while nothing heavy is loaded.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from cartrace.problems import InputError, Problem

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_NO_SPACE = 2**20
"""Free bytes below which the disk counts as full: some libraries fail there without saying why."""


class NotWritten(OSError):  # noqa: N818 - says what happened
    """An output that could not be written. A program that ends with it says so in one line."""

    def __init__(self, path: Path, number: int) -> None:
        """Name the file, and the reason by its number in :mod:`errno`."""
        super().__init__(number, os.strerror(number), "/".join(path.parts[-2:]))
        sys.excepthook = _tell_not_written


def _tell_not_written(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say of an output that could not be written what a person can act on, instead of a traceback."""
    if isinstance(error, NotWritten):
        print(f"cartrace: {error.filename} could not be written: {error.strerror}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


class replacing:  # noqa: N801 - reads as a verb in `with replacing(path) as temporary`
    """Give a path beside ``path`` to write to, and rename it when all went well."""

    def __init__(self, path: str | Path) -> None:
        """Remember the final path."""
        self.path = Path(path)

    def __enter__(self) -> Path:
        """Make the folder and the temporary name; raise NotWritten when that can't be."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(
                prefix=f".{self.path.name}.", suffix=".part", dir=self.path.parent
            )
        except OSError as error:
            raise NotWritten(self.path, error.errno or errno.EIO) from error
        os.close(handle)
        self.temporary = Path(name)
        return self.temporary

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Rename on success; leave nothing behind otherwise, and raise NotWritten for a full disk."""
        if kind is None:
            # mkstemp makes files private; a shared results folder wants the umask.
            umask = os.umask(0)
            os.umask(umask)
            self.temporary.chmod(0o666 & ~umask)
            self.temporary.replace(self.path)
            return
        number = error.errno if isinstance(error, OSError) else None
        full = shutil.disk_usage(self.path.parent).free < _NO_SPACE
        self.temporary.unlink(missing_ok=True)
        if isinstance(error, Exception) and (full or number in _UNWRITABLE):
            raise NotWritten(self.path, number or errno.ENOSPC) from error


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
