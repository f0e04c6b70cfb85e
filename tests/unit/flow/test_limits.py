"""Limits of blank, detection and quantification in events: by hand, by enumeration, by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cartrace.config import FlowLimits
from cartrace.flow.background import Background
from cartrace.flow.limits import Limits, detect, limit_of_blank, limit_of_detection, limits_of

USUAL = FlowLimits()
BARE = FlowLimits(min_events_lod=1, min_events_lloq=1)
ANCHORS = st.integers(1_000, 200_000)
SOME = settings(deadline=None, max_examples=40)


def background(events: int, anchor: int, tube_anchor: int) -> Background:
    return Background("CAR", ("f",), events, anchor, tube_anchor)


def test_a_clean_control_of_the_same_size_allows_four_events() -> None:
    # The first event of either tube is the control's with probability 1/2: P(C > 4) = (1/2)^5 = 0.031,
    # and P(C > 3) = 0.0625.
    assert limit_of_blank(0, 10_000, 10_000, 0.95) == 4


def test_a_larger_control_lowers_the_limit_of_blank() -> None:
    # Nine times the events: P(C > c) = (1/10)^(c + 1), so one event is allowed and P(C > 1) = 0.01.
    assert limit_of_blank(0, 90_000, 10_000, 0.95) == 1
    assert limit_of_blank(0, 10_000, 0, 0.95) == 0


def test_a_count_above_the_limit_of_blank_is_significant_in_the_exact_test() -> None:
    lob = limit_of_blank(7, 30_000, 20_000, 0.95)
    chances = [stats.binomtest(c, c + 7, 0.4, alternative="greater").pvalue for c in (lob, lob + 1)]
    assert chances[0] > 0.05 >= chances[1]


def test_without_a_background_the_fewest_events_alone_set_the_limits() -> None:
    limits = limits_of(None, USUAL)
    assert math.isnan(limits.lob)
    assert limits.decision == 19
    # The Poisson mean whose count is 20 or more in 95 % of tubes: chi-square with 40 degrees of freedom.
    assert limits.lod == pytest.approx(stats.chi2.ppf(0.95, 40) / 2)
    assert limits.lloq == 50


def test_a_background_asks_for_the_fewest_events_beyond_it() -> None:
    # 10 events are expected: 29 are 19 beyond them.
    limits = limits_of(background(10, 20_000, 20_000), USUAL)
    assert limits.lob == 19
    assert limits.decision == 29
    # 50 true events, and noise of 10 in the tube and 10 from the control: s^2 = 50 (s + 20).
    assert limits.lloq == pytest.approx((50 + math.sqrt(2500 + 4000)) / 2)


def test_a_high_background_sets_the_limit_itself() -> None:
    limits = limits_of(background(400, 20_000, 20_000), USUAL)
    assert limits.decision == limits.lob > 420


def test_the_limit_of_quantification_is_as_precise_as_its_fewest_events_alone() -> None:
    s = limits_of(background(200, 20_000, 10_000), USUAL).lloq
    expected, variance_of_it = 100.0, 200 * 0.5**2
    assert math.sqrt(s + expected + variance_of_it) / s == pytest.approx(1 / math.sqrt(50))


@pytest.mark.parametrize(
    ("events", "expected", "found"),
    [
        (19, 0.0, ("BLD", 0.0, 27.9)),
        # Detected, but fewer than the LOD: nothing says that the truth is above it.
        (20, 0.0, ("BLQ", 0.0, 50.0)),
        (28, 0.0, ("BLQ", 27.9, 50.0)),
        (49, 0.0, ("BLQ", 27.9, 50.0)),
        (50, 0.0, ("quantified", 50.0, 50.0)),
        (59, 10.0, ("BLQ", 27.9, 50.0)),
        (60, 10.0, ("quantified", 50.0, 50.0)),
    ],
)
def test_events_beyond_the_background_are_held_against_the_limits(
    events: int, expected: float, found: tuple[str, float, float]
) -> None:
    got = detect(events, expected, Limits(math.nan, 19, 27.9, 50.0))
    assert (got.detection, got.lower, got.upper) == found


@pytest.mark.parametrize("limits", [USUAL, BARE])
@pytest.mark.parametrize("ratio", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("mean", [0.01, 0.5, 3.0, 30.0])
def test_every_true_background_gives_at_most_five_percent_false_and_ninety_five_percent_found(
    limits: FlowLimits, ratio: float, mean: float
) -> None:
    # Enumerated: every count of the control with its probability, and then the tube's.
    control = stats.poisson(mean / ratio)
    counts = np.arange(int(control.ppf(1e-7)), int(control.isf(1e-7)) + 1)
    found = [limits_of(background(int(b), 1_000_000, round(1_000_000 * ratio)), limits) for b in counts]
    weight = control.pmf(counts)
    decision, lod = (np.array([getattr(f, name) for f in found]) for name in ("decision", "lod"))
    assert weight @ stats.poisson.sf(decision, mean) <= 0.05
    assert weight @ stats.poisson.sf(decision, mean + lod) >= (0.95 - 1e-9) * weight.sum()


def test_simulated_tubes_are_detected_at_the_lod_and_blanks_are_not() -> None:
    # A binomial background of 0.1 % in 30,000 T cells, a control of 50,000, true cells at the LOD.
    rng = np.random.default_rng(11)
    many, slack = 4_000, 3 * math.sqrt(0.05 * 0.95 / 4_000)
    controls = rng.binomial(50_000, 1e-3, many)
    limits = {b: limits_of(background(int(b), 50_000, 30_000), BARE) for b in np.unique(controls)}
    blanks = rng.binomial(30_000, 1e-3, many)
    lod = np.array([limits[b].lod for b in controls])
    full = rng.binomial(30_000, 1e-3, many) + rng.poisson(lod)

    def detected(counts: np.ndarray) -> float:
        words = [detect(int(c), b * 0.6, limits[b]).detection for c, b in zip(counts, controls, strict=True)]
        return float(np.mean([w != "BLD" for w in words]))

    assert detected(blanks) <= 0.05 + slack
    assert detected(full) >= 0.95 - slack


@SOME
@given(st.integers(0, 300), ANCHORS, ANCHORS)
def test_the_limit_of_blank_is_the_smallest_that_holds(events: int, anchor: int, tube: int) -> None:
    lob = limit_of_blank(events, anchor, tube, 0.95)
    blank = stats.nbinom(events + 1, anchor / (anchor + tube))
    assert blank.cdf(lob) >= 0.95 or lob == tube
    assert lob == 0 or blank.cdf(lob - 1) < 0.95


@SOME
@given(st.integers(0, 300), ANCHORS, ANCHORS, st.integers(1, 50))
def test_limits_rise_with_the_background_and_fall_with_the_size_of_the_control(
    events: int, anchor: int, tube: int, more: int
) -> None:
    lob = limit_of_blank(events, anchor, tube, 0.95)
    assert limit_of_blank(events + more, anchor, tube, 0.95) >= lob
    assert limit_of_blank(events, anchor * (1 + more), tube, 0.95) <= lob
    assert limit_of_blank(events, anchor, tube * (1 + more), 0.95) >= lob


@SOME
@given(st.integers(0, 300), ANCHORS, ANCHORS, st.integers(2, 5))
def test_only_the_ratio_of_the_anchors_counts(events: int, anchor: int, tube: int, times: int) -> None:
    once, often = (limits_of(background(events, anchor * k, tube * k), USUAL) for k in (1, times))
    if once.lob < tube:
        assert often.lob == once.lob
        assert often.lod == pytest.approx(once.lod, rel=1e-6)
        assert often.lloq == pytest.approx(once.lloq)


@SOME
@given(st.integers(0, 300), ANCHORS, ANCHORS)
def test_limits_stand_in_order_and_above_their_fewest_events(events: int, anchor: int, tube: int) -> None:
    limits = limits_of(background(events, anchor, tube), USUAL)
    assert limits.lob <= limits.decision
    assert USUAL.min_events_lod <= limits.lod <= limits.lloq
    assert limits.lloq >= USUAL.min_events_lloq


@SOME
@given(st.integers(0, 60), st.integers(0, 200), ANCHORS, ANCHORS)
def test_the_limit_of_detection_is_found_with_its_probability(
    more: int, events: int, anchor: int, tube: int
) -> None:
    decision = limit_of_blank(events, anchor, tube, 0.95) + more
    lod = limit_of_detection(decision, events, anchor, tube, 0.95)
    if events == 0:
        missed = stats.poisson.cdf(decision, lod)
    else:
        k = np.arange(decision + 1)
        blank = stats.nbinom.pmf(k, events, anchor / (anchor + tube))
        missed = float(blank @ stats.poisson.cdf(decision - k, lod))
    assert missed == pytest.approx(0.05, abs=1e-6)
