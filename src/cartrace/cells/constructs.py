"""CAR constructs: sequence and domains, read from FASTA and GTF, GFF3 or BED, and checked.

Construct files in the wild have faults (a CAR that is no multiple of three, exons that overlap or leave gaps in which
a counter loses reads, an annotation of another construct). Files that can't be read raise; everything else that is
odd becomes a finding with all its places, and nothing is corrected.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cartrace.cells.vocabulary import DOMAIN_KINDS
from cartrace.problems import InputError, Problem, plain, raise_if_any

ORDER = {
    "leader": 0,
    "vh": 1,
    "vl": 1,
    "binder": 1,
    "linker": 1,
    "hinge": 2,
    "transmembrane": 3,
    "costimulation": 4,
    "signalling": 5,
}
"""Kinds of the CAR protein, and their order from its N-terminus (second-generation CARs)."""
CODING = frozenset({*ORDER, "two_a", "marker", "stop"})

CODON = {
    a + b + c: "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"[16 * i + 4 * j + k]
    for i, a in enumerate("TCAG")
    for j, b in enumerate("TCAG")
    for k, c in enumerate("TCAG")
}
"""Codon -> amino acid, ``*`` for a stop (standard genetic code)."""
_COMPLEMENT = str.maketrans("ACGTN", "TGCAN")

MOST_BASES = 200_000
"""A longer sequence is no CAR, vector or plasmid."""
MOST_DOMAINS = 1000
"""Rows of an annotation; what has more is the annotation of a genome."""
_PLACE = re.compile(r"\s*\d{1,15}\s*", re.ASCII)
_KIND_BY_NAME = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("promoter", r"promoter|ef1a|\bpgk\b|\bmnd\b"),
        ("wpre", r"wpre"),
        ("ltr", r"ltr|delta.?_u3"),
        ("polya", r"poly_?a|_pa_|terminator"),
        ("utr5", r"5.?utr|utr5|kozak"),
        ("two_a", r"[ptef]2a\b"),
        ("marker", r"egfrt|rqr8|tcd19|\bher2t"),
        ("leader", r"signal|leader|csf2ra|cd8a?sp\b|_sp\b"),
        ("linker", r"linker|g4s|4gs|whitlow"),
        ("binder", r"vhh|scfv|fmc63"),
        ("vh", r"v_?h\b|heavy"),
        ("vl", r"v_?[lk]\b|light|kappa|lambda"),
        ("binder", r"anti-|binding|binder"),
        ("hinge", r"hinge|htmd|spacer"),
        ("transmembrane", r"transmembr|tmd?\b"),
        ("signalling", r"cd247|cd3.?z|zeta"),
        ("costimulation", r"cd28|cd137|4-?1bb|tnfrsf9|ox40|icos|cd27\b"),
        ("stop", r"^stop"),
        ("orf", r"^car$|\borf\b"),
    )
)
_WHOLE = frozenset(
    {"transcript", "mrna", "region", "source", "sequence", "five_prime_utr", "three_prime_utr"}
)
_NAME_KEYS = ("domain", "exon_id", "name", "label", "gene_name", "gene_id", "id", "product", "note")


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

    @property
    def place(self) -> str:
        """Return the domain in words: name and positions."""
        return f"{self.name} {self.start}-{self.end}"


@dataclass(frozen=True, slots=True)
class Construct:
    """One construct as its files describe it; faults are kept, not mended."""

    name: str
    """As the configuration calls it."""
    sequence: str
    """Upper-case letters; U is read as T."""
    domains: tuple[Domain, ...]
    """As annotated, in order of the file."""
    record: str
    """First word of the FASTA header."""
    contigs: tuple[str, ...] = ()
    """Sequence names in the annotation."""
    coding: tuple[int, int] | None = None
    """First and last position of the coding sequence with its stop codon; None: there is none."""
    remarks: tuple[str, ...] = ()
    """What was odd while reading, for qc."""

    @property
    def protein(self) -> str:
        """Return the translation of the coding sequence; an empty text without one."""
        if self.coding is None:
            return ""
        start, end = self.coding
        return translate(self.sequence[start - 1 : end])

    def domains_at(self, start: int, end: int) -> list[Domain]:
        """Return the domains that share a position with ``start`` to ``end``."""
        return [d for d in self.domains if d.start <= end and d.end >= start]


def translate(sequence: str) -> str:
    """Translate whole codons; X where a letter is not known.

    >>> translate("ATGAANTAAG")
    'MX*'
    """
    return "".join(CODON.get(sequence[i : i + 3], "X") for i in range(0, len(sequence) - 2, 3))


def reverse_complement(sequence: str) -> str:
    """Return the other strand.

    >>> reverse_complement("AACG")
    'CGTT'
    """
    return sequence.translate(_COMPLEMENT)[::-1]


def parse_fasta(text: str, file: str) -> list[tuple[str, str]]:
    """Split FASTA into (header without ``>``, letters in upper case, U as T).

    Raises
    ------
    InputError
        When the text does not begin with a header, or a record has no letters.
    """
    records: list[tuple[str, list[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith(">"):
            records.append((stripped[1:].strip(), []))
        elif stripped and not records:
            raise InputError(
                [Problem(file, "letters before the first header", "FASTA: a line '>name' first", number)]
            )
        elif stripped:
            records[-1][1].append(stripped.replace(" ", ""))
    out = [(header, "".join(lines).upper().replace("U", "T")) for header, lines in records]
    problems = [
        Problem(file, f"no letters in record {plain(h)!r}", "a sequence") for h, letters in out if not letters
    ]
    if not out:
        problems = [Problem(file, "no FASTA record", "a line '>name', then the sequence")]
    raise_if_any(problems)
    return out


def read_construct(
    name: str, fasta: str, annotation: str, *, fasta_file: str, annotation_file: str
) -> Construct:
    """Make a construct of the text of its two files.

    Raises
    ------
    InputError
        When a file is no FASTA or no GTF, GFF3 or BED, holds several records, a protein, or no domain.
    """
    problems: list[Problem] = []
    records: list[tuple[str, str]] = []
    rows: list[_Row] = []
    try:
        records = parse_fasta(fasta, fasta_file)
    except InputError as error:
        problems += error.problems
    try:
        rows = _parse_annotation(annotation, annotation_file)
    except InputError as error:
        problems += error.problems
    if len(records) > 1:
        problems.append(Problem(fasta_file, f"{len(records)} records", "one: the construct"))
    for _, letters in records[:1]:
        if len(letters) > MOST_BASES:
            problems.append(Problem(fasta_file, f"{len(letters)} bases", f"at most {MOST_BASES}"))
        strange = Counter(c for c in letters if c not in "ACGTNRYSWKMBDHV")
        if strange:
            what = "letters of a protein" if set(strange) <= set("EFILPQ*X-") else "letters that are no bases"
            found = f"{what}: {', '.join(plain(c) for c in sorted(strange)[:10])}"
            problems.append(Problem(fasta_file, found, "A, C, G, T (N and the other IUPAC letters of DNA)"))
    raise_if_any(problems)
    header, sequence = records[0]
    domains = tuple(_domains(rows))
    if not domains:
        raise InputError(
            [Problem(annotation_file, "no domain", "at least one row that names a domain of the CAR")]
        )
    return Construct(
        name=name,
        sequence=sequence,
        domains=domains,
        record=(header.split() or [""])[0],
        contigs=tuple(dict.fromkeys(r.contig for r in rows)),
        coding=_coding(sequence, rows, domains),
        remarks=tuple(_remarks(rows)),
    )


@dataclass(frozen=True, slots=True)
class _Row:
    contig: str
    feature: str
    start: int
    end: int
    strand: str
    frame: int | None
    attributes: dict[str, str]
    line: int

    @property
    def name(self) -> str:
        return next((self.attributes[k] for k in _NAME_KEYS if self.attributes.get(k)), self.feature)


def _parse_annotation(text: str, file: str) -> list[_Row]:
    rows: list[_Row] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(("##FASTA", ">")):
            break
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) == 9 and _PLACE.fullmatch(cells[3]) and _PLACE.fullmatch(cells[4]):
            contig, _, feature, start, end, _, strand, frame, last = (plain(c.strip(), 10_000) for c in cells)
            phase = int(frame) if frame in {"0", "1", "2"} else None
            rows.append(_Row(contig, feature, int(start), int(end), strand, phase, _attributes(last), number))
        elif len(cells) >= 3 and _PLACE.fullmatch(cells[1]) and _PLACE.fullmatch(cells[2]):
            # BED counts from 0 and leaves its end out.
            more = [plain(c.strip()) for c in cells[3:6]] + ["", "", ""]
            attributes = {"name": more[0]} if more[0] else {}
            strand = more[2] if more[2] in {"+", "-"} else "+"
            rows.append(
                _Row(
                    plain(cells[0].strip()),
                    "domain",
                    int(cells[1]) + 1,
                    int(cells[2]),
                    strand,
                    None,
                    attributes,
                    number,
                )
            )
        else:
            found = f"{len(cells)} columns: {plain(line, 60)!r}"
            problems.append(Problem(file, found, "9 columns (GTF, GFF3) or 3 to 12 (BED) with tabs", number))
    if len(rows) > MOST_DOMAINS:
        problems.append(Problem(file, f"{len(rows)} rows", f"at most {MOST_DOMAINS}: the domains of one CAR"))
    if not rows and not problems:
        problems.append(Problem(file, "no row", "the domains as GTF, GFF3 or BED"))
    raise_if_any(problems[:20])
    return rows


def _attributes(text: str) -> dict[str, str]:
    """Read column 9 of GTF (``key "value";``) or GFF3 (``key=value;``); keys in lower case."""
    found: dict[str, str] = {}
    for part in re.findall(r'(?:[^;"]|"[^"]*")+', text):
        match = re.match(r'\s*([\w.-]+)\s*(?:=\s*|\s+)"?(.*?)"?\s*$', part)
        if match:
            found.setdefault(match[1].lower(), plain(match[2]))
    return found


def kind_of(name: str, feature: str = "") -> str:
    """Guess from its name what a domain is for.

    >>> [kind_of(n) for n in ("CD8SP", "anti-BCMA-Vh", "CD137SD", "whatever")]
    ['leader', 'vh', 'costimulation', 'other']
    """
    if feature.lower() in {"primer", "origin", "gene", "regulatory_region"}:
        return "other"
    if feature.lower() in {"promoter", "orf"}:
        return feature.lower()
    return next((kind for kind, pattern in _KIND_BY_NAME if pattern.search(name.replace("_", " _"))), "other")


def _domains(rows: Sequence[_Row]) -> Iterator[Domain]:
    """Give the rows that are domains: not the transcript as a whole, nor its CDS or its exons when domains are named."""
    named = any(r.feature == "domain" for r in rows)
    for row in rows:
        feature = row.feature.lower()
        if feature in _WHOLE or feature in {"cds", "start_codon", "stop_codon"}:
            continue
        if named and feature in {"exon", "gene"}:
            continue
        kind = row.attributes.get("kind", "")
        yield Domain(
            row.name,
            kind if kind in DOMAIN_KINDS else kind_of(row.name, feature),
            row.start,
            row.end,
            row.strand,
            row.frame,
        )


def _coding(sequence: str, rows: Sequence[_Row], domains: Sequence[Domain]) -> tuple[int, int] | None:
    """Find the coding sequence: CDS rows, else the ORF of the CAR, else all coding domains, else the longest ORF."""
    cds = [(r.start, r.end) for r in rows if r.feature.lower() in {"cds", "stop_codon"}]
    orf = [(d.start, d.end) for d in domains if d.kind == "orf"]
    parts = [(d.start, d.end) for d in domains if d.kind in CODING]
    spans = cds or orf or parts
    if not spans:
        return longest_orf(sequence)
    start, end = min(s for s, _ in spans), min(max(e for _, e in spans), len(sequence))
    # GTF leaves the stop codon out of the CDS, and many annotations leave it out of the last domain.
    if (end - start + 1) % 3 == 0 and CODON.get(sequence[end - 3 : end]) != "*":
        after = sequence[end : end + 3]
        end += 3 if CODON.get(after) == "*" else 0
    if not (cds or orf):
        # Where the annotation stops short of the sequence's ends, the frame goes on to the start and the stop.
        lead = sequence[: start - 1]
        if len(lead) <= 200 and len(lead) % 3 == 0 and lead.startswith("ATG") and "*" not in translate(lead):
            start = 1
        stop = translate(sequence[start - 1 :]).find("*")
        if stop >= 0 and start + 3 * stop + 2 >= end:
            end = start + 3 * stop + 2
        elif 0 < len(sequence) - end < 3 and (end - start + 1) % 3 == 0:
            end = len(sequence)
    return (start, end) if 1 <= start < end else None


def longest_orf(sequence: str) -> tuple[int, int] | None:
    """Return first and last position of the longest ATG-to-stop frame on the given strand; None: none."""
    best: tuple[int, int] | None = None
    for frame in range(3):
        opened: int | None = None
        for i in range(frame, len(sequence) - 2, 3):
            codon = sequence[i : i + 3]
            if codon == "ATG" and opened is None:
                opened = i
            elif CODON.get(codon) == "*" and opened is not None:
                if best is None or i + 3 - opened > best[1] - best[0] + 1:
                    best = (opened + 1, i + 3)
                opened = None
    return best


def _remarks(rows: Sequence[_Row]) -> Iterator[str]:
    for row in rows:
        known = row.attributes
        ids = {k: known[k] for k in ("gene_id", "gene_name") if k in known}
        if len(set(ids.values())) > 1:
            yield f"row {row.line}: gene_id {ids['gene_id']!r}, but gene_name {ids['gene_name']!r}"
    numbers = [r.attributes["exon_number"] for r in rows if r.attributes.get("exon_number", "").isdigit()]
    exons = [int(n) for n in numbers]
    distinct = len(set(exons))
    if distinct > 1 and any(a >= b for a, b in pairwise(exons)):
        yield f"exon numbers do not count up: {', '.join(numbers)}"
