"""Words that the tables of clones and integration sites allow. No imports: read while the Snakefile is parsed."""

T_ASSAY, B_ASSAY, SITE_ASSAY = "scTCR-seq", "scBCR-seq", "integration sites"
"""How measurements name what clones and sites tell."""
LOCI = ("TRA", "TRB", "TRG", "TRD", "IGH", "IGK", "IGL")
T_LOCI, B_LOCI = LOCI[:4], LOCI[4:]
VDJ_LOCI = ("TRB", "TRD", "IGH")
"""Loci with a D gene: the chain that tells clones best."""
RECEPTORS = ("T", "B", "both")
PAIRINGS = (
    "single_pair",
    "orphan_vj",
    "orphan_vdj",
    "extra_vj",
    "extra_vdj",
    "two_full_chains",
    "multichain",
    "ambiguous",
)
"""Chains of a cell in scirpy's words: VJ are TRA, TRG, IGK, IGL; VDJ are TRB, TRD, IGH; ambiguous has T and B chains."""
POPULATIONS = ("t_cells", "car_t_cells", "b_cells")
"""Whose clones are counted."""
CHANGES = ("expanded", "contracted", "unchanged")
UNITS = ("clonotype", "site")
"""What an index of diversity counts."""
INDICES = (
    "richness",
    "chao1",
    "shannon",
    "pielou",
    "gini",
    "simpson",
    "hill_0",
    "hill_1",
    "hill_2",
    "d50",
    "uc50",
    "largest",
)
SHARINGS = ("as_expected", "public", "index_hopping", "swap", "unknown")
"""What clones that two subjects share are taken for; unknown where no other subjects tell what is usual."""
ISOTYPES = ("IGHM", "IGHD", "IGHG", "IGHA", "IGHE")
B_MEASURES = ("naive", "mutated", "old_clones", *(isotype.lower() for isotype in ISOTYPES))
"""Shares of B cells: IGHM or IGHD and unmutated; mutated; in clones from before the infusion; by isotype."""
UNSORTED = "unsorted"
"""Cell type of the integration_sites sheet where nothing was sorted."""
BLOOD = ("blood", "pbmc")
"""Compartments with metrics, in which a sample answers for a landmark; what lies in marrow or CSF is in the tables."""
SITE_ALARMS = ("dominant", "growing", "gene_of_concern")
VERDICTS = ("accepted", "flagged", "rejected")
