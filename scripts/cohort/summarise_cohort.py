"""Summarise every metric over the subjects, and estimate the persistence curves."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from cartrace import config, tables
from cartrace.cohort.summary import summarise


def main(argv: Sequence[str] | None = None) -> None:
    """Read the metrics and subjects tables, write the two cohort tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, required=True, help="metrics table (Parquet)")
    parser.add_argument("--subjects", type=Path, required=True, help="subjects table (Parquet)")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'cohort' is used")
    parser.add_argument("--summary", type=Path, required=True, help="cohort summary to write (Parquet)")
    parser.add_argument("--survival", type=Path, required=True, help="survival curves to write (Parquet)")
    arguments = parser.parse_args(argv)

    found = summarise(
        tables.read_table(arguments.metrics, tables.METRICS),
        tables.read_table(arguments.subjects, tables.SUBJECTS),
        config.load(json.loads(arguments.settings), "--settings").cohort,
    )
    tables.write_table(found.summary, arguments.summary, tables.COHORT_SUMMARY)
    tables.write_table(found.survival, arguments.survival, tables.SURVIVAL)
    print(f"{len(found.summary)} rows of statistics, {len(found.survival)} steps of survival curves")


if __name__ == "__main__":
    main()
