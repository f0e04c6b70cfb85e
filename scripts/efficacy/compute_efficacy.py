"""Compute change, best change and sustained improvement of every clinical score."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace import config, tables
from cartrace.efficacy.scores import compute_efficacy

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Read the measurements and infusions tables, write the metrics table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measurements", type=Path, required=True, help="measurements table (Parquet)")
    parser.add_argument("--infusions", type=Path, help="infusions table (Parquet)")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'efficacy' is used")
    parser.add_argument("--metrics", type=Path, required=True, help="metrics table to write (Parquet)")
    arguments = parser.parse_args(argv)

    found = compute_efficacy(
        tables.read_table(arguments.measurements, tables.MEASUREMENTS),
        None if arguments.infusions is None else tables.read_table(arguments.infusions, tables.INFUSIONS),
        config.load(json.loads(arguments.settings), "--settings").efficacy,
    )
    tables.write_table(found, arguments.metrics, tables.METRICS)
    courses = int((found["metric"] == "score_baseline").sum())
    print(f"{courses} courses of a score, {len(found)} metrics")


if __name__ == "__main__":
    main()
