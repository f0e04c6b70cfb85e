"""Read one single-cell library: raw counts as h5ad, quality of each cell, empty droplets, and what was odd."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from cartrace.cells.library import LibraryPlan, LibraryTables
    from cartrace.cells.settings import Cells

T = TypeVar("T")


def main(argv: Sequence[str] | None = None) -> int:
    """Read one library; exit status 2 when a file can't be read or contradicts itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, help="library_id of the libraries sheet")
    parser.add_argument("--plan", required=True, help="what the plan says of the library, as JSON")
    parser.add_argument(
        "--counted", type=Path, nargs="*", default=[], help="folder of counts made from FASTQ"
    )
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'cells' is used")
    parser.add_argument("--h5ad", type=Path, required=True, help="raw counts to write")
    for name in ("cells", "ambient", "libraries", "qc"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"table of {name} to write (Parquet)")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.cells.library import LibraryPlan
    from cartrace.cells.tables import AMBIENT, CELLS, LIBRARIES
    from cartrace.problems import InputError, Problem
    from cartrace.tables import QC, write_table

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").cells
        plan = LibraryPlan.from_json(args.plan)
        if plan.library_id != args.library:
            raise InputError([Problem("--plan", f"the library '{plan.library_id}'", f"'{args.library}'")])
        for folder in args.counted:
            plan = _counted(plan, folder)
        tables = _read(plan, args.h5ad, settings)
        for name, contract in (("cells", CELLS), ("ambient", AMBIENT), ("libraries", LIBRARIES), ("qc", QC)):
            write_table(getattr(tables, name), getattr(args, name), contract)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    row = tables.libraries.iloc[0]
    print(
        f"{args.library}: {row['cells_passed']} of {row['barcodes']} barcodes are cells of good quality,"
        f" {len(tables.qc)} findings, {row['verdict']}"
    )
    return 0


def _counted(plan: LibraryPlan, folder: Path) -> LibraryPlan:
    """Put what was counted from FASTQ files in the place of the vendor's files."""
    from cartrace.cells.matrices import counted_files

    counts, raw, metrics = (str(p) if p else "" for p in counted_files(folder))
    return replace(plan, counts=counts, raw_counts=raw, metrics=metrics)


def _read(plan: LibraryPlan, h5ad: Path, settings: Cells) -> LibraryTables:
    """Read every file of the library, write its h5ad while the counts pass by, and describe it."""
    from cartrace.cells.ambient_share import set_columns
    from cartrace.cells.contigs import read_contigs
    from cartrace.cells.guarded import read_lines
    from cartrace.cells.h5ad import LibraryWriter
    from cartrace.cells.library import Read, describe_library
    from cartrace.cells.matrices import find_features, open_matrix, select, why_not_raw
    from cartrace.cells.quality import call_cells
    from cartrace.cells.streaming import add_up, add_up_empties, empty_limit, roles_of
    from cartrace.cells.vendor_metrics import parse_metrics
    from cartrace.problems import InputError, Problem, raise_if_any

    problems: list[Problem] = []

    def opened(read: Callable[[Path, str], T], path: str) -> T | None:
        if path:
            try:
                return read(Path(path), path)
            except InputError as error:
                problems.extend(error.problems)
        return None

    matrix = opened(open_matrix, plan.counts)
    raw = opened(open_matrix, plan.raw_counts)
    vendor = opened(lambda path, name: parse_metrics(read_lines(path, name), name), plan.metrics)
    contigs = [opened(read_contigs, path) for path in (plan.tcr_contigs, plan.bcr_contigs)]
    if matrix is None and not problems:
        problems.append(Problem("--plan", "no counts", "a count matrix"))
    raise_if_any(problems)
    assert matrix is not None

    cars, tags = (find_features(matrix.features, names) for names in (plan.car_features, plan.tag_features))
    roles = roles_of(matrix.features, cars.mask, tags.mask)
    called_here = None
    if not matrix.filtered:
        called_here = len(matrix.barcodes)
        umis = add_up((block for _, block in matrix.blocks()), roles).umis
        raw = raw or matrix
        matrix = select(matrix, call_cells(umis, settings.quality.min_umis))
    sets = set_columns(matrix.features.symbols)
    with LibraryWriter(h5ad, barcodes=matrix.barcodes, features=matrix.features, cars=cars.mask) as writer:
        sums = add_up(writer.through(matrix.blocks()), roles, sets)
        writer.describe({"library": plan.library_id, "chemistry": plan.chemistry})
        strange = why_not_raw(raw, matrix) if raw else ""
        empties = (
            add_up_empties(
                raw.blocks(),
                raw.holds(matrix.barcodes),
                empty_limit(sums, settings.quality.empty_umis),
                roles,
            )
            if raw and not strange
            else None
        )
    return describe_library(
        plan,
        Read(
            matrix=matrix,
            roles=roles,
            sums=sums,
            missing={**cars.missing, **tags.missing},
            empties=empties,
            raw_strange=strange,
            called_here=called_here,
            vendor=vendor,
            t_contigs=contigs[0],
            b_contigs=contigs[1],
        ),
        sets,
        settings,
    )


if __name__ == "__main__":
    sys.exit(main())
