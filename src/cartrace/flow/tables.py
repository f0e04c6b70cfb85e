"""Tables of the flow stage: the evidence behind every count.

Numbers of events are whole numbers; percentages are 0 to 100; cells/uL are per microlitre
of the specimen (blood, CSF, marrow), dilutions undone.
"""

from __future__ import annotations

from cartrace.flow.vocabulary import (
    CONTROL_KINDS,
    COUNT_METHODS,
    REVIEW_STATES,
    THRESHOLD_METHODS,
    TUBE_KINDS,
)
from cartrace.tables import Column, Table
from cartrace.vocabulary import DETECTIONS, MATRICES

VERDICTS = ("accepted", "flagged", "rejected", "control")
"""Verdict of a tube or population; control: a tube that is no sample."""

_TUBE = Column("tube", "text", "file_id of the tube in the files sheet.", required=True)
_VERDICT = (
    Column("verdict", "text", "What the acceptance rules say.", required=True, allowed=VERDICTS),
    Column("flags", "text", "Broken acceptance rules and other faults, joined by ';'."),
    Column("reason", "text", "Why there is no number, or why it does not count, in words."),
)

TUBES = Table(
    "flow_tubes",
    "One tube: what was acquired, what was left out, how it was compensated and gated.",
    (
        _TUBE,
        Column("panel", "text", "Panel file.", required=True),
        Column("assay", "text", "Assay in measurements.", required=True),
        Column("kind", "text", "What the tube is.", required=True, allowed=TUBE_KINDS),
        Column("marker", "text", "Marker that an FMO or isotype tube leaves out."),
        Column("batch", "text", "Batch of staining and acquisition."),
        Column("sample_id", "text", "Sample."),
        Column("controls", "text", "Tubes that set its thresholds and background, joined by ';'."),
        Column("fcs_version", "text", "Version of the file: FCS2.0, FCS3.0, FCS3.1.", required=True),
        Column("data_set", "integer", "Data set of the file that was read, from 1.", required=True),
        Column("n_channels", "integer", "Channels.", required=True),
        Column("events", "integer", "Events in the file.", required=True),
        Column(
            "unstable_events",
            "integer",
            "Events left out: flow rate or signal unstable over time.",
            required=True,
        ),
        Column(
            "margin_events", "integer", "Events left out: at the margin of a gated channel.", required=True
        ),
        Column("gated_events", "integer", "Events that were gated.", required=True),
        Column("duration_s", "number", "Time of acquisition, s, where the file has a clock."),
        Column(
            "kept_time_share",
            "number",
            "Share of that time that was kept (of the events without a clock); scales the acquired volume.",
            required=True,
        ),
        Column("volume_ul", "number", "Volume that the instrument acquired ($VOL), uL."),
        Column("compensation", "text", "Source of the matrix: file, csv, gates, none.", required=True),
        Column(
            "over_compensation", "number", "Steepest pull below zero that is left (qc over_compensation)."
        ),
        Column("under_compensation", "number", "Steepest lift of negatives that is left."),
        Column("bead_events", "integer", "Events in the bead gate."),
        Column(
            "gates_sha256", "text", "Hash of the gate set that was applied (docs/flow.md).", required=True
        ),
        Column("review", "text", "What the review sheet says.", required=True, allowed=REVIEW_STATES),
        Column("reviewer_remark", "text", "What the reviewer wrote (dates redacted)."),
        *_VERDICT,
        Column("source_sha256", "text", "SHA-256 of the file.", required=True),
    ),
    key=("tube",),
)

GATES = Table(
    "flow_gates",
    "One gate of one tube.",
    (
        _TUBE,
        Column("gate", "text", "Path of the gate, from the first one, joined by ' / '.", required=True),
        Column("name", "text", "Name of the gate.", required=True),
        Column("parent", "text", "Path of its parent; empty: all gated events."),
        Column("order", "integer", "Place in the strategy, from 1.", required=True),
        Column("kind", "text", "Kind of the gate.", required=True),
        Column("dimensions", "text", "Markers or channels, joined by ';'."),
        Column("events", "integer", "Events in the gate; empty when it could not be set."),
        Column("parent_events", "integer", "Events in its parent."),
        Column("percent_of_parent", "number", "100 events / parent_events."),
        Column("lower", "number", "Lower exact binomial limit of it."),
        Column("upper", "number", "Upper exact binomial limit of it."),
        Column("vendor_events", "integer", "FlowJo's own count in the workspace."),
        Column("reason", "text", "Why the gate could not be set."),
    ),
    key=("tube", "gate"),
)

THRESHOLDS = Table(
    "flow_thresholds",
    "One threshold of one tube: how it was set.",
    (
        _TUBE,
        Column("threshold", "text", "Name in the panel file.", required=True),
        Column("marker", "text", "Marker.", required=True),
        Column("channel", "text", "Channel."),
        Column("population", "text", "Gate inside which it was looked for; empty: all gated events."),
        Column("method", "text", "How it was set; empty when it could not be.", allowed=THRESHOLD_METHODS),
        Column("control", "text", "Tube that it was set from; empty: the tube itself."),
        Column("n_events", "integer", "Events that it was set from."),
        Column("value", "number", "Threshold on the linear, compensated scale."),
        Column("scaled", "number", "Threshold on the drawn scale (0 to 1)."),
        Column("reason", "text", "Why the ways before it, or all of them, could not be gone."),
    ),
    key=("tube", "threshold"),
)

BACKGROUND = Table(
    "flow_background",
    "What the gates of a tube catch in its controls.",
    (
        _TUBE,
        Column("gate", "text", "Path of the gate.", required=True),
        Column("control", "text", "Tube of the control.", required=True),
        Column("control_kind", "text", "What the control is.", required=True, allowed=CONTROL_KINDS),
        Column("control_marker", "text", "Marker that an FMO or isotype tube leaves out."),
        Column("events", "integer", "Events in the gate.", required=True),
        Column("parent_events", "integer", "Events in its parent.", required=True),
    ),
    key=("tube", "gate", "control"),
)

ACQUISITION = Table(
    "flow_acquisition",
    "One stretch of the acquisition of one tube.",
    (
        _TUBE,
        Column("bin", "integer", "Stretch, from 1.", required=True),
        Column(
            "start_s",
            "number",
            "Begin, s from the first event; event number where there is no clock.",
            required=True,
        ),
        Column("end_s", "number", "End.", required=True),
        Column("events", "integer", "Events.", required=True),
        Column("rate", "number", "Events per second; empty without a clock."),
        Column("kept", "flag", "Gated, or left out.", required=True),
        Column("reason", "text", "Why it was left out: rate, or the channel whose signal moved."),
    ),
    key=("tube", "bin"),
)

PLOTS = Table(
    "flow_plots",
    "The picture of one gate: density of its parent's events, and its outline.",
    (
        _TUBE,
        Column("gate", "text", "Path of the gate.", required=True),
        Column("x_label", "text", "Marker or channel.", required=True),
        Column("y_label", "text", "Marker or channel; empty: a histogram."),
        Column("x_low", "number", "Left edge of the picture, drawn scale.", required=True),
        Column("x_high", "number", "Right edge.", required=True),
        Column("y_low", "number", "Lower edge."),
        Column("y_high", "number", "Upper edge."),
        Column("bins", "integer", "Bins on each axis.", required=True),
        Column(
            "density",
            "text",
            "base64 of bins x bins bytes (one row of bins for a histogram), lowest y first: 0 no event, 255 the fullest "
            "bin, between them the square root of the count's share of it.",
            required=True,
        ),
        Column("fullest", "integer", "Events in the fullest bin.", required=True),
        Column(
            "outline",
            "text",
            "JSON: outlines on the drawn scale, [[[x, y], ...], ...]; of a histogram [[[low, 0], [high, 0]]], null where "
            "it is open.",
        ),
        Column("x_ticks", "text", "JSON: [[place on the drawn scale, label], ...].", required=True),
        Column("y_ticks", "text", "JSON: the same for y."),
    ),
    key=("tube", "gate"),
)

POPULATIONS = Table(
    "flow_populations",
    "One population of one tube: events, percentages, cells/uL, limits, verdict.",
    (
        _TUBE,
        Column("sample_id", "text", "Sample; empty for controls."),
        Column("subject_id", "text", "Subject."),
        Column("matrix", "text", "Compartment.", allowed=MATRICES),
        Column("infusion", "integer", "Infusion."),
        Column("day", "number", "Day from infusion."),
        Column("visit", "text", "Visit."),
        Column("population", "text", "Name in the panel file.", required=True),
        Column("analyte", "text", "Analyte in measurements."),
        Column("assay", "text", "Assay in measurements.", required=True),
        Column("gate", "text", "Path of the gate.", required=True),
        Column("of", "text", "Path of the gate that the percentage is of."),
        Column("events", "integer", "Events; empty when a gate could not be set."),
        Column("of_events", "integer", "Events of that gate."),
        Column(
            "percent",
            "number",
            "100 events / of_events, less the background where flow.subtract_background asks for it.",
        ),
        Column("percent_lower", "number", "Lower exact binomial limit."),
        Column("percent_upper", "number", "Upper exact binomial limit."),
        Column(
            "cells_per_ul",
            "number",
            "Cells per uL of the specimen, by count_method; background as in percent.",
        ),
        Column("cells_per_ul_lower", "number", "Lower exact limit (counting of cells and beads)."),
        Column("cells_per_ul_upper", "number", "Upper exact limit."),
        Column("count_method", "text", "How cells/uL were computed.", allowed=COUNT_METHODS),
        Column("cells_per_ul_beads", "number", "By counting beads."),
        Column("cells_per_ul_volume", "number", "By acquired volume."),
        Column("cells_per_ul_blood_count", "number", "By a blood count."),
        Column(
            "background_percent",
            "number",
            "Share of the anchor (docs/flow_counts.md) in the pooled controls, %.",
        ),
        Column("background_events", "number", "Events that the background predicts in this tube."),
        Column("background_source", "text", "Tubes that tell the background, joined by ';'."),
        Column("lob_events", "number", "Limit of blank, events."),
        Column("lod_events", "number", "Limit of detection, events beyond the background."),
        Column("lloq_events", "number", "Lower limit of quantification, events beyond the background."),
        Column("lod_percent", "number", "The LOD as %."),
        Column("lloq_percent", "number", "The LLOQ as %."),
        Column("lod_cells_per_ul", "number", "The LOD as cells/uL."),
        Column("lloq_cells_per_ul", "number", "The LLOQ as cells/uL."),
        Column("detection", "text", "As in measurements.", allowed=DETECTIONS),
        *_VERDICT,
        Column("source_sha256", "text", "SHA-256 of the file.", required=True),
    ),
    key=("tube", "population"),
)

TABLES: dict[str, Table] = {
    t.name: t for t in (TUBES, GATES, THRESHOLDS, BACKGROUND, ACQUISITION, PLOTS, POPULATIONS)
}
"""The tables that the stage writes."""
