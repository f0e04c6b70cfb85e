"""What the codes of the flow tables mean, in words for a page: flags, kinds of tubes, reviews, methods."""

from __future__ import annotations

from cartrace.flow.vocabulary import FLAGS as OTHER_FLAGS

BROKEN: dict[str, str] = {
    "removed_percent": "too many events left out (unstable acquisition, or at the margin of a scatter channel)",
    "events": "too few events were gated",
    "beads": "too few counting beads",
    "count_agreement": "two ways to count cells/µL disagree",
    "pre_infusion_car_percent": "the CAR gate catches cells before the infusion",
    "over_compensation": "over-compensated: a bright channel pulls another one below zero",
    "under_compensation": "under-compensated: a bright channel lifts the negative events of another one",
    "flowjo_difference_percent": "a count differs from FlowJo's own",
}
"""Broken acceptance rule (field of ``cartrace.config.FlowAcceptance``) -> what a reviewer reads."""

FLAGS: dict[str, str] = BROKEN | OTHER_FLAGS

KINDS: dict[str, str] = {
    "sample": "sample",
    "fmo": "FMO",
    "isotype": "isotype control",
    "unstained": "unstained",
    "pre_infusion": "before the infusion",
}
"""What a tube or a control is; an FMO or isotype tube is named with its marker."""

REVIEWS: dict[str, str] = {
    "accepted": "accepted by the reviewer",
    "rejected": "rejected by the reviewer",
    "changed": "the gates are not those that the reviewer signed",
    "missing": "not reviewed yet",
    "not_asked": "not reviewed, and no review asked for",
}

GATE_KINDS: dict[str, str] = {"ellipsoid": "ellipse", "rectangle": "range"}
"""Kinds of gates that read better in another word; a range has one threshold or several."""

THRESHOLD_METHODS: dict[str, str] = {
    "fmo": "FMO",
    "isotype": "isotype control",
    "pre_infusion": "sample before the infusion",
    "slope": "slope behind the negative peak",
    "valley": "valley between the peaks",
    "fixed": "fixed value",
}

COUNT_METHODS: dict[str, str] = {
    "beads": "counting beads",
    "volume": "acquired volume",
    "blood_count": "blood count",
}

COMPENSATIONS: dict[str, str] = {
    "file": "compensated with the matrix in the file",
    "csv": "compensated with the matrix of a csv",
    "gates": "compensated with the matrix of the drawn gates",
    "none": "not compensated here",
}
