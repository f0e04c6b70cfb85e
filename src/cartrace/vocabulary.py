"""Words that the tables allow. No imports: the Snakefile reads them while it is parsed."""

MATRICES = (
    "blood",
    "pbmc",
    "plasma",
    "serum",
    "csf",
    "marrow",
    "marrow_biopsy",
    "lymph_node",
    "skin",
    "infusion_product",
    "other",
)
DETECTIONS = ("quantified", "BLQ", "BLD", "above_uloq")
CENSORINGS = ("none", "left", "right", "interval")
MEASUREMENT_STATUSES = ("accepted", "flagged", "rejected")
METRIC_STATUSES = (
    "estimated",
    "left_censored",
    "right_censored",
    "interval_censored",
    "not_estimable",
)
VECTORS = ("lentiviral", "gammaretroviral", "transposon", "mrna", "unknown")
VERDICTS = ("pass", "note", "warn", "fail")
EVENT_KINDS = (
    "ivig",
    "drug",
    "relapse",
    "response",
    "progression",
    "infection",
    "adverse_event",
    "death",
    "other",
)
OUTCOME_NAMES = (
    "relapse_free_survival",
    "relapse_free",
    "follow_up",
    "relapse_rate_after",
    "relapse_rate_before",
)
"""relapse_free is the plain share of subjects at their last contact, however long each was followed."""
OUTCOME_STATISTICS = ("median", "share", "minimum", "maximum", "rate")
INBOX_STATUSES = (
    "used",
    "unmatched",
    "same_content",
    "conflict",
    "waiting",
    "refused",
    "awaited",
    "withheld",
)
"""What became of a file of the inbox: docs/inbox.md."""
INBOX_MATCHES = ("", "sheet", "pattern")
"""What tells what a file of the inbox is."""
