"""Grade CRS, ICANS, haematotoxicity and blood counts from observations, measurements and events."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Read the tables and thresholds, write grades, toxicity, metrics, qc; exit status 2 for bad thresholds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measurements", type=Path, required=True, help="measurements table (Parquet)")
    parser.add_argument("--observations", type=Path, required=True, help="observations table (Parquet)")
    parser.add_argument("--infusions", type=Path, required=True, help="infusions table (Parquet)")
    parser.add_argument("--events", type=Path, required=True, help="events table (Parquet)")
    parser.add_argument(
        "--standards",
        type=Path,
        nargs="+",
        required=True,
        help="tables of thresholds (resources/safety/*.yaml)",
    )
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'safety' is used")
    parser.add_argument("--grades", type=Path, required=True, help="grades by day to write (Parquet)")
    parser.add_argument("--toxicity", type=Path, required=True, help="highest grades to write (Parquet)")
    parser.add_argument("--metrics", type=Path, required=True, help="metrics table to write (Parquet)")
    parser.add_argument("--qc", type=Path, required=True, help="qc table to write (Parquet)")
    arguments = parser.parse_args(argv)

    from cartrace import config, tables
    from cartrace.problems import InputError
    from cartrace.safety.tables import GRADES, OBSERVATIONS, TOXICITY
    from cartrace.safety.thresholds import read_standards
    from cartrace.safety.toxicity import grade_toxicity

    try:
        settings = config.load(json.loads(arguments.settings), "--settings").safety
        standards = read_standards(arguments.standards)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    found = grade_toxicity(
        tables.read_table(arguments.measurements, tables.MEASUREMENTS),
        tables.read_table(arguments.observations, OBSERVATIONS),
        tables.read_table(arguments.infusions, tables.INFUSIONS),
        tables.read_table(arguments.events, tables.EVENTS),
        standards,
        settings,
    )
    tables.write_table(found.grades, arguments.grades, GRADES)
    tables.write_table(found.toxicity, arguments.toxicity, TOXICITY)
    tables.write_table(found.metrics, arguments.metrics, tables.METRICS)
    tables.write_table(found.qc, arguments.qc, tables.QC)
    untold = int(found.toxicity["grade"].isna().sum())
    print(
        f"{len(found.grades)} grades, {len(found.toxicity)} highest grades, {untold} of them not told (each with its "
        f"reason); {len(found.qc)} findings"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
