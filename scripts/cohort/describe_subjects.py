"""Describe who the subjects are and what they received: Table 1."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from cartrace import config, tables
from cartrace.cohort.characteristics import describe_subjects


def main(argv: Sequence[str] | None = None) -> None:
    """Read the subjects and infusions tables, write the characteristics table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=Path, required=True, help="subjects table (Parquet)")
    parser.add_argument("--infusions", type=Path, required=True, help="infusions table (Parquet)")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'cohort' is used")
    parser.add_argument("--output", type=Path, required=True, help="characteristics to write (Parquet)")
    arguments = parser.parse_args(argv)

    subjects = tables.read_table(arguments.subjects, tables.SUBJECTS)
    found = describe_subjects(
        subjects,
        tables.read_table(arguments.infusions, tables.INFUSIONS),
        config.load(json.loads(arguments.settings), "--settings").cohort,
    )
    tables.write_table(found, arguments.output, tables.CHARACTERISTICS)
    print(f"{len(found)} rows on {len(subjects)} subjects")


if __name__ == "__main__":
    main()
