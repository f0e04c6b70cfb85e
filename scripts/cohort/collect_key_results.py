"""Collect the key results: what the abstract of a report prints."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from cartrace import config, tables
from cartrace.cohort.key_results import Sources, key_results
from cartrace.safety.tables import TOXICITY
from cartrace.safety.thresholds import read_standards

INPUTS = {
    "subjects": tables.SUBJECTS,
    "infusions": tables.INFUSIONS,
    "events": tables.EVENTS,
    "characteristics": tables.CHARACTERISTICS,
    "outcomes": tables.OUTCOMES,
    "metrics": tables.METRICS,
    "summary": tables.COHORT_SUMMARY,
    "associations": tables.ASSOCIATIONS,
    "toxicity": TOXICITY,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Read the tables, write the key results."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, table in INPUTS.items():
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"the table {table.name} (Parquet)")
    parser.add_argument(
        "--standards",
        type=Path,
        nargs="+",
        required=True,
        help="tables of thresholds (resources/safety/*.yaml), for the labels of adverse events",
    )
    parser.add_argument("--settings", default="{}", help="configuration as JSON")
    parser.add_argument("--output", type=Path, required=True, help="key results to write (Parquet)")
    arguments = parser.parse_args(argv)

    settings = config.load(json.loads(arguments.settings), "--settings")
    standards = read_standards(arguments.standards)
    frames = {name: tables.read_table(getattr(arguments, name), table) for name, table in INPUTS.items()}
    found = key_results(Sources(**frames), standards.terms, settings)
    tables.write_table(found, arguments.output, tables.KEY_RESULTS)
    print(f"{len(found)} key results, {int((found['status'] != 'estimated').sum())} not estimable")


if __name__ == "__main__":
    main()
