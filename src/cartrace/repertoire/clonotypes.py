"""Clones of T cells: identical chains. Linear in the cells; no two cells are ever compared.

The beta chain alone tells a clone (V gene, J gene and CDR3 of the cell's first TRB), and both chains together
tell it finer. Of a gamma-delta T cell TRD takes the place of TRB, and TRG that of TRA.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from cartrace.repertoire.names import (
    Receptors,
    cell_codes,
    clone_name,
    receptors,
    representatives,
    sample_ranks,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from cartrace.repertoire.settings import Clonotypes

PARTNER = {"TRB": "TRA", "TRD": "TRG"}
"""The chain with a D gene, which tells a clone, and its partner."""
PARTNERS = 2
"""Chains of the partner's locus that count in one cell: both alleles of TRA can be expressed."""


def t_clonotypes(chains: pd.DataFrame, order: Mapping[str, float], settings: Clonotypes) -> pd.DataFrame:
    """Name the clone of each T cell, by its beta chain and by both chains.

    Parameters
    ----------
    chains
        The contract CHAINS of all libraries of one subject, of the cells that can be of a clone
        (CELL_RECEPTORS.counts).
    order
        Library -> place in time of its sample; equal for libraries of one day.
    settings
        Which sequence is compared.

    Returns
    -------
    DataFrame
        library, cell, beta_clonotype, paired_clonotype of each cell with a beta clone, in the order of
        their beta chains. A cell whose beta chain lacks V gene, J gene or CDR3 has no clone, nor has one
        with an alpha chain only. The paired clone: within a beta clone, cells with an alpha chain in
        common, directly or through other cells (up to two a cell). A cell without an alpha chain is of the
        paired clone when its beta clone has just one; else it is empty. So a later sample can rename nothing
        but paired clones that it joins (the earlier name stays), and can leave such a cell open.

    Raises
    ------
    ValueError
        When ``order`` lacks a library.
    """
    import pandas as pd

    chains = chains[chains["locus"].isin([*PARTNER, *PARTNER.values()]) & (chains["rank"] <= PARTNERS)]
    locus, first = chains["locus"].to_numpy(object), chains["rank"].to_numpy(np.int64) == 1
    cell, rank = cell_codes(chains), sample_ranks(chains, order)
    kinds = receptors(chains, settings.t_sequence)
    has_trb = np.zeros(int(cell.max(initial=-1)) + 1, bool)
    has_trb[cell[locus == "TRB"]] = True
    (rows,) = np.nonzero(first & ((locus == "TRB") | ((locus == "TRD") & ~has_trb[cell])) & (kinds.code >= 0))
    row_of_cell = np.full(len(has_trb), -1, np.int64)
    row_of_cell[cell[rows]] = np.arange(len(rows))
    # Partners: rows of the other locus in a cell with a beta chain.
    of = row_of_cell[cell]
    wanted = np.array([PARTNER[name] for name in locus[rows]], dtype=object)
    (partner,) = np.nonzero((of >= 0) & (kinds.code >= 0))
    partner = partner[locus[partner] == wanted[of[partner]]]

    beta = kinds.code[rows]
    used, beta_place = np.unique(beta, return_inverse=True)
    beta_names = np.array([clone_name("T", kinds.text(b)) for b in used.tolist()], dtype=object)
    paired = _paired(beta, of[partner], kinds.code[partner], rank[rows], kinds)
    return pd.DataFrame(
        {
            "library": chains["library"].to_numpy(object)[rows],
            "cell": chains["cell"].to_numpy(object)[rows],
            "beta_clonotype": beta_names[beta_place],
            "paired_clonotype": paired,
        },
        dtype="string",
    )


def _paired(
    beta: NDArray[np.int64],
    cell: NDArray[np.int64],
    alpha: NDArray[np.int64],
    rank: NDArray[np.int64],
    kinds: Receptors,
) -> NDArray[np.object_]:
    """Name the paired clones.

    Parameters
    ----------
    beta, rank
        (cells,) beta chain of each cell, and rank in time of its sample.
    cell, alpha
        (n,) one alpha chain of one cell each.
    kinds
        What the numbers of the chains stand for.

    Returns
    -------
    (cells,)
        Names; None where the alpha chain leaves it open.
    """
    count = len(kinds.cdr3)
    pairs, pair = np.unique(beta[cell] * count + alpha, return_inverse=True)
    joined = connected(len(beta) + len(pairs), cell, len(beta) + pair)
    _, group = np.unique(joined[len(beta) + pair], return_inverse=True)
    alphas = (pairs % max(count, 1)).tolist()
    chosen = representatives(group, pair, rank[cell], [kinds.text(a) for a in alphas])
    of_beta = pairs[chosen] // max(count, 1)
    names = np.array(
        [
            clone_name("T", f"{kinds.text(b)}+{kinds.text(alphas[p])}")
            for b, p in zip(of_beta.tolist(), chosen.tolist(), strict=True)
        ],
        dtype=object,
    )
    found = np.full(len(beta), None, dtype=object)
    # The only paired clone of a beta clone takes the cells without an alpha chain.
    single = np.flatnonzero(np.bincount(of_beta, minlength=count)[of_beta] == 1)
    only = np.full(count, None, dtype=object)
    only[of_beta[single]] = names[single]
    found[:] = only[beta]
    found[cell] = names[group]
    return found


def connected(nodes: int, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (nodes,) the connected component of each node, from 0; ``one`` and ``other`` are the edges' ends."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(nodes, nodes))
    _, component = connected_components(edges, directed=False)
    return np.asarray(component, np.int64)
