"""One run under two names in the files sheet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def read_twice(plates: Iterable[tuple[str, str, pd.DataFrame]], fewest: int) -> Iterator[dict[str, object]]:
    """Tell plates whose readings are those of another plate: one run under two names, whose results all count twice.

    Parameters
    ----------
    plates
        file_id, assay and readings of each: one row for each reading, in any order.
    fewest
        Readings below which two plates may agree by chance.

    Yields
    ------
    dict
        A row of QC for each plate that is another one again.
    """
    first: dict[object, str] = {}
    for file_id, assay, read in plates:
        if len(read) < fewest:
            continue
        # With another assay file the same plate is other results.
        readings = (assay, *sorted(read.astype("string").fillna("").agg("\t".join, axis=1)))
        other = first.setdefault(readings, file_id)
        if other != file_id:
            yield {
                "check": "plate_twice",
                "verdict": "warn",
                "source_file": file_id,
                "value": other,
                "message": f"All {len(read)} readings of {file_id} are those of {other}: the same run twice, so "
                "its results and its controls count twice.",
                "suggestion": "take one of the two out of the files sheet",
            }
