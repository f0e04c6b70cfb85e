"""A whole trial through Slurm says what a run on this machine says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.same_results import differences
from tests.slurm.cluster import ACCOUNT
from tests.slurm.conftest import PROGRAM, REPOSITORY

MADE_BY_RUNS = ("results", "logs", "benchmarks", ".snakemake", ".cartrace.lock", "report.zip")


@pytest.fixture
def finished(tmp_path, cluster):
    """A trial that has run on this machine: the one that is named (`make demo`), else a small one of its own."""
    if named := os.environ.get("CARTRACE_FINISHED_TRIAL"):
        trial = Path(named).resolve()
        assert (trial / "results/report.html").is_file(), f"{trial} has not run"
        return trial
    trial = tmp_path / "local"
    simulate = REPOSITORY / "scripts/simulate/simulate_trial.py"
    small = ("--subjects", "3", "--without-libraries", "--output", str(trial))
    subprocess.run([sys.executable, str(simulate), *small], check=True, stdout=subprocess.DEVNULL)
    profile = ("--profile", str(REPOSITORY / "profiles/default"))
    subprocess.run(
        [sys.executable, str(PROGRAM), "--config", str(trial / "config.yaml"), *profile], check=True
    )
    return trial


def test_a_trial_through_slurm_has_the_results_of_a_local_run(tmp_path, cluster, make_place, finished):
    place = make_place(tmp_path / "trial")
    shutil.copytree(finished, place.trial, ignore=shutil.ignore_patterns(*MADE_BY_RUNS))
    assert place.run(seconds=3600) == 0, place.said[-5000:]
    assert differences(finished, place.trial) == []
    jobs = cluster.jobs(place.prefix)
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert {job.account for job in jobs} == {ACCOUNT}
    rules = place.record()["rules"]
    assert rules.pop("all")["jobs"] == 1
    assert len(jobs) == sum(rule["jobs"] for rule in rules.values())
    assert place.run() == 0
    assert "Nothing to be done" in place.said
    assert cluster.jobs(place.prefix) == jobs
