"""Join the clones and integration sites of all subjects: tables of the cohort, results, metrics, clones they share."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.tables import Table

OUTPUTS = (
    "results",
    "metrics",
    "sharing",
    "clones",
    "samples",
    "totals",
    "changes",
    "persistence",
    "diversity",
    "overlap",
    "b-return",
    "sites",
    "alarms",
    "receptors",
    "qc",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the tables of all subjects; exit status 2 when the plan doesn't fit the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", nargs="*", default=[], help="keys of the subjects with clones")
    parser.add_argument("--site-subjects", nargs="*", default=[], help="keys of those with integration sites")
    parser.add_argument("--folder", type=Path, default=Path(), help="folder of the subjects' tables")
    parser.add_argument("--libraries", nargs="*", default=[], help="library_ids with contigs")
    parser.add_argument("--library-folder", type=Path, default=Path(), help="folder of their tables")
    parser.add_argument("--site-sets", nargs="*", default=[], help="site_set_ids")
    parser.add_argument("--sites-folder", type=Path, default=Path(), help="folder of their tables")
    parser.add_argument(
        "--sources",
        nargs="*",
        required=True,
        help="hashes of libraries and site sets, as JSON objects (intake.repertoire_plan)",
    )
    parser.add_argument(
        "--settings",
        default="{}",
        help="configuration as JSON; sections 'repertoire', 'kinetics.persistence.landmarks' and 'cells.composition' "
        "are used",
    )
    for name in OUTPUTS:
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"{name} table to write (Parquet)")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.intake.results import RESULTS
    from cartrace.repertoire import tables as contracts
    from cartrace.repertoire.assemble import Sources, assemble_repertoire
    from cartrace.repertoire.metrics import Tables
    from cartrace.tables import METRICS, QC, concat, read_table, write_table

    def stacked(folder: Path, keys: Sequence[str], part: str, table: Table) -> pd.DataFrame:
        return concat((read_table(folder / f"{key}.{part}.parquet", table) for key in keys), table)

    def of_subjects(part: str, table: Table) -> pd.DataFrame:
        return stacked(args.folder, args.subjects, part, table)

    def of_sites(part: str, table: Table) -> pd.DataFrame:
        return stacked(args.folder, args.site_subjects, part, table)

    tables = Tables(
        samples=of_subjects("clone_samples", contracts.CLONE_SAMPLES),
        totals=of_subjects("clone_totals", contracts.CLONE_TOTALS),
        changes=of_subjects("clone_changes", contracts.CLONE_CHANGES),
        persistence=of_subjects("clone_persistence", contracts.CLONE_PERSISTENCE),
        b_return=of_subjects("b_return", contracts.B_RETURN),
        sites=of_sites("site_samples", contracts.SITE_SAMPLES),
        alarms=of_sites("site_alarms", contracts.SITE_ALARM),
        diversity=of_sites("site_diversity", contracts.DIVERSITY),
    )
    findings = [
        of_subjects("clones_qc", QC),
        of_sites("sites_qc", QC),
        stacked(args.library_folder, args.libraries, "contigs_qc", QC),
        stacked(args.sites_folder, args.site_sets, "sites_qc", QC),
    ]
    try:
        made = assemble_repertoire(
            tables,
            of_subjects("clone_cells", contracts.CLONE_CELLS),
            findings,
            Sources.of(args.sources),
            configuration.load(json.loads(args.settings), "--settings"),
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2

    def of_both(part: str, site_part: str, table: Table) -> pd.DataFrame:
        return concat([of_subjects(part, table), of_sites(site_part, table)], table)

    write_table(made.results, args.results, RESULTS)
    write_table(made.metrics, args.metrics, METRICS)
    write_table(made.sharing, args.sharing, contracts.SHARED)
    write_table(of_subjects("clones", contracts.CLONES), args.clones, contracts.CLONES)
    write_table(tables.samples, args.samples, contracts.CLONE_SAMPLES)
    write_table(tables.totals, args.totals, contracts.CLONE_TOTALS)
    write_table(tables.changes, args.changes, contracts.CLONE_CHANGES)
    write_table(tables.persistence, args.persistence, contracts.CLONE_PERSISTENCE)
    write_table(
        of_both("diversity", "site_diversity", contracts.DIVERSITY), args.diversity, contracts.DIVERSITY
    )
    write_table(of_both("overlap", "site_overlap", contracts.OVERLAP), args.overlap, contracts.OVERLAP)
    write_table(tables.b_return, args.b_return, contracts.B_RETURN)
    write_table(tables.sites, args.sites, contracts.SITE_SAMPLES)
    write_table(tables.alarms, args.alarms, contracts.SITE_ALARM)
    receptors = stacked(args.library_folder, args.libraries, "receptors", contracts.CELL_RECEPTORS)
    write_table(receptors, args.receptors, contracts.CELL_RECEPTORS)
    write_table(made.qc, args.qc, QC)
    print(
        f"{len(args.subjects)} subjects with clones, {len(args.site_subjects)} with integration sites: "
        f"{len(made.results)} results, {len(made.metrics)} metrics, {len(made.sharing)} pairs of libraries share "
        f"clones, {len(made.qc)} findings"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
