"""What changed in the metrics since the last run that ended well, and what can have caused it.

The two run records say what a run was made of: laboratory files with their hashes, the
configuration, the code, the versions of libraries. Every difference between them is named as
a cause of the night; which of them moved one number is not guessed. What can be known of one
row is which changed files hold results of its subject and analyte: each measurement names its
file and the hash of the file's content.

Numbers are compared exactly, as the table prints them: a difference in the last digit is a
change too. ``relative_difference`` tells it from a real one, so that no threshold has to hide
anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from cartrace.problems import redact_dates
from cartrace.tables import METRICS, Column, Table, conform, empty

TRACED = ("subject_id", "analyte", "source_file", "source_sha256")
"""Columns of a measurement by which a metric is traced to files."""

COMPARED = ("value", "lower", "upper", "unit", "status", "reason")
"""Columns of a metric in which a difference is a change."""

_NUMBERS = ("value", "lower", "upper")
_KINDS = {column.name: column.kind for column in METRICS.columns}
_MOST_NAMED = 5

CHANGES = Table(
    "changes",
    "One row for each metric that was added, removed or changed since the last run that ended well.",
    (
        *(Column(c.name, c.kind, c.description, required=True) for c in METRICS.columns if c.name in METRICS.key),
        Column("change", "text", "What happened.", required=True, allowed=("added", "removed", "changed")),
        Column("changed_columns", "text", "The columns that differ; empty when added or removed."),
        *(
            Column(f"{name}_{when}", _KINDS[name], f"Column {name} of metrics in the {run} run.")
            for name in COMPARED
            for when, run in (("before", "earlier"), ("after", "present"))
        ),
        Column(
            "relative_difference",
            "number",
            "Largest of |after - before| / |before| over value, lower and upper; empty where none can be told.",
        ),
        Column(
            "source_files",
            "text",
            "Files with results of this subject and analyte whose content is new, other or gone; empty when none is.",
        ),
        Column("causes", "text", "All that differs between the two runs; not told apart by row.", required=True),
    ),
    key=METRICS.key,
)  # fmt: skip


def run_causes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Say all that differs between what two runs were made of.

    Parameters
    ----------
    before, after
        Run records: ``inputs`` (path to hash), ``config_sha256``, ``code_version``,
        ``code_sha256`` (may be missing), ``versions``.

    Returns
    -------
    list of str
        One phrase for each kind of difference, without calendar dates; never empty.
    """
    old, new = before.get("inputs", {}), after.get("inputs", {})
    kinds = {
        "added": new.keys() - old.keys(),
        "changed under the old name": {p for p in new.keys() & old.keys() if new[p] != old[p]},
        "removed": old.keys() - new.keys(),
    }
    causes = [f"{_count(len(p), 'input file')} {kind}: {_named(p)}" for kind, p in kinds.items() if p]
    if before.get("config_sha256") != after.get("config_sha256"):
        causes.append("configuration changed")
    was, now = str(before.get("code_version")), str(after.get("code_version"))
    hashes = before.get("code_sha256"), after.get("code_sha256")
    if was != now or (all(hashes) and hashes[0] != hashes[1]):
        causes.append(f"code changed: {was} -> {now}")
    elif "dirty" in now and not all(hashes):
        causes.append(f"code with uncommitted edits ran both times ({now}): it may differ")
    versions, newer = before.get("versions", {}), after.get("versions", {})
    moved = [
        f"{name} {versions.get(name, 'none')} -> {newer.get(name, 'none')}"
        for name in sorted(versions.keys() | newer.keys())
        if versions.get(name) != newer.get(name)
    ]
    if moved:
        causes.append(f"versions changed: {', '.join(moved)}")
    return [redact_dates(c) for c in causes] or ["nothing that the run records hold differs"]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _named(paths: Iterable[str]) -> str:
    listed = sorted(paths)
    more = len(listed) - _MOST_NAMED
    return ", ".join(listed[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def changed_metrics(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Return the metrics that differ, with both states side by side.

    Parameters
    ----------
    before, after
        Tables ``metrics`` of the two runs; the order of rows does not matter.

    Returns
    -------
    pandas.DataFrame
        Columns of :data:`CHANGES` but ``source_files`` and ``causes``, sorted by the key.
    """
    key = list(METRICS.key)
    columns = [*key, *COMPARED]
    # Most rows are in both tables as they are; without them the merge needs little memory.
    stacked = pd.concat([before[columns], after[columns]], ignore_index=True)
    alone = ~stacked.duplicated(keep=False).to_numpy()
    old, new = alone[: len(before)], alone[len(before) :]
    del stacked
    both = before.loc[old, columns].merge(
        after.loc[new, columns], on=key, how="outer", suffixes=("_before", "_after"), indicator="change"
    )
    both["change"] = (
        both["change"].astype(str).map({"left_only": "removed", "right_only": "added", "both": "changed"})
    )
    differs = np.column_stack([_differs(both[f"{name}_before"], both[f"{name}_after"]) for name in COMPARED])
    kept = (both["change"] != "changed").to_numpy() | differs.any(axis=1)
    both, differs = both[kept], differs[kept]
    told = [", ".join(n for n, d in zip(COMPARED, row, strict=True) if d) for row in differs]
    stayed = (both["change"] == "changed").to_numpy()
    return (
        both.assign(
            changed_columns=pd.array(
                [t if s else None for t, s in zip(told, stayed, strict=True)], dtype="string"
            ),
            relative_difference=_relative(both),
        )
        .sort_values(key)
        .reset_index(drop=True)
    )


def _differs(before: pd.Series[Any], after: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    same = (before == after).fillna(False).to_numpy(dtype=bool)
    return ~(same | (before.isna() & after.isna()).to_numpy(dtype=bool))


def _relative(both: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the largest relative difference of each row; nan where the earlier number is 0 or none."""
    largest = np.full(len(both), np.nan)
    for name in _NUMBERS:
        before = both[f"{name}_before"].to_numpy(dtype=float, na_value=np.nan)
        after = both[f"{name}_after"].to_numpy(dtype=float, na_value=np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.abs(after - before) / np.abs(before)
        # A censored value that got or lost its end differs without a measure of how far.
        largest = np.fmax(largest, np.where(np.isfinite(relative), relative, np.nan))
    return largest


def changed_sources(
    before: pd.DataFrame, after: pd.DataFrame, inputs_before: Iterable[str], inputs_after: Iterable[str]
) -> dict[str, str]:
    """Say of each file of the measurements whose content is new, other or gone, which of these.

    A file whose content the other run had as well, under another name or without any
    measurement, is no change of content.

    Parameters
    ----------
    before, after
        ``source_file`` and ``source_sha256`` of the measurements of the two runs.
    inputs_before, inputs_after
        Hashes of all laboratory files of the two runs.
    """
    old, new = _contents(before), _contents(after)
    known_before = {*inputs_before}.union(*old.values())
    known_after = {*inputs_after}.union(*new.values())
    told = {}
    for file in sorted(old.keys() | new.keys()):
        if file in old and file in new:
            if old[file] != new[file]:
                told[file] = "other content"
        elif file in new and not new[file] & known_before:
            told[file] = "new"
        elif file in old and not old[file] & known_after:
            told[file] = "gone"
    return told


def _contents(measurements: pd.DataFrame) -> dict[str, set[str]]:
    pairs = measurements[["source_file", "source_sha256"]].drop_duplicates().dropna()
    found: dict[str, set[str]] = {}
    for file, content in zip(pairs["source_file"], pairs["source_sha256"], strict=True):
        found.setdefault(str(file), set()).add(str(content))
    return found


def changes(
    metrics: tuple[pd.DataFrame, pd.DataFrame],
    measurements: tuple[pd.DataFrame, pd.DataFrame],
    records: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> pd.DataFrame:
    """Return the table of what changed between two runs (:data:`CHANGES`).

    Parameters
    ----------
    metrics
        Tables ``metrics`` before and after; their key and :data:`COMPARED` are used.
    measurements
        Tables ``measurements`` before and after; :data:`TRACED` are used.
    records
        Run records before and after, as :func:`run_causes` takes them.
    """
    changed = changed_metrics(*metrics)
    if changed.empty:
        return empty(CHANGES)
    inputs = [record.get("inputs", {}).values() for record in records]
    told = changed_sources(*measurements, *inputs)
    rows = pd.concat([m[["subject_id", "analyte", "source_file"]] for m in measurements]).drop_duplicates()
    rows = rows[rows["source_file"].isin(list(told))]
    files: dict[tuple[str, str], list[str]] = {}
    for subject, analyte, file in sorted(rows.itertuples(index=False, name=None)):
        files.setdefault((subject, analyte), []).append(f"{redact_dates(file)} ({told[file]})")
    pairs = zip(changed["subject_id"], changed["analyte"], strict=True)
    changed["source_files"] = pd.array(
        [", ".join(files[pair]) if pair in files else None for pair in pairs], dtype="string"
    )
    changed["causes"] = "; ".join(run_causes(*records))
    return conform(changed[list(CHANGES.names)], CHANGES)


def summary(changed: pd.DataFrame) -> str:
    """Say in a few words how many metrics changed, were added and removed.

    >>> summary(pd.DataFrame({"change": ["changed", "changed", "added"]}))
    '2 metrics changed, 1 added'
    """
    counts = {kind: int((changed["change"] == kind).sum()) for kind in ("changed", "added", "removed")}
    told = [f"{number} {kind}" for kind, number in counts.items() if number]
    if not told:
        return "no metric changed"
    number, kind = told[0].split()
    return ", ".join([f"{_count(int(number), 'metric')} {kind}", *told[1:]])
