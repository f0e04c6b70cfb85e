"""From reads to molecules: UMIs of one cell collapsed, chimeras left out.

A molecule is a UMI of a cell. UMIs that differ by one base are one molecule when the smaller can come from
sequencing errors of the larger (directional method: Smith 2017, Genome Res 27:491, UMI-tools). A molecule is what
most of its specific reads say.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from cartrace.cells.matching import AMBIGUOUS, ENDOGENOUS, JUNCTION, UNIQUE

Ints = npt.NDArray[np.int64]

NO_TARGET = -1
"""Target of a read that fits an endogenous transcript and touches no construct."""
HIT_KEY = ("cell", "umi", "target", "kind", "start", "end")
"""Columns of hits; ``reads`` counts equal ones. start and end (from 0, half open) lie on the construct."""
_BASES = set("ACGT")
_DIGITS = str.maketrans("ACGT", "0123")
_LONGEST_UMI = 30


def encode_umi(umi: str) -> int:
    """Return a UMI as a number: two bits a base, behind a leading 1 that keeps its length.

    >>> bin(encode_umi("ACGT"))
    '0b100011011'
    """
    return int("1" + umi.translate(_DIGITS), 4)


def read_umi(umi: str) -> int | None:
    """Return the code of a UMI as sequenced, or None when it is none.

    Letters other than bases are unread; one letter only is a bead's fault (as Cell Ranger has it).
    """
    letters = set(umi)
    if len(letters) < 2 or len(umi) > _LONGEST_UMI or not letters <= _BASES:
        return None
    return encode_umi(umi)


def add_up(hits: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Stack tables of hits and add the reads of equal ones."""
    listed = [h for h in hits if len(h)]
    if not listed:
        return pd.DataFrame({name: pd.Series(dtype="int64") for name in (*HIT_KEY, "reads")})
    stacked = pd.concat(listed, ignore_index=True)
    return stacked.groupby(list(HIT_KEY), sort=True)["reads"].sum().reset_index()


def merge_umis(cell: Ints, umi: Ints, reads: Ints) -> Ints:
    """Return for each UMI of a cell the UMI that it belongs to, by the directional method.

    A UMI joins another of the same cell and length when they differ by one base and the other has at least
    2 n - 1 reads, n being its own; joined ones take theirs along, as UMI-tools walks from the largest.

    Parameters
    ----------
    cell, umi, reads
        Distinct UMIs of cells, shape (n,), and their reads.

    Returns
    -------
    array, shape (n,)
        Codes of UMIs.
    """
    parents = umi.copy()
    pairs = _neighbours(cell, umi)
    if not len(pairs):
        return parents
    left, right = pairs.T
    big = np.concatenate([left, right])
    small = np.concatenate([right, left])
    follows = reads[big] >= 2 * reads[small] - 1
    children: dict[int, list[int]] = {}
    for b, s in zip(big[follows].tolist(), small[follows].tolist(), strict=True):
        children.setdefault(b, []).append(s)
    # Largest first, by code where equal: the order of the reads must not matter.
    order = sorted(children, key=lambda i: (-int(reads[i]), int(umi[i])))
    taken: set[int] = set()
    for root in order:
        if root in taken:
            continue
        taken.add(root)
        waiting = [root]
        while waiting:
            for child in children.get(waiting.pop(), ()):
                if child not in taken:
                    taken.add(child)
                    parents[child] = umi[root]
                    waiting.append(child)
    return parents


def find_parents(hits: pd.DataFrame) -> pd.DataFrame:
    """Return cell, umi and ``parent`` of the UMIs that join another (see :func:`merge_umis`)."""
    umis = hits.groupby(["cell", "umi"])["reads"].sum().reset_index()
    parent = merge_umis(*(umis[c].to_numpy("int64") for c in ("cell", "umi", "reads")))
    joined = parent != umis["umi"].to_numpy("int64")
    return umis[["cell", "umi"]].assign(parent=parent).iloc[np.flatnonzero(joined)]


def with_parents(table: pd.DataFrame, parents: pd.DataFrame) -> pd.DataFrame:
    """Return ``table`` with each UMI replaced by its parent; rows are not added up."""
    if parents.empty or table.empty:
        return table
    joined = table.merge(parents, on=["cell", "umi"], how="left")
    umi = joined["parent"].fillna(joined["umi"]).astype("int64")
    return joined.assign(umi=umi).drop(columns="parent")


def resolve(hits: pd.DataFrame, preferred: Iterable[int], *, min_reads: int = 1) -> pd.DataFrame:
    """Say what each molecule is.

    A molecule belongs to the construct that most of its specific reads fit; where several fit equally, to a
    preferred one (of the product), else to the one with most molecules of its own in the library. It proves that
    construct when more of its reads do than are endogenous for certain.

    Parameters
    ----------
    hits
        One row per cell, UMI, target, kind and place, with ``reads``; UMIs merged. A read that fits several
        constructs equally has a row for each.
    preferred
        Numbers of the product's constructs.
    min_reads
        Molecules with fewer reads are left out.

    Returns
    -------
    DataFrame
        cell, umi, target, kind (UNIQUE, JUNCTION, AMBIGUOUS, ENDOGENOUS), reads, and ``exclusive``: no other
        construct fits as well. Molecules that touch no construct are not there.
    """
    columns = ["cell", "umi", "target", "kind", "reads", "exclusive"]
    if not (hits["target"] >= 0).any():
        return pd.DataFrame({c: pd.Series(dtype="bool" if c == "exclusive" else "int64") for c in columns})
    reads = np.zeros((len(hits), 4), dtype=np.int64)
    reads[np.arange(len(hits)), hits["kind"].to_numpy("int64")] = hits["reads"].to_numpy("int64")
    by_kind = pd.DataFrame(reads).assign(**{c: hits[c].to_numpy("int64") for c in ("cell", "umi", "target")})
    table = by_kind.groupby(["cell", "umi", "target"]).sum().reset_index()
    table["specific"] = table[UNIQUE] + table[JUNCTION]
    table["touching"] = table["specific"] + table[AMBIGUOUS] + table[ENDOGENOUS]
    cars = table[table["target"] >= 0].copy()
    # Reads that touch no construct speak against each of them.
    outside = table[table["target"] == NO_TARGET].set_index(["cell", "umi"])[ENDOGENOUS]
    keys = pd.MultiIndex.from_frame(cars[["cell", "umi"]])
    cars["beside"] = outside.reindex(keys).fillna(0).to_numpy("int64")
    molecule = ["cell", "umi"]
    for name in ("specific", "touching"):
        cars = cars[cars[name] == cars.groupby(molecule)[name].transform("max")]
    tied = cars.groupby(molecule)["target"].transform("size") > 1
    own = cars[~tied & (cars["specific"] > 0)]["target"].value_counts()
    wanted = set(preferred)
    rank = [(t not in wanted, -int(own.get(t, 0)), t) for t in cars["target"].tolist()]
    places = {r: i for i, r in enumerate(sorted(set(rank)))}
    cars = cars.assign(
        rank=[places[r] for r in rank], exclusive=~tied, endogenous=cars[ENDOGENOUS] + cars["beside"]
    ).sort_values(["cell", "umi", "rank"])
    cars = cars[~cars.duplicated(molecule)]
    specific, endogenous = cars["specific"].to_numpy(), cars["endogenous"].to_numpy()
    kind = np.select(
        [specific > endogenous, (specific == endogenous) & (specific > 0), endogenous > 0],
        [np.where(cars[UNIQUE] > 0, UNIQUE, JUNCTION), AMBIGUOUS, ENDOGENOUS],
        AMBIGUOUS,
    )
    out = cars.assign(kind=kind, reads=cars["touching"] + cars["beside"])[columns]
    return out[out["reads"] >= min_reads].reset_index(drop=True)


def chimeras(molecules: pd.DataFrame, hits: pd.DataFrame, majority: float) -> npt.NDArray[np.bool_]:
    """Say which proving molecules are copies of one that belongs to another cell.

    Copies that change their barcode keep UMI and fragment. So among molecules of several cells with the same
    UMI, the same construct and a common fragment, the one with at least ``majority`` of the reads stays, and without
    such a one none (Griffiths 2018, Nat Commun 9:2667, which does so between samples).

    Parameters
    ----------
    molecules
        From :func:`resolve`.
    hits
        The hits that it was made from.
    majority
        Share, above 0.5.

    Returns
    -------
    array of bool, shape (len(molecules),)
    """
    proving = molecules["kind"].isin([UNIQUE, JUNCTION]).to_numpy()
    out = np.zeros(len(molecules), dtype=bool)
    if not proving.any():
        return out
    key = ["cell", "umi", "target"]
    numbered = molecules.assign(number=np.arange(len(molecules)))[proving]
    places = hits.merge(numbered[[*key, "number"]], on=key)
    fragments = places.drop_duplicates(["umi", "target", "start", "end", "cell"])
    shared = fragments[fragments.duplicated(["umi", "target", "start", "end"], keep=False)]
    if shared.empty:
        return out
    group = numbered[numbered["number"].isin(shared["number"])].copy()
    total = group.groupby(["umi", "target"])["reads"].transform("sum")
    out[group.loc[group["reads"] < majority * total, "number"].to_numpy()] = True
    return out


def _neighbours(cell: Ints, umi: Ints) -> Ints:
    """Return pairs of rows, shape (n, 2): same cell, same length of UMI, one base different."""
    if len(umi) < 2:
        return np.empty((0, 2), dtype=np.int64)
    found = []
    longest = int(umi.max()).bit_length() // 2
    for i in range(longest):
        # With this base blanked, UMIs that differ there only are equal; the leading 1 tells lengths apart.
        inside = umi >= np.int64(1) << (2 * (i + 1))
        rows = np.flatnonzero(inside)
        masked = umi[rows] & ~(np.int64(3) << (2 * i))
        order = np.lexsort((umi[rows], masked, cell[rows]))
        rows, masked = rows[order], masked[order]
        # At most four UMIs are equal but for one base.
        for step in (1, 2, 3):
            same = (masked[step:] == masked[:-step]) & (cell[rows[step:]] == cell[rows[:-step]])
            found.append(np.column_stack([rows[:-step][same], rows[step:][same]]))
    return np.concatenate(found).astype(np.int64) if found else np.empty((0, 2), dtype=np.int64)
