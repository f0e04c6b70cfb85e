"""One sound trial for all cases, made once and copied for each."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest
from tests.faults.sound import make_trial


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound trial, shared by all test processes, never changed."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = shared / "faults"
    with (shared / "faults.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "faults.ok").exists():
            shutil.rmtree(folder, ignore_errors=True)
            make_trial(folder)
            (shared / "faults.ok").touch()
    return folder


@pytest.fixture
def trial(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the sound trial, which is the working directory, as for every job."""
    folder = tmp_path / "trial"
    shutil.copytree(sound, folder, ignore=shutil.ignore_patterns("truth"))
    monkeypatch.chdir(folder)
    return folder
