"""Immunoassay plates written by hand: signal = 0.05 + 3 / (1 + 100 / x), a 4pl without noise."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cartrace import tables
from cartrace.config import Immunoassay
from cartrace.immunoassay.assay import Assay, load_assay
from cartrace.immunoassay.plate import Plate
from cartrace.immunoassay.quantify import PlateResult, quantify_plate
from cartrace.immunoassay.tables import PLATE_WELLS

LEVELS = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
PATTERN = r"(?P<subject>S\d+) d(?P<day>-?\d+)"

Row = dict[str, Any]


def od(x: float) -> float:
    """Signal of a concentration."""
    return 0.05 + 3.0 * x / (100.0 + x)


def standards(**more: Any) -> list[Row]:
    """Two wells of each level, in rows A and B; 1 % apart, so that the fit has a scatter."""
    return [
        {
            "well": f"{row}{i:02d}",
            "sample_name": f"STD{i}",
            "task": "standard",
            "nominal": level,
            "signal": od(level) * off,
            **more,
        }
        for i, level in enumerate(LEVELS, 1)
        for row, off in (("A", 1.005), ("B", 0.995))
    ]


def sample(wells: str, name: str, *signals: float, **more: Any) -> list[Row]:
    """Wells of one sample, as 'C01 C02'."""
    return [
        {"well": w, "sample_name": name, "task": "unknown", "signal": s, **more}
        for w, s in zip(wells.split(), signals, strict=True)
    ]


def plate(rows: list[Row], **more: Any) -> Plate:
    """Number the rows as a file would, and make the plate of them."""
    listed = [{"omitted": False, "source_row": i, **r} for i, r in enumerate(rows, 2)]
    return Plate("by_hand", tables.rows(listed, PLATE_WELLS), **more)


def assay(**changes: Any) -> Assay:
    """An ELISA of soluble BCMA in serum, ng/mL."""
    raw: dict[str, Any] = {
        "samples": {"pattern": PATTERN, "matrix": "serum"},
        "targets": {"sBCMA": {"analyte": "soluble_bcma", "unit": "ng/mL"}},
    }
    return load_assay(raw | changes, "assay.yaml")


def titre_assay(controls: dict[str, Any] | None = None, **titre: Any) -> Assay:
    """A cell-based assay of AQP4-IgG: 1 in 10, two-fold."""
    target = {
        "analyte": "aqp4_igg",
        "unit": "titre",
        "readout": "titre",
        "titre": {"start": 10, "step": 2} | titre,
    }
    return assay(assay="cba", signal="fluorescence", targets={"AQP4": target}, controls=controls or {})


def quantified(
    rows: list[Row], of: Assay | None = None, layout: pd.DataFrame | None = None, **more: Any
) -> PlateResult:
    """Quantify a plate with the default settings."""
    settings = more.pop("settings", Immunoassay())
    return quantify_plate(
        plate(rows, **more), of or assay(), settings, file_id="p1", sha256="0" * 64, layout=layout
    )


def layout(*lines: Row) -> pd.DataFrame:
    """A layout as read_layout gives it."""
    columns = ("well", "sample", "task", "target", "nominal", "dilution", "exclude")
    frame = pd.DataFrame([{c: line.get(c) for c in columns} for line in lines], columns=list(columns))
    frame = frame.astype({c: "float64" if c in {"nominal", "dilution"} else "string" for c in columns})
    frame.attrs["name"] = "layout.tsv"
    return frame
