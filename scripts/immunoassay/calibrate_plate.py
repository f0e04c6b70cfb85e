"""Calibrate one immunoassay plate: curves, and every sample as a concentration, titre or index, with verdicts."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Calibrate one plate; exit status 2 when a file can't be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file-id", required=True, help="file_id of the files sheet")
    parser.add_argument("--path", type=Path, required=True, help="the instrument's file")
    parser.add_argument("--mapping", type=Path, required=True, help="the assay file")
    parser.add_argument("--sha256", required=True, help="SHA-256 of the instrument's file, as planned")
    parser.add_argument("--layout", type=Path, nargs="*", default=[], help="layout, if there is one")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; 'immunoassay' is used")
    for name in ("wells", "standards", "curves", "samples", "qc"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"table of {name} to write (Parquet)")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.files import read_bytes
    from cartrace.immunoassay.assay import read_assay
    from cartrace.immunoassay.layout import read_layout
    from cartrace.immunoassay.quantify import quantify_plate
    from cartrace.immunoassay.readers import read_plate
    from cartrace.immunoassay.tables import CURVES, SAMPLES, STANDARDS, WELLS
    from cartrace.plates.plate import ReadOptions
    from cartrace.problems import InputError
    from cartrace.provenance import read_planned
    from cartrace.tables import QC, write_table

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").immunoassay
        assay = read_assay(args.mapping, str(args.mapping))
        options = ReadOptions(**assay.read.model_dump(), wavelength=assay.wavelength)
        content = read_planned(args.path, args.sha256)
        layout = None
        for path in args.layout:
            layout = read_layout(read_bytes(path), str(path))
        plate = read_plate(content, str(args.path), options)
        result = quantify_plate(
            plate, assay, settings, file_id=args.file_id, sha256=args.sha256, layout=layout
        )
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    for path, frame, table in (
        (args.wells, result.wells, WELLS),
        (args.standards, result.standards, STANDARDS),
        (args.curves, result.curves, CURVES),
        (args.samples, result.samples, SAMPLES),
        (args.qc, result.qc, QC),
    ):
        write_table(frame, path, table)
    rejected = int((result.samples["verdict"] == "rejected").sum())
    print(
        f"{args.file_id}: {len(result.wells)} wells, {len(result.samples)} samples ({rejected} rejected), "
        f"{len(result.curves)} curves, {len(result.qc)} findings"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
