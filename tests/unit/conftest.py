"""What several rooms of the unit tests stand on."""

import os
import stat

import pytest


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Commands that act on a queue in a file, as squeue and scancel do on theirs."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    queue = folder / "queue"
    programs = {
        "squeue": f'#!/bin/sh\ncat "{queue}"\n',
        "scancel": f'#!/bin/sh\nfor job; do sed -i "/^$job /d" "{queue}"; done\n',
    }
    for name, text in programs.items():
        path = folder / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return queue
