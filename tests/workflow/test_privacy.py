"""No date, name or birth date of a laboratory file gets out: no table, page, log or benchmark holds one."""

from __future__ import annotations

import gzip
import json
import os
import re
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import pandas as pd
import pytest
from tests.workflow import planted
from tests.workflow.conftest import Workplace

pytestmark = pytest.mark.slow

ENGINE = re.compile(
    r"^\[\w{3} \w{3} +\d{1,2} [\d:]{8} \d{4}\]|^ {2}Date: [\d-]{10} [\d:]{8}$|^ {2}(?:Python version|Platform): .*$"
    r"|\.snakemake/log/\d{4}-\d\d-\d\dT\d{6}\.\d+\.snakemake\.log",
    re.MULTILINE,
)
"""What Snakemake says of its own run: its date, its Python, when a job began, the name of its log."""


def found_in(folder: Path) -> list[str]:
    """What was planted, or reads as a date, in the files of a folder and in their names."""
    from plotly.offline import get_plotlyjs

    out = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder.parent).as_posix()
        out += [f"{name}: the name: {trace}" for trace in planted.traces(name)]
        if path.is_file() and (told := planted.written_when(path)):
            out.append(f"{name}: {told}")
        for place, text in planted.texts(path) if path.is_file() else ():
            # The library that draws the figures parses dates, and its code reads as some.
            own = text.replace(get_plotlyjs().strip(), "") if path.name == "report.html" else text
            out += [f"{name} {place}: {trace}" for trace in planted.traces(own)]
    return out


@pytest.mark.parametrize("folder", ["results", "logs", "benchmarks"])
def test_nothing_planted_stands_in_what_a_run_makes(finished: Workplace, folder: str) -> None:
    assert any((finished.trial / folder).rglob("*"))
    assert found_in(finished.trial / folder) == []


def test_the_search_finds_what_was_planted(finished: Workplace) -> None:
    trial = finished.trial
    for path in [
        *trial.glob("data/flow/*.csv"),
        *trial.glob("data/cells/*/*.h5"),
        *trial.glob("constructs/*.gtf"),
    ]:
        found = {trace for _, text in planted.texts(path) for trace in planted.traces(text)}
        assert set(planted.NAMES) | set(planted.forms(planted.BORN)) <= found, path


def test_the_search_finds_when_a_file_was_written(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("inner", (2031, 5, 17, 8, 30, 0)), "x")
    with gzip.open(tmp_path / "b.gz", "w") as packed:
        packed.write(b"x")
    (tmp_path / "c.bin").write_bytes(b"abc" + struct.pack("<q", time.time_ns() // 1000))
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.create_group("g").create_dataset("timed", data=[1], track_times=True)
    told = {path.name: planted.written_when(path) for path in tmp_path.iterdir()}
    assert told == {
        "a.zip": "the time of inner",
        "b.gz": "the head of gzip",
        "c.bin": "a time in us",
        "d.h5": "the time of g/timed",
    }


def unattended(
    workplace: Workplace, trial: Path, status: int, *more: str, program: str = "run_scheduled.py"
) -> str:
    """Run a program of the entry on a trial folder, and return what it said."""
    done = subprocess.run(
        [sys.executable, f"{workplace.repo}/scripts/{program}", "--config", f"{trial}/config.yaml", *more],
        env=os.environ | {"PYTHONPATH": str(workplace.repo / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def earlier_run(trial: Path) -> None:
    """Leave what a run with another first metric, and with a file named for a day, would have left."""
    runs = trial / "results/runs"
    runs.mkdir()
    metrics = pd.read_parquet(trial / "results/cohort/metrics.parquet")
    metrics.loc[0, "value"] = 1e9
    metrics.to_parquet(runs / "1.metrics.parquet")
    record = {"run": 1, "exit_status": 0, "inputs": {f"data/{planted.SEEN}.csv": "0" * 64}}
    (runs / "1.json").write_text(json.dumps(record))


def dated_and_spoilt(trial: Path) -> None:
    """Give a file of sites a name with a date, which is then allowed, and a date where a position belongs."""
    sites = trial / "data/integration_sites/NMO-003.tsv"
    header, first, *rest = sites.read_text().splitlines()
    cells = first.split("\t")
    cells[header.split("\t").index("start")] = f"{planted.SEEN}"
    (sites.parent / f"{planted.SEEN}.tsv").write_text("\n".join([header, "\t".join(cells), *rest, ""]))
    sites.unlink()
    sheet = trial / "sheets/integration_sites.tsv"
    sheet.write_text(sheet.read_text().replace(sites.name, f"{planted.SEEN}.tsv"))
    with (trial / "config.yaml").open("a") as config:
        config.write("privacy: {dates_in_file_names: allow}\n")


def test_unattended_runs_tell_nothing_planted_and_no_place_of_the_machine(workplace: Workplace) -> None:
    """The trial folder, a laboratory file and a bad cell hold a date, and the folder a name."""
    # As deep as before: sources are known by their relative paths.
    trial = workplace.folder / f"{planted.NAMES[0]}_{planted.SEEN}"
    workplace.trial.rename(trial)
    try:
        earlier_run(trial)
        told = [unattended(workplace, trial, 0)]
        changes = (trial / "results/runs/2.changes.tsv").read_text()
        assert "1 input file removed: data/<date>.csv" in changes
        (trial / "results/runs/1.json").unlink()
        dated_and_spoilt(trial)
        told.append(unattended(workplace, trial, 1, "--keep-going"))
        told.append(unattended(workplace, trial, 1, program="verify_results.py"))
        for text in told:
            assert planted.traces(text) == set()
            assert str(workplace.folder) not in text
        assert "found '<date>'" in told[1]
        assert "input not in the record: data/integration_sites/<date>.tsv" in told[2]
        assert [*found_in(trial / "results/runs"), *found_in(trial / "logs")] == []
    finally:
        trial.rename(workplace.trial)


def test_the_logs_of_the_engine_hold_no_date_but_those_of_its_own_run(finished: Workplace) -> None:
    logs = list((finished.trial / ".snakemake/log").iterdir())
    assert logs
    for log in logs:
        text = ENGINE.sub("", log.read_text())
        assert planted.traces(text) == set()
        assert ENGINE.search(log.read_text())
