"""Find the integration sites of one sample in reads aligned to host and vector together."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Read one BAM file; exit status 2 when it can't be used."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site-set", required=True, help="site_set_id of the integration_sites sheet")
    parser.add_argument("--bam", type=Path, required=True, help="reads aligned to host and vector")
    parser.add_argument("--index", type=Path, nargs="?", help="its index; without one the file is read twice")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; repertoire.sites is used")
    for name in ("sites", "qc"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"table of {name} to write (Parquet)")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.cells.bam import open_bam
    from cartrace.problems import InputError
    from cartrace.repertoire.junctions import (
        Tally,
        find_sites,
        findings,
        read_templates,
        sites_frame,
        vectors_of,
    )
    from cartrace.repertoire.tables import SITES
    from cartrace.tables import QC, rows, write_table

    file, tally = str(args.bam), Tally()
    try:
        settings = configuration.load(json.loads(args.settings), "--settings").repertoire.sites
        with open_bam(args.bam, file, args.index) as bam:
            contigs = dict(zip(bam.references, bam.lengths, strict=True))
            vectors = vectors_of(contigs, settings.junctions, file, settings.genome)
            templates = read_templates(bam, vectors, tally, file)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    found = find_sites(templates.values(), vectors, settings.junctions, tally)
    qc = findings(tally, found, args.site_set)
    write_table(sites_frame(args.site_set, found), args.sites, SITES)
    write_table(rows(qc, QC), args.qc, QC)
    print(
        f"{args.site_set}: {len(found)} integration sites of {len(templates)} fragments, {len(qc)} findings"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
