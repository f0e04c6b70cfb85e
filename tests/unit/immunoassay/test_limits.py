from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from cartrace.immunoassay.calibration import fit_curve, inverse, inverse_interval, known_curve
from cartrace.immunoassay.limits import (
    accepted_range,
    lod,
    precision_profile,
    profile_limits,
)
from cartrace.immunoassay.standards import calibrate

LEVELS = 100 / 2.5 ** np.arange(9.0)
X = np.repeat(LEVELS, 3)
TRUE = known_curve({"A": 0.05, "B": 1.3, "C": 12.0, "D": 2.6})
Y = TRUE.predict(X) * (1 + 0.04 * np.random.default_rng(2).standard_normal(len(X)))


def test_the_accepted_range_runs_from_the_lowest_to_the_highest_accepted_level() -> None:
    table = pd.DataFrame({"nominal": [0.0, 1.0, 2.0, 4.0, 8.0], "within": [False, False, True, True, False]})
    assert accepted_range(table) == (2, 4)
    assert all(math.isnan(v) for v in accepted_range(table.assign(within=False)))


def test_a_left_out_end_shrinks_the_range() -> None:
    y = Y.copy()
    y[:3] *= 1.35
    found = calibrate(X, y, model="4pl", weighting="1/y2")
    assert found.left_out == (100.0,)
    assert accepted_range(found.table) == pytest.approx((LEVELS[-1], 40))


def test_the_precision_profile_is_the_cv_of_the_concentration_along_the_curve() -> None:
    curve = fit_curve(X, Y, weighting="1/y2")
    profile = precision_profile(curve, replicates=2)
    assert profile["concentration"].iloc[[0, -1]].tolist() == pytest.approx([LEVELS[-1], 100])
    x = float(profile["concentration"].iloc[200])
    expected = inverse_interval(curve, curve.predict(x), replicates=2).cv_percent[0]
    assert profile["cv_percent"].iloc[200] == pytest.approx(expected, rel=1e-6)
    # Flat ends of the curve: worse there than in the middle; more replicates: better everywhere.
    assert profile["cv_percent"].iloc[0] > 2 * profile["cv_percent"].min()
    assert (precision_profile(curve)["cv_percent"] > profile["cv_percent"]).all()


def test_the_profile_agrees_with_simulated_wells() -> None:
    x = np.repeat(LEVELS, 200)
    rng = np.random.default_rng(3)
    curve = fit_curve(x, TRUE.predict(x) * (1 + 0.04 * rng.standard_normal(len(x))), weighting="1/y2")
    for concentration in (2.0, 10.0, 40.0):
        wells = TRUE.predict(concentration) * (1 + 0.04 * rng.standard_normal(4000))
        read = inverse(curve, wells).concentration
        told = inverse_interval(curve, curve.predict(concentration)).cv_percent[0]
        assert told == pytest.approx(100 * read.std() / read.mean(), rel=0.1)


def test_limits_are_the_ends_of_the_stretch_around_the_smallest_cv() -> None:
    profile = pd.DataFrame(
        {"concentration": [1.0, 2, 3, 4, 5, 6, 7], "cv_percent": [10.0, 30, 15, 5, 20, math.nan, 5]}
    )
    assert profile_limits(profile, 20) == (3, 5)
    assert profile_limits(profile, 40) == (1, 5)
    assert profile_limits(profile, 5) == (4, 4)
    assert all(math.isnan(v) for v in profile_limits(profile, 4))


def test_a_curve_without_replicates_has_no_profile_and_no_limits() -> None:
    curve = fit_curve(LEVELS[::2][:4], TRUE.predict(LEVELS[::2][:4]))
    assert all(math.isnan(v) for v in profile_limits(precision_profile(curve), 20))


def test_the_lod_is_that_computed_by_hand() -> None:
    curve = known_curve({"A": 1, "B": 1, "C": 10, "D": 9})
    # Mean 1.1, SD 0.1: 1.4 with three SDs; 10 (1.4 - 1) / (9 - 1.4).
    found = lod(curve, [1.0, 1.1, 1.2], sd=3)
    assert found.signal == pytest.approx(1.4)
    assert found.lod == pytest.approx(4 / 7.6)
    assert found.n == 3


def test_the_lod_of_a_falling_curve_lies_below_the_blanks() -> None:
    curve = known_curve({"A": 9, "B": 1, "C": 10, "D": 1})
    found = lod(curve, [8.8, 8.9, 9.0], sd=3)
    assert found.signal == pytest.approx(8.6)
    assert found.lod == pytest.approx(10 * 0.4 / 7.6)


@pytest.mark.parametrize(
    ("blanks", "said"),
    [
        ([], "blanks: 0; 3 are needed"),
        ([1.0, 1.1, math.nan], "blanks: 2"),
        ([1.0, 1.0, 1.0], "no SD"),
        ([0.2, 0.21, 0.22], "below the curve"),
        ([8.0, 9.0, 10.0], "above the curve"),
    ],
)
def test_no_lod_is_given_without_a_reason_to_believe_it(blanks: list[float], said: str) -> None:
    found = lod(known_curve({"A": 1, "B": 1, "C": 10, "D": 9}), blanks)
    assert math.isnan(found.lod)
    assert said in found.reason
