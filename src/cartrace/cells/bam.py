"""The reads of a BAM file that can come from a CAR, through its index.

What is looked at: contigs of the constructs; the endogenous genes that share domains with them; and, when a
construct has no contig in the file, unmapped reads and the immunoglobulin loci, where an aligner puts an scFv.
Never the rest, unless there is no index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cartrace.problems import InputError, Problem, did_you_mean, plain

if TYPE_CHECKING:
    import pysam

GRCH38 = {
    "chr1": 248956422,
    "chr2": 242193529,
    "chr14": 107043718,
    "chr22": 50818468,
    "chrX": 156040895,
}
"""Lengths of the chromosomes that the shipped loci lie on (GRCh38)."""
UNMAPPED = "*"
UNMAPPED_FLAG, TURNED_FLAG, FIRST_FLAG = 0x4, 0x10, 0x41
"""Bits of a SAM flag: unmapped; stored as its other strand; read 1 of a pair, which runs against read 2."""
_SURE = 255
"""Mapping quality that STAR gives to a read with one place."""
_LEFT_OUT = 0x100 | 0x200 | 0x800
"""Secondary and supplementary alignments repeat a read; the sequencer's own filter failed others."""
_SOFT, _HARD = 4, 5
_LONGEST_CELL = 100
_IG_V = re.compile(r"IG[HKL]V")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a contig; ``construct`` says that it is a CAR's own contig."""

    contig: str
    start: int
    """First base, from 0."""
    end: int
    construct: bool = False


@dataclass(frozen=True, slots=True)
class Targets:
    """What of a BAM file is looked at, and what can't be."""

    stretches: tuple[Stretch, ...]
    unmapped: bool
    """Whether unmapped reads are looked at."""
    with_contig: tuple[str, ...]
    """Constructs that have a contig in the file."""
    remarks: tuple[str, ...] = ()
    """What was searched, in words."""
    gaps: tuple[str, ...] = ()
    """What could not be searched, in words."""


class CarRead(NamedTuple):
    """One read that can come from a CAR."""

    cell: str
    umi: str
    sequence: str
    """In the direction of the reference."""
    flag: int
    """Of the SAM format."""
    outside: bool
    """Whether it lies elsewhere than on a construct's contig."""
    segment: pysam.AlignedSegment | None
    """The alignment, for the few reads of which more must be known; valid until the next read."""

    @property
    def places(self) -> int:
        """Return how many places of the genome fit equally well, for a read on a construct's contig; 1 elsewhere."""
        read = self.segment
        if read is None or self.outside or read.mapping_quality == _SURE or not read.has_tag("NH"):
            return 1
        return int(read.get_tag("NH"))

    @property
    def mismatches(self) -> int:
        """Return bases that don't agree with the genome, mismatched or clipped; -1: not known, or on a construct."""
        read = self.segment
        if read is None or not self.outside or self.flag & UNMAPPED_FLAG:
            return -1
        clipped = sum(n for kind, n in read.cigartuples or () if kind in {_SOFT, _HARD})
        for tag in ("nM", "NM"):
            if read.has_tag(tag):
                return clipped + int(read.get_tag(tag))
        return -1


@dataclass(slots=True)
class Tally:
    """Counts of reads, added up while they stream by."""

    fetched: int = 0
    no_cell: int = 0
    no_umi: int = 0


@contextmanager
def open_bam(path: Path, name: str, index: Path | None = None) -> Iterator[pysam.AlignmentFile]:
    """Open a BAM file, and close it.

    Raises
    ------
    InputError
        When it is none, is cut short, has no reference sequences, or its index can't be read.
    """
    import pysam

    if not path.is_file():
        raise InputError([Problem(name, "no file that can be read", "a BAM file")])
    with _quiet():
        try:
            bam = pysam.AlignmentFile(
                str(path), "rb", index_filename=str(index) if index else None, duplicate_filehandle=False
            )
            # Opening leaves the text of the header as it is; this takes it apart.
            bam.get_tid("")
        except (OSError, ValueError, NotImplementedError) as error:
            raise InputError([_broken(name, error)]) from None
        try:
            if bam.format != "BAM":
                raise InputError([Problem(name, f"a {bam.format} file", "a BAM file")])
            if index is not None and not bam.has_index():
                raise InputError(
                    [Problem(str(index), "no index that can be read", "an index made with 'samtools index'")]
                )
            if bam.has_index() and not _leads_right(bam):
                found = "the index of another BAM file, or of an earlier one"
                raise InputError(
                    [Problem(str(index or f"index of {name}"), found, "a new one made with 'samtools index'")]
                )
            yield bam
        except (OSError, UnicodeDecodeError) as error:
            raise InputError([_broken(name, error)]) from None
        finally:
            # Of a damaged file, closing fails once more.
            with suppress(OSError):
                bam.close()


def _leads_right(bam: pysam.AlignmentFile) -> bool:
    """Say whether the index leads to reads of each contig that it knows reads of, and behind them to those of none.

    An index of other reads has other places, which are mostly no beginnings of a block: reads would be lost unseen.
    """
    begin = bam.tell()
    try:
        for contig in bam.get_index_statistics():
            if contig.total and next(bam.fetch(contig.contig), None) is None:
                return False
        rest = next(bam.fetch(UNMAPPED), None)
        return rest.reference_id < 0 if rest is not None else bam.nocoordinate == 0
    except (OSError, ValueError):
        return False
    finally:
        bam.seek(begin)


def find_targets(
    contigs: Mapping[str, int],
    constructs: Mapping[str, tuple[Sequence[str], int]],
    *,
    loci: Mapping[str, str],
    binder_loci: Mapping[str, str],
    file: str,
    shipped_loci: bool,
) -> Targets:
    """Say what of a BAM file to look at.

    Parameters
    ----------
    contigs
        Contig of the file -> its length.
    constructs
        Construct -> the names that its contig may have, and its length.
    loci, binder_loci
        Endogenous gene -> ``contig:first-last``, from 1; the latter count only when a construct has no contig.
    file
        Name of the BAM file, for errors.
    shipped_loci
        Whether the loci are those that cartrace ships: they are used only in GRCh38, while loci of the user's own must
        lie in the file.

    Raises
    ------
    InputError
        For loci that can't be read, or that lie outside the file's contigs.
    """
    folded = {c.casefold(): c for c in contigs}
    own = {
        construct: folded[name.casefold()]
        for construct, (names, _) in constructs.items()
        for name in reversed(list(names))
        if name.casefold() in folded
    }
    # A contig as long as a construct is worth a look whatever its name, for its reads are aligned anew. But it may
    # be another construct of that length: what has no contig of its name is still searched elsewhere.
    lengths = {length for _, length in constructs.values()}
    looked_at = set(own.values()) | {c for c, n in contigs.items() if n in lengths}
    stretches = [Stretch(c, 0, contigs[c], construct=True) for c in sorted(looked_at)]
    missing = sorted(set(constructs) - set(own))
    wanted = dict(loci) | (dict(binder_loci) if missing else {})
    remarks, gaps = [], []
    if missing:
        remarks.append(
            f"no contig for {', '.join(missing)}: unmapped reads"
            f"{''.join(f', {g}' for g in binder_loci)} were searched instead"
        )
    problems: list[Problem] = []
    placed: list[Stretch] = []
    if shipped_loci and wanted and not _is_grch38(contigs):
        gaps.append(
            "the chromosomes are not those of GRCh38, and no other loci are given: reads that lie in the endogenous genes "
            f"{', '.join(wanted)} were not looked at; molecules may be missing"
        )
    else:
        for gene, text in wanted.items():
            try:
                placed.append(_stretch(text, contigs))
            except ValueError as error:
                hint = did_you_mean(text.rpartition(":")[0], contigs)
                problems.append(Problem(file, str(error), "contig:first-last in this file", None, gene, hint))
    if problems:
        raise InputError(problems)
    return Targets(
        tuple(stretches) + tuple(_merged(placed)),
        bool(missing),
        tuple(sorted(own)),
        tuple(remarks),
        tuple(gaps),
    )


def read_car_reads(bam: pysam.AlignmentFile, targets: Targets, tally: Tally) -> Iterator[CarRead]:
    """Yield the reads of the targets one by one, through the index where there is one.

    Reads without a cell or UMI are counted in ``tally`` and left out.
    """
    for stretch, reads in _streams(bam, targets):
        outside = stretch is None or not stretch.construct
        for read in reads:
            flag = read.flag
            if flag & _LEFT_OUT:
                continue
            tally.fetched += 1
            try:
                cell = str(read.get_tag("CB"))
            except KeyError:
                cell = "-"
            if cell == "-" or len(cell) > _LONGEST_CELL:
                tally.no_cell += 1
                continue
            try:
                umi = str(read.get_tag("UB"))
            except KeyError:
                umi = "-"
            if umi == "-":
                # Aligners correct a UMI only where the read lies in a gene.
                umi = str(read.get_tag("UR")) if read.has_tag("UR") else "-"
            sequence = read.query_sequence
            if umi == "-" or sequence is None:
                tally.no_umi += 1
                continue
            yield CarRead(cell, umi, sequence, flag, outside, read)


def read_loci(text: str, name: str, genes: Iterable[str]) -> dict[str, str]:
    """Read intervals of genes from a BED file or from a GTF file (its lines ``gene``).

    Returns
    -------
    dict
        Gene -> ``contig:first-last``, from 1. Of a GTF file only ``genes`` and the V genes of immunoglobulins; of a BED
        file all.

    Raises
    ------
    InputError
        With every line that can't be read, or when no gene is found.
    """
    wanted = set(genes)
    loci: dict[str, str] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = line.rstrip().split("\t")
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        try:
            if len(cells) >= 9:
                found = re.search(r'gene_name "([^"]+)"', cells[8])
                if cells[2] == "gene" and found and (found[1] in wanted or _IG_V.match(found[1])):
                    loci[found[1]] = f"{cells[0]}:{int(cells[3])}-{int(cells[4])}"
            else:
                contig, start, end, gene = cells[:4]
                loci[gene] = f"{contig}:{int(start) + 1}-{int(end)}"
        except ValueError:
            problems.append(
                Problem(name, plain(repr(line), 60), "contig, start, end, gene, separated by tabs", number)
            )
    if not loci and not problems:
        problems.append(Problem(name, "none of the genes", f"lines of {', '.join(sorted(wanted))}"))
    if problems:
        raise InputError(problems)
    return loci


def _streams(
    bam: pysam.AlignmentFile, targets: Targets
) -> Iterator[tuple[Stretch | None, Iterator[pysam.AlignedSegment]]]:
    """Yield each part with its reads; the part is None where there is no contig."""
    if bam.has_index():
        for stretch in targets.stretches:
            yield stretch, bam.fetch(stretch.contig, stretch.start, stretch.end)
        if targets.unmapped:
            yield None, bam.fetch(UNMAPPED)
        return
    yield from ((s, iter((r,))) for s, r in _scan(bam, targets))


def _scan(
    bam: pysam.AlignmentFile, targets: Targets
) -> Iterator[tuple[Stretch | None, pysam.AlignedSegment]]:
    """Yield the reads of the targets from a file without an index, all of which is read."""
    by_contig: dict[int, list[Stretch]] = {}
    for stretch in targets.stretches:
        by_contig.setdefault(bam.get_tid(stretch.contig), []).append(stretch)
    for read in bam.fetch(until_eof=True):
        if read.flag & 4:
            if targets.unmapped and read.reference_id < 0:
                yield None, read
            continue
        for stretch in by_contig.get(read.reference_id, ()):
            end = read.reference_end or 0
            if read.reference_start < stretch.end and end > stretch.start:
                yield stretch, read
                break


def _stretch(text: str, contigs: Mapping[str, int]) -> Stretch:
    contig, _, span = text.rpartition(":")
    first, _, last = span.replace(",", "").partition("-")
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise ValueError(f"'{plain(text)}'")
    # Ensembl and 10x name the same chromosomes without and with "chr".
    for name in (contig, contig.removeprefix("chr"), f"chr{contig}"):
        if name in contigs and int(first) <= contigs[name]:
            return Stretch(name, int(first) - 1, min(int(last), contigs[name]))
    raise ValueError(f"'{plain(text)}', which does not lie on a contig of the file")


def _merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Join overlapping stretches, so that no read is met twice."""
    out: list[Stretch] = []
    for s in sorted(stretches, key=lambda s: (s.contig, s.start)):
        if out and out[-1].contig == s.contig and s.start <= out[-1].end:
            out[-1] = Stretch(s.contig, out[-1].start, max(s.end, out[-1].end))
        else:
            out.append(s)
    return out


def _is_grch38(contigs: Mapping[str, int]) -> bool:
    return all(n in (contigs.get(c), contigs.get(c.removeprefix("chr"))) for c, n in GRCH38.items())


def _broken(name: str, error: Exception) -> Problem:
    text = str(error)
    if "truncat" in text or "EOF" in text:
        return Problem(
            name, "a BAM file that is cut short", "the whole file with its own index; copy both again"
        )
    if "index" in text:
        return Problem(name, "an index that can't be read", "an index made with 'samtools index'")
    if "seek not implemented" in text:
        return Problem(name, "a BAM file packed by gzip", "one that samtools wrote (BGZF)")
    if "invalid contig" in text:
        return Problem(name, "an index of another file", "its own index; make it with 'samtools index'")
    return Problem(name, "no readable BAM file", "a BAM file with its header")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep htslib from printing paths to the standard error."""
    import pysam

    before = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(before)
