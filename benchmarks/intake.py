"""Speed of intake: reading, placing on the clock and checking a simulated trial without errors.

The trial comes from scripts/simulate/simulate_trial.py. Its findings are chance
alarms, and are counted. Seconds are processor time, so a busy machine counts little.
One row per run is appended to benchmarks/intake_results.tsv.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import yaml

from cartrace.intake import plausibility
from cartrace.intake.assemble import place_on_clock
from cartrace.intake.laboratory_table import read_grid, read_results
from cartrace.intake.mapping import read_mapping
from cartrace.intake.plan import load_plan
from cartrace.intake.results import RESULTS
from cartrace.intake.sheet_tables import sheet_tables
from cartrace.intake.sheets import read_sheets
from cartrace.tables import concat
from record import append_row

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY = Path(__file__).parents[1]
OUTPUT = Path(__file__).with_name("intake_results.tsv")


def measure(folder: Path) -> dict[str, str]:
    """Run intake over a trial folder, and return counts and seconds."""
    plan = load_plan(yaml.safe_load((folder / "config.yaml").read_text()), folder, "config.yaml")
    sheets, _ = read_sheets(folder, plan.config)
    results = []
    opening = reading = 0.0
    for file in plan.files.values():
        mapping = read_mapping(folder / file.mapping, file.mapping)
        start = process_time()
        grid = read_grid(folder / file.path, mapping, file.path)
        opened = process_time()
        one, _ = read_results(
            grid, mapping, file_id=file.file_id, sha256=file.sha256, first_dates=sheets.first_dates
        )
        opening += opened - start
        reading += process_time() - opened
        results.append(one)
    tables = sheet_tables(sheets, plan.config)
    start = process_time()
    placed, _ = place_on_clock(concat(results, RESULTS), tables, plan.config)
    placing = process_time() - start
    start = process_time()
    _, qc = plausibility.check_all(placed, plan.config)
    checking = process_time() - start
    return {
        "results": str(len(placed)),
        "open_s": f"{opening:.2f}",
        "read_s": f"{reading:.2f}",
        "place_s": f"{placing:.2f}",
        "check_s": f"{checking:.2f}",
        "findings": "; ".join(f"{n} {check}" for check, n in qc["check"].value_counts().items()) or "none",
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate a trial, time intake, append one row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=1000, help="subjects of the trial")
    parser.add_argument("--seed", type=int, default=2024, help="seed of the simulation")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="file to append to")
    arguments = parser.parse_args(argv)
    simulate = REPOSITORY / "scripts" / "simulate" / "simulate_trial.py"
    size = ["--subjects", str(arguments.subjects), "--seed", str(arguments.seed)]
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "trial"
        tables_only = ["--without-errors", "--without-plates", "--without-immunoassays"]
        command = [sys.executable, str(simulate), "--output", str(folder), *size, *tables_only]
        subprocess.run(command, check=True)
        measured = measure(folder)
    row = {
        "subjects": str(arguments.subjects),
        "seed": str(arguments.seed),
        **measured,
    }
    append_row(arguments.output, row, "src/cartrace/intake", "benchmarks/intake.py")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
