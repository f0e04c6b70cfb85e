"""Plates written by hand, for the tests of quantification: Cq = 40 - 10/3 log10(copies), no noise."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from cartrace import tables
from cartrace.pcr.assay import Assay, load_assay
from cartrace.pcr.plate import PLATE_WELLS, Plate

SLOPE, INTERCEPT = -10 / 3, 40.0
LEVELS = (10.0, 100.0, 1e3, 1e4, 1e5, 1e6)

Row = dict[str, Any]


def cq(copies: float) -> float:
    return INTERCEPT + SLOPE * math.log10(copies)


def qpcr(
    well: str, sample: str | None, copies: float, *, target: str = "CAR", task: str = "unknown", **more: Any
) -> Row:
    """One well in which ``copies`` were read; 0 is undetermined, nan was not read."""
    found = {} if not copies > 0 else {"cq": cq(copies)}
    kind = "quantified" if copies > 0 else "undetermined" if copies == 0 else "missing"
    row = {"well": well, "sample_name": sample, "target": target, "task": task, "cq_kind": kind}
    return row | found | more


def dpcr(well: str, sample: str | None, positives: float, partitions: float = 20_000, **more: Any) -> Row:
    row: Row = {"well": well, "sample_name": sample, "target": "CAR", "task": "unknown", "cq_kind": "missing"}
    return row | {"positives": positives, "partitions": partitions} | more


def standards(target: str = "CAR", levels: tuple[float, ...] = LEVELS, **more: Any) -> list[Row]:
    """Two wells of each level, in rows A and B, read without error."""
    return [
        qpcr(f"{row}{i:02d}", f"STD{i}", level, target=target, task="standard", nominal=level, **more)
        for i, level in enumerate(levels, 1)
        for row in "AB"
    ]


def ntc(well: str = "H12", copies: float = 0.0, **more: Any) -> Row:
    return qpcr(well, "NTC", copies, task="ntc", **more)


def plate(rows: list[Row], method: str | None = None, **more: Any) -> Plate:
    """Number the rows as a file would, and make the plate of them."""
    digital = any("partitions" in r for r in rows) if method is None else method == "dpcr"
    listed = [{"omitted": False, "source_row": i, **r} for i, r in enumerate(rows, 2)]
    return Plate(
        family="by_hand",
        method="dpcr" if digital else "qpcr",
        wells=tables.rows(listed, PLATE_WELLS) if listed else tables.empty(PLATE_WELLS),
        **more,
    )


def assay(**more: Any) -> Assay:
    raw: dict[str, Any] = {"targets": {"CAR": {}}, "samples": {"matrix": "blood"}}
    return load_assay(raw | more, "assay.yaml")


def rule_rows(qc: pd.DataFrame, check: str) -> pd.DataFrame:
    return qc[qc["check"] == check]


def flags(frame: pd.DataFrame) -> list[set[str]]:
    return [set() if pd.isna(f) else set(f.split(";")) for f in frame["flags"]]
