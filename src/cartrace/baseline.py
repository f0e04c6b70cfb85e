"""The metrics of the last run that ended well, kept in the trial folder to compare with.

Beside the record ``N.json`` of that run stand ``N.metrics.parquet`` and
``N.measurements.parquet``. They are written before the record and count only once it stands
and says that the run ended well, so a killed or failed run never replaces them.

Light, because the schedule reads it at each start: pandas is loaded only when the metrics differ.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cartrace.files import replacing
from cartrace.identity import NotRead, read_record

METRICS = "results/cohort/metrics.parquet"
MEASUREMENTS = "results/intake/measurements.parquet"
_KEPT = {"measurements": MEASUREMENTS, "metrics": METRICS}


def tell_changes(
    trial: Path, records: Path, record: Mapping[str, Any], tell: Callable[[str], None]
) -> dict[str, Any] | None:
    """Write what changed since the last run that ended well, and keep the metrics of this one.

    Parameters
    ----------
    trial, records
        The trial folder and its folder of run records.
    record
        Record of the present run, which ended well; not written yet.
    tell
        Takes a line for the log.

    Returns
    -------
    dict or None
        For the record: ``since_run``, ``added``, ``changed``, ``removed`` and, where one was
        written, ``table``; or ``not_compared`` with the reason. None without any metrics.
    """
    if not (trial / METRICS).is_file():
        return None
    if not record.get("whole", True):
        # Taken as the baseline, it would hide the changed inputs that it left alone.
        reason = "this run was not of the whole workflow"
        tell(f"cartrace: no table of changes: {reason}")
        return {"not_compared": reason}
    told = _compare(trial, records, record, tell)
    try:
        for name, path in _KEPT.items():
            if (trial / path).is_file():
                with replacing(records / f"{record['run']}.{name}.parquet") as temporary:
                    shutil.copyfile(trial / path, temporary)
    except OSError as error:
        tell(f"cartrace: the metrics could not be kept for the next run ({error.strerror})")
    return told


def _compare(
    trial: Path, records: Path, record: Mapping[str, Any], tell: Callable[[str], None]
) -> dict[str, Any]:
    earlier = last_record(records)
    if earlier is None:
        reason = "no earlier run that ended well"
        tell(f"cartrace: no table of changes: {reason}")
        return {"not_compared": reason}
    since = earlier["run"]
    before = {name: records / f"{since}.{name}.parquet" for name in _KEPT}
    told = {"since_run": since, "added": 0, "changed": 0, "removed": 0}
    if filecmp.cmp(before["metrics"], trial / METRICS, shallow=False):
        tell(f"cartrace: no metric changed since run {since}")
        return told
    import pandas as pd

    from cartrace import tables
    from cartrace.changes_between_runs import CHANGES, COMPARED, TRACED, changes, run_causes, summary

    def read(name: str, columns: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        # Only these columns: at a thousand patients the rest would be most of the memory.
        first, second = (
            pd.read_parquet(path, columns=columns)
            if path.is_file()
            else pd.DataFrame(columns=columns, dtype="string")
            for path in (before[name], trial / _KEPT[name])
        )
        return first, second

    stem = records / f"{record['run']}.changes"
    try:
        metrics = read("metrics", [*tables.METRICS.key, *COMPARED])
        changed = changes(metrics, read("measurements", [*TRACED]), (earlier, record))
        told |= {kind: int((changed["change"] == kind).sum()) for kind in ("added", "changed", "removed")}
        if changed.empty:
            tell(f"cartrace: no metric changed since run {since}")
            return told
        tables.write_table(changed, f"{stem}.parquet", CHANGES)
        tables.write_tsv(changed, f"{stem}.tsv")
    except (OSError, ValueError, TypeError, KeyError) as error:
        # Tables of an older version may have other columns. The run itself went well.
        for ending in ("parquet", "tsv"):
            Path(f"{stem}.{ending}").unlink(missing_ok=True)
        reason = f"the tables of run {since} and this one can't be compared ({type(error).__name__})"
        tell(f"cartrace: no table of changes: {reason}")
        return {"not_compared": reason}
    name = f"{stem.relative_to(trial).as_posix()}.tsv"
    tell(f"cartrace: {summary(changed)} since run {since}: {name}")
    return told | {"table": name, "causes": run_causes(earlier, record)}


def last_record(records: Path) -> dict[str, Any] | None:
    """Return the record of the newest run that ended well and whose metrics were kept.

    A record that is not as the run wrote it counts as none, as in :func:`cartrace.identity.verify`.
    """
    kept = (path.name.split(".")[0] for path in records.glob("*.metrics.parquet"))
    for number in sorted((int(name) for name in kept if name.isdecimal()), reverse=True):
        try:
            record = read_record(records / f"{number}.json", records.parents[1])
        except NotRead:
            continue
        if record["exit_status"] == 0 and record.get("run") == number:
            return record
    return None


def forget_older(records: Path, newest: int) -> None:
    """Remove the kept metrics of runs before ``newest``, which ended well; none where its own were not kept."""
    if not (records / f"{newest}.metrics.parquet").is_file():
        return
    for name in _KEPT:
        for path in records.glob(f"*.{name}.parquet"):
            number = path.name.split(".")[0]
            if number.isdecimal() and int(number) != newest:
                path.unlink(missing_ok=True)
