from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from cartrace.immunoassay.calibration import fit_curve, known_curve
from cartrace.immunoassay.standards import Calibration, Rules, back_calculate, calibrate, told

LEVELS = 100 / 2.0 ** np.arange(8.0)
X = np.repeat(LEVELS, 2)
TRUE = known_curve({"A": 0.05, "B": 1.3, "C": 30.0, "D": 2.6})
LINE = {"model": "linear", "log_concentration": False}


def wells(wrong: dict[int, float] | None = None, *, seed: int = 1, cv: float = 0.02) -> np.ndarray:
    """Signals of X; ``wrong``: position of a level from the top -> true concentration over nominal."""
    rng = np.random.default_rng(seed)
    x = X.copy()
    for level, factor in (wrong or {}).items():
        x[2 * level : 2 * level + 2] *= factor
    return TRUE.predict(x) * (1 + cv * rng.standard_normal(len(x)))


def run(y: np.ndarray, **options: object) -> Calibration:
    return calibrate(X, y, model="4pl", weighting="1/y2", **options)  # type: ignore[arg-type]


def test_recoveries_are_those_computed_by_hand() -> None:
    # The line y = 2 x reads 1 and 1.2, 2 and 2.4; a line through the means.
    curve = fit_curve([1, 2], [2, 4], **LINE)  # type: ignore[arg-type]
    table = back_calculate(curve, [1, 1, 2, 2], [2.0, 2.4, 4.0, 4.8])
    assert list(table["back_mean"]) == pytest.approx([1.1, 2.2])
    assert list(table["recovery_percent"]) == pytest.approx([110, 110])
    assert table["back_cv_percent"].iloc[0] == pytest.approx(100 * math.sqrt(0.02) / 1.1)
    assert table["signal_cv_percent"].iloc[0] == pytest.approx(100 * math.sqrt(0.08) / 2.2)
    assert list(table["n"]) == [2, 2]


def test_a_well_below_the_curve_counts_as_zero_and_one_above_leaves_no_recovery() -> None:
    curve = known_curve({"A": 1, "B": 1, "C": 10, "D": 9})
    table = back_calculate(curve, [2, 2, 50, 50], [0.9, 1 + 8 * 2 / 12, 8.0, 9.5])
    assert table["recovery_percent"].iloc[0] == pytest.approx(50)
    assert math.isnan(table["recovery_percent"].iloc[1])


def test_concentration_zero_and_named_anchors_are_not_judged() -> None:
    table = back_calculate(TRUE, [0, 1, 1.0003, 5], TRUE.predict([0, 1, 1.0003, 5]), anchors=[1.0])
    assert list(table["anchor"]) == [True, True, False]
    assert math.isnan(table["recovery_percent"].iloc[0])


def test_good_standards_are_accepted_with_nothing_left_out() -> None:
    found = run(wells())
    assert found.accepted
    assert found.left_out == ()
    assert found.n_accepted == 8
    assert found.used.all()


@pytest.mark.parametrize("level", [2, 3, 5])
@pytest.mark.parametrize("factor", [0.5, 1.7])
def test_one_wrong_level_is_the_one_that_is_left_out(level: int, factor: float) -> None:
    found = run(wells({level: factor}))
    assert found.left_out == pytest.approx((LEVELS[level],))
    assert found.accepted
    assert found.n_accepted == 7
    assert not found.used[2 * level]
    assert found.used.sum() == 14
    assert found.curve is not None
    inside = LEVELS[1:-1]
    assert found.curve.predict(inside) == pytest.approx(TRUE.predict(inside), rel=0.08)


@pytest.mark.parametrize("factor", [0.5, 0.6, 0.7, 1.6, 1.7])
def test_a_wrong_level_beside_the_top_is_left_out_and_not_the_good_top(factor: float) -> None:
    # Without either of them all others pass; only without the wrong one do they lie on a curve.
    levels = np.array([1, 3, 10, 30, 100, 300, 1000, 3000.0])
    true = known_curve({"A": 0.05, "B": 1, "C": 100, "D": 3.05})
    x = np.repeat(levels, 2)
    y = true.predict(np.where(x == 1000, factor * x, x)) * np.tile([1.01, 0.99], len(levels))
    found = calibrate(x, y, model="4pl", weighting="1/y2")
    assert found.accepted
    assert found.left_out == (1000.0,)


def test_the_top_level_is_left_out_when_it_holds_half_and_a_double_one_bends_the_plateau_to_itself() -> None:
    assert run(wells({0: 0.5})).left_out == (100.0,)
    # Nothing else fixes the plateau of a 4PL: no rule on its own standards can see this.
    unseen = run(wells({0: 2.0}))
    assert unseen.left_out == ()
    assert unseen.accepted


def test_three_wrong_levels_of_eight_are_more_than_the_rule_allows() -> None:
    found = run(wells({1: 2.0, 4: 0.4, 6: 2.5}))
    assert found.left_out == ()
    assert not found.accepted
    assert "standard_recovery" in found.broken or "standard_recovery_ends" in found.broken


def test_six_levels_leave_no_room_to_leave_one_out() -> None:
    keep = LEVELS[6] * 1.01 < X
    y = wells({3: 0.4})
    found = calibrate(X[keep], y[keep], model="4pl", weighting="1/y2")
    assert found.left_out == ()
    assert not found.accepted
    assert "standard_levels" in found.broken


def test_five_levels_are_refused_by_the_default_and_accepted_by_a_rule_of_four() -> None:
    keep = LEVELS[5] * 1.01 < X
    y = wells()
    found = calibrate(X[keep], y[keep], model="4pl")
    assert set(found.broken) == {"standard_levels"}
    told = found.broken["standard_levels"]
    assert told.startswith("5 levels of standards are within tolerance, 6 are needed; the plate has only 5")
    assert calibrate(X[keep], y[keep], model="4pl", rules=Rules(min_levels=4)).accepted


def test_an_anchor_far_off_is_neither_judged_nor_left_out() -> None:
    y = wells({7: 2.0})
    without, with_anchor = run(y), run(y, anchors=[LEVELS[7]])
    assert without.left_out == pytest.approx((LEVELS[7],))
    assert LEVELS[7] not in with_anchor.left_out
    assert with_anchor.used[-1]
    row = with_anchor.table.iloc[0]
    assert bool(row["anchor"])
    assert not bool(row["judged"])
    assert row["within"] is pd.NA


def test_the_ends_have_the_wider_tolerance() -> None:
    # A line held by 200 wells at each other level: the one wrong well moves it by almost nothing.
    x = np.append(np.repeat([1.0, 2, 3, 4, 5, 6, 7], 200), [8.0])
    line = {"model": "linear", "log_concentration": False}
    y = x.copy()
    y[-1] = 8 * 1.22
    assert calibrate(x, y, **line).accepted  # type: ignore[arg-type]
    x[-1], y[-1] = 4.5, 4.5 * 1.22
    found = calibrate(x, y, rules=Rules(min_levels=8), **line)  # type: ignore[arg-type]
    assert set(found.broken) == {"standard_recovery", "standard_levels"}
    assert found.broken["standard_recovery"].endswith("% at 4.5")


def test_excluded_wells_are_not_fitted_and_a_level_without_wells_is_not_counted() -> None:
    y = wells()
    y[4] = 50.0
    y[6:8] = 50.0
    excluded = np.zeros(len(X), dtype=bool)
    excluded[[4, 6, 7]] = True
    found = run(y, excluded=excluded)
    assert found.accepted
    assert found.n_accepted == 7
    assert list(found.table["n_used"]) == [2, 2, 2, 2, 0, 1, 2, 2]
    assert list(found.table["n"]) == [2] * 8
    assert not bool(found.table["judged"].iloc[4])
    assert found.table["within"].isna().sum() == 1


def test_without_a_curve_the_reason_is_told_and_nothing_is_accepted() -> None:
    flat = calibrate(X, np.ones(len(X)), model="4pl")
    assert flat.broken == {"curve_missing": "all standards have the same signal"}
    assert not flat.accepted
    assert flat.curve is None
    assert len(flat.table) == 8
    none = calibrate([], [], model="4pl")
    assert none.broken == {"curve_missing": "there are no standards"}
    assert none.left_out == ()
    assert none.n_accepted == 0


def test_the_order_of_the_wells_does_not_change_the_verdict() -> None:
    y = wells({3: 0.5})
    order = np.random.default_rng(5).permutation(len(X))
    one, other = run(y), calibrate(X[order], y[order], model="4pl", weighting="1/y2")
    assert one.curve == other.curve
    assert one.left_out == other.left_out
    assert (one.used[order] == other.used).all()


def test_a_recovery_of_exactly_the_limit_passes() -> None:
    line = {"model": "linear", "log_concentration": False, "weighting": "none"}
    found = calibrate(
        [1, 2, 3, 4, 5, 6],
        [1, 2, 3, 4, 5, 6],
        rules=Rules((100, 100), (100, 100)),
        **line,  # type: ignore[arg-type]
    )
    assert found.accepted


def test_levels_beyond_the_curve_are_told_as_such() -> None:
    table = back_calculate(TRUE, [50, 50, 100, 100], [TRUE.predict(60), TRUE.predict(60), 3.0, 3.0])
    assert told(table, [0, 1]) == "120 % at 50; 100 beyond the curve"
