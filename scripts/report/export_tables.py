"""Write the final tables as Parquet, as TSV, and into one DuckDB file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cartrace.report.export import (
    CELLS_EXPORTED,
    EFFICACY_EXPORTED,
    EXPORTED,
    FLOW_EXPORTED,
    IMMUNOASSAY_EXPORTED,
    INBOX_EXPORTED,
    PCR_EXPORTED,
    REPEAT_LISTS,
    REPERTOIRE_EXPORTED,
    SAFETY_EXPORTED,
    in_order,
    repeat_list,
    write_database,
)
from cartrace.tables import read_table, write_table, write_tsv

TABLES = (
    *EXPORTED,
    *PCR_EXPORTED,
    *FLOW_EXPORTED,
    *IMMUNOASSAY_EXPORTED,
    *CELLS_EXPORTED,
    *REPERTOIRE_EXPORTED,
    *SAFETY_EXPORTED,
    *EFFICACY_EXPORTED,
    *INBOX_EXPORTED,
)


def main(argv: Sequence[str] | None = None) -> None:
    """Read the tables, write them in their final order."""
    parser = argparse.ArgumentParser(description=__doc__)
    for table in TABLES:
        option, text = "--" + table.name.replace("_", "-"), f"{table.name} (Parquet)"
        if table in EXPORTED:
            parser.add_argument(option, type=Path, required=True, help=text)
        else:
            # The workflow names no file where the trial has no plate or no tube.
            parser.add_argument(option, type=Path, nargs="?", help=text)
    parser.add_argument("--folder", type=Path, required=True, help="folder for the Parquet and TSV files")
    parser.add_argument("--duckdb", type=Path, required=True, help="DuckDB file to write")
    arguments = vars(parser.parse_args(argv))

    given = [t for t in TABLES if arguments[t.name] is not None]
    frames = {t.name: in_order(read_table(arguments[t.name], t), t) for t in given}
    for samples, listed in REPEAT_LISTS.items():
        if samples in frames:
            frames[listed.name] = repeat_list(frames[samples], listed)
            given.append(listed)
    for table in given:
        write_table(frames[table.name], arguments["folder"] / f"{table.name}.parquet", table)
        write_tsv(frames[table.name], arguments["folder"] / f"{table.name}.tsv")
    write_database(frames, arguments["duckdb"])
    print(", ".join(f"{len(frame)} rows of {name}" for name, frame in frames.items()))


if __name__ == "__main__":
    main()
