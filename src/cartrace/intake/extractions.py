"""The extractions sheet: how much DNA came out of how much of each sample.

Read while the Snakefile is parsed: standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cartrace.intake.sheets import SPECS, _no_duplicates, _read_rows
from cartrace.problems import Problem, holds_date

RANGES = {
    "dna_ng_per_ul": (0.0, 10_000.0, "ng of DNA per uL of eluate, 0 to 10000"),
    "elution_volume_ul": (5.0, 2_000.0, "uL of eluate, 5 to 2000"),
    "blood_volume_ul": (1.0, 50_000.0, "uL of the specimen that was extracted, 1 to 50000"),
    "white_cells_per_ul": (0.0, 500_000.0, "white cells per uL (5 x 10^9/L are 5000), 0 to 500000"),
}
"""Lowest and highest plausible number of each column, with its meaning. House values, wide enough
that only a wrong unit breaks them."""

PG_PER_CELL = 6.6
"""DNA of a diploid human cell, pg [recalled]; for this check only, copies/cell have a setting of their own."""
MOST_OFF = 100.0
"""By so many fold DNA and white cells may disagree: little is recovered of few cells, and a photometer sees
some DNA in water. A unit is off by a thousand. House value."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """One row of the extractions sheet: one extraction of one sample."""

    sample: str
    dna_ng_per_ul: float | None
    elution_volume_ul: float | None
    blood_volume_ul: float | None
    white_cells_per_ul: float | None


def read_extractions(folder: Path, file: str, problems: list[Problem]) -> tuple[Extraction, ...]:
    """Read and check the extractions sheet.

    Parameters
    ----------
    folder
        Trial folder.
    file
        The sheet, relative to it.
    problems
        Every problem is added to it; the extractions count only when there is none.

    Returns
    -------
    tuple of Extraction
        In the order of the sheet.
    """
    rows = _read_rows(folder, file, "extractions", problems)
    _no_duplicates([(r, r.text("sample")) for r in rows], "sample")
    out = []
    for row in rows:
        sample = row.required("sample")
        if holds_date(sample):
            row.problem("sample", "a calendar date", "a sample without a date in its name")
        if not any(row.text(column) for column in RANGES):
            row.problem(None, "no number", f"at least one of {', '.join(SPECS['extractions'].columns[1:])}")
        numbers = {column: row.number(column, *limits) for column, limits in RANGES.items()}
        extraction = Extraction(sample, **numbers)
        picograms = pg_per_cell(extraction)
        if picograms is not None and not PG_PER_CELL / MOST_OFF <= picograms <= PG_PER_CELL * MOST_OFF:
            row.problem(
                None,
                f"{picograms:.2g} pg of DNA for each white cell that was extracted",
                f"numbers that fit together: a cell holds {PG_PER_CELL} pg; is one in another unit "
                "(ug for ng, mL for uL, 10^9/L for cells/uL)?",
            )
        out.append(extraction)
    return tuple(out)


def pg_per_cell(extraction: Extraction) -> float | None:
    """Return the DNA that came out for each white cell that went in, pg; None where one number is missing or 0."""
    dna, eluate = extraction.dna_ng_per_ul, extraction.elution_volume_ul
    blood, cells = extraction.blood_volume_ul, extraction.white_cells_per_ul
    if not dna or not eluate or not blood or not cells:
        return None
    return 1000.0 * dna * eluate / (blood * cells)
