"""One broken file for each reader, in one run: each is told, what is sound gets its results, as without them."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.faults.spoilers import png
from tests.same_results import differences
from tests.workflow.conftest import Workplace, finished

__all__ = ["finished"]
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Reader:
    """One kind of file, and the rules that read it."""

    rules: tuple[str, ...]
    results: str
    """Folder of what the first of them makes."""
    sheet: str
    column: str
    """Of the sheet: path of the file in the data folder."""
    reader: str = ""
    """Of the files sheet."""


READERS = (
    Reader(("read_laboratory_table",), "intake/laboratory_table", "files", "path", "laboratory_table"),
    Reader(("quantify_plate",), "pcr/plate", "files", "path", "pcr_plate"),
    Reader(("gate_tube",), "flow/tube", "files", "path", "fcs_tube"),
    Reader(("calibrate_plate",), "immunoassay/plate", "files", "path", "immunoassay_plate"),
    # Its cells with receptors are part of what is checked of a library.
    Reader(("read_contigs", "read_library"), "repertoire/library", "libraries", "tcr_contigs"),
    Reader(("read_sites",), "repertoire/sites", "integration_sites", "path"),
)


@dataclass(frozen=True)
class Listed:
    """A file as its sheet lists it."""

    rules: tuple[str, ...]
    results: str
    name: str
    path: str


def listed(trial: Path, reader: Reader) -> list[Listed]:
    """Files of one reader, in the order of their sheet."""
    with (trial / f"sheets/{reader.sheet}.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    key = next(iter(rows[0]))
    return [
        Listed(reader.rules, reader.results, row[key], f"data/{row[reader.column]}")
        for row in rows
        if row[reader.column] and row.get("reader", "") == reader.reader
    ]


@pytest.fixture
def workplace(finished: Workplace) -> Iterator[Workplace]:
    """Give a copy of the finished trial, beside it, so that relative paths stay the same."""
    folder = finished.folder.parent / f"keep-going-{os.getpid()}"
    shutil.copytree(finished.folder, folder, symlinks=True)
    yield Workplace(folder)
    shutil.rmtree(folder, ignore_errors=True)


def scheduled(place: Workplace) -> subprocess.CompletedProcess[str]:
    """Run the copied entry on the copied trial, as a timer does."""
    program = [sys.executable, str(place.repo / "scripts/run_scheduled.py"), "--cores", "2", "--keep-going"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        [*program, "--config", str(place.trial / "config.yaml")],
        env=environment | {"PYTHONPATH": str(place.repo / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_broken_files_leave_the_others_unharmed(workplace: Workplace, finished: Workplace) -> None:
    trial = workplace.trial
    of_reader = [listed(trial, reader) for reader in READERS]
    paths = {files[-1].path for files in of_reader}
    # Two sets of integration sites may stand in one file.
    broken = [file for files in of_reader for file in files if file.path in paths]
    failing = Counter(rule for file in broken for rule in file.rules)
    # One sound file of each reader is to be read again; of the others it is enough that they stay.
    again = [files[0] for files in of_reader if files[0] not in broken]
    assert len(again) == 5
    for path in paths:
        png(trial / path)
    for file in again:
        results = list((trial / "results" / file.results).glob(f"{file.name}.*"))
        assert results
        for path in results:
            path.unlink()

    done = scheduled(workplace)

    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    record = json.loads((trial / "results/runs/1.json").read_text())
    assert (record["exit_status"], record["ended"]) == (1, "failed")
    told = record["rules"]
    assert {rule: n for rule in told if (n := told[rule]["failed"])} == failing, done.stdout
    run_log = (trial / "logs/runs/1.log").read_text()
    for file in broken:
        assert f"  1. {file.path}" in run_log
        for rule in file.rules:
            (log,) = trial.glob(f"logs/*/{rule}/{file.name}.log")
            assert log.read_text().startswith(
                f"1 problem in the input; nothing was written.\n  1. {file.path}"
            )
    assert len(record["problems"]) == len(paths)
    assert all(any(problem.startswith(path) for problem in record["problems"]) for path in paths)
    # No report with a silent hole: what rests on all files waits, and the last good report stays as it was.
    assert not {"export_tables", "render_report", "assemble_measurements"} & told.keys()
    removed = record["outputs"]["removed"]
    assert {Path(path).name.partition(".")[0] for path in removed} == {file.name for file in broken}
    assert {what.partition(": ")[0] for what in differences(finished.trial, trial)} == set(removed)
    assert not list((trial / "results").rglob("*.part"))

    for path in paths:
        shutil.copy2(finished.trial / path, trial / path)
    planned = workplace.planned()
    assert {rule: planned[rule] for rule in failing} == failing
    assert {"export_tables", "render_report"} < planned.keys()
