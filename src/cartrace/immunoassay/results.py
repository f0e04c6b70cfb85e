"""All immunoassay plates together: results for measurements, changed starting dilutions, charts, the repeat list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cartrace.immunoassay.acceptance import acceptance_of
from cartrace.immunoassay.charts import control_charts
from cartrace.immunoassay.repeats import repeat_reasons
from cartrace.immunoassay.tables import CURVES, SAMPLES, STANDARDS, WELLS
from cartrace.intake.results import RESULTS
from cartrace.plates.acceptance import number
from cartrace.plates.twice import read_twice
from cartrace.tables import QC, concat, conform, empty, rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cartrace.config import Immunoassay
    from cartrace.immunoassay.assay import Assay

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]

STATUS = {"accepted": "accepted", "flagged": "flagged", "rejected": "rejected"}
"""Verdict of a sample -> status of its results. What was left out (not_used) gives no result."""
CENSORING = {"quantified": "none", "BLQ": "left", "BLD": "left", "above_uloq": "right"}


@dataclass(frozen=True, slots=True)
class PlateTables:
    """What calibrate_plate made of one plate, and the assay of it."""

    file_id: str
    assay: Assay
    wells: pd.DataFrame
    standards: pd.DataFrame
    curves: pd.DataFrame
    samples: pd.DataFrame
    qc: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Assembled:
    """All plates: results for measurements, and the evidence behind them."""

    results: pd.DataFrame
    wells: pd.DataFrame
    standards: pd.DataFrame
    curves: pd.DataFrame
    samples: pd.DataFrame
    controls: pd.DataFrame
    qc: pd.DataFrame


def assemble_immunoassays(
    plates: Sequence[PlateTables], sheet: pd.DataFrame | None, settings: Immunoassay
) -> Assembled:
    """Join all plates.

    Parameters
    ----------
    plates
        In the order of the files sheet, which only the control charts depend on.
    sheet
        The samples sheet (contract cartrace.tables.SAMPLES), if there is one: its matrix goes before
        the assay file's, and it says whose a sample is.
    settings
        Section immunoassay of the configuration.

    Returns
    -------
    Assembled
        Tables that keep their contracts.
    """
    assays = {plate.file_id: plate.assay for plate in plates}
    names = {plate: assay.assay for plate, assay in assays.items()}
    samples = concat([plate.samples for plate in plates], SAMPLES)
    samples = samples.sort_values(
        ["plate", "source_row", "sample", "target"], kind="stable", ignore_index=True
    )
    wells = concat([plate.wells for plate in plates], WELLS)
    standards = concat([plate.standards for plate in plates], STANDARDS)
    curves = concat([plate.curves for plate in plates], CURVES)
    subjects = samples["subject_id"]
    if sheet is not None and len(sheet):
        told = sheet.drop_duplicates("sample_id").set_index("sample_id")
        samples["matrix"] = _of_sheet(samples["sample_id"], told["matrix"]).fillna(samples["matrix"])
        subjects = _of_sheet(samples["sample_id"], told["subject_id"]).fillna(subjects)
    samples, findings = _starting_dilutions(samples, subjects, assays, settings)
    asks = repeat_reasons(samples)
    samples["repeat"] = pd.array(asks != "", dtype="boolean")
    samples["repeat_reason"] = pd.array([a or None for a in asks], dtype="string")
    controls, charts_qc = control_charts(
        samples, wells, curves, order=list(assays), assays=names, westgard=settings.westgard
    )
    wanted = _wanted(samples)
    nowhere = wanted & samples["sample_id"].isna().to_numpy() & samples["matrix"].isna().to_numpy()
    twice = read_twice(((p.file_id, p.assay.assay, _readings(p)) for p in plates), FEWEST_READINGS)
    findings += [*twice, *_matrix_unknown(samples, nowhere)]
    return Assembled(
        _results(samples, wanted & ~nowhere),
        wells,
        standards,
        curves,
        conform(samples, SAMPLES),
        controls,
        concat([*(plate.qc for plate in plates), rows(findings, QC), charts_qc], QC),
    )


def _of_sheet(ids: pd.Series[str], values: pd.Series[str]) -> pd.Series[str]:
    return ids.map(values.to_dict()).astype("string")


def _wanted(samples: pd.DataFrame) -> Bools:
    """Say which rows are results of the trial: samples of somebody, used or rejected, with a result."""
    named = samples["sample_id"].notna() | samples["subject_id"].notna()
    wanted = samples["task"].eq("unknown") & samples["verdict"].isin(STATUS) & named
    return (wanted & samples["detection"].notna()).to_numpy(bool)


def _starting_dilutions(
    samples: pd.DataFrame, subjects: pd.Series[str], assays: Mapping[str, Assay], settings: Immunoassay
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Compare the starting dilution of each titre with those of the subject's other samples.

    A negative result below another dilution is another result: seroconversion may only be the
    start that changed. Of the others the most frequent start counts; where several are equally frequent, the
    nearest to the sample's own.
    """
    out = samples.copy()
    findings: list[dict[str, object]] = []
    titre = samples["readout"].eq("titre") & samples["task"].eq("unknown") & samples["lloq"].notna()
    titre &= subjects.notna() & samples["verdict"].isin(["accepted", "flagged"])
    mine = samples[titre.to_numpy(bool)].assign(subject=subjects)
    records = samples.to_dict("records")
    for key, group in mine.groupby(["subject", "matrix", "target", "assay"], sort=True, dropna=False):
        starts = group["lloq"]
        if starts.nunique() < 2:
            continue
        for i, start in starts.items():
            counts = starts.drop(index=i).value_counts()
            modes = [float(str(m)) for m in counts.index[counts == counts.max()]]
            usual = min(modes, key=lambda m, s=float(start): (abs(np.log(m / s)), m))  # type: ignore[misc]
            row = records[int(str(i))]
            rules = acceptance_of(settings.acceptance, assays[row["plate"]])
            ratio = float(start) / usual
            if not rules.broken("anchored_dilution", ratio):
                continue
            verdict = rules.verdict("anchored_dilution", broken=True)
            findings.append(
                _qc_of(row)
                | {
                    "check": "start_changed",
                    "verdict": verdict,
                    "subject_id": str(key[0]),
                    "value": f"1:{number(float(start))}",
                    "limit": f"1:{number(usual)}, as the subject's other samples",
                    "limit_source": rules.source("anchored_dilution"),
                    "message": f"{row['sample']} ({row['target']}) starts at 1:{number(float(start))}, the subject's other "
                    f"samples at 1:{number(usual)}: negative results can't be compared.",
                    "suggestion": "repeat from the same starting dilution",
                }
            )
            if verdict == "note":
                continue
            flags = [] if pd.isna(row["flags"]) else row["flags"].split(";")
            out.loc[i, "flags"] = ";".join(sorted({*flags, "start_changed"}))
            out.loc[i, "verdict"] = "rejected" if verdict == "fail" else "flagged"
    return out, findings


def _qc_of(row: Mapping[Any, Any]) -> dict[str, object]:
    return {
        "source_file": row["plate"],
        "source_row": row["source_row"],
        "source_column": f"{row['wells']} / {row['target']}",
        "subject_id": row["subject_id"],
        "sample_id": row["sample_id"],
        "analyte": row["analyte"],
    }


READINGS = ["well", "target", "signal", "vendor_concentration", "vendor_status"]
FEWEST_READINGS = 8
"""Wells with a reading below which two plates may agree by chance."""


def _readings(plate: PlateTables) -> pd.DataFrame:
    wells = plate.wells
    read = wells.loc[
        wells["verdict"].ne("not_used") & (wells["signal"].notna() | wells["vendor_status"].notna()), READINGS
    ]
    # Words and rounded titres repeat; only numbers tell plates apart.
    return read if read["signal"].nunique() >= FEWEST_READINGS else read[:0]


def _matrix_unknown(samples: pd.DataFrame, nowhere: Bools) -> Iterator[dict[str, object]]:
    records = samples.to_dict("records")
    for i in np.flatnonzero(nowhere):
        yield _qc_of(records[i]) | {
            "check": "matrix_unknown",
            "verdict": "fail",
            "value": records[i]["sample"],
            "limit": "a matrix",
            "message": f"Nothing says what {records[i]['sample']} was taken from; it has no result.",
            "suggestion": "give samples.matrix in the assay file",
        }


def _floats(column: pd.Series[Any]) -> Floats:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _replicates(samples: pd.DataFrame) -> pd.Series[int]:
    """Return the wells behind each result; of a titre the readings of one series."""
    dilutions = samples["dilutions"].fillna("").str.count(",") + 1
    per_series = (samples["n_used"] // dilutions.astype("Int64")).clip(lower=1)
    return samples["n_used"].mask(samples["readout"].eq("titre"), per_series)


def _results(samples: pd.DataFrame, wanted: Bools) -> pd.DataFrame:
    """Make the rows of RESULTS, as a laboratory's table would give them.

    A quantified titre keeps the interval that its wells leave open, and so the step of its series. The
    interval of a concentration stays in SAMPLES: of a quantified one both bounds are the value.
    ``printed``, ``rounding`` and ``ratios`` stay empty: nothing was printed.
    """
    mine = samples[wanted]
    if mine.empty:
        return empty(RESULTS)
    quantified = mine["detection"].eq("quantified").to_numpy(bool)
    value = np.where(quantified, _floats(mine["result"]), np.nan)
    plain = quantified & mine["readout"].ne("titre").to_numpy(bool)
    columns = ["subject_id", "sample_id", "matrix", "infusion", "day", "visit", "analyte", "assay"]
    frame = mine[[*columns, "unit", "detection", "lod", "lloq", "uloq"]].assign(
        value=value,
        censoring=mine["detection"].map(CENSORING),
        lower=np.where(plain, value, _floats(mine["lower"])),
        upper=np.where(plain, value, _floats(mine["upper"])),
        sd=value * _floats(mine["cv_percent"]) / 100,
        n_replicates=_replicates(mine),
        status=mine["verdict"].map(STATUS),
        flags=mine["flags"],
        source_file=mine["plate"],
        source_row=mine["source_row"],
        source_column=mine["wells"] + " / " + mine["target"],
        source_sha256=mine["source_sha256"],
    )
    order = ["source_file", "source_row", "source_column"]
    return conform(frame.sort_values(order, kind="stable", ignore_index=True), RESULTS)
