"""Reads across the ends of an integrated vector, with known truth, as an aligner writes them.

Every fragment is cut out of a host chromosome that carries the vector, is copied by PCR, and read from both ends. A
read is aligned as bwa mem does it: each part where it fits best, bases that fit both parts in both, the longer part
primary, the other supplementary, each naming the other in ``SA``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from cartrace.simulate.read_files import BASES, bam_header, write_sorted

if TYPE_CHECKING:
    import pysam

    Letters = np.ndarray[tuple[int], np.dtype[np.uint8]]

_MATCH, _MISMATCH, _LEAST = 1, -4, 19
"""Scores of bwa mem, and its shortest seed."""
_UNIQUE = 60
_DUPLICATE, _PAIRED, _TURNED, _MATE_TURNED, _FIRST, _SECOND, _SUPPLEMENTARY = (
    0x400,
    0x1,
    0x10,
    0x20,
    0x40,
    0x80,
    0x800,
)
_UNMAPPED, _MATE_UNMAPPED = 0x4, 0x8


@dataclass(frozen=True, slots=True)
class PlantedSite:
    """One integrated vector and the fragments that cross its ends."""

    contig: str
    position: int
    """Host base beside the vector's right end (3' LTR), from 1."""
    strand: Literal["+", "-"]
    """Orientation of the vector."""
    left: int
    """Fragments across the left end (5' LTR)."""
    right: int
    """Fragments across the right end."""

    @property
    def fragments(self) -> int:
        """Return the fragments of both ends."""
        return self.left + self.right


@dataclass(frozen=True, slots=True)
class JunctionModel:
    """How fragments become reads."""

    read_length: int = 100
    shortest: int = 30
    """Fewest bases of a fragment on host and on vector."""
    longest: int = 250
    """Most bases of a fragment on either."""
    duplication: int = 5
    """Host bases that stand at both ends of the vector (HIV integrase: 5 [recalled])."""
    ltr: int = 0
    """Bases that the vector begins and ends with alike; the aligner puts reads in them at either end by chance."""
    error_rate: float = 0.0
    """Substitutions per base."""
    extra_copies: float = 0.0
    """Mean PCR copies of a fragment beyond the first."""
    flagged_share: float = 0.5
    """Share of those copies that carry the duplicate flag; the others are left for the reader to see."""
    background: int = 0
    """Pairs that lie on the host alone, and as many on the vector alone."""
    chimeras: int = 0
    """Pairs of which one half is host and the other a piece from inside the vector: PCR chimeras."""
    paired: bool = True
    """Whether fragments are read from both ends."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Consecutive bases of a template: where each comes from."""

    contig: str
    start: int
    """Base of the contig, from 0, under the template's first base of the part."""
    turned: bool
    length: int


@dataclass(frozen=True, slots=True)
class _Stretch:
    """One alignment of a read; query coordinates are those of the read as sequenced."""

    contig: str
    start: int
    turned: bool
    first: int
    last: int
    quality: int

    @property
    def length(self) -> int:
        return self.last - self.first

    def cigar(self, read_length: int, clip: str = "S") -> str:
        before, after = self.first, read_length - self.last
        if self.turned:
            before, after = after, before
        clips = [f"{n}{clip}" if n else "" for n in (before, after)]
        return f"{clips[0]}{self.length}M{clips[1]}"


def junction_bam(
    rng: np.random.Generator,
    sites: Sequence[PlantedSite],
    vector: tuple[str, str],
    host: Mapping[str, str],
    model: JunctionModel | None = None,
) -> tuple[bytes, bytes]:
    """Return a BAM file, sorted by position, of reads across the ends of integrated vectors, and its index.

    Parameters
    ----------
    rng
        Source of everything that is drawn.
    sites
        What is integrated where, and how many fragments cross each end. No two fragments of a site are alike.
    vector
        Name and sequence of the integrated vector, from end to end.
    host
        Chromosome -> sequence, upper case.

    Raises
    ------
    ValueError
        For a site without room for a fragment on its chromosome, or with more fragments than there are different ones.
    """
    name, sequence = vector
    contigs = {c: _letters(s) for c, s in (*host.items(), (name, sequence))}
    sequencer = _Sequencer(rng, name, contigs, tuple(contigs), model or JunctionModel())
    fragments = [f for site in sites for f in sequencer.fragments_of(site)] + sequencer.background()
    records = [s for number, parts in enumerate(fragments) for s in sequencer.read(f"r{number}", parts)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "junctions.bam"
        write_sorted(path, bam_header({n: len(s) for n, s in contigs.items()}), records)
        return path.read_bytes(), path.with_name("junctions.bam.bai").read_bytes()


@dataclass(frozen=True, slots=True)
class _Sequencer:
    """Cuts fragments out of host and vector, reads them and aligns the reads."""

    rng: np.random.Generator
    vector: str
    contigs: Mapping[str, Letters]
    names: tuple[str, ...]
    model: JunctionModel

    def fragments_of(self, site: PlantedSite) -> list[tuple[_Part, ...]]:
        """Return the fragments of one site, each as its parts on the host's forward strand."""
        forward = site.strand == "+"
        # The last host base before the vector and the first one after it, from 0, on the host's forward strand.
        if forward:
            after, before = site.position - 1, site.position - 1 + self.model.duplication - 1
        else:
            before, after = site.position - 1, site.position - 1 - self.model.duplication + 1
        length, size = len(self.contigs[self.vector]), len(self.contigs[site.contig])
        out: list[tuple[_Part, ...]] = []
        for end, wanted in (("left", site.left), ("right", site.right)):
            host_first = (end == "left") == forward
            room = before + 1 if host_first else size - after
            for on_host, on_vector in self._lengths(wanted, room, length):
                # Vector bases from its left end, or up to its right end; turned they are read from the other side.
                first = 0 if end == "left" else length - on_vector
                start = first if forward else first + on_vector - 1
                inserted = _Part(self.vector, start, not forward, on_vector)
                if host_first:
                    out.append((_Part(site.contig, before - on_host + 1, False, on_host), inserted))
                else:
                    out.append((inserted, _Part(site.contig, after, False, on_host)))
        return out

    def _lengths(self, wanted: int, on_host: int, on_vector: int) -> list[tuple[int, int]]:
        """Draw different pairs of lengths on host and vector, where so much room is."""
        least, most = self.model.shortest, self.model.longest
        hosts, vectors = min(most, on_host) - least + 1, min(most, on_vector) - least + 1
        if wanted and (hosts < 1 or vectors < 1 or wanted > hosts * vectors):
            raise ValueError("a site has no room for its fragments")
        drawn = self.rng.choice(hosts * vectors, size=wanted, replace=False) if wanted else ()
        return [(least + int(i) // vectors, least + int(i) % vectors) for i in drawn]

    def background(self) -> list[tuple[_Part, ...]]:
        """Return fragments of the host alone, of the vector alone, and chimeras of the two."""
        least, most = self.model.shortest, self.model.longest
        out: list[tuple[_Part, ...]] = []
        for length in self.rng.integers(2 * least, most + 1, size=self.model.background):
            out += [(self._piece(self._chromosome(), length),), (self._piece(self.vector, length),)]
        # Well inside the vector: a chimera at its very end is an integration for every reader.
        margin = len(self.contigs[self.vector]) // 4
        for lengths in self.rng.integers(least, most // 2 + 1, size=(self.model.chimeras, 2)):
            inside = self._piece(self.vector, lengths[1], margin)
            out.append((self._piece(self._chromosome(), lengths[0]), inside))
        return out

    def _chromosome(self) -> str:
        return self.names[int(self.rng.integers(len(self.names) - 1))]

    def _piece(self, contig: str, length: int, margin: int = 0) -> _Part:
        last = len(self.contigs[contig]) - int(length) - margin
        return _Part(contig, int(self.rng.integers(margin, last + 1)), False, int(length))

    def read(self, name: str, parts: Sequence[_Part]) -> list[pysam.AlignedSegment]:
        """Copy a fragment, read each copy and align what was read."""
        letters = np.concatenate([_source(self.contigs, p) for p in parts])
        n = min(self.model.read_length, len(letters))
        spans = [(0, False), (len(letters) - n, True)]
        if self.rng.random() < 0.5:
            spans.reverse()
        copies = 1 + (int(self.rng.poisson(self.model.extra_copies)) if self.model.extra_copies else 0)
        out = []
        for copy in range(copies):
            flag = _DUPLICATE if copy > 0 and self.rng.random() < self.model.flagged_share else 0
            reads = []
            for start, turned in spans if self.model.paired else spans[:1]:
                seen = _with_errors(self.rng, letters[start : start + n], self.model.error_rate)
                stretches = self._align(seen, start, parts)
                if turned:
                    seen = _turn(seen)
                    stretches = [
                        replace(s, turned=not s.turned, first=n - s.last, last=n - s.first) for s in stretches
                    ]
                reads.append((seen, sorted(stretches, key=lambda s: (-s.length, s.first))))
            out += self._segments(f"{name}.{copy}", reads, flag)
        return out

    def _align(self, read: Letters, offset: int, parts: Sequence[_Part]) -> list[_Stretch]:
        """Return where the parts of a read fit best, each along its own diagonal and over the seam if it fits there."""
        found = []
        begin = -offset
        for part in parts:
            contig = self.contigs[part.contig]
            places = part.start + (-1 if part.turned else 1) * (np.arange(len(read)) - begin)
            begin += part.length
            source = contig[np.clip(places, 0, len(contig) - 1)]
            fits = (_PAIRS[source] if part.turned else source) == read
            within = (places >= 0) & (places < len(contig))
            first, last = _best(np.where(within, np.where(fits, _MATCH, _MISMATCH), -len(read)))
            if last - first < _LEAST:
                continue
            start, quality = int(places[last - 1] if part.turned else places[first]), _UNIQUE
            shift = len(contig) - self.model.ltr
            if part.contig == self.vector and (start >= shift or start + last - first <= self.model.ltr):
                quality = 0
                other = start - shift if start >= shift else start + shift
                start = other if self.rng.random() < 0.5 else start
            found.append(_Stretch(part.contig, start, part.turned, first, last, quality))
        return found

    def _segments(
        self, name: str, reads: Sequence[tuple[Letters, list[_Stretch]]], flag: int
    ) -> list[pysam.AlignedSegment]:
        """Write the alignments of a fragment's reads: the longest as primary, the others with hard clips."""
        import pysam

        out = []
        for number, (read, stretches) in enumerate(reads):
            common = flag
            mate = reads[1 - number][1] if len(reads) > 1 else []
            if len(reads) > 1:
                common |= _PAIRED | (_SECOND if number else _FIRST)
                common |= _MATE_UNMAPPED if not mate else _MATE_TURNED if mate[0].turned else 0
            for i, s in enumerate(stretches or [None]):
                segment = pysam.AlignedSegment()
                segment.query_name = name
                segment.flag = common | (_SUPPLEMENTARY if i else 0)
                kept = read
                if s is None:
                    segment.flag |= _UNMAPPED
                else:
                    segment.flag |= _TURNED if s.turned else 0
                    segment.reference_id, segment.reference_start = self.names.index(s.contig), s.start
                    segment.mapping_quality = s.quality
                    segment.cigarstring = s.cigar(len(read), "H" if i else "S")
                    kept = read[s.first : s.last] if i else read
                    kept = _turn(kept) if s.turned else kept
                    others = [_sa(o, len(read)) for o in stretches if o is not s]
                    if others:
                        segment.set_tag("SA", "".join(others))
                segment.query_sequence = kept.tobytes().decode()
                if mate:
                    segment.next_reference_id = self.names.index(mate[0].contig)
                    segment.next_reference_start = mate[0].start
                out.append(segment)
        return out


def _best(scores: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[int, int]:
    """Return the stretch with the highest sum (Kadane), the longest of equal ones."""
    best, span, total, start = 0, (0, 0), 0, 0
    for i, score in enumerate(scores.tolist()):
        if total < 0:
            total, start = 0, i
        total += score
        if total > best:
            best, span = total, (start, i + 1)
    return span


def _sa(s: _Stretch, read_length: int) -> str:
    return f"{s.contig},{s.start + 1},{'-' if s.turned else '+'},{s.cigar(read_length)},{s.quality},0;"


def _letters(sequence: str) -> Letters:
    return np.frombuffer(sequence.encode(), dtype=np.uint8)


def _source(contigs: Mapping[str, Letters], part: _Part) -> Letters:
    contig = contigs[part.contig]
    if part.turned:
        return _turn(contig[part.start - part.length + 1 : part.start + 1])
    return contig[part.start : part.start + part.length]


_PAIRS = np.arange(256, dtype=np.uint8)
_PAIRS[BASES] = BASES[::-1]


def _turn(letters: Letters) -> Letters:
    return _PAIRS[letters][::-1]


def _with_errors(rng: np.random.Generator, letters: Letters, rate: float) -> Letters:
    if rate <= 0:
        return letters
    wrong = np.flatnonzero(rng.random(len(letters)) < rate)
    out = letters.copy()
    codes = np.searchsorted(BASES, out[wrong])
    out[wrong] = BASES[(codes + rng.integers(1, 4, size=len(wrong))) % 4]
    return out
