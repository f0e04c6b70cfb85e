"""Clones of B cells: heavy chains of one V gene, J gene and CDR3 length whose CDR3 are alike.

Single linkage by Hamming distance (Gupta 2017, J Immunol 198:2489 [recalled], with a fixed limit): two chains are of one
clone when a row of chains leads from one to the other, each step within the limit. Light chains are not used to
split: they are missed in some cells, and a clone that a light chain would split stays one.

Not all pairs are compared. Equal chains are one from the start. Where many chains have one V gene, J gene and
length, their CDR3 is cut into one piece more than mismatches are allowed: two chains within the limit are equal
in at least one piece, so only chains that share a piece are compared. And a chain that has joined a clone is
not looked for again. Each step leaves the result that comparing all pairs gives. Where the pieces tell nothing apart
all pairs of that one V gene, J gene and length are compared, on bits: 5 s for 50,000 chains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.repertoire.clonotypes import connected
from cartrace.repertoire.names import clone_name, receptors, representatives, sample_ranks

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from cartrace.repertoire.settings import Clonotypes

    Edges = tuple[NDArray[np.int64], NDArray[np.int64]]

STEPPED = 128
"""Chains of a group up to which all its pairs are compared, many groups at once."""
CUT = 2_000
"""Chains of one V gene, J gene and length above which their CDR3 is cut into pieces."""
HELD = 1 << 22
"""Pairs that are held before they are joined."""
AT_ONCE = 1 << 19
"""Pairs that are compared at once: their bits stay in the processor's cache."""


def b_clonotypes(chains: pd.DataFrame, order: Mapping[str, float], settings: Clonotypes) -> pd.DataFrame:
    """Name the clone of each B cell by its heavy chain.

    Parameters
    ----------
    chains
        The contract CHAINS of all libraries of one subject, of the cells that can be of a clone
        (CELL_RECEPTORS.counts).
    order
        Library -> place in time of its sample; equal for libraries of one day.
    settings
        Which sequence is compared, and the least identity.

    Returns
    -------
    DataFrame
        library, cell, clonotype of each cell whose first heavy chain has V gene, J gene and CDR3, in the order
        of these chains. A clone is named after one of its chains
        (:func:`cartrace.repertoire.names.representatives`).

    Raises
    ------
    ValueError
        When ``order`` lacks a library.
    """
    import pandas as pd

    chains = chains[(chains["locus"] == "IGH") & (chains["rank"] == 1)]
    rank, kinds = sample_ranks(chains, order), receptors(chains, settings.b_sequence)
    (rows,) = np.nonzero(kinds.code >= 0)
    # pandas 2 can't factorise an index of no pairs.
    block = pd.DataFrame({"v": kinds.v_gene, "j": kinds.j_gene}).groupby(["v", "j"], sort=False).ngroup()
    member = alike(kinds.cdr3, np.asarray(block, np.int64), settings.b_identity)
    code = kinds.code[rows]
    # Numbered anew by what was seen: all receptors are, so the clones are 0 to n - 1.
    texts = [kinds.text(i) for i in range(len(kinds.cdr3))]
    chosen = representatives(member[code], code, rank[rows], texts)
    names = np.array([clone_name("B", texts[r]) for r in chosen.tolist()], dtype=object)
    return pd.DataFrame(
        {
            "library": chains["library"].to_numpy(object)[rows],
            "cell": chains["cell"].to_numpy(object)[rows],
            "clonotype": names[member[code]],
        },
        dtype="string",
    )


def mismatches(length: int, identity: float) -> int:
    """Return how many mismatches two sequences of ``length`` may have at least at this identity.

    >>> mismatches(20, 0.85), mismatches(10, 0.9), mismatches(45, 0.85), mismatches(45, 1)
    (3, 1, 6, 0)
    """
    return length - ceil(identity * length - 1e-9)


def alike(sequences: NDArray[Any], block: NDArray[np.int64], identity: float) -> NDArray[np.int64]:
    """Return (n,) the clone of each of n different sequences, from 0: single linkage within block and length.

    Parameters
    ----------
    sequences
        (n,) text; within a block no two are equal.
    block
        (n,) what must be the same besides the length.
    identity
        Least share of equal places of two sequences that are linked.
    """
    return _joined(len(sequences), _all_links(sequences, block, identity))


def _all_links(sequences: NDArray[Any], block: NDArray[np.int64], identity: float) -> Iterator[Edges]:
    """Yield such pairs of all lengths."""
    length = np.array([len(s) for s in sequences], dtype=np.int64)
    for size in np.unique(length).tolist():
        (rows,) = np.nonzero(length == size)
        most = mismatches(size, identity)
        if most == 0:
            continue
        letters = np.array(sequences[rows], dtype=f"U{size}").view(np.uint32).reshape(len(rows), size)
        for one, other in _links(letters, block[rows], most):
            yield rows[one], rows[other]


def _joined(
    nodes: int, edges: Iterable[Edges], component: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Return (nodes,) the components after ``edges`` are added, holding some edges at a time."""
    component = np.arange(nodes) if component is None else component
    kept: list[Edges] = []
    held = 0
    for edge in edges:
        kept.append(edge)
        held += len(edge[0])
        if held > HELD:
            component, kept, held = _added(component, kept), [], 0
    return _added(component, kept)


def _added(component: NDArray[np.int64], edges: Sequence[Edges]) -> NDArray[np.int64]:
    one, other = (np.concatenate([component[:0], *(component[e[i]] for e in edges)]) for i in (0, 1))
    return connected(len(component), one, other)[component]


def _links(letters: NDArray[np.uint32], block: NDArray[np.int64], most: int) -> Iterator[Edges]:
    """Yield pairs within ``most`` mismatches in one block that connect all that such pairs connect."""
    bits = _bits(letters)
    _, block, size = np.unique(block, return_inverse=True, return_counts=True)
    large = size[block] > CUT
    (rows,) = np.nonzero(~large)
    yield from _within(bits, rows, block[rows], most)
    for which in np.flatnonzero(size > CUT).tolist():
        (rows,) = np.nonzero(block == which)
        yield from _by_pieces(letters, bits, rows, most)


def _by_pieces(
    letters: NDArray[np.uint32], bits: NDArray[np.uint64], rows: NDArray[np.int64], most: int
) -> Iterator[Edges]:
    """Yield such pairs of a large block, comparing those that share a piece."""
    keys = [_key(letters[np.ix_(rows, piece)]) for piece in _pieces(letters[rows], most + 1)]
    pairs = sum(float((np.bincount(key).astype(float) ** 2).sum()) for key in keys)
    if pairs >= len(rows) ** 2:
        # The pieces tell nothing apart: all pairs are fewer.
        yield from _within(bits, rows, np.zeros(len(rows), np.int64), most)
        return
    component = np.arange(len(rows))
    places = component.copy()
    for key in keys:
        # What is connected already need not be looked at.
        low, high = np.full(len(rows), len(rows)), np.full(len(rows), -1)
        np.minimum.at(low, key, component)
        np.maximum.at(high, key, component)
        left = places[(low != high)[key]]
        component = _joined(len(rows), _within(bits[:, :, rows], left, key[left], most), component)
    _, first = np.unique(component, return_index=True)
    yield rows, rows[first[component]]


def _pieces(letters: NDArray[np.uint32], count: int) -> list[NDArray[np.int64]]:
    """Deal the places of sequences into pieces that tell about equally much.

    A CDR3 starts and ends alike in all chains, so pieces of neighbours would tell little; places are dealt from
    the most to the least diverse, there and back.
    """
    diversity = np.array([_entropy(column) for column in letters.T])
    order = np.argsort(-diversity, kind="stable")
    turn = np.arange(len(order)) % (2 * count)
    taker = np.minimum(turn, 2 * count - 1 - turn)
    return [order[taker == piece] for piece in range(count)]


def _entropy(values: NDArray[np.uint32]) -> float:
    _, counts = np.unique(values, return_counts=True)
    share = counts / counts.sum()
    return float(-(share * np.log(share)).sum())


def _key(piece: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return (n,) a number for each different row; two rows could share one (2^-64), at the cost of a comparison."""
    # Odd factors lose nothing modulo 2^64.
    drawn = np.random.default_rng(0).integers(1, 2**62, size=(piece.shape[1],))
    mixed = np.zeros(len(piece), np.uint64)
    for place, factor in enumerate(drawn):
        mixed = (mixed ^ piece[:, place]) * np.uint64(2 * int(factor) + 1)
        mixed ^= mixed >> np.uint64(29)
    return np.asarray(np.unique(mixed, return_inverse=True)[1], np.int64)


def _within(
    bits: NDArray[np.uint64], rows: NDArray[np.int64], group: NDArray[np.int64], most: int
) -> Iterator[Edges]:
    """Yield such pairs of each group: small groups by all pairs, many groups at once; large ones by spreading."""
    order = np.argsort(group, kind="stable")
    rows, group = rows[order], group[order]
    _, start, size = np.unique(group, return_index=True, return_counts=True)
    for first, count in zip(start[size > STEPPED].tolist(), size[size > STEPPED].tolist(), strict=True):
        yield from _spread(bits, rows[first : first + count], most)
    small = size <= STEPPED
    left = np.repeat((start + size)[small], size[small]) - 1
    place = np.flatnonzero(np.repeat(small, size))
    for step in range(1, STEPPED):
        kept = place + step <= left
        place, left = place[kept], left[kept]
        if not len(place):
            return
        one, other = rows[place], rows[place + step]
        near = _distance(bits[:, :, one], bits[:, :, other]) <= most
        yield one[near], other[near]


def _spread(bits: NDArray[np.uint64], rows: NDArray[np.int64], most: int) -> Iterator[Edges]:
    """Yield a tree of each component: from one sequence to all near it, from these on, until none is near.

    Each found sequence leaves those that are looked for, so that many alike cost little, and memory holds
    AT_ONCE pairs. Where none are alike it is all pairs: 50,000 sequences in 5 s.
    """
    left, waiting = rows, rows[:0]
    sought = np.ascontiguousarray(bits[:, :, left])
    while len(left):
        if not len(waiting):
            waiting, left, sought = left[-1:], left[:-1], sought[:, :, :-1]
            continue
        now = waiting[: max(AT_ONCE // max(len(left), 1), 1)]
        waiting = waiting[len(now) :]
        near = _distance(bits[:, :, now, None], sought[:, :, None, :]) <= most
        hit = near.any(axis=0)
        if hit.any():
            found = left[hit]
            yield now[near[:, hit].argmax(axis=0)], found
            waiting = np.concatenate([waiting, found])
            left, sought = left[~hit], sought[:, :, ~hit]


def _bits(letters: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Pack sequences into bits, (words, planes, n): plane p of a word holds bit p of 64 letters."""
    alphabet, code = np.unique(letters, return_inverse=True)
    code = code.reshape(letters.shape)
    words, planes = ceil(letters.shape[1] / 64), max((len(alphabet) - 1).bit_length(), 1)
    packed = np.zeros((planes, len(letters), words * 8), np.uint8)
    for plane in range(planes):
        row = np.packbits((code >> plane & 1).astype(np.uint8), axis=1)
        packed[plane, :, : row.shape[1]] = row
    return np.ascontiguousarray(packed.view(np.uint64).transpose(2, 0, 1))


def _distance(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Return the mismatches of packed sequences: places where any bit differs; leading axes (words, planes)."""
    total: Any = np.uint16(0)
    for a, b in zip(one, other, strict=True):
        different = a[0] ^ b[0]
        for p, q in zip(a[1:], b[1:], strict=True):
            different |= p ^ q
        total = total + np.bitwise_count(different).astype(np.uint16)
    return np.asarray(total, np.uint16)
