"""One sound trial for all cases, made once and copied for each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.faults.sound import make_trial
from tests.made_once import made_once


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound trial, shared by all test processes, never changed."""
    return made_once("faults", make_trial, tmp_path_factory)


@pytest.fixture
def trial(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the sound trial, which is the working directory, as for every job."""
    folder = tmp_path / "trial"
    shutil.copytree(sound, folder, ignore=shutil.ignore_patterns("truth"))
    monkeypatch.chdir(folder)
    return folder
