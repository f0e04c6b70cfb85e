"""Tables of the safety stage."""

from __future__ import annotations

from cartrace.safety.vocabulary import (
    GRADE_SOURCES,
    ITEMS,
    SUMMARY_BASES,
    SUMMARY_KINDS,
    SUMMARY_SOURCES,
    TERMS,
)
from cartrace.tables import Column, Table

OBSERVATIONS = Table(
    "observations",
    "Bedside observations on the clock of the infusion: one item of one moment.",
    (
        Column("subject_id", "text", "Subject.", required=True),
        Column(
            "infusion",
            "integer",
            "Latest infusion at or before it, or within its lymphodepletion.",
            required=True,
        ),
        Column("day", "number", "Day from that infusion.", required=True),
        Column("study_day", "number", "Day from the first infusion.", required=True),
        Column("item", "text", "What was observed.", required=True, allowed=tuple(ITEMS)),
        Column("number", "number", "Its number, for items that are numbers."),
        Column("word", "text", "Its word, for items that are words."),
        Column("source_row", "integer", "Row of the observations sheet.", required=True),
    ),
)

GRADES = Table(
    "safety_grades",
    "One term of one subject on one day: the grade, and what it rests on.",
    (
        Column("subject_id", "text", "Subject.", required=True),
        Column("infusion", "integer", "Infusion.", required=True),
        Column("day", "number", "Day from the infusion.", required=True),
        Column("term", "text", "What is graded.", required=True, allowed=TERMS),
        Column("source", "text", "Who graded.", required=True, allowed=GRADE_SOURCES),
        Column("grade", "integer", "Grade; 0: none. Empty: can't be told."),
        Column("least", "integer", "Lowest grade that the observations allow, where items are missing."),
        Column("most", "integer", "Highest grade that they allow."),
        Column("because", "text", "The observations that set it, in words."),
        Column("reason", "text", "Why it can't be told."),
    ),
    key=("subject_id", "infusion", "day", "term", "source"),
)

TOXICITY = Table(
    "safety_toxicity",
    "One term of one subject after one infusion: the highest grade, its days.",
    (
        Column("subject_id", "text", "Subject.", required=True),
        Column("infusion", "integer", "Infusion.", required=True),
        Column("term", "text", "What is graded.", required=True, allowed=TERMS),
        Column("source", "text", "Who graded.", required=True, allowed=GRADE_SOURCES),
        Column("grade", "integer", "Highest grade; 0: observed and none. Empty: can't be told."),
        Column("least", "integer", "Lowest grade that the observations allow."),
        Column("most", "integer", "Highest grade that they allow."),
        Column("onset_day", "number", "First day of any grade."),
        Column("onset_from", "number", "Earliest day that the observations allow for it."),
        Column("peak_day", "number", "First day of the highest grade."),
        Column("end_day", "number", "Last day of any grade."),
        Column(
            "duration_days",
            "number",
            "Days from onset to end, both counted; a lower bound while it lasts. ICAHT: the low days that count. Empty for "
            "several infections.",
        ),
        Column(
            "duration_most",
            "number",
            "Longest that the observations allow; empty while its end is not known.",
        ),
        Column("ongoing", "flag", "Graded at the last observation."),
        Column("n_days", "integer", "Days with an observation."),
        Column("reason", "text", "Why there is no grade, or no certain onset."),
        Column("standard", "text", "Table of thresholds and its source."),
    ),
    key=("subject_id", "infusion", "term", "source"),
)


def _counted(name: str, what: str) -> tuple[Column, Column]:
    return (
        Column(f"n_{name}", "integer", f"Subjects {what}, as far as it is certain."),
        Column(f"n_{name}_most", "integer", f"Subjects {what}, as many as the open grades allow."),
    )


def _share(name: str, what: str) -> tuple[Column, ...]:
    return (
        Column(f"percent_{name}", "number", f"Percent {what}; empty where open grades leave it open."),
        Column(
            f"percent_{name}_lower",
            "number",
            "Lower end of its exact 95 % interval (Clopper and Pearson), of the certain ones.",
        ),
        Column(f"percent_{name}_upper", "number", "Upper end, with as many as the open grades allow."),
    )


def _days(name: str, what: str) -> tuple[Column, ...]:
    return (
        Column(f"n_{name}", "integer", f"Subjects with {what}."),
        Column(f"{name}_median", "number", "Median; empty where it is not certain, or for too few."),
        Column(f"{name}_median_lower", "number", "Lowest that the observations allow for the median."),
        Column(f"{name}_median_upper", "number", "Highest that they allow; empty where there is no end."),
        Column(f"{name}_minimum", "number", "Smallest that they allow."),
        Column(
            f"{name}_maximum", "number", "Largest that they allow; of an open duration what is certain of it."
        ),
    )


SAFETY_SUMMARY = Table(
    "safety_summary",
    "One term over all subjects, as the safety table of a trial report prints it: highest grade of each subject.",
    (
        Column("cohort", "text", "Cohort of the subjects sheet; all for everybody.", required=True),
        Column("infusion", "integer", "Infusion after which it was.", required=True),
        Column("kind", "text", "Graded term, reported event or drug.", required=True, allowed=SUMMARY_KINDS),
        Column("term", "text", "Graded term, label of the events sheet, or name of the drug.", required=True),
        Column("source", "text", "Who says it.", required=True, allowed=SUMMARY_SOURCES),
        Column("n_total", "integer", "Subjects of the cohort with this infusion.", required=True),
        Column("n_assessed", "integer", "Of these, with a grade, or with bounds for it.", required=True),
        Column(
            "n_not_assessed",
            "integer",
            "Of these, without any. Nobody looked, or (basis treated) nobody reported: never 'none'.",
            required=True,
        ),
        Column("n_open", "integer", "Assessed, but the grade is known between bounds only."),
        *_counted("any", "with any grade; of a drug: who got it"),
        *(column for g in range(6) for column in _counted(f"grade_{g}", f"with grade {g}")),
        *_counted("grade_3_plus", "with grade 3 or higher"),
        Column(
            "basis",
            "text",
            "Percent of whom: of the assessed, or of all with this infusion where it rests on reports.",
            required=True,
            allowed=SUMMARY_BASES,
        ),
        *_share("any", "with any grade"),
        *_share("grade_3_plus", "with grade 3 or higher"),
        *_days("onset", "a day of onset"),
        *_days("duration", "a duration"),
        Column("n_duration_open", "integer", "Of the durations, known from below only."),
        Column("reason", "text", "Why subjects were not assessed, or grades are open, with how many."),
        Column("standard", "text", "Table of thresholds and its source; which are recalled only."),
    ),
    key=("cohort", "infusion", "kind", "term", "source"),
)

TABLES: dict[str, Table] = {t.name: t for t in (OBSERVATIONS, GRADES, TOXICITY, SAFETY_SUMMARY)}
"""The tables that the stage writes."""
