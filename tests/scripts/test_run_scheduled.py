"""The unattended entry against real Snakemake runs of a small workflow."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cartrace.problems import holds_date

PROGRAM = Path(__file__).parents[2] / "scripts" / "run_scheduled.py"

SNAKEFILE = """
rule all:
    input:
        "results/end.txt",


rule begin:
    input:
        "data/in.txt",
    output:
        "results/begin.txt",
    params:
        word=config["word"],
    shell:
        "echo {params.word} | cat {input} - >{output}"


rule end:
    input:
        "results/begin.txt",
    output:
        "results/end.txt",
    params:
        seconds=config["seconds"],
        status=config.get("status", 0),
    shell:
        "echo $$ >job.pid; sleep {params.seconds}; cp {input} {output}; exit {params.status}"
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def trial(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "in.txt").write_text("x\n")
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    configure(tmp_path, seconds=0)
    return tmp_path


def configure(trial, **values):
    lines = [f"{key}: {value}" for key, value in {"word": "hello", **values}.items()]
    (trial / "config.yaml").write_text("\n".join(lines) + "\n")


def command(trial, *options):
    return [
        sys.executable,
        str(PROGRAM),
        *("--config", str(trial / "config.yaml"), "--snakefile", str(trial / "Snakefile"), "--cores", "1"),
        *options,
    ]


def run(trial, *options):
    return subprocess.run(command(trial, *options), capture_output=True, text=True, check=False, timeout=120)


def start(trial, *options, by=()):
    """Start a run and wait until its long job works."""
    process = subprocess.Popen(
        [*by, *command(trial, *options)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_for(lambda: (trial / "job.pid").exists() and (trial / "job.pid").read_text().strip(), process)
    return process


def wait_for(condition, process=None):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None
        time.sleep(0.1)


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def record(trial, number):
    return json.loads((trial / "results" / "runs" / f"{number}.json").read_text())


def test_a_run_leaves_outputs_a_log_and_a_record_without_any_date(trial):
    done = run(trial)
    assert done.returncode == 0, done.stdout
    assert (trial / "results" / "end.txt").read_text() == "x\nhello\n"
    log = (trial / "logs" / "runs" / "1.log").read_text()
    assert log == done.stdout
    assert "3 of 3 steps (100%) done" in log
    assert not holds_date(log)
    told = record(trial, 1)
    assert (told["exit_status"], told["ended"]) == (0, "ok")
    assert {rule: told["rules"][rule]["jobs"] for rule in told["rules"]} == {"begin": 1, "end": 1, "all": 1}
    assert told["planned"] == {"begin": 1, "end": 1, "all": 1}
    assert told["rules"]["begin"]["reasons"] == {
        "Missing output files": {"jobs": 1, "for_example": "results/begin.txt"}
    }
    assert told["outputs"] == {
        "new": ["results/begin.txt", "results/end.txt"],
        "changed": [],
        "removed": [],
    }
    assert {"python", "snakemake", "cartrace"} <= set(told["versions"])
    assert len(told["config_sha256"]) == 64
    assert 0 < told["elapsed_seconds"] < 120
    assert not holds_date(json.dumps(told["rules"]) + json.dumps(told["outputs"]))


def test_later_runs_say_why_they_ran_and_what_changed(trial):
    assert run(trial).returncode == 0
    assert run(trial).returncode == 0
    idle = record(trial, 2)
    assert idle["rules"] == {}
    assert idle["outputs"] == {"new": [], "changed": [], "removed": []}
    configure(trial, seconds=0, word="goodbye")
    assert run(trial, "--keep", "2").returncode == 0
    told = record(trial, 3)
    assert list(told["rules"]["begin"]["reasons"]) == ["Params have changed since last execution"]
    assert told["outputs"]["changed"] == ["results/begin.txt", "results/end.txt"]
    assert told["config_sha256"] != idle["config_sha256"]
    assert sorted(p.name for p in (trial / "logs" / "runs").iterdir()) == ["2.log", "3.log"]


@pytest.mark.parametrize("words", ["'open", " "])
def test_a_notification_that_is_no_command_is_refused_before_anything_runs(trial, words):
    done = run(trial, "--notify", words)
    assert done.returncode == 2
    assert "--notify" in done.stderr
    assert not (trial / "logs").exists()


def test_a_failed_job_gives_status_1_and_is_counted(trial):
    configure(trial, seconds=0, status=3)
    tell = trial / "tell.py"
    tell.write_text(
        "import json, pathlib, sys\n"
        "pathlib.Path(sys.argv[1]).write_text(json.loads(pathlib.Path(sys.argv[2]).read_text())['ended'])\n"
        "raise SystemExit(9)"
    )
    told_to = trial / "told.txt"
    done = run(trial, "--notify", shlex.join([sys.executable, str(tell), str(told_to)]))
    assert done.returncode == 1
    told = record(trial, 1)
    assert (told["exit_status"], told["ended"]) == (1, "failed")
    assert told["rules"]["end"]["failed"] == 1
    assert told["rules"]["begin"]["failed"] == 0
    # Nor does a notification that fails change the status.
    assert told_to.read_text() == "failed"
    assert "the notification ended with status 9" in (trial / "logs" / "runs" / "1.log").read_text()


def test_a_dry_run_shows_the_jobs_and_leaves_nothing(trial):
    done = run(trial, "--dry-run")
    assert done.returncode == 0
    assert "rule begin:" in done.stdout
    assert not (trial / "results").exists()
    assert not (trial / "logs").exists()


def test_targets_and_options_go_on_to_snakemake(trial):
    assert run(trial, "results/begin.txt", "--printshellcmds").returncode == 0
    assert (trial / "results" / "begin.txt").exists()
    assert not (trial / "results" / "end.txt").exists()
    assert "echo hello | cat data/in.txt" in (trial / "logs" / "runs" / "1.log").read_text()


def test_a_second_run_is_skipped_with_status_75_and_names_the_holder(trial):
    configure(trial, seconds=60)
    first = start(trial)
    try:
        second = run(trial)
        assert second.returncode == 75
        holder = int((trial / ".cartrace.lock").read_text())
        assert f"process {holder} is running" in second.stdout
        assert alive(holder)
        assert not (trial / "logs" / "runs" / "2.log").exists()
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=120)
    assert first.returncode == 128 + signal.SIGTERM
    assert record(trial, 1)["ended"] == f"stopped by signal {int(signal.SIGTERM)}"
    wait_for(lambda: not alive(int((trial / "job.pid").read_text())))


def test_snakemake_stops_when_asked_also_where_the_run_was_started_to_ignore_sigint(trial):
    """As nohup and a shell's background jobs are."""
    configure(trial, seconds=60)
    process = start(trial, by=("/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh"))
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Terminating processes on user request" in said
    assert "killing it" not in said
    wait_for(lambda: not alive(int((trial / "job.pid").read_text())))


def test_time_up_stops_the_jobs_and_gives_status_124(trial):
    configure(trial, seconds=600)
    done = run(trial, "--timeout-minutes", "0.1", "--grace-seconds", "20")
    assert done.returncode == 124
    assert "time is up after 0.1 minutes" in done.stdout
    assert record(trial, 1)["ended"] == "timed out"
    # On a busy machine the time may be up before the job has begun.
    wait_for(lambda: not (job := trial / "job.pid").exists() or not alive(int(job.read_text())))
    configure(trial, seconds=0)
    assert run(trial).returncode == 0


def test_the_lock_holds_while_snakemake_lives_although_its_starter_was_killed(trial):
    configure(trial, seconds=60)
    process = start(trial)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=120)
    snakemake = int((trial / ".cartrace.lock").read_text())
    assert alive(snakemake)
    try:
        assert run(trial).returncode == 75
    finally:
        os.kill(snakemake, signal.SIGKILL)
        job = int((trial / "job.pid").read_text())
        os.kill(job, signal.SIGKILL)


def test_after_a_kill_the_orphans_are_ended_the_lock_removed_and_the_work_done(trial):
    configure(trial, seconds=60)
    process = start(trial)
    job = int((trial / "job.pid").read_text())
    snakemake = int((trial / ".cartrace.lock").read_text())
    for victim in (process.pid, snakemake):
        os.kill(victim, signal.SIGKILL)
    process.communicate(timeout=120)
    assert alive(job), "the job must have outlived its run for this test to mean anything"
    assert list((trial / ".snakemake" / "locks").iterdir())
    configure(trial, seconds=0)
    done = run(trial)
    assert done.returncode == 0, done.stdout
    assert not alive(job)
    assert "processes that an earlier run left" in done.stdout
    assert "removing the lock that an earlier run left" in done.stdout
    assert (trial / "results" / "end.txt").read_text() == "x\nhello\n"
    assert record(trial, 2)["exit_status"] == 0


def test_a_snakemake_started_by_hand_keeps_its_lock_and_the_run_leaves_with_status_75(trial):
    configure(trial, seconds=60)
    words = [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", "config.yaml"]
    with subprocess.Popen(
        words, cwd=trial, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        wait_for((trial / "job.pid").exists, process)
        locks = sorted((trial / ".snakemake" / "locks").iterdir())
        beside = run(trial)
        assert beside.returncode == 75
        assert (
            f"process {process.pid}, a Snakemake started by hand, is running on this trial" in beside.stdout
        )
        assert sorted((trial / ".snakemake" / "locks").iterdir()) == locks
        assert locks
        assert process.poll() is None
        assert not (trial / "logs").exists()
        os.killpg(process.pid, signal.SIGKILL)
    configure(trial, seconds=0)
    assert run(trial).returncode == 0


def test_results_that_snakemake_has_no_record_of_are_made_anew_and_left_parts_removed(trial):
    assert run(trial).returncode == 0
    shutil.rmtree(trial / ".snakemake")
    (trial / "results" / ".end.txt.x1y2z3.part").write_text("half")
    # Without the record, Snakemake alone takes the old result for this word.
    configure(trial, seconds=0, word="goodbye")
    done = run(trial)
    assert done.returncode == 0
    assert "removed 1 half-written files that an earlier run left" in done.stdout
    assert "2 results are made anew, since Snakemake has no record of them" in done.stdout
    assert (trial / "results" / "end.txt").read_text() == "x\ngoodbye\n"
    assert [path.name for path in (trial / "results").glob("*.part")] == []
