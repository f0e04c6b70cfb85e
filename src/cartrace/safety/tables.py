"""Tables of the safety stage."""

from __future__ import annotations

from cartrace.safety.vocabulary import GRADE_SOURCES, ITEMS, TERMS
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
        Column("peak_day", "number", "First day of the highest grade."),
        Column("end_day", "number", "Last day of any grade."),
        Column(
            "duration_days",
            "number",
            "Days from onset to end, both counted; a lower bound while it lasts. ICAHT: the low days that count.",
        ),
        Column("ongoing", "flag", "Graded at the last observation."),
        Column("n_days", "integer", "Days with an observation."),
        Column("reason", "text", "Why there is no grade, or no certain onset."),
        Column("standard", "text", "Table of thresholds and its source."),
    ),
    key=("subject_id", "infusion", "term", "source"),
)

TABLES: dict[str, Table] = {t.name: t for t in (OBSERVATIONS, GRADES, TOXICITY)}
"""The tables that the stage writes."""
