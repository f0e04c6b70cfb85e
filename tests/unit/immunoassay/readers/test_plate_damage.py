"""Damaged files: a clear error, or a plate whose other wells are as they were; never anything else.

CARTRACE_FUZZ_EXAMPLES sets how many damages are tried for each kind of file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.immunoassay.readers import made_plates as made
from tests.unit.immunoassay.readers.test_bioplex_workbook import sheet as bioplex_sheet
from tests.unit.pcr.readers.mutations import edits

from cartrace.immunoassay.readers import read_plate
from cartrace.plates.plate import ReadOptions, well_name
from cartrace.problems import InputError

FEW = 8
EXAMPLES = int(os.environ.get("CARTRACE_FUZZ_EXAMPLES", FEW))
bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize=EXAMPLES <= FEW,
)
NUMBERS = ["signal", "nominal", "dilution", "vendor_concentration", "vendor_recovery_percent"]
WORDS = ["sample_name", "task", "omitted", "vendor_status"]
TEXTS: dict[str, tuple[Callable[[], bytes], bytes]] = {
    "softmax_pro": (made.softmax, b"\t"),
    "gen5": (made.gen5, b"\t"),
    "methodical": (made.methodical, b"\t"),
    "plain_grid": (made.plain_grid, b","),
    "msd_workbench": (made.msd, b","),
}
"""Kind of text -> its writer, and what stands between its cells."""
_LINE_END = re.compile(rb"\r\n|\n|\r")
ODD: list[object] = [None, "", "x", "27,35", -1.0, 0.0, 1e300, True, "A1", "OVRFLW", "Well positions", 1]


def outcome(content: bytes, options: ReadOptions | None = None) -> pd.DataFrame | None:
    """Return the wells by well and target, or None when the file is refused; any other exception is a failure."""
    try:
        wells = read_plate(content, "f", options).wells
    except InputError:
        return None
    return wells.assign(target=wells["target"].fillna("")).set_index(["well", "target"])


def lines_of(kind: str, content: bytes, wells: pd.DataFrame) -> dict[str, set[int]]:
    """Well -> the lines (from 0) that say anything of it."""
    lines = [line.decode() for line in _LINE_END.split(content)]
    found: dict[str, set[int]] = {w: set() for w in wells.index.get_level_values("well")}
    for (well, _), row in wells["source_row"].items():
        found[well].add(int(row) - 1)
    if kind == "gen5":
        grids = [i for i, line in enumerate(lines) if line.startswith("\t1\t2\t")]
        for at, labels in zip(grids, (2, 3), strict=True):
            for well, mine in found.items():
                first = at + 1 + labels * made.LETTERS.index(well[0])
                mine.update(range(first, first + labels))
    if kind == "softmax_pro":
        plate = next(i for i, line in enumerate(lines) if line.startswith("\tTemp"))
        sample = 0
        for i, line in enumerate(lines):
            cells = line.split("\t")
            listed = [well_name(c) for c in cells if re.fullmatch(r"[A-H]\d{1,2}", c)]
            if len(listed) == 1:
                sample = i if cells[0].strip() else sample
                found[listed[0]] |= {i, sample}
        for well, mine in found.items():
            mine.add(plate + 1 + made.LETTERS.index(well[0]))
    return found


@cache
def whole(kind: str) -> tuple[bytes, pd.DataFrame, dict[str, set[int]]]:
    content = TEXTS[kind][0]()
    wells = outcome(content)
    assert wells is not None
    return content, wells, lines_of(kind, content, wells)


def assert_other_wells_agree(kind: str, new: bytes, after: pd.DataFrame) -> None:
    """Compare the wells of whose lines the damage left all alone.

    Damage to other lines (a header) may empty a column, but never change a number.
    """
    old, before, places = whole(kind)
    one, other = _LINE_END.split(old), _LINE_END.split(new)
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    touched = set(range(start, len(one) - end))
    mine = before[[not places[w] & touched for w in before.index.get_level_values("well")]]
    both = mine.index.intersection(after.index)
    mine, found = mine.loc[both], after.loc[both]
    for name in NUMBERS:
        known = mine[name].notna() & found[name].notna()
        assert mine.loc[known, name].tolist() == found.loc[known, name].tolist(), name
    if len(one) == len(other) and touched <= set().union(*places.values()):
        assert len(both) == sum(not places[w] & touched for w in before.index.get_level_values("well"))
        pd.testing.assert_frame_equal(mine[WORDS + NUMBERS], found[WORDS + NUMBERS])


@pytest.mark.parametrize("kind", TEXTS)
@bounded
@given(data=st.data())
def test_a_damaged_text_is_refused_or_keeps_its_other_wells(kind: str, data: st.DataObject) -> None:
    content, _, _ = whole(kind)
    damaged = data.draw(edits(content, TEXTS[kind][1]))
    after = outcome(damaged)
    if after is not None:
        assert_other_wells_agree(kind, damaged, after)


@pytest.mark.parametrize("kind", ["softmax_pro", "gen5", "methodical", "plain_grid"])
@bounded
@given(data=st.data())
def test_a_cut_plate_is_refused_or_whole(kind: str, data: st.DataObject) -> None:
    content, before, _ = whole(kind)
    after = outcome(content[: data.draw(st.integers(0, len(content) - 1))])
    if after is not None:
        columns = NUMBERS + WORDS
        pd.testing.assert_frame_equal(after[columns], before[columns])


@pytest.mark.parametrize("writer", [made.magellan, made.plain_workbook])
@bounded
@given(data=st.data())
def test_a_damaged_archive_is_refused_or_reads_as_before(
    writer: Callable[[], bytes], data: st.DataObject
) -> None:
    content = _made(writer)
    before = outcome(content)
    at = data.draw(st.integers(0, len(content) - 1))
    changed = content[:at] + bytes([content[at] ^ 0x15]) + content[at + 1 :]
    after = outcome(data.draw(st.sampled_from([content[:at], changed, content[:at] + content])))
    assert before is not None
    if after is not None:
        assert after.equals(before)


@cache
def _made(writer: Callable[[], bytes]) -> bytes:
    return writer()


@cache
def _sheet(kind: str) -> tuple[bytes, tuple[list[object], ...]]:
    rows: list[list[object]] = {
        "magellan": made.magellan_rows,
        "plain_grid": lambda: made.grid_rows_of(made.od),
        # The first wells of each task: a workbook takes its time.
        "msd_workbench": lambda: [["Plate_X"], list(made.MSD_COLUMNS), *map(list, made.msd_rows()[:24])],
        "bioplex_workbook": bioplex_sheet,
    }[kind]()
    return made.workbook({"s": rows}), tuple(rows)


@pytest.mark.parametrize("kind", ["magellan", "plain_grid", "msd_workbench", "bioplex_workbook"])
@bounded
@given(row=st.integers(0, 100), column=st.integers(0, 13), cell=st.sampled_from(ODD))
def test_an_odd_cell_of_a_workbook_is_refused_or_leaves_the_other_rows(
    kind: str, row: int, column: int, cell: object
) -> None:
    content, rows = _sheet(kind)
    before = outcome(content)
    assert before is not None
    rows, row = list(rows), row % len(rows)
    rows[row] = [*rows[row], *[None] * 14]
    rows[row][column] = cell
    after = outcome(made.workbook({"s": rows}))
    if after is not None:
        kept, others = (f[f["source_row"] != row + 1] for f in (after, before))
        assert kept.index.equals(others.index)
        for name in NUMBERS:
            # A header that lost its name empties its column, and no more.
            in_header = row + 1 < others["source_row"].min()
            known = kept[name].notna() if in_header else kept[name].notna() | others[name].notna()
            assert kept.loc[known, name].tolist() == others.loc[known, name].tolist(), name
