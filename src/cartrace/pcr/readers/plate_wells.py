"""What holds for the wells of every PCR file, whichever instrument wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cartrace.pcr.tables import PLATE_WELLS
from cartrace.plates.source import Source, show
from cartrace.problems import plain
from cartrace.tables import rows as frame_of

if TYPE_CHECKING:
    import pandas as pd

MAX_CYCLES = 100.0
"""No protocol runs longer, so a Cq above it is none."""


def plate_wells(source: Source, records: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Check what holds for every file and return the wells (contract PLATE_WELLS).

    Parameters
    ----------
    records
        One mapping for each target of each well, with the names of PLATE_WELLS.
        ``omitted`` and ``cq_kind`` may be left out: not omitted, no Cq.

    Raises
    ------
    InputError
        With every problem of the source; for a Cq that no cycler gives, a negative
        quantity, more positives than partitions, one target twice in one well, no well.
    """
    seen: dict[tuple[object, ...], object] = {}
    for record in records:
        row = record["source_row"]
        assert isinstance(row, int)
        key = tuple(record.get(k) or "" for k in ("well", "target", "reporter", "pooled_wells"))
        if key in seen:
            source.problem(
                f"target {show(str(key[1]))} of well {show(str(key[0]))} a second time",
                f"one row for each; the first is row {seen[key]}",
                row,
            )
        seen.setdefault(key, row)
        for name in ("nominal", "vendor_quantity", "vendor_concentration"):
            value = record.get(name)
            if isinstance(value, (int, float)) and value < 0:
                source.problem(f"the quantity {value:g}", "a number from 0", row, name)
        cq = record.get("cq")
        if isinstance(cq, (int, float)) and not 0 < cq <= MAX_CYCLES:
            source.problem(f"the Cq {cq:g}", f"above 0 and at most {MAX_CYCLES:g}", row, "Cq")
        positives, partitions = record.get("positives"), record.get("partitions")
        if isinstance(positives, int) and isinstance(partitions, int) and positives > partitions:
            source.problem(f"{positives} positives of {partitions} partitions", "no more than all", row)
    if not records:
        source.problem("no well", "at least one well with a target")
    source.check()
    return frame_of((_kept(r) for r in records), PLATE_WELLS)


def _kept(record: Mapping[str, object]) -> dict[str, object]:
    # A sample's name keeps its dates until it is known whose it is (cartrace.pcr.samples).
    texts = {
        k: plain(v)
        for k in ("well", "target", "reporter", "vendor_status")
        if isinstance(v := record.get(k), str)
    }
    return {"omitted": False, "cq_kind": "missing"} | dict(record) | texts
