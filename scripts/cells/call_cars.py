"""Call CAR+ T cells of one library, and estimate their share with ambient and dropout taken out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Call one library; exit status 2 when a table doesn't fit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, help="library_id of the libraries sheet")
    for name in ("cells", "types", "libraries"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"its table of {name} (Parquet)")
    parser.add_argument(
        "--molecules",
        type=Path,
        nargs="*",
        default=[],
        help="its CAR molecules from reads; else the feature's counts",
    )
    parser.add_argument(
        "--car-reads", type=Path, nargs="*", default=[], help="what its reads say of each construct"
    )
    parser.add_argument(
        "--constructs", nargs="*", default=[], help="constructs of the product; none: all in the molecules"
    )
    for name in ("cells", "types", "molecules"):
        parser.add_argument(
            f"--before-{name}",
            type=Path,
            nargs="*",
            default=[],
            help=f"{name} of the subject's libraries from before any infusion",
        )
    parser.add_argument(
        "--flow-percent",
        type=float,
        nargs="*",
        default=[],
        help="CAR+ of the same T cells by flow cytometry, %%",
    )
    parser.add_argument(
        "--pre-infusion", choices=("yes", "no"), default="no", help="is it from before any infusion"
    )
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'cells' is used")
    for name in ("cars", "fractions", "qc"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"table of {name} to write (Parquet)")
    args = parser.parse_args(argv)

    import pandas as pd

    from cartrace import config as configuration
    from cartrace.cells.car_calls import call_library, context_of
    from cartrace.cells.car_cells import car_cells
    from cartrace.cells.cohort_checks import wrong_construct
    from cartrace.cells.tables import CAR_FRACTIONS, CAR_READS, CARS, CELLS, LIBRARIES, MOLECULES, TYPES
    from cartrace.problems import InputError, Problem, raise_if_any
    from cartrace.tables import QC, TableError, read_table, records, write_table

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").cells
        raise_if_any(
            [
                *(
                    Problem("--flow-percent", f"{p:g}", "one number from 0 to 100")
                    for p in args.flow_percent
                    if not 0 <= p <= 100
                ),
                *(
                    Problem(name, f"{len(found)} of them", "at most one")
                    for name, found in (
                        ("--flow-percent", args.flow_percent),
                        ("--molecules", args.molecules),
                    )
                    if len(found) > 1
                ),
            ]
        )
        libraries = read_table(args.libraries, LIBRARIES)
        own = libraries[libraries["library"] == args.library]
        if own.empty:
            raise InputError([Problem(str(args.libraries), f"no library {args.library}", "its row")])
        molecules = read_table(args.molecules[0], MOLECULES) if args.molecules else None
        cells = car_cells(
            read_table(args.cells, CELLS), read_table(args.types, TYPES), molecules, args.constructs
        )
        before = [
            car_cells(
                read_table(of_cells, CELLS),
                read_table(of_types, TYPES),
                None if of_molecules is None else read_table(of_molecules, MOLECULES),
                args.constructs,
            )
            for of_cells, of_types, of_molecules in _before(args)
        ]
        support = [row for path in args.car_reads for row in records(read_table(path, CAR_READS))]
        context = context_of(
            own.iloc[0].to_dict(),
            foreign=args.library in wrong_construct(support, settings.car_reads),
            pre_infusion=args.pre_infusion == "yes",
            flow_percent=args.flow_percent[0] if args.flow_percent else None,
        )
        result = call_library(cells, context, before, settings)
        write_table(result.cars, args.cars, CARS)
        write_table(result.fractions, args.fractions, CAR_FRACTIONS)
        write_table(result.qc, args.qc, QC)
    except (InputError, TableError) as error:
        print(error, file=sys.stderr)
        return 2
    row = result.fractions.iloc[0]
    share = row["detection"] if pd.isna(row["fraction"]) else f"{row['fraction']:.3g} %"
    print(
        f"{args.library}: CAR+ {share} of {row['t_cells']} T cells; {row['positive']} positive,"
        f" {row['negative']} negative, {row['undetermined']} undetermined, {row['verdict']}"
    )
    return 0


def _before(args: argparse.Namespace) -> list[tuple[Path, Path, Path | None]]:
    """Pair the tables of the libraries from before any infusion; they need the evidence of this library."""
    from cartrace.problems import InputError, Problem

    n = len(args.before_cells)
    counts: dict[str, list[Path]] = {"--before-types": args.before_types}
    if args.molecules:
        counts["--before-molecules"] = args.before_molecules
    problems = [
        Problem(name, f"{len(found)} tables", f"{n}: one for each of --before-cells")
        for name, found in counts.items()
        if len(found) != n
    ]
    if problems:
        raise InputError(problems)
    molecules = args.before_molecules if args.molecules else [None] * n
    return list(zip(args.before_cells, args.before_types, molecules, strict=True))


if __name__ == "__main__":
    sys.exit(main())
