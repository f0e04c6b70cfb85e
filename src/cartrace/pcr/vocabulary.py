"""Words of the PCR stage. Nothing heavy: the Snakefile reads them while it is parsed."""

import re

METHODS = ("qpcr", "dpcr")
TASKS = (
    "unknown",
    "standard",
    "ntc",
    "negative_control",
    "positive_control",
    "accuracy_control",
    "inhibition_control",
    "blocked_inhibition_control",
    "empty",
    "other",
)
"""What a well is for. ``ntc`` holds no template; ``negative_control`` is DNA without the transgene;
``accuracy_control`` has known copies; the inhibition control is a spike (IPC), blocked in the blocked one."""
CQ_KINDS = ("quantified", "undetermined", "missing")
ROLES = ("transgene", "reference", "inhibition_control")
VERDICTS = ("accepted", "flagged", "rejected", "not_used")
PLATFORMS = ("qx100", "qx200", "qx600", "qxone", "qiacuity_8.5k", "qiacuity_26k", "absolute_q")
"""Digital PCR instruments whose partition volume cartrace knows (cartrace.pcr.partitions)."""
AMPLITUDE_FILE = re.compile(r"_([A-Za-z]{1,2})0*(\d{1,2})_Amplitude\.csv$")
"""How Bio-Rad's software names the droplets of a well: ``anything_A01_Amplitude.csv``."""
