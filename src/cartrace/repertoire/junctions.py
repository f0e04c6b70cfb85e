"""Integration sites from the reads of a BAM file that was aligned to host and vector together.

A split read names the base of the host beside the vector's end; pairs with one read on host and one on the vector
support the sites that split reads found. docs/integration_sites.md has the geometry and its rules.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

from cartrace.problems import InputError, Problem, did_you_mean, holds_date, plain, raise_if_any
from cartrace.repertoire.findings import finding
from cartrace.repertoire.sites import assembly_of, chromosome_name, site_name

if TYPE_CHECKING:
    import pandas as pd
    import pysam

    from cartrace.repertoire.settings import Junctions

Side = Literal["left", "right"]
_UNMAPPED, _MATE_UNMAPPED, _PAIRED, _TURNED, _SECOND = 0x4, 0x8, 0x1, 0x10, 0x80
_SECONDARY, _FAILED, _DUPLICATE = 0x100, 0x200, 0x400
_CIGAR = re.compile(r"(\d+)([MIDNSHP=X])")
_QUERY, _REFERENCE = "MI=X", "MDN=X"
_OPERATIONS = "MIDNSHP=X"
_WINDOW = 1000
"""Bases between two wanted mates that are fetched together."""
MOST_TEMPLATES = 2_000_000
"""Pairs on host and vector that are held in memory, about 1 kB each."""
_OVERRUN = 20
"""Bases by which an alignment in an LTR may run over its inner end, where they happen to fit."""
_SHOWN = 3
"""Places inside the vector that a finding names."""
CHR1 = {249250621: "GRCh37", 248956422: "GRCh38", 248387328: "T2T-CHM13"}
"""Lengths of chromosome 1 that tell the assembly."""


class Vector(NamedTuple):
    """What of a vector's sequence integrates."""

    first: int
    """Its first base, from 0."""
    last: int
    """The base after its last one."""
    ltr: int
    """Bases that both ends have alike."""


class Part(NamedTuple):
    """One alignment of a read. Query coordinates are those of the read as sequenced, clipped bases and all."""

    contig: str
    start: int
    """First base of the contig, from 0."""
    end: int
    turned: bool
    first: int
    """First base of the read that is aligned, from 0."""
    last: int
    length: int
    """Bases of the read."""
    quality: int


class Junction(NamedTuple):
    """The seam of host and vector in one read."""

    contig: str
    position: int
    """Host base beside the vector, from 1."""
    strand: str
    """Orientation of the vector on the host."""
    side: Side
    """End of the vector: left is its first base (5' LTR)."""
    missing: int
    """Bases of the vector between the seam and its end; below 0: the read goes on beyond that end."""
    unaligned: int
    """Bases of the read between the two parts."""


class Pair(NamedTuple):
    """A fragment that no read shows to cross the seam: one read on the host, one on the vector."""

    contig: str
    outer: int
    """Host base at which the fragment begins, from 1."""
    inner: int
    """Host base that lies nearest to the vector, from 1."""
    strand: str
    side: Side
    vector_length: int
    """Bases from the vector's end to the fragment's."""

    @property
    def host_first(self) -> bool:
        """Say whether the host lies to the left of the vector, on the host's forward strand."""
        return (self.side == "left") == (self.strand == "+")


End = tuple[str, int, bool]
Fragment = tuple[End, ...]


@dataclass(slots=True)
class Template:
    """The alignments of one fragment of DNA, by read number (0 or 1)."""

    parts: tuple[tuple[Part, ...], tuple[Part, ...]] = ((), ())

    def add(self, number: int, parts: Iterable[Part]) -> None:
        """Add alignments of a read; each is met several times, since others name it in ``SA``."""
        both = list(self.parts)
        both[number] = tuple(dict.fromkeys((*both[number], *parts)))
        self.parts = both[0], both[1]


@dataclass(slots=True)
class Tally:
    """What was left out, in reads or pairs."""

    duplicates: int = 0
    low_quality: int = 0
    short: int = 0
    inside: Counter[tuple[str, int, str, int]] = field(default_factory=Counter)
    """(host contig, base, vector, base) -> fragments with a seam away from the vector's ends."""
    contradictory: int = 0
    pairs_without_site: int = 0
    few_fragments: int = 0


@dataclass(slots=True)
class _Site:
    """What was seen of one site while it is put together."""

    positions: dict[Side, dict[int, set[tuple[bool, Fragment]]]] = field(default_factory=dict)
    """Side -> base -> fragments that tell it, and whether by a read without a base that fits neither part."""
    reads: set[tuple[Fragment, End]] = field(default_factory=set)
    fragments: set[Fragment] = field(default_factory=set)
    split: set[Fragment] = field(default_factory=set)
    sides: set[Side] = field(default_factory=set)

    def position(self) -> int:
        """Return the base beside the right end where that was seen, else beside the left.

        Of several it is that of most fragments with a clean seam: a sequencing error beside the seam leaves bases that
        fit neither part, and moves the host's end.
        """
        at = self.positions.get("right") or self.positions["left"]
        return min(at, key=lambda p: (-sum(clean for clean, _ in at[p]), -len(at[p]), p))

    def reach(self) -> tuple[int, int]:
        """Return the lowest and the highest base."""
        bases = [p for at in self.positions.values() for p in at]
        return min(bases), max(bases)


def vectors_of(contigs: Mapping[str, int], settings: Junctions, file: str, genome: str) -> dict[str, Vector]:
    """Return the vector's sequences among the contigs of a BAM file.

    Raises
    ------
    InputError
        When none is configured, one is not in the file, its ends lie outside it, the host is absent or of another
        assembly, or a sequence is named with a date.
    """
    problems = []
    if not settings.vector:
        allowed = "names of the vector's sequences, in the configuration: repertoire.sites.junctions.vector"
        problems.append(Problem(file, "no vector", allowed))
    found = {}
    for name in settings.vector:
        length = contigs.get(name)
        if length is None:
            hint = did_you_mean(name, contigs)
            problems.append(Problem(file, f"no sequence '{plain(name)}'", "the vector", suggestion=hint))
            continue
        first, last = settings.ends.get(name, (1, length))
        if not 1 <= first < last <= length or 2 * settings.ltr > last - first + 1:
            problem = f"ends {first} to {last} with an LTR of {settings.ltr} bases"
            problems.append(Problem(file, problem, f"ends within the {length} bases of '{plain(name)}'"))
            continue
        found[name] = Vector(first - 1, last, settings.ltr)
    unknown = [name for name in settings.ends if name not in settings.vector]
    problems += [Problem("repertoire.sites.junctions.ends", f"'{n}'", "a name of 'vector'") for n in unknown]
    if not set(contigs) - set(settings.vector):
        problems.append(Problem(file, "no chromosome", "reads aligned to the host and the vector together"))
    if any(map(holds_date, contigs)):
        problems.append(Problem(file, "a sequence named with a calendar date", "names without dates"))
    told = CHR1.get(contigs.get("chr1", contigs.get("1", 0)))
    if told and assembly_of(genome) in CHR1.values() and told != assembly_of(genome):
        problems.append(Problem(file, f"chromosomes of {told}", f"{genome} (repertoire.sites.genome)"))
    raise_if_any(problems)
    return found


def read_templates(
    bam: pysam.AlignmentFile, vectors: Mapping[str, Vector], tally: Tally, file: str
) -> dict[str, Template]:
    """Collect the fragments with a read, or part of one, on the vector and another on the host.

    With an index only the vector's sequences are read, and the mates of what was found there; otherwise the file is read
    twice.

    Raises
    ------
    InputError
        For alignments that can't be read, or more fragments than memory holds.
    """
    templates: dict[str, Template] = {}
    wanted: dict[tuple[str, int], tuple[str, int]] = {}
    names = bam.references
    lengths = dict(zip(names, bam.lengths, strict=True))
    for read in _on_vector(bam, vectors):
        flag = read.flag
        paired = bool(flag & _PAIRED) and not flag & _MATE_UNMAPPED and read.next_reference_id >= 0
        mate_on_host = paired and names[read.next_reference_id] not in vectors
        parts = _parts(read, lengths, file)
        if not (mate_on_host or any(p.contig not in vectors for p in parts)):
            continue
        if flag & _DUPLICATE:
            tally.duplicates += 1
            continue
        name, number = read.query_name or "", int(bool(flag & _SECOND))
        if name not in templates and len(templates) >= MOST_TEMPLATES:
            raise InputError(
                [Problem(file, "more pairs on host and vector than fit into memory", f"{MOST_TEMPLATES}")]
            )
        templates.setdefault(name, Template()).add(number, parts)
        if paired:
            wanted[name, 1 - number] = (names[read.next_reference_id], read.next_reference_start)
    for read in _at(bam, wanted):
        key = read.query_name or "", int(bool(read.flag & _SECOND))
        if wanted.get(key) == (read.reference_name, read.reference_start):
            templates[key[0]].add(key[1], _parts(read, lengths, file))
    return templates


def find_sites(
    templates: Iterable[Template], vectors: Mapping[str, Vector], settings: Junctions, tally: Tally
) -> list[dict[str, object]]:
    """Join what fragments tell to sites.

    Returns
    -------
    list of dict
        Rows of SITES without ``site_set``: sorted by chromosome, position and strand, with the settings' fragments or
        more.
    """
    splits: list[tuple[Junction, Fragment, End]] = []
    pairs: list[tuple[Pair, Fragment]] = []
    inside: set[tuple[tuple[str, int, str, int], Fragment]] = set()
    for template in templates:
        fragment = fragment_of(template, vectors)
        seams = []
        # Once for a fragment, whatever each of its reads says of it.
        faults: set[str] = set()
        for number, parts in enumerate(template.parts):
            for host, vector in _neighbours(parts, vectors):
                if host.quality < settings.min_mapping_quality:
                    faults.add("low_quality")
                    continue
                seam = junction_of(host, vector, vectors[vector.contig], settings.min_part)
                if seam is None:
                    faults.add("short")
                elif abs(seam.missing) > settings.end_margin or seam.unaligned > settings.end_margin:
                    base = vector.start + 1 if seam.side == "left" else vector.end
                    inside.add(((host.contig, seam.position, vector.contig, base), fragment))
                    faults.add("inside")
                else:
                    seams.append((seam, number))
        if len({(s.contig, s.strand) for s, _ in seams}) > 1 or (
            seams
            and max(s.position for s, _ in seams) - min(s.position for s, _ in seams) > settings.same_site
        ):
            tally.contradictory += 1
        elif seams:
            splits += [(seam, fragment, _five_prime(template.parts[n], vectors)) for seam, n in seams]
        elif "inside" not in faults:
            pair = pair_of(template, vectors, settings)
            if pair is not None:
                pairs.append((pair, fragment))
            elif "low_quality" in faults or _unsure(template, vectors, settings):
                tally.low_quality += 1
            elif "short" in faults:
                tally.short += 1
    tally.inside = Counter(place for place, _ in inside)
    sites = _joined(splits, settings.same_site)
    _support(sites, pairs, settings, tally)
    rows = []
    for (contig, strand), members in sites.items():
        for site in members:
            if len(site.fragments) < settings.min_fragments:
                tally.few_fragments += 1
                continue
            chromosome, position = chromosome_name(contig), site.position()
            rows.append(
                {
                    "site": site_name(chromosome, strand, position),
                    "chromosome": chromosome,
                    "position": position,
                    "strand": strand,
                    "abundance": float(len(site.fragments)),
                    "split_reads": len(site.reads),
                    "discordant_pairs": len(site.fragments - site.split),
                    "fragments": len(site.fragments),
                    "side": ";".join(sorted(site.sides)),
                }
            )
    return sorted(rows, key=lambda r: (str(r["chromosome"]), r["position"], str(r["strand"])))


def junction_of(host: Part, vector: Part, ends: Vector, min_part: int) -> Junction | None:
    """Return the seam between two neighbouring parts of a read.

    Bases that fit both parts go to the vector, as far as it reaches: its ends are known, those of the host are not.
    Returned is None where either part has fewer than ``min_part`` bases of its own.
    """
    overlap = min(host.last, vector.last) - max(host.first, vector.first)
    shared = max(overlap, 0)
    if min(host.last - host.first, vector.last - vector.first) - shared < min_part:
        return None
    # Seen along the host's forward strand.
    host_first = (host.first < vector.first) != host.turned
    strand = "-" if host.turned != vector.turned else "+"
    side: Side = "left" if host_first == (strand == "+") else "right"
    missing = _missing(vector, ends, side)
    back = max(0, min(shared, -missing))
    retreat = shared - back
    position = host.end - retreat if host_first else host.start + 1 + retreat
    return Junction(host.contig, position, strand, side, missing + back, max(-overlap, 0))


def pair_of(template: Template, vectors: Mapping[str, Vector], settings: Junctions) -> Pair | None:
    """Return what a pair tells that has one read on the host and one on the vector; None where that is nothing."""
    best = [max(parts, key=lambda p: p.last - p.first, default=None) for parts in template.parts]
    on_host = [p for p in best if p is not None and p.contig not in vectors]
    on_vector = [p for p in best if p is not None and p.contig in vectors]
    if len(on_host) != 1 or len(on_vector) != 1 or on_host[0].quality < settings.min_mapping_quality:
        return None
    host, vector = on_host[0], on_vector[0]
    # The two reads of a fragment run towards each other.
    strand = "+" if host.turned != vector.turned else "-"
    host_first = not host.turned
    side: Side = "left" if host_first == (strand == "+") else "right"
    ends = vectors[vector.contig]
    length = _missing(vector, ends, side) + vector.end - vector.start
    outer, inner = (host.start + 1, host.end) if host_first else (host.end, host.start + 1)
    if not 0 < length + abs(inner - outer) <= settings.max_insert:
        return None
    return Pair(host.contig, outer, inner, strand, side, length)


def fragment_of(template: Template, vectors: Mapping[str, Vector]) -> Fragment:
    """Return the two ends of a fragment: copies of one molecule have them alike.

    They are the 5' ends of both reads, clipped bases counted; of a single read its two ends.
    """
    seen = [parts for parts in template.parts if parts]
    ends = [_five_prime(parts, vectors) for parts in seen]
    if len(seen) == 1:
        last = max(seen[0], key=lambda p: (p.last, p))
        after = last.length - last.last
        base = last.start - after if last.turned else last.end + after
        ends.append((last.contig, _folded(last, base, vectors), not last.turned))
    return tuple(sorted(ends))


def findings(tally: Tally, sites: Sequence[Mapping[str, object]], file: str) -> list[dict[str, object]]:
    """Return rows of qc: what was found, and what was left out."""
    tell = partial(finding, source_file=file)
    fragments = sum(int(str(s["fragments"])) for s in sites)
    message = (
        f"{fragments} different fragments cross the vector's end at {len(sites)} sites; left out: {tally.duplicates} "
        f"reads marked as duplicates, {tally.low_quality} fragments that fit the host at several places, {tally.short} "
        f"with too few bases on one side, {tally.contradictory} whose reads contradict each other, {tally.few_fragments} "
        "sites with too few fragments"
    )
    out = [tell("site_reads", "note" if sites else "warn", message, value=len(sites))]
    if tally.inside:
        total = sum(tally.inside.values())
        shown = sorted(tally.inside.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
        named = "; ".join(f"{plain(c)}:{p} at base {b} of {plain(v)} ({n})" for (c, p, v, b), n in shown)
        message = (
            f"{total} fragments join the host with the inside of the vector: rearranged vectors, chimeras, or homology of "
            f"the two (a promoter, CD8A, CD247); they are no integration sites. Most: {named}"
        )
        verdict = "warn" if total > fragments else "note"
        out.append(tell("junctions_inside_vector", verdict, message, value=total))
    if tally.pairs_without_site:
        message = (
            f"{tally.pairs_without_site} pairs lie on host and vector where no read crosses the vector's end: the base is "
            "not known, so they are no sites"
        )
        out.append(tell("pairs_without_site", "note", message, value=tally.pairs_without_site))
    return out


def sites_frame(site_set: str, rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Return rows of :func:`find_sites` as SITES."""
    from cartrace.repertoire.tables import SITES
    from cartrace.tables import rows as make

    return make(({"site_set": site_set, **row} for row in rows), SITES)


def _on_vector(bam: pysam.AlignmentFile, vectors: Mapping[str, Vector]) -> Iterator[pysam.AlignedSegment]:
    """Yield the alignments on the vector that can tell something."""
    if bam.has_index():
        reads: Iterator[pysam.AlignedSegment] = (r for v in vectors for r in bam.fetch(v))
    else:
        wanted = {bam.get_tid(v) for v in vectors}
        reads = (r for r in bam.fetch(until_eof=True) if r.reference_id in wanted)
    for read in reads:
        # bwa mem -M marks the lesser parts of split reads as secondary; true secondary alignments have no SA.
        if not read.flag & (_UNMAPPED | _FAILED) and (not read.flag & _SECONDARY or read.has_tag("SA")):
            yield read


def _at(
    bam: pysam.AlignmentFile, wanted: Mapping[tuple[str, int], tuple[str, int]]
) -> Iterator[pysam.AlignedSegment]:
    """Yield the primary alignments around the wanted places."""
    if not wanted:
        return
    if bam.has_index():
        by_contig = defaultdict(set)
        for contig, start in wanted.values():
            by_contig[contig].add(start)
        reads: Iterator[pysam.AlignedSegment] = (
            read
            for contig, starts in by_contig.items()
            for first, last in _windows(sorted(starts))
            for read in bam.fetch(contig, first, last + 1)
        )
    else:
        bam.reset()
        reads = bam.fetch(until_eof=True)
    yield from (r for r in reads if not r.flag & (_UNMAPPED | _SECONDARY | 0x800))


def _windows(starts: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = starts[0]
    for start in starts[1:]:
        if start > last + _WINDOW:
            yield first, last
            first = start
        last = start
    yield first, last


def _parts(read: pysam.AlignedSegment, lengths: Mapping[str, int], file: str) -> list[Part]:
    """Return a read's alignment and those that its tag SA names."""
    cigar = "".join(f"{n}{_OPERATIONS[op]}" for op, n in read.cigartuples or () if op < len(_OPERATIONS))
    parts = [
        _part(
            read.reference_name or "",
            read.reference_start,
            bool(read.flag & _TURNED),
            cigar,
            read.mapping_quality,
        )
    ]
    if not read.has_tag("SA"):
        return parts
    try:
        for entry in str(read.get_tag("SA")).rstrip(";").split(";"):
            contig, start, strand, cigar, quality, _ = entry.split(",")
            parts.append(_part(contig, int(start) - 1, strand == "-", cigar, int(quality)))
    except ValueError:
        raise InputError(
            [Problem(file, "a read with an unreadable tag SA", "SA as the SAM format has it")]
        ) from None
    # A tag is text: any place can stand there.
    if any(not 0 <= p.start <= p.end <= lengths.get(p.contig, 0) for p in parts[1:]):
        raise InputError([Problem(file, "a tag SA that leads out of the header's sequences", "their bases")])
    return parts


def _part(contig: str, start: int, turned: bool, cigar: str, quality: int) -> Part:
    steps = [(int(n), op) for n, op in _CIGAR.findall(cigar)]
    aligned = sum(n for n, op in steps if op in _QUERY)
    before = _clip(steps)
    after = _clip(steps[::-1])
    length = before + aligned + after
    end = start + sum(n for n, op in steps if op in _REFERENCE)
    first = after if turned else before
    return Part(sys.intern(contig), start, end, turned, first, first + aligned, length, quality)


def _clip(steps: Sequence[tuple[int, str]]) -> int:
    clipped = 0
    for n, op in steps:
        if op not in "SH":
            break
        clipped += n
    return clipped


def _neighbours(parts: Iterable[Part], vectors: Mapping[str, Vector]) -> Iterator[tuple[Part, Part]]:
    """Yield (host, vector) for parts that follow each other in a read."""
    ordered = sorted(parts, key=lambda p: (p.first, p))
    for a, b in pairwise(ordered):
        if (a.contig in vectors) != (b.contig in vectors):
            yield (b, a) if a.contig in vectors else (a, b)


def _missing(vector: Part, ends: Vector, side: Side) -> int:
    """Return the bases between a part and the vector's end; a part in one LTR counts as in the LTR of that end."""
    shift = ends.last - ends.first - ends.ltr
    if side == "left":
        return vector.start - (shift if _in_right_ltr(vector, ends) else 0) - ends.first
    in_left_ltr = ends.ltr and vector.end <= ends.first + ends.ltr + _OVERRUN
    return ends.last - vector.end - (shift if in_left_ltr else 0)


def _in_right_ltr(part: Part, ends: Vector) -> bool:
    return bool(ends.ltr) and part.start >= ends.last - ends.ltr - _OVERRUN


def _five_prime(parts: Iterable[Part], vectors: Mapping[str, Vector]) -> End:
    """Return where a read begins."""
    part = min(parts, key=lambda p: (p.first, p))
    base = part.end + part.first if part.turned else part.start - part.first
    return part.contig, _folded(part, base, vectors), part.turned


def _folded(part: Part, base: int, vectors: Mapping[str, Vector]) -> int:
    """Return a base of the left LTR for one of the right, since the aligner picks either by chance."""
    ends = vectors.get(part.contig)
    if ends and _in_right_ltr(part, ends):
        return base - (ends.last - ends.first - ends.ltr)
    return base


def _unsure(template: Template, vectors: Mapping[str, Vector], settings: Junctions) -> bool:
    return any(
        p.contig not in vectors and p.quality < settings.min_mapping_quality
        for parts in template.parts
        for p in parts
    )


def _joined(
    splits: Sequence[tuple[Junction, Fragment, End]], same_site: int
) -> dict[tuple[str, str], list[_Site]]:
    """Join seams of one orientation that follow each other within ``same_site`` bases, both ends of a vector together."""
    sites: dict[tuple[str, str], list[_Site]] = {}
    last = None
    for seam, fragment, read in sorted(splits, key=lambda s: (s[0].contig, s[0].strand, s[0].position)):
        place = (seam.contig, seam.strand)
        if last is None or last[0] != place or seam.position - last[1] > same_site:
            sites.setdefault(place, []).append(_Site())
        last = (place, seam.position)
        site = sites[place][-1]
        site.positions.setdefault(seam.side, {}).setdefault(seam.position, set()).add(
            (not seam.unaligned, fragment)
        )
        site.sides.add(seam.side)
        site.reads.add((fragment, read))
        site.split.add(fragment)
        site.fragments.add(fragment)
    return sites


def _support(
    sites: Mapping[tuple[str, str], list[_Site]],
    pairs: Iterable[tuple[Pair, Fragment]],
    settings: Junctions,
    tally: Tally,
) -> None:
    """Add pairs to the nearest site that their fragment can reach."""
    reaches = {place: [site.reach() for site in members] for place, members in sites.items()}
    lost = set()
    # A read may run a few bases over the seam, and the other end of a vector lies a few bases off.
    slack = 2 * settings.same_site
    for pair, fragment in pairs:
        place = (pair.contig, pair.strand)
        known = reaches.get(place, [])
        if pair.host_first:
            i = bisect_left(known, pair.inner - slack, key=lambda r: r[1])
            near = i < len(known) and known[i][1] - pair.outer + 1 + pair.vector_length <= settings.max_insert
        else:
            i = bisect_right(known, pair.inner + slack, key=lambda r: r[0]) - 1
            near = i >= 0 and pair.outer - known[i][0] + 1 + pair.vector_length <= settings.max_insert
        if not near:
            lost.add(fragment)
            continue
        sites[place][i].fragments.add(fragment)
        sites[place][i].sides.add(pair.side)
    tally.pairs_without_site = len(lost)
