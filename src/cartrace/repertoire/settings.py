"""Settings of clones and integration sites: the section ``repertoire`` of the configuration.

Read while the Snakefile is parsed: nothing heavy.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cartrace.section import Section


class Contigs(Section):
    """Which contigs count."""

    min_umis: int = Field(1, ge=1, description="Fewest UMIs of a chain that counts. House value.")
    full_length: bool = Field(
        False, description="Count only chains that the assembler calls full length, where the file says it?"
    )
    multichain_percent: float = Field(
        10.0,
        ge=0,
        le=100,
        description="Share of barcodes with more chains than one cell has, above which a library warns. House value.",
    )
    ambiguous_percent: float = Field(
        5.0,
        ge=0,
        le=100,
        description="Share of barcodes with chains of two kinds of cells above which a library warns. House value.",
    )
    no_c_gene_percent: float = Field(
        10.0,
        ge=0,
        le=100,
        description="Share of TRB or IGH chains without a constant gene above which it is told. House value.",
    )


class Clonotypes(Section):
    """When two cells are of one clone."""

    t_chains: Literal["trb", "paired"] = Field(
        "trb",
        description="What tells a T-cell clone: the beta chain (an alpha chain is missed in every fifth cell, and would "
        "split a clone), or both chains. Both are in the tables; this one is tracked.",
    )
    t_sequence: Literal["nt", "aa"] = Field(
        "nt",
        description="Identical CDR3 as nucleotides (a clone) or as amino acids (a specificity, which two clones can share).",
    )
    b_sequence: Literal["nt", "aa"] = Field("nt", description="CDR3 of the heavy chain that is compared.")
    b_identity: float = Field(
        0.85,
        gt=0.5,
        le=1,
        description="Least identity of two heavy-chain CDR3 of one length, V gene and J gene in one B-cell clone (single "
        "linkage by Hamming distance). 0.85 is the default of dandelion and common for nucleotides [recalled].",
    )


class Tracking(Section):
    """Clones between samples."""

    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="Level of all intervals of the repertoire stage."
    )
    min_cells: int = Field(
        3,
        ge=2,
        description="Fewest cells of a clone in two samples together for a test between them: with fewer no test can be "
        "significant. House value.",
    )
    fdr: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="False-discovery rate of Benjamini and Hochberg (1995), in one pair of samples.",
    )
    expanded_cells: int = Field(
        5,
        ge=2,
        description="Cells of an expanded clone in one sample. Source: Qin 2024 (Science Immunology).",
    )
    size_bins: tuple[int, ...] = Field(
        (2, 5, 10),
        description="First sizes of the bins after 'unique': 2 to 4, 5 to 9, 10 and more. Source: Qin 2024.",
    )
    min_sample_cells: int = Field(
        20, ge=1, description="Cells with a clone that a sample needs for shares and overlaps. House value."
    )
    shown_clones: int = Field(
        12, ge=1, le=40, description="Clones that the tracking plot names. House value."
    )


class Diversity(Section):
    """Indices of diversity."""

    rarefied_to: int | None = Field(
        None,
        ge=10,
        description="Cells to which the samples of a subject are rarefied; null: those of the smallest sample that has "
        "min_cells.",
    )
    min_cells: int = Field(
        50,
        ge=10,
        description="Cells below which a sample has no index that rests on equal depth. House value.",
    )
    bootstraps: int = Field(200, ge=50, le=10_000, description="Bootstrap samples of an interval.")


class Sharing(Section):
    """Clones that two subjects share."""

    fdr: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="False-discovery rate at which two libraries share too many clones. House value.",
    )
    min_shared: int = Field(3, ge=1, description="Fewest shared clones that are a finding. House value.")
    swap_overlap: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Morisita-Horn overlap of two subjects from which their samples look exchanged. House value.",
    )


class BCells(Section):
    """B cells that return."""

    mutated_above: float = Field(
        0.02,
        ge=0,
        lt=1,
        description="Mutation frequency of the V gene above which a B cell is mutated: the limit of 98 % identity used "
        "for IGHV in leukaemia [recalled].",
    )
    min_cells: int = Field(
        10,
        ge=1,
        description="B cells with a heavy chain that a share needs; with fewer it is flagged. House value.",
    )
    min_known_percent: float = Field(
        80.0,
        gt=0,
        le=100,
        description="Share of a sample's B cells whose constant gene (or mutation frequency) must be known; with fewer a "
        "share that rests on it is flagged, since the others may differ. House value.",
    )


class SiteColumns(Section):
    """Columns of a table of integration sites, as the laboratory writes them."""

    chromosome: str = Field("chrom", description="Chromosome.")
    position: str = Field("start", description="Position of the host base beside the vector.")
    strand: str = Field("strand", description="Orientation of the vector: + or -.")
    abundance: str = Field("estAbund", description="Cells by sonic lengths or UMIs (INSPIIRED: estAbund).")
    specimen: str | None = Field("specimen", description="Specimen; null: the file is of one.")
    gene: str | None = Field("nearest_gene", description="Gene; null: none told.")
    distance: str | None = Field("nearest_geneDist", description="Distance to it in bases; null: none told.")
    within: str | None = Field(
        "in_gene",
        description="Gene that the site lies in (FALSE or empty: none), however far its ends; null: none told.",
    )


class Junctions(Section):
    """Junctions of vector and host in a BAM."""

    vector: tuple[str, ...] = Field((), description="Names of the vector's sequences in the BAM.")
    ends: dict[str, tuple[int, int]] = Field(
        {},
        description="Of a vector's sequence that holds more than what integrates (a plasmid): its first and last base from "
        "LTR to LTR, from 1. Others integrate from end to end.",
    )
    ltr: int = Field(
        0,
        ge=0,
        description="Bases that the integrated vector begins and ends with alike (LTR); reads in them are put at either "
        "end by chance. 0: none.",
    )
    end_margin: int = Field(
        10,
        ge=0,
        le=200,
        description="Bases from the vector's end within which a junction is an integration; further inside it is a "
        "rearrangement, or homology of vector and host (a promoter, CD8A, CD247). House value.",
    )
    min_mapping_quality: int = Field(
        20, ge=0, le=60, description="Mapping quality of the host's part of a read. House value."
    )
    min_part: int = Field(20, ge=10, description="Fewest bases of a split read on either side. House value.")
    max_insert: int = Field(
        1000, ge=50, description="Longest fragment of a pair that lies on host and vector. House value."
    )
    same_site: int = Field(
        5,
        ge=0,
        le=100,
        description="Bases within which two junctions of one orientation are one site. House value.",
    )
    min_fragments: int = Field(1, ge=1, description="Fewest different fragments behind a site. House value.")


class Sites(Section):
    """Integration sites of the vector."""

    columns: SiteColumns = Field(default_factory=SiteColumns)
    junctions: Junctions = Field(default_factory=Junctions)
    genome: str = Field(
        "GRCh38",
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Assembly of all positions; sites of two are never joined.",
    )
    genes_of_concern: str | None = Field(
        None, description="List of gene symbols, one a line, of the trial folder; null: none."
    )
    gene_distance: int = Field(
        50_000,
        ge=0,
        description="Bases within which a site lies near a gene of concern (INSPIIRED [recalled]).",
    )
    dominant_percent: float = Field(
        20.0,
        gt=0,
        le=100,
        description="Share of one site from which it is dominant, by its lower limit. 20 % as in INSPIIRED's reports "
        "[recalled].",
    )
    min_abundance: int = Field(
        10,
        ge=1,
        description="Abundance of a sample (cells by sonic lengths) below which no share raises an alarm. House value.",
    )
    growth_per_month: float = Field(
        1.5,
        gt=1,
        description="Factor a month by which the share of a site grows at least, by its lower limit, for an alarm. House "
        "value: docs/integration_sites.md has what it costs and sees in simulated courses.",
    )
    growth_percent: float = Field(
        5.0,
        ge=0,
        le=100,
        description="Share that a growing site, or one near a gene of concern, has reached by its lower limit, %. House "
        "value.",
    )


class Repertoire(Section):
    """Clones and integration sites."""

    seed: int = Field(
        1, ge=0, description="Seed of everything that draws at random; same seed, same numbers."
    )
    contigs: Contigs = Field(default_factory=Contigs)
    clonotypes: Clonotypes = Field(default_factory=Clonotypes)
    tracking: Tracking = Field(default_factory=Tracking)
    diversity: Diversity = Field(default_factory=Diversity)
    sharing: Sharing = Field(default_factory=Sharing)
    b_cells: BCells = Field(default_factory=BCells)
    sites: Sites = Field(default_factory=Sites)
