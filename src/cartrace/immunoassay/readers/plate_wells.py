"""What holds for the wells of every immunoassay file, whichever program wrote it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cartrace.immunoassay.tables import PLATE_WELLS
from cartrace.plates.source import Source, show
from cartrace.problems import plain
from cartrace.tables import rows as frame_of

if TYPE_CHECKING:
    import pandas as pd

_FROM_ZERO = ("nominal", "bead_count")
_NUMBERS = ("signal", "nominal", "vendor_concentration", "vendor_recovery_percent")
LARGEST = 1e15
"""No instrument prints more; squares of it still are numbers."""


def plate_wells(source: Source, records: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Check what holds for every file and return the wells (contract PLATE_WELLS).

    Parameters
    ----------
    records
        One mapping for each analyte of each well, with the names of PLATE_WELLS.
        ``omitted`` may be left out: not omitted.

    Raises
    ------
    InputError
        With every problem of the source; for a number that is not finite or absurd, a negative
        concentration or count, a dilution below 1, one analyte twice in one well, no well.
    """
    seen: dict[tuple[str, str], object] = {}
    for record in records:
        row, column = record["source_row"], record.get("source_column")
        assert isinstance(row, int)
        assert column is None or isinstance(column, str)
        well, target = str(record.get("well") or ""), str(record.get("target") or "")
        if (well, target) in seen:
            of = f" for {show(target)}" if target else ""
            source.problem(
                f"well {show(well)} a second time{of}",
                f"each once; the first is in row {seen[well, target]}",
                row,
                column,
            )
        seen.setdefault((well, target), row)
        if not well:
            source.problem("no well", "a well such as A1", row, column)
        for name in _FROM_ZERO:
            value = record.get(name)
            if isinstance(value, (int, float)) and not 0 <= value < math.inf:
                source.problem(f"{name} {value:g}", "a number from 0", row, column or name)
        for name in _NUMBERS:
            value = record.get(name)
            if isinstance(value, (int, float)) and not abs(value) <= LARGEST:
                source.problem(f"{name} {value:g}", f"a number up to {LARGEST:g}", row, column or name)
        dilution = record.get("dilution")
        if isinstance(dilution, (int, float)) and not 1 <= dilution < 1e12:
            source.problem(f"the dilution {dilution:g}", "1 or more: 50 means 1 in 50", row, column)
    if not records:
        source.problem("no well", "at least one well with a signal")
    source.check()
    return frame_of((_kept(r) for r in records), PLATE_WELLS)


def _kept(record: Mapping[str, object]) -> dict[str, object]:
    # A sample's name keeps its dates until it is known whose it is (cartrace.plates.sample_names).
    texts = {
        k: plain(v)
        for k in ("well", "target", "vendor_status", "source_column")
        if isinstance(v := record.get(k), str)
    }
    return {"omitted": False} | dict(record) | texts
