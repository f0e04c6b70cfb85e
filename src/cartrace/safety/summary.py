"""The safety table of a trial report: each term over all subjects, by the highest grade of each.

Who was not looked at is not assessed, never 'none'. A grade that is known between
bounds only counts where it is certain, and beside that where it is possible.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cartrace.cohort.groups import ALL, cohorts
from cartrace.safety.grades import observed_days
from cartrace.safety.reported import HIGHEST, NO_GRADE, Key, Plan, Reported, plans_of, reported_events
from cartrace.safety.tables import SAFETY_SUMMARY
from cartrace.safety.thresholds import plain_label
from cartrace.safety.toxicity import HIGHEST_COMPUTED, OWN_GRADES
from cartrace.safety.vocabulary import GRADE_SOURCES, TERMS
from cartrace.tables import rows

if TYPE_CHECKING:
    from cartrace.config import Cohort, Safety
    from cartrace.safety.thresholds import Standards

SHOWN_REASONS = 4
SEVERE = 3
NOT_NAMED = "not named"
ANY_EVENT = "Any reported adverse event or infection"
NO_REPORT = "no report in the events sheet"
NOT_GRADED = "no grade of a clinician"

Span = tuple[float, float]
"""Lowest and highest that is possible; an infinite end is open."""
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Case:
    """One term of one subject after one infusion."""

    least: int
    most: int
    onset: Span | None = None
    duration: Span | None = None
    why_open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table, before it is counted."""

    kind: str
    term: str
    source: str
    cases: dict[Key, Case]
    basis: str = "assessed"
    standard: str | None = None
    missing: Mapping[Key, str] = field(default_factory=dict)
    """Why a subject has no case."""
    otherwise: str = NO_REPORT
    """The same for subjects that ``missing`` does not name."""

    @property
    def highest(self) -> int:
        """The highest grade that can be told: death from it is for clinicians."""
        return HIGHEST_COMPUTED if self.source == "computed" else HIGHEST


def summarise_safety(  # noqa: PLR0917 - the inputs of the stage, in the order of its program
    toxicity: pd.DataFrame,
    grades: pd.DataFrame,
    observations: pd.DataFrame,
    events: pd.DataFrame,
    infusions: pd.DataFrame,
    subjects: pd.DataFrame,
    standards: Standards,
    settings: Safety,
    cohort: Cohort,
) -> pd.DataFrame:
    """Count every term for all subjects and each cohort, each infusion apart.

    Parameters
    ----------
    toxicity, grades, observations
        Tables in the contracts of ``cartrace.safety.tables``.
    events, infusions, subjects
        Tables in the contracts of ``cartrace.tables``.
    standards
        Tables of thresholds, which also know the labels of graded terms.
    settings, cohort
        Sections ``safety`` and ``cohort`` of the configuration.

    Returns
    -------
    pandas.DataFrame
        In the contract of ``cartrace.safety.tables.SAFETY_SUMMARY``: by cohort ('all'
        first) and infusion, graded terms, infections and other reported events (the
        most frequent first), drugs. A term that the trial observes nowhere has no row.

    Raises
    ------
    ValueError
        When a cohort is called 'all', which is the name of the whole.
    """
    plans = plans_of(infusions)
    treated = [(subject, number) for subject, plan in plans.items() for number, _, _ in plan]
    reports = list(reported_events(events, plans, ("adverse_event", "infection")))
    lines = [
        *_graded(toxicity, grades, observations, reports, standards),
        *_reported(reports, standards),
        *_drugs(events, plans, settings),
    ]
    out: list[Row] = []
    for name, members in cohorts(subjects, by_cohort=cohort.by_cohort):
        for number in sorted({n for _, n in treated}):
            # 'all' also holds a subject that the subjects sheet does not know.
            keys = [k for k in treated if k[1] == number and (name == ALL or k[0] in members)]
            if keys:
                names = {"cohort": name, "infusion": number}
                out += [names | _counted(line, keys, cohort.min_n) for line in lines]
    return rows(out, SAFETY_SUMMARY)


def exact_interval(least: int, most: int, n: int) -> Span:
    """Return the exact 95 % interval of a share, in percent (Clopper and Pearson 1934).

    Parameters
    ----------
    least, most
        How many of ``n`` certainly, and possibly. The interval covers both.

    Examples
    --------
    >>> [round(x, 1) for x in exact_interval(2, 2, 12)]
    [2.1, 48.4]
    """
    # SciPy takes a while to import: only what counts needs it.
    from scipy.stats import beta

    lower = float(beta.ppf(0.025, least, n - least + 1)) if least else 0.0
    upper = float(beta.ppf(0.975, most + 1, n - most)) if most < n else 1.0
    return 100 * lower, 100 * upper


def _graded(
    toxicity: pd.DataFrame,
    grades: pd.DataFrame,
    observations: pd.DataFrame,
    reports: Sequence[Reported],
    standards: Standards,
) -> Iterator[Line]:
    """Give the graded terms: computed, and the clinicians' beside them."""
    reasons = _open_reasons(grades)
    asked = {
        (key, term)
        for key, days in observed_days(observations).items()
        for seen in days.values()
        for item, term in OWN_GRADES.items()
        if item in seen
    }
    for term in TERMS:
        for source in GRADE_SOURCES:
            mine = toxicity[(toxicity["term"] == term) & (toxicity["source"] == source)]
            if mine.empty:
                continue
            cases, missing = _cases(mine, reasons)
            if term == "infection":
                # The events know the days of each infection; together they have no duration.
                listed = [r for r in reports if _term(r, standards) == term]
                cases = {k: replace(c, duration=_longest(listed, k)) for k, c in cases.items()}
            # A report says who had it, and nothing of the others.
            rests_on_reports = source == "clinician" and any((key, term) not in asked for key in cases)
            yield Line(
                "graded",
                term,
                source,
                cases,
                basis="treated" if rests_on_reports else "assessed",
                standard=_standard(mine, term, standards) if source == "computed" else None,
                missing=missing,
                otherwise=NO_REPORT if rests_on_reports else NOT_GRADED,
            )


def _cases(
    toxicity: pd.DataFrame, reasons: Mapping[tuple[str, int, str, str], list[tuple[int, str]]]
) -> tuple[dict[Key, Case], dict[Key, str]]:
    cases: dict[Key, Case] = {}
    missing: dict[Key, str] = {}
    for row in toxicity.to_dict("records"):
        key = (str(row["subject_id"]), int(row["infusion"]))
        if pd.isna(row["least"]):
            missing[key] = str(row["reason"])
            continue
        least, most = int(row["least"]), int(row["most"])
        place = (*key, str(row["term"]), str(row["source"]))
        why = dict.fromkeys(reason for highest, reason in reasons.get(place, []) if highest > least)
        onset = _span(row["onset_from"], row["onset_day"]) if least else None
        duration = _span(row["duration_days"], row["duration_most"]) if least else None
        cases[key] = Case(least, most, onset, duration, tuple(why) if least != most else ())
    return cases, missing


def _span(low: float, high: float) -> Span | None:
    return None if pd.isna(low) else (float(low), math.inf if pd.isna(high) else float(high))


def _open_reasons(grades: pd.DataFrame) -> dict[tuple[str, int, str, str], list[tuple[int, str]]]:
    """Say why days have an open grade: their highest possible grade, and the reason."""
    out: dict[tuple[str, int, str, str], list[tuple[int, str]]] = {}
    open_ = grades[grades["grade"].isna() & grades["reason"].notna()]
    columns = ["subject_id", "infusion", "term", "source", "most", "reason"]
    for subject, number, term, source, most, reason in open_[columns].itertuples(index=False):
        place = (str(subject), int(number), str(term), str(source))
        out.setdefault(place, []).append((int(most), str(reason)))
    return out


def _standard(toxicity: pd.DataFrame, term: str, standards: Standards) -> str:
    """Name the thresholds, and which of them nobody has read anywhere."""
    recalled = standards.recalled(term)
    return str(toxicity["standard"].iloc[0]) + (f" [recalled: {recalled}]" if recalled else "")


def _term(report: Reported, standards: Standards) -> str | None:
    return "infection" if report.kind == "infection" else standards.terms.get(plain_label(report.label))


def _reported(reports: Sequence[Reported], standards: Standards) -> Iterator[Line]:
    """Give all reported events together, then those that are no graded term, by label."""
    for kind in ("infection", "adverse_event"):
        if reports and kind == "adverse_event":
            yield Line("any_event", ANY_EVENT, "reported", _highest(reports), basis="treated")
        by_label: dict[str, list[Reported]] = {}
        for report in reports:
            if report.kind == kind and (kind == "infection" or _term(report, standards) is None):
                by_label.setdefault(plain_label(report.label), []).append(report)
        lines = []
        for same in by_label.values():
            spellings = Counter(" ".join(r.label.split()) for r in same)
            name = min(spellings, key=lambda s: (-spellings[s], s)) or NOT_NAMED
            lines.append(Line(kind, name, "reported", _highest(same), basis="treated"))
        yield from sorted(lines, key=lambda line: (-len(line.cases), line.term))


def _highest(reports: Iterable[Reported]) -> dict[Key, Case]:
    """Take the highest grade of each subject, the first day and the longest event."""
    by_key: dict[Key, list[Reported]] = {}
    for report in reports:
        by_key.setdefault(report.key, []).append(report)
    out = {}
    for key, mine in by_key.items():
        certain = [r.day for r in mine if r.least > 0]
        least, most = max(r.least for r in mine), max(r.most for r in mine)
        out[key] = Case(
            least,
            most,
            (float(min(certain)), float(min(certain))) if certain else None,
            _longest(mine, key),
            (NO_GRADE,) if least != most else (),
        )
    return out


def _longest(reports: Iterable[Reported], key: Key) -> Span | None:
    """Return the days of the longest event of a subject; one without an end is open."""
    mine = [r for r in reports if r.key == key and r.least > 0]
    known = [r.end_day - r.day + 1 for r in mine if r.end_day is not None]
    if not mine:
        return None
    longest = float(max(known, default=1))
    return longest, longest if len(known) == len(mine) else math.inf


def _drugs(events: pd.DataFrame, plans: Mapping[str, Plan], settings: Safety) -> Iterator[Line]:
    """Give who got a drug against toxicity; nothing where the events sheet holds no drug at all."""
    if not (events["kind"] == "drug").any():
        return
    given = list(reported_events(events, plans, ("drug",)))
    running = _running(events, plans)
    for treatment in settings.treatments:
        first: dict[Key, int] = {}
        for name in map(plain_label, treatment.labels):
            # The taper of what a patient took anyway is none against toxicity.
            anyway = {key for key, label in running if _holds(label, name)}
            for drug in given:
                if (
                    drug.day <= settings.treatment_days
                    and drug.key not in anyway
                    and _holds(drug.label, name)
                ):
                    first[drug.key] = min(drug.day, first.get(drug.key, drug.day))
        cases = {key: Case(1, 1, (float(day), float(day))) for key, day in first.items()}
        yield Line("drug", treatment.name, "reported", cases, basis="treated")


def _running(events: pd.DataFrame, plans: Mapping[str, Plan]) -> list[tuple[Key, str]]:
    """Name the drugs that began before an infusion and lasted to it or longer."""
    drugs = events[events["kind"] == "drug"].dropna(subset=["label", "end_study_day"])
    return [
        ((str(subject), number), str(label))
        for subject, label, first, last in drugs[
            ["subject_id", "label", "study_day", "end_study_day"]
        ].itertuples(index=False)
        for number, start, _ in plans.get(str(subject), [])
        if math.floor(first - start) < 0 <= math.floor(last - start)
    ]


def _holds(label: str, name: str) -> bool:
    """Say whether a label holds a name as whole words."""
    words = " ".join("".join(c if c.isalnum() else " " for c in label.casefold()).split())
    return f" {name} " in f" {words} "


def _counted(line: Line, keys: Sequence[Key], min_n: int) -> Row:
    cases = [line.cases[k] for k in keys if k in line.cases]
    n_total, n = len(keys), len(cases)
    of = n_total if line.basis == "treated" else n
    row: Row = {
        "kind": line.kind,
        "term": line.term,
        "source": line.source,
        "n_total": n_total,
        "n_assessed": n,
        "n_not_assessed": n_total - n,
        "basis": line.basis,
        "standard": line.standard,
        "reason": _reasons(line, keys, cases),
    }
    row |= _number("any", [c.least >= 1 for c in cases], [c.most >= 1 for c in cases], of)
    if line.kind != "drug":
        row["n_open"] = sum(c.least != c.most for c in cases)
        row |= _number(
            "grade_3_plus", [c.least >= SEVERE for c in cases], [c.most >= SEVERE for c in cases], of
        )
        for grade in range(line.highest + 1):
            row[f"n_grade_{grade}"] = sum(c.least == grade == c.most for c in cases)
            row[f"n_grade_{grade}_most"] = sum(c.least <= grade <= c.most for c in cases)
    row |= _span_of("onset", [c.onset for c in cases if c.onset is not None], min_n)
    durations = [c.duration for c in cases if c.duration is not None]
    row |= _span_of("duration", durations, min_n)
    row["n_duration_open"] = sum(low < high for low, high in durations)
    return row


def _number(name: str, certain: Sequence[bool], possible: Sequence[bool], of: int) -> Row:
    least, most = sum(certain), sum(possible)
    row: Row = {f"n_{name}": least, f"n_{name}_most": most}
    if of:
        lower, upper = exact_interval(least, most, of)
        row |= {f"percent_{name}_lower": lower, f"percent_{name}_upper": upper}
        if least == most:
            row[f"percent_{name}"] = 100 * least / of
    return row


def _span_of(name: str, spans: Sequence[Span], min_n: int) -> Row:
    """Return median and range of numbers that are known between bounds."""
    row: Row = {f"n_{name}": len(spans)}
    if not spans:
        return row
    low, high = np.array(spans, dtype=np.float64).T
    row[f"{name}_minimum"] = float(low.min())
    row[f"{name}_maximum"] = float(np.where(np.isinf(high), low, high).max())
    if len(spans) >= min_n:
        lower, upper = float(np.median(low)), float(np.median(high))
        row[f"{name}_median_lower"] = lower
        row[f"{name}_median_upper"] = upper if math.isfinite(upper) else None
        row[f"{name}_median"] = lower if lower == upper else None
    return row


def _reasons(line: Line, keys: Sequence[Key], cases: Sequence[Case]) -> str | None:
    missing = Counter(line.missing.get(k, line.otherwise) for k in keys if k not in line.cases)
    open_ = Counter(why for case in cases for why in case.why_open)
    said = {"not assessed": missing, "grade open": open_}
    return "; ".join(f"{head}: {_listed(found)}" for head, found in said.items() if found) or None


def _listed(found: Counter[str]) -> str:
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    more = f", and {len(ordered) - SHOWN_REASONS} more" if len(ordered) > SHOWN_REASONS else ""
    return ", ".join(f"{why} ({n})" for why, n in ordered[:SHOWN_REASONS]) + more
