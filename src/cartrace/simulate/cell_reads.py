"""Reads of cells with known truth: from molecules in cells to a BAM file as Cell Ranger writes it, or to FASTQ.

A molecule is one cDNA with its cell barcode and UMI. PCR copies it, the copies are cut at different places, and
each fragment is read a few times. In 5' libraries the barcode sits at the transcript's 5' end and read 2 comes
back from the cut, so it lies some hundred bases downstream in antisense; in 3' libraries the barcode sits at the
poly(A) end and read 2 runs towards it in sense (10x Genomics, Chromium 5' v2 and 3' v3 user guides).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cartrace.files import replacing
from cartrace.simulate.read_files import bam_header, random_letters, write_sorted

_BASES = "ACGT"
_COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
_PHRED = 37
"""Base quality of every base: what NovaSeq gives most of them."""
_MAPQ = {1: 255, 2: 3, 3: 1, 4: 1}
"""Mapping quality by number of places, as STAR writes it; more places: 0."""
_MIN_MATCHED, _MAX_MISMATCHES = 0.66, 10
"""STAR's outFilterMatchNminOverLread and outFilterMismatchNmax: fewer or more, and the read is unmapped."""


@dataclass(frozen=True, slots=True)
class ReadModel:
    """How molecules become reads."""

    chemistry: str = "5p"
    read_length: int = 90
    umi_length: int = 12
    error_rate: float = 0.002
    """Substitutions per base of read 2."""
    umi_error_rate: float = 0.001
    """Substitutions per base of the UMI."""
    extra_fragments: float = 1.0
    """Mean fragments of a molecule beyond the first."""
    extra_copies: float = 1.0
    """Mean reads of a fragment beyond the first."""
    insert_mean: float = 350.0
    insert_sd: float = 80.0
    """Bases between the barcoded end of the transcript and the cut."""
    chimera_share: float = 0.0
    """Share of molecules of which one read shows up under another cell's barcode, UMI and fragment the same."""


@dataclass(frozen=True, slots=True)
class Planted:
    """Molecules of one transcript in one barcode; ``kind`` is own or ambient, and only truth."""

    cell: str
    transcript: str
    molecules: int
    kind: str = "own"


@dataclass(frozen=True, slots=True)
class CellRead:
    """One read 2, as sequenced, and what is true of it."""

    name: str
    cell: str
    umi: str
    """As sequenced."""
    true_umi: str
    sequence: str
    transcript: str
    start: int
    """First base on the transcript, from 0."""
    molecule: int
    kind: str
    """own, ambient or chimeric."""


@dataclass(frozen=True, slots=True)
class Genome:
    """A small genome: endogenous genes one after the other, and the CAR as its own contig or not at all."""

    contigs: dict[str, str]
    genes: dict[str, tuple[str, int, int]]
    """Gene -> contig, first base from 0, end."""

    def loci(self, genes: Iterable[str]) -> dict[str, str]:
        """Return intervals as settings write them: gene -> contig:first-last, from 1."""
        wanted = set(genes)
        return {g: f"{c}:{a + 1}-{b}" for g, (c, a, b) in self.genes.items() if g in wanted}

    def gene_at(self, contig: str, position: int) -> str | None:
        """Return the gene at a base (from 0)."""
        return next((g for g, (c, a, b) in self.genes.items() if c == contig and a <= position < b), None)


def reverse_complement(sequence: str) -> str:
    """Return the other strand."""
    return sequence.translate(_COMPLEMENT)[::-1]


def mutated(sequence: str, changes: Sequence[tuple[int, str, str]]) -> str:
    """Return ``sequence`` with changes (position from 1, what stands there, what comes instead).

    >>> mutated("ACGTACGT", [(2, "C", "T"), (5, "AC", "")])
    'ATGTGT'
    """
    for position, old, new in sorted(changes, reverse=True):
        if sequence[position - 1 : position - 1 + len(old)] != old:
            raise ValueError(f"no {old} at {position}")
        sequence = sequence[: position - 1] + new + sequence[position - 1 + len(old) :]
    return sequence


def made_up_barcodes(n: int, rng: np.random.Generator, length: int = 16) -> list[str]:
    """Return ``n`` different random barcodes as a count matrix writes them, with the suffix -1."""
    seen: dict[str, None] = {}
    while len(seen) < n:
        seen[random_letters(rng, length) + "-1"] = None
    return list(seen)


def make_genome(
    endogenous: Mapping[str, str],
    cars: Mapping[str, str] | None = None,
    *,
    seed: int = 1,
    spacer: int = 300,
) -> Genome:
    """Lay genes on one contig ``chr1``, unspliced and in sense, with random bases between; CARs get a contig each."""
    rng = np.random.default_rng(seed)
    pieces, genes, at = [random_letters(rng, spacer)], {}, spacer
    for gene, sequence in endogenous.items():
        genes[gene] = ("chr1", at, at + len(sequence))
        pieces += [sequence, random_letters(rng, spacer)]
        at += len(sequence) + spacer
    contigs = {"chr1": "".join(pieces)} | dict(cars or {})
    genes |= {name: (name, 0, len(sequence)) for name, sequence in (cars or {}).items()}
    return Genome(contigs, genes)


def simulate_reads(
    planted: Sequence[Planted], transcripts: Mapping[str, str], model: ReadModel, *, seed: int
) -> list[CellRead]:
    """Return the reads of all planted molecules.

    Parameters
    ----------
    planted
        Molecules by cell and transcript.
    transcripts
        What the molecules really are, by the names in ``planted``; a mutated CAR goes in mutated.
    model
        Chemistry and errors.
    seed
        Same seed, same reads.
    """
    rng = np.random.default_rng(seed)
    cells = sorted({p.cell for p in planted})
    reads: list[CellRead] = []
    molecule = 0
    for p in planted:
        for _ in range(p.molecules):
            umi = random_letters(rng, model.umi_length)
            drawn: list[int] = []
            for _ in range(1 + rng.poisson(model.extra_fragments)):
                insert = int(rng.normal(model.insert_mean, model.insert_sd))
                drawn += [insert] * (1 + int(rng.poisson(model.extra_copies)))
            copies = [(p.cell, p.kind, insert) for insert in drawn]
            if len(cells) > 1 and rng.random() < model.chimera_share:
                other = [c for c in (cells[int(i)] for i in rng.integers(len(cells), size=8)) if c != p.cell]
                copies += [(c, "chimeric", drawn[0]) for c in other[:1]]
            for cell, kind, insert in copies:
                start, letters = _fragment(transcripts[p.transcript], insert, model)
                reads.append(
                    CellRead(
                        f"r{len(reads)}",
                        cell,
                        _with_errors(umi, model.umi_error_rate, rng),
                        umi,
                        _with_errors(letters, model.error_rate, rng),
                        p.transcript,
                        start,
                        molecule,
                        kind,
                    )
                )
            molecule += 1
    return reads


def molecule_truth(reads: Iterable[CellRead], transcripts: Iterable[str]) -> dict[tuple[str, str, str], int]:
    """Count molecules with a read: (cell, transcript, kind) -> number, for these transcripts."""
    wanted = set(transcripts)
    seen = {(r.cell, r.transcript, r.kind, r.molecule) for r in reads if r.transcript in wanted}
    counts: dict[tuple[str, str, str], int] = {}
    for cell, transcript, kind, _ in sorted(seen):
        counts[cell, transcript, kind] = counts.get((cell, transcript, kind), 0) + 1
    return counts


def write_bam(path: Path, reads: Sequence[CellRead], genome: Genome, *, seed: int = 1) -> None:
    """Align reads to the genome and write them sorted, with an index beside, as Cell Ranger does.

    Tags: CB, UB (corrected where the read lies in a gene, else as sequenced), CR, UR, NH, nM, and for reads
    in one gene GX, GN and xf. A read with several equal places gets one of them by chance and the quality that STAR
    gives it. Unmapped reads stand at the end.
    """
    import pysam

    rng = np.random.default_rng(seed)
    names = list(genome.contigs)
    header = bam_header({n: len(s) for n, s in genome.contigs.items()})
    counted: set[tuple[str, str, str]] = set()
    records = []
    places = _Places(genome)
    for read in reads:
        segment = pysam.AlignedSegment(header)
        segment.query_name = read.name
        hits = places.of(read.sequence)
        tags: list[tuple[str, Any]] = [
            ("CR", read.cell.split("-")[0]),
            ("UR", read.umi),
            ("CB", read.cell),
        ]
        if not hits:
            segment.flag, segment.query_sequence = 4, read.sequence
            tags += [("UB", read.umi), ("xf", 0)]
        else:
            contig, start, strand, cigar, mismatches = hits[int(rng.integers(len(hits)))]
            segment.flag = 0 if strand > 0 else 16
            segment.query_sequence = read.sequence if strand > 0 else reverse_complement(read.sequence)
            segment.reference_id, segment.reference_start = names.index(contig), start
            segment.mapping_quality = _MAPQ.get(len(hits), 0)
            segment.cigarstring = cigar
            tags += [("NH", len(hits)), ("nM", mismatches)]
            gene = genome.gene_at(contig, start) if len(hits) == 1 else None
            if gene is None:
                tags += [("UB", read.umi), ("xf", 0)]
            else:
                first = (read.cell, read.true_umi, gene) not in counted
                counted.add((read.cell, read.true_umi, gene))
                tags += [("UB", read.true_umi), ("GX", gene), ("GN", gene), ("xf", 25 if first else 17)]
        segment.query_qualities_str = chr(33 + _PHRED) * len(read.sequence)
        segment.set_tags(tags)
        records.append(segment)
    write_sorted(path, header, records)


def write_fastq(read_1: Path, read_2: Path, reads: Iterable[CellRead]) -> None:
    """Write reads as two gzipped FASTQ files: barcode and UMI, and the cDNA."""
    first, second = [], []
    for r in reads:
        tag = r.cell.split("-")[0] + r.umi
        first.append(f"@{r.name}\n{tag}\n+\n{chr(33 + _PHRED) * len(tag)}\n")
        second.append(f"@{r.name}\n{r.sequence}\n+\n{chr(33 + _PHRED) * len(r.sequence)}\n")
    for path, lines in ((read_1, first), (read_2, second)):
        with replacing(path) as temporary:
            # Without a time stamp: same reads, same file.
            temporary.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))


def _fragment(transcript: str, insert: int, model: ReadModel) -> tuple[int, str]:
    """Return the first base (from 0) and the letters of a read 2."""
    length = min(model.read_length, len(transcript))
    insert = max(length, min(insert, len(transcript)))
    if model.chemistry == "5p":
        start = insert - length
        return start, reverse_complement(transcript[start : start + length])
    start = len(transcript) - insert
    return start, transcript[start : start + length]


def _with_errors(letters: str, rate: float, rng: np.random.Generator) -> str:
    n = int(rng.binomial(len(letters), rate)) if rate > 0 else 0
    if not n:
        return letters
    out = list(letters)
    for i in rng.choice(len(letters), size=n, replace=False):
        out[int(i)] = _BASES[(_BASES.index(out[int(i)]) + 1 + int(rng.integers(3))) % 4]
    return "".join(out)


class _Places:
    """Where reads fit best in a genome, by STAR's limits."""

    def __init__(self, genome: Genome) -> None:
        import mappy  # type: ignore[import-not-found, unused-ignore]

        self._aligners = {
            name: mappy.Aligner(seq=sequence, preset="sr", k=15, w=5)
            for name, sequence in genome.contigs.items()
        }
        self._known: dict[str, list[tuple[str, int, int, str, int]]] = {}

    def of(self, sequence: str) -> list[tuple[str, int, int, str, int]]:
        """Return contig, first base, strand, CIGAR and mismatches of all best places; none when unmapped."""
        if sequence not in self._known:
            self._known[sequence] = self._best(sequence)
        return self._known[sequence]

    def _best(self, sequence: str) -> list[tuple[str, int, int, str, int]]:
        found = []
        for name, aligner in self._aligners.items():
            for hit in aligner.map(sequence):
                if hit.mlen < _MIN_MATCHED * len(sequence) or hit.NM > _MAX_MISMATCHES:
                    continue
                before, after = hit.q_st, len(sequence) - hit.q_en
                if hit.strand < 0:
                    before, after = after, before
                clips = [f"{n}S" if n else "" for n in (before, after)]
                place = (name, hit.r_st, hit.strand, f"{clips[0]}{hit.cigar_str}{clips[1]}", hit.NM)
                found.append((hit.mlen - hit.NM, place))
        best = max((score for score, _ in found), default=0)
        return [place for score, place in found if score == best]
