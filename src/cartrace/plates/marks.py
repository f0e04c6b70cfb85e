"""Flags of findings, on wells, samples and whole targets; and the verdicts that follow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from cartrace.plates.acceptance import Finding

Marks = dict[str, str]
"""Flag -> verdict of the finding that set it: fail or warn."""


def collect(
    findings: Iterable[Finding], n_wells: int, n_samples: int
) -> tuple[list[Marks], list[Marks], dict[str, Marks]]:
    """Collect the flags that findings set on wells, samples and whole targets."""
    of_wells: list[Marks] = [{} for _ in range(n_wells)]
    of_samples: list[Marks] = [{} for _ in range(n_samples)]
    of_targets: dict[str, Marks] = {}
    for f in findings:
        if f.verdict not in {"fail", "warn"}:
            continue
        marked: list[Marks] = []
        if "wells" in f.marks:
            marked += [of_wells[i] for i in f.wells]
        if "sample" in f.marks and f.sample is not None:
            marked.append(of_samples[f.sample])
        if "target" in f.marks:
            marked.append(of_targets.setdefault(f.target, {}))
        for marks in marked:
            add(marks, {f.check: f.verdict})
    return of_wells, of_samples, of_targets


def add(marks: Marks, more: Marks) -> None:
    """Put ``more`` over ``marks``; fail stays."""
    for flag, verdict in more.items():
        marks[flag] = "fail" if "fail" in {marks.get(flag), verdict} else verdict


def with_verdict(frame: pd.DataFrame, marks: list[Marks]) -> pd.DataFrame:
    """Add verdict and flags: a failing mark rejects, any other flags."""

    def verdict(m: Marks) -> str:
        return "rejected" if "fail" in m.values() else "flagged" if m else "accepted"

    return frame.assign(
        verdict=pd.array([verdict(m) for m in marks], dtype="string"),
        flags=pd.array([";".join(sorted(m)) or None for m in marks], dtype="string"),
    )
