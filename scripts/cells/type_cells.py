"""Type the cells of one library: lineage, type, state, cell cycle, doublets, and what was odd."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cartrace.cells.settings import Cells
    from cartrace.cells.type_tables import Agreement
    from cartrace.cells.typing import Matrix, Surveyed, Typed


def main(argv: Sequence[str] | None = None) -> int:
    """Type the cells of one library; exit status 2 when a file can't be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, help="library_id of the libraries sheet")
    parser.add_argument("--h5ad", type=Path, required=True, help="raw counts of the library")
    parser.add_argument("--cells", type=Path, required=True, help="its cells (Parquet)")
    parser.add_argument("--libraries", type=Path, required=True, help="its row of libraries (Parquet)")
    parser.add_argument("--panels", type=Path, required=True, help="marker panels (YAML)")
    parser.add_argument("--model", type=Path, nargs="?", help="model file of CellTypist (pkl)")
    parser.add_argument("--labels", type=Path, nargs="?", help="what the labels of the model mean (YAML)")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'cells' is used")
    parser.add_argument("--types", type=Path, required=True, help="table of types to write (Parquet)")
    parser.add_argument("--qc", type=Path, required=True, help="table of findings to write (Parquet)")
    args = parser.parse_args(argv)
    if (args.model is None) != (args.labels is None):
        parser.error("--model and --labels belong together")

    from cartrace import config as configuration
    from cartrace.cells.tables import CELLS, LIBRARIES, TYPES
    from cartrace.problems import InputError, Problem
    from cartrace.tables import QC, TableError, read_table, write_table

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").cells
        cells, libraries = read_table(args.cells, CELLS), read_table(args.libraries, LIBRARIES)
        if list(libraries["library"]) != [args.library] or not (cells["library"] == args.library).all():
            raise InputError([Problem(str(args.libraries), "another library", f"'{args.library}'")])
        types, qc = _type(cells, dict(libraries.iloc[0]), args, settings)
        write_table(types, args.types, TYPES)
        write_table(qc, args.qc, QC)
    except (InputError, TableError) as error:
        print(error, file=sys.stderr)
        return 2
    counting = types[types["counts"]]
    print(
        f"{args.library}: {len(counting)} of {len(types)} barcodes count, {int(types['doublet'].sum())} doublets, "
        f"{int((counting['lineage'] == 't').sum())} T cells, "
        f"{int(counting['lineage'].isin(['b', 'plasma']).sum())} B and plasma cells, "
        f"{int((counting['lineage'] == 'unassigned').sum())} without a lineage, {len(qc)} findings"
    )
    return 0


def _type(
    cells: pd.DataFrame, library: dict[str, Any], args: argparse.Namespace, settings: Cells
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the counts, type the cells, and make the rows of both tables."""
    from cartrace.cells.panels import read_panels
    from cartrace.cells.type_tables import call_doublets, facts_of, findings, types_table
    from cartrace.cells.typing import survey, type_cells

    panels = read_panels(args.panels, str(args.panels))
    matrix, barcodes = _matrix(args.h5ad, library["car_features"])
    facts = facts_of(cells, library, barcodes, str(args.cells))
    kept = survey(matrix, panels, facts.passed, settings.types)
    typed = type_cells(kept, facts, panels, settings.types)
    agreement = None
    if args.model:
        typed, agreement = _modelled(args, matrix, kept, typed, settings)
    doublets = call_doublets(kept, typed, cells, settings)
    table = types_table(cells, typed, doublets)
    return table, findings(table, typed, library, settings.types, agreement)


def _matrix(h5ad: Path, car_features: Any) -> tuple[Matrix, NDArray[np.bytes_]]:
    """Open the counts; what is no gene, or is the CAR, is not usable."""
    import pandas as pd

    from cartrace.cells.matrices import GENE_EXPRESSION, find_features, open_matrix
    from cartrace.cells.typing import Matrix

    counts = open_matrix(h5ad)
    names = [] if pd.isna(car_features) else [f for f in str(car_features).split(";") if f]
    cars = find_features(counts.features, names).mask
    matrix = Matrix(
        blocks=lambda: (block for _, block in counts.blocks()),
        ids=counts.features.ids,
        symbols=counts.features.symbols,
        usable=(counts.features.types == GENE_EXPRESSION) & ~cars,
    )
    return matrix, counts.barcodes


def _modelled(
    args: argparse.Namespace, matrix: Matrix, kept: Surveyed, typed: Typed, settings: Cells
) -> tuple[Typed, Agreement]:
    """Apply the user's model, where there is one."""
    from cartrace.cells.celltypist import model_columns, predict, read_labels, read_model
    from cartrace.cells.scores import gather
    from cartrace.cells.type_tables import with_model

    model = read_model(args.model, str(args.model))
    meaning = read_labels(args.labels, str(args.labels), model.classes)
    columns = model_columns(model, matrix.symbols, matrix.usable)
    counts = gather(matrix.blocks(), columns, len(model.features))
    return with_model(
        typed, predict(model, counts, kept.counts.totals, columns), model.classes, meaning, settings.types
    )


if __name__ == "__main__":
    sys.exit(main())
