"""What stands in each well of a plate: a control, or which sample.

The plate map goes before the file's own sample names. A well that the two name
differently is rejected: that is what swapped wells look like.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from cartrace.intake.sheets import quote
from cartrace.pcr.wells import match_target
from cartrace.plates.choices import Choice, Said, sample_names, teller
from cartrace.plates.plate import well_list
from cartrace.plates.sample_names import NOBODY, Identity, Meaning, fold, meaning_of
from cartrace.problems import InputError, Problem, did_you_mean, plain, redact_dates
from cartrace.tables import QC, rows

if TYPE_CHECKING:
    from cartrace.pcr.assay import Assay

ADDED: dict[str, Any] = {
    "sample": "string",
    "subject_id": "string",
    "sample_id": "string",
    "matrix": "string",
    "visit": "string",
    "day": "float64",
    "infusion": "Int64",
    "control": "string",
    "dna_ng": "float64",
    "template_ul": "float64",
    "exclusion": "string",
    "mapping_flag": "string",
}
"""Columns that :func:`map_wells` adds, with their types."""
CHANGED: dict[str, Any] = {"task": "string", "nominal": "float64", "dilution": "float64"}
PLAIN = ("unknown", "empty")
"""Tasks of a file that leave it open what is in the well."""
SPIKE = ("inhibition_control", "blocked_inhibition_control")
"""Tasks of the spike, which stands in wells of samples and of controls alike."""


def map_wells(
    wells: pd.DataFrame, assay: Assay, plate_map: pd.DataFrame | None = None, *, file_id: str = ""
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Say what stands in each well.

    Parameters
    ----------
    wells
        Columns of PLATE_WELLS; ``target`` already as the assay file names it where it
        lists it, ``nominal`` in copies per reaction.
    assay
        Controls, names, pattern, reaction.
    plate_map
        Of plate_map.read_plate_map.
    file_id
        Plate, for the findings.

    Returns
    -------
    wells : DataFrame
        The same rows, with the columns of ADDED. ``task``, ``nominal`` and ``dilution``
        are as controls and plate map say. ``sample`` is empty for controls, ``control``
        is their name in the assay file. ``exclusion`` tells wells that the plate map
        leaves out, and names that are ignored. ``mapping_flag`` (sample_unmapped,
        sample_mapped_twice, sample_mismatch) tells wells that must be rejected.
        ``sample_name`` has lost its calendar dates.
    qc : DataFrame
        One row for each finding: contract QC.

    Raises
    ------
    InputError
        When the plate map names a target that the assay file does not list.
    """
    said_of = _plate_map(plate_map, assay)
    meaning = lru_cache(maxsize=None)(lambda name: meaning_of(name, assay))
    records: list[dict[str, Any]] = [
        {str(c): None if pd.isna(v) else v for c, v in row.items()} for row in wells.to_dict("records")
    ]
    choices = [_choose(row, said_of(row["well"], row["target"]), assay, meaning) for row in records]
    names = sample_names(choices)
    out = wells.copy()
    columns = [_columns(choice, names, assay) for choice in choices]
    for column, dtype in (ADDED | CHANGED).items():
        out[column] = pd.Series([values[column] for values in columns], index=out.index, dtype=dtype)
    out["sample_name"] = out["sample_name"].map(plain, na_action="ignore").astype("string")
    findings = [*_findings(choices, assay, file_id), *_absent(plate_map, records, file_id)]
    return out, rows(findings, QC)


def _plate_map(plate_map: pd.DataFrame | None, assay: Assay) -> Callable[[str, str], Said]:
    """Return what tells what the plate map says of a well and target."""
    by_well: dict[str, list[tuple[str | None, dict[str, Any]]]] = {}
    problems = []
    lines = [] if plate_map is None else plate_map.to_dict("records")
    for line in lines:
        cells = {str(c): v for c, v in line.items() if not pd.isna(v)}
        key, said = None, cells.pop("target", None)
        if said is not None:
            listed = {fold(k): k for k in assay.targets}
            key = listed.get(fold(said)) or match_target(said, "", assay)
            if key is None:
                allowed = f"a target of the assay file: {', '.join(assay.targets)}"
                found = f"{quote(said)} in the well {line['well']}"
                file = "plate map" if plate_map is None else plate_map.attrs.get("name", "plate map")
                near = did_you_mean(said, assay.targets)
                problems.append(Problem(file, found, allowed, None, "target", near))
        by_well.setdefault(cells.pop("well"), []).append((key, cells))
    if problems:
        raise InputError(problems)

    return teller(by_well)


def _choose(row: dict[str, Any], said: Said, assay: Assay, meaning: Callable[[object], Meaning]) -> Choice:
    in_file = meaning(row["sample_name"])
    laid_out = tuple(meaning(name) for name in said.samples)
    what = laid_out[0] if laid_out else in_file
    task, nominal = row["task"], row["nominal"]
    if what.control:
        task, nominal = what.control.task, what.control.copies.get(row["target"], nominal)
    elif laid_out and what.kind == "sample" and task in PLAIN:
        task = "unknown"
    task, nominal = said.cells.get("task", task), said.cells.get("nominal", nominal)
    exclusion = flag = None
    if "exclude" in said.cells:
        exclusion = f"excluded by the plate map: {said.cells['exclude']}"
    elif what.kind == "ignored" and task in PLAIN:
        exclusion = "ignored"
    elif row["omitted"]:
        pass
    elif len({m.key for m in laid_out}) > 1:
        flag = "sample_mapped_twice"
    elif laid_out and _differ(what, in_file, row["task"], said.cells.get("task")):
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
        dilution=_dilution(row["dilution"], said, assay),
        exclusion=exclusion,
        flag=flag,
    )


def _differ(what: Meaning, in_file: Meaning, task_in_file: str, task_in_map: str | None) -> bool:
    """Whether the plate map and the file name different things in a well."""
    if what.kind == "control" or task_in_map not in {None, "unknown"}:
        return in_file.kind in {"control", "sample"} and what.key != in_file.key
    if what.kind == "ignored":
        return False
    # A sample by the plate map, and a control by the file's own task or name.
    if task_in_file not in (*PLAIN, *SPIKE):
        return True
    return in_file.kind in {"control", "sample"} and what.key != in_file.key


def _dilution(in_file: float | None, said: Said, assay: Assay) -> float:
    # Instruments print a factor of 1 where nobody typed one.
    typed = None if in_file in {None, 1.0} else in_file
    return float(said.cells.get("dilution", typed or assay.reaction.dilution))


def _columns(choice: Choice, names: dict[Identity, str], assay: Assay) -> dict[str, Any]:
    is_sample = choice.what.kind == "sample" and choice.task in ("unknown", *SPIKE)
    identity = choice.what.identity if is_sample else NOBODY
    cells = choice.said.cells
    return {
        **identity._asdict(),
        "sample": names[identity] if is_sample else None,
        "control": choice.what.name if choice.what.kind == "control" else None,
        "dna_ng": cells.get("dna_ng"),
        "template_ul": cells.get("template_ul", assay.reaction.template_ul),
        "exclusion": choice.exclusion,
        "mapping_flag": choice.flag,
        "task": choice.task,
        "nominal": choice.nominal,
        "dilution": choice.dilution,
    }


def _findings(choices: list[Choice], assay: Assay, file_id: str) -> list[dict[str, object]]:
    """Group the rows by what is odd about them: one finding for each name."""
    groups: dict[tuple[str, str, str, str], list[Choice]] = {}

    def found(choice: Choice, check: str, sentence: str, value: object = "", limit: object = "") -> None:
        groups.setdefault((check, sentence, str(value), str(limit)), []).append(choice)

    for c in choices:
        name, in_file = quote(c.name) if c.name else "a well without a name", c.row["sample_name"]
        if c.flag == "sample_unmapped":
            found(c, c.flag, f"{name} stands for no sample: {c.what.reason}", c.name)
        elif c.flag == "sample_mapped_twice":
            found(c, c.flag, f"the plate map names two samples: {name}", c.name)
        elif c.flag == "sample_mismatch":
            other = quote(in_file) if in_file else c.row["task"]
            sentence = f"the plate map says {name}, the file says {other}: wells may be swapped"
            found(c, c.flag, sentence, in_file or c.row["task"], c.name)
        if c.exclusion is None and not c.row["omitted"]:
            _odd_controls(c, assay, found)
            typed, planned = c.row["dilution"], assay.reaction.dilution
            if typed not in {None, 1.0, planned} and planned != 1 and "dilution" not in c.said.cells:
                sentence = (
                    f"the file states a dilution of {typed:g}, the assay file {planned:g}; the file's counts"
                )
                found(c, "dilution_mismatch", sentence, typed, planned)
        if in_file and redact_dates(in_file) != in_file:
            found(c, "date_in_sample_name", "names that hold a calendar date are shown without it")
    names: dict[Identity, dict[str, list[Choice]]] = {}
    for c in choices:
        if c.what.kind == "sample" and c.flag is None:
            names.setdefault(c.what.identity, {}).setdefault(fold(c.what.name), []).append(c)
    for several in names.values():
        if len(several) > 1:
            listed = ", ".join(quote(of[0].what.name) for of in several.values())
            for c in (c for of in several.values() for c in of):
                found(c, "sample_two_names", f"{listed} are one sample by samples.pattern, and are pooled")
    return [_finding(key, of, assay, file_id) for key, of in groups.items()]


def _odd_controls(c: Choice, assay: Assay, found: Callable[..., None]) -> None:
    """Find controls that the file calls something else, and accuracy controls without known copies."""
    before = c.row["task"]
    # An accuracy control is a positive control, of which one knows more than the instrument.
    finer = (before, c.task) == ("positive_control", "accuracy_control")
    if c.task != before and before not in (*PLAIN, *SPIKE) and c.flag is None and not finer:
        sentence = f"the file says {before}, the controls or the plate map say {c.task}, which counts"
        found(c, "task_mismatch", sentence, before, c.task)
    typed = c.row["nominal"] or 0.0
    if typed > 0 and abs(c.nominal / typed - 1) > 0.01:
        sentence = (
            f"the file says {typed:g} copies per reaction, the controls or the plate map say {c.nominal:g}, "
            "which counts"
        )
        found(c, "nominal_mismatch", sentence, f"{typed:g}", f"{c.nominal:g}")
    target = assay.targets.get(c.row["target"])
    reported = target is not None and target.role == "transgene"
    if c.task == "accuracy_control" and reported and not c.what.control and not c.nominal > 0:
        sentence = (
            f"no copies are known of the accuracy control {quote(c.name)}, so its recovery can't be judged; list it "
            "in controls of the assay file, or in the plate map"
        )
        found(c, "control_unknown", sentence, c.name)


_VERDICTS = {
    "sample_unmapped": "fail",
    "sample_mapped_twice": "fail",
    "sample_mismatch": "fail",
    "task_mismatch": "warn",
    "nominal_mismatch": "warn",
    "dilution_mismatch": "warn",
    "control_unknown": "warn",
    "plate_map_well_absent": "warn",
    "sample_two_names": "note",
    "date_in_sample_name": "note",
}


def _finding(
    key: tuple[str, str, str, str], choices: list[Choice], assay: Assay, file_id: str
) -> dict[str, object]:
    check, sentence, value, limit = key
    samples = {c.what.identity.sample_id for c in choices}
    wells = well_list([str(c.row["well"]) for c in choices])
    known = [*assay.controls, *assay.samples.names]
    return {
        "check": check,
        "verdict": _VERDICTS[check],
        "source_file": file_id or None,
        "source_row": min(int(c.row["source_row"]) for c in choices),
        "sample_id": samples.pop() if len(samples) == 1 else None,
        "value": plain(value) or None,
        "limit": plain(limit) or None,
        "message": redact_dates(f"{wells}: {sentence}"),
        "suggestion": (did_you_mean(value, known) or None) if check == "sample_unmapped" else None,
    }


def _absent(
    plate_map: pd.DataFrame | None, records: list[dict[str, Any]], file_id: str
) -> list[dict[str, object]]:
    """Tell the wells of the plate map that the file does not hold."""
    if plate_map is None:
        return []
    present = {row["well"] for row in records}
    absent = [str(w) for w in dict.fromkeys(plate_map["well"]) if w not in present]
    if not absent:
        return []
    message = f"the plate map names wells that the file does not hold: {well_list(absent)}"
    return [
        {
            "check": "plate_map_well_absent",
            "verdict": _VERDICTS["plate_map_well_absent"],
            "source_file": file_id or None,
            "value": ", ".join(absent),
            "message": message,
        }
    ]
