"""Digital PCR arithmetic against hand-computed numbers, and what must hold for all counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from cartrace.pcr.digital import (
    Estimate,
    Method,
    between_wells,
    concentration,
    copies_per_partition,
    copies_per_reaction,
    counting_cv_percent,
    critical_positives,
    poisson_interval,
    pool,
    ratio_interval,
    standard_error,
    subtract_blank,
)

METHODS: tuple[Method, ...] = ("exact", "normal")
methods = st.sampled_from(METHODS)


def estimate(value: float, lower: float, upper: float) -> Estimate:
    return Estimate(np.array(value), np.array(lower), np.array(upper))


@st.composite
def wells(draw: st.DrawFn, most: int = 6) -> tuple[list[int], list[int], list[float]]:
    """Positives, partitions and volumes of some wells, not all positive."""
    partitions = draw(st.lists(st.integers(50, 30_000), min_size=1, max_size=most))
    positives = [draw(st.integers(0, n - 1)) for n in partitions]
    volumes = [draw(st.floats(0.3, 1.0)) for _ in partitions]
    return positives, partitions, volumes


def test_check_values_of_the_reference() -> None:
    # 200 of 20,000 partitions in 20 uL, and 8,000 of 20,000.
    assert_allclose(concentration(200, 20_000, 1.0), 10.0503, atol=5e-5)
    assert_allclose(copies_per_partition(8_000, 20_000), 0.5108, atol=5e-5)
    assert_allclose(copies_per_reaction(concentration(8_000, 20_000, 1.0), 20), 10_216.5, atol=0.05)
    assert_allclose(concentration(1, 20_000, 1.0), 0.05, atol=2e-6)


def test_smaller_partitions_mean_a_higher_concentration() -> None:
    # -ln(0.99) / 0.85 nL = 0.01005034 / 0.00085 uL
    assert_allclose(concentration(200, 20_000, 0.85), 11.82392, atol=1e-5)


def test_no_positives_are_zero_and_all_positives_are_unknown() -> None:
    assert copies_per_partition(0, 20_000) == 0
    assert np.isnan(copies_per_partition([20_000, 0], [20_000, 0])).all()
    assert np.isnan(concentration(np.nan, 20_000, 0.85))


@pytest.mark.parametrize(("k", "n"), [(-1, 10), (11, 10), (0, -1)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    for function in (copies_per_partition, standard_error, poisson_interval):
        with pytest.raises(ValueError, match="0 <= positives <= partitions"):
            function(k, n)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="exact or normal"):
        poisson_interval(1, 10, "wald")  # type: ignore[arg-type]


def test_exact_limits_are_those_of_clopper_and_pearson() -> None:
    # Textbook: 10 of 20 gives shares 0.2720 to 0.7280.
    lower, upper = poisson_interval(10, 20)
    assert_allclose([lower, upper], [-np.log(1 - 0.27196), -np.log(1 - 0.72804)], atol=2e-5)


def test_without_positives_the_upper_limit_is_three_copies_among_all_partitions() -> None:
    for method in METHODS:
        lower, upper = poisson_interval(0, 20_000, method)
        assert lower == 0
        assert_allclose(upper * 20_000, 2.9957, atol=5e-4)


def test_all_positive_leaves_a_lower_limit_only() -> None:
    for method in METHODS:
        lower, upper = poisson_interval(20_000, 20_000, method)
        # One-sided: share^20000 = 0.05.
        assert_allclose(lower, -np.log(1 - 0.05 ** (1 / 20_000)), rtol=1e-9)
        assert np.isnan(upper)


def test_without_partitions_nothing_is_known() -> None:
    for method in METHODS:
        assert np.isnan(poisson_interval([0], [0], method)).all()


def test_the_normal_interval_uses_a_z_of_1_96_on_the_share() -> None:
    # q = 0.4: 0.4 +- 1.96 sqrt(0.24 / 10,000) = 0.390398, 0.409602
    lower, upper = poisson_interval(4_000, 10_000, "normal")
    assert_allclose([lower, upper], [-np.log(1 - 0.390398), -np.log(1 - 0.409602)], atol=1e-6)


def test_few_positives_get_the_densest_interval_of_a_count() -> None:
    # Flat prior and one event: x exp(-x) is as high at 0.04236 as at 4.7652, with 95 % between.
    lower, upper = poisson_interval(1, 20_000, "normal")
    assert_allclose([lower * 20_000, upper * 20_000], [0.04236, 4.7652], atol=1e-3)
    a, b = lower * 20_000, upper * 20_000
    assert_allclose((1 + a) * np.exp(-a) - (1 + b) * np.exp(-b), 0.95, atol=1e-3)


def test_the_rules_of_the_normal_interval_meet_at_a_hundred_positives() -> None:
    (few, many), _ = poisson_interval([99, 100], [20_000, 20_000], "normal")
    assert abs(many - few) < 1 / 20_000


def test_with_few_negatives_the_normal_interval_is_the_exact_one() -> None:
    assert poisson_interval(19_950, 20_000, "normal") == poisson_interval(19_950, 20_000, "exact")


@given(n=st.integers(1, 40_000), share=st.floats(0, 1), method=methods)
def test_limits_hold_the_estimate(n: int, share: float, method: Method) -> None:
    k = int(share * n)
    lower, upper = poisson_interval(k, n, method)
    if k < n:
        assert lower <= copies_per_partition(k, n) <= upper
    assert lower >= 0


@given(n=st.integers(2, 30_000), share=st.floats(0, 1))
def test_one_positive_more_never_lowers_anything(n: int, share: float) -> None:
    k = int(share * (n - 2))
    less, more = copies_per_partition([k, k + 1], n)
    assert less < more
    (low, higher_low), (up, higher_up) = poisson_interval([k, k + 1], n)
    assert low <= higher_low
    assert up < higher_up


@given(k=st.integers(0, 300), method=methods)
def test_a_wider_level_gives_wider_limits(k: int, method: Method) -> None:
    low90, up90 = poisson_interval(k, 15_000, method, 0.90)
    low99, up99 = poisson_interval(k, 15_000, method, 0.99)
    assert low99 <= low90
    assert up90 < up99


def test_exact_limits_cover_in_at_least_95_of_100_plates() -> None:
    rng = np.random.default_rng(1)
    for copies in (1, 10, 150, 22_500):
        k = rng.binomial(15_000, -np.expm1(-copies / 15_000), 4_000)
        lower, upper = poisson_interval(k, 15_000)
        assert np.mean((lower * 15_000 <= copies) & (copies <= upper * 15_000)) > 0.945


def test_the_one_sided_limit_of_no_positives_costs_the_level_a_little_at_three_copies() -> None:
    k = np.random.default_rng(1).poisson(3.0, 20_000)
    lower, upper = poisson_interval(k, 15_000)
    assert 0.93 < np.mean((lower <= 3 / 15_000) & (upper >= 3 / 15_000)) < 0.95


def test_the_standard_error_is_that_of_the_delta_method() -> None:
    # q = 0.2, n = 10,000: sqrt(0.2 / (0.8 x 10,000))
    assert_allclose(standard_error(2_000, 10_000), 0.005)
    assert np.isnan(standard_error(10, 10))


def test_the_counting_cv_of_rare_copies_is_one_over_the_root_of_their_number() -> None:
    assert_allclose(counting_cv_percent(100 / 20_000, 20_000), 10, rtol=2e-3)
    assert_allclose(counting_cv_percent(np.log(2), 10_000), 100 * 0.01 / np.log(2))
    assert np.isnan(counting_cv_percent([0, 1], [20_000, 0])).all()


def test_the_cv_is_smallest_near_1_6_copies_per_partition() -> None:
    grid = np.linspace(0.1, 5, 491)
    assert grid[np.argmin(counting_cv_percent(grid, 20_000))] == pytest.approx(1.59, abs=0.011)


def test_pooled_wells_are_one_big_well() -> None:
    both = pool([200, 100], [20_000, 10_000], 0.85)
    assert (both.positives, both.partitions, both.volume_nl) == (300, 30_000, pytest.approx(0.85))
    assert_allclose(both.copies_per_ul.value, concentration(300, 30_000, 0.85))
    lower, upper = poisson_interval(300, 30_000)
    assert_allclose(both.copies_per_ul[1:], [lower / 0.85e-3, upper / 0.85e-3])


def test_wells_of_unlike_volumes_are_pooled_at_the_concentration_that_explains_their_sum() -> None:
    # c = 100 copies/uL: 10,000 x (1 - exp(-0.05)) + 20,000 x (1 - exp(-0.1)) = 487.7 + 1903.3
    both = pool([488, 1_903], [10_000, 20_000], [0.5, 1.0])
    assert_allclose(both.copies_per_ul.value, 100, rtol=5e-4)
    assert both.volume_nl == pytest.approx(25 / 30)
    # Dividing the pooled lambda by the mean volume is not the same once lambda is not small.
    saturating = pool([3_934, 17_293], [10_000, 20_000], [0.5, 2.0])
    assert_allclose(saturating.copies_per_ul.value, 1_000, rtol=5e-4)
    assert abs(concentration(21_227, 30_000, saturating.volume_nl) - 1_000) > 150


def test_pooling_keeps_what_is_open_open() -> None:
    saturated = pool([10, 20], [10, 20], [0.5, 1.0]).copies_per_ul
    assert np.isnan(saturated.value)
    assert np.isnan(saturated.upper)
    assert saturated.lower > 0
    assert np.isnan(pool([0], [0], 0.85).copies_per_ul).all()
    none = pool([0, 0], [10_000, 5_000], [0.5, 1.0]).copies_per_ul
    assert (none.value, none.lower) == (0, 0)
    assert none.upper > 0


@pytest.mark.parametrize("volume", [0, -1, np.nan])
def test_pooling_refuses_a_volume_that_is_none(volume: float) -> None:
    with pytest.raises(ValueError, match="volume above 0"):
        pool([1], [10], volume)


def test_pooling_refuses_a_well_without_counts() -> None:
    with pytest.raises(ValueError, match="the counts"):
        pool([1, np.nan], [10, 10], 0.85)


@given(wells(), methods, st.randoms(use_true_random=False))
def test_pooling_does_not_depend_on_the_order_of_the_wells(
    some: tuple[list[int], list[int], list[float]], method: Method, random: object
) -> None:
    rows = list(zip(*some, strict=True))
    mixed = list(rows)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    one = pool(*map(list, zip(*rows, strict=True)), method=method)
    two = pool(*map(list, zip(*mixed, strict=True)), method=method)
    assert (one.positives, one.partitions) == (two.positives, two.partitions)
    assert_allclose(np.array(one.copies_per_ul), np.array(two.copies_per_ul), rtol=1e-9)


@given(wells(), methods)
def test_pooled_limits_hold_the_pooled_value_and_that_lies_among_the_wells(
    some: tuple[list[int], list[int], list[float]], method: Method
) -> None:
    pooled = pool(*some, method=method).copies_per_ul
    alone = concentration(*some)
    assert pooled.lower <= pooled.value <= pooled.upper
    assert alone.min() * (1 - 1e-9) <= pooled.value <= alone.max() * (1 + 1e-9)


@given(wells(), st.floats(0.1, 10), methods)
def test_concentrations_scale_with_one_over_the_volume(
    some: tuple[list[int], list[int], list[float]], factor: float, method: Method
) -> None:
    k, n, v = some
    one = pool(k, n, v, method=method)
    scaled = pool(k, n, [x * factor for x in v], method=method)
    assert_allclose(np.array(scaled.copies_per_ul) * factor, np.array(one.copies_per_ul), rtol=1e-9)


@given(wells(), st.integers(1, 5))
def test_a_well_split_in_equal_parts_pools_to_itself(
    some: tuple[list[int], list[int], list[float]], parts: int
) -> None:
    (k, *_), (n, *_), (v, *_) = some
    whole = pool([k * parts], [n * parts], v)
    split = pool([k] * parts, [n] * parts, v)
    assert whole.positives == split.positives
    assert_allclose(np.array(split.copies_per_ul), np.array(whole.copies_per_ul), rtol=1e-10)


def test_equal_wells_have_no_spread() -> None:
    spread = between_wells([200, 200], [20_000, 20_000], 0.85)
    assert (spread.sd, spread.cv_percent) == (0, 0)
    assert (spread.chi2, spread.p_value) == (pytest.approx(0), pytest.approx(1))
    assert spread.excess_cv_percent == 0
    assert spread.counting_cv_percent == pytest.approx(7.07, abs=0.03)


def test_the_spread_of_two_wells_by_hand() -> None:
    # 100 and 200 of 10,000 at 1 nL: 10.0503 and 20.2027 copies/uL; common share 0.015.
    spread = between_wells([100, 200], [10_000, 10_000], 1.0)
    assert spread.mean == pytest.approx(15.1265, abs=1e-4)
    assert spread.sd == pytest.approx(10.1524 / np.sqrt(2), abs=1e-3)
    assert spread.chi2 == pytest.approx(2 * 50**2 / (150 * 0.985), rel=1e-9)
    assert spread.p_value < 1e-7
    assert spread.excess_cv_percent < spread.cv_percent


def test_counting_alone_is_rarely_called_more_than_counting() -> None:
    rng = np.random.default_rng(2)
    volumes = np.array([0.8, 0.85, 0.9])
    p = [
        between_wells(rng.binomial(15_000, -np.expm1(-0.2 * volumes)), 15_000, volumes).p_value
        for _ in range(1_500)
    ]
    assert 0.03 < np.mean(np.array(p) < 0.05) < 0.07


def test_the_spread_of_what_can_not_be_compared_is_unknown() -> None:
    one = between_wells([10], [20_000], 0.85)
    assert (one.n_wells, np.isnan(one.sd), np.isnan(one.p_value)) == (1, True, True)
    assert one.mean == pytest.approx(float(concentration(10, 20_000, 0.85)))
    assert np.isnan(between_wells([10, 20], [20_000, 20], 0.85).mean)
    none = between_wells([0, 0], [20_000, 10_000], 0.85)
    assert (none.mean, none.sd, none.p_value) == (0, 0, 1)


def test_the_ratio_of_a_duplex_by_hand() -> None:
    # 10 (8 to 12.5) over 5 (4 to 6.25): both limits are a factor 1.25 away.
    value, lower, upper = ratio_interval(estimate(10, 8, 12.5), estimate(5, 4, 6.25))
    assert value == 2
    factor = np.exp(np.sqrt(2) * np.log(1.25))
    assert_allclose([lower, upper], [2 / factor, 2 * factor])
    # Two genomes' worth of the reference in each cell: 4 copies per cell.
    assert_allclose(ratio_interval(estimate(10, 8, 12.5), estimate(5, 4, 6.25)).times(2)[0], 4)


def test_a_ratio_without_a_target_has_an_upper_limit() -> None:
    value, lower, upper = ratio_interval(estimate(0, 0, 3), estimate(10, 8, 12))
    assert (value, lower) == (0, 0)
    assert_allclose(upper, 3 / 8)


def test_a_ratio_without_a_reference_is_unknown() -> None:
    assert np.isnan(ratio_interval(estimate(1, 0.5, 2), estimate(0, 0, 3))).all()
    assert np.isnan(ratio_interval(estimate(1, 0.5, 2), estimate(np.nan, 9, np.nan))).all()


def test_a_saturated_target_has_a_lower_ratio() -> None:
    value, lower, upper = ratio_interval(estimate(np.nan, 9, np.nan), estimate(2, 1.5, 3))
    assert np.isnan([value, upper]).all()
    assert lower == 3


def test_ratio_limits_cover_in_95_of_100_plates() -> None:
    rng = np.random.default_rng(3)
    n, target, reference = 16_000, 0.002, 0.4

    def of(lambda_: float) -> Estimate:
        k = rng.binomial(n, -np.expm1(-lambda_), 4_000)
        return Estimate(copies_per_partition(k, n), *poisson_interval(k, n))

    _, lower, upper = ratio_interval(of(target), of(reference))
    truth = target / reference
    assert 0.94 < np.mean((lower <= truth) & (truth <= upper)) < 0.985


@given(
    k=st.integers(0, 5_000),
    reference=st.integers(1, 5_000),
    factor=st.floats(0.01, 100),
)
def test_the_partition_volume_cancels_in_a_ratio(k: int, reference: int, factor: float) -> None:
    n = 10_000
    t = Estimate(copies_per_partition(k, n), *poisson_interval(k, n))
    r = Estimate(copies_per_partition(reference, n), *poisson_interval(reference, n))
    one = ratio_interval(t, r)
    assert_allclose(
        np.array(ratio_interval(t.times(factor), r.times(factor))), np.array(one), rtol=1e-9, atol=1e-15
    )
    assert one.lower <= one.value <= one.upper


def test_a_blank_is_taken_off_and_widens_the_limits() -> None:
    # 10 (8 to 13) less 2 (1 to 4): 8, less sqrt(4 + 4), more sqrt(9 + 1).
    value, lower, upper = subtract_blank(estimate(10, 8, 13), estimate(2, 1, 4))
    assert_allclose([value, lower, upper], [8, 8 - np.sqrt(8), 8 + np.sqrt(10)])


def test_a_sample_below_its_blank_is_zero_and_never_negative() -> None:
    value, lower, upper = subtract_blank(estimate(1, 0.5, 2), estimate(5, 4, 6))
    assert (value, lower, upper) == (0, 0, 0)


def test_a_clean_blank_takes_nothing_off() -> None:
    value, lower, _ = subtract_blank(estimate(10, 8, 13), estimate(0, 0, 0.5))
    assert value == 10
    assert lower < 8


def test_the_critical_number_of_positives_grows_with_the_partitions() -> None:
    # 6 false positives in 60,000 partitions: 1 expected in 10,000 and 2 in 20,000; Poisson 95 %: 3 and 5.
    assert_allclose(critical_positives([2, 4], [30_000, 30_000], [10_000, 20_000]), [3, 5])


def test_blanks_without_positives_allow_none() -> None:
    assert critical_positives([0, 0], [20_000, 20_000], 20_000) == 0
    assert np.isnan(critical_positives([], [], [20_000]))
