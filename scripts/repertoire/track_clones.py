"""Follow the clones of one subject: from the product into the blood, which grow, which persist, what returns."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cartrace.repertoire.clone_cells import LibraryTables
    from cartrace.repertoire.samples import PlannedLibrary

OUTPUTS = {
    "cells": "cells with a clone",
    "clones": "clones",
    "samples": "clones by sample",
    "totals": "depth of each sample",
    "changes": "clones between samples",
    "persistence": "clones of the product in later samples",
    "diversity": "indices of diversity",
    "overlap": "overlap of samples",
    "b_return": "B cells that return",
    "qc": "findings",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Follow the clones of one subject; exit status 2 when plan and tables don't fit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject", required=True, help="subject_id")
    parser.add_argument("--plan", required=True, help="its libraries and their samples, as JSON")
    parser.add_argument("--folder", type=Path, required=True, help="folder of chains and receptors")
    parser.add_argument("--cells-folder", type=Path, required=True, help="folder of cell types and CAR calls")
    parser.add_argument(
        "--settings",
        default="{}",
        help="configuration as JSON; section 'repertoire' and 'kinetics.persistence.landmarks' are used",
    )
    for name, what in OUTPUTS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=Path, required=True, help=f"{what}, to write (Parquet)"
        )
    parser.add_argument("--airr", type=Path, required=True, help="AIRR table of the cells, to write (tsv.gz)")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.repertoire import tables as contracts
    from cartrace.repertoire.airr_file import rearrangements, write_airr
    from cartrace.repertoire.b_cells import b_return
    from cartrace.repertoire.b_clones import b_clonotypes
    from cartrace.repertoire.changes import changes
    from cartrace.repertoire.clone_cells import aligned, clone_cells, countable_chains
    from cartrace.repertoire.clonotypes import t_clonotypes
    from cartrace.repertoire.diversity import diversity_table
    from cartrace.repertoire.overlap import overlap_table
    from cartrace.repertoire.persistence import persistence
    from cartrace.repertoire.samples import library_order, planned, samples_of
    from cartrace.repertoire.tracking import (
        clone_samples,
        clone_totals,
        clones_table,
        count_clones,
        plan_findings,
    )
    from cartrace.tables import QC, concat, rows, write_table

    try:
        config = configuration.load(json.loads(args.settings), "--settings")
        settings, landmarks = config.repertoire, config.kinetics.persistence.landmarks
        read = [_read(library, args) for library in planned(json.loads(args.plan))]
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    subject, tracking = args.subject, settings.tracking
    found: list[dict[str, Any]] = []
    tables: list[LibraryTables] = []
    for one in read:
        matched, odd = aligned(one)
        tables.append(matched)
        found += odd
    libraries = [one.library for one in tables]
    samples, order = samples_of(libraries), library_order(libraries)
    chains = countable_chains(tables)
    cells, odd = clone_cells(
        subject,
        tables,
        t_clonotypes(chains, order, settings.clonotypes),
        b_clonotypes(chains, order, settings.clonotypes),
        t_chains=settings.clonotypes.t_chains,
    )
    found += odd
    clones, odd = clones_table(subject, cells, chains, samples)
    found += odd + plan_findings(subject, libraries)
    counts = count_clones(cells, libraries, samples)
    diversity = [
        diversity_table(
            {sample: pool.clones.to_numpy() for sample, pool in pools.items()},
            {s.sample_id: s.columns() for s in samples},
            subject_id=subject,
            unit="clonotype",
            population=population,
            settings=settings.diversity,
            seed=settings.seed,
            confidence=tracking.confidence,
        )
        for population, pools in counts.items()
    ]
    overlap = overlap_table(
        {
            (population, sample): {str(clone): n for clone, n in pool.clones.items()}
            for population, pools in counts.items()
            for sample, pool in pools.items()
        },
        subject_id=subject,
        unit="clonotype",
        min_cells=tracking.min_sample_cells,
    )
    made = {
        "cells": (cells, contracts.CLONE_CELLS),
        "clones": (clones, contracts.CLONES),
        "samples": (clone_samples(subject, counts, samples, tracking), contracts.CLONE_SAMPLES),
        "totals": (clone_totals(subject, counts, samples, tracking), contracts.CLONE_TOTALS),
        "changes": (changes(subject, counts, samples, tracking), contracts.CLONE_CHANGES),
        "persistence": (
            persistence(subject, counts, samples, landmarks, tracking),
            contracts.CLONE_PERSISTENCE,
        ),
        "diversity": (concat(diversity, contracts.DIVERSITY), contracts.DIVERSITY),
        "overlap": (overlap, contracts.OVERLAP),
        "b_return": (
            b_return(subject, cells, libraries, settings.b_cells, tracking.confidence),
            contracts.B_RETURN,
        ),
        "qc": (rows(({"subject_id": subject, **record} for record in found), QC), QC),
    }
    for name, (frame, contract) in made.items():
        write_table(frame, getattr(args, name), contract)
    every_chain = concat([one.chains for one in tables], contracts.CHAINS)
    sample_of = {lib.library_id: lib.sample.sample_id for lib in libraries}
    write_airr(rearrangements(every_chain, cells, sample_of), args.airr)
    print(
        f"{subject}: {len(libraries)} libraries of {len(samples)} samples, {int(cells['counts'].sum())} of {len(cells)} "
        f"cells with a clone count, {len(clones)} clones, {len(found)} findings"
    )
    return 0


def _read(library: PlannedLibrary, args: argparse.Namespace) -> LibraryTables:
    """Read the tables of one library; raises ValueError or OSError when one is missing or of another library."""
    from cartrace.cells.tables import CARS, TYPES
    from cartrace.repertoire.clone_cells import LibraryTables
    from cartrace.repertoire.tables import CELL_RECEPTORS, CHAINS
    from cartrace.tables import read_table

    name = library.library_id
    chains, receptors = (
        read_table(args.folder / f"{name}.{part}.parquet", contract)
        for part, contract in (("chains", CHAINS), ("receptors", CELL_RECEPTORS))
    )
    types = cars = None
    if library.cells:
        types, cars = (
            read_table(args.cells_folder / f"{name}.{part}.parquet", contract)
            for part, contract in (("types", TYPES), ("cars", CARS))
        )
    for frame in (chains, receptors, types, cars):
        if frame is not None and not (frame["library"] == name).all():
            raise ValueError(f"{name}: a table holds cells of another library")
    return LibraryTables(library.with_receptors(chains), chains, receptors, types, cars)


if __name__ == "__main__":
    sys.exit(main())
