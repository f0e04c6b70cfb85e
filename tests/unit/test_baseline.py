import json
import subprocess
import sys

import pandas as pd
import pytest

from cartrace import baseline
from cartrace.changes_between_runs import CHANGES
from cartrace.identity import seal
from cartrace.tables import MEASUREMENTS, METRICS, empty, read_table, rows, write_table

COURSE = {"subject_id": "NMO-001", "infusion": 1, "matrix": "blood", "analyte": "transgene", "assay": "qpcr"}


class Trial:
    """A trial folder whose runs only differ in the metrics that they left."""

    def __init__(self, folder):
        self.folder, self.records, self.heard = folder, folder / "results" / "runs", []

    def metrics(self, **values):
        listed = [
            {**COURSE, "course_unit": "copies/ug", "metric": name, "value": value, "status": "estimated"}
            for name, value in values.items()
        ]
        write_table(rows(listed, METRICS), self.folder / baseline.METRICS, METRICS)

    def run(self, number, *, status=0, recorded=True, **parts):
        record = {"run": number, "exit_status": status, "inputs": {}, **parts}
        told = None
        if status == 0:
            told = baseline.tell_changes(self.folder, self.records, record, self.heard.append)
        if recorded:
            record["record_sha256"] = seal(record)
            (self.records / f"{number}.json").write_text(json.dumps(record))
            if status == 0:
                baseline.forget_older(self.records, number)
        return told

    def changes(self, number):
        return read_table(self.records / f"{number}.changes.parquet", CHANGES).set_index("metric")

    def files(self):
        return sorted(p.name for p in self.records.iterdir() if p.suffix != ".json")


@pytest.fixture
def trial(tmp_path):
    made = Trial(tmp_path)
    made.records.mkdir(parents=True)
    made.metrics(cmax=200.0, tmax=10.0)
    write_table(empty(MEASUREMENTS), tmp_path / baseline.MEASUREMENTS, MEASUREMENTS)
    return made


def test_the_first_run_has_no_table_and_says_so(trial):
    assert trial.run(1) == {"not_compared": "no earlier run that ended well"}
    assert trial.heard == ["cartrace: no table of changes: no earlier run that ended well"]
    assert trial.files() == ["1.measurements.parquet", "1.metrics.parquet"]


def test_a_changed_metric_is_in_both_files_in_the_log_and_counted(trial):
    trial.run(1)
    trial.metrics(cmax=250.0, tmax=10.0, tlast=90.0)
    told = trial.run(2, config_sha256="new")
    assert told == {
        "since_run": 1,
        "added": 1,
        "changed": 1,
        "removed": 0,
        "table": "results/runs/2.changes.tsv",
        "causes": ["configuration changed"],
    }
    assert trial.heard[-1] == ("cartrace: 1 metric changed, 1 added since run 1: results/runs/2.changes.tsv")
    assert trial.changes(2)["value_before"].to_dict()["cmax"] == 200
    printed = pd.read_csv(trial.records / "2.changes.tsv", sep="\t")
    assert dict(zip(printed["metric"], printed["value_after"], strict=True)) == {"cmax": 250, "tlast": 90}
    assert set(printed["causes"]) == {"configuration changed"}


def test_without_a_change_there_is_no_table(trial):
    trial.run(1)
    told = {"since_run": 1, "added": 0, "changed": 0, "removed": 0}
    assert trial.run(2) == told
    # Other bytes, the same numbers.
    trial.metrics(tmax=10.0, cmax=200.0)
    assert trial.run(3) == told | {"since_run": 2}
    assert trial.heard[-1] == "cartrace: no metric changed since run 2"
    assert trial.files() == ["3.measurements.parquet", "3.metrics.parquet"]


def test_what_a_failed_or_killed_run_left_never_becomes_the_baseline(trial):
    trial.run(1)
    trial.metrics(cmax=7.0, tmax=10.0)
    trial.run(2, status=1)
    trial.run(3, recorded=False)
    trial.metrics(cmax=8.0, tmax=10.0)
    assert trial.run(4)["since_run"] == 1
    assert trial.changes(4)[["value_before", "value_after"]].values.tolist() == [[200.0, 8.0]]
    assert "3.metrics.parquet" not in trial.files()


def test_a_later_edit_of_the_metrics_is_no_edit_of_the_baseline(trial):
    trial.run(1)
    (trial.folder / baseline.METRICS).write_bytes(b"XXXX")
    told = trial.run(2)
    assert told == {"not_compared": "the tables of run 1 and this one can't be compared (ArrowInvalid)"}
    assert not list(trial.records.glob("2.changes*"))


def test_a_table_that_could_not_be_written_leaves_nothing_and_harms_no_run(trial, monkeypatch):
    trial.run(1)
    trial.metrics(cmax=1.0)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cartrace.tables.write_tsv", full)
    assert "OSError" in trial.run(2)["not_compared"]
    assert not list(trial.records.glob("2.changes*"))


def test_tables_of_another_version_are_not_compared_and_the_run_goes_on(trial):
    trial.run(1)
    pd.DataFrame({"old": [1]}).to_parquet(trial.records / "1.metrics.parquet")
    assert "can't be compared" in trial.run(2)["not_compared"]
    trial.metrics(cmax=1.0)
    assert trial.run(3)["since_run"] == 2


def test_without_measurements_before_no_file_is_named(trial):
    trial.run(1)
    (trial.records / "1.measurements.parquet").unlink()
    trial.metrics(cmax=1.0)
    trial.run(2)
    assert trial.changes(2)["change"].to_dict() == {"cmax": "changed", "tmax": "removed"}
    assert trial.changes(2)["source_files"].isna().all()


def test_a_run_of_some_targets_is_not_compared_and_no_baseline(trial):
    trial.run(1)
    trial.metrics(cmax=1.0)
    assert trial.run(2, whole=False) == {"not_compared": "this run was not of the whole workflow"}
    assert trial.run(3)["since_run"] == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"run": 9, "exit_status": 0}', '{"run": 1}'])
def test_a_broken_record_is_no_baseline(trial, text):
    trial.run(1)
    (trial.records / "1.json").write_text(text)
    assert baseline.last_record(trial.records) is None


def test_a_record_that_somebody_edited_is_no_baseline(trial):
    trial.run(1, config_sha256="old")
    record = trial.records / "1.json"
    written = record.read_text()
    assert baseline.last_record(trial.records)["config_sha256"] == "old"
    record.write_text(written.replace('"old"', '"new"'))
    assert baseline.last_record(trial.records) is None
    assert trial.run(2) == {"not_compared": "no earlier run that ended well"}


def test_metrics_that_could_not_be_kept_leave_those_before_them(trial, monkeypatch):
    trial.run(1)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("shutil.copyfile", full)
        trial.run(2)
    assert trial.run(3)["since_run"] == 1


def test_numbers_count_as_numbers(trial):
    for number in (9, 10):
        trial.run(number)
    assert baseline.last_record(trial.records)["run"] == 10


def test_a_workflow_without_metrics_tells_nothing(tmp_path):
    assert baseline.tell_changes(tmp_path, tmp_path, {"run": 1}, pytest.fail) is None


def test_a_formula_in_a_table_of_changes_is_defused(trial):
    trial.run(1)
    trial.metrics(**{"=1+1": 3.0, "cmax": 200.0, "tmax": 10.0})
    trial.run(2)
    assert "'=1+1" in (trial.records / "2.changes.tsv").read_text()


def test_reading_the_baseline_module_loads_no_heavy_library():
    code = "import sys, cartrace.baseline; print({'pandas', 'numpy', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
