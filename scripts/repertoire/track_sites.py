"""Follow the integration sites of one subject over its samples, and tell those that someone must look at."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Track one subject; exit status 2 when an input can't be used."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject", required=True, help="subject_id")
    parser.add_argument("--plan", required=True, help="its site sets as JSON, each with cells and sample")
    parser.add_argument("--folder", type=Path, required=True, help="folder with the sites of each set")
    parser.add_argument("--genes", type=Path, nargs="?", help="genes of concern, one symbol a line")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; repertoire is used")
    for name in ("samples", "diversity", "overlap", "alarms", "qc"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"table of {name} to write (Parquet)")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.files import read_text
    from cartrace.problems import InputError
    from cartrace.repertoire import site_alarms, site_clonality
    from cartrace.repertoire.gene_list import parse_genes
    from cartrace.repertoire.tables import DIVERSITY, OVERLAP, SITE_ALARM, SITE_SAMPLES, SITES
    from cartrace.tables import QC, read_table, rows, write_table

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").repertoire
        genes = parse_genes(read_text(args.genes), str(args.genes)) if args.genes else None
        plan = site_clonality.planned(json.loads(args.plan))
    except (InputError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    sites = {s.site_set: read_table(args.folder / f"{s.site_set}.sites.parquet", SITES) for s in plan}
    tracked = site_clonality.track(args.subject, plan, sites, settings.sites.junctions.same_site)
    confidence = settings.tracking.confidence
    found = site_clonality.site_samples(
        tracked, genes=genes, gene_distance=settings.sites.gene_distance, confidence=confidence
    )
    alarms = site_alarms.site_alarms(tracked, found, settings.sites, confidence)
    qc = site_clonality.findings(tracked, found, genes) + site_alarms.findings(
        tracked, alarms, settings.sites
    )
    for frame, path, contract in (
        (found, args.samples, SITE_SAMPLES),
        (site_clonality.site_diversity(tracked, settings), args.diversity, DIVERSITY),
        (site_clonality.site_overlap(tracked, settings), args.overlap, OVERLAP),
        (alarms, args.alarms, SITE_ALARM),
        (rows(qc, QC), args.qc, QC),
    ):
        write_table(frame, path, contract)
    print(f"{args.subject}: {found['site'].nunique()} integration sites, {len(alarms)} alarms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
