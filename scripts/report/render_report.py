"""Write the report: one HTML file that opens without a network."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from cartrace import config, provenance, registry, tables
from cartrace.files import write_whole
from cartrace.pcr.tables import CONTROLS, CURVES, DROPLETS, SAMPLES, WELLS
from cartrace.report.page import ReportData, render
from cartrace.report.plates import PcrTables

INPUTS = (
    "measurements",
    "metrics",
    "qc",
    "cohort_summary",
    "survival",
    "subjects",
    "infusions",
    "events",
    "episodes",
    "models",
    "associations",
    "characteristics",
)
PCR_INPUTS = {
    "wells": WELLS,
    "curves": CURVES,
    "samples": SAMPLES,
    "droplets": DROPLETS,
    "controls": CONTROLS,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Read the tables, render the page, write it whole or not at all."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in INPUTS:
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            required=True,
            help=f"the table {name} as Parquet",
            metavar="PARQUET",
        )
    for table in PCR_INPUTS.values():
        option = f"--{table.name.replace('_', '-')}"
        parser.add_argument(option, help=f"the table {table.name} as Parquet", metavar="PARQUET")
    parser.add_argument("--settings", required=True, help="the whole configuration as JSON text")
    parser.add_argument("--output", required=True, type=Path, help="the page to write", metavar="HTML")
    arguments = parser.parse_args(argv)

    settings = config.load(json.loads(arguments.settings), "settings")
    frames = {name: tables.read_table(getattr(arguments, name), tables.TABLES[name]) for name in INPUTS}
    given = {key: (table, getattr(arguments, table.name)) for key, table in PCR_INPUTS.items()}
    pcr = PcrTables(**{k: tables.read_table(path, table) for k, (table, path) in given.items() if path})
    data = ReportData(**frames, pcr=pcr, registry=registry.load_all(), versions=provenance.versions())
    page = render(data, settings)
    write_whole(arguments.output, page)
    print(f"{arguments.output.name}: {len(page.encode()) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
