"""True courses of the simulated trial: who expands how far, and for how long.

The transgene follows the piecewise model of Stein 2019. The published variances
describe 90 patients with leukaemia, most of whom persisted for a year. The
NMOSD phase 1 (Qin 2023, doi 10.1038/s41392-022-01278-3) is smaller and calmer:
17 % persisted beyond six months. So the medians of the model are kept, the
variances are tamed (:data:`OMEGA2`), and the terminal rate has two classes:
persisters keep the published rate, the others get the half-life of 23.5 d that
cilta-cel shows (reference: J&J medical page, CARTITUDE-1). A draw whose crossing
of the LLOQ does not fit its class is drawn again.

Flow cytometry follows from the transgene. A share s of T cells carries the CAR
where s / (1 - s) = copies/ug * genome mass / (copies per CAR cell * T cells per
leukocyte); this saturates below 100 %. T cells recover after lymphodepletion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cartrace.kinetics.stein import TYPICAL, SteinParameters, stein_auc, stein_course

Array = npt.NDArray[np.float64]

Role = Literal[
    "usual",
    "persister",
    "never_expands",
    "late_maximum",
    "steep_rise",
    "second_infusion",
    "csf",
    "lost_early",
]
ROLES: tuple[Role, ...] = (
    "usual",
    "never_expands",
    "usual",
    "persister",
    "late_maximum",
    "steep_rise",
    "second_infusion",
    "csf",
    "usual",
    "lost_early",
    "persister",
    "usual",
)
"""Role of each subject, in order; a larger trial repeats them. 2 of 12 persist (17 %)."""

OMEGA2 = {"foldx": 0.5, "tmax": 0.03, "cmax": 0.30, "alpha": 0.08, "fb": 0.25, "beta": 0.10}
"""Between-patient variances (log scale). Stein 2019 has 2.4, 0.38, 0.65, 0.91, 0.80 and
0.86; with its variance of Tmax a third of the patients would peak before day 5 or
after day 17, and 12 patients would be 12 different diseases."""

SHORT_BETA = float(np.log(2)) / 23.5
"""Terminal rate of those who don't persist, 1/day (cilta-cel, mean half-life 23.5 d)."""

DOSE_EXPONENT = 0.3
"""Cmax grows with (dose / 1e6 per kg) to this power: mild, as in phase 1."""

COPIES_PER_UG_TO_PER_CELL = 6.6e-6
"""Diploid genomes weigh 6.6 pg, so 1 copy/ug is 6.6e-6 copies per cell."""
COPIES_PER_CAR_CELL = 2.0
T_PER_LEUKOCYTE = 0.30

PCR_LOD, PCR_LLOQ = 10.0, 50.0
"""Copies/ug. LLOQ: FDA long-term follow-up guidance, at most 50 copies/ug (PMC8282960)."""
FLOW_LOD, FLOW_LLOQ = 0.05, 0.1
"""CAR+ % of T cells. 0.1 % answers to about 90 copies/ug: flow loses the cells before PCR."""
COUNT_LOD, COUNT_LLOQ = 0.5, 1.0
"""CAR+ cells/uL: the limits in % at 1000 T cells/uL."""

PERSISTS_FROM, GONE_BY = 210.0, 165.0
"""Days. A persister crosses the PCR LLOQ after the first, anyone else before the second."""


@dataclass(frozen=True, slots=True)
class Course:
    """One true course of one infusion in one compartment.

    ``parameters`` are in copies/ug; ``t_cells`` is the T-cell count before
    lymphodepletion, in cells/uL.
    """

    role: Role
    parameters: SteinParameters
    t_cells: float


def transgene(time: npt.ArrayLike, course: Course) -> Array:
    """Return the transgene in copies/ug at ``time`` (days from infusion)."""
    return stein_course(time, course.parameters)


def car_fraction(copies_per_ug: npt.ArrayLike) -> Array:
    """Return the CAR+ share of T cells, in %, that goes with ``copies_per_ug``."""
    odds = np.asarray(copies_per_ug, dtype=np.float64) * COPIES_PER_UG_TO_PER_CELL
    odds = odds / (COPIES_PER_CAR_CELL * T_PER_LEUKOCYTE)
    return 100 * odds / (1 + odds)


def t_cell_count(time: npt.ArrayLike, before: float) -> Array:
    """Return T cells/uL: ``before`` up to lymphodepletion (day -4), 3 % at day 0, then recovery.

    The recovery is exponential with a time constant of 18 days.
    """
    t = np.asarray(time, dtype=np.float64)
    recovered = 0.03 + 0.97 * -np.expm1(-np.maximum(t, 0.0) / 18)
    return before * np.where(t <= -4, 1.0, recovered)


def value(analyte: str, time: npt.ArrayLike, course: Course) -> Array:
    """Return the true value of ``analyte`` at ``time`` in its first unit.

    transgene: copies/ug; car_t_fraction: %; car_t_cells and t_cells: cells/uL.

    Raises
    ------
    KeyError
        For an analyte that is not simulated.
    """
    copies = transgene(time, course)
    if analyte == "transgene":
        return copies
    if analyte == "car_t_fraction":
        return car_fraction(copies)
    if analyte == "t_cells":
        return t_cell_count(time, course.t_cells)
    if analyte == "car_t_cells":
        return t_cell_count(time, course.t_cells) * car_fraction(copies) / 100
    raise KeyError(analyte)


def draw_course(rng: np.random.Generator, role: Role, dose_per_kg: float) -> Course:
    """Draw the first course in blood of a subject with ``role``.

    ``dose_per_kg`` is in CAR-T cells per kg.
    """
    t_cells = float(rng.uniform(500, 850))
    if role == "never_expands":
        # A blip that detection sees and quantification does not.
        blip = SteinParameters(
            foldx=60, tmax=10, cmax=float(rng.uniform(18, 26)), alpha=0.2, beta=0.1, fb=0.01
        )
        return Course(role, blip, t_cells)
    persists = role == "persister"
    for _ in range(10_000):
        parameters = _draw(rng, role, dose_per_kg)
        lost = time_below(parameters, PCR_LLOQ)
        if (lost > PERSISTS_FROM) if persists else (42 < lost < GONE_BY):
            return Course(role, parameters, t_cells)
    raise RuntimeError(f"no course of role '{role}' at {dose_per_kg:g} cells/kg fits its persistence")


def _draw(rng: np.random.Generator, role: Role, dose_per_kg: float) -> SteinParameters:
    z = {name: float(np.exp(np.sqrt(w) * rng.standard_normal())) for name, w in OMEGA2.items()}
    dose_effect = (dose_per_kg / 1e6) ** DOSE_EXPONENT
    tmax = TYPICAL.tmax * z["tmax"]
    foldx = 1 + (TYPICAL.foldx - 1) * z["foldx"]
    cmax = TYPICAL.cmax * dose_effect * z["cmax"]
    if role == "late_maximum":
        tmax, cmax = 48.0 + 6 * (z["tmax"] - 1), 0.4 * cmax
    if role == "steep_rise":
        # Day 4 and day 7 lie a factor of about 65 apart, so that a swap of the two is plain to see.
        tmax, cmax = 7.8, 40_000 * z["tmax"]
        foldx = float(np.exp(1.4 * tmax))
    beta = (TYPICAL.beta if role == "persister" else SHORT_BETA) * z["beta"]
    return SteinParameters(
        foldx=foldx,
        tmax=tmax,
        cmax=cmax,
        alpha=TYPICAL.alpha * z["alpha"],
        beta=beta,
        fb=min(TYPICAL.fb * z["fb"], 0.5),
    )


def second_course(rng: np.random.Generator, first: Course) -> Course:
    """Return the course after a second infusion: a tenth to a quarter of the first Cmax."""
    p = first.parameters
    share = float(rng.uniform(0.10, 0.25))
    again = SteinParameters(p.foldx * share, p.tmax, p.cmax * share, p.alpha, p.beta, p.fb)
    return Course(first.role, again, first.t_cells)


def csf_course(rng: np.random.Generator, blood: Course) -> Course:
    """Return the course in CSF: later, lower and slower than in blood (PMS report, reference 1.4)."""
    p = blood.parameters
    share = float(rng.uniform(0.05, 0.15))
    csf = SteinParameters(400, p.tmax + 9, p.cmax * share, p.alpha / 2.5, p.beta, 0.02)
    return Course(blood.role, csf, blood.t_cells)


def time_below(parameters: SteinParameters, limit: float) -> float:
    """Return the day after Tmax on which the course falls below ``limit`` (the unit of cmax).

    nan when it never reaches the limit. Bisection: the decline is monotone.
    """
    if parameters.cmax < limit:
        return float("nan")
    low, high = parameters.tmax, parameters.tmax + 1.0
    while float(stein_course(high, parameters)) >= limit:
        low, high = high, 2 * high
        if high > 1e6:
            return float("inf")
    for _ in range(50):
        middle = (low + high) / 2
        above = float(stein_course(middle, parameters)) >= limit
        low, high = (middle, high) if above else (low, middle)
    return high


WINDOWS = ((0, 7), (0, 14), (0, 28), (0, 84), (0, 90), (0, 180))
"""Windows of the true areas, in days: the defaults of cartrace.config.Auc."""


def true_metrics(analyte: str, course: Course, lloq: float) -> dict[str, float]:
    """Return what an assay without noise, limits or gaps would find.

    ``cmax`` (unit of :func:`value`), ``tmax``, ``time_to_loss`` (days; the last
    crossing of ``lloq``), and ``auc_0_7`` ... in day * unit: closed for the
    transgene, Simpson's rule with steps of 1/16 day otherwise.
    """
    p = course.parameters
    if analyte == "transgene":
        out = {"cmax": p.cmax, "tmax": p.tmax, "time_to_loss": time_below(p, lloq)}
        areas = {f"auc_{a}_{b}": float(stein_auc(a, b, p)) for a, b in WINDOWS}
        return out | areas
    time = np.linspace(0.0, 2048.0, 2048 * 16 + 1)
    values = value(analyte, time, course)
    peak = int(np.argmax(values))
    above = np.flatnonzero(values >= lloq)
    lost = float("nan") if above.size == 0 else float(time[min(above[-1] + 1, time.size - 1)])
    out = {"cmax": float(values[peak]), "tmax": float(time[peak]), "time_to_loss": lost}
    for start, end in WINDOWS:
        inside = values[start * 16 : end * 16 + 1]
        weights = np.where(np.arange(inside.size) % 2 == 1, 4.0, 2.0)
        weights[[0, -1]] = 1.0
        out[f"auc_{start}_{end}"] = float(inside @ weights) / 48
    return out
