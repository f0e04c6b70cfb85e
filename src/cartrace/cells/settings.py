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
