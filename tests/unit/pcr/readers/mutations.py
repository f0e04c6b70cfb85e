"""Damage done to files, and what may become of their wells."""

from __future__ import annotations

import re
from collections.abc import Callable

import pandas as pd
from hypothesis import strategies as st

from cartrace.pcr.plate import ReadOptions
from cartrace.pcr.readers import read_plate
from cartrace.problems import InputError

NUMBERS = [
    "cq",
    "nominal",
    "partitions",
    "positives",
    "vendor_quantity",
    "vendor_concentration",
    "vendor_slope",
    "vendor_intercept",
]
WORDS = ["well", "sample_name", "target", "task", "omitted", "cq_kind"]
_LINE_END = re.compile(rb"\r\n|\n|\r")
_ODD_CELLS = [
    b"",
    b"NaN",
    b"27,35",
    b"1,250",
    b"1e999",
    b"-5",
    b"0",
    b'"',
    b'""',
    b"\xff",
    b"\xc2\xb5",
    b"=1+1",
    b"Undetermined",
    b"UNKNOWN",
    b"A1",
    b"\x00",
]


def outcome(content: bytes, options: ReadOptions | None = None, name: str = "f") -> pd.DataFrame | None:
    """Return the wells, or None when the file is refused; any other exception is a failure."""
    try:
        return read_plate(content, name, options).wells
    except InputError:
        return None


def edits(content: bytes, delimiter: bytes) -> st.SearchStrategy[bytes]:
    """Draw the content with one damage: bytes, a cell, a line, or the end."""
    places = st.integers(0, len(content) - 1)
    lines = content.splitlines(keepends=True)
    line_numbers = st.integers(0, len(lines) - 1)

    def byte(at: int, new: int) -> bytes:
        return content[:at] + bytes([new]) + content[at + 1 :]

    def insert(at: int, new: bytes) -> bytes:
        return content[:at] + new + content[at:]

    def drop(at: int, length: int) -> bytes:
        return content[:at] + content[at + length :]

    def on_line(change: Callable[[bytes], bytes], at: int) -> bytes:
        return b"".join([*lines[:at], change(lines[at]), *lines[at + 1 :]])

    def cell(at: int, index: int, new: bytes) -> bytes:
        def change(line: bytes) -> bytes:
            body = line.rstrip(b"\r\n")
            cells = body.split(delimiter)
            cells[index % len(cells)] = new
            return delimiter.join(cells) + line[len(body) :]

        return on_line(change, at)

    def lose_cell(at: int, index: int) -> bytes:
        def change(line: bytes) -> bytes:
            body = line.rstrip(b"\r\n")
            cells = body.split(delimiter)
            del cells[index % len(cells)]
            return delimiter.join(cells) + line[len(body) :]

        return on_line(change, at)

    indices = st.integers(0, 40)
    return st.one_of(
        st.builds(byte, places, st.integers(0, 255)),
        st.builds(insert, places, st.binary(min_size=1, max_size=4)),
        st.builds(drop, places, st.integers(1, 40)),
        st.builds(cell, line_numbers, indices, st.sampled_from(_ODD_CELLS)),
        st.builds(lose_cell, line_numbers, indices),
        st.builds(lambda at: on_line(lambda line: line + line, at), line_numbers),
        st.builds(lambda at: on_line(lambda _line: b"", at), line_numbers),
        st.builds(lambda at: on_line(lambda line: line[:0] + b"\n", at), line_numbers),
        st.builds(lambda at: content[:at], places),
    )


def assert_untouched_rows_agree(before: pd.DataFrame, old: bytes, new: bytes, after: pd.DataFrame) -> None:
    """Compare the wells whose lines one edit left alone.

    An edit of a line above the wells (a header) may empty a column, but never
    change a number; a file that was cut may lack wells.
    """
    one, other = _LINE_END.split(old), _LINE_END.split(new)
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    shift = len(other) - len(one)
    line = before["source_row"].astype(int) - 1
    untouched = (line < start) | (line >= len(one) - end)
    mine = before[untouched].assign(source_row=line[untouched] + 1 + shift * (line[untouched] >= start))
    if old.startswith(new):
        mine = mine[mine["source_row"].isin(after["source_row"])]
    found = after[after["source_row"].isin(mine["source_row"])].reset_index(drop=True)
    mine = mine.reset_index(drop=True)
    if start + 1 >= int(before["source_row"].min()):
        pd.testing.assert_frame_equal(found[WORDS + NUMBERS], mine[WORDS + NUMBERS])
    elif len(found) == len(mine):
        for name in NUMBERS:
            both = mine[name].notna() & found[name].notna()
            assert mine.loc[both, name].tolist() == found.loc[both, name].tolist(), name
