"""A recorded trial, tampered with: what the program says and how it exits."""

import json
from pathlib import Path

import pytest
from tests.loading import load_module

from cartrace import planned, schedule
from cartrace.problems import holds_date
from cartrace.schedule import Request

PROGRAM = Path(__file__).parents[2] / "scripts" / "verify_results.py"
SNAKEFILE = """
from pathlib import Path
from cartrace import planned

planned.plan_workflow(config, Path.cwd(), main=workflow.is_main_process)


rule all:
    input:
        "data/qpcr.csv",
    output:
        "results/report.html",
    shell:
        "cp {input} {output}"
"""
TRIAL = {
    "config.yaml": "trial: {title: Toy}\n"
    "sheets: {subjects: null, infusions: null, products: null}\n"
    "single_infusion: {product: our CAR, vector: lentiviral}\n",
    "sheets/files.tsv": "file_id\tpath\treader\tmapping\nqpcr\tqpcr.csv\tlaboratory_table\tmappings/qpcr.yaml\n",
    "mappings/qpcr.yaml": "{subject: Patient, day: {column: Day}, matrix: blood, "
    "values: [{column: copies, analyte: transgene, assay: qpcr, unit: copies/ug, lod: 10, lloq: 50}]}\n",
    "data/qpcr.csv": "Patient,Day,copies\nP1,7,1200\n",
    "Snakefile": SNAKEFILE,
}


@pytest.fixture
def main():
    program = load_module(PROGRAM)
    return program.main


@pytest.fixture
def trial(tmp_path):
    for name, text in TRIAL.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(trial, monkeypatch=None):
    """Run the trial with its small workflow; with ``monkeypatch`` without starting Snakemake."""
    if monkeypatch:

        def follow(_command, request, *_, told):
            raw = schedule.read_configuration(request.config)
            planned.plan_and_tell(raw, trial, told, config_file="config.yaml", dry_run=False)
            (trial / "results").mkdir(exist_ok=True)
            (trial / "results" / "report.html").write_bytes((trial / "data" / "qpcr.csv").read_bytes())
            return 0

        monkeypatch.setattr(schedule, "_follow", follow)
    request = Request(trial / "config.yaml", cores=1, snakefile=trial / "Snakefile")
    assert schedule.run(request, lambda _: None) == 0


def verify(main, trial, capsys, *options):
    status = main(["--config", str(trial / "config.yaml"), *options])
    return status, *capsys.readouterr()


@pytest.mark.slow
def test_a_real_run_is_verified_and_nothing_is_written(main, trial, capsys):
    run(trial)
    before = {p: p.lstat().st_mtime_ns for p in trial.rglob("*")}
    status, out, err = verify(main, trial, capsys)
    assert status == 0, out + err
    assert out == "cartrace: compared with run 1: 3 inputs, 1 results\nall match\n"
    assert {p: p.lstat().st_mtime_ns for p in trial.rglob("*")} == before
    record = json.loads((trial / "results/runs/1.json").read_text())
    assert list(record["inputs"]) == ["data/qpcr.csv", "mappings/qpcr.yaml", "sheets/files.tsv"]
    assert list(record["results"]) == ["results/report.html"]
    cache = (trial / "results/runs/hashes.json").read_text()
    assert not holds_date(json.dumps(record["results"]) + json.dumps(record["inputs"]) + cache)


@pytest.mark.parametrize(
    "line",
    [
        "configuration changed: config.yaml",
        "input changed: data/qpcr.csv",
        "input changed: mappings/qpcr.yaml",
        "input changed: sheets/files.tsv",
        "result changed: results/report.html",
    ],
)
def test_each_changed_file_is_told_and_gives_status_1(main, trial, capsys, monkeypatch, line):
    run(trial, monkeypatch)
    with (trial / line.partition(": ")[2]).open("a") as file:
        file.write("\n")
    status, out, _ = verify(main, trial, capsys)
    assert status == 1
    assert line in out.splitlines()
    assert "NOT all match" in out


def test_a_missing_input_is_told_although_the_trial_can_not_be_planned(main, trial, capsys, monkeypatch):
    run(trial, monkeypatch)
    (trial / "data" / "qpcr.csv").unlink()
    status, out, err = verify(main, trial, capsys, "--json")
    told = json.loads(out)
    assert (status, err) == (1, "")
    assert told["matches"] is False
    assert told["inputs"]["missing"] == ["data/qpcr.csv"]
    assert told["results"] == {"changed": [], "missing": [], "not_in_record": [], "not_read": {}}
    assert "no file 'qpcr.csv'" in told["problems"][0]


def test_another_state_of_cartrace_is_told_and_is_no_difference(main, trial, capsys, monkeypatch):
    monkeypatch.setattr(schedule.identity, "code_sha256", lambda _: "0" * 64)
    run(trial, monkeypatch)
    monkeypatch.undo()
    status, out, _ = verify(main, trial, capsys)
    assert status == 0
    assert "note: made by another state of cartrace" in out


def test_a_broken_configuration_is_told_with_what_still_matches(main, trial, capsys, monkeypatch):
    run(trial, monkeypatch)
    (trial / "config.yaml").write_text("a: [1\n")
    status, out, err = verify(main, trial, capsys)
    assert (status, err) == (1, "")
    assert "configuration changed: config.yaml" in out
    assert "the trial can't be planned now: config.yaml" in out


def test_without_a_usable_record_the_status_is_2(main, trial, capsys, monkeypatch):
    assert verify(main, trial, capsys)[0] == 2
    run(trial, monkeypatch)
    (trial / "results/runs/1.json").write_text("{")
    status, out, err = verify(main, trial, capsys)
    assert (status, out) == (2, "")
    assert "results/runs/1.json: found no JSON" in err
    (trial / "config.yaml").unlink()
    status, out, err = verify(main, trial, capsys)
    assert (status, out) == (2, "")
    assert "no configuration file" in err
    assert str(trial) not in err


def test_while_a_run_is_going_on_nothing_is_said(main, trial, capsys, monkeypatch):
    run(trial, monkeypatch)
    with schedule.hold(trial):
        status, out, err = verify(main, trial, capsys)
    assert (status, out) == (75, "")
    assert "a run is going on" in err
    assert verify(main, trial, capsys)[0] == 0
