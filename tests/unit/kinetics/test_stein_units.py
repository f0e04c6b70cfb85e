"""The unit of a course is no property of its cells."""

from __future__ import annotations

import numpy as np
import pytest

from cartrace.kinetics.stein import SteinParameters, stein_course
from cartrace.kinetics.stein_fit import NAMES, fit_stein

DAYS = np.array([1.0, 4.0, 7.0, 10.0, 14.0, 21.0, 28.0, 42.0, 60.0, 90.0, 120.0, 180.0])


@pytest.mark.parametrize("factor", [6.6e-6, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_another_unit_scales_cmax_and_nothing_else(factor: float, seed: int) -> None:
    typical = SteinParameters(foldx=3900, tmax=9, cmax=2e4, alpha=0.16, beta=0.0032, fb=0.01)
    noise = np.exp(0.4 * np.random.default_rng(seed).normal(size=len(DAYS)))
    course = stein_course(DAYS, typical) * noise
    one, other = fit_stein(DAYS, course, course), fit_stein(DAYS, factor * course, factor * course)
    levels = np.where([name == "cmax" for name in NAMES], factor, 1.0)
    for ours, theirs in ((one.value, other.value), (one.lower, other.lower), (one.upper, other.upper)):
        np.testing.assert_allclose(theirs, ours * levels, rtol=1e-9)
