"""Settings of single-cell libraries: the section ``cells`` of the configuration.

Read while the Snakefile is parsed: nothing heavy.
"""

from __future__ import annotations

from pydantic import Field, field_validator

from cartrace.cells.vocabulary import CELL_TYPES, LINEAGES
from cartrace.section import Section
from cartrace.vocabulary import MATRICES


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
    whitelist: str | None = Field(
        None, description="Barcodes of the kit, one a line (txt or txt.gz); null: every barcode is kept."
    )
    barcode_length: int = Field(
        16, ge=8, le=32, description="Bases of the cell barcode: 16 in 10x v2 and v3 [recalled]."
    )
    umi_length: int = Field(
        12, ge=6, le=16, description="Bases of the UMI: 10 in 10x v2 and 5' v1 to v2, 12 in 3' v3 [recalled]."
    )
    paired: bool = Field(
        False,
        description="5' libraries whose first read goes on into the transcript, and is aligned too; false: its "
        "barcode and UMI only.",
    )
    read_length: int = Field(
        90,
        ge=25,
        le=500,
        description="Bases of the cDNA read, for the ambiguity map: 90 or 91 in 10x kits [recalled].",
    )
    identity: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Share of equal bases over a whole read from which it can't be told from an endogenous transcript. "
        "House value: sequencing errors and polymorphisms stay below 5 %.",
    )
    fragment_median: float = Field(
        350,
        gt=50,
        description="Median bases from the transcript's end to the far end of a read. House value.",
    )
    fragment_spread: float = Field(
        0.4, gt=0, le=2, description="Standard deviation of the logarithm of that distance. House value."
    )
    least_provable_percent: float = Field(
        20,
        ge=0,
        le=100,
        description="Share of a library's CAR reads that must prove the CAR; below it a warning. House value.",
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
    dim_share: float = Field(
        0.25,
        gt=0,
        lt=1,
        description="Expected share of CAR+ cells in a second, dimmer mode of expression (one copy of the vector, or a "
        "silenced one); trimodal CAR expression is seen in targeted panels. House value.",
    )
    dim_ratio: float = Field(
        0.3,
        gt=0,
        lt=1,
        description="Usual expression of the dim mode over that of the bright one. House value.",
    )
    dim_ratio_spread: float = Field(
        0.7, gt=0, description="Standard deviation of its natural logarithm. House value."
    )
    model_error: float = Field(
        0.1,
        ge=0,
        description="Standard deviation of the logit of the fraction that is added because no shape of expression is "
        "right: 0.1 is 47.5 to 52.5 % about 50 %. What the intervals of simulated libraries needed, whose expression "
        "bursts or has two modes (docs/car_calls.md). House value.",
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
        description="Coefficient of variation of the soup in a cell about what its estimated share says. House value.",
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
        description="Coefficient of variation of misassigned molecules between libraries of a subject. House value.",
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
    draws: int = Field(
        4000,
        ge=200,
        description="Draws of each round of the sampler, which ends when they are worth a quarter of these. House value.",
    )


class Quality(Section):
    """Limits of cells and libraries. None of them looks at the CAR.

    Qin 2024 (Science Immunology; NMOSD after CT103A) kept cells with 1,000 to 40,000 UMIs, 200 genes or more,
    less than 10 % mitochondrial UMIs, and log10(genes) / log10(UMIs) above 0.7.
    """

    min_umis: int = Field(
        500,
        ge=1,
        description="Fewest UMIs of a cell, whatever the library. House value; Qin 2024: 1,000, below which whole "
        "libraries of marrow lie (CARPALL: medians of 909 and 1,039).",
    )
    max_umis: int | None = Field(
        None,
        ge=1,
        description="Most UMIs of a cell, whatever the library; null: the robust limit alone. Qin 2024: 40,000.",
    )
    min_genes: int = Field(
        200, ge=1, description="Fewest genes of a cell, whatever the library. Source: Qin 2024."
    )
    min_complexity: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Least log10(genes) / log10(UMIs); below it a cell is dominated by few genes, as erythrocytes are. "
        "Source: Qin 2024.",
    )
    mads: float = Field(
        5.0,
        gt=0,
        description="Median absolute deviations (times 1.4826) from the library's median of log UMIs and log genes that a "
        "cell may lie away. Source: Germain 2020, recommended by Heumos 2023 [recalled].",
    )
    mito_mads: float = Field(
        3.0,
        gt=0,
        description="The same above the median of the mitochondrial share. Source: Heumos 2023 [recalled].",
    )
    mito_percent_allowed: float = Field(
        10.0,
        ge=0,
        le=100,
        description="Mitochondrial UMIs, %, that every cell may have: the robust limit is not set below. Source: Qin 2024.",
    )
    max_mito_percent: float = Field(
        25.0,
        ge=0,
        le=100,
        description="Mitochondrial UMIs, %, that no cell may have: the robust limit is not set above. House value: the "
        "median of a product may be 16 % (CARPALL), and Qin's limit of 10 % would leave little of it.",
    )
    min_cells_for_mads: int = Field(
        50,
        ge=10,
        description="Barcodes above the fixed limits from which robust limits are taken; fixed limits alone below. House "
        "value.",
    )
    failed_median_umis: float = Field(
        200.0,
        ge=0,
        description="A library whose barcodes have a lower median of UMIs has failed, and nothing of it counts. House "
        "value; a failed channel of CARPALL has a median of 2.",
    )
    failed_passed_percent: float = Field(
        10.0,
        ge=0,
        le=100,
        description="A library of whose barcodes fewer keep the limits, %, has failed. House value.",
    )
    flagged_passed_percent: float = Field(
        50.0, ge=0, le=100, description="The same, to be flagged. House value."
    )
    flagged_cells: int = Field(
        100,
        ge=0,
        description="A library with fewer cells that keep the limits is flagged: 100 cells leave 10 points of doubt in a "
        "share of one half. House value.",
    )
    flagged_ambient_percent: float = Field(
        20.0,
        ge=0,
        le=100,
        description="A library with a higher ambient share of UMIs is flagged. House value; 2 to 50 % are seen (Young and "
        "Behjati 2020, SoupX) [recalled].",
    )
    empty_umis: int = Field(
        100,
        ge=1,
        description="Most UMIs of a barcode that counts as an empty droplet, and a tenth of the cells' median at most. "
        "Source: Lun 2019 (EmptyDrops), lower.",
    )
    ambient_cells: int = Field(
        50,
        ge=10,
        description="Cells that must not express a set of genes, for the ambient share to be taken from it. House value.",
    )
    contigs_in_cells_percent: float = Field(
        20.0,
        ge=0,
        le=100,
        description="Share of the barcodes with contigs that must be barcodes of the matrix; below it the contigs belong "
        "to another library and are left out. House value.",
    )
    b_cells_without_contigs: int = Field(
        5,
        ge=1,
        description="Cells with UMIs of B-cell genes (three or more of MS4A1, CD79A, CD19) from which on an empty file of "
        "B-cell contigs is a flag; with fewer it is a note, since blood without B cells has none. House value.",
    )


class Doublets(Section):
    """Two cells behind one barcode."""

    rate_per_cell: float = Field(
        8e-6,
        ge=0,
        le=1e-3,
        description="Share of doublets for each barcode that was called a cell: 0.8 % in 1,000 cells. Source: Qin 2024 "
        "(10x Chromium).",
    )
    threshold: float = Field(
        0.3,
        gt=0,
        lt=1,
        description="Probability of two cells from which a barcode counts as a doublet. House value: of doublets planted in "
        "CARPALL 0.34 to 0.51 are found, and 1 to 3 % of the single cells are lost (docs/cells.md).",
    )
    simulated: float = Field(
        1.0, gt=0, le=5, description="Simulated doublets for each cell. Scrublet: 2. House value."
    )
    components: int = Field(
        20,
        ge=5,
        le=100,
        description="Principal components in which neighbours are sought. Scrublet: 30. House value.",
    )
    genes: int = Field(1000, ge=100, description="Variable genes from which they are computed. House value.")
    min_cells: int = Field(
        100,
        ge=20,
        description="Cells from which neighbours tell doublets; of fewer each gets the expected share. House value.",
    )
    max_heavy_chains: int = Field(
        2,
        ge=1,
        description="TRB (or IGH) chains that one cell can have, of both alleles; more are two cells. Source: allelic "
        "inclusion of TRB in 1 to 7 % of T cells [recalled].",
    )
    lineage_score: float = Field(
        12.0,
        gt=0,
        description="What the markers that no other lineage has must say for each of two lineages (natural logarithm of "
        "the likelihood ratio against none) for a cell to count as two. House value: finds 70 to 89 % of planted "
        "doublets of two lineages in labelled blood, and 1 to 2 % of its other cells (docs/cell_types.md).",
    )
    lineage_lift: float = Field(
        1.5,
        ge=0,
        description="How many times the expected share the probability from neighbours must be for two lineages to count: "
        "markers alone also meet ambient RNA. House value: takes most of the single cells off it that two lineages alone "
        "would lose in CARPALL, and few planted doublets (docs/cell_types.md).",
    )


class Types(Section):
    """Types and states of cells (docs/cell_types.md)."""

    panels: str | None = Field(
        None, description="Marker panels (YAML); null: resources/cells/panels.yaml, which cartrace ships."
    )
    celltypist_model: str | None = Field(
        None, description="Model file of CellTypist (pkl); read without running code of it. null: none."
    )
    celltypist_labels: str | None = Field(
        None,
        description="What its labels mean here (YAML, label: cell type); null: resources/cells/celltypist_labels.yaml, "
        "with the labels of two models.",
    )
    min_umis: int = Field(
        200,
        ge=1,
        description="UMIs below which a cell has no type. House value: such a barcode has few markers.",
    )
    min_confidence: float = Field(
        0.8, gt=0.5, lt=1, description="Probability below which a lineage or type is unassigned. House value."
    )
    min_state_confidence: float = Field(
        0.6,
        gt=0,
        lt=1,
        description="Probability below which the state of a T cell is unassigned; lower, because states go over into each "
        "other. House value.",
    )
    min_markers: int = Field(
        3, ge=1, description="Marker genes that a matrix must have for a class to be looked for. House value."
    )
    min_genes_percent: float = Field(
        10,
        ge=0,
        le=100,
        description="Genes of the panels that a matrix must have, %; below, it is of another species or naming, and "
        "nothing is typed. House value.",
    )
    ambient_percent: float = Field(
        5,
        ge=0,
        lt=100,
        description="Share of a cell's UMIs that are ambient, %, where the library's own share could not be estimated. "
        "House value: 2 to 10 % is usual (Young and Behjati 2020, GigaScience 9:giaa151) [recalled].",
    )
    background_floor: float = Field(
        0.05,
        gt=0,
        description="Least UMIs in 10,000 of a gene that a cell does not express: misplaced reads. House value.",
    )
    dispersion: float = Field(
        1,
        gt=0,
        description="Dispersion (1 / size) of the UMIs of a marker over cells that express it. House value: a marker "
        "varies about as much as its mean from cell to cell.",
    )
    most_of_a_gene: float = Field(
        4,
        gt=0,
        description="Most that one gene may say for a class, as natural logarithm of odds. House value.",
    )
    least_of_a_gene: float = Field(
        -2, lt=0, description="Most that the lack of one gene may say against a class, likewise. House value."
    )
    most_of_a_shared_gene: float = Field(
        1,
        gt=0,
        description="The same for genes that CARs share domains with, as CD8A: its UMIs may be the CAR's. House value.",
    )
    temperature: float = Field(
        2,
        ge=1,
        description="Markers of a class go together, so that the sum of what they say is divided by this. House value; "
        "1 and 4 give the same types of 99 % of labelled cells (docs/cell_types.md).",
    )
    receptor_error: float = Field(
        0.02,
        gt=0,
        lt=0.5,
        description="Share of cells whose receptor contig is not their own (ambient, doublet). House value.",
    )
    learned_prior_cells: float = Field(
        20,
        gt=0,
        description="Cells that the level of a panel counts as, beside the library's own clear cells. House value.",
    )
    variable_genes: int = Field(
        1000, ge=50, le=5000, description="Genes that neighbours are looked for with. House value."
    )
    components: int = Field(30, ge=2, le=100, description="Principal components of them. House value.")
    neighbours: int = Field(15, ge=1, le=100, description="Neighbours that settle a type. House value.")
    neighbour_rounds: int = Field(3, ge=0, le=20, description="Rounds of it; 0: none. House value.")
    neighbour_floor: float = Field(
        0.01,
        gt=0,
        lt=0.05,
        description="Least prior of a class that no neighbour has: own counts that speak for it 1 / this times better "
        "win, so that rare cells stay. House value.",
    )
    cycling_prior_percent: float = Field(
        5,
        gt=0,
        lt=100,
        description="Cells that divide, %, before their own counts are looked at. House value: about what blood has at "
        "most; in a product the counts overrule it.",
    )
    split_seeds: int = Field(
        20, ge=5, description="Clear CD4 and clear CD8 cells each, to learn from in a library. House value."
    )
    lacking_share: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="A double-negative T cell and its neighbours show at most this share of the CD4 and of the CD8 UMIs "
        "that CD4 and CD8 T cells would. House value.",
    )
    lacking_expected: float = Field(
        5,
        gt=0,
        description="UMIs that would have been expected, below which nothing is called double negative. House value: "
        "none of 5 happens by chance in 0.7 %.",
    )
    max_unassigned_percent: float = Field(
        30, ge=0, le=100, description="Passed cells without a lineage, %, above which a finding. House value."
    )
    min_sorted_percent: float = Field(
        80,
        ge=0,
        le=100,
        description="Cells of a sorted library, %, that must be what was sorted; below, a finding. House value.",
    )
    min_agreement_percent: float = Field(
        80,
        ge=0,
        le=100,
        description="Cells with a lineage from both panels and CellTypist model that must agree, %; below, a finding. "
        "House value.",
    )


class Composition(Section):
    """Shares of cells by sample."""

    lymphocytes: tuple[str, ...] = Field(
        ("t", "nk", "b", "plasmablast"),
        min_length=1,
        description="Lineages and types that a laboratory's lymphocyte count counts; cells/uL rest on it. House value: "
        "plasmablasts are counted as lymphocytes by most analysers [recalled], plasma cells are hardly there.",
    )
    min_parent_cells: int = Field(
        20,
        ge=1,
        description="Fewest cells of a parent whose shares are told; of 20 cells a share of one half is known to "
        "within 23 points. House value.",
    )
    min_cells_lod: int = Field(
        1,
        ge=1,
        description="Fewest cells of a detected population; fewer are below detection. House value: one cell that keeps "
        "the limits of quality and is no doublet was there.",
    )
    min_cells_lloq: int = Field(
        16,
        ge=1,
        description="Fewest cells of a quantified population: counting alone then has a CV of 25 %, the limit of the GMO "
        "rule (PMC8282960, table 2).",
    )
    max_unassigned_percent: float = Field(
        20.0,
        ge=0,
        le=100,
        description="Share of cells of a parent without a type (or state) above which the shares of its parts are "
        "flagged: they are too low by up to so much. House value.",
    )
    apart_odds: float = Field(
        2.0,
        gt=1,
        description="Odds ratio between two libraries of one sample, beside exact intervals that are apart, from which "
        "their shares contradict each other. House value.",
    )
    min_sex_umis: int = Field(
        50,
        ge=1,
        description="Fewest UMIs of XIST and of genes of the Y chromosome together that tell the sex of a library. House "
        "value.",
    )
    max_other_sex_percent: float = Field(
        10.0,
        gt=0,
        lt=50,
        description="Share of these UMIs that ambient RNA and doublets may bring from the other sex, %. House value.",
    )

    @field_validator("lymphocytes")
    @classmethod
    def _named(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = (*LINEAGES, *CELL_TYPES)
        for name in names:
            if name not in known:
                raise ValueError(f"one of {', '.join(known)}, not '{name}'")
        return names


class Expression(Section):
    """Pseudobulk differential expression."""

    matrices: tuple[str, ...] = Field(
        ("blood", "pbmc"),
        min_length=1,
        description="Compartments of the samples beside the infusion product.",
    )
    peak_days: tuple[float, float] = Field(
        (7, 14),
        description="Days from the infusion of the peak. Source: Qin 2024 (Science Immunology), early.",
    )
    late_days: tuple[float, float] = Field(
        (21, 28), description="Days from the infusion of the late CAR-T cells. Source: Qin 2024."
    )
    after_days: tuple[float, float] = Field(
        (60, 400),
        description="Days from the infusion of B cells that came back; what is compared with them lies before the "
        "infusion. Qin 2024 took 3 months; how wide it is is a house value.",
    )
    min_pairs: int = Field(
        3,
        ge=2,
        description="Fewest subjects with both sides of a contrast. House value; DESeq2 needs a replicate, and three "
        "are the least that biologists accept (Schurch 2016, RNA 22:839, asks for six) [recalled].",
    )
    min_cells: int = Field(
        10,
        ge=1,
        description="Fewest cells of a subject on one side. Source: muscat's aggregated samples need 10 (Crowell 2020, Nat "
        "Commun 11:6077) [recalled].",
    )
    min_counts: int = Field(
        10,
        ge=0,
        description="Fewest UMIs of a gene over all pseudobulks of a contrast. Source: DESeq2 vignette, pre-filtering "
        "[recalled].",
    )
    alpha: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="False-discovery rate that independent filtering is tuned for. House value.",
    )
    left_out: tuple[str, ...] = Field(
        ("CD247", "CD28", "CD8A", "TNFRSF9", "CSF2RA"),
        description="Symbols of genes that CARs share sequence with: left out, beside the CAR, where CAR+ cells are compared "
        "with CAR- ones, and from the embedding. Source: reference B2.",
    )

    @field_validator("matrices")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in MATRICES:
                raise ValueError(f"one of {', '.join(MATRICES)}, not '{name}'")
        return names

    @field_validator("peak_days", "late_days", "after_days")
    @classmethod
    def _ordered(cls, days: tuple[float, float]) -> tuple[float, float]:
        if days[0] > days[1]:
            raise ValueError(f"the first day is not after the last, as in [{days[0]:g}, {days[1]:g}]")
        return days


class Embedding(Section):
    """The picture of all cells, and clusters; no metric rests on either."""

    max_cells: int = Field(
        20_000,
        ge=10,
        description="Cells in the picture; of more, a sketch that keeps rare types. House value.",
    )
    min_of_type: int = Field(
        50,
        ge=0,
        description="Cells of each type of each library that a sketch keeps, where there are so many. House value.",
    )
    genes: int = Field(
        2000, ge=10, description="Most variable genes. Source: the default of scanpy and Seurat [recalled]."
    )
    components: int = Field(
        30, ge=2, description="Principal components. Source: Qin 2024 (Science Immunology)."
    )
    neighbours: int = Field(15, ge=2, description="Neighbours of a cell. Source: default of UMAP.")
    min_distance: float = Field(
        0.3, gt=0, le=1, description="UMAP's min_dist. Source: Seurat's default [recalled]."
    )
    epochs: int = Field(
        200, ge=10, description="Rounds of UMAP's layout. Source: UMAP's default for many cells."
    )
    harmonise: bool = Field(True, description="Align libraries by Harmony, for the picture and the clusters.")
    resolution: float = Field(
        1.0, gt=0, description="Resolution of Leiden clusters. Source: default of scanpy."
    )
    max_markers: int = Field(100, ge=1, description="Markers of a cluster that are written. House value.")


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
