"""Quantify one PCR plate: copies per reaction of every well and sample, with curves, verdicts and findings."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.pcr.assay import Assay
    from cartrace.pcr.plate import ReadOptions
    from cartrace.pcr.standard_curve import Curve


def main(argv: Sequence[str] | None = None) -> int:
    """Quantify one plate; exit status 2 when a file can't be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file-id", required=True, help="file_id of the files sheet")
    parser.add_argument("--path", type=Path, required=True, help="the instrument's file")
    parser.add_argument("--mapping", type=Path, required=True, help="the assay file")
    parser.add_argument("--sha256", required=True, help="SHA-256 of the instrument's file, as planned")
    parser.add_argument("--plate-map", type=Path, nargs="*", default=[], help="plate map, if there is one")
    parser.add_argument("--amplitudes", type=Path, nargs="*", default=[], help="files *_WELL_Amplitude.csv")
    parser.add_argument("--curve", type=Path, nargs="*", default=[], help="stored curves of the assay file")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'pcr' is used")
    for name in ("wells", "curves", "samples", "droplets", "qc"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"table of {name} to write (Parquet)")
    args = parser.parse_args(argv)

    from dataclasses import replace

    from cartrace import config as configuration
    from cartrace.files import read_text
    from cartrace.pcr.assay import read_assay
    from cartrace.pcr.plate import ReadOptions
    from cartrace.pcr.plate_map import read_plate_map
    from cartrace.pcr.quantify import quantify_plate
    from cartrace.pcr.readers import read_plate
    from cartrace.pcr.tables import CURVES, DROPLETS, SAMPLES, WELLS
    from cartrace.problems import InputError
    from cartrace.provenance import read_planned
    from cartrace.tables import QC, write_table

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").pcr
        assay = read_assay(args.mapping, str(args.mapping))
        options = ReadOptions(**assay.read.model_dump())
        content = read_planned(args.path, args.sha256)
        plate = read_plate(content, str(args.path), options)
        plate_map = None
        for path in args.plate_map:
            plate_map = read_plate_map(read_text(path), str(path))
        result = quantify_plate(
            replace(plate, amplitudes=_amplitudes(args.amplitudes, options)) if args.amplitudes else plate,
            assay,
            settings,
            file_id=args.file_id,
            sha256=args.sha256,
            plate_map=plate_map,
            stored=_stored(assay, args.curve, settings.confidence),
        )
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    tables = ((args.wells, WELLS), (args.curves, CURVES), (args.samples, SAMPLES), (args.droplets, DROPLETS))
    for (path, table), frame in zip(
        (*tables, (args.qc, QC)),
        (result.wells, result.curves, result.samples, result.droplets, result.qc),
        strict=True,
    ):
        write_table(frame, path, table)
    rejected = int((result.samples["verdict"] == "rejected").sum())
    print(
        f"{args.file_id}: {len(result.wells)} wells, {len(result.samples)} samples ({rejected} rejected), "
        f"{len(result.curves)} curves, {len(result.qc)} findings"
    )
    return 0


def _amplitudes(paths: Sequence[Path], options: ReadOptions) -> pd.DataFrame:
    """Read the amplitudes of each well; the well is in the file's name."""
    from cartrace.files import read_bytes
    from cartrace.pcr.plate import AMPLITUDES
    from cartrace.pcr.readers.amplitudes import read_amplitudes
    from cartrace.pcr.vocabulary import AMPLITUDE_FILE
    from cartrace.problems import InputError, Problem, raise_if_any
    from cartrace.tables import concat

    frames, problems = [], []
    for path in paths:
        match = AMPLITUDE_FILE.search(path.name)
        if match is None:
            problems.append(
                Problem(str(path), "a name without its well", "a name such as run_A01_Amplitude.csv")
            )
            continue
        try:
            frames.append(read_amplitudes(read_bytes(path), str(path), match[1] + match[2], options))
        except InputError as error:
            problems += error.problems
    raise_if_any(problems)
    return concat(frames, AMPLITUDES)


def _stored(assay: Assay, paths: Sequence[Path], confidence: float) -> dict[str, Curve]:
    """Read the stored curves that the assay file names, by that name."""
    from cartrace.files import read_text
    from cartrace.pcr.standard_curve import read_stored_curve
    from cartrace.problems import InputError, Problem, raise_if_any

    found: dict[str, Curve] = {}
    problems = []
    for name, target in assay.targets.items():
        if target.curve.source != "stored":
            continue
        path = next((p for p in paths if p == Path(target.curve.file)), None)
        if path is None:
            problems.append(
                Problem(
                    target.curve.file, "a stored curve that was not given", f"--curve {target.curve.file}"
                )
            )
            continue
        try:
            curve = read_stored_curve(read_text(path), str(path), confidence)
        except InputError as error:
            problems += error.problems
            continue
        found[target.curve.file] = curve
        if curve.target != name:
            problems.append(
                Problem(
                    str(path), f"a curve of the target '{curve.target}'", f"one of '{name}'", column="target"
                )
            )
    raise_if_any(problems)
    return found


if __name__ == "__main__":
    sys.exit(main())
