"""Large files of others, opened with care: truncated, packed to explode, linked elsewhere, absurd in shape.

Whatever is wrong with such a file ends in an :class:`InputError`, and never costs more memory or disk than
the file's own size allows.
"""

from __future__ import annotations

import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace.problems import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Buffer

    import h5py

MOST_TEXT = 1 << 30
"""Bytes that a list of barcodes or features, or a table of contigs, may unpack to."""
MOST_LINES = 20_000_000
"""Lines of such a text; an unfiltered matrix lists 7 million barcodes. A list of lines costs far more than its bytes."""
MOST_PACKED = 1100
"""Deflate packs at most 1,032 bytes into one (zlib's own documentation); what claims more was never written."""


def regular(path: Path, name: str) -> Path:
    """Return ``path`` if it is an ordinary file; a pipe or a device would be read forever."""
    try:
        ordinary = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        ordinary = False
    if not ordinary:
        raise InputError([Problem(name, "no file that can be read", "a file")])
    return path


class _Limited(io.RawIOBase):
    """A stream that tells its faults as InputError, and ends with one after ``most`` bytes."""

    def __init__(self, stream: io.BufferedIOBase, below: io.BufferedReader, name: str, most: int) -> None:
        self._stream, self._below, self._name, self._left = stream, below, name, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        try:
            content = self._stream.read1(len(view))
        except (OSError, EOFError, zlib.error):
            raise InputError(
                [Problem(self._name, "a packed file that is damaged or cut off", "the whole file")]
            ) from None
        self._left -= len(content)
        if self._left < 0:
            raise InputError([Problem(self._name, "more text than such a file holds", "an ordinary file")])
        view[: len(content)] = content
        return len(content)

    def close(self) -> None:
        # gzip leaves the file below it open.
        self._stream.close()
        self._below.close()
        super().close()


def open_bytes(path: Path, name: str, most: int = MOST_TEXT) -> io.BufferedReader:
    """Open a file, packed by gzip or not, to be read once from its beginning.

    Parameters
    ----------
    path
        The file.
    name
        What errors call it.
    most
        Bytes, unpacked, after which reading it is an error.
    """
    raw = regular(path, name).open("rb")
    # What it is stands in its first bytes; names lie.
    stream: io.BufferedIOBase = raw
    if raw.peek(2)[:2] == b"\x1f\x8b":
        stream = gzip.GzipFile(fileobj=raw)
    return io.BufferedReader(_Limited(stream, raw, name, most), 1 << 20)


def read_lines(path: Path, name: str, most: int = MOST_TEXT) -> list[str]:
    """Return the lines of a text file, packed or not, without their ends."""
    with open_bytes(path, name, most) as stream:
        content = stream.read()
    if content.count(b"\n") > MOST_LINES:
        raise InputError([Problem(name, "more lines than such a file has", f"at most {MOST_LINES}")])
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError([Problem(name, "text that is not UTF-8", "a text file in UTF-8")]) from None


@contextmanager
def open_hdf5(path: Path, name: str) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; every fault that HDF5 finds inside is told as an InputError."""
    import h5py

    regular(path, name)
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except InputError:
        raise
    except (OSError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
        raise InputError(
            [Problem(name, "an HDF5 file that is damaged, cut off or of another kind", "the whole file")]
        ) from None


def member(group: h5py.Group, key: str, name: str) -> h5py.Group | h5py.Dataset:
    """Return a member of a group (``a``, ``a/b``), if it lies in this file: no link elsewhere, no external storage.

    Raises
    ------
    InputError
        When it is absent, a link, stored elsewhere, or claims more content than the file can hold.
    """
    import h5py

    found: h5py.Group | h5py.Dataset = group
    for step in key.split("/"):
        link = found.get(step, getlink=True) if isinstance(found, h5py.Group) else None
        if link is None:
            raise InputError([Problem(name, f"no '{key}'", f"'{key}' in the file")])
        if not isinstance(link, h5py.HardLink):
            raise InputError(
                [Problem(name, f"'{key}' is a link to another place", "data in the file itself")]
            )
        found = found[step]
    if isinstance(found, h5py.Dataset):
        if found.external or found.is_virtual:
            raise InputError([Problem(name, f"'{key}' is stored in another file", "data in the file itself")])
        if found.size and found.size * found.dtype.itemsize > MOST_PACKED * found.id.get_storage_size():
            raise InputError(
                [Problem(name, f"'{key}' claims {found.size} values that it does not hold", "the whole file")]
            )
    return found


def dataset(group: h5py.Group, key: str, name: str) -> h5py.Dataset:
    """Return a member that is a list (one dimension), or raise as :func:`member` does."""
    import h5py

    found = member(group, key, name)
    if not isinstance(found, h5py.Dataset) or found.ndim != 1:
        raise InputError([Problem(name, f"'{key}' that is no list", "a list of values")])
    return found
