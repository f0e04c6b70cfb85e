"""Everything that is graded: by day, by subject, and where clinicians say otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from cartrace.kinetics.rows import assemble
from cartrace.safety.counts import blood_counts
from cartrace.safety.crs import contradictions, crs_items, grade_crs
from cartrace.safety.ctcae import grade_counts, lower_limit
from cartrace.safety.grades import DayGrade, observed_days
from cartrace.safety.icaht import FollowUp, Haematotoxicity, grade_haematotoxicity
from cartrace.safety.icans import grade_icans, icans_items
from cartrace.safety.recovery import courses_of, find_recovery, low_days_result, recovery_result
from cartrace.safety.reported import Key, Plan, Reported, plans_of, reported_events
from cartrace.safety.tables import GRADES, TOXICITY
from cartrace.safety.thresholds import plain_label
from cartrace.safety.vocabulary import TERMS
from cartrace.tables import METRICS, QC, concat, rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Safety
    from cartrace.safety.counts import Counts
    from cartrace.safety.thresholds import CountTable, HaematotoxicityTable, RecoveryTable, Standards

OWN_GRADES = {"crs_grade": "crs", "icans_grade": "icans"}
"""Items in which clinicians write their own grade -> its term."""
HIGHEST_COMPUTED = 4
SHOWN_DAYS = 5
EARLIEST_DAY = -90
"""Day from the infusion before which no trial looks for CRS: a date in another year, more likely. House value."""
CLINICIAN = "clinicians' grades"


class Graded(NamedTuple):
    """The tables of the stage, each in its contract."""

    grades: pd.DataFrame
    toxicity: pd.DataFrame
    metrics: pd.DataFrame
    qc: pd.DataFrame


@dataclass(slots=True)
class _Found:
    """The inputs, and what is collected on the way."""

    measurements: pd.DataFrame
    observed: Mapping[Key, Mapping[int, Mapping[str, tuple[float | str, ...]]]]
    events: pd.DataFrame
    plans: Mapping[str, Plan]
    standards: Standards
    settings: Safety
    grades: list[dict[str, object]] = field(default_factory=list)
    toxicity: list[dict[str, object]] = field(default_factory=list)
    metrics: list[pd.DataFrame] = field(default_factory=list)
    qc: list[dict[str, object]] = field(default_factory=list)
    computed: dict[tuple[Key, str], list[DayGrade]] = field(default_factory=dict)

    @property
    def keys(self) -> list[Key]:
        """All infusions of all subjects, in order."""
        return [(subject, number) for subject, plan in self.plans.items() for number, _, _ in plan]

    def counts(self, table: CountTable | HaematotoxicityTable | RecoveryTable) -> dict[Key, Counts]:
        """Return the counts that a table grades, by infusion, up to the next lymphodepletion."""
        counts = blood_counts(self.measurements, table.analyte, table.unit)
        until = {(s, n): day for s, plan in self.plans.items() for n, day in _last_days(plan).items()}
        cut = {k: c.up_to(until[k]) for c in counts if (k := (c.subject_id, c.infusion)) in until}
        return {key: c for key, c in cut.items() if len(c.day)}

    def tell(self, key: Key, finding: str, message: str, verdict: str = "warn") -> None:
        """Add a row to qc."""
        self.qc.append(
            {
                "check": finding,
                "verdict": verdict,
                "source_file": "observations",
                "subject_id": key[0],
                "message": f"Infusion {key[1]}: {message}",
            }
        )


def grade_toxicity(  # noqa: PLR0917 - the inputs of the stage, in the order of its program
    measurements: pd.DataFrame,
    observations: pd.DataFrame,
    infusions: pd.DataFrame,
    events: pd.DataFrame,
    standards: Standards,
    settings: Safety,
) -> Graded:
    """Grade every infusion by every table of thresholds.

    A term that the trial observes somewhere gets a row for every infusion; one that
    could not be graded has its reason. Clinicians' grades stay beside the computed
    ones, and where they differ is a row in qc.

    Parameters
    ----------
    measurements, infusions, events
        Tables in the contracts of ``cartrace.tables``.
    observations
        Table in the contract of ``cartrace.safety.tables.OBSERVATIONS``.
    standards
        Tables of thresholds.
    settings
        Section ``safety`` of the configuration.
    """
    found = _Found(
        measurements, observed_days(observations), events, plans_of(infusions), standards, settings
    )
    _symptoms(found)
    _outside(found, observations)
    _single_counts(found)
    _windows(found)
    _recovery(found)
    _clinicians(found)
    metrics = concat(found.metrics, METRICS)
    return Graded(
        rows(sorted(found.grades, key=_order), GRADES),
        rows(sorted(found.toxicity, key=_order), TOXICITY),
        metrics,
        rows(sorted(found.qc, key=lambda r: (str(r["subject_id"]), str(r["check"]), str(r["message"]))), QC),
    )


def _order(row: Mapping[str, object]) -> tuple[object, ...]:
    term = TERMS.index(str(row["term"]))
    return (row["subject_id"], row["infusion"], term, row.get("day", 0.0), row["source"])


def _follow_up(found: _Found) -> dict[Key, FollowUp]:
    """Say up to which day the counts of each infusion count."""
    ends: dict[str, list[tuple[float, bool]]] = {}
    for subject, kind, day in found.events[["subject_id", "kind", "study_day"]].itertuples(index=False):
        if kind == "death" or kind in found.settings.icaht.end_at:
            ends.setdefault(str(subject), []).append((float(day), kind == "death"))
    out: dict[Key, FollowUp] = {}
    for subject, plan in found.plans.items():
        for number, start, _ in plan:
            last: int | None = None
            died = False
            for day, death in ends.get(subject, []):
                whole = math.floor(day - start)
                if whole >= 0 and (last is None or whole < last or (whole == last and death)):
                    last, died = whole, death
            following = _last_days(plan)[number]
            if following is not None and (last is None or following < last):
                last, died = following, False
            out[subject, number] = FollowUp(last, died)
    return out


def _last_days(plan: Plan) -> dict[int, int | None]:
    """Return the last whole day of each infusion before the next lymphodepletion; None for the last infusion."""
    out: dict[int, int | None] = {number: None for number, _, _ in plan}
    for (number, start, _), (_, after, lymphodepletion) in pairwise(plan):
        out[number] = math.ceil(after + lymphodepletion - start) - 1
    return out


def _symptoms(found: _Found) -> None:
    settings = found.settings
    acute = {
        key: {day: seen for day, seen in days.items() if day <= settings.acute_days}
        for key, days in found.observed.items()
    }
    follow_up = _follow_up(found)
    for term, table in found.standards.symptoms.items():
        items = crs_items(table) if term == "crs" else icans_items(table)
        if not any(i in seen for days in acute.values() for seen in days.values() for i in items):
            continue
        grade = grade_crs if term == "crs" else grade_icans
        for key in found.keys:
            days = grade(acute.get(key, {}), table, settings.charted_by_exception)
            _add(found, key, term, days, f"no observation from day 0 to {settings.acute_days:g}")
            gap = days[-1].day - days[0].day + 1 - len(days) if days else 0
            if gap:
                found.tell(
                    key,
                    "days_without_observation",
                    f"{term} has no observation on {gap} of the days {days[0].day} to {days[-1].day}; the highest grade is "
                    "that of the others.",
                    verdict="note",
                )
            ended = follow_up[key].last_day
            if days and days[-1].day < (
                settings.watch_days if ended is None else min(settings.watch_days, ended)
            ):
                found.tell(
                    key,
                    "observed_briefly",
                    f"{term} was observed up to day {days[-1].day} only, and not up to day {settings.watch_days:g}; what came "
                    "later is not known, and the highest grade is that of the days seen.",
                )
            at = contradictions(acute.get(key, {})) if term == "crs" else []
            if at:
                found.tell(
                    key,
                    "contradictory_observations",
                    f"a pressor is given and hypotension denied on day {_days(at)}; the pressor counts.",
                )


def _outside(found: _Found, observations: pd.DataFrame) -> None:
    """Tell observations that no grade rests on because of their day: long before the infusion, or late."""
    settings = found.settings
    for key, seen in observations.groupby(["subject_id", "infusion"], sort=True):
        names: tuple[Any, ...] = key
        days = seen["day"].to_numpy()
        for mine, verdict, where in (
            (days[days < EARLIEST_DAY], "warn", f"before day {EARLIEST_DAY}: is the year right?"),
            (
                days[days >= math.floor(settings.acute_days) + 1],
                "note",
                f"after day {settings.acute_days:g} (safety.acute_days).",
            ),
        ):
            if len(mine):
                found.tell(
                    (str(names[0]), int(names[1])),
                    "observations_outside",
                    f"{len(mine)} observations of the days {min(mine):g} to {max(mine):g} are not graded, since they lie {where}",
                    verdict=verdict,
                )


def _single_counts(found: _Found) -> None:
    for table in found.standards.counts:
        counts = found.counts(table)
        lln = lower_limit(table, found.settings.lower_limits)
        for key in found.keys if counts else ():
            days = grade_counts(counts[key], table, lln) if key in counts else []
            _add(found, key, table.term, days, f"no count of {table.analyte} from day 0 on")


def _windows(found: _Found) -> None:
    settings = found.settings.icaht
    follow_up = _follow_up(found)
    for table in found.standards.haematotoxicity:
        counts = found.counts(table)
        graded: dict[Key, Haematotoxicity] = {}
        for key in found.keys if counts else ():
            one = Haematotoxicity(None, f"no count of {table.analyte}")
            if key in counts:
                one = grade_haematotoxicity(counts[key], table, follow_up[key], settings)
                graded[key] = one
            found.toxicity.append(_window_row(key, table.term, one, found.standards.named[table.term]))
            if one.grade is not None:
                found.grades.append(one.grade.row(*key, table.term, "computed"))
                found.computed[key, table.term] = [one.grade]
        if table.from_day == 0 and graded:
            mildest = min(table.rows, key=lambda r: r.grade)
            rule = f"{settings.count} days {mildest.text} {table.unit}; no more than {settings.carry_days} days without a count"
            courses = courses_of([counts[key] for key in graded], table.analyte, table.unit)
            found.metrics.append(assemble(courses, [low_days_result(list(graded.values()), rule)]))


def _window_row(key: Key, term: str, one: Haematotoxicity, standard: str) -> dict[str, object]:
    row: dict[str, object] = {
        "subject_id": key[0],
        "infusion": key[1],
        "term": term,
        "source": "computed",
        "n_days": one.n_counts,
        "reason": one.reason,
        "standard": standard,
    }
    if one.grade is None:
        return row
    row |= {
        "grade": one.grade.grade,
        "least": one.grade.least,
        "most": one.grade.most,
        "onset_day": one.first_low,
        "end_day": one.last_low,
        "onset_from": one.first_possible if one.first_low is not None else None,
        "duration_days": one.low_days if one.low_days else None,
        "ongoing": one.last_low == one.grade.day,
        "reason": one.grade.reason,
    }
    if one.low_days and not row["ongoing"]:
        row["duration_most"] = one.low_days_most
    return row


def _recovery(found: _Found) -> None:
    settings = found.settings.recovery
    labels = {plain_label(label) for label in settings.transfusions}
    given: dict[str, list[float]] = {}
    columns = ["subject_id", "kind", "label", "study_day"]
    for subject, kind, label, day in found.events[columns].itertuples(index=False):
        if kind == "drug" and isinstance(label, str) and plain_label(label) in labels:
            given.setdefault(str(subject), []).append(float(day))
    starts = {(s, number): start for s, plan in found.plans.items() for number, start, _ in plan}
    for table in found.standards.recovery:
        counts = found.counts(table)
        if not counts:
            continue
        recovered = [
            find_recovery(c, table, settings, [day - starts[key] for day in given.get(key[0], [])])
            for key, c in counts.items()
        ]
        courses = courses_of(list(counts.values()), table.analyte, table.unit)
        found.metrics.append(assemble(courses, [recovery_result(recovered, table)]))


def _add(found: _Found, key: Key, term: str, days: list[DayGrade], none: str) -> None:
    found.grades.extend(day.row(*key, term, "computed") for day in days)
    row = _summary(key, term, days, none)
    found.toxicity.append(row | {"source": "computed", "standard": found.standards.named[term]})
    if days:
        found.computed[key, term] = days


def _summary(key: Key, term: str, days: Sequence[DayGrade], none: str = "") -> dict[str, object]:
    """Return the row of TOXICITY for graded days in order: the highest grade, onset, end."""
    row: dict[str, object] = {"subject_id": key[0], "infusion": key[1], "term": term, "n_days": len(days)}
    if not days:
        return row | {"reason": none}
    least, most = max(d.least for d in days), max(d.most for d in days)
    row |= {"grade": least if least == most else None, "least": least, "most": most}
    said: list[str] = []
    if least != most:
        open_ = [d for d in days if d.most > least]
        reasons = dict.fromkeys(d.reason for d in open_ if d.reason)
        said.append(
            f"day {_days([d.day for d in open_])} can't be told ({' | '.join(list(reasons)[:SHOWN_DAYS])})"
        )
    graded = [d for d in days if d.least > 0]
    if graded:
        onset, end = graded[0].day, graded[-1].day
        row |= {
            "onset_day": onset,
            "peak_day": next(d.day for d in graded if d.least == least),
            "end_day": end,
            "duration_days": end - onset + 1,
        }
        open_days = [d.day for d in days if d.most > 0]
        row["onset_from"] = open_days[0]
        if open_days[0] < onset:
            said.append(f"the onset can be as early as day {open_days[0]}")
        if days[-1].most == 0:
            row["duration_most"] = open_days[-1] - open_days[0] + 1
    last = days[-1]
    row["ongoing"] = True if last.least > 0 else (False if last.most == 0 else None)
    return row | {"reason": "; ".join(said) or None}


def _graded_events(found: _Found) -> dict[tuple[Key, str], list[Reported]]:
    """Find the events that carry a grade of a term."""
    out: dict[tuple[Key, str], list[Reported]] = {}
    for one in reported_events(found.events, found.plans, ("infection", "adverse_event")):
        term = "infection" if one.kind == "infection" else found.standards.terms.get(plain_label(one.label))
        if term:
            out.setdefault((one.key, term), []).append(one)
    return out


def _clinicians(found: _Found) -> None:
    """Add the clinicians' grades, by day and by subject, and tell where they differ."""
    by_day: dict[tuple[Key, str], dict[int, DayGrade]] = {}
    for key, days in found.observed.items():
        for day, seen in days.items():
            for item, term in OWN_GRADES.items():
                if item in seen:
                    grade = int(max(v for v in seen[item] if not isinstance(v, str)))
                    one = DayGrade(day, grade, grade, item.replace("_", " "))
                    by_day.setdefault((key, term), {})[day] = one
    events = _graded_events(found)
    known = set(found.keys)
    for place in sorted({*by_day, *events}):
        key, term = place
        if key not in known:
            continue
        own, stays = by_day.get(place, {}), events.get(place, [])
        together: dict[int, list[DayGrade]] = {}
        for one in [*own.values(), *(stay.grade for stay in stays)]:
            together.setdefault(one.day, []).append(one)
        listed = [_merged(together[day]) for day in sorted(together)]
        found.grades.extend(day.row(*key, term, "clinician") for day in listed)
        row = _summary(key, term, listed) | {"source": "clinician", "standard": CLINICIAN}
        if stays:
            _lengthen(row, own, listed, stays)
        found.toxicity.append(row)
        _compare(found, place, own, listed)


def _merged(grades: Sequence[DayGrade]) -> DayGrade:
    """Put several grades of one day together: the highest counts."""
    because = "; ".join(dict.fromkeys(sorted(g.because for g in grades)))
    reasons = sorted({g.reason for g in grades if g.reason})
    least, most = max(g.least for g in grades), max(g.most for g in grades)
    return DayGrade(grades[0].day, least, most, because, "; ".join(reasons) if least != most else None)


def _lengthen(
    row: dict[str, object], own: Mapping[int, DayGrade], days: Sequence[DayGrade], stays: Sequence[Reported]
) -> None:
    """Let events last to their end; whether one without an end goes on is not known."""
    graded = [d.day for d in days if d.least > 0]
    if not graded:
        return
    ends = [s.end_day for s in stays if s.end_day is not None and s.least > 0]
    last = max(graded + ends)
    row |= {"end_day": last, "duration_days": last - graded[0] + 1, "ongoing": None}
    if all(s.end_day is not None for s in stays):
        row["ongoing"] = bool(own) and max(own) == last and max(own) not in ends and own[max(own)].least > 0
    row["duration_most"] = row["duration_days"] if row["ongoing"] is False else None
    if row["term"] == "infection" and len(stays) > 1:
        # The days between two infections are none of either.
        row |= {"duration_days": None, "duration_most": None}
        more = f"{len(stays)} infections, so no single duration"
        row["reason"] = f"{row['reason']}; {more}" if row["reason"] else more


def _compare(
    found: _Found, place: tuple[Key, str], own: Mapping[int, DayGrade], listed: Sequence[DayGrade]
) -> None:
    """Tell in qc where a clinician's grade is none that the computed ones allow."""
    key, term = place
    computed = {d.day: d for d in found.computed.get(place, [])}
    if not computed:
        return
    differ = [
        f"day {day}: {_range(grade)}, computed {_range(computed[day])}"
        for day, grade in sorted(own.items())
        if day in computed and not _agree(grade, computed[day])
    ]
    highest, highest_own = _highest(computed.values()), _highest(listed)
    if not differ and not _agree(highest_own, highest):
        differ = [f"highest grade: {_range(highest_own)}, computed {_range(highest)}"]
    if differ:
        more = f"; and {len(differ) - SHOWN_DAYS} more days" if len(differ) > SHOWN_DAYS else ""
        found.tell(
            key,
            "clinician_grade_differs",
            f"the clinician grades {term} otherwise ({'; '.join(differ[:SHOWN_DAYS])}{more}). Both are kept.",
        )


def _highest(days: Iterable[DayGrade]) -> DayGrade:
    listed = list(days)
    return DayGrade(0, max(d.least for d in listed), max(d.most for d in listed))


def _agree(own: DayGrade, computed: DayGrade) -> bool:
    # Death from it is for clinicians: nothing computed exceeds grade 4.
    return (
        min(own.least, HIGHEST_COMPUTED) <= computed.most
        and min(own.most, HIGHEST_COMPUTED) >= computed.least
    )


def _range(grade: DayGrade) -> str:
    return str(grade.least) if grade.least == grade.most else f"{grade.least} to {grade.most}"


def _days(days: Iterable[int]) -> str:
    listed = [str(d) for d in days]
    if len(listed) > SHOWN_DAYS:
        return f"{', '.join(listed[:SHOWN_DAYS])} and {len(listed) - SHOWN_DAYS} more"
    return ", ".join(listed)
