"""The tables of the PCR stage: every well, curve, sample, control and droplet, as evidence behind a result."""

from __future__ import annotations

from cartrace.pcr.vocabulary import CQ_KINDS, METHODS, ROLES, TASKS, VERDICTS
from cartrace.plates.tables import controls_table
from cartrace.tables import Column, Table
from cartrace.vocabulary import DETECTIONS

_PLATE = Column("plate", "text", "file_id of the plate in the files sheet.", required=True)
_VERDICT = (
    Column("verdict", "text", "What the acceptance rules say.", required=True, allowed=VERDICTS),
    Column("flags", "text", "Names of the acceptance rules that were broken, joined by ';'."),
)

PLATE_WELLS = Table(
    "plate_wells",
    "What an instrument's file says of one target in one well, before cartrace computes anything.",
    (
        Column(
            "well", "text", "Well as A01; what the file says where it is no well of a plate.", required=True
        ),
        Column("sample_name", "text", "Sample as the file writes it."),
        Column(
            "target", "text", "Target as the file writes it; the reporter where there is none.", required=True
        ),
        Column("reporter", "text", "Dye or channel."),
        Column("task", "text", "What the well is for.", required=True, allowed=TASKS),
        Column("omitted", "flag", "Left out by the operator in the instrument's software.", required=True),
        Column("cq", "number", "Quantification cycle; empty unless quantified."),
        Column(
            "cq_kind",
            "text",
            "quantified; undetermined (no amplification); missing.",
            required=True,
            allowed=CQ_KINDS,
        ),
        Column("nominal", "number", "Known quantity of a standard or control, as it was typed in."),
        Column("partitions", "integer", "Accepted partitions (droplets, microchambers)."),
        Column("positives", "integer", "Positive partitions."),
        Column("threshold", "number", "Fluorescence threshold between negative and positive."),
        Column("partition_volume_nl", "number", "Partition volume that the file states."),
        Column("dilution", "number", "Dilution factor that the file states (5 means 1 in 5)."),
        Column(
            "pooled_wells",
            "text",
            "Wells that the instrument's software merged into this row, joined by ';'.",
        ),
        Column(
            "vendor_quantity", "number", "Quantity that the instrument's software computed from its curve."
        ),
        Column("vendor_slope", "number", "Slope of the instrument's curve."),
        Column("vendor_intercept", "number", "Intercept of the instrument's curve."),
        Column("vendor_r2", "number", "r2 of the instrument's curve."),
        Column("vendor_efficiency_percent", "number", "Efficiency of the instrument's curve."),
        Column(
            "vendor_concentration", "number", "copies/uL of reaction that the instrument's software computed."
        ),
        Column("vendor_lower", "number", "Lower 95 % limit of that concentration (Poisson)."),
        Column("vendor_upper", "number", "Upper 95 % limit of that concentration (Poisson)."),
        Column("vendor_status", "text", "The instrument's own remark: No Call, Check, a quality flag."),
        Column("source_row", "integer", "Row of the file, as a spreadsheet counts.", required=True),
    ),
)

WELLS = Table(
    "pcr_wells",
    "One target in one well: what was read, what was computed, and the verdict.",
    (
        _PLATE,
        Column("well", "text", "Well.", required=True),
        Column("sample_name", "text", "Sample as the file writes it."),
        Column(
            "sample",
            "text",
            "Sample that the plate map, the pattern or the name itself gave; empty for controls.",
        ),
        Column(
            "target",
            "text",
            "Target, as the assay file names it; the file's own name where it lists none.",
            required=True,
        ),
        Column(
            "role",
            "text",
            "transgene, reference, inhibition_control; empty for a target that the assay does not list.",
            allowed=ROLES,
        ),
        Column("reporter", "text", "Dye or channel."),
        Column("method", "text", "qpcr or dpcr.", required=True, allowed=METHODS),
        Column("task", "text", "What the well is for.", required=True, allowed=TASKS),
        Column("cq", "number", "Quantification cycle."),
        Column("cq_kind", "text", "quantified; undetermined; missing.", required=True, allowed=CQ_KINDS),
        Column("nominal", "number", "Known copies per reaction of a standard or control."),
        Column("copies", "number", "Copies per reaction."),
        Column("lower", "number", "Lower 95 % limit of copies per reaction."),
        Column("upper", "number", "Upper 95 % limit of copies per reaction."),
        Column("residual", "number", "Cq minus the curve's Cq at the nominal copies (standards)."),
        Column(
            "recovery_percent", "number", "100 x back-calculated / nominal copies (standards and controls)."
        ),
        Column("partitions", "integer", "Accepted partitions."),
        Column("positives", "integer", "Positive partitions."),
        Column("copies_per_partition", "number", "lambda = -ln(negatives / partitions)."),
        Column("partition_volume_nl", "number", "Partition volume that was used."),
        Column(
            "implied_volume_nl", "number", "Partition volume that the instrument's concentration implies."
        ),
        Column("vendor_copies", "number", "Copies per reaction that the instrument's software computed."),
        Column("threshold", "number", "Fluorescence threshold."),
        Column("vendor_status", "text", "The instrument's own remark."),
        Column(
            "exclusion",
            "text",
            "Why the well is not used: omitted, pooled, excluded by the plate map (and why), empty.",
        ),
        *_VERDICT,
        Column("source_row", "integer", "Row of the file.", required=True),
    ),
)

CURVES = Table(
    "pcr_curves",
    "One standard curve of one plate: Cq = intercept + slope log10(copies per reaction).",
    (
        _PLATE,
        Column("target", "text", "Target.", required=True),
        Column("source", "text", "plate, or the name of the stored curve.", required=True),
        Column("n_standards", "integer", "Standard wells."),
        Column("n_used", "integer", "Standard wells in the fit."),
        Column("n_levels", "integer", "Levels in the fit."),
        Column("slope", "number", "Slope."),
        Column("slope_lower", "number", "Lower 95 % limit."),
        Column("slope_upper", "number", "Upper 95 % limit."),
        Column("intercept", "number", "Intercept: Cq of one copy."),
        Column("intercept_lower", "number", "Lower 95 % limit."),
        Column("intercept_upper", "number", "Upper 95 % limit."),
        Column("r2", "number", "Coefficient of determination."),
        Column("efficiency_percent", "number", "100 (10^(-1/slope) - 1)."),
        Column("efficiency_lower", "number", "Lower 95 % limit."),
        Column("efficiency_upper", "number", "Upper 95 % limit."),
        Column("residual_sd", "number", "Residual standard deviation of Cq."),
        Column("mean_log10", "number", "Weighted mean of log10 copies (for bands)."),
        Column("sxx", "number", "Weighted sum of squares of log10 copies about it (for bands)."),
        Column("weighting", "text", "How the standards were weighted.", required=True),
        Column("lowest", "number", "Lowest level, copies per reaction."),
        Column("highest", "number", "Highest level, copies per reaction."),
        Column("vendor_slope", "number", "Slope that the instrument's software printed."),
        Column("vendor_intercept", "number", "Intercept that it printed."),
        Column("vendor_r2", "number", "r2 that it printed."),
        Column("vendor_efficiency_percent", "number", "Efficiency that it printed."),
        *_VERDICT,
    ),
    key=("plate", "target"),
)

SAMPLES = Table(
    "pcr_samples",
    "One target of one sample (or control) on one plate: the replicates together, in every unit.",
    (
        _PLATE,
        Column("sample", "text", "Sample; for controls the name on the plate.", required=True),
        Column("subject_id", "text", "Subject, where the pattern or the plate map gives it."),
        Column("sample_id", "text", "sample_id of the samples sheet, where the name stands for one."),
        Column("matrix", "text", "Compartment, where the assay file gives it."),
        Column("infusion", "integer", "Infusion, where the pattern gives it."),
        Column("day", "number", "Day, where the pattern gives it."),
        Column("visit", "text", "Visit, where the pattern gives it."),
        Column("target", "text", "Target.", required=True),
        Column("role", "text", "Role of the target.", required=True, allowed=ROLES),
        Column("analyte", "text", "Analyte in measurements (transgene targets)."),
        Column("assay", "text", "Assay in measurements.", required=True),
        Column("method", "text", "qpcr or dpcr.", required=True, allowed=METHODS),
        Column("task", "text", "unknown, or which control.", required=True, allowed=TASKS),
        Column("wells", "text", "Wells, joined by ', '.", required=True),
        Column("n_wells", "integer", "Wells.", required=True),
        Column("n_used", "integer", "Wells behind the result.", required=True),
        Column("cq_mean", "number", "Mean Cq of the wells used."),
        Column("cq_sd", "number", "Standard deviation of Cq."),
        Column(
            "copies",
            "number",
            "Copies per reaction: mean of the wells (qPCR), pooled partitions (dPCR); 0 where nothing was found.",
        ),
        Column("lower", "number", "Lower 95 % limit."),
        Column("upper", "number", "Upper 95 % limit."),
        Column("sd", "number", "Standard deviation of copies per reaction between the wells."),
        Column("cv_percent", "number", "100 sd / mean between the wells."),
        Column("partitions", "integer", "Accepted partitions, pooled."),
        Column("positives", "integer", "Positive partitions, pooled."),
        Column(
            "blank_copies",
            "number",
            "Copies per reaction taken off for false positives, from the limit of blank.",
        ),
        Column("nominal", "number", "Expected copies per reaction of a control."),
        Column("recovery_percent", "number", "100 x copies / nominal of a control."),
        Column("reference_copies", "number", "Copies per reaction of the reference gene in the same wells."),
        Column(
            "copies_per_cell", "number", "Target copies per cell from the reference gene, or from copies/ug."
        ),
        Column("copies_per_cell_lower", "number", "Lower 95 % limit."),
        Column("copies_per_cell_upper", "number", "Upper 95 % limit."),
        Column("cell_source", "text", "reference (gene) or genome_mass."),
        Column("template_ul", "number", "Volume of eluate (or of its dilution) in the reaction."),
        Column("reaction_ul", "number", "Volume of the reaction."),
        Column("dilution", "number", "Dilution of the eluate before the reaction."),
        Column("dna_ng", "number", "Genomic DNA in the reaction."),
        Column("dna_source", "text", "measured, reference or nominal."),
        Column("copies_per_ug", "number", "Copies per microgram of genomic DNA."),
        Column("copies_per_ug_lower", "number", "Lower 95 % limit."),
        Column("copies_per_ug_upper", "number", "Upper 95 % limit."),
        Column("copies_per_ul", "number", "Copies per microlitre of blood."),
        Column("copies_per_ul_lower", "number", "Lower 95 % limit."),
        Column("copies_per_ul_upper", "number", "Upper 95 % limit."),
        Column("blood_source", "text", "extraction or white_cells."),
        Column("lob", "number", "Limit of blank, copies per reaction."),
        Column("lod", "number", "Limit of detection, copies per reaction."),
        Column("lloq", "number", "Lower limit of quantification, copies per reaction of this sample."),
        Column("uloq", "number", "Upper limit of quantification, copies per reaction."),
        Column("detection", "text", "As in measurements.", allowed=DETECTIONS),
        *_VERDICT,
        Column("repeat", "flag", "The measurement is to be repeated."),
        Column("repeat_reason", "text", "Why, and what to do, in words for the technician."),
        Column("source_row", "integer", "Row of the first well.", required=True),
        Column("source_sha256", "text", "SHA-256 of the plate's file.", required=True),
    ),
)

DROPLETS = Table(
    "pcr_droplets",
    "Amplitudes of the partitions of one well and channel, binned for the picture.",
    (
        _PLATE,
        Column("well", "text", "Well.", required=True),
        Column("target", "text", "Target or channel.", required=True),
        Column("low", "number", "Lower edge of the bin.", required=True),
        Column("high", "number", "Upper edge of the bin.", required=True),
        Column("count", "integer", "Partitions in the bin.", required=True),
        Column("threshold", "number", "Threshold of the well."),
    ),
)

CONTROLS = controls_table("pcr_controls", "log10 copies, Cq, slope, intercept")

TABLES: dict[str, Table] = {t.name: t for t in (WELLS, CURVES, SAMPLES, DROPLETS, CONTROLS)}
"""The tables that the stage writes."""
