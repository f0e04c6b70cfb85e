"""Count every graded term, reported event and drug against toxicity over all subjects."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Read the tables and thresholds, write the safety summary; exit status 2 for bad settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--toxicity", type=Path, required=True, help="highest grades (Parquet)")
    parser.add_argument("--grades", type=Path, required=True, help="grades by day (Parquet)")
    parser.add_argument("--observations", type=Path, required=True, help="observations table (Parquet)")
    parser.add_argument("--events", type=Path, required=True, help="events table (Parquet)")
    parser.add_argument("--infusions", type=Path, required=True, help="infusions table (Parquet)")
    parser.add_argument("--subjects", type=Path, required=True, help="subjects table (Parquet)")
    parser.add_argument(
        "--standards",
        type=Path,
        nargs="+",
        required=True,
        help="tables of thresholds (resources/safety/*.yaml)",
    )
    parser.add_argument(
        "--settings", default="{}", help="configuration as JSON; sections 'safety' and 'cohort' are used"
    )
    parser.add_argument("--output", type=Path, required=True, help="safety summary to write (Parquet)")
    arguments = parser.parse_args(argv)

    from cartrace import config, tables
    from cartrace.problems import InputError
    from cartrace.safety.summary import summarise_safety
    from cartrace.safety.tables import GRADES, OBSERVATIONS, SAFETY_SUMMARY, TOXICITY
    from cartrace.safety.thresholds import read_standards

    try:
        settings = config.load(json.loads(arguments.settings), "--settings")
        standards = read_standards(arguments.standards)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    found = summarise_safety(
        tables.read_table(arguments.toxicity, TOXICITY),
        tables.read_table(arguments.grades, GRADES),
        tables.read_table(arguments.observations, OBSERVATIONS),
        tables.read_table(arguments.events, tables.EVENTS),
        tables.read_table(arguments.infusions, tables.INFUSIONS),
        tables.read_table(arguments.subjects, tables.SUBJECTS),
        standards,
        settings.safety,
        settings.cohort,
    )
    tables.write_table(found, arguments.output, SAFETY_SUMMARY)
    print(f"{len(found)} rows, {found['term'].nunique()} terms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
