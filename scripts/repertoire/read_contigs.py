"""Read the contigs of one library: chains of its cells, what receptor each cell has, and what was odd."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cartrace.repertoire.contigs import ContigTable
    from cartrace.repertoire.settings import Contigs


def main(argv: Sequence[str] | None = None) -> int:
    """Read one library; exit status 2 when a file can't be read or contradicts itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, help="library_id of the libraries sheet")
    parser.add_argument("--plan", required=True, help="its files as JSON: tcr_contigs, bcr_contigs")
    parser.add_argument(
        "--settings", default="{}", help="configuration as JSON; section 'repertoire' is used"
    )
    for name in ("chains", "receptors", "qc"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"table of {name} to write (Parquet)")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.problems import InputError
    from cartrace.repertoire.chains import chains_of, findings_of, receptors_of
    from cartrace.repertoire.tables import CELL_RECEPTORS, CHAINS
    from cartrace.tables import QC, rows, write_table

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").repertoire.contigs
        tables = _read(args.plan, settings)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    chains = chains_of(tables, args.library, settings)
    receptors = receptors_of(chains)
    qc = rows(findings_of(tables, args.library, settings, receptors, chains), QC)
    for frame, path, contract in (
        (chains, args.chains, CHAINS),
        (receptors, args.receptors, CELL_RECEPTORS),
        (qc, args.qc, QC),
    ):
        write_table(frame, path, contract)
    print(f"{args.library}: {len(chains)} chains in {len(receptors)} cells, {len(qc)} findings")
    return 0


def _read(plan: str, settings: Contigs) -> dict[str, ContigTable]:
    """Read the files that the plan names; raises InputError with the faults of all."""
    from cartrace.problems import InputError, Problem, raise_if_any
    from cartrace.repertoire.chains import counted
    from cartrace.repertoire.contigs import faults_of, read_contigs

    try:
        planned = json.loads(plan)
        paths = {r: str(planned.get(f"{r.lower()}cr_contigs") or "") for r in ("T", "B")}
    except (ValueError, AttributeError):
        raise InputError(
            [Problem("--plan", "no plan of contigs", '{"tcr_contigs": "...", "bcr_contigs": "..."}')]
        ) from None
    tables: dict[str, ContigTable] = {}
    problems: list[Problem] = (
        [] if any(paths.values()) else [Problem("--plan", "no file", "a file of contigs")]
    )
    for receptor, path in paths.items():
        if path:
            try:
                tables[receptor] = read_contigs(Path(path), path)
                problems += faults_of(tables[receptor], counted(tables[receptor], receptor, settings))
            except InputError as error:
                problems.extend(error.problems)
    raise_if_any(problems)
    return tables


if __name__ == "__main__":
    sys.exit(main())
