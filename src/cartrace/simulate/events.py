"""What happened to the simulated subjects beside their samples: the events sheet.

In the shape of the NMOSD phase 1 (Qin 2023): mild cytokine release in nearly all,
tocilizumab for some, one relapse in twelve, infections in half of the patients
(23 of 40 in Blood Adv 2021;5(23):5290), responses at months 3 and 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cartrace.simulate.humoral import RESCUE_DAY

if TYPE_CHECKING:
    import numpy as np

RELAPSE = 8
"""Subject (among twelve) who relapses, five days before the rescue."""
NO_CRS = (1,)
TOCILIZUMAB = (3, 5, 10)
"""Subjects with cytokine release of grade 2, who receive tocilizumab."""
INFECTIONS: dict[int, tuple[tuple[int, str, int], ...]] = {
    0: ((64, "upper respiratory tract", 1),),
    3: ((101, "pneumonia", 3),),
    5: ((38, "urinary tract", 2),),
    8: ((51, "upper respiratory tract", 1),),
    10: ((76, "herpes zoster", 2), (203, "pneumonia", 2)),
    11: ((132, "COVID-19", 2),),
}
"""Day, organ and grade of the infections, by place among twelve subjects."""
IMPROVED, STABLE, WORSE = "EDSS improved", "EDSS stable", "EDSS worse"
RESPONSES: dict[int, tuple[str, str]] = {
    1: (STABLE, STABLE),
    5: (STABLE, IMPROVED),
    6: (STABLE, STABLE),
    8: (IMPROVED, WORSE),
    9: ("", ""),
}
"""Responses at months 3 and 6 that a special case needs, by place."""
IMPROVES_FROM = 15_000.0
"""Cmax (copies/ug) from which the others improve: expansion was associated with responses (Qin 2023).

The level is a house value, near the lower third of the simulated courses."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event, on the study clock."""

    day: int
    kind: str
    label: str = ""
    end_day: int | None = None
    grade: int | None = None
    dose: float | None = None
    dose_unit: str = ""


def responses_of(place: int, cmax: float) -> tuple[str, str]:
    """Return the responses at months 3 and 6 of a subject whose transgene reached ``cmax`` copies/ug."""
    label = IMPROVED if cmax >= IMPROVES_FROM else STABLE
    return RESPONSES.get(place, (label, label))


def draw_events(
    rng: np.random.Generator,
    place: int,
    *,
    cmax: float,
    weight_kg: float,
    follow_up_day: int,
    ivig_days: tuple[int, ...],
) -> list[Event]:
    """Draw the events of one subject, up to the last contact, in order of days."""
    onset, lasts = int(rng.integers(2, 8)), int(rng.integers(2, 6))
    month_3, month_6 = 90 + int(rng.integers(0, 6)), 180 + int(rng.integers(0, 6))
    out: list[Event] = []
    if place not in NO_CRS:
        grade = 2 if place in TOCILIZUMAB else 1
        out.append(Event(onset, "adverse_event", "CRS", onset + lasts, grade))
    if place in TOCILIZUMAB:
        out.append(
            Event(onset + 1, "drug", "tocilizumab", dose=round(8 * weight_kg / 20) * 20, dose_unit="mg")
        )
    for day, organ, grade in INFECTIONS.get(place, ()):
        out.append(Event(day, "infection", organ, day + 9, grade))
    out += [Event(day, "ivig", "immunoglobulin", dose=0.4, dose_unit="g/kg") for day in ivig_days]
    if place == RELAPSE:
        out.append(Event(RESCUE_DAY - 5, "relapse", "myelitis"))
        out.append(Event(RESCUE_DAY, "drug", "rituximab", dose=1000, dose_unit="mg"))
    for day, label in zip((month_3, month_6), responses_of(place, cmax), strict=True):
        if label:
            out.append(Event(day, "response", label))
    return sorted(
        (e for e in out if (e.end_day or e.day) <= follow_up_day), key=lambda e: (e.day, e.kind, e.label)
    )
