"""Stack the metrics, and the findings, of all stages."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cartrace import tables


def main(argv: Sequence[str] | None = None) -> None:
    """Read the tables of the stages, write one of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="metrics tables (Parquet)")
    parser.add_argument("--qc", type=Path, nargs="*", default=[], help="qc tables (Parquet)")
    parser.add_argument("--output-metrics", type=Path, required=True, help="metrics table to write (Parquet)")
    parser.add_argument("--output-qc", type=Path, required=True, help="qc table to write (Parquet)")
    arguments = parser.parse_args(argv)

    # A metric that two stages report breaks the key of the table, and stops here.
    metrics = tables.concat((tables.read_table(p, tables.METRICS) for p in arguments.metrics), tables.METRICS)
    qc = tables.concat((tables.read_table(p, tables.QC) for p in arguments.qc), tables.QC)
    tables.write_table(metrics, arguments.output_metrics, tables.METRICS)
    tables.write_table(qc, arguments.output_qc, tables.QC)
    print(f"{len(metrics)} metrics of {len(arguments.metrics)} tables, {len(qc)} findings")


if __name__ == "__main__":
    main()
