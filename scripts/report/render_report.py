"""Write the report: one HTML file that opens without a network."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace import config, provenance, registry, tables
from cartrace.cells import tables as cells
from cartrace.files import write_whole
from cartrace.flow.tables import ACQUISITION, BACKGROUND, GATES, PLOTS, POPULATIONS, THRESHOLDS, TUBES
from cartrace.immunoassay import tables as immunoassay
from cartrace.pcr.tables import CONTROLS, CURVES, DROPLETS, SAMPLES, WELLS
from cartrace.repertoire import tables as repertoire
from cartrace.report.clones import CloneTables
from cartrace.report.efficacy import EfficacyTables
from cartrace.report.immunoassays import ImmunoassayTables
from cartrace.report.libraries import CellTables
from cartrace.report.page import ReportData, render
from cartrace.report.plates import PcrTables
from cartrace.report.safety import SafetyTables
from cartrace.report.tubes import FlowTables
from cartrace.safety.tables import GRADES as SAFETY_GRADES
from cartrace.safety.tables import SAFETY_SUMMARY, TOXICITY

if TYPE_CHECKING:
    import pandas as pd

INPUTS = (
    "measurements",
    "metrics",
    "qc",
    "cohort_summary",
    "survival",
    "subjects",
    "infusions",
    "events",
    "episodes",
    "models",
    "antibody_means",
    "associations",
    "characteristics",
)
PCR_INPUTS = {
    "wells": WELLS,
    "curves": CURVES,
    "samples": SAMPLES,
    "droplets": DROPLETS,
    "controls": CONTROLS,
}
FLOW_INPUTS = {
    "tubes": TUBES,
    "gates": GATES,
    "thresholds": THRESHOLDS,
    "background": BACKGROUND,
    "acquisition": ACQUISITION,
    "plots": PLOTS,
    "populations": POPULATIONS,
}
IMMUNOASSAY_INPUTS = {
    "wells": immunoassay.WELLS,
    "standards": immunoassay.STANDARDS,
    "curves": immunoassay.CURVES,
    "samples": immunoassay.SAMPLES,
    "controls": immunoassay.CONTROLS,
}
CELL_INPUTS = {
    "libraries": cells.LIBRARIES,
    "composition": cells.COMPOSITION,
    "fractions": cells.CAR_FRACTIONS,
    "car_reads": cells.CAR_READS,
    "coverage": cells.COVERAGE,
    "variants": cells.VARIANTS,
    "regions": cells.REGIONS,
    "domains": cells.DOMAINS,
    "embedding": cells.EMBEDDING,
    "obs": cells.OBS,
    "expression": cells.EXPRESSION,
}
# Named as results/repertoire/ names them: a table's own name would be long, or that of another stage.
CLONE_INPUTS = {
    "clones": repertoire.CLONES,
    "clone_samples": repertoire.CLONE_SAMPLES,
    "clone_totals": repertoire.CLONE_TOTALS,
    "clone_changes": repertoire.CLONE_CHANGES,
    "clone_persistence": repertoire.CLONE_PERSISTENCE,
    "diversity": repertoire.DIVERSITY,
    "overlap": repertoire.OVERLAP,
    "b_return": repertoire.B_RETURN,
    "clone_sharing": repertoire.SHARED,
    "site_samples": repertoire.SITE_SAMPLES,
    "site_alarms": repertoire.SITE_ALARM,
    "receptors": repertoire.CELL_RECEPTORS,
}
INBOX_INPUTS = {"inbox": tables.INBOX}
SAFETY_INPUTS = {"grades": SAFETY_GRADES, "toxicity": TOXICITY, "summary": SAFETY_SUMMARY}
EFFICACY_INPUTS = {
    "outcomes": tables.OUTCOMES,
    "curves": tables.OUTCOME_CURVES,
    "key_results": tables.KEY_RESULTS,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Read the tables, render the page, write it whole or not at all."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in INPUTS:
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            required=True,
            help=f"the table {name} as Parquet",
            metavar="PARQUET",
        )
    for table in (
        *PCR_INPUTS.values(),
        *FLOW_INPUTS.values(),
        *IMMUNOASSAY_INPUTS.values(),
        *CELL_INPUTS.values(),
        *SAFETY_INPUTS.values(),
        *EFFICACY_INPUTS.values(),
        *INBOX_INPUTS.values(),
    ):
        option = f"--{table.name.replace('_', '-')}"
        # The workflow names no file where the trial has no plate or no tube.
        parser.add_argument(option, nargs="?", help=f"the table {table.name} as Parquet", metavar="PARQUET")
    for name, table in CLONE_INPUTS.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, nargs="?", help=f"the table {table.name} as Parquet", metavar="PARQUET")
    parser.add_argument("--settings", required=True, help="the whole configuration as JSON text")
    parser.add_argument("--output", required=True, type=Path, help="the page to write", metavar="HTML")
    arguments = parser.parse_args(argv)

    settings = config.load(json.loads(arguments.settings), "settings")
    frames = {name: tables.read_table(getattr(arguments, name), tables.TABLES[name]) for name in INPUTS}

    def given(inputs: dict[str, tables.Table]) -> dict[str, pd.DataFrame]:
        paths = {key: getattr(arguments, table.name) for key, table in inputs.items()}
        return {key: tables.read_table(path, inputs[key]) for key, path in paths.items() if path}

    clones = {name: getattr(arguments, name) for name in CLONE_INPUTS}
    data = ReportData(
        **frames,
        pcr=PcrTables(**given(PCR_INPUTS)),
        flow=FlowTables(**given(FLOW_INPUTS)),
        immunoassay=ImmunoassayTables(**given(IMMUNOASSAY_INPUTS)),
        cells=CellTables(**given(CELL_INPUTS)),
        clones=CloneTables(
            **{name: tables.read_table(path, CLONE_INPUTS[name]) for name, path in clones.items() if path}
        ),
        safety=SafetyTables(**given(SAFETY_INPUTS)),
        efficacy=EfficacyTables(**given(EFFICACY_INPUTS)),
        **given(INBOX_INPUTS),
        registry=registry.load_all(),
        versions=provenance.versions(),
    )
    page = render(data, settings)
    write_whole(arguments.output, page)
    print(f"{arguments.output.name}: {len(page.encode()) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
