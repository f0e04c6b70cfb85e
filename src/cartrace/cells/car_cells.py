"""What the CAR caller sees of the cells of one library; nothing of quality but which cells count."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Texts = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class CarCells:
    """Cells of one library, in the order of the table CELLS."""

    cell: Texts
    """(cells,) barcodes."""
    evidence: str
    """molecules, counts or none."""
    molecules: Integers
    """(cells,) CAR molecules; 0 where there is no evidence."""
    umis: Integers
    """(cells,) UMIs of gene expression."""
    lineage: Texts
    counted: Flags
    """(cells,) whether the cell counts: kept, and no doublet."""
    tag: Integers | None
    """(cells,) UMIs of the surface tag; None when the library has none."""
    clone: Texts
    """(cells,) T-cell clone; empty when it is not known."""
    feature_ratio: float
    """Molecules over UMIs of the CAR feature, in cells; nan when there is no such feature."""
    molecules_outside: int
    """Molecules in barcodes that are no cells; 0 when the evidence is counts."""

    @property
    def t_cells(self) -> Flags:
        """Which cells are T cells, counted or not."""
        return np.asarray(self.lineage == "t")

    def others(self, cannot_carry: Collection[str]) -> Flags:
        """Which cells that count cannot carry the CAR."""
        return self.counted & np.isin(self.lineage.astype(str), list(cannot_carry))


def car_cells(
    cells: pd.DataFrame,
    types: pd.DataFrame,
    molecules: pd.DataFrame | None = None,
    constructs: Collection[str] = (),
) -> CarCells:
    """Join the tables of one library.

    Parameters
    ----------
    cells, types
        Contracts CELLS and TYPES of the library. A cell without a type is unassigned and does not count.
    molecules
        Contract MOLECULES, all barcodes; unique and junction-spanning molecules count. None: the counts
        of the CAR feature are the evidence, when the matrix has one.
    constructs
        Constructs of the subject's product: others are not counted. Empty: all in ``molecules``.
    """
    barcode = cells["cell"].astype("string")
    typed = types.set_index("cell")[["lineage", "counts"]].reindex(barcode)
    feature = cells["car_umis"]
    outside = 0
    if molecules is not None:
        own = molecules[molecules["construct"].isin(list(constructs))] if constructs else molecules
        by_cell = (
            (own["unique"] + own["junction"]).astype(np.int64).groupby(own["cell"].astype("string")).sum()
        )
        found = np.asarray(by_cell.reindex(barcode).fillna(0), np.int64)
        outside = int(by_cell.sum() - found.sum())
        evidence = "molecules"
    elif feature.notna().any():
        found, evidence = np.asarray(feature.fillna(0), np.int64), "counts"
    else:
        found, evidence = np.zeros(len(cells), np.int64), "none"
    counted_umis = int(feature.fillna(0).sum())
    return CarCells(
        cell=barcode.to_numpy(object),
        evidence=evidence,
        molecules=found,
        umis=cells["umis"].to_numpy(np.int64),
        lineage=typed["lineage"].fillna("unassigned").to_numpy(object),
        counted=typed["counts"].astype("boolean").fillna(False).to_numpy(bool),
        tag=cells["car_tag_umis"].fillna(0).to_numpy(np.int64)
        if cells["car_tag_umis"].notna().any()
        else None,
        clone=cells["t_clone"].fillna("").to_numpy(object),
        feature_ratio=float(found.sum()) / counted_umis if counted_umis else float("nan"),
        molecules_outside=outside,
    )
