"""Run `snakemake --lint` on a small simulated trial; exit 1 on any finding that is not excused here."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

EXCUSED = {
    # All rules run in the one environment of requirements.lock, whose hashes pin more than a
    # conda file would; no container image is published yet (docs/adr/0006-one-environment.md).
    "Specify a conda environment or container for each rule.",
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
                *(sys.executable, "-m", "snakemake", "--lint", "json"),
                *("--snakefile", str(ROOT / "Snakefile")),
                *("--directory", str(trial)),
                *("--configfile", str(trial / "config.yaml")),
            ],
            check=False,
            capture_output=True,
            text=True,
        )
    if not done.stdout.strip().startswith("{"):
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        return 1
    findings = [f for f in _findings(json.loads(done.stdout)) if f["title"] not in EXCUSED]
    for finding in findings:
        print(f"{finding['where']}: {finding['title']} {finding['body']}", file=sys.stderr)
    print(f"snakemake --lint: {len(findings)} findings")
    return 1 if findings else 0


def _findings(report: Any) -> Iterator[dict[str, str]]:
    """Walk Snakemake's report, which nests lints in files and rules."""
    if isinstance(report, dict):
        where = str(report.get("for", ""))
        for lint in report.get("lints", []):
            yield {"where": where, "title": lint["title"], "body": lint["body"]}
        for key, part in report.items():
            if key != "lints":
                yield from _findings(part)
    elif isinstance(report, list):
        for part in report:
            yield from _findings(part)


if __name__ == "__main__":
    sys.exit(main())
