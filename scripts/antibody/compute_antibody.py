"""Compute every antibody metric of every course, and report changes of the starting dilution."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace import config, tables
from cartrace.antibody.course import compute_antibody

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Read the measurements and infusions tables, write the metrics and qc tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measurements", type=Path, required=True, help="measurements table (Parquet)")
    parser.add_argument("--infusions", type=Path, help="infusions table (Parquet)")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'antibody' is used")
    parser.add_argument("--metrics", type=Path, required=True, help="metrics table to write (Parquet)")
    parser.add_argument("--qc", type=Path, required=True, help="qc table to write (Parquet)")
    arguments = parser.parse_args(argv)

    infusions = (
        tables.read_table(arguments.infusions, tables.INFUSIONS) if arguments.infusions is not None else None
    )
    metrics, qc = compute_antibody(
        tables.read_table(arguments.measurements, tables.MEASUREMENTS),
        infusions,
        config.load(json.loads(arguments.settings), "--settings").antibody,
    )
    tables.write_table(metrics, arguments.metrics, tables.METRICS)
    tables.write_table(qc, arguments.qc, tables.QC)
    courses = metrics.groupby([*tables.COURSE_KEY, "course_unit"]).ngroups if len(metrics) else 0
    missing = int((metrics["status"] == "not_estimable").sum())
    print(
        f"{courses} courses, {len(metrics)} metrics, {missing} of them not estimable (each with its reason); "
        f"{len(qc)} findings about limits and dilution steps"
    )


if __name__ == "__main__":
    main()
