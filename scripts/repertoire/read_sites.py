"""Read the integration sites of one specimen from a table."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Read one table; exit status 2 when it can't be used."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site-set", required=True, help="site_set_id of the integration_sites sheet")
    parser.add_argument("--path", type=Path, required=True, help="table of sites: csv or tsv, packed or not")
    parser.add_argument("--specimen", default="", help="whose sites; empty: the table is of one specimen")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; repertoire.sites is used")
    for name in ("sites", "qc"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"table of {name} to write (Parquet)")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.problems import InputError
    from cartrace.repertoire.sites import findings, open_table, read_sites, sites_frame
    from cartrace.repertoire.tables import SITES
    from cartrace.tables import QC, rows, write_table

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").repertoire.sites
        header, lines = open_table(args.path, str(args.path))
        found = read_sites(header, lines, args.specimen, settings, str(args.path))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    qc = findings(header, found, settings, args.site_set)
    write_table(sites_frame(args.site_set, found), args.sites, SITES)
    write_table(rows(qc, QC), args.qc, QC)
    print(f"{args.site_set}: {len(found)} integration sites, {len(qc)} findings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
