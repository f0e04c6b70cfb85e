"""A scheduled run killed before each of its own changes of a file: the next run repairs all of it.

Snakemake is played by a function here; tests/kills kills the real one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from cartrace import baseline, identity, planned, schedule, tables
from cartrace.files import replacing, write_whole
from cartrace.schedule import Exit, Request

CHANGING = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.utime", "os.truncate"}


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # Someone may be writing code while this runs.
    monkeypatch.setattr(schedule.identity, "code_sha256", lambda _: "0" * 64)
    monkeypatch.setattr(schedule.provenance, "code_version", lambda: "0.1.0")
    monkeypatch.setattr(schedule.provenance, "versions", dict)
    (tmp_path / "config.yaml").write_text("trial: {title: Toy}\n")
    return tmp_path


def metrics(folder: Path, value: float) -> bytes:
    """Return a table of metrics with this value."""
    course = {
        "subject_id": "NMO-001",
        "infusion": 1,
        "matrix": "blood",
        "analyte": "transgene",
        "assay": "qpcr",
        "course_unit": "copies/ug",
        "metric": "cmax",
        "status": "estimated",
    }
    tables.write_table(
        tables.rows([{**course, "value": value}], tables.METRICS), folder / "m", tables.METRICS
    )
    return (folder / "m").read_bytes()


def night(trial: Path, value: float, table: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run once; the workflow gives one metric this value."""

    def follow(*_: object, **__: object) -> int:
        with replacing(trial / baseline.METRICS) as temporary:
            temporary.write_bytes(table)
        write_whole(trial / "results/report.html", f"cmax {value}\n")
        return Exit.OK

    monkeypatch.setattr(schedule, "_follow", follow)
    told = planned.Told({"data/pcr.csv": f"{value:064.0f}"})
    return schedule.run(Request(trial / "config.yaml", keep=2), lambda _: None, lambda _: told)


def killed_before(number: int, trial: Path, act: Callable[[], object]) -> bool:
    """Do it in a process that is killed before its change of a file of that number; say whether it was."""
    with warnings.catch_warnings():
        # Other threads of this process do not matter: the other one only writes files and ends.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        left = [number]

        def hook(event: str, given: tuple[object, ...]) -> None:
            writes = event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR)
            if (writes or event in CHANGING) and str(trial) in str(given[0]):
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            act()
        finally:
            os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, -signal.SIGKILL}
    return status != 0


@pytest.mark.slow
def test_a_run_killed_before_any_change_of_a_file_is_made_good_by_the_next(
    trial: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = tmp_path_factory.mktemp("beside")
    nights = [(value, metrics(beside, value)) for value in (200.0, 201.0)]
    assert night(trial, *nights[0], monkeypatch) == Exit.OK
    kills = 0
    killed = True
    while killed:
        before = baseline.last_record(trial / schedule.RECORDS)
        assert before is not None
        tonight = nights[1 - kills % 2]
        killed = killed_before(kills + 1, trial, lambda t=tonight: night(trial, *t, monkeypatch))
        ended_well = baseline.last_record(trial / schedule.RECORDS)
        assert ended_well is not None
        assert night(trial, *tonight, monkeypatch) == Exit.OK
        record = baseline.last_record(trial / schedule.RECORDS)
        assert record is not None
        # The change shows once: in the table of the run that was the first to end well with it.
        told = record["metrics"]
        assert told["since_run"] == ended_well["run"], kills
        assert told["changed"] == (1 if ended_well == before else 0), kills
        check_folder(trial, record, tonight[0])
        kills += killed
    assert kills > 20


def check_folder(trial: Path, record: dict[str, object], value: float) -> None:
    """Nothing half-written, nothing left over, every record sound, the results those of the record."""
    assert (trial / "results/report.html").read_text() == f"cmax {value}\n"
    assert [path for path in trial.rglob("*") if path.name.endswith(".part")] == []
    runs = trial / schedule.RECORDS
    newest = record["run"]
    assert {p.name for p in runs.glob("*.metrics.parquet")} == {f"{newest}.metrics.parquet"}
    assert all(not isinstance(told, str) for _, told in identity.records(trial))
    assert max(int(p.stem) for p in (trial / schedule.LOGS).iterdir()) == newest
    assert len(list((trial / schedule.LOGS).iterdir())) <= 2
    assert json.loads((trial / identity.CACHE).read_text()).keys() == record["results"].keys()
    verdict = identity.verify(trial, trial / "config.yaml", None)
    assert verdict.run == newest
    assert not verdict.results.any
    assert verdict.changed_outside_runs == []
