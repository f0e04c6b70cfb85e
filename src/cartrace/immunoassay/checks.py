"""The acceptance rules put to an immunoassay plate: its wells, its blanks and controls, its samples.

Each check takes tables and gives findings; none changes anything. Standards are judged in
:mod:`cartrace.immunoassay.curves`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.immunoassay.curves import PlateCurve, same_name, vendor_side
from cartrace.immunoassay.limits import accepted_range
from cartrace.immunoassay.vocabulary import FLAGS
from cartrace.plates.acceptance import Acceptance, Finding, number, rule_finding
from cartrace.plates.plate import well_list
from cartrace.plates.sample_names import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from cartrace.immunoassay.assay import Assay

CONTROLS = ("control", "positive_control", "negative_control")
LOWEST_CONTROL = 2.0
"""Times the blank that the control of an index reads at least. House value."""


def check_wells(wells: pd.DataFrame) -> list[Finding]:
    """Find wells without a reading.

    ``wells`` has ``usable``, ``saturated`` and ``readout`` beside the columns of PLATE_WELLS. A
    titre may be read as words, a concentration may be the instrument's own; a well in which the
    signal was too strong was read.
    """
    said = wells["vendor_status"].fillna("").ne("") & wells["readout"].eq("titre")
    computed = wells["by_vendor"] & (
        # A warning of the software (too few beads) is no reading.
        wells["vendor_concentration"].notna() | wells["vendor_status"].fillna("").map(vendor_side).ne("")
    )
    unread = wells["usable"] & wells["signal"].isna() & ~said & ~computed & ~wells["saturated"]
    # No bead, no signal, whatever is printed there.
    unread |= wells["usable"] & wells["bead_count"].eq(0).fillna(value=False) & ~wells["by_vendor"]
    unread &= ~wells["task"].isin(["empty", "other"])
    return [
        Finding(
            "reading_missing",
            "fail",
            f"{target}, {well_list(group['well'])}: {FLAGS['reading_missing']}",
            target=str(target),
            wells=tuple(int(i) for i in group.index),
            marks=("wells",),
            value=well_list(group["well"]),
        )
        for target, group in wells[unread].groupby("target", sort=True)
    ]


def check_unnamed(wells: pd.DataFrame) -> list[Finding]:
    """Tell wells that nobody names and that read like samples: a layout that lacks them loses replicates and dilutions.

    ``wells`` has ``range`` (where a signal lies on the curve) and ``reading`` (of a titre).
    """
    full = wells["range"].isin(["inside", "above_uloq"]) | wells["reading"].eq("positive").fillna(value=False)
    mine = wells[wells["task"].eq("empty") & wells["exclusion"].isna() & full]
    return [
        Finding(
            "well_unnamed",
            "warn",
            f"{target}: neither file nor layout names a sample in {well_list(group['well'])}, and the signal is that of a "
            "sample; it is not used",
            target=str(target),
            wells=tuple(int(i) for i in group.index),
            value=well_list(group["well"]),
            suggestion="name each well in the layout, replicates and dilutions too",
        )
        for target, group in mine.groupby("target", sort=True)
    ]


def check_beads(wells: pd.DataFrame, acceptance: Acceptance) -> list[Finding]:
    """Judge the beads behind each signal; one finding for the wells of one sample and target."""
    counts = wells["bead_count"].astype("float64")
    broken = wells["usable"] & acceptance.broken("bead_count", counts)
    found = []
    for (target, label), group in wells[broken].groupby(["target", "label"], sort=True):
        told = ", ".join(f"{w} {number(v)}" for w, v in zip(group["well"], counts[group.index], strict=True))
        found.append(
            rule_finding(
                acceptance,
                "bead_count",
                f"{target} of {label}: beads {told}; allowed: {acceptance.limit_text('bead_count')}",
                broken=True,
                target=str(target),
                value=told,
                marks=("wells",),
                wells=group.index,
            )
        )
    return found


def check_blanks(
    wells: pd.DataFrame, assay: Assay, curves: Mapping[str, PlateCurve], acceptance: Acceptance
) -> list[Finding]:
    """Judge the blanks of each target against the lowest accepted standard, and tell where a blank is missing.

    A falling curve has its highest signal in the blank, which then says nothing here.
    """
    found = []
    for name, target in assay.targets.items():
        mine = wells[wells["target"].eq(name) & wells["usable"]]
        blanks = mine[mine["task"] == "blank"]
        if target.calibration.subtract_blank and target.readout != "titre" and len(mine) and blanks.empty:
            ratio = target.readout == "index"
            found.append(
                Finding(
                    "blank_missing",
                    "fail" if ratio else "warn",
                    f"{name}: the assay file subtracts the blank, and the plate has none"
                    + (
                        ", so a ratio of signals means nothing" if ratio else "; signals are used as they are"
                    ),
                    target=name,
                    marks=("target",),
                    limit_source=f"assay file, targets.{name}.calibration.subtract_blank",
                )
            )
        made = curves.get(name)
        if made is None or blanks.empty or (made.curve is not None and not made.curve.rising):
            continue
        standards = mine[(mine["task"] == "standard") & (mine["nominal"] > 0)]
        # Not the LLOQ: a bad blank lifts the limit of detection above it, which then takes its place.
        known = target.limits.source == "accepted_range" and len(made.table) > 0
        level = accepted_range(made.table)[0] if known else math.nan
        levels = standards["nominal"].to_numpy(np.float64)
        if math.isnan(level) and len(levels):
            level = float(levels.min())
        lowest = standards.loc[np.isclose(levels, level, rtol=1e-5, atol=0), "signal"].mean()
        mean = blanks["signal"].mean()
        if not lowest > 0 or math.isnan(mean):
            continue
        share = 100 * mean / lowest
        broken = bool(acceptance.broken("blank_signal", share))
        found.append(
            rule_finding(
                acceptance,
                "blank_signal",
                f"{name}: the blanks {well_list(blanks['well'])} have {number(share)} % of the signal of the lowest accepted "
                f"standard ({number(level)})",
                broken=broken,
                target=name,
                value=f"{number(share)} %",
                marks=("target",),
                wells=blanks.index,
            )
        )
    return found


def check_controls(samples: pd.DataFrame, assay: Assay, acceptance: Acceptance) -> list[Finding]:
    """Judge controls by their range in the assay file and by their known concentration.

    ``samples`` has the columns of SAMPLES, and ``in_well``: the concentration without the dilution.
    A control that was not quantified misses its concentration; it misses its range where its bounds
    lie outside.
    """
    found = []
    for i, row in enumerate(samples.to_dict("records")):
        if row["task"] not in CONTROLS or row["n_used"] == 0:
            continue
        control = next((c for n, c in assay.controls.items() if same_name(n, row["sample"])), None)
        ends = control.range.get(row["target"]) if control else None
        name, marks = f"{row['target']}: the control {row['sample']}", ("sample", "target")
        about: dict[str, Any] = {
            "target": row["target"],
            "wells": row["members"],
            "sample": i,
            "marks": marks,
        }
        said = _said(row)
        if ends is not None:
            away = distance(row, ends)
            found.append(
                rule_finding(
                    acceptance,
                    "control_range",
                    f"{name} is {said}; its range is {number(ends[0])} to {number(ends[1])} {row['unit']}",
                    broken=math.isnan(away) or bool(acceptance.broken("control_range", away)),
                    value=said,
                    limit=f"{number(ends[0])} to {number(ends[1])} {row['unit']}",
                    limit_source=f"assay file, controls.{row['sample']}.range",
                    **about,
                )
            )
        elif row["nominal"] > 0 and row["readout"] == "concentration":
            recovery = row["recovery_percent"]
            lost = math.isnan(recovery)
            found.append(
                rule_finding(
                    acceptance,
                    "control_recovery",
                    f"{name} is {said}; {number(row['nominal'])} {row['unit']} are expected in the well"
                    + ("" if lost else f", which is {number(recovery)} %"),
                    broken=lost or bool(acceptance.broken("control_recovery", recovery)),
                    value=said if lost else f"{number(recovery)} %",
                    **about,
                )
            )
    return found


def check_index_control(wells: pd.DataFrame, assay: Assay) -> list[Finding]:
    """Reject indices whose control reads like a blank: what is divided by it means nothing.

    A negative control may; without a blank nobody can tell.
    """
    found = []
    for name, target in assay.targets.items():
        if not target.index_control or assay.controls[target.index_control].task == "negative_control":
            continue
        mine = wells[wells["target"].eq(name).fillna(value=False) & wells["usable"]]
        named = [same_name(target.index_control, c) for c in mine["control"].fillna("")]
        control = float(mine.loc[named, "signal"].mean())
        blank = float(mine.loc[mine["task"] == "blank", "signal"].mean())
        if not control < LOWEST_CONTROL * blank:
            continue
        found.append(
            Finding(
                "control_weak",
                "fail",
                f"{name}: the control '{target.index_control}', which signals are divided by, reads {number(control)}, and "
                f"the blanks {number(blank)}",
                target=name,
                marks=("target",),
                value=number(control / blank),
                limit=f"at least {LOWEST_CONTROL:g} times the blank",
                limit_source="house value",
            )
        )
    return found


def check_uncontrolled(wells: pd.DataFrame, assay: Assay) -> list[Finding]:
    """Tell targets that have controls in the assay file, of which the plate has no usable well.

    One of them is enough: an assay file may list those of several lots.
    """
    found = []
    for name, target in assay.targets.items():
        listed = [
            control
            for control, what in assay.controls.items()
            if what.task in CONTROLS
            and (name in what.range or (name in what.concentration and target.readout == "concentration"))
        ]
        mine = wells[wells["target"].eq(name).fillna(value=False) & wells["usable"]]
        read = {fold(c) for c in mine.loc[mine["task"].isin(CONTROLS), "control"].dropna()}
        if not listed or mine.empty or read & {fold(c) for c in listed}:
            continue
        found.append(
            Finding(
                "uncontrolled",
                "warn",
                f"{name}: the plate has no usable well of any control of the assay file ({', '.join(listed)}), so nothing "
                "shows that its results are right",
                target=name,
                marks=("target",),
                limit=", ".join(listed),
                limit_source="assay file, controls",
                suggestion="name the wells of the controls, or repeat the plate with them",
            )
        )
    return found


def distance(row: Mapping[Any, Any], ends: tuple[float, float]) -> float:
    """Return how far a result lies from a range: negative below, positive above, 0 inside.

    A result known only as a bound is inside where the range reaches beyond the bound; nan without a
    result.
    """
    low, high = ends
    if row["detection"] == "quantified":
        bottom = top = row["result"]
    elif row["detection"] == "above_uloq":
        bottom, top = row["lower"], math.inf
    elif row["detection"] in {"BLQ", "BLD"}:
        bottom, top = 0.0, math.inf if math.isnan(row["upper"]) else row["upper"]
    else:
        return math.nan
    return float(min(top - low, 0.0) + max(bottom - high, 0.0))


def _said(row: Mapping[Any, Any]) -> str:
    unit = "" if row["unit"] == "titre" else f" {row['unit']}"
    words = {
        "quantified": number(row["result"]),
        "BLQ": f"below {number(row['upper'])}",
        "BLD": f"below {number(row['upper'])}",
        "above_uloq": f"at least {number(row['lower'])}",
    }
    bound = {"BLQ": "upper", "BLD": "upper", "above_uloq": "lower"}.get(row["detection"], "")
    if bound and math.isnan(row[bound]):
        # A curve without an accepted standard has no limits.
        return f"{'above' if bound == 'lower' else 'below'} the curve"
    return words[row["detection"]] + unit if row["detection"] in words else "without a result"


def check_samples(samples: pd.DataFrame, acceptance: Acceptance) -> list[Finding]:
    """Judge replicates, linearity and parallelism, and turn what the computation found into findings.

    ``samples`` has the columns of SAMPLES, and ``own_flags`` and ``faults``: names of FLAGS, the
    latter rejecting.
    """
    found = []
    values = {
        "replicate_cv": ("cv_percent", "the wells differ by a CV of", " %"),
        "linearity": ("linearity_percent", "a dilution is away from the median of the dilutions by", " %"),
        "parallelism_p": ("parallelism_p", "the dilutions do not follow the standards' curve, p", ""),
    }
    for i, row in enumerate(samples.to_dict("records")):
        about: dict[str, Any] = {"target": row["target"], "sample": i, "marks": ("sample",)}
        name = f"{row['target']} of {row['sample']}"
        for rule, (column, words, unit) in values.items():
            value = row[column]
            if not acceptance.broken(rule, value):
                continue
            # Beyond the curve a CV of concentrations says nothing.
            if rule == "replicate_cv" and row["detection"] != "quantified":
                continue
            found.append(
                rule_finding(
                    acceptance,
                    rule,
                    f"{name}: {words} {number(value)}{unit} ({row['wells']})",
                    broken=True,
                    value=f"{number(value)}{unit}",
                    wells=row["members"],
                    **about,
                )
            )
        for flags, verdict in ((row["faults"], "fail"), (row["own_flags"], "warn")):
            found += [
                Finding(
                    flag,
                    verdict,  # type: ignore[arg-type]
                    f"{name}: {FLAGS[flag]} ({row['wells']})",
                    wells=row["members"] or row["all_wells"],
                    value=_said(row),
                    **about,
                )
                for flag in flags
            ]
    return found


def check_hooks(
    hooks: Iterable[tuple[str, str, str, tuple[int, ...]]], samples: pd.DataFrame
) -> list[Finding]:
    """Tell of samples near the top of the curve at their highest dilution: a hook can't be excluded.

    Parameters
    ----------
    hooks
        Target, sample, reason and wells of each.
    samples
        Only quantified results are told; one above the curve is censored, which holds past a hook too.
    """
    quantified = set(
        samples.loc[
            samples["detection"].eq("quantified").fillna(value=False), ["target", "sample"]
        ].itertuples(index=False, name=None)
    )
    return [
        Finding(
            "hook_not_excluded",
            "note",
            f"{target} of {sample}: {reason}",
            target=target,
            wells=wells,
        )
        for target, sample, reason, wells in hooks
        if (target, sample) in quantified
    ]
