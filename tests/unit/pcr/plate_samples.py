"""Made-up plates as quantify_plate leaves them: samples in copies per reaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from cartrace.intake.extractions import Extraction
from cartrace.pcr.assay import Assay, load_assay
from cartrace.pcr.results import PlateTables
from cartrace.pcr.tables import CURVES, DROPLETS, SAMPLES, WELLS
from cartrace.tables import QC, empty, rows


def sample(name: str = "S1", copies: float | None = 100.0, **more: Any) -> dict[str, Any]:
    return {
        "plate": "p1",
        "sample": name,
        "subject_id": "A",
        "matrix": "blood",
        "day": 7.0,
        "target": "CAR",
        "role": "transgene",
        "analyte": "transgene",
        "assay": "qpcr",
        "method": "qpcr",
        "task": "unknown",
        "wells": "A01, A02",
        "n_wells": 2,
        "n_used": 2,
        "copies": copies,
        "lower": None if copies is None else 0.8 * copies,
        "upper": None if copies is None else 1.25 * copies,
        "sd": 10.0,
        "verdict": "accepted",
        "source_row": 2,
        "source_sha256": "0" * 64,
    } | more


def gene(name: str = "S1", copies: float | None = 6000.0, **more: Any) -> dict[str, Any]:
    return sample(name, copies, target="RPP30", role="reference", analyte=None) | more


def table(*records: dict[str, Any]) -> pd.DataFrame:
    return rows(records, SAMPLES)


def assay(
    *, limits: dict[str, Any] | None = None, reference: dict[str, Any] | None = None, **more: Any
) -> Assay:
    """One transgene, and a reference gene when asked."""
    targets: dict[str, Any] = {"CAR": {"limits": limits or {}}}
    if reference is not None:
        targets["RPP30"] = {"role": "reference"} | reference
    return load_assay({"targets": targets} | more, "assay.yaml")


def extraction(
    name: str = "S1",
    dna: float | None = 40.0,
    elution: float | None = 100.0,
    blood: float | None = 200.0,
    white: float | None = 5000.0,
) -> dict[str, Extraction]:
    return {name: Extraction(name, dna, elution, blood, white)}


def plate(
    records: Sequence[dict[str, Any]],
    of: Assay,
    *,
    file_id: str = "p1",
    curves: Sequence[dict[str, Any]] = (),
) -> PlateTables:
    return PlateTables(
        file_id,
        of,
        empty(WELLS),
        rows([c | {"plate": file_id} for c in curves], CURVES),
        rows([r | {"plate": file_id} for r in records], SAMPLES),
        empty(DROPLETS),
        empty(QC),
    )


def curve(slope: float = -3.32, **more: Any) -> dict[str, Any]:
    return {
        "target": "CAR",
        "source": "plate",
        "slope": slope,
        "intercept": 38.0,
        "lowest": 10.0,
        "highest": 1e6,
        "weighting": "none",
        "verdict": "accepted",
    } | more
