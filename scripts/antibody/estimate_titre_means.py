"""Estimate the mean level and change of every antibody at every visit, with results as intervals."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace import config, tables
from cartrace.antibody.titre_means import estimate_means

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Read measurements, infusions and subjects, write the means table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("measurements", "infusions", "subjects"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"{name} table (Parquet)")
    parser.add_argument(
        "--settings",
        default="{}",
        help="configuration as JSON; antibody, visits and cohort.by_cohort are used",
    )
    parser.add_argument("--output", type=Path, required=True, help="means table to write (Parquet)")
    arguments = parser.parse_args(argv)

    settings = config.load(json.loads(arguments.settings), "--settings")
    means = estimate_means(
        tables.read_table(arguments.measurements, tables.MEASUREMENTS),
        tables.read_table(arguments.infusions, tables.INFUSIONS),
        tables.read_table(arguments.subjects, tables.SUBJECTS),
        settings.antibody,
        settings.visits,
        by_cohort=settings.cohort.by_cohort,
    )
    tables.write_table(means, arguments.output, tables.ANTIBODY_MEANS)
    estimated = int((means["status"] == "estimated").sum())
    print(f"{len(means)} means, {estimated} of them estimated; the others with their reason")


if __name__ == "__main__":
    main()
