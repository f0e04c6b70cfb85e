"""Calibrate the immunoassay plates of a simulated trial and join them, as the workflow does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

import pandas as pd

from cartrace.config import Immunoassay
from cartrace.immunoassay.assay import load_assay
from cartrace.immunoassay.layout import read_layout
from cartrace.immunoassay.plate import Plate
from cartrace.immunoassay.quantify import quantify_plate
from cartrace.immunoassay.readers import read_plate
from cartrace.immunoassay.results import Assembled, PlateTables, assemble_immunoassays
from cartrace.plates.plate import ReadOptions
from cartrace.simulate.immunoassay_core import ImmunoassayFiles
from cartrace.simulate.trial import Trial
from cartrace.simulate.write import files
from cartrace.tables import SAMPLES, conform


@dataclass(frozen=True)
class Calibrated:
    """``found`` is the truth of each sample, target and plate beside what came out (columns with ``_found``)."""

    raw: ImmunoassayFiles
    plates: dict[str, Plate]
    made: Assembled
    found: pd.DataFrame

    def fault(self, kind: str) -> pd.Series:
        """The only planted fault of a kind."""
        (fault,) = (f for f in self.raw.faults if f.kind == kind)
        return pd.Series({name: getattr(fault, name) for name in fault.__slots__})

    def findings(self, check: str) -> pd.DataFrame:
        """The warnings and failures of a check."""
        qc = self.made.qc
        return qc[qc["check"].eq(check) & qc["verdict"].isin(["warn", "fail"])]


def calibrate(trial: Trial) -> Calibrated:
    raw, written = trial.immunoassays, files(trial)
    plates: dict[str, Plate] = {}
    tables = []
    for row in raw.files:
        name = row["mapping"].removeprefix("mappings/").removesuffix(".yaml")
        assay = load_assay(trial.mappings[name], row["mapping"])
        options = ReadOptions(**assay.read.model_dump(), wavelength=assay.wavelength)
        plates[row["file_id"]] = read_plate(written[f"data/{row['path']}"], row["path"], options)
        layout = read_layout(written[row["plate_map"]], row["plate_map"]) if row["plate_map"] else None
        one = quantify_plate(
            plates[row["file_id"]],
            assay,
            Immunoassay(),
            file_id=row["file_id"],
            sha256="0" * 64,
            layout=layout,
        )
        tables.append(
            PlateTables(row["file_id"], assay, one.wells, one.standards, one.curves, one.samples, one.qc)
        )
    # The workflow reads the days off the dates of the sheet (tests/workflow).
    days = pd.DataFrame(raw.truth)[["sample_id", "infusion", "day", "study_day"]].drop_duplicates()
    sheet = conform(pd.DataFrame(raw.samples).drop(columns="date").merge(days), SAMPLES)
    made = assemble_immunoassays(tables, sheet, Immunoassay())
    return Calibrated(raw, plates, made, beside(raw, made))


def beside(raw: ImmunoassayFiles, made: Assembled) -> pd.DataFrame:
    truth = pd.DataFrame(raw.truth)
    return truth.merge(
        made.samples.dropna(subset=["sample_id"]).rename(columns={"plate": "file_id"}),
        on=["file_id", "sample_id", "target"],
        how="left",
        suffixes=("", "_found"),
        validate="one_to_one",
    )


def workbook(content: bytes) -> Mapping[str, list[tuple[object, ...]]]:
    """Sheet -> rows."""
    from openpyxl import load_workbook

    book = load_workbook(BytesIO(content))
    return {s.title: list(s.iter_rows(values_only=True)) for s in book.worksheets}
