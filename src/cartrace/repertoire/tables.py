"""Tables of clones and integration sites.

A cell is its barcode as the count matrix writes it (as the contigs write it, where there is no matrix).
Percentages are 0 to 100.
"""

from __future__ import annotations

from cartrace.cells.vocabulary import CALLS, CELL_TYPES, LINEAGES, T_STATES
from cartrace.repertoire.vocabulary import (
    B_MEASURES,
    CHANGES,
    INDICES,
    LOCI,
    PAIRINGS,
    POPULATIONS,
    RECEPTORS,
    SHARINGS,
    SITE_ALARMS,
    UNITS,
    VERDICTS,
)
from cartrace.tables import Column, Table
from cartrace.vocabulary import MATRICES

_LIBRARY = Column("library", "text", "library_id of the libraries sheet.", required=True)
_CELL = Column("cell", "text", "Barcode.", required=True)
_SUBJECT = Column("subject_id", "text", "Subject.", required=True)
_SAMPLE = (
    Column("sample_id", "text", "Sample.", required=True),
    Column("infusion", "integer", "Number of the infusion that the sample belongs to.", required=True),
    Column("day", "number", "Days from that infusion.", required=True),
    Column("study_day", "number", "Days from the subject's first infusion.", required=True),
    Column("matrix", "text", "Compartment.", required=True, allowed=MATRICES),
)
_POPULATION = Column("population", "text", "Whose clones.", required=True, allowed=POPULATIONS)
_CLONE = Column(
    "clonotype", "text", "Clone: the same receptor has the same name in every run.", required=True
)
_SHARE = (
    Column("percent", "number", "Share, %."),
    Column("lower", "number", "Lower exact limit (Clopper and Pearson), %."),
    Column("upper", "number", "Upper exact limit, %."),
)
_GENES = (
    Column("v_gene", "text", "V gene."),
    Column("j_gene", "text", "J gene."),
    Column("cdr3_nt", "text", "CDR3 with both conserved residues (AIRR: junction), nucleotides."),
    Column("cdr3_aa", "text", "The same as amino acids."),
)

CHAINS = Table(
    "repertoire_chains",
    "One contig of one library that counts: productive, confident, in a cell.",
    (
        _LIBRARY,
        _CELL,
        Column("contig", "text", "Name of the contig, each once in a library.", required=True),
        Column("locus", "text", "Locus.", required=True, allowed=LOCI),
        Column(
            "rank",
            "integer",
            "Place among the different chains of its locus in the cell, from 1: most UMIs first.",
            required=True,
        ),
        *_GENES,
        Column("d_gene", "text", "D gene."),
        Column("c_gene", "text", "Constant gene."),
        Column("umis", "integer", "UMIs; 1 where the file has none.", required=True),
        Column("reads", "integer", "Reads."),
        Column(
            "mutation_frequency",
            "number",
            "Share of the V gene's bases that differ from the germline, 0 to 1.",
        ),
    ),
    key=("library", "contig"),
)

CELL_RECEPTORS = Table(
    "repertoire_cells",
    "One barcode with a chain: which, and whether they are those of one cell.",
    (
        _LIBRARY,
        _CELL,
        Column("receptor", "text", "Of a T cell, a B cell, or both.", required=True, allowed=RECEPTORS),
        Column("pairing", "text", "Chains of the cell.", required=True, allowed=PAIRINGS),
        *(Column(locus.lower(), "integer", f"Different {locus} chains.", required=True) for locus in LOCI),
        Column(
            "counts", "flag", "Whether it can be of a clone: not multichain, not ambiguous.", required=True
        ),
    ),
    key=("library", "cell"),
)

CLONE_CELLS = Table(
    "clone_cells",
    "One cell with a clone.",
    (
        _SUBJECT,
        _LIBRARY,
        _CELL,
        Column("sample_id", "text", "Sample.", required=True),
        Column("receptor", "text", "T or B.", required=True, allowed=RECEPTORS[:2]),
        _CLONE,
        Column("beta_clonotype", "text", "T: clone by its beta chain."),
        Column(
            "paired_clonotype", "text", "T: clone by both chains; empty where the alpha chain leaves it open."
        ),
        Column(
            "cell_type",
            "text",
            "Type of the cells stage; empty without a count matrix.",
            allowed=tuple(CELL_TYPES),
        ),
        Column("lineage", "text", "Lineage, likewise.", allowed=LINEAGES),
        Column("state", "text", "State of a T cell, likewise.", allowed=T_STATES),
        Column("car", "text", "CAR call, likewise; positive where CAR+ cells were sorted.", allowed=CALLS),
        Column("isotype", "text", "Constant gene of the heavy chain of a B cell."),
        Column("mutation_frequency", "number", "Of the heavy chain's V gene, 0 to 1."),
        Column(
            "counts",
            "flag",
            "Whether the cells stage lets it count (quality, no doublet) with this receptor's lineage; true without a matrix.",
            required=True,
        ),
    ),
    key=("library", "cell", "receptor"),
)

CLONES = Table(
    "clones",
    "One clone of one subject.",
    (
        _SUBJECT,
        Column("receptor", "text", "T or B.", required=True, allowed=RECEPTORS[:2]),
        _CLONE,
        *_GENES,
        Column(
            "alpha_cdr3_aa",
            "text",
            "T: CDR3 of the alpha (gamma) chain of most cells; B: of the light chain.",
        ),
        Column("paired_clonotypes", "integer", "T: clones by both chains in it."),
        Column("cells", "integer", "Cells that count, in all samples.", required=True),
        Column("samples", "integer", "Samples with such a cell.", required=True),
        Column("in_product", "flag", "Whether it was seen in an infusion product.", required=True),
        Column("car_positive", "integer", "Cells called CAR+."),
        Column("car_negative", "integer", "Cells called CAR-."),
        Column("first_study_day", "number", "First day on which it was seen.", required=True),
        Column("last_study_day", "number", "Last day on which it was seen.", required=True),
    ),
    key=("subject_id", "receptor", "clonotype"),
)

CLONE_SAMPLES = Table(
    "clone_samples",
    "One clone in one sample in which it was seen; samples in which it was not are in clone_totals.",
    (
        _SUBJECT,
        _POPULATION,
        _CLONE,
        *_SAMPLE,
        Column("cells", "integer", "Cells of the clone.", required=True),
        Column("total", "integer", "Cells of the population that have a clone.", required=True),
        *_SHARE,
        Column("states", "text", "T: cells by state, as 'cytotoxic:4;naive:1'."),
    ),
    key=("subject_id", "population", "clonotype", "sample_id"),
)

CLONE_TOTALS = Table(
    "clone_totals",
    "One population in one sample: how much was seen of it.",
    (
        _SUBJECT,
        _POPULATION,
        *_SAMPLE,
        Column("visit", "text", "Visit of the samples sheet."),
        Column("libraries", "text", "Libraries that were pooled, joined by ';'.", required=True),
        Column("cells", "integer", "Cells of the population that have a clone.", required=True),
        Column("clones", "integer", "Clones seen.", required=True),
        Column("expanded", "integer", "Clones of tracking.expanded_cells cells or more.", required=True),
        Column("bins", "text", "Share of the cells in clones by size, %, as '1:62.5;2-4:20;5-9:10;10+:7.5'."),
        Column("lod", "number", "Share of a clone that would be seen with 95 % probability, %."),
        Column("verdict", "text", "Enough cells?", required=True, allowed=VERDICTS),
        Column("reason", "text", "Why not."),
    ),
    key=("subject_id", "population", "sample_id"),
)

CLONE_CHANGES = Table(
    "clone_changes",
    "One clone between two samples, tested exactly; pairs are product with each later sample, and neighbours in time.",
    (
        _SUBJECT,
        _POPULATION,
        _CLONE,
        Column("from_sample", "text", "Earlier sample.", required=True),
        Column("to_sample", "text", "Later sample.", required=True),
        Column("from_cells", "integer", "Cells of the clone in the earlier one.", required=True),
        Column("from_total", "integer", "Cells with a clone there.", required=True),
        Column("to_cells", "integer", "Cells of the clone in the later one.", required=True),
        Column("to_total", "integer", "Cells with a clone there.", required=True),
        Column("odds_ratio", "number", "Conditional odds ratio; empty when it is 0 or endless."),
        Column("p", "number", "Fisher's exact test, two-sided.", required=True),
        Column("q", "number", "Adjusted by Benjamini and Hochberg within the pair.", required=True),
        Column("change", "text", "What it did.", required=True, allowed=CHANGES),
    ),
    key=("subject_id", "population", "clonotype", "from_sample", "to_sample"),
)

CLONE_PERSISTENCE = Table(
    "clone_persistence",
    "Clones of an infusion product in one later sample.",
    (
        _SUBJECT,
        _POPULATION,
        Column("product_sample", "text", "Sample of the product.", required=True),
        *_SAMPLE,
        Column("landmark", "text", "Landmark (kinetics.persistence.landmarks) that the sample answers for."),
        Column("product_clones", "integer", "Clones seen in the product.", required=True),
        Column("found", "integer", "Of those, clones seen in the sample.", required=True),
        Column(
            "expected_if_unchanged",
            "number",
            "Clones that would be seen, had every clone kept its share: the depth of the sample alone. Empty where the "
            "sample is deeper than the product.",
        ),
        Column("cells", "integer", "Cells of the sample in clones of the product.", required=True),
        Column("total", "integer", "Cells of the sample with a clone.", required=True),
        *_SHARE,
        Column("reason", "text", "Why no share is told."),
    ),
    key=("subject_id", "population", "product_sample", "sample_id"),
)

DIVERSITY = Table(
    "diversity",
    "One index of one sample, of clones or of integration sites.",
    (
        _SUBJECT,
        Column("unit", "text", "What is counted.", required=True, allowed=UNITS),
        Column("population", "text", "Population of clones; cell type of sites.", required=True),
        *_SAMPLE,
        Column("index", "text", "Index (docs/clones.md).", required=True, allowed=INDICES),
        Column("depth", "integer", "Cells that it rests on.", required=True),
        Column("rarefied", "flag", "Whether at equal depth over the subject's samples.", required=True),
        Column("value", "number", "The index."),
        Column("lower", "number", "Lower limit of its bootstrap interval."),
        Column("upper", "number", "Upper limit."),
        Column("reason", "text", "Why there is no value."),
    ),
    key=("subject_id", "unit", "population", "sample_id", "index", "rarefied"),
)

OVERLAP = Table(
    "overlap",
    "Two samples of one subject: how much of their clones, or sites, is the same.",
    (
        _SUBJECT,
        Column("unit", "text", "What is counted.", required=True, allowed=UNITS),
        Column("population_a", "text", "Population of the first; of sites the cell type.", required=True),
        Column("sample_a", "text", "First sample.", required=True),
        Column("population_b", "text", "Population of the second.", required=True),
        Column("sample_b", "text", "Second sample.", required=True),
        Column("clones_a", "integer", "Clones, or sites, of the first.", required=True),
        Column("clones_b", "integer", "Of the second.", required=True),
        Column("shared", "integer", "In both.", required=True),
        Column("jaccard", "number", "Shared of all, 0 to 1."),
        Column("morisita_horn", "number", "Morisita-Horn, 0 to 1."),
        Column("reason", "text", "Why there is none."),
    ),
    key=("subject_id", "unit", "population_a", "sample_a", "population_b", "sample_b"),
)

SHARED = Table(
    "clone_sharing",
    "Two libraries of two subjects that share clones.",
    (
        Column("library_a", "text", "First library.", required=True),
        Column("subject_a", "text", "Its subject.", required=True),
        Column("library_b", "text", "Second library.", required=True),
        Column("subject_b", "text", "Its subject.", required=True),
        Column("receptor", "text", "T or B.", required=True, allowed=RECEPTORS[:2]),
        Column("clones_a", "integer", "Clones of the first.", required=True),
        Column("clones_b", "integer", "Clones of the second.", required=True),
        Column("shared", "integer", "In both.", required=True),
        Column("expected", "number", "Expected from all pairs of subjects."),
        Column("p", "number", "Exact test of two Poisson counts for more than expected, one-sided."),
        Column(
            "shared_barcodes",
            "integer",
            "Barcodes that stand for the same clone in both: the mark of index hopping.",
            required=True,
        ),
        Column("morisita_horn", "number", "Overlap by cells, 0 to 1."),
        Column("taken_for", "text", "What it looks like.", required=True, allowed=SHARINGS),
        Column("clones", "text", "The shared clones, the largest first, at most 20, joined by ';'."),
    ),
    key=("library_a", "library_b", "receptor"),
)

B_RETURN = Table(
    "b_cell_return",
    "One share of the B cells of one sample by their heavy chains.",
    (
        _SUBJECT,
        *_SAMPLE,
        Column("measure", "text", "Which share.", required=True, allowed=B_MEASURES),
        Column("cells", "integer", "B cells that have it.", required=True),
        Column("total", "integer", "B cells for which it is known.", required=True),
        *_SHARE,
        Column("verdict", "text", "How far it can be used.", required=True, allowed=VERDICTS),
        Column("reason", "text", "Why not, or why with care."),
    ),
    key=("subject_id", "sample_id", "measure"),
)

_SITE = (
    Column("site", "text", "Chromosome, orientation and position, as chr1+1099346.", required=True),
    Column("chromosome", "text", "Chromosome.", required=True),
    Column("position", "integer", "Host base beside the vector, from 1.", required=True),
    Column("strand", "text", "Orientation of the vector.", required=True, allowed=("+", "-")),
)
_GENE = (
    Column("gene", "text", "Gene that the source names."),
    Column("gene_distance", "integer", "Distance to it, in bases."),
)

SITES = Table(
    "integration_sites",
    "One integration site of one specimen.",
    (
        Column("site_set", "text", "site_set_id of the integration_sites sheet.", required=True),
        *_SITE,
        Column("abundance", "number", "Cells, by sonic lengths or UMIs; fragments of a BAM.", required=True),
        *_GENE,
        Column("split_reads", "integer", "BAM: different reads that cross the junction."),
        Column("discordant_pairs", "integer", "BAM: different pairs on either side of it."),
        Column("fragments", "integer", "BAM: different fragments, duplicates removed."),
        Column("side", "text", "BAM: end of the vector, left or right, joined by ';'."),
    ),
    key=("site_set", "site"),
)

SITE_SAMPLES = Table(
    "site_samples",
    "One integration site in one sample and cell type.",
    (
        _SUBJECT,
        Column("cell_type", "text", "Cells, as the integration_sites sheet names them.", required=True),
        *_SAMPLE,
        *_SITE,
        Column("abundance", "number", "Cells.", required=True),
        Column("total", "number", "Cells of all sites.", required=True),
        *_SHARE,
        *_GENE,
        Column("of_concern", "flag", "Whether it lies near a gene of concern; empty without a list."),
        Column("cell_types", "text", "Cell types of the sample's day in which it was seen, joined by ';'."),
    ),
    key=("subject_id", "cell_type", "sample_id", "site"),
)

SITE_ALARM = Table(
    "site_alarms",
    "One integration site that someone must look at.",
    (
        _SUBJECT,
        Column("cell_type", "text", "Cells.", required=True),
        *_SAMPLE,
        Column("site", "text", "The site.", required=True),
        Column("alarm", "text", "What rose.", required=True, allowed=SITE_ALARMS),
        *_SHARE,
        Column("slope", "number", "Change of its log10 share a month (30.4 days), of a growing site."),
        Column("slope_lower", "number", "Lower limit."),
        Column("limit", "number", "Limit that it passed, in the unit of the alarm."),
        Column("gene", "text", "Gene."),
        Column("message", "text", "One sentence.", required=True),
    ),
    key=("subject_id", "cell_type", "sample_id", "site", "alarm"),
)

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        CHAINS,
        CELL_RECEPTORS,
        CLONE_CELLS,
        CLONES,
        CLONE_SAMPLES,
        CLONE_TOTALS,
        CLONE_CHANGES,
        CLONE_PERSISTENCE,
        DIVERSITY,
        OVERLAP,
        SHARED,
        B_RETURN,
        SITES,
        SITE_SAMPLES,
        SITE_ALARM,
    )
}
"""Every table of the repertoire stage by name."""
