"""One plate: from what the instrument wrote to copies per reaction, with every verdict.

The plate knows nothing of extractions, of the samples sheet or of estimated limits:
those join in assemble_plates. Broken rules spread downwards: a rejected well leaves its
sample; a curve, a blank or a control that fails rejects its target on the whole plate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cartrace.pcr import digital
from cartrace.pcr.acceptance import RULES, acceptance_of
from cartrace.pcr.checks import (
    check_blanks,
    check_controls,
    check_inhibition,
    check_partitions,
    check_samples,
)
from cartrace.pcr.curves import PlateCurve, check_curve, curve_of, curve_row
from cartrace.pcr.droplets import bin_amplitudes
from cartrace.pcr.partitions import audit, implied_volume_nl, partition_volume
from cartrace.pcr.plate import PLATE_WELLS
from cartrace.pcr.replicates import add_reference, counted_limits, join_replicates, undetermined_upper
from cartrace.pcr.samples import map_wells
from cartrace.pcr.tables import CURVES, DROPLETS, SAMPLES, WELLS
from cartrace.pcr.wells import in_copies, match_targets, own_faults, pooled_wells
from cartrace.plates.acceptance import Acceptance, Finding, number, qc_table, rule_finding
from cartrace.plates.marks import Marks, add, collect, spread_to_samples, spread_to_wells, with_verdict
from cartrace.plates.plate import well_list
from cartrace.plates.sample_names import fold
from cartrace.tables import QC, Table, concat, conform, empty

if TYPE_CHECKING:
    from cartrace.config import Pcr
    from cartrace.pcr.assay import Assay
    from cartrace.pcr.plate import Plate
    from cartrace.pcr.standard_curve import Curve


@dataclass(frozen=True, slots=True)
class PlateResult:
    """A quantified plate; each frame keeps its contract of cartrace.pcr.tables, ``qc`` that of cartrace.tables."""

    wells: pd.DataFrame
    curves: pd.DataFrame
    samples: pd.DataFrame
    droplets: pd.DataFrame
    qc: pd.DataFrame


def quantify_plate(
    plate: Plate,
    assay: Assay,
    settings: Pcr,
    *,
    file_id: str,
    sha256: str,
    plate_map: pd.DataFrame | None = None,
    stored: Mapping[str, Curve] | None = None,
) -> PlateResult:
    """Quantify and judge one plate.

    Parameters
    ----------
    plate
        As a reader gives it. The order of its rows does not matter.
    assay
        What its targets, samples and controls are.
    settings
        Intervals and acceptance rules.
    file_id, sha256
        Of the plate's file.
    plate_map
        Of plate_map.read_plate_map, if there is one.
    stored
        Stored curves by the file that the assay file names.

    Returns
    -------
    PlateResult
        Copies per reaction; the columns of other units are still empty.

    Raises
    ------
    InputError
        When the plate has no target of the assay.
    """
    acceptance = acceptance_of(settings.acceptance, assay)
    wells, findings, mapped = _prepare(plate, assay, plate_map, file_id)
    reaction_ul = assay.reaction.volume_ul or plate.reaction_ul if plate.method == "dpcr" else None
    curves: dict[str, PlateCurve] = {}
    if plate.method == "dpcr":
        wells, more = _digital_wells(
            wells, plate, assay, settings, acceptance=acceptance, reaction_ul=reaction_ul
        )
    else:
        wells, curves, more = _qpcr_wells(wells, assay, stored or {}, acceptance, settings.confidence)
    findings += more
    findings += check_inhibition(wells, assay, acceptance)
    wells = _without_rejected(wells, findings)

    fitted = {name: c.curve for name, c in curves.items() if c.curve is not None}
    samples = join_replicates(wells, assay, fitted, settings, method=plate.method, reaction_ul=reaction_ul)
    findings += check_blanks(wells, assay, fitted, acceptance)
    findings += check_controls(samples, assay, acceptance)
    findings += check_samples(samples, assay, fitted, acceptance)
    findings += _stored_unchecked(curves, samples)
    findings += _foreign_amplitudes(plate.amplitudes, wells)

    of_wells, of_samples, of_targets = collect(findings, len(wells), len(samples))
    omitted = wells["exclusion"].eq("omitted").fillna(value=False).astype(bool)
    kept_out = wells["mapping_flag"].mask(omitted, "omitted")
    for marks, flag in zip(of_wells, kept_out, strict=True):
        if not pd.isna(flag):
            add(marks, {flag: "fail"})
    of_samples = spread_to_samples(samples, of_samples, of_wells, of_targets)
    samples = with_verdict(samples, of_samples)
    if plate.method == "dpcr":
        samples = add_reference(samples, wells, assay, settings)
    of_wells = spread_to_wells(
        wells, samples["members"], of_wells, of_samples, of_targets, tasks={"standard"}
    )
    wells = with_verdict(wells, of_wells)
    idle = wells["exclusion"].notna() | wells["role"].isna() | wells["task"].isin(["empty", "other"])
    wells.loc[idle, "verdict"] = "not_used"

    return PlateResult(
        wells=_keep(wells.assign(plate=file_id), WELLS),
        curves=_curve_table(wells, curves, of_targets, file_id),
        samples=_keep(samples.assign(plate=file_id, source_sha256=sha256), SAMPLES),
        droplets=_droplets(plate, wells, file_id),
        qc=concat([mapped, qc_table([*_remarks(plate), *findings], wells, file_id=file_id)], QC),
    )


def _prepare(
    plate: Plate, assay: Assay, plate_map: pd.DataFrame | None, file_id: str
) -> tuple[pd.DataFrame, list[Finding], pd.DataFrame]:
    """Name targets and samples, and say which wells are kept out and why.

    Adds ``role``, ``method``, ``vendor_copies``, ``exclusion``, ``usable``, ``label`` (the sample, or
    the name of a control) and the columns of samples.map_wells.
    """
    wells = conform(plate.wells, PLATE_WELLS)
    wells = wells.sort_values(["source_row", "well", "target"], kind="stable", ignore_index=True)
    wells, findings = match_targets(wells, assay, file=file_id)
    wells["method"] = plate.method
    wells, mapped = map_wells(in_copies(wells, assay), assay, plate_map, file_id=file_id)
    merged, more = pooled_wells(wells)
    findings += more
    wells["exclusion"] = wells["exclusion"].mask(merged, "pooled").mask(wells["omitted"], "omitted")
    wells["label"] = _labels(wells)
    findings += own_faults(wells)
    wells["usable"] = wells["exclusion"].isna() & wells["role"].notna() & wells["mapping_flag"].isna()
    return _without_rejected(wells, findings), findings, mapped


def _labels(wells: pd.DataFrame) -> pd.Series[str]:
    """Return the sample of each well, else the name of its control; empty where a sample has no name."""
    control = wells["control"].fillna(wells["sample_name"]).fillna(wells["task"])
    return wells["sample"].fillna(control.where(wells["task"] != "unknown")).fillna("")


def _without_rejected(wells: pd.DataFrame, findings: Iterable[Finding]) -> pd.DataFrame:
    """Clear ``usable`` of the wells that a failing finding marks."""
    out = wells.copy()
    lost = {i for f in findings if f.verdict == "fail" and "wells" in f.marks for i in f.wells}
    out["usable"] = out["usable"] & ~out.index.isin(list(lost))
    return out


def _qpcr_wells(
    wells: pd.DataFrame,
    assay: Assay,
    stored: Mapping[str, Curve],
    acceptance: Acceptance,
    confidence: float,
) -> tuple[pd.DataFrame, dict[str, PlateCurve], list[Finding]]:
    """Fit the curves and read every well off them: copies, limits, residual and recovery."""
    unquantified = (wells["task"] == "standard") & wells["usable"] & ~(wells["nominal"] > 0)
    findings = [
        Finding(
            "standard_without_quantity",
            "warn",
            f"{target}: the standards {well_list(group['well'])} have no quantity and are not in the fit",
            target=str(target),
            wells=tuple(int(i) for i in group.index),
            marks=("wells",),
        )
        for target, group in wells[unquantified & (wells["role"] != "inhibition_control")].groupby("target")
    ]
    out = wells.assign(**dict.fromkeys(("copies", "lower", "upper", "residual"), np.nan))
    curves: dict[str, PlateCurve] = {}
    for name, target in assay.targets.items():
        mine = out["target"].eq(name).to_numpy(bool) & out["role"].notna().to_numpy(bool)
        if target.role == "inhibition_control" or not mine.any():
            continue
        plate_curve = curve_of(out, name, target.curve, stored, confidence=confidence)
        curves[name] = plate_curve
        if plate_curve.curve is not None:
            read = _read_off(out[mine], plate_curve.curve, confidence)
            out.loc[mine, list(read)] = read
    out["recovery_percent"] = _recovery(out)
    for plate_curve in curves.values():
        findings += check_curve(out, plate_curve, acceptance)
    return out, curves, findings


def _read_off(wells: pd.DataFrame, curve: Curve, confidence: float) -> pd.DataFrame:
    cq = wells["cq"].to_numpy(np.float64)
    silent = wells["cq_kind"].eq("undetermined").to_numpy(bool)
    found = counted_limits(curve.predict(cq), cq, curve, n_found=1, n_wells=1, confidence=confidence)
    nominal = wells["nominal"].where(wells["nominal"] > 0).to_numpy(np.float64)
    return pd.DataFrame(
        {
            "copies": np.where(silent, 0.0, found.value),
            "lower": np.where(silent, 0.0, found.lower),
            "upper": np.where(silent, undetermined_upper(curve, 1, confidence), found.upper),
            "residual": np.where(wells["task"].eq("standard"), cq - curve.cq(np.log10(nominal)), np.nan),
        },
        index=wells.index,
    )


def _recovery(wells: pd.DataFrame) -> pd.Series[float]:
    known = wells["nominal"].where((wells["nominal"] > 0) & (wells["task"] != "unknown"))
    return 100 * wells["copies"] / known


def _digital_wells(
    wells: pd.DataFrame,
    plate: Plate,
    assay: Assay,
    settings: Pcr,
    *,
    acceptance: Acceptance,
    reaction_ul: float | None,
) -> tuple[pd.DataFrame, list[Finding]]:
    """Compute lambda and copies of every well with the partition volume of the assay, the file or the instrument."""
    platform = plate.platform or assay.platform
    table = partition_volume(platform, plate.software, plate.software_version)
    counted = wells["partitions"].gt(0).fillna(value=False) & wells["positives"].notna()
    k, n = (
        wells[c].where(counted).to_numpy(np.float64, na_value=np.nan) for c in ("positives", "partitions")
    )
    stated = wells["partition_volume_nl"].fillna(table.volume_nl)
    volume = np.full(len(wells), assay.partition_volume_nl or np.nan)
    volume = np.where(np.isnan(volume), stated, volume)
    reaction = np.nan if reaction_ul is None else reaction_ul
    per_lambda = 1000 / volume * reaction
    lower, upper = digital.poisson_interval(k, n, settings.digital_interval, settings.confidence)
    mean = digital.copies_per_partition(k, n)
    out = wells.assign(
        copies_per_partition=np.where(k == n, np.inf, mean),
        partition_volume_nl=volume,
        copies=mean * per_lambda,
        lower=lower * per_lambda,
        upper=upper * per_lambda,
        vendor_copies=wells["vendor_concentration"] * reaction,
        implied_volume_nl=implied_volume_nl(k, n, wells["vendor_concentration"].to_numpy(np.float64)),
    )
    out["recovery_percent"] = _recovery(out)
    findings = _volume_missing(out, reaction_ul, table.reason)
    findings += check_partitions(out, acceptance, table.partitions)
    return out, findings + _audit_volume(out, acceptance)


def _volume_missing(wells: pd.DataFrame, reaction_ul: float | None, why_no_volume: str) -> list[Finding]:
    """Mark the wells whose copies can't be computed, and say what to write into the assay file."""
    mine = wells[wells["usable"]]
    faults = (
        (
            mine[mine["partition_volume_nl"].isna()],
            f"the partition volume is not known: {why_no_volume}",
            "partition_volume_nl or platform in the assay file",
        ),
        (
            mine if reaction_ul is None else mine.iloc[:0],
            "neither the assay file nor the instrument's file gives the volume of the reaction",
            "reaction.volume_ul in the assay file",
        ),
    )
    return [
        Finding(
            "volume_missing",
            "fail",
            f"{well_list(group['well'])}: {why}, so copies per reaction are not estimable",
            wells=tuple(int(i) for i in group.index),
            marks=("wells",),
            limit=wanted,
        )
        for group, why, wanted in faults
        if len(group)
    ]


def _audit_volume(wells: pd.DataFrame, acceptance: Acceptance) -> list[Finding]:
    """Compare the volume that the instrument's concentration implies with the one used."""
    mine = wells[wells["usable"] & wells["implied_volume_nl"].notna() & wells["partition_volume_nl"].notna()]
    findings = []
    for target, group in mine.groupby("target", sort=True):
        rule = acceptance.limit("volume_audit")
        checked = audit(
            group["partition_volume_nl"].to_numpy(np.float64),
            group["implied_volume_nl"].to_numpy(np.float64),
            group["vendor_concentration"].to_numpy(np.float64),
            tolerance=(rule.lower, rule.upper),
        )
        wrong = group[checked.outside]
        if wrong.empty:
            continue
        median = float(wrong["implied_volume_nl"].median())
        used = float(wrong["partition_volume_nl"].iloc[0])
        findings.append(
            rule_finding(
                acceptance,
                "volume_audit",
                f"{target}: the instrument's concentrations imply partitions of {number(median)} nL (median of "
                f"{len(wrong)} wells: {well_list(wrong['well'])}), and {number(used)} nL are used",
                broken=True,
                target=str(target),
                value=f"{number(median)} nL, {number(100 * (median / used - 1))} % away",
                marks=("wells",),
                wells=wrong.index,
            )
        )
    return findings


def _stored_unchecked(curves: Mapping[str, PlateCurve], samples: pd.DataFrame) -> list[Finding]:
    """Tell of a stored curve that nothing on this plate checks."""
    return [
        Finding(
            "stored_curve_unchecked",
            "warn",
            f"{name}: the stored curve {c.source} is used, and the plate has neither standards nor a control with "
            "known copies that would show that it still holds",
            target=name,
            marks=("target",),
        )
        for name, c in curves.items()
        if c.source != "plate"
        and not c.standards
        and not (samples["target"].eq(name) & samples["recovery_percent"].notna()).any()
    ]


def _keep(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    return (
        conform(frame[[c for c in table.names if c in frame.columns]], table) if len(frame) else empty(table)
    )


def _curve_table(
    wells: pd.DataFrame,
    curves: Mapping[str, PlateCurve],
    of_targets: Mapping[str, Marks],
    file_id: str,
) -> pd.DataFrame:
    of_curve = {rule.name for rule in RULES.values() if rule.scope == "curve"} | {"curve_missing"}
    shown = [c for c in curves.values() if c.curve is not None or c.standards]
    if not shown:
        return empty(CURVES)
    marks = [{flag: v for flag, v in of_targets.get(c.target, {}).items() if flag in of_curve} for c in shown]
    rows = pd.DataFrame([curve_row(wells, c, file_id=file_id) for c in shown])
    return conform(with_verdict(rows, marks), CURVES)


def _remarks(plate: Plate) -> list[Finding]:
    return [
        Finding(r.check, r.verdict, r.message, value=r.value or "", column=r.column or "", row=r.row)
        for r in plate.remarks
    ]


def _foreign_amplitudes(amplitudes: pd.DataFrame, wells: pd.DataFrame) -> list[Finding]:
    """Tell of amplitudes that are not those of the plate: the programs write one line for each accepted droplet."""
    droplets = amplitudes.groupby(["well", "channel"]).size().groupby("well").max()
    accepted = wells.groupby("well")["partitions"].max().reindex(droplets.index)
    foreign = ~droplets.index.isin(wells["well"])
    foreign |= accepted.notna().to_numpy(bool) & accepted.ne(droplets).fillna(value=False).to_numpy(bool)
    if not foreign.any():
        return []
    listed = well_list([str(well) for well in droplets.index[foreign]])
    return [
        Finding(
            "amplitudes_of_another_plate",
            "warn",
            f"the amplitude files of {listed} do not hold the accepted droplets of these wells, so their picture "
            "is perhaps that of another plate",
            value=listed,
            limit="as many droplets as the results file counts",
        )
    ]


CHANNEL_DYES = {"ch1": {"fam", "evagreen"}, "ch2": {"hex", "vic"}}
"""Channels of Bio-Rad's amplitude files -> dyes of the results file [recalled: QX100 and QX200]."""


def _droplets(plate: Plate, wells: pd.DataFrame, file_id: str) -> pd.DataFrame:
    """Bin the amplitudes; each channel takes the name of the well's target in it, where the file tells it."""
    if plate.amplitudes.empty:
        return empty(DROPLETS)
    by_dye = {(row["well"], fold(row["reporter"])): row for _, row in wells[wells["role"].notna()].iterrows()}
    amplitudes = plate.amplitudes.copy()
    pairs = amplitudes[["well", "channel"]].drop_duplicates()
    names: dict[tuple[str, str], str] = {}
    thresholds: dict[tuple[str, str], float] = {}
    for well, channel in zip(pairs["well"], pairs["channel"], strict=True):
        dyes = [fold(channel), *sorted(CHANNEL_DYES.get(fold(channel), ()))]
        row = next((by_dye[well, d] for d in dyes if (well, d) in by_dye), None)
        names[well, channel] = channel if row is None else row["target"]
        if row is not None:
            thresholds[well, row["target"]] = row["threshold"]
    return bin_amplitudes(amplitudes, names, thresholds, file_id)
