"""Names of clones: the same receptor has the same name in every run, library and subject.

A name is "T-" or "B-" and the first 12 hexadecimal digits of the SHA-256 of the receptor in plain text
(locus|V|J|CDR3). These are 48 bits: among a million clones two share a name with a probability of 0.2 %
(n^2 / 2 / 2^48), among 30,000 with 2 in a million.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

DIGITS = 12


def clone_name(receptor: Literal["T", "B"], text: str) -> str:
    """Return the name of a clone.

    >>> clone_name("T", "TRB|TRBV9|TRBJ2-1|TGTGCCAGC")
    'T-fd3ef2edd8e8'
    """
    return f"{receptor}-{sha256(text.encode()).hexdigest()[:DIGITS]}"


@dataclass(frozen=True)
class Receptors:
    """The different chains among some contigs: locus, V gene, J gene and CDR3.

    Attributes
    ----------
    code
        (contigs,) which of them each contig is; -1 where it lacks V gene, J gene or CDR3.
    locus, v_gene, j_gene, cdr3
        (receptors,) text; genes without allele.
    """

    code: NDArray[np.int64]
    locus: NDArray[Any]
    v_gene: NDArray[Any]
    j_gene: NDArray[Any]
    cdr3: NDArray[Any]

    def text(self, code: int) -> str:
        """Return a receptor in plain text, as it is named."""
        return f"{self.locus[code]}|{self.v_gene[code]}|{self.j_gene[code]}|{self.cdr3[code]}"


def receptors(chains: pd.DataFrame, sequence: Literal["nt", "aa"]) -> Receptors:
    """Tell the different chains of ``chains`` (the contract CHAINS) apart; linear in the contigs.

    Alleles (``*01``) are cut off: one assembler tells them, another does not.
    """
    import pandas as pd

    columns: list[tuple[NDArray[np.int64], NDArray[Any]]] = []
    for name in ("locus", "v_gene", "j_gene", f"cdr3_{sequence}"):
        code, values = pd.factorize(chains[name])
        words = np.array([str(value) for value in np.asarray(values, dtype=object)], dtype=object)
        if name.endswith("_gene"):
            bare = np.array([word.partition("*")[0] for word in words], dtype=object)
            place, genes = pd.factorize(bare)
            kinds = np.asarray(genes, dtype=object)
        else:
            place, kinds = np.arange(len(words)), words
        # The last place answers for -1, which is a missing value; an empty one is missing too.
        place = np.append(np.where(words == "", -1, place), -1)
        columns.append((place[code], kinds))
    joined, known = np.zeros(len(chains), np.int64), np.ones(len(chains), bool)
    for number, kinds in columns:
        known &= number >= 0
        joined = joined * (len(kinds) + 1) + number
    _, first, inverse = np.unique(joined[known], return_index=True, return_inverse=True)
    code = np.full(len(chains), -1, np.int64)
    code[known] = inverse
    parts = [values[c[known][first]] for c, values in columns]
    return Receptors(code, *parts)


def cell_codes(chains: pd.DataFrame) -> NDArray[np.int64]:
    """Return (contigs,) a number from 0 for each cell: barcodes are of one library."""
    import pandas as pd

    library, _ = pd.factorize(chains["library"])
    cell, barcodes = pd.factorize(chains["cell"])
    _, code = np.unique(library * np.int64(len(barcodes) + 1) + cell, return_inverse=True)
    return np.asarray(code, np.int64)


def sample_ranks(chains: pd.DataFrame, order: Mapping[str, float]) -> NDArray[np.int64]:
    """Return (contigs,) the rank in time of each contig's sample, from 0.

    Parameters
    ----------
    chains
        Column library.
    order
        Library -> place in time of its sample (rank or study day); equal for libraries of one day.

    Raises
    ------
    ValueError
        When ``order`` lacks a library.
    """
    import pandas as pd

    code, libraries = pd.factorize(chains["library"])
    missing = sorted(str(name) for name in libraries if name not in order)
    if missing:
        raise ValueError(f"no place in time for the libraries {', '.join(missing)}")
    _, rank = np.unique(np.array([order[name] for name in libraries], dtype=float), return_inverse=True)
    return np.asarray(rank[code], np.int64)


def representatives(
    clone: NDArray[np.int64], receptor: NDArray[np.int64], rank: NDArray[np.int64], text: Sequence[str]
) -> NDArray[np.int64]:
    """Choose the receptor after which each clone is named, so that a later sample does not rename it.

    It is seen in the earliest sample of the clone, there in most cells, and of equals it comes first in the
    alphabet. When a later sample joins two clones into one, the name of the earlier stays.

    Parameters
    ----------
    clone, receptor, rank
        (n,) one sighting each: clone from 0, receptor, rank in time of the sample.
    text
        (receptors,) each receptor in plain text.

    Returns
    -------
    (clones,)
        A receptor of each clone.
    """
    clones = int(clone.max(initial=-1)) + 1
    earliest = np.full(clones, np.iinfo(np.int64).max)
    np.minimum.at(earliest, clone, rank)
    first = rank == earliest[clone]
    pair, cells = np.unique(clone[first] * len(text) + receptor[first], return_counts=True)
    clone, receptor = np.divmod(pair, max(len(text), 1))
    most = np.zeros(clones, np.int64)
    np.maximum.at(most, clone, cells)
    best = cells == most[clone]
    clone, receptor = clone[best], receptor[best]
    chosen = np.empty(clones, np.int64)
    chosen[clone] = receptor
    tied = np.bincount(clone, minlength=clones)[clone] > 1
    equals = [(text[r], int(c), int(r)) for c, r in zip(clone[tied], receptor[tied], strict=True)]
    for _, c, r in sorted(equals, reverse=True):
        chosen[c] = r
    return chosen
