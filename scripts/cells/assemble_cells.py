"""Join all libraries into one h5ad with types, states and CAR calls; as many cells out as in."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Write the h5ad and one row for each cell; exit status 2 when the libraries don't fit their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--libraries", nargs="*", default=[], help="library_ids, in the order of the sheet")
    parser.add_argument("--sample-ids", nargs="*", default=[], help="sample of each library")
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="folder of the libraries' tables and h5ad"
    )
    parser.add_argument("--samples", type=Path, required=True, help="samples of check_sheets")
    parser.add_argument(
        "--embedding", type=Path, nargs="*", default=[], help="embedding of embed_cells, if any"
    )
    parser.add_argument("--h5ad", type=Path, required=True, help="h5ad to write")
    parser.add_argument("--obs", type=Path, required=True, help="one row for each cell, to write (Parquet)")
    args = parser.parse_args(argv)
    if len(args.libraries) != len(args.sample_ids):
        parser.error("--libraries and --sample-ids need the same number of entries")

    from cartrace.cells.cohort_object import join_obs, write_cohort
    from cartrace.cells.stored import Stored
    from cartrace.cells.tables import CARS, CELLS, EMBEDDING, LIBRARIES, OBS, TYPES
    from cartrace.files import replacing
    from cartrace.tables import SAMPLES, concat, read_table, records, write_table

    samples = {str(s["sample_id"]): s for s in records(read_table(args.samples, SAMPLES))}
    joined = []
    try:
        for name, sample_id in zip(args.libraries, args.sample_ids, strict=True):
            with Stored(args.folder / f"{name}.h5ad") as stored:
                barcodes = stored.barcodes.tolist()
            cells, types, cars, library = (
                read_table(args.folder / f"{name}.{part}.parquet", table)
                for part, table in (
                    ("cells", CELLS),
                    ("types", TYPES),
                    ("cars", CARS),
                    ("libraries", LIBRARIES),
                )
            )
            if sample_id not in samples:
                raise ValueError(f"{name}: no sample {sample_id} in {args.samples}")
            joined.append(
                join_obs(barcodes, cells, types, cars, library=records(library)[0], sample=samples[sample_id])
            )
        obs = concat(joined, OBS)
        shown = concat([read_table(path, EMBEDDING) for path in args.embedding], EMBEDDING)
        with replacing(args.h5ad) as temporary:
            write_cohort(
                temporary, {name: args.folder / f"{name}.h5ad" for name in args.libraries}, obs, shown
            )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    write_table(obs, args.obs, OBS)
    print(f"{len(args.libraries)} libraries: {len(obs)} cells in and out")
    return 0


if __name__ == "__main__":
    sys.exit(main())
