"""One plate as an immunoassay reader's file gives it: what every reader returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.plates.plate import Remark


@dataclass(frozen=True, slots=True)
class VendorCurve:
    """The calibration curve that the instrument's software fitted."""

    model: str
    """As the file names it: '4-Parameter Logistic', 'Logistic-5PL', ..."""
    parameters: Mapping[str, float]
    """A, B, C, D, G: signal = D + (A - D) / (1 + (x / C)^B)^G."""
    weighting: str = ""
    r2: float | None = None


@dataclass(frozen=True, slots=True)
class Plate:
    """A plate: its wells as read (contract PLATE_WELLS), and the vendor's own curves.

    No calendar date, operator or run name of the file is kept.
    """

    family: str
    """Name of the reader: ``softmax_pro``, ``gen5``, ``xponent``, ..."""
    wells: pd.DataFrame
    curves: Mapping[str, VendorCurve] = field(default_factory=dict)
    """Target -> the vendor's curve; '' on a plate of one analyte."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Target -> unit of nominal and vendor_concentration, where the file says one: it may not be the assay's."""
    instrument: str = ""
    software: str = ""
    software_version: str = ""
    remarks: tuple[Remark, ...] = ()
