"""Settings of single-cell libraries: the section ``cells`` of the configuration.

Read while the Snakefile is parsed: nothing heavy.
"""

from __future__ import annotations

from pydantic import Field

from cartrace.section import Section


class Construct(Section):
    """One CAR construct of the trial: its sequence and its domains, private to the trial folder."""

    sequence: str = Field(
        description="FASTA with one record: the CAR, or better the whole transcript or vector."
    )
    annotation: str = Field(description="Its domains, as GTF, GFF3 or BED.")
    features: tuple[str, ...] = Field(
        (), description="Names or ids of the CAR in count matrices; empty: the construct's name."
    )


class Reference(Section):
    """What the construct is compared with, and what reads are counted on."""

    endogenous: str | None = Field(
        None,
        description="FASTA of endogenous transcripts that share domains with constructs; null: the transcripts that "
        "cartrace ships.",
    )
    genome: str | None = Field(None, description="Genome (FASTA), to count FASTQ files; null: none.")
    annotation: str | None = Field(None, description="Its genes (GTF).")
    counter: str = Field(
        "starsolo", pattern="^(starsolo|kallisto)$", description="Program that counts FASTQ files."
    )


class CarReads(Section):
    """CAR molecules from reads."""

    min_identity: float = Field(
        0.95,
        gt=0.5,
        le=1,
        description="Share of a read's bases that must agree with a construct or transcript for it to fit. Same limit as "
        "in the ambiguity map; House value.",
    )
    min_difference: int = Field(
        3,
        ge=1,
        description="Mismatches that the best endogenous transcript must have more than the construct before a read "
        "proves the CAR: one is a sequencing error or a polymorphism. House value.",
    )
    min_aligned: int = Field(
        40,
        ge=20,
        description="Bases of a read that must lie on a construct; the rest may hang over its end, when "
        "only part of the transcript is registered. House value.",
    )
    min_flank: int = Field(
        10,
        ge=5,
        description="Bases on both sides of a boundary between two domains for a read to span it, and bases "
        "that no endogenous transcript has for a read to be unique. House value.",
    )
    chimera_majority: float = Field(
        0.8,
        gt=0.5,
        le=1,
        description="A UMI with the same fragment in several cells stays with the cell that has at least this share of "
        "its reads; without such a cell none keeps it. As swapped molecules are judged by Griffiths 2018 (Nat Commun 9:2667; DropletUtils).",
    )
    min_reads: int = Field(
        1, ge=1, description="Reads that a molecule must have. House value: all molecules count."
    )
    min_sense_percent: float = Field(
        80,
        ge=50,
        le=100,
        description="Reads in the direction of the chemistry, %; below, a finding says that the chemistry may be wrong. "
        "House value.",
    )
    max_median_distance: int = Field(
        1500,
        ge=100,
        description="Largest median distance of reads from the end of the construct that the chemistry reads, bases; "
        "beyond, a finding. House value: fragments are 300 to 600 bases.",
    )
    min_support: float = Field(
        0.8,
        gt=0.5,
        le=1,
        description="Share of specific molecules that must fit constructs of the subject's product; below, a finding "
        "says which other one they fit. House value.",
    )
    min_support_molecules: int = Field(
        20, ge=1, description="Specific molecules before that share is judged. House value."
    )
    chimera_percent: float = Field(
        5,
        gt=0,
        le=100,
        description="Chimeric molecules of all, %, above which a finding says so. House value.",
    )
    variant_min_molecules: int = Field(
        5, ge=1, description="Molecules that must show a difference from the construct. House value."
    )
    variant_min_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the molecules over a position that must show it; Haradhvala 2022 (Nat Med 28:1848) took "
        "indels from half of the reads on.",
    )
    coverage_bin: int = Field(
        25, ge=1, description="Width of the bins of the coverage table, bases. House value."
    )
    loci: dict[str, str] = Field(
        default_factory=lambda: {
            "CD8A": "chr2:86784610-86808396",
            "CD28": "chr2:203706475-203738912",
            "TNFRSF9": "chr1:7915871-7943165",
            "CD247": "chr1:167430640-167518616",
            "CSF2RA": "chrX:1268800-1325373",
        },
        description="Endogenous genes that share domains with CARs, in the genome of the BAM: reads there are looked at. "
        "GRCh38 (NCBI Gene; CSF2RA [recalled]); used only when the BAM's chromosomes are as long as those of GRCh38, "
        "unless changed.",
    )
    binder_loci: dict[str, str] = Field(
        default_factory=lambda: {
            "IGH": "chr14:105586437-106879844",
            "IGK": "chr2:88857361-90235368",
            "IGL": "chr22:22026076-22922913",
        },
        description="Where an aligner puts reads of a human scFv when the CAR was not in its reference: looked at only "
        "then. GRCh38 (IMGT Repertoire, locus positions).",
    )


class CarCalls(Section):
    """Which cells carry the CAR."""


class Quality(Section):
    """Limits of cells and libraries."""


class Doublets(Section):
    """Two cells behind one barcode."""


class Types(Section):
    """Types and states of cells."""


class Composition(Section):
    """Shares of cells by sample."""


class Expression(Section):
    """Pseudobulk differential expression."""


class Embedding(Section):
    """The picture of all cells."""


class Cells(Section):
    """Single-cell libraries."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of all intervals of the cells stage.")
    seed: int = Field(
        1, ge=0, description="Seed of everything that draws at random; same seed, same numbers."
    )
    constructs: dict[str, Construct] = Field(
        default_factory=dict, description="CAR constructs by name; the products sheet names them."
    )
    reference: Reference = Field(default_factory=Reference)
    car_reads: CarReads = Field(default_factory=CarReads)
    car_calls: CarCalls = Field(default_factory=CarCalls)
    quality: Quality = Field(default_factory=Quality)
    doublets: Doublets = Field(default_factory=Doublets)
    types: Types = Field(default_factory=Types)
    composition: Composition = Field(default_factory=Composition)
    expression: Expression = Field(default_factory=Expression)
    embedding: Embedding = Field(default_factory=Embedding)
