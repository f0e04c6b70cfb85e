"""Contigs by hand: the contract CHAINS from a line a chain."""

from __future__ import annotations

import pandas as pd

from cartrace.repertoire.tables import CHAINS
from cartrace.tables import rows


def chain(
    library: str,
    cell: str,
    locus: str,
    cdr3: str | None,
    *,
    rank: int = 1,
    v_gene: str | None = None,
    j_gene: str | None = None,
    aa: str | None = None,
) -> dict[str, object]:
    return {
        "library": library,
        "cell": cell,
        "contig": f"{cell}_{locus}_{rank}",
        "locus": locus,
        "rank": rank,
        "v_gene": f"{locus}V1" if v_gene is None else v_gene,
        "j_gene": f"{locus}J1" if j_gene is None else j_gene,
        "cdr3_nt": cdr3,
        "cdr3_aa": aa,
        "umis": 3,
    }


def chains(*lines: dict[str, object]) -> pd.DataFrame:
    return rows(lines, CHAINS)
