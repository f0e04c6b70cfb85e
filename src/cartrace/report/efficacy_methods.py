"""The paragraphs of the methods about scores, relapses, follow-up and key results."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cartrace.config import Config, Efficacy


def sections(config: Config, *, shown: bool) -> list[tuple[str, str]]:
    """Describe scores and outcomes, as (heading, text) pairs.

    Parameters
    ----------
    config
        The configuration that ran.
    shown
        Whether the report has a page of efficacy.
    """
    if not shown:
        return []
    return [("Clinical scores", _scores(config.efficacy)), ("Relapses and follow-up", _outcomes(config))]


def _scores(efficacy: Efficacy) -> str:
    if not efficacy.scores:
        return "No clinical score was followed."
    listed = "; ".join(
        f"{s.label} ({s.minimum:g} to {s.maximum:g}, {s.better} is better) {s.minimal_change:g}"
        for s in efficacy.scores
    )
    marks = ", ".join(f"{x.name} (day {x.day:g} ± {x.window:g})" for x in efficacy.landmarks)
    return (
        f"Smallest change that counted as improvement or worsening: {listed}. The baseline is the last score before lymphodepletion, or "
        "else before the infusion. The change at a landmark is that of the score nearest to it within its window "
        f"({marks or 'no landmark'}); improved means better by the smallest change that counts. A baseline that leaves no room "
        "for it is not assessable. Sustained improvement is one that the next visit confirms; it began between two visits."
    )


def _outcomes(config: Config) -> str:
    rules, kinds = config.cohort.outcomes, " or ".join(config.cohort.association.relapse.kinds)
    death = (
        "death without one is an event as well"
        if rules.death == "event"
        else "death without one ends the follow-up"
    )
    before = (
        ""
        if rules.before_days is None
        else f" The rate before the infusion counts the relapses of {rules.before_days:g} days."
    )
    return (
        f"Relapse-free survival is the time from the first infusion to a {kinds}; {death}. Everybody else was followed to the "
        "last contact. It was estimated by Kaplan and Meier with log-log limits (Greenwood) and the limits of Brookmeyer and "
        "Crowley for a median; at a day before the first event the lower limit is the exact one of those followed so "
        "long. Median follow-up is that of the reverse curve, in which the last contact is the event and death is censored "
        "(Schemper and Smith 1996). Patients without a day of last contact enter only with an event, and are counted apart. "
        "Annualised relapse rates are relapses over the follow-up of all patients together, with exact Poisson limits "
        f"(Garwood 1936).{before} Shares have the exact limits of Clopper and Pearson and count only who could be assessed. "
        "Where clinicians and thresholds both graded a toxicity, key results take the clinician's grade."
    )
