"""Check one CAR construct: its faults, and which of its reads can be told from endogenous transcripts."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Check one construct; exit status 2 when a file can't be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--construct", required=True, help="name of the construct in the configuration")
    parser.add_argument("--sequence", type=Path, required=True, help="FASTA with one record")
    parser.add_argument("--annotation", type=Path, required=True, help="its domains (GTF, GFF3 or BED)")
    parser.add_argument(
        "--endogenous", type=Path, required=True, help="FASTA (or .gz) of endogenous transcripts"
    )
    parser.add_argument("--protein", type=Path, help="FASTA of the protein that it should translate into")
    parser.add_argument(
        "--chemistry", nargs="+", choices=("5p", "3p"), default=["5p", "3p"], help="what the libraries read"
    )
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'cells' is used")
    for name in ("regions", "domains", "qc"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"table of {name} to write (Parquet)")
    parser.add_argument("--bed", type=Path, required=True, help="regions to write (BED)")
    parser.add_argument("--picture", type=Path, required=True, help="picture to write (SVG)")
    args = parser.parse_args(argv)

    import pandas as pd

    from cartrace import config as configuration
    from cartrace.cells.ambiguity import bed_text, findings, map_ambiguity, regions
    from cartrace.cells.construct_checks import check_construct, compare_protein, domain_rows
    from cartrace.cells.construct_picture import picture
    from cartrace.cells.constructs import parse_fasta, read_construct
    from cartrace.cells.endogenous import read_transcripts
    from cartrace.cells.tables import DOMAINS, REGIONS
    from cartrace.files import read_text, write_whole
    from cartrace.problems import InputError
    from cartrace.tables import QC, rows, write_table

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").cells.reference
        construct = read_construct(
            args.construct,
            read_text(args.sequence),
            read_text(args.annotation),
            fasta_file=str(args.sequence),
            annotation_file=str(args.annotation),
        )
        ambiguity = map_ambiguity(construct, read_transcripts(args.endogenous), settings)
        qc = check_construct(construct, args.chemistry)
        if args.protein:
            ((_, protein), *_) = parse_fasta(read_text(args.protein), str(args.protein))
            qc += compare_protein(construct, protein)
        qc += findings(ambiguity, settings, args.chemistry)
        tables = [regions(ambiguity, construct, settings, chemistry) for chemistry in args.chemistry]
        write_table(pd.concat(tables, ignore_index=True), args.regions, REGIONS)
        write_table(rows(domain_rows(construct, ambiguity.provable), DOMAINS), args.domains, DOMAINS)
        write_table(rows(qc, QC), args.qc, QC)
        write_whole(args.bed, bed_text(ambiguity, construct.record))
        write_whole(args.picture, picture(construct, ambiguity, settings, args.chemistry))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    worst = sum(row["verdict"] in {"warn", "fail"} for row in qc)
    print(
        f"{args.construct}: {len(construct.sequence)} bases, {len(construct.domains)} domains, "
        f"{100 * ambiguity.share:.0f} % of its reads prove nothing, {worst} warnings and failures"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
