"""Read one laboratory table: its results, cell by cell, and what was odd in it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Read one file; exit status 2 when it can't be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file-id", required=True, help="file_id of the files sheet")
    parser.add_argument("--path", type=Path, required=True, help="the laboratory's file")
    parser.add_argument("--mapping", type=Path, required=True, help="its mapping file")
    parser.add_argument("--sha256", required=True, help="SHA-256 of the file, as planned")
    parser.add_argument("--settings", default="{}", help="configuration as JSON, for tables with dates")
    parser.add_argument("--folder", type=Path, default=Path(), help="trial folder")
    parser.add_argument("--output", type=Path, required=True, help="results table")
    parser.add_argument("--qc", type=Path, required=True, help="findings")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.intake.laboratory_table import read_grid, read_results
    from cartrace.intake.mapping import read_mapping
    from cartrace.intake.results import RESULTS
    from cartrace.intake.sheets import read_sheets
    from cartrace.problems import InputError, raise_if_any
    from cartrace.provenance import check_planned
    from cartrace.tables import QC, write_table

    try:
        mapping = read_mapping(args.mapping, str(args.mapping))
        first_dates = {}
        if mapping.date is not None:
            config = configuration.load(json.loads(args.settings))
            sheets, problems = read_sheets(args.folder, config, with_files=False)
            raise_if_any(problems)
            first_dates = sheets.first_dates
        grid = read_grid(args.path, mapping)
        check_planned(args.path, args.sha256)
        results, qc = read_results(
            grid, mapping, file_id=args.file_id, sha256=args.sha256, first_dates=first_dates
        )
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    write_table(results, args.output, RESULTS)
    write_table(qc, args.qc, QC)
    print(f"{args.file_id}: {len(grid.cells)} rows, {len(results)} results, {len(qc)} findings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
