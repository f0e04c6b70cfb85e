"""Put the results of all files on the clock of their infusion, and check them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Write measurements and qc."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=Path, required=True, help="table of check_sheets")
    parser.add_argument("--infusions", type=Path, required=True, help="table of check_sheets")
    parser.add_argument("--samples", type=Path, required=True, help="table of check_sheets")
    parser.add_argument("--results", type=Path, nargs="*", default=[], help="tables of read_laboratory_table")
    parser.add_argument("--results-qc", type=Path, nargs="*", default=[], help="their findings")
    parser.add_argument("--settings", required=True, help="configuration as JSON")
    parser.add_argument("--output", type=Path, required=True, help="measurements")
    parser.add_argument("--qc", type=Path, required=True, help="findings")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.intake.assemble import assemble
    from cartrace.intake.results import RESULTS
    from cartrace.intake.sheet_tables import SheetTables
    from cartrace.tables import INFUSIONS, MEASUREMENTS, QC, SAMPLES, SUBJECTS, read_table, write_table

    config = configuration.load(json.loads(args.settings))
    tables = SheetTables(
        read_table(args.subjects, SUBJECTS),
        read_table(args.infusions, INFUSIONS),
        read_table(args.samples, SAMPLES),
    )
    measurements, qc = assemble(
        [read_table(path, RESULTS) for path in args.results],
        [read_table(path, QC) for path in args.results_qc],
        tables,
        config,
    )
    write_table(measurements, args.output, MEASUREMENTS)
    write_table(qc, args.qc, QC)
    counts = qc["verdict"].value_counts().to_dict()
    told = ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items())) or "none"
    print(f"{len(measurements)} measurements; findings: {told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
