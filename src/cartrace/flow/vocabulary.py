"""Words of the flow stage. No imports: the Snakefile reads them while it is parsed."""

TUBE_KINDS = ("sample", "fmo", "isotype", "unstained")
"""What a tube is: stained in full, full but one marker, isotype in place of one marker, or not stained."""

CONTROL_KINDS = ("fmo", "isotype", "pre_infusion")
"""Tubes that tell how many events a gate catches where nothing is there."""

THRESHOLD_METHODS = ("fmo", "isotype", "pre_infusion", "slope", "valley", "fixed")
COUNT_METHODS = ("beads", "volume", "blood_count")
REMOVALS = ("unstable_time", "margin")
REVIEWS = ("accepted", "rejected")
REVIEW_STATES = ("accepted", "rejected", "changed", "missing", "not_asked")
"""What the review sheet says of a tube; changed: it was signed, and its gates are others now."""

FLAGS = {
    "unreadable_staining": "the staining can't be read (drug interference, or the control population is gone)",
    "gate_not_estimable": "a gate on the way to the population could not be set",
    "missing_events": "no event of the parent population",
    "no_review": "review is required, and nobody has looked at the gates",
    "review_rejected": "the reviewer rejected the gates",
    "gates_changed": "the gates are not those that the reviewer signed",
    "background_unknown": "no FMO, isotype or pre-infusion tube tells the background",
}
"""Flags of a tube or population beside the acceptance rules (flow.acceptance in the configuration)."""
