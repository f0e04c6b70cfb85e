"""Counting references with the CAR: genome and genes for STARsolo, transcripts for kallisto.

A construct joins as a contig of its own with all its letters, so that the BAM shows its coverage, and as one gene
that counts only where a read can prove the CAR. A read of a shared domain then has two homes but one gene, CD247 or
its like, and STARsolo counts it there; with a gene over the whole contig it would be lost for both (11 % of CD247 in
every T cell, docs/constructs.md). Each stretch that counts is a transcript of its own, so that no splice junction
leads from one to the next. kallisto gets those stretches alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain, groupby
from math import floor, log2
from typing import IO, TYPE_CHECKING

from cartrace.cells.constructs import reverse_complement
from cartrace.problems import InputError, Problem, plain, raise_if_any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

_ID = re.compile(r'(\w+) "([^"]*)"')
_LINE = 60


@dataclass(frozen=True, slots=True)
class Contig:
    """One construct as the counting reference holds it."""

    name: str
    """Contig, gene and feature of the count matrix."""
    sequence: str
    segments: tuple[tuple[int, int], ...]
    """First and last position of each stretch that counts, from 1."""


def contig_of(name: str, sequence: str, provable: Sequence[bool] | NDArray[np.bool_]) -> Contig:
    """Make the contig of a construct; ``provable``: (bases,) whether a read there can prove the CAR.

    Raises
    ------
    InputError
        When no stretch counts: the whole construct looks like endogenous transcripts.
    """
    segments, at = [], 1
    for good, run in groupby(bool(p) for p in provable):
        size = len(list(run))
        if good:
            segments.append((at, at + size - 1))
        at += size
    if not segments:
        raise InputError(
            [
                Problem(
                    name,
                    "no stretch that can be told from endogenous transcripts",
                    "a construct with letters of its own, or longer reads",
                )
            ]
        )
    return Contig(name, sequence, tuple(segments))


def provable_positions(regions: Sequence[Mapping[str, object]], length: int, read_length: int) -> list[bool]:
    """Say for each of ``length`` positions whether a read over it can prove the CAR.

    ``regions``: rows of the table REGIONS of one construct and chemistry, whose positions are starts of reads.
    """
    provable = [False] * length
    for row in regions:
        if row["class"] == "discriminative":
            start, end = int(str(row["start"])) - 1, int(str(row["end"])) + read_length - 1
            provable[start:end] = [True] * (min(end, length) - start)
    return provable


def contig_gtf(contig: Contig) -> str:
    """Write the gene of a contig: one transcript with one exon for each stretch that counts."""
    name = contig.name
    gene = f'gene_id "{name}"; gene_name "{name}"; gene_type "protein_coding";'
    first, last = contig.segments[0][0], contig.segments[-1][1]
    lines = [f"{name}\tcartrace\tgene\t{first}\t{last}\t.\t+\t.\t{gene}"]
    for number, (start, end) in enumerate(contig.segments, 1):
        own = f'{gene} transcript_id "{name}.{number}";'
        lines.append(f"{name}\tcartrace\ttranscript\t{start}\t{end}\t.\t+\t.\t{own}")
        lines.append(f'{name}\tcartrace\texon\t{start}\t{end}\t.\t+\t.\t{own} exon_number "1";')
    return "\n".join(lines) + "\n"


def check_names(contigs: Sequence[Contig]) -> None:
    """Refuse names that can't stand in FASTA, GTF and count matrices, and names that stand twice."""
    names = [c.name for c in contigs]
    problems = [
        Problem("cells.constructs", f"the name {plain(n)!r}", "letters, digits, '.', '_' and '-'")
        for n in names
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", n)
    ]
    if len(set(names)) < len(names):
        problems.append(Problem("cells.constructs", "a name that stands twice", "one name a construct"))
    raise_if_any(problems)


@dataclass(frozen=True, slots=True)
class GenomeSize:
    """What programs size their index by."""

    bases: int
    contigs: int


def write_genome(
    lines: Iterable[str], contigs: Sequence[Contig], out: IO[str], file: str
) -> tuple[GenomeSize, frozenset[str]]:
    """Copy a genome (lines of FASTA) and add the constructs; return its size and its contigs.

    Raises
    ------
    InputError
        When it is no FASTA, or a construct has the name of one of its contigs.
    """
    names: set[str] = set()
    bases = 0
    for line in lines:
        if line.startswith(">"):
            names.add((line[1:].split() or [""])[0])
        elif line.strip() and not names:
            raise InputError([Problem(file, "letters before the first header", "FASTA")])
        else:
            bases += len(line.strip())
        out.write(line if line.endswith("\n") else line + "\n")
    problems = [
        Problem(file, f"a contig {c.name!r}, which is a construct's name too", "names that differ")
        for c in contigs
        if c.name in names
    ]
    if not names or not bases:
        problems.append(Problem(file, "no sequence", "the genome as FASTA"))
    raise_if_any(problems)
    for contig in contigs:
        out.write(f">{contig.name}\n")
        out.writelines(contig.sequence[i : i + _LINE] + "\n" for i in range(0, len(contig.sequence), _LINE))
        bases += len(contig.sequence)
        names.add(contig.name)
    return GenomeSize(bases, len(names)), frozenset(names)


def write_annotation(
    lines: Iterable[str], contigs: Sequence[Contig], names: frozenset[str], out: IO[str], file: str
) -> int:
    """Copy the genes (lines of GTF) and add the constructs; return the number of exons copied.

    Raises
    ------
    InputError
        When there is no exon, when none is on a contig of the genome (chr1 against 1), or when a gene has
        the name of a construct.
    """
    own = {c.name for c in contigs}
    exons = placed = 0
    strange = ""
    taken: set[str] = set()
    for line in lines:
        cells = line.split("\t", 3)
        if len(cells) == 4 and cells[2] == "exon":
            exons += 1
            placed += cells[0] in names
            if cells[0] not in names:
                strange = strange or cells[0]
            taken |= {v for k, v in _ID.findall(cells[3]) if k in {"gene_id", "gene_name"} and v in own}
        out.write(line if line.endswith("\n") else line + "\n")
    problems = []
    if not exons:
        problems.append(Problem(file, "no exon", "genes as GTF, with rows 'exon'"))
    elif not placed:
        found = f"no exon on a contig of the genome: {plain(strange)!r} is none"
        problems.append(Problem(file, found, "the annotation of the same genome, with the same names"))
    problems += [Problem(file, f"a gene {t!r}, as a construct", "names that differ") for t in sorted(taken)]
    raise_if_any(problems)
    for contig in contigs:
        out.write(contig_gtf(contig))
    return exons


def transcripts_of(
    lines: Iterable[str], fetch: Callable[[str], str], file: str
) -> Iterator[tuple[str, str, str, str]]:
    """Give (transcript, gene, gene name, letters) of every transcript of a GTF.

    ``fetch`` returns the letters of a contig. Rows of one contig must stand together, as in every published
    annotation: only one contig is in memory.
    """
    done: set[str] = set()
    for contig, rows in groupby(_exon_rows(lines), key=lambda r: r[0]):
        exons: dict[str, list[tuple[int, int]]] = {}
        about: dict[str, tuple[str, str, str]] = {}
        for _, start, end, strand, ids in rows:
            transcript = ids.get("transcript_id", "")
            if transcript:
                exons.setdefault(transcript, []).append((start, end))
                gene = ids.get("gene_id", transcript)
                about[transcript] = (gene, ids.get("gene_name", gene), strand)
        again = done & exons.keys()
        if again:
            found = f"exons of {plain(min(again))!r} in two places"
            raise InputError([Problem(file, found, "rows of one contig that stand together (sort the GTF)")])
        done |= exons.keys()
        letters = fetch(contig)
        for transcript, parts in exons.items():
            gene, name, strand = about[transcript]
            spliced = "".join(letters[s - 1 : e] for s, e in sorted(parts)).upper()
            yield transcript, gene, name, reverse_complement(spliced) if strand == "-" else spliced


def _exon_rows(lines: Iterable[str]) -> Iterator[tuple[str, int, int, str, dict[str, str]]]:
    for line in lines:
        cells = line.rstrip("\n").split("\t")
        if len(cells) == 9 and cells[2] == "exon" and not line.startswith("#"):
            yield cells[0], int(cells[3]), int(cells[4]), cells[6], dict(_ID.findall(cells[8]))


def write_transcripts(
    transcripts: Iterable[tuple[str, str, str, str]],
    contigs: Sequence[Contig],
    fasta: IO[str],
    t2g: IO[str],
) -> int:
    """Write transcripts as FASTA and their genes as t2g (transcript, gene, name), constructs last; return how many."""
    number = 0
    for transcript, gene, name, letters in chain(transcripts, _segments(contigs)):
        if letters:
            fasta.write(f">{transcript}\n{letters}\n")
            t2g.write(f"{transcript}\t{gene}\t{name}\n")
            number += 1
    return number


def _segments(contigs: Sequence[Contig]) -> Iterator[tuple[str, str, str, str]]:
    for c in contigs:
        for i, (start, end) in enumerate(c.segments, 1):
            yield f"{c.name}.{i}", c.name, c.name, c.sequence[start - 1 : end]


def star_index_bases(size: GenomeSize) -> int:
    """Return --genomeSAindexNbases: min(14, log2(length) / 2 - 1) (STAR manual 2.7.10, section 2.2.5).

    >>> star_index_bases(GenomeSize(190_000, 3)), star_index_bases(GenomeSize(3_100_000_000, 200))
    (7, 14)
    """
    return min(14, floor(log2(max(size.bases, 64)) / 2 - 1))


def star_bin_bits(size: GenomeSize, read_length: int) -> int:
    """Return --genomeChrBinNbits: min(18, log2(max(length / contigs, read length))) (STAR manual, section 2.2.6)."""
    return min(18, floor(log2(max(size.bases / size.contigs, read_length))))


def star_memory(size: GenomeSize, sparse: int) -> int:
    """Return the bytes that an index takes: two strands of 33 bits a position, the genome, the table of words.

    For a human genome 31 GB, and 13 GB with every third position.
    """
    return int(8.25 * size.bases / sparse + size.bases + 6 * 4 ** star_index_bases(size))


def star_sparsity(size: GenomeSize, memory: int | None) -> int:
    """Return --genomeSAsparseD: every how many-th position is indexed so that the index fits ``memory`` bytes.

    Raises
    ------
    InputError
        When even every fourth does not fit; the search would be too slow with fewer.
    """
    if memory is None:
        return 1
    for sparse in (1, 2, 3, 4):
        if star_memory(size, sparse) <= memory:
            return sparse
    need = star_memory(size, 4) / 1e9
    raise InputError(
        [
            Problem(
                "cells.reference.genome",
                f"{memory / 1e9:.1f} GB of memory for {size.bases} bases",
                f"at least {need:.1f} GB, or the counter kallisto",
            )
        ]
    )
