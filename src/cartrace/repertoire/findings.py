"""One record of QC, for all modules of clones and integration sites."""

from __future__ import annotations


def finding(
    check: str, verdict: str, message: str, *, value: object = None, **more: object
) -> dict[str, object]:
    """Return one record of QC; ``more`` are other columns of it."""
    told = None if value is None else str(value)
    return {"check": check, "verdict": verdict, "value": told, "message": message, **more}
