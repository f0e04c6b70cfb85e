import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.cohort.survival import kaplan_meier, turnbull

INF = np.inf

# Weeks of remission on 6-mercaptopurine (Freireich 1963; Kalbfleisch and Prentice).
REMISSION = [6, 6, 6, 7, 10, 13, 16, 22, 23]
STILL_IN_REMISSION = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]

# Months to breast retraction after radiotherapy (Finkelstein and Wolfe 1985;
# Klein and Moeschberger 2003, table 1.18), as (last visit without, first visit with).
RETRACTION = [
    *[(0, 7), (0, 8), (0, 5), (4, 11), (5, 12), (5, 11), (6, 10), (7, 16), (7, 14), (11, 15), (11, 18)],
    *[(15, INF), (17, INF), (17, 25), (17, 25), (18, INF), (19, 35), (18, 26), (22, INF), (24, INF)],
    *[(24, INF), (25, 37), (26, 40), (27, 34), (32, INF), (33, INF), (34, INF), (36, 44), (36, 48)],
    *[(36, INF), (36, INF), (37, 44), (37, INF), (37, INF), (37, INF), (38, INF), (40, INF), (45, INF)],
    *[(46, INF)] * 8,
]


def remission():
    events = np.array(REMISSION, dtype=float)
    open_ended = np.array(STILL_IN_REMISSION, dtype=float)
    return np.concatenate([events, open_ended]), np.concatenate([events, np.full(open_ended.size, INF)])


def test_kaplan_meier_gives_the_textbook_curve_of_the_remission_trial():
    curve = kaplan_meier(*remission())
    at = dict(zip(curve.day, curve.survival, strict=True))
    expected = {6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482}
    assert {day: round(at[day], 4) for day in expected} == expected
    assert curve.median == 23
    # survival::survfit(..., conf.type = "log-log") in R gives 13 and NA.
    assert curve.median_lower == 13
    assert np.isnan(curve.median_upper)


def test_kaplan_meier_counts_who_is_at_risk():
    curve = kaplan_meier(*remission())
    at_risk = dict(zip(curve.day, curve.n_at_risk, strict=True))
    assert [at_risk[day] for day in (6, 7, 10, 22, 35)] == [21, 17, 15, 7, 1]


def test_kaplan_meier_puts_the_event_at_the_first_negative_visit():
    curve = kaplan_meier([28, 28, 90], [84, 180, INF])
    assert curve.day.tolist() == [0, 84, 90, 180]
    assert curve.survival.tolist() == pytest.approx([1, 2 / 3, 2 / 3, 0])
    assert curve.median == 180


def test_a_median_at_exactly_one_half_is_reached():
    # (2/3) * (3/4) is below or above 0.5 by rounding alone.
    curve = kaplan_meier([1, 2, 3, 4, 5, 6], [1, 2, 3, INF, INF, INF])
    assert curve.median == 3


def test_turnbull_gives_the_published_curve_of_the_breast_retraction_trial():
    bounds = np.array(RETRACTION)
    steps = turnbull(bounds[:, 0], bounds[:, 1])
    # Mass of each innermost interval, as R's interval::icfit prints it.
    assert list(zip(steps.left, steps.right, steps.mass.round(4), strict=True)) == [
        (4, 5, 0.0463),
        (6, 7, 0.0334),
        (7, 8, 0.0887),
        (11, 12, 0.0708),
        (24, 25, 0.0926),
        (33, 34, 0.0818),
        (38, 40, 0.1209),
        (46, 48, 0.4656),
    ]


def test_turnbull_splits_the_mass_of_two_disjoint_intervals_by_hand():
    # (0, 7] and (7, 14] share no day; the third subject fits both, so each gets one half.
    steps = turnbull([0, 7, 0], [7, 14, 14])
    assert steps.left.tolist() == [0, 7]
    assert steps.right.tolist() == [7, 14]
    assert steps.survival.tolist() == pytest.approx([0.5, 0.0], abs=1e-7)


def test_turnbull_keeps_the_mass_of_those_who_never_had_the_event():
    # p on (0, 7], the rest beyond: the likelihood p (1 - p)^2 has its top at p = 1/3.
    steps = turnbull([0, 7, 20], [7, INF, INF])
    assert steps.right.tolist() == [7]
    assert steps.survival.tolist() == pytest.approx([2 / 3])


def test_turnbull_is_kaplan_meier_when_every_time_is_known():
    lower, upper = remission()
    steps, curve = turnbull(lower, upper), kaplan_meier(lower, upper)
    at = dict(zip(curve.day, curve.survival, strict=True))
    assert steps.left.tolist() == steps.right.tolist() == sorted(set(REMISSION))
    assert steps.survival == pytest.approx([at[day] for day in steps.right], abs=1e-6)


def test_a_single_subject_gives_a_single_step():
    steps = turnbull([28.0], [84.0])
    assert (steps.left.tolist(), steps.right.tolist(), steps.survival.tolist()) == ([28], [84], [0])
    assert turnbull([28.0], [INF]).mass.size == 0


def test_a_thousand_subjects_reach_the_optimum():
    rng = np.random.default_rng(7)
    visits = np.sort(rng.uniform(0, 300, (1000, 6)), axis=1)
    seen = (visits < rng.exponential(100, 1000)[:, None]).sum(axis=1)
    edges = np.column_stack([np.zeros(1000), visits, np.full(1000, INF)])
    lower, upper = edges[np.arange(1000), seen], edges[np.arange(1000), seen + 1]
    steps = turnbull(lower, upper)
    truth = np.exp(-steps.right / 100)
    assert np.abs(steps.survival - truth).max() < 0.12


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        ([2.0], [1.0], "upper must not be below lower"),
        ([np.nan], [1.0], "lower must be finite"),
        ([1.0], [np.nan], "not empty"),
        ([], [], "not empty"),
        ([1.0, 2.0], [3.0], "of one length"),
    ],
)
@pytest.mark.parametrize("estimate", [kaplan_meier, turnbull])
def test_bounds_that_are_no_intervals_are_refused(estimate, lower, upper, message):
    with pytest.raises(ValueError, match=message):
        estimate(lower, upper)


INTERVALS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 20), st.booleans()).map(
        lambda t: (float(t[0]), INF if t[2] else float(t[0] + t[1]))
    ),
    min_size=1,
    max_size=25,
)


@settings(deadline=None, max_examples=20)
@given(INTERVALS, st.randoms())
def test_the_order_of_subjects_changes_nothing(intervals, random):
    shuffled = list(intervals)
    random.shuffle(shuffled)
    for estimate in (kaplan_meier, turnbull):
        first = estimate(*np.array(intervals).T)
        second = estimate(*np.array(shuffled).T)
        np.testing.assert_allclose(first.survival, second.survival, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(INTERVALS)
def test_turnbull_is_a_distribution_and_no_worse_than_even_masses(intervals):
    lower, upper = np.array(intervals).T
    steps = turnbull(lower, upper)
    assert (steps.mass > 0).all()
    assert steps.mass.sum() <= 1 + 1e-9
    assert (np.diff(steps.right) > 0).all()
    assert (np.diff(steps.survival, prepend=1.0) <= 1e-9).all()
    # Gentleman and Geyer 1994: at the optimum no direction climbs.
    inside = (lower[:, None] <= steps.left) & (steps.right <= upper[:, None])
    # A known time x lies in (a, b] only when a < x.
    inside &= ~((steps.left == steps.right) & (lower[:, None] == steps.left) & (upper > lower)[:, None])
    chance = inside @ steps.mass + np.where(np.isinf(upper), max(0.0, 1 - steps.mass.sum()), 0.0)
    assert ((inside / chance[:, None]).mean(axis=0) <= 1 + 1e-5).all()


@settings(deadline=None, max_examples=20)
@given(INTERVALS, st.sampled_from([0.5, 2.0, 8.0]))
def test_days_counted_in_another_unit_scale_the_curves(intervals, unit):
    lower, upper = np.array(intervals).T
    for estimate, day in ((kaplan_meier, "day"), (turnbull, "right")):
        first, second = estimate(lower, upper), estimate(lower * unit, upper * unit)
        np.testing.assert_allclose(getattr(second, day), getattr(first, day) * unit)
        np.testing.assert_allclose(second.survival, first.survival, atol=1e-9)
