"""Join all single-cell libraries: composition by sample with exact intervals, and results for measurements."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

OWN_QC = ("library_qc", "types_qc", "cars_qc")
STACKED = ("car_reads", "coverage", "variants")
"""Tables of libraries with reads that are stacked as they are."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write results and evidence of all libraries; exit status 2 when an input can't be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--libraries", nargs="*", default=[], help="library_ids, in the order of the sheet")
    parser.add_argument("--with-reads", nargs="*", default=[], help="those whose CAR molecules were counted")
    parser.add_argument("--constructs", nargs="*", default=[], help="names of the registered constructs")
    parser.add_argument("--folder", type=Path, default=Path(), help="folder of the libraries' tables")
    parser.add_argument(
        "--construct-folder", type=Path, default=Path(), help="folder of the constructs' tables"
    )
    parser.add_argument("--libraries-sheet", type=Path, nargs="*", default=[], help="libraries sheet")
    parser.add_argument("--samples", type=Path, required=True, help="samples of check_sheets")
    parser.add_argument("--subjects", type=Path, required=True, help="subjects of check_sheets")
    parser.add_argument(
        "--settings",
        default="{}",
        help="configuration as JSON; section 'cells' and kinetics.post_infusion_visits are used",
    )
    parser.add_argument(
        "--library-table", type=Path, required=True, help="libraries table to write (Parquet)"
    )
    outputs = (
        "results",
        "composition",
        "fractions",
        "car-reads",
        "coverage",
        "variants",
        "regions",
        "domains",
        "qc",
    )
    for name in outputs:
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"{name} table to write (Parquet)")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.cells.assemble import LibraryTables, assemble_libraries
    from cartrace.cells.tables import (
        CAR_FRACTIONS,
        CAR_READS,
        CARS,
        COMPOSITION,
        COVERAGE,
        DOMAINS,
        LIBRARIES,
        REGIONS,
        TYPES,
        VARIANTS,
    )
    from cartrace.intake.libraries import read_libraries
    from cartrace.intake.results import RESULTS
    from cartrace.problems import InputError, Problem, raise_if_any
    from cartrace.tables import QC, SAMPLES, SUBJECTS, concat, read_table, write_table

    try:
        settings = configuration.load(json.loads(args.settings), "--settings")
        problems: list[Problem] = []
        sheet = {
            row.library_id: row
            for path in args.libraries_sheet
            for row in read_libraries(Path(), str(path), problems)
        }
        raise_if_any(problems)
        samples = read_table(args.samples, SAMPLES)
        known = set(samples["sample_id"])
        listed = ", ".join(map(str, args.libraries_sheet)) or "--libraries-sheet"
        for name in args.libraries:
            if name not in sheet:
                problems.append(Problem(listed, f"no row of {name}", "one row for each library"))
            elif sheet[name].sample_id not in known:
                found = f"sample {sheet[name].sample_id} of {name}"
                problems.append(Problem(str(args.samples), f"no {found}", "every sample of a library"))
        raise_if_any(problems)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2

    def tables_of(name: str) -> LibraryTables:
        parts = {"libraries": LIBRARIES, "types": TYPES, "cars": CARS, "fractions": CAR_FRACTIONS}
        read = {
            part: read_table(args.folder / f"{name}.{part}.parquet", table) for part, table in parts.items()
        }
        return LibraryTables(name, **read)

    reads = [args.folder / name for name in args.with_reads]
    stacked = {
        part: concat([read_table(f"{path}.{part}.parquet", table) for path in reads], table)
        for part, table in zip(STACKED, (CAR_READS, COVERAGE, VARIANTS), strict=True)
    }
    of_constructs = {
        part: concat(
            [read_table(args.construct_folder / f"{name}.{part}.parquet", table) for name in args.constructs],
            table,
        )
        for part, table in (("regions", REGIONS), ("domains", DOMAINS), ("qc", QC))
    }
    own = [args.folder / f"{name}.{part}.parquet" for name in args.libraries for part in OWN_QC]
    own += [path.with_name(f"{path.name}.reads_qc.parquet") for path in reads]
    made = assemble_libraries(
        (tables_of(name) for name in args.libraries),
        sheet,
        settings.cells,
        samples=samples,
        subjects=read_table(args.subjects, SUBJECTS),
        car_reads=stacked["car_reads"],
        findings=[of_constructs["qc"], *(read_table(path, QC) for path in own)],
        post_infusion_visits=settings.kinetics.post_infusion_visits,
    )
    write_table(made.results, args.results, RESULTS)
    write_table(made.libraries, args.library_table, LIBRARIES)
    write_table(made.composition, args.composition, COMPOSITION)
    write_table(made.fractions, args.fractions, CAR_FRACTIONS)
    write_table(stacked["car_reads"], args.car_reads, CAR_READS)
    write_table(stacked["coverage"], args.coverage, COVERAGE)
    write_table(stacked["variants"], args.variants, VARIANTS)
    write_table(of_constructs["regions"], args.regions, REGIONS)
    write_table(of_constructs["domains"], args.domains, DOMAINS)
    write_table(made.qc, args.qc, QC)
    rejected = int(made.libraries["verdict"].eq("rejected").sum())
    print(
        f"{len(args.libraries)} libraries: {len(made.results)} results, {rejected} libraries rejected, "
        f"{len(made.qc)} findings"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
