"""Quantify the plates of a simulated trial and join them, as the workflow does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import yaml

from cartrace.intake.assemble import assemble
from cartrace.intake.plan import FilePlan, load_plan
from cartrace.intake.sheet_tables import sheet_tables
from cartrace.intake.sheets import read_sheets
from cartrace.pcr.assay import Assay, read_assay
from cartrace.pcr.limits import estimate_limits
from cartrace.pcr.plate import AMPLITUDES, Plate
from cartrace.pcr.plate_map import read_plate_map
from cartrace.pcr.quantify import quantify_plate
from cartrace.pcr.readers import read_plate
from cartrace.pcr.readers.amplitudes import read_amplitudes
from cartrace.pcr.results import Assembled, PlateTables, assemble_plates
from cartrace.simulate.trial import Trial
from cartrace.simulate.write import write_trial
from cartrace.tables import concat


@dataclass(frozen=True)
class Quantified:
    trial: Trial
    plates: dict[str, Plate]
    made: Assembled
    measurements: pd.DataFrame
    qc: pd.DataFrame


def quantify(trial: Trial, folder: Path) -> Quantified:
    write_trial(trial, folder)
    plan = load_plan(yaml.safe_load((folder / "config.yaml").read_text("utf-8")), folder)
    sheets, problems = read_sheets(folder, plan.config)
    assert problems == []
    plates = {file.file_id: read(folder, file) for file in plan.plates.values()}
    tables = []
    for file in plan.plates.values():
        assay: Assay = read_assay(folder / file.mapping, file.mapping)
        found = quantify_plate(
            plates[file.file_id],
            assay,
            plan.config.pcr,
            file_id=file.file_id,
            sha256=file.sha256,
            plate_map=read_plate_map((folder / file.plate_map).read_text(), file.plate_map)
            if file.plate_map
            else None,
            stored={},
        )
        tables.append(
            PlateTables(
                file.file_id,
                assay,
                wells=found.wells,
                curves=found.curves,
                samples=found.samples,
                droplets=found.droplets,
                qc=found.qc,
            )
        )
    clock = sheet_tables(sheets, plan.config)
    matrices = dict(clock.samples[["sample_id", "matrix"]].to_numpy().tolist())
    estimates = {
        name: estimate_limits(
            pd.read_csv(folder / settings.dilutions, sep="\t"),
            pd.read_csv(folder / str(settings.blanks), sep="\t")["copies"],
            settings,
            name=name,
        )
        for name, settings in plan.config.pcr.detection_limits.items()
    }
    extractions = {e.sample: e for e in sheets.extractions}
    made = assemble_plates(tables, extractions, estimates, matrices, plan.config.pcr)
    measurements, qc = assemble([made.results], [made.qc], clock, plan.config)
    return Quantified(trial, plates, made, measurements, qc)


def read(folder: Path, file: FilePlan) -> Plate:
    plate = read_plate((folder / file.path).read_bytes(), file.path)
    wells = {path: path.split("_")[-2] for path in file.amplitudes}
    frames = [read_amplitudes((folder / path).read_bytes(), path, well) for path, well in wells.items()]
    return replace(plate, amplitudes=concat(frames, AMPLITUDES))
