"""Clones of T cells of a simulated subject, and the contigs that a V(D)J library finds of T and B cells.

Chains are made up: random codons between the cysteine and the phenylalanine or tryptophan of a CDR3. Some clones of
the product expand in blood; cells with the CAR come from other clones than cells without it, but for a few, since a
clone may have sisters that were not transduced. Clones of B cells: :mod:`cartrace.simulate.cells_b_clones`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartrace.simulate.cells_genes import ISOTYPES
from cartrace.simulate.construct import CODONS

Integers = npt.NDArray[np.int64]

CAR_CLONES, OTHER_CLONES = 250, 900
"""T-cell clones that were transduced, and others."""
SISTERS = 0.04
"""Share of T cells that belong to a clone of the other kind."""
PRODUCT_SPREAD, EXPANSION_SPREAD, LATER_SPREAD = 0.6, 1.9, 0.5
"""SD of the log of the clones' shares: in the product, from there to blood, from the peak on."""
STAGES = ("product", "peak", "late")
PLANTED = {
    0: (0.08, 0.004, 0.002),
    1: (0.015, 0.18, 0.15),
    CAR_CLONES: (0.08, 0.004, 0.004),
    CAR_CLONES + 1: (0.012, 0.12, 0.12),
}
"""Place of a clone -> its share of its kind at each of ``STAGES``: of both kinds one contracts, one expands and persists."""
SECOND_ALPHA = 0.12
SEEN = {"TRA": 0.80, "TRB": 0.92, "IGH": 0.92, "IGL": 0.95}
"""Share of cells in which the library finds a chain."""
UNPRODUCTIVE = 0.06
STRAY = 0.004
"""Share of cells in which a chain of another cell is found, by one UMI."""
CONTIG_COLUMNS = (
    "barcode",
    "is_cell",
    "contig_id",
    "high_confidence",
    "length",
    "chain",
    "v_gene",
    "d_gene",
    "j_gene",
    "c_gene",
    "full_length",
    "productive",
    "cdr3",
    "cdr3_nt",
    "reads",
    "umis",
    "raw_clonotype_id",
    "raw_consensus_id",
)
"""As Cell Ranger 5 writes them."""
_AMINO_ACIDS = {codon: acid for acid, codons in CODONS.items() for codon in codons}
_MIDDLE = tuple("AGSTDNEQRKYPLVIH")


@dataclass(frozen=True, slots=True)
class Chain:
    """One receptor chain."""

    chain: str
    v_gene: str
    d_gene: str
    j_gene: str
    cdr3_nt: str
    v_identity: float = 1.0
    """Share of the bases of the V gene that are those of the germline."""

    @property
    def cdr3(self) -> str:
        """The CDR3 as protein."""
        return "".join(_AMINO_ACIDS[self.cdr3_nt[i : i + 3]] for i in range(0, len(self.cdr3_nt), 3))


@dataclass(frozen=True, slots=True)
class Clone:
    """Cells with the same chains."""

    name: str
    chains: tuple[Chain, ...]


@dataclass(frozen=True, slots=True)
class Repertoire:
    """T-cell clones of one subject and their shares; the first :data:`CAR_CLONES` were transduced.

    ``shares`` gives for product, peak and late the (clones,) weights; each kind sums to 1.
    """

    subject_id: str
    clones: tuple[Clone, ...]
    shares: dict[str, npt.NDArray[np.float64]]


def draw_repertoire(rng: np.random.Generator, subject_id: str) -> Repertoire:
    """Draw the T-cell clones of a subject."""
    n = CAR_CLONES + OTHER_CLONES
    clones = tuple(_t_clone(rng, f"{subject_id}-T{i:04d}") for i in range(1, n + 1))
    product = PRODUCT_SPREAD * rng.standard_normal(n)
    peak = product + EXPANSION_SPREAD * rng.standard_normal(n)
    late = peak + LATER_SPREAD * rng.standard_normal(n)
    shares = {}
    for i, (stage, log) in enumerate(zip(STAGES, (product, peak, late), strict=True)):
        share = np.exp(log)
        fixed = {place: planted[i] for place, planted in PLANTED.items()}
        for kind in (slice(0, CAR_CLONES), slice(CAR_CLONES, n)):
            own = [place for place in fixed if kind.start <= place < kind.stop]
            share[own] = 0
            share[kind] *= (1 - sum(fixed[place] for place in own)) / share[kind].sum()
            share[own] = [fixed[place] for place in own]
        shares[stage] = share
    return Repertoire(subject_id, clones, shares)


def draw_t_clones(
    rng: np.random.Generator, repertoire: Repertoire, stage: str, car: npt.NDArray[np.bool_]
) -> Integers:
    """Return the clone of each T cell, as its place in ``repertoire.clones``.

    Parameters
    ----------
    rng
        Random numbers.
    repertoire
        Of the subject.
    stage
        product, peak or late; before the infusion the clones are as in the late sample, without a CAR.
    car : (n,) array
        Which cells carry the CAR.
    """
    transduced = car ^ (rng.random(car.size) < SISTERS)
    share = repertoire.shares[stage]
    n_car = CAR_CLONES
    of_car = rng.choice(n_car, car.size, p=share[:n_car])
    of_others = n_car + rng.choice(share.size - n_car, car.size, p=share[n_car:])
    return np.where(transduced, of_car, of_others).astype(np.int64)


def _t_clone(rng: np.random.Generator, name: str) -> Clone:
    chains = [draw_chain(rng, "TRB"), draw_chain(rng, "TRA")]
    if rng.random() < SECOND_ALPHA:
        chains.append(draw_chain(rng, "TRA"))
    return Clone(name, tuple(chains))


_SEGMENTS = {"TRA": (41, 61, 0), "TRB": (30, 7, 2), "IGH": (60, 6, 6), "IGK": (40, 5, 0), "IGL": (50, 7, 0)}
"""Chain -> how many V, J and D genes it may use."""


def draw_chain(rng: np.random.Generator, chain: str) -> Chain:
    """Draw a chain of a locus."""
    n_v, n_j, n_d = _SEGMENTS[chain]
    # One call for all numbers: a subject has thousands of chains.
    u = rng.random(40)
    length = 8 + int(u[0] * 7) if n_d else 6 + int(u[1] * 5)
    middle = [_MIDDLE[int(x * len(_MIDDLE))] for x in u[2 : 2 + length]]
    ends = "W" if chain == "IGH" else "F"
    acids = ("C", "A", *middle, ends)
    codons = [CODONS[a][int(x * len(CODONS[a]))] for a, x in zip(acids, u[20:], strict=False)]
    v, j, d = (1 + int(x * n) for x, n in zip(u[17:20], (n_v, n_j, n_d), strict=True))
    return Chain(
        chain=chain,
        v_gene=f"{chain}V{v}-1" if chain.startswith("IG") else f"{chain}V{v}",
        d_gene=f"{chain}D{d}" if n_d else "",
        j_gene=f"{chain}J2-{j}" if chain == "TRB" else f"{chain}J{j}",
        cdr3_nt="".join(codons),
    )


@dataclass(frozen=True, slots=True)
class Contig:
    """One contig, as an assembler finds it."""

    barcode: str
    number: int
    """Place among those of its barcode, from 1."""
    chain: Chain
    c_gene: str
    productive: bool
    umis: int
    reads: int
    length: int
    clonotype: str = ""
    """Number of the assembler; empty where none."""
    is_cell: bool = True

    @property
    def name(self) -> str:
        """Each once in a library."""
        return f"{self.barcode}_contig_{self.number}"


def find_contigs(
    rng: np.random.Generator,
    barcodes: Sequence[str],
    clones: Sequence[Sequence[Clone]],
    constant: Sequence[str],
    *,
    receptor: str,
) -> list[Contig]:
    """Return the contigs of a library.

    Parameters
    ----------
    rng
        Random numbers.
    barcodes : length n
        Cells.
    clones : length n
        The clones behind each barcode: none, one, or two in a doublet.
    constant : length n
        Constant gene of the heavy chain of each B cell; empty otherwise.
    receptor
        TR or IG: only chains of it are found.
    """
    found: list[tuple[str, list[tuple[Chain, str, bool, int]]]] = []
    donors = [c for of_cell in clones for c in of_cell if c.chains[0].chain.startswith(receptor)]
    for barcode, of_cell, heavy in zip(barcodes, clones, constant, strict=True):
        contigs: list[tuple[Chain, str, bool, int]] = []
        for clone in of_cell:
            for chain in clone.chains:
                kind = "IGL" if chain.chain in {"IGK", "IGL"} else chain.chain
                seen, productive = rng.random() < SEEN[kind], rng.random() >= UNPRODUCTIVE
                umis = 1 + int(rng.poisson(12 if heavy or receptor == "IG" else 6))
                if chain.chain.startswith(receptor) and seen:
                    contigs.append((chain, _constant(rng, chain, heavy), productive, umis))
        if donors and rng.random() < STRAY:
            stray = donors[int(rng.integers(len(donors)))].chains[0]
            contigs.append((stray, _constant(rng, stray, "IGHM"), True, 1))
        if contigs:
            found.append((barcode, contigs))
    keys = [tuple(sorted(c.cdr3_nt for c, _, productive, _ in contigs if productive)) for _, contigs in found]
    sizes: dict[tuple[str, ...], int] = {}
    for key in keys:
        sizes[key] = sizes.get(key, 0) + 1
    order = sorted((k for k in sizes if k), key=lambda k: (-sizes[k], k))
    clonotype = {key: f"clonotype{i}" for i, key in enumerate(order, 1)}
    out = []
    for (barcode, contigs), key in zip(found, keys, strict=True):
        for i, (chain, c_gene, productive, umis) in enumerate(contigs, 1):
            length = int(rng.integers(430, 620))
            reads = umis * int(rng.integers(150, 600))
            name = clonotype.get(key, "")
            out.append(Contig(barcode, i, chain, c_gene, productive, umis, reads, length, name))
    return out


def contig_rows(contigs: Sequence[Contig]) -> list[dict[str, str]]:
    """Return contigs as the rows of Cell Ranger's contig annotations."""
    rows = []
    for c in contigs:
        chain, productive = c.chain, c.productive
        values = (
            *(c.barcode, _flag(c.is_cell), c.name, "true", str(c.length)),
            *(chain.chain, chain.v_gene, chain.d_gene, chain.j_gene, c.c_gene, "true"),
            *(_flag(productive), chain.cdr3 if productive else "", chain.cdr3_nt if productive else ""),
            *(str(c.reads), str(c.umis), c.clonotype),
            f"{c.clonotype}_consensus_{c.number}" if c.clonotype and productive else "",
        )
        rows.append(dict(zip(CONTIG_COLUMNS, values, strict=True)))
    return rows


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _constant(rng: np.random.Generator, chain: Chain, heavy: str) -> str:
    match chain.chain:
        case "IGH":
            return heavy or ISOTYPES[0]
        case "TRB":
            return "TRBC2"  # as all its J genes are TRBJ2
        case "IGL":
            return f"IGLC{int(rng.integers(1, 4))}"
        case name:
            return f"{name}C"
