"""What is odd in a construct: rows of qc, one a check, each with all its places. Nothing is corrected.

``fail`` says that numbers made with the construct would be wrong, ``warn`` that a counter loses reads or that the
annotation is of something else, ``note`` what is worth knowing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from cartrace.cells.constructs import CODING, ORDER, Construct, Domain, longest_orf, translate
from cartrace.cells.vocabulary import CHEMISTRIES
from cartrace.problems import redact_dates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KNOWN_PROTEINS = {
    "leader of CD8A": (r"cd8.*(sp\b|signal)", "MALPVTALLLPLALLLHAARP"),
    "leader of CSF2RA": (r"csf2ra", "MLLLVTSLLLCELPHPAFLLIP"),
    "Whitlow linker": (r"whitlow", "GSTSGSGKPGSGEGSTKG"),
    "hinge of CD8A": (r"cd8.*(hinge|htmd)", "TTTPAPRPPTPAPTIASQPLSLRPEACRPAAGGAVHTRGLDFACD"),
    "transmembrane domain of CD8A": (r"cd8.*(transmembr|tm)", "IYIWAPLAGTCGVLLLSLVITLYC"),
    "hinge of CD28": (r"cd28.*hinge", "IEVMYPPPYLDNEKSNGTIIHVKGKHLCPSPLFPGPSKP"),
    "transmembrane domain of CD28": (r"cd28.*(transmembr|tm)", "FWVLVVVGGVLACYSLLVTVAFIIFWV"),
    "CD28": (r"cd28", "RSKRSRLLHSDYMNMTPRRPGPTRKHYQPYAPPRDFAAYRS"),
    "4-1BB": (r"cd137|4-?1bb|tnfrsf9", "KRGRKKLLYIFKQPFMRPVQTTQEEDGCSCRFPEEEEGGCEL"),
    "CD3 zeta": (r"cd247|cd3.?z", "SRSADAPAYQQGQNQLYNELNLGRREEYDVLDKRRGRDPEMGGKPRR"),
}
"""Domains that most CARs share: what annotations call them, and their protein. UniProt P01732 (CD8A), P10747 (CD28),
Q07011 (4-1BB), P20963 (CD247, up to the first place where isoforms differ), P15509 (CSF2RA); Whitlow's linker
(1993, Protein Eng 6:989) [recalled]."""
ALIKE = 0.9
"""Share of equal amino acids from which a stretch counts as a known domain: CARs carry single changes (CD3 zeta Q14K).
House value."""
COVERED = 0.8
"""Share of a known domain that its annotation must cover. House value."""
UPSTREAM = 20
"""Fewer bases before the start codon are no 5'UTR worth the name. House value."""
DOWNSTREAM = 300
"""Fewer bases after the stop codon put the whole coding sequence out of reach of too few 3' reads to tell. House value."""

Finding = dict[str, object]


def check_construct(construct: Construct, chemistries: Sequence[str] = CHEMISTRIES) -> list[Finding]:
    """Return every finding as a row of qc; the first says what the construct is.

    ``chemistries`` are those of the libraries: a construct without its 3' end is no fault where only 5' ends are read.
    """
    return [
        _row(construct, name, verdict, message, **more)
        for check in (
            _summary,
            _letters,
            _names,
            _places,
            _coding,
            _frame,
            _order,
            _overlaps,
            _gaps,
            _twice,
            _known,
        )
        for name, verdict, message, more in check(construct)
    ] + [
        _row(construct, name, verdict, message, **more)
        for name, verdict, message, more in _reach(construct, chemistries)
    ]


def compare_protein(construct: Construct, protein: str) -> list[Finding]:
    """Compare the translation with the protein that a patent or a certificate gives."""
    own, other = construct.protein.rstrip("*"), protein.rstrip("*")
    if own == other:
        return [
            _row(construct, "construct_protein", "pass", f"translates into the given {len(own)} amino acids")
        ]
    same_start = next(
        (i for i, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), min(len(own), len(other))
    )
    changes = [f"{a}{i}{b}" for i, (a, b) in enumerate(zip(own, other, strict=False), 1) if a != b]
    if len(own) == len(other) and len(changes) <= 10:
        what = f"{len(changes)} amino acids differ: {', '.join(changes)}"
    else:
        what = (
            f"{len(own)} amino acids against {len(other)}; they part at amino acid {same_start + 1} "
            f"(base {3 * same_start + (construct.coding or (1, 1))[0]})"
        )
    return [_row(construct, "construct_protein", "warn", f"not the given protein: {what}")]


_Checked = Iterator[tuple[str, str, str, Finding]]


def _row(construct: Construct, check: str, verdict: str, message: str, **more: object) -> Finding:
    return {
        "check": check,
        "verdict": verdict,
        "source_file": construct.name,
        "message": redact_dates(message),
        **more,
    }


def _summary(construct: Construct) -> _Checked:
    what = f"{len(construct.sequence)} bases, {len(construct.domains)} domains"
    if construct.coding:
        start, end = construct.coding
        what += f", coding from {start} to {end} ({len(construct.protein.rstrip('*'))} amino acids)"
    yield "construct", "note", what, {}
    for remark in construct.remarks:
        yield "construct_annotation", "note", remark, {}


def _letters(construct: Construct) -> _Checked:
    places = [i for i, c in enumerate(construct.sequence, 1) if c not in "ACGT"]
    if places:
        what = f"{len(places)} letters that are not A, C, G or T: {_spans(_runs(places))}"
        yield "construct_letters", "warn", what, {"value": str(len(places)), "limit": "0"}


def _names(construct: Construct) -> _Checked:
    others = [c for c in construct.contigs if c != construct.record]
    if others:
        yield (
            "construct_names",
            "warn",
            f"the annotation is of {', '.join(map(repr, others))}, the FASTA record is {construct.record!r}: "
            "programs that match them by name find no domain",
            {"value": "; ".join(others), "limit": construct.record},
        )


def _places(construct: Construct) -> _Checked:
    size = len(construct.sequence)
    outside = [d for d in construct.domains if max(d.start, d.end) > size or min(d.start, d.end) < 1]
    if outside:
        what = f"outside the {size} bases of the sequence: {_listed(outside)}"
        yield "construct_outside", "fail", what, {"limit": f"1 to {size}"}
    backwards = [d for d in construct.domains if d.start > d.end]
    if backwards:
        what = f"start after end, which GTF and GFF3 do not allow: {_listed(backwards)}"
        yield "construct_backwards", "warn", what, {}
    minus = [d for d in _coding_domains(construct) if d.strand == "-"]
    if minus:
        what = f"on the minus strand: {_listed(minus)}"
        yield (
            "construct_strand",
            "fail",
            what,
            {"suggestion": "give the reverse complement, so that the CAR reads from left to right"},
        )


def _coding(construct: Construct) -> _Checked:
    if construct.coding is None:
        yield (
            "construct_coding",
            "fail",
            "no coding sequence: no CDS, no domain of a CAR, no open reading frame",
            {},
        )
        return
    start, end = construct.coding
    length = end - start + 1
    hint: Finding = {}
    orf = longest_orf(construct.sequence)
    if orf is not None and orf != construct.coding and orf[1] - orf[0] > length / 2:
        hint = {"suggestion": f"the longest open reading frame is {orf[0]}-{orf[1]}"}
    if length % 3:
        what = f"the coding sequence {start}-{end} has {length} bases, {length % 3} more than whole codons"
        yield (
            "construct_length",
            "fail",
            what,
            {"value": str(length), "limit": "a multiple of 3", **hint},
        )
    first = construct.sequence[start - 1 : start + 2]
    if first != "ATG":
        yield (
            "construct_start",
            "warn",
            f"the coding sequence begins with {first} at {start}, not with ATG",
            {"value": first, "limit": "ATG", **hint},
        )
    protein = construct.protein
    stops = [i for i, a in enumerate(protein, 1) if a == "*"]
    tail = len(protein) - len(protein.rstrip("*"))
    inner = [i for i in stops if i <= len(protein) - tail]
    if inner:
        shown = ", ".join(f"codon {i} (base {start + 3 * (i - 1)})" for i in inner[:10])
        what = f"{len(inner)} stop codons inside the coding sequence: {shown}{', ...' if len(inner) > 10 else ''}"
        yield "construct_inner_stop", "fail", what, {"value": str(len(inner)), "limit": "0", **hint}
    if not tail:
        what = f"no stop codon at the end of the coding sequence ({construct.sequence[max(end - 3, 0) : end]} at {end})"
        yield "construct_end", "warn", what, {"limit": "TAA, TAG or TGA", **hint}
    elif tail > 1:
        yield (
            "construct_end",
            "note",
            f"{tail} stop codons follow each other at the end ({end - 3 * tail + 1}-{end})",
            {},
        )


def _frame(construct: Construct) -> _Checked:
    if construct.coding is None:
        return
    begin = construct.coding[0]
    off = [
        f"{d.place} ({n} {'base' if n == 1 else 'bases'} into a codon)"
        for d in _coding_domains(construct)
        if (n := (d.start + (d.frame or 0) - begin) % 3)
    ]
    if off:
        yield "construct_frame", "warn", f"domains out of frame: {'; '.join(off)}", {"value": str(len(off))}


def _order(construct: Construct) -> _Checked:
    parts = sorted((d for d in _coding_domains(construct) if d.kind in ORDER), key=lambda d: d.start)
    chain: list[Domain] = []
    for domain in parts:
        if domain.kind == "leader":
            # A second CAR behind a 2A peptide begins anew.
            yield from _unordered(chain)
            chain = []
        chain.append(domain)
    yield from _unordered(chain)
    kinds = {d.kind for d in parts}
    wanted = (
        ("leader", {"leader"}),
        ("binder", {"vh", "vl", "binder"}),
        ("hinge", {"hinge", "costimulation"}),
        ("transmembrane", {"transmembrane", "hinge", "costimulation"}),
        ("signalling", {"signalling"}),
    )
    missing = [name for name, kinds_of in wanted if not kinds & kinds_of]
    if parts and missing:
        yield "construct_parts", "note", f"no domain is annotated as {', '.join(missing)}", {}
    if not parts:
        yield "construct_parts", "note", "no domain of the CAR protein is annotated", {}
    unknown = [d.name for d in construct.domains if d.kind == "other"]
    if unknown:
        yield (
            "construct_kinds",
            "note",
            f"not known what they are for: {', '.join(dict.fromkeys(unknown))}",
            {},
        )


def _unordered(chain: Sequence[Domain]) -> _Checked:
    wrong = [
        f"{b.place} ({b.kind}) after {a.place} ({a.kind})"
        for a, b in pairwise(d for d in chain if d.kind != "linker")
        if ORDER[b.kind] < ORDER[a.kind]
    ]
    if wrong:
        what = f"order of domains: {'; '.join(wrong)}"
        yield (
            "construct_order",
            "warn",
            what,
            {"limit": "leader, binder, hinge, transmembrane, costimulation, signalling"},
        )


def _overlaps(construct: Construct) -> _Checked:
    parts = _coding_domains(construct)
    found = [
        f"{a.name} and {b.name} at {_span(b.start, min(a.end, b.end))} ({min(a.end, b.end) - b.start + 1} bp)"
        for i, a in enumerate(parts)
        for b in parts[i + 1 :]
        if b.start <= a.end
    ]
    if found:
        yield "construct_overlap", "warn", f"domains overlap: {'; '.join(found)}", {"value": str(len(found))}


def _gaps(construct: Construct) -> _Checked:
    parts = _coding_domains(construct)
    if construct.coding is None or not parts:
        return
    start, end = construct.coding
    size = len(construct.sequence)
    stop = 3 * (len(construct.protein) - len(construct.protein.rstrip("*")))
    gaps, at = [], start
    for d in parts:
        if d.start > at:
            gaps.append((at, d.start - 1))
        at = max(at, d.end + 1)
    if at <= min(end - stop, size):
        gaps.append((at, min(end - stop, size)))
    if gaps:
        bases = sum(b - a + 1 for a, b in gaps)
        what = (
            f"{bases} coding bases belong to no domain: {_spans(gaps)}; a counter of exons loses reads there"
        )
        yield "construct_gap", "warn", what, {"value": str(bases), "limit": "0"}


def _twice(construct: Construct) -> _Checked:
    places = Counter((d.start, d.end) for d in construct.domains)
    same = [
        f"{', '.join(d.name for d in construct.domains if (d.start, d.end) == place)} at {_span(*place)}"
        for place, n in places.items()
        if n > 1
    ]
    if same:
        yield "construct_twice", "note", f"several domains at one place: {'; '.join(same)}", {}
    names = Counter(d.name for d in _coding_domains(construct) if d.kind not in {"linker", "two_a"})
    again = [name for name, n in names.items() if n > 1]
    if again:
        yield "construct_twice", "warn", f"names that stand more than once: {', '.join(again)}", {}


def _known(construct: Construct) -> _Checked:
    """Compare the annotation with where the proteins of well-known domains stand."""
    if construct.coding is None:
        return
    begin = construct.coding[0]
    parts = _coding_domains(construct)
    protein = translate(construct.sequence[begin - 1 : construct.coding[1]])
    found = {name: _find(known, protein) for name, (_, known) in KNOWN_PROTEINS.items()}
    for name, (pattern, known) in KNOWN_PROTEINS.items():
        named = [d for d in parts if re.search(pattern, d.name, re.IGNORECASE)]
        at = found[name]
        if at is None:
            # A name such as CD28 or CD8HTMD stands for any of its parts.
            if named and not any(
                found[n] is not None and _covers(d, begin, found[n], k) >= COVERED
                for n, (_, k) in KNOWN_PROTEINS.items()
                for d in named
            ):
                what = f"{_listed(named)} does not hold the protein of {name}, nor does the rest of the construct"
                yield "construct_known_domain", "warn", what, {"source_column": named[0].name}
            continue
        if not parts:
            continue
        start = begin + 3 * at
        end = start + 3 * len(known) - 1
        covering = max(parts, key=lambda d: _covers(d, begin, at, known))
        share = _covers(covering, begin, at, known)
        if named and max(_covers(d, begin, at, known) for d in named) < COVERED:
            what = f"the protein of {name} is at {start}-{end}, but annotated as {_listed(named)}"
            yield "construct_known_domain", "warn", what, {"source_column": named[0].name}
        elif share < COVERED:
            what = f"the protein of {name} is at {start}-{end}, which no single domain covers"
            yield "construct_known_domain", "warn", what, {}
        elif not named and _kind_of_known(name) not in {covering.kind, *_MAY_HOLD.get(covering.kind, ())}:
            what = f"the protein of {name} is at {start}-{end}, inside {covering.place}"
            yield "construct_known_domain", "warn", what, {"source_column": covering.name}


_MAY_HOLD = {"costimulation": ("hinge", "transmembrane"), "hinge": ("transmembrane",), "binder": ("linker",)}


def _kind_of_known(name: str) -> str:
    for word in ("leader", "linker", "hinge", "transmembrane"):
        if word in name:
            return word
    return "signalling" if name == "CD3 zeta" else "costimulation"


def _find(known: str, protein: str) -> int | None:
    """Return where ``known`` stands in ``protein`` (from 0), allowing a few other amino acids; None: nowhere."""
    allowed = int(len(known) * (1 - ALIKE))
    at = protein.find(known)
    if at >= 0:
        return at
    for i in range(len(protein) - len(known) + 1):
        if sum(a != b for a, b in zip(known, protein[i : i + len(known)], strict=True)) <= allowed:
            return i
    return None


def _covers(domain: Domain, begin: int, at: int | None, known: str) -> float:
    if at is None:
        return 0.0
    start = begin + 3 * at
    end = start + 3 * len(known) - 1
    return max(0, min(domain.end, end) - max(domain.start, start) + 1) / (end - start + 1)


def _reach(construct: Construct, chemistries: Sequence[str]) -> _Checked:
    """Say what reads of either chemistry can't reach because the sequence ends too early."""
    if construct.coding is None:
        return
    start, end = construct.coding
    if "5p" in chemistries and start - 1 < UPSTREAM:
        yield (
            "construct_upstream",
            "note",
            f"{start - 1} bases before the start codon: many 5' reads begin in the 5'UTR and are lost",
            {"suggestion": "give the transcript from the promoter's end on"},
        )
    if "3p" in chemistries and len(construct.sequence) - end < DOWNSTREAM:
        yield (
            "construct_downstream",
            "warn",
            f"{len(construct.sequence) - end} bases after the stop codon: 3' reads lie in WPRE and LTR, so 3' libraries "
            "will look CAR-negative",
            {
                "suggestion": "give the transcript as far as the polyadenylation site",
                "limit": str(DOWNSTREAM),
            },
        )


def _coding_domains(construct: Construct) -> list[Domain]:
    """Domains of the coding sequence in order of their start; a row for the whole ORF is none."""
    if construct.coding is None:
        return []
    start, end = construct.coding
    return sorted(
        (
            d
            for d in construct.domains
            if d.kind in CODING or (d.kind == "other" and start <= d.start <= d.end <= end)
        ),
        key=lambda d: (d.start, d.end),
    )


def _listed(domains: Sequence[Domain]) -> str:
    return ", ".join(d.place for d in domains)


def _span(start: int, end: int) -> str:
    return f"{start}-{end}" if start != end else str(start)


def _spans(spans: Sequence[tuple[int, int]]) -> str:
    shown = ", ".join(_span(a, b) for a, b in spans[:20])
    return shown + (", ..." if len(spans) > 20 else "")


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for p in places:
        if runs and runs[-1][1] == p - 1:
            runs[-1] = (runs[-1][0], p)
        else:
            runs.append((p, p))
    return runs


def domain_rows(construct: Construct, provable: Sequence[bool] | NDArray[np.bool_]) -> list[Finding]:
    """Return rows of the table DOMAINS; ``provable``: (bases,) whether a read there can prove the CAR."""
    begin, stop = construct.coding or (0, -1)
    rows = []
    for number, d in enumerate(construct.domains, 1):
        coding = begin <= d.start <= d.end <= stop
        shift = (begin - d.start) % 3
        inside = list(provable[max(d.start - 1, 0) : d.end]) if d.start <= d.end else []
        rows.append(
            {
                "construct": construct.name,
                "number": number,
                "domain": d.name,
                "kind": d.kind,
                "start": d.start,
                "end": d.end,
                "strand": d.strand,
                "coding": coding,
                "in_frame": shift == 0 if coding else None,
                "protein": translate(construct.sequence[d.start - 1 + shift : d.end]) if coding else None,
                "provable": float(sum(inside) / len(inside)) if inside else None,
            }
        )
    return rows
