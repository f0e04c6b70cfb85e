"""The libraries sheet: what each single-cell library is, and where its files are.

Read while the Snakefile is parsed: standard library only.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace.cells.vocabulary import CHEMISTRIES, SORTS
from cartrace.intake.sheets import NEEDED_SHEETS, _read_rows, _Row, check_samples, quote
from cartrace.intake.tubes import RANGES
from cartrace.problems import Problem, did_you_mean

if TYPE_CHECKING:
    from cartrace import config as configuration
    from cartrace.intake.sheets import Sheets

_OF_COUNTS = ("raw_counts", "metrics", "bam", "car_flow_percent", "car_features", "tag_features")
"""Columns that say nothing without a count matrix."""
_BLOOD_COUNTS = ("lymphocytes_per_ul", "white_cells_per_ul")


@dataclass(frozen=True, slots=True)
class Library:
    """One row of the libraries sheet. Paths are relative to the data folder, empty where there is none."""

    library_id: str
    sample_id: str
    chemistry: str
    """One of :data:`cartrace.cells.vocabulary.CHEMISTRIES`."""
    counts: str
    """Filtered matrix: 10x h5, a folder of mtx files, or h5ad. Empty: counted from ``fastq``, or contigs alone."""
    raw_counts: str
    """Matrix of all barcodes, also of empty droplets."""
    metrics: str
    bam: str
    tcr_contigs: str
    bcr_contigs: str
    fastq: tuple[str, ...]
    """R1 and R2 of each lane, in turn."""
    sort: str
    """One of :data:`cartrace.cells.vocabulary.SORTS`."""
    lymphocytes_per_ul: float | None
    white_cells_per_ul: float | None
    car_flow_percent: float | None
    """CAR+ share of T cells by flow in the same sample, %: calibrates the calls."""
    car_features: tuple[str, ...]
    """Names or ids of the CAR in this library's matrix; empty: those of its construct."""
    tag_features: tuple[str, ...]
    """Surface tags that report the CAR."""
    row: int


def read_libraries(folder: Path, file: str, problems: list[Problem]) -> tuple[Library, ...]:
    """Read and check the libraries sheet.

    Parameters
    ----------
    folder
        Trial folder.
    file
        The sheet, relative to it.
    problems
        Every problem is added to it; the libraries count only when there is none.

    Returns
    -------
    tuple of Library
        In the order of the sheet.
    """
    rows = _read_rows(folder, file, "libraries", problems)
    seen: dict[str, int] = {}
    return tuple(_library(row, seen) for row in rows)


def check_libraries(
    sheets: Sheets, samples: Collection[str], names: configuration.Sheets, problems: list[Problem]
) -> None:
    """Check that the libraries name samples that exist.

    Parameters
    ----------
    sheets
        What was read.
    samples
        Every sample_id of the samples sheet, also of rows with faults.
    names
        Where the sheets are.
    problems
        Every problem is added to it.
    """
    if not sheets.libraries:
        return
    file = str(names.libraries)
    for sheet, tells in NEEDED_SHEETS.items():
        if getattr(names, sheet) is None:
            allowed = f"sheets.{sheet} in the configuration: it tells {tells}"
            problems.append(Problem(file, f"libraries, and no {sheet} sheet", allowed))
    if names.samples:
        check_samples(((i.sample_id, i.row) for i in sheets.libraries), file, samples, problems)


def _library(row: _Row, seen: dict[str, int]) -> Library:
    library_id = row.file_name("library_id", seen)
    chemistry = row.required("chemistry")
    if chemistry and chemistry not in CHEMISTRIES:
        row.problem(
            "chemistry", quote(chemistry), ", ".join(CHEMISTRIES), did_you_mean(chemistry, CHEMISTRIES)
        )
    sort = row.text("sort") or "none"
    if sort not in SORTS:
        row.problem("sort", quote(sort), ", ".join(SORTS), did_you_mean(sort, SORTS))
    fastq = _several(row, "fastq")
    if len(fastq) % 2:
        row.problem("fastq", f"{len(fastq)} files", "R1;R2 of each lane: an even number of files")
    if not row.text("counts") and not fastq:
        if not row.text("tcr_contigs") and not row.text("bcr_contigs"):
            row.problem(
                "counts",
                "nothing, and no fastq",
                "a filtered count matrix, fastq files to count, or contigs alone",
            )
        for column in _OF_COUNTS:
            if row.text(column):
                row.problem(column, quote(row.text(column)), "nothing, where there is no count matrix")
    elif row.text("counts") and fastq:
        row.problem("fastq", "files beside counts", "either counts or fastq: they would count twice")
    numbers = {column: row.number(column, *RANGES[column]) for column in _BLOOD_COUNTS}
    for column in _BLOOD_COUNTS:
        count = numbers[column]
        if count is not None and count < 100 and not count.is_integer():
            row.problem(column, quote(row.text(column)), f"{RANGES[column][2]}; whole below 100")
    lymphocytes, white_cells = (numbers[column] for column in _BLOOD_COUNTS)
    if lymphocytes is not None and white_cells is not None and lymphocytes > white_cells:
        row.problem(
            "lymphocytes_per_ul", quote(row.text("lymphocytes_per_ul")), "no more than white_cells_per_ul"
        )
    return Library(
        library_id=library_id,
        sample_id=row.required("sample_id"),
        chemistry=chemistry,
        counts=row.text("counts"),
        raw_counts=row.text("raw_counts"),
        metrics=row.text("metrics"),
        bam=row.text("bam"),
        tcr_contigs=row.text("tcr_contigs"),
        bcr_contigs=row.text("bcr_contigs"),
        fastq=fastq,
        sort=sort,
        lymphocytes_per_ul=lymphocytes,
        white_cells_per_ul=white_cells,
        car_flow_percent=row.number(
            "car_flow_percent", 0.0, 100.0, "CAR+ share of T cells by flow, 0 to 100"
        ),
        car_features=_several(row, "car_features"),
        tag_features=_several(row, "tag_features"),
        row=row.row,
    )


def _several(row: _Row, column: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in row.text(column).split(";") if part.strip())
    if len(set(parts)) < len(parts):
        row.problem(column, "a name twice", "each once")
    return parts
