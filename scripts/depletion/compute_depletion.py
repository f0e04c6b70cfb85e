"""Compute depth, duration and reconstitution of every course, or the reason why there is none."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace import config, tables
from cartrace.depletion.course import compute_depletion

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Read the measurements, infusions and events tables, write metrics and episodes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measurements", type=Path, required=True, help="measurements table (Parquet)")
    parser.add_argument("--infusions", type=Path, help="infusions table (Parquet)")
    parser.add_argument("--events", type=Path, help="events table (Parquet)")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'depletion' is used")
    parser.add_argument("--metrics", type=Path, required=True, help="metrics table to write (Parquet)")
    parser.add_argument("--episodes", type=Path, required=True, help="episodes table to write (Parquet)")
    arguments = parser.parse_args(argv)

    settings = config.load(json.loads(arguments.settings), "--settings").depletion
    found = compute_depletion(
        tables.read_table(arguments.measurements, tables.MEASUREMENTS),
        None if arguments.infusions is None else tables.read_table(arguments.infusions, tables.INFUSIONS),
        None if arguments.events is None else tables.read_table(arguments.events, tables.EVENTS),
        settings,
    )
    tables.write_table(found.metrics, arguments.metrics, tables.METRICS)
    tables.write_table(found.episodes, arguments.episodes, tables.EPISODES)
    courses = found.metrics.groupby([*tables.COURSE_KEY, "course_unit"]).ngroups if len(found.metrics) else 0
    still = int((found.episodes["status"] == "open").sum())
    print(
        f"{courses} courses, {len(found.episodes)} depletion episodes, {still} of them open at the last result"
    )


if __name__ == "__main__":
    main()
