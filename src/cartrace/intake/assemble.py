"""All results of all files -> measurements, each on the clock of its infusion.

The results of the files find their subject, sample, day and infusion (:func:`place_on_clock`); the checks over
whole courses (:mod:`cartrace.intake.plausibility`) flag what looks wrong.
Nothing is corrected: what can't be placed is left out, with a row in qc.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cartrace.intake import plausibility
from cartrace.intake.results import RESULTS
from cartrace.intake.sheets import look_alike
from cartrace.problems import did_you_mean
from cartrace.tables import MEASUREMENTS, QC, concat, conform, empty, rows

if TYPE_CHECKING:
    from cartrace.config import Config
    from cartrace.intake.sheet_tables import SheetTables


def assemble(
    results: Sequence[pd.DataFrame], results_qc: Sequence[pd.DataFrame], tables: SheetTables, config: Config
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Put all results on the clock, check them, and return measurements and qc.

    Parameters
    ----------
    results, results_qc
        Tables of :func:`cartrace.intake.laboratory_table.read_results`.
    tables
        The sheets as tables.
    config
        Visits and the thresholds of the checks.

    Returns
    -------
    measurements, qc : DataFrame
        The contracts MEASUREMENTS and QC.
    """
    placed, findings = place_on_clock(concat(results, RESULTS), tables, config)
    if len(placed):
        flagged, more = plausibility.check_all(placed, config)
        findings.append(more)
    else:
        flagged = placed
    qc = concat([*results_qc, *findings], QC)
    if not len(flagged):
        return empty(MEASUREMENTS), qc
    order = ["subject_id", "study_day", "matrix", "analyte", "assay", "unit", "source_file", "source_row"]
    flagged = flagged.sort_values(order, kind="stable", ignore_index=True)
    return conform(flagged[MEASUREMENTS.names], MEASUREMENTS), qc


def place_on_clock(
    results: pd.DataFrame, tables: SheetTables, config: Config
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Find subject, sample, infusion and day of each result.

    Parameters
    ----------
    results
        The contract RESULTS.
    tables
        The sheets as tables.
    config
        Nominal visits.

    Returns
    -------
    placed : DataFrame
        The columns of MEASUREMENTS, and ``printed``, ``rounding``, ``ratios`` for
        the checks.
    findings : list of DataFrame
        QC rows for each result that could not be placed.
    """
    frame = results.copy()
    qc: list[dict[str, object]] = []
    if not len(frame):
        return frame, []
    frame = _from_samples(frame, tables.samples, qc)
    frame = _known_subjects(frame, tables.infusions, qc)
    frame = _days_of_visits(frame, config, qc)
    frame = _infusions(frame, tables.infusions, qc)
    if len(frame):
        frame = _sample_ids(frame, tables.samples)
    return frame.reset_index(drop=True), [rows(qc, QC)] if qc else []


def _leave_out(
    frame: pd.DataFrame, bad: pd.Series[bool], qc: list[dict[str, object]], make: Any
) -> pd.DataFrame:
    """Drop the rows under ``bad``; one finding for each row of a file, not for each cell."""
    keys = ["source_file", "source_row", "subject_id", "sample_id"]
    for key, group in frame[bad].groupby(keys, dropna=False, sort=False):
        parts: tuple[Any, ...] = key
        file, row, subject, sample = (None if pd.isna(k) else k for k in parts)
        qc.append(
            {
                "source_file": file,
                "source_row": row,
                "subject_id": subject,
                "sample_id": sample,
                "verdict": "fail",
                **make(group),
            }
        )
    return frame[~bad].copy()


def _from_samples(frame: pd.DataFrame, samples: pd.DataFrame, qc: list[dict[str, object]]) -> pd.DataFrame:
    named = frame["sample_id"].notna()
    if not named.any():
        return frame
    known = list(samples["sample_id"])

    def unknown(group: pd.DataFrame) -> dict[str, object]:
        sample = str(group["sample_id"].iloc[0])
        return {
            "check": "sample_unknown",
            "value": sample,
            "limit": "samples sheet",
            "message": f"Sample '{sample}' is not in the samples sheet; the row is left out.",
            "suggestion": did_you_mean(sample, known) or None,
        }

    frame = _leave_out(frame, named & ~frame["sample_id"].isin(known), qc, unknown)
    looked = frame[["sample_id"]].merge(samples, on="sample_id", how="left").set_index(frame.index)
    named = frame["sample_id"].notna()
    other = (
        named
        & frame["subject_id"].notna()
        & (frame["subject_id"] != looked["subject_id"]).fillna(value=False)
    )

    def contradicts(group: pd.DataFrame) -> dict[str, object]:
        return {
            "check": "sample_of_other_subject",
            "value": str(group["subject_id"].iloc[0]),
            "limit": "samples sheet",
            "message": f"The samples sheet gives sample '{group['sample_id'].iloc[0]}' to another subject; "
            "the row is left out.",
        }

    frame = _leave_out(frame, other, qc, contradicts)
    looked = looked.loc[frame.index]
    named = frame["sample_id"].notna()
    frame["table_says"] = _contradictions(frame, looked)
    for column in ("subject_id", "matrix", "infusion"):
        frame[column] = frame[column].where(~named, looked[column])
    frame["visit"] = frame["visit"].where(~named | frame["visit"].notna(), looked["visit"])
    frame["day"] = frame["day"].where(~named, looked["day"])
    frame["study_day"] = frame["study_day"].where(~named, looked["study_day"])
    return frame


def _contradictions(frame: pd.DataFrame, looked: pd.DataFrame) -> pd.Series[Any]:
    """Say what the table gives for a sample where the samples sheet gives another; None where they agree."""
    keys = ["study_day", "day", "infusion", "matrix"]
    ours, theirs = (t[keys].astype("object").where(t[keys].notna(), None).to_numpy() for t in (frame, looked))
    said: list[str | None] = []
    for (dated, day, infusion, matrix), sheet in zip(ours, theirs, strict=True):
        if sheet[0] is None:  # no sample
            said.append(None)
            continue
        # A day counts from the infusion that the table names, if it names one.
        found, listed = (dated, sheet[0]) if dated is not None else (day, sheet[0 if infusion is None else 1])
        words = []
        # Hours within the day are no contradiction.
        if found is not None and abs(found - listed) >= 1:
            words.append(f"day {found:g}")
        if matrix not in {None, sheet[3]}:
            words.append(f"matrix {matrix}")
        if infusion not in {None, sheet[2]}:
            words.append(f"infusion {infusion}")
        said.append(", ".join(words) or None)
    return pd.Series(said, index=frame.index, dtype="object")


def _known_subjects(
    frame: pd.DataFrame, infusions: pd.DataFrame, qc: list[dict[str, object]]
) -> pd.DataFrame:
    known = sorted(set(infusions["subject_id"]))
    alike: dict[str, str] = {look_alike(s): s for s in known}

    def unknown(group: pd.DataFrame) -> dict[str, object]:
        subject = str(group["subject_id"].iloc[0])
        twin = alike.get(look_alike(subject)) or plausibility.same_digits(subject, known)
        if twin:
            return {
                "check": "subject_written_two_ways",
                "value": subject,
                "limit": "subjects sheet",
                "message": f"Subject '{subject}' is not in the sheets, but '{twin}' is; the row is left out.",
                "suggestion": f"perhaps {twin}",
            }
        near = did_you_mean(subject, known)
        return {
            "check": "subject_unknown",
            "value": subject,
            "limit": "subjects and infusions sheets",
            "message": f"Subject '{subject}' has no infusion in the sheets; the row is left out.",
            "suggestion": f"perhaps {near}" if near else None,
        }

    return _leave_out(frame, ~frame["subject_id"].isin(known), qc, unknown)


def _days_of_visits(frame: pd.DataFrame, config: Config, qc: list[dict[str, object]]) -> pd.DataFrame:
    nominal = {" ".join(v.name.split()).casefold(): v.day for v in config.visits}
    without = frame["day"].isna() & frame["study_day"].isna()
    from_visit = frame["visit"].map(
        lambda v: nominal.get(" ".join(str(v).split()).casefold()), na_action="ignore"
    )
    frame["day"] = frame["day"].where(~without, pd.to_numeric(from_visit).astype("float64"))

    def no_day(group: pd.DataFrame) -> dict[str, object]:
        visit = group["visit"].iloc[0]
        shown = "nothing" if pd.isna(visit) else f"visit '{visit}'"
        near = "" if pd.isna(visit) else did_you_mean(str(visit), [v.name for v in config.visits])
        return {
            "check": "no_day",
            "value": shown,
            "limit": "a day, a date, or a visit of the configuration",
            "limit_source": "visits",
            "message": f"The row says no day ({shown}); it is left out.",
            "suggestion": f"perhaps visit {near}" if near else None,
        }

    return _leave_out(frame, frame["day"].isna() & frame["study_day"].isna(), qc, no_day)


def _infusions(frame: pd.DataFrame, infusions: pd.DataFrame, qc: list[dict[str, object]]) -> pd.DataFrame:
    if not len(frame):
        return frame
    starts = infusions[["subject_id", "infusion", "study_day"]].rename(columns={"study_day": "start"})
    given = frame["infusion"].notna()
    own = frame[["subject_id", "infusion"]].merge(starts, on=["subject_id", "infusion"], how="left")
    frame["start"] = own["start"].to_numpy(dtype="float64")

    def no_infusion(group: pd.DataFrame) -> dict[str, object]:
        return {
            "check": "infusion_unknown",
            "value": str(group["infusion"].iloc[0]),
            "limit": "infusions sheet",
            "message": f"Infusion {group['infusion'].iloc[0]} of this subject is not in the sheets; "
            "the row is left out.",
        }

    frame = _leave_out(frame, given & frame["start"].isna(), qc, no_infusion)
    if not len(frame):
        return frame
    given = frame["infusion"].notna()
    # A day counts from its infusion when the table names one, else from the first.
    study_day = frame["study_day"].where(
        frame["study_day"].notna(), frame["day"] + frame["start"].where(given, 0.0)
    )
    frame["study_day"] = study_day.astype("float64")
    latest = pd.merge_asof(
        frame[["subject_id", "study_day"]]
        .assign(row=np.arange(len(frame)))
        .sort_values("study_day", kind="stable"),
        starts.sort_values("start", kind="stable"),
        left_on="study_day",
        right_on="start",
        by="subject_id",
    ).sort_values("row")
    number = pd.Series(latest["infusion"].to_numpy(dtype="float64", na_value=np.nan), index=frame.index)
    start = pd.Series(latest["start"].to_numpy(dtype="float64"), index=frame.index)
    # Before the first infusion: its baseline, with negative days.
    number, start = number.fillna(1.0), start.fillna(0.0)
    frame["infusion"] = frame["infusion"].where(given, number.astype("Int64"))
    frame["start"] = frame["start"].where(given, start)
    frame["day"] = frame["study_day"] - frame["start"]
    return frame.drop(columns="start")


def _sample_ids(frame: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    keys = ["subject_id", "matrix", "study_day"]
    # Two samples of one matrix and day can't be told apart here: then the id is made.
    unique = samples[~samples.duplicated(keys, keep=False)]
    matched = frame[keys].merge(unique[[*keys, "sample_id"]], on=keys, how="left")["sample_id"]
    made = (
        frame["subject_id"].astype(str)
        + "|"
        + frame["matrix"].astype(str)
        + "|d"
        + frame["study_day"].map(lambda d: f"{d:g}")
    )
    found = pd.Series(matched.to_numpy(), index=frame.index)
    frame["sample_id"] = frame["sample_id"].fillna(found).fillna(made).astype("string")
    return frame
