"""Estimate relapse-free survival, follow-up and relapse rates."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from cartrace import config, tables
from cartrace.cohort.outcomes import estimate_outcomes


def main(argv: Sequence[str] | None = None) -> None:
    """Read the subjects, infusions and events tables, write outcomes, curves and findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=Path, required=True, help="subjects table (Parquet)")
    parser.add_argument("--infusions", type=Path, required=True, help="infusions table (Parquet)")
    parser.add_argument("--events", type=Path, required=True, help="events table (Parquet)")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'cohort' is used")
    parser.add_argument("--outcomes", type=Path, required=True, help="outcomes to write (Parquet)")
    parser.add_argument("--curves", type=Path, required=True, help="curves to write (Parquet)")
    parser.add_argument("--qc", type=Path, required=True, help="findings to write (Parquet)")
    arguments = parser.parse_args(argv)

    found = estimate_outcomes(
        tables.read_table(arguments.subjects, tables.SUBJECTS),
        tables.read_table(arguments.infusions, tables.INFUSIONS),
        tables.read_table(arguments.events, tables.EVENTS),
        config.load(json.loads(arguments.settings), "--settings").cohort,
    )
    tables.write_table(found.outcomes, arguments.outcomes, tables.OUTCOMES)
    tables.write_table(found.curves, arguments.curves, tables.OUTCOME_CURVES)
    tables.write_table(found.qc, arguments.qc, tables.QC)
    estimated = int((found.outcomes["status"] == "estimated").sum())
    print(f"{len(found.outcomes)} outcomes, {estimated} estimated, {len(found.qc)} findings")


if __name__ == "__main__":
    main()
