"""Gate one flow tube: events of every gate, how each gate was set, its picture, and what was odd in the tube."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cartrace.flow.fcs import FcsData
    from cartrace.flow.panel import Panel
    from cartrace.flow.tube import GatedTube, GateSource


def main(argv: Sequence[str] | None = None) -> int:
    """Gate one tube; exit status 2 when a file can't be read or a marker is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file-id", required=True, help="file_id of the files sheet")
    parser.add_argument("--path", type=Path, required=True, help="the FCS file")
    parser.add_argument("--panel", type=Path, required=True, help="the panel file")
    parser.add_argument("--sha256", required=True, help="SHA-256 of the FCS file, as planned")
    parser.add_argument(
        "--tube", default='{"kind": "sample"}', help="what the plan says of the tube, as JSON"
    )
    parser.add_argument("--controls", type=Path, nargs="*", default=[], help="FCS files of its controls")
    parser.add_argument("--drawn", type=Path, nargs="*", default=[], help="Gating-ML file or workspace")
    parser.add_argument("--compensation", type=Path, nargs="*", default=[], help="spillover matrix (csv)")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'flow' is used")
    for name in ("tubes", "gates", "thresholds", "background", "acquisition", "plots", "qc"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"table of {name} to write (Parquet)")
    parser.add_argument("--gating-ml", type=Path, required=True, help="gate set to write (Gating-ML 2.0)")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.flow.fcs import read_fcs
    from cartrace.flow.panel import read_panel
    from cartrace.flow.tube import TubeSpec, gate_tube
    from cartrace.problems import InputError, Problem, raise_if_any
    from cartrace.provenance import check_planned

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").flow
        panel = read_panel(args.panel, str(args.panel))
        spec = TubeSpec.from_json(args.tube)
        problems: list[Problem] = []
        tubes: list[FcsData] = []
        for path, data_set in zip(
            [args.path, *args.controls], [spec.data_set, *(c.data_set for c in spec.controls)], strict=True
        ):
            try:
                tubes.append(read_fcs(path, str(path), data_set))
            except InputError as error:
                problems += error.problems
        raise_if_any(problems)
        check_planned(args.path, args.sha256)
        gated = gate_tube(
            panel,
            spec,
            tubes[0],
            tubes[1:],
            _source(panel, tubes[0], args.path, args.drawn, args.compensation),
            settings=settings,
            file_id=args.file_id,
            panel_file=str(args.panel),
            sha256=args.sha256,
            names=[str(args.path), *map(str, args.controls)],
        )
        _write(gated, args)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    row = gated.tubes.iloc[0]
    unset = int(gated.gates["events"].isna().sum())
    print(
        f"{args.file_id}: {row['gated_events']} of {row['events']} events in {len(gated.gates)} gates"
        f" ({unset} not set), {len(gated.qc)} findings, {row['verdict']}"
    )
    return 0


def _source(
    panel: Panel, tube: FcsData, path: Path, drawn: Sequence[Path], compensation: Sequence[Path]
) -> GateSource:
    """Read the drawn gates and the matrix that the panel names."""
    from cartrace.files import read_bytes, read_text
    from cartrace.flow.compensation import read_compensation_csv
    from cartrace.flow.gating_ml import read_gating_ml
    from cartrace.flow.tube import GateSource
    from cartrace.flow.workspace import read_workspace
    from cartrace.problems import InputError, Problem

    csv = None
    for file in compensation:
        csv = read_compensation_csv(read_text(file), str(file))
    for file in drawn:
        if panel.drawn is not None and panel.drawn.flowjo:
            workspace = read_workspace(read_bytes(file), str(file))
            # The workspace knows a tube by the name that its file had at the cytometer.
            names = {path.name.casefold(), tube.keywords.get("FIL", "").casefold()}
            named = {s for s in workspace.samples if s and s.casefold() in names}
            if len(named) > 1:
                found = f"two samples for the tube {path.name}: by the name of the file, and by its $FIL"
                raise InputError(
                    [Problem(str(file), found, "one; name the file as FlowJo knew it", column="sample")]
                )
            own = next(iter(named), None)
            sample = own or panel.drawn.sample
            if sample not in workspace.samples:
                raise InputError(
                    [
                        Problem(
                            str(file),
                            f"no sample for the tube {path.name}",
                            "its name in the workspace, or drawn.sample in the panel file: the sample whose gates count",
                            column="sample",
                        )
                    ]
                )
            strategy = workspace.strategy_of(sample)
            counts = workspace.counts_of(sample) if own else None
            return GateSource(strategy, counts, csv)
        return GateSource(read_gating_ml(read_bytes(file), str(file)), None, csv)
    return GateSource(csv=csv)


def _write(gated: GatedTube, args: argparse.Namespace) -> None:
    from xml.sax.saxutils import escape

    from cartrace.files import replacing
    from cartrace.flow.gating_ml import why_no_gating_ml, write_gating_ml
    from cartrace.flow.tables import TABLES
    from cartrace.tables import QC, write_table

    if reason := why_no_gating_ml(gated.strategy):
        content = (
            f"<!-- no Gating-ML of these gates: {escape(reason).replace('--', '- -')} --><none/>\n".encode()
        )
    else:
        content = write_gating_ml(gated.strategy)
    for name in ("tubes", "gates", "thresholds", "background", "acquisition", "plots"):
        write_table(getattr(gated, name), getattr(args, name), TABLES[f"flow_{name}"])
    write_table(gated.qc, args.qc, QC)
    with replacing(args.gating_ml) as temporary:
        temporary.write_bytes(content)


if __name__ == "__main__":
    sys.exit(main())
