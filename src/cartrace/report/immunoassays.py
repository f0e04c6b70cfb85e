"""What the pages of immunoassay plates show: curves with their bands, standards, samples, series of titres.

A page is drawn from the tables of its own plate alone, one target at a time, so they travel
apart; what is said of a well (its sample, its dilution) travels once for all targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from cartrace.analytes import ANALYTES
from cartrace.immunoassay.calibration import SAME_LEVEL, curve_from_columns, prediction_band
from cartrace.immunoassay.tables import CONTROLS, CURVES, SAMPLES, STANDARDS, WELLS
from cartrace.problems import redact_dates
from cartrace.report.families import assay_label
from cartrace.report.immunoassay_words import (
    EXCLUSIONS,
    FLAGS,
    LIMITS_FROM,
    MODELS,
    RANGES,
    READOUTS,
    SIGNALS,
    TASKS,
    WHOLE_PLATE,
    weights,
)
from cartrace.report.packing import Columns, Texts, columns, number, numbers, unit_label
from cartrace.report.plate_words import WESTGARD, in_words
from cartrace.report.plates import compact, subject_numbers
from cartrace.tables import empty

VERDICTS = ("accepted", "flagged", "rejected", "not_used")
BEYOND = 4.0
"""The curve is drawn so many times below the lowest and above the highest standard."""
_PLACE = ["well", "sample_name", "sample", "task", "dilution", "exclusion"]
_WELL_LEFT_OUT = ("plate", "target", "signal_kind", *_PLACE)
_SAMPLE_LEFT_OUT = (
    *("plate", "target", "subject_id", "sample_id", "matrix", "infusion", "day", "visit", "analyte", "assay"),
    *("readout", "unit", "repeat", "source_row", "source_sha256"),
)  # fmt: skip
_CURVE_CONTROLS = {"ec50": "EC50 of the curve", "top": "top of the curve"}
_CONTROL_RULES = ("control_recovery", "control_range")
_REPEAT = ("plate", "sample", "target", "wells", "verdict", "flags", "repeat_reason", "s")


@dataclass(frozen=True, slots=True)
class ImmunoassayTables:
    """The tables of the immunoassay stage; each keeps the contract of ``cartrace.immunoassay.tables`` and may be empty."""

    wells: pd.DataFrame = field(default_factory=partial(empty, WELLS))
    standards: pd.DataFrame = field(default_factory=partial(empty, STANDARDS))
    curves: pd.DataFrame = field(default_factory=partial(empty, CURVES))
    samples: pd.DataFrame = field(default_factory=partial(empty, SAMPLES))
    controls: pd.DataFrame = field(default_factory=partial(empty, CONTROLS))

    @property
    def plates(self) -> list[str]:
        """file_id of every plate, in the order of the tables."""
        found = pd.concat([self.wells["plate"], self.samples["plate"], self.controls["plate"]])
        return [str(p) for p in found.unique()]


def payload(
    tables: ImmunoassayTables,
    subject_of_sample: Mapping[str, str],
    number_of: Mapping[str, int],
    confidence: float,
    texts: Texts,
    *,
    min_plates: int = 5,
) -> dict[str, Any] | None:
    """Bring the plates into the compact form that the page's script reads.

    Parameters
    ----------
    tables
        Tables of the immunoassay stage.
    subject_of_sample
        sample_id to subject, for samples whose own row names no subject.
    number_of
        Subject to its number on the page.
    confidence
        Level of the band of a curve.
    texts
        Where every text goes.
    min_plates
        Plates before a control is judged.

    Returns
    -------
    dict or None
        Plain lists, numbers and strings; None without any plate.
    """
    if not tables.plates:
        return None
    subject = subject_numbers(tables.samples, subject_of_sample, number_of)
    samples = with_vendor(tables.samples, tables.wells)
    samples = _in_words(samples).assign(s=subject)
    wells = _in_words(tables.wells)
    wells["exclusion"] = wells["exclusion"].map(lambda e: EXCLUSIONS.get(e, e), na_action="ignore")
    parts = {
        "wells": wells,
        "samples": samples,
        "standards": _in_words(tables.standards),
        "curves": _in_words(tables.curves),
    }
    of_plate = {name: dict(list(frame.groupby("plate", sort=False))) for name, frame in parts.items()}
    repeats = samples.loc[samples["repeat"].fillna(value=False).astype(bool), list(_REPEAT)]
    controls = tables.controls.sort_values(["assay", "target", "control", "quantity", "order"], kind="stable")
    of_curve = controls["quantity"].isin([f"log10 {name}" for name in _CURVE_CONTROLS])
    broken = controls["rules"].map(partial(in_words, words=WESTGARD), na_action="ignore")
    return {
        "plates": [
            _plate(
                plate,
                **{name: found.get(plate, parts[name][:0]) for name, found in of_plate.items()},
                confidence=confidence,
                texts=texts,
            )
            for plate in tables.plates
        ],
        "repeats": columns(repeats, texts),
        "controls": columns(
            controls.assign(
                rules_in_words=broken,
                control=controls["control"].where(~of_curve, controls["control"].map(_CURVE_CONTROLS)),
                assay=controls["assay"].map(lambda a: assay_label(str(a))),
            ),
            texts,
        ),
        "tasks": TASKS,
        "ranges": RANGES,
        "confidence": confidence,
        "min_plates": min_plates,
        "whole": WHOLE_PLATE,
    }


def _in_words(frame: pd.DataFrame) -> pd.DataFrame:
    said = frame["flags"].map(partial(in_words, words=FLAGS), na_action="ignore")
    # Without any flag pandas 3 leaves a column of no type.
    return frame.assign(flags=said.astype("string"))


def _plate(
    plate: str,
    *,
    wells: pd.DataFrame,
    samples: pd.DataFrame,
    standards: pd.DataFrame,
    curves: pd.DataFrame,
    confidence: float,
    texts: Texts,
) -> dict[str, Any]:
    places = wells[_PLACE].drop_duplicates(ignore_index=True)
    number_of_place = {key: i for i, key in enumerate(_keys(places))}
    at = [number_of_place[key] for key in _keys(wells[_PLACE])]
    wells = wells.assign(place=pd.array(at, dtype="Int64"))
    targets = list(dict.fromkeys([*samples["target"], *curves["target"], *wells["target"].dropna()]))
    signal = wells["signal_kind"].dropna()
    assay = samples["assay"].dropna()
    return {
        "id": redact_dates(plate),
        "assay": ", ".join(assay_label(redact_dates(a)) for a in assay.unique()),
        "signal": SIGNALS.get(str(signal.iloc[0]), "") if len(signal) else "",
        "readouts": [READOUTS[r] for r in samples["readout"].dropna().unique()],
        "counts": result_counts(samples),
        "repeats": int(samples["repeat"].fillna(value=False).sum()),
        "say": [redact_dates(s) for s in summary(samples, curves, standards)],
        "places": compact(places, texts, ()),
        "targets": [
            _target(
                str(t),
                wells=wells[wells["target"].eq(t).fillna(value=False)],
                samples=samples[samples["target"] == t],
                standards=standards[standards["target"] == t],
                curves=curves[curves["target"] == t],
                confidence=confidence,
                texts=texts,
            )
            for t in targets
        ],
    }


def _keys(places: pd.DataFrame) -> list[tuple[str, ...]]:
    return list(places.astype("string").fillna("").itertuples(index=False, name=None))


def _target(
    name: str,
    *,
    wells: pd.DataFrame,
    samples: pd.DataFrame,
    standards: pd.DataFrame,
    curves: pd.DataFrame,
    confidence: float,
    texts: Texts,
) -> dict[str, Any]:
    first = samples.iloc[0] if len(samples) else None
    readout = "" if first is None else str(first["readout"])
    analyte = "" if first is None or pd.isna(first["analyte"]) else str(first["analyte"])
    row = curves.iloc[0].to_dict() if len(curves) else None
    same = wells["corrected"].isna() | wells["corrected"].eq(wells["signal"])
    # Most plates take no blank off, and have their results at one dilution of 1.
    shown = wells.assign(
        corrected=wells["corrected"].mask(same),
        result=wells["result"].mask(wells["result"].eq(wells["concentration"])),
    )
    return {
        "name": redact_dates(name),
        "label": ANALYTES[analyte].label if analyte in ANALYTES else redact_dates(analyte),
        "readout": readout,
        "unit": "" if first is None else unit_label(str(first["unit"])),
        "counts": result_counts(samples),
        "curve_lost": row is None and bool(_has(samples, "curve_missing").any()),
        "curve": None if row is None else curve_facts(row, standards, wells),
        "band": None if row is None else band(row, standards, confidence),
        "standards": compact(with_left_out(standards, wells), texts, ("plate", "target"), digits=6),
        "wells": compact(shown, texts, _WELL_LEFT_OUT, digits=5),
        "samples": compact(samples, texts, _SAMPLE_LEFT_OUT, digits=6),
    }


def result_counts(samples: pd.DataFrame) -> dict[str, int]:
    """Count the results of samples (not of controls) by verdict; each target of a sample is a result."""
    verdicts = samples.loc[samples["task"] == "unknown", "verdict"].value_counts()
    return {word: int(verdicts.get(word, 0)) for word in VERDICTS}


def judged_levels(standards: pd.DataFrame) -> int:
    """Count the levels of standards that are judged: all but anchors."""
    return int((~standards["anchor"].astype(bool)).sum())


def curve_facts(row: Mapping[Any, Any], standards: pd.DataFrame, wells: pd.DataFrame) -> dict[str, Any]:
    """Return what the table of curves says of one curve.

    Parameters
    ----------
    row
        Of CURVES.
    standards, wells
        Of the curve's target; the wells tell how far the instrument's own concentrations lie from ours.
    """
    shown = (
        "intercept",
        "bottom",
        "top",
        "ec50",
        "slope",
        "asymmetry",
        "r2",
        "residual_sd",
        "n_levels",
        "n_accepted",
    )
    compared = vendor_differences(wells) if row["model"] != "vendor" else np.array([])
    return {
        "model": str(row["model"]),
        "model_in_words": MODELS[row["model"]],
        "weights": weights(row["weighting"], None if pd.isna(row["power"]) else float(row["power"]))
        if row["model"] != "vendor"
        else "",
        **{name: number(row[name]) for name in (*shown, "lod", "lloq", "uloq")},
        "log_concentration": row["log_concentration"] is True,
        "limits_from": LIMITS_FROM.get(str(row["limits_from"]), "")
        if not pd.isna(row["limits_from"])
        else "",
        "n_judged": judged_levels(standards),
        "verdict": str(row["verdict"]),
        "flags": "" if pd.isna(row["flags"]) else str(row["flags"]),
        "vendor_n": len(compared),
        "vendor_median": number(np.median(compared)) if len(compared) else None,
        "vendor_most": number(compared.max()) if len(compared) else None,
    }


def with_left_out(standards: pd.DataFrame, wells: pd.DataFrame) -> pd.DataFrame:
    """Fill in what the levels that were left out of the fit come back as, from the wells of the target."""
    out = standards.copy()
    mine = wells[wells["task"].eq("standard") & wells["exclusion"].isna() & (wells["nominal"] > 0)]
    for i, row in out[out["n_used"].eq(0) & (out["nominal"] > 0)].iterrows():
        level = mine[np.isclose(mine["nominal"], row["nominal"], rtol=SAME_LEVEL, atol=0)]
        back = level["concentration"].mean(skipna=False)
        out.loc[i, ["signal_mean", "back_mean", "recovery_percent"]] = [
            level["corrected"].mean(),
            back,
            100 * back / row["nominal"],
        ]
    return out


def vendor_differences(wells: pd.DataFrame) -> np.ndarray:
    """Return how far the instrument's concentration lies from ours, % of ours, for the wells within our limits."""
    ours, theirs = (wells[c].to_numpy(float) for c in ("concentration", "vendor_concentration"))
    within = wells["range"].eq("inside").fillna(value=False).to_numpy(bool) & (ours > 0) & np.isfinite(theirs)
    within &= wells["task"].ne("standard").to_numpy(bool)
    return np.asarray(100 * np.abs(theirs[within] / ours[within] - 1))


def with_vendor(samples: pd.DataFrame, wells: pd.DataFrame) -> pd.DataFrame:
    """Add what the instrument's software computed for the wells behind each result.

    ``ours`` and ``vendor``: mean concentration of the wells of the dilution that was used, before
    the dilution; ``vendor_percent``: 100 x vendor / ours. Empty where the file has none.
    """
    out = samples.reset_index(drop=True)
    keys = ["plate", "target", "well"]
    behind = out[["plate", "target", "dilution_used"]].assign(
        well=out["wells"].str.split(", "), row=range(len(out))
    )
    kept = wells[
        wells["vendor_concentration"].notna()
        & wells["concentration"].notna()
        & wells["verdict"].ne("not_used")
    ]
    pairs = (
        behind.explode("well")
        .astype({"well": "string"})
        .merge(kept[[*keys, "dilution", "concentration", "vendor_concentration"]], on=keys)
    )
    pairs = pairs[np.isclose(pairs["dilution"].astype(float), pairs["dilution_used"].astype(float))]
    means = pairs.groupby("row")[["concentration", "vendor_concentration"]].mean().reindex(range(len(out)))
    out["ours"] = means["concentration"].to_numpy(float)
    out["vendor"] = means["vendor_concentration"].to_numpy(float)
    positive = np.where(out["ours"] > 0, out["ours"], np.nan)
    return out.assign(vendor_percent=100 * out["vendor"] / positive).set_index(samples.index)


def band(
    row: Mapping[Any, Any], standards: pd.DataFrame, confidence: float, points: int = 41
) -> Columns | None:
    """Draw a curve and the band in which one new well is expected, over the standards and a little beyond.

    Parameters
    ----------
    row
        Of CURVES.
    standards
        Of its target.
    confidence
        Level of the band, from the covariance of the curve and the variance of a well.

    Returns
    -------
    dict or None
        ``x`` (concentration), ``fit`` and, where the fit has a covariance, ``low`` and ``high``
        (signal); None without parameters or a standard above 0.
    """
    curve = curve_from_columns(row)
    levels = standards["nominal"].to_numpy(float)
    levels = levels[levels > 0]
    if curve is None or not len(levels):
        return None
    x = np.geomspace(levels.min() / BEYOND, levels.max() * BEYOND, points)
    low, high = prediction_band(curve, x, confidence=confidence)
    out: Columns = {"x": numbers(x, 5), "fit": numbers(curve.predict(x), 5)}
    return out | ({"low": numbers(low, 5), "high": numbers(high, 5)} if np.isfinite(low).all() else {})


def summary(samples: pd.DataFrame, curves: pd.DataFrame, standards: pd.DataFrame) -> list[str]:
    """Say in sentences what became of a plate: its curves, its controls, its results.

    Parameters
    ----------
    samples, curves, standards
        Tables of the plate; flags in words.
    """
    out = _said_of_curves(samples, curves, standards)
    for readout in ("titre", "index"):
        names = list(samples.loc[samples["readout"] == readout, "target"].unique())
        if names:
            out.append(f"{READOUTS[readout].capitalize()} of {listed(names)}; no curve is needed.")
    controls = samples[samples["task"].isin(["control", "positive_control", "negative_control"])]
    n = controls["sample"].nunique()
    fails = np.any([_has(controls, rule) for rule in _CONTROL_RULES], axis=0)
    if n == 0:
        out.append("The plate has no control.")
    else:
        what = "One control" if n == 1 else f"{n} controls"
        about = listed(list(controls.loc[fails, "target"].unique()))
        out.append(f"{what}; " + (f"a control of {about} fails." if fails.any() else "none breaks a rule."))
    counts, repeats = result_counts(samples), int(samples["repeat"].fillna(value=False).sum())
    total = sum(counts.values())
    if total == 0:
        return [*out, "No sample is on the plate."]
    parts = [f"{counts[v]} {v.replace('_', ' ')}" for v in VERDICTS if counts[v]]
    again = (
        "none is to be repeated"
        if repeats == 0
        else f"{repeats} {'is' if repeats == 1 else 'are'} to be repeated"
    )
    lost = samples["verdict"].isin(["rejected", "not_used"]) & samples["task"].eq("unknown")
    known = samples["subject_id"].notna() | samples["sample_id"].notna()
    elsewhere = int((lost & known & ~samples["repeat"].fillna(value=False)).sum())
    again += f", another plate answers {elsewhere}" if elsewhere else ""
    return [*out, f"{total} {'result' if total == 1 else 'results'}: {', '.join(parts)}; {again}."]


def _has(samples: pd.DataFrame, flag: str) -> np.ndarray:
    """Say which rows, whose flags are in words already, have a flag."""
    return samples["flags"].fillna("").str.contains(FLAGS[flag], regex=False).to_numpy(bool)


def _said_of_curves(samples: pd.DataFrame, curves: pd.DataFrame, standards: pd.DataFrame) -> list[str]:
    wanted = list(samples.loc[samples["readout"] == "concentration", "target"].unique())
    if not wanted:
        return []
    rows = {str(r["target"]): r for r in curves.to_dict("records")}
    without = [t for t in wanted if t not in rows]
    rejected = [t for t in wanted if t in rows and rows[t]["verdict"] == "rejected"]
    if len(wanted) == 1:
        name = wanted[0]
        if without:
            lost = _has(samples[samples["target"] == name], "curve_missing")
            return [
                f"There is no curve of {name}, and so no concentration."
                if lost.any()
                else f"The concentrations of {name} are those of the instrument's software; its standards are not in the file."
            ]
        row = rows[name]
        levels = f"{row['n_accepted']} of {judged_levels(standards)} levels of standards come back within tolerance"
        if row["model"] == "vendor":
            return [f"The concentrations of {name} are those of the instrument's software; {levels}."]
        if rejected:
            why = "" if pd.isna(row["flags"]) else f" ({row['flags']})"
            return [f"The curve of {name} is rejected{why}, and every result with it; {levels}."]
        return [f"The curve of {name} is {row['verdict']}: {levels}."]
    good = [t for t in wanted if t in rows and t not in rejected]
    out = f"{len(good)} of {len(wanted)} curves hold"
    out += f"; rejected: {listed(rejected)}" if rejected else ""
    return [f"{out}; without a curve: {listed(without)}." if without else f"{out}."]


def listed(names: Sequence[str], most: int = 6) -> str:
    """Join names as a sentence does.

    >>> listed(["IL-6", "TNF"]), listed(list("abcd"), most=2)
    ('IL-6 and TNF', 'a, b and 2 more')
    """
    shown, more = [redact_dates(str(n)) for n in names[:most]], len(names) - most
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


@dataclass(frozen=True, slots=True)
class CalibrationUse:
    """How the targets of one assay were calibrated on all its plates: what the methods say of it."""

    assay: str
    plates: int
    how: tuple[tuple[str, tuple[str, ...]], ...]
    """Way (model and weights, titre, ratio) -> names of the targets."""
    limits: tuple[str, ...]
    """Where the limits of quantification come from."""


def calibrations_used(tables: ImmunoassayTables) -> list[CalibrationUse]:
    """Say how each assay was calibrated, in the order in which the plates name them."""
    curve_of = {(str(r["plate"]), str(r["target"])): r for r in tables.curves.to_dict("records")}
    used = []
    for assay, rows in tables.samples.groupby("assay", sort=False):
        how: dict[str, list[str]] = {}
        limits: list[str] = []
        pairs = rows[["plate", "target", "readout"]].drop_duplicates()
        for plate, target, readout in pairs.itertuples(index=False, name=None):
            way = READOUTS[readout]
            row = curve_of.get((plate, target))
            if readout == "concentration" and row is not None:
                way = _way(row)
                limits += (
                    [LIMITS_FROM[str(row["limits_from"])]] if str(row["limits_from"]) in LIMITS_FROM else []
                )
            elif readout == "concentration":
                way = "no curve"
            how.setdefault(way, []).append(redact_dates(str(target)))
        used.append(
            CalibrationUse(
                assay_label(redact_dates(str(assay))),
                int(rows["plate"].nunique()),
                tuple((way, tuple(dict.fromkeys(names))) for way, names in how.items()),
                tuple(dict.fromkeys(limits)),
            )
        )
    return used


def _way(row: Mapping[Any, Any]) -> str:
    model = MODELS[row["model"]]
    if row["model"] == "vendor":
        return model
    # An estimated power differs from plate to plate.
    power = None if pd.isna(row["power"]) or row["weighting"] == "estimated_power" else float(row["power"])
    return f"{model} with {weights(row['weighting'], power)}"
