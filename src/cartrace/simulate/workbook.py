"""Workbooks without the time of their making, so that equal cells give equal bytes."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence


def workbook_bytes(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    """Return a workbook (xlsx): name of the sheet -> its rows; None and '' are empty cells."""
    from openpyxl import Workbook

    book = Workbook()
    for n, (name, rows) in enumerate(sheets.items()):
        sheet = book.create_sheet(name) if n else book.worksheets[0]
        sheet.title = name
        for row in rows:
            sheet.append([None if cell == "" else cell for cell in row])
    buffer = io.BytesIO()
    book.save(buffer)
    return _timeless(buffer.getvalue())


def _timeless(content: bytes) -> bytes:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in sorted(source.namelist()):
            data = source.read(name)
            if name == "docProps/core.xml":
                data = re.sub(rb"\d{4}-\d\d-\d\dT[\d:.]+Z", b"2000-01-01T00:00:00Z", data)
            target.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()
