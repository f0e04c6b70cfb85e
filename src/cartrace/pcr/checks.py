"""The acceptance rules put to a plate: its wells, its blanks and controls, its samples.

Each check takes tables and gives findings; none changes anything. Standard curves are
judged in :mod:`cartrace.pcr.curves`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from cartrace.pcr.digital import beyond_counting
from cartrace.plates.acceptance import (
    ROUNDING,
    Acceptance,
    Finding,
    FindingVerdict,
    number,
    rule_finding,
)
from cartrace.plates.plate import well_list

if TYPE_CHECKING:
    from cartrace.pcr.assay import Assay, Target
    from cartrace.pcr.standard_curve import Curve

FULL_PARTITIONS = 20_000
"""Partitions of the plate that the rule ``partitions`` is written for."""
BLANKS = ("ntc", "negative_control")


def _by_sample(
    acceptance: Acceptance,
    name: str,
    wells: pd.DataFrame,
    values: pd.Series[float],
    what: str,
    *,
    scale: float = 1.0,
) -> list[Finding]:
    """Give one finding for the wells of each sample and target that break a rule."""
    broken = pd.Series(acceptance.broken(name, values, scale=scale), index=wells.index)
    found = []
    for (target, label), group in wells[broken].groupby(["target", "label"], sort=True):
        told = ", ".join(f"{w} {number(v)}" for w, v in zip(group["well"], values[group.index], strict=True))
        found.append(
            rule_finding(
                acceptance,
                name,
                f"{target} of {label}: {what} {told}; allowed: {acceptance.limit_text(name, scale=scale)}",
                broken=True,
                target=str(target),
                value=told,
                marks=("wells",),
                wells=group.index,
                scale=scale,
            )
        )
    return found


def check_partitions(
    wells: pd.DataFrame, acceptance: Acceptance, nominal_partitions: float | None
) -> list[Finding]:
    """Judge the number of partitions and the filling of each digital well.

    A platform with fewer than 20,000 partitions needs the same share of them. Where all
    partitions are positive, lambda is infinite, and above any limit.
    """
    mine = wells[wells["usable"] & (wells["method"] == "dpcr")]
    scale = min(1.0, nominal_partitions / FULL_PARTITIONS) if nominal_partitions else 1.0
    return [
        *_by_sample(
            acceptance,
            "partitions",
            mine,
            mine["partitions"].astype("float64"),
            "accepted partitions",
            scale=scale,
        ),
        *_by_sample(
            acceptance,
            "copies_per_partition",
            mine,
            mine["copies_per_partition"],
            "copies per partition",
        ),
    ]


def check_inhibition(wells: pd.DataFrame, assay: Assay, acceptance: Acceptance) -> list[Finding]:
    """Judge the spike (inhibition control) of each sample beside that of the blanks.

    qPCR: its Cq minus its mean Cq in no-template controls and standards; no amplification
    at all is an infinite shift. Digital PCR: its copies in percent of their mean in the
    no-template controls. The spike stands in the wells of the sample, or in other wells of
    the same sample: then the worst of them counts for all. Every target in the well is marked.
    """
    found: list[Finding] = []
    for name, target in assay.targets.items():
        if target.role == "inhibition_control":
            found += _check_spike(wells, name, acceptance)
    return found


def _check_spike(wells: pd.DataFrame, name: str, acceptance: Acceptance) -> list[Finding]:
    alive = wells[wells["usable"]]
    spike = alive[(alive["target"] == name) & (alive["task"] != "blocked_inhibition_control")]
    samples = alive[alive["task"] == "unknown"]
    if spike.empty or samples.empty:
        return []
    digital = bool((spike["method"] == "dpcr").all())
    clean = {"ntc"} if digital else {"ntc", "standard"}
    clean_wells = set(alive.loc[alive["task"].isin(clean), "well"])
    level = spike["copies"] if digital else spike["cq"]
    baseline = level[spike["well"].isin(clean_wells) & level.notna()]
    what = "no-template controls" if digital else "no-template controls and standards"
    if baseline.empty or (digital and baseline.mean() == 0):
        return [
            Finding(
                "inhibition_unchecked",
                "warn",
                f"{name}: without a reading of it in {what} nobody knows whether a sample is inhibited",
                target=name,
                wells=tuple(int(i) for i in samples.index),
                marks=("wells",),
            )
        ]
    rule = "inhibition_recovery" if digital else "inhibition_shift"
    if digital:
        change, worst, unit = 100 * level / baseline.mean(), "min", "%"
    else:
        # No amplification of the spike at all is the strongest inhibition there is.
        change, worst, unit = level.fillna(math.inf) - baseline.mean(), "max", "cycles"
    in_well = change.groupby(spike["well"]).agg(worst)
    of_sample = change.groupby(spike["label"]).agg(worst)
    seen = samples["well"].map(in_well).fillna(samples["label"].map(of_sample)).astype("float64")

    found = []
    broken = pd.Series(acceptance.broken(rule, seen), index=samples.index)
    for label, group in samples[broken].groupby("label", sort=True):
        values = seen[group.index].groupby(group["well"]).first()
        told = ", ".join(f"{w} {number(v)}" for w, v in values.items())
        verb = "recovered" if digital else "late by"
        found.append(
            rule_finding(
                acceptance,
                rule,
                f"{label}: the inhibition control {name} is {verb} ({unit}) {told}, beside its mean of "
                f"{number(baseline.mean())} in {len(baseline)} {what}; allowed: {acceptance.limit_text(rule)}",
                broken=True,
                target=name,
                value=told,
                marks=("wells",),
                wells=group.index,
            )
        )
    blind = samples[seen.isna()]
    if len(blind):
        found.append(
            Finding(
                "inhibition_unchecked",
                "warn",
                f"{name}: no reading of it for {', '.join(sorted(set(blind['label'])))}",
                target=name,
                wells=tuple(int(i) for i in blind.index),
                marks=("wells",),
            )
        )
    return found


def quantifiable_from(target: Target, curve: Curve | None, dna_ng: float | None) -> tuple[float, str]:
    """Return the lowest quantifiable copies per reaction that the plate knows of, and what they are.

    The assay file's LLOQ; where it is in copies/ug, for the nominal mass of DNA; else the
    lowest standard.
    """
    lloq = target.limits.lloq
    if lloq is not None and target.limits.unit == "copies/reaction":
        return lloq, "LLOQ"
    if lloq is not None and dna_ng is not None:
        return lloq * dna_ng / 1000, "LLOQ"
    if curve is not None:
        return curve.lowest, "lowest standard"
    return math.nan, ""


def check_blanks(
    wells: pd.DataFrame, assay: Assay, curves: Mapping[str, Curve], acceptance: Acceptance
) -> list[Finding]:
    """Judge no-template controls, and for transgenes also DNA without the transgene.

    A blank that another rule rejects still tells of a contamination, but it can't clear the
    plate: a target without any accepted no-template control is told.
    """
    found: list[Finding] = []
    for name, target in assay.targets.items():
        if target.role == "inhibition_control":
            continue
        mine = wells[(wells["target"] == name) & wells["exclusion"].isna()]
        if mine.empty:
            continue
        if not (mine["usable"] & (mine["task"] == "ntc")).any():
            found.append(
                Finding(
                    "ntc_missing",
                    "warn",
                    f"{name}: no usable no-template control on the plate, so a contamination can't be seen",
                    target=name,
                    wells=tuple(int(i) for i in mine.index[:1]),
                    marks=("target",),
                )
            )
        # Genomic DNA without the transgene holds the reference gene.
        blank = mine[mine["task"].isin(BLANKS if target.role == "transgene" else BLANKS[:1])]
        if (mine["method"] == "dpcr").all():
            found += _digital_blanks(blank, name, target, acceptance)
        else:
            found += _qpcr_blanks(
                blank,
                name,
                target=target,
                curve=curves.get(name),
                dna_ng=assay.reaction.dna_ng,
                acceptance=acceptance,
            )
    return found


def _qpcr_blanks(
    blank: pd.DataFrame,
    name: str,
    *,
    target: Target,
    curve: Curve | None,
    dna_ng: float | None,
    acceptance: Acceptance,
) -> list[Finding]:
    blank = blank[blank["cq_kind"] != "missing"]
    if blank.empty or curve is None:
        return []
    level, what = quantifiable_from(target, curve, dna_ng)
    border = float(curve.cq(math.log10(level)))
    margin = (blank["cq"] - border).fillna(math.inf)
    return _blank_finding(
        acceptance,
        "ntc_cq_margin",
        blank,
        name,
        broken=pd.Series(acceptance.broken("ntc_cq_margin", margin), index=blank.index),
        told=[
            f"{w} undetermined" if math.isinf(m) else f"{w} Cq {number(c)}"
            for w, c, m in zip(blank["well"], blank["cq"], margin, strict=True)
        ],
        against=f"Cq {number(border)} of the {what} ({number(level)} copies)",
    )


def _digital_blanks(blank: pd.DataFrame, name: str, target: Target, acceptance: Acceptance) -> list[Finding]:
    blank = blank[blank["positives"].notna()]
    if blank.empty:
        return []
    positives = blank["positives"].astype("float64")
    told = [f"{w} {number(p)} positive partitions" for w, p in zip(blank["well"], positives, strict=True)]
    lob = target.limits.lob
    if lob is None:
        return _blank_finding(
            acceptance,
            "ntc_copies",
            blank,
            name,
            broken=pd.Series(acceptance.broken("ntc_copies", positives), index=blank.index),
            told=told,
            against=f"{acceptance.limit_text('ntc_copies')} positive partitions",
        )
    return _blank_finding(
        acceptance,
        "ntc_copies",
        blank,
        name,
        broken=blank["copies"] > lob,
        told=told,
        against=f"the limit of blank of {number(lob)} copies per reaction",
        limit=f"at most {number(lob)} copies per reaction",
        limit_source="assay file, limits.lob",
    )


def _blank_finding(
    acceptance: Acceptance,
    rule: str,
    blank: pd.DataFrame,
    name: str,
    *,
    broken: pd.Series[bool],
    told: list[str],
    against: str,
    limit: str = "",
    limit_source: str = "",
) -> list[Finding]:
    bad = blank[broken]
    listed = [t for t, b in zip(told, broken, strict=True) if b] if len(bad) else told
    state = "a signal in blanks" if len(bad) else "the blanks are clean"
    return [
        rule_finding(
            acceptance,
            rule,
            f"{name}: {state}: {well_list(listed)}; against {against}",
            broken=bool(len(bad)),
            target=name,
            value=well_list(listed),
            marks=("wells", "target"),
            wells=bad.index if len(bad) else blank.index,
            limit=limit,
            limit_source=limit_source,
        )
    ]


def check_controls(samples: pd.DataFrame, assay: Assay, acceptance: Acceptance) -> list[Finding]:
    """Judge the controls with known copies, and positive controls in which nothing was found.

    Parameters
    ----------
    samples
        One row for each sample or control and target, with ``members`` (positions of its wells).
    """
    judged = samples["task"].isin(["accuracy_control", "positive_control"])
    judged &= samples["role"] != "inhibition_control"
    known = judged & samples["nominal"].gt(0)
    # Where no copies are given, nothing found is 0 % of whatever the control holds.
    told = samples["nominal"].notna().groupby(samples["sample"]).transform("any")
    silent = (
        judged
        & (samples["task"] == "positive_control")
        & (samples["role"] == "transgene")
        & (samples["copies"] == 0)
        & ~told
    )
    found = []
    for i, row in samples[known | silent].iterrows():
        recovery = 0.0 if row["copies"] == 0 else row["recovery_percent"]
        what = f"{row['target']} of {row['sample']} ({row['wells']})"
        if pd.isna(recovery):
            found.append(
                Finding(
                    "control_unchecked",
                    "warn",
                    f"{what}: the control has no usable result, so it says nothing of the plate",
                    target=str(row["target"]),
                    wells=tuple(row["all_wells"]),
                )
            )
            continue
        expected = f" of {number(row['nominal'])}" if row["nominal"] > 0 else ""
        broken = bool(acceptance.broken("control_recovery", recovery))
        found.append(
            rule_finding(
                acceptance,
                "control_recovery",
                f"{what}: {number(row['copies'])}{expected} copies per reaction found, {number(recovery)} %",
                broken=broken,
                target=str(row["target"]),
                value=f"{number(recovery)} %",
                marks=("sample", "target"),
                wells=row["members"],
                sample=int(str(i)),
            )
        )
    return found


def check_samples(
    samples: pd.DataFrame, assay: Assay, curves: Mapping[str, Curve], acceptance: Acceptance
) -> list[Finding]:
    """Judge the replicates of each unknown, and where its copies lie beside the standards.

    ``replicate_cq_sd`` and ``replicate_cv`` look at what is left of the spread when what
    counting explains is taken off (``counting_cv_percent``, a 99 % bound): three wells of 25
    copies differ by more than 0.5 cycles in one sample of ten though nothing went wrong.
    ``replicate_cq_sd`` looks at samples at or above the lowest standard only; there, a well
    without amplification beside others with it has no Cq, and breaks the rule.
    """
    found: list[Finding] = []
    for key, row in samples[samples["task"] == "unknown"].iterrows():
        target = assay.targets[str(row["target"])]
        if target.role == "inhibition_control":
            continue
        found += _check_sample(
            int(str(key)),
            row,
            target=target,
            curve=curves.get(str(row["target"])),
            dna_ng=assay.reaction.dna_ng,
            acceptance=acceptance,
        )
    return found


def _check_sample(
    position: int,
    row: pd.Series[Any],
    *,
    target: Target,
    curve: Curve | None,
    dna_ng: float | None,
    acceptance: Acceptance,
) -> list[Finding]:
    what = f"{row['target']} of {row['sample']} ({row['wells']})"

    def judged(name: str, message: str, value: str, *, broken: bool) -> list[Finding]:
        if not broken:
            return []
        return [
            rule_finding(
                acceptance,
                name,
                f"{what}: {message}; allowed: {acceptance.limit_text(name)}",
                broken=True,
                target=str(row["target"]),
                value=value,
                marks=("sample",),
                wells=row["members"],
                sample=position,
            )
        ]

    def marked(
        check: str, verdict: FindingVerdict, message: str, value: str, limit: str = ""
    ) -> list[Finding]:
        return [
            Finding(
                check,
                verdict,
                f"{what}: {message}",
                target=str(row["target"]),
                wells=tuple(row["members"]),
                sample=position,
                marks=("sample",),
                value=value,
                limit=limit,
            )
        ]

    n, copies = int(row["n_used"]), float(row["copies"])
    if n == 0:
        return marked(
            "no_well_left", "fail", f"none of its {row['n_wells']} wells can be used", "0 wells", "1 well"
        )
    found = judged(
        "replicates",
        f"{n} of {row['n_wells']} wells used",
        str(n),
        broken=bool(acceptance.broken("replicates", n)),
    )
    if math.isnan(copies):
        return found
    cv, counting = float(row["cv_percent"]), float(row["counting_cv_percent"])
    excess = beyond_counting(cv, counting)
    found += judged(
        "replicate_cv",
        f"CV of copies {number(cv)} %; counting explains up to {number(counting)} %, which leaves {number(excess)} %",
        f"{number(excess)} %",
        broken=bool(acceptance.broken("replicate_cv", excess)),
    )
    if curve is None:
        return found
    silent = int(row["n_undetermined"])
    mixed = 0 < silent < n
    if copies >= curve.lowest:
        sd = float(row["cq_sd"])
        cycles = -curve.slope * counting / 100 / math.log(10)
        left = math.inf if mixed else beyond_counting(sd, cycles)
        found += judged(
            "replicate_cq_sd",
            f"{silent} of {n} wells without amplification, though the mean lies above the lowest standard"
            if mixed
            else f"SD of Cq {number(sd)}; counting explains up to {number(cycles)}, which leaves {number(left)}",
            f"{silent} of {n} wells undetermined" if mixed else number(left),
            broken=bool(acceptance.broken("replicate_cq_sd", left)),
        )
    elif mixed:
        found.append(
            Finding(
                "replicates_disagree",
                "note",
                f"{what}: {silent} of {n} wells without amplification; they count as 0 copies in the mean of "
                f"{number(copies)}",
                target=str(row["target"]),
                wells=tuple(row["members"]),
                value=f"{silent} of {n} wells undetermined",
            )
        )
    level, known = quantifiable_from(target, curve, dna_ng)
    below_lloq = known == "LLOQ" and copies < level
    if 0 < copies < curve.lowest * (1 - ROUNDING) and not below_lloq:
        found += marked(
            "below_standards",
            "warn",
            f"{number(copies)} copies, below the lowest standard",
            number(copies),
            f"at least {number(curve.lowest)} copies",
        )
    if copies > curve.highest * (1 + ROUNDING):
        found += marked(
            "above_standards",
            "warn",
            f"{number(copies)} copies, above the highest standard",
            number(copies),
            f"at most {number(curve.highest)} copies",
        )
    return found
