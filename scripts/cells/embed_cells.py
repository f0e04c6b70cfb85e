"""A sketch of all cells as a picture in two dimensions; no metric rests on it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Write coordinates; exit status 2 when an input can't be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--libraries", nargs="*", default=[], help="library_ids, in the order of the sheet")
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="folder of the libraries' tables and h5ad"
    )
    parser.add_argument(
        "--settings",
        default="{}",
        help="configuration as JSON; cells.embedding, cells.expression.left_out and cells.seed are used",
    )
    parser.add_argument("--output", type=Path, required=True, help="embedding to write (Parquet)")
    args = parser.parse_args(argv)

    import numpy as np
    import pandas as pd

    from cartrace import config as configuration
    from cartrace.cells.cohort_object import picked_counts
    from cartrace.cells.embedding import embed, reduced, sketch
    from cartrace.cells.tables import EMBEDDING, LIBRARIES, TYPES
    from cartrace.problems import InputError
    from cartrace.tables import concat, empty, read_table, write_table

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").cells
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    rules, seed = settings.embedding, settings.seed
    accepted = [
        name
        for name in args.libraries
        if read_table(args.folder / f"{name}.libraries.parquet", LIBRARIES)["verdict"].iloc[0] != "rejected"
    ]
    types = concat((read_table(args.folder / f"{name}.types.parquet", TYPES) for name in accepted), TYPES)
    chosen = types.iloc[
        sketch(
            types["library"].to_numpy(dtype=object),
            types["cell_type"].to_numpy(dtype=object),
            types["counts"].to_numpy(dtype=bool),
            rules,
            seed,
        )
    ][["library", "cell"]].reset_index(drop=True)
    made = empty(EMBEDDING)
    if len(chosen):
        paths = {name: args.folder / f"{name}.h5ad" for name in accepted}
        counts, genes, cells = picked_counts(paths, chosen)
        components = reduced(
            counts,
            genes,
            cells["library"].to_numpy(dtype=object),
            rules,
            left_out=settings.expression.left_out,
            seed=seed,
        )
        points = embed(components, rules, seed)
        if len(points):
            made = pd.DataFrame(np.round(points, 3), columns=["x", "y"]).assign(
                library=cells["library"], cell=cells["cell"]
            )[EMBEDDING.names]
    write_table(made, args.output, EMBEDDING)
    print(f"{len(types)} cells, {len(made)} in the picture")
    return 0


if __name__ == "__main__":
    sys.exit(main())
