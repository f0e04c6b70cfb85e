"""Targets of the plate beside those of the assay file."""

from __future__ import annotations

import pandas as pd

from cartrace.plates.targets import target_findings

NAMES = {"IL-6": ("IL6", "hIL-6"), "IFNg": ("IFNg",)}


def test_unlisted_and_missing_targets_are_told() -> None:
    in_file = pd.Series(["IL6", "IL-8", None, "IL-5", "IL-8"], dtype="string")
    unlisted, lost = "target_not_in_assay", "target_missing"
    told = target_findings(in_file, ["IL-6", None, "IL-6", None, None], NAMES)
    assert [(f.check, f.verdict, f.target, f.wells) for f in told] == [
        (unlisted, "note", "IL-5", (3,)),
        (unlisted, "note", "IL-8", (1, 4)),
        (lost, "warn", "IFNg", ()),
    ]
    assert told[1].message.startswith("2 wells of the target IL-8")
    assert (told[1].limit, told[1].suggestion) == ("IL6, hIL-6, IFNg", "hIL-6")
    assert told[2].limit == "IFNg"


def test_a_plate_of_just_the_listed_targets_has_no_finding() -> None:
    assert target_findings(pd.Series(["hIL-6", "IFNg"], dtype="string"), ["IL-6", "IFNg"], NAMES) == []
