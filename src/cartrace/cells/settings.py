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
    """Which cells carry the CAR (docs/car_calls.md)."""

    cannot_carry: tuple[str, ...] = Field(
        ("b", "plasma", "monocyte", "dendritic", "progenitor", "platelet", "erythroid"),
        description="Lineages that cannot carry the CAR: what is counted in them is ambient. Not NK cells, which are "
        "transduced with the T cells; take b and plasma out where the vector met B cells (Ruella 2018, Nat Med 24:1499). "
        "House value.",
    )
    min_t_cells: int = Field(
        20, ge=1, description="Fewest T cells that a fraction is estimated from. House value."
    )
    min_other_cells: int = Field(
        50,
        ge=1,
        description="Fewest cells that cannot carry the CAR for the ambient rate to count as seen in them. House value.",
    )
    false_discovery_rate: float = Field(
        0.05, gt=0, lt=0.5, description="Expected share of false ones among positive cells. Convention."
    )
    missed_rate: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="Expected share of CAR+ cells among negative cells; where that can't be kept, cells stay "
        "undetermined. House value.",
    )
    detection_probability: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Probability with which a blank library is not detected, and with which the limit of detection is "
        "seen (CLSI EP17-A2).",
    )
    min_cells: int = Field(
        2,
        ge=1,
        description="Fewest cells above the ambient threshold that count as detected: one alone may be a barcode that "
        "was misread. House value.",
    )
    mean_molecules: float = Field(
        3.0,
        gt=0,
        description="Usual mean of CAR molecules in a CAR+ cell of median depth: centre of a prior that matters when a "
        "handful of cells is positive. From libraries of the construct where there are any. House value, after the "
        "simulated range 0.8 to 8.",
    )
    mean_molecules_spread: float = Field(
        1.0, gt=0, description="Standard deviation of its natural logarithm. House value."
    )
    expression_spread: float = Field(
        0.8,
        gt=0,
        description="Usual standard deviation, on the natural logarithm, of true CAR expression between CAR+ cells. House value.",
    )
    expression_spread_spread: float = Field(
        0.5, gt=0, description="Standard deviation of its natural logarithm. House value."
    )
    ambient_share: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="Usual share of a cell's UMIs that floated in the droplet; 2 to 50 % are seen, around 5 % is common "
        "(Young and Behjati 2020, GigaScience 9:giaa151 [recalled]).",
    )
    ambient_share_spread: float = Field(
        1.5,
        gt=0,
        description="Standard deviation of its natural logarithm: so wide that where nothing tells the ambient rate, 2 % "
        "of the prior hold that all CAR molecules are ambient. House value.",
    )
    ambient_variation: float = Field(
        0.5,
        gt=0,
        description="Usual coefficient of variation of the ambient rate between cells. House value.",
    )
    ambient_variation_spread: float = Field(
        0.5, gt=0, description="Standard deviation of its natural logarithm. House value."
    )
    empty_droplets_spread: float = Field(
        0.3,
        gt=0,
        description="Standard deviation of the natural logarithm of the soup in a cell, when its share was estimated. House value.",
    )
    empty_droplets_spread_unknown: float = Field(
        0.7,
        gt=0,
        description="The same, when a cell is taken to hold the soup of a mean empty droplet. House value.",
    )
    hidden_t_cells: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="Expected share of T cells (doublets, wrong types) among the cells that cannot carry the CAR. House value.",
    )
    misassigned_molecules: float = Field(
        1e-4,
        gt=0,
        description="Usual count of endogenous molecules taken for CAR in a T cell of median depth, when molecules come "
        "from reads that were aligned again. House value.",
    )
    misassigned_counts: float = Field(
        5e-4,
        gt=0,
        description="The same for counts of the CAR feature: unique counting gave CAR > 0 in 0 to 0.3 % of CAR- cells "
        "(simulated tisa-cel reads; docs/car_calls.md).",
    )
    misassigned_spread: float = Field(
        1.5, gt=0, description="Standard deviation of the natural logarithm of both. House value."
    )
    before_spread: float = Field(
        0.5,
        gt=0,
        description="Standard deviation of the natural logarithm of the ratio of misassigned molecules between libraries "
        "of a subject. House value.",
    )
    flow_spread: float = Field(
        0.3,
        gt=0,
        description="Standard deviation of the logit of the CAR+ fraction between flow cytometry and transcripts: 0.3 "
        "is 43 to 57 % about 50 %. House value.",
    )
    min_clone_cells: int = Field(
        5,
        ge=2,
        description="Fewest T cells of a clone that lend each other evidence (Qin 2024: expanded clones).",
    )
    tag_limit: float = Field(
        100.0,
        gt=1,
        description="Most that the surface tag of one cell can change the odds of carrying the CAR. House value.",
    )
    min_tag_separation: float = Field(
        1.5,
        gt=0,
        description="Least distance between positive and negative cells by the tag, in standard deviations of the "
        "negative ones, for it to count. House value.",
    )
    draws: int = Field(2000, ge=200, description="Draws of each round of the sampler.")


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
