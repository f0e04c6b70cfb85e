"""B cells that return: naive or mutated, of which isotype, and whether they are of clones from before the infusion.

Counted are cells, not clones: what is asked is what the blood holds. Chance makes old clones as well: naive B cells with
one V gene, one J gene and CDR3s alike enough fall into a clone with strangers. How often can be told from other
subjects alone, whose B cells can be of no clone of this one; the job of one subject does not know it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cartrace.flow.counts import share_interval
from cartrace.repertoire.samples import samples_of
from cartrace.repertoire.tables import B_RETURN
from cartrace.repertoire.vocabulary import ISOTYPES
from cartrace.tables import rows

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from cartrace.repertoire.samples import PlannedLibrary
    from cartrace.repertoire.settings import BCells

    Bools = npt.NDArray[np.bool_]

SORTS = ("none", "b_cells")
"""Sorts whose libraries tell shares of B cells."""
_CONSTANT = r"^IGH([MDE]|G[0-9]?[A-CP]?|A[0-9]?)(?:\*.*)?$"
"""Constant genes of heavy chains, also with an allele; D segments (IGHD3-10) are none."""
NO_CELLS = "no B cell with a heavy chain"
NO_BEFORE = "no B cell with a heavy chain from before the infusion"


@dataclass(frozen=True, slots=True)
class Share:
    """One share of the n B cells of a sample."""

    measure: str
    has: Bools
    """(n,) cells that have it."""
    known: Bools
    """(n,) cells for which it is known."""
    fact: str
    """What must be known."""


def b_return(
    subject: str,
    cells: pd.DataFrame,
    libraries: Sequence[PlannedLibrary],
    settings: BCells,
    confidence: float,
) -> pd.DataFrame:
    """Return the shares of the B cells of each sample (the contract B_RETURN).

    A sample has rows when one of its unsorted or B-cell-sorted libraries was sequenced for B-cell receptors; these are
    pooled. An infusion product has none. Only a sample from after the infusion has the row ``old_clones``: the share
    of its B cells whose clone was seen in any sample from before the first infusion.

    Parameters
    ----------
    subject
        The subject.
    cells
        Its cells with a clone (the contract CLONE_CELLS).
    libraries
        Its libraries.
    settings
        Section ``repertoire.b_cells`` of the configuration.
    confidence
        Level of the exact intervals (Clopper and Pearson).
    """
    b = b_cells_of(cells, libraries)
    told = {lib.library_id for lib in libraries if lib.bcr}
    # Where the plan can't tell, a chain tells that the receptor was sequenced.
    told |= set(cells.loc[cells["receptor"] == "B", "library"])
    samples = samples_of(lib for lib in libraries if lib.library_id in told and _tells(lib))
    early = b[b["sample_id"].isin([s.sample_id for s in samples if s.pre_infusion])]
    old = set(early["clonotype"])
    found = []
    for sample in samples:
        own = b[b["sample_id"] == sample.sample_id]
        about = {"subject_id": subject, **sample.columns()}
        found += [about | _row(share, settings, confidence) for share in _shares(own, settings)]
        if not sample.pre_infusion:
            found.append(about | _old(own, old, len(early), settings, confidence))
    return rows(found, B_RETURN)


def b_cells_of(cells: pd.DataFrame, libraries: Sequence[PlannedLibrary]) -> pd.DataFrame:
    """Return the rows of CLONE_CELLS of the population b_cells; the product's are left out."""
    chosen = [lib.library_id for lib in libraries if _tells(lib)]
    mine = (cells["receptor"] == "B") & cells["counts"].astype(bool)
    return cells[mine & cells["library"].isin(chosen)]


def _tells(library: PlannedLibrary) -> bool:
    return library.sort in SORTS and not library.sample.is_product


def _shares(b: pd.DataFrame, settings: BCells) -> Iterator[Share]:
    letter = b["isotype"].str.extract(_CONSTANT, expand=False).str[:1].fillna("").to_numpy(object)
    isotyped = letter != ""
    frequency = b["mutation_frequency"].to_numpy(dtype=float, na_value=np.nan)
    aligned = ~np.isnan(frequency)
    mutated = frequency > settings.mutated_above
    unswitched = np.isin(letter.astype(str), ["M", "D"])
    # Both must be known: a switched cell is not naive whatever its mutations, but to count such cells, and not the
    # unswitched ones without a frequency, would make the share too small.
    yield Share(
        "naive", unswitched & ~mutated & aligned, isotyped & aligned, "constant gene and mutation frequency"
    )
    yield Share("mutated", mutated, aligned, "mutation frequency")
    for isotype in ISOTYPES:
        yield Share(isotype.lower(), letter == isotype[3], isotyped, "constant gene")


def _row(share: Share, settings: BCells, confidence: float) -> dict[str, object]:
    n, known = len(share.known), int(share.known.sum())
    row = _counted(share.measure, int((share.has & share.known).sum()), known, confidence)
    if not n:
        return row | _rejected(NO_CELLS)
    if not known:
        return row | _rejected(f"the {share.fact} of none of {n} B cells is known")
    doubts = [f"{known} B cells, fewer than {settings.min_cells}"] if known < settings.min_cells else []
    if 100 * known < settings.min_known_percent * n:
        doubts.append(f"the {share.fact} is known of {known} of {n} B cells")
    return row | _doubted(doubts)


def _old(
    b: pd.DataFrame, old: set[str], before: int, settings: BCells, confidence: float
) -> dict[str, object]:
    """Return the share of B cells in clones from before; ``before`` is how many cells these were seen in."""
    n = len(b)
    row = _counted("old_clones", int(b["clonotype"].isin(old).sum()), n, confidence)
    if not before:
        # With nothing to find again, 0 of n would say that all are new.
        return row | _rejected(NO_BEFORE)
    if not n:
        return row | _rejected(NO_CELLS)
    doubts = [f"{n} B cells, fewer than {settings.min_cells}"] if n < settings.min_cells else []
    if before < settings.min_cells:
        doubts.append(f"{before} B cells from before the infusion, fewer than {settings.min_cells}")
    return row | _doubted(doubts)


def _counted(measure: str, k: int, n: int, confidence: float) -> dict[str, object]:
    lower, upper = (float(x) for x in share_interval(k, n, confidence))
    share = {"percent": 100 * k / n, "lower": 100 * lower, "upper": 100 * upper} if n else {}
    return {"measure": measure, "cells": k, "total": n, **share}


def _rejected(reason: str) -> dict[str, object]:
    return {"percent": None, "lower": None, "upper": None, "verdict": "rejected", "reason": reason}


def _doubted(doubts: Sequence[str]) -> dict[str, object]:
    return {"verdict": "flagged" if doubts else "accepted", "reason": "; ".join(doubts) or None}
