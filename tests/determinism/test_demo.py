"""The demo trial run again: with one core, and with the other Python. `make test-determinism`.

The small trial is run twice in `make test`: tests/workflow/test_determinism.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.same_results import differences

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = Path(os.environ.get("CARTRACE_DEMO", REPOSITORY / "demo"))
"""A demo trial that ran with two cores, by this Python and the present code."""
OTHER = Path(os.environ.get("CARTRACE_OTHER_PYTHON", REPOSITORY / ".venv311/bin/python"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "CARTRACE_DETERMINISM" not in os.environ, reason="takes minutes: make test-determinism"
    ),
]


def rerun(python: Path, copy: Path, cores: int) -> None:
    program = Path(__file__).with_name("rerun.py")
    command = [python, program, DEMO, copy, cores, REPOSITORY]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_core_gives_what_two_give(tmp_path: Path) -> None:
    rerun(Path(sys.executable), tmp_path / "one", 1)
    assert differences(DEMO, tmp_path / "one") == []


@pytest.mark.skipif(not OTHER.exists(), reason="no other Python: make setup VENV=.venv311 PYTHON=python3.11")
def test_the_other_python_gives_the_same_within_the_stated_tolerance(tmp_path: Path) -> None:
    rerun(OTHER, tmp_path / "other", 2)
    assert differences(DEMO, tmp_path / "other", tolerance=1e-6) == []
