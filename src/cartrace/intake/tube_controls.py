"""Controls of a flow tube: which other tubes set its thresholds and tell its background.

Found while the Snakefile is parsed: standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cartrace.flow.vocabulary import CONTROL_KINDS
from cartrace.intake.sheets import quote
from cartrace.problems import Problem, did_you_mean

if TYPE_CHECKING:
    from cartrace.flow.panel import Panel
    from cartrace.intake.sheets import Sample
    from cartrace.intake.tubes import Tube

Control = tuple[str, "Tube"]
"""Kind of control (flow.vocabulary.CONTROL_KINDS) and the tube."""

_WANTED = {
    "fmo": "of kind fmo without {} in its batch",
    "isotype": "of kind isotype for {} in its batch",
    "pre_infusion": "from before the infusion, in its batch or of its subject",
}


def before_infusion(samples: Iterable[Sample], post_infusion_visits: str) -> frozenset[str]:
    """Return the samples that were taken before the subject's first infusion.

    On study day 0 the visit decides, by ``kinetics.post_infusion_visits``, as for every result.
    """
    return frozenset(
        s.sample_id
        for s in samples
        if s.study_day < 0 or (s.study_day == 0 and not re.search(post_infusion_visits, s.visit or ""))
    )


def controls_of(
    tubes: Iterable[Tube], samples: Mapping[str, Sample], early: Collection[str]
) -> dict[str, list[Control]]:
    """Return the controls of each tube: FMO, isotype, then pre-infusion tubes, each by file_id.

    FMO and isotype tubes count in their own batch only. Pre-infusion tubes are of the same compartment: those
    of the same subject and batch; without one, those of the batch; without one, those of the subject. A tube
    from before the infusion has no pre-infusion control, and a tube that is no sample has none at all.

    Parameters
    ----------
    tubes
        All tubes of one panel.
    samples
        By sample_id.
    early
        Samples from before the infusion (:func:`before_infusion`).
    """

    def like(tube: Tube, sample: Sample) -> bool:
        """Blood from before the infusion says nothing of what the gates catch in marrow; its PBMC do say it of blood."""
        matrices = {samples[tube.sample_id or ""].matrix, sample.matrix}
        return len(matrices) == 1 or matrices == {"blood", "pbmc"}

    batches: dict[str, list[Tube]] = {}
    early_of_subject: dict[str, list[Tube]] = {}
    ordered = sorted(tubes, key=lambda t: t.file_id)
    for tube in ordered:
        if tube.batch:
            batches.setdefault(tube.batch, []).append(tube)
        if tube.kind == "sample" and tube.sample_id and tube.sample_id in early:
            early_of_subject.setdefault(samples[tube.sample_id].subject_id, []).append(tube)
    controls: dict[str, list[Control]] = {tube.file_id: [] for tube in ordered}
    for tube in ordered:
        if tube.kind != "sample":
            continue
        batch = batches.get(tube.batch or "", [])
        found: list[Control] = [(kind, t) for kind in ("fmo", "isotype") for t in batch if t.kind == kind]
        sample = samples.get(tube.sample_id or "")
        if sample is not None and sample.sample_id not in early:
            own = [t for t in early_of_subject.get(sample.subject_id, []) if like(t, sample)]
            of_batch = [t for t in batch if t.kind == "sample" and t.sample_id in early and like(t, sample)]
            both = [t for t in own if t.batch and t.batch == tube.batch]
            found += [("pre_infusion", t) for t in both or of_batch or own]
        controls[tube.file_id] = found
    return controls


def tube_json(tube: Tube, controls: Iterable[Control]) -> str:
    """Return what gating needs of the tubes sheet: no volumes, batches or samples, so that they rerun no tube."""
    return json.dumps(
        {
            "kind": tube.kind,
            "marker": tube.marker or "",
            "data_set": tube.data_set,
            "unreadable": sorted(tube.unreadable),
            "controls": [
                {"file_id": c.file_id, "kind": kind, "marker": c.marker or "", "data_set": c.data_set}
                for kind, c in controls
            ],
        },
        sort_keys=True,
    )


def tube_faults(
    tube: Tube, controls: Sequence[Control], panel: Panel, file: str, early: Collection[str]
) -> Iterator[Problem]:
    """Tell what the row of a tube and its panel don't agree on.

    Parameters
    ----------
    tube, controls
        The tube and its controls.
    panel, file
        Its panel, and how errors name the panel's file.
    early
        Samples from before the infusion.

    Yields
    ------
    Problem
        With an empty file: the caller knows where the tubes sheet is.
    """
    stained = [name for name, marker in panel.markers.items() if not marker.linear]
    unreadable = [marker for marker, _ in tube.unreadable]
    for column, markers in (("marker", [tube.marker] if tube.marker else []), ("unreadable", unreadable)):
        for marker in markers:
            if marker not in stained:
                allowed = f"a stained marker of {file}: {', '.join(stained)}"
                near = did_you_mean(marker, stained)
                yield Problem("", f"unknown {quote(marker)}", allowed, tube.row, column, near)
    if tube.beads_per_ul is not None and panel.beads is None:
        found = f"counting beads, and no gate for them in {file}"
        yield Problem("", found, "a panel with beads.gate", tube.row, "beads_per_ul")
    if tube.kind != "sample":
        return
    for name, threshold in panel.thresholds.items():
        marker = threshold.marker or name
        there = {kind for kind, c in controls if kind == "pre_infusion" or c.marker == marker}
        if tube.sample_id in early:
            # Such a tube is that control itself: its own gate stays open, and its result says why.
            there.add("pre_infusion")
        only_controls = all(method in CONTROL_KINDS for method in threshold.method)
        if only_controls and marker not in unreadable and not there.intersection(threshold.method):
            found = f"no control for the threshold {quote(name)} of {file}"
            wanted = " or ".join(_WANTED[method].format(quote(marker)) for method in threshold.method)
            yield Problem("", found, f"a tube {wanted}", tube.row, "batch")
