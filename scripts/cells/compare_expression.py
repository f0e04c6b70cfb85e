"""Compare pseudobulks of each subject: CAR+ with CAR- T cells, product with blood, B cells before and after."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Write genes that differ, and contrasts that are refused; exit status 2 when an input can't be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--h5ad", type=Path, required=True, help="all cells, of assemble_cells")
    parser.add_argument("--obs", type=Path, required=True, help="one row for each cell, of assemble_cells")
    parser.add_argument(
        "--settings",
        default="{}",
        help="configuration as JSON; cells.expression and kinetics.post_infusion_visits are used",
    )
    parser.add_argument("--expression", type=Path, required=True, help="expression table to write (Parquet)")
    parser.add_argument("--qc", type=Path, required=True, help="findings to write (Parquet)")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.cells.expression import allowed_genes, contrast_findings, expression_rows
    from cartrace.cells.pseudobulk import choose, left_out_rows, sum_counts
    from cartrace.cells.stored import Stored
    from cartrace.cells.tables import EXPRESSION, OBS
    from cartrace.problems import InputError
    from cartrace.tables import QC, read_table, rows, write_table

    try:
        settings = configuration.load(json.loads(args.settings), "--settings")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    rules = settings.cells.expression
    chosen = choose(read_table(args.obs, OBS), rules, settings.kinetics.post_infusion_visits)
    with Stored(args.h5ad) as stored:
        genes, measured, libraries = stored.genes, stored.measured, stored.libraries
        # Contrasts that are refused for want of subjects need no counts.
        able = [c for c in chosen if len(c.subjects) >= rules.min_pairs]
        sums = dict(
            zip(
                (c.contrast.name for c in able),
                sum_counts(stored.blocks() if able else (), able, len(genes)),
                strict=True,
            )
        )
    made = []
    for choice in chosen:
        counts = sums.get(choice.contrast.name)
        allowed = allowed_genes(choice, genes, measured, libraries, rules)
        made += expression_rows(choice, counts, genes, allowed, rules)
    write_table(rows(made, EXPRESSION), args.expression, EXPRESSION)
    findings = [*left_out_rows(chosen), *contrast_findings(made, rules.alpha)]
    write_table(rows(findings, QC), args.qc, QC)
    print(f"{len(chosen)} contrasts, {len(chosen) - len(able)} refused; {len(made)} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
