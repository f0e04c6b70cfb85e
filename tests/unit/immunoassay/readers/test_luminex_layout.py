"""Layouts drawn as grids in a workbook."""

from __future__ import annotations

import io
from datetime import datetime

import openpyxl
import pandas as pd
import pytest

from cartrace.immunoassay.grid_layout import COLUMNS, read_grid_layout
from cartrace.problems import InputError

Grid = list[list[object]]


def grid(cells: dict[str, object], corner: str | None = None, rows: int = 8, columns: int = 12) -> Grid:
    """A grid with these cells, by well (A1)."""
    return [
        [corner, *range(1, columns + 1)],
        *(
            [letter, *(cells.get(f"{letter}{n}") for n in range(1, columns + 1))]
            for letter in "ABCDEFGHIJKLMNOP"[:rows]
        ),
    ]


def book(**sheets: Grid) -> bytes:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.worksheets[0])
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()


def read(**sheets: Grid) -> pd.DataFrame:
    return read_grid_layout(book(**sheets), "layout.xlsx")


def refusal(content: bytes) -> str:
    with pytest.raises(InputError) as error:
        read_grid_layout(content, "layout.xlsx")
    return str(error.value)


def said(layout: pd.DataFrame) -> dict[str, dict[str, object]]:
    return {
        str(r["well"]): {str(k): v for k, v in r.items() if k != "well" and not pd.isna(v)}
        for r in layout.to_dict("records")
    }


def test_one_grid_names_samples_blanks_and_dilutions_of_the_standard() -> None:
    layout = read(Feuil1=grid({"A1": "B", "A2": "1/50", "A3": "1:102400", "B1": "P-01 d28", "H12": 17}))
    assert list(layout.columns) == list(COLUMNS.names)
    assert layout.attrs["name"] == "layout.xlsx"
    assert said(layout) == {
        "A01": {"sample": "B", "task": "blank"},
        "A02": {"sample": "1/50", "task": "standard", "dilution": 50},
        "A03": {"sample": "1:102400", "task": "standard", "dilution": 102400},
        "B01": {"sample": "P-01 d28"},
        "H12": {"sample": "17"},
    }


def test_several_grids_are_columns_named_by_corner_line_above_or_sheet() -> None:
    above: Grid = [
        ["Task"],
        *grid({"A1": "Standard", "B1": "unknown"}),
        [],
        *grid({"A1": 100}, corner="nominal"),
    ]
    layout = read(
        sample=grid({"A1": "cal 1", "B1": "P-01"}),
        others=[*above, [], ["exclude"], *grid({"B1": "spilled"})],
        Dilution=grid({"B1": "1/50", "A1": 1}),
    )
    assert said(layout) == {
        "A01": {"sample": "cal 1", "task": "standard", "nominal": 100, "dilution": 1},
        "B01": {"sample": "P-01", "task": "unknown", "dilution": 50, "exclude": "spilled"},
    }


def test_a_title_right_below_the_last_row_belongs_to_the_next_grid() -> None:
    rows: Grid = [["sample"], *grid({"A1": "P-01"}), ["dilution"], *grid({"A1": 50})]
    assert said(read(Sheet1=rows)) == {"A01": {"sample": "P-01", "dilution": 50}}


def test_a_grid_of_384_wells_is_read() -> None:
    assert said(read(Sheet1=grid({"P24": "P-01"}, rows=16, columns=24))) == {"P24": {"sample": "P-01"}}


@pytest.mark.parametrize(
    ("sheets", "told"),
    [
        ({"sample": grid({}), "tasks": grid({"A1": "blank"})}, "called 'tasks'"),
        ({"sample": grid({"A1": "a"}), "Sheet2": grid({"A1": "b"}, corner="sample")}, "each once"),
        ({"task": grid({"A1": "standart"})}, "'standart'"),
        ({"dilution": grid({"A1": "0.5"})}, "50 means 1 in 50"),
        ({"nominal": grid({"A1": "-3"})}, "0 or more"),
        ({"nominal": grid({"A1": "nan"})}, "'nan'"),
        ({"exclude": grid({"A1": "x"})}, "why the well is left out"),
        ({"Sheet1": grid({"B2": datetime(2024, 1, 12)})}, "a workbook may have made one of 1/12"),
        ({"Sheet1": grid({"B2": "a" * 201})}, "at most 200"),
        ({"Sheet1": grid({})}, "a sample in at least one well"),
        ({"Sheet1": grid({"A1": "x"}, rows=7)}, "the file was cut"),
        ({"Sheet1": [*grid({"H1": "x"}), [None, "y"]]}, "a second row for H"),
        ({"Sheet1": [["well", "sample"], ["A1", "x"]]}, "no grid"),
    ],
)
def test_a_fault_is_refused_with_what_is_allowed(sheets: dict[str, Grid], told: str) -> None:
    assert told in refusal(book(**sheets))


def test_a_fault_names_row_and_column_of_the_sheet_and_shows_no_date() -> None:
    message = refusal(book(Sheet1=[["notes"], [], *grid({"B2": "seen 2024-01-12"})]))
    assert "row 5, column '2'" in message
    assert "2024" not in message


@pytest.mark.parametrize(
    ("merged", "inside"), [("B3:C3", True), ("M9:M12", True), ("A1:F1", False), ("O3:P4", False)]
)
def test_merged_cells_of_a_grid_are_refused_since_only_the_first_well_has_a_name(
    merged: str, inside: bool
) -> None:
    workbook = openpyxl.load_workbook(io.BytesIO(book(Sheet1=[["notes"], *grid({"A1": "P-01", "B12": "x"})])))
    workbook["Sheet1"].merge_cells(merged)
    stream = io.BytesIO()
    workbook.save(stream)
    if inside:
        assert f"the merged cells {merged}" in refusal(stream.getvalue())
    else:
        assert set(said(read_grid_layout(stream.getvalue(), "layout.xlsx"))) == {"A01", "B12"}


def test_what_is_no_workbook_is_refused() -> None:
    assert "no workbook" in refusal(b"well\tsample\nA1\tP-01\n")
