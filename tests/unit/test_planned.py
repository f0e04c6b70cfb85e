"""What the Snakefile tells of its plan, and what the entry of a scheduled run reads of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from cartrace import planned
from cartrace.problems import InputError

CONFIG = {
    "sheets": {"subjects": None, "infusions": None, "products": None},
    "single_infusion": {"product": "our CAR", "vector": "lentiviral"},
}
FILES = {
    "sheets/files.tsv": "file_id\tpath\treader\tmapping\nqpcr\tqpcr.csv\tlaboratory_table\tmappings/qpcr.yaml\n",
    "mappings/qpcr.yaml": "{subject: Patient, day: {column: Day}, matrix: blood, "
    "values: [{column: copies, analyte: transgene, assay: qpcr, unit: copies/ug, lod: 10, lloq: 50}]}\n",
    "data/qpcr.csv": "Patient,Day,copies\nP1,7,1200\n",
}
MANIFEST = Path("results/intake/manifest.json")


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    trial = tmp_path / "trial"
    for name, text in FILES.items():
        (trial / name).parent.mkdir(parents=True, exist_ok=True)
        (trial / name).write_text(text)
    return trial


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IO[str]]:
    """Give the file that the entry asked the plan to be told in."""
    with (tmp_path / "told").open("w+") as file:
        ask(file, monkeypatch)
        yield file


def ask(file: IO[str], monkeypatch: pytest.MonkeyPatch, *, dry_run: bool = False) -> None:
    for name, value in planned.asking(file.name, "night.yaml", dry_run=dry_run).items():
        monkeypatch.setenv(name, value)


def test_the_entry_reads_the_inputs_of_the_plan_that_runs(trial: Path, file: IO[str]) -> None:
    plan = planned.plan_workflow(CONFIG, trial, main=True)
    told = planned.read_told(file)
    assert told is not None
    assert list(told.inputs) == ["data/qpcr.csv", "mappings/qpcr.yaml", "sheets/files.tsv"]
    assert told.inputs["data/qpcr.csv"] == plan.files["qpcr"].sha256
    assert told.inbox == ()
    assert plan.files["qpcr"].sha256 in json.loads((trial / MANIFEST).read_text()).values()


def test_a_dry_run_is_told_and_writes_nothing(
    trial: Path, file: IO[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(file, monkeypatch, dry_run=True)
    planned.plan_workflow(CONFIG, trial, main=True)
    told = planned.read_told(file)
    assert told is not None
    assert len(told.inputs) == 3
    assert not (trial / "results").exists()


def test_problems_end_snakemake_and_reach_the_entry_as_they_are(trial: Path, file: IO[str]) -> None:
    (trial / "data/qpcr.csv").unlink()
    with pytest.raises(InputError) as expected:
        planned.plan_workflow(CONFIG, trial, main=False)
    with pytest.raises(SystemExit) as end:
        planned.plan_workflow(CONFIG, trial, main=True)
    assert end.value.code == planned.BAD_INPUT
    with pytest.raises(InputError) as found:
        planned.read_told(file)
    assert str(found.value) == str(expected.value)
    assert found.value.problems == expected.value.problems
    assert not (trial / "results").exists()


def test_problems_of_the_configuration_name_its_file(trial: Path, file: IO[str]) -> None:
    with pytest.raises(SystemExit):
        planned.plan_workflow({"trail": {}}, trial, main=True)
    with pytest.raises(InputError, match=r"night\.yaml, column 'trail'"):
        planned.read_told(file)


def test_a_snakemake_of_a_job_tells_nothing(trial: Path, file: IO[str]) -> None:
    planned.plan_workflow(CONFIG, trial, main=False)
    assert not Path(file.name).read_bytes()
    assert planned.read_told(file) is None
    assert not (trial / "results").exists()


def test_a_plan_that_was_told_in_part_is_none(file: IO[str]) -> None:
    Path(file.name).write_text('{"inputs": {"data/q')
    assert planned.read_told(file) is None
