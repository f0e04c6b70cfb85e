"""CAR constructs: sequence and domains."""

from __future__ import annotations

from dataclasses import dataclass

DOMAIN_KINDS = (
    "promoter",
    "utr5",
    "leader",
    "vh",
    "vl",
    "binder",
    "linker",
    "hinge",
    "transmembrane",
    "costimulation",
    "signalling",
    "two_a",
    "marker",
    "orf",
    "stop",
    "wpre",
    "ltr",
    "polya",
    "other",
)
"""What a domain is for. ``binder`` is a whole scFv, a VHH, or anything else that binds."""


@dataclass(frozen=True, slots=True)
class Domain:
    """One stretch of a construct."""

    name: str
    """As the annotation writes it."""
    kind: str
    """One of DOMAIN_KINDS."""
    start: int
    """First position, from 1."""
    end: int
    """Last position."""
    strand: str = "+"
    frame: int | None = None
    """Bases before the first whole codon (column 8 of GTF and GFF3); None: not said."""

    @property
    def length(self) -> int:
        """Bases."""
        return self.end - self.start + 1
