"""The tables that everything passes through, and their contracts.

``measurements`` is where every assay ends, ``metrics`` where every metric ends,
``qc`` where every check ends. Each table is declared once, here: the pandera
contract checked on writing and on reading, the Parquet file, the TSV and
docs/tables.md all follow from the declaration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from cartrace.files import replacing
from cartrace.problems import redact_dates
from cartrace.vocabulary import (
    CENSORINGS,
    DETECTIONS,
    EVENT_KINDS,
    INBOX_MATCHES,
    INBOX_STATUSES,
    MATRICES,
    MEASUREMENT_STATUSES,
    METRIC_STATUSES,
    OUTCOME_NAMES,
    OUTCOME_STATISTICS,
    VECTORS,
    VERDICTS,
)

Kind = Literal["text", "number", "integer", "flag"]
_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
# Blanks and what can't be seen are cut away by some spreadsheets; full-width signs count in some countries' (OWASP).
_FORMULA = re.compile(
    r"[\s\x00-\x1f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r]"
)
_DTYPE: dict[Kind, str] = {"text": "string", "number": "float64", "integer": "Int64", "flag": "boolean"}


class TableError(ValueError):
    """A table does not keep its contract."""

    def __init__(self, message: str) -> None:
        """Keep the message, without the calendar dates that cells may hold."""
        super().__init__(redact_dates(message))


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its kind, its meaning, its allowed values."""

    name: str
    kind: Kind
    description: str
    required: bool = False
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table contract: ordered columns, and the columns that identify a row."""

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [c.name for c in self.columns]


COURSE_KEY = ("subject_id", "infusion", "matrix", "analyte", "assay")
"""With a unit, these columns identify one course: one patient, one infusion, one
compartment, one analyte, one assay. Courses are never mixed."""

_COURSE_TYPE = (
    Column("matrix", "text", "Compartment.", required=True, allowed=MATRICES),
    Column("analyte", "text", "Analyte.", required=True),
    Column("assay", "text", "Assay.", required=True),
    Column("course_unit", "text", "Unit of the measurements that this rests on.", required=True),
)

MEASUREMENTS = Table(
    "measurements",
    "One laboratory result: what was measured in which sample, on the clock of its infusion.",
    (
        Column("subject_id", "text", "Subject, as the trial writes it.", required=True),
        Column(
            "infusion", "integer", "Number of the infusion that the sample belongs to, from 1.", required=True
        ),
        Column(
            "sample_id",
            "text",
            "Sample; made from subject, matrix and day where the sheets name none.",
            required=True,
        ),
        Column("day", "number", "Days from that infusion (day 0 is the infusion).", required=True),
        Column("study_day", "number", "Days from the subject's first infusion.", required=True),
        Column("visit", "text", "Nominal visit, as the laboratory or the samples sheet names it."),
        Column(
            "matrix",
            "text",
            "Compartment; matrices are never mixed in one course.",
            required=True,
            allowed=MATRICES,
        ),
        Column("analyte", "text", "What was measured (cartrace.analytes).", required=True),
        Column("assay", "text", "How it was measured.", required=True),
        Column(
            "value",
            "number",
            "The quantified value; empty when it is censored, since a bound is not a value.",
        ),
        Column("unit", "text", "Unit of value, lower, upper, lod, lloq, uloq and sd.", required=True),
        Column(
            "detection",
            "text",
            "quantified; BLQ (below quantification); BLD (below detection); above_uloq.",
            required=True,
            allowed=DETECTIONS,
        ),
        Column("censoring", "text", "Side on which the value is unknown.", required=True, allowed=CENSORINGS),
        Column(
            "lower",
            "number",
            "Lower bound of a censored value; equal to value when it is known; of an end-point titre the highest "
            "dilution up to which every one was positive.",
        ),
        Column(
            "upper",
            "number",
            "Upper bound of a censored value, empty when no limit is known; equal to value when it is known; of an "
            "end-point titre the first negative dilution, or its value where the source does not tell the step.",
        ),
        Column("lod", "number", "Limit of detection that held for this result."),
        Column("lloq", "number", "Lower limit of quantification that held for this result."),
        Column("uloq", "number", "Upper limit of quantification that held for this result."),
        Column("sd", "number", "Standard deviation of the replicates."),
        Column("n_replicates", "integer", "Replicates behind the value."),
        Column(
            "status",
            "text",
            "accepted, flagged (used, look at qc) or rejected (never used).",
            required=True,
            allowed=MEASUREMENT_STATUSES,
        ),
        Column("flags", "text", "Names of the checks that flagged it, joined by ';'."),
        Column("source_file", "text", "file_id of the files sheet.", required=True),
        Column("source_row", "integer", "Row in that file, as a spreadsheet counts."),
        Column("source_column", "text", "Column of that file."),
        Column("source_sha256", "text", "SHA-256 of that file's content.", required=True),
    ),
)

METRICS = Table(
    "metrics",
    "One metric of one course. What can't be computed is a row with a reason, never a missing row.",
    (
        Column("subject_id", "text", "Subject.", required=True),
        Column("infusion", "integer", "Number of the infusion.", required=True),
        *_COURSE_TYPE,
        Column("metric", "text", "Name in the registry (docs/metrics.md).", required=True),
        Column("value", "number", "Point estimate; empty when censored without one, or not estimable."),
        Column(
            "lower",
            "number",
            "Lower bound: of the interval of a censored value, or the 95 % confidence limit.",
        ),
        Column("upper", "number", "Upper bound, likewise."),
        Column("unit", "text", "Unit of value, lower and upper."),
        Column("status", "text", "How far the value is known.", required=True, allowed=METRIC_STATUSES),
        Column("reason", "text", "Why it is not estimable or censored; a remark otherwise."),
        Column("n_points", "integer", "Measurements that entered."),
        Column("window_start", "number", "First day of the window that was used."),
        Column("window_end", "number", "Last day of the window that was used."),
        Column("method", "text", "Rules that were applied."),
    ),
    key=(*COURSE_KEY, "course_unit", "metric"),
)

QC = Table(
    "qc",
    "One row for each finding of a check, with the evidence.",
    (
        Column("check", "text", "Name of the check.", required=True),
        Column("verdict", "text", "pass, note, warn or fail.", required=True, allowed=VERDICTS),
        Column("source_file", "text", "file_id of the files sheet, or the sheet's own name."),
        Column("source_row", "integer", "Row, as a spreadsheet counts."),
        Column("source_column", "text", "Column."),
        Column("subject_id", "text", "Subject."),
        Column("sample_id", "text", "Sample."),
        Column("analyte", "text", "Analyte."),
        Column("value", "text", "What was found (dates redacted)."),
        Column("limit", "text", "What is allowed."),
        Column("limit_source", "text", "Where the limit comes from."),
        Column("message", "text", "One sentence with the evidence.", required=True),
        Column("suggestion", "text", "A suggested reading; never applied by cartrace."),
    ),
)

COHORT_SUMMARY = Table(
    "cohort_summary",
    "One metric over all subjects of one course type.",
    (
        Column("cohort", "text", "'all', or a cohort of the subjects sheet.", required=True),
        Column("infusion", "integer", "Number of the infusion.", required=True),
        *_COURSE_TYPE,
        Column("metric", "text", "Name in the registry.", required=True),
        Column("unit", "text", "Unit of the statistics."),
        Column("n", "integer", "Courses.", required=True),
        Column("n_estimated", "integer", "Courses with a point estimate.", required=True),
        Column("n_censored", "integer", "Courses with a censored value.", required=True),
        Column("n_not_estimable", "integer", "Courses without a value.", required=True),
        Column("reasons", "text", "Reasons for those without a value, with their counts."),
        Column(
            "mean", "number", "Arithmetic mean of the estimates; the share of 'yes' for a yes-or-no metric."
        ),
        Column("share_lower", "number", "Lower exact 95 % limit of that share (Clopper and Pearson)."),
        Column("share_upper", "number", "Upper exact 95 % limit of that share."),
        Column("sd", "number", "Standard deviation (n - 1)."),
        Column("geometric_mean", "number", "exp(mean(ln x)) when every estimate is above 0."),
        Column("geometric_cv_percent", "number", "100 sqrt(exp(var(ln x)) - 1)."),
        Column(
            "median",
            "number",
            "Median of the estimates; Kaplan-Meier median of a time to an event, empty when it was not reached.",
        ),
        Column(
            "median_lower",
            "number",
            "Lower 95 % limit of the Kaplan-Meier median (Brookmeyer-Crowley); with median_method bounds, the lower "
            "bound of the median.",
        ),
        Column(
            "median_upper",
            "number",
            "Upper 95 % limit of the Kaplan-Meier median, empty when not reached; with median_method bounds, the "
            "upper bound of the median, empty when open.",
        ),
        Column("q1", "number", "First quartile of the estimates."),
        Column("q3", "number", "Third quartile of the estimates."),
        Column("minimum", "number", "Smallest estimate."),
        Column("maximum", "number", "Largest estimate."),
        Column(
            "median_method",
            "text",
            "sample; bounds (values known as intervals leave it between two); kaplan_meier; kaplan_meier, not reached.",
        ),
        Column("counted", "text", "What the statistics count, and what is left out."),
    ),
    key=("cohort", "infusion", "matrix", "analyte", "assay", "course_unit", "metric"),
)

SURVIVAL = Table(
    "survival",
    "Steps of the persistence curves (Kaplan-Meier and Turnbull).",
    (
        Column("cohort", "text", "'all', or a cohort of the subjects sheet.", required=True),
        Column("infusion", "integer", "Number of the infusion.", required=True),
        *_COURSE_TYPE,
        Column("metric", "text", "The time-to-event metric.", required=True),
        Column(
            "estimator",
            "text",
            "kaplan_meier or turnbull.",
            required=True,
            allowed=("kaplan_meier", "turnbull"),
        ),
        Column("day", "number", "Day of the step.", required=True),
        Column("survival", "number", "Share without the event after this day.", required=True),
        Column("lower", "number", "Lower 95 % confidence limit; for Turnbull the lower edge of the step."),
        Column("upper", "number", "Upper 95 % confidence limit; for Turnbull the upper edge of the step."),
        Column("n_at_risk", "integer", "Courses at risk (Kaplan-Meier)."),
    ),
)

SUBJECTS = Table(
    "subjects",
    "The subjects sheet after the checks.",
    (
        Column("subject_id", "text", "Subject.", required=True),
        Column("cohort", "text", "Dose level or disease group."),
        Column("sex", "text", "As the sheet writes it."),
        Column("age", "number", "Years at the first infusion."),
        Column("weight_kg", "number", "Body weight at the first infusion."),
        Column("follow_up_study_day", "number", "Study day of the last contact."),
    ),
    key=("subject_id",),
)

INFUSIONS = Table(
    "infusions",
    "The infusions sheet, joined with products, on the study clock; calendar dates are gone.",
    (
        Column("subject_id", "text", "Subject.", required=True),
        Column("infusion", "integer", "Number of the infusion, from 1.", required=True),
        Column("study_day", "number", "Days from the subject's first infusion.", required=True),
        Column("product", "text", "Product.", required=True),
        Column("target", "text", "Target of the product."),
        Column("construct", "text", "Construct of the product."),
        Column(
            "vector",
            "text",
            "How the CAR gene is carried; mrna does not integrate.",
            required=True,
            allowed=VECTORS,
        ),
        Column("dose", "number", "Dose as given."),
        Column("dose_unit", "text", "Unit of the dose."),
        Column(
            "lymphodepletion_day", "number", "First day of lymphodepletion, from this infusion (negative)."
        ),
    ),
    key=("subject_id", "infusion"),
)

SAMPLES = Table(
    "samples",
    "The samples sheet on the clock of its infusion.",
    (
        Column("sample_id", "text", "Sample.", required=True),
        Column("subject_id", "text", "Subject.", required=True),
        Column("infusion", "integer", "Infusion that it belongs to.", required=True),
        Column("matrix", "text", "Compartment.", required=True, allowed=MATRICES),
        Column("visit", "text", "Nominal visit."),
        Column("day", "number", "Days from that infusion.", required=True),
        Column("study_day", "number", "Days from the first infusion.", required=True),
    ),
    key=("sample_id",),
)

EVENTS = Table(
    "events",
    "The events sheet on the study clock: what happened to the subject beside the samples.",
    (
        Column("subject_id", "text", "Subject.", required=True),
        Column("study_day", "number", "First study day of the event.", required=True),
        Column("end_study_day", "number", "Last study day, where it lasted."),
        Column(
            "kind",
            "text",
            "What kind of event; ivig masks IgG for a configured time.",
            required=True,
            allowed=EVENT_KINDS,
        ),
        Column("label", "text", "Name of the drug, category of the response, organ of the infection."),
        Column("grade", "number", "Grade, where the event has one."),
        Column("dose", "number", "Dose, where the event has one."),
        Column("dose_unit", "text", "Unit of the dose."),
    ),
)

EPISODES = Table(
    "episodes",
    "Stretches in which an analyte was depleted. Start and end are known between two samples each.",
    (
        Column("subject_id", "text", "Subject.", required=True),
        Column("infusion", "integer", "Number of the infusion.", required=True),
        *_COURSE_TYPE,
        Column("episode", "integer", "Number of the episode in its course, from 1.", required=True),
        Column(
            "start_lower",
            "number",
            "Last day not depleted before it; empty when depleted from the first sample.",
        ),
        Column("start_upper", "number", "First day depleted.", required=True),
        Column("end_lower", "number", "Last day depleted.", required=True),
        Column("end_upper", "number", "First day not depleted (confirmed); empty when still depleted."),
        Column(
            "status", "text", "closed, or open at the last sample.", required=True, allowed=("closed", "open")
        ),
        Column("n_points", "integer", "Results inside it.", required=True),
        Column("definition", "text", "The definition that held.", required=True),
    ),
    key=(*COURSE_KEY, "course_unit", "episode"),
)

MODELS = Table(
    "models",
    "Parameters of models over all subjects, such as the decay of an antibody.",
    (
        Column("model", "text", "Name of the model.", required=True),
        *_COURSE_TYPE,
        Column("parameter", "text", "Name of the parameter.", required=True),
        Column("value", "number", "Estimate."),
        Column("se", "number", "Standard error."),
        Column("lower", "number", "Lower 95 % confidence limit."),
        Column("upper", "number", "Upper 95 % confidence limit."),
        Column("unit", "text", "Unit of value, se and limits."),
        Column(
            "status",
            "text",
            "estimated or not_estimable.",
            required=True,
            allowed=("estimated", "not_estimable"),
        ),
        Column("reason", "text", "Why it is not estimable; a remark otherwise."),
        Column("n_subjects", "integer", "Subjects that entered.", required=True),
        Column("n_points", "integer", "Results that entered.", required=True),
        Column("n_censored", "integer", "Of these, below a limit.", required=True),
        Column("method", "text", "How it was fitted.", required=True),
    ),
    key=("model", "matrix", "analyte", "assay", "course_unit", "parameter"),
)

ANTIBODY_MEANS = Table(
    "antibody_means",
    "Mean level of an antibody over subjects at a visit, and its mean change from the baseline.",
    (
        Column("cohort", "text", "'all', or a cohort of the subjects sheet.", required=True),
        Column("infusion", "integer", "Number of the infusion.", required=True),
        *_COURSE_TYPE,
        Column(
            "quantity",
            "text",
            "level, or change: level over that of the baseline of the same subject.",
            required=True,
            allowed=("level", "change"),
        ),
        Column("visit", "text", "Baseline, a nominal visit, or a landmark.", required=True),
        Column("day", "number", "Nominal day; of the baseline the median day.", required=True),
        Column("n", "integer", "Subjects that entered.", required=True),
        Column("n_below", "integer", "Of these, with a result below a limit.", required=True),
        Column("n_above", "integer", "Of these, with a result above the range.", required=True),
        Column(
            "left_out", "text", "Subjects with this course who did not enter, by reason, with their counts."
        ),
        Column("mean_log2", "number", "Mean of log2."),
        Column("lower_log2", "number", "Lower 95 % confidence limit of mean_log2."),
        Column("upper_log2", "number", "Upper 95 % confidence limit of mean_log2."),
        Column("sd_log2", "number", "Standard deviation of log2 between subjects."),
        Column(
            "geometric_mean",
            "number",
            "2 to the power of mean_log2, in course_unit; of a change the quotient.",
        ),
        Column("geometric_lower", "number", "Lower 95 % confidence limit of geometric_mean."),
        Column("geometric_upper", "number", "Upper 95 % confidence limit of geometric_mean."),
        Column(
            "end_point_mean",
            "number",
            "The usual geometric mean for comparison: end points as they stand, negative titres one step below their "
            "start, other results below a limit at half of it, above the range at the limit; where geometric_mean is estimated.",
        ),
        Column(
            "status",
            "text",
            "estimated or not_estimable.",
            required=True,
            allowed=("estimated", "not_estimable"),
        ),
        Column("reason", "text", "Why it is not estimable."),
        Column("method", "text", "How it was estimated.", required=True),
    ),
    key=("cohort", "infusion", "matrix", "analyte", "assay", "course_unit", "quantity", "visit"),
)

ASSOCIATIONS = Table(
    "associations",
    "Does one number go with another over the subjects? Rank tests with n, corrected within each family.",
    (
        Column("family", "text", "Questions that are corrected together.", required=True),
        Column("x", "text", "First variable: metric of a course, in words.", required=True),
        Column("y", "text", "Second variable, or the grouping.", required=True),
        Column("method", "text", "spearman, mann_whitney or kruskal_wallis.", required=True),
        Column("n", "integer", "Subjects with both.", required=True),
        Column("n_censored", "integer", "Of these, with a value known only as an interval."),
        Column("left_out", "text", "Subjects with one of the two only, by reason, with their counts."),
        Column("groups", "text", "Sizes of the groups, where y is a grouping."),
        Column("statistic", "number", "rho, or the statistic of the test."),
        Column(
            "effect",
            "number",
            "mann_whitney: share of the pairs in which one of the first group lies above one of the second, a tie "
            "counted half (the area under the ROC curve); empty for the other tests.",
        ),
        Column("lower", "number", "Lower 95 % confidence limit of rho."),
        Column("upper", "number", "Upper 95 % confidence limit of rho."),
        Column("p", "number", "Two-sided p value."),
        Column("p_method", "text", "exact, permutation or asymptotic."),
        Column("q", "number", "p after Benjamini-Hochberg within the family."),
        Column(
            "status",
            "text",
            "estimated or not_estimable.",
            required=True,
            allowed=("estimated", "not_estimable"),
        ),
        Column("reason", "text", "Why there is no test; a remark otherwise."),
    ),
    key=("family", "x", "y"),
)

CHARACTERISTICS = Table(
    "characteristics",
    "Table 1: who the subjects are, and what they received.",
    (
        Column("cohort", "text", "'all', or a cohort of the subjects sheet.", required=True),
        Column("variable", "text", "What is described.", required=True),
        Column("level", "text", "Category; an empty text for a number.", required=True),
        Column("n", "integer", "Subjects with a value (numbers), or in the category.", required=True),
        Column("n_total", "integer", "Subjects of the cohort.", required=True),
        Column("percent", "number", "Share of the category in percent."),
        Column("median", "number", "Median."),
        Column("minimum", "number", "Smallest."),
        Column("maximum", "number", "Largest."),
        Column("unit", "text", "Unit of median, minimum and maximum."),
    ),
    key=("cohort", "variable", "level"),
)

_ANSWERED = (
    Column(
        "status",
        "text",
        "estimated or not_estimable.",
        required=True,
        allowed=("estimated", "not_estimable"),
    ),
    Column("reason", "text", "Why it is not estimable; a remark otherwise."),
)

OUTCOMES = Table(
    "outcomes",
    "Relapse-free survival, follow-up and relapse rates of all subjects and of each cohort.",
    (
        Column("cohort", "text", "'all', or a cohort of the subjects sheet.", required=True),
        Column("outcome", "text", "What is estimated.", required=True, allowed=OUTCOME_NAMES),
        Column("statistic", "text", "Which number of it.", required=True, allowed=OUTCOME_STATISTICS),
        Column("day", "number", "Study day that a share holds at; empty for the other numbers."),
        Column("value", "number", "Estimate."),
        Column("lower", "number", "Lower 95 % confidence limit."),
        Column("upper", "number", "Upper 95 % confidence limit; empty when not reached."),
        Column("unit", "text", "day, share (0 to 1) or 1/year."),
        Column("n", "integer", "Subjects that entered.", required=True),
        Column("n_events", "integer", "Events: subjects with one, or relapses of a rate.", required=True),
        Column("n_at_risk", "integer", "Subjects without the event and still followed at that day."),
        Column("n_left_out", "integer", "Treated subjects that could not enter.", required=True),
        Column("left_out", "text", "Why, with their counts."),
        *_ANSWERED,
        Column("method", "text", "Rules that were applied.", required=True),
    ),
    key=("cohort", "outcome", "statistic", "day"),
)

OUTCOME_CURVES = Table(
    "outcome_curves",
    "Steps and censorings of the Kaplan-Meier curves of relapse-free survival and of follow-up.",
    (
        Column("cohort", "text", "'all', or a cohort of the subjects sheet.", required=True),
        Column(
            "outcome",
            "text",
            "relapse_free_survival; or follow_up, where the end of follow-up is the event (reverse Kaplan-Meier).",
            required=True,
            allowed=("relapse_free_survival", "follow_up"),
        ),
        Column("day", "number", "Study day.", required=True),
        Column("survival", "number", "Share without the event after this day.", required=True),
        Column("lower", "number", "Lower 95 % limit (log-log); empty while there is no event."),
        Column("upper", "number", "Upper 95 % limit; empty while there is no event, and at 0."),
        Column("n_at_risk", "integer", "Subjects at risk just before this day.", required=True),
        Column("n_events", "integer", "Subjects with the event on this day.", required=True),
        Column("n_censored", "integer", "Subjects censored on this day.", required=True),
    ),
    key=("cohort", "outcome", "day"),
)

KEY_RESULTS = Table(
    "key_results",
    "What the abstract of a report prints, one number a row, with the table that it comes from.",
    (
        Column("cohort", "text", "'all', or a cohort of the subjects sheet.", required=True),
        Column("section", "text", "Part of the table.", required=True),
        Column("result", "text", "What it says.", required=True),
        Column("course", "text", "Course that it rests on, in words; an empty text for none.", required=True),
        Column("text", "text", "As it is printed.", required=True),
        Column("value", "number", "Median, percentage or estimate."),
        Column("lower", "number", "Lower 95 % confidence limit."),
        Column("upper", "number", "Upper 95 % confidence limit."),
        Column("minimum", "number", "Smallest, beside a median."),
        Column("maximum", "number", "Largest, beside a median."),
        Column("unit", "text", "Unit of these numbers."),
        Column("n", "integer", "Subjects with it, beside a percentage; else those that entered."),
        Column("n_total", "integer", "Subjects that could be assessed, beside a percentage."),
        Column("n_not_assessable", "integer", "Treated subjects for whom it can't be told."),
        *_ANSWERED,
        Column("source_table", "text", "Table that it was read from.", required=True),
        Column("source_metric", "text", "Metric, term or variable of that table."),
    ),
    key=("cohort", "section", "result", "course"),
)

INBOX = Table(
    "inbox",
    "What the laboratories left in their inboxes, and what the sheets await there: one row for each use of a file.",
    (
        Column(
            "inbox",
            "text",
            "The inbox, as the configuration names it; empty for a file beside it that waits for one of an inbox.",
        ),
        Column("name", "text", "Path below the folder of the inbox; empty for the folder itself."),
        Column("status", "text", "What became of it (docs/inbox.md).", required=True, allowed=INBOX_STATUSES),
        Column("matched_by", "text", "What told its use.", allowed=INBOX_MATCHES[1:]),
        Column("file_id", "text", "The file_id, library or set of sites that it is."),
        Column("sha256", "text", "SHA-256 of its content."),
        Column("detail", "text", "Why it is not used."),
        Column("hint", "text", "What would help."),
    ),
)

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        MEASUREMENTS,
        METRICS,
        QC,
        COHORT_SUMMARY,
        SURVIVAL,
        EPISODES,
        MODELS,
        ANTIBODY_MEANS,
        ASSOCIATIONS,
        CHARACTERISTICS,
        OUTCOMES,
        OUTCOME_CURVES,
        KEY_RESULTS,
        SUBJECTS,
        INFUSIONS,
        SAMPLES,
        EVENTS,
        INBOX,
    )
}


def empty(table: Table) -> pd.DataFrame:
    """Return a frame without rows that keeps the contract of ``table``."""
    return _empty(table).copy()


@cache
def _empty(table: Table) -> pd.DataFrame:
    return conform(pd.DataFrame({name: [] for name in table.names}), table)


def conform(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Bring ``frame`` into the column order and types of ``table`` and check it.

    Optional columns that are missing are added empty.

    Raises
    ------
    TableError
        With every breach of the contract: unknown or missing columns, text in a
        number column, empty required cells, values that are not allowed,
        repeated keys.
    """
    known, there = set(table.names), set(frame.columns)
    problems = [f"unknown column '{c}'" for c in frame.columns if c not in known]
    problems += [f"missing column '{c.name}'" for c in table.columns if c.required and c.name not in there]
    if problems:
        raise TableError(f"{table.name}: " + "; ".join(problems))
    data: dict[str, Any] = {}
    for column in table.columns:
        if column.name in there:
            values, dtype = frame[column.name], _dtype(column.kind)
            try:
                data[column.name] = (values if values.dtype == dtype else values.astype(dtype)).array
            except (TypeError, ValueError) as error:
                problems.append(f"column '{column.name}' is not {column.kind}: {error}")
        else:
            data[column.name] = _nothing(column.kind).repeat(len(frame))
    if problems:
        raise TableError(f"{table.name}: " + "; ".join(problems))
    # Of arrays, since series cost their index each; it copies them.
    out = pd.DataFrame(data)
    if not _keeps(out, table):
        _validate(out, table)
    return out


@cache
def _dtype(kind: Kind) -> Any:
    return pd.api.types.pandas_dtype(_DTYPE[kind])


@cache
def _nothing(kind: Kind) -> Any:
    """Return one empty cell."""
    return pd.array([None], dtype=_dtype(kind))


def _keeps(frame: pd.DataFrame, table: Table) -> bool:
    """Say whether a frame of the right columns and types keeps the contract.

    pandera takes a second to import and a tenth of one for each table, in every job. So it
    is asked only where something is wrong, for its words; tests hold the two together.
    """
    return all(
        (not column.required or not frame[column.name].array.isna().any())
        and (not column.allowed or _holds_only(frame[column.name], column.allowed))
        for column in table.columns
    ) and not (table.key and _repeats(frame, table))


def _holds_only(values: pd.Series[Any], allowed: tuple[str, ...]) -> bool:
    return all(value is pd.NA or value in allowed for value in values.array.unique())


def _repeats(frame: pd.DataFrame, table: Table) -> bool:
    """Say whether two rows have the same key; an empty cell is like any other empty cell."""
    if len(frame) > _FEW:
        return bool(frame.duplicated(list(table.key)).any())
    columns = []
    for name in table.key:
        cells = frame[name].array
        # A copy, and nan too becomes None: no two nan are equal.
        values = cells.to_numpy(dtype=object, copy=True)
        values[cells.isna()] = None
        columns.append(values)
    return len(set(zip(*columns, strict=True))) < len(frame)


_FEW = 1000
"""Rows up to which a set of their keys is faster than the codes that pandas gives them."""


def _validate(frame: pd.DataFrame, table: Table) -> None:
    from pandera.errors import SchemaErrors

    try:
        _schema(table)(frame)
    except SchemaErrors as error:
        cases = error.failure_cases
        repeats = cases["check"] == "multiple_fields_uniqueness"
        lines = []
        if repeats.any():
            # pandera lists each column of the key alone; together they say which rows.
            first = cases[repeats].drop_duplicates("column")
            key = ", ".join(f"{c}={v!r}" for c, v in zip(first["column"], first["failure_case"], strict=True))
            lines.append(f"{cases[repeats]['index'].nunique()} rows repeat a key (first: {key})")
        lines += [
            f"{len(group)} rows of column '{column}' break the check {check} (first: {group.failure_case.iloc[0]!r})"
            for (column, check), group in cases[~repeats].groupby(
                ["column", "check"], dropna=False, sort=False
            )
        ]
        # pandera's own error would print cells as they are, dates included.
        raise TableError(f"{table.name}: " + "; ".join(lines)) from None


@cache
def _schema(table: Table) -> Callable[[pd.DataFrame], Any]:
    # pandera takes a second to import: only jobs that write or read tables pay it.
    import pandera.pandas as pa

    schema = pa.DataFrameSchema(
        {
            c.name: pa.Column(
                _DTYPE[c.kind],
                checks=[pa.Check.isin(c.allowed)] if c.allowed else [],
                nullable=not c.required,
            )
            for c in table.columns
        },
        strict=True,
        ordered=True,
        unique=list(table.key) or None,
        name=table.name,
    )

    def validate(frame: pd.DataFrame) -> Any:
        return schema.validate(frame, lazy=True)

    return validate


def write_table(frame: pd.DataFrame, path: str | Path, table: Table) -> None:
    """Check ``frame`` and write it as Parquet, whole or not at all."""
    checked = conform(frame, table)
    with replacing(path) as temporary:
        checked.to_parquet(temporary, index=False)


def read_table(path: str | Path, table: Table) -> pd.DataFrame:
    """Read a Parquet file and check it against the contract of ``table``."""
    return conform(pd.read_parquet(path), table)


def write_tsv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write ``frame`` as a tab-separated file that no spreadsheet can run.

    Text that begins like a formula gets a leading apostrophe (OWASP, CSV
    injection); numbers keep their sign. Line breaks, tabs and other control
    characters become a space, since one row must stay one line: a carriage
    return inside a cell would begin a new row, and a formula with it. The Parquet
    file holds the text as it was.
    """
    safe = frame.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            safe[name] = safe[name].map(_one_line, na_action="ignore")
    with replacing(path) as temporary:
        safe.to_csv(temporary, sep="\t", index=False, lineterminator="\n")


def _one_line(cell: object) -> object:
    safe = defuse(cell)
    return _BREAKS.sub(" ", safe) if isinstance(safe, str) else safe


def defuse(cell: object) -> object:
    """Return ``cell`` so that a spreadsheet shows it as text and runs nothing."""
    return "'" + cell if isinstance(cell, str) and _FORMULA.match(cell) else cell


def concat(frames: Iterable[pd.DataFrame], table: Table) -> pd.DataFrame:
    """Stack frames that keep the contract of ``table``; none at all gives an empty one."""
    kept = [f for f in frames if len(f)]
    return conform(pd.concat(kept, ignore_index=True), table) if kept else empty(table)


def rows(records: Iterable[Mapping[str, object]], table: Table) -> pd.DataFrame:
    """Make a checked frame from records."""
    listed = list(records)
    return conform(pd.DataFrame(listed), table) if listed else empty(table)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows with None for what is empty."""
    cells = [
        [None if empty else cell for cell, empty in zip(column.tolist(), column.isna(), strict=True)]
        for _, column in frame.items()
    ]
    return [dict(zip(frame.columns, row, strict=True)) for row in zip(*cells, strict=True)]
