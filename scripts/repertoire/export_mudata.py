"""Join all cells and their receptors into one h5mu, for scirpy and muon; made on demand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Write the h5mu; exit status 2 when no subject has a chain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--h5ad", type=Path, required=True, help="all cells (assemble_cells)")
    parser.add_argument("--airr", type=Path, nargs="*", default=[], help="AIRR tables of the subjects")
    parser.add_argument("--output", type=Path, required=True, help="h5mu to write")
    args = parser.parse_args(argv)

    from cartrace.files import replacing
    from cartrace.repertoire.mudata_file import airr_of, read_chains, write_h5mu

    try:
        receptors = airr_of(read_chains(args.airr))
        with replacing(args.output) as temporary:
            cells, matched, others = write_h5mu(temporary, args.h5ad, receptors)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{cells} cells, {matched} with a receptor; {others} barcodes with a receptor and without counts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
