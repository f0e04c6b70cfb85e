"""Store one standard curve from the standards of several plates, for plates that carry none of their own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Write the curve as YAML; exit status 2 when the plates give none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--wells", type=Path, nargs="+", required=True, help="results/pcr/plate/*.wells.parquet"
    )
    parser.add_argument("--target", required=True, help="target, as the assay file names it")
    parser.add_argument("--name", required=True, help="name of the curve")
    parser.add_argument("--output", type=Path, required=True, help="curve to write (YAML)")
    args = parser.parse_args(argv)

    from cartrace.files import write_whole
    from cartrace.pcr.standard_curve import (
        CurveError,
        between_plate_sd,
        dump_stored_curve,
        master_curve,
        standards_of,
    )
    from cartrace.pcr.tables import WELLS
    from cartrace.problems import InputError, Problem, raise_if_any
    from cartrace.tables import concat, read_table

    try:
        problems: list[Problem] = []
        tables = []
        seen: dict[str, Path] = {}
        for path in args.wells:
            try:
                table = read_table(path, WELLS)
            except (OSError, ValueError) as error:
                found = f"no table of PCR wells ({type(error).__name__})"
                problems.append(Problem(str(path), found, "wells.parquet of cartrace"))
                continue
            tables.append(table)
            for plate in table["plate"].unique():
                if plate in seen:
                    problems.append(
                        Problem(str(path), f"plate '{plate}' again", f"once: {seen[plate]} has it")
                    )
                seen[plate] = path
        raise_if_any(problems)
        standards, left_out = standards_of(concat(tables, WELLS), args.target)
        try:
            curve = master_curve(standards)
        except CurveError as error:
            raise InputError(
                [Problem("--wells", str(error), "plates with standards that give a curve")]
            ) from None
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    write_whole(args.output, dump_stored_curve(curve, args.name, args.target))
    slope_sd, intercept_sd = between_plate_sd(curve)
    print(
        f"{len(curve.lines)} plates, {curve.n_used} standards, {left_out} left out (excluded or without Cq)\n"
        f"slope {curve.slope:.4f} (sd between plates {slope_sd:.4f}), intercept {curve.intercept:.4f} "
        f"(sd {intercept_sd:.4f}), efficiency {curve.efficiency_percent:.2f} %"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
