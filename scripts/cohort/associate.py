"""Test expansion against depletion, antibodies, response and relapse."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from cartrace import config, tables
from cartrace.cohort.association import associate


def main(argv: Sequence[str] | None = None) -> None:
    """Read the metrics, subjects and events tables, write the associations table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, required=True, help="metrics table (Parquet)")
    parser.add_argument("--subjects", type=Path, required=True, help="subjects table (Parquet)")
    parser.add_argument("--events", type=Path, required=True, help="events table (Parquet)")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'cohort' is used")
    parser.add_argument("--output", type=Path, required=True, help="associations to write (Parquet)")
    arguments = parser.parse_args(argv)

    found = associate(
        tables.read_table(arguments.metrics, tables.METRICS),
        tables.read_table(arguments.subjects, tables.SUBJECTS),
        tables.read_table(arguments.events, tables.EVENTS),
        config.load(json.loads(arguments.settings), "--settings").cohort,
    )
    tables.write_table(found, arguments.output, tables.ASSOCIATIONS)
    print(f"{len(found)} questions, {int((found['status'] == 'estimated').sum())} tests")


if __name__ == "__main__":
    main()
