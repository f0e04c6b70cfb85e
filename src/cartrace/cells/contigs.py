"""The receptor chains of each cell, from contigs in any format that :mod:`cartrace.repertoire.contigs` reads.

Only what typing, doublets and the CAR caller need; the repertoire is another matter.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cartrace.problems import plain
from cartrace.repertoire import contigs as files
from cartrace.repertoire.vocabulary import B_LOCI, T_LOCI

_CHAINS = ("TRA", "TRB", "IGH", "IGK", "IGL")
_RECEPTOR = {"T": T_LOCI, "B": B_LOCI}
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
    """Read contigs; raises as :func:`cartrace.repertoire.contigs.read_contigs` does."""
    return _collect(files.read_contigs(path, name))


def parse_contigs(lines: Sequence[str], name: str) -> Contigs:
    """Parse the lines of a file of contigs; raises as :func:`read_contigs` does."""
    content = "\n".join(lines).encode()
    return _collect(files.contigs_of(lambda: io.BytesIO(content), name))


def _collect(table: files.ContigTable) -> Contigs:
    frame = table.frame
    counts = frame["productive"].fillna(value=False) & frame["locus"].isin(_CHAINS) & frame["cdr3_nt"].notna()
    for flag in ("is_cell", "high_confidence"):
        if flag in table.has:
            counts &= frame[flag].fillna(value=False)
    own = frame[counts.to_numpy(bool)]
    cells: dict[str, CellChains] = defaultdict(CellChains)
    genes = own["c_gene"].fillna("").tolist()
    columns = (own[c].tolist() for c in ("cell", "locus", "cdr3_nt"))
    for barcode, locus, cdr3, gene, umis in zip(*columns, genes, own["umis"].fillna(1).tolist(), strict=True):
        cell = cells[barcode]
        cell.umis[locus][cdr3] = cell.umis[locus].get(cdr3, 0) + umis
        if locus == "IGH" and gene.startswith("IGH"):
            kept = plain(gene, 20)
            cell.isotypes[kept] = cell.isotypes.get(kept, 0) + umis
    return Contigs(dict(cells), len(frame), frozenset(frame["locus"].dropna().unique()))


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
