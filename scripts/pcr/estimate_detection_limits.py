"""Estimate limit of blank, of detection and of quantification from dilution series and blanks.

By hand: --dilutions series.tsv --blanks blanks.tsv --name car --target CAR --output limits.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

MAX_BYTES = 50_000_000


def main(argv: Sequence[str] | None = None) -> int:
    """Write the limits as JSON; exit status 2 when the input is at fault."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dilutions", type=Path, required=True, help="tsv: level, copies, optionally plate; one row a well"
    )
    parser.add_argument(
        "--blanks",
        type=Path,
        nargs="*",
        default=[],
        help="tsv with copies, or wells.parquet of past runs, whose no-template controls are taken",
    )
    parser.add_argument("--name", required=True, help="name in pcr.detection_limits")
    parser.add_argument("--target", help="target, where --settings does not name it")
    parser.add_argument("--settings", default="{}", help="configuration as JSON, with pcr.detection_limits")
    parser.add_argument("--output", type=Path, required=True, help="limits to write (JSON)")
    args = parser.parse_args(argv)

    import numpy as np

    from cartrace import config as configuration
    from cartrace.files import write_whole
    from cartrace.pcr.limits import (
        blanks_of_wells,
        estimate_limits,
        limits_to_json,
        read_blanks,
        read_dilutions,
    )
    from cartrace.pcr.tables import WELLS
    from cartrace.problems import InputError, Problem, raise_if_any
    from cartrace.tables import read_table

    def content(path: Path) -> bytes:
        try:
            if path.stat().st_size > MAX_BYTES:
                raise InputError([Problem(str(path), "more than 50 MB", "a table of wells")])
            return path.read_bytes()
        except OSError as error:
            found = f"a file that can't be read ({type(error).__name__})"
            raise InputError([Problem(str(path), found, "a readable file")]) from None

    def text(raw: bytes, path: Path) -> str:
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InputError(
                [Problem(str(path), "bytes that are not UTF-8", "tab-separated text in UTF-8")]
            ) from None

    problems: list[Problem] = []
    try:
        try:
            given = json.loads(args.settings)
        except ValueError:
            raise InputError([Problem("--settings", "no JSON", "a configuration as JSON")]) from None
        pcr = configuration.load(given, "--settings").pcr
        settings = pcr.detection_limits.get(args.name)
        if settings is None:
            if not args.target:
                raise InputError(
                    [Problem("--settings", f"no pcr.detection_limits.{args.name}", "that key, or --target")]
                )
            settings = configuration.DetectionLimits(target=args.target, dilutions=str(args.dilutions))
        try:
            dilutions = read_dilutions(text(content(args.dilutions), args.dilutions), str(args.dilutions))
        except InputError as error:
            problems += error.problems
        blanks = []
        for path in args.blanks:
            try:
                raw = content(path)
                if raw.startswith(b"PAR1"):
                    blanks.append(blanks_of_wells(read_table(path, WELLS), settings.target))
                else:
                    blanks.append(read_blanks(text(raw, path), str(path)))
            except InputError as error:
                problems += error.problems
            except (OSError, ValueError) as error:
                found = f"no table of PCR wells ({type(error).__name__})"
                problems.append(Problem(str(path), found, "wells.parquet of cartrace"))
        raise_if_any(problems)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    limits = estimate_limits(
        dilutions,
        np.concatenate(blanks) if blanks else None,
        settings,
        name=args.name,
        confidence=pcr.confidence,
    )
    write_whole(args.output, limits_to_json(limits))
    for label, value in (("LOB", limits.lob), ("LOD", limits.lod), ("LLOQ", limits.lloq)):
        print(f"{label}: " + ("none" if value is None else f"{value:.4g} copies/reaction"))
    print(*limits.reasons, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
