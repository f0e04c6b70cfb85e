"""Join all flow tubes with tubes sheet and gate review: percentages, cells/uL, limits, verdicts."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

PARTS = ("tubes", "gates", "thresholds", "background", "acquisition", "plots", "qc")
"""Tables of one tube, as gate_tube writes them: FOLDER/FILE_ID.TABLE.parquet."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write results and evidence of all tubes; exit status 2 when an input can't be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tubes", nargs="*", default=[], help="file_ids, in the order of the files sheet")
    parser.add_argument("--panels", type=Path, nargs="*", default=[], help="panel file of each tube")
    parser.add_argument("--folder", type=Path, default=Path(), help="folder of the tubes' tables")
    parser.add_argument("--tubes-sheet", type=Path, nargs="*", default=[], help="tubes sheet")
    parser.add_argument(
        "--inbox-tubes",
        nargs="*",
        default=[],
        help="tubes that no sheet lists, as JSON (intake.tubes.named_tube)",
    )
    parser.add_argument("--review", type=Path, nargs="*", default=[], help="gate review sheet, if any")
    parser.add_argument("--samples-sheet", type=Path, nargs="*", default=[], help="samples of check_sheets")
    parser.add_argument(
        "--settings",
        default="{}",
        help="configuration as JSON; section 'flow' and kinetics.post_infusion_visits are used",
    )
    for name in ("results", "gates", "thresholds", "background", "acquisition", "plots", "populations", "qc"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"{name} table to write (Parquet)")
    parser.add_argument("--tube-table", type=Path, required=True, help="tubes table to write (Parquet)")
    args = parser.parse_args(argv)
    if len(args.tubes) != len(args.panels):
        parser.error("--tubes and --panels need the same number of entries")

    from cartrace import config as configuration
    from cartrace.flow.assemble import assemble_tubes
    from cartrace.flow.panel import read_panel
    from cartrace.flow.populations import TubeTables
    from cartrace.flow.tables import TABLES
    from cartrace.intake.results import RESULTS
    from cartrace.intake.tubes import named_tube, read_gate_review, read_tubes
    from cartrace.problems import InputError, Problem, raise_if_any
    from cartrace.tables import QC, SAMPLES, concat, read_table, write_table

    contracts = {name: TABLES.get(f"flow_{name}", QC) for name in PARTS}
    try:
        settings = configuration.load(json.loads(args.settings), "--settings")
        panels = {path: read_panel(path, str(path)) for path in dict.fromkeys(args.panels)}
        problems: list[Problem] = []
        sheet = {t.file_id: t for path in args.tubes_sheet for t in read_tubes(Path(), str(path), problems)}
        sheet |= {tube.file_id: tube for tube in (named_tube(*json.loads(text)) for text in args.inbox_tubes)}
        reviews = {
            r.file_id: r for path in args.review for r in read_gate_review(Path(), str(path), problems)
        }
        raise_if_any(problems)
        listed = ", ".join(map(str, args.tubes_sheet)) or "--tubes-sheet"
        raise_if_any(
            [Problem(listed, f"no row of {t}", "one row for each tube") for t in args.tubes if t not in sheet]
        )
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    tubes = [
        TubeTables(
            tube,
            panels[path],
            **{p: read_table(args.folder / f"{tube}.{p}.parquet", contracts[p]) for p in PARTS},
        )
        for tube, path in zip(args.tubes, args.panels, strict=True)
    ]
    samples = concat([read_table(path, SAMPLES) for path in args.samples_sheet], SAMPLES)

    made = assemble_tubes(
        tubes,
        sheet,
        reviews,
        samples,
        settings.flow,
        post_infusion_visits=settings.kinetics.post_infusion_visits,
    )
    write_table(made.results, args.results, RESULTS)
    write_table(made.tubes, args.tube_table, TABLES["flow_tubes"])
    for name in ("gates", "thresholds", "background", "acquisition", "plots", "populations"):
        write_table(getattr(made, name), getattr(args, name), TABLES[f"flow_{name}"])
    write_table(made.qc, args.qc, QC)
    uncounted = int(made.populations["verdict"].eq("rejected").sum())
    print(
        f"{len(tubes)} tubes: {len(made.results)} results, {uncounted} populations rejected, {len(made.qc)} findings"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
