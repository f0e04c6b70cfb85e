"""Clusters of all cells and their markers, beside the types; no metric rests on them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Write clusters, what they are, and their markers; exit status 2 when an input can't be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--h5ad", type=Path, required=True, help="all cells, of assemble_cells")
    parser.add_argument("--obs", type=Path, required=True, help="one row for each cell, of assemble_cells")
    parser.add_argument(
        "--settings",
        default="{}",
        help="configuration as JSON; cells.embedding, cells.expression and cells.seed are used",
    )
    parser.add_argument(
        "--clusters", type=Path, required=True, help="cluster of each cell to write (Parquet)"
    )
    parser.add_argument(
        "--cluster-types", type=Path, required=True, help="types of clusters to write (Parquet)"
    )
    parser.add_argument("--markers", type=Path, required=True, help="markers to write (Parquet)")
    args = parser.parse_args(argv)

    import numpy as np

    from cartrace import config as configuration
    from cartrace.cells.clusters import cluster, cluster_types, markers
    from cartrace.cells.embedding import reduced
    from cartrace.cells.neighbour_graph import normalised
    from cartrace.cells.stored import Stored, rows_of
    from cartrace.cells.tables import CLUSTER_TYPES, CLUSTERS, MARKERS, OBS
    from cartrace.problems import InputError
    from cartrace.tables import read_table, rows, write_table

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").cells
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    obs = read_table(args.obs, OBS)
    used = obs["counts"].to_numpy(dtype=bool) & (obs["library_verdict"] != "rejected").to_numpy(dtype=bool)
    cells = obs[used].reset_index(drop=True)
    library = cells["library"].to_numpy(dtype=object)
    with Stored(args.h5ad) as stored:
        genes, counts = stored.genes, rows_of(stored, np.flatnonzero(used))
    components = reduced(
        counts,
        genes,
        library,
        settings.embedding,
        left_out=settings.expression.left_out,
        seed=settings.seed,
    )
    member = cluster(components, settings.embedding, settings.seed)
    types = cluster_types(member, cells["cell_type"].to_numpy(dtype=object), library)
    best = markers(
        normalised(counts),
        member,
        genes,
        most=settings.embedding.max_markers,
        max_q=settings.expression.alpha,
    )
    write_table(cells[["library", "cell"]].assign(cluster=member), args.clusters, CLUSTERS)
    write_table(rows(types, CLUSTER_TYPES), args.cluster_types, CLUSTER_TYPES)
    write_table(rows(best, MARKERS), args.markers, MARKERS)
    agreement = types[0]["adjusted_rand"] if types else None
    told = "no agreement" if agreement is None else f"adjusted Rand index with types {agreement:.2f}"
    print(f"{len(cells)} cells in {len(types)} clusters; {told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
