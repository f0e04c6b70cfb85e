"""One immunoassay plate: from signals to concentrations, titres and indices, with every verdict.

The plate knows nothing of the samples sheet and of other plates: those join in
assemble_immunoassays. Broken rules spread downwards: a rejected well leaves its sample; a curve,
a blank or a control that fails rejects its target on the whole plate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cartrace.immunoassay.acceptance import RULES, acceptance_of
from cartrace.immunoassay.checks import (
    check_beads,
    check_blanks,
    check_controls,
    check_hooks,
    check_index_control,
    check_samples,
    check_uncontrolled,
    check_unnamed,
    check_wells,
)
from cartrace.immunoassay.curves import (
    PlateCurve,
    curve_of,
    precise_range,
    read_off,
    same_name,
    standards_rows,
    vendor_side,
)
from cartrace.immunoassay.dilution import linearity, parallelism
from cartrace.immunoassay.hook import find_hooks
from cartrace.immunoassay.readers.grid import OVERFLOW
from cartrace.immunoassay.replicates import Estimate, WellLimits, concentration_of, index_of
from cartrace.immunoassay.samples import in_units, map_wells, match_targets, relative_standards
from cartrace.immunoassay.tables import CURVES, PLATE_WELLS, SAMPLES, STANDARDS, WELLS
from cartrace.immunoassay.titres import NONE, WORDS, Titre, reading_of, titre_of
from cartrace.immunoassay.vendor import check_dilution
from cartrace.plates.acceptance import Finding, qc_table
from cartrace.plates.marks import Marks, add, collect, spread_to_samples, spread_to_wells, with_verdict
from cartrace.plates.sample_names import fold
from cartrace.tables import Table, conform, empty

if TYPE_CHECKING:
    from cartrace.config import Immunoassay
    from cartrace.immunoassay.assay import Assay, Target
    from cartrace.immunoassay.plate import Plate

REPORTED = ("unknown", "control", "positive_control", "negative_control")
"""Tasks that get a row in SAMPLES."""
_IDENTITY = ("subject_id", "sample_id", "matrix", "infusion", "day", "visit")


@dataclass(frozen=True, slots=True)
class PlateResult:
    """A quantified plate; each frame keeps its contract of cartrace.immunoassay.tables, ``qc`` that of cartrace.tables."""

    wells: pd.DataFrame
    standards: pd.DataFrame
    curves: pd.DataFrame
    samples: pd.DataFrame
    qc: pd.DataFrame


@dataclass(frozen=True, slots=True)
class _Hook:
    """What :func:`cartrace.immunoassay.hook.find_hooks` says of one sample."""

    target: str
    sample: str
    reason: str
    wells: tuple[int, ...]


def quantify_plate(
    plate: Plate,
    assay: Assay,
    settings: Immunoassay,
    *,
    file_id: str,
    sha256: str,
    layout: pd.DataFrame | None = None,
) -> PlateResult:
    """Quantify and judge one plate.

    Parameters
    ----------
    plate
        As a reader gives it. The order of its rows matters only for titres, where it tells the
        readers apart.
    assay
        What its targets, samples and controls are.
    settings
        Section immunoassay of the configuration.
    file_id, sha256
        Of the plate's file.
    layout
        Of layout.read_layout, if there is one.

    Returns
    -------
    PlateResult

    Raises
    ------
    InputError
        When the plate has no target of the assay, or a well of which nobody knows the target.
    """
    acceptance = acceptance_of(settings.acceptance, assay)
    wells, findings = _prepare(plate, assay, layout, file_id)
    findings += check_wells(wells)
    findings += check_beads(wells, acceptance)
    wells = _without_rejected(wells, findings)
    curves: dict[str, PlateCurve] = {}
    hooks: list[_Hook] = []
    near_top: list[_Hook] = []
    wells, more = _corrected(wells, assay)
    findings += more
    for name, target in assay.targets.items():
        mine = wells[wells["target"].eq(name).fillna(value=False)]
        if target.readout != "concentration" or mine.empty:
            continue
        made = curve_of(mine, name, target, acceptance, settings)
        curves[name] = made
        findings += made.findings
        vendor = target.calibration.model == "vendor"
        if vendor:
            findings += check_dilution(mine, name, holds=target.calibration.holds_dilution)
        if target.calibration.holds_dilution:
            printed = mine["vendor_concentration"]
            in_well = (printed / mine["dilution"]).where(mine["task"].isin(REPORTED), printed)
            mine = mine.assign(vendor_concentration=in_well)
        read = read_off(mine, made, vendor=vendor)
        read = _saturated(read, mine, made)
        wells.loc[mine.index, list(read)] = read
        if made.curve is not None:
            evidence, doubt = _hooks(wells.loc[mine.index], made)
            hooks += evidence
            near_top += doubt
    past = {i for h in hooks for i in h.wells}
    wells.loc[list(past), "range"] = "hook"
    times = wells["dilution"] if assay.result_times_dilution else 1.0
    wells["result"] = wells["concentration"] * times
    known = wells["nominal"].where((wells["nominal"] > 0) & (wells["task"] != "unknown"))
    wells["recovery_percent"] = 100 * wells["concentration"] / known

    samples, more = _samples(wells, assay, curves, past, settings)
    findings += more
    wells["reading"] = _readings(wells, samples)
    findings += check_unnamed(wells)
    findings += check_blanks(wells, assay, curves, acceptance)
    findings += check_controls(samples, assay, acceptance)
    findings += check_uncontrolled(wells, assay)
    findings += check_index_control(wells, assay)
    findings += check_samples(samples, acceptance)
    findings += check_hooks([(h.target, h.sample, h.reason, h.wells) for h in near_top], samples)
    findings += [_hook_finding(h) for h in hooks]

    of_wells, of_samples, of_targets = collect(findings, len(wells), len(samples))
    for marks, flag in zip(of_wells, wells["mapping_flag"].mask(wells["exclusion"].notna()), strict=True):
        if not pd.isna(flag):
            add(marks, {str(flag): "fail"})
    # The dilution that is left is beyond doubt; the sample of a hook deserves a look all the same.
    of_samples = spread_to_samples(samples, of_samples, of_wells, of_targets, from_every_well={"hook"})
    samples = with_verdict(samples, of_samples)
    samples.loc[samples["left_out"].to_numpy(bool), "verdict"] = "not_used"
    # Of a sample without a result all wells are to be looked at.
    behind = [m or every for m, every in zip(samples["members"], samples["all_wells"], strict=True)]
    of_wells = spread_to_wells(wells, behind, of_wells, of_samples, of_targets, tasks={"standard", "blank"})
    wells = with_verdict(wells, of_wells)
    idle = wells["exclusion"].notna() | wells["target"].isna() | wells["task"].isin(["empty", "other"])
    wells.loc[idle, "verdict"] = "not_used"
    wells["target"] = wells["target"].fillna(wells["target_in_file"])

    return PlateResult(
        wells=_keep(wells.assign(plate=file_id, signal_kind=assay.signal), WELLS),
        standards=_stacked([standards_rows(c) for c in curves.values()], STANDARDS, file_id),
        curves=_curve_table(curves, of_targets, file_id),
        samples=_keep(samples.assign(plate=file_id, source_sha256=sha256), SAMPLES),
        qc=qc_table([*_remarks(plate), *findings], wells, file_id=file_id),
    )


def _prepare(
    plate: Plate, assay: Assay, layout: pd.DataFrame | None, file_id: str
) -> tuple[pd.DataFrame, list[Finding]]:
    """Name targets and samples, say which wells are kept out and why; add ``usable``, ``saturated``, ``readout``."""
    wells = conform(plate.wells, PLATE_WELLS)
    wells = wells.sort_values(["source_row", "well", "target"], kind="stable", ignore_index=True)
    wells, findings = match_targets(wells, assay, layout, file=file_id)
    wells, more = in_units(wells, assay, plate.units)
    findings += more
    wells, more = map_wells(wells, assay, layout)
    findings += more
    wells, more = relative_standards(wells, assay)
    findings += more
    status = wells["vendor_status"].fillna("")
    wells["saturated"] = wells["signal"].isna() & np.array(
        [any(fold(part) in OVERFLOW for part in text.split(";")) for text in status], dtype=bool
    )
    wells["readout"] = wells["target"].map({k: t.readout for k, t in assay.targets.items()}).astype("string")
    vendor = {k for k, t in assay.targets.items() if t.calibration.model == "vendor"}
    wells["by_vendor"] = wells["target"].isin(vendor) & wells["readout"].eq("concentration").fillna(
        value=False
    )
    wells["usable"] = wells["exclusion"].isna() & wells["target"].notna() & wells["mapping_flag"].isna()
    numbers = ("corrected", "concentration", "result", "recovery_percent")
    wells = wells.assign(**dict.fromkeys(numbers, np.nan), side="", range=None)
    wells = wells.astype({"side": "object", "range": "object"})
    return _without_rejected(wells, findings), findings


def _without_rejected(wells: pd.DataFrame, findings: Iterable[Finding]) -> pd.DataFrame:
    """Clear ``usable`` of the wells that a failing finding marks."""
    out = wells.copy()
    lost = {i for f in findings if f.verdict == "fail" and "wells" in f.marks for i in f.wells}
    out["usable"] = out["usable"] & ~out.index.isin(list(lost))
    return out


def _corrected(wells: pd.DataFrame, assay: Assay) -> tuple[pd.DataFrame, list[Finding]]:
    """Add ``corrected``: the signal, without the mean of the blanks where the assay file says so."""
    out = wells.copy()
    out["corrected"] = out["signal"].astype("float64")
    findings: list[Finding] = []
    for name, target in assay.targets.items():
        mine = out["target"].eq(name).fillna(value=False)
        blanks = out.loc[mine & out["usable"] & out["task"].eq("blank"), "signal"].dropna()
        if target.calibration.subtract_blank and target.readout != "titre" and len(blanks):
            out.loc[mine, "corrected"] = out.loc[mine, "signal"] - float(blanks.mean())
    return out, findings


def _saturated(read: pd.DataFrame, wells: pd.DataFrame, made: PlateCurve) -> pd.DataFrame:
    """Put wells whose signal was too strong to be read beyond the strong end of the curve."""
    strong = wells["saturated"].to_numpy(bool) & read["side"].eq("").to_numpy(bool)
    if made.curve is None or not strong.any():
        return read
    where = "above_curve" if made.curve.rising else "below_curve"
    return read.assign(side=read["side"].mask(strong, where), range=read["range"].mask(strong, where))


def _hooks(wells: pd.DataFrame, made: PlateCurve) -> tuple[list[_Hook], list[_Hook]]:
    """Return samples past the hook, and those of which nobody can tell."""
    mine = wells[wells["usable"] & wells["task"].isin(REPORTED)]
    if made.curve is None or mine.empty:
        return [], []
    found = find_hooks(
        made.curve,
        [str(label) for label in mine["label"]],
        mine["dilution"].to_numpy(np.float64),
        mine["corrected"].to_numpy(np.float64),
    )
    groups: dict[tuple[str, str, str], list[int]] = {}
    for h in found:
        label = str(mine["label"].iloc[h.well])
        groups.setdefault((label, h.kind, h.reason), []).append(int(mine.index[h.well]))
    listed = [
        (kind, _Hook(made.target, label, reason, tuple(at))) for (label, kind, reason), at in groups.items()
    ]
    return [h for kind, h in listed if kind != "near_top"], [h for kind, h in listed if kind == "near_top"]


def _hook_finding(h: _Hook) -> Finding:
    return Finding(
        "hook",
        "warn",
        f"{h.target} of {h.sample}: {h.reason}: this dilution may be past the hook and is not used",
        target=h.target,
        wells=h.wells,
        marks=("wells",),
        suggestion="measure it at a higher dilution",
    )


def _samples(
    wells: pd.DataFrame,
    assay: Assay,
    curves: Mapping[str, PlateCurve],
    past: set[int],
    settings: Immunoassay,
) -> tuple[pd.DataFrame, list[Finding]]:
    """Make one row for each sample or control and target.

    Beside the columns of SAMPLES: ``members`` (wells behind the result), ``all_wells``, ``own_flags``,
    ``faults``, ``in_well`` and ``left_out`` (nobody wants the result).
    """
    mine = wells[
        wells["target"].notna()
        & wells["task"].isin(REPORTED)
        & wells["exclusion"].ne("ignored").fillna(value=True)
    ]
    findings: list[Finding] = []
    cutoffs: dict[str, float | None] = {}
    ratios: dict[str, float] = {}
    for name, target in assay.targets.items():
        if target.titre is not None:
            cutoffs[name], more = _cutoff(wells, name, target)
            findings += more
        if target.readout == "index":
            ratios[name] = _control_signal(wells, name, target.index_control)
    records = []
    by = ["label", "target", "task"]
    # The rows of all samples at once: pandas takes its time for one row.
    firsts = mine.drop_duplicates(by).set_index(by, drop=False).to_dict("index")
    for key, group in mine.groupby(by, sort=False):
        name = str(key[1])
        target = assay.targets[name]
        used = group[group["usable"]]
        record = _about(group, firsts[key], target, assay)
        made = curves.get(name)
        if target.readout == "titre":
            record |= _titre_row(used, target, cutoffs[name])
        elif target.readout == "index":
            limits = WellLimits(
                *(x or math.nan for x in (target.limits.lod, target.limits.lloq, target.limits.uloq))
            )
            record |= _row_of(index_of(used["corrected"].to_numpy(np.float64), ratios[name], limits), used)
        elif made is not None:
            record |= _concentration_row(used, made, assay, past, settings)
        record["n_used"] = len(record["members"])
        records.append(record)
    if not records:
        return pd.DataFrame(columns=[*SAMPLES.names, *_HELPERS]), findings
    out = pd.DataFrame(records)
    for column in SAMPLES.columns:
        if column.kind == "number":
            found = out[column.name].astype("Float64") if column.name in out else None
            out[column.name] = np.nan if found is None else found.to_numpy(np.float64, na_value=np.nan)
    return out.sort_values(["source_row", "sample", "target"], kind="stable", ignore_index=True), findings


_HELPERS = ("members", "all_wells", "own_flags", "faults", "in_well", "left_out")


def _about(group: pd.DataFrame, first: Mapping[Any, Any], target: Target, assay: Assay) -> dict[str, Any]:
    dilution, nominal = (np.unique(group[c].to_numpy(np.float64)) for c in ("dilution", "nominal"))
    dilutions, nominal = dilution[~np.isnan(dilution)], nominal[~np.isnan(nominal)]
    return {
        "sample": first["label"],
        **{column: first[column] for column in _IDENTITY},
        "target": first["target"],
        "analyte": target.analyte,
        "assay": assay.assay,
        "readout": target.readout,
        "unit": target.unit,
        "task": first["task"],
        "wells": ", ".join(dict.fromkeys(group["well"])),
        "n_wells": len(group),
        "dilutions": ", ".join(f"{d:g}" for d in dilutions) or None,
        "nominal": float(nominal[0]) if len(nominal) == 1 and first["task"] != "unknown" else math.nan,
        "source_row": int(group["source_row"].min()),
        "all_wells": tuple(int(i) for i in group.index),
        "left_out": bool(group["exclusion"].notna().all()),
    }


def _concentration_row(
    used: pd.DataFrame, made: PlateCurve, assay: Assay, past: set[int], settings: Immunoassay
) -> dict[str, Any]:
    dilution, signal, concentration, result = (
        used[c].to_numpy(np.float64) for c in ("dilution", "corrected", "concentration", "result")
    )
    side = used["side"].to_numpy(str)
    hooked = used.index.isin(list(past))
    found = concentration_of(
        dilution,
        signal,
        concentration,
        side,
        limits=made.limits,
        curve=made.curve,
        hooked=hooked,
        times_dilution=assay.result_times_dilution,
        confidence=settings.confidence,
    )
    row = _row_of(found, used)
    row["dilution_used"] = found.dilution
    row["in_well"] = found.value / found.dilution if assay.result_times_dilution else found.value
    if found.detection == "quantified" and made.curve is not None:
        low, high = precise_range(made.curve, settings.max_profile_cv_percent, len(found.wells))
        if not low * (1 - 1e-9) <= row["in_well"] <= high * (1 + 1e-9):
            row["own_flags"] = (*row["own_flags"], "imprecise")
        # Limits of the assay file may reach beyond the standards of the plate.
        if not made.curve.lowest * (1 - 1e-9) <= row["in_well"] <= made.curve.highest * (1 + 1e-9):
            row["own_flags"] = (*row["own_flags"], "extrapolated")
    row["recovery_percent"] = math.nan
    nominal = used["nominal"].dropna().unique()
    if len(nominal) == 1 and nominal[0] > 0 and str(used["task"].iloc[0]) != "unknown":
        row["recovery_percent"] = 100 * row["in_well"] / float(nominal[0])
    inside = used["range"].eq("inside").fillna(value=False).to_numpy(bool) & ~hooked
    row["linearity_percent"] = linearity(dilution, result, inside).largest_percent
    if made.curve is not None and assay.result_times_dilution:
        row["parallelism_p"] = parallelism(made.curve, dilution, signal, inside).p
    status = [vendor_side(s) for s in used["vendor_status"].fillna("")]
    if made.curve is None and made.row.get("model", "vendor") == "vendor":
        behind = {s for i, s in zip(used.index, status, strict=True) if i in row["members"]}
        # An OOR result is censored already; only a number beside the remark is doubtful.
        if found.detection == "quantified" and behind - {""}:
            row["own_flags"] = (*row["own_flags"], "vendor_out_of_range")
    return row


def _row_of(found: Estimate, used: pd.DataFrame) -> dict[str, Any]:
    return {
        "result": found.value,
        "lower": found.lower,
        "upper": found.upper,
        "cv_percent": found.cv_percent,
        "lod": found.lod,
        "lloq": found.lloq,
        "uloq": found.uloq,
        "detection": found.detection,
        "members": tuple(int(used.index[i]) for i in found.wells),
        "own_flags": tuple(f for f in found.flags if f != "hook"),
        # The wells past the hook say it themselves; here only that none is left.
        "faults": found.faults,
        "in_well": math.nan,
    }


def _readings(wells: pd.DataFrame, samples: pd.DataFrame) -> pd.Series[str]:
    """Say what each well of a titre reads, by the cut-off of its target."""
    titre = samples[samples["readout"].eq("titre")]
    cutoffs = dict(zip(titre["target"], titre["cutoff"], strict=True))
    mine = wells[wells["target"].isin(cutoffs) & wells["task"].isin([*REPORTED, "empty"])]
    signal = mine["signal"].astype("float64").mask(mine["saturated"], math.inf)
    words = [
        _word(s) if math.isnan(x) else ""
        for s, x in zip(mine["vendor_status"].fillna(""), signal, strict=True)
    ]
    said = [
        reading_of(word, x, None if math.isnan(cutoffs[target]) else cutoffs[target])
        for word, x, target in zip(words, signal, mine["target"], strict=True)
    ]
    return pd.Series(said, index=mine.index, dtype="string").reindex(wells.index)


def _titre_row(used: pd.DataFrame, target: Target, cutoff: float | None) -> dict[str, Any]:
    assert target.titre is not None
    signal = used["signal"].to_numpy(np.float64)
    # Too strong to be read is above every cut-off.
    signal = np.where(used["saturated"].to_numpy(bool), math.inf, signal)
    words = [_word(s) for s in used["vendor_status"].fillna("")]
    words = [w if math.isnan(s) else "" for w, s in zip(words, signal, strict=True)]
    if same_name(used["label"].iloc[0] if len(used) else "", target.titre.cutoff_control) and (
        used["dilution"].isna().all()
    ):
        # The control that gives the cut-off is no series.
        found = NONE
    elif used.empty:
        found = Titre(math.nan, math.nan, math.nan, math.nan, None, (), ("no_well_left",))
    else:
        found = titre_of(
            used["dilution"].to_numpy(np.float64),
            signal,
            words,
            start=target.titre.start,
            step=target.titre.step,
            cutoff=cutoff,
        )
    above = found.detection == "above_uloq"
    return {
        "result": found.value,
        "lower": found.lower,
        "upper": found.upper if math.isfinite(found.upper) else math.nan,
        "cutoff": math.nan if cutoff is None else cutoff,
        "lloq": found.start,
        "uloq": found.lower if above else math.nan,
        "detection": found.detection,
        "members": tuple(int(i) for i in used.index) if found.detection else (),
        "own_flags": found.flags,
        "faults": found.faults,
        "in_well": math.nan,
        "recovery_percent": math.nan,
    }


def _word(status: str) -> str:
    """Return what a reader wrote of a well: the remark, or the part of it that is a word of titres."""
    parts = [p.strip() for p in status.split(";")]
    return next((p for p in parts if "".join(p.split()).casefold() in WORDS), status.strip())


def _cutoff(wells: pd.DataFrame, name: str, target: Target) -> tuple[float | None, list[Finding]]:
    """Return the signal from which a well is positive; None where readers say it."""
    rule = target.titre
    assert rule is not None
    if not rule.cutoff_control:
        return rule.cutoff, []
    mean = _control_signal(wells, name, rule.cutoff_control)
    if mean > 0:
        return (cutoff := mean * rule.cutoff_factor), _unproven(wells, name, cutoff)
    found = "the plate has no usable well of it" if math.isnan(mean) else f"it reads {mean:g}"
    return None, [
        Finding(
            "control_missing",
            "fail",
            f"{name}: the cut-off is {rule.cutoff_factor:g} times the control '{rule.cutoff_control}', and {found}",
            target=name,
            marks=("target",),
            limit_source=f"assay file, targets.{name}.titre.cutoff_control",
        )
    ]


def _unproven(wells: pd.DataFrame, name: str, cutoff: float) -> list[Finding]:
    """Flag a plate on which nothing is positive: a contaminated control would lift the cut-off above everything."""
    mine = wells[
        wells["target"].eq(name).fillna(value=False) & wells["usable"] & wells["task"].isin(REPORTED)
    ]
    if mine.empty or mine["saturated"].any() or (mine["signal"] >= cutoff).any():
        return []
    return [
        Finding(
            "cutoff_unproven",
            "warn",
            f"{name}: no well of the plate reaches the cut-off {cutoff:.4g}, which its own control gave: nothing shows that "
            "a positive sample would",
            target=name,
            marks=("target",),
            value=f"{float(mine['signal'].max()):.4g}",
            limit=f"{cutoff:.4g}",
            limit_source=f"assay file, targets.{name}.titre.cutoff_control",
            suggestion="look at the control; measure a positive one on the plate",
        )
    ]


def _control_signal(wells: pd.DataFrame, name: str, control: str) -> float:
    """Return the mean signal of a control without the blank; nan where the plate has no usable well of it."""
    named = np.array([same_name(control, c) for c in wells["control"].fillna("")], dtype=bool)
    mine = (
        wells["target"].eq(name).fillna(value=False).to_numpy(bool) & named & wells["usable"].to_numpy(bool)
    )
    return float(wells.loc[mine, "corrected"].mean())


def _keep(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    return (
        conform(frame[[c for c in table.names if c in frame.columns]], table) if len(frame) else empty(table)
    )


def _stacked(frames: list[pd.DataFrame], table: Table, file_id: str) -> pd.DataFrame:
    kept = [f for f in frames if len(f)]
    return _keep(pd.concat(kept, ignore_index=True).assign(plate=file_id), table) if kept else empty(table)


def _curve_table(
    curves: Mapping[str, PlateCurve], of_targets: Mapping[str, Marks], file_id: str
) -> pd.DataFrame:
    of_curve = {rule.name for rule in RULES.values() if rule.scope == "curve"} | {
        "curve_missing",
        "curve_direction",
        "unit_unknown",
    }
    shown = [c for c in curves.values() if c.row]
    if not shown:
        return empty(CURVES)
    marks = [{flag: v for flag, v in of_targets.get(c.target, {}).items() if flag in of_curve} for c in shown]
    rows = pd.DataFrame([{"plate": file_id, "target": c.target, **c.row} for c in shown])
    return conform(with_verdict(rows, marks), CURVES)


def _remarks(plate: Plate) -> list[Finding]:
    return [
        Finding(r.check, r.verdict, r.message, value=r.value or "", column=r.column or "", row=r.row)
        for r in plate.remarks
    ]
