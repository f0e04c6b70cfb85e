"""The sheet of integration sites: where the sites of each sample are.

Read while the Snakefile is parsed: standard library only.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace.intake.sheets import _FILE_ID, _read_rows, _Row, nearest, quote
from cartrace.problems import Problem, holds_date
from cartrace.repertoire.vocabulary import UNSORTED

if TYPE_CHECKING:
    from cartrace import config as configuration
    from cartrace.intake.sheets import Sheets

_LONGEST = 40
_NEEDED_SHEETS = {
    "samples": "from whom and when a sample is",
    "subjects": "who the subjects are",
    "infusions": "which samples came before the infusion",
}


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
    for sheet, tells in _NEEDED_SHEETS.items():
        if getattr(names, sheet) is None:
            allowed = f"sheets.{sheet} in the configuration: it tells {tells}"
            problems.append(Problem(file, f"integration sites, and no {sheet} sheet", allowed))
    for item in sheets.site_sets:
        if names.samples and item.sample_id and item.sample_id not in samples:
            found, near = f"unknown {quote(item.sample_id)}", nearest(item.sample_id, samples)
            problems.append(Problem(file, found, "one of the samples sheet", item.row, "sample_id", near))


def _site_set(row: _Row, seen: dict[str, int], parts: dict[tuple[str, str], int]) -> SiteSet:
    name = row.required("site_set_id")
    if name and (holds_date(name) or len(name) > 64 or not _FILE_ID.fullmatch(name)):
        allowed = "at most 64 letters, digits, or . _ - (no calendar date): it names files"
        row.problem("site_set_id", quote(name), allowed)
    elif name.casefold() in seen:
        row.problem("site_set_id", f"{quote(name)} again", f"each once; it is in row {seen[name.casefold()]}")
    seen.setdefault(name.casefold(), row.row)
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
