"""A CAR construct that is nobody's, and made-up endogenous transcripts that share its domains.

Proteins are drawn at random and written in random codons; nothing here occurs in nature or in a product. Only the
plan is that of a lentiviral anti-BCMA CAR of the second generation: leader, VH, linker, VL, hinge and
transmembrane domain of CD8A, 4-1BB, CD3 zeta, WPRE and LTR. As in real constructs, hinge, transmembrane domain,
4-1BB and CD3 zeta are copied letter by letter from the endogenous transcripts, so that reads of them tell nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

from cartrace.cells.constructs import CODON, Domain

NAME = "CT-demo-BCMA"
SEED = 20
"""Another seed is another construct."""

CODONS = {a: [c for c, b in CODON.items() if b == a] for a in sorted(set(CODON.values()) - {"*"})}
"""Amino acid -> its codons."""
_POLY_A_SIGNAL = "AATAAA"

# Gene -> parts of its transcript in order: name and length in bases; parts without "utr" are translated.
_GENES: dict[str, tuple[tuple[str, int], ...]] = {
    "CD8A": (
        ("utr5", 180),
        ("leader", 63),
        ("domain", 342),
        ("hinge", 135),
        ("tm", 72),
        ("tail", 84),
        ("utr3", 900),
    ),
    "TNFRSF9": (("utr5", 140), ("leader", 69), ("domain", 489), ("tm", 81), ("tail", 126), ("utr3", 700)),
    "CD247": (("utr5", 150), ("leader", 63), ("domain", 90), ("tail", 336), ("utr3", 900)),
    "CD28": (("utr5", 200), ("leader", 54), ("domain", 402), ("tm", 81), ("tail", 123), ("utr3", 900)),
    "CSF2RA": (("utr5", 160), ("leader", 66), ("domain", 894), ("tail", 240), ("utr3", 500)),
    "CD3E": (("utr5", 60), ("cds", 621), ("utr3", 700)),
    "MS4A1": (("utr5", 120), ("cds", 891), ("utr3", 1000)),
    "MZB1": (("utr5", 50), ("cds", 567), ("utr3", 300)),
    "ACTB": (("utr5", 84), ("cds", 1125), ("utr3", 590)),
    "B2M": (("utr5", 60), ("cds", 357), ("utr3", 560)),
}


@dataclass(frozen=True, slots=True)
class MadeUpConstruct:
    """The transcript of a CAR that is nobody's: from the 5'UTR to the end of the LTR's R region."""

    name: str
    sequence: str
    domains: tuple[Domain, ...]
    """In order, without gaps; the last codon of the coding sequence is the domain ``stop``."""

    def span(self, kind: str) -> slice:
        """Return the slice of ``sequence`` that the first domain of this kind takes."""
        domain = next(d for d in self.domains if d.kind == kind)
        return slice(domain.start - 1, domain.end)


@cache
def made_up_construct(seed: int = SEED) -> MadeUpConstruct:
    """Return the construct: about 2.4 kb, the same for the same seed."""
    genes = _endogenous(seed)
    random = Random(f"{seed} construct")
    linker = _reversed_translation("GGGGS" * 3, random)
    parts = (
        ("5UTR", "utr5", _untranslated(150, random)),
        ("leader", "leader", _coding(63, random, start=True)),
        ("VH", "vh", _coding(360, random)),
        ("G4S_linker", "linker", linker),
        ("VL", "vl", _coding(324, random)),
        ("hinge", "hinge", genes["CD8A"]["hinge"]),
        ("transmembrane", "transmembrane", genes["CD8A"]["tm"]),
        ("costimulation", "costimulation", genes["TNFRSF9"]["tail"]),
        ("signalling", "signalling", genes["CD247"]["tail"]),
        ("stop", "stop", "TAA"),
        ("WPRE", "wpre", _untranslated(590, random)),
        ("LTR", "ltr", _untranslated(180, random) + _POLY_A_SIGNAL + _untranslated(20, random)),
    )
    domains, at = [], 1
    for name, kind, letters in parts:
        coding = kind not in {"utr5", "wpre", "ltr"}
        domains.append(Domain(name, kind, at, at + len(letters) - 1, "+", 0 if coding else None))
        at += len(letters)
    return MadeUpConstruct(NAME, "".join(letters for _, _, letters in parts), tuple(domains))


def made_up_endogenous(seed: int = SEED) -> dict[str, str]:
    """Return made-up transcripts by gene; CD8A, TNFRSF9 and CD247 hold the domains that the construct borrows."""
    return {gene: "".join(parts.values()) for gene, parts in _endogenous(seed).items()}


def fasta_text(sequences: Mapping[str, str], width: int = 60) -> str:
    """Write sequences by name as FASTA."""
    lines = []
    for name, letters in sequences.items():
        lines.append(f">{name}")
        lines += [letters[i : i + width] for i in range(0, len(letters), width)]
    return "\n".join(lines) + "\n"


def gtf_text(construct: MadeUpConstruct) -> str:
    """Write the domains of a construct as GTF: its transcript, its coding sequence, then one line a domain."""
    name = construct.name
    coding = [d for d in construct.domains if d.frame is not None]
    ids = f'gene_id "{name}"; transcript_id "{name}"; gene_name "{name}";'
    rows = [
        ("transcript", 1, len(construct.sequence), ".", ""),
        # GTF leaves the stop codon out of the CDS.
        ("CDS", coding[0].start, coding[-1].start - 1, "0", ""),
        *(
            (
                "domain",
                d.start,
                d.end,
                "." if d.frame is None else d.frame,
                f' domain "{d.name}"; kind "{d.kind}";',
            )
            for d in construct.domains
        ),
    ]
    return "".join(
        f"{name}\tcartrace\t{feature}\t{start}\t{end}\t.\t+\t{frame}\t{ids}{more}\n"
        for feature, start, end, frame, more in rows
    )


@cache
def _endogenous(seed: int) -> dict[str, dict[str, str]]:
    genes: dict[str, dict[str, str]] = {}
    for gene, parts in _GENES.items():
        random = Random(f"{seed} {gene}")
        letters: dict[str, str] = {}
        started = False
        for name, length in parts:
            if name == "utr3":
                letters["stop"] = "TGA"
                body = _untranslated(length - 26, random)
                letters[name] = body + _POLY_A_SIGNAL + _untranslated(20, random)
            elif name == "utr5":
                letters[name] = _untranslated(length, random)
            else:
                letters[name] = _coding(length, random, start=not started)
                started = True
        genes[gene] = letters
    return genes


def _coding(length: int, random: Random, *, start: bool = False) -> str:
    """Return ``length`` bases of random codons without a stop."""
    amino_acids = list(CODONS)
    protein = "".join(_one_of(amino_acids, random) for _ in range(length // 3))
    return _reversed_translation("M" + protein[1:] if start else protein, random)


def _reversed_translation(protein: str, random: Random) -> str:
    return "".join(_one_of(CODONS[a], random) for a in protein)


def _untranslated(length: int, random: Random) -> str:
    return "".join(_one_of("ACGT", random) for _ in range(length))


def _one_of(choices: list[str] | str, random: Random) -> str:
    # Only random() is promised to give the same numbers in every version of Python.
    return choices[int(random.random() * len(choices))]
