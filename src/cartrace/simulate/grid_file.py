"""Plates drawn as grids, as people keep them: numbers or signs by row and column, and the layout beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cartrace.simulate.workbook import workbook_bytes

ROWS = "ABCDEFGHIJKLMNOP"


def grid_rows(cells: Mapping[str, object], columns: int, corner: str = "") -> list[list[object]]:
    """Return the rows of a grid of 12 or 24 columns; wells without a cell are empty."""
    letters = ROWS[: columns * 2 // 3]
    head: list[object] = [corner, *range(1, columns + 1)]
    body = [[r, *(cells.get(f"{r}{c:02d}", "") for c in range(1, columns + 1))] for r in letters]
    return [head, *body]


def grid_csv(cells: Mapping[str, object], columns: int, titles: Sequence[str]) -> str:
    """Return a grid as text with semicolons below its title lines."""
    rows = [[t] for t in titles] + [[]] + grid_rows(cells, columns)
    return "".join(";".join(map(str, row)) + "\n" for row in rows)


def grid_workbook(cells: Mapping[str, object], columns: int, titles: Sequence[str]) -> bytes:
    """Return a grid as a workbook below its title lines."""
    return workbook_bytes({"OD": [*([t] for t in titles), [], *grid_rows(cells, columns)]})


def layout_workbook(columns_of_layout: Mapping[str, Mapping[str, object]], columns: int) -> bytes:
    """Return a layout as a workbook: a sheet with a grid for each column (sample, dilution)."""
    return workbook_bytes({name: grid_rows(cells, columns) for name, cells in columns_of_layout.items()})


def layout_table(rows: Sequence[tuple[str, str, float]]) -> str:
    """Return a layout as a table of well, sample, dilution."""
    lines = [f"{well}\t{sample}\t{dilution:g}" for well, sample, dilution in rows]
    return "\n".join(["well\tsample\tdilution", *lines, ""])
