"""What is odd in one tube, as rows of qc."""

from __future__ import annotations

import numpy as np

from cartrace.config import Flow, FlowAcceptance
from cartrace.flow.acceptance import Rules
from cartrace.flow.quality import Acquisition
from cartrace.flow.tube_findings import Findings


def acquisition(unstable: list[int], margin: list[int], n: int) -> Acquisition:
    masks = [np.isin(np.arange(n), at) for at in (unstable, margin)]
    nothing = dict.fromkeys(Acquisition.__dataclass_fields__, ())
    return Acquisition(**nothing | {"unstable": masks[0], "margin": masks[1], "remarks": ()})


def test_an_event_that_is_left_out_for_two_reasons_is_told_once() -> None:
    findings = Findings("t1", Rules(FlowAcceptance.over(Flow().acceptance, {"events": {"lower": 1}})))
    # 4 unstable, 3 at the margin, of which one is unstable: 6 of 20 are gone.
    flags = findings.of_acquisition(acquisition([0, 1, 2, 3], [3, 4, 5], 20), 20, 14, removes=True)
    assert flags == set()
    told = {row["check"]: row["message"] for row in findings.rows}
    assert told["removed_percent"] == (
        "4 events in unstable stretches, 2 more at the margin of a scatter channel: 30 % left out before gating"
    )
