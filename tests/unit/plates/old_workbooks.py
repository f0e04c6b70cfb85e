"""Workbooks of before 2007 for tests, byte by byte: BIFF8 records in an OLE2 file.

After Microsoft's [MS-XLS] and [MS-CFB], as short as a reader allows: no styles, no fonts.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

_SECTOR = 512
_FREE, _END, _FAT, _NONE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF

Cell = str | float | bool | None


def old_workbook(
    sheets: Mapping[str, Sequence[Sequence[Cell]]], merged: Sequence[tuple[int, int, int, int]] = ()
) -> bytes:
    """Write sheets of rows; ``merged`` are first and last row, first and last column, from 0, of every sheet."""
    bodies = [_sheet(rows, merged) for rows in sheets.values()]
    names = [_record(0x85, struct.pack("<IBB", 0, 0, 0) + _text(name, "B")) for name in sheets]
    at = len(_bof(5)) + sum(map(len, names)) + len(_record(0x0A))
    stream = _bof(5)
    for name, body in zip(names, bodies, strict=True):
        stream += name[:4] + struct.pack("<I", at) + name[8:]
        at += len(body)
    return _ole2(stream + _record(0x0A) + b"".join(bodies))


def _sheet(rows: Sequence[Sequence[Cell]], merged: Sequence[tuple[int, int, int, int]]) -> bytes:
    out = _bof(0x10)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            place = struct.pack("<HHH", i, j, 0)
            if isinstance(cell, bool):
                out += _record(0x205, place + struct.pack("<BB", cell, 0))
            elif isinstance(cell, str):
                out += _record(0x204, place + _text(cell, "<H"))
            elif cell is not None:
                out += _record(0x203, place + struct.pack("<d", cell))
    if merged:
        out += _record(
            0xE5, struct.pack("<H", len(merged)) + b"".join(struct.pack("<HHHH", *m) for m in merged)
        )
    return out + _record(0x0A)


def _record(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def _bof(kind: int) -> bytes:
    return _record(0x809, struct.pack("<HHHHII", 0x600, kind, 0, 1996, 0, 6))


def _text(text: str, length: str) -> bytes:
    return struct.pack(length, len(text)) + b"\x01" + text.encode("utf-16-le")


def _ole2(stream: bytes) -> bytes:
    # Below 4096 bytes a stream would stand in smaller sectors.
    stream = stream.ljust(4096, b"\0")
    stream += bytes(-len(stream) % _SECTOR)
    n = len(stream) // _SECTOR
    n_fat = 1
    while 128 * n_fat < n_fat + 1 + n:
        n_fat += 1
    first = n_fat + 1
    fat = [_FAT] * n_fat + [_END] + [first + i + 1 for i in range(n - 1)] + [_END]
    fat += [_FREE] * (128 * n_fat - len(fat))
    head = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + bytes(16)
        + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
        + bytes(6)
    )
    head += struct.pack("<IIIIIIIII", 0, n_fat, n_fat, 0, 4096, _END, 0, _END, 0)
    head += struct.pack("<109I", *range(n_fat), *[_FREE] * (109 - n_fat))
    folder = _entry("Root Entry", 5, 1, _END, 0) + _entry("Workbook", 2, _NONE, first, len(stream))
    return head + struct.pack(f"<{len(fat)}I", *fat) + folder.ljust(_SECTOR, b"\0") + stream


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    encoded = (name + "\0").encode("utf-16-le")
    return (
        encoded.ljust(64, b"\0")
        + struct.pack("<HBBIII", len(encoded), kind, 1, _NONE, _NONE, child)
        + bytes(36)
        + struct.pack("<IQ", start, size)
    )
