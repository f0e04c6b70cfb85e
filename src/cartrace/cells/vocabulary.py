"""Words that the tables of single-cell libraries allow. No imports: read while the Snakefile is parsed."""

ASSAY = "scRNA-seq"
"""How measurements name what single-cell libraries tell."""
CHEMISTRIES = ("5p", "3p")
"""Which end of the transcript the reads come from."""
SORTS = ("none", "t_cells", "car_positive", "b_cells", "other")
"""What was sorted before the library was made; only an unsorted library tells shares of all cells."""
EVIDENCE = ("molecules", "counts", "none")
"""What a CAR call rests on: molecules from reads (BAM), the feature's counts, or nothing."""
CALLS = ("positive", "negative", "undetermined", "not_assessed")
REGION_CLASSES = ("discriminative", "ambiguous", "endogenous_like")
DOMAIN_KINDS = (
    "promoter",
    "utr5",
    "leader",
    "vh",
    "vl",
    "binder",
    "linker",
    "hinge",
    "transmembrane",
    "costimulation",
    "signalling",
    "two_a",
    "marker",
    "orf",
    "stop",
    "wpre",
    "ltr",
    "polya",
    "other",
)
"""What a domain is for. ``binder`` is a whole scFv, a VHH, or anything else that binds."""

LINEAGES = (
    "t",
    "nk",
    "b",
    "plasma",
    "monocyte",
    "dendritic",
    "progenitor",
    "platelet",
    "erythroid",
    "unassigned",
)
CELL_TYPES = {
    "cd4_t": "t",
    "cd8_t": "t",
    "treg": "t",
    "gamma_delta_t": "t",
    "double_negative_t": "t",
    "unassigned_t": "t",
    "nk": "nk",
    "transitional_b": "b",
    "naive_b": "b",
    "non_switched_memory_b": "b",
    "switched_memory_b": "b",
    "double_negative_b": "b",
    "unassigned_b": "b",
    "plasmablast": "plasma",
    "plasma_cell": "plasma",
    "cd14_monocyte": "monocyte",
    "cd16_monocyte": "monocyte",
    "macrophage": "monocyte",
    "unassigned_monocyte": "monocyte",
    "conventional_dendritic": "dendritic",
    "plasmacytoid_dendritic": "dendritic",
    "unassigned_dendritic": "dendritic",
    "progenitor": "progenitor",
    "platelet": "platelet",
    "erythroid": "erythroid",
    "unassigned": "unassigned",
}
"""Cell type -> its lineage."""
T_STATES = (
    "naive",
    "central_memory",
    "effector_memory",
    "cytotoxic",
    "proliferating",
    "exhausted",
    "treg",
    "unassigned",
)
PHASES = ("G1", "S", "G2M")
VERDICTS = ("accepted", "flagged", "rejected")
