"""Workbooks of before 2007 (.xls), as Bio-Plex Manager and other old programs still write them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

SIGNATURE = b"\xd0\xcf\x11\xe0"
"""First bytes of an OLE2 file: an old workbook, or an encrypted new one."""


class OldWorkbookError(ValueError):
    """The file does not open as an old workbook."""


@dataclass(frozen=True, slots=True)
class OldWorkbook:
    """An opened workbook; formulas have the values that were computed when it was saved."""

    book: Any

    @property
    def sheet_names(self) -> list[str]:
        """Names of the sheets."""
        return [str(name) for name in self.book.sheet_names()]

    def merged(self, name: str) -> list[tuple[range, range]]:
        """Return rows and columns of the merged cells of a sheet, both counted from 1."""
        found = self.book.sheet_by_name(name).merged_cells
        return [(range(top + 1, end + 1), range(left + 1, last + 1)) for top, end, left, last in found]

    def n_cells(self, name: str) -> int:
        """Return how many cells the rectangle of a sheet has."""
        sheet = self.book.sheet_by_name(name)
        return int(sheet.nrows * sheet.ncols)

    def rows(self, name: str, limit: int | None = None) -> list[tuple[str | float | bool, ...]]:
        """Return the cells of a sheet, row by row; an empty one is an empty text, a date or time is text."""
        sheet = self.book.sheet_by_name(name)
        n = sheet.nrows if limit is None else min(limit, sheet.nrows)
        return [tuple(self._value(sheet.cell(i, j)) for j in range(sheet.ncols)) for i in range(n)]

    def _value(self, cell: Any) -> str | float | bool:
        import xlrd

        if cell.ctype == xlrd.XL_CELL_DATE:
            return str(xlrd.xldate_as_datetime(cell.value, self.book.datemode))
        if cell.ctype == xlrd.XL_CELL_BOOLEAN:
            return bool(cell.value)
        if cell.ctype == xlrd.XL_CELL_ERROR:
            return str(xlrd.error_text_from_code.get(cell.value, "#N/A"))
        return float(cell.value) if cell.ctype == xlrd.XL_CELL_NUMBER else str(cell.value)


def open_old(content: bytes) -> OldWorkbook:
    """Open a workbook.

    Raises
    ------
    OldWorkbookError
        When it is damaged, encrypted, or no workbook.
    """
    import xlrd

    try:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - xlrd writes what it wonders about
            return OldWorkbook(
                xlrd.open_workbook(file_contents=content, logfile=nowhere, formatting_info=True)
            )
    except Exception as error:  # noqa: BLE001 - a broken workbook may fail anywhere in xlrd
        raise OldWorkbookError(type(error).__name__) from None
