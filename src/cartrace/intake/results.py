"""What every reader gives: the results of one file, before they are put on the clock."""

from __future__ import annotations

from cartrace.tables import Column, Table
from cartrace.vocabulary import CENSORINGS, DETECTIONS, MATRICES, MEASUREMENT_STATUSES

RESULTS = Table(
    "results",
    "One result of one laboratory file, before it is put on the clock of its infusion.",
    (
        Column("subject_id", "text", "Subject as the table writes it; empty when a sample stands for it."),
        Column("sample_id", "text", "Sample as the table writes it."),
        Column("matrix", "text", "Compartment; empty when the samples sheet gives it.", allowed=MATRICES),
        Column("infusion", "integer", "Infusion, when the table says it; day then counts from it."),
        Column("day", "number", "Day as the table says it: from infusion, else the study day."),
        Column("study_day", "number", "Study day that a date became."),
        Column("visit", "text", "Visit as the table writes it."),
        Column("analyte", "text", "What was measured.", required=True),
        Column("assay", "text", "How it was measured.", required=True),
        Column("value", "number", "The quantified value."),
        Column("unit", "text", "Unit of all numbers.", required=True),
        Column("detection", "text", "As in measurements.", required=True, allowed=DETECTIONS),
        Column("censoring", "text", "As in measurements.", required=True, allowed=CENSORINGS),
        Column("lower", "number", "Lower bound."),
        Column("upper", "number", "Upper bound."),
        Column("lod", "number", "Limit of detection."),
        Column("lloq", "number", "Lower limit of quantification."),
        Column("uloq", "number", "Upper limit of quantification."),
        Column("printed", "number", "The number in the cell, also where it is below a limit."),
        Column("rounding", "number", "Half a unit of the last printed digit."),
        Column("ratios", "text", "JSON: the ratios between units that the mapping declares for the analyte."),
        Column("sd", "number", "Standard deviation of the replicates."),
        Column("n_replicates", "integer", "Replicates behind the value."),
        Column("status", "text", "As in measurements.", required=True, allowed=MEASUREMENT_STATUSES),
        Column("flags", "text", "Checks that flagged it."),
        Column("source_file", "text", "file_id.", required=True),
        Column("source_row", "integer", "Row, as a spreadsheet counts.", required=True),
        Column("source_column", "text", "Column.", required=True),
        Column("source_sha256", "text", "SHA-256 of the file.", required=True),
    ),
)
