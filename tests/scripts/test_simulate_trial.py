from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from tests.loading import load_module

SCRIPT = Path(__file__).parents[2] / "scripts" / "simulate" / "simulate_trial.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_module(SCRIPT)


def test_it_says_what_it_wrote(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = script.main(["--output", str(tmp_path / "demo"), "--seed", "5", "--subjects", "3"])
    assert status == 0
    said = capsys.readouterr().out
    assert "3 simulated subjects (seed 5)" in said
    assert "5 immunoassay plates, 4 single-cell libraries, 5 sets of integration sites, 8 planted" in said
    assert (tmp_path / "demo" / "config.yaml").is_file()


def test_the_same_trial_again_is_left_as_it_is(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--output", str(tmp_path / "demo"), "--subjects", "1"]
    script.main(command)
    assert script.main(command) == 0
    assert "already holds this trial" in capsys.readouterr().out


def test_without_errors_plants_none(script: ModuleType, tmp_path: Path) -> None:
    script.main(
        ["--output", str(tmp_path / "demo"), "--subjects", "3", "--without-errors", "--without-libraries"]
    )
    assert len((tmp_path / "demo/truth/planted_errors.tsv").read_text().splitlines()) == 1


def test_a_folder_of_somebody_else_gives_status_2(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept.txt").write_text("kept")
    assert script.main(["--output", str(tmp_path), "--subjects", "1"]) == 2
    assert "no simulated trial" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]


def test_an_impossible_number_of_subjects_is_a_usage_error(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        script.main(["--output", str(tmp_path / "demo"), "--subjects", "0"])
    assert stop.value.code == 2
