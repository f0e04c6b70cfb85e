"""What stands in each well of a plate: a standard, a blank, a control, or which sample; and of which analyte.

The layout goes before the file's own names. A well that the two name differently is
rejected: that is what swapped wells look like.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import pandas as pd

from cartrace.intake.sheets import quote
from cartrace.plates.acceptance import Finding
from cartrace.plates.choices import Choice, Said, sample_names, teller
from cartrace.plates.plate import well_list
from cartrace.plates.sample_names import NOBODY, Identity, Meaning, fold, meaning_of
from cartrace.plates.targets import target_findings
from cartrace.problems import InputError, Problem, did_you_mean, plain, redact_dates
from cartrace.units import canonical, factor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cartrace.immunoassay.assay import Assay

ADDED: dict[str, Any] = {
    "sample": "string",
    "subject_id": "string",
    "sample_id": "string",
    "matrix": "string",
    "visit": "string",
    "day": "float64",
    "infusion": "Int64",
    "control": "string",
    "label": "string",
    "exclusion": "string",
    "mapping_flag": "string",
}
"""Columns that :func:`map_wells` adds, with their types. ``label``: the sample, or the name of a control."""
CHANGED: dict[str, Any] = {"task": "string", "nominal": "float64", "dilution": "float64"}
PLAIN = ("unknown", "empty", None)
"""Tasks of a file that leave it open what is in the well."""


def match_targets(
    wells: pd.DataFrame, assay: Assay, layout: pd.DataFrame | None, *, file: str
) -> tuple[pd.DataFrame, list[Finding]]:
    """Replace ``target`` by the assay's key; NA where the assay file lists no such target.

    Parameters
    ----------
    wells
        Contract PLATE_WELLS, with positions as index.
    assay
        Its targets and their names.
    layout
        Its column ``target`` says what was measured in a well of which the file says nothing.
    file
        How errors name the plate's file.

    Returns
    -------
    wells : DataFrame
        With ``target_in_file``, what the file says.
    findings
        Targets that the assay file does not list, and those that the plate does not have.

    Raises
    ------
    InputError
        When no well is of a target of the assay, or a well of a plate of several analytes
        has none.
    """
    names = {key: t.names or (key,) for key, t in assay.targets.items()}
    listed = {fold(n): key for key, several in names.items() for n in several}
    laid_out = _targets_of_layout(layout, {fold(key): key for key in assay.targets} | listed, assay)
    sole = next(iter(assay.targets)) if len(assay.targets) == 1 else None
    found, without = [], []
    for well, name in zip(wells["well"], wells["target"], strict=True):
        if fold(name):
            found.append(listed.get(fold(name)))
        else:
            found.append(laid_out.get(well, sole))
            without += [well] if found[-1] is None else []
    problems = []
    if without:
        problems.append(
            Problem(
                file,
                f"no target in the wells {well_list(without)}, and the assay file has several",
                "a target for each well in the layout",
                column="target",
            )
        )
    elif len(wells) and not any(found):
        said = ", ".join(sorted({plain(str(t)) for t in wells["target"].dropna()}))
        problems.append(
            Problem(
                file,
                f"the targets {said}",
                f"at least one target of the assay file: {', '.join(chain(*names.values()))}",
            )
        )
    problems += [
        Problem(
            file,
            f"{' and '.join(quote(plain(n)) for n in same)}, which the assay file calls {key}, in one well",
            "one name of the file for each target",
            column="target",
        )
        for key, same in _names_in_one_well(wells, found).items()
    ]
    if problems:
        raise InputError(problems)
    out = wells.assign(target_in_file=wells["target"], target=pd.array(found, dtype="string"))
    return out, target_findings(wells["target"], found, names)


def _names_in_one_well(wells: pd.DataFrame, keys: list[str | None]) -> dict[str, list[str]]:
    """Return target -> names of the file that are all that target in some well: two beads would be pooled."""
    named: dict[tuple[str, str], dict[str, None]] = {}
    for well, name, key in zip(wells["well"], wells["target"], keys, strict=True):
        if key is not None and not pd.isna(name):
            named.setdefault((key, well), {})[str(name)] = None
    return {key: list(names) for (key, _), names in named.items() if len(names) > 1}


def _targets_of_layout(
    layout: pd.DataFrame | None, listed: Mapping[str, str], assay: Assay
) -> dict[str, str]:
    """Return the target of each well that the layout gives just one."""
    out: dict[str, set[str]] = {}
    problems = []
    if layout is not None:
        for well, name in zip(layout["well"], layout["target"], strict=True):
            if pd.isna(name):
                continue
            key = listed.get(fold(name))
            if key is None:
                near = did_you_mean(str(name), assay.targets)
                problems.append(
                    Problem(
                        layout.attrs.get("name", "layout"),
                        f"{quote(str(name))} in the well {well}",
                        f"a target of the assay file: {', '.join(assay.targets)}",
                        None,
                        "target",
                        near,
                    )
                )
            else:
                out.setdefault(well, set()).add(key)
    if problems:
        raise InputError(problems)
    return {well: next(iter(keys)) for well, keys in out.items() if len(keys) == 1}


def in_units(
    wells: pd.DataFrame, assay: Assay, units: Mapping[str, str]
) -> tuple[pd.DataFrame, list[Finding]]:
    """Bring nominal and vendor concentrations from the file's units to those of the assay file.

    Parameters
    ----------
    wells
        With ``target`` and ``target_in_file``.
    units
        Of the plate: target as the file writes it -> unit.

    Returns
    -------
    wells : DataFrame
        The same, converted.
    findings
        A failing one for each target whose units can't be converted: all its wells are lost.
    """
    out = wells.copy()
    findings = []
    said = {fold(name): unit for name, unit in units.items()}
    for (key, name), group in wells.groupby(["target", wells["target_in_file"].fillna("")], sort=True):
        target = assay.targets[str(key)]
        unit = said.get(fold(name), said.get("", ""))
        if not unit or target.readout != "concentration":
            continue
        try:
            times = factor(canonical(unit), target.unit)
        except ValueError:
            findings.append(
                Finding(
                    "unit_unknown",
                    "fail",
                    f"{key}: the file gives its concentrations in {plain(unit)}, which can't be turned into "
                    f"{target.unit} exactly",
                    target=str(key),
                    wells=tuple(int(i) for i in group.index),
                    marks=("wells", "target"),
                    value=plain(unit),
                    limit=target.unit,
                    limit_source=f"assay file, targets.{key}.unit",
                )
            )
            continue
        for column in ("nominal", "vendor_concentration"):
            out.loc[group.index, column] = out.loc[group.index, column] * times
    return out, findings


RELATIVE = 1e6
"""Relative antibody units of an undiluted standard, as SerolyzeR counts them (RAU = dilution x 1,000,000)."""


def relative_standards(wells: pd.DataFrame, assay: Assay) -> tuple[pd.DataFrame, list[Finding]]:
    """Give standards of a serum, of which only the dilution is known, relative units: 1,000,000 / dilution.

    Only for targets in the unit ``arbitrary``. A standard of which a concentration is known keeps it.
    """
    relative = [k for k, t in assay.targets.items() if t.readout == "concentration" and t.unit == "arbitrary"]
    mine = wells["task"].eq("standard") & wells["nominal"].isna() & wells["target"].isin(relative)
    mine &= wells["dilution"].gt(1)
    if not mine.any():
        return wells, []
    out = wells.copy()
    out.loc[mine, "nominal"] = RELATIVE / out.loc[mine, "dilution"]
    return out, [
        Finding(
            "relative_units",
            "note",
            f"{target}: the standards have dilutions and no concentrations, so results are in relative units "
            "(1,000,000 / dilution)",
            target=str(target),
            wells=tuple(int(i) for i in group.index),
            limit_source="SerolyzeR",
        )
        for target, group in out[mine].groupby("target", sort=True)
    ]


def map_wells(
    wells: pd.DataFrame, assay: Assay, layout: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, list[Finding]]:
    """Say what stands in each well.

    Parameters
    ----------
    wells
        Columns of PLATE_WELLS; ``target`` as the assay file names it, or NA.
    assay
        Controls, names, pattern, dilution.
    layout
        Columns well, sample, task, target, nominal, dilution, exclude; a row without a
        target is about all targets of its well.

    Returns
    -------
    wells : DataFrame
        The same rows, with the columns of ADDED. ``task``, ``nominal`` and ``dilution`` are as
        controls and layout say; a well of which nobody says anything is ``unknown`` where it has a
        name, else ``empty``. The dilution is that of the layout, the file, or the assay file;
        1 for standards and blanks of which nobody says one, NA for wells of a titre.
        ``exclusion`` tells wells that are left out, ``mapping_flag`` (sample_unmapped, sample_mapped_twice, sample_mismatch) those that
        must be rejected. ``sample_name`` has lost its calendar dates.
    findings
        Without marks: the wells carry their flags themselves.
    """
    said_of = _layout(layout, assay)
    meaning = lru_cache(maxsize=None)(lambda name: meaning_of(name, assay))
    records: list[dict[str, Any]] = [
        {str(c): None if pd.isna(v) else v for c, v in row.items()} for row in wells.to_dict("records")
    ]
    choices = [_choose(row, said_of(row["well"], row["target"]), assay, meaning) for row in records]
    names = sample_names(c for c in choices if c.task == "unknown")
    columns = [_columns(choice, names) for choice in choices]
    out = wells.copy()
    for column, dtype in (ADDED | CHANGED).items():
        out[column] = pd.Series([values[column] for values in columns], index=out.index, dtype=dtype)
    out["sample_name"] = out["sample_name"].map(plain, na_action="ignore").astype("string")
    return out, [*_findings(choices, assay), *_absent(layout, records)]


def _layout(layout: pd.DataFrame | None, assay: Assay) -> Callable[[str, str | None], Said]:
    """Return what tells what the layout says of a well and target."""
    listed = {fold(key): key for key in assay.targets}
    listed |= {fold(n): key for key, t in assay.targets.items() for n in t.names or (key,)}
    by_well: dict[str, list[tuple[str | None, dict[str, Any]]]] = {}
    for line in [] if layout is None else layout.to_dict("records"):
        cells = {str(c): v for c, v in line.items() if not pd.isna(v)}
        key = listed.get(fold(cells.pop("target", "")))
        by_well.setdefault(cells.pop("well"), []).append((key, cells))

    return teller(by_well)


def _choose(row: dict[str, Any], said: Said, assay: Assay, meaning: Callable[[object], Meaning]) -> Choice:
    in_file = meaning(row["sample_name"])
    laid_out = tuple(meaning(name) for name in said.samples)
    what = laid_out[0] if laid_out else in_file
    task, nominal = row["task"], row["nominal"]
    if what.control:
        task, nominal = what.control.task, what.control.concentration.get(row["target"], nominal)
    elif task in PLAIN and what.kind != "nothing" and (laid_out or task is None):
        task = "unknown"
    elif task is None:
        task = "empty"
    task, nominal = said.cells.get("task", task), said.cells.get("nominal", nominal)
    exclusion = flag = None
    if "exclude" in said.cells:
        exclusion = f"excluded by the layout: {said.cells['exclude']}"
    elif row["omitted"]:
        exclusion = "omitted"
    elif what.kind == "ignored" and task == "unknown":
        exclusion = "ignored"
    elif len({m.key for m in laid_out}) > 1:
        flag = "sample_mapped_twice"
    elif laid_out and _differ(what, in_file, row["task"], task):
        flag = "sample_mismatch"
    elif task == "unknown" and what.kind in {"nothing", "unmapped"}:
        flag = "sample_unmapped"
    return Choice(
        row=row,
        in_file=in_file,
        laid_out=laid_out,
        said=said,
        what=what,
        task=task,
        nominal=math.nan if nominal is None else float(nominal),
        dilution=_dilution(row, said, assay, task),
        exclusion=exclusion,
        flag=flag,
    )


def _differ(what: Meaning, in_file: Meaning, task_in_file: str | None, task: str) -> bool:
    """Whether layout and file name different things in a well.

    Standards, blanks and controls go by many names; only what the file calls a sample, or another
    control of the assay file, contradicts them.
    """
    if what.kind == "ignored":
        return False
    if task == "unknown":
        if task_in_file not in PLAIN:
            return True
        return in_file.kind in {"control", "sample"} and what.key != in_file.key
    if in_file.kind == "control" and what.kind == "control":
        return what.key != in_file.key
    return task_in_file == "unknown" and in_file.kind == "sample" and what.key != in_file.key


def _dilution(row: dict[str, Any], said: Said, assay: Assay, task: str) -> float:
    if "dilution" in said.cells:
        return float(said.cells["dilution"])
    # Instruments print a factor of 1 where nobody typed one.
    if row["dilution"] not in {None, 1.0}:
        return float(row["dilution"])
    target = assay.targets.get(row["target"] or "")
    if target is not None and target.readout == "titre":
        return math.nan
    return assay.dilution if task == "unknown" else 1.0


def _columns(choice: Choice, names: dict[Identity, str]) -> dict[str, Any]:
    is_sample = choice.what.kind == "sample" and choice.task == "unknown"
    identity = choice.what.identity if is_sample else NOBODY
    sample = names[identity] if is_sample else None
    control = choice.what.name if choice.what.kind == "control" else None
    return {
        **identity._asdict(),
        "sample": sample,
        "control": control,
        "label": sample or plain(control or choice.name) or choice.task,
        "exclusion": choice.exclusion,
        "mapping_flag": choice.flag,
        "task": choice.task,
        "nominal": choice.nominal,
        "dilution": choice.dilution,
    }


_VERDICTS: dict[str, Any] = {
    "sample_unmapped": "fail",
    "sample_mapped_twice": "fail",
    "sample_mismatch": "fail",
    "task_mismatch": "warn",
    "nominal_mismatch": "warn",
    "dilution_mismatch": "warn",
    "layout_well_absent": "warn",
    "sample_two_names": "note",
    "date_in_sample_name": "note",
}


def _findings(choices: list[Choice], assay: Assay) -> list[Finding]:
    """Group the rows by what is odd about them: one finding for each name."""
    groups: dict[tuple[str, str, str, str], list[int]] = {}

    def found(i: int, check: str, sentence: str, value: object = "", limit: object = "") -> None:
        groups.setdefault((check, sentence, str(value), str(limit)), []).append(i)

    same: dict[Identity, dict[str, list[int]]] = {}
    for i, c in enumerate(choices):
        if c.row["target"] is None:
            continue
        name, in_file = quote(c.name) if c.name else "a well without a name", c.row["sample_name"]
        if c.flag == "sample_unmapped":
            found(i, c.flag, f"{name} stands for no sample: {c.what.reason}", c.name)
        elif c.flag == "sample_mapped_twice":
            found(i, c.flag, f"the layout names two samples: {name}", c.name)
        elif c.flag == "sample_mismatch":
            other = quote(in_file) if in_file else str(c.row["task"])
            sentence = f"the layout says {name}, the file says {other}: wells may be swapped"
            found(i, c.flag, sentence, in_file or c.row["task"], c.name)
        if c.exclusion is None:
            _odd(i, c, assay, found)
        if in_file and redact_dates(in_file) != in_file:
            found(i, "date_in_sample_name", "names that hold a calendar date are shown without it")
        if c.what.kind == "sample" and c.flag is None and c.task == "unknown":
            same.setdefault(c.what.identity, {}).setdefault(fold(c.what.name), []).append(i)
    for several in same.values():
        if len(several) > 1:
            listed = ", ".join(quote(choices[of[0]].what.name) for of in several.values())
            for i in (i for of in several.values() for i in of):
                found(i, "sample_two_names", f"{listed} are one sample by samples.pattern, and are pooled")
    return [_finding(key, of, choices, assay) for key, of in groups.items()]


def _odd(i: int, c: Choice, assay: Assay, found: Callable[..., None]) -> None:
    """Find wells of which controls or layout say another task, quantity or dilution than the file."""
    before = c.row["task"]
    if c.task != before and before not in PLAIN and c.flag is None:
        sentence = f"the file says {before}, the controls or the layout say {c.task}, which counts"
        found(i, "task_mismatch", sentence, before, c.task)
    typed = c.row["nominal"] or 0.0
    if typed > 0 and abs(c.nominal / typed - 1) > 0.01:
        sentence = f"the file says {typed:g}, the controls or the layout say {c.nominal:g}, which counts"
        found(i, "nominal_mismatch", sentence, f"{typed:g}", f"{c.nominal:g}")
    diluted, planned = c.row["dilution"], assay.dilution
    if (
        c.task == "unknown"
        and diluted not in {None, 1.0, planned}
        and planned != 1
        and "dilution" not in c.said.cells
    ):
        sentence = f"the file states a dilution of {diluted:g}, the assay file {planned:g}; the file's counts"
        found(i, "dilution_mismatch", sentence, f"{diluted:g}", f"{planned:g}")


def _finding(
    key: tuple[str, str, str, str], positions: list[int], choices: list[Choice], assay: Assay
) -> Finding:
    check, sentence, value, limit = key
    wells = well_list([str(choices[i].row["well"]) for i in positions])
    known = [*assay.controls, *assay.samples.names]
    return Finding(
        check,
        _VERDICTS[check],
        f"{wells}: {sentence}",
        wells=tuple(positions),
        value=plain(value),
        limit=plain(limit),
        suggestion=did_you_mean(value, known) if check == "sample_unmapped" else "",
    )


def _absent(layout: pd.DataFrame | None, records: list[dict[str, Any]]) -> list[Finding]:
    """Tell the wells of the layout that the file does not hold."""
    present = {row["well"] for row in records}
    absent = [] if layout is None else [str(w) for w in dict.fromkeys(layout["well"]) if w not in present]
    if not absent:
        return []
    message = f"the layout names wells that the file does not hold: {well_list(absent)}"
    return [Finding("layout_well_absent", _VERDICTS["layout_well_absent"], message, value=", ".join(absent))]
