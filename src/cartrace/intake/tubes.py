"""The tubes sheet and the gate review sheet: what each FCS file is, and what a reviewer said of its gates.

Read while the Snakefile is parsed: standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tube:
    """One row of the tubes sheet."""

    file_id: str
    """A file of the files sheet whose reader is fcs_tube; each has one row."""
    kind: str
    """One of :data:`cartrace.flow.vocabulary.TUBE_KINDS`."""
    sample_id: str | None
    """Of the samples sheet; needed for kind sample, allowed for controls."""
    marker: str | None
    """Marker that an FMO or isotype tube leaves out; needed there, and nowhere else."""
    batch: str | None
    data_set: int | None
    """Data set of a file that holds several, from 1."""
    beads_per_ul: float | None
    """Concentration of the bead suspension, beads/uL; with bead_volume_ul and sample_volume_ul."""
    bead_volume_ul: float | None
    sample_volume_ul: float | None
    """Specimen in the tube, uL."""
    dilution: float | None
    """Dilution between specimen and acquired suspension for counts by volume: 5 means 1 in 5."""
    acquired_volume_ul: float | None
    """Acquired volume, uL, where the file does not tell it ($VOL)."""
    lymphocytes_per_ul: float | None
    white_cells_per_ul: float | None
    unreadable: tuple[tuple[str, str], ...]
    """(marker, reason) of stainings that can't be read, as 'CD38: daratumumab; CD19: prior product'."""
    row: int


@dataclass(frozen=True, slots=True)
class GateReview:
    """One row of the gate review sheet."""

    file_id: str
    verdict: str
    """accepted or rejected."""
    gates_sha256: str
    """Hash of the gate set that the reviewer saw; copied from the report."""
    remark: str | None
    row: int
