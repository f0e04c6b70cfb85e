"""The replicates of a sample together: one row for each sample (or control) and target of a plate.

qPCR: the mean of the wells' copies, as the instruments' "Quantity Mean"; a well without
amplification counts as 0 copies. Its limits carry two uncertainties (counted_limits): that
of the curve, read backwards at the mean Cq, and that of counting the molecules that went
into the wells, which a calibration interval does not know of: 2 copies a well in 3 wells
are 6 molecules, and known no better than to a factor of two.

Digital PCR: the partitions of all wells as one (digital.pool).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2, gamma

from cartrace.pcr import digital
from cartrace.pcr.digital import Estimate
from cartrace.pcr.standard_curve import Curve, inverse_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from cartrace.config import Pcr
    from cartrace.pcr.assay import Assay

Array = NDArray[np.float64]
NO_SAMPLE = ("standard", "empty", "other")
"""Tasks whose wells are no sample and no control."""


def undetermined_upper(curve: Curve, n_wells: int, confidence: float) -> float:
    """Return the upper limit of copies per reaction where no well amplified.

    If single copies always amplified it would be -ln(1 - confidence) / wells, 3 copies for
    one well (Poisson). The curve has shown amplification from its lowest standard on, so
    the limit is never below that.
    """
    return max(curve.lowest, -math.log1p(-confidence) / n_wells)


def counted_limits(
    copies: ArrayLike, cq_mean: ArrayLike, curve: Curve, *, n_found: int, n_wells: int, confidence: float
) -> Estimate:
    """Return copies per reaction above 0 with limits.

    The distances to the limits of the curve (standard_curve.inverse_interval at the mean Cq)
    and of a Poisson count (Garwood's exact limits of copies x wells molecules; Biometrika
    1936;28:437) are added in quadrature on the log scale (MOVER: Zou and Donner 2008, Stat
    Med 27:1693). Standards of few copies scatter by counting as well, so that the limits are
    rather wide than narrow.

    Parameters
    ----------
    copies
        Mean of the wells, those without amplification included.
    cq_mean
        Mean Cq of the wells that amplified.
    n_found, n_wells
        Wells that amplified, and all.

    Returns
    -------
    Estimate
        Limits of nan where the curve gives none.
    """
    value, cq = np.asarray(copies, dtype=float), np.asarray(cq_mean, dtype=float)
    lower, upper = inverse_interval(curve, cq, n_found, confidence)
    centre, molecules = curve.predict(cq), value * n_wells
    tail = (1 - confidence) / 2
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        fewest = gamma.ppf(tail, molecules) / molecules
        most = gamma.isf(tail, molecules + 1) / molecules
        down = np.hypot(np.log(lower / centre), np.log(fewest))
        up = np.hypot(np.log(upper / centre), np.log(most))
        return Estimate(value, value * np.exp(-down), value * np.exp(up))


def qpcr_estimate(cq: Array, curve: Curve, confidence: float) -> Estimate:
    """Return mean copies per reaction of replicate wells with limits; nan in ``cq`` is a well without amplification."""
    found = np.isfinite(cq)
    if not found.any():
        return Estimate(
            np.array(0.0), np.array(0.0), np.array(undetermined_upper(curve, len(cq), confidence))
        )
    return counted_limits(
        np.where(found, curve.predict(cq), 0.0).mean(),
        cq[found].mean(),
        curve,
        n_found=int(found.sum()),
        n_wells=len(cq),
        confidence=confidence,
    )


def counting_bound(counting_cv_percent: float, n_wells: int) -> float:
    """Return the CV that counting alone stays below with a chance of 99 %: CV sqrt(chi2(0.99; n - 1) / (n - 1)).

    With 95 % up to 4 in 100 faultless samples of a few copies were told to disagree; so it is under 1.
    """
    if n_wells < 2:
        return math.nan
    return counting_cv_percent * math.sqrt(float(chi2.ppf(0.99, n_wells - 1)) / (n_wells - 1))


def _qpcr(mine: pd.DataFrame, curve: Curve | None, confidence: float) -> dict[str, object]:
    cq = mine["cq"].to_numpy(np.float64)
    found = cq[np.isfinite(cq)]
    row: dict[str, object] = {
        "cq_mean": found.mean() if len(found) else math.nan,
        "cq_sd": found.std(ddof=1) if len(found) > 1 else math.nan,
        "n_undetermined": len(cq) - len(found),
    }
    if curve is None or not len(cq):
        return row
    copies = np.where(np.isfinite(cq), curve.predict(cq), 0.0)
    estimate = qpcr_estimate(cq, curve, confidence)
    mean = float(estimate.value)
    counting = 100 / math.sqrt(mean) if mean > 0 else math.nan
    return (
        row | _limits(estimate) | _spread(copies) | {"counting_cv_percent": counting_bound(counting, len(cq))}
    )


def _digital(
    mine: pd.DataFrame, reaction_ul: float | None, settings: Pcr, blank: Estimate | None
) -> dict[str, object]:
    k, n, v = (mine[c].to_numpy(np.float64) for c in ("positives", "partitions", "partition_volume_nl"))
    row: dict[str, object] = {"partitions": int(n.sum()), "positives": int(k.sum()), "n_undetermined": 0}
    if not len(k) or reaction_ul is None or np.isnan(v).any():
        return row
    pooled = digital.pool(k, n, v, method=settings.digital_interval, confidence=settings.confidence)
    spread = digital.between_wells(k, n, v)
    estimate = pooled.copies_per_ul
    if blank is not None:
        estimate = digital.subtract_blank(estimate, blank)
        row["blank_copies"] = float(blank.value) * reaction_ul
    return (
        row
        | _limits(estimate.times(reaction_ul))
        | {
            "sd": spread.sd * reaction_ul,
            "cv_percent": spread.cv_percent,
            "counting_cv_percent": counting_bound(spread.counting_cv_percent, spread.n_wells),
        }
    )


def _limits(estimate: Estimate) -> dict[str, object]:
    return {
        "copies": float(estimate.value),
        "lower": float(estimate.lower),
        "upper": float(estimate.upper),
    }


def _spread(copies: Array) -> dict[str, object]:
    sd = float(copies.std(ddof=1)) if len(copies) > 1 else math.nan
    mean = float(copies.mean())
    return {"sd": sd, "cv_percent": 100 * sd / mean if mean > 0 else math.nan}


def blanks(wells: pd.DataFrame, settings: Pcr) -> dict[str, Estimate]:
    """Return copies/uL of the no-template controls of each target, pooled; digital PCR only."""
    mine = wells[wells["usable"] & (wells["task"] == "ntc") & wells["partition_volume_nl"].notna()]
    return {
        str(target): digital.pool(
            *(group[c].to_numpy(np.float64) for c in ("positives", "partitions", "partition_volume_nl")),
            method=settings.digital_interval,
            confidence=settings.confidence,
        ).copies_per_ul
        for target, group in mine.groupby("target", sort=True)
    }


_SAME = [
    "subject_id",
    "sample_id",
    "matrix",
    "infusion",
    "day",
    "visit",
    "dna_ng",
    "template_ul",
    "dilution",
    "source_row",
]


def join_replicates(
    wells: pd.DataFrame,
    assay: Assay,
    curves: Mapping[str, Curve],
    settings: Pcr,
    *,
    method: str,
    reaction_ul: float | None,
) -> pd.DataFrame:
    """Join the wells of each sample or control and target.

    Wells of one sample with another dilution, volume of template or mass of DNA are other
    reactions, and become a row of their own.

    Parameters
    ----------
    wells
        All wells of the plate, sorted, with positions as index. Merged rows whose
        members are in the file are no wells; wells that are not ``usable`` count in
        ``n_wells`` only.
    curves
        Curve of each target, qPCR.
    reaction_ul
        Volume of the reaction, digital PCR.

    Returns
    -------
    DataFrame
        Columns of SAMPLES; ``members`` and ``all_wells`` (positions of the wells used,
        and of all), ``n_undetermined``, and ``counting_cv_percent``: the CV that counting
        explains with a chance of 99 %, so that few copies do not look like bad pipetting.
    """
    mine = wells[
        wells["role"].notna()
        & ~wells["task"].isin(NO_SAMPLE)
        & (wells["label"] != "")
        & ~wells["exclusion"].fillna("").isin(["pooled", "ignored"])
    ]
    control = mine["task"] != "unknown"
    keys = [mine[c] for c in ("label", "target", "task", "dilution", "template_ul", "dna_ng")]
    # Two controls of one name and other known copies are two controls.
    keys.append(mine["nominal"].where(control).rename("nominal_of_control"))
    blank = blanks(wells, settings) if method == "dpcr" and settings.subtract_blank else {}
    rows: list[dict[str, object]] = []
    for _, group in mine.groupby(keys, sort=False, dropna=False):
        first = group.iloc[0]
        used = group[group["usable"]]
        target = assay.targets[str(first["target"])]
        row: dict[str, object] = {
            **{c: first[c] for c in _SAME},
            "sample": first["label"],
            "target": first["target"],
            "role": first["role"],
            "analyte": target.analyte if target.role == "transgene" else None,
            "assay": assay.assay,
            "method": method,
            "task": first["task"],
            "wells": ", ".join(dict.fromkeys(group["well"])),
            "n_wells": len(group),
            "n_used": len(used),
            "reaction_ul": reaction_ul,
            "dna_source": None if pd.isna(first["dna_ng"]) else "measured",
            "nominal": first["nominal"] if first["task"] != "unknown" else math.nan,
            "members": tuple(int(i) for i in used.index),
            "all_wells": tuple(int(i) for i in group.index),
        }
        if method == "qpcr":
            row |= _qpcr(used, curves.get(str(first["target"])), settings.confidence)
        else:
            of_blank = blank.get(str(first["target"])) if first["task"] != "ntc" else None
            row |= _digital(used, reaction_ul, settings, of_blank)
        rows.append(row)
    columns = [
        *(c for r in rows for c in r),
        *("cq_mean", "cq_sd", "copies", "lower", "upper", "sd", "cv_percent", "counting_cv_percent"),
        *("nominal", "members", "all_wells", "n_undetermined", "n_used", "task", "role", "target", "sample"),
    ]
    out = pd.DataFrame(rows, columns=list(dict.fromkeys(columns)))
    numbers = ["copies", "lower", "upper", "sd", "cv_percent", "counting_cv_percent", "cq_sd", "nominal"]
    out[numbers] = out[numbers].astype("float64")
    out["recovery_percent"] = 100 * out["copies"] / out["nominal"].where(out["nominal"] > 0)
    return out


def add_reference(samples: pd.DataFrame, wells: pd.DataFrame, assay: Assay, settings: Pcr) -> pd.DataFrame:
    """Fill copies per cell of digital samples from the reference gene in the same wells.

    copies/cell = copies_per_genome x target / reference; target and reference share the
    partitions, so the partition volume cancels. A rejected reference gives none.

    Parameters
    ----------
    samples
        Of :func:`join_replicates`, with ``verdict``.
    """
    out = samples.copy()
    names = [
        "reference_copies",
        "copies_per_cell",
        "copies_per_cell_lower",
        "copies_per_cell_upper",
    ]
    for name in names:
        out[name] = np.full(len(out), np.nan)
    out["cell_source"] = pd.array([pd.NA] * len(out), dtype="string")
    if assay.reference is None:
        return out
    genome = assay.targets[assay.reference].copies_per_genome
    blank = blanks(wells, settings) if settings.subtract_blank else {}
    references = {
        row["sample"]: wells.loc[list(row["members"])]
        for _, row in out[out["role"] == "reference"].iterrows()
        if row["verdict"] != "rejected"
    }
    for i, row in out[(out["role"] == "transgene") & out["copies"].notna()].iterrows():
        mine = set(wells.loc[list(row["members"]), "well"])
        shared = references.get(row["sample"], wells.iloc[:0])
        shared = shared[shared["well"].isin(mine)]
        if shared.empty:
            continue
        reference = digital.pool(
            *(shared[c].to_numpy(np.float64) for c in ("positives", "partitions", "partition_volume_nl")),
            method=settings.digital_interval,
            confidence=settings.confidence,
        ).copies_per_ul
        if assay.reference in blank:
            reference = digital.subtract_blank(reference, blank[assay.reference])
        reference = reference.times(row["reaction_ul"])
        target = Estimate(*(np.asarray(row[c]) for c in ("copies", "lower", "upper")))
        ratio = digital.ratio_interval(target, reference).times(genome)
        if np.isfinite(ratio.value):
            out.loc[i, names] = [float(x) for x in (reference.value, *ratio)]
            out.loc[i, "cell_source"] = "reference"
    return out
