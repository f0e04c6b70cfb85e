"""Write a simulated trial and read its tables as intake reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from cartrace.intake.assemble import assemble
from cartrace.intake.laboratory_table import read_grid, read_results
from cartrace.intake.mapping import read_mapping
from cartrace.intake.plan import load_plan
from cartrace.intake.sheet_tables import SheetTables, sheet_tables
from cartrace.intake.sheets import read_sheets
from cartrace.simulate.trial import Trial
from cartrace.simulate.write import write_trial


@dataclass(frozen=True)
class Read:
    trial: Trial
    tables: SheetTables
    measurements: pd.DataFrame
    qc: pd.DataFrame


def read(trial: Trial, folder: Path) -> Read:
    write_trial(trial, folder)
    plan = load_plan(yaml.safe_load((folder / "config.yaml").read_text("utf-8")), folder)
    sheets, problems = read_sheets(folder, plan.config)
    assert problems == []
    parts = []
    for file in plan.tables.values():
        mapping = read_mapping(folder / file.mapping, file.mapping)
        grid = read_grid(folder / file.path, mapping)
        parts.append(
            read_results(
                grid, mapping, file_id=file.file_id, sha256=file.sha256, first_dates=sheets.first_dates
            )
        )
    tables = sheet_tables(sheets, plan.config)
    measurements, qc = assemble([r for r, _ in parts], [q for _, q in parts], tables, plan.config)
    return Read(trial, tables, measurements, qc)
