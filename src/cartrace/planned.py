"""The plan of a scheduled run: the Snakefile makes it once and tells the entry that started Snakemake.

The entry names a temporary file in the environment of Snakemake. What is told there is of the very plan
that runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cartrace import identity
from cartrace.intake.inbox_rows import InboxRow
from cartrace.problems import InputError, Problem

if TYPE_CHECKING:
    from cartrace.intake.plan import Plan

ASKED = "CARTRACE_PLAN"
"""Variable in the environment of Snakemake that says what its entry wants to know (:func:`asking`)."""
BAD_INPUT = 2
"""How Snakemake ends when the plan had problems, which are told then and not by itself."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a plan: the hash of each input by its path, and what became of the inbox."""

    inputs: dict[str, str]
    inbox: tuple[InboxRow, ...] = ()


def asking(file: str, config_file: str, *, dry_run: bool) -> dict[str, str]:
    """Return the variable that asks Snakemake to tell its plan in a file, and how errors name the configuration."""
    return {ASKED: json.dumps({"file": file, "config_file": config_file, "dry_run": dry_run})}


def plan_workflow(config: Mapping[str, Any], folder: Path, *, main: bool) -> Plan:
    """Check the trial folder for the Snakefile, and tell the plan where the entry asked for it.

    Parameters
    ----------
    config, folder
        As :func:`cartrace.intake.plan.load_plan`.
    main
        Whether this is the Snakemake that was started, and none that it started for a job.

    Raises
    ------
    InputError
        With every problem, when nobody asked.
    SystemExit
        When the problems were told to who asked.
    """
    from cartrace.intake.plan import load_plan

    asked = os.environ.get(ASKED)
    if not (asked and main):
        return load_plan(config, folder)
    question = json.loads(asked)
    with Path(question["file"]).open("w", encoding="utf-8") as file:
        try:
            return plan_and_tell(
                config, folder, file, config_file=question["config_file"], dry_run=question["dry_run"]
            )
        except InputError:
            raise SystemExit(BAD_INPUT) from None


def plan_and_tell(
    config: Mapping[str, Any], folder: Path, file: IO[str], *, config_file: str, dry_run: bool
) -> Plan:
    """Check the trial folder, write its manifest but in a dry-run, and tell inputs and inbox, or the problems.

    Inputs are the laboratory files and all else that can change a number.

    Raises
    ------
    InputError
        With every problem, once they are told.
    """
    from cartrace.intake.plan import load_plan, write_manifest

    try:
        plan = load_plan(config, folder, config_file)
        inputs = identity.input_hashes(plan, folder)
    except InputError as error:
        json.dump({"problems": [asdict(problem) for problem in error.problems]}, file)
        raise
    if not dry_run:
        write_manifest(plan, folder)
    json.dump({"inputs": inputs, "inbox": [asdict(row) for row in plan.inbox.rows]}, file)
    return plan


def read_told(file: IO[str]) -> Told | None:
    """Return what was told of the plan; None when Snakemake ended before that.

    Raises
    ------
    InputError
        With every problem of configuration, sheets, mappings and files.
    """
    file.seek(0)  # another process wrote it
    try:
        told = json.load(file)
    except ValueError:
        return None
    if "problems" in told:
        raise InputError([Problem(**problem) for problem in told["problems"]])
    return Told(told["inputs"], tuple(InboxRow(**row) for row in told["inbox"]))
