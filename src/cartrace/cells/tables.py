"""Tables of the cells stage, keyed by library and cell; later steps add tables, none changes another's.

A cell is its barcode as the count matrix writes it. Percentages are 0 to 100.
"""

from __future__ import annotations

from cartrace.cells.vocabulary import (
    CALLS,
    CELL_TYPES,
    CHEMISTRIES,
    DOMAIN_KINDS,
    EVIDENCE,
    LINEAGES,
    PHASES,
    REGION_CLASSES,
    SORTS,
    T_STATES,
    VERDICTS,
)
from cartrace.tables import Column, Table
from cartrace.vocabulary import DETECTIONS, MATRICES

_LIBRARY = Column("library", "text", "library_id of the libraries sheet.", required=True)
_CELL = Column("cell", "text", "Barcode as the count matrix writes it.", required=True)
_CONSTRUCT = Column("construct", "text", "CAR construct.", required=True)
_VERDICT = (
    Column("verdict", "text", "What the checks say.", required=True, allowed=VERDICTS),
    Column("flags", "text", "Broken rules, joined by ';'."),
    Column("reason", "text", "Why it does not count, in words."),
)

REGIONS = Table(
    "cell_construct_regions",
    "One stretch of a construct: can a read that starts there be told from endogenous transcripts.",
    (
        _CONSTRUCT,
        Column("chemistry", "text", "Which end is read.", required=True, allowed=CHEMISTRIES),
        Column("start", "integer", "First position, from 1.", required=True),
        Column("end", "integer", "Last position.", required=True),
        Column("class", "text", "What reads there tell.", required=True, allowed=REGION_CLASSES),
        Column("domain", "text", "Domain of the construct; several joined by ';'."),
        Column("gene", "text", "Endogenous gene that it is like."),
        Column("identity", "number", "Identity with it, 0 to 1."),
        Column(
            "mappability", "number", "Share of the reads over its positions that prove the CAR, mean, 0 to 1."
        ),
        Column(
            "reads_percent",
            "number",
            "Reads of a library that start here, %: model of fragments, the sequence taken as the whole transcript.",
        ),
    ),
    key=("construct", "chemistry", "start"),
)

DOMAINS = Table(
    "cell_construct_domains",
    "One domain of a construct, as annotated.",
    (
        _CONSTRUCT,
        Column("number", "integer", "Row of the annotation that names it, from 1.", required=True),
        Column("domain", "text", "Name.", required=True),
        Column("kind", "text", "What it is for.", required=True, allowed=DOMAIN_KINDS),
        Column("start", "integer", "First position, from 1.", required=True),
        Column("end", "integer", "Last position.", required=True),
        Column("strand", "text", "Strand."),
        Column("coding", "flag", "Whether it lies in the coding sequence.", required=True),
        Column(
            "in_frame", "flag", "Whether it begins with a whole codon; empty outside the coding sequence."
        ),
        Column("protein", "text", "Its whole codons, translated; empty outside the coding sequence."),
        Column(
            "provable", "number", "Share of its positions that lie in a read that proves the CAR, 0 to 1."
        ),
    ),
    key=("construct", "number"),
)

CELLS = Table(
    "cells",
    "One cell of one library: what was counted in it, and whether it keeps the limits of quality.",
    (
        _LIBRARY,
        _CELL,
        Column("umis", "integer", "UMIs of gene expression, CAR features left out.", required=True),
        Column("genes", "integer", "Genes with a UMI, CAR features left out.", required=True),
        Column(
            "mito_percent",
            "number",
            "UMIs of mitochondrial genes, %; empty when the matrix has none by name.",
        ),
        Column("ribo_percent", "number", "UMIs of ribosomal protein genes, %; likewise."),
        Column("haemoglobin_percent", "number", "UMIs of haemoglobin genes, %; likewise."),
        Column("car_umis", "integer", "UMIs of the CAR features; empty when the matrix has none."),
        Column(
            "car_tag_umis",
            "integer",
            "UMIs of the surface tag that reports the CAR; empty when there is none.",
        ),
        Column("tra", "integer", "TRA chains; empty when the library has no T-cell contigs."),
        Column("trb", "integer", "TRB chains."),
        Column("igh", "integer", "IGH chains; empty when the library has no B-cell contigs."),
        Column("igl", "integer", "IGK and IGL chains."),
        Column("t_clone", "text", "CDR3 nucleotides of its TRB and TRA chains."),
        Column("isotype", "text", "Constant gene of its IGH chain, as IGHM."),
        Column("passed", "flag", "Whether it keeps the limits of quality.", required=True),
        Column("quality_flags", "text", "Limits that it breaks, joined by ';'."),
    ),
    key=("library", "cell"),
)

AMBIENT = Table(
    "cell_ambient",
    "One feature of one library: what floats in its empty droplets.",
    (
        _LIBRARY,
        Column("feature", "text", "Id of the gene or CAR feature.", required=True),
        Column("umis", "integer", "UMIs in empty droplets together.", required=True),
        Column("share", "number", "Share of all UMIs in empty droplets, 0 to 1.", required=True),
    ),
    key=("library", "feature"),
)

LIBRARIES = Table(
    "cell_libraries",
    "One library: what it is, how good it is.",
    (
        _LIBRARY,
        Column("chemistry", "text", "Which end is read.", required=True, allowed=CHEMISTRIES),
        Column("sort", "text", "What was sorted.", required=True, allowed=SORTS),
        Column(
            "source", "text", "Program that counted: cellranger, starsolo, kallisto, unknown.", required=True
        ),
        Column("barcodes", "integer", "Barcodes in the filtered matrix.", required=True),
        Column("cells_passed", "integer", "Cells that keep the limits of quality.", required=True),
        Column("median_umis", "number", "Median UMIs of its barcodes."),
        Column("median_genes", "number", "Median genes of its barcodes."),
        Column("median_mito_percent", "number", "Median of mitochondrial UMIs, %."),
        Column("total_genes", "integer", "Genes with a UMI in any barcode."),
        Column("car_features", "text", "CAR features in the matrix, joined by ';'."),
        Column("car_umis", "integer", "Their raw UMIs in the filtered matrix, whatever the cell's quality."),
        Column(
            "xist_umis", "integer", "UMIs of XIST, which tells women; empty when the matrix lacks the gene."
        ),
        Column("y_umis", "integer", "UMIs of genes of the Y chromosome; empty when the matrix lacks them."),
        Column("empty_droplets", "integer", "Barcodes taken as empty; empty without a raw matrix."),
        Column("empty_umis", "integer", "UMIs in them."),
        Column("empty_car_umis", "integer", "UMIs of CAR features in them."),
        Column("ambient_percent", "number", "Estimated share of a cell's UMIs that are ambient, %."),
        Column("ambient_lower", "number", "Its lower limit, %."),
        Column("ambient_upper", "number", "Its upper limit, %."),
        *_VERDICT,
        Column("source_sha256", "text", "Digest of the files of the library.", required=True),
    ),
    key=("library",),
)

TYPES = Table(
    "cell_types",
    "One cell: its type and state, how sure they are, whether it is two cells.",
    (
        _LIBRARY,
        _CELL,
        Column("lineage", "text", "Lineage.", required=True, allowed=LINEAGES),
        Column("cell_type", "text", "Type.", required=True, allowed=tuple(CELL_TYPES)),
        Column("confidence", "number", "Confidence in the type, 0 to 1.", required=True),
        Column("state", "text", "State of a T cell; empty for other cells.", allowed=T_STATES),
        Column("state_confidence", "number", "Confidence in the state, 0 to 1."),
        Column("phase", "text", "Phase of the cell cycle.", allowed=PHASES),
        Column("cycling", "flag", "Whether it divides.", required=True),
        Column(
            "doublet_score",
            "number",
            "Share of simulated doublets among its neighbours, adjusted.",
            required=True,
        ),
        Column("doublet", "flag", "Whether it counts as two cells.", required=True),
        Column("doublet_evidence", "text", "Why: neighbours, receptors, lineages; joined by ';'."),
        Column("counts", "flag", "Whether it counts: passed, no doublet.", required=True),
    ),
    key=("library", "cell"),
)

MOLECULES = Table(
    "car_molecules",
    "One cell with CAR reads: molecules (UMIs) by what they prove.",
    (
        _LIBRARY,
        _CELL,
        _CONSTRUCT,
        Column("unique", "integer", "Molecules in discriminative regions.", required=True),
        Column("junction", "integer", "Molecules that span a junction of domains.", required=True),
        Column(
            "ambiguous", "integer", "Molecules that fit the CAR and an endogenous gene alike.", required=True
        ),
        Column("endogenous", "integer", "Molecules that fit an endogenous gene better.", required=True),
        Column("chimeric", "integer", "Molecules left out as chimeras.", required=True),
        Column("reads", "integer", "Reads behind unique and junction.", required=True),
    ),
    key=("library", "cell", "construct"),
)

COVERAGE = Table(
    "car_coverage",
    "Reads along a construct, in bins.",
    (
        _LIBRARY,
        _CONSTRUCT,
        Column("start", "integer", "First position of the bin, from 1.", required=True),
        Column("end", "integer", "Last position.", required=True),
        Column("unique", "number", "Mean depth of molecules that prove the CAR.", required=True),
        Column("ambiguous", "number", "Mean depth of ambiguous molecules.", required=True),
    ),
    key=("library", "construct", "start"),
)

VARIANTS = Table(
    "car_variants",
    "One place at which the reads differ from the registered construct.",
    (
        _LIBRARY,
        _CONSTRUCT,
        Column("position", "integer", "Position in the construct, from 1.", required=True),
        Column("reference", "text", "What the registered sequence says.", required=True),
        Column("observed", "text", "What the reads say.", required=True),
        Column("molecules", "integer", "Molecules that say so.", required=True),
        Column("depth", "integer", "Molecules over the position.", required=True),
        Column("effect", "text", "Change of the protein, in words."),
    ),
    key=("library", "construct", "position", "observed"),
)

CAR_READS = Table(
    "car_reads",
    "One construct in one library: what its reads say of it.",
    (
        _LIBRARY,
        _CONSTRUCT,
        Column("reads_fetched", "integer", "Reads that were looked at.", required=True),
        Column("reads_used", "integer", "Reads of molecules that prove the CAR.", required=True),
        Column("molecules", "integer", "Molecules that prove the CAR.", required=True),
        Column("cells", "integer", "Barcodes with such a molecule.", required=True),
        Column("chimeric_molecules", "integer", "Molecules left out as chimeras.", required=True),
        Column("sense_percent", "number", "Reads in the direction that the chemistry asks for, %."),
        Column("support", "number", "Share of specific molecules that fit this construct best, 0 to 1."),
        Column("in_product", "flag", "Whether the subject's product carries it.", required=True),
        Column("from_index", "flag", "Whether the index sufficed, without a full scan.", required=True),
    ),
    key=("library", "construct"),
)

CARS = Table(
    "car_calls",
    "One cell: does it carry the CAR.",
    (
        _LIBRARY,
        _CELL,
        Column("call", "text", "The call.", required=True, allowed=CALLS),
        Column("posterior", "number", "Probability that it carries the CAR, 0 to 1."),
        Column("molecules", "integer", "CAR molecules that the call rests on."),
        Column("ambient_expected", "number", "Ambient CAR molecules expected in it."),
        Column("evidence", "text", "What the molecules are.", required=True, allowed=EVIDENCE),
        Column("tag_positive", "flag", "Whether the surface tag says so."),
        Column("borrowed", "flag", "Whether its clone decided.", required=True),
        Column("own_posterior", "number", "Posterior before the clone."),
    ),
    key=("library", "cell"),
)

CAR_FRACTIONS = Table(
    "car_fractions",
    "One library: the CAR+ share of its T cells.",
    (
        _LIBRARY,
        Column("evidence", "text", "What the molecules are.", required=True, allowed=EVIDENCE),
        Column("t_cells", "integer", "T cells that count.", required=True),
        Column("positive", "integer", "T cells called positive.", required=True),
        Column("negative", "integer", "T cells called negative.", required=True),
        Column("undetermined", "integer", "T cells that stay undetermined.", required=True),
        Column(
            "fraction",
            "number",
            "CAR+ share of T cells, %; corrected for dropout and ambient. Empty when BLD or BLQ.",
        ),
        Column("lower", "number", "Lower limit, %."),
        Column("upper", "number", "Upper limit, %."),
        Column("lod", "number", "Smallest share that would be seen with 95 % probability, %."),
        Column("detection", "text", "As in measurements.", allowed=DETECTIONS),
        Column("naive_percent", "number", "T cells with any CAR UMI, %: what a rule of > 0 would say."),
        Column("mean_molecules", "number", "Mean CAR molecules of a CAR+ cell of median depth."),
        Column("dispersion", "number", "Dispersion (1 / size) of the negative binomial."),
        Column("ambient_rate", "number", "Ambient CAR molecules in a cell of median depth."),
        Column("ambient_lower", "number", "Its lower limit."),
        Column("ambient_upper", "number", "Its upper limit."),
        Column("ambient_source", "text", "empty_droplets, other_cells, both, or none."),
        Column("other_cells", "integer", "Cells that cannot carry the CAR."),
        Column("other_positive", "integer", "Of those, cells with a CAR molecule."),
        Column("threshold", "integer", "CAR molecules from which a T cell lies above ambient."),
        Column("above_threshold", "integer", "T cells with so many."),
        Column("blank_expected", "number", "T cells with so many that ambient predicts."),
        Column("blank_limit", "integer", "Most of them in a library without CAR: no more is BLD."),
        Column("calibrated_by", "text", "flow and pre_infusion, joined by ';'; empty: neither."),
        Column("uncalibrated_fraction", "number", "The fraction without what flow says, %."),
        *_VERDICT,
    ),
    key=("library",),
)

COMPOSITION = Table(
    "cell_composition",
    "One population of one sample: how many of its parent. Libraries of one sample and sort are pooled.",
    (
        Column("library", "text", "library_id; those that are pooled are joined by ';'.", required=True),
        Column("sort", "text", "What was sorted.", required=True, allowed=SORTS),
        Column("sample_id", "text", "Sample.", required=True),
        Column("subject_id", "text", "Subject.", required=True),
        Column("infusion", "integer", "Infusion.", required=True),
        Column("day", "number", "Days from the infusion.", required=True),
        Column("study_day", "number", "Days from the first infusion.", required=True),
        Column("matrix", "text", "Compartment.", required=True, allowed=MATRICES),
        Column("population", "text", "Population.", required=True),
        Column("parent", "text", "Of what.", required=True),
        Column("analyte", "text", "Analyte of percent in measurements; empty: only here."),
        Column("count_analyte", "text", "Analyte of cells_per_ul in measurements; empty: only here."),
        Column(
            "count",
            "number",
            "Cells; expected cells for a share that a model gives; empty where nothing can be said.",
        ),
        Column("total", "integer", "Cells of the parent."),
        Column("percent", "number", "Share of the parent, %; empty where it can't be told."),
        Column("lower", "number", "Lower limit, %."),
        Column("upper", "number", "Upper limit, %."),
        Column(
            "lod", "number", "Smallest share that would be seen with the probability of cells.confidence, %."
        ),
        Column("lloq", "number", "Smallest share that is quantified, %."),
        Column("detection", "text", "As in measurements.", allowed=DETECTIONS),
        Column("cells_per_ul", "number", "Cells/uL of blood, where a blood count is there."),
        Column("cells_per_ul_lower", "number", "Lower limit."),
        Column("cells_per_ul_upper", "number", "Upper limit."),
        *_VERDICT,
    ),
    key=("library", "population", "parent"),
)

OBS = Table(
    "cell_obs",
    "One cell of the cohort: whose it is, its type, its CAR call.",
    (
        _LIBRARY,
        _CELL,
        Column("sample_id", "text", "Sample.", required=True),
        Column("subject_id", "text", "Subject.", required=True),
        Column("infusion", "integer", "Infusion.", required=True),
        Column("day", "number", "Days from the infusion.", required=True),
        Column("study_day", "number", "Days from the first infusion.", required=True),
        Column("visit", "text", "Nominal visit."),
        Column("matrix", "text", "Compartment.", required=True, allowed=MATRICES),
        Column("chemistry", "text", "Which end is read.", required=True, allowed=CHEMISTRIES),
        Column("sort", "text", "What was sorted.", required=True, allowed=SORTS),
        Column("library_verdict", "text", "Verdict of its library.", required=True, allowed=VERDICTS),
        *(c for c in CELLS.columns if c.name not in {"library", "cell"}),
        *(c for c in TYPES.columns if c.name not in {"library", "cell"}),
        *(c for c in CARS.columns if c.name not in {"library", "cell"}),
    ),
    key=("library", "cell"),
)

EMBEDDING = Table(
    "cell_embedding",
    "One cell of the picture; no metric rests on it.",
    (
        _LIBRARY,
        _CELL,
        Column("x", "number", "First coordinate (UMAP).", required=True),
        Column("y", "number", "Second coordinate.", required=True),
    ),
    key=("library", "cell"),
)

CLUSTERS = Table(
    "cell_clusters",
    "One cell: its cluster.",
    (_LIBRARY, _CELL, Column("cluster", "integer", "Cluster, from 0, the largest first.", required=True)),
    key=("library", "cell"),
)

CLUSTER_TYPES = Table(
    "cell_cluster_types",
    "One cluster: which types its cells are.",
    (
        Column("cluster", "integer", "Cluster.", required=True),
        Column("cells", "integer", "Its cells.", required=True),
        Column("libraries", "integer", "Libraries that they come from.", required=True),
        Column("cell_type", "text", "Its most frequent type.", required=True, allowed=tuple(CELL_TYPES)),
        Column("type_percent", "number", "Share of that type, %.", required=True),
        Column("adjusted_rand", "number", "Agreement of all clusters with all types: 1 perfect, 0 chance."),
    ),
    key=("cluster",),
)

MARKERS = Table(
    "cell_markers",
    "One gene that is higher in a cluster than in all other cells.",
    (
        Column("cluster", "integer", "Cluster.", required=True),
        Column("gene", "text", "Id of the gene.", required=True),
        Column("symbol", "text", "Symbol.", required=True),
        Column("log2_fold_change", "number", "Of the mean normalised counts."),
        Column("p", "number", "Wilcoxon's rank-sum test; cells are no replicates: it ranks genes, no more."),
        Column("q", "number", "p after Benjamini-Hochberg within the cluster."),
    ),
    key=("cluster", "gene"),
)

EXPRESSION = Table(
    "cell_expression",
    "One gene in one contrast of pseudobulks, paired by subject.",
    (
        Column("contrast", "text", "What is compared.", required=True),
        Column(
            "gene", "text", "Id of the gene; an empty text for a contrast that is refused.", required=True
        ),
        Column("symbol", "text", "Symbol."),
        Column("log2_fold_change", "number", "First side over second; maximum likelihood, not shrunken."),
        Column("se", "number", "Its standard error."),
        Column("p", "number", "Wald test."),
        Column("q", "number", "p after Benjamini-Hochberg within the contrast."),
        Column("mean", "number", "Mean of the normalised counts over the pseudobulks."),
        Column("n_subjects", "integer", "Subjects with both sides.", required=True),
        Column("status", "text", "How far.", required=True, allowed=("estimated", "not_estimable")),
        Column("reason", "text", "Why it is not estimable."),
    ),
    key=("contrast", "gene"),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        REGIONS,
        DOMAINS,
        CELLS,
        AMBIENT,
        LIBRARIES,
        TYPES,
        MOLECULES,
        COVERAGE,
        VARIANTS,
        CAR_READS,
        CARS,
        CAR_FRACTIONS,
        COMPOSITION,
        OBS,
        EMBEDDING,
        EXPRESSION,
        CLUSTERS,
        CLUSTER_TYPES,
        MARKERS,
    )
}
"""Every table of the cells stage by name."""
