"""Join all PCR plates with extractions and limits: results in every unit, control charts, the repeat list."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

TABLES = ("wells", "curves", "samples", "droplets", "qc")
"""Tables of one plate, as quantify_plate writes them: FOLDER/FILE_ID.TABLE.parquet."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write results and evidence of all plates; exit status 2 when an input can't be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plates", nargs="*", default=[], help="file_ids, in the order of the files sheet")
    parser.add_argument("--assays", type=Path, nargs="*", default=[], help="assay file of each plate")
    parser.add_argument("--folder", type=Path, default=Path(), help="folder of the plates' tables")
    parser.add_argument("--extractions", type=Path, nargs="*", default=[], help="extractions sheet, if any")
    parser.add_argument("--samples-sheet", type=Path, nargs="*", default=[], help="samples of check_sheets")
    parser.add_argument("--limits", type=Path, nargs="*", default=[], help="estimated limits: NAME.json")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'pcr' is used")
    for name in ("results", "samples", "wells", "curves", "droplets", "controls", "qc"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"{name} table to write (Parquet)")
    args = parser.parse_args(argv)
    if len(args.plates) != len(args.assays):
        parser.error("--plates and --assays need the same number of entries")

    from cartrace import config as configuration
    from cartrace.intake.extractions import read_extractions
    from cartrace.intake.results import RESULTS
    from cartrace.pcr import tables as pcr
    from cartrace.pcr.assay import read_assay
    from cartrace.pcr.limits import limits_from_json
    from cartrace.pcr.results import PlateTables, assemble_plates
    from cartrace.problems import InputError, Problem, raise_if_any
    from cartrace.tables import QC, SAMPLES, read_table, write_table

    contracts = dict(zip(TABLES, (pcr.WELLS, pcr.CURVES, pcr.SAMPLES, pcr.DROPLETS, QC), strict=True))
    try:
        settings = configuration.load(json.loads(args.settings), "--settings").pcr
        assays = {path: read_assay(path, str(path)) for path in dict.fromkeys(args.assays)}
        problems: list[Problem] = []
        extractions = [e for path in args.extractions for e in read_extractions(Path(), str(path), problems)]
        raise_if_any(problems)
        estimates = {path.stem: limits_from_json(_text(path), str(path)) for path in args.limits}
        problems += [
            Problem(
                str(path),
                f"limits.estimated '{name}' of target '{key}'",
                f"an estimate for this target: {', '.join(n for n, e in estimates.items() if e.target == key) or 'none'}",
            )
            for path, assay in assays.items()
            for key, target in assay.targets.items()
            if (name := target.limits.estimated) and (name not in estimates or estimates[name].target != key)
        ]
        raise_if_any(problems)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    plates = [
        PlateTables(
            plate,
            assays[path],
            **{t: read_table(args.folder / f"{plate}.{t}.parquet", contracts[t]) for t in TABLES},
        )
        for plate, path in zip(args.plates, args.assays, strict=True)
    ]
    matrices: dict[str, str] = {}
    for path in args.samples_sheet:
        sheet = read_table(path, SAMPLES)
        matrices |= dict(zip(sheet["sample_id"], sheet["matrix"], strict=True))

    made = assemble_plates(plates, {e.sample: e for e in extractions}, estimates, matrices, settings)
    write_table(made.results, args.results, RESULTS)
    write_table(made.samples, args.samples, pcr.SAMPLES)
    write_table(made.wells, args.wells, pcr.WELLS)
    write_table(made.curves, args.curves, pcr.CURVES)
    write_table(made.droplets, args.droplets, pcr.DROPLETS)
    write_table(made.controls, args.controls, pcr.CONTROLS)
    write_table(made.qc, args.qc, QC)
    repeats = int(made.samples["repeat"].fillna(value=False).sum())
    print(
        f"{len(plates)} plates: {len(made.results)} results, {repeats} samples to repeat, {len(made.qc)} findings"
    )
    return 0


def _text(path: Path) -> str:
    from cartrace.problems import InputError, Problem

    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        found = f"a file that can't be read ({type(error).__name__})"
        raise InputError([Problem(str(path), found, "limits of estimate_detection_limits.py")]) from None


if __name__ == "__main__":
    sys.exit(main())
