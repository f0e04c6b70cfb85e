"""Tables of the cells stage, keyed by library and cell; later steps add tables, none changes another's.

A cell is its barcode as the count matrix writes it. Percentages are 0 to 100.
"""

from __future__ import annotations

from cartrace.cells.vocabulary import (
    CALLS,
    CELL_TYPES,
    CHEMISTRIES,
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
    ),
    key=("construct", "chemistry", "start"),
)

CELLS = Table(
    "cells",
    "One cell of one library: what was counted in it, and whether it keeps the limits of quality.",
    (
        _LIBRARY,
        _CELL,
        Column("umis", "integer", "UMIs of gene expression, CAR features left out.", required=True),
        Column("genes", "integer", "Genes with a UMI, CAR features left out.", required=True),
        Column("mito_percent", "number", "UMIs of mitochondrial genes, %.", required=True),
        Column("ribo_percent", "number", "UMIs of ribosomal protein genes, %.", required=True),
        Column("haemoglobin_percent", "number", "UMIs of haemoglobin genes, %.", required=True),
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
        Column("empty_droplets", "integer", "Barcodes taken as empty; empty without a raw matrix."),
        Column("empty_umis", "integer", "UMIs in them."),
        Column("empty_car_umis", "integer", "UMIs of CAR features in them."),
        Column("ambient_percent", "number", "Estimated share of a cell's UMIs that are ambient, %."),
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
        Column("fraction", "number", "CAR+ share of T cells, %; corrected for dropout and ambient."),
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
        Column("calibrated_by", "text", "flow, pre_infusion, or empty."),
        *_VERDICT,
    ),
    key=("library",),
)

COMPOSITION = Table(
    "cell_composition",
    "One population of one library: how many of its parent.",
    (
        _LIBRARY,
        Column("sample_id", "text", "Sample.", required=True),
        Column("subject_id", "text", "Subject.", required=True),
        Column("infusion", "integer", "Infusion.", required=True),
        Column("day", "number", "Days from the infusion.", required=True),
        Column("study_day", "number", "Days from the first infusion.", required=True),
        Column("matrix", "text", "Compartment.", required=True, allowed=MATRICES),
        Column("population", "text", "Population.", required=True),
        Column("parent", "text", "Of what.", required=True),
        Column("analyte", "text", "Analyte in measurements; empty: only here."),
        Column("count", "number", "Cells; expected cells for a share that a model gives.", required=True),
        Column("total", "integer", "Cells of the parent.", required=True),
        Column("percent", "number", "Share of the parent, %; empty without a parent."),
        Column("lower", "number", "Lower limit, %."),
        Column("upper", "number", "Upper limit, %."),
        Column("cells_per_ul", "number", "Cells/uL of blood, where a blood count is there."),
        Column("cells_per_ul_lower", "number", "Lower limit."),
        Column("cells_per_ul_upper", "number", "Upper limit."),
        *_VERDICT,
    ),
    key=("library", "population", "parent"),
)
