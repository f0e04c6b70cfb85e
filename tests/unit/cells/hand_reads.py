"""BAM files of a few reads, written by hand, and the made-up construct in a small genome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pysam

from cartrace.cells.bam import Tally, Targets, find_targets, open_bam, read_car_reads
from cartrace.cells.car_reads import CarMolecules, collect, count_car_molecules
from cartrace.cells.constructs import Domain
from cartrace.cells.matching import Matcher
from cartrace.cells.settings import CarReads
from cartrace.simulate.cell_reads import CellRead, Genome, make_genome, write_bam
from cartrace.simulate.construct import made_up_construct, made_up_endogenous

SETTINGS = CarReads()
ENDOGENOUS = made_up_endogenous()
SHARED = ("CD8A", "CD28", "TNFRSF9", "CD247", "CSF2RA")


@dataclass(frozen=True)
class Car:
    """A construct as the tests make them."""

    name: str
    sequence: str
    domains: tuple[Domain, ...]
    coding: tuple[int, int] | None = None


def made_up_car() -> Car:
    """The made-up construct with its coding sequence."""
    made = made_up_construct()
    coding = [d for d in made.domains if d.frame is not None]
    return Car(made.name, made.sequence, made.domains, (coding[0].start, coding[-1].end))


CAR = made_up_car()


def domain(kind: str) -> Domain:
    return next(d for d in CAR.domains if d.kind == kind)


def matcher(*cars: Car, settings: CarReads = SETTINGS) -> Matcher:
    return Matcher(cars or (CAR,), {g: ENDOGENOUS[g] for g in SHARED}, settings)


def write_reads(path: Path, contigs: Mapping[str, int], reads: Iterable[dict[str, Any]]) -> Path:
    """Write a sorted BAM file with its index; a read without ``contig`` is unmapped.

    Keys: contig, start (from 0), flag, sequence, cigar, quality, tags.
    """
    header = pysam.AlignmentHeader.from_dict(
        {
            "HD": {"VN": "1.6", "SO": "coordinate"},
            "SQ": [{"SN": n, "LN": m} for n, m in contigs.items()],
        }
    )
    segments = []
    for i, read in enumerate(reads):
        segment = pysam.AlignedSegment(header)
        segment.query_name = f"r{i}"
        sequence = read.get("sequence", "ACGTTGCA" * 5)
        segment.query_sequence = sequence
        segment.flag = read.get("flag", 0) | (0 if "contig" in read else 4)
        if "contig" in read:
            segment.reference_id = list(contigs).index(read["contig"])
            segment.reference_start = read["start"]
            segment.mapping_quality = read.get("quality", 255)
            segment.cigarstring = read.get("cigar", f"{len(sequence)}M")
        segment.set_tags(list(read.get("tags", {"CB": "AAAC-1", "UB": "ACGTACGTAC"}).items()))
        segments.append(segment)
    segments.sort(key=lambda s: (s.reference_id < 0, s.reference_id, s.reference_start))
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        for segment in segments:
            file.write(segment)
    pysam.index(str(path))
    return path


def simulated_bam(
    path: Path, reads: list[CellRead], *, contig: bool = True, cars: tuple[Car, ...] = (CAR,)
) -> Genome:
    """Write simulated reads over a genome with or without the contigs of the CARs."""
    genome = make_genome(ENDOGENOUS, {c.name: c.sequence for c in cars} if contig else None)
    write_bam(path, reads, genome)
    return genome


def count(
    path: Path,
    genome: Genome,
    *cars: Car,
    chemistry: str = "5p",
    product: tuple[str, ...] = (CAR.name,),
    settings: CarReads = SETTINGS,
) -> CarMolecules:
    """Count the CAR molecules of a simulated BAM file."""
    cars = cars or (CAR,)
    tally = Tally()
    with open_bam(path, path.name) as bam:
        targets = targets_of(genome, *cars)
        evidence = collect(read_car_reads(bam, targets, tally), matcher(*cars, settings=settings), chemistry)
        return count_car_molecules(
            evidence,
            cars,
            settings,
            library="L1",
            chemistry=chemistry,
            product=product,
            targets=targets,
            tally=tally,
            from_index=bam.has_index(),
            file=path.name,
        )


def targets_of(genome: Genome, *cars: Car) -> Targets:
    return find_targets(
        {n: len(s) for n, s in genome.contigs.items()},
        {c.name: ((c.name,), len(c.sequence)) for c in cars},
        loci=genome.loci(SHARED),
        binder_loci={},
        file="x.bam",
        shipped_loci=False,
    )


def other_car() -> Car:
    """Another CAR with the same plan: its binder and vector are different letters, shared domains the same."""
    made = made_up_construct(seed=99)
    letters = list(made.sequence)
    for kind in ("hinge", "transmembrane", "costimulation", "signalling"):
        d = domain(kind)
        letters[d.start - 1 : d.end] = CAR.sequence[d.start - 1 : d.end]
    return replace(CAR, name="other", sequence="".join(letters))
