import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cartrace import leftovers


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_only_processes_that_a_run_on_this_folder_started_are_ended(tmp_path, tmp_path_factory):
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    elsewhere = tmp_path_factory.mktemp("elsewhere").resolve()
    here, away, own = (
        subprocess.Popen(sleep, cwd=tmp_path, env=os.environ | mark)
        for mark in ({leftovers.MARK: str(tmp_path)}, {leftovers.MARK: str(elsewhere)}, {})
    )
    try:
        wait_for(lambda: b"sleep" in Path(f"/proc/{here.pid}/cmdline").read_bytes())
        assert leftovers.end_orphans(tmp_path) == [here.pid]
        assert here.wait(10) == -signal.SIGKILL
        assert leftovers.end_orphans(tmp_path) == []
        assert away.poll() is None
        assert own.poll() is None
    finally:
        for process in (here, away, own):
            process.kill()
            process.wait()


def test_what_an_ended_process_had_started_is_ended_too(tmp_path):
    # Each of forty starts the next, so that one look at the list of processes may miss the last.
    code = (
        "import os, time\n"
        "print('started', flush=True)\n"
        "for _ in range(40):\n"
        "    if os.fork():\n"
        "        break\n"
        "    time.sleep(0.02)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {leftovers.MARK: str(tmp_path)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        process.stdout.readline()
        assert process.pid in leftovers.end_orphans(tmp_path)
    assert leftovers.marked(tmp_path) == set()


def test_a_snakemake_is_known_by_its_words_and_its_folder(tmp_path, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def start(folder, *words):
        # As `python -m snakemake` and `snakemake` look from outside.
        code = "import time; print(flush=True); time.sleep(60)"
        process = subprocess.Popen(
            ["/usr/bin/snakemake", "-c", code, *words],
            executable=sys.executable,
            cwd=folder,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONHOME": sys.base_prefix},
        )
        process.stdout.readline()
        return process

    running = [start(elsewhere), start(tmp_path, "--nolock")]
    try:
        assert leftovers.other_snakemake(tmp_path) is None
        running.append(start(tmp_path))
        assert leftovers.other_snakemake(tmp_path) == running[-1].pid
    finally:
        for process in running:
            process.kill()
            process.communicate()


def test_records_of_snakemake_are_found_also_of_long_names(tmp_path):
    from snakemake.persistence.file import FilePersistence

    persistence = FilePersistence(path=tmp_path / ".snakemake")
    metadata = tmp_path / ".snakemake" / "metadata"
    for name in ("results/report.html", f"results/{'long' * 50}/{'name' * 40}.parquet"):
        assert not leftovers._is_recorded(metadata, name)
        path = Path(persistence._record_path(str(metadata), name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        assert not leftovers._is_recorded(metadata, name), "an empty record is none"
        path.write_text("{}")
        assert leftovers._is_recorded(metadata, name)


def test_jobs_with_the_trial_s_name_are_cancelled_and_others_stay(slurm):
    slurm.write_text("11 nightly_aaa\n12 nightly2_bbb\n13 nightly_ccc\n14 else\n")
    assert leftovers.cancel_orphans("nightly") == ["11", "13"]
    assert slurm.read_text() == "12 nightly2_bbb\n14 else\n"
    assert leftovers.cancel_orphans("nightly") == []


def test_orphans_that_do_not_end_are_an_error(slurm):
    slurm.write_text("11 nightly_aaa\n")
    (slurm.parent / "scancel").write_text("#!/bin/sh\n")
    with pytest.raises(leftovers.SlurmError, match="1 Slurm jobs of an earlier run"):
        leftovers.cancel_orphans("nightly", wait_seconds=0)


def test_without_slurm_there_is_nothing_to_cancel(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert leftovers.cancel_orphans("nightly") == []
