import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml

from cartrace import baseline, planned, schedule, tables
from cartrace.problems import InputError, holds_date
from cartrace.schedule import Exit, Request


@pytest.fixture
def trial(tmp_path):
    (tmp_path / "config.yaml").write_text("trial: {title: Toy}\n")
    return tmp_path


def test_extra_words_stand_before_options_that_would_swallow_them(trial):
    command = schedule.snakemake_command(
        Request(trial / "config.yaml", cores=3, extra=("results/x.txt", "--forceall")), executor="local"
    )
    assert command[1:5] == ["-m", "snakemake", "results/x.txt", "--forceall"]
    assert command[command.index("--cores") + 1] == "3"
    assert command[command.index("--directory") + 1] == str(trial.resolve())
    assert "--rerun-incomplete" in command
    assert "--dry-run" not in command


def test_on_slurm_the_cores_bound_this_machine_only_and_jobs_carry_the_name(trial):
    request = Request(trial / "config.yaml", cores=2, jobname_prefix="nightly")
    command = schedule.snakemake_command(request, executor="slurm")
    assert "--cores" not in command
    assert command[command.index("--local-cores") + 1] == "2"
    assert command[command.index("--slurm-jobname-prefix") + 1] == "nightly"


def test_each_trial_folder_has_its_own_job_names(trial, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "config.yaml"
    first, second = Request(trial / "config.yaml").prefix, Request(other).prefix
    assert first != second
    assert first == Request(trial / "." / "config.yaml").prefix
    assert first.startswith("cartrace-")


@pytest.mark.parametrize(
    ("text", "executor"), [("executor: slurm\njobs: 5\n", "slurm"), ("cores: 2\n", "local"), ("", "local")]
)
def test_the_profile_names_the_executor(tmp_path, text, executor):
    (tmp_path / "profile.v9+.yaml").write_text(text)
    assert schedule.executor_of(tmp_path) == executor


def test_without_a_profile_jobs_run_here_and_an_empty_folder_is_an_error(tmp_path):
    assert schedule.executor_of(None) == "local"
    with pytest.raises(InputError, match="no profile"):
        schedule.executor_of(tmp_path)


def test_the_profiles_of_this_repository_are_understood():
    profiles = schedule.REPOSITORY / "profiles"
    assert schedule.executor_of(profiles / "default") == "local"
    assert schedule.executor_of(profiles / "slurm") == "slurm"


def test_the_slurm_profile_avoids_the_traps_of_the_plugin():
    path = schedule.REPOSITORY / "profiles/slurm/profile.v9+.yaml"
    profile = yaml.safe_load(path.read_text())
    # docs/cluster.md: T2, T3, T5, T10, T11.
    assert profile["slurm-status-command"] == "squeue"
    assert profile["retries"] == 2
    assert profile["scheduler"] == "greedy"
    assert profile["slurm-status-attempts"] / profile["max-status-checks-per-second"] >= 600
    assert "groups" not in profile


def test_run_numbers_go_on_after_logs_and_records(trial):
    assert schedule.next_number(trial) == 1
    (trial / schedule.LOGS).mkdir(parents=True)
    (trial / schedule.RECORDS).mkdir(parents=True)
    (trial / schedule.LOGS / "9.log").touch()
    (trial / schedule.RECORDS / "10.json").touch()
    (trial / schedule.LOGS / "notes.log").touch()
    assert schedule.next_number(trial) == 11


def test_old_logs_go_and_the_newest_by_number_stay(tmp_path):
    for number in (1, 2, 9, 10, 11):
        (tmp_path / f"{number}.log").touch()
    (tmp_path / "notes.log").touch()
    schedule._prune(tmp_path, 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["10.log", "11.log", "notes.log"]
    schedule._prune(tmp_path, 0)
    assert len(list(tmp_path.iterdir())) == 3


def test_outputs_that_changed_are_told_apart_from_new_and_removed_ones():
    before = {"results/a": (1, 1), "results/b": (1, 1), "results/c": (1, 1)}
    after = {"results/a": (1, 1), "results/b": (1, 2), "results/d": (1, 1)}
    assert schedule._changes(before, after) == {
        "new": ["results/d"],
        "changed": ["results/b"],
        "removed": ["results/c"],
    }


def test_a_second_holder_is_told_who_has_the_folder_and_a_killed_holder_frees_it(trial):
    code = (
        "import os, pathlib, sys, time; from cartrace import schedule\n"
        "with schedule.hold(pathlib.Path(sys.argv[1])) as lock:\n"
        "    schedule._note(lock, os.getpid()); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(trial)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(schedule.Busy, match=f"process {other.pid} is running"), schedule.hold(trial):
            pytest.fail("two runs hold one trial folder")
        other.kill()
    with schedule.hold(trial) as lock:
        assert schedule._holder(lock) == other.pid


@pytest.fixture
def deaf_slurm(slurm, monkeypatch):
    """Commands that get no answer, as when the controller is down."""
    (slurm.parent / "squeue").write_text("#!/bin/sh\nexit 1\n")


def test_where_orphans_can_t_be_asked_for_nothing_is_started(deaf_slurm, trial):
    (trial / ".snakemake/slurm_logs").mkdir(parents=True)
    heard = []
    assert schedule.run(Request(trial / "config.yaml"), heard.append) == Exit.FAILED
    assert any("nothing was started: squeue got no answer" in line for line in heard)
    record = json.loads((trial / schedule.RECORDS / "1.json").read_text())
    assert record["exit_status"] == 1
    assert "squeue got no answer" in record["problems"][0]
    assert record["rules"] == {}


def plan_only(command, request, run_log, tell, lock=None, *, told=None):
    """Stand in for a Snakemake that has nothing to do."""
    try:
        raw = schedule.read_configuration(request.config)
        name = request.config.name
        planned.plan_and_tell(raw, request.trial, told, config_file=name, dry_run=request.dry_run)
    except InputError:
        return Exit.FAILED
    return Exit.OK


def test_commands_of_slurm_without_a_cluster_do_not_stop_a_run_that_never_used_one(
    deaf_slurm, trial, monkeypatch
):
    monkeypatch.setattr(schedule, "_follow", plan_only)
    assert schedule.run(Request(trial / "config.yaml"), lambda _: None) == Exit.BAD_INPUT


def test_a_snakemake_that_ends_before_its_plan_gives_no_inputs(trial, monkeypatch):
    monkeypatch.setattr(schedule, "_follow", lambda *_, **__: Exit.FAILED)
    assert schedule.run(Request(trial / "config.yaml"), lambda _: None) == Exit.FAILED
    record = json.loads((trial / schedule.RECORDS / "1.json").read_text())
    assert record["inputs"] == {}
    assert "results" not in record


def test_a_run_that_was_stopped_stays_so_when_its_plan_had_problems(trial, monkeypatch):
    def follow(*given, told):
        plan_only(*given, told=told)
        return Exit.TIMED_OUT

    monkeypatch.setattr(schedule, "_follow", follow)
    assert schedule.run(Request(trial / "config.yaml"), lambda _: None) == Exit.TIMED_OUT
    record = json.loads((trial / schedule.RECORDS / "1.json").read_text())
    assert record["problems"]


def test_jobs_that_outlive_their_snakemake_are_cancelled(slurm, trial):
    request = Request(trial / "config.yaml", jobname_prefix="nightly")
    slurm.write_text("11 nightly_aaa\n14 else\n")
    heard = []
    assert schedule._cancel_left(request, heard.append) == []
    assert heard == ["cartrace: cancelled 1 Slurm jobs that were left"]
    assert slurm.read_text() == "14 else\n"


def test_that_they_can_t_be_cancelled_is_told_in_the_record(deaf_slurm, trial):
    heard = []
    (problem,) = schedule._cancel_left(Request(trial / "config.yaml"), heard.append)
    assert heard == [f"cartrace: {problem}"]
    assert "squeue got no answer" in problem


def test_a_missing_configuration_is_bad_input_and_leaves_nothing(tmp_path):
    heard = []
    assert schedule.run(Request(tmp_path / "config.yaml"), heard.append) == Exit.BAD_INPUT
    assert "no configuration file" in heard[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [1\n", "no YAML"), ("- 1\n", "no mapping"), ("trail: {}\n", "did you mean 'trial'")],
)
def test_a_broken_configuration_is_bad_input_with_a_record(trial, text, message, monkeypatch):
    monkeypatch.setattr(schedule, "_follow", plan_only)
    (trial / "config.yaml").write_text(text)
    heard = []
    assert schedule.run(Request(trial / "config.yaml"), heard.append) == Exit.BAD_INPUT
    assert any(message in line for line in heard)
    record = json.loads((trial / schedule.RECORDS / "1.json").read_text())
    assert record["exit_status"] == 2
    assert record["ended"] == "bad input"
    assert any(message in problem for problem in record["problems"])
    assert record["rules"] == {}
    assert message in (trial / schedule.LOGS / "1.log").read_text()


def test_a_dry_run_with_a_broken_configuration_writes_nothing(trial):
    (trial / "config.yaml").write_text("a: [1\n")
    assert schedule.run(Request(trial / "config.yaml", dry_run=True), lambda _: None) == Exit.BAD_INPUT
    assert [p.name for p in trial.iterdir()] == ["config.yaml"]


def test_a_corrected_file_shows_in_what_changed_since_the_last_good_run(trial, monkeypatch):
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

    def night(value, sha256, status=Exit.OK):
        def follow(*_, **__):
            metrics = tables.rows([{**course, "value": value}], tables.METRICS)
            tables.write_table(metrics, trial / baseline.METRICS, tables.METRICS)
            return status

        monkeypatch.setattr(schedule, "_follow", follow)
        told = planned.Told({"data/pcr.csv": sha256 * 64})
        heard = []
        assert schedule.run(Request(trial / "config.yaml"), heard.append, lambda _: told) == status
        assert heard == (trial / schedule.LOGS / f"{night.number}.log").read_text().splitlines()
        record = json.loads((trial / schedule.RECORDS / f"{night.number}.json").read_text())
        night.number += 1
        return heard[-1], record.get("metrics")

    # Someone may be writing code while this runs.
    monkeypatch.setattr(schedule.identity, "code_sha256", lambda _: "0" * 64)
    monkeypatch.setattr(schedule.provenance, "code_version", lambda: "0.1.0")
    night.number = 1
    assert night(200.0, "1")[1] == {"not_compared": "no earlier run that ended well"}
    assert night(999.0, "1", Exit.FAILED)[1] is None
    line, told = night(250.0, "2")
    assert line == "cartrace: 1 metric changed since run 1: results/runs/3.changes.tsv"
    assert told["causes"] == ["1 input file changed under the old name: data/pcr.csv"]
    header, row = (trial / told["table"]).read_text().splitlines()
    cells = dict(zip(header.split("\t"), row.split("\t"), strict=True))
    assert (cells["value_before"], cells["value_after"]) == ("200.0", "250.0")
    assert cells["relative_difference"] == "0.25"
    assert night(250.0, "2")[0] == "cartrace: no metric changed since run 3"


def notified(tmp_path, code, *words, seconds=30.0):
    heard = []
    schedule.notify([sys.executable, "-c", code, *words], tmp_path / "7.json", seconds, heard.append)
    return heard


def test_the_notification_gets_its_own_words_and_the_record_and_no_shell(tmp_path):
    code = "import sys, pathlib; pathlib.Path(sys.argv[-1]).write_text('|'.join(sys.argv[1:]))"
    assert notified(tmp_path, code, "a b; $HOME *") == []
    assert (tmp_path / "7.json").read_text() == f"a b; $HOME *|{tmp_path / '7.json'}"


def test_a_notification_that_fails_or_is_not_there_is_a_line_of_the_log(tmp_path):
    assert notified(tmp_path, "raise SystemExit(3)") == ["cartrace: the notification ended with status 3"]
    heard = []
    for command in (tmp_path / "none", tmp_path):
        schedule.notify([str(command)], tmp_path / "7.json", 1.0, heard.append)
    assert heard == [
        "cartrace: the notification could not start (FileNotFoundError)",
        "cartrace: the notification could not start (PermissionError)",
    ]


def test_a_notification_that_hangs_is_ended_with_what_it_started(tmp_path):
    code = (
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "pathlib.Path(sys.argv[-1]).write_text(str(child.pid)); time.sleep(60)"
    )
    heard = notified(tmp_path, code, seconds=1.0)
    assert heard == ["cartrace: the notification took longer than 1 s and was ended"]
    child = Path(f"/proc/{(tmp_path / '7.json').read_text()}/stat")
    deadline = time.monotonic() + 10
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_reading_the_schedule_loads_no_heavy_library():
    code = "import sys, cartrace.schedule; print({'pandas', 'numpy', 'snakemake'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert Path(schedule.REPOSITORY / "Snakefile").is_file()


def test_no_line_says_where_on_this_machine_the_files_lie(trial):
    config = trial / "config.yaml"
    config.write_text("data_dir: /share/Quackenbush\nsheets: {subjects: ../Zebulon/s.tsv, infusions: ../}\n")
    hide = schedule.placeless(Request(config))
    relative = os.path.relpath(schedule.REPOSITORY, trial)
    told = f"input: {relative}/scripts/a.py, {schedule.REPOSITORY}/b.py, /share/Quackenbush/a.csv, ../Zebulon/s.tsv"
    assert hide(told) == (
        "input: <cartrace>/scripts/a.py, <cartrace>/b.py, <data_dir>/a.csv, <configuration>/sheets.subjects"
    )
    assert hide(f"Config: [PosixPath('{trial}/config.yaml')]") == "Config: [PosixPath('<trial>/config.yaml')]"
    assert hide(f"../../x {trial}2/a data{trial}") == f"../../x {trial}2/a data{trial}"
    assert hide(f"tmpdir={tempfile.gettempdir()}, mem_mb=5") == "tmpdir=<tmp>, mem_mb=5"


INBOX = """inbox:
  settle_minutes: 0
  folders:
    qpcr:
      folder: left
      patterns: [{name: 'run_(?P<file_id>.+)[.]tsv', reader: laboratory_table, mapping: mappings/pcr.yaml}]
"""


@pytest.fixture
def with_inbox(trial, monkeypatch):
    """A trial folder with an inbox, on which Snakemake has nothing to do."""
    files = {
        "config.yaml": INBOX,
        "sheets/subjects.tsv": "subject_id\nP1\n",
        "sheets/products.tsv": "product\tvector\nCT103A\tlentiviral\n",
        "sheets/infusions.tsv": "subject_id\tinfusion\tproduct\tday\nP1\t1\tCT103A\t0\n",
        "sheets/files.tsv": "file_id\tpath\treader\tmapping\n",
        "mappings/pcr.yaml": "subject: patient\nmatrix: blood\nday: day\n"
        "values: [{column: copies, analyte: transgene, assay: qpcr, unit: copies/ug}]\n",
        "left/run_1.tsv": "one",
        "left/run_2.tsv": "two",
        "left/stray.tsv": "three",
        "left/run_2031-03-04.tsv": "four",
    }
    for name, text in files.items():
        (trial / name).parent.mkdir(exist_ok=True)
        (trial / name).write_text(text)
    monkeypatch.setattr(schedule, "_follow", plan_only)
    monkeypatch.setattr(schedule.identity, "code_sha256", lambda _: "0" * 64)
    return trial


def scheduled(trial, **options):
    heard = []
    assert schedule.run(Request(trial / "config.yaml", **options), heard.append) == Exit.OK
    lines = [line.removeprefix("cartrace: inbox: ") for line in heard if "inbox: " in line]
    assert not any(holds_date(line) for line in heard)
    return lines


UNUSED = [
    "not used, refused: qpcr/run_<date>.tsv: a calendar date in its name (a name without a date "
    "(or privacy.dates_in_file_names: allow))",
    "not used, unmatched: qpcr/stray.tsv: no row of a sheet names it, and no pattern fits its name",
]


def test_each_run_takes_in_what_came_and_its_log_and_record_tell_it(with_inbox):
    assert scheduled(with_inbox) == [
        "taken in: qpcr/run_1.tsv",
        "taken in: qpcr/run_2.tsv",
        "taken in: qpcr/stray.tsv",
        *UNUSED,
    ]
    record = json.loads((with_inbox / schedule.RECORDS / "1.json").read_text())
    assert record["inbox"]["taken_in"] == ["qpcr/run_1.tsv", "qpcr/run_2.tsv", "qpcr/stray.tsv"]
    assert record["inbox"]["counts"] == {"refused": 1, "unmatched": 1, "used": 2}
    assert [entry["name"] for entry in record["inbox"]["not_used"]] == ["run_<date>.tsv", "stray.tsv"]
    stored = {name for name in record["inputs"] if "inbox" in name}
    assert stored == {"data/inbox/qpcr/run_1.tsv", "data/inbox/qpcr/run_2.tsv"}
    (with_inbox / "left/run_2.tsv").write_text("two, corrected")
    assert scheduled(with_inbox) == ["corrected: qpcr/run_2.tsv", *UNUSED]
    record = json.loads((with_inbox / schedule.RECORDS / "2.json").read_text())
    assert (record["inbox"]["taken_in"], record["inbox"]["corrected"]) == ([], ["qpcr/run_2.tsv"])
    assert record["metrics"] == {"not_compared": "no metrics"} or record["exit_status"] == 0


def test_a_dry_run_tells_what_would_be_taken_in_and_writes_nothing(with_inbox):
    before = {path: path.stat().st_mtime_ns for path in with_inbox.rglob("*")}
    lines = scheduled(with_inbox, dry_run=True)
    assert lines == [f"would be taken in: qpcr/{name}.tsv" for name in ("run_1", "run_2", "stray")]
    assert {path: path.stat().st_mtime_ns for path in with_inbox.rglob("*")} == before


def test_long_lists_of_the_inbox_are_counted(with_inbox):
    for number in range(60):
        (with_inbox / f"left/x{number:02d}.tsv").write_text(str(number))
    lines = scheduled(with_inbox)
    assert lines.count("and 13 more files taken in") == 1
    assert lines.count("and 12 more files that are not used") == 1
    assert len(lines) == 2 * 51


def test_a_faulty_inbox_is_bad_input_and_takes_in_nothing(with_inbox):
    (with_inbox / "config.yaml").write_text(INBOX.replace("folder: left", "folder: data"))
    assert schedule.run(Request(with_inbox / "config.yaml"), lambda _: None) == Exit.BAD_INPUT
    record = json.loads((with_inbox / schedule.RECORDS / "1.json").read_text())
    assert "inbox.folders.qpcr.folder" in record["problems"][0]
    assert not (with_inbox / "data").exists()


def test_an_inbox_that_can_t_be_looked_at_stops_no_run(with_inbox, monkeypatch):
    from cartrace.intake import inbox

    def broken(*_, **__):
        raise OSError(5, "a share that went away")

    monkeypatch.setattr(inbox, "take_in", broken)
    assert scheduled(with_inbox) == ["nothing was taken in (OSError); what came before is used"]
    assert "inbox" not in json.loads((with_inbox / schedule.RECORDS / "1.json").read_text())
