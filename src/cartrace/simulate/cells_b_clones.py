"""Clones of B cells of a simulated subject: old ones from before the infusion, and what returns after it.

A naive B cell is a clone of its own, in germline. Before the infusion every other B cell is of one of a few old clones,
which are mutated: each member carries some of three substitutions in the CDR3 of its heavy chain, so any two differ by
at most three bases. After the infusion cells are new; in some subjects two old clones come back among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cartrace.simulate.cells_repertoire import Chain, Clone, draw_chain

LIGHT = ("IGK", "IGL")
OLD_SHARES = (0.40, 0.25, 0.15, 0.12, 0.08)
"""Shares of the old clones with each of the two light chains among old B cells with that chain."""
RETURNING_SHARE = 0.8
"""In a subject whose old clones come back: share of mature B cells after the infusion that are of them."""
SUBSTITUTIONS = 3
MEMBER_HAS = 0.5
"""Chance that a member of a clone carries a substitution."""
MUTATED, GERMLINE = (0.03, 0.07), (0.0, 0.004)
"""Mutation frequency of the V gene of memory and plasma cells; of naive cells, by the errors of sequencing."""
IGHD_CONTIG = 0.12
"""Share of naive cells of which the assembler finds the IgD transcript and not that of IgM."""
NAIVE = ("transitional_b", "naive_b")


@dataclass(frozen=True, slots=True)
class OldClone:
    """A clone from before the infusion: its founder, and the substitutions (place, base) that members may carry."""

    founder: Clone
    substitutions: tuple[tuple[int, str], ...]
    share: float
    returns: bool

    def member(self, rng: np.random.Generator) -> Clone:
        """Draw the receptor of one cell."""
        heavy, light = self.founder.chains
        letters = list(heavy.cdr3_nt)
        for place, base in self.substitutions:
            if rng.random() < MEMBER_HAS:
                letters[place] = base
        mutated = replace(heavy, cdr3_nt="".join(letters), v_identity=_identity(rng, MUTATED))
        return Clone(self.founder.name, (mutated, light))


@dataclass(frozen=True, slots=True)
class BCell:
    """Receptor of one B cell, and the constant gene of its heavy chain as the assembler finds it."""

    clone: Clone
    c_gene: str


def draw_old_clones(rng: np.random.Generator, subject_id: str, *, returning: bool) -> tuple[OldClone, ...]:
    """Draw the old clones of a subject; ``returning``: the largest with each light chain comes back."""
    out: list[OldClone] = []
    for light in LIGHT:
        for i, share in enumerate(OLD_SHARES):
            name = f"{subject_id}-B{len(out) + 1:04d}"
            heavy = draw_chain(rng, "IGH")
            founder = Clone(name, (heavy, draw_chain(rng, light)))
            out.append(OldClone(founder, _substitutions(rng, heavy), share, returning and i == 0))
    return tuple(out)


def draw_b_cells(
    rng: np.random.Generator,
    old: Sequence[OldClone],
    library: str,
    cells: Sequence[tuple[str, str, str]],
    *,
    before: bool,
) -> list[BCell]:
    """Draw the receptors of the B-lineage cells of a library.

    Parameters
    ----------
    rng
        Random numbers.
    old
        Old clones of the subject.
    library
        Name of the library; new clones are named after it.
    cells
        Type, constant gene and light chain (IGK or IGL) of each cell.
    before
        Whether the sample is from before the infusion.
    """
    out = []
    for i, (kind, c_gene, chain) in enumerate(cells, 1):
        naive = kind in NAIVE
        fitting = [c for c in old if c.founder.chains[1].chain == chain and (before or c.returns)]
        if not naive and fitting and (before or rng.random() < RETURNING_SHARE):
            shares = np.array([c.share for c in fitting])
            clone = fitting[int(rng.choice(len(fitting), p=shares / shares.sum()))].member(rng)
        else:
            identity = _identity(rng, GERMLINE if naive else MUTATED)
            own = replace(draw_chain(rng, "IGH"), v_identity=identity)
            clone = Clone(f"{library}-B{i:04d}", (own, draw_chain(rng, chain)))
        out.append(BCell(clone, "IGHD" if naive and rng.random() < IGHD_CONTIG else c_gene))
    return out


def _identity(rng: np.random.Generator, mutated: tuple[float, float]) -> float:
    return round(1 - float(rng.uniform(*mutated)), 4)


def _substitutions(rng: np.random.Generator, heavy: Chain) -> tuple[tuple[int, str], ...]:
    """Return places and bases in the middle of the CDR3, each in a codon of its own, none making a stop."""
    codons = len(heavy.cdr3_nt) // 3
    out = []
    for codon in sorted(rng.choice(np.arange(2, codons - 1), SUBSTITUTIONS, replace=False).tolist()):
        # The first base of a codon decides: C and G there start no stop codon.
        place = 3 * codon
        out.append((place, "G" if heavy.cdr3_nt[place] == "C" else "C"))
    return tuple(out)
