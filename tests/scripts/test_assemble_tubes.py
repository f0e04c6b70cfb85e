"""The program that joins flow tubes: on tables as gate_tube writes them."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import yaml
from tests.loading import load_module
from tests.unit.flow.hand_tubes import EVENTS, HASH, RAW, sample, tube

from cartrace.flow.tables import TABLES
from cartrace.intake.results import RESULTS
from cartrace.tables import QC, SAMPLES, read_table, rows, write_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/flow/assemble_tubes.py"
PARTS = ("gates", "thresholds", "background", "acquisition", "plots")
OUTPUTS = {
    "results": RESULTS,
    "tube-table": TABLES["flow_tubes"],
    "populations": TABLES["flow_populations"],
    "qc": QC,
    **{p: TABLES[f"flow_{p}"] for p in PARTS},
}
SHEET = (
    "file_id\tkind\tsample_id\tmarker\tbatch\tbeads_per_ul\tbead_volume_ul\tsample_volume_ul\n"
    "t1\tsample\tS-t1\t\tb1\t1000\t50\t50\n"
    "f\tfmo\t\tCAR\tb1\t\t\t\n"
)
USUAL = [
    *("--tubes", "t1", "f", "--panels", "panel.yaml", "panel.yaml", "--folder", "tube"),
    *("--tubes-sheet", "tubes.tsv", "--samples-sheet", "samples.parquet"),
]


def program() -> ModuleType:
    return load_module(SCRIPT)


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    blank = EVENTS | {"CAR+": 4, "CAR+CD4+": 2}
    for made in (
        tube(controls={"f": blank}),
        tube("f", events=blank, kind="fmo", marker="CAR", verdict="control"),
    ):
        write_table(made.tubes, tmp_path / f"tube/{made.file_id}.tubes.parquet", TABLES["flow_tubes"])
        write_table(made.qc, tmp_path / f"tube/{made.file_id}.qc.parquet", QC)
        for part in PARTS:
            path = tmp_path / f"tube/{made.file_id}.{part}.parquet"
            write_table(getattr(made, part), path, TABLES[f"flow_{part}"])
    (tmp_path / "panel.yaml").write_text(yaml.safe_dump(RAW, sort_keys=False))
    (tmp_path / "tubes.tsv").write_text(SHEET)
    (tmp_path / "review.tsv").write_text(f"file_id\tverdict\tgates_sha256\nt1\taccepted\t{HASH}\n")
    write_table(rows([sample()], SAMPLES), tmp_path / "samples.parquet", SAMPLES)
    return tmp_path


def run(*arguments: str) -> int:
    outputs = [part for name in OUTPUTS for part in (f"--{name}", f"out/{name}.parquet")]
    return int(program().main([*arguments, *outputs]))


def written(name: str) -> pd.DataFrame:
    return read_table(f"out/{name}.parquet", OUTPUTS[name])


def test_tubes_become_results_and_evidence(trial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"flow": {"review": "required"}}
    assert run(*USUAL, "--review", "review.tsv", "--settings", json.dumps(settings)) == 0
    results = written("results").set_index(["source_column", "unit"])
    assert results.loc[("CAR T", "cells/uL"), "value"] == 500
    assert set(results["status"]) == {"accepted"}
    assert written("tube-table")["review"].tolist() == ["accepted", "not_asked"]
    assert len(written("populations")) == 10
    assert len(written("gates")) == 14
    assert len(written("background")) == 7
    assert "2 tubes: 7 results, 0 populations rejected, 1 findings" in capsys.readouterr().out


def test_a_required_review_that_is_missing_flags_car_counts(trial: Path) -> None:
    assert run(*USUAL, "--settings", json.dumps({"flow": {"review": "required"}})) == 0
    flagged = written("results").dropna(subset=["flags"])
    assert flagged["source_column"].tolist() == ["CAR CD4", "CAR T", "CAR share"]


def test_the_visit_says_what_was_before_the_infusion(trial: Path) -> None:
    day_zero = rows([sample(study_day=0, visit="after")], SAMPLES)
    write_table(day_zero, trial / "samples.parquet", SAMPLES)
    settings = {"kinetics": {"post_infusion_visits": "after"}}
    assert run(*USUAL, "--settings", json.dumps(settings)) == 0
    assert "pre_infusion_car_percent" not in set(written("qc")["check"])
    assert run(*USUAL) == 0
    assert "pre_infusion_car_percent" in set(written("qc")["check"])


def test_no_tubes_give_empty_tables(trial: Path) -> None:
    assert run("--tubes", "--panels") == 0
    assert all(len(written(name)) == 0 for name in OUTPUTS)


def test_faults_of_the_sheets_are_told_and_nothing_is_written(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (trial / "tubes.tsv").write_text(SHEET.replace("t1\tsample", "t2\tsample"))
    assert run(*USUAL) == 2
    assert "found no row of t1; allowed: one row for each tube" in capsys.readouterr().err
    (trial / "tubes.tsv").write_text(SHEET.replace("1000", "lots"))
    assert run(*USUAL) == 2
    assert "row 2, column 'beads_per_ul'" in capsys.readouterr().err
    assert run(*USUAL, "--settings", json.dumps({"flow": {"reviews": "required"}})) == 2
    assert "did you mean 'review'?" in capsys.readouterr().err
    assert not (trial / "out").exists()


def test_every_tube_needs_a_panel(trial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--tubes", "t1", "--panels")
    assert "same number of entries" in capsys.readouterr().err


def test_a_tube_that_only_its_name_tells_of_counts_like_one_of_the_sheet(trial: Path) -> None:
    lines = SHEET.splitlines(keepends=True)
    (trial / "tubes.tsv").write_text(lines[0] + lines[1].replace("1000\t50\t50", "\t\t") + lines[2])
    assert run(*USUAL) == 0
    listed = {name: written(name) for name in OUTPUTS}
    (trial / "tubes.tsv").write_text(lines[0])
    named = ('["t1", "sample", "S-t1", null, "b1"]', '["f", "fmo", null, "CAR", "b1"]')
    assert run(*USUAL, "--inbox-tubes", *named) == 0
    for name, table in listed.items():
        pd.testing.assert_frame_equal(written(name), table)
