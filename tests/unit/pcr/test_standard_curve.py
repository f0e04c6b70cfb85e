from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress

from cartrace.pcr.standard_curve import (
    CurveError,
    between_plate_sd,
    confidence_band,
    dump_stored_curve,
    efficiency_percent,
    fit_curve,
    inverse_interval,
    master_curve,
    prediction_band,
    read_stored_curve,
    recovery_percent,
    residuals,
    standards_of,
)
from cartrace.problems import InputError

# By hand: mean 2.5 and 25, Sxx 5, Sxy -16.9, residuals 0.03, -0.09, 0.09, -0.03.
X = np.array([1.0, 2.0, 3.0, 4.0])
CQ = np.array([30.1, 26.6, 23.4, 19.9])
T2 = 4.302652729911275  # Student's t, 2 degrees of freedom, 97.5 %


def test_a_line_of_four_standards_is_that_computed_by_hand() -> None:
    curve = fit_curve(X, CQ)
    assert curve.slope == pytest.approx(-3.38)
    assert curve.intercept == pytest.approx(33.45)
    assert curve.residual_sd == pytest.approx(math.sqrt(0.009))
    assert curve.r2 == pytest.approx(1 - 0.018 / 57.14)
    half = T2 * math.sqrt(0.009 / 5)
    assert (curve.slope_lower, curve.slope_upper) == pytest.approx((-3.38 - half, -3.38 + half))
    half = T2 * math.sqrt(0.009 * (1 / 4 + 2.5**2 / 5))
    assert (curve.intercept_lower, curve.intercept_upper) == pytest.approx((33.45 - half, 33.45 + half))
    assert (curve.n_used, curve.n_levels, curve.df) == (4, 4, 2)
    assert (curve.lowest, curve.highest) == pytest.approx((10, 1e4))
    assert (curve.mean_log10, curve.sxx, curve.sum_weights) == pytest.approx((2.5, 5, 4))


def test_the_efficiency_is_100_percent_when_copies_double_each_cycle() -> None:
    assert efficiency_percent(-1 / math.log10(2)) == pytest.approx(100)
    assert efficiency_percent([-3.6, -3.1]) == pytest.approx([89.573, 110.174], abs=1e-3)
    assert np.isnan(efficiency_percent([0.0, 3.3])).all()


def test_the_limits_of_the_efficiency_are_those_of_the_slope_transformed() -> None:
    curve = fit_curve(X, CQ)
    assert curve.efficiency_lower == pytest.approx(float(efficiency_percent(curve.slope_lower)))
    assert curve.efficiency_upper == pytest.approx(float(efficiency_percent(curve.slope_upper)))
    assert curve.efficiency_lower < curve.efficiency_percent < curve.efficiency_upper


def test_without_weights_the_line_is_that_of_scipy() -> None:
    rng = np.random.default_rng(1)
    x = np.repeat(np.arange(1, 8.0), 3)
    y = 38 - 3.4 * x + rng.normal(0, 0.15, len(x))
    curve, other = fit_curve(x, y), linregress(x, y)
    assert (curve.slope, curve.intercept) == pytest.approx((other.slope, other.intercept))
    assert (curve.slope_se, curve.intercept_se) == pytest.approx((other.stderr, other.intercept_stderr))
    assert curve.r2 == pytest.approx(other.rvalue**2)


def test_weights_are_one_over_the_variance_of_the_level() -> None:
    # Variances 0.02 and 0.5: weights 50 and 2, scaled to the mean 1 over wells.
    curve = fit_curve([1, 1, 3, 3], [30.0, 30.2, 23.0, 24.0], weighting="level_variance")
    assert curve.level_weights == pytest.approx((50 / 26, 2 / 26))
    assert (curve.slope, curve.intercept) == pytest.approx((-3.3, 33.4))
    assert curve.mean_log10 == pytest.approx((50 * 1 + 2 * 3) / 52)
    # Four residuals, each worth variance / 2 of its level: 2 x 0.02/2/2 x 50 + ... = 2 / 26 over 2 df.
    assert curve.residual_sd == pytest.approx(math.sqrt((50 * 0.02 + 2 * 0.5) / 26 / 2))


def test_a_level_with_one_well_or_equal_wells_takes_the_pooled_variance() -> None:
    # Only the level 2 shows scatter, 0.02 with 1 of 2 degrees of freedom: pooled 0.01.
    curve = fit_curve([1, 2, 2, 3, 3], [30.0, 26.6, 26.8, 23.4, 23.4], weighting="level_variance")
    assert np.array(curve.level_weights) / curve.level_weights[1] == pytest.approx([2, 1, 2])


def test_weights_without_replicates_are_refused() -> None:
    with pytest.raises(CurveError, match="needs replicates"):
        fit_curve(X, CQ, weighting="level_variance")


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([1, 2], [30, 27], "2 standard wells; a curve needs at least 3"),
        ([], [], "0 standard wells"),
        ([2, 2, 2], [30, 30.1, 30.2], "all standards have one level"),
        ([2, 2.0000001, 2], [30, 30.1, 30.2], "all standards have one level"),
        ([1, 2, 3], [30, 30, 30], "the same Cq"),
        ([1, 2, 3], [30, math.nan, 23], "1 of 3 standards have no finite Cq"),
        ([-math.inf, 2, 3], [30, 27, 23], "no copies above 0"),
        ([1, 2, 3], [23, 27, 30], r"does not fall with the copies .*slope \+3\.500"),
    ],
)
def test_standards_without_a_line_are_refused_with_the_reason(
    x: list[float], y: list[float], reason: str
) -> None:
    with pytest.raises(CurveError, match=reason):
        fit_curve(x, y)


def test_lists_of_unequal_length_are_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="equally long"):
        fit_curve([1, 2, 3], [30, 27])


def test_copies_come_back_from_their_cq() -> None:
    curve = fit_curve(X, CQ)
    assert curve.predict([33.45, 33.45 - 3.38, math.nan]) == pytest.approx([1, 10, math.nan], nan_ok=True)
    assert curve.predict(-1e6) == math.inf


def test_residuals_and_recoveries_are_those_computed_by_hand() -> None:
    curve = fit_curve(X, CQ)
    assert residuals(curve, X, CQ) == pytest.approx([0.03, -0.09, 0.09, -0.03])
    # 0.09 cycles late is 10^(-0.09/3.38) of the copies.
    assert recovery_percent(curve, X, CQ)[2] == pytest.approx(94.053, abs=1e-3)


def test_the_bands_at_the_middle_are_those_computed_by_hand() -> None:
    curve = fit_curve(X, CQ)
    low, high = confidence_band(curve, 2.5)
    assert (high - low) / 2 == pytest.approx(T2 * math.sqrt(0.009 / 4))
    low, high = prediction_band(curve, 3.5, n_replicates=3)
    assert (high - low) / 2 == pytest.approx(T2 * math.sqrt(0.009 * (1 / 3 + 1 / 4 + 1 / 5)))
    assert (high + low) / 2 == pytest.approx(33.45 - 3.38 * 3.5)


def test_the_interval_at_the_middle_is_that_computed_by_hand() -> None:
    # At the mean Cq Fieller's quadratic has no linear term: u^2 (b^2 - t^2 s^2/Sxx) = t^2 s^2 (1/m + 1/n).
    half = math.sqrt(T2**2 * 0.009 * 1.25 / (3.38**2 - T2**2 * 0.009 / 5))
    lower, upper = inverse_interval(fit_curve(X, CQ), 25.0)
    assert np.log10([lower, upper]) == pytest.approx([2.5 - half, 2.5 + half])


@settings(deadline=None)
@given(
    cq=st.floats(15, 40),
    n=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
    weighting=st.sampled_from(["none", "level_variance"]),
)
def test_an_interval_ends_where_the_prediction_band_meets_the_cq(
    cq: float, n: int, seed: int, weighting: str
) -> None:
    rng = np.random.default_rng(seed)
    x = np.repeat(np.arange(1, 7.0), 3)
    # Equal scatter on all levels keeps the weights apart from 1 only a little, so both meet.
    y = 38 - 3.4 * x + np.tile([-0.1, 0.0, 0.1], 6) + rng.normal(0, 0.01, len(x))
    curve = fit_curve(x, y, weighting=weighting)  # type: ignore[arg-type]
    lower, upper = inverse_interval(curve, cq, n)
    assert lower < curve.predict(cq) < upper
    tolerance = 1e-9 if weighting == "none" else 0.05
    assert prediction_band(curve, np.log10(lower), n_replicates=n)[0] == pytest.approx(cq, abs=tolerance)
    assert prediction_band(curve, np.log10(upper), n_replicates=n)[1] == pytest.approx(cq, abs=tolerance)


def test_intervals_are_computed_for_all_wells_at_once() -> None:
    curve = fit_curve(X, CQ)
    lower, upper = inverse_interval(curve, [25.0, math.nan, 30.0], [1, 2, 3])
    assert np.isnan([lower[1], upper[1]]).all()
    single = inverse_interval(curve, 30.0, 3)
    assert (lower[2], upper[2]) == pytest.approx((float(single[0]), float(single[1])))


def test_a_slope_that_may_be_0_gives_no_interval() -> None:
    curve = fit_curve([1, 1, 2, 2], [30, 26, 29, 25])
    assert curve.slope_upper > 0
    assert math.isnan(curve.efficiency_upper)
    assert np.isnan(inverse_interval(curve, 28.0)).all()


def test_standards_on_a_perfect_line_leave_no_uncertainty() -> None:
    curve = fit_curve([1, 2, 3], [30, 27, 24])
    lower, upper = inverse_interval(curve, 27.0)
    assert (lower, upper) == pytest.approx((100, 100))
    assert curve.r2 == pytest.approx(1)


def test_wells_of_a_noisy_level_have_wider_intervals_with_weights() -> None:
    x = np.repeat(np.arange(1, 7.0), 3)
    y = 38 - 3.4 * x + np.tile([-1, 0, 1], 6) * np.repeat([0.6, 0.1, 0.05, 0.05, 0.05, 0.05], 3)
    widths = {}
    for weighting in ("none", "level_variance"):
        curve = fit_curve(x, y, weighting=weighting)
        lower, upper = inverse_interval(curve, curve.cq([1.0, 5.0]))
        widths[weighting] = np.log10(upper / lower)
    assert widths["level_variance"][0] > widths["none"][0]
    assert widths["level_variance"][1] < widths["none"][1]


def test_nineteen_of_twenty_intervals_hold_the_true_copies() -> None:
    rng = np.random.default_rng(20)
    x = np.repeat(np.arange(1, 7.0), 3)
    hits = 0
    for _ in range(1000):
        curve = fit_curve(x, 38 - 3.4 * x + rng.normal(0, 0.2, len(x)))
        lower, upper = inverse_interval(curve, rng.normal(38 - 3.4 * 2, 0.2, 3).mean(), 3)
        hits += bool(lower <= 100 <= upper)
    assert 0.935 < hits / 1000 < 0.965


# Stored curves -------------------------------------------------------------------------------


def _plates(
    rng: np.random.Generator, n: int, height_sd: float, slope_sd: float
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    x = np.repeat(np.arange(1, 7.0), 3)
    return {
        f"P{k}": (
            x,
            26.1
            + rng.normal(0, height_sd)
            + (-3.4 + rng.normal(0, slope_sd)) * (x - 3.5)
            + rng.normal(0, 0.1, len(x)),
        )
        for k in range(n)
    }


def test_a_stored_curve_is_the_mean_of_the_lines_of_its_plates() -> None:
    # Two exact lines: 30 - 3.2 x and 30.4 - 3.4 x.
    x = np.array([1.0, 2.0, 3.0])
    curve = master_curve({"A": (x, 30 - 3.2 * x), "B": (x, 30.4 - 3.4 * x)})
    assert (curve.slope, curve.intercept) == pytest.approx((-3.3, 30.2))
    assert between_plate_sd(curve) == pytest.approx((0.2 / math.sqrt(2), 0.4 / math.sqrt(2)))
    assert curve.residual_sd == pytest.approx(0, abs=1e-9)
    assert (curve.n_used, curve.df, curve.mean_log10) == (6, 1, 2)
    # Heights at the mean: 23.6 and 23.6, so there only the slope is uncertain.
    low, high = confidence_band(curve, [2.0, 3.0])
    t1 = 12.706204736174694
    assert (high - low) / 2 == pytest.approx([0, t1 * math.sqrt(0.02 * 1.5)], abs=1e-6)


def test_the_spread_between_plates_widens_the_interval() -> None:
    x = np.repeat(np.arange(1, 7.0), 3)
    noise = np.tile([-0.1, 0.0, 0.1], 6)
    alike = master_curve(dict.fromkeys("ABCDE", (x, 38 - 3.4 * x + noise)))
    apart = master_curve(
        {k: (x, 38 - 3.4 * x + noise + d) for k, d in zip("ABCDE", [-0.2, -0.1, 0.0, 0.1, 0.2], strict=True)}
    )
    narrow, wide = (np.log10(np.divide(*inverse_interval(c, 28.0, 3)[::-1])) for c in (alike, apart))
    assert wide > 3 * narrow


def test_the_interval_of_a_stored_curve_holds_the_copies_on_a_further_plate() -> None:
    rng = np.random.default_rng(4)
    hits = {100.0: 0, 1e5: 0}
    for _ in range(600):
        *standards, (_, further) = _plates(rng, 7, 0.2, 0.03).items()
        curve = master_curve(dict(standards))
        for copies in hits:
            wells = further[0] == math.log10(copies)
            lower, upper = inverse_interval(curve, further[1][wells].mean(), 3)
            hits[copies] += bool(lower <= copies <= upper)
    for copies, n in hits.items():
        assert 0.93 < n / 600 < 0.985, copies


def test_one_plate_makes_no_stored_curve() -> None:
    with pytest.raises(CurveError, match="1 plates; a stored curve needs at least 2"):
        master_curve({"A": (X, CQ)})


def test_every_plate_without_a_line_is_named() -> None:
    with pytest.raises(CurveError, match=r"plate A: .*one level.*; plate C: .*same Cq"):
        master_curve({"A": ([1, 1, 1], [30, 31, 32]), "B": (X, CQ), "C": ([1, 2, 3], [30, 30, 30])})


def _stored_text() -> str:
    return dump_stored_curve(master_curve(_plates(np.random.default_rng(1), 4, 0.2, 0.03)), "car", "CAR")


def test_a_stored_curve_comes_back_as_it_was() -> None:
    curve = master_curve(_plates(np.random.default_rng(1), 4, 0.2, 0.03))
    back = read_stored_curve(_stored_text(), "curve.yaml")
    assert (back.name, back.target) == ("car", "CAR")
    assert (back.slope, back.intercept, back.lines) == (curve.slope, curve.intercept, curve.lines)
    assert (back.r2, back.residual_sd, back.levels) == (curve.r2, curve.residual_sd, curve.levels)
    assert np.array(inverse_interval(back, 25.0, 2)) == pytest.approx(
        np.array(inverse_interval(curve, 25.0, 2))
    )


def test_dates_in_the_names_of_plates_are_not_stored() -> None:
    text = dump_stored_curve(master_curve({"run_2024-05-17": (X, CQ), "B": (X, CQ + 0.1)}), "car", "CAR")
    assert "2024" not in text
    assert len(read_stored_curve(text, "curve.yaml").lines) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"slope": -3.0}, r"column 'slope'.*found -3; allowed: -3\.\d+, which follows from the plates"),
        ({"intercept": 99.0}, "column 'intercept'"),
        ({"slope_sd": 0.0}, "column 'slope_sd'"),
        ({"residual_sd": -1.0}, "greater than or equal to 0"),
        ({"residual_sd": math.nan}, "finite"),
        ({"plates": []}, "at least 2"),
        ({"levels": [3.0, 1.0]}, "levels out of order"),
        ({"slop": 1.0}, "did you mean 'slope'"),
    ],
)
def test_a_stored_curve_that_was_edited_is_refused(change: dict[str, object], reason: str) -> None:
    text = yaml.safe_dump(yaml.safe_load(_stored_text()) | change)
    with pytest.raises(InputError, match=reason):
        read_stored_curve(text, "curve.yaml")


@pytest.mark.parametrize(
    "text", ["{", "", "- 1", "when: 2024-99-99", "!!python/object:os.system {}", "[" * 10**5]
)
def test_a_file_that_is_no_stored_curve_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"curve\.yaml"):
        read_stored_curve(text, "curve.yaml")


# Standards from the wells table ---------------------------------------------------------------


def _wells(**columns: object) -> pd.DataFrame:
    base: dict[str, object] = {
        "plate": "P1",
        "target": "CAR",
        "task": "standard",
        "method": "qpcr",
        "exclusion": pd.NA,
        "verdict": "accepted",
        "cq": [30.0, 27.0, 24.0, 21.0],
        "nominal": [10.0, 100.0, 1000.0, 1e4],
    }
    return pd.DataFrame(base | columns)


def test_standards_without_cq_or_with_an_exclusion_are_left_out_and_counted() -> None:
    wells = _wells(cq=[np.nan, 27.0, 24.0, 21.0], exclusion=[pd.NA, "omitted", pd.NA, ""])
    found, left_out = standards_of(wells, "CAR")
    assert left_out == 2
    assert found["P1"][0] == pytest.approx([3, 4])
    assert found["P1"][1] == pytest.approx([24, 21])


def test_plates_without_accepted_standards_of_the_target_are_named_all_at_once() -> None:
    wells = pd.concat([_wells(), _wells(plate="P2", target="RPP30"), _wells(plate="P3", verdict="rejected")])
    with pytest.raises(InputError) as caught:
        standards_of(wells, "CAR")
    assert [p.file for p in caught.value.problems] == ["P2", "P3"]
    assert "4 rejected standards" in str(caught.value)
