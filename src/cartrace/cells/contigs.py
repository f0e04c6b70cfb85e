"""The receptor chains of each cell, from the contig annotations of Cell Ranger (csv, packed or not).

Only what typing, doublets and the CAR caller need; the repertoire is another matter.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cartrace.cells.guarded import read_lines
from cartrace.problems import InputError, Problem, plain, raise_if_any

_NEEDED = ("barcode", "chain", "productive", "cdr3_nt")
_TRUTH = {"true": True, "false": False, "none": False, "": False}
_CHAINS = {"TRA": "tra", "TRB": "trb", "IGH": "igh", "IGK": "igl", "IGL": "igl"}
_RECEPTOR = {"T": ("TRA", "TRB", "TRG", "TRD"), "B": ("IGH", "IGK", "IGL")}
_MOST_TOLD = 5
"""Faulty lines that are told one by one."""
MOST_CHAINS = 2
"""Chains of one locus that one cell can have; a clone of more is no clone."""


@dataclass(slots=True)
class CellChains:
    """Productive chains of one cell: locus -> CDR3 nucleotides -> UMIs; and the constant gene of each IGH."""

    umis: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    isotypes: dict[str, int] = field(default_factory=dict)

    def count(self, *loci: str) -> int:
        """Return how many different chains the loci have."""
        return sum(len(self.umis.get(locus, ())) for locus in loci)

    @property
    def isotype(self) -> str | None:
        """Constant gene of the heavy chain with most UMIs."""
        return max(self.isotypes, key=lambda g: (self.isotypes[g], g)) if self.isotypes else None

    @property
    def t_clone(self) -> str | None:
        """CDR3 nucleotides as ``TRB:...;TRA:...``; None without TRB, which alone tells a clone, or with too many."""
        beta, alpha = (sorted(self.umis.get(locus, ())) for locus in ("TRB", "TRA"))
        if not 1 <= len(beta) <= MOST_CHAINS or len(alpha) > MOST_CHAINS:
            return None
        return ";".join([*(f"TRB:{c}" for c in beta), *(f"TRA:{c}" for c in alpha)])


@dataclass(frozen=True, slots=True)
class Contigs:
    """The chains of one file.

    Attributes
    ----------
    cells
        Barcode -> its productive, confident chains.
    contigs
        Rows of the file.
    loci
        Loci that occur in it.
    """

    cells: dict[str, CellChains]
    contigs: int
    loci: frozenset[str]

    def receptor_missing(self, receptor: str) -> bool:
        """Say whether a file with contigs has none of a receptor, ``T`` or ``B``."""
        return self.contigs > 0 and not self.loci & set(_RECEPTOR[receptor])


def read_contigs(path: Path, name: str) -> Contigs:
    """Read contig annotations.

    Raises
    ------
    InputError
        With every line that has another number of columns than the header, or no yes or no where one is due.
    """
    return parse_contigs(read_lines(path, name), name)


def parse_contigs(lines: Sequence[str], name: str) -> Contigs:
    """Parse the lines of contig annotations; raises as :func:`read_contigs` does."""
    rows = csv.reader(lines, strict=True)
    try:
        header = [h.strip().lower() for h in next(rows, [])]
        if not header:
            return Contigs({}, 0, frozenset())
        if missing := [c for c in _NEEDED if c not in header]:
            raise InputError(
                [Problem(name, f"no column '{c}'", "contig annotations of Cell Ranger", 1) for c in missing]
            )
        return _collect(rows, header, name)
    except csv.Error:
        raise InputError(
            [Problem(name, "a line that is no csv", "fields separated by commas", rows.line_num)]
        ) from None


def _collect(rows: Iterable[list[str]], header: list[str], name: str) -> Contigs:
    at = {c: i for i, c in enumerate(header)}
    flags = [c for c in ("is_cell", "high_confidence", "productive") if c in at]
    cells: dict[str, CellChains] = defaultdict(CellChains)
    problems: list[Problem] = []
    loci: set[str] = set()
    faults = contigs = 0
    # A quoted field may go over lines; row numbers count rows, as a spreadsheet does.
    for row_number, row in enumerate(rows, 2):
        if not row:
            continue
        contigs += 1
        problem = _fault(row, header, [at[c] for c in flags], name, row_number)
        if problem is not None:
            faults += 1
            if faults <= _MOST_TOLD:
                problems.append(problem)
            continue
        chain = row[at["chain"]].strip()
        if chain in _CHAINS:
            loci.add(chain)
        if not all(_TRUTH[row[at[c]].strip().lower()] for c in flags):
            continue
        cdr3 = row[at["cdr3_nt"]].strip().upper()
        if chain not in _CHAINS or not cdr3 or cdr3 == "NONE":
            continue
        cell = cells[row[at["barcode"]].strip()]
        umis = _umis(row, at)
        cell.umis[chain][cdr3] = cell.umis[chain].get(cdr3, 0) + umis
        gene = row[at["c_gene"]].strip() if "c_gene" in at else ""
        if chain == "IGH" and gene.startswith("IGH"):
            gene = plain(gene, 20)
            cell.isotypes[gene] = cell.isotypes.get(gene, 0) + umis
    if faults > _MOST_TOLD:
        problems.append(Problem(name, f"{faults - _MOST_TOLD} more lines like these", "none"))
    raise_if_any(problems)
    return Contigs(dict(cells), contigs, frozenset(loci))


def _fault(row: list[str], header: list[str], flags: Sequence[int], name: str, number: int) -> Problem | None:
    if len(row) != len(header):
        return Problem(
            name,
            f"{len(row)} columns",
            f"{len(header)}, as in the header; a field with a comma needs quotes",
            number,
        )
    for i in flags:
        if row[i].strip().lower() not in _TRUTH:
            return Problem(name, f"'{plain(row[i], 40)}'", "true, false or None", number, header[i])
    cdr3 = row[header.index("cdr3_nt")].strip()
    if cdr3 and cdr3.lower() != "none" and not set(cdr3.upper()) <= set("ACGTN"):
        return Problem(name, f"'{plain(cdr3, 40)}'", "nucleotides (A, C, G, T)", number, "cdr3_nt")
    return None


def _umis(row: list[str], at: dict[str, int]) -> int:
    text = row[at["umis"]].strip() if "umis" in at else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 1


def match_barcodes(contigs: Iterable[str], cells: Sequence[str]) -> dict[str, str]:
    """Return for barcodes of contigs the barcode of the matrix, of those that are in it.

    Barcodes are compared as they are. Where none is the same and the cells of each side carry one suffix of
    Cell Ranger (``-1``) or none, the suffixes do not count.
    """
    known = set(cells)
    listed = list(contigs)
    same = {c: c for c in listed if c in known}
    if same or not listed:
        return same
    bare = {c.partition("-")[0]: c for c in cells}
    suffixes = [{c.partition("-")[2] for c in side} for side in (listed, cells)]
    if len(bare) != len(cells) or any(len(s) > 1 for s in suffixes):
        return {}
    return {c: bare[c.partition("-")[0]] for c in listed if c.partition("-")[0] in bare}
