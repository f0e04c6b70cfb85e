"""Key results: what the abstract of a phase 1 report prints, each number with its source.

Nothing is estimated here. Every row repeats a number of another table, or counts its
rows; who could not be assessed is counted and said, and a number that another table
does not give has its reason. The rows follow Qin 2023 (Signal Transduct Target Ther
8:5): who was treated, how long they were followed, toxicity, relapses, antibodies,
expansion and persistence. The first infusion counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from cartrace.analytes import ANALYTES, ANTIBODY
from cartrace.cohort.association import course_words, group_by_response, one_unit
from cartrace.cohort.characteristics import NO_INFUSION
from cartrace.cohort.groups import ALL, cohorts
from cartrace.cohort.shares import count_reasons, share
from cartrace.intake.clock import infusion_at
from cartrace.metrics import label_of
from cartrace.registry import load_all
from cartrace.safety.thresholds import plain_label
from cartrace.tables import KEY_RESULTS, rows

if TYPE_CHECKING:
    from cartrace.config import Config, Landmark

MONTH = 365.25 / 12
"""Days of a month, as reports count them."""
HALF_A_YEAR = 180.0
SERIOUS = 3
"""Grade from which a toxicity is severe (CTCAE)."""

COURSE = ["matrix", "analyte", "assay", "course_unit"]
NOT_OBSERVED = "not observed"

Row = dict[str, object]
Course = tuple[str, str, str, str]

SYNDROMES = {"crs": "CRS", "icans": "ICANS"}
COUNTED_TERMS = ("neutropenia", "thrombocytopenia", "anaemia", "lymphopenia")
"""Terms among which the most frequent severe toxicity is looked for; CRS, ICANS and ICAHT have scales of their own,
and infections are counted by what the sheet calls them."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The tables that key results are read from, each in its contract of ``cartrace.tables``.

    ``toxicity`` keeps ``cartrace.safety.tables.TOXICITY``.
    """

    subjects: pd.DataFrame
    infusions: pd.DataFrame
    events: pd.DataFrame
    characteristics: pd.DataFrame
    outcomes: pd.DataFrame
    metrics: pd.DataFrame
    summary: pd.DataFrame
    associations: pd.DataFrame
    toxicity: pd.DataFrame


@dataclass(frozen=True, slots=True)
class _Group:
    """One cohort, and its treated subjects in order."""

    name: str
    members: list[str]


def key_results(sources: Sources, labels: Mapping[str, str], config: Config) -> pd.DataFrame:
    """Collect the key results of all treated subjects and of each cohort.

    Parameters
    ----------
    sources
        Tables.
    labels
        Labels of adverse events that name a term of the safety tables (``Standards.terms``).
    config
        ``cohort``, the landmarks of ``kinetics.persistence`` and ``efficacy``, and ``antibody.fold``.

    Returns
    -------
    pandas.DataFrame
        In the contract of ``cartrace.tables.KEY_RESULTS``.

    Raises
    ------
    ValueError
        When a cohort is called 'all', which is the name of the whole.
    """
    load_all()
    treated = sources.subjects[sources.subjects["subject_id"].isin(set(sources.infusions["subject_id"]))]
    parts: tuple[tuple[str, Callable[[_Group], Iterable[Row]]], ...] = (
        ("Patients", lambda group: _patients(sources, group)),
        ("Follow-up", lambda group: _follow_up(sources.outcomes, group)),
        ("Safety", _Safety(sources, labels, config.cohort.key_results.most_frequent)),
        ("Relapse", lambda group: _relapse(sources.outcomes, group)),
        ("Response", lambda group: _response(sources, treated, config, group)),
        ("Antibodies", lambda group: _antibodies(sources.metrics, config.antibody.fold, group)),
        ("Scores", lambda group: _scores(sources, config, group)),
        ("Expansion", lambda group: _expansion(sources, config, group)),
        ("Depletion", lambda group: _depletion(sources, config, group)),
        ("Expansion and outcome", lambda group: _associations(sources, config, group)),
    )
    found: list[Row] = []
    for name, members in cohorts(treated, by_cohort=config.cohort.by_cohort):
        group = _Group(name, sorted(members))
        for section, part in parts:
            found += [
                {"cohort": name, "section": section, "course": "", "status": "estimated", **row}
                for row in part(group)
            ]
    return rows(found, KEY_RESULTS)


# ---------------------------------------------------------------- how a number is printed


def figure(value: float) -> str:
    """Write a number with three significant digits: 24,300; 0.0125; 46; 7.5.

    >>> [figure(x) for x in (24312.0, 0.01246, 46.0, 7.5, 0.0)]
    ['24,300', '0.0125', '46', '7.5', '0']
    """
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    places = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    if rounded.is_integer():
        return f"{rounded:,.0f}"
    # Rounding can have left fewer places than three digits would fill.
    return f"{rounded:,.{max(places, 0)}f}".rstrip("0").rstrip(".")


def percent(value: float) -> str:
    """Write a percentage without places, and never 0 or 100 for what is not.

    >>> [percent(x) for x in (91.67, 0.0, 100.0, 0.2, 99.8)]
    ['92', '0', '100', '< 1', '> 99']
    """
    if 0 < value < 0.5:
        return "< 1"
    return "> 99" if 99.5 <= value < 100 else f"{value:.0f}"


def share_row(result: str, n: int, n_total: int, unknown: int = 0, *, why: str | None = None) -> Row:
    """Print n of N with its exact 95 % limits: "11 of 12 (92 %; 62 to 100)".

    Parameters
    ----------
    result
        What the n subjects have.
    n, n_total
        Subjects with it, and subjects who could be assessed.
    unknown
        Further treated subjects who could not be.
    why
        Why not, or a remark.
    """
    row: Row = {
        "result": result,
        "n": n,
        "n_total": n_total,
        "n_not_assessable": unknown,
        "reason": why,
        "unit": "%",
    }
    if not n_total:
        return row | {
            "status": "not_estimable",
            "text": f"not assessable in any of {unknown}",
            "reason": why or NOT_OBSERVED,
        }
    found = share(np.array([1.0] * n + [0.0] * (n_total - n)))
    value, lower, upper = (100 * cast("float", found[k]) for k in ("mean", "share_lower", "share_upper"))
    text = f"{n} of {n_total} ({percent(value)} %; {percent(lower)} to {percent(upper)})"
    text += f"; {unknown} not assessable" if unknown else ""
    return row | {"text": text, "value": value, "lower": lower, "upper": upper}


def _plain_share(result: str, n: int, n_total: int, unknown: int) -> Row:
    """Print n of N without limits: who the patients are is no estimate."""
    row = share_row(result, n, n_total, unknown)
    if row.get("value") is None:
        return row
    text = f"{n} of {n_total} ({percent(cast('float', row['value']))} %)" + (
        f"; {unknown} not known" if unknown else ""
    )
    return row | {"text": text, "lower": None, "upper": None}


def median_row(result: str, row: Mapping[str, Any], unit: str, n_total: int) -> Row:
    """Print the median and range of one row of the cohort summary: "46 years (30 to 56)"."""
    shown = _unit(unit)
    numbers = {
        name: float(row[name]) if not pd.isna(row[name]) else math.nan
        for name in ("median", "median_lower", "median_upper", "minimum", "maximum")
    }
    n = int(row["n_estimated"]) + int(row["n_censored"])
    out: Row = {
        "result": result,
        "unit": unit or None,
        "n": n,
        "n_not_assessable": n_total - n,
        "reason": _text(row["reasons"]),
    }
    known = {
        k: v
        for k, v in (("minimum", numbers["minimum"]), ("maximum", numbers["maximum"]))
        if not math.isnan(v)
    }
    span = f" ({figure(known['minimum'])} to {figure(known['maximum'])})" if len(known) == 2 else ""
    method = str(row["median_method"]) if not pd.isna(row["median_method"]) else ""
    lower, upper = numbers["median_lower"], numbers["median_upper"]
    if method.startswith("kaplan_meier"):
        limits = f"95 % limits {_or(lower, 'not reached')} to {_or(upper, 'not reached')}"
        if math.isnan(numbers["median"]):
            return out | {
                "status": "not_estimable",
                "text": f"median not reached ({limits}){_missing(n_total - n)}",
                "lower": lower,
                "reason": "the median of the Kaplan-Meier curve is not reached",
            }
        text = f"{figure(numbers['median'])}{shown} ({limits}; Kaplan-Meier)"
        return out | {
            "value": numbers["median"],
            "lower": lower,
            "upper": upper,
            "text": text + _missing(n_total - n),
        }
    if not math.isnan(numbers["median"]):
        text = f"{figure(numbers['median'])}{shown}{span}{_missing(n_total - n)}"
        return out | {"value": numbers["median"], "text": text, **known}
    if method == "bounds" and not (math.isnan(lower) and math.isnan(upper)):
        # Values that are known as intervals leave the median between two bounds.
        side = (
            f"at most {figure(upper)}"
            if math.isnan(lower) or lower == 0
            else f"at least {figure(lower)}"
            if math.isnan(upper)
            else f"between {figure(lower)} and {figure(upper)}"
        )
        reason = "the median lies between the two limits: some values are known only as intervals"
        return out | {
            "status": "not_estimable",
            "text": f"{side}{shown}{_missing(n_total - n)}",
            "lower": lower,
            "upper": upper,
            "reason": reason,
            **known,
        }
    reason = (
        f"{n} {'value' if n == 1 else 'values'}, too few for a median"
        if n
        else str(out["reason"] or "no value")
    )
    return out | {"status": "not_estimable", "text": f"not estimable: {reason}", "reason": reason}


def _or(value: float, otherwise: str) -> str:
    return otherwise if math.isnan(value) else figure(value)


def _unit(unit: str) -> str:
    return f" {'days' if unit == 'day' else unit}" if unit else ""


def _missing(n: int) -> str:
    return f"; {n} without a value" if n > 0 else ""


def _text(value: object) -> str | None:
    return None if value is None or pd.isna(cast("Any", value)) else str(value)


def _copied(row: Mapping[str, Any], result: str, text: str) -> Row:
    """Give a row of the outcomes table as a key result."""
    return {
        "result": result,
        "text": text,
        "value": row["value"],
        "lower": row["lower"],
        "upper": row["upper"],
        "unit": row["unit"],
        "n": int(row["n"]),
        "n_not_assessable": int(row["n_left_out"]),
        "status": row["status"],
        "reason": "; ".join(filter(None, (_text(row["reason"]), _text(row["left_out"])))) or None,
        "source_table": "outcomes",
        "source_metric": f"{row['outcome']}, {row['statistic']}",
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", frame.to_dict("records"))


# ---------------------------------------------------------------- the sections


def _patients(sources: Sources, group: _Group) -> Iterator[Row]:
    n = len(group.members)
    yield {"result": "Treated", "text": str(n), "value": float(n), "n": n, "source_table": "infusions"}
    everybody = len(sources.subjects) if group.name == ALL else None
    if everybody is not None and everybody > n:
        waiting = everybody - n
        yield {"result": "In the subjects sheet, not treated", "text": str(waiting), "value": float(waiting), "n": waiting,
               "source_table": "subjects"}  # fmt: skip
    own = sources.subjects[sources.subjects["subject_id"].isin(group.members)]
    sexes = own["sex"].dropna().str.strip()
    source = {"source_table": "subjects", "source_metric": "sex"}
    for level in sorted(sexes.unique()):
        yield _plain_share(f"Sex: {level}", int((sexes == level).sum()), len(sexes), n - len(sexes)) | source
    ages = own["age"].dropna().to_numpy(dtype=float)
    if len(ages):
        yield _plain_median("Age", ages, "years", n) | {"source_table": "subjects", "source_metric": "age"}
    if group.name == ALL:
        named = own["cohort"].dropna()
        for cohort in sorted(named.unique()):
            yield _plain_share(
                f"Cohort: {cohort}", int((named == cohort).sum()), len(named), n - len(named)
            ) | {
                "source_table": "subjects",
                "source_metric": "cohort",
            }
    doses = sources.characteristics[
        (sources.characteristics["cohort"] == group.name)
        & sources.characteristics["variable"].str.startswith("First dose")
        & (sources.characteristics["level"] != NO_INFUSION)
    ]
    for dose in _records(doses):
        if not pd.isna(dose["median"]):
            yield {
                "result": dose["variable"],
                "text": _span(dose["median"], dose["minimum"], dose["maximum"], _text(dose["unit"]) or ""),
                "value": dose["median"],
                "minimum": dose["minimum"],
                "maximum": dose["maximum"],
                "unit": dose["unit"],
                "n": int(dose["n"]),
                "n_not_assessable": n - int(dose["n"]),
                "source_table": "characteristics",
                "source_metric": dose["variable"],
            }


def _plain_median(result: str, values: np.ndarray, unit: str, n_total: int) -> Row:
    median, low, high = float(np.median(values)), float(values.min()), float(values.max())
    return {
        "result": result,
        "text": _span(median, low, high, unit) + _missing(n_total - len(values)),
        "value": median,
        "minimum": low,
        "maximum": high,
        "unit": unit,
        "n": len(values),
        "n_not_assessable": n_total - len(values),
    }


def _span(median: float, low: float, high: float, unit: str) -> str:
    return f"{figure(median)}{_unit(unit)}" + ("" if low == high else f" ({figure(low)} to {figure(high)})")


def _outcome(outcomes: pd.DataFrame, group: _Group, name: str, statistic: str) -> list[dict[str, Any]]:
    hit = outcomes[
        (outcomes["cohort"] == group.name)
        & (outcomes["outcome"] == name)
        & (outcomes["statistic"] == statistic)
    ]
    return _records(hit)


def _follow_up(outcomes: pd.DataFrame, group: _Group) -> Iterator[Row]:
    least = {x["value"] for x in _outcome(outcomes, group, "follow_up", "minimum")}
    most = {x["value"] for x in _outcome(outcomes, group, "follow_up", "maximum")}
    for row in _outcome(outcomes, group, "follow_up", "median"):
        said = _copied(row, "Median follow-up", "")
        if row["status"] != "estimated":
            yield said | {"text": f"not estimable: {row['reason']}"}
            continue
        low, high = min(least), max(most)
        text = f"{figure(row['value'])} days, {row['value'] / MONTH:.1f} months (range {figure(low)} to {figure(high)} days)"
        left_out = f"; {row['n_left_out']} without a day of last contact" if row["n_left_out"] else ""
        yield said | {"text": text + left_out, "minimum": low, "maximum": high}


def _relapse(outcomes: pd.DataFrame, group: _Group) -> Iterator[Row]:
    for row in _outcome(outcomes, group, "relapse_free", "share"):
        said = _copied(row, "Relapse-free at last contact", f"not estimable: {row['reason']}")
        if row["status"] == "estimated":
            n = int(row["n"])
            counted = share_row("", n - int(row["n_events"]), n, int(row["n_left_out"]))
            said |= {k: counted[k] for k in ("text", "value", "lower", "upper", "n", "n_total", "unit")}
        yield said
    for row in _outcome(outcomes, group, "relapse_free_survival", "share"):
        result = f"Relapse-free at day {row['day']:g} (Kaplan-Meier)"
        if row["status"] != "estimated":
            yield _copied(row, result, f"not estimable: {row['reason']}")
            continue
        value, lower, upper = (100 * float(row[k]) for k in ("value", "lower", "upper"))
        limits = f"{percent(lower)} to {'not given' if math.isnan(upper) else percent(upper)}"
        text = f"{percent(value)} % ({limits}); {row['n_at_risk']} still followed"
        yield _copied(row, result, text) | {"value": value, "lower": lower, "upper": upper, "unit": "%"}
    for row in _outcome(outcomes, group, "relapse_free_survival", "median"):
        text = f"not estimable: {row['reason']}"
        if row["status"] == "estimated":
            limits = f"{_or(row['lower'], 'not reached')} to {_or(row['upper'], 'not reached')}"
            text = f"{figure(row['value'])} days (95 % limits {limits})"
        elif str(row["reason"]).startswith("not reached"):
            text = "median not reached"
        yield _copied(row, "Median relapse-free survival", text)
    for name, result in (
        ("relapse_rate_before", "Annualised relapse rate before infusion"),
        ("relapse_rate_after", "Annualised relapse rate after infusion"),
    ):
        for row in _outcome(outcomes, group, name, "rate"):
            if row["status"] == "estimated":
                text = f"{row['value']:.2f} per year ({row['lower']:.2f} to {row['upper']:.2f}); {_relapses(row['n_events'])}"
                yield _copied(row, result, text)
            elif name == "relapse_rate_after":
                yield _copied(row, result, f"not estimable: {row['reason']}")


def _relapses(n: int) -> str:
    return f"{n} {'relapse' if n == 1 else 'relapses'}"


class _Safety:
    """Toxicity of the first infusion, the clinician's grade before the computed one."""

    def __init__(self, sources: Sources, labels: Mapping[str, str], most_frequent: int) -> None:
        first = sources.toxicity[sources.toxicity["infusion"] == 1]
        # One row for each subject and term: what the clinician wrote, where it is known.
        ranked = first.assign(
            rank=(first["source"] != "clinician").astype(int), open=first["least"].isna().astype(int)
        )
        ranked = ranked.sort_values(["subject_id", "term", "open", "rank"], kind="stable")
        best = ranked.drop_duplicates(["subject_id", "term"])
        best = best[best["least"].notna()]
        self.grades: dict[str, dict[str, tuple[int, int]]] = {}
        self.sources: dict[str, set[str]] = {}
        for row in best[["subject_id", "term", "source", "least", "most"]].itertuples(index=False):
            subject, term, source, least, most = row
            self.grades.setdefault(str(term), {})[str(subject)] = (int(least), int(most))
            self.sources.setdefault(str(term), set()).add(str(source))
        self.reported = _reported(sources, labels)
        self.most_frequent = most_frequent

    def __call__(self, group: _Group) -> Iterator[Row]:
        for term, name in SYNDROMES.items():
            seen = self._of(term, group)
            if term not in self.grades:
                yield {
                    "result": f"{name}, any grade",
                    "status": "not_estimable",
                    "text": "not assessed",
                    "reason": f"no observation and no event of {name}",
                    "source_table": "safety_toxicity",
                    "source_metric": term,
                }
                continue
            yield self._share(f"{name}, any grade", term, seen, group, least=1)
            yield self._share(f"{name}, grade 1 or 2", term, seen, group, least=1, most=2)
            yield self._share(f"{name}, grade {SERIOUS} or higher", term, seen, group, least=SERIOUS)
        yield from self._infections(group)
        yield from self._frequent(group)

    def _of(self, term: str, group: _Group) -> dict[str, tuple[int, int]]:
        known = self.grades.get(term, {})
        return {s: known[s] for s in group.members if s in known}

    def _share(
        self,
        result: str,
        term: str,
        seen: Mapping[str, tuple[int, int]],
        group: _Group,
        *,
        least: int,
        most: int = 5,
    ) -> Row:
        """Count the subjects whose grade certainly lies from ``least`` to ``most``, and those for whom it is open."""
        yes = sum(least <= low and high <= most for low, high in seen.values())
        no = sum(high < least or low > most for low, high in seen.values())
        open_ = len(seen) - yes - no
        absent = len(group.members) - len(seen)
        why = [f"{NOT_OBSERVED} ({absent})"] * (absent > 0) + [f"grade not certain ({open_})"] * (open_ > 0)
        by = {"clinician": "clinicians' grades", "computed": "grades from observations"}
        said = " or ".join(by[s] for s in sorted(self.sources[term]))
        return share_row(result, yes, yes + no, absent + open_, why="; ".join([*why, said])) | {
            "source_table": "safety_toxicity",
            "source_metric": term,
        }

    def _infections(self, group: _Group) -> Iterator[Row]:
        """Count subjects with an infection in the events sheet, of all treated.

        Nobody writes down an infection that did not happen: without an entry there was
        none, as long as the sheet records infections at all.
        """
        seen, source = (
            self._of("infection", group),
            {"source_table": "safety_toxicity", "source_metric": "infection"},
        )
        if "infection" not in self.grades:
            yield {
                "result": "Infection, any grade",
                "status": "not_estimable",
                "text": "not assessed",
                "reason": "the events sheet holds no infection, so whether they were written down is not known",
                **source,
            }
            return
        n = len(group.members)
        why = "no entry in the events sheet counts as none"
        yield share_row("Infection, any grade", len(seen), n, why=why) | source
        for grade in (SERIOUS, 4):
            yes = sum(low >= grade for low, _ in seen.values())
            open_ = sum(low < grade <= high for low, high in seen.values())
            more = f"{why}; grade not certain ({open_})" if open_ else why
            yield share_row(f"Infection, grade {grade} or higher", yes, n - open_, open_, why=more) | source

    def _frequent(self, group: _Group) -> Iterator[Row]:
        """Name the most frequent severe toxicities; CRS and ICANS have rows of their own."""
        found: list[tuple[int, str, Row]] = []
        for term in COUNTED_TERMS:
            seen = self._of(term, group)
            if not seen:
                continue
            row = self._share(f"Grade {SERIOUS} or higher: {term}", term, seen, group, least=SERIOUS)
            found.append((cast("int", row["n"]), term, row))
        n = len(group.members)
        for label, grades in self.reported.items():
            own = [grades[s] for s in group.members if s in grades]
            yes = sum(low >= SERIOUS for low, _ in own)
            open_ = sum(low < SERIOUS <= high for low, high in own)
            why = "no entry in the events sheet counts as none" + (
                f"; grade not certain ({open_})" if open_ else ""
            )
            row = share_row(f"Grade {SERIOUS} or higher: {label}", yes, n - open_, open_, why=why)
            found.append((yes, label, row | {"source_table": "events", "source_metric": label}))
        found = sorted((x for x in found if x[0]), key=lambda x: (-x[0], x[1]))
        if not found:
            return
        last = found[min(self.most_frequent, len(found)) - 1][0] if self.most_frequent else math.inf
        yield from (row for count, _, row in found if count >= last)


def _reported(sources: Sources, labels: Mapping[str, str]) -> dict[str, dict[str, tuple[int, int]]]:
    """Give the highest grade of each reported event by label and subject, after the first infusion.

    Adverse events that name a term of the safety tables are counted there.
    """
    plans: dict[str, list[tuple[int, float]]] = {}
    plan = sources.infusions.sort_values(["subject_id", "infusion"])
    for subject, number, day in plan[["subject_id", "infusion", "study_day"]].itertuples(index=False):
        plans.setdefault(str(subject), []).append((int(number), float(day)))
    out: dict[str, dict[str, tuple[int, int]]] = {}
    chosen = sources.events[sources.events["kind"].isin(["adverse_event", "infection"])]
    for subject, day, kind, label, grade in chosen[
        ["subject_id", "study_day", "kind", "label", "grade"]
    ].itertuples(index=False):
        name = plain_label(label) if isinstance(label, str) else ""
        if str(subject) not in plans or not name or (kind == "adverse_event" and name in labels):
            continue
        number, since = infusion_at(float(day), plans[str(subject)])
        if number != 1 or since < 0:
            continue
        # Without a grade it is some grade; half a grade lies between two.
        low, high = (1, 5) if pd.isna(grade) else (math.floor(grade), math.ceil(grade))
        own = out.setdefault(name, {})
        before = own.get(str(subject), (0, 0))
        own[str(subject)] = (max(low, before[0]), max(high, before[1]))
    return out


def _response(sources: Sources, treated: pd.DataFrame, config: Config, group: _Group) -> Iterator[Row]:
    rules = config.cohort.association.response
    own = treated[treated["subject_id"].isin(group.members)]
    if not (sources.events["kind"] == "response").any():
        return
    grouping = group_by_response(own, sources.events, rules)
    known = grouping.missing == ""
    why = count_reasons(grouping.missing[~known])
    for name in grouping.groups:
        n = int((known & (grouping.group == name)).sum())
        row = share_row(
            f"Response at day {rules.day:g}: {name}", n, int(known.sum()), int((~known).sum()), why=why
        )
        yield row | {"source_table": "events", "source_metric": "response"}


def _courses(frame: pd.DataFrame, analytes: Iterable[str], least: float = 0) -> list[Course]:
    """Give the course types of some analytes in their order, those of most subjects first.

    ``frame`` has a row for each subject and course; a course of fewer rows than ``least`` is left out.
    """
    order = list(analytes)
    counted = frame[frame["analyte"].isin(order)].groupby(COURSE).size()
    counted = counted[counted >= least]
    listed = [
        (cast("Course", tuple(map(str, cast("tuple[Any, ...]", k)))), int(n)) for k, n in counted.items()
    ]
    return [key for key, _ in sorted(listed, key=lambda x: (order.index(x[0][1]), -x[1], x[0]))]


def _antibodies(metrics: pd.DataFrame, fold: float, group: _Group) -> Iterator[Row]:
    falls = metrics[(metrics["infusion"] == 1) & (metrics["metric"] == "log2_fall")]
    fell = "Fell four-fold" if fold == 4 else f"Fell {fold:g}-fold"
    for course in _courses(falls, ANTIBODY):
        yield from filter(
            None,
            (
                _count(metrics, group, course, "log2_fall", _fell, result="Fell below the baseline"),
                _count(metrics, group, course, "time_to_fourfold_fall", _happened, result=fell),
                _count(metrics, group, course, "time_to_seronegative", _happened, result="Seronegative"),
            ),
        )


def _fell(row: Mapping[str, Any]) -> bool | None:
    """Say whether the lowest result lies below the baseline; None where the intervals leave it open."""
    if row["status"] == "estimated":
        return bool(row["value"] > 0)
    if row["status"] == "not_estimable":
        return None
    if not pd.isna(row["lower"]) and row["lower"] > 0:
        return True
    return False if not pd.isna(row["upper"]) and row["upper"] <= 0 else None


def _happened(row: Mapping[str, Any]) -> bool | None:
    return None if row["status"] == "not_estimable" else row["status"] != "right_censored"


def _of(summary: pd.DataFrame, group: _Group, course: Course, metric: str) -> dict[str, Any] | None:
    hit = summary[
        (summary["cohort"] == group.name)
        & (summary["infusion"] == 1)
        & (summary["metric"] == metric)
        & (summary[COURSE] == list(course)).all(axis=1)
    ]
    return _records(hit)[0] if len(hit) else None


def _median(summary: pd.DataFrame, group: _Group, course: Course, metric: str) -> Row | None:
    """Give the median of one metric of one course; None where nobody has the course."""
    row = _of(summary, group, course, metric)
    if row is None:
        return None
    source = {"course": course_words(*course), "source_table": "cohort_summary", "source_metric": metric}
    return median_row(label_of(metric), row, _text(row["unit"]) or "", len(group.members)) | source


def _count(
    metrics: pd.DataFrame,
    group: _Group,
    course: Course,
    metric: str,
    seen: Callable[[Mapping[str, Any]], bool | None],
    *,
    result: str = "",
) -> Row | None:
    """Count the subjects of one course whose metric ``seen`` says yes to; None where nobody has the metric."""
    own = metrics[
        (metrics["infusion"] == 1)
        & (metrics["metric"] == metric)
        & metrics["subject_id"].isin(group.members)
        & (metrics[COURSE] == list(course)).all(axis=1)
    ]
    if own.empty:
        return None
    said = [seen(row) for row in _records(own)]
    open_ = [str(r) for r, s in zip(own["reason"].fillna("no reason given"), said, strict=True) if s is None]
    absent = len(group.members) - len(said)
    yes, no = sum(s is True for s in said), sum(s is False for s in said)
    why = count_reasons([*open_, *["not measured"] * absent])
    return share_row(result or label_of(metric), yes, yes + no, len(open_) + absent, why=why) | {
        "course": course_words(*course),
        "source_table": "metrics",
        "source_metric": metric,
    }


def _yes(row: Mapping[str, Any]) -> bool | None:
    return bool(row["value"] > 0) if row["status"] == "estimated" else None


def _nearest(landmarks: Iterable[Landmark], day: float) -> Landmark | None:
    return min(landmarks, key=lambda x: abs(x.day - day), default=None)


def _least(sources: Sources, config: Config) -> float:
    """Return how many subjects a course must have to be shown."""
    return sources.infusions["subject_id"].nunique() * config.cohort.key_results.least_percent / 100


def expansion_courses(sources: Sources, config: Config) -> list[Course]:
    """Give the expansion courses that are shown: of each analyte, compartment and assay one unit."""
    rules = config.cohort.key_results
    first = one_unit(sources.metrics[sources.metrics["infusion"] == 1])
    first = first[(first["metric"] == "cmax") & first["matrix"].isin(rules.matrices)]
    if rules.assays:
        first = first[first["assay"].isin(rules.assays)]
    listed = _courses(first, rules.expansion, 0 if rules.assays else _least(sources, config))
    if rules.assays:
        listed.sort(key=lambda c: (rules.expansion.index(c[1]), rules.assays.index(c[2])))
    return listed


def _expansion(sources: Sources, config: Config, group: _Group) -> Iterator[Row]:
    mark = _nearest(config.kinetics.persistence.landmarks, HALF_A_YEAR)
    for course in expansion_courses(sources, config):
        found = [_median(sources.summary, group, course, name) for name in ("cmax", "tmax", "auc_0_28")]
        if mark is not None:
            found.append(_count(sources.metrics, group, course, f"persistent_at_{mark.name}", _yes))
        found.append(_median(sources.summary, group, course, "time_to_loss"))
        yield from filter(None, found)


def _depletion(sources: Sources, config: Config, group: _Group) -> Iterator[Row]:
    metrics = sources.metrics
    seen = metrics[(metrics["infusion"] == 1) & (metrics["metric"] == "nadir")]
    for course in _courses(seen, config.cohort.key_results.depletion, _least(sources, config)):
        found = [_median(sources.summary, group, course, "nadir")]
        if ANALYTES[course[1]].family == "depletion":
            found.insert(0, _count(metrics, group, course, "time_to_depletion", _happened, result="Depleted"))
            found.append(_median(sources.summary, group, course, "depletion_duration"))
        else:
            found.append(_median(sources.summary, group, course, "percent_fall"))
        yield from filter(None, found)


def _scores(sources: Sources, config: Config, group: _Group) -> Iterator[Row]:
    metrics = sources.metrics
    seen = metrics[(metrics["infusion"] == 1) & (metrics["metric"] == "score_baseline")]
    for course in _courses(seen, [s.analyte for s in config.efficacy.scores]):
        found = [_median(sources.summary, group, course, "score_baseline")]
        for mark in config.efficacy.landmarks:
            row = _count(metrics, group, course, f"score_improved_at_{mark.name}", _yes)
            # A landmark that nobody has reached says nothing.
            found += [row] if row and row["n_total"] else []
        found.append(_median(sources.summary, group, course, "score_best_change"))
        found.append(_median(sources.summary, group, course, "time_to_sustained_improvement"))
        yield from filter(None, found)


def _associations(sources: Sources, config: Config, group: _Group) -> Iterator[Row]:
    """Repeat the rank tests of expansion against response and relapse; they are of all subjects."""
    if group.name != ALL:
        return
    shown = [course_words(*c) for c in expansion_courses(sources, config)]
    families = ("expansion and response", "expansion and relapse")
    tests = _records(sources.associations[sources.associations["family"].isin(families)])
    for course, row in ((c, r) for c in shown for r in tests if str(r["x"]).endswith(f", {c}")):
        name = str(row["x"]).removesuffix(f", {course}")
        out: Row = {
            "result": f"{name} and {str(row['y'])[0].lower()}{str(row['y'])[1:]}",
            "course": course,
            "n": int(row["n"]),
            "status": row["status"],
            "reason": _text(row["reason"]),
            "source_table": "associations",
            "source_metric": row["family"],
        }
        if row["status"] != "estimated":
            yield out | {"text": f"not tested: {row['reason']}"}
            continue
        p = "p < 0.001" if row["p"] < 0.001 else f"p = {row['p']:.2g}"
        # The first remark of a test of two groups says how far they lie apart.
        apart = "" if pd.isna(row["effect"]) else f"{str(row['reason']).split('; ')[0]}; "
        q = "" if pd.isna(row["q"]) else f", q = {row['q']:.2g}"
        yield out | {"text": f"{apart}{p}{q} (n = {row['n']}; {row['groups']})", "value": row["effect"]}
