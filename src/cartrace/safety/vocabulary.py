"""Words of the safety stage. No imports: the Snakefile reads them while it is parsed."""

YES_NO = ("yes", "no")
ITEMS: dict[str, tuple[str, ...] | tuple[float, float]] = {
    "temperature_c": (30.0, 45.0),
    "fever_masked": YES_NO,
    "hypotension": YES_NO,
    "vasopressors": (0.0, 9.0),
    "vasopressin": YES_NO,
    "oxygen": ("none", "low_flow", "high_flow", "positive_pressure"),
    "ice": (0.0, 10.0),
    "consciousness": ("alert", "spontaneous", "voice", "tactile", "unarousable"),
    "seizure": ("none", "brief", "prolonged"),
    "motor_weakness": YES_NO,
    "cerebral_oedema": ("none", "focal", "diffuse"),
    "crs_other_cause": YES_NO,
    "icans_other_cause": YES_NO,
    "crs_grade": (0.0, 5.0),
    "icans_grade": (0.0, 5.0),
}
"""Item of the observations sheet -> the words, or lowest and highest number, that it allows.

``fever_masked``: antipyretics, tocilizumab or steroids, after which fever is no longer asked for.
``crs_other_cause`` and ``icans_other_cause``: the clinician gives the signs of the day to something else (an
infection, a sedative), so that they are no CRS or ICANS. ``vasopressors`` counts all but vasopressin. ``seizure`` brief: rapidly resolving, or only in the EEG;
prolonged: over 5 minutes or repetitive. ``consciousness`` alert: not depressed; spontaneous: opens
the eyes spontaneously, which is grade 1 only where the ICE score says so. ``crs_grade`` and ``icans_grade`` are the clinician's own."""

TERMS = (
    "crs",
    "icans",
    "icaht_early",
    "icaht_late",
    "icaht_platelets_early",
    "icaht_platelets_late",
    "neutropenia",
    "thrombocytopenia",
    "anaemia",
    "lymphopenia",
    "infection",
)
"""What is graded."""
GRADE_SOURCES = ("computed", "clinician")

SUMMARY_KINDS = ("graded", "any_event", "infection", "adverse_event", "drug")
"""Kinds of rows of the safety table: graded terms; reported events, all and by label; drugs."""
SUMMARY_SOURCES = (*GRADE_SOURCES, "reported")
"""Who says it; reported: the events sheet."""
SUMMARY_BASES = ("assessed", "treated")
