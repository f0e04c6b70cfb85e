"""Run `snakemake --lint` on a small simulated trial; exit 1 on any finding."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(argv: list[str] | None = None) -> int:
    """Run the program; return its exit status."""
    del argv
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial"
        simulate = [sys.executable, str(ROOT / "scripts/simulate/simulate_trial.py")]
        subprocess.run(
            [*simulate, "--output", str(trial), "--subjects", "3"], check=True, stdout=subprocess.DEVNULL
        )
        lint = subprocess.run(
            [
                *(sys.executable, "-m", "snakemake", "--lint"),
                *("--snakefile", str(ROOT / "Snakefile")),
                *("--directory", str(trial)),
                *("--configfile", str(trial / "config.yaml")),
            ],
            check=False,
        )
    return lint.returncode


if __name__ == "__main__":
    sys.exit(main())
