"""Tables of the immunoassay stage: every well, standard, curve, sample and control behind a result."""

from __future__ import annotations

from cartrace.immunoassay.vocabulary import (
    MODELS,
    RANGES,
    READINGS,
    READOUTS,
    SIGNALS,
    TASKS,
    VERDICTS,
    WEIGHTINGS,
)
from cartrace.plates.tables import controls_table
from cartrace.tables import Column, Table
from cartrace.vocabulary import DETECTIONS

_PLATE = Column("plate", "text", "file_id of the plate in the files sheet.", required=True)
_ANALYTE = Column("target", "text", "What was measured, as the assay file names it.", required=True)
_VERDICT = (
    Column("verdict", "text", "What the acceptance rules say.", required=True, allowed=VERDICTS),
    Column("flags", "text", "Broken acceptance rules and other faults, joined by ';'."),
)

PLATE_WELLS = Table(
    "immunoassay_plate_wells",
    "What an instrument's file says of one analyte in one well, before cartrace computes anything.",
    (
        Column("well", "text", "Well as A01.", required=True),
        Column("sample_name", "text", "Sample as the file writes it."),
        Column(
            "target", "text", "Analyte (bead, spot) as the file writes it; empty on a plate of one analyte."
        ),
        Column("task", "text", "What the well is for; empty where the file does not say.", allowed=TASKS),
        Column("omitted", "flag", "Left out by the operator in the instrument's software.", required=True),
        Column("signal", "number", "Raw signal: OD, RFU, RLU, median fluorescence, ECL counts."),
        Column("bead_count", "integer", "Beads behind it (Luminex)."),
        Column("nominal", "number", "Concentration of a standard or control, as it was typed in."),
        Column("dilution", "number", "Dilution factor that the file states (50 means 1 in 50)."),
        Column("vendor_concentration", "number", "Concentration that the instrument's software computed."),
        Column("vendor_recovery_percent", "number", "Recovery of a standard that it printed."),
        Column("vendor_status", "text", "Its remark: OOR <, Above Fit Curve Range, a flag."),
        Column("source_row", "integer", "Row of the file, as a spreadsheet counts.", required=True),
        Column("source_column", "text", "Column, where a grid has one for each."),
    ),
)

WELLS = Table(
    "immunoassay_wells",
    "One analyte in one well: what was read, what was computed, and the verdict.",
    (
        _PLATE,
        Column("well", "text", "Well.", required=True),
        Column("sample_name", "text", "Sample as the file writes it."),
        Column("sample", "text", "Sample that the layout, the pattern or the name itself gave."),
        _ANALYTE,
        Column("task", "text", "What the well is for.", required=True, allowed=TASKS),
        Column("signal_kind", "text", "Kind of signal.", allowed=SIGNALS),
        Column("signal", "number", "Raw signal."),
        Column("corrected", "number", "Signal without the blank."),
        Column("bead_count", "integer", "Beads behind it."),
        Column("nominal", "number", "Known concentration of a standard or control."),
        Column("dilution", "number", "Dilution of the sample."),
        Column("concentration", "number", "On the curve, in the well: before the dilution."),
        Column("result", "number", "Concentration of the sample: times the dilution."),
        Column("range", "text", "Where the signal lies.", allowed=RANGES),
        Column(
            "reading", "text", "What a well of a titre says; empty for a typed end point.", allowed=READINGS
        ),
        Column("recovery_percent", "number", "100 x back-calculated / nominal."),
        Column("vendor_concentration", "number", "Concentration that the instrument's software computed."),
        Column("vendor_status", "text", "Its remark."),
        Column("exclusion", "text", "Why the well is not used."),
        *_VERDICT,
        Column("source_row", "integer", "Row of the file.", required=True),
    ),
)

STANDARDS = Table(
    "immunoassay_standards",
    "One level of standards of one curve: how it comes back.",
    (
        _PLATE,
        _ANALYTE,
        Column("nominal", "number", "Concentration.", required=True),
        Column("anchor", "flag", "Outside the range that is judged; only steadies the fit.", required=True),
        Column("n", "integer", "Wells.", required=True),
        Column("n_used", "integer", "Wells in the fit.", required=True),
        Column("signal_mean", "number", "Mean signal of them."),
        Column("signal_cv_percent", "number", "CV of the signal."),
        Column("back_mean", "number", "Mean back-calculated concentration."),
        Column("recovery_percent", "number", "100 x back_mean / nominal."),
        Column("back_cv_percent", "number", "CV of the back-calculated concentrations."),
        *_VERDICT,
    ),
    key=("plate", "target", "nominal"),
)

CURVES = Table(
    "immunoassay_curves",
    "One calibration curve of one plate.",
    (
        _PLATE,
        _ANALYTE,
        Column("model", "text", "Model.", required=True, allowed=MODELS),
        Column("weighting", "text", "How the standards were weighted.", required=True, allowed=WEIGHTINGS),
        Column("power", "number", "p of y^-p."),
        Column(
            "intercept",
            "number",
            "linear: signal at concentration 0, or at concentration 1 where the line is against the logarithm.",
        ),
        Column("bottom", "number", "Signal at concentration 0 (A)."),
        Column("top", "number", "Signal at infinite concentration (D)."),
        Column("ec50", "number", "Concentration at the inflection of a 4PL (C)."),
        Column("slope", "number", "Steepness (B)."),
        Column("asymmetry", "number", "G; 1 for a 4PL."),
        Column("r2", "number", "Weighted coefficient of determination."),
        Column("residual_sd", "number", "Weighted residual standard deviation."),
        Column("df", "integer", "Degrees of freedom of the fit: wells less parameters."),
        Column(
            "variance_floor",
            "number",
            "Signal below which the variance residual_sd^2 y^power falls no further.",
        ),
        Column(
            "log_concentration", "flag", "linear: the line is against the logarithm of the concentration."
        ),
        Column("n_levels", "integer", "Levels in the fit."),
        Column("n_accepted", "integer", "Levels within tolerance."),
        Column("lloq", "number", "Lower limit of quantification, in the well."),
        Column("uloq", "number", "Upper limit of quantification, in the well."),
        Column("limits_from", "text", "accepted_range, precision_profile, assay_file."),
        Column("lod", "number", "Concentration whose signal is the blank's mean and its SDs."),
        Column("covariance", "text", "JSON: covariance of the fitted parameters, for bands."),
        *_VERDICT,
    ),
    key=("plate", "target"),
)

SAMPLES = Table(
    "immunoassay_samples",
    "One analyte of one sample (or control) on one plate: replicates and dilutions together.",
    (
        _PLATE,
        Column("sample", "text", "Sample; for controls the name on the plate.", required=True),
        Column("subject_id", "text", "Subject, where the pattern or the layout gives it."),
        Column("sample_id", "text", "sample_id of the samples sheet, where the name stands for one."),
        Column("matrix", "text", "Compartment, where the assay file gives it."),
        Column("infusion", "integer", "Infusion, where the pattern gives it."),
        Column("day", "number", "Day, where the pattern gives it."),
        Column("visit", "text", "Visit, where the pattern gives it."),
        _ANALYTE,
        Column("analyte", "text", "Analyte in measurements."),
        Column("assay", "text", "Assay in measurements.", required=True),
        Column("readout", "text", "What is reported.", required=True, allowed=READOUTS),
        Column("unit", "text", "Unit of all numbers.", required=True),
        Column("task", "text", "unknown, or which control.", required=True, allowed=TASKS),
        Column("wells", "text", "Wells, joined by ', '.", required=True),
        Column("n_wells", "integer", "Wells.", required=True),
        Column("n_used", "integer", "Wells behind the result.", required=True),
        Column("dilutions", "text", "Dilutions, joined by ', '."),
        Column("dilution_used", "number", "Dilution behind the result."),
        Column("result", "number", "Concentration, end-point titre or index."),
        Column(
            "lower",
            "number",
            "Lower bound: interval of the curve and the replicates; of a titre the last positive.",
        ),
        Column("upper", "number", "Upper bound; of a titre the first negative dilution."),
        Column("cv_percent", "number", "CV between the replicates."),
        Column(
            "linearity_percent", "number", "Largest deviation of a dilution's result from their median, %."
        ),
        Column(
            "parallelism_p", "number", "p of the test that the sample's curve is parallel to the standards'."
        ),
        Column(
            "cutoff", "number", "Signal from which a well of a titre is positive; empty where words say it."
        ),
        Column("lod", "number", "Limit of detection of this sample."),
        Column("lloq", "number", "Lower limit of quantification of this sample."),
        Column("uloq", "number", "Upper limit of quantification of this sample."),
        Column("detection", "text", "As in measurements.", allowed=DETECTIONS),
        Column("nominal", "number", "Expected value of a control."),
        Column("recovery_percent", "number", "100 x result / nominal."),
        *_VERDICT,
        Column("repeat", "flag", "The measurement is to be repeated."),
        Column("repeat_reason", "text", "Why, and what to do, in words for the technician."),
        Column("source_row", "integer", "Row of the first well.", required=True),
        Column("source_sha256", "text", "SHA-256 of the plate's file.", required=True),
    ),
)

CONTROLS = controls_table(
    "immunoassay_controls",
    "log10 concentration, log2 titre, log10 index, log10 signal, log10 ec50, log10 top",
)

TABLES: dict[str, Table] = {t.name: t for t in (WELLS, STANDARDS, CURVES, SAMPLES, CONTROLS)}
"""The tables that the stage writes."""
