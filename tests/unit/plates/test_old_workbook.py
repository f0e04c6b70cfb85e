"""Workbooks of before 2007 are read as new ones are."""

from __future__ import annotations

import pytest
from tests.unit.plates.old_workbooks import old_workbook

from cartrace.plates.plate import ReadOptions
from cartrace.plates.source import Source
from cartrace.problems import InputError

ROWS = [["Type", "Well", "FI"], ["S1", "A1", 1234.5], [None, "µ", True], ["x", None, 7.0]]


def source(content: bytes) -> Source:
    return Source(content, "plate.xls", ReadOptions())


def test_the_sheets_of_an_old_workbook_are_read_cell_by_cell() -> None:
    book = source(old_workbook({"IL-6 (12)": ROWS, "Größe": [[1.0]]}))
    assert book.is_workbook
    assert not book.is_zip
    assert book.text == ""
    assert book.sheet_names == ["IL-6 (12)", "Größe"]
    rows = book.sheet("IL-6 (12)")
    assert [r.number for r in rows] == [1, 2, 3, 4]
    assert [tuple(r.cells) for r in rows] == [
        ("Type", "Well", "FI"),
        ("S1", "A1", 1234.5),
        ("", "µ", True),
        ("x", "", 7.0),
    ]
    assert len(book.sheet("IL-6 (12)", 2)) == 2


def test_merged_cells_of_an_old_workbook_are_known() -> None:
    book = source(old_workbook({"s": ROWS}, merged=[(1, 2, 0, 1)]))
    assert book.merged("s") == [("A2:B3", range(2, 4), range(1, 3))]


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c[:600],
        lambda c: c[:8] + bytes(1000),
        lambda c: c[:512] + bytes(len(c) - 512),
        lambda c: c[:8],
    ],
)
def test_a_damaged_or_encrypted_old_workbook_is_refused_with_the_remedy(damage) -> None:
    with pytest.raises(InputError, match=r"does not open.*save it as \.xlsx"):
        source(damage(old_workbook({"s": ROWS}))).sheet_names  # noqa: B018


def test_a_workbook_with_many_cells_is_read_whole() -> None:
    rows = [[float(i * j) for j in range(12)] for i in range(800)]
    assert [list(r.cells) for r in source(old_workbook({"s": rows})).sheet("s")] == rows
