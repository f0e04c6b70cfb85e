"""Where reads differ from the registered construct, and what that does to the protein.

Each molecule has one voice, that of most of its reads, so that a sequencing error or an early PCR error of one
molecule is one voice among many. After Haradhvala 2022 (Nat Med 28:1848), who refined their CAR reference from
reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from cartrace.cells.constructs import translate

DIFFERENCE_KEY = ("cell", "umi", "target", "position", "reference", "observed")
"""Columns of differences, with ``reads``; position from 0, an empty text where a gap is."""


def molecule_depth(
    number: npt.NDArray[np.int64], start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], length: int
) -> npt.NDArray[np.int64]:
    """Count molecules over each base of a construct.

    Parameters
    ----------
    number
        Molecule of each stretch, shape (n,).
    start, end
        Stretches, from 0, half open; those of one molecule may overlap, and count once.
    length
        Bases of the construct.

    Returns
    -------
    array, shape (length,)
    """
    order = np.lexsort((start, number))
    number, start, end = number[order], start[order], end[order]
    shift = np.int64(length + 1) * number
    reached = np.maximum.accumulate(end + shift) if len(end) else end
    before = np.concatenate([[0], reached[:-1]]) - shift if len(end) else end
    fresh = np.maximum(start, before)
    counts = fresh < end
    change = np.zeros(length + 1, dtype=np.int64)
    np.add.at(change, fresh[counts], 1)
    np.add.at(change, end[counts], -1)
    return np.cumsum(change)[:length]


class Variant(NamedTuple):
    """One difference between a construct and what molecules of it say."""

    position: int
    """From 0."""
    reference: str
    """What the registered sequence says; empty for an insertion before the position."""
    observed: str
    """What the molecules say; empty for a deletion."""
    molecules: int
    depth: int
    """Molecules over the position."""


def find_variants(
    differences: pd.DataFrame,
    hits: pd.DataFrame,
    depth: npt.NDArray[np.int64],
    *,
    min_molecules: int,
    min_share: float,
) -> list[Variant]:
    """Return differences from one construct that enough molecules show.

    Parameters
    ----------
    differences
        ``number`` of the molecule, position, reference, observed, reads.
    hits
        ``number``, start, end, reads: where the molecules' reads lie.
    depth
        Molecules over each base.
    min_molecules, min_share
        How many, and which share of those over the position.

    Returns
    -------
    list of Variant
        By position.
    """
    if differences.empty:
        return []
    change = ["position", "reference", "observed"]
    by_molecule = differences.groupby([*change, "number"])["reads"].sum().reset_index()
    # Molecules with any read that says so outnumber those that stand by it: most errors end here.
    voices = by_molecule.groupby(change)["number"].transform("size").to_numpy()
    over = depth[by_molecule["position"].to_numpy("int64")]
    by_molecule = by_molecule[(voices >= min_molecules) & (voices >= min_share * over)]
    start, end, number, reads = (hits[c].to_numpy("int64") for c in ("start", "end", "number", "reads"))
    found = []
    for key, rows in by_molecule.groupby(change):
        position, reference, observed = cast("tuple[int, str, str]", key)
        there = (start <= position) & (position < end)
        covering = np.bincount(number[there], weights=reads[there])
        own = covering[rows["number"].to_numpy("int64")]
        molecules = int((2 * rows["reads"].to_numpy("int64") > own).sum())
        total = int((covering > 0).sum())
        if molecules >= max(min_molecules, min_share * total):
            found.append(Variant(int(position), reference, observed, molecules, total))
    return found


def effect(
    sequence: str, coding: tuple[int, int] | None, position: int, reference: str, observed: str
) -> str:
    """Say what a change does to the protein.

    Parameters
    ----------
    sequence
        The registered construct.
    coding
        First and last position of the coding sequence, from 1.
    position
        Of the change, from 0.
    reference, observed
        What stands there and what the reads have; empty for a gap.

    >>> effect("CCATGGCATGGTAA", (3, 14), 6, "C", "A")
    'missense: A2E'
    """
    if coding is None:
        return "no coding sequence is known"
    start, end = coding[0] - 1, coding[1]
    if position + len(reference) <= start or position >= end:
        return "outside the coding sequence"
    shift = len(observed) - len(reference)
    if shift % 3:
        return f"frame shift from codon {(position - start) // 3 + 1}"
    changed = sequence[:position] + observed + sequence[position + len(reference) :]
    before, after = translate(sequence[start:end]), translate(changed[start : end + shift])
    if before == after:
        return "synonymous"
    same = next(i for i in range(len(before)) if i >= len(after) or before[i] != after[i])
    stop = after.find("*")
    if 0 <= stop < len(after) - 1 and (before.find("*") < 0 or stop < before.find("*")):
        return f"stop: {before[stop] if stop < len(before) else ''}{stop + 1}*"
    if shift:
        what = "insertion" if shift > 0 else "deletion"
        return f"in-frame {what} of {abs(shift) // 3} amino acids at {before[same]}{same + 1}"
    changes = [f"{a}{i}{b}" for i, (a, b) in enumerate(zip(before, after, strict=True), start=1) if a != b]
    return f"missense: {', '.join(changes)}"


def add_up_differences(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Stack tables of differences and add the reads of equal ones."""
    listed = [t for t in tables if len(t)]
    if not listed:
        text = ("reference", "observed")
        kinds = {c: "object" if c in text else "int64" for c in (*DIFFERENCE_KEY, "reads")}
        return pd.DataFrame({c: pd.Series(dtype=kind) for c, kind in kinds.items()})
    stacked = pd.concat(listed, ignore_index=True)
    return stacked.groupby(list(DIFFERENCE_KEY), sort=True)["reads"].sum().reset_index()
