"""What the simulated subjects go through at the bedside: cytokine release, blood counts, scores, drugs.

In the shape of the NMOSD phase 1 (Qin 2023, doi 10.1038/s41392-022-01278-3): cytokine
release of grade 1 and 2, no neurotoxicity, and low blood counts as the most frequent
toxicity of grade 3 and more. Depth and duration of the low counts are house values.
The truth is drawn here, day by day; what is written down follows from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cartrace.simulate.courses import t_cell_count
from cartrace.simulate.events import IMPROVED, STABLE, TOCILIZUMAB, WORSE, Event, responses_of
from cartrace.simulate.humoral import SRP

if TYPE_CHECKING:
    from collections.abc import Callable

Array = npt.NDArray[np.float64]

UNITS = {"neutrophils": "1e9/L", "platelets": "1e9/L", "haemoglobin": "g/dL", "lymphocytes": "1e9/L"}
"""The blood counts, with the unit of their true courses."""

NEVER_LOW = 1
"""Subject (among twelve) whose cells never expand: lymphodepletion alone."""
SECOND_DIP = 5
"""Neutrophils fall again within the first month."""
LATE_DIPS: dict[int, tuple[int, float]] = {3: (43, 0.75), 4: (60, 0.42), 7: (43, 1.2)}
"""Day and depth of a late dip of the neutrophils; 4 is the one whose CAR-T cells come late."""
APLASTIC = 10
"""Neutrophils at most 0.1e9/L for more than a week, platelets below 20e9/L, a platelet transfusion."""
FEVER_FREE = 8
"""Cytokine release of grade 1 with a day without fever in between."""
FEBRILE: dict[int, tuple[int, ...]] = {APLASTIC: (14, 15)}
"""Days of fever from the neutropenia, after the cytokine release: not to be graded as one."""

TRANSFUSED, TRANSFUSED_HALF_LIFE = 28.0, 1.5
"""Rise of the platelets (1e9/L) by a transfusion, and days in which half of it is gone."""


@dataclass(frozen=True, slots=True)
class CountCourse:
    """A blood count on the clock of its infusion: linear in the logarithm between knots, constant outside.

    ``given`` are the days of transfusions, each of which adds ``rise`` that halves
    every ``half_life`` days.
    """

    knots: tuple[tuple[float, float], ...]
    given: tuple[int, ...] = ()
    rise: float = 0.0
    half_life: float = 1.0

    def own(self, day: npt.ArrayLike) -> Array:
        """Return what the marrow makes on ``day``."""
        days, values = zip(*self.knots, strict=True)
        return np.asarray(np.exp(np.interp(np.asarray(day, dtype=np.float64), days, np.log(values))))

    def __call__(self, day: npt.ArrayLike) -> Array:
        """Return what the tube holds on ``day``."""
        time = np.asarray(day, dtype=np.float64)
        value = self.own(time)
        for start in self.given:
            lift = self.rise * 0.5 ** ((time - start) / self.half_life)
            # The count of the day is taken in the morning, before the transfusion.
            value = value + np.where(time > start, lift, 0.0)
        return value


@dataclass(frozen=True, slots=True)
class Lymphocytes:
    """T cells, a fifth of it as other cells, and B cells: the trial's own courses, in 1e9/L."""

    t_cells: float
    b_cells: Callable[[npt.ArrayLike], Array]
    start: int

    def __call__(self, day: npt.ArrayLike) -> Array:
        """Return the count on ``day`` of the infusion."""
        time = np.asarray(day, dtype=np.float64)
        return (1.2 * t_cell_count(time, self.t_cells) + self.b_cells(time + self.start)) / 1000


@dataclass(frozen=True, slots=True)
class Release:
    """Cytokine release by day: grades from the day of onset on, and how they show."""

    onset: int
    grades: tuple[int, ...]
    fever: tuple[bool, ...]
    sign: str = ""
    """What makes it grade 2: hypotension or oxygen."""
    masked_from: int | None = None
    """Day from which tocilizumab hides the fever."""

    @property
    def end(self) -> int:
        """Last day."""
        return self.onset + len(self.grades) - 1

    def grade(self, day: int) -> int:
        """Return the true grade of a day."""
        return self.grades[day - self.onset] if self.onset <= day <= self.end else 0

    def feverish(self, day: int) -> bool:
        """Say whether there is fever on a day."""
        return self.onset <= day <= self.end and self.fever[day - self.onset]

    def masked(self, day: int) -> bool:
        """Say whether the fever is hidden on a day."""
        return self.masked_from is not None and self.masked_from <= day <= self.end


Counts = Mapping[str, "CountCourse | Lymphocytes"]


@dataclass(frozen=True, slots=True)
class Bedside:
    """The truth of one subject.

    ``counts`` holds one entry for each infusion; ``scores`` gives the score of a visit
    by infusion, analyte and visit.
    """

    release: Release | None
    counts: tuple[Counts, ...]
    scores: Mapping[tuple[int, str, str], float] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    febrile: tuple[int, ...] = ()
    """Days of fever from another cause, after the first infusion."""


def draw_bedside(
    rng: np.random.Generator,
    place: int,
    events: Sequence[Event],
    infusion_days: Sequence[int],
    *,
    cmax: float,
    follow_up_day: int,
    t_cells: float,
    b_cells: Callable[[npt.ArrayLike], Array],
) -> Bedside:
    """Draw the truth of one subject.

    Parameters
    ----------
    rng
        A stream of its own: what happens here moves no laboratory result.
    place
        Place among twelve subjects, from 0.
    events
        Of :func:`cartrace.simulate.events.draw_events`: days and grade of the cytokine
        release come from there, so that sheet and bedside tell one story.
    infusion_days
        Study days of the infusions.
    cmax
        Copies/ug that the transgene reaches after the first infusion: responses go with it.
    follow_up_day
        Last contact.
    t_cells, b_cells
        T cells/uL before lymphodepletion; B cells/uL by study day.
    """
    release = release_of(place, events)
    counts = tuple(
        _counts(rng, place, n, day, t_cells=t_cells, b_cells=b_cells) for n, day in enumerate(infusion_days)
    )
    scores = _scores(rng, place, responses_of(place, cmax), len(infusion_days))
    drugs = _drugs(rng, place, release, counts[0], follow_up_day)
    febrile = FEBRILE.get(place, ())
    if febrile:
        drugs = (*drugs, Event(febrile[0], "adverse_event", "Febrile neutropenia", febrile[-1], 3))
    return Bedside(release, counts, scores, drugs, febrile)


def release_of(place: int, events: Sequence[Event]) -> Release | None:
    """Lay out the cytokine release of the events sheet by day.

    Grade 1 is fever. Grade 2 begins on the second day with hypotension or oxygen;
    tocilizumab of the same day hides the fever until it comes back on the last day.
    """
    event = next((e for e in events if e.kind == "adverse_event" and e.label == "CRS"), None)
    if event is None or event.end_day is None:
        return None
    n = event.end_day - event.day + 1
    if event.grade == 2:
        grades = (1, *[2] * (n - 2), 1)
        fever = (True, True, *[False] * (n - 3), True)
        sign = "oxygen" if place == TOCILIZUMAB[-1] else "hypotension"
        return Release(event.day, grades, fever, sign, event.day + 1)
    whole = tuple(not (place == FEVER_FREE and n > 2 and day == 1) for day in range(n))
    return Release(event.day, tuple(int(hot) for hot in whole), whole)


def _counts(
    rng: np.random.Generator,
    place: int,
    number: int,
    start: int,
    *,
    t_cells: float,
    b_cells: Callable[[npt.ArrayLike], Array],
) -> Counts:
    # Every infusion takes the same draws, whatever the role.
    z = np.clip(rng.standard_normal(8), -2.0, 2.0)
    first_low, plateau, back, first_low_p, plateau_p, back_p, plateau_h, back_h = (
        int(rng.integers(low, high))
        for low, high in ((5, 8), (1, 7), (6, 12), (8, 12), (1, 6), (9, 18), (4, 10), (30, 50))
    )
    before, nadir = 4.6 * math.exp(0.25 * z[0]), 0.5 * math.exp(0.55 * z[1])
    before_p, nadir_p = 235 * math.exp(0.2 * z[2]), 62 * math.exp(0.5 * z[3])
    before_h, fall_h = 12.6 * math.exp(0.06 * z[4]), 2.4 * math.exp(0.3 * z[5])
    given: tuple[int, ...] = ()
    role = place if number == 0 else -1
    if role == NEVER_LOW:
        nadir, nadir_p = 1.7 * math.exp(0.04 * z[1]), 165 * math.exp(0.04 * z[3])
    elif role == APLASTIC:
        first_low, nadir, plateau, back = 4, 0.06, 9, 9
        first_low_p, nadir_p, plateau_p, back_p = 8, 12.0 * math.exp(0.1 * z[3]), 6, 30
        given = (first_low_p + 1,)
    knots = [(-4.0, before), (first_low, nadir), (first_low + plateau, nadir)]
    if role == SECOND_DIP:
        # Above 0.5 for some days, then low again: a recovery that counts, and a second stretch.
        knots = [(-4.0, before), (6, 0.30), (8, 0.30), (11, 1.3), (16, 1.3), (19, 0.36), (22, 0.36)]
    risen = knots[-1][0] + back
    knots.append((risen, 0.8 * before))
    if role in LATE_DIPS:
        day, depth = LATE_DIPS[role]
        knots += [(day - 8, 0.8 * before), (day - 3, depth), (day + 5, depth), (day + 14, 0.8 * before)]
    low_h = before_h - fall_h
    return {
        "neutrophils": CountCourse(tuple((float(d), float(v)) for d, v in knots)),
        "platelets": CountCourse(
            (
                (-4.0, before_p),
                (float(first_low_p), nadir_p),
                (float(first_low_p + plateau_p), nadir_p),
                (float(first_low_p + plateau_p + back_p), 0.9 * before_p),
            ),
            given,
            TRANSFUSED,
            TRANSFUSED_HALF_LIFE,
        ),
        "haemoglobin": CountCourse(
            (
                (-4.0, before_h),
                (10.0, low_h),
                (10.0 + plateau_h, low_h),
                (10.0 + plateau_h + back_h, before_h),
            )
        ),
        "lymphocytes": Lymphocytes(t_cells, b_cells, start),
    }


EDSS_VISITS = ("Pre-LD", "D28", "D90", "D180", "D365")
"""Visits with a neurological examination; before a later infusion it is on its day."""


def _scores(
    rng: np.random.Generator, place: int, labels: tuple[str, str], infusions: int
) -> dict[tuple[int, str, str], float]:
    """Draw EDSS (all) and MMT-8 (those with anti-SRP), as the responses of the events sheet say."""
    before = float(rng.integers(8, 14)) / 2
    steps = rng.integers(0, 3, size=4).tolist()
    out: dict[tuple[int, str, str], float] = {(1, "edss", "Pre-LD"): before}
    change = {
        IMPROVED: -1.0 - steps[0] / 2,
        STABLE: (-0.5, 0.0, 0.5)[steps[1]],
        WORSE: 1.0 + 0.5 * (steps[2] > 0),
        "": 0.0,
    }
    at_3, at_6 = change[labels[0]], change[labels[1]]
    if labels == (IMPROVED, IMPROVED):
        at_6 -= 0.5 * (steps[3] > 0)
    out[1, "edss", "D28"] = before - 0.5 * (labels[0] == IMPROVED)
    out[1, "edss", "D90"], out[1, "edss", "D180"] = before + at_3, before + at_6
    out[1, "edss", "D365"] = before + at_6
    if infusions > 1:
        # Stable after the first infusion: that is why there was a second one.
        again = before + at_6
        out |= {
            (2, "edss", visit): again - fall
            for visit, fall in (("D0 predose", 0.0), ("D28", 0.0), ("D90", 1.0), ("D180", 1.0))
        }
    if place in SRP:
        weak = 96.0 + float(rng.integers(0, 15))
        gains = (0, 5, 18, 27, 30) if labels[0] == IMPROVED else (0, 2, 8, 19, 22)
        out |= {(1, "mmt8", visit): min(weak + g, 150.0) for visit, g in zip(EDSS_VISITS, gains, strict=True)}
    return out


def _drugs(
    rng: np.random.Generator, place: int, release: Release | None, counts: Counts, follow_up_day: int
) -> tuple[Event, ...]:
    """Draw what was given beside the cells; a course that outlasts the follow-up has no end."""
    dose, tapered = float(rng.choice([10, 15, 20])), int(rng.integers(45, 75))
    stopped = tapered + int(rng.integers(20, 40))

    def course(day: int, end: int, label: str, dose: float, unit: str) -> Event | None:
        if day > follow_up_day:
            return None
        return Event(day, "drug", label, end if end <= follow_up_day else None, None, dose, unit)

    given = [
        course(-60, 28, "prednisone", dose, "mg/day"),
        course(29, tapered, "prednisone", dose / 2, "mg/day"),
        course(tapered + 1, stopped, "prednisone", 5, "mg/day"),
        course(-2, 180, "aciclovir", 800, "mg/day"),
    ]
    if place >= 3:
        given.append(course(0, 28, "levetiracetam", 1000, "mg/day"))
    if release is not None and place == TOCILIZUMAB[-1]:
        given.append(course(release.onset + 1, release.onset + 2, "dexamethasone", 10, "mg/day"))
    days = np.arange(31)
    low = days[counts["neutrophils"](days) <= 0.5]
    if len(low) > 4:
        given.append(course(int(low[2]), int(low[-1]) + 1, "filgrastim", 300, "ug/day"))
    platelets = counts["platelets"]
    if isinstance(platelets, CountCourse):
        given += [
            Event(day, "drug", "platelet transfusion", dose=1, dose_unit="unit") for day in platelets.given
        ]
    return tuple(e for e in given if e is not None)
