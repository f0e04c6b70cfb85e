"""Run `snakemake --lint` on a small simulated trial; exit 1 on any finding that is not excused here."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

EXCUSED = {
    # All rules run in the one environment of requirements.lock, whose hashes pin more than a
    # conda file would; no container image is published yet (docs/adr/0006-one-environment.md).
    "Specify a conda environment or container for each rule.",
    # As a param it would list the inbox anew after a change of any setting; the digest of the list is one.
    "Shell command directly uses variable WHOLE_CONFIGURATION from outside of the rule",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    del argv
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial"
        simulate = [sys.executable, str(ROOT / "scripts/simulate/simulate_trial.py")]
        subprocess.run(
            [*simulate, "--output", str(trial), "--subjects", "3"], check=True, stdout=subprocess.DEVNULL
        )
        done = subprocess.run(
            [
                *(sys.executable, "-m", "snakemake", "--lint"),
                *("--snakefile", str(ROOT / "Snakefile")),
                *("--directory", str(trial)),
                *("--configfile", str(trial / "config.yaml")),
            ],
            check=False,
            capture_output=True,
            text=True,
        )
    # A clean workflow says so; silence or a crash must not pass as clean.
    report = done.stdout + done.stderr
    if "Lints for " not in report and "Congratulations" not in report:
        print(report, file=sys.stderr)
        return 1
    findings = [(where, title) for where, title in lints(report) if title not in EXCUSED]
    for where, title in findings:
        print(f"{where}: {title}", file=sys.stderr)
    print(f"snakemake --lint: {len(findings)} findings")
    return 1 if findings else 0


def lints(report: str) -> Iterator[tuple[str, str]]:
    """Yield place and title of each finding in the linter's text (its JSON option prints text, 9.27)."""
    where = ""
    for line in report.splitlines():
        if line.startswith("Lints for "):
            where = line.removeprefix("Lints for ").rstrip(":")
        elif line.startswith("    * "):
            yield where, line.removeprefix("    * ").removesuffix(":")


if __name__ == "__main__":
    sys.exit(main())
