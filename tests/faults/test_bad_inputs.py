"""Bad inputs: each is refused with its place, without a traceback, and leaves nothing behind.

A case spoils one file of a sound trial and runs the program that reads it, as its job does.
"""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from tests.faults import sound as programs
from tests.faults.cases import CASES, Case

MOST_MEMORY = 400 << 20
"""Bytes by which a small bad file may raise the highest memory of this process (its readers' imports included)."""


def inventory(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and modification time of everything below a folder."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        found[str(path.relative_to(folder))] = (status.st_size, status.st_mtime_ns if path.is_file() else 0)
    return found


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in CASES])
def test_a_bad_input_is_refused_with_its_place(
    case: Case, trial: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if case.reader in {"sheet", "mapping", "config"}:
        # Jobs make their own checks of a file; what a sheet says is checked before the first of them.
        assert case.file.startswith(("sheets/", "mappings/", "config", "data/", "plate_maps/"))
    case.spoil(Path(case.file))
    before = inventory(trial.parent)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    status = programs.run(case.reader)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - memory
    out, err = capfd.readouterr()
    told = out + err
    assert status == 2, told
    assert "Traceback" not in told
    assert "problem" in told
    for part in (case.file if case.names_file else "", *case.names):
        assert part in told, told[:2000]
    assert str(trial.parent) not in told
    assert all(c.isprintable() or c == "\n" for c in told)
    assert len(told) < 100_000
    assert inventory(trial.parent) == before
    assert grown < MOST_MEMORY


def test_the_sound_trial_itself_is_read(trial: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert programs.program("intake/write_manifest")([]) == 0
    for reader in programs.FILES:
        if reader not in {"panel", "annotation"}:
            assert programs.run(reader) == 0, (reader, capfd.readouterr().err)
    assert not list(Path("results").rglob("*.part"))
