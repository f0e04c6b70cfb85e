"""Join all immunoassay plates: results, changed starting dilutions, control charts, the repeat list."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

TABLES = ("wells", "standards", "curves", "samples", "qc")
"""Tables of one plate, as calibrate_plate writes them: FOLDER/FILE_ID.TABLE.parquet."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write results and evidence of all plates; exit status 2 when an input can't be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plates", nargs="*", default=[], help="file_ids, in the order of the files sheet")
    parser.add_argument("--assays", type=Path, nargs="*", default=[], help="assay file of each plate")
    parser.add_argument("--folder", type=Path, default=Path(), help="folder of the plates' tables")
    parser.add_argument("--samples-sheet", type=Path, nargs="*", default=[], help="samples of check_sheets")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; 'immunoassay' is used")
    for name in ("results", "wells", "standards", "curves", "samples", "controls", "qc"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"{name} table to write (Parquet)")
    args = parser.parse_args(argv)
    if len(args.plates) != len(args.assays):
        parser.error("--plates and --assays need the same number of entries")

    from cartrace import config as configuration
    from cartrace.immunoassay import tables as immunoassay
    from cartrace.immunoassay.assay import read_assay
    from cartrace.immunoassay.results import PlateTables, assemble_immunoassays
    from cartrace.intake.results import RESULTS
    from cartrace.problems import InputError
    from cartrace.tables import QC, SAMPLES, concat, read_table, write_table

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").immunoassay
        assays = {path: read_assay(path, str(path)) for path in dict.fromkeys(args.assays)}
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    kinds = (immunoassay.WELLS, immunoassay.STANDARDS, immunoassay.CURVES, immunoassay.SAMPLES, QC)
    contracts = dict(zip(TABLES, kinds, strict=True))
    plates = [
        PlateTables(
            plate,
            assays[path],
            **{t: read_table(args.folder / f"{plate}.{t}.parquet", contracts[t]) for t in TABLES},
        )
        for plate, path in zip(args.plates, args.assays, strict=True)
    ]
    sheet = concat([read_table(path, SAMPLES) for path in args.samples_sheet], SAMPLES)
    made = assemble_immunoassays(plates, sheet, settings)
    write_table(made.results, args.results, RESULTS)
    write_table(made.wells, args.wells, immunoassay.WELLS)
    write_table(made.standards, args.standards, immunoassay.STANDARDS)
    write_table(made.curves, args.curves, immunoassay.CURVES)
    write_table(made.samples, args.samples, immunoassay.SAMPLES)
    write_table(made.controls, args.controls, immunoassay.CONTROLS)
    write_table(made.qc, args.qc, QC)
    repeats = int(made.samples["repeat"].fillna(value=False).sum())
    print(
        f"{len(plates)} plates: {len(made.results)} results, {repeats} samples to repeat, {len(made.qc)} findings"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
