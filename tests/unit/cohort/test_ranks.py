import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from cartrace.cohort.ranks import Permutations, TiedError, compare_groups, mantel_scores, spearman

RULES = Permutations()
ASYMPTOTIC = Permutations(up_to=0)


def scores(values):
    return mantel_scores(values, values)


def correlate(x, y, rules=RULES, **options):
    return spearman(scores(x), scores(y), rules, **options)


def compare(*groups, rules=RULES):
    pooled = scores(np.concatenate(groups))
    ends = np.cumsum([len(g) for g in groups])[:-1]
    return compare_groups(np.split(pooled, ends), rules)


# Authoritarianism and social status strivings of 12 students: Siegel 1956, Nonparametric Statistics.
AUTHORITARIANISM = [82, 98, 87, 40, 116, 113, 111, 83, 85, 126, 106, 117]
STATUS_STRIVING = [42, 46, 39, 37, 65, 88, 86, 56, 62, 92, 54, 81]


def test_the_published_rho_of_siegel():
    found = correlate(AUTHORITARIANISM, STATUS_STRIVING)
    # Squared differences of ranks sum to 52: 1 - 6 * 52 / (12 * 143), published as 0.82.
    assert found.statistic == pytest.approx(1 - 312 / 1716)
    assert found.method == "spearman"
    # Published: significant at 0.01, two-sided.
    assert found.p < 0.01
    assert found.p_method == "permutation"


def test_the_limits_of_rho_by_hand():
    found = correlate(AUTHORITARIANISM, STATUS_STRIVING)
    # atanh(0.81818) = 1.15129; SE = sqrt((1 + 0.66942 / 2) / 9) = 0.38508; times 1.95996 = 0.75474.
    assert found.lower == pytest.approx(math.tanh(0.39655), abs=1e-4)
    assert found.upper == pytest.approx(math.tanh(1.90603), abs=1e-4)
    bare = correlate(AUTHORITARIANISM, STATUS_STRIVING, limits=False)
    assert math.isnan(bare.lower)
    assert math.isnan(bare.upper)


def test_the_exact_p_of_five_pairs_counts_all_120_orders():
    # rho = 1 in one order of 120, -1 in another.
    perfect = correlate([1, 2, 3, 4, 5], [10, 20, 30, 40, 50])
    assert (perfect.statistic, perfect.p_method) == (1.0, "exact")
    assert perfect.p == pytest.approx(2 / 120)
    assert math.isnan(perfect.lower)
    # One swap of neighbours: rho = 0.9; 4 such orders and the perfect one, on both sides.
    assert correlate([1, 2, 3, 4, 5], [2, 1, 3, 4, 5]).statistic == pytest.approx(0.9)
    assert correlate([1, 2, 3, 4, 5], [2, 1, 3, 4, 5]).p == pytest.approx(10 / 120)


def test_many_pairs_get_the_p_of_the_limit_distribution():
    found = correlate(AUTHORITARIANISM, STATUS_STRIVING, ASYMPTOTIC)
    reference = stats.spearmanr(AUTHORITARIANISM, STATUS_STRIVING)
    assert (found.statistic, found.p) == pytest.approx((reference.statistic, reference.pvalue))
    assert found.p_method == "asymptotic"
    assert correlate(range(9), range(9), ASYMPTOTIC).p == 0.0


def test_the_published_u_of_siegel():
    # Trials to learn of trained and of other rats: Siegel 1956: U = 9, one-sided p = 0.452.
    found = compare([110, 70, 53, 51], [78, 64, 75, 45, 82])
    assert (found.method, found.statistic, found.p_method) == ("mann_whitney", 9.0, "exact")
    # 57 of 126 choices of four ranks lie at or beyond it, on each side.
    assert found.p == pytest.approx(114 / 126)
    assert found.p / 2 == pytest.approx(0.452, abs=5e-4)


def test_the_published_h_of_siegel():
    # Authoritarianism of three kinds of educators: Siegel 1956: H = 6.4, p < 0.049.
    found = compare([96, 128, 83, 61, 101], [82, 124, 132, 135, 109], [115, 149, 166, 147])
    assert found.method == "kruskal_wallis"
    assert round(found.statistic, 1) == 6.4
    assert found.p < 0.049


def test_the_published_scores_of_gehan():
    # Remission in weeks under 6-MP and placebo (Freireich 1963); Gehan 1965, Biometrika 52:203: W = 271.
    treated = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    still = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    lower = np.array(treated + still + placebo, dtype=float)
    upper = np.array(treated + [np.inf] * len(still) + placebo)
    found = mantel_scores(lower, upper)
    assert found[:21].sum() == 271
    assert found[21:].sum() == -271
    assert compare_groups([found[:21], found[21:]], ASYMPTOTIC).p < 0.001


def test_only_pairs_whose_order_is_certain_count():
    # Loss in (7, 14], (14, 28], at day 14, still there at day 10, lost by day 7.
    lower = [7.0, 14.0, 14.0, 10.0, -np.inf]
    upper = [14.0, 28.0, 14.0, np.inf, 7.0]
    # (7, 14]: above the last one; below (14, 28] and day 14; day 10 or later: unknown.
    assert mantel_scores(lower, upper).tolist() == [1 - 2, 3 - 0, 2 - 1, 1 - 0, 0 - 4]


def test_values_below_one_limit_tie_and_lie_below_what_reaches_it():
    # Three nadirs below a limit of 10, one at 10 exactly, one at 50.
    found = mantel_scores([0, 0, 0, 10, 50], [10, 10, 10, 10, 50])
    assert found.tolist() == [-2, -2, -2, 2, 4]
    # As if they were tied values.
    assert found.tolist() == scores([1, 1, 1, 10, 50]).tolist()


def test_what_tells_no_order_is_refused():
    with pytest.raises(TiedError):
        correlate([1, 1, 1, 1], [1, 2, 3, 4])
    with pytest.raises(TiedError):
        spearman(mantel_scores([0] * 4, [9] * 4), scores([1, 2, 3, 4]), RULES)
    with pytest.raises(TiedError):
        compare([3, 3], [3, 3])
    for groups in ([[1, 2]], [[1, 2], [3]], [[1, 2], []]):
        with pytest.raises(ValueError, match="two groups of two"):
            compare_groups([np.array(g, dtype=float) for g in groups], RULES)
    for lower, upper in ([[2], [1]], [[np.nan], [1]], [[1, 2], [1]], [[[1]], [[1]]]):
        with pytest.raises(ValueError, match="must"):
            mantel_scores(lower, upper)


def test_a_random_p_is_the_same_in_every_run():
    assert correlate(AUTHORITARIANISM, STATUS_STRIVING) == correlate(AUTHORITARIANISM, STATUS_STRIVING)


VALUES = st.lists(st.integers(-50, 50), min_size=5, max_size=12)
PAIRS = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=5, max_size=9)
INTERVALS = st.lists(
    st.tuples(st.integers(0, 20), st.sampled_from([0, 1, 5, np.inf])).map(lambda p: (p[0], p[0] + p[1])),
    min_size=2,
    max_size=12,
)


@given(VALUES)
def test_scores_of_known_values_are_ranks(values):
    assert scores(values).tolist() == (2 * stats.rankdata(values) - len(values) - 1).tolist()


@given(INTERVALS)
def test_scores_sum_to_zero_and_agree_with_counting_pair_by_pair(intervals):
    lower, upper = map(np.array, zip(*intervals, strict=True))
    found = mantel_scores(lower, upper)
    assert found.sum() == 0
    expected = np.zeros(len(intervals))
    for (i, (a, b)), (j, (c, d)) in itertools.permutations(enumerate(intervals), 2):
        if b < c or (b == c and (a < b or c < d)):
            expected[i] -= 1
            expected[j] += 1
    assert found.tolist() == expected.tolist()


@settings(deadline=None, max_examples=25)
@given(PAIRS)
def test_rho_and_p_depend_on_order_alone(pairs):
    x, y = (np.array(v, dtype=float) for v in zip(*pairs, strict=True))
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    found = correlate(x, y)
    assert correlate(np.exp(x / 10), y**3) == found
    assert found.statistic == pytest.approx(stats.spearmanr(x, y).statistic)
    turned = correlate(-x, y)
    assert turned.statistic == pytest.approx(-found.statistic)
    assert turned.p == pytest.approx(found.p)
    assert 0 < found.p <= 1
    assert math.isnan(found.lower) or -1 < found.lower < found.statistic < found.upper < 1


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=4), st.lists(st.integers(0, 9), min_size=2, max_size=4)
)
def test_u_and_h_are_those_of_scipy(one, other):
    assume(len({*one, *other}) > 1)
    found = compare(one, other)
    assert found.statistic == stats.mannwhitneyu(one, other).statistic
    if len({*one, *other}) == len(one) + len(other):
        assert found.p == pytest.approx(stats.mannwhitneyu(one, other, method="exact").pvalue)
    third = [10, 11, 12]
    assert compare(one, other, third).statistic == pytest.approx(stats.kruskal(one, other, third).statistic)
    assert compare(one, other, third, rules=ASYMPTOTIC).p == pytest.approx(
        stats.kruskal(one, other, third).pvalue
    )
