"""True courses of B cells, plasma cells, immunoglobulins, soluble BCMA and antibodies.

Anchors are the numbers of humoral reconstitution after anti-BCMA CAR-T in 40 patients
with myeloma (Blood Adv 2021;5(23):5290): B cells lowest on day 7, aplasia of 70 days
(23 to 270), back to baseline on day 97, plasma cells again on day 212, IgG after
386 days, IgM after 254, IgA not reached; and of the NMOSD phase 1 (Qin 2023, doi
10.1038/s41392-022-01278-3): AQP4-IgG fell in 11 of 12. Cells of all subjects share
one shape (:class:`CellShape`); immunoglobulins follow the plasma cells that make them
(:class:`Immunoglobulin`); antibodies decay exponentially (:class:`Antibody`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

Lineage = Literal["usual", "low_before", "not_depleted", "ivig", "late", "falls_again", "never_back"]
LINEAGES: tuple[Lineage, ...] = (
    "low_before",
    "not_depleted",
    "usual",
    "ivig",
    "late",
    "usual",
    "usual",
    "usual",
    "falls_again",
    "usual",
    "never_back",
    "usual",
)
"""What the B lineage of each subject does, in the order of courses.ROLES."""

Decline = Literal["usual", "no_fall", "rebound", "start_changed", "high"]
DECLINES: tuple[Decline, ...] = (
    "usual",
    "no_fall",
    "usual",
    "usual",
    "start_changed",
    "usual",
    "usual",
    "rebound",
    "usual",
    "usual",
    "high",
    "usual",
)
"""What the AQP4-IgG of each subject does, in the same order: 11 of 12 fall."""

SRP = (2, 5)
"""Subjects (among twelve) who have anti-SRP as well."""

ANCHOR_B = 20.0
"""Cells/uL. The day of reconstitution is drawn for this level; other levels follow."""
LYMPHODEPLETED = 0.40
"""Share of B cells that fludarabine and cyclophosphamide leave until day 0."""
RESCUE_DAY = 105
"""Day of the rituximab after the relapse, which takes the B cells away again."""
REBOUND_DAY = 100.0
IVIG_RISE = 3.5
"""g/L. 0.4 g/kg in a little more than twice the plasma volume (0.115 L/kg)."""
IGG_HALF_LIFE, IGA_HALF_LIFE, IGM_HALF_LIFE = 21.0, 6.0, 5.0
"""Days [recalled from textbooks]."""


@dataclass(frozen=True, slots=True)
class CellShape:
    """Course of a cell count after one infusion (or one rescue drug), on its own clock.

    ``before`` holds until day -4, ``kept`` of it is left on day 0. The count halves down
    to ``nadir`` within the seven days before ``nadir_day``, stays there, and doubles every
    ``doubling`` days such that it passes ``anchor`` on ``anchor_day``, up to ``plateau``.
    An infinite ``anchor_day`` means that it never comes back.
    """

    before: float
    kept: float
    nadir: float
    nadir_day: float
    anchor: float
    anchor_day: float
    doubling: float
    plateau: float

    def __call__(self, time: npt.ArrayLike) -> Array:
        """Return the count at ``time`` (days), in the unit of ``before``."""
        t = np.asarray(time, dtype=np.float64)
        # The shape is continuous: whoever regrows early has a higher nadir.
        nadir = max(self.nadir, float(self._regrown(np.asarray(self.nadir_day))))
        left = self.before * self.kept
        falls_from = max(self.nadir_day - 7, 0.0) + 1e-6
        knots = [-4.0, 0.0, falls_from, self.nadir_day]
        falling = np.interp(t, knots, np.log([self.before, left, left, nadir]))
        risen = np.maximum(nadir, self._regrown(t))
        return np.asarray(np.where(t <= self.nadir_day, np.exp(falling), risen), dtype=np.float64)

    def _regrown(self, t: Array) -> Array:
        if math.isinf(self.anchor_day):
            return np.zeros_like(t)
        doublings = np.minimum((t - self.anchor_day) / self.doubling, 60.0)
        return np.minimum(self.plateau, self.anchor * 2.0**doublings)


@dataclass(frozen=True, slots=True)
class Cells:
    """A cell count over all infusions: whoever is deepest down rules."""

    waves: tuple[tuple[float, CellShape], ...]

    def __call__(self, time: npt.ArrayLike) -> Array:
        """Return the count on study days ``time``."""
        t = np.asarray(time, dtype=np.float64)
        return np.asarray(np.min([shape(t - start) for start, shape in self.waves], axis=0), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Share:
    """A subset as a share of B cells: new B cells are naive ones."""

    cells: Cells
    before: float
    after: float

    def __call__(self, time: npt.ArrayLike) -> Array:
        """Return the count on study days ``time``."""
        t = np.asarray(time, dtype=np.float64)
        first = self.cells.waves[0][1].nadir_day
        return self.cells(t) * np.where(t <= first, self.before, self.after)


@dataclass(frozen=True, slots=True)
class Immunoglobulin:
    """Serum level dI/dt = k (baseline P(t) - I), with P the working plasma cells.

    ``knots`` are (day, P): P is 1 before the first, linear between two, and constant
    after the last. ``doses`` are (day, rise in g/L) of infused immunoglobulin, which
    decays with the same k.
    """

    baseline: float
    half_life: float
    knots: tuple[tuple[float, float], ...]
    doses: tuple[tuple[float, float], ...] = ()

    def own(self, time: npt.ArrayLike) -> Array:
        """Return what the subject makes, in g/L: exact for each linear piece of P."""
        t = np.asarray(time, dtype=np.float64)
        k = math.log(2) / self.half_life
        level, out = 1.0, np.ones_like(t)
        ends = [*(day for day, _ in self.knots[1:]), math.inf]
        for n, ((start, p), end) in enumerate(zip(self.knots, ends, strict=True)):
            slope = 0.0 if math.isinf(end) else (self.knots[n + 1][1] - p) / (end - start)

            def at(
                s: Array, start: float = start, p: float = p, slope: float = slope, level: float = level
            ) -> Array:
                x = s - start
                return p + slope * (x - 1 / k) + (level - p + slope / k) * np.exp(-k * x)

            inside = (t > start) & (t <= end)
            out[inside] = at(t[inside])
            if not math.isinf(end):
                level = float(at(np.asarray(end)))
        return self.baseline * out

    def __call__(self, time: npt.ArrayLike) -> Array:
        """Return what the tube holds: the own and the infused immunoglobulin."""
        t = np.asarray(time, dtype=np.float64)
        k = math.log(2) / self.half_life
        given = [np.where(t >= day, rise * np.exp(-k * (t - day)), 0.0) for day, rise in self.doses]
        return self.own(t) + np.sum(given, axis=0) if given else self.own(t)


@dataclass(frozen=True, slots=True)
class Antibody:
    """``before`` until day 0, then decay with ``half_life`` (infinite: no fall).

    With a ``rebound_day`` it stays above ``floor`` and doubles every ``rebound_doubling``
    days from then on.
    """

    before: float
    half_life: float
    rebound_day: float = math.inf
    floor: float = 0.0
    rebound_doubling: float = 15.0

    @property
    def rate(self) -> float:
        """Rate of decay, 1/day."""
        return 0.0 if math.isinf(self.half_life) else math.log(2) / self.half_life

    def __call__(self, time: npt.ArrayLike) -> Array:
        """Return the titre, or units, on study days ``time``."""
        t = np.asarray(time, dtype=np.float64)
        value = self.before * np.exp(-self.rate * np.maximum(t, 0.0))
        if math.isinf(self.rebound_day):
            return value
        again = self.floor * 2.0 ** (np.maximum(t - self.rebound_day, 0.0) / self.rebound_doubling)
        return np.maximum(value, np.minimum(again, self.before))


Course = Cells | Share | Immunoglobulin | Antibody


@dataclass(frozen=True, slots=True)
class Humoral:
    """Everything of one subject that an anti-BCMA product takes away.

    ``courses`` gives each analyte in its unit of :data:`UNITS`, on the study clock.
    """

    lineage: Lineage
    decline: Decline
    courses: Mapping[str, Course]

    @property
    def antibodies(self) -> dict[str, Antibody]:
        """The antibodies among the courses."""
        return {name: c for name, c in self.courses.items() if isinstance(c, Antibody)}


UNITS: dict[str, str] = {
    "b_cells": "cells/uL",
    "naive_b_cells": "cells/uL",
    "memory_b_cells": "cells/uL",
    "plasmablasts": "cells/uL",
    "plasma_cells": "cells/uL",
    "igg": "g/L",
    "iga": "g/L",
    "igm": "g/L",
    "soluble_bcma": "ng/mL",
    "aqp4_igg": "titre",
    "anti_srp": "U/mL",
}
"""Every analyte of this module, in the order of the tables, with its unit."""


def draw_humoral(
    rng: np.random.Generator, place: int, infusion_days: Sequence[int], ivig_days: Sequence[int] = ()
) -> Humoral:
    """Draw the true courses of one subject.

    Parameters
    ----------
    rng
        A stream of its own, so that the CAR-T courses stay what they are.
    place
        Place among twelve subjects, from 0.
    infusion_days
        Study days of the infusions.
    ivig_days
        Study days of infused immunoglobulin.
    """
    lineage, decline = LINEAGES[place], DECLINES[place]
    # Every subject takes the same draws, whatever its role.
    z = rng.standard_normal(20)
    b_cells = _b_cells(lineage, z, infusion_days)
    fixed = lineage == "not_depleted"
    courses: dict[str, Course] = {
        "b_cells": b_cells,
        "naive_b_cells": Share(b_cells, 0.65, 0.65 if fixed else 0.88),
        "memory_b_cells": Share(b_cells, 0.25, 0.25 if fixed else 0.04),
        "plasmablasts": _plasma(
            lineage,
            infusion_days,
            before=2.5 * _spread(z[3], 0.3),
            nadir=0.01,
            anchor_day=120 * _spread(z[4], 0.2),
            doubling=10,
        ),
        "plasma_cells": _plasma(
            lineage,
            infusion_days,
            before=1.6 * _spread(z[5], 0.3),
            nadir=0.006,
            anchor_day=205 * _spread(z[6], 0.15),
            doubling=20,
            nadir_day=16,
        ),
        "igg": _immunoglobulin(
            lineage,
            infusion_days,
            # Low enough that the infused part, not the own one, passes the threshold.
            baseline=8.5 * _spread(z[7], 0.05) if lineage == "ivig" else 9.0 * _spread(z[7], 0.18),
            half_life=IGG_HALF_LIFE,
            floor=0.22,
            recovered=380 * _spread(z[8], 0.12),
            ivig_days=ivig_days,
        ),
        "iga": _immunoglobulin(
            lineage,
            infusion_days,
            baseline=2.0 * _spread(z[9], 0.3),
            half_life=IGA_HALF_LIFE,
            floor=0.03 * _spread(z[16], 0.2),
            recovered=620 * _spread(z[17], 0.2),
        ),
        "igm": _immunoglobulin(
            lineage,
            infusion_days,
            baseline=1.1 * _spread(z[10], 0.3),
            half_life=IGM_HALF_LIFE,
            floor=0.04 * _spread(z[18], 0.2),
            recovered=270 * _spread(z[19], 0.2),
        ),
        "soluble_bcma": _plasma(
            lineage,
            infusion_days,
            before=32 * _spread(z[11], 0.3),
            nadir=0.9,
            anchor_day=125 * _spread(z[12], 0.2),
            doubling=30,
            nadir_day=21,
        ),
        "aqp4_igg": _aqp4(decline, float(z[13]), float(z[14])),
    }
    if place in SRP:
        courses["anti_srp"] = Antibody(110 * _spread(z[15], 0.3), 26 * _spread(z[12], 0.15))
    return Humoral(lineage, decline, courses)


def _spread(z: float, sd: float) -> float:
    # Two and a half standard deviations: twelve patients, no freaks.
    return math.exp(sd * min(max(float(z), -2.5), 2.5))


def _b_cells(lineage: Lineage, z: Array, infusion_days: Sequence[int]) -> Cells:
    before = 160 * _spread(z[0], 0.25)
    anchor_day, nadir_day, kept = 5 + 70 * _spread(z[1], 0.25), 7.0, LYMPHODEPLETED
    # Returning B cells overshoot, so that "back to baseline" is a day and no drawn-out approach.
    doubling, plateau, nadir = 7.5, 1.5 * before, 0.1 * _spread(z[2], 0.4)
    if lineage == "low_before":
        before, plateau = 8.0 * _spread(z[0], 0.2), 120.0
    elif lineage == "not_depleted":
        # Lymphodepletion alone; the cells never came.
        before = 240 * _spread(z[0], 0.1)
        shape = CellShape(before, 0.5, 0.48 * before, 7, 0.48 * before, 14, 40, before)
        return Cells(tuple((float(day), shape) for day in infusion_days))
    elif lineage == "ivig":
        anchor_day *= 2.4
    elif lineage == "late":
        nadir_day, anchor_day = 42.0, anchor_day + 40
    elif lineage == "never_back":
        anchor_day = math.inf
    elif lineage == "falls_again":
        anchor_day, doubling = 28.0, 5.0
    shape = CellShape(before, kept, nadir, nadir_day, ANCHOR_B, anchor_day, doubling, plateau)
    waves = [(float(day), shape) for day in infusion_days[:1]]
    # A second infusion expands less, and takes the B cells away for a shorter time.
    waves += [
        (float(day), replace(shape, before=plateau, anchor_day=0.6 * anchor_day)) for day in infusion_days[1:]
    ]
    if lineage == "falls_again":
        rescue = replace(shape, before=plateau, kept=1.0, nadir=1.5, anchor_day=60.0)
        waves.append((float(RESCUE_DAY), rescue))
    return Cells(tuple(waves))


def _plasma(
    lineage: Lineage,
    infusion_days: Sequence[int],
    *,
    before: float,
    nadir: float,
    anchor_day: float,
    doubling: float,
    nadir_day: float = 14.0,
) -> Cells:
    """Plasmablasts, plasma cells and soluble BCMA: anchored at a tenth of the baseline."""
    if lineage == "not_depleted":
        shape = CellShape(before, 0.9, 0.85 * before, nadir_day, 0.85 * before, 30, 60, before)
    else:
        late = {"never_back": math.inf, "ivig": 1.5 * anchor_day, "late": anchor_day + 40}
        shape = CellShape(
            before,
            0.7,
            nadir,
            nadir_day + (35 if lineage == "late" else 0),
            0.1 * before,
            late.get(lineage, anchor_day),
            doubling,
            1.2 * before,
        )
    again = replace(shape, before=shape.plateau)
    return Cells(tuple((float(day), shape if n == 0 else again) for n, day in enumerate(infusion_days)))


def _immunoglobulin(
    lineage: Lineage,
    infusion_days: Sequence[int],
    *,
    baseline: float,
    half_life: float,
    floor: float,
    recovered: float,
    ivig_days: Sequence[int] = (),
) -> Immunoglobulin:
    if lineage == "not_depleted":
        floor, recovered = 0.85, 120
    elif lineage == "ivig":
        floor, recovered = 0.36 * floor, 2.2 * recovered
    begin = 38.0 if lineage == "late" else 3.0
    knots: list[tuple[float, float]] = []
    for n, start in enumerate(infusion_days):
        working = 1.0 if n == 0 else _at(knots, start + begin)
        knots = [k for k in knots if k[0] < start + begin]
        knots += [(start + begin, working), (start + begin + 7, floor)]
        if lineage != "never_back":
            knots += [(start + begin + 37, floor), (start + recovered, 1.0)]
    return Immunoglobulin(baseline, half_life, tuple(knots), tuple((float(d), IVIG_RISE) for d in ivig_days))


def _at(knots: Sequence[tuple[float, float]], day: float) -> float:
    return float(np.interp(day, [d for d, _ in knots], [p for _, p in knots]))


def _aqp4(decline: Decline, z_level: float, z_rate: float) -> Antibody:
    before, half_life = 190 * _spread(z_level, 0.5), 27 * _spread(z_rate, 0.2)
    if decline == "no_fall":
        # Less than half a dilution step in half a year.
        return Antibody(max(before, 120.0), 600.0)
    if decline == "rebound":
        return Antibody(80 * _spread(z_level, 0.1), 15 * _spread(z_rate, 0.05), REBOUND_DAY, 3.0, 14.0)
    if decline == "start_changed":
        # Negative in the old and in the new series, so that the change matters.
        return Antibody(110 * _spread(z_level, 0.1), 20 * _spread(z_rate, 0.05))
    if decline == "high":
        # Above the last well before infusion.
        return Antibody(4200 * _spread(z_level, 0.1), half_life)
    return Antibody(min(max(before, 50.0), 1000.0), half_life)


@dataclass(frozen=True, slots=True)
class Crossing:
    """Days on which a true course passes a level; ``falls`` and ``rises`` in order."""

    falls: tuple[float, ...]
    rises: tuple[float, ...]
    low_at_start: bool


STEP = 0.05
"""Days between the points of the grid on which crossings are looked for."""


def crossings(course: Course, level: float, start: float, end: float) -> Crossing:
    """Return where a course passes ``level`` between two study days.

    Infused immunoglobulin does not count. Linear between grid points of 0.05 days.
    """
    time = np.arange(start, end + STEP, STEP)
    values = course.own(time) if isinstance(course, Immunoglobulin) else course(time)
    low = values < level
    falls: list[float] = []
    rises: list[float] = []
    for i in np.flatnonzero(low[1:] != low[:-1]):
        a, b = float(values[i]), float(values[i + 1])
        day = float(time[i]) + STEP * (a - level) / (a - b)
        (rises if low[i] else falls).append(day)
    return Crossing(tuple(falls), tuple(rises), bool(low[0]))
