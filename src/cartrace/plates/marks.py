"""Flags of findings, on wells, samples and whole targets; and the verdicts that follow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
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


def spread_to_samples(
    samples: pd.DataFrame,
    of_samples: list[Marks],
    of_wells: list[Marks],
    of_targets: Mapping[str, Marks],
    *,
    from_every_well: Collection[str] = (),
) -> list[Marks]:
    """Give each sample its own flags, those of its target, and those of the wells behind it.

    A sample without any well left takes the flags of the lost ones, which say why.

    Parameters
    ----------
    samples
        With ``target``, ``members`` (positions of the wells behind the result) and ``all_wells``.
    of_samples, of_wells, of_targets
        As :func:`collect` gives them.
    from_every_well
        Flags that a sample also takes from wells that are not behind its result.
    """
    out = []
    for own, target, members, every in zip(
        of_samples, samples["target"], samples["members"], samples["all_wells"], strict=True
    ):
        marks = dict(own)
        add(marks, of_targets.get(target, {}))
        for i in members or every:
            add(marks, of_wells[i])
        for i in every:
            add(marks, {k: v for k, v in of_wells[i].items() if k in from_every_well})
        out.append(marks)
    return out


def spread_to_wells(
    wells: pd.DataFrame,
    behind: Iterable[Iterable[int]],
    of_wells: list[Marks],
    of_samples: list[Marks],
    of_targets: Mapping[str, Marks],
    *,
    tasks: Collection[str],
) -> list[Marks]:
    """Give wells the flags of their sample, and the used ones of some tasks those of their target.

    Parameters
    ----------
    wells
        With ``target``, ``task`` and ``usable``.
    behind
        Of each sample the positions of the wells that take its flags.
    of_wells, of_samples, of_targets
        As :func:`collect` gives them; ``of_samples`` after :func:`spread_to_samples`.
    tasks
        Tasks without a sample, on which their whole target rests: standards.
    """
    out = [dict(marks) for marks in of_wells]
    for members, marks in zip(behind, of_samples, strict=True):
        for i in members:
            add(out[i], marks)
    of_target = wells["usable"] & wells["task"].isin(tasks)
    for marks, target, mine in zip(out, wells["target"], of_target, strict=True):
        if mine:
            add(marks, of_targets.get(target, {}))
    return out


def with_verdict(frame: pd.DataFrame, marks: list[Marks]) -> pd.DataFrame:
    """Add verdict and flags: a failing mark rejects, any other flags."""

    def verdict(m: Marks) -> str:
        return "rejected" if "fail" in m.values() else "flagged" if m else "accepted"

    return frame.assign(
        verdict=pd.array([verdict(m) for m in marks], dtype="string"),
        flags=pd.array([";".join(sorted(m)) or None for m in marks], dtype="string"),
    )
