"""The wells of a plate before anything is computed: which target, which quantity, and what keeps a well out."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cartrace.pcr.acceptance import OTHER_FLAGS
from cartrace.plates.acceptance import Finding
from cartrace.plates.plate import well_list
from cartrace.plates.sample_names import fold
from cartrace.plates.targets import target_findings
from cartrace.problems import InputError, Problem

if TYPE_CHECKING:
    from cartrace.pcr.assay import Assay


def match_target(target: object, reporter: object, assay: Assay) -> str | None:
    """Return the assay's key of a target as the file writes it, or None.

    A target with a reporter takes only rows of that reporter, where the file names one;
    it also takes the rows of a file that names no target, where the reporter stands in
    its place. Two targets that could both be meant are none.
    """
    name, dye = fold(target), fold(reporter)
    loose = []
    for key, candidate in assay.targets.items():
        named = name in {fold(n) for n in candidate.names or (key,)}
        wanted = fold(candidate.reporter)
        if wanted and wanted == (dye or name) and (named or name == wanted):
            return key
        if named and not (wanted and dye):
            loose.append(key)
    return loose[0] if len(loose) == 1 else None


def match_targets(wells: pd.DataFrame, assay: Assay, *, file: str) -> tuple[pd.DataFrame, list[Finding]]:
    """Replace ``target`` by the assay's key and add ``role``; the file's own name stays where none matches.

    Parameters
    ----------
    wells
        Contract PLATE_WELLS, with positions as index.
    file
        How errors name the file.

    Raises
    ------
    InputError
        When no row of the plate is of a target of the assay: the wrong assay file.
    """
    pairs = wells[["target", "reporter"]].drop_duplicates()
    keys = {
        (fold(t), fold(r)): match_target(t, r, assay)
        for t, r in zip(pairs["target"], pairs["reporter"], strict=True)
    }
    matched = [keys[fold(t), fold(r)] for t, r in zip(wells["target"], wells["reporter"], strict=True)]
    names = {key: t.names or (key,) for key, t in assay.targets.items()}
    if len(wells) and not any(matched):
        raise InputError(
            [
                Problem(
                    file,
                    f"the targets {', '.join(sorted(set(wells['target'])))}",
                    f"at least one target of the assay file: {', '.join(chain(*names.values()))}",
                )
            ]
        )
    findings = target_findings(wells["target"], matched, names)
    key = pd.Series(matched, index=wells.index, dtype="object")
    out = wells.copy()
    out["target"] = key.where(key.notna(), wells["target"]).astype("string")
    roles = {name: target.role for name, target in assay.targets.items()}
    out["role"] = key.map(roles).astype("string")
    return out, findings


def in_copies(wells: pd.DataFrame, assay: Assay) -> pd.DataFrame:
    """Bring nominal and vendor quantities, as they were typed, to copies per reaction."""
    factor = np.ones(len(wells))
    for name, target in assay.targets.items():
        if target.curve.standard_unit == "copies/uL":
            factor[wells["target"].eq(name).to_numpy(bool)] = assay.reaction.template_ul or np.nan
    out = wells.copy()
    out["nominal"] = out["nominal"] * factor
    out["vendor_copies"] = out["vendor_quantity"] * factor
    return out


def pooled_wells(wells: pd.DataFrame) -> tuple[pd.Series[bool], list[Finding]]:
    """Say which rows are merged ones whose member wells are in the file as well.

    Such a row holds its members' partitions a second time. A row with only some of its
    members in the file is left out too, and told.
    """
    present = set(zip(wells["well"], wells["target"], strict=True))
    twice = pd.Series(data=False, index=wells.index)
    findings = []
    merged = wells[wells["pooled_wells"].fillna("") != ""]
    for i, well, target, text in zip(
        merged.index, merged["well"], merged["target"], merged["pooled_wells"], strict=True
    ):
        members = [m.strip() for m in text.split(";") if m.strip()]
        known = [m for m in members if (m, target) in present and m != well]
        twice.loc[i] = bool(known)
        if known and len(known) < len(members):
            lost = ", ".join(m for m in members if m not in known)
            findings.append(
                Finding(
                    "pooled_well_partly_known",
                    "warn",
                    f"{target}: the merged well {well} is not used, since {', '.join(known)} are in "
                    f"the file themselves; its wells {lost} are not, and are lost",
                    target=target,
                    wells=(int(i),),
                    value=text,
                )
            )
    return twice, findings


def own_faults(wells: pd.DataFrame) -> list[Finding]:
    """Find wells without a reading, wells that nobody counted, and wells that stand twice in the file.

    ``wells`` has ``exclusion``, ``role`` and ``method`` beside the columns of PLATE_WELLS;
    only wells of the assay's targets that nobody left out are looked at.
    """
    mine = wells[wells["exclusion"].isna() & wells["role"].notna()]
    mine = mine[~mine["task"].isin(["empty", "other"])]
    digital = mine["method"] == "dpcr"
    counted = mine["partitions"].gt(0).fillna(value=False) & mine["positives"].notna()
    unread = np.where(digital, ~counted, mine["cq_kind"] == "missing")
    uncalled = np.array([fold(s) == "nocall" for s in mine["vendor_status"]], dtype=bool)
    no_call = digital & uncalled & mine["threshold"].isna()
    twice = mine.duplicated(["well", "target"], keep=False)
    faults = {
        "vendor_no_call": (no_call, OTHER_FLAGS["vendor_no_call"]),
        "reading_missing": (unread & ~no_call, OTHER_FLAGS["reading_missing"]),
        "well_twice": (twice, OTHER_FLAGS["well_twice"]),
    }
    return [
        Finding(
            check,
            "fail",
            f"{target}, {well_list(group['well'])}: {text}",
            target=str(target),
            wells=tuple(int(i) for i in group.index),
            marks=("wells",),
            value=well_list(group["well"]),
        )
        for check, (mask, text) in faults.items()
        for target, group in mine[np.asarray(mask, dtype=bool)].groupby("target", sort=True)
    ]
