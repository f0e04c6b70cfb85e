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
FLAGS = {
    "omitted": "left out by the operator in the instrument's software",
    "few_beads": "fewer beads than the rule asks",
    "curve_missing": "no calibration curve quantifies the analyte",
    "blank_missing": "the assay subtracts a blank, and the plate has none",
    "hook": "dilutions of the sample rise where they should fall: the signal may be past the hook",
    "not_linear": "dilutions of the sample disagree beyond the rule",
    "start_changed": "the starting dilution is not that of the subject's other samples",
    "not_monotone": "a positive dilution beyond a negative one",
    "vendor_out_of_range": "the instrument's software calls the result out of range",
}
"""Flags of wells and samples beside the acceptance rules."""
