"""What both benchmarks do with their numbers: one row per run, with the commit that it was measured at."""

from __future__ import annotations

import csv
import platform
import subprocess
from pathlib import Path

import pandas as pd

import cartrace

REPOSITORY = Path(__file__).resolve().parents[1]


def append_row(path: Path, measured: dict[str, str], *sources: str) -> None:
    """Append versions, commit and ``measured`` to a tab-separated file, and print them.

    ``sources`` are the paths in the repository that the numbers rest on.
    """
    row = {
        "cartrace": cartrace.__version__,
        "commit": _commit(*sources),
        "python": platform.python_version(),
        "pandas": pd.__version__,
        **measured,
    }
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(row), delimiter="\t", lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
    for name, value in row.items():
        print(f"{name:28} {value}")


def _commit(*sources: str) -> str:
    """Return the short commit, with a plus sign when ``sources`` differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
        ).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", *sources)
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if changed else "")
