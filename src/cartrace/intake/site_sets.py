"""The sheet of integration sites: where the sites of each sample are.

Read while the Snakefile is parsed: standard library only.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace.intake.sheets import NEEDED_SHEETS, _read_rows, _Row, check_samples, quote
from cartrace.problems import Problem, holds_date
from cartrace.repertoire.vocabulary import UNSORTED

if TYPE_CHECKING:
    from cartrace import config as configuration
    from cartrace.intake.sheets import Sheets

_LONGEST = 40


@dataclass(frozen=True, slots=True)
class SiteSet:
    """One row of the integration_sites sheet: the sites of one sample and cell type."""

    site_set_id: str
    sample_id: str
    path: str
    """Table (csv, tsv, packed or not) or BAM, relative to the data folder."""
    specimen: str
    """Value of the table's column of specimens; empty: the whole table."""
    cell_type: str
    row: int

    @property
    def is_bam(self) -> bool:
        """Whether junctions are to be found in reads."""
        return self.path.lower().endswith(".bam")


def read_site_sets(folder: Path, file: str, problems: list[Problem]) -> tuple[SiteSet, ...]:
    """Read and check the integration_sites sheet; every problem is added to ``problems``."""
    seen: dict[str, int] = {}
    parts: dict[tuple[str, str], int] = {}
    return tuple(
        _site_set(row, seen, parts) for row in _read_rows(folder, file, "integration_sites", problems)
    )


def check_site_sets(
    sheets: Sheets, samples: Collection[str], names: configuration.Sheets, problems: list[Problem]
) -> None:
    """Check that the sets name samples that exist; ``samples`` has those of rows with faults, too."""
    if not sheets.site_sets:
        return
    file = str(names.integration_sites)
    for sheet, tells in NEEDED_SHEETS.items():
        if getattr(names, sheet) is None:
            allowed = f"sheets.{sheet} in the configuration: it tells {tells}"
            problems.append(Problem(file, f"integration sites, and no {sheet} sheet", allowed))
    if names.samples:
        check_samples(((i.sample_id, i.row) for i in sheets.site_sets), file, samples, problems)


def _site_set(row: _Row, seen: dict[str, int], parts: dict[tuple[str, str], int]) -> SiteSet:
    name = row.file_name("site_set_id", seen)
    path, specimen = row.required("path"), row.text("specimen")
    part = (path, specimen)
    if path and part in parts:
        row.problem("path", "the same sites again", f"each once; they are in row {parts[part]}")
    parts.setdefault(part, row.row)
    if specimen and path.lower().endswith(".bam"):
        row.problem("specimen", quote(specimen), "nothing: a BAM is of one specimen")
    cell_type = row.text("cell_type") or UNSORTED
    if len(cell_type) > _LONGEST or holds_date(cell_type):
        row.problem("cell_type", quote(cell_type), f"at most {_LONGEST} characters, without a calendar date")
    return SiteSet(name, row.required("sample_id"), path, specimen, cell_type, row.row)
