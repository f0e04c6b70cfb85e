"""All plates together: results in every unit, with their limits, the repeat list and the control charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cartrace.intake.results import RESULTS
from cartrace.pcr.acceptance import acceptance_of
from cartrace.pcr.control_charts import control_charts
from cartrace.pcr.detection import Detected, ReactionLimits, detect, limits_per_reaction, with_standards
from cartrace.pcr.normalise import COLUMNS, Normalised, floats, normalise
from cartrace.pcr.repeats import repeat_reasons
from cartrace.pcr.tables import CURVES, DROPLETS, SAMPLES, WELLS
from cartrace.plates.acceptance import number
from cartrace.plates.twice import read_twice
from cartrace.tables import QC, concat, conform, empty, rows

if TYPE_CHECKING:
    from cartrace.config import Pcr
    from cartrace.intake.extractions import Extraction
    from cartrace.pcr.assay import Assay
    from cartrace.pcr.limits import Limits

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Texts = NDArray[np.object_]
STATUS = {"accepted": "accepted", "flagged": "flagged", "rejected": "rejected"}
"""Verdict of a sample -> status of its results. What the operator left out (not_used) gives no result."""


@dataclass(frozen=True, slots=True)
class PlateTables:
    """What quantify_plate made of one plate, and the assay of it."""

    file_id: str
    assay: Assay
    wells: pd.DataFrame
    curves: pd.DataFrame
    samples: pd.DataFrame
    droplets: pd.DataFrame
    qc: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Assembled:
    """All plates: results for measurements, and the evidence behind them."""

    results: pd.DataFrame
    samples: pd.DataFrame
    wells: pd.DataFrame
    curves: pd.DataFrame
    droplets: pd.DataFrame
    controls: pd.DataFrame
    qc: pd.DataFrame


def assemble_plates(
    plates: Sequence[PlateTables],
    extractions: Mapping[str, Extraction],
    estimates: Mapping[str, Limits],
    matrices: Mapping[str, str],
    settings: Pcr,
) -> Assembled:
    """Join all plates with the extractions and limits.

    Parameters
    ----------
    plates
        In the order of the files sheet, which only the control charts depend on.
    extractions
        Row of the extractions sheet of each sample.
    estimates
        Estimated limits by name.
    matrices
        Matrix of each sample_id of the samples sheet; it goes before the assay file's.
    settings
        Section pcr of the configuration.

    Returns
    -------
    Assembled
        Tables that keep their contracts.
    """
    assays = {plate.file_id: plate.assay for plate in plates}
    samples = concat([plate.samples for plate in plates], SAMPLES)
    samples = samples.sort_values(
        ["plate", "source_row", "sample", "target"], kind="stable", ignore_index=True
    )
    wells = concat([plate.wells for plate in plates], WELLS)
    curves = concat([plate.curves for plate in plates], CURVES)
    droplets = concat([plate.droplets for plate in plates], DROPLETS)
    twice = read_twice(((p.file_id, p.assay.assay, _readings(p)) for p in plates), FEWEST_READINGS)
    qc = [*(plate.qc for plate in plates), rows(twice, QC)]
    if not len(samples):
        controls, _ = control_charts(samples, curves, list(assays), _names(assays), settings.westgard)
        return Assembled(empty(RESULTS), samples, wells, curves, droplets, controls, concat(qc, QC))
    sheet = samples["sample_id"].map(dict(matrices)).astype("string")
    samples["matrix"] = sheet.fillna(samples["matrix"])

    # Only a reference gene within its limits counts genomes, and its limits can't depend on that count.
    before = samples.assign(dna_ng=np.nan)
    _, first = _judge(before, curves, assays, estimates)
    usable = (
        samples["role"].eq("reference")
        & samples["task"].eq("unknown")
        & samples["verdict"].isin(["accepted", "flagged"])
        & (first.detection == "quantified")
    ).to_numpy(bool)
    made = normalise(samples, usable, assays, extractions, settings)
    limits, detected = _judge(made.samples, curves, assays, estimates)
    samples = _filled(made.samples, limits, detected)
    samples, dna_side, findings = _amount_of_dna(samples, assays, settings)
    samples, silent, more = _without_reference(samples)
    findings += more
    wanted = _wanted(samples)
    reasons = _not_estimable(samples, made, settings)
    stuck = wanted & np.array([len(r) == len(settings.units) for r in reasons], dtype=bool)
    reference = samples["plate"].map({p: a.reference is not None for p, a in assays.items()}).to_numpy(bool)
    lost = silent | (stuck & reference & samples["reference_copies"].isna().to_numpy())
    asks = repeat_reasons(samples, np.where(lost, "reference_gene", dna_side).astype(object))
    samples["repeat"] = pd.array(asks != "", dtype="boolean")
    samples["repeat_reason"] = pd.array([a or None for a in asks], dtype="string")
    controls, charts_qc = control_charts(samples, curves, list(assays), _names(assays), settings.westgard)
    nowhere = _wanted(samples) & samples["sample_id"].isna().to_numpy() & samples["matrix"].isna().to_numpy()
    results = _results(samples, ~nowhere, made, detected, settings)
    findings += [
        *_limits_unknown(samples, limits),
        *_units_qc(samples, reasons, settings),
        *_matrix_unknown(samples, nowhere),
    ]
    qc += [rows(findings, QC), charts_qc]
    return Assembled(
        results,
        conform(samples, SAMPLES),
        wells,
        curves,
        droplets,
        controls,
        concat(qc, QC),
    )


READINGS = ["well", "target", "cq", "positives", "partitions"]
FEWEST_READINGS = 4
"""Wells with a reading below which two plates may agree by chance."""


def _readings(plate: PlateTables) -> pd.DataFrame:
    wells = plate.wells[plate.wells["role"].notna()]
    return wells.loc[(wells["cq"].notna() | wells["positives"].notna()).to_numpy(bool), READINGS]


def _names(assays: Mapping[str, Assay]) -> dict[str, str]:
    return {plate: assay.assay for plate, assay in assays.items()}


def _wanted(samples: pd.DataFrame) -> Bools:
    """Say which rows are results of the trial: the transgene in a sample, used or rejected."""
    wanted = samples["role"].eq("transgene") & samples["task"].eq("unknown") & samples["verdict"].isin(STATUS)
    return wanted.to_numpy(bool)


def _flagged(samples: pd.DataFrame, flag: str) -> Bools:
    return np.array([flag in flags.split(";") for flags in samples["flags"].fillna("")], dtype=bool)


def _judge(
    samples: pd.DataFrame,
    curves: pd.DataFrame,
    assays: Mapping[str, Assay],
    estimates: Mapping[str, Limits],
) -> tuple[ReactionLimits, Detected]:
    ends = samples[["plate", "target"]].merge(
        curves[["plate", "target", "lowest", "highest"]], on=["plate", "target"], how="left"
    )
    above = _flagged(samples, "above_standards")
    limits = limits_per_reaction(samples, assays, estimates)
    limits = with_standards(limits, floats(ends["lowest"]), floats(ends["highest"]), above)
    return limits, detect(floats(samples["copies"]), floats(samples["upper"]), limits, above)


def _filled(samples: pd.DataFrame, limits: ReactionLimits, detected: Detected) -> pd.DataFrame:
    unknown = samples["task"].eq("unknown").to_numpy(bool)
    out = samples.copy()
    for name in ("lob", "lod", "lloq", "uloq"):
        out[name] = np.where(unknown, getattr(limits, name), np.nan)
    out["detection"] = pd.array(
        [d if u else None for d, u in zip(detected.detection, unknown, strict=True)], dtype="string"
    )
    return out


def _amount_of_dna(
    samples: pd.DataFrame, assays: Mapping[str, Assay], settings: Pcr
) -> tuple[pd.DataFrame, Texts, list[dict[str, object]]]:
    """Apply the rule dna_ng; return the samples, the remedy of each (or an empty text), and the findings."""
    out = samples.copy()
    side = np.full(len(out), "", dtype=object)
    findings: list[dict[str, object]] = []
    mass = floats(out["dna_ng"])
    wanted = _wanted(out)
    records = out.to_dict("records")
    for plate, assay in assays.items():
        rules = acceptance_of(settings.acceptance, assay)
        limit = rules.limit("dna_ng")
        here = wanted & out["plate"].eq(plate).to_numpy(bool)
        for i in np.flatnonzero(here & rules.broken("dna_ng", mass)):
            verdict = rules.verdict("dna_ng", broken=True)
            row = records[i]
            low = limit.lower is not None and mass[i] < limit.lower
            findings.append(
                _qc_of(row)
                | {
                    "check": "dna_ng",
                    "verdict": verdict,
                    "value": f"{number(mass[i])} ng",
                    "limit": rules.limit_text("dna_ng"),
                    "limit_source": rules.source("dna_ng"),
                    "message": f"{row['sample']}: {number(mass[i])} ng of DNA in the reaction ({row['dna_source']}), "
                    f"too {'little' if low else 'much'}.",
                }
            )
            if verdict == "note":
                continue
            side[i] = "too_little_dna" if low else "too_much_dna"
            out.loc[i, "flags"] = "dna_ng" if pd.isna(row["flags"]) else f"{row['flags']};dna_ng"
            if verdict == "fail":
                out.loc[i, "verdict"] = "rejected"
            elif row["verdict"] == "accepted":
                out.loc[i, "verdict"] = "flagged"
    return out, side, findings


def _without_reference(samples: pd.DataFrame) -> tuple[pd.DataFrame, Bools, list[dict[str, object]]]:
    """Flag transgenes in samples whose reference gene was looked for and not found: perhaps the PCR found nothing at all.

    Returns the samples, which of them, and the findings.
    """
    empty = samples["role"].eq("reference") & samples["task"].eq("unknown")
    empty &= samples["copies"].eq(0).fillna(value=False) & samples["verdict"].isin(["accepted", "flagged"])
    place = pd.MultiIndex.from_frame(samples[["plate", "sample"]])
    silent = np.asarray(_wanted(samples) & place.isin(place[empty.to_numpy(bool)]), dtype=bool)
    out = samples.copy()
    findings = []
    records = samples.to_dict("records")
    for i in np.flatnonzero(silent):
        row = records[i]
        findings.append(
            _qc_of(row)
            | {
                "check": "reference_gene",
                "verdict": "warn",
                "value": "0 copies",
                "message": f"{row['sample']}: the reference gene was not found, so nothing shows that the PCR would have "
                f"found {row['target']}.",
            }
        )
        out.loc[i, "flags"] = "reference_gene" if pd.isna(row["flags"]) else f"{row['flags']};reference_gene"
        if row["verdict"] == "accepted":
            out.loc[i, "verdict"] = "flagged"
    return out, silent, findings


def _not_estimable(samples: pd.DataFrame, made: Normalised, settings: Pcr) -> list[dict[str, str]]:
    """Say for each sample which of the wanted units can't be computed, because of what."""
    without = samples["copies"].isna().to_numpy()
    return [
        {
            unit: "copies per reaction are not known" if without[i] else made.reasons[unit][i]
            for unit in settings.units
            if without[i] or np.isnan(made.factors[unit][i])
        }
        for i in range(len(samples))
    ]


def _qc_of(row: Mapping[Any, Any]) -> dict[str, object]:
    return {
        "source_file": row["plate"],
        "source_row": row["source_row"],
        "source_column": f"{row['wells']} / {row['target']}",
        "subject_id": row["subject_id"],
        "sample_id": row["sample_id"],
        "analyte": row["analyte"],
    }


def _units_qc(
    samples: pd.DataFrame, reasons: list[dict[str, str]], settings: Pcr
) -> Iterator[dict[str, object]]:
    # A rejected result has its own finding, and no unit would save it.
    wanted = _wanted(samples) & samples["verdict"].ne("rejected").to_numpy(bool)
    records = samples.to_dict("records")
    for i in np.flatnonzero(wanted):
        for unit, reason in reasons[i].items():
            yield _qc_of(records[i]) | {
                "check": "unit_not_estimable",
                "verdict": "warn" if len(reasons[i]) == len(settings.units) else "note",
                "value": unit,
                "limit_source": "pcr.units",
                "message": f"{records[i]['sample']} ({records[i]['target']}) has no result in {unit}: {reason}.",
            }


def _limits_unknown(samples: pd.DataFrame, limits: ReactionLimits) -> Iterator[dict[str, object]]:
    """Tell once for each assay and target that nothing says what is detected."""
    frame = samples[["assay", "target", "analyte", "plate"]].assign(reason=limits.reasons)
    frame = frame[_wanted(samples) & samples["copies"].notna().to_numpy() & (frame["reason"] != "")]
    for (assay, target, reason), group in frame.groupby(["assay", "target", "reason"], sort=True):
        plates = sorted(set(group["plate"]))
        yield {
            "check": "limits_unknown",
            "verdict": "warn",
            "source_file": plates[0] if len(plates) == 1 else None,
            "source_column": target,
            "analyte": group["analyte"].iloc[0],
            "value": f"{len(group)} results",
            "limit_source": f"assay file, targets.{target}.limits",
            "message": f"{assay}, {target}: {reason}; {len(group)} result{'' if len(group) == 1 else 's'} judged without "
            "(none found: below detection).",
        }


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


def _printable(limits: Floats) -> Floats:
    """Round to 12 digits: a limit of 50 copies/ug went to copies per reaction and back, and is 50 again."""
    with np.errstate(divide="ignore"):
        size = np.where(limits > 0, np.floor(np.log10(np.abs(limits))), 0.0)
    scale = 10.0 ** (11 - np.nan_to_num(size))
    return np.asarray(np.round(limits * scale) / scale)


def _results(
    samples: pd.DataFrame, placed: Bools, made: Normalised, detected: Detected, settings: Pcr
) -> pd.DataFrame:
    """Make one row for each sample and unit that could be computed.

    ``printed``, ``rounding`` and ``ratios`` stay empty: nothing was printed, so the
    checks for copied digits and for the laboratory's own ratio of units have nothing to look at.
    """
    named = samples["sample_id"].notna().to_numpy() | samples["subject_id"].notna().to_numpy()
    wanted = _wanted(samples) & samples["copies"].notna().to_numpy() & placed & named
    quantified = detected.detection == "quantified"
    frames = []
    for unit in settings.units:
        factor = made.factors[unit]
        value = np.where(quantified, floats(samples[COLUMNS[unit]]), np.nan)
        columns = ["subject_id", "sample_id", "matrix", "infusion", "day", "visit", "analyte", "assay"]
        frame = samples[columns].assign(
            value=value,
            unit=unit,
            detection=detected.detection,
            censoring=detected.censoring,
            lower=np.where(quantified, value, _printable(detected.lower * factor)),
            upper=np.where(quantified, value, _printable(detected.upper * factor)),
            **{n: _printable(floats(samples[n]) * factor) for n in ("lod", "lloq", "uloq")},
            sd=floats(samples["sd"]) * factor,
            n_replicates=samples["n_used"],
            status=samples["verdict"].map(STATUS),
            flags=samples["flags"],
            source_file=samples["plate"],
            source_row=samples["source_row"],
            source_column=samples["wells"] + " / " + samples["target"],
            source_sha256=samples["source_sha256"],
        )
        frames.append(frame[wanted & ~np.isnan(factor)])
    order = ["source_file", "source_row", "source_column"]
    results = pd.concat(frames).sort_values(order, kind="stable", ignore_index=True)
    return conform(results, RESULTS)
