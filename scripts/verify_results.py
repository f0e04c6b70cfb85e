"""Say whether a trial's inputs, configuration and results are still those of the run that recorded them.

Nothing in the trial folder is written. Exit status: 0 all match; 1 something differs; 2 there is no
record to compare with, or it was edited; 75 a run is going on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cartrace import identity, provenance
from cartrace.problems import InputError, plain
from cartrace.schedule import REPOSITORY, Exit, is_running, read_configuration

if TYPE_CHECKING:
    from cartrace.identity import Difference, Verdict

_WORDS = {
    "changed": "changed",
    "missing": "missing, or no longer used",
    "not_in_record": "not in the record",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line, compare, report, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, required=True, help="config.yaml of the trial folder")
    parser.add_argument("--json", action="store_true", help="report as JSON")
    arguments = parser.parse_args(argv)
    config: Path = arguments.config
    trial = config.resolve().parent
    if not config.is_file():
        print(f"cartrace: there is no configuration file {plain(config.name)}", file=sys.stderr)
        return Exit.BAD_INPUT
    try:
        planned, data_dir, problems = _plan(config, trial)
        verdict = identity.verify(trial, config, planned, data_dir=data_dir, problems=problems)
    except InputError as error:
        for problem in error.problems:
            print(f"cartrace: can't verify: {problem}", file=sys.stderr)
        return Exit.BAD_INPUT
    # After reading, since a run may have begun meanwhile.
    if is_running(trial):
        print("cartrace: can't verify: a run is going on in this trial folder", file=sys.stderr)
        return Exit.BUSY
    present = {"version": provenance.code_version(), "sha256": identity.code_sha256(REPOSITORY)}
    told = told_as_json(verdict, present)
    print(
        json.dumps(told, indent=1)
        if arguments.json
        else "\n".join(told_in_words(verdict, present, config.name))
    )
    return Exit.OK if verdict.matches else Exit.FAILED


def _plan(config: Path, trial: Path) -> tuple[dict[str, Path] | None, str | None, list[str]]:
    """Return the inputs that a run would use now and the data folder, or why it can't be planned."""
    from cartrace.intake.plan import load_plan

    raw: dict[str, Any] = {}
    try:
        raw = read_configuration(config)
        plan = load_plan(raw, trial, config.name)
    except InputError as error:
        data_dir = raw.get("data_dir", "data")
        return None, data_dir if isinstance(data_dir, str) else None, [str(p) for p in error.problems]
    return identity.input_paths(plan, trial), plan.config.data_dir, []


def told_as_json(verdict: Verdict, present: dict[str, str]) -> dict[str, Any]:
    """Return the verdict as JSON holds it; ``present`` is version and sha256 of cartrace now."""
    return {
        "matches": verdict.matches,
        **dataclasses.asdict(verdict),
        "code": {**verdict.code, "present": present["version"], "present_sha256": present["sha256"]},
    }


def told_in_words(verdict: Verdict, present: dict[str, str], config: str) -> list[str]:
    """Return the verdict as lines to read; ``config`` is the name of the configuration file."""
    lines = [
        f"cartrace: compared with run {verdict.run}: {verdict.recorded['inputs']} inputs, "
        f"{verdict.recorded['results']} results"
    ]
    if not verdict.config_same:
        lines.append(f"configuration changed: {plain(config)}")
    lines += _differences("input", verdict.inputs) + _differences("result", verdict.results)
    lines += [
        f"result changed outside of any run (delete it and run again): {name}"
        for name in verdict.changed_outside_runs
    ]
    lines += [f"the trial can't be planned now: {problem}" for problem in verdict.problems]
    lines += [f"note: later run {number}: {ended}" for number, ended in verdict.later_runs.items()]
    if present["sha256"] != verdict.code["recorded_sha256"]:
        lines.append(
            f"note: made by another state of cartrace, {verdict.code['recorded']}; this is {present['version']}"
        )
    lines.append("all match" if verdict.matches else "NOT all match")
    return lines


def _differences(kind: str, found: Difference) -> list[str]:
    lines = [f"{kind} {words}: {name}" for part, words in _WORDS.items() for name in getattr(found, part)]
    return lines + [f"{kind} not read: {name}: {why}" for name, why in found.not_read.items()]


if __name__ == "__main__":
    sys.exit(main())
