import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from cartrace import identity
from cartrace.config import Config
from cartrace.problems import InputError, holds_date
from cartrace.provenance import sha256_of

INPUT, RESULT = "data/plate.txt", "results/tables/metrics.tsv"


@pytest.fixture
def trial(tmp_path):
    folder = tmp_path / "trial"
    for name, text in {
        "config.yaml": "trial: {title: Toy}\n",
        INPUT: "raw\n",
        RESULT: "value\n1.5\n",
        "results/report.html": "<p>1.5</p>\n",
        "results/intake/manifest.json": "[]\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def record(trial, number, touched=(), *, whole=True, exit_status=0, **changes):
    """Write the record of a run, as the scheduled entry does."""
    told = {
        "run": number,
        "exit_status": exit_status,
        "ended": "ok" if exit_status == 0 else "failed",
        "config_sha256": sha256_of(trial / "config.yaml"),
        "inputs": {INPUT: sha256_of(trial / INPUT)},
        "code_version": "1.0",
        "code_sha256": "0" * 64,
        "whole": whole,
        **identity.identify_results(trial, number, touched),
        **changes,
    }
    told["record_sha256"] = identity.seal(told)
    path = trial / identity.RECORDS / f"{number}.json"
    path.write_text(json.dumps(told))
    return told


def verify(trial, planned=(INPUT,), **more):
    return identity.verify(trial, trial / "config.yaml", {n: trial / n for n in planned}, **more)


def tree(folder):
    return {p.relative_to(folder): (p.lstat().st_mtime_ns, p.lstat().st_ctime_ns) for p in folder.rglob("*")}


def test_an_untouched_trial_matches_and_nothing_is_written(trial):
    told = record(trial, 1)
    assert set(told["results"]) == {RESULT, "results/report.html"}
    before = tree(trial)
    verdict = verify(trial)
    assert verdict.matches
    assert verdict.run == 1
    assert verdict.recorded == {"inputs": 1, "results": 2}
    assert tree(trial) == before


@pytest.mark.parametrize(("name", "part"), [(INPUT, "inputs"), (RESULT, "results")])
def test_one_changed_byte_is_told_even_with_the_old_size_and_time(trial, name, part):
    record(trial, 1)
    path = trial / name
    status = path.stat()
    path.write_bytes(b"X" + path.read_bytes()[1:])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    verdict = verify(trial)
    assert not verdict.matches
    assert getattr(verdict, part) == identity.Difference([name], [], [], {})


@pytest.mark.parametrize(("name", "part"), [(INPUT, "inputs"), (RESULT, "results")])
def test_a_missing_file_is_told(trial, name, part):
    record(trial, 1)
    (trial / name).unlink()
    verdict = verify(trial)
    assert not verdict.matches
    assert getattr(verdict, part) == identity.Difference([], [name], [], {})


def test_a_file_more_is_told(trial):
    record(trial, 1)
    (trial / "results" / "more.tsv").touch()
    (trial / "data" / "new.txt").touch()
    verdict = verify(trial, [INPUT, "data/new.txt"])
    assert verdict.results.not_in_record == ["results/more.tsv"]
    assert verdict.inputs.not_in_record == ["data/new.txt"]
    assert not verdict.matches


def test_an_input_that_is_used_no_more_is_told(trial):
    record(trial, 1)
    assert verify(trial, []).inputs.missing == [INPUT]


def test_a_changed_configuration_is_told(trial):
    record(trial, 1)
    with (trial / "config.yaml").open("a") as file:
        file.write("#")
    verdict = verify(trial)
    assert not verdict.config_same
    assert not verdict.matches


@pytest.mark.parametrize(("name", "part"), [(INPUT, "inputs"), (RESULT, "results")])
def test_a_link_that_leads_out_is_told_and_not_read(trial, name, part):
    record(trial, 1)
    # The same content: only by not reading it can it differ.
    (trial / name).rename(trial.parent / "outside")
    (trial / name).symlink_to(trial.parent / "outside")
    assert getattr(verify(trial), part).not_read == {name: "leads out of the trial folder"}
    assert not verify(trial).matches


def test_folders_of_results_and_data_may_be_links_but_none_below_them(trial):
    for name in ("results", "data"):
        (trial / name).rename(trial.parent / name)
        (trial / name).symlink_to(trial.parent / name)
    record(trial, 1)
    assert verify(trial, data_dir="data").matches
    (trial / "results" / "more").symlink_to(trial)
    assert verify(trial, data_dir="data").results.not_read == {"results/more": "a link to a folder"}


def test_pipes_and_links_in_a_circle_are_told_and_do_not_hang(trial):
    record(trial, 1)
    os.mkfifo(trial / "results" / "pipe")
    (trial / "results" / "circle").symlink_to("circle")
    refused = verify(trial).results.not_read
    assert refused["results/pipe"] == "no file"
    assert "can't be read" in refused["results/circle"]


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "data/../../outside", "", "data/\x1b[2J"])
@pytest.mark.parametrize("key", ["inputs", "results"])
def test_a_record_with_a_path_that_leads_out_is_refused(trial, name, key):
    record(trial, 1)
    record(trial, 2, **{key: {name: "0" * 64}})
    with pytest.raises(InputError, match=rf"2.json: found {key} that are no paths inside") as error:
        verify(trial)
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "no JSON"),
        ("\xff", "not as the run wrote it|no JSON|no run record"),
        ("[]", "no run record"),
        ('{"exit_status": "0"}', "no run record"),
        ("[" * 100_000, "can't be read|no JSON"),
    ],
)
def test_a_broken_newest_record_is_refused_and_a_broken_older_one_does_no_harm(trial, text, found):
    record(trial, 1)
    (trial / identity.RECORDS / "2.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=f"2.json: found .*({found})"):
        verify(trial)
    record(trial, 3)
    assert verify(trial).run == 3


@pytest.mark.parametrize(
    "edit",
    [
        lambda told: told["results"].update({RESULT: "0" * 64}),
        lambda told: told.pop("record_sha256"),
        lambda told: told.update(run=7),
        lambda told: told.update(whole="yes"),
        lambda told: told.update(changed_outside_runs=3),
        lambda told: told["results"].update({RESULT: 5}),
    ],
)
def test_an_edited_record_is_refused(trial, edit):
    told = record(trial, 1)
    edit(told)
    (trial / identity.RECORDS / "1.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"1\.json: found"):
        verify(trial)


def test_a_record_is_sealed_as_it_is_read_again(trial):
    record(trial, 1, metrics={1: (0.1, float("inf")), 10: "x", 2: None})
    assert verify(trial).matches


def test_a_record_that_is_a_link_out_or_absurdly_large_is_refused(trial, monkeypatch):
    record(trial, 1)
    path = trial / identity.RECORDS / "1.json"
    monkeypatch.setattr(identity, "_MOST_BYTES", 100)
    with pytest.raises(InputError, match="more than 100 bytes"):
        verify(trial)
    path.rename(trial.parent / "1.json")
    path.symlink_to(trial.parent / "1.json")
    with pytest.raises(InputError, match="leads out"):
        verify(trial)


def test_without_a_record_that_names_results_there_is_nothing_to_compare_with(trial):
    with pytest.raises(InputError, match="no record of a run that ended ok"):
        verify(trial)
    (trial / identity.RECORDS).mkdir()
    (trial / identity.RECORDS / "1.json").write_text('{"run": 1, "exit_status": 0, "ended": "ok"}')
    with pytest.raises(InputError, match="no record of a run that ended ok"):
        verify(trial)


def test_the_newest_whole_run_that_ended_ok_counts_and_later_ones_are_told(trial):
    record(trial, 1)
    record(trial, 2)
    record(trial, 3, exit_status=1)
    record(trial, 4, whole=False)
    (trial / identity.LOGS).mkdir(parents=True)
    for number in (1, 4, 5):
        (trial / identity.LOGS / f"{number}.log").touch()
    verdict = verify(trial)
    assert verdict.run == 2
    assert verdict.later_runs == {
        3: "failed",
        4: "ok, with targets or options of its own",
        5: "left no record",
    }
    assert verdict.matches


def test_a_night_without_jobs_does_not_take_an_edited_result_over(trial):
    record(trial, 1)
    (trial / RESULT).write_text("value\n9.5\n")
    (trial / "results" / "added.tsv").touch()
    assert record(trial, 2)["changed_outside_runs"] == ["results/added.tsv", RESULT]
    assert record(trial, 3)["changed_outside_runs"] == ["results/added.tsv", RESULT]
    verdict = verify(trial)
    assert not verdict.results.any
    assert verdict.changed_outside_runs == ["results/added.tsv", RESULT]
    assert not verdict.matches
    # Deleted, one of them is made anew by a job.
    (trial / "results" / "added.tsv").unlink()
    (trial / RESULT).write_text("value\n1.5\n")
    assert record(trial, 4, touched=[RESULT])["changed_outside_runs"] == []
    assert verify(trial).matches


def test_what_a_killed_run_or_another_workflow_changed_is_not_called_an_edit(trial):
    record(trial, 1)
    (trial / RESULT).write_text("value\n2.5\n")
    assert record(trial, 3)["changed_outside_runs"] == [], "run 2 left no record"
    (trial / RESULT).write_text("value\n3.5\n")
    other = {"run": 4, "exit_status": 0, "outputs": {"new": [], "changed": [RESULT]}}
    (trial / identity.RECORDS / "4.json").write_text(json.dumps(other))
    assert record(trial, 5)["changed_outside_runs"] == []
    (trial / "results" / "report.html").write_text("edited")
    assert record(trial, 6)["changed_outside_runs"] == ["results/report.html"]
    assert record(trial, 8)["changed_outside_runs"] == ["results/report.html"], "run 7 left no record"


def test_unchanged_results_are_not_read_again_and_a_broken_cache_does_no_harm(trial, monkeypatch):
    record(trial, 1)
    read = []
    inside = identity.sha256_inside
    monkeypatch.setattr(
        identity, "sha256_inside", lambda path, roots: read.append(path.name) or inside(path, roots)
    )
    first = record(trial, 2)["results"]
    assert read == []
    (trial / RESULT).write_text("value\n2.5\n")
    record(trial, 3)
    assert read == ["metrics.tsv"]
    for text in ("{", "[]", "7", '{"results/report.html": 1}'):
        (trial / identity.CACHE).write_text(text)
        assert record(trial, 4)["results"]["results/report.html"] == first["results/report.html"]


def test_names_hold_no_date_and_files_that_differ_only_in_it_share_one():
    files = [("a_2024-03-01.csv", "1" * 64), ("a_2024-03-02.csv", "2" * 64), ("b.csv", "3" * 64)]
    names = identity.grouped(files)
    assert list(names) == ["a_<date>.csv", "b.csv"]
    assert not holds_date(json.dumps(names))
    assert identity.grouped(files[::-1]) == names
    changed = identity.grouped([files[0], ("a_2024-03-02.csv", "4" * 64), files[2]])
    assert changed["a_<date>.csv"] != names["a_<date>.csv"]


def test_a_trial_that_can_not_be_planned_is_compared_by_the_record(trial):
    hidden = {"<data_dir>/a.fcs": "0" * 64, "data/a_<date>.csv": "0" * 64}
    record(trial, 1, inputs={INPUT: sha256_of(trial / INPUT), **hidden})
    verdict = identity.verify(trial, trial / "config.yaml", None, problems=["a sheet is missing"])
    assert not verdict.matches
    assert not verdict.inputs.changed + verdict.inputs.missing
    assert set(verdict.inputs.not_read) == set(hidden)
    assert verdict.problems == ["a sheet is missing"]


@pytest.mark.parametrize(
    ("words", "whole"),
    [
        ([], True),
        (["--keep-going", "-p", "--retries=2"], True),
        (["results/report.html"], False),
        (["--retries", "2"], False),
        (["--touch"], False),
        (["--until=compute_kinetics"], False),
        (["--keep-going=x"], False),
    ],
)
def test_a_run_with_targets_of_its_own_is_not_whole(words, whole):
    assert identity.is_whole(words) is whole


def plan(trial, stats, mappings=(), **settings):
    return SimpleNamespace(
        stats=dict.fromkeys(stats, (0, 0, "a" * 64)),
        files={str(i): SimpleNamespace(mapping=m) for i, m in enumerate(mappings)},
        config=Config.model_validate(settings),
    )


def test_inputs_are_laboratory_files_mappings_and_all_that_the_configuration_names(trial):
    for name in ("sheets/files.tsv", "mappings/a.yaml", "panels.yaml"):
        (trial / name).parent.mkdir(exist_ok=True)
        (trial / name).write_text(name)
    settings = {"cells": {"types": {"panels": "panels.yaml"}}}
    hashes = identity.input_hashes(plan(trial, [INPUT], ["mappings/a.yaml", ""], **settings), trial)
    assert hashes == {
        INPUT: "a" * 64,
        "mappings/a.yaml": sha256_of(trial / "mappings/a.yaml"),
        "panels.yaml": sha256_of(trial / "panels.yaml"),
        "sheets/files.tsv": sha256_of(trial / "sheets/files.tsv"),
    }


def test_inputs_outside_the_trial_have_names_that_tell_nothing_of_the_machine(trial):
    outside = trial.parent / "lab"
    outside.mkdir()
    (outside / "a.fcs").write_text("fcs")
    (outside / "panels.yaml").write_text("{}")
    settings = {"data_dir": str(outside), "cells": {"types": {"panels": str(outside / "panels.yaml")}}}
    paths = identity.input_paths(plan(trial, [f"{outside}/a.fcs"], **settings), trial)
    assert {name: path.resolve() for name, path in paths.items()} == {
        "<data_dir>/a.fcs": outside / "a.fcs",
        "<configuration>/cells.types.panels": outside / "panels.yaml",
    }
    inputs = {name: sha256_of(path) for name, path in paths.items()}
    record(trial, 1, inputs=inputs)
    verdict = identity.verify(trial, trial / "config.yaml", paths, data_dir=str(outside))
    assert verdict.matches
    (outside / "panels.yaml").write_text("{x: 1}")
    verdict = identity.verify(trial, trial / "config.yaml", paths, data_dir=str(outside))
    assert verdict.inputs.changed == ["<configuration>/cells.types.panels"]


def test_the_hash_of_the_code_follows_programs_and_resources_but_not_compiled_files(tmp_path):
    for name in ("src/cartrace/a.py", "resources/limits.yaml", "Snakefile", "docs/a.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    first = identity.code_sha256(tmp_path)
    (tmp_path / "docs/a.md").write_text("2")
    (tmp_path / "src/cartrace/__pycache__").mkdir()
    (tmp_path / "src/cartrace/__pycache__/a.pyc").touch()
    assert identity.code_sha256(tmp_path) == first
    (tmp_path / "resources/limits.yaml").write_text("2")
    assert identity.code_sha256(tmp_path) != first


def test_the_files_of_this_repository_that_make_numbers_are_there():
    repository = Path(__file__).parents[2]
    assert all((repository / place).exists() for place in identity._CODE)
