"""The piecewise course of CAR-T cells of Stein 2019, and its closed areas.

Exponential growth up to Tmax, then a decline with two phases:

    t < tmax    C(t) = cmax / foldx * exp(rho t),  rho = ln(foldx) / tmax
    t >= tmax   C(t) = (1 - fb) cmax exp(-alpha (t - tmax)) + fb cmax exp(-beta (t - tmax))

Source: Stein et al., CPT Pharmacometrics Syst Pharmacol 2019;8:285, in the form
of the nlmixr2lib model ``Stein_2019_Tisagenlecleucel``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SteinParameters:
    """Parameters of one course.

    ``foldx`` is Cmax over the value at day 0; ``tmax`` is in days; ``cmax`` in
    the unit of the course; ``alpha`` and ``beta`` are rates per day; ``fb`` is the
    share of Cmax that declines slowly.
    """

    foldx: float
    tmax: float
    cmax: float
    alpha: float
    beta: float
    fb: float

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning.

        Raises
        ------
        ValueError
            When foldx < 1, tmax or cmax <= 0, a rate < 0, or fb outside [0, 1].
        """
        problems = [
            text
            for text, bad in (
                (f"foldx {self.foldx:g} (at least 1)", not self.foldx >= 1),
                (f"tmax {self.tmax:g} (above 0)", not self.tmax > 0),
                (f"cmax {self.cmax:g} (above 0)", not self.cmax > 0),
                (f"alpha {self.alpha:g} (not negative)", not self.alpha >= 0),
                (f"beta {self.beta:g} (not negative)", not self.beta >= 0),
                (f"fb {self.fb:g} (0 to 1)", not 0 <= self.fb <= 1),
            )
            if bad
        ]
        if problems:
            raise ValueError("impossible parameters: " + ", ".join(problems))

    @property
    def rho(self) -> float:
        """Growth rate per day."""
        return float(np.log(self.foldx)) / self.tmax

    @property
    def doubling_time(self) -> float:
        """Doubling time of the growth, in days (infinite without growth)."""
        return float(np.log(2)) / self.rho if self.rho > 0 else float("inf")


TYPICAL = SteinParameters(foldx=3900.0, tmax=9.3, cmax=24000.0, alpha=0.16, beta=0.0032, fb=0.0079)
"""Typical values of Stein 2019 (tisagenlecleucel, n = 90; cmax in copies/ug)."""

OMEGA2 = {"foldx": 2.4, "tmax": 0.38, "cmax": 0.65, "alpha": 0.91, "fb": 0.80, "beta": 0.86}
"""Between-patient variances on the log scale in Stein 2019."""

RESIDUAL_SD = 0.56
"""Residual standard deviation on the log scale in Stein 2019."""


def stein_course(time: npt.ArrayLike, parameters: SteinParameters) -> Array:
    """Return the course at ``time`` (days from infusion, any shape), in the unit of cmax.

    Times before the infusion give 0.
    """
    t = np.asarray(time, dtype=np.float64)
    p = parameters
    after = np.maximum(t - p.tmax, 0.0)
    decline = (1 - p.fb) * np.exp(-p.alpha * after) + p.fb * np.exp(-p.beta * after)
    growth = np.exp(p.rho * np.minimum(t - p.tmax, 0.0))
    return np.where(t < 0, 0.0, p.cmax * np.where(t < p.tmax, growth, decline))


def stein_auc(start: npt.ArrayLike, end: npt.ArrayLike, parameters: SteinParameters) -> Array:
    """Return the exact area under the course from ``start`` to ``end``, in day * unit of cmax.

    ``start`` and ``end`` are days (they broadcast); the course is 0 before day 0.
    The antiderivative is closed, so there is no step size.
    """
    return _area_from_zero(end, parameters) - _area_from_zero(start, parameters)


def _area_from_zero(time: npt.ArrayLike, p: SteinParameters) -> Array:
    t = np.maximum(np.asarray(time, dtype=np.float64), 0.0)
    rising = np.minimum(t, p.tmax)
    after = np.maximum(t - p.tmax, 0.0)
    growth = p.cmax / p.foldx * _exponential_area(p.rho, rising)
    decline = (1 - p.fb) * _exponential_area(-p.alpha, after) + p.fb * _exponential_area(-p.beta, after)
    return np.asarray(growth + p.cmax * decline)


def _exponential_area(rate: float, time: Array) -> Array:
    """Integrate exp(rate s) over 0..time; the limit for rate 0 is the time itself."""
    return time if rate == 0 else np.asarray(np.expm1(rate * time) / rate)
