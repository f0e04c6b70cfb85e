"""The real tables: never part of the repository, found beside it or through the environment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests.loading import load_module

from cartrace.intake.assemble import assemble
from cartrace.intake.laboratory_table import read_grid, read_results
from cartrace.intake.mapping import read_mapping
from cartrace.intake.plan import Plan, load_plan
from cartrace.intake.sheet_tables import SheetTables, sheet_tables
from cartrace.intake.sheets import read_sheets
from cartrace.problems import raise_if_any

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples"


def real_data() -> Path:
    named = os.environ.get("CARTRACE_REAL_DATA")
    return Path(named) if named else REPOSITORY.parent / "shared" / "data"


@dataclass(frozen=True)
class Intake:
    """What intake made of one example."""

    plan: Plan
    tables: SheetTables
    measurements: pd.DataFrame
    qc: pd.DataFrame

    def findings(self, check: str) -> pd.DataFrame:
        return self.qc[self.qc["check"] == check]

    def counts(self) -> dict[str, int]:
        return {str(k): int(v) for k, v in self.qc["check"].value_counts().items()}


def derive_sheets(folder: Path) -> None:
    """Run the make_sheets.py of an example."""
    module = load_module(folder / "make_sheets.py")
    assert module.main(["--folder", str(folder)]) == 0


def run_intake(folder: Path, config_file: str = "config.yaml") -> Intake:
    plan = load_plan(yaml.safe_load((folder / config_file).read_text()), folder, config_file)
    sheets, problems = read_sheets(folder, plan.config)
    raise_if_any(problems)
    results, qc = [], []
    for file in plan.files.values():
        mapping = read_mapping(folder / file.mapping, file.mapping)
        grid = read_grid(folder / file.path, mapping, file.path)
        one, found = read_results(
            grid, mapping, file_id=file.file_id, sha256=file.sha256, first_dates=sheets.first_dates
        )
        results.append(one)
        qc.append(found)
    subjects = {str(s) for r in results for s in r["subject_id"].dropna()}
    tables = sheet_tables(sheets, plan.config, subjects)
    measurements, findings = assemble(results, qc, tables, plan.config)
    return Intake(plan, tables, measurements, findings)


def data_of(name: str) -> Path:
    """Folder of the real tables of an example."""
    return real_data() / ("antibody_decay" if name.startswith("antibody_") else f"kinetics/{name}")


def example_folder(name: str, target: Path) -> Path:
    """Copy an example and link its data folder; skip the test when the data are absent."""
    data = data_of(name)
    if not data.is_dir():
        pytest.skip(
            f"the real tables ({name}) are not here: set CARTRACE_REAL_DATA or put them in ../shared/data"
        )
    folder = target / name
    shutil.copytree(EXAMPLES / name, folder)
    (folder / "data").symlink_to(data, target_is_directory=True)
    return folder


@pytest.fixture(scope="session")
def intake_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Intake]:
    done: dict[str, Intake] = {}

    def run(name: str) -> Intake:
        if name not in done:
            done[name] = run_intake(example_folder(name, tmp_path_factory.mktemp("real")))
        return done[name]

    return run


@pytest.fixture(scope="session")
def clinical(tmp_path_factory: pytest.TempPathFactory) -> Intake:
    """The myeloma example with the sheets that its make_sheets.py derives."""
    folder = example_folder("myeloma_bcma", tmp_path_factory.mktemp("clinical"))
    derive_sheets(folder)
    return run_intake(folder, "config_clinical.yaml")


@pytest.fixture
def make_sheets() -> Callable[[Path], None]:
    return derive_sheets


@pytest.fixture
def copy_example(tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: example_folder(name, tmp_path)


@pytest.fixture
def run_folder() -> Callable[[Path, str], Intake]:
    return run_intake
