"""Write the final tables as Parquet, as TSV, and into one DuckDB file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cartrace.report.export import EXPORTED, in_order, write_database
from cartrace.tables import read_table, write_table, write_tsv


def main(argv: Sequence[str] | None = None) -> None:
    """Read the tables, write them in their final order."""
    parser = argparse.ArgumentParser(description=__doc__)
    for table in EXPORTED:
        option = "--" + table.name.replace("_", "-")
        parser.add_argument(option, type=Path, required=True, help=f"{table.name} (Parquet)")
    parser.add_argument("--folder", type=Path, required=True, help="folder for the Parquet and TSV files")
    parser.add_argument("--duckdb", type=Path, required=True, help="DuckDB file to write")
    arguments = parser.parse_args(argv)

    frames = {
        table.name: in_order(read_table(getattr(arguments, table.name), table), table) for table in EXPORTED
    }
    for table in EXPORTED:
        write_table(frames[table.name], arguments.folder / f"{table.name}.parquet", table)
        write_tsv(frames[table.name], arguments.folder / f"{table.name}.tsv")
    write_database(frames, arguments.duckdb)
    print(", ".join(f"{len(frame)} rows of {name}" for name, frame in frames.items()))


if __name__ == "__main__":
    main()
