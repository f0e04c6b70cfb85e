"""Write the final tables as Parquet, as TSV, and into one DuckDB file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cartrace.pcr.tables import SAMPLES
from cartrace.report.export import EXPORTED, PCR_EXPORTED, REPEAT_LIST, in_order, repeat_list, write_database
from cartrace.tables import read_table, write_table, write_tsv


def main(argv: Sequence[str] | None = None) -> None:
    """Read the tables, write them in their final order."""
    parser = argparse.ArgumentParser(description=__doc__)
    for table in (*EXPORTED, *PCR_EXPORTED):
        option = "--" + table.name.replace("_", "-")
        required = table in EXPORTED
        parser.add_argument(option, type=Path, required=required, help=f"{table.name} (Parquet)")
    parser.add_argument("--folder", type=Path, required=True, help="folder for the Parquet and TSV files")
    parser.add_argument("--duckdb", type=Path, required=True, help="DuckDB file to write")
    arguments = vars(parser.parse_args(argv))

    given = [t for t in (*EXPORTED, *PCR_EXPORTED) if arguments[t.name] is not None]
    frames = {t.name: in_order(read_table(arguments[t.name], t), t) for t in given}
    if SAMPLES.name in frames:
        frames[REPEAT_LIST.name] = repeat_list(frames[SAMPLES.name])
        given.append(REPEAT_LIST)
    for table in given:
        write_table(frames[table.name], arguments["folder"] / f"{table.name}.parquet", table)
        write_tsv(frames[table.name], arguments["folder"] / f"{table.name}.tsv")
    write_database(frames, arguments["duckdb"])
    print(", ".join(f"{len(frame)} rows of {name}" for name, frame in frames.items()))


if __name__ == "__main__":
    main()
