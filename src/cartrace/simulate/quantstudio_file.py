"""Write a qPCR plate as the QuantStudio 6/7 software exports it: text with tabs.

Header lines `* key = value` (with the date of the run and the operator, which must
never leave intake), `[Sample Setup]`, `[Results]`. Numbers have three decimals,
thousands have commas, a well without a signal says Undetermined, and the
software's own curve stands behind each of its wells. Layout: reference B.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, log10
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from datetime import datetime

    from cartrace.simulate.qpcr_plates import QpcrWell

TARGET, IPC = "CAR-BBz", "IPC"

SETUP = (
    *("Well", "Well Position", "Sample Name", "Sample Color", "Biogroup Name", "Biogroup Color"),
    *("Target Name", "Target Color", "Task", "Reporter", "Quencher", "Quantity", "Comments"),
)
RESULTS = (
    *("Well", "Well Position", "Omit", "Sample Name", "Target Name", "Task", "Reporter", "Quencher"),
    *("CT", "Ct Mean", "Ct SD", "Quantity", "Quantity Mean", "Quantity SD"),
    *("Automatic Ct Threshold", "Ct Threshold", "Automatic Baseline", "Baseline Start", "Baseline End"),
    *("Comments", "Y-Intercept", "R(superscript 2)", "Slope", "Efficiency", "Amp Score", "Cq Conf"),
)


@dataclass(frozen=True, slots=True)
class VendorCurve:
    """The curve that the instrument's software fits, by plain least squares."""

    slope: float
    intercept: float
    r2: float

    @property
    def efficiency_percent(self) -> float:
        """100 (10^(-1/slope) - 1)."""
        return float(100 * (10 ** (-1 / self.slope) - 1))

    def quantity(self, cq: float) -> float:
        """Return the copies per reaction that the curve gives."""
        return float(10 ** ((cq - self.intercept) / self.slope))


def vendor_curve(wells: Sequence[QpcrWell]) -> VendorCurve:
    """Fit the standards of a plate."""
    points = [(log10(w.nominal), w.cq) for w in wells if w.nominal is not None and not isnan(w.cq)]
    x, y = np.array(points).T
    slope, intercept = np.polyfit(x, y, 1)
    left = y - (intercept + slope * x)
    return VendorCurve(float(slope), float(intercept), float(1 - left.var() / y.var()))


def quantstudio_text(wells: Sequence[QpcrWell], *, run_name: str, ended: datetime, operator: str) -> str:
    """Return the export of one plate."""
    header = {
        "Block Type": "96-Well Block (0.2mL)",
        "Calibration Background is expired ": "No",
        "Calibration Background performed on": f"{ended:%m-%d-%Y}",
        "Chemistry": "TAQMAN",
        "Date Created": f"{ended:%Y-%m-%d %I:%M:%S %p} UTC",
        "Experiment Barcode": "",
        "Experiment Comment": "Simulated by cartrace. No patient is behind any number.",
        "Experiment File Name": rf"D:\runs\{run_name} {ended:%d%b%Y}.eds",
        "Experiment Name": f"{run_name} {ended:%d%b%Y}",
        "Experiment Run End Time": f"{ended:%Y-%m-%d %I:%M:%S %p} UTC",
        "Experiment Type": "Standard Curve",
        "Instrument Name": "central-1",
        "Instrument Serial Number": "000000000",
        "Instrument Type": "QuantStudio(TM) 7 Flex System",
        "Passive Reference": "ROX",
        "Quantification Cycle Method": "Ct",
        "Signal Smoothing On": "true",
        "Stage/ Cycle where Analysis is performed": "Stage 2, Step 2",
        "User Name": operator,
    }
    curve = vendor_curve(wells)
    lines = [f"* {key} = {value}" for key, value in header.items()]
    lines += ["", "[Sample Setup]", "\t".join(SETUP)]
    for w in wells:
        quantity = "" if w.nominal is None else _number(w.nominal)
        for target, task, dye in _targets(w):
            cells = [*_place(w), w.name, "", "", "", target, "", task, dye, "NFQ-MGB"]
            lines.append("\t".join([*cells, quantity if target == TARGET else "", ""]))
    lines += ["", "[Results]", "\t".join(RESULTS)]
    for w in wells:
        together = [v for v in wells if v.name == w.name]
        for target, task, dye in _targets(w):
            cells = [*_place(w), "false", w.name, target, task, dye, "NFQ-MGB"]
            cells += _car_cells(w, together, curve) if target == TARGET else _ipc_cells(w, together)
            lines.append("\t".join(cells))
    return "\r\n".join(lines) + "\r\n"


def _place(well: QpcrWell) -> list[str]:
    return [str(well.position + 1), f"{well.well[0]}{int(well.well[1:])}"]


def _targets(well: QpcrWell) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    return (TARGET, well.task, "FAM"), (IPC, "IPC", "VIC")


def _car_cells(well: QpcrWell, together: Sequence[QpcrWell], curve: VendorCurve) -> list[str]:
    cqs = [v.cq for v in together if not isnan(v.cq)]
    if well.nominal is not None:
        quantities = [_number(well.nominal), "", ""]
    elif isnan(well.cq):
        quantities = ["", "", ""]
    else:
        found = [curve.quantity(cq) for cq in cqs]
        quantities = [_number(curve.quantity(well.cq)), _number(_mean(found)), _number(_spread(found))]
    fit = [curve.intercept, curve.r2, curve.slope, curve.efficiency_percent]
    return [
        *_cq_cells(well.cq, cqs),
        *quantities,
        *("true", "0.137", "true", "3", "23", ""),
        *(f"{v:.3f}" for v in fit),
        *_quality(well.cq),
    ]


def _ipc_cells(well: QpcrWell, together: Sequence[QpcrWell]) -> list[str]:
    cqs = [v.ipc_cq for v in together if not isnan(v.ipc_cq)]
    rest = ["", "", "", "true", "0.085", "true", "3", "23", "", "", "", "", ""]
    return [*_cq_cells(well.ipc_cq, cqs), *rest, *_quality(well.ipc_cq)]


def _cq_cells(cq: float, cqs: Sequence[float]) -> list[str]:
    if isnan(cq):
        return ["Undetermined", "", ""]
    return [_number(cq), _number(_mean(cqs)), _number(_spread(cqs))]


def _quality(cq: float) -> list[str]:
    return ["0.000", "0.000"] if isnan(cq) else ["1.200", "0.970"]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.3f}"


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _spread(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
