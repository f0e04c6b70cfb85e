"""Jobs that are cancelled, starved, moved and orphaned, on a workflow of a few sleeping jobs."""

import os
import signal
import subprocess
import time

import pytest
import yaml
from tests.slurm.conftest import wait_until

SNAKEFILE = """
rule all:
    input:
        expand("results/{n}.txt", n=range(config["steps"])),


rule step:
    output:
        "results/{n}.txt",
    resources:
        mem_mb=lambda wildcards, attempt: attempt * config["mem_mb"],
        runtime=5,
    params:
        command=config["command"],
    shell:
        "mkdir -p tries; echo $SLURM_JOB_ID >>tries/{wildcards.n}; "
        "N={wildcards.n}; {params.command}; echo $SLURM_JOB_ID >{output}"
"""


@pytest.fixture
def toy(tmp_path, make_place):
    """Make a trial folder with so many jobs of one shell command; each writes its Slurm job's number."""

    def make(command, *, steps=4, mem_mb=600):
        place = make_place(tmp_path / "trial", tmp_path / "Snakefile")
        place.trial.mkdir(exist_ok=True)
        place.snakefile.write_text(SNAKEFILE)
        values = {"command": command, "steps": steps, "mem_mb": mem_mb}
        (place.trial / "config.yaml").write_text(yaml.safe_dump(values))
        return place

    return make


def written_by(place):
    """Number of the Slurm job that wrote each result."""
    return {p.stem: p.read_text().strip() for p in sorted((place.trial / "results").glob("*.txt"))}


def tries(place):
    """Numbers of the Slurm jobs that began each result, in their order."""
    return {p.name: p.read_text().split() for p in sorted((place.trial / "tries").iterdir())}


def states(cluster, place):
    return {job.number: job.state for job in cluster.jobs(place.prefix)}


def wait_for_steps(cluster, place, number=4):
    """Wait until so many jobs have begun their shell command; return them."""
    wait_until(lambda: len(list((place.trial / "tries").glob("*"))) == number)
    return cluster.running(place.prefix)


def test_a_cancelled_job_is_reported_or_retried_and_a_rerun_makes_only_what_is_missing(cluster, toy):
    place = toy("sleep 10")
    run = place.start(retries=0)
    cancelled = wait_for_steps(cluster, place)[0]
    cluster.ask("scancel", cancelled)
    assert place.finish(run) == 1, place.said
    assert f"SLURM-job '{cancelled}' failed, SLURM status is: 'CANCELLED'" in place.said
    assert place.record()["rules"]["step"]["failed"] == 1
    first = written_by(place)
    assert len(first) == 3

    run = place.start()
    (again,) = wait_until(
        lambda: set(cluster.running(place.prefix)) & {t for n in tries(place).values() for t in n}
    )
    cluster.ask("scancel", again)
    assert place.finish(run) == 0, place.said
    counted = place.record()["rules"]["step"]
    assert (counted["jobs"], counted["failed"]) == (2, 1)
    assert written_by(place).items() > first.items()
    assert sorted(states(cluster, place).values()) == ["CANCELLED"] * 2 + ["COMPLETED"] * 4


def test_a_job_over_its_memory_comes_again_with_more(cluster, toy):
    # The step's Snakemake takes some 125 MB beside these 600.
    place = toy("python -c 'import time; b = bytearray(600 * 2**20); time.sleep(4)'", steps=1, mem_mb=500)
    assert place.run() == 0, place.said
    jobs = cluster.jobs(place.prefix)
    assert "exceeded memory limit" in place.said
    assert [(job.state == "COMPLETED", job.memory_mb) for job in jobs] == [(False, 500), (True, 1000)]
    # Each attempt is an allocation of its own, and none is repeated inside one (T3).
    assert tries(place) == {"0": [job.number for job in jobs]}


def test_a_job_that_can_t_read_its_file_is_tried_three_times_and_costs_the_others_nothing(cluster, toy):
    place = toy("test $N != 1", steps=3)
    assert place.run() == 1, place.said
    bad = [job for job in cluster.jobs(place.prefix) if job.state == "FAILED"]
    assert [job.memory_mb for job in bad] == [600, 1200, 1800]
    assert tries(place)["1"] == [job.number for job in bad]
    counted = place.record()["rules"]["step"]
    assert (counted["jobs"], counted["failed"]) == (5, 3)
    assert written_by(place) == {"0": tries(place)["0"][0], "2": tries(place)["2"][0]}


def test_a_group_with_one_bad_file_loses_the_results_of_the_good_ones(cluster, toy):
    """Why the profile groups no jobs."""
    place = toy("test $N != 1", steps=3)
    group = {"groups": ["step=files"], "group_components": ["files=3"]}
    assert place.run(retries=0, **group) == 1, place.said
    (job,) = cluster.jobs(place.prefix)
    assert tries(place) == {n: [job.number] for n in "012"}
    assert "Removing output files of failed job step" in place.said
    assert written_by(place) == {}


def test_jobs_on_a_drained_node_end_and_the_others_go_elsewhere(cluster, toy):
    place = toy("sleep 8", steps=8, mem_mb=1000)
    run = place.start(jobs=4)
    before = wait_for_steps(cluster, place, 4)
    cluster.ask("scontrol", "update", "NodeName=n1", "State=DRAIN", "Reason=test")
    try:
        assert place.finish(run) == 0, place.said
    finally:
        cluster.ask("scontrol", "update", "NodeName=n1", "State=RESUME")
    jobs = cluster.jobs(place.prefix)
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert len(jobs) == 8
    assert {job.node for job in jobs if job.number not in before} == {"n2"}


def test_jobs_of_a_node_that_goes_down_are_started_again_by_slurm(cluster, toy):
    place = toy("sleep 10")
    run = place.start()
    lost = wait_for_steps(cluster, place)
    # It comes back by itself as soon as it reports to the controller (ReturnToService).
    cluster.ask("scontrol", "update", "NodeName=n1,n2", "State=DOWN", "Reason=test")
    assert place.finish(run) == 0, place.said
    assert sorted(tries(place).values()) == [[number, number] for number in lost]
    assert states(cluster, place) == dict.fromkeys(lost, "COMPLETED")


def test_the_run_outlives_a_restart_of_the_controller(cluster, toy):
    place = toy("sleep 15", steps=8)
    run = place.start(jobs=4)
    wait_for_steps(cluster, place)
    # With the accounting, else the plugin would ask that meanwhile.
    for daemon in ("slurmctld", "slurmdbd"):
        cluster.stop(daemon)
    time.sleep(20)
    cluster.start_accounting()
    cluster.start_controller()
    assert place.finish(run) == 0, place.said
    assert len(written_by(place)) == 8
    assert set(states(cluster, place).values()) == {"COMPLETED"}


def test_orphans_of_a_killed_run_are_cancelled_before_they_overwrite_newer_results(cluster, toy):
    place = toy("sleep 45")
    run = place.start()
    orphans = wait_for_steps(cluster, place)
    begun = time.monotonic()
    kill_all(run.pid)
    run.wait()
    assert cluster.running(place.prefix) == orphans
    assert len(orphans) == 4
    assert written_by(place) == {}

    place = toy("sleep 1")
    assert place.run() == 0, place.said
    assert "cancelled 4 Slurm jobs that an earlier run left" in place.said
    found = states(cluster, place)
    assert {found[number] for number in orphans} == {"CANCELLED"}
    results = written_by(place)
    # Past the moment at which the orphans would have written.
    time.sleep(max(0, begun + 50 - time.monotonic()))
    assert written_by(place) == results
    assert set(results.values()).isdisjoint(orphans)
    assert place.run() == 0
    assert "Nothing to be done" in place.said


def kill_all(parent):
    """SIGKILL a run and the Snakemake that it started, as a crash of the submit host does."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, check=True)
    for pid in (parent, *map(int, listed.stdout.split())):
        os.kill(pid, signal.SIGKILL)


def test_the_end_of_the_time_limit_cancels_the_jobs(cluster, toy):
    place = toy("sleep 60")
    assert place.run("--timeout-minutes", "0.4") == 124, place.said
    assert "time is up" in place.said
    # Also those that the plugin submitted after it was told to stop. Failed is one whose processes,
    # here on the submit host, were ended before Slurm was asked.
    assert set(states(cluster, place).values()) <= {"CANCELLED", "FAILED"}
    assert written_by(place) == {}
