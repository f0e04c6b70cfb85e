"""Relapse-free survival, follow-up and relapse rates, counted from the first infusion.

Whoever was not followed is not relapse-free: a subject without a day of last contact
enters only with an event, and is counted apart otherwise. What contradicts itself
(a relapse after the last contact) is a finding. All days are study days, of
which day 0 is the first infusion; a second infusion changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cartrace.cohort.groups import cohorts
from cartrace.cohort.shares import count_reasons, share
from cartrace.cohort.survival import kaplan_meier
from cartrace.tables import OUTCOME_CURVES, OUTCOMES, QC, rows

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from cartrace.config import Cohort, Outcomes

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

YEAR = 365.25
"""Days of a year."""
_NOISE = 1e-9

RFS = "relapse_free_survival"
FOLLOW_UP = "follow_up"
NO_CONTACT = "no day of last contact"
NOT_RECORDED = (
    "the events sheet holds no relapse, progression, response or death, so whether relapses were written down is not "
    "known (cohort.outcomes.all_recorded)"
)

Row = dict[str, object]


class Estimated(NamedTuple):
    """The tables, each in its contract of ``cartrace.tables``."""

    outcomes: pd.DataFrame
    curves: pd.DataFrame
    qc: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Histories:
    """What happened to n treated subjects, as arrays of length n, in order of the subject."""

    subject_id: NDArray[np.object_]
    end: Floats
    """Last day of follow-up: death, or the last contact (or relapse, where later). Not a number where unknown."""
    died: Bools
    relapse: Floats
    """First relapse after the infusion; infinite where there is none."""
    n_relapses: NDArray[np.int64]
    """Relapses after the infusion (kind relapse alone: a progression does not recur)."""
    n_before: NDArray[np.int64]
    """Relapses within ``before_days`` up to the infusion."""

    def of(self, members: set[str]) -> Histories:
        """Return those of some subjects."""
        inside = np.array([s in members for s in self.subject_id], dtype=bool)
        return Histories(
            self.subject_id[inside],
            self.end[inside],
            self.died[inside],
            self.relapse[inside],
            self.n_relapses[inside],
            self.n_before[inside],
        )


@dataclass(frozen=True, slots=True)
class Times:
    """Times to an event of n subjects, shape (n,), and why others are left out."""

    time: Floats
    event: Bools
    left_out: list[str]


def estimate_outcomes(
    subjects: pd.DataFrame, infusions: pd.DataFrame, events: pd.DataFrame, settings: Cohort
) -> Estimated:
    """Estimate relapse-free survival, follow-up and relapse rates, for all subjects and each cohort.

    Parameters
    ----------
    subjects, infusions, events
        Tables in the contracts of ``cartrace.tables``. Subjects without an infusion
        do not enter.
    settings
        Section ``cohort`` of the configuration: ``outcomes``, ``association.relapse.kinds``,
        ``min_n`` and ``by_cohort``.

    Returns
    -------
    Estimated
        Outcomes with a reason where there is no number, curves, and findings.

    Raises
    ------
    ValueError
        When a cohort is called 'all', which is the name of the whole.
    """
    rules, kinds = settings.outcomes, settings.association.relapse.kinds
    treated = subjects[subjects["subject_id"].isin(set(infusions["subject_id"]))]
    histories, findings = collect(treated, events, kinds, rules)
    answers = {*kinds, "relapse", "progression", "response", "death"}
    recorded = rules.all_recorded or bool(events["kind"].isin(answers).any())
    outcomes: list[Row] = []
    curves: list[Row] = []
    for cohort, members in cohorts(treated, by_cohort=settings.by_cohort):
        own = histories.of(members)
        found = [
            *_relapse_free(own, settings, curves, cohort, recorded=recorded),
            *_followed(own, settings, curves, cohort),
            *_rates(own, kinds, rules, recorded=recorded),
        ]
        outcomes += [{"cohort": cohort, **row} for row in found]
    return Estimated(rows(outcomes, OUTCOMES), rows(curves, OUTCOME_CURVES), rows(findings, QC))


def collect(
    treated: pd.DataFrame, events: pd.DataFrame, kinds: tuple[str, ...], rules: Outcomes
) -> tuple[Histories, list[Row]]:
    """Bring the events of treated subjects together, and tell what contradicts itself.

    Parameters
    ----------
    treated
        Subjects with an infusion, in the contract ``cartrace.tables.SUBJECTS``; n rows.
    events
        In the contract ``cartrace.tables.EVENTS``.
    kinds
        Kinds of events that are a relapse.
    rules
        Section ``cohort.outcomes``; ``before_days`` is used.

    Returns
    -------
    Histories, list of dict
        The n histories by subject, and rows of ``cartrace.tables.QC``.
    """
    people = treated.sort_values("subject_id", ignore_index=True)
    deaths = events[events["kind"] == "death"].groupby("subject_id")["study_day"].min().to_dict()
    relapses: dict[str, list[tuple[float, str]]] = {}
    chosen = events.loc[events["kind"].isin(kinds), ["subject_id", "study_day", "kind"]]
    for subject, day, kind in chosen.sort_values(["subject_id", "study_day", "kind"]).itertuples(index=False):
        relapses.setdefault(str(subject), []).append((float(day), str(kind)))
    findings: list[Row] = []
    table: list[tuple[float, bool, float, int, int]] = []
    for subject, contact in zip(
        people["subject_id"], people["follow_up_study_day"].astype(float), strict=True
    ):
        listed, death = relapses.get(subject, []), deaths.get(subject, np.nan)
        after = [(day, kind) for day, kind in listed if day > 0]
        before = [(day, kind) for day, kind in listed if day <= 0]
        outside = [day for day, _ in before if rules.before_days is None or day < -rules.before_days]
        within = sum(kind == "relapse" and day not in outside for day, kind in before)
        if outside:
            findings.append(
                _tell(subject, "relapse_before_infusion", "note", f"{_days(outside)}: history, no outcome.")
            )
        if death < 0:
            findings.append(
                _tell(subject, "death_before_infusion", "warn", f"death on day {death:g}: not used.")
            )
            death = np.nan
        late = [day for day, _ in after if day > death]
        if late:
            findings.append(
                _tell(
                    subject,
                    "event_after_death",
                    "warn",
                    f"{_days(late)} after the death on day {death:g}: not used.",
                )
            )
            after = [(day, kind) for day, kind in after if day <= death]
        if contact > death:
            message = f"last contact on day {contact:g}, after the death on day {death:g}, which ends the follow-up."
            findings.append(_tell(subject, "contact_after_death", "warn", message))
        # A relapse that was seen shows that the subject was followed until then.
        last = max((day for day, _ in after), default=-np.inf)
        if last > contact and np.isnan(death):
            message = (
                f"{_days([day for day, _ in after if day > contact])} after the last contact on day {contact:g}: it counts, and "
                "the follow-up goes on to it. One of the two days is wrong or out of date."
            )
            findings.append(_tell(subject, "event_after_last_contact", "warn", message))
        if np.isnan(death) and np.isnan(contact):
            findings.append(
                _tell(subject, "no_last_contact", "note", "no day of last contact in the subjects sheet.")
            )
        end = float(death) if not np.isnan(death) else max(contact, last) if not np.isnan(contact) else np.nan
        recurrent = sum(kind == "relapse" for _, kind in after)
        table.append((end, not np.isnan(death), after[0][0] if after else np.inf, recurrent, within))
    numbers = np.array(table, dtype=float).reshape(-1, 5)
    whole = numbers[:, 3:].astype(np.int64)
    histories = Histories(
        people["subject_id"].to_numpy(dtype=object),
        numbers[:, 0],
        numbers[:, 1] == 1,
        numbers[:, 2],
        whole[:, 0],
        whole[:, 1],
    )
    return histories, findings


def _days(days: list[float]) -> str:
    return f"relapse on day {', '.join(f'{day:g}' for day in days)}"


def _tell(subject: str, check: str, verdict: str, message: str) -> Row:
    return {
        "check": check,
        "verdict": verdict,
        "source_file": "subjects" if check == "no_last_contact" else "events",
        "subject_id": subject,
        "message": message[0].upper() + message[1:],
    }


def relapse_free_times(histories: Histories, death: str) -> Times:
    """Give the time from the first infusion to the relapse (or death).

    Parameters
    ----------
    histories
        Of n treated subjects.
    death
        ``event``: death is an event as well; ``censoring``: it ends the follow-up.
    """
    event = np.isfinite(histories.relapse)
    if death == "event":
        event = event | histories.died
    # The end of a subject who died is the day of death.
    time = np.where(np.isfinite(histories.relapse), histories.relapse, histories.end)
    known = ~np.isnan(time)
    return Times(time[known], event[known], [NO_CONTACT] * int((~known).sum()))


def follow_up_times(histories: Histories) -> Times:
    """Give the time to the end of follow-up; who died would have been followed longer."""
    known = ~np.isnan(histories.end)
    return Times(histories.end[known], ~histories.died[known], [NO_CONTACT] * int((~known).sum()))


def curve_steps(times: Times) -> list[dict[str, float]]:
    """Return the Kaplan-Meier curve of at least one time with its limits and counts, from day 0 on.

    Where there was no event yet the log-log scale has no limits, and none are given.
    """
    curve = kaplan_meier(times.time, np.where(times.event, times.time, np.inf))
    moved = curve.survival < 1 - _NOISE
    return [
        {
            "day": float(day),
            "survival": float(curve.survival[k]),
            "lower": float(curve.lower[k]) if moved[k] else np.nan,
            "upper": float(curve.upper[k]) if moved[k] else np.nan,
            "n_at_risk": int((times.time >= day).sum()),
            "n_events": int(((times.time == day) & times.event).sum()),
            "n_censored": int(((times.time == day) & ~times.event).sum()),
        }
        for k, day in enumerate(curve.day)
    ]


def median_of(steps: list[dict[str, float]]) -> tuple[float, float, float]:
    """Return the median of a curve and its limits (Brookmeyer and Crowley 1982); not a number where not reached.

    Where the curve runs at one half for a while, the median is the middle of that
    stretch, as for a plain median and as in R's survival.
    """
    day, value, lower, upper = (
        np.array([step[name] for step in steps]) for name in ("day", "survival", "lower", "upper")
    )

    def first(limit: Floats, below: float) -> float:
        reached = np.flatnonzero(limit < below)
        return float(day[reached[0]]) if reached.size else np.nan

    at, under = first(value, 0.5 + _NOISE), first(value, 0.5 - _NOISE)
    return (
        at if np.isnan(under) else (at + under) / 2,
        first(lower, 0.5 + _NOISE),
        first(upper, 0.5 + _NOISE),
    )


def share_at(steps: list[dict[str, float]], times: Times, day: float) -> Row:
    """Return the share without the event at a day, with its limits, or why it can't be told.

    Without an event up to that day the log-log limits do not exist. The lower one is then
    that of the subjects who were followed so long, all of them without the event
    (Clopper and Pearson 1934): the others only add to what is known.
    """
    at_risk = int((times.time >= day).sum())
    step = [s for s in steps if s["day"] <= day][-1]
    row: Row = {"day": day, "n_at_risk": at_risk}
    if not at_risk and step["survival"] > _NOISE:
        longest = float(times.time.max())
        return row | {
            "status": "not_estimable",
            "reason": f"nobody was followed to day {day:g}; the longest is day {longest:g}",
        }
    row |= {"value": step["survival"], "status": "estimated"}
    if step["survival"] < 1 - _NOISE:
        upper = None if np.isnan(step["upper"]) else step["upper"]
        return row | {
            "lower": step["lower"],
            "upper": upper,
            "reason": None if upper else "no upper limit at 0",
        }
    limits = share(np.ones(at_risk))
    return row | {
        "lower": limits["share_lower"],
        "upper": 1.0,
        "reason": f"no event up to that day; exact limits from the {at_risk} followed so long",
    }


def _refuse(reason: str, **more: object) -> Row:
    return {"status": "not_estimable", "reason": reason, **more}


def _counts(times: Times) -> Row:
    return {
        "n": len(times.time),
        "n_events": int(times.event.sum()),
        "n_left_out": len(times.left_out),
        "left_out": count_reasons(times.left_out),
    }


def _too_few(times: Times, settings: Cohort) -> str:
    n = len(times.time)
    if n >= settings.min_n:
        return ""
    return f"{n} {'subject' if n == 1 else 'subjects'} followed, fewer than {settings.min_n}"


def _curve(times: Times, cohort: str, outcome: str, curves: list[Row]) -> list[dict[str, float]]:
    steps = curve_steps(times)
    curves += [{"cohort": cohort, "outcome": outcome, **step} for step in steps]
    return steps


def _relapse_free(
    histories: Histories, settings: Cohort, curves: list[Row], cohort: str, *, recorded: bool
) -> Iterator[Row]:
    rules = settings.outcomes
    times = relapse_free_times(histories, rules.death)
    what = " or ".join(settings.association.relapse.kinds) + (" or death" if rules.death == "event" else "")
    method = f"Kaplan-Meier from the first infusion to {what}, limits log-log"
    common: Row = {"outcome": RFS, "method": method, **_counts(times)}
    plain: Row = {
        "outcome": "relapse_free",
        "statistic": "share",
        "unit": "share",
        "method": f"subjects without {what} at their last contact, limits of Clopper and Pearson",
        **_counts(times),
    }
    refused = "" if recorded else NOT_RECORDED
    if not len(times.time):
        refused = refused or "no subject with a day of last contact"
    yield plain | (_refuse(refused) if refused else _plain_share(times))
    refused = refused or _too_few(times, settings)
    steps = [] if refused else _curve(times, cohort, RFS, curves)
    for day in rules.landmarks:
        row = _refuse(refused, day=day) if refused else share_at(steps, times, day)
        yield common | {"statistic": "share", "unit": "share"} | row
    yield (
        common
        | {"statistic": "median", "unit": "day"}
        | (_refuse(refused) if refused else _median(steps, "relapse-free"))
    )


def _plain_share(times: Times) -> Row:
    found = share((~times.event).astype(float))
    free = times.time[~times.event]
    span = f"the relapse-free were followed for {free.min():g} to {free.max():g} days" if len(free) else None
    return {
        "value": found["mean"],
        "lower": found["share_lower"],
        "upper": found["share_upper"],
        "status": "estimated",
        "reason": span,
    }


def _median(steps: list[dict[str, float]], word: str) -> Row:
    value, lower, upper = median_of(steps)
    if np.isnan(value):
        left = 100 * steps[-1]["survival"]
        return _refuse(f"not reached: {left:.0f} % are {word} at the end of the curve", lower=lower)
    return {"value": value, "lower": lower, "upper": upper, "status": "estimated"}


def _followed(histories: Histories, settings: Cohort, curves: list[Row], cohort: str) -> Iterator[Row]:
    times = follow_up_times(histories)
    common: Row = {"outcome": FOLLOW_UP, "unit": "day", **_counts(times)}
    # An end of follow-up is the event of the reverse curve; what a reader counts are the deaths.
    common |= {"n_events": int((~times.event).sum())}
    refused = _too_few(times, settings)
    steps = [] if refused else _curve(times, cohort, FOLLOW_UP, curves)
    yield common | {
        "statistic": "median",
        "method": "reverse Kaplan-Meier (Schemper and Smith 1996): the last contact is the event, death censors it",
        **(_refuse(refused) if refused else _median(steps, "still followed")),
    }
    observed = "last contact or death, as observed"
    for name in ("minimum", "maximum"):
        row: Row = {"statistic": name, "method": observed}
        if not len(times.time):
            yield common | row | _refuse("no subject with a day of last contact")
            continue
        value = times.time.min() if name == "minimum" else times.time.max()
        yield common | row | {"value": float(value), "status": "estimated"}


def _rates(histories: Histories, kinds: tuple[str, ...], rules: Outcomes, *, recorded: bool) -> Iterator[Row]:
    known = ~np.isnan(histories.end)
    left_out = [NO_CONTACT] * int((~known).sum())
    count = int(histories.n_relapses[known].sum())
    method = "relapses per year of follow-up of all subjects together, exact Poisson limits (Garwood 1936)"
    after: Row = {
        "outcome": "relapse_rate_after",
        "statistic": "rate",
        "unit": "1/year",
        "n": int(known.sum()),
        "n_events": count,
        "n_left_out": len(left_out),
        "left_out": count_reasons(left_out),
        "method": method,
    }
    days = float(histories.end[known].sum())
    if not recorded:
        yield after | _refuse(NOT_RECORDED)
    elif "relapse" not in kinds:
        yield after | _refuse("relapses are not among cohort.association.relapse.kinds")
    elif days <= 0:
        yield after | _refuse("no follow-up after the infusion")
    else:
        yield after | poisson_rate(count, days / YEAR)
    before = after | {"outcome": "relapse_rate_before", "n": len(known), "n_left_out": 0, "left_out": None}
    before |= {"n_events": int(histories.n_before.sum())}
    if rules.before_days is None:
        reason = "since when relapses before the infusion were written down is not known (cohort.outcomes.before_days)"
        yield before | _refuse(reason)
    elif not len(known):
        yield before | _refuse("no treated subject")
    else:
        rate = poisson_rate(int(histories.n_before.sum()), len(known) * rules.before_days / YEAR)
        yield before | rate | {"method": f"{method}; the {rules.before_days:g} days up to the infusion"}


def poisson_rate(count: int, years: float) -> Row:
    """Return a rate with its exact 95 % limits (Garwood 1936, Biometrika 28:437).

    Parameters
    ----------
    count
        Events.
    years
        Years of observation, above 0.
    """
    # scipy.stats takes a second to import: only cohort jobs pay it.
    from scipy.stats import chi2

    return {
        "value": count / years,
        "lower": float(chi2.ppf(0.025, 2 * count)) / 2 / years if count else 0.0,
        "upper": float(chi2.ppf(0.975, 2 * count + 2)) / 2 / years,
        "status": "estimated",
        "reason": f"{years:.1f} years of observation",
    }
