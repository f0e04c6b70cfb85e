from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.immunoassay.calibration import (
    Curve,
    CurveError,
    Weighting,
    confidence_band,
    curve_columns,
    estimate_power,
    fit_curve,
    inverse,
    inverse_interval,
    known_curve,
    levels_of,
    prediction_band,
)

LEVELS = 100 / 2.5 ** np.arange(9.0)
X = np.repeat(LEVELS, 2)
TRUE = known_curve({"A": 0.05, "B": 1.3, "C": 12.0, "D": 2.6})
FIVE = known_curve({"A": 0.05, "B": 1.3, "C": 12.0, "D": 2.6, "G": 0.7})


def noisy(curve: Curve, rng: np.random.Generator, x: np.ndarray = X, cv: float = 0.05) -> np.ndarray:
    return curve.predict(x) * (1 + cv * rng.standard_normal(x.shape))


def test_a_4pl_gives_the_signals_computed_by_hand() -> None:
    curve = known_curve({"A": 1, "B": 2, "C": 10, "D": 9})
    # (x / C)^B is 0, 1/4, 1, 4: 9 - 8 / (1 + that).
    assert curve.predict([0, 5, 10, 20]) == pytest.approx([1, 2.6, 5, 7.4])


def test_a_5pl_gives_the_signals_computed_by_hand() -> None:
    curve = known_curve({"A": 1, "B": 2, "C": 10, "D": 9, "G": 2})
    assert curve.predict([0, 5, 10, 20]) == pytest.approx([1, 9 - 8 / 1.5625, 7, 9 - 8 / 25])


def test_a_4pl_read_backwards_gives_the_concentrations_computed_by_hand() -> None:
    found = inverse(known_curve({"A": 1, "B": 2, "C": 10, "D": 9}), [1, 2.6, 5, 7.4])
    assert found.concentration == pytest.approx([0, 5, 10, 20])
    assert set(found.side) == {"inside"}


def test_signals_beyond_the_asymptotes_have_a_side_and_no_concentration() -> None:
    rising = known_curve({"A": 1, "B": 2, "C": 10, "D": 9})
    found = inverse(rising, [0.5, 9.0, 12.0, math.nan])
    assert list(found.side) == ["below_curve", "above_curve", "above_curve", ""]
    assert np.isnan(found.concentration).all()
    falling = known_curve({"A": 9, "B": 2, "C": 10, "D": 1})
    assert list(inverse(falling, [10.0, 0.5]).side) == ["below_curve", "above_curve"]


def test_a_line_is_read_backwards_and_ends_at_zero() -> None:
    line = Curve("linear", (1.0, 2.0))
    found = inverse(line, [1.0, 5.0, 0.5])
    assert found.concentration[:2] == pytest.approx([0, 2])
    assert list(found.side) == ["inside", "inside", "below_curve"]
    logarithm = Curve("linear", (1.0, 2.0), log_concentration=True)
    assert inverse(logarithm, [1.0, 5.0, -1.0]).concentration == pytest.approx(np.exp([0, 2, -1]))


def test_a_negative_slope_of_a_printed_4pl_is_the_same_curve_turned_round() -> None:
    printed = known_curve({"A": 9, "B": -2, "C": 10, "D": 1})
    assert printed.parameters == (1, 2, 10, 9, 1)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"A": 1, "B": 2, "C": 3}, "missing: D"),
        ({"A": 1, "B": 2, "C": 0, "D": 3}, "above 0"),
        ({"A": 1, "B": -2, "C": 1, "D": 3, "G": 2}, "above 0"),
        ({"A": 1, "B": 2, "C": math.nan, "D": 3}, "above 0"),
    ],
)
def test_impossible_printed_parameters_are_refused(parameters: dict[str, float], said: str) -> None:
    with pytest.raises(CurveError, match=said):
        known_curve(parameters)


@pytest.mark.parametrize("weighting", ["none", "1/y", "1/y2"])
@pytest.mark.parametrize(
    "true",
    [TRUE, FIVE, known_curve({"A": 2.6, "B": 0.8, "C": 4.0, "D": 0.1})],
    ids=["rising 4pl", "rising 5pl", "falling 4pl"],
)
def test_exact_data_give_the_exact_parameters(true: Curve, weighting: Weighting) -> None:
    x = np.append(X, [0.0, 0.0])
    curve = fit_curve(x, true.predict(x), model=true.model, weighting=weighting)
    assert curve.parameters == pytest.approx(true.parameters, rel=1e-6)
    assert curve.converged
    assert curve.r2 == pytest.approx(1)


@settings(max_examples=30, deadline=None)
@given(
    bottom=st.floats(-0.2, 1),
    span=st.floats(0.5, 50).flatmap(lambda v: st.sampled_from([v, -v])),
    slope=st.floats(0.6, 3),
    log_c=st.floats(math.log(2), math.log(40)),
)
def test_exact_data_of_any_4pl_come_back(bottom: float, span: float, slope: float, log_c: float) -> None:
    true = known_curve({"A": bottom, "B": slope, "C": math.exp(log_c), "D": bottom + span})
    curve = fit_curve(X, true.predict(X))
    assert curve.predict(X) == pytest.approx(true.predict(X), rel=1e-6, abs=1e-7 * abs(span))
    assert curve.parameters[1:3] == pytest.approx(true.parameters[1:3], rel=1e-4)


def test_a_5pl_with_g_one_is_the_4pl() -> None:
    x = np.geomspace(0.01, 1000, 30)
    five = known_curve({**dict(zip("ABCD", TRUE.parameters, strict=False)), "G": 1.0})
    assert five.predict(x) == pytest.approx(TRUE.predict(x), rel=1e-12)
    curve = fit_curve(X, TRUE.predict(X), model="5pl")
    assert curve.parameters[4] == pytest.approx(1, rel=1e-5)


def test_the_public_5pl_of_a_plate_reader_is_found() -> None:
    # github.com/Tom-Alexander/regression-js issue 96: signals, here to three decimals, and what the
    # reader's software printed for them.
    x = [25, 12.5, 6.25, 3.125, 1.563, 0.781, 0.391, 0.195, 0.098]
    y = [1.791, 1.683, 1.500, 1.180, 0.823, 0.502, 0.301, 0.187, 0.130]
    curve = fit_curve(x, y, model="5pl")
    printed = known_curve({"A": 0.0831, "B": 1.16, "C": 2.44, "D": 1.87, "G": 1.13})
    assert curve.parameters == pytest.approx(printed.parameters, rel=0.012)
    assert curve.predict(x) == pytest.approx(printed.predict(x), rel=0.01)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 50),
    kx=st.sampled_from([1e-6, 0.1, 7.0, 1e5]),
    ky=st.sampled_from([1e-4, 3.0, 1e6]),
    weighting=st.sampled_from(["none", "1/y", "1/y2", "estimated_power"]),
)
def test_units_of_x_and_y_do_not_matter(seed: int, kx: float, ky: float, weighting: Weighting) -> None:
    y = noisy(TRUE, np.random.default_rng(seed))
    one = fit_curve(X, y, weighting=weighting)
    other = fit_curve(kx * X, ky * y, weighting=weighting)
    assert other.predict(kx * X) == pytest.approx(ky * one.predict(X), rel=1e-5)
    assert other.r2 == pytest.approx(one.r2, abs=1e-8)
    probe = TRUE.predict(np.array([0.5, 5, 50]))
    a, b = inverse_interval(one, probe), inverse_interval(other, ky * probe)
    assert b.concentration == pytest.approx(kx * a.concentration, rel=1e-4)
    assert b.log_sd == pytest.approx(a.log_sd, rel=1e-3)


@given(order=st.permutations(range(len(X))))
@settings(max_examples=10, deadline=None)
def test_the_order_of_the_wells_does_not_matter(order: list[int]) -> None:
    y = noisy(TRUE, np.random.default_rng(3))
    assert fit_curve(X[order], y[order], weighting="1/y2") == fit_curve(X, y, weighting="1/y2")


def test_the_fit_has_the_smallest_weighted_sum_of_squares() -> None:
    y = noisy(FIVE, np.random.default_rng(5))
    curve = fit_curve(X, y, model="5pl", weighting="1/y")
    levels, index = levels_of(X)
    w = 1 / (np.bincount(index, weights=y) / np.bincount(index))[index]

    def sse(parameters: tuple[float, ...]) -> float:
        names = dict(zip("ABCDG", parameters, strict=True))
        return float(w @ (y - known_curve(names).predict(X)) ** 2)

    best = sse(curve.parameters)
    assert curve.residual_sd == pytest.approx(math.sqrt(best / (len(X) - 5)))
    for i in range(5):
        for step in (0.999, 1.001):
            moved = [p * (step if j == i else 1) for j, p in enumerate(curve.parameters)]
            assert sse(tuple(moved)) > best
    assert len(levels) == curve.n_levels


def test_the_residual_sd_of_weights_1_y2_is_the_cv() -> None:
    rng = np.random.default_rng(8)
    x = np.repeat(LEVELS, 40)
    curve = fit_curve(x, noisy(TRUE, rng, x, 0.05), weighting="1/y2")
    assert curve.residual_sd == pytest.approx(0.05, rel=0.1)
    assert curve.variance(2.0) == pytest.approx((curve.residual_sd * 2.0) ** 2)


def test_a_weighted_line_is_that_computed_by_hand() -> None:
    # x 1, 2, 4 and y 2, 4, 10 with weights 1/y: sums w 0.85, wx 1.4, wx2 3.1, wxy 7, wy 3.
    curve = fit_curve([1, 2, 4], [2, 4, 10], model="linear", weighting="1/y", log_concentration=False)
    slope = (0.85 * 7 - 1.4 * 3) / (0.85 * 3.1 - 1.4**2)
    assert curve.parameters == pytest.approx(((3 - slope * 1.4) / 0.85, slope))


def test_a_line_against_the_logarithm_is_that_of_numpy_with_its_covariance() -> None:
    rng = np.random.default_rng(2)
    x = np.repeat([1.0, 3, 9, 27, 81], 3)
    y = 0.2 + 0.5 * np.log(x) + 0.02 * rng.standard_normal(len(x))
    curve = fit_curve(x, y, model="linear")
    (slope, intercept), covariance = np.polyfit(np.log(x), y, 1, cov=True)
    assert curve.parameters == pytest.approx((intercept, slope))
    assert np.array(curve.covariance) == pytest.approx(covariance[::-1, ::-1])


def test_the_weights_of_a_blank_near_zero_are_those_of_the_lowest_level() -> None:
    x = np.append(X, [0.0, 0.0])
    y = np.append(noisy(TRUE, np.random.default_rng(4)) - 0.05, [1e-6, 2e-6])
    curve = fit_curve(x, y, weighting="1/y2")
    lowest = y[X.argmin() : X.argmin() + 2].mean()
    assert curve.floor == pytest.approx(lowest)
    assert curve.variance(0.0) == pytest.approx((curve.residual_sd * lowest) ** 2)


def test_the_power_of_the_variance_is_found_again() -> None:
    rng = np.random.default_rng(11)
    x = np.repeat(LEVELS, 30)
    mean = TRUE.predict(x)
    for power in (0.0, 1.0, 1.8):
        found = estimate_power(x, mean + 0.01 * mean ** (power / 2) * rng.standard_normal(len(x)))
        assert found.power == pytest.approx(power, abs=3 * found.se)
        assert found.se < 0.1


def test_too_few_replicates_do_not_tell_the_power() -> None:
    y = TRUE.predict(X)
    with pytest.raises(CurveError, match="replicates at 0 levels"):
        estimate_power(LEVELS, TRUE.predict(LEVELS))
    with pytest.raises(CurveError, match="equal within their levels"):
        estimate_power(X, y)
    with pytest.raises(CurveError, match="standard error"):
        fit_curve(X, 1 + 0.02 * noisy(TRUE, np.random.default_rng(1)), weighting="estimated_power")


def test_the_interval_of_the_power_holds_it() -> None:
    rng = np.random.default_rng(21)
    mean = TRUE.predict(X)
    inside = 0
    for _ in range(300):
        found = estimate_power(X, mean + 0.03 * mean**0.9 * rng.standard_normal(len(X)))
        inside += abs(found.power - 1.8) < 1.96 * found.se
    assert inside / 300 > 0.88


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        ([1, 2, 3, 4], [1, 2, math.nan, 4], "no concentration or no signal"),
        ([-1, 2, 3, 4], [1, 2, 3, 4], "below 0"),
        ([0, 0, 0, 0], [1, 2, 3, 4], "above 0"),
        ([1, 2, 4, 4], [1, 2, 3, 4], "4 parameters, and the standards have 3 levels"),
        ([1, 2, 3, 4, 5], [1, 1, 1, 1, 1], "same signal"),
    ],
)
def test_impossible_standards_are_refused_with_the_reason(x: list[float], y: list[float], said: str) -> None:
    with pytest.raises(CurveError, match=said):
        fit_curve(x, y)


def test_signals_that_do_not_depend_on_the_concentration_give_no_curve() -> None:
    rng = np.random.default_rng(9)
    with pytest.raises(CurveError, match="do not change with their concentration"):
        fit_curve(X, 1 + 0.1 * rng.standard_normal(len(X)))


def test_weights_need_signals_above_zero() -> None:
    with pytest.raises(CurveError, match="give no weights"):
        fit_curve(X, -TRUE.predict(X), weighting="1/y2")


def test_a_line_against_the_logarithm_has_no_place_for_zero() -> None:
    with pytest.raises(CurveError, match="no place on a line"):
        fit_curve([0, 1, 2], [1, 2, 3], model="linear")


def test_as_many_wells_as_parameters_give_a_curve_without_limits() -> None:
    curve = fit_curve(LEVELS[[0, 2, 4, 6]], TRUE.predict(LEVELS[[0, 2, 4, 6]]))
    found = inverse_interval(curve, 1.0)
    assert found.concentration[0] == pytest.approx(float(inverse(TRUE, 1.0).concentration[0]), rel=1e-6)
    assert math.isnan(found.lower[0])
    assert math.isnan(curve.residual_sd)
    assert curve.covariance == ()


def test_standards_far_below_the_plateau_still_give_their_own_range() -> None:
    x = np.repeat([1.0, 3, 10, 30, 100], 2)
    y = 0.1 + 0.02 * x
    curve = fit_curve(x, y)
    assert inverse(curve, y).concentration == pytest.approx(x, rel=1e-4)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.02, 500))
def test_reading_backwards_undoes_reading_forwards(x: float) -> None:
    for curve in (TRUE, FIVE, known_curve({"A": 5, "B": 0.9, "C": 3, "D": 0.1, "G": 2})):
        assert inverse(curve, curve.predict(x)).concentration[0] == pytest.approx(x, rel=1e-7)


@pytest.mark.parametrize("model", ["4pl", "5pl"])
def test_the_delta_method_is_that_of_numerical_derivatives(model: str) -> None:
    curve = fit_curve(X, noisy(FIVE, np.random.default_rng(6)), model=model, weighting="1/y2")  # type: ignore[arg-type]
    y = curve.predict(4.0)
    h = 1e-6
    a, b, c, d, g = curve.parameters
    moved = [
        Curve(curve.model, p)
        for p in (
            (a + h, b, c, d, g),
            (a, b * math.exp(h), c, d, g),
            (a, b, c * math.exp(h), d, g),
            (a, b, c, d + h, g),
            (a, b, c, d, g * math.exp(h)),
        )[: len(curve.covariance)]
    ]
    gradient = np.array([math.log(inverse(m, y).concentration[0] / 4.0) / h for m in moved])
    slope = (curve.predict(4.0 * math.exp(h)) - y) / h
    expected = gradient @ np.array(curve.covariance) @ gradient + curve.variance(y) / 2 / slope**2
    found = inverse_interval(curve, y, replicates=2)
    assert found.log_sd[0] == pytest.approx(math.sqrt(expected), rel=1e-4)
    assert found.lower[0] < 4 < found.upper[0]
    assert found.lower[0] * found.upper[0] == pytest.approx(16)
    assert found.cv_percent[0] == pytest.approx(100 * math.sqrt(math.expm1(expected)), rel=1e-4)


@pytest.mark.slow
def test_limits_of_95_percent_hold_the_truth_in_about_95_of_100_plates() -> None:
    rng = np.random.default_rng(1)
    x = np.array([1.0, 10.0, 60.0])
    inside = np.zeros((150, 3), dtype=bool)
    band = inside.copy()
    for i in range(len(inside)):
        curve = fit_curve(X, noisy(TRUE, rng), weighting="1/y2", starts=2)
        signal = noisy(TRUE, rng, np.repeat(x, 2)).reshape(3, 2).mean(axis=1)
        found = inverse_interval(curve, signal, replicates=2)
        inside[i] = (found.lower <= x) & (x <= found.upper)
        low, high = confidence_band(curve, x)
        band[i] = (low <= TRUE.predict(x)) & (TRUE.predict(x) <= high)
    for share in (*inside.mean(axis=0), *band.mean(axis=0)):
        assert 0.9 <= share <= 0.99


def test_the_prediction_band_is_wider_than_the_confidence_band_and_narrows_with_replicates() -> None:
    curve = fit_curve(X, noisy(TRUE, np.random.default_rng(12)), weighting="1/y2")
    half = [
        float(np.diff(np.array(b).ravel())[0]) / 2
        for b in (
            confidence_band(curve, 5.0),
            prediction_band(curve, 5.0),
            prediction_band(curve, 5.0, replicates=4),
        )
    ]
    assert half[0] < half[2] < half[1]
    t = half[0] / math.sqrt(half[1] ** 2 - half[0] ** 2)
    assert half[2] ** 2 == pytest.approx(half[0] ** 2 + (half[0] / t) ** 2 / 4)


def test_levels_typed_with_other_digits_are_one_level() -> None:
    levels, index = levels_of([33.3333, 0, 100, 33.33, 0])
    assert levels == pytest.approx([0, 33.33165, 100])
    assert list(index) == [1, 0, 2, 1, 0]


def test_the_columns_of_the_curve_are_its_numbers() -> None:
    curve = fit_curve(X, noisy(TRUE, np.random.default_rng(12)), weighting="1/y2")
    row = curve_columns(curve)
    assert [row[n] for n in ("bottom", "slope", "ec50", "top", "asymmetry")] == list(curve.parameters)
    assert json.loads(str(row["covariance"])) == [list(r) for r in curve.covariance]
    line = curve_columns(fit_curve([1, 2, 4], [2, 4, 10], model="linear"))
    assert "bottom" not in line
    assert line["slope"] == pytest.approx(fit_curve([1, 2, 4], [2, 4, 10], model="linear").parameters[1])
