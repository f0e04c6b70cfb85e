"""Words of the immunoassay stage. No imports: the Snakefile reads them while it is parsed."""

SIGNALS = ("absorbance", "fluorescence", "luminescence", "mfi", "ecl")
TASKS = ("unknown", "standard", "blank", "control", "negative_control", "positive_control", "empty", "other")
"""What a well is for. ``blank`` holds no sample; ``control`` has an expected concentration or range."""
MODELS = ("4pl", "5pl", "linear", "vendor")
"""Calibration curves; ``vendor`` takes the concentrations that the instrument's software computed."""
WEIGHTINGS = ("none", "1/y", "1/y2", "power", "estimated_power")
"""Weights of the standards: 1, 1 / y, 1 / y^2, y^-p with p given or estimated from the replicates."""
READOUTS = ("concentration", "titre", "index")
VERDICTS = ("accepted", "flagged", "rejected", "not_used")
RANGES = ("inside", "below_curve", "above_curve", "below_lloq", "above_uloq", "hook")
"""Where a signal lies: on the accepted part of the curve, or which side of what."""
READINGS = ("positive", "negative", "equivocal")
"""What one well of a titre says."""
FLAGS = {
    "omitted": "left out by the operator in the instrument's software",
    "curve_missing": "no calibration curve quantifies the analyte",
    "curve_direction": "the signal of the standards goes the wrong way with the concentration",
    "uncontrolled": "the plate has no usable well of any control of the assay file",
    "blank_missing": "the assay subtracts a blank, and the plate has none",
    "hook": "dilutions of the sample rise where they should fall: the signal may be past the hook",
    "start_changed": "the starting dilution is not that of the subject's other samples",
    "not_monotone": "a positive dilution beyond a negative one",
    "vendor_out_of_range": "the instrument's software calls the result out of range",
    "sample_unmapped": "the name on the plate stands for no sample",
    "sample_mapped_twice": "the layout gives the well two samples",
    "sample_mismatch": "layout and file name different things",
    "precision_profile": "nowhere on the curve is the precision profile within its limit",
    "unit_unknown": "the file's unit can't be turned into that of the assay file",
    "reading_missing": "the file has no reading of the well",
    "standard_without_quantity": "no concentration is known of a standard",
    "no_well_left": "no well of the sample could be used",
    "control_weak": "the control that signals are divided by reads like a blank",
    "extrapolated": "the concentration lies beyond the standards, where the limits of the assay file allow it",
    "imprecise": "the curve is so flat there that the CV of so many wells exceeds immunoassay.max_profile_cv_percent",
    "replicates_straddle": "some wells of the dilution lie beyond the curve",
    "dilutions_contradict": "some dilutions lie above the curve and others below it",
    "vendor_dilution": "the assay file is wrong about whether the software's concentrations hold the dilution",
    "control_missing": "the plate lacks the control that the cut-off or the index needs, or it reads nothing",
    "cutoff_unproven": "no well of the plate reaches the cut-off that its own control gave",
    "readings_differ": "two readings of a titre are one step apart",
    "readings_disagree": "readings of a titre are more than one step apart",
    "reading_unknown": "what was written of a well is neither + nor - nor an end point",
    "equivocal": "a borderline well of a titre",
    "dilution_unknown": "no dilution is known of a well of a titre",
    "dilution_missing": "the series lacks a dilution next to the end point",
    "series_uneven": "not every dilution of a titre was read equally often",
    "start_unexpected": "the series does not begin at the starting dilution of the assay file",
    "below_start": "an end point below the starting dilution",
    "off_series": "an end point that is no dilution of the series",
}
"""Flags of wells and samples beside the acceptance rules."""
